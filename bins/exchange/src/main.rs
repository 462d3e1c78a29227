//! Runs the local exchange.
fn main() {}
