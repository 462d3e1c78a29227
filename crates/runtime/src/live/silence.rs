//! Orders whose outcome is unknown, one after another: a block page or a venue that does not answer. Each of them stays
//! reserved, so the next purchases leave at the pace of a probe. Sales and cancels do not wait.

use std::sync::{Mutex, PoisonError};

use polydesk_domain::{Span, Time};

/// So many in a row are bad luck.
const PATIENCE: u32 = 2;
/// The longest pause: trading goes on soon after the venue answers again.
const LONGEST_SECS: i64 = 30;

/// Counts them.
#[derive(Debug)]
pub struct Silence(Mutex<(u32, Time)>);

impl Default for Silence {
    fn default() -> Silence {
        Silence(Mutex::new((0, Time::MIN)))
    }
}

impl Silence {
    /// The outcome of a request is unknown: the next one waits, twice as long each time.
    pub fn unknown(&self, now: Time) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_add(1);
        if state.0 > PATIENCE {
            let doubled = 1_i64 << (state.0 - PATIENCE).min(10);
            state.1 = now + Span::secs(doubled.min(LONGEST_SECS));
        }
    }

    /// The venue answered: whatever it said, orders reach it.
    pub fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (0, Time::MIN);
    }

    /// Whether orders wait now.
    pub fn waits(&self, now: Time) -> bool {
        now < self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_bad_luck_and_pauses_double_up_to_half_a_minute_until_an_answer() {
        let silence = Silence::default();
        let mut now = Time::from_secs(1_000);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            silence.unknown(now);
            let mut secs = 0;
            while silence.waits(now + Span::secs(secs)) {
                secs += 1;
            }
            pauses.push(secs);
            now = now + Span::secs(secs);
        }
        assert_eq!(pauses, [0, 0, 2, 4, 8, 16, 30, 30]);
        silence.unknown(now);
        silence.answered();
        assert!(!silence.waits(now));
    }
}
