//! For tools: every record of the segments and every row of the record log, in order, without a lock.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::disk::Disk;
use crate::frame::{Frame, Seq};
use crate::names::{Month, RECORDS};
use crate::pack::unpack;
use crate::rows::{Cursor, may_be_written, row_at};
use crate::walk::{ReadError, Step, segments, walk};

/// A record and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct ReadRecord<'a> {
    /// The segment.
    pub file: &'a str,
    /// The run that wrote it.
    pub run: u32,
    /// The record; its payload is as the kinds of [`Payload`](crate::Payload) say.
    pub frame: Frame<'a>,
}

/// Where reading ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadEnd {
    /// The last good record.
    pub last: Seq,
    /// Why reading stopped there, if not because the records end. While the journal is written this may be a
    /// record that was on its way.
    pub hole: Option<&'static str>,
}

/// Reads the records of all segments in order, from the one that contains `from` on, until `each` breaks.
///
/// Nothing is locked or changed; the journal may be written meanwhile.
///
/// # Errors
/// A journal that is newer than the program, or a disk that refuses; a segment that is removed meanwhile is
/// such a refusal.
pub fn read_records(
    disk: &dyn Disk,
    from: Seq,
    mut each: impl FnMut(ReadRecord<'_>) -> ControlFlow<()>,
) -> Result<ReadEnd, ReadError> {
    let firsts = segments(disk)?;
    let start = firsts.iter().rposition(|first| *first <= from).unwrap_or(0);
    let firsts = firsts.get(start..).unwrap_or_default();
    // What the first segment begins with is good by definition: older ones may have been removed.
    let before = firsts.first().map_or(Seq::ZERO, |first| first.before());
    let walk = walk(disk, firsts, before, 0, |step| {
        Ok(match step {
            Step::Good { file, run, frame } if frame.seq >= from => {
                each(ReadRecord { file, run, frame })
            }
            _ => ControlFlow::Continue(()),
        })
    })?;
    Ok(ReadEnd { last: walk.last, hole: walk.hole.map(|hole| hole.why) })
}

/// A row of the record log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its place.
    pub at: Cursor,
    /// The record of the journal that it was.
    pub seq: Seq,
    /// Engine time in milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// The row, as the owner encoded it.
    pub body: Vec<u8>,
}

struct OpenMonth {
    file: String,
    bytes: Vec<u8>,
    /// Where the next row begins.
    at: usize,
    /// The last row of it.
    last: Seq,
}

/// All rows of the record log, month by month, compressed or not. Damage is an error and ends them; only the last
/// month may end in a row that is not whole, because it may be being written.
pub struct LogRows<'a> {
    disk: &'a dyn Disk,
    months: VecDeque<(Month, bool)>,
    month: Option<OpenMonth>,
}

/// Opens the record log to read.
///
/// # Errors
/// The disk cannot list it.
pub fn read_log(disk: &dyn Disk) -> Result<LogRows<'_>, ReadError> {
    let files = disk.list(RECORDS).map_err(|error| ReadError::io("listing", RECORDS, error))?;
    let mut months: Vec<(Month, bool)> =
        files.iter().filter_map(|(name, _)| Month::read(name)).collect();
    // A month that is in both forms is whole in the compressed one, which comes first.
    months.sort_by_key(|(month, packed)| (*month, !packed));
    months.dedup_by_key(|(month, _)| *month);
    Ok(LogRows { disk, months: months.into(), month: None })
}

impl LogRows<'_> {
    fn open(&mut self, month: Month, packed: bool) -> Result<(), ReadError> {
        let file = if packed { month.packed() } else { month.log() };
        let error = |error| ReadError::io("reading", &file, error);
        let bytes = self.disk.read(&file).map_err(error)?;
        let bytes = if packed { unpack(&bytes).map_err(error)? } else { bytes };
        self.month = Some(OpenMonth { file, bytes, at: 0, last: Seq::ZERO });
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<LogRow>, ReadError> {
        loop {
            if let Some(OpenMonth { file, bytes, at, last }) = &mut self.month {
                if let Some((frame, run, row)) = row_at(bytes, *at) {
                    *at += frame.whole.len();
                    *last = frame.seq;
                    let at = Cursor { run, seq: row.cause, n: row.n };
                    let (at_ms, body) = (row.at_ms, row.body.to_vec());
                    return Ok(Some(LogRow { at, seq: frame.seq, at_ms, body }));
                }
                // The last month may end in a row that is being written; the others are finished.
                let written = self.months.is_empty() && may_be_written(bytes, *at, *last);
                if *at < bytes.len() && !written {
                    return Err(ReadError::LogRow { file: file.clone(), offset: *at });
                }
            }
            self.month = None;
            let Some((month, packed)) = self.months.pop_front() else { return Ok(None) };
            self.open(month, packed)?;
        }
    }
}

impl Iterator for LogRows<'_> {
    type Item = Result<LogRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_row().transpose();
        if let Some(Err(_)) = row {
            // What follows a damaged place cannot be told from it.
            (self.month, self.months) = (None, VecDeque::new());
        }
        row
    }
}
