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
    /// Where the venue expects another id, that one is adopted and sent; [`Beat::adopted`] reports it.
    pub async fn heartbeat(&self, id: &str) -> Result<Beat, ApiError> {
        let mut id = id.to_owned();
        let mut adopted = false;
        for _ in 0..2 {
            let request = request::heartbeat(&id);
            let answer = self.beat(&request).await?;
            let expected = Heartbeat::read(&answer);
            match (answer.ok(), expected) {
                // Refused is refused, whatever the status.
                (ok, Some(beat))
                    if (ok || answer.status == 400)
                        && (!ok || beat.refused())
                        && !beat.heartbeat_id.is_empty() =>
                {
                    tracing::warn!("another heartbeat id was expected; adopting it");
                    (id, adopted) = (beat.heartbeat_id, true);
                }
                (true, Some(beat)) if !beat.refused() => {
                    // Some deployments acknowledge without an id: the one we sent stays.
                    let none = beat.heartbeat_id.is_empty();
                    let next = if none { id } else { beat.heartbeat_id };
                    return Ok(Beat { next, adopted });
                }
                // A page or words instead of an answer are no beat: the venue would cancel everything.
                (true, _) => return Err(no_beat(&request, &answer)),
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
            // Nothing, "OK" or an object without an error.
            let words: Result<serde_json::Value, _> = serde_json::from_slice(&answer.body);
            return match words {
                Ok(serde_json::Value::Object(_)) => match Heartbeat::read(&answer) {
                    Some(beat) if !beat.refused() => Ok(()),
                    _ => Err(no_beat(&request, &answer)),
                },
                Ok(serde_json::Value::String(_) | serde_json::Value::Null) => Ok(()),
                Err(_) if answer.body.is_empty() => Ok(()),
                _ => Err(no_beat(&request, &answer)),
            };
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

fn no_beat(request: &Request, answer: &HttpAnswer) -> ApiError {
    let excerpt = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]);
    super::malformed(&request.what(), "it does not acknowledge the heartbeat", &excerpt)
}

impl Heartbeat {
    /// An object; a list would pass for one without fields.
    fn read(answer: &HttpAnswer) -> Option<Heartbeat> {
        let object = answer.body.trim_ascii_start().starts_with(b"{");
        object.then(|| serde_json::from_slice(&answer.body).ok()).flatten()
    }
    fn refused(&self) -> bool {
        !self.error.is_empty() || !self.error_msg.is_empty()
    }
}

/// An acknowledged heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The id to send with the next one.
    pub next: String,
    /// The venue expected another id than the one that was given: its answer to an earlier one was lost, it has changed
    /// the id, or another program sends heartbeats for the account.
    pub adopted: bool,
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
