//! Raw frames of the market socket, in the wrappers `ws_verified` and rocklabs, as JSON lines.
//!
//! The files are read twice: first for the pairing of tokens and the facts that frames carry, then
//! for the events. An entry that cannot be understood is refused alone; the rest of its frame stays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use polydesk_domain::{ConditionId, Price, Tick, Time, TokenId};
use serde_json::Value;

use super::cells::{Cell, CellError, TimeUnit, side_word};
use super::fact::{Arrival, Best, Fact};
use super::files::Lines;
use super::hashes::HashCheck;
use super::shapes::{entries, kind};
use super::sink::Sink;
use crate::overlay::{MarketFacts, NegRiskFacts, Overlay};
use crate::{TapeError, Truncation};

/// Which wrapper the frames are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapper {
    Verified,
    Rocklabs,
}

/// A line, unwrapped.
struct Unwrapped {
    received: Time,
    /// The frames: one object, or several.
    frames: Vec<Value>,
    /// Facts beside the frame (`ws_verified` checkpoints).
    beside: Value,
}

/// What became of a line that is no frame.
enum Other {
    /// Keep-alive, metadata: counted under this name.
    Named(String),
    Refused(CellError),
}

pub(crate) fn import(
    sink: &mut Sink,
    files: &[PathBuf],
    overlay: &Overlay,
    wrapper: Wrapper,
) -> Result<(), TapeError> {
    let mut facts = Learned::default();
    for path in files {
        // Damage is reported by the second pass, which reads the same lines.
        let _: Option<Truncation> = each_line(path, |_, bytes| {
            if let Ok(unwrapped) = unwrap(wrapper, bytes) {
                facts.learn(&unwrapped);
            }
            Ok(())
        })?;
    }
    facts.list(sink, overlay)?;
    let mut hashes = HashCheck::default();
    for path in files {
        let cut = each_line(path, |line, bytes| {
            sink.read(1);
            let place = format!("line {line}");
            match unwrap(wrapper, bytes) {
                Ok(unwrapped) => {
                    for frame in &unwrapped.frames {
                        hashes.facts(frame, &unwrapped.beside);
                        take(sink, &mut hashes, path, &place, unwrapped.received, frame)?;
                    }
                }
                Err(Other::Named(name)) => sink.unknown_kind(&name),
                Err(Other::Refused(refusal)) => {
                    sink.reject(path, &place, &refusal, &String::from_utf8_lossy(bytes))?;
                }
            }
            Ok(())
        })?;
        if let Some(cut) = cut {
            sink.truncated(cut);
        }
    }
    hashes.finish();
    sink.certificate.hash_ok = hashes.ok;
    sink.certificate.hash_mismatches = hashes.mismatches;
    sink.certificate.hash_unchecked = hashes.unchecked;
    Ok(())
}

/// Calls `take` for every line that is not empty; Some when the file is damaged.
fn each_line(
    path: &Path,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), TapeError>,
) -> Result<Option<Truncation>, TapeError> {
    let mut lines = Lines::open(path)?;
    let mut buffer = Vec::new();
    loop {
        match lines.next(&mut buffer) {
            Ok(true) if buffer.is_empty() => (),
            Ok(true) => take(lines.line, &buffer)?,
            Ok(false) => return Ok(None),
            Err(cut) => return Ok(Some(cut)),
        }
    }
}

fn unwrap(wrapper: Wrapper, bytes: &[u8]) -> Result<Unwrapped, Other> {
    let refused = |reason, detail: String| Other::Refused(CellError::new(reason, detail));
    let line: Value =
        serde_json::from_slice(bytes).map_err(|error| refused("not_json", error.to_string()))?;
    let (received, content) = match wrapper {
        Wrapper::Verified => match line.get("receivedAtMs") {
            Some(time) => (Cell::from(time).time(TimeUnit::Millis), line.get("data")),
            None => (field(&line, "receivedAt").time(TimeUnit::Rfc3339), line.get("data")),
        },
        Wrapper::Rocklabs => {
            let kind = line.get("message_type").and_then(Value::as_str).unwrap_or("");
            if kind != "feed_message" {
                let name = if kind.is_empty() { "without message_type" } else { kind };
                return Err(Other::Named(name.to_owned()));
            }
            (field(&line, "timestamp").time(TimeUnit::Rfc3339), line.get("content"))
        }
    };
    let received = received.map_err(Other::Refused)?;
    let frame = match content {
        Some(Value::String(text)) => {
            let trimmed = text.trim();
            if !trimmed.starts_with(['{', '[']) {
                // PONG, and plain-text errors such as INVALID OPERATION.
                return Err(Other::Named(trimmed.chars().take(40).collect()));
            }
            serde_json::from_str(trimmed)
                .map_err(|error| refused("not_json", format!("the frame inside: {error}")))?
        }
        Some(value) if value.is_object() || value.is_array() => value.clone(),
        _ => return Err(refused("malformed", "no frame in the wrapper".to_owned())),
    };
    let frames = match frame {
        Value::Array(frames) => frames,
        frame => vec![frame],
    };
    let mut beside = line;
    if let Some(object) = beside.as_object_mut() {
        object.remove("data");
        object.remove("content");
    }
    Ok(Unwrapped { received, frames, beside })
}

fn field(value: &Value, name: &str) -> Cell {
    value.get(name).map_or(Cell::Null, Cell::from)
}

fn take(
    sink: &mut Sink,
    hashes: &mut HashCheck,
    path: &Path,
    place: &str,
    received: Time,
    frame: &Value,
) -> Result<(), TapeError> {
    let facts: Vec<Result<Fact, (CellError, String)>> = match kind(frame) {
        "price_change" => entries(frame)
            .iter()
            .map(|entry| change(entry).map_err(|refusal| (refusal, entry.to_string())))
            .collect(),
        "book" => vec![whole(frame, book(frame))],
        "last_trade_price" => vec![whole(frame, print(frame))],
        "best_bid_ask" => vec![whole(frame, best(frame))],
        "tick_size_change" => vec![whole(frame, tick(frame))],
        "market_resolved" => vec![whole(frame, resolved(sink, frame))],
        other => {
            sink.unknown_kind(other);
            return Ok(());
        }
    };
    let venue = field(frame, "timestamp").time(TimeUnit::Millis);
    for fact in facts {
        match (fact, &venue) {
            (Ok(fact), Ok(venue)) => {
                sink.push(Arrival { received: Some(received), venue: *venue, fact })?;
            }
            (Err((refusal, raw)), _) => sink.reject(path, place, &refusal, &raw)?,
            (Ok(_), Err(refusal)) => sink.reject(path, place, refusal, &frame.to_string())?,
        }
    }
    hashes.frame(frame);
    Ok(())
}

fn whole(frame: &Value, fact: Result<Fact, CellError>) -> Result<Fact, (CellError, String)> {
    fact.map_err(|refusal| (refusal, frame.to_string()))
}

fn side_of(entry: &Value) -> Result<polydesk_domain::Side, CellError> {
    side_word(entry.get("side").and_then(Value::as_str).unwrap_or(""))
}

fn change(entry: &Value) -> Result<Fact, CellError> {
    let top = match (field(entry, "best_bid"), field(entry, "best_ask")) {
        (bid, ask) if bid.is_absent() && ask.is_absent() => None,
        (bid, ask) => Some(stated(&bid, &ask)?),
    };
    Ok(Fact::Level {
        token: field(entry, "asset_id").token()?,
        side: side_of(entry)?,
        price: field(entry, "price").price(1)?.0,
        size: field(entry, "size").size(1)?.0,
        top,
    })
}

/// Best prices as the venue states them: zero, or one for an ask, is an empty side.
pub(crate) fn stated(bid: &Cell, ask: &Cell) -> Result<Best, CellError> {
    let side = |cell: &Cell, empty: Price| {
        if cell.is_absent() {
            return Ok(None);
        }
        let (price, _) = cell.price(1)?;
        Ok((price != empty && price != Price::ZERO).then_some(price))
    };
    Ok(Best { bid: side(bid, Price::ZERO)?, ask: side(ask, Price::ONE)? })
}

fn book(frame: &Value) -> Result<Fact, CellError> {
    Ok(Fact::Snapshot {
        token: field(frame, "asset_id").token()?,
        bids: field(frame, "bids").levels()?.0,
        asks: field(frame, "asks").levels()?.0,
    })
}

fn print(frame: &Value) -> Result<Fact, CellError> {
    Ok(Fact::Print {
        token: field(frame, "asset_id").token()?,
        side: side_of(frame)?,
        price: field(frame, "price").price(1)?.0,
        size: field(frame, "size").size(1)?.0,
    })
}

fn best(frame: &Value) -> Result<Fact, CellError> {
    let top = stated(&field(frame, "best_bid"), &field(frame, "best_ask"))?;
    Ok(Fact::Best { token: field(frame, "asset_id").token()?, top })
}

fn tick(frame: &Value) -> Result<Fact, CellError> {
    let token = field(frame, "asset_id").token()?;
    let units = field(frame, "new_tick_size").price(1)?.0.units();
    if Tick::from_units(units).is_none() {
        let detail = format!("the venue has no tick of {units} ten-thousandths");
        return Err(CellError::new("bad_tick", detail));
    }
    Ok(Fact::Tick { token, units })
}

fn condition_of(frame: &Value) -> Result<ConditionId, CellError> {
    let text = frame.get("market").and_then(Value::as_str).unwrap_or("");
    text.parse().map_err(|error| CellError::new("bad_market", format!("{error}")))
}

fn resolved(sink: &Sink, frame: &Value) -> Result<Fact, CellError> {
    let condition = condition_of(frame)?;
    let winner = field(frame, "winning_asset_id");
    if winner.is_absent() || winner.text().is_some_and(|text| text.trim().is_empty()) {
        // A split, or an invalid market: what it pays the frame does not say.
        return Ok(Fact::Closed { condition });
    }
    let winner = winner.token()?;
    let token = |outcome| sink.token_of(&condition, outcome);
    let yes_micros = if token(polydesk_domain::Outcome::Yes) == Some(winner) {
        1_000_000
    } else if token(polydesk_domain::Outcome::No) == Some(winner) {
        0
    } else {
        let detail = format!("winner {winner} is no token of market {condition}");
        return Err(CellError::new("no_metadata", detail));
    };
    Ok(Fact::Resolved { condition, yes_micros })
}

/// Market facts stated in the frames.
#[derive(Default)]
pub(crate) struct Learned {
    markets: BTreeMap<String, (Vec<TokenId>, MarketFacts)>,
}

impl Learned {
    fn learn(&mut self, unwrapped: &Unwrapped) {
        for frame in &unwrapped.frames {
            let kind = kind(frame);
            let known = ["book", "price_change", "last_trade_price", "best_bid_ask"];
            let Some(market) = frame.get("market").and_then(Value::as_str) else { continue };
            if !known.contains(&kind) {
                continue;
            }
            let (tokens, facts) = self.markets.entry(market.to_owned()).or_default();
            for entry in entries(frame) {
                if let Ok(token) = field(entry, "asset_id").token()
                    && !tokens.contains(&token)
                {
                    tokens.push(token);
                }
            }
            for source in [frame, &unwrapped.beside] {
                let text = |name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
                facts.tick = facts.tick.take().or_else(|| text("tick_size"));
                facts.min_size = facts.min_size.take().or_else(|| text("min_order_size"));
                if source.get("neg_risk").and_then(Value::as_bool) == Some(true) {
                    // Which group, and how large, is not in the frames: no basket is complete.
                    facts.neg_risk = Some(NegRiskFacts {
                        group: format!("unknown group of {market}"),
                        members: None,
                        augmented: true,
                        placeholder: false,
                    });
                }
            }
        }
    }

    /// Makes the markets known that overlay and frames together describe.
    fn list(&self, sink: &mut Sink, overlay: &Overlay) -> Result<(), TapeError> {
        for market in overlay.markets_with_tokens()? {
            sink.add_market(market);
        }
        for (condition, (tokens, facts)) in &self.markets {
            let [first, second] = tokens.as_slice() else { continue };
            if sink.knows(first) || sink.knows(second) {
                continue;
            }
            let mut facts = facts.clone();
            facts.condition = Some(condition.clone());
            if !overlay.describes(condition, &facts) {
                sink.undescribed(condition, [*first, *second]);
                continue;
            }
            facts.tokens = Some([first.to_string(), second.to_string()]);
            facts.assumed.insert(
                "outcomes".to_owned(),
                "the token seen first is taken as outcome 0".to_owned(),
            );
            sink.add_market(overlay.complete(&facts)?);
        }
        Ok(())
    }
}
