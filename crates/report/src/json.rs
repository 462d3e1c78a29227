//! The report for machines: one JSON object whose bytes depend on nothing but the record and the options.
//!
//! Amounts, shares, prices and ids are strings; times are integers in nanoseconds UTC, spans in nanoseconds.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::analysis::{Analysis, SCHEMA_VERSION};
use crate::model::Record;

#[derive(Serialize)]
struct Bundle<'a> {
    schema_version: u32,
    run_sha256: &'a str,
    analysis: &'a Analysis,
    record: &'a Record,
}

/// Record and analysis as one object: `schema_version`, `run_sha256`, `analysis`, `record`.
///
/// # Errors
/// None in practice: every key is text and every number finite. Passed on rather than assumed.
pub fn json(record: &Record, analysis: &Analysis) -> Result<String, serde_json::Error> {
    let run_sha256 = run_sha256(record)?;
    serde_json::to_string(&Bundle {
        schema_version: SCHEMA_VERSION,
        run_sha256: &run_sha256,
        analysis,
        record,
    })
}

/// SHA-256 over the hashes of the event logs and the whole record, in hexadecimal: two people with the
/// same value saw the same run.
///
/// # Errors
/// As [`json`].
pub fn run_sha256(record: &Record) -> Result<String, serde_json::Error> {
    let mut hash = Sha256::new();
    for run in &record.runs {
        hash.update(run.log_sha256.as_bytes());
        hash.update(b"\n");
    }
    hash.update(serde_json::to_string(record)?.as_bytes());
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(text)
}
