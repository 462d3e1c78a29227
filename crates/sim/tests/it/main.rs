//! The tests of the simulated exchange from outside, in one program.

mod absurd;
mod account;
mod common;
mod faults;
mod feed;
mod laws;
mod liquidity;
mod listing;
mod matching;
mod queries;
mod rules;
mod shown;
mod unknown;
