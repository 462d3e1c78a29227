//! The checks of a start, each with its result and what to do about it.

use std::fmt;

use polydesk_domain::{Span, Time};
use polydesk_polymarket_api::ApiError;
use polydesk_polymarket_api::clob::Clob;

use crate::clock::EngineClock;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// As it should be.
    Good,
    /// Trading is possible, but somebody should know.
    Warning,
    /// No order may leave.
    Bad,
}

/// A check of the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// What was found.
    pub found: Found,
    /// With figures.
    pub detail: String,
    /// What to do about it; empty where nothing is to be done.
    pub fix: String,
}

impl Check {
    /// As it should be.
    pub fn good(name: &'static str, detail: String) -> Check {
        Check { name, found: Found::Good, detail, fix: String::new() }
    }
    /// With something that somebody should know.
    pub fn warning(name: &'static str, detail: String, fix: &str) -> Check {
        Check { name, found: Found::Warning, detail, fix: fix.to_owned() }
    }
    /// No order may leave.
    pub fn bad(name: &'static str, detail: String, fix: &str) -> Check {
        Check { name, found: Found::Bad, detail, fix: fix.to_owned() }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.found {
            Found::Good => "ok",
            Found::Warning => "warn",
            Found::Bad => "BAD",
        };
        write!(f, "{mark:<4} {:<16} {}", self.name, self.detail)?;
        if self.fix.is_empty() {
            Ok(())
        } else {
            write!(f, "\n                      fix: {}", self.fix)
        }
    }
}

/// The venue's version.
pub fn version(answer: Result<u32, ApiError>) -> Check {
    match answer {
        Ok(2) => Check::good("version", "CLOB version 2".to_owned()),
        Ok(other) => Check::bad(
            "version",
            format!("the venue runs CLOB version {other}; this program speaks 2"),
            "update polydesk; no order leaves until then",
        ),
        Err(error) => {
            Check::bad("version", format!("{error}"), "check the network and the section venue")
        }
    }
}

/// The offset between local and venue's clock.
pub fn clock(clock: &EngineClock, measured: Result<Span, String>, most: Span) -> Check {
    match measured {
        Err(error) => Check::bad(
            "clock",
            format!("the venue's clock could not be read: {error}"),
            "check the network and the section venue",
        ),
        Ok(_) if !clock.offset_matters() => {
            Check::good("clock", "engine time is the exchange's".to_owned())
        }
        Ok(offset) if offset.as_millis().abs() > most.as_millis() => Check::bad(
            "clock",
            format!("the local clock differs from the venue's by {} ms", offset.as_millis()),
            "synchronise the clock (chrony, systemd-timesyncd), or raise start.max_clock_offset_ms",
        ),
        Ok(offset) => Check::good("clock", format!("offset {} ms", offset.as_millis())),
    }
}

/// How long a public call takes there and back: the median of a few.
///
/// # Errors
/// None of the calls was answered.
pub async fn round_trip(clob: &Clob, calls: usize) -> Result<Span, String> {
    let mut spans = Vec::new();
    let mut last = String::new();
    for _ in 0..calls.max(1) {
        let began: Time = clob.clock().steady();
        match clob.ok().await {
            Ok(()) => spans.push(began.until(clob.clock().steady())),
            Err(error) => last = error.to_string(),
        }
    }
    spans.sort();
    spans.get(spans.len() / 2).copied().ok_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polydesk_polymarket_api::ServerClock;

    #[test]
    fn a_clock_beyond_the_bound_or_unknown_is_bad_and_on_a_tape_it_does_not_matter() {
        let server = ServerClock::over(|| Time::from_secs(1));
        let (local, tape) = (EngineClock::local(server.clone()), EngineClock::of_venue(server));
        let most = Span::secs(2);
        let cases = [
            (&local, Ok(Span::millis(2_000)), Found::Good),
            (&local, Ok(Span::millis(-2_000)), Found::Good),
            (&local, Ok(Span::millis(2_001)), Found::Bad),
            (&local, Ok(Span::millis(-2_001)), Found::Bad),
            (&local, Err("silent".to_owned()), Found::Bad),
            (&tape, Ok(Span::secs(86_400)), Found::Good),
            (&tape, Err("silent".to_owned()), Found::Bad),
        ];
        for (of, measured, want) in cases {
            let check = clock(of, measured.clone(), most);
            assert_eq!(check.found, want, "{measured:?}");
            assert_eq!(check.found != Found::Good, !check.fix.is_empty());
        }
    }
}
