//! What a run leaves for its report: fills with markouts, round trips, equity, counts.
//!
//! It watches and decides nothing. Middles are taken from the engine's books at the moment the news
//! arrives; markouts at the first timer at or after their horizon, while the tape lasts.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    ClientOrderId, Command, Event, OrderState, OwnTrade, Role, Side, Span, Stamped, StrategyId,
    Time, Token, TradeId, TradeStatus, Usdc,
};
use polydesk_engine::{Engine, Trace};
use polydesk_execution::{Account, ClosedTrade, Execution, PlanEnd, Purpose};
use polydesk_signals::Episode;

/// Horizons of the markouts.
pub const HORIZONS: [Span; 4] = [Span::secs(5), Span::secs(30), Span::secs(60), Span::secs(300)];

/// The most equity points kept; beyond it every other one is dropped and the step doubled.
const MOST_POINTS: usize = 20_000;

/// One fill of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct FillRow {
    /// When its news arrived.
    pub at: Time,
    /// When the order was decided.
    pub decided_at: Time,
    /// The fill as reported.
    pub trade: OwnTrade,
    /// Whose.
    pub strategy: StrategyId,
    /// What the order was for: `quote`, `trade`, `leg` or the reason of an exit.
    pub purpose: &'static str,
    /// Twice the middle of the token when the order was decided, in ten-thousandths.
    pub double_mid_decided: Option<u32>,
    /// The same when the fill's news arrived.
    pub double_mid_filled: Option<u32>,
    /// The same at each horizon; `None` where the tape ended before or the book was one-sided.
    pub double_mid_later: [Option<u32>; HORIZONS.len()],
    /// Where its settlement ended.
    pub status: TradeStatus,
}

/// What an account was worth at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EquityPoint {
    /// When.
    pub at: Time,
    /// Cash, pending proceeds and holdings at what displayed depth would pay.
    pub equity: Usdc,
    /// Holdings at cost plus what open buys may still take: capital that is locked.
    pub locked: Usdc,
    /// Profit and loss that is final.
    pub realised: Usdc,
}

/// What became of one strategy's orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderStats {
    /// Sent.
    pub placed: u64,
    /// With at least one fill.
    pub touched: u64,
    /// Entirely filled.
    pub filled: u64,
    /// Post-only orders among the placed ones.
    pub post_only: u64,
    /// From decision to the first fill of resting orders, in milliseconds, in order of arrival.
    pub waits_ms: Vec<i64>,
}

/// Everything a report needs besides the engine's and the exchange's final state.
#[derive(Debug, Default)]
pub struct Recording {
    /// Rows of the tape.
    pub rows: u64,
    /// First and last engine time.
    pub span: Option<(Time, Time)>,
    /// Our fills in order.
    pub fills: Vec<FillRow>,
    /// Finished round trips in order.
    pub closed: Vec<ClosedTrade>,
    /// Ended baskets in order.
    pub plans: Vec<PlanEnd>,
    /// Ended opportunities in order.
    pub episodes: Vec<(StrategyId, Episode)>,
    /// Equity over time.
    pub equity: Vec<EquityPoint>,
    /// Orders by strategy.
    pub orders: BTreeMap<StrategyId, OrderStats>,
    /// Timer ticks times open markets, and how many of those had a trusted book.
    pub book_ticks: (u64, u64),
    /// Notes to people, by code.
    pub notes: BTreeMap<&'static str, u64>,
    /// The first few notes in full.
    pub first_notes: Vec<(Time, String)>,
}

#[derive(Default)]
pub(crate) struct Recorder {
    out: Recording,
    by_key: BTreeMap<(TradeId, ClientOrderId), usize>,
    touched: BTreeSet<ClientOrderId>,
    /// Noted when it happens: the desk forgets orders a day after they are over.
    filled: BTreeMap<ClientOrderId, StrategyId>,
    pending: BTreeMap<(Time, usize), usize>,
    step: u64,
    ticks: u64,
    /// After the tape's end books stand still: they say nothing about later prices, and the hours until
    /// rebates are paid are no part of the run.
    over: bool,
}

impl Recorder {
    /// Looks at an event of ours after the engine has handled it.
    pub fn after(&mut self, engine: &mut Engine, stamped: &Stamped) {
        match &stamped.event {
            Event::TradeFIX(trade) => self.trade(engine, stamped.at, trade),
            Event::OrderFIX(news) => self.order(engine, news.0),
            Event::CashFIX(_) => {}
            _ => return,
        }
        let execution = engine.execution_mut();
        self.out.closed.append(&mut execution.take_closed());
        self.out.plans.append(&mut execution.take_plan_ends());
    }

    fn order(&mut self, engine: &Engine, id: ClientOrderId) {
        let order = engine.execution().orders().get(id);
        if let Some(order) = order.filter(|order| order.state == OrderState::Filled) {
            self.filled.insert(id, order.strategy);
        }
    }

    fn trade(&mut self, engine: &Engine, at: Time, trade: &OwnTrade) {
        let key = (trade.trade, trade.order);
        if let Some(row) = self.by_key.get(&key) {
            self.out.fills[*row].status = trade.status;
            return;
        }
        let Some(order) = engine.execution().orders().get(trade.order) else { return };
        let purpose = match order.purpose {
            Purpose::Quote => "quote",
            Purpose::Trade => "trade",
            Purpose::Leg(_) => "leg",
            Purpose::Exit(why) => why.name(),
        };
        let index = self.out.fills.len();
        self.by_key.insert(key, index);
        self.out.fills.push(FillRow {
            at,
            decided_at: order.placed_at,
            trade: *trade,
            strategy: order.strategy,
            purpose,
            double_mid_decided: order.double_mid,
            double_mid_filled: double_mid(engine, trade.token),
            double_mid_later: [None; HORIZONS.len()],
            status: trade.status,
        });
        for (slot, horizon) in HORIZONS.iter().enumerate() {
            self.pending.insert((at + *horizon, index * HORIZONS.len() + slot), index);
        }
        let stats = self.out.orders.entry(order.strategy).or_default();
        if self.touched.insert(order.id) {
            stats.touched += 1;
            if trade.role == Role::Maker {
                stats.waits_ms.push(order.placed_at.until(at).as_millis());
            }
        }
    }

    /// The tape is over.
    pub fn over(&mut self) {
        self.over = true;
    }

    /// Looks at a command on its way out.
    pub fn command(&mut self, _engine: &Engine, at: Time, command: &Command) {
        match command {
            Command::Place(order) => {
                let stats = self.out.orders.entry(order.strategy).or_default();
                stats.placed += 1;
                stats.post_only += u64::from(order.post_only);
            }
            Command::Note { code, text, .. } => {
                *self.out.notes.entry(code).or_default() += 1;
                if self.out.first_notes.len() < 20 {
                    self.out.first_notes.push((at, text.clone()));
                }
            }
            _ => {}
        }
    }

    /// Takes in what strategies said besides signals.
    pub fn trace(&mut self, trace: Trace) {
        if let Trace::Episode(strategy, episode) = trace {
            self.out.episodes.push((strategy, episode));
        }
    }

    /// A second passed: equity, book quality and markouts that are due.
    pub fn tick(&mut self, engine: &mut Engine, at: Time) {
        let execution = engine.execution_mut();
        self.out.closed.append(&mut execution.take_closed());
        self.out.plans.append(&mut execution.take_plan_ends());
        if self.over {
            return;
        }
        let engine: &Engine = engine;
        while let Some((&(due, slot), _)) = self.pending.first_key_value() {
            if due > at {
                break;
            }
            let index = self.pending.remove(&(due, slot)).unwrap_or_default();
            let token = self.out.fills[index].trade.token;
            self.out.fills[index].double_mid_later[slot % HORIZONS.len()] =
                double_mid(engine, token);
        }
        for (index, state) in engine.states().iter().enumerate() {
            if state.trades() {
                self.out.book_ticks.0 += 1;
                let key = polydesk_domain::MarketKey(index as u32);
                self.out.book_ticks.1 += u64::from(engine.books().trusted(key));
            }
        }
        self.point(engine, at);
        let first = self.out.span.map_or(at, |(first, _)| first);
        self.out.span = Some((first, at));
    }

    fn point(&mut self, engine: &Engine, at: Time) {
        self.ticks += 1;
        self.step = self.step.max(1);
        if !self.ticks.is_multiple_of(self.step) {
            return;
        }
        self.out.equity.push(EquityPoint { at, ..worth(engine.execution()) });
        if self.out.equity.len() > MOST_POINTS {
            let mut index = 0;
            self.out.equity.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            self.step *= 2;
        }
    }

    pub fn finish(mut self, engine: &mut Engine, rows: u64) -> Recording {
        let execution = engine.execution_mut();
        self.out.closed.append(&mut execution.take_closed());
        self.out.plans.append(&mut execution.take_plan_ends());
        self.out.rows = rows;
        if let Some(last) = self.out.equity.last().copied() {
            // What settled and was paid after the end belongs to the end.
            self.out.equity.push(EquityPoint { at: last.at + Span::nanos(1), ..worth(execution) });
        }
        self.out.closed = round_trips(core::mem::take(&mut self.out.closed));
        for (_, strategy) in self.filled.iter().filter(|(id, _)| self.touched.contains(id)) {
            self.out.orders.entry(*strategy).or_default().filled += 1;
        }
        self.out
    }
}

fn worth(execution: &Execution) -> EquityPoint {
    let reserved: Usdc = execution.orders().open().map(|order| order.remaining_cost()).sum();
    let ledger = execution.ledger();
    EquityPoint {
        at: Time::MIN,
        equity: execution.equity().now,
        locked: ledger.balance(Account::Inventory) + reserved,
        realised: -ledger.balance(Account::Realised),
    }
}

/// One round trip per closing and token: an exit that walks eight levels over three lots is one result,
/// not twenty-four.
fn round_trips(slices: Vec<ClosedTrade>) -> Vec<ClosedTrade> {
    let mut whole: Vec<ClosedTrade> = Vec::new();
    let mut places: BTreeMap<(StrategyId, Token, u64), usize> = BTreeMap::new();
    for slice in slices {
        let key = (slice.strategy, slice.token, slice.closing);
        match places.get(&key) {
            None => {
                places.insert(key, whole.len());
                whole.push(slice);
            }
            Some(place) => {
                let trip = &mut whole[*place];
                trip.opened_at = trip.opened_at.min(slice.opened_at);
                trip.closed_at = trip.closed_at.max(slice.closed_at);
                trip.shares += slice.shares;
                trip.cost += slice.cost;
                trip.proceeds += slice.proceeds;
                trip.entry_fee += slice.entry_fee;
                trip.exit_fee += slice.exit_fee;
            }
        }
    }
    whole
}

fn double_mid(engine: &Engine, token: Token) -> Option<u32> {
    engine.books().get(token.market())?.double_mid(token.outcome())
}

impl FillRow {
    /// How far the fill's average price is from a doubled middle, in our favour, in micro-dollars.
    pub fn against(&self, double_mid: Option<u32>) -> Option<Usdc> {
        let shares = i128::from(self.trade.fill.shares.micros());
        let at_mid = i128::from(double_mid?) * shares / 20_000;
        let paid = i128::from(self.trade.fill.notional.micros());
        let gain = if self.trade.side == Side::Buy { at_mid - paid } else { paid - at_mid };
        i64::try_from(gain).ok().map(Usdc::new)
    }
}
