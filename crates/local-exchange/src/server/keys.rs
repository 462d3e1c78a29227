//! API keys, read-only keys, builder keys and session keys of an account.

use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::venue::{Caller, Credentials};
use crate::wallets::WalletKind;
use crate::wire;

impl Inner {
    pub(super) fn create_key(&mut self, req: &Req) -> Answer {
        let (signer, nonce) = match self.wallet_auth(req) {
            Ok(who) => who,
            Err(answer) => return answer,
        };
        match self.venue.create_key(signer, nonce) {
            Some(credentials) => Answer::ok(&credentials_json(&credentials)),
            None => Answer::error(400, "Could not create api key"),
        }
    }

    pub(super) fn derive_key(&mut self, req: &Req) -> Answer {
        let (signer, nonce) = match self.wallet_auth(req) {
            Ok(who) => who,
            Err(answer) => return answer,
        };
        match self.venue.derive_key(&signer, nonce) {
            Some(credentials) => Answer::ok(&credentials_json(credentials)),
            None => Answer::error(400, "Could not derive api key!"),
        }
    }

    pub(super) fn keys(&mut self, caller: &Caller, req: &Req, rest: &[&str]) -> Answer {
        let body: Value = serde_json::from_slice(&req.body).unwrap_or(Value::Null);
        match (req.method.as_str(), rest) {
            ("GET", ["api-keys"]) => {
                let signer = self.venue.signer(&caller.signer);
                let keys =
                    signer.map(|signer| signer.keys.values().map(|c| c.key).collect::<Vec<_>>());
                Answer::ok(&json!({ "apiKeys": keys.unwrap_or_default() }))
            }
            ("DELETE", ["api-key"]) => {
                self.venue.delete_key(&caller.key);
                Answer::ok(&json!("OK"))
            }
            ("POST", ["readonly-api-key"]) => {
                Answer::ok(&json!({ "apiKey": self.venue.create_readonly(caller.signer) }))
            }
            ("GET", ["readonly-api-keys"]) => Answer::ok(&json!({
                "readonlyApiKeys": self.venue.readonly_keys(&caller.signer)
            })),
            ("DELETE", ["readonly-api-key"]) => {
                let key = body["key"].as_str().and_then(|key| key.parse().ok());
                let gone = key.is_some_and(|key| self.venue.delete_readonly(&caller.signer, &key));
                Answer::ok(&json!(gone))
            }
            ("GET", ["ban-status", "closed-only"]) => {
                let closed = self.venue.signer(&caller.signer).is_some_and(|s| s.closed_only);
                Answer::ok(&json!({ "closed_only": closed }))
            }
            ("POST", ["builder-api-key"]) => {
                let made = self.venue.create_builder_key(caller.signer);
                Answer::ok(&json!({
                    "key": made.key, "secret": made.secret, "passphrase": made.passphrase
                }))
            }
            ("GET", ["builder-api-key"]) => Answer::ok(&self.builder_keys(caller)),
            ("DELETE", ["builder-api-key"]) => {
                let account = caller.signer;
                match self.venue.revoke_builder_keys(|key| key.signer == account) {
                    0 => Answer::error(404, "builder api key not found"),
                    _ => Answer::ok(&json!("OK")),
                }
            }
            _ => Answer::not_found(),
        }
    }

    fn builder_keys(&self, caller: &Caller) -> Value {
        let own = self.venue.builder_keys().iter().filter(|key| key.signer == caller.signer);
        own.map(|key| {
            let mut row = json!({
                "key": key.credentials.key, "createdAt": wire::seconds(key.created)
            });
            if let Some(at) = key.revoked {
                row["revokedAt"] = json!(wire::seconds(at));
            }
            row
        })
        .collect()
    }

    /// A builder key that revokes itself: it signs like an API key, under headers of its own.
    pub(super) fn revoke_builder_key(&mut self, req: &Req) -> Answer {
        let named = |name: &str| req.header(&format!("POLY_BUILDER_{name}")).unwrap_or_default();
        let (id, timestamp) = (named("API_KEY"), named("TIMESTAMP"));
        let parts: [&[u8]; 4] =
            [timestamp.as_bytes(), req.method.as_bytes(), req.path.as_bytes(), &req.body];
        let timely = self.timely(timestamp);
        let gone = self.venue.revoke_builder_keys(|key| {
            let own = &key.credentials;
            timely
                && own.key.to_string() == id
                && own.passphrase == named("PASSPHRASE")
                && own.signs(&parts, named("SIGNATURE"))
        });
        if gone == 0 {
            return Answer::error(401, "Unauthorized/Invalid api key");
        }
        Answer::ok(&json!("OK"))
    }

    /// The session keys of the caller's deposit wallet.
    pub(super) fn session_signers(&self, caller: &Caller) -> Answer {
        let signers = self.venue.session_keys(&caller.signer).map(|(address, session)| {
            json!({ "address": address.to_checksum(None), "scopes": session.scopes,
                    "valid_until": session.valid_until })
        });
        let signers: Vec<Value> = signers.collect();
        let wallet = WalletKind::Deposit.address(caller.signer).to_checksum(None);
        Answer::ok(&json!({ "wallet": wallet, "signers": signers }))
    }
}

fn credentials_json(credentials: &Credentials) -> Value {
    json!({
        "apiKey": credentials.key,
        "secret": credentials.secret,
        "passphrase": credentials.passphrase,
    })
}
