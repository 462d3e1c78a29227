//! Spans of time on the command line.

use std::time::Duration;

/// Reads a span of time: a whole number with `s`, `m`, `h` or `d`.
///
/// # Errors
/// The rule that the text breaks.
pub fn span(text: &str) -> Result<Duration, String> {
    let rule = "a time is a whole number with s, m, h or d, as in 90s; at most 3650d";
    let unit = text.chars().last().ok_or(rule)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(rule.to_owned()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| rule.to_owned())?;
    match number.checked_mul(seconds) {
        Some(seconds @ 1..=315_360_000) => Ok(Duration::from_secs(seconds)),
        _ => Err(rule.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit_and_are_neither_zero_nor_absurd() {
        for (text, want) in [
            ("60s", Some(60)),
            ("15m", Some(900)),
            ("24h", Some(86_400)),
            ("3650d", Some(315_360_000)),
            ("0s", None),
            ("60", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("6é", None),
        ] {
            assert_eq!(span(text).ok(), want.map(Duration::from_secs), "{text}");
        }
    }
}
