//! What follows the writing: the map of entries, compactions, the record log, removal of old segments. As
//! operations that somebody else executes, one at a time.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::mem;
use std::time::Duration;

use crate::compaction;
use crate::disk::{Op, Outcome};
use crate::frame::{self, Found, Frame, Kind, Seq};
use crate::map::Map;
use crate::names;
use crate::options::Options;
use crate::payload::{Compacted, CompactionEnd, Delta, Mark, RunFacts, RunLine};
use crate::record_log::RecordLog;
use crate::rows::Cursor;
use crate::status::Alert;
use crate::writer::Fed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Logging,
    Compressing,
    Compacting,
    Removing,
    Thinning,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::Logging => "copying rows into",
            Work::Compressing => "compressing",
            Work::Compacting => "compacting into",
            Work::Removing => "removing",
            Work::Thinning => "leaving out old rows of",
        }
    }
}

/// Operations that belong together.
struct Script {
    work: Work,
    ops: VecDeque<Op>,
    /// A renaming waits until the journal is synced up to here.
    gate: Seq,
    under: Option<Op>,
}

/// Where the keeper begins.
pub(crate) struct Begin {
    pub run: u32,
    pub map: Map,
    /// The map contains everything up to here.
    pub seq: Seq,
    pub facts: RunFacts,
    pub runs: Vec<RunLine>,
    pub log: RecordLog,
    /// First records of the segments.
    pub segments: BTreeSet<Seq>,
    /// Good compactions.
    pub compactions: BTreeSet<Seq>,
    /// Whether the newest compaction has all entries.
    pub compacted: bool,
}

pub(crate) struct Keeper {
    options: Options,
    run: u32,
    map: Map,
    seq: Seq,
    synced: Seq,
    facts: RunFacts,
    runs: Vec<RunLine>,
    log: RecordLog,
    segments: BTreeSet<Seq>,
    compactions: BTreeSet<Seq>,
    queue: VecDeque<Fed>,
    queued: usize,
    script: Option<Script>,
    /// The compaction that is being written.
    compacting: Option<Compacted>,
    changed: bool,
    bytes: u64,
    compact_at: Duration,
    compact_now: bool,
    /// When work of each kind is tried again.
    retry_at: [Duration; 5],
    behind: bool,
    marks: Vec<Mark>,
    alerts: Vec<Alert>,
}

impl Keeper {
    pub(crate) fn new(options: Options, begin: Begin) -> Keeper {
        Keeper {
            options,
            run: begin.run,
            map: begin.map,
            seq: begin.seq,
            synced: begin.seq,
            facts: begin.facts,
            runs: begin.runs,
            log: begin.log,
            segments: begin.segments,
            compactions: begin.compactions,
            queue: VecDeque::new(),
            queued: 0,
            script: None,
            compacting: None,
            changed: !begin.compacted,
            bytes: 0,
            compact_at: Duration::ZERO,
            compact_now: !begin.compacted,
            retry_at: [Duration::ZERO; 5],
            behind: false,
            marks: Vec::new(),
            alerts: Vec::new(),
        }
    }

    /// Takes in what was written. Cheap: it is applied by [`Keeper::poll`].
    pub(crate) fn feed(&mut self, fed: VecDeque<Fed>) {
        for fed in fed {
            if let Fed::Written { frames, .. } = &fed {
                self.queued += frames.len();
            }
            self.queue.push_back(fed);
        }
    }

    /// Compacts as soon as it can, if anything changed.
    pub(crate) fn compact(&mut self) {
        self.compact_now = true;
    }

    /// Whether something that was asked for is not done.
    pub(crate) fn is_busy(&self) -> bool {
        self.script.is_some()
            || !self.queue.is_empty()
            || (self.compact_now && self.changed)
            || self.log.waiting_bytes() > 0
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.log.cursor()
    }

    /// Too much that was written is not applied or logged.
    pub(crate) fn behind(&self) -> bool {
        self.behind
    }

    pub(crate) fn map(&self) -> &Map {
        &self.map
    }

    pub(crate) fn seq(&self) -> Seq {
        self.seq
    }

    pub(crate) fn take_marks(&mut self) -> Vec<Mark> {
        mem::take(&mut self.marks)
    }

    pub(crate) fn take_alerts(&mut self) -> Vec<Alert> {
        mem::take(&mut self.alerts)
    }

    /// What waits for a sync, so that nobody waits for the next one in its turn.
    pub(crate) fn wants_sync(&self) -> Option<Seq> {
        self.script.as_ref().filter(|script| script.gate > self.synced).map(|script| script.gate)
    }

    /// Applies what was written.
    pub(crate) fn catch_up(&mut self) {
        while let Some(fed) = self.queue.pop_front() {
            match fed {
                Fed::Written { frames, last, bytes } => {
                    self.queued = self.queued.saturating_sub(frames.len());
                    self.bytes += bytes;
                    self.apply(&frames);
                    self.seq = last;
                }
                Fed::Rolled(first) => {
                    self.segments.insert(first);
                }
                Fed::Synced(seq) => self.synced = seq,
            }
        }
    }

    fn apply(&mut self, frames: &[u8]) {
        let mut at = 0;
        while let Found::Frame(frame) = frame::read(frames, at, self.run) {
            at += frame.whole.len();
            self.apply_one(&frame);
        }
    }

    fn apply_one(&mut self, frame: &Frame<'_>) {
        match frame.kind {
            Kind::Delta => {
                // This process encoded it.
                if let Ok(delta) = Delta::decode(frame.payload) {
                    self.changed |= !delta.changes.is_empty();
                    self.map.apply(&delta);
                }
            }
            Kind::Record => self.log.add(frame),
            _ => {}
        }
    }

    fn check_behind(&mut self) {
        let bytes = self.queued.saturating_add(self.log.waiting_bytes());
        let limit = self.options.buffer_bytes;
        let behind = bytes > limit;
        if behind != mem::replace(&mut self.behind, behind) {
            self.alerts.push(match behind {
                true => Alert::Behind { bytes, limit },
                false => Alert::FastAgain,
            });
        }
    }

    /// The next operation, if there is one.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<Op> {
        self.catch_up();
        self.check_behind();
        if self.script.is_none() {
            self.script = self.next_script(now);
        }
        let script = self.script.as_mut()?;
        let waits =
            matches!(script.ops.front(), Some(Op::Rename { .. })) && script.gate > self.synced;
        if waits || script.under.is_some() {
            return None;
        }
        script.under = script.ops.pop_front();
        script.under.clone()
    }

    fn next_script(&mut self, now: Duration) -> Option<Script> {
        let script = |work, ops| Script { work, ops, gate: Seq::ZERO, under: None };
        let retry_at = self.retry_at;
        // One that fails stops no other.
        let open = |work: Work| now >= retry_at.get(work as usize).copied().unwrap_or_default();
        if open(Work::Logging)
            && let Some(ops) = self.log.copy(self.synced)
        {
            return Some(script(Work::Logging, ops));
        }
        let due =
            self.compact_now || now >= self.compact_at || self.bytes >= self.options.compact_bytes;
        if due && self.changed && open(Work::Compacting) {
            return Some(self.compaction(now));
        }
        if due && !self.changed {
            self.compact_now = false;
        }
        if open(Work::Compressing)
            && let Some(ops) = self.log.compress()
        {
            return Some(script(Work::Compressing, ops));
        }
        if open(Work::Thinning)
            && let Some(ops) = self.options.retention.and_then(|kept| self.log.thin(kept))
        {
            return Some(script(Work::Thinning, ops));
        }
        let ops = self.removals();
        (!ops.is_empty() && open(Work::Removing)).then(|| script(Work::Removing, ops))
    }

    fn compaction(&mut self, now: Duration) -> Script {
        self.compact_at = now + self.options.compact_every;
        self.compact_now = false;
        self.changed = false;
        self.bytes = 0;
        let logged = self.log.logged(self.seq);
        let compaction =
            Compacted { seq: self.seq, hash: self.map.hash(), entries: self.map.len() };
        let (runs, facts) = (self.runs.clone(), self.facts.clone());
        let end = CompactionEnd { compaction: compaction.clone(), facts, runs, logged };
        let bytes = compaction::encode(self.run, &self.map, &end);
        self.compacting = Some(compaction);
        let temporary = names::COMPACTION_TEMPORARY.to_owned();
        let ops = VecDeque::from([
            Op::Create { name: temporary.clone(), len: 0 },
            Op::write(&temporary, 0, bytes),
            Op::Sync { name: temporary.clone() },
            Op::Rename { from: temporary, to: names::compaction(self.seq) },
            Op::SyncFolder { folder: String::new() },
        ]);
        // It must never be ahead of the segments: they would seem to have lost something.
        Script { work: Work::Compacting, ops, gate: self.seq, under: None }
    }

    /// What the older of the two newest compactions makes superfluous.
    fn removals(&self) -> VecDeque<Op> {
        let mut ops = VecDeque::new();
        let Some(older) = self.compactions.iter().rev().nth(1).copied() else { return ops };
        let logged = self.log.logged(self.seq.min(self.synced));
        let next = self.segments.iter().skip(1);
        for (segment, next) in self.segments.iter().zip(next) {
            if !self.options.recording && next.before() <= older && next.before() <= logged {
                ops.push_back(Op::Remove { name: names::segment(*segment) });
            } else {
                break;
            }
        }
        for seq in self.compactions.range(..older) {
            ops.push_back(Op::Remove { name: names::compaction(*seq) });
        }
        if !ops.is_empty() {
            ops.push_back(Op::SyncFolder { folder: String::new() });
        }
        ops
    }

    pub(crate) fn done(&mut self, now: Duration, result: io::Result<Outcome>) {
        let Some(mut script) = self.script.take() else { return };
        let Some(op) = script.under.take() else { return };
        if let Err(error) = result {
            self.give_up(now, script.work, &op, &error);
            return;
        }
        if let Op::Remove { name } = &op {
            names::read_segment(name).map(|first| self.segments.remove(&first));
            names::read_compaction(name).map(|seq| self.compactions.remove(&seq));
        }
        if !script.ops.is_empty() {
            self.script = Some(script);
            return;
        }
        match script.work {
            Work::Logging => self.log.copied(),
            Work::Compressing => self.log.compressed(),
            Work::Compacting => {
                if let Some(compacted) = self.compacting.take() {
                    self.compactions.insert(compacted.seq);
                    self.marks.push(Mark { compaction: Some(compacted), ..Mark::default() });
                }
            }
            Work::Removing => {}
            Work::Thinning => self.log.thinned(),
        }
    }

    /// The segments have everything: whatever failed is done again later.
    fn give_up(&mut self, now: Duration, work: Work, op: &Op, error: &io::Error) {
        if let Some(at) = self.retry_at.get_mut(work as usize) {
            *at = now + self.options.space_every;
        }
        if work == Work::Compacting {
            self.compacting = None;
            self.changed = true;
            self.compact_now = true;
        }
        // What is there of it takes room that the segments need.
        let temporary = match work {
            Work::Compacting => Some(names::COMPACTION_TEMPORARY.to_owned()),
            Work::Compressing => self.log.compressing(),
            Work::Thinning => self.log.thinning(),
            _ => None,
        };
        if work == Work::Thinning {
            self.log.thinned();
        }
        if let Some(name) = temporary {
            let ops = VecDeque::from([Op::Remove { name }]);
            self.script = Some(Script { work: Work::Removing, ops, gate: Seq::ZERO, under: None });
        }
        let file = file_of(op);
        self.alerts.push(Alert::Housekeeping {
            doing: work.name(),
            file,
            error: error.to_string(),
        });
    }

    /// When something is due although nothing happens.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        // What is under way, or waits for a sync, goes on when that is done.
        if self.script.is_some() {
            return None;
        }
        let retry = |work: Work| self.retry_at.get(work as usize).copied().unwrap_or_default();
        let log = self.log.is_ready(self.synced).then_some(retry(Work::Logging));
        let now = self.compact_now || self.bytes >= self.options.compact_bytes;
        let at = if now { Duration::ZERO } else { self.compact_at };
        let at = at.max(retry(Work::Compacting));
        let compact = self.changed.then_some(at);
        let fed = (!self.queue.is_empty()).then_some(Duration::ZERO);
        log.into_iter().chain(compact).chain(fed).min()
    }
}

fn file_of(op: &Op) -> String {
    match op {
        Op::Create { name, .. }
        | Op::Write { name, .. }
        | Op::Sync { name }
        | Op::Truncate { name, .. }
        | Op::Remove { name } => name.clone(),
        Op::Thin { from, .. } => from.clone(),
        Op::Rename { to, .. } | Op::Compress { to, .. } => to.clone(),
        Op::SyncFolder { folder } => format!("folder {folder:?}"),
        Op::Space => "file system".to_owned(),
    }
}
