//! What the exchange may conclude from an incomplete book: which queues are known, and which orders could
//! not have come to rest.

use polydesk_domain::{
    BookQuality, CancelReason, ClientOrderId, MarketKey, Outcome, Price, Shares, Side,
};

use crate::order::{End, UNKNOWN_AHEAD};
use crate::state::Sim;

impl Sim {
    /// Whether nothing is known of a market's book: before its first data and after each interruption.
    pub(crate) fn is_void(&self, key: MarketKey) -> bool {
        self.books.get(key).is_none_or(|book| book.quality() == BookQuality::Empty)
    }

    /// Whether the data has stated a level.
    pub(crate) fn is_known(&self, key: MarketKey, ladder: Outcome, bid: Price) -> bool {
        self.books.get(key).is_some_and(|book| {
            self.slots[key.index()].knows(book, self.books.synced(key), ladder, bid)
        })
    }

    /// Sets what is ahead of an order that comes to rest, and whether it could.
    pub(crate) fn take_place(&mut self, id: ClientOrderId) {
        let Some(order) = self.orders.get(&id) else { return };
        let (key, ladder, bid) = (order.token.market(), order.ladder, order.bid);
        let doubtful = !self.books.synced(key) || self.stands_through(order);
        let known = self.is_known(key, ladder, bid);
        let slot = &mut self.slots[key.index()];
        slot.queues_open |= !known;
        slot.doubts |= doubtful;
        let ahead = match self.books.get(key) {
            Some(book) if known => {
                let shown = book.size_at(ladder, Side::Buy, bid);
                // What a print may have sold of it is ahead until the level change comes.
                slot.not_consumed(ladder, bid, shown, self.config.matching.refill, self.now)
            }
            _ => UNKNOWN_AHEAD,
        };
        self.counters.queue_waits += u64::from(!ahead.is_zero());
        self.counters.queues_unknown += u64::from(!known);
        if let Some(order) = self.orders.get_mut(&id) {
            (order.ahead, order.unstated, order.doubtful) = (ahead, !known, doubtful);
        }
    }

    /// Nothing is known of a market's book any more. The orders keep their places, and at most what their
    /// levels show when they are stated again is ahead of them.
    pub(crate) fn lose_book(&mut self, key: MarketKey) {
        let slot = &mut self.slots[key.index()];
        slot.invalidate();
        for id in &slot.resting {
            if let Some(order) = self.orders.get_mut(id) {
                order.unstated = true;
            }
        }
    }

    /// Levels left the book without a change of theirs: where nothing is shown and no decrease waits for its
    /// print, nobody is ahead of our orders.
    pub(crate) fn empty_queues(&mut self, key: MarketKey) {
        let Some(slot) = self.slots.get_mut(key.index()) else { return };
        slot.shrank |= !slot.consumed.is_empty();
        for index in 0..slot.resting.len() {
            let slot = &self.slots[key.index()];
            let id = slot.resting[index];
            let (Some(order), Some(book)) = (self.orders.get(&id), self.books.get(key)) else {
                continue;
            };
            let (ladder, bid) = (order.ladder, order.bid);
            let empty = book.size_at(ladder, Side::Buy, bid).is_zero()
                && slot.unexplained(ladder, bid).is_zero()
                && self.is_known(key, ladder, bid);
            if empty && let Some(order) = self.orders.get_mut(&id) {
                order.ahead = Shares::ZERO;
            }
        }
    }

    /// After a batch: an order whose level is stated for the first time has at most that size ahead of it.
    /// Decreases up to here are in that size.
    pub(crate) fn state_queues(&mut self, key: MarketKey) {
        if !core::mem::take(&mut self.slots[key.index()].queues_open) {
            return;
        }
        for index in 0..self.slots[key.index()].resting.len() {
            let id = self.slots[key.index()].resting[index];
            let Some(order) = self.orders.get(&id) else { continue };
            let (ladder, bid) = (order.ladder, order.bid);
            let (known, was_open) = (self.is_known(key, ladder, bid), order.unstated);
            self.slots[key.index()].queues_open |= !known;
            let Some(book) = self.books.get(key) else { continue };
            let shown = book.size_at(ladder, Side::Buy, bid);
            let Some(order) = self.orders.get_mut(&id) else { continue };
            order.unstated = !known;
            if known && was_open {
                order.ahead = order.ahead.min(shown);
                order.since_row = self.rows;
            }
        }
    }

    /// An order that came to rest while the opposite side was not proven, or crossed a level of a crossed
    /// book, is cancelled when the opposite side stands through its price: the venue would have matched or
    /// refused it. Once the opposite side is proven to stand elsewhere the doubt is over.
    pub(crate) fn judge_doubtful(&mut self, key: MarketKey) {
        if !core::mem::take(&mut self.slots[key.index()].doubts) {
            return;
        }
        for index in (0..self.slots[key.index()].resting.len()).rev() {
            let id = self.slots[key.index()].resting[index];
            let Some(order) = self.orders.get(&id).filter(|order| order.doubtful) else { continue };
            let stands = self.stands_through(order);
            if self.crossing(key, &id).is_some() {
                self.counters.rests_refuted += 1;
                self.end(id, End::Cancelled(CancelReason::ByVenue));
                continue;
            }
            let over = !stands && self.books.synced(key);
            self.slots[key.index()].doubts |= !over;
            if over && let Some(order) = self.orders.get_mut(&id) {
                order.doubtful = false;
            }
        }
    }
}
