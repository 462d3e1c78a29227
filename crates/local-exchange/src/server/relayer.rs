//! The relayer's shapes (wallets without gas) and the website's geoblock.
//!
//! Batches of deposit wallets are checked (signature, nonce, deadline) and their splits, merges and
//! redemptions take effect when they are mined. Transactions of proxies and Safes are taken unchecked
//! and move nothing: for those the handle splits, merges and redeems.

use alloy::primitives::{Address, U256, hex};
use polydesk_domain::{ConditionId, Shares, Span, Time};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::typed::{WalletCall, batch_digest, recover};
use crate::venue::{SetAct, SetCall};
use crate::wallets::WalletKind;
use crate::wire;

/// From the submission until it is in a block.
const MINED: Span = Span::secs(3);

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
                let owner = wire::address(address).unwrap_or_default();
                let nonce = self.relay_nonces.get(&owner).copied().unwrap_or(0).to_string();
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
        if body["type"].as_str() == Some("WALLET") {
            match self.wallet_batch(&body) {
                Ok(calls) => self.venue.relay(self.venue.now() + MINED, calls),
                Err(text) => return Answer::error(400, &text),
            }
        }
        let id = self.venue.chance.uuid().to_string();
        let hash = alloy::primitives::keccak256(id.as_bytes()).to_string();
        let at = self.venue.now();
        self.relayed.insert(id.clone(), Relayed { at, hash });
        Answer::ok(&json!({ "transactionID": id, "state": "STATE_NEW" }))
    }

    /// Checks a deposit wallet's batch and reads what it does with sets. Other calls (approvals) change
    /// nothing here.
    fn wallet_batch(&mut self, body: &Value) -> Result<Vec<SetCall>, String> {
        let bad = || "invalid payload".to_owned();
        let number = |value: &Value| value.as_str().and_then(|t| t.parse::<U256>().ok());
        let owner = body["from"].as_str().and_then(wire::address).ok_or_else(bad)?;
        let params = &body["depositWalletParams"];
        let wallet = params["depositWallet"].as_str().and_then(wire::address).ok_or_else(bad)?;
        let (nonce, deadline) = (number(&body["nonce"]), number(&params["deadline"]));
        let (nonce, deadline) = nonce.zip(deadline).ok_or_else(bad)?;
        let mut calls = Vec::new();
        for call in params["calls"].as_array().ok_or_else(bad)? {
            calls.push(WalletCall {
                target: call["target"].as_str().and_then(wire::address).ok_or_else(bad)?,
                value: number(&call["value"]).ok_or_else(bad)?,
                data: hex::decode(call["data"].as_str().ok_or_else(bad)?).map_err(|_| bad())?,
            });
        }
        let known = self.venue.ledger().wallet(&wallet).is_some_and(|known| known.owner == owner);
        let signature = hex::decode(body["signature"].as_str().ok_or_else(bad)?);
        let digest = batch_digest(wallet, nonce, deadline, &calls, self.venue.chain_id());
        let by = recover(digest, &signature.map_err(|_| bad())?);
        if !known || by != Ok(owner) {
            return Err("invalid signature".to_owned());
        }
        let now = U256::from(self.venue.now().millis().max(0) as u64 / 1_000);
        if deadline < now {
            return Err("deadline has passed".to_owned());
        }
        let expected = self.relay_nonces.entry(owner).or_insert(0);
        if nonce != U256::from(*expected) {
            return Err(format!("batch nonce {nonce} does not match on-chain nonce {expected}"));
        }
        *expected += 1;
        Ok(calls.iter().filter_map(|call| self.set_call(wallet, &call.data)).collect())
    }

    /// A call of an adapter: `split`, `merge` and `redeem` name the condition in their third word.
    fn set_call(&self, wallet: Address, data: &[u8]) -> Option<SetCall> {
        let (selector, args) = data.split_at_checked(4)?;
        let word = |index: usize| args.get(index * 32..index * 32 + 32);
        let condition: [u8; 32] = word(2)?.try_into().ok()?;
        let market = self.venue.universe().key(&ConditionId::from_bytes(condition))?;
        let shares = || {
            let amount = u64::try_from(U256::from_be_slice(word(4)?)).ok()?;
            Some(Shares::new(amount)).filter(|shares| *shares <= Shares::SANE_MAX)
        };
        let act = match selector {
            [0x72, 0xce, 0x42, 0x75] => SetAct::Split(shares()?),
            [0x9e, 0x72, 0x12, 0xad] => SetAct::Merge(shares()?),
            [0x01, 0xb7, 0x03, 0x7c] => SetAct::Redeem,
            _ => return None,
        };
        Some(SetCall { wallet, market, act })
    }

    fn relayed_one(&self, id: &str) -> Answer {
        let Some(relayed) = self.relayed.get(id) else {
            return Answer::error(404, "transaction not found");
        };
        let age = relayed.at.until(self.venue.now());
        let (state, hash) = match age {
            age if age < Span::secs(1) => ("STATE_NEW", ""),
            age if age < MINED => ("STATE_EXECUTED", relayed.hash.as_str()),
            age if age < Span::secs(6) => ("STATE_MINED", relayed.hash.as_str()),
            _ => ("STATE_CONFIRMED", relayed.hash.as_str()),
        };
        Answer::ok(&json!({
            "transaction_id": id, "transactionID": id, "state": state, "transaction_hash": hash,
            "transactionHash": hash, "error_msg": "",
        }))
    }
}
