//! Properties of every chart, for any data.

use super::*;

/// What holds for whatever is drawn.
fn check(case: &str, draw: &dyn Fn() -> String, seen: bool) -> String {
    let svg = draw();
    assert_eq!(svg, draw(), "{case}: other bytes the second time");
    assert_eq!(!svg.is_empty(), seen, "{case}: {svg}");
    for bad in ["NaN", "inf", "#FAFB", "#fafb", "http", "opacity=", "<p>"] {
        assert!(!svg.contains(bad), "{case}: {bad} in {svg}");
    }
    if seen {
        assert!(svg.starts_with("<svg viewBox=\"0 0 1440 "), "{case}: {svg}");
        assert!(svg.contains("role=img aria-label=\"what it shows\"><title>what it shows</title>"));
        assert!(svg.contains("class=w"), "{case}: no words in {svg}");
        // Nothing has a colour of its own: that would be lost on one of the two backgrounds.
        for attribute in ["fill=\"", "stroke=\""] {
            for (_, rest) in svg.match_indices(attribute).map(|(at, _)| svg.split_at(at)) {
                let value = rest.split('"').nth(1);
                assert_eq!(value, Some("none"), "{case}: {attribute}{value:?} in {svg}");
            }
        }
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }
    svg
}

#[test]
fn lines_take_any_points() {
    type Points = &'static [(i64, f64)];
    let cases: [(&str, Points, bool); 10] = [
        ("empty", &[], false),
        ("only what is no number", &[(0, f64::NAN), (1, f64::INFINITY)], false),
        ("one point", &[(1_780_000_000_000_000_000, 5.0)], true),
        ("one point and what is no number", &[(0, f64::NAN), (1, 5.0)], true),
        ("two points at one place", &[(3, 5.0), (3, 5.0)], true),
        ("all equal", &[(0, 7.0), (1_000_000_000, 7.0), (2_000_000_000, 7.0)], true),
        ("all zero", &[(0, 0.0), (60_000_000_000, 0.0)], true),
        ("negative", &[(0, -3.0), (60_000_000_000, -0.000_001)], true),
        ("the longest and highest", &[(i64::MIN, f64::MIN), (i64::MAX, f64::MAX)], true),
        ("large and almost equal", &[(i64::MAX - 1, 9.2e12), (i64::MAX, 9.2e12 + 0.001)], true),
    ];
    for (case, points, seen) in cases {
        for axis in [Axis::Time, Axis::Count("round trips")] {
            for area in [None, Some(Ink::BlueArea)] {
                let draw = || {
                    let line = |ink| Line { name: "one", ink, area, points: points.to_vec() };
                    lines("what it shows", &[line(Ink::Blue), line(Ink::Dashed)], axis, "pUSD", 300)
                };
                check(case, &draw, seen);
            }
        }
    }
}

#[test]
fn bars_take_any_rows() {
    let cases: [(&str, &[f64], bool); 7] = [
        ("empty", &[], false),
        ("only what is no number", &[f64::NAN, f64::NEG_INFINITY], false),
        ("one", &[4.5], true),
        ("all zero", &[0.0, 0.0], true),
        ("all equal", &[-2.0, -2.0], true),
        ("tiny beside large", &[1e-9, -1e12], true),
        ("the largest", &[f64::MAX, f64::MIN], true),
    ];
    for (case, values, seen) in cases {
        let rows: Vec<_> =
            values.iter().map(|value| ("name".to_owned(), *value, "figure".to_owned())).collect();
        check(case, &|| bars("what it shows", &rows), seen);
        check(case, &|| waterfall("what it shows", &rows, (1.0, "+1.00".to_owned())), true);
    }
}

#[test]
fn histograms_take_any_bins() {
    let cases: [(&str, f64, f64, &[u64], bool); 7] = [
        ("empty", 0.0, 0.0, &[], false),
        ("nothing counted", 0.0, 1.0, &[0, 0], false),
        ("no numbers", f64::NAN, 1.0, &[3], false),
        ("one bin without width", 1.0, 1.0, &[3], true),
        ("turned round", 1.0, -1.0, &[3, 4], true),
        ("both sides of zero", -2.0, 1.0, &[1, 5, 2], true),
        ("the largest", f64::MIN, f64::MAX, &[u64::MAX, 1], true),
    ];
    for (case, from, to, counts, seen) in cases {
        check(case, &|| histogram("what it shows", from, to, counts, ("pUSD", "n")), seen);
    }
}

#[test]
fn text_from_data_stays_text() {
    let name = "</text><script>\"#FAFB03\" fill=\"#FAFB03\"\u{202e}".to_owned();
    let rows = [(name.clone(), 1.0, name)];
    let svg = bars("\"><script>", &rows);
    assert!(!svg.contains("<script") && !svg.contains('\u{202e}'), "{svg}");
    assert!(svg.contains("fill=&quot;#FAFB03&quot;"), "{svg}");
}

#[test]
fn what_is_drawn_carries_its_units_names_and_looks() {
    let line =
        |name, ink| Line { name, ink, area: None, points: vec![(0, 1.0), (9_000_000_000, -1.0)] };
    let both = [line("held", Ink::Blue), line("finished", Ink::Dashed)];
    let svg = lines("label", &both, Axis::Time, "pUSD", 300);
    let words = ["pUSD", "held", "finished", "1970-01-01, UTC", "00:00:04", "−0.5"];
    for part in words.into_iter().chain(["class=l1", "class=l3", "class=axis", "class=zero"]) {
        assert!(svg.contains(part), "{part} is not in {svg}");
    }
}
