//! The report of a run before it is judged: facts only, nothing computed that could be computed from them.

use std::collections::BTreeMap;

use polydesk_domain::{
    BasketEnd, ClosedTrade, Code, ConditionId, FillRecord, Opportunity, Outcome, Shares, Span,
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
    /// How late rows reached the engine.
    pub feed: Feed,
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
    /// Maker rebates received, by market.
    pub rebates: Vec<MarketRebate>,
    /// Equity over time, at most 20 000 points, in order: for drawing. Long runs keep the lowest and highest
    /// of each stretch.
    pub equity: Vec<EquityPoint>,
    /// Extremes of equity and locked capital over every sample.
    pub extremes: Extremes,
    /// Latched loss limits and critical notes in order, at most 100.
    pub alarms: Vec<Alarm>,
    /// Alarms that are not among them.
    pub alarms_left_out: u64,
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
    /// The run over several seeds of the exchange; its details are those of the seed with the median net.
    pub draws: Band,
    /// The same under a slower exchange, as set, and under a faster one; empty when not asked for.
    pub bands: Vec<Band>,
    /// The same with every delay scaled, in the order of the factors; empty when not asked for.
    pub latency: Vec<Band>,
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

/// Maker rebates of one market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketRebate {
    /// As in [`Run::markets`].
    pub market: ConditionId,
    /// Received, in pUSD.
    pub amount: Usdc,
}

/// Extremes of equity and locked capital; none of them depends on how the curve is thinned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Extremes {
    /// Lowest equity, the money at the start included.
    pub lowest: Usdc,
    /// Highest equity, the money at the start included.
    pub highest: Usdc,
    /// Most capital locked at once: holdings at cost plus what open buys may take.
    pub peak_locked: Usdc,
    /// Mean of locked capital over time.
    pub mean_locked: Usdc,
    /// The deepest fall; `None` when equity never fell.
    pub fall: Option<Fall>,
    /// From the first to the last sample.
    pub observed: Span,
    /// How much of it some capital was locked.
    pub exposed: Span,
    /// Midnight (UTC) before the day with the largest loss of equity, and its change; `None` when none lost.
    pub worst_day: Option<(Time, Usdc)>,
}

/// A fall of equity from a peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fall {
    /// Equity at the peak.
    pub peak: Usdc,
    /// When it was first reached.
    pub peak_at: Time,
    /// Equity at the bottom.
    pub bottom: Usdc,
    /// When it was first reached.
    pub bottom_at: Time,
    /// When the peak was reached again; `None` when it was not.
    pub recovered: Option<Time>,
}

/// A latched loss limit or a critical note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Engine time.
    pub at: Time,
    /// `latch`, `reset` (of a latch) or `critical`.
    pub kind: String,
    /// Code of the latch or the note.
    pub code: Code,
    /// The loss when it latched, or the note.
    pub text: String,
}

/// A fill with its markouts and settlement. Middles are those of the exchange's own book in exchange time, as
/// bid + ask in ten-thousandths of a dollar; `None` where that book was not usable or one-sided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarkedFill {
    /// When it became known.
    pub at: Time,
    /// When it was matched at the exchange.
    pub matched_at: Time,
    /// As it was first reported; `record.status` is of that time, and `record.double_mid` the engine's view.
    pub record: FillRecord,
    /// Its last settlement state; `failed` fills were reversed and count for nothing else.
    pub settlement: TradeStatus,
    /// At the match: of the book that the trade met, before its batch for a maker, on arrival for a taker.
    pub double_mid_matched: Option<u32>,
    /// When it became known.
    pub double_mid_known: Option<u32>,
    /// 5 s, 30 s, 60 s and 300 s after the match; `None` also in a silence of the tape and after its end.
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

/// How late rows reached the engine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Feed {
    /// Half of the rows were no later, in milliseconds.
    pub median_ms: Option<i64>,
    /// 99 of 100 were no later, in milliseconds.
    pub p99_ms: Option<i64>,
    /// Rows whose receive time is recorded.
    pub received: u64,
    /// Of these, rows received no later than the venue sent them.
    pub not_later: u64,
}

/// The same run over several seeds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Band {
    /// `slower exchange`, `as set`, `faster exchange`, `latency x 2`.
    pub name: String,
    /// Its settings in words.
    pub settings: String,
    /// How many seeds.
    pub seeds: u64,
    /// Equity at the end minus money at the start.
    pub net: Spread<Usdc>,
    /// Fills that did not fail.
    pub fills: Spread<u64>,
    /// Finished round trips.
    pub round_trips: Spread<u64>,
    /// Fees, in pUSD.
    pub fees: Spread<Usdc>,
}

/// A figure over several seeds. Values between two seeds are interpolated and rounded towards zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread<T> {
    /// Below this lie 5 % of the seeds.
    pub low: T,
    /// The middle.
    pub median: T,
    /// Above this lie 5 % of the seeds.
    pub high: T,
}

impl Spread<i64> {
    /// Of these values; zero without any.
    pub fn of(mut values: Vec<i64>) -> Spread<i64> {
        values.sort_unstable();
        let at = |percent: usize| {
            let place = values.len().saturating_sub(1) * percent;
            let (index, part) = (place / 100, (place % 100) as i128);
            let low = values.get(index).copied().unwrap_or_default();
            let high = values.get(index + 1).copied().unwrap_or(low);
            let (low, high) = (i128::from(low), i128::from(high));
            // Between two values of the kind.
            (low + (high - low) * part / 100) as i64
        };
        Spread { low: at(5), median: at(50), high: at(95) }
    }
}

impl<T> Spread<T> {
    /// The same in another unit.
    pub fn map<U>(self, unit: impl Fn(T) -> U) -> Spread<U> {
        let Spread { low, median, high } = self;
        Spread { low: unit(low), median: unit(median), high: unit(high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_over_seeds_is_the_middle_nine_tenths() {
        for (values, want) in [
            (vec![], [0, 0, 0]),
            (vec![7], [7, 7, 7]),
            (vec![20, 0], [1, 10, 19]),
            (vec![3, 1, 2, 5, 4, 9, 7, 8, 6], [1, 5, 8]),
            (vec![-100, 0, 100], [-90, 0, 90]),
            ((0..=20).rev().collect(), [1, 10, 19]),
            (vec![i64::MIN, i64::MAX], [-8301034833169298228, -1, 8301034833169298226]),
        ] {
            let Spread { low, median, high } = Spread::of(values.clone());
            assert_eq!([low, median, high], want, "{values:?}");
        }
    }
}
