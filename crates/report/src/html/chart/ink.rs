//! The styles of a chart's marks: drawn here in marker colours, which the page's style sheet replaces.
//!
//! plotters writes fixed colours, but a page is read by day, by night and on paper. So every style has a
//! marker colour, and [`finish`] turns the marker's attribute into the class of `style.css` that has the
//! real one: `stroke="#FAFB03"` becomes `class=l1`.

use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::super::markup::escape;

/// One style. Lines and areas of a colour are two styles, as are bars of gains and of losses.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Ink {
    /// Words and figures.
    Words,
    /// Gridlines and axes.
    Grid,
    /// The line of zero.
    Zero,
    /// Blue line.
    Blue,
    /// Orange line.
    Orange,
    /// Dashed line.
    Dashed,
    /// Line in the colour of the words.
    Plain,
    /// Under a blue line.
    BlueArea,
    /// Under an orange line.
    OrangeArea,
    /// Bar of a gain, and a point that has no line.
    Gain,
    /// Bar of a loss.
    Loss,
}

impl Ink {
    const ALL: [Ink; 11] = [
        Ink::Words,
        Ink::Grid,
        Ink::Zero,
        Ink::Blue,
        Ink::Orange,
        Ink::Dashed,
        Ink::Plain,
        Ink::BlueArea,
        Ink::OrangeArea,
        Ink::Gain,
        Ink::Loss,
    ];

    fn class(self) -> &'static str {
        match self {
            Ink::Words => "w",
            Ink::Grid => "axis",
            Ink::Zero => "zero",
            Ink::Blue => "l1",
            Ink::Orange => "l2",
            Ink::Dashed => "l3",
            Ink::Plain => "l4",
            Ink::BlueArea => "a1",
            Ink::OrangeArea => "a2",
            Ink::Gain => "bp",
            Ink::Loss => "bn",
        }
    }

    fn marker(self) -> RGBColor {
        RGBColor(0xfa, 0xfb, self as u8)
    }

    pub(super) fn line(self) -> ShapeStyle {
        self.marker().into()
    }

    pub(super) fn fill(self) -> ShapeStyle {
        self.marker().filled()
    }
}

/// Words as plotters must know them. It needs no font: without its `ttf` feature it takes a letter for
/// 0.7 em, and the browser sets the text around the anchor.
pub(super) fn words() -> TextStyle<'static> {
    // The backend divides by 1.24; `style.css` names the size that comes out.
    ("sans-serif", 24.0 * 1.24).into_font().color(&Ink::Words.marker())
}

/// The drawing as it stands in the page: scaled to its width, with a label for screen readers, painted
/// by its style sheet.
pub(super) fn finish(drawn: &str, (width, height): (u32, u32), label: &str) -> String {
    let (_, body) = drawn.split_once('>').unwrap_or_default();
    let mut body = body.replace(" opacity=\"1\"", "").replace(" font-family=\"sans-serif\"", "");
    for ink in Ink::ALL {
        let RGBColor(red, green, blue) = ink.marker();
        for attribute in ["stroke", "fill"] {
            // Text from data cannot be mistaken for one: its quotes are escaped.
            let marker = format!("{attribute}=\"#{red:02X}{green:02X}{blue:02X}\"");
            body = body.replace(&marker, &format!("class={}", ink.class()));
        }
    }
    let label = escape(label);
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=img aria-label=\"{label}\"><title>{label}</title>{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_is_painted_by_the_page_in_a_colour_that_follows_its_scheme() {
        let style = include_str!("../style.css");
        for ink in Ink::ALL {
            let rule = style
                .split_once(&format!("svg .{}{{", ink.class()))
                .and_then(|(_, rest)| rest.split_once('}'));
            assert!(rule.is_some_and(|(rule, _)| rule.contains("var(--")), "{ink:?}: {rule:?}");
        }
    }
}
