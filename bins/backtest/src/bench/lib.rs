//! How many rows of a tape the bot takes per second, and in how much memory.
//!
//! Both `backtest bench` and `cargo bench -p backtest` run this. It measures and prints; nothing that
//! trades uses it.

mod args;
mod hours;
mod maps;
mod measure;
mod observer;
mod table;

pub use args::{BenchArgs, Case, Store, What};
pub use measure::{Clock, Held, Measured, SEED, Work, measure, peak_kib, work};
pub use observer::Observer;
pub use table::run;
