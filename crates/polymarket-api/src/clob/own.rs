//! Own orders, trades, cancels and balances, as the venue writes them.

use std::collections::BTreeMap;

use polydesk_domain::{OrderHash, Shares, Side, Time, TokenId};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};

use crate::{wire, words};

words! {
    /// Where an order is, by the venue.
    OrderStatus "ORDER_STATUS_" {
        /// Resting.
        Live = "LIVE",
        /// Matched, at least partly; also orders that ended partly filled: compare sizes.
        Matched = "MATCHED",
        /// Held back.
        Delayed = "DELAYED",
        /// The delay passed without a match.
        Unmatched = "UNMATCHED",
        /// Taken out.
        Canceled = "CANCELED",
        /// Taken out with the market's resolution.
        CanceledMarketResolved = "CANCELED_MARKET_RESOLVED",
        /// Taken out for lack of funds.
        CanceledNotEnoughBalance = "CANCELED_NOT_ENOUGH_BALANCE",
        /// Its time was over.
        CanceledExpired = "CANCELED_EXPIRED_ORDER",
        /// The venue took it away (funds gone, market paused).
        Invalid = "INVALID",
    }
}

impl OrderStatus {
    /// Whether the order is out of the book for good. Free text after `CANCELED_` counts.
    pub fn cancelled(&self) -> bool {
        match self {
            // `UNMATCHED` means that a delay passed without a match: the order may be resting.
            OrderStatus::Live
            | OrderStatus::Matched
            | OrderStatus::Delayed
            | OrderStatus::Unmatched => false,
            OrderStatus::Unknown(word) => {
                word.trim_start_matches("ORDER_STATUS_").starts_with("CANCELED")
            }
            OrderStatus::Canceled
            | OrderStatus::CanceledMarketResolved
            | OrderStatus::CanceledNotEnoughBalance
            | OrderStatus::CanceledExpired
            | OrderStatus::Invalid => true,
        }
    }
}

words! {
    /// Where the settlement of a trade is.
    TradeState "TRADE_STATUS_" {
        /// Matched, not yet sent to the chain (REST only).
        MatchedNotBroadcasted = "MATCHED_NOT_BROADCASTED",
        /// Sent to the executor.
        Matched = "MATCHED",
        /// In a block.
        Mined = "MINED",
        /// Being sent again; the hash can change.
        Retrying = "RETRYING",
        /// Final.
        Confirmed = "CONFIRMED",
        /// Will not settle: reverse the fill.
        Failed = "FAILED",
    }
}

impl TradeState {
    /// The status as `domain`'s type; `None` for an unknown one (treat as not settled).
    pub fn status(&self) -> Option<polydesk_domain::TradeStatus> {
        use polydesk_domain::TradeStatus;
        match self {
            TradeState::MatchedNotBroadcasted | TradeState::Matched => Some(TradeStatus::Matched),
            TradeState::Mined => Some(TradeStatus::Mined),
            TradeState::Retrying => Some(TradeStatus::Retrying),
            TradeState::Confirmed => Some(TradeStatus::Confirmed),
            TradeState::Failed => Some(TradeStatus::Failed),
            TradeState::Unknown(_) => None,
        }
    }
}

/// An open order of ours.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpenOrder {
    /// EIP-712 digest.
    pub id: String,
    /// Where it is.
    #[serde(default)]
    pub status: OrderStatus,
    /// API key.
    #[serde(default, deserialize_with = "wire::text")]
    pub owner: String,
    /// Wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub maker_address: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub market: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_id: String,
    /// `BUY` or `SELL`.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Shares (the docs show millionths; production sends decimals). See [`OpenOrder::sizes`].
    #[serde(default, deserialize_with = "wire::opt")]
    pub original_size: Option<Decimal>,
    /// Shares matched so far.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size_matched: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// When it ends; absent or 0 for never.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub expiration: Option<Time>,
    /// `GTC`, …
    #[serde(default, deserialize_with = "wire::text")]
    pub order_type: String,
    /// Trades so far.
    #[serde(default, deserialize_with = "wire::vec")]
    pub associate_trades: Vec<String>,
    /// When it was placed.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
}

impl OpenOrder {
    /// The id, if it is one.
    pub fn hash(&self) -> Option<OrderHash> {
        self.id.parse().ok()
    }
    /// The token, if it is one.
    pub fn token(&self) -> Option<TokenId> {
        self.asset_id.parse().ok()
    }
    /// (original, matched) in shares. `None` when a size is missing, is no size, or looks like
    /// millionths (a whole number from a million on): flagged rather than guessed.
    pub fn sizes(&self) -> Option<(Shares, Shares)> {
        let matched = self.size_matched.or(Some(Decimal::ZERO));
        Some((plausible_shares(self.original_size?)?, plausible_shares(matched?)?))
    }
}

/// Shares, unless the number looks like millionths of them: the documents show those, production decimals.
pub(crate) fn plausible_shares(size: Decimal) -> Option<Shares> {
    let millionths = size.normalize().scale() == 0 && size >= Decimal::from(1_000_000);
    if millionths { None } else { Shares::try_from(size).ok() }
}

/// The side words of the venue.
pub(crate) fn side(word: &str) -> Option<Side> {
    match word {
        _ if word.eq_ignore_ascii_case("BUY") => Some(Side::Buy),
        _ if word.eq_ignore_ascii_case("SELL") => Some(Side::Sell),
        _ => None,
    }
}

/// A trade of ours (`GET /data/trades`, and the user socket).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Trade {
    /// A uuid: one match bucket; it can hold several orders of ours.
    pub id: String,
    /// The taker's order.
    #[serde(default, deserialize_with = "wire::text")]
    pub taker_order_id: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub market: String,
    /// The taker's token.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_id: String,
    /// The taker's side.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// The taker's shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// The taker's average price.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Legacy, ignored.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fee_rate_bps: Option<Decimal>,
    /// Settlement.
    #[serde(default)]
    pub status: TradeState,
    /// When it matched.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub match_time: Option<Time>,
    /// The same under another name, on the socket.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub matchtime: Option<Time>,
    /// When it last changed.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub last_update: Option<Time>,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// API key of the row's owner.
    #[serde(default, deserialize_with = "wire::text")]
    pub owner: String,
    /// API key, again, on the socket.
    #[serde(default, deserialize_with = "wire::text")]
    pub trade_owner: String,
    /// Wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub maker_address: String,
    /// `TAKER` or `MAKER`: which side of it is ours.
    #[serde(default, deserialize_with = "wire::text")]
    pub trader_side: String,
    /// Part of a large match.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub bucket_index: Option<i64>,
    /// Empty until mined.
    #[serde(default, deserialize_with = "wire::text")]
    pub transaction_hash: String,
    /// The resting orders it met.
    #[serde(default, deserialize_with = "wire::vec")]
    pub maker_orders: Vec<MakerOrder>,
    /// Socket only.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// Socket only: `TRADE`.
    #[serde(default, rename = "type", deserialize_with = "wire::text")]
    pub kind: String,
    /// Socket only: `trade`.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_type: String,
}

/// A resting order within a [`Trade`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MakerOrder {
    /// The order.
    pub order_id: String,
    /// API key.
    #[serde(default, deserialize_with = "wire::text")]
    pub owner: String,
    /// Wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub maker_address: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub matched_amount: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Its token: the other outcome's in a complementary match.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_id: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Its side; some captures lack it.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Legacy, ignored.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fee_rate_bps: Option<Decimal>,
}

/// One of our orders' part in a trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLeg {
    /// Our order.
    pub order: OrderHash,
    /// Its token.
    pub token: TokenId,
    /// Its side.
    pub side: Side,
    /// Whether it rested.
    pub role: polydesk_domain::Role,
    /// Shares.
    pub shares: Shares,
    /// pUSD per share, possibly an average.
    pub price: Decimal,
}

impl Trade {
    /// Our orders' parts in it: as taker the one row, as maker every entry of our key or wallet.
    /// Fills are unique by (trade, order). An entry that cannot be read is an error, not a smaller fill.
    pub fn own_legs(&self, owner: &str, wallet: &str) -> Result<Vec<OwnLeg>, String> {
        let bad = |what: &str| format!("trade {}: {what}", self.id);
        let shares = |size: Option<Decimal>| {
            size.and_then(|size| Shares::try_from(size).ok())
                .filter(|shares| *shares <= Shares::SANE_MAX)
                .ok_or_else(|| bad("a size is missing or no number of shares"))
        };
        let taker_side = side(&self.side);
        let mine = |order: &&MakerOrder| {
            (!owner.is_empty() && order.owner == owner)
                || (!wallet.is_empty() && order.maker_address.eq_ignore_ascii_case(wallet))
        };
        let mut legs = Vec::new();
        if self.trader_side.eq_ignore_ascii_case("TAKER") {
            let order = self.taker_order_id.parse();
            let token = self.asset_id.parse();
            legs.push(OwnLeg {
                order: order.map_err(|_| bad("taker_order_id is no order id"))?,
                token: token.map_err(|_| bad("asset_id is no token id"))?,
                side: taker_side.ok_or_else(|| bad("side is neither BUY nor SELL"))?,
                role: polydesk_domain::Role::Taker,
                shares: shares(self.size)?,
                price: self.price.ok_or_else(|| bad("price is missing"))?,
            });
        } else if !self.trader_side.eq_ignore_ascii_case("MAKER") {
            return Err(bad("trader_side is neither TAKER nor MAKER"));
        }
        // Both sides can be ours.
        for order in self.maker_orders.iter().filter(mine) {
            // Without a side: the same token means the opposite side, the other token the same.
            let side = side(&order.side).or_else(|| {
                let taker = taker_side?;
                Some(if order.asset_id == self.asset_id { taker.other() } else { taker })
            });
            let id = order.order_id.parse();
            let token = order.asset_id.parse();
            legs.push(OwnLeg {
                order: id.map_err(|_| bad("a maker order_id is no order id"))?,
                token: token.map_err(|_| bad("a maker asset_id is no token id"))?,
                side: side.ok_or_else(|| bad("a maker order has no side"))?,
                role: polydesk_domain::Role::Maker,
                shares: shares(order.matched_amount)?,
                price: order.price.ok_or_else(|| bad("a maker order has no price"))?,
            });
        }
        if legs.is_empty() {
            return Err(bad("none of its orders is of this key or wallet"));
        }
        Ok(legs)
    }
}

/// The venue's answer to one order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RawOrderAnswer")]
pub struct OrderAnswer {
    /// True does not mean accepted.
    pub success: bool,
    /// Empty, or why not.
    pub error: String,
    /// Empty when refused.
    pub order_id: String,
    /// `live`, `matched`, `delayed`, `unmatched` or empty.
    pub status: String,
    /// What was given at once. Units differ between sources: never account with it.
    pub making_amount: String,
    /// What was got at once. The same warning.
    pub taking_amount: String,
    /// Trades made at placement.
    pub trade_ids: Vec<String>,
    /// Usually absent since July 2026.
    pub transactions: Vec<String>,
}

/// The reason has three names, and an answer may carry several of them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawOrderAnswer {
    #[serde(deserialize_with = "wire::flag")]
    success: bool,
    #[serde(rename = "errorMsg", deserialize_with = "wire::text")]
    error_msg: String,
    #[serde(rename = "error_msg", deserialize_with = "wire::text")]
    error_snake: String,
    #[serde(deserialize_with = "wire::text")]
    error: String,
    #[serde(rename = "orderID", deserialize_with = "wire::text")]
    order_id: String,
    #[serde(rename = "orderId", deserialize_with = "wire::text")]
    order_id_camel: String,
    #[serde(deserialize_with = "wire::text")]
    status: String,
    #[serde(rename = "makingAmount", deserialize_with = "wire::text")]
    making_amount: String,
    #[serde(rename = "takingAmount", deserialize_with = "wire::text")]
    taking_amount: String,
    #[serde(rename = "tradeIDs", deserialize_with = "wire::vec")]
    trade_ids: Vec<String>,
    #[serde(rename = "transactionsHashes", deserialize_with = "wire::vec")]
    transactions: Vec<String>,
}

impl From<RawOrderAnswer> for OrderAnswer {
    fn from(raw: RawOrderAnswer) -> OrderAnswer {
        let first = |words: [String; 3]| {
            words.into_iter().find(|word| !word.is_empty()).unwrap_or_default()
        };
        OrderAnswer {
            success: raw.success,
            error: first([raw.error_msg, raw.error_snake, raw.error]),
            order_id: first([raw.order_id, raw.order_id_camel, String::new()]),
            status: raw.status,
            making_amount: raw.making_amount,
            taking_amount: raw.taking_amount,
            trade_ids: raw.trade_ids,
            transactions: raw.transactions,
        }
    }
}

/// What a cancel did. HTTP 200 even when nothing was cancelled; but a response with neither list proves nothing,
/// and is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawCancelAnswer")]
pub struct CancelAnswer {
    /// Order ids that are out of the book.
    pub canceled: Vec<String>,
    /// Order id → reason, also under its older name `notCanceled`.
    pub not_canceled: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawCancelAnswer {
    #[serde(default)]
    canceled: Listed<Vec<String>>,
    #[serde(default)]
    not_canceled: Listed<BTreeMap<String, String>>,
    #[serde(default, rename = "notCanceled")]
    not_canceled_older: Listed<BTreeMap<String, String>>,
}

/// A field that is there, if only as null, or is not.
#[derive(Default)]
struct Listed<T>(Option<T>);

impl<'de> Deserialize<'de> for Listed<Vec<String>> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        wire::vec(from).map(Some).map(Listed)
    }
}
impl<'de> Deserialize<'de> for Listed<BTreeMap<String, String>> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        wire::text_map(from).map(Some).map(Listed)
    }
}

impl TryFrom<RawCancelAnswer> for CancelAnswer {
    type Error = &'static str;

    fn try_from(raw: RawCancelAnswer) -> Result<CancelAnswer, &'static str> {
        let RawCancelAnswer { canceled, not_canceled, not_canceled_older } = raw;
        if canceled.0.is_none() && not_canceled.0.is_none() && not_canceled_older.0.is_none() {
            return Err("neither canceled nor not_canceled is there");
        }
        let mut kept = not_canceled.0.unwrap_or_default();
        kept.extend(not_canceled_older.0.unwrap_or_default());
        Ok(CancelAnswer { canceled: canceled.0.unwrap_or_default(), not_canceled: kept })
    }
}

/// Why an order was not cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCanceled {
    /// It matched: look for fills.
    Matched,
    /// It was out already.
    AlreadyCanceled,
    /// It matched or was cancelled: look for fills.
    Gone,
    /// The venue does not know it.
    NotFound,
    /// A delayed taker order: it cannot be cancelled yet.
    Pending,
    /// Other words.
    Other(String),
}

impl NotCanceled {
    /// Reads the venue's reason.
    pub fn read(reason: &str) -> NotCanceled {
        let words = reason.to_ascii_lowercase();
        let has = |part: &str| words.contains(part);
        if has("pending") || has("delayed") {
            NotCanceled::Pending
        } else if has("canceled or matched") {
            NotCanceled::Gone
        } else if has("already matched") {
            NotCanceled::Matched
        } else if has("already canceled") || has("already cancelled") {
            NotCanceled::AlreadyCanceled
        } else if has("not found") {
            NotCanceled::NotFound
        } else {
            NotCanceled::Other(reason.chars().take(200).collect())
        }
    }
}

/// Balance and allowances as the CLOB has them cached, in millionths.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BalanceAllowance {
    /// Millionths of pUSD or shares.
    #[serde(deserialize_with = "wire::num")]
    pub balance: Decimal,
    /// Spender → allowance in millionths (up to 2^256 − 1, so kept as text).
    #[serde(default)]
    pub allowances: BTreeMap<String, String>,
}

/// A list of the account's own orders or trades.
///
/// The venue's cursors are offsets: when an order ends between two pages, the rows behind it slide forward and one is
/// skipped, without a sign. A list of one page is whole; a longer one is read until two passes in a row have the same
/// ids, five times at most.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnList<T> {
    /// The rows; when the list is not complete, every row that any pass had, as the last one had it.
    pub rows: Vec<T>,
    /// Whether absence means anything. In an incomplete list it does not.
    pub complete: bool,
}

impl<T> core::ops::Deref for OwnList<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.rows
    }
}

impl<T> IntoIterator for OwnList<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}
