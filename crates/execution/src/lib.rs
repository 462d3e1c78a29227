//! Acts on signals: risk gate, orders, positions, baskets and the ledger.
//!
//! [`State`] is what is known, as plain data; [`Manager`] decides what to do about what changed, and
//! [`RiskLimits::admit`] what may leave. Nothing here decides about markets: strategies do. It reads no
//! clock, waits for nothing and never holds a float near money.

#![deny(clippy::float_arithmetic)]

mod budget;
mod config;
mod exit;
mod gate;
mod manager;
pub mod state;
mod tighter;

pub use budget::Budget;
pub use config::{LossLatch, RawRisk, RiskLimits};
pub use exit::{ExitContext, ExitIntents, ExitMemory, Take, exit_intents};
pub use gate::{Facts, GateMode, GateRequest, crosses};
pub use manager::{Context, Counts, Manager};
pub use state::{
    Authority, BasketLeg, ClosedLot, Entry, Equity, ExitState, Exposure, FillKey, Holding, Illegal,
    IllegalTrade, Ledger, LedgerAccount, LoadError, Lot, OpenBasket, Order, Orders, PendingAsk,
    PendingConversion, PendingExit, Positions, Stage, State, TABLES, Tally, TradeChange, Violation,
    next_state, next_status,
};
pub use tighter::Loosened;
