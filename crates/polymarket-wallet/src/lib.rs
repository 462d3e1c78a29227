//! What signs for a Polymarket account, and what moves its money.
//!
//! - [`signing`]: keys, where they come from, orders of every wallet type, wallet addresses, L1 authentication;
//! - [`chain`]: balances, approvals, splits, merges, redemptions, transactions and the relayer.
//!
//! A process without this crate in its tree can hold no key: `polydesk-polymarket-api` alone reads, and cancels where it
//! has API credentials.

pub mod chain;
#[cfg(test)]
mod samples;
pub mod signing;
