//! The program as people run it: as a process, over real sockets, against a local exchange.

mod bad_input;
mod crash;
mod operator;
mod process;
