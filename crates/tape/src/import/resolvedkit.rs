//! resolvedkit recordings: book snapshots once a second, and the markets with their payouts.
//!
//! Token ids are not published: the overlay may state them, else stand-ins are derived. The time of
//! the resolution is not published either: it is put at the market's end or its last book,
//! whichever is later, and the market's `assumed` list names it.

use std::collections::BTreeMap;
use std::path::Path;

use polydesk_domain::{ConditionId, Outcome, Price, Shares, Time};

use super::cells::{Cell, CellError, TimeUnit};
use super::fact::{Arrival, Fact};
use super::files::Table;
use super::sink::Sink;
use super::sort::Sorter;
use crate::TapeError;
use crate::overlay::{MarketFacts, Overlay};

/// The end of a market as stated in markets.parquet.
struct End {
    at: Time,
    yes_micros: u32,
    last_book: Time,
}

pub(crate) fn import(
    sink: &mut Sink,
    files: &[std::path::PathBuf],
    overlay: &Overlay,
) -> Result<(), TapeError> {
    let mut ends = BTreeMap::new();
    let mut books = Vec::new();
    for path in files {
        let table = Table::open(path)?;
        if table.columns.iter().any(|name| name == "payout_up") {
            read_markets(sink, path, table, overlay, &mut ends)?;
        } else {
            books.push((path, table));
        }
    }
    let mut sorter = Sorter::new();
    for (path, table) in books {
        read_books(sink, path, table, &mut sorter, &mut ends)?;
    }
    for (condition, end) in &ends {
        let state = |venue, fact| Arrival { received: None, venue, fact };
        sorter.push(state(end.at, Fact::Closed { condition: *condition }))?;
        let resolved = Fact::Resolved { condition: *condition, yes_micros: end.yes_micros };
        sorter.push(state(end.at.max(end.last_book), resolved))?;
    }
    sorter.drain(|arrival| sink.push(arrival))
}

fn read_markets(
    sink: &mut Sink,
    path: &Path,
    mut table: Table,
    overlay: &Overlay,
    ends: &mut BTreeMap<ConditionId, End>,
) -> Result<(), TapeError> {
    let mut positions = Vec::new();
    for name in [
        "market_id",
        "slug",
        "question",
        "category",
        "outcome_up",
        "outcome_down",
        "end_ts",
        "payout_up",
        "payout_down",
    ] {
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
        match market(&cells) {
            Ok((facts, condition, end)) => {
                sink.add_market(overlay.complete(&facts)?);
                ends.insert(condition, end);
            }
            Err(refusal) => {
                let place = table.place();
                sink.reject(path, &place, &refusal, &Cell::List(row).shown())?;
            }
        }
    }
}

fn market(cells: &[&Cell]) -> Result<(MarketFacts, ConditionId, End), CellError> {
    let [id, slug, question, category, up, down, end, payout_up, payout_down] = cells else {
        return Err(CellError::new("malformed", "a market row has nine cells"));
    };
    let text = |cell: &Cell| cell.text().unwrap_or("").to_owned();
    let condition: ConditionId =
        text(id).parse().map_err(|error| CellError::new("bad_market", format!("{error}")))?;
    let payout = |cell: &Cell| cell.size(1).map(|(shares, _)| shares.micros());
    let (yes, no) = (payout(payout_up)?, payout(payout_down)?);
    let yes_micros = match u32::try_from(yes) {
        Ok(micros) if yes.checked_add(no) == Some(1_000_000) => micros,
        _ => {
            let detail = format!("payouts {yes} and {no} millionths do not add up to one dollar");
            return Err(CellError::new("bad_payout", detail));
        }
    };
    let closes = end.time(TimeUnit::Millis)?;
    let mut facts = MarketFacts {
        condition: Some(condition.to_string()),
        labels: Some([text(up), text(down)]),
        question: Some(text(question)),
        event: Some(text(slug)),
        slug: Some(text(slug)),
        category: Some(text(category)),
        closes: Some(closes.to_string()),
        ..MarketFacts::default()
    };
    facts.assumed.insert(
        "resolution time".to_owned(),
        "not recorded; put at the market's end or its last book, whichever is later".to_owned(),
    );
    Ok((facts, condition, End { at: closes, yes_micros, last_book: Time::MIN }))
}

fn read_books(
    sink: &mut Sink,
    path: &Path,
    mut table: Table,
    sorter: &mut Sorter,
    ends: &mut BTreeMap<ConditionId, End>,
) -> Result<(), TapeError> {
    let mut positions = Vec::new();
    for name in ["market_id", "ts", "side", "bid_px", "bid_sz", "ask_px", "ask_sz"] {
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
        let mut snapped = 0;
        match book(sink, &cells, &mut snapped) {
            Ok((condition, arrival)) => {
                sink.certificate.snapped_floats += snapped;
                if let Some(end) = ends.get_mut(&condition) {
                    end.last_book = end.last_book.max(arrival.venue);
                }
                sorter.push(arrival)?;
            }
            Err(refusal) => {
                let place = table.place();
                sink.reject(path, &place, &refusal, &Cell::List(row).shown())?;
            }
        }
    }
}

fn book(
    sink: &Sink,
    cells: &[&Cell],
    snapped: &mut u64,
) -> Result<(ConditionId, Arrival), CellError> {
    let [id, time, side, bid_px, bid_sz, ask_px, ask_sz] = cells else {
        return Err(CellError::new("malformed", "a book row has seven cells"));
    };
    let condition: ConditionId = id
        .text()
        .unwrap_or("")
        .parse()
        .map_err(|error| CellError::new("bad_market", format!("{error}")))?;
    let outcome = match side.text() {
        Some("UP") => Outcome::Yes,
        Some("DOWN") => Outcome::No,
        _ => return Err(CellError::new("bad_side", format!("{} is no UP or DOWN", side.shown()))),
    };
    let token = sink.token_of(&condition, outcome).ok_or_else(|| {
        CellError::new("no_metadata", format!("market {condition} is not in the markets file"))
    })?;
    let fact = Fact::Snapshot {
        token,
        bids: levels(bid_px, bid_sz, snapped)?,
        asks: levels(ask_px, ask_sz, snapped)?,
    };
    Ok((condition, Arrival { received: None, venue: time.time(TimeUnit::Millis)?, fact }))
}

/// Two parallel lists as levels.
pub(crate) fn levels(
    prices: &Cell,
    sizes: &Cell,
    snapped: &mut u64,
) -> Result<Vec<(Price, Shares)>, CellError> {
    let empty = Vec::new();
    let list = |cell: &Cell| match cell {
        Cell::List(cells) => Some(cells.clone()),
        Cell::Null => Some(empty.clone()),
        _ => None,
    };
    let (Some(prices), Some(sizes)) = (list(prices), list(sizes)) else {
        return Err(CellError::new("bad_levels", "levels are not lists"));
    };
    if prices.len() != sizes.len() {
        let detail = format!("{} prices and {} sizes", prices.len(), sizes.len());
        return Err(CellError::new("bad_levels", detail));
    }
    let mut levels = Vec::with_capacity(prices.len());
    for (price, size) in prices.iter().zip(&sizes) {
        let (price, price_noise) = price.price(1)?;
        let (size, size_noise) = size.size(1)?;
        *snapped += u64::from(price_noise) + u64::from(size_noise);
        levels.push((price, size));
    }
    Ok(levels)
}
