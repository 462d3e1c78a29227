//! Figures and untrusted text as shown: signs, units, no control characters.
//!
//! Rounding here is for display only; JSON carries the exact amounts.

use polydesk_domain::{Shares, Time, Usdc};

/// Whether a character could move a terminal's cursor, hide text or turn its direction.
pub(crate) fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Text from data with every hidden character replaced by a visible sign.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// Columns a character takes in a terminal: wide for East Asian text and pictures, none for combining marks.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x1ab0..=0x1aff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns the text takes in a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The text, cut with an ellipsis where it is wider than `most`.
pub(crate) fn fit(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        if used + columns(c) + 1 > most {
            break;
        }
        used += columns(c);
        out.push(c);
    }
    if most > 0 {
        out.push('…');
    }
    out
}

/// The text, cut in its middle where it is wider than `most`.
pub(crate) fn fit_middle(text: &str, most: usize) -> String {
    if width(text) <= most || most < 8 {
        return fit(text, most);
    }
    let tail_columns = (most - 1) / 2;
    let (mut start, mut used) = (text.len(), 0);
    for (at, c) in text.char_indices().rev() {
        if used + columns(c) > tail_columns {
            break;
        }
        used += columns(c);
        start = at;
    }
    let mut head = String::new();
    for c in text.chars() {
        if width(&head) + columns(c) + 1 + used > most {
            break;
        }
        head.push(c);
    }
    format!("{head}…{}", &text[start..])
}

/// The text in lines of at most `most` columns, broken at spaces where there are any.
pub(crate) fn wrap(text: &str, most: usize) -> Vec<String> {
    let most = most.max(8);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        if !line.is_empty() && width(&line) + 1 + width(&word) > most {
            lines.push(std::mem::take(&mut line));
        }
        while width(&word) > most {
            let mut head = String::new();
            for c in word.chars() {
                if width(&head) + columns(c) > most {
                    break;
                }
                head.push(c);
            }
            word = word.split_off(head.len());
            lines.push(head);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// pUSD without a sign where positive: cents, or all digits below a cent.
pub(crate) fn money(amount: Usdc) -> String {
    let micros = amount.micros();
    if micros != 0 && micros.unsigned_abs() < 10_000 {
        return amount.to_string();
    }
    let cents = (i128::from(micros.unsigned_abs()) + 5_000) / 10_000;
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", thousands(cents / 100), cents % 100)
}

/// pUSD with its sign, so that gain and loss differ without colour.
pub(crate) fn signed(amount: Usdc) -> String {
    if amount.micros() > 0 { format!("+{}", money(amount)) } else { money(amount) }
}

/// pUSD with its sign and all digits, so that shown parts add up to what is shown as their sum.
pub(crate) fn exact(amount: Usdc) -> String {
    if amount.micros() > 0 { format!("+{amount}") } else { amount.to_string() }
}

/// A whole number in groups of three.
pub(crate) fn thousands(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count in groups of three.
pub(crate) fn count(number: impl TryInto<i128>) -> String {
    number.try_into().map_or_else(|_| "?".to_owned(), thousands)
}

/// Shares with at most two decimals.
pub(crate) fn shares(shares: Shares) -> String {
    let hundredths = (u128::from(shares.micros()) + 5_000) / 10_000;
    if hundredths.is_multiple_of(100) {
        return thousands((hundredths / 100) as i128);
    }
    format!("{}.{:02}", thousands((hundredths / 100) as i128), hundredths % 100)
}

/// A number with its sign and two decimals, or a dash.
pub(crate) fn signed_number(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{:+.2}", value + 0.0))
}

/// A count with its noun.
pub(crate) fn counted(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A percentage, or a dash.
pub(crate) fn percent(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.1}%"))
}

/// The sign for an unknown value.
pub(crate) fn dash() -> String {
    "-".to_owned()
}

/// Milliseconds in the unit that suits them.
pub(crate) fn duration(ms: i64) -> String {
    let size = ms.unsigned_abs();
    match size {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{:.1} s", ms as f64 / 1e3),
        120_000..7_200_000 => format!("{:.1} min", ms as f64 / 6e4),
        7_200_000..172_800_000 => format!("{:.1} h", ms as f64 / 3.6e6),
        _ => format!("{:.1} d", ms as f64 / 8.64e7),
    }
}

/// A time to the millisecond, UTC, as short as it can be sorted.
pub(crate) fn timestamp(at: Time) -> String {
    let text = at.to_string();
    text.get(..23).map_or(text.clone(), |short| short.trim_end_matches('Z').replace('T', " "))
}

/// An interval, or a dash.
pub(crate) fn interval(interval: Option<(Usdc, Usdc)>) -> String {
    interval.map_or_else(dash, |(low, high)| format!("{} .. {}", signed(low), signed(high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_for_display_and_keeps_its_sign() {
        for (micros, want) in [
            (0, "0.00"),
            (1_234_567_890_000, "+1,234,567.89"),
            (-46_499_420, "-46.50"),
            (-995_001, "-1.00"),
            (-1_500, "-0.0015"),
            (15_000, "+0.02"),
        ] {
            assert_eq!(signed(Usdc::new(micros)), want);
        }
    }

    #[test]
    fn untrusted_text_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\r\n\u{202e}c"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c");
    }

    #[test]
    fn wide_text_is_cut_by_columns() {
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("日本", 4), "日本");
        assert_eq!(fit("ab", 0), "");
        for line in wrap("one two three fourfivesixseveneight nine", 10) {
            assert!(width(&line) <= 10, "{line}");
        }
    }

    #[test]
    fn timestamps_are_short_and_extreme_ones_stay_whole() {
        let at = Time::from_nanos(1_780_795_851_472_000_001);
        assert_eq!(timestamp(at), "2026-06-07 01:30:51.472");
        assert_eq!(timestamp(Time::from_secs(1_780_795_851)), "2026-06-07 01:30:51.000");
        assert!(!timestamp(Time::MAX).is_empty());
    }

    #[test]
    fn durations_have_a_unit() {
        for (ms, want) in [
            (0, "0 ms"),
            (1_500, "1.5 s"),
            (600_000, "10.0 min"),
            (10_800_000, "3.0 h"),
            (864_000_000, "10.0 d"),
        ] {
            assert_eq!(duration(ms), want);
        }
    }
}
