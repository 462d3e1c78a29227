//! Why something was said or skipped: a code to count by, and figures formatted only when shown.

use core::fmt;

/// A named number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// What it is, with its unit (`spread_units`, `edge_micros`).
    pub name: &'static str,
    /// The number.
    pub value: i64,
}

/// A code with up to four figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// Stable; counted by it.
    pub code: &'static str,
    figures: [Figure; 4],
}

impl Reason {
    /// A code alone.
    pub const fn new(code: &'static str) -> Reason {
        Reason { code, figures: [Figure { name: "", value: 0 }; 4] }
    }

    /// Adds a figure; a fifth is dropped.
    pub const fn with(mut self, name: &'static str, value: i64) -> Reason {
        let mut i = 0;
        while i < self.figures.len() {
            if self.figures[i].name.is_empty() {
                self.figures[i] = Figure { name, value };
                return self;
            }
            i += 1;
        }
        self
    }

    /// The figures given.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(|figure| !figure.name.is_empty())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)?;
        self.figures().try_for_each(|figure| write!(f, " {}={}", figure.name, figure.value))
    }
}
