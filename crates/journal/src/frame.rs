//! How one record lies on disk, and the header of a segment. Knows no payload.
//!
//! All numbers are little-endian; `docs/journal.md` shows the bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Place of a record in the journal of a wallet, over all runs; the first one is 1.
///
/// Dropped market rows keep their number, so every event of the engine has one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first record.
    pub const ZERO: Seq = Seq(0);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }

    /// The number before this one; zero stays zero.
    #[must_use]
    pub fn before(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The first record of a run.
    Run,
    /// Something that happened: opaque bytes of the owner.
    Input,
    /// Entries that an event changed.
    Delta,
    /// A fact about the journal itself.
    Mark,
    /// A row for the record log.
    Record,
    /// The last record of a run that ended by itself.
    Stop,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Run, Kind::Input, Kind::Delta, Kind::Mark, Kind::Record, Kind::Stop];

    /// The newest version of the payload that this program reads and writes.
    #[must_use]
    pub fn version(self) -> u16 {
        1
    }

    /// As messages name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Run => "run",
            Kind::Input => "input",
            Kind::Delta => "delta",
            Kind::Mark => "mark",
            Kind::Record => "record",
            Kind::Stop => "stop",
        }
    }

    pub(crate) fn code(self) -> u16 {
        match self {
            Kind::Run => 1,
            Kind::Input => 2,
            Kind::Delta => 3,
            Kind::Mark => 4,
            Kind::Record => 5,
            Kind::Stop => 6,
        }
    }

    fn of_code(code: u16) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Bytes before the payload: length, CRC, sequence number, kind, version.
pub const HEAD: usize = 20;

/// Records begin at multiples of this.
pub const ALIGN: usize = 8;

/// Bytes of a segment's header.
pub const SEGMENT_HEAD: usize = 32;

/// Bytes of a record with a payload of this length.
#[must_use]
pub fn padded(payload: usize) -> usize {
    (HEAD + payload).next_multiple_of(ALIGN)
}

/// A record as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its number.
    pub seq: Seq,
    /// What it is.
    pub kind: Kind,
    /// Version of the payload, at most [`Kind::version`].
    pub version: u16,
    /// Its content.
    pub payload: &'a [u8],
    /// All its bytes, padding included.
    pub whole: &'a [u8],
}

/// What lies at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// A record whose checksum is right.
    Frame(Frame<'a>),
    /// The bytes end here.
    End,
    /// A head of zeros, or a rest of zeros that is too short for one.
    Zeros,
    /// Something else.
    Bad(&'static str),
    /// A record whose checksum is right, of a kind (its code) or version that this program does not know.
    Newer {
        /// Code of the kind.
        kind: u16,
        /// Version of the payload.
        version: u16,
    },
}

/// Reads the record at `offset`. The checksum covers the number of the run that wrote it.
#[must_use]
pub fn read(bytes: &[u8], offset: usize, run: u32) -> Found<'_> {
    let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) else {
        return Found::End;
    };
    let Some((head, _)) = rest.split_first_chunk::<HEAD>() else {
        return if zeros(rest) { Found::Zeros } else { Found::Bad("torn head") };
    };
    if zeros(head) {
        return Found::Zeros;
    }
    let len = u32_at(head, 0) as usize;
    let Some(whole) = rest.get(..padded(len)) else { return Found::Bad("torn record") };
    if checksum(whole, run) != u32_at(head, 4) {
        return Found::Bad("wrong checksum");
    }
    let (code, version) = (u16_at(head, 16), u16_at(head, 18));
    let Some(kind) = Kind::of_code(code).filter(|kind| version <= kind.version()) else {
        return Found::Newer { kind: code, version };
    };
    let seq = Seq(u64_at(head, 8));
    if seq == Seq::ZERO || version == 0 {
        return Found::Bad("sequence number or version 0");
    }
    let payload = whole.get(HEAD..HEAD + len).unwrap_or_default();
    Found::Frame(Frame { seq, kind, version, payload, whole })
}

/// Appends a record whose payload `fill` appends. Afterwards the buffer has grown by a multiple of [`ALIGN`].
pub fn write(out: &mut Vec<u8>, run: u32, seq: Seq, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    fill(out);
    let len = out.len().saturating_sub(start + HEAD);
    out.resize(start + padded(len), 0);
    let Some(whole) = out.get_mut(start..) else { return };
    put(whole, 0, &(len as u32).to_le_bytes());
    put(whole, 8, &seq.0.to_le_bytes());
    put(whole, 16, &kind.code().to_le_bytes());
    put(whole, 18, &kind.version().to_le_bytes());
    let crc = checksum(whole, run);
    put(whole, 4, &crc.to_le_bytes());
}

/// The length of the record that begins these bytes, which this process wrote.
pub(crate) fn length(bytes: &[u8]) -> usize {
    padded(bytes.first_chunk::<4>().map_or(0, |len| u32::from_le_bytes(*len) as usize))
}

/// Whether a record can begin here: cheap, so that every place of a segment can be tried.
pub(crate) fn plausible(bytes: &[u8], offset: usize, least: Seq) -> bool {
    let Some(rest) = bytes.get(offset..) else { return false };
    let Some(head) = rest.first_chunk::<HEAD>() else { return false };
    let len = u32_at(head, 0) as usize;
    u64_at(head, 8) >= least.0 && u16_at(head, 18) != 0 && HEAD + len <= rest.len()
}

/// The payload of what claims to be a record of this kind; its checksum is not looked at.
pub(crate) fn payload(bytes: &[u8], offset: usize, kind: Kind) -> Option<&[u8]> {
    let rest = bytes.get(offset..)?;
    let claims = rest.len() >= HEAD && u16_at(rest, 16) == kind.code();
    claims.then(|| rest.get(HEAD..HEAD + u32_at(rest, 0) as usize)).flatten()
}

/// Checksum over the run's number and everything of the record except the checksum itself.
fn checksum(whole: &[u8], run: u32) -> u32 {
    let (length, rest) = whole.split_at(4.min(whole.len()));
    let crc = crc32c::crc32c_append(crc32c::crc32c(&run.to_le_bytes()), length);
    crc32c::crc32c_append(crc, rest.get(4..).unwrap_or_default())
}

/// First bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHead {
    /// The run that wrote it.
    pub run: u32,
    /// Number of its first record.
    pub first: Seq,
    /// Bytes that were allocated for it, this header included.
    pub size: u64,
}

const SEGMENT_MAGIC: [u8; 6] = *b"PDSEG\0";
const COMPACTION_MAGIC: [u8; 6] = *b"PDCMP\0";
const FORMAT: u16 = 1;

/// What kind of file a header begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Segment,
    Compaction,
}

/// Why a header was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHead {
    /// Nothing but zeros.
    Zeros,
    /// Something else than a header.
    Bad,
    /// Of a newer program.
    Newer(u16),
}

impl SegmentHead {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; SEGMENT_HEAD] {
        self.bytes_of(FileKind::Segment)
    }

    pub(crate) fn bytes_of(&self, kind: FileKind) -> [u8; SEGMENT_HEAD] {
        let mut head = [0; SEGMENT_HEAD];
        put(&mut head, 0, &magic(kind));
        put(&mut head, 6, &FORMAT.to_le_bytes());
        put(&mut head, 8, &self.run.to_le_bytes());
        put(&mut head, 12, &self.first.0.to_le_bytes());
        put(&mut head, 20, &self.size.to_le_bytes());
        let crc = crc32c::crc32c(head.get(..28).unwrap_or_default());
        put(&mut head, 28, &crc.to_le_bytes());
        head
    }

    pub(crate) fn read(bytes: &[u8], kind: FileKind) -> Result<SegmentHead, BadHead> {
        let Some(head) = bytes.first_chunk::<SEGMENT_HEAD>() else {
            return Err(if zeros(bytes) { BadHead::Zeros } else { BadHead::Bad });
        };
        if zeros(head) {
            return Err(BadHead::Zeros);
        }
        let crc = crc32c::crc32c(head.get(..28).unwrap_or_default());
        if head.first_chunk() != Some(&magic(kind)) || crc != u32_at(head, 28) {
            return Err(BadHead::Bad);
        }
        match u16_at(head, 6) {
            FORMAT => {}
            newer => return Err(BadHead::Newer(newer)),
        }
        Ok(SegmentHead {
            run: u32_at(head, 8),
            first: Seq(u64_at(head, 12)),
            size: u64_at(head, 20),
        })
    }
}

fn magic(kind: FileKind) -> [u8; 6] {
    match kind {
        FileKind::Segment => SEGMENT_MAGIC,
        FileKind::Compaction => COMPACTION_MAGIC,
    }
}

/// Whether all bytes are zero.
pub(crate) fn zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

/// Zero where there are not enough bytes.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

/// Zero where there are not enough bytes.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
