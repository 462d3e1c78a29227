//! Turns the quotes a strategy wants into the fewest places and cancels.

use polydesk_domain::{
    Book, ClientOrderId, MarketKey, Outbox, Price, Purpose, Quote, Reason, Shares, Side, Size,
    Span, StrategyId, Tif, Time, Token, Usdc,
};

use super::{Context, Manager};
use crate::state::{Desired, Draft};

/// A cancel without effect for so long has perhaps failed: what replaces its order waits until it is over.
const CANCEL_LATE: Span = Span::secs(3);
/// Pause before a denied quote is tried again.
const RETRY: Span = Span::secs(5);

impl Manager {
    /// Sends the difference between what rests and what is wanted.
    ///
    /// An order stays when it has the quote's token, side and price and at most its size, but at least
    /// half of it: topping up costs a place and the queue position of what rests.
    pub(super) fn requote_one(
        &mut self,
        ctx: &Context<'_>,
        key: (StrategyId, MarketKey),
        out: &mut Outbox,
    ) {
        let (strategy, market) = key;
        let expired = self.state.quotes.get(&key).is_some_and(|desired| desired.expires <= ctx.now);
        if expired {
            self.state.quotes.remove(&key);
        }
        let desired = self.state.quotes.get(&key).cloned();
        let wanted = desired.as_ref().map_or(&[][..], |desired| &desired.quotes);
        let wanted = self.not_owed(ctx, key, wanted);
        let mut served = vec![false; wanted.len()];
        let mut surplus: Vec<ClientOrderId> = Vec::new();
        let mut stuck: Vec<(Token, Side)> = Vec::new();
        let mut kept: Vec<ClientOrderId> = Vec::new();
        for order in self.state.orders.open_in(market) {
            if order.strategy != strategy || order.purpose != Purpose::Quote || order.state.ended()
            {
                continue;
            }
            let late = order.cancel_at.is_some_and(|at| at.until(ctx.now) >= CANCEL_LATE);
            if late || order.cancels > 1 {
                stuck.push((order.token, order.side));
            }
            let left = order.left();
            let fits = |quote: &Quote| {
                (quote.token, quote.side, quote.price) == (order.token, order.side, order.price)
                    && left <= quote.size
                    && left + left >= quote.size
            };
            let place = wanted.iter().enumerate().find(|(i, quote)| !served[*i] && fits(quote));
            match place {
                Some((i, _)) if !order.being_cancelled() => {
                    served[i] = true;
                    kept.push(order.id);
                }
                _ => surplus.push(order.id),
            }
        }
        // Cancels go first: what they free may be what the new quotes need.
        for id in surplus {
            self.cancel(ctx.now, id, out);
        }
        let Some(desired) = desired else { return };
        for id in kept {
            // What still rests is wanted for as long as the newest signal.
            self.state.orders.extend(id, desired.expires);
        }
        let mut waiting = false;
        let mut retry_at = desired.retry_at;
        if ctx.now < desired.retry_at {
            waiting = served.contains(&false);
        } else {
            let mut admitted = Vec::new();
            for (quote, served) in wanted.iter().zip(served) {
                if served {
                    continue;
                }
                // A cancel that failed leaves its order live: another quote beside it would be one too many.
                if stuck.contains(&(quote.token, quote.side)) {
                    waiting = true;
                    continue;
                }
                match self.admit_quote(ctx, strategy, &desired, quote, out) {
                    Some(id) => admitted.push(id),
                    // Denied for now: limits, rate or an own order that crosses. The timer tries again.
                    None => waiting = true,
                }
            }
            self.place(ctx, &admitted, out);
            if waiting {
                retry_at = ctx.now + RETRY;
            }
        }
        if (desired.waiting, desired.retry_at) != (waiting, retry_at)
            && let Some(desired) = self.state.quotes.get_mut(&key)
        {
            (desired.waiting, desired.retry_at) = (waiting, retry_at);
        }
    }

    /// What is wanted without what the venue said that it matched already: its fills are on their way, and
    /// each lessens what is wanted when it comes.
    fn not_owed(
        &self,
        ctx: &Context<'_>,
        (strategy, market): (StrategyId, MarketKey),
        wanted: &[Quote],
    ) -> Vec<Quote> {
        let least = ctx.universe.market(market).min_size;
        let over = self.state.orders.open_in(market).filter(|order| {
            order.strategy == strategy
                && order.purpose == Purpose::Quote
                && order.state.ended()
                && !order.missing().is_zero()
        });
        let mut wanted = wanted.to_vec();
        for order in over {
            let mut owed = order.missing();
            wanted.retain_mut(|quote| {
                if (quote.token, quote.side, quote.price) != (order.token, order.side, order.price)
                {
                    return true;
                }
                let less = owed.min(quote.size);
                owed -= less;
                quote.size -= less;
                less.is_zero() || quote.size >= least
            });
        }
        wanted
    }

    fn admit_quote(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        desired: &Desired,
        quote: &Quote,
        out: &mut Outbox,
    ) -> Option<ClientOrderId> {
        let size = match quote.side {
            Side::Buy => quote.size,
            // A strategy offers only its own settled lots.
            Side::Sell => quote.size.min(self.position(strategy, quote.token).sellable()),
        };
        let draft = Draft {
            strategy,
            signal: Some(desired.signal),
            purpose: Purpose::Quote,
            token: quote.token,
            side: quote.side,
            price: quote.price,
            size: Size::Shares(size.floor_cents()),
            tif: Tif::Gtc,
            post_only: true,
            placed_at: ctx.now,
            expires: desired.expires,
        };
        let mut order = draft.order();
        order.exit = quote.exit;
        order.edge = desired.edge;
        match self.admit(ctx, order, out) {
            Ok(id) => Some(id),
            Err(reason) => {
                let about = (Some(quote.token.market()), Some(desired.signal));
                self.deny(ctx, strategy, about, reason, out);
                self.resolve_self_cross(ctx, strategy, desired.edge, &reason, out);
                if reason.code == *"below_minimum" {
                    let key = (strategy, quote.token.market());
                    self.unwanted(key, (quote.token, quote.side, quote.price));
                }
                None
            }
        }
    }

    /// Of two quotes that would cross, the lower edge waits: one that stands against a better one is
    /// cancelled, and the better one follows once it is gone.
    fn resolve_self_cross(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        edge: Usdc,
        reason: &Reason,
        out: &mut Outbox,
    ) {
        let named = reason.figure("order").filter(|_| reason.code == *"self_cross");
        let Some(id) = named.and_then(|order| u64::try_from(order).ok()).map(ClientOrderId) else {
            return;
        };
        let lower = self.state.orders.get(id).is_some_and(|other| {
            other.purpose == Purpose::Quote && other.strategy != strategy && other.edge < edge
        });
        if lower {
            self.cancel(ctx.now, id, out);
        }
    }

    /// Something that is wanted in a market may have room now.
    pub(super) fn await_quotes(&mut self, strategy: StrategyId, market: MarketKey) {
        let key = (strategy, market);
        if self.state.quotes.get(&key).is_some_and(|desired| !desired.waiting)
            && let Some(desired) = self.state.quotes.get_mut(&key)
        {
            desired.waiting = true;
        }
    }

    /// A quote of a market ended: what waits there goes on, the higher edge first.
    pub(super) fn requote_market(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        out: &mut Outbox,
    ) {
        let mut waiting = Vec::new();
        for key in self.state.quoting(market) {
            if let Some(desired) = self.state.quotes.get(&key).filter(|desired| desired.waiting) {
                waiting.push((core::cmp::Reverse(desired.edge), key));
            }
        }
        waiting.sort();
        for (_, key) in waiting {
            if let Some(desired) = self.state.quotes.get_mut(&key) {
                desired.retry_at = Time::MIN;
            }
            self.requote_one(ctx, key, out);
        }
    }

    /// A quote's fill lessens what is wanted there: a filled quote is not put back by itself.
    pub(super) fn quote_filled(&mut self, strategy: StrategyId, id: ClientOrderId, shares: Shares) {
        let Some(order) = self.state.orders.get(id) else { return };
        let (token, side, price) = (order.token, order.side, order.price);
        if let Some(desired) = self.state.quotes.get_mut(&(strategy, token.market())) {
            for quote in &mut desired.quotes {
                if (quote.token, quote.side, quote.price) == (token, side, price) {
                    quote.size = quote.size.saturating_sub(shares);
                }
            }
            desired.quotes.retain(|quote| !quote.size.floor_cents().is_zero());
        }
    }

    /// A quote ended; one the venue will refuse again is not wanted any more.
    pub(super) fn quote_ended(&mut self, strategy: StrategyId, id: ClientOrderId, fatal: bool) {
        let Some(order) = self.state.orders.get(id) else { return };
        let (token, side, price) = (order.token, order.side, order.price);
        if fatal {
            self.unwanted((strategy, token.market()), (token, side, price));
        }
    }

    /// A quote is not wanted any more, whatever its size.
    fn unwanted(&mut self, key: (StrategyId, MarketKey), which: (Token, Side, Price)) {
        let same = |quote: &Quote| (quote.token, quote.side, quote.price) == which;
        if self.state.quotes.get(&key).is_some_and(|desired| desired.quotes.iter().any(same))
            && let Some(desired) = self.state.quotes.get_mut(&key)
        {
            desired.quotes.retain(|quote| !same(quote));
        }
    }

    /// The tick size of a market changed: what rests between its prices is cancelled and not wanted any more.
    /// An order that a person placed elsewhere is theirs.
    pub fn on_tick(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        let Some(tick) = ctx.books.get(market).map(Book::tick) else { return };
        for key in self.state.quoting(market) {
            let off = |quote: &Quote| !quote.price.tradable(tick);
            if self.state.quotes.get(&key).is_some_and(|desired| desired.quotes.iter().any(off))
                && let Some(desired) = self.state.quotes.get_mut(&key)
            {
                desired.quotes.retain(|quote| !off(quote));
            }
        }
        let off = self
            .state
            .orders
            .open_in(market)
            .filter(|order| !order.price.tradable(tick) && order.purpose != Purpose::External);
        for id in off.map(|order| order.id).collect::<Vec<_>>() {
            self.cancel(ctx.now, id, out);
        }
    }
}
