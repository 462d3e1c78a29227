//! What became of orders and of their fills.

use polydesk_domain::{
    ClientOrderId, Command, OrderUpdate, OrderState, OwnTrade, RejectReason, Side, TradeStatus,
};

use super::{Context, Execution};
use crate::orders::{Purpose, TradeChange, is_ordinary};
use crate::positions::ExitReason;

impl Execution {
    /// Takes in news of one of our orders.
    pub fn on_order(
        &mut self,
        ctx: &Context<'_>,
        id: ClientOrderId,
        event: &OrderUpdate,
        out: &mut Vec<Command>,
    ) {
        let (before, after) = match self.orders.apply(id, event, ctx.now) {
            None => return self.stranger(id, ["foreign_order", "forgotten_order"], "news", out),
            Some(Err(illegal)) => {
                return self.odd("illegal_order_event", format!("order {id}: {illegal}"), out);
            }
            Some(Ok(change)) => change,
        };
        let Some(order) = self.orders.get(id) else { return };
        let (strategy, purpose, token) = (order.strategy, order.purpose, order.token);
        if let OrderUpdate::Rejected { reason } = event {
            *self.counts.rejects.entry((strategy, reason.code())).or_default() += 1;
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
        *self.counts.ends.entry((strategy, end_name(after))).or_default() += 1;
        match purpose {
            Purpose::Quote => {
                let fatal = matches!(event, OrderUpdate::Rejected { reason } if !is_ordinary(reason) && *reason != RejectReason::RateLimited);
                self.quote_ended(strategy, id, fatal);
                self.requote.insert((strategy, token.market()));
                if !matches!(event, OrderUpdate::Rejected { .. }) {
                    self.requote_market(ctx, token.market(), out);
                }
            }
            Purpose::Exit(_) => {
                self.exit_ended(ctx, id, matches!(event, OrderUpdate::Rejected { .. }));
                self.exits(ctx, token.market(), out);
            }
            Purpose::Leg(plan) => self.plan_step(ctx, plan, out),
            Purpose::Trade => {}
        }
    }

    /// News of an order that is not here: never ours, or forgotten. It is counted and told and changes
    /// nothing, for what it would change is not known any more.
    fn stranger(
        &mut self,
        id: ClientOrderId,
        [foreign, forgotten]: [&'static str; 2],
        what: &str,
        out: &mut Vec<Command>,
    ) {
        if self.named(id) {
            let text = format!("{what} of order {id}, which is not kept any more");
            self.odd(forgotten, text, out);
        } else {
            self.odd(foreign, format!("{what} of unknown order {id}"), out);
        }
    }

    /// Takes in news of a fill.
    pub fn on_trade(&mut self, ctx: &Context<'_>, trade: &OwnTrade, out: &mut Vec<Command>) {
        let OwnTrade { order: id, trade: trade_id, fill, status, .. } = *trade;
        let change = match self.orders.trade(id, trade_id, fill, status, ctx.now) {
            None => return self.stranger(id, ["foreign_trade", "forgotten_trade"], "a fill", out),
            Some(Err(illegal)) => {
                return self.odd("illegal_trade_event", format!("order {id}: {illegal}"), out);
            }
            Some(Ok(change)) => change,
        };
        let Some(order) = self.orders.get(id) else { return };
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
        let mut claim = Ok(());
        if change == TradeChange::New {
            match side {
                Side::Buy => self.positions.buy(
                    &mut self.ledger,
                    now,
                    strategy,
                    token,
                    key,
                    fill,
                    trade.role,
                    plan,
                ),
                Side::Sell => {
                    let why = exit_why(purpose);
                    claim = self.positions.sell(
                        &mut self.ledger,
                        now,
                        strategy,
                        token,
                        key,
                        fill,
                        trade.role,
                        why,
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
            (true, _, Side::Buy) => self.positions.confirm_buy(strategy, token, key),
            (true, _, Side::Sell) => {
                self.positions.confirm_sale(&mut self.ledger, now, key, &mut self.closed)
            }
            (_, TradeChange::Failed, Side::Buy) => {
                *self.counts.oddities.entry("failed_settlement").or_default() += 1;
                claim = self.positions.fail_buy(&mut self.ledger, now, strategy, token, key, fill);
            }
            (_, TradeChange::Failed, Side::Sell) => {
                *self.counts.oddities.entry("failed_settlement").or_default() += 1;
                self.positions.fail_sale(&mut self.ledger, now, key);
            }
            _ => {}
        }
        if let Err(claim) = claim {
            return self.halt(ctx, claim.to_string(), out);
        }
        self.audit(ctx, out);
        if let Purpose::Leg(plan) = purpose {
            self.plan_step(ctx, plan, out);
        } else if change != TradeChange::Nothing {
            self.plans_touching(ctx, token.market(), out);
        }
        self.exits(ctx, token.market(), out);
    }
}

fn exit_why(purpose: Purpose) -> ExitReason {
    match purpose {
        Purpose::Exit(why) => why,
        Purpose::Leg(_) => ExitReason::Basket,
        Purpose::Trade | Purpose::Quote => ExitReason::Signal,
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
