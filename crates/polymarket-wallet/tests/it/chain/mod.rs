//! The chain module against a real EVM (anvil) and against doubles that lie, refuse and hang up.
//!
//! Without anvil the tests that need it print `skipped: anvil is not installed`; CI always has it.

mod anvil;
mod bridge;
mod eoa;
mod exchange;
mod logs;
mod reads;
mod relayer;
mod resume;
mod server;
