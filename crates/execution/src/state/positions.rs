//! What is held, in lots: first in, first out, with fees in the cost.
//!
//! A lot counts as exposure from its match on and can be sold only once it is final; a sale earns only
//! once it is final; whatever fails is undone exactly once.

use std::collections::BTreeMap;

use polydesk_domain::{
    ClientOrderId, ExitReason, Fill, MarketKey, Position, Role, Shares, StrategyId, Time, Token,
    TokenId, TradeId, Universe, Usdc,
};
use serde::{Deserialize, Serialize};

use super::codec::{Venue, plain};
use super::ledger::{Entry as LedgerEntry, Ledger, LedgerAccount};
use super::lots::{Authority, ExitState, FillKey, Holding, Lot, PendingExit};
use super::tracked::Tracked;

/// A sale that is matched but not final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sale<T = Token> {
    /// Whose.
    pub strategy: StrategyId,
    /// Which token.
    pub token: T,
    /// What left, oldest first.
    pub slices: Vec<Lot>,
    /// Whose each of them was; empty: all were the seller's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<StrategyId>,
    /// The amounts.
    pub fill: Fill,
    /// Maker or taker.
    pub role: Role,
    /// Why.
    pub reason: ExitReason,
    /// What it counted for of the pending exits, to be pending again if it fails.
    pub asked: Vec<PendingExit>,
}

impl<T> Sale<T> {
    fn with_token<U>(self, with: impl FnOnce(T) -> Result<U, String>) -> Result<Sale<U>, String> {
        let Sale { strategy, token, slices, owners, fill, role, reason, asked } = self;
        Ok(Sale { strategy, token: with(token)?, slices, owners, fill, role, reason, asked })
    }
}

impl Venue for Sale {
    type Doc = Sale<TokenId>;
    fn doc(&self, ids: &Universe) -> Sale<TokenId> {
        match self.clone().with_token(|token| Ok(ids.token_id(token))) {
            Ok(doc) => doc,
            Err(error) => unreachable!("{error}"),
        }
    }
    fn read(doc: Sale<TokenId>, ids: &Universe) -> Result<Sale, String> {
        doc.with_token(|token| Token::read(token, ids))
    }
}

plain!(StrategyId, TradeId, ClientOrderId);

/// All holdings.
#[derive(Debug, Clone, Default)]
pub struct Positions {
    pub(crate) holdings: Tracked<(StrategyId, Token), Holding>,
    pub(crate) sales: Tracked<FillKey, Sale>,
    pub(crate) exits: Tracked<(StrategyId, Token), ExitState>,
    /// Markets with something in them, so that the others cost nothing on a batch.
    occupied: Vec<bool>,
    /// The holdings of each such market, in order.
    by_market: BTreeMap<MarketKey, Vec<(StrategyId, Token)>>,
}

impl Positions {
    /// A holding.
    pub fn get(&self, strategy: StrategyId, token: Token) -> Option<&Holding> {
        self.holdings.get(&(strategy, token))
    }

    /// What is under way to leave a holding.
    pub fn exit(&self, strategy: StrategyId, token: Token) -> Option<&ExitState> {
        self.exits.get(&(strategy, token))
    }

    /// Changes what is under way to leave a holding, only where it does change; gone holdings are left.
    pub(crate) fn change_exit(
        &mut self,
        strategy: StrategyId,
        token: Token,
        change: impl FnOnce(&mut ExitState),
    ) {
        let key = (strategy, token);
        if !self.holdings.contains_key(&key) {
            return;
        }
        let before = self.exits.get(&key).cloned().unwrap_or_default();
        let mut after = before.clone();
        change(&mut after);
        if after == ExitState::default() {
            self.exits.remove(&key);
        } else if after != before {
            self.exits.insert(key, after);
        }
    }

    /// The pending exit of an authority, if any.
    pub fn pending_exit(
        &self,
        strategy: StrategyId,
        token: Token,
        authority: Authority,
    ) -> Option<PendingExit> {
        self.exit(strategy, token)?.pending.get(&authority).copied()
    }

    /// Shares left a holding: every pending exit counts less, whatever sold them. Returns by how much.
    pub(super) fn less_pending(
        &mut self,
        strategy: StrategyId,
        token: Token,
        shares: Shares,
    ) -> Vec<PendingExit> {
        let mut less = Vec::new();
        self.change_exit(strategy, token, |exit| {
            for pending in exit.pending.values_mut() {
                let shares = shares.min(pending.shares);
                less.push(PendingExit { shares, ..*pending });
                pending.shares -= shares;
            }
            exit.pending.retain(|_, pending| !pending.shares.is_zero());
        });
        less
    }

    /// Raises the high that a lot's trailing stop is measured from.
    pub(crate) fn raise(&mut self, strategy: StrategyId, token: Token, lot: FillKey, high: u64) {
        let Some(holding) = self.holdings.get_mut(&(strategy, token)) else { return };
        for lot in holding.lots.iter_mut().filter(|of| of.key == lot) {
            lot.high = Some(high);
        }
    }

    /// All holdings, in order.
    pub fn all(&self) -> impl Iterator<Item = (StrategyId, Token, &Holding)> {
        self.holdings.iter().map(|((strategy, token), holding)| (*strategy, *token, holding))
    }

    /// Whether anything is held in a market.
    #[inline]
    pub fn occupied(&self, market: MarketKey) -> bool {
        self.occupied.get(market.index()).is_some_and(|occupied| *occupied)
    }

    /// The holdings of a market, in order.
    pub fn in_market(&self, market: MarketKey) -> &[(StrategyId, Token)] {
        self.by_market.get(&market).map_or(&[], Vec::as_slice)
    }

    /// Markets in which something is held, in order.
    pub fn markets(&self) -> impl Iterator<Item = MarketKey> {
        self.by_market.keys().copied()
    }

    /// Makes the lists again from the entries.
    pub(crate) fn derive(&mut self) {
        self.occupied.clear();
        self.by_market.clear();
        for key in self.holdings.keys().copied().collect::<Vec<_>>() {
            self.listed(key);
        }
    }

    fn listed(&mut self, key: (StrategyId, Token)) {
        let market = key.1.market();
        let list = self.by_market.entry(market).or_default();
        if let Err(at) = list.binary_search(&key) {
            list.insert(at, key);
        }
        if self.occupied.len() <= market.index() {
            self.occupied.resize(market.index() + 1, false);
        }
        self.occupied[market.index()] = true;
    }

    /// What strategies see of a holding; `offered` is what open sells may take.
    pub fn position(&self, strategy: StrategyId, token: Token, offered: Shares) -> Position {
        let Some(holding) = self.get(strategy, token) else { return Position::default() };
        let confirmed = holding.confirmed();
        Position { confirmed, unsettled: holding.held() - confirmed, offered, cost: holding.cost() }
    }

    pub(super) fn add(&mut self, strategy: StrategyId, token: Token, lot: Lot) {
        self.listed((strategy, token));
        let holding = self.holdings.entry((strategy, token));
        // Lots stay in the order they were bought, also when a failed sale brings one back.
        let at = holding.lots.partition_point(|other| other.opened_at <= lot.opened_at);
        holding.lots.insert(at, lot);
    }

    /// Removes a holding once it is empty.
    pub(super) fn tidy(&mut self, strategy: StrategyId, token: Token) {
        let key = (strategy, token);
        if !self.holdings.get(&key).is_some_and(|holding| holding.lots.is_empty()) {
            return;
        }
        self.holdings.remove(&key);
        self.exits.remove(&key);
        if let Some(list) = self.by_market.get_mut(&token.market()) {
            list.retain(|listed| *listed != key);
            if list.is_empty() {
                self.by_market.remove(&token.market());
                self.occupied[token.market().index()] = false;
            }
        }
    }

    /// Takes up to `shares` of settled lots: those named, in that order, then the oldest. Returns how many were
    /// missing.
    pub(super) fn take(
        &mut self,
        strategy: StrategyId,
        token: Token,
        shares: Shares,
        first: &[FillKey],
    ) -> (Vec<Lot>, Shares) {
        let (mut slices, mut left) = (Vec::new(), shares);
        let Some(holding) = self.holdings.get_mut(&(strategy, token)) else {
            return (slices, left);
        };
        // The named ones in their order, then whatever is left to be taken of the others.
        for named in first.iter().map(Some).chain([None]) {
            let settled = |lot: &&mut Lot| lot.confirmed && !lot.shares.is_zero();
            let lots = holding.lots.iter_mut().filter(settled);
            for lot in lots.filter(|lot| named.is_none_or(|named| lot.key == *named)) {
                if left.is_zero() {
                    break;
                }
                let slice = lot.cut(lot.shares.min(left));
                left -= slice.shares;
                slices.push(slice);
            }
        }
        holding.lots.retain(|lot| !lot.shares.is_zero());
        (slices, left)
    }

    /// Shares appeared that a log explains and no order bought: held by `external`, at no cost.
    pub(crate) fn found(&mut self, at: Time, token: Token, shares: Shares) {
        let lot = Lot {
            key: (TradeId(0), ClientOrderId(0)),
            opened_at: at,
            shares,
            cost: Usdc::ZERO,
            fee: Usdc::ZERO,
            confirmed: true,
            plan: None,
            role: Role::Taker,
            high: None,
        };
        self.add(StrategyId::EXTERNAL, token, lot);
    }

    /// Shares went that a log explains and no order sold: what `external` holds first, then the others in
    /// their order. Their cost leaves the books; what no lot held is returned.
    pub(crate) fn lost(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        token: Token,
        shares: Shares,
    ) -> Shares {
        let mut left = shares;
        let mut owners = vec![StrategyId::EXTERNAL];
        owners.extend(
            self.in_market(token.market())
                .iter()
                .filter(|(owner, of)| *of == token && *owner != StrategyId::EXTERNAL)
                .map(|(owner, _)| *owner),
        );
        for owner in owners {
            let (slices, missing) = self.take(owner, token, left, &[]);
            let amount = slices.iter().map(|lot| lot.cost).sum();
            let (from, to) = (LedgerAccount::Inventory, LedgerAccount::External);
            ledger.post(LedgerEntry { at, from, to, amount });
            self.tidy(owner, token);
            left = missing;
            if left.is_zero() {
                break;
            }
        }
        left
    }

    /// What the ledger's inventory and pending accounts must be.
    pub fn totals(&self) -> (Usdc, Usdc) {
        let inventory = self.holdings.values().map(Holding::cost).sum();
        let pending = self.sales.values().map(|sale| sale.fill.notional - sale.fill.fee).sum();
        (inventory, pending)
    }

    /// What was sold and may come back: owner, token, cost and shares.
    pub fn unsettled_sales(&self) -> impl Iterator<Item = (StrategyId, Token, Usdc, Shares)> {
        self.sales.values().map(|sale| {
            let cost = sale.slices.iter().map(|lot| lot.cost).sum();
            let shares = sale.slices.iter().map(|lot| lot.shares).sum();
            (sale.strategy, sale.token, cost, shares)
        })
    }

    /// Shares bought and not final yet, at cost.
    pub fn unsettled_cost(&self) -> Usdc {
        let lots = self.holdings.values().flat_map(|holding| &holding.lots);
        lots.filter(|lot| !lot.confirmed).map(|lot| lot.cost).sum()
    }
}

#[cfg(test)]
#[path = "positions_tests.rs"]
mod tests;
