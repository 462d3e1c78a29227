//! Where the money came from and went to, in steps that add up to the net to the micro-dollar.
//!
//! Every fill is valued along the path of its token's middle in exchange time: at the match, when the fill became
//! known, 30 s after the match, at the last mid price known. So the delay of a report moves money between two
//! steps that name it, and what was captured at the match does not depend on it. The unexplained part is a step of
//! its own and not hidden in another one.

use std::collections::BTreeMap;

use polydesk_domain::{Role, Shares, Side, Span, Time, TokenId, Usdc};
use serde::Serialize;

use super::markouts::HORIZONS;
use crate::model::{MarkedFill, Run};

/// Values are summed in twenty-thousandths of a micro-dollar (a doubled middle × shares) and rounded once a step.
const SCALE: i128 = 20_000;

/// Place of the 30 s middle in [`MarkedFill::double_mid_later`].
const LATER_30_S: usize = 1;

/// The steps and the sum they have.
#[derive(Debug, Clone, Serialize)]
pub struct Waterfall {
    /// The steps in the order shown; they add up to `net` exactly.
    pub steps: Vec<Step>,
    /// Equity at the end minus money at the start.
    pub net: Usdc,
    /// Beside the sum: takers' slippage versus the middle when their order was decided (the step above
    /// is versus the middle at the match; the difference is the price's move while the order travelled).
    pub slippage_since_decision: Usdc,
    /// Taker fills whose middle at decision is not known; they are missing in the figure above.
    pub slippage_unknown: usize,
    /// Fills that were reversed because their settlement failed; they count for nothing.
    pub failed_fills: usize,
    /// Notional of those fills, in pUSD.
    pub failed_notional: Usdc,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Stable word for machines.
    pub key: &'static str,
    /// As shown.
    pub name: &'static str,
    /// Definition of the step, as printed.
    pub definition: &'static str,
    /// pUSD, gains positive.
    pub amount: Usdc,
}

const STEPS: [(&str, &str, &str); 13] = [
    (
        "maker_spread",
        "spread captured",
        "maker fills: price versus the middle of the exchange's book that the trade met",
    ),
    (
        "taker_slippage",
        "taker slippage",
        "taker fills: price versus the middle of the exchange's book on arrival",
    ),
    ("taker_fees", "taker fees", "fees of taker fills"),
    ("maker_fees", "maker fees", "fees of maker fills"),
    (
        "until_known",
        "moves until known",
        "the middle's move from there to the time the fill was known, what the trade itself moved included",
    ),
    (
        "adverse_30s",
        "adverse selection",
        "the middle's move from then to 30 s after each match, against or for us",
    ),
    (
        "later_moves",
        "later price moves",
        "the middle's move from then to the last one known for the token",
    ),
    ("settlement", "settlement", "what resolutions and merged sets paid versus that last middle"),
    (
        "open_marks",
        "depth versus middle",
        "what displayed depth would pay for open holdings versus that last middle",
    ),
    (
        "no_middle",
        "no middle known",
        "all results in tokens for which no middle is known, fees apart",
    ),
    ("rebates", "maker rebates", "received"),
    ("rewards", "rewards", "received"),
    (
        "remainder",
        "remainder",
        "not attributed: splits and merges versus one dollar, money in flight, rounding",
    ),
];

fn signed(side: Side) -> i128 {
    match side {
        Side::Buy => 1,
        Side::Sell => -1,
    }
}

/// Value of the shares at a mid price (given as bid + ask), in units of [`SCALE`].
fn worth(double_mid: u32, shares: Shares) -> i128 {
    i128::from(double_mid) * i128::from(shares.micros())
}

fn money(amount: Usdc) -> i128 {
    i128::from(amount.micros()) * SCALE
}

/// The last middle known for every token: of all its fills' middles the last in time, of one time the later fill's.
fn last_middles(fills: &[MarkedFill]) -> BTreeMap<TokenId, u32> {
    let mut last = BTreeMap::<TokenId, (Time, u32)>::new();
    for fill in fills.iter().filter(|fill| fill.counts()) {
        let later = HORIZONS[1..].iter().zip(fill.double_mid_later);
        let later =
            later.map(|(secs, middle)| (fill.matched_at + Span::secs(i64::from(*secs)), middle));
        let own = [(fill.matched_at, fill.double_mid_matched), (fill.at, fill.double_mid_known)];
        for (at, middle) in own.into_iter().chain(later) {
            let Some(middle) = middle else { continue };
            let known = last.entry(fill.record.token).or_insert((at, middle));
            if at >= known.0 {
                *known = (at, middle);
            }
        }
    }
    last.into_iter().map(|(token, (_, middle))| (token, middle)).collect()
}

/// Equity at the end minus money at the start, in micro-dollars.
pub(crate) fn net(run: &Run) -> i128 {
    i128::from(run.totals.equity.micros()) - i128::from(run.starting_cash.micros())
}

pub(crate) fn waterfall(run: &Run) -> Waterfall {
    let mut sums = Sums::default();
    let last = last_middles(&run.fills);
    let (mut failed_fills, mut failed_notional) = (0, 0);
    for fill in &run.fills {
        if fill.counts() {
            sums.fill(fill, last.get(&fill.record.token).copied());
        } else {
            failed_fills += 1;
            failed_notional += i128::from(fill.record.fill.notional.micros());
        }
    }
    for trip in run.round_trips.iter().filter(|trip| trip.exit_role.is_none()) {
        match last.get(&trip.token) {
            Some(&middle) => {
                sums.add("settlement", money(trip.proceeds) - worth(middle, trip.shares));
            }
            None => sums.add("no_middle", money(trip.proceeds)),
        }
    }
    for open in &run.open {
        match last.get(&open.token) {
            Some(&middle) => sums.add("open_marks", money(open.mark) - worth(middle, open.shares)),
            None => sums.add("no_middle", money(open.mark)),
        }
    }
    sums.add("rebates", money(run.totals.rebates));
    sums.add("rewards", money(run.totals.rewards));
    let net = net(run);
    Waterfall {
        steps: sums.steps(net),
        net: saturated(net),
        slippage_since_decision: saturated(sums.since_decision.div_euclid(SCALE)),
        slippage_unknown: sums.decision_unknown,
        failed_fills,
        failed_notional: saturated(failed_notional),
    }
}

/// An amount of pUSD; an absurd one ends at the type's border instead of wrapping.
pub(crate) fn saturated(micros: i128) -> Usdc {
    Usdc::new(micros.clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX)) as i64)
}

/// Adds the steps of several runs; the sums stay exact.
pub(crate) fn total<'a>(all: impl Iterator<Item = &'a Waterfall>) -> Waterfall {
    let mut amounts = [0i128; STEPS.len()];
    let (mut net, mut slip, mut notional) = (0i128, 0i128, 0i128);
    let (mut unknown, mut failed) = (0, 0);
    for one in all {
        for (sum, step) in amounts.iter_mut().zip(&one.steps) {
            *sum += i128::from(step.amount.micros());
        }
        net += i128::from(one.net.micros());
        slip += i128::from(one.slippage_since_decision.micros());
        notional += i128::from(one.failed_notional.micros());
        unknown += one.slippage_unknown;
        failed += one.failed_fills;
    }
    let step =
        |((key, name, definition), amount): (&(&'static str, &'static str, &'static str), i128)| {
            Step { key, name, definition, amount: saturated(amount) }
        };
    Waterfall {
        steps: STEPS.iter().zip(amounts).map(step).collect(),
        net: saturated(net),
        slippage_since_decision: saturated(slip),
        slippage_unknown: unknown,
        failed_fills: failed,
        failed_notional: saturated(notional),
    }
}

#[derive(Default)]
struct Sums {
    by_key: BTreeMap<&'static str, i128>,
    since_decision: i128,
    decision_unknown: usize,
}

impl Sums {
    fn add(&mut self, key: &'static str, amount: i128) {
        *self.by_key.entry(key).or_default() += amount;
    }

    fn fill(&mut self, fill: &MarkedFill, last: Option<u32>) {
        let (record, paid) = (&fill.record, &fill.record.fill);
        let sign = signed(record.side);
        let (step, fees) = match record.role {
            Role::Maker => ("maker_spread", "maker_fees"),
            Role::Taker => ("taker_slippage", "taker_fees"),
        };
        self.add(fees, -money(paid.fee));
        let Some(last) = last else {
            self.add("no_middle", -sign * money(paid.notional));
            return;
        };
        // A match without a middle of its own is measured at the next one known.
        let later = fill.double_mid_later;
        let next = later.iter().find_map(|middle| *middle).unwrap_or(last);
        let matched = fill.double_mid_matched.or(fill.double_mid_known).unwrap_or(next);
        let known = fill.double_mid_known.unwrap_or(matched);
        let after = later[LATER_30_S].unwrap_or(known);
        let value = |middle: u32| worth(middle, paid.shares);
        self.add(step, sign * (value(matched) - money(paid.notional)));
        self.add("until_known", sign * (value(known) - value(matched)));
        self.add("adverse_30s", sign * (value(after) - value(known)));
        self.add("later_moves", sign * (value(last) - value(after)));
        if record.role == Role::Taker {
            match record.double_mid_decided {
                Some(middle) => {
                    self.since_decision += sign * (value(middle) - money(paid.notional));
                }
                None => self.decision_unknown += 1,
            }
        }
    }

    /// The steps, each rounded down; the remainder takes the rest of `net`.
    fn steps(&self, net: i128) -> Vec<Step> {
        let mut left = net;
        let mut steps = Vec::new();
        for (key, name, definition) in STEPS {
            let amount = if key == "remainder" {
                saturated(left)
            } else {
                let sum = self.by_key.get(key).copied().unwrap_or(0);
                saturated(sum.div_euclid(SCALE))
            };
            left -= i128::from(amount.micros());
            steps.push(Step { key, name, definition, amount });
        }
        steps
    }
}
