//! Whether this address may trade at all: asked of the web site, not of the CLOB.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use crate::error::Effect;
use crate::transport::HttpRequest;
use crate::{ApiError, Http, wire};

/// Whether this address may trade at all (`Endpoints::geoblock`): asked at start and every hour.
pub async fn geoblock(http: &Http, url: &str) -> Result<Geoblock, ApiError> {
    http.json(HttpRequest {
        method: http::Method::GET,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        effect: Effect::Read,
        what: "GET geoblock".into(),
        gzip: false,
    })
    .await
}

/// `GET https://polymarket.com/api/geoblock`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Geoblock {
    /// Whether this address may not trade.
    pub blocked: bool,
    /// The address as the venue sees it.
    #[serde(default, deserialize_with = "wire::text")]
    pub ip: String,
    /// ISO code.
    #[serde(default, deserialize_with = "wire::text")]
    pub country: String,
    /// Region.
    #[serde(default, deserialize_with = "wire::text")]
    pub region: String,
}
