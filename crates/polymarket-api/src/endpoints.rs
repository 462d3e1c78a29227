//! Where the venue is.

use serde::{Deserialize, Serialize};

/// Base URLs without a trailing slash. Loopback addresses may be plain `http` and `ws`; everything else
/// must be encrypted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// CLOB REST.
    pub clob: String,
    /// Gamma (metadata).
    pub gamma: String,
    /// Data API; v2 lies under `/v2`.
    pub data: String,
    /// Market socket.
    pub ws_market: String,
    /// User socket.
    pub ws_user: String,
    /// Reference prices ("PolyBolt").
    pub polybolt: String,
    /// Reference prices, the older service.
    pub rtds: String,
    /// Gasless transactions.
    pub relayer: String,
    /// Whether this address may trade. On the web site's host, not the CLOB's.
    pub geoblock: String,
    /// Polygon JSON-RPC; two independent ones are compared.
    pub rpc: Vec<String>,
}

/// RPC URLs may hold keys and are not shown.
impl core::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut map = f.debug_map();
        for (key, url) in self.all() {
            let shown = if key.starts_with("rpc") { "(hidden)" } else { url };
            map.entry(&key, &shown);
        }
        map.finish()
    }
}

impl Default for Endpoints {
    fn default() -> Endpoints {
        let url = str::to_owned;
        Endpoints {
            clob: url("https://clob.polymarket.com"),
            gamma: url("https://gamma-api.polymarket.com"),
            data: url("https://data-api.polymarket.com"),
            ws_market: url("wss://ws-subscriptions-clob.polymarket.com/ws/market"),
            ws_user: url("wss://ws-subscriptions-clob.polymarket.com/ws/user"),
            polybolt: url("wss://ws-live-v2.polymarket.com/ws"),
            rtds: url("wss://ws-live-data.polymarket.com"),
            relayer: url("https://relayer-v2.polymarket.com"),
            geoblock: url("https://polymarket.com/api/geoblock"),
            rpc: vec![url("https://polygon.drpc.org")],
        }
    }
}

impl Endpoints {
    /// Every URL with the key it stands under.
    pub fn all(&self) -> Vec<(String, &str)> {
        let mut all: Vec<(String, &str)> = [
            ("clob", &self.clob),
            ("gamma", &self.gamma),
            ("data", &self.data),
            ("ws_market", &self.ws_market),
            ("ws_user", &self.ws_user),
            ("polybolt", &self.polybolt),
            ("rtds", &self.rtds),
            ("relayer", &self.relayer),
            ("geoblock", &self.geoblock),
        ]
        .into_iter()
        .map(|(key, url)| (key.to_owned(), url.as_str()))
        .collect();
        all.extend(self.rpc.iter().enumerate().map(|(i, url)| (format!("rpc[{i}]"), url.as_str())));
        all
    }
}
