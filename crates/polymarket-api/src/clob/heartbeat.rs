//! The dead-man switch.

use std::time::Duration;

use serde::Deserialize;

use super::Clob;
use super::request::{self, Request};
use crate::error::from_answer;
use crate::transport::HttpAnswer;
use crate::{ApiError, Refusal, wire};

impl Clob {
    /// The dead-man switch. Give the id of the last answer, or `""` to begin; returns the id to send next.
    /// From the first one on, 10 s without another cancel all open orders: send every 5 s, from one place.
    /// A wrong id is mended by adopting the one the venue expects.
    pub async fn heartbeat(&self, id: &str) -> Result<String, ApiError> {
        let mut id = id.to_owned();
        for _ in 0..2 {
            let request = request::heartbeat(&id);
            let answer = self.beat(&request).await?;
            let expected: Option<Heartbeat> = serde_json::from_slice(&answer.body).ok();
            match (answer.ok(), expected) {
                (true, Some(beat)) if !beat.heartbeat_id.is_empty() => return Ok(beat.heartbeat_id),
                (false, Some(beat)) if answer.status == 400 && !beat.heartbeat_id.is_empty() => {
                    tracing::warn!("another heartbeat id was expected; adopting it");
                    id = beat.heartbeat_id;
                }
                // Some deployments acknowledge without an id: the one we sent stays.
                (true, _) => return Ok(id),
                (false, _) => {
                    return Err(from_answer(
                        request.effect,
                        answer.status,
                        answer.retry_after(),
                        &answer.body,
                        &request.what(),
                    ));
                }
            }
        }
        Err(ApiError::Refused {
            why: Refusal::Other,
            text: "the heartbeat id was refused twice: is another process sending heartbeats for this key?".into(),
            order_id: None,
        })
    }

    /// The same switch without ids (`POST /heartbeats`): nothing to keep between two beats, but a second
    /// sender for the same key goes unnoticed. Do not mix the two: UNCERTAIN whether one resets the other.
    pub async fn heartbeat_without_id(&self) -> Result<(), ApiError> {
        let request = request::heartbeat_without_id();
        let answer = self.beat(&request).await?;
        if answer.ok() {
            return Ok(());
        }
        let pause = answer.retry_after();
        Err(from_answer(request.effect, answer.status, pause, &answer.body, &request.what()))
    }

    /// The venue cancels everything after ten seconds: a beat that hangs must leave time for another.
    async fn beat(&self, request: &Request) -> Result<HttpAnswer, ApiError> {
        let answer = tokio::time::timeout(Duration::from_secs(3), self.send(request)).await;
        answer.unwrap_or_else(|_| {
            Err(ApiError::Unreachable(format!("{}: no answer within 3 s", request.what())))
        })
    }
}

/// `POST /v1/heartbeats`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Heartbeat {
    /// To be sent back with the next one.
    #[serde(default, deserialize_with = "wire::text")]
    pub heartbeat_id: String,
    /// Set when the id was wrong: adopt `heartbeat_id` and send again.
    #[serde(default, deserialize_with = "wire::text")]
    pub error: String,
    /// The same under another name.
    #[serde(default, deserialize_with = "wire::text")]
    pub error_msg: String,
}
