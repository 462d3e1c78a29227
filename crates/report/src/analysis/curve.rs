//! Money at the start and at the end, returns, drawdown and locked capital. The extremes were kept while the run
//! went on; nothing here is read from the thinned curve.

use polydesk_domain::{Span, Time, Usdc};
use serde::Serialize;

use super::stats::Ratio;
use super::waterfall::{net, saturated};
use crate::model::{Fall, Run};

/// Why a figure over locked capital has no meaning.
const NOTHING_LOCKED: &str = "no capital was locked on average";

/// Figures of the equity curve.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// Money at the start, in pUSD.
    pub start: Usdc,
    /// Equity at the end, open holdings at displayed depth, in pUSD.
    pub end: Usdc,
    /// End minus start as a percentage of the start.
    pub return_percent: Ratio,
    /// End minus start as a percentage of mean locked capital: what the money at work earned.
    pub locked_return_percent: Ratio,
    /// Time with capital locked in holdings or open buys.
    pub exposed: Span,
    /// The same as a percentage of the run.
    pub exposed_percent: Ratio,
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
    let extremes = &run.extremes;
    let fills = run.fills.iter().filter(|fill| fill.counts());
    let traded: i128 = fills.map(|fill| i128::from(fill.record.fill.notional.micros())).sum();
    let net = net(run) as f64;
    let end = run.span.map_or(Time::MAX, |span| span.1);
    Curve {
        start: run.starting_cash,
        end: run.totals.equity,
        return_percent: Ratio::of(
            net * 100.0,
            run.starting_cash.micros() as f64,
            "there was no money at the start",
        ),
        locked_return_percent: Ratio::of(
            net * 100.0,
            extremes.mean_locked.micros() as f64,
            NOTHING_LOCKED,
        ),
        exposed: extremes.exposed,
        exposed_percent: Ratio::of(
            extremes.exposed.as_nanos() as f64 * 100.0,
            extremes.observed.as_nanos() as f64,
            "the run had no length",
        ),
        drawdown: extremes.fall.map(|fall| drawdown(&fall, end)),
        lowest: extremes.lowest,
        highest: extremes.highest,
        peak_locked: extremes.peak_locked,
        mean_locked: extremes.mean_locked,
        turnover: Ratio::of(traded as f64, extremes.mean_locked.micros() as f64, NOTHING_LOCKED),
        traded: saturated(traded),
        worst_day: extremes.worst_day.map(|(day, change)| Day { day, change }),
    }
}

fn drawdown(fall: &Fall, end: Time) -> Drawdown {
    let Fall { peak, peak_at, bottom, bottom_at, recovered } = *fall;
    let (top, depth) = (peak.micros(), i128::from(peak.micros()) - i128::from(bottom.micros()));
    Drawdown {
        depth: saturated(depth),
        percent: if top > 0 {
            Ratio::of(depth as f64 * 100.0, top as f64, "the peak was zero")
        } else {
            Ratio::none("the peak was not above zero")
        },
        start: peak_at,
        bottom: bottom_at,
        recovered,
        duration: peak_at.until(recovered.unwrap_or(end.max(bottom_at))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_lasts_from_its_peak_to_its_recovery_or_to_the_end() {
        let at = Time::from_secs;
        let fall = |recovered| Fall {
            peak: Usdc::whole(110),
            peak_at: at(10),
            bottom: Usdc::whole(99),
            bottom_at: at(20),
            recovered,
        };
        let recovered = drawdown(&fall(Some(at(30))), at(90));
        assert_eq!((recovered.depth, recovered.percent.value), (Usdc::whole(11), Some(10.0)));
        assert_eq!(recovered.duration, Span::secs(20));
        assert_eq!(drawdown(&fall(None), at(90)).duration, Span::secs(80));
    }
}
