//! Tickscope recordings: level changes and trades in Parquet, and score polls in CSV.
//!
//! Rows are kept in the order of the file, which is the order of arrival: the venue's own time runs
//! backwards at times. There are no snapshots; books grow from changes.

use std::path::Path;

use polydesk_domain::{Price, Time};

use super::cells::{Cell, CellError, TimeUnit, side_word};
use super::fact::{Arrival, Best, Fact};
use super::files::Table;
use super::sink::Sink;
use crate::TapeError;
use crate::overlay::Overlay;

/// Positions of the columns.
struct Columns {
    time: usize,
    price: usize,
    size: usize,
    best_bid: usize,
    best_ask: usize,
    side: usize,
    kind: usize,
    token: usize,
}

pub(crate) fn import(
    sink: &mut Sink,
    files: &[std::path::PathBuf],
    overlay: &Overlay,
) -> Result<(), TapeError> {
    for market in overlay.markets()? {
        sink.add_market(market);
    }
    let mut scores = Vec::new();
    let mut tables = Vec::new();
    for path in files {
        let table = Table::open(path)?;
        if table.columns.iter().any(|name| name == "game_state") {
            read_scores(sink, path, table, &mut scores)?;
        } else {
            tables.push((path, table));
        }
    }
    // The latest score comes off the end.
    scores.sort_by_key(|score| score.venue);
    scores.reverse();
    let mut latest = Time::MIN;
    for (path, table) in tables {
        read_changes(sink, path, table, &mut scores, &mut latest)?;
    }
    while let Some(score) = scores.pop() {
        sink.push(score)?;
    }
    Ok(())
}

fn read_changes(
    sink: &mut Sink,
    path: &Path,
    mut table: Table,
    scores: &mut Vec<Arrival>,
    latest: &mut Time,
) -> Result<(), TapeError> {
    let columns = Columns {
        time: table.column("timestamp")?,
        price: table.column("price")?,
        size: table.column("size")?,
        best_bid: table.column("best_bid")?,
        best_ask: table.column("best_ask")?,
        side: table.column("side")?,
        kind: table.column("event_type")?,
        token: table.column("asset_id")?,
    };
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
        let mut snapped = 0;
        match change(&row, &columns, &mut snapped) {
            Ok(Some(arrival)) => {
                *latest = (*latest).max(arrival.venue);
                while scores.last().is_some_and(|score| score.venue <= *latest) {
                    if let Some(score) = scores.pop() {
                        sink.push(score)?;
                    }
                }
                sink.certificate.snapped_floats += snapped;
                sink.push(arrival)?;
            }
            Ok(None) => sink.unknown_kind(&row[columns.kind].shown()),
            Err(refusal) => {
                let place = table.place();
                sink.reject(path, &place, &refusal, &Cell::List(row).shown())?;
            }
        }
    }
}

/// None for an unknown event type.
fn change(
    row: &[Cell],
    columns: &Columns,
    snapped: &mut u64,
) -> Result<Option<Arrival>, CellError> {
    let kind = row[columns.kind].text().unwrap_or("");
    if kind != "PRICE_CHANGE" && kind != "LAST_TRADE" {
        return Ok(None);
    }
    let venue = row[columns.time].time(TimeUnit::Millis)?;
    let token = row[columns.token].token()?;
    let side = side_word(row[columns.side].text().unwrap_or(""))?;
    let (price, price_noise) = row[columns.price].price(1)?;
    let (size, size_noise) = row[columns.size].size(1)?;
    *snapped += u64::from(price_noise) + u64::from(size_noise);
    let fact = if kind == "LAST_TRADE" {
        // Here the best prices are always zero: not recorded.
        Fact::Print { token, side, price, size }
    } else {
        let bid = best(&row[columns.best_bid], Price::ZERO, snapped)?;
        let ask = best(&row[columns.best_ask], Price::ONE, snapped)?;
        Fact::Level { token, side, price, size, top: Some(Best { bid, ask }) }
    };
    Ok(Some(Arrival { received: None, venue, fact }))
}

/// A stated best price; zero, or one for an ask, means that the side is empty.
fn best(cell: &Cell, empty: Price, snapped: &mut u64) -> Result<Option<Price>, CellError> {
    let (price, noise) = cell.price(1)?;
    *snapped += u64::from(noise);
    Ok((price != empty && price != Price::ZERO).then_some(price))
}

/// ESPN score polls: every row that is not a heartbeat becomes an article.
fn read_scores(
    sink: &mut Sink,
    path: &Path,
    mut table: Table,
    scores: &mut Vec<Arrival>,
) -> Result<(), TapeError> {
    let time = table.column("ts_ms")?;
    let kind = table.column("event_type")?;
    let mut named = Vec::new();
    for name in [
        "home_team",
        "home_score",
        "away_team",
        "away_score",
        "period",
        "display_clock",
        "event_id",
        "game_state",
    ] {
        named.push(table.column(name)?);
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
        let word = row[kind].text().unwrap_or("").to_owned();
        if word == "heartbeat" {
            continue;
        }
        let text = |i: usize| row[named[i]].text().unwrap_or("?").trim().to_owned();
        match row[time].time(TimeUnit::Millis) {
            Ok(venue) => scores.push(Arrival {
                received: None,
                venue,
                fact: Fact::Article {
                    source: "espn".to_owned(),
                    title: format!("{} {} : {} {}", text(0), text(1), text(3), text(2)),
                    body: format!(
                        "{word}; period {}, {} left; game {} ({})",
                        text(4),
                        text(5),
                        text(6),
                        text(7)
                    ),
                },
            }),
            Err(refusal) => {
                let place = table.place();
                sink.reject(path, &place, &refusal, &Cell::List(row).shown())?;
            }
        }
    }
}
