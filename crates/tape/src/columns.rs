//! Reads one partition file of a tape row by row, holding one row group and one batch.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::checksum::ReadCheck;
use crate::row::TapeRow;
use crate::{TapeError, schema};

/// Rows decoded at once.
const BATCH: usize = 512;

/// The bytes of one row group with their place in the file.
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl Window {
    fn cut(&self, start: u64, length: Option<usize>) -> Result<Bytes, ParquetError> {
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let range = from.map(|from| match length {
            Some(length) => from..from.saturating_add(length),
            None => from..self.bytes.len(),
        });
        match range {
            Some(range) if range.start <= range.end && range.end <= self.bytes.len() => {
                Ok(self.bytes.slice(range))
            }
            _ => Err(ParquetError::EOF(format!("byte {start} is outside the row group"))),
        }
    }
}

impl ChunkReader for Window {
    type T = bytes::buf::Reader<Bytes>;
    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.cut(start, None)?.reader())
    }
    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.cut(start, Some(length))
    }
}

/// The column readers of one row group.
struct Group {
    longs: [ColumnReaderImpl<Int64Type>; 4],
    ints: [ColumnReaderImpl<Int32Type>; 6],
    payload: Option<ColumnReaderImpl<ByteArrayType>>,
    left: usize,
}

/// One decoded batch; `longs` are at, venue_at, seq, size; `ints` the small columns in file order.
#[derive(Default)]
struct Batch {
    longs: [Vec<i64>; 4],
    ints: [Vec<i32>; 6],
    levels: Vec<i16>,
    payloads: Vec<ByteArray>,
    next_payload: usize,
    next: usize,
    rows: usize,
}

/// A partition file, read in order.
pub(crate) struct PartReader {
    pub path: PathBuf,
    file: File,
    metadata: Arc<ParquetMetaData>,
    group: usize,
    open: Option<Group>,
    batch: Batch,
    /// The checksum of its bytes, until its end is reached.
    check: Option<ReadCheck>,
    /// Positions of the long and small columns in the file.
    longs: [usize; 4],
    ints: [usize; 6],
    payload: usize,
}

impl PartReader {
    /// `checksum`: what its bytes are to hash to when its end is reached; absent: they are not hashed.
    pub fn open(path: &Path, checksum: Option<String>) -> Result<PartReader, TapeError> {
        let mut file = File::open(path).map_err(TapeError::io(path, "opening"))?;
        let metadata = ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .map_err(|error| TapeError::corrupt(path, "its footer", describe(error)))?;
        schema::check_version(path, metadata.file_metadata().key_value_metadata())?;
        let descriptor = metadata.file_metadata().schema_descr();
        let named: Vec<&str> = descriptor.columns().iter().map(|column| column.name()).collect();
        if named != schema::COLUMNS {
            let problem = format!("columns {named:?} are not those of a tape");
            return Err(TapeError::corrupt(path, "its schema", problem));
        }
        file.seek(SeekFrom::Start(0)).map_err(TapeError::io(path, "reading"))?;
        Ok(PartReader {
            path: path.to_owned(),
            file,
            metadata: Arc::new(metadata),
            group: 0,
            open: None,
            batch: Batch::default(),
            check: checksum.map(ReadCheck::new),
            longs: [0, 1, 2, 7],
            ints: [3, 4, 5, 6, 8, 9],
            payload: 10,
        })
    }

    /// The sequence number of the next row, or None at the end.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<u64>, TapeError> {
        if self.batch.next == self.batch.rows && !self.refill()? {
            return Ok(None);
        }
        Ok(Some(self.batch.longs[2][self.batch.next] as u64))
    }

    /// Writes the row that `peek` announced, and hands over its payload.
    #[inline]
    pub fn take(&mut self, row: &mut TapeRow) -> Option<ByteArray> {
        let i = self.batch.next;
        let batch = &mut self.batch;
        batch.next += 1;
        let [at, venue_at, seq, size] = &batch.longs;
        let [kind, outcome, side, price, best_bid, best_ask] = &batch.ints;
        *row = TapeRow {
            at: at[i],
            venue_at: venue_at[i],
            seq: seq[i] as u64,
            size: size[i] as u64,
            price: narrow(price[i]),
            best_bid: narrow(best_bid[i]),
            best_ask: narrow(best_ask[i]),
            kind: u8::try_from(kind[i]).unwrap_or(u8::MAX),
            outcome: i8::try_from(outcome[i]).unwrap_or(i8::MAX),
            side: i8::try_from(side[i]).unwrap_or(i8::MAX),
        };
        if batch.levels.get(i) != Some(&1) {
            return None;
        }
        let payload = batch.payloads.get(batch.next_payload).cloned();
        batch.next_payload += 1;
        payload
    }

    #[cold]
    fn refill(&mut self) -> Result<bool, TapeError> {
        loop {
            if self.open.as_ref().is_none_or(|group| group.left == 0) {
                self.open = None;
                if self.group >= self.metadata.num_row_groups() {
                    return self.check_bytes().map(|()| false);
                }
                let group = self.group;
                self.group += 1;
                self.open = Some(self.open_group(group)?);
            }
            let Some(group) = &mut self.open else { return Ok(false) };
            if group.left == 0 {
                continue;
            }
            let place = format!("row group {}", self.group - 1);
            let batch = &mut self.batch;
            // The decoders of the library assert on some damaged pages: that must not end the program.
            // Neither batch nor group is used again after it.
            let filled = std::panic::catch_unwind(AssertUnwindSafe(|| batch.fill(group)));
            let problem = match filled {
                Ok(Ok(())) => return Ok(true),
                Ok(Err(error)) => describe(error),
                Err(_) => "its pages cannot be decoded".to_owned(),
            };
            (self.batch, self.open) = (Batch::default(), None);
            self.group = usize::MAX;
            return Err(TapeError::corrupt(&self.path, place, problem));
        }
    }

    /// At the end of the file: whether its bytes are what the manifest says.
    fn check_bytes(&mut self) -> Result<(), TapeError> {
        let Some(check) = self.check.take() else { return Ok(()) };
        let differs = check.differs(&mut self.file);
        let Some((found, stated)) = differs.map_err(TapeError::io(&self.path, "reading"))? else {
            return Ok(());
        };
        let problem =
            format!("its bytes hash to {found}, the manifest says {stated}: copy it again");
        Err(TapeError::corrupt(&self.path, "its checksum", problem))
    }

    fn open_group(&mut self, index: usize) -> Result<Group, TapeError> {
        let place = || format!("row group {index}");
        let metadata = self.metadata.clone();
        let group = metadata.row_group(index);
        for column in group.columns() {
            let size = column.uncompressed_size();
            if usize::try_from(size).is_ok_and(|size| size <= schema::MAX_COLUMN) {
                continue;
            }
            let (name, most) = (column.column_descr().name(), schema::MAX_COLUMN);
            let problem = format!("column {name} unpacks to {size} bytes, at most {most} are read");
            return Err(TapeError::corrupt(&self.path, place(), problem));
        }
        let ranges: Vec<(u64, u64)> =
            group.columns().iter().map(|column| column.byte_range()).collect();
        let start = ranges.iter().map(|(start, _)| *start).min().unwrap_or(0);
        let end = ranges.iter().map(|(start, length)| start + length).max().unwrap_or(0);
        let size = self.file.metadata().map_err(TapeError::io(&self.path, "reading"))?.len();
        if end > size {
            let problem = format!("it ends at byte {end}, the file at {size}: cut short");
            return Err(TapeError::corrupt(&self.path, place(), problem));
        }
        let mut bytes = vec![0; (end - start) as usize];
        self.file.seek(SeekFrom::Start(start)).map_err(TapeError::io(&self.path, "reading"))?;
        self.file.read_exact(&mut bytes).map_err(TapeError::io(&self.path, "reading"))?;
        if let Some(check) = &mut self.check {
            let taken = check.part(&mut self.file, start, &bytes);
            taken.map_err(|error| TapeError::corrupt(&self.path, place(), error))?;
        }
        let window = Arc::new(Window { start, bytes: bytes.into() });
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = |column: usize| -> Result<Box<dyn PageReader>, TapeError> {
            let reader =
                SerializedPageReader::new(window.clone(), group.column(column), rows, None)
                    .map_err(|error| TapeError::corrupt(&self.path, place(), describe(error)))?;
            Ok(Box::new(reader))
        };
        let long = |i: usize| {
            let column = self.longs[i];
            pages(column)
                .map(|pages| ColumnReaderImpl::new(group.column(column).column_descr_ptr(), pages))
        };
        let int = |i: usize| {
            let column = self.ints[i];
            pages(column)
                .map(|pages| ColumnReaderImpl::new(group.column(column).column_descr_ptr(), pages))
        };
        let payload = group.column(self.payload);
        let nulls = payload.statistics().and_then(|statistics| statistics.null_count_opt());
        let payload = if nulls == Some(group.num_rows() as u64) {
            None
        } else {
            Some(ColumnReaderImpl::new(payload.column_descr_ptr(), pages(self.payload)?))
        };
        Ok(Group {
            longs: [long(0)?, long(1)?, long(2)?, long(3)?],
            ints: [int(0)?, int(1)?, int(2)?, int(3)?, int(4)?, int(5)?],
            payload,
            left: rows,
        })
    }
}

impl Batch {
    fn fill(&mut self, group: &mut Group) -> Result<(), ParquetError> {
        let want = group.left.min(BATCH);
        let short = |what: &str, got: usize| {
            ParquetError::EOF(format!("{what} has {got} rows where {want} were expected"))
        };
        (self.next, self.rows, self.next_payload) = (0, 0, 0);
        for (values, column) in self.longs.iter_mut().zip(&mut group.longs) {
            values.clear();
            while values.len() < want {
                let before = values.len();
                column.read_records(want - before, None, None, values)?;
                if values.len() == before {
                    return Err(short("a column", before));
                }
            }
        }
        for (values, column) in self.ints.iter_mut().zip(&mut group.ints) {
            values.clear();
            while values.len() < want {
                let before = values.len();
                column.read_records(want - before, None, None, values)?;
                if values.len() == before {
                    return Err(short("a column", before));
                }
            }
        }
        self.levels.clear();
        self.payloads.clear();
        if let Some(column) = &mut group.payload {
            while self.levels.len() < want {
                let before = self.levels.len();
                let levels = Some(&mut self.levels);
                column.read_records(want - before, levels, None, &mut self.payloads)?;
                if self.levels.len() == before {
                    return Err(short("payload", before));
                }
            }
        }
        group.left -= want;
        self.rows = want;
        Ok(())
    }
}

/// A file made elsewhere may hold anything: what does not fit becomes a value that is refused.
#[inline]
fn narrow(value: i32) -> i16 {
    i16::try_from(value).unwrap_or(i16::MAX)
}

/// The library's message without its own prefix.
fn describe(error: ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::EOF(text) => text,
        other => other.to_string(),
    }
}
