//! Soft memory as entries of a journal. It may be old or missing after a restart.

use polydesk_domain::Time;
use polydesk_engine::Soft;
use polydesk_strategies::Saved;
use serde::{Deserialize, Serialize};

/// Table of soft memory.
pub const SOFT: &str = "soft";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedDoc {
    version: u16,
    bytes: Vec<u8>,
}

/// Key of the marks among soft memory; keys of strategies begin otherwise.
const MARKS: &[u8] = b"marks";

/// Key and value of an entry.
pub type SoftEntry = (Vec<u8>, Vec<u8>);

type Marks = Vec<(polydesk_domain::TokenId, (u64, Time))>;

/// Soft memory as the entries of a journal's table [`SOFT`].
///
/// # Errors
/// Bytes that cannot be written as JSON.
pub fn soft_entries(soft: &Soft) -> Result<Vec<SoftEntry>, serde_json::Error> {
    let mut entries = vec![(MARKS.to_vec(), serde_json::to_vec(&soft.marks)?)];
    for (id, saved) in &soft.strategies {
        let doc = SavedDoc { version: saved.version, bytes: saved.bytes.clone() };
        entries.push((format!("strategy {id}").into_bytes(), serde_json::to_vec(&doc)?));
    }
    Ok(entries)
}

/// Takes up an entry of that table; what cannot be read is left out.
pub fn read_soft(key: &[u8], value: &[u8], soft: &mut Soft) {
    if key == MARKS {
        soft.marks = serde_json::from_slice::<Marks>(value).unwrap_or_default();
        return;
    }
    let id = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix("strategy "));
    if let (Some(Ok(id)), Ok(SavedDoc { version, bytes })) =
        (id.map(str::parse), serde_json::from_slice(value))
    {
        soft.strategies.push((id, Saved { version, bytes }));
    }
}
