//! Writes a native tape: sorts nothing, checks the order, and partitions by day and market.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;
use polydesk_domain::{ConditionId, Event, Market, MarketEvent, Stamped, Time, Universe};

use crate::checksum::{Checksums, HashedFile};
use crate::kind::Kind;
use crate::manifest::{
    CERTIFICATE_FILE, MANIFEST_FILE, Manifest, ManifestDraft, MarketSummary, REJECTS_FILE,
    SCHEMA_VERSION, TimeSpan, write_json,
};
use crate::merge::RowHash;
use crate::row::{self, Encoded, TapeRow};
use crate::{Certificate, Reject, TapeError, schema};

/// Files kept open at once; the one longest unused is finished when another is needed.
const MAX_OPEN: usize = 256;
/// Rows kept in memory over all markets before the largest buffer becomes a row group.
const MAX_BUFFERED: usize = 24 * 1024 * 1024;
const ROW_BYTES: usize = 48;

/// Writes one tape into a new or empty folder.
///
/// Nothing counts until [`TapeWriter::finish`] has written the manifest: a folder without one is
/// refused by the reader as unfinished.
pub struct TapeWriter {
    dir: PathBuf,
    /// The mark of an unfinished tape, locked while it is written: no second writer may take the folder away.
    lock: File,
    draft: ManifestDraft,
    schema: TypePtr,
    universe: Universe,
    first_listed: Vec<Arc<Market>>,
    rows_of: BTreeMap<Option<ConditionId>, u64>,
    parts: BTreeMap<Option<ConditionId>, Part>,
    part_numbers: BTreeMap<(String, Option<ConditionId>), u32>,
    files: BTreeSet<String>,
    /// Checksums of the files that are finished.
    checksums: BTreeMap<String, String>,
    day: Option<(i64, String)>,
    last: Option<(Time, u64)>,
    pub(crate) span: Option<TimeSpan>,
    rows: u64,
    kinds: [u64; Kind::ALL.len()],
    buffered: usize,
    hash: RowHash,
    rejects: BufWriter<File>,
}

/// Stands in a tape's folder until the manifest is written.
const MARKER_FILE: &str = "UNFINISHED";
const MARKER: &str =
    "A tape is being written here by polydesk; without a manifest it is incomplete.\n";

/// What lies where an unfinished tape may have been left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// Nothing, or an empty folder.
    Absent,
    /// A tape that [`TapeWriter`] began and did not finish.
    Ours,
    /// One that a [`TapeWriter`] is still writing.
    Busy,
    /// Something else.
    Other,
}

/// The buffered columns and the open file of one partition.
struct Part {
    path: PathBuf,
    /// The path in the manifest.
    relative: String,
    file: SerializedFileWriter<HashedFile>,
    rows: Vec<TapeRow>,
    /// Payloads with the rows they belong to: most rows have none.
    payloads: Vec<(usize, String)>,
    bytes: usize,
    used: u64,
}

impl TapeWriter {
    /// Begins a tape in `dir`, which must be absent or empty.
    ///
    /// # Errors
    /// The folder holds something, or cannot be written.
    pub fn create(dir: &Path, draft: ManifestDraft) -> Result<TapeWriter, TapeError> {
        std::fs::create_dir_all(dir).map_err(TapeError::io(dir, "creating the folder"))?;
        let mut entries = std::fs::read_dir(dir).map_err(TapeError::io(dir, "listing"))?;
        if entries.next().is_some() {
            return Err(TapeError::setting(
                dir,
                "the output folder",
                "not empty",
                "a tape needs a new or empty folder; name another one or empty it",
            ));
        }
        let marker = dir.join(MARKER_FILE);
        let mut lock = File::create(&marker).map_err(TapeError::io(&marker, "creating"))?;
        lock.write_all(MARKER.as_bytes()).map_err(TapeError::io(&marker, "creating"))?;
        // Where the disk knows no locks, nobody is kept out.
        let _ = lock.try_lock();
        let path = dir.join(REJECTS_FILE);
        let rejects = File::create(&path).map_err(TapeError::io(&path, "creating"))?;
        Ok(TapeWriter {
            dir: dir.to_owned(),
            lock,
            draft,
            schema: schema::schema()
                .map_err(|error| TapeError::corrupt(dir, "the schema", error))?,
            universe: Universe::new(),
            first_listed: Vec::new(),
            rows_of: BTreeMap::new(),
            parts: BTreeMap::new(),
            part_numbers: BTreeMap::new(),
            files: BTreeSet::new(),
            checksums: BTreeMap::new(),
            day: None,
            last: None,
            span: None,
            rows: 0,
            kinds: [0; Kind::ALL.len()],
            buffered: 0,
            hash: RowHash::default(),
            rejects: BufWriter::new(rejects),
        })
    }

    /// What lies in a folder that an interrupted writer may have left.
    pub fn unfinished(dir: &Path) -> Unfinished {
        let marker = std::fs::read_to_string(dir.join(MARKER_FILE));
        if marker.is_ok_and(|text| text == MARKER) {
            let mark = File::open(dir.join(MARKER_FILE)).map(|mark| mark.try_lock());
            let busy = matches!(mark, Ok(Err(TryLockError::WouldBlock)));
            return if busy { Unfinished::Busy } else { Unfinished::Ours };
        }
        match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Unfinished::Absent,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Unfinished::Absent,
            _ => Unfinished::Other,
        }
    }

    /// The markets listed now. The dense ids of pushed events must be this universe's.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends an event. `at` must not run backwards and `seq` must grow.
    ///
    /// # Errors
    /// The order is broken, the event speaks of a market that is not listed, or lists one under another key
    /// than this universe gives, or the disk refuses.
    pub fn push(&mut self, stamped: &Stamped) -> Result<(), TapeError> {
        let refused = |problem: String| TapeError::Event { seq: stamped.seq, problem };
        if let Some((at, seq)) = self.last
            && (stamped.at < at || stamped.seq <= seq)
        {
            return Err(refused(format!(
                "it stands at {} after ({at}, {seq}): at must not run backwards and seq must grow",
                stamped.at
            )));
        }
        let encoded = encode(stamped, &mut self.universe)?;
        let size = encoded.payload.as_ref().map_or(0, String::len);
        if size > schema::MAX_PAYLOAD {
            let most = schema::MAX_PAYLOAD;
            let problem = format!("its payload has {size} bytes, at most {most} are stored");
            return Err(TapeError::Event { seq: stamped.seq, problem });
        }
        if let Event::Market(MarketEvent::Listed { market, .. }) = &stamped.event
            && !self.rows_of.contains_key(&Some(market.condition))
        {
            self.first_listed.push(market.clone());
        }
        self.last = Some((stamped.at, stamped.seq));
        let first = self.span.map_or(stamped.at, |span| span.first);
        self.span = Some(TimeSpan { first, last: stamped.at });
        self.rows += 1;
        self.kinds[usize::from(encoded.row.kind)] += 1;
        let payload = encoded.payload.as_deref().unwrap_or("").as_bytes();
        self.hash.row(&encoded.row, encoded.market.as_ref(), payload);
        self.buffer(stamped.at, encoded)
    }

    /// Keeps a row that could not become an event, with its reason and place.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn reject(&mut self, reject: &Reject) -> Result<(), TapeError> {
        let path = self.dir.join(REJECTS_FILE);
        let mut line = serde_json::to_string(reject)
            .map_err(|error| TapeError::corrupt(&path, "writing", error))?;
        line.push('\n');
        self.rejects.write_all(line.as_bytes()).map_err(TapeError::io(&path, "writing"))
    }

    /// Finishes every file, then certificate and manifest. A certificate that counts no events (there
    /// was no import) gets the tape's own counts and span, and `recorded` for its format.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn finish(mut self, mut certificate: Certificate) -> Result<Manifest, TapeError> {
        self.close_all()?;
        let path = self.dir.join(REJECTS_FILE);
        self.rejects.flush().map_err(TapeError::io(&path, "writing"))?;
        let mut kinds = BTreeMap::new();
        for kind in Kind::ALL {
            let count = self.kinds[kind as usize];
            if count != 0 {
                kinds.insert(kind.name().to_owned(), count);
            }
        }
        if certificate.events == 0 {
            certificate.events = self.rows;
            certificate.kinds = kinds.clone();
            certificate.span = self.span;
        }
        if certificate.format.is_empty() {
            certificate.format = "recorded".to_owned();
        }
        let mut markets = Vec::new();
        for market in &self.first_listed {
            markets.push(MarketSummary {
                condition: market.condition,
                tokens: market.tokens,
                question: market.question.clone(),
                rows: self.rows_of.get(&Some(market.condition)).copied().unwrap_or(0),
            });
        }
        let content_sha256 = self.hash.finish();
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            name: self.draft.name,
            checksums: Some(Checksums::seal(self.checksums, &content_sha256, self.rows)),
            content_sha256,
            source: self.draft.source,
            licence: self.draft.licence,
            span: self.span,
            rows: self.rows,
            kinds,
            times: self.draft.times,
            synthetic: self.draft.synthetic,
            markets,
            files: self.files.into_iter().collect(),
        };
        write_json(&self.dir.join(CERTIFICATE_FILE), &certificate)?;
        write_json(&self.dir.join(MANIFEST_FILE), &manifest)?;
        let marker = self.dir.join(MARKER_FILE);
        drop(self.lock);
        std::fs::remove_file(&marker).map_err(TapeError::io(&marker, "removing"))?;
        Ok(manifest)
    }

    fn buffer(&mut self, at: Time, encoded: Encoded) -> Result<(), TapeError> {
        let day = at.day();
        if self.day.as_ref().is_none_or(|(open, _)| *open != day) {
            self.close_all()?;
            self.day = Some((day, day_name(at)));
        }
        *self.rows_of.entry(encoded.market).or_default() += 1;
        if !self.parts.contains_key(&encoded.market) {
            self.open(encoded.market)?;
        }
        let Some(part) = self.parts.get_mut(&encoded.market) else { return Ok(()) };
        part.used = self.rows;
        let bytes = ROW_BYTES + encoded.payload.as_ref().map_or(0, String::len);
        part.bytes += bytes;
        self.buffered += bytes;
        if let Some(payload) = encoded.payload {
            part.payloads.push((part.rows.len(), payload));
        }
        part.rows.push(encoded.row);
        if part.rows.len() >= schema::GROUP_ROWS {
            self.buffered -= part.bytes;
            return part.flush();
        }
        if self.buffered > MAX_BUFFERED
            && let Some(largest) = self.parts.values_mut().max_by_key(|part| part.bytes)
        {
            self.buffered -= largest.bytes;
            return largest.flush();
        }
        Ok(())
    }

    fn open(&mut self, market: Option<ConditionId>) -> Result<(), TapeError> {
        if self.parts.len() >= MAX_OPEN {
            let stale = self.parts.iter().min_by_key(|(_, part)| part.used);
            if let Some(key) = stale.map(|(key, _)| *key)
                && let Some(part) = self.parts.remove(&key)
            {
                self.buffered -= part.bytes;
                let (relative, checksum) = part.close()?;
                self.checksums.insert(relative, checksum);
            }
        }
        let day = self.day.as_ref().map_or_else(String::new, |(_, name)| name.clone());
        let number = self.part_numbers.entry((day.clone(), market)).or_default();
        let folder =
            format!("{}/day={day}/market={}", schema::EVENTS, schema::partition(market.as_ref()));
        let relative = format!("{folder}/part-{number}.parquet");
        *number += 1;
        let folder = self.dir.join(folder);
        std::fs::create_dir_all(&folder).map_err(TapeError::io(&folder, "creating the folder"))?;
        let path = self.dir.join(&relative);
        let file = File::create(&path).map_err(TapeError::io(&path, "creating"))?;
        let properties = schema::properties(market.as_ref());
        let file =
            SerializedFileWriter::new(HashedFile::new(file), self.schema.clone(), properties)
                .map_err(|error| TapeError::corrupt(&path, "its start", error))?;
        self.files.insert(relative.clone());
        let part = Part {
            path,
            relative,
            file,
            rows: Vec::new(),
            payloads: Vec::new(),
            bytes: 0,
            used: self.rows,
        };
        self.parts.insert(market, part);
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), TapeError> {
        self.buffered = 0;
        for (_, part) in std::mem::take(&mut self.parts) {
            let (relative, checksum) = part.close()?;
            self.checksums.insert(relative, checksum);
        }
        Ok(())
    }
}

/// `2026-06-07` of a time.
pub(crate) fn day_name(at: Time) -> String {
    at.to_string().chars().take(10).collect()
}

impl Part {
    fn flush(&mut self) -> Result<(), TapeError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let path = self.path.clone();
        self.write_group().map_err(|error| TapeError::corrupt(&path, "writing", error))?;
        // The memory goes back: with many markets, what each keeps would add up.
        self.rows = Vec::new();
        self.payloads.clear();
        self.bytes = 0;
        Ok(())
    }

    fn write_group(&mut self) -> parquet::errors::Result<()> {
        let mut group = self.file.next_row_group()?;
        let mut longs: Vec<i64> = Vec::with_capacity(self.rows.len());
        let mut ints: Vec<i32> = Vec::with_capacity(self.rows.len());
        for name in schema::COLUMNS {
            longs.clear();
            ints.clear();
            for row in &self.rows {
                match name {
                    "at" => longs.push(row.at),
                    "venue_at" => longs.push(row.venue_at),
                    "seq" => longs.push(row.seq as i64),
                    "size" => longs.push(row.size as i64),
                    "kind" => ints.push(i32::from(row.kind)),
                    "outcome" => ints.push(i32::from(row.outcome)),
                    "side" => ints.push(i32::from(row.side)),
                    "price" => ints.push(i32::from(row.price)),
                    "best_bid" => ints.push(i32::from(row.best_bid)),
                    "best_ask" => ints.push(i32::from(row.best_ask)),
                    _ => (),
                }
            }
            let Some(mut column) = group.next_column()? else { break };
            if name == "payload" {
                let mut levels = vec![0; self.rows.len()];
                let mut texts = Vec::new();
                for (row, text) in self.payloads.drain(..) {
                    levels[row] = 1;
                    texts.push(ByteArray::from(text.into_bytes()));
                }
                let mut texts = texts.as_slice();
                for levels in levels.chunks(schema::PAYLOADS_AT_ONCE) {
                    let here = levels.iter().filter(|level| **level == 1).count();
                    let (now, rest) = texts.split_at(here);
                    column.typed::<ByteArrayType>().write_batch(now, Some(levels), None)?;
                    texts = rest;
                }
            } else if longs.is_empty() {
                column.typed::<Int32Type>().write_batch(&ints, None, None)?;
            } else {
                column.typed::<Int64Type>().write_batch(&longs, None, None)?;
            }
            column.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Finishes the file: its path in the manifest and the checksum of its bytes.
    fn close(mut self) -> Result<(String, String), TapeError> {
        self.flush()?;
        let path = self.path;
        let file =
            self.file.into_inner().map_err(|error| TapeError::corrupt(&path, "its end", error))?;
        Ok((self.relative, file.checksum()))
    }
}

/// Turns an event into its row, and keeps the universe in step with listings and delistings.
fn encode(stamped: &Stamped, universe: &mut Universe) -> Result<Encoded, TapeError> {
    let encoded = row::encode(stamped, universe)
        .map_err(|problem| TapeError::Event { seq: stamped.seq, problem: problem.0 })?;
    match &stamped.event {
        Event::Market(MarketEvent::Listed { key, market }) => {
            universe.list(*key, market.clone()).map_err(|source| TapeError::Market {
                place: format!("listing at event {}", stamped.seq),
                source: Box::new(source),
            })?;
        }
        Event::Market(MarketEvent::Delisted { market }) => {
            universe.delist(*market);
        }
        _ => (),
    }
    Ok(encoded)
}

/// The content hash of a stream, as a tape of it would have it: for checking a tape against what
/// it claims. The universe of the events is rebuilt from their listings.
///
/// # Errors
/// The source fails, or an event speaks of a market that is not listed.
pub fn content_hash(source: &mut dyn crate::EventSource) -> Result<String, TapeError> {
    let mut universe = Universe::new();
    let mut hash = RowHash::default();
    while let Some(stamped) = source.next_event()? {
        let Encoded { row, market, payload } = encode(&stamped, &mut universe)?;
        hash.row(&row, market.as_ref(), payload.as_deref().unwrap_or("").as_bytes());
    }
    Ok(hash.finish())
}

/// Reads a whole tape, which checks its rows and bytes against the manifest.
///
/// # Errors
/// As reading: at the end the content hash differs.
pub fn verify(dir: &Path) -> Result<(), TapeError> {
    let mut reader = crate::TapeReader::open_rows(dir)?;
    while crate::EventSource::next_event(&mut reader)?.is_some() {}
    Ok(())
}
