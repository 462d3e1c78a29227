//! Opens source files: compression by content, lines with their places, tables row by row.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, reader::RowIter};
use sha2::{Digest, Sha256};

use super::cells::Cell;
use crate::{TapeError, Truncation};

/// Most bytes of a line or a whole document; larger input is refused.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The last part of a path: what certificates and rejects show.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "?".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// SHA-256 of a file's bytes in hex.
pub(crate) fn file_hash(path: &Path) -> Result<String, TapeError> {
    let mut file = File::open(path).map_err(TapeError::io(path, "opening"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = file.read(&mut buffer).map_err(TapeError::io(path, "reading"))?;
        if n == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&buffer[..n]);
    }
}

/// Opens a text file; gzip and zstd are recognised by their first bytes, not by the file name.
pub(crate) fn open_text(path: &Path) -> Result<Box<dyn BufRead>, TapeError> {
    let file = File::open(path).map_err(TapeError::io(path, "opening"))?;
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let start = reader.fill_buf().map_err(TapeError::io(path, "reading"))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(reader))));
    }
    if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)
            .map_err(TapeError::io(path, "decompressing"))?;
        decoder.window_log_max(31).map_err(TapeError::io(path, "decompressing"))?;
        return Ok(Box::new(BufReader::new(decoder)));
    }
    Ok(Box::new(reader))
}

/// Runs a step of the Parquet library, which asserts where damaged bytes should be an error.
fn guarded<T>(step: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("damaged bytes: {}", text.unwrap_or_default())
    })
}

/// A whole (decompressed) document. What could be read before a damage is returned with it.
pub(crate) fn read_document(path: &Path) -> Result<(Vec<u8>, Option<Truncation>), TapeError> {
    let mut bytes = Vec::new();
    let outcome = open_text(path)?.take(MOST_BYTES).read_to_end(&mut bytes);
    let cut = outcome.err().map(|error| Truncation {
        file: file_name(path),
        place: format!("byte {} of the decompressed text", bytes.len()),
        problem: error.to_string(),
    });
    Ok((bytes, cut))
}

/// The lines of a file with their places.
pub(crate) struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    pub line: u64,
    pub offset: u64,
}

impl Lines {
    pub fn open(path: &Path) -> Result<Lines, TapeError> {
        Ok(Lines { path: path.to_owned(), reader: open_text(path)?, line: 0, offset: 0 })
    }

    /// Reads the next line into `buffer` (without its end); false at the end of the file.
    ///
    /// A last line without an end is returned too: whether it is whole shows when it is parsed.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> Result<bool, Truncation> {
        buffer.clear();
        let before = self.offset;
        let read = (&mut self.reader).take(MOST_BYTES).read_until(b'\n', buffer);
        self.line += 1;
        let cut = |problem: String, line: u64| Truncation {
            file: file_name(&self.path),
            place: format!("line {line}, byte {before} of the decompressed text"),
            problem,
        };
        match read {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.offset += n as u64;
                while matches!(buffer.last(), Some(b'\n' | b'\r')) {
                    buffer.pop();
                }
                if n as u64 == MOST_BYTES {
                    return Err(cut("a line longer than 256 MiB".to_owned(), self.line));
                }
                Ok(true)
            }
            Err(error) => Err(cut(error.to_string(), self.line)),
        }
    }
}

/// A table read row by row: Parquet, or CSV with a header.
pub(crate) struct Table {
    path: PathBuf,
    pub columns: Vec<String>,
    body: Body,
    pub row: u64,
}

enum Body {
    Parquet(Box<RowIter<'static>>),
    Csv(Lines),
}

impl Table {
    /// Opens a table; Parquet is recognised by its first bytes.
    pub fn open(path: &Path) -> Result<Table, TapeError> {
        let mut file = File::open(path).map_err(TapeError::io(path, "opening"))?;
        let mut magic = [0; 4];
        let parquet = file.read_exact(&mut magic).is_ok() && &magic == b"PAR1";
        if parquet { Table::open_parquet(path, file) } else { Table::open_csv(path) }
    }

    fn open_parquet(path: &Path, file: File) -> Result<Table, TapeError> {
        let corrupt = |place: &str, error: &dyn std::fmt::Display| {
            TapeError::corrupt(path, place, error.to_string())
        };
        let reader = guarded(|| SerializedFileReader::new(file))
            .map_err(|error| corrupt("its footer", &error))?
            .map_err(|error| corrupt("its footer (cut short?)", &error))?;
        let schema = reader.metadata().file_metadata().schema();
        let columns = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let rows = guarded(|| RowIter::from_file_into(Box::new(reader)))
            .map_err(|error| corrupt("its schema", &error))?;
        Ok(Table { path: path.to_owned(), columns, body: Body::Parquet(Box::new(rows)), row: 0 })
    }

    fn open_csv(path: &Path) -> Result<Table, TapeError> {
        let mut lines = Lines::open(path)?;
        let header = match csv_record(&mut lines) {
            Ok(Some(header)) => header,
            Ok(None) => return Err(TapeError::corrupt(path, "line 1", "no header: it is empty")),
            Err(cut) => return Err(TapeError::corrupt(path, cut.place, cut.problem)),
        };
        let columns = header
            .into_iter()
            .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        Ok(Table { path: path.to_owned(), columns, body: Body::Csv(lines), row: 0 })
    }

    /// The position of a column.
    ///
    /// # Errors
    /// It is not there; the error lists those that are.
    pub fn column(&self, name: &str) -> Result<usize, TapeError> {
        self.columns.iter().position(|known| known == name).ok_or_else(|| {
            TapeError::corrupt(
                &self.path,
                "its columns",
                format!("no column {name:?}; it has {}", self.columns.join(", ")),
            )
        })
    }

    /// The next row, its cells in the order of the columns.
    pub fn next(&mut self) -> Result<Option<Vec<Cell>>, Truncation> {
        self.row += 1;
        match &mut self.body {
            Body::Parquet(rows) => match guarded(|| rows.next()) {
                Ok(None) => Ok(None),
                Ok(Some(Ok(row))) => {
                    Ok(Some(row.into_columns().into_iter().map(|(_, field)| cell(field)).collect()))
                }
                Ok(Some(Err(error))) => Err(self.cut(error.to_string())),
                Err(problem) => Err(self.cut(problem)),
            },
            Body::Csv(lines) => {
                let record = csv_record(lines)?;
                Ok(record.map(|fields| {
                    let mut cells: Vec<Cell> = fields.into_iter().map(Cell::Text).collect();
                    cells.resize(self.columns.len(), Cell::Null);
                    cells
                }))
            }
        }
    }

    fn cut(&self, problem: String) -> Truncation {
        let place = format!("row {}", self.row);
        Truncation { file: file_name(&self.path), place, problem }
    }

    /// Where the row just read stands.
    pub fn place(&self) -> String {
        match &self.body {
            Body::Parquet(_) => format!("row {}", self.row),
            Body::Csv(lines) => format!("line {}", lines.line),
        }
    }
}

/// One record of a CSV file: quotes may hold commas, doubled quotes and line ends.
fn csv_record(lines: &mut Lines) -> Result<Option<Vec<String>>, Truncation> {
    let mut buffer = Vec::new();
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    loop {
        if !lines.next(&mut buffer)? {
            // An open quote at the end of the file: what is there is given out.
            return Ok((quoted || !fields.is_empty()).then(|| {
                fields.push(std::mem::take(&mut field));
                fields
            }));
        }
        if buffer.is_empty() && !quoted && fields.is_empty() {
            continue;
        }
        let text = String::from_utf8_lossy(&buffer);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (quoted, c) {
                (true, '"') if chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                (_, '"') => quoted = !quoted,
                (false, ',') => fields.push(std::mem::take(&mut field)),
                (_, c) => field.push(c),
            }
        }
        if !quoted {
            fields.push(field);
            return Ok(Some(fields));
        }
        field.push('\n');
    }
}

fn cell(field: Field) -> Cell {
    match field {
        Field::Null => Cell::Null,
        Field::Bool(flag) => Cell::Text(flag.to_string()),
        Field::Byte(value) => Cell::Int(value.into()),
        Field::Short(value) => Cell::Int(value.into()),
        Field::Int(value) => Cell::Int(value.into()),
        Field::Long(value) => Cell::Int(value.into()),
        Field::UByte(value) => Cell::Int(value.into()),
        Field::UShort(value) => Cell::Int(value.into()),
        Field::UInt(value) => Cell::Int(value.into()),
        Field::ULong(value) => Cell::Int(value.into()),
        Field::Float16(value) => Cell::Float(value.to_f64()),
        Field::Float(value) => Cell::Float(value.into()),
        Field::Double(value) => Cell::Float(value),
        Field::Decimal(decimal) => decimal_text(decimal.data(), decimal.scale()),
        Field::Str(text) => Cell::Text(text),
        Field::Bytes(bytes) => Cell::Text(String::from_utf8_lossy(bytes.data()).into_owned()),
        Field::Date(days) => Cell::Instant(i64::from(days).saturating_mul(86_400_000_000_000)),
        Field::TimeMillis(millis) => Cell::Int(millis.into()),
        Field::TimeMicros(micros) => Cell::Int(micros.into()),
        Field::TimestampMillis(millis) => Cell::Instant(millis.saturating_mul(1_000_000)),
        Field::TimestampMicros(micros) => Cell::Instant(micros.saturating_mul(1_000)),
        Field::Group(row) => Cell::Record(
            row.into_columns().into_iter().map(|(name, field)| (name, cell(field))).collect(),
        ),
        Field::ListInternal(list) => {
            Cell::List(list.elements().iter().map(|field| cell(field.clone())).collect())
        }
        Field::MapInternal(_) => Cell::Null,
    }
}

/// A big-endian two's complement number with a decimal scale, as exact text.
fn decimal_text(bytes: &[u8], scale: i32) -> Cell {
    if bytes.len() > 16 || bytes.is_empty() {
        return Cell::Null;
    }
    let mut value: i128 = if bytes[0] & 0x80 != 0 { -1 } else { 0 };
    for byte in bytes {
        value = value << 8 | i128::from(*byte);
    }
    match rust_decimal::Decimal::try_from_i128_with_scale(value, scale.max(0) as u32) {
        Ok(decimal) => Cell::Text(decimal.normalize().to_string()),
        Err(_) => Cell::Null,
    }
}
