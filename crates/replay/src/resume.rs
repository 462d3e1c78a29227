//! What ended with an earlier run's simulated exchange: the events that tell a restarted engine.
//!
//! A simulated exchange is not saved. At the restart its matches have settled, its resting orders were cancelled by the
//! venue, as real ones are when heartbeats stop, and its conversions did not happen.

use polydesk_domain::{
    Basis, CancelReason, Cash, CashKind, Event, Fill, OrderState, OrderUpdate, OwnTrade, Role,
    Shares, Side, Size, TradeId, TradeStatus, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::Order;

/// The events in the order in which the engine takes them; none where nothing was under way.
pub fn leftovers(engine: &Engine) -> Vec<Event> {
    let state = engine.manager().state();
    let mut events = Vec::new();
    for order in state.orders.iter() {
        settle(engine, order, &mut events);
    }
    for order in state.orders.open() {
        let matched = order.matched + order.failed;
        let matched = order.reported.map_or(matched, |reported| reported.max(matched));
        let unsent = matches!(order.state, OrderState::Planned | OrderState::Journaled);
        let update = if unsent && matched.is_zero() {
            OrderUpdate::Absent
        } else {
            OrderUpdate::Cancelled { reason: CancelReason::ByVenue, matched }
        };
        events.push(Event::order(order.id, update));
    }
    for (id, pending) in state.conversions.iter() {
        let failed = Cash {
            kind: CashKind::Failed,
            conversion: Some(*id),
            strategy: Some(pending.strategy),
            market: Some(pending.market),
            amount: Usdc::ZERO,
            shares: Default::default(),
        };
        events.push(Event::cash(failed));
    }
    events
}

/// The fills of an order that are not final become final; one that was reported and never came is made up at the
/// order's own price, for nothing can be asked about it any more.
fn settle(engine: &Engine, order: &Order, events: &mut Vec<Event>) {
    let role = if order.post_only { Role::Maker } else { Role::Taker };
    let trade = |trade, fill| OwnTrade {
        trade,
        order: order.id,
        token: order.token,
        side: order.side,
        role,
        fill,
        status: TradeStatus::Confirmed,
    };
    for (id, fill) in order.unsettled() {
        events.push(Event::trade(trade(id, fill.fill)));
    }
    let known = order.matched + order.failed;
    let missing = order.reported.map_or(Shares::ZERO, |reported| reported.saturating_sub(known));
    if !missing.is_zero() {
        let at = engine.universe().market(order.token.market());
        let fee = match role {
            Role::Maker => Usdc::ZERO,
            Role::Taker => at
                .fees
                .at(engine.now())
                .map_or(Usdc::ZERO, |rate| rate.taker_fee(order.price, missing)),
        };
        let whole = order.price.notional_ceil(missing);
        let left = match order.size {
            Size::Spend(most) => (most - order.spent - order.failed_spend).max(Usdc::ZERO),
            Size::Shares(_) => whole,
        };
        let notional = match order.side {
            // An order by money that was filled below its limit got more shares, not more money.
            Side::Buy => whole.min(left),
            Side::Sell => order.price.notional_floor(missing),
        };
        let level = Some(order.price);
        let fill = Fill { shares: missing, notional, fee, level, basis: Basis::Settled };
        let id = TradeId(u128::MAX - u128::from(order.id.0));
        events.push(Event::trade(trade(id, fill)));
    }
}
