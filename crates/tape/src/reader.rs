//! Reads native tapes as one ordered stream in bounded memory.
//!
//! Inside a tape the order is that of `seq`, which grows over all partitions: a block of numbers is
//! filled by walking every open partition once, so merging costs no comparisons per row. Several
//! tapes are merged by (`at`, position in the list, `seq`).

use std::path::{Path, PathBuf};

use parquet::data_type::ByteArray;
use polydesk_domain::{ConditionId, Event, MarketKey, Stamped, Universe};

use crate::columns::PartReader;
use crate::row::{self, Kind, Row};
use crate::source::blank;
use crate::{Certificate, EventSource, Manifest, TapeError, schema};

/// Sequence numbers merged at once.
const BLOCK: usize = 4_096;
const NOBODY: u32 = u32::MAX;

/// A file of the day being read.
struct Source {
    reader: PartReader,
    market: Option<ConditionId>,
    key: Option<MarketKey>,
}

/// One row of the current block.
#[derive(Clone, Copy)]
struct Slot {
    row: Row,
    source: u32,
    payload: u32,
}

const VACANT: Slot = Slot {
    row: Row {
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
    source: NOBODY,
    payload: NOBODY,
};

#[cold]
fn disorder(source: &Source, problem: String) -> TapeError {
    TapeError::corrupt(&source.reader.path, "its order", problem)
}

/// One tape of the merge.
struct Lane {
    dir: PathBuf,
    manifest: Manifest,
    certificate: Certificate,
    /// Days in order, each with its files.
    days: std::collections::VecDeque<Vec<(String, Option<ConditionId>)>>,
    sources: Vec<Source>,
    slots: Vec<Slot>,
    payloads: Vec<ByteArray>,
    next: usize,
    end: usize,
    given: u64,
}

/// One or several native tapes as one ordered stream.
///
/// Dense tokens and market keys are made here, in the order of the listing events; they are valid
/// for this reader's stream only. `Stamped.seq` is the stored one when a single tape is read, and
/// the position in the merged stream when several are.
pub struct TapeReader {
    lanes: Vec<Lane>,
    universe: Universe,
    position: u64,
    failed: bool,
}

impl TapeReader {
    /// Opens one tape.
    ///
    /// # Errors
    /// No tape, an unfinished one, another schema version, or a missing file.
    pub fn open(dir: &Path) -> Result<TapeReader, TapeError> {
        TapeReader::open_many(&[dir.to_owned()])
    }

    /// Opens several tapes, merged by (`at`, position in the list, `seq`).
    ///
    /// # Errors
    /// As [`TapeReader::open`], or no tape was named.
    pub fn open_many(dirs: &[PathBuf]) -> Result<TapeReader, TapeError> {
        if dirs.is_empty() {
            return Err(TapeError::Empty {
                path: PathBuf::new(),
                problem: "no tape was named".to_owned(),
            });
        }
        let mut lanes = Vec::new();
        for dir in dirs {
            lanes.push(Lane::open(dir)?);
        }
        Ok(TapeReader { lanes, universe: Universe::new(), position: 0, failed: false })
    }

    /// What the (first) tape is.
    pub fn manifest(&self) -> &Manifest {
        &self.lanes[0].manifest
    }

    /// What the import of the (first) tape saw.
    pub fn certificate(&self) -> &Certificate {
        &self.lanes[0].certificate
    }

    /// Manifests and certificates of all tapes, in the order they were named.
    pub fn tapes(&self) -> impl Iterator<Item = (&Manifest, &Certificate)> {
        self.lanes.iter().map(|lane| (&lane.manifest, &lane.certificate))
    }

    /// The markets listed so far.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    fn next_of_many(&mut self, into: &mut Stamped) -> Result<bool, TapeError> {
        let mut best: Option<(i64, usize)> = None;
        for (rank, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(at) = lane.peek(&self.universe)?
                && best.is_none_or(|(earliest, _)| at < earliest)
            {
                best = Some((at, rank));
            }
        }
        let Some((_, rank)) = best else { return Ok(false) };
        self.lanes[rank].take(&mut self.universe, into)?;
        into.seq = self.position;
        self.position += 1;
        Ok(true)
    }
}

impl EventSource for TapeReader {
    #[inline]
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        let mut stamped = blank();
        Ok(self.next_into(&mut stamped)?.then_some(stamped))
    }

    #[inline]
    fn next_into(&mut self, into: &mut Stamped) -> Result<bool, TapeError> {
        if self.failed {
            return Ok(false);
        }
        let next = if let [lane] = self.lanes.as_mut_slice() {
            match lane.peek(&self.universe) {
                Ok(Some(_)) => lane.take(&mut self.universe, into).map(|()| true),
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            }
        } else {
            self.next_of_many(into)
        };
        self.failed = next.is_err();
        next
    }
}

impl Lane {
    fn open(dir: &Path) -> Result<Lane, TapeError> {
        let manifest = Manifest::read(dir)?;
        let certificate = Certificate::read(dir)?;
        let mut days = std::collections::BTreeMap::<_, Vec<_>>::new();
        for relative in &manifest.files {
            let (day, market) = schema::parse_path(dir, relative)?;
            if !dir.join(relative).is_file() {
                let path = dir.join(relative);
                let problem = "the manifest names it, but it is not there; copy the whole folder";
                return Err(TapeError::corrupt(&path, "its place", problem));
            }
            days.entry(day).or_default().push((relative.clone(), market));
        }
        Ok(Lane {
            dir: dir.to_owned(),
            manifest,
            certificate,
            days: days.into_values().collect(),
            sources: Vec::new(),
            slots: vec![VACANT; BLOCK],
            payloads: Vec::new(),
            next: 0,
            end: 0,
            given: 0,
        })
    }

    /// `at` of the next row.
    #[inline]
    fn peek(&mut self, universe: &Universe) -> Result<Option<i64>, TapeError> {
        loop {
            while self.next < self.end {
                let slot = &self.slots[self.next];
                if slot.source != NOBODY {
                    return Ok(Some(slot.row.at));
                }
                self.next += 1;
            }
            if !self.fill(universe)? {
                return Ok(None);
            }
        }
    }

    /// Writes the row `peek` found over `into`.
    #[inline]
    fn take(&mut self, universe: &mut Universe, into: &mut Stamped) -> Result<(), TapeError> {
        let slot = &self.slots[self.next];
        self.next += 1;
        self.given += 1;
        let key = self.sources[slot.source as usize].key;
        if slot.row.kind == Kind::Level as u8 && key.is_some() {
            return match row::decode(&slot.row, key, None, universe, into) {
                Ok(()) => Ok(()),
                Err(error) => Err(self.damaged(slot, error.0)),
            };
        }
        let slot = *slot;
        self.take_rare(slot, universe, into)
    }

    #[cold]
    fn take_rare(
        &mut self,
        slot: Slot,
        universe: &mut Universe,
        into: &mut Stamped,
    ) -> Result<(), TapeError> {
        let payload = match self.payloads.get(slot.payload as usize) {
            Some(bytes) => Some(
                std::str::from_utf8(bytes.data())
                    .map_err(|error| self.damaged(&slot, format!("payload: {error}")))?,
            ),
            None => None,
        };
        let source = &self.sources[slot.source as usize];
        if source.market.is_some() && source.key.is_none() && slot.row.kind != Kind::Listed as u8 {
            return Err(self.damaged(&slot, "it stands before its market's listing".to_owned()));
        }
        row::decode(&slot.row, source.key, payload, universe, into)
            .map_err(|error| self.damaged(&slot, error.0))?;
        if let Event::Listed(market) = &into.event {
            let key = universe.list(market.clone()).map_err(|source| TapeError::Market {
                place: format!("{}: listing at seq {}", self.dir.display(), slot.row.seq),
                source: Box::new(source),
            })?;
            for source in &mut self.sources {
                if source.market == Some(market.condition) {
                    source.key = Some(key);
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn damaged(&self, slot: &Slot, problem: String) -> TapeError {
        let path = &self.sources[slot.source as usize].reader.path;
        TapeError::corrupt(path, format!("seq {}", slot.row.seq), problem)
    }

    /// Fills the next block; false at the end of the tape.
    #[cold]
    fn fill(&mut self, universe: &Universe) -> Result<bool, TapeError> {
        let base = loop {
            let mut base = None;
            for source in &mut self.sources {
                if let Some(seq) = source.reader.peek()?
                    && base.is_none_or(|least| seq < least)
                {
                    base = Some(seq);
                }
            }
            if let Some(base) = base {
                break base;
            }
            if !self.open_day(universe)? {
                if self.given != self.manifest.rows {
                    let given = self.given;
                    self.given = self.manifest.rows;
                    let problem =
                        format!("{} rows, but its files hold {given}", self.manifest.rows);
                    return Err(TapeError::corrupt(&self.dir, "the manifest's count", problem));
                }
                return Ok(false);
            }
        };
        for slot in &mut self.slots[..self.end] {
            slot.source = NOBODY;
        }
        self.payloads.clear();
        (self.next, self.end) = (0, 0);
        for (index, source) in self.sources.iter_mut().enumerate() {
            while source.reader.peek()?.is_some() {
                let decoded = source.reader.decoded();
                let (mut taken, mut payloads) = (0, 0);
                while taken < decoded.len() {
                    let seq = decoded.seq(taken);
                    let place = seq.wrapping_sub(base);
                    let Some(slot) = self.slots.get_mut(place as usize) else {
                        if seq < base {
                            let problem = format!("seq {seq} comes after {base}");
                            return Err(disorder(source, problem));
                        }
                        break;
                    };
                    if slot.source != NOBODY {
                        let problem = format!("seq {seq} stands twice on this tape");
                        return Err(disorder(source, problem));
                    }
                    decoded.read(taken, &mut slot.row);
                    slot.source = index as u32;
                    slot.payload = NOBODY;
                    if decoded.has_payload(taken)
                        && let Some(payload) = decoded.payloads.get(payloads)
                    {
                        slot.payload = self.payloads.len() as u32;
                        self.payloads.push(payload.clone());
                        payloads += 1;
                    }
                    self.end = self.end.max(place as usize + 1);
                    taken += 1;
                }
                let all = taken == decoded.len();
                source.reader.take(taken, payloads);
                if !all {
                    break;
                }
            }
        }
        Ok(true)
    }

    fn open_day(&mut self, universe: &Universe) -> Result<bool, TapeError> {
        let Some(files) = self.days.pop_front() else { return Ok(false) };
        self.sources.clear();
        for (relative, market) in files {
            let reader = PartReader::open(&self.dir.join(&relative))?;
            let key = market.as_ref().and_then(|condition| universe.key(condition));
            self.sources.push(Source { reader, market, key });
        }
        Ok(true)
    }
}
