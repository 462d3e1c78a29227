//! Purchases and sales, from the match to the last word of the settlement.

use polydesk_domain::{Fill, Role, Shares, StrategyId, Time, Token, Usdc};
use polydesk_signals::ExitPlan;

use super::lot::{close, divide};
use super::{ClosedTrade, ExitReason, FillKey, Lot, Positions, Sale};
use crate::ledger::{Account, Entry, Ledger};

/// A broken promise that latches a halt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Claim {
    /// A sale of shares that were not there.
    #[error("{strategy} sold {short} shares more than it held and had settled")]
    Oversold {
        /// Whose.
        strategy: StrategyId,
        /// How many too many.
        short: Shares,
    },
    /// A purchase failed after its shares had been sold.
    #[error("{strategy}: a purchase failed of which {short} shares had been sold already")]
    SoldFailed {
        /// Whose.
        strategy: StrategyId,
        /// How many.
        short: Shares,
    },
}

impl Positions {
    /// Books a purchase.
    #[expect(clippy::too_many_arguments, reason = "a lot is all of these")]
    pub fn buy(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        key: FillKey,
        fill: Fill,
        role: Role,
        plan: Option<ExitPlan>,
    ) {
        let cost = fill.notional + fill.fee;
        ledger.post(Entry { at, from: Account::Cash, to: Account::Inventory, amount: cost });
        ledger.note_fee(fill.fee);
        let lot = Lot {
            key,
            opened_at: at,
            shares: fill.shares,
            cost,
            fee: fill.fee,
            confirmed: false,
            plan,
            role,
        };
        self.add(strategy, token, lot);
    }

    /// A purchase became final.
    pub fn confirm_buy(&mut self, strategy: StrategyId, token: Token, key: FillKey) {
        if let Some(holding) = self.holdings.get_mut(&(strategy, token)) {
            holding
                .lots
                .iter_mut()
                .filter(|lot| lot.key == key)
                .for_each(|lot| lot.confirmed = true);
        }
    }

    /// A purchase failed: shares and cost go back, once.
    pub fn fail_buy(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        key: FillKey,
        fill: Fill,
    ) -> Result<(), Claim> {
        let mut found = Shares::ZERO;
        if let Some(holding) = self.holdings.get_mut(&(strategy, token)) {
            for lot in holding.lots.iter().filter(|lot| lot.key == key) {
                found += lot.shares;
                ledger.post(Entry {
                    at,
                    from: Account::Inventory,
                    to: Account::Cash,
                    amount: lot.cost,
                });
            }
            holding.lots.retain(|lot| lot.key != key);
        }
        ledger.note_fee(-fill.fee);
        self.tidy(strategy, token);
        match fill.shares.saturating_sub(found) {
            Shares::ZERO => Ok(()),
            short => Err(Claim::SoldFailed { strategy, short }),
        }
    }

    /// Books a sale: settled lots leave, oldest first; profit waits until it is final.
    #[expect(clippy::too_many_arguments, reason = "a sale is all of these")]
    pub fn sell(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        key: FillKey,
        fill: Fill,
        role: Role,
        why: ExitReason,
    ) -> Result<(), Claim> {
        let (slices, short) = self.take(strategy, token, fill.shares);
        let cost: Usdc = slices.iter().map(|lot| lot.cost).sum();
        let proceeds = fill.notional - fill.fee;
        ledger.post(Entry { at, from: Account::Inventory, to: Account::Pending, amount: cost });
        ledger.post(Entry {
            at,
            from: Account::Deferred,
            to: Account::Pending,
            amount: proceeds - cost,
        });
        ledger.note_fee(fill.fee);
        let leaving = self.get(strategy, token).and_then(|holding| holding.leaving);
        let floor = leaving.map(|(_, floor, _)| floor);
        self.sales.insert(key, Sale { strategy, token, slices, fill, role, why, floor });
        if let Some(holding) = self.get_mut(strategy, token)
            && let Some((_, _, shares)) = &mut holding.leaving
        {
            *shares = shares.saturating_sub(fill.shares);
            if shares.is_zero() {
                holding.leaving = None;
            }
        }
        self.tidy(strategy, token);
        if short.is_zero() { Ok(()) } else { Err(Claim::Oversold { strategy, short }) }
    }

    /// A sale became final: its profit is real.
    pub fn confirm_sale(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        key: FillKey,
        closed: &mut Vec<ClosedTrade>,
    ) {
        let Some(sale) = self.sales.remove(&key) else { return };
        let proceeds = sale.fill.notional - sale.fill.fee;
        ledger.post(Entry { at, from: Account::Pending, to: Account::Cash, amount: proceeds });
        let parts: Vec<Shares> = sale.slices.iter().map(|lot| lot.shares).collect();
        let (notional, fees) = (divide(sale.fill.notional, &parts), divide(sale.fill.fee, &parts));
        for ((lot, notional), exit_fee) in sale.slices.iter().zip(notional).zip(fees) {
            let trade = close(
                sale.strategy,
                sale.token,
                lot,
                at,
                notional - exit_fee,
                exit_fee,
                Some(sale.role),
                sale.why,
                key.1.0,
            );
            let result = trade.proceeds - trade.cost;
            ledger.post(Entry {
                at,
                from: Account::Realised,
                to: Account::Deferred,
                amount: result,
            });
            ledger.realise(
                at,
                sale.strategy,
                sale.token.market(),
                result,
                trade.entry_fee + trade.exit_fee,
                trade.closing,
            );
            closed.push(trade);
        }
    }

    /// A sale failed: the lots come back, once.
    pub fn fail_sale(&mut self, ledger: &mut Ledger, at: Time, key: FillKey) {
        let Some(sale) = self.sales.remove(&key) else { return };
        let cost: Usdc = sale.slices.iter().map(|lot| lot.cost).sum();
        let proceeds = sale.fill.notional - sale.fill.fee;
        ledger.post(Entry { at, from: Account::Pending, to: Account::Inventory, amount: cost });
        ledger.post(Entry {
            at,
            from: Account::Pending,
            to: Account::Deferred,
            amount: proceeds - cost,
        });
        ledger.note_fee(-sale.fill.fee);
        for lot in sale.slices {
            self.add(sale.strategy, sale.token, lot);
        }
        // What was to be sold is still to be sold; plans of the lots see to the other reasons.
        let asked = matches!(sale.why, ExitReason::Unwind | ExitReason::Operator | ExitReason::Signal);
        if let (true, Some(floor), Some(holding)) =
            (asked, sale.floor, self.get_mut(sale.strategy, sale.token))
        {
            let before = holding.leaving.map_or(Shares::ZERO, |(_, _, shares)| shares);
            holding.leaving = Some((sale.why, floor, before + sale.fill.shares));
        }
    }
}
