//! The Data API: positions, activity, trades, holders, leaderboards, resolutions. No authentication.
//!
//! `wallet` is the one that holds the funds (proxy, Safe or deposit wallet), not the signing key's address.
//! v1 (frozen since 2026-09-04) lies at the root, v2 under `/v2`; where both exist prefer v2. Answers are
//! cached by the edge for up to 300 s ([`Data::activity_v2`] shows how to get past that). Lists that come as
//! streams are read row by row: one that cannot be read is an item ([`ApiError::BadRow`]), and the list goes
//! on; whoever needs all rows of a wallet collects with `try_collect`, which ends at it.

mod boards;
mod builders;
mod combos;
mod markets;
mod positions;
mod snapshot;
mod status;
mod trades;
mod users;

use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::gamma::{Filters, get, get_page, read_rows};
use crate::limits::{Group, RateLimits, SignerCost};
use crate::{ApiError, Http, wire};

pub use boards::*;
pub use builders::*;
pub use combos::*;
pub use markets::*;
pub use positions::*;
pub use snapshot::*;
pub use status::*;
pub use trades::*;
pub use users::*;

/// The Data API client. Clones share connections and limits.
#[derive(Clone)]
pub struct Data {
    http: Http,
    base: Arc<str>,
    limits: Arc<RateLimits>,
}

impl core::fmt::Debug for Data {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Data({})", self.base)
    }
}

/// The envelope of v2 lists. Nothing found may be null; an answer without it is no empty list.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(crate) struct Envelope<T> {
    #[serde(deserialize_with = "wire::vec")]
    data: Vec<T>,
    #[serde(default)]
    pagination: Pagination,
}

/// The envelope of v2 objects.
#[derive(Debug, Deserialize)]
pub(crate) struct One<T> {
    data: Option<T>,
}

impl Data {
    /// A client at `base` (no trailing slash).
    pub fn new(http: Http, base: &str, limits: Arc<RateLimits>) -> Data {
        Data { http, base: base.trim_end_matches('/').into(), limits }
    }

    fn cursor<T: DeserializeOwned + Send + 'static>(
        &self,
        list: &'static str,
        group: Group,
        filters: Filters,
    ) -> impl Stream<Item = Result<T, ApiError>> + Send + use<T> {
        let data = self.clone();
        let pages = stream::try_unfold((Some(String::new()), 0), move |(cursor, number)| {
            let (data, mut query) = (data.clone(), filters.clone());
            async move {
                let Some(cursor) = cursor else { return Ok(None) };
                crate::gamma::no_end(list, number)?;
                if !cursor.is_empty() {
                    query.push(("cursor".into(), cursor.clone()));
                }
                let page: Envelope<Box<RawValue>> = data.page(list, group, &query).await?;
                let next = page.pagination.next_cursor;
                if page.pagination.has_more && (next.is_empty() || next == cursor) {
                    return Err(ApiError::Malformed {
                        to: format!("GET {list}"),
                        error: "more rows are promised, but the cursor does not move".into(),
                        excerpt: next,
                    });
                }
                let next = page.pagination.has_more.then_some(next);
                Ok(Some((stream::iter(read_rows(list, page.data)), (next, number + 1))))
            }
        });
        pages.try_flatten().boxed()
    }

    /// An object of v2; `None` where the venue knows none.
    async fn one<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Filters,
    ) -> Result<Option<T>, ApiError> {
        Ok(self.get::<One<T>>(path, Group::Data, &query).await?.data)
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
        if group != Group::Data {
            self.limits.admit(Group::Data, SignerCost::None).await?;
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

/// Where a list goes on.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Pagination {
    /// More rows.
    #[serde(default, deserialize_with = "wire::flag")]
    pub has_more: bool,
    /// Where.
    #[serde(default, deserialize_with = "wire::text")]
    pub next_cursor: String,
}

fn with_user(wallet: &str, filters: Filters) -> Filters {
    let mut query = vec![("user".to_owned(), wallet.to_owned())];
    query.extend(filters);
    query
}

fn csv<T: ToString>(list: &[T]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
