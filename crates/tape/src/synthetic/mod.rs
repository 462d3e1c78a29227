//! Made-up history, always labelled as such: load for benchmarks, and a market with arbitrage.
//!
//! Nothing here pretends to be recorded: tapes written from it carry `synthetic = true`.

mod arbitrage;
mod packed;
mod speed;

pub use arbitrage::{ArbitrageTape, Episode, EpisodeKind, arbitrage_tape, write_arbitrage};
pub use packed::{PackedReader, PackedTape};
pub use speed::{Speed, SpeedSource};

/// SplitMix64: a small generator whose numbers never change with a library's version.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub const fn new(seed: u64) -> SplitMix {
        SplitMix(seed)
    }

    #[inline]
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `most` (at least 1); the bias of a 64-bit product is far below what matters here.
    #[inline]
    pub const fn below(&mut self, most: u64) -> u64 {
        ((self.next() as u128 * most as u128) >> 64) as u64
    }
}
