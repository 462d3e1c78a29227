//! Cells of source tables, and how each becomes a price, a size, a time or an id, or is refused.

use polydesk_domain::{NumError, Price, Shares, Side, Time, TokenId};
use rust_decimal::Decimal;

/// Why a row is refused: a stable code and the details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellError {
    pub reason: &'static str,
    pub detail: String,
}

impl CellError {
    pub fn new(reason: &'static str, detail: impl Into<String>) -> CellError {
        CellError { reason, detail: detail.into() }
    }
}

fn number(reason: &'static str) -> impl Fn(NumError) -> CellError {
    move |error| CellError::new(reason, error.to_string())
}

/// One value of a source table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i128),
    Float(f64),
    Text(String),
    /// Nanoseconds since the epoch, where the file's schema types it as a time.
    Instant(i64),
    List(Vec<Cell>),
    Record(Vec<(String, Cell)>),
}

/// The unit of a number that means a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum TimeUnit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "us")]
    Micros,
    #[serde(rename = "ns")]
    Nanos,
    #[serde(rename = "rfc3339")]
    Rfc3339,
}

impl TimeUnit {
    const fn nanos(self) -> i64 {
        match self {
            TimeUnit::Seconds => 1_000_000_000,
            TimeUnit::Millis => 1_000_000,
            TimeUnit::Micros => 1_000,
            TimeUnit::Nanos | TimeUnit::Rfc3339 => 1,
        }
    }
}

/// 2018-01-01 and 2100-01-01: prediction markets on this venue exist in between.
const SANE: std::ops::Range<i64> = 1_514_764_800_000_000_000..4_102_444_800_000_000_000;

fn sane(nanos: i64, shown: &str) -> Result<Time, CellError> {
    if SANE.contains(&nanos) {
        Ok(Time::from_nanos(nanos))
    } else {
        Err(CellError::new("bad_time", format!("{shown} is not between the years 2018 and 2100")))
    }
}

impl Cell {
    /// The value as text, for rejects.
    pub fn shown(&self) -> String {
        match self {
            Cell::Null => "null".to_owned(),
            Cell::Int(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Text(text) => format!("{text:?}"),
            Cell::Instant(nanos) => format!("\"{}\"", Time::from_nanos(*nanos)),
            Cell::List(cells) => {
                let cells: Vec<String> = cells.iter().map(Cell::shown).collect();
                format!("[{}]", cells.join(","))
            }
            Cell::Record(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, cell)| format!("{name:?}:{}", cell.shown()))
                    .collect();
                format!("{{{}}}", fields.join(","))
            }
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Cell::Null) || matches!(self, Cell::Text(text) if text.trim().is_empty())
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A decimal number, exact; floats are not decimal and give None.
    fn decimal(&self) -> Option<Decimal> {
        match self {
            Cell::Int(value) => Decimal::try_from_i128_with_scale(*value, 0).ok(),
            Cell::Text(text) => parse_decimal(text),
            _ => None,
        }
    }

    /// A price; `scale` is how many of the column's units make a dollar. The flag reports float noise.
    pub fn price(&self, scale: u64) -> Result<(Price, bool), CellError> {
        let bad = number("bad_price");
        match self {
            Cell::Float(value) => Price::from_recorded_f64(value / scale as f64).map_err(bad),
            // Text of a float (0.30000000000000004) is snapped like the float it came from.
            Cell::Text(text) if text.len() > 8 && scale == 1 => match text.trim().parse::<f64>() {
                Ok(value) => Price::from_recorded_f64(value).map_err(bad),
                Err(_) => Err(CellError::new("bad_price", format!("{text:?} is not a number"))),
            },
            other => match other.decimal() {
                Some(value) => Price::try_from(value / Decimal::from(scale))
                    .map(|price| (price, false))
                    .map_err(bad),
                None => {
                    Err(CellError::new("bad_price", format!("{} is not a number", other.shown())))
                }
            },
        }
    }

    /// A size; `scale` is how many of the column's units make a share. The flag reports float noise.
    pub fn size(&self, scale: u64) -> Result<(Shares, bool), CellError> {
        let bad = number("bad_size");
        match self {
            Cell::Float(value) => Shares::from_recorded_f64(value / scale as f64).map_err(bad),
            other => match other.decimal() {
                Some(value) => match Shares::try_from(value / Decimal::from(scale)) {
                    Ok(size) => Ok((size, false)),
                    Err(NumError::TooFine { .. }) => {
                        use rust_decimal::prelude::ToPrimitive as _;
                        let float = (value / Decimal::from(scale)).to_f64().unwrap_or(f64::NAN);
                        Shares::from_recorded_f64(float).map_err(bad)
                    }
                    Err(error) => Err(bad(error)),
                },
                None => {
                    Err(CellError::new("bad_size", format!("{} is not a number", other.shown())))
                }
            },
        }
    }

    /// A time, checked for sanity.
    pub fn time(&self, unit: TimeUnit) -> Result<Time, CellError> {
        let bad = || CellError::new("bad_time", format!("{} is not a time", self.shown()));
        let nanos = match self {
            Cell::Instant(nanos) => *nanos,
            Cell::Int(value) => i64::try_from(*value)
                .ok()
                .and_then(|value| value.checked_mul(unit.nanos()))
                .ok_or_else(bad)?,
            Cell::Float(value) if value.is_finite() && value.abs() < 1e18 => {
                // Float seconds of this century are exact to a quarter of a microsecond.
                let micros = (value * (unit.nanos() as f64 / 1e3)).round();
                if micros.abs() > 9e15 {
                    return Err(bad());
                }
                micros as i64 * 1_000
            }
            Cell::Text(text) if unit == TimeUnit::Rfc3339 => {
                Time::parse(text).ok_or_else(bad)?.nanos()
            }
            Cell::Text(_) => {
                use rust_decimal::prelude::ToPrimitive as _;
                let scaled = self
                    .decimal()
                    .and_then(|value| value.checked_mul(Decimal::from(unit.nanos())))
                    .and_then(|value| value.trunc().to_i64());
                scaled.ok_or_else(bad)?
            }
            _ => return Err(bad()),
        };
        sane(nanos, &self.shown())
    }

    /// A token id, as text or (short ones only) a number.
    pub fn token(&self) -> Result<TokenId, CellError> {
        let text = match self {
            Cell::Text(text) => text.trim().to_owned(),
            Cell::Int(value) => value.to_string(),
            other => {
                let detail = format!("{} is not a token id; read it as text", other.shown());
                return Err(CellError::new("bad_token", detail));
            }
        };
        text.parse().map_err(|error| CellError::new("bad_token", format!("{error}")))
    }

    /// Pairs of price and size from `[[p, s], …]`, `[{price, size}, …]`, or JSON text of either.
    pub fn levels(&self) -> Result<(Vec<(Price, Shares)>, u64), CellError> {
        let bad = |detail: String| CellError::new("bad_levels", detail);
        let parsed;
        let cells = match self {
            Cell::List(cells) => cells,
            Cell::Null => return Ok((Vec::new(), 0)),
            Cell::Text(text) => {
                let value: serde_json::Value =
                    serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
                parsed = Cell::from(&value);
                match &parsed {
                    Cell::List(cells) => cells,
                    other => return Err(bad(format!("{} is no list", other.shown()))),
                }
            }
            other => return Err(bad(format!("{} is no list", other.shown()))),
        };
        let mut noisy = 0;
        let mut levels = Vec::with_capacity(cells.len());
        for cell in cells {
            let (price, size) = match cell {
                Cell::List(pair) if pair.len() == 2 => (&pair[0], &pair[1]),
                Cell::Record(fields) => {
                    let field = |name: &str| {
                        fields.iter().find(|(known, _)| known == name).map(|(_, cell)| cell)
                    };
                    match (field("price"), field("size")) {
                        (Some(price), Some(size)) => (price, size),
                        _ => return Err(bad(format!("{} has no price and size", cell.shown()))),
                    }
                }
                other => return Err(bad(format!("{} is no level", other.shown()))),
            };
            let (price, price_noise) = price.price(1)?;
            let (size, size_noise) = size.size(1)?;
            noisy += u64::from(price_noise) + u64::from(size_noise);
            levels.push((price, size));
        }
        Ok((levels, noisy))
    }
}

impl From<&serde_json::Value> for Cell {
    fn from(value: &serde_json::Value) -> Cell {
        match value {
            serde_json::Value::Null => Cell::Null,
            serde_json::Value::Bool(flag) => Cell::Text(flag.to_string()),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(value) => Cell::Int(i128::from(value)),
                None => number.as_f64().map_or(Cell::Null, Cell::Float),
            },
            serde_json::Value::String(text) => Cell::Text(text.clone()),
            serde_json::Value::Array(items) => Cell::List(items.iter().map(Cell::from).collect()),
            serde_json::Value::Object(fields) => Cell::Record(
                fields.iter().map(|(name, value)| (name.clone(), Cell::from(value))).collect(),
            ),
        }
    }
}

/// Decimal text as the venue and exporters write it: `.48`, `1e-3` and surrounding space included.
pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    text.parse::<Decimal>().ok().or_else(|| Decimal::from_scientific(text).ok())
}

/// Which way, by the words exporters use.
pub(crate) fn side_word(text: &str) -> Result<Side, CellError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "buy" | "bid" | "b" | "bids" => Ok(Side::Buy),
        "sell" | "ask" | "s" | "a" | "asks" => Ok(Side::Sell),
        _ => Err(CellError::new("bad_side", format!("{text:?} is neither a buy nor a sell"))),
    }
}
