//! The report for machines: one JSON object whose bytes depend on nothing but the report and the options.
//!
//! Amounts, shares, prices and the venue's ids are strings; times are integers in nanoseconds UTC, spans in
//! nanoseconds. `docs/report.md` describes it for readers.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::analysis::{Analysis, SCHEMA_VERSION};
use crate::model::Report;

#[derive(Serialize)]
struct Bundle<'a> {
    schema_version: u32,
    run_sha256: &'a str,
    analysis: &'a Analysis,
    report: &'a Report,
}

/// Report and analysis as one object: `schema_version`, `run_sha256`, `analysis`, `report`.
///
/// # Errors
/// None in practice: every key is text and every number finite. Passed on rather than assumed.
pub fn json(report: &Report, analysis: &Analysis) -> Result<String, serde_json::Error> {
    let run_sha256 = run_sha256(report)?;
    serde_json::to_string(&Bundle {
        schema_version: SCHEMA_VERSION,
        run_sha256: &run_sha256,
        analysis,
        report,
    })
}

/// SHA-256 over the hashes of the event logs and the whole report, in hexadecimal: the same value means
/// the same run.
///
/// # Errors
/// As [`json`].
pub fn run_sha256(report: &Report) -> Result<String, serde_json::Error> {
    let mut hash = Sha256::new();
    for run in &report.runs {
        hash.update(run.log_sha256.as_bytes());
        hash.update(b"\n");
    }
    hash.update(serde_json::to_string(report)?.as_bytes());
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(text)
}
