//! Whole runs: what must hold for every tape and every strategy, and what a run may not know.

mod common;
mod honesty;
mod laws;
mod restart;
mod rig;
