//! PMXT archive hours, both schemas.
//!
//! Unverified: written from the published description, as no original file was at hand. The second
//! schema is sorted per asset and the order of the first is unspecified, so rows are sorted by receive time
//! in bounded memory. The archives hold every market: rows of markets that the overlay does not name
//! are left out and counted. A missing hour voids all books.

use std::path::{Path, PathBuf};

use polydesk_domain::{Tick, Time};
use serde_json::Value;

use super::cells::{Cell, CellError, TimeUnit, side_word};
use super::fact::{Arrival, Fact};
use super::files::{Table, file_name};
use super::frames::stated;
use super::sink::Sink;
use super::sort::Sorter;
use crate::TapeError;
use crate::overlay::Overlay;

/// Version of the PMXT schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

const COLUMNS_ONE: [&str; 4] =
    ["timestamp_received", "timestamp_created_at", "update_type", "data"];
const COLUMNS_TWO: [&str; 12] = [
    "timestamp_received",
    "timestamp",
    "event_type",
    "asset_id",
    "bids",
    "asks",
    "price",
    "size",
    "side",
    "best_bid",
    "best_ask",
    "new_tick_size",
];

pub(crate) fn import(
    sink: &mut Sink,
    files: &[PathBuf],
    overlay: &Overlay,
    version: Version,
) -> Result<(), TapeError> {
    sink.certificate
        .notes
        .push("the importer follows the archive's published schema; it is unverified".to_owned());
    for market in overlay.markets_with_tokens()? {
        sink.add_market(market);
    }
    let mut sorter = Sorter::new();
    for hour in missing_hours(files) {
        let fact = Fact::Interruption { token: None };
        sorter.push(Arrival { received: Some(hour), venue: hour, fact })?;
    }
    for path in files {
        read(sink, &mut sorter, path, version)?;
    }
    sorter.drain(|arrival| sink.push(arrival))
}

fn read(
    sink: &mut Sink,
    sorter: &mut Sorter,
    path: &Path,
    version: Version,
) -> Result<(), TapeError> {
    let mut table = Table::open(path)?;
    let names: &[&str] = match version {
        Version::One => &COLUMNS_ONE,
        Version::Two => &COLUMNS_TWO,
    };
    let mut positions = Vec::new();
    for name in names {
        positions.push(table.column(name)?);
    }
    loop {
        let row = match table.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            Err(cut) => {
                sink.truncated(cut);
                return Ok(());
            }
        };
        sink.read(1);
        let cells: Vec<&Cell> = positions.iter().map(|position| &row[*position]).collect();
        let arrival = match version {
            Version::One => one(sink, &cells),
            Version::Two => two(sink, &cells),
        };
        match arrival {
            Ok(Some(arrival)) => sorter.push(arrival)?,
            Ok(None) => (),
            Err(refusal) => {
                let place = table.place();
                sink.reject(path, &place, &refusal, &Cell::List(row).shown())?;
            }
        }
    }
}

fn two(sink: &mut Sink, cells: &[&Cell]) -> Result<Option<Arrival>, CellError> {
    let [received, venue, kind, asset, bids, asks, price, size, side, bid, ask, tick] = cells
    else {
        return Err(CellError::new("malformed", "a row has twelve cells of interest"));
    };
    let token = asset.token()?;
    if !sink.knows(&token) {
        if let Ok(at) = received.time(TimeUnit::Millis) {
            sink.alive(at);
        }
        sink.not_selected(token);
        return Ok(None);
    }
    let word = kind.text().unwrap_or("");
    let fact = match word {
        "book" => Fact::Snapshot { token, bids: bids.levels()?.0, asks: asks.levels()?.0 },
        "price_change" => Fact::Level {
            token,
            side: side_word(side.text().unwrap_or(""))?,
            price: price.price(1)?.0,
            size: size.size(1)?.0,
            top: match (bid.is_absent(), ask.is_absent()) {
                (true, true) => None,
                _ => Some(stated(bid, ask)?),
            },
        },
        "last_trade_price" => Fact::Print {
            token,
            side: side_word(side.text().unwrap_or(""))?,
            price: price.price(1)?.0,
            size: size.size(1)?.0,
        },
        "tick_size_change" => {
            let units = tick.price(1)?.0.units();
            if Tick::from_units(units).is_none() {
                return Err(CellError::new("bad_tick", format!("no tick has {units} units")));
            }
            Fact::Tick { token, units }
        }
        other => {
            sink.unknown_kind(other);
            return Ok(None);
        }
    };
    let received = Some(received.time(TimeUnit::Millis)?);
    Ok(Some(Arrival { received, venue: venue.time(TimeUnit::Millis)?, fact }))
}

fn one(sink: &mut Sink, cells: &[&Cell]) -> Result<Option<Arrival>, CellError> {
    let [received, created, kind, data] = cells else {
        return Err(CellError::new("malformed", "a row has four cells of interest"));
    };
    let data: Value = serde_json::from_str(data.text().unwrap_or(""))
        .map_err(|error| CellError::new("not_json", error.to_string()))?;
    let field = |name: &str| data.get(name).map_or(Cell::Null, Cell::from);
    let token = field("token_id").token()?;
    if !sink.knows(&token) {
        if let Ok(at) = received.time(TimeUnit::Millis) {
            sink.alive(at);
        }
        sink.not_selected(token);
        return Ok(None);
    }
    let fact = match kind.text().unwrap_or("") {
        "book_snapshot" => Fact::Snapshot {
            token,
            bids: field("bids").levels()?.0,
            asks: field("asks").levels()?.0,
        },
        "price_change" => {
            let (bid, ask) = (field("best_bid"), field("best_ask"));
            Fact::Level {
                token,
                side: side_word(field("change_side").text().unwrap_or(""))?,
                price: field("change_price").price(1)?.0,
                size: field("change_size").size(1)?.0,
                top: match (bid.is_absent(), ask.is_absent()) {
                    (true, true) => None,
                    _ => Some(stated(&bid, &ask)?),
                },
            }
        }
        other => {
            sink.unknown_kind(other);
            return Ok(None);
        }
    };
    let venue = match field("timestamp") {
        Cell::Null => created.time(TimeUnit::Millis)?,
        seconds => seconds.time(TimeUnit::Seconds)?,
    };
    Ok(Some(Arrival { received: Some(received.time(TimeUnit::Millis)?), venue, fact }))
}

/// The beginnings of the hours that follow a missing one, by the archive's file names.
fn missing_hours(files: &[PathBuf]) -> Vec<Time> {
    let mut hours: Vec<Time> = files
        .iter()
        .filter_map(|path| {
            let name = file_name(path);
            let hour = name.strip_prefix("polymarket_orderbook_")?.split('.').next()?.to_owned();
            Time::parse(&format!("{hour}:00:00Z"))
        })
        .collect();
    hours.sort();
    let hour = polydesk_domain::Span::secs(3_600);
    hours.windows(2).filter(|pair| pair[0].until(pair[1]) > hour).map(|pair| pair[1]).collect()
}
