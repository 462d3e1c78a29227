//! What is held of one token, as seen by strategies.

use crate::{Shares, Usdc};

/// A holding of one outcome token by one strategy (or in total).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Position {
    /// Bought and settled: can be sold, merged or redeemed.
    pub confirmed: Shares,
    /// Bought, not settled yet: counts as exposure, cannot be sold.
    pub unsettled: Shares,
    /// Part of `confirmed` that something under way may take: sells, merges, a redemption.
    pub offered: Shares,
    /// What `confirmed + unsettled` cost, fees included.
    pub cost: Usdc,
}

impl Position {
    /// Everything held, settled or not.
    pub fn held(&self) -> Shares {
        self.confirmed + self.unsettled
    }
    /// What a new sell may offer.
    pub fn sellable(&self) -> Shares {
        self.confirmed.saturating_sub(self.offered)
    }
    /// Whether nothing is held.
    pub fn is_flat(&self) -> bool {
        self.held().is_zero()
    }
}
