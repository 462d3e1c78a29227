//! Gamma: what markets, events, series, tags and teams there are. No authentication.

mod convert;
mod models;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;

use crate::error::Effect;
use crate::limits::{Group, Limits, SignerCost};
use crate::transport::{HttpRequest, encode, with_query};
use crate::{ApiError, Http, wire};

pub use convert::{MarketRefused, TakerDelays};
pub use models::*;

/// The most rows of a keyset page.
pub const PAGE: usize = 100;

/// The Gamma client. Clones share connections and limits.
#[derive(Clone)]
pub struct Gamma {
    http: Http,
    base: Arc<str>,
    limits: Arc<Limits>,
}

impl core::fmt::Debug for Gamma {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Gamma({})", self.base)
    }
}

/// A filter as the venue names it: `("tag_id", "21")`, `("closed", "true")`. A key may be repeated for
/// lists. Closed markets are left out unless asked for.
pub type Filters = Vec<(String, String)>;

/// `GET /sports/market-types`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct SportsMarketTypes {
    #[serde(rename = "marketTypes", default)]
    types: Vec<String>,
}

/// A page of a keyset list.
#[derive(Debug, serde::Deserialize)]
struct KeysetPage<T> {
    #[serde(alias = "events", alias = "markets", alias = "comments")]
    rows: Vec<T>,
    #[serde(default, deserialize_with = "wire::text")]
    next_cursor: String,
}

impl Gamma {
    /// A client at `base` (no trailing slash).
    pub fn new(http: Http, base: &str, limits: Arc<Limits>) -> Gamma {
        Gamma { http, base: base.trim_end_matches('/').into(), limits }
    }

    /// Markets that pass the filters, page by page as they are read.
    pub fn markets(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<GammaMarket, ApiError>> + Send + use<> {
        self.keyset("/markets/keyset", Group::GammaMarkets, filters)
    }
    /// Events that pass the filters, page by page as they are read.
    pub fn events(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<GammaEvent, ApiError>> + Send + use<> {
        self.keyset("/events/keyset", Group::GammaEvents, filters)
    }
    /// Markets of up to 100 condition ids, closed ones too where asked.
    pub async fn markets_by_condition(
        &self,
        conditions: &[polydesk_domain::ConditionId],
        closed: bool,
    ) -> Result<Vec<GammaMarket>, ApiError> {
        let mut filters: Filters =
            conditions.iter().map(|id| ("condition_ids".to_owned(), id.to_string())).collect();
        filters.push(("closed".into(), closed.to_string()));
        self.markets(filters).try_collect().await
    }
    /// Markets of up to 100 tokens, closed ones too where asked.
    pub async fn markets_by_token(
        &self,
        tokens: &[polydesk_domain::TokenId],
        closed: bool,
    ) -> Result<Vec<GammaMarket>, ApiError> {
        let mut filters: Filters =
            tokens.iter().map(|id| ("clob_token_ids".to_owned(), id.to_string())).collect();
        filters.push(("closed".into(), closed.to_string()));
        self.markets(filters).try_collect().await
    }
    /// One market by Gamma's number.
    pub async fn market(&self, id: &str) -> Result<GammaMarket, ApiError> {
        self.get(&path("/markets/", id), Group::GammaMarkets, &[]).await
    }
    /// One market by slug.
    pub async fn market_by_slug(&self, slug: &str) -> Result<GammaMarket, ApiError> {
        self.get(&path("/markets/slug/", slug), Group::GammaMarkets, &[]).await
    }
    /// Tags of a market.
    pub async fn market_tags(&self, id: &str) -> Result<Vec<Tag>, ApiError> {
        self.get(&(path("/markets/", id) + "/tags"), Group::GammaMarkets, &[]).await
    }
    /// One event by Gamma's number.
    pub async fn event(&self, id: &str) -> Result<GammaEvent, ApiError> {
        self.get(&path("/events/", id), Group::GammaEvents, &[]).await
    }
    /// One event by slug.
    pub async fn event_by_slug(&self, slug: &str) -> Result<GammaEvent, ApiError> {
        self.get(&path("/events/slug/", slug), Group::GammaEvents, &[]).await
    }
    /// Tags of an event.
    pub async fn event_tags(&self, id: &str) -> Result<Vec<Tag>, ApiError> {
        self.get(&(path("/events/", id) + "/tags"), Group::GammaEvents, &[]).await
    }
    /// Tags, at most 100 at a time.
    pub async fn tags(&self, limit: usize, offset: usize) -> Result<Vec<Tag>, ApiError> {
        self.get("/tags", Group::GammaTags, &page(limit.min(100), offset)).await
    }
    /// One tag by slug.
    pub async fn tag_by_slug(&self, slug: &str) -> Result<Tag, ApiError> {
        self.get(&path("/tags/slug/", slug), Group::GammaTags, &[]).await
    }
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
    /// Full-text search.
    pub async fn search(&self, words: &str, filters: Filters) -> Result<Search, ApiError> {
        let mut query = vec![("q".to_owned(), words.to_owned())];
        query.extend(filters);
        self.get("/public-search", Group::GammaSearch, &query).await
    }
    /// A wallet's public profile.
    pub async fn profile(&self, wallet: &str) -> Result<Profile, ApiError> {
        self.get("/public-profile", Group::Gamma, &[("address".into(), wallet.into())]).await
    }

    fn keyset<T: DeserializeOwned + Send + 'static>(
        &self,
        list: &'static str,
        group: Group,
        filters: Filters,
    ) -> impl Stream<Item = Result<T, ApiError>> + Send + use<T> {
        let gamma = self.clone();
        let pages = stream::try_unfold(Some(String::new()), move |cursor| {
            let (gamma, filters) = (gamma.clone(), filters.clone());
            async move {
                let Some(cursor) = cursor else { return Ok(None) };
                let mut query = filters;
                if !query.iter().any(|(key, _)| key == "limit") {
                    query.push(("limit".into(), PAGE.to_string()));
                }
                if !cursor.is_empty() {
                    query.push(("after_cursor".into(), cursor.clone()));
                }
                let page: KeysetPage<T> = gamma.get(list, group, &query).await?;
                let next = match page.next_cursor.as_str() {
                    "" => None,
                    same if same == cursor => {
                        return Err(ApiError::Malformed {
                            to: format!("GET {list}"),
                            error: "the cursor does not move".into(),
                            excerpt: cursor,
                        });
                    }
                    next => Some(next.to_owned()),
                };
                Ok(Some((stream::iter(page.rows.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        group: Group,
        query: &[(String, String)],
    ) -> Result<T, ApiError> {
        if group != Group::Gamma {
            self.limits.admit(Group::Gamma, SignerCost::None).await?;
        }
        get(&self.http, &self.limits, &self.base, path, group, query).await
    }
}

/// A read that is repeated twice when it was not reached.
pub(crate) async fn get<T: DeserializeOwned>(
    http: &Http,
    limits: &Limits,
    base: &str,
    path: &str,
    group: Group,
    query: &[(String, String)],
) -> Result<T, ApiError> {
    let mut tries = 0;
    loop {
        limits.admit(group, SignerCost::None).await?;
        let answer = http
            .json(HttpRequest {
                method: Method::GET,
                url: with_query(format!("{base}{path}"), query),
                headers: HeaderMap::new(),
                body: Bytes::new(),
                effect: Effect::Read,
                what: format!("GET {path}"),
                gzip: true,
            })
            .await;
        let pause = match &answer {
            Err(ApiError::Unreachable(_)) => core::time::Duration::from_millis(200 << tries),
            Err(ApiError::Throttled { pause, .. }) => {
                limits.venue_said_wait(group, *pause);
                return answer;
            }
            _ => return answer,
        };
        tries += 1;
        if tries > 2 {
            return answer;
        }
        tokio::time::sleep(pause).await;
    }
}

/// A path with one foreign part, percent-encoded.
pub(crate) fn path(prefix: &str, part: &str) -> String {
    let mut path = prefix.to_owned();
    encode(part, &mut path);
    path
}

fn page(limit: usize, offset: usize) -> Filters {
    vec![("limit".into(), limit.to_string()), ("offset".into(), offset.to_string())]
}
