//! Turns the quotes a strategy wants into the fewest places and cancels.

use polydesk_domain::{
    ClientOrderId, Command, MarketKey, OrderState, Shares, Side, SignalId, Size, Span, StrategyId,
    Tif, Time, Usdc,
};
use polydesk_signals::{Quote, Reason};

use crate::desk::{Context, Execution};
use crate::orders::{Order, Purpose};

/// What a strategy wants resting in a market.
#[derive(Debug, Clone)]
pub(crate) struct Desired {
    pub quotes: Vec<Quote>,
    pub signal: SignalId,
    pub edge: Usdc,
    pub expires: Time,
    /// What was denied is not tried again before this.
    pub retry_at: Time,
}

/// Pause before a denied quote is tried again.
const RETRY: Span = Span::secs(5);

impl Execution {
    /// Sends the difference between what rests and what is wanted.
    ///
    /// An order stays when it has the quote's token, side and price and at most its size, but at least
    /// half of it: topping up costs a place and the queue position of what rests.
    pub(crate) fn requote_one(
        &mut self,
        ctx: &Context<'_>,
        key: (StrategyId, MarketKey),
        out: &mut Vec<Command>,
    ) {
        let (strategy, market) = key;
        self.requote.remove(&key);
        let expired = self.desired.get(&key).is_some_and(|desired| desired.expires <= ctx.now);
        if expired {
            self.desired.remove(&key);
        }
        let desired = self.desired.get(&key).cloned();
        let wanted = desired.as_ref().map_or(&[][..], |desired| &desired.quotes);
        let mut served = vec![false; wanted.len()];
        let mut surplus: Vec<ClientOrderId> = Vec::new();
        for order in self.orders.open_in(market) {
            if order.strategy != strategy || order.purpose != Purpose::Quote || order.state.ended()
            {
                continue;
            }
            let left = order.left();
            let fits = |quote: &Quote| {
                (quote.token, quote.side, quote.price) == (order.token, order.side, order.price)
                    && left <= quote.size
                    && left + left >= quote.size
            };
            let place = wanted.iter().enumerate().find(|(i, quote)| !served[*i] && fits(quote));
            match place {
                Some((i, _)) if order.state != OrderState::Cancelling => served[i] = true,
                _ => surplus.push(order.id),
            }
        }
        // Cancels go first: what they free may be what the new quotes need.
        for id in surplus {
            self.cancel(ctx.now, id, out);
        }
        let Some(desired) = desired else { return };
        if ctx.now < desired.retry_at {
            if served.contains(&false) {
                self.requote.insert(key);
            }
            return;
        }
        let mut denied = false;
        for (quote, served) in desired.quotes.iter().zip(served) {
            if !served && !self.place_quote(ctx, strategy, &desired, quote, out) {
                // Denied for now: limits, rate or an own order in the way. The timer tries again.
                denied = true;
            }
        }
        if denied {
            self.requote.insert(key);
            if let Some(desired) = self.desired.get_mut(&key) {
                desired.retry_at = ctx.now + RETRY;
            }
        }
    }

    fn place_quote(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        desired: &Desired,
        quote: &Quote,
        out: &mut Vec<Command>,
    ) -> bool {
        let size = match quote.side {
            Side::Buy => quote.size,
            // A strategy offers only its own settled lots.
            Side::Sell => quote.size.min(self.position(strategy, quote.token).sellable()),
        };
        let mut order = Order::planned(
            ClientOrderId(0),
            strategy,
            desired.signal,
            Purpose::Quote,
            quote.token,
            quote.side,
            quote.price,
            Size::Shares(size.floor_cents()),
            Tif::Gtc,
            ctx.now,
        );
        order.exit = quote.exit;
        order.edge = desired.edge;
        match self.admit(ctx, order, true) {
            Ok(id) => {
                self.emit(id, true, out);
                true
            }
            Err(reason) => {
                self.deny(strategy, reason);
                self.make_way(ctx, strategy, desired.edge, &reason, out);
                false
            }
        }
    }

    /// Of two quotes that would meet, the lower edge waits: one in the way of a better one is cancelled,
    /// and the better one follows once it is gone.
    fn make_way(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        edge: Usdc,
        reason: &Reason,
        out: &mut Vec<Command>,
    ) {
        let named =
            reason.figures().find(|figure| reason.code == "self_cross" && figure.name == "order");
        let Some(id) = named.and_then(|figure| u64::try_from(figure.value).ok()).map(ClientOrderId)
        else {
            return;
        };
        let lower = self.orders.get(id).is_some_and(|other| {
            other.purpose == Purpose::Quote && other.strategy != strategy && other.edge < edge
        });
        if lower {
            self.cancel(ctx.now, id, out);
        }
    }

    /// A quote of a market ended: whoever waits there goes on, the higher edge first.
    pub(crate) fn requote_market(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        out: &mut Vec<Command>,
    ) {
        let mut waiting: Vec<_> = self
            .requote
            .iter()
            .filter(|(_, key)| *key == market)
            .map(|key| {
                (core::cmp::Reverse(self.desired.get(key).map(|desired| desired.edge)), *key)
            })
            .collect();
        waiting.sort();
        for (_, key) in waiting {
            if let Some(desired) = self.desired.get_mut(&key) {
                desired.retry_at = Time::MIN;
            }
            self.requote_one(ctx, key, out);
        }
    }

    /// A quote's fill lessens what is wanted there: a filled quote is not put back by itself.
    pub(crate) fn quote_filled(&mut self, strategy: StrategyId, id: ClientOrderId, shares: Shares) {
        let Some(order) = self.orders.get(id) else { return };
        let (token, side, price) = (order.token, order.side, order.price);
        if let Some(desired) = self.desired.get_mut(&(strategy, token.market())) {
            for quote in &mut desired.quotes {
                if (quote.token, quote.side, quote.price) == (token, side, price) {
                    quote.size = quote.size.saturating_sub(shares);
                }
            }
            desired.quotes.retain(|quote| !quote.size.floor_cents().is_zero());
        }
    }

    /// A quote ended; one the venue will refuse again is not wanted any more.
    pub(crate) fn quote_ended(&mut self, strategy: StrategyId, id: ClientOrderId, fatal: bool) {
        let Some(order) = self.orders.get(id) else { return };
        let (token, side, price) = (order.token, order.side, order.price);
        if let (true, Some(desired)) = (fatal, self.desired.get_mut(&(strategy, token.market()))) {
            desired
                .quotes
                .retain(|quote| (quote.token, quote.side, quote.price) != (token, side, price));
        }
    }

    /// Tries again what was denied, and takes away what has expired.
    pub(crate) fn requote_due(&mut self, ctx: &Context<'_>, out: &mut Vec<Command>) {
        let expired = self
            .desired
            .iter()
            .filter(|(_, desired)| desired.expires <= ctx.now)
            .map(|(key, _)| *key);
        let due: Vec<_> = self.requote.iter().copied().chain(expired).collect();
        for key in due {
            self.requote_one(ctx, key, out);
        }
    }
}
