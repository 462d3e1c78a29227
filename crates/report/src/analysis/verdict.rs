//! Whether a run shows an edge: one interval of the mean result of an event decides both EDGE and NO EDGE.
//!
//! Trips are never units: those of one event depend on each other. The interval is the outer of two, by
//! event and by UTC day; in front of it stand gates on what the sample cannot know. No statement about the
//! future, and none about synthetic data. The simulation study in `tests/it/study.rs` counts how often it is
//! wrong on samples without an edge.

use polydesk_domain::Usdc;
use serde::Serialize;

use super::options::Options;
use super::random::SplitMix64;
use super::sample::Sample;
use super::stats::{
    Interval, MOST_DRAWS, affordable, clopper_pearson, estimate, mean, mean_interval, persistence,
    rounded,
};
use super::waterfall::saturated;
use crate::text::{counted, signed};

/// Fewest events with results from which a verdict other than INCONCLUSIVE is given; a neg-risk group
/// counts as one, and so does a market without an event.
pub const LEAST_EVENTS: usize = 10;
/// Fewest UTC days with results from which a verdict other than INCONCLUSIVE is given.
pub const LEAST_DAYS: usize = 3;
/// What never happened in n events happens with a probability of up to 3 / n (at 95 %).
const RULE_OF_THREE: f64 = 3.0;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The whole interval is above zero and every gate is passed.
    Edge,
    /// The whole interval is below zero and every gate is passed.
    NoEdge,
    /// The run does not decide it.
    Inconclusive,
}

impl Answer {
    /// As printed in reports.
    pub const fn words(self) -> &'static str {
        match self {
            Answer::Edge => "EDGE",
            Answer::NoEdge => "NO EDGE",
            Answer::Inconclusive => "INCONCLUSIVE",
        }
    }
}

/// The verdict with its basis. A result is closed round trips plus open holdings at displayed depth plus
/// maker rebates, after fees.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// EDGE, NO EDGE or INCONCLUSIVE.
    pub answer: Answer,
    /// The first reason for it.
    pub reason: String,
    /// Finished round trips.
    pub round_trips: usize,
    /// Events with results: neg-risk groups, else events, else markets.
    pub events: usize,
    /// UTC days with results: of the exit, of the maker fill for rebates, the last one for open holdings.
    pub days: usize,
    /// Mean result of an event, in pUSD; `null` without events.
    pub mean: Option<Usdc>,
    /// 95 % interval of that mean, in pUSD: the lower of the low and the higher of the high ends below;
    /// `null` below two events or two days.
    pub interval: Option<(Usdc, Usdc)>,
    /// The interval with events as independent units.
    pub by_event: Option<(Usdc, Usdc)>,
    /// The interval with UTC days as independent units, wider where days resemble the day before; `null`
    /// below two days.
    pub by_day: Option<(Usdc, Usdc)>,
    /// Resamples drawn: fewer than asked for where the sample is large.
    pub resamples: usize,
    /// The most that what was held in one event at one time could lose, in pUSD.
    pub most_loss: Usdc,
    /// The most that it could gain, in pUSD.
    pub most_gain: Usdc,
    /// Win rate and price of what was held to settlement; `null` without any.
    pub settled: Option<SettledRate>,
    /// Equity at the end minus money at the start, open holdings at what displayed depth would pay.
    pub net: Usdc,
    /// Counts of resampled means by event in equal bins, for drawing.
    pub bootstrap: Histogram,
}

/// How often positions held to settlement won, against what they cost. Positions of one event count once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SettledRate {
    /// Events with round trips held to settlement.
    pub events: usize,
    /// Those in which they paid more than they cost.
    pub won: usize,
    /// Two-sided 95 % Clopper-Pearson bounds of the rate, 0 to 1.
    pub bounds: (f64, f64),
    /// Mean price paid, fees included, in dollars a share: the rate at which nothing is gained.
    pub price: f64,
}

/// Counts in equal bins.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Histogram {
    /// Lower end of the first bin, in pUSD.
    pub from: Usdc,
    /// Upper end of the last bin, in pUSD.
    pub to: Usdc,
    /// Counts by bin.
    pub counts: Vec<u64>,
}

/// Inputs of the verdict besides the results.
pub(crate) struct Circumstances {
    pub net: Usdc,
    pub synthetic: bool,
    pub failed_check: Option<String>,
}

pub(crate) fn verdict(sample: &Sample, facts: &Circumstances, options: &Options) -> Verdict {
    let results: Vec<f64> = sample.events.values().map(|event| event.result as f64).collect();
    let resamples = affordable(results.len(), options.resamples, MOST_DRAWS);
    let by_event = mean_interval(&results, resamples, &mut SplitMix64::new(options.seed));
    let (by_event, means) = match by_event {
        Some(resampled) => (Some(resampled.interval), resampled.means),
        None => (None, Vec::new()),
    };
    let by_day = by_day(sample, resamples, !options.seed);
    let most_loss = sample.events.values().map(|event| event.most_loss).max().unwrap_or(0);
    let most_gain = sample.events.values().map(|event| event.most_gain).max().unwrap_or(0);
    let outer = match (by_event, by_day) {
        (Some(event), Some(day)) => Some(event.hull(day)),
        _ => None,
    };
    let mean = mean(&results);
    let basis = Basis {
        events: results.len(),
        days: sample.days.len(),
        mean: mean.unwrap_or(0.0),
        outer,
        most: (most_loss as f64, most_gain as f64),
        settled: settled(sample),
    };
    let (answer, reason) = judge(&basis, facts);
    Verdict {
        answer,
        reason,
        round_trips: sample.round_trips,
        events: basis.events,
        days: basis.days,
        mean: mean.map(estimate),
        interval: outer.map(Interval::money),
        by_event: by_event.map(Interval::money),
        by_day: by_day.map(Interval::money),
        resamples: means.len(),
        most_loss: saturated(most_loss),
        most_gain: saturated(most_gain),
        settled: basis.settled,
        net: facts.net,
        bootstrap: histogram(&means, 41),
    }
}

/// The interval of the mean result of an event with days as units: of the mean total of a day, scaled.
fn by_day(sample: &Sample, resamples: usize, seed: u64) -> Option<Interval> {
    let totals: Vec<f64> = sample.days.values().map(|total| *total as f64).collect();
    let resampled = mean_interval(&totals, resamples, &mut SplitMix64::new(seed))?;
    let centre = mean(&totals)?;
    let away = |day: &i64| sample.days.get(day).map(|total| *total as f64 - centre);
    let neighbours: Vec<(f64, f64)> =
        sample.days.keys().filter_map(|day| Some((away(day)?, away(&(day + 1))?))).collect();
    let squares = totals.iter().map(|total| (total - centre) * (total - centre)).sum();
    let factor = persistence(&neighbours, squares, totals.len());
    let days_an_event = totals.len() as f64 / sample.events.len().max(1) as f64;
    Some(resampled.interval.widened(centre, factor).times(days_an_event))
}

fn settled(sample: &Sample) -> Option<SettledRate> {
    let outcomes: Vec<(f64, bool)> =
        sample.events.values().filter_map(|event| event.settled.outcome()).collect();
    let won = outcomes.iter().filter(|outcome| outcome.1).count();
    let (low, high) = clopper_pearson(won, outcomes.len());
    let prices: Vec<f64> = outcomes.iter().map(|outcome| outcome.0).collect();
    Some(SettledRate {
        events: outcomes.len(),
        won,
        bounds: (rounded(low), rounded(high)),
        price: rounded(mean(&prices)?),
    })
}

/// What the answer rests on; money in micro-dollars.
struct Basis {
    events: usize,
    days: usize,
    mean: f64,
    outer: Option<Interval>,
    /// The most that one event could lose, and gain.
    most: (f64, f64),
    settled: Option<SettledRate>,
}

/// One interval decides; every gate can only make the answer INCONCLUSIVE.
fn judge(basis: &Basis, facts: &Circumstances) -> (Answer, String) {
    let unsure = |reason: String| (Answer::Inconclusive, reason);
    if let Some(check) = &facts.failed_check {
        return unsure(format!("a check failed: {check}"));
    }
    if facts.synthetic {
        return unsure("synthetic data say nothing about real markets".to_owned());
    }
    if basis.events < LEAST_EVENTS {
        let events = counted(basis.events, "event");
        return unsure(format!("{events}; it takes {LEAST_EVENTS} independent ones"));
    }
    if basis.days < LEAST_DAYS {
        return unsure(format!("{}; it takes {LEAST_DAYS}", counted(basis.days, "UTC day")));
    }
    let Some(Interval { low, high }) = basis.outer else { return unsure("no interval".to_owned()) };
    let gains = low > 0.0;
    if !gains && high >= 0.0 {
        return unsure("the interval includes zero".to_owned());
    }
    if let Some(reason) = unseen(basis, gains).or_else(|| settled_gate(basis, gains)) {
        return unsure(reason);
    }
    if gains != (facts.net > Usdc::ZERO) || facts.net.is_zero() {
        let side = if gains { "above" } else { "below" };
        return unsure(format!(
            "the interval is {side} zero, and the net of the run is {}",
            signed(facts.net)
        ));
    }
    if gains {
        (Answer::Edge, "the whole interval is above zero".to_owned())
    } else {
        (Answer::NoEdge, "the whole interval is below zero".to_owned())
    }
}

/// Whether the largest possible result of the other sign, occurring with probability 3 / n, would turn the
/// mean: n events cannot show that it is rarer.
fn unseen(basis: &Basis, gains: bool) -> Option<String> {
    let rare = (RULE_OF_THREE / basis.events as f64).min(1.0);
    let (most, name) = if gains { (basis.most.0, "loss") } else { (basis.most.1, "gain") };
    let turned = basis.mean.abs() * (1.0 - rare) <= most * rare;
    turned.then(|| {
        format!(
            "the largest possible {name} of one event ({}) in 3 of {} events would turn the mean",
            crate::text::money(estimate(most)),
            basis.events
        )
    })
}

/// Whether the win rate of positions held to settlement, where they are in most events, may still be the one
/// that their price paid for.
fn settled_gate(basis: &Basis, gains: bool) -> Option<String> {
    let settled = basis.settled.filter(|settled| settled.events * 2 >= basis.events)?;
    let (low, high) = settled.bounds;
    let proven = if gains { low > settled.price } else { high < settled.price };
    (!proven).then(|| {
        format!(
            "{} of {} settled positions won: a win rate of {:.3} to {:.3} at a price of {:.3}",
            settled.won, settled.events, low, high, settled.price
        )
    })
}

/// Counts of sorted values in equal bins.
fn histogram(sorted: &[f64], bins: usize) -> Histogram {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return Histogram::default();
    };
    let width = (last - first) / bins as f64;
    let mut counts = vec![0; bins];
    for value in sorted {
        let bin = if width > 0.0 { ((value - first) / width) as usize } else { 0 };
        counts[bin.min(bins - 1)] += 1;
    }
    Histogram { from: estimate(*first), to: estimate(*last), counts }
}

#[cfg(test)]
mod tests {
    use polydesk_domain::ConditionId;

    use super::*;
    use crate::analysis::sample::EventSum;
    use crate::markets::Cluster;

    fn facts(net: i64) -> Circumstances {
        Circumstances { net: Usdc::new(net), synthetic: false, failed_check: None }
    }

    /// Results in micro-dollars of events that could lose and gain half a dollar, spread over days.
    fn sample(results: impl Fn(usize) -> i128, events: usize, days: usize) -> Sample {
        let mut sample = Sample::default();
        for i in 0..events {
            let mut bytes = [0; 32];
            bytes[24..].copy_from_slice(&(i as u64).to_be_bytes());
            let result = results(i);
            let event =
                EventSum { result, most_loss: 500_000, most_gain: 500_000, ..EventSum::default() };
            sample.events.insert(Cluster::Market(ConditionId::from_bytes(bytes)), event);
            *sample.days.entry((i % days) as i64).or_default() += result;
        }
        sample
    }

    fn check(sample: &Sample, facts: &Circumstances) -> String {
        let verdict = verdict(sample, facts, &Options { seed: 7, resamples: 2_000 });
        format!("{}: {}", verdict.answer.words(), verdict.reason)
    }

    #[test]
    fn gates_stand_before_every_answer() {
        let gain = |i: usize| 100_000 + (i % 3) as i128 * 10_000;
        let broken = Circumstances { failed_check: Some("cash".to_owned()), ..facts(5) };
        let made_up = Circumstances { synthetic: true, ..facts(5) };
        for (got, want) in [
            (
                check(&sample(gain, 0, 1), &facts(5)),
                "INCONCLUSIVE: 0 events; it takes 10 independent ones",
            ),
            (
                check(&sample(gain, 9, 9), &facts(5)),
                "INCONCLUSIVE: 9 events; it takes 10 independent ones",
            ),
            (check(&sample(gain, 60, 2), &facts(5)), "INCONCLUSIVE: 2 UTC days; it takes 3"),
            (check(&sample(gain, 60, 10), &broken), "INCONCLUSIVE: a check failed: cash"),
            (
                check(&sample(gain, 60, 10), &made_up),
                "INCONCLUSIVE: synthetic data say nothing about real markets",
            ),
            (
                check(&sample(|i| if i % 2 == 0 { 100_000 } else { -100_000 }, 61, 10), &facts(5)),
                "INCONCLUSIVE: the interval includes zero",
            ),
            (
                check(&sample(gain, 15, 5), &facts(5)),
                "INCONCLUSIVE: the largest possible loss of one event (0.50) in 3 of 15 events would turn the mean",
            ),
            (
                check(&sample(|i| -gain(i), 15, 5), &facts(-5)),
                "INCONCLUSIVE: the largest possible gain of one event (0.50) in 3 of 15 events would turn the mean",
            ),
            (
                check(&sample(gain, 60, 10), &facts(-20_000)),
                "INCONCLUSIVE: the interval is above zero, and the net of the run is -0.02",
            ),
            (
                check(&sample(|i| -gain(i), 60, 10), &facts(20_000)),
                "INCONCLUSIVE: the interval is below zero, and the net of the run is +0.02",
            ),
            (
                check(&sample(gain, 60, 10), &facts(0)),
                "INCONCLUSIVE: the interval is above zero, and the net of the run is 0.00",
            ),
            (check(&sample(gain, 60, 10), &facts(5)), "EDGE: the whole interval is above zero"),
            (
                check(&sample(|i| -gain(i), 60, 10), &facts(-5)),
                "NO EDGE: the whole interval is below zero",
            ),
        ] {
            assert_eq!(got, want);
        }
    }

    #[test]
    fn settled_positions_must_win_more_often_than_their_price_says() {
        let settled = |won: usize| {
            let mut sample = sample(|i| if i < won { 100_000 } else { 90_000 }, 60, 10);
            for (i, event) in sample.events.values_mut().enumerate() {
                let settled = &mut event.settled;
                (settled.shares, settled.cost) = (1_000_000, 900_000);
                settled.proceeds = if i < won { 1_000_000 } else { 0 };
            }
            check(&sample, &facts(5))
        };
        // All of 60: at least 0.940 at a price of 0.9. Of 58 the bound is 0.885.
        assert_eq!(settled(60), "EDGE: the whole interval is above zero");
        assert_eq!(
            settled(58),
            "INCONCLUSIVE: 58 of 60 settled positions won: a win rate of 0.885 to 0.996 at a price of 0.900"
        );
    }

    #[test]
    fn days_that_agree_widen_the_interval_of_events_that_are_many() {
        // Twelve events a day share the day's sign: 60 events, five results that alternate.
        let by_day = |i: usize| if (i % 5).is_multiple_of(2) { 300_000 } else { -300_000 };
        let facts = facts(5);
        let options = Options { seed: 7, resamples: 2_000 };
        let verdict = verdict(&sample(by_day, 60, 5), &facts, &options);
        let width = |interval: Option<(Usdc, Usdc)>| interval.map(|(low, high)| high - low);
        assert!(width(verdict.by_day) > width(verdict.by_event));
        assert_eq!(verdict.interval, verdict.by_day);
        // Student's t of five days is 2.776; per event, like the mean of 0.06.
        let (low, high) = verdict.by_day.unwrap();
        assert_eq!((low, high), (Usdc::new(-347_987), Usdc::new(467_987)));
    }

    #[test]
    fn the_histogram_counts_every_resample_once() {
        let sorted: Vec<f64> = (0..100).map(f64::from).collect();
        let histogram = histogram(&sorted, 10);
        assert_eq!(histogram.counts, [10; 10]);
        assert_eq!(super::histogram(&[3.0, 3.0], 4).counts, [2, 0, 0, 0]);
    }
}
