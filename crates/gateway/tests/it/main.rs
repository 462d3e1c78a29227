//! The gateway from outside: what answers, messages and reads give.

mod answers;
mod engine;
mod harness;
mod logs;
mod orders;
mod reconcile;
mod user;
