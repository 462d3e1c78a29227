//! Means, percentiles, bootstrap intervals and sign-flip tests over small samples of results.
//!
//! Samples are micro-dollars as `f64`: estimates, never money. Nothing here returns NaN: what is not
//! defined is `None`.

use polydesk_domain::Usdc;
use serde::Serialize;

use super::random::SplitMix64;

/// Fewest clusters for which whole clusters are drawn instead of single round trips.
pub const LEAST_CLUSTERS: usize = 8;

/// Work allowed for the verdict's interval or test, in draws; larger samples get fewer resamples.
pub(crate) const MOST_DRAWS: usize = 40_000_000;

/// The unit that is drawn with replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Whole markets with all their round trips, as trips in one market depend on each other; the
    /// markets of a neg-risk group are drawn as one.
    Market,
    /// Single round trips, because too few markets were traded; the interval is then too narrow if
    /// trips of one market depend on each other.
    RoundTrip,
}

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

/// One observation and the cluster (run and market) it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub cluster: (usize, usize),
    pub micros: f64,
}

/// Sums and counts by resampling unit.
pub(crate) struct Units {
    pub unit: Unit,
    pub clusters: usize,
    sums: Vec<(f64, f64)>,
    observations: usize,
}

impl Units {
    pub(crate) fn of(samples: &[Sample]) -> Units {
        let mut by_cluster = std::collections::BTreeMap::<(usize, usize), (f64, f64)>::new();
        for sample in samples {
            let sum = by_cluster.entry(sample.cluster).or_default();
            sum.0 += sample.micros;
            sum.1 += 1.0;
        }
        let clusters = by_cluster.len();
        let (unit, sums) = if clusters >= LEAST_CLUSTERS {
            (Unit::Market, by_cluster.into_values().collect())
        } else {
            (Unit::RoundTrip, samples.iter().map(|sample| (sample.micros, 1.0)).collect())
        };
        Units { unit, clusters, sums, observations: samples.len() }
    }

    /// How many resamples `draws` pay for, `wanted` at most.
    pub(crate) fn affordable(&self, wanted: usize, draws: usize) -> usize {
        wanted.min(draws / self.sums.len().max(1)).max(1)
    }

    /// Sorted means of resamples; empty without observations.
    pub(crate) fn bootstrap(&self, resamples: usize, random: &mut SplitMix64) -> Vec<f64> {
        if self.sums.is_empty() {
            return Vec::new();
        }
        let mut means = Vec::with_capacity(resamples);
        for _ in 0..resamples {
            let (mut sum, mut count) = (0.0, 0.0);
            for _ in 0..self.sums.len() {
                let drawn = self.sums[random.below(self.sums.len())];
                sum += drawn.0;
                count += drawn.1;
            }
            means.push(sum / count);
        }
        means.sort_by(f64::total_cmp);
        means
    }

    /// Two-sided p-value of "results are as likely positive as negative": the share of random sign
    /// flips whose mean is at least as far from zero. Never below 1 / (resamples + 1).
    pub(crate) fn sign_flip(&self, resamples: usize, random: &mut SplitMix64) -> Option<f64> {
        if self.observations == 0 {
            return None;
        }
        let seen = self.sums.iter().map(|(sum, _)| sum).sum::<f64>().abs();
        let (mut as_far, flips) = (0u64, resamples.max(1));
        for _ in 0..flips {
            let mut total = 0.0;
            for (sum, _) in &self.sums {
                total += if random.coin() { *sum } else { -sum };
            }
            // Sums in another order differ by rounding; equal must count as equal.
            as_far += u64::from(total.abs() >= seen * (1.0 - 1e-12));
        }
        Some((as_far + 1) as f64 / (flips + 1) as f64)
    }
}

/// The middle 95 % of sorted resampled means.
pub(crate) fn interval(means: &[f64]) -> Option<(Usdc, Usdc)> {
    Some((estimate(quantile(means, 0.025)?), estimate(quantile(means, 0.975)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Vec<Sample> {
        values.iter().map(|micros| Sample { cluster: (0, 0), micros: *micros }).collect()
    }

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

    #[test]
    fn equal_results_have_an_interval_of_one_point() {
        let units = Units::of(&samples(&[250_000.0; 12]));
        let means = units.bootstrap(500, &mut SplitMix64::new(1));
        assert_eq!(interval(&means), Some((Usdc::cents(25), Usdc::cents(25))));
    }

    #[test]
    fn a_bootstrap_interval_is_near_the_exact_one_of_two_values() {
        // Means of 16 draws from {0, 1 $} are Binomial(16, 1/2) / 16: the middle 95 % is 4/16 to 12/16.
        let values: Vec<f64> = (0..16).map(|i| f64::from(i % 2) * 1e6).collect();
        let means = Units::of(&samples(&values)).bootstrap(20_000, &mut SplitMix64::new(3));
        assert_eq!(interval(&means), Some((Usdc::cents(25), Usdc::cents(75))));
    }

    #[test]
    fn sign_flips_match_the_exact_count_of_small_samples() {
        // Of the 2⁵ sign patterns of five equal results only all plus and all minus are as far out: 1/16.
        let units = Units::of(&samples(&[3.0; 5]));
        let p = units.sign_flip(40_000, &mut SplitMix64::new(5)).unwrap();
        assert!((p - 1.0 / 16.0).abs() < 0.005, "{p}");
        let nothing = Units::of(&samples(&[1.0, -1.0])).sign_flip(500, &mut SplitMix64::new(5));
        assert_eq!(nothing, Some(1.0));
        assert_eq!(Units::of(&[]).sign_flip(500, &mut SplitMix64::new(5)), None);
    }

    #[test]
    fn many_markets_are_drawn_whole() {
        let spread = |markets: usize| -> Vec<Sample> {
            (0..64).map(|i| Sample { cluster: (0, i % markets), micros: i as f64 }).collect()
        };
        assert_eq!(Units::of(&spread(8)).unit, Unit::Market);
        assert_eq!(Units::of(&spread(7)).unit, Unit::RoundTrip);
    }

    #[test]
    fn trips_of_one_market_that_agree_widen_the_interval() {
        let values = |i: usize| if i % 8 < 4 { 1e6 } else { -1e6 };
        let alone: Vec<Sample> =
            (0..64).map(|i| Sample { cluster: (0, 0), micros: values(i) }).collect();
        let together: Vec<Sample> =
            (0..64).map(|i| Sample { cluster: (0, i % 8), micros: values(i) }).collect();
        let width = |samples: &[Sample]| {
            let means = Units::of(samples).bootstrap(4_000, &mut SplitMix64::new(9));
            let (low, high) = interval(&means).unwrap();
            (high - low).micros()
        };
        assert!(width(&together) > 2 * width(&alone));
    }

    #[test]
    fn a_ratio_without_meaning_is_none_with_a_reason() {
        let ratio = Ratio::of(1.0, 0.0, "nothing was lost");
        assert_eq!((ratio.value, ratio.reason.as_deref()), (None, Some("nothing was lost")));
        assert_eq!(Ratio::of(-0.0, 3.0, "").value.map(f64::to_bits), Some(0));
    }
}
