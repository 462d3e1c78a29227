//! The Parquet schema of a tape, in one place for writer and reader.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion,
};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use polydesk_domain::ConditionId;

use crate::kind::Kind;
use crate::manifest::SCHEMA_VERSION;
use crate::{Manifest, TapeError};

/// Key in the Parquet file's metadata.
pub(crate) const VERSION_KEY: &str = "polydesk.schema_version";
const KINDS_KEY: &str = "polydesk.kinds";
const MARKET_KEY: &str = "polydesk.market";

/// Folder of the Parquet files only, so that `pandas.read_parquet(tape / "events")` works.
pub(crate) const EVENTS: &str = "events";

/// Partition name of rows that belong to no market.
pub(crate) const NO_MARKET: &str = "none";

/// Rows of one row group: small enough that a hundred open markets stay in bounded memory.
pub(crate) const GROUP_ROWS: usize = 8_192;
const PAGE_ROWS: usize = 4_096;
/// A page of snapshots is closed at this size: a reader unpacks a page as a whole, and one of each market.
const PAGE_BYTES: usize = 128 * 1024;
/// Payloads handed to the writer at once: only in between does it look at the page's size.
pub(crate) const PAYLOADS_AT_ONCE: usize = 128;
/// Bytes of one row's payload: a book with ten thousand levels has less than a tenth.
pub(crate) const MAX_PAYLOAD: usize = 8 * 1024 * 1024;
/// Bytes that one column of a row group may unpack to: more than the writer buffers, and little enough that a
/// file made to exhaust memory is refused by its footer.
pub(crate) const MAX_COLUMN: usize = 64 * 1024 * 1024;

const MESSAGE: &str = "
message polydesk_tape {
  required int64 at (TIMESTAMP(NANOS,true));
  required int64 venue_at (TIMESTAMP(NANOS,true));
  required int64 seq (INTEGER(64,false));
  required int32 kind (INTEGER(8,false));
  required int32 outcome (INTEGER(8,true));
  required int32 side (INTEGER(8,true));
  required int32 price (INTEGER(16,true));
  required int64 size (INTEGER(64,false));
  required int32 best_bid (INTEGER(16,true));
  required int32 best_ask (INTEGER(16,true));
  optional binary payload (STRING);
}";

/// Names of the columns in their order.
pub(crate) const COLUMNS: [&str; 11] = [
    "at", "venue_at", "seq", "kind", "outcome", "side", "price", "size", "best_bid", "best_ask",
    "payload",
];

/// The schema. The text above is constant, and a test parses it.
pub(crate) fn schema() -> Result<TypePtr, String> {
    parse_message_type(MESSAGE).map(Arc::new).map_err(|error| error.to_string())
}

/// How files are written: deterministic for the same rows.
pub(crate) fn properties(market: Option<&ConditionId>) -> WriterPropertiesPtr {
    let mut kinds = serde_json::Map::new();
    for kind in Kind::ALL {
        kinds.insert((kind as u8).to_string(), kind.name().into());
    }
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let metadata = vec![
        pair(VERSION_KEY, SCHEMA_VERSION.to_string()),
        pair(KINDS_KEY, serde_json::Value::Object(kinds).to_string()),
        pair(MARKET_KEY, partition(market)),
    ];
    let level = ZstdLevel::try_new(3).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(format!("polydesk tape schema {SCHEMA_VERSION}"))
        .set_compression(Compression::SNAPPY)
        .set_column_compression(ColumnPath::from("payload"), Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(PAGE_ROWS)
        .set_dictionary_page_size_limit(32 * 1024)
        .set_key_value_metadata(Some(metadata));
    for name in ["at", "venue_at", "seq"] {
        let path = ColumnPath::from(name);
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    builder = builder.set_column_dictionary_enabled(ColumnPath::from("payload"), false);
    // A reader holds one zstd decompressor (about 100 KiB) per open column, which adds up over a hundred
    // markets: only payloads, snapshots among them, are worth it. Snappy keeps nothing. Columns that
    // their encoding has made small already are read faster without any.
    for name in ["seq", "kind", "outcome", "side", "price", "best_bid", "best_ask"] {
        builder = builder.set_column_compression(ColumnPath::from(name), Compression::UNCOMPRESSED);
    }
    Arc::new(builder.build())
}

/// The value of the `market=` partition.
pub(crate) fn partition(market: Option<&ConditionId>) -> String {
    market.map_or_else(|| NO_MARKET.to_owned(), ToString::to_string)
}

/// Day and market out of `events/day=…/market=…/part-….parquet`.
pub(crate) fn parse_path(
    dir: &std::path::Path,
    relative: &str,
) -> Result<(String, Option<ConditionId>), TapeError> {
    let wrong = |problem: String| TapeError::corrupt(&dir.join(relative), "its name", problem);
    let mut parts = relative.split('/');
    let (day, market) = match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    {
        (Some(EVENTS), Some(day), Some(market), Some(_), None) => (day, market),
        _ => return Err(wrong("expected events/day=…/market=…/part-N.parquet".to_owned())),
    };
    let day = day.strip_prefix("day=").ok_or_else(|| wrong(format!("{day} is no day=…")))?;
    let market =
        market.strip_prefix("market=").ok_or_else(|| wrong(format!("{market} is no market=…")))?;
    let market = match market {
        NO_MARKET => None,
        id => Some(id.parse().map_err(|error| wrong(format!("{error}")))?),
    };
    Ok((day.to_owned(), market))
}

/// Refuses files of another schema version.
pub(crate) fn check_version(
    path: &std::path::Path,
    metadata: Option<&Vec<KeyValue>>,
) -> Result<(), TapeError> {
    let found = metadata
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == VERSION_KEY))
        .and_then(|pair| pair.value.clone());
    if found.as_deref() == Some(&SCHEMA_VERSION.to_string()) {
        return Ok(());
    }
    Err(TapeError::SchemaVersion {
        path: path.to_owned(),
        found: found.unwrap_or_else(|| "missing".to_owned()),
        known: Manifest::KNOWN_VERSION,
    })
}

impl Manifest {
    /// The schema version this program writes and reads.
    pub const KNOWN_VERSION: u32 = SCHEMA_VERSION;
}
