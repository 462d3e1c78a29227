//! The tests of tapes and importers from outside, in one program.

mod common;
mod endings;
mod fixture_tapes;
mod frames;
mod synthetic;
mod tables;
mod tapes;
