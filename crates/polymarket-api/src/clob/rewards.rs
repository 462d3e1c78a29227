//! Liquidity rewards, maker rebates, and which orders score.

use std::collections::BTreeMap;

use polydesk_domain::{ConditionId, OrderHash, Time};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Clob, ClobToken, request, unwrap};
use crate::ApiError;
use crate::gamma::Filters;
use crate::wire::{self, Num};

impl Clob {
    /// Markets with rewards.
    pub async fn rewards_current(&self) -> Result<Vec<RewardMarket>, ApiError> {
        self.pages(request::rewards_current).await
    }
    /// Rewards of one market.
    pub async fn rewards_market(
        &self,
        condition: &ConditionId,
    ) -> Result<Vec<RewardMarket>, ApiError> {
        self.pages(|cursor| request::rewards_market(condition, cursor)).await
    }
    /// Markets with rewards, found by name, tag, event or numbers: `q`, `tag_slug`, `market_id`, `event_id`,
    /// `event_title`, `min_volume_24hr`, `max_spread` (and their opposites), `min_price`, `max_price`,
    /// `order_by` (`rate_per_day`, `competitiveness`, `volume_24hr`, …), `position` (ASC, DESC),
    /// `page_size` (500 unless given).
    pub async fn rewards_markets(&self, filters: Filters) -> Result<Vec<RewardMarket>, ApiError> {
        self.pages(|cursor| request::rewards_markets(&filters, cursor)).await
    }
    /// Maker rebates of a day (`YYYY-MM-DD`).
    pub async fn rebates(&self, date: &str, maker_address: &str) -> Result<Vec<Rebate>, ApiError> {
        // A day without rebates may be null.
        let rows: Option<Vec<Rebate>> = self.get(request::rebates(date, maker_address)).await?;
        Ok(rows.unwrap_or_default())
    }
    /// Whether an order counts for rewards.
    pub async fn order_scoring(&self, order: &OrderHash) -> Result<bool, ApiError> {
        Ok(self.get::<ScoringAnswer>(request::order_scoring(order)).await?.scoring)
    }
    /// Whether orders count for rewards.
    pub async fn orders_scoring(
        &self,
        orders: &[OrderHash],
    ) -> Result<BTreeMap<String, bool>, ApiError> {
        self.get(request::orders_scoring(orders)).await
    }
    /// Rewards of the account on a day (`YYYY-MM-DD`).
    pub async fn rewards_user(&self, date: &str) -> Result<Vec<Earning>, ApiError> {
        let wallet = self.wallet()?;
        self.pages(|cursor| request::rewards_user(date, wallet, cursor)).await
    }
    /// The same, summed by asset.
    pub async fn rewards_user_total(&self, date: &str) -> Result<Vec<Earning>, ApiError> {
        self.get(request::rewards_user_total(date, self.wallet()?)).await
    }
    /// The same, by market.
    pub async fn rewards_user_markets(&self, date: &str) -> Result<Vec<RewardMarket>, ApiError> {
        let wallet = self.wallet()?;
        self.pages(|cursor| request::rewards_user_markets(date, wallet, cursor)).await
    }
    /// Shares of the rewards by market, in per cent.
    pub async fn rewards_user_percentages(&self) -> Result<BTreeMap<String, Decimal>, ApiError> {
        let request = request::rewards_user_percentages(self.wallet()?);
        self.get::<BTreeMap<String, Num>>(request).await.map(unwrap)
    }
}

/// `GET /order-scoring`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ScoringAnswer {
    pub scoring: bool,
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
    /// Paid a day by the venue itself.
    #[serde(default, deserialize_with = "wire::opt")]
    pub native_daily_rate: Option<Decimal>,
    /// Paid a day by others.
    #[serde(default, deserialize_with = "wire::opt")]
    pub sponsored_daily_rate: Option<Decimal>,
    /// Both.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_daily_rate: Option<Decimal>,
    /// How many others.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub sponsors_count: Option<u32>,
    /// Gamma's number of the market, where it was searched for (so all below).
    #[serde(default, deserialize_with = "wire::text")]
    pub market_id: String,
    /// Gamma's number of the event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_id: String,
    /// Name of the outcome within its event.
    #[serde(default, deserialize_with = "wire::text")]
    pub group_item_title: String,
    /// Best ask less best bid, in pUSD; cached.
    #[serde(default, deserialize_with = "wire::opt")]
    pub spread: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume_24hr: Option<Decimal>,
    /// Change of the price within a day.
    #[serde(default, deserialize_with = "wire::opt")]
    pub one_day_price_change: Option<Decimal>,
    /// Created.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Nominal end.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
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
    /// The part paid by the venue itself, in totals.
    #[serde(default, deserialize_with = "wire::opt")]
    pub native_earnings: Option<Decimal>,
    /// The part paid by others, in totals.
    #[serde(default, deserialize_with = "wire::opt")]
    pub sponsored_earnings: Option<Decimal>,
}
