//! Concentration of the result: events, single trades, streaks and open holdings.

use std::collections::BTreeMap;

use polydesk_domain::{ConditionId, Usdc};
use serde::Serialize;

use super::stats::Ratio;
use super::waterfall::saturated;
use crate::markets::{Cluster, Markets, group};
use crate::model::Run;

/// Risk figures of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Risk {
    /// The event (or neg-risk group) that lost most, finished and open together; `null` when none lost.
    pub worst_event: Option<EventResult>,
    /// Share of the gross profit made by the best round trip, in percent.
    pub top1_percent: Ratio,
    /// Share of the gross profit made by the five best round trips, in percent.
    pub top5_percent: Ratio,
    /// Gross profit divided by gross loss of finished round trips.
    pub profit_factor: Ratio,
    /// Net of the run without its three best round trips, in pUSD.
    pub net_without_best_3: Usdc,
    /// Most losing round trips in a row, in order of their end.
    pub losing_streak: usize,
    /// Cost of holdings at the end, in pUSD.
    pub open_cost: Usdc,
    /// Value at displayed depth, in pUSD.
    pub open_mark: Usdc,
    /// Most that one event can still lose if its holdings end worthless, in pUSD at cost.
    pub worst_open_event: Option<EventResult>,
}

/// Money in one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventResult {
    /// Event, neg-risk group or question.
    pub event: String,
    /// pUSD.
    pub amount: Usdc,
}

pub(crate) fn risk(run: &Run, markets: &Markets<'_>) -> Risk {
    let mut profits = Vec::new();
    let (mut by_event, mut open_by_event) = (Sums::default(), Sums::default());
    for trip in &run.round_trips {
        let profit = i128::from(trip.proceeds.micros()) - i128::from(trip.cost.micros());
        profits.push(profit);
        by_event.add(markets, &trip.market, profit);
    }
    let (mut cost, mut mark) = (0i128, 0i128);
    for open in &run.open {
        let (paid, worth) = (i128::from(open.cost.micros()), i128::from(open.mark.micros()));
        cost += paid;
        mark += worth;
        by_event.add(markets, &open.market, worth - paid);
        open_by_event.add(markets, &open.market, paid);
    }
    let streak = losing_streak(&profits);
    profits.sort_unstable_by(|a, b| b.cmp(a));
    let gains: i128 = profits.iter().filter(|profit| **profit > 0).sum();
    let losses: i128 = profits.iter().filter(|profit| **profit < 0).sum();
    let top = |count: usize| -> i128 { profits.iter().take(count).filter(|p| **p > 0).sum() };
    let share = |count: usize| {
        Ratio::of(top(count) as f64 * 100.0, gains as f64, "no round trip made a profit")
    };
    let net = i128::from(run.totals.equity.micros()) - i128::from(run.starting_cash.micros());
    Risk {
        worst_event: by_event
            .extreme(-1)
            .map(|(event, loss)| EventResult { event, amount: saturated(-loss) }),
        top1_percent: share(1),
        top5_percent: share(5),
        profit_factor: Ratio::of(gains as f64, -losses as f64, "no round trip made a loss"),
        net_without_best_3: saturated(net - top(3)),
        losing_streak: streak,
        open_cost: saturated(cost),
        open_mark: saturated(mark),
        worst_open_event: open_by_event
            .extreme(1)
            .map(|(event, sum)| EventResult { event, amount: saturated(sum) }),
    }
}

/// Sums by what resolves together, with the names to show: names of different events may be the same.
#[derive(Default)]
struct Sums(BTreeMap<Cluster, (String, i128)>);

impl Sums {
    fn add(&mut self, markets: &Markets<'_>, market: &ConditionId, micros: i128) {
        let named = || (event(markets, market), 0);
        self.0.entry(markets.cluster(market)).or_insert_with(named).1 += micros;
    }

    /// The largest positive sum after the sign is put to it; the first by name among equals.
    fn extreme(self, sign: i128) -> Option<(String, i128)> {
        let sums = self.0.into_values().map(|(event, sum)| (event, sign * sum));
        sums.filter(|(_, sum)| *sum > 0).min_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)))
    }
}

fn event(markets: &Markets<'_>, market: &ConditionId) -> String {
    let Some(facts) = markets.get(market) else { return market.to_string() };
    match group(facts) {
        Some(group) => group.to_owned(),
        None if !facts.event.is_empty() => facts.event.clone(),
        None => facts.question.clone(),
    }
}

fn losing_streak(profits: &[i128]) -> usize {
    let (mut longest, mut now) = (0, 0);
    for profit in profits {
        now = if *profit < 0 { now + 1 } else { 0 };
        longest = longest.max(now);
    }
    longest
}
