//! The engine as reconciliation sees it.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    Basis, MarketKey, MarketState, OrderState, Outcome, Span, Time, Token, TradeStatus, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::LedgerAccount;
use polydesk_gateway::{View, ViewOrder};

/// What a view needs beside the engine.
pub(super) struct Settled {
    pub(super) run_started_at: Time,
    pub(super) normal_mode: bool,
    pub(super) cancel_external: bool,
    /// Engine time.
    pub(super) now: Time,
}

/// The lane of the chain gives up asking for the amounts of a transaction before this; then the estimates stand.
pub(super) const ESTIMATES: Span = Span::secs(660);

/// What the engine has, for the comparison with what was read. `unsettled`: cash may move although nothing of ours does.
pub(super) fn view_of<'a>(
    engine: &'a Engine,
    plan: &Settled,
    moved_at: &BTreeMap<Token, Time>,
    unsettled: bool,
) -> View<'a> {
    let manager = engine.manager();
    let (orders, positions, ledger) = (manager.orders(), manager.positions(), manager.ledger());
    let mut view = View {
        ids: engine.universe(),
        orders: BTreeMap::new(),
        fills: BTreeMap::new(),
        run_started_at: plan.run_started_at,
        normal_mode: plan.normal_mode,
        cancel_external: plan.cancel_external,
        cash: ledger.balance(LedgerAccount::Cash),
        cash_tolerance: Usdc::ZERO,
        cash_moving: unsettled || !manager.state().conversions.is_empty(),
        shares: BTreeMap::new(),
        moving: BTreeSet::new(),
        resolved: BTreeSet::new(),
        moved_at: moved_at.clone(),
    };
    let states = engine.states();
    let resolved =
        |market: &MarketKey| matches!(states.get(market.index()), Some(MarketState::Resolved(_)));
    view.resolved = engine.universe().keys().filter(resolved).collect();
    let mut estimated = 0;
    for order in orders.iter() {
        let matched = order.matched + order.failed;
        view.orders.insert(order.id, ViewOrder { state: order.state, matched });
        for (trade, fill) in order.all_fills() {
            view.fills.insert((trade, order.id), fill.status);
            estimated += i64::from(fill.fill.basis == Basis::Estimated);
            let settling = match fill.status {
                TradeStatus::Failed => false,
                // Final, and its exact amounts are on their way: a fee that had changed is a difference until then.
                TradeStatus::Confirmed => {
                    fill.fill.basis == Basis::Estimated && fill.at.until(plan.now) < ESTIMATES
                }
                _ => true,
            };
            if settling {
                view.moving.insert(order.token);
                view.cash_moving = true;
            }
        }
        if order.state == OrderState::Unknown || order.reported.is_some_and(|r| r > matched) {
            view.moving.insert(order.token);
            view.cash_moving = true;
        }
    }
    if unsettled {
        // The wallet is not in the books yet: a difference says nothing.
        let tokens = engine.universe().keys().flat_map(|key| Outcome::BOTH.map(|of| key.token(of)));
        view.moving.extend(tokens);
    }
    view.cash_tolerance = Usdc::new(10 * estimated);
    for (_, token, holding) in positions.all() {
        *view.shares.entry(token).or_default() += holding.confirmed();
    }
    for (_, token, _, _) in positions.unsettled_sales() {
        view.moving.insert(token);
        view.cash_moving = true;
    }
    let converting = manager.state().conversions.iter().map(|(_, pending)| pending.market);
    for market in converting {
        view.moving.extend(Outcome::BOTH.map(|of| market.token(of)));
    }
    view
}
