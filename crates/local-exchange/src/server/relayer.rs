//! The relayer's shapes (wallets without gas) and the website's geoblock.
//!
//! Batches of deposit wallets are checked (signature, nonce, deadline) and their splits, merges and
//! redemptions take effect when they are mined, the registrations of session keys too. Transactions of proxies and Safes are taken unchecked
//! and move nothing: for those the handle splits, merges and redeems.

use alloy::primitives::{Address, U256, hex};
use polydesk_domain::{ConditionId, Shares, Span, Time};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::typed::{WalletCall, batch_digest, recover};
use crate::venue::{Approval, Session, SetAct, SetCall};
use crate::wallets::WalletKind;
use crate::wire;

/// From the submission until it is in a block.
const MINED: Span = Span::secs(3);
/// From there until it is final.
const CONFIRMED: Span = Span::secs(3);

/// A submitted transaction.
#[derive(Debug, Clone)]
pub(crate) struct Relayed {
    at: Time,
    hash: [u8; 32],
}

/// A batch of a deposit wallet and its signature.
struct Signed {
    owner: Address,
    wallet: Address,
    nonce: U256,
    deadline: U256,
    signature: Vec<u8>,
}

fn number(value: &Value) -> Option<U256> {
    value.as_str()?.parse().ok()
}

/// `approve` and `setApprovalForAll` of a token contract.
fn approval(call: &WalletCall) -> Option<Approval> {
    let (selector, args) = call.data.split_at_checked(4)?;
    let word = |index: usize| args.get(index * 32..index * 32 + 32).map(U256::from_be_slice);
    let spender = Address::from_word(word(0)?.into());
    let amount = match selector {
        [0x09, 0x5e, 0xa7, 0xb3] => word(1)?,
        [0xa2, 0x2c, 0xb4, 0x65] if word(1)?.is_zero() => U256::ZERO,
        [0xa2, 0x2c, 0xb4, 0x65] => U256::MAX,
        _ => return None,
    };
    Some(Approval { token: call.target, spender, amount })
}

/// Whether a request names the paying account.
fn keyed(req: &Req) -> bool {
    req.header("RELAYER_API_KEY").is_some() || req.header("POLY_BUILDER_API_KEY").is_some()
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
                "nonce": self.relayed.ever().to_string(),
            })),
            ("POST", ["submit"]) => self.submit_relayed(req),
            ("GET", ["v1", "account", "transactions", id]) => self.relayed_one(id),
            ("GET", ["transaction"]) => match req.param("id") {
                Some(id) => self.relayed_one(id),
                None => Answer::error(400, "id is required"),
            },
            ("POST", ["v1", "session-signers", act @ ("authorizations" | "revocations")]) => {
                self.session_signer(req, *act == "authorizations")
            }
            _ => Answer::not_found(),
        }
    }

    fn submit_relayed(&mut self, req: &Req) -> Answer {
        if !keyed(req) {
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
        let mut calls = (Vec::new(), Vec::new());
        if body["type"].as_str() == Some("WALLET") {
            match self.wallet_batch(&body) {
                Ok(all) => calls = all,
                Err(text) => return Answer::error(400, &text),
            }
        }
        let wallet = match body["depositWalletParams"]["depositWallet"].as_str() {
            None => body["proxyWallet"].as_str(),
            wallet => wallet,
        };
        let wallet = wallet.and_then(wire::address).or(owner).unwrap_or_default();
        let id = self.enter(wallet, calls);
        Answer::ok(&json!({ "transactionID": id, "state": "STATE_NEW" }))
    }

    /// A transaction of a wallet that is under way from now on; its id.
    fn enter(&mut self, wallet: Address, calls: (Vec<SetCall>, Vec<Approval>)) -> String {
        let id = self.venue.chance.uuid().to_string();
        let hash = alloy::primitives::keccak256(id.as_bytes()).0;
        let at = self.venue.now();
        self.venue.relay(MINED, hash, wallet, calls);
        self.relayed.insert(id.clone(), Relayed { at, hash });
        id
    }

    /// A session key is registered or revoked. The same idempotency key with the same body is the same
    /// operation; with another body it is refused.
    fn session_signer(&mut self, req: &Req, authorises: bool) -> Answer {
        if !keyed(req) || (authorises && req.header("POLY_BUILDER_API_KEY").is_none()) {
            return Answer::error(401, "invalid authorization");
        }
        let Some(name) = req.header("Idempotency-Key").filter(|name| !name.is_empty()) else {
            return Answer::error(400, "Idempotency-Key is required");
        };
        let name = name.to_owned();
        if let Some((body, answer)) = self.session_answers.get(&name) {
            return match *body == req.body {
                true => Answer::ok(answer),
                false => Answer::error(409, "Idempotency-Key was used for another request"),
            };
        }
        match self.session_batch(&req.body, authorises) {
            Ok(answer) => {
                let reply = Answer::ok(&answer);
                self.session_answers.insert(name, (req.body.clone(), answer));
                reply
            }
            Err(text) => Answer::error(400, &text),
        }
    }

    fn session_batch(&mut self, body: &[u8], authorises: bool) -> Result<Value, String> {
        let bad = || "invalid payload".to_owned();
        let body: Value = serde_json::from_slice(body).map_err(|_| bad())?;
        let text = |key: &str| body[key].as_str();
        let wallet = text("walletAddress").and_then(wire::address).ok_or_else(bad)?;
        let key = text("sessionSignerAddress").and_then(wire::address).ok_or_else(bad)?;
        let owner = self.venue.ledger().wallet(&wallet).map(|known| known.owner);
        let owner = owner.ok_or("unknown wallet")?;
        let scopes: Option<Vec<String>> = body["scopes"]
            .as_array()
            .map(|all| all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect());
        let until = text("validUntil").and_then(|until| until.parse::<u64>().ok());
        let mut words = vec![U256::from_be_slice(key.as_slice())];
        let selector: [u8; 4] = match authorises {
            true => {
                words.push(U256::from(until.ok_or_else(bad)?));
                [0x24, 0x01, 0x7f, 0xae]
            }
            false => [0xe6, 0x3f, 0x95, 0x2f],
        };
        let data = words.iter().fold(selector.to_vec(), |mut data, word| {
            data.extend(word.to_be_bytes::<32>());
            data
        });
        let call = WalletCall { target: wallet, value: U256::ZERO, data };
        let signed = Signed {
            owner,
            wallet,
            nonce: number(&body["nonce"]).ok_or_else(bad)?,
            deadline: number(&body["deadline"]).ok_or_else(bad)?,
            signature: hex::decode(text("signature").ok_or_else(bad)?).map_err(|_| bad())?,
        };
        let scopes = scopes.unwrap_or_default();
        let all = scopes.iter().any(|scope| scope == "ALL");
        if authorises && (scopes.is_empty() || (all && scopes.len() > 1)) {
            return Err("invalid scopes".to_owned());
        }
        self.check_batch(&signed, &[call])?;
        let id = self.enter(wallet, (Vec::new(), Vec::new()));
        if authorises {
            let session = Session { of: owner, scopes, valid_until: until.unwrap_or(0) };
            self.venue.authorise_session(self.venue.now() + MINED, key, session);
            return Ok(
                json!({ "status": "SUBMITTED", "transactionId": id, "transactionHash": "" }),
            );
        }
        self.venue.revoke_session(&key, &owner);
        Ok(json!({ "status": "FENCED", "fenced": true, "transactionId": id }))
    }

    /// Checks a deposit wallet's batch and reads what it does with sets and approvals. Other calls change nothing here.
    fn wallet_batch(&mut self, body: &Value) -> Result<(Vec<SetCall>, Vec<Approval>), String> {
        let bad = || "invalid payload".to_owned();
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
        let signature = hex::decode(body["signature"].as_str().ok_or_else(bad)?);
        let signature = signature.map_err(|_| bad())?;
        self.check_batch(&Signed { owner, wallet, nonce, deadline, signature }, &calls)?;
        let sets = calls.iter().filter_map(|call| self.set_call(wallet, &call.data)).collect();
        Ok((sets, calls.iter().filter_map(approval).collect()))
    }

    /// Checks the signer, content and expiry of a batch and consumes its nonce.
    fn check_batch(&mut self, signed: &Signed, calls: &[WalletCall]) -> Result<(), String> {
        let Signed { owner, wallet, nonce, deadline, ref signature } = *signed;
        let known = self.venue.ledger().wallet(&wallet).is_some_and(|known| known.owner == owner);
        let digest = batch_digest(wallet, nonce, deadline, calls, self.venue.chain_id());
        let by = recover(digest, signature);
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
        Ok(())
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
        let now = self.venue.now();
        let age = relayed.at.until(now);
        // When the chain stood still it took longer.
        let mined = match self.venue.late_relay(&relayed.hash) {
            None => Some(relayed.at + MINED),
            Some(mined) => mined,
        };
        let state = match mined.filter(|mined| *mined <= now) {
            None if age < Span::secs(1) => "STATE_NEW",
            None => "STATE_EXECUTED",
            Some(mined) if mined.until(now) < CONFIRMED => "STATE_MINED",
            Some(_) => "STATE_CONFIRMED",
        };
        let hash = match state {
            "STATE_NEW" => String::new(),
            _ => hex::encode_prefixed(relayed.hash),
        };
        Answer::ok(&json!({
            "transaction_id": id, "transactionID": id, "state": state, "transaction_hash": hash,
            "transactionHash": hash, "error_msg": "",
        }))
    }
}
