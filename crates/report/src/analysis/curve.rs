//! Equity, drawdown and locked capital over time.

use polydesk_domain::{Span, Time, Usdc};
use serde::Serialize;

use super::stats::Ratio;
use super::waterfall::saturated;
use crate::model::{EquityPoint, Run};

/// Figures of the equity curve.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// Deepest fall from a peak; `null` when equity never fell.
    pub drawdown: Option<Drawdown>,
    /// Lowest equity, in pUSD.
    pub lowest: Usdc,
    /// Highest equity, in pUSD.
    pub highest: Usdc,
    /// Most capital locked at once, in pUSD: holdings at cost plus what open buys may take.
    pub peak_locked: Usdc,
    /// Mean of locked capital over time, in pUSD.
    pub mean_locked: Usdc,
    /// Traded pUSD divided by mean locked capital.
    pub turnover: Ratio,
    /// Traded pUSD, failed fills left out.
    pub traded: Usdc,
    /// UTC day with the largest loss of equity; `null` when no day lost.
    pub worst_day: Option<Day>,
}

/// One fall of equity from a peak.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drawdown {
    /// How deep, in pUSD.
    pub depth: Usdc,
    /// How deep as a percentage of the peak.
    pub percent: Ratio,
    /// When the peak was.
    pub start: Time,
    /// When the bottom was.
    pub bottom: Time,
    /// When the peak was reached again; `null` when it was not.
    pub recovered: Option<Time>,
    /// From the peak to the recovery, or to the end.
    pub duration: Span,
}

/// Equity over one UTC day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Midnight at its start.
    pub day: Time,
    /// Change of equity, in pUSD.
    pub change: Usdc,
}

pub(crate) fn curve(run: &Run) -> Curve {
    // The start is part of the curve: losses before the first point are losses.
    let start = EquityPoint {
        at: run.span.map_or(Time::from_nanos(0), |span| span.0),
        equity: run.starting_cash,
        locked: Usdc::ZERO,
        realised: Usdc::ZERO,
    };
    let mut points = vec![start];
    points.extend(run.equity.iter().copied());
    let fills = run.fills.iter().filter(|fill| fill.counts());
    let traded: i128 = fills.map(|fill| i128::from(fill.record.fill.notional.micros())).sum();
    let mean_locked = mean_locked(&points);
    let micros = |usdc: Usdc| usdc.micros();
    Curve {
        drawdown: drawdown(&points),
        lowest: points.iter().map(|p| p.equity).min_by_key(|e| micros(*e)).unwrap_or_default(),
        highest: points.iter().map(|p| p.equity).max_by_key(|e| micros(*e)).unwrap_or_default(),
        peak_locked: points.iter().map(|p| p.locked).max_by_key(|e| micros(*e)).unwrap_or_default(),
        mean_locked,
        turnover: Ratio::of(
            traded as f64,
            mean_locked.micros() as f64,
            "no capital was locked on average",
        ),
        traded: saturated(traded),
        worst_day: worst_day(&points),
    }
}

fn difference(later: Usdc, earlier: Usdc) -> Usdc {
    saturated(i128::from(later.micros()) - i128::from(earlier.micros()))
}

pub(crate) fn drawdown(points: &[EquityPoint]) -> Option<Drawdown> {
    let mut peak = *points.first()?;
    let (mut worst, mut top, mut bottom) = (Usdc::ZERO, peak, peak);
    for point in points {
        if point.equity > peak.equity {
            peak = *point;
        }
        let depth = difference(peak.equity, point.equity);
        if depth > worst {
            (worst, top, bottom) = (depth, peak, *point);
        }
    }
    if worst == Usdc::ZERO {
        return None;
    }
    let recovered =
        points.iter().find(|p| p.at > bottom.at && p.equity >= top.equity).map(|p| p.at);
    let end = recovered.or(points.last().map(|p| p.at)).unwrap_or(bottom.at);
    let of = top.equity.micros() as f64;
    Some(Drawdown {
        depth: worst,
        percent: if of > 0.0 {
            Ratio::of(worst.micros() as f64 * 100.0, of, "the peak was zero")
        } else {
            Ratio::none("the peak was not above zero")
        },
        start: top.at,
        bottom: bottom.at,
        recovered,
        duration: top.at.until(end),
    })
}

/// Locked capital weighted by how long it was locked.
fn mean_locked(points: &[EquityPoint]) -> Usdc {
    let (mut sum, mut time) = (0i128, 0i128);
    for pair in points.windows(2) {
        let span = i128::from(pair[0].at.until(pair[1].at).as_nanos().max(0));
        sum = sum.saturating_add(i128::from(pair[0].locked.micros()).saturating_mul(span));
        time += span;
    }
    saturated(sum.checked_div(time).unwrap_or(0))
}

fn worst_day(points: &[EquityPoint]) -> Option<Day> {
    let mut worst: Option<Day> = None;
    let mut opened = points.first()?.equity;
    for (i, point) in points.iter().enumerate() {
        let ends = points.get(i + 1).is_none_or(|next| next.at.day() != point.at.day());
        if !ends {
            continue;
        }
        let change = difference(point.equity, opened);
        opened = point.equity;
        if change < worst.as_ref().map_or(Usdc::ZERO, |day| day.change) {
            worst = Some(Day { day: Time::from_secs(point.at.day() * 86_400), change });
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(i64, i64)]) -> Vec<EquityPoint> {
        let point = |(secs, dollars): &(i64, i64)| EquityPoint {
            at: Time::from_secs(*secs),
            equity: Usdc::whole(*dollars),
            locked: Usdc::whole(secs % 7),
            realised: Usdc::ZERO,
        };
        values.iter().map(point).collect()
    }

    #[test]
    fn the_deepest_fall_has_its_peak_bottom_and_recovery() {
        let points = points(&[(0, 100), (10, 110), (20, 99), (30, 111), (40, 108), (50, 120)]);
        let fall = drawdown(&points).unwrap();
        assert_eq!(fall.depth, Usdc::whole(11));
        assert_eq!(fall.percent.value, Some(10.0));
        assert_eq!(
            (fall.start, fall.bottom, fall.recovered),
            (Time::from_secs(10), Time::from_secs(20), Some(Time::from_secs(30)))
        );
        assert_eq!(fall.duration, Span::secs(20));
    }

    #[test]
    fn a_fall_that_lasts_runs_to_the_end_and_no_fall_is_none() {
        let fall = drawdown(&points(&[(0, 100), (10, 90), (25, 95)])).unwrap();
        assert_eq!((fall.recovered, fall.duration), (None, Span::secs(25)));
        assert_eq!(drawdown(&points(&[(0, 100), (10, 100), (20, 101)])), None);
        assert_eq!(drawdown(&[]), None);
    }

    #[test]
    fn the_worst_day_is_found_across_midnights() {
        let day = 86_400;
        let points =
            points(&[(0, 100), (day - 1, 98), (day, 93), (2 * day, 99), (2 * day + 5, 97)]);
        let worst = worst_day(&points).unwrap();
        assert_eq!(worst, Day { day: Time::from_secs(day), change: Usdc::whole(-5) });
    }

    #[test]
    fn locked_capital_counts_by_time() {
        let mut points = points(&[(0, 1), (10, 1), (40, 1)]);
        (points[0].locked, points[1].locked) = (Usdc::whole(8), Usdc::whole(4));
        assert_eq!(mean_locked(&points), Usdc::whole(5));
        assert_eq!(mean_locked(&points[..1]), Usdc::ZERO);
    }
}
