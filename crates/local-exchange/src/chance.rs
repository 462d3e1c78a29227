//! The seeded random generator: the only source of randomness in this crate.

use polydesk_domain::Span;
use polydesk_sim::Delay;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use uuid::Uuid;

/// The exchange's random generator.
#[derive(Debug, Clone)]
pub(crate) struct SeededRandom(ChaCha8Rng);

impl SeededRandom {
    pub(crate) fn new(seed: u64, purpose: u64) -> SeededRandom {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose);
        SeededRandom(rng)
    }

    /// A draw that is true with a probability in millionths.
    pub(crate) fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.0.next_u32() % 1_000_000 < ppm
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }

    /// A draw in whole milliseconds, as finely as the runtime's timers wait: half to one and a half of the
    /// median for most, stretched towards `p99` for the rest.
    pub(crate) fn delay(&mut self, delay: Delay) -> Span {
        match delay {
            Delay::Constant(span) => span,
            Delay::Sampled { median, p99 } => {
                let roll = self.below(1_000) as i64;
                let (median, p99) = (median.as_nanos(), p99.as_nanos());
                let nanos = match roll {
                    0..500 => median / 2 + median / 2 * roll / 500,
                    500..900 => median + (p99 - median) / 4 * (roll - 500) / 400,
                    _ => median + (p99 - median) / 4 + (p99 - median) / 4 * 3 * (roll - 900) / 100,
                };
                Span::millis(nanos / 1_000_000)
            }
        }
    }
}
