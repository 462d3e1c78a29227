//! Lengths of time as text in files (`"80ms"`, `"2s"`): an integer with its unit.

use polydesk_domain::Span;
use serde::{Deserialize, Deserializer, Serializer};

/// Units from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, i64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads an integer followed by one of the units; `None` for anything else.
pub fn parse(text: &str) -> Option<Span> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    number.checked_mul(*nanos).map(Span::nanos)
}

/// Writes the text form.
pub fn serialize<S: Serializer>(span: &Span, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(span)
}

/// Reads the text form.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "{text:?} is not a length of time: an integer with a unit (ns, us, ms, s, min, h, d), \
             such as \"80ms\""
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_an_integer_with_a_unit() {
        for (text, nanos) in [
            ("80ms", Some(80_000_000)),
            ("0s", Some(0)),
            ("2 s", Some(2_000_000_000)),
            ("250us", Some(250_000)),
            ("3min", Some(180_000_000_000)),
            ("7", None),
            ("-1s", None),
            ("1.5s", None),
            ("1 fortnight", None),
            ("99999999999d", None),
            ("", None),
        ] {
            assert_eq!(parse(text), nanos.map(Span::nanos), "{text:?}");
        }
    }
}
