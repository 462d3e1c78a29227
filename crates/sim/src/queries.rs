//! Results of queries, and when ended orders and finished conversions are forgotten.

use polydesk_domain::{ClientOrderId, ConversionId, Event, OrderUpdate};

use crate::retention::Kept;
use crate::state::Sim;

impl Sim {
    /// Answers with the state of an order and then with all its matches in their present status. An
    /// order in flight is `Unknown`, because it can still arrive. An order that may be a forgotten one
    /// gets no answer.
    pub(crate) fn query_order(&mut self, id: ClientOrderId) {
        let (update, trades) = match (self.orders.get(&id), self.ended.get(&id)) {
            (Some(order), _) => (order.update(), order.trades.clone()),
            (None, Some(ended)) => (ended.update(), ended.trades.clone()),
            (None, None) if self.orders_in_flight.contains_key(&id) => {
                (OrderUpdate::Unknown, Vec::new())
            }
            (None, None) if self.has_forgotten(id) => return,
            (None, None) => (OrderUpdate::Absent, Vec::new()),
        };
        let conclusive = update != OrderUpdate::Unknown;
        let reported_at = self.report_update(id, update);
        for serial in trades {
            self.report_again(serial, reported_at);
        }
        if conclusive {
            let before = self.query_results.insert(id, (self.now, reported_at));
            let before = before.map(|(queried_at, _)| queried_at);
            self.retention.keep(Kept::QueryResult(id), before, self.now);
        }
    }

    /// Answers with the cash event of a finished conversion; a pending one gets no answer.
    pub(crate) fn query_conversion(&mut self, id: ConversionId) {
        if let Some((_, cash)) = self.conversions.get(&id).copied() {
            let at = self.answer_time();
            self.deliver(at, Event::cash(cash));
        }
    }

    /// Starts the retention time of an order that has ended and whose matches are all settled or failed.
    pub(crate) fn keep_if_over(&mut self, id: ClientOrderId) {
        if self.ended.get(&id).is_some_and(|ended| ended.unsettled == 0) {
            self.retention.keep(Kept::Order(id), None, self.now);
        }
    }

    /// Whether an order of this id may have been here and is forgotten.
    pub(crate) fn has_forgotten(&self, id: ClientOrderId) -> bool {
        let kept = self.orders.contains_key(&id) || self.ended.contains_key(&id);
        !kept && !self.orders_in_flight.contains_key(&id) && self.retention.is_forgotten(id)
    }

    /// Drops everything whose retention time is over.
    #[inline]
    pub(crate) fn forget(&mut self) {
        while let Some(what) = self.retention.pop(self.now) {
            match what {
                Kept::Order(id) => {
                    let trades = self.ended.remove(&id).map(|ended| ended.trades);
                    for serial in trades.unwrap_or_default() {
                        self.trades.remove(&serial);
                    }
                }
                Kept::QueryResult(id) => {
                    self.query_results.remove(&id);
                }
                Kept::Conversion(id) => {
                    self.conversions.remove(&id);
                }
            }
        }
    }
}
