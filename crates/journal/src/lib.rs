//! An append-only journal of bytes under (table, key): what a trading program knows after a stop at any instant.
//!
//! [`recover`] reads a folder and begins a run. The [`Journal`] it returns does no IO: it says what is to be done
//! on a [`Disk`] ([`Journal::poll`]) and is told what came of it ([`Journal::done`]). [`Threads`] executes that in
//! programs and gives out [`Handle`]s, which append records, flush them before something leaves, and wait for
//! syncs. `docs/journal.md` describes files, bytes and rules.
//!
//! Not in here: the meaning of an entry, a network, a clock. Times are given by the owner.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use polydesk_journal::{
//!     Change, Class, Delta, MemDisk, Options, Payload, RunFacts, StopFacts, Threads, recover,
//! };
//!
//! // A program opens `FileDisk::open(folder)` and gives its monotonic clock.
//! let disk = Arc::new(MemDisk::new());
//! let facts = RunFacts {
//!     at_ms: 1_795_900_000_000,
//!     program: "example 0.1".to_owned(),
//!     config: "c0ffee".to_owned(),
//!     wallet: "0xabc".to_owned(),
//!     mode: "paper".to_owned(),
//!     lease_epoch: 0,
//!     boot: "boot-1".to_owned(),
//! };
//! let (journal, found) = recover(&*disk, &Options::default(), &facts)?;
//! assert_eq!((found.run, found.entries.len()), (1, 0));
//! let threads = Threads::start(journal, disk.clone(), Arc::new(|| Duration::ZERO))?;
//! let handle = threads.handle();
//!
//! // What happened, before it is handled; what it changed, before anything leaves.
//! let cause = handle.append(&Payload::Input(b"filled 50"), Class::Fact)?;
//! let change = Change { table: "orders", key: b"57", value: Some(b"filled") };
//! let delta = Delta { cause, commands: [0; 32], changes: vec![change] };
//! let seq = handle.append(&Payload::Delta(&delta), Class::Fact)?;
//! handle.flush(seq)?;
//!
//! // The process is killed here. The next one finds what was flushed.
//! let (_, found) = recover(&disk.after_kill(), &Options::default(), &facts)?;
//! assert_eq!(found.entries[0].value, b"filled");
//! # let stop = StopFacts { at_ms: 0, open_orders: 0, state_hash: String::new() };
//! # threads.stop(&stop, Duration::from_secs(10))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buffer;
mod compaction;
mod disk;
mod file_disk;
mod frame;
mod journal;
mod keeper;
mod latch;
mod log_repair;
mod map;
mod mem_disk;
mod names;
mod options;
mod pack;
mod payload;
mod reader;
mod record_log;
mod recover;
mod rows;
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
pub use options::{BadOption, Durable, Options, Retention};
pub use payload::{
    Change, Compacted, CutFact, Delta, DropReason, Dropped, Ended, Malformed, Mark, Payload, Row,
    RunFacts, RunLine, RunRecord, StopFacts, decode_mark, decode_run, decode_stop,
};
pub use reader::{LogRow, LogRows, ReadEnd, ReadRecord, read_log, read_records};
pub use recover::{ASK_TABLE, Ask, Offline, RecoverError, Recovered, read_state, recover};
pub use rows::Cursor;
pub use status::{Alert, AppendError, Failure, Room, Status};
pub use survey::{Damage, Note};
pub use threads::{Clock, Handle, Threads, WaitError};
pub use walk::ReadError;
