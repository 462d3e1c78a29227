//! Session keys of a deposit wallet: registered and revoked by its owner, through the relayer.
//!
//! Both are batches of the wallet that the relayer also enters into the venue's registry. Each request carries an
//! idempotency key of its own (the hash of its body), so one whose answer was lost is sent again to the letter,
//! and nothing happens twice.
//!
//! Source: `POST /v1/session-signers/authorizations` and `/revocations` as polymarket-client 0.14.0 speaks them.

use std::time::Duration;

use alloy::primitives::{Address, B256, keccak256};
use bytes::Bytes;
use http::{HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PATIENCE, RelayState, Relayed, Relayer, Submitting};
use crate::chain::{Call, ChainError, RelayedCalls};
use crate::signing::Wallet;
use polydesk_polymarket_api::Effect;
use polydesk_polymarket_api::HttpRequest;
use polydesk_polymarket_api::parts::read_json;
use polydesk_polymarket_api::{ApiError, Http};

/// How often a request whose answer was lost is sent again.
const AGAIN: u32 = 2;

/// What a session key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionScope {
    /// Everything, now and later. It stands alone.
    All,
    /// Order books.
    Clob,
    /// Requests for quotes on combos.
    CombosRfq,
    /// A word this client does not know.
    Other(String),
}

impl SessionScope {
    /// The venue's word.
    pub fn word(&self) -> &str {
        match self {
            SessionScope::All => "ALL",
            SessionScope::Clob => "CLOB",
            SessionScope::CombosRfq => "COMBOSRFQ",
            SessionScope::Other(word) => word,
        }
    }
}

/// A revocation the relayer has taken. It goes on by itself: the key is out when the venue no longer lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// `PENDING`, `FENCED`, `SWEPT`, `CHAIN_SUBMITTED`, `CONFIRMED` or a word not known here.
    pub status: String,
    /// Whether the venue refuses the key already.
    pub fenced: bool,
    /// The relayer's transaction.
    pub transaction_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorisation {
    status: String,
    transaction_id: String,
    #[serde(default, deserialize_with = "super::hash")]
    transaction_hash: Option<B256>,
}

impl Relayer {
    /// Registers `session` to sign for the wallet until `valid_until` (Unix seconds; the official clients take
    /// 4315 hours from now) and waits until the transaction is confirmed. The venue lists the key a little
    /// later ([`Clob::session_signers`](polydesk_polymarket_api::clob::Clob::session_signers)): only then can it trade.
    ///
    /// After a restart ask which keys the venue lists before registering one again: a second registration is
    /// another operation.
    ///
    /// # Errors
    /// [`ChainError::Misconfigured`] for anything but the owner of a deposit wallet, for the zero address or
    /// the owner itself, for a time that has passed, and for no scopes or `ALL` beside others.
    pub async fn authorise_session(
        &self,
        session: Address,
        scopes: &[SessionScope],
        valid_until: u64,
    ) -> Result<Relayed, ChainError> {
        let wallet = self.owned_deposit_wallet(session)?;
        let wrong = |rule: &str| ChainError::Misconfigured(format!("a session key {rule}"));
        if scopes.is_empty() || scopes.iter().any(|scope| scope.word().is_empty()) {
            return Err(wrong("needs at least one scope, and each has a name"));
        }
        if scopes.contains(&SessionScope::All) && scopes.len() > 1 {
            return Err(wrong("with the scope ALL has no other beside it"));
        }
        if valid_until <= self.clock.secs() {
            return Err(wrong(&format!("that is valid until {valid_until} is over already")));
        }
        let call = Call::authorise_session(wallet, session, valid_until);
        let scopes: Vec<&str> = scopes.iter().map(SessionScope::word).collect();
        let more = json!({ "scopes": scopes, "validUntil": valid_until.to_string() });
        let mut open = self.open.lock().await;
        self.settle_open(&mut open).await?;
        let what = call.words.clone();
        let taken: Authorisation =
            self.session_call(&mut open, "authorizations", call, session, more).await?;
        if taken.status == "FAILED" {
            *open = None;
            return Err(ChainError::refused(&what, "its status is FAILED"));
        }
        if let Some(open) = &mut *open {
            open.id = Some(taken.transaction_id.clone());
        }
        if ["SUPERSEDED", "REPAIR_REQUIRED"].contains(&taken.status.as_str()) {
            // The registry did not take it; what the chain did is another matter, settled before the wallet
            // signs again.
            return Err(ChainError::Unknown {
                what,
                reason: format!("its status is {}", taken.status),
                look_for: vec![format!("relayer transaction {}", taken.transaction_id)],
            });
        }
        let submitted = Relayed {
            id: taken.transaction_id,
            state: RelayState::New,
            hash: taken.transaction_hash,
            error: String::new(),
        };
        let outcome = self.wait(submitted, &what).await;
        if !matches!(&outcome, Err(error) if error.may_have_taken_effect()) {
            *open = None;
        }
        outcome
    }

    /// Takes a session key's power away. It returns when the relayer has taken it; the key is out when the
    /// venue no longer lists it. Its resting orders are to be cancelled apart.
    ///
    /// # Errors
    /// As [`authorise_session`](Relayer::authorise_session).
    pub async fn revoke_session(&self, session: Address) -> Result<Revocation, ChainError> {
        let wallet = self.owned_deposit_wallet(session)?;
        let call = Call::revoke_session(wallet, session);
        let what = call.words.clone();
        let mut open = self.open.lock().await;
        self.settle_open(&mut open).await?;
        let taken: Revocation =
            self.session_call(&mut open, "revocations", call, session, json!({})).await?;
        if taken.status == "FAILED" {
            *open = None;
            return Err(ChainError::refused(&what, "its status is FAILED"));
        }
        // What is signed next must wait for it.
        if let Some(open) = &mut *open {
            open.id = Some(taken.transaction_id.clone());
        }
        Ok(taken)
    }

    fn owned_deposit_wallet(&self, session: Address) -> Result<Address, ChainError> {
        let wrong = |rule: &str| Err(ChainError::Misconfigured(rule.to_owned()));
        match self.wallet {
            Wallet::Deposit(_) if self.session => {
                wrong("only the owner of a deposit wallet has session keys registered or revoked")
            }
            Wallet::Deposit(_) if session.is_zero() || session == self.key.address() => wrong(
                "a session key has an address of its own: neither zero nor that of the wallet's owner",
            ),
            Wallet::Deposit(wallet) => Ok(wallet),
            _ => wrong("only deposit wallets have session keys"),
        }
    }

    /// Signs the call and sends it with what the registry wants to know besides.
    async fn session_call<T: serde::de::DeserializeOwned>(
        &self,
        open: &mut Option<RelayedCalls>,
        path: &str,
        call: Call,
        session: Address,
        more: Value,
    ) -> Result<T, ChainError> {
        let (signed, leaving) = self.sign(&[call], "", None).await?;
        let mut body = json!({
            "deadline": signed["depositWalletParams"]["deadline"],
            "nonce": signed["nonce"],
            "sessionSignerAddress": session.to_checksum(None),
            "signature": signed["signature"],
            "walletAddress": self.wallet().to_checksum(None),
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        let body = Bytes::from(body.to_string());
        let name = keccak256(&body).to_string();
        let idempotency = HeaderValue::from_str(&name)
            .map_err(|_| ChainError::Misconfigured(format!("{name} is no header value")))?;
        let path = format!("/v1/session-signers/{path}");
        let http = self.http.patient(Duration::from_millis(self.config.session_timeout_ms));
        self.keep(&leaving).await?;
        *open = Some(leaving.clone());
        // Whether a response was lost: then it may have been processed, whatever the last response states.
        let mut lost = false;
        let mut sent = 0;
        let error = loop {
            sent += 1;
            let pause = Duration::from_millis(self.config.poll_ms);
            let error = match self.session_post(&http, &path, &body, &idempotency).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            lost |= error.may_have_taken_effect();
            match &error {
                _ if sent > AGAIN => break error,
                ApiError::Throttled { pause: asked, .. } if *asked <= PATIENCE => {
                    tokio::time::sleep(pause.max(*asked)).await;
                }
                error if error.may_have_taken_effect() => tokio::time::sleep(pause).await,
                _ => break error,
            }
        };
        let RelayedCalls { what, look_for, .. } = leaving;
        if lost {
            return Err(ChainError::Unknown { what, reason: error.to_string(), look_for });
        }
        *open = None;
        Err(Submitting::read(&what, error, &look_for).into_error())
    }

    async fn session_post<T: serde::de::DeserializeOwned>(
        &self,
        http: &Http,
        path: &str,
        body: &Bytes,
        idempotency: &HeaderValue,
    ) -> Result<T, ApiError> {
        let mut headers = self.auth.headers(&self.clock, &Method::POST, path, body)?;
        headers.insert("idempotency-key", idempotency.clone());
        let what = format!("relayer {path}");
        let request = HttpRequest {
            method: Method::POST,
            url: format!("{}{path}", self.base),
            headers,
            body: body.clone(),
            effect: Effect::Once,
            what: what.clone(),
            gzip: false,
        };
        let answer = http.send(request).await?;
        read_json(answer, Effect::Once, &what)
    }
}
