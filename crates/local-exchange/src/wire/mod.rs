//! The venue's JSON. These shapes are this crate's own: sharing the client's would hide a shared mistake.

mod chain;
mod clob;
mod data;
mod gamma;
mod order;
mod socket;
mod wallets;

pub(crate) use chain::{ChainLog, fractions, logs_of, positions_of};
pub(crate) use clob::*;
pub(crate) use data::*;
pub(crate) use gamma::*;
pub(crate) use order::*;
pub(crate) use socket::*;
pub(crate) use wallets::*;

use serde_json::{Number, Value};

/// A decimal as a JSON number, digit by digit as the venue writes it.
pub(crate) fn number(text: &str) -> Value {
    serde_json::from_str::<Number>(text).map_or(Value::Null, Value::Number)
}

/// A page of at most `size` items behind a cursor: base64 of the offset, `LTE=` at the end.
pub(crate) fn page(items: Vec<Value>, cursor: Option<&str>, size: usize) -> Value {
    page_of(&items, cursor, size, Value::clone)
}

/// The same of rows of which only those of the page are written.
pub(crate) fn page_of<T>(
    items: &[T],
    cursor: Option<&str>,
    size: usize,
    show: impl Fn(&T) -> Value,
) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let decode = |cursor: &str| -> Option<usize> {
        String::from_utf8(STANDARD.decode(cursor).ok()?).ok()?.parse().ok()
    };
    let from = cursor.filter(|cursor| !cursor.is_empty()).and_then(decode).unwrap_or(0);
    let data: Vec<Value> = items.iter().skip(from).take(size).map(show).collect();
    let next = from.saturating_add(size);
    let next =
        if next >= items.len() { "LTE=".to_owned() } else { STANDARD.encode(next.to_string()) };
    serde_json::json!({ "limit": size, "count": data.len(), "next_cursor": next, "data": data })
}
