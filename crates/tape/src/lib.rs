//! Recorded history: the native Parquet tape, importers with overlays and certificates, merging,
//! and made-up tapes for benchmarks and for the arbitrage scanner.
//!
//! Nothing here trades, waits or reads a clock; a tape gives events, and the replay adds
//! latency and an exchange.
//!
//! # The native tape, schema version 1
//!
//! ```text
//! my-tape/
//!   manifest.json        name, schema version, content hash, source, licence, span, markets, files
//!   certificate.json     what the import saw and what had to be assumed
//!   rejects.jsonl        rows that did not become events, with file, place and reason
//!   events/day=2026-06-07/market=0x…/part-0.parquet
//!   events/day=2026-06-07/market=none/part-0.parquet      rows of no market: articles, timers, orders
//! ```
//!
//! Day is that of `at` in UTC, market the condition id. Every file holds its rows in order; the
//! order of the whole tape is that of `seq`. The files' metadata carries `polydesk.schema_version`.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `at` | timestamp ns UTC | receive time, or the venue's made monotone (`manifest.times`) |
//! | `venue_at` | timestamp ns UTC | the venue's timestamp; can run backwards |
//! | `seq` | u64 | position in the stream; grows, may have holes |
//! | `kind` | u8 | see [`Kind`]: 0 level, 1 print, 2 best, 3 snapshot, 4 tick, 5 state, 6 gap, 7 listed, …; `docs/tape.md` shows all |
//! | `outcome` | i8 | 0 YES, 1 NO of the market, -1 none; token ids are in the manifest |
//! | `side` | i8 | 0 buy (bid side), 1 sell (ask side), -1 none |
//! | `price` | i16 | ten-thousandths of a dollar; for `tick` the tick size; -1 none |
//! | `size` | u64 | millionths of a share: a level's new total, or a print's size |
//! | `best_bid`, `best_ask` | i16 | ten-thousandths; -1 not carried, -2 the side is empty |
//! | `payload` | UTF-8, null | JSON of the rarer kinds, integers in the smallest unit |
//!
//! Reading it elsewhere:
//!
//! ```text
//! pandas.read_parquet("my-tape/events")
//! polars.scan_parquet("my-tape/events/**/*.parquet", hive_partitioning=True)
//! SELECT "at", price FROM read_parquet('my-tape/events/**/*.parquet', hive_partitioning=true) ORDER BY seq; -- DuckDB
//! ```
//!
//! # Reading it here
//!
//! ```
//! use polydesk_tape::{EventSource, synthetic::Speed};
//!
//! let mut source = Speed { tokens: 2, rows: 100, seed: 1 }.source();
//! let mut events = 0;
//! while let Some(_stamped) = source.next_event()? {
//!     events += 1;
//! }
//! assert_eq!(events, 101); // one listing and a hundred rows
//! # Ok::<(), polydesk_tape::TapeError>(())
//! ```

mod certificate;
mod checksum;
mod columns;
mod error;
mod import;
mod kind;
mod manifest;
mod merge;
mod overlay;
mod payload;
mod reader;
mod row;
mod schema;
mod source;
pub mod synthetic;
mod wire;
mod writer;

pub use certificate::{AssumedFact, Certificate, Reject, SilentSpan, Truncation};
pub use checksum::{Checksums, FILES_V1};
pub use error::TapeError;
pub use import::{Format, ImportJob, import, overlay_template};
pub use kind::Kind;
pub use manifest::{
    CERTIFICATE_FILE, MANIFEST_FILE, Manifest, ManifestDraft, MarketSummary, REJECTS_FILE,
    SCHEMA_VERSION, TimeSpan, Times,
};
pub use overlay::{
    FeeFacts, MarketFacts, NegRiskFacts, Overlay, RecordingFacts, derived_condition, derived_tokens,
};
pub use reader::TapeReader;
pub use row::{ABSENT, EMPTY_SIDE};
pub use source::{EventSource, MemorySource, blank};
pub use wire::{WireError, decode_event, encode_event};
pub use writer::{TapeWriter, Unfinished, content_hash, verify};
