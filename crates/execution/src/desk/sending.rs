//! The way out: orders through the gate, cancels, questions, complete sets.

use polydesk_domain::{
    ClientOrderId, Command, OrderState, PlaceOrder, Side, Size, Span, Time, Usdc,
};
use polydesk_signals::Reason;

use super::{Context, Execution, SetPending};
use crate::gate::Ask;
use crate::orders::{Order, Purpose};
use crate::positions::ExitReason;

/// How often an unanswered order is asked about, and a stuck cancel repeated.
const ASK_AGAIN: Span = Span::secs(2);
/// Cancels of one order before its fate is asked for instead.
const MOST_CANCELS: u32 = 5;

impl Execution {
    /// Sends an order through the gate; its name, or `None` when it was denied (and counted).
    pub(crate) fn submit(
        &mut self,
        ctx: &Context<'_>,
        order: Order,
        post_only: bool,
        out: &mut Vec<Command>,
    ) -> Option<ClientOrderId> {
        let strategy = order.strategy;
        match self.admit(ctx, order, post_only) {
            Ok(id) => {
                self.emit(id, post_only, out);
                Some(id)
            }
            Err(reason) => {
                self.deny(strategy, reason);
                None
            }
        }
    }

    /// The gate: an admitted order is inserted and counts as exposure from here on.
    pub(crate) fn admit(
        &mut self,
        ctx: &Context<'_>,
        mut order: Order,
        post_only: bool,
    ) -> Result<ClientOrderId, Reason> {
        let book = ctx.books.get(order.token.market()).ok_or(Reason::new("no_book"))?;
        order.double_mid = book.double_mid(order.token.outcome());
        let market = ctx.universe.get(order.token.market()).ok_or(Reason::new("market_unknown"))?;
        let rate = market.fees.at(ctx.now).map_err(|_| Reason::new("fee_unknown"))?;
        if order.side == Side::Buy && !post_only {
            // rate × (1 − p) of the notional is charged: at worst the whole rate.
            let notional = match order.size {
                Size::Shares(shares) => order.price.notional_ceil(shares),
                Size::Spend(spend) => spend,
            };
            order.fee_reserve =
                notional.scale_floor(u64::from(rate.rate_ppm), 1_000_000) + Usdc::new(100);
        }
        let ask = Ask {
            strategy: order.strategy,
            token: order.token,
            side: order.side,
            price: order.price,
            cost: order.remaining_cost(),
            shares: order.remaining_shares(book.tick()),
            reduces: order.purpose.reduces(),
            by_person: order.purpose == Purpose::Exit(ExitReason::Operator),
        };
        self.limits.admit(&ask, &self.facts(ctx))?;
        // An exit uses the budget up but does not wait for it.
        if !self.order_budget.take(ctx.now) && !ask.reduces {
            return Err(Reason::new("order_rate"));
        }
        order.id = self.next_id();
        let id = order.id;
        self.orders.insert(order);
        Ok(id)
    }

    /// Turns an admitted order into a command.
    pub(crate) fn emit(&mut self, id: ClientOrderId, post_only: bool, out: &mut Vec<Command>) {
        let Some(order) = self.orders.get(id) else { return };
        self.counts.placed += 1;
        out.push(Command::Place(PlaceOrder {
            id,
            strategy: order.strategy,
            signal: order.signal,
            token: order.token,
            side: order.side,
            price: order.price,
            size: order.size,
            tif: order.tif,
            post_only,
            decided_at: order.placed_at,
        }));
    }

    /// Cancels an order unless that is under way or impossible. Cancels never wait for orders.
    pub(crate) fn cancel(&mut self, now: Time, id: ClientOrderId, out: &mut Vec<Command>) {
        let Some(order) = self.orders.get(id) else { return };
        if order.state.ended() || order.state == OrderState::Delayed || !order.tif.rests() {
            return;
        }
        if order.cancel_at.is_some_and(|at| at.until(now) < ASK_AGAIN) {
            return;
        }
        if order.cancels >= MOST_CANCELS {
            self.query(now, id, out);
            return;
        }
        if !self.cancel_budget.take(now) {
            *self.counts.oddities.entry("cancel_rate").or_default() += 1;
            return;
        }
        self.orders.cancelling(id, now);
        self.counts.cancels += 1;
        out.push(Command::Cancel(id));
    }

    pub(super) fn query(&mut self, now: Time, id: ClientOrderId, out: &mut Vec<Command>) {
        let Some(order) = self.orders.get(id) else { return };
        if order.queried_at.is_none_or(|at| at.until(now) >= ASK_AGAIN) {
            self.orders.queried(id, now);
            out.push(Command::Query(id));
        }
    }

    /// Asks for a split, merge or redemption.
    pub(crate) fn ask_set(&mut self, pending: SetPending, out: &mut Vec<Command>) -> ClientOrderId {
        let id = self.next_id();
        self.sets.insert(id, pending);
        let SetPending { strategy, market, action, .. } = pending;
        out.push(Command::Convert { id, strategy, market, action });
        id
    }
}
