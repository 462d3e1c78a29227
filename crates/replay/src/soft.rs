//! Soft memory as entries of a journal. It may be old or missing after a restart.

use polydesk_domain::Time;
use polydesk_engine::Soft;
use polydesk_strategies::Saved;

/// Table of soft memory.
pub const SOFT: &str = "soft";

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
        // Thousands of markets make megabytes: the bytes stand behind their version as they are.
        let mut value = saved.version.to_le_bytes().to_vec();
        value.extend_from_slice(&saved.bytes);
        entries.push((format!("strategy {id}").into_bytes(), value));
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
    if let (Some(Ok(id)), Some((version, bytes))) =
        (id.map(str::parse), value.split_first_chunk::<2>())
    {
        let version = u16::from_le_bytes(*version);
        soft.strategies.push((id, Saved { version, bytes: bytes.to_vec() }));
    }
}

#[cfg(test)]
mod tests {
    use polydesk_domain::{StrategyId, TokenId};

    use super::*;

    #[test]
    fn soft_memory_is_read_back_and_takes_hardly_more_room_than_its_bytes() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let saved = Saved { version: 7, bytes };
        let soft = Soft {
            strategies: vec![(StrategyId::STINK_BIDDER, saved)],
            marks: vec![(TokenId::from(5), (4_200, Time::from_secs(3)))],
            exits: Vec::new(),
        };
        let entries = soft_entries(&soft).unwrap();
        let size: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(size < 100_200, "{size}");
        let mut read = Soft::default();
        for (key, value) in &entries {
            read_soft(key, value, &mut read);
        }
        assert_eq!(read, soft);
        // What is no such entry is left out.
        read_soft(b"strategy stink_bidder", b"1", &mut read);
        read_soft(b"other", b"12", &mut read);
        assert_eq!(read, soft);
    }
}
