//! What wallets hold and held.

use futures_util::Stream;
use polydesk_domain::{ConditionId, Time};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Data, with_user};
use crate::gamma::Filters;
use crate::limits::Group;
use crate::{ApiError, wire};

impl Data {
    /// Open positions, up to 500 at a time; `size_threshold` in shares (the venue's default is 1).
    pub async fn positions(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> Result<Vec<Position>, ApiError> {
        self.user("/positions", Group::DataPositions, wallet, filters).await
    }
    /// Positions that are over, up to 50 at a time.
    pub async fn closed_positions(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> Result<Vec<ClosedPosition>, ApiError> {
        self.user("/closed-positions", Group::DataPositions, wallet, filters).await
    }
    /// Positions of a wallet (`status`, `sort_by`, … as filters).
    pub fn positions_v2(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> impl Stream<Item = Result<PositionV2, ApiError>> + Send + use<> {
        self.cursor("/v2/positions", Group::DataPositions, with_user(wallet, filters))
    }
    /// Everybody's positions in a market, by token, the greatest gain first unless asked otherwise
    /// (`status` OPEN, CLOSED, ALL; `sortBy` TOKENS, CASH_PNL, REALIZED_PNL, TOTAL_PNL; `user`; `limit` up
    /// to 500, 50 unless given; `offset` up to 10 000).
    pub async fn market_positions(
        &self,
        market: &ConditionId,
        filters: Filters,
    ) -> Result<Vec<MarketPositions>, ApiError> {
        let mut query = vec![("market".to_owned(), market.to_string())];
        query.extend(filters);
        self.get("/v1/market-positions", Group::DataPositions, &query).await
    }
}

/// A position (v1 of the API).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Position {
    /// The wallet that holds it.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset: String,
    /// Condition id.
    #[serde(default, rename = "conditionId", deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, rename = "avgPrice", deserialize_with = "wire::opt")]
    pub avg_price: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "initialValue", deserialize_with = "wire::opt")]
    pub initial_value: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "currentValue", deserialize_with = "wire::opt")]
    pub current_value: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "cashPnl", deserialize_with = "wire::opt")]
    pub cash_pnl: Option<Decimal>,
    /// Per cent.
    #[serde(default, rename = "percentPnl", deserialize_with = "wire::opt")]
    pub percent_pnl: Option<Decimal>,
    /// Shares.
    #[serde(default, rename = "totalBought", deserialize_with = "wire::opt")]
    pub total_bought: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "realizedPnl", deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// Per cent.
    #[serde(default, rename = "percentRealizedPnl", deserialize_with = "wire::opt")]
    pub percent_realized_pnl: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "entryFeesUsdc", deserialize_with = "wire::opt")]
    pub entry_fees_usdc: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, rename = "curPrice", deserialize_with = "wire::opt")]
    pub cur_price: Option<Decimal>,
    /// The market resolved.
    #[serde(default, deserialize_with = "wire::flag")]
    pub redeemable: bool,
    /// Both outcomes are held.
    #[serde(default, deserialize_with = "wire::flag")]
    pub mergeable: bool,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Event.
    #[serde(default, rename = "eventId", deserialize_with = "wire::text")]
    pub event_id: String,
    /// Event.
    #[serde(default, rename = "eventSlug", deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Place; 999 for none.
    #[serde(default, rename = "outcomeIndex", deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Label.
    #[serde(default, rename = "oppositeOutcome", deserialize_with = "wire::text")]
    pub opposite_outcome: String,
    /// Token id.
    #[serde(default, rename = "oppositeAsset", deserialize_with = "wire::text")]
    pub opposite_asset: String,
    /// End.
    #[serde(default, rename = "endDate", deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
    /// Neg-risk.
    #[serde(default, rename = "negativeRisk", deserialize_with = "wire::flag")]
    pub negative_risk: bool,
}

/// A position that is over (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ClosedPosition {
    /// The wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset: String,
    /// Condition id.
    #[serde(default, rename = "conditionId", deserialize_with = "wire::text")]
    pub condition_id: String,
    /// pUSD per share.
    #[serde(default, rename = "avgPrice", deserialize_with = "wire::opt")]
    pub avg_price: Option<Decimal>,
    /// Shares.
    #[serde(default, rename = "totalBought", deserialize_with = "wire::opt")]
    pub total_bought: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "realizedPnl", deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, rename = "curPrice", deserialize_with = "wire::opt")]
    pub cur_price: Option<Decimal>,
    /// When it ended.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Event.
    #[serde(default, rename = "eventSlug", deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Place; 999 for none.
    #[serde(default, rename = "outcomeIndex", deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Label.
    #[serde(default, rename = "oppositeOutcome", deserialize_with = "wire::text")]
    pub opposite_outcome: String,
    /// Token id.
    #[serde(default, rename = "oppositeAsset", deserialize_with = "wire::text")]
    pub opposite_asset: String,
    /// End.
    #[serde(default, rename = "endDate", deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
}

/// A position (v2 of the API).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PositionV2 {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_size: Option<Decimal>,
    /// Shares ever.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_size: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub avg_price: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub entry_cost_usdc: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub entry_fees_usdc: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_cost_usdc: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_price: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_value: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub unrealized_pnl: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_pnl: Option<Decimal>,
    /// Per cent.
    #[serde(default, deserialize_with = "wire::opt")]
    pub percent_pnl: Option<Decimal>,
    /// Per cent.
    #[serde(default, deserialize_with = "wire::opt")]
    pub percent_realized_pnl: Option<Decimal>,
    /// OPEN, REDEEMABLE, REDEEMABLE_LOST, MERGEABLE, CLOSED.
    #[serde(default, deserialize_with = "wire::text")]
    pub status: String,
    /// The market resolved.
    #[serde(default, deserialize_with = "wire::flag")]
    pub redeemable: bool,
    /// Both outcomes are held.
    #[serde(default, deserialize_with = "wire::flag")]
    pub mergeable: bool,
    /// Neg-risk.
    #[serde(default, deserialize_with = "wire::flag")]
    pub negative_risk: bool,
    /// Hidden.
    #[serde(default, deserialize_with = "wire::flag")]
    pub archived: bool,
    /// Verified.
    #[serde(default)]
    pub verified: Option<bool>,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_id: String,
    /// Event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Place; 999 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub opposite_outcome: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub opposite_token_id: String,
    /// End.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
    /// Last change.
    #[serde(default, deserialize_with = "wire::known_time")]
    pub last_event_at: Option<Time>,
    /// First trade.
    #[serde(default, deserialize_with = "wire::known_time")]
    pub first_entry_at: Option<Time>,
}

/// Positions in a token (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct MarketPositions {
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token: String,
    /// As sorted.
    #[serde(default, deserialize_with = "wire::vec")]
    pub positions: Vec<MarketPosition>,
}

/// A public position in a market (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct MarketPosition {
    /// The wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Picture.
    #[serde(default, rename = "profileImage", deserialize_with = "wire::text")]
    pub profile_image: String,
    /// Verified.
    #[serde(default, deserialize_with = "wire::flag")]
    pub verified: bool,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset: String,
    /// Condition id.
    #[serde(default, rename = "conditionId", deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, rename = "avgPrice", deserialize_with = "wire::opt")]
    pub avg_price: Option<Decimal>,
    /// pUSD per share. `currPrice` here, `curPrice` everywhere else.
    #[serde(default, rename = "currPrice", alias = "curPrice", deserialize_with = "wire::opt")]
    pub cur_price: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "currentValue", deserialize_with = "wire::opt")]
    pub current_value: Option<Decimal>,
    /// pUSD, unrealised.
    #[serde(default, rename = "cashPnl", deserialize_with = "wire::opt")]
    pub cash_pnl: Option<Decimal>,
    /// Shares.
    #[serde(default, rename = "totalBought", deserialize_with = "wire::opt")]
    pub total_bought: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "realizedPnl", deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// pUSD, both.
    #[serde(default, rename = "totalPnl", deserialize_with = "wire::opt")]
    pub total_pnl: Option<Decimal>,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Place; 999 for none.
    #[serde(default, rename = "outcomeIndex", deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
}
