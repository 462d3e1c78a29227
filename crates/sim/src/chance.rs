//! All chance of a run: one seed with one stream per purpose. More draws from one stream change nothing in
//! another. The feed's delays are looked up by time ([`crate::FeedLatency`]).

use polydesk_domain::{ClientOrderId, OrderHash, Span};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::Delay;

/// The purpose of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Delays of orders, cancels and answers.
    Wire,
    /// Faults: what is lost, slow or refused.
    Fault,
    /// Delays and failures of settlement and conversions.
    Chain,
}

/// The generators of a run.
#[derive(Debug, Clone)]
pub(crate) struct SeededRandom {
    seed: u64,
    streams: [ChaCha8Rng; 3],
}

impl SeededRandom {
    pub(crate) fn new(seed: u64) -> SeededRandom {
        let stream = |number| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(number);
            rng
        };
        SeededRandom { seed, streams: [stream(2), stream(3), stream(4)] }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `bound`, which must not be zero. The bias of the remainder is below 2^-40.
    fn below(&mut self, stream: Stream, bound: u64) -> u64 {
        self.streams[stream as usize].next_u64() % bound.max(1)
    }

    /// True in `ppm` of a million draws. Draws nothing where the answer is certain.
    pub(crate) fn happens(&mut self, stream: Stream, ppm: u32) -> bool {
        ppm > 0 && (ppm >= 1_000_000 || self.below(stream, 1_000_000) < u64::from(ppm))
    }

    /// A delay; never negative.
    pub(crate) fn delay(&mut self, stream: Stream, delay: Delay) -> Span {
        match delay {
            Delay::Constant(span) => span.max(Span::ZERO),
            Delay::Sampled { median, p99 } => {
                let rank = self.below(stream, 1_000_000) as i64;
                Span::nanos(quantile(median.as_nanos(), p99.as_nanos(), rank)).max(Span::ZERO)
            }
        }
    }

    /// The venue's id of an order: from seed and client id alone.
    pub(crate) fn order_hash(&self, id: ClientOrderId) -> OrderHash {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ 0x6f72_6465_7268_6173);
        rng.set_stream(id.0);
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        OrderHash::from_bytes(bytes)
    }
}

/// Piecewise linear between the quantiles named in [`Delay::Sampled`]; `rank` in millionths.
pub(crate) fn quantile(median: i64, p99: i64, rank: i64) -> i64 {
    let tail = p99 - median;
    let (from, to, low, high) = match rank {
        ..500_000 => (0, 500_000, median / 2, median),
        500_000..900_000 => (500_000, 900_000, median, median + tail / 4),
        900_000..990_000 => (900_000, 990_000, median + tail / 4, p99),
        _ => (990_000, 1_000_000, p99, p99 + tail),
    };
    let part = i128::from(high - low) * i128::from(rank - from) / i128::from(to - from);
    low + part as i64
}

/// A number that looks drawn, of a number (the finaliser of SplitMix64): for chance that is looked up by place
/// instead of being drawn in a row.
pub const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampled_delays_have_the_stated_median_and_p99() {
        let mut chance = SeededRandom::new(7);
        let delay = Delay::sampled_millis(60, 400);
        let mut draws: Vec<i64> =
            (0..20_000).map(|_| chance.delay(Stream::Wire, delay).as_nanos()).collect();
        draws.sort_unstable();
        let near = |got: i64, want: i64| (got - want).abs() < want / 20;
        assert!(near(draws[10_000], 60_000_000), "{}", draws[10_000]);
        assert!(near(draws[19_800], 400_000_000), "{}", draws[19_800]);
        assert!(draws[0] >= 30_000_000 && draws[19_999] <= 740_000_000);
    }

    #[test]
    fn draws_from_one_stream_leave_the_others_alone() {
        let (mut a, mut b) = (SeededRandom::new(1), SeededRandom::new(1));
        for _ in 0..100 {
            a.below(Stream::Chain, 10);
        }
        assert_eq!(a.below(Stream::Wire, 1 << 40), b.below(Stream::Wire, 1 << 40));
        assert_ne!(a.order_hash(ClientOrderId(1)), a.order_hash(ClientOrderId(2)));
        assert_eq!(a.order_hash(ClientOrderId(1)), b.order_hash(ClientOrderId(1)));
        assert_ne!(
            a.order_hash(ClientOrderId(1)),
            SeededRandom::new(2).order_hash(ClientOrderId(1))
        );
    }

    #[test]
    fn certain_things_happen_and_impossible_ones_do_not() {
        let mut chance = SeededRandom::new(3);
        assert!((0..100).all(|_| chance.happens(Stream::Fault, 1_000_000)));
        assert!((0..100).all(|_| !chance.happens(Stream::Fault, 0)));
    }
}
