//! API keys: making, finding, listing and deleting them, and what the venue lets their account do.

use polydesk_domain::Time;
use serde::{Deserialize, Deserializer};

use super::request::{self, Request};
use super::{Clob, malformed};
use crate::error::{Effect, from_answer};
use crate::transport::HttpAnswer;
use crate::transport::sensitive_headers;
use crate::wire;
use crate::{ApiError, Credentials, L1Headers, L2Auth};

impl Clob {
    /// The API keys of the account.
    pub async fn api_keys(&self) -> Result<Vec<String>, ApiError> {
        Ok(self.get::<ApiKeysAnswer>(request::api_keys()).await?.keys)
    }
    /// Deletes the calling key.
    pub async fn delete_api_key(&self) -> Result<(), ApiError> {
        self.get::<serde_json::Value>(request::delete_api_key()).await.map(|_| ())
    }
    /// Makes a key that can only read.
    pub async fn create_readonly_key(&self) -> Result<String, ApiError> {
        let request = request::create_readonly_key();
        let answer = self.send(&request).await?;
        Ok(read_secret::<ReadonlyKeyAnswer>(answer, &request)?.key)
    }
    /// The keys that can only read.
    pub async fn readonly_keys(&self) -> Result<Vec<String>, ApiError> {
        Ok(self.get::<ReadonlyKeysAnswer>(request::readonly_keys()).await?.keys)
    }
    /// Deletes a key that can only read.
    pub async fn delete_readonly_key(&self, key: &str) -> Result<(), ApiError> {
        self.get::<serde_json::Value>(request::delete_readonly_key(key)).await.map(|_| ())
    }
    /// Makes a key for a builder's relayed transactions (`POLY_BUILDER_*` headers). Orders need none: they
    /// carry the builder's code. The secret is shown only once.
    pub async fn create_builder_key(&self) -> Result<Credentials, ApiError> {
        let request = request::create_builder_key();
        let answer = self.send(&request).await?;
        read_credentials(answer, &request)
    }
    /// The account's builder keys, revoked ones too.
    pub async fn builder_keys(&self) -> Result<Vec<BuilderKey>, ApiError> {
        // None may be null.
        let keys: Option<Vec<BuilderKey>> = self.get(request::builder_keys()).await?;
        Ok(keys.unwrap_or_default())
    }
    /// Revokes a builder key, signed by that key itself, as the official Python client does since 2026.
    pub async fn delete_builder_key(&self, key: &Credentials) -> Result<(), ApiError> {
        let request = request::delete_builder_key();
        // The address is no part of a builder's headers.
        let auth = L2Auth::new("", key.clone())
            .map_err(|error| ApiError::Misconfigured(format!("the builder key: {error}")))?;
        self.limits.admit(request.group, request.cost).await?;
        let (method, now) = (request.method.as_str(), self.clock.secs());
        let headers = auth.builder_header_map(now, method, &request.path, b"")?;
        accepted(self.send_signed(&request, headers, Vec::new()).await?, &request)
    }
    /// Revokes the account's builder key, signed by the account, as older official clients do. UNCERTAIN
    /// which keys go when there are several: name the key with [`delete_builder_key`](Self::delete_builder_key)
    /// where its secret is known.
    pub async fn delete_builder_key_of_account(&self) -> Result<(), ApiError> {
        let request = request::delete_builder_key_of_account();
        accepted(self.send(&request).await?, &request)
    }
    /// The session keys that may sign for the account's deposit wallet. Only the owner's key sees them.
    pub async fn session_signers(&self) -> Result<SessionSigners, ApiError> {
        self.get(request::session_signers()).await
    }
    /// Whether the account may only reduce. No record means no restriction.
    pub async fn closed_only(&self) -> Result<bool, ApiError> {
        match self.get::<ClosedOnlyAnswer>(request::closed_only()).await {
            Ok(answer) => Ok(answer.closed_only),
            Err(ApiError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Clob {
    /// Makes API credentials for the wallet that signed. Refused when there are some already.
    pub async fn create_api_key(&self, signed: &L1Headers) -> Result<Credentials, ApiError> {
        self.l1(request::create_api_key(), signed).await
    }
    /// The credentials that the wallet made before.
    pub async fn derive_api_key(&self, signed: &L1Headers) -> Result<Credentials, ApiError> {
        self.l1(request::derive_api_key(), signed).await
    }

    async fn l1(&self, request: Request, signed: &L1Headers) -> Result<Credentials, ApiError> {
        self.limits.admit(request.group, request.cost).await?;
        let headers = sensitive_headers(signed.pairs())?;
        let answer = self.send_signed(&request, headers, Vec::new()).await?;
        read_credentials(answer, &request)
    }
}

fn refused(answer: &HttpAnswer, request: &Request) -> ApiError {
    let pause = answer.retry_after();
    from_answer(request.effect, answer.status, pause, &answer.body, &request.what())
}

/// An answer of which only the status matters: `"OK"` from some deployments, null or nothing from others.
fn accepted(answer: HttpAnswer, request: &Request) -> Result<(), ApiError> {
    if answer.ok() { Ok(()) } else { Err(refused(&answer, request)) }
}

fn read_credentials(answer: HttpAnswer, request: &Request) -> Result<Credentials, ApiError> {
    read_secret(answer, request)
}

/// Credentials are never quoted in an error.
fn read_secret<T: serde::de::DeserializeOwned>(
    answer: HttpAnswer,
    request: &Request,
) -> Result<T, ApiError> {
    if !answer.ok() {
        return Err(refused(&answer, request));
    }
    let mut body = answer.body;
    let read = simd_json::serde::from_slice(&mut body);
    zeroize::Zeroize::zeroize(&mut body);
    read.map_err(|_| match request.effect {
        Effect::Once => ApiError::Unknown(format!("{}: no credentials", request.what())),
        _ => malformed(&request.what(), "no API credentials", ""),
    })
}

/// A builder key without its secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuilderKey {
    /// A uuid.
    pub key: String,
    /// Created.
    pub created_at: Option<Time>,
    /// Revoked; an active key has none.
    pub revoked_at: Option<Time>,
}

/// Some deployments list bare ids.
impl<'de> Deserialize<'de> for BuilderKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<BuilderKey, D::Error> {
        #[derive(Deserialize)]
        struct Full {
            #[serde(deserialize_with = "wire::text")]
            key: String,
            #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
            created_at: Option<Time>,
            #[serde(default, rename = "revokedAt", deserialize_with = "wire::opt_time")]
            revoked_at: Option<Time>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Row {
            Full(Full),
            Bare(String),
        }
        Ok(match Row::deserialize(from)? {
            Row::Full(Full { key, created_at, revoked_at }) => {
                BuilderKey { key, created_at, revoked_at }
            }
            Row::Bare(key) => BuilderKey { key, ..BuilderKey::default() },
        })
    }
}

/// `GET /v1/user/session-signers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SessionSigners {
    /// The deposit wallet they sign for.
    #[serde(default, deserialize_with = "wire::text")]
    pub wallet: String,
    /// The session keys. An answer without them is no empty list.
    pub signers: Vec<SessionSigner>,
}

/// A session key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SessionSigner {
    /// Its address.
    #[serde(deserialize_with = "wire::text")]
    pub address: String,
    /// `ALL`, `CLOB`, `COMBOSRFQ`, or words of later.
    #[serde(default, deserialize_with = "wire::vec")]
    pub scopes: Vec<String>,
    /// Until when (Unix seconds on the wire).
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub valid_until: Option<Time>,
}

/// `GET /auth/ban-status/closed-only`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ClosedOnlyAnswer {
    pub closed_only: bool,
}

/// `GET /auth/api-keys`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ApiKeysAnswer {
    #[serde(rename = "apiKeys", default, deserialize_with = "wire::vec")]
    pub keys: Vec<String>,
}

/// `GET /auth/readonly-api-keys`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReadonlyKeysAnswer {
    #[serde(rename = "readonlyApiKeys", default, deserialize_with = "wire::vec")]
    pub keys: Vec<String>,
}

/// `POST /auth/readonly-api-key`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReadonlyKeyAnswer {
    #[serde(rename = "apiKey")]
    pub key: String,
}
