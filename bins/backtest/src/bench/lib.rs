//! How many rows of a tape the bot takes per second, and in how much memory.
//!
//! Both `backtest bench` and `cargo bench -p backtest` run this. It measures and prints; nothing that
//! trades uses it.

mod args;
mod looker;
mod maps;
mod measure;
mod table;

pub use args::{BenchArgs, Case, From, What};
pub use looker::Looker;
pub use measure::{Clock, Held, Measured, SEED, Work, measure, peak_kib, work};
pub use table::run;
