//! The record log: rows copied out of the segments, a file a month, never deleted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::mem;
use std::sync::Arc;

use crate::disk::{Disk, Op};
use crate::frame::{Frame, HEAD, Seq};
use crate::names::{Month, RECORDS, TEMPORARY};
use crate::options::Retention;
use crate::pack::unpack;
use crate::payload::Row;
use crate::rows::{Cursor, Gap, gap, scan};

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
    /// Compressed months that may have rows which are not kept for ever.
    whole: BTreeSet<Month>,
    cursor: Cursor,
    /// The record of the last row.
    last: Seq,
    waiting: VecDeque<(Seq, Month, Vec<u8>)>,
    waiting_bytes: usize,
    copying: Option<Copy>,
    /// The highest run that a row names.
    run: u32,
    damaged: Vec<DamagedMonth>,
}

/// A month with places that cannot be read, or whose compressed file cannot be used.
#[derive(Debug, Default)]
pub(crate) struct DamagedMonth {
    pub month: Month,
    /// As they are in the file, decompressed; empty where that is not possible.
    pub bytes: Vec<u8>,
    pub gaps: Vec<Gap>,
    /// The file is the compressed one.
    pub packed: bool,
    /// Why it cannot be decompressed.
    pub unreadable: Option<String>,
    /// The same month is there uncompressed, and whole: nothing is missing.
    pub replaced: bool,
}

impl DamagedMonth {
    /// The file's name.
    pub(crate) fn file(&self) -> String {
        if self.packed { self.month.packed() } else { self.month.log() }
    }
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
    /// Reads the end of the log, and what is to be repaired: a torn last row, files that are not complete. What
    /// is damaged is in [`RecordLog::damaged`].
    pub(crate) fn open(disk: &dyn Disk) -> io::Result<(RecordLog, Vec<Op>)> {
        let (mut plain, mut packed, mut mend) = (Vec::new(), Vec::new(), Vec::new());
        let files = disk.list(RECORDS)?;
        let thinned: BTreeSet<Month> =
            files.iter().filter_map(|(name, _)| Month::read_thinned(name)).collect();
        for (name, _) in files {
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
        let whole = packed.iter().filter(|month| !thinned.contains(month)).copied().collect();
        let mut log = RecordLog { whole, ..RecordLog::default() };
        let mut damaged = log.open_packed(disk, packed, &mut plain, &mut mend)?;
        let found = !plain.is_empty() || log.latest_packed.is_some();
        let mut months: Vec<Month> = damaged.iter().map(|month| month.month).collect();
        months.extend(plain);
        months.sort();
        for month in months {
            let at = damaged.iter().position(|damaged| damaged.month == month);
            let file = match at {
                Some(at) => damaged.remove(at),
                None => DamagedMonth {
                    month,
                    bytes: disk.read(&month.log())?,
                    ..DamagedMonth::default()
                },
            };
            log.open_month(file, &mut mend);
        }
        if found {
            mend.push(Op::SyncFolder { folder: RECORDS.to_owned() });
        }
        Ok((log, mend))
    }

    /// Reads the newest compressed month that is whole; those after it that are not.
    fn open_packed(
        &mut self,
        disk: &dyn Disk,
        packed: Vec<Month>,
        plain: &mut Vec<Month>,
        mend: &mut Vec<Op>,
    ) -> io::Result<Vec<DamagedMonth>> {
        let mut damaged = Vec::new();
        for month in packed.into_iter().rev() {
            let twice = plain.contains(&month);
            if self.latest_packed.is_some() && !twice {
                continue;
            }
            let mut found = DamagedMonth { month, packed: true, ..DamagedMonth::default() };
            match disk.read(&month.packed()).and_then(|packed| unpack(&packed)) {
                Ok(bytes) => found.bytes = bytes,
                // Another process has just moved it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
                Err(error) => found.unreadable = Some(error.to_string()),
            }
            let rows = scan(&found.bytes, Seq::ZERO);
            if found.unreadable.is_none() && rows.gaps.is_empty() {
                if twice {
                    // The compressed file was read back and synced; its name may be in memory only.
                    mend.push(Op::SyncFolder { folder: RECORDS.to_owned() });
                    mend.push(Op::Remove { name: month.log() });
                    plain.retain(|plain| *plain != month);
                }
                if self.latest_packed.is_none() {
                    self.latest_packed = Some(month);
                    self.run = rows.run;
                    (self.last, self.cursor) = rows.last.unwrap_or_default();
                }
            } else if twice {
                found.replaced = true;
                self.damaged.push(found);
            } else {
                damaged.push(found);
            }
        }
        Ok(damaged)
    }

    fn open_month(&mut self, mut file: DamagedMonth, mend: &mut Vec<Op>) {
        let rows = scan(&file.bytes, self.last);
        if let Some(first) = rows.first {
            let gaps = self.damaged.iter_mut().flat_map(|month| &mut month.gaps);
            gaps.for_each(|gap| gap.next = gap.next.or(Some(first)));
        }
        let torn_only = rows.gaps.iter().all(|gap| gap.at.end == file.bytes.len());
        if !file.packed {
            if torn_only && rows.end < file.bytes.len() {
                mend.push(Op::Truncate { name: file.file(), len: rows.end as u64 });
            }
            // What was read may be in memory only, and the next compaction says that it is in the log.
            mend.push(Op::Sync { name: file.file() });
        }
        if let Some((finished, _)) = self.open.replace((file.month, rows.end as u64)) {
            self.finished.push(finished);
        }
        file.gaps = rows.gaps;
        if file.unreadable.is_some() {
            file.gaps.push(gap(0..0, self.last, None));
        }
        if let Some(last) = rows.last {
            (self.last, self.cursor) = last;
        }
        self.run = self.run.max(rows.run);
        if !file.gaps.is_empty() {
            self.damaged.push(file);
        }
    }

    pub(crate) fn damaged(&self) -> &[DamagedMonth] {
        &self.damaged
    }

    pub(crate) fn damaged_mut(&mut self) -> &mut Vec<DamagedMonth> {
        &mut self.damaged
    }

    /// A month is written again, with this many bytes.
    pub(crate) fn rewritten(&mut self, month: Month, len: u64) {
        self.open = self.open.map(|(open, end)| (open, if open == month { len } else { end }));
    }

    /// The highest run that a row names; 0 without a row.
    pub(crate) fn run(&self) -> u32 {
        self.run
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
        self.waiting.push_back((frame.seq, Month::of_row(row.at_ms), frame.whole.to_vec()));
    }

    /// Adds rows behind the last good one, which belong before or among those that wait.
    pub(crate) fn add_again(&mut self, mut rows: BTreeMap<Seq, Vec<u8>>) {
        rows.extend(mem::take(&mut self.waiting).into_iter().map(|(seq, _, frame)| (seq, frame)));
        self.waiting_bytes = rows.values().map(Vec::len).sum();
        let filed = rows.into_iter().filter_map(|(seq, frame)| {
            let (_, row) = Row::decode(frame.get(HEAD..)?).ok()?;
            Some((seq, Month::of_row(row.at_ms), frame))
        });
        self.waiting = filed.collect();
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
        let (_, cursor) = scan(&bytes, Seq::ZERO).last.unwrap_or_default();
        let end = offset + bytes.len() as u64;
        self.copying = Some(Copy { month, end, rows, last, cursor });
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
        let temporary = self.compressing()?;
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

    /// The file that compression writes before it has its name.
    pub(crate) fn compressing(&self) -> Option<String> {
        self.finished.first().map(|month| format!("{}{TEMPORARY}", month.packed()))
    }

    /// The operations of [`RecordLog::compress`] are done.
    pub(crate) fn compressed(&mut self) {
        if !self.finished.is_empty() {
            let month = self.finished.remove(0);
            self.latest_packed = self.latest_packed.max(Some(month));
            self.whole.insert(month);
        }
    }

    /// The oldest compressed month that is to lose the rows which are not kept for ever. Never the newest one: the
    /// log's place is read from its end.
    fn to_thin(&self, retention: Retention) -> Option<Month> {
        let (open, _) = self.open?;
        let month = *self.whole.first()?;
        let old = month.until(open) > u64::from(retention.months);
        (old && Some(month) < self.latest_packed).then_some(month)
    }

    /// Operations that thin a month. The mark comes last: without it the month is only thinned once more.
    pub(crate) fn thin(&self, retention: Retention) -> Option<VecDeque<Op>> {
        let month = self.to_thin(retention)?;
        let (from, temporary) = (month.packed(), format!("{}{TEMPORARY}", month.packed()));
        let folder = RECORDS.to_owned();
        Some(VecDeque::from([
            Op::Thin { from: from.clone(), to: temporary.clone(), retention },
            Op::Sync { name: temporary.clone() },
            Op::Rename { from: temporary, to: from },
            Op::SyncFolder { folder: folder.clone() },
            Op::Create { name: month.thinned(), len: 0 },
            Op::SyncFolder { folder },
        ]))
    }

    /// The file that thinning writes before it takes the month's place.
    pub(crate) fn thinning(&self) -> Option<String> {
        self.whole.first().map(|month| format!("{}{TEMPORARY}", month.packed()))
    }

    /// The operations of [`RecordLog::thin`] are done, or one failed: the next start tries that month again.
    pub(crate) fn thinned(&mut self) {
        self.whole.pop_first();
    }
}
