//! What builders (programs that trade for others) bring, by builder code.

use futures_util::Stream;
use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Data, Envelope};
use crate::gamma::Filters;
use crate::limits::Group;
use crate::{ApiError, wire};

impl Data {
    /// Builders by volume (v1; `timePeriod` DAY, WEEK, MONTH, ALL; `limit` up to 50, `offset`).
    pub async fn builders(&self, filters: Filters) -> Result<Vec<Builder>, ApiError> {
        self.get("/v1/builders/leaderboard", Group::Data, &filters).await
    }
    /// Builders' volume by day (v1; `timePeriod`).
    pub async fn builders_volume(&self, filters: Filters) -> Result<Vec<BuilderDay>, ApiError> {
        self.get("/v1/builders/volume", Group::Data, &filters).await
    }
    /// Builders by volume (v2; `time_period` day, week, month, all).
    pub fn builders_v2(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<BuilderV2, ApiError>> + Send + use<> {
        self.cursor("/v2/builders/leaderboard", Group::Data, filters)
    }
    /// Builders' volume by stretches of time (v2; `interval` day, week, month, or all for years; `limit` so
    /// many stretches, up to 90).
    pub async fn builders_volume_v2(&self, filters: Filters) -> Result<Vec<BuilderV2>, ApiError> {
        let rows: Envelope<BuilderV2> =
            self.get("/v2/builders/volume", Group::Data, &filters).await?;
        Ok(rows.data)
    }
}

/// A builder's place (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Builder {
    /// Place (text on the wire).
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank: Option<i64>,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub builder: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// Wallets.
    #[serde(default, rename = "activeUsers", deserialize_with = "wire::opt_int")]
    pub active_users: Option<u64>,
    /// Verified.
    #[serde(default, deserialize_with = "wire::flag")]
    pub verified: bool,
    /// Picture.
    #[serde(default, rename = "builderLogo", deserialize_with = "wire::text")]
    pub builder_logo: String,
}

/// A builder's day (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct BuilderDay {
    /// Which.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub dt: Option<Time>,
    /// The builder on it.
    #[serde(flatten)]
    pub builder: Builder,
}

/// A builder's place, in all or in one stretch of time (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct BuilderV2 {
    /// First day of the stretch (`YYYY-MM-DD`); empty on the leaderboard.
    #[serde(default, deserialize_with = "wire::text")]
    pub date: String,
    /// Place; equal ones share it.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank: Option<i64>,
    /// Name, or the code again.
    #[serde(default, deserialize_with = "wire::text")]
    pub builder_name: String,
    /// The code that orders carry.
    #[serde(default, deserialize_with = "wire::text")]
    pub builder_code: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub profile_image: String,
    /// Verified.
    #[serde(default, deserialize_with = "wire::flag")]
    pub verified: bool,
    /// **Shares**.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// Wallets.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub active_users: Option<u64>,
}
