//! Means, percentiles, intervals of a mean and bounds of a rate over small samples of results.
//!
//! Samples are micro-dollars as `f64`: estimates, never money. Nothing here returns NaN: what is not
//! defined is `None`.

use polydesk_domain::Usdc;
use serde::Serialize;

use super::random::SplitMix64;

/// Work allowed for the verdict's interval, in draws; larger samples get fewer resamples.
pub(crate) const MOST_DRAWS: usize = 40_000_000;

/// Fewest units for which their totals are drawn with replacement; below it the resamples are too few and
/// too alike, and Student's t is used.
pub(crate) const LEAST_DRAWN: usize = 10;

/// Share of results left out at either end of an interval: 95 % are inside.
const TAIL: f64 = 0.025;

/// A ratio, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// The ratio; `null` where it has no meaning.
    pub value: Option<f64>,
    /// Why there is none.
    pub reason: Option<String>,
}

impl Ratio {
    pub(crate) fn of(numerator: f64, denominator: f64, otherwise: &str) -> Ratio {
        match Some(numerator / denominator).filter(|ratio| ratio.is_finite()) {
            Some(value) => Ratio { value: Some(rounded(value)), reason: None },
            None => Ratio { value: None, reason: Some(otherwise.to_owned()) },
        }
    }

    pub(crate) fn none(reason: &str) -> Ratio {
        Ratio { value: None, reason: Some(reason.to_owned()) }
    }
}

/// Six decimals are more than any statistic here is worth.
pub(crate) fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e6).round() / 1e6;
    // Zero has no sign in a report.
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// An estimate in micro-dollars as an amount, rounded to the nearest; saturates.
pub(crate) fn estimate(micros: f64) -> Usdc {
    Usdc::new(micros.round() as i64)
}

pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// The value at a quantile (0 to 1) of sorted values, interpolated between neighbours.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(last);
    Some(sorted[low] + (sorted[high] - sorted[low]) * part)
}

/// Least standard error of a resample, as a share of the sample's own. A resample of equal totals has none and
/// would count as infinitely far; so it is far enough to open that side of the interval twenty times as wide.
const LEAST_ERROR: f64 = 0.05;

/// An interval of a mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// The smallest interval that contains both.
    pub(crate) fn hull(self, other: Interval) -> Interval {
        Interval { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    pub(crate) fn times(self, factor: f64) -> Interval {
        Interval { low: self.low * factor, high: self.high * factor }
    }

    /// The same centre with half-widths `factor` times as long.
    pub(crate) fn widened(self, centre: f64, factor: f64) -> Interval {
        Interval {
            low: centre - (centre - self.low) * factor,
            high: centre + (self.high - centre) * factor,
        }
    }

    /// In whole micro-dollars.
    pub(crate) fn money(self) -> (Usdc, Usdc) {
        (estimate(self.low), estimate(self.high))
    }
}

/// How many resamples of so many units `draws` pay for, `wanted` at most and at least one.
pub(crate) fn affordable(units: usize, wanted: usize, draws: usize) -> usize {
    wanted.min(draws / units.max(1)).max(1)
}

/// Mean and standard error of the mean, from totals of independent units.
fn moments(totals: impl Iterator<Item = f64> + Clone, n: f64) -> (f64, f64) {
    let mean = totals.clone().sum::<f64>() / n;
    let squares: f64 = totals.map(|total| (total - mean) * (total - mean)).sum();
    // What is left of equal totals by rounding is no spread.
    let spread = (squares / (n - 1.0)).sqrt();
    let spread = if spread <= mean.abs() * 1e-12 { 0.0 } else { spread };
    (mean, spread / n.sqrt())
}

/// What resampling the units gives: an interval of the mean total, and the sorted resampled means.
pub(crate) struct Resampled {
    pub interval: Interval,
    pub means: Vec<f64>,
}

/// The 95 % interval of the mean total of independent units, and the resampled means behind it; `None`
/// below two units.
///
/// Bootstrap-t from [`LEAST_DRAWN`] units on: each resample's distance from the mean is measured in its own
/// standard error, so the interval leans to the side of the rare large results. Chosen by the study
/// (`tests/it/study.rs`, a thousand samples a shape): with rare large losses it calls 3.8 % of zero-mean samples
/// an edge, BCa 5.4 %, Student's interval alone 7.3 %, a percentile interval 8.2 %; with ten days like the day
/// before 4.0 % against BCa's 7.0 %. Student's interval is never undercut: the quantiles of few units are coarse.
pub(crate) fn mean_interval(
    totals: &[f64],
    resamples: usize,
    random: &mut SplitMix64,
) -> Option<Resampled> {
    if totals.len() < 2 {
        return None;
    }
    let n = totals.len() as f64;
    let (mean, error) = moments(totals.iter().copied(), n);
    let reach = student_975(totals.len() - 1) * error;
    let student = Interval { low: mean - reach, high: mean + reach };
    let (mut means, mut distances) = (Vec::new(), Vec::new());
    let mut drawn = vec![0.0; totals.len()];
    for _ in 0..resamples.max(1) {
        for value in &mut drawn {
            *value = totals[random.below(totals.len())];
        }
        let (of, own) = moments(drawn.iter().copied(), n);
        means.push(of);
        distances.push((of - mean) / own.max(LEAST_ERROR * error).max(f64::MIN_POSITIVE));
    }
    means.sort_by(f64::total_cmp);
    if totals.len() < LEAST_DRAWN || error == 0.0 {
        return Some(Resampled { interval: student, means });
    }
    distances.sort_by(f64::total_cmp);
    let last = distances.len() - 1;
    let outer = (TAIL * last as f64).floor() as usize;
    let leaning = Interval {
        low: mean - distances[last - outer] * error,
        high: mean - distances[outer] * error,
    };
    Some(Resampled { interval: leaning.hull(student), means })
}

/// The value that Student's t with so many degrees of freedom exceeds with probability 2.5 %.
fn student_975(freedom: usize) -> f64 {
    const SMALL: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    match SMALL.get(freedom.saturating_sub(1)) {
        Some(value) => *value,
        // Cornish and Fisher's expansion: within 0.0001 from 31 degrees on.
        None => 1.959_964 + (2.372_25 + 2.822_5 / freedom as f64) / freedom as f64,
    }
}

/// By how much the standard error of a mean grows because neighbours resemble each other: 1 where they do
/// not. `neighbours` are values next to each other in time, with the mean taken off.
pub(crate) fn persistence(neighbours: &[(f64, f64)], squares: f64, count: usize) -> f64 {
    if count < 4 || squares <= 0.0 {
        return 1.0;
    }
    let n = count as f64;
    let seen = neighbours.iter().map(|(a, b)| a * b).sum::<f64>() / squares;
    // Short series show too little of it: by (1 + 4 r) / n.
    let unbiased = if count > 5 { (seen * n + 1.0) / (n - 4.0) } else { seen };
    // Half a standard error more: what is estimated too low makes an interval too narrow, and the other way
    // round it only is too wide.
    let r = (unbiased + 0.5 / n.sqrt()).clamp(0.0, 0.8);
    ((1.0 + r) / (1.0 - r)).sqrt()
}

/// Two-sided 95 % Clopper-Pearson bounds of a rate, `hits` of `n`.
pub(crate) fn clopper_pearson(hits: usize, n: usize) -> (f64, f64) {
    let at_least = |p: f64| tail(hits, n, p);
    let at_most = |p: f64| 1.0 - tail(hits + 1, n, p);
    let solve = |grows: &dyn Fn(f64) -> bool| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if grows(middle) { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    };
    let low = if hits == 0 { 0.0 } else { solve(&|p| at_least(p) < TAIL) };
    let high = if hits >= n { 1.0 } else { solve(&|p| at_most(p) > TAIL) };
    (low, high)
}

/// The probability of at least `hits` of `n` at rate `p`.
fn tail(hits: usize, n: usize, p: f64) -> f64 {
    let mut choose = 0.0; // logarithm of "n choose k"
    let mut sum = 0.0;
    for k in 0..=n {
        if k >= hits {
            let log = choose + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln();
            sum += log.exp();
        }
        choose += ((n - k) as f64 / (k + 1) as f64).max(f64::MIN_POSITIVE).ln();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        for (values, q, want) in [
            (&[1.0, 2.0, 3.0, 4.0, 5.0][..], 0.5, Some(3.0)),
            (&[1.0, 2.0, 3.0, 4.0], 0.5, Some(2.5)),
            (&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95, Some(4.8)),
            (&[7.0], 0.025, Some(7.0)),
            (&[], 0.5, None),
        ] {
            let got = quantile(values, q);
            let close = match (got, want) {
                (Some(got), Some(want)) => f64::abs(got - want) < 1e-9,
                (got, want) => got == want,
            };
            assert!(close, "{values:?} at {q}: {got:?}, want {want:?}");
        }
    }

    fn interval(totals: &[f64]) -> Interval {
        mean_interval(totals, 4_000, &mut SplitMix64::new(3)).unwrap().interval
    }

    #[test]
    fn equal_totals_have_an_interval_of_one_point_and_one_total_has_none() {
        assert_eq!(interval(&[0.25; 12]), Interval { low: 0.25, high: 0.25 });
        assert!(mean_interval(&[3.0], 100, &mut SplitMix64::new(1)).is_none());
    }

    #[test]
    fn few_totals_get_students_interval() {
        // Mean 2, standard error 1/√3, 4.303 of them to each side.
        let Interval { low, high } = interval(&[1.0, 2.0, 3.0]);
        assert!((low + 0.4844).abs() < 1e-3 && (high - 4.4844).abs() < 1e-3, "{low} {high}");
    }

    #[test]
    fn students_quantiles_are_the_published_ones() {
        for (freedom, want) in [
            (1, 12.706),
            (9, 2.262),
            (30, 2.042),
            (31, 2.0395),
            (35, 2.0301),
            (40, 2.0211),
            (60, 2.0003),
            (120, 1.9799),
            (100_000, 1.9600),
        ] {
            let got = student_975(freedom);
            assert!((got - want).abs() < 1e-4, "{freedom}: {got}, want {want}");
        }
    }

    #[test]
    fn rare_losses_lower_the_lower_end_more_than_a_symmetric_interval_would() {
        let mut totals = vec![3.0; 97];
        totals.extend([-97.0; 3]);
        let Interval { low, high } = interval(&totals);
        // The mean is 0; Student's interval is ±3.4.
        assert!(low < -4.5 && (3.0..3.7).contains(&high), "{low} {high}");
        // With one loss of 30 a third of the resamples is without any: the lower end is far out.
        let low = interval(&[&totals[..29], &[-97.0]].concat()).low;
        assert!((-70.0..-60.0).contains(&low), "{low}");
    }

    #[test]
    fn neighbours_that_resemble_each_other_widen_the_interval() {
        let persistence = |values: &[f64]| {
            let pairs: Vec<_> = values.windows(2).map(|pair| (pair[0], pair[1])).collect();
            persistence(&pairs, values.iter().map(|value| value * value).sum(), values.len())
        };
        assert_eq!(persistence(&[1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0]), 1.0);
        assert!(persistence(&[1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]) > 2.0);
        assert_eq!(persistence(&[1.0, 1.0, -1.0]), 1.0);
    }

    #[test]
    fn bounds_of_a_rate_are_the_published_ones() {
        for (hits, n, low, high) in [
            (0, 10, 0.0, 0.308_5),
            (10, 10, 0.691_5, 1.0),
            (5, 10, 0.187_1, 0.812_9),
            (97, 100, 0.914_8, 0.993_8),
            (30, 30, 0.884_3, 1.0),
        ] {
            let (a, b) = clopper_pearson(hits, n);
            let near = (a - low).abs() < 1e-4 && (b - high).abs() < 1e-4;
            assert!(near, "{hits} of {n}: {a} {b}");
        }
    }

    #[test]
    fn draws_bound_the_resamples() {
        assert_eq!([affordable(0, 9, 5), affordable(2, 9, 10), affordable(99, 9, 5)], [5, 5, 1]);
    }

    #[test]
    fn a_ratio_without_meaning_is_none_with_a_reason() {
        let ratio = Ratio::of(1.0, 0.0, "nothing was lost");
        assert_eq!((ratio.value, ratio.reason.as_deref()), (None, Some("nothing was lost")));
        assert_eq!(Ratio::of(-0.0, 3.0, "").value.map(f64::to_bits), Some(0));
    }
}
