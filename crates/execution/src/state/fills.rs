//! Purchases and sales, from the match to the last word of the settlement.

use polydesk_domain::{ExitPlan, ExitReason, Fill, Role, Shares, StrategyId, Time, Token, Usdc};

use super::ledger::{Entry, Ledger, LedgerAccount};
use super::lots::{ClosedLot, FillKey, Lot, PendingExit, divide};
use super::positions::{Positions, Sale};

/// A broken invariant: it latches a halt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
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
        ledger.post(Entry {
            at,
            from: LedgerAccount::Cash,
            to: LedgerAccount::Inventory,
            amount: cost,
        });
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
            for lot in holding.lots.iter_mut().filter(|lot| lot.key == key) {
                lot.confirmed = true;
            }
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
    ) -> Result<(), Violation> {
        let mut found = Shares::ZERO;
        if let Some(holding) = self.holdings.get_mut(&(strategy, token)) {
            for lot in holding.lots.iter().filter(|lot| lot.key == key) {
                found += lot.shares;
                ledger.post(Entry {
                    at,
                    from: LedgerAccount::Inventory,
                    to: LedgerAccount::Cash,
                    amount: lot.cost,
                });
            }
            holding.lots.retain(|lot| lot.key != key);
        }
        ledger.note_fee(-fill.fee);
        self.tidy(strategy, token);
        match fill.shares.saturating_sub(found) {
            Shares::ZERO => Ok(()),
            short => Err(Violation::SoldFailed { strategy, short }),
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
        reason: ExitReason,
    ) -> Result<(), Violation> {
        let (slices, short) = self.take(strategy, token, fill.shares);
        let cost: Usdc = slices.iter().map(|lot| lot.cost).sum();
        let proceeds = fill.notional - fill.fee;
        ledger.post(Entry {
            at,
            from: LedgerAccount::Inventory,
            to: LedgerAccount::Pending,
            amount: cost,
        });
        ledger.post(Entry {
            at,
            from: LedgerAccount::Deferred,
            to: LedgerAccount::Pending,
            amount: proceeds - cost,
        });
        ledger.note_fee(fill.fee);
        let floor = self.pending_exit(strategy, token).map(|pending| pending.floor);
        self.sales.insert(key, Sale { strategy, token, slices, fill, role, reason, floor });
        self.change_exit(strategy, token, |exit| {
            if let Some(pending) = &mut exit.pending {
                pending.shares = pending.shares.saturating_sub(fill.shares);
                if pending.shares.is_zero() {
                    exit.pending = None;
                }
            }
        });
        self.tidy(strategy, token);
        if short.is_zero() { Ok(()) } else { Err(Violation::Oversold { strategy, short }) }
    }

    /// A sale became final: its profit is real.
    pub fn confirm_sale(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        key: FillKey,
        closed: &mut Vec<ClosedLot>,
    ) {
        let Some(sale) = self.sales.remove(&key) else { return };
        let proceeds = sale.fill.notional - sale.fill.fee;
        ledger.post(Entry {
            at,
            from: LedgerAccount::Pending,
            to: LedgerAccount::Cash,
            amount: proceeds,
        });
        let parts: Vec<Shares> = sale.slices.iter().map(|lot| lot.shares).collect();
        let (notional, fees) = (divide(sale.fill.notional, &parts), divide(sale.fill.fee, &parts));
        for ((lot, notional), exit_fee) in sale.slices.iter().zip(notional).zip(fees) {
            let proceeds = notional - exit_fee;
            let result = proceeds - lot.cost;
            ledger.post(Entry {
                at,
                from: LedgerAccount::Realised,
                to: LedgerAccount::Deferred,
                amount: result,
            });
            ledger.realise(at, sale.strategy, result, lot.fee + exit_fee, key.1.0);
            let trade = ClosedLot {
                strategy: sale.strategy,
                token: sale.token,
                lot: lot.clone(),
                closed_at: at,
                proceeds,
                exit_fee,
                exit_role: Some(sale.role),
                reason: sale.reason,
                closing: key.1.0,
            };
            closed.push(trade);
        }
    }

    /// A sale failed: the lots come back, once.
    pub fn fail_sale(&mut self, ledger: &mut Ledger, at: Time, key: FillKey) {
        let Some(sale) = self.sales.remove(&key) else { return };
        let cost: Usdc = sale.slices.iter().map(|lot| lot.cost).sum();
        let proceeds = sale.fill.notional - sale.fill.fee;
        ledger.post(Entry {
            at,
            from: LedgerAccount::Pending,
            to: LedgerAccount::Inventory,
            amount: cost,
        });
        ledger.post(Entry {
            at,
            from: LedgerAccount::Pending,
            to: LedgerAccount::Deferred,
            amount: proceeds - cost,
        });
        ledger.note_fee(-sale.fill.fee);
        for lot in sale.slices {
            self.add(sale.strategy, sale.token, lot);
        }
        // What was to be sold is still to be sold; plans of the lots see to the other reasons.
        let asked =
            matches!(sale.reason, ExitReason::Unwind | ExitReason::Operator | ExitReason::Signal);
        if let (true, Some(floor)) = (asked, sale.floor) {
            self.change_exit(sale.strategy, sale.token, |exit| {
                let before = exit.pending.map_or(Shares::ZERO, |pending| pending.shares);
                let shares = before + sale.fill.shares;
                exit.pending = Some(PendingExit { reason: sale.reason, floor, shares });
            });
        }
    }
}
