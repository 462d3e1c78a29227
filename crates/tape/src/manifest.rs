//! `manifest.json`: what a tape is, where it came from and what its content hashes to.

use std::collections::BTreeMap;
use std::path::Path;

use polydesk_domain::{ConditionId, Time, TokenId};
use serde::{Deserialize, Serialize};

use crate::TapeError;
use crate::checksum::Checksums;

/// Version of the Parquet schema and of the folder's layout.
pub const SCHEMA_VERSION: u32 = 1;

/// Name of the manifest inside a tape's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Name of the certificate inside a tape's folder.
pub const CERTIFICATE_FILE: &str = "certificate.json";
/// Name of the file of refused rows inside a tape's folder.
pub const REJECTS_FILE: &str = "rejects.jsonl";

/// Whether the recording has receive times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Only the venue's time is known: `at` is that time made monotone, and the replay adds a
    /// feed latency.
    #[default]
    VenueOnly,
    /// `at` is when the recorder received it.
    Received,
}

/// The description of a tape by its writer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManifestDraft {
    /// Short name, used in reports.
    pub name: String,
    /// Where the data came from.
    pub source: String,
    /// Under which licence it may be passed on.
    pub licence: String,
    /// Whether receive times are known.
    pub times: Times,
    /// Whether a generator made it up.
    pub synthetic: bool,
}

/// First and last `at` of a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeSpan {
    /// First event, nanoseconds UTC.
    pub first: Time,
    /// Last event, nanoseconds UTC.
    pub last: Time,
}

/// One market of a tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketSummary {
    /// Condition id: the name of its partitions.
    pub condition: ConditionId,
    /// Token ids, outcome 0 (YES) first.
    pub tokens: [TokenId; 2],
    /// The question.
    pub question: String,
    /// Rows in its partitions.
    pub rows: u64,
}

/// What a tape is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the schema.
    pub schema_version: u32,
    /// Short name.
    pub name: String,
    /// SHA-256 over every row in stream order, in lower-case hex: equal exactly when two tapes hold
    /// the same rows, whatever the Parquet encoding. See [`crate::content_hash`].
    pub content_sha256: String,
    /// Checksums of the files' bytes; absent on tapes made before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<Checksums>,
    /// Where the data came from.
    pub source: String,
    /// Under which licence it may be passed on.
    pub licence: String,
    /// First and last event; absent for an empty tape.
    pub span: Option<TimeSpan>,
    /// How many rows there are.
    pub rows: u64,
    /// Rows by kind, by the kind's name.
    pub kinds: BTreeMap<String, u64>,
    /// Whether receive times are known.
    pub times: Times,
    /// Whether a generator made it up.
    pub synthetic: bool,
    /// The markets in the order of their first listing.
    pub markets: Vec<MarketSummary>,
    /// The Parquet files, relative to the folder, in the order of their names.
    pub files: Vec<String>,
}

impl Manifest {
    /// Reads a tape's manifest.
    ///
    /// # Errors
    /// No manifest (no tape, or never finished), not JSON, or another schema version.
    pub fn read(dir: &Path) -> Result<Manifest, TapeError> {
        let path = dir.join(MANIFEST_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(TapeError::NotATape { path: dir.to_owned(), missing: MANIFEST_FILE });
            }
            Err(error) => return Err(TapeError::io(&path, "reading")(error)),
        };
        let value: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| TapeError::corrupt(&path, "its JSON", error))?;
        // The version is checked first: a later schema can have other fields, and the version is the cause to report.
        let version = value.get("schema_version");
        if version.and_then(serde_json::Value::as_u64) != Some(u64::from(SCHEMA_VERSION)) {
            return Err(TapeError::SchemaVersion {
                path,
                found: version.map_or_else(|| "missing".to_owned(), ToString::to_string),
                known: SCHEMA_VERSION,
            });
        }
        serde_json::from_value(value).map_err(|error| TapeError::corrupt(&path, "its JSON", error))
    }
}

/// Writes indented JSON with a line end.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), TapeError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| TapeError::corrupt(path, "writing", error))?;
    text.push('\n');
    std::fs::write(path, text).map_err(TapeError::io(path, "writing"))
}
