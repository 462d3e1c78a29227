//! What the owner must act on, as data.

use std::io;
use std::time::Duration;

use crate::frame::Seq;

/// What the disk still takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Room {
    /// Everything.
    #[default]
    Plenty,
    /// No market rows and no soft memory: one spare segment is left and no other can be allocated.
    NoMarketRows,
    /// No order that opens or increases a position: no spare segment is left, exits use the reserve.
    NoEntries,
}

/// State of the journal. Anything but the default restricts what may leave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// What the disk still takes: [`Room::NoEntries`] is the blocker `disk`.
    pub room: Room,
    /// Less than the configured part of the file system is free.
    pub low_space: bool,
    /// A write or sync takes too long, or the disk's other work has fallen behind: the blocker `journal_slow`.
    pub slow: bool,
    /// Market rows are being dropped, because the buffer is half full.
    pub dropping: bool,
    /// The buffer refused a fact: halt.
    pub full: bool,
    /// The journal of this run is over: no order, cancel everything, exit.
    pub failed: Option<Failure>,
}

impl Status {
    /// Whether orders that open or increase a position may be sent.
    #[must_use]
    pub fn admits_entries(&self) -> bool {
        self.room < Room::NoEntries && !self.slow && !self.must_halt()
    }

    /// Whether orders that reduce a position may be sent.
    #[must_use]
    pub fn admits_exits(&self) -> bool {
        !self.slow && !self.must_halt()
    }

    /// Whether the run is over.
    #[must_use]
    pub fn must_halt(&self) -> bool {
        self.full || self.failed.is_some()
    }
}

/// An error that ends the run's journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "journal: {doing} {file} failed: {error}; nothing is journaled any more in this run: free or repair the disk and start again"
)]
pub struct Failure {
    /// As in `writing`.
    pub doing: &'static str,
    /// The file.
    pub file: String,
    /// Kind of the error.
    pub kind: io::ErrorKind,
    /// Its text.
    pub error: String,
}

impl Failure {
    pub(crate) fn new(doing: &'static str, file: &str, error: &io::Error) -> Failure {
        Failure { doing, file: file.to_owned(), kind: error.kind(), error: error.to_string() }
    }
}

/// Something a person is told, once when it begins and once when it is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alert {
    /// The file system fills up.
    #[error(
        "journal: {free_mib} MiB ({permille} of 1000) of the disk are free; below {limit} a person is told: free space, or move the data folder"
    )]
    LowSpace {
        /// Free MiB.
        free_mib: u64,
        /// Free thousandths.
        permille: u64,
        /// The bound.
        limit: u64,
    },
    /// There is enough space again.
    #[error("journal: the disk has enough free space again")]
    SpaceBack,
    /// What the disk takes has changed.
    #[error("journal: {}", describe_room(*.0))]
    Room(Room),
    /// A spare segment could not be allocated.
    #[error("journal: allocating {file} failed: {error}; it is tried again")]
    Allocation {
        /// The file.
        file: String,
        /// Why.
        error: String,
    },
    /// A write or sync takes too long.
    #[error(
        "journal: {doing} {file} takes longer than {} ms; orders wait until it returns",
        limit.as_millis()
    )]
    Slow {
        /// As in `writing`.
        doing: &'static str,
        /// The file.
        file: String,
        /// The bound.
        limit: Duration,
    },
    /// Applying, logging and compacting have fallen behind writing.
    #[error(
        "journal: {bytes} written bytes wait for compaction and record log; the bound is {limit}"
    )]
    Behind {
        /// Bytes that wait.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// Neither is the case any more.
    #[error("journal: the disk keeps up again")]
    FastAgain,
    /// Market rows are dropped.
    #[error("journal: the buffer is half full; market rows are dropped from {from} on")]
    Dropping {
        /// The first one.
        from: Seq,
    },
    /// The buffer is full.
    #[error(
        "journal: the buffer of {bytes} bytes is full; nothing can be recorded: halt, cancel everything"
    )]
    Full {
        /// Its size.
        bytes: usize,
    },
    /// A compaction was not completed. The journal is complete without it.
    #[error("journal: {doing} {file} failed: {error}; it is tried again later")]
    Housekeeping {
        /// As in `compacting`.
        doing: &'static str,
        /// The file.
        file: String,
        /// Why.
        error: String,
    },
    /// The run's journal is over.
    #[error(transparent)]
    Failed(Failure),
}

fn describe_room(room: Room) -> &'static str {
    match room {
        Room::Plenty => "spare segments are allocated again; everything is recorded",
        Room::NoMarketRows => {
            "no spare segment can be allocated; market rows and soft memory are no longer recorded: free space"
        }
        Room::NoEntries => {
            "no spare segment is left; no entries, exits use the reserve: free space"
        }
    }
}

/// Why a record was not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The record is larger than a record may be.
    #[error(
        "a {kind} record of {len} bytes cannot be journaled; at most {most} bytes: raise journal.segment_mib or split it"
    )]
    TooLarge {
        /// Its kind.
        kind: &'static str,
        /// Its bytes.
        len: u64,
        /// The bound.
        most: u64,
    },
    /// A table's name is longer than 255 bytes.
    #[error("a table's name of {len} bytes cannot be journaled; at most 255 bytes")]
    TableName {
        /// Its bytes.
        len: usize,
    },
    /// The buffer is full: halt.
    #[error("the journal's buffer of {bytes} bytes is full; the disk does not keep up: halt")]
    Full {
        /// Its size.
        bytes: usize,
    },
    /// The run's journal is over.
    #[error("the journal of this run is over: {0}")]
    Failed(Failure),
}
