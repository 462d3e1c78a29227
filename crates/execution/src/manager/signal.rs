//! What strategies emit becomes orders.

use polydesk_domain::{
    Action, Cause, ExitReason, Outbox, Price, Purpose, Reason, Shares, Side, Signal, Size, Span,
    Tif, Time, Token, TradeIntent, Urgency, Usdc,
};

use super::{Context, Manager};
use crate::state::{Authority, Desired, Draft, Holding, PendingExit, sane_money};

impl Manager {
    /// Acts on a signal.
    pub fn on_signal(&mut self, ctx: &Context<'_>, signal: &Signal, out: &mut Outbox) {
        let (strategy, market) = (signal.strategy, signal.market);
        if ctx.universe.get(market).is_none() {
            let about = (None, Some(signal.id));
            return self.deny(ctx, strategy, about, Reason::new("market_unknown"), out);
        }
        if !addresses(ctx, signal) {
            let about = (Some(market), Some(signal.id));
            return self.deny(ctx, strategy, about, Reason::new("token_of_other_market"), out);
        }
        // A signal that arrives while the gate is closed is denied. Quotes wait, because they state what is
        // to rest until they expire; after a kill they are denied too.
        if let Some(cause) = self.closed_for_orders() {
            let waits = matches!(signal.action, Action::Quotes(_))
                && !matches!(cause, Cause::Killed | Cause::Halted);
            if !waits {
                let about = (Some(market), Some(signal.id));
                return self.deny(ctx, strategy, about, Reason::new(cause.code()), out);
            }
        }
        if self.state.off.contains_key(&strategy) && !sells(&signal.action) {
            let about = (Some(market), Some(signal.id));
            return self.deny(ctx, strategy, about, Reason::new("strategy_off"), out);
        }
        match &signal.action {
            Action::Trade(intent) => self.trade(ctx, signal, intent, out),
            Action::Quotes(quotes) => {
                self.state.uses(market, ctx.universe, ctx.states);
                self.state.quotes.insert(
                    (strategy, market),
                    Desired {
                        quotes: quotes.clone(),
                        signal: signal.id,
                        edge: signal.edge,
                        expires: signal.expires,
                        retry_at: Time::MIN,
                        waiting: false,
                    },
                );
                self.requote_one(ctx, (strategy, market), out);
            }
            Action::Basket(basket) => self.start_basket(ctx, signal, basket, out),
            Action::Close(close) => self.close(ctx, strategy, *close, signal.id, out),
        }
    }

    fn trade(
        &mut self,
        ctx: &Context<'_>,
        signal: &Signal,
        intent: &TradeIntent,
        out: &mut Outbox,
    ) {
        let absurd = match intent.size {
            Size::Shares(shares) => shares > Shares::SANE_MAX && intent.side == Side::Buy,
            Size::Spend(spend) => !sane_money(spend) || spend < Usdc::ZERO,
        };
        if absurd {
            let about = (Some(signal.market), Some(signal.id));
            return self.deny(ctx, signal.strategy, about, Reason::new("absurd_size"), out);
        }
        let tif = match (intent.urgency, intent.all_or_nothing) {
            (Urgency::Rest, _) => resting_until(ctx.now, signal.expires),
            (Urgency::Now, true) => Tif::Fok,
            (Urgency::Now, false) => Tif::Fak,
        };
        // Immediate buys are sized in pUSD at the venue, everything else in shares.
        let size = match (tif.rests(), intent.side, intent.size) {
            (false, Side::Buy, Size::Shares(shares)) => {
                Size::Spend(intent.limit.notional_floor(shares).floor_cents())
            }
            (true, Side::Buy, Size::Spend(spend)) => {
                Size::Shares(intent.limit.shares_for(spend).unwrap_or_default().floor_cents())
            }
            (_, _, Size::Shares(shares)) => Size::Shares(shares.floor_cents()),
            (_, _, Size::Spend(spend)) => Size::Spend(spend.floor_cents()),
        };
        let about = (Some(signal.market), Some(signal.id));
        let (purpose, limit, size) = match (intent.side, size) {
            (Side::Buy, size) => (Purpose::Trade, intent.limit, size),
            (Side::Sell, Size::Spend(_)) => {
                let reason = Reason::new("sell_sized_in_usd");
                return self.deny(ctx, signal.strategy, about, reason, out);
            }
            (Side::Sell, Size::Shares(shares)) if tif == Tif::Fak => {
                return self.sell_now(ctx, signal, intent, shares, out);
            }
            (Side::Sell, Size::Shares(_)) if self.sale_refused(ctx, signal, intent) => {
                return self.deny(ctx, signal.strategy, about, Reason::new("backing_off"), out);
            }
            (Side::Sell, Size::Shares(shares)) => {
                // A strategy sells only its own settled lots.
                let sellable = self.position(signal.strategy, intent.token).sellable();
                let limit = match self.sale_limit(ctx, signal, intent, out) {
                    Ok(limit) => limit,
                    Err(reason) => return self.deny(ctx, signal.strategy, about, reason, out),
                };
                let purpose = Purpose::Exit(ExitReason::Signal);
                (purpose, limit, Size::Shares(shares.min(sellable).floor_cents()))
            }
        };
        let draft = Draft {
            strategy: signal.strategy,
            signal: Some(signal.id),
            purpose,
            token: intent.token,
            side: intent.side,
            price: limit,
            size,
            tif,
            post_only: false,
            placed_at: ctx.now,
            expires: signal.expires,
        };
        let mut order = draft.order();
        order.exit = intent.exit;
        order.edge = signal.edge;
        let _ = self.submit(ctx, order, out);
    }

    /// A strategy sells at once: an exit like any other, with collar, depth and retries, until it is sold or
    /// the signal expires. What it asked for before and is not sold is added to.
    fn sell_now(
        &mut self,
        ctx: &Context<'_>,
        signal: &Signal,
        intent: &TradeIntent,
        shares: Shares,
        out: &mut Outbox,
    ) {
        let (strategy, token) = (signal.strategy, intent.token);
        let held = self.state.positions.get(strategy, token).map_or(Shares::ZERO, Holding::held);
        if shares.min(held).is_zero() {
            let about = (Some(signal.market), Some(signal.id));
            return self.deny(ctx, strategy, about, Reason::new("nothing_to_close"), out);
        }
        self.state.positions.change_exit(strategy, token, |exit| {
            let before = exit.pending.remove(&Authority::Strategy);
            let before = before.filter(|before| before.live(ctx.now));
            let shares = shares.min(held) + before.map_or(Shares::ZERO, |before| before.shares);
            let expires = before.map_or(Some(signal.expires), |before| {
                before.expires.map(|expires| expires.max(signal.expires))
            });
            let new = PendingExit::new(ExitReason::Signal, intent.limit, shares.min(held));
            let new = PendingExit { signal: Some(signal.id), expires, ..new };
            exit.pending.insert(Authority::Strategy, new);
            exit.tries.remove(&Authority::Strategy);
        });
        self.exits(ctx, token.market(), out);
    }

    /// Whether a strategy's own sale of that token was refused just now.
    fn sale_refused(&self, ctx: &Context<'_>, signal: &Signal, intent: &TradeIntent) -> bool {
        let exit = self.state.positions.exit(signal.strategy, intent.token);
        exit.and_then(|exit| exit.own_tries.again_at).is_some_and(|at| ctx.now < at)
    }

    /// The price of a strategy's own sale: its limit, but not below what the collar allows. It never trades with
    /// our own orders: those are cancelled first.
    fn sale_limit(
        &mut self,
        ctx: &Context<'_>,
        signal: &Signal,
        intent: &TradeIntent,
        out: &mut Outbox,
    ) -> Result<Price, Reason> {
        let held = (signal.strategy, intent.token);
        let limit = intent.limit.max(self.strategy_floor(ctx, held).map_err(Reason::new)?);
        if self.cancel_crossing(ctx, intent.token, limit, out) {
            return Err(Reason::new("own_order_crosses"));
        }
        Ok(limit)
    }
}

/// Whether a signal can only make a position smaller.
fn sells(action: &Action) -> bool {
    match action {
        Action::Close(_) => true,
        Action::Trade(intent) => intent.side == Side::Sell,
        Action::Quotes(_) | Action::Basket(_) => false,
    }
}

/// Whether every token of a signal is one of its market; of a basket, whose legs may be in several, one that is
/// listed.
fn addresses(ctx: &Context<'_>, signal: &Signal) -> bool {
    let here = |token: Token| token.market() == signal.market;
    match &signal.action {
        Action::Trade(intent) => here(intent.token),
        Action::Close(close) => here(close.token),
        Action::Quotes(quotes) => quotes.iter().all(|quote| here(quote.token)),
        Action::Basket(basket) => {
            basket.legs.iter().all(|leg| ctx.universe.get(leg.token.market()).is_some())
        }
    }
}

/// The venue removes a GTD order this long before its stated expiration.
const GTD_EARLY: Span = Span::secs(60);
/// The venue wants the stated expiration three minutes ahead when the order arrives; it may be on its way for
/// ten seconds.
const GTD_LEAST: Span = Span::secs(190);

/// How a resting order ends with its signal: the venue removes it where the expiry is far enough away,
/// else the timer cancels it.
fn resting_until(now: Time, expires: Time) -> Tif {
    let second = 1_000_000_000;
    let stated = Time::from_nanos(expires.nanos().div_euclid(second).saturating_mul(second));
    let stated = stated + GTD_EARLY;
    if expires < Time::MAX && now.until(stated) >= GTD_LEAST {
        Tif::Gtd { expires: stated }
    } else {
        Tif::Gtc
    }
}
