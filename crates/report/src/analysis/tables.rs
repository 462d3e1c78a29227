//! Finished round trips and open holdings, grouped by strategy, market, category, exit, price and time.

use std::collections::BTreeMap;

use polydesk_domain::{ClosedTrade, ConditionId, Outcome, Time, Usdc};
use serde::Serialize;

use super::indexed::Indexed;
use super::options::Options;
use super::random::SplitMix64;
use super::stats::{affordable, estimate, mean, mean_interval, rounded};
use super::verdict::LEAST_EVENTS;
use super::waterfall::saturated;
use crate::markets::Cluster;
use crate::model::OpenHolding;

/// Fewest events for which a row states an interval: as for a verdict.
pub const LEAST_FOR_INTERVAL: usize = LEAST_EVENTS;

/// Work allowed for one row's interval, in draws; a page has many rows.
const ROW_DRAWS: usize = 2_000_000;

/// The tables of one run, or of all real runs together.
#[derive(Debug, Clone, Serialize)]
pub struct Tables {
    /// Everything in one row.
    pub total: GroupRow,
    /// By strategy, in order of their names.
    pub strategies: Vec<GroupRow>,
    /// By market, best result first; at most 20 from each end.
    pub markets: Vec<GroupRow>,
    /// Markets left out between the best and the worst ones.
    pub markets_left_out: usize,
    /// By category; `unknown` where the market has none.
    pub categories: Vec<GroupRow>,
    /// By reason of the exit.
    pub exits: Vec<GroupRow>,
    /// By price of the entry, fees left out, in steps of ten cents.
    pub prices: Vec<GroupRow>,
    /// By day of the exit, UTC, oldest first: the day its profit counted.
    pub days: Vec<GroupRow>,
    /// By hour of the entry, UTC.
    pub hours: Vec<GroupRow>,
    /// By outcome: `yes`, `no`.
    pub outcomes: Vec<GroupRow>,
}

/// One group of round trips.
#[derive(Debug, Clone, Serialize)]
pub struct GroupRow {
    /// Value of the grouping key.
    pub key: String,
    /// Finished round trips.
    pub n: usize,
    /// Round trips with a profit.
    pub wins: usize,
    /// Share with a profit in percent; `null` without round trips.
    pub win_percent: Option<f64>,
    /// Profit of finished round trips after fees, in pUSD.
    pub net: Usdc,
    /// Open holdings at what displayed depth would pay, minus their cost, in pUSD.
    pub open: Usdc,
    /// Profit in cents a share; `null` without shares.
    pub cents_per_share: Option<f64>,
    /// Fees on both ways, in pUSD (already in `net`).
    pub fees: Usdc,
    /// Mean time from entry to exit in milliseconds; `null` without round trips.
    pub mean_hold_ms: Option<i64>,
    /// Mean profit of a round trip, in pUSD; `null` without round trips.
    pub mean: Option<Usdc>,
    /// 95 % interval of that mean with events as independent units; `null` below ten events.
    pub interval: Option<(Usdc, Usdc)>,
}

/// Names the group of a round trip.
type TripKey<'a> = &'a dyn Fn(&Indexed<'_>, &ClosedTrade) -> String;
/// Names the group of a holding.
type OpenKey<'a> = &'a dyn Fn(&Indexed<'_>, &OpenHolding) -> String;

#[derive(Default)]
struct Group<'a> {
    /// With the event of each.
    trips: Vec<(Cluster, &'a ClosedTrade)>,
    open: Vec<&'a OpenHolding>,
}

pub(crate) fn tables(runs: &[&Indexed<'_>], options: &Options) -> Tables {
    let make = |trip: TripKey<'_>, open: Option<OpenKey<'_>>| grouped(runs, trip, open, options);
    let mut markets =
        make(&|run, trip| market(run, &trip.market), Some(&|run, open| market(run, &open.market)));
    for row in &mut markets {
        if let Some((question, _)) = row.key.rsplit_once(APART) {
            row.key = question.to_owned();
        }
    }
    markets.sort_by(|a, b| result(b).cmp(&result(a)).then_with(|| a.key.cmp(&b.key)));
    let left_out = markets.len().saturating_sub(40);
    markets = markets
        .iter()
        .enumerate()
        .filter(|(i, _)| *i < 20 || *i >= 20 + left_out)
        .map(|(_, row)| row.clone())
        .collect();
    let all = |_: &Indexed<'_>, _: &ClosedTrade| "total".to_owned();
    let total = make(&all, Some(&|_, _| "total".to_owned())).pop();
    Tables {
        total: total.unwrap_or_else(|| row("total", &Group::default(), options)),
        strategies: make(
            &|_, trip| trip.strategy.to_string(),
            Some(&|_, open| open.strategy.to_string()),
        ),
        markets,
        markets_left_out: left_out,
        categories: make(
            &|run, trip| category(run, &trip.market),
            Some(&|run, open| category(run, &open.market)),
        ),
        exits: make(&|_, trip| trip.reason.name().to_owned(), None),
        prices: make(&|_, trip| price_bucket(trip), None),
        days: make(&|_, trip| day(trip), None),
        hours: make(&|_, trip| hour(trip), None),
        outcomes: make(&|_, trip| outcome(trip.outcome), Some(&|_, open| outcome(open.outcome))),
    }
}

fn result(row: &GroupRow) -> i128 {
    i128::from(row.net.micros()) + i128::from(row.open.micros())
}

/// Separator of question and condition, which keeps two markets with one question apart.
const APART: char = '\u{1f}';

fn market(run: &Indexed<'_>, market: &ConditionId) -> String {
    format!("{}{APART}{market}", run.markets.question(market))
}

fn category(run: &Indexed<'_>, market: &ConditionId) -> String {
    let category = run.markets.get(market).map_or("", |facts| facts.category.as_str());
    if category.is_empty() { "unknown".to_owned() } else { category.to_owned() }
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Yes => "yes".to_owned(),
        Outcome::No => "no".to_owned(),
    }
}

/// The ten-cent bucket of the price paid, fees left out.
fn price_bucket(trip: &ClosedTrade) -> String {
    let paid = i128::from(trip.cost.micros()) - i128::from(trip.entry_fee.micros());
    let shares = i128::from(trip.shares.micros());
    match (paid * 10).checked_div(shares) {
        Some(tenth) => {
            let tenth = tenth.clamp(0, 9);
            format!("{:>2}-{} ¢", tenth * 10, tenth * 10 + 10)
        }
        None => "unknown".to_owned(),
    }
}

/// The UTC day of the exit as `2026-06-07`.
fn day(trip: &ClosedTrade) -> String {
    let midnight = Time::from_secs(trip.closed_at.day().saturating_mul(86_400));
    midnight.to_string().chars().take(10).collect()
}

fn hour(trip: &ClosedTrade) -> String {
    let hour = trip.opened_at.nanos().div_euclid(3_600_000_000_000).rem_euclid(24);
    format!("{hour:02}:00")
}

fn grouped(
    runs: &[&Indexed<'_>],
    trip_key: TripKey<'_>,
    open_key: Option<OpenKey<'_>>,
    options: &Options,
) -> Vec<GroupRow> {
    let mut groups = BTreeMap::<String, Group<'_>>::new();
    for run in runs {
        for trip in &run.run.round_trips {
            let cluster = run.markets.cluster(&trip.market);
            groups.entry(trip_key(run, trip)).or_default().trips.push((cluster, trip));
        }
        for open in open_key.iter().flat_map(|_| &run.run.open) {
            if let Some(key) = open_key {
                groups.entry(key(run, open)).or_default().open.push(open);
            }
        }
    }
    let mut rows = Vec::new();
    for (key, group) in &groups {
        rows.push(row(key, group, options));
    }
    rows
}

fn row(key: &str, group: &Group<'_>, options: &Options) -> GroupRow {
    let (mut profits, mut wins) = (Vec::new(), 0);
    let mut by_event = BTreeMap::<&Cluster, f64>::new();
    let (mut net, mut shares, mut fees, mut held) = (0i128, 0i128, 0i128, 0i128);
    for (cluster, trip) in &group.trips {
        let profit = i128::from(trip.proceeds.micros()) - i128::from(trip.cost.micros());
        net += profit;
        wins += usize::from(profit > 0);
        shares += i128::from(trip.shares.micros());
        fees += i128::from(trip.entry_fee.micros()) + i128::from(trip.exit_fee.micros());
        held += i128::from(trip.opened_at.until(trip.closed_at).as_millis());
        profits.push(profit as f64);
        *by_event.entry(cluster).or_default() += profit as f64;
    }
    let mut open = 0i128;
    for holding in &group.open {
        open += i128::from(holding.mark.micros()) - i128::from(holding.cost.micros());
    }
    let n = profits.len();
    let bootstrap = || {
        let totals: Vec<f64> = by_event.values().copied().collect();
        let resamples = affordable(totals.len(), options.resamples, ROW_DRAWS);
        let random = &mut SplitMix64::new(options.seed);
        let of_event = mean_interval(&totals, resamples, random)?.interval;
        Some(of_event.times(totals.len() as f64 / n as f64).money())
    };
    GroupRow {
        key: key.to_owned(),
        n,
        wins,
        win_percent: (n > 0).then(|| rounded(wins as f64 * 100.0 / n as f64)),
        net: saturated(net),
        open: saturated(open),
        cents_per_share: (shares > 0).then(|| rounded(net as f64 * 100.0 / shares as f64)),
        fees: saturated(fees),
        mean_hold_ms: held.checked_div(n as i128).and_then(|ms| i64::try_from(ms).ok()),
        mean: mean(&profits).map(estimate),
        interval: if by_event.len() >= LEAST_FOR_INTERVAL { bootstrap() } else { None },
    }
}
