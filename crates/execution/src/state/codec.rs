//! How entries become bytes that mean the same in every process: JSON with named fields, markets and
//! tokens by the venue's ids.

use polydesk_domain::{ConditionId, MarketKey, Token, TokenId, Universe};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One entry of the state as bytes: what a journal keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The table.
    pub table: &'static str,
    /// JSON of the key.
    pub key: Vec<u8>,
    /// JSON of the value; `None`: the entry is gone.
    pub value: Option<Vec<u8>>,
}

/// Why an entry was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A table that this program does not have.
    #[error("table {0:?} is unknown to this program")]
    Table(String),
    /// Bytes that are not what the table holds.
    #[error("table {table}, key {key}: {detail}")]
    Entry {
        /// The table.
        table: &'static str,
        /// The key as it was read.
        key: String,
        /// What is wrong.
        detail: String,
    },
}

/// Something with a form by the venue's ids.
pub(crate) trait Venue: Sized {
    /// That form.
    type Doc: Serialize + DeserializeOwned;
    /// Into that form.
    fn doc(&self, ids: &Universe) -> Self::Doc;
    /// Back; the error names the id that is not listed.
    fn read(doc: Self::Doc, ids: &Universe) -> Result<Self, String>;
}

/// Types that name no market and no token are their own form.
macro_rules! plain {
    ($($name:ty),* $(,)?) => {$(
        impl Venue for $name {
            type Doc = $name;
            fn doc(&self, _: &polydesk_domain::Universe) -> $name {
                self.clone()
            }
            fn read(doc: $name, _: &polydesk_domain::Universe) -> Result<$name, String> {
                Ok(doc)
            }
        }
    )*};
}
pub(crate) use plain;

plain!((), String, i64, u64, Vec<u8>);

impl Venue for Token {
    type Doc = TokenId;
    fn doc(&self, ids: &Universe) -> TokenId {
        ids.token_id(*self)
    }
    fn read(doc: TokenId, ids: &Universe) -> Result<Token, String> {
        ids.token(&doc).ok_or_else(|| format!("token {doc} is not listed"))
    }
}

impl Venue for MarketKey {
    type Doc = ConditionId;
    fn doc(&self, ids: &Universe) -> ConditionId {
        ids.market(*self).condition
    }
    fn read(doc: ConditionId, ids: &Universe) -> Result<MarketKey, String> {
        ids.key(&doc).ok_or_else(|| format!("market {doc} is not listed"))
    }
}

impl<A: Venue, B: Venue> Venue for (A, B) {
    type Doc = (A::Doc, B::Doc);
    fn doc(&self, ids: &Universe) -> Self::Doc {
        (self.0.doc(ids), self.1.doc(ids))
    }
    fn read(doc: Self::Doc, ids: &Universe) -> Result<(A, B), String> {
        Ok((A::read(doc.0, ids)?, B::read(doc.1, ids)?))
    }
}

/// The bytes of something in the venue's form.
pub(crate) fn bytes<V: Venue>(value: &V, ids: &Universe) -> Vec<u8> {
    // Documents have text keys and finite numbers only: this cannot fail, and an empty value would be
    // refused when it is read.
    serde_json::to_vec(&value.doc(ids)).unwrap_or_default()
}

/// Reads what [`bytes`] wrote.
pub(crate) fn value<V: Venue>(bytes: &[u8], ids: &Universe) -> Result<V, String> {
    let doc = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    V::read(doc, ids)
}
