//! The shapes of raw market frames: what a frame is, and its entries.

use serde_json::Value;

/// The kind of a frame: its word, or by its keys, as some captures lack the word.
pub(crate) fn kind(frame: &Value) -> &str {
    if let Some(word) = frame.get("event_type").and_then(Value::as_str) {
        return word;
    }
    let has = |name: &str| frame.get(name).is_some();
    if has("price_changes") || (has("price") && has("size") && has("hash")) {
        "price_change"
    } else if has("bids") && has("asks") {
        "book"
    } else if has("price") && has("size") {
        "last_trade_price"
    } else if has("new_tick_size") {
        "tick_size_change"
    } else if has("best_bid") && has("best_ask") {
        "best_bid_ask"
    } else {
        "without event_type"
    }
}

/// The entries of a price change: the current shape has a list, the older one is its own entry.
pub(crate) fn entries(frame: &Value) -> &[Value] {
    match frame.get("price_changes") {
        Some(Value::Array(entries)) => entries,
        _ => std::slice::from_ref(frame),
    }
}
