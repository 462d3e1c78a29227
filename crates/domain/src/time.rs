//! Points in time and spans, in integer nanoseconds.

use core::fmt;
use core::ops::{Add, Sub};

/// Nanoseconds since 1970-01-01T00:00:00Z. Given by the inbox or the tape, never read from a clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

impl Time {
    /// Before everything.
    pub const MIN: Time = Time(i64::MIN);
    /// After everything.
    pub const MAX: Time = Time(i64::MAX);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Time {
        Time(nanos)
    }

    /// From milliseconds, the unit of the venue's timestamps.
    pub const fn from_millis(millis: i64) -> Time {
        Time(millis.saturating_mul(1_000_000))
    }

    /// From seconds.
    pub const fn from_secs(secs: i64) -> Time {
        Time(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The span from `self` to `later`; negative if `later` is earlier.
    pub const fn until(self, later: Time) -> Span {
        Span(later.0.saturating_sub(self.0))
    }

    /// The day this falls on, as days since 1970-01-01 (UTC).
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000_000)
    }

    /// From RFC 3339 text (`2026-06-07T01:30:51.472Z`).
    pub fn parse(text: &str) -> Option<Time> {
        let stamp: jiff::Timestamp = text.trim().parse().ok()?;
        i64::try_from(stamp.as_nanosecond()).ok().map(Time)
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}
impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC with milliseconds (or nanoseconds where there are any).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0.rem_euclid(1_000_000) == 0 { 3 } else { 9 };
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(stamp) => write!(f, "{stamp:.digits$}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}
impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A length of time in nanoseconds; may be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// Longer than any run.
    pub const MAX: Span = Span(i64::MAX);

    /// From nanoseconds.
    pub const fn nanos(nanos: i64) -> Span {
        Span(nanos)
    }
    /// From microseconds.
    pub const fn micros(micros: i64) -> Span {
        Span(micros.saturating_mul(1_000))
    }
    /// From milliseconds.
    pub const fn millis(millis: i64) -> Span {
        Span(millis.saturating_mul(1_000_000))
    }
    /// From seconds.
    pub const fn secs(secs: i64) -> Span {
        Span(secs.saturating_mul(1_000_000_000))
    }
    /// The length in nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }
    /// The length in milliseconds, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// The length in seconds, for estimates.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// The longer of the two.
    pub fn max(self, other: Span) -> Span {
        Ord::max(self, other)
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0;
        if nanos % 1_000_000_000 == 0 {
            write!(f, "{}s", nanos / 1_000_000_000)
        } else if nanos % 1_000_000 == 0 {
            write!(f, "{}ms", nanos / 1_000_000)
        } else {
            write!(f, "{nanos}ns")
        }
    }
}
impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! serde_nanos {
    ($($name:ident),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_i64(self.0)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                i64::deserialize(from).map($name)
            }
        }
    )*};
}
serde_nanos!(Time, Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_and_read_as_rfc_3339() {
        let time = Time::from_millis(1_780_795_851_472);
        assert_eq!(time.to_string(), "2026-06-07T01:30:51.472Z");
        assert_eq!(Time::parse("2026-06-07T01:30:51.472Z"), Some(time));
        assert_eq!(Time::parse("yesterday"), None);
        assert_eq!(time.until(time + Span::secs(2)), Span::secs(2));
    }
}
