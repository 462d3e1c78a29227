//! A wallet's account at one time: a ZIP archive of two CSV files.

use std::collections::BTreeMap;
use std::io::Read;

use polydesk_domain::Time;
use rust_decimal::Decimal;

use super::{Data, with_user};
use crate::gamma::fetch;
use crate::limits::Group;
use crate::{ApiError, wire};

const PATH: &str = "/v1/accounting/snapshot";
/// The most a file may hold after decompression.
const LARGEST: u64 = 64 << 20;

impl Data {
    /// What a wallet holds and is worth, all at the same time (`positions.csv`, `equity.csv`).
    pub async fn accounting_snapshot(&self, wallet: &str) -> Result<AccountingSnapshot, ApiError> {
        let query = with_user(wallet, Vec::new());
        let (http, limits) = (&self.http, &self.limits);
        let answer = fetch(http, limits, &self.base, PATH, Group::Data, &query).await?;
        AccountingSnapshot::read(answer.body).map_err(|error| ApiError::Malformed {
            to: format!("GET {PATH}"),
            error: error.to_string(),
            excerpt: String::new(),
        })
    }
}

/// A wallet's account at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountingSnapshot {
    /// What it holds.
    pub positions: Vec<SnapshotPosition>,
    /// What it is worth.
    pub equity: Option<Equity>,
    /// The archive as it came, to be filed.
    pub archive: Vec<u8>,
}

/// A row of `positions.csv`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SnapshotPosition {
    /// Condition id.
    pub condition_id: String,
    /// Token id.
    pub asset: String,
    /// Shares.
    pub size: Option<Decimal>,
    /// pUSD per share.
    pub cur_price: Option<Decimal>,
    /// When.
    pub valuation_time: Option<Time>,
}

/// The row of `equity.csv`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Equity {
    /// pUSD.
    pub cash_balance: Option<Decimal>,
    /// pUSD: size by price, over all positions.
    pub positions_value: Option<Decimal>,
    /// pUSD: both.
    pub equity: Option<Decimal>,
    /// When.
    pub valuation_time: Option<Time>,
}

/// Why an archive cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// No ZIP, or one of another kind.
    #[error("not a ZIP archive this client can read: {0}")]
    Archive(&'static str),
    /// A file is missing.
    #[error("the archive has no {0}")]
    Missing(&'static str),
    /// A column is missing, or a row has fewer cells than there are columns.
    #[error("{file}: a row without {column}")]
    Column {
        /// Which file.
        file: &'static str,
        /// Which column.
        column: &'static str,
    },
    /// A value is no number or time.
    #[error("{file}: {column} is {value:?}")]
    Value {
        /// Which file.
        file: &'static str,
        /// Which column.
        column: &'static str,
        /// As written.
        value: String,
    },
}

impl AccountingSnapshot {
    /// Reads an archive, fetched or filed.
    pub fn read(archive: Vec<u8>) -> Result<AccountingSnapshot, SnapshotError> {
        let positions = unpack(&archive, "positions.csv")?;
        let equity = unpack(&archive, "equity.csv")?;
        let mut snapshot = AccountingSnapshot { archive, ..AccountingSnapshot::default() };
        for row in rows(&positions, "positions.csv") {
            snapshot.positions.push(SnapshotPosition {
                condition_id: row.text("conditionId")?,
                asset: row.text("asset")?,
                size: row.number("size")?,
                cur_price: row.number("curPrice")?,
                valuation_time: row.time("valuationTime")?,
            });
        }
        if let Some(row) = rows(&equity, "equity.csv").first() {
            snapshot.equity = Some(Equity {
                cash_balance: row.number("cashBalance")?,
                positions_value: row.number("positionsValue")?,
                equity: row.number("equity")?,
                valuation_time: row.time("valuationTime")?,
            });
        }
        Ok(snapshot)
    }
}

/// A row by the names of its columns.
struct Row<'a> {
    file: &'static str,
    cells: BTreeMap<&'a str, &'a str>,
}

impl Row<'_> {
    fn cell(&self, column: &'static str) -> Result<&str, SnapshotError> {
        let cell = self.cells.get(column).copied();
        cell.ok_or(SnapshotError::Column { file: self.file, column })
    }
    fn text(&self, column: &'static str) -> Result<String, SnapshotError> {
        self.cell(column).map(str::to_owned)
    }
    fn read<T>(
        &self,
        column: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SnapshotError> {
        let cell = self.cell(column)?;
        if cell.is_empty() {
            return Ok(None);
        }
        let value = || cell.chars().take(60).collect();
        read(cell).map(Some).ok_or_else(|| SnapshotError::Value {
            file: self.file,
            column,
            value: value(),
        })
    }
    fn number(&self, column: &'static str) -> Result<Option<Decimal>, SnapshotError> {
        self.read(column, wire::decimal)
    }
    fn time(&self, column: &'static str) -> Result<Option<Time>, SnapshotError> {
        self.read(column, wire::time)
    }
}

/// Ids, numbers and times only: no cell has a comma of its own.
fn rows<'a>(text: &'a str, file: &'static str) -> Vec<Row<'a>> {
    let cells = |line: &'a str| line.split(',').map(|cell| cell.trim().trim_matches('"'));
    let mut lines =
        text.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty());
    let Some(head) = lines.next() else { return Vec::new() };
    lines.map(|line| Row { file, cells: cells(head).zip(cells(line)).collect() }).collect()
}

/// A file of an archive: found in the central directory, checked by its sum.
fn unpack(archive: &[u8], name: &'static str) -> Result<String, SnapshotError> {
    let bad = SnapshotError::Archive;
    let cut = || bad("it is cut off");
    let short = |at: usize| {
        let bytes = archive.get(at..)?.get(..2)?;
        Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)))
    };
    let long = |at: usize| {
        let bytes = archive.get(at..)?.get(..4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    // The end record is last, except for a comment.
    let end = archive.windows(4).rposition(|bytes| bytes == b"PK\x05\x06");
    let end = end.ok_or(bad("no central directory"))?;
    let entries = short(end + 10).ok_or_else(cut)?;
    let mut at = long(end + 16).ok_or_else(cut)? as usize;
    for _ in 0..entries {
        if archive.get(at..).is_none_or(|rest| !rest.starts_with(b"PK\x01\x02")) {
            return Err(bad("no entry where one should be"));
        }
        let field = |offset: usize| short(at + offset).ok_or_else(cut);
        let wide = |offset: usize| long(at + offset).ok_or_else(cut);
        let (method, sum, packed, local) = (field(10)?, wide(16)?, wide(20)?, wide(42)? as usize);
        let (name_length, extra, comment) = (field(28)?, field(30)?, field(32)?);
        let found = archive.get(at + 46..).and_then(|rest| rest.get(..name_length));
        let found = found.ok_or_else(cut)?;
        at += 46 + name_length + extra + comment;
        if found != name.as_bytes() {
            continue;
        }
        let skip = |offset: usize| short(local.saturating_add(offset)).ok_or_else(cut);
        let start = local + 30 + skip(26)? + skip(28)?;
        let packed = archive.get(start..).and_then(|rest| rest.get(..packed as usize));
        let packed = packed.ok_or_else(cut)?;
        let mut plain = Vec::new();
        let read = match method {
            0 => packed.take(LARGEST + 1).read_to_end(&mut plain),
            8 => {
                flate2::read::DeflateDecoder::new(packed).take(LARGEST + 1).read_to_end(&mut plain)
            }
            _ => return Err(bad("an unknown kind of compression")),
        };
        if read.is_err() || plain.len() as u64 > LARGEST {
            return Err(bad("a file cannot be decompressed, or is too large"));
        }
        let mut crc = flate2::Crc::new();
        crc.update(&plain);
        if crc.sum() != sum {
            return Err(bad("a file does not have its sum"));
        }
        return String::from_utf8(plain).map_err(|_| bad("a file is no text"));
    }
    Err(SnapshotError::Missing(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        let path = "/../../fixtures/wire/data_v1_accounting_snapshot.zip";
        std::fs::read([env!("CARGO_MANIFEST_DIR"), path].concat()).unwrap()
    }

    #[test]
    fn an_archive_is_read_to_the_cent() {
        let snapshot = AccountingSnapshot::read(sample()).unwrap();
        let decimal = |text: &str| Some(text.parse::<Decimal>().unwrap());
        let sizes: Vec<_> = snapshot.positions.iter().map(|p| (p.size, p.cur_price)).collect();
        assert_eq!(sizes, [(decimal("120.5"), decimal("0.4")), (decimal("10"), decimal("0.0645"))]);
        let equity = snapshot.equity.unwrap();
        assert_eq!(equity.equity, decimal("173.845"));
        assert_eq!(equity.valuation_time, Time::parse("2026-10-01T08:00:00Z"));
        assert_eq!(snapshot.archive, sample());
    }

    #[test]
    fn a_file_that_is_no_archive_is_refused_with_the_reason() {
        let whole = sample();
        let mut renamed = whole.clone();
        let at = renamed.windows(10).rposition(|bytes| bytes == b"equity.csv").unwrap();
        renamed[at] = b'E';
        for (bytes, error) in [
            (Vec::new(), SnapshotError::Archive("no central directory")),
            (b"{\"error\":\"x\"}".to_vec(), SnapshotError::Archive("no central directory")),
            (whole[..60].to_vec(), SnapshotError::Archive("no central directory")),
            (renamed, SnapshotError::Missing("equity.csv")),
        ] {
            assert_eq!(AccountingSnapshot::read(bytes), Err(error));
        }
    }

    #[test]
    fn a_row_without_a_column_is_no_wallet_without_a_size() {
        let read = |text: &str| {
            let table = rows(text, "positions.csv");
            table.iter().map(|row| row.number("size")).collect::<Result<Vec<_>, _>>()
        };
        let missing = Err(SnapshotError::Column { file: "positions.csv", column: "size" });
        assert_eq!(read("\u{feff}size,asset\n1.5,7"), Ok(vec![Some(Decimal::new(15, 1))]));
        assert_eq!(read("asset,size\n7,"), Ok(vec![None]), "empty is not missing");
        assert_eq!(read("asset,size\n7"), missing);
        assert_eq!(read("asset,shares\n7,1"), missing);
        assert_eq!(read("asset,size"), Ok(vec![]));
    }

    proptest! {
        /// Damage is found or harmless, and never a panic.
        #[test]
        fn damaged_archives_panic_nowhere(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            length in any::<prop::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = sample();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cut {
                bytes.truncate(length.index(bytes.len()));
            }
            let _ = AccountingSnapshot::read(bytes);
        }
    }
}
