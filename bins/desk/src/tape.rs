//! The journal's input as a tape.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context as _;
use polydesk_domain::{Event, MarketEvent, Universe};
use polydesk_journal::{FileDisk, Kind, Seq, read_records};
use polydesk_runtime::durable::FOLDER;
use polydesk_tape::{Certificate, ManifestDraft, TapeWriter, Times, decode_event};

use crate::say::say;

/// Writes a tape of everything that the segments still hold.
///
/// # Errors
/// The journal cannot be read, or the tape cannot be written.
pub fn write(data: &Path, out: &Path) -> anyhow::Result<()> {
    let disk = FileDisk::read_only(&data.join(FOLDER))?;
    let draft = ManifestDraft {
        name: out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        source: "journal of a running process".to_owned(),
        licence: "own recording".to_owned(),
        times: Times::Received,
        synthetic: false,
    };
    let mut writer = TapeWriter::create(out, draft)?;
    let mut found = Read::default();
    let mut failed = None;
    let end = read_records(&disk, Seq::ZERO, |record| {
        if record.frame.kind == Kind::Run {
            // Keys are those of one run.
            found.universe = Universe::new();
        }
        if record.frame.kind != Kind::Input {
            return ControlFlow::Continue(());
        }
        match found.take(record.frame.payload, &mut writer) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error.context("the tape could not be written"));
    }
    let manifest = writer.finish(Certificate::default())?;
    say(&format!("{} rows in {}", manifest.rows, out.display()))?;
    if found.unlisted > 0 {
        say(&format!(
            "{} rows were left out: the segment with the facts of their market is gone (journal.recording keeps all)",
            found.unlisted
        ))?;
    }
    if let Some(hole) = end.hole {
        say(&format!("the journal ends early: {hole:?}"))?;
    }
    Ok(())
}

#[derive(Default)]
struct Read {
    universe: Universe,
    seq: u64,
    unlisted: u64,
}

impl Read {
    fn take(&mut self, bytes: &[u8], writer: &mut TapeWriter) -> anyhow::Result<()> {
        let Ok(mut stamped) = decode_event(bytes, &self.universe) else {
            self.unlisted += 1;
            return Ok(());
        };
        match &stamped.event {
            Event::Market(MarketEvent::Listed { key, market }) => {
                self.universe.list(*key, std::sync::Arc::clone(market))?;
            }
            Event::Market(MarketEvent::Delisted { market }) => {
                self.universe.delist(*market);
            }
            Event::Market(_) | Event::World(_) => {}
            // Orders, timers and the account are the run's own: a backtest makes its own.
            Event::Account(_) | Event::Control(_) => return Ok(()),
        }
        self.seq += 1;
        stamped.seq = self.seq;
        writer.push(&stamped).context("a row is refused")?;
        Ok(())
    }
}
