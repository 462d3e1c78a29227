//! What the records contain: entries and rows as bytes of the owner, facts as JSON with named fields.

use serde::{Deserialize, Serialize};

use crate::frame::{Kind, Seq, u32_at, u64_at};
use crate::options::Durable;

/// One entry that changed. Shorter than 4 GiB each; a table's name has at most 255 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// Name of the table.
    pub table: &'a str,
    /// The key, as the owner encodes it.
    pub key: &'a [u8],
    /// The value; `None`: the entry is gone.
    pub value: Option<&'a [u8]>,
}

/// The entries that one event changed, each whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta<'a> {
    /// The record that caused the change.
    pub cause: Seq,
    /// Running hash of the owner's commands, for the comparison of a replay; zeros where there is none.
    pub commands: [u8; 32],
    /// In the order in which they are applied.
    pub changes: Vec<Change<'a>>,
}

/// A row for the record log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The record that caused it.
    pub cause: Seq,
    /// Its ordinal among the rows of its cause.
    pub n: u32,
    /// Engine time in milliseconds since 1970, UTC: decides the month it is filed under.
    pub at_ms: i64,
    /// The row, as the owner encodes it.
    pub body: &'a [u8],
}

/// Why a payload cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payload of a {kind} record: {detail}")]
pub struct Malformed {
    /// The record's kind.
    pub kind: &'static str,
    /// What is wrong.
    pub detail: String,
}

fn malformed(kind: Kind, detail: impl Into<String>) -> Malformed {
    Malformed { kind: kind.name(), detail: detail.into() }
}

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELTA_HEAD: usize = 44;
const CHANGE_HEAD: usize = 12;
const ROW_HEAD: usize = 24;

impl<'a> Delta<'a> {
    /// Bytes that [`Delta::encode`] appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let each = |change: &Change<'_>| {
            let value = change.value.map_or(0, <[u8]>::len);
            CHANGE_HEAD + change.table.len() + change.key.len() + value
        };
        DELTA_HEAD + self.changes.iter().map(each).sum::<usize>()
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.cause.0.to_le_bytes());
        out.extend_from_slice(&self.commands);
        out.extend_from_slice(&(self.changes.len() as u32).to_le_bytes());
        for change in &self.changes {
            encode_change(out, *change);
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// Lengths that do not fit the payload, an unknown operation, a table's name that is not UTF-8.
    pub fn decode(payload: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        let bad = |detail: &str| malformed(Kind::Delta, detail);
        let (head, mut rest) =
            payload.split_first_chunk::<DELTA_HEAD>().ok_or_else(|| bad("too short"))?;
        let commands = head.get(8..).and_then(|rest| rest.first_chunk()).copied();
        let count = u32_at(head, 40) as usize;
        let mut changes = Vec::with_capacity(count.min(1_024));
        for _ in 0..count {
            changes.push(decode_change(&mut rest).map_err(bad)?);
        }
        if !rest.is_empty() {
            return Err(bad("bytes after the last change"));
        }
        Ok(Delta { cause: Seq(u64_at(head, 0)), commands: commands.unwrap_or_default(), changes })
    }
}

fn encode_change(out: &mut Vec<u8>, change: Change<'_>) {
    // A longer name is refused before (`Payload::check`).
    let table = u8::try_from(change.table.len()).unwrap_or(u8::MAX);
    let value = change.value.unwrap_or_default();
    out.extend_from_slice(&[if change.value.is_some() { PUT } else { DELETE }, table, 0, 0]);
    out.extend_from_slice(&(change.key.len() as u32).to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(change.table.as_bytes());
    out.extend_from_slice(change.key);
    out.extend_from_slice(value);
}

fn decode_change<'a>(rest: &mut &'a [u8]) -> Result<Change<'a>, &'static str> {
    let head = take(rest, CHANGE_HEAD)?;
    let (op, table) = (head.first().copied(), head.get(1).copied().unwrap_or_default());
    if head.get(2..4) != Some(&[0, 0]) {
        return Err("bytes that must be zero are not");
    }
    let table = take(rest, usize::from(table))?;
    let key = take(rest, u32_at(head, 4) as usize)?;
    let value = take(rest, u32_at(head, 8) as usize)?;
    let value = match op {
        Some(PUT) => Some(value),
        Some(DELETE) if value.is_empty() => None,
        _ => return Err("an operation that is neither put nor delete"),
    };
    let table = std::str::from_utf8(table).map_err(|_| "a table's name that is not UTF-8")?;
    Ok(Change { table, key, value })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], &'static str> {
    let (taken, left) = rest.split_at_checked(len).ok_or("a length beyond the payload")?;
    *rest = left;
    Ok(taken)
}

impl<'a> Row<'a> {
    fn encode(&self, run: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.cause.0.to_le_bytes());
        out.extend_from_slice(&self.at_ms.to_le_bytes());
        out.extend_from_slice(&self.n.to_le_bytes());
        out.extend_from_slice(&run.to_le_bytes());
        out.extend_from_slice(self.body);
    }

    /// Reads a payload; also the run that wrote it.
    ///
    /// # Errors
    /// A payload that is too short.
    pub fn decode(payload: &'a [u8]) -> Result<(u32, Row<'a>), Malformed> {
        let (head, body) = payload
            .split_first_chunk::<ROW_HEAD>()
            .ok_or_else(|| malformed(Kind::Record, "too short"))?;
        let at_ms = u64_at(head, 8).cast_signed();
        let row = Row { cause: Seq(u64_at(head, 0)), n: u32_at(head, 16), at_ms, body };
        Ok((u32_at(head, 20), row))
    }

    /// The run that wrote the row of a record that is not checked yet.
    pub(crate) fn run_of(payload: &[u8]) -> u32 {
        u32_at(payload, 20)
    }
}

/// What the owner knows about a run when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Wall time in milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// Name, version and hash of the program.
    pub program: String,
    /// Hash of the configuration.
    pub config: String,
    /// The wallet.
    pub wallet: String,
    /// The mode, as in `paper`.
    pub mode: String,
    /// Epoch of the lease.
    pub lease_epoch: u64,
    /// The host's boot id.
    pub boot: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// There was none before.
    Fresh,
    /// A `stop` record is its last word.
    Stopped,
    /// Without one: killed, crashed or cut off.
    Unclean,
    /// The journal was damaged and a person asked to go on with what is left of it.
    Rebuilt,
}

/// A line of the list of recent runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    /// Number of the run.
    pub run: u32,
    /// When it began, milliseconds since 1970.
    pub at_ms: i64,
    /// How the run before it had ended.
    pub after: Ended,
    /// It began with a lost tail. Holds for later runs too, until one of them ends by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost_tail: bool,
    /// When its records counted as durable; of older programs, the weaker promise.
    #[serde(default, skip_serializing_if = "Durable::is_default")]
    pub durable: Durable,
}

/// Payload of a `run` record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Number of the run.
    pub run: u32,
    /// What the owner knew.
    #[serde(flatten)]
    pub facts: RunFacts,
    /// How the run before had ended.
    pub ended: Ended,
    /// The last record of earlier runs that was applied.
    pub after: Seq,
    /// Hash of the state that the run began with.
    pub state_hash: String,
    /// The latest runs, this one last; at most ten.
    pub runs: Vec<RunLine>,
}

/// Payload of a `stop` record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopFacts {
    /// Wall time in milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// Orders that were left open.
    pub open_orders: u64,
    /// Hash of the owner's state.
    pub state_hash: String,
}

/// Why market rows were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The buffer is half full: the disk does not keep up.
    Buffer,
    /// The disk has room for one segment more at most.
    Disk,
}

/// Numbers without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The first one.
    pub from: Seq,
    /// The last one.
    pub to: Seq,
    /// Why.
    pub why: DropReason,
}

/// A compaction that is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// It contains everything up to this record.
    pub seq: Seq,
    /// Hash of its entries.
    pub hash: String,
    /// How many they are.
    pub entries: u64,
}

/// The end of an earlier run's records that was not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutFact {
    /// Number of the first record that could not be read.
    pub seq: Seq,
    /// Bytes kept aside.
    pub bytes: u64,
    /// Why reading stopped there.
    pub why: String,
    /// Where the bytes are kept.
    pub file: String,
}

/// Payload of a `mark`: each field is a fact of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// A compaction was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compaction: Option<Compacted>,
    /// Rows were dropped: this record follows the gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
    /// A tail was cut at start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<CutFact>,
    /// Everything up to this record was synced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<Seq>,
}

/// The last record of a compaction file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CompactionEnd {
    pub compaction: Compacted,
    /// Of the run that wrote it.
    pub facts: RunFacts,
    pub runs: Vec<RunLine>,
    /// The record log has every row up to this record.
    pub logged: Seq,
}

/// What an owner appends.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// Something that happened.
    Input(&'a [u8]),
    /// What it changed.
    Delta(&'a Delta<'a>),
    /// A row for the record log.
    Record(Row<'a>),
    /// The run ends here.
    Stop(&'a StopFacts),
}

impl Payload<'_> {
    /// The kind of its record.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Payload::Input(_) => Kind::Input,
            Payload::Delta(_) => Kind::Delta,
            Payload::Record(_) => Kind::Record,
            Payload::Stop(_) => Kind::Stop,
        }
    }

    /// The longest name of a table in it, in bytes.
    pub(crate) fn longest_table(&self) -> usize {
        match self {
            Payload::Delta(delta) => {
                delta.changes.iter().map(|change| change.table.len()).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Bytes of the payload, before it is encoded; of a `stop` an upper bound.
    pub(crate) fn len(&self) -> usize {
        match self {
            Payload::Input(bytes) => bytes.len(),
            Payload::Delta(delta) => delta.encoded_len(),
            Payload::Record(row) => ROW_HEAD + row.body.len(),
            Payload::Stop(facts) => 128 + facts.state_hash.len() * 6,
        }
    }

    pub(crate) fn encode(&self, run: u32, out: &mut Vec<u8>) {
        match self {
            Payload::Input(bytes) => out.extend_from_slice(bytes),
            Payload::Delta(delta) => delta.encode(out),
            Payload::Record(row) => row.encode(run, out),
            Payload::Stop(facts) => encode_json(*facts, out),
        }
    }
}

/// Appends JSON.
pub(crate) fn encode_json(value: &impl Serialize, out: &mut Vec<u8>) {
    // These types have text keys and whole numbers only: this cannot fail, and bytes that end early are
    // refused when they are read.
    let _ = serde_json::to_writer(out, value);
}

/// Reads JSON.
pub(crate) fn decode_json<T: for<'a> Deserialize<'a>>(
    kind: Kind,
    payload: &[u8],
) -> Result<T, Malformed> {
    serde_json::from_slice(payload).map_err(|error| malformed(kind, error.to_string()))
}

/// Reads the payload of a `run` record.
///
/// # Errors
/// Bytes that are not such a payload.
pub fn decode_run(payload: &[u8]) -> Result<RunRecord, Malformed> {
    decode_json(Kind::Run, payload)
}

/// Reads the payload of a `mark`.
///
/// # Errors
/// Bytes that are not such a payload.
pub fn decode_mark(payload: &[u8]) -> Result<Mark, Malformed> {
    decode_json(Kind::Mark, payload)
}

/// Reads the payload of a `stop` record.
///
/// # Errors
/// Bytes that are not such a payload.
pub fn decode_stop(payload: &[u8]) -> Result<StopFacts, Malformed> {
    decode_json(Kind::Stop, payload)
}
