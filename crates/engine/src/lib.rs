//! The fold: takes one event in, puts commands and records out.
//!
//! The only place that knows both strategies and execution. The same events in the same order always
//! give the same commands: there is no clock, no chance, no lock and no thread in here.

mod dispatch;
mod restart;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;

use polydesk_domain::{
    AccountEvent, Applied, Blocker, Books, Cause, Code, ControlEvent, Event, Market, MarketEvent,
    MarketKey, MarketState, NoteLevel, Outbox, Signal, Span, Stamped, StrategyId, Time, Universe,
    WorldEvent,
};
use polydesk_execution::{Context, Manager, RiskLimits};
use polydesk_signals::{Dropped, Queue};
use polydesk_strategies::{Emitted, Kinds, Strategy};

pub use restart::Soft;
use slots::Slots;
pub use slots::{EngineError, MAX_STRATEGIES};

/// What an engine begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The run: part of every id, a new one at every start. Backtests and tests use 0.
    pub run: u32,
    /// Limits of the risk gate.
    pub limits: RiskLimits,
    /// Why the gate is closed at the start.
    pub blockers: Vec<(Cause, Blocker)>,
}

impl Setup {
    /// Run 0, with `not_reconciled` alone: the first account snapshot opens the gate.
    pub fn simulated(limits: RiskLimits) -> Setup {
        let detail = "the account was not compared yet".to_owned();
        let blocker = Blocker { since: Time::MIN, detail, lost: None, epoch: 0 };
        Setup { run: 0, limits, blockers: vec![(Cause::NotReconciled, blocker)] }
    }
}

/// The engine.
pub struct Engine {
    now: Time,
    universe: Universe,
    books: Books,
    states: Vec<MarketState>,
    manager: Manager,
    slots: Slots,
    queue: Queue,
    done: Vec<MarketKey>,
    signals: Vec<Signal>,
    emitted: Emitted,
    dropped: Vec<Dropped>,
    drops: BTreeMap<(StrategyId, Code), u64>,
    refused_listings: u64,
    /// After `Stop` no strategy is asked any more; what is under way still settles.
    stopped: bool,
    /// Whether the last event may have marked entries of the state.
    touched: bool,
    /// The last timer.
    timer_at: Time,
    /// The manager's next deadline, kept: it changes only where the manager does something.
    due: Time,
    /// The next whole second that matters as of then.
    second: Time,
}

impl Engine {
    /// With validated limits and strategies, in the order they are dispatched.
    ///
    /// # Errors
    /// Too many strategies, or two of one name.
    pub fn new(setup: Setup, strategies: Vec<Box<dyn Strategy>>) -> Result<Engine, EngineError> {
        Ok(Engine {
            now: Time::MIN,
            universe: Universe::new(),
            books: Books::new(Span::millis(100)),
            states: Vec::new(),
            manager: Manager::new(setup.run, setup.limits, setup.blockers),
            slots: Slots::new(setup.run, strategies)?,
            queue: Queue::new(),
            done: Vec::new(),
            signals: Vec::new(),
            emitted: Emitted::default(),
            dropped: Vec::new(),
            drops: BTreeMap::new(),
            refused_listings: 0,
            stopped: false,
            touched: false,
            timer_at: Time::MIN,
            due: Time::MAX,
            second: Time::MIN,
        })
    }

    /// Engine time.
    pub fn now(&self) -> Time {
        self.now
    }
    /// All listed markets.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }
    /// Their books.
    pub fn books(&self) -> &Books {
        &self.books
    }
    /// Their states, by key.
    pub fn states(&self) -> &[MarketState] {
        &self.states
    }
    /// Orders, positions, baskets, ledger.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }
    /// Skips of each strategy by code.
    pub fn skips(&self) -> Vec<(StrategyId, Vec<(Code, u64)>)> {
        self.slots.skips()
    }
    /// Signals dropped before anything acted on them, by strategy and code.
    pub fn drops(&self) -> &BTreeMap<(StrategyId, Code), u64> {
        &self.drops
    }
    /// Signals emitted by a strategy.
    pub fn emitted(&self, strategy: StrategyId) -> u64 {
        self.slots.emitted(strategy)
    }
    /// What the outside must supply for each strategy.
    pub fn needs(&self) -> Vec<(StrategyId, polydesk_strategies::Needs)> {
        self.slots.needs()
    }
    /// Listings that contradicted what was listed before.
    pub fn refused_listings(&self) -> u64 {
        self.refused_listings
    }

    /// When it wants to be called again by a timer, [`Time::MAX`] if not at all. A timer that comes earlier or
    /// later is no harm: it does what is due then.
    #[inline]
    pub fn next_wake(&self) -> Time {
        let second = if self.second > self.now { self.second } else { self.next_second() };
        self.next_due().min(second)
    }

    /// Keeps the parts of the next wake that only the manager and the strategies in use change.
    pub(crate) fn keep_wake(&mut self) {
        self.due = self.manager.next_due();
        self.second = self.next_second();
    }

    /// The next whole second, where its passing matters; [`Time::MAX`] where not.
    fn next_second(&self) -> Time {
        if self.manager.wants_seconds() || self.slots.mask(Kinds::TIMER, None) != 0 {
            return Time::from_secs(second_of(self.now.max(self.timer_at)) + 1);
        }
        Time::MAX
    }

    /// The same without the seconds that strategies ask for, or that pass while something is held.
    #[inline]
    pub fn next_due(&self) -> Time {
        self.due.min(self.books.next_timeout())
    }

    /// Takes one event in and appends what it gives rise to.
    pub fn handle(&mut self, stamped: &Stamped, out: &mut Outbox) {
        let before = self.now;
        let back = before - CLOCK_SLACK > stamped.at;
        self.now = if back { stamped.at } else { before.max(stamped.at) };
        out.begin(self.now, stamped.seq);
        if self.touched {
            self.manager.clear_changes();
            self.touched = false;
        }
        if back {
            self.turn_back(before, out);
        }
        self.books.close_due(stamped, &mut self.done);
        if !self.done.is_empty() {
            let mut done = core::mem::take(&mut self.done);
            for key in done.drain(..) {
                self.batch(key, out);
            }
            self.done = done;
        }
        match &stamped.event {
            // Nearly every event: the rest stays out of the way.
            Event::Market(
                MarketEvent::Level(_) | MarketEvent::Snapshot(_) | MarketEvent::Best { .. },
            ) => {
                if let Applied::Complete(key) = self.books.apply(stamped, |_, _| ()) {
                    self.batch(key, out);
                }
            }
            Event::Market(event) => self.market(stamped, event, out),
            Event::Account(event) => self.account(stamped, event, out),
            Event::World(event) => self.world(stamped, event, out),
            Event::Control(event) => self.control(stamped, event, out),
        }
    }

    /// The clock was wrong: it goes on at the time of the event, or nothing would be due for as long as it was
    /// ahead.
    #[cold]
    fn turn_back(&mut self, before: Time, out: &mut Outbox) {
        self.timer_at = self.timer_at.min(self.now);
        self.books.turn_back(self.now);
        self.execute(|manager, ctx| manager.turn_back(ctx, before, out));
    }

    /// The stream is over: batches still open are complete.
    pub fn finish(&mut self, out: &mut Outbox) {
        let mut done = Vec::new();
        self.books.close_all(&mut done);
        for key in done {
            self.batch(key, out);
        }
    }

    /// Everything of the market but its book.
    #[inline(never)]
    fn market(&mut self, stamped: &Stamped, event: &MarketEvent, out: &mut Outbox) {
        match event {
            MarketEvent::Level(_) | MarketEvent::Snapshot(_) | MarketEvent::Best { .. } => {}
            MarketEvent::Print(print) => {
                self.dispatch(stamped, Kinds::PRINT, Some(print.token.market()), out);
            }
            MarketEvent::Tick { market, .. } => {
                self.books.apply(stamped, |_, _| ());
                self.execute(|manager, ctx| manager.on_tick(ctx, *market, out));
                self.dispatch(stamped, Kinds::STATE, Some(*market), out);
            }
            MarketEvent::Interrupted(gap) => {
                self.books.apply(stamped, |_, _| ());
                self.dispatch(stamped, Kinds::STATE, gap.market, out);
            }
            MarketEvent::Unverified { market, .. } => {
                self.books.apply(stamped, |_, _| ());
                self.dispatch(stamped, Kinds::STATE, Some(*market), out);
            }
            MarketEvent::Listed { key, market } => self.list(*key, market, stamped, out),
            MarketEvent::Delisted { market } => self.delist(*market, stamped, out),
            MarketEvent::State { market, state } => self.state(*market, *state, stamped, out),
            MarketEvent::Reference(_) => self.dispatch(stamped, Kinds::REFERENCE, None, out),
        }
    }

    #[inline(never)]
    fn account(&mut self, stamped: &Stamped, event: &AccountEvent, out: &mut Outbox) {
        let owners = self.owners(event);
        self.execute(|manager, ctx| match event {
            AccountEvent::Link { channel, up } => manager.on_link(ctx, *channel, *up, out),
            AccountEvent::Snapshot(snapshot) => manager.on_snapshot(ctx, snapshot, out),
            AccountEvent::Order { id, update } => manager.on_order(ctx, *id, update, out),
            AccountEvent::Trade(trade) => manager.on_trade(ctx, trade, out),
            AccountEvent::Cash(cash) => manager.on_cash(ctx, cash, out),
            AccountEvent::External(external) => manager.on_external(ctx, external, out),
            AccountEvent::Finding(finding) => manager.on_finding(ctx, finding, out),
        });
        for owner in owners {
            self.dispatch_to(stamped, Kinds::OWN, owner, out);
        }
    }

    #[inline(never)]
    fn world(&mut self, stamped: &Stamped, event: &WorldEvent, out: &mut Outbox) {
        match event {
            WorldEvent::Wallet(trade) => {
                self.dispatch(stamped, Kinds::WALLET, Some(trade.token.market()), out);
            }
            WorldEvent::LeaderState(_) => self.dispatch(stamped, Kinds::WALLET, None, out),
            WorldEvent::Article(_) => self.dispatch(stamped, Kinds::NEWS, None, out),
            WorldEvent::Forecast(forecast) => match forecast.answers {
                Some(ask) => self.answer(stamped, ask, out),
                None => {
                    let market = self.universe.key(&forecast.condition);
                    self.dispatch(stamped, Kinds::FORECAST, market, out);
                }
            },
            WorldEvent::NoForecast { ask, .. } => self.answer(stamped, *ask, out),
            WorldEvent::Signal(signal) => {
                if self.execute(|manager, _| manager.accept_signal(signal.id)) {
                    self.signals.push(signal.clone());
                    self.act(out);
                } else {
                    self.drop_signal(signal, "duplicate", out);
                }
            }
        }
    }

    fn answer(&mut self, stamped: &Stamped, ask: polydesk_domain::AskId, out: &mut Outbox) {
        match self.execute(|manager, _| manager.answered(ask)) {
            Some(owner) => self.dispatch_to(stamped, Kinds::FORECAST, owner, out),
            None => {
                let text =
                    format!("an answer to question {ask}, which is unknown or already answered");
                out.note(NoteLevel::Info, "unknown_answer", text);
            }
        }
    }

    #[inline(never)]
    fn control(&mut self, stamped: &Stamped, event: &ControlEvent, out: &mut Outbox) {
        match event {
            ControlEvent::Timer => {
                let second = second_of(self.now) != second_of(self.timer_at);
                self.timer_at = self.now;
                self.execute(|manager, ctx| manager.on_timer(ctx, second, out));
                if second {
                    self.dispatch(stamped, Kinds::TIMER, None, out);
                }
            }
            ControlEvent::Start(start) => {
                self.execute(|manager, ctx| manager.start(ctx, start, out));
                self.dispatch(stamped, Kinds::RUN, None, out);
            }
            ControlEvent::Stop => {
                self.dispatch(stamped, Kinds::RUN, None, out);
                self.stopped = true;
                self.execute(|manager, ctx| manager.stop(ctx.now, out));
            }
            ControlEvent::Blocker { cause, on, detail } => {
                self.execute(|manager, ctx| manager.on_blocker(ctx, *cause, *on, detail, out));
            }
            ControlEvent::Limits { toml } => {
                self.execute(|manager, _| manager.on_limits(toml, out));
            }
            ControlEvent::Params { strategy, toml } => self.reconfigure(*strategy, toml, out),
            ControlEvent::Strategy { id, run } => {
                self.execute(|manager, ctx| manager.on_switch(ctx, *id, *run, out));
                self.slots.switch(*id, *run);
                self.second = self.next_second();
            }
            ControlEvent::Operator(order) => {
                if order.command == polydesk_domain::OperatorCommand::Kill {
                    self.queue.clear(self.now, &mut self.dropped);
                    self.report_dropped("killed", out);
                }
                self.execute(|manager, ctx| manager.on_operator(ctx, order, out));
            }
        }
    }

    fn list(&mut self, key: MarketKey, market: &Arc<Market>, stamped: &Stamped, out: &mut Outbox) {
        let before =
            self.universe.key(&market.condition).map(|key| self.universe.market(key).state);
        if let Err(error) = self.universe.list(key, Arc::clone(market)) {
            self.refused_listings += 1;
            if matches!(error, polydesk_domain::MarketError::OtherKey { .. }) {
                // Events were lost or come from elsewhere: every later key would mean another market.
                self.execute(|manager, ctx| manager.halt(ctx, error.to_string(), out));
            } else {
                out.note(NoteLevel::Warning, "listing_refused", error.to_string());
            }
            return;
        }
        self.books.list(key, market.tick);
        if key.index() == self.states.len() {
            self.states.push(market.state);
        }
        self.slots.listed(key, market);
        self.execute(|manager, ctx| manager.on_market_changed(ctx, key));
        // Facts can be listed again while the state has moved on by its own events: only a listing
        // that restates it counts, and nothing takes a resolution back.
        let resolved = matches!(self.states[key.index()], MarketState::Resolved(_));
        if before.is_some_and(|before| before != market.state) && !resolved {
            let event = MarketEvent::State { market: key, state: market.state }.into();
            let stamped = Stamped { event, ..stamped.clone() };
            self.state(key, market.state, &stamped, out);
        }
    }

    fn delist(&mut self, key: MarketKey, stamped: &Stamped, out: &mut Outbox) {
        if self.universe.get(key).is_none() {
            return;
        }
        if self.manager.flat(key) {
            self.dispatch(stamped, Kinds::STATE, Some(key), out);
        }
        // What a strategy emits on this event may have opened something.
        if !self.manager.flat(key) {
            let condition = self.universe.market(key).condition;
            let text = format!("market {condition} stays listed: something of ours is in it");
            return out.note(NoteLevel::Warning, "delisting_refused", text);
        }
        self.execute(|manager, ctx| manager.delist(ctx, key, out));
        self.universe.delist(key);
        self.books.delist(key);
        self.states[key.index()] = MarketState::Closed;
        self.slots.delisted(key);
    }

    fn state(&mut self, key: MarketKey, state: MarketState, stamped: &Stamped, out: &mut Outbox) {
        if self.universe.get(key).is_none() {
            return;
        }
        let Some(known) = self.states.get_mut(key.index()) else { return };
        *known = state;
        self.execute(|manager, ctx| {
            manager.on_market_changed(ctx, key);
            manager.on_state(ctx, key, state, out);
        });
        self.dispatch(stamped, Kinds::STATE, Some(key), out);
    }

    fn reconfigure(&mut self, strategy: StrategyId, toml: &str, out: &mut Outbox) {
        if let Some(Err(error)) = self.slots.reconfigure(strategy, toml, &self.universe) {
            out.note(NoteLevel::Warning, "params_refused", error.to_string());
        }
        self.second = self.next_second();
    }

    fn execute<R>(&mut self, act: impl FnOnce(&mut Manager, &Context<'_>) -> R) -> R {
        self.touched = true;
        let ctx = Context {
            now: self.now,
            universe: &self.universe,
            books: &self.books,
            states: &self.states,
        };
        let result = act(&mut self.manager, &ctx);
        self.manager.refresh_sums();
        self.manager.reschedule(self.now);
        self.keep_wake();
        result
    }
}

/// Events are late by so much without a word; time waits for them.
const CLOCK_SLACK: Span = Span::secs(5);

/// The whole second that a time falls into.
fn second_of(at: Time) -> i64 {
    at.nanos().div_euclid(1_000_000_000)
}
