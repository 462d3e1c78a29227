//! One event as bytes that stand alone: what a journal stores. They name venue ids, never the dense numbers of a
//! process, and have the fields of a tape's row.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0 | kind, as on a tape |
//! | 1, 2 | outcome, side; -1 none |
//! | 3 | 1: a market follows; 2: a payload follows |
//! | 4..10 | price, best bid, best ask, two bytes each, as on a tape |
//! | 10..42 | `at`, `venue_at`, `seq`, size: eight bytes each, little-endian |
//! | 32 more | condition id of the market, if any |
//! | the rest | payload, if any: the JSON of a tape |

use polydesk_domain::{ConditionId, Stamped, Universe};

use crate::row::{Encoded, TapeRow, decode, encode};

const HEAD: usize = 42;
const MARKET: u8 = 1;
const PAYLOAD: u8 = 2;

/// Bytes that are no event, or an event that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event cannot be {action}: {detail}")]
pub struct WireError {
    action: &'static str,
    detail: String,
}

/// Appends an event. The universe must know every market that it names, except one that it lists.
///
/// # Errors
/// A market that is not listed, a value that could not be read back.
pub fn encode_event(
    stamped: &Stamped,
    universe: &Universe,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    let refused = |error: crate::payload::PayloadError| WireError {
        action: "stored",
        detail: error.to_string(),
    };
    let Encoded { row, market, payload } = encode(stamped, universe).map_err(refused)?;
    let flags =
        if market.is_some() { MARKET } else { 0 } | if payload.is_some() { PAYLOAD } else { 0 };
    out.extend_from_slice(&[row.kind, row.outcome as u8, row.side as u8, flags]);
    for price in [row.price, row.best_bid, row.best_ask] {
        out.extend_from_slice(&price.to_le_bytes());
    }
    out.extend_from_slice(&row.at.to_le_bytes());
    out.extend_from_slice(&row.venue_at.to_le_bytes());
    out.extend_from_slice(&row.seq.to_le_bytes());
    out.extend_from_slice(&row.size.to_le_bytes());
    if let Some(market) = market {
        out.extend_from_slice(market.bytes());
    }
    if let Some(payload) = payload {
        out.extend_from_slice(payload.as_bytes());
    }
    Ok(())
}

/// Reads an event back, under the keys of this universe. A listing gets the key that the universe gives next.
///
/// # Errors
/// Bytes that are no event, a market that is not listed here.
pub fn decode_event(bytes: &[u8], universe: &Universe) -> Result<Stamped, WireError> {
    let wrong = |detail: &str| WireError { action: "read", detail: detail.to_owned() };
    let (head, mut rest) = bytes.split_first_chunk::<HEAD>().ok_or_else(|| wrong("too short"))?;
    let small = |at: usize| i16::from_le_bytes([head[at], head[at + 1]]);
    let large = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(eight)
    };
    let row = TapeRow {
        kind: head[0],
        outcome: head[1] as i8,
        side: head[2] as i8,
        price: small(4),
        best_bid: small(6),
        best_ask: small(8),
        at: large(10) as i64,
        venue_at: large(18) as i64,
        seq: large(26),
        size: large(34),
    };
    if head[3] & !(MARKET | PAYLOAD) != 0 {
        return Err(wrong("unknown flags"));
    }
    let mut condition = None;
    if head[3] & MARKET != 0 {
        let (market, after) =
            rest.split_first_chunk::<32>().ok_or_else(|| wrong("the market is cut off"))?;
        (condition, rest) = (Some(ConditionId::from_bytes(*market)), after);
    }
    let payload = match head[3] & PAYLOAD {
        0 if rest.is_empty() => None,
        0 => return Err(wrong("bytes after its end")),
        _ => Some(core::str::from_utf8(rest).map_err(|_| wrong("the payload is no UTF-8"))?),
    };
    let listed = row.kind == crate::Kind::Listed as u8;
    let key = match condition {
        Some(condition) if !listed => {
            let key = universe.key(&condition);
            Some(key.ok_or_else(|| wrong(&format!("market {condition} is not listed")))?)
        }
        _ => None,
    };
    decode(&row, key, payload, universe)
        .map_err(|error| WireError { action: "read", detail: error.to_string() })
}
