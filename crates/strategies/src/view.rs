//! What a strategy may see, and where it puts what it wants.

use polydesk_domain::{
    Action, AskId, Book, Books, ClientOrderId, Code, Market, MarketKey, MarketState, Opportunity,
    OrderState, Position, Price, Reason, Shares, Side, Signal, SignalId, Span, Stamped, StrategyId,
    Time, Token, Universe, Usdc,
};

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
    /// Whether quotes of it are wanted in a market, whether they rest already or not.
    fn quoted(&self, strategy: StrategyId, market: MarketKey) -> bool;
    /// pUSD that nothing has a claim on.
    fn free_cash(&self) -> Usdc;
    /// What the strategy remembered under a key.
    fn recall(&self, strategy: StrategyId, key: &str) -> Option<&[u8]>;
}

/// A read-only view of everything a strategy may know.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Who is called.
    pub strategy: StrategyId,
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
    /// What this strategy remembered under a key, however often the process was restarted since.
    pub fn recall(&self, key: &str) -> Option<&'a [u8]> {
        self.account.recall(self.strategy, key)
    }
    /// Time left to the nominal close; `None` when that is not known.
    pub fn to_close(&self, key: MarketKey) -> Option<Span> {
        self.market(key).closes.map(|closes| self.now.until(closes))
    }
}

/// Why a strategy is called.
#[derive(Debug, Clone, Copy)]
pub enum Trigger<'a> {
    /// A market's batch is complete: its book can be looked at.
    Batch(MarketKey),
    /// Any other event of interest.
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

/// Why candidates were passed over, by code, for one strategy.
#[derive(Debug, Clone, Default)]
pub struct Skips {
    counts: Vec<(Code, u64)>,
    /// The last code of each market: a change of code is worth a line in the log.
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

    /// Forgets a delisted market's last code.
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

/// Numbers of what a strategy emits: part of the names of its signals and questions.
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
    /// Names the answer.
    pub id: AskId,
    /// About which market.
    pub market: MarketKey,
    /// Nothing first seen later may be used.
    pub evidence_until: Time,
}

/// What a strategy emitted in one call.
#[derive(Debug, Default)]
pub struct Emitted {
    /// Signals, in order.
    pub signals: Vec<Signal>,
    /// Skips whose code changed, for the log.
    pub skips: Vec<(MarketKey, Reason)>,
    /// Opportunities that ended.
    pub opportunities: Vec<Opportunity>,
    /// Keys with what to remember; `None` forgets.
    pub remember: Vec<(String, Option<Vec<u8>>)>,
    /// Questions.
    pub asks: Vec<Question>,
}

impl Emitted {
    /// Whether nothing but signals may be in it.
    pub fn quiet(&self) -> bool {
        self.skips.is_empty()
            && self.opportunities.is_empty()
            && self.remember.is_empty()
            && self.asks.is_empty()
    }
}

/// Where a strategy puts what it wants.
pub struct Emit<'a> {
    strategy: StrategyId,
    now: Time,
    counter: &'a mut Counter,
    skips: &'a mut Skips,
    emitted: &'a mut Emitted,
}

impl<'a> Emit<'a> {
    /// An outlet for one call of one strategy.
    pub fn new(
        strategy: StrategyId,
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
            producer: self.strategy,
            epoch: self.counter.run,
            counter: self.counter.signals,
        };
        self.emitted.signals.push(Signal {
            id,
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
            self.emitted.skips.push((market, reason));
        }
    }

    /// Reports an opportunity that ended.
    pub fn opportunity(&mut self, opportunity: Opportunity) {
        self.emitted.opportunities.push(opportunity);
    }

    /// Remembers something over restarts, or forgets it (`None`); read by [`View::recall`].
    pub fn remember(&mut self, key: &str, value: Option<&[u8]>) {
        self.emitted.remember.push((key.to_owned(), value.map(<[u8]>::to_vec)));
    }

    /// Asks a model about a market. The answer comes as a forecast or as `NoForecast` with this id.
    pub fn ask(&mut self, market: MarketKey, evidence_until: Time) -> AskId {
        self.counter.asks += 1;
        let id = AskId::of_run(self.counter.run, self.counter.asks);
        self.emitted.asks.push(Question { id, market, evidence_until });
        id
    }
}
