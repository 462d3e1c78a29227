//! Reading segments in order, from one record to the next, without changing anything.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;

use crate::compaction::newer;
use crate::disk::Disk;
use crate::frame::{
    self, ALIGN, BadHead, FileKind, Found, Frame, Kind, SEGMENT_HEAD, SegmentHead, Seq,
};
use crate::names;
use crate::payload::{Ended, Malformed, RunRecord, decode_mark, decode_run};

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk refused.
    #[error("journal: {doing} {file} failed")]
    Io {
        /// As in `reading`.
        doing: &'static str,
        /// The file.
        file: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A newer program wrote it.
    #[error(
        "journal file {file} contains {what}, which this program does not know; use the program that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        file: String,
        /// What is unknown.
        what: String,
    },
    /// A record whose checksum is right and whose content is not.
    #[error("journal file {file}, record {seq}: its checksum is right and its content is not")]
    Malformed {
        /// The file.
        file: String,
        /// The record.
        seq: Seq,
        /// What is wrong.
        #[source]
        error: Malformed,
    },
    /// A row of the record log cannot be read.
    #[error(
        "record log {file}, byte {offset}: a row is damaged; the next start fills the newest months from the segments, an older file must be restored from a copy"
    )]
    LogRow {
        /// The file.
        file: String,
        /// Where in it, decompressed.
        offset: usize,
    },
}

impl ReadError {
    pub(crate) fn io(doing: &'static str, file: &str, error: io::Error) -> ReadError {
        ReadError::Io { doing, file: file.to_owned(), error }
    }
}

/// Where reading stopped before the end of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hole {
    /// Which of the walked segments.
    pub segment: usize,
    /// Where in it.
    pub offset: usize,
    /// Number of the record that should be there.
    pub seq: Seq,
    /// Why it is not.
    pub why: &'static str,
}

/// A segment that was walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walked {
    pub name: String,
    pub first: Seq,
    /// Where its last good record ends.
    pub good_end: usize,
    pub len: usize,
    /// Nothing in it belongs to the journal: an earlier recovery cut it.
    pub cut: bool,
    /// Its good records end before its bytes do.
    pub torn: bool,
}

/// What a walk found besides the records.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub segments: Vec<Walked>,
    /// The last good record.
    pub last: Seq,
    /// Run of the last good segment.
    pub run: u32,
    /// The highest run and number seen anywhere.
    pub seen_run: u32,
    pub seen: Seq,
    pub hole: Option<Hole>,
    /// The last segment has fewer bytes than were allocated and synced before it was used. A start shortens
    /// the last segment only when its own is there.
    pub short: bool,
}

/// What walking shows, in order.
pub(crate) enum Step<'a> {
    /// A good record with everything before it.
    Good { file: &'a str, run: u32, frame: Frame<'a> },
    /// A good record behind a hole.
    Behind { frame: Frame<'a> },
}

/// First records of the segments in the folder.
pub(crate) fn segments(disk: &dyn Disk) -> Result<Vec<Seq>, ReadError> {
    let files = disk.list("").map_err(|error| ReadError::io("listing", "its folder", error))?;
    let mut firsts: Vec<Seq> =
        files.iter().filter_map(|(name, _)| names::read_segment(name)).collect();
    firsts.sort();
    Ok(firsts)
}

/// Walks the segments `firsts`. `before`: records up to here need not be there; `run` is known to have begun.
pub(crate) fn walk(
    disk: &dyn Disk,
    firsts: &[Seq],
    before: Seq,
    run: u32,
    mut each: impl FnMut(Step<'_>) -> Result<ControlFlow<()>, ReadError>,
) -> Result<Walk, ReadError> {
    let mut walk = Walk { last: before, seen_run: run, ..Walk::default() };
    let mut number = 0;
    while let Some(first) = firsts.get(number) {
        let name = names::segment(*first);
        let bytes = read(disk, &name)?;
        walk.seen = walk.seen.max(*first);
        if number == 0 {
            walk.last = before.min(first.before());
        }
        let last = number + 1 == firsts.len();
        let ended = one(&mut walk, &name, *first, &bytes, [number == 0, last], &mut each)?;
        number += 1;
        match ended {
            One::Clean => {}
            One::Stopped => return Ok(walk),
            One::Hole(offset, why) => {
                if let Some(walked) = walk.segments.last_mut() {
                    walked.torn = true;
                }
                // A recovery that was here before has said where it went on.
                let next = going_on(disk, firsts.get(number..).unwrap_or_default(), &walk)?;
                if let Some(skipped) = next {
                    for first in firsts.get(number..number + skipped).unwrap_or_default() {
                        cut_away(disk, &mut walk, *first)?;
                    }
                    number += skipped;
                    continue;
                }
                let seq = walk.last.next();
                let segment = walk.segments.len().saturating_sub(1);
                walk.hole = Some(Hole { segment, offset, seq, why });
                let run = walk.run;
                scan(&mut walk, &name, &bytes, offset, run, &mut each)?;
                for first in firsts.get(number..).unwrap_or_default() {
                    scan_whole(disk, &mut walk, *first, &mut each)?;
                }
                return Ok(walk);
            }
        }
    }
    Ok(walk)
}

enum One {
    Clean,
    Stopped,
    Hole(usize, &'static str),
}

fn read(disk: &dyn Disk, name: &str) -> Result<Vec<u8>, ReadError> {
    disk.read(name).map_err(|error| ReadError::io("reading", name, error))
}

fn one(
    walk: &mut Walk,
    name: &str,
    first: Seq,
    bytes: &[u8],
    [first_walked, last]: [bool; 2],
    each: &mut impl FnMut(Step<'_>) -> Result<ControlFlow<()>, ReadError>,
) -> Result<One, ReadError> {
    let walked = Walked {
        name: name.to_owned(),
        first,
        good_end: 0,
        len: bytes.len(),
        cut: false,
        torn: false,
    };
    walk.segments.push(walked);
    let head = match head(name, bytes)? {
        Some(head) if head.first == first && head.run >= walk.run => head,
        Some(_) => return Ok(One::Hole(0, "the header is that of another segment")),
        None => return Ok(One::Hole(0, "no header")),
    };
    walk.seen_run = walk.seen_run.max(head.run);
    walk.short = last && (bytes.len() as u64) < head.size;
    let new_run = head.run > walk.run;
    let mut at = SEGMENT_HEAD;
    loop {
        let frame = match frame::read(bytes, at, head.run) {
            Found::Frame(frame) => frame,
            Found::Newer { kind, version } => return Err(newer_error(name, kind, version)),
            Found::Bad(why) => return Ok(One::Hole(at, why)),
            Found::End | Found::Zeros => {
                set_end(walk, at, head.run);
                let rest = bytes.get(at..).unwrap_or_default();
                return Ok(if !frame::zeros(rest) {
                    One::Hole(at, "zeros where a record should be")
                } else {
                    One::Clean
                });
            }
        };
        let begins = at == SEGMENT_HEAD;
        let link = Link { begins_run: new_run && begins, exact: !(begins && first_walked) };
        if !follows(name, walk.last, link, &frame)? {
            return Ok(One::Hole(at, "records are missing before this one"));
        }
        at += frame.whole.len();
        walk.last = frame.seq;
        walk.seen = walk.seen.max(walk.last);
        set_end(walk, at, head.run);
        if each(Step::Good { file: name, run: head.run, frame })?.is_break() {
            return Ok(One::Stopped);
        }
    }
}

fn set_end(walk: &mut Walk, at: usize, run: u32) {
    walk.run = run;
    if let Some(walked) = walk.segments.last_mut() {
        walked.good_end = at;
    }
}

fn head(name: &str, bytes: &[u8]) -> Result<Option<SegmentHead>, ReadError> {
    match SegmentHead::read(bytes, FileKind::Segment) {
        Ok(head) => Ok(Some(head)),
        Err(BadHead::Newer(version)) => {
            Err(ReadError::Newer { file: name.to_owned(), what: format!("file format {version}") })
        }
        Err(BadHead::Zeros | BadHead::Bad) => Ok(None),
    }
}

#[derive(Clone, Copy)]
struct Link {
    begins_run: bool,
    /// False where the walk begins: what came before is not there.
    exact: bool,
}

/// Whether nothing is missing between a record and the one before it.
fn follows(name: &str, last: Seq, link: Link, frame: &Frame<'_>) -> Result<bool, ReadError> {
    let malformed = |error| ReadError::Malformed { file: name.to_owned(), seq: frame.seq, error };
    match frame.kind {
        Kind::Run if link.begins_run => {
            let run = decode_run(frame.payload).map_err(malformed)?;
            return Ok(goes_on(&run, last) || !link.exact && run.after <= last);
        }
        Kind::Mark => {
            if let Some(gap) = decode_mark(frame.payload).map_err(malformed)?.dropped {
                let from = gap.from == last.next() || !link.exact && gap.from <= last;
                return Ok(from && gap.to.next() == frame.seq);
            }
        }
        _ => {}
    }
    Ok(frame.seq == last.next() && !(link.begins_run && link.exact))
}

/// Whether a run began with the state after this record. After damage a person has asked for it.
fn goes_on(run: &RunRecord, last: Seq) -> bool {
    run.after == last || run.ended == Ended::Rebuilt && run.after >= last
}

/// How many segments to skip until one whose run went on after the last good record.
fn going_on(disk: &dyn Disk, firsts: &[Seq], walk: &Walk) -> Result<Option<usize>, ReadError> {
    for (number, first) in firsts.iter().enumerate() {
        let name = names::segment(*first);
        let bytes = read(disk, &name)?;
        let Some(head) = head(&name, &bytes)? else { continue };
        if head.run <= walk.run {
            continue;
        }
        let Found::Frame(frame) = frame::read(&bytes, SEGMENT_HEAD, head.run) else { continue };
        let run = (frame.kind == Kind::Run).then(|| decode_run(frame.payload).ok()).flatten();
        if run.is_some_and(|run| goes_on(&run, walk.last)) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn cut_away(disk: &dyn Disk, walk: &mut Walk, first: Seq) -> Result<(), ReadError> {
    let name = names::segment(first);
    let len = read(disk, &name)?.len();
    walk.seen = walk.seen.max(first);
    walk.segments.push(Walked { name, first, good_end: 0, len, cut: true, torn: false });
    Ok(())
}

fn scan_whole(
    disk: &dyn Disk,
    walk: &mut Walk,
    first: Seq,
    each: &mut impl FnMut(Step<'_>) -> Result<ControlFlow<()>, ReadError>,
) -> Result<(), ReadError> {
    let name = names::segment(first);
    let bytes = read(disk, &name)?;
    walk.seen = walk.seen.max(first);
    let run = head(&name, &bytes)?.map_or(walk.run, |head| head.run);
    walk.seen_run = walk.seen_run.max(run);
    let len = bytes.len();
    walk.segments.push(Walked {
        name: name.clone(),
        first,
        good_end: 0,
        len,
        cut: true,
        torn: true,
    });
    scan(walk, &name, &bytes, SEGMENT_HEAD, run, each)
}

/// Shows every good record that begins somewhere behind a hole.
fn scan(
    walk: &mut Walk,
    name: &str,
    bytes: &[u8],
    offset: usize,
    run: u32,
    each: &mut impl FnMut(Step<'_>) -> Result<ControlFlow<()>, ReadError>,
) -> Result<(), ReadError> {
    // A header that was lost may have named the next run; the record that begins a run names it itself.
    let mut runs: BTreeSet<u32> =
        [run, walk.run, walk.seen_run, walk.seen_run.saturating_add(1)].into();
    let mut at = offset.max(SEGMENT_HEAD).next_multiple_of(ALIGN);
    while at < bytes.len() {
        let mut length = ALIGN;
        if frame::plausible(bytes, at, Seq(1)) {
            runs.extend(frame::payload(bytes, at, Kind::Run).and_then(run_of));
            for run in &runs {
                match frame::read(bytes, at, *run) {
                    Found::Frame(frame) => {
                        length = frame.whole.len();
                        walk.seen_run = walk.seen_run.max(*run);
                        walk.seen = walk.seen.max(frame.seq);
                        let _ = each(Step::Behind { frame })?;
                        break;
                    }
                    Found::Newer { kind, version } => {
                        return Err(newer_error(name, kind, version));
                    }
                    _ => {}
                }
            }
        }
        at += length;
    }
    Ok(())
}

/// The run that a `run` record names, whose checksum is not known to be right.
fn run_of(payload: &[u8]) -> Option<u32> {
    decode_run(payload).ok().map(|run| run.run)
}

fn newer_error(name: &str, kind: u16, version: u16) -> ReadError {
    ReadError::Newer { file: name.to_owned(), what: newer(kind, version) }
}
