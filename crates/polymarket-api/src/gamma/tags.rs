//! Tags of Gamma, and which belong together.

use polydesk_domain::Time;
use serde::Deserialize;

use super::{Filters, Gamma, page, path};
use crate::limits::Group;
use crate::{ApiError, wire};

impl Gamma {
    /// Tags, at most 100 at a time.
    pub async fn tags(&self, limit: usize, offset: usize) -> Result<Vec<Tag>, ApiError> {
        self.get("/tags", Group::GammaTags, &page(limit.min(100), offset)).await
    }
    /// One tag by slug.
    pub async fn tag_by_slug(&self, slug: &str) -> Result<Tag, ApiError> {
        self.get(&path("/tags/slug/", slug), Group::GammaTags, &[]).await
    }
    /// Tags of a market.
    pub async fn market_tags(&self, id: &str) -> Result<Vec<Tag>, ApiError> {
        self.get(&(path("/markets/", id) + "/tags"), Group::GammaMarkets, &[]).await
    }
    /// Tags of an event.
    pub async fn event_tags(&self, id: &str) -> Result<Vec<Tag>, ApiError> {
        self.get(&(path("/events/", id) + "/tags"), Group::GammaEvents, &[]).await
    }
    /// One tag by Gamma's number.
    pub async fn tag(&self, id: &str) -> Result<Tag, ApiError> {
        self.get(&path("/tags/", id), Group::GammaTags, &[]).await
    }
    /// Links from a tag to others, by Gamma's number (`omit_empty`, `status` active, closed or all).
    pub async fn related_tags(
        &self,
        id: &str,
        filters: Filters,
    ) -> Result<Vec<RelatedTag>, ApiError> {
        self.get(&(path("/tags/", id) + "/related-tags"), Group::GammaTags, &filters).await
    }
    /// Links from a tag to others, by slug.
    pub async fn related_tags_by_slug(&self, slug: &str) -> Result<Vec<RelatedTag>, ApiError> {
        self.get(&(path("/tags/slug/", slug) + "/related-tags"), Group::GammaTags, &[]).await
    }
    /// The tags those links lead to, by Gamma's number (the same filters).
    pub async fn tags_related_to(&self, id: &str, filters: Filters) -> Result<Vec<Tag>, ApiError> {
        self.get(&(path("/tags/", id) + "/related-tags/tags"), Group::GammaTags, &filters).await
    }
    /// The tags those links lead to, by slug.
    pub async fn tags_related_to_slug(
        &self,
        slug: &str,
        filters: Filters,
    ) -> Result<Vec<Tag>, ApiError> {
        self.get(&(path("/tags/slug/", slug) + "/related-tags/tags"), Group::GammaTags, &filters)
            .await
    }
}

/// A tag.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Tag {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub label: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Always shown.
    #[serde(default, rename = "forceShow", deserialize_with = "wire::flag")]
    pub force_show: bool,
    /// Never shown.
    #[serde(default, rename = "forceHide", deserialize_with = "wire::flag")]
    pub force_hide: bool,
    /// Published.
    #[serde(default, rename = "publishedAt", deserialize_with = "wire::opt_time")]
    pub published_at: Option<Time>,
    /// Created.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Changed.
    #[serde(default, rename = "updatedAt", deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
}

/// A link from one tag to another.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct RelatedTag {
    /// Id of the link.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// From this tag (text or number on the wire).
    #[serde(default, rename = "tagID", deserialize_with = "wire::text")]
    pub tag_id: String,
    /// To this one.
    #[serde(default, rename = "relatedTagID", deserialize_with = "wire::text")]
    pub related_tag_id: String,
    /// How close, the closest first.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank: Option<i64>,
}
