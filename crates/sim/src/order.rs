//! One of our orders as the exchange keeps it: in full while it is open, in short once it has ended. It
//! decides nothing about matching.

use polydesk_domain::{
    CancelReason, ClientOrderId, OrderUpdate, Outcome, Price, Shares, Side, Tif, Time, Token, Usdc,
};

/// Levels of one ladder, best bid first.
pub(crate) type Depth = Vec<(Price, Shares)>;

/// Where an open order is at the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Held back by the taker delay.
    Delayed,
    /// In the book.
    Resting,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything matched.
    Filled,
    /// Over before everything matched.
    Cancelled(CancelReason),
    /// Its time was over.
    Expired,
}

/// What is kept of an order that ended: small, because a long run has many.
#[derive(Debug, Clone)]
pub(crate) struct EndedOrder {
    pub(crate) end: End,
    /// Shares matched over its life.
    pub(crate) matched: Shares,
    /// When its latest update reaches the engine: no later update arrives before it.
    pub(crate) last_update_at: Time,
    /// When the report of its end reaches the engine; `None` while that report is lost.
    pub(crate) end_reported_at: Option<Time>,
    /// Its matches in their order.
    pub(crate) trades: Vec<u64>,
    /// How many of them are neither final nor failed.
    pub(crate) unsettled: u32,
}

impl EndedOrder {
    /// The update that reports its end.
    pub(crate) fn update(&self) -> OrderUpdate {
        let matched = self.matched;
        match self.end {
            End::Filled => OrderUpdate::Filled { matched },
            End::Cancelled(reason) => OrderUpdate::Cancelled { reason, matched },
            End::Expired => OrderUpdate::Expired { matched },
        }
    }
}

/// The queue of an order whose level is not stated: nothing serves it.
pub(crate) const UNKNOWN_AHEAD: Shares = Shares::new(u64::MAX);

/// An open order at the exchange.
#[derive(Debug, Clone)]
pub(crate) struct VenueOrder {
    pub(crate) id: ClientOrderId,
    pub(crate) token: Token,
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) tif: Tif,
    /// The ladder it rests on and its bid price there.
    pub(crate) ladder: Outcome,
    pub(crate) bid: Price,
    pub(crate) stage: Stage,
    /// A buy's pUSD that may still be spent (fees apart); zero for sells.
    pub(crate) money: Usdc,
    /// Shares that may still be matched: the resting part, or the unsold part of a sell.
    pub(crate) open: Shares,
    /// Shares matched over its life.
    pub(crate) matched: Shares,
    /// Shares matched while resting, and pUSD they moved: the basis of cumulative rounding.
    pub(crate) rested: Shares,
    pub(crate) rested_money: Usdc,
    /// pUSD and shares that the bank has reserved for it.
    pub(crate) reserved_cash: Usdc,
    pub(crate) reserved_shares: Shares,
    /// Shares of other participants ahead of it at its level; [`UNKNOWN_AHEAD`] until that is stated.
    pub(crate) ahead: Shares,
    /// Whether the data has not stated its level since it came to rest or since the book was lost.
    pub(crate) unstated: bool,
    /// Whether the opposite side may stand through its price since it came to rest.
    pub(crate) doubtful: bool,
    /// What was left on the opposite ladder when it began to wait for the next snapshot.
    pub(crate) depth_met: Option<Depth>,
    /// Rows of market data that the exchange had seen when it came to rest: older rows cannot fill it.
    pub(crate) since_row: u64,
    /// When it came to rest.
    pub(crate) since: Time,
    /// Order of arrival.
    pub(crate) number: u64,
    /// When its latest update reaches the engine: no later update arrives before it.
    pub(crate) last_update_at: Time,
    /// Its matches in their order.
    pub(crate) trades: Vec<u64>,
    /// How many of them are neither final nor failed.
    pub(crate) unsettled: u32,
}

impl VenueOrder {
    /// The ladder an order takes from.
    pub(crate) fn counter(&self) -> Outcome {
        self.ladder.other()
    }

    /// The price, in terms of this order's token, of a bid on the counter ladder.
    pub(crate) fn price_of(&self, counter_bid: Price) -> Price {
        match self.side {
            Side::Buy => counter_bid.complement(),
            Side::Sell => counter_bid,
        }
    }

    /// The update that reports its present state.
    pub(crate) fn update(&self) -> OrderUpdate {
        match self.stage {
            Stage::Delayed => OrderUpdate::Delayed,
            Stage::Resting if self.matched.is_zero() => OrderUpdate::Live,
            Stage::Resting => OrderUpdate::Matched,
        }
    }
}

/// The ladder and bid price on which an order for a token rests.
pub(crate) fn place(token: Token, side: Side, price: Price) -> (Outcome, Price) {
    match side {
        Side::Buy => (token.outcome(), price),
        Side::Sell => (token.outcome().other(), price.complement()),
    }
}
