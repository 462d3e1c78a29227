//! Series: events that recur, like the price of bitcoin every five minutes.

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{EventStub, Filters, Gamma, page, path};
use crate::limits::Group;
use crate::{ApiError, wire};

impl Gamma {
    /// Series, at most 50 at a time.
    pub async fn series(
        &self,
        limit: usize,
        offset: usize,
        filters: Filters,
    ) -> Result<Vec<Series>, ApiError> {
        let mut query = page(limit.min(50), offset);
        query.extend(filters);
        self.get("/series", Group::Gamma, &query).await
    }
    /// One series by Gamma's number.
    pub async fn series_by_id(&self, id: &str) -> Result<Series, ApiError> {
        self.get(&path("/series/", id), Group::Gamma, &[]).await
    }
}

/// Recurring events.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Series {
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
    /// Type.
    #[serde(default, rename = "seriesType", deserialize_with = "wire::text")]
    pub series_type: String,
    /// `5m`, `daily`, …
    #[serde(default, deserialize_with = "wire::text")]
    pub recurrence: String,
    /// Running.
    #[serde(default, deserialize_with = "wire::flag")]
    pub active: bool,
    /// Over.
    #[serde(default, deserialize_with = "wire::flag")]
    pub closed: bool,
    /// Hidden.
    #[serde(default, deserialize_with = "wire::flag")]
    pub archived: bool,
    /// Shown up front.
    #[serde(default, deserialize_with = "wire::flag")]
    pub featured: bool,
    /// Restricted by region.
    #[serde(default, deserialize_with = "wire::flag")]
    pub restricted: bool,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume24hr", deserialize_with = "wire::opt")]
    pub volume_24hr: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub liquidity: Option<Decimal>,
    /// Comments.
    #[serde(default, rename = "commentCount", deserialize_with = "wire::opt_int")]
    pub comment_count: Option<i64>,
    /// Created.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Changed.
    #[serde(default, rename = "updatedAt", deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub image: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Events, where asked for.
    #[serde(default, deserialize_with = "wire::vec")]
    pub events: Vec<EventStub>,
}
