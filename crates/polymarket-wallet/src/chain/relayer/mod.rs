//! Gasless transactions of proxy, Safe and deposit wallets: sign, submit, follow.
//!
//! The relayer pays the gas. Its states are verified on the chain: a transaction that it calls confirmed or failed
//! is looked up under the hash it names, where RPC endpoints are given. Without them, or without a hash, its state
//! is taken as it is. Every submission is [`Effect::Once`]: a lost answer is
//! [`ChainError::Unknown`], and nothing more is signed for the wallet until there is proof of what became of
//! it. One transaction of a wallet is in flight at a time, because the relayer takes no more.

mod bodies;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use super::error::cut;
use super::{Call, ChainError, Keep, KeepNothing, Leaving, RelayedCalls, Rpc};
use crate::signing::{Chain, Key, Wallet};
use bodies::{Batch, Relay};
use polydesk_polymarket_api::Effect;
use polydesk_polymarket_api::HttpRequest;
use polydesk_polymarket_api::parts::{read_json, sensitive_headers, with_query};
use polydesk_polymarket_api::{
    ApiError, Credentials, CredentialsError, Http, L2Auth, Secret, ServerClock,
};
pub use sessions::{Revocation, SessionScope};

/// The credentials of the paying account at the relayer.
#[derive(Clone)]
pub enum RelayerAuth {
    /// `RELAYER_API_KEY` headers.
    ApiKey {
        /// The key.
        key: Secret,
        /// The address it belongs to.
        address: Address,
    },
    /// `POLY_BUILDER_*` headers, with an HMAC over each request.
    Builder(Box<L2Auth>),
}

impl core::fmt::Debug for RelayerAuth {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            RelayerAuth::ApiKey { .. } => "RelayerAuth::ApiKey(hidden)",
            RelayerAuth::Builder(_) => "RelayerAuth::Builder(hidden)",
        })
    }
}

impl RelayerAuth {
    /// From the credentials of a builder.
    pub fn builder(credentials: Credentials) -> Result<RelayerAuth, CredentialsError> {
        // The headers of builders carry no address.
        L2Auth::new("", credentials).map(|auth| RelayerAuth::Builder(Box::new(auth)))
    }

    fn headers(
        &self,
        clock: &ServerClock,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<HeaderMap, ApiError> {
        match self {
            RelayerAuth::ApiKey { key, address } => {
                let address = address.to_checksum(None);
                sensitive_headers([
                    ("RELAYER_API_KEY", key.expose()),
                    ("RELAYER_API_KEY_ADDRESS", address.as_str()),
                ])
            }
            RelayerAuth::Builder(auth) => {
                let headers = auth.headers(clock.secs(), method.as_str(), path, body);
                sensitive_headers([
                    ("POLY_BUILDER_API_KEY", headers.api_key.as_str()),
                    ("POLY_BUILDER_PASSPHRASE", headers.passphrase.expose()),
                    ("POLY_BUILDER_SIGNATURE", headers.signature.as_str()),
                    ("POLY_BUILDER_TIMESTAMP", headers.timestamp.as_str()),
                ])
            }
        }
    }
}

/// How patient we are with the relayer. Defaults are the official client's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayerConfig {
    /// The pause between two looks, and before a refused submission is tried again, in milliseconds.
    pub poll_ms: u64,
    /// How often to look before the outcome is called unknown.
    pub max_polls: u32,
    /// How often a busy wallet or a stale nonce is tried again.
    pub submit_retries: u32,
    /// How long a signed batch of a deposit wallet is good for, in seconds.
    pub batch_lifetime_s: u64,
    /// Gas of a proxy wallet's transaction where it cannot be estimated.
    pub proxy_gas_limit: u64,
    /// Submissions a minute; the venue takes 25.
    pub submits_per_minute: u32,
    /// How long registering or revoking a session key may take to be answered, in milliseconds: the relayer
    /// simulates and broadcasts before it answers.
    pub session_timeout_ms: u64,
}

impl Default for RelayerConfig {
    fn default() -> RelayerConfig {
        RelayerConfig {
            poll_ms: 2_000,
            max_polls: 100,
            submit_retries: 10,
            batch_lifetime_s: 600,
            proxy_gas_limit: 200_000,
            submits_per_minute: 20,
            session_timeout_ms: 300_000,
        }
    }
}

/// Where a relayed transaction is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayState {
    /// Taken.
    New,
    /// Sent to the chain.
    Executed,
    /// In a block.
    Mined,
    /// Deep enough for the relayer: done.
    Confirmed,
    /// Refused: it will not run.
    Invalid,
    /// It ran and failed.
    Failed,
    /// A word this client does not know; treated as under way.
    Other(String),
}

impl<'de> Deserialize<'de> for RelayState {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<RelayState, D::Error> {
        let word = String::deserialize(from)?;
        Ok(match word.as_str() {
            "STATE_NEW" => RelayState::New,
            "STATE_EXECUTED" => RelayState::Executed,
            "STATE_MINED" => RelayState::Mined,
            "STATE_CONFIRMED" => RelayState::Confirmed,
            "STATE_INVALID" => RelayState::Invalid,
            "STATE_FAILED" => RelayState::Failed,
            _ => RelayState::Other(word),
        })
    }
}

/// A relayed transaction as reported by the relayer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawRelayed")]
pub struct Relayed {
    /// The relayer's id.
    pub id: String,
    /// Where it is.
    pub state: RelayState,
    /// The transaction, once there is one.
    pub hash: Option<B256>,
    /// Why it failed.
    pub error: String,
}

/// What became of relayed calls that were signed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// They ran in this transaction.
    Confirmed(B256),
    /// They did not run and never will; why.
    Never(String),
    /// Their nonce is used, and the relayer does not say by what: the wallet's logs do.
    NonceUsed,
}

/// Both spellings of its keys, which may come together.
#[derive(Deserialize)]
struct RawRelayed {
    state: RelayState,
    #[serde(default, rename = "transactionID")]
    id_of_submission: Option<String>,
    #[serde(default, rename = "transaction_id")]
    id_of_look: Option<String>,
    #[serde(default, rename = "transactionHash", deserialize_with = "hash")]
    hash_of_submission: Option<B256>,
    #[serde(default, rename = "transaction_hash", deserialize_with = "hash")]
    hash_of_look: Option<B256>,
    #[serde(
        default,
        rename = "error_msg",
        deserialize_with = "polydesk_polymarket_api::parts::text"
    )]
    error: String,
}

impl TryFrom<RawRelayed> for Relayed {
    type Error = &'static str;

    fn try_from(raw: RawRelayed) -> Result<Relayed, &'static str> {
        let id = raw.id_of_submission.or(raw.id_of_look).filter(|id| !id.is_empty());
        Ok(Relayed {
            id: id.ok_or("transactionID is missing")?,
            state: raw.state,
            hash: raw.hash_of_submission.or(raw.hash_of_look),
            error: raw.error,
        })
    }
}

/// A hash that is `""` or null while there is none.
fn hash<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<B256>, D::Error> {
    match Option::<String>::deserialize(from)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[derive(Deserialize)]
struct Params {
    address: Address,
    nonce: String,
}

/// A longer pause than this is the caller's to wait for: the wallet is not held meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// The relayer, for one wallet.
pub struct Relayer {
    http: Http,
    base: String,
    auth: RelayerAuth,
    clock: ServerClock,
    config: RelayerConfig,
    chain: Chain,
    key: Arc<Key>,
    wallet: Wallet,
    session: bool,
    rpc: Option<Arc<Rpc>>,
    submits: leaky_bucket::RateLimiter,
    keep: Arc<dyn Keep>,
    /// Held while a transaction of the wallet is under way. What a caller that gave up leaves in it is
    /// settled by the next.
    open: Mutex<Option<RelayedCalls>>,
}

impl core::fmt::Debug for Relayer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Relayer({:?}, {:?}, {:?})", self.wallet, self.key, self.auth)
    }
}

impl Relayer {
    /// A relayer at `base` (`Endpoints::relayer`) for a wallet whose owner is `key`. With `rpc`, outcomes
    /// are checked on the chain.
    #[expect(
        clippy::too_many_arguments,
        reason = "made once, from parts that are configured apart"
    )]
    pub fn new(
        http: Http,
        base: &str,
        auth: RelayerAuth,
        clock: ServerClock,
        config: RelayerConfig,
        chain: Chain,
        key: Arc<Key>,
        wallet: Wallet,
        rpc: Option<Arc<Rpc>>,
    ) -> Result<Relayer, ChainError> {
        if wallet == Wallet::Eoa {
            return Err(ChainError::Misconfigured(
                "a wallet that is its own key sends by itself, not through the relayer".into(),
            ));
        }
        let base = base.trim_end_matches('/').to_owned();
        if config.submits_per_minute == 0 {
            return Err(ChainError::Misconfigured(
                "relayer.submits_per_minute is 0; it must be from 1 to 25".into(),
            ));
        }
        let submits = polydesk_polymarket_api::parts::bucket(
            config.submits_per_minute,
            Duration::from_secs(60),
        );
        Ok(Relayer {
            http,
            base,
            auth,
            clock,
            config,
            chain,
            key,
            wallet,
            session: false,
            rpc,
            submits,
            keep: Arc::new(KeepNothing),
            open: Mutex::new(None),
        })
    }

    /// Says that the key is a registered session key of the deposit wallet, not its owner.
    pub fn with_session_key(mut self) -> Relayer {
        self.session = true;
        self
    }

    /// Writes calls and changes of session keys down before they leave. The creation of a wallet is not written
    /// down: twice is the same as once.
    pub fn with_keep(mut self, keep: Arc<dyn Keep>) -> Relayer {
        self.keep = keep;
        self
    }

    /// Takes up what an earlier process signed and may have sent: it is settled before anything else is signed
    /// ([`settle`](Self::settle)).
    ///
    /// # Errors
    /// Something is under way already.
    pub async fn resume(&self, calls: RelayedCalls) -> Result<(), ChainError> {
        let mut open = self.open.lock().await;
        if let Some(open) = &*open {
            let text = format!("{} is under way; resume before anything is sent", open.what);
            return Err(ChainError::Misconfigured(text));
        }
        *open = Some(calls);
        Ok(())
    }

    /// Writes down what is about to leave.
    async fn keep(&self, calls: &RelayedCalls) -> Result<(), ChainError> {
        self.keep.keep(&Leaving::Relayed(calls.clone())).await.map_err(|why| {
            let reason = format!("it cannot be written down, so it was not sent: {why}");
            ChainError::refused(&calls.what, &reason)
        })
    }

    /// The wallet's address.
    pub fn wallet(&self) -> Address {
        self.wallet.funder(self.key.address())
    }

    /// Whether the wallet is deployed, by the relayer's word.
    pub async fn deployed(&self) -> Result<bool, ChainError> {
        #[derive(Deserialize)]
        struct Deployed {
            deployed: bool,
        }
        let query = [
            ("address".to_owned(), self.wallet().to_checksum(None)),
            ("type".to_owned(), self.kind().to_owned()),
        ];
        let answer: Deployed =
            self.get("/deployed", &query, "asking whether the wallet is deployed").await?;
        Ok(answer.deployed)
    }

    /// Deploys the deposit wallet of the key and waits for it.
    pub async fn create_wallet(&self) -> Result<Relayed, ChainError> {
        if !matches!(self.wallet, Wallet::Deposit(_)) || self.session {
            return Err(ChainError::Misconfigured(
                "only the owner of a deposit wallet can have it created".into(),
            ));
        }
        let mut open = self.open.lock().await;
        self.settle_open(&mut open).await?;
        let body = bodies::create(&self.key, &self.chain, "");
        // Created twice is created once: the address is fixed, so there is nothing to wait for after a lost
        // answer but the code.
        let lost = RelayedCalls {
            what: format!("creating the deposit wallet {}", self.wallet()),
            id: None,
            nonce: None,
            deadline: None,
            look_for: vec![format!("code at {}", self.wallet())],
        };
        let what = lost.what.clone();
        let submitted = self.post(&body, lost).await.map_err(|(error, _)| error.into_error())?;
        let outcome = self.wait(submitted, &what).await;
        *open = None;
        outcome
    }

    /// Runs calls as the wallet, in one transaction, and waits until it is confirmed. `note` is short free
    /// text for the relayer's list (at most 500 characters).
    ///
    /// While the wallet is busy or the nonce stale, and so nothing took effect, it tries again. A
    /// transaction of unknown outcome is settled first: while it stays unknown, nothing new is signed.
    pub async fn execute(&self, calls: &[Call], note: &str) -> Result<Relayed, ChainError> {
        if calls.is_empty() || note.chars().count() > 500 {
            return Err(ChainError::Misconfigured(
                "a gasless transaction has at least one call and a note of at most 500 characters"
                    .into(),
            ));
        }
        let mut open = self.open.lock().await;
        self.settle_open(&mut open).await?;
        let submitted = self.submit(&mut open, calls, note).await?;
        let outcome = self.wait(submitted, &words(calls)).await;
        if !matches!(&outcome, Err(error) if error.may_have_taken_effect()) {
            *open = None;
        }
        outcome
    }

    /// Resolves a transaction of unknown outcome, if there is one. On an error it stays unknown; otherwise it
    /// is decided on the chain: read balances and approvals before going on.
    pub async fn settle(&self) -> Result<(), ChainError> {
        let mut open = self.open.lock().await;
        self.settle_open(&mut open).await
    }

    /// Follows calls that were signed before, by this process or an earlier one, to what became of them.
    ///
    /// # Errors
    /// [`ChainError::Unknown`] while they may still run; others where nothing could be asked.
    pub async fn follow_up(&self, calls: &RelayedCalls) -> Result<Followed, ChainError> {
        let mut open = self.open.lock().await;
        let followed = self.followed(calls).await?;
        // It is decided, or something else used its nonce up: it does not hold up the next.
        *open = None;
        Ok(followed)
    }

    async fn followed(&self, calls: &RelayedCalls) -> Result<Followed, ChainError> {
        let unknown = |reason: &str| ChainError::Unknown {
            what: calls.what.clone(),
            reason: reason.to_owned(),
            look_for: calls.look_for.clone(),
        };
        if let Some(id) = &calls.id {
            let seen = match self.transaction(id).await {
                Ok(seen) => Some(seen),
                // It knows the id no more: nonce and deadline decide.
                Err(ChainError::Refused { .. }) => None,
                Err(error) => return Err(error),
            };
            if let Some(seen) = seen {
                return match self.wait(seen, &calls.what).await {
                    Ok(Relayed { hash: Some(hash), .. }) => Ok(Followed::Confirmed(hash)),
                    Ok(_) => Err(unknown("the relayer names no transaction")),
                    Err(error @ (ChainError::Reverted { .. } | ChainError::Refused { .. })) => {
                        Ok(Followed::Never(error.to_string()))
                    }
                    Err(error) => Err(error),
                };
            }
        }
        let Some(signed) = calls.nonce else { return Err(unknown("it has no nonce")) };
        if self.params().await?.1 > signed {
            return Ok(Followed::NonceUsed);
        }
        // A batch that did not run by its deadline never will. The clocks may differ a little.
        if calls.deadline.is_some_and(|end| self.clock.secs() > end + 60) {
            return Ok(Followed::Never("its deadline has passed and its nonce is not used".into()));
        }
        Err(unknown("its answer was lost and its nonce is not used yet"))
    }

    async fn settle_open(&self, slot: &mut Option<RelayedCalls>) -> Result<(), ChainError> {
        let Some(open) = slot.as_ref() else { return Ok(()) };
        let unknown = |reason: &str| ChainError::Unknown {
            what: open.what.clone(),
            reason: reason.to_owned(),
            look_for: open.look_for.clone(),
        };
        if let Some(id) = &open.id {
            match self.transaction(id).await {
                Ok(seen) => {
                    let outcome = self.wait(seen, &open.what).await;
                    if matches!(&outcome, Err(error) if error.may_have_taken_effect()) {
                        return outcome.map(|_| ());
                    }
                    // Confirmed, failed or refused: known either way.
                    *slot = None;
                    return Ok(());
                }
                // It knows the id no more: nonce and deadline decide.
                Err(ChainError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(signed) = open.nonce else {
            *slot = None;
            return Ok(());
        };
        let next = self.params().await?.1;
        // Used up, by it or by another of the owner's transactions (the web site's): it is decided.
        let decided = next > signed;
        // A batch that did not run by its deadline never will. The clocks may differ a little.
        let over = open.deadline.is_some_and(|end| self.clock.secs() > end + 60);
        if decided || over {
            *slot = None;
            return Ok(());
        }
        Err(unknown("its answer was lost and its nonce is not used yet"))
    }

    /// Signs and submits; `open` remembers it from before it leaves until the outcome is known.
    async fn submit(
        &self,
        open: &mut Option<RelayedCalls>,
        calls: &[Call],
        note: &str,
    ) -> Result<Relayed, ChainError> {
        let mut onchain_nonce = None;
        let mut attempt = 0;
        loop {
            let (body, leaving) = self.sign(calls, note, onchain_nonce.take()).await?;
            self.keep(&leaving).await?;
            *open = Some(leaving.clone());
            let error = match self.post(&body, leaving).await {
                Ok(submitted) => {
                    if let Some(open) = open {
                        open.id = Some(submitted.id.clone());
                        // Without it nonce and deadline decide.
                        if let Err(error) = self.keep(open).await {
                            tracing::warn!(%error, "the relayer's id is not written down");
                        }
                    }
                    return Ok(submitted);
                }
                Err((error, lost)) => {
                    if !lost {
                        *open = None;
                    }
                    error
                }
            };
            let pause = Duration::from_millis(self.config.poll_ms);
            let pause = match &error {
                // The chain is further than the relayer knew: the right nonce is known at once.
                Submitting::StaleNonce { onchain, .. } => {
                    onchain_nonce = Some(*onchain);
                    Duration::ZERO
                }
                Submitting::Busy(_) => pause,
                Submitting::Other(ChainError::Throttled { pause: asked, .. })
                    if *asked <= PATIENCE =>
                {
                    pause.max(*asked)
                }
                Submitting::Other(_) => return Err(error.into_error()),
            };
            if attempt >= self.config.submit_retries {
                return Err(error.into_error());
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// The relayer's state of a transaction.
    pub async fn transaction(&self, id: &str) -> Result<Relayed, ChainError> {
        let mut path = "/v1/account/transactions/".to_owned();
        polydesk_polymarket_api::parts::encode(id, &mut path);
        self.get(&path, &[], "asking for a relayed transaction").await
    }

    /// Waits until a submitted transaction is confirmed, by the relayer and, where RPC endpoints are given,
    /// by a successful receipt.
    async fn wait(&self, submitted: Relayed, what: &str) -> Result<Relayed, ChainError> {
        let mut seen = submitted;
        let mut doubt = "it is not confirmed yet".to_owned();
        for _ in 0..self.config.max_polls {
            match self.transaction(&seen.id).await {
                Ok(now) => {
                    // The hash of a submission may be missing from later answers.
                    let hash = now.hash.or(seen.hash);
                    seen = Relayed { id: seen.id, hash, ..now };
                }
                Err(error) => doubt = error.to_string(),
            }
            match seen.state {
                RelayState::Confirmed => match self.on_chain(&seen, what).await {
                    Ok(true) => return Ok(seen),
                    Ok(false) => doubt = "the chain does not show it yet".to_owned(),
                    Err(error @ ChainError::Reverted { .. }) => return Err(error),
                    Err(error) => doubt = error.to_string(),
                },
                RelayState::Failed | RelayState::Invalid if self.contradicted(&seen).await => {
                    doubt =
                        "the relayer reports that it failed, and the chain shows it done".into();
                }
                RelayState::Failed => {
                    let reason = reason(&seen, "it failed");
                    return Err(ChainError::Reverted {
                        what: what.into(),
                        reason,
                        hash: seen.hash,
                    });
                }
                RelayState::Invalid => {
                    return Err(ChainError::refused(
                        what,
                        &reason(&seen, "the relayer calls it invalid"),
                    ));
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(self.config.poll_ms)).await;
        }
        let mut look_for = vec![format!("relayer transaction {}", seen.id)];
        look_for.extend(seen.hash.map(|hash| format!("transaction {hash}")));
        Err(ChainError::Unknown { what: what.to_owned(), reason: doubt, look_for })
    }

    /// Whether the chain shows as done what the relayer calls failed.
    async fn contradicted(&self, seen: &Relayed) -> bool {
        let (Some(rpc), Some(hash)) = (&self.rpc, seen.hash) else { return false };
        let receipt = rpc.receipt(hash).await.ok().flatten();
        receipt.is_some_and(|receipt| receipt.status.to::<u64>() == 1)
    }

    async fn on_chain(&self, seen: &Relayed, what: &str) -> Result<bool, ChainError> {
        let Some(rpc) = &self.rpc else { return Ok(true) };
        let Some(hash) = seen.hash else { return Ok(false) };
        match rpc.receipt(hash).await? {
            None => Ok(false),
            Some(receipt) if receipt.status.to::<u64>() == 1 => Ok(true),
            Some(_) => Err(ChainError::Reverted {
                what: what.to_owned(),
                reason: "the relayer reports it confirmed, its receipt shows that it failed".into(),
                hash: Some(hash),
            }),
        }
    }

    /// The body, and what is to be remembered of it.
    async fn sign(
        &self,
        calls: &[Call],
        note: &str,
        onchain_nonce: Option<U256>,
    ) -> Result<(Value, RelayedCalls), ChainError> {
        let (key, chain) = (&self.key, &self.chain);
        let (body, nonce) = match self.wallet {
            Wallet::Deposit(wallet) => {
                let nonce = match onchain_nonce {
                    Some(nonce) => nonce,
                    None => self.params().await?.1,
                };
                let deadline = self.clock.secs() + self.config.batch_lifetime_s;
                let batch = Batch { nonce, deadline };
                (bodies::deposit(key, self.session, chain, wallet, calls, batch, note), nonce)
            }
            Wallet::Safe(wallet) => {
                let nonce = self.params().await?.1;
                (bodies::safe(key, chain, wallet, calls, nonce, note), nonce)
            }
            Wallet::Proxy(wallet) => {
                let (relay, nonce) = self.params().await?;
                let call = bodies::proxy_call(chain, calls);
                let estimate = match &self.rpc {
                    Some(rpc) => rpc.estimate_gas(key.address(), &call).await.ok(),
                    None => None,
                };
                let gas_limit = estimate.unwrap_or(self.config.proxy_gas_limit);
                let relay = Relay { nonce, relay, gas_limit };
                (bodies::proxy(key, chain, wallet, calls, relay, note), nonce)
            }
            Wallet::Eoa => {
                return Err(ChainError::Misconfigured("a plain key has no relayed wallet".into()));
            }
        };
        let mut look_for = vec![
            format!("nonce {nonce} of {}", self.wallet()),
            format!("relayed transactions of {}", key.address()),
        ];
        let deadline: Option<u64> = body["depositWalletParams"]["deadline"]
            .as_str()
            .and_then(|deadline| deadline.parse().ok());
        if let Some(deadline) = deadline {
            look_for.push(format!("Unix second {deadline}, after which it cannot run"));
        }
        Ok((
            body,
            RelayedCalls { what: words(calls), id: None, nonce: Some(nonce), deadline, look_for },
        ))
    }

    /// Address and nonce the relayer wants next. It is asked with the signing address, not the wallet's.
    async fn params(&self) -> Result<(Address, U256), ChainError> {
        let path = match self.wallet {
            Wallet::Proxy(_) => "/relay-payload",
            _ => "/v1/account/transactions/params",
        };
        let query = [
            ("address".to_owned(), self.key.address().to_checksum(None)),
            ("type".to_owned(), self.kind().to_owned()),
        ];
        let what = "asking the relayer for a nonce";
        let params: Params = self.get(path, &query, what).await?;
        let nonce = params.nonce.parse().map_err(|_| ChainError::Malformed {
            what: what.to_owned(),
            error: format!("the nonce is {:?}", cut(&params.nonce)),
        })?;
        Ok((params.address, nonce))
    }

    fn kind(&self) -> &'static str {
        match self.wallet {
            Wallet::Proxy(_) => "PROXY",
            Wallet::Safe(_) => "SAFE",
            _ => "WALLET",
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(String, String)],
        what: &str,
    ) -> Result<T, ChainError> {
        let send = async {
            let headers = self.auth.headers(&self.clock, &Method::GET, path, b"")?;
            let request = HttpRequest {
                method: Method::GET,
                url: with_query(format!("{}{path}", self.base), query),
                headers,
                body: Bytes::new(),
                effect: Effect::Read,
                what: format!("relayer {path}"),
                gzip: false,
            };
            self.http.json(request).await
        };
        send.await.map_err(|error| ChainError::of(what, error, &[]))
    }

    /// Submits. An error also states whether the response was lost.
    async fn post(
        &self,
        body: &Value,
        leaving: RelayedCalls,
    ) -> Result<Relayed, (Submitting, bool)> {
        let send = async {
            self.submits.acquire(1).await;
            let body = Bytes::from(body.to_string());
            let headers = self.auth.headers(&self.clock, &Method::POST, "/submit", &body)?;
            let name = "relayer /submit";
            let request = HttpRequest {
                method: Method::POST,
                url: format!("{}/submit", self.base),
                headers,
                body,
                effect: Effect::Once,
                what: name.to_owned(),
                gzip: false,
            };
            let answer = self.http.send(request).await?;
            read_json(answer, Effect::Once, name)
        };
        send.await.map_err(|error| {
            let lost = error.may_have_taken_effect();
            (Submitting::read(&leaving.what, error, &leaving.look_for), lost)
        })
    }
}

/// Why a submission was not taken.
enum Submitting {
    /// Another transaction of the wallet is under way.
    Busy(String),
    /// Signed for a nonce that is used up.
    StaleNonce {
        onchain: U256,
        text: String,
    },
    Other(ChainError),
}

impl Submitting {
    fn read(what: &str, error: ApiError, look_for: &[String]) -> Submitting {
        if let ApiError::Refused { text, .. } = &error {
            let words = text.to_ascii_lowercase();
            if words.contains("wallet busy") && words.contains("active action")
                || words.contains("wallet has in-flight action")
            {
                return Submitting::Busy(text.clone());
            }
            // A nonce above the chain's is no stale one: something signed before is still under way.
            if let Some((signed, onchain)) = nonces(&words)
                && signed < onchain
            {
                return Submitting::StaleNonce { onchain, text: text.clone() };
            }
        }
        Submitting::Other(ChainError::of(what, error, look_for))
    }

    fn into_error(self) -> ChainError {
        match self {
            Submitting::Busy(text) | Submitting::StaleNonce { text, .. } => ChainError::Busy(text),
            Submitting::Other(error) => error,
        }
    }
}

/// X and Y of `batch nonce X does not match on-chain nonce Y`.
fn nonces(words: &str) -> Option<(U256, U256)> {
    let (_, rest) = words.split_once("batch nonce")?;
    let (signed, rest) = rest.split_once("does not match on-chain nonce")?;
    let digits = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse::<U256>().ok()
    };
    Some((digits(signed)?, digits(rest)?))
}

fn reason(seen: &Relayed, otherwise: &str) -> String {
    if seen.error.is_empty() { otherwise.to_owned() } else { cut(&seen.error) }
}

fn words(calls: &[Call]) -> String {
    calls.iter().map(|call| call.words.as_str()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_submissions_are_distinguished() {
        let read = |text: &str| match Submitting::read("x", ApiError::refused(text, None), &[]) {
            Submitting::Busy(_) => "busy".to_owned(),
            Submitting::StaleNonce { onchain, .. } => format!("stale, {onchain}"),
            Submitting::Other(error) => error.to_string(),
        };
        let cases = [
            ("Wallet busy: 1 active action", "busy"),
            ("wallet has in-flight action", "busy"),
            ("batch nonce 3 does not match on-chain nonce 5", "stale, 5"),
            ("Batch nonce  3 does not match on-chain nonce 5.", "stale, 5"),
            (
                "batch nonce 7 does not match on-chain nonce 5",
                "x: refused: batch nonce 7 does not match on-chain nonce 5",
            ),
            ("call blocked", "x: refused: call blocked"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected);
        }
    }

    #[test]
    fn answers_of_both_generations_are_read() {
        let submitted: Relayed = serde_json::from_str(
            r#"{"transactionID":"a-1","state":"STATE_NEW","transactionHash":""}"#,
        )
        .unwrap();
        assert_eq!((submitted.state, submitted.hash), (RelayState::New, None));
        let seen: Relayed = serde_json::from_str(
            r#"{"transaction_id":"a-1","state":"STATE_FAILED","transaction_hash":null,"error_msg":"no"}"#,
        )
        .unwrap();
        assert_eq!((seen.state, seen.error.as_str()), (RelayState::Failed, "no"));
        let both: Relayed = serde_json::from_str(
            r#"{"transactionID":"a-1","transaction_id":"a-1","state":"STATE_NEW","transaction_hash":"","transactionHash":""}"#,
        )
        .unwrap();
        assert_eq!(both.id, "a-1");
        assert!(serde_json::from_str::<Relayed>(r#"{"state":"STATE_NEW"}"#).is_err());
        let unknown: Relayed = serde_json::from_str(
            r#"{"transaction_id":"a","state":"STATE_X","transaction_hash":null}"#,
        )
        .unwrap();
        assert_eq!(unknown.state, RelayState::Other("STATE_X".into()));
    }
}
