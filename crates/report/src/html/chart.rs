//! Charts as inline SVG: lines over time, bars, a waterfall. Colours come from the page's style.

use polydesk_domain::Time;

use super::markup::{escape, minus};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// One line of a chart: its points in order of x, and the class that colours it.
pub(crate) struct Line {
    pub class: &'static str,
    pub area: Option<&'static str>,
    pub points: Vec<(f64, f64)>,
}

/// How x values are written.
#[derive(Clone, Copy)]
pub(crate) enum Axis {
    /// Nanoseconds UTC.
    Time,
    /// Whole numbers.
    Count,
    /// Numbers with a unit behind them.
    Number(&'static str),
}

/// At most about `2 × buckets` points that keep the lowest and highest value of every stretch of x.
pub(crate) fn thin(points: &[(f64, f64)], buckets: usize) -> Vec<(f64, f64)> {
    if points.len() <= 2 * buckets.max(1) {
        return points.to_vec();
    }
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let step = (last - first) / buckets.max(1) as f64;
    let mut out = vec![points[0]];
    let mut start = 0;
    while start < points.len() {
        let bucket = |x: f64| if step > 0.0 { ((x - first) / step) as usize } else { 0 };
        let mut end = start + 1;
        let (mut low, mut high) = (start, start);
        while end < points.len() && bucket(points[end].0) == bucket(points[start].0) {
            if points[end].1 < points[low].1 {
                low = end;
            }
            if points[end].1 > points[high].1 {
                high = end;
            }
            end += 1;
        }
        out.push(points[low.min(high)]);
        if low != high {
            out.push(points[low.max(high)]);
        }
        start = end;
    }
    out.push(points[points.len() - 1]);
    out.dedup();
    out
}

/// A scale from values to pixels.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Scale {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low < 1e-9 {
            (low, high) = (low - 0.5, high + 0.5);
        }
        Scale { low, high, from, to }
    }

    fn widened(mut self) -> Scale {
        let margin = (self.high - self.low) * 0.05;
        (self.low, self.high) = (self.low - margin, self.high + margin);
        self
    }

    fn at(&self, value: f64) -> f64 {
        // Numbers too large to be told apart, as one point, stand in the middle.
        let part =
            if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.5 };
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Three to six round values inside the scale.
    fn ticks(&self) -> Vec<f64> {
        let span = self.high - self.low;
        if span <= 0.0 {
            return vec![self.low];
        }
        let rough = span / 4.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= rough)
            .unwrap_or(power * 10.0);
        let mut ticks = Vec::new();
        let mut tick = (self.low / step).ceil() * step;
        while tick <= self.high && ticks.len() < 12 {
            ticks.push(tick);
            tick += step;
        }
        ticks
    }
}

fn number(value: f64) -> String {
    let text = match value.abs() {
        size if size < 1e-9 => "0".to_owned(),
        size if size >= 1e6 => format!("{:.1}M", value / 1e6),
        size if size >= 1e4 => format!("{:.0}k", value / 1e3),
        size if size >= 10.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    minus(&text)
}

fn x_label(value: f64, axis: Axis, long: bool) -> String {
    match axis {
        Axis::Count => crate::text::thousands(value.round() as i128),
        Axis::Number(unit) => format!("{}{unit}", number(value)),
        Axis::Time => {
            let text = Time::from_nanos(value as i64).to_string();
            // A day alone says nothing in a run of minutes, a time alone nothing in a run of weeks.
            let (from, to) = if long { (5, 16) } else { (11, 19) };
            text.get(from..to).unwrap_or(&text).replace('T', " ")
        }
    }
}

fn open(height: f64, label: &str) -> String {
    let label = escape(label);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=img aria-label=\"{label}\"><title>{label}</title>"
    )
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor={anchor}>{}</text>", escape(words))
}

fn y_axis(scale: &Scale, unit: &str) -> String {
    let mut out = String::new();
    for tick in scale.ticks() {
        let y = scale.at(tick);
        let class = if tick.abs() < 1e-9 { "zero" } else { "axis" };
        let right = WIDTH - RIGHT;
        out.push_str(&format!("<path class={class} d=\"M{LEFT} {y:.1}H{right}\"/>"));
        out.push_str(&text(LEFT - 6.0, y + 4.0, "end", &format!("{}{unit}", number(tick))));
    }
    out
}

/// Lines over x. Empty lines give an empty string.
pub(crate) fn lines(label: &str, lines: &[Line], axis: Axis, unit: &str, height: f64) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    if all().next().is_none() {
        return String::new();
    }
    let x = Scale::over(all().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let areas = lines.iter().any(|line| line.area.is_some());
    let base = areas.then_some(0.0);
    let y = Scale::over(all().map(|point| point.1).chain(base), height - BOTTOM, TOP).widened();
    let mut out = open(height, label);
    out.push_str(&y_axis(&y, unit));
    let long = x.high - x.low > 1.7e14;
    for (part, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let value = x.low + (x.high - x.low) * part;
        out.push_str(&text(x.at(value), height - 6.0, anchor, &x_label(value, axis, long)));
    }
    for line in lines {
        let Some(first) = line.points.first() else { continue };
        let mut path = format!("M{:.1} {:.1}", x.at(first.0), y.at(first.1));
        for (px, py) in &line.points[1..] {
            path.push_str(&format!("L{:.1} {:.1}", x.at(*px), y.at(*py)));
        }
        if let (Some(area), Some(last)) = (line.area, line.points.last()) {
            let zero = y.at(0.0);
            out.push_str(&format!(
                "<path class={area} d=\"{path}L{:.1} {zero:.1}L{:.1} {zero:.1}Z\"/>",
                x.at(last.0),
                x.at(first.0)
            ));
        }
        out.push_str(&format!("<path class={} d=\"{path}\"/>", line.class));
    }
    out.push_str("</svg>\n");
    out
}

/// Horizontal bars with a name on the left and the figure behind them.
pub(crate) fn bars(label: &str, rows: &[(String, f64, String)]) -> String {
    spans(label, &rows.iter().map(|(n, v, t)| (n.clone(), 0.0, *v, t.clone())).collect::<Vec<_>>())
}

/// A waterfall: every bar starts where the one before it ended; the last row is the sum.
pub(crate) fn waterfall(
    label: &str,
    steps: &[(String, f64, String)],
    net: (f64, String),
) -> String {
    let mut at = 0.0;
    let mut rows = Vec::new();
    for (name, amount, shown) in steps {
        rows.push((name.clone(), at, at + amount, shown.clone()));
        at += amount;
    }
    rows.push(("= net".to_owned(), 0.0, net.0, net.1));
    spans(label, &rows)
}

fn spans(label: &str, rows: &[(String, f64, f64, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    const ROW: f64 = 30.0;
    const NAMES: f64 = 240.0;
    const FIGURES: f64 = 110.0;
    let height = ROW * rows.len() as f64 + 8.0;
    let values = rows.iter().flat_map(|(_, from, to, _)| [*from, *to]).chain([0.0]);
    let x = Scale::over(values, NAMES, WIDTH - FIGURES);
    let mut out = open(height, label);
    let zero = x.at(0.0);
    out.push_str(&format!("<path class=zero d=\"M{zero:.1} 0V{height:.1}\"/>"));
    for (i, (name, from, to, shown)) in rows.iter().enumerate() {
        let top = ROW * i as f64 + 4.0;
        let (left, right) = (x.at(from.min(*to)), x.at(from.max(*to)));
        let class = if to >= from { "bp" } else { "bn" };
        out.push_str(&text(NAMES - 8.0, top + 17.0, "end", name));
        out.push_str(&format!(
            "<rect class={class} x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            top + 3.0,
            (right - left).max(1.0),
            ROW - 8.0
        ));
        out.push_str(&text(WIDTH - 4.0, top + 17.0, "end", shown));
    }
    out.push_str("</svg>\n");
    out
}

/// Columns over equal bins from `from` to `to`; bins below zero have the other colour.
pub(crate) fn histogram(
    label: &str,
    from: f64,
    to: f64,
    counts: &[u64],
    unit: &'static str,
) -> String {
    let most = counts.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let height = 190.0;
    let x = Scale {
        low: from,
        high: if to > from { to } else { from + 1.0 },
        from: LEFT,
        to: WIDTH - RIGHT,
    };
    let y = Scale { low: 0.0, high: most as f64, from: height - BOTTOM, to: TOP };
    let mut out = open(height, label);
    let step = (x.high - x.low) / counts.len() as f64;
    for (i, count) in counts.iter().enumerate() {
        let (left, right) = (x.low + step * i as f64, x.low + step * (i + 1) as f64);
        let class = if (left + right) / 2.0 < 0.0 { "bn" } else { "bp" };
        let top = y.at(*count as f64);
        out.push_str(&format!(
            "<rect class={class} x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            x.at(left) + 0.5,
            (x.at(right) - x.at(left) - 1.0).max(0.5),
            height - BOTTOM - top
        ));
    }
    if x.low < 0.0 && x.high > 0.0 {
        let zero = x.at(0.0);
        out.push_str(&format!("<path class=zero d=\"M{zero:.1} {TOP}V{:.1}\"/>", height - BOTTOM));
        out.push_str(&text(zero, height - 6.0, "middle", "0"));
    }
    for (value, anchor) in [(x.low, "start"), (x.high, "end")] {
        out.push_str(&text(
            x.at(value),
            height - 6.0,
            anchor,
            &x_label(value, Axis::Number(unit), false),
        ));
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_extremes_and_ends() {
        let mut points: Vec<(f64, f64)> =
            (0..100_000).map(|i| (f64::from(i), f64::from(i % 13))).collect();
        points[77_777].1 = -500.0;
        points[12_345].1 = 900.0;
        let thin = thin(&points, 300);
        assert!(thin.len() <= 602, "{}", thin.len());
        let ys: Vec<f64> = thin.iter().map(|point| point.1).collect();
        assert!(ys.contains(&-500.0) && ys.contains(&900.0));
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
        assert!(thin.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn odd_values_never_become_nan_in_a_path() {
        for points in [
            vec![],
            vec![(0.0, 5.0)],
            vec![(3.0, 5.0), (3.0, 5.0)],
            vec![(0.0, -1e18), (1e18, 1e18)],
            vec![(9.2e18, 3.0), (9.2e18, 9.2e12)],
        ] {
            let line = Line { class: "l1", area: Some("a1"), points: points.clone() };
            let svg = lines("x", &[line], Axis::Time, "", 200.0);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert_eq!(svg.is_empty(), points.is_empty());
        }
        assert_eq!(histogram("x", 0.0, 0.0, &[], ""), "");
        assert!(!histogram("x", 1.0, 1.0, &[3], "").contains("NaN"));
    }

    #[test]
    fn ticks_are_round_and_few() {
        for (low, high) in [(0.0, 1.0), (-47.0, 3.0), (900.0, 1003.0), (0.0, 0.03)] {
            let ticks = Scale { low, high, from: 0.0, to: 1.0 }.ticks();
            assert!((3..=6).contains(&ticks.len()), "{low} {high}: {ticks:?}");
        }
    }
}
