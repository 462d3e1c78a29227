//! The record log: rows copied out of the segments, a file a month, never deleted.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::disk::{Disk, Op};
use crate::frame::{self, Found, Frame, HEAD, Kind, Seq};
use crate::names::{Month, RECORDS, TEMPORARY};
use crate::payload::Row;

/// Where the log has arrived: run, cause and ordinal of its last whole row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// Number of the run that wrote the row.
    pub run: u32,
    /// The record that caused it.
    pub seq: Seq,
    /// Its ordinal.
    pub n: u32,
}

/// Bytes copied with one write.
const MOST: usize = 1 << 20;

/// What is in the log and what is to come.
#[derive(Debug, Default)]
pub(crate) struct RecordLog {
    /// The file that is being written.
    open: Option<(Month, u64)>,
    /// Finished months that are not compressed yet.
    finished: Vec<Month>,
    latest_packed: Option<Month>,
    cursor: Cursor,
    /// The record of the last row.
    last: Seq,
    waiting: VecDeque<(Seq, Month, Vec<u8>)>,
    waiting_bytes: usize,
    copying: Option<Copy>,
}

#[derive(Debug)]
struct Copy {
    month: Month,
    end: u64,
    rows: usize,
    last: Seq,
    cursor: Cursor,
}

impl RecordLog {
    /// Reads where the log has arrived, and what is to be mended: a torn last row, files that are not complete.
    pub(crate) fn open(disk: &dyn Disk) -> io::Result<(RecordLog, Vec<Op>)> {
        let (mut plain, mut packed, mut mend) = (Vec::new(), Vec::new(), Vec::new());
        for (name, _) in disk.list(RECORDS)? {
            match Month::read(&name) {
                Some((month, true)) => packed.push(month),
                Some((month, false)) => plain.push(month),
                None if name.ends_with(TEMPORARY) => {
                    mend.push(Op::Remove { name: format!("{RECORDS}/{name}") });
                }
                None => {}
            }
        }
        plain.sort();
        packed.sort();
        let mut log = RecordLog { latest_packed: packed.last().copied(), ..RecordLog::default() };
        for month in packed.iter().rev().take(1) {
            log.arrive(&unpacked(disk, *month)?);
        }
        for month in &plain {
            if packed.contains(month) {
                // The compressed file was read back and synced; its name may be in memory only.
                mend.push(Op::SyncFolder { folder: RECORDS.to_owned() });
                mend.push(Op::Remove { name: month.log() });
                continue;
            }
            let bytes = disk.read(&month.log())?;
            let end = log.arrive(&bytes);
            if end < bytes.len() {
                mend.push(Op::Truncate { name: month.log(), len: end as u64 });
            }
            // What was read may be in memory only, and the next compaction says that it is in the log.
            mend.push(Op::Sync { name: month.log() });
            if let Some((finished, _)) = log.open.replace((*month, end as u64)) {
                log.finished.push(finished);
            }
        }
        if !plain.is_empty() || !packed.is_empty() {
            mend.push(Op::SyncFolder { folder: RECORDS.to_owned() });
        }
        Ok((log, mend))
    }

    /// Goes through rows; where the last whole one ends.
    fn arrive(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some((frame, run, row)) = row_at(bytes, at) {
            at += frame.whole.len();
            self.last = frame.seq;
            self.cursor = Cursor { run, seq: row.cause, n: row.n };
        }
        at
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The record of the last row that is in the log.
    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    /// Rows up to here are in the log, when everything up to `absorbed` was added.
    pub(crate) fn logged(&self, absorbed: Seq) -> Seq {
        self.waiting.front().map_or(absorbed, |(seq, ..)| seq.before())
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Adds a row that was written to a segment.
    pub(crate) fn add(&mut self, frame: &Frame<'_>) {
        let Ok((_, row)) = Row::decode(frame.payload) else { return };
        if frame.seq <= self.last {
            return;
        }
        self.waiting_bytes += frame.whole.len();
        self.waiting.push_back((frame.seq, Month::of_ms(row.at_ms), frame.whole.to_vec()));
    }

    /// The month a row is filed under: months only go forward, whatever a clock says.
    fn month(&self, of_row: Month) -> Month {
        let open = self.open.map(|(month, _)| month);
        let after = self.latest_packed.map(Month::next);
        of_row.max(open.or(after).unwrap_or(of_row)).max(after.unwrap_or(of_row))
    }

    /// Whether there is a row to copy.
    pub(crate) fn is_ready(&self, synced: Seq) -> bool {
        self.waiting.front().is_some_and(|(first, ..)| *first <= synced)
    }

    /// Operations that copy the next rows, all of them synced up to `synced`.
    pub(crate) fn copy(&mut self, synced: Seq) -> Option<VecDeque<Op>> {
        let (first, month, _) = self.waiting.front()?;
        if *first > synced {
            return None;
        }
        let month = self.month(*month);
        let (mut bytes, mut rows, mut last) = (Vec::new(), 0, Seq::ZERO);
        for (seq, of_row, frame) in &self.waiting {
            let other = self.month(*of_row) > month;
            if *seq > synced || other || bytes.len() + frame.len() > MOST && rows > 0 {
                break;
            }
            bytes.extend_from_slice(frame);
            (rows, last) = (rows + 1, *seq);
        }
        let (name, mut ops) = (month.log(), VecDeque::new());
        let offset = match self.open {
            Some((open, offset)) if open == month => offset,
            _ => {
                ops.push_back(Op::Create { name: name.clone(), len: 0 });
                ops.push_back(Op::SyncFolder { folder: RECORDS.to_owned() });
                0
            }
        };
        let mut walk = RecordLog::default();
        walk.arrive(&bytes);
        let end = offset + bytes.len() as u64;
        self.copying = Some(Copy { month, end, rows, last, cursor: walk.cursor });
        let range = 0..bytes.len();
        ops.push_back(Op::Write { name: name.clone(), offset, bytes: Arc::new(bytes), range });
        ops.push_back(Op::Sync { name });
        Some(ops)
    }

    /// The operations of [`RecordLog::copy`] are done.
    pub(crate) fn copied(&mut self) {
        let Some(copy) = self.copying.take() else { return };
        for (_, _, frame) in self.waiting.drain(..copy.rows.min(self.waiting.len())) {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(frame.len());
        }
        let before = self.open.replace((copy.month, copy.end));
        if let Some((month, _)) = before.filter(|(month, _)| *month != copy.month) {
            self.finished.push(month);
        }
        (self.last, self.cursor) = (copy.last, copy.cursor);
    }

    /// Operations that compress a finished month.
    pub(crate) fn compress(&self) -> Option<VecDeque<Op>> {
        let month = self.finished.first()?;
        let (from, to) = (month.log(), month.packed());
        let temporary = format!("{to}{TEMPORARY}");
        let folder = RECORDS.to_owned();
        Some(VecDeque::from([
            Op::Compress { from: from.clone(), to: temporary.clone() },
            Op::Sync { name: temporary.clone() },
            Op::Rename { from: temporary, to },
            Op::SyncFolder { folder: folder.clone() },
            Op::Remove { name: from },
            Op::SyncFolder { folder },
        ]))
    }

    /// The operations of [`RecordLog::compress`] are done.
    pub(crate) fn compressed(&mut self) {
        if !self.finished.is_empty() {
            let month = self.finished.remove(0);
            self.latest_packed = self.latest_packed.max(Some(month));
        }
    }
}

/// The row at an offset of a month's bytes.
pub(crate) fn row_at(bytes: &[u8], at: usize) -> Option<(Frame<'_>, u32, Row<'_>)> {
    let run = Row::run_of(bytes.get(at + HEAD..)?);
    let Found::Frame(frame) = frame::read(bytes, at, run) else { return None };
    let (run, row) = Row::decode(frame.payload).ok().filter(|_| frame.kind == Kind::Record)?;
    Some((frame, run, row))
}

/// A compressed month's bytes.
pub(crate) fn unpacked(disk: &dyn Disk, month: Month) -> io::Result<Vec<u8>> {
    let packed = disk.read(&month.packed())?;
    zstd::stream::decode_all(packed.as_slice()).map_err(|error| {
        io::Error::new(error.kind(), format!("{} cannot be decompressed: {error}", month.packed()))
    })
}
