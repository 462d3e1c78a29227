//! What a journal's folder says, without changing anything.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use crate::compaction::{self, BadCompaction, Compaction};
use crate::disk::{Disk, Op};
use crate::frame::{Frame, Kind, SEGMENT_HEAD, Seq};
use crate::log_repair;
use crate::map::Map;
use crate::names;
use crate::options::Options;
use crate::payload::{
    Change, Delta, Ended, Mark, Row, RunFacts, RunLine, decode_mark, decode_run, decode_stop,
};
use crate::record_log::RecordLog;
use crate::walk::{self, Hole, ReadError, Step, Walk};

/// Something about the journal that a person should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A compaction cannot be read; an older one and the segments since then were used.
    BadCompaction {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A damaged journal was used as far as it is good, because a person asked for it.
    Rebuilt {
        /// The first record that is missing or damaged.
        seq: Seq,
        /// What is wrong.
        why: String,
    },
    /// Bytes of the record log are damaged. A start writes again what the segments have of their rows.
    LogDamage {
        /// The file.
        file: String,
        /// Where in it, decompressed, and how many bytes.
        offset: usize,
        /// How many.
        bytes: usize,
        /// The last good row before them: its record.
        after: Seq,
        /// The first good row behind them, if there is one.
        before: Option<Seq>,
        /// Rows of the segments that belong there.
        found: usize,
        /// Other rows may have been there: they are neither in the log nor in the segments.
        lost: bool,
        /// The file in which a start keeps the damaged bytes; empty where they are zeros.
        kept: String,
    },
    /// A compressed month cannot be used; it is there uncompressed too, and nothing is missing.
    BadMonth {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
        /// The file in which a start keeps it.
        kept: String,
    },
    /// The end of the last run was cut off and is kept aside.
    Cut {
        /// The first record that could not be read.
        seq: Seq,
        /// Why.
        why: String,
        /// Bytes kept aside.
        bytes: u64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::BadCompaction { file, why } => write!(
                f,
                "{file} cannot be used ({why}); the state was read from an older compaction and the records since then"
            ),
            Note::Rebuilt { seq, why } => write!(
                f,
                "the journal is damaged from record {seq} on ({why}); what was lost must be found by reconciliation"
            ),
            Note::LogDamage { file, offset, bytes, after, before, found, lost, kept } => {
                write!(
                    f,
                    "record log {file}, byte {offset}: {bytes} bytes {} are damaged; ",
                    between(*after, *before)
                )?;
                write!(f, "the segments have {found} rows of this place")?;
                if *lost {
                    write!(f, ", others are lost unless a copy of the file has them")?;
                }
                match kept.as_str() {
                    "" => Ok(()),
                    kept => write!(f, "; the damaged bytes are kept in {kept}"),
                }
            }
            Note::BadMonth { file, why, kept } => write!(
                f,
                "record log {file} cannot be used ({why}); its month is read from the file that is not compressed, and it is kept in {kept}"
            ),
            Note::Cut { seq, why, bytes } => write!(
                f,
                "the journal ends before record {seq} ({why}); {bytes} bytes behind it are kept aside"
            ),
        }
    }
}

/// The place of damaged rows, for a message.
fn between(after: Seq, before: Option<Seq>) -> String {
    match before {
        Some(before) => format!("between the rows of records {after} and {before}"),
        None => format!("behind the row of record {after}"),
    }
}

/// Why a journal is not used.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// Records that were synced are missing or damaged.
    #[error(
        "journal file {file}, byte {offset}: record {seq} is missing or damaged ({why}), but it was synced: {proof}; restore the folder, or start with --rebuild to go on from what is left"
    )]
    Synced {
        /// The file.
        file: String,
        /// Where in it.
        offset: usize,
        /// The record.
        seq: Seq,
        /// What is wrong.
        why: String,
        /// What says so.
        proof: String,
    },
    /// The entries are not those that were written.
    #[error(
        "journal: the entries at record {seq} have the hash {found}, a mark says {marked}; restore the folder, or start with --rebuild"
    )]
    Hash {
        /// The record.
        seq: Seq,
        /// The hash of the entries here.
        found: String,
        /// The hash when they were written.
        marked: String,
    },
    /// Rows of the record log are damaged, and the segments that had them are gone.
    #[error(
        "record log {file}, byte {offset}: the rows {place} are damaged ({why}) and not all of them are in the segments; restore the file from a copy, or start with --rebuild to go on without them: the damaged bytes are kept aside"
    )]
    Rows {
        /// The file.
        file: String,
        /// Where in it, decompressed.
        offset: usize,
        /// The good rows around them.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Files are missing.
    #[error(
        "journal: {what}; restore the folder, or start with --rebuild to go on from what is left"
    )]
    Missing {
        /// What is missing.
        what: String,
    },
}

/// A `wire` or `chain` entry behind a hole, by table and key.
pub(crate) type Behind = (String, Vec<u8>, Vec<u8>);

pub(crate) struct Survey {
    pub map: Map,
    /// The last record that is part of the state.
    pub last: Seq,
    /// The highest run and number anywhere in the folder.
    pub seen_run: u32,
    pub seen: Seq,
    pub facts: Option<RunFacts>,
    pub runs: Vec<RunLine>,
    pub ended: Ended,
    pub walk: Walk,
    pub hole: Option<Hole>,
    pub behind: Vec<Behind>,
    pub notes: Vec<Note>,
    pub damage: Option<Damage>,
    pub log: RecordLog,
    pub log_mend: Vec<Op>,
    /// All segments of the folder, also those before the walk.
    pub segments: BTreeSet<Seq>,
    pub compactions: BTreeSet<Seq>,
    pub bad_compactions: Vec<String>,
    /// The newest compaction has all entries.
    pub compacted: bool,
    /// The latest wall time of a run, row or stop, milliseconds since 1970.
    pub latest_ms: Option<i64>,
    pub temporary: Vec<String>,
}

/// Reads the folder.
pub(crate) fn survey(disk: &dyn Disk, options: &Options) -> Result<Survey, ReadError> {
    let files = disk.list("").map_err(|error| ReadError::io("listing", "its folder", error))?;
    let temporary = files.iter().map(|(name, _)| name.clone());
    let temporary = temporary.filter(|name| name.ends_with(names::TEMPORARY)).collect();
    let mut named: Vec<Seq> =
        files.iter().filter_map(|(name, _)| names::read_compaction(name)).collect();
    named.sort();
    let (log, log_mend) =
        RecordLog::open(disk).map_err(|error| ReadError::io("reading", names::RECORDS, error))?;
    let mut found = Found::new(options);
    let base = found.newest(disk, &named)?;
    let (base_seq, logged) =
        base.as_ref().map_or((Seq::ZERO, Seq::ZERO), |base| (base.seq, base.end.logged));
    let mut base_run = 0;
    if let Some(base) = base {
        base_run = base.run;
        found.begin(base);
    }
    let firsts = walk::segments(disk)?;
    // Rows are copied out of segments that the state does not need any more.
    let from = base_seq.min(log.last().max(logged));
    let start = firsts.iter().rposition(|first| *first <= from.next()).unwrap_or(0);
    let walked = firsts.get(start..).unwrap_or_default();
    let mut log = log;
    let walk = walk::walk(disk, walked, base_seq, base_run, |step| {
        match step {
            Step::Good { file, run, frame } => found.good(file, run, &frame, &mut log)?,
            Step::Behind { frame } => found.behind(&frame),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    found.judge(&walk, &named, base_seq, &log, start == 0);
    let hole = walk.hole.clone();
    if let Some(hole) = &hole {
        let bytes = walk.segments.get(hole.segment..).unwrap_or_default();
        let bytes = bytes.iter().map(|walked| (walked.len - walked.good_end) as u64).sum();
        found.notes.push(Note::Cut { seq: hole.seq, why: hole.why.to_owned(), bytes });
    }
    let last = walk.last.max(base_seq);
    // A row names the run that wrote it also where nothing else of that run is left.
    let seen_run = walk.seen_run.max(base_run).max(log.run());
    log_repair::fill(disk, &firsts, last, &mut log)?;
    found.judge_log(&log, seen_run.saturating_add(1));
    let ended = found.ended(&walk, hole.is_some(), firsts.is_empty());
    Ok(Survey {
        last,
        seen_run,
        seen: walk.seen.max(base_seq).max(log.last()),
        facts: found.facts,
        runs: found.runs,
        ended,
        hole,
        behind: found.asked,
        notes: found.notes,
        damage: found.damage,
        log,
        log_mend,
        segments: firsts.into_iter().collect(),
        compactions: found.good_compactions,
        bad_compactions: found.bad_compactions,
        compacted: base_seq > Seq::ZERO && !found.changed,
        latest_ms: found.latest_ms,
        map: found.map,
        walk,
        temporary,
    })
}

/// What the records add up to.
struct Found<'a> {
    options: &'a Options,
    base: Seq,
    map: Map,
    changed: bool,
    /// The hash after each delta since the compaction.
    hashes: Vec<(Seq, u128)>,
    facts: Option<RunFacts>,
    runs: Vec<RunLine>,
    stopped: bool,
    latest_ms: Option<i64>,
    /// The highest record that is proven to have been synced, by something behind a hole.
    proven: Seq,
    asked: Vec<Behind>,
    notes: Vec<Note>,
    damage: Option<Damage>,
    good_compactions: BTreeSet<Seq>,
    bad_compactions: Vec<String>,
}

impl Found<'_> {
    fn new(options: &Options) -> Found<'_> {
        Found {
            options,
            base: Seq::ZERO,
            map: Map::default(),
            changed: false,
            hashes: Vec::new(),
            facts: None,
            runs: Vec::new(),
            stopped: false,
            latest_ms: None,
            proven: Seq::ZERO,
            asked: Vec::new(),
            notes: Vec::new(),
            damage: None,
            good_compactions: BTreeSet::new(),
            bad_compactions: Vec::new(),
        }
    }

    /// The newest compaction that is good.
    fn newest(&mut self, disk: &dyn Disk, named: &[Seq]) -> Result<Option<Compaction>, ReadError> {
        let mut newest = None;
        for seq in named.iter().rev() {
            let file = names::compaction(*seq);
            if newest.is_some() {
                // Read when it is needed: the newest one has everything.
                self.good_compactions.insert(*seq);
                continue;
            }
            let bytes = disk.read(&file).map_err(|error| ReadError::io("reading", &file, error))?;
            match compaction::decode(&bytes) {
                Ok(compaction) if compaction.seq == *seq => {
                    self.good_compactions.insert(*seq);
                    newest = Some(compaction);
                }
                Ok(_) => self.refuse(file, "it is that of another record"),
                Err(BadCompaction::Bad(why)) => self.refuse(file, &why),
                Err(BadCompaction::Newer(what)) => return Err(ReadError::Newer { file, what }),
            }
        }
        Ok(newest)
    }

    fn refuse(&mut self, file: String, why: &str) {
        self.bad_compactions.push(file.clone());
        self.notes.push(Note::BadCompaction { file, why: why.to_owned() });
    }

    fn begin(&mut self, base: Compaction) {
        self.base = base.seq;
        self.hashes.push((base.seq, base.map.hash_number()));
        self.map = base.map;
        self.facts = Some(base.end.facts);
        self.runs = base.end.runs;
    }

    fn good(
        &mut self,
        file: &str,
        _run: u32,
        frame: &Frame<'_>,
        log: &mut RecordLog,
    ) -> Result<(), ReadError> {
        let seq = frame.seq;
        let malformed = |error| ReadError::Malformed { file: file.to_owned(), seq, error };
        match frame.kind {
            Kind::Delta if seq > self.base => {
                let delta = Delta::decode(frame.payload).map_err(malformed)?;
                self.changed |= !delta.changes.is_empty();
                self.map.apply(&delta);
                self.hashes.push((seq, self.map.hash_number()));
            }
            Kind::Delta => drop(Delta::decode(frame.payload).map_err(malformed)?),
            Kind::Mark => self.mark(&decode_mark(frame.payload).map_err(malformed)?),
            Kind::Run => {
                let run = decode_run(frame.payload).map_err(malformed)?;
                self.at(run.facts.at_ms);
                if self.runs.last().is_none_or(|line| line.run < run.run) {
                    self.runs = run.runs;
                }
                self.facts = Some(run.facts);
            }
            Kind::Record => {
                let (_, row) = Row::decode(frame.payload).map_err(malformed)?;
                self.at(row.at_ms);
                log.add(frame);
            }
            Kind::Stop => self.at(decode_stop(frame.payload).map_err(malformed)?.at_ms),
            Kind::Input => {}
        }
        if frame.kind != Kind::Mark {
            self.stopped = frame.kind == Kind::Stop;
        }
        Ok(())
    }

    fn at(&mut self, at_ms: i64) {
        self.latest_ms = self.latest_ms.max(Some(at_ms));
    }

    fn mark(&mut self, mark: &Mark) {
        let Some(marked) = &mark.compaction else { return };
        let until = self.hashes.partition_point(|(seq, _)| *seq <= marked.seq);
        let before = until.checked_sub(1).and_then(|last| self.hashes.get(last));
        let found = match before {
            Some((_, hash)) => format!("{hash:032x}"),
            // Older than the compaction that was loaded; or there is none and nothing had changed.
            None if self.base > Seq::ZERO => return,
            None => Map::default().hash(),
        };
        if found != marked.hash && self.damage.is_none() {
            let (seq, marked) = (marked.seq, marked.hash.clone());
            self.damage = Some(Damage::Hash { seq, found, marked });
        }
    }

    fn behind(&mut self, frame: &Frame<'_>) {
        match frame.kind {
            Kind::Delta => {
                let Ok(delta) = Delta::decode(frame.payload) else { return };
                for Change { table, key, value } in delta.changes {
                    let Some(value) = value else { continue };
                    if self.options.ask_tables.iter().any(|asked| asked == table) {
                        self.asked.push((table.to_owned(), key.to_vec(), value.to_vec()));
                    }
                }
            }
            Kind::Mark => {
                let Ok(mark) = decode_mark(frame.payload) else { return };
                let compacted = mark.compaction.map(|compacted| compacted.seq);
                self.prove(mark.synced.max(compacted).unwrap_or_default());
            }
            // A run begins when everything before it is synced.
            Kind::Run => self.prove(frame.seq),
            _ => {}
        }
    }

    fn prove(&mut self, seq: Seq) {
        self.proven = self.proven.max(seq);
    }

    /// Whether something that was synced is missing. `all`: the walk began with the oldest segment.
    fn judge(&mut self, walk: &Walk, named: &[Seq], base: Seq, log: &RecordLog, all: bool) {
        // Compactions and rows of the log are written only after what they contain is synced.
        self.prove(named.last().copied().unwrap_or_default());
        self.prove(log.last());
        if walk.segments.is_empty() {
            if self.proven > Seq::ZERO {
                let what = "its segments are missing beside compactions or a record log";
                self.damage = Some(Damage::Missing { what: what.to_owned() });
            }
        } else if self.damage.is_none() {
            self.damage = self.missing(walk, all);
        }
        if let Some(damage) = &self.damage {
            let seq = walk.last.max(base).next();
            self.notes.push(Note::Rebuilt { seq, why: damage.to_string() });
        }
    }

    /// What is damaged in the record log; `run`: the one that begins.
    fn judge_log(&mut self, log: &RecordLog, run: u32) {
        for month in log.damaged() {
            if month.replaced {
                let why = month.unreadable.clone().unwrap_or_else(|| "damaged rows".to_owned());
                let kept = names::cut_packed(run, month.month);
                self.notes.push(Note::BadMonth { file: month.file(), why, kept });
            }
            for gap in month.gaps.iter().filter(|gap| !gap.torn || gap.lost) {
                self.notes.push(Note::LogDamage {
                    file: month.file(),
                    offset: gap.at.start,
                    bytes: gap.at.len(),
                    after: gap.prev,
                    before: gap.next,
                    found: gap.found,
                    lost: gap.lost,
                    kept: log_repair::kept(run, month, gap).unwrap_or_default(),
                });
                if gap.lost && self.damage.is_none() {
                    let (file, offset) = (month.file(), gap.at.start);
                    let why = month.unreadable.clone();
                    let why = why.unwrap_or_else(|| format!("{} bytes", gap.at.len()));
                    let place = between(gap.prev, gap.next);
                    self.damage = Some(Damage::Rows { file, offset, place, why });
                }
            }
        }
    }

    fn missing(&self, walk: &Walk, all: bool) -> Option<Damage> {
        let end = walk.segments.last();
        let (file, offset, mut why) = match &walk.hole {
            Some(hole) => (walk.segments.get(hole.segment), hole.offset, hole.why),
            None => (end, end.map_or(0, |end| end.good_end), "zeros"),
        };
        // The first record of the oldest segment begins a run or is older than a compaction.
        let first = all && walk.hole.as_ref().is_some_and(|hole| hole.segment == 0);
        let proof = if first && offset <= SEGMENT_HEAD {
            "a run began with it, or it is part of a compaction".to_owned()
        } else if walk.short {
            why = "the file is shorter than it was made";
            "files get their length before they are used".to_owned()
        } else if self.proven > walk.last {
            format!("record {} was proven to be synced", self.proven)
        } else {
            return None;
        };
        let file = file.map(|file| file.name.clone()).unwrap_or_default();
        let (seq, why) = (walk.last.next(), why.to_owned());
        Some(Damage::Synced { file, offset, seq, why, proof })
    }

    fn ended(&self, walk: &Walk, hole: bool, none: bool) -> Ended {
        if self.damage.is_some() {
            Ended::Rebuilt
        } else if none {
            Ended::Fresh
        } else if self.stopped && !hole && walk.last > Seq::ZERO {
            Ended::Stopped
        } else {
            Ended::Unclean
        }
    }
}
