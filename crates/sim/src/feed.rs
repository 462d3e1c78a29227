//! The latency of a feed: one process per connection, so that rows side by side are late together.

use polydesk_domain::{Span, Time};

use crate::Delay;
use crate::chance::{mix, quantile};

/// A cell's delay is kept from the one before with the probability of exp(-1/4), so that the correlation falls
/// to 1/e within four cells.
const RENEWED_PPM: u64 = 221_199;
/// Cells per correlation time.
const CELLS: i64 = 4;
/// At these cells a delay is always drawn anew: from there on nothing depends on what was before.
const ANCHOR: i64 = 64;

/// When a connection's rows arrive.
///
/// Delays have the configured distribution and are kept for the correlation time. A row never overtakes one
/// that was sent before it, so after a stall several arrive at once. The arrival depends on the seed, the connection
/// and the time of sending alone: other rows, other markets and other tapes change nothing.
#[derive(Debug, Clone)]
pub struct FeedLatency {
    seed: u64,
    delay: Delay,
    cell: i64,
    /// The cell that was reached.
    index: Option<i64>,
    /// Its delay.
    current: Span,
    /// When the last row that could have been sent before it arrives.
    held: Time,
    /// The first nanosecond of the cell that was reached, if any was.
    begin: Time,
}

impl FeedLatency {
    /// Of a connection with a name of its own.
    pub fn new(seed: u64, connection: u64, delay: Delay, correlation: Span) -> FeedLatency {
        let cell = (correlation.as_nanos() / CELLS).max(1_000_000);
        FeedLatency {
            seed: mix(mix(seed) ^ connection),
            delay,
            cell,
            index: None,
            current: Span::ZERO,
            held: Time::MIN,
            begin: Time::MAX,
        }
    }

    /// When a row sent at this time arrives; it grows with it.
    #[inline]
    pub fn arrival(&mut self, sent: Time) -> Time {
        match self.delay {
            Delay::Constant(span) => sent + span.max(Span::ZERO),
            Delay::Sampled { median, p99 } => {
                // Most rows are sent in the cell of the row before: no division finds it again.
                if sent < self.begin || self.begin.until(sent).as_nanos() >= self.cell {
                    self.reach(sent, median, p99);
                }
                (sent + self.current).max(self.held)
            }
        }
    }

    /// Goes on, or back, to the cell of this time.
    #[inline(never)]
    fn reach(&mut self, sent: Time, median: Span, p99: Span) {
        let to = sent.nanos().div_euclid(self.cell);
        let tail = p99.as_nanos().saturating_mul(2).saturating_sub(median.as_nanos());
        let longest = tail / self.cell + 1;
        let first = to.saturating_sub(longest).div_euclid(ANCHOR) * ANCHOR;
        let mut at = match self.index {
            Some(index) if index >= first && index <= to => index,
            _ => {
                self.held = Time::MIN;
                self.current = self.drawn(first, median, p99);
                first
            }
        };
        while at < to {
            let end = Time::from_nanos((at + 1).saturating_mul(self.cell));
            self.held = self.held.max(end + self.current);
            at += 1;
            let renewed = mix(self.seed ^ at as u64) % 1_000_000 < RENEWED_PPM;
            if renewed || at.rem_euclid(ANCHOR) == 0 {
                self.current = self.drawn(at, median, p99);
            }
        }
        self.index = Some(at);
        self.begin = Time::from_nanos(at.saturating_mul(self.cell));
    }

    fn drawn(&self, cell: i64, median: Span, p99: Span) -> Span {
        let rank = mix(!self.seed ^ cell as u64) % 1_000_000;
        Span::nanos(quantile(median.as_nanos(), p99.as_nanos(), rank as i64)).max(Span::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(connection: u64) -> FeedLatency {
        FeedLatency::new(7, connection, Delay::sampled_millis(25, 150), Span::millis(80))
    }

    /// Delays in microseconds of rows sent this often for two minutes.
    fn delays(feed: &mut FeedLatency, every_micros: i64) -> Vec<i64> {
        let sent = (0..120_000_000 / every_micros)
            .map(|i| Time::from_nanos(1_780_000_000_000_000_000 + i * every_micros * 1_000));
        sent.map(|at| at.until(feed.arrival(at)).as_nanos() / 1_000).collect()
    }

    fn percentile(values: &[i64], percent: usize) -> i64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() * percent / 100] / 1_000
    }

    #[test]
    fn the_applied_latency_does_not_depend_on_the_number_of_rows() {
        // A running maximum of one draw a row was 143 ms in the middle at 1,000 rows a second.
        for every in [200, 1_000, 50_000] {
            let seen = delays(&mut feed(1), every);
            let (median, p99) = (percentile(&seen, 50), percentile(&seen, 99));
            assert!((22..=40).contains(&median), "{every}: median {median} ms");
            assert!((120..=230).contains(&p99), "{every}: p99 {p99} ms");
        }
    }

    #[test]
    fn other_rows_change_nothing_and_none_overtakes_another() {
        let (mut all, mut few) = (feed(1), feed(1));
        let mut last = Time::MIN;
        for i in 0..200_000 {
            let at = Time::from_nanos(1_780_000_000_000_000_000 + i * 700_003);
            let arrival = all.arrival(at);
            assert!(arrival >= last && arrival > at);
            last = arrival;
            if i % 997 == 0 || (40_000..40_050).contains(&i) {
                assert_eq!(few.arrival(at), arrival, "row {i}");
            }
        }
        // After a silence of an hour, and asked again from the beginning.
        let far = Time::from_nanos(1_780_003_600_000_000_000);
        assert_eq!(few.arrival(far), feed(1).arrival(far));
        let first = Time::from_nanos(1_780_000_000_000_000_000);
        assert_eq!(few.arrival(first), feed(1).arrival(first));
    }

    #[test]
    fn rows_side_by_side_are_late_together_and_connections_are_not() {
        let (one, two) = (delays(&mut feed(1), 10_000), delays(&mut feed(2), 10_000));
        let correlation = |a: &[i64], b: &[i64]| {
            let mean = |of: &[i64]| of.iter().sum::<i64>() as f64 / of.len() as f64;
            let (ma, mb) = (mean(a), mean(b));
            let cov: f64 = a.iter().zip(b).map(|(x, y)| (*x as f64 - ma) * (*y as f64 - mb)).sum();
            let var = |of: &[i64], m: f64| of.iter().map(|x| (*x as f64 - m).powi(2)).sum::<f64>();
            cov / (var(a, ma) * var(b, mb)).sqrt()
        };
        let lagged = |cells: usize| correlation(&one[..one.len() - cells], &one[cells..]);
        assert!(lagged(1) > 0.8, "{}", lagged(1));
        assert!((0.2..0.7).contains(&lagged(8)), "{}", lagged(8));
        assert!(lagged(60).abs() < 0.1, "{}", lagged(60));
        assert!(correlation(&one, &two).abs() < 0.1);
    }

    #[test]
    fn a_constant_latency_is_constant() {
        let constant = Delay::Constant(Span::millis(25));
        let mut feed = FeedLatency::new(7, 1, constant, Span::millis(80));
        assert_eq!(feed.arrival(Time::from_secs(1)), Time::from_millis(1_025));
    }
}
