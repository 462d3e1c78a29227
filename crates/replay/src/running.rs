//! Extremes of equity and locked capital, kept online: every sample counts, however long the run. The curve
//! that is kept for drawing is thinned and is no source of figures.

use polydesk_domain::{Span, Time, Usdc};

/// Equity at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EquityPoint {
    /// Engine time.
    pub at: Time,
    /// Cash, pending proceeds and holdings at the value of displayed depth.
    pub equity: Usdc,
    /// Holdings at cost plus what open buys and pending splits may still take: capital that is locked.
    pub locked: Usdc,
    /// Realised profit and loss.
    pub realised: Usdc,
}

/// A fall of equity from a peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fall {
    /// Equity at the peak, and when it was first reached.
    pub peak: (Usdc, Time),
    /// Equity at the bottom, and when it was first reached.
    pub bottom: (Usdc, Time),
    /// When the peak was reached again; `None` when it was not.
    pub recovered: Option<Time>,
}

/// Extremes over all samples of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extremes {
    /// Lowest equity, the money at the start included.
    pub lowest: Usdc,
    /// Highest equity, the money at the start included.
    pub highest: Usdc,
    /// Most capital locked at once.
    pub peak_locked: Usdc,
    /// Locked capital weighted by how long it was locked.
    pub mean_locked: Usdc,
    /// The deepest fall; `None` when equity never fell.
    pub fall: Option<Fall>,
    /// From the first to the last sample.
    pub observed: Span,
    /// How much of it some capital was locked.
    pub exposed: Span,
    /// The UTC day (since 1970-01-01) with the largest loss of equity, and its change; `None` when none lost.
    pub worst_day: Option<(i64, Usdc)>,
}

/// Takes samples in order of time.
#[derive(Debug, Default)]
pub(crate) struct Running {
    out: Extremes,
    last: Option<EquityPoint>,
    peak: (Usdc, Time),
    locked_nanos: i128,
    day_open: Usdc,
}

impl Running {
    /// The next sample. The first one is the money at the start.
    pub(crate) fn sample(&mut self, point: EquityPoint) {
        let equity = point.equity;
        let Some(last) = self.last.replace(point) else {
            (self.out.lowest, self.out.highest) = (equity, equity);
            (self.peak, self.day_open) = ((equity, point.at), equity);
            self.out.peak_locked = point.locked;
            return;
        };
        let span = last.at.until(point.at);
        self.out.observed = self.out.observed + span;
        if !last.locked.is_zero() {
            self.out.exposed = self.out.exposed + span;
        }
        let nanos = i128::from(last.locked.micros()) * i128::from(span.as_nanos());
        self.locked_nanos = self.locked_nanos.saturating_add(nanos);
        if point.at.day() != last.at.day() {
            self.close_day(&last);
        }
        self.out.lowest = self.out.lowest.min(equity);
        self.out.highest = self.out.highest.max(equity);
        self.out.peak_locked = self.out.peak_locked.max(point.locked);
        self.fall(equity, point.at);
    }

    fn fall(&mut self, equity: Usdc, at: Time) {
        if equity > self.peak.0 {
            self.peak = (equity, at);
        }
        let deepest = self.out.fall.map_or(Usdc::ZERO, |fall| fall.peak.0 - fall.bottom.0);
        if self.peak.0 - equity > deepest {
            self.out.fall = Some(Fall { peak: self.peak, bottom: (equity, at), recovered: None });
        } else if let Some(fall) = &mut self.out.fall
            && fall.recovered.is_none()
            && equity >= fall.peak.0
        {
            fall.recovered = Some(at);
        }
    }

    fn close_day(&mut self, last: &EquityPoint) {
        let change = last.equity - self.day_open;
        if change < self.out.worst_day.map_or(Usdc::ZERO, |(_, worst)| worst) {
            self.out.worst_day = Some((last.at.day(), change));
        }
        self.day_open = last.equity;
    }

    pub(crate) fn finish(mut self) -> Extremes {
        if let Some(last) = self.last {
            self.close_day(&last);
        }
        let nanos = i128::from(self.out.observed.as_nanos());
        let mean = self.locked_nanos.checked_div(nanos).unwrap_or(0);
        self.out.mean_locked = Usdc::new(i64::try_from(mean).unwrap_or(i64::MAX));
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples as (second, dollars of equity, dollars locked).
    fn extremes(samples: &[(i64, i64, i64)]) -> Extremes {
        let mut running = Running::default();
        for (secs, equity, locked) in samples {
            running.sample(EquityPoint {
                at: Time::from_secs(*secs),
                equity: Usdc::whole(*equity),
                locked: Usdc::whole(*locked),
                realised: Usdc::ZERO,
            });
        }
        running.finish()
    }

    fn at(dollars: i64, secs: i64) -> (Usdc, Time) {
        (Usdc::whole(dollars), Time::from_secs(secs))
    }

    #[test]
    fn the_deepest_fall_has_its_peak_bottom_and_recovery() {
        let samples =
            [(0, 100, 0), (10, 110, 0), (20, 99, 0), (30, 110, 0), (40, 108, 0), (50, 120, 0)];
        let of = extremes(&samples);
        let recovered = Some(Time::from_secs(30));
        assert_eq!(of.fall, Some(Fall { peak: at(110, 10), bottom: at(99, 20), recovered }));
        assert_eq!((of.lowest, of.highest), (Usdc::whole(99), Usdc::whole(120)));
    }

    #[test]
    fn a_deeper_fall_takes_the_place_of_one_that_recovered() {
        let of = extremes(&[(0, 100, 0), (1, 95, 0), (2, 101, 0), (3, 90, 0), (4, 100, 0)]);
        assert_eq!(of.fall, Some(Fall { peak: at(101, 2), bottom: at(90, 3), recovered: None }));
        assert_eq!(extremes(&[(0, 100, 0), (10, 100, 0), (20, 101, 0)]).fall, None);
    }

    #[test]
    fn an_equal_fall_later_and_an_equal_peak_later_change_nothing() {
        let of = extremes(&[(0, 100, 0), (1, 100, 0), (2, 95, 0), (3, 100, 0), (4, 95, 0)]);
        let recovered = Some(Time::from_secs(3));
        assert_eq!(of.fall, Some(Fall { peak: at(100, 0), bottom: at(95, 2), recovered }));
    }

    #[test]
    fn the_worst_day_is_found_across_midnights_and_the_last_day_counts() {
        let day = 86_400;
        let mut samples = vec![(0, 100, 0), (day - 1, 98, 0), (day, 93, 0), (2 * day, 99, 0)];
        assert_eq!(extremes(&samples).worst_day, Some((1, Usdc::whole(-5))));
        samples.push((2 * day + 5, 80, 0));
        assert_eq!(extremes(&samples).worst_day, Some((2, Usdc::whole(-13))));
        assert_eq!(extremes(&[(0, 5, 0), (9, 5, 0)]).worst_day, None);
    }

    #[test]
    fn a_dip_of_one_second_is_seen_in_runs_of_any_length() {
        for (hours, dip) in [(1, 1_801), (72, 200_000), (72, 200_001), (720, 2_500_003)] {
            let mut running = Running::default();
            for second in 0..hours * 3_600 {
                let equity = Usdc::whole(if second == dip { 90 } else { 100 });
                let locked = Usdc::whole(if second == dip { 77 } else { 7 });
                let (at, realised) = (Time::from_secs(second), Usdc::ZERO);
                running.sample(EquityPoint { at, equity, locked, realised });
            }
            let of = running.finish();
            let recovered = Some(Time::from_secs(dip + 1));
            assert_eq!(of.fall, Some(Fall { peak: at(100, 0), bottom: at(90, dip), recovered }));
            assert_eq!((of.lowest, of.peak_locked), (Usdc::whole(90), Usdc::whole(77)));
        }
    }

    #[test]
    fn locked_capital_and_exposure_count_by_time() {
        let of = extremes(&[(0, 1, 8), (10, 1, 4), (40, 1, 0), (50, 1, 9)]);
        assert_eq!((of.peak_locked, of.mean_locked), (Usdc::whole(9), Usdc::whole(4)));
        assert_eq!((of.exposed, of.observed), (Span::secs(40), Span::secs(50)));
        assert_eq!(extremes(&[(0, 1, 8)]).mean_locked, Usdc::ZERO);
    }
}
