//! Acts on signals: risk gate, orders, positions, plans and the ledger.
//!
//! [`Execution`] is told what happened and answers with commands. It decides nothing about markets:
//! strategies do. It reads no clock, waits for nothing and never holds a float near money.

#![deny(clippy::float_arithmetic)]

mod budget;
mod config;
mod desk;
mod exits;
mod gate;
mod latches;
mod ledger;
mod orders;
mod plans;
mod positions;
mod quotes;

pub use budget::Budget;
pub use config::{Limits, RawRisk};
pub use desk::{Context, Counts, Execution, SetPending};
pub use gate::{Ask, Equity, Exposure, Facts, Mode, crosses};
pub use latches::Latches;
pub use ledger::{Account, Entry, Ledger, Tally};
pub use orders::{
    Illegal, IllegalTrade, Order, Orders, Purpose, TradeChange, next_state, next_status,
};
pub use plans::{Plan, PlanEnd, PlanLeg, Stage};
pub use positions::{
    Claim, ClosedTrade, ExitContext, ExitReason, ExitWish, FillKey, Holding, Lot, Positions, exit_wish,
};
