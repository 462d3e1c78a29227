//! The tests of reports from outside, in one program.

mod common;
mod edges;
mod report;
mod study;
mod waterfall;
