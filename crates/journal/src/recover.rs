//! The way back: reads what is there, mends it, begins a run.

use std::collections::BTreeSet;
use std::io;

use crate::buffer::Buffer;
use crate::disk::{Disk, Op};
use crate::frame::{self, Kind, SEGMENT_HEAD, SegmentHead, Seq};
use crate::journal::Journal;
use crate::keeper::{Begin, Keeper};
use crate::latch::{Kill, LATCH_VERSION, Latch, LatchError, LatchFile, LatchState};
use crate::log_repair;
use crate::map::{Entry, Map};
use crate::names;
use crate::options::{BadOption, Durable, Options, RUNS_KEPT};
use crate::payload::{
    Change, CutFact, Delta, Ended, Mark, RunFacts, RunLine, RunRecord, encode_json,
};
use crate::record_log::RecordLog;
use crate::survey::{Damage, Note, Survey, survey};
use crate::walk::{ReadError, Walked};
use crate::writer::{Segment, Spare, Spares, Writer};

/// Table of the entries that were found behind a hole. It stays until the owner deletes its entries.
pub const ASK_TABLE: &str = "journal.ask";

/// An entry behind a hole: it may have had an effect, and nothing says so. It is not part of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The table it was in.
    pub table: String,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// Key in [`ASK_TABLE`]: deleting that entry says that the question is answered.
    pub ask_key: Vec<u8>,
}

/// What a start finds.
#[derive(Debug)]
pub struct Recovered {
    /// Number of the run that begins.
    pub run: u32,
    /// How the last one ended.
    pub ended: Ended,
    /// What its owner knew.
    pub previous: Option<RunFacts>,
    /// The state, by table and key.
    pub entries: Vec<Entry>,
    /// Its hash.
    pub state_hash: String,
    /// The last record that is part of it.
    pub last: Seq,
    /// To be asked about, also from earlier starts.
    pub to_ask: Vec<Ask>,
    /// The end of the last run was cut off.
    pub cut: bool,
    /// The host was started again since the last run.
    pub boot_changed: bool,
    /// Records may be missing of which nothing is left here: what was sent because of them is unknown.
    pub lost_tail: bool,
    /// Unclean starts within a short time, this one included, reached the bound.
    pub crash_loop: bool,
    /// What the latch says.
    pub kill: Kill,
    /// For the next change of the latch.
    pub latch: LatchFile,
    /// The latest runs, this one last.
    pub runs: Vec<RunLine>,
    /// For a person.
    pub notes: Vec<Note>,
}

/// Why no run began.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// An option outside its bounds.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Something is missing that was there.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// The disk refused a change.
    #[error("journal: {doing} {file} failed; free space or repair the disk, then start again")]
    Io {
        /// As in `writing`.
        doing: &'static str,
        /// The file.
        file: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The latch cannot be made.
    #[error(transparent)]
    Latch(#[from] LatchError),
    /// The folder is that of another wallet.
    #[error(
        "the journal is that of wallet {was}, this run has {is}; one folder per wallet: set another data folder"
    )]
    Wallet {
        /// Of the journal.
        was: String,
        /// Of this run.
        is: String,
    },
    /// There are no numbers left.
    #[error("the journal has used up its run numbers; begin a new data folder")]
    Runs,
}

/// Reads a journal, mends it and begins a run, whose first record is synced when this returns.
///
/// Nothing but a new run number is used up when it is stopped in between. A folder without a journal is a
/// fresh one.
///
/// # Errors
/// A journal that is damaged, newer than the program or of another wallet, options outside their bounds, a
/// disk that refuses. Nothing was applied then.
pub fn recover(
    disk: &dyn Disk,
    options: &Options,
    facts: &RunFacts,
) -> Result<(Journal, Recovered), RecoverError> {
    options.check()?;
    let (latch, kill) =
        LatchFile::read(disk).map_err(|error| ReadError::io("reading", names::LATCH, error))?;
    let mut found = survey(disk, options)?;
    if let Some(damage) = found.damage.take().filter(|_| !options.rebuild) {
        return Err(damage.into());
    }
    if let Some(was) = found.facts.as_ref().map(|facts| &facts.wallet)
        && *was != facts.wallet
    {
        return Err(RecoverError::Wallet { was: was.clone(), is: facts.wallet.clone() });
    }
    let run = found.seen_run.checked_add(1).ok_or(RecoverError::Runs)?;
    let (latch, kill) = match (found.ended, kill) {
        // A latch is older than the first segment: it was made before.
        (Ended::Fresh, Kill::Missing) => first_latch(disk, facts, run)?,
        (_, kill) => (latch, kill),
    };
    let mut recovered = report(&found, options, facts, run, latch, kill);
    let journal = mend(disk, options, facts, found, &mut recovered)?;
    Ok((journal, recovered))
}

fn first_latch(
    disk: &dyn Disk,
    facts: &RunFacts,
    run: u32,
) -> Result<(LatchFile, Kill), RecoverError> {
    let state = LatchState {
        v: LATCH_VERSION,
        state: Latch::Clear,
        at: facts.at_ms,
        by: "journal".to_owned(),
        via: "start".to_owned(),
        why: "a new folder".to_owned(),
        run,
    };
    LatchFile::make(disk, &state)?;
    let read = LatchFile::read(disk);
    Ok(read.map_err(|error| ReadError::io("reading", names::LATCH, error))?)
}

fn report(
    found: &Survey,
    options: &Options,
    facts: &RunFacts,
    run: u32,
    latch: LatchFile,
    kill: Kill,
) -> Recovered {
    let unclean = matches!(found.ended, Ended::Unclean | Ended::Rebuilt);
    let boot_changed = found.facts.as_ref().is_some_and(|was| was.boot != facts.boot);
    // What power can take depends on how the run that ended wrote, not on how this one will.
    let last = found.runs.last();
    let weak = last.is_none_or(|line| line.durable == Durable::Process);
    let power = boot_changed && unclean && weak;
    // A start that died after it noticed has not dealt with it.
    let before = unclean && last.is_some_and(|line| line.lost_tail);
    let cut = found.hole.is_some();
    let lost_tail = power || cut || before || found.ended == Ended::Rebuilt;
    let mut runs = found.runs.clone();
    runs.push(RunLine {
        run,
        at_ms: facts.at_ms,
        after: found.ended,
        lost_tail,
        durable: options.durable,
    });
    let runs = runs.split_off(runs.len().saturating_sub(RUNS_KEPT));
    let since = facts.at_ms.saturating_sub(options.crash_loop_ms);
    let unclean = |line: &&RunLine| {
        matches!(line.after, Ended::Unclean | Ended::Rebuilt) && line.at_ms > since
    };
    let crash_loop = runs.iter().filter(unclean).count() >= options.crash_loop_starts;
    Recovered {
        run,
        ended: found.ended,
        previous: found.facts.clone(),
        entries: Vec::new(),
        state_hash: found.map.hash(),
        last: found.last,
        to_ask: Vec::new(),
        cut,
        boot_changed,
        lost_tail,
        crash_loop,
        kill,
        latch,
        runs,
        notes: found.notes.clone(),
    }
}

/// Executes an operation.
fn act(disk: &dyn Disk, doing: &'static str, op: &Op) -> Result<(), RecoverError> {
    let file = match op {
        Op::Create { name, .. }
        | Op::Write { name, .. }
        | Op::Sync { name }
        | Op::Truncate { name, .. }
        | Op::Remove { name } => name.clone(),
        Op::Rename { to, .. } | Op::Compress { to, .. } | Op::Thin { to, .. } => to.clone(),
        Op::SyncFolder { folder } => format!("folder {folder:?}"),
        Op::Space => "file system".to_owned(),
    };
    op.run(disk).map(drop).map_err(|error| RecoverError::Io { doing, file, error })
}

fn sync_folder() -> Op {
    Op::SyncFolder { folder: String::new() }
}

/// Changes the folder so that the next start finds a journal without a hole, and begins the run.
fn mend(
    disk: &dyn Disk,
    options: &Options,
    facts: &RunFacts,
    found: Survey,
    recovered: &mut Recovered,
) -> Result<Journal, RecoverError> {
    let Survey { mut map, last, seen, walk, behind, mut log, log_mend, .. } = found;
    // Spare segments first: their room may be needed.
    for name in found.temporary {
        act(disk, "removing", &Op::Remove { name })?;
    }
    // What was read may be in memory only; from here on others rely on it.
    for walked in &walk.segments {
        act(disk, "syncing", &Op::Sync { name: walked.name.clone() })?;
    }
    if recovered.kill != Kill::Missing {
        act(disk, "syncing", &Op::Sync { name: names::LATCH.to_owned() })?;
    }
    act(disk, "syncing", &sync_folder())?;
    let leftovers = leftovers(&walk.segments);
    let cut = keep_aside(disk, recovered.run, &leftovers)?;
    for op in log_repair::operations(recovered.run, &mut log).into_iter().chain(log_mend) {
        act(disk, "mending", &op)?;
    }
    copy_rows(disk, &mut log, last)?;

    let first = seen.next();
    let mut begin = First { run: recovered.run, next: first, bytes: Vec::new() };
    let record = RunRecord {
        run: recovered.run,
        facts: facts.clone(),
        ended: recovered.ended,
        after: last,
        state_hash: recovered.state_hash.clone(),
        runs: recovered.runs.clone(),
    };
    begin.put(Kind::Run, |out| encode_json(&record, out));
    if let Some(hole) = &walk.hole {
        let bytes = cut.iter().map(|(_, bytes)| bytes).sum();
        let file = cut.first().map(|(file, _)| file.clone()).unwrap_or_default();
        let why = hole.why.to_owned();
        let cut = Some(CutFact { seq: hole.seq, bytes, why, file });
        begin.put(Kind::Mark, |out| encode_json(&Mark { cut, ..Mark::default() }, out));
    }
    let asks = !behind.is_empty();
    for (table, key, value) in behind {
        let key = [table.as_bytes(), b"\0", &key].concat();
        let change = Change { table: ASK_TABLE, key: &key, value: Some(&value) };
        let delta = Delta { cause: first, commands: [0; 32], changes: vec![change] };
        map.apply(&delta);
        begin.put(Kind::Delta, |out| delta.encode(out));
    }
    let segment = begin.write(disk, options, first)?;

    // Now a later start knows that these were cut: their place in the journal can go.
    for walked in &leftovers {
        let name = walked.name.clone();
        if walked.good_end > SEGMENT_HEAD {
            act(
                disk,
                "cutting",
                &Op::Truncate { name: name.clone(), len: walked.good_end as u64 },
            )?;
            act(disk, "syncing", &Op::Sync { name })?;
        } else {
            act(disk, "removing", &Op::Remove { name })?;
        }
    }
    for name in found.bad_compactions {
        act(disk, "removing", &Op::Remove { name })?;
    }
    act(disk, "syncing", &sync_folder())?;
    let spares = allocate(disk, options);

    let gone = |first: &Seq| {
        leftovers.iter().any(|walked| walked.first == *first && walked.good_end <= SEGMENT_HEAD)
    };
    let mut segments: BTreeSet<Seq> =
        found.segments.iter().copied().filter(|first| !gone(first)).collect();
    segments.insert(first);
    let written = begin.next.before();
    (recovered.entries, recovered.to_ask) = split(&map);
    let keeper = Keeper::new(
        options.clone(),
        Begin {
            run: recovered.run,
            map,
            seq: written,
            facts: facts.clone(),
            runs: recovered.runs.clone(),
            log,
            segments,
            compactions: found.compactions,
            compacted: found.compacted && !asks && recovered.ended != Ended::Rebuilt,
        },
    );
    let most = options.record_most();
    let buffer = Buffer::new(recovered.run, begin.next, options.buffer_bytes, most);
    let writer = Writer::new(options.clone(), recovered.run, segment, written, spares);
    Ok(Journal::new(buffer, writer, keeper))
}

/// The state, and what is to be asked about.
fn split(map: &Map) -> (Vec<Entry>, Vec<Ask>) {
    let (asks, entries) = map.entries().into_iter().partition(|entry| entry.table == ASK_TABLE);
    let ask = |Entry { key: ask_key, value, .. }: Entry| {
        let at = ask_key.iter().position(|byte| *byte == 0).unwrap_or(ask_key.len());
        let (table, key) = ask_key.split_at(at);
        let table = String::from_utf8_lossy(table).into_owned();
        Ask { table, key: key.get(1..).unwrap_or_default().to_vec(), value, ask_key }
    };
    let asks: Vec<Entry> = asks;
    (entries, asks.into_iter().map(ask).collect())
}

/// Segments with bytes that do not belong to the journal. The zeros at the end of the last one go too: its
/// room is needed elsewhere.
fn leftovers(segments: &[Walked]) -> Vec<Walked> {
    let last = segments.len().saturating_sub(1);
    let left = |(number, walked): &(usize, &Walked)| {
        walked.good_end < walked.len && (*number == last || walked.cut || walked.torn)
    };
    segments.iter().enumerate().filter(left).map(|(_, walked)| walked.clone()).collect()
}

/// Copies what is cut off into files of its own; their names and lengths.
fn keep_aside(
    disk: &dyn Disk,
    run: u32,
    leftovers: &[Walked],
) -> Result<Vec<(String, u64)>, RecoverError> {
    let mut files = Vec::new();
    for walked in leftovers {
        let bytes = disk
            .read(&walked.name)
            .map_err(|error| ReadError::io("reading", &walked.name, error))?;
        let tail = bytes.get(walked.good_end..).unwrap_or_default();
        let end = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let tail = tail.get(..end).unwrap_or_default();
        if tail.is_empty() || walked.good_end == 0 && end <= SEGMENT_HEAD {
            continue;
        }
        let name = names::cut(run, walked.first);
        act(disk, "keeping the cut tail in", &Op::Create { name: name.clone(), len: 0 })?;
        act(disk, "keeping the cut tail in", &Op::write(&name, 0, tail.to_vec()))?;
        act(disk, "syncing", &Op::Sync { name: name.clone() })?;
        files.push((name, end as u64));
    }
    if !files.is_empty() {
        act(disk, "syncing", &sync_folder())?;
    }
    Ok(files)
}

fn copy_rows(disk: &dyn Disk, log: &mut RecordLog, last: Seq) -> Result<(), RecoverError> {
    while let Some(ops) = log.copy(last) {
        for op in &ops {
            act(disk, "copying rows into", op)?;
        }
        log.copied();
    }
    Ok(())
}

/// The first segment of a run.
struct First {
    run: u32,
    next: Seq,
    bytes: Vec<u8>,
}

impl First {
    fn put(&mut self, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) {
        frame::write(&mut self.bytes, self.run, self.next, kind, fill);
        self.next = self.next.next();
    }

    /// Under its name only when it is whole: what was cut must not seem lost.
    fn write(
        &self,
        disk: &dyn Disk,
        options: &Options,
        first: Seq,
    ) -> Result<Segment, RecoverError> {
        let used = (SEGMENT_HEAD + self.bytes.len()) as u64;
        let size = options.segment_bytes.max(used * 2);
        let mut bytes = SegmentHead { run: self.run, first, size }.bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        let (temporary, name) = ("first.tmp".to_owned(), names::segment(first));
        act(disk, "allocating", &Op::Create { name: temporary.clone(), len: size })?;
        act(disk, "writing", &Op::write(&temporary, 0, bytes))?;
        act(disk, "syncing", &Op::Sync { name: temporary.clone() })?;
        act(disk, "naming", &Op::Rename { from: temporary, to: name.clone() })?;
        act(disk, "syncing", &sync_folder())?;
        Ok(Segment { name, offset: used, size })
    }
}

/// Reserve and spare segments, as far as there is room.
fn allocate(disk: &dyn Disk, options: &Options) -> Spares {
    let mut spares = Spares { next_number: 1, ..Spares::default() };
    for number in 0..=options.spares {
        let size = if number == 0 { options.reserve_bytes } else { options.segment_bytes };
        let name = names::spare(spares.next_number);
        spares.next_number += 1;
        if disk.create(&name, size).and_then(|()| disk.sync(&name)).is_err() {
            // Its room is needed, and what is not synced is never used. A start removes it if this fails too.
            let _ = disk.remove(&name);
            spares.failed = true;
            break;
        }
        match number {
            0 => spares.reserve = Some(Spare { name, size }),
            _ => spares.spares.push_back(Spare { name, size }),
        }
    }
    spares
}

/// A state that was read without changing anything.
#[derive(Debug)]
pub struct Offline {
    /// The state, by table and key.
    pub entries: Vec<Entry>,
    /// To be asked about at the next start, from earlier ones.
    pub to_ask: Vec<Ask>,
    /// The last record that is part of it.
    pub last: Seq,
    /// Number of the last run.
    pub run: u32,
    /// How it ended, as far as can be told while it may still be running.
    pub ended: Ended,
    /// What its owner knew.
    pub facts: Option<RunFacts>,
    /// The latest time in a `run`, `record` or `stop` record, milliseconds since 1970: how old the state is.
    pub latest_ms: Option<i64>,
    /// What the latch says; `Missing` beside a journal means killed.
    pub kill: Kill,
    /// For a person.
    pub notes: Vec<Note>,
}

/// Reads the newest state without a lock and without changing anything, also while another process writes.
///
/// # Errors
/// A journal that is damaged or newer than the program, or a disk that refuses.
pub fn read_state(disk: &dyn Disk, options: &Options) -> Result<Offline, RecoverError> {
    let mut tries = 0;
    let mut found = loop {
        tries += 1;
        match survey(disk, options) {
            // The writer has compacted meanwhile and removed what was about to be read.
            Err(ReadError::Io { error, .. })
                if error.kind() == io::ErrorKind::NotFound && tries < 5 => {}
            Ok(found) if found.damage.is_some() && tries < 5 => {}
            found => break found?,
        }
    };
    if let Some(damage) = found.damage.take() {
        return Err(damage.into());
    }
    let (_, kill) =
        LatchFile::read(disk).map_err(|error| ReadError::io("reading", names::LATCH, error))?;
    let (entries, to_ask) = split(&found.map);
    Ok(Offline {
        entries,
        to_ask,
        last: found.last,
        run: found.seen_run,
        ended: found.ended,
        facts: found.facts,
        latest_ms: found.latest_ms,
        kill,
        notes: found.notes,
    })
}
