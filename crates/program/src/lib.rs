//! What the programs that trade have in common: configuration layers, data folder, exit codes, signals, and the status
//! block of a terminal.

pub mod dotenv;
pub mod failure;
pub mod folder;
pub mod layers;
pub mod say;
pub mod signals;
pub mod span;
pub mod terminal;

pub use failure::{Done, Failure};
pub use folder::Folder;
pub use say::say;
pub use signals::Signals;
