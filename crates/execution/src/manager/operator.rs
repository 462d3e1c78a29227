//! Operator commands, and the halt after a broken invariant.

use std::collections::BTreeSet;

use polydesk_domain::{
    BasketId, Cause, ClientOrderId, Close, Command, ExitReason, MarketKey, NoteLevel, Operator,
    OperatorCommand, Outbox, Price, Purpose, Reason, Shares, Side, SignalId, StrategyId, Time,
    Token,
};

use super::{Context, Manager};
use crate::state::{Authority, OpenBasket, PendingExit};

impl Manager {
    /// Executes an operator command. The same key is executed once.
    pub fn on_operator(&mut self, ctx: &Context<'_>, order: &Operator, out: &mut Outbox) {
        if !order.key.is_empty() {
            if self.state.operator.contains_key(&order.key) {
                let text =
                    format!("{} with key {} was done before", order.command.name(), order.key);
                return out.note(NoteLevel::Info, "operator_repeated", text);
            }
            self.state.operator.insert(order.key.clone(), ctx.now);
        }
        let who = if order.by.is_empty() { "a person" } else { order.by.as_str() };
        let detail =
            if order.why.is_empty() { who.to_owned() } else { format!("{who}: {}", order.why) };
        let killed = self.state.blockers.contains_key(&Cause::Killed);
        match order.command {
            OperatorCommand::Kill => self.kill(ctx, detail, out),
            OperatorCommand::Rearm if killed => {
                self.unblock(ctx, Cause::Killed, &detail, out);
                self.block(ctx, Cause::Paused, detail, out);
            }
            OperatorCommand::Rearm => {}
            OperatorCommand::Pause => self.block(ctx, Cause::Paused, detail, out),
            OperatorCommand::ReduceOnly => {
                self.block(ctx, Cause::ReduceOnly, detail, out);
                self.cancel_buys(ctx.now, None, out);
            }
            // A kill is lifted by rearming, by nothing else.
            OperatorCommand::Resume if killed => {
                let text = "resume is refused while killed: rearm first".to_owned();
                out.note(NoteLevel::Warning, "resume_refused", text);
            }
            OperatorCommand::Resume => self.resume(ctx, &detail, out),
            // No order is sent while killed, and the command is not executed later.
            OperatorCommand::Flatten { .. } | OperatorCommand::Close { .. } if killed => {
                let text = format!("{} is refused while killed: rearm first", order.command.name());
                out.note(NoteLevel::Warning, "close_refused", text);
            }
            OperatorCommand::Flatten { market, collar } => {
                self.flatten(ctx, market, collar, &detail, out);
            }
            OperatorCommand::Close { token, fraction_ppm, collar } => {
                self.close_all(ctx, |of| of == token, fraction_ppm, collar, out);
            }
            OperatorCommand::CancelOrder(id) => self.cancel_order(ctx.now, id, out),
            OperatorCommand::CancelMarket(market) => self.cancel_all(ctx.now, market, out),
            OperatorCommand::ReleaseMarket(key) => {
                self.unblock(ctx, Cause::Market(key), &detail, out);
                self.unblock(ctx, Cause::Flattened(key), &detail, out);
            }
            OperatorCommand::ReleaseToken(token) => {
                self.unblock(ctx, Cause::Token(token), &detail, out);
            }
            OperatorCommand::ReleaseBlocker(cause) if cause.releasable() => {
                if let Cause::Runaway(code) = cause {
                    self.forget_loop(code);
                }
                self.unblock(ctx, cause, &detail, out);
            }
            OperatorCommand::ReleaseBlocker(cause) => {
                let text = format!("{} is not for a person to release", cause.code());
                out.note(NoteLevel::Warning, "release_refused", text);
            }
        }
    }

    /// Clears what persons and losses closed; losses are measured from now on.
    fn resume(&mut self, ctx: &Context<'_>, detail: &str, out: &mut Outbox) {
        let resumable: Vec<Cause> =
            self.state.blockers.keys().filter(|cause| cause.resumable()).copied().collect();
        let now = self.equity_now;
        for cause in resumable {
            match cause {
                // A limit that was not broken keeps its start: a resume resets no other loss.
                Cause::DailyLoss => {
                    self.state.equity.get_mut().day_open = now;
                    for minute in self.state.window.keys().copied().collect::<Vec<_>>() {
                        self.state.window.remove(&minute);
                    }
                }
                Cause::Drawdown => self.state.equity.get_mut().high = now,
                Cause::Runaway(code) => self.forget_loop(code),
                _ => {}
            }
            self.unblock(ctx, cause, detail, out);
        }
    }

    /// Leaves a market, or all: closes what is held, cancels what would buy it back, and lets nothing be bought
    /// until a person resumes. Baskets under way get no further leg; what is complete of them is merged.
    fn flatten(
        &mut self,
        ctx: &Context<'_>,
        market: Option<MarketKey>,
        collar: Option<Price>,
        detail: &str,
        out: &mut Outbox,
    ) {
        let detail = format!("flatten by {detail}");
        let here = |key: &MarketKey| market.is_none_or(|market| market == *key);
        let mut markets: BTreeSet<MarketKey> = market.into_iter().collect();
        markets.extend(self.state.positions.all().map(|(_, token, _)| token.market()).filter(here));
        markets.extend(self.state.orders.open().map(|order| order.token.market()).filter(here));
        let touching = |basket: &&OpenBasket| market.is_none_or(|market| basket.touches(market));
        let baskets: Vec<BasketId> =
            self.state.baskets.values().filter(touching).map(|basket| basket.id).collect();
        if market.is_none() {
            self.block(ctx, Cause::ReduceOnly, detail.clone(), out);
        }
        for key in &markets {
            self.state.uses(*key, ctx.universe, ctx.states);
            self.block(ctx, Cause::Flattened(*key), detail.clone(), out);
        }
        self.cancel_buys(ctx.now, market, out);
        for id in baskets {
            if let Some(basket) = self.state.baskets.get_mut(&id) {
                basket.gave_up = true;
            }
        }
        self.close_all(ctx, |of| here(&of.market()), 1_000_000, collar, out);
    }

    /// Something was bought in a market that a person wants to be out of: it is sold as well.
    pub(super) fn bought_while_flattened(
        &mut self,
        strategy: StrategyId,
        token: Token,
        shares: Shares,
    ) {
        if !self.state.blockers.contains_key(&Cause::Flattened(token.market())) {
            return;
        }
        self.state.positions.change_exit(strategy, token, |exit| {
            let (reason, floor) = (ExitReason::Operator, Price::ZERO);
            let none = PendingExit::new(reason, floor, Shares::ZERO);
            exit.pending.entry(Authority::of(reason)).or_insert(none).shares += shares;
        });
    }

    /// Cancels the resting buys of a market, or all; those that a person placed elsewhere stay.
    pub(super) fn cancel_buys(&mut self, now: Time, market: Option<MarketKey>, out: &mut Outbox) {
        let here = |key: MarketKey| market.is_none_or(|market| market == key);
        let buys = self.state.orders.open().filter(|order| {
            order.side == Side::Buy
                && order.tif.rests()
                && order.purpose != Purpose::External
                && here(order.token.market())
        });
        for id in buys.map(|order| order.id).collect::<Vec<ClientOrderId>>() {
            self.cancel(now, id, out);
        }
    }

    /// Cancels an order; a quote would be put back at once, so it is not wanted any more either.
    fn cancel_order(&mut self, now: Time, id: ClientOrderId, out: &mut Outbox) {
        let quote = self.state.orders.get(id).filter(|order| order.purpose == Purpose::Quote);
        if let Some(owner) = quote.map(|order| order.strategy) {
            self.quote_ended(owner, id, true);
        }
        self.cancel(now, id, out);
    }

    fn close_all(
        &mut self,
        ctx: &Context<'_>,
        which: impl Fn(Token) -> bool,
        fraction_ppm: u32,
        collar: Option<Price>,
        out: &mut Outbox,
    ) {
        let held: Vec<_> = self.state.positions.all().map(|(s, t, _)| (s, t)).collect();
        let mut markets = BTreeSet::new();
        for (strategy, token) in held {
            // What a person bought elsewhere is theirs to sell.
            if which(token) && strategy != StrategyId::EXTERNAL {
                let close = Close { token, fraction_ppm, floor: Price::ZERO };
                self.ask_close(ctx, strategy, close, ExitReason::Operator, (collar, None), out);
                markets.insert(token.market());
            }
        }
        // Only when all of it is asked for: what can be merged shows in both outcomes.
        for market in markets {
            self.exits(ctx, market, out);
        }
    }

    pub(super) fn close(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        close: Close,
        signal: SignalId,
        out: &mut Outbox,
    ) {
        self.ask_close(ctx, strategy, close, ExitReason::Signal, (None, Some(signal)), out);
        self.exits(ctx, close.token.market(), out);
    }

    fn ask_close(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        close: Close,
        reason: ExitReason,
        (collar, signal): (Option<Price>, Option<SignalId>),
        out: &mut Outbox,
    ) {
        let Close { token, fraction_ppm, floor } = close;
        let held =
            self.state.positions.get(strategy, token).map_or(Shares::ZERO, |held| held.held());
        let shares = held.scale_floor(u64::from(fraction_ppm.min(1_000_000)), 1_000_000);
        if shares.is_zero() {
            let about = (Some(token.market()), None);
            return self.deny(ctx, strategy, about, Reason::new("nothing_to_close"), out);
        }
        self.state.positions.change_exit(strategy, token, |exit| {
            exit.pending.insert(
                Authority::of(reason),
                PendingExit { collar, signal, ..PendingExit::new(reason, floor, shares) },
            );
            exit.tries.remove(&Authority::of(reason));
        });
    }

    /// Latches the kill: cancels everything, nothing new.
    pub fn kill(&mut self, ctx: &Context<'_>, detail: String, out: &mut Outbox) {
        self.block(ctx, Cause::Killed, detail, out);
        self.cancel_all(ctx.now, None, out);
    }

    /// The run ends: cancels everything that rests.
    pub fn stop(&mut self, now: Time, out: &mut Outbox) {
        self.stopping = true;
        self.cancel_all(now, None, out);
    }

    /// One request for everything at once; what it misses is cancelled one by one by the timer.
    fn cancel_all(&mut self, now: Time, market: Option<MarketKey>, out: &mut Outbox) {
        let here = |key: MarketKey| market.is_none_or(|market| market == key);
        let wanted: Vec<_> =
            self.state.quotes.keys().filter(|(_, key)| here(*key)).copied().collect();
        for key in wanted {
            self.state.quotes.remove(&key);
        }
        out.command(Command::CancelAll(market));
        let resting = self.state.orders.open().filter(|order| {
            here(order.token.market()) && !order.state.ended() && order.tif.rests()
        });
        for id in resting.map(|order| order.id).collect::<Vec<ClientOrderId>>() {
            self.state.orders.cancelling(id, now);
        }
    }

    /// A broken invariant: everything stops until a person resumes.
    pub fn halt(&mut self, ctx: &Context<'_>, why: String, out: &mut Outbox) {
        // Only the first reason counts; what follows is its consequence.
        if !self.state.blockers.contains_key(&Cause::Halted) {
            out.note(NoteLevel::Critical, "halt", why.clone());
            self.block(ctx, Cause::Halted, why, out);
        }
        self.cancel_all(ctx.now, None, out);
    }
}
