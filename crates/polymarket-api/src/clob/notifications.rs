//! Messages of the venue to an account.

use polydesk_domain::Time;
use serde::Deserialize;

use super::{Clob, request};
use crate::ApiError;
use crate::wire;

impl Clob {
    /// Messages of the venue.
    pub async fn notifications(&self) -> Result<Vec<Notification>, ApiError> {
        self.get(request::notifications(self.wallet()?)).await
    }
    /// Dismisses messages.
    pub async fn dismiss_notifications(&self, ids: &[String]) -> Result<(), ApiError> {
        self.get::<serde_json::Value>(request::dismiss_notifications(ids)).await.map(|_| ())
    }
}

/// `GET /notifications`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Notification {
    /// Id, to dismiss it.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// API key.
    #[serde(default, deserialize_with = "wire::text")]
    pub owner: String,
    /// 1 cancel, 2 fill, 3 market registered, 4 resolved, 5 reward, 6 comment.
    #[serde(default, rename = "type", deserialize_with = "wire::opt_int")]
    pub kind: Option<u32>,
    /// When.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// By kind.
    #[serde(default)]
    pub payload: serde_json::Value,
}
