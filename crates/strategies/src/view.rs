//! What a strategy may see, and where it puts what it wants.

use polydesk_domain::{
    Book, Books, ClientOrderId, Market, MarketKey, MarketState, OrderState, Position, Price,
    Shares, Side, SignalId, Span, Stamped, StrategyId, Time, Token, Universe, Usdc,
};
use polydesk_signals::{Action, Episode, Reason, Signal};

/// One of a strategy's own open orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOrder {
    /// Its name.
    pub id: ClientOrderId,
    /// Which token.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// What can still match, at most.
    pub remaining: Shares,
    /// Where it is.
    pub state: OrderState,
}

/// The strategy's own positions and orders; execution has them, tests have a table.
pub trait Account {
    /// What the strategy holds of a token.
    fn position(&self, strategy: StrategyId, token: Token) -> Position;
    /// Its open orders in a market, oldest first.
    fn open_orders(&self, strategy: StrategyId, market: MarketKey) -> Vec<OpenOrder>;
    /// pUSD that nothing has a claim on.
    fn free_cash(&self) -> Usdc;
}

/// A read-only look at everything a strategy may know.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Engine time.
    pub now: Time,
    /// All listed markets.
    pub universe: &'a Universe,
    /// Their books.
    pub books: &'a Books,
    /// Their states, by market key.
    pub states: &'a [MarketState],
    /// Its own positions and orders.
    pub account: &'a dyn Account,
}

impl<'a> View<'a> {
    /// The facts of a market.
    pub fn market(&self, key: MarketKey) -> &'a Market {
        self.universe.market(key)
    }
    /// The book of a market, if its best prices can be relied on.
    pub fn trusted_book(&self, key: MarketKey) -> Option<&'a Book> {
        if self.books.trusted(key) { self.books.get(key) } else { None }
    }
    /// Whether the market takes orders.
    pub fn trades(&self, key: MarketKey) -> bool {
        self.states.get(key.index()).is_some_and(|state| state.trades())
    }
    /// Time left to the nominal close; `None` when nobody said when that is.
    pub fn to_close(&self, key: MarketKey) -> Option<Span> {
        self.market(key).closes.map(|closes| self.now.until(closes))
    }
}

/// Why a strategy is called.
#[derive(Debug, Clone, Copy)]
pub enum Occasion<'a> {
    /// A market's batch is complete: its book can be looked at.
    Batch(MarketKey),
    /// Any other event of interest.
    Event(&'a Stamped),
}

/// Kinds of occasions, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(pub u16);

impl Kinds {
    /// Complete batches.
    pub const BATCH: Kinds = Kinds(1);
    /// Public trades.
    pub const PRINT: Kinds = Kinds(2);
    /// State and tick changes, gaps.
    pub const STATE: Kinds = Kinds(4);
    /// News of own orders and fills.
    pub const OWN: Kinds = Kinds(8);
    /// Articles.
    pub const NEWS: Kinds = Kinds(16);
    /// Trades of followed wallets.
    pub const WALLET: Kinds = Kinds(32);
    /// Model answers.
    pub const FORECAST: Kinds = Kinds(64);
    /// Timers, start, stop.
    pub const TIMER: Kinds = Kinds(128);

    /// Both sets.
    pub const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
    /// Whether all of `other` is in this set.
    pub const fn has(self, other: Kinds) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Which markets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Markets {
    /// Every one.
    All,
    /// These, in any order.
    Some(Vec<MarketKey>),
}

/// Which occasions a strategy must see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interests {
    /// Of which markets; occasions of no market always come.
    pub markets: Markets,
    /// Of which kinds.
    pub kinds: Kinds,
}

/// Why candidates were passed over, by code, for one strategy.
#[derive(Debug, Clone, Default)]
pub struct Skips {
    counts: Vec<(&'static str, u64)>,
    /// The last code of each market: a change of code is worth a line in the log.
    last: Vec<Option<&'static str>>,
}

impl Skips {
    /// Counts a skip; true when the market's code differs from its last one.
    pub fn count(&mut self, market: MarketKey, code: &'static str) -> bool {
        match self
            .counts
            .iter_mut()
            .find(|(known, _)| core::ptr::eq(*known, code) || *known == code)
        {
            Some((_, count)) => *count += 1,
            None => self.counts.push((code, 1)),
        }
        if self.last.len() <= market.index() {
            self.last.resize(market.index() + 1, None);
        }
        let last = &mut self.last[market.index()];
        let changed = *last != Some(code);
        *last = Some(code);
        changed
    }

    /// Counts by code, alphabetically.
    pub fn by_code(&self) -> Vec<(&'static str, u64)> {
        let mut counts = self.counts.clone();
        counts.sort();
        counts
    }
}

/// Where a strategy puts what it wants.
pub struct Emit<'a> {
    strategy: StrategyId,
    now: Time,
    next_id: &'a mut u64,
    signals: &'a mut Vec<Signal>,
    skips: &'a mut Skips,
    notes: &'a mut Notes,
}

/// What a strategy had to tell besides signals, since it was last collected.
#[derive(Debug, Default)]
pub struct Notes {
    /// Skips whose code changed, for the log.
    pub changes: Vec<(MarketKey, Reason)>,
    /// Opportunities that ended.
    pub episodes: Vec<Episode>,
}

impl<'a> Emit<'a> {
    /// An outlet for one call of one strategy.
    pub fn new(
        strategy: StrategyId,
        now: Time,
        next_id: &'a mut u64,
        signals: &'a mut Vec<Signal>,
        skips: &'a mut Skips,
        notes: &'a mut Notes,
    ) -> Emit<'a> {
        Emit { strategy, now, next_id, signals, skips, notes }
    }

    /// Says a signal: valid for `ttl` from now.
    pub fn signal(
        &mut self,
        market: MarketKey,
        action: Action,
        ttl: Span,
        edge: Usdc,
        reason: Reason,
    ) {
        *self.next_id += 1;
        self.signals.push(Signal {
            id: SignalId(*self.next_id),
            strategy: self.strategy,
            market,
            action,
            created: self.now,
            expires: self.now + ttl,
            edge,
            reason,
        });
    }

    /// Counts a candidate that was passed over.
    #[inline]
    pub fn skip(&mut self, market: MarketKey, reason: Reason) {
        if self.skips.count(market, reason.code) {
            self.notes.changes.push((market, reason));
        }
    }

    /// Tells of an opportunity that ended.
    pub fn episode(&mut self, episode: Episode) {
        self.notes.episodes.push(episode);
    }
}
