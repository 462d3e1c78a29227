//! How the engine hears of its orders: in order per order, after the answer latency, unless a fault
//! says otherwise. Nothing here decides what happened.

use polydesk_domain::{ClientOrderId, Event, OrderUpdate, RejectReason, Time};

use crate::chance::Purpose;
use crate::due::Due;
use crate::state::Sim;

impl Sim {
    /// The answer to a placement: the one piece of news that can be lost or slow.
    pub(crate) fn answer(&mut self, id: ClientOrderId, event: OrderUpdate) {
        let faults = self.config.faults;
        if self.chance.happens(Purpose::Fault, faults.lose_answer_ppm) {
            self.lose_answer(id);
        } else if self.chance.happens(Purpose::Fault, faults.slow_answer_ppm) {
            let late = self.chance.delay(Purpose::Fault, faults.slow_answer);
            let at = self.answer_time() + late;
            self.deliver(at, Event::order(id, event));
        } else {
            self.news(id, event);
        }
    }

    /// The confirmation of a cancel, which can be lost.
    pub(crate) fn cancel_news(&mut self, id: ClientOrderId, event: OrderUpdate) {
        let ppm = self.config.faults.lose_cancel_answer_ppm;
        if self.chance.happens(Purpose::Fault, ppm) {
            self.lose_answer(id);
        } else {
            self.news(id, event);
        }
    }

    fn lose_answer(&mut self, id: ClientOrderId) {
        self.counters.answers_lost += 1;
        self.await_in_vain(self.now, id);
    }

    /// An answer to what happened at `since` will not come.
    pub(crate) fn await_in_vain(&mut self, since: Time, id: ClientOrderId) {
        self.schedule(since + self.config.faults.answer_timeout, Due::NoAnswer(id, since));
    }

    /// Refuses a placement.
    pub(crate) fn reject(&mut self, id: ClientOrderId, reason: RejectReason) {
        self.counters.rejected(&reason);
        self.answer(id, OrderUpdate::Rejected { reason });
    }

    /// News of an order, never before earlier news of it.
    pub(crate) fn news(&mut self, id: ClientOrderId, event: OrderUpdate) -> Time {
        let mut at = self.answer_time();
        if let Some(order) = self.orders.get_mut(&id) {
            at = at.max(order.news_at);
            order.news_at = at;
        } else if let Some(ended) = self.ended.get_mut(&id) {
            at = at.max(ended.news_at);
            ended.news_at = at;
            if tells_end(&event) {
                ended.told.get_or_insert(at);
            }
        }
        self.deliver(at, Event::order(id, event));
        at
    }

    /// The engine waited long enough: unless it heard of the order's end, or asked since and was told,
    /// it knows nothing.
    pub(crate) fn no_answer(&mut self, id: ClientOrderId, since: Time) {
        let end_told = self.ended.get(&id).and_then(|ended| ended.told);
        let ended = end_told.is_some_and(|at| at <= self.now);
        let evidence = self.evidence.get(&id);
        let proven = evidence.is_some_and(|(asked, told)| *asked >= since && *told <= self.now);
        if !ended && !proven && !self.has_forgotten(id) {
            self.deliver(self.now, Event::order(id, OrderUpdate::Unknown));
        }
    }
}

fn tells_end(event: &OrderUpdate) -> bool {
    matches!(
        event,
        OrderUpdate::Filled { .. } | OrderUpdate::Cancelled { .. } | OrderUpdate::Expired { .. }
    )
}
