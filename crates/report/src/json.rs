//! The report for machines: one JSON object whose bytes depend on nothing but the report and the options.
//!
//! Amounts, shares, prices and the venue's ids are strings; times are integers in nanoseconds UTC, spans in
//! nanoseconds. `docs/report.md` describes it for readers.

use std::io::Write;

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
    let mut bytes = Vec::new();
    json_to(report, analysis, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The same written out as it is made: of a long run the text is large.
///
/// # Errors
/// As [`json`], or the writer's own.
pub fn json_to(
    report: &Report,
    analysis: &Analysis,
    to: &mut dyn Write,
) -> Result<(), serde_json::Error> {
    let run_sha256 = run_sha256(report)?;
    let bundle =
        Bundle { schema_version: SCHEMA_VERSION, run_sha256: &run_sha256, analysis, report };
    serde_json::to_writer(to, &bundle)
}

/// Hashes what is written into it.
struct Hashed(Sha256);

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
    let mut hash = std::io::BufWriter::new(Hashed(hash));
    serde_json::to_writer(&mut hash, report)?;
    let Hashed(hash) = hash.into_inner().map_err(|error| serde_json::Error::io(error.into()))?;
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(text)
}
