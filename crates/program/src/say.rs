//! Lines on standard error. A closed pipe does not end the run.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
