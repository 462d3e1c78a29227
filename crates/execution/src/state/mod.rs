//! Everything execution knows, as plain data. Facts are applied here and nothing is decided.
//!
//! What a restart needs lies in tables that mark what changed ([`Tracked`]); lists and sums made from
//! them are derived and made again by [`State::load`]. Entries name markets and tokens by the venue's
//! ids, so they mean the same in every process.

mod account;
mod basket;
mod clock;
mod codec;
mod exposure;
mod fills;
mod ledger;
mod lots;
pub(crate) mod order;
mod orders;
mod own_fills;
mod positions;
mod sets;
mod tracked;
mod wanted;

pub use account::{
    Attempts, Budgets, Counters, EarlyRedemption, Equity, EquityMarks, MarketEntry, Pace, Recent,
    Rejections,
};
pub(crate) use account::{concerns, market_of, sane_fill, sane_money};
pub use basket::{BasketLeg, OpenBasket, Stage};
pub use codec::{Entry, LoadError};
pub(crate) use exposure::Totals;
pub use exposure::{Exposure, Sums};
pub use fills::Violation;
pub use ledger::{Entry as LedgerEntry, Ledger, LedgerAccount, Tally};
pub(crate) use lots::average_units;
pub use lots::{Authority, ClosedLot, ExitState, FillKey, Holding, Lot, PendingExit, Tries};
pub(crate) use order::Draft;
pub use order::{Illegal, IllegalTrade, Order, is_ordinary, next_state, next_status};
pub use orders::{FillChange, OrderChange, Orders, TradeChange};
pub use own_fills::{Fills, OwnFill};
pub use positions::{Positions, Sale};
pub use tracked::{Single, Tracked};
pub use wanted::{Desired, PendingAsk, PendingConversion};

use std::collections::BTreeMap;
use std::ops::Bound;

use polydesk_domain::{
    AskId, BasketId, Blocker, Cause, Code, ConditionId, ConversionId, Market, MarketKey,
    MarketState, StrategyId, Time, Token, Universe, Usdc,
};
use polydesk_signals::HighWater;
use sha2::{Digest, Sha256};

use crate::config::RawRisk;
use codec::{Venue, bytes, plain, value};

plain!(RawRisk, ConditionId);

/// Everything execution knows.
#[derive(Debug, Clone)]
pub struct State {
    /// Our orders with their fills.
    pub orders: Orders,
    /// What is held, sold and not final, and on its way out.
    pub positions: Positions,
    /// Money.
    pub ledger: Ledger,
    /// Baskets under way.
    pub baskets: Tracked<BasketId, OpenBasket>,
    /// Splits, merges and redemptions under way.
    pub conversions: Tracked<ConversionId, PendingConversion>,
    /// What strategies want resting.
    pub quotes: Tracked<(StrategyId, MarketKey), Desired>,
    /// Why the gate is closed.
    pub blockers: Tracked<Cause, Blocker>,
    /// What losses are measured from.
    pub equity: Single<EquityMarks>,
    /// Limits in force, as written.
    pub limits: Single<RawRisk>,
    /// Numbers given away.
    pub counters: Single<Counters>,
    /// Rates in use.
    pub budgets: Single<Budgets>,
    /// Signals emitted by each strategy in this run.
    pub emitted: Tracked<StrategyId, u64>,
    /// The latest signal taken from each producer.
    pub signals: Tracked<StrategyId, HighWater>,
    /// Questions to models that are not answered.
    pub asks: Tracked<AskId, PendingAsk>,
    /// Durable memory of strategies.
    pub remember: Tracked<(StrategyId, String), Vec<u8>>,
    /// Millionths of a share by token that settled amounts had more (positive) or less than the lots.
    pub rounding: Tracked<Token, i64>,
    /// Refusals of the venue in a row, by strategy and market.
    pub rejections: Tracked<(StrategyId, MarketKey), Rejections>,
    /// Refusals in a row by strategy, over all markets, of orders that were not merely late.
    pub refused: Tracked<StrategyId, u64>,
    /// Failures that count together, by kind.
    pub failures: Tracked<Code, Recent>,
    /// Orders of each strategy within this minute.
    pub pace: Tracked<StrategyId, Pace>,
    /// Redemptions that failed.
    pub redemptions: Tracked<MarketKey, Attempts>,
    /// Redemption money that came before the resolution.
    pub early: Tracked<MarketKey, EarlyRedemption>,
    /// When a strategy's lot of a token was last stopped out.
    pub stopped: Tracked<(StrategyId, Token), Time>,
    /// Equity at the first mark of each of the last 1,440 minutes, by minute since 1970.
    pub window: Tracked<i64, Usdc>,
    /// Strategies that are switched off, and since when.
    pub off: Tracked<StrategyId, Time>,
    /// Keys of operator commands that were executed, and when.
    pub operator: Tracked<String, Time>,
    /// Markets that anything above names.
    pub markets: Tracked<ConditionId, MarketEntry>,
    /// What the entries above put at risk: derived, never saved.
    pub(crate) sums: Sums,
}

/// Millionths of a share that rounding explains; more freezes the token.
pub(crate) const ROUNDING_MOST: u64 = 10_000;

/// Calls a macro with every table: its name, its kind and where it is.
macro_rules! tables {
    ($do:ident, $($arg:tt)*) => {
        $do!($($arg)*;
            "markets" => markets, "orders" => orders.all, "lots" => positions.holdings, "sales" => positions.sales,
            "exits" => positions.exits, "ledger" => ledger.balances, "days" => ledger.days,
            "baskets" => baskets, "conversions" => conversions, "quotes" => quotes,
            "blockers" => blockers, "emitted" => emitted, "signals" => signals, "asks" => asks,
            "remember" => remember, "rejections" => rejections, "refused" => refused,
            "failures" => failures, "pace" => pace, "redemptions" => redemptions, "early" => early,
            "stopped" => stopped, "window" => window, "rounding" => rounding, "off" => off, "operator" => operator;
            "totals" => ledger.totals, "equity" => equity, "limits" => limits,
            "counters" => counters, "budgets" => budgets)
    };
}

/// The table that `load` takes first.
const MARKETS: &str = "markets";

/// Names of all tables.
pub const TABLES: &[&str] = {
    macro_rules! names {
        ($($name:literal => $($path:ident).+),*; $($single:literal => $($at:ident).+),*) => {
            &[$($name,)* $($single,)*]
        };
    }
    macro_rules! call { (;$($rest:tt)*) => { names!($($rest)*) } }
    tables!(call,)
};

impl Entry {
    /// An entry as a journal gives it back: `table` is one of [`TABLES`].
    ///
    /// # Errors
    /// A table that this program does not have.
    pub fn read(table: &str, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<Entry, LoadError> {
        let known = TABLES.iter().copied().find(|known| *known == table);
        let table = known.ok_or_else(|| LoadError::Table(table.to_owned()))?;
        Ok(Entry { table, key, value })
    }
}

impl State {
    /// Nothing known yet. `run` is part of every id.
    pub fn new(run: u32, limits: RawRisk, budgets: Budgets) -> State {
        State {
            orders: Orders::default(),
            positions: Positions::default(),
            ledger: Ledger::default(),
            baskets: Tracked::default(),
            conversions: Tracked::default(),
            quotes: Tracked::default(),
            blockers: Tracked::default(),
            equity: Single::default(),
            limits: Single::new(limits),
            counters: Single::new(Counters { run, ..Counters::default() }),
            budgets: Single::new(budgets),
            emitted: Tracked::default(),
            signals: Tracked::default(),
            asks: Tracked::default(),
            remember: Tracked::default(),
            rejections: Tracked::default(),
            refused: Tracked::default(),
            failures: Tracked::default(),
            pace: Tracked::default(),
            redemptions: Tracked::default(),
            early: Tracked::default(),
            stopped: Tracked::default(),
            window: Tracked::default(),
            rounding: Tracked::default(),
            off: Tracked::default(),
            operator: Tracked::default(),
            markets: Tracked::default(),
            sums: Sums::default(),
        }
    }

    /// Every entry, table by table, in the order of the keys in memory.
    pub fn save(&self, ids: &Universe) -> Vec<Entry> {
        let mut entries = Vec::new();
        macro_rules! save {
            ($($name:literal => $($path:ident).+),*; $($single:literal => $($at:ident).+),*) => {
                $(for (key, value) in self.$($path).+.iter() {
                    entries.push(Entry {
                        table: $name,
                        key: bytes(key, ids),
                        value: Some(bytes(value, ids)),
                    });
                })*
                $(entries.push(Entry {
                    table: $single,
                    key: bytes(&(), ids),
                    value: Some(bytes(self.$($at).+.get(), ids)),
                });)*
            };
        }
        macro_rules! call { (;$($rest:tt)*) => { save!($($rest)*) } }
        tables!(call,);
        entries
    }

    /// The entries marked since the last [`State::clear_changes`].
    pub fn changes(&self, ids: &Universe, mut each: impl FnMut(Entry)) {
        macro_rules! changes {
            ($($name:literal => $($path:ident).+),*; $($single:literal => $($at:ident).+),*) => {
                $(for key in self.$($path).+.changes() {
                    let value = self.$($path).+.get(&key).map(|value| bytes(value, ids));
                    each(Entry { table: $name, key: bytes(&key, ids), value });
                })*
                $(if self.$($at).+.changed() {
                    let value = Some(bytes(self.$($at).+.get(), ids));
                    each(Entry { table: $single, key: bytes(&(), ids), value });
                })*
            };
        }
        macro_rules! call { (;$($rest:tt)*) => { changes!($($rest)*) } }
        tables!(call,);
    }

    /// Forgets which entries are marked.
    pub fn clear_changes(&mut self) {
        // The sums are kept by the same marks.
        self.refresh_sums();
        macro_rules! clear {
            ($($name:literal => $($path:ident).+),*; $($single:literal => $($at:ident).+),*) => {
                $(self.$($path).+.clear_changes();)*
                $(self.$($at).+.clear_changes();)*
            };
        }
        macro_rules! call { (;$($rest:tt)*) => { clear!($($rest)*) } }
        tables!(call,);
    }

    /// The markets that entries name, by condition id and as the last entry of each has them: they are to be
    /// listed before [`State::load`].
    ///
    /// # Errors
    /// An entry of the table that is no market.
    pub fn markets_of(entries: &[Entry]) -> Result<Vec<Market>, LoadError> {
        let mut markets = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.table == MARKETS) {
            let Some(value) = &entry.value else { continue };
            let read: MarketEntry = serde_json::from_slice(value)
                .map_err(|error| refuse(MARKETS, &entry.key, error.to_string()))?;
            markets.insert(read.market.condition, read.market);
        }
        Ok(markets.into_values().collect())
    }

    /// Applies entries: later ones win. Every market they name must be listed. Nothing is decided; lists
    /// and sums are made again. What was applied is not marked.
    ///
    /// # Errors
    /// An entry that cannot be read, by table and key; the state is then not to be used.
    pub fn load(&mut self, entries: &[Entry], ids: &Universe) -> Result<(), LoadError> {
        let run = self.counters.get().run;
        for entry in entries {
            self.apply_entry(entry, ids)?;
        }
        self.begin_run(run);
        self.orders.derive();
        self.positions.derive();
        self.derive_sums(ids);
        self.clear_changes();
        Ok(())
    }

    /// A later run than the one that was loaded counts from the beginning: its number makes its ids unique
    /// even where the last counters of an earlier run were lost.
    fn begin_run(&mut self, run: u32) {
        let loaded = *self.counters.get();
        if loaded.run >= run {
            return;
        }
        let epoch = loaded.epoch;
        *self.counters.get_mut() = Counters { run, epoch, ..Counters::default() };
        for strategy in self.emitted.keys().copied().collect::<Vec<_>>() {
            self.emitted.remove(&strategy);
        }
    }

    fn apply_entry(&mut self, entry: &Entry, ids: &Universe) -> Result<(), LoadError> {
        let table = entry.table;
        let refuse = |detail| refuse(table, &entry.key, detail);
        macro_rules! apply {
            ($($name:literal => $($path:ident).+),*; $($single:literal => $($at:ident).+),*) => {
                match table {
                    $($name => {
                        let key = value(&entry.key, ids).map_err(refuse)?;
                        match &entry.value {
                            Some(bytes) => {
                                self.$($path).+.insert(key, value(bytes, ids).map_err(refuse)?);
                            }
                            None => drop(self.$($path).+.remove(&key)),
                        }
                    })*
                    $($single => {
                        if let Some(bytes) = &entry.value {
                            *self.$($at).+.get_mut() = value(bytes, ids).map_err(refuse)?;
                        }
                    })*
                    other => return Err(LoadError::Table(other.to_owned())),
                }
            };
        }
        macro_rules! call { (;$($rest:tt)*) => { apply!($($rest)*) } }
        tables!(call,);
        Ok(())
    }

    /// The first table in which two states over one universe differ; for tests of the codec, which a hash
    /// of its own output could not judge.
    pub fn differs(&self, other: &State) -> Option<&'static str> {
        macro_rules! compare {
            ($($name:literal => $($path:ident).+),*; $($single:literal => $($at:ident).+),*) => {
                $(if !self.$($path).+.iter().eq(other.$($path).+.iter()) { return Some($name); })*
                $(if self.$($at).+.get() != other.$($at).+.get() { return Some($single); })*
            };
        }
        macro_rules! call { (;$($rest:tt)*) => { compare!($($rest)*) } }
        tables!(call,);
        None
    }

    /// SHA-256 over all entries by table and key: equal in every process that knows the same.
    pub fn hash(&self, ids: &Universe) -> [u8; 32] {
        let mut entries = self.save(ids);
        // Keys in memory are dense; by their bytes they have the same order everywhere.
        entries.sort();
        let mut hash = Sha256::new();
        for entry in entries {
            let value = entry.value.unwrap_or_default();
            for part in [entry.table.as_bytes(), &entry.key, &value] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }

    /// A market's facts or state changed: what it has counts for the event and category it is in now, and
    /// the entry that a restart loads changes with them.
    pub(crate) fn market_changed(&mut self, key: MarketKey, market: &Market, state: MarketState) {
        self.refresh_sums();
        self.sums.list(key, market);
        let Some(entry) = self.markets.get(&market.condition) else { return };
        if entry.market.state != state || entry.market != *market {
            let market = Market { state, ..market.clone() };
            self.markets.put(market.condition, MarketEntry { market });
        }
    }

    /// Names a market in the table of markets, so that a restart knows its facts.
    pub(crate) fn uses(&mut self, key: MarketKey, ids: &Universe, states: &[MarketState]) {
        let Some(market) = ids.get(key) else { return };
        self.know(key, market);
        if !self.markets.contains_key(&market.condition) {
            let state = states.get(key.index()).copied().unwrap_or(market.state);
            self.markets.insert(
                market.condition,
                MarketEntry { market: Market { state, ..Market::clone(market) } },
            );
        }
    }

    /// Puts a rest of settled shares to the rounding account of a token; its balance.
    pub(crate) fn round(&mut self, token: Token, micros: i64) -> i64 {
        let balance = self.rounding.entry(token);
        *balance += micros;
        *balance
    }

    /// pUSD that is not reserved.
    pub fn free_cash(&self) -> Usdc {
        self.ledger.balance(LedgerAccount::Cash) - self.reserved()
    }

    /// The strategies that want quotes in a market, in order: one look-up for each that wants any.
    pub(crate) fn quoting(&self, market: MarketKey) -> Vec<(StrategyId, MarketKey)> {
        let (mut found, mut from) = (Vec::new(), Bound::Unbounded);
        while let Some(((strategy, _), _)) = self.quotes.range(from).next() {
            let key = (*strategy, market);
            if self.quotes.contains_key(&key) {
                found.push(key);
            }
            from = Bound::Excluded((*strategy, MarketKey(u32::MAX)));
        }
        found
    }
}

fn refuse(table: &'static str, key: &[u8], detail: String) -> LoadError {
    LoadError::Entry { table, key: String::from_utf8_lossy(key).into_owned(), detail }
}
