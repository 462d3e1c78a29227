//! The client's tests from outside, in one program: a program for each file would link the whole client each time.
//! Only `allocations` is a program of its own, for it counts what the whole process asks the allocator for.

#[cfg(feature = "signer")]
mod chain;
#[cfg(feature = "signer")]
mod common;
#[cfg(feature = "signer")]
mod endpoints;
#[cfg(feature = "signer")]
mod feeds;
mod frames;
#[cfg(feature = "signer")]
mod markets;
mod rounding;
#[cfg(feature = "signer")]
mod secrets;
#[cfg(feature = "signer")]
mod simulation;
mod transport;
#[cfg(feature = "signer")]
mod vectors;
#[cfg(feature = "signer")]
mod venue;
