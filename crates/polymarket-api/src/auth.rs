//! API credentials, and the HMAC ("L2") that goes with every private request.
//!
//! L1, the wallet's signature that makes or finds the credentials, needs a key and lives in
//! [`signing`](crate::signing).

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use crate::transport::sensitive;
use crate::{ApiError, Secret};

/// What `POST /auth/api-key` gives: needed for every private request, worth no money by itself but
/// able to cancel.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Credentials {
    /// A uuid. Also the `owner` of orders.
    #[serde(rename = "apiKey", alias = "key", alias = "api_key")]
    pub key: String,
    /// Base64 of the HMAC key.
    pub secret: Secret,
    /// Sent along in a header.
    pub passphrase: Secret,
}

/// Why credentials are unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The secret must be base64 (standard or url-safe, padded or not).
    #[error("the API secret is not base64; copy it again from where it was created")]
    Secret,
    /// The key must be a uuid: it is written into order bodies unescaped.
    #[error(
        "the API key is not a uuid (8-4-4-4-12 hex digits); copy it again from where it was created"
    )]
    Key,
    /// Header values are visible ASCII.
    #[error("the API passphrase has characters that no HTTP header can carry")]
    Passphrase,
}

/// Makes the headers of private requests. The key schedule of the HMAC is computed once.
#[derive(Clone)]
pub struct L2Auth {
    address: String,
    credentials: Credentials,
    keyed: Hmac<Sha256>,
    /// Address and key as headers carry them.
    constant: Option<[HeaderValue; 2]>,
}

static POLY_ADDRESS: HeaderName = HeaderName::from_static("poly_address");
static POLY_SIGNATURE: HeaderName = HeaderName::from_static("poly_signature");
static POLY_TIMESTAMP: HeaderName = HeaderName::from_static("poly_timestamp");
static POLY_API_KEY: HeaderName = HeaderName::from_static("poly_api_key");
static POLY_PASSPHRASE: HeaderName = HeaderName::from_static("poly_passphrase");
static BUILDER_SIGNATURE: HeaderName = HeaderName::from_static("poly_builder_signature");
static BUILDER_TIMESTAMP: HeaderName = HeaderName::from_static("poly_builder_timestamp");
static BUILDER_API_KEY: HeaderName = HeaderName::from_static("poly_builder_api_key");
static BUILDER_PASSPHRASE: HeaderName = HeaderName::from_static("poly_builder_passphrase");

impl fmt::Debug for L2Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("L2Auth").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The five headers of a private request, in the order of the official clients.
#[derive(Clone)]
pub struct L2Headers {
    /// `POLY_ADDRESS`: the **signing** address, whatever the wallet type.
    pub address: String,
    /// `POLY_SIGNATURE`: url-safe base64 with padding.
    pub signature: String,
    /// `POLY_TIMESTAMP`: Unix seconds.
    pub timestamp: String,
    /// `POLY_API_KEY`.
    pub api_key: String,
    /// `POLY_PASSPHRASE`.
    pub passphrase: Secret,
}

impl L2Auth {
    /// `address` is the signing address (EOA, or session key), not the wallet that holds the funds.
    pub fn new(
        address: impl Into<String>,
        credentials: Credentials,
    ) -> Result<L2Auth, CredentialsError> {
        if !is_uuid(&credentials.key) {
            return Err(CredentialsError::Key);
        }
        if !credentials.passphrase.expose().bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(CredentialsError::Passphrase);
        }
        let key = decode_secret(credentials.secret.expose())?;
        let keyed = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| CredentialsError::Secret)?;
        let address = address.into();
        let constant = match (sensitive(&address), sensitive(&credentials.key)) {
            (Ok(address), Ok(key)) => Some([address, key]),
            _ => None,
        };
        Ok(L2Auth { address, credentials, keyed, constant })
    }

    /// The signing address.
    pub fn address(&self) -> &str {
        &self.address
    }
    /// The API key, which is also the `owner` of orders.
    pub fn owner(&self) -> &str {
        &self.credentials.key
    }
    /// The credentials, for the first frame of the user socket.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// `POLY_SIGNATURE` over `timestamp ‖ METHOD ‖ path ‖ body`: the path without its query, the body
    /// exactly as sent. Some official clients turn `'` into `"` before signing; the venue does not.
    pub fn sign(&self, timestamp: u64, method: &str, path: &str, body: &[u8]) -> String {
        URL_SAFE.encode(self.mac(decimal(timestamp, &mut [0; 20]), method, path, body))
    }

    fn mac(&self, timestamp: &[u8], method: &str, path: &str, body: &[u8]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(timestamp);
        mac.update(method.as_bytes());
        mac.update(path.as_bytes());
        mac.update(body);
        mac.finalize().into_bytes().into()
    }

    /// All headers of a request at `timestamp` (Unix seconds by the server's clock).
    pub fn headers(&self, timestamp: u64, method: &str, path: &str, body: &[u8]) -> L2Headers {
        L2Headers {
            address: self.address.clone(),
            signature: self.sign(timestamp, method, path, body),
            timestamp: timestamp.to_string(),
            api_key: self.credentials.key.clone(),
            passphrase: self.credentials.passphrase.clone(),
        }
    }
}

impl L2Auth {
    /// The same headers as they are sent, all of them marked sensitive. What does not change from one
    /// request to the next was made once.
    pub fn header_map(
        &self,
        timestamp: u64,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<HeaderMap, ApiError> {
        let Some([address, key]) = &self.constant else {
            return Err(ApiError::Misconfigured(
                "the signing address has characters no header can carry".into(),
            ));
        };
        let mut digits = [0; 20];
        let timestamp = decimal(timestamp, &mut digits);
        let mut signature = [0; 44];
        // 32 bytes are 44 characters.
        let _ = URL_SAFE.encode_slice(self.mac(timestamp, method, path, body), &mut signature);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(&POLY_ADDRESS, address.clone());
        headers.insert(&POLY_SIGNATURE, bytes(&signature)?);
        headers.insert(&POLY_TIMESTAMP, bytes(timestamp)?);
        headers.insert(&POLY_API_KEY, key.clone());
        headers.insert(&POLY_PASSPHRASE, sensitive(self.credentials.passphrase.expose())?);
        Ok(headers)
    }

    /// The headers of a builder key: the same HMAC under other names, without an address.
    pub(crate) fn builder_header_map(
        &self,
        timestamp: u64,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<HeaderMap, ApiError> {
        let mut digits = [0; 20];
        let signature = self.sign(timestamp, method, path, body);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(&BUILDER_API_KEY, sensitive(&self.credentials.key)?);
        headers.insert(&BUILDER_PASSPHRASE, sensitive(self.credentials.passphrase.expose())?);
        headers.insert(&BUILDER_SIGNATURE, sensitive(&signature)?);
        headers.insert(&BUILDER_TIMESTAMP, bytes(decimal(timestamp, &mut digits))?);
        Ok(headers)
    }
}

fn bytes(value: &[u8]) -> Result<HeaderValue, ApiError> {
    core::str::from_utf8(value)
        .map_err(|_| ApiError::Misconfigured("a header is not text".into()))
        .and_then(sensitive)
}

impl L2Headers {
    /// Names and values as sent.
    pub fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("POLY_ADDRESS", &self.address),
            ("POLY_SIGNATURE", &self.signature),
            ("POLY_TIMESTAMP", &self.timestamp),
            ("POLY_API_KEY", &self.api_key),
            ("POLY_PASSPHRASE", self.passphrase.expose()),
        ]
    }
}

/// Accepts both alphabets, with and without padding, as the venue's clients do between them.
fn decode_secret(text: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, CredentialsError> {
    let plain: zeroize::Zeroizing<String> = zeroize::Zeroizing::new(
        text.trim()
            .trim_end_matches('=')
            .chars()
            .map(|c| match c {
                '+' => '-',
                '/' => '_',
                other => other,
            })
            .collect(),
    );
    URL_SAFE_NO_PAD
        .decode(plain.as_bytes())
        .map(zeroize::Zeroizing::new)
        .map_err(|_| CredentialsError::Secret)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Headers of `POST /auth/api-key` and `GET /auth/derive-api-key`.
#[derive(Clone, PartialEq, Eq)]
pub struct L1Headers {
    /// `POLY_ADDRESS`, checksummed.
    pub address: String,
    /// `POLY_SIGNATURE`: plain ECDSA, never wrapped, not even for deposit wallets.
    pub signature: String,
    /// `POLY_TIMESTAMP`: Unix seconds.
    pub timestamp: String,
    /// `POLY_NONCE`: another nonce gives other credentials.
    pub nonce: String,
}

impl core::fmt::Debug for L1Headers {
    /// A fresh signature is as good as the credentials it fetches.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "L1Headers({}, signature hidden)", self.address)
    }
}

impl L1Headers {
    /// Names and values as sent.
    pub fn pairs(&self) -> [(&'static str, &str); 4] {
        [
            ("POLY_ADDRESS", &self.address),
            ("POLY_SIGNATURE", &self.signature),
            ("POLY_TIMESTAMP", &self.timestamp),
            ("POLY_NONCE", &self.nonce),
        ]
    }
}

/// Decimal digits of a number, without the heap.
pub fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}
