//! Events of Gamma: what groups markets. Unknown fields are ignored, unknown words kept as text.

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{GammaMarket, Series, Tag};
use crate::wire;

/// A page of one or more markets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct GammaEvent {
    /// Gamma's number, as text.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Ticker.
    #[serde(default, deserialize_with = "wire::text")]
    pub ticker: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Title.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Subtitle.
    #[serde(default, deserialize_with = "wire::text")]
    pub subtitle: String,
    /// Description.
    #[serde(default, deserialize_with = "wire::text")]
    pub description: String,
    /// Where the answer is read.
    #[serde(default, rename = "resolutionSource", deserialize_with = "wire::text")]
    pub resolution_source: String,
    /// Category of old rows.
    #[serde(default, deserialize_with = "wire::text")]
    pub category: String,
    /// Start.
    #[serde(default, rename = "startDate", deserialize_with = "wire::opt_time")]
    pub start_date: Option<Time>,
    /// Created.
    #[serde(default, rename = "creationDate", deserialize_with = "wire::opt_time")]
    pub creation_date: Option<Time>,
    /// End.
    #[serde(default, rename = "endDate", deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
    /// Start of the game.
    #[serde(default, rename = "startTime", deserialize_with = "wire::opt_time")]
    pub start_time: Option<Time>,
    /// Day.
    #[serde(default, rename = "eventDate", deserialize_with = "wire::text")]
    pub event_date: String,
    /// Week of a season.
    #[serde(default, rename = "eventWeek", deserialize_with = "wire::opt_int")]
    pub event_week: Option<i64>,
    /// End of the game.
    #[serde(default, rename = "finishedTimestamp", deserialize_with = "wire::opt_time")]
    pub finished_timestamp: Option<Time>,
    /// Created.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Changed.
    #[serde(default, rename = "updatedAt", deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
    /// Closed.
    #[serde(default, rename = "closedTime", deserialize_with = "wire::opt_time")]
    pub closed_time: Option<Time>,
    /// Deployed.
    #[serde(default, rename = "deployingTimestamp", deserialize_with = "wire::opt_time")]
    pub deploying_timestamp: Option<Time>,
    /// Published.
    #[serde(default, deserialize_with = "wire::flag")]
    pub active: bool,
    /// Over.
    #[serde(default, deserialize_with = "wire::flag")]
    pub closed: bool,
    /// Hidden.
    #[serde(default, deserialize_with = "wire::flag")]
    pub archived: bool,
    /// Running.
    #[serde(default, deserialize_with = "wire::flag")]
    pub live: bool,
    /// Over.
    #[serde(default, deserialize_with = "wire::flag")]
    pub ended: bool,
    /// Marked new.
    #[serde(default, rename = "new", deserialize_with = "wire::flag")]
    pub is_new: bool,
    /// Shown up front.
    #[serde(default, deserialize_with = "wire::flag")]
    pub featured: bool,
    /// Restricted by region on the web site.
    #[serde(default, deserialize_with = "wire::flag")]
    pub restricted: bool,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub liquidity: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "openInterest", deserialize_with = "wire::opt")]
    pub open_interest: Option<Decimal>,
    /// A score.
    #[serde(default, deserialize_with = "wire::opt")]
    pub competitive: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume24hr", deserialize_with = "wire::opt")]
    pub volume_24hr: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1wk", deserialize_with = "wire::opt")]
    pub volume_1wk: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1mo", deserialize_with = "wire::opt")]
    pub volume_1mo: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1yr", deserialize_with = "wire::opt")]
    pub volume_1yr: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "liquidityClob", deserialize_with = "wire::opt")]
    pub liquidity_clob: Option<Decimal>,
    /// Whether it has books.
    #[serde(default, rename = "enableOrderBook", deserialize_with = "wire::flag")]
    pub enable_order_book: bool,
    /// Exactly one of its markets pays.
    #[serde(default, rename = "negRisk", deserialize_with = "wire::flag")]
    pub neg_risk: bool,
    /// The same.
    #[serde(default, rename = "enableNegRisk", deserialize_with = "wire::flag")]
    pub enable_neg_risk: bool,
    /// With placeholders and "other".
    #[serde(default, rename = "negRiskAugmented", deserialize_with = "wire::flag")]
    pub neg_risk_augmented: bool,
    /// The group.
    #[serde(default, rename = "negRiskMarketID", deserialize_with = "wire::text")]
    pub neg_risk_market_id: String,
    /// Fee of converting.
    #[serde(default, rename = "negRiskFeeBips", deserialize_with = "wire::opt")]
    pub neg_risk_fee_bips: Option<Decimal>,
    /// Whether its markets are thresholds of one quantity.
    #[serde(default, rename = "cumulativeMarkets")]
    pub cumulative_markets: Option<bool>,
    /// Opened by itself.
    #[serde(default, rename = "automaticallyActive", deserialize_with = "wire::flag")]
    pub automatically_active: bool,
    /// Its markets.
    #[serde(default, deserialize_with = "wire::vec")]
    pub markets: Vec<GammaMarket>,
    /// Tags.
    #[serde(default, deserialize_with = "wire::vec")]
    pub tags: Vec<Tag>,
    /// Series.
    #[serde(default, deserialize_with = "wire::vec")]
    pub series: Vec<Series>,
    /// Series.
    #[serde(default, rename = "seriesSlug", deserialize_with = "wire::text")]
    pub series_slug: String,
    /// Of the game.
    #[serde(default, deserialize_with = "wire::text")]
    pub score: String,
    /// Of the game.
    #[serde(default, deserialize_with = "wire::text")]
    pub period: String,
    /// Of the game.
    #[serde(default, deserialize_with = "wire::text")]
    pub elapsed: String,
    /// Of the game.
    #[serde(default, rename = "gameStatus", deserialize_with = "wire::text")]
    pub game_status: String,
    /// Sports.
    #[serde(default, rename = "gameId", deserialize_with = "wire::text")]
    pub game_id: String,
    /// Protocol.
    #[serde(default, deserialize_with = "wire::text")]
    pub version: String,
    /// Sports.
    #[serde(default, rename = "homeTeamName", deserialize_with = "wire::text")]
    pub home_team_name: String,
    /// Sports.
    #[serde(default, rename = "awayTeamName", deserialize_with = "wire::text")]
    pub away_team_name: String,
    /// Comments.
    #[serde(default, rename = "commentCount", deserialize_with = "wire::opt_int")]
    pub comment_count: Option<i64>,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub image: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
}

/// The event of a market, in short.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct EventStub {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Ticker.
    #[serde(default, deserialize_with = "wire::text")]
    pub ticker: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Title.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Neg-risk group.
    #[serde(default, rename = "negRisk", deserialize_with = "wire::flag")]
    pub neg_risk: bool,
    /// Neg-risk group.
    #[serde(default, rename = "enableNegRisk", deserialize_with = "wire::flag")]
    pub enable_neg_risk: bool,
    /// With placeholders and "other".
    #[serde(default, rename = "negRiskAugmented", deserialize_with = "wire::flag")]
    pub neg_risk_augmented: bool,
    /// The group.
    #[serde(default, rename = "negRiskMarketID", deserialize_with = "wire::text")]
    pub neg_risk_market_id: String,
    /// Series.
    #[serde(default, rename = "seriesSlug", deserialize_with = "wire::text")]
    pub series_slug: String,
    /// Start.
    #[serde(default, rename = "startTime", deserialize_with = "wire::opt_time")]
    pub start_time: Option<Time>,
    /// End.
    #[serde(default, rename = "endDate", deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
    /// Published.
    #[serde(default, deserialize_with = "wire::flag")]
    pub active: bool,
    /// Over.
    #[serde(default, deserialize_with = "wire::flag")]
    pub closed: bool,
    /// Hidden.
    #[serde(default, deserialize_with = "wire::flag")]
    pub archived: bool,
    /// Sports.
    #[serde(default, rename = "gameId", deserialize_with = "wire::text")]
    pub game_id: String,
}
