//! Records that are not written yet. Appending gives each its number and never waits for a disk.

use std::mem;

use crate::frame::{self, Kind, Seq, padded};
use crate::payload::{DropReason, Dropped, Mark, Payload, encode_json};
use crate::status::{Alert, AppendError, Failure, Room};

/// Whether a record may be dropped when disk or memory run short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Never.
    Fact,
    /// A row of market data: dropped when the buffer is half full or the disk nearly so.
    Market,
    /// Memory that a restart can do without: dropped when the disk is nearly full.
    Soft,
}

/// Records in memory.
#[derive(Debug)]
pub struct Buffer {
    run: u32,
    next: Seq,
    bytes: Vec<u8>,
    /// Bytes that were taken and are not written yet.
    in_flight: usize,
    limit: usize,
    record_most: u64,
    room: Room,
    gap: Option<Dropped>,
    dropping: bool,
    full: bool,
    failed: Option<Failure>,
    alerts: Vec<Alert>,
}

/// Records that are taken out to be written.
#[derive(Debug)]
pub(crate) struct Batch {
    pub bytes: Vec<u8>,
    /// Number of the last record.
    pub last: Seq,
}

impl Buffer {
    pub(crate) fn new(run: u32, next: Seq, limit: usize, record_most: u64) -> Buffer {
        Buffer {
            run,
            next,
            bytes: Vec::new(),
            in_flight: 0,
            limit,
            record_most,
            room: Room::Plenty,
            gap: None,
            dropping: false,
            full: false,
            failed: None,
            alerts: Vec::new(),
        }
    }

    /// Appends a record and gives it the next number. A dropped record has a number too: a `mark` names it.
    ///
    /// # Errors
    /// A record that is too large, a full buffer, a journal that is over. Nothing was appended then.
    pub fn append(&mut self, payload: &Payload<'_>, class: Class) -> Result<Seq, AppendError> {
        self.check(payload)?;
        if let Some(why) = self.drops(class) {
            return Ok(self.drop_one(why));
        }
        self.has_room(payload)?;
        self.dropping &= class != Class::Market;
        self.close_gap();
        let run = self.run;
        Ok(self.put(payload.kind(), |out| payload.encode(run, out)))
    }

    fn check(&self, payload: &Payload<'_>) -> Result<(), AppendError> {
        if let Some(failure) = &self.failed {
            return Err(AppendError::Failed(failure.clone()));
        }
        let table = payload.longest_table();
        if table > usize::from(u8::MAX) {
            return Err(AppendError::TableName { len: table });
        }
        let len = padded(payload.len()) as u64;
        if len > self.record_most {
            let kind = payload.kind().name();
            return Err(AppendError::TooLarge { kind, len, most: self.record_most });
        }
        Ok(())
    }

    fn has_room(&mut self, payload: &Payload<'_>) -> Result<(), AppendError> {
        let len = padded(payload.len());
        if self.held().saturating_add(len) > self.limit {
            if !mem::replace(&mut self.full, true) {
                self.alerts.push(Alert::Full { bytes: self.limit });
            }
            return Err(AppendError::Full { bytes: self.limit });
        }
        Ok(())
    }

    fn drops(&self, class: Class) -> Option<DropReason> {
        let soft = class != Class::Fact;
        if soft && self.room > Room::Plenty {
            return Some(DropReason::Disk);
        }
        (class == Class::Market && self.held() >= self.limit / 2).then_some(DropReason::Buffer)
    }

    fn drop_one(&mut self, why: DropReason) -> Seq {
        let seq = self.take_number();
        match &mut self.gap {
            Some(gap) => gap.to = seq,
            None => self.gap = Some(Dropped { from: seq, to: seq, why }),
        }
        if why == DropReason::Buffer && !mem::replace(&mut self.dropping, true) {
            self.alerts.push(Alert::Dropping { from: seq });
        }
        seq
    }

    /// Names the dropped numbers, so that what follows them can be told from what was lost.
    fn close_gap(&mut self) {
        if let Some(gap) = self.gap.take() {
            self.mark(&Mark { dropped: Some(gap), ..Mark::default() });
        }
    }

    /// Appends a fact about the journal itself; there is always room for it.
    pub(crate) fn append_mark(&mut self, mark: &Mark) -> Seq {
        self.close_gap();
        self.mark(mark)
    }

    fn mark(&mut self, mark: &Mark) -> Seq {
        self.put(Kind::Mark, |out| encode_json(mark, out))
    }

    fn put(&mut self, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) -> Seq {
        let seq = self.take_number();
        frame::write(&mut self.bytes, self.run, seq, kind, fill);
        seq
    }

    fn take_number(&mut self) -> Seq {
        let seq = self.next;
        self.next = seq.next();
        seq
    }

    /// Bytes in memory that are not written.
    fn held(&self) -> usize {
        self.bytes.len().saturating_add(self.in_flight)
    }

    /// The number of the last record that was appended or dropped.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.next.before()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.gap.is_none()
    }

    /// Takes everything out. `old` gives its memory back.
    pub(crate) fn take(&mut self, mut old: Vec<u8>) -> Option<Batch> {
        self.close_gap();
        if self.bytes.is_empty() {
            return None;
        }
        old.clear();
        let bytes = mem::replace(&mut self.bytes, old);
        self.in_flight = bytes.len();
        Some(Batch { bytes, last: self.last() })
    }

    /// What was taken is written.
    pub(crate) fn written(&mut self) {
        self.in_flight = 0;
    }

    pub(crate) fn set_room(&mut self, room: Room) {
        self.room = room;
    }

    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.failed.get_or_insert_with(|| failure.clone());
    }

    pub(crate) fn is_dropping(&self) -> bool {
        self.dropping
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn take_alerts(&mut self) -> Vec<Alert> {
        mem::take(&mut self.alerts)
    }
}
