//! The recording of a run for its report: fills with markouts, round trips, equity, counts.
//!
//! It observes and changes nothing. Mid prices are those of the records; markouts are taken at the first
//! timer at or after their horizon, while the tape lasts.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    BasketEnd, ClientOrderId, ClosedTrade, Code, ConditionId, FillRecord, Opportunity, OrderState,
    Record, Recorded, Role, Side, Span, StrategyId, Time, TokenId, TradeId, TradeStatus, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::{LedgerAccount, Manager};

/// Horizons of the markouts.
pub const HORIZONS: [Span; 4] = [Span::secs(5), Span::secs(30), Span::secs(60), Span::secs(300)];

/// The most equity points kept; beyond it every other one is dropped and the step doubled.
const MOST_POINTS: usize = 20_000;

/// One fill of ours with its markouts.
#[derive(Debug, Clone, PartialEq)]
pub struct FillRow {
    /// Engine time of its first report.
    pub at: Time,
    /// As it was first reported, with the amounts it settled at once they are reported.
    pub fill: FillRecord,
    /// Bid + ask (twice the mid price) of the token at each horizon, in ten-thousandths; `None` where the tape ended
    /// before or the book was one-sided.
    pub double_mid_later: [Option<u32>; HORIZONS.len()],
    /// Its last settlement state.
    pub status: TradeStatus,
}

/// Equity at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EquityPoint {
    /// Engine time.
    pub at: Time,
    /// Cash, pending proceeds and holdings at the value of displayed depth.
    pub equity: Usdc,
    /// Holdings at cost plus what open buys and pending splits may still take: capital that is locked.
    pub locked: Usdc,
    /// Realised profit and loss.
    pub realised: Usdc,
}

/// Counts of one strategy's orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderStats {
    /// Orders sent.
    pub placed: u64,
    /// Orders with at least one fill.
    pub touched: u64,
    /// Completely filled orders.
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
    /// How late they reached the engine.
    pub feed: crate::FeedFacts,
    /// First and last engine time.
    pub span: Option<(Time, Time)>,
    /// Our fills in order.
    pub fills: Vec<FillRow>,
    /// Finished round trips in order.
    pub closed: Vec<ClosedTrade>,
    /// Ended baskets in order.
    pub baskets: Vec<BasketEnd>,
    /// Ended opportunities in order.
    pub opportunities: Vec<(StrategyId, Opportunity<ConditionId>)>,
    /// Equity over time.
    pub equity: Vec<EquityPoint>,
    /// Orders by strategy.
    pub orders: BTreeMap<StrategyId, OrderStats>,
    /// Timer ticks times open markets, and how many of those had a usable book.
    pub book_ticks: (u64, u64),
    /// Messages to the operator, by code.
    pub notes: BTreeMap<Code, u64>,
    /// The first few notes in full.
    pub first_notes: Vec<(Time, String)>,
}

#[derive(Default)]
pub(crate) struct Recorder {
    out: Recording,
    by_key: BTreeMap<(TradeId, ClientOrderId), usize>,
    touched: BTreeSet<ClientOrderId>,
    /// Noted when it happens: orders are forgotten a day after they are over.
    filled: BTreeMap<ClientOrderId, StrategyId>,
    pending: BTreeMap<(Time, usize), usize>,
    step: u64,
    ticks: u64,
    /// After the tape's end books do not change: they are no evidence of later prices, and the hours until
    /// rebates are paid are no part of the run.
    over: bool,
}

impl Recorder {
    /// Takes in what the engine reports.
    pub fn record(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.record {
            Record::Placed(order) => {
                let stats = self.out.orders.entry(order.strategy).or_default();
                stats.placed += 1;
                stats.post_only += u64::from(order.post_only);
            }
            Record::OrderChanged { id, strategy, state: OrderState::Filled, .. } => {
                self.filled.insert(*id, *strategy);
            }
            Record::Fill(fill) => self.fill(at, fill),
            Record::Correction(correction) => {
                let key = (correction.trade, correction.order);
                if let Some(row) = self.by_key.get(&key) {
                    self.out.fills[*row].fill.fill = correction.after;
                }
            }
            Record::Closed(trade) => self.out.closed.push(trade.clone()),
            Record::BasketEnded(end) => self.out.baskets.push(end.clone()),
            Record::Opportunity { strategy, opportunity } => {
                self.out.opportunities.push((*strategy, opportunity.clone()));
            }
            Record::Note { code, text, .. } => {
                *self.out.notes.entry(*code).or_default() += 1;
                if self.out.first_notes.len() < 20 {
                    self.out.first_notes.push((at, text.clone()));
                }
            }
            _ => {}
        }
    }

    fn fill(&mut self, at: Time, fill: &FillRecord) {
        let key = (fill.trade, fill.order);
        if let Some(row) = self.by_key.get(&key) {
            self.out.fills[*row].status = fill.status;
            return;
        }
        let index = self.out.fills.len();
        self.by_key.insert(key, index);
        self.out.fills.push(FillRow {
            at,
            fill: fill.clone(),
            double_mid_later: [None; HORIZONS.len()],
            status: fill.status,
        });
        for (slot, horizon) in HORIZONS.iter().enumerate() {
            self.pending.insert((at + *horizon, index * HORIZONS.len() + slot), index);
        }
        let stats = self.out.orders.entry(fill.strategy).or_default();
        if self.touched.insert(fill.order) {
            stats.touched += 1;
            if fill.role == Role::Maker {
                stats.waits_ms.push(fill.decided_at.until(at).as_millis());
            }
        }
    }

    /// The tape is over.
    pub fn over(&mut self) {
        self.over = true;
    }

    /// A second passed: equity, book quality and markouts that are due.
    pub fn tick(&mut self, engine: &Engine, at: Time) {
        if self.over {
            return;
        }
        while let Some((&(due, slot), _)) = self.pending.first_key_value() {
            if due > at {
                break;
            }
            let index = self.pending.remove(&(due, slot)).unwrap_or_default();
            let token = self.out.fills[index].fill.token;
            self.out.fills[index].double_mid_later[slot % HORIZONS.len()] =
                double_mid(engine, token);
        }
        for (index, state) in engine.states().iter().enumerate() {
            if state.trades() {
                self.out.book_ticks.0 += 1;
                let key = polydesk_domain::MarketKey(index as u32);
                self.out.book_ticks.1 += u64::from(engine.books().usable(key));
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
        self.out.equity.push(EquityPoint { at, ..worth(engine.manager()) });
        if self.out.equity.len() > MOST_POINTS {
            let mut index = 0;
            self.out.equity.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            self.step *= 2;
        }
    }

    pub fn finish(mut self, engine: &Engine, rows: u64) -> Recording {
        self.out.rows = rows;
        if let Some(last) = self.out.equity.last().copied() {
            // What settled and was paid after the end belongs to the end.
            self.out
                .equity
                .push(EquityPoint { at: last.at + Span::nanos(1), ..worth(engine.manager()) });
        }
        self.out.closed = round_trips(core::mem::take(&mut self.out.closed));
        for (_, strategy) in self.filled.iter().filter(|(id, _)| self.touched.contains(id)) {
            self.out.orders.entry(*strategy).or_default().filled += 1;
        }
        self.out
    }
}

fn worth(manager: &Manager) -> EquityPoint {
    let ledger = manager.ledger();
    EquityPoint {
        at: Time::MIN,
        equity: manager.equity().now,
        locked: ledger.balance(LedgerAccount::Inventory) + manager.state().reserved(),
        realised: -ledger.balance(LedgerAccount::Realised),
    }
}

/// One round trip per closing and token: an exit that walks eight levels over three lots is one result,
/// not twenty-four.
fn round_trips(slices: Vec<ClosedTrade>) -> Vec<ClosedTrade> {
    let mut whole: Vec<ClosedTrade> = Vec::new();
    let mut places: BTreeMap<(StrategyId, TokenId, u64), usize> = BTreeMap::new();
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

fn double_mid(engine: &Engine, token: TokenId) -> Option<u32> {
    let token = engine.universe().token(&token)?;
    engine.books().get(token.market())?.double_mid(token.outcome())
}

impl FillRow {
    /// Distance of the fill's average price from the mid price (given as bid + ask), in our favour, in micro-dollars.
    pub fn against(&self, double_mid: Option<u32>) -> Option<Usdc> {
        let shares = i128::from(self.fill.fill.shares.micros());
        let at_mid = i128::from(double_mid?) * shares / 20_000;
        let paid = i128::from(self.fill.fill.notional.micros());
        let gain = if self.fill.side == Side::Buy { at_mid - paid } else { paid - at_mid };
        i64::try_from(gain).ok().map(Usdc::new)
    }
}
