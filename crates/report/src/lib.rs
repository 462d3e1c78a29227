//! The evaluation of a run: statistics, terminal tables, JSON and one self-contained HTML file.
//!
//! It reads a [`Run`] and decides nothing; it knows no engine, no exchange and no tape format.

pub mod analysis;
mod grid;
mod html;
mod json;
mod markets;
pub mod model;
mod terminal;
mod text;

pub use analysis::{Analysis, Options, analyse, verdict_of};
pub use html::{html, html_to};
pub use json::{json, json_to, run_sha256};
pub use model::*;
pub use terminal::terminal;
