//! An append-only journal of bytes under (table, key), that a program trading with real money comes back from.
//!
//! [`recover`] reads a folder and begins a run; [`Threads`] executes what the [`Journal`] wants done on a [`Disk`];
//! a [`Handle`] appends records, flushes them before something leaves, and waits for syncs. The crate knows no
//! type of its owner, no network and no clock. `docs/journal.md` shows the bytes.

mod buffer;
mod compaction;
mod disk;
mod file_disk;
mod frame;
mod journal;
mod keeper;
mod latch;
mod map;
mod mem_disk;
mod names;
mod options;
mod payload;
mod reader;
mod record_log;
mod recover;
mod status;
mod survey;
mod threads;
mod walk;
mod writer;

pub use buffer::{Buffer, Class};
pub use disk::{Disk, Op, Outcome, Space};
pub use file_disk::{FileDisk, OpenError, refused_file_system};
pub use frame::{Found, Frame, Kind, Seq};
pub use journal::{Job, JobId, Journal, Lane};
pub use latch::{Kill, LATCH_VERSION, Latch, LatchError, LatchFile, LatchState};
pub use map::{Entry, Map};
pub use mem_disk::{Draw, Fault, MemDisk};
pub use names::Month;
pub use options::{BadOption, Durable, Options};
pub use payload::{
    Change, Compacted, CutFact, Delta, DropReason, Dropped, Ended, Malformed, Mark, Payload, Row,
    RunFacts, RunLine, RunRecord, StopFacts, decode_mark, decode_run, decode_stop,
};
pub use reader::{LogRow, LogRows, ReadEnd, ReadRecord, read_log, read_records};
pub use record_log::Cursor;
pub use recover::{ASK_TABLE, Ask, Offline, RecoverError, Recovered, read_state, recover};
pub use status::{Alert, AppendError, Failure, Room, Status};
pub use survey::{Damage, Note};
pub use threads::{Clock, Handle, Threads, WaitError};
pub use walk::ReadError;
