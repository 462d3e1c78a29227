//! The kill path: every open order of the account is cancelled, from anywhere, without the engine.
//!
//! [`Switch`] is read before an order leaves and can be closed by anything; [`ladder`] cancels until the venue shows
//! no open order; [`thread`] is the OS thread that runs it with a connection of its own; [`latch`] makes the kill
//! survive the process; [`lift`] ends it; [`door`] serves both over HTTP.
//!
//! Not in here: keys, trading decisions, anything that waits for the engine, its journal or its queues.

pub mod client;
pub mod door;
pub mod endpoints;
pub mod ladder;
pub mod latch;
pub mod lift;
pub mod stop_file;
pub mod sweep;
pub mod switch;
pub mod thread;

pub use ladder::{Latched, Listing, Outcome, Plan, Step, StepKind};
pub use latch::{LatchFolder, LatchThread, LatchWriter, Writing};
pub use lift::{LiftError, Lifting};
pub use switch::{Closed, Switch, Trigger, Via};
pub use thread::{Arms, Killer, Progress};
