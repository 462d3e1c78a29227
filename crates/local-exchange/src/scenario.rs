//! Scenarios: fault rules in TOML. `docs/scenarios.md` describes every fault rule with its fields.
//!
//! This module only reads and checks them; `faults` applies them.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::primitives::{Address, B256, U256};
use polydesk_domain::{FeeRate, Span, Tick};
use polydesk_sim::Delay;
use rust_decimal::prelude::ToPrimitive as _;
use serde::Deserialize;

use crate::limits::{Enforcement, Tier};
use crate::server::hub::Channel;
use crate::venue::Ending;

/// A scenario that cannot be used: where, which rule, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scenario {place}: {rule}; {fix}")]
pub struct ScenarioError {
    /// File and place in it.
    pub place: String,
    /// What is wrong.
    pub rule: String,
    /// How to fix it.
    pub fix: String,
}

/// A length of time: `"250ms"`, `"5s"`, `"2min"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Length(pub Span);

impl TryFrom<String> for Length {
    type Error = String;
    fn try_from(text: String) -> Result<Length, String> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.as_str()),
        };
        match Delay::try_from(digits.to_owned()) {
            Ok(Delay::Constant(span)) => Ok(Length(Span::nanos(span.as_nanos() * sign))),
            _ => Err(format!(
                "{text:?} is not a length of time: write \"250ms\", \"5s\" or \"2min\""
            )),
        }
    }
}

/// Which of several: `"3"`, `"2..5"` (both included), `"4.."`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Which {
    /// First, counted from 1.
    pub first: u64,
    /// Last.
    pub last: u64,
}

impl Which {
    /// All of them.
    pub const ALL: Which = Which { first: 1, last: u64::MAX };
    pub(crate) fn has(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

impl Default for Which {
    fn default() -> Which {
        Which::ALL
    }
}

impl TryFrom<String> for Which {
    type Error = String;
    fn try_from(text: String) -> Result<Which, String> {
        let parsed = match text.split_once("..") {
            None => text.parse().ok().map(|one| Which { first: one, last: one }),
            Some((first, "")) => first.parse().ok().map(|first| Which { first, last: u64::MAX }),
            Some((first, last)) => {
                first.parse().ok().zip(last.parse().ok()).map(|(first, last)| Which { first, last })
            }
        };
        parsed.filter(|which| which.first >= 1 && which.first <= which.last).ok_or_else(|| {
            format!("{text:?} is not a choice: write \"3\", \"2..5\" or \"4..\", counted from 1")
        })
    }
}

/// Method and path of an endpoint: `"POST /order"`, `"GET /data/*"`, `"* /book"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint {
    method: String,
    path: String,
}

impl Endpoint {
    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        let path_fits = match self.path.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == self.path,
        };
        path_fits && (self.method == "*" || self.method == method)
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;
    fn try_from(text: String) -> Result<Endpoint, String> {
        let parts = text.split_once(' ').filter(|(method, path)| {
            let known = ["*", "GET", "POST", "PUT", "DELETE"];
            known.contains(method) && (path.starts_with('/') || *path == "*")
        });
        let (method, path) = parts.ok_or_else(|| {
            format!(
                "{text:?} is not an endpoint: write \"POST /order\", \"GET /data/*\" or \"* *\""
            )
        })?;
        Ok(Endpoint { method: method.to_owned(), path: path.to_owned() })
    }
}

/// What happens to a request or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerAct {
    /// It is answered, perhaps altered by the other fields.
    #[default]
    Answer,
    /// Not processed; the connection closes.
    LoseRequest,
    /// Processed; the connection closes without an answer.
    LoseAnswer,
    /// Not processed; nothing comes back.
    SilenceBefore,
    /// Processed; nothing comes back.
    SilenceAfter,
    /// Processed; the answer ends in the middle.
    Cut,
    /// Not processed; the edge's HTML page (error 1015).
    BlockPage,
}

/// A fault rule for responses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerFault {
    /// Method and path, as in `GET /book`.
    pub endpoint: Endpoint,
    /// Only requests of this EOA (`POLY_ADDRESS`).
    #[serde(default)]
    pub account: Option<Address>,
    /// Which of the requests that fit so far.
    #[serde(default)]
    pub calls: Which,
    /// How often it happens, in millionths.
    #[serde(default = "always")]
    pub chance_ppm: u32,
    /// Delay before it is processed.
    #[serde(default)]
    pub before: Option<Delay>,
    /// Delay before it is answered.
    #[serde(default)]
    pub after: Option<Delay>,
    /// What happens.
    #[serde(default)]
    pub act: AnswerAct,
    /// Another status. The request is processed all the same.
    #[serde(default)]
    pub status: Option<u16>,
    /// Another body.
    #[serde(default)]
    pub body: Option<String>,
    /// Another content type.
    #[serde(default)]
    pub content_type: Option<String>,
    /// More headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Texts of the body to replace.
    #[serde(default)]
    pub replace: Vec<[String; 2]>,
    /// After how many bytes `cut` ends the body; half of it if absent.
    #[serde(default)]
    pub cut: Option<usize>,
    /// A connection that breaks is reset (RST) instead of closed (FIN).
    #[serde(default)]
    pub reset: bool,
}

fn always() -> u32 {
    1_000_000
}

/// What happens to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineAct {
    /// 425, and two minutes of post-only when it is over.
    Restart,
    /// Only post-only orders and cancels.
    PostOnly,
    /// No new orders.
    CancelOnly,
    /// Nothing.
    Disabled,
    /// A book stands still and takes nothing.
    Freeze,
    /// A market takes no orders; what rests becomes INVALID.
    Pause,
    /// A market's grid changes to `tick`.
    SetTick,
    /// A market pays `pays`.
    Resolve,
    /// `account` is banned.
    Ban,
    /// `account` may only reduce.
    ClosedOnly,
    /// The approvals of `account`'s wallets are gone.
    Unapprove,
    /// The venue counts `percent` of the pUSD of `account`'s wallets as matched, although nothing is.
    HoldMatched,
    /// The proposed result of a market is disputed: Gamma shows it, and its book goes on.
    Dispute,
    /// A market charges `fee` (a rate, as in `"0.07"`) from now on; its metadata follows.
    SetFee,
    /// `GET /version` returns `version`.
    Version,
    /// The house account takes everything that rests at the best prices of `market` (both sides).
    Sweep,
}

/// Which outcome pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pays {
    /// YES.
    Yes,
    /// NO.
    No,
    /// Both a half.
    Half,
}

/// A fault rule for the matching engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineFault {
    /// Start, counted from the activation.
    #[serde(default)]
    pub at: Length,
    /// How long; for good if absent.
    #[serde(default, rename = "for")]
    pub lasts: Option<Length>,
    /// The fault.
    pub act: EngineAct,
    /// Slug of a market; all markets if absent.
    #[serde(default)]
    pub market: Option<String>,
    /// EOA of an account.
    #[serde(default)]
    pub account: Option<Address>,
    /// For `set_tick`.
    #[serde(default)]
    pub tick: Option<String>,
    /// For `resolve`.
    #[serde(default)]
    pub pays: Option<Pays>,
    /// For `version`.
    #[serde(default)]
    pub version: Option<u32>,
    /// For `hold_matched`.
    #[serde(default)]
    pub percent: Option<u8>,
    /// For `set_fee`: the rate.
    #[serde(default)]
    pub fee: Option<String>,
    /// For `set_fee`: the exponent of the fee curve; 1 if absent.
    #[serde(default)]
    pub exponent: Option<u8>,
}

impl EngineFault {
    /// The rate of `set_fee`.
    pub(crate) fn rate(&self) -> Option<FeeRate> {
        let rate: rust_decimal::Decimal = self.fee.as_ref()?.parse().ok()?;
        let ppm = rate.checked_mul(rust_decimal::Decimal::from(1_000_000))?;
        FeeRate::checked(ppm.to_u32()?, self.exponent.unwrap_or(1), 0).ok()
    }
}

/// A fault rule for settlement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementFault {
    /// Which trades, counted over all or those of the account.
    #[serde(default)]
    pub trades: Which,
    /// EOA of an account.
    #[serde(default)]
    pub account: Option<Address>,
    /// From the match until it is in a block.
    #[serde(default)]
    pub mined: Option<Delay>,
    /// From there until it is final.
    #[serde(default)]
    pub confirmed: Option<Delay>,
    /// How it ends.
    pub ending: Ending,
}

/// Faults of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamAct {
    /// They are lost.
    Drop,
    /// They come twice.
    Duplicate,
    /// They come later by `delay`.
    Delay,
    /// Each comes after the next one.
    Reorder,
    /// `replace` changes their text.
    Alter,
    /// They wait until the window is over and come at once.
    Hold,
    /// Instead of the first that fits the connection is closed with `code`.
    Close,
    /// As `close`, but the connection breaks without a close frame.
    Cut,
    /// New connections are refused with 403.
    Refuse,
    /// No frames and no `PONG`.
    Mute,
    /// Subscribe and unsubscribe requests are ignored without an error.
    Ignore,
}

/// A fault rule for streams.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamFault {
    /// Which channel.
    pub channel: Channel,
    /// The fault.
    pub act: StreamAct,
    /// Which connections of the channel, in the order they were opened.
    #[serde(default)]
    pub connections: Which,
    /// Only frames of this `event_type`.
    #[serde(default)]
    pub event: Option<String>,
    /// Only frames of this market (slug).
    #[serde(default)]
    pub market: Option<String>,
    /// Which of the frames that fit so far.
    #[serde(default)]
    pub frames: Which,
    /// How often it happens, in millionths.
    #[serde(default = "always")]
    pub chance_ppm: u32,
    /// Start, counted from the activation.
    #[serde(default)]
    pub at: Length,
    /// How long; for good if absent.
    #[serde(default, rename = "for")]
    pub lasts: Option<Length>,
    /// For `delay`.
    #[serde(default)]
    pub delay: Option<Delay>,
    /// For `close`.
    #[serde(default)]
    pub code: Option<u16>,
    /// For `close`.
    #[serde(default)]
    pub reason: Option<String>,
    /// For `alter`.
    #[serde(default)]
    pub replace: Vec<[String; 2]>,
    /// For `cut`: the connection is reset (RST) instead of closed (FIN).
    #[serde(default)]
    pub reset: bool,
}

/// A change of the rate limits. Absent fields stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitFault {
    /// Start, counted from the activation.
    #[serde(default)]
    pub at: Length,
    /// How long; for good if absent.
    #[serde(default, rename = "for")]
    pub lasts: Option<Length>,
    /// Windows per address.
    #[serde(default)]
    pub ip: Option<Enforcement>,
    /// Their quotas in percent.
    #[serde(default)]
    pub ip_percent: Option<u32>,
    /// Buckets per signer.
    #[serde(default)]
    pub signer: Option<Enforcement>,
    /// Tier by the venue's name.
    #[serde(default)]
    pub tier: Option<String>,
    /// Figures of its own.
    #[serde(default)]
    pub figures: Option<Tier>,
    /// Every request gets the block page (error 1015).
    #[serde(default)]
    pub blocked: bool,
}

/// What happens to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatAct {
    /// It lapses at once: the account's orders are cancelled.
    Lapse,
    /// The venue expects another id: the next one is refused.
    Rotate,
}

/// A fault rule for heartbeats.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatFault {
    /// Start, counted from the activation.
    #[serde(default)]
    pub at: Length,
    /// EOA of the account.
    pub account: Address,
    /// The fault.
    pub act: HeartbeatAct,
}

/// Faults of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadAct {
    /// The first answer of the window is repeated.
    Freeze,
    /// An answer is repeated until it is `lag` old.
    Stale,
    /// Rows younger than `lag` are not shown yet.
    HideNew,
    /// No rows.
    Hide,
    /// Every row twice.
    Repeat,
    /// Lists come in pages of `rows`.
    Page,
    /// Texts of the response are replaced by `replace`, so that it contradicts other reads.
    Contradict,
}

/// A fault rule for reads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadFault {
    /// Method and path, as in `GET /book`.
    pub endpoint: Endpoint,
    /// Only requests of this EOA.
    #[serde(default)]
    pub account: Option<Address>,
    /// Start, counted from the activation.
    #[serde(default)]
    pub at: Length,
    /// How long; for good if absent.
    #[serde(default, rename = "for")]
    pub lasts: Option<Length>,
    /// The fault.
    pub act: ReadAct,
    /// For `stale` and `hide_new`.
    #[serde(default)]
    pub lag: Option<Length>,
    /// For `page`.
    #[serde(default)]
    pub rows: Option<usize>,
    /// For `contradict`.
    #[serde(default)]
    pub replace: Vec<[String; 2]>,
}

/// What happens to the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainAct {
    /// No blocks: no trade settles.
    Halt,
    /// The newest `blocks` are replaced; their transactions come again in the next one.
    Reorg,
    /// The newest final block is `blocks` below the newest.
    Finality,
    /// `wallet` has `amount` of another `token`.
    Token,
}

/// A fault rule for the chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainFault {
    /// Start, counted from the activation.
    #[serde(default)]
    pub at: Length,
    /// How long; for good if absent.
    #[serde(default, rename = "for")]
    pub lasts: Option<Length>,
    /// The fault.
    pub act: ChainAct,
    /// For `reorg` and `finality`.
    #[serde(default)]
    pub blocks: Option<u64>,
    /// For `token`: its contract.
    #[serde(default)]
    pub token: Option<Address>,
    /// For `token`.
    #[serde(default)]
    pub wallet: Option<Address>,
    /// For `token`: smallest units, as a decimal number.
    #[serde(default)]
    pub amount: Option<String>,
}

/// What happens at a JSON-RPC node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RpcAct {
    /// Its head is `blocks` behind.
    Lag,
    /// Its head stays where it was at the start of the window.
    Stuck,
    /// It claims `chain_id`.
    ChainId,
    /// Balances are `amount`, of `wallet` and at `token` alone where these are given.
    Balance,
    /// The status of a receipt is the opposite, of `transaction` alone where it is given; a transaction that is in no
    /// block has succeeded.
    Receipt,
    /// It finds no logs.
    HideLogs,
    /// It takes ranges of `blocks` for logs at most.
    LogRange,
    /// A JSON-RPC error of `code` and `message`.
    Error,
    /// Results are no values that can be decoded.
    Garble,
}

/// A fault rule for the JSON-RPC nodes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpcFault {
    /// 0 or 1; both if absent.
    #[serde(default)]
    pub node: Option<usize>,
    /// Only calls of this method, as in `eth_getLogs`.
    #[serde(default)]
    pub method: Option<String>,
    /// Which of the calls that fit so far.
    #[serde(default)]
    pub calls: Which,
    /// How often it happens, in millionths.
    #[serde(default = "always")]
    pub chance_ppm: u32,
    /// Start, counted from the activation.
    #[serde(default)]
    pub at: Length,
    /// How long; for good if absent.
    #[serde(default, rename = "for")]
    pub lasts: Option<Length>,
    /// The fault.
    pub act: RpcAct,
    /// For `lag` and `log_range`.
    #[serde(default)]
    pub blocks: Option<u64>,
    /// For `chain_id`.
    #[serde(default)]
    pub chain_id: Option<u64>,
    /// For `balance`: whose.
    #[serde(default)]
    pub wallet: Option<Address>,
    /// For `balance`: the contract.
    #[serde(default)]
    pub token: Option<Address>,
    /// For `balance`: smallest units, as a decimal number.
    #[serde(default)]
    pub amount: Option<String>,
    /// For `receipt`.
    #[serde(default)]
    pub transaction: Option<B256>,
    /// For `error`.
    #[serde(default)]
    pub code: Option<i64>,
    /// For `error`.
    #[serde(default)]
    pub message: Option<String>,
}

impl RpcFault {
    /// Whether it is about this owner and contract; None is the chain's own coin.
    pub(crate) fn concerns(&self, owner: Option<Address>, contract: Option<Address>) -> bool {
        (self.wallet.is_none() || self.wallet == owner)
            && (self.token.is_none() || self.token == contract)
    }
}

/// A fault rule for the venue's clock.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeFault {
    /// Start, counted from the activation.
    #[serde(default)]
    pub at: Length,
    /// How long; for good if absent.
    #[serde(default, rename = "for")]
    pub lasts: Option<Length>,
    /// Offset of the venue's clock; `"-2s"` is behind.
    pub skew: Length,
}

/// Faults that pull themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Seed of its chances; the exchange's if absent.
    pub seed: Option<u64>,
    /// The venue's clock.
    pub time: Vec<TimeFault>,
    /// Requests and answers.
    pub answers: Vec<AnswerFault>,
    /// The engine.
    pub engine: Vec<EngineFault>,
    /// Settlement.
    pub settlement: Vec<SettlementFault>,
    /// Streams.
    pub streams: Vec<StreamFault>,
    /// Limits.
    pub limits: Vec<LimitFault>,
    /// Heartbeats.
    pub heartbeat: Vec<HeartbeatFault>,
    /// Reads.
    pub reads: Vec<ReadFault>,
    /// The chain.
    pub chain: Vec<ChainFault>,
    /// Its JSON-RPC nodes.
    pub rpc: Vec<RpcFault>,
}

impl Scenario {
    /// Reads a scenario from TOML.
    ///
    /// # Errors
    /// The place, the rule it breaks, and how to fix it.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| before.matches('\n').count() + 1);
            ScenarioError {
                place: line.map_or("file".to_owned(), |line| format!("line {line}")),
                rule: error.message().to_owned(),
                fix: "docs/scenarios.md lists every fault and its fields".to_owned(),
            }
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Scenario::parse`].
    pub fn read(path: &Path) -> Result<Scenario, ScenarioError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScenarioError {
            place: file.clone(),
            rule: error.to_string(),
            fix: "name a TOML file that can be read".to_owned(),
        })?;
        Scenario::parse(&text)
            .map_err(|error| ScenarioError { place: format!("{file}, {}", error.place), ..error })
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |place: String, rule: &str, fix: &str| {
            Err(ScenarioError { place, rule: rule.to_owned(), fix: fix.to_owned() })
        };
        for (i, fault) in self.answers.iter().enumerate() {
            let place = format!("answers[{i}]");
            if fault.status.is_some_and(|status| !(100..1_000).contains(&status)) {
                return wrong(place, "status is no HTTP status", "use 100 to 999");
            }
            if fault.chance_ppm > 1_000_000 {
                return wrong(place, "chance_ppm is above one", "use 0 to 1000000");
            }
            let header = |(name, value): (&String, &String)| {
                name.parse::<http::HeaderName>().is_ok()
                    && value.parse::<http::HeaderValue>().is_ok()
            };
            let content = fault.content_type.iter().all(|t| t.parse::<http::HeaderValue>().is_ok());
            if !fault.headers.iter().all(header) || !content {
                return wrong(
                    place,
                    "a header cannot be written",
                    "use plain ASCII names and values",
                );
            }
        }
        for (i, fault) in self.engine.iter().enumerate() {
            let place = format!("engine[{i}]");
            let tick =
                || fault.tick.as_ref().and_then(|tick| tick.parse::<rust_decimal::Decimal>().ok());
            let missing = match fault.act {
                EngineAct::SetTick
                    if tick().and_then(|tick| Tick::try_from(tick).ok()).is_none() =>
                {
                    "tick"
                }
                EngineAct::Resolve if fault.pays.is_none() => "pays",
                EngineAct::Version if fault.version.is_none() => "version",
                EngineAct::Ban
                | EngineAct::ClosedOnly
                | EngineAct::Unapprove
                | EngineAct::HoldMatched
                    if fault.account.is_none() =>
                {
                    "account"
                }
                EngineAct::HoldMatched if fault.percent.is_none_or(|percent| percent > 100) => {
                    "percent` of at most `100"
                }
                EngineAct::SetFee if fault.rate().is_none() => "fee",
                _ => continue,
            };
            return wrong(
                place,
                &format!("this act needs `{missing}`"),
                "state it (a tick is one of 0.1, 0.01, 0.005, 0.0025, 0.001, 0.0001)",
            );
        }
        for (i, fault) in self.streams.iter().enumerate() {
            let place = format!("streams[{i}]");
            let missing = match fault.act {
                StreamAct::Delay if fault.delay.is_none() => "delay",
                StreamAct::Hold if fault.lasts.is_none() => "for",
                StreamAct::Alter if fault.replace.is_empty() => "replace",
                _ if fault.chance_ppm > 1_000_000 => "chance_ppm of at most 1000000",
                _ => continue,
            };
            return wrong(place, &format!("this act needs `{missing}`"), "state it");
        }
        for (i, fault) in self.limits.iter().enumerate() {
            if fault.tier.as_ref().is_some_and(|tier| Tier::named(tier).is_none()) {
                return wrong(
                    format!("limits[{i}].tier"),
                    "no tier has this name",
                    "use standard, copper, bronze, silver, gold, platinum, diamond or elite",
                );
            }
        }
        for (i, fault) in self.reads.iter().enumerate() {
            let (missing, fix) = match fault.act {
                ReadAct::Stale | ReadAct::HideNew if fault.lag.is_none() => {
                    ("this act needs `lag`", "state it: lag = \"5s\"")
                }
                ReadAct::Page if fault.rows.is_none_or(|rows| rows == 0) => {
                    ("this act needs `rows` of at least 1", "state it: rows = 2")
                }
                ReadAct::Contradict if fault.replace.is_empty() => (
                    "this act needs `replace`",
                    "state it: replace = [[\"\\\"status\\\":\\\"LIVE\\\"\", \"\\\"status\\\":\\\"MATCHED\\\"\"]]",
                ),
                _ => continue,
            };
            return wrong(format!("reads[{i}]"), missing, fix);
        }
        self.check_chain()
    }

    fn check_chain(&self) -> Result<(), ScenarioError> {
        let wrong = |place: String, rule: &str, fix: &str| {
            Err(ScenarioError { place, rule: rule.to_owned(), fix: fix.to_owned() })
        };
        let units = |amount: &Option<String>| match amount {
            None => false,
            Some(text) => {
                text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<U256>().is_ok()
            }
        };
        for (i, fault) in self.chain.iter().enumerate() {
            let (missing, fix) = match fault.act {
                ChainAct::Reorg if !fault.blocks.is_some_and(|n| (1..=1_000).contains(&n)) => {
                    ("this act needs `blocks` of 1 to 1000", "state it: blocks = 3")
                }
                ChainAct::Finality if fault.blocks.is_none() => {
                    ("this act needs `blocks`", "state it: blocks = 500")
                }
                ChainAct::Token
                    if fault.token.is_none() || fault.wallet.is_none() || !units(&fault.amount) =>
                {
                    (
                        "this act needs `token`, `wallet` and a whole `amount`",
                        "state them: amount = \"1000000\" is one token of six decimals",
                    )
                }
                ChainAct::Token
                    if fault.token == Some(crate::contracts::COLLATERAL)
                        || fault.lasts.is_some() =>
                {
                    (
                        "this act is for other tokens than pUSD and lasts for good",
                        "name another contract and leave out `for`",
                    )
                }
                ChainAct::Reorg if fault.lasts.is_some() => {
                    ("a reorganisation has no `for`", "leave it out")
                }
                _ => continue,
            };
            return wrong(format!("chain[{i}]"), missing, fix);
        }
        for (i, fault) in self.rpc.iter().enumerate() {
            let (missing, fix) = match fault.act {
                _ if fault.node.is_some_and(|node| node > 1) => {
                    ("there are two nodes", "use node = 0 or node = 1, or leave it out for both")
                }
                _ if fault.chance_ppm > 1_000_000 => {
                    ("chance_ppm is above one", "use 0 to 1000000")
                }
                RpcAct::Lag | RpcAct::LogRange if fault.blocks.is_none_or(|blocks| blocks == 0) => {
                    ("this act needs `blocks` of at least 1", "state it: blocks = 500")
                }
                RpcAct::ChainId if fault.chain_id.is_none() => {
                    ("this act needs `chain_id`", "state it: chain_id = 1")
                }
                RpcAct::Balance if !units(&fault.amount) => (
                    "this act needs a whole `amount`",
                    "state it: amount = \"1000000\" is one pUSD",
                ),
                _ => continue,
            };
            return wrong(format!("rpc[{i}]"), missing, fix);
        }
        Ok(())
    }
}
