//! The fold: takes one event in and appends the commands it gives rise to.
//!
//! The only place that knows both strategies and execution. The same events in the same order always
//! give the same commands: there is no clock, no chance, no lock and no thread in here.

use std::collections::BTreeMap;
use std::sync::Arc;

use polydesk_domain::{
    Applied, Books, ClientOrderId, Command, Event, Market, MarketKey, MarketState, OperatorCommand,
    Position, Side, Size, Span, Stamped, StrategyId, Time, Token, Universe, Usdc,
};
use polydesk_execution::{Context, Execution, Limits};
use polydesk_signals::{Dropped, Episode, Pushed, Queue, Reason, Signal};
use polydesk_strategies::{
    Account, Emit, Kinds, Markets, Notes, Occasion, OpenOrder, Skips, Strategy, View,
};

/// Something worth a line in the log that is neither event nor command.
#[derive(Debug, Clone, PartialEq)]
pub enum Trace {
    /// A strategy said something.
    Signal(Signal),
    /// A strategy passed over a market for another reason than before.
    Skip(StrategyId, MarketKey, Reason),
    /// A signal expired or was dropped before anything acted on it.
    Dropped(StrategyId, MarketKey, &'static str),
    /// An opportunity ended.
    Episode(StrategyId, Episode),
}

struct Seat {
    id: StrategyId,
    strategy: Box<dyn Strategy>,
    kinds: Kinds,
    markets: Markets,
    skips: Skips,
}

/// The engine.
pub struct Engine {
    now: Time,
    universe: Universe,
    books: Books,
    states: Vec<MarketState>,
    execution: Execution,
    seats: Vec<Seat>,
    /// Per market: a bit for each seat that wants its batches.
    batch_seats: Vec<u32>,
    queue: Queue,
    next_signal: u64,
    done: Vec<MarketKey>,
    signals: Vec<Signal>,
    notes: Notes,
    dropped: Vec<Dropped>,
    drops: BTreeMap<(StrategyId, &'static str), u64>,
    said: BTreeMap<StrategyId, u64>,
    trace: Option<Vec<(Time, Trace)>>,
    refused_listings: u64,
    /// After `Stop` no strategy is asked any more; what is under way still settles.
    stopped: bool,
}

/// The most strategies one engine seats.
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
}

impl Engine {
    /// With validated limits and strategies, in the order they are dispatched.
    pub fn new(limits: Limits, strategies: Vec<Box<dyn Strategy>>) -> Result<Engine, EngineError> {
        if strategies.len() > MAX_STRATEGIES {
            return Err(EngineError::TooManyStrategies(strategies.len()));
        }
        let mut seats: Vec<Seat> = Vec::new();
        for strategy in strategies {
            let id = strategy.id();
            if seats.iter().any(|seat| seat.id == id) {
                return Err(EngineError::SameName(id));
            }
            let interests = strategy.interests(&Universe::new());
            let (kinds, markets) = (interests.kinds, interests.markets);
            seats.push(Seat { id, strategy, kinds, markets, skips: Skips::default() });
        }
        Ok(Engine {
            now: Time::MIN,
            universe: Universe::new(),
            books: Books::new(Span::millis(100)),
            states: Vec::new(),
            execution: Execution::new(limits),
            seats,
            batch_seats: Vec::new(),
            queue: Queue::new(),
            next_signal: 0,
            done: Vec::new(),
            signals: Vec::new(),
            notes: Notes::default(),
            dropped: Vec::new(),
            drops: BTreeMap::new(),
            said: BTreeMap::new(),
            trace: None,
            refused_listings: 0,
            stopped: false,
        })
    }

    /// Keeps a trace of signals and changed skips until [`Engine::take_trace`].
    pub fn keep_trace(&mut self) {
        self.trace.get_or_insert_with(Vec::new);
    }
    /// What was traced since the last call.
    pub fn take_trace(&mut self) -> Vec<(Time, Trace)> {
        self.trace.as_mut().map(core::mem::take).unwrap_or_default()
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
    /// Orders, positions, plans, ledger.
    pub fn execution(&self) -> &Execution {
        &self.execution
    }
    /// To drain what execution collected for the report.
    pub fn execution_mut(&mut self) -> &mut Execution {
        &mut self.execution
    }
    /// Skips of each strategy by code.
    pub fn skips(&self) -> Vec<(StrategyId, Vec<(&'static str, u64)>)> {
        self.seats.iter().map(|seat| (seat.id, seat.skips.by_code())).collect()
    }
    /// Signals dropped before anything acted on them, by strategy and code.
    pub fn drops(&self) -> &BTreeMap<(StrategyId, &'static str), u64> {
        &self.drops
    }
    /// Signals said, by strategy.
    pub fn said(&self) -> &BTreeMap<StrategyId, u64> {
        &self.said
    }
    /// Listings that contradicted what was listed before.
    pub fn refused_listings(&self) -> u64 {
        self.refused_listings
    }

    /// Takes one event in and appends the commands it gives rise to.
    pub fn handle(&mut self, stamped: &Stamped, out: &mut Vec<Command>) {
        self.now = self.now.max(stamped.at);
        self.books.close_due(stamped, &mut self.done);
        if !self.done.is_empty() {
            let mut done = core::mem::take(&mut self.done);
            for key in done.drain(..) {
                self.batch(key, out);
            }
            self.done = done;
        }
        match &stamped.event {
            Event::Market(MarketEvent::Level(_)) | Event::Market(MarketEvent::Snapshot(_)) | Event::Market(MarketEvent::Best { .. }) => {
                if let Applied::Complete(key) = self.books.apply(stamped, |_, _| ()) {
                    self.batch(key, out);
                }
            }
            Event::Market(MarketEvent::Print(_)) => self.dispatch(stamped, Kinds::PRINT, out),
            Event::Market(MarketEvent::Tick { .. }) | Event::Market(MarketEvent::Interrupted(_)) => {
                self.books.apply(stamped, |_, _| ());
                self.dispatch(stamped, Kinds::STATE, out);
            }
            Event::Market(MarketEvent::Listed { market, .. }) => self.list(market, stamped, out),
            Event::Market(MarketEvent::State { market, state }) => self.state(*market, *state, stamped, out),
            Event::OrderFIX(news) => {
                let (id, event) = news.as_ref();
                self.execute(|execution, ctx| execution.on_order(ctx, *id, event, out));
                self.dispatch(stamped, Kinds::OWN, out);
            }
            Event::TradeFIX(trade) => {
                self.execute(|execution, ctx| execution.on_trade(ctx, trade, out));
                self.dispatch(stamped, Kinds::OWN, out);
            }
            Event::CashFIX(cash) => {
                self.execute(|execution, ctx| execution.on_cash(ctx, cash, out));
                self.dispatch(stamped, Kinds::OWN, out);
            }
            Event::WalletFIX(_) => self.dispatch(stamped, Kinds::WALLET, out),
            Event::ArticleFIX(_) => self.dispatch(stamped, Kinds::NEWS, out),
            Event::ForecastFIX(_) => self.dispatch(stamped, Kinds::FORECAST, out),
            Event::OperatorFIX(command) => self.operate(*command, out),
            Event::from(ControlEvent::Params { strategy, toml }) => self.reconfigure(*strategy, toml, out),
            Event::from(ControlEvent::Timer) => {
                self.execute(|execution, ctx| execution.on_timer(ctx, out));
                self.dispatch(stamped, Kinds::TIMER, out);
            }
            Event::from(ControlEvent::Start) => {
                self.execute(|execution, ctx| execution.start(ctx));
                self.dispatch(stamped, Kinds::TIMER, out);
            }
            Event::from(ControlEvent::Stop) => {
                self.dispatch(stamped, Kinds::TIMER, out);
                self.stopped = true;
                self.execution.stop(self.now, out);
            }
        }
    }

    /// The stream is over: batches still open are complete.
    pub fn finish(&mut self, out: &mut Vec<Command>) {
        let mut done = Vec::new();
        self.books.close_all(&mut done);
        for key in done {
            self.batch(key, out);
        }
    }

    fn list(&mut self, market: &Arc<Market>, stamped: &Stamped, out: &mut Vec<Command>) {
        let before =
            self.universe.key(&market.condition).map(|key| self.universe.market(key).state);
        let Ok(key) = self.universe.list(Arc::clone(market)) else {
            self.refused_listings += 1;
            return;
        };
        self.books.list(key, market.tick);
        if key.index() == self.states.len() {
            self.states.push(market.state);
        }
        for seat in &mut self.seats {
            let interests = seat.strategy.interests(&self.universe);
            (seat.kinds, seat.markets) = (interests.kinds, interests.markets);
        }
        self.batch_seats = self.universe.keys().map(|key| self.seats_for(key)).collect();
        // Facts can be listed again while the state has moved on by its own events: only a listing
        // that restates it counts, and nothing takes a resolution back.
        let resolved = matches!(self.states[key.index()], MarketState::Resolved(_));
        if before.is_some_and(|before| before != market.state) && !resolved {
            let event = Event::Market(MarketEvent::State { market: key, state: market.state });
            let stamped = Stamped { event, ..stamped.clone() };
            self.state(key, market.state, &stamped, out);
        }
    }

    fn seats_for(&self, key: MarketKey) -> u32 {
        let mut mask = 0;
        for (i, seat) in self.seats.iter().enumerate() {
            let wants = match &seat.markets {
                Markets::All => true,
                Markets::Some(keys) => keys.contains(&key),
            };
            mask |= u32::from(wants && seat.kinds.has(Kinds::BATCH)) << i;
        }
        mask
    }

    fn state(
        &mut self,
        key: MarketKey,
        state: MarketState,
        stamped: &Stamped,
        out: &mut Vec<Command>,
    ) {
        let Some(known) = self.states.get_mut(key.index()) else { return };
        *known = state;
        self.execute(|execution, ctx| execution.on_state(ctx, key, state, out));
        self.dispatch(stamped, Kinds::STATE, out);
    }

    fn operate(&mut self, command: OperatorCommand, out: &mut Vec<Command>) {
        if command == OperatorCommand::Kill {
            self.queue.clear(self.now, &mut self.dropped);
            self.count_drops("killed");
        }
        self.execute(|execution, ctx| execution.on_operator(ctx, command, out));
    }

    fn reconfigure(&mut self, strategy: StrategyId, toml: &str, out: &mut Vec<Command>) {
        for seat in self.seats.iter_mut().filter(|seat| seat.id == strategy) {
            if let Err(error) = seat.strategy.reconfigure(toml) {
                let level = polydesk_domain::NoteLevel::Warning;
                out.push(Command::Note { level, code: "params_refused", text: error.to_string() });
            }
        }
    }

    fn execute<R>(&mut self, act: impl FnOnce(&mut Execution, &Context<'_>) -> R) -> R {
        let ctx = Context {
            now: self.now,
            universe: &self.universe,
            books: &self.books,
            states: &self.states,
        };
        act(&mut self.execution, &ctx)
    }

    /// A market's batch is complete: exits first, then whoever wants to see it.
    #[inline]
    fn batch(&mut self, key: MarketKey, out: &mut Vec<Command>) {
        if self.execution.positions().occupied(key) {
            self.execute(|execution, ctx| execution.on_batch(ctx, key, out));
        }
        let mut mask = self.batch_seats.get(key.index()).copied().unwrap_or(0);
        if self.stopped {
            mask = 0;
        }
        while mask != 0 {
            let seat = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            self.call(seat, Occasion::Batch(key));
        }
        if !self.signals.is_empty() {
            self.act(out);
        }
    }

    fn dispatch(&mut self, stamped: &Stamped, kind: Kinds, out: &mut Vec<Command>) {
        for seat in 0..self.seats.len() {
            if self.seats[seat].kinds.has(kind) && !self.stopped {
                self.call(seat, Occasion::Event(stamped));
            }
        }
        if !self.signals.is_empty() {
            self.act(out);
        }
    }

    #[inline]
    fn call(&mut self, seat: usize, occasion: Occasion<'_>) {
        let Seat { id, strategy, skips, .. } = &mut self.seats[seat];
        let id = *id;
        let account = Desk(&self.execution);
        let view = View {
            now: self.now,
            universe: &self.universe,
            books: &self.books,
            states: &self.states,
            account: &account,
        };
        let mut emit = Emit::new(
            id,
            self.now,
            &mut self.next_signal,
            &mut self.signals,
            skips,
            &mut self.notes,
        );
        strategy.on_event(&view, occasion, &mut emit);
        if self.notes.changes.is_empty() && self.notes.episodes.is_empty() {
            return;
        }
        let (changes, episodes) = (self.notes.changes.drain(..), self.notes.episodes.drain(..));
        if let Some(trace) = &mut self.trace {
            trace.extend(changes.map(|(key, reason)| (self.now, Trace::Skip(id, key, reason))));
            trace.extend(episodes.map(|episode| (self.now, Trace::Episode(id, episode))));
        }
    }

    /// Queues what was said and acts on whatever is due.
    fn act(&mut self, out: &mut Vec<Command>) {
        for signal in core::mem::take(&mut self.signals) {
            *self.said.entry(signal.strategy).or_default() += 1;
            if let Some(trace) = &mut self.trace {
                trace.push((self.now, Trace::Signal(signal.clone())));
            }
            let strategy = signal.strategy;
            let code = match self.queue.push(signal) {
                Pushed::Queued => continue,
                Pushed::Superseded(_) => "superseded",
                Pushed::Duplicate => "duplicate",
                Pushed::Outdated => "outdated",
            };
            *self.drops.entry((strategy, code)).or_default() += 1;
        }
        while let Some(signal) = self.queue.pop(self.now, &mut self.dropped) {
            self.execute(|execution, ctx| execution.on_signal(ctx, signal, out));
        }
        self.count_drops("expired");
    }

    fn count_drops(&mut self, code: &'static str) {
        for Dropped { signal, at } in self.dropped.drain(..) {
            *self.drops.entry((signal.strategy, code)).or_default() += 1;
            if let Some(trace) = &mut self.trace {
                trace.push((at, Trace::Dropped(signal.strategy, signal.market, code)));
            }
        }
    }
}

/// Execution as strategies see it.
struct Desk<'a>(&'a Execution);

impl Account for Desk<'_> {
    fn position(&self, strategy: StrategyId, token: Token) -> Position {
        self.0.position(strategy, token)
    }

    fn open_orders(&self, strategy: StrategyId, market: MarketKey) -> Vec<OpenOrder> {
        let orders = self.0.orders().open_in(market).filter(|order| order.strategy == strategy);
        orders
            .map(|order| OpenOrder {
                id: order.id,
                token: order.token,
                side: order.side,
                price: order.price,
                remaining: match (order.side, order.size) {
                    (Side::Sell, _) => order.remaining_offer(),
                    (Side::Buy, Size::Shares(_)) => order.left(),
                    (Side::Buy, Size::Spend(spend)) => {
                        order.price.shares_for(spend - order.spent).unwrap_or_default()
                    }
                },
                state: order.state,
            })
            .collect()
    }

    fn free_cash(&self) -> Usdc {
        self.0.free_cash()
    }
}

/// The id of an order a command is about, if it is about one.
pub fn order_of(command: &Command) -> Option<ClientOrderId> {
    match command {
        Command::Place(order) => Some(order.id),
        Command::Cancel(id) | Command::Query(id) | Command::Convert { id, .. } => Some(*id),
        Command::CancelAll(_) | Command::Note { .. } => None,
    }
}
