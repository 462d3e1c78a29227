//! Where the money came from and went to, in steps that add up to the net to the micro-dollar.
//!
//! Every fill is valued along the path of its token's middle: at the fill, 30 s later, at the last
//! middle known. What no step explains is a step of its own; nothing is hidden in another one.

use std::collections::BTreeMap;

use polydesk_domain::{Outcome, Role, Side, TradeStatus, Usdc};
use serde::Serialize;

use crate::model::{FillRecord, Run};

/// Values are summed in twenty-thousandths of a micro-dollar (a doubled middle × shares) and rounded once a step.
const SCALE: i128 = 20_000;

/// Place of the 30 s middle in [`FillRecord::double_mid_later`].
const LATER_30_S: usize = 1;

/// The steps and the sum they have.
#[derive(Debug, Clone, Serialize)]
pub struct Waterfall {
    /// The steps in the order shown; they add up to `net` exactly.
    pub steps: Vec<Step>,
    /// Equity at the end minus money at the start.
    pub net: Usdc,
    /// Beside the sum: takers' slippage versus the middle when their order was decided (the step above
    /// is versus the middle at the fill; the difference is the price's move while the order travelled).
    pub slippage_since_decision: Usdc,
    /// Taker fills whose middle at decision is not known; they are missing in the figure above.
    pub slippage_unknown: usize,
    /// Fills that were reversed because their settlement failed; they count for nothing.
    pub failed_fills: usize,
    /// What those would have traded, in pUSD.
    pub failed_notional: Usdc,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Stable word for machines.
    pub key: &'static str,
    /// For people.
    pub name: &'static str,
    /// What is counted.
    pub definition: &'static str,
    /// pUSD, gains positive.
    pub amount: Usdc,
}

const STEPS: [(&str, &str, &str); 12] = [
    (
        "maker_spread",
        "spread captured",
        "maker fills: price versus the middle when the fill's news came",
    ),
    (
        "taker_slippage",
        "taker slippage",
        "taker fills: price versus the middle when the fill's news came",
    ),
    ("taker_fees", "taker fees", "fees of taker fills"),
    ("maker_fees", "maker fees", "fees of maker fills"),
    (
        "adverse_30s",
        "adverse selection",
        "the middle's move in the 30 s after each fill, against or for us",
    ),
    (
        "later_moves",
        "later price moves",
        "the middle's move from then to the last one known for the token",
    ),
    ("settlement", "settlement", "what resolutions and merged sets paid versus that last middle"),
    ("open_marks", "open holdings", "what displayed depth would pay versus that last middle"),
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
        "not attributed: splits and merges versus one dollar, money on its way, rounding",
    ),
];

/// Which fills count.
pub(crate) fn counts(fill: &FillRecord) -> bool {
    fill.status != TradeStatus::Failed
}

fn signed(side: Side) -> i128 {
    match side {
        Side::Buy => 1,
        Side::Sell => -1,
    }
}

/// What the shares are worth at a doubled middle, in units of [`SCALE`].
fn worth(double_mid: u32, shares: polydesk_domain::Shares) -> i128 {
    i128::from(double_mid) * i128::from(shares.micros())
}

fn money(amount: Usdc) -> i128 {
    i128::from(amount.micros()) * SCALE
}

type TokenKey = (usize, Outcome);

/// The last middle known for every token, by the latest fill that has one.
fn last_middles(fills: &[FillRecord]) -> BTreeMap<(usize, usize), u32> {
    let mut last = BTreeMap::new();
    for fill in fills.iter().filter(|fill| counts(fill)) {
        let later = fill.double_mid_later.iter().rev().find_map(|middle| *middle);
        if let Some(middle) = later.or(fill.double_mid_filled) {
            last.insert(key((fill.market, fill.outcome)), middle);
        }
    }
    last
}

fn key(token: TokenKey) -> (usize, usize) {
    (token.0, token.1.index())
}

pub(crate) fn waterfall(run: &Run) -> Waterfall {
    let mut sums = Sums::default();
    let last = last_middles(&run.fills);
    let (mut failed_fills, mut failed_notional) = (0, 0);
    for fill in &run.fills {
        if counts(fill) {
            sums.fill(fill, last.get(&key((fill.market, fill.outcome))).copied());
        } else {
            failed_fills += 1;
            failed_notional += i128::from(fill.notional.micros());
        }
    }
    for trade in run.trades.iter().filter(|trade| trade.exit_role.is_none()) {
        match last.get(&key((trade.market, trade.outcome))) {
            Some(&middle) => {
                sums.add("settlement", money(trade.proceeds) - worth(middle, trade.shares));
            }
            None => sums.add("no_middle", money(trade.proceeds)),
        }
    }
    for open in &run.open {
        match last.get(&key((open.market, open.outcome))) {
            Some(&middle) => sums.add("open_marks", money(open.mark) - worth(middle, open.shares)),
            None => sums.add("no_middle", money(open.mark)),
        }
    }
    sums.add("rebates", money(run.totals.rebates));
    sums.add("rewards", money(run.totals.rewards));
    let net = i128::from(run.totals.equity.micros()) - i128::from(run.starting_cash.micros());
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

    fn fill(&mut self, fill: &FillRecord, last: Option<u32>) {
        let sign = signed(fill.side);
        let (step, fees) = match fill.role {
            Role::Maker => ("maker_spread", "maker_fees"),
            Role::Taker => ("taker_slippage", "taker_fees"),
        };
        self.add(fees, -money(fill.fee));
        let Some(last) = last else {
            self.add("no_middle", -sign * money(fill.notional));
            return;
        };
        // A fill without a middle of its own is measured at the next one known.
        let later = fill.double_mid_later;
        let next = later.iter().find_map(|middle| *middle).unwrap_or(last);
        let at_fill = fill.double_mid_filled.unwrap_or(next);
        let after = later[LATER_30_S].unwrap_or(at_fill);
        let value = |middle: u32| worth(middle, fill.shares);
        self.add(step, sign * (value(at_fill) - money(fill.notional)));
        self.add("adverse_30s", sign * (value(after) - value(at_fill)));
        self.add("later_moves", sign * (value(last) - value(after)));
        if fill.role == Role::Taker {
            match fill.double_mid_decided {
                Some(middle) => {
                    self.since_decision += sign * (value(middle) - money(fill.notional));
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
