//! The journal as a state machine without IO: it says what is to be done on the disk and is told what came of it.

use std::io;
use std::time::Duration;

use crate::buffer::{Buffer, Class};
use crate::disk::{Op, Outcome};
use crate::frame::Seq;
use crate::keeper::Keeper;
use crate::map::Map;
use crate::options::Durable;
use crate::payload::Payload;
use crate::rows::Cursor;
use crate::status::{Alert, AppendError, Failure, Status};
use crate::writer::Writer;

/// Which job this is, within a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(u64);

/// Kinds of work that do not wait for each other; each has one job under way at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Writing records.
    Write,
    /// Syncing them.
    Sync,
    /// Allocation, record log, compaction, removal.
    Files,
}

/// Something to be done on the disk. Jobs may be completed in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// For [`Journal::done`].
    pub id: JobId,
    /// The kind of work.
    pub lane: Lane,
    /// What to do: [`Op::run`].
    pub op: Op,
}

/// The journal of one run, without IO. Times are those of the owner's monotonic clock, from any beginning.
///
/// Programs use it through [`Threads`](crate::Threads); tests execute the jobs themselves.
pub struct Journal {
    pub(crate) buffer: Buffer,
    pub(crate) writer: Writer,
    pub(crate) keeper: Keeper,
    pub(crate) allocating: bool,
    under: [Option<JobId>; 3],
    next_job: u64,
}

impl Journal {
    pub(crate) fn new(mut buffer: Buffer, mut writer: Writer, keeper: Keeper) -> Journal {
        writer.update_room(&mut buffer);
        Journal { buffer, writer, keeper, allocating: false, under: [None; 3], next_job: 1 }
    }

    /// Appends a record to the buffer and gives it the next number; never waits.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was appended then.
    pub fn append(&mut self, payload: &Payload<'_>, class: Class) -> Result<Seq, AppendError> {
        self.buffer.append(payload, class)
    }

    /// The next job, if there is one.
    pub fn poll(&mut self, now: Duration) -> Option<Job> {
        if let Some(seq) = self.keeper.wants_sync() {
            self.writer.want_sync(seq);
        }
        for lane in [Lane::Write, Lane::Sync, Lane::Files] {
            if let Some(op) = self.poll_lane(now, lane) {
                let id = JobId(self.next_job);
                self.next_job += 1;
                self.under[lane as usize] = Some(id);
                return Some(Job { id, lane, op });
            }
        }
        None
    }

    fn poll_lane(&mut self, now: Duration, lane: Lane) -> Option<Op> {
        if self.under.get(lane as usize).copied().flatten().is_some() {
            return None;
        }
        match lane {
            Lane::Write => self.writer.poll_write(now, false, &mut self.buffer),
            Lane::Sync => self.writer.poll_sync(now),
            Lane::Files => {
                let op = self.writer.poll_allocate(now);
                self.allocating = op.is_some();
                op.or_else(|| self.poll_keeper(now))
            }
        }
    }

    fn poll_keeper(&mut self, now: Duration) -> Option<Op> {
        if self.writer.failure().is_some() {
            return None;
        }
        self.keeper.feed(self.writer.take_fed());
        let op = self.keeper.poll(now);
        if let Some(seq) = self.keeper.wants_sync() {
            self.writer.want_sync(seq);
        }
        op
    }

    /// Says what came of a job. A job that is not under way is ignored.
    pub fn done(&mut self, now: Duration, id: JobId, result: io::Result<Outcome>) {
        let lanes = [Lane::Write, Lane::Sync, Lane::Files];
        let Some(lane) = lanes.into_iter().find(|lane| self.under[*lane as usize] == Some(id))
        else {
            return;
        };
        self.under[lane as usize] = None;
        match lane {
            Lane::Write => self.writer.done_write(now, result, &mut self.buffer),
            Lane::Sync => self.writer.done_sync(now, result, &mut self.buffer),
            Lane::Files if self.allocating => {
                self.writer.done_allocate(now, result, &mut self.buffer);
            }
            Lane::Files => {
                self.keeper.done(now, result);
                for mark in self.keeper.take_marks() {
                    self.buffer.append_mark(&mark);
                }
            }
        }
    }

    /// Writes and syncs at once until this record is covered.
    pub fn want_sync(&mut self, seq: Seq) {
        self.writer.want_sync(seq);
    }

    /// Whether this record is durable in the sense of [`Options::durable`](crate::Options::durable): what it caused
    /// may leave then.
    #[must_use]
    pub fn settled(&self, seq: Seq) -> bool {
        match self.writer.pace().0 {
            Durable::Process => self.written() >= seq,
            Durable::Power => self.synced() >= seq,
        }
    }

    /// Makes a record durable in that sense as soon as the disk allows it.
    pub fn want_settled(&mut self, seq: Seq) {
        if self.writer.pace().0 == Durable::Power {
            self.writer.want_sync(seq);
        }
    }

    /// Compacts as soon as it can, if anything changed.
    pub fn compact(&mut self) {
        self.keeper.compact();
    }

    /// Every record up to this one survives the end of the process.
    #[must_use]
    pub fn written(&self) -> Seq {
        self.writer.written()
    }

    /// Every record up to this one survives the loss of power.
    #[must_use]
    pub fn synced(&self) -> Seq {
        self.writer.synced()
    }

    /// The last record that was appended.
    #[must_use]
    pub fn appended(&self) -> Seq {
        self.buffer.last()
    }

    /// When [`Journal::poll`] has something to do although nothing happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        let keeper = self.keeper.next_wake().filter(|_| self.writer.failure().is_none());
        self.writer.next_wake(!self.buffer.is_empty()).into_iter().chain(keeper).min()
    }

    /// What restricts the owner now.
    #[must_use]
    pub fn status(&self) -> Status {
        status(&self.buffer, &self.writer, self.keeper.behind())
    }

    /// What a person is to be told, since the last call.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        let mut alerts = self.buffer.take_alerts();
        alerts.extend(self.writer.take_alerts());
        alerts.extend(self.keeper.take_alerts());
        alerts
    }

    /// The entries as of the last record whose write is known here, and that record.
    pub fn entries(&mut self) -> (Seq, &Map) {
        self.keeper.feed(self.writer.take_fed());
        self.keeper.catch_up();
        (self.keeper.seq(), self.keeper.map())
    }

    /// Whether a compaction, copying or removal that is due is not done.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.keeper.is_busy()
    }

    /// Where the record log has arrived.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.keeper.cursor()
    }

    /// Why the journal of this run is over.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.writer.failure()
    }
}

pub(crate) fn status(buffer: &Buffer, writer: &Writer, behind: bool) -> Status {
    Status {
        room: writer.room(),
        low_space: writer.low_space(),
        slow: writer.slow() || behind,
        dropping: buffer.is_dropping(),
        full: buffer.is_full(),
        failed: writer.failure().cloned(),
    }
}
