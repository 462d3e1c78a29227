//! How far behind the chain the Data API is.

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::Data;
use crate::{ApiError, wire};

impl Data {
    /// How fresh v2 answers are (`GET /v2/status`). Before the venue has measured it, the answer is a 503.
    pub async fn status(&self) -> Result<Option<Freshness>, ApiError> {
        self.one("/v2/status", Vec::new()).await
    }
}

/// How fresh v2 answers are. UNCERTAIN in its details: read from the documentation, not captured.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Freshness {
    /// When it was measured.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub computed_at: Option<Time>,
    /// How long ago that is, in seconds.
    #[serde(default, deserialize_with = "wire::opt")]
    pub age_seconds: Option<Decimal>,
    /// What answers are made from.
    #[serde(default)]
    pub serving: Serving,
    /// What is read from the chain. It looks healthy when everything stands still: `serving` shows that.
    #[serde(default)]
    pub ingestion: Ingestion,
}

/// What answers are made from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Serving {
    /// Seconds behind, of the worst part.
    #[serde(default, deserialize_with = "wire::opt")]
    pub lag_seconds: Option<Decimal>,
    /// Which that is.
    #[serde(default, deserialize_with = "wire::text")]
    pub worst: String,
    /// All parts.
    #[serde(default, deserialize_with = "wire::vec")]
    pub mechanisms: Vec<Mechanism>,
}

/// A part of what answers are made from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Mechanism {
    /// `activity_feed`, `custody_balances`, …
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Seconds behind.
    #[serde(default, deserialize_with = "wire::opt")]
    pub age_seconds: Option<Decimal>,
    /// Blocks behind.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub blocks_behind: Option<i64>,
}

/// What is read from the chain.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Ingestion {
    /// Streams that are read.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub cursors: Option<u64>,
    /// `polygon`.
    #[serde(default, deserialize_with = "wire::text")]
    pub network: String,
    /// 137.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub chain_id: Option<u64>,
    /// Newest block read.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub max_synced_block: Option<u64>,
}
