//! The cheapest strategy that still reads every complete batch. It emits no signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use polydesk_domain::{Outcome, StrategyId};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

/// Reads the best prices of every complete batch, counts the batches and sums the middles.
#[derive(Debug, Default)]
pub struct Observer {
    seen: Arc<Seen>,
    batches: u64,
    sum: u64,
}

/// The counts of an observer; shared, because the engine owns its strategies.
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

impl Observer {
    /// A handle to its counts.
    pub fn seen(&self) -> Arc<Seen> {
        self.seen.clone()
    }
}

impl Strategy for Observer {
    fn id(&self) -> StrategyId {
        const { StrategyId::literal("observer") }
    }

    fn kinds(&self) -> Kinds {
        Kinds::BATCH
    }
    fn wants(&self, _: &polydesk_domain::Market) -> bool {
        true
    }
    fn save(&self) -> Saved {
        Saved::NOTHING
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id())
    }

    #[inline]
    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, _out: &mut Emit<'_>) {
        let Trigger::Batch(key) = trigger else { return };
        let middle = view.books.get(key).and_then(|book| book.double_mid(Outcome::Yes));
        self.batches += 1;
        self.sum = self.sum.wrapping_add(u64::from(middle.unwrap_or(0)));
        self.seen.batches.store(self.batches, Ordering::Relaxed);
        self.seen.sum.store(self.sum, Ordering::Relaxed);
    }

    fn reconfigure(&mut self, _toml: &str) -> Result<(), StateError> {
        Ok(())
    }
}
