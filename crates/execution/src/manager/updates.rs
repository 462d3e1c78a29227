//! What became of orders and of their fills.

use polydesk_domain::{
    Cause, ClientOrderId, Code, CorrectionRecord, ExitReason, Fill, FillRecord, NoteLevel,
    OrderState, OrderUpdate, Outbox, OwnTrade, Purpose, Record, RejectReason, Shares, Side,
    StrategyId, TradeStatus, Usdc,
};

use super::loops::FAILING_SETTLEMENTS;
use super::{Context, Manager};
use crate::state::order::update_name;
use crate::state::{FillChange, TradeChange, Violation, is_ordinary, sane_fill};

impl Manager {
    /// Takes in an update of one of our orders.
    pub fn on_order(
        &mut self,
        ctx: &Context<'_>,
        id: ClientOrderId,
        event: &OrderUpdate,
        out: &mut Outbox,
    ) {
        if let OrderUpdate::Cancelled { matched, .. }
        | OrderUpdate::Expired { matched }
        | OrderUpdate::Filled { matched } = event
            && *matched > Shares::SANE_MAX
        {
            let text = format!("order {id}: {} with {matched} matched", update_name(event));
            return self.anomaly("absurd_report", text, out);
        }
        let change = match self.state.orders.apply(id, event, ctx.now) {
            None => {
                return self.unknown(id, ["unknown_order", "forgotten_order"], "an update", out);
            }
            Some(Err(illegal)) => {
                return self.anomaly("illegal_order_event", format!("order {id}: {illegal}"), out);
            }
            Some(Ok(change)) => change,
        };
        let Some(order) = self.state.orders.get(id) else { return };
        let strategy = order.strategy;
        if let OrderUpdate::Rejected { reason } = event {
            let code = Code::literal(reason.code());
            *self.counts.rejects.entry((strategy, code)).or_default() += 1;
        }
        match event {
            OrderUpdate::Rejected { reason } => self.refused(ctx, id, reason, out),
            OrderUpdate::Live | OrderUpdate::Matched => self.accepted(id),
            _ => {}
        }
        let Some(order) = self.state.orders.get(id) else { return };
        if change.before != change.after {
            let cause = match event {
                _ if change.reopened => format!("reopened: {}", update_name(event)),
                OrderUpdate::Rejected { reason } => format!("rejected: {}", reason.code()),
                OrderUpdate::NotSent { why } => format!("not sent: {why}"),
                other => update_name(other).to_owned(),
            };
            let (state, matched) = (change.after, order.matched);
            out.record(Record::OrderChanged { id, strategy, state, matched, cause });
        }
        if change.reopened {
            self.reopened(ctx, id, change.before, update_name(event), out);
        }
        let duplicate = matches!(event, OrderUpdate::Rejected { reason: RejectReason::Duplicate });
        let not_open = matches!(event, OrderUpdate::CancelRefused { still_open: false });
        if matches!(event, OrderUpdate::Unknown) || duplicate || not_open || change.doubtful {
            // Unanswered, reported as existing, not open any more, or re-opened: only a query result shows its
            // state.
            self.query(ctx.now, id, out);
        }
        if !change.before.ended() && change.after.ended() {
            self.order_ended(ctx, id, Some(event), out);
        }
    }

    /// An ended order is live: it counts as open, is cancelled and queried. One that a person placed is theirs to cancel.
    fn reopened(
        &mut self,
        ctx: &Context<'_>,
        id: ClientOrderId,
        before: OrderState,
        reported: &str,
        out: &mut Outbox,
    ) {
        let of = self.state.orders.get(id).map(|order| order.purpose);
        let external = of == Some(Purpose::External);
        let cancelled = if external { "" } else { " and is cancelled" };
        let text = format!(
            "order {id} was over ({before:?}) and is reported {reported}: it counts as open{cancelled}"
        );
        self.anomaly("reopened_order", text, out);
        if !external {
            self.cancel(ctx.now, id, out);
        }
        self.query(ctx.now, id, out);
    }

    /// An order is over: what it was for goes on. `update` is what ended it; `None`: its fills.
    fn order_ended(
        &mut self,
        ctx: &Context<'_>,
        id: ClientOrderId,
        update: Option<&OrderUpdate>,
        out: &mut Outbox,
    ) {
        let Some(order) = self.state.orders.get(id) else { return };
        let (strategy, purpose, market) = (order.strategy, order.purpose, order.token.market());
        let ended = Code::literal(end_name(order.state));
        *self.counts.ends.entry((strategy, ended)).or_default() += 1;
        let refusal = match update {
            Some(OrderUpdate::Rejected { reason }) => Some(reason),
            _ => None,
        };
        match purpose {
            Purpose::Quote => {
                let fatal = refusal.is_some_and(|reason| {
                    !is_ordinary(reason) && *reason != RejectReason::RateLimited
                });
                self.quote_ended(strategy, id, fatal);
                // An exit that waited for its shares goes before another quote.
                self.exits(ctx, market, out);
                self.await_quotes(strategy, market);
                // What could not leave is decided again with the next row, not in a circle.
                let withheld = matches!(update, Some(OrderUpdate::NotSent { .. }));
                if refusal.is_none() && !withheld {
                    self.requote_market(ctx, market, out);
                }
            }
            Purpose::Exit(_) => {
                self.exit_ended(ctx, id, refusal, out);
                self.exits(ctx, market, out);
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

    /// Takes in a fill, a later stage of its settlement, or its settled amounts.
    pub fn on_trade(&mut self, ctx: &Context<'_>, trade: &OwnTrade, out: &mut Outbox) {
        let OwnTrade { order: id, trade: trade_id, fill, status, .. } = *trade;
        if let Some(order) = self.state.orders.get(id) {
            let (token, side) = (order.token, order.side);
            if (trade.token, trade.side) != (token, side) {
                let text = format!(
                    "order {id} is {side} {token:?}, its fill is {} {:?}",
                    trade.side, trade.token
                );
                return self.halt(ctx, text, out);
            }
        }
        if !sane_fill(&fill) {
            // It is not booked, and the holding is uncertain.
            let text = format!("a fill of order {id} is {} for {}", fill.shares, fill.notional);
            self.block(ctx, Cause::Token(trade.token), text.clone(), out);
            return self.anomaly("absurd_fill", text, out);
        }
        let change = match self.state.orders.trade(id, trade_id, fill, status, ctx.now) {
            None => return self.unknown(id, ["unknown_trade", "forgotten_trade"], "a fill", out),
            Some(Err(illegal)) => {
                return self.anomaly("illegal_trade_event", format!("order {id}: {illegal}"), out);
            }
            Some(Ok(change)) => change,
        };
        if change.contradicted {
            let text = format!("trade {} of order {id} came again with other amounts", trade_id.0);
            self.anomaly("contradicted_fill", text, out);
        }
        let invariant = self.book_fill(ctx, trade, change, out);
        self.report_fill(ctx, trade, out);
        self.report_closed(ctx, out);
        if let Err(violation) = invariant {
            return self.halt(ctx, violation.to_string(), out);
        }
        self.audit(ctx, out);
        self.trade_settled(ctx, trade, change, out);
    }

    /// What a report of a fill means for its order, its basket and the exits of its market.
    fn trade_settled(
        &mut self,
        ctx: &Context<'_>,
        trade: &OwnTrade,
        change: FillChange,
        out: &mut Outbox,
    ) {
        let (id, market) = (trade.order, trade.token.market());
        if matches!(change.trade, TradeChange::Confirmed | TradeChange::Failed) {
            self.settled_again(ctx, market, out);
        }
        let Some(order) = self.state.orders.get(id) else { return };
        let (purpose, strategy, matched) = (order.purpose, order.strategy, order.matched);
        if change.ended || change.reopened {
            let state = order.state;
            let cause = if change.reopened { "reopened: its fills" } else { "its fills" };
            let cause = cause.to_owned();
            out.record(Record::OrderChanged { id, strategy, state, matched, cause });
        }
        if change.reopened && !change.ended {
            self.reopened(ctx, id, OrderState::Rejected, "filled", out);
        }
        if change.trade == TradeChange::New {
            self.accepted(id);
        }
        if change.ended {
            self.order_ended(ctx, id, None, out);
        }
        if let Purpose::Leg(basket) = purpose {
            let late = change.trade == TradeChange::New && trade.side == Side::Buy;
            if late && !change.external && !self.state.baskets.contains_key(&basket) {
                // Its basket ended without it: it is sold here.
                let text = format!("a fill of order {id} comes after the end of basket {basket}");
                out.note(NoteLevel::Warning, "late_leg", text);
                self.sell_excess(strategy, trade.token, trade.fill.shares);
            }
            self.basket_step(ctx, basket, out);
        } else if change.trade != TradeChange::Nothing {
            self.baskets_touching(ctx, market, out);
        }
        self.exits(ctx, market, out);
    }

    /// Books what a report of a fill changed: each amount exactly once.
    fn book_fill(
        &mut self,
        ctx: &Context<'_>,
        trade: &OwnTrade,
        change: FillChange,
        out: &mut Outbox,
    ) -> Result<(), Violation> {
        let OwnTrade { order: id, trade: trade_id, token, side, role, status, .. } = *trade;
        let Some(order) = self.state.orders.get(id) else { return Ok(()) };
        let (purpose, plan) = (order.purpose, order.exit);
        // Settled amounts are what is booked, also where a later report repeats the estimate.
        let known = order.fills.get(&trade_id);
        let fill = known.map_or(trade.fill, |known| known.fill);
        let failed = known.is_some_and(|known| known.status == TradeStatus::Failed)
            && change.trade != TradeChange::Failed;
        let (strategy, plan) = match change.external {
            true => (StrategyId::EXTERNAL, None),
            false => (order.strategy, plan),
        };
        let (now, key) = (ctx.now, (trade_id, id));
        if change.external && change.trade == TradeChange::New {
            let text = format!(
                "a fill of {} for {} pUSD does not fit order {id}: it is booked as external",
                trade.fill.shares, trade.fill.notional
            );
            *self.counts.anomalies.entry(Code::literal("overfill")).or_default() += 1;
            out.note(NoteLevel::Critical, "overfill", text.clone());
            self.block(ctx, Cause::Token(token), text, out);
        }
        match change.corrected {
            Some(_) if failed => {
                let text = format!("trade {} of order {id} failed and has amounts", trade_id.0);
                self.anomaly("settled_after_failure", text, out);
            }
            Some(before) => self.correct(ctx, trade, strategy, before, out),
            None => {}
        }
        let external = strategy == StrategyId::EXTERNAL && side == Side::Sell;
        let cost_of = |manager: &Manager| {
            let holding = manager.state.positions.get(StrategyId::EXTERNAL, token);
            holding.map_or(Usdc::ZERO, |holding| holding.cost())
        };
        let cost_before = cost_of(self);
        let (ledger, positions) = (&mut self.state.ledger, &mut self.state.positions);
        let mut invariant = Ok(());
        if change.trade == TradeChange::New {
            match side {
                Side::Buy => positions.buy(ledger, now, strategy, token, key, fill, role, plan),
                Side::Sell => {
                    let reason = exit_reason(purpose);
                    if matches!(reason, ExitReason::StopLoss | ExitReason::Trailing) {
                        self.state.stopped.insert((strategy, token), now);
                    }
                    invariant =
                        positions.sell(ledger, now, strategy, token, key, fill, role, reason);
                }
            }
            if external {
                // A sale of what the bot did not buy is no profit or loss of the bot's.
                let gone = cost_before - cost_of(self);
                self.shift_marks(fill.notional - fill.fee - gone);
            }
            if side == Side::Buy && strategy != StrategyId::EXTERNAL {
                self.bought_while_flattened(strategy, token, fill.shares);
            }
            if purpose == Purpose::Quote && !change.external {
                self.quote_filled(strategy, id, fill.shares);
            }
        }
        let (ledger, positions) = (&mut self.state.ledger, &mut self.state.positions);
        // A first report of a fill can already be its last.
        let settled = change.trade == TradeChange::Confirmed
            || (change.trade == TradeChange::New && status == TradeStatus::Confirmed);
        match (settled, change.trade, side) {
            (true, _, Side::Buy) => positions.confirm_buy(strategy, token, key),
            (true, _, Side::Sell) => positions.confirm_sale(ledger, now, key, &mut self.closed),
            (_, TradeChange::Failed, side) => {
                *self.counts.anomalies.entry(Code::literal("failed_settlement")).or_default() += 1;
                match side {
                    Side::Buy => {
                        invariant = positions.fail_buy(ledger, now, strategy, token, key, fill);
                    }
                    Side::Sell => {
                        let rest = positions.fail_sale(ledger, now, key);
                        if rest != 0 {
                            self.state.round(token, -rest);
                        }
                    }
                }
            }
            _ => {}
        }
        if change.trade == TradeChange::Failed {
            self.failed(ctx, FAILING_SETTLEMENTS, out);
        }
        invariant
    }

    /// Settled amounts replace the estimate: money goes to ledger and lots once; a difference in shares
    /// goes to what is left of the fill's lot, else to the rounding account, else it freezes the token.
    fn correct(
        &mut self,
        ctx: &Context<'_>,
        trade: &OwnTrade,
        strategy: StrategyId,
        before: Fill,
        out: &mut Outbox,
    ) {
        let (after, token, key) = (trade.fill, trade.token, (trade.trade, trade.order));
        let (ledger, positions) = (&mut self.state.ledger, &mut self.state.positions);
        let rest = match trade.side {
            Side::Buy => {
                positions.correct_buy(ledger, ctx.now, strategy, token, key, before, after)
            }
            Side::Sell => positions.correct_sale(ledger, ctx.now, strategy, key, before, after),
        };
        let rounding = if rest == 0 { 0 } else { self.state.round(token, rest) };
        if rounding.unsigned_abs() > crate::state::ROUNDING_MOST {
            let detail = format!(
                "settled amounts leave {rounding} millionths of a share that no lot explains"
            );
            self.block(ctx, Cause::Token(token), detail, out);
        }
        out.record(Record::Correction(Box::new(CorrectionRecord {
            trade: trade.trade,
            order: trade.order,
            strategy,
            token: ctx.universe.token_id(token),
            before,
            after,
            basis: before.basis,
            rounding_micros: rest,
        })));
    }

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
