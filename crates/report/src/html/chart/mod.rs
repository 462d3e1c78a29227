//! Charts as inline SVG: the report's figures handed to plotters.
//!
//! What is ours is the choice of what to show and the guard around it: nothing that is not a number goes
//! in, so none comes out. Whole pixels are plotters' unit, so a chart is drawn twice as wide as it is shown.

mod axis;
mod ink;
mod thin;

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::combinators::BindKeyPoints;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::markup::paragraph;
use crate::text::{clean, thousands};
pub(crate) use axis::Axis;
use axis::{Ticks, number};
pub(crate) use ink::Ink;
use ink::{finish, words};
pub(crate) use thin::thin;

const WIDTH: u32 = 1440;
const LEFT: u32 = 150;
const BOTTOM: u32 = 96;
const MARGIN: u32 = 56;
const ABOVE: u32 = 12;
const LEGEND: u32 = 44;
const NAMES: u32 = 480;
const FIGURES: u32 = 220;
const ROW: u32 = 60;

type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// One line of a chart: its points in order of x, its style and that of the area between it and zero.
pub(crate) struct Line {
    pub name: &'static str,
    pub ink: Ink,
    pub area: Option<Ink>,
    pub points: Vec<(i64, f64)>,
}

fn svg(label: &str, height: u32, draw: impl FnOnce(&Root<'_>) -> Drawn) -> String {
    let mut drawn = String::new();
    let root = SVGBackend::with_string(&mut drawn, (WIDTH, height)).into_drawing_area();
    let done = draw(&root).and_then(|()| Ok(root.present()?));
    drop(root);
    match done {
        Ok(()) => finish(&drawn, (WIDTH, height), label),
        Err(error) => paragraph(&format!("The chart \"{label}\" could not be drawn: {error}.")),
    }
}

/// A figure that can be drawn: finite, and small enough that sums and differences are.
///
/// Nothing may lie outside the range it is drawn over: plotters counts pixels in `i32` and panics.
fn drawable(value: f64) -> Option<f64> {
    value.is_finite().then(|| value.clamp(-1e18, 1e18))
}

/// The range of drawable values; never empty.
fn over(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
    }
    if low > high {
        return 0.0..1.0;
    }
    // Values that differ in the last digits only would give ticks that look the same.
    let least = low.abs().max(high.abs()) * 1e-9;
    let room = if high - low > least.max(1e-9) { 0.0 } else { least.max(0.5) };
    low - room..high + room
}

/// As [`over`], for whole numbers and times; `least` is the smallest width.
fn over_whole(values: impl Iterator<Item = i64> + Clone, least: i64) -> Range<i64> {
    let (low, high) = (values.clone().min().unwrap_or(0), values.max().unwrap_or(0));
    let room = (least - high.saturating_sub(low)).max(0) / 2;
    low.saturating_sub(room)..high.saturating_add(room).max(low.saturating_add(1))
}

/// Lines over x, with zero in sight if an area reaches to it. Lines without points give an empty string.
pub(crate) fn lines(label: &str, lines: &[Line], axis: Axis, unit: &str, height: u32) -> String {
    let points = |line: &Line| -> Vec<(i64, f64)> {
        line.points.iter().filter_map(|(x, y)| Some((*x, drawable(*y)?))).collect()
    };
    let all: Vec<(i64, f64)> = lines.iter().flat_map(points).collect();
    if all.is_empty() {
        return String::new();
    }
    let least = match axis {
        Axis::Time => 4_000_000_000,
        Axis::Count(_) => 1,
    };
    let x = over_whole(all.iter().map(|point| point.0), least);
    let base = lines.iter().any(|line| line.area.is_some()).then_some(0.0);
    let y = over(all.iter().map(|point| point.1).chain(base));
    let room = (y.end - y.start) * 0.05;
    let y = y.start - room..y.end + room;
    let ticks = Ticks::new(axis, &x);
    svg(label, height, |root| {
        let named = if lines.len() > 1 { LEGEND } else { 0 };
        let (top, plot) = root.split_vertically(named);
        if named > 0 {
            legend(&top, lines)?;
        }
        let mut chart = ChartBuilder::on(&plot)
            .margin_top(ABOVE)
            .margin_right(MARGIN)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
            .build_cartesian_2d(x.clone().with_key_points(ticks.at()), y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(Ink::Grid.line())
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Grid.line())
            .label_style(words())
            .y_labels(5)
            .x_label_formatter(&|tick| ticks.label(*tick))
            .y_label_formatter(&|value| number(*value))
            .x_desc(ticks.title())
            .y_desc(unit)
            .draw()?;
        if y.contains(&0.0) {
            let zero = PathElement::new([(x.start, 0.0), (x.end, 0.0)], Ink::Zero.line());
            chart.draw_series([zero])?;
        }
        for line in lines {
            let points = points(line);
            if let [only] = points[..] {
                // A line of one point would not be seen.
                chart.draw_series([Circle::new(only, 6, Ink::Gain.fill())])?;
                continue;
            }
            if let Some(area) = line.area {
                chart.draw_series(AreaSeries::new(points.iter().copied(), 0.0, area.fill()))?;
            }
            chart.draw_series(LineSeries::new(points, line.ink.line()))?;
        }
        Ok(())
    })
}

/// Names above the plot, where no curve can hide them.
fn legend(top: &Root<'_>, lines: &[Line]) -> Drawn {
    let share = (WIDTH - LEFT - MARGIN) as usize / lines.len();
    let middle = LEGEND as i32 / 2;
    for (i, line) in lines.iter().enumerate() {
        let left = (LEFT as usize + i * share) as i32;
        top.draw(&PathElement::new([(left, middle), (left + 60, middle)], line.ink.line()))?;
        let style = words().pos(Pos::new(HPos::Left, VPos::Center));
        top.draw(&Text::new(clean(line.name), (left + 76, middle), style))?;
    }
    Ok(())
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

/// Rows of (name, from, to, figure). A row is two units high, so that its middle is a whole number.
fn spans(label: &str, rows: &[(String, f64, f64, String)]) -> String {
    let rows: Vec<(&str, f64, f64, &str)> = rows
        .iter()
        .filter_map(|(name, from, to, figure)| {
            Some((name.as_str(), drawable(*from)?, drawable(*to)?, figure.as_str()))
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let x = over(rows.iter().flat_map(|(_, from, to, _)| [*from, *to]).chain([0.0]));
    let middle = |row: usize| 2 * row as i64 + 1;
    let end = 2 * rows.len() as i64;
    // A bar of almost nothing is still a line.
    let least = (x.end - x.start) / 400.0;
    svg(label, ROW * rows.len() as u32 + 16, |root| {
        let mut chart = ChartBuilder::on(root)
            .margin_top(8)
            .margin_bottom(8)
            .margin_right(FIGURES)
            .set_label_area_size(LabelAreaPosition::Left, NAMES)
            .build_cartesian_2d(
                x.clone(),
                (end..0).with_key_points((0..rows.len()).map(middle).collect()),
            )?;
        chart
            .configure_mesh()
            .disable_mesh()
            .axis_style(TRANSPARENT)
            .label_style(words())
            .y_label_formatter(&|at| {
                rows.get(*at as usize / 2).map_or(String::new(), |row| clean(row.0))
            })
            .draw()?;
        for (row, (_, from, to, figure)) in rows.iter().enumerate() {
            let ink = if to >= from { Ink::Gain } else { Ink::Loss };
            let to = if (to - from).abs() < least { from + least.copysign(to - from) } else { *to };
            let (top, bottom) = (2 * row as i64, 2 * row as i64 + 2);
            let mut bar = Rectangle::new([(*from, top), (to, bottom)], ink.fill());
            bar.set_margin(9, 9, 0, 0);
            chart.draw_series([bar])?;
            let (_, y) = chart.backend_coord(&(0.0, middle(row)));
            let style = words().pos(Pos::new(HPos::Right, VPos::Center));
            root.draw(&Text::new(clean(figure), (WIDTH as i32 - 8, y), style))?;
        }
        chart.draw_series([PathElement::new([(0.0, 0), (0.0, end)], Ink::Zero.line())])?;
        Ok(())
    })
}

/// Columns over equal bins from `from` to `to`; bins below zero have the other colour.
pub(crate) fn histogram(
    label: &str,
    from: f64,
    to: f64,
    counts: &[u64],
    (unit, what): (&str, &str),
) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).min(1 << 50) as i64;
    let (Some(from), Some(to), 1..) = (drawable(from), drawable(to), most) else {
        return String::new();
    };
    let x = over([from, to].into_iter());
    let step = (x.end - x.start) / counts.len() as f64;
    svg(label, 420, |root| {
        let mut chart = ChartBuilder::on(root)
            .margin_top(ABOVE)
            .margin_right(MARGIN)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
            .build_cartesian_2d(x.clone(), 0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(Ink::Grid.line())
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Grid.line())
            .label_style(words())
            .x_labels(9)
            .y_labels(5)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|count| thousands(i128::from(*count)))
            .x_desc(unit)
            .y_desc(what)
            .draw()?;
        for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (left, right) = (x.start + step * i as f64, x.start + step * (i + 1) as f64);
            let ink = if (left + right) / 2.0 < 0.0 { Ink::Loss } else { Ink::Gain };
            let mut column =
                Rectangle::new([(left, 0), (right, (*count).min(1 << 50) as i64)], ink.fill());
            column.set_margin(0, 0, 1, 1);
            chart.draw_series([column])?;
        }
        if x.contains(&0.0) {
            let zero = PathElement::new([(0.0, 0), (0.0, most)], Ink::Zero.line());
            chart.draw_series([zero])?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests;
