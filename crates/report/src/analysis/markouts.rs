//! Markouts: the mid price some time after a fill versus the price of the fill.

use std::collections::BTreeMap;

use polydesk_domain::{Role, Side, StrategyId};
use serde::Serialize;

use super::stats::rounded;
use crate::model::{MarkedFill, Run};

/// Seconds after the match, in exchange time.
pub const HORIZONS: [u32; 5] = [0, 5, 30, 60, 300];

/// Markouts of one kind of fills; gains are positive.
#[derive(Debug, Clone, Serialize)]
pub struct Markout {
    /// Id of the strategy: `KIND`, or `KIND.NAME` for an instance.
    pub strategy: StrategyId,
    /// Maker or taker.
    pub role: Role,
    /// `quote`, `trade`, `leg` or the reason of an exit.
    pub purpose: &'static str,
    /// Fills that count.
    pub fills: usize,
    /// One for each of [`HORIZONS`].
    pub at: Vec<Horizon>,
}

/// The markout at one horizon.
#[derive(Debug, Clone, Serialize)]
pub struct Horizon {
    /// Seconds after the match.
    pub secs: u32,
    /// Fills for which a usable book had a middle then.
    pub n: usize,
    /// Fills whose middle is not known then; they are in no mean.
    pub missing: usize,
    /// Mean over fills in cents a share; `null` without fills.
    pub mean_cents: Option<f64>,
    /// Mean over shares in cents a share; `null` without shares.
    pub weighted_cents: Option<f64>,
}

pub(crate) fn markouts(run: &Run) -> Vec<Markout> {
    let mut groups = BTreeMap::<(StrategyId, bool, &str), Vec<&MarkedFill>>::new();
    for fill in run.fills.iter().filter(|fill| fill.counts()) {
        let record = &fill.record;
        let key = (record.strategy, record.role == Role::Taker, record.purpose.name());
        groups.entry(key).or_default().push(fill);
    }
    let mut rows = Vec::new();
    for ((strategy, taker, purpose), fills) in groups {
        rows.push(Markout {
            strategy,
            role: if taker { Role::Taker } else { Role::Maker },
            purpose,
            fills: fills.len(),
            at: (0..HORIZONS.len()).map(|place| horizon(&fills, place)).collect(),
        });
    }
    rows
}

fn horizon(fills: &[&MarkedFill], place: usize) -> Horizon {
    let (mut n, mut sum, mut weighted, mut shares) = (0usize, 0.0, 0.0, 0.0);
    for fill in fills {
        let middle = match place.checked_sub(1) {
            None => fill.double_mid_matched,
            Some(later) => fill.double_mid_later[later],
        };
        let size = fill.record.fill.shares;
        let (Some(middle), false) = (middle, size.is_zero()) else { continue };
        let cents = markout_cents(fill, middle);
        n += 1;
        sum += cents;
        weighted += cents * size.to_f64();
        shares += size.to_f64();
    }
    Horizon {
        secs: HORIZONS[place],
        n,
        missing: fills.len() - n,
        mean_cents: (n > 0).then(|| rounded(sum / n as f64)),
        weighted_cents: (shares > 0.0).then(|| rounded(weighted / shares)),
    }
}

/// Cents a share by which the doubled middle is better for us than the price of the fill.
fn markout_cents(fill: &MarkedFill, double_mid: u32) -> f64 {
    let paid = &fill.record.fill;
    let price = paid.notional.micros() as f64 * 100.0 / paid.shares.micros() as f64;
    let middle = f64::from(double_mid) / 200.0;
    match fill.record.side {
        Side::Buy => middle - price,
        Side::Sell => price - middle,
    }
}
