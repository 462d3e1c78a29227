//! Money and complete sets that moved, markets that closed, and whether the books agree.

use std::collections::BTreeMap;

use polydesk_domain::{
    Cash, CashKind, ClientOrderId, Command, MarketKey, MarketState, Conversion, StrategyId, Usdc,
};

use super::{Context, Execution, SetPending};
use crate::ledger::{Account, Entry};

impl Execution {
    /// Takes in a movement of money or complete sets.
    pub fn on_cash(&mut self, ctx: &Context<'_>, cash: &Cash, out: &mut Vec<Command>) {
        let (at, amount) = (ctx.now, cash.amount);
        let pending = cash.command.and_then(|id| self.sets.remove(&id));
        let mut claim = Ok(());
        match (cash.kind, pending, cash.market) {
            (CashKind::Deposit | CashKind::Withdrawal, _, _) => {
                self.ledger.post(Entry { at, from: Account::External, to: Account::Cash, amount });
                // Money that comes or goes is no profit: the marks move with it, first.
                self.equity.high += amount;
                self.equity.day_open += amount;
                self.mark_and_tell(ctx, out);
            }
            (CashKind::Rebate, _, _) => {
                self.ledger.post(Entry { at, from: Account::Rebates, to: Account::Cash, amount })
            }
            (CashKind::Reward, _, _) => {
                self.ledger.post(Entry { at, from: Account::Rewards, to: Account::Cash, amount })
            }
            (CashKind::Split, Some(set), Some(market)) => {
                let command = cash.command.unwrap_or(ClientOrderId(0));
                self.positions.split(
                    &mut self.ledger,
                    at,
                    set.strategy,
                    market,
                    cash.shares[0],
                    set.yes_units,
                    command,
                );
            }
            (CashKind::Merge, Some(set), Some(market)) => {
                claim = self.positions.merge(
                    &mut self.ledger,
                    at,
                    set.strategy,
                    market,
                    cash.shares[0],
                    &mut self.closed,
                );
            }
            (CashKind::Redeem, _, Some(market)) => match self.resolved.get(&market) {
                Some(payout) => {
                    self.positions.redeem(
                        &mut self.ledger,
                        at,
                        market,
                        *payout,
                        amount,
                        &mut self.closed,
                    );
                    if !self.positions.occupied(market) {
                        self.resolved.remove(&market);
                    }
                }
                None => self.ledger.post(Entry {
                    at,
                    from: Account::External,
                    to: Account::Cash,
                    amount,
                }),
            },
            (CashKind::Failed, _, _) => *self.counts.oddities.entry("set_failed").or_default() += 1,
            (CashKind::Split | CashKind::Merge | CashKind::Redeem, _, _) => {
                // Complete sets moved that nobody here asked for: money we cannot explain.
                return self.halt(
                    ctx,
                    format!("{:?} of {amount} pUSD that no command asked for", cash.kind),
                    out,
                );
            }
        }
        if let Err(claim) = claim {
            return self.halt(ctx, claim.to_string(), out);
        }
        self.audit(ctx, out);
        if let Some(plan) = pending.and_then(|set| set.plan) {
            self.plan_set_done(ctx, plan, cash, out);
        }
    }

    /// Takes in a new state of a market.
    pub fn on_state(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        state: MarketState,
        out: &mut Vec<Command>,
    ) {
        if state.trades() {
            return;
        }
        self.desired.retain(|(_, key), _| *key != market);
        for id in self.orders.open_in(market).map(|order| order.id).collect::<Vec<_>>() {
            self.cancel(ctx.now, id, out);
        }
        if let MarketState::Resolved(payout) = state {
            self.resolved.insert(market, payout);
            self.redeem(market, out);
        }
    }

    /// Redeems a resolved market once everything in it is final.
    pub(super) fn redeem(&mut self, market: MarketKey, out: &mut Vec<Command>) {
        // A merge under way holds shares that a redemption must not count, and the other way round.
        let asked = self.sets.values().any(|set| set.market == market);
        let held = self.positions.in_market(market);
        let final_ = held.iter().all(|(strategy, token)| {
            self.positions
                .get(*strategy, *token)
                .is_none_or(|holding| holding.confirmed() == holding.held())
        });
        let offered = self.orders.open_in(market).next().is_some();
        if asked || held.is_empty() || !final_ || offered || self.positions.selling(market) {
            return;
        }
        let strategy = held[0].0;
        let set =
            SetPending { strategy, market, action: Conversion::Redeem, plan: None, yes_units: 0 };
        self.ask_set(set, out);
    }

    /// The ledger must agree with the lots and add up to zero; if not, everything stops.
    pub(super) fn audit(&mut self, ctx: &Context<'_>, out: &mut Vec<Command>) {
        let (inventory, pending) = self.positions.totals();
        let ledger =
            (self.ledger.balance(Account::Inventory), self.ledger.balance(Account::Pending));
        if ledger != (inventory, pending) || !self.ledger.imbalance().is_zero() {
            let why = format!(
                "the ledger says inventory {} and pending {}, the lots say {inventory} and {pending}; imbalance {}",
                ledger.0,
                ledger.1,
                self.ledger.imbalance()
            );
            self.halt(ctx, why, out);
        }
    }
}

/// pUSD that splits under way will take, by strategy and market.
pub(crate) fn splits(
    sets: &BTreeMap<ClientOrderId, SetPending>,
) -> impl Iterator<Item = (StrategyId, MarketKey, Usdc)> {
    sets.values().filter_map(|set| match set.action {
        Conversion::Split(shares) => Some((set.strategy, set.market, shares.face_value())),
        Conversion::Merge(_) | Conversion::Redeem => None,
    })
}
