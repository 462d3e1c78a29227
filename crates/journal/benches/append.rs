//! `cargo bench -p polydesk-journal`.

fn main() {}
