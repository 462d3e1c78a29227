//! Turns what the lots of a holding want into orders that leave it.

use std::collections::BTreeMap;

use polydesk_domain::{
    ClientOrderId, Code, ExitReason, MarketKey, Outbox, Price, Purpose, Shares, Side, Size, Span,
    StrategyId, Tif, Time, Token,
};

use super::{Context, Manager};
use crate::exit::{ExitContext, Take, exit_intents, slice};
use crate::gate::crosses;
use crate::state::{Draft, FillKey, Order};

/// A holding of a strategy.
type Held = (StrategyId, Token);

/// An order that leaves a holding.
struct ExitOrder {
    reason: ExitReason,
    price: Price,
    size: Shares,
    tif: Tif,
    lots: Vec<FillKey>,
}

impl Manager {
    /// Evaluates every holding of a market.
    pub(crate) fn exits(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        self.forget_exits(market);
        if !ctx.books.trusted(market) {
            // A frozen or half-known book gives no price to leave at.
            let memories = self.exit_memory.get_mut(&market).into_iter().flatten();
            memories.for_each(|(_, memory)| memory.interrupted());
            return;
        }
        if self.stopping {
            return;
        }
        for held in self.state.positions.in_market(market).to_vec() {
            self.exit(ctx, held, out);
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

    fn exit(&mut self, ctx: &Context<'_>, held: Held, out: &mut Outbox) {
        let (strategy, token) = held;
        let Some(book) = ctx.books.get(token.market()) else { return };
        let market = ctx.universe.market(token.market());
        self.tidy_exit(held, market.min_size);
        let to_close = market.closes.map(|closes| ctx.now.until(closes));
        let exit_ctx = ExitContext { now: ctx.now, book, to_close, min_size: market.min_size };
        let Some(holding) = self.state.positions.get(strategy, token) else { return };
        let memories = self.exit_memory.entry(token.market()).or_default();
        let memory = memories.entry(held).or_default();
        let sizes = (market.min_size, holding.held());
        memory.observe(ctx.now, book, token.outcome(), sizes, self.limits.exit_depth_time);
        let exit = self.state.positions.exit(strategy, token).cloned().unwrap_or_default();
        let intents = exit_intents(holding, &exit, memory, token, &exit_ctx);
        memory.broken = intents.broken;
        for (lot, high) in &intents.highs {
            self.state.positions.raise(strategy, token, *lot, *high);
        }
        if exit.retry_at.is_some_and(|at| ctx.now < at) {
            return;
        }
        let leaving = self.take(ctx, held, &intents.takes, &exit_ctx, out);
        self.rest(ctx, held, intents.rests, &leaving, out);
    }

    /// Forgets exit orders that are over, and what was asked for and cannot be sold: it would keep the lots'
    /// own plans from working.
    fn tidy_exit(&mut self, (strategy, token): Held, min_size: Shares) {
        let orders = &self.state.orders;
        let open = |id: &ClientOrderId| orders.get(*id).is_some_and(Order::open);
        let Some(exit) = self.state.positions.exit(strategy, token) else { return };
        let dust = exit.pending.values().filter(|pending| pending.shares < min_size).count();
        if dust == 0 && exit.orders.keys().all(open) {
            return;
        }
        if dust > 0 {
            *self.counts.exit_waits.entry(Code::literal("dust_left")).or_default() += dust as u64;
        }
        self.state.positions.change_exit(strategy, token, |exit| {
            exit.orders.retain(|id, _| open(id));
            exit.pending.retain(|_, pending| pending.shares >= min_size);
        });
    }

    /// The open exit orders of a holding.
    fn exit_orders(&self, (strategy, token): Held) -> Vec<&Order> {
        let exit = self.state.positions.exit(strategy, token);
        let ids = exit.into_iter().flat_map(|exit| exit.orders.keys());
        ids.filter_map(|id| self.state.orders.get(*id)).filter(|order| order.open()).collect()
    }

    /// Sells into the bids for the highest authority that finds any. Returns the lots that are on their way
    /// out: they do not rest meanwhile.
    fn take(
        &mut self,
        ctx: &Context<'_>,
        held: Held,
        takes: &[Take],
        exit_ctx: &ExitContext<'_>,
        out: &mut Outbox,
    ) -> Vec<FillKey> {
        let (strategy, token) = held;
        let open = self.exit_orders(held);
        if let Some(order) = open.iter().find(|order| !order.tif.rests()) {
            // One at a time: what it leaves is known when it is over.
            let exit = self.state.positions.exit(strategy, token);
            return exit.and_then(|exit| exit.orders.get(&order.id)).cloned().unwrap_or_default();
        }
        let resting: Vec<(ClientOrderId, Price)> =
            open.iter().map(|order| (order.id, order.price)).collect();
        for take in takes {
            // A resting target that is reached is about to be filled, without a fee.
            let reached = take.reason == ExitReason::TakeProfit;
            if reached && resting.iter().any(|(_, price)| *price == take.floor) {
                continue;
            }
            let memory = self.exit_memory.get(&token.market()).and_then(|all| all.get(&held));
            let Some(memory) = memory else { return Vec::new() };
            let (price, size) = match slice(take, memory, token.outcome(), exit_ctx, &self.limits) {
                Ok(slice) => slice,
                Err(code) => {
                    self.wait(held, code, ctx);
                    continue;
                }
            };
            let sellable = self.position(strategy, token).sellable();
            if !resting.is_empty() && sellable < size {
                for (id, _) in &resting {
                    self.cancel(ctx.now, *id, out);
                }
                return take.lots.clone();
            }
            let size = size.min(sellable).floor_cents();
            let (reason, lots) = (take.reason, take.lots.clone());
            let order = ExitOrder { reason, price, size, tif: Tif::Fak, lots };
            self.sell(ctx, held, order, out);
            return take.lots.clone();
        }
        Vec::new()
    }

    /// Keeps one order resting at every target, for all lots that wait there.
    fn rest(
        &mut self,
        ctx: &Context<'_>,
        held: Held,
        mut targets: BTreeMap<Price, Vec<(FillKey, Shares)>>,
        leaving: &[FillKey],
        out: &mut Outbox,
    ) {
        let (strategy, token) = held;
        let min_size = ctx.universe.market(token.market()).min_size;
        for lots in targets.values_mut() {
            lots.retain(|(lot, _)| !leaving.contains(lot));
        }
        targets.retain(|_, lots| !lots.is_empty());
        gather_crumbs(&mut targets, min_size);
        let resting: Vec<(ClientOrderId, Price, Shares)> = self
            .exit_orders(held)
            .iter()
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
            if resting.iter().any(|(_, at, _)| *at == price) {
                continue;
            }
            let shares: Shares = lots.iter().map(|(_, shares)| *shares).sum();
            let size = shares.min(self.position(strategy, token).sellable()).floor_cents();
            if size < min_size {
                // Dust waits for company, or for the resolution.
                continue;
            }
            let lots = lots.into_iter().map(|(lot, _)| lot).collect();
            let reason = ExitReason::TakeProfit;
            self.sell(ctx, held, ExitOrder { reason, price, size, tif: Tif::Gtc, lots }, out);
        }
    }

    fn sell(&mut self, ctx: &Context<'_>, held: Held, order: ExitOrder, out: &mut Outbox) {
        let (strategy, token) = held;
        let ExitOrder { reason, price, size, tif, lots } = order;
        if size < ctx.universe.market(token.market()).min_size {
            return self.wait(held, "dust", ctx);
        }
        if self.cancel_crossing(ctx, token, price, out) {
            return self.wait(held, "own_order_crosses", ctx);
        }
        let draft = Draft {
            strategy,
            signal: None,
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
        self.state.positions.change_exit(strategy, token, |exit| match id {
            Some(id) => drop(exit.orders.insert(id, lots)),
            None => exit.retry_at = Some(ctx.now + Span::secs(1)),
        });
    }

    /// An exit never trades with our own orders: those go first and stay away until it is through.
    ///
    /// A quote that crosses is not wanted any more; a resting exit of the other outcome waits a while.
    fn cancel_crossing(
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
            .map(|o| (o.id, o.strategy, o.token, o.purpose))
            .collect();
        for (id, owner, of, purpose) in &own {
            match purpose {
                Purpose::Quote => self.quote_ended(*owner, *id, true),
                Purpose::Exit(_) => {
                    self.state.positions.change_exit(*owner, *of, |exit| {
                        exit.retry_at = Some(ctx.now + Span::secs(3));
                    });
                }
                Purpose::Trade | Purpose::Leg(_) | Purpose::External => {}
            }
            self.cancel(ctx.now, *id, out);
        }
        !own.is_empty()
    }

    /// Counts an exit that cannot be made now and tries again in a second.
    fn wait(&mut self, (strategy, token): Held, code: &'static str, ctx: &Context<'_>) {
        *self.counts.exit_waits.entry(Code::literal(code)).or_default() += 1;
        self.state.positions.change_exit(strategy, token, |exit| {
            exit.retry_at = Some(ctx.now + Span::secs(1));
        });
    }

    /// An exit order ended: one that found nobody is tried again after a growing pause.
    pub(super) fn exit_ended(&mut self, ctx: &Context<'_>, id: ClientOrderId, refused: bool) {
        let Some(order) = self.state.orders.get(id) else { return };
        let (strategy, token) = (order.strategy, order.token);
        let in_vain = order.matched.is_zero() && order.missing().is_zero();
        let rested = order.tif.rests();
        self.state.positions.change_exit(strategy, token, |exit| {
            if in_vain && (!rested || refused) {
                exit.retries = (exit.retries + 1).min(6);
                exit.retry_at = Some(ctx.now + Span::secs(1 << exit.retries));
            } else {
                exit.retries = 0;
                // A pause that makes room for another exit is kept.
                exit.retry_at = exit.retry_at.filter(|at| *at > ctx.now);
            }
        });
    }
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
