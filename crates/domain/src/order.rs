//! Orders, their states and updates, and fills with their settlement, named as at the venue.

use crate::{ClientOrderId, Price, Shares, Token, TradeId, Usdc};

/// The side of an order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Pays pUSD, receives shares.
    Buy = 0,
    /// Delivers shares, receives pUSD.
    Sell = 1,
}

impl Side {
    /// The other side.
    pub const fn other(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

impl core::fmt::Display for Side {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        })
    }
}

/// Time in force (`orderType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Tif {
    /// GTC: rests until filled or cancelled.
    #[serde(rename = "GTC")]
    Gtc,
    /// GTD: rests until an expiration. The venue removes it 60 s before the stated expiration, which
    /// must be at least 180 s ahead.
    #[serde(rename = "GTD")]
    Gtd {
        /// The stated expiration (whole seconds on the wire).
        expires: crate::Time,
    },
    /// FOK: filled completely at once, or killed.
    #[serde(rename = "FOK")]
    Fok,
    /// FAK: fills what matches at once; the rest is killed.
    #[serde(rename = "FAK")]
    Fak,
}

impl Tif {
    /// Whether an unmatched rest stays in the book.
    pub const fn rests(self) -> bool {
        matches!(self, Tif::Gtc | Tif::Gtd { .. })
    }
    /// The venue's word.
    pub const fn name(self) -> &'static str {
        match self {
            Tif::Gtc => "GTC",
            Tif::Gtd { .. } => "GTD",
            Tif::Fok => "FOK",
            Tif::Fak => "FAK",
        }
    }
}

/// How large an order is. FOK/FAK buys are sized in pUSD and may deliver more shares than asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// So many shares.
    Shares(Shares),
    /// So much pUSD, fees not included.
    Spend(Usdc),
}

/// The amounts one match settled. Price × shares is not money: the ledger uses these only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fill {
    /// Shares that changed hands.
    pub shares: Shares,
    /// pUSD that changed hands for them, before fees; never negative.
    pub notional: Usdc,
    /// Fee charged on top: a buyer pays notional + fee, a seller receives notional − fee.
    pub fee: Usdc,
    /// The book level it happened at, where one is known.
    pub level: Option<Price>,
    /// Whether these are the amounts the venue settled.
    pub basis: Basis,
}

/// Where the amounts of a [`Fill`] come from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Computed by our own formula at the worst rounding: the venue's feeds give no exact amounts.
    Estimated,
    /// The amounts that moved: from the transaction's logs, or from an exchange that knows them.
    #[default]
    Settled,
}

/// Maker or taker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Our order rested in the book.
    Maker,
    /// Our order took liquidity.
    Taker,
}

/// The state of an order.
///
/// `Planned` … `Sent` exist only in this process; from `Live` on the venue has the order. Only an order
/// update or a query result ends `Unknown`, never elapsed time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Admitted by the gate, not signed yet.
    Planned,
    /// Signed, and durable in the journal.
    Journaled,
    /// On the wire.
    Sent,
    /// Resting in the book.
    Live,
    /// Held back by the venue's taker delay: cannot be cancelled.
    Delayed,
    /// Partly matched, the rest resting.
    PartlyMatched,
    /// A cancel is under way; it can still fill.
    Cancelling,
    /// The request had no response: the order may be resting or filled.
    Unknown,
    /// Done: everything matched.
    Filled,
    /// Done: cancelled or killed; what had matched before counts.
    Cancelled,
    /// Done: expired.
    Expired,
    /// Done: rejected; the venue never had it.
    Rejected,
}

impl OrderState {
    /// Whether the state is final (except for late trades and failed settlements).
    pub const fn ended(self) -> bool {
        matches!(
            self,
            OrderState::Filled | OrderState::Cancelled | OrderState::Expired | OrderState::Rejected
        )
    }
}

/// Why the venue rejected an order (its table of error strings, typed).
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// `breaks minimum tick size rule`
    Tick,
    /// `lower than the minimum`
    BelowMinimum,
    /// `invalid amount for a marketable BUY order`: below one dollar
    BelowMarketableMinimum,
    /// `invalid amounts … max accuracy of …`
    Accuracy,
    /// `invalid post-only order: order crosses book`
    PostOnlyWouldCross,
    /// `not enough balance / allowance`
    Balance,
    /// `invalid expiration`
    Expiration,
    /// `order couldn't be fully filled. FOK orders are fully filled or killed.`
    FokKilled,
    /// `no orders found to match with FAK order`
    FakKilled,
    /// `Duplicated`: the same order exists already.
    Duplicate,
    /// The market is closed, paused or not ready.
    MarketClosed,
    /// `No orderbook exists for the requested token id`
    UnknownToken,
    /// 503 modes.
    Restricted,
    /// 429 or `Rate limit exceeded for tokenId`
    RateLimited,
    /// A simulated exchange has no data of the book at the moment: no refusal that a venue would give.
    NotReady,
    /// Any other error text, verbatim.
    Other(String),
}

impl RejectReason {
    /// A stable code for counting.
    pub fn code(&self) -> &'static str {
        match self {
            RejectReason::Tick => "tick",
            RejectReason::BelowMinimum => "below_minimum",
            RejectReason::BelowMarketableMinimum => "below_marketable_minimum",
            RejectReason::Accuracy => "accuracy",
            RejectReason::PostOnlyWouldCross => "post_only_would_cross",
            RejectReason::Balance => "balance",
            RejectReason::Expiration => "expiration",
            RejectReason::FokKilled => "fok_killed",
            RejectReason::FakKilled => "fak_killed",
            RejectReason::Duplicate => "duplicate",
            RejectReason::MarketClosed => "market_closed",
            RejectReason::UnknownToken => "unknown_token",
            RejectReason::Restricted => "restricted",
            RejectReason::RateLimited => "rate_limited",
            RejectReason::NotReady => "not_ready",
            RejectReason::Other(_) => "other",
        }
    }
}

/// Why an order ended without being filled.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Our cancel request.
    Requested,
    /// The unmatched remainder of a FAK.
    Killed,
    /// The market closed or resolved.
    MarketEnded,
    /// The venue cancelled it (insufficient funds, missed heartbeat).
    ByVenue,
}

/// An update of one of our orders.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderUpdate {
    /// Signed and journaled; the venue will identify it by this hash.
    Bound {
        /// EIP-712 digest.
        hash: crate::OrderHash,
    },
    /// The request was sent.
    Sent,
    /// `status: live`: resting in the book.
    Live,
    /// `status: delayed`: held back, not cancellable.
    Delayed,
    /// `status: matched`: matched at least partly; the trades carry the amounts.
    Matched,
    /// Rejected without effect.
    Rejected {
        /// The venue's error text, typed.
        reason: RejectReason,
    },
    /// The request had no response, or one that proves nothing.
    Unknown,
    /// Removed from the book; `matched` is the total matched size that the venue reports.
    Cancelled {
        /// Cause as far as the venue reports it.
        reason: CancelReason,
        /// Total shares matched.
        matched: Shares,
    },
    /// Expired; `matched` as for `Cancelled`.
    Expired {
        /// Total shares matched.
        matched: Shares,
    },
    /// Completely matched; `matched` as for `Cancelled`.
    Filled {
        /// Total shares matched.
        matched: Shares,
    },
    /// A cancel was refused (`not_canceled`): not open any more, or not cancellable yet.
    CancelRefused {
        /// Whether it may still be open (a delayed order), as opposed to found matched or gone.
        still_open: bool,
    },
    /// Proof that the venue never had it.
    Absent,
    /// It was withheld before its first byte: the venue never has it.
    NotSent {
        /// What stood in the way.
        why: crate::Code,
    },
}

/// The settlement state of a trade.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TradeStatus {
    /// Matched off-chain; can still fail.
    Matched,
    /// In a block.
    Mined,
    /// The transaction failed or was reorganised and is being sent again.
    Retrying,
    /// Final.
    Confirmed,
    /// Will never settle: reverse the fill.
    Failed,
}

/// A fill of one of our orders with its settlement state. Unique by (trade, order): redelivery changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnTrade {
    /// The venue's trade.
    pub trade: TradeId,
    /// Our order.
    pub order: ClientOrderId,
    /// The token that *our* order bought or sold; a complementary match lists the other one too.
    pub token: Token,
    /// Side of our order.
    pub side: Side,
    /// Maker if our order rested, else taker.
    pub role: Role,
    /// Shares, pUSD and fee; estimated or settled by `fill.basis`.
    pub fill: Fill,
    /// Settlement state.
    pub status: TradeStatus,
}
