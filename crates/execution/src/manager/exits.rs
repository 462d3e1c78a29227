//! Turns exit intents into orders: takes, resting targets and merges of complete sets.

use std::collections::BTreeMap;

use polydesk_domain::{
    Cause, ClientOrderId, Code, Conversion, ConversionId, ExitReason, MarketKey, NoteLevel, Outbox,
    Outcome, Price, Purpose, RejectReason, Scope, Shares, Side, SignalId, Size, Span, StrategyId,
    Tif, Time, Token, Usdc,
};

use super::{Context, Manager};
use crate::exit::{ExitContext, ExitIntents, Take, Waiting, exit_intents, inside_collar, slice};
use crate::gate::crosses;
use crate::state::{
    Authority, Draft, ExitState, FillKey, OpenBasket, Order, PendingConversion, Tries, concerns,
};

/// Pause after an exit that the gate denied.
const DENIED: Span = Span::secs(1);
/// A resting exit that crosses another exit stays away for so long.
const MAKE_ROOM: Span = Span::secs(3);
/// Fewer complete sets are sold instead of merged.
const LEAST_SETS: Shares = Shares::whole(5);
/// The longest pause between two tries.
const LONGEST: Span = Span::secs(60);
/// An immediate order without an answer does not hold up what it cannot take for longer than this: it rests
/// nowhere, and by then it has arrived or never will.
const UNANSWERED: Span = Span::secs(10);
/// An exit that waits longer than this is reported.
const PATIENCE: Span = Span::secs(60);

/// A holding of a strategy.
type Held = (StrategyId, Token);

/// An order that leaves a holding.
struct ExitOrder {
    reason: ExitReason,
    price: Price,
    size: Shares,
    tif: Tif,
    lots: Vec<FillKey>,
    signal: Option<SignalId>,
}

/// What is on its way out of a holding.
#[derive(Default)]
struct Leaving {
    /// These lots do not rest meanwhile.
    lots: Vec<FillKey>,
    /// More is to be sold as soon as it can be: nothing else takes the shares before.
    waits: bool,
}

impl Manager {
    /// Evaluates every holding of a market.
    pub(crate) fn exits(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        self.forget_exits(market);
        if !ctx.books.usable(market) {
            // A frozen or half-known book gives no price to leave at.
            let memories = self.exit_memory.get_mut(&market).into_iter().flatten();
            memories.for_each(|(_, memory)| memory.interrupted());
            return;
        }
        if self.stopping {
            return;
        }
        if let [held] = *self.state.positions.in_market(market) {
            if let Some(intents) = self.evaluate(ctx, held, out) {
                self.act(ctx, held, intents, Shares::ZERO, out);
            }
            return;
        }
        let held = self.state.positions.in_market(market).to_vec();
        let mut holdings: Vec<(Held, ExitIntents)> = Vec::with_capacity(held.len());
        for held in held {
            holdings.extend(self.evaluate(ctx, held, out).map(|intents| (held, intents)));
        }
        let mut holdings = holdings.into_iter().peekable();
        while let Some((held, intents)) = holdings.next() {
            let other = holdings.next_if(|(other, _)| other.0 == held.0);
            let Some((other, its_intents)) = other else {
                self.act(ctx, held, intents, Shares::ZERO, out);
                continue;
            };
            // A strategy with both outcomes: what can be merged is not sold.
            let both = [&intents, &its_intents];
            let kept = self.merge_first(ctx, [held, other], both, out);
            self.act(ctx, held, intents, kept, out);
            self.act(ctx, other, its_intents, kept, out);
        }
    }

    /// Forgets the books of what is not held any more.
    pub(super) fn forget_exits(&mut self, market: MarketKey) {
        let positions = &self.state.positions;
        if !positions.occupied(market) {
            self.exit_memory.remove(&market);
        } else if let Some(memories) = self.exit_memory.get_mut(&market) {
            memories.retain(|(strategy, token), _| positions.get(*strategy, *token).is_some());
        }
    }

    /// What a holding wants now; `None` while nothing can be done for it.
    fn evaluate(&mut self, ctx: &Context<'_>, held: Held, out: &mut Outbox) -> Option<ExitIntents> {
        let (strategy, token) = held;
        let exit_ctx = exit_context(ctx, token)?;
        self.tidy_exit(ctx.now, held, exit_ctx.min_size);
        let holding = self.state.positions.get(strategy, token)?;
        let memories = self.exit_memory.entry(token.market()).or_default();
        let memory = memories.entry(held).or_default();
        let sizes = (exit_ctx.min_size, holding.held());
        let stands = self.limits.exit_depth_time;
        memory.observe(ctx.now, exit_ctx.book, token.outcome(), sizes, stands);
        let none = ExitState::default();
        let exit = self.state.positions.exit(strategy, token).unwrap_or(&none);
        let mut intents = exit_intents(holding, exit, memory, token, &exit_ctx);
        memory.broken = core::mem::take(&mut intents.broken);
        if intents.takes.is_empty() {
            memory.waiting = None;
        }
        let wanted = |of: &Authority| intents.takes.iter().any(|take| take.authority() == *of);
        let forgets = !exit.tries.keys().all(wanted);
        for (lot, high) in &intents.highs {
            self.state.positions.raise(strategy, token, *lot, *high);
        }
        if forgets {
            // Retries of an intent that is gone do not delay the next one.
            self.state.positions.change_exit(strategy, token, |exit| {
                exit.tries.retain(|authority, _| wanted(authority));
            });
        }
        if let Some(code) = self.closed_for_exits(ctx, token) {
            if let Some(take) = intents.takes.first() {
                self.wait(ctx, held, take, code, out);
            }
            return None;
        }
        Some(intents)
    }

    /// Does what a holding wants, but for the shares that are kept to be merged.
    fn act(
        &mut self,
        ctx: &Context<'_>,
        held: Held,
        intents: ExitIntents,
        kept: Shares,
        out: &mut Outbox,
    ) {
        let leaving = self.take(ctx, held, &intents.takes, kept, out);
        self.rest(ctx, held, intents.rests, leaving, out);
    }

    /// Merges what a strategy wants to sell of one outcome with what it holds of the other: a set is a dollar,
    /// while both bids together are less. Returns what both sides keep until it can be merged.
    ///
    /// If both want out, what holds their shares is cancelled for it; if one does, only free shares of the other
    /// are taken.
    fn merge_first(
        &mut self,
        ctx: &Context<'_>,
        both: [Held; 2],
        intents: [&ExitIntents; 2],
        out: &mut Outbox,
    ) -> Shares {
        let (strategy, token) = both[0];
        let market = token.market();
        let none = Shares::ZERO;
        let free = both.map(|(strategy, token)| self.position(strategy, token).sellable());
        let mut wanted = intents.map(ExitIntents::leaving);
        for (wanted, held) in wanted.iter_mut().zip(both) {
            *wanted = wanted.saturating_sub(self.merging(held));
        }
        let sets = match wanted {
            [yes, no] if yes.is_zero() => no.min(free[0]),
            [yes, no] if no.is_zero() => yes.min(free[1]),
            [yes, no] => yes.min(no),
        };
        let least = ctx.universe.market(market).min_size.max(LEAST_SETS);
        let sets = sets.floor_cents();
        if sets < least {
            return none;
        }
        let mine = |basket: &OpenBasket| basket.strategy == strategy && basket.touches(market);
        if self.state.baskets.values().any(|basket| mine(basket) && !basket.gave_up) {
            // A basket merges what it holds itself.
            return none;
        }
        let memory = self.exit_memory.get(&market).and_then(|all| all.get(&both[0]));
        if memory.is_some_and(|memory| ctx.now < memory.merges.1) {
            return none;
        }
        let takes = |pending: &&PendingConversion| {
            pending.market == market && pending.takes() != Some(none)
        };
        let under_way = self.state.conversions.values().find(takes).map(|of| of.asked_at);
        if let Some(asked_at) = under_way {
            // One merge at a time; a lost answer does not hold up the others for ever.
            return if asked_at.until(ctx.now) < PATIENCE { sets } else { none };
        }
        let now = sets.min(free[0]).min(free[1]).floor_cents();
        if now < least {
            for ((held, intents), free) in both.into_iter().zip(intents).zip(free) {
                let missing = sets.saturating_sub(free);
                if let (Some(take), false) = (intents.takes.first(), missing.is_zero()) {
                    self.free_shares(ctx, held, take, missing, out);
                }
            }
            return sets;
        }
        let id = self.convert(ctx, strategy, market, Conversion::Merge(now), None, 0, out);
        for ((strategy, token), intents) in both.into_iter().zip(intents) {
            let lots: Vec<FillKey> =
                intents.takes.iter().flat_map(|take| take.lots.iter().copied()).collect();
            self.state.positions.change_exit(strategy, token, |exit| {
                exit.orders.insert(ClientOrderId(id.0), lots);
            });
        }
        sets.saturating_sub(now)
    }

    /// Shares that merges asked for by exits take of a holding.
    fn merging(&self, (strategy, token): Held) -> Shares {
        let Some(exit) = self.state.positions.exit(strategy, token) else { return Shares::ZERO };
        let merges = exit.orders.keys().map(|id| ConversionId(id.0));
        let merges = merges.filter_map(|id| self.state.conversions.get(&id));
        merges.filter_map(PendingConversion::takes).sum()
    }

    /// A merge that exits asked for was answered: one that failed is tried again after a growing pause, and
    /// what it was to take is sold meanwhile.
    pub(super) fn merge_answered(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        market: MarketKey,
        done: bool,
    ) {
        let held = (strategy, market.token(Outcome::Yes));
        let memory = self.exit_memory.get_mut(&market).and_then(|all| all.get_mut(&held));
        let Some(memory) = memory else { return };
        memory.merges = match done {
            true => (0, Time::MIN),
            false => {
                let failed = memory.merges.0.saturating_add(1);
                (failed, ctx.now + Span::secs(60 << (failed - 1).min(6)))
            }
        };
    }

    /// Forgets exit orders that are over, and what was asked for and cannot be sold or is not wanted any more.
    fn tidy_exit(&mut self, now: Time, (strategy, token): Held, min_size: Shares) {
        let (orders, conversions) = (&self.state.orders, &self.state.conversions);
        let open = |id: &ClientOrderId| {
            orders.get(*id).is_some_and(Order::open)
                || conversions.contains_key(&ConversionId(id.0))
        };
        let Some(exit) = self.state.positions.exit(strategy, token) else { return };
        let dust = exit.pending.values().filter(|pending| pending.shares < min_size).count();
        let live = exit.pending.values().all(|pending| pending.live(now));
        if dust == 0 && live && exit.orders.keys().all(open) {
            return;
        }
        if dust > 0 {
            *self.counts.exit_waits.entry(Code::literal("dust_left")).or_default() += dust as u64;
        }
        self.state.positions.change_exit(strategy, token, |exit| {
            exit.orders.retain(|id, _| open(id));
            exit.pending.retain(|_, pending| pending.shares >= min_size && pending.live(now));
        });
    }

    /// The open exit orders of a holding.
    fn exit_orders(&self, (strategy, token): Held) -> impl Iterator<Item = &Order> {
        let exit = self.state.positions.exit(strategy, token);
        let ids = exit.into_iter().flat_map(|exit| exit.orders.keys());
        ids.filter_map(|id| self.state.orders.get(*id)).filter(|order| order.open())
    }

    /// Sells into the bids for the highest authority that finds any.
    fn take(
        &mut self,
        ctx: &Context<'_>,
        held: Held,
        takes: &[Take],
        kept: Shares,
        out: &mut Outbox,
    ) -> Leaving {
        let (strategy, token) = held;
        let Some(exit_ctx) = exit_context(ctx, token) else { return Leaving::default() };
        if let Some(order) = self.exit_orders(held).find(|order| under_way(order, ctx.now)) {
            // One at a time: what it leaves is known when it is over. One that is never answered keeps its own
            // shares and no others.
            let exit = self.state.positions.exit(strategy, token);
            let lots = exit.and_then(|exit| exit.orders.get(&order.id)).cloned();
            return Leaving { lots: lots.unwrap_or_default(), waits: false };
        }
        if takes.is_empty() {
            return Leaving::default();
        }
        let resting = self.exit_orders(held).filter(|order| order.tif.rests());
        let resting: Vec<(ClientOrderId, Price)> =
            resting.map(|order| (order.id, order.price)).collect();
        let exit = self.state.positions.exit(strategy, token);
        let tries = exit.map(|exit| exit.tries.clone()).unwrap_or_default();
        let paced = exit.and_then(|exit| exit.taken_at).map(|at| at + ExitState::PACE);
        if paced.is_some_and(|at| ctx.now < at) {
            let lots = takes.first().map(|take| take.lots.clone()).unwrap_or_default();
            return Leaving { lots, waits: true };
        }
        let mut first_wait = None;
        for take in takes {
            // A resting target that is reached is about to be filled, without a fee.
            let reached = take.reason == ExitReason::TakeProfit;
            if reached && resting.iter().any(|(_, price)| *price == take.floor) {
                continue;
            }
            let tries = tries.get(&take.authority()).copied().unwrap_or_default();
            if tries.again_at.is_some_and(|at| ctx.now < at) {
                continue;
            }
            let count = tries.count.min(self.limits.exit_tries);
            let memory = self.exit_memory.get(&token.market()).and_then(|all| all.get(&held));
            let Some(memory) = memory else { break };
            let (outcome, limits) = (token.outcome(), &self.limits);
            let (price, size) = match slice(take, memory, outcome, &exit_ctx, limits, count) {
                Ok(slice) => slice,
                Err(code) => {
                    first_wait = first_wait.or(Some((take, code)));
                    continue;
                }
            };
            let size = size.min(take.shares.saturating_sub(kept + self.merging(held)));
            let sellable = self.position(strategy, token).sellable().saturating_sub(kept);
            let missing = size.saturating_sub(sellable);
            let freed = !missing.is_zero() && self.free_shares(ctx, held, take, missing, out);
            let (lots, size) = (take.lots.clone(), size.min(sellable).floor_cents());
            if size < exit_ctx.min_size || price.notional_floor(size) < Usdc::whole(1) {
                let code = match freed {
                    _ if !kept.is_zero() => "sets_to_be_merged",
                    true => "shares_in_own_orders",
                    false => "shares_in_conversion",
                };
                self.wait(ctx, held, take, code, out);
                return Leaving { lots, waits: true };
            }
            if self.cancel_crossing(ctx, token, price, out) {
                self.wait(ctx, held, take, "own_order_crosses", out);
                return Leaving { lots, waits: true };
            }
            let (reason, tif) = (take.reason, Tif::Fak);
            let order =
                ExitOrder { reason, price, size, tif, lots: lots.clone(), signal: take.signal };
            self.sell(ctx, held, order, out);
            self.sells(held);
            return Leaving { lots, waits: freed };
        }
        if let Some((take, code)) = first_wait {
            self.wait(ctx, held, take, code, out);
        }
        Leaving::default()
    }

    /// Cancels what holds shares that an exit needs: orders for the same lots first, then other sales of the
    /// strategy, then what rests for other lots. Returns whether anything holds them.
    fn free_shares(
        &mut self,
        ctx: &Context<'_>,
        held: Held,
        take: &Take,
        mut missing: Shares,
        out: &mut Outbox,
    ) -> bool {
        let (strategy, token) = held;
        let exit = self.state.positions.exit(strategy, token);
        let rank = |order: &Order| match exit.and_then(|exit| exit.orders.get(&order.id)) {
            Some(lots) if lots.iter().any(|lot| take.lots.contains(lot)) => 0,
            None => 1,
            Some(_) => 2,
        };
        let mut holders: Vec<(u8, ClientOrderId, Purpose, Shares)> = self
            .state
            .orders
            .open_in(token.market())
            .filter(|order| order.strategy == strategy && order.token == token)
            .map(|order| (rank(order), order.id, order.purpose, order.remaining_offer()))
            .filter(|(.., offer)| !offer.is_zero())
            .collect();
        holders.sort_by_key(|(rank, id, ..)| (*rank, *id));
        let any = !holders.is_empty();
        for (_, id, purpose, offer) in holders {
            if missing.is_zero() {
                break;
            }
            missing = missing.saturating_sub(offer);
            if purpose == Purpose::Quote {
                // It would be put back at once.
                self.quote_ended(strategy, id, true);
            }
            self.cancel(ctx.now, id, out);
        }
        any
    }

    /// Keeps one order resting at every target, for all lots that wait there.
    fn rest(
        &mut self,
        ctx: &Context<'_>,
        held: Held,
        mut targets: BTreeMap<Price, Vec<(FillKey, Shares)>>,
        leaving: Leaving,
        out: &mut Outbox,
    ) {
        let (strategy, token) = held;
        let min_size = ctx.universe.market(token.market()).min_size;
        let exit = self.state.positions.exit(strategy, token);
        let paused = exit.and_then(|exit| exit.rest_tries.again_at).is_some_and(|at| ctx.now < at);
        for lots in targets.values_mut() {
            lots.retain(|(lot, _)| !leaving.lots.contains(lot));
        }
        targets.retain(|_, lots| !lots.is_empty());
        gather_crumbs(&mut targets, min_size);
        let resting: Vec<(ClientOrderId, Price, Shares)> = self
            .exit_orders(held)
            .filter(|order| order.tif.rests())
            .map(|order| (order.id, order.price, order.remaining_offer()))
            .collect();
        for (id, price, offered) in &resting {
            let wanted: Shares =
                targets.get(price).into_iter().flatten().map(|(_, shares)| *shares).sum();
            // Replaced only for a better reason than a few shares: a new order goes to the back.
            let grown = wanted.saturating_sub(*offered) >= min_size;
            if grown || *offered > wanted {
                self.cancel(ctx.now, *id, out);
            }
        }
        for (price, lots) in targets {
            if paused || leaving.waits || resting.iter().any(|(_, at, _)| *at == price) {
                continue;
            }
            let shares: Shares = lots.iter().map(|(_, shares)| *shares).sum();
            let size = shares.min(self.position(strategy, token).sellable()).floor_cents();
            if size < min_size {
                // Dust waits for company, or for the resolution.
                continue;
            }
            if self.cancel_crossing(ctx, token, price, out) {
                continue;
            }
            let lots = lots.into_iter().map(|(lot, _)| lot).collect();
            let reason = ExitReason::TakeProfit;
            self.sell(
                ctx,
                held,
                ExitOrder { reason, price, size, tif: Tif::Gtc, lots, signal: None },
                out,
            );
        }
    }

    fn sell(&mut self, ctx: &Context<'_>, held: Held, order: ExitOrder, out: &mut Outbox) {
        let (strategy, token) = held;
        let ExitOrder { reason, price, size, tif, lots, signal } = order;
        let draft = Draft {
            strategy,
            signal,
            purpose: Purpose::Exit(reason),
            token,
            side: Side::Sell,
            price,
            size: Size::Shares(size),
            tif,
            post_only: tif.rests(),
            placed_at: ctx.now,
            expires: Time::MAX,
        };
        let id = self.submit(ctx, draft.order(), out);
        self.state.positions.change_exit(strategy, token, |exit| {
            if !tif.rests() {
                exit.taken_at = Some(ctx.now);
            }
            match id {
                Some(id) => drop(exit.orders.insert(id, lots)),
                None if tif.rests() => exit.rest_tries.again_at = Some(ctx.now + DENIED),
                None => {
                    let tries = exit.tries.entry(Authority::of(reason)).or_default();
                    tries.again_at = Some(ctx.now + DENIED);
                }
            }
        });
    }

    /// The lowest price at which a strategy's own order may sell a holding, or the code of why none is known.
    pub(super) fn strategy_floor(
        &self,
        ctx: &Context<'_>,
        held: Held,
    ) -> Result<Price, &'static str> {
        let exit_ctx = exit_context(ctx, held.1).ok_or("no_book")?;
        let memory = self.exit_memory.get(&held.1.market()).and_then(|all| all.get(&held));
        let memory = memory.ok_or("no_recent_price")?;
        inside_collar(memory, held.1.outcome(), &exit_ctx, self.limits.exit_collar)
    }

    /// An exit never trades with our own orders: those go first and stay away until it is through.
    ///
    /// A quote that crosses is not wanted any more; a resting exit of the other outcome waits a while.
    pub(super) fn cancel_crossing(
        &mut self,
        ctx: &Context<'_>,
        token: Token,
        price: Price,
        out: &mut Outbox,
    ) -> bool {
        let own: Vec<(ClientOrderId, StrategyId, Token, Purpose)> = self
            .state
            .orders
            .open_in(token.market())
            .filter(|o| crosses(token, Side::Sell, price, o.token, o.side, o.price))
            .filter(|o| o.tif.rests() || under_way(o, ctx.now))
            .map(|o| (o.id, o.strategy, o.token, o.purpose))
            .collect();
        for (id, owner, of, purpose) in &own {
            match purpose {
                Purpose::Quote => self.quote_ended(*owner, *id, true),
                Purpose::Exit(_) => {
                    self.state.positions.change_exit(*owner, *of, |exit| {
                        exit.rest_tries.again_at = Some(ctx.now + MAKE_ROOM);
                    });
                }
                Purpose::Trade | Purpose::Leg(_) | Purpose::External => {}
            }
            self.cancel(ctx.now, *id, out);
        }
        !own.is_empty()
    }

    /// Why no order may leave for a token at all, exits neither.
    fn closed_for_exits(&self, ctx: &Context<'_>, token: Token) -> Option<&'static str> {
        let market = token.market();
        if !ctx.states.get(market.index()).is_some_and(|state| state.trades()) {
            return Some("market_not_open");
        }
        let closes =
            |cause: &&Cause| cause.scope() == Scope::Orders && concerns(cause, market, token);
        self.state.blockers.keys().find(closes).map(Cause::code)
    }

    /// Something is sold: nothing waits.
    fn sells(&mut self, held: Held) {
        if let Some(memory) = self.exit_memory.get_mut(&held.1.market())
            && let Some(memory) = memory.get_mut(&held)
        {
            memory.waiting = None;
        }
    }

    /// Counts an exit that has to wait, once a second, and reports it when it waits for long.
    fn wait(
        &mut self,
        ctx: &Context<'_>,
        held: Held,
        take: &Take,
        code: &'static str,
        out: &mut Outbox,
    ) {
        let (now, code) = (ctx.now, Code::literal(code));
        let memory = self.exit_memory.get_mut(&held.1.market()).and_then(|all| all.get_mut(&held));
        let Some(memory) = memory else { return };
        let waiting = memory.waiting.unwrap_or(Waiting {
            code,
            since: now,
            counted_at: Time::MIN,
            noted: false,
        });
        let again = waiting.code != code || waiting.counted_at.until(now) >= Span::secs(1);
        let late = waiting.since.until(now) >= PATIENCE && take.authority() > Authority::Strategy;
        let note = late && !waiting.noted && code != *"dust";
        memory.waiting = Some(Waiting {
            code,
            since: waiting.since,
            counted_at: if again { now } else { waiting.counted_at },
            noted: waiting.noted || note,
        });
        if again {
            *self.counts.exit_waits.entry(code).or_default() += 1;
        }
        if note {
            let text = format!(
                "{} of {} waits since {} to sell {} of token {}: {code}",
                take.reason.name(),
                held.0,
                waiting.since,
                take.shares,
                ctx.universe.token_id(held.1)
            );
            out.note(NoteLevel::Warning, "exit_waits", text);
        }
    }

    /// An exit order ended. An immediate one without a fill is repeated at once so many times, then after a
    /// growing pause; what was refused for another reason after a growing pause from the start.
    pub(super) fn exit_ended(
        &mut self,
        ctx: &Context<'_>,
        id: ClientOrderId,
        refusal: Option<&RejectReason>,
        out: &mut Outbox,
    ) {
        let Some(order) = self.state.orders.get(id) else { return };
        let (strategy, token, purpose) = (order.strategy, order.token, order.purpose);
        let Purpose::Exit(reason) = purpose else { return };
        let in_vain = order.matched.is_zero() && order.missing().is_zero();
        let killed = refusal.is_none_or(|reason| {
            matches!(reason, RejectReason::FakKilled | RejectReason::FokKilled)
        });
        let (rested, quick, now) = (order.tif.rests(), self.limits.exit_tries, ctx.now);
        let mut exhausted = false;
        self.state.positions.change_exit(strategy, token, |exit| {
            let authority = Authority::of(reason);
            if !exit.orders.contains_key(&id) {
                // A strategy's own order: its tries are its own.
                let tries = &mut exit.own_tries;
                if !in_vain || refusal.is_none() {
                    *tries = Tries::default();
                    return;
                }
                tries.count = tries.count.saturating_add(1);
                let slow = if killed { tries.count.saturating_sub(2) } else { tries.count };
                let pause = if slow == 0 { ExitState::PACE } else { Span::secs(1 << slow.min(6)) };
                tries.again_at = Some(now + pause);
                return;
            }
            if !rested && !in_vain {
                exit.tries.remove(&authority);
                return;
            }
            let tries = match rested {
                true => &mut exit.rest_tries,
                false => exit.tries.entry(authority).or_default(),
            };
            if rested && (!in_vain || refusal.is_none()) {
                // A pause that makes room for another exit is kept.
                let again_at = tries.again_at.filter(|at| *at > now);
                *tries = Tries { again_at, ..Tries::default() };
                return;
            }
            tries.count = tries.count.saturating_add(1);
            let slow =
                if killed && !rested { tries.count.saturating_sub(quick) } else { tries.count };
            let pause = if slow == 0 { ExitState::PACE } else { Span::secs(1 << slow.min(6)) };
            tries.again_at = Some(now + pause.min(LONGEST));
            exhausted = killed && !rested && slow == 1;
        });
        if exhausted {
            let text = format!(
                "{} of {strategy} had no fill for token {} {} times: it is retried more slowly",
                reason.name(),
                ctx.universe.token_id(token),
                quick + 1
            );
            out.note(NoteLevel::Warning, "exit_finds_nobody", text);
        }
    }
}

/// Whether an immediate order may still arrive.
fn under_way(order: &Order, now: Time) -> bool {
    !order.tif.rests() && order.placed_at.until(now) < UNANSWERED
}

/// What an exit looks at.
fn exit_context<'a>(ctx: &Context<'a>, token: Token) -> Option<ExitContext<'a>> {
    let book = ctx.books.get(token.market())?;
    let market = ctx.universe.get(token.market())?;
    let to_close = market.closes.map(|closes| ctx.now.until(closes));
    Some(ExitContext { now: ctx.now, book, to_close, min_size: market.min_size })
}

/// Lots too few to rest at their target wait at the next higher one.
fn gather_crumbs(targets: &mut BTreeMap<Price, Vec<(FillKey, Shares)>>, min_size: Shares) {
    let mut crumbs = Vec::new();
    let last = targets.keys().next_back().copied();
    targets.retain(|price, lots| {
        lots.append(&mut crumbs);
        let shares: Shares = lots.iter().map(|(_, shares)| *shares).sum();
        let few = shares < min_size && Some(*price) != last;
        if few {
            crumbs.append(lots);
        }
        !few
    });
}
