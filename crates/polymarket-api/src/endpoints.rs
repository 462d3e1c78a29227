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
    /// Polygon JSON-RPC; two independent ones are compared. They may hold keys: written out, only scheme
    /// and host are left of them.
    #[serde(serialize_with = "hosts_only")]
    pub rpc: Vec<String>,
}

fn hosts_only<S: serde::Serializer>(urls: &[String], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(urls.iter().map(|url| without_keys(url)))
}

/// Scheme and host of a URL, and a word in place of whatever else it holds.
fn without_keys(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(hidden)".to_owned() };
    let (place, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, host) = match place.rsplit_once('@') {
        Some((_, host)) => (true, host),
        None => (false, place),
    };
    let hidden = if login || path.len() > 1 { "/(hidden)" } else { "" };
    format!("{scheme}://{host}{hidden}")
}

/// RPC URLs may hold keys and are not shown whole.
impl core::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut map = f.debug_map();
        for (key, url) in self.all() {
            let shown = if key.starts_with("rpc") { without_keys(url) } else { url.to_owned() };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_rpc_urls_are_not_shown() {
        let cases = [
            ("https://polygon.drpc.org", "https://polygon.drpc.org"),
            ("https://polygon.drpc.org/", "https://polygon.drpc.org"),
            ("https://rpc.example/v2/k3y", "https://rpc.example/(hidden)"),
            ("https://rpc.example:8545?key=k3y", "https://rpc.example:8545/(hidden)"),
            ("https://me:k3y@rpc.example", "https://rpc.example/(hidden)"),
            ("https://me:k3y@rpc.example/#k3y", "https://rpc.example/(hidden)"),
            ("k3y", "(hidden)"),
        ];
        for (url, shown) in cases {
            assert_eq!(without_keys(url), shown, "{url}");
            let endpoints = Endpoints { rpc: vec![url.to_owned()], ..Endpoints::default() };
            let text = format!("{endpoints:?} {}", serde_json::to_string(&endpoints).unwrap());
            assert!(!text.contains("k3y") && text.contains(shown), "{text}");
        }
    }
}
