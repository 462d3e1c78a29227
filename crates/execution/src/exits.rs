//! Turns what a holding's plans want into orders that leave it.

use polydesk_domain::{
    ClientOrderId, Command, MarketKey, Price, Shares, Side, SignalId, Size, Span, StrategyId, Tif,
    Token, Usdc,
};

use crate::desk::{Context, Execution};
use crate::gate::crosses;
use crate::orders::{Order, Purpose};
use crate::positions::{ExitContext, ExitReason, ExitWish, exit_wish};

impl Execution {
    /// Looks at every holding of a market.
    pub(crate) fn exits(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Vec<Command>) {
        if self.stopping || !ctx.books.trusted(market) {
            // A frozen or half-known book gives no price to leave at.
            return;
        }
        for (strategy, token) in self.positions.in_market(market) {
            self.exit(ctx, strategy, token, out);
        }
    }

    fn exit(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        token: Token,
        out: &mut Vec<Command>,
    ) {
        let Some(book) = ctx.books.get(token.market()) else { return };
        let market = ctx.universe.market(token.market());
        let to_close = market.closes.map(|closes| ctx.now.until(closes));
        let exit_ctx = ExitContext { now: ctx.now, book, to_close };
        let sellable = self.position(strategy, token).sellable();
        let Some(holding) = self.positions.get_mut(strategy, token) else { return };
        if holding.leaving.is_some_and(|(_, _, shares)| shares < market.min_size) {
            // A latch on what cannot be sold would keep the lots' own plans from working.
            holding.leaving = None;
            *self.counts.exit_waits.entry("dust_left").or_default() += 1;
        }
        let wish = exit_wish(holding, token, &exit_ctx);
        let waits = holding.retry_at.is_some_and(|at| ctx.now < at);
        let existing =
            holding.exit_order.and_then(|id| self.orders.get(id)).filter(|order| order.open());
        let existing =
            existing.map(|order| (order.id, order.price, order.tif, order.remaining_offer()));
        match (wish, existing) {
            (ExitWish::Stay, _) => {}
            (ExitWish::Rest { price, shares }, Some((id, at, _, offered))) => {
                // Replaced only for a better reason than a few shares: a new order goes to the back.
                let grown = shares.saturating_sub(offered) >= market.min_size;
                if at != price || grown {
                    self.cancel(ctx.now, id, out);
                }
            }
            (ExitWish::Rest { price, shares }, None) if !waits => {
                let size = shares.min(sellable).floor_cents();
                self.sell(ctx, strategy, token, price, size, Tif::Gtc, ExitReason::TakeProfit, out);
            }
            // A resting target that is reached is about to be filled, without a fee.
            (ExitWish::Take { why: ExitReason::TakeProfit, floor, .. }, Some((_, at, tif, _)))
                if tif.rests() && at == floor => {}
            (ExitWish::Take { .. }, Some((id, _, tif, _))) if tif.rests() => {
                self.cancel(ctx.now, id, out);
            }
            (ExitWish::Take { why, floor, shares }, None) if !waits => {
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
                self.sell(ctx, strategy, token, limit, size, Tif::Fak, why, out);
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
        why: ExitReason,
        out: &mut Vec<Command>,
    ) {
        if size < ctx.universe.market(token.market()).min_size {
            return self.wait(strategy, token, "dust", ctx);
        }
        if self.clear_the_way(ctx, token, price, out) {
            return self.wait(strategy, token, "own_order_in_the_way", ctx);
        }
        let purpose = Purpose::Exit(why);
        let order = Order::planned(
            ClientOrderId(0),
            strategy,
            SignalId(0),
            purpose,
            token,
            Side::Sell,
            price,
            Size::Shares(size),
            tif,
            ctx.now,
        );
        let id = self.submit(ctx, order, tif.rests(), out);
        if let Some(holding) = self.positions.get_mut(strategy, token) {
            holding.exit_order = id;
            if id.is_none() {
                holding.retry_at = Some(ctx.now + Span::secs(1));
            }
        }
    }

    /// An exit never trades with our own orders: those go first and stay away until it is through.
    ///
    /// A quote in the way is not wanted any more; a resting exit of the other outcome waits a while.
    fn clear_the_way(
        &mut self,
        ctx: &Context<'_>,
        token: Token,
        price: Price,
        out: &mut Vec<Command>,
    ) -> bool {
        let own: Vec<(ClientOrderId, StrategyId, Token, Purpose)> = self
            .orders
            .open_in(token.market())
            .filter(|o| crosses(token, Side::Sell, price, o.token, o.side, o.price))
            .map(|o| (o.id, o.strategy, o.token, o.purpose))
            .collect();
        for (id, owner, of, purpose) in &own {
            match purpose {
                Purpose::Quote => self.quote_ended(*owner, *id, true),
                Purpose::Exit(_) => {
                    if let Some(holding) = self.positions.get_mut(*owner, *of) {
                        holding.retry_at = Some(ctx.now + Span::secs(3));
                    }
                }
                Purpose::Trade | Purpose::Leg(_) => {}
            }
            self.cancel(ctx.now, *id, out);
        }
        !own.is_empty()
    }

    /// Counts an exit that cannot be made now and looks again in a second.
    fn wait(&mut self, strategy: StrategyId, token: Token, code: &'static str, ctx: &Context<'_>) {
        *self.counts.exit_waits.entry(code).or_default() += 1;
        if let Some(holding) = self.positions.get_mut(strategy, token) {
            holding.retry_at = Some(ctx.now + Span::secs(1));
        }
    }

    /// An exit order ended: one that found nobody is tried again after a growing pause.
    pub(crate) fn exit_ended(&mut self, ctx: &Context<'_>, id: ClientOrderId, refused: bool) {
        let Some(order) = self.orders.get(id) else { return };
        let (strategy, token, in_vain, rested) = (
            order.strategy,
            order.token,
            order.matched.is_zero() && order.missing().is_zero(),
            order.tif.rests(),
        );
        let Some(holding) = self.positions.get_mut(strategy, token) else { return };
        if holding.exit_order == Some(id) {
            holding.exit_order = None;
        }
        if in_vain && (!rested || refused) {
            holding.retries = (holding.retries + 1).min(6);
            holding.retry_at = Some(ctx.now + Span::secs(1 << holding.retries.min(6)));
        } else {
            holding.retries = 0;
            // A pause that makes room for another exit is kept.
            holding.retry_at = holding.retry_at.filter(|at| *at > ctx.now);
        }
    }
}

/// The lowest price on the grid that is not below `price`.
fn aligned(price: Price, tick: u16) -> Price {
    Price::new(price.units().next_multiple_of(tick)).unwrap_or(Price::ONE)
}
