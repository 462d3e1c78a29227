//! The engine's thread and the journal: what comes in is appended before the engine sees it, what it changed
//! afterwards.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use polydesk_domain::{Event, MarketEvent, Outbox, Record, Recorded, Span, Stamped, Time};
use polydesk_engine::{Engine, Soft};
use polydesk_execution::{Entry, LoadError, TABLES};
pub use polydesk_journal::OpenError;
use polydesk_journal::{
    Alert, AppendError, Change, Class, Delta, Disk, Durable, FileDisk, Journal, Options, Payload,
    RecoverError, Recovered, Retention, Row, RunFacts, Seq, Status, Threads, recover,
};
use polydesk_replay::{EventLog, SOFT, read_soft, soft_entries};
use polydesk_settings::JournalSettings;
use polydesk_tape::{WireError, encode_event};

use crate::clock::EngineClock;
use crate::facts::{Deriver, Fact};
use crate::glance::Identity;
use crate::keeping::{Appender, Keeper, SimulatedDisk, Storage};

/// Folder of the journal in the data folder.
pub const FOLDER: &str = "journal";
/// Between two copies of soft memory.
const SOFT_EVERY: Span = Span::secs(60);

/// What went wrong between engine and journal. Trading ends with it.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing can be appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// An event cannot be stored.
    #[error(transparent)]
    Event(#[from] WireError),
    /// A record cannot be stored.
    #[error("a record cannot be stored")]
    Record(#[from] serde_json::Error),
}

/// Why a journal could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is in it.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// Its entries.
    #[error("the journal holds an entry that this program cannot read; nothing was changed")]
    Load(#[from] LoadError),
    /// Its threads.
    #[error("a thread of the journal cannot be started")]
    Thread(#[from] std::io::Error),
}

/// A journal whose run has begun.
pub struct Begun {
    /// What was found.
    pub recovered: Recovered,
    journal: Journal,
    disk: Arc<dyn Disk>,
    simulated: Option<SimulatedDisk>,
}

/// The settings as the journal takes them.
pub fn options(settings: &JournalSettings) -> Options {
    Options {
        durable: match settings.durable {
            polydesk_settings::Durable::Process => Durable::Process,
            polydesk_settings::Durable::Power => Durable::Power,
        },
        segment_bytes: u64::from(settings.segment_mib) << 20,
        recording: settings.recording,
        retention: (settings.keep_skips_months > 0)
            .then_some(Retention { months: settings.keep_skips_months, keep: kept_for_ever }),
        ..Options::default()
    }
}

/// Whether a row of the record log is an account of what was done with money: all but the reasons why nothing was done.
/// A row that cannot be read stays.
fn kept_for_ever(body: &[u8]) -> bool {
    !matches!(
        serde_json::from_slice(body),
        Ok(Recorded { record: Record::Skip { .. } | Record::Denied { .. }, .. })
    )
}

/// The boot id of the host; empty where there is none.
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// Locks the folder, recovers what is in it and begins a run.
///
/// # Errors
/// See [`BeginError`].
pub fn begin(
    storage: Storage,
    data: &Path,
    settings: &JournalSettings,
    facts: &RunFacts,
) -> Result<Begun, BeginError> {
    let (disk, simulated): (Arc<dyn Disk>, _) = match storage {
        Storage::Folder => (Arc::new(FileDisk::open(&data.join(FOLDER))?), None),
        Storage::Disk(disk) => (disk, None),
        Storage::Simulated(simulated) => (Arc::clone(&simulated.disk), Some(simulated)),
    };
    let (journal, recovered) = recover(disk.as_ref(), &options(settings), facts)?;
    Ok(Begun { recovered, journal, disk, simulated })
}

impl Begun {
    /// The entries of the engine's state.
    ///
    /// # Errors
    /// A table that this program does not have.
    pub fn entries(&self) -> Result<Vec<Entry>, LoadError> {
        entries(&self.recovered.entries)
    }

    /// Soft memory; what cannot be read is left out.
    pub fn soft(&self) -> Soft {
        let mut soft = Soft::default();
        for entry in self.recovered.entries.iter().filter(|entry| entry.table == SOFT) {
            read_soft(&entry.key, &entry.value, &mut soft);
        }
        soft
    }

    /// Starts the journal's threads, or its task.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(self, clock: &EngineClock) -> Result<(Recovered, Keeper), BeginError> {
        if let Some(disk) = self.simulated {
            return Ok((self.recovered, Keeper::task(self.journal, disk)));
        }
        let server = clock.server().clone();
        let began = server.steady();
        let since = move || {
            let nanos = began.until(server.steady()).as_nanos();
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
        };
        let threads = Threads::start(self.journal, self.disk, Arc::new(since))?;
        Ok((self.recovered, Keeper::Threads(threads)))
    }
}

/// The entries of the engine's state among those of a journal.
///
/// # Errors
/// A table that this program does not have.
pub fn entries(all: &[polydesk_journal::Entry]) -> Result<Vec<Entry>, LoadError> {
    let ours = all.iter().filter(|entry| TABLES.contains(&entry.table.as_str()));
    ours.map(|entry| Entry::read(&entry.table, entry.key.clone(), Some(entry.value.clone())))
        .collect()
}

/// Milliseconds since 1970.
fn millis(at: Time) -> i64 {
    at.nanos().div_euclid(1_000_000)
}

/// Appends for the engine's thread. It never touches the disk.
pub struct Journaling {
    handle: Appender,
    /// Running hash of the commands.
    commands: EventLog,
    /// The record of the event that is being handled.
    cause: Seq,
    bytes: Vec<u8>,
    changed: Vec<Entry>,
    next_soft: Time,
    last: Status,
    identity: Identity,
    deriver: Deriver,
    /// Facts of the present cause so far.
    facts: u32,
}

/// Facts are numbered from here among the rows of their cause: behind every record of the engine.
const FIRST_FACT: u32 = 1 << 24;

impl Journaling {
    /// Over a journal whose work is executed.
    pub fn new(handle: Appender, identity: Identity) -> Journaling {
        Journaling {
            handle,
            identity,
            deriver: Deriver::default(),
            facts: 0,
            commands: EventLog::hash_only(),
            cause: Seq::ZERO,
            bytes: Vec::new(),
            changed: Vec::new(),
            next_soft: Time::MIN,
            last: Status::default(),
        }
    }

    /// An event that the engine is about to handle.
    ///
    /// # Errors
    /// It cannot be stored, or the journal takes nothing more.
    pub fn input(&mut self, engine: &Engine, stamped: &Stamped) -> Result<(), JournalError> {
        self.bytes.clear();
        encode_event(stamped, engine.universe(), &mut self.bytes)?;
        let class = match &stamped.event {
            Event::Market(
                MarketEvent::Level(_)
                | MarketEvent::Snapshot(_)
                | MarketEvent::Best { .. }
                | MarketEvent::Print(_)
                | MarketEvent::Unverified { .. },
            ) => Class::Market,
            _ => Class::Fact,
        };
        self.cause = self.handle.append(&Payload::Input(&self.bytes), class)?;
        self.facts = 0;
        match self.deriver.event(engine, &self.identity, stamped) {
            Some(fact) => self.fact(stamped.at, &fact),
            None => Ok(()),
        }
    }

    /// A row of the record log that is no record of the engine.
    ///
    /// # Errors
    /// As for [`Journaling::input`].
    pub fn fact(&mut self, at: Time, fact: &Fact) -> Result<(), JournalError> {
        self.bytes.clear();
        serde_json::to_writer(&mut self.bytes, fact)?;
        let n = FIRST_FACT + self.facts;
        self.facts += 1;
        let row = Row { cause: self.cause, n, at_ms: millis(at), body: &self.bytes };
        self.handle.append(&Payload::Record(row), Class::Fact)?;
        Ok(())
    }

    /// What the event changed, and what it gave rise to.
    ///
    /// # Errors
    /// As for [`Journaling::input`].
    pub fn output(&mut self, engine: &Engine, at: Time, out: &Outbox) -> Result<(), JournalError> {
        for command in &out.commands {
            // A hash alone is kept: nothing can fail.
            let _ = self.commands.command(engine.universe(), at, command);
        }
        self.changed.clear();
        engine.changes(|entry| self.changed.push(entry));
        if !self.changed.is_empty() || !out.commands.is_empty() {
            let changes = self.changed.iter().map(|entry| Change {
                table: entry.table,
                key: &entry.key,
                value: entry.value.as_deref(),
            });
            let commands = self.commands.hash_so_far();
            let delta = Delta { cause: self.cause, commands, changes: changes.collect() };
            self.handle.append(&Payload::Delta(&delta), Class::Fact)?;
        }
        for recorded in &out.records {
            self.record(recorded)?;
        }
        for fact in self.deriver.output(engine, at, out) {
            self.fact(at, &fact)?;
        }
        Ok(())
    }

    /// Rows of a table beside the engine's state. They belong to no event.
    ///
    /// # Errors
    /// As for [`Journaling::input`].
    pub fn rows<'a>(
        &mut self,
        table: &str,
        rows: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<(), JournalError> {
        let changes = rows.map(|(key, value)| Change { table, key, value }).collect();
        let delta = Delta { cause: Seq::ZERO, commands: [0; 32], changes };
        self.handle.append(&Payload::Delta(&delta), Class::Fact)?;
        Ok(())
    }

    fn record(&mut self, recorded: &Recorded) -> Result<(), JournalError> {
        self.bytes.clear();
        serde_json::to_writer(&mut self.bytes, recorded)?;
        let row =
            Row { cause: self.cause, n: recorded.n, at_ms: millis(recorded.at), body: &self.bytes };
        self.handle.append(&Payload::Record(row), Class::Fact)?;
        Ok(())
    }

    /// Copies soft memory where that is due.
    ///
    /// # Errors
    /// As for [`Journaling::input`].
    pub fn soft(&mut self, engine: &Engine, now: Time) -> Result<(), JournalError> {
        if now != Time::MAX
            && let Some(mark) = self.deriver.day(engine, now)
        {
            self.fact(now, &mark)?;
        }
        if now < self.next_soft {
            return Ok(());
        }
        self.next_soft = now + SOFT_EVERY;
        for (key, value) in soft_entries(&engine.soft())? {
            let change = Change { table: SOFT, key: &key, value: Some(&value) };
            let commands = self.commands.hash_so_far();
            let delta = Delta { cause: self.cause, commands, changes: vec![change] };
            match self.handle.append(&Payload::Delta(&delta), Class::Soft) {
                // A restart does without: it may be missing, and nothing else may suffer for it.
                Err(error @ AppendError::TooLarge { .. }) => {
                    tracing::warn!(%error, "soft memory of a strategy is not kept");
                }
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// What restricts trading now, if that changed since the last call; and what a person is to be told.
    pub fn status(&mut self) -> (Option<Status>, Vec<Alert>) {
        let status = self.handle.status();
        let alerts = self.handle.take_alerts();
        if status == self.last {
            return (None, alerts);
        }
        self.last = status.clone();
        (Some(status), alerts)
    }

    /// The last record of what the engine handled.
    pub fn appended(&self) -> Seq {
        self.handle.appended()
    }

    /// Every record up to this one survives the loss of power.
    pub fn synced(&self) -> Seq {
        self.handle.synced()
    }

    /// Hash of all commands of this run.
    pub fn commands(&self) -> [u8; 32] {
        self.commands.hash_so_far()
    }
}
