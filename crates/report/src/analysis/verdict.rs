//! Whether a run shows an edge: a sample gate, a bootstrap interval and a sign-flip test.
//!
//! No statement about the future, and none about synthetic data.

use polydesk_domain::Usdc;
use serde::Serialize;

use super::numbered::Numbered;
use super::random::SplitMix64;
use super::stats::{MOST_DRAWS, Sample, Unit, Units, estimate, interval, mean, rounded};

/// Fewest finished round trips from which a verdict other than INCONCLUSIVE is given.
pub const LEAST_ROUND_TRIPS: usize = 30;
/// Fewest markets with round trips from which a verdict other than INCONCLUSIVE is given; a neg-risk
/// group counts as one.
pub const LEAST_MARKETS: usize = 5;
/// Largest p-value of an edge.
pub const MOST_P: f64 = 0.05;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The whole interval of the mean is above zero, the p-value is small and the net is positive.
    Edge,
    /// The whole interval of the mean is below zero, or at zero.
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

/// The verdict with its basis.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// EDGE, NO EDGE or INCONCLUSIVE.
    pub answer: Answer,
    /// The first reason for it.
    pub reason: String,
    /// Finished round trips.
    pub round_trips: usize,
    /// Markets with finished round trips; a neg-risk group counts as one.
    pub markets: usize,
    /// Mean profit of a round trip after fees, in pUSD; `null` without round trips.
    pub mean: Option<Usdc>,
    /// 95 % percentile bootstrap interval of the mean, in pUSD; `null` without round trips.
    pub interval: Option<(Usdc, Usdc)>,
    /// The resampling unit.
    pub resampled: Unit,
    /// Resamples drawn: fewer than asked for where the sample is large.
    pub resamples: usize,
    /// Two-sided sign-flip p-value; `null` without round trips.
    pub p_value: Option<f64>,
    /// Equity at the end minus money at the start, open holdings at what displayed depth would pay.
    pub net: Usdc,
    /// Counts of resampled means in equal bins, for drawing.
    pub bootstrap: Histogram,
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

/// The runs' results as samples: one per finished round trip, clustered by run and market, the markets
/// of a neg-risk group as one.
pub(crate) fn samples<'a>(runs: impl Iterator<Item = &'a Numbered<'a>>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for Numbered { index, run, markets } in runs {
        for trip in &run.round_trips {
            let profit = i128::from(trip.proceeds.micros()) - i128::from(trip.cost.micros());
            let cluster = (*index, markets.cluster(&trip.market));
            samples.push(Sample { cluster, micros: profit as f64 });
        }
    }
    samples
}

pub(crate) fn verdict(
    samples: &[Sample],
    facts: &Circumstances,
    seed: u64,
    resamples: usize,
) -> Verdict {
    let units = Units::of(samples);
    let resamples = units.affordable(resamples, MOST_DRAWS);
    let means = units.bootstrap(resamples, &mut SplitMix64::new(seed));
    let p_value = units.sign_flip(resamples, &mut SplitMix64::new(!seed)).map(rounded);
    let values: Vec<f64> = samples.iter().map(|sample| sample.micros).collect();
    let interval = interval(&means);
    let (answer, reason) = judge(samples.len(), units.clusters, interval, p_value, facts);
    Verdict {
        answer,
        reason,
        round_trips: samples.len(),
        markets: units.clusters,
        mean: mean(&values).map(estimate),
        interval,
        resampled: units.unit,
        resamples: means.len(),
        p_value,
        net: facts.net,
        bootstrap: histogram(&means, 41),
    }
}

fn judge(
    trips: usize,
    markets: usize,
    interval: Option<(Usdc, Usdc)>,
    p_value: Option<f64>,
    facts: &Circumstances,
) -> (Answer, String) {
    let unsure = |reason: String| (Answer::Inconclusive, reason);
    if let Some(check) = &facts.failed_check {
        return unsure(format!("a check failed: {check}"));
    }
    if facts.synthetic {
        return unsure("synthetic data say nothing about real markets".to_owned());
    }
    if trips < LEAST_ROUND_TRIPS {
        return unsure(format!("{trips} round trips < {LEAST_ROUND_TRIPS}"));
    }
    if markets < LEAST_MARKETS {
        return unsure(format!("{markets} markets < {LEAST_MARKETS}"));
    }
    let (Some((low, high)), Some(p)) = (interval, p_value) else {
        return unsure("no interval".to_owned());
    };
    if high <= Usdc::ZERO {
        return (Answer::NoEdge, "the whole interval is at or below zero".to_owned());
    }
    if low <= Usdc::ZERO {
        return unsure("the interval includes zero".to_owned());
    }
    if p > MOST_P {
        return unsure(format!("p {p:.3} > {MOST_P}"));
    }
    if facts.net <= Usdc::ZERO {
        return unsure("finished round trips gain, but the run as a whole does not".to_owned());
    }
    (Answer::Edge, format!("the interval is above zero and p {p:.4} <= {MOST_P}"))
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
    use super::*;

    fn facts() -> Circumstances {
        Circumstances { net: Usdc::whole(5), synthetic: false, failed_check: None }
    }

    fn check(
        profits: impl Fn(usize) -> f64,
        trips: usize,
        markets: usize,
        facts: &Circumstances,
    ) -> String {
        let samples: Vec<Sample> = (0..trips)
            .map(|i| Sample { cluster: (0, i % markets.max(1)), micros: profits(i) })
            .collect();
        let verdict = verdict(&samples, facts, 7, 2_000);
        format!("{}: {}", verdict.answer.words(), verdict.reason)
    }

    #[test]
    fn gates_stand_before_every_answer() {
        let gain = |i: usize| 1e5 + (i % 3) as f64 * 1e4;
        let broken = Circumstances { failed_check: Some("cash".to_owned()), ..facts() };
        let made_up = Circumstances { synthetic: true, ..facts() };
        let lost = Circumstances { net: Usdc::new(-1), ..facts() };
        for (got, want) in [
            (check(gain, 0, 0, &facts()), "INCONCLUSIVE: 0 round trips < 30"),
            (check(gain, 29, 10, &facts()), "INCONCLUSIVE: 29 round trips < 30"),
            (check(gain, 60, 4, &facts()), "INCONCLUSIVE: 4 markets < 5"),
            (check(gain, 60, 10, &broken), "INCONCLUSIVE: a check failed: cash"),
            (
                check(gain, 60, 10, &made_up),
                "INCONCLUSIVE: synthetic data say nothing about real markets",
            ),
            (
                check(gain, 60, 10, &lost),
                "INCONCLUSIVE: finished round trips gain, but the run as a whole does not",
            ),
            (
                check(|i| if i % 2 == 0 { 1e6 } else { -1e6 }, 60, 10, &facts()),
                "INCONCLUSIVE: the interval includes zero",
            ),
            (
                check(|i| -gain(i), 60, 10, &facts()),
                "NO EDGE: the whole interval is at or below zero",
            ),
        ] {
            assert_eq!(got, want);
        }
        assert!(check(gain, 60, 10, &facts()).starts_with("EDGE: "));
    }

    #[test]
    fn the_histogram_counts_every_resample_once() {
        let sorted: Vec<f64> = (0..100).map(f64::from).collect();
        let histogram = histogram(&sorted, 10);
        assert_eq!(histogram.counts, [10; 10]);
        assert_eq!(super::histogram(&[3.0, 3.0], 4).counts, [2, 0, 0, 0]);
    }
}
