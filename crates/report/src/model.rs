//! The report of a run before it is judged: facts only, nothing computed that could be computed from them.

use std::collections::BTreeMap;

use polydesk_domain::{
    ConditionId, Outcome, Price, Role, Shares, Side, StrategyId, Time, TradeStatus, Usdc,
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
    /// Its markets in listing order; everything else refers to them by position.
    pub markets: Vec<MarketFacts>,
    /// First and last engine time.
    pub span: Option<(Time, Time)>,
    /// Rows replayed.
    pub rows: u64,
    /// Exchange model in words (`queue = power 2`, `insert = 40ms`), for the header.
    pub models: Vec<(String, String)>,
    /// Money at the start.
    pub starting_cash: Usdc,
    /// Money and results at the end.
    pub totals: Totals,
    /// Our fills in order of time.
    pub fills: Vec<FillRecord>,
    /// Finished round trips in order of their end.
    pub trades: Vec<TradeRecord>,
    /// What was still held at the end.
    pub open: Vec<OpenRecord>,
    /// Equity over time, at most 20 000 points, in order.
    pub equity: Vec<EquityRecord>,
    /// Orders by strategy.
    pub orders: Vec<OrderRecord>,
    /// Why things were refused, skipped or dropped.
    pub codes: Codes,
    /// Opportunities seen by scanners, in order of their end.
    pub episodes: Vec<EpisodeRecord>,
    /// Baskets tried, in order of their end.
    pub plans: Vec<PlanRecord>,
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
    /// Rows.
    pub rows: u64,
    /// First and last event.
    pub span: Option<(Time, Time)>,
    /// Whether receive times are known.
    pub receive_times: bool,
    /// Whether a generator made it.
    pub synthetic: bool,
    /// The certificate, as lines for people.
    pub certificate: Vec<String>,
}

/// One market.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MarketFacts {
    /// Condition id.
    pub condition: ConditionId,
    /// The question.
    pub question: String,
    /// The page's name.
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
    /// Final cash.
    pub cash: Usdc,
    /// Proceeds not final.
    pub pending: Usdc,
    /// Holdings at cost, fees included.
    pub inventory_cost: Usdc,
    /// Holdings at what displayed depth would pay.
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

/// One fill of ours. Middles are in ten-thousandths of a dollar **times two** (bid + ask), of the token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FillRecord {
    /// When its news arrived.
    pub at: Time,
    /// When its order was decided.
    pub decided_at: Time,
    /// Order number.
    pub order: u64,
    /// Whose.
    pub strategy: StrategyId,
    /// `quote`, `trade`, `leg` or the reason of an exit.
    pub purpose: String,
    /// Position in [`Run::markets`].
    pub market: usize,
    /// Which outcome.
    pub outcome: Outcome,
    /// Which way.
    pub side: Side,
    /// Maker or taker.
    pub role: Role,
    /// The level, where one is known.
    pub level: Option<Price>,
    /// Shares.
    pub shares: Shares,
    /// pUSD before fees.
    pub notional: Usdc,
    /// Fee.
    pub fee: Usdc,
    /// Where its settlement ended; `failed` fills were reversed and count for nothing else.
    pub status: TradeStatus,
    /// Doubled middle when the order was decided.
    pub double_mid_decided: Option<u32>,
    /// Doubled middle when the fill's news arrived.
    pub double_mid_filled: Option<u32>,
    /// Doubled middle 5 s, 30 s, 60 s and 300 s later.
    pub double_mid_later: [Option<u32>; 4],
}

/// One finished round trip.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TradeRecord {
    /// Whose.
    pub strategy: StrategyId,
    /// Position in [`Run::markets`].
    pub market: usize,
    /// Which outcome.
    pub outcome: Outcome,
    /// Bought.
    pub opened_at: Time,
    /// Sold, merged or redeemed.
    pub closed_at: Time,
    /// Shares.
    pub shares: Shares,
    /// Paid, fees included.
    pub cost: Usdc,
    /// Received, fees taken off. Profit is `proceeds − cost`.
    pub proceeds: Usdc,
    /// Fees on the way in (part of `cost`).
    pub entry_fee: Usdc,
    /// Fees on the way out (already taken off `proceeds`).
    pub exit_fee: Usdc,
    /// How it was bought.
    pub entry_role: Role,
    /// How it was sold; `None` for merges and redemptions.
    pub exit_role: Option<Role>,
    /// Why it was closed (`take_profit`, `stop_loss`, `resolution`, `merge`, …).
    pub why: String,
}

/// A holding at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenRecord {
    /// Whose.
    pub strategy: StrategyId,
    /// Position in [`Run::markets`].
    pub market: usize,
    /// Which outcome.
    pub outcome: Outcome,
    /// Shares.
    pub shares: Shares,
    /// Cost, fees included.
    pub cost: Usdc,
    /// What displayed depth would pay.
    pub mark: Usdc,
}

/// Equity at one time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct EquityRecord {
    /// When.
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
pub struct OrderRecord {
    /// Whose.
    pub strategy: StrategyId,
    /// Signals said.
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

/// Counts by (strategy or source) and code.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Codes {
    /// Candidates that strategies passed over.
    pub skips: BTreeMap<String, BTreeMap<String, u64>>,
    /// Signals dropped before anything acted on them.
    pub drops: BTreeMap<String, BTreeMap<String, u64>>,
    /// Denials of the risk gate.
    pub denials: BTreeMap<String, BTreeMap<String, u64>>,
    /// Refusals of the venue.
    pub rejects: BTreeMap<String, BTreeMap<String, u64>>,
    /// Ways orders ended.
    pub ends: BTreeMap<String, BTreeMap<String, u64>>,
    /// Exits that had to wait.
    pub exit_waits: BTreeMap<String, u64>,
    /// Things that should not happen often: failed settlements, illegal transitions.
    pub oddities: BTreeMap<String, u64>,
    /// Counters of the simulated exchange.
    pub exchange: BTreeMap<String, String>,
}

/// One opportunity from first to last sight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// Whose.
    pub strategy: StrategyId,
    /// `buy_pair`, `sell_pair`, `all_yes`, `all_no`.
    pub kind: String,
    /// Question or group.
    pub subject: String,
    /// First seen.
    pub started: Time,
    /// Last seen.
    pub ended: Time,
    /// Best edge after fees over the depth.
    pub best_edge: Usdc,
    /// Complete sets at that moment.
    pub best_sets: Shares,
    /// Best gross edge of one set in ten-thousandths of a dollar.
    pub best_gross_units: i32,
    /// Signals said for it.
    pub signals: u32,
    /// `signalled`, or why not, with figures.
    pub outcome: String,
}

/// One basket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Whose.
    pub strategy: StrategyId,
    /// As in [`EpisodeRecord::kind`].
    pub kind: String,
    /// Position in [`Run::markets`] of its first leg.
    pub market: usize,
    /// Sets wanted and reached.
    pub wanted: Shares,
    /// Sets reached.
    pub sets: Shares,
    /// Edge expected at the start.
    pub expected: Usdc,
    /// Started.
    pub started: Time,
    /// Ended.
    pub ended: Time,
    /// `merged`, `held`, `sold`, `nothing`, `unwound`, `carried`, …
    pub code: String,
}

/// Quality of what was replayed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DataQuality {
    /// Level changes that changed something, as the engine saw them.
    pub changes: u64,
    /// Mirrored or repeated ones.
    pub no_ops: u64,
    /// Batches.
    pub batches: u64,
    /// Batches after which a book was crossed.
    pub crossed: u64,
    /// Batches after which carried best prices differed.
    pub top_mismatches: u64,
    /// Grids inferred from off-grid prices.
    pub inferred_ticks: u64,
    /// Seconds × open markets looked at.
    pub book_ticks: u64,
    /// Those with a trusted book.
    pub trusted_ticks: u64,
    /// Markets without a resolution on the tape.
    pub unresolved_markets: u64,
}

/// A check of the run itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// With figures.
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
    /// Round trips.
    pub trades: u64,
    /// Fees.
    pub fees: Usdc,
}
