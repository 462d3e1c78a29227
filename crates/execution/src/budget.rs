//! Rate budgets as token buckets over engine time, in whole micro-tokens.

use polydesk_domain::{Span, Time};

/// So many per second, with a burst.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    per_second: u64,
    burst: u64,
    /// Millionths of a token.
    level: u64,
    filled_at: Time,
}

impl Budget {
    /// A full bucket.
    pub fn new(per_second: u32, burst: u32) -> Budget {
        let burst = u64::from(burst.max(1)) * 1_000_000;
        Budget { per_second: u64::from(per_second), burst, level: burst, filled_at: Time::MIN }
    }

    /// Another rate and burst from now on; what is left stays, up to the new burst.
    pub fn set(&mut self, per_second: u32, burst: u32) {
        self.per_second = u64::from(per_second);
        self.burst = u64::from(burst.max(1)) * 1_000_000;
        self.level = self.level.min(self.burst);
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Time) -> bool {
        self.fill(now);
        if self.level < 1_000_000 {
            return false;
        }
        self.level -= 1_000_000;
        true
    }

    /// Whole tokens left.
    pub fn left(&mut self, now: Time) -> u64 {
        self.fill(now);
        self.level / 1_000_000
    }

    fn fill(&mut self, now: Time) {
        if self.filled_at == Time::MIN || self.filled_at > now {
            self.filled_at = now;
        }
        let passed = self.filled_at.until(now).max(Span::ZERO).as_nanos() as u128;
        // Tokens per second are micro-tokens per microsecond; a fraction of one is left to the bucket.
        let earned = passed * u128::from(self.per_second) / 1_000;
        if earned > 0 {
            self.level =
                u64::try_from(u128::from(self.level) + earned).unwrap_or(u64::MAX).min(self.burst);
            self.filled_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut budget = Budget::new(10, 3);
        let at = Time::from_millis;
        assert_eq!((0..5).filter(|_| budget.take(at(0))).count(), 3);
        assert!(!budget.take(at(99)));
        assert!(budget.take(at(199)));
        assert_eq!((0..100).filter(|_| budget.take(at(100_000))).count(), 3);
    }
}
