//! Purchases and sales, from the match to the last word of the settlement.

use polydesk_domain::{
    Basis, ExitPlan, ExitReason, Fill, Role, Shares, StrategyId, Time, Token, Usdc,
};

use super::ledger::{Entry, Ledger, LedgerAccount};
use super::lots::{Authority, ClosedLot, FillKey, Lot, PendingExit, divide};
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
            high: None,
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

    /// Books a sale: settled lots leave, first those that an exit order is for, then the oldest; profit
    /// waits until it is final.
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
        let exit = self.exit(strategy, token);
        let lots = exit.and_then(|exit| exit.orders.get(&key.1)).cloned().unwrap_or_default();
        let (mut slices, mut short) = self.take(strategy, token, fill.shares, &lots);
        let mut owners = Vec::new();
        if strategy == StrategyId::EXTERNAL && !short.is_zero() {
            // A person sold what strategies hold: it is gone all the same.
            let others: Vec<StrategyId> = self
                .in_market(token.market())
                .iter()
                .filter(|(owner, of)| *of == token && *owner != strategy)
                .map(|(owner, _)| *owner)
                .collect();
            owners = vec![strategy; slices.len()];
            for owner in others {
                let (more, missing) = self.take(owner, token, short, &[]);
                owners.extend(more.iter().map(|_| owner));
                slices.extend(more);
                short = missing;
                self.tidy(owner, token);
            }
        }
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
        let asked = self.less_pending(strategy, token, fill.shares);
        let sale = Sale { strategy, token, slices, owners, fill, role, reason, asked };
        self.sales.insert(key, sale);
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
                from: Ledger::results_of(sale.strategy),
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

    /// A sale failed: the lots come back to their owners, once. Returns millionths of a share that its settled
    /// amounts had put to the rounding account.
    pub fn fail_sale(&mut self, ledger: &mut Ledger, at: Time, key: FillKey) -> i64 {
        let Some(sale) = self.sales.remove(&key) else { return 0 };
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
        let left: Shares = sale.slices.iter().map(|lot| lot.shares).sum();
        let rest = match sale.fill.basis {
            Basis::Estimated => 0,
            Basis::Settled => left.micros() as i64 - sale.fill.shares.micros() as i64,
        };
        let owners = sale.owners.into_iter().chain(std::iter::repeat(sale.strategy));
        for (lot, owner) in sale.slices.into_iter().zip(owners) {
            self.add(owner, sale.token, lot);
        }
        // What was to be sold is still to be sold; plans of the lots see to the other reasons.
        self.change_exit(sale.strategy, sale.token, |exit| {
            for asked in sale.asked {
                let pending = exit.pending.entry(Authority::of(asked.reason));
                let none = PendingExit { shares: Shares::ZERO, ..asked };
                pending.or_insert(none).shares += asked.shares;
            }
        });
        rest
    }

    /// Settled amounts of a purchase replace the estimate. The difference in money goes to what is left of
    /// its lots, to sales that are not final, and to profit, in proportion to the shares; the difference in
    /// shares to what is left of the lot. Returns millionths of a share that no lot could take.
    #[expect(clippy::too_many_arguments, reason = "a correction is all of these")]
    pub(crate) fn correct_buy(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        key: FillKey,
        before: Fill,
        after: Fill,
    ) -> i64 {
        let difference = (after.notional + after.fee) - (before.notional + before.fee);
        let whole = before.shares.micros();
        let mine = |lots: &mut dyn Iterator<Item = &Lot>| -> u64 {
            lots.filter(|lot| lot.key == key).map(|lot| lot.shares.micros()).sum()
        };
        let held = self.holdings.get(&(strategy, token));
        let held = held.map_or(0, |holding| mine(&mut holding.lots.iter()));
        let selling: Vec<(FillKey, u64)> = self
            .sales
            .iter()
            .map(|(sale, entry)| (*sale, mine(&mut entry.slices.iter())))
            .filter(|(_, shares)| *shares > 0)
            .collect();
        let pending: u64 = selling.iter().map(|(_, shares)| shares).sum();
        let closed = whole.saturating_sub(held + pending);
        // Sold for good first, then what is on its way; the rest stays with what is held.
        let to_closed = difference.scale_floor(closed, whole.max(1));
        let mut left = difference - to_closed;
        for (sale, shares) in selling {
            let part = if held == 0 && closed == 0 && shares == pending {
                left
            } else {
                difference.scale_floor(shares, whole.max(1))
            };
            left -= part;
            if let Some(entry) = self.sales.get_mut(&sale)
                && let Some(slice) = entry.slices.iter_mut().find(|slice| slice.key == key)
            {
                slice.cost += part;
            }
            // The cost of a sale that is not final is what its deferred profit is measured from.
            let (from, to) = (LedgerAccount::Cash, LedgerAccount::Deferred);
            ledger.post(Entry { at, from, to, amount: part });
        }
        let mut to_closed = to_closed;
        let mut shares_left = after.shares.micros() as i64 - before.shares.micros() as i64;
        if held > 0
            && let Some(holding) = self.holdings.get_mut(&(strategy, token))
            && let Some(lot) = holding.lots.iter_mut().find(|lot| lot.key == key)
        {
            lot.cost += left;
            lot.fee += after.fee - before.fee;
            ledger.post(Entry {
                at,
                from: LedgerAccount::Cash,
                to: LedgerAccount::Inventory,
                amount: left,
            });
            left = Usdc::ZERO;
            let shares = (lot.shares.micros() as i64 + shares_left).max(0);
            shares_left -= shares - lot.shares.micros() as i64;
            lot.shares = Shares::new(shares.unsigned_abs());
            if lot.shares.is_zero() {
                // All of it was rounding: its cost is a loss.
                to_closed += lot.cost;
                ledger.post(Entry {
                    at,
                    from: LedgerAccount::Inventory,
                    to: LedgerAccount::Cash,
                    amount: lot.cost,
                });
            }
            holding.lots.retain(|lot| !lot.shares.is_zero());
        }
        to_closed += left;
        if !to_closed.is_zero() {
            ledger.post(Entry {
                at,
                from: LedgerAccount::Cash,
                to: Ledger::results_of(strategy),
                amount: to_closed,
            });
            ledger.adjust(at, strategy, -to_closed);
        }
        ledger.note_fee(after.fee - before.fee);
        self.tidy(strategy, token);
        shares_left
    }

    /// Settled amounts of a sale replace the estimate, before or after it is final. Returns millionths of a
    /// share by which it took less (positive) or more than what left the lots.
    pub(crate) fn correct_sale(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        key: FillKey,
        before: Fill,
        after: Fill,
    ) -> i64 {
        let amount = (after.notional - after.fee) - (before.notional - before.fee);
        if let Some(sale) = self.sales.get_mut(&key) {
            sale.fill = after;
            let (from, to) = (LedgerAccount::Deferred, LedgerAccount::Pending);
            ledger.post(Entry { at, from, to, amount });
        } else {
            ledger.post(Entry {
                at,
                from: Ledger::results_of(strategy),
                to: LedgerAccount::Cash,
                amount,
            });
            ledger.adjust(at, strategy, amount);
        }
        ledger.note_fee(after.fee - before.fee);
        before.shares.micros() as i64 - after.shares.micros() as i64
    }
}
