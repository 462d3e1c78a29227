//! A compaction file: every entry of the map at one record, framed as in a segment.

use crate::frame::{self, BadHead, FileKind, Found, Kind, SEGMENT_HEAD, SegmentHead, Seq};
use crate::map::Map;
use crate::payload::{Change, CompactionEnd, Delta, decode_json, encode_json};

/// Entries are written in records of about this many bytes.
const CHUNK: usize = 256 << 10;

/// A compaction as it was read.
#[derive(Debug)]
pub(crate) struct Compaction {
    pub run: u32,
    pub seq: Seq,
    pub map: Map,
    pub end: CompactionEnd,
}

/// Why a compaction cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadCompaction {
    /// It is damaged.
    Bad(String),
    /// A newer program wrote it.
    Newer(String),
}

/// The bytes of a compaction.
pub(crate) fn encode(run: u32, map: &Map, end: &CompactionEnd) -> Vec<u8> {
    let seq = end.compaction.seq;
    let head = SegmentHead { run, first: seq, size: 0 };
    let mut out = head.bytes_of(FileKind::Compaction).to_vec();
    let (mut changes, mut size) = (Vec::new(), 0);
    for (table, key, value) in map.iter() {
        size += table.len() + key.len() + value.len();
        changes.push(Change { table, key, value: Some(value) });
        if size >= CHUNK {
            chunk(&mut out, run, seq, std::mem::take(&mut changes));
            size = 0;
        }
    }
    chunk(&mut out, run, seq, changes);
    frame::write(&mut out, run, seq, Kind::Mark, |out| encode_json(end, out));
    out
}

fn chunk(out: &mut Vec<u8>, run: u32, seq: Seq, changes: Vec<Change<'_>>) {
    if !changes.is_empty() {
        let delta = Delta { cause: seq, commands: [0; 32], changes };
        frame::write(out, run, seq, Kind::Delta, |out| delta.encode(out));
    }
}

/// Reads a compaction. Its hash must be that of its entries.
pub(crate) fn decode(bytes: &[u8]) -> Result<Compaction, BadCompaction> {
    let bad = |detail: &str| BadCompaction::Bad(detail.to_owned());
    let head = SegmentHead::read(bytes, FileKind::Compaction).map_err(|error| match error {
        BadHead::Newer(version) => BadCompaction::Newer(format!("file format {version}")),
        _ => bad("no header"),
    })?;
    let mut map = Map::default();
    let mut at = SEGMENT_HEAD;
    loop {
        let frame = match frame::read(bytes, at, head.run) {
            Found::Frame(frame) if frame.seq == head.first => frame,
            Found::Newer { kind, version } => {
                return Err(BadCompaction::Newer(newer(kind, version)));
            }
            Found::Bad(why) => return Err(bad(why)),
            _ => return Err(bad("it ends before its last record")),
        };
        at += frame.whole.len();
        match frame.kind {
            Kind::Delta => {
                let delta =
                    Delta::decode(frame.payload).map_err(|error| bad(&error.to_string()))?;
                map.apply(&delta);
            }
            Kind::Mark => {
                let end: CompactionEnd = decode_json(Kind::Mark, frame.payload)
                    .map_err(|error| bad(&error.to_string()))?;
                if at != bytes.len() {
                    return Err(bad("bytes after its last record"));
                }
                if end.compaction.hash != map.hash() || end.compaction.seq != head.first {
                    return Err(bad("its hash is not that of its entries"));
                }
                return Ok(Compaction { run: head.run, seq: head.first, map, end });
            }
            _ => return Err(bad("a record that does not belong into it")),
        }
    }
}

/// A kind and version that this program does not know, for a message.
pub(crate) fn newer(kind: u16, version: u16) -> String {
    match Kind::ALL.into_iter().find(|known| known.code() == kind) {
        Some(kind) => format!("{} records of version {version}", kind.name()),
        None => format!("records of kind {kind}"),
    }
}
