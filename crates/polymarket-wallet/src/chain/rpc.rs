//! One or two JSON-RPC endpoints whose results are compared.
//!
//! alloy speaks over the crate's own [`Http`], so the list of allowed hosts and the one TLS stack cover the
//! chain too. Errors call the endpoints `rpc[0]` and `rpc[1]`: their URLs may hold keys and are never shown.

use std::fmt::Debug;
use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U128, U256};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket, RpcError, RpcRecv, RpcSend};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use futures_util::future::join_all;
use http::{HeaderMap, Method};
use polydesk_domain::Time;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tower::Service;

use super::error::cut;
use super::{Call, ChainError};
use crate::signing::Chain;
use polydesk_polymarket_api::Effect;
use polydesk_polymarket_api::HttpRequest;
use polydesk_polymarket_api::{ApiError, Http, ServerClock, ThrottledBy};

/// What is asked of endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RpcConfig {
    /// An endpoint whose newest block is older is refused, in milliseconds. Polygon makes one in about two
    /// seconds.
    pub max_head_age_ms: u64,
    /// How often a harmless question is put before its failure counts.
    pub attempts: u32,
    /// The pause between two attempts, in milliseconds.
    pub pause_ms: u64,
}

impl Default for RpcConfig {
    fn default() -> RpcConfig {
        RpcConfig { max_head_age_ms: 30_000, attempts: 3, pause_ms: 250 }
    }
}

/// A block at which everything of one decision is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Number.
    pub number: U64,
    /// Hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: U64,
    /// Base fee per gas in wei, where the chain has one.
    #[serde(default)]
    pub base_fee_per_gas: Option<U128>,
}

/// A mined transaction as reported by an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Its hash.
    pub transaction_hash: B256,
    /// The block it is in.
    pub block_number: U64,
    /// That block's hash.
    pub block_hash: B256,
    /// 1 is success.
    pub status: U64,
    /// Gas used.
    pub gas_used: U64,
    /// Wei per gas, all included.
    #[serde(default)]
    pub effective_gas_price: U128,
}

/// A log as nodes write it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
    pub(super) block_number: U64,
    pub(super) transaction_hash: B256,
    pub(super) log_index: U64,
    #[serde(default)]
    pub(super) removed: bool,
}

/// Which logs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogFilter {
    pub(super) from_block: U64,
    pub(super) to_block: U64,
    pub(super) address: Vec<Address>,
    pub(super) topics: Vec<Option<Vec<B256>>>,
}

/// One or two endpoints of one chain.
#[derive(Debug)]
pub struct Rpc {
    endpoints: Vec<Endpoint>,
    chain_id: u64,
    clock: ServerClock,
    config: RpcConfig,
}

impl Rpc {
    /// Endpoints from URLs (`Endpoints::rpc`), which `http` must be allowed to reach. With two, every read
    /// is made on both and compared; with one its results are not verified: see [`single`](Rpc::single).
    pub fn new(
        http: &Http,
        urls: &[String],
        chain: &Chain,
        clock: ServerClock,
        config: RpcConfig,
    ) -> Result<Rpc, ChainError> {
        if !(1..=2).contains(&urls.len()) {
            return Err(ChainError::Misconfigured(format!(
                "endpoints.rpc has {} URLs; it takes one or two",
                urls.len()
            )));
        }
        if urls.len() == 2 && urls[0].trim_end_matches('/') == urls[1].trim_end_matches('/') {
            return Err(ChainError::Misconfigured(
                "endpoints.rpc has the same URL twice: two endpoints are compared because they are independent"
                    .into(),
            ));
        }
        let endpoints = urls
            .iter()
            .enumerate()
            .map(|(index, url)| Endpoint {
                name: format!("rpc[{index}]"),
                secrets: secrets(url),
                client: RpcClient::new(
                    Wire { http: http.clone(), url: url.clone(), name: format!("rpc[{index}]") },
                    false,
                ),
                chain_id: OnceCell::new(),
                attempts: config.attempts.max(1),
                pause: Duration::from_millis(config.pause_ms),
            })
            .collect();
        Ok(Rpc { endpoints, chain_id: chain.id(), clock, config })
    }

    /// Whether there is only one endpoint, whose word is then taken for everything.
    pub fn single(&self) -> bool {
        self.endpoints.len() == 1
    }

    /// The chain id both endpoints must have.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The newest block all endpoints know, checked: chain id, age, and the same hash everywhere.
    pub async fn head(&self) -> Result<Head, ChainError> {
        let heads = self.each(|endpoint| self.head_of(endpoint)).await;
        let heads = heads.into_iter().collect::<Result<Vec<_>, _>>()?;
        let Some(lowest) = heads.iter().min_by_key(|head| head.number) else {
            return Err(ChainError::Misconfigured("there is no RPC endpoint".into()));
        };
        if heads.iter().all(|head| head == lowest) {
            return Ok(lowest.clone());
        }
        let what = format!("block {}", lowest.number);
        let number = lowest.number;
        self.agree(&what, async |endpoint| endpoint.block(number, &what).await).await
    }

    /// When a block was made, by every endpoint.
    ///
    /// # Errors
    /// As for every read; [`ChainError::Malformed`] where an endpoint does not have it.
    pub async fn time_of(&self, number: u64) -> Result<Time, ChainError> {
        let what = format!("block {number}");
        let number = U64::from(number);
        let block = self.agree(&what, async |endpoint| endpoint.block(number, &what).await).await?;
        Ok(Time::from_secs(i64::try_from(block.timestamp.to::<u64>()).unwrap_or(i64::MAX)))
    }

    async fn head_of(&self, endpoint: &Endpoint) -> Result<Head, ChainError> {
        let id = endpoint
            .chain_id
            .get_or_try_init(|| async {
                let id: U64 = endpoint.ask("eth_chainId", (), "chain id").await?;
                Ok::<u64, ChainError>(id.to())
            })
            .await?;
        if *id != self.chain_id {
            return Err(ChainError::Misconfigured(format!(
                "{} serves chain {id}, not {}",
                endpoint.name, self.chain_id
            )));
        }
        let head: Option<Head> =
            endpoint.ask("eth_getBlockByNumber", ("latest", false), "newest block").await?;
        let head = head.ok_or_else(|| ChainError::Malformed {
            what: "newest block".into(),
            error: format!("{} has none", endpoint.name),
        })?;
        let age = self.clock.secs().saturating_sub(head.timestamp.to());
        if age.saturating_mul(1000) > self.config.max_head_age_ms {
            return Err(ChainError::Stale {
                endpoint: endpoint.name.clone(),
                age_s: age,
                limit_s: self.config.max_head_age_ms / 1000,
            });
        }
        Ok(head)
    }

    /// Calls a contract at a block, on every endpoint; the answers must be the same.
    pub(crate) async fn call(
        &self,
        at: &Head,
        from: Option<Address>,
        call: &Call,
    ) -> Result<Bytes, ChainError> {
        let what = format!("{} at block {}", call.words, at.number);
        let request = CallRequest::new(from, call);
        self.agree(&what, async |endpoint| {
            endpoint.ask::<_, Bytes>("eth_call", (&request, at.number), &what).await
        })
        .await
    }

    /// Logs, on every endpoint; they must be the same.
    pub(crate) async fn logs(
        &self,
        filter: &LogFilter,
        what: &str,
    ) -> Result<Vec<Log>, ChainError> {
        self.agree(what, async |endpoint| endpoint.ask("eth_getLogs", (filter,), what).await).await
    }

    /// The code at an address.
    pub(crate) async fn code(&self, at: &Head, address: Address) -> Result<Bytes, ChainError> {
        let what = format!("the code of {address} at block {}", at.number);
        self.agree(&what, async |endpoint| {
            endpoint.ask("eth_getCode", (address, at.number), &what).await
        })
        .await
    }

    /// Gas coins of an address, in wei.
    pub(crate) async fn gas_coins(&self, at: &Head, owner: Address) -> Result<U256, ChainError> {
        let what = format!("POL of {owner} at block {}", at.number);
        self.agree(&what, async |endpoint| {
            endpoint.ask("eth_getBalance", (owner, at.number), &what).await
        })
        .await
    }

    /// What a call may burn: the largest estimate of the endpoints (they may simulate on other blocks).
    pub(crate) async fn estimate_gas(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        let request = CallRequest::new(Some(from), call);
        let what = format!("estimating {}", call.words);
        let answers = self
            .each(async |endpoint| {
                endpoint.ask::<_, U64>("eth_estimateGas", (&request,), &what).await
            })
            .await;
        most(answers).map(|gas| gas.to())
    }

    /// The tip the nodes suggest, in wei per gas: the smallest, so that no single node makes us pay more.
    pub(crate) async fn suggested_tip(&self) -> Result<u128, ChainError> {
        let answers = self
            .each(async |endpoint| {
                endpoint.ask::<_, U128>("eth_maxPriorityFeePerGas", (), "suggested tip").await
            })
            .await;
        let answers = answers.into_iter().map(|answer| answer.map(core::cmp::Reverse)).collect();
        most(answers).map(|tip| tip.0.to())
    }

    /// The next nonce of an address, transactions in the pool counted: the largest any endpoint knows, for
    /// one may not have seen the last transactions yet.
    pub(crate) async fn next_nonce(&self, owner: Address) -> Result<u64, ChainError> {
        Ok(self.nonces(owner, "pending").await?.into_iter().max().unwrap_or_default())
    }

    /// The next nonce of an address by what is in blocks: the smallest, so that a nonce below it is used up
    /// in the eyes of every endpoint.
    pub(crate) async fn mined_nonce(&self, owner: Address) -> Result<u64, ChainError> {
        Ok(self.nonces(owner, "latest").await?.into_iter().min().unwrap_or_default())
    }

    /// Every endpoint must answer: the one that is silent may be the one that knows more.
    async fn nonces(&self, owner: Address, block: &'static str) -> Result<Vec<u64>, ChainError> {
        let answers = self
            .each(async |endpoint| {
                endpoint.ask::<_, U64>("eth_getTransactionCount", (owner, block), "nonce").await
            })
            .await;
        answers.into_iter().map(|nonce| nonce.map(|nonce| nonce.to())).collect()
    }

    /// Sends signed bytes to every endpoint and returns their combined result. Sending the same bytes again
    /// has no further effect.
    pub(crate) async fn publish(&self, raw: &Bytes) -> Published {
        let answers = join_all(self.endpoints.iter().map(|endpoint| endpoint.publish(raw))).await;
        let mut refusal = None;
        let mut lost = None;
        for answer in answers {
            match answer {
                Published::Accepted => return Published::Accepted,
                Published::Lost(text) => lost = Some(text),
                Published::NonceTooLow => refusal = Some(Published::NonceTooLow),
                Published::Refused(text) => {
                    refusal = refusal.or(Some(Published::Refused(text)));
                }
            }
        }
        match (lost, refusal) {
            (Some(text), _) => Published::Lost(text),
            (None, Some(refusal)) => refusal,
            (None, None) => Published::Lost("there is no RPC endpoint".into()),
        }
    }

    /// The receipt of a transaction. `None` until every endpoint has it, in the same block.
    pub async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, ChainError> {
        Ok(match self.seen(hash).await? {
            Seen::Everywhere(receipt) => Some(receipt),
            Seen::Somewhere | Seen::Nowhere => None,
        })
    }

    /// Who has the receipt of a transaction.
    pub(crate) async fn seen(&self, hash: B256) -> Result<Seen, ChainError> {
        let answers = self
            .each(async |endpoint| {
                endpoint
                    .ask::<_, Option<Receipt>>("eth_getTransactionReceipt", (hash,), "receipt")
                    .await
            })
            .await;
        let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let all = answers.len();
        let receipts: Vec<Receipt> = answers.into_iter().flatten().collect();
        let Some(first) = receipts.first() else { return Ok(Seen::Nowhere) };
        if let Some(other) = receipts.iter().find(|receipt| receipt.transaction_hash != hash) {
            return Err(ChainError::Malformed {
                what: format!("the receipt of {hash}"),
                error: format!("it is of {}", other.transaction_hash),
            });
        }
        // In another block, or in none: one of them has not followed the chain or a reorganisation yet.
        if receipts.len() < all || receipts.iter().any(|r| r.block_hash != first.block_hash) {
            return Ok(Seen::Somewhere);
        }
        if let Some(other) = receipts.iter().find(|receipt| receipt.status != first.status) {
            return Err(ChainError::Disagreement {
                what: format!("the receipt of {hash}"),
                first: format!("status {}", first.status),
                second: format!("status {}", other.status),
            });
        }
        Ok(Seen::Everywhere(first.clone()))
    }

    /// Why a mined transaction failed: its call again on the state before its block.
    pub(crate) async fn reason_of_failure(
        &self,
        from: Address,
        call: &Call,
        receipt: &Receipt,
    ) -> String {
        let request = CallRequest::new(Some(from), call);
        let before = U64::from(receipt.block_number.to::<u64>().saturating_sub(1));
        for at in [before, receipt.block_number] {
            for endpoint in &self.endpoints {
                let answer: Result<Bytes, ChainError> =
                    endpoint.ask("eth_call", (&request, at), &call.words).await;
                if let Err(ChainError::Reverted { reason, .. }) = answer {
                    return reason;
                }
            }
        }
        "no reason to be had (it does not fail when called again; perhaps out of gas)".to_owned()
    }

    async fn each<'a, T, F, Fut>(&'a self, ask: F) -> Vec<Result<T, ChainError>>
    where
        F: Fn(&'a Endpoint) -> Fut,
        Fut: Future<Output = Result<T, ChainError>>,
    {
        join_all(self.endpoints.iter().map(ask)).await
    }

    /// One answer from all endpoints, or the reason why there is none.
    async fn agree<'a, T, F, Fut>(&'a self, what: &str, ask: F) -> Result<T, ChainError>
    where
        T: PartialEq + Debug,
        F: Fn(&'a Endpoint) -> Fut,
        Fut: Future<Output = Result<T, ChainError>>,
    {
        let mut answers = self.each(ask).await.into_iter();
        let Some(first) = answers.next() else {
            return Err(ChainError::Misconfigured("there is no RPC endpoint".into()));
        };
        let Some(second) = answers.next() else { return first };
        let show = |answer: &Result<T, ChainError>| match answer {
            Ok(value) => cut(&format!("{value:?}")),
            Err(error) => error.to_string(),
        };
        let contract_says_no =
            |answer: &Result<T, ChainError>| matches!(answer, Err(ChainError::Reverted { .. }));
        match (&first, &second) {
            (Ok(a), Ok(b)) if a == b => first,
            (Ok(_), Ok(_)) => Err(disagreement(what, show(&first), show(&second))),
            (a, b) if contract_says_no(a) && b.is_ok() || contract_says_no(b) && a.is_ok() => {
                Err(disagreement(what, show(&first), show(&second)))
            }
            (Err(_), _) => first,
            (_, Err(_)) => second,
        }
    }
}

fn disagreement(what: &str, first: String, second: String) -> ChainError {
    ChainError::Disagreement { what: what.to_owned(), first, second }
}

/// The largest result; an error only if no endpoint responded or a contract refused.
fn most<T: Ord>(answers: Vec<Result<T, ChainError>>) -> Result<T, ChainError> {
    let mut best = None;
    let mut failure = None;
    for answer in answers {
        match answer {
            Ok(value) => best = best.max(Some(value)),
            Err(error @ ChainError::Reverted { .. }) => return Err(error),
            Err(error) => failure = Some(error),
        }
    }
    match (best, failure) {
        (Some(best), _) => Ok(best),
        (None, Some(failure)) => Err(failure),
        (None, None) => Err(ChainError::Misconfigured("there is no RPC endpoint".into())),
    }
}

/// Which endpoints have a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All, in the same block.
    Everywhere(Receipt),
    /// Not all, or in different blocks.
    Somewhere,
    /// None.
    Nowhere,
}

/// What became of signed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Published {
    /// It is in the pool of at least one node.
    Accepted,
    /// Nobody took it, for its nonce is used up.
    NonceTooLow,
    /// Nobody took it.
    Refused(String),
    /// Somebody may have taken it.
    Lost(String),
}

#[derive(Serialize)]
struct CallRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Address>,
    to: Address,
    #[serde(skip_serializing_if = "U256::is_zero")]
    value: U256,
    data: &'a Bytes,
}

impl Clone for CallRequest<'_> {
    fn clone(&self) -> Self {
        CallRequest { ..*self }
    }
}

impl Debug for CallRequest<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "call of {}", self.to)
    }
}

impl<'a> CallRequest<'a> {
    fn new(from: Option<Address>, call: &'a Call) -> CallRequest<'a> {
        CallRequest { from, to: call.target, value: call.value, data: &call.data }
    }
}

/// One node.
struct Endpoint {
    name: String,
    /// The parts of its URL that must not be seen.
    secrets: Vec<String>,
    client: RpcClient,
    chain_id: OnceCell<u64>,
    attempts: u32,
    pause: Duration,
}

impl Debug for Endpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Endpoint {
    async fn block(&self, number: U64, what: &str) -> Result<Head, ChainError> {
        let block: Option<Head> = self.ask("eth_getBlockByNumber", (number, false), what).await?;
        block.ok_or_else(|| ChainError::Malformed {
            what: what.to_owned(),
            error: format!("{} does not have it", self.name),
        })
    }

    /// A harmless question, put again when no answer came.
    async fn ask<P, R>(&self, method: &'static str, params: P, what: &str) -> Result<R, ChainError>
    where
        P: RpcSend,
        R: RpcRecv,
    {
        let mut attempt = 1;
        loop {
            let error = match self.client.request::<P, R>(method, params.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.read_error(error, what),
            };
            // A node that has not seen the pinned block yet reports it in various texts.
            let behind = matches!(&error, ChainError::Refused { reason, .. } if BEHIND.iter().any(|words| reason.to_ascii_lowercase().contains(words)));
            let again = behind
                || matches!(error, ChainError::Unreachable(_) | ChainError::Throttled { .. });
            if !again || attempt >= self.attempts {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(self.pause.max(match error {
                // A long pause is the caller's to wait.
                ChainError::Throttled { pause, .. } => pause.min(Duration::from_secs(2)),
                _ => Duration::ZERO,
            }))
            .await;
        }
    }

    async fn publish(&self, raw: &Bytes) -> Published {
        let answer = self.client.request::<_, B256>("eth_sendRawTransaction", (raw,)).await;
        let error = match answer {
            Ok(_) => return Published::Accepted,
            Err(error) => error,
        };
        let RpcError::ErrorResp(refusal) = &error else {
            return Published::Lost(self.read_error(error, "sending").to_string());
        };
        let refusal = format!("{}: {}", self.name, self.clean(&refusal.message));
        let words = refusal.to_ascii_lowercase();
        let any = |list: &[&str]| list.iter().any(|part| words.contains(part));
        if any(&["already known", "known transaction", "already imported", "already exists"]) {
            Published::Accepted
        } else if any(&["nonce too low", "nonce is too low", "old nonce"]) {
            Published::NonceTooLow
        } else if any(DEFINITE) {
            Published::Refused(refusal)
        } else {
            // An unknown text proves nothing: the transaction may be in flight.
            Published::Lost(refusal)
        }
    }

    /// The node's text, without the secrets of its URL.
    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), "(hidden)");
        }
        cut(&text)
    }

    fn read_error(&self, error: TransportError, what: &str) -> ChainError {
        match error {
            RpcError::ErrorResp(refusal) => {
                let data = refusal
                    .data
                    .as_ref()
                    .and_then(|data| serde_json::from_str::<Bytes>(data.get()).ok())
                    .or_else(|| refusal.as_revert_data());
                let message = refusal.message.to_ascii_lowercase();
                let text = self.clean(&refusal.message);
                if refusal.code == 3
                    || message.contains("revert")
                    || message.contains("invalid opcode")
                {
                    return ChainError::Reverted {
                        what: what.to_owned(),
                        reason: revert_reason(data.as_ref().map(|data| &data[..]), &text),
                        hash: None,
                    };
                }
                if refusal.code == -32005 || message.contains("rate limit") {
                    let by = ThrottledBy::Venue;
                    return ChainError::Throttled { pause: Duration::from_secs(1), by };
                }
                ChainError::Refused {
                    what: what.to_owned(),
                    reason: format!("{}: {text}", self.name),
                }
            }
            RpcError::Transport(TransportErrorKind::Custom(error)) => {
                match error.downcast::<ApiError>() {
                    Ok(error) => ChainError::of(what, self.hide(*error), &[]),
                    Err(error) => ChainError::Unreachable(self.clean(&error.to_string())),
                }
            }
            RpcError::DeserError { err, .. } => ChainError::Malformed {
                what: what.to_owned(),
                error: format!("{}: {err}", self.name),
            },
            RpcError::NullResp => ChainError::Malformed {
                what: what.to_owned(),
                error: format!("{}: null", self.name),
            },
            other => ChainError::Unreachable(format!(
                "{}: {}",
                self.name,
                self.clean(&other.to_string())
            )),
        }
    }

    fn hide(&self, error: ApiError) -> ApiError {
        match error {
            ApiError::Unreachable(text) => ApiError::Unreachable(self.clean(&text)),
            ApiError::Misconfigured(text) => ApiError::Misconfigured(self.clean(&text)),
            other => other,
        }
    }
}

/// Texts with which nodes report an unknown block.
const BEHIND: &[&str] =
    &["header not found", "unknown block", "block not found", "missing trie node"];

/// Refusals after which a transaction is surely in no pool.
const DEFINITE: &[&str] = &[
    "insufficient funds",
    "nonce too high",
    "underpriced",
    "intrinsic gas too low",
    "exceeds block gas limit",
    "invalid sender",
    "invalid chain id",
    "chain id mismatch",
    "exceeds the configured cap",
    "less than block base fee",
    "max priority fee per gas higher",
    "gas tip cap",
    "oversized data",
    "execution reverted",
];

/// The contract's own words where it has some.
fn revert_reason(data: Option<&[u8]>, message: &str) -> String {
    match data {
        Some(data) if !data.is_empty() => match alloy::sol_types::decode_revert_reason(data) {
            Some(reason) => cut(&reason),
            None => cut(&format!("error {}", alloy::hex::encode_prefixed(data))),
        },
        _ => message.to_owned(),
    }
}

/// Everything of a URL that could be a key: login, host with its subdomains, path, query.
fn secrets(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let mut parts = vec![url.to_owned(), rest.to_owned(), authority.to_owned(), host.to_owned()];
    parts.push(path.to_owned());
    parts.extend(path.split(['/', '?', '&', '=']).map(str::to_owned));
    parts.push(name.to_owned());
    // Short parts (`v1`) are no secrets, and hiding them would garble every text.
    parts.retain(|part| part.len() >= 6);
    parts.sort_by_key(|part| core::cmp::Reverse(part.len()));
    parts.dedup();
    parts
}

/// alloy's transport over the crate's own HTTP.
#[derive(Clone)]
struct Wire {
    http: Http,
    url: String,
    name: String,
}

impl Service<RequestPacket> for Wire {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let wire = self.clone();
        Box::pin(wire.exchange(packet))
    }
}

impl Wire {
    async fn exchange(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        // Sending the same signed bytes again changes nothing, so that is as repeatable as a read.
        let body = serde_json::to_vec(&packet).map_err(TransportError::ser_err)?;
        let request = HttpRequest {
            method: Method::POST,
            url: self.url,
            headers: HeaderMap::new(),
            body: body.into(),
            effect: Effect::Read,
            what: self.name.clone(),
            gzip: false,
        };
        let answer = self.http.send(request).await.map_err(TransportErrorKind::custom)?;
        // Some nodes send JSON-RPC errors with 4xx: the body takes precedence.
        let packet = serde_json::from_slice(&answer.body);
        if answer.ok() {
            return packet.map_err(|error| TransportError::deser_err(error, "(not shown)"));
        }
        match packet {
            Ok(packet) if answer.status != 429 => Ok(packet),
            _ => Err(TransportErrorKind::custom(match answer.status {
                429 => ApiError::Throttled {
                    pause: answer.retry_after().unwrap_or(Duration::from_secs(1)),
                    by: ThrottledBy::Venue,
                },
                401 | 403 => ApiError::Misconfigured(format!(
                    "{} refuses us (HTTP {}): is its key right?",
                    self.name, answer.status
                )),
                status => ApiError::Unreachable(format!("{}: HTTP {status}", self.name)),
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_url_that_could_be_a_key_is_shown() {
        let url = "https://user:hunter22@shiny-cold-sea.quiknode.pro:8443/v2/0123456789abcdef?apikey=topsecret";
        let endpoint = Endpoint {
            name: "rpc[0]".into(),
            secrets: secrets(url),
            client: RpcClient::new(
                Wire {
                    http: Http::new(
                        polydesk_polymarket_api::HttpConfig::default(),
                        &polydesk_polymarket_api::Endpoints::default(),
                    )
                    .unwrap(),
                    url: url.into(),
                    name: "rpc[0]".into(),
                },
                false,
            ),
            chain_id: OnceCell::new(),
            attempts: 1,
            pause: Duration::ZERO,
        };
        let refusal = endpoint.clean(&format!(
            "cannot reach {url}; shiny-cold-sea.quiknode.pro is down; key 0123456789abcdef; topsecret"
        ));
        for part in ["hunter22", "shiny", "0123456789abcdef", "topsecret"] {
            assert!(!refusal.contains(part), "{part} in {refusal}");
        }
        assert_eq!(format!("{endpoint:?}"), "rpc[0]");
    }

    #[test]
    fn reasons_of_reverts_are_read() {
        let text = alloy::hex!(
            "08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000026e6f000000000000000000000000000000000000000000000000000000000000"
        );
        assert!(revert_reason(Some(&text), "execution reverted").contains("no"));
        let custom = alloy::hex!("deadbeef");
        assert_eq!(revert_reason(Some(&custom), "execution reverted"), "error 0xdeadbeef");
        assert_eq!(revert_reason(None, "execution reverted"), "execution reverted");
    }
}
