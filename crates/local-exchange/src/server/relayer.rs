//! The relayer's shapes (wallets without gas) and the website's geoblock.
//!
//! What is submitted is taken, walks through the states with the clock, and moves no funds: splits,
//! merges and redemptions are done through the handle. Signatures of batches are not checked.

use polydesk_domain::{Span, Time};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::wallets::WalletKind;
use crate::wire;

/// A submitted transaction.
#[derive(Debug, Clone)]
pub(crate) struct Relayed {
    at: Time,
    hash: String,
}

impl Inner {
    /// Answers a request to the relayer or the website.
    pub(super) fn relayer(&mut self, req: &Req) -> Answer {
        let path = req.path.trim_end_matches('/');
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (req.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "geoblock"]) => Answer::ok(&json!({
                "blocked": false, "ip": "127.0.0.1", "country": "CH", "region": "ZH"
            })),
            ("GET", ["deployed"]) => {
                let address = req.param("address").and_then(wire::address);
                let known = address.is_some_and(|a| self.venue.ledger().wallet(&a).is_some());
                Answer::ok(&json!({ "deployed": known }))
            }
            ("GET", ["v1", "account", "transactions", "params"] | ["nonce"]) => {
                let address = req.param("address").unwrap_or_default();
                let nonce = self.relayed.len().to_string();
                Answer::ok(&json!({ "address": address, "nonce": nonce }))
            }
            ("GET", ["relay-payload"]) => Answer::ok(&json!({
                "address": "0xD216153c06E857cD7f72665E0aF1d7D82172F494",
                "nonce": self.relayed.len().to_string(),
            })),
            ("POST", ["submit"]) => self.submit_relayed(req),
            ("GET", ["v1", "account", "transactions", id]) => self.relayed_one(id),
            ("GET", ["transaction"]) => match req.param("id") {
                Some(id) => self.relayed_one(id),
                None => Answer::error(400, "id is required"),
            },
            ("POST", ["v1", "session-signers", "authorizations" | "revocations"]) => {
                self.submit_relayed(req)
            }
            _ => Answer::not_found(),
        }
    }

    fn submit_relayed(&mut self, req: &Req) -> Answer {
        let keyed =
            req.header("RELAYER_API_KEY").is_some() || req.header("POLY_BUILDER_API_KEY").is_some();
        if !keyed {
            return Answer::error(401, "invalid authorization");
        }
        let Ok(body) = serde_json::from_slice::<Value>(&req.body) else {
            return Answer::error(400, "invalid payload");
        };
        let owner = body["from"].as_str().and_then(wire::address);
        if body["type"].as_str() == Some("WALLET-CREATE")
            && let Some(owner) = owner
        {
            self.venue.open_wallet(owner, WalletKind::Deposit);
        }
        let id = self.venue.chance.uuid().to_string();
        let hash = alloy::primitives::keccak256(id.as_bytes()).to_string();
        let at = self.venue.now();
        self.relayed.insert(id.clone(), Relayed { at, hash });
        Answer::ok(&json!({ "transactionID": id, "state": "STATE_NEW" }))
    }

    fn relayed_one(&self, id: &str) -> Answer {
        let Some(relayed) = self.relayed.get(id) else {
            return Answer::error(404, "transaction not found");
        };
        let age = relayed.at.until(self.venue.now());
        let (state, hash) = match age {
            age if age < Span::secs(1) => ("STATE_NEW", ""),
            age if age < Span::secs(3) => ("STATE_EXECUTED", relayed.hash.as_str()),
            age if age < Span::secs(6) => ("STATE_MINED", relayed.hash.as_str()),
            _ => ("STATE_CONFIRMED", relayed.hash.as_str()),
        };
        Answer::ok(&json!({
            "transaction_id": id, "transactionID": id, "state": state, "transaction_hash": hash,
            "transactionHash": hash, "error_msg": "",
        }))
    }
}
