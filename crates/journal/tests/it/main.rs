//! Tests of the journal.

mod harness;
mod model;
mod restart;
