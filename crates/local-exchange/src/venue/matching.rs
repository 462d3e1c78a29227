//! Matching: price-time priority, complements, price improvement to the taker.

use alloy::primitives::{Address, U256};
use polydesk_domain::{
    FeeRate, OrderHash, Price, ProtocolVersion, Shares, Side, Span, Tif, TradeStatus, Usdc,
};

use super::book::crosses;
use super::intake::{LEAST_MARKETABLE, Placed, Refusal, too_small};
use super::order::{How, MakerFill, Order, Status, Trade};
use super::updates::{OrderChange, VenueUpdate};
use super::{Venue, VenueAction};
use crate::contracts::{COLLATERAL, POSITION_MANAGER, conditional_tokens};

/// Less than a cent of a share left ends an order: amounts are cut at cents.
pub(super) const DUST: Shares = Shares::new(10_000);

pub(super) const FOK_KILLED: &str =
    "order couldn't be fully filled. FOK orders are fully filled or killed.";
pub(super) const FAK_KILLED: &str = "no orders found to match with FAK order. FAK orders are \
                                     partially filled or killed if no match is found.";

/// The planned matches of an order.
#[derive(Debug, Default)]
pub(super) struct MatchPlan {
    legs: Vec<MakerFill>,
    fee: Usdc,
    /// pUSD a buy would have left.
    money: Usdc,
    /// Shares that would be left.
    open: Shares,
}

impl MatchPlan {
    fn full(&self) -> bool {
        !self.legs.is_empty() && self.open < DUST
    }
}

impl Venue {
    /// Matches an order, or holds it back for the taker delay.
    pub(super) fn enter(&mut self, mut order: Order) -> Result<Placed, Refusal> {
        if self.tape.is_some() {
            return self.tape_enter(order);
        }
        let market = self.market(order.token.market()).clone();
        let rate = market
            .fees
            .at(self.now)
            .map_err(|_| Refusal::bad("the market is not yet ready to process new orders"))?;
        let plan = self.plan(&order, rate);
        if order.post_only && !plan.legs.is_empty() {
            return Err(Refusal::bad("invalid post-only order: order crosses book"));
        }
        let marketable = !plan.legs.is_empty();
        if marketable && order.side == Side::Buy && order.money < LEAST_MARKETABLE {
            return Err(too_small(order.side, order.money));
        }
        let delayed = marketable && market.taker_delay > Span::ZERO;
        if !delayed && let Some(reason) = killed(order.tif, &plan) {
            self.reserve(&mut order, Usdc::ZERO)?;
            self.unreserve(&mut order);
            return Err(self.kill(order, reason));
        }
        let fee = if delayed { most_fee(&order, rate) } else { plan.fee };
        self.reserve(&mut order, fee)?;
        let id = order.id;
        if let Tif::Gtd { expires } = order.tif {
            // The venue removes it a minute before the stated time.
            self.schedule(expires + Span::secs(-60), VenueAction::Expire(id));
        }
        if delayed {
            order.status = Status::Delayed;
            self.orders.insert(id, order);
            self.schedule(self.now + market.taker_delay, VenueAction::Release(id));
        } else {
            self.orders.insert(id, order);
            self.execute(id, plan);
        }
        Ok(self.placed(id))
    }

    fn placed(&self, id: OrderHash) -> Placed {
        let order = self.orders[&id].clone();
        let status = match (&order.status, order.matched.is_zero()) {
            (Status::Delayed, _) => "delayed",
            (_, true) => "live",
            _ => "matched",
        };
        let trades = order.trades.clone();
        Placed { status, trades, shares: order.matched, money: order.matched_money, order }
    }

    /// The taker delay is over: matches the order with the current book.
    pub(super) fn release(&mut self, id: OrderHash) {
        let Some(order) = self.orders.get(&id).filter(|order| order.status == Status::Delayed)
        else {
            return;
        };
        let order = order.clone();
        let key = order.token.market();
        if self.listed[key.index()].frozen {
            return; // It is matched when the book is unfrozen.
        }
        let market = self.market(key);
        let (rate, fits) = (market.fees.at(self.now), order.limit_on_tick().tradable(market.tick));
        // The tick size may have become coarser in the delay.
        let (Ok(rate), true) = (rate, fits && self.listed[key.index()].accepting) else {
            return self.end(id, Status::Invalid);
        };
        let plan = self.plan(&order, rate);
        if let Some(reason) = killed(order.tif, &plan) {
            return self.end(id, Status::Canceled(reason.to_owned()));
        }
        if order.side == Side::Buy && order.money + plan.fee > order.reserved_cash {
            return self.end(id, Status::Invalid);
        }
        if let Some(order) = self.orders.get_mut(&id) {
            order.status = Status::Live;
        }
        self.execute(id, plan);
    }

    /// Plans the matches of an order, best price first, then by arrival.
    fn plan(&self, order: &Order, rate: FeeRate) -> MatchPlan {
        let listed = &self.listed[order.token.market().index()];
        let (ladder, bid) = order.place();
        let mut plan = MatchPlan { money: order.money, open: order.open, ..MatchPlan::default() };
        if listed.frozen {
            return plan;
        }
        'levels: for (other, level) in listed.book.best_first(ladder.other()) {
            if !crosses(bid, other) {
                break;
            }
            // What the level costs in the taker's own token.
            let price = match order.side {
                Side::Buy => other.complement(),
                Side::Sell => other,
            };
            for id in &level.orders {
                let Some(maker) = self.orders.get(id) else { continue };
                let wanted = match order.side {
                    Side::Buy => price.shares_for(plan.money).unwrap_or(Shares::ZERO),
                    Side::Sell => plan.open,
                };
                let shares = maker.open.min(wanted);
                if shares.is_zero() {
                    break 'levels;
                }
                let leg = leg(order, maker, price, shares, rate);
                match order.side {
                    Side::Buy => plan.money -= leg.taker_money,
                    Side::Sell => plan.open -= shares,
                }
                plan.fee += leg.fee;
                plan.legs.push(leg);
            }
        }
        if order.side == Side::Buy && !plan.legs.is_empty() {
            // A buy is bounded by its money: what better prices saved buys more.
            plan.open = order.limit.shares_for(plan.money).unwrap_or(Shares::ZERO);
        }
        plan
    }

    /// Makes the planned matches and rests or ends what is left.
    fn execute(&mut self, id: OrderHash, plan: MatchPlan) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        (order.money, order.open) = (plan.money, plan.open);
        let full = plan.full();
        let key = order.token.market();
        if !plan.legs.is_empty() {
            self.trade(id, plan.legs);
        }
        let Some(order) = self.orders.get(&id) else { return };
        let (rests, order) = (order.tif.rests(), order.clone());
        if full {
            self.finish(id, Status::Matched);
        } else if rests {
            let (ladder, bid) = order.place();
            self.listed[key.index()].book.add(ladder, bid, id, order.open);
            self.tell_order(OrderChange::Placement, order);
            self.tell_levels(key, &[(ladder, bid)]);
        } else {
            // FAK: what matched stays, the rest is gone.
            self.finish(id, Status::Matched);
        }
        self.follow_price(key);
    }

    /// Makes a trade of legs: reserved funds go into settlement, maker orders advance, updates are published.
    fn trade(&mut self, id: OrderHash, legs: Vec<MakerFill>) {
        let trade_id = self.chance.uuid();
        let mut touched = Vec::new();
        let mut updates = Vec::new();
        for leg in &legs {
            self.commit_taker(id, leg);
            let Some(maker) = self.orders.get_mut(&leg.order) else { continue };
            let (ladder, bid) = maker.place();
            maker.open -= leg.shares;
            maker.matched += leg.shares;
            maker.matched_money += leg.maker_money;
            maker.trades.push(trade_id);
            match maker.side {
                Side::Buy => {
                    maker.money -= leg.maker_money;
                    maker.reserved_cash -= leg.maker_money;
                }
                Side::Sell => maker.reserved_shares -= leg.shares,
            }
            let gone = maker.open < DUST;
            let dust = if gone { maker.open } else { Shares::ZERO };
            self.move_promise(&leg.wallet, leg.token, leg.side, leg.maker_money, leg.shares);
            let book = &mut self.listed[leg.token.market().index()].book;
            book.take(ladder, bid, leg.order, leg.shares + dust, gone);
            if gone {
                self.finish(leg.order, Status::Matched);
            }
            updates.push(leg.order);
            if !touched.contains(&(ladder, bid)) {
                touched.push((ladder, bid));
            }
        }
        let Some(taker) = self.orders.get_mut(&id) else { return };
        taker.trades.push(trade_id);
        let trade = Trade {
            id: trade_id,
            number: self.traded,
            order: id,
            key: taker.key,
            signer: taker.signer,
            wallet: taker.wallet,
            token: taker.token,
            side: taker.side,
            legs,
            status: TradeStatus::Matched,
            matched_at: self.now,
            changed_at: self.now,
            transaction: None,
            applied: false,
        };
        let key = trade.token.market();
        for maker in updates {
            let order = self.orders[&maker].clone();
            self.tell_order(OrderChange::Update, order);
        }
        for (price, _, notional) in by_price(&trade) {
            self.note_print(trade.token, price, trade.side, notional);
        }
        // The venue publishes the levels before the trade that changed them.
        self.tell_levels(key, &touched);
        for (price, size, _) in by_price(&trade) {
            let (token, side, at) = (trade.token, trade.side, self.now);
            self.tell(VenueUpdate::Print { token, price, size, side, at });
        }
        if self.rules.book_after_trade {
            self.tell_books(key);
        }
        self.tell_trade(trade.clone());
        self.begin_settlement(trade);
    }

    fn commit_taker(&mut self, id: OrderHash, leg: &MakerFill) {
        let Some(taker) = self.orders.get_mut(&id) else { return };
        taker.matched += leg.shares;
        taker.matched_money += leg.taker_money;
        let money = leg.taker_money + leg.fee;
        match taker.side {
            Side::Buy => taker.reserved_cash -= money,
            Side::Sell => taker.reserved_shares -= leg.shares,
        }
        let (wallet, token, side) = (taker.wallet, taker.token, taker.side);
        self.move_promise(&wallet, token, side, money, leg.shares);
    }

    /// Moves the reserved funds of an order into settlement.
    fn move_promise(
        &mut self,
        wallet: &alloy::primitives::Address,
        token: polydesk_domain::Token,
        side: Side,
        money: Usdc,
        shares: Shares,
    ) {
        let Some(wallet) = self.ledger.wallet_mut(wallet) else { return };
        match side {
            Side::Buy => {
                wallet.reserved -= money;
                wallet.leaving += money;
                wallet.holding_mut(token).incoming += shares;
            }
            Side::Sell => {
                let holding = wallet.holding_mut(token);
                holding.offered -= shares;
                holding.leaving += shares;
            }
        }
    }

    /// The token contract and the spender whose approval an order needs.
    fn approval_of(&self, order: &Order) -> (Address, Address) {
        let exchange = self.contract(order.token).address(self.chain);
        let token = match (order.side, &self.market(order.token.market()).version) {
            (Side::Buy, _) => COLLATERAL,
            (Side::Sell, ProtocolVersion::V2) => POSITION_MANAGER,
            (Side::Sell, _) => conditional_tokens(self.chain),
        };
        (token, exchange)
    }

    /// Reserves what an order may need: a buy's pUSD with the fee on top, a sell's shares.
    fn reserve(&mut self, order: &mut Order, fee: Usdc) -> Result<(), Refusal> {
        let approval = self.approval_of(order);
        let wallet = self.ledger.wallet_mut(&order.wallet).ok_or_else(|| {
            Refusal::bad("maker address not allowed, please use the deposit wallet flow")
        })?;
        let lacking = |what: &str, figures: String| {
            let text = "not enough balance / allowance: the";
            Refusal::bad(format!("{text} {what} is not enough -> {figures}"))
        };
        let needs = match order.side {
            Side::Buy => order.money.micros() + fee.micros(),
            Side::Sell => order.open.micros() as i64,
        };
        let (token, spender) = approval;
        let allowed = wallet.allowance(token, spender);
        // Outcome tokens are allowed all or not at all.
        let least = match order.side {
            Side::Buy => U256::from(needs.unsigned_abs()),
            Side::Sell => U256::ONE,
        };
        if allowed < least {
            let figures = format!("allowance: {allowed}, order amount: {needs}");
            return Err(lacking("allowance", figures));
        }
        match order.side {
            Side::Buy => {
                if (wallet.free() - wallet.held_matched).micros() < needs {
                    let matched = wallet.leaving + wallet.held_matched;
                    let sums = [wallet.reserved.micros(), matched.micros()];
                    let fees = fee > Usdc::ZERO;
                    return Err(lacking(
                        "balance",
                        figures(wallet.cash.micros(), sums, needs, fees),
                    ));
                }
                wallet.reserved += Usdc::new(needs);
                order.reserved_cash = Usdc::new(needs);
            }
            Side::Sell => {
                let holding = wallet.holding_mut(order.token);
                if holding.free() < order.open {
                    let micros = |shares: Shares| shares.micros() as i64;
                    let sums = [micros(holding.offered), micros(holding.leaving)];
                    let has = micros(holding.settled);
                    return Err(lacking("balance", figures(has, sums, needs, false)));
                }
                holding.offered += order.open;
                order.reserved_shares = order.open;
            }
        }
        Ok(())
    }

    /// Releases what an order no longer needs.
    pub(super) fn unreserve(&mut self, order: &mut Order) {
        if let Some(wallet) = self.ledger.wallet_mut(&order.wallet) {
            wallet.reserved -= order.reserved_cash;
            wallet.holding_mut(order.token).offered -= order.reserved_shares;
        }
        order.reserved_cash = Usdc::ZERO;
        order.reserved_shares = Shares::ZERO;
    }

    /// Ends an order that is not on the book.
    pub(super) fn finish(&mut self, id: OrderHash, status: Status) {
        let Some(mut order) = self.orders.remove(&id) else { return };
        self.unreserve(&mut order);
        order.status = status;
        self.orders.insert(id, order);
    }

    /// Ends an open order, takes it off the book and publishes the change.
    pub(super) fn end(&mut self, id: OrderHash, status: Status) {
        let Some(order) = self.orders.get(&id).filter(|order| !order.status.ended()) else {
            return;
        };
        let resting = order.status == Status::Live;
        let (key, open, (ladder, bid)) = (order.token.market(), order.open, order.place());
        self.finish(id, status);
        let order = self.orders[&id].clone();
        self.tell_order(OrderChange::Cancellation, order);
        if self.tape.is_some() {
            return;
        }
        if resting {
            self.listed[key.index()].book.take(ladder, bid, id, open, true);
            self.tell_levels(key, &[(ladder, bid)]);
        }
    }

    /// A FOK or FAK that found nothing: refused with 400, and its owner's sockets hear of it.
    pub(super) fn kill(&mut self, mut order: Order, reason: &str) -> Refusal {
        let id = order.id;
        order.status = Status::Canceled(reason.to_owned());
        self.orders.insert(id, order.clone());
        self.tell_order(OrderChange::Cancellation, order);
        Refusal { order: Some(id), ..Refusal::bad(reason) }
    }

    pub(super) fn expire(&mut self, id: OrderHash) {
        if self.orders.get(&id).is_some_and(|order| !order.status.ended()) {
            self.end(id, Status::Canceled(String::new()));
        }
    }
}

/// Prices of a trade's levels with the shares and pUSD there.
pub(super) fn by_price(trade: &Trade) -> Vec<(Price, Shares, Usdc)> {
    let mut levels: Vec<(Price, Shares, Usdc)> = Vec::new();
    for leg in &trade.legs {
        let price = trade.price_of(leg);
        match levels.last_mut() {
            Some((last, shares, money)) if *last == price => {
                *shares += leg.shares;
                *money += leg.taker_money;
            }
            _ => levels.push((price, leg.shares, leg.taker_money)),
        }
    }
    levels
}

/// One match. The taker's pUSD is rounded against it by less than a micro-dollar, and the maker has
/// exactly the other side, so nothing is made or lost.
fn leg(order: &Order, maker: &Order, price: Price, shares: Shares, rate: FeeRate) -> MakerFill {
    let taker_money = match order.side {
        Side::Buy => price.notional_ceil(shares),
        Side::Sell => price.notional_floor(shares),
    };
    let how = match (order.side == maker.side, order.side) {
        (false, _) => How::Transfer,
        (true, Side::Buy) => How::Mint,
        (true, Side::Sell) => How::Merge,
    };
    let maker_money = match how {
        How::Transfer => taker_money,
        How::Mint | How::Merge => shares.face_value() - taker_money,
    };
    MakerFill {
        order: maker.id,
        key: maker.key,
        signer: maker.signer,
        wallet: maker.wallet,
        token: maker.token,
        side: maker.side,
        price: maker.limit,
        shares,
        taker_money,
        maker_money,
        fee: rate.taker_fee(price, shares),
        how,
    }
}

fn killed(tif: Tif, plan: &MatchPlan) -> Option<&'static str> {
    match tif {
        Tif::Fok if !plan.full() => Some(FOK_KILLED),
        Tif::Fak if plan.legs.is_empty() => Some(FAK_KILLED),
        _ => None,
    }
}

/// The most an order could be charged: no price costs more than the rate per dollar.
fn most_fee(order: &Order, rate: FeeRate) -> Usdc {
    let micros = i128::from(order.money.micros()) * i128::from(rate.rate_ppm);
    Usdc::new(i64::try_from((micros + 999_999) / 1_000_000).unwrap_or(i64::MAX))
}

/// The numbers of a refusal for lack of funds, in millionths: what is there, what open orders and matched ones that
/// are not settled hold of it, and what the order needs. What is nothing is not named.
fn figures(balance: i64, [active, matched]: [i64; 2], order: i64, fees: bool) -> String {
    let sum = |name: &str, sum: i64| match sum {
        0 => String::new(),
        sum => format!(", sum of {name} orders: {sum}"),
    };
    let fees = if fees { " (inc. fees)" } else { "" };
    let (active, matched) = (sum("active", active), sum("matched", matched));
    format!("balance: {balance}{active}{matched}, order amount{fees}: {order}")
}
