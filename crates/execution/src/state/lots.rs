//! Lots, what a strategy has of them, and round trips that are over.

use std::collections::{BTreeMap, VecDeque};

use polydesk_domain::{
    ClientOrderId, ClosedTrade, ExitPlan, ExitReason, Price, Role, Shares, SignalId, Span,
    StrategyId, Time, Token, TradeId, Universe, Usdc,
};
use serde::{Deserialize, Serialize};

use super::codec::{Venue, plain};

/// Names a fill.
pub type FillKey = (TradeId, ClientOrderId);

/// Shares bought together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Best executable price since the trailing stop became active, in ten-thousandths.
    pub high: Option<u64>,
}

impl Lot {
    /// Average price without fees in ten-thousandths, rounded down.
    pub(crate) fn entry_units(&self) -> u64 {
        average_units(self.cost - self.fee, self.shares)
    }

    /// Cuts `shares` off, with their part of cost and fees (rounded down; the rest keeps the rest).
    pub(crate) fn cut(&mut self, shares: Shares) -> Lot {
        let part = |amount: Usdc| amount.scale_floor(shares.micros(), self.shares.micros());
        let slice = Lot { shares, cost: part(self.cost), fee: part(self.fee), ..self.clone() };
        self.shares -= shares;
        self.cost -= slice.cost;
        self.fee -= slice.fee;
        slice
    }
}

/// A part of a round trip that ended, before the market's ids are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedLot {
    /// Whose.
    pub strategy: StrategyId,
    /// Which token.
    pub token: Token,
    /// What left, with its cost and fees.
    pub lot: Lot,
    /// Sold, merged or redeemed.
    pub closed_at: Time,
    /// Received, fees taken off.
    pub proceeds: Usdc,
    /// Fees on the way out.
    pub exit_fee: Usdc,
    /// How they were sold; `None` for merges and redemptions.
    pub exit_role: Option<Role>,
    /// Why they were sold.
    pub reason: ExitReason,
    /// Names the closing this is part of: one exit order, or what was merged or redeemed within a minute.
    pub closing: u64,
}

impl ClosedLot {
    /// The same by the venue's ids.
    pub fn record(&self, ids: &Universe) -> ClosedTrade {
        ClosedTrade {
            strategy: self.strategy,
            market: ids.market(self.token.market()).condition,
            token: ids.token_id(self.token),
            outcome: self.token.outcome(),
            opened_at: self.lot.opened_at,
            closed_at: self.closed_at,
            shares: self.lot.shares,
            cost: self.lot.cost,
            proceeds: self.proceeds,
            entry_fee: self.lot.fee,
            exit_fee: self.exit_fee,
            entry_role: self.lot.role,
            exit_role: self.exit_role,
            reason: self.reason,
            closing: self.closing,
        }
    }
}

/// What one strategy holds of one token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// Oldest first.
    pub lots: VecDeque<Lot>,
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

plain!(Holding);

/// Who wants out of a position: the higher one goes first, and a lower one neither replaces nor hides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// A profit target, or a strategy that asks.
    Strategy,
    /// The time to hold is over, or the market is about to close.
    Time,
    /// A stop or a trailing stop, or the excess of a basket.
    Stop,
    /// A person.
    Operator,
}

impl Authority {
    /// Of an exit for this reason.
    pub const fn of(reason: ExitReason) -> Authority {
        match reason {
            ExitReason::Operator => Authority::Operator,
            ExitReason::StopLoss | ExitReason::Trailing | ExitReason::Unwind => Authority::Stop,
            ExitReason::MaxHold | ExitReason::BeforeClose => Authority::Time,
            ExitReason::TakeProfit
            | ExitReason::Signal
            | ExitReason::Basket
            | ExitReason::Resolution
            | ExitReason::Merge => Authority::Strategy,
        }
    }
}

/// What is under way to leave a holding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitState {
    /// The exit orders and merges under way, whose numbers are of one sequence, and the lots that each is to
    /// take.
    pub orders: BTreeMap<ClientOrderId, Vec<FillKey>>,
    /// Sales asked for from outside the lots' own plans. A sale counts for all of them.
    pub pending: BTreeMap<Authority, PendingExit>,
    /// When the last immediate exit left.
    pub taken_at: Option<Time>,
    /// Immediate exits without a fill, in a row, by authority: each has a pause of its own.
    pub tries: BTreeMap<Authority, Tries>,
    /// Resting exits that were refused, in a row.
    pub rest_tries: Tries,
    /// The strategy's own sales that were refused, in a row.
    pub own_tries: Tries,
}

plain!(ExitState);

/// Exit orders in a row that brought nothing, and the pause after them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tries {
    /// How many.
    pub count: u32,
    /// The end of the pause.
    pub again_at: Option<Time>,
}

impl ExitState {
    /// At most one immediate exit in so long, however many bids come.
    pub const PACE: Span = Span::millis(200);

    /// When something that waits for time alone can go on.
    pub(crate) fn next_at(&self, now: Time) -> Option<Time> {
        let pace = self.taken_at.map(|at| at + ExitState::PACE);
        let tries = self.tries.values().map(|tries| tries.again_at);
        let ends = tries.chain([pace, self.rest_tries.again_at]);
        ends.flatten().filter(|at| *at > now).min()
    }
}

/// A pending exit: a sale that does not come from the lots' own exit plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingExit {
    /// Why.
    pub reason: ExitReason,
    /// Not below this price.
    pub floor: Price,
    /// How much is left to be sold.
    pub shares: Shares,
    /// A person allows it further below recent prices than the limits do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collar: Option<Price>,
    /// The strategy's signal that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalId>,
    /// Not wanted any more from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

impl PendingExit {
    /// All of it for as long as it takes, inside the limits' collar.
    pub const fn new(reason: ExitReason, floor: Price, shares: Shares) -> PendingExit {
        PendingExit { reason, floor, shares, collar: None, signal: None, expires: None }
    }

    /// Whether it is still wanted.
    pub fn live(&self, now: Time) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// Shares an amount out in proportion; the last part takes what rounding left over.
pub(crate) fn divide(amount: Usdc, parts: &[Shares]) -> Vec<Usdc> {
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
