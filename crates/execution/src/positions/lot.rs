//! Lots, what a strategy has of them, and round trips that are over.

use std::collections::VecDeque;

use polydesk_domain::{ClientOrderId, Price, Role, Shares, StrategyId, Time, Token, TradeId, Usdc};
use polydesk_signals::ExitPlan;

use super::ExitReason;

/// Names a fill.
pub type FillKey = (TradeId, ClientOrderId);

/// Shares bought together.
#[derive(Debug, Clone, PartialEq)]
pub struct Lot {
    /// The fill that brought them.
    pub key: FillKey,
    /// When.
    pub opened_at: Time,
    /// What is left of them.
    pub shares: Shares,
    /// What the rest cost, fees included.
    pub cost: Usdc,
    /// Fees within that cost.
    pub fee: Usdc,
    /// Whether the purchase is final.
    pub confirmed: bool,
    /// How to leave.
    pub plan: Option<ExitPlan>,
    /// How they were bought.
    pub role: Role,
}

impl Lot {
    /// Average price without fees in ten-thousandths, rounded down.
    pub(super) fn entry_units(&self) -> u64 {
        average_units(self.cost - self.fee, self.shares)
    }

    /// Cuts `shares` off, with their part of cost and fees (rounded down; the rest keeps the rest).
    pub(super) fn cut(&mut self, shares: Shares) -> Lot {
        let part = |amount: Usdc| amount.scale_floor(shares.micros(), self.shares.micros());
        let slice = Lot { shares, cost: part(self.cost), fee: part(self.fee), ..self.clone() };
        self.shares -= shares;
        self.cost -= slice.cost;
        self.fee -= slice.fee;
        slice
    }
}

/// A finished round trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedTrade {
    /// Whose.
    pub strategy: StrategyId,
    /// Which token.
    pub token: Token,
    /// Bought.
    pub opened_at: Time,
    /// Sold, merged or redeemed.
    pub closed_at: Time,
    /// How many.
    pub shares: Shares,
    /// Paid, fees included.
    pub cost: Usdc,
    /// Received, fees taken off.
    pub proceeds: Usdc,
    /// Fees on the way in.
    pub entry_fee: Usdc,
    /// Fees on the way out.
    pub exit_fee: Usdc,
    /// How they were bought.
    pub entry_role: Role,
    /// How they were sold; `None` for merges and redemptions.
    pub exit_role: Option<Role>,
    /// Why they were sold.
    pub why: ExitReason,
    /// Names the closing this is part of: one exit order, or what was merged or redeemed within a minute.
    pub closing: u64,
}

/// What one strategy holds of one token.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    /// Oldest first.
    pub lots: VecDeque<Lot>,
    /// The order that is to close it, if one is open.
    pub exit_order: Option<ClientOrderId>,
    /// Latched: it is to be sold, for this reason, not below this price, this many shares.
    pub leaving: Option<(ExitReason, Price, Shares)>,
    /// Best executable price since the trailing stop became active, in ten-thousandths.
    pub(super) high: Option<u64>,
    /// No exit order before this time, and how often it was tried in vain.
    pub retry_at: Option<Time>,
    /// Immediate exits that found nobody, in a row.
    pub retries: u32,
}

impl Holding {
    /// Everything held.
    pub fn held(&self) -> Shares {
        self.lots.iter().map(|lot| lot.shares).sum()
    }
    /// The final part.
    pub fn confirmed(&self) -> Shares {
        self.lots.iter().filter(|lot| lot.confirmed).map(|lot| lot.shares).sum()
    }
    /// What it cost, fees included.
    pub fn cost(&self) -> Usdc {
        self.lots.iter().map(|lot| lot.cost).sum()
    }
}

#[expect(clippy::too_many_arguments, reason = "a round trip is all of these")]
pub(super) fn close(
    strategy: StrategyId,
    token: Token,
    lot: &Lot,
    at: Time,
    proceeds: Usdc,
    exit_fee: Usdc,
    exit_role: Option<Role>,
    why: ExitReason,
    closing: u64,
) -> ClosedTrade {
    ClosedTrade {
        strategy,
        token,
        opened_at: lot.opened_at,
        closed_at: at,
        shares: lot.shares,
        cost: lot.cost,
        proceeds,
        entry_fee: lot.fee,
        exit_fee,
        entry_role: lot.role,
        exit_role,
        why,
        closing,
    }
}

/// Shares an amount out in proportion; the last part takes what rounding left over.
pub(super) fn divide(amount: Usdc, parts: &[Shares]) -> Vec<Usdc> {
    let whole: Shares = parts.iter().copied().sum();
    let mut left = amount;
    let mut out = Vec::with_capacity(parts.len());
    for (i, part) in parts.iter().enumerate() {
        let share = if i + 1 == parts.len() {
            left
        } else {
            amount.scale_floor(part.micros(), whole.micros())
        };
        left -= share;
        out.push(share);
    }
    out
}

/// `money / shares` in ten-thousandths of a dollar, rounded down.
pub(crate) fn average_units(money: Usdc, shares: Shares) -> u64 {
    let money = u128::try_from(money.micros()).unwrap_or(0);
    (money * 10_000 / u128::from(shares.micros().max(1))) as u64
}
