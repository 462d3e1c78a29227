//! A thread that has nothing to do looks for work a little longer before it parks: being woken costs it more than that.

use std::time::Duration;

use crate::assembly::Host;

/// How long the engine's thread and the lane of orders look for work before they park.
pub const BEFORE_PARKING: Duration = Duration::from_micros(20);

/// The same by where they run: a task in virtual time never looks, for time does not move meanwhile. Nor does a thread
/// on a machine of one processor, which would only keep it from the thread that has the work.
pub fn before_parking(host: Host) -> Duration {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    match host {
        Host::Thread if processors > 1 => BEFORE_PARKING,
        Host::Thread | Host::Task => Duration::ZERO,
    }
}

/// Looks for work until there is some, or the time is over.
pub(crate) fn for_work(most: Duration, mut found: impl FnMut() -> bool) {
    if most.is_zero() {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "no decision depends on it, and no event gets this time"
    )]
    let began = std::time::Instant::now();
    while !found() && began.elapsed() < most {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_the_first_work_and_looks_not_at_all_in_virtual_time() {
        let mut looks = 0;
        for_work(Duration::from_secs(3_600), || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
        for_work(before_parking(Host::Task), || unreachable!("a task looked"));
    }
}
