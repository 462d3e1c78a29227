//! A position in one token, as strategies see it.

use crate::{Shares, Usdc};

/// A holding of one outcome token by one strategy (or in total).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Position {
    /// Bought and settled: can be sold, merged or redeemed.
    pub confirmed: Shares,
    /// Bought, not settled yet: counts as exposure, cannot be sold.
    pub unsettled: Shares,
    /// Part of `confirmed` reserved for open sells, merges and redemptions.
    pub offered: Shares,
    /// What `confirmed + unsettled` cost, fees included.
    pub cost: Usdc,
}

impl Position {
    /// Everything held, settled or not.
    pub fn held(&self) -> Shares {
        self.confirmed + self.unsettled
    }
    /// Shares available for a new sell.
    pub fn sellable(&self) -> Shares {
        self.confirmed.saturating_sub(self.offered)
    }
    /// Whether nothing is held.
    pub fn is_flat(&self) -> bool {
        self.held().is_zero()
    }
}
