//! Loops that do not end by themselves: orders without end, refusals, settlements that fail, legs that die.
//! After so many of a kind no entry leaves any more; exits and cancels do.

use polydesk_domain::{
    Cause, ClientOrderId, Code, NoteLevel, Outbox, Reason, RejectReason, Span, StrategyId, Time,
};

use super::{Context, Manager};
use crate::config::LossLatch;
use crate::state::{Pace, Rejections, is_ordinary};

/// Trades that matched and failed to settle.
pub(super) const FAILING_SETTLEMENTS: &str = "failing_settlements";
/// Baskets of which a leg had to be sold again.
pub(super) const DYING_LEGS: &str = "dying_legs";
/// A strategy that goes on ordering.
const RUNAWAY_ORDERS: &str = "runaway_orders";

const MINUTE: Span = Span::secs(60);

/// Within which time failures of a kind count together; in a backtest entries go on after as long.
fn window(code: Code) -> Option<Span> {
    match code.as_str() {
        FAILING_SETTLEMENTS | RUNAWAY_ORDERS => Some(Span::secs(600)),
        DYING_LEGS => Some(Span::secs(3_600)),
        _ => None,
    }
}

impl Manager {
    /// Something failed of which only so many may fail within a time.
    pub(super) fn failed(&mut self, ctx: &Context<'_>, code: &'static str, out: &mut Outbox) {
        let name = Code::literal(code);
        let Some(window) = window(name) else { return };
        let most = match code {
            FAILING_SETTLEMENTS => self.limits.max_failed_settlements,
            _ => self.limits.max_dying_baskets,
        };
        let recent = self.state.failures.entry(name);
        recent.at.retain(|at| at.until(ctx.now) < window);
        recent.at.push(ctx.now);
        let count = recent.at.len();
        if count >= most as usize {
            let minutes = window.as_millis() / 60_000;
            let text = format!("{count} {code} within {minutes} minutes: no entries");
            self.stop_entries(ctx, code, text, out);
        }
    }

    /// Whether a strategy may order once more within this minute; counts it.
    pub(super) fn keep_pace(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        out: &mut Outbox,
    ) -> Result<(), Reason> {
        let mut pace = self.state.pace.get(&strategy).copied().unwrap_or_default();
        if pace.since.until(ctx.now) >= MINUTE {
            pace = Pace { since: ctx.now, orders: 0 };
        }
        if pace.orders >= self.limits.max_orders_per_minute {
            let text =
                format!("{strategy} sent {} orders since {}: no entries", pace.orders, pace.since);
            self.stop_entries(ctx, RUNAWAY_ORDERS, text, out);
            return Err(Reason::new(RUNAWAY_ORDERS).with("orders", i64::from(pace.orders)));
        }
        pace.orders += 1;
        self.state.pace.insert(strategy, pace);
        Ok(())
    }

    /// The venue refused an entry: the next one of this strategy in this market waits, twice as long with
    /// every refusal, and so many in a row stop everything, in one market or over all of them. An order that
    /// is taken ends the row; another reason does not, for its text may be all that changes.
    pub(super) fn refused(
        &mut self,
        ctx: &Context<'_>,
        id: ClientOrderId,
        reason: &RejectReason,
        out: &mut Outbox,
    ) {
        let Some(order) = self.state.orders.get(id) else { return };
        if order.purpose.reduces() || *reason == RejectReason::Duplicate {
            return;
        }
        let (strategy, market) = (order.strategy, order.token.market());
        let key = (strategy, market);
        let code = Code::literal(reason.code());
        // An unknown reason counts double.
        let weight = if matches!(reason, RejectReason::Other(_)) { 2 } else { 1 };
        let before = self.state.rejections.get(&key).map_or(0, |known| known.count);
        let count = before.saturating_add(weight);
        // A market that moved away twice is no loop yet.
        let patience =
            if matches!(reason, RejectReason::FakKilled | RejectReason::FokKilled) { 2 } else { 0 };
        let pause = Span::secs(if count > patience { 1 << (count - patience).min(6) } else { 0 });
        let until = ctx.now + pause;
        self.state.rejections.insert(key, Rejections { code, count, until });
        if let Some(desired) = self.state.quotes.get(&key)
            && desired.retry_at < until
            && let Some(desired) = self.state.quotes.get_mut(&key)
        {
            desired.retry_at = until;
        }
        // A market that moves away is no evidence about others.
        let everywhere = match is_ordinary(reason) {
            true => 0,
            false => {
                let count = self.state.refused.entry(strategy);
                *count = count.saturating_add(u64::from(weight));
                *count
            }
        };
        let most = self.limits.max_rejections;
        let cause = Cause::Runaway(code);
        if u64::from(count).max(everywhere) >= u64::from(most)
            && !self.state.blockers.contains_key(&cause)
        {
            let text =
                format!("orders of {strategy} were refused {most} times in a row, last: {code}");
            out.note(NoteLevel::Critical, "runaway", text.clone());
            self.block(ctx, cause, text, out);
        }
    }

    /// The venue took an order: what was refused before is over.
    pub(super) fn accepted(&mut self, id: ClientOrderId) {
        let Some(order) = self.state.orders.get(id) else { return };
        let (strategy, market) = (order.strategy, order.token.market());
        if !order.purpose.reduces() {
            self.state.rejections.remove(&(strategy, market));
            self.state.refused.remove(&strategy);
        }
    }

    /// A loop: nothing that adds exposure leaves or stays.
    fn stop_entries(
        &mut self,
        ctx: &Context<'_>,
        code: &'static str,
        text: String,
        out: &mut Outbox,
    ) {
        let cause = Cause::Runaway(Code::literal(code));
        if self.state.blockers.contains_key(&cause) {
            return;
        }
        out.note(NoteLevel::Critical, code, text.clone());
        self.block(ctx, cause, text, out);
        self.cancel_buys(ctx.now, None, out);
    }

    /// A loop was stopped and may go on: what was counted is forgotten.
    pub(super) fn forget_loop(&mut self, code: Code) {
        self.state.failures.remove(&code);
        for strategy in self.state.pace.keys().copied().collect::<Vec<_>>() {
            self.state.pace.remove(&strategy);
        }
        if window(code).is_some() {
            return;
        }
        for key in self.state.rejections.keys().copied().collect::<Vec<_>>() {
            self.state.rejections.remove(&key);
        }
        for strategy in self.state.refused.keys().copied().collect::<Vec<_>>() {
            self.state.refused.remove(&strategy);
        }
    }

    /// When a loop latch resets by itself: where no operator resumes.
    pub(super) fn loops_at(&self) -> Option<Time> {
        if self.limits.loss_latch == LossLatch::Person {
            return None;
        }
        let ends = self.state.blockers.iter().filter_map(|(cause, blocker)| match cause {
            Cause::Runaway(code) => window(*code).map(|window| blocker.since + window),
            _ => None,
        });
        ends.min()
    }

    /// Lets loops go on whose time is over.
    pub(super) fn lift_loops(&mut self, ctx: &Context<'_>, out: &mut Outbox) {
        while self.loops_at().is_some_and(|at| at <= ctx.now) {
            let over = self.state.blockers.iter().find_map(|(cause, blocker)| match cause {
                Cause::Runaway(code) => {
                    let over = blocker.since + window(*code)? <= ctx.now;
                    over.then_some((*cause, *code))
                }
                _ => None,
            });
            let Some((cause, code)) = over else { return };
            self.forget_loop(code);
            self.unblock(ctx, cause, "its time is over", out);
        }
    }
}
