//! The Data API: positions, activity, trades, holders, leaderboards, resolutions. No authentication.
//!
//! `wallet` is the one that holds the funds (proxy, Safe or deposit wallet), not the signing key's address.
//! v1 (frozen since 2026-09-04) lies at the root, v2 under `/v2`; where both exist prefer v2. Answers are
//! cached by the edge for up to 300 s ([`Data::activity_v2`] shows how to get past that).

mod models;

use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use polydesk_domain::{ConditionId, Time, TokenId};
use serde::de::DeserializeOwned;

use crate::gamma::{Filters, get};
use crate::limits::{Group, Limits, SignerCost};
use crate::{ApiError, Http};

pub use models::*;

/// The Data API client. Clones share connections and limits.
#[derive(Clone)]
pub struct Data {
    http: Http,
    base: Arc<str>,
    limits: Arc<Limits>,
}

impl core::fmt::Debug for Data {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Data({})", self.base)
    }
}

/// The envelope of v2 lists.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Envelope<T> {
    data: Vec<T>,
    #[serde(default)]
    pagination: Pagination,
}

/// The envelope of v2 objects.
#[derive(Debug, serde::Deserialize)]
struct One<T> {
    data: Option<T>,
}

impl Data {
    /// A client at `base` (no trailing slash).
    pub fn new(http: Http, base: &str, limits: Arc<Limits>) -> Data {
        Data { http, base: base.trim_end_matches('/').into(), limits }
    }

    // ---- v1 ----

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
    /// What a wallet did, up to 500 at a time.
    pub async fn activity(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> Result<Vec<Activity>, ApiError> {
        self.user("/activity", Group::Data, wallet, filters).await
    }
    /// Trades of anybody. Without `("takerOnly", "false")` maker fills are left out.
    pub async fn trades(&self, filters: Filters) -> Result<Vec<PublicTrade>, ApiError> {
        self.get("/trades", Group::DataTrades, &filters).await
    }
    /// What a wallet's positions are worth, in pUSD.
    pub async fn value(&self, wallet: &str) -> Result<Vec<Value>, ApiError> {
        self.user("/value", Group::Data, wallet, Vec::new()).await
    }
    /// How many markets a wallet traded.
    pub async fn traded(&self, wallet: &str) -> Result<Traded, ApiError> {
        self.user("/traded", Group::Data, wallet, Vec::new()).await
    }
    /// The largest holders of a market's tokens.
    pub async fn holders(
        &self,
        market: &ConditionId,
        limit: u32,
    ) -> Result<Vec<TokenHolders>, ApiError> {
        let query =
            [("market".to_owned(), market.to_string()), ("limit".to_owned(), limit.to_string())];
        self.get("/holders", Group::Data, &query).await
    }
    /// Open interest of markets.
    pub async fn open_interest(
        &self,
        markets: &[ConditionId],
    ) -> Result<Vec<OpenInterest>, ApiError> {
        self.get("/oi", Group::Data, &[("market".into(), csv(markets))]).await
    }
    /// Volume of an event, by Gamma's number.
    pub async fn live_volume(&self, event: &str) -> Result<Vec<LiveVolume>, ApiError> {
        self.get("/live-volume", Group::Data, &[("id".into(), event.into())]).await
    }
    /// The leaderboard (`timePeriod` DAY, WEEK, MONTH, ALL; `orderBy` PNL, VOL).
    pub async fn leaderboard(&self, filters: Filters) -> Result<Vec<Leader>, ApiError> {
        self.get("/v1/leaderboard", Group::Data, &filters).await
    }

    // ---- v2 ----

    /// Positions of a wallet (`status`, `sort_by`, … as filters).
    pub fn positions_v2(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> impl Stream<Item = Result<PositionV2, ApiError>> + Send + use<> {
        self.cursor("/v2/positions", Group::DataPositions, with_user(wallet, filters))
    }
    /// What a wallet did, newest first, as maker and as taker. A changing `start` defeats the edge's cache
    /// of 15 s.
    pub fn activity_v2(
        &self,
        wallet: &str,
        start: Option<Time>,
        filters: Filters,
    ) -> impl Stream<Item = Result<ActivityV2, ApiError>> + Send + use<> {
        let mut query = with_user(wallet, filters);
        if let Some(start) = start {
            query.push(("start".into(), (start.nanos() / 1_000_000_000).to_string()));
        }
        if !query.iter().any(|(key, _)| key == "sort_direction") {
            query.push(("sort_direction".into(), "DESC".into()));
        }
        self.cursor("/v2/activity", Group::Data, query)
    }
    /// Trades of anybody.
    pub fn trades_v2(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<TradeV2, ApiError>> + Send + use<> {
        self.cursor("/v2/trades", Group::DataTrades, filters)
    }
    /// What a wallet's positions are worth, in pUSD.
    pub async fn value_v2(&self, wallet: &str) -> Result<Option<Value>, ApiError> {
        Ok(self
            .get::<One<Value>>("/v2/value", Group::Data, &with_user(wallet, Vec::new()))
            .await?
            .data)
    }
    /// What tokens are.
    pub fn tokens_v2(
        &self,
        tokens: &[TokenId],
    ) -> impl Stream<Item = Result<TokenV2, ApiError>> + Send + use<> {
        self.cursor("/v2/tokens", Group::Data, vec![("token_id".into(), csv(tokens))])
    }
    /// How far resolutions are, for up to 20 conditions.
    pub fn resolutions(
        &self,
        conditions: &[ConditionId],
    ) -> impl Stream<Item = Result<Resolution, ApiError>> + Send + use<> {
        self.cursor("/v2/resolutions", Group::Data, vec![("condition_id".into(), csv(conditions))])
    }
    /// The leaderboard (`time_period` day, week, month, all; `sort_by` PNL, VOLUME).
    pub fn leaderboard_v2(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<LeaderV2, ApiError>> + Send + use<> {
        self.cursor("/v2/leaderboard", Group::Data, filters)
    }
    /// The largest holders of a market's tokens.
    pub fn holders_v2(
        &self,
        market: &ConditionId,
    ) -> impl Stream<Item = Result<HoldersV2, ApiError>> + Send + use<> {
        self.cursor("/v2/holders", Group::Data, vec![("condition_id".into(), market.to_string())])
    }
    /// A wallet's approvals as indexed: a check without a node.
    pub async fn approvals(&self, wallet: &str) -> Result<Vec<Approval>, ApiError> {
        #[derive(serde::Deserialize)]
        struct Contracts {
            #[serde(default, deserialize_with = "crate::wire::vec")]
            contracts: Vec<Approval>,
        }
        let answer: One<Contracts> =
            self.get("/v2/approvals", Group::Data, &with_user(wallet, Vec::new())).await?;
        Ok(answer.data.map(|data| data.contracts).unwrap_or_default())
    }

    fn cursor<T: DeserializeOwned + Send + 'static>(
        &self,
        list: &'static str,
        group: Group,
        filters: Filters,
    ) -> impl Stream<Item = Result<T, ApiError>> + Send + use<T> {
        let data = self.clone();
        let pages = stream::try_unfold(Some(String::new()), move |cursor| {
            let (data, mut query) = (data.clone(), filters.clone());
            async move {
                let Some(cursor) = cursor else { return Ok(None) };
                if !cursor.is_empty() {
                    query.push(("cursor".into(), cursor.clone()));
                }
                let page: Envelope<T> = data.get(list, group, &query).await?;
                let next = page.pagination.next_cursor;
                if page.pagination.has_more && (next.is_empty() || next == cursor) {
                    return Err(ApiError::Malformed {
                        to: format!("GET {list}"),
                        error: "more rows are promised, but the cursor does not move".into(),
                        excerpt: next,
                    });
                }
                let next = page.pagination.has_more.then_some(next);
                Ok(Some((stream::iter(page.data.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn user<T: DeserializeOwned>(
        &self,
        path: &str,
        group: Group,
        wallet: &str,
        filters: Filters,
    ) -> Result<T, ApiError> {
        self.get(path, group, &with_user(wallet, filters)).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        group: Group,
        query: &[(String, String)],
    ) -> Result<T, ApiError> {
        if group != Group::Data {
            self.limits.admit(Group::Data, SignerCost::None).await?;
        }
        get(&self.http, &self.limits, &self.base, path, group, query).await
    }
}

fn with_user(wallet: &str, filters: Filters) -> Filters {
    let mut query = vec![("user".to_owned(), wallet.to_owned())];
    query.extend(filters);
    query
}

fn csv<T: ToString>(list: &[T]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
