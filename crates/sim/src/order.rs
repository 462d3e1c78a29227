//! One of our orders as the exchange keeps it while open, and the little that is kept of an ended
//! one. Nothing here decides about matching.

use polydesk_domain::{
    CancelReason, ClientOrderId, OrderUpdate, Outcome, Price, Shares, Side, Tif, Time, Token, Usdc,
};

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
pub(crate) struct Ended {
    pub(crate) end: End,
    /// Shares matched over its life.
    pub(crate) matched: Shares,
    /// News reaches the engine in order: nothing earlier than this.
    pub(crate) news_at: Time,
    /// When the engine hears that it ended; unknown while that answer is lost.
    pub(crate) told: Option<Time>,
    /// Its matches in their order.
    pub(crate) trades: Vec<u64>,
    /// How many of them are neither final nor failed.
    pub(crate) unsettled: u32,
}

impl Ended {
    /// What the venue says of it.
    pub(crate) fn event(&self) -> OrderUpdate {
        let matched = self.matched;
        match self.end {
            End::Filled => OrderUpdate::Filled { matched },
            End::Cancelled(reason) => OrderUpdate::Cancelled { reason, matched },
            End::Expired => OrderUpdate::Expired { matched },
        }
    }
}

/// An open order at the exchange.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: ClientOrderId,
    pub(crate) token: Token,
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) tif: Tif,
    /// The ladder it waits on and its bid price there.
    pub(crate) ladder: Outcome,
    pub(crate) bid: Price,
    pub(crate) stage: Stage,
    /// A buy's pUSD that may still be spent (fees apart); zero for sells.
    pub(crate) money: Usdc,
    /// Shares that may still be matched: what rests, or what a sell still offers.
    pub(crate) open: Shares,
    /// Shares matched over its life.
    pub(crate) matched: Shares,
    /// Shares matched while resting, and pUSD they moved: the basis of cumulative rounding.
    pub(crate) rested: Shares,
    pub(crate) rested_money: Usdc,
    /// pUSD and shares the bank holds promised for it.
    pub(crate) reserved_cash: Usdc,
    pub(crate) reserved_shares: Shares,
    /// Others' shares ahead of it at its level.
    pub(crate) ahead: Shares,
    /// Rows of market data the exchange had seen when it came to rest: older data cannot fill it.
    pub(crate) since_row: u64,
    /// When it came to rest.
    pub(crate) since: Time,
    /// Order of arrival.
    pub(crate) number: u64,
    /// News reaches the engine in order: nothing earlier than this.
    pub(crate) news_at: Time,
    /// Its matches in their order.
    pub(crate) trades: Vec<u64>,
    /// How many of them are neither final nor failed.
    pub(crate) unsettled: u32,
}

impl Order {
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

    /// What the venue would say of it now.
    pub(crate) fn evidence(&self) -> OrderUpdate {
        match self.stage {
            Stage::Delayed => OrderUpdate::Delayed,
            Stage::Resting if self.matched.is_zero() => OrderUpdate::Live,
            Stage::Resting => OrderUpdate::Matched,
        }
    }
}

/// The ladder and bid price on which an order for a token waits.
pub(crate) fn place(token: Token, side: Side, price: Price) -> (Outcome, Price) {
    match side {
        Side::Buy => (token.outcome(), price),
        Side::Sell => (token.outcome().other(), price.complement()),
    }
}
