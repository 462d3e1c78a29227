//! How order updates reach the engine: after the answer latency, those of one order in sequence, unless
//! a fault delays or loses one. This file decides nothing about orders.

use polydesk_domain::{ClientOrderId, Event, OrderUpdate, RejectReason, Time};

use crate::chance::Stream;
use crate::due::SimAction;
use crate::state::Sim;

impl Sim {
    /// Reports the answer to a placement. The faults `lose_answer` and `slow_answer` apply.
    pub(crate) fn answer_placement(&mut self, id: ClientOrderId, update: OrderUpdate) {
        let faults = self.config.faults;
        if self.chance.happens(Stream::Fault, faults.lose_answer_ppm) {
            self.lose_answer(id);
        } else if self.chance.happens(Stream::Fault, faults.slow_answer_ppm) {
            let late = self.chance.delay(Stream::Fault, faults.slow_answer);
            let at = self.answer_time() + late;
            self.deliver(at, Event::order(id, update));
        } else {
            self.report_update(id, update);
        }
    }

    /// Reports the answer to a cancel. The fault `lose_cancel_answer` applies.
    pub(crate) fn report_cancel(&mut self, id: ClientOrderId, update: OrderUpdate) {
        let ppm = self.config.faults.lose_cancel_answer_ppm;
        if self.chance.happens(Stream::Fault, ppm) {
            self.lose_answer(id);
        } else {
            self.report_update(id, update);
        }
    }

    fn lose_answer(&mut self, id: ClientOrderId) {
        self.counters.answers_lost += 1;
        self.start_response_timeout(self.now, id);
    }

    /// Starts the engine's response timeout for a request or an answer that was lost at `since`.
    pub(crate) fn start_response_timeout(&mut self, since: Time, id: ClientOrderId) {
        self.schedule(
            since + self.config.faults.answer_timeout,
            SimAction::ResponseTimeout(id, since),
        );
    }

    /// Refuses a placement.
    pub(crate) fn reject(&mut self, id: ClientOrderId, reason: RejectReason) {
        self.counters.rejected(&reason);
        self.answer_placement(id, OrderUpdate::Rejected { reason });
    }

    /// Reports an update of an order, never before earlier updates of it. Returns when it reaches the
    /// engine.
    pub(crate) fn report_update(&mut self, id: ClientOrderId, update: OrderUpdate) -> Time {
        let mut at = self.answer_time();
        if let Some(order) = self.orders.get_mut(&id) {
            at = at.max(order.last_update_at);
            order.last_update_at = at;
        } else if let Some(ended) = self.ended.get_mut(&id) {
            at = at.max(ended.last_update_at);
            ended.last_update_at = at;
            if is_end(&update) {
                ended.end_reported_at.get_or_insert(at);
            }
        }
        self.deliver(at, Event::order(id, update));
        at
    }

    /// The response timeout is over: the order is `Unknown` to the engine, unless the engine has received
    /// its end, or the result of a query sent since.
    pub(crate) fn response_timeout(&mut self, id: ClientOrderId, since: Time) {
        let end_reported_at = self.ended.get(&id).and_then(|ended| ended.end_reported_at);
        let end_received = end_reported_at.is_some_and(|at| at <= self.now);
        let result = self.query_results.get(&id);
        let queried = result.is_some_and(|(queried_at, reported_at)| {
            *queried_at >= since && *reported_at <= self.now
        });
        if !end_received && !queried && !self.has_forgotten(id) {
            self.deliver(self.now, Event::order(id, OrderUpdate::Unknown));
        }
    }
}

fn is_end(update: &OrderUpdate) -> bool {
    matches!(
        update,
        OrderUpdate::Filled { .. } | OrderUpdate::Cancelled { .. } | OrderUpdate::Expired { .. }
    )
}
