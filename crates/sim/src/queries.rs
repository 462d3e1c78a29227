//! What queries are answered, and when the exchange forgets what they could be about.

use polydesk_domain::{ClientOrderId, ConversionId, Event, OrderUpdate};

use crate::retention::Kept;
use crate::state::Sim;

impl Sim {
    /// Evidence for an order: what it is at the exchange, and all its matches with their present status.
    /// While it may still be on its way nothing can be proven, and the answer says so. Of an order that
    /// may be a forgotten one nothing is said at all.
    pub(crate) fn query_order(&mut self, id: ClientOrderId) {
        let (event, trades) = match (self.orders.get(&id), self.ended.get(&id)) {
            (Some(order), _) => (order.evidence(), order.trades.clone()),
            (None, Some(ended)) => (ended.event(), ended.trades.clone()),
            (None, None) if self.transit.contains_key(&id) => (OrderUpdate::Unknown, Vec::new()),
            (None, None) if self.has_forgotten(id) => return,
            (None, None) => (OrderUpdate::Absent, Vec::new()),
        };
        let proves = event != OrderUpdate::Unknown;
        let told = self.news(id, event);
        for serial in trades {
            self.report_again(serial, told);
        }
        if proves {
            let before = self.evidence.insert(id, (self.now, told));
            let before = before.map(|(asked, _)| asked);
            self.retention.keep(Kept::QueryResult(id), before, self.now);
        }
    }

    /// A conversion that is over is answered as it was; of one under way there is nothing to say.
    pub(crate) fn query_conversion(&mut self, id: ConversionId) {
        if let Some((_, cash)) = self.conversions.get(&id).copied() {
            let at = self.answer_time();
            self.deliver(at, Event::cash(cash));
        }
    }

    /// From now on an order that ended and whose matches are over is kept for a while only.
    pub(crate) fn keep_if_over(&mut self, id: ClientOrderId) {
        if self.ended.get(&id).is_some_and(|ended| ended.unsettled == 0) {
            self.retention.keep(Kept::Order(id), None, self.now);
        }
    }

    /// Whether an order of this name may have been here and is forgotten.
    pub(crate) fn has_forgotten(&self, id: ClientOrderId) -> bool {
        let known = self.orders.contains_key(&id) || self.ended.contains_key(&id);
        !known && !self.transit.contains_key(&id) && self.retention.is_forgotten(id)
    }

    /// Forgets what was kept long enough.
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
                    self.evidence.remove(&id);
                }
                Kept::Conversion(id) => {
                    self.conversions.remove(&id);
                }
            }
        }
    }
}
