//! Lines for persons. A reader that is gone is no failure.

use std::io::Write as _;

/// Prints an error; on a closed pipe the exit code still states the failure.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}

/// Prints; a reader that closed the pipe has seen enough.
pub fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
