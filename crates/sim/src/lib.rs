//! An exchange made of a seed: takes [`Command`](polydesk_domain::Command)s, gives back
//! [`Event`](polydesk_domain::Event)s after delays. Nothing here knows the time or that it is not real.
//!
//! The same [`Sim`] serves paper trading, backtests, tests and a local exchange. A seed, a
//! configuration, the market data and the commands give every event, byte for byte.
//!
//! # How orders fill
//!
//! - Both outcomes share one book, so all rules below speak of *ladders*: the bids for YES and the
//!   bids for NO. A sell of YES at `p` waits on the NO ladder at `1 − p`.
//! - A taker walks the depth shown when it arrives and **consumes** it: what it took stays taken until
//!   that level shrinks or trades in the data. A snapshot that shows the same size again refills
//!   nothing, and a level of a crossed (broken) book gives nothing.
//! - A resting order waits behind everything shown at its level when it arrived. Prints at its level
//!   first serve that queue; only the rest of a print fills us, and no print fills more than its size
//!   over all our orders. A print beyond our price fills us up to its size. What else advances the
//!   queue is the [`QueueModel`].
//! - The venue publishes a trade some 20 ms *after* the level change it caused. A print is therefore
//!   netted against decreases of its level of the last [`Matching::netting_window`]; the part that
//!   explains a decrease older than our order moves and fills nothing of ours.
//! - When the displayed opposite side crosses our price, we are filled at our price up to the
//!   displayed size. In a market without prints (tapes of snapshots) this is the **only** way a
//!   resting order fills: [`Sim::fill_rule`].
//! - Our orders never trade with each other: the later one is refused.
//!
//! # Money
//!
//! Each match has one notional, seen by both parties: what a buyer of ours pays is rounded up, what a
//! seller of ours receives is rounded down, each to the micro-dollar, and the rest of the world gets
//! exactly the other side. The books of the bank are double entry; see [`Sim::check_conservation`].

mod answer;
mod bank;
mod book_keeping;
mod chance;
mod config;
mod counters;
mod due;
mod exchange;
mod flow;
mod lives;
mod order;
mod queries;
mod queue;
mod retention;
mod rules;
mod sets;
mod settle;
mod sim;
mod span_text;
mod state;
mod trade;
mod views;

pub use bank::{AccountView, Broken, TokenView};
pub use config::{
    Delay, Faults, Latency, Matching, Problem, QueueModel, Rebates, Sets, Settlement, SimConfig,
    SimError,
};
pub use counters::SimCounters;
pub use rules::Mode;
pub use state::Sim;
pub use views::{Entries, FillRule, OrderView};
