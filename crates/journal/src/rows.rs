//! The rows in a month's bytes, and the places between them where a row cannot be read.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::frame::{self, ALIGN, Found, Frame, HEAD, Kind, Seq};
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

/// Bytes between good rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Where they are in the month's bytes.
    pub at: Range<usize>,
    /// The last good row before them, of this or an earlier month.
    pub prev: Seq,
    /// The next good row, of this or a later month.
    pub next: Option<Seq>,
    /// The rows of the segments that belong here.
    pub rows: BTreeMap<Seq, Vec<u8>>,
    /// How many rows the segments have of this place.
    pub found: usize,
    /// The bytes are the beginning of rows that the segments have: the run ended while it wrote them.
    pub torn: bool,
    /// Neither the log nor the segments are known to have every row that was here.
    pub lost: bool,
}

/// What a month's bytes contain.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The first good row.
    pub first: Option<Seq>,
    /// The last good row, its place, and where it ends.
    pub last: Option<(Seq, Cursor)>,
    pub end: usize,
    /// The highest run that a row names.
    pub run: u32,
    pub gaps: Vec<Gap>,
}

/// Goes through a month's bytes; `prev` is the last row before them. Behind a damaged row it goes on at the next
/// place where a good one begins.
pub(crate) fn scan(bytes: &[u8], prev: Seq) -> Scan {
    let mut scan = Scan::default();
    let mut prev = prev;
    let mut bad: Option<usize> = None;
    let mut at = 0;
    while at < bytes.len() {
        // Behind damage anything may look like a row: only a later one is taken for it.
        let tried = bad.is_none() || frame::plausible(bytes, at, prev.next());
        let found = tried.then(|| row_at(bytes, at)).flatten();
        let Some((frame, run, row)) = found else {
            bad.get_or_insert(at);
            at += ALIGN;
            continue;
        };
        if let Some(from) = bad.take() {
            scan.gaps.push(gap(from..at, prev, Some(frame.seq)));
        }
        at += frame.whole.len();
        prev = frame.seq;
        scan.first.get_or_insert(prev);
        scan.last = Some((prev, Cursor { run, seq: row.cause, n: row.n }));
        scan.run = scan.run.max(run);
        scan.end = at;
    }
    if let Some(from) = bad {
        scan.gaps.push(gap(from..bytes.len(), prev, None));
    }
    scan
}

pub(crate) fn gap(at: Range<usize>, prev: Seq, next: Option<Seq>) -> Gap {
    Gap { at, prev, next, rows: BTreeMap::new(), found: 0, torn: false, lost: false }
}

/// The row at an offset of a month's bytes.
pub(crate) fn row_at(bytes: &[u8], at: usize) -> Option<(Frame<'_>, u32, Row<'_>)> {
    let run = Row::run_of(bytes.get(at + HEAD..)?);
    let Found::Frame(frame) = frame::read(bytes, at, run) else { return None };
    let (run, row) = Row::decode(frame.payload).ok().filter(|_| frame.kind == Kind::Record)?;
    Some((frame, run, row))
}

/// A month's rows without those whose body is not kept; `None` where a row cannot be read.
pub(crate) fn kept(bytes: &[u8], keep: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let (mut left, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let (frame, _, row) = row_at(bytes, at)?;
        if keep(row.body) {
            left.extend_from_slice(frame.whole);
        }
        at += frame.whole.len();
    }
    Some(left)
}

/// Whether the bytes behind the last good row can be a row that is being written: nothing, zeros, or a head that
/// announces more bytes than there are.
pub(crate) fn may_be_written(bytes: &[u8], at: usize, prev: Seq) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    if frame::zeros(rest) || rest.len() < HEAD {
        return true;
    }
    let kind = frame::u16_at(rest, 16) == Kind::Record.code();
    let later = frame::u64_at(rest, 8) > prev.0;
    kind && later && frame::length(rest) > rest.len() && scan(bytes, Seq::ZERO).end <= at
}
