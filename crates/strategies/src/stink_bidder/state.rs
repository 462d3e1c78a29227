//! The stink bidder's memory of one market.

use polydesk_domain::{Code, ConditionId, Span, Time, Usdc};
use serde::{Deserialize, Serialize};

/// Buckets of the range window: the window moves in steps of a twelfth.
const BUCKETS: usize = 12;

/// Memory of one market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct MarketMemory {
    /// Market, by its condition id; `None` before its first evaluation.
    pub condition: Option<ConditionId>,
    pub next_review: Time,
    /// Bid + ask (twice the mid price) at which the resting ladder is anchored; `None` when none rests.
    pub anchor: Option<u32>,
    pub anchored_at: Time,
    pub in_vacuum: bool,
    /// Epoch of the book at the last evaluation.
    pub epoch: Option<u32>,
    pub quiet_until: Time,
    pub quiet_code: Code,
    /// pUSD of the resting ladder and of the holdings.
    pub resting: Usdc,
    pub held: Usdc,
    pub range: Range,
    pub depth: Depth,
}

impl Default for MarketMemory {
    fn default() -> MarketMemory {
        MarketMemory {
            condition: None,
            next_review: Time::MIN,
            anchor: None,
            anchored_at: Time::MIN,
            in_vacuum: false,
            epoch: None,
            quiet_until: Time::MIN,
            quiet_code: Code::literal("quiet"),
            resting: Usdc::ZERO,
            held: Usdc::ZERO,
            range: Range::default(),
            depth: Depth::default(),
        }
    }
}

/// High and low of the mid price over a moving window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Range {
    buckets: [(u32, u32); BUCKETS],
    current: i64,
    /// Nanoseconds of a bucket: a change of the window resets the range.
    width: i64,
}

impl Default for Range {
    fn default() -> Range {
        Range { buckets: [(u32::MAX, 0); BUCKETS], current: i64::MIN, width: 0 }
    }
}

impl Range {
    /// Adds a mid price and returns high minus low over the window, in the same unit.
    pub fn note(&mut self, now: Time, mid: u32, window: Span) -> u32 {
        let width = (window.as_nanos() / BUCKETS as i64).max(1);
        if width != self.width {
            *self = Range { width, ..Range::default() };
        }
        let bucket = now.nanos().div_euclid(width);
        let passed = bucket.saturating_sub(self.current).clamp(0, BUCKETS as i64);
        for step in 0..passed {
            self.buckets[(bucket - step).rem_euclid(BUCKETS as i64) as usize] = (u32::MAX, 0);
        }
        self.current = self.current.max(bucket);
        let (low, high) = &mut self.buckets[bucket.rem_euclid(BUCKETS as i64) as usize];
        (*low, *high) = ((*low).min(mid), (*high).max(mid));
        let low = self.buckets.iter().map(|bucket| bucket.0).min().unwrap_or(0);
        let high = self.buckets.iter().map(|bucket| bucket.1).max().unwrap_or(0);
        high.saturating_sub(low)
    }
}

/// A slow average of near depth, which detects a vacuum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Depth {
    average: i64,
    samples: u32,
    until: Option<Time>,
}

impl Depth {
    /// Adds the depth and returns whether the book is in a vacuum.
    pub fn vacuum(&mut self, now: Time, near: Usdc, below_ppm: u64, lasts: Span) -> bool {
        let near = near.micros();
        // The average needs some history before a fall below it means anything.
        let warm = self.samples >= 20;
        let threshold = Usdc::new(self.average).scale_floor(below_ppm, 1_000_000).micros();
        if warm && near < threshold {
            self.until = Some(now + lasts);
        }
        self.average =
            if self.samples == 0 { near } else { self.average + (near - self.average) / 32 };
        self.samples = self.samples.saturating_add(1);
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_forgets_what_is_older_than_its_window() {
        let mut range = Range::default();
        let window = Span::secs(120);
        assert_eq!(range.note(Time::from_secs(0), 1_000, window), 0);
        assert_eq!(range.note(Time::from_secs(30), 1_600, window), 600);
        assert_eq!(range.note(Time::from_secs(100), 1_500, window), 600);
        assert_eq!(range.note(Time::from_secs(140), 1_500, window), 100);
        assert_eq!(range.note(Time::from_secs(10_000), 1_500, window), 0);
        // A longer window of new parameters begins again instead of standing still.
        assert_eq!(range.note(Time::from_secs(10_001), 1_900, Span::secs(1_200)), 0);
        assert_eq!(range.note(Time::from_secs(10_002), 1_600, Span::secs(1_200)), 300);
    }

    #[test]
    fn a_vacuum_is_a_fall_below_the_average_and_passes() {
        let mut depth = Depth::default();
        let mut at = |secs: i64, usd: i64| {
            depth.vacuum(Time::from_secs(secs), Usdc::whole(usd), 350_000, Span::secs(5))
        };
        for secs in 0..30 {
            assert!(!at(secs, 1_000));
        }
        assert!(at(30, 200));
        assert!(at(33, 1_000));
        assert!(!at(36, 1_000));
    }
}
