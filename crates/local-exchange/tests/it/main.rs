//! The local exchange's tests from outside, in one program: a program for each file would link the exchange each time.

mod common;
mod demo;
mod discovery;
mod faults;
mod hostile;
mod laws;
mod rest;
mod rpc;
mod signatures;
mod sockets;
mod tape;
mod ticks;
