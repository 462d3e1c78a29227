//! Damage of the record log: what the segments still have is filled in, what is damaged is kept aside, and what
//! neither has is named. Looks at the log only; what the state needs of the segments is not its business.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use crate::disk::{Disk, Op};
use crate::frame::{self, Kind, Seq};
use crate::names::{self, RECORDS, TEMPORARY};
use crate::record_log::{DamagedMonth, RecordLog};
use crate::rows::Gap;
use crate::walk::{ReadError, Step, walk};

/// Fills the gaps of the log from the segments `firsts`, whose records are part of the journal up to `upto`.
pub(crate) fn fill(
    disk: &dyn Disk,
    firsts: &[Seq],
    upto: Seq,
    log: &mut RecordLog,
) -> Result<(), ReadError> {
    let Some(from) = gaps(log).map(|gap| gap.prev).min() else { return Ok(()) };
    let start = firsts.iter().rposition(|first| *first <= from.next()).unwrap_or(0);
    let firsts = firsts.get(start..).unwrap_or_default();
    let mut rows = BTreeMap::new();
    let before = firsts.first().map_or(Seq::ZERO, |first| first.before());
    let walk = walk(disk, firsts, before, 0, |step| {
        let (Step::Good { frame, .. } | Step::Behind { frame }) = step;
        let within = |gap: &Gap| frame.seq > gap.prev && frame.seq <= last_of(gap, upto);
        if frame.kind == Kind::Record && gaps(log).any(within) {
            rows.insert(frame.seq, frame.whole.to_vec());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let mut behind = BTreeMap::new();
    for month in log.damaged_mut() {
        for gap in &mut month.gaps {
            let last = last_of(gap, upto);
            let mut found = rows.split_off(&gap.prev.next());
            rows.append(&mut found.split_off(&last.next()));
            let has_all = firsts.first().is_some_and(|first| *first <= gap.prev.next());
            let bytes = month.bytes.get(gap.at.clone()).unwrap_or_default();
            gap.torn = gap.next.is_none() && is_torn(bytes, &found);
            let known = gap.torn || gap.next.is_some() && is_as_long(bytes, &found);
            gap.lost = !(known && month.unreadable.is_none() || has_all && last <= walk.last);
            gap.found = found.len();
            match gap.next {
                Some(_) => gap.rows = found,
                // Behind the last good row: copied as rows that the log does not have yet.
                None => behind.append(&mut found),
            }
        }
    }
    log.add_again(behind);
    Ok(())
}

fn gaps(log: &RecordLog) -> impl Iterator<Item = &Gap> {
    log.damaged().iter().flat_map(|month| &month.gaps)
}

fn last_of(gap: &Gap, upto: Seq) -> Seq {
    gap.next.map_or(upto, Seq::before)
}

/// A write that was stopped, or whose power went, has put some of its bytes; the others are missing or zeros.
fn is_torn(bytes: &[u8], rows: &BTreeMap<Seq, Vec<u8>>) -> bool {
    let whole = rows.values().flatten().copied();
    let same = bytes.iter().zip(whole).filter(|(found, byte)| **found == 0 || *found == byte);
    same.count() == bytes.len()
}

/// The segments have some of the log's rows, in its order: where they are as long as the damaged bytes, they are
/// all of them.
fn is_as_long(bytes: &[u8], rows: &BTreeMap<Seq, Vec<u8>>) -> bool {
    rows.values().map(Vec::len).sum::<usize>() == bytes.len()
}

/// A month with what was found, and without what is behind its last row.
fn whole(month: &DamagedMonth) -> Vec<u8> {
    let (mut bytes, mut at) = (Vec::new(), 0);
    for gap in &month.gaps {
        bytes.extend_from_slice(month.bytes.get(at..gap.at.start).unwrap_or_default());
        bytes.extend(gap.rows.values().flatten());
        at = gap.at.end;
    }
    bytes.extend_from_slice(month.bytes.get(at..).unwrap_or_default());
    bytes
}

/// Where the damaged bytes of a gap are kept; nothing is kept of a torn end, which the segments have.
pub(crate) fn kept(run: u32, month: &DamagedMonth, gap: &Gap) -> Option<String> {
    let bytes = month.bytes.get(gap.at.clone()).unwrap_or_default();
    if month.packed {
        return Some(names::cut_packed(run, month.month));
    }
    let empty = gap.torn || frame::zeros(bytes);
    (!empty).then(|| names::cut_rows(run, month.month, gap.at.start))
}

/// The operations that mend the log, in the run that begins. Nothing is replaced before it is kept aside, and the
/// log is whole, or damaged as it was, between any two of them.
pub(crate) fn operations(run: u32, log: &mut RecordLog) -> VecDeque<Op> {
    let mut ops = VecDeque::new();
    for month in std::mem::take(log.damaged_mut()) {
        for gap in month.gaps.iter().filter(|_| !month.packed) {
            let Some(name) = kept(run, &month, gap) else { continue };
            let bytes = month.bytes.get(gap.at.clone()).unwrap_or_default().to_vec();
            put(&mut ops, &name, bytes, "");
        }
        let name = month.month.log();
        if month.packed && !month.replaced || month.gaps.iter().any(|gap| gap.next.is_some()) {
            let temporary = format!("{name}{TEMPORARY}");
            let bytes = whole(&month);
            log.rewritten(month.month, bytes.len() as u64);
            put(&mut ops, &temporary, bytes, RECORDS);
            ops.push_back(Op::Rename { from: temporary, to: name });
            ops.push_back(Op::SyncFolder { folder: RECORDS.to_owned() });
        }
        if month.packed {
            let to = names::cut_packed(run, month.month);
            ops.push_back(Op::Rename { from: month.month.packed(), to });
            ops.push_back(Op::SyncFolder { folder: String::new() });
            ops.push_back(Op::SyncFolder { folder: RECORDS.to_owned() });
        }
    }
    ops
}

fn put(ops: &mut VecDeque<Op>, name: &str, bytes: Vec<u8>, folder: &str) {
    ops.push_back(Op::Create { name: name.to_owned(), len: 0 });
    ops.push_back(Op::write(name, 0, bytes));
    ops.push_back(Op::Sync { name: name.to_owned() });
    ops.push_back(Op::SyncFolder { folder: folder.to_owned() });
}
