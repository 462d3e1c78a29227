//! Orders in the book: resting, maker fills, cancels, expiry, the end of their market.

use polydesk_domain::{
    Basis, CancelReason, ClientOrderId, Fill, MarketKey, OrderUpdate, Role, Shares, Side, Tick,
    Usdc,
};

use crate::chance::Stream;
use crate::config::DUST;
use crate::due::SimAction;
use crate::order::{End, EndedOrder, Stage};
use crate::state::Sim;

impl Sim {
    /// Puts an order into the book, behind everything that is displayed at its level or may be there.
    pub(crate) fn rest(&mut self, id: ClientOrderId) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let key = order.token.market();
        order.stage = Stage::Resting;
        order.since_row = self.rows;
        order.since = self.now;
        // Makers pay no fee: its part of the reservation is released.
        let surplus = order.reserved_cash - order.money;
        order.reserved_cash = order.money;
        let rank = (order.ladder, std::cmp::Reverse(order.bid), order.number);
        let (slot, orders) = (&mut self.slots[key.index()], &self.orders);
        let position = slot.resting.partition_point(|other| {
            let other = &orders[other];
            (other.ladder, std::cmp::Reverse(other.bid), other.number) < rank
        });
        slot.resting.insert(position, id);
        self.take_place(id);
        if !surplus.is_zero() {
            self.bank.release_cash(surplus);
        }
    }

    /// Ends an order for another reason than a cancel: takes it out of the book, releases its reservations
    /// and reports the end. The fault `lose_end` applies.
    pub(crate) fn end(&mut self, id: ClientOrderId, end: End) {
        let Some(update) = self.close_order(id, end) else { return };
        if self.chance.happens(Stream::Fault, self.config.faults.lose_end_ppm) {
            self.counters.ends_lost += 1;
        } else {
            self.report_update(id, update);
        }
    }

    /// Ends an order and returns the update that reports it.
    fn close_order(&mut self, id: ClientOrderId, end: End) -> Option<OrderUpdate> {
        let order = self.orders.remove(&id)?;
        let slot = &mut self.slots[order.token.market().index()];
        slot.resting.retain(|other| *other != id);
        slot.delayed.retain(|other| *other != id);
        slot.awaiting.retain(|other| *other != id);
        if !order.reserved_cash.is_zero() {
            self.bank.release_cash(order.reserved_cash);
        }
        if !order.reserved_shares.is_zero() {
            self.bank.release_shares(order.token, order.reserved_shares);
        }
        match end {
            End::Filled => self.counters.filled += 1,
            End::Expired => self.counters.expired += 1,
            End::Cancelled(_) => self.counters.cancelled += 1,
        }
        let ended = EndedOrder {
            end,
            matched: order.matched,
            last_update_at: order.last_update_at,
            end_reported_at: None,
            trades: order.trades,
            unsettled: order.unsettled,
        };
        let update = ended.update();
        self.ended.insert(id, ended);
        self.keep_if_over(id);
        Some(update)
    }

    /// Fills a resting order at its own price; makers pay no fee.
    ///
    /// Rounding is cumulative over the order's time in the book: many small fills cost exactly what one
    /// large fill costs.
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
        let (price, over) = (order.price, order.open < DUST);
        self.counters.fills_maker += 1;
        let fill =
            Fill { shares, notional, fee: Usdc::ZERO, level: Some(price), basis: Basis::Settled };
        self.book_match(id, Role::Maker, fill);
        if over {
            self.end(id, End::Filled);
        }
    }

    pub(crate) fn cancel(&mut self, id: ClientOrderId) {
        let refused = |still_open| OrderUpdate::CancelRefused { still_open };
        match self.orders.get(&id).map(|order| order.stage) {
            Some(Stage::Resting) => {
                let end = End::Cancelled(CancelReason::Requested);
                if let Some(update) = self.close_order(id, end) {
                    self.report_cancel(id, update);
                }
                return;
            }
            Some(Stage::Delayed) => self.report_cancel(id, refused(true)),
            None if self.ended.contains_key(&id) => self.report_cancel(id, refused(false)),
            // A cancel can overtake its order, which can then still arrive.
            None => self.report_cancel(id, refused(self.orders_in_flight.contains_key(&id))),
        }
        self.counters.cancels_refused += 1;
    }

    pub(crate) fn cancel_all(&mut self, scope: Option<MarketKey>) {
        match scope {
            Some(key) => {
                if self.is_listed(key) {
                    self.run(SimAction::CancelMarket(key));
                }
            }
            None => {
                for index in 0..self.slots.len() as u32 {
                    self.run(SimAction::CancelMarket(MarketKey(index)));
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
        self.end(id, End::Expired);
    }

    /// The tick size of a market changes: the venue cancels resting orders whose price is no multiple of it.
    /// The local exchange does the same by the same rule, [`polydesk_domain::Price::tradable`].
    pub(crate) fn cancel_off_tick(&mut self, key: MarketKey, tick: Tick) {
        if !self.is_listed(key) {
            return;
        }
        for id in self.slots[key.index()].resting.clone() {
            if self.orders.get(&id).is_some_and(|order| !order.price.tradable(tick)) {
                self.end(id, End::Cancelled(CancelReason::ByVenue));
            }
        }
    }

    /// Trading in a market is over: all our orders there end.
    pub(crate) fn end_market(&mut self, key: MarketKey) {
        for id in self.open_ids(key) {
            self.end(id, End::Cancelled(CancelReason::MarketEnded));
        }
    }
}
