//! Configuration of the exchange: delays, queue model, settlement, faults. It does not read files.

use polydesk_domain::{Rounding, Shares, Span, Usdc};
use serde::{Deserialize, Serialize};

use crate::span_text;

/// A delay: always the same, or drawn from the seed.
///
/// Written as text: `"60ms"`, or `"60ms p99 400ms"` for a drawn one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Delay {
    /// Always this long.
    Constant(Span),
    /// Drawn from a piecewise linear quantile function in integer nanoseconds: half the median at 0, the
    /// median at 0.5, a quarter of the way to `p99` at 0.9, `p99` at 0.99, and as far beyond `p99` as
    /// `p99` is beyond the median at 1.
    Sampled {
        /// Half of all draws are not longer.
        median: Span,
        /// 99 of 100 draws are not longer.
        p99: Span,
    },
}

impl Delay {
    /// No delay.
    pub const NONE: Delay = Delay::Constant(Span::ZERO);
    /// Always so many milliseconds.
    pub const fn millis(millis: i64) -> Delay {
        Delay::Constant(Span::millis(millis))
    }
    /// Drawn, in milliseconds.
    pub const fn sampled_millis(median: i64, p99: i64) -> Delay {
        Delay::Sampled { median: Span::millis(median), p99: Span::millis(p99) }
    }
}

impl From<Delay> for String {
    fn from(delay: Delay) -> String {
        match delay {
            Delay::Constant(span) => span.to_string(),
            Delay::Sampled { median, p99 } => format!("{median} p99 {p99}"),
        }
    }
}

impl TryFrom<String> for Delay {
    type Error = String;
    fn try_from(text: String) -> Result<Delay, String> {
        let delay = match text.split_once("p99") {
            None => span_text::parse(&text).map(Delay::Constant),
            Some((median, p99)) => span_text::parse(median)
                .zip(span_text::parse(p99))
                .map(|(median, p99)| Delay::Sampled { median, p99 }),
        };
        delay.ok_or_else(|| {
            format!(
                "{text:?} is not a delay: write \"60ms\", or \"60ms p99 400ms\" for one that is drawn \
                 (units: ns, us, ms, s, min, h, d)"
            )
        })
    }
}

/// How long things take between engine and exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// From a market event at the exchange until the engine sees it.
    pub feed: Delay,
    /// How long a feed's delay lasts before it is another one: rows of one connection are late together. Only
    /// where `feed` is drawn.
    #[serde(with = "span_text")]
    pub feed_correlation: Span,
    /// From the place command until the order reaches the book (signing, network, matching engine).
    pub insert: Delay,
    /// From a cancel or a query until the exchange acts.
    pub cancel: Delay,
    /// From a change at the exchange until the engine receives its report.
    pub answer: Delay,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency {
            feed: Delay::sampled_millis(25, 150),
            feed_correlation: Span::millis(80),
            insert: Delay::sampled_millis(300, 900),
            cancel: Delay::sampled_millis(300, 900),
            answer: Delay::sampled_millis(40, 250),
        }
    }
}

/// What moves a resting order forward in its queue besides prints. In every model the queue ahead is at most
/// what the level shows.
///
/// The default is proportional: every share at the level is as likely to be cancelled as any other. It has no
/// exponent that would have to be measured on this venue, and for the usual order, with more ahead of it
/// than behind, it is slower than `power 2`. Pessimistic and power remain as the bounds.
///
/// Written as text: `"pessimistic"`, `"proportional"`, `"power 2"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum QueueModel {
    /// Nothing, as long as the shares ahead can still be there: every cancel comes from behind our order.
    Pessimistic,
    /// Cancels come from ahead of and behind our order in proportion to the sizes there.
    #[default]
    Proportional,
    /// Cancels come from ahead of our order with weight `ahead^exponent` against `behind^exponent`.
    Power {
        /// 1 (as proportional) to 8.
        exponent: u8,
    },
}

impl From<QueueModel> for String {
    fn from(model: QueueModel) -> String {
        match model {
            QueueModel::Pessimistic => "pessimistic".to_owned(),
            QueueModel::Proportional => "proportional".to_owned(),
            QueueModel::Power { exponent } => format!("power {exponent}"),
        }
    }
}

impl TryFrom<String> for QueueModel {
    type Error = String;
    fn try_from(text: String) -> Result<QueueModel, String> {
        match text.as_str() {
            "pessimistic" => return Ok(QueueModel::Pessimistic),
            "proportional" => return Ok(QueueModel::Proportional),
            _ => {}
        }
        let exponent = text.strip_prefix("power").and_then(|rest| rest.trim().parse().ok());
        exponent.map(|exponent| QueueModel::Power { exponent }).ok_or_else(|| {
            format!(
                "{text:?} is not a queue model: \"pessimistic\", \"proportional\" or \"power N\""
            )
        })
    }
}

/// When a displayed level offers shares again that our orders took from it.
///
/// The recording goes on showing what we took: nobody in it knows of our order. In every case the taken
/// shares count until the batch is complete that shows the level smaller, so a cancel with its replacement
/// in one batch offers nothing again.
///
/// Written as text: `"never"`, `"as shown"`, `"after 30s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Refill {
    /// Never: at each price only what is shown beyond all that we ever took there.
    Never,
    /// As the recording shows it: at most the displayed size counts as taken, so what a level grows by
    /// after it shrank is new.
    #[default]
    AsShown,
    /// As [`Refill::AsShown`], and everything so long after our last taking at the level: other makers
    /// have quoted again what we took.
    After(Span),
}

impl From<Refill> for String {
    fn from(refill: Refill) -> String {
        match refill {
            Refill::Never => "never".to_owned(),
            Refill::AsShown => "as shown".to_owned(),
            Refill::After(span) => format!("after {span}"),
        }
    }
}

impl TryFrom<String> for Refill {
    type Error = String;
    fn try_from(text: String) -> Result<Refill, String> {
        match text.as_str() {
            "never" => return Ok(Refill::Never),
            "as shown" => return Ok(Refill::AsShown),
            _ => {}
        }
        text.strip_prefix("after").and_then(span_text::parse).map(Refill::After).ok_or_else(|| {
            format!(
                "{text:?} is not a refill rule: \"never\", \"as shown\", or \"after 30s\" (units: \
                 ns, us, ms, s, min, h, d)"
            )
        })
    }
}

/// With which book a taker trades where a tape holds snapshots only: it is up to a second old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotTakers {
    /// With the last snapshot, at once.
    #[default]
    Last,
    /// With the worse of the last and the next snapshot, when the next one comes: at each price no more than
    /// both show down to it. Until then the order is reported as delayed.
    Worse,
}

/// How market data become matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matching {
    /// An order that arrives during a batch of rows waits until the batch is complete, at the latest this
    /// long after its last row.
    #[serde(with = "span_text")]
    pub batch_timeout: Span,
    /// The longest time, by the venue's clock, between a print and the level change it caused. In recorded
    /// data the print follows the change by 15 to 40 ms. A level change waits as long for its print before it
    /// counts as a cancel; when the row of a print comes later it is counted, does not move the queue again,
    /// and the wait of this run grows to its lag.
    #[serde(with = "span_text")]
    pub netting_window: Span,
    /// The most that wait grows to; a later print counts as a trade of its own. Rows of the bundled
    /// recordings are up to 2.5 s late.
    #[serde(with = "span_text")]
    pub netting_wait_most: Span,
    /// A print that explains no recorded level change fills only orders that have rested this long: the
    /// trade happened before it was published.
    #[serde(with = "span_text")]
    pub print_lag: Span,
    /// Whether `min_order_size` applies to FOK and FAK too. Sources disagree; the default is the stricter
    /// rule.
    pub minimum_binds_immediate: bool,
    /// When a level offers again what we took from it.
    pub refill: Refill,
    /// Whether a taker delay that is not recorded follows from category and date: sports 1 s, crypto up or
    /// down 150 ms since 2026-09-04 (50 ms since 2026-08-17, 250 ms since 2026-06-05). If not, it is none.
    pub assume_taker_delay: bool,
    /// With which book a taker trades on tapes of snapshots.
    pub snapshot_takers: SnapshotTakers,
    /// Percent of each displayed level that a taker of ours finds, 1 to 100: others see the same level and are
    /// under way to it.
    pub depth_percent: u8,
}

impl Default for Matching {
    fn default() -> Matching {
        Matching {
            batch_timeout: Span::millis(5),
            netting_window: Span::millis(100),
            netting_wait_most: Span::secs(5),
            print_lag: Span::millis(50),
            minimum_binds_immediate: true,
            refill: Refill::default(),
            assume_taker_delay: true,
            snapshot_takers: SnapshotTakers::default(),
            depth_percent: 100,
        }
    }
}

/// How matches become final, and how often they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settlement {
    /// From the match until it is in a block.
    pub mined: Delay,
    /// From there until it is final.
    pub confirmed: Delay,
    /// Millionths of the matches that are not broadcast for a long time.
    pub stall_ppm: u32,
    /// That time, before `mined` begins.
    pub stall: Delay,
    /// Millionths of the matches that are retried before they are mined (`RETRYING`).
    pub retry_ppm: u32,
    /// How long each retry takes.
    pub retry: Delay,
    /// Millionths of the matches that fail for good (ghost fills).
    pub fail_ppm: u32,
    /// Further millionths of the matches whose price has moved in our favour since: the losing side is the
    /// one that fails to deliver.
    pub winner_fail_ppm: u32,
}

impl Default for Settlement {
    fn default() -> Settlement {
        Settlement {
            mined: Delay::sampled_millis(2_500, 9_000),
            confirmed: Delay::sampled_millis(4_000, 20_000),
            stall_ppm: 500,
            stall: Delay::sampled_millis(30_000, 600_000),
            retry_ppm: 2_000,
            retry: Delay::sampled_millis(5_000, 30_000),
            fail_ppm: 20_000,
            winner_fail_ppm: 80_000,
        }
    }
}

/// Faults on the way between engine and exchange, in millionths. All but lost orders are zero by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Placements that never arrive; `Unknown` is reported after the timeout.
    pub lose_order_ppm: u32,
    /// Placements that the exchange processes and whose answer is lost.
    pub lose_answer_ppm: u32,
    /// Cancels that never arrive; `Unknown` is reported after the timeout.
    pub lose_cancel_ppm: u32,
    /// Cancels that the exchange processes and whose answer is lost.
    pub lose_cancel_answer_ppm: u32,
    /// The engine's response timeout: after it, a lost answer is reported as `Unknown`.
    #[serde(with = "span_text")]
    pub answer_timeout: Span,
    /// Placements whose answer is slow, so that reports of fills can overtake it.
    pub slow_answer_ppm: u32,
    /// Additional delay of the response.
    pub slow_answer: Delay,
    /// Fills whose first report is late, possibly after that of the order's end.
    pub late_fill_ppm: u32,
    /// Additional delay of the fill.
    pub late_fill: Delay,
    /// Placements refused as rate limited.
    pub throttle_ppm: u32,
    /// Matches whose first report is lost; those of their settlement are not.
    pub lose_fill_ppm: u32,
    /// Ends without a cancel (filled, rest killed, expired, market over) whose report is lost. For the end
    /// by a cancel see `lose_cancel_answer_ppm`.
    pub lose_end_ppm: u32,
    /// Settlement stages (mined, retrying, confirmed, failed) whose report is lost.
    pub lose_settlement_ppm: u32,
    /// Splits, merges and redemptions, done or failed, whose answer is lost.
    pub lose_conversion_ppm: u32,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            lose_order_ppm: 10_000,
            lose_answer_ppm: 0,
            lose_cancel_ppm: 0,
            lose_cancel_answer_ppm: 0,
            answer_timeout: Span::secs(5),
            slow_answer_ppm: 0,
            slow_answer: Delay::sampled_millis(500, 3_000),
            late_fill_ppm: 0,
            late_fill: Delay::sampled_millis(1_000, 10_000),
            throttle_ppm: 0,
            lose_fill_ppm: 0,
            lose_end_ppm: 0,
            lose_settlement_ppm: 0,
            lose_conversion_ppm: 0,
        }
    }
}

/// Splits, merges and redemptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conversions {
    /// From the arrival of the command until it is final on the chain.
    pub delay: Delay,
    /// Millionths that fail; nothing moves.
    pub fail_ppm: u32,
    /// Whether the venue redeems resolved shares without a command.
    pub auto_redeem: bool,
    /// How long after the resolution.
    pub auto_redeem_delay: Delay,
}

impl Default for Conversions {
    fn default() -> Conversions {
        Conversions {
            delay: Delay::sampled_millis(6_000, 30_000),
            fail_ppm: 0,
            auto_redeem: false,
            auto_redeem_delay: Delay::Constant(Span::secs(120)),
        }
    }
}

/// Rebates: the makers' share of the fees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rebates {
    /// Whether they are paid at all.
    pub paid: bool,
    /// The least that is paid per market and day; less is forfeited.
    pub least: Usdc,
    /// How long after the end of the day (UTC).
    #[serde(with = "span_text")]
    pub delay: Span,
}

impl Default for Rebates {
    fn default() -> Rebates {
        Rebates { paid: true, least: Usdc::whole(1), delay: Span::secs(3_600) }
    }
}

/// Configuration of the exchange. The default is a cautious guess: no public source states the delays and
/// failure rates of the real one.
///
/// In a file only what differs from the default is written; lengths of time are text with a unit.
///
/// ```
/// let config: polydesk_sim::SimConfig = toml::from_str(
///     r#"
///     starting_cash = "2500"
///     queue = "power 3"                      # or "pessimistic", "proportional"
///     [latency]
///     insert = "60ms p99 400ms"
///     cancel = "45ms"
///     [faults]
///     lose_answer_ppm = 5000                 # one answer in two hundred
///     "#,
/// )
/// .unwrap();
/// assert_eq!(config.check(), Ok(()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// pUSD we begin with.
    pub starting_cash: Usdc,
    /// Delays between engine and exchange.
    pub latency: Latency,
    /// What moves resting orders forward in their queue besides prints.
    pub queue: QueueModel,
    /// Which rounding of market orders applies.
    pub rounding: Rounding,
    /// How market data become matches.
    pub matching: Matching,
    /// How matches become final.
    pub settlement: Settlement,
    /// Faults.
    pub faults: Faults,
    /// Splits, merges and redemptions.
    pub conversions: Conversions,
    /// Rebates: the makers' share of the fees.
    pub rebates: Rebates,
}

impl Default for SimConfig {
    fn default() -> SimConfig {
        SimConfig {
            starting_cash: Usdc::whole(1_000),
            latency: Latency::default(),
            queue: QueueModel::default(),
            rounding: Rounding::default(),
            matching: Matching::default(),
            settlement: Settlement::default(),
            faults: Faults::default(),
            conversions: Conversions::default(),
            rebates: Rebates::default(),
        }
    }
}

/// One value that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}; {rule}")]
pub struct Problem {
    /// Path of the key, such as `latency.insert.p99`.
    pub key: String,
    /// What it is.
    pub value: String,
    /// What it must be.
    pub rule: &'static str,
}

/// Why an exchange cannot be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// The configuration breaks rules; all of them are listed.
    #[error("{}", list(.0))]
    Config(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("; ")
}

/// The longest delay: it keeps all sums of times inside the type.
const LONGEST: Span = Span::secs(7 * 86_400);

impl SimConfig {
    /// No delay, no fault, immediate settlement. For tests.
    pub fn instant() -> SimConfig {
        SimConfig {
            latency: Latency {
                feed: Delay::NONE,
                feed_correlation: Span::millis(80),
                insert: Delay::NONE,
                cancel: Delay::NONE,
                answer: Delay::NONE,
            },
            matching: Matching {
                batch_timeout: Span::ZERO,
                print_lag: Span::ZERO,
                ..Matching::default()
            },
            settlement: Settlement {
                mined: Delay::NONE,
                confirmed: Delay::NONE,
                stall_ppm: 0,
                stall: Delay::NONE,
                retry_ppm: 0,
                retry: Delay::NONE,
                fail_ppm: 0,
                winner_fail_ppm: 0,
            },
            faults: Faults { lose_order_ppm: 0, ..Faults::default() },
            conversions: Conversions {
                delay: Delay::NONE,
                auto_redeem_delay: Delay::NONE,
                ..Conversions::default()
            },
            ..SimConfig::default()
        }
    }

    /// Checks all rules.
    ///
    /// # Errors
    /// Every rule that is broken, in one error.
    pub fn check(&self) -> Result<(), SimError> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, key: &str, value: String, rule: &'static str| {
            if !holds {
                problems.push(Problem { key: key.to_owned(), value, rule });
            }
        };
        let cash = self.starting_cash;
        demand(
            (Usdc::ZERO..=Usdc::whole(1_000_000_000)).contains(&cash),
            "starting_cash",
            cash.to_string(),
            "it must be 0 to 1 000 000 000 pUSD",
        );
        let span_rule = "it must be 0s to 7d";
        for (key, delay) in [
            ("latency.feed", self.latency.feed),
            ("latency.insert", self.latency.insert),
            ("latency.cancel", self.latency.cancel),
            ("latency.answer", self.latency.answer),
            ("settlement.mined", self.settlement.mined),
            ("settlement.confirmed", self.settlement.confirmed),
            ("settlement.stall", self.settlement.stall),
            ("settlement.retry", self.settlement.retry),
            ("faults.slow_answer", self.faults.slow_answer),
            ("faults.late_fill", self.faults.late_fill),
            ("conversions.delay", self.conversions.delay),
            ("conversions.auto_redeem_delay", self.conversions.auto_redeem_delay),
        ] {
            match delay {
                Delay::Constant(span) => {
                    demand(sane(span), key, span.to_string(), span_rule);
                }
                Delay::Sampled { median, p99 } => {
                    let (low, high) =
                        (format!("{key}.sampled.median"), format!("{key}.sampled.p99"));
                    demand(sane(median), &low, median.to_string(), span_rule);
                    demand(sane(p99), &high, p99.to_string(), span_rule);
                    let rule = "it must not be below the median";
                    demand(p99 >= median, &high, p99.to_string(), rule);
                }
            }
        }
        for (key, span) in [
            ("faults.answer_timeout", self.faults.answer_timeout),
            ("rebates.delay", self.rebates.delay),
        ] {
            demand(sane(span), key, span.to_string(), span_rule);
        }
        for (key, span) in [
            ("latency.feed_correlation", self.latency.feed_correlation),
            ("matching.batch_timeout", self.matching.batch_timeout),
            ("matching.netting_window", self.matching.netting_window),
            ("matching.netting_wait_most", self.matching.netting_wait_most),
            ("matching.print_lag", self.matching.print_lag),
        ] {
            // Level changes are kept for as long as the netting window: it bounds the memory.
            let short = (Span::ZERO..=Span::secs(60)).contains(&span);
            demand(short, key, span.to_string(), "it must be 0s to 60s");
        }
        for (key, ppm) in [
            ("settlement.stall_ppm", self.settlement.stall_ppm),
            ("settlement.retry_ppm", self.settlement.retry_ppm),
            ("settlement.fail_ppm", self.settlement.fail_ppm),
            ("settlement.winner_fail_ppm", self.settlement.winner_fail_ppm),
            ("faults.lose_order_ppm", self.faults.lose_order_ppm),
            ("faults.lose_answer_ppm", self.faults.lose_answer_ppm),
            ("faults.lose_cancel_ppm", self.faults.lose_cancel_ppm),
            ("faults.lose_cancel_answer_ppm", self.faults.lose_cancel_answer_ppm),
            ("faults.slow_answer_ppm", self.faults.slow_answer_ppm),
            ("faults.late_fill_ppm", self.faults.late_fill_ppm),
            ("faults.throttle_ppm", self.faults.throttle_ppm),
            ("faults.lose_fill_ppm", self.faults.lose_fill_ppm),
            ("faults.lose_end_ppm", self.faults.lose_end_ppm),
            ("faults.lose_settlement_ppm", self.faults.lose_settlement_ppm),
            ("faults.lose_conversion_ppm", self.faults.lose_conversion_ppm),
            ("conversions.fail_ppm", self.conversions.fail_ppm),
        ] {
            demand(ppm <= 1_000_000, key, ppm.to_string(), "it must be 0 to 1 000 000 millionths");
        }
        if let QueueModel::Power { exponent } = self.queue {
            let rule = "it must be 1 to 8";
            demand((1..=8).contains(&exponent), "queue.power.exponent", exponent.to_string(), rule);
        }
        demand(
            self.matching.netting_wait_most >= self.matching.netting_window,
            "matching.netting_wait_most",
            self.matching.netting_wait_most.to_string(),
            "it must not be below matching.netting_window",
        );
        let percent = self.matching.depth_percent;
        demand(
            (1..=100).contains(&percent),
            "matching.depth_percent",
            percent.to_string(),
            "it must be 1 to 100 percent",
        );
        if let Refill::After(span) = self.matching.refill {
            demand(sane(span), "matching.refill", format!("after {span}"), "it must be 0s to 7d");
        }
        let least = self.rebates.least;
        demand(least >= Usdc::ZERO, "rebates.least", least.to_string(), "it must not be negative");
        if problems.is_empty() { Ok(()) } else { Err(SimError::Config(problems)) }
    }
}

fn sane(span: Span) -> bool {
    (Span::ZERO..=LONGEST).contains(&span)
}

/// The venue ends an order whose rest is below this (cent truncation).
pub(crate) const DUST: Shares = Shares::new(10_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broken_rule_is_named_at_once() {
        let config = SimConfig {
            starting_cash: Usdc::whole(-1),
            latency: Latency { insert: Delay::sampled_millis(50, 20), ..Latency::default() },
            queue: QueueModel::Power { exponent: 0 },
            settlement: Settlement { fail_ppm: 1_000_001, ..Settlement::default() },
            faults: Faults { lose_end_ppm: u32::MAX, ..Faults::default() },
            matching: Matching { netting_window: Span::secs(61), ..Matching::default() },
            ..SimConfig::default()
        };
        let text = config.check().unwrap_err().to_string();
        for part in [
            "starting_cash is -1.00; it must be 0 to 1 000 000 000 pUSD",
            "latency.insert.sampled.p99 is 20ms; it must not be below the median",
            "settlement.fail_ppm is 1000001; it must be 0 to 1 000 000 millionths",
            "faults.lose_end_ppm is 4294967295; it must be 0 to 1 000 000 millionths",
            "queue.power.exponent is 0; it must be 1 to 8",
            "matching.netting_window is 61s; it must be 0s to 60s",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
        assert_eq!(SimConfig::default().check(), Ok(()));
        assert_eq!(SimConfig::instant().check(), Ok(()));
    }

    #[test]
    fn a_configuration_survives_its_text_and_refuses_unknown_keys() {
        let config = SimConfig { queue: QueueModel::Power { exponent: 3 }, ..SimConfig::default() };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<SimConfig>(&text).unwrap(), config);
        let given = "starting_cash = \"250\"\nqueue = \"proportional\"\n\
                     [latency]\ninsert = \"80ms\"\n";
        let config: SimConfig = toml::from_str(given).unwrap();
        assert_eq!(config.starting_cash, Usdc::whole(250));
        assert_eq!(config.latency.insert, Delay::millis(80));
        for bad in ["cash = 1", "[latency]\ninsert = \"80\"", "[faults]\nlose = 1"] {
            assert!(toml::from_str::<SimConfig>(bad).is_err(), "{bad}");
        }
    }
}
