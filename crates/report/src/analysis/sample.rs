//! The results of runs by the units that are taken as independent: one number per event, and one per UTC day.
//!
//! A number is closed round trips plus open holdings at displayed depth plus maker rebates, so that leaving
//! losers open or earning by rebates changes no verdict. The round trips of one event depend on each other and
//! are never units of their own.

use std::collections::BTreeMap;

use polydesk_domain::{ConditionId, ExitReason, Outcome, Role, Time, TokenId};

use super::indexed::Indexed;
use crate::markets::Cluster;
use crate::model::Run;

/// Results of runs by unit, in micro-dollars.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub events: BTreeMap<Cluster, EventSum>,
    pub days: BTreeMap<i64, i128>,
    pub round_trips: usize,
}

/// What one event earned and could have earned.
#[derive(Debug, Default)]
pub(crate) struct EventSum {
    /// Closed, open and rebates.
    pub result: i128,
    /// The most that what was held at one time could lose: at cost, less what complete sets pay for certain.
    pub most_loss: i128,
    /// The most that what was held at one time could gain.
    pub most_gain: i128,
    /// Round trips held to settlement.
    pub settled: Settled,
}

/// Round trips held to settlement, together.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub cost: i128,
    pub proceeds: i128,
    pub shares: i128,
}

impl Settled {
    /// Price paid in dollars a share, fees included, and whether it won; `None` without shares.
    pub(crate) fn outcome(&self) -> Option<(f64, bool)> {
        (self.shares > 0)
            .then(|| (self.cost as f64 / self.shares as f64, self.proceeds > self.cost))
    }
}

/// The results of several runs. The same event, group or market in two runs is one unit: one outcome decides
/// both.
pub(crate) fn sample<'a>(runs: impl Iterator<Item = &'a Indexed<'a>>) -> Sample {
    let mut sample = Sample::default();
    let mut held = BTreeMap::<Cluster, Vec<Change>>::new();
    for indexed in runs {
        let Indexed { run, markets } = indexed;
        let end = run.span.map_or(Time::MAX, |span| span.1);
        let first = first_fills(run);
        for trip in &run.round_trips {
            let cluster = markets.cluster(&trip.market);
            let profit = i128::from(trip.proceeds.micros()) - i128::from(trip.cost.micros());
            sample.round_trips += 1;
            sample.add(cluster.clone(), trip.closed_at.day(), profit);
            if trip.exit_role.is_none() && trip.reason == ExitReason::Resolution {
                let settled = &mut sample.events.entry(cluster.clone()).or_default().settled;
                settled.cost += i128::from(trip.cost.micros());
                settled.proceeds += i128::from(trip.proceeds.micros());
                settled.shares += i128::from(trip.shares.micros());
            }
            let open = Open {
                market: trip.market,
                outcome: trip.outcome,
                shares: i128::from(trip.shares.micros()),
                cost: i128::from(trip.cost.micros()),
            };
            let changes = held.entry(cluster).or_default();
            let end = if trip.closed_at > trip.opened_at { Phase::Ends } else { Phase::EndsAtOnce };
            changes.push(Change { at: trip.opened_at, phase: Phase::Begins, open });
            changes.push(Change { at: trip.closed_at, phase: end, open });
        }
        for holding in &run.open {
            let cluster = markets.cluster(&holding.market);
            let cost = i128::from(holding.cost.micros());
            sample.add(cluster.clone(), end.day(), i128::from(holding.mark.micros()) - cost);
            let open = Open {
                market: holding.market,
                outcome: holding.outcome,
                shares: i128::from(holding.shares.micros()),
                cost,
            };
            let at = first.get(&holding.token).copied().unwrap_or(Time::MIN);
            held.entry(cluster).or_default().push(Change { at, phase: Phase::Begins, open });
        }
        rebates(&mut sample, indexed, end);
    }
    for (cluster, changes) in held {
        let event = sample.events.entry(cluster).or_default();
        (event.most_loss, event.most_gain) = extremes(changes);
    }
    sample
}

impl Sample {
    fn add(&mut self, cluster: Cluster, day: i64, micros: i128) {
        self.events.entry(cluster).or_default().result += micros;
        *self.days.entry(day).or_default() += micros;
    }
}

/// When a token was first bought.
fn first_fills(run: &Run) -> BTreeMap<TokenId, Time> {
    let mut first = BTreeMap::new();
    for fill in run.fills.iter().filter(|fill| fill.counts()) {
        first.entry(fill.record.token).or_insert(fill.at);
    }
    first
}

/// Rebates belong to their market's event, and to the days of the maker fills that earned them: they are paid
/// the day after, at the end of a run all at once.
fn rebates(sample: &mut Sample, Indexed { run, markets }: &Indexed<'_>, end: Time) {
    let mut earned = BTreeMap::<ConditionId, BTreeMap<i64, i128>>::new();
    for fill in run.fills.iter().filter(|fill| fill.counts() && fill.record.role == Role::Maker) {
        let notional = i128::from(fill.record.fill.notional.micros());
        *earned.entry(fill.record.market).or_default().entry(fill.matched_at.day()).or_default() +=
            notional;
    }
    for rebate in &run.rebates {
        let amount = i128::from(rebate.amount.micros());
        let cluster = markets.cluster(&rebate.market);
        let days = earned.get(&rebate.market);
        let whole: i128 = days.iter().flat_map(|days| days.values()).sum();
        let mut left = amount;
        for (day, notional) in days.into_iter().flatten() {
            let part = (amount * notional).checked_div(whole).unwrap_or(0);
            left -= part;
            // A day that earned nothing is no day with results.
            if part != 0 {
                sample.add(cluster.clone(), *day, part);
            }
        }
        if left != 0 {
            let last = days.and_then(|days| days.keys().next_back().copied());
            sample.add(cluster, last.unwrap_or(end.day()), left);
        }
    }
}

/// Shares of one outcome that were held from one time to another.
#[derive(Debug, Clone, Copy)]
struct Open {
    market: ConditionId,
    outcome: Outcome,
    shares: i128,
    cost: i128,
}

#[derive(Debug)]
struct Change {
    at: Time,
    phase: Phase,
    open: Open,
}

/// In their order at one time: what ends is over before what begins; what begins and ends at once was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Ends,
    Begins,
    EndsAtOnce,
}

/// Shares of YES and NO and their cost, in one market at one time.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    shares: [i128; 2],
    cost: i128,
}

impl Held {
    fn loss(&self) -> i128 {
        (self.cost - self.shares[0].min(self.shares[1])).max(0)
    }
    fn gain(&self) -> i128 {
        (self.shares[0].max(self.shares[1]) - self.cost).max(0)
    }
}

/// The largest loss and gain that were possible at one time. What changes at one time changes together: the legs of
/// a set bought in one instant were never held alone.
fn extremes(mut changes: Vec<Change>) -> (i128, i128) {
    changes.sort_by_key(|change| (change.at, change.phase));
    let mut markets = BTreeMap::<ConditionId, Held>::new();
    let (mut loss, mut gain) = (0, 0);
    let (mut most_loss, mut most_gain) = (0, 0);
    for (place, Change { at, phase, open }) in changes.iter().enumerate() {
        let held = markets.entry(open.market).or_default();
        let before = (held.loss(), held.gain());
        let sign = if *phase == Phase::Begins { 1 } else { -1 };
        held.shares[open.outcome.index()] += sign * open.shares;
        held.cost += sign * open.cost;
        loss += held.loss() - before.0;
        gain += held.gain() - before.1;
        let settled = |next: &Change| {
            next.at > *at || (next.phase == Phase::EndsAtOnce && *phase != Phase::EndsAtOnce)
        };
        if changes.get(place + 1).is_none_or(settled) {
            most_loss = most_loss.max(loss);
            most_gain = most_gain.max(gain);
        }
    }
    (most_loss, most_gain)
}
