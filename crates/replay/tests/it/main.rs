//! Whole runs: properties of every tape and every strategy, and no look-ahead.

mod common;
mod expiry;
mod exposure;
mod honesty;
mod laws;
mod restart;
mod rig;
