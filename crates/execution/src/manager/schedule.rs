//! When the manager wants to be called: one table of deadlines, made from the state alone.

mod queue;

use polydesk_domain::{BasketId, Cause, ClientOrderId, OrderState, Span, StrategyId, Time, Token};

pub(super) use queue::{Due, Schedule};

use super::Manager;
use crate::state::{Desired, Order, Orders, PendingConversion, Stage};

/// An immediate order, or one without any answer, is asked about after this.
pub(super) const ANSWER: Span = Span::secs(5);
/// A fill that is not final is asked about after this.
const SETTLEMENT: Span = Span::secs(60);
/// A fill that is not final after this freezes its market and is reported.
pub(super) const STUCK: Span = Span::secs(300);
/// A conversion without an answer is asked about after this.
const CONVERSION: Span = Span::secs(90);
/// An order that rests is asked about when nothing became known of it for this long.
const RESTING: Span = Span::secs(300);
/// The first pause between two questions about the same; it doubles.
const AGAIN: Span = Span::secs(2);
/// The longest pause between two questions.
const LONGEST: i64 = 60;
/// A cancel that the rate refused is tried again at the next multiple of this.
const CANCEL_RATE: Span = Span::millis(100);
/// What is overdue, or waits for something else, is evaluated again at the next multiple of this.
const RECHECK: Span = Span::secs(1);

/// The next multiple of `step` after `now`: a deadline that does not depend on when it was set, so that a
/// restarted process has the same.
pub(super) fn after(now: Time, step: Span) -> Time {
    let step = step.as_nanos();
    Time::from_nanos(now.nanos().div_euclid(step).saturating_add(1).saturating_mul(step))
}

/// The pause before the next question about the same, after so many.
fn pause(queries: u32) -> Span {
    Span::secs((AGAIN.as_nanos() / 1_000_000_000) << queries.saturating_sub(1).min(5))
        .max(AGAIN)
        .min(Span::secs(LONGEST))
}

/// When an order is to be asked about, or `None` while nothing about it is in doubt.
pub(super) fn question_at(order: &Order) -> Option<Time> {
    let silent = if order.state.ended() {
        (!order.missing().is_zero()).then_some(order.ended_at.unwrap_or(order.placed_at))
    } else {
        Some(match order.state {
            OrderState::Unknown => order.updated_at,
            OrderState::Delayed => order.updated_at + SETTLEMENT,
            _ if !order.tif.rests() => order.placed_at + ANSWER,
            OrderState::Planned | OrderState::Journaled | OrderState::Sent => {
                order.placed_at + ANSWER
            }
            _ => order.updated_at + RESTING,
        })
    };
    let unsettled = order.unsettled_fills().map(|fill| fill.at + SETTLEMENT).min();
    let first = match (silent, unsettled) {
        (Some(silent), Some(unsettled)) => silent.min(unsettled),
        (one, other) => one.or(other)?,
    };
    Some(match order.queried_at {
        Some(asked) if order.queries > 0 => first.max(asked + pause(order.queries)),
        Some(asked) => first.max(asked + AGAIN),
        None => first,
    })
}

/// When a fill that is still not final freezes its market.
pub(super) fn stuck_at(order: &Order) -> Option<Time> {
    order.unsettled_fills().map(|fill| fill.at + STUCK).min()
}

/// When the next cancel of an order is due.
pub(super) fn cancel_at(order: &Order) -> Option<Time> {
    if order.state.ended() || !order.tif.rests() {
        return None;
    }
    if order.cancel_wanted {
        return Some(order.cancel_at.unwrap_or(order.placed_at));
    }
    match order.cancel_at {
        Some(asked) => Some(asked + AGAIN),
        None => Some(order.expires).filter(|at| *at < Time::MAX),
    }
}

/// When a conversion is to be asked about.
pub(super) fn conversion_at(pending: &PendingConversion) -> Time {
    let first = pending.asked_at + CONVERSION;
    pending.queried_at.map_or(first, |asked| first.max(asked + Span::secs(LONGEST)))
}

fn quotes_at(desired: &Desired) -> Time {
    if desired.waiting { desired.retry_at.min(desired.expires) } else { desired.expires }
}

impl Manager {
    /// When it next wants to be called; [`Time::MAX`]: not at all.
    pub fn next_due(&self) -> Time {
        self.schedule.next()
    }

    /// Everything due by `now`, each once. What an item leaves as it is comes again a little later.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<Due> {
        let due = self.schedule.take(now);
        self.retaken.clone_from(&due);
        due
    }

    /// Brings the deadlines of everything that changed up to date. Called after every event that may have
    /// changed something.
    pub fn reschedule(&mut self, now: Time) {
        for id in self.state.orders.all.changes() {
            self.schedule_order(id, now);
        }
        for id in self.state.conversions.changes() {
            let at = self.state.conversions.get(&id).map(conversion_at);
            self.put(Due::Conversion(id), at, now);
        }
        for id in self.state.baskets.changes() {
            self.schedule_basket(id, now);
        }
        for key in self.state.quotes.changes() {
            let at = self.state.quotes.get(&key).map(quotes_at);
            self.put(Due::Quotes(key.0, key.1), at, now);
        }
        for key in self.state.positions.exits.changes() {
            self.schedule_exit(key.0, key.1, now);
        }
        for due in core::mem::take(&mut self.retaken) {
            // It was due; where nothing changed it, it is due again.
            match due {
                Due::Order(id) => self.schedule_order(id, now),
                Due::Conversion(id) => {
                    let at = self.state.conversions.get(&id).map(conversion_at);
                    self.put(due, at, now);
                }
                Due::Basket(id) => self.schedule_basket(id, now),
                Due::Quotes(strategy, market) => {
                    let at = self.state.quotes.get(&(strategy, market)).map(quotes_at);
                    self.put(due, at, now);
                }
                Due::Exit(strategy, token) => self.schedule_exit(strategy, token, now),
                Due::Forget | Due::Streak | Due::Loops => {}
            }
        }
        let forget = self.state.orders.first_settled().map(|at| at + Orders::KEPT + Span::nanos(1));
        self.put(Due::Forget, forget.filter(|_| !self.stopping), now);
        let (losses, last) = self.state.ledger.losing_streak();
        let streak = losses >= self.limits.max_losses_in_a_row;
        let cool = last.filter(|_| streak).map(|at| at + self.limits.loss_cooldown);
        self.put(Due::Streak, cool, now);
        self.put(Due::Loops, self.loops_at(), now);
    }

    /// Makes all deadlines again.
    pub(super) fn derive_schedule(&mut self, now: Time) {
        self.schedule = Schedule::default();
        for id in self.state.orders.all.keys().copied().collect::<Vec<_>>() {
            self.schedule_order(id, now);
        }
        for id in self.state.conversions.keys().copied().collect::<Vec<_>>() {
            let at = self.state.conversions.get(&id).map(conversion_at);
            self.put(Due::Conversion(id), at, now);
        }
        for id in self.state.baskets.keys().copied().collect::<Vec<_>>() {
            self.schedule_basket(id, now);
        }
        for key in self.state.quotes.keys().copied().collect::<Vec<_>>() {
            let at = self.state.quotes.get(&key).map(quotes_at);
            self.put(Due::Quotes(key.0, key.1), at, now);
        }
        for key in self.state.positions.exits.keys().copied().collect::<Vec<_>>() {
            self.schedule_exit(key.0, key.1, now);
        }
        self.reschedule(now);
    }

    fn schedule_order(&mut self, id: ClientOrderId, now: Time) {
        let Some(order) = self.state.orders.get(id) else {
            return self.schedule.set(Due::Order(id), None);
        };
        let frozen = Cause::Unsettled(order.token.market());
        let stuck = stuck_at(order).filter(|_| !self.state.blockers.contains_key(&frozen));
        let at = [question_at(order), cancel_at(order), stuck].into_iter().flatten().min();
        if order.cancel_wanted {
            return self.schedule.set(Due::Order(id), Some(after(now, CANCEL_RATE)));
        }
        self.put(Due::Order(id), at, now);
    }

    fn schedule_basket(&mut self, id: BasketId, now: Time) {
        let at = self.state.baskets.get(&id).map(|basket| match basket.stage {
            Stage::Sending | Stage::Completing => {
                basket.naked_since + self.limits.max_naked_time + Span::nanos(1)
            }
            _ => now,
        });
        self.put(Due::Basket(id), at, now);
    }

    /// Exits are evaluated with each batch and each second; a pause within a second ends by itself.
    fn schedule_exit(&mut self, strategy: StrategyId, token: Token, now: Time) {
        let exit = self.state.positions.exits.get(&(strategy, token));
        let at = exit.and_then(|exit| exit.next_at(now));
        self.schedule.set(Due::Exit(strategy, token), at);
    }

    /// A deadline in the past means the next second.
    fn put(&mut self, due: Due, at: Option<Time>, now: Time) {
        let at = at.map(|at| if at <= now { after(now, RECHECK) } else { at });
        self.schedule.set(due, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_questions_double_up_to_a_minute() {
        let secs: Vec<i64> = (0..8).map(|n| pause(n).as_nanos() / 1_000_000_000).collect();
        assert_eq!(secs, [2, 2, 4, 8, 16, 32, 60, 60]);
    }
}
