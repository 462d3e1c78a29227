//! Lines for persons on standard error. A run goes on where nobody reads them any more.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
