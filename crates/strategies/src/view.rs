//! The input of a strategy ([`View`], [`Trigger`]) and its output ([`Emit`]).

use polydesk_domain::{
    Action, AskId, Book, Books, ClientOrderId, Code, Market, MarketKey, MarketState, Opportunity,
    OrderState, Position, Price, Reason, Shares, Side, Signal, SignalId, Span, Stamped, StrategyId,
    Time, Token, Universe, Usdc,
};

/// One of a strategy's own open orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOrder {
    /// Our id of the order.
    pub id: ClientOrderId,
    /// Outcome token, by its dense key.
    pub token: Token,
    /// Buy or sell of that token.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Shares that can still match, at most.
    pub remaining: Shares,
    /// State of the order.
    pub state: OrderState,
}

/// The strategy's own positions and orders. Execution implements it; tests use a table.
pub trait Account {
    /// The strategy's position in a token.
    fn position(&self, strategy: StrategyId, token: Token) -> Position;
    /// Its open orders in a market, oldest first.
    fn open_orders(&self, strategy: StrategyId, market: MarketKey) -> Vec<OpenOrder>;
    /// Whether it has quotes in a market, resting or still to be placed.
    fn quoted(&self, strategy: StrategyId, market: MarketKey) -> bool;
    /// pUSD that no order and no conversion reserves.
    fn free_cash(&self) -> Usdc;
    /// The strategy's durable memory under a key.
    fn recall(&self, strategy: StrategyId, key: &str) -> Option<&[u8]>;
}

/// The read-only input of a strategy.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The strategy that is called.
    pub strategy: &'a StrategyId,
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
    /// The book of a market, if it is usable: synced and not crossed.
    pub fn usable_book(&self, key: MarketKey) -> Option<&'a Book> {
        if self.books.usable(key) { self.books.get(key) } else { None }
    }
    /// Whether the market takes orders.
    pub fn trades(&self, key: MarketKey) -> bool {
        self.states.get(key.index()).is_some_and(|state| state.trades())
    }
    /// The durable memory of this strategy under a key; it survives restarts.
    pub fn recall(&self, key: &str) -> Option<&'a [u8]> {
        self.account.recall(*self.strategy, key)
    }
    /// Time left to the nominal close; `None` if the close is unknown.
    pub fn to_close(&self, key: MarketKey) -> Option<Span> {
        self.market(key).closes.map(|closes| self.now.until(closes))
    }
}

/// The cause of a call.
#[derive(Debug, Clone, Copy)]
pub enum Trigger<'a> {
    /// A market's batch is complete, so its book is consistent.
    Batch(MarketKey),
    /// Any other event of the kinds that the strategy asks for.
    Event(&'a Stamped),
}

/// Kinds of triggers, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(pub u16);

impl Kinds {
    /// Complete batches.
    pub const BATCH: Kinds = Kinds(1);
    /// Public trades.
    pub const PRINT: Kinds = Kinds(2);
    /// State and tick size changes, interruptions, delistings.
    pub const STATE: Kinds = Kinds(4);
    /// Updates and fills of the strategy's own orders, and money of its own conversions.
    pub const OWN: Kinds = Kinds(8);
    /// Articles.
    pub const NEWS: Kinds = Kinds(16);
    /// Trades of followed wallets.
    pub const WALLET: Kinds = Kinds(32);
    /// Model answers.
    pub const FORECAST: Kinds = Kinds(64);
    /// Each second.
    pub const TIMER: Kinds = Kinds(128);
    /// Start and stop of the run.
    pub const RUN: Kinds = Kinds(256);
    /// Reference prices.
    pub const REFERENCE: Kinds = Kinds(512);

    /// Both sets.
    pub const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
    /// Whether all of `other` is in this set.
    pub const fn has(self, other: Kinds) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Counts of skipped candidates by code, for one strategy.
#[derive(Debug, Clone, Default)]
pub struct Skips {
    counts: Vec<(Code, u64)>,
    /// The last code of each market: a change of code makes a record.
    last: Vec<Option<Code>>,
}

impl Skips {
    /// Counts a skip; true when the market's code differs from its last one.
    pub fn count(&mut self, market: MarketKey, code: Code) -> bool {
        match self.counts.iter_mut().find(|(known, _)| *known == code) {
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

    /// Drops a delisted market's last code.
    pub fn forget(&mut self, market: MarketKey) {
        if let Some(last) = self.last.get_mut(market.index()) {
            *last = None;
        }
    }

    /// Counts by code, alphabetically.
    pub fn by_code(&self) -> Vec<(Code, u64)> {
        let mut counts = self.counts.clone();
        counts.sort();
        counts
    }
}

/// Counters for the ids of signals and questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// The run.
    pub run: u32,
    /// Signals of this strategy in this run.
    pub signals: u64,
    /// Questions of all strategies in this run.
    pub asks: u32,
}

/// A question to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Id that the forecast repeats.
    pub id: AskId,
    /// Market that the question is about.
    pub market: MarketKey,
    /// The model may use only evidence first seen before this time.
    pub evidence_until: Time,
}

/// What a strategy emitted in one call.
#[derive(Debug, Default)]
pub struct Emitted {
    /// Signals, in order.
    pub signals: Vec<Signal>,
    /// Skips whose code changed, for records.
    pub skips: Vec<(MarketKey, Reason)>,
    /// Opportunities that ended.
    pub opportunities: Vec<Opportunity>,
    /// Durable memory to write by key; `None` deletes the key.
    pub remember: Vec<(String, Option<Vec<u8>>)>,
    /// Questions.
    pub asks: Vec<Question>,
}

impl Emitted {
    /// Whether it contains signals at most.
    pub fn quiet(&self) -> bool {
        self.skips.is_empty()
            && self.opportunities.is_empty()
            && self.remember.is_empty()
            && self.asks.is_empty()
    }
}

/// The output of a strategy.
pub struct Emit<'a> {
    strategy: &'a StrategyId,
    now: Time,
    counter: &'a mut Counter,
    skips: &'a mut Skips,
    emitted: &'a mut Emitted,
}

impl<'a> Emit<'a> {
    /// The output of one call of one strategy.
    pub fn new(
        strategy: &'a StrategyId,
        now: Time,
        counter: &'a mut Counter,
        skips: &'a mut Skips,
        emitted: &'a mut Emitted,
    ) -> Emit<'a> {
        Emit { strategy, now, counter, skips, emitted }
    }

    /// Emits a signal: valid for `ttl` from now.
    pub fn signal(
        &mut self,
        market: MarketKey,
        action: Action,
        ttl: Span,
        edge: Usdc,
        reason: Reason,
    ) {
        self.counter.signals += 1;
        let id = SignalId {
            producer: *self.strategy,
            epoch: self.counter.run,
            counter: self.counter.signals,
        };
        self.emitted.signals.push(Signal {
            id,
            strategy: *self.strategy,
            market,
            action,
            created: self.now,
            expires: self.now + ttl,
            edge,
            reason,
        });
    }

    /// Counts a skipped candidate.
    #[inline]
    pub fn skip(&mut self, market: MarketKey, reason: Reason) {
        if self.skips.count(market, reason.code) {
            self.emitted.skips.push((market, reason));
        }
    }

    /// Reports an opportunity that ended.
    pub fn opportunity(&mut self, opportunity: Opportunity) {
        self.emitted.opportunities.push(opportunity);
    }

    /// Writes durable memory under a key, or deletes it (`None`); read by [`View::recall`].
    pub fn remember(&mut self, key: &str, value: Option<&[u8]>) {
        self.emitted.remember.push((key.to_owned(), value.map(<[u8]>::to_vec)));
    }

    /// Asks a model about a market. A forecast or `NoForecast` with this id is the answer.
    pub fn ask(&mut self, market: MarketKey, evidence_until: Time) -> AskId {
        self.counter.asks += 1;
        let id = AskId::of_run(self.counter.run, self.counter.asks);
        self.emitted.asks.push(Question { id, market, evidence_until });
        id
    }
}
