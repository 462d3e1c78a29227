//! Plain-text tables and pages that never exceed a width.

use crate::text::{clean, fit, fit_middle, width, wrap};

/// Gap between columns.
const GAP: usize = 2;
/// What a text column may shrink to before columns on the right are left out.
const LEAST_TEXT: usize = 24;

/// A table: the first `texts` columns are text, the others are figures aligned to the right.
pub(crate) struct Grid {
    texts: usize,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table with its headers. Columns are given most important first: the last go when space is short.
    pub(crate) fn new(texts: usize, headers: &[&str]) -> Grid {
        Grid { texts, rows: vec![headers.iter().map(|h| (*h).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The lines, none wider than `most`; the first is the header.
    pub(crate) fn lines(&self, most: usize) -> Vec<String> {
        let widths = self.widths(most);
        let mut lines = Vec::new();
        for row in &self.rows {
            let mut line = String::new();
            for (i, (cell, wide)) in row.iter().zip(&widths).enumerate() {
                if i > 0 {
                    line.push_str(&" ".repeat(GAP));
                }
                // Names of one family differ at their ends.
                let cell = if i < self.texts { fit_middle(cell, *wide) } else { fit(cell, *wide) };
                let pad = " ".repeat(wide - width(&cell));
                if i < self.texts {
                    line.push_str(&cell);
                    line.push_str(&pad);
                } else {
                    line.push_str(&pad);
                    line.push_str(&cell);
                }
            }
            lines.push(fit(line.trim_end(), most));
        }
        lines
    }

    fn widths(&self, most: usize) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (wide, cell) in widths.iter_mut().zip(row) {
                *wide = (*wide).max(width(cell));
            }
        }
        let total =
            |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        while total(&widths) > most {
            // The widest text column gives way first, then the last column goes.
            let texts = self.texts.min(widths.len());
            let widest = (0..texts).max_by_key(|i| widths[*i]);
            match widest {
                Some(i) if widths[i] > LEAST_TEXT => {
                    let over = total(&widths) - most;
                    widths[i] = (widths[i] - over.min(widths[i] - LEAST_TEXT)).max(LEAST_TEXT);
                }
                _ if widths.len() > 1 => drop(widths.pop()),
                _ => return vec![most],
            }
        }
        // What a column that went leaves free goes back to the texts.
        let mut free = most - total(&widths);
        for i in 0..self.texts.min(widths.len()) {
            let wanted =
                self.rows.iter().filter_map(|row| row.get(i)).map(|cell| width(cell)).max();
            let more = wanted.unwrap_or(0).saturating_sub(widths[i]).min(free);
            widths[i] += more;
            free -= more;
        }
        widths
    }
}

/// How a line stands out.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Plain,
    Bold,
    Faint,
    /// Blue: colour-blind safe against orange.
    Good,
    /// Orange.
    Bad,
}

/// Lines of limited width, with colour where it is wanted.
pub(crate) struct Page {
    pub(crate) width: usize,
    colour: bool,
    out: String,
}

impl Page {
    pub(crate) fn new(width: usize, colour: bool) -> Page {
        Page { width: width.max(40), colour, out: String::new() }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// One line, cut where it is too wide.
    pub(crate) fn line(&mut self, text: &str, tone: Tone) {
        let code = match tone {
            Tone::Plain => "",
            Tone::Bold => "\u{1b}[1m",
            Tone::Faint => "\u{1b}[2m",
            Tone::Good => "\u{1b}[1;38;5;75m",
            Tone::Bad => "\u{1b}[1;38;5;208m",
        };
        // Text reaches the terminal only here, so control characters are replaced here.
        let text = fit(&clean(text), self.width);
        if self.colour && !code.is_empty() {
            self.out.push_str(code);
            self.out.push_str(&text);
            self.out.push_str("\u{1b}[0m");
        } else {
            self.out.push_str(&text);
        }
        self.out.push('\n');
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.out.push('\n');
    }

    /// A section's title.
    pub(crate) fn heading(&mut self, text: &str) {
        self.gap();
        self.line(text, Tone::Bold);
    }

    /// A label and its text, wrapped under itself.
    pub(crate) fn field(&mut self, label: &str, text: &str) {
        let indent = 14;
        for (i, line) in wrap(text, self.width - indent).iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            self.line(&format!("{label:<indent$}{line}"), Tone::Plain);
        }
    }

    /// A paragraph.
    pub(crate) fn prose(&mut self, text: &str, tone: Tone) {
        for line in wrap(text, self.width) {
            self.line(&line, tone);
        }
    }

    /// A table with a faint header; nothing when it has no rows.
    pub(crate) fn table(&mut self, grid: &Grid) {
        if grid.is_empty() {
            return;
        }
        for (i, line) in grid.lines(self.width).iter().enumerate() {
            self.line(line, if i == 0 { Tone::Faint } else { Tone::Plain });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn grid() -> Grid {
        let mut grid = Grid::new(1, &["market", "n", "net"]);
        grid.row(vec!["Will a very long question ever end?".into(), "12".into(), "-3.40".into()]);
        grid.row(vec!["short".into(), "3".into(), "+1,200.00".into()]);
        grid
    }

    #[test]
    fn text_gives_way_before_figures() {
        expect![[r#"
            market                          n        net
            Will a very lo…tion ever end?  12      -3.40
            short                           3  +1,200.00"#]]
        .assert_eq(&grid().lines(44).join("\n"));
    }

    #[test]
    fn no_width_is_exceeded() {
        for most in 1..80 {
            for line in grid().lines(most) {
                assert!(width(&line) <= most, "{most}: {line}");
            }
        }
    }
}
