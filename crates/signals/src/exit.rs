//! How a position is to be left; executed by the position manager, not by the strategy.

use polydesk_domain::{Price, Span};

/// When and how to sell what a signal bought. Gains and losses count from the lot's entry price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeProfit {
    /// Ten-thousandths above entry.
    pub gain: u16,
    /// Wait in the book at the target (no fee) instead of taking a bid there.
    pub rest: bool,
}

/// A stop, judged at what the whole lot would bring from displayed depth, not at the best bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Ten-thousandths below entry.
    pub loss: u16,
    /// Below this it is not sold: a thin book is no reason to give shares away.
    pub floor: Price,
}

/// A stop that follows the best price seen since it was activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailing {
    /// Ten-thousandths above entry at which it becomes active.
    pub activate: u16,
    /// Ten-thousandths below the best executable price since then.
    pub distance: u16,
}
