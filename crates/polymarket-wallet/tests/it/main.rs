//! Client and wallet from outside, in one program: a program for each file would link the whole client each time.
//! Only `allocations` is a program of its own, for it counts what the whole process asks the allocator for.

mod chain;
mod common;
mod endpoints;
mod feeds;
mod markets;
mod secrets;
mod simulation;
mod trouble;
mod vectors;
mod venue;
