//! The program as people run it, as a process over real sockets against a local exchange; and the wallet's lane on the
//! chain, against the exchange's nodes and relayer in virtual time.

mod bad_input;
mod conversions;
mod crash;
mod disk;
mod foreign;
mod moves;
mod operator;
mod process;
mod relayer_key;
mod restart;
mod scenarios;
mod security;
mod world;
