//! Whole runs: properties of every tape and every strategy, and no look-ahead.

mod clock;
mod common;
mod expiry;
mod exposure;
mod honesty;
mod laws;
mod received;
mod recording;
mod restart;
mod rig;
mod truth;
