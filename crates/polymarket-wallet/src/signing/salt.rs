//! Salts and timestamps: what makes every order unique.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use polydesk_polymarket_api::{Salt, Stamp};

/// Hands out a salt and a strictly increasing millisecond timestamp for each order.
///
/// The timestamp plays the role of a nonce per address: two orders of one millisecond differ by one.
/// It cannot be copied: a copy would hand out the same salts.
#[derive(Debug)]
pub struct OrderStamps {
    chance: ChaCha12Rng,
    last_ms: u64,
}

impl OrderStamps {
    /// Unpredictable salts, or the system's error of its random source.
    pub fn from_os() -> std::io::Result<OrderStamps> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(OrderStamps { chance: ChaCha12Rng::from_seed(seed), last_ms: 0 })
    }
    /// The same salts in every run.
    pub fn seeded(seed: u64) -> OrderStamps {
        OrderStamps { chance: ChaCha12Rng::seed_from_u64(seed), last_ms: 0 }
    }
    /// The stamp of the next order; `now_ms` is server time.
    pub fn next(&mut self, now_ms: u64) -> Stamp {
        self.last_ms = now_ms.max(self.last_ms.saturating_add(1));
        Stamp { salt: Salt::of_random(self.chance.next_u64()), timestamp_ms: self.last_ms }
    }
    /// Never hand out a timestamp up to this one again (what a journal remembers over a restart).
    pub fn after(&mut self, last_ms: u64) {
        self.last_ms = self.last_ms.max(last_ms);
    }
}
