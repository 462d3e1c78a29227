//! A mistake in the configuration, with its place and the rule.

use std::fmt;

use crate::origin::Lines;

/// A mistake, with its place and the rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub struct Problem {
    place: String,
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl Problem {
    /// A mistake at a place that is no layer's.
    pub fn new(place: String, text: String) -> Problem {
        Problem { place, text }
    }

    /// A broken rule whose text begins with the key.
    pub(crate) fn rule(text: String, lines: &Lines) -> Problem {
        let key = text.split([' ', '[']).next().unwrap_or_default();
        // Rules of nested values name a path below the key that is set.
        let set = lines
            .iter()
            .filter(|(known, _)| key.starts_with(known.as_str()))
            .max_by_key(|(known, _)| known.len());
        let place =
            set.map_or_else(|| "configuration".to_owned(), |(_, (_, origin))| origin.to_string());
        Problem { place, text }
    }

    pub(crate) fn from_figment(section: &str, error: &figment::Error, lines: &Lines) -> Problem {
        let mut key = section.to_owned();
        for name in error.path.iter().filter(|name| *name != section) {
            key = format!("{key}.{name}");
        }
        Problem::rule(format!("{key} is wrong: {}", error.kind), lines)
    }
}
