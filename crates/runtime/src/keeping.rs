//! Execution of the journal's operations on the disk: by threads in a program, by a task in a simulation.
//!
//! The task completes each operation at a virtual time that the simulation chooses, so a slow, a hanging and a full disk
//! are stories that repeat. An operation takes effect when it is completed: a process that is killed before
//! has not written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use polydesk_journal::{
    Alert, AppendError, Class, Disk, Handle, Job, Journal, Op, Payload, Seq, Status, StopFacts,
    Threads, WaitError,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long the end of a journal may take.
const STOPPING: Duration = Duration::from_secs(10);
/// How long an order may wait for the disk.
pub const SETTLING: Duration = Duration::from_secs(5);
/// What is left of a journal after a crash of the engine is written within this time.
const LEAVING: Duration = Duration::from_secs(2);

/// Where the journal is.
#[derive(Default)]
pub enum Storage {
    /// In a folder of the data folder, with threads.
    #[default]
    Folder,
    /// On this disk, with threads.
    Disk(Arc<dyn Disk>),
    /// On this disk, with a task of the runtime.
    Simulated(SimulatedDisk),
}

/// A disk whose operations take virtual time.
#[derive(Clone)]
pub struct SimulatedDisk {
    /// Where they take effect.
    pub disk: Arc<dyn Disk>,
    /// How long one takes that begins now.
    pub takes: Arc<dyn Fn(&Op) -> Duration + Send + Sync>,
}

/// Appends, for the engine's thread.
#[derive(Clone)]
pub enum Appender {
    /// To a journal with threads.
    Threads(Handle),
    /// To a journal with a task.
    Task(Arc<Shared>),
}

/// A journal under a task.
pub struct Shared {
    journal: Mutex<Journal>,
    /// Something was appended.
    appended: Notify,
    /// Something was done on the disk.
    progress: Notify,
    began: Instant,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Journal> {
        // A panic elsewhere leaves a journal whose state is still good.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn settle(&self, seq: Seq) -> Result<(), WaitError> {
        loop {
            let progress = self.progress.notified();
            {
                let mut journal = self.lock();
                if let Some(failure) = journal.failure() {
                    return Err(failure.clone().into());
                }
                if journal.settled(seq) {
                    return Ok(());
                }
                journal.want_settled(seq);
            }
            self.appended.notify_one();
            progress.await;
        }
    }
}

impl Appender {
    /// Appends a record; waits for no disk.
    ///
    /// # Errors
    /// Those of the journal; nothing was appended then.
    pub fn append(&self, payload: &Payload<'_>, class: Class) -> Result<Seq, AppendError> {
        match self {
            Appender::Threads(handle) => handle.append(payload, class),
            Appender::Task(shared) => {
                let seq = shared.lock().append(payload, class);
                shared.appended.notify_one();
                seq
            }
        }
    }

    /// Waits until this record is durable as the settings have it: what it caused may leave then. On threads the
    /// caller's own thread writes.
    ///
    /// # Errors
    /// The journal is over, or the disk takes longer than [`SETTLING`].
    pub async fn settle(&self, seq: Seq) -> Result<(), WaitError> {
        match self {
            Appender::Threads(handle) => handle.settle(seq, SETTLING),
            Appender::Task(shared) => {
                let settled = tokio::time::timeout(SETTLING, shared.settle(seq)).await;
                settled.unwrap_or(Err(WaitError::Timeout { seq, within: SETTLING }))
            }
        }
    }

    /// The last record that was appended.
    pub fn appended(&self) -> Seq {
        match self {
            Appender::Threads(handle) => handle.appended(),
            Appender::Task(shared) => shared.lock().appended(),
        }
    }

    /// Every record up to this one survives the loss of power.
    pub fn synced(&self) -> Seq {
        match self {
            Appender::Threads(handle) => handle.synced(),
            Appender::Task(shared) => shared.lock().synced(),
        }
    }

    /// What restricts trading now.
    pub fn status(&self) -> Status {
        match self {
            Appender::Threads(handle) => handle.status(),
            Appender::Task(shared) => shared.lock().status(),
        }
    }

    /// Alerts for the operator since the last call.
    pub fn take_alerts(&self) -> Vec<Alert> {
        match self {
            Appender::Threads(handle) => handle.take_alerts(),
            Appender::Task(shared) => shared.lock().take_alerts(),
        }
    }
}

/// Executes the work of a run's journal.
pub enum Keeper {
    /// With threads.
    Threads(Threads),
    /// With a task.
    Task(Arc<Shared>, JoinHandle<()>),
}

impl Keeper {
    /// A task that executes a journal's jobs.
    pub fn task(journal: Journal, disk: SimulatedDisk) -> Keeper {
        let shared = Arc::new(Shared {
            journal: Mutex::new(journal),
            appended: Notify::new(),
            progress: Notify::new(),
            began: Instant::now(),
        });
        let task = tokio::spawn(drive(Arc::clone(&shared), disk));
        Keeper::Task(shared, task)
    }

    /// For the engine's thread.
    pub fn appender(&self) -> Appender {
        match self {
            Keeper::Threads(threads) => Appender::Threads(threads.handle()),
            Keeper::Task(shared, _) => Appender::Task(Arc::clone(shared)),
        }
    }

    /// Ends a run's journal: everything is synced, and compacted.
    ///
    /// # Errors
    /// The disk is not done in time, or refuses.
    pub async fn stop(self, facts: StopFacts) -> Result<(), WaitError> {
        match self {
            Keeper::Threads(threads) => {
                let handle = threads.handle();
                // A disk that hangs holds a thread, never the process: it can still say why it ends.
                let work = tokio::task::spawn_blocking(move || threads.stop(&facts, STOPPING));
                match tokio::time::timeout(STOPPING + LEAVING, work).await {
                    Ok(Ok(stopped)) => stopped,
                    _ => Err(WaitError::Timeout { seq: handle.appended(), within: STOPPING }),
                }
            }
            Keeper::Task(shared, task) => {
                let stopped = tokio::time::timeout(STOPPING, stop(&shared, &facts)).await;
                task.abort();
                let seq = shared.lock().appended();
                stopped.unwrap_or(Err(WaitError::Timeout { seq, within: STOPPING }))
            }
        }
    }

    /// After a crash of the engine: what it had appended is good, and is written if the disk does it soon.
    pub fn leave(self) {
        match self {
            Keeper::Threads(threads) => {
                let handle = threads.handle();
                let (done, wait) = std::sync::mpsc::channel();
                let flush = move || {
                    let flushed = handle.flush(handle.appended());
                    // The handle holds the folder's lock: the next start may follow at once.
                    drop(handle);
                    let _ = done.send(flushed);
                };
                let begun = std::thread::Builder::new().name("journal-last".into()).spawn(flush);
                if begun.is_ok() {
                    let _ = wait.recv_timeout(LEAVING);
                }
            }
            // Killed: what is under way does not take effect.
            Keeper::Task(_, task) => task.abort(),
        }
    }
}

async fn stop(shared: &Shared, facts: &StopFacts) -> Result<(), WaitError> {
    let seq = shared.lock().append(&Payload::Stop(facts), Class::Fact)?;
    shared.lock().compact();
    loop {
        let progress = shared.progress.notified();
        {
            let mut journal = shared.lock();
            if let Some(failure) = journal.failure() {
                return Err(failure.clone().into());
            }
            if journal.synced() >= seq && !journal.is_busy() {
                return Ok(());
            }
            let last = journal.appended();
            journal.want_sync(last);
        }
        shared.appended.notify_one();
        progress.await;
    }
}

/// Executes jobs, each at the time at which it is done.
async fn drive(shared: Arc<Shared>, disk: SimulatedDisk) {
    let mut under: BTreeMap<(Instant, u64), Job> = BTreeMap::new();
    let mut number = 0;
    loop {
        let now = Instant::now();
        while let Some(first) = under.first_entry().filter(|first| first.key().0 <= now) {
            let job = first.remove();
            let result = job.op.run(&*disk.disk);
            shared.lock().done(shared.now(), job.id, result);
            shared.progress.notify_waiters();
        }
        while let Some(job) = { shared.lock().poll(shared.now()) } {
            number += 1;
            under.insert((now + (disk.takes)(&job.op), number), job);
        }
        let done = under.keys().next().map(|(at, _)| *at);
        let wake = shared.lock().next_wake().map(|wake| shared.began + wake);
        // What is due and not begun waits for what is under way.
        let wake = wake.filter(|wake| *wake > now);
        let next = done.into_iter().chain(wake).min();
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.appended.notified() => {}
            () = sleep => {}
        }
    }
}
