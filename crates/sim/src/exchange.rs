//! What an order does when it meets the book: matching, resting, the taker delay, cancels, expiry.

use polydesk_domain::{
    CancelReason, ClientOrderId, FeeRate, Fill, MarketKey, OrderEvent, PlaceOrder, Price,
    RejectReason, Role, Shares, Side, Tif, Time, Token, Usdc,
};

use crate::book_keeping::{is_crossed_level, meets};
use crate::chance::Purpose;
use crate::config::DUST;
use crate::order::{Order, Stage, place};
use crate::rules::{self, Admitted};
use crate::sim::{Due, Sim};

/// What an incoming order takes from one displayed level.
#[derive(Debug, Clone, Copy)]
struct Leg {
    counter_bid: Price,
    price: Price,
    shares: Shares,
    notional: Usdc,
    fee: Usdc,
}

/// What an incoming order takes, and what is left of it.
#[derive(Debug, Default)]
struct Plan {
    legs: Vec<Leg>,
    fee: Usdc,
    /// Shares that could not be had: of a buy, what the unspent pUSD buys at the limit.
    missing: Shares,
}

impl Sim {
    /// Runs what is due, unless it concerns a market in the middle of a batch: then it waits.
    pub(crate) fn run(&mut self, due: Due) {
        if let Some(key) = self.market_of(&due) {
            self.complete_if_over(key);
            let slot = &mut self.slots[key.index()];
            if slot.batch.open {
                self.counters.waited_for_batch += 1;
                slot.waiting.push(due);
                self.track(key);
                return;
            }
        }
        self.run_now(due);
    }

    pub(crate) fn run_now(&mut self, due: Due) {
        match due {
            Due::Arrive(order) => self.arrive(&order),
            Due::Cancel(id) => self.cancel(id),
            Due::CancelAll(scope) => self.cancel_all(scope),
            Due::CancelMarket(key) => self.cancel_market(key),
            Due::Query(id) => self.query(id),
            Due::Release(id) => self.release(id),
            Due::Expire(id) => self.expire(id),
            Due::BatchTimeout(key) => self.batch_timeout(key),
            Due::NoAnswer(id) => self.no_answer(id),
            Due::Settle(serial) => self.settle(serial),
            Due::SetArrive(order) => self.set_arrive(order),
            Due::SetDone(order) => self.set_done(order),
            Due::AutoRedeem(key) => self.auto_redeem(key),
            Due::PayRebates(day) => self.pay_rebates(day),
            Due::Deliver(event) => self.deliver(self.now, *event),
        }
    }

    /// The listed market whose book an action needs.
    fn market_of(&self, due: &Due) -> Option<MarketKey> {
        let of_order = |id: &ClientOrderId| -> Option<Token> {
            self.orders
                .get(id)
                .map(|order| order.token)
                .or_else(|| self.transit.get(id).map(|(token, _)| *token))
        };
        let key = match due {
            Due::Arrive(order) => order.token.market(),
            Due::Cancel(id) | Due::Release(id) | Due::Expire(id) => of_order(id)?.market(),
            Due::CancelMarket(key) => *key,
            _ => return None,
        };
        (key.index() < self.slots.len()).then_some(key)
    }

    fn arrive(&mut self, place: &PlaceOrder) {
        self.counters.orders_arrived += 1;
        if self.chance.happens(Purpose::Fault, self.config.faults.throttle_ppm) {
            self.arrived(place.id);
            return self.reject(place.id, RejectReason::RateLimited);
        }
        let accepted = self.accept(place);
        self.arrived(place.id);
        if let Err(reason) = accepted {
            self.reject(place.id, reason);
        }
    }

    /// One placement of this name is not on its way any more.
    fn arrived(&mut self, id: ClientOrderId) {
        if let Some((_, count)) = self.transit.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.transit.remove(&id);
            }
        }
    }

    /// Applies every rule, reserves, and matches, rests or holds back the order.
    fn accept(&mut self, place: &PlaceOrder) -> Result<(), RejectReason> {
        if self.orders.contains_key(&place.id) {
            return Err(RejectReason::Duplicate);
        }
        let key = place.token.market();
        let (Some(slot), Some(book)) = (self.slots.get(key.index()), self.books.get(key)) else {
            return Err(RejectReason::UnknownToken);
        };
        let matching = self.config.matching;
        let admitted = rules::admit(
            place,
            &slot.market,
            slot.state,
            book,
            self.now,
            self.config.rounding,
            matching.minimum_binds_immediate,
        )?;
        let taker_delay = slot.market.taker_delay;
        let order = self.draft(place, &admitted);
        if self.meets_own(&order) {
            self.counters.self_cross_prevented += 1;
            let text = "the order would trade with an own resting order".to_owned();
            return Err(RejectReason::Other(text));
        }
        let plan = self.plan(&order, admitted.fee);
        if place.post_only && self.would_cross(&order) {
            return Err(RejectReason::PostOnlyWouldCross);
        }
        let marketable = !plan.legs.is_empty();
        let worth = admitted.amounts.money(place.side);
        if marketable && place.side == Side::Buy && worth < rules::LEAST_MARKETABLE {
            return Err(RejectReason::BelowMarketableMinimum);
        }
        let held_back = marketable && taker_delay.as_nanos() > 0;
        if !held_back {
            check_kill(place.tif, &plan)?;
        }
        let fee = if held_back { rules::most_fee(order.money, admitted.fee) } else { plan.fee };
        let order = self.reserve(order, fee)?;
        let id = order.id;
        if let Tif::Gtd { expires } = order.tif {
            self.schedule(rules::removal(expires), Due::Expire(id));
        }
        self.orders.insert(id, order);
        if held_back {
            self.counters.delayed += 1;
            self.slots[key.index()].delayed.push(id);
            self.schedule(self.now + taker_delay, Due::Release(id));
            self.answer(id, OrderEvent::Delayed);
        } else {
            let first = if marketable { OrderEvent::Matched } else { OrderEvent::Live };
            self.answer(id, first);
            self.execute(id, plan);
        }
        Ok(())
    }

    fn draft(&mut self, order: &PlaceOrder, admitted: &Admitted) -> Order {
        let (ladder, bid) = place(order.token, order.side, order.price);
        self.arrivals += 1;
        Order {
            id: order.id,
            token: order.token,
            side: order.side,
            price: order.price,
            tif: order.tif,
            ladder,
            bid,
            stage: Stage::Delayed,
            money: rules::money_of(order.side, &admitted.amounts),
            open: admitted.amounts.shares(order.side),
            matched: Shares::ZERO,
            rested: Shares::ZERO,
            rested_money: Usdc::ZERO,
            reserved_cash: Usdc::ZERO,
            reserved_shares: Shares::ZERO,
            ahead: Shares::ZERO,
            since_row: 0,
            since: self.now,
            number: self.arrivals,
            news_at: Time::MIN,
            end_told: None,
        }
    }

    /// Promises what the order may need: a buy's pUSD with the taker fee on top, a sell's shares.
    fn reserve(&mut self, mut order: Order, fee: Usdc) -> Result<Order, RejectReason> {
        match order.side {
            Side::Buy => {
                let need = order.money.micros().checked_add(fee.micros());
                let need = Usdc::new(need.ok_or(RejectReason::Balance)?);
                if !self.bank.reserve_cash(need) {
                    return Err(RejectReason::Balance);
                }
                order.reserved_cash = need;
            }
            Side::Sell => {
                if !self.bank.reserve_shares(order.token, order.open) {
                    return Err(RejectReason::Balance);
                }
                order.reserved_shares = order.open;
            }
        }
        Ok(order)
    }

    /// Whether an own resting order would be the counterparty.
    fn meets_own(&self, order: &Order) -> bool {
        let slot = &self.slots[order.token.market().index()];
        slot.resting.iter().any(|id| {
            let own = &self.orders[id];
            own.ladder == order.counter() && meets(own.bid, order.bid)
        })
    }

    /// Whether anything displayed and not taken by us meets the order; crossed levels count.
    fn would_cross(&self, order: &Order) -> bool {
        let key = order.token.market();
        let (Some(book), slot) = (self.books.get(key), &self.slots[key.index()]) else {
            return false;
        };
        for (bid, shown) in book.levels(order.counter(), Side::Buy) {
            if !meets(bid, order.bid) {
                return false;
            }
            if !slot.available(order.counter(), bid, shown).is_zero() {
                return true;
            }
        }
        false
    }

    /// Walks the displayed depth that is left for us, best price first.
    ///
    /// A buy is bounded by the pUSD it may spend and gets more shares at better prices; each level's
    /// notional is rounded up for a buyer and down for a seller, the fee is charged per level.
    fn plan(&mut self, order: &Order, fee: FeeRate) -> Plan {
        let key = order.token.market();
        let (Some(book), slot) = (self.books.get(key), &self.slots[key.index()]) else {
            return Plan::default();
        };
        let (mut money, mut open) = (order.money, order.open);
        let mut plan = Plan::default();
        for (bid, shown) in book.levels(order.counter(), Side::Buy) {
            if !meets(bid, order.bid) {
                break;
            }
            if is_crossed_level(book, order.counter(), bid) {
                self.counters.crossed_levels_skipped += 1;
                continue;
            }
            let price = order.price_of(bid);
            if price == Price::ZERO {
                // Nobody gives shares away: a bid of one dollar is a defect of the data.
                continue;
            }
            let wanted = match order.side {
                Side::Buy => price.shares_for(money).unwrap_or(Shares::ZERO),
                Side::Sell => open,
            };
            let shares = slot.available(order.counter(), bid, shown).min(wanted);
            if shares.is_zero() {
                if wanted.is_zero() {
                    break;
                }
                continue;
            }
            let notional = match order.side {
                Side::Buy => price.notional_ceil(shares),
                Side::Sell => price.notional_floor(shares),
            };
            let fee = fee.taker_fee(price, shares);
            match order.side {
                Side::Buy => money -= notional,
                Side::Sell => open -= shares,
            }
            plan.fee += fee;
            plan.legs.push(Leg { counter_bid: bid, price, shares, notional, fee });
        }
        plan.missing = match order.side {
            Side::Buy => order.price.shares_for(money).unwrap_or(Shares::ZERO),
            Side::Sell => open,
        };
        plan
    }

    /// Makes the planned matches, then rests or ends what is left.
    fn execute(&mut self, id: ClientOrderId, plan: Plan) {
        for leg in &plan.legs {
            let Some(order) = self.orders.get_mut(&id) else { return };
            let (key, counter) = (order.token.market(), order.counter());
            order.matched += leg.shares;
            match order.side {
                Side::Buy => {
                    order.money -= leg.notional;
                    order.reserved_cash -= leg.notional + leg.fee;
                }
                Side::Sell => {
                    order.open -= leg.shares;
                    order.reserved_shares -= leg.shares;
                }
            }
            self.slots[key.index()].consume(counter, leg.counter_bid, leg.shares);
            let fill = Fill {
                shares: leg.shares,
                notional: leg.notional,
                fee: leg.fee,
                level: Some(leg.price),
            };
            self.counters.fills_taker += 1;
            self.book_match(id, Role::Taker, fill);
        }
        let Some(order) = self.orders.get_mut(&id) else { return };
        if order.side == Side::Buy {
            order.open = plan.missing;
        }
        let matched = order.matched;
        if order.open < DUST && !plan.legs.is_empty() {
            self.end(id, Stage::Filled, OrderEvent::Filled { matched });
        } else if order.tif.rests() {
            self.rest(id);
        } else {
            let reason = CancelReason::Killed;
            self.end(id, Stage::Cancelled(reason), OrderEvent::Cancelled { reason, matched });
        }
    }

    /// Puts an order into the book, behind everything shown at its level.
    fn rest(&mut self, id: ClientOrderId) {
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

    /// The taker delay is over: the order matches what is there now.
    fn release(&mut self, id: ClientOrderId) {
        let Some(order) = self.orders.get(&id).filter(|order| order.stage == Stage::Delayed) else {
            return;
        };
        let order = order.clone();
        let key = order.token.market();
        let slot = &mut self.slots[key.index()];
        slot.delayed.retain(|delayed| *delayed != id);
        let fee = match slot.market.fees.at(self.now) {
            Ok(fee) if slot.state.trades() => fee,
            _ => return self.end_unmatched(id, CancelReason::MarketEnded),
        };
        if self.meets_own(&order) {
            self.counters.self_cross_prevented += 1;
            return self.end_unmatched(id, CancelReason::ByVenue);
        }
        let plan = self.plan(&order, fee);
        // A schedule whose rate rose during the delay can exceed the promise.
        let covered = order.side == Side::Sell || order.money + plan.fee <= order.reserved_cash;
        if check_kill(order.tif, &plan).is_err() || !covered {
            return self.end_unmatched(id, CancelReason::Killed);
        }
        let first = if plan.legs.is_empty() { OrderEvent::Live } else { OrderEvent::Matched };
        self.news(id, first);
        self.execute(id, plan);
    }

    fn end_unmatched(&mut self, id: ClientOrderId, reason: CancelReason) {
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

    fn cancel(&mut self, id: ClientOrderId) {
        let refused = |still_open| OrderEvent::CancelRefused { still_open };
        let Some(order) = self.orders.get(&id) else {
            // A cancel that overtook its order proves nothing: the order can still arrive.
            let still_open = self.transit.contains_key(&id);
            self.counters.cancels_refused += 1;
            return self.news(id, refused(still_open));
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

    fn cancel_all(&mut self, scope: Option<MarketKey>) {
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

    fn cancel_market(&mut self, key: MarketKey) {
        for id in self.open_orders(key) {
            self.cancel(id);
        }
    }

    fn open_orders(&self, key: MarketKey) -> Vec<ClientOrderId> {
        let slot = &self.slots[key.index()];
        slot.resting.iter().chain(&slot.delayed).copied().collect()
    }

    fn expire(&mut self, id: ClientOrderId) {
        if let Some(order) = self.orders.get(&id)
            && order.is_open()
        {
            let matched = order.matched;
            self.end(id, Stage::Expired, OrderEvent::Expired { matched });
        }
    }

    /// Trading is over: nothing of ours stays open.
    pub(crate) fn end_market(&mut self, key: MarketKey) {
        for id in self.open_orders(key) {
            self.end_unmatched(id, CancelReason::MarketEnded);
        }
    }
}

/// Whether an immediate order is killed by what it can have.
fn check_kill(tif: Tif, plan: &Plan) -> Result<(), RejectReason> {
    match tif {
        Tif::Fok if plan.legs.is_empty() || plan.missing >= DUST => Err(RejectReason::FokKilled),
        Tif::Fak if plan.legs.is_empty() => Err(RejectReason::FakKilled),
        _ => Ok(()),
    }
}
