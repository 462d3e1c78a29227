//! Reads native tapes as one ordered stream in bounded memory.
//!
//! Inside a tape the order is that of `seq` (made in `merge`); several tapes are merged by (`at`,
//! content hash, `seq`). Dense tokens and market keys are given here, in the order of the
//! listings: the files store none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use polydesk_domain::{Event, Interruption, MarketEvent, MarketKey, Stamped, Time, Universe};

use crate::kind::Kind;
use crate::merge::{Block, BlockSlot, Blocks, Checks, Partition, VACANT_SOURCE};
use crate::row;
use crate::{Certificate, EventSource, Manifest, TapeError};

/// One tape of the merge.
struct Lane {
    dir: PathBuf,
    manifest: Manifest,
    certificate: Certificate,
    blocks: Blocks,
    block: Block,
    partitions: Vec<Partition>,
    /// The market key of each partition, once it is listed.
    keys: Vec<Option<MarketKey>>,
    next: usize,
    given: u64,
    /// Markets that it listed and nobody delisted.
    markets: BTreeSet<MarketKey>,
    /// `at` of its last row, once given.
    last: Option<i64>,
    /// Whether no row follows.
    ended: bool,
    /// Whether its markets count as its no longer: they were interrupted after its end.
    retired: bool,
}

/// One or several native tapes as one ordered stream.
///
/// Dense tokens and market keys are given here, in the order of the listing events; they are valid
/// for this reader's stream only. A delisted market's key is not used again, and a market that one of
/// several tapes delists is over for all of them. `Stamped.seq` is the stored one when a single tape is
/// read, and the position in the merged stream when several are.
///
/// Where a tape ends and others go on for longer than its [`Certificate::silence`], the stream is interrupted in the
/// markets that no other tape carries on: what stood there when the recording ended is not known to stand.
pub struct TapeReader {
    lanes: Vec<Lane>,
    universe: Universe,
    position: u64,
    /// The tape of the last event.
    source: usize,
    /// When the first of the tapes that ended has been silent for as long as it may.
    due: i64,
    failed: bool,
}

impl TapeReader {
    /// Opens one tape. Its bytes are hashed on the way (its rows, where the manifest has no checksums): where they
    /// are not what the manifest says, the stream ends with an error instead of its end. A flipped bit inside a
    /// column may show nowhere else, as Parquet pages carry no checksum.
    ///
    /// # Errors
    /// No tape, an unfinished one, another schema version, or a missing file.
    pub fn open(dir: &Path) -> Result<TapeReader, TapeError> {
        TapeReader::open_many(&[dir.to_owned()])
    }

    /// Opens several tapes, merged by (`at`, content hash, `seq`): their order in the list changes nothing.
    ///
    /// # Errors
    /// As [`TapeReader::open`], no tape was named, or one of them twice.
    pub fn open_many(dirs: &[PathBuf]) -> Result<TapeReader, TapeError> {
        TapeReader::open_lanes(dirs, Checks::Stated)
    }

    /// The same without the hash: for reading again what this process has read to its end before.
    ///
    /// # Errors
    /// As [`TapeReader::open_many`].
    pub fn open_again(dirs: &[PathBuf]) -> Result<TapeReader, TapeError> {
        TapeReader::open_lanes(dirs, Checks::Nothing)
    }

    /// Opens one tape for a reading that checks its content hash, whatever else it states.
    pub(crate) fn open_rows(dir: &Path) -> Result<TapeReader, TapeError> {
        TapeReader::open_lanes(&[dir.to_owned()], Checks::Rows)
    }

    fn open_lanes(dirs: &[PathBuf], checks: Checks) -> Result<TapeReader, TapeError> {
        if dirs.is_empty() {
            return Err(TapeError::Empty {
                path: PathBuf::new(),
                problem: "no tape was named".to_owned(),
            });
        }
        let mut lanes = Vec::new();
        for dir in dirs {
            lanes.push(Lane::open(dir, checks)?);
        }
        // Rows of one time come in an order of their own, whatever the order in which the tapes are named.
        lanes.sort_by(|one, two| one.manifest.content_sha256.cmp(&two.manifest.content_sha256));
        for pair in lanes.windows(2) {
            if pair[0].manifest.content_sha256 == pair[1].manifest.content_sha256 {
                let other = pair[0].dir.display().to_string();
                let rule = "the same rows would count twice; name each tape once";
                return Err(TapeError::setting(&pair[1].dir, "equal to another tape", other, rule));
            }
        }
        Ok(TapeReader {
            lanes,
            universe: Universe::new(),
            position: 0,
            source: 0,
            due: i64::MAX,
            failed: false,
        })
    }

    /// What the (first) tape is.
    pub fn manifest(&self) -> &Manifest {
        &self.lanes[0].manifest
    }

    /// What the import of the (first) tape saw.
    pub fn certificate(&self) -> &Certificate {
        &self.lanes[0].certificate
    }

    /// Manifests and certificates of all tapes, in the order of their content hashes.
    pub fn tapes(&self) -> impl Iterator<Item = (&Manifest, &Certificate)> {
        self.lanes.iter().map(|lane| (&lane.manifest, &lane.certificate))
    }

    /// The markets listed now.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, error: TapeError) -> Result<Option<Stamped>, TapeError> {
        self.failed = true;
        Err(error)
    }

    fn next_of_many(&mut self) -> Result<Option<Stamped>, TapeError> {
        let mut best: Option<(i64, usize)> = None;
        for rank in 0..self.lanes.len() {
            if self.lanes[rank].ended {
                continue;
            }
            match self.lanes[rank].peek(&self.universe) {
                Ok(Some(at)) if best.is_none_or(|(earliest, _)| at < earliest) => {
                    best = Some((at, rank));
                }
                Ok(Some(_)) => (),
                Ok(None) => {
                    self.lanes[rank].ended = true;
                    self.due = self.due.min(self.lanes[rank].due().unwrap_or(i64::MAX));
                }
                Err(error) => return self.fail(error),
            }
        }
        let Some((at, rank)) = best else { return Ok(None) };
        if at > self.due
            && let Some(interruption) = self.interrupt(at)
        {
            return Ok(Some(interruption));
        }
        self.source = rank;
        match self.lanes[rank].take_any(&mut self.universe) {
            Ok(stamped) => {
                self.lanes[rank].last = Some(at);
                if let Event::Market(MarketEvent::Delisted { market }) = stamped.event {
                    self.lanes.iter_mut().for_each(|lane| lane.forget(market));
                }
                let seq = self.position;
                self.position += 1;
                Ok(Some(Stamped { seq, ..stamped }))
            }
            Err(error) => self.fail(error),
        }
    }

    /// The next interruption that is due before `at`, in the order of time, content hash and market.
    ///
    /// A market is carried on by every other tape that listed it and is not silent for too long itself.
    #[cold]
    fn interrupt(&mut self, at: i64) -> Option<Stamped> {
        loop {
            let due = |(rank, lane): (usize, &Lane)| Some((lane.due()?, rank));
            let first = self.lanes.iter().enumerate().filter_map(due).min();
            self.due = first.map_or(i64::MAX, |(due, _)| due);
            let (due, rank) = first.filter(|(due, _)| *due < at)?;
            let Some(market) = self.lanes[rank].markets.pop_first() else {
                self.lanes[rank].retired = true;
                continue;
            };
            if self.lanes.iter().any(|lane| !lane.retired && lane.markets.contains(&market)) {
                continue;
            }
            self.source = rank;
            let seq = self.position;
            self.position += 1;
            let at = Time::from_nanos(due);
            let event = MarketEvent::Interrupted(Interruption { market: Some(market) });
            return Some(Stamped { at, venue_at: at, seq, event: event.into() });
        }
    }

    /// The next event of a single tape that is not an ordinary level change.
    #[cold]
    #[inline(never)]
    fn next_rare(&mut self) -> Result<Option<Stamped>, TapeError> {
        match self.lanes[0].peek(&self.universe) {
            Ok(Some(_)) => (),
            Ok(None) => return Ok(None),
            Err(error) => return self.fail(error),
        }
        match self.lanes[0].take_any(&mut self.universe) {
            Ok(stamped) => Ok(Some(stamped)),
            Err(error) => self.fail(error),
        }
    }
}

impl EventSource for TapeReader {
    fn source(&self) -> usize {
        self.source
    }

    #[inline]
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        if self.failed {
            return Ok(None);
        }
        let [lane] = self.lanes.as_mut_slice() else { return self.next_of_many() };
        // The event is built where it is returned: an answer copied twice costs as much as decoding.
        if let Some(slot) = lane.block.slots[..lane.block.end].get(lane.next)
            && slot.row.kind == Kind::Level as u8
            && let Some(Some(key)) = lane.keys.get(slot.source as usize)
            && let Some(change) = row::level(&slot.row, *key)
        {
            lane.next += 1;
            lane.given += 1;
            return Ok(Some(Stamped {
                at: Time::from_nanos(slot.row.at),
                venue_at: Time::from_nanos(slot.row.venue_at),
                seq: slot.row.seq,
                event: Event::Market(MarketEvent::Level(change)),
            }));
        }
        self.next_rare()
    }
}

impl Lane {
    fn open(dir: &Path, checks: Checks) -> Result<Lane, TapeError> {
        let manifest = Manifest::read(dir)?;
        let certificate = Certificate::read(dir)?;
        let blocks = Blocks::start(dir.to_owned(), &manifest, checks)?;
        Ok(Lane {
            dir: dir.to_owned(),
            manifest,
            certificate,
            blocks,
            block: Block::nothing(),
            partitions: Vec::new(),
            keys: Vec::new(),
            next: 0,
            given: 0,
            markets: BTreeSet::new(),
            last: None,
            ended: false,
            retired: false,
        })
    }

    /// When it has been silent for as long as it may, once it has ended and until its markets were interrupted.
    fn due(&self) -> Option<i64> {
        if !self.ended || self.retired {
            return None;
        }
        Some((Time::from_nanos(self.last?) + self.certificate.silence()?).nanos())
    }

    /// `at` of the next row.
    #[inline]
    fn peek(&mut self, universe: &Universe) -> Result<Option<i64>, TapeError> {
        loop {
            while self.next < self.block.end {
                let slot = &self.block.slots[self.next];
                if slot.source != VACANT_SOURCE {
                    return Ok(Some(slot.row.at));
                }
                self.next += 1;
            }
            if !self.advance(universe)? {
                return Ok(None);
            }
        }
    }

    /// Fetches the next block; false at the end of the tape.
    #[cold]
    fn advance(&mut self, universe: &Universe) -> Result<bool, TapeError> {
        if let Some(error) = self.block.error.take() {
            return Err(error);
        }
        if self.block.last {
            return self.ended();
        }
        let used = std::mem::replace(&mut self.block, Block::nothing());
        self.block = self.blocks.next(used);
        self.next = 0;
        if let Some(partitions) = self.block.partitions.take() {
            let key = |partition: &Partition| universe.key(partition.market.as_ref()?);
            self.keys = partitions.iter().map(key).collect();
            self.partitions = partitions;
        }
        Ok(true)
    }

    fn ended(&mut self) -> Result<bool, TapeError> {
        let digest = self.block.digest.take();
        let given = std::mem::replace(&mut self.given, self.manifest.rows);
        if given != self.manifest.rows {
            let problem = format!("{} rows, but its files hold {given}", self.manifest.rows);
            return Err(TapeError::corrupt(&self.dir, "the manifest's count", problem));
        }
        let claimed = &self.manifest.content_sha256;
        if let Some(found) = digest.filter(|found| found != claimed) {
            let problem =
                format!("the rows hash to {found}, the manifest says {claimed}: copy it again");
            return Err(TapeError::corrupt(&self.dir, "its content hash", problem));
        }
        Ok(false)
    }

    /// The row `peek` found, as an event.
    fn take_any(&mut self, universe: &mut Universe) -> Result<Stamped, TapeError> {
        let slot = self.block.slots[self.next];
        self.next += 1;
        self.given += 1;
        let payload = match self.block.payloads.get(slot.payload as usize) {
            Some(bytes) => Some(
                std::str::from_utf8(bytes.data())
                    .map_err(|error| self.damaged(&slot, format!("payload: {error}")))?,
            ),
            None => None,
        };
        let key = self.keys[slot.source as usize];
        let market = self.partitions[slot.source as usize].market;
        if market.is_some() && key.is_none() && slot.row.kind != Kind::Listed as u8 {
            let problem = "it stands before its market's listing or after its delisting";
            return Err(self.damaged(&slot, problem.to_owned()));
        }
        let stamped = row::decode(&slot.row, key, payload, universe)
            .map_err(|error| self.damaged(&slot, error.0))?;
        match &stamped.event {
            Event::Market(MarketEvent::Listed { key, market }) => {
                universe.list(*key, market.clone()).map_err(|source| TapeError::Market {
                    place: format!("{}: listing at seq {}", self.dir.display(), slot.row.seq),
                    source: Box::new(source),
                })?;
                self.markets.insert(*key);
                for (partition, known) in self.partitions.iter().zip(&mut self.keys) {
                    if partition.market == Some(market.condition) {
                        *known = Some(*key);
                    }
                }
            }
            Event::Market(MarketEvent::Delisted { market }) => {
                universe.delist(*market);
                self.forget(*market);
            }
            _ => (),
        }
        Ok(stamped)
    }

    /// The market of this key is not listed any more.
    fn forget(&mut self, key: MarketKey) {
        self.markets.remove(&key);
        for known in &mut self.keys {
            if *known == Some(key) {
                *known = None;
            }
        }
    }

    #[cold]
    fn damaged(&self, slot: &BlockSlot, problem: String) -> TapeError {
        let path = &self.partitions[slot.source as usize].path;
        TapeError::corrupt(path, format!("seq {}", slot.row.seq), problem)
    }
}
