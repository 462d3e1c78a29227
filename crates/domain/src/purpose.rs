//! What an order is for.

use serde::{Deserialize, Serialize};

use crate::{BasketId, ExitReason};

/// What an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A [`TradeIntent`](crate::TradeIntent).
    Trade,
    /// One of a strategy's quotes.
    Quote,
    /// Leaving a position.
    Exit(ExitReason),
    /// A leg of a basket.
    Leg(BasketId),
    /// External: placed by the operator or another program with our wallet.
    External,
}

impl Purpose {
    /// Whether it can only make a position smaller.
    pub const fn reduces(self) -> bool {
        matches!(self, Purpose::Exit(_))
    }

    /// Stable name for tables: `trade`, `quote`, `leg`, `external` or the reason of an exit.
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Trade => "trade",
            Purpose::Quote => "quote",
            Purpose::Leg(_) => "leg",
            Purpose::External => "external",
            Purpose::Exit(reason) => reason.name(),
        }
    }
}
