//! Why something was signalled, skipped or denied: a code to count by, and figures formatted only when
//! shown.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::Code;

/// A named number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is, with its unit (`spread_units`, `edge_micros`).
    pub name: Code,
    /// The number.
    pub value: i64,
}

/// A code with up to four figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable; counted by it.
    pub code: Code,
    #[serde(default, skip_serializing_if = "no_figures", with = "given")]
    figures: [Option<Figure>; 4],
}

fn no_figures(figures: &[Option<Figure>; 4]) -> bool {
    figures.iter().all(Option::is_none)
}

/// Figures as a list of those given.
mod given {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Figure;

    pub(super) fn serialize<S: Serializer>(
        figures: &[Option<Figure>; 4],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(figures.iter().flatten())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[Option<Figure>; 4], D::Error> {
        let list = Vec::<Figure>::deserialize(from)?;
        if list.len() > 4 {
            return Err(D::Error::custom(format!("{} figures; at most 4 fit", list.len())));
        }
        let mut figures = [None; 4];
        for (place, figure) in figures.iter_mut().zip(list) {
            *place = Some(figure);
        }
        Ok(figures)
    }
}

impl Reason {
    /// A code alone.
    pub const fn new(code: &'static str) -> Reason {
        Reason { code: Code::literal(code), figures: [None; 4] }
    }

    /// A code that was made elsewhere, alone.
    pub const fn of(code: Code) -> Reason {
        Reason { code, figures: [None; 4] }
    }

    /// Adds a figure; a fifth is dropped.
    pub const fn with(mut self, name: &'static str, value: i64) -> Reason {
        let mut i = 0;
        while i < self.figures.len() {
            if self.figures[i].is_none() {
                self.figures[i] = Some(Figure { name: Code::literal(name), value });
                return self;
            }
            i += 1;
        }
        self
    }

    /// The figures given.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().flatten()
    }

    /// The value of a figure.
    pub fn figure(&self, name: &str) -> Option<i64> {
        self.figures().find(|figure| figure.name == *name).map(|figure| figure.value)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        self.figures().try_for_each(|figure| write!(f, " {}={}", figure.name, figure.value))
    }
}
