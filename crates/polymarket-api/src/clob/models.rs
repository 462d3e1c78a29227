//! Books, prices, markets and pages of the CLOB. Ids stay text as the venue wrote them; accessors turn them into
//! `domain` ids.

use polydesk_domain::{BookSnapshot, HashInput, Price, RawLevel, Shares, Time, Token, book_hash};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::wire;

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
    /// Tick size, as text.
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
    pub fn snapshot(&self, token: Token) -> Result<BookSnapshot, BadLevel> {
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
        Ok(BookSnapshot { token, bids: side(&self.bids, "bid")?, asks: side(&self.asks, "ask")? })
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
    /// pUSD per share. Without any trade the venue states 0.5 and an empty side.
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
    /// Tick size.
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
    /// Tick size.
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

/// A market as `GET /markets/live-activity/{condition_id}` names it. Every field may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct LiveActivity {
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Gamma's number, as text.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub question: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub market_slug: String,
    /// Slug of the event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Slug of the series, if it is in one.
    #[serde(default, deserialize_with = "wire::text")]
    pub series_slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub image: String,
    /// Slugs of its tags.
    #[serde(default, deserialize_with = "wire::vec")]
    pub tags: Vec<String>,
}
