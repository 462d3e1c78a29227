//! Ranked lists of wallets: leaderboards, one wallet's place, the biggest wins.

use futures_util::Stream;
use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Data, with_user};
use crate::gamma::Filters;
use crate::limits::Group;
use crate::{ApiError, wire};

impl Data {
    /// The leaderboard (`timePeriod` DAY, WEEK, MONTH, ALL; `orderBy` PNL, VOL).
    pub async fn leaderboard(&self, filters: Filters) -> Result<Vec<Leader>, ApiError> {
        self.get("/v1/leaderboard", Group::Data, &filters).await
    }
    /// The leaderboard (`time_period` day, week, month, all; `sort_by` PNL, VOLUME).
    pub fn leaderboard_v2(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<LeaderV2, ApiError>> + Send + use<> {
        self.cursor("/v2/leaderboard", Group::Data, filters)
    }
    /// One wallet's places on the leaderboard (`category`, `time_period`); `None` where it has none.
    pub async fn standing(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> Result<Option<Standing>, ApiError> {
        self.one("/v2/leaderboard", with_user(wallet, filters)).await
    }
    /// The biggest wins (`category`, `time_period` day, week, month, all): single positions, not wallets.
    pub fn biggest_winners(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<BiggestWinner, ApiError>> + Send + use<> {
        self.cursor("/v2/biggest-winners", Group::Data, filters)
    }
}

/// A row of the leaderboard (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Leader {
    /// Place.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank: Option<i64>,
    /// The wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Name.
    #[serde(default, rename = "userName", deserialize_with = "wire::text")]
    pub user_name: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub vol: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub pnl: Option<Decimal>,
    /// Picture.
    #[serde(default, rename = "profileImage", deserialize_with = "wire::text")]
    pub profile_image: String,
    /// X.
    #[serde(default, rename = "xUsername", deserialize_with = "wire::text")]
    pub x_username: String,
    /// Verified.
    #[serde(default, rename = "verifiedBadge", deserialize_with = "wire::flag")]
    pub verified_badge: bool,
}

/// A row of the leaderboard (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct LeaderV2 {
    /// Place.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank: Option<i64>,
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub user_id: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub pnl: Option<Decimal>,
    /// **Shares**.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub user_name: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub profile_image: String,
    /// X.
    #[serde(default, deserialize_with = "wire::text")]
    pub x_username: String,
    /// Verified.
    #[serde(default, deserialize_with = "wire::flag")]
    pub verified: bool,
}

/// One wallet's places on the leaderboard (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Standing {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub user_id: String,
    /// Place by profit; null or 0 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank_pnl: Option<i64>,
    /// Place by volume; null or 0 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank_volume: Option<i64>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub pnl: Option<Decimal>,
    /// **Shares**.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub user_name: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub profile_image: String,
    /// X.
    #[serde(default, deserialize_with = "wire::text")]
    pub x_username: String,
    /// Verified.
    #[serde(default, deserialize_with = "wire::flag")]
    pub verified: bool,
}

/// A position that won much (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct BiggestWinner {
    /// Place; equal wins do not share one.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub win_rank: Option<i64>,
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub user_id: String,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub user_name: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub profile_image: String,
    /// `market` or `combo`. Combos have no event.
    #[serde(default, deserialize_with = "wire::text")]
    pub kind: String,
    /// Condition id; 62 digits for combos.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub position_id: String,
    /// Event; 0 for combos.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_id: String,
    /// Event; empty for combos.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Event, or the questions of a combo.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_title: String,
    /// pUSD spent.
    #[serde(default, deserialize_with = "wire::opt")]
    pub initial_value: Option<Decimal>,
    /// pUSD at the end.
    #[serde(default, deserialize_with = "wire::opt")]
    pub final_value: Option<Decimal>,
    /// pUSD between them.
    #[serde(default, deserialize_with = "wire::opt")]
    pub pnl: Option<Decimal>,
    /// When it ended.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub resolved_at: Option<Time>,
}
