//! What becomes of an order in the book: resting, maker fills, cancels, expiry, the end of its market.

use polydesk_domain::{
    CancelReason, ClientOrderId, Fill, MarketKey, OrderEvent, Role, Shares, Side, Usdc,
};

use crate::config::DUST;
use crate::order::Stage;
use crate::sim::{Due, Sim};

impl Sim {
    /// Puts an order into the book, behind everything shown at its level.
    pub(crate) fn rest(&mut self, id: ClientOrderId) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let key = order.token.market();
        let slot = &mut self.slots[key.index()];
        let shown = self
            .books
            .get(key)
            .map_or(Shares::ZERO, |book| book.size_at(order.ladder, Side::Buy, order.bid));
        order.stage = Stage::Resting;
        order.ahead = slot.available(order.ladder, order.bid, shown);
        order.since_row = self.rows;
        order.since = self.now;
        // The fee's share of the promise is not needed any more: makers pay none.
        let surplus = order.reserved_cash - order.money;
        order.reserved_cash = order.money;
        self.counters.queue_waits += u64::from(!order.ahead.is_zero());
        let rank = (order.ladder, std::cmp::Reverse(order.bid), order.number);
        let orders = &self.orders;
        let position = slot.resting.partition_point(|other| {
            let other = &orders[other];
            (other.ladder, std::cmp::Reverse(other.bid), other.number) < rank
        });
        slot.resting.insert(position, id);
        if !surplus.is_zero() {
            self.bank.release_cash(surplus);
        }
    }

    pub(crate) fn end_unmatched(&mut self, id: ClientOrderId, reason: CancelReason) {
        let matched = self.orders.get(&id).map_or(Shares::ZERO, |order| order.matched);
        self.end(id, Stage::Cancelled(reason), OrderEvent::Cancelled { reason, matched });
    }

    /// Ends an order: out of the book, promises given back, news.
    pub(crate) fn end(&mut self, id: ClientOrderId, stage: Stage, event: OrderEvent) {
        self.close_order(id, stage);
        self.news(id, event);
    }

    fn close_order(&mut self, id: ClientOrderId, stage: Stage) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        order.stage = stage;
        let (cash, shares) = (order.reserved_cash, order.reserved_shares);
        (order.reserved_cash, order.reserved_shares) = (Usdc::ZERO, Shares::ZERO);
        let token = order.token;
        let slot = &mut self.slots[token.market().index()];
        slot.resting.retain(|other| *other != id);
        slot.delayed.retain(|other| *other != id);
        if !cash.is_zero() {
            self.bank.release_cash(cash);
        }
        if !shares.is_zero() {
            self.bank.release_shares(token, shares);
        }
        match stage {
            Stage::Filled => self.counters.filled += 1,
            Stage::Expired => self.counters.expired += 1,
            _ => self.counters.cancelled += 1,
        }
    }

    /// A resting order is filled at its own price; makers pay no fee.
    ///
    /// Roundings are cumulative over its life in the book: many small fills cost exactly what one
    /// large one would.
    pub(crate) fn fill_resting(&mut self, id: ClientOrderId, shares: Shares) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let shares = shares.min(order.open);
        if shares.is_zero() {
            return;
        }
        order.rested += shares;
        let total = match order.side {
            Side::Buy => order.price.notional_ceil(order.rested),
            Side::Sell => order.price.notional_floor(order.rested),
        };
        let notional = total - order.rested_money;
        order.rested_money = total;
        order.open -= shares;
        match order.side {
            Side::Buy => {
                order.money -= notional;
                order.reserved_cash -= notional;
            }
            Side::Sell => order.reserved_shares -= shares,
        }
        self.counters.partials += u64::from(order.matched.is_zero() && order.open >= DUST);
        order.matched += shares;
        let (price, matched, over) = (order.price, order.matched, order.open < DUST);
        self.counters.fills_maker += 1;
        let fill = Fill { shares, notional, fee: Usdc::ZERO, level: Some(price) };
        self.book_match(id, Role::Maker, fill);
        if over {
            self.end(id, Stage::Filled, OrderEvent::Filled { matched });
        }
    }

    pub(crate) fn cancel(&mut self, id: ClientOrderId) {
        let refused = |still_open| OrderEvent::CancelRefused { still_open };
        let Some(order) = self.orders.get(&id) else {
            // A cancel that overtook its order proves nothing: the order can still arrive.
            let still_open = self.transit.contains_key(&id);
            self.counters.cancels_refused += 1;
            self.news(id, refused(still_open));
            return;
        };
        match order.stage {
            Stage::Resting => {
                let (reason, matched) = (CancelReason::Requested, order.matched);
                self.close_order(id, Stage::Cancelled(reason));
                self.cancel_news(id, OrderEvent::Cancelled { reason, matched });
            }
            Stage::Delayed => {
                self.counters.cancels_refused += 1;
                self.cancel_news(id, refused(true));
            }
            _ => {
                self.counters.cancels_refused += 1;
                self.cancel_news(id, refused(false));
            }
        }
    }

    pub(crate) fn cancel_all(&mut self, scope: Option<MarketKey>) {
        match scope {
            Some(key) => {
                if key.index() < self.slots.len() {
                    self.run(Due::CancelMarket(key));
                }
            }
            None => {
                for index in 0..self.slots.len() as u32 {
                    self.run(Due::CancelMarket(MarketKey(index)));
                }
            }
        }
    }

    pub(crate) fn cancel_market(&mut self, key: MarketKey) {
        for id in self.open_ids(key) {
            self.cancel(id);
        }
    }

    fn open_ids(&self, key: MarketKey) -> Vec<ClientOrderId> {
        let slot = &self.slots[key.index()];
        slot.resting.iter().chain(&slot.delayed).copied().collect()
    }

    pub(crate) fn expire(&mut self, id: ClientOrderId) {
        if let Some(order) = self.orders.get(&id)
            && order.is_open()
        {
            let matched = order.matched;
            self.end(id, Stage::Expired, OrderEvent::Expired { matched });
        }
    }

    /// Trading is over: nothing of ours stays open.
    pub(crate) fn end_market(&mut self, key: MarketKey) {
        for id in self.open_ids(key) {
            self.end_unmatched(id, CancelReason::MarketEnded);
        }
    }
}
