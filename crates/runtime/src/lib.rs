//! Assembles the bot for live data.
//!
//! - [`inbox`]: what reaches the engine besides market data, and the one place where the order of events is
//!   made;
//! - [`paper`]: the engine's thread of paper trading: engine and simulated exchange on the live feed;
//! - [`discovery`]: which markets are followed, and what changes about them;
//! - [`glance`]: what can be seen of the engine from outside, swapped and never locked;
//! - [`server`]: health, readiness, metrics and status over HTTP;
//! - [`supervise`]: tasks that are restarted, and the watchdog;
//! - [`beat`]: heartbeats to the venue; [`credentials`]: what they and a kill are signed with;
//! - [`kill`]: cancels everything, from anywhere, without the engine;
//! - [`start`]: the checks before the gate can open;
//! - [`spin`]: how long threads look for work before they park;
//! - [`logs`]: log files.
//!
//! Only this crate and the mains read a clock. It contains no trading decisions: those are the engine's.

pub mod assembly;
pub mod beat;
pub mod clock;
pub mod collapse;
mod common;
pub mod credentials;
pub mod decisions;
pub mod discovery;
pub mod durable;
pub mod facts;
pub mod glance;
pub mod inbox;
pub mod keeping;
pub mod kill;
pub mod live;
mod log_bound;
pub mod logs;
pub mod metrics;
pub mod paper;
pub mod prometheus;
pub mod reload;
pub mod select;
pub mod server;
pub mod spans;
pub mod spin;
pub mod start;
pub mod supervise;
