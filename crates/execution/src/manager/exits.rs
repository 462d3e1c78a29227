//! Turns what a holding's exit plans want into orders that leave it.

use polydesk_domain::{
    ClientOrderId, Code, ExitReason, MarketKey, Outbox, Price, Purpose, Shares, Side, Size, Span,
    StrategyId, Tif, Time, Token, Usdc,
};

use super::{Context, Manager};
use crate::exit::{ExitContext, ExitIntent, exit_intent};
use crate::gate::crosses;
use crate::state::Draft;

impl Manager {
    /// Evaluates every holding of a market.
    pub(crate) fn exits(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        if self.stopping || !ctx.books.trusted(market) {
            // A frozen or half-known book gives no price to leave at.
            return;
        }
        for (strategy, token) in self.state.positions.in_market(market).to_vec() {
            self.exit(ctx, strategy, token, out);
        }
    }

    fn exit(&mut self, ctx: &Context<'_>, strategy: StrategyId, token: Token, out: &mut Outbox) {
        let Some(book) = ctx.books.get(token.market()) else { return };
        let market = ctx.universe.market(token.market());
        let to_close = market.closes.map(|closes| ctx.now.until(closes));
        let exit_ctx = ExitContext { now: ctx.now, book, to_close };
        let sellable = self.position(strategy, token).sellable();
        let pending = self.state.positions.pending_exit(strategy, token);
        if pending.is_some_and(|pending| pending.shares < market.min_size) {
            // What cannot be sold would keep the lots' own plans from working.
            self.state.positions.change_exit(strategy, token, |exit| exit.pending = None);
            *self.counts.exit_waits.entry(Code::literal("dust_left")).or_default() += 1;
        }
        let Some(holding) = self.state.positions.get(strategy, token) else { return };
        let exit = self.state.positions.exit(strategy, token).cloned().unwrap_or_default();
        let (intent, high) = exit_intent(holding, &exit, token, &exit_ctx);
        if high != exit.high {
            self.state.positions.change_exit(strategy, token, |exit| exit.high = high);
        }
        let waits = exit.retry_at.is_some_and(|at| ctx.now < at);
        let existing =
            exit.order.and_then(|id| self.state.orders.get(id)).filter(|order| order.open());
        let existing =
            existing.map(|order| (order.id, order.price, order.tif, order.remaining_offer()));
        match (intent, existing) {
            (ExitIntent::Stay, _) => {}
            (ExitIntent::Rest { price, shares }, Some((id, at, _, offered))) => {
                // Replaced only for a better reason than a few shares: a new order goes to the back.
                let grown = shares.saturating_sub(offered) >= market.min_size;
                if at != price || grown {
                    self.cancel(ctx.now, id, out);
                }
            }
            (ExitIntent::Rest { price, shares }, None) if !waits => {
                let size = shares.min(sellable).floor_cents();
                self.sell(ctx, strategy, token, price, size, Tif::Gtc, ExitReason::TakeProfit, out);
            }
            // A resting target that is reached is about to be filled, without a fee.
            (
                ExitIntent::Take { reason: ExitReason::TakeProfit, floor, .. },
                Some((_, at, tif, _)),
            ) if tif.rests() && at == floor => {}
            (ExitIntent::Take { .. }, Some((id, _, tif, _))) if tif.rests() => {
                self.cancel(ctx.now, id, out);
            }
            (ExitIntent::Take { reason, floor, shares }, None) if !waits => {
                let size = shares.min(sellable).floor_cents();
                let lowest = Price::new(book.tick().units()).unwrap_or(Price::ONE);
                let walk = book.walk(token.outcome(), Side::Sell, floor.max(lowest), size);
                if walk.shares.is_zero() {
                    return self.wait(strategy, token, "no_bid_above_floor", ctx);
                }
                // Immediate orders below a dollar are refused: dust waits for the resolution.
                if walk.notional < Usdc::whole(1) {
                    return self.wait(strategy, token, "dust", ctx);
                }
                // A little below the last level needed: lower would only meet our own bids further down.
                let give = 2 * book.tick().units();
                let near = walk.worst.map_or(0, |worst| worst.units().saturating_sub(give));
                let limit = floor.max(lowest).max(Price::new(near).unwrap_or(lowest));
                let limit = aligned(limit, book.tick().units());
                self.sell(ctx, strategy, token, limit, size, Tif::Fak, reason, out);
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an exit order is all of these")]
    fn sell(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        token: Token,
        price: Price,
        size: Shares,
        tif: Tif,
        reason: ExitReason,
        out: &mut Outbox,
    ) {
        if size < ctx.universe.market(token.market()).min_size {
            return self.wait(strategy, token, "dust", ctx);
        }
        if self.cancel_crossing(ctx, token, price, out) {
            return self.wait(strategy, token, "own_order_crosses", ctx);
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
        self.state.positions.change_exit(strategy, token, |exit| {
            exit.order = id;
            if id.is_none() {
                exit.retry_at = Some(ctx.now + Span::secs(1));
            }
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
    fn wait(&mut self, strategy: StrategyId, token: Token, code: &'static str, ctx: &Context<'_>) {
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
            if exit.order == Some(id) {
                exit.order = None;
            }
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

/// The lowest price on the tick grid that is not below `price`.
fn aligned(price: Price, tick: u16) -> Price {
    Price::new(price.units().next_multiple_of(tick)).unwrap_or(Price::ONE)
}
