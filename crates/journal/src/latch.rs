//! The latch file `kill`: two sectors, so that a change never touches the one that holds.

use serde::{Deserialize, Serialize};
use std::io;

use crate::disk::{Disk, Op};
use crate::frame::{u32_at, u64_at, zeros};
use crate::names::LATCH;

const SECTOR: usize = 512;
const HEAD: usize = 16;

/// Whether orders may leave at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latch {
    /// No.
    Killed,
    /// Yes, as far as this file is concerned.
    Clear,
}

/// Content of a sector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchState {
    /// Version of these fields.
    pub v: u32,
    /// Whether orders may leave.
    pub state: Latch,
    /// Wall time of the change, milliseconds since 1970.
    pub at: i64,
    /// Who asked for it.
    pub by: String,
    /// Through what: `file`, `desk`, `signal`, …
    pub via: String,
    /// Why.
    pub why: String,
    /// The run in which it changed; 0 outside of any.
    pub run: u32,
}

/// The version of [`LatchState`] that this program reads and writes.
pub const LATCH_VERSION: u32 = 1;

/// What the latch file says. Everything but [`Kill::Clear`] means: nothing leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kill {
    /// Orders may leave.
    Clear,
    /// Killed by somebody.
    Killed(LatchState),
    /// Neither sector can be read, a newer program wrote it, or one sector is damaged and the other says clear: the
    /// damaged one may have been the newer.
    Unreadable(String),
    /// The file is missing beside a journal.
    Missing,
}

impl Kill {
    /// Whether nothing may leave.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        *self != Kill::Clear
    }
}

/// Why the latch was not changed.
#[derive(Debug, thiserror::Error)]
pub enum LatchError {
    /// The texts do not fit a sector.
    #[error(
        "the latch of {len} bytes does not fit its sector of {most}: shorten `by`, `via` or `why`"
    )]
    TooLong {
        /// Bytes.
        len: usize,
        /// The bound.
        most: usize,
    },
    /// The disk refused.
    #[error("the latch file {LATCH} was not changed")]
    Io(#[source] io::Error),
}

/// The latch file. One writer at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatchFile {
    /// Counters of the two sectors; 0 where one is bad.
    counters: [u64; 2],
}

impl LatchFile {
    /// Reads the file. A file that does not exist is [`Kill::Missing`]; whether that means killed, only
    /// recovery can say.
    ///
    /// # Errors
    /// The file exists and the disk cannot read it.
    pub fn read(disk: &dyn Disk) -> io::Result<(LatchFile, Kill)> {
        let bytes = match disk.read(LATCH) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((LatchFile { counters: [0; 2] }, Kill::Missing));
            }
            Err(error) => return Err(error),
        };
        let whole = [0, 1].map(|number| bytes.get(number * SECTOR..).unwrap_or_default());
        let sectors = whole.map(|sector| read_sector(sector).unwrap_or((0, b"")));
        let counters = sectors.map(|(counter, _)| counter);
        let newest = usize::from(counters[1] > counters[0]);
        let ((counter, json), other) = (sectors[newest], whole[1 - newest]);
        let kill = if counter == 0 {
            Kill::Unreadable("both sectors are damaged".to_owned())
        } else {
            judge(json)
        };
        let kill = match kill {
            // A sector that was never written is zeros. Anything else may have been a newer kill.
            Kill::Clear if counters[1 - newest] == 0 && !is_unwritten(other) => {
                Kill::Unreadable(format!(
                    "sector {} of 2 of the file {LATCH} is damaged and may have held a kill that is newer than the \
                     clear state in sector {}; look at both with `od -c {LATCH}` and at the open orders of the venue, \
                     then write the latch again to clear it",
                    2 - newest,
                    newest + 1
                ))
            }
            kill => kill,
        };
        Ok((LatchFile { counters }, kill))
    }

    /// Makes the file, clear. Only for a folder in which no journal is.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn make(disk: &dyn Disk, first: &LatchState) -> Result<(), LatchError> {
        let temporary = format!("{LATCH}.tmp");
        let mut bytes = sector(1, first)?;
        bytes.extend(sector(2, first)?);
        let ops = [
            Op::Create { name: temporary.clone(), len: (2 * SECTOR) as u64 },
            Op::write(&temporary, 0, bytes),
            Op::Sync { name: temporary.clone() },
            Op::Rename { from: temporary, to: LATCH.to_owned() },
            Op::SyncFolder { folder: String::new() },
        ];
        ops.iter().try_for_each(|op| op.run(disk).map(drop)).map_err(LatchError::Io)
    }

    /// Overwrites the older sector. It survives the end of the process when this returns; `sync` makes it
    /// survive the loss of power. Needs no free space where the file exists.
    ///
    /// # Errors
    /// Texts that are too long, or those of the disk.
    pub fn write(&mut self, disk: &dyn Disk, state: &LatchState) -> Result<(), LatchError> {
        // `desk kill` writes beside the process: the newest sector is that of the file, not the one remembered.
        // A file that cannot be read is written all the same.
        if let Ok((found, kill)) = LatchFile::read(disk)
            && kill != Kill::Missing
        {
            self.counters = found.counters;
        }
        let older = usize::from(self.counters[1] < self.counters[0]);
        let counter = self.counters[0].max(self.counters[1]).saturating_add(1);
        let bytes = sector(counter, state)?;
        match disk.write(LATCH, (older * SECTOR) as u64, &bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.create(LATCH, (2 * SECTOR) as u64).map_err(LatchError::Io)?;
                disk.write(LATCH, (older * SECTOR) as u64, &bytes).map_err(LatchError::Io)?;
            }
            result => result.map_err(LatchError::Io)?,
        }
        self.counters[older] = counter;
        Ok(())
    }

    /// Makes the last change survive the loss of power.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sync(&self, disk: &dyn Disk) -> Result<(), LatchError> {
        disk.sync(LATCH).map_err(LatchError::Io)
    }
}

fn judge(json: &[u8]) -> Kill {
    let state: LatchState = match serde_json::from_slice(json) {
        Ok(state) => state,
        Err(error) => return Kill::Unreadable(error.to_string()),
    };
    if state.v != LATCH_VERSION {
        return Kill::Unreadable(format!("version {} is not known to this program", state.v));
    }
    match state.state {
        Latch::Clear => Kill::Clear,
        Latch::Killed => Kill::Killed(state),
    }
}

/// `counter u64 | crc32c u32 | length u32 | JSON`, filled with zeros; the checksum covers everything else.
fn sector(counter: u64, state: &LatchState) -> Result<Vec<u8>, LatchError> {
    let json = serde_json::to_vec(state).map_err(|error| LatchError::Io(error.into()))?;
    let len = HEAD + json.len();
    if len > SECTOR {
        return Err(LatchError::TooLong { len, most: SECTOR });
    }
    let mut bytes = counter.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&json);
    bytes.resize(SECTOR, 0);
    let crc = checksum(&bytes).to_le_bytes();
    bytes.splice(8..12, crc);
    Ok(bytes)
}

fn checksum(sector: &[u8]) -> u32 {
    let crc = crc32c::crc32c(sector.get(..8).unwrap_or_default());
    crc32c::crc32c_append(crc, sector.get(12..).unwrap_or_default())
}

fn is_unwritten(sector: &[u8]) -> bool {
    sector.get(..SECTOR).is_some_and(zeros)
}

fn read_sector(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let sector = bytes.get(..SECTOR)?;
    let counter = u64_at(sector, 0);
    let len = u32_at(sector, 12) as usize;
    let json = sector.get(HEAD..HEAD.checked_add(len)?)?;
    (counter > 0 && checksum(sector) == u32_at(sector, 8)).then_some((counter, json))
}
