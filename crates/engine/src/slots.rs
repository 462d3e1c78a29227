//! The strategies of an engine and which of them is called for what.

use polydesk_domain::{Code, Market, MarketKey, StrategyId, Universe};
use polydesk_strategies::{Counter, Kinds, Needs, Skips, StateError, Strategy};

/// One strategy and what belongs to it.
pub(crate) struct Slot {
    pub(crate) id: StrategyId,
    pub(crate) strategy: Box<dyn Strategy>,
    pub(crate) skips: Skips,
    pub(crate) counter: Counter,
    kinds: Kinds,
    on: bool,
}

/// All of them, in the order they are dispatched.
pub(crate) struct Slots {
    all: Vec<Slot>,
    /// Per market: a bit for each slot that wants it.
    markets: Vec<u32>,
    /// Per kind of trigger: a bit for each slot that is on and asks for it.
    kinds: [u32; 16],
}

/// The most strategies of one engine.
pub const MAX_STRATEGIES: usize = 32;

/// Why an engine could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// More than [`MAX_STRATEGIES`].
    #[error("{0} strategies; at most {MAX_STRATEGIES} fit")]
    TooManyStrategies(usize),
    /// Two strategies with one name would share positions.
    #[error("two strategies are named {0}")]
    SameName(StrategyId),
    /// A name that stands for something else.
    #[error("a strategy is named {0}, which stands for orders of others")]
    ReservedName(StrategyId),
}

impl Slots {
    pub(crate) fn new(run: u32, strategies: Vec<Box<dyn Strategy>>) -> Result<Slots, EngineError> {
        if strategies.len() > MAX_STRATEGIES {
            return Err(EngineError::TooManyStrategies(strategies.len()));
        }
        let mut all: Vec<Slot> = Vec::new();
        for strategy in strategies {
            let id = strategy.id();
            if all.iter().any(|slot| slot.id == id) {
                return Err(EngineError::SameName(id));
            }
            if id == StrategyId::EXTERNAL {
                return Err(EngineError::ReservedName(id));
            }
            let counter = Counter { run, ..Counter::default() };
            let kinds = strategy.kinds();
            all.push(Slot { id, strategy, skips: Skips::default(), counter, kinds, on: true });
        }
        let mut slots = Slots { all, markets: Vec::new(), kinds: [0; 16] };
        slots.count_kinds();
        Ok(slots)
    }

    fn count_kinds(&mut self) {
        for (kind, mask) in self.kinds.iter_mut().enumerate() {
            *mask = 0;
            for (i, slot) in self.all.iter().enumerate() {
                *mask |= u32::from(slot.on && slot.kinds.has(Kinds(1 << kind))) << i;
            }
        }
    }

    /// The slots that a trigger of one kind goes to; of a market, only those that want it.
    #[inline]
    pub(crate) fn mask(&self, kind: Kinds, market: Option<MarketKey>) -> u32 {
        let asks = self.kinds[(kind.0.trailing_zeros() & 15) as usize];
        match market {
            Some(key) => asks & self.markets.get(key.index()).copied().unwrap_or(0),
            None => asks,
        }
    }

    /// The bit of one strategy, if it asks for a kind.
    pub(crate) fn mask_of(&self, kind: Kinds, strategy: StrategyId) -> u32 {
        let at = self.all.iter().position(|slot| slot.id == strategy);
        self.mask(kind, None) & at.map_or(0, |at| 1 << at)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> &mut Slot {
        &mut self.all[index]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.all.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.all.iter_mut()
    }

    /// Asks every strategy whether it wants a market that was listed, or listed again.
    pub(crate) fn listed(&mut self, key: MarketKey, market: &Market) {
        if self.markets.len() <= key.index() {
            self.markets.resize(key.index() + 1, 0);
        }
        let mut mask = 0;
        for (i, slot) in self.all.iter().enumerate() {
            mask |= u32::from(slot.strategy.wants(market)) << i;
        }
        self.markets[key.index()] = mask;
    }

    pub(crate) fn delisted(&mut self, key: MarketKey) {
        if let Some(mask) = self.markets.get_mut(key.index()) {
            *mask = 0;
        }
        for slot in &mut self.all {
            slot.skips.forget(key);
        }
    }

    /// New parameters: kinds and wants are asked again. `None`: no strategy of that name.
    pub(crate) fn reconfigure(
        &mut self,
        strategy: StrategyId,
        toml: &str,
        universe: &Universe,
    ) -> Option<Result<(), StateError>> {
        let at = self.all.iter().position(|slot| slot.id == strategy)?;
        let slot = &mut self.all[at];
        if let Err(error) = slot.strategy.reconfigure(toml) {
            return Some(Err(error));
        }
        slot.kinds = slot.strategy.kinds();
        for key in universe.keys() {
            let wants = u32::from(slot.strategy.wants(universe.market(key))) << at;
            if let Some(mask) = self.markets.get_mut(key.index()) {
                *mask = *mask & !(1 << at) | wants;
            }
        }
        self.count_kinds();
        Some(Ok(()))
    }

    pub(crate) fn switch(&mut self, strategy: StrategyId, on: bool) {
        for slot in self.all.iter_mut().filter(|slot| slot.id == strategy) {
            slot.on = on;
        }
        self.count_kinds();
    }

    pub(crate) fn skips(&self) -> Vec<(StrategyId, Vec<(Code, u64)>)> {
        self.all.iter().map(|slot| (slot.id, slot.skips.by_code())).collect()
    }

    pub(crate) fn emitted(&self, strategy: StrategyId) -> u64 {
        let slot = self.all.iter().find(|slot| slot.id == strategy);
        slot.map_or(0, |slot| slot.counter.signals)
    }

    pub(crate) fn needs(&self) -> Vec<(StrategyId, Needs)> {
        self.all.iter().map(|slot| (slot.id, slot.strategy.needs())).collect()
    }
}
