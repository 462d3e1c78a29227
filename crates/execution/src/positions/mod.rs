//! What is held, in lots: first in, first out, with fees in the cost.
//!
//! A lot counts as exposure from its match on and can be sold only once it is final; a sale earns only
//! once it is final; whatever fails is undone exactly once.

mod exit;
mod fills;
mod lot;
mod sets;

use std::collections::BTreeMap;

use polydesk_domain::{Fill, MarketKey, Position, Price, Role, Shares, StrategyId, Token, Usdc};

pub use exit::{ExitContext, ExitReason, ExitWish, exit_wish};
pub use fills::Claim;
pub(crate) use lot::average_units;
pub use lot::{ClosedTrade, FillKey, Holding, Lot};

/// A sale that is matched but not final.
#[derive(Debug, Clone)]
struct Sale {
    strategy: StrategyId,
    token: Token,
    slices: Vec<Lot>,
    fill: Fill,
    role: Role,
    why: ExitReason,
    /// The floor of the latch it was sold under, to latch again if it fails.
    floor: Option<Price>,
}

/// All holdings.
#[derive(Debug, Default)]
pub struct Positions {
    holdings: BTreeMap<(StrategyId, Token), Holding>,
    sales: BTreeMap<FillKey, Sale>,
    /// Markets with something in them, so that the others cost nothing on a batch.
    occupied: Vec<u32>,
}

impl Positions {
    /// A holding.
    pub fn get(&self, strategy: StrategyId, token: Token) -> Option<&Holding> {
        self.holdings.get(&(strategy, token))
    }

    /// A holding to change its exit state.
    pub(crate) fn get_mut(&mut self, strategy: StrategyId, token: Token) -> Option<&mut Holding> {
        self.holdings.get_mut(&(strategy, token))
    }

    /// All holdings, in order.
    pub fn all(&self) -> impl Iterator<Item = (StrategyId, Token, &Holding)> {
        self.holdings.iter().map(|((strategy, token), holding)| (*strategy, *token, holding))
    }

    /// Whether anything is held in a market.
    #[inline]
    pub fn occupied(&self, market: MarketKey) -> bool {
        self.occupied.get(market.index()).is_some_and(|count| *count > 0)
    }

    /// The holdings of a market.
    pub fn in_market(&self, market: MarketKey) -> Vec<(StrategyId, Token)> {
        let mut found = Vec::new();
        if self.occupied(market) {
            found.extend(self.holdings.keys().filter(|(_, token)| token.market() == market));
        }
        found
    }

    /// What strategies see of a holding; `offered` is what open sells may take.
    pub fn position(&self, strategy: StrategyId, token: Token, offered: Shares) -> Position {
        let Some(holding) = self.get(strategy, token) else { return Position::default() };
        let confirmed = holding.confirmed();
        Position { confirmed, unsettled: holding.held() - confirmed, offered, cost: holding.cost() }
    }

    fn add(&mut self, strategy: StrategyId, token: Token, lot: Lot) {
        let holding = self.holdings.entry((strategy, token)).or_default();
        if holding.lots.is_empty() {
            if self.occupied.len() <= token.market().index() {
                self.occupied.resize(token.market().index() + 1, 0);
            }
            self.occupied[token.market().index()] += 1;
        }
        // Lots stay in the order they were bought, also when a failed sale brings one back.
        let at = holding.lots.partition_point(|other| other.opened_at <= lot.opened_at);
        holding.lots.insert(at, lot);
    }

    /// Removes a holding once it is empty.
    fn tidy(&mut self, strategy: StrategyId, token: Token) {
        if self.holdings.get(&(strategy, token)).is_some_and(|holding| holding.lots.is_empty()) {
            self.holdings.remove(&(strategy, token));
            self.occupied[token.market().index()] -= 1;
        }
    }

    /// Takes up to `shares` of settled lots, oldest first; tells how many were missing.
    fn take(&mut self, strategy: StrategyId, token: Token, shares: Shares) -> (Vec<Lot>, Shares) {
        let (mut slices, mut left) = (Vec::new(), shares);
        let Some(holding) = self.holdings.get_mut(&(strategy, token)) else {
            return (slices, left);
        };
        for lot in holding.lots.iter_mut().filter(|lot| lot.confirmed) {
            if left.is_zero() {
                break;
            }
            let slice = lot.cut(lot.shares.min(left));
            left -= slice.shares;
            slices.push(slice);
        }
        holding.lots.retain(|lot| !lot.shares.is_zero());
        (slices, left)
    }

    /// What the ledger's inventory and pending accounts should say.
    pub fn totals(&self) -> (Usdc, Usdc) {
        let inventory = self.holdings.values().map(Holding::cost).sum();
        let pending = self.sales.values().map(|sale| sale.fill.notional - sale.fill.fee).sum();
        (inventory, pending)
    }

    /// What was sold and may come back: owner, token, cost and shares.
    pub fn coming_back(&self) -> impl Iterator<Item = (StrategyId, Token, Usdc, Shares)> {
        self.sales.values().map(|sale| {
            let cost = sale.slices.iter().map(|lot| lot.cost).sum();
            let shares = sale.slices.iter().map(|lot| lot.shares).sum();
            (sale.strategy, sale.token, cost, shares)
        })
    }

    /// Whether a sale in this market is not final: its shares may come back.
    pub fn selling(&self, market: MarketKey) -> bool {
        self.sales.values().any(|sale| sale.token.market() == market)
    }

    /// Shares bought and not final yet, at cost.
    pub fn unsettled_cost(&self) -> Usdc {
        let lots = self.holdings.values().flat_map(|holding| &holding.lots);
        lots.filter(|lot| !lot.confirmed).map(|lot| lot.cost).sum()
    }
}

#[cfg(test)]
mod tests;
