//! The recording of a run for its report: fills with markouts, round trips, equity, alarms, counts.
//!
//! It observes and changes nothing. Mid prices are those of the exchange's own books in exchange time: at the
//! match, when the fill became known, and at each horizon after the match. None is read from a book that is
//! not usable, in a silence of the tape, or after its end.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    AccountEvent, BasketEnd, CashKind, ClientOrderId, ClosedTrade, Code, ConditionId, Event,
    FillRecord, NoteLevel, Opportunity, OrderState, Record, Recorded, Role, Span, Stamped,
    StrategyId, Time, Token, TokenId, TradeId, TradeStatus, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::{LedgerAccount, Manager};
use polydesk_sim::Sim;

use crate::running::{EquityPoint, Extremes, Running};

/// Horizons of the markouts.
pub const HORIZONS: [Span; 4] = [Span::secs(5), Span::secs(30), Span::secs(60), Span::secs(300)];

/// The most equity points kept. Beyond it each four become two, the lowest and the highest.
const MOST_POINTS: usize = 20_000;

/// The most alarms kept in full; all are counted.
const MOST_ALARMS: usize = 100;

/// One fill of ours with its markouts.
#[derive(Debug, Clone, PartialEq)]
pub struct FillRow {
    /// Engine time of its first report.
    pub at: Time,
    /// As it was first reported, with the amounts it settled at once they are reported.
    pub fill: FillRecord,
    /// Exchange time of the match.
    pub matched_at: Time,
    /// Bid + ask (twice the mid price) of the token in the exchange's book at the match, in ten-thousandths;
    /// `None` where the book was not usable or one-sided.
    pub double_mid_matched: Option<u32>,
    /// The same when the fill became known.
    pub double_mid_known: Option<u32>,
    /// The same at each horizon after the match; `None` also in a silence of the tape and after its end.
    pub double_mid_later: [Option<u32>; HORIZONS.len()],
    /// Its last settlement state.
    pub status: TradeStatus,
}

/// A latched loss limit or a critical note: what an operator would have been woken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Engine time.
    pub at: Time,
    /// `latch`, `reset` or `critical`.
    pub kind: &'static str,
    /// Code of the latch or the note.
    pub code: Code,
    /// The loss when it latched, or the note.
    pub text: String,
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
    /// Equity over time, thinned to lowest and highest points; for drawing only.
    pub equity: Vec<EquityPoint>,
    /// Extremes over every sample.
    pub extremes: Extremes,
    /// Maker rebates received, by market.
    pub rebates: BTreeMap<ConditionId, Usdc>,
    /// Latched loss limits and critical notes in order; the first hundred.
    pub alarms: Vec<Alarm>,
    /// Alarms that are not among them.
    pub alarms_left_out: u64,
    /// Orders by strategy.
    pub orders: BTreeMap<StrategyId, OrderStats>,
    /// Timer ticks times open markets, and how many of those had a usable book.
    pub book_ticks: (u64, u64),
    /// Messages to the operator, by code.
    pub notes: BTreeMap<Code, u64>,
    /// The first few notes in full.
    pub first_notes: Vec<(Time, String)>,
}

/// A match at the exchange with its middles.
#[derive(Debug, Clone, Copy)]
struct Matched {
    at: Time,
    double_mid: Option<u32>,
    later: [Option<u32>; HORIZONS.len()],
}

/// Records a run; [`Recorder::finish`] gives the [`Recording`].
#[derive(Default)]
pub struct Recorder {
    out: Recording,
    by_key: BTreeMap<(TradeId, ClientOrderId), usize>,
    touched: BTreeSet<ClientOrderId>,
    /// Noted when it happens: orders are forgotten a day after they are over.
    filled: BTreeMap<ClientOrderId, StrategyId>,
    /// Matches at the exchange, by their trade.
    matches: BTreeMap<TradeId, Matched>,
    /// How many matches of the exchange are in it.
    matches_seen: u64,
    /// Middles to read: when, of which trade and token, at which horizon.
    pending: BTreeMap<(Time, TradeId, usize), Token>,
    /// Time of the last row at the exchange.
    last_row: Option<Time>,
    running: Running,
    curve: Curve,
    /// After the tape's end books do not change: they are no evidence of later prices, and the hours until
    /// rebates are paid are no part of the run.
    over: bool,
}

impl Recorder {
    /// The run begins with so much money.
    pub fn begin(&mut self, at: Time, cash: Usdc) {
        let point = EquityPoint { at, equity: cash, locked: Usdc::ZERO, realised: Usdc::ZERO };
        self.running.sample(point);
    }

    /// The exchange is about to take a row at `at`: middles that were due before are read from the books as
    /// they stand. In a silence longer than `silence` nothing is known of later prices.
    #[inline(always)]
    pub fn exchange(&mut self, sim: &Sim, at: Time, silence: Span) {
        self.matches(sim);
        let last = self.last_row.replace(at).unwrap_or(at);
        if !self.pending.is_empty() {
            self.read_due(sim, (last, at), silence);
        }
    }

    /// Reads the middles that were due between two rows.
    #[inline(never)]
    fn read_due(&mut self, sim: &Sim, (last, at): (Time, Time), silence: Span) {
        let known_until = if last.until(at) > silence { last + Span::nanos(1) } else { at };
        while let Some((&(due, trade, slot), &token)) = self.pending.first_key_value() {
            if due >= at {
                break;
            }
            self.pending.remove(&(due, trade, slot));
            if due < known_until
                && let Some(matched) = self.matches.get_mut(&trade)
            {
                matched.later[slot] = sim.double_mid(token);
            }
        }
    }

    /// Takes in matches that are new at the exchange.
    #[inline]
    fn matches(&mut self, sim: &Sim) {
        if self.matches_seen != sim.match_count() {
            self.take_matches(sim);
        }
    }

    #[cold]
    fn take_matches(&mut self, sim: &Sim) {
        for new in sim.matches_after(self.matches_seen) {
            let later = [None; HORIZONS.len()];
            let matched = Matched { at: new.at, double_mid: new.double_mid, later };
            self.matches.insert(new.trade, matched);
            for (slot, horizon) in HORIZONS.iter().enumerate() {
                self.pending.insert((new.at + *horizon, new.trade, slot), new.token);
            }
        }
        self.matches_seen = sim.match_count();
    }

    /// An account, world or control event: rebates have no record of their own.
    pub fn event(&mut self, engine: &Engine, stamped: &Stamped) {
        if let Event::Account(event) = &stamped.event
            && let AccountEvent::Cash(cash) = event.as_ref()
            && let (CashKind::Rebate, Some(key)) = (cash.kind, cash.market)
        {
            let condition = engine.universe().market(key).condition;
            *self.out.rebates.entry(condition).or_default() += cash.amount;
        }
    }

    /// Takes in what the engine reports.
    pub fn record(&mut self, sim: &Sim, recorded: &Recorded) {
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
            Record::Fill(fill) => self.fill(sim, at, fill),
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
            Record::Latch { code, on, lost } => {
                let kind = if *on { "latch" } else { "reset" };
                self.alarm(at, kind, *code, format!("lost {lost}"));
            }
            Record::Note { level, code, text } => {
                if *level == NoteLevel::Critical {
                    self.alarm(at, "critical", *code, text.clone());
                }
                *self.out.notes.entry(*code).or_default() += 1;
                if self.out.first_notes.len() < 20 {
                    self.out.first_notes.push((at, text.clone()));
                }
            }
            _ => {}
        }
    }

    fn alarm(&mut self, at: Time, kind: &'static str, code: Code, text: String) {
        if self.out.alarms.len() < MOST_ALARMS {
            self.out.alarms.push(Alarm { at, kind, code, text });
        } else {
            self.out.alarms_left_out += 1;
        }
    }

    fn fill(&mut self, sim: &Sim, at: Time, fill: &FillRecord) {
        let key = (fill.trade, fill.order);
        if let Some(row) = self.by_key.get(&key) {
            self.out.fills[*row].status = fill.status;
            return;
        }
        self.by_key.insert(key, self.out.fills.len());
        // A match of the last row's batch comes after the last row.
        self.matches(sim);
        let known = sim.universe().token(&fill.token).and_then(|token| sim.double_mid(token));
        grow_slowly(&mut self.out.fills);
        self.out.fills.push(FillRow {
            at,
            fill: fill.clone(),
            // The match is looked up at the end, when its horizons are over.
            matched_at: at,
            double_mid_matched: None,
            double_mid_known: known,
            double_mid_later: [None; HORIZONS.len()],
            status: fill.status,
        });
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

    /// A second passed: equity and book quality.
    pub fn tick(&mut self, engine: &Engine, at: Time) {
        if self.over {
            return;
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
        let point = EquityPoint { at, ..worth(engine.manager()) };
        self.running.sample(point);
        self.curve.add(point);
    }

    /// The run is over: horizons that are not reached stay unknown.
    pub fn finish(mut self, engine: &Engine, rows: u64) -> Recording {
        self.out.rows = rows;
        if let Some((_, last)) = self.out.span {
            // What settled and was paid after the end belongs to the end.
            self.point(engine, last + Span::nanos(1));
        }
        self.out.equity = self.curve.finish();
        self.out.extremes = self.running.finish();
        for row in &mut self.out.fills {
            if let Some(matched) = self.matches.get(&row.fill.trade) {
                row.matched_at = matched.at;
                row.double_mid_matched = matched.double_mid;
                row.double_mid_later = matched.later;
            }
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

/// Equity points for drawing: all of them, then of each stretch the lowest and the highest.
#[derive(Debug, Default)]
struct Curve {
    points: Vec<EquityPoint>,
    /// Samples in a stretch; 0 and 1 keep every sample.
    width: u64,
    /// The stretch that is not over: its samples, lowest and highest.
    open: Option<(u64, EquityPoint, EquityPoint)>,
}

impl Curve {
    fn add(&mut self, point: EquityPoint) {
        let (count, low, high) = match self.open {
            None => (1, point, point),
            Some((count, low, high)) => (
                count + 1,
                if point.equity < low.equity { point } else { low },
                if point.equity > high.equity { point } else { high },
            ),
        };
        self.open = Some((count, low, high));
        if count >= self.width {
            self.close();
        }
        if self.points.len() > MOST_POINTS {
            self.thin();
            self.width = if self.width <= 1 { 4 } else { self.width * 2 };
        }
    }

    /// Of each four points the lowest and the highest stay, in the memory that all had.
    fn thin(&mut self) {
        let mut kept = 0;
        for begin in (0..self.points.len()).step_by(4) {
            let four = &self.points[begin..(begin + 4).min(self.points.len())];
            let low = four.iter().min_by_key(|point| point.equity).copied();
            let high = four.iter().max_by_key(|point| point.equity).copied();
            // At most as many as were read: nothing is written over before it was looked at.
            for point in ordered(low.into_iter().chain(high)) {
                self.points[kept] = point;
                kept += 1;
            }
        }
        self.points.truncate(kept);
    }

    fn close(&mut self) {
        if let Some((_, low, high)) = self.open.take() {
            grow_slowly(&mut self.points);
            self.points.extend(ordered([low, high].into_iter()));
        }
    }

    fn finish(mut self) -> Vec<EquityPoint> {
        self.close();
        self.points
    }
}

/// Makes room for a few more entries, where a list would double: a long run ends with lists that are full.
fn grow_slowly<T>(list: &mut Vec<T>) {
    if list.capacity() - list.len() < 2 {
        list.reserve_exact((list.len() / 8).max(64));
    }
}

/// In order of time, without repetition.
fn ordered(points: impl Iterator<Item = EquityPoint>) -> Vec<EquityPoint> {
    let mut points: Vec<EquityPoint> = points.collect();
    points.sort_by_key(|point| point.at);
    points.dedup();
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The curve over so many seconds in which one of them has a dip.
    fn curve(seconds: i64, dip: i64) -> Vec<EquityPoint> {
        let mut curve = Curve::default();
        for second in 0..seconds {
            let equity = Usdc::whole(if second == dip { 90 } else { 100 });
            let at = Time::from_secs(second);
            curve.add(EquityPoint { at, equity, locked: Usdc::ZERO, realised: Usdc::ZERO });
        }
        curve.finish()
    }

    #[test]
    fn a_dip_of_one_second_stays_in_the_curve_whatever_its_parity() {
        for hours in [1, 72, 720] {
            for dip in [20_300, 20_301, 20_302, 20_303, 3_000] {
                let points = curve(hours * 3_600, dip);
                assert!(points.len() <= MOST_POINTS, "{} points", points.len());
                assert!(points.is_sorted_by(|a, b| a.at < b.at));
                let dips: Vec<_> =
                    points.iter().filter(|point| point.equity < Usdc::whole(100)).collect();
                let seen: Vec<_> = dips.iter().map(|point| point.at).collect();
                let want: Vec<_> =
                    (dip < hours * 3_600).then(|| Time::from_secs(dip)).into_iter().collect();
                assert_eq!(seen, want, "{hours} h, dip at {dip}");
            }
        }
    }
}
