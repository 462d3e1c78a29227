//! Leagues, teams, and kinds of sports markets.

use polydesk_domain::Time;
use serde::Deserialize;

use super::{Filters, Gamma, page};
use crate::limits::Group;
use crate::{ApiError, wire};

impl Gamma {
    /// Leagues.
    pub async fn sports(&self) -> Result<Vec<Sport>, ApiError> {
        self.get("/sports", Group::Gamma, &[]).await
    }
    /// Kinds of sports markets.
    pub async fn sports_market_types(&self) -> Result<Vec<String>, ApiError> {
        Ok(self.get::<SportsMarketTypes>("/sports/market-types", Group::Gamma, &[]).await?.types)
    }
    /// Teams, at most 100 at a time.
    pub async fn teams(
        &self,
        limit: usize,
        offset: usize,
        filters: Filters,
    ) -> Result<Vec<Team>, ApiError> {
        let mut query = page(limit.min(100), offset);
        query.extend(filters);
        self.get("/teams", Group::Gamma, &query).await
    }
}

/// `GET /sports/market-types`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct SportsMarketTypes {
    #[serde(rename = "marketTypes", default)]
    types: Vec<String>,
}

/// A league.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Sport {
    /// Its name.
    #[serde(default, deserialize_with = "wire::text")]
    pub sport: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub image: String,
    /// Where results are read.
    #[serde(default, deserialize_with = "wire::text")]
    pub resolution: String,
    /// home or away first.
    #[serde(default, deserialize_with = "wire::text")]
    pub ordering: String,
    /// Tag ids, comma separated.
    #[serde(default, deserialize_with = "wire::text")]
    pub tags: String,
    /// Series.
    #[serde(default, deserialize_with = "wire::text")]
    pub series: String,
}

/// A team.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Team {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// League.
    #[serde(default, deserialize_with = "wire::text")]
    pub league: String,
    /// Record.
    #[serde(default, deserialize_with = "wire::text")]
    pub record: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub logo: String,
    /// Short name.
    #[serde(default, deserialize_with = "wire::text")]
    pub abbreviation: String,
    /// Other name.
    #[serde(default, deserialize_with = "wire::text")]
    pub alias: String,
    /// Created.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Changed.
    #[serde(default, rename = "updatedAt", deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
}
