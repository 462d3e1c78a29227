//! PolyBot parity windows: best prices and prints of BTC 5-minute markets, one JSON document.
//!
//! There are no books, only best prices; spot and settlement feeds in the file are counted and left
//! out, as no event carries them. The side of a print is not recorded: at or above the best ask it
//! is taken as a buy, at or below the best bid as a sell, in between or without quotes as a buy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use polydesk_domain::{Price, Side, Span, Time, TokenId};
use serde_json::Value;

use super::cells::{Cell, CellError, TimeUnit};
use super::fact::{Arrival, Best, Fact};
use super::files::read_document;
use super::frames::stated;
use super::sink::Sink;
use super::sort::Sorter;
use crate::overlay::{MarketFacts, Overlay, derived_condition};
use crate::{TapeError, Truncation};

const WINDOW: Span = Span::secs(300);

pub(crate) fn import(
    sink: &mut Sink,
    files: &[PathBuf],
    overlay: &Overlay,
) -> Result<(), TapeError> {
    let mut sorter = Sorter::new();
    for path in files {
        let (bytes, cut) = read_document(path)?;
        let document: Value = match serde_json::from_slice(&bytes) {
            Ok(document) => document,
            Err(error) => {
                // One document cannot be read in part, so the damage is the result.
                sink.truncated(cut.unwrap_or_else(|| Truncation {
                    file: super::files::file_name(path),
                    place: format!("line {}, column {}", error.line(), error.column()),
                    problem: error.to_string(),
                }));
                continue;
            }
        };
        let empty = Vec::new();
        let windows = document.get("windows").and_then(Value::as_array).unwrap_or(&empty);
        for (index, window) in windows.iter().enumerate() {
            let place = format!("window {index}");
            if let Err(refusal) = read_window(sink, &mut sorter, overlay, path, &place, window)? {
                sink.reject(path, &place, &refusal, "")?;
            }
        }
    }
    sink.certificate.notes.push(
        "sides of prints are not recorded; they are taken from the best prices, else as buys"
            .to_owned(),
    );
    sorter.drain(|arrival| sink.push(arrival))
}

fn field(value: &Value, name: &str) -> Cell {
    value.get(name).map_or(Cell::Null, Cell::from)
}

#[allow(clippy::type_complexity)]
fn read_window(
    sink: &mut Sink,
    sorter: &mut Sorter,
    overlay: &Overlay,
    path: &Path,
    place: &str,
    window: &Value,
) -> Result<Result<(), CellError>, TapeError> {
    let (tokens, begin) = match ids(window) {
        Ok(ids) => ids,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let end = begin + WINDOW;
    let slug = field(window, "cid").text().unwrap_or("").to_owned();
    let mut facts = MarketFacts {
        tokens: Some([tokens[0].to_string(), tokens[1].to_string()]),
        labels: Some(["Up".to_owned(), "Down".to_owned()]),
        question: Some(format!("Bitcoin up or down, five minutes from {begin}")),
        event: Some(slug.clone()),
        slug: Some(slug),
        category: Some("crypto".to_owned()),
        closes: Some(end.to_string()),
        ..MarketFacts::default()
    };
    facts.assumed.insert(
        "resolution time".to_owned(),
        "not recorded; put at the market's end or its last row, whichever is later".to_owned(),
    );
    sink.add_market(overlay.complete(&facts)?);
    let empty = Vec::new();
    let events = window.get("events").and_then(Value::as_array).unwrap_or(&empty);
    let mut quotes: BTreeMap<TokenId, Best> = BTreeMap::new();
    let mut last = end;
    for (index, event) in events.iter().enumerate() {
        sink.read(1);
        match read_event(event, &mut quotes) {
            Ok(Some(arrival)) => {
                last = last.max(arrival.venue);
                sorter.push(arrival)?;
            }
            Ok(None) => sink.unknown_kind(feed_name(event)),
            Err(refusal) => {
                let place = format!("{place}, event {index}");
                sink.reject(path, &place, &refusal, &event.to_string())?;
            }
        }
    }
    let condition = derived_condition(&tokens);
    let ended = |at, fact| Arrival { received: Some(at), venue: at, fact };
    sorter.push(ended(end, Fact::Closed { condition }))?;
    let up = window.get("label").and_then(|label| label.get("resolved_up")).and_then(Value::as_i64);
    match up {
        Some(up @ (0 | 1)) => {
            let yes_micros = up as u32 * 1_000_000;
            sorter.push(ended(last, Fact::Resolved { condition, yes_micros }))?;
        }
        _ => return Ok(Err(CellError::new("bad_payout", "label.resolved_up is neither 0 nor 1"))),
    }
    Ok(Ok(()))
}

fn ids(window: &Value) -> Result<([TokenId; 2], Time), CellError> {
    let tokens = [field(window, "token_up").token()?, field(window, "token_down").token()?];
    Ok((tokens, field(window, "window_ts").time(TimeUnit::Seconds)?))
}

/// None for feeds that no event carries.
fn read_event(
    event: &Value,
    quotes: &mut BTreeMap<TokenId, Best>,
) -> Result<Option<Arrival>, CellError> {
    let Cell::List(cells) = Cell::from(event) else {
        return Err(CellError::new("malformed", "an event is a list"));
    };
    let [time, kind, rest @ ..] = cells.as_slice() else {
        return Err(CellError::new("malformed", "an event begins with time and kind"));
    };
    let fact = match (kind.text(), rest) {
        (Some("b"), [token, bid, ask]) => {
            let (token, top) = (token.token()?, stated(bid, ask)?);
            quotes.insert(token, top);
            Fact::Best { token, top }
        }
        (Some("p"), [token, price, size]) => {
            let (token, price) = (token.token()?, price.price(1)?.0);
            let side = side_by_quote(price, quotes.get(&token));
            Fact::Print { token, side, price, size: size.size(1)?.0 }
        }
        (Some("s" | "l" | "t"), _) => return Ok(None),
        _ => return Err(CellError::new("malformed", "neither best prices nor a print")),
    };
    let at = time.time(TimeUnit::Seconds)?;
    Ok(Some(Arrival { received: Some(at), venue: at, fact }))
}

fn side_by_quote(price: Price, quote: Option<&Best>) -> Side {
    match quote {
        Some(Best { ask: Some(ask), .. }) if price >= *ask => Side::Buy,
        Some(Best { bid: Some(bid), .. }) if price <= *bid => Side::Sell,
        _ => Side::Buy,
    }
}

fn feed_name(event: &Value) -> &'static str {
    match event.get(1).and_then(Value::as_str) {
        Some("s") => "spot price",
        Some("l") => "settlement price",
        _ => "settlement average",
    }
}
