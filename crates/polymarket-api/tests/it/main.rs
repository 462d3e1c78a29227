//! The client's tests from outside that need neither a key nor a venue, in one program.

mod frames;
mod rounding;
mod transport;
