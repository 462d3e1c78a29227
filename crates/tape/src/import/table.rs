//! Any other Parquet or CSV table, through a declarative column map.
//!
//! ```toml
//! sort = false                                  # true: sort by time (rows are stored otherwise)
//! time = { column = "timestamp", unit = "ms" }  # s, ms, us, ns or rfc3339: the venue's time
//! received = { column = "local_ts", unit = "us" }           # optional
//! token = { column = "asset_id" }               # or { fixed = "123" }, or with words = { UP = "123" }
//! kind = { fixed = "level" }                    # or { column = "type", words = { trade = "print" } }
//! side = { column = "side", buy = ["BID"], sell = ["ASK"] } # words optional, or { fixed = "buy" }
//! price = { column = "price", scale = 1 }       # scale: units of the column per dollar
//! size = { column = "size", scale = 1000000 }   # units of the column per share
//! best_bid = "best_bid"                         # optional
//! best_ask = "best_ask"
//! bids = "bids"                                 # snapshots: [[price, size], …] or [{price, size}, …]
//! bid_prices = "bid_px"                         # or parallel lists, with bid_sizes and so on
//! ```
//! Kinds are `level`, `print`, `best`, `snapshot`, `resolved` (the price is what a share of the token pays) and
//! `skip`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use polydesk_domain::{Outcome, Price, Shares, Side};
use serde::Deserialize;

use super::cells::{Cell, CellError, TimeUnit, side_word};
use super::fact::{Arrival, Fact};
use super::files::Table;
use super::frames::stated;
use super::resolvedkit::levels as parallel;
use super::sink::Sink;
use super::sort::Sorter;
use crate::TapeError;
use crate::overlay::Overlay;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeColumn {
    column: String,
    unit: TimeUnit,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenColumn {
    column: Option<String>,
    fixed: Option<String>,
    #[serde(default)]
    words: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RowKind {
    Level,
    Print,
    Best,
    Snapshot,
    Resolved,
    Skip,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindColumn {
    column: Option<String>,
    fixed: Option<RowKind>,
    #[serde(default)]
    words: BTreeMap<String, RowKind>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SideColumn {
    column: Option<String>,
    fixed: Option<Side>,
    #[serde(default)]
    buy: Vec<String>,
    #[serde(default)]
    sell: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberColumn {
    column: String,
    #[serde(default = "one")]
    scale: u64,
}

const fn one() -> u64 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMap {
    #[serde(default)]
    sort: bool,
    time: TimeColumn,
    received: Option<TimeColumn>,
    token: TokenColumn,
    kind: KindColumn,
    side: Option<SideColumn>,
    price: Option<NumberColumn>,
    size: Option<NumberColumn>,
    best_bid: Option<String>,
    best_ask: Option<String>,
    bids: Option<String>,
    asks: Option<String>,
    bid_prices: Option<String>,
    bid_sizes: Option<String>,
    ask_prices: Option<String>,
    ask_sizes: Option<String>,
}

/// A column map, read and checked.
#[derive(Debug)]
pub(crate) struct ColumnMap(RawMap);

impl ColumnMap {
    /// Reads a map.
    pub fn read(path: &Path) -> Result<ColumnMap, TapeError> {
        let text = std::fs::read_to_string(path).map_err(TapeError::io(path, "reading"))?;
        let map: RawMap = toml::from_str(&text)
            .map_err(|error| TapeError::corrupt(path, "its TOML", error.to_string().trim_end()))?;
        let either = |key: &str, column: bool, fixed: bool| {
            if column != fixed {
                return Ok(());
            }
            let value = if column { "both column and fixed" } else { "neither column nor fixed" };
            Err(TapeError::setting(path, key, value, "state exactly one of the two"))
        };
        either("token", map.token.column.is_some(), map.token.fixed.is_some())?;
        either("kind", map.kind.column.is_some(), map.kind.fixed.is_some())?;
        if let Some(side) = &map.side {
            either("side", side.column.is_some(), side.fixed.is_some())?;
        }
        for (key, number) in [("price", &map.price), ("size", &map.size)] {
            if number.as_ref().is_some_and(|number| number.scale == 0) {
                let rule = "it must be at least 1: units of the column per dollar or share";
                return Err(TapeError::setting(path, format!("{key}.scale"), 0, rule));
            }
        }
        let kinds: Vec<RowKind> =
            map.kind.fixed.iter().chain(map.kind.words.values()).copied().collect();
        let needed = |kind: RowKind, key: &str, there: bool| {
            if there || !kinds.contains(&kind) {
                return Ok(());
            }
            let rule = format!("rows of kind {kind:?} need it").to_lowercase();
            Err(TapeError::setting(path, key, "missing", rule))
        };
        for kind in [RowKind::Level, RowKind::Print] {
            needed(kind, "price", map.price.is_some())?;
            needed(kind, "size", map.size.is_some())?;
            needed(kind, "side", map.side.is_some())?;
        }
        needed(RowKind::Resolved, "price", map.price.is_some())?;
        needed(RowKind::Best, "best_bid", map.best_bid.is_some() && map.best_ask.is_some())?;
        let lists = map.bids.is_some() && map.asks.is_some();
        let apart = map.bid_prices.is_some()
            && map.bid_sizes.is_some()
            && map.ask_prices.is_some()
            && map.ask_sizes.is_some();
        needed(RowKind::Snapshot, "bids", lists || apart)?;
        Ok(ColumnMap(map))
    }

    /// Whether the table has receive times.
    pub fn has_receive_time(&self) -> bool {
        self.0.received.is_some()
    }
}

/// Positions of the columns of one table.
struct Places {
    time: usize,
    received: Option<usize>,
    token: Option<usize>,
    kind: Option<usize>,
    side: Option<usize>,
    price: Option<usize>,
    size: Option<usize>,
    best: Option<[usize; 2]>,
    lists: Option<[usize; 2]>,
    apart: Option<[usize; 4]>,
}

impl Places {
    fn find(map: &RawMap, table: &Table) -> Result<Places, TapeError> {
        let optional = |name: &Option<String>| match name {
            Some(name) => table.column(name).map(Some),
            None => Ok(None),
        };
        let number = |column: &Option<NumberColumn>| match column {
            Some(number) => table.column(&number.column).map(Some),
            None => Ok(None),
        };
        let pair = |one: &Option<String>, two: &Option<String>| {
            Ok::<_, TapeError>(match (optional(one)?, optional(two)?) {
                (Some(one), Some(two)) => Some([one, two]),
                _ => None,
            })
        };
        let bids = pair(&map.bid_prices, &map.bid_sizes)?;
        let asks = pair(&map.ask_prices, &map.ask_sizes)?;
        Ok(Places {
            time: table.column(&map.time.column)?,
            received: match &map.received {
                Some(received) => Some(table.column(&received.column)?),
                None => None,
            },
            token: optional(&map.token.column)?,
            kind: optional(&map.kind.column)?,
            side: match &map.side {
                Some(side) => optional(&side.column)?,
                None => None,
            },
            price: number(&map.price)?,
            size: number(&map.size)?,
            best: pair(&map.best_bid, &map.best_ask)?,
            lists: pair(&map.bids, &map.asks)?,
            apart: match (bids, asks) {
                (Some([bp, bs]), Some([ap, az])) => Some([bp, bs, ap, az]),
                _ => None,
            },
        })
    }
}

pub(crate) fn import(
    sink: &mut Sink,
    files: &[PathBuf],
    overlay: &Overlay,
    map: &ColumnMap,
) -> Result<(), TapeError> {
    for market in overlay.markets()? {
        sink.add_market(market);
    }
    let mut sorter = Sorter::new();
    for path in files {
        let mut table = Table::open(path)?;
        let places = Places::find(&map.0, &table)?;
        loop {
            let row = match table.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(cut) => {
                    sink.truncated(cut);
                    break;
                }
            };
            sink.read(1);
            let mut snapped = 0;
            match read_row(sink, &map.0, &places, &row, &mut snapped) {
                Ok(Some(arrival)) => {
                    sink.certificate.snapped_floats += snapped;
                    if map.0.sort { sorter.push(arrival)? } else { sink.push(arrival)? }
                }
                Ok(None) => (),
                Err(refusal) if refusal.reason == "unknown_kind" => {
                    sink.unknown_kind(&refusal.detail);
                }
                Err(refusal) => {
                    let place = table.place();
                    sink.reject(path, &place, &refusal, &Cell::List(row).shown())?;
                }
            }
        }
    }
    sorter.drain(|arrival| sink.push(arrival))
}

fn read_row(
    sink: &Sink,
    map: &RawMap,
    places: &Places,
    row: &[Cell],
    snapped: &mut u64,
) -> Result<Option<Arrival>, CellError> {
    let kind = match (places.kind, map.kind.fixed) {
        (Some(place), _) => {
            let word = row[place].text().map_or_else(|| row[place].shown(), str::to_owned);
            match map.kind.words.get(&word) {
                Some(kind) => *kind,
                None => return Err(CellError::new("unknown_kind", word)),
            }
        }
        (None, Some(kind)) => kind,
        (None, None) => return Err(CellError::new("malformed", "no kind is stated")),
    };
    if kind == RowKind::Skip {
        return Ok(None);
    }
    let token = match (places.token, &map.token.fixed) {
        (Some(place), _) => {
            let word = row[place].text().unwrap_or("");
            match map.token.words.get(word) {
                Some(id) => Cell::Text(id.clone()).token()?,
                None => row[place].token()?,
            }
        }
        (None, Some(id)) => Cell::Text(id.clone()).token()?,
        (None, None) => return Err(CellError::new("bad_token", "no token is stated")),
    };
    let missing = |what: &str| CellError::new("malformed", format!("no column for {what}"));
    let fact = match kind {
        RowKind::Level | RowKind::Print => {
            let side = read_side(map, places, row)?;
            let (price, size) = read_amounts(map, places, row, snapped)?;
            if kind == RowKind::Print {
                Fact::Print { token, side, price, size }
            } else {
                let top = match places.best {
                    Some([bid, ask]) if !(row[bid].is_absent() && row[ask].is_absent()) => {
                        Some(stated(&row[bid], &row[ask])?)
                    }
                    _ => None,
                };
                Fact::Level { token, side, price, size, top }
            }
        }
        RowKind::Best => {
            let [bid, ask] = places.best.ok_or_else(|| missing("best prices"))?;
            Fact::Best { token, top: stated(&row[bid], &row[ask])? }
        }
        RowKind::Resolved => {
            let (Some(price), Some(column)) = (places.price, &map.price) else {
                return Err(missing("what it pays"));
            };
            let (pays, noise) = row[price].price(column.scale)?;
            *snapped += u64::from(noise);
            let Some((condition, outcome)) = sink.market_of(&token) else {
                let detail = format!("token {token} belongs to no market of the overlay");
                return Err(CellError::new("no_metadata", detail));
            };
            let pays = if outcome == Outcome::Yes { pays } else { pays.complement() };
            // A unit of a price is a hundred micro-dollars.
            Fact::Resolved { condition, yes_micros: u32::from(pays.units()) * 100 }
        }
        RowKind::Snapshot | RowKind::Skip => {
            let (bids, asks) = read_levels(places, row, snapped)?;
            Fact::Snapshot { token, bids, asks }
        }
    };
    let received = match (&map.received, places.received) {
        (Some(column), Some(place)) => Some(row[place].time(column.unit)?),
        _ => None,
    };
    Ok(Some(Arrival { received, venue: row[places.time].time(map.time.unit)?, fact }))
}

fn read_side(map: &RawMap, places: &Places, row: &[Cell]) -> Result<Side, CellError> {
    let Some(column) = &map.side else {
        return Err(CellError::new("bad_side", "no side is stated"));
    };
    let Some(place) = places.side else {
        return column.fixed.ok_or_else(|| CellError::new("bad_side", "no side is stated"));
    };
    let word = row[place].text().map_or_else(|| row[place].shown(), str::to_owned);
    if column.buy.contains(&word) {
        Ok(Side::Buy)
    } else if column.sell.contains(&word) {
        Ok(Side::Sell)
    } else if column.buy.is_empty() && column.sell.is_empty() {
        side_word(&word)
    } else {
        Err(CellError::new("bad_side", format!("{word:?} is in neither list of side words")))
    }
}

fn read_amounts(
    map: &RawMap,
    places: &Places,
    row: &[Cell],
    snapped: &mut u64,
) -> Result<(Price, Shares), CellError> {
    let (Some(price), Some(size)) = (places.price, places.size) else {
        return Err(CellError::new("malformed", "no columns for price and size"));
    };
    let scale = |column: &Option<NumberColumn>| column.as_ref().map_or(1, |column| column.scale);
    let (price, price_noise) = row[price].price(scale(&map.price))?;
    let (size, size_noise) = row[size].size(scale(&map.size))?;
    *snapped += u64::from(price_noise) + u64::from(size_noise);
    Ok((price, size))
}

type Levels = Vec<(Price, Shares)>;

fn read_levels(
    places: &Places,
    row: &[Cell],
    snapped: &mut u64,
) -> Result<(Levels, Levels), CellError> {
    if let Some([bids, asks]) = places.lists {
        let (bids, bid_noise) = row[bids].levels()?;
        let (asks, ask_noise) = row[asks].levels()?;
        *snapped += bid_noise + ask_noise;
        return Ok((bids, asks));
    }
    let Some([bid_prices, bid_sizes, ask_prices, ask_sizes]) = places.apart else {
        return Err(CellError::new("malformed", "no columns for levels"));
    };
    let bids = parallel(&row[bid_prices], &row[bid_sizes], snapped)?;
    Ok((bids, parallel(&row[ask_prices], &row[ask_sizes], snapped)?))
}
