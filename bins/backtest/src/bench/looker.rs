//! The cheapest strategy that still looks at every complete batch. It wants nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use polydesk_domain::{Outcome, StrategyId, Universe};
use polydesk_strategies::{
    Emit, Interests, Kinds, Markets, Occasion, Saved, StateError, Strategy, View,
};

/// Reads the best prices of every complete batch, counts the batches and sums the middles.
#[derive(Debug, Default)]
pub struct Looker {
    seen: Arc<Seen>,
    batches: u64,
    sum: u64,
}

/// What a looker saw; shared, because the engine owns its strategies.
#[derive(Debug, Default)]
pub struct Seen {
    batches: AtomicU64,
    sum: AtomicU64,
}

impl Seen {
    /// Batches seen, and the sum of twice their middles in ten-thousandths.
    pub fn get(&self) -> (u64, u64) {
        (self.batches.load(Ordering::Relaxed), self.sum.load(Ordering::Relaxed))
    }
}

impl Looker {
    /// A handle to what it sees.
    pub fn seen(&self) -> Arc<Seen> {
        self.seen.clone()
    }
}

impl Strategy for Looker {
    fn id(&self) -> StrategyId {
        const { StrategyId::literal("looker") }
    }

    fn interests(&self, _universe: &Universe) -> Interests {
        Interests { markets: Markets::All, kinds: Kinds::BATCH }
    }

    #[inline]
    fn on_event(&mut self, view: &View<'_>, occasion: Occasion<'_>, _out: &mut Emit<'_>) {
        let Occasion::Batch(key) = occasion else { return };
        let middle = view.books.get(key).and_then(|book| book.double_mid(Outcome::Yes));
        self.batches += 1;
        self.sum = self.sum.wrapping_add(u64::from(middle.unwrap_or(0)));
        self.seen.batches.store(self.batches, Ordering::Relaxed);
        self.seen.sum.store(self.sum, Ordering::Relaxed);
    }

    fn reconfigure(&mut self, _toml: &str) -> Result<(), StateError> {
        Ok(())
    }

    fn save(&self) -> Saved {
        Saved { version: 1, bytes: Vec::new() }
    }

    fn load(&mut self, _saved: &Saved) -> Result<(), StateError> {
        Ok(())
    }
}
