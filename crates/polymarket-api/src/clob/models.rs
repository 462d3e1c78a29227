//! Answers of the CLOB, typed. Ids stay text as the venue wrote them; accessors turn them into `domain` ids.

use std::collections::BTreeMap;

use polydesk_domain::{
    HashInput, OrderHash, Price, RawLevel, Shares, Side, Snapshot, Time, Token, TokenId, book_hash,
};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::wire::{self, words};

/// A level with its strings as received (they go into the book hash).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BookLevel {
    /// pUSD per share.
    #[serde(deserialize_with = "wire::text")]
    pub price: String,
    /// Shares.
    #[serde(deserialize_with = "wire::text")]
    pub size: String,
}

/// A whole book of one token (`GET /book`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Book {
    /// Condition id.
    pub market: String,
    /// Token id.
    pub asset_id: String,
    /// Unix milliseconds as text.
    #[serde(default, deserialize_with = "wire::text")]
    pub timestamp: String,
    /// SHA-1 in hex; absent on some endpoints.
    #[serde(default, deserialize_with = "wire::text")]
    pub hash: String,
    /// As received: usually ascending by price, the best last. Do not rely on it.
    #[serde(default, deserialize_with = "wire::vec")]
    pub bids: Vec<BookLevel>,
    /// As received: usually descending by price, the best last. Do not rely on it.
    #[serde(default, deserialize_with = "wire::vec")]
    pub asks: Vec<BookLevel>,
    /// Least order size in shares, as text.
    #[serde(default, deserialize_with = "wire::text")]
    pub min_order_size: String,
    /// Price grid, as text.
    #[serde(default, deserialize_with = "wire::text")]
    pub tick_size: String,
    /// Whether the market belongs to a neg-risk group.
    #[serde(default, deserialize_with = "wire::flag")]
    pub neg_risk: bool,
    /// Last trade price as the venue printed it; null is not the same as empty.
    #[serde(default)]
    pub last_trade_price: Option<String>,
}

/// Why a book cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("level {price} x {size} of the {side} side: {rule}")]
pub struct BadLevel {
    /// As received.
    pub price: String,
    /// As received.
    pub size: String,
    /// Which side.
    pub side: &'static str,
    /// What is wrong.
    pub rule: &'static str,
}

impl Book {
    /// The book as an event for `token`. A level that is no price or size is an error, not a guess.
    pub fn snapshot(&self, token: Token) -> Result<Snapshot, BadLevel> {
        let side = |levels: &[BookLevel], side: &'static str| {
            levels
                .iter()
                .map(|level| {
                    let bad = |rule| BadLevel {
                        price: level.price.chars().take(40).collect(),
                        size: level.size.chars().take(40).collect(),
                        side,
                        rule,
                    };
                    let price = wire::decimal(&level.price)
                        .and_then(|p| Price::try_from(p).ok())
                        .ok_or_else(|| bad("no price from 0 to 1 with four decimals"))?;
                    let size = wire::decimal(&level.size)
                        .and_then(|s| Shares::try_from(s).ok())
                        .filter(|s| *s <= Shares::SANE_MAX)
                        .ok_or_else(|| bad("no size"))?;
                    Ok((price, size))
                })
                .collect::<Result<Vec<_>, BadLevel>>()
        };
        Ok(Snapshot { token, bids: side(&self.bids, "bid")?, asks: side(&self.asks, "ask")? })
    }

    /// The hash this book ought to have.
    pub fn computed_hash(&self) -> String {
        fn raw(levels: &[BookLevel]) -> Vec<RawLevel<'_>> {
            levels.iter().map(|l| RawLevel { price: &l.price, size: &l.size }).collect()
        }
        book_hash(&HashInput {
            market: &self.market,
            asset_id: &self.asset_id,
            timestamp: &self.timestamp,
            bids: &raw(&self.bids),
            asks: &raw(&self.asks),
            min_order_size: &self.min_order_size,
            tick_size: &self.tick_size,
            neg_risk: self.neg_risk,
            last_trade_price: self.last_trade_price.as_deref(),
        })
    }

    /// When the venue made it.
    pub fn time(&self) -> Option<Time> {
        wire::time(&self.timestamp)
    }
}

/// `{"price": …}` with or without a side.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LastTrade {
    /// pUSD per share. Without any trade the venue says 0.5 and an empty side.
    #[serde(deserialize_with = "wire::num")]
    pub price: Decimal,
    /// `BUY` or `SELL`; empty when there was no trade.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Token, in answers about several.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
}

impl LastTrade {
    /// The price, unless there was no trade yet.
    pub fn known(&self) -> Option<Decimal> {
        (!self.side.is_empty()).then_some(self.price)
    }
}

/// `GET /price`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PriceAnswer {
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
}
/// `GET /midpoint`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MidAnswer {
    #[serde(default, deserialize_with = "wire::opt")]
    pub mid: Option<Decimal>,
    #[serde(default, deserialize_with = "wire::opt")]
    pub mid_price: Option<Decimal>,
}
/// `GET /spread`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SpreadAnswer {
    #[serde(default, deserialize_with = "wire::opt")]
    pub spread: Option<Decimal>,
}
/// `GET /tick-size`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TickAnswer {
    #[serde(deserialize_with = "wire::num")]
    pub minimum_tick_size: Decimal,
}
/// `GET /neg-risk`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NegRiskAnswer {
    pub neg_risk: bool,
}
/// `GET /version`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct VersionAnswer {
    pub version: u32,
}
/// `GET /fee-rate` (a legacy cap; do not compute fees from it).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FeeRateAnswer {
    #[serde(deserialize_with = "wire::num")]
    pub base_fee: Decimal,
}

/// Prices of both sides of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SidePrices {
    /// Best **bid** (the side of resting orders).
    #[serde(rename = "BUY", default, deserialize_with = "wire::opt")]
    pub buy: Option<Decimal>,
    /// Best **ask**.
    #[serde(rename = "SELL", default, deserialize_with = "wire::opt")]
    pub sell: Option<Decimal>,
}

/// A point of `GET /prices-history`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PricePoint {
    /// Unix seconds.
    pub t: i64,
    /// pUSD per share.
    #[serde(deserialize_with = "wire::num")]
    pub p: Decimal,
}

/// `GET /prices-history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct PriceHistory {
    /// Oldest first.
    #[serde(default, deserialize_with = "wire::vec")]
    pub history: Vec<PricePoint>,
}

/// One page of a list with a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Page<T> {
    /// The rows. An answer without them is no empty list.
    pub data: Vec<T>,
    /// `LTE=` at the end.
    #[serde(default, deserialize_with = "wire::text")]
    pub next_cursor: String,
    /// Rows per page.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub limit: Option<u64>,
    /// Rows on this page.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub count: Option<u64>,
}

impl<T> Page<T> {
    /// The cursor of the next page, if there is one.
    pub fn next(&self) -> Option<&str> {
        match self.next_cursor.as_str() {
            "" | "LTE=" => None,
            cursor => Some(cursor),
        }
    }
}

/// Compact trading parameters of a market: the best single source for order entry
/// (`GET /clob-markets/{condition_id}`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MarketInfo {
    /// Condition id.
    #[serde(rename = "c", default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Tokens in the order of the outcomes.
    #[serde(rename = "t", default, deserialize_with = "wire::vec")]
    pub tokens: Vec<InfoToken>,
    /// Price grid.
    #[serde(rename = "mts", default, deserialize_with = "wire::opt")]
    pub tick: Option<Decimal>,
    /// Least order size in shares.
    #[serde(rename = "mos", default, deserialize_with = "wire::opt")]
    pub min_size: Option<Decimal>,
    /// Neg-risk flag; omitted when false.
    #[serde(rename = "nr", default, deserialize_with = "wire::flag")]
    pub neg_risk: bool,
    /// Fee parameters; their absence means unknown, not free.
    #[serde(rename = "fd", default)]
    pub fee: Option<InfoFee>,
    /// Legacy maker cap, ignored.
    #[serde(rename = "mbf", default, deserialize_with = "wire::opt")]
    pub maker_base_fee: Option<Decimal>,
    /// Legacy taker cap, ignored.
    #[serde(rename = "tbf", default, deserialize_with = "wire::opt")]
    pub taker_base_fee: Option<Decimal>,
    /// Start of the game.
    #[serde(rename = "gst", default, deserialize_with = "wire::opt_time")]
    pub game_start: Option<Time>,
    /// Sports matching delay in seconds.
    #[serde(rename = "sd", default, deserialize_with = "wire::opt")]
    pub seconds_delay: Option<Decimal>,
    /// Whether taker orders are held back (crypto and finance up-down).
    #[serde(rename = "itode", default, deserialize_with = "wire::flag")]
    pub taker_delay: bool,
    /// Least age of an order in seconds.
    #[serde(rename = "oas", default, deserialize_with = "wire::opt")]
    pub order_age: Option<Decimal>,
    /// Rewards.
    #[serde(rename = "r", default)]
    pub rewards: Option<InfoRewards>,
    /// Whether requests for quotes are on.
    #[serde(rename = "rfqe", default, deserialize_with = "wire::flag")]
    pub rfq: bool,
    /// Meaning uncertain.
    #[serde(rename = "ibce", default, deserialize_with = "wire::flag")]
    pub ibce: bool,
    /// Whether the book is wiped at the start of the game.
    #[serde(rename = "cbos", default, deserialize_with = "wire::flag")]
    pub clear_book_on_start: bool,
    /// When orders open.
    #[serde(rename = "aot", default, deserialize_with = "wire::opt_time")]
    pub accepting_orders_at: Option<Time>,
}

/// A token of [`MarketInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InfoToken {
    /// Token id.
    #[serde(rename = "t")]
    pub id: String,
    /// Label of the outcome.
    #[serde(rename = "o", default, deserialize_with = "wire::text")]
    pub outcome: String,
}

/// Fee parameters of [`MarketInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InfoFee {
    /// Rate.
    #[serde(rename = "r", default, deserialize_with = "wire::opt")]
    pub rate: Option<Decimal>,
    /// Exponent.
    #[serde(rename = "e", default, deserialize_with = "wire::opt")]
    pub exponent: Option<Decimal>,
    /// Whether makers are free.
    #[serde(rename = "to", default, deserialize_with = "wire::flag")]
    pub taker_only: bool,
}

/// Rewards of [`MarketInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InfoRewards {
    /// Least size in shares.
    #[serde(rename = "mi", default, deserialize_with = "wire::opt")]
    pub min_size: Option<Decimal>,
    /// Greatest spread in cents.
    #[serde(rename = "ma", default, deserialize_with = "wire::opt")]
    pub max_spread: Option<Decimal>,
    /// Least age of an order in seconds.
    #[serde(rename = "moas", default, deserialize_with = "wire::opt")]
    pub order_age: Option<Decimal>,
}

/// A market as `GET /markets` and its relatives list it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClobMarket {
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Question id.
    #[serde(default, deserialize_with = "wire::text")]
    pub question_id: String,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub question: String,
    /// Rules of resolution.
    #[serde(default, deserialize_with = "wire::text")]
    pub description: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub market_slug: String,
    /// Whether it has a book.
    #[serde(default, deserialize_with = "wire::flag")]
    pub enable_order_book: bool,
    /// Published; stays true after closing.
    #[serde(default, deserialize_with = "wire::flag")]
    pub active: bool,
    /// Trading is over.
    #[serde(default, deserialize_with = "wire::flag")]
    pub closed: bool,
    /// Hidden.
    #[serde(default, deserialize_with = "wire::flag")]
    pub archived: bool,
    /// The gate for order entry; true on some closed markets.
    #[serde(default, deserialize_with = "wire::flag")]
    pub accepting_orders: bool,
    /// When orders opened.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub accepting_order_timestamp: Option<Time>,
    /// Least order size in shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub minimum_order_size: Option<Decimal>,
    /// Price grid.
    #[serde(default, deserialize_with = "wire::opt")]
    pub minimum_tick_size: Option<Decimal>,
    /// Nominal end.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub end_date_iso: Option<Time>,
    /// Start of the game.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub game_start_time: Option<Time>,
    /// Sports matching delay in seconds.
    #[serde(default, deserialize_with = "wire::opt")]
    pub seconds_delay: Option<Decimal>,
    /// Legacy market maker contract.
    #[serde(default, deserialize_with = "wire::text")]
    pub fpmm: String,
    /// Legacy, ignored.
    #[serde(default, deserialize_with = "wire::opt")]
    pub maker_base_fee: Option<Decimal>,
    /// Legacy, ignored.
    #[serde(default, deserialize_with = "wire::opt")]
    pub taker_base_fee: Option<Decimal>,
    /// Whether notifications are on.
    #[serde(default, deserialize_with = "wire::flag")]
    pub notifications_enabled: bool,
    /// Neg-risk flag.
    #[serde(default, deserialize_with = "wire::flag")]
    pub neg_risk: bool,
    /// Group.
    #[serde(default, deserialize_with = "wire::text")]
    pub neg_risk_market_id: String,
    /// Request.
    #[serde(default, deserialize_with = "wire::text")]
    pub neg_risk_request_id: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub image: String,
    /// Rewards.
    #[serde(default)]
    pub rewards: Option<ClobRewards>,
    /// Resolved half and half.
    #[serde(default, deserialize_with = "wire::flag")]
    pub is_50_50_outcome: bool,
    /// The same under another name.
    #[serde(default, deserialize_with = "wire::flag")]
    pub is_5050_outcome: bool,
    /// Tokens in the order of the outcomes.
    #[serde(default, deserialize_with = "wire::vec")]
    pub tokens: Vec<ClobToken>,
    /// Tags.
    #[serde(default, deserialize_with = "wire::vec")]
    pub tags: Vec<String>,
}

impl ClobMarket {
    /// Whether orders can be entered: every flag must agree, because single ones were seen to lie.
    pub fn takes_orders(&self) -> bool {
        self.active
            && !self.closed
            && !self.archived
            && self.accepting_orders
            && self.enable_order_book
    }
}

/// A token of [`ClobMarket`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClobToken {
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// A cached price; do not trade on it.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Whether it won.
    #[serde(default, deserialize_with = "wire::flag")]
    pub winner: bool,
}

/// Rewards of [`ClobMarket`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClobRewards {
    /// Rates by asset.
    #[serde(default, deserialize_with = "wire::vec")]
    pub rates: Vec<ClobRewardRate>,
    /// Least size in shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub min_size: Option<Decimal>,
    /// Greatest spread in cents.
    #[serde(default, deserialize_with = "wire::opt")]
    pub max_spread: Option<Decimal>,
}

/// A daily reward.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClobRewardRate {
    /// Paid in.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_address: String,
    /// A day.
    #[serde(default, deserialize_with = "wire::opt")]
    pub rewards_daily_rate: Option<Decimal>,
}

/// `GET /markets-by-token/{token_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MarketOfToken {
    /// Condition id.
    pub condition_id: String,
    /// First token.
    #[serde(default, deserialize_with = "wire::text")]
    pub primary_token_id: String,
    /// Second token.
    #[serde(default, deserialize_with = "wire::text")]
    pub secondary_token_id: String,
}

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
            // `UNMATCHED` says that a delay passed without a match: the order may well be resting.
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
    /// As `domain` says it; `None` for a word this client does not know (treat as not settled).
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

/// What a cancel did. HTTP 200 even when nothing was cancelled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CancelAnswer {
    /// Order ids that are out of the book.
    #[serde(default, deserialize_with = "wire::vec")]
    pub canceled: Vec<String>,
    /// Order id → reason.
    #[serde(default, deserialize_with = "wire::text_map")]
    pub not_canceled: BTreeMap<String, String>,
    /// The same under an older name.
    #[serde(default, rename = "notCanceled", deserialize_with = "wire::text_map")]
    pub not_canceled_older: BTreeMap<String, String>,
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

/// `GET /notifications`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Notification {
    /// Id, to dismiss it.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// API key.
    #[serde(default, deserialize_with = "wire::text")]
    pub owner: String,
    /// 1 cancel, 2 fill, 3 market registered, 4 resolved, 5 reward, 6 comment.
    #[serde(default, rename = "type", deserialize_with = "wire::opt_int")]
    pub kind: Option<u32>,
    /// When.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// By kind.
    #[serde(default)]
    pub payload: serde_json::Value,
}

/// `POST /v1/heartbeats`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Heartbeat {
    /// To be sent back with the next one.
    #[serde(default, deserialize_with = "wire::text")]
    pub heartbeat_id: String,
    /// Set when the id was wrong: adopt `heartbeat_id` and send again.
    #[serde(default, deserialize_with = "wire::text")]
    pub error: String,
    /// The same under another name.
    #[serde(default, deserialize_with = "wire::text")]
    pub error_msg: String,
}

/// `GET /auth/ban-status/closed-only`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ClosedOnlyAnswer {
    pub closed_only: bool,
}
/// `GET /auth/api-keys`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ApiKeysAnswer {
    #[serde(rename = "apiKeys", default, deserialize_with = "wire::vec")]
    pub keys: Vec<String>,
}
/// `GET /auth/readonly-api-keys`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReadonlyKeysAnswer {
    #[serde(rename = "readonlyApiKeys", default, deserialize_with = "wire::vec")]
    pub keys: Vec<String>,
}
/// `POST /auth/readonly-api-key`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReadonlyKeyAnswer {
    #[serde(rename = "apiKey")]
    pub key: String,
}
/// `GET /order-scoring`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ScoringAnswer {
    pub scoring: bool,
}

/// A trade attributed to a builder (`GET /builder/trades`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderTrade {
    /// Id.
    pub id: String,
    /// Limit or market.
    #[serde(default, deserialize_with = "wire::text")]
    pub trade_type: String,
    /// The taker's order.
    #[serde(default, deserialize_with = "wire::text")]
    pub taker_order_hash: String,
    /// Builder code.
    #[serde(default, deserialize_with = "wire::text")]
    pub builder: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub market: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_id: String,
    /// Side.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size_usdc: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Settlement.
    #[serde(default)]
    pub status: TradeState,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Its place.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<u32>,
    /// API key.
    #[serde(default, deserialize_with = "wire::text")]
    pub owner: String,
    /// Wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub maker: String,
    /// Transaction.
    #[serde(default, deserialize_with = "wire::text")]
    pub transaction_hash: String,
    /// When it matched.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub match_time: Option<Time>,
    /// Part of a large match.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub bucket_index: Option<i64>,
    /// Fee.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fee: Option<Decimal>,
    /// Fee in pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fee_usdc: Option<Decimal>,
    /// Error, if any.
    #[serde(default, rename = "err_msg", alias = "errMsg", deserialize_with = "wire::text")]
    pub error: String,
    /// Created.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Changed.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
}

/// `GET /fees/builder-fees/{code}`, in basis points.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BuilderFees {
    /// Charged to makers.
    #[serde(default, deserialize_with = "wire::opt")]
    pub builder_maker_fee_rate_bps: Option<Decimal>,
    /// Charged to takers.
    #[serde(default, deserialize_with = "wire::opt")]
    pub builder_taker_fee_rate_bps: Option<Decimal>,
}

/// A row of `GET /rebates/current`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rebate {
    /// `YYYY-MM-DD`.
    #[serde(default, deserialize_with = "wire::text")]
    pub date: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Paid in.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_address: String,
    /// To.
    #[serde(default, deserialize_with = "wire::text")]
    pub maker_address: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub rebated_fees_usdc: Option<Decimal>,
}

/// A reward programme of a market.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RewardMarket {
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub question: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub market_slug: String,
    /// Slug of the event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub image: String,
    /// Greatest spread in cents.
    #[serde(default, deserialize_with = "wire::opt")]
    pub rewards_max_spread: Option<Decimal>,
    /// Least size in shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub rewards_min_size: Option<Decimal>,
    /// How crowded it is.
    #[serde(default, deserialize_with = "wire::opt")]
    pub market_competitiveness: Option<Decimal>,
    /// Tokens.
    #[serde(default, deserialize_with = "wire::vec")]
    pub tokens: Vec<ClobToken>,
    /// Programmes.
    #[serde(default, deserialize_with = "wire::vec")]
    pub rewards_config: Vec<RewardConfig>,
    /// Wallet, on answers about a user.
    #[serde(default, deserialize_with = "wire::text")]
    pub maker_address: String,
    /// Share of the rewards, on answers about a user.
    #[serde(default, deserialize_with = "wire::opt")]
    pub earning_percentage: Option<Decimal>,
    /// Earnings, on answers about a user.
    #[serde(default, deserialize_with = "wire::vec")]
    pub earnings: Vec<Earning>,
}

/// A programme of a [`RewardMarket`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RewardConfig {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Paid in.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_address: String,
    /// First day.
    #[serde(default, deserialize_with = "wire::text")]
    pub start_date: String,
    /// Last day.
    #[serde(default, deserialize_with = "wire::text")]
    pub end_date: String,
    /// A day.
    #[serde(default, deserialize_with = "wire::opt")]
    pub rate_per_day: Option<Decimal>,
    /// In all.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_rewards: Option<Decimal>,
    /// Days.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub total_days: Option<u32>,
}

/// Rewards earned.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Earning {
    /// `YYYY-MM-DD`.
    #[serde(default, deserialize_with = "wire::text")]
    pub date: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Paid in.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_address: String,
    /// To.
    #[serde(default, deserialize_with = "wire::text")]
    pub maker_address: String,
    /// Amount.
    #[serde(default, deserialize_with = "wire::opt")]
    pub earnings: Option<Decimal>,
    /// Rate of the asset in pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub asset_rate: Option<Decimal>,
}

/// `GET https://polymarket.com/api/geoblock`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Geoblock {
    /// Whether this address may not trade.
    pub blocked: bool,
    /// The address as the venue sees it.
    #[serde(default, deserialize_with = "wire::text")]
    pub ip: String,
    /// ISO code.
    #[serde(default, deserialize_with = "wire::text")]
    pub country: String,
    /// Region.
    #[serde(default, deserialize_with = "wire::text")]
    pub region: String,
}
