//! The way out: orders through the gate, cancels, questions, conversions.

use polydesk_domain::{
    BasketId, ClientOrderId, Code, Command, Conversion, ConversionId, Market, MarketKey,
    OrderRecord, OrderState, Outbox, PlaceOrder, Purpose, Query, Reason, Record, Shares, Side,
    Size, Span, StrategyId, Time, Usdc,
};

use super::{Context, Manager};
use crate::gate::GateRequest;
use crate::state::{Order, PendingConversion};

/// How often an unanswered order is asked about, and a stuck cancel repeated.
const ASK_AGAIN: Span = Span::secs(2);
/// Cancels of one order before its fate is asked for instead.
const MOST_CANCELS: u32 = 5;

impl Manager {
    /// Sends an order through the gate; its name, or `None` when it was denied (and counted).
    pub(super) fn submit(
        &mut self,
        ctx: &Context<'_>,
        order: Order,
        out: &mut Outbox,
    ) -> Option<ClientOrderId> {
        let (strategy, market, signal) = (order.strategy, order.token.market(), order.signal);
        match self.admit(ctx, order, out) {
            Ok(id) => {
                self.place(ctx, &[id], out);
                Some(id)
            }
            Err(reason) => {
                self.deny(ctx, strategy, (Some(market), signal), reason, out);
                None
            }
        }
    }

    /// The gate: an admitted order is inserted and counts as exposure from here on.
    pub(super) fn admit(
        &mut self,
        ctx: &Context<'_>,
        mut order: Order,
        out: &mut Outbox,
    ) -> Result<ClientOrderId, Reason> {
        let key = order.token.market();
        let absurd = match order.size {
            Size::Shares(shares) => shares > Shares::SANE_MAX,
            Size::Spend(spend) => spend > Shares::SANE_MAX.face_value(),
        };
        if absurd {
            return Err(Reason::new("absurd_size"));
        }
        let book = ctx.books.get(key).ok_or(Reason::new("no_book"))?;
        order.double_mid = book.double_mid(order.token.outcome());
        order.data_at = ctx.books.proven_at(key).unwrap_or(Time::MIN);
        let market = ctx.universe.get(key).ok_or(Reason::new("market_unknown"))?;
        large_enough(&order, market)?;
        if order.side == Side::Buy && !order.post_only {
            let rate = market.fees.at(ctx.now).map_err(|_| Reason::new("fee_unknown"))?;
            // rate × (1 − p) of the notional is charged: at worst the whole rate.
            let notional = match order.size {
                Size::Shares(shares) => order.price.notional_ceil(shares),
                Size::Spend(spend) => spend,
            };
            order.fee_reserve =
                notional.scale_floor(u64::from(rate.rate_ppm), 1_000_000) + Usdc::new(100);
        }
        let ask = GateRequest {
            strategy: order.strategy,
            token: order.token,
            side: order.side,
            price: order.price,
            cost: order.remaining_cost(),
            shares: order.remaining_shares(book.tick()),
            reduces: order.purpose.reduces(),
        };
        if self.stopping {
            return Err(Reason::new("run_over"));
        }
        self.state.know(key, market);
        self.state.refresh_sums();
        self.limits.admit(&ask, &self.facts(ctx))?;
        if !ask.reduces {
            self.cooled_down(ctx, &order)?;
        }
        // An exit uses the budget up but does not wait for it.
        if !self.state.budgets.get_mut().orders.take(ctx.now) && !ask.reduces {
            return Err(Reason::new("order_rate"));
        }
        if !ask.reduces {
            self.keep_pace(ctx, order.strategy, out)?;
        }
        order.id = self.next_id();
        let id = order.id;
        self.state.uses(key, ctx.universe, ctx.states);
        self.state.orders.insert(order);
        Ok(id)
    }

    /// Whether nothing that just happened keeps an entry back: refusals of the venue, a stop.
    fn cooled_down(&self, ctx: &Context<'_>, order: &Order) -> Result<(), Reason> {
        let key = (order.strategy, order.token.market());
        if let Some(refused) = self.state.rejections.get(&key).filter(|r| r.until > ctx.now) {
            return Err(Reason::new("backing_off").with("refused", i64::from(refused.count)));
        }
        let stopped = self.state.stopped.get(&(order.strategy, order.token));
        if let (Side::Buy, Some(at)) = (order.side, stopped)
            && at.until(ctx.now) < self.limits.stop_cooldown
        {
            let ago = at.until(ctx.now).as_millis();
            return Err(Reason::new("just_stopped").with("ms_ago", ago));
        }
        Ok(())
    }

    /// Turns admitted orders into one request.
    pub(super) fn place(&mut self, ctx: &Context<'_>, ids: &[ClientOrderId], out: &mut Outbox) {
        let mut request = Vec::with_capacity(ids.len());
        for order in ids.iter().filter_map(|id| self.state.orders.get(*id)) {
            self.counts.placed += 1;
            out.record(Record::Placed(Box::new(record_of(ctx, order))));
            request.push(PlaceOrder {
                id: order.id,
                strategy: order.strategy,
                signal: order.signal,
                basket: match order.purpose {
                    Purpose::Leg(basket) => Some(basket),
                    _ => None,
                },
                token: order.token,
                side: order.side,
                price: order.price,
                size: order.size,
                tif: order.tif,
                post_only: order.post_only,
                decided_at: order.placed_at,
                data_at: order.data_at,
                expires: order.expires,
            });
        }
        while request.len() > Command::BATCH {
            let rest = request.split_off(Command::BATCH);
            out.command(Command::Place(core::mem::replace(&mut request, rest)));
        }
        if !request.is_empty() {
            out.command(Command::Place(request));
        }
    }

    /// Cancels an order unless that is under way or impossible. Cancels never wait for orders; one that the
    /// rate does not allow is kept and repeated.
    pub(super) fn cancel(&mut self, now: Time, id: ClientOrderId, out: &mut Outbox) {
        let Some(order) = self.state.orders.get(id) else { return };
        if order.state.ended() || !order.tif.rests() {
            return;
        }
        if order.state == OrderState::Delayed {
            // The venue cancels nothing that is held back: it is cancelled as soon as it rests.
            self.state.orders.want_cancel(id);
            return;
        }
        if order.cancel_at.is_some_and(|at| at.until(now) < ASK_AGAIN) {
            return;
        }
        if order.cancels >= MOST_CANCELS {
            self.query(now, id, out);
            return;
        }
        // A repetition leaves the rate to orders that were not cancelled yet.
        let first_waits =
            order.cancels > 0 && self.state.orders.open().any(Order::waits_for_first_cancel);
        if first_waits || !self.state.budgets.get_mut().cancels.take(now) {
            *self.counts.anomalies.entry(Code::literal("cancel_rate")).or_default() += 1;
            self.state.orders.want_cancel(id);
            return;
        }
        self.state.orders.cancelling(id, now);
        self.counts.cancels += 1;
        out.command(Command::Cancel(id));
    }

    /// Asks what became of an order, unless that was asked just now.
    pub(super) fn query(&mut self, now: Time, id: ClientOrderId, out: &mut Outbox) {
        let Some(order) = self.state.orders.get(id) else { return };
        if order.queried_at.is_none_or(|at| at.until(now) >= ASK_AGAIN) {
            self.state.orders.queried(id, now);
            out.command(Command::Query(Query::Order(id)));
        }
    }

    /// Asks for a split, merge or redemption.
    #[expect(clippy::too_many_arguments, reason = "a conversion is all of these")]
    pub(super) fn convert(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        market: MarketKey,
        action: Conversion,
        basket: Option<BasketId>,
        yes_units: u16,
        out: &mut Outbox,
    ) -> ConversionId {
        let id = self.next_conversion();
        let pending = PendingConversion {
            strategy,
            market,
            action,
            basket,
            yes_units,
            asked_at: ctx.now,
            queried_at: None,
        };
        self.state.uses(market, ctx.universe, ctx.states);
        self.state.conversions.insert(id, pending);
        out.record(Record::Conversion {
            id,
            strategy,
            market: ctx.universe.market(market).condition,
            action,
            code: Code::literal("asked"),
            amount: Usdc::ZERO,
        });
        out.command(Command::Convert { id, strategy, market, action });
        id
    }
}

/// Whether the venue takes an order of this size: fewer shares than the market's minimum it refuses, and of
/// what takes at once less than a dollar.
fn large_enough(order: &Order, market: &Market) -> Result<(), Reason> {
    let (few, worth) = match order.size {
        // A size of nothing has a denial of its own.
        Size::Shares(shares) if shares.is_zero() => return Ok(()),
        Size::Shares(shares) => (shares < market.min_size, order.price.notional_floor(shares)),
        Size::Spend(spend) => (false, spend),
    };
    if few || (!order.tif.rests() && worth < Usdc::whole(1)) {
        return Err(Reason::new("below_minimum").with("worth_micros", worth.micros()));
    }
    Ok(())
}

fn record_of(ctx: &Context<'_>, order: &Order) -> OrderRecord {
    OrderRecord {
        id: order.id,
        strategy: order.strategy,
        signal: order.signal,
        purpose: order.purpose,
        market: ctx.universe.market(order.token.market()).condition,
        token: ctx.universe.token_id(order.token),
        outcome: order.token.outcome(),
        side: order.side,
        price: order.price,
        size: order.size,
        tif: order.tif,
        post_only: order.post_only,
        expires: order.expires,
        double_mid: order.double_mid,
    }
}
