//! Requests and answers as plain data.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Service;
use crate::venue::Refusal;

/// A request that has arrived whole.
#[derive(Debug, Clone)]
pub(crate) struct Req {
    pub(crate) service: Service,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Req {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
    /// The first value of a query parameter; an empty one is absent.
    pub(crate) fn param<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.params(name).next()
    }
    /// All values of a query parameter, given repeatedly or with commas.
    pub(crate) fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(key, _): &&(String, String)| key == name;
        let values = self.query.iter().filter(named).flat_map(|(_, value)| value.split(','));
        values.filter(|value| !value.is_empty())
    }
    /// A number in the query.
    pub(crate) fn count(&self, name: &str) -> Option<usize> {
        self.param(name)?.parse().ok()
    }
    /// Yes or no in the query.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.param(name)?.parse().ok()
    }
}

/// Splits a query string and undoes percent encoding. Broken escapes stay as they are.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |index: usize| bytes.get(index).and_then(|b| (*b as char).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
            }
            (b'+', _, _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An answer that is ready to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(status: u16, value: &Value) -> Answer {
        Answer::text(status, "application/json", value.to_string())
    }
    pub(crate) fn ok(value: &Value) -> Answer {
        Answer::json(200, value)
    }
    pub(crate) fn text(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            content_type: content_type.to_owned(),
            body: body.into(),
        }
    }
    pub(crate) fn error(status: u16, text: &str) -> Answer {
        Answer::json(status, &json!({ "error": text }))
    }
    pub(crate) fn not_found() -> Answer {
        Answer::error(404, "not found")
    }
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
    /// The edge's page for addresses it blocks.
    pub(crate) fn block_page() -> Answer {
        let page = "<!DOCTYPE html><html><head><title>Access denied | clob.polymarket.com used \
                    Cloudflare to restrict access</title></head><body><h1>Error 1015</h1><p>You \
                    are being rate limited</p></body></html>";
        Answer::text(429, "text/html; charset=UTF-8", page)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let mut value = json!({ "error": refusal.text });
        if let Some(id) = refusal.order {
            value["orderID"] = json!(id);
        }
        Answer::json(refusal.status, &value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_broken_escapes_kept() {
        let pairs = parse_query("a=1%2C2&b=x+y&c=%zz&d&e=%");
        let texts: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(texts, ["a=1,2", "b=x y", "c=%zz", "d=", "e=%"]);
    }
}
