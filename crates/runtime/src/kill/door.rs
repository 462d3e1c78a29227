//! Kill and lift over HTTP: on TCP a kill needs the token, on the owner's socket it needs nothing. A lift is served on
//! the socket only, and needs its phrase and a reason.

use std::future::Future;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use polydesk_polymarket_api::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::lift::PHRASE;
use super::switch::Via;
use super::thread::Killer;

/// How long a kill waits for the text that may come with it. As a rule it is there with the head.
const WHY: Duration = Duration::from_millis(5);
/// The path of a kill.
pub const KILL: &str = "/v1/kill";
/// The path of a lift.
pub const UNKILL: &str = "/v1/unkill";
/// The fewest characters of a token.
pub const SHORTEST_TOKEN: usize = 32;

/// A token that anybody could guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the token for POST {KILL} has {0} characters, at least {SHORTEST_TOKEN} are needed: take the output of `openssl rand -hex 32`"
)]
pub struct ShortToken(usize);

/// What serves both paths.
pub struct KillDoor {
    killer: Killer,
    token: Option<Secret>,
}

impl std::fmt::Debug for KillDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KillDoor")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lift {
    why: String,
    phrase: String,
    by: Option<String>,
}

impl KillDoor {
    /// Without a token a kill is served on the socket only.
    ///
    /// # Errors
    /// The token is too short.
    pub fn new(killer: Killer, token: Option<Secret>) -> Result<KillDoor, ShortToken> {
        match token.as_ref().map(|token| token.expose().len()) {
            Some(length) if length < SHORTEST_TOKEN => Err(ShortToken(length)),
            _ => Ok(KillDoor { killer, token }),
        }
    }

    /// Answers a POST; `None`: another path. `owner`: it came through the socket. A kill does not wait for a body that
    /// does not come.
    pub async fn answer(
        &self,
        owner: bool,
        path: &str,
        headers: &HeaderMap,
        body: impl Future<Output = Option<Vec<u8>>>,
    ) -> Option<(u16, Value)> {
        Some(match (path, owner) {
            (KILL, true) => self.kill(Via::Socket, body).await,
            (KILL, false) if self.knows(headers) => self.kill(Via::Http, body).await,
            (KILL, false) => (401, json!({ "error": self.token_missing() })),
            (UNKILL, true) => self.lift(body.await.unwrap_or_default()).await,
            _ => return None,
        })
    }

    fn token_missing(&self) -> &'static str {
        match self.token {
            Some(_) => "the header Authorization must be `Bearer` and the token",
            None => "no token is configured: kill through the socket, `desk kill` or SIGUSR1",
        }
    }

    /// Compares without telling by its time how much was right.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return false };
        let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
        let right = token.expose().as_bytes();
        let differs = right.iter().zip(given).fold(0, |all, (one, other)| all | (one ^ other));
        given.len() == right.len() && differs == 0
    }

    async fn kill(&self, via: Via, body: impl Future<Output = Option<Vec<u8>>>) -> (u16, Value) {
        let text = timeout(WHY, body).await.ok().flatten().unwrap_or_default();
        self.killer.kill("http", via, &String::from_utf8_lossy(&text));
        let latched = self.killer.acknowledged().await;
        let status = if latched.holds() { 200 } else { 202 };
        (status, json!({ "killed": true, "latched": latched.holds(), "text": latched.to_string() }))
    }

    async fn lift(&self, body: Vec<u8>) -> (u16, Value) {
        let Ok(lift) = serde_json::from_slice::<Lift>(&body) else {
            let text = "the body must be an object with why and phrase";
            return (400, json!({ "error": text }));
        };
        if lift.phrase != PHRASE {
            return (400, json!({ "error": format!("the phrase must be {PHRASE:?}") }));
        }
        match self.killer.unkill(lift.by.as_deref().unwrap_or("socket"), &lift.why).await {
            Ok(()) => (200, json!({ "killed": false, "paused": true })),
            Err(error) => (409, json!({ "error": error.to_string() })),
        }
    }
}
