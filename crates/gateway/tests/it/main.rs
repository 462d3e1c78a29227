//! The gateway from outside: what answers, messages and reads give.

mod answers;
mod harness;
mod logs;
mod orders;
mod reconcile;
mod user;
