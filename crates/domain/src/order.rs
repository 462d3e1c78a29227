//! Orders and what becomes of them, in the venue's words.

use crate::{ClientOrderId, Price, Shares, Token, TradeId, Usdc};

/// Which way an order goes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Give pUSD, get shares.
    Buy = 0,
    /// Give shares, get pUSD.
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

/// How long an order lives (`orderType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Tif {
    /// Rests until filled or cancelled.
    #[serde(rename = "GTC")]
    Gtc,
    /// Rests until shortly before a time: the venue removes it 60 s before the stated expiration,
    /// and wants that at least 180 s ahead.
    #[serde(rename = "GTD")]
    Gtd {
        /// The stated expiration (whole seconds on the wire).
        expires: crate::Time,
    },
    /// All now or nothing.
    #[serde(rename = "FOK")]
    Fok,
    /// What matches now; the rest is killed.
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

/// Whether we waited in the book or came to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Our order rested.
    Maker,
    /// Our order crossed.
    Taker,
}

/// Where an order is.
///
/// `Planned` … `Sent` are ours alone; from `Live` on the venue knows it. `Unknown` ends only by
/// evidence, never by elapsed time.
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
    /// No answer came: it may exist, it may have filled.
    Unknown,
    /// Done: everything matched.
    Filled,
    /// Done: cancelled or killed; what had matched before counts.
    Cancelled,
    /// Done: its time was over.
    Expired,
    /// Done: the venue never took it.
    Rejected,
}

impl OrderState {
    /// Whether nothing can happen to it any more (late fills of a failed settlement aside).
    pub const fn ended(self) -> bool {
        matches!(
            self,
            OrderState::Filled | OrderState::Cancelled | OrderState::Expired | OrderState::Rejected
        )
    }
}

/// Why the venue did not take an order (the table of error strings, typed).
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
    /// Anything else, as the venue put it.
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
    /// We asked for it.
    Requested,
    /// The unmatched rest of a FAK.
    Killed,
    /// The market closed or resolved.
    MarketEnded,
    /// The venue took it away (funds gone, heartbeat lapsed).
    ByVenue,
}

/// What became known of one of our orders.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderUpdate {
    /// The outbox signed and journaled it; the venue will know it by this hash.
    Bound {
        /// EIP-712 digest.
        hash: crate::OrderHash,
    },
    /// It left on the wire.
    Sent,
    /// `status: live`: it rests.
    Live,
    /// `status: delayed`: held back, not cancellable.
    Delayed,
    /// `status: matched`: it matched at least partly; the trades say how much.
    Matched,
    /// Refused, nothing took effect.
    Rejected {
        /// Why.
        reason: RejectReason,
    },
    /// No answer came, or one that proves nothing.
    Unknown,
    /// It is gone from the book; `matched` is what the venue says had matched in all.
    Cancelled {
        /// Why.
        reason: CancelReason,
        /// Shares matched over its life.
        matched: Shares,
    },
    /// Its time was over; `matched` as above.
    Expired {
        /// Shares matched over its life.
        matched: Shares,
    },
    /// Everything matched; `matched` as above.
    Filled {
        /// Shares matched over its life.
        matched: Shares,
    },
    /// A cancel was refused (`not_canceled`): not open any more, or not cancellable yet.
    CancelRefused {
        /// Whether it may still be open (a delayed order), as opposed to found matched or gone.
        still_open: bool,
    },
    /// Proof that the venue never had it.
    Absent,
}

/// Where the settlement of one trade leg is.
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

/// A fill of one of our orders and where its settlement is. Unique by (trade, order): redelivery changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnTrade {
    /// The venue's trade.
    pub trade: TradeId,
    /// Our order.
    pub order: ClientOrderId,
    /// The token that *our* order bought or sold (a complementary match shows the other one too).
    pub token: Token,
    /// Which way our order went.
    pub side: Side,
    /// Whether our order rested.
    pub role: Role,
    /// The amounts.
    pub fill: Fill,
    /// Where the settlement is.
    pub status: TradeStatus,
}
