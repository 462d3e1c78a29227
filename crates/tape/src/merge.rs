//! Puts the partitions of one tape into one order, block by block, on a thread of its own.
//!
//! `seq` grows over all partitions, so a block of numbers is filled by walking every open partition
//! once: merging costs no comparisons per row. The thread runs a few blocks ahead and no further;
//! what it hands over does not depend on it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parquet::data_type::ByteArray;
use polydesk_domain::ConditionId;
use sha2::{Digest, Sha256};

use crate::columns::PartReader;
use crate::manifest::MANIFEST_FILE;
use crate::row::TapeRow;
use crate::{Manifest, TapeError, schema};

/// Sequence numbers merged at once.
const BLOCK: usize = 8_192;
/// Blocks on the way.
const AHEAD: usize = 2;
/// `source` of an empty slot, `payload` of a row without one.
pub(crate) const VACANT_SOURCE: u32 = u32::MAX;

/// One row of a block.
#[derive(Clone, Copy)]
pub(crate) struct BlockSlot {
    pub row: TapeRow,
    pub source: u32,
    pub payload: u32,
}

const VACANT: BlockSlot = BlockSlot {
    row: TapeRow {
        at: 0,
        venue_at: 0,
        seq: 0,
        size: 0,
        price: 0,
        best_bid: 0,
        best_ask: 0,
        kind: 0,
        outcome: 0,
        side: 0,
    },
    source: VACANT_SOURCE,
    payload: VACANT_SOURCE,
};

/// A partition as the consumer needs to know it.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    pub path: PathBuf,
    pub market: Option<ConditionId>,
}

/// A stretch of the tape in order.
pub(crate) struct Block {
    pub slots: Vec<BlockSlot>,
    pub payloads: Vec<ByteArray>,
    pub end: usize,
    /// Set in the first block of a day: what the slots' sources are from here on.
    pub partitions: Option<Vec<Partition>>,
    /// What stopped the tape after these rows.
    pub error: Option<TapeError>,
    /// Whether nothing follows.
    pub last: bool,
    /// In the last block, where it was asked for: the hash of all rows before.
    pub digest: Option<String>,
}

impl Block {
    /// Room for a stretch.
    fn new() -> Block {
        Block { slots: vec![VACANT; BLOCK], ..Block::nothing() }
    }

    /// No rows and no room: what a reader holds before the first block.
    pub fn nothing() -> Block {
        Block {
            slots: Vec::new(),
            payloads: Vec::new(),
            end: 0,
            partitions: None,
            error: None,
            last: false,
            digest: None,
        }
    }
}

struct Source {
    reader: PartReader,
    /// The last number given out.
    given: Option<u64>,
    failed: bool,
}

/// A file of a day: its path in the folder, its market, and the checksum that its bytes are checked against.
#[derive(Clone)]
struct DayFile {
    relative: String,
    market: Option<ConditionId>,
    checksum: Option<String>,
}

/// The merge itself.
pub(crate) struct Merge {
    dir: PathBuf,
    days: VecDeque<Vec<DayFile>>,
    sources: Vec<Source>,
    partitions: Vec<Partition>,
    begun: bool,
    hash: Option<RowHash>,
}

/// The content hash, as far as rows were seen.
#[derive(Default)]
pub(crate) struct RowHash {
    hash: Sha256,
    buffer: Vec<u8>,
}

impl RowHash {
    /// Bytes gathered before they are hashed.
    const GATHERED: usize = 64 * 1024;

    /// Takes in a row: little-endian columns in their order, then the condition id (32 zero bytes for none),
    /// then the payload's length and bytes.
    pub fn row(&mut self, row: &TapeRow, market: Option<&ConditionId>, payload: &[u8]) {
        let buffer = &mut self.buffer;
        buffer.extend_from_slice(&row.at.to_le_bytes());
        buffer.extend_from_slice(&row.venue_at.to_le_bytes());
        buffer.extend_from_slice(&row.seq.to_le_bytes());
        buffer.extend_from_slice(&[row.kind, row.outcome as u8, row.side as u8]);
        buffer.extend_from_slice(&row.price.to_le_bytes());
        buffer.extend_from_slice(&row.size.to_le_bytes());
        buffer.extend_from_slice(&row.best_bid.to_le_bytes());
        buffer.extend_from_slice(&row.best_ask.to_le_bytes());
        let none = ConditionId::default();
        buffer.extend_from_slice(market.unwrap_or(&none).bytes());
        buffer.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        buffer.extend_from_slice(payload);
        if buffer.len() > RowHash::GATHERED {
            self.hash.update(&*buffer);
            buffer.clear();
        }
    }

    /// In hexadecimal digits.
    pub fn finish(mut self) -> String {
        self.hash.update(&self.buffer);
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is checked while a tape is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checks {
    /// Nothing: this process has checked the tape before.
    Nothing,
    /// The checksums of its files, where it states them; else the content hash.
    Stated,
    /// Both.
    Rows,
}

/// Blocks of one tape, made ahead where a thread can be had.
pub(crate) enum Blocks {
    Ahead { full: Receiver<Block>, empty: SyncSender<Block> },
    Inline(Box<Merge>),
}

impl Blocks {
    /// `checks`: what is hashed on the way. With rows, the last block carries the content hash.
    pub fn start(dir: PathBuf, manifest: &Manifest, checks: Checks) -> Result<Blocks, TapeError> {
        let checksums = manifest.checksums.as_ref();
        if let Some(checksums) = checksums {
            let content = (manifest.content_sha256.as_str(), manifest.rows);
            checksums.check(&dir.join(MANIFEST_FILE), content, &manifest.files)?;
        }
        let by_file = checksums.filter(|_| checks != Checks::Nothing);
        let hashes = checks == Checks::Rows || (checks == Checks::Stated && checksums.is_none());
        let mut days = std::collections::BTreeMap::<_, Vec<_>>::new();
        for relative in &manifest.files {
            let (day, market) = schema::parse_path(&dir, relative)?;
            if !dir.join(relative).is_file() {
                let path = dir.join(relative);
                let problem = "the manifest names it, but it is not there; copy the whole folder";
                return Err(TapeError::corrupt(&path, "its place", problem));
            }
            let checksum = by_file.and_then(|sums| sums.files.get(relative)).cloned();
            let file = DayFile { relative: relative.clone(), market, checksum };
            days.entry(day).or_default().push(file);
        }
        let merge = || Merge {
            dir: dir.clone(),
            days: days.clone().into_values().collect(),
            sources: Vec::new(),
            partitions: Vec::new(),
            begun: false,
            hash: hashes.then(RowHash::default),
        };
        let (to_full, full) = sync_channel::<Block>(AHEAD);
        let (empty, from_empty) = sync_channel::<Block>(AHEAD);
        for _ in 0..AHEAD {
            // The channel has room for exactly these.
            let _ = empty.send(Block::new());
        }
        let mut ahead = merge();
        let spawned = std::thread::Builder::new().name("tape".to_owned()).spawn(move || {
            // Ends when the reader is dropped: then either channel is closed.
            while let Ok(mut block) = from_empty.recv() {
                ahead.fill_guarded(&mut block);
                let last = block.last;
                if to_full.send(block).is_err() || last {
                    return;
                }
            }
        });
        Ok(match spawned {
            Ok(_) => Blocks::Ahead { full, empty },
            Err(_) => Blocks::Inline(Box::new(merge())),
        })
    }

    /// Exchanges a used block for the next one.
    pub fn next(&mut self, mut used: Block) -> Block {
        match self {
            Blocks::Inline(merge) => {
                merge.fill_guarded(&mut used);
                used
            }
            Blocks::Ahead { full, empty } => {
                // Payloads share the memory of their page: what waits to be filled holds none.
                used.payloads.clear();
                // A thread that ended has sent its last block before.
                let _ = empty.send(used);
                full.recv().unwrap_or_else(|_| Block { last: true, ..Block::nothing() })
            }
        }
    }
}

impl Merge {
    /// As `fill`, but an assertion of the Parquet library on damaged bytes is an error too.
    fn fill_guarded(&mut self, block: &mut Block) {
        let step = std::panic::AssertUnwindSafe(|| self.fill(block));
        if std::panic::catch_unwind(step).is_err() {
            let problem = "damaged bytes in one of the day's files";
            block.error = Some(TapeError::corrupt(&self.dir, "its Parquet files", problem));
            (block.end, block.last) = (0, true);
        }
    }

    /// Fills a block; errors become part of it, after the rows that came before them.
    fn fill(&mut self, block: &mut Block) {
        block.slots.resize(BLOCK, VACANT);
        for slot in &mut block.slots[..block.end] {
            slot.source = VACANT_SOURCE;
        }
        block.payloads.clear();
        (block.end, block.error, block.partitions, block.last) = (0, None, None, false);
        block.digest = None;
        let begin = loop {
            match self.least() {
                Ok(Some(begin)) => break begin,
                Ok(None) => match self.open_day() {
                    Ok(true) => continue,
                    Ok(false) => {
                        block.last = true;
                        block.digest = self.hash.take().map(RowHash::finish);
                    }
                    Err(error) => block.error = Some(error),
                },
                Err(error) => block.error = Some(error),
            }
            block.last = true;
            return;
        };
        if !self.begun {
            block.partitions = Some(self.partitions.clone());
            self.begun = true;
        }
        let mut stop = BLOCK as u64;
        for (index, source) in self.sources.iter_mut().enumerate() {
            if let Err(error) = source.fill(index, begin, block) {
                // Rows of this source after its last one are missing: nothing after it is given.
                let safe = source.given.map_or(0, |given| (given + 1).saturating_sub(begin));
                if block.error.is_none() || safe < stop {
                    stop = stop.min(safe);
                    block.error = Some(error);
                }
                block.last = true;
            }
        }
        block.end = block.end.min(stop as usize);
        let Some(hash) = &mut self.hash else { return };
        for slot in block.slots[..block.end].iter().filter(|slot| slot.source != VACANT_SOURCE) {
            let market = self.partitions[slot.source as usize].market.as_ref();
            let payload = block.payloads.get(slot.payload as usize);
            hash.row(&slot.row, market, payload.map_or(&[], ByteArray::data));
        }
    }

    /// The smallest number that any open partition has next.
    fn least(&mut self) -> Result<Option<u64>, TapeError> {
        let mut least = None;
        for source in &mut self.sources {
            if let Some(seq) = source.reader.peek()?
                && least.is_none_or(|known| seq < known)
            {
                least = Some(seq);
            }
        }
        Ok(least)
    }

    fn open_day(&mut self) -> Result<bool, TapeError> {
        let Some(files) = self.days.pop_front() else { return Ok(false) };
        self.sources.clear();
        self.partitions.clear();
        self.begun = false;
        for DayFile { relative, market, checksum } in files {
            let path = self.dir.join(&relative);
            let reader = PartReader::open(&path, checksum)?;
            self.sources.push(Source { reader, given: None, failed: false });
            self.partitions.push(Partition { path, market });
        }
        Ok(true)
    }
}

impl Source {
    fn fill(&mut self, index: usize, begin: u64, block: &mut Block) -> Result<(), TapeError> {
        if self.failed {
            return Ok(());
        }
        let outcome = self.fill_rows(index, begin, block);
        self.failed = outcome.is_err();
        outcome
    }

    fn fill_rows(&mut self, index: usize, begin: u64, block: &mut Block) -> Result<(), TapeError> {
        while let Some(seq) = self.reader.peek()? {
            let place = seq.wrapping_sub(begin);
            if place >= BLOCK as u64 {
                if seq < begin {
                    let problem = format!("seq {seq} comes after {begin}");
                    return Err(TapeError::corrupt(&self.reader.path, "its order", problem));
                }
                return Ok(());
            }
            let slot = &mut block.slots[place as usize];
            if slot.source != VACANT_SOURCE {
                let problem = format!("seq {seq} stands twice on this tape");
                return Err(TapeError::corrupt(&self.reader.path, "its order", problem));
            }
            let payload = self.reader.take(&mut slot.row);
            slot.source = index as u32;
            slot.payload = VACANT_SOURCE;
            if let Some(payload) = payload {
                slot.payload = block.payloads.len() as u32;
                block.payloads.push(payload);
            }
            block.end = block.end.max(place as usize + 1);
            self.given = Some(seq);
        }
        Ok(())
    }
}
