//! What became of orders and of their fills.

use polydesk_domain::{
    ClientOrderId, Code, ExitReason, FillRecord, OrderState, OrderUpdate, Outbox, OwnTrade,
    Purpose, Record, RejectReason, Side, TradeStatus,
};

use super::{Context, Manager};
use crate::state::{TradeChange, is_ordinary};

impl Manager {
    /// Takes in an update of one of our orders.
    pub fn on_order(
        &mut self,
        ctx: &Context<'_>,
        id: ClientOrderId,
        event: &OrderUpdate,
        out: &mut Outbox,
    ) {
        let (before, after) = match self.state.orders.apply(id, event, ctx.now) {
            None => {
                return self.unknown(id, ["unknown_order", "forgotten_order"], "an update", out);
            }
            Some(Err(illegal)) => {
                return self.anomaly("illegal_order_event", format!("order {id}: {illegal}"), out);
            }
            Some(Ok(change)) => change,
        };
        let Some(order) = self.state.orders.get(id) else { return };
        let (strategy, purpose, token) = (order.strategy, order.purpose, order.token);
        if let OrderUpdate::Rejected { reason } = event {
            let code = Code::literal(reason.code());
            *self.counts.rejects.entry((strategy, code)).or_default() += 1;
        }
        if before != after {
            let matched = order.matched;
            let cause = update_name(event);
            out.record(Record::OrderChanged { id, strategy, state: after, matched, cause });
        }
        if matches!(event, OrderUpdate::Unknown)
            || matches!(event, OrderUpdate::CancelRefused { still_open: false })
        {
            // Not open any more or never answered: only evidence tells what became of it.
            self.query(ctx.now, id, out);
        }
        if before.ended() || !after.ended() {
            return;
        }
        *self.counts.ends.entry((strategy, Code::literal(end_name(after)))).or_default() += 1;
        match purpose {
            Purpose::Quote => {
                let fatal = matches!(event, OrderUpdate::Rejected { reason } if !is_ordinary(reason) && *reason != RejectReason::RateLimited);
                self.quote_ended(strategy, id, fatal);
                self.await_quotes(strategy, token.market());
                if !matches!(event, OrderUpdate::Rejected { .. }) {
                    self.requote_market(ctx, token.market(), out);
                }
            }
            Purpose::Exit(_) => {
                self.exit_ended(ctx, id, matches!(event, OrderUpdate::Rejected { .. }));
                self.exits(ctx, token.market(), out);
            }
            Purpose::Leg(basket) => self.basket_step(ctx, basket, out),
            Purpose::Trade | Purpose::External => {}
        }
    }

    /// An update of an order that is not here: never ours, or forgotten. It is counted and reported and
    /// changes nothing, for what it would change is not known any more.
    fn unknown(
        &mut self,
        id: ClientOrderId,
        [unknown, forgotten]: [&'static str; 2],
        what: &str,
        out: &mut Outbox,
    ) {
        if self.named(id) {
            let text = format!("{what} of order {id}, which is not kept any more");
            self.anomaly(forgotten, text, out);
        } else {
            self.anomaly(unknown, format!("{what} of unknown order {id}"), out);
        }
    }

    /// Takes in a fill, or a later stage of its settlement.
    pub fn on_trade(&mut self, ctx: &Context<'_>, trade: &OwnTrade, out: &mut Outbox) {
        let OwnTrade { order: id, trade: trade_id, fill, status, .. } = *trade;
        let change = match self.state.orders.trade(id, trade_id, fill, status, ctx.now) {
            None => return self.unknown(id, ["unknown_trade", "forgotten_trade"], "a fill", out),
            Some(Err(illegal)) => {
                return self.anomaly("illegal_trade_event", format!("order {id}: {illegal}"), out);
            }
            Some(Ok(change)) => change,
        };
        let Some(order) = self.state.orders.get(id) else { return };
        let (strategy, purpose, plan, token, side) =
            (order.strategy, order.purpose, order.exit, order.token, order.side);
        if (trade.token, trade.side) != (token, side) {
            return self.halt(
                ctx,
                format!(
                    "order {id} is {side} {token:?}, its fill says {} {:?}",
                    trade.side, trade.token
                ),
                out,
            );
        }
        let (now, key) = (ctx.now, (trade_id, id));
        let mut invariant = Ok(());
        if change == TradeChange::New {
            match side {
                Side::Buy => self.state.positions.buy(
                    &mut self.state.ledger,
                    now,
                    strategy,
                    token,
                    key,
                    fill,
                    trade.role,
                    plan,
                ),
                Side::Sell => {
                    let reason = exit_reason(purpose);
                    invariant = self.state.positions.sell(
                        &mut self.state.ledger,
                        now,
                        strategy,
                        token,
                        key,
                        fill,
                        trade.role,
                        reason,
                    );
                }
            }
            if purpose == Purpose::Quote {
                self.quote_filled(strategy, id, fill.shares);
            }
        }
        // A first word of a fill can already be its last.
        let settled = change == TradeChange::Confirmed
            || (change == TradeChange::New && status == TradeStatus::Confirmed);
        match (settled, change, side) {
            (true, _, Side::Buy) => self.state.positions.confirm_buy(strategy, token, key),
            (true, _, Side::Sell) => self.state.positions.confirm_sale(
                &mut self.state.ledger,
                now,
                key,
                &mut self.closed,
            ),
            (_, TradeChange::Failed, Side::Buy) => {
                *self.counts.anomalies.entry(Code::literal("failed_settlement")).or_default() += 1;
                invariant = self.state.positions.fail_buy(
                    &mut self.state.ledger,
                    now,
                    strategy,
                    token,
                    key,
                    fill,
                );
            }
            (_, TradeChange::Failed, Side::Sell) => {
                *self.counts.anomalies.entry(Code::literal("failed_settlement")).or_default() += 1;
                self.state.positions.fail_sale(&mut self.state.ledger, now, key);
            }
            _ => {}
        }
        self.report_fill(ctx, trade, out);
        self.report_closed(ctx, out);
        if let Err(violation) = invariant {
            return self.halt(ctx, violation.to_string(), out);
        }
        self.audit(ctx, out);
        if let Purpose::Leg(basket) = purpose {
            self.basket_step(ctx, basket, out);
        } else if change != TradeChange::Nothing {
            self.baskets_touching(ctx, token.market(), out);
        }
        self.exits(ctx, token.market(), out);
    }
}

impl Manager {
    fn report_fill(&mut self, ctx: &Context<'_>, trade: &OwnTrade, out: &mut Outbox) {
        let Some(order) = self.state.orders.get(trade.order) else { return };
        let book = ctx.books.get(trade.token.market());
        out.record(Record::Fill(Box::new(FillRecord {
            trade: trade.trade,
            order: trade.order,
            strategy: order.strategy,
            purpose: order.purpose,
            decided_at: order.placed_at,
            market: ctx.universe.market(trade.token.market()).condition,
            token: ctx.universe.token_id(trade.token),
            outcome: trade.token.outcome(),
            side: trade.side,
            role: trade.role,
            fill: trade.fill,
            status: trade.status,
            double_mid_decided: order.double_mid,
            double_mid: book.and_then(|book| book.double_mid(trade.token.outcome())),
        })));
    }
}

/// The update in a word, with the reason of a rejection.
fn update_name(update: &OrderUpdate) -> String {
    match update {
        OrderUpdate::Rejected { reason } => format!("rejected: {}", reason.code()),
        other => crate::state::order::update_name(other).to_owned(),
    }
}

fn exit_reason(purpose: Purpose) -> ExitReason {
    match purpose {
        Purpose::Exit(reason) => reason,
        Purpose::Leg(_) => ExitReason::Basket,
        Purpose::Trade | Purpose::Quote | Purpose::External => ExitReason::Signal,
    }
}

fn end_name(state: OrderState) -> &'static str {
    match state {
        OrderState::Filled => "filled",
        OrderState::Cancelled => "cancelled",
        OrderState::Expired => "expired",
        _ => "rejected",
    }
}
