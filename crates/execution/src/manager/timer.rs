//! What time brings: exits to evaluate, unanswered orders to ask about, equity to mark.

use std::collections::BTreeMap;

use polydesk_domain::{
    Blocker, Cause, ClientOrderId, Code, Command, ConversionId, MarketKey, MarketState, NoteLevel,
    Outbox, Price, Purpose, Query, Record, Shares, Side, Span, StrategyId, Time, Token, Usdc,
};

use super::schedule::{Due, STUCK, cancel_at, conversion_at, question_at};
use super::{Context, Manager};
use crate::config::LossLatch;
use crate::state::{LedgerAccount, average_units};

impl Manager {
    /// Evaluates exits once a market's batch is complete.
    #[inline]
    pub fn on_batch(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        if self.state.positions.occupied(market) {
            self.exits(ctx, market, out);
        }
    }

    /// Time passed: what is due is done. `second`: a whole second passed since the last call, which marks
    /// equity and evaluates exits while anything is held.
    pub fn on_timer(&mut self, ctx: &Context<'_>, second: bool, out: &mut Outbox) {
        let mut due = self.take_due(ctx.now);
        // What was never cancelled goes before what is cancelled once more.
        due.sort_by_key(|due| match due {
            Due::Order(id) => self.state.orders.get(*id).map_or(0, |order| order.cancels),
            _ => 0,
        });
        for due in due {
            match due {
                Due::Order(id) => self.order_due(ctx, id, out),
                Due::Conversion(id) => self.conversion_due(ctx, id, out),
                Due::Basket(id) => self.basket_due(ctx, id, out),
                Due::Quotes(strategy, market) => self.requote_one(ctx, (strategy, market), out),
                Due::Exit(_, token) => self.exits(ctx, token.market(), out),
                Due::Forget => self.forget(ctx.now),
                Due::Streak => self.state.ledger.reset_streak(),
                Due::Loops => self.lift_loops(ctx, out),
            }
        }
        if !second {
            return;
        }
        self.audit_sums(ctx, out);
        self.mark(ctx, out);
        let occupied: Vec<MarketKey> = self.state.positions.markets().collect();
        for market in occupied {
            if matches!(ctx.states.get(market.index()), Some(MarketState::Resolved(_))) {
                self.redeem(ctx, market, out);
            }
            self.exits(ctx, market, out);
        }
        self.watch_books(ctx, out);
    }

    /// Reports once that a holding has had no usable book for a long time.
    fn watch_books(&mut self, ctx: &Context<'_>, out: &mut Outbox) {
        let positions = &self.state.positions;
        self.blind.retain(|market, _| positions.occupied(*market));
        for market in positions.markets() {
            let trades = ctx.states.get(market.index()).is_some_and(|state| state.trades());
            if !trades || (ctx.books.usable(market) && ctx.books.verified(market)) {
                self.blind.remove(&market);
                continue;
            }
            let (since, noted) = self.blind.entry(market).or_insert((ctx.now, false));
            if !*noted && since.until(ctx.now) >= BLIND {
                *noted = true;
                let condition = ctx.universe.market(market).condition;
                let text = format!(
                    "no book of market {condition} since {since}: what is held in it is not sold and not marked"
                );
                out.note(NoteLevel::Critical, "no_book", text);
            }
        }
    }

    /// Whether the passing of seconds changes anything: something is held.
    pub fn wants_seconds(&self) -> bool {
        self.state.positions.markets().next().is_some()
    }

    /// An order is to be asked about, cancelled, or is over with its signal.
    fn order_due(&mut self, ctx: &Context<'_>, id: ClientOrderId, out: &mut Outbox) {
        let Some(order) = self.state.orders.get(id) else { return };
        let now = ctx.now;
        let cancel = cancel_at(order).is_some_and(|at| at <= now);
        let question = question_at(order).is_some_and(|at| at <= now);
        let frozen = Cause::Unsettled(order.token.market());
        let stuck = order.unsettled_fills().find(|fill| fill.at.until(now) >= STUCK).cloned();
        if let Some(fill) = stuck
            && !self.state.blockers.contains_key(&frozen)
        {
            let detail = format!(
                "a fill of order {id} is {:?} since {}: the holding is uncertain",
                fill.status, fill.at
            );
            out.note(NoteLevel::Critical, "settlement_stuck", detail.clone());
            self.block(ctx, frozen, detail, out);
        }
        if question {
            self.query(now, id, out);
        }
        if cancel {
            self.cancel(now, id, out);
        }
    }

    fn conversion_due(&mut self, ctx: &Context<'_>, id: ConversionId, out: &mut Outbox) {
        if self.state.conversions.get(&id).is_none_or(|pending| conversion_at(pending) > ctx.now) {
            return;
        }
        let Some(pending) = self.state.conversions.get_mut(&id) else { return };
        let first = pending.queried_at.is_none();
        pending.queried_at = Some(ctx.now);
        let detail = format!("conversion {id} ({:?}) has no answer", pending.action);
        if first {
            out.note(NoteLevel::Warning, "conversion_unanswered", detail);
        }
        out.command(Command::Query(Query::Conversion(id)));
    }

    /// Forgets orders that are long over.
    fn forget(&mut self, now: Time) {
        if self.stopping {
            // The run is over: orders are kept for its evaluation.
            return;
        }
        // A running basket counts what all its orders brought.
        let (orders, baskets) = (&mut self.state.orders, &self.state.baskets);
        orders.forget(
            now,
            |order| matches!(order.purpose, Purpose::Leg(basket) if baskets.contains_key(&basket)),
        );
    }

    /// Marks equity to what displayed depth would pay for everything held of a token together, and sets
    /// the blockers of the loss limits that it breaks.
    ///
    /// A book that is not usable (invalidated by an interruption, or within a batch) is no evidence:
    /// the last mark stands.
    pub(super) fn mark(&mut self, ctx: &Context<'_>, out: &mut Outbox) {
        let ledger = &self.state.ledger;
        let mut worth =
            ledger.balance(LedgerAccount::Cash) + ledger.balance(LedgerAccount::Pending);
        let mut held: BTreeMap<Token, (Shares, Usdc)> = BTreeMap::new();
        for (strategy, token, holding) in self.state.positions.all() {
            if strategy == StrategyId::EXTERNAL {
                // What the bot did not buy is worth what it cost: its price is no profit or loss of the bot's, and must
                // break no limit of losses.
                worth += holding.cost();
                continue;
            }
            let (shares, cost) = held.entry(token).or_default();
            *shares += holding.held();
            *cost += holding.cost();
        }
        // What was redeemed before the resolution is money already.
        held.retain(|token, _| !self.state.early.contains_key(&token.market()));
        for (token, (shares, cost)) in held {
            worth += self.worth(ctx, token, shares, cost);
        }
        self.equity_now = worth;
        let now = ctx.now;
        let mut marks = *self.state.equity.get();
        marks.high = marks.high.max(worth);
        // A clock that goes back over midnight begins no day.
        if marks.day.is_none_or(|day| day < now.day()) {
            marks.day = Some(now.day());
            marks.day_open = worth;
        }
        self.state.equity.put(marks);
        let minute = minute_of(now);
        // A clock that jumps ahead is no time that passed: what is old is forgotten, and a latch ends, only
        // where time went on before.
        let steady =
            self.state.window.keys().next_back().is_none_or(|last| minute - last <= STEADY);
        let rolling = self.roll(minute, worth, steady) - worth;
        let (daily, drawdown) = (marks.day_open - worth, marks.high - worth);
        let lost = daily.max(rolling);
        if lost >= self.limits.daily_loss {
            self.latch(ctx, Cause::DailyLoss, lost, out);
        } else if steady && self.limits.loss_latch == LossLatch::Window {
            // A mark that recovers within the day opens nothing.
            let since = self.state.blockers.get(&Cause::DailyLoss).map(|latch| latch.since);
            if since.is_some_and(|since| since.day() < now.day()) {
                self.lift(Cause::DailyLoss, out);
            }
        }
        if drawdown >= self.limits.max_drawdown {
            self.latch(ctx, Cause::Drawdown, drawdown, out);
        }
    }

    /// Keeps a point of equity for each minute of the last 24 hours; equity at the start of that window.
    fn roll(&mut self, minute: i64, worth: Usdc, steady: bool) -> Usdc {
        let new = !self.state.window.contains_key(&minute);
        if new {
            self.state.window.insert(minute, worth);
        }
        if new && steady {
            let old = self.state.window.keys().take_while(|at| **at < minute - WINDOW);
            for at in old.copied().collect::<Vec<_>>() {
                self.state.window.remove(&at);
            }
        }
        self.state.window.values().next().copied().unwrap_or(worth)
    }

    /// A limit of loss broke: nothing that adds exposure leaves or stays.
    fn latch(&mut self, ctx: &Context<'_>, cause: Cause, lost: Usdc, out: &mut Outbox) {
        if self.state.blockers.contains_key(&cause) {
            return;
        }
        let (level, text) = match (cause, self.limits.loss_latch) {
            (Cause::DailyLoss, LossLatch::Window) => (
                NoteLevel::Warning,
                format!(
                    "{lost} pUSD lost, the limit of a day is {}: no new exposure until neither the UTC day nor the last 24 hours are beyond it, or a resume",
                    self.limits.daily_loss
                ),
            ),
            (Cause::DailyLoss, LossLatch::Person) => (
                NoteLevel::Critical,
                format!(
                    "{lost} pUSD lost, the limit of a day is {}: no new exposure before a resume",
                    self.limits.daily_loss
                ),
            ),
            _ => (
                NoteLevel::Critical,
                format!(
                    "{lost} pUSD below the highest equity, the limit is {}: no new exposure before a resume",
                    self.limits.max_drawdown
                ),
            ),
        };
        out.note(level, cause.code(), text.clone());
        out.record(Record::Latch { code: Code::literal(cause.code()), on: true, lost });
        let blocker = Blocker { since: ctx.now, detail: text, lost: Some(lost), epoch: 0 };
        self.state.blockers.insert(cause, blocker);
        self.cancel_buys(ctx.now, None, out);
    }

    /// Lifts a latch by itself: what it stands for is over.
    fn lift(&mut self, cause: Cause, out: &mut Outbox) {
        if self.state.blockers.remove(&cause).is_some() {
            let code = Code::literal(cause.code());
            out.record(Record::Latch { code, on: false, lost: Usdc::ZERO });
        }
    }

    /// What a holding is worth: what displayed bids would pay for all of it. What they do not reach for, in a book
    /// with few bids or none, or one that is not usable, is valued at the last mark for a while, and
    /// half of that, or of the lowest bid, later.
    fn worth(&mut self, ctx: &Context<'_>, token: Token, shares: Shares, cost: Usdc) -> Usdc {
        let market = token.market();
        if let Some(MarketState::Resolved(payout)) = ctx.states.get(market.index()) {
            return payout.pay(token.outcome(), shares);
        }
        let outcome = token.outcome();
        let book = ctx.books.get(market).filter(|_| ctx.books.usable(market));
        let walk = book.map(|book| book.walk(outcome, Side::Sell, Price::ZERO, shares));
        let walk = walk.unwrap_or_default();
        let rest = shares.saturating_sub(walk.shares);
        if rest.is_zero() {
            self.marks.insert(token, (average_units(walk.notional, shares), ctx.now));
            return walk.notional;
        }
        let half = |price: Price| price.notional_floor(rest).scale_floor(1, 2);
        let unseen = match (self.marks.get(&token), walk.worst) {
            (Some((units, at)), worst) => {
                let units = u16::try_from(*units).ok().and_then(Price::new).unwrap_or(Price::ONE);
                match at.until(ctx.now) <= MARK_AGE {
                    true => units.notional_floor(rest),
                    false => half(worst.map_or(units, |worst| worst.min(units))),
                }
            }
            (None, Some(worst)) => half(worst),
            (None, None) => cost,
        };
        walk.notional + unseen
    }
}

/// Minutes between two marks that are a jump of the clock, or a long pause.
const STEADY: i64 = 10;
/// Minutes of the window of losses.
const WINDOW: i64 = 1_440;
/// So long without a book of something that is held is reported.
const BLIND: Span = Span::secs(600);
/// A mark older than this counts half.
const MARK_AGE: Span = Span::secs(300);

pub(super) fn minute_of(at: Time) -> i64 {
    at.nanos().div_euclid(60_000_000_000)
}
