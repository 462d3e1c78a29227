//! Tests of the journal.

mod damage;
mod faults;
mod harness;
mod model;
mod restart;
