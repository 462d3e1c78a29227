//! Gamma: what markets, events, series, tags and teams there are. No authentication.

mod comments;
mod convert;
mod events;
mod lookup;
mod markets;
mod search;
mod series;
mod sports;
mod tags;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{Effect, from_answer};
use crate::limits::{Group, RateLimits, SignerCost};
use crate::transport::{HttpAnswer, HttpRequest, encode, read_json, with_query};
use crate::{ApiError, Http, wire};

pub use comments::*;
pub use convert::{MarketRefused, TakerDelays};
pub use events::*;
pub use lookup::{Found, Scope};
pub use markets::*;
pub use search::*;
pub use series::*;
pub use sports::*;
pub use tags::*;

/// The most rows of a keyset page.
pub const PAGE: usize = 100;

/// The Gamma client. Clones share connections and limits.
#[derive(Clone)]
pub struct Gamma {
    http: Http,
    base: Arc<str>,
    limits: Arc<RateLimits>,
}

impl core::fmt::Debug for Gamma {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Gamma({})", self.base)
    }
}

/// A filter as the venue names it: `("tag_id", "21")`, `("closed", "true")`. A key may be repeated for
/// lists. Closed markets are left out unless asked for.
pub type Filters = Vec<(String, String)>;

/// A page of a keyset list.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct KeysetPage<T> {
    #[serde(alias = "events", alias = "markets", alias = "comments")]
    rows: Vec<T>,
    #[serde(default, deserialize_with = "wire::text")]
    next_cursor: String,
}

impl Gamma {
    /// A client at `base` (no trailing slash).
    pub fn new(http: Http, base: &str, limits: Arc<RateLimits>) -> Gamma {
        Gamma { http, base: base.trim_end_matches('/').into(), limits }
    }

    /// Markets that pass the filters, page by page as they are read. A row that cannot be read is an item
    /// ([`ApiError::BadRow`]), and the list goes on behind it.
    pub fn markets(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<GammaMarket, ApiError>> + Send + use<> {
        self.keyset("/markets/keyset", Group::GammaMarkets, filters)
    }
    /// Events that pass the filters, page by page as they are read; rows that cannot be read likewise.
    pub fn events(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<GammaEvent, ApiError>> + Send + use<> {
        self.keyset("/events/keyset", Group::GammaEvents, filters)
    }
    /// One market by Gamma's number.
    pub async fn market(&self, id: &str) -> Result<GammaMarket, ApiError> {
        self.get(&path("/markets/", id), Group::GammaMarkets, &[]).await
    }
    /// One market by slug.
    pub async fn market_by_slug(&self, slug: &str) -> Result<GammaMarket, ApiError> {
        self.get(&path("/markets/slug/", slug), Group::GammaMarkets, &[]).await
    }
    /// One event by Gamma's number.
    pub async fn event(&self, id: &str) -> Result<GammaEvent, ApiError> {
        self.get(&path("/events/", id), Group::GammaEvents, &[]).await
    }
    /// One event by slug.
    pub async fn event_by_slug(&self, slug: &str) -> Result<GammaEvent, ApiError> {
        self.get(&path("/events/slug/", slug), Group::GammaEvents, &[]).await
    }
    /// Whether Gamma is up: the words of `GET /status`, `OK` when it is.
    pub async fn status(&self) -> Result<String, ApiError> {
        let group = Group::Gamma;
        let answer = fetch(&self.http, &self.limits, &self.base, "/status", group, &[]).await?;
        // Plain text; quoted where a deployment makes it JSON.
        let text = String::from_utf8_lossy(&answer.body);
        Ok(text.trim().trim_matches('"').chars().take(200).collect())
    }

    fn keyset<T: DeserializeOwned + Send + 'static>(
        &self,
        list: &'static str,
        group: Group,
        filters: Filters,
    ) -> impl Stream<Item = Result<T, ApiError>> + Send + use<T> {
        let gamma = self.clone();
        let pages = stream::try_unfold((Some(String::new()), 0), move |(cursor, number)| {
            let (gamma, filters) = (gamma.clone(), filters.clone());
            async move {
                let Some(cursor) = cursor else { return Ok(None) };
                no_end(list, number)?;
                let mut query = filters;
                if !query.iter().any(|(key, _)| key == "limit") {
                    query.push(("limit".into(), PAGE.to_string()));
                }
                if !cursor.is_empty() {
                    query.push(("after_cursor".into(), cursor.clone()));
                }
                let page: KeysetPage<Box<RawValue>> = gamma.page(list, group, &query).await?;
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
                Ok(Some((stream::iter(read_rows(list, page.rows)), (next, number + 1))))
            }
        });
        pages.try_flatten().boxed()
    }

    /// A page whose rows are read one by one.
    async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        group: Group,
        query: &[(String, String)],
    ) -> Result<T, ApiError> {
        self.admit(group).await?;
        get_page(&self.http, &self.limits, &self.base, path, group, query).await
    }

    async fn admit(&self, group: Group) -> Result<(), ApiError> {
        if group != Group::Gamma {
            self.limits.admit(Group::Gamma, SignerCost::None).await?;
        }
        Ok(())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        group: Group,
        query: &[(String, String)],
    ) -> Result<T, ApiError> {
        self.admit(group).await?;
        get(&self.http, &self.limits, &self.base, path, group, query).await
    }
}

/// A list of more pages than this goes round in circles.
const MOST_PAGES: u32 = 20_000;

pub(crate) fn no_end(list: &str, page: u32) -> Result<(), ApiError> {
    if page < MOST_PAGES {
        return Ok(());
    }
    Err(ApiError::Malformed {
        to: format!("GET {list}"),
        error: format!("more than {MOST_PAGES} pages"),
        excerpt: String::new(),
    })
}

/// A read that is repeated twice when it was not reached.
pub(crate) async fn get<T: DeserializeOwned>(
    http: &Http,
    limits: &RateLimits,
    base: &str,
    path: &str,
    group: Group,
    query: &[(String, String)],
) -> Result<T, ApiError> {
    let answer = fetch(http, limits, base, path, group, query).await?;
    read_json(answer, Effect::Read, &format!("GET {path}"))
}

/// The same for a page of rows as they came: `T` may hold [`RawValue`]s, which the other parser cannot make.
pub(crate) async fn get_page<T: DeserializeOwned>(
    http: &Http,
    limits: &RateLimits,
    base: &str,
    path: &str,
    group: Group,
    query: &[(String, String)],
) -> Result<T, ApiError> {
    let answer = fetch(http, limits, base, path, group, query).await?;
    serde_json::from_slice(&answer.body).map_err(|error| ApiError::Malformed {
        to: format!("GET {path}"),
        error: error.to_string(),
        excerpt: String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]).into_owned(),
    })
}

/// Reads the rows of a page one by one: a bad one takes none of the others with it.
pub(crate) fn read_rows<T: DeserializeOwned>(
    list: &str,
    rows: Vec<Box<RawValue>>,
) -> Vec<Result<T, ApiError>> {
    let read = |(index, row): (usize, Box<RawValue>)| {
        let text = row.get();
        // A list of values would be read into a row's fields by their order.
        let object = text.starts_with('{').then_some(text).ok_or("the row is no object".to_owned());
        let row = object.and_then(|text| serde_json::from_str(text).map_err(|e| e.to_string()));
        row.map_err(|error| ApiError::BadRow {
            list: format!("GET {list}"),
            row: index + 1,
            error,
            excerpt: text.chars().take(200).collect(),
        })
    };
    rows.into_iter().enumerate().map(read).collect()
}

/// The same without reading the answer, for what is no JSON; a status that is not 2xx is an error.
pub(crate) async fn fetch(
    http: &Http,
    limits: &RateLimits,
    base: &str,
    path: &str,
    group: Group,
    query: &[(String, String)],
) -> Result<HttpAnswer, ApiError> {
    let mut tries = 0;
    loop {
        limits.admit(group, SignerCost::None).await?;
        let sent = http
            .send(HttpRequest {
                method: Method::GET,
                url: with_query(format!("{base}{path}"), query),
                headers: HeaderMap::new(),
                body: Bytes::new(),
                effect: Effect::Read,
                what: format!("GET {path}"),
                gzip: true,
            })
            .await;
        let answer = sent.and_then(|answer| {
            if answer.ok() {
                return Ok(answer);
            }
            let pause = answer.retry_after();
            let what = format!("GET {path}");
            Err(from_answer(Effect::Read, answer.status, pause, &answer.body, &what))
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_read_alone() {
        let market = |more: &str| format!("{{\"id\":\"1\",\"conditionId\":\"0x01\"{more}}}");
        let rows = [
            (market(""), true),
            ("null".to_owned(), false),
            (market(",\"question\":{}"), false),
            ("[]".to_owned(), false),
            (market(",\"closed\":true"), true),
        ];
        let text: Vec<&str> = rows.iter().map(|(row, _)| row.as_str()).collect();
        let page = format!("{{\"markets\":[{}],\"next_cursor\":\"\"}}", text.join(","));
        let page: KeysetPage<Box<RawValue>> = serde_json::from_str(&page).unwrap();
        let read: Vec<Result<GammaMarket, ApiError>> = read_rows("/markets/keyset", page.rows);
        let good: Vec<bool> = read.iter().map(Result::is_ok).collect();
        assert_eq!(good, rows.map(|(_, good)| good));
        let Err(ApiError::BadRow { row, excerpt, .. }) = &read[1] else { panic!("{read:?}") };
        assert_eq!((*row, excerpt.as_str()), (2, "null"));
    }
}
