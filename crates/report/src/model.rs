//! The report of a run before it is judged: facts only, nothing computed that could be computed from them.

use std::collections::BTreeMap;

use polydesk_domain::{
    BasketEnd, ClosedTrade, Code, ConditionId, FillRecord, Opportunity, Outcome, Shares,
    StrategyId, Time, TokenId, TradeStatus, Usdc,
};
use serde::{Deserialize, Serialize};

/// Everything one invocation produced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Program name and version.
    pub program: String,
    /// The line that repeats the run.
    pub command: String,
    /// Every setting with its value and where it came from, by key.
    pub config: Vec<Setting>,
    /// The runs, in the order they are to be shown. Synthetic data stand apart under their own heading
    /// and are never added to real ones.
    pub runs: Vec<Run>,
}

/// One setting.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setting {
    /// Dotted key (`stink_bidder.ttl_secs`).
    pub key: String,
    /// Its value as text.
    pub value: String,
    /// `default`, `FILE`, `env NAME` or `flag --NAME`.
    pub origin: String,
}

/// One replayed stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Heading of its part of the report.
    pub heading: String,
    /// Whether any of its tapes was made by a generator.
    pub synthetic: bool,
    /// Seed of the exchange.
    pub seed: u64,
    /// The tapes it read.
    pub tapes: Vec<TapeFacts>,
    /// Its markets in listing order; everything else names them by condition id.
    pub markets: Vec<MarketFacts>,
    /// First and last engine time.
    pub span: Option<(Time, Time)>,
    /// Rows replayed, of all its tapes.
    pub rows: u64,
    /// Exchange model in words (`queue = power 2`, `insert = 40ms`), for the header.
    pub models: Vec<(String, String)>,
    /// Money at the start.
    pub starting_cash: Usdc,
    /// Money and results at the end.
    pub totals: Totals,
    /// Our fills in order of time.
    pub fills: Vec<MarkedFill>,
    /// Finished round trips in order of their end, one per closing and token.
    pub round_trips: Vec<ClosedTrade>,
    /// Holdings at the end.
    pub open: Vec<OpenHolding>,
    /// Equity over time, at most 20 000 points, in order.
    pub equity: Vec<EquityPoint>,
    /// Orders by strategy.
    pub orders: Vec<OrderCounts>,
    /// Counts of denials, skips and dropped signals, by code.
    pub codes: Codes,
    /// Opportunities seen by scanners, in order of their end.
    pub opportunities: Vec<SeenOpportunity>,
    /// Baskets tried, in order of their end.
    pub baskets: Vec<BasketEnd>,
    /// Quality of the data.
    pub data: DataQuality,
    /// Named checks of the run itself.
    pub checks: Vec<Check>,
    /// The same run under other exchange settings, pessimistic first; empty when not asked for.
    pub bands: Vec<Band>,
    /// SHA-256 of the event log.
    pub log_sha256: String,
    /// Lines of the event log.
    pub log_lines: u64,
}

/// One tape.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TapeFacts {
    /// Short name.
    pub name: String,
    /// Hash of its rows.
    pub content_sha256: String,
    /// Where the data came from.
    pub source: String,
    /// Under which licence.
    pub licence: String,
    /// Rows in it.
    pub rows: u64,
    /// First and last event.
    pub span: Option<(Time, Time)>,
    /// Whether receive times are known.
    pub receive_times: bool,
    /// Whether a generator made it.
    pub synthetic: bool,
    /// The certificate, as lines of text.
    pub certificate: Vec<String>,
}

/// The fill rule of a market without prints.
pub(crate) const CROSSINGS_ONLY: &str = "crossings_only";
/// What that rule does to the result.
pub(crate) const BIAS_OF_SNAPSHOTS: &str = "without prints a resting order fills only when the displayed opposite side \
     crosses it: only adverse maker fills exist there, which biases the result of quoting down";

/// One market.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MarketFacts {
    /// The venue's id; everything in the run names the market by it.
    pub condition: ConditionId,
    /// Possibly empty: the condition id is shown then.
    pub question: String,
    /// Last part of the market's web address.
    pub slug: String,
    /// Category, possibly empty.
    pub category: String,
    /// Event, possibly empty.
    pub event: String,
    /// Neg-risk group, if any.
    pub group: Option<String>,
    /// Micro-dollars a YES share pays; `None` when not resolved on the tape.
    pub yes_pays: Option<u32>,
    /// What can fill a resting order in it (`prints_and_crossings`, `crossings_only`).
    pub fill_rule: String,
    /// Facts assumed, with their sources.
    pub assumed: Vec<String>,
}

/// Where the money is at the end; all in pUSD.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Cash that is final.
    pub cash: Usdc,
    /// Proceeds not final.
    pub pending: Usdc,
    /// Holdings at cost, fees included.
    pub inventory_cost: Usdc,
    /// Holdings at the value of displayed depth.
    pub inventory_mark: Usdc,
    /// Final profit and loss of round trips, fees included.
    pub realised: Usdc,
    /// Fees the venue charged, net of failed trades.
    pub fees: Usdc,
    /// Rebates received.
    pub rebates: Usdc,
    /// Rewards received.
    pub rewards: Usdc,
    /// `cash + pending + inventory_mark`.
    pub equity: Usdc,
    /// Entries in the ledger.
    pub ledger_entries: u64,
}

/// A fill with its markouts and settlement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarkedFill {
    /// When it became known.
    pub at: Time,
    /// As it was first reported; `record.status` is of that time.
    pub record: FillRecord,
    /// Its last settlement state; `failed` fills were reversed and count for nothing else.
    pub settlement: TradeStatus,
    /// Twice the middle (bid + ask) of its token 5 s, 30 s, 60 s and 300 s later, in ten-thousandths
    /// of a dollar.
    pub double_mid_later: [Option<u32>; 4],
}

impl MarkedFill {
    /// Whether it counts: its settlement did not fail.
    pub fn counts(&self) -> bool {
        self.settlement != TradeStatus::Failed
    }
}

/// A holding at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenHolding {
    /// Id of the strategy: `KIND`, or `KIND.NAME` for an instance.
    pub strategy: StrategyId,
    /// As in [`Run::markets`].
    pub market: ConditionId,
    /// The venue's id of `outcome`.
    pub token: TokenId,
    /// YES or NO.
    pub outcome: Outcome,
    /// Shares held.
    pub shares: Shares,
    /// Cost, fees included.
    pub cost: Usdc,
    /// Value at displayed depth.
    pub mark: Usdc,
}

/// Equity at one time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct EquityPoint {
    /// Engine time.
    pub at: Time,
    /// Cash, pending and holdings at displayed depth.
    pub equity: Usdc,
    /// Holdings at cost plus what open buys may take.
    pub locked: Usdc,
    /// Final profit and loss so far.
    pub realised: Usdc,
}

/// Orders of one strategy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderCounts {
    /// Id of the strategy: `KIND`, or `KIND.NAME` for an instance.
    pub strategy: StrategyId,
    /// Signals emitted.
    pub signals: u64,
    /// Orders sent.
    pub placed: u64,
    /// Post-only among them.
    pub post_only: u64,
    /// With at least one fill.
    pub touched: u64,
    /// Entirely filled.
    pub filled: u64,
    /// From decision to first fill of resting orders, in milliseconds.
    pub waits_ms: Vec<i64>,
}

/// An opportunity with the strategy that saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenOpportunity {
    /// Id of the strategy: `KIND`, or `KIND.NAME` for an instance.
    pub strategy: StrategyId,
    /// From first to last sight.
    pub opportunity: Opportunity<ConditionId>,
}

/// How often each code occurred.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Codes {
    /// Candidates that strategies passed over.
    pub skips: CodesByStrategy,
    /// Signals dropped before anything acted on them.
    pub drops: CodesByStrategy,
    /// Denials of the risk gate.
    pub denials: CodesByStrategy,
    /// Refusals of the venue.
    pub rejects: CodesByStrategy,
    /// Ways orders ended.
    pub ends: CodesByStrategy,
    /// Exits that had to wait.
    pub exit_waits: BTreeMap<Code, u64>,
    /// Events that should not happen often: failed settlements, illegal transitions.
    pub anomalies: BTreeMap<Code, u64>,
    /// Counters of the simulated exchange.
    pub exchange: BTreeMap<String, String>,
}

/// Counts by strategy and code.
pub type CodesByStrategy = BTreeMap<StrategyId, BTreeMap<Code, u64>>;

/// Quality of the replayed data.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DataQuality {
    /// Level changes that changed something, as the engine saw them.
    pub changes: u64,
    /// Mirrored or repeated ones.
    pub no_ops: u64,
    /// Batches of changes that completed.
    pub batches: u64,
    /// Batches after which a book was crossed.
    pub crossed: u64,
    /// Batches after which carried best prices differed.
    pub top_mismatches: u64,
    /// Tick sizes inferred from prices between ticks.
    pub inferred_ticks: u64,
    /// Seconds × open markets.
    pub book_ticks: u64,
    /// Those with a usable book: its best prices can be relied on.
    pub usable_ticks: u64,
    /// Markets without a resolution on the tape.
    pub unresolved_markets: u64,
}

/// A check of the run itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// Name of the check.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// The figures that were compared.
    pub detail: String,
}

/// The same run under other settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Band {
    /// `pessimistic`, `realistic`, `optimistic`.
    pub name: String,
    /// Its settings in words.
    pub settings: String,
    /// Equity at the end minus money at the start.
    pub net: Usdc,
    /// Fills that did not fail.
    pub fills: u64,
    /// Finished round trips.
    pub round_trips: u64,
    /// Fees, in pUSD.
    pub fees: Usdc,
}
