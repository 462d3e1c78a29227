//! The venue's book hash: SHA-1 over its own compact JSON of a token's book.

use sha1::{Digest, Sha1};

/// A level with the strings exactly as received: `"0.630"` is not `"0.63"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawLevel<'a> {
    /// Price text.
    pub price: &'a str,
    /// Size text.
    pub size: &'a str,
}

/// Everything that goes into the hash, as received.
#[derive(Debug, Clone, Copy)]
pub struct HashInput<'a> {
    /// Condition id.
    pub market: &'a str,
    /// Token id in decimal.
    pub asset_id: &'a str,
    /// Milliseconds since the epoch.
    pub timestamp: &'a str,
    /// Ascending by price: the best is last.
    pub bids: &'a [RawLevel<'a>],
    /// Descending by price: the best is last.
    pub asks: &'a [RawLevel<'a>],
    /// From REST; socket frames do not carry it.
    pub min_order_size: &'a str,
    /// From REST; socket frames do not carry it.
    pub tick_size: &'a str,
    /// From REST; socket frames do not carry it.
    pub neg_risk: bool,
    /// The market's last trade price as the venue printed it, trailing zeros kept. `None` is hashed as
    /// `null`, which is not the same as empty text.
    pub last_trade_price: Option<&'a str>,
}

/// Lower-case hex SHA-1 as in `book` and `price_change` frames (key order and spacing are the venue's).
pub fn book_hash(input: &HashInput<'_>) -> String {
    let mut sha = Sha1::new();
    let mut put = |parts: &[&str]| parts.iter().for_each(|part| sha.update(part.as_bytes()));
    put(&["{\"market\":\"", input.market, "\",\"asset_id\":\"", input.asset_id]);
    put(&["\",\"timestamp\":\"", input.timestamp, "\",\"hash\":\"\",\"bids\":["]);
    for (key, levels) in [("", input.bids), ("],\"asks\":[", input.asks)] {
        put(&[key]);
        for (i, level) in levels.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            put(&[comma, "{\"price\":\"", level.price, "\",\"size\":\"", level.size, "\"}"]);
        }
    }
    put(&["],\"min_order_size\":\"", input.min_order_size, "\",\"tick_size\":\"", input.tick_size]);
    put(&["\",\"neg_risk\":", if input.neg_risk { "true" } else { "false" }]);
    match input.last_trade_price {
        Some(price) => put(&[",\"last_trade_price\":\"", price, "\"}"]),
        None => put(&[",\"last_trade_price\":null}"]),
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
