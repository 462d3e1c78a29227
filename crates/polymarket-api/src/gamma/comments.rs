//! Comments on events and series.

use futures_util::Stream;
use polydesk_domain::Time;
use serde::Deserialize;

use super::{Filters, Gamma, path};
use crate::limits::Group;
use crate::{ApiError, wire};

/// What a comment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentsOn {
    /// An event.
    Event,
    /// A series.
    Series,
}

impl CommentsOn {
    fn filters(self, id: &str, more: Filters) -> Filters {
        let kind = match self {
            CommentsOn::Event => "Event",
            CommentsOn::Series => "Series",
        };
        let mut filters = vec![
            ("parent_entity_type".to_owned(), kind.to_owned()),
            ("parent_entity_id".to_owned(), id.to_owned()),
        ];
        filters.extend(more);
        filters
    }
}

impl Gamma {
    /// Comments on an event or series (Gamma's number), page by page as they are read. Without an `order`
    /// (`id` or `createdAt`, with `ascending`) the newest come first.
    pub fn comments(
        &self,
        on: CommentsOn,
        id: &str,
        filters: Filters,
    ) -> impl Stream<Item = Result<Comment, ApiError>> + Send + use<> {
        let mut filters = on.filters(id, filters);
        // The venue's own defaults differ between its two lists; both are sent explicitly.
        if !filters.iter().any(|(key, _)| key == "order") {
            filters.push(("order".into(), "createdAt".into()));
            filters.retain(|(key, _)| key != "ascending");
            filters.push(("ascending".into(), "false".into()));
        }
        self.keyset("/comments/keyset", Group::GammaTags, filters)
    }
    /// One page by offset, for what the list by cursor cannot do: `holders_only`, `get_positions`, other
    /// orders. At most 100 comments that answer none (their answers come along), offsets up to 200.
    pub async fn comments_page(
        &self,
        on: CommentsOn,
        id: &str,
        limit: usize,
        offset: usize,
        filters: Filters,
    ) -> Result<Vec<Comment>, ApiError> {
        let mut query = super::page(limit.min(100), offset);
        query.extend(on.filters(id, filters));
        self.get("/comments", Group::GammaTags, &query).await
    }
    /// A comment and its answers.
    pub async fn comment_thread(&self, id: &str) -> Result<Vec<Comment>, ApiError> {
        self.get(&path("/comments/", id), Group::GammaTags, &[]).await
    }
    /// What a wallet wrote, at most 100 at a time.
    pub async fn comments_of(
        &self,
        wallet: &str,
        limit: usize,
        offset: usize,
    ) -> Result<Vec<Comment>, ApiError> {
        let query = super::page(limit.min(100), offset);
        self.get(&path("/comments/user_address/", wallet), Group::GammaTags, &query).await
    }
}

/// A comment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Comment {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Its text. Untrusted: show it, never interpret it.
    #[serde(default, deserialize_with = "wire::text")]
    pub body: String,
    /// `Event` or `Series`.
    #[serde(default, rename = "parentEntityType", deserialize_with = "wire::text")]
    pub parent_entity_type: String,
    /// Gamma's number of it.
    #[serde(default, rename = "parentEntityID", deserialize_with = "wire::text")]
    pub parent_entity_id: String,
    /// The comment it answers; empty for none.
    #[serde(default, rename = "parentCommentID", deserialize_with = "wire::text")]
    pub parent_comment_id: String,
    /// Who wrote it.
    #[serde(default, rename = "userAddress", deserialize_with = "wire::text")]
    pub user_address: String,
    /// Whom it answers.
    #[serde(default, rename = "replyAddress", deserialize_with = "wire::text")]
    pub reply_address: String,
    /// Written.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Changed.
    #[serde(default, rename = "updatedAt", deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
    /// Its writer, as shown.
    #[serde(default)]
    pub profile: Option<CommentProfile>,
    /// Who liked it.
    #[serde(default, deserialize_with = "wire::vec")]
    pub reactions: Vec<Reaction>,
    /// Pictures.
    #[serde(default, deserialize_with = "wire::vec")]
    pub media: Vec<CommentMedia>,
    /// How often it was reported.
    #[serde(default, rename = "reportCount", deserialize_with = "wire::opt_int")]
    pub report_count: Option<i64>,
    /// How many reactions.
    #[serde(default, rename = "reactionCount", deserialize_with = "wire::opt_int")]
    pub reaction_count: Option<i64>,
    /// The token its writer traded with it, if any.
    #[serde(default, rename = "tradeAsset", deserialize_with = "wire::text")]
    pub trade_asset: String,
}

/// The writer of a comment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct CommentProfile {
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Pseudonym.
    #[serde(default, deserialize_with = "wire::text")]
    pub pseudonym: String,
    /// Shown.
    #[serde(default, rename = "displayUsernamePublic", deserialize_with = "wire::flag")]
    pub display_username_public: bool,
    /// About.
    #[serde(default, deserialize_with = "wire::text")]
    pub bio: String,
    /// Keeps order.
    #[serde(default, rename = "isMod", deserialize_with = "wire::flag")]
    pub is_mod: bool,
    /// Makes markets.
    #[serde(default, rename = "isCreator", deserialize_with = "wire::flag")]
    pub is_creator: bool,
    /// The wallet that holds the funds.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// The key's address.
    #[serde(default, rename = "baseAddress", deserialize_with = "wire::text")]
    pub base_address: String,
    /// Picture.
    #[serde(default, rename = "profileImage", deserialize_with = "wire::text")]
    pub profile_image: String,
    /// What the writer holds, where asked for (`get_positions`).
    #[serde(default, deserialize_with = "wire::vec")]
    pub positions: Vec<CommentPosition>,
}

/// A position of a comment's writer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct CommentPosition {
    /// Token id.
    #[serde(default, rename = "tokenId", deserialize_with = "wire::text")]
    pub token_id: String,
    /// UNCERTAIN: millionths of a share (the official client knows an integer and no unit); as sent.
    #[serde(default, rename = "positionSize", deserialize_with = "wire::text")]
    pub position_size: String,
}

/// A reaction to a comment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Reaction {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// The comment.
    #[serde(default, rename = "commentID", deserialize_with = "wire::text")]
    pub comment_id: String,
    /// Which.
    #[serde(default, rename = "reactionType", deserialize_with = "wire::text")]
    pub reaction_type: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Whose.
    #[serde(default, rename = "userAddress", deserialize_with = "wire::text")]
    pub user_address: String,
    /// When.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Whose, as shown.
    #[serde(default)]
    pub profile: Option<CommentProfile>,
}

/// A picture of a comment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct CommentMedia {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// The comment.
    #[serde(default, rename = "commentID", deserialize_with = "wire::text")]
    pub comment_id: String,
    /// Who keeps it.
    #[serde(default, deserialize_with = "wire::text")]
    pub provider: String,
    /// Under which id.
    #[serde(default, rename = "providerMediaId", deserialize_with = "wire::text")]
    pub provider_media_id: String,
    /// Where.
    #[serde(default, deserialize_with = "wire::text")]
    pub url: String,
    /// Which kind.
    #[serde(default, rename = "mediaType", deserialize_with = "wire::text")]
    pub media_type: String,
    /// In words.
    #[serde(default, rename = "altText", deserialize_with = "wire::text")]
    pub alt_text: String,
    /// Added.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
}
