//! Exit plans, executed by the position manager, not by the strategy.

use serde::{Deserialize, Serialize};

use crate::{Price, Span};

/// When and how to sell what a signal bought. Gains and losses count from the lot's entry price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExitPlan {
    /// Take a profit.
    pub take_profit: Option<TakeProfit>,
    /// Cut a loss.
    pub stop: Option<Stop>,
    /// Follow a gain.
    pub trailing: Option<Trailing>,
    /// Leave after this long.
    pub max_hold: Option<Span>,
    /// Be out this long before the market's nominal close.
    pub before_close: Option<Span>,
}

/// A profit target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeProfit {
    /// Ten-thousandths above entry.
    pub gain: u16,
    /// Rest an order at the target (no fee) instead of taking a bid there.
    pub rest: bool,
}

/// A stop, evaluated at what the whole lot would bring from displayed depth, not at the best bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Ten-thousandths below entry.
    pub loss: u16,
    /// Lowest price of the stop's sale: a thin book does not trigger a fire sale.
    pub floor: Price,
}

/// A stop that follows the best price seen since it was activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailing {
    /// Ten-thousandths above entry at which it becomes active.
    pub activate: u16,
    /// Ten-thousandths below the best executable price since then.
    pub distance: u16,
}

/// Why a position was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The target was reached.
    TakeProfit,
    /// The stop was reached.
    StopLoss,
    /// The trailing stop was reached.
    Trailing,
    /// The maximum holding time is over.
    MaxHold,
    /// The market is about to close.
    BeforeClose,
    /// A signal of the strategy.
    Signal,
    /// An operator command.
    Operator,
    /// A basket could not be completed.
    Unwind,
    /// A leg of a basket that sells.
    Basket,
    /// The market was resolved and the shares redeemed.
    Resolution,
    /// Complete sets became money.
    Merge,
}

impl ExitReason {
    /// Stable name for tables.
    pub const fn name(self) -> &'static str {
        match self {
            ExitReason::TakeProfit => "take_profit",
            ExitReason::StopLoss => "stop_loss",
            ExitReason::Trailing => "trailing",
            ExitReason::MaxHold => "max_hold",
            ExitReason::BeforeClose => "before_close",
            ExitReason::Signal => "signal",
            ExitReason::Operator => "operator",
            ExitReason::Unwind => "unwind",
            ExitReason::Basket => "basket",
            ExitReason::Resolution => "resolution",
            ExitReason::Merge => "merge",
        }
    }
}
