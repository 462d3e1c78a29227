//! Baskets: legs that make sense only together, sent in parallel because the venue has nothing atomic.
//!
//! A plan sizes by depth when it starts, sends all legs at once, completes a lagging leg if that still
//! pays, and otherwise unwinds what is in excess, inside a budget of money and time. It ends completed,
//! held, unwound or carried, never silently.

use polydesk_domain::{
    Book, Cash, CashKind, ClientOrderId, Command, FeeRate, MarketKey, MarketState, Outcome, Price,
    Conversion, Shares, Side, SignalId, Size, StrategyId, Tif, Time, Token, Usdc,
};
use polydesk_signals::{Basket, BasketKind, Leg, Reason};

use crate::desk::{Context, Execution, SetPending};
use crate::orders::{Order, Purpose};
use crate::positions::ExitReason;

/// The most orders one request can carry.
const BATCH: usize = 15;
/// Merges that may fail before a plan leaves its sets to the resolution.
const MERGE_TRIES: u8 = 3;

/// Where a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// pUSD is becoming complete sets.
    Splitting,
    /// The legs are on their way.
    Sending,
    /// A lagging leg was sent again.
    Completing,
    /// What is in excess is being sold.
    Unwinding,
    /// Waiting until the legs are final, to merge them.
    Settling,
    /// Complete sets are becoming pUSD.
    Merging,
}

/// One leg and its orders.
#[derive(Debug, Clone)]
pub struct PlanLeg {
    /// What is traded.
    pub leg: Leg,
    /// Every order sent for it.
    pub orders: Vec<ClientOrderId>,
    /// Shares in excess that were latched for sale.
    pub latched: Shares,
}

/// A basket under way.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub strategy: StrategyId,
    /// From which signal.
    pub signal: SignalId,
    /// What kind.
    pub kind: BasketKind,
    /// The legs.
    pub legs: Vec<PlanLeg>,
    /// Complete sets aimed at.
    pub sets: Shares,
    /// Edge after fees expected when it started.
    pub expected: Usdc,
    /// Where it is.
    pub stage: Stage,
    /// When it started.
    pub started: Time,
    /// Whether anything had to be unwound.
    pub unwinding: bool,
    /// Whether the time to unwind is over: the excess stays latched for sale.
    pub gave_up: bool,
    /// Merges that failed.
    pub merge_tries: u8,
}

/// How a plan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanEnd {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub strategy: StrategyId,
    /// What kind.
    pub kind: BasketKind,
    /// The market of its first leg.
    pub market: MarketKey,
    /// Complete sets aimed at.
    pub wanted: Shares,
    /// Complete sets reached.
    pub sets: Shares,
    /// Edge after fees expected when it started.
    pub expected: Usdc,
    /// When it started.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
    /// How: `merged`, `held`, `sold`, `nothing`, `unwound`, `carried`, `merged_back`, `resolved`, `redeemed`, `split_failed`, `merge_failed`.
    pub code: &'static str,
}

/// Cost or proceeds of taking `shares` from displayed depth, with the fee at every level.
pub(crate) fn walk_with_fee(
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

impl Execution {
    /// Starts a plan, or denies it with a code.
    pub(crate) fn start_plan(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        signal: SignalId,
        market: MarketKey,
        basket: &Basket,
        out: &mut Vec<Command>,
    ) {
        if let Err(reason) = self.try_plan(ctx, strategy, signal, market, basket, out) {
            self.deny(strategy, reason);
        }
    }

    fn try_plan(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        signal: SignalId,
        market: MarketKey,
        basket: &Basket,
        out: &mut Vec<Command>,
    ) -> Result<(), Reason> {
        if basket.legs.len() < 2 || basket.legs.len() > BATCH {
            return Err(Reason::new("leg_count").with("legs", basket.legs.len() as i64));
        }
        let touches = |plan: &Plan| {
            plan.legs
                .iter()
                .any(|l| basket.legs.iter().any(|leg| leg.token.market() == l.leg.token.market()))
        };
        if self.plans.values().any(touches) {
            return Err(Reason::new("plan_running"));
        }
        let (sets, expected) = self.size_plan(ctx, basket)?;
        self.next_plan += 1;
        let id = self.next_plan;
        let legs = basket
            .legs
            .iter()
            .map(|leg| PlanLeg { leg: *leg, orders: Vec::new(), latched: Shares::ZERO })
            .collect();
        let stage =
            if basket.kind == BasketKind::SellPair { Stage::Splitting } else { Stage::Sending };
        let plan = Plan {
            id,
            strategy,
            signal,
            kind: basket.kind,
            legs,
            sets,
            expected,
            stage,
            started: ctx.now,
            unwinding: false,
            gave_up: false,
            merge_tries: 0,
        };
        if stage == Stage::Splitting {
            self.admit_split(ctx, strategy, &basket.legs, sets)?;
            let yes = basket.legs.iter().find(|leg| leg.token.outcome() == Outcome::Yes);
            let yes_units = yes.map_or(5_000, |leg| leg.limit.units());
            let action = Conversion::Split(sets);
            self.ask_set(SetPending { strategy, market, action, plan: Some(id), yes_units }, out);
            self.plans.insert(id, plan);
            return Ok(());
        }
        let plan = self.send_legs(ctx, plan, out)?;
        self.plans.insert(id, plan);
        Ok(())
    }

    /// Sets that depth still offers within the limits, and what they earn after fees.
    fn size_plan(&self, ctx: &Context<'_>, basket: &Basket) -> Result<(Shares, Usdc), Reason> {
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
        let ask = crate::gate::Ask {
            strategy,
            token: legs[0].token,
            side: Side::Sell,
            price: legs[0].limit,
            cost: sets.face_value(),
            shares: sets,
            reduces: false,
            by_person: false,
        };
        self.limits.admit(&ask, &self.facts(ctx))
    }

    /// Admits all legs or none, then sends them together.
    fn send_legs(
        &mut self,
        ctx: &Context<'_>,
        mut plan: Plan,
        out: &mut Vec<Command>,
    ) -> Result<Plan, Reason> {
        let mut admitted = Vec::with_capacity(plan.legs.len());
        for i in 0..plan.legs.len() {
            let leg = plan.legs[i].leg;
            let order = self.leg_order(ctx, &plan, leg, plan.sets);
            match order.and_then(|order| self.admit(ctx, order, false)) {
                Ok(id) => admitted.push(id),
                Err(reason) => {
                    admitted.into_iter().for_each(|id| self.orders.withdraw(id));
                    return Err(reason);
                }
            }
        }
        for (leg, id) in plan.legs.iter_mut().zip(admitted) {
            leg.orders.push(id);
            self.emit(id, false, out);
        }
        Ok(plan)
    }

    /// An immediate order for `sets` of one leg at what depth asks now.
    fn leg_order(
        &self,
        ctx: &Context<'_>,
        plan: &Plan,
        leg: Leg,
        sets: Shares,
    ) -> Result<Order, Reason> {
        let book = ctx.books.get(leg.token.market()).ok_or(Reason::new("no_book"))?;
        let walk = book.walk(leg.token.outcome(), leg.side, leg.limit, sets);
        let price = walk.worst.ok_or(Reason::new("depth_gone"))?;
        let size = match leg.side {
            // The venue takes cents: rounded up, so that the last share is not missing.
            Side::Buy => Size::Spend((walk.notional + Usdc::new(9_999)).floor_cents()),
            Side::Sell => Size::Shares(sets.floor_cents()),
        };
        let purpose = Purpose::Leg(plan.id);
        Ok(Order::planned(
            ClientOrderId(0),
            plan.strategy,
            plan.signal,
            purpose,
            leg.token,
            leg.side,
            price,
            size,
            Tif::Fak,
            ctx.now,
        ))
    }

    /// Shares matched per leg, or `None` while any order of the plan may still match.
    fn leg_fills(&self, plan: &Plan) -> Option<Vec<Shares>> {
        let mut fills = Vec::with_capacity(plan.legs.len());
        for leg in &plan.legs {
            let mut got = Shares::ZERO;
            for id in &leg.orders {
                let order = self.orders.get(*id)?;
                if order.open() {
                    return None;
                }
                got += order.matched;
            }
            fills.push(got);
        }
        Some(fills)
    }

    /// Moves a plan on after news of one of its orders.
    pub(crate) fn plan_step(&mut self, ctx: &Context<'_>, id: u64, out: &mut Vec<Command>) {
        let Some(plan) = self.plans.get(&id).cloned() else { return };
        match plan.stage {
            Stage::Sending | Stage::Completing => {
                let Some(fills) = self.leg_fills(&plan) else { return };
                self.legs_done(ctx, plan, &fills, out);
            }
            Stage::Unwinding => self.unwound(ctx, plan, out),
            Stage::Settling => self.settled(ctx, plan, out),
            Stage::Splitting | Stage::Merging => {}
        }
    }

    fn legs_done(
        &mut self,
        ctx: &Context<'_>,
        mut plan: Plan,
        fills: &[Shares],
        out: &mut Vec<Command>,
    ) {
        let most = fills.iter().copied().max().unwrap_or_default();
        let least = fills.iter().copied().min().unwrap_or_default();
        if plan.kind != BasketKind::SellPair {
            if most.is_zero() {
                return self.end_plan(ctx, &plan, Shares::ZERO, "nothing");
            }
            let lagging = most.saturating_sub(least) >= self.smallest(ctx, &plan);
            if lagging
                && plan.stage == Stage::Sending
                && self.complete(ctx, &mut plan, fills, most, out)
            {
                plan.stage = Stage::Completing;
                self.plans.insert(plan.id, plan);
                return;
            }
        }
        plan.stage = Stage::Settling;
        let id = plan.id;
        self.plans.insert(id, plan.clone());
        self.settled(ctx, plan, out);
    }

    /// The largest minimum size of the legs: less than that cannot be sold.
    fn smallest(&self, ctx: &Context<'_>, plan: &Plan) -> Shares {
        let sizes = plan.legs.iter().map(|l| ctx.universe.market(l.leg.token.market()).min_size);
        sizes.max().unwrap_or_default()
    }

    /// Sends the lagging legs again if the whole basket still does not lose by it.
    fn complete(
        &mut self,
        ctx: &Context<'_>,
        plan: &mut Plan,
        fills: &[Shares],
        most: Shares,
        out: &mut Vec<Command>,
    ) -> bool {
        let payout = plan.kind.payout(plan.legs.len()).scale_floor(most.micros(), 1_000_000);
        let mut cost = Usdc::ZERO;
        for leg in &plan.legs {
            for order in leg.orders.iter().filter_map(|id| self.orders.get(*id)) {
                cost += order.spent;
            }
        }
        let mut again = Vec::new();
        for (i, (leg, got)) in plan.legs.iter().zip(fills).enumerate() {
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
            again.push((i, need, limit));
        }
        let fees = self.plan_fees(ctx, plan);
        if again.is_empty() || cost + fees > payout {
            return false;
        }
        let mut admitted = Vec::new();
        for (i, need, limit) in &again {
            let leg = Leg { limit: *limit, ..plan.legs[*i].leg };
            match self
                .leg_order(ctx, plan, leg, *need)
                .and_then(|order| self.admit(ctx, order, false))
            {
                Ok(id) => admitted.push((*i, id)),
                Err(reason) => {
                    self.deny(plan.strategy, reason);
                    admitted.into_iter().for_each(|(_, id)| self.orders.withdraw(id));
                    return false;
                }
            }
        }
        for (i, id) in admitted {
            plan.legs[i].orders.push(id);
            self.emit(id, false, out);
        }
        true
    }

    /// Fees of what a plan has bought so far, at the average price of each order.
    fn plan_fees(&self, ctx: &Context<'_>, plan: &Plan) -> Usdc {
        let mut fees = Usdc::ZERO;
        for leg in &plan.legs {
            let rate = ctx
                .universe
                .market(leg.leg.token.market())
                .fees
                .at(ctx.now)
                .unwrap_or(FeeRate::WORST_CASE);
            for order in leg.orders.iter().filter_map(|id| self.orders.get(*id)) {
                fees += rate.taker_fee(order.price, order.matched);
            }
        }
        fees
    }

    /// Latches the sale of what a leg has in excess; a sale that a person asked for goes first.
    fn sell_excess(&mut self, strategy: StrategyId, token: Token, excess: Shares) {
        let loss = self.limits.max_unwind_loss.units();
        let Some(holding) = self.positions.get_mut(strategy, token) else { return };
        let before = match holding.leaving {
            Some((ExitReason::Unwind, _, shares)) => shares,
            Some(_) => return,
            None => Shares::ZERO,
        };
        let held = holding.held();
        let paid = u128::try_from(holding.cost().micros()).unwrap_or(0);
        let average = (paid * 10_000 / u128::from(held.micros().max(1))).min(10_000) as u16;
        let floor = Price::new(average.saturating_sub(loss)).unwrap_or(Price::ZERO);
        holding.leaving = Some((ExitReason::Unwind, floor, (before + excess).min(held)));
    }

    fn unwound(&mut self, ctx: &Context<'_>, mut plan: Plan, out: &mut Vec<Command>) {
        let selling = plan.legs.iter().any(|leg| {
            self.positions
                .get(plan.strategy, leg.leg.token)
                .is_some_and(|holding| matches!(holding.leaving, Some((ExitReason::Unwind, _, _))))
        });
        if selling && !plan.gave_up {
            return;
        }
        plan.stage = Stage::Settling;
        self.plans.insert(plan.id, plan.clone());
        self.settled(ctx, plan, out);
    }

    /// Balances the legs, waits until everything is final, then merges or holds.
    ///
    /// A leg that fails to settle while this waits shows as an excess of the others, and is unwound
    /// like any other.
    fn settled(&mut self, ctx: &Context<'_>, mut plan: Plan, out: &mut Vec<Command>) {
        let tokens: Vec<Token> = plan.legs.iter().map(|leg| leg.leg.token).collect();
        let resolved = |token: &Token| {
            let state = ctx.states.get(token.market().index());
            matches!(state, Some(MarketState::Resolved(_)))
        };
        if tokens.iter().any(resolved) {
            // The redemption turns everything into money.
            return self.end_plan(ctx, &plan, self.plan_sets(&plan), "resolved");
        }
        let have = self.plan_holdings(&plan);
        let least = have.iter().copied().min().unwrap_or_default();
        let smallest = self.smallest(ctx, &plan);
        let mut latched = false;
        for (i, token) in tokens.iter().enumerate() {
            let extra = have[i].saturating_sub(least).saturating_sub(plan.legs[i].latched);
            if extra >= smallest && !plan.gave_up {
                self.sell_excess(plan.strategy, *token, extra);
                plan.legs[i].latched += extra;
                latched = true;
            }
        }
        if latched {
            plan.unwinding = true;
            plan.stage = Stage::Unwinding;
            self.plans.insert(plan.id, plan);
            for token in tokens {
                self.exits(ctx, token.market(), out);
            }
            return;
        }
        let orders = plan.legs.iter().flat_map(|leg| &leg.orders);
        if orders.filter_map(|id| self.orders.get(*id)).any(|order| !order.settled()) {
            return;
        }
        let pair = matches!(plan.kind, BasketKind::BuyPair | BasketKind::SellPair);
        let sellable = |token: &Token| self.position(plan.strategy, *token).sellable();
        let sets = tokens.iter().map(sellable).min().unwrap_or_default().min(least);
        if pair && !sets.floor_cents().is_zero() {
            return self.merge(ctx, &plan, tokens[0].market(), sets, out);
        }
        let code = match plan.kind {
            _ if plan.gave_up => "carried",
            BasketKind::SellPair => "sold",
            BasketKind::AllYes | BasketKind::AllNo if !least.is_zero() => "held",
            _ if plan.unwinding => "unwound",
            _ => "nothing",
        };
        self.end_plan(ctx, &plan, self.plan_sets(&plan), code);
    }

    /// Shares that a plan's own orders matched per leg, failed settlements taken off.
    fn plan_matched(&self, plan: &Plan) -> Vec<Shares> {
        let got = |leg: &PlanLeg| -> Shares {
            leg.orders.iter().filter_map(|id| self.orders.get(*id)).map(|order| order.matched).sum()
        };
        plan.legs.iter().map(got).collect()
    }

    /// What a plan's own orders leave of each leg: what was bought, or what was split and not sold.
    fn plan_holdings(&self, plan: &Plan) -> Vec<Shares> {
        let matched = self.plan_matched(plan);
        if plan.kind != BasketKind::SellPair {
            return matched;
        }
        matched.into_iter().map(|sold| plan.sets.saturating_sub(sold)).collect()
    }

    /// Complete sets that a plan's own orders reached.
    fn plan_sets(&self, plan: &Plan) -> Shares {
        self.plan_matched(plan).into_iter().min().unwrap_or_default()
    }

    fn merge(
        &mut self,
        ctx: &Context<'_>,
        plan: &Plan,
        market: MarketKey,
        sets: Shares,
        out: &mut Vec<Command>,
    ) {
        // A redemption under way takes the same shares: they turn into money that way.
        if self.sets.values().any(|set| set.market == market && set.action == Conversion::Redeem) {
            return self.end_plan(ctx, plan, Shares::ZERO, "redeemed");
        }
        let action = Conversion::Merge(sets);
        let pending = SetPending {
            strategy: plan.strategy,
            market,
            action,
            plan: Some(plan.id),
            yes_units: 0,
        };
        self.ask_set(pending, out);
        if let Some(plan) = self.plans.get_mut(&plan.id) {
            plan.stage = Stage::Merging;
        }
    }

    /// Takes in the answer to a split or merge of a plan.
    pub(crate) fn plan_set_done(
        &mut self,
        ctx: &Context<'_>,
        id: u64,
        cash: &Cash,
        out: &mut Vec<Command>,
    ) {
        let Some(mut plan) = self.plans.get(&id).cloned() else { return };
        match (plan.stage, cash.kind) {
            (Stage::Splitting, CashKind::Split) => {
                plan.stage = Stage::Sending;
                let strategy = plan.strategy;
                match self.send_legs(ctx, plan.clone(), out) {
                    Ok(sent) => {
                        self.plans.insert(id, sent);
                    }
                    Err(reason) => {
                        // The chance is gone: the sets go back to where they came from.
                        self.deny(strategy, reason);
                        let market = plan.legs[0].leg.token.market();
                        self.merge(ctx, &plan, market, plan.sets, out);
                    }
                }
            }
            (Stage::Splitting, _) => self.end_plan(ctx, &plan, Shares::ZERO, "split_failed"),
            (Stage::Merging, CashKind::Merge) => {
                let merged = cash.shares[0];
                let (code, sets) = match plan.kind {
                    _ if plan.gave_up => ("carried", merged),
                    BasketKind::SellPair if merged >= plan.sets => ("merged_back", Shares::ZERO),
                    BasketKind::SellPair => ("sold", self.plan_sets(&plan)),
                    _ => ("merged", merged),
                };
                self.end_plan(ctx, &plan, sets, code);
            }
            (Stage::Merging, _) => {
                plan.merge_tries += 1;
                if plan.merge_tries >= MERGE_TRIES {
                    return self.end_plan(ctx, &plan, Shares::ZERO, "merge_failed");
                }
                // The timer tries again.
                plan.stage = Stage::Settling;
                self.plans.insert(id, plan);
            }
            _ => {}
        }
    }

    /// Moves on the plans of a market after something settled or failed in it.
    pub(crate) fn plans_touching(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        out: &mut Vec<Command>,
    ) {
        let touches = |plan: &&Plan| plan.legs.iter().any(|leg| leg.leg.token.market() == market);
        let ids: Vec<u64> = self.plans.values().filter(touches).map(|plan| plan.id).collect();
        for id in ids {
            self.plan_step(ctx, id, out);
        }
    }

    /// Looks at every plan, and gives up the ones that stood naked for too long.
    pub(crate) fn plans_due(&mut self, ctx: &Context<'_>, out: &mut Vec<Command>) {
        let ids: Vec<u64> = self.plans.keys().copied().collect();
        for id in ids {
            self.plan_step(ctx, id, out);
            let Some(plan) = self.plans.get(&id).cloned() else { continue };
            let late = plan.started.until(ctx.now) > self.limits.max_naked_time;
            if late && plan.stage == Stage::Unwinding {
                // The excess stays latched for sale; what is complete goes on to its end.
                self.plans.insert(id, Plan { gave_up: true, ..plan });
                self.plan_step(ctx, id, out);
            }
        }
    }

    fn end_plan(&mut self, ctx: &Context<'_>, plan: &Plan, sets: Shares, code: &'static str) {
        self.plans.remove(&plan.id);
        self.plan_ends.push(PlanEnd {
            id: plan.id,
            strategy: plan.strategy,
            kind: plan.kind,
            market: plan.legs[0].leg.token.market(),
            wanted: plan.sets,
            sets,
            expected: plan.expected,
            started: plan.started,
            ended: ctx.now,
            code,
        });
    }
}
