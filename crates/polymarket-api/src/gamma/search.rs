//! Search over everything, and public profiles.

use polydesk_domain::Time;
use serde::Deserialize;

use super::{Filters, Gamma, GammaEvent};
use crate::limits::Group;
use crate::{ApiError, wire};

impl Gamma {
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
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Search {
    /// Events.
    #[serde(default, deserialize_with = "wire::vec")]
    pub events: Vec<GammaEvent>,
    /// Tags.
    #[serde(default, deserialize_with = "wire::vec")]
    pub tags: Vec<SearchTag>,
    /// Profiles.
    #[serde(default, deserialize_with = "wire::vec")]
    pub profiles: Vec<Profile>,
    /// How much there is.
    #[serde(default)]
    pub pagination: SearchPagination,
}

/// A tag of a search.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct SearchTag {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub label: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Events.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub event_count: Option<i64>,
}

/// How much a search found.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct SearchPagination {
    /// More pages.
    #[serde(default, rename = "hasMore", deserialize_with = "wire::flag")]
    pub has_more: bool,
    /// Rows in all.
    #[serde(default, rename = "totalResults", deserialize_with = "wire::opt_int")]
    pub total_results: Option<i64>,
}

/// A public profile.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Profile {
    /// Wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Pseudonym.
    #[serde(default, deserialize_with = "wire::text")]
    pub pseudonym: String,
    /// About.
    #[serde(default, deserialize_with = "wire::text")]
    pub bio: String,
    /// Picture.
    #[serde(default, rename = "profileImage", deserialize_with = "wire::text")]
    pub profile_image: String,
    /// X.
    #[serde(default, rename = "xUsername", deserialize_with = "wire::text")]
    pub x_username: String,
    /// Shown.
    #[serde(default, rename = "displayUsernamePublic", deserialize_with = "wire::flag")]
    pub display_username_public: bool,
    /// Verified.
    #[serde(default, rename = "verifiedBadge", deserialize_with = "wire::flag")]
    pub verified_badge: bool,
    /// Created.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
}
