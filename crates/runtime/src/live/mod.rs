//! Live trading: what sends, and what comes back.
//!
//! - [`orders`]: the lane of orders: sign, journal, flush, send, each order at most once;
//! - [`lanes`]: cancels and reads, on lanes of their own that never wait for an order;
//! - [`passes`]: the reads of a reconciliation, in the order that lets a later one explain an earlier one;
//! - [`chain`]: what is asked of the chain and of the wallet behind it;
//! - [`bot`]: the engine's thread: events in, commands out to the lanes, reports back through the gateway;
//! - [`guarding`]: what arms the kill path and the heartbeats, and what they stop;
//! - [`silence`]: what slows orders down whose outcome stays unknown;
//! - [`version`]: whether the venue still speaks the version that orders are signed for;
//! - [`report`]: what the lanes report to that thread.
//!
//! The wallet is not known here: orders are signed behind [`SignOrders`](polydesk_polymarket_api::SignOrders), the chain is behind
//! [`chain::ChainLane`].

pub mod assembly;
pub mod bot;
pub mod chain;
pub mod guarding;
pub mod lanes;
pub mod orders;
pub mod passes;
pub mod permit;
pub mod report;
pub mod silence;
pub mod stops;
pub mod version;
