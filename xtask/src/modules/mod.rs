//! Which module file of a crate names items of which other: the graph whose cycles `cargo xtask layers` lists.
//!
//! Read from the text alone with `syn`: no types, no macro expansion. A method call names nothing, so an
//! `impl` that is spread over files counts by its paths only.

mod cycles;
mod paths;
mod references;
#[cfg(test)]
mod tests;
mod tree;

pub use cycles::{Allowed, compare};
pub use references::Graph;
pub use tree::{Modules, for_tests};
