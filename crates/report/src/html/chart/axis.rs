//! The ticks of an axis and their labels.

use std::ops::Range;

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use polydesk_domain::Time;

use super::super::markup::minus;

/// The kind of values on the x axis.
#[derive(Clone, Copy)]
pub(crate) enum Axis {
    /// Nanoseconds since 1970, UTC.
    Time,
    /// Whole numbers, with what they count.
    Count(&'static str),
}

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;
/// Usual steps of a time axis, in seconds.
const STEPS: [i64; 25] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
    10 * 365 * DAY,
];

/// The axis over a range of x: its ticks, their format, and the title below them.
pub(super) struct Ticks {
    axis: Axis,
    over: Range<i64>,
    step: i64,
}

impl Ticks {
    pub(super) fn new(axis: Axis, over: &Range<i64>) -> Ticks {
        let span = over.end.saturating_sub(over.start);
        // Longer words need more room; a phone shows them larger.
        let most = |step: i64| if step < 60 * SECOND || span >= DAY * SECOND { 4 } else { 8 };
        let step =
            STEPS.into_iter().map(|step| step * SECOND).find(|step| span / step <= most(*step));
        Ticks { axis, over: over.clone(), step: step.unwrap_or(i64::MAX) }
    }

    /// At most nine.
    pub(super) fn at(&self) -> Vec<i64> {
        match self.axis {
            // plotters' ticks for integers overflow near their ends, those for floats do not.
            Axis::Count(_) => RangedCoordf64::from(self.over.start as f64..self.over.end as f64)
                .key_points(8)
                .into_iter()
                .filter(|tick| tick.fract() == 0.0)
                .map(|tick| tick as i64)
                .collect(),
            Axis::Time => {
                let past = self.over.start.rem_euclid(self.step);
                let first = if past == 0 {
                    Some(self.over.start)
                } else {
                    self.over.start.checked_add(self.step - past)
                };
                std::iter::successors(first, |tick| tick.checked_add(self.step))
                    .take_while(|tick| *tick <= self.over.end)
                    .collect()
            }
        }
    }

    /// A tick's words.
    pub(super) fn label(&self, tick: i64) -> String {
        if let Axis::Count(_) = self.axis {
            return minus(&crate::text::thousands(i128::from(tick)));
        }
        // A day alone is no label in a run of minutes, a time alone nothing in a run of weeks.
        let part = match self.step / SECOND {
            ..60 => 11..19,
            60..DAY if self.over.end.saturating_sub(self.over.start) < DAY * SECOND => 11..16,
            60..DAY => 5..16,
            _ => 0..10,
        };
        let text = Time::from_nanos(tick).to_string();
        text.get(part).unwrap_or(&text).replace('T', " ")
    }

    /// Title of the axis.
    pub(super) fn title(&self) -> String {
        if let Axis::Count(what) = self.axis {
            return what.to_owned();
        }
        let day = |nanos| Time::from_nanos(nanos).to_string().chars().take(10).collect::<String>();
        match (day(self.over.start), day(self.over.end)) {
            (first, last) if first == last => format!("{first}, UTC"),
            (first, last) => format!("{first} to {last}, UTC"),
        }
    }
}

/// A round number as short as it can be written: `0.05`, `−40`, `12.5k`.
pub(super) fn number(value: f64) -> String {
    let (scaled, sign) = match value.abs() {
        size if size >= 1e12 => (value / 1e12, "T"),
        size if size >= 1e9 => (value / 1e9, "G"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { format!("{}{sign}", minus(text)) }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn line(axis: Axis, from: i64, to: i64) -> String {
        let ticks = Ticks::new(axis, &(from..to));
        let labels: Vec<String> = ticks.at().into_iter().map(|tick| ticks.label(tick)).collect();
        format!("{} | {}\n", labels.join(" · "), ticks.title())
    }

    #[test]
    fn ticks_stand_at_round_times_and_say_their_day() {
        let start = 1_780_000_000 * SECOND;
        let after = |seconds: i64| line(Axis::Time, start, start + seconds * SECOND);
        let spans = [4, 40, 15 * 60, 5 * 3_600, 23 * 3_600, 30 * 3_600, 30 * DAY, 1_000 * DAY];
        let mut labels: String = spans.into_iter().map(after).collect();
        labels += &line(Axis::Time, i64::MIN, i64::MAX);
        labels += &line(Axis::Count("round trips"), 1, 83);
        labels += &line(Axis::Count("round trips"), 1, 2);
        expect![[r#"
            20:26:40 · 20:26:41 · 20:26:42 · 20:26:43 · 20:26:44 | 2026-05-28, UTC
            20:26:40 · 20:26:50 · 20:27:00 · 20:27:10 · 20:27:20 | 2026-05-28, UTC
            20:28 · 20:30 · 20:32 · 20:34 · 20:36 · 20:38 · 20:40 | 2026-05-28, UTC
            21:00 · 22:00 · 23:00 · 00:00 · 01:00 | 2026-05-28 to 2026-05-29, UTC
            21:00 · 00:00 · 03:00 · 06:00 · 09:00 · 12:00 · 15:00 · 18:00 | 2026-05-28 to 2026-05-29, UTC
            05-29 00:00 · 05-29 12:00 · 05-30 00:00 | 2026-05-28 to 2026-05-30, UTC
            2026-06-04 · 2026-06-11 · 2026-06-18 · 2026-06-25 | 2026-05-28 to 2026-06-27, UTC
            2026-12-18 · 2027-12-18 · 2028-12-17 | 2026-05-28 to 2029-02-21, UTC
            1677-09-21 · 1970-01-01 · 2262-04-11 | 1677-09-21 to 2262-04-11, UTC
            10 · 20 · 30 · 40 · 50 · 60 · 70 · 80 | round trips
            1 · 2 | round trips
        "#]].assert_eq(&labels);
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (-1e-12, "0"),
            (0.30000000000000004, "0.3"),
            (-40.0, "−40"),
            (1250.0, "1250"),
            (12_500.0, "12.5k"),
            (9.2e12, "9.2T"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
