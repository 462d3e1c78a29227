//! Recorded history: the native Parquet tape, importers, overlays, certificates, synthetic tapes.
#![allow(clippy::result_large_err)]

mod certificate;
mod columns;
mod error;
mod import;
mod manifest;
mod overlay;
mod payload;
mod reader;
mod row;
mod schema;
mod source;
pub mod synthetic;
mod writer;

pub use certificate::{AssumedFact, Certificate, Reject, SilentSpan, Truncation};
pub use error::TapeError;
pub use import::{Format, ImportJob, import};
pub use manifest::{
    CERTIFICATE_FILE, MANIFEST_FILE, Manifest, ManifestDraft, MarketSummary, REJECTS_FILE,
    SCHEMA_VERSION, TimeSpan, Times,
};
pub use overlay::{
    FeeFacts, MarketFacts, NegRiskFacts, Overlay, RecordingFacts, derived_condition, derived_tokens,
};
pub use reader::TapeReader;
pub use row::{ABSENT, EMPTY_SIDE, Kind};
pub use source::{EventSource, MemorySource};
pub use writer::{TapeWriter, content_hash};
