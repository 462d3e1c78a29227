//! Baskets: legs that make sense only together, sent in parallel because the venue has nothing atomic.
//!
//! A basket is sized by depth when it starts, sends all legs at once, completes a lagging leg if that
//! still pays, and otherwise unwinds what is in excess, inside a budget of money and time. It ends
//! completed, held, unwound or carried, never silently.

use polydesk_domain::{
    Basket, BasketEnd, BasketId, BasketKind, Book, Cash, CashKind, ClientOrderId, Code, Command,
    Conversion, ExitReason, FeeRate, Leg, MarketKey, MarketState, NoteLevel, Outbox, Outcome,
    Price, Purpose, Reason, Record, Shares, Side, Signal, Size, StrategyId, Tif, Token, Usdc,
};

use super::loops::DYING_LEGS;
use super::{Context, Manager};
use crate::gate::GateRequest;
use crate::state::{
    Authority, BasketLeg, Draft, OpenBasket, Order, PendingConversion, PendingExit, Stage,
    sane_money,
};

/// Merges that may fail before a basket leaves its sets to the resolution.
const MERGE_TRIES: u8 = 3;

/// Cost or proceeds of taking `shares` from displayed depth, with the fee at every level.
pub(super) fn walk_with_fee(
    book: &Book,
    token: Token,
    side: Side,
    limit: Price,
    shares: Shares,
    rate: FeeRate,
) -> (Shares, Usdc, Usdc) {
    let (mut got, mut notional, mut fee) = (Shares::ZERO, Usdc::ZERO, Usdc::ZERO);
    for (price, size) in book.levels(token.outcome(), side.other()) {
        let within = if side == Side::Buy { price <= limit } else { price >= limit };
        let take = size.min(shares.saturating_sub(got));
        if !within || take.is_zero() {
            break;
        }
        got += take;
        fee += rate.taker_fee(price, take);
        notional +=
            if side == Side::Buy { price.notional_ceil(take) } else { price.notional_floor(take) };
    }
    (got, notional, fee)
}

impl Manager {
    /// Starts a basket, or denies it with a code.
    pub(super) fn start_basket(
        &mut self,
        ctx: &Context<'_>,
        signal: &Signal,
        wanted: &Basket,
        out: &mut Outbox,
    ) {
        if let Err(reason) = self.try_basket(ctx, signal, wanted, out) {
            self.deny(ctx, signal.strategy, (Some(signal.market), Some(signal.id)), reason, out);
        }
    }

    fn try_basket(
        &mut self,
        ctx: &Context<'_>,
        signal: &Signal,
        wanted: &Basket,
        out: &mut Outbox,
    ) -> Result<(), Reason> {
        if wanted.legs.len() < 2 || wanted.legs.len() > Command::BATCH {
            return Err(Reason::new("leg_count").with("legs", wanted.legs.len() as i64));
        }
        if wanted.sets > Shares::SANE_MAX || !sane_money(wanted.min_edge_per_set) {
            return Err(Reason::new("absurd_size"));
        }
        let touches =
            |basket: &OpenBasket| wanted.legs.iter().any(|leg| basket.touches(leg.token.market()));
        if self.state.baskets.values().any(touches) {
            return Err(Reason::new("basket_running"));
        }
        let (sets, expected) = self.size_basket(ctx, wanted)?;
        let splits = wanted.kind == BasketKind::SellPair;
        let counters = self.state.counters.get_mut();
        counters.baskets += 1;
        let id = BasketId::of_run(counters.run, counters.baskets);
        let leg = |leg: &Leg| BasketLeg { leg: *leg, orders: Vec::new(), latched: Shares::ZERO };
        let basket = OpenBasket {
            id,
            strategy: signal.strategy,
            signal: signal.id,
            expires: signal.expires,
            kind: wanted.kind,
            legs: wanted.legs.iter().map(leg).collect(),
            sets,
            expected,
            stage: if splits { Stage::Splitting } else { Stage::Sending },
            started: ctx.now,
            naked_since: ctx.now,
            unwinding: false,
            gave_up: false,
            merge_tries: 0,
        };
        if splits {
            self.state.refresh_sums();
            self.admit_split(ctx, signal.strategy, &wanted.legs, sets)?;
        }
        for leg in &wanted.legs {
            self.state.uses(leg.token.market(), ctx.universe, ctx.states);
        }
        self.state.baskets.insert(id, basket);
        if splits {
            let yes = wanted.legs.iter().find(|leg| leg.token.outcome() == Outcome::Yes);
            let yes_units = yes.map_or(5_000, |leg| leg.limit.units());
            let action = Conversion::Split(sets);
            self.convert(ctx, signal.strategy, signal.market, action, Some(id), yes_units, out);
            return Ok(());
        }
        let sent = self.send_legs(ctx, id, out);
        if sent.is_err() {
            self.state.baskets.remove(&id);
        }
        sent
    }

    /// Sets that depth still offers within the limits, and what they earn after fees.
    fn size_basket(&self, ctx: &Context<'_>, basket: &Basket) -> Result<(Shares, Usdc), Reason> {
        let side = basket.legs[0].side;
        let measure = |sets: Shares| -> Result<(Shares, Usdc, Usdc), Reason> {
            let (mut least, mut edge, mut largest) = (sets, Usdc::ZERO, Usdc::ZERO);
            for leg in &basket.legs {
                let book = ctx.books.get(leg.token.market()).ok_or(Reason::new("no_book"))?;
                let market =
                    ctx.universe.get(leg.token.market()).ok_or(Reason::new("market_unknown"))?;
                let rate = market.fees.at(ctx.now).map_err(|_| Reason::new("fee_unknown"))?;
                let (got, notional, fee) =
                    walk_with_fee(book, leg.token, side, leg.limit, sets, rate);
                least = least.min(got);
                largest = largest.max(notional);
                edge += if side == Side::Buy { -notional - fee } else { notional - fee };
            }
            let payout =
                basket.kind.payout(basket.legs.len()).scale_floor(sets.micros(), 1_000_000);
            edge += if side == Side::Buy { payout } else { -payout };
            Ok((least, edge, largest))
        };
        let (least, _, largest) = measure(basket.sets)?;
        // No single leg may stand alone with more than the naked budget.
        // A tenth of the order limit is left for fees.
        let most = self.limits.max_naked.min(self.limits.max_order.scale_floor(9, 10));
        let by_budget = if largest > most {
            let micros = |money: Usdc| u64::try_from(money.micros()).unwrap_or(1);
            least.scale_floor(micros(most), micros(largest))
        } else {
            least
        };
        let sets = by_budget.floor_cents();
        if sets.is_zero() {
            return Err(Reason::new("depth_gone"));
        }
        for leg in &basket.legs {
            let minimum = ctx.universe.market(leg.token.market()).min_size;
            if sets < minimum || leg.limit.notional_floor(sets) < Usdc::whole(1) {
                return Err(Reason::new("below_minimum").with("sets_micros", sets.micros() as i64));
            }
        }
        let (_, edge, _) = measure(sets)?;
        let least_edge = basket.min_edge_per_set.scale_floor(sets.micros(), 1_000_000);
        if edge < least_edge || edge <= Usdc::ZERO {
            return Err(Reason::new("edge_gone")
                .with("edge_micros", edge.micros())
                .with("least_micros", least_edge.micros()));
        }
        Ok((sets, edge))
    }

    /// Asks the gate whether the sale of sets still to be split may be prepared.
    fn admit_split(
        &self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        legs: &[Leg],
        sets: Shares,
    ) -> Result<(), Reason> {
        let ask = GateRequest {
            strategy,
            token: legs[0].token,
            side: Side::Sell,
            price: legs[0].limit,
            cost: sets.face_value(),
            shares: sets,
            reduces: false,
        };
        self.limits.admit(&ask, &self.facts(ctx))
    }

    /// Admits all legs or none, then sends them in one request.
    fn send_legs(
        &mut self,
        ctx: &Context<'_>,
        id: BasketId,
        out: &mut Outbox,
    ) -> Result<(), Reason> {
        let Some(basket) = self.state.baskets.get(&id) else { return Ok(()) };
        let (sets, legs) = (basket.sets, basket.legs.len());
        let wanted: Vec<_> = basket.legs.iter().map(|leg| (leg.leg, sets)).collect();
        let admitted = self.admit_legs(ctx, id, &wanted, out)?;
        if let Some(basket) = self.state.baskets.get_mut(&id) {
            for (leg, order) in basket.legs.iter_mut().zip(&admitted) {
                leg.orders.push(*order);
            }
            basket.naked_since = ctx.now;
        }
        debug_assert_eq!(admitted.len(), legs);
        self.place(ctx, &admitted, out);
        Ok(())
    }

    /// Admits an order for each leg, or rolls all of them back.
    fn admit_legs(
        &mut self,
        ctx: &Context<'_>,
        id: BasketId,
        wanted: &[(Leg, Shares)],
        out: &mut Outbox,
    ) -> Result<Vec<ClientOrderId>, Reason> {
        let mut admitted = Vec::with_capacity(wanted.len());
        for (leg, sets) in wanted {
            let order = self.leg_order(ctx, id, *leg, *sets);
            match order.and_then(|order| self.admit(ctx, order, out)) {
                Ok(order) => admitted.push(order),
                Err(reason) => {
                    admitted.into_iter().for_each(|order| self.state.orders.roll_back(order));
                    return Err(reason);
                }
            }
        }
        Ok(admitted)
    }

    /// An immediate order for `sets` of one leg at what depth asks now.
    fn leg_order(
        &self,
        ctx: &Context<'_>,
        id: BasketId,
        leg: Leg,
        sets: Shares,
    ) -> Result<Order, Reason> {
        let basket = self.state.baskets.get(&id).ok_or(Reason::new("basket_over"))?;
        let book = ctx.books.get(leg.token.market()).ok_or(Reason::new("no_book"))?;
        let walk = book.walk(leg.token.outcome(), leg.side, leg.limit, sets);
        let price = walk.worst.ok_or(Reason::new("depth_gone"))?;
        let size = match leg.side {
            // The venue takes cents: rounded up, so that the last share is not missing.
            Side::Buy => Size::Spend((walk.notional + Usdc::new(9_999)).floor_cents()),
            Side::Sell => Size::Shares(sets.floor_cents()),
        };
        let draft = Draft {
            strategy: basket.strategy,
            signal: Some(basket.signal),
            purpose: Purpose::Leg(id),
            token: leg.token,
            side: leg.side,
            price,
            size,
            tif: Tif::Fak,
            post_only: false,
            placed_at: ctx.now,
            expires: basket.expires,
        };
        Ok(draft.order())
    }

    /// Shares matched per leg, or `None` while any order of the basket may still match.
    fn leg_fills(&self, basket: &OpenBasket) -> Option<Vec<Shares>> {
        let mut fills = Vec::with_capacity(basket.legs.len());
        for leg in &basket.legs {
            let mut got = Shares::ZERO;
            for id in &leg.orders {
                let order = self.state.orders.get(*id)?;
                if order.open() {
                    return None;
                }
                got += order.matched;
            }
            fills.push(got);
        }
        Some(fills)
    }

    /// Moves a basket on after an update of one of its orders.
    pub(super) fn basket_step(&mut self, ctx: &Context<'_>, id: BasketId, out: &mut Outbox) {
        let Some(basket) = self.state.baskets.get(&id) else { return };
        match basket.stage {
            Stage::Sending | Stage::Completing => {
                if let Some(fills) = self.leg_fills(basket) {
                    self.legs_done(ctx, id, &fills, out);
                }
            }
            Stage::Unwinding => self.unwound(ctx, id, out),
            Stage::Settling => self.settle(ctx, id, out),
            Stage::Splitting | Stage::Merging => {}
        }
    }

    fn stage(&mut self, id: BasketId, stage: Stage) {
        if let Some(basket) = self.state.baskets.get_mut(&id) {
            basket.stage = stage;
        }
    }

    fn legs_done(&mut self, ctx: &Context<'_>, id: BasketId, fills: &[Shares], out: &mut Outbox) {
        let Some(basket) = self.state.baskets.get(&id) else { return };
        let most = fills.iter().copied().max().unwrap_or_default();
        let least = fills.iter().copied().min().unwrap_or_default();
        if basket.kind != BasketKind::SellPair {
            if most.is_zero() {
                return self.end_basket(ctx, id, Shares::ZERO, "nothing", out);
            }
            let lagging = most.saturating_sub(least) >= smallest(ctx, basket);
            let first = basket.stage == Stage::Sending;
            if lagging && first && self.complete(ctx, id, fills, most, out) {
                return self.stage(id, Stage::Completing);
            }
        }
        self.stage(id, Stage::Settling);
        self.settle(ctx, id, out);
    }

    /// Sends the lagging legs again if the whole basket still does not lose by it.
    fn complete(
        &mut self,
        ctx: &Context<'_>,
        id: BasketId,
        fills: &[Shares],
        most: Shares,
        out: &mut Outbox,
    ) -> bool {
        let Some(basket) = self.state.baskets.get(&id) else { return false };
        let (strategy, market) = (basket.strategy, basket.legs[0].leg.token.market());
        let payout = basket.kind.payout(basket.legs.len()).scale_floor(most.micros(), 1_000_000);
        let mut cost = Usdc::ZERO;
        for order in self.orders_of(basket) {
            cost += order.spent;
        }
        let mut again = Vec::new();
        let mut lagging = Vec::new();
        for (i, (leg, got)) in basket.legs.iter().zip(fills).enumerate() {
            let need = most.saturating_sub(*got).floor_cents();
            if need.is_zero() {
                continue;
            }
            let key = leg.leg.token.market();
            let (Some(book), Ok(rate)) =
                (ctx.books.get(key), ctx.universe.market(key).fees.at(ctx.now))
            else {
                return false;
            };
            // At most what the basket has left to give for this leg.
            let limit = Price::new(10_000 - book.tick().units()).unwrap_or(Price::ONE);
            let (found, notional, fee) =
                walk_with_fee(book, leg.leg.token, Side::Buy, limit, need, rate);
            if found < need || need < ctx.universe.market(key).min_size {
                return false;
            }
            cost += notional + fee;
            again.push((Leg { limit, ..leg.leg }, need));
            lagging.push(i);
        }
        if again.is_empty() || cost + self.fees_of(ctx, basket) > payout {
            return false;
        }
        match self.admit_legs(ctx, id, &again, out) {
            Ok(admitted) => {
                if let Some(basket) = self.state.baskets.get_mut(&id) {
                    for (i, order) in lagging.into_iter().zip(&admitted) {
                        basket.legs[i].orders.push(*order);
                    }
                }
                self.place(ctx, &admitted, out);
                true
            }
            Err(reason) => {
                self.deny(ctx, strategy, (Some(market), None), reason, out);
                false
            }
        }
    }

    fn orders_of<'a>(&'a self, basket: &'a OpenBasket) -> impl Iterator<Item = &'a Order> {
        let ids = basket.legs.iter().flat_map(|leg| &leg.orders);
        ids.filter_map(|id| self.state.orders.get(*id))
    }

    /// Fees of what a basket has bought so far, at the average price of each order.
    fn fees_of(&self, ctx: &Context<'_>, basket: &OpenBasket) -> Usdc {
        let mut fees = Usdc::ZERO;
        for order in self.orders_of(basket) {
            let market = ctx.universe.market(order.token.market());
            let rate = market.fees.at(ctx.now).unwrap_or(FeeRate::WORST_CASE);
            fees += rate.taker_fee(order.price, order.matched);
        }
        fees
    }

    /// Puts what a leg has in excess up for sale.
    pub(super) fn sell_excess(&mut self, strategy: StrategyId, token: Token, excess: Shares) {
        let loss = self.limits.max_unwind_loss.units();
        let Some(holding) = self.state.positions.get(strategy, token) else { return };
        let (held, cost) = (holding.held(), holding.cost());
        let before = self.state.positions.pending_exit(strategy, token, Authority::Stop);
        let before = before.map_or(Shares::ZERO, |pending| pending.shares);
        let paid = u128::try_from(cost.micros()).unwrap_or(0);
        let average = (paid * 10_000 / u128::from(held.micros().max(1))).min(10_000) as u16;
        let floor = Price::new(average.saturating_sub(loss)).unwrap_or(Price::ZERO);
        let shares = (before + excess).min(held);
        self.state.positions.change_exit(strategy, token, |exit| {
            let pending = PendingExit::new(ExitReason::Unwind, floor, shares);
            exit.pending.insert(Authority::Stop, pending);
        });
    }

    fn unwound(&mut self, ctx: &Context<'_>, id: BasketId, out: &mut Outbox) {
        let Some(basket) = self.state.baskets.get(&id) else { return };
        let selling = basket.legs.iter().any(|leg| {
            let (strategy, token) = (basket.strategy, leg.leg.token);
            self.state.positions.pending_exit(strategy, token, Authority::Stop).is_some()
        });
        if selling && !basket.gave_up {
            return;
        }
        self.stage(id, Stage::Settling);
        self.settle(ctx, id, out);
    }

    /// Balances the legs, waits until everything is final, then merges or holds.
    ///
    /// A leg that fails to settle while this waits shows as an excess of the others, and is unwound
    /// like any other.
    fn settle(&mut self, ctx: &Context<'_>, id: BasketId, out: &mut Outbox) {
        let Some(basket) = self.state.baskets.get(&id) else { return };
        let (strategy, kind, gave_up) = (basket.strategy, basket.kind, basket.gave_up);
        let tokens: Vec<Token> = basket.legs.iter().map(|leg| leg.leg.token).collect();
        let resolved = |token: &Token| {
            let state = ctx.states.get(token.market().index());
            matches!(state, Some(MarketState::Resolved(_)))
        };
        if tokens.iter().any(resolved) {
            // The redemption turns everything into money.
            return self.end_basket(ctx, id, self.sets_of(basket), "resolved", out);
        }
        let have = self.holdings_of(basket);
        let least = have.iter().copied().min().unwrap_or_default();
        let smallest = smallest(ctx, basket);
        let mut excess = Vec::new();
        for (i, token) in tokens.iter().enumerate() {
            let extra = have[i].saturating_sub(least);
            if extra >= smallest {
                self.sell_excess(strategy, *token, extra);
                excess.push((i, extra));
            }
        }
        if !excess.is_empty() {
            if let Some(basket) = self.state.baskets.get_mut(&id) {
                for (i, extra) in excess {
                    basket.legs[i].latched += extra;
                }
                basket.unwinding = true;
                if !gave_up {
                    basket.stage = Stage::Unwinding;
                }
            }
            for token in &tokens {
                self.exits(ctx, token.market(), out);
            }
            if !gave_up {
                return;
            }
        }
        let Some(basket) = self.state.baskets.get(&id) else { return };
        if self.orders_of(basket).any(|order| !order.settled()) {
            return;
        }
        let pair = matches!(kind, BasketKind::BuyPair | BasketKind::SellPair);
        let sellable = |token: &Token| self.position(strategy, *token).sellable();
        let sets = tokens.iter().map(sellable).min().unwrap_or_default().min(least);
        if pair && !sets.floor_cents().is_zero() {
            return self.merge(ctx, id, tokens[0].market(), sets, out);
        }
        let code = match kind {
            _ if gave_up => "carried",
            BasketKind::SellPair => "sold",
            BasketKind::AllYes | BasketKind::AllNo if !least.is_zero() => "held",
            _ if basket.unwinding => "unwound",
            _ => "nothing",
        };
        self.end_basket(ctx, id, self.sets_of(basket), code, out);
    }

    /// Shares that a basket's own orders matched per leg, failed settlements taken off.
    fn matched_of(&self, basket: &OpenBasket) -> Vec<Shares> {
        let got = |leg: &BasketLeg| -> Shares {
            let orders = leg.orders.iter().filter_map(|id| self.state.orders.get(*id));
            orders.map(|order| order.matched).sum()
        };
        basket.legs.iter().map(got).collect()
    }

    /// What a basket's own orders leave of each leg: what was bought, or what was split and not sold, without
    /// what was put up for sale: that completes no set any more, whatever another leg brings later.
    fn holdings_of(&self, basket: &OpenBasket) -> Vec<Shares> {
        let pair = basket.kind == BasketKind::SellPair;
        let matched = self.matched_of(basket).into_iter();
        let got = matched.map(|got| if pair { basket.sets.saturating_sub(got) } else { got });
        let less = |(got, leg): (Shares, &BasketLeg)| got.saturating_sub(leg.latched);
        got.zip(&basket.legs).map(less).collect()
    }

    /// Complete sets that a basket's own orders reached.
    fn sets_of(&self, basket: &OpenBasket) -> Shares {
        let got = match basket.kind {
            BasketKind::SellPair => self.matched_of(basket),
            _ => self.holdings_of(basket),
        };
        got.into_iter().min().unwrap_or_default()
    }

    fn merge(
        &mut self,
        ctx: &Context<'_>,
        id: BasketId,
        market: MarketKey,
        sets: Shares,
        out: &mut Outbox,
    ) {
        let Some(basket) = self.state.baskets.get(&id) else { return };
        let strategy = basket.strategy;
        // A redemption under way takes the same shares: they turn into money that way.
        let redeems = |c: &PendingConversion| c.market == market && c.action == Conversion::Redeem;
        self.state.refresh_sums();
        let converting = self.state.sums().converting(market);
        if converting && self.state.conversions.values().any(redeems) {
            return self.end_basket(ctx, id, Shares::ZERO, "redeemed", out);
        }
        self.convert(ctx, strategy, market, Conversion::Merge(sets), Some(id), 0, out);
        self.stage(id, Stage::Merging);
    }

    /// Takes in the answer to a split or merge of a basket.
    pub(super) fn basket_converted(
        &mut self,
        ctx: &Context<'_>,
        id: BasketId,
        cash: &Cash,
        out: &mut Outbox,
    ) {
        let Some(basket) = self.state.baskets.get(&id) else { return };
        match (basket.stage, cash.kind) {
            (Stage::Splitting, CashKind::Split) => {
                let strategy = basket.strategy;
                // What came is what can be sold.
                let sets = basket.sets.min(cash.shares[0]).min(cash.shares[1]);
                let market = basket.legs[0].leg.token.market();
                let late = basket.expires <= ctx.now;
                if sets.is_zero() {
                    return self.end_basket(ctx, id, Shares::ZERO, "split_failed", out);
                }
                if sets < basket.sets
                    && let Some(basket) = self.state.baskets.get_mut(&id)
                {
                    basket.sets = sets;
                }
                self.stage(id, Stage::Sending);
                let sent = if late {
                    Err(Reason::new("signal_expired"))
                } else {
                    self.send_legs(ctx, id, out)
                };
                if let Err(reason) = sent {
                    // The chance is gone: the sets go back to where they came from.
                    self.deny(ctx, strategy, (Some(market), None), reason, out);
                    self.merge(ctx, id, market, sets, out);
                }
            }
            (Stage::Splitting, _) => self.end_basket(ctx, id, Shares::ZERO, "split_failed", out),
            (Stage::Merging, CashKind::Merge) => {
                let merged = cash.shares[0];
                let (code, sets) = match basket.kind {
                    _ if basket.gave_up => ("carried", merged),
                    BasketKind::SellPair if merged >= basket.sets => ("merged_back", Shares::ZERO),
                    BasketKind::SellPair => ("sold", self.sets_of(basket)),
                    _ => ("merged", merged),
                };
                self.end_basket(ctx, id, sets, code, out);
            }
            (Stage::Merging, _) => {
                let tries = basket.merge_tries + 1;
                if tries >= MERGE_TRIES {
                    return self.end_basket(ctx, id, Shares::ZERO, "merge_failed", out);
                }
                if let Some(basket) = self.state.baskets.get_mut(&id) {
                    // The timer tries again.
                    (basket.stage, basket.merge_tries) = (Stage::Settling, tries);
                }
            }
            _ => {}
        }
    }

    /// Moves on the baskets of a market after something settled or failed in it.
    pub(super) fn baskets_touching(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        out: &mut Outbox,
    ) {
        let touching = self.state.baskets.values().filter(|basket| basket.touches(market));
        for id in touching.map(|basket| basket.id).collect::<Vec<_>>() {
            self.basket_step(ctx, id, out);
        }
    }

    /// Evaluates a basket, and gives up what stood naked for too long.
    pub(super) fn basket_due(&mut self, ctx: &Context<'_>, id: BasketId, out: &mut Outbox) {
        self.basket_step(ctx, id, out);
        let Some(basket) = self.state.baskets.get(&id) else { return };
        if basket.naked_since.until(ctx.now) <= self.limits.max_naked_time {
            return;
        }
        match basket.stage {
            Stage::Sending | Stage::Completing => {
                // A leg is still unknown: what is settled is balanced without it. Should it have filled, it
                // shows as an excess later and is unwound as well.
                let text = format!(
                    "basket {id} stands naked since {}: a leg has no end, the others are unwound",
                    basket.naked_since
                );
                out.note(NoteLevel::Warning, "basket_naked", text);
                self.stage(id, Stage::Settling);
                self.settle(ctx, id, out);
            }
            Stage::Unwinding => {
                // The excess stays up for sale; what is complete goes on to its end.
                if !basket.gave_up
                    && let Some(basket) = self.state.baskets.get_mut(&id)
                {
                    basket.gave_up = true;
                }
                self.basket_step(ctx, id, out);
            }
            Stage::Splitting | Stage::Settling | Stage::Merging => {}
        }
    }

    fn end_basket(
        &mut self,
        ctx: &Context<'_>,
        id: BasketId,
        sets: Shares,
        code: &'static str,
        out: &mut Outbox,
    ) {
        let Some(basket) = self.state.baskets.remove(&id) else { return };
        if basket.unwinding || matches!(code, "split_failed" | "merge_failed") {
            self.failed(ctx, DYING_LEGS, out);
        }
        out.record(Record::BasketEnded(BasketEnd {
            id,
            strategy: basket.strategy,
            kind: basket.kind,
            market: ctx.universe.market(basket.legs[0].leg.token.market()).condition,
            wanted: basket.sets,
            sets,
            expected: basket.expected,
            started: basket.started,
            ended: ctx.now,
            code: Code::literal(code),
        }));
    }
}

impl OpenBasket {
    /// Whether one of its legs is in a market.
    pub(crate) fn touches(&self, market: MarketKey) -> bool {
        self.legs.iter().any(|leg| leg.leg.token.market() == market)
    }
}

/// The largest minimum size of the legs: less than that cannot be sold.
fn smallest(ctx: &Context<'_>, basket: &OpenBasket) -> Shares {
    let sizes = basket.legs.iter().map(|l| ctx.universe.market(l.leg.token.market()).min_size);
    sizes.max().unwrap_or_default()
}
