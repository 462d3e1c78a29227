//! What the exchange is like: delays, queue model, settlement, faults. It does not read files.

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
    /// Drawn from a piecewise linear quantile function in integer nanoseconds: from half the median
    /// up, through the median, a quarter of the way to `p99` at nine in ten, `p99`, and at most as
    /// far beyond `p99` as that is beyond the median.
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
    /// From placing until the order meets the book (signing, network, matching engine).
    pub insert: Delay,
    /// From cancelling or asking until the exchange acts.
    pub cancel: Delay,
    /// From what happens at the exchange until the engine hears of it.
    pub answer: Delay,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency {
            feed: Delay::sampled_millis(25, 150),
            insert: Delay::sampled_millis(60, 400),
            cancel: Delay::sampled_millis(45, 300),
            answer: Delay::sampled_millis(30, 200),
        }
    }
}

/// What moves a resting order forward in its queue besides prints.
///
/// Written as text: `"pessimistic"`, `"proportional"`, `"power 2"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum QueueModel {
    /// Nothing: every cancel is taken to come from behind us. Even a level that vanishes and comes
    /// back is taken to be ahead of us still.
    #[default]
    Pessimistic,
    /// Cancels come from before and behind us in proportion to the sizes there.
    Proportional,
    /// Cancels come from before us with weight `ahead^exponent` against `behind^exponent`.
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

/// How data become matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matching {
    /// An order that arrives while a batch of rows is being applied waits until it is complete; after
    /// this long without another row it is.
    #[serde(with = "span_text")]
    pub batch_timeout: Span,
    /// How far apart a print and the level change it caused may be. On recorded data the print
    /// follows the change by 15 to 40 ms. On tapes whose books are snapshots it wants to be a little
    /// more than the time between two of them, or a trade looks like a cancel as well.
    #[serde(with = "span_text")]
    pub netting_window: Span,
    /// A print that explains no recorded level change counts only for orders that had rested this
    /// long: the trade itself happened before it was published.
    #[serde(with = "span_text")]
    pub print_lag: Span,
    /// Whether `min_order_size` binds FOK and FAK too. Sources disagree; the stricter is the default.
    pub minimum_binds_immediate: bool,
}

impl Default for Matching {
    fn default() -> Matching {
        Matching {
            batch_timeout: Span::millis(5),
            netting_window: Span::millis(100),
            print_lag: Span::millis(50),
            minimum_binds_immediate: true,
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
    /// Millionths of the matches that are not even broadcast for a long time.
    pub stall_ppm: u32,
    /// How long that is, before `mined` begins.
    pub stall: Delay,
    /// Millionths of the matches that are tried again first (`RETRYING`).
    pub retry_ppm: u32,
    /// How long each retry takes.
    pub retry: Delay,
    /// Millionths of the matches that fail for good (ghost fills).
    pub fail_ppm: u32,
    /// Further millionths for matches whose price has meanwhile moved in our favour: the losing side
    /// is the one that gets away.
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
            fail_ppm: 500,
            winner_fail_ppm: 1_000,
        }
    }
}

/// What goes wrong on the way, each in millionths. All zero by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Placements that never arrive; the engine hears `Unknown`.
    pub lose_order_ppm: u32,
    /// Placements whose answer is lost although the exchange processed them.
    pub lose_answer_ppm: u32,
    /// Cancels that never arrive; the engine hears `Unknown`.
    pub lose_cancel_ppm: u32,
    /// Cancels whose confirmation is lost although the exchange processed them.
    pub lose_cancel_answer_ppm: u32,
    /// How long the engine waits before it takes an answer for lost.
    #[serde(with = "span_text")]
    pub answer_timeout: Span,
    /// Placements whose answer is slow, so that news of fills can overtake it.
    pub slow_answer_ppm: u32,
    /// How much slower.
    pub slow_answer: Delay,
    /// First news of fills that come late, possibly after the order's end was told.
    pub late_fill_ppm: u32,
    /// How much later.
    pub late_fill: Delay,
    /// Placements refused with "too many requests".
    pub throttle_ppm: u32,
    /// Matches of which the first report never comes; those of their settlement do.
    pub lose_fill_ppm: u32,
    /// Ends that nobody asked for (filled, rest killed, expired, market over) of which the report never
    /// comes. The end by a cancel has `lose_cancel_answer_ppm`.
    pub lose_end_ppm: u32,
    /// Stages of a settlement (mined, retrying, confirmed, failed) of which the report never comes.
    pub lose_settlement_ppm: u32,
    /// Splits, merges and redemptions, done or failed, of which the answer never comes.
    pub lose_conversion_ppm: u32,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            lose_order_ppm: 0,
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
pub struct Sets {
    /// From the command until it is final on the chain.
    pub delay: Delay,
    /// Millionths that fail; nothing moves.
    pub fail_ppm: u32,
    /// Whether resolved shares are redeemed without being asked.
    pub auto_redeem: bool,
    /// How long after the resolution.
    pub auto_redeem_delay: Delay,
}

impl Default for Sets {
    fn default() -> Sets {
        Sets {
            delay: Delay::sampled_millis(6_000, 30_000),
            fail_ppm: 0,
            auto_redeem: false,
            auto_redeem_delay: Delay::Constant(Span::secs(120)),
        }
    }
}

/// The makers' share of the fees.
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

/// What the exchange is like. The default is a cautious guess at the real one: no public source
/// states these delays and failure rates.
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
    /// What moves resting orders forward besides prints.
    pub queue: QueueModel,
    /// Whose rounding of market orders holds.
    pub rounding: Rounding,
    /// How data become matches.
    pub matching: Matching,
    /// How matches become final.
    pub settlement: Settlement,
    /// What goes wrong.
    pub faults: Faults,
    /// Splits, merges and redemptions.
    pub sets: Sets,
    /// The makers' share of the fees.
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
            sets: Sets::default(),
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

/// Why no exchange can be made.
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

/// Longest delay that makes sense, and one that keeps all sums of times inside the type.
const LONGEST: Span = Span::secs(7 * 86_400);

impl SimConfig {
    /// Everything certain and immediate: no delay, no fault, settlement at once. For tests.
    pub fn instant() -> SimConfig {
        SimConfig {
            latency: Latency {
                feed: Delay::NONE,
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
            sets: Sets { delay: Delay::NONE, auto_redeem_delay: Delay::NONE, ..Sets::default() },
            ..SimConfig::default()
        }
    }

    /// Every rule that is broken, all at once.
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
            ("sets.delay", self.sets.delay),
            ("sets.auto_redeem_delay", self.sets.auto_redeem_delay),
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
            ("matching.batch_timeout", self.matching.batch_timeout),
            ("matching.netting_window", self.matching.netting_window),
            ("matching.print_lag", self.matching.print_lag),
        ] {
            // Level changes are remembered for as long as the window: it bounds the memory.
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
            ("sets.fail_ppm", self.sets.fail_ppm),
        ] {
            demand(ppm <= 1_000_000, key, ppm.to_string(), "it must be 0 to 1 000 000 millionths");
        }
        if let QueueModel::Power { exponent } = self.queue {
            let rule = "it must be 1 to 8";
            demand((1..=8).contains(&exponent), "queue.power.exponent", exponent.to_string(), rule);
        }
        let least = self.rebates.least;
        demand(least >= Usdc::ZERO, "rebates.least", least.to_string(), "it must not be negative");
        if problems.is_empty() { Ok(()) } else { Err(SimError::Config(problems)) }
    }
}

fn sane(span: Span) -> bool {
    (Span::ZERO..=LONGEST).contains(&span)
}

/// What is left of an order below this is dust: the venue ends the order (cent truncation).
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
