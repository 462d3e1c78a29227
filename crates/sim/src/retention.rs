//! Retention of ended orders, query results and finished conversions: two hours after their last update.
//! It holds ids and times only.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{ClientOrderId, ConversionId, Span, Time};

/// How long an ended order with its trades, a query result or a finished conversion is kept.
///
/// A bot asks about an order for minutes; a run of days has hundreds of thousands of them.
pub(crate) const KEPT: Span = Span::secs(2 * 3_600);

/// Something with a retention time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kept {
    /// An ended order and its trades, all of them settled or failed.
    Order(ClientOrderId),
    /// When an order was last queried.
    QueryResult(ClientOrderId),
    /// A finished conversion.
    Conversion(ConversionId),
}

/// Kept entries by the time of their last update, and a high-water mark of the forgotten orders.
#[derive(Debug, Clone)]
pub(crate) struct Retention {
    kept: BTreeSet<(Time, Kept)>,
    /// When the first entry is forgotten, read with every step of time; `Time::MAX` without entries.
    due: Time,
    /// The largest number of a forgotten order per run; the numbers of a run rise.
    forgotten: BTreeMap<u32, u32>,
}

impl Retention {
    pub(crate) fn new() -> Retention {
        Retention { kept: BTreeSet::new(), due: Time::MAX, forgotten: BTreeMap::new() }
    }

    /// Keeps an entry from its last update `at` on; `before` is the update it was kept from until now.
    pub(crate) fn keep(&mut self, what: Kept, before: Option<Time>, at: Time) {
        if let Some(before) = before {
            self.kept.remove(&(before, what));
        }
        self.kept.insert((at, what));
        self.update_due();
    }

    /// Takes out one entry whose retention time is over.
    #[inline]
    pub(crate) fn pop(&mut self, now: Time) -> Option<Kept> {
        if now < self.due {
            return None;
        }
        let (_, what) = self.kept.pop_first()?;
        self.update_due();
        if let Kept::Order(id) = what {
            let most = self.forgotten.entry(id.run()).or_default();
            *most = (*most).max(id.number());
        }
        Some(what)
    }

    fn update_due(&mut self) {
        self.due = self.kept.first().map_or(Time::MAX, |(at, _)| *at + KEPT);
    }

    /// Whether an order may be a forgotten one: its number is not above the largest forgotten number. The
    /// caller checks first whether the order is still kept.
    pub(crate) fn is_forgotten(&self, id: ClientOrderId) -> bool {
        self.forgotten.get(&id.run()).is_some_and(|most| id.number() <= *most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_update_keeps_a_query_result_longer() {
        let mut retention = Retention::new();
        let (id, first, second) = (ClientOrderId(7), Time::from_secs(10), Time::from_secs(60));
        retention.keep(Kept::QueryResult(id), None, first);
        retention.keep(Kept::QueryResult(id), Some(first), second);
        assert_eq!(retention.pop(first + KEPT), None);
        assert_eq!(retention.pop(second + KEPT), Some(Kept::QueryResult(id)));
        assert_eq!(retention.pop(Time::MAX), None);
        assert!(!retention.is_forgotten(id), "only ended orders leave a mark");
    }

    #[test]
    fn orders_are_forgotten_up_to_the_largest_number_of_their_run() {
        let mut retention = Retention::new();
        for (run, number) in [(0, 5), (0, 3), (2, 1)] {
            retention.keep(Kept::Order(ClientOrderId::of_run(run, number)), None, Time::MIN);
        }
        while retention.pop(Time::MAX).is_some() {}
        let forgotten = |run, number| retention.is_forgotten(ClientOrderId::of_run(run, number));
        assert_eq!([forgotten(0, 4), forgotten(0, 6), forgotten(1, 1)], [true, false, false]);
        assert_eq!([forgotten(2, 1), forgotten(2, 2)], [true, false]);
    }
}
