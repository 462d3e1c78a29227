//! What an order does when it reaches the book: rules, matching, the taker delay. Resting orders are in
//! `resting`.

use polydesk_domain::{
    Basis, Book, CancelReason, ClientOrderId, Command, FeeRate, Fill, OrderUpdate, Outcome,
    PlaceOrder, Price, RejectReason, Role, Shares, Side, Tif, Time, Usdc,
};

use crate::chance::Stream;
use crate::config::DUST;
use crate::due::SimAction;
use crate::market_state::{crosses, is_crossed_level};
use crate::order::{Depth, End, Stage, VenueOrder, place};
use crate::rules::{self, Admitted};
use crate::snapshot_takers::worse;
use crate::state::Sim;
use crate::taker_delay::taker_delay;

/// What an incoming order takes from one displayed level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LevelTake {
    price: Price,
    shares: Shares,
    notional: Usdc,
    fee: Usdc,
}

/// Everything an incoming order takes, and what is missing.
#[derive(Debug, Default)]
pub(crate) struct DepthWalk {
    pub(crate) takes: Vec<LevelTake>,
    fee: Usdc,
    /// Shares that the depth does not give; for a buy, what the unspent pUSD buys at the limit.
    missing: Shares,
}

impl Sim {
    pub(crate) fn arrive(&mut self, place: &PlaceOrder) {
        self.counters.orders_arrived += 1;
        if self.chance.happens(Stream::Fault, self.config.faults.throttle_ppm) {
            self.arrived(place.id);
            return self.reject(place.id, RejectReason::RateLimited);
        }
        let accepted = self.accept(place);
        self.arrived(place.id);
        if let Err(reason) = accepted {
            self.reject(place.id, reason);
        }
    }

    /// Refuses an order of a request that carries too many.
    pub(crate) fn refuse_request(&mut self, id: ClientOrderId) {
        self.counters.orders_arrived += 1;
        self.arrived(id);
        let text = format!("a request carries at most {} orders", Command::BATCH);
        self.reject(id, RejectReason::Other(text));
    }

    /// One placement of this id is no longer in flight.
    fn arrived(&mut self, id: ClientOrderId) {
        if let Some((_, count)) = self.orders_in_flight.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.orders_in_flight.remove(&id);
            }
        }
    }

    /// Applies every rule, reserves, and matches, rests or holds back the order.
    fn accept(&mut self, place: &PlaceOrder) -> Result<(), RejectReason> {
        let open = self.orders.contains_key(&place.id);
        if open || self.ended.contains_key(&place.id) || self.retention.is_forgotten(place.id) {
            return Err(RejectReason::Duplicate);
        }
        if !self.mode.accepts(place.post_only) {
            return Err(RejectReason::Restricted);
        }
        let key = place.token.market();
        let slot = self.slots.get(key.index()).filter(|slot| !slot.freed);
        let (Some(slot), Some(book)) = (slot, self.books.get(key)) else {
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
        let (taker_delay, assumed) =
            taker_delay(&slot.market, self.now, matching.assume_taker_delay);
        if self.is_void(key) {
            // Nothing is known until data of it comes.
            return Err(RejectReason::NotReady);
        }
        let order = self.draft(place, &admitted);
        if self.crosses_own(&order) {
            self.counters.self_cross_prevented += 1;
            let text = "the order would trade with an own resting order".to_owned();
            return Err(RejectReason::Other(text));
        }
        let walk = self.walk_depth(&order, admitted.fee);
        if place.post_only && self.would_cross(&order) {
            return Err(RejectReason::PostOnlyWouldCross);
        }
        let marketable = !walk.takes.is_empty();
        let worth = admitted.amounts.money(place.side);
        if marketable && place.side == Side::Buy && worth < rules::LEAST_MARKETABLE {
            return Err(RejectReason::BelowMarketableMinimum);
        }
        let delayed = marketable && taker_delay.as_nanos() > 0;
        let awaits = marketable && !delayed && self.waits_for_snapshot(key);
        let held_back = delayed || awaits;
        if !held_back {
            check_kill(place.tif, &walk)?;
        }
        let fee = if held_back { rules::most_fee(order.money, admitted.fee) } else { walk.fee };
        let order = self.reserve(order, fee)?;
        let id = order.id;
        if let Tif::Gtd { expires } = order.tif {
            self.schedule(rules::removal(expires), SimAction::Expire(id));
        }
        self.orders.insert(id, order);
        if awaits {
            self.answer_awaiting(key, id);
        } else if delayed {
            self.counters.delayed += 1;
            self.counters.delayed_by_assumption += u64::from(assumed);
            self.slots[key.index()].delayed.push(id);
            self.schedule(self.now + taker_delay, SimAction::Release(id));
            self.answer_placement(id, OrderUpdate::Delayed);
        } else {
            let first = if marketable { OrderUpdate::Matched } else { OrderUpdate::Live };
            self.answer_placement(id, first);
            self.execute(id, walk);
        }
        Ok(())
    }

    fn draft(&mut self, order: &PlaceOrder, admitted: &Admitted) -> VenueOrder {
        let (ladder, bid) = place(order.token, order.side, order.price);
        self.arrivals += 1;
        VenueOrder {
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
            unstated: false,
            doubtful: false,
            depth_met: None,
            since_row: 0,
            since: self.now,
            number: self.arrivals,
            last_update_at: Time::MIN,
            trades: Vec::new(),
            unsettled: 0,
        }
    }

    /// Reserves what the order may need: a buy's pUSD with the taker fee on top, a sell's shares.
    fn reserve(&mut self, mut order: VenueOrder, fee: Usdc) -> Result<VenueOrder, RejectReason> {
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
    fn crosses_own(&self, order: &VenueOrder) -> bool {
        let slot = &self.slots[order.token.market().index()];
        slot.resting.iter().any(|id| {
            let own = &self.orders[id];
            own.ladder == order.counter() && crosses(own.bid, order.bid)
        })
    }

    /// Whether the order crosses a displayed level of which something is left; levels of a crossed book
    /// count.
    fn would_cross(&self, order: &VenueOrder) -> bool {
        let (refill, now) = (self.config.matching.refill, self.now);
        let slot = &self.slots[order.token.market().index()];
        self.crosses_level(order, |ladder, bid, shown| {
            slot.available(ladder, bid, shown, refill, now)
        })
    }

    /// Whether a displayed level that we have not consumed stands through the price of an order. One that a
    /// print may have taken counts: it stood there when the order came.
    pub(crate) fn stands_through(&self, order: &VenueOrder) -> bool {
        let (refill, now) = (self.config.matching.refill, self.now);
        let slot = &self.slots[order.token.market().index()];
        self.crosses_level(order, |ladder, bid, shown| {
            slot.not_consumed(ladder, bid, shown, refill, now)
        })
    }

    fn crosses_level(
        &self,
        order: &VenueOrder,
        left: impl Fn(Outcome, Price, Shares) -> Shares,
    ) -> bool {
        let Some(book) = self.books.get(order.token.market()) else { return false };
        book.levels(order.counter(), Side::Buy)
            .take_while(|(bid, _)| crosses(*bid, order.bid))
            .any(|(bid, shown)| !left(order.counter(), bid, shown).is_zero())
    }

    /// The displayed levels that the order crosses, with what is left of them for us, best first.
    pub(crate) fn depth_for(&self, order: &VenueOrder) -> Depth {
        let (refill, now) = (self.config.matching.refill, self.now);
        let key = order.token.market();
        let (Some(book), slot) = (self.books.get(key), &self.slots[key.index()]) else {
            return Depth::new();
        };
        let percent = u64::from(self.config.matching.depth_percent);
        let found = |shown: Shares| match percent {
            100 => shown,
            _ => Shares::new(shown.min(Shares::SANE_MAX).micros() * percent / 100),
        };
        let counter = order.counter();
        book.levels(counter, Side::Buy)
            .take_while(|(bid, _)| crosses(*bid, order.bid))
            .filter(|(bid, _)| !is_crossed_level(book, counter, *bid))
            .map(|(bid, shown)| {
                let found = found(slot.not_printed(counter, bid, shown));
                (bid, slot.not_consumed(counter, bid, found, refill, now))
            })
            .collect()
    }

    /// Walks the displayed depth that is left for us, best price first; of an order that waited for a
    /// snapshot, the worse of what it met and what is there now.
    ///
    /// A buy is bounded by the pUSD it may spend and gets more shares at better prices; each level's
    /// notional is rounded up for a buyer and down for a seller, the fee is charged per level.
    pub(crate) fn walk_depth(&mut self, order: &VenueOrder, fee: FeeRate) -> DepthWalk {
        let mut depth = self.depth_for(order);
        if let Some(met) = &order.depth_met {
            depth = worse(met, &depth);
        }
        let (mut money, mut open) = (order.money, order.open);
        let mut walk = DepthWalk::default();
        for (bid, available) in depth {
            let price = order.price_of(bid);
            if price == Price::ZERO {
                // A price of zero comes from a bid of one dollar: a defect of the data.
                continue;
            }
            let wanted = match order.side {
                Side::Buy => price.shares_for(money).unwrap_or(Shares::ZERO),
                Side::Sell => open,
            };
            if wanted.is_zero() {
                break;
            }
            let shares = available.min(wanted);
            if shares.is_zero() {
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
            walk.fee += fee;
            walk.takes.push(LevelTake { price, shares, notional, fee });
        }
        walk.missing = match order.side {
            Side::Buy => order.price.shares_for(money).unwrap_or(Shares::ZERO),
            Side::Sell => open,
        };
        self.counters.crossed_levels_skipped += self.crossed_levels(order);
        walk
    }

    /// How many displayed levels the order crosses that belong to a crossed book.
    fn crossed_levels(&self, order: &VenueOrder) -> u64 {
        let Some(book) = self.books.get(order.token.market()) else { return 0 };
        let counter = order.counter();
        let reached =
            book.levels(counter, Side::Buy).take_while(|(bid, _)| crosses(*bid, order.bid));
        reached.filter(|(bid, _)| is_crossed_level(book, counter, *bid)).count() as u64
    }

    /// Consumes shares of the displayed levels that the order crosses, best first.
    fn consume_best(&mut self, id: ClientOrderId, mut shares: Shares) {
        let Some(order) = self.orders.get(&id) else { return };
        let (key, counter, refill) =
            (order.token.market(), order.counter(), self.config.matching.refill);
        let depth = self.depth_for(order).into_iter();
        let priced = depth.filter(|(bid, _)| order.price_of(*bid) != Price::ZERO);
        for (bid, available) in priced.collect::<Depth>() {
            let part = available.min(shares);
            shares -= part;
            if !part.is_zero() {
                self.slots[key.index()].consume((counter, bid), part, refill, self.now);
            }
        }
    }

    /// Makes the matches of the walk, then rests or ends the rest of the order.
    fn execute(&mut self, id: ClientOrderId, walk: DepthWalk) {
        for take in &walk.takes {
            let Some(order) = self.orders.get_mut(&id) else { return };
            order.matched += take.shares;
            match order.side {
                Side::Buy => {
                    order.money -= take.notional;
                    order.reserved_cash -= take.notional + take.fee;
                }
                Side::Sell => {
                    order.open -= take.shares;
                    order.reserved_shares -= take.shares;
                }
            }
            self.consume_best(id, take.shares);
            let fill = Fill {
                shares: take.shares,
                notional: take.notional,
                fee: take.fee,
                level: Some(take.price),
                basis: Basis::Settled,
            };
            self.counters.fills_taker += 1;
            self.book_match(id, Role::Taker, fill);
        }
        let Some(order) = self.orders.get_mut(&id) else { return };
        if order.side == Side::Buy {
            order.open = walk.missing;
        }
        if order.open < DUST && !walk.takes.is_empty() {
            self.end(id, End::Filled);
        } else if order.tif.rests() {
            self.rest(id);
        } else {
            self.end(id, End::Cancelled(CancelReason::Killed));
        }
    }

    /// The taker delay ends: the order matches the depth that is displayed now.
    pub(crate) fn release(&mut self, id: ClientOrderId) {
        let Some(order) = self.orders.get(&id).filter(|order| order.stage == Stage::Delayed) else {
            return;
        };
        let order = order.clone();
        let key = order.token.market();
        let slot = &mut self.slots[key.index()];
        slot.delayed.retain(|delayed| *delayed != id);
        slot.awaiting.retain(|awaiting| *awaiting != id);
        let fee = match slot.market.fees.at(self.now) {
            Ok(fee) if slot.state.trades() => fee,
            _ => return self.end(id, End::Cancelled(CancelReason::MarketEnded)),
        };
        let tick = self.books.get(key).map(Book::tick);
        let tradable = tick.is_some_and(|tick| order.price.tradable(tick));
        if self.is_void(key) || !tradable {
            return self.end(id, End::Cancelled(CancelReason::ByVenue));
        }
        if self.crosses_own(&order) {
            self.counters.self_cross_prevented += 1;
            return self.end(id, End::Cancelled(CancelReason::ByVenue));
        }
        if self.waits_after_delay(id, fee) {
            return;
        }
        let walk = self.walk_depth(&order, fee);
        // A fee rate that rose during the delay can exceed the reservation.
        let covered = order.side == Side::Sell || order.money + walk.fee <= order.reserved_cash;
        if check_kill(order.tif, &walk).is_err() || !covered {
            return self.end(id, End::Cancelled(CancelReason::Killed));
        }
        let first = if walk.takes.is_empty() { OrderUpdate::Live } else { OrderUpdate::Matched };
        self.report_update(id, first);
        self.execute(id, walk);
    }
}

/// Whether an immediate order is killed because the walk gives it too little.
fn check_kill(tif: Tif, walk: &DepthWalk) -> Result<(), RejectReason> {
    match tif {
        Tif::Fok if walk.takes.is_empty() || walk.missing >= DUST => Err(RejectReason::FokKilled),
        Tif::Fak if walk.takes.is_empty() => Err(RejectReason::FakKilled),
        _ => Ok(()),
    }
}
