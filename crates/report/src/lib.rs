//! What a run was worth: statistics, terminal tables, JSON and one self-contained HTML file.
//!
//! It reads a [`RunRecord`] and decides nothing; it knows no engine, no exchange and no tape format.

pub mod model;

pub use model::*;
