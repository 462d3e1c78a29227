//! Writing and syncing segments, as operations that somebody else executes. Reads no clock and no disk.
//!
//! One write and one sync are under way at most, and neither waits for the other.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::buffer::Buffer;
use crate::disk::{Op, Outcome};
use crate::frame::{self, Kind, SEGMENT_HEAD, SegmentHead, Seq, u16_at, u64_at};
use crate::names;
use crate::options::{Durable, Options};
use crate::payload::Mark;
use crate::status::{Alert, Failure, Room};

/// The segment that is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub name: String,
    /// Where the next record goes.
    pub offset: u64,
    /// Bytes that are allocated.
    pub size: u64,
}

/// A file of zeros that becomes a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spare {
    pub name: String,
    pub size: u64,
}

/// What the disk's other work is told, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// These records were written: deltas and rows, back to back.
    Written { frames: Vec<u8>, last: Seq, bytes: u64 },
    /// A segment was begun.
    Rolled(Seq),
    /// Everything up to here is synced.
    Synced(Seq),
}

#[derive(Debug)]
struct Piece {
    bytes: Arc<Vec<u8>>,
    /// Bytes of it that are written.
    at: usize,
    last: Seq,
}

#[derive(Debug, PartialEq, Eq)]
enum Writing {
    Records(usize),
    Head(Spare),
    Name(Spare),
}

#[derive(Debug)]
struct Under<T> {
    what: T,
    file: String,
    since: Duration,
}

#[derive(Debug)]
struct SyncGroup {
    targets: VecDeque<Op>,
    covers: Seq,
    under: Option<Under<()>>,
}

/// Spare segments and the reserve.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    pub spares: VecDeque<Spare>,
    pub reserve: Option<Spare>,
    pub next_number: u64,
    /// The last allocation failed.
    pub failed: bool,
}

pub(crate) struct Writer {
    options: Options,
    run: u32,
    segment: Segment,
    spares: Spares,
    allocating: Option<Spare>,
    /// It is allocated and not synced: its length must not be lost when it is in use.
    allocated: bool,
    /// One that could not be allocated or synced: it is never used, and its room is needed.
    refused: VecDeque<String>,
    removing: bool,
    remove_at: Duration,
    allocate_at: Duration,
    space_at: Duration,
    asking_space: bool,
    low_space: bool,
    piece: Option<Piece>,
    writing: Option<Under<Writing>>,
    /// The header of the next segment is written; its name is not.
    headed: Option<Spare>,
    /// Since when records wait for a spare segment.
    waiting: Option<Duration>,
    flush_at: Duration,
    written: Seq,
    dirty: Vec<String>,
    dirty_folder: bool,
    syncing: Option<SyncGroup>,
    sync_at: Duration,
    wanted: Seq,
    synced: Seq,
    mark_at: Duration,
    /// Something else than marks was written since the last one.
    unmarked: bool,
    slow: bool,
    room: Room,
    failure: Option<Failure>,
    alerts: Vec<Alert>,
    fed: VecDeque<Fed>,
    fed_bytes: usize,
    memory: Vec<u8>,
}

/// Time between marks that say how far the journal is synced.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of one write at most, so that nothing is held for long when one is done. A record may be larger.
const WRITE_MOST: u64 = 4 << 20;

impl Writer {
    /// Goes on in a segment whose records up to `last` are written and synced.
    pub(crate) fn new(
        options: Options,
        run: u32,
        segment: Segment,
        last: Seq,
        spares: Spares,
    ) -> Writer {
        Writer {
            options,
            run,
            segment,
            spares,
            allocating: None,
            allocated: false,
            refused: VecDeque::new(),
            removing: false,
            remove_at: Duration::ZERO,
            allocate_at: Duration::ZERO,
            space_at: Duration::ZERO,
            asking_space: false,
            low_space: false,
            piece: None,
            writing: None,
            headed: None,
            waiting: None,
            flush_at: Duration::ZERO,
            written: last,
            dirty: Vec::new(),
            dirty_folder: false,
            syncing: None,
            sync_at: Duration::ZERO,
            wanted: Seq::ZERO,
            synced: last,
            mark_at: Duration::ZERO,
            unmarked: false,
            slow: false,
            room: Room::Plenty,
            failure: None,
            alerts: Vec::new(),
            fed: VecDeque::new(),
            fed_bytes: 0,
            memory: Vec::new(),
        }
    }

    pub(crate) fn pace(&self) -> (Durable, Duration) {
        (self.options.durable, self.options.flush_every)
    }

    pub(crate) fn written(&self) -> Seq {
        self.written
    }

    pub(crate) fn synced(&self) -> Seq {
        self.synced
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub(crate) fn room(&self) -> Room {
        self.room
    }

    pub(crate) fn slow(&self) -> bool {
        self.slow
    }

    pub(crate) fn low_space(&self) -> bool {
        self.low_space
    }

    pub(crate) fn take_alerts(&mut self) -> Vec<Alert> {
        mem::take(&mut self.alerts)
    }

    pub(crate) fn take_fed(&mut self) -> VecDeque<Fed> {
        self.fed_bytes = 0;
        mem::take(&mut self.fed)
    }

    /// Syncs at once until this record is covered.
    pub(crate) fn want_sync(&mut self, seq: Seq) {
        self.wanted = self.wanted.max(seq);
    }

    // --- writing ---

    /// The next write, if it is time for one; `now` makes it time.
    pub(crate) fn poll_write(
        &mut self,
        now: Duration,
        at_once: bool,
        buffer: &mut Buffer,
    ) -> Option<Op> {
        self.update_room(buffer);
        self.check_slow(now);
        if self.failure.is_some() || self.writing.is_some() {
            return None;
        }
        if self.piece.is_none() {
            let due = at_once || now >= self.flush_at || self.wanted > self.written;
            if !due {
                return None;
            }
            self.flush_at = now + self.options.flush_every;
            let batch = buffer.take(mem::take(&mut self.memory))?;
            self.piece = Some(Piece { bytes: Arc::new(batch.bytes), at: 0, last: batch.last });
        }
        self.next_write(now, buffer)
    }

    fn next_write(&mut self, now: Duration, buffer: &mut Buffer) -> Option<Op> {
        let piece = self.piece.as_ref()?;
        let room = self.segment.size.saturating_sub(self.segment.offset);
        let rest = piece.bytes.get(piece.at..).unwrap_or_default();
        let mut fits = fitting(rest, room.min(WRITE_MOST));
        if fits == 0 && frame::length(rest) as u64 <= room {
            fits = frame::length(rest);
        }
        if fits > 0 {
            let (name, offset) = (self.segment.name.clone(), self.segment.offset);
            let (bytes, range) = (Arc::clone(&piece.bytes), piece.at..piece.at + fits);
            self.begin_write(now, Writing::Records(fits), &name);
            return Some(Op::Write { name, offset, bytes, range });
        }
        let first = Seq(u64_at(&piece.bytes, piece.at + 8));
        if let Some(spare) = self.headed.take() {
            let (from, to) = (spare.name.clone(), names::segment(first));
            self.begin_write(now, Writing::Name(Spare { name: to.clone(), ..spare }), &to);
            return Some(Op::Rename { from, to });
        }
        let spare = self.next_segment(now, buffer)?;
        let head = SegmentHead { run: self.run, first, size: spare.size };
        let op = Op::write(&spare.name, 0, head.bytes().to_vec());
        let name = spare.name.clone();
        self.begin_write(now, Writing::Head(spare), &name);
        Some(op)
    }

    /// A spare segment; the reserve only when no other can be had.
    fn next_segment(&mut self, now: Duration, buffer: &mut Buffer) -> Option<Spare> {
        if let Some(spare) = self.spares.spares.pop_front() {
            self.waiting = None;
            return Some(spare);
        }
        let since = *self.waiting.get_or_insert(now);
        let hopeless = self.spares.failed || now.saturating_sub(since) >= self.options.slow_after;
        if !hopeless {
            return None;
        }
        if let Some(reserve) = self.spares.reserve.take() {
            self.waiting = None;
            return Some(reserve);
        }
        // While an allocation hangs, it is waited for: that is slow, not over.
        if self.spares.failed {
            let error = io::Error::new(
                io::ErrorKind::StorageFull,
                "spare segments and reserve are used up and no other can be allocated",
            );
            self.fail("allocating", "segment", &error, buffer);
        }
        None
    }

    fn begin_write(&mut self, now: Duration, what: Writing, file: &str) {
        self.writing = Some(Under { what, file: file.to_owned(), since: now });
    }

    pub(crate) fn done_write(
        &mut self,
        now: Duration,
        result: io::Result<Outcome>,
        buffer: &mut Buffer,
    ) {
        let Some(Under { what, file, .. }) = self.writing.take() else { return };
        if let Err(error) = result {
            self.fail("writing", &file, &error, buffer);
            return;
        }
        match what {
            Writing::Records(len) => self.wrote(len, buffer),
            Writing::Head(spare) => self.headed = Some(spare),
            Writing::Name(spare) => {
                let first = names::read_segment(&spare.name).unwrap_or_default();
                self.fed.push_back(Fed::Rolled(first));
                self.segment =
                    Segment { name: spare.name, offset: SEGMENT_HEAD as u64, size: spare.size };
                self.dirty_folder = true;
            }
        }
        self.update_room(buffer);
        self.check_slow(now);
    }

    fn wrote(&mut self, len: usize, buffer: &mut Buffer) {
        let Some(mut piece) = self.piece.take() else { return };
        self.segment.offset += len as u64;
        if !self.dirty.contains(&self.segment.name) {
            self.dirty.push(self.segment.name.clone());
        }
        let end = piece.at + len;
        let (frames, last, others) = kept(piece.bytes.get(piece.at..end).unwrap_or_default());
        self.unmarked |= others;
        piece.at = end;
        let whole = piece.at >= piece.bytes.len();
        self.written = if whole { piece.last } else { last };
        self.fed_bytes = self.fed_bytes.saturating_add(frames.len());
        self.fed.push_back(Fed::Written { frames, last: self.written, bytes: len as u64 });
        if whole {
            buffer.written();
            // The memory is used again, unless the operation that was executed still holds it.
            self.memory = Arc::try_unwrap(piece.bytes).unwrap_or_default();
        } else {
            self.piece = Some(piece);
        }
    }

    // --- syncing ---

    pub(crate) fn poll_sync(&mut self, now: Duration) -> Option<Op> {
        self.check_slow(now);
        if self.failure.is_some() {
            return None;
        }
        if self.syncing.is_none() {
            let waits = self.wanted > self.synced;
            if self.synced >= self.written || !(waits || now >= self.sync_at) {
                return None;
            }
            self.sync_at = now + self.options.sync_every;
            let files = mem::take(&mut self.dirty).into_iter().map(|name| Op::Sync { name });
            let folder =
                mem::take(&mut self.dirty_folder).then(|| Op::SyncFolder { folder: String::new() });
            let targets = files.chain(folder).collect();
            self.syncing = Some(SyncGroup { targets, covers: self.written, under: None });
        }
        let group = self.syncing.as_mut()?;
        if group.under.is_some() {
            return None;
        }
        let op = group.targets.pop_front()?;
        let file = match &op {
            Op::Sync { name } => name.clone(),
            _ => "its folder".to_owned(),
        };
        group.under = Some(Under { what: (), file, since: now });
        Some(op)
    }

    pub(crate) fn done_sync(
        &mut self,
        now: Duration,
        result: io::Result<Outcome>,
        buffer: &mut Buffer,
    ) {
        let Some(group) = &mut self.syncing else { return };
        let Some(Under { file, .. }) = group.under.take() else { return };
        if let Err(error) = result {
            self.fail("syncing", &file, &error, buffer);
            return;
        }
        if group.targets.is_empty() {
            self.synced = group.covers;
            self.syncing = None;
            self.fed.push_back(Fed::Synced(self.synced));
            if self.unmarked && now >= self.mark_at {
                self.mark_at = now + MARK_EVERY;
                self.unmarked = false;
                buffer.append_mark(&Mark { synced: Some(self.synced), ..Mark::default() });
            }
        }
        self.check_slow(now);
    }

    // --- spare segments and space ---

    pub(crate) fn poll_allocate(&mut self, now: Duration) -> Option<Op> {
        if self.failure.is_some() || self.asking_space || self.removing {
            return None;
        }
        if let Some(spare) = &self.allocating {
            return self.allocated.then(|| Op::Sync { name: spare.name.clone() });
        }
        if let Some(name) = self.refused.front().filter(|_| now >= self.remove_at) {
            self.removing = true;
            return Some(Op::Remove { name: name.clone() });
        }
        if now >= self.space_at {
            self.space_at = now + self.options.space_every;
            self.asking_space = true;
            return Some(Op::Space);
        }
        let size = if self.spares.reserve.is_none() {
            self.options.reserve_bytes
        } else if self.spares.spares.len() < self.options.spares {
            self.options.segment_bytes
        } else {
            return None;
        };
        if now < self.allocate_at {
            return None;
        }
        let name = names::spare(self.spares.next_number);
        self.spares.next_number += 1;
        self.allocating = Some(Spare { name: name.clone(), size });
        Some(Op::Create { name, len: size })
    }

    pub(crate) fn done_allocate(
        &mut self,
        now: Duration,
        result: io::Result<Outcome>,
        buffer: &mut Buffer,
    ) {
        if mem::take(&mut self.asking_space) {
            if let Ok(Outcome::Space(space)) = result {
                self.judge_space(space);
            }
            return;
        }
        if mem::take(&mut self.removing) {
            match result {
                Ok(_) => drop(self.refused.pop_front()),
                Err(_) => self.remove_at = now + self.options.space_every,
            }
            return;
        }
        if result.is_ok() && self.allocating.is_some() && !mem::replace(&mut self.allocated, true) {
            return;
        }
        self.allocated = false;
        let Some(spare) = self.allocating.take() else { return };
        match result {
            Ok(_) => {
                self.spares.failed = false;
                if self.spares.reserve.is_none() && spare.size == self.options.reserve_bytes {
                    self.spares.reserve = Some(spare);
                } else {
                    self.spares.spares.push_back(spare);
                }
            }
            Err(error) => {
                self.allocate_at = now + self.options.space_every;
                if !mem::replace(&mut self.spares.failed, true) {
                    let (file, error) = (spare.name.clone(), error.to_string());
                    self.alerts.push(Alert::Allocation { file, error });
                }
                self.refused.push_back(spare.name);
            }
        }
        self.update_room(buffer);
    }

    fn judge_space(&mut self, space: crate::disk::Space) {
        let permille = u128::from(space.free) * 1_000 / u128::from(space.total.max(1));
        let limit = self.options.low_space_permille;
        let low = permille < u128::from(limit);
        if low != mem::replace(&mut self.low_space, low) {
            self.alerts.push(if low {
                let free_mib = space.free >> 20;
                Alert::LowSpace { free_mib, permille: permille as u64, limit }
            } else {
                Alert::SpaceBack
            });
        }
    }

    pub(crate) fn update_room(&mut self, buffer: &mut Buffer) {
        let room = match self.spares.spares.len() {
            0 => Room::NoEntries,
            1 if self.spares.failed => Room::NoMarketRows,
            _ => Room::Plenty,
        };
        if room != mem::replace(&mut self.room, room) {
            self.alerts.push(Alert::Room(room));
        }
        buffer.set_room(room);
    }

    // --- trouble ---

    fn check_slow(&mut self, now: Duration) {
        let limit = self.options.slow_after;
        let over = |since: Duration| now.saturating_sub(since) >= limit;
        let write = self.writing.as_ref().filter(|under| over(under.since));
        let sync = self.syncing.as_ref().and_then(|group| group.under.as_ref());
        let sync = sync.filter(|under| over(under.since));
        let found = match (write, sync, self.waiting) {
            (Some(under), ..) => Some(("writing", under.file.clone())),
            (_, Some(under), _) => Some(("syncing", under.file.clone())),
            _ if self.fed_bytes > self.options.buffer_bytes => {
                Some(("waiting for", "compaction and record log".to_owned()))
            }
            (.., Some(since)) if over(since) => Some(("allocating", "a segment".to_owned())),
            _ => None,
        };
        let slow = found.is_some();
        if slow == mem::replace(&mut self.slow, slow) {
            return;
        }
        self.alerts.push(match found {
            Some((doing, file)) => Alert::Slow { doing, file, limit },
            None => Alert::FastAgain,
        });
    }

    /// The journal of this run is over.
    pub(crate) fn fail(
        &mut self,
        doing: &'static str,
        file: &str,
        error: &io::Error,
        buffer: &mut Buffer,
    ) {
        if self.failure.is_none() {
            let failure = Failure::new(doing, file, error);
            buffer.fail(&failure);
            self.alerts.push(Alert::Failed(failure.clone()));
            self.failure = Some(failure);
        }
    }

    /// When something is due although nothing happens; `pending`: the buffer has records.
    pub(crate) fn next_wake(&self, pending: bool) -> Option<Duration> {
        if self.failure.is_some() {
            return None;
        }
        let slow = self.options.slow_after;
        let under = self.writing.as_ref().map(|under| under.since + slow);
        let sync = self.syncing.as_ref().and_then(|group| group.under.as_ref());
        let slow_at =
            [under, sync.map(|under| under.since + slow), self.waiting.map(|at| at + slow)];
        let not_told = slow_at.into_iter().flatten().filter(|_| !self.slow);
        let free = self.writing.is_none() && self.piece.is_none();
        let flush = (pending && free).then_some(self.flush_at);
        let sync = (self.synced < self.written && self.syncing.is_none()).then_some(self.sync_at);
        let space = (self.allocating.is_none() && !self.asking_space && !self.removing)
            .then_some(self.space_at);
        let short = self.spares.reserve.is_none() || self.spares.spares.len() < self.options.spares;
        let allocate = (short && space.is_some()).then_some(self.allocate_at);
        let refused = !self.refused.is_empty() && space.is_some();
        let remove = refused.then_some(self.remove_at);
        [flush, sync, space, allocate, remove].into_iter().flatten().chain(not_told).min()
    }
}

/// Bytes of the whole records at the beginning that fit.
fn fitting(bytes: &[u8], room: u64) -> usize {
    if bytes.len() as u64 <= room {
        return bytes.len();
    }
    let mut end = 0;
    loop {
        let len = frame::length(bytes.get(end..).unwrap_or_default());
        if (end + len) as u64 > room || end + len > bytes.len() {
            return end;
        }
        end += len;
    }
}

/// The deltas and rows among some records, the number of the last one, and whether there is anything but marks.
fn kept(bytes: &[u8]) -> (Vec<u8>, Seq, bool) {
    let (mut frames, mut last, mut others) = (Vec::new(), Seq::ZERO, false);
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let len = frame::length(rest).min(rest.len());
        let kind = u16_at(rest, 16);
        last = Seq(u64_at(rest, 8));
        if kind == Kind::Delta.code() || kind == Kind::Record.code() {
            frames.extend_from_slice(rest.get(..len).unwrap_or_default());
        }
        others |= kind != Kind::Mark.code();
        at += len;
    }
    (frames, last, others)
}
