//! Faults of live trading as scenarios. A test's name begins with the ids of `docs/faults.md`.
//!
//! Each runs once; `POLYDESK_SEEDS=20` runs it for twenty seeds, which draw delays and positions of the faults. A judge
//! looks at the exchange's truth beside the bot ([`judge`]) and fails the scenario at the first violation.

mod judge;
mod scene;

mod baskets;
mod cancels;
mod judged;
mod limits;
mod listed;
mod markets;
mod process;
mod security;
mod sending;
mod settlement;
