//! What the gateway can report of our own account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ClientOrderId, Code, ConversionId, MarketKey, OrderHash, OrderUpdate, OwnTrade, Price, Shares,
    Side, StrategyId, Time, Token, Usdc,
};

/// What happened to our orders, money and shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountEvent {
    /// A connection that reports came up or went down.
    Link {
        /// Which.
        channel: Channel,
        /// Whether it is up.
        up: bool,
    },
    /// What the venue and the chain say we have. It corrects nothing.
    Snapshot(AccountSnapshot),
    /// An update of one of our orders.
    Order {
        /// Which.
        id: ClientOrderId,
        /// What became known.
        update: OrderUpdate,
    },
    /// A fill of one of our orders, or a later stage of its settlement, or its settled amounts.
    Trade(OwnTrade),
    /// Money or complete sets moved without an order.
    Cash(Cash),
    /// An order of our wallet that this bot did not place.
    External(ExternalOrder),
    /// A correction that reconciliation found to be due.
    Finding(Finding),
}

/// A connection whose silence hides what happens to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Books and prints.
    Market,
    /// Our orders and fills.
    User,
}

impl Channel {
    /// A stable word.
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Market => "market",
            Channel::User => "user",
        }
    }
}

/// What reads at the venue and on the chain showed in one pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountSnapshot {
    /// The epoch of `not_reconciled` that this pass began in: it clears no other.
    pub epoch: u32,
    /// When the first of its reads was asked.
    pub asked_at: Time,
    /// Whether every list was read to its end.
    pub complete: bool,
    /// pUSD in the wallet, reservations included.
    pub cash: Usdc,
    /// Shares by token, offered ones included; tokens that are not named are not held.
    pub shares: BTreeMap<Token, Shares>,
    /// Open orders by the venue's id, with the shares matched so far.
    pub open: BTreeMap<OrderHash, Shares>,
}

/// An order of our wallet that this bot did not place: a person's on the website, or one whose journal
/// entry was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalOrder {
    /// `run << 32 | 1 << 31 | n`, given by the gateway.
    pub id: ClientOrderId,
    /// The venue's id.
    pub hash: OrderHash,
    /// Which token.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// Its limit.
    pub price: Price,
    /// Its size in shares.
    pub size: Shares,
    /// Whether it may still match.
    pub open: bool,
}

/// What reconciliation corrects besides orders and fills, which it reports as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Money that a log explains and the ledger did not know.
    Cash {
        /// Positive came in.
        amount: Usdc,
        /// What explains it.
        code: Code,
    },
    /// Shares that a log explains and the lots did not know; booked to `external`.
    Shares {
        /// Which token.
        token: Token,
        /// Millionths of a share; positive came in.
        micros: i64,
        /// What explains it.
        code: Code,
    },
    /// Nothing explains a token's difference: no order in it until a person releases it.
    Freeze {
        /// Which token.
        token: Token,
        /// What differs, with figures.
        detail: String,
    },
    /// Nothing explains a difference in cash: no entries until a person names it.
    CashMismatch {
        /// Ours minus theirs.
        difference: Usdc,
    },
}

/// Why money moved without an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CashKind {
    /// Money came in from outside.
    Deposit,
    /// Money left.
    Withdrawal,
    /// pUSD became complete sets.
    Split,
    /// Complete sets became pUSD.
    Merge,
    /// Shares of a resolved market became what they pay.
    Redeem,
    /// A share of taker fees, paid to makers.
    Rebate,
    /// Liquidity rewards.
    Reward,
    /// A split, merge or redemption did not happen; nothing moved.
    Failed,
}

/// A movement of money or complete sets that is not a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cash {
    /// Why.
    pub kind: CashKind,
    /// The conversion it answers, if any.
    pub conversion: Option<ConversionId>,
    /// The strategy it is booked to, if any.
    pub strategy: Option<StrategyId>,
    /// The market, if any.
    pub market: Option<MarketKey>,
    /// Change of our pUSD: positive came in.
    pub amount: Usdc,
    /// Shares of YES and NO that appeared (split) or went (merge, redeem).
    pub shares: [Shares; 2],
}
