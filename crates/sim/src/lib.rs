//! A simulated exchange: it takes [`Command`](polydesk_domain::Command)s and returns
//! [`Event`](polydesk_domain::Event)s after delays. It reads no clock; all its chance comes from one seed.
//!
//! The same [`Sim`] serves paper trading, backtests, tests and a local exchange. Seed, configuration,
//! market data and commands determine every event, byte for byte.
//!
//! # How orders fill
//!
//! - Both outcomes share one book, so the rules below are about *ladders*: the bids for YES and the
//!   bids for NO. A sell of YES at `p` rests on the NO ladder at `1 − p`.
//! - A taker walks the depth displayed at its arrival and **consumes** it. Consumed shares shrink only to
//!   what the level still shows after a whole batch, whoever traded or cancelled there: no share is sold
//!   twice. [`Refill`] decides whether they ever come back. A snapshot that shows the same size again
//!   refills nothing, and a level of a crossed book fills nothing.
//! - A print that no level change explains yet has taken its shares already: until the change comes, or
//!   the netting window is over, the level offers only the rest.
//! - A resting order waits behind everything displayed at its level at its arrival. Where the data has not
//!   stated the level (tapes without snapshots, prices below a snapshot's worst level) the queue is unknown:
//!   no print at its price fills the order until the level is stated, and then that size is ahead of it.
//!   In a market whose book is invalidated nothing comes to rest and nothing fills. Prints at its level
//!   first serve that queue; only the rest of a print fills the order, and no print fills more than its
//!   size over all our orders. A print beyond our price fills up to its size. The [`QueueModel`] decides
//!   how cancels advance the queue.
//! - The venue publishes a trade some 20 ms *after* the level change it caused. A print is therefore
//!   netted against decreases of its level within the last [`Matching::netting_window`]; the part that
//!   explains a decrease older than our order neither advances nor fills it.
//! - A displayed opposite side that crosses a resting order fills it at its own price, up to the
//!   displayed size. In a market without prints (tapes of snapshots) this is the **only** way a resting
//!   order fills: [`Sim::fill_rule`]. An order that came to rest while the opposite side was not proven, or
//!   stood through its price in a crossed book, is cancelled instead: the venue would not have let it rest.
//! - Our orders never trade with each other: the later order is refused.
//!
//! # Money
//!
//! Each match has one notional for both parties: rounded up to the micro-dollar for a buy of ours, down for
//! a sell of ours. The bank's books are double entry; see [`Sim::check_conservation`].

mod bank;
mod chance;
mod config;
mod conversions;
mod counters;
mod due;
mod feed;
mod market_data;
mod market_state;
mod match_views;
mod matching;
mod order;
mod order_updates;
mod proof;
mod queries;
mod queue;
mod resting;
mod retention;
mod rules;
mod settle;
mod sim;
mod snapshot_takers;
mod span_text;
mod state;
mod stated;
mod taker_delay;
mod trade;
mod views;

pub use bank::{AccountView, Broken, TokenView};
pub use chance::mix;
pub use config::{
    Conversions, Delay, Faults, Latency, Matching, Problem, QueueModel, Rebates, Refill,
    Settlement, SimConfig, SimError, SnapshotTakers,
};
pub use counters::SimCounters;
pub use feed::FeedLatency;
pub use match_views::MatchView;
pub use rules::VenueMode;
pub use state::Sim;
pub use views::{Entries, FillRule, OrderView};
