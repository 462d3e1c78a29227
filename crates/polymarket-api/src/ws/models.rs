//! Messages of the sockets that are rare enough to be read as whole objects.

use polydesk_domain::{OrderHash, Shares, Side, Time, TokenId};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::clob::{OrderStatus, side};
use crate::gamma::FeeSchedule;
use crate::wire;

/// `new_market`: a market was created anywhere on the venue. The CLOB may take minutes to know it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NewMarket {
    /// Gamma's number.
    #[serde(deserialize_with = "wire::text")]
    pub id: String,
    /// The question.
    #[serde(deserialize_with = "wire::text")]
    pub question: String,
    /// Condition id.
    #[serde(deserialize_with = "wire::text")]
    pub market: String,
    /// Condition id, again.
    #[serde(deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Slug.
    #[serde(deserialize_with = "wire::text")]
    pub slug: String,
    /// Rules of resolution.
    #[serde(deserialize_with = "wire::text")]
    pub description: String,
    /// Tokens.
    #[serde(deserialize_with = "wire::list")]
    pub assets_ids: Vec<String>,
    /// Tokens, again.
    #[serde(deserialize_with = "wire::list")]
    pub clob_token_ids: Vec<String>,
    /// Labels.
    #[serde(deserialize_with = "wire::list")]
    pub outcomes: Vec<String>,
    /// Its event.
    pub event_message: Option<NewMarketEvent>,
    /// Venue time.
    #[serde(deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// `new_market`.
    #[serde(deserialize_with = "wire::text")]
    pub event_type: String,
    /// Tags.
    #[serde(deserialize_with = "wire::list")]
    pub tags: Vec<String>,
    /// Published.
    #[serde(deserialize_with = "wire::flag")]
    pub active: bool,
    /// Sports.
    #[serde(deserialize_with = "wire::text")]
    pub sports_market_type: String,
    /// Sports.
    #[serde(deserialize_with = "wire::opt")]
    pub line: Option<Decimal>,
    /// Start of the game.
    #[serde(deserialize_with = "wire::opt_time")]
    pub game_start_time: Option<Time>,
    /// Tick size.
    #[serde(deserialize_with = "wire::opt")]
    pub order_price_min_tick_size: Option<Decimal>,
    /// Name within its event.
    #[serde(deserialize_with = "wire::text")]
    pub group_item_title: String,
    /// Legacy, ignored.
    #[serde(deserialize_with = "wire::opt")]
    pub taker_base_fee: Option<Decimal>,
    /// Whether takers pay.
    pub fees_enabled: Option<bool>,
    /// The fee's parameters.
    pub fee_schedule: Option<FeeSchedule>,
}

/// The event of a new or resolved market.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NewMarketEvent {
    /// Gamma's number.
    #[serde(deserialize_with = "wire::text")]
    pub id: String,
    /// Ticker.
    #[serde(deserialize_with = "wire::text")]
    pub ticker: String,
    /// Slug.
    #[serde(deserialize_with = "wire::text")]
    pub slug: String,
    /// Title.
    #[serde(deserialize_with = "wire::text")]
    pub title: String,
    /// Description.
    #[serde(deserialize_with = "wire::text")]
    pub description: String,
}

/// An update of one of our orders. Taker orders get no update of a match here: their trades carry it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UserOrder {
    /// EIP-712 digest.
    #[serde(deserialize_with = "wire::text")]
    pub id: String,
    /// API key.
    #[serde(deserialize_with = "wire::text")]
    pub owner: String,
    /// API key, again.
    #[serde(deserialize_with = "wire::text")]
    pub order_owner: String,
    /// Condition id.
    #[serde(deserialize_with = "wire::text")]
    pub market: String,
    /// Token id.
    #[serde(deserialize_with = "wire::text")]
    pub asset_id: String,
    /// `BUY` or `SELL`.
    #[serde(deserialize_with = "wire::text")]
    pub side: String,
    /// Shares; the **pUSD budget** of FOK and FAK buys.
    #[serde(deserialize_with = "wire::opt")]
    pub original_size: Option<Decimal>,
    /// Shares matched over its life; absent on a killed FOK.
    #[serde(deserialize_with = "wire::opt")]
    pub size_matched: Option<Decimal>,
    /// pUSD per share.
    #[serde(deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Trades so far.
    #[serde(deserialize_with = "wire::vec")]
    pub associate_trades: Vec<String>,
    /// Label.
    #[serde(deserialize_with = "wire::text")]
    pub outcome: String,
    /// `PLACEMENT`, `UPDATE`, `CANCELLATION`.
    #[serde(rename = "type", deserialize_with = "wire::text")]
    pub kind: String,
    /// When it was placed; absent on a killed FOK.
    #[serde(deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// When it ends; absent or 0 for never.
    #[serde(deserialize_with = "wire::opt_time")]
    pub expiration: Option<Time>,
    /// `GTC`, …
    #[serde(deserialize_with = "wire::text")]
    pub order_type: String,
    /// Where it is.
    pub status: OrderStatus,
    /// Wallet.
    #[serde(deserialize_with = "wire::text")]
    pub maker_address: String,
    /// Venue time.
    #[serde(deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// `order`.
    #[serde(deserialize_with = "wire::text")]
    pub event_type: String,
}

impl UserOrder {
    /// The id, if it is one.
    pub fn hash(&self) -> Option<OrderHash> {
        self.id.parse().ok()
    }
    /// The token, if it is one.
    pub fn token(&self) -> Option<TokenId> {
        self.asset_id.parse().ok()
    }
    /// The side, if it is one.
    pub fn side(&self) -> Option<Side> {
        side(&self.side)
    }
    /// Total shares matched; an absent value means zero only on a cancellation.
    pub fn matched(&self) -> Option<Shares> {
        match self.size_matched {
            Some(size) => crate::clob::plausible_shares(size),
            None if self.cancelled() => Some(Shares::ZERO),
            None => None,
        }
    }
    /// Whether it is out of the book for good.
    pub fn cancelled(&self) -> bool {
        self.kind == "CANCELLATION" || self.status.cancelled()
    }
}
