//! Executes a journal's jobs on threads of its own, and lets other threads append, flush and wait.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::buffer::{Buffer, Class};
use crate::disk::{Disk, Op};
use crate::frame::Seq;
use crate::journal::{Journal, status};
use crate::keeper::Keeper;
use crate::options::Durable;
use crate::payload::{Payload, StopFacts};
use crate::rows::Cursor;
use crate::status::{Alert, AppendError, Failure, Status};
use crate::writer::Writer;

/// Gives the time since some beginning; never goes back. The crate reads no clock of its own.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Why a record is not where a caller needs it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// It never will be in this run.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Not in time. It may be there later.
    #[error("record {seq} is not synced within {} ms", within.as_millis())]
    Timeout {
        /// The record.
        seq: Seq,
        /// The time that was given.
        within: Duration,
    },
    /// There is no such record.
    #[error("record {seq} was not appended; the last one is {last}")]
    Unknown {
        /// The record.
        seq: Seq,
        /// The last one.
        last: Seq,
    },
    /// The `stop` record was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// How often an idle thread looks whether there is something to do.
const IDLE: Duration = Duration::from_millis(20);

struct Shared {
    disk: Arc<dyn Disk>,
    clock: Clock,
    durable: Durable,
    flush_every: Duration,
    /// The only lock that appending takes. Nobody holds it during an operation on the disk.
    buffer: Mutex<Buffer>,
    /// Not held during an operation either.
    writer: Mutex<Writer>,
    /// Something was written, synced or allocated.
    progress: Condvar,
    files: Mutex<Files>,
    /// Held during a write: writes are in order.
    write_lane: Mutex<()>,
    /// Callers that wait for progress: waking nobody costs a system call too.
    waiters: AtomicUsize,
    stopping: AtomicBool,
    behind: AtomicBool,
    alerts: Mutex<Vec<Alert>>,
}

struct Files {
    keeper: Keeper,
    allocating: bool,
}

// A panic of another thread has ended the run already (`guarded`); its data may still be looked at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The journal as the threads of a program see it. Clones are the same journal.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// The threads. They end with [`Threads::stop`], or by themselves when this is dropped.
pub struct Threads {
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts them: one writes, one syncs, one looks after the other files.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(journal: Journal, disk: Arc<dyn Disk>, clock: Clock) -> io::Result<Threads> {
        let Journal { buffer, writer, keeper, allocating, .. } = journal;
        let (durable, flush_every) = writer.pace();
        let shared = Arc::new(Shared {
            disk,
            clock,
            durable,
            flush_every,
            buffer: Mutex::new(buffer),
            writer: Mutex::new(writer),
            progress: Condvar::new(),
            files: Mutex::new(Files { keeper, allocating }),
            write_lane: Mutex::new(()),
            waiters: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            behind: AtomicBool::new(false),
            alerts: Mutex::default(),
        });
        let mut threads = Threads { handle: Handle { shared }, threads: Vec::new() };
        threads.spawn("journal-write", Shared::write_loop)?;
        threads.spawn("journal-sync", Shared::sync_loop)?;
        threads.spawn("journal-files", Shared::files_loop)?;
        Ok(threads)
    }

    fn spawn(&mut self, name: &str, body: fn(&Shared)) -> io::Result<()> {
        let shared = Arc::clone(&self.handle.shared);
        let run = move || shared.guarded(body);
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }

    /// For the other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Appends `stop`, compacts, syncs everything and ends the threads.
    ///
    /// # Errors
    /// The journal is over, or the disk is not done in time: the threads are then left to themselves.
    pub fn stop(mut self, facts: &StopFacts, within: Duration) -> Result<(), WaitError> {
        let handle = self.handle.clone();
        let until = handle.now().saturating_add(within);
        let seq = handle.append(&Payload::Stop(facts), Class::Fact)?;
        handle.wait_synced(seq, within)?;
        handle.shared.wait_idle(seq, until, within)?;
        let last = handle.appended();
        handle.wait_synced(last, until.saturating_sub(handle.now()))?;
        handle.shared.end();
        for thread in mem::take(&mut self.threads) {
            // A panic was turned into a failure inside.
            let _ = thread.join();
        }
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.handle.shared.end();
    }
}

impl Handle {
    fn now(&self) -> Duration {
        (self.shared.clock)()
    }

    /// Appends a record and gives it the next number. Waits for no disk.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was appended then.
    pub fn append(&self, payload: &Payload<'_>, class: Class) -> Result<Seq, AppendError> {
        lock(&self.shared.buffer).append(payload, class)
    }

    /// Writes everything up to this record, on the calling thread, with one write where it fits one. Returns
    /// at once when that is done already.
    ///
    /// # Errors
    /// The journal is over, or there is no such record.
    pub fn flush(&self, seq: Seq) -> Result<(), WaitError> {
        self.shared.flush(seq)
    }

    /// Waits until this record survives the loss of power.
    ///
    /// # Errors
    /// The journal is over, there is no such record, or it takes longer than `within`.
    pub fn wait_synced(&self, seq: Seq, within: Duration) -> Result<(), WaitError> {
        let until = self.now().saturating_add(within);
        self.flush(seq)?;
        let mut writer = lock(&self.shared.writer);
        if writer.synced() >= seq {
            return Ok(());
        }
        writer.want_sync(seq);
        self.shared.progress.notify_all();
        self.shared.waiters.fetch_add(1, Ordering::Relaxed);
        let result = loop {
            if writer.synced() >= seq {
                break Ok(());
            }
            if let Some(failure) = writer.failure() {
                break Err(failure.clone().into());
            }
            if self.now() >= until {
                break Err(WaitError::Timeout { seq, within });
            }
            writer = self.shared.wait(writer, IDLE);
        };
        self.shared.waiters.fetch_sub(1, Ordering::Relaxed);
        result
    }

    /// Waits until this record is durable in the sense of [`Options::durable`](crate::Options::durable): what
    /// it caused may leave then.
    ///
    /// # Errors
    /// Those of [`Handle::flush`] and [`Handle::wait_synced`].
    pub fn settle(&self, seq: Seq, within: Duration) -> Result<(), WaitError> {
        match self.shared.durable {
            Durable::Process => self.flush(seq),
            Durable::Power => self.wait_synced(seq, within),
        }
    }

    /// The last record that was appended.
    #[must_use]
    pub fn appended(&self) -> Seq {
        lock(&self.shared.buffer).last()
    }

    /// Every record up to this one survives the end of the process.
    #[must_use]
    pub fn written(&self) -> Seq {
        lock(&self.shared.writer).written()
    }

    /// Every record up to this one survives the loss of power.
    #[must_use]
    pub fn synced(&self) -> Seq {
        lock(&self.shared.writer).synced()
    }

    /// What restricts the owner now.
    #[must_use]
    pub fn status(&self) -> Status {
        let writer = lock(&self.shared.writer);
        let behind = self.shared.behind.load(Ordering::Relaxed);
        status(&lock(&self.shared.buffer), &writer, behind)
    }

    /// What a person is to be told, since the last call.
    #[must_use]
    pub fn take_alerts(&self) -> Vec<Alert> {
        let mut alerts = lock(&self.shared.writer).take_alerts();
        alerts.extend(lock(&self.shared.buffer).take_alerts());
        alerts.append(&mut lock(&self.shared.alerts));
        alerts
    }

    /// Compacts soon, if anything changed.
    pub fn compact(&self) {
        lock(&self.shared.files).keeper.compact();
    }

    /// Where the record log has arrived. May wait while a compaction is put together.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        lock(&self.shared.files).keeper.cursor()
    }
}

impl Shared {
    fn wait<'a>(&self, writer: MutexGuard<'a, Writer>, most: Duration) -> MutexGuard<'a, Writer> {
        match self.progress.wait_timeout(writer, most) {
            Ok((writer, _)) => writer,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// Wakes whoever waits for what has just been done. The threads look by themselves.
    fn tell(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.progress.notify_all();
        }
    }

    fn end(&self) {
        self.stopping.store(true, Ordering::Release);
        self.progress.notify_all();
    }

    fn ends(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Runs a thread; a panic in it ends the run's journal.
    fn guarded(&self, body: fn(&Shared)) {
        if catch_unwind(AssertUnwindSafe(|| body(self))).is_err() {
            let name = thread::current().name().unwrap_or("journal").to_owned();
            let error = io::Error::other("the thread panicked");
            let mut writer = lock(&self.writer);
            writer.fail("running thread", &name, &error, &mut lock(&self.buffer));
            drop(writer);
            self.progress.notify_all();
        }
    }

    fn flush(&self, seq: Seq) -> Result<(), WaitError> {
        if lock(&self.writer).written() >= seq {
            return Ok(());
        }
        let _lane = lock(&self.write_lane);
        loop {
            let mut writer = lock(&self.writer);
            if writer.written() >= seq {
                return Ok(());
            }
            if let Some(failure) = writer.failure() {
                return Err(failure.clone().into());
            }
            let mut buffer = lock(&self.buffer);
            let last = buffer.last();
            if seq > last {
                return Err(WaitError::Unknown { seq, last });
            }
            let op = writer.poll_write((self.clock)(), true, &mut buffer);
            drop(buffer);
            match op {
                Some(op) => {
                    drop(writer);
                    self.write(op);
                }
                // It waits for a segment.
                None => drop(self.wait(writer, Duration::from_millis(1))),
            }
        }
    }

    /// Executes a write; the lane is held.
    fn write(&self, op: Op) {
        let result = op.run(&*self.disk);
        // The bytes are used again when nobody else holds them.
        drop(op);
        let mut writer = lock(&self.writer);
        writer.done_write((self.clock)(), result, &mut lock(&self.buffer));
        drop(writer);
        self.tell();
    }

    fn write_loop(&self) {
        while !self.ends() {
            let lane = lock(&self.write_lane);
            let mut writer = lock(&self.writer);
            let now = (self.clock)();
            let op = writer.poll_write(now, false, &mut lock(&self.buffer));
            match op {
                Some(op) => {
                    drop(writer);
                    self.write(op);
                }
                None => {
                    drop(lane);
                    drop(self.wait(writer, self.flush_every));
                }
            }
        }
    }

    fn sync_loop(&self) {
        while !self.ends() {
            let mut writer = lock(&self.writer);
            let Some(op) = writer.poll_sync((self.clock)()) else {
                drop(self.wait(writer, IDLE));
                continue;
            };
            drop(writer);
            let result = op.run(&*self.disk);
            let mut writer = lock(&self.writer);
            writer.done_sync((self.clock)(), result, &mut lock(&self.buffer));
            drop(writer);
            self.tell();
        }
    }

    fn files_loop(&self) {
        while !self.ends() {
            let Some(op) = self.next_file_op() else {
                drop(self.wait(lock(&self.writer), IDLE));
                continue;
            };
            let result = op.run(&*self.disk);
            let mut files = lock(&self.files);
            if files.allocating {
                let mut writer = lock(&self.writer);
                writer.done_allocate((self.clock)(), result, &mut lock(&self.buffer));
            } else {
                files.keeper.done((self.clock)(), result);
                for mark in files.keeper.take_marks() {
                    lock(&self.buffer).append_mark(&mark);
                }
            }
            self.progress.notify_all();
        }
    }

    fn next_file_op(&self) -> Option<Op> {
        let mut files = lock(&self.files);
        let mut writer = lock(&self.writer);
        let op = writer.poll_allocate((self.clock)());
        files.allocating = op.is_some();
        if op.is_some() || writer.failure().is_some() {
            return op;
        }
        files.keeper.feed(writer.take_fed());
        // Applying and putting a compaction together take time; writing goes on meanwhile.
        drop(writer);
        let op = files.keeper.poll((self.clock)());
        self.behind.store(files.keeper.behind(), Ordering::Relaxed);
        lock(&self.alerts).extend(files.keeper.take_alerts());
        if let Some(seq) = files.keeper.wants_sync() {
            lock(&self.writer).want_sync(seq);
            self.progress.notify_all();
        }
        op
    }

    /// Waits for the last compaction of a run.
    fn wait_idle(&self, seq: Seq, until: Duration, within: Duration) -> Result<(), WaitError> {
        lock(&self.files).keeper.compact();
        loop {
            let mut files = lock(&self.files);
            let mut writer = lock(&self.writer);
            files.keeper.feed(writer.take_fed());
            if let Some(failure) = writer.failure() {
                return Err(failure.clone().into());
            }
            if !files.keeper.is_busy() {
                return Ok(());
            }
            drop(files);
            if (self.clock)() >= until {
                return Err(WaitError::Timeout { seq, within });
            }
            writer.want_sync(seq);
            drop(self.wait(writer, IDLE));
        }
    }
}
