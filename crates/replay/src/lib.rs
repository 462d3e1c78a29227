//! The synchronous driver: a tape, the engine and the simulated exchange in one virtual time.
//!
//! The exchange sees a market event at exchange time; the engine sees it after the feed latency (or at
//! the recorded receive time); an order meets the book after its own latency. Everything that happens
//! is ordered by time and then by source: account events, timers, market data. There is no thread, no
//! clock and no unseeded randomness, so the same tape, seed and configuration give the same run.

mod checks;
mod driver;
pub mod facts;
mod feed;
mod log;
mod recorder;
mod resume;
mod running;
mod soft;
mod step;
pub mod truth;
mod verify;

pub use driver::{Options, ReplayError, replay};
pub use feed::{Connection, FeedFacts};
pub use log::EventLog;
pub use recorder::{Alarm, FillRow, HORIZONS, OrderStats, Recorder, Recording};
pub use resume::leftovers;
pub use running::{EquityPoint, Extremes, Fall};
pub use soft::{SOFT, SoftEntry, read_soft, soft_entries};
pub use step::{Step, Watch};
pub use verify::{Difference, Handled, Verified, verify};
