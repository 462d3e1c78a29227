//! What an owner can set, with the values of a program that trades.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a record counts as durable for whoever sends because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durable {
    /// When `write` returned: survives panic, kill -9 and the out-of-memory killer.
    #[default]
    Process,
    /// When the `fdatasync` that covers it returned: survives the loss of power.
    Power,
}

impl Durable {
    /// The weaker promise is what a line of runs without a word means.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Durable::Process
    }
}

/// How long the record log keeps what is of passing interest. Everything else it keeps for ever.
#[derive(Clone, Copy)]
pub struct Retention {
    /// Whole months between the month that is written and the newest one without such rows; at least 1.
    pub months: u32,
    /// Whether the row with this body stays for ever.
    pub keep: fn(&[u8]) -> bool,
}

impl Retention {
    pub(crate) fn keeps(&self, body: &[u8]) -> bool {
        (self.keep)(body)
    }
}

impl std::fmt::Debug for Retention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Retention of {} months", self.months)
    }
}

/// There is one rule in a process: what differs is how long it waits.
impl PartialEq for Retention {
    fn eq(&self, other: &Retention) -> bool {
        self.months == other.months
    }
}

impl Eq for Retention {}

/// Bounds and intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What [`Handle::settle`](crate::Handle::settle) waits for.
    pub durable: Durable,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Spare segments that are allocated ahead.
    pub spares: usize,
    /// Bytes of the reserve that exits use when there is no spare segment.
    pub reserve_bytes: u64,
    /// Bytes in memory: market rows are dropped at one half, appending fails when it is full.
    pub buffer_bytes: usize,
    /// The buffer is written at least this often.
    pub flush_every: Duration,
    /// Written bytes are synced at least this often; at once while somebody waits for it.
    pub sync_every: Duration,
    /// A write or sync that takes longer is reported as slow.
    pub slow_after: Duration,
    /// Time between compactions while there are changes.
    pub compact_every: Duration,
    /// Bytes written between compactions.
    pub compact_bytes: u64,
    /// Space is asked for and failed allocations are tried again this often.
    pub space_every: Duration,
    /// Thousandths of the file system below which a person is told.
    pub low_space_permille: u64,
    /// Keeps every segment.
    pub recording: bool,
    /// Which rows of the record log go after a time; `None`: none.
    pub retention: Option<Retention>,
    /// Unclean starts within [`Options::crash_loop_ms`] that count as a crash loop.
    pub crash_loop_starts: usize,
    /// Milliseconds in which they are counted.
    pub crash_loop_ms: i64,
    /// Tables whose entries are asked about when they lie behind a hole.
    pub ask_tables: Vec<String>,
    /// A damaged journal is used as far as it is good, instead of refused.
    pub rebuild: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durable: Durable::Process,
            segment_bytes: 64 << 20,
            spares: 2,
            reserve_bytes: 16 << 20,
            buffer_bytes: 64 << 20,
            flush_every: Duration::from_millis(5),
            sync_every: Duration::from_millis(100),
            slow_after: Duration::from_secs(1),
            compact_every: Duration::from_secs(300),
            compact_bytes: 64 << 20,
            space_every: Duration::from_secs(10),
            low_space_permille: 150,
            recording: false,
            retention: None,
            crash_loop_starts: 3,
            crash_loop_ms: 600_000,
            ask_tables: vec!["wire".to_owned(), "chain".to_owned()],
            rebuild: false,
        }
    }
}

/// Runs that are remembered.
pub(crate) const RUNS_KEPT: usize = 10;

/// Largest record in bytes, head and padding included; half a segment where that is less.
const RECORD_MOST: u64 = 16 << 20;

/// An option outside its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal option {name} is {value}; it must be {rule}")]
pub struct BadOption {
    /// The option.
    pub name: &'static str,
    /// What was given.
    pub value: u64,
    /// What is allowed.
    pub rule: &'static str,
}

impl Options {
    /// Most bytes of one record.
    pub(crate) fn record_most(&self) -> u64 {
        RECORD_MOST.min(self.segment_bytes.min(self.reserve_bytes) / 2)
    }

    /// # Errors
    /// The first option outside its bounds.
    pub(crate) fn check(&self) -> Result<(), BadOption> {
        let least = 4 * 1_024;
        let rules = [
            ("segment_bytes", self.segment_bytes, self.segment_bytes >= least, "at least 4096"),
            ("segment_bytes", self.segment_bytes, self.segment_bytes <= 1 << 30, "at most 1 GiB"),
            ("reserve_bytes", self.reserve_bytes, self.reserve_bytes >= least, "at least 4096"),
            ("reserve_bytes", self.reserve_bytes, self.reserve_bytes <= 1 << 30, "at most 1 GiB"),
            (
                "retention",
                self.retention.map_or(0, |kept| u64::from(kept.months)),
                self.retention.is_none_or(|kept| kept.months >= 1),
                "at least one month, or none at all",
            ),
            ("spares", self.spares as u64, self.spares >= 2, "at least 2"),
            (
                "crash_loop_starts",
                self.crash_loop_starts as u64,
                (1..=RUNS_KEPT).contains(&self.crash_loop_starts),
                "1 to 10: so many runs are remembered",
            ),
            (
                "buffer_bytes",
                self.buffer_bytes as u64,
                self.buffer_bytes as u64 >= 2 * self.record_most(),
                "at least two records of the largest size (half a segment, at most 16 MiB)",
            ),
        ];
        match rules.into_iter().find(|(_, _, holds, _)| !holds) {
            Some((name, value, _, rule)) => Err(BadOption { name, value, rule }),
            None => Ok(()),
        }
    }
}
