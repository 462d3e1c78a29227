//! Account events: what the gateway reports of our own account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ClientOrderId, Code, ConversionId, MarketKey, OrderHash, OrderUpdate, OwnTrade, Price, Shares,
    Side, StrategyId, Time, Token, Usdc,
};

/// Updates of our orders, money and shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountEvent {
    /// A feed connection came up or went down.
    Link {
        /// The connection.
        channel: Channel,
        /// Whether it is up.
        up: bool,
    },
    /// Balances and open orders as read from venue and chain. It corrects nothing.
    Snapshot(AccountSnapshot),
    /// An update of one of our orders.
    Order {
        /// Our id of the order.
        id: ClientOrderId,
        /// The new state with its details.
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

/// A feed connection; orders or fills can be missed while it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Books and prints.
    Market,
    /// Our orders and fills.
    User,
}

impl Channel {
    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Market => "market",
            Channel::User => "user",
        }
    }
}

/// Result of one pass of reads at the venue and on the chain.
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
    /// Shares by token, those reserved for sells included; a token that is missing is not held.
    pub shares: BTreeMap<Token, Shares>,
    /// Open orders by the venue's id, with the shares matched so far.
    pub open: BTreeMap<OrderHash, Shares>,
}

/// An order of our wallet that this bot did not place: placed on the website, or its journal entry
/// was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalOrder {
    /// `run << 32 | 1 << 31 | n`, given by the gateway.
    pub id: ClientOrderId,
    /// The venue's id.
    pub hash: OrderHash,
    /// Outcome token, by its dense key.
    pub token: Token,
    /// Buy or sell of that token.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Size in shares.
    pub size: Shares,
    /// Whether it can still match.
    pub open: bool,
}

/// A correction by reconciliation that is neither an order update nor a fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// pUSD that a chain log explains and the ledger does not have.
    Cash {
        /// Positive came in.
        amount: Usdc,
        /// Kind of the explaining log entry.
        code: Code,
    },
    /// Shares that a chain log explains and the lots do not have; booked to `external`.
    Shares {
        /// Outcome token, by its dense key.
        token: Token,
        /// Millionths of a share; positive came in.
        micros: i64,
        /// Kind of the explaining log entry.
        code: Code,
    },
    /// An unexplained difference in a token: it is frozen until an operator releases it.
    Freeze {
        /// Outcome token, by its dense key.
        token: Token,
        /// What differs, with figures.
        detail: String,
    },
    /// An unexplained difference in cash: no new exposure until an operator clears it.
    CashMismatch {
        /// Ours minus theirs.
        difference: Usdc,
    },
}

/// Kinds of cash movements without an order.
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
    /// What moved it.
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
