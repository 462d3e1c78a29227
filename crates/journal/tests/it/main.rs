//! Tests of the journal.

mod adversarial;
mod damage;
mod faults;
mod files;
mod format;
mod harness;
mod latch;
mod log;
mod log_damage;
mod model;
mod restart;
