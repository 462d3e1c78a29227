//! Exact amounts of fills out of the `OrderFilled` logs of a transaction. They are given; nothing is read here.
//!
//! There is one log per order of a match, the taker's too.

use std::collections::BTreeMap;

use polydesk_domain::{
    AccountEvent, Basis, Fill, Finding, OrderHash, OwnTrade, Shares, Side, Time, TokenId, TradeId,
    TradeStatus, Universe, Usdc,
};

use crate::gateway::Gateway;
use crate::output::{Ask, Output};
use crate::states::DUST;

/// Blocks on top of a transaction before its logs count: a reorganisation can take them back.
pub const DEPTH: u64 = 3;

/// More logs of one transaction are not believed; the sum of so many cannot overflow.
const MOST_LOGS: usize = 10_000;

/// What one order got and gave in one match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilledLog {
    /// The order.
    pub order: OrderHash,
    /// Side of the order.
    pub side: Side,
    /// Its token or position.
    pub token: TokenId,
    /// Shares that changed hands.
    pub shares: Shares,
    /// pUSD that changed hands for them, before the fee.
    pub notional: Usdc,
    /// Fee on top, in pUSD.
    pub fee: Usdc,
}

/// Amounts of one order in one transaction, summed.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    shares: Shares,
    notional: Usdc,
    fee: Usdc,
}

impl Gateway {
    /// Settled amounts out of the logs of one final transaction (`0x` and 64 hex digits), `depth` blocks deep. They
    /// replace the estimates once per (trade, order); several trades of one order are corrected as a sum.
    pub fn settled(
        &mut self,
        ids: &Universe,
        transaction: &str,
        logs: &[FilledLog],
        depth: u64,
        at: Time,
    ) -> Vec<Output> {
        let mut out = Vec::new();
        if depth < DEPTH {
            return out;
        }
        if logs.len() > MOST_LOGS {
            let text =
                format!("transaction {transaction} has {} logs; {MOST_LOGS} are read", logs.len());
            return vec![Output::NotReconciled(text)];
        }
        let mut sums: BTreeMap<OrderHash, Sum> = BTreeMap::new();
        for filled in logs {
            let money = [filled.notional, filled.fee];
            let sane =
                |amount: &Usdc| (Usdc::ZERO..=Shares::SANE_MAX.face_value()).contains(amount);
            if filled.shares > Shares::SANE_MAX || !money.iter().all(sane) {
                // A part of the sum would be wrong: no amount of this transaction is exact.
                let text = format!(
                    "transaction {transaction} moves {} shares for {} pUSD with a fee of {}",
                    filled.shares, filled.notional, filled.fee
                );
                return vec![Output::NotReconciled(text)];
            }
            let Some(order) = self.orders.get(&filled.order) else { continue };
            if (order.facts.token, order.facts.side) != (filled.token, filled.side) {
                let text = format!(
                    "transaction {transaction} fills order {} in another token or on another side",
                    filled.order
                );
                out.push(Output::NotReconciled(text));
                continue;
            }
            let sum = sums.entry(filled.order).or_default();
            sum.shares += filled.shares;
            sum.notional += filled.notional;
            sum.fee += filled.fee;
        }
        for (hash, sum) in sums {
            self.correct(ids, (&hash, transaction), sum, at, &mut out);
        }
        out
    }

    fn correct(
        &mut self,
        ids: &Universe,
        (hash, transaction): (&OrderHash, &str),
        sum: Sum,
        at: Time,
        out: &mut Vec<Output>,
    ) {
        let Some(order) = self.orders.get_mut(hash) else { return };
        let Some(token) = ids.token(&order.facts.token) else { return };
        let (id, side) = (order.id, order.facts.side);
        let mut left = sum;
        let mut open: Vec<TradeId> = Vec::new();
        let mut expected = Shares::ZERO;
        for (trade, fill) in &order.fills {
            let here = fill.transaction.as_deref() == Some(transaction);
            if !here || fill.status == TradeStatus::Failed {
                continue;
            }
            if fill.fill.basis == Basis::Settled {
                // Corrected before: only the rest belongs to the others.
                let Some(shares) = left.shares.checked_sub(fill.fill.shares) else { return };
                left = Sum {
                    shares,
                    notional: left.notional - fill.fill.notional,
                    fee: left.fee - fill.fill.fee,
                };
            } else {
                open.push(*trade);
                expected += fill.shares;
            }
        }
        if open.is_empty() {
            return;
        }
        let off = left.shares.saturating_sub(expected).max(expected.saturating_sub(left.shares));
        if off > DUST || left.notional < Usdc::ZERO || left.fee < Usdc::ZERO {
            // A trade of this transaction is not known here, or one is here that it does not have.
            out.push(Output::Ask(Ask::Trades(*hash)));
            if left.notional < Usdc::ZERO || left.fee < Usdc::ZERO {
                let detail = format!("transaction {transaction} moved less than order {id} has");
                out.push(Output::Event(AccountEvent::Finding(Finding::Freeze { token, detail })));
            }
            return;
        }
        order.updated_at = order.updated_at.max(at);
        let count = open.len();
        for (index, trade) in open.into_iter().enumerate() {
            let Some(known) = order.fills.get_mut(&trade) else { continue };
            let part = if index + 1 == count {
                left
            } else {
                let shares = known.shares.min(left.shares);
                let (part, whole) = (shares.micros(), left.shares.micros().max(1));
                Sum {
                    shares,
                    notional: left.notional.scale_floor(part, whole),
                    fee: left.fee.scale_floor(part, whole),
                }
            };
            left = Sum {
                shares: left.shares.saturating_sub(part.shares),
                notional: left.notional - part.notional,
                fee: left.fee - part.fee,
            };
            let Sum { shares, notional, fee } = part;
            let level = known.fill.level;
            known.fill = Fill { shares, notional, fee, level, basis: Basis::Settled };
            let (role, status, fill) = (known.role, known.status, known.fill);
            out.push(Output::trade(OwnTrade { trade, order: id, token, side, role, fill, status }));
        }
    }
}
