//! Errors of recorded history; each names place, rule and fix.

use std::path::{Path, PathBuf};

use polydesk_domain::{MarketError, TokenId};

/// Why a tape or a recording could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// A file or folder could not be read or written.
    #[error("{}: {action} failed", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation that failed, as in `read`.
        action: &'static str,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The folder is no tape, or its writing did not finish.
    #[error(
        "{}: no {missing} here; name a finished tape's folder, or import the recording again",
        path.display()
    )]
    NotATape {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        missing: &'static str,
    },
    /// Written by a program that knows another schema.
    #[error(
        "{}: schema version {found}, this program reads {known}; import the recording again with this program",
        path.display()
    )]
    SchemaVersion {
        /// The file that states it.
        path: PathBuf,
        /// The stated value.
        found: String,
        /// What is understood here.
        known: u32,
    },
    /// A file is damaged, truncated, or of another format than its name.
    #[error("{} at {place}: {problem}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it: a byte offset, line, row or row group.
        place: String,
        /// What was found and what would be right.
        problem: String,
    },
    /// An event that cannot be put on a tape at this point.
    #[error("event {seq} refused: {problem}")]
    Event {
        /// Its position in the stream.
        seq: u64,
        /// Which rule it breaks.
        problem: String,
    },
    /// Two descriptions of markets contradict each other.
    #[error("{place}")]
    Market {
        /// Which file or event.
        place: String,
        /// What is wrong with the listing.
        #[source]
        source: Box<MarketError>,
    },
    /// A setting or an overlay has an impossible value.
    #[error("{}: {key} is {value}; {rule}", path.display())]
    Setting {
        /// The file that states it.
        path: PathBuf,
        /// The key, as a path inside the file.
        key: String,
        /// The stated value.
        value: String,
        /// The allowed values.
        rule: String,
    },
    /// A recording contains markets without facts.
    #[error(
        "{} token(s) of the recording have no metadata, for example {}; write an overlay naming \
         condition, tokens, tick, min_size and fee of their markets (a template can be made with \
         `write_overlay`)",
        tokens.len(),
        tokens.first().map_or_else(String::new, ToString::to_string)
    )]
    NoMetadata {
        /// The tokens, in the order of their first row.
        tokens: Vec<TokenId>,
    },
    /// Nothing in the recording could be imported.
    #[error("{}: nothing to import: {problem}", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// The broken rule, with the value.
        problem: String,
    },
}

impl TapeError {
    pub(crate) fn io(
        path: &Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> TapeError + use<> {
        let path = path.to_owned();
        move |source| TapeError::Io { path, action, source }
    }

    pub(crate) fn corrupt(
        path: &Path,
        place: impl Into<String>,
        problem: impl ToString,
    ) -> TapeError {
        TapeError::Corrupt {
            path: path.to_owned(),
            place: place.into(),
            problem: problem.to_string(),
        }
    }

    pub(crate) fn setting(
        path: &Path,
        key: impl Into<String>,
        value: impl ToString,
        rule: impl Into<String>,
    ) -> TapeError {
        TapeError::Setting {
            path: path.to_owned(),
            key: key.into(),
            value: value.to_string(),
            rule: rule.into(),
        }
    }
}
