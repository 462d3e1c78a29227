//! The tests of reports from outside, in one program.

mod common;
mod report;
mod waterfall;
