//! What a restart needs of an engine: entries of the state, soft memory, books.

use std::sync::Arc;

use polydesk_domain::{Market, MarketKey, Time, Token};
use polydesk_execution::{Entry, ExitMemory, LoadError, State};
use polydesk_strategies::{Saved, StateError};

use crate::Engine;

/// Memory that may be old or missing after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Soft {
    /// Of each strategy.
    pub strategies: Vec<(polydesk_domain::StrategyId, Saved)>,
    /// The last executable price of each token in ten-thousandths, and when it was seen.
    pub marks: Vec<(polydesk_domain::TokenId, (u64, Time))>,
    /// What exits remember of the books of what is held.
    pub exits: Vec<(polydesk_domain::StrategyId, polydesk_domain::TokenId, ExitMemory)>,
}

impl Engine {
    /// Every entry of the state.
    pub fn save(&self) -> Vec<Entry> {
        self.manager.state().save(&self.universe)
    }

    /// The entries that the last event changed, whole. Those that are not collected are forgotten with
    /// the next event.
    pub fn changes(&self, each: impl FnMut(Entry)) {
        if self.touched {
            self.manager.state().changes(&self.universe, each);
        }
    }

    /// Takes up entries: facts are restored, nothing is decided again. Markets that entries name and that
    /// are not listed here get the next keys, by condition id; they are returned to the inbox, which assigns keys.
    ///
    /// # Errors
    /// An entry that cannot be read; the engine is then not to be used.
    pub fn load(&mut self, entries: &[Entry]) -> Result<Vec<(MarketKey, Arc<Market>)>, LoadError> {
        let mut listed = Vec::new();
        for market in State::markets_of(entries)? {
            if self.universe.key(&market.condition).is_some() {
                continue;
            }
            let (market, state) = (Arc::new(market.clone()), market.state);
            let key = self.universe.assign(Arc::clone(&market)).map_err(|error| {
                let key = market.condition.to_string();
                LoadError::Entry { table: "markets", key, detail: error.to_string() }
            })?;
            self.books.list(key, market.tick);
            self.states.push(state);
            self.slots.listed(key, &market);
            listed.push((key, market));
        }
        self.manager.load(entries, &self.universe, self.now)?;
        // An event that is much older shows that the clock was wrong.
        self.now = self.now.max(self.manager.latest());
        for slot in self.slots.iter_mut() {
            let (run, signals, asks) = self.manager.counters_of(slot.id);
            slot.counter = polydesk_strategies::Counter { run, signals, asks };
        }
        let off: Vec<_> = self.manager.state().off.keys().copied().collect();
        for strategy in off {
            self.slots.switch(strategy, false);
        }
        self.keep_wake();
        Ok(listed)
    }

    /// SHA-256 of the state: equal in every process that knows the same.
    pub fn state_hash(&self) -> [u8; 32] {
        self.manager.state().hash(&self.universe)
    }

    /// Soft memory, by the venue's ids.
    pub fn soft(&self) -> Soft {
        let marks = self.manager.marks();
        Soft {
            strategies: self.slots.iter().map(|slot| (slot.id, slot.strategy.save())).collect(),
            marks: marks.map(|(token, mark)| (self.universe.token_id(token), mark)).collect(),
            exits: self
                .manager
                .exit_memory()
                .map(|(strategy, token, memory)| {
                    (strategy, self.universe.token_id(token), memory.clone())
                })
                .collect(),
        }
    }

    /// Takes up soft memory; what cannot be read is left out and returned.
    pub fn load_soft(&mut self, soft: &Soft) -> Vec<StateError> {
        let mut refused = Vec::new();
        for (id, saved) in &soft.strategies {
            for slot in self.slots.iter_mut().filter(|slot| slot.id == *id) {
                if let Err(error) = slot.strategy.load(saved) {
                    refused.push(error);
                }
            }
        }
        let marks: Vec<(Token, (u64, Time))> = soft
            .marks
            .iter()
            .filter_map(|(id, mark)| Some((self.universe.token(id)?, *mark)))
            .collect();
        self.manager.set_marks(marks);
        let exits: Vec<(polydesk_domain::StrategyId, Token, ExitMemory)> = soft
            .exits
            .iter()
            .filter_map(|(strategy, id, memory)| {
                Some((*strategy, self.universe.token(id)?, memory.clone()))
            })
            .collect();
        self.manager.set_exit_memory(exits);
        self.keep_wake();
        refused
    }

    /// Takes over books and market states from another engine, by condition id: for a test of a restart,
    /// which a live process makes from fresh snapshots.
    pub fn adopt_books(&mut self, other: &Engine) {
        (self.now, self.timer_at) = (other.now, other.timer_at);
        // Batches that were opened at one time are completed in the order in which they were opened.
        let open = other.books.open_batches().iter().copied();
        let closed = other.universe.keys().filter(|key| !other.books.open_batches().contains(key));
        for there in open.chain(closed) {
            let condition = other.universe.market(there).condition;
            let Some(key) = self.universe.key(&condition) else { continue };
            self.books.adopt(key, &other.books, there);
            self.states[key.index()] = other.states[there.index()];
        }
    }
}
