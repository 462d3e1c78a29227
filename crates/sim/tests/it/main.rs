//! The tests of the simulated exchange from outside, in one program.

mod absurd;
mod common;
mod laws;
mod matching;
mod rules;
