//! The one place of this crate that reads a clock, and the venue's clock as measured against it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use polydesk_domain::{Span, Time};

/// Server time: steady time plus a measured offset. Clones share the offset.
///
/// A step of the local clock moves no private request: until a measurement, server time goes on from the
/// local time at the start; after one, from the venue's. Time that a suspended machine does not count is
/// missing; the venue's refusal (401) then asks for a new measurement.
#[derive(Clone)]
pub struct ServerClock {
    local: Arc<dyn Fn() -> Time + Send + Sync>,
    steady: Arc<dyn Fn() -> Time + Send + Sync>,
    /// Server time less steady time, in nanoseconds.
    ahead: Arc<AtomicI64>,
}

impl core::fmt::Debug for ServerClock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ServerClock(offset {})", self.offset())
    }
}

impl Default for ServerClock {
    fn default() -> ServerClock {
        ServerClock::system()
    }
}

impl ServerClock {
    /// Over the system's clocks, with no offset yet.
    pub fn system() -> ServerClock {
        let local = || {
            #[expect(
                clippy::disallowed_methods,
                reason = "requests are stamped with the time they leave at"
            )]
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Time::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
        };
        #[expect(clippy::disallowed_methods, reason = "waits must not follow a clock that is set")]
        let start = std::time::Instant::now();
        let steady =
            move || Time::from_nanos(i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX));
        ServerClock::of(Arc::new(local), Arc::new(steady))
    }

    /// Over any clock: a test's, a replay's. Its steady time stands still while that clock runs back.
    pub fn over(local: impl Fn() -> Time + Send + Sync + 'static) -> ServerClock {
        let local: Arc<dyn Fn() -> Time + Send + Sync> = Arc::new(local);
        let (reads, latest) = (local.clone(), AtomicI64::new(i64::MIN));
        let steady = move || {
            let now = reads().nanos();
            Time::from_nanos(latest.fetch_max(now, Ordering::Relaxed).max(now))
        };
        ServerClock::of(local, Arc::new(steady))
    }

    /// Over the runtime's clock, which begins at `start` now: in a paused runtime it moves only when every
    /// task waits, to the next timer.
    pub fn runtime(start: Time) -> ServerClock {
        let origin = tokio::time::Instant::now();
        ServerClock::over(move || {
            let passed = i64::try_from(origin.elapsed().as_nanos()).unwrap_or(i64::MAX);
            start + Span::nanos(passed)
        })
    }

    /// Over a clock that shows dates and can be set, and one that never runs back.
    pub fn over_both(
        local: impl Fn() -> Time + Send + Sync + 'static,
        steady: impl Fn() -> Time + Send + Sync + 'static,
    ) -> ServerClock {
        ServerClock::of(Arc::new(local), Arc::new(steady))
    }

    fn of(
        local: Arc<dyn Fn() -> Time + Send + Sync>,
        steady: Arc<dyn Fn() -> Time + Send + Sync>,
    ) -> ServerClock {
        let ahead = local().nanos().saturating_sub(steady().nanos());
        ServerClock { local, steady, ahead: Arc::new(AtomicI64::new(ahead)) }
    }

    /// The local time.
    pub fn local(&self) -> Time {
        (self.local)()
    }
    /// Time that never runs back and is no date: for measuring silence and pauses. A system clock that is
    /// set does not move it.
    pub fn steady(&self) -> Time {
        (self.steady)()
    }
    /// The venue's time as far as known.
    pub fn now(&self) -> Time {
        self.server_at(self.steady())
    }
    /// The venue's time at a steady time, as far as known.
    pub fn server_at(&self, steady: Time) -> Time {
        steady + self.ahead()
    }
    /// Server time less steady time: what a measurement changes, and a step of the local clock does not.
    pub(crate) fn ahead(&self) -> Span {
        Span::nanos(self.ahead.load(Ordering::Relaxed))
    }
    /// Unix seconds of the venue's time: what private requests carry.
    pub fn secs(&self) -> u64 {
        u64::try_from(self.now().nanos().div_euclid(1_000_000_000)).unwrap_or(0)
    }
    /// Unix milliseconds of the venue's time: what orders carry.
    pub fn millis(&self) -> u64 {
        u64::try_from(self.now().nanos().div_euclid(1_000_000)).unwrap_or(0)
    }
    /// How far the venue is ahead of the local clock at present. A step of the local clock changes it.
    pub fn offset(&self) -> Span {
        self.local().until(self.now())
    }

    /// Takes a measurement: the venue stated `server` (whole seconds) in the response to a request that left
    /// at `sent` and came back at `received`, steady times. Within the error of the measurement (half a
    /// second and the way) the present server time is kept, so that it does not jitter.
    pub fn measured(&self, sent: Time, server: Time, received: Time) -> Span {
        // A whole second stands for its middle.
        let middle = sent.nanos() / 2 + received.nanos() / 2;
        let seen = server.nanos() + 500_000_000 - middle;
        let error = 500_000_000 + (received.nanos() - sent.nanos()) / 2;
        let now = self.ahead.load(Ordering::Relaxed);
        if (seen - now).abs() > error {
            self.ahead.store(seen, Ordering::Relaxed);
        }
        self.offset()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_time_does_not_run_back() {
        let now = Arc::new(AtomicI64::new(5));
        let reads = now.clone();
        let clock = ServerClock::over(move || Time::from_secs(reads.load(Ordering::Relaxed)));
        for (set, steady) in [(5, 5), (9, 9), (2, 9), (8, 9), (10, 10)] {
            now.store(set, Ordering::Relaxed);
            assert_eq!(clock.local(), Time::from_secs(set));
            assert_eq!(clock.clone().steady(), Time::from_secs(steady), "set to {set}");
        }
        let system = ServerClock::system();
        assert!(system.steady() <= system.steady());
    }

    #[test]
    fn a_step_of_the_local_clock_does_not_move_server_time() {
        let local = Arc::new(AtomicI64::new(1_000));
        let steady = Arc::new(AtomicI64::new(7));
        let (sets, runs) = (local.clone(), steady.clone());
        let clock = ServerClock::over_both(
            move || Time::from_secs(sets.load(Ordering::Relaxed)),
            move || Time::from_secs(runs.load(Ordering::Relaxed)),
        );
        assert_eq!((clock.secs(), clock.offset()), (1_000, Span::ZERO), "the local time at first");
        // An hour back, while five seconds pass.
        local.store(1_005 - 3_600, Ordering::Relaxed);
        steady.store(12, Ordering::Relaxed);
        assert_eq!((clock.secs(), clock.offset()), (1_005, Span::secs(3_600)));
        // A measurement counts by steady time, too.
        clock.measured(Time::from_secs(12), Time::from_secs(1_065), Time::from_secs(12));
        local.store(9_000, Ordering::Relaxed);
        steady.store(22, Ordering::Relaxed);
        assert_eq!(clock.secs(), 1_075);
    }

    #[test]
    fn an_offset_is_taken_when_it_is_larger_than_its_error() {
        let clock = ServerClock::over(|| Time::from_secs(1_000));
        let at = |millis: i64| Time::from_millis(1_000_000 + millis);
        // In step: the venue floors to a second.
        clock.measured(at(0), Time::from_secs(1_000), at(80));
        assert_eq!(clock.offset(), Span::ZERO);
        clock.measured(at(900), Time::from_secs(1_000), at(980));
        assert_eq!(clock.offset(), Span::ZERO);
        // Seven seconds ahead.
        clock.measured(at(0), Time::from_secs(1_007), at(80));
        assert!((clock.offset().as_millis() - 7_460).abs() < 500, "{}", clock.offset());
        assert!(clock.secs() >= 1_007);
        // The same again does not move it.
        let before = clock.offset();
        clock.measured(at(500), Time::from_secs(1_007), at(600));
        assert_eq!(clock.offset(), before);
    }
}
