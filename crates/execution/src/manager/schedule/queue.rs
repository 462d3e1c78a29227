//! Deadlines, in the order in which they come.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{BasketId, ClientOrderId, ConversionId, MarketKey, StrategyId, Time, Token};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::manager) enum Due {
    /// A question, a cancel or the expiry of an order.
    Order(ClientOrderId),
    /// A question about a conversion.
    Conversion(ConversionId),
    /// A basket that may stand naked for too long, or waits.
    Basket(BasketId),
    /// Quotes that wait or expire.
    Quotes(StrategyId, MarketKey),
    /// An exit that waits.
    Exit(StrategyId, Token),
    /// The longest settled order is to be forgotten.
    Forget,
    /// A losing streak's cool-down ends.
    Streak,
    /// A stopped loop may go on.
    Loops,
}

/// Deadlines in order.
#[derive(Debug, Clone, Default)]
pub(in crate::manager) struct Schedule {
    at: BTreeMap<Due, Time>,
    queue: BTreeSet<(Time, Due)>,
}

impl Schedule {
    pub(in crate::manager) fn set(&mut self, due: Due, at: Option<Time>) {
        let before = match at {
            Some(at) => self.at.insert(due, at),
            None => self.at.remove(&due),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.queue.remove(&(before, due));
        }
        if let Some(at) = at {
            self.queue.insert((at, due));
        }
    }

    pub(in crate::manager) fn next(&self) -> Time {
        self.queue.first().map_or(Time::MAX, |(at, _)| *at)
    }

    /// Takes out everything due by `now`, in order.
    pub(super) fn take(&mut self, now: Time) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some((at, item)) = self.queue.first().copied()
            && at <= now
        {
            self.queue.pop_first();
            self.at.remove(&item);
            due.push(item);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_moves_is_kept_once() {
        let mut schedule = Schedule::default();
        let at = Time::from_secs;
        schedule.set(Due::Forget, Some(at(5)));
        schedule.set(Due::Streak, Some(at(3)));
        schedule.set(Due::Forget, Some(at(2)));
        assert_eq!(schedule.next(), at(2));
        assert_eq!(schedule.take(at(2)), [Due::Forget]);
        assert_eq!(schedule.take(at(9)), [Due::Streak]);
        assert_eq!(schedule.next(), Time::MAX);
    }
}
