//! Replays tapes once, and holds the result.

use std::path::PathBuf;

use anyhow::Context;
use polydesk_domain::Span;
use polydesk_engine::{Engine, Setup};
use polydesk_replay::{Connection, EventLog, Options, Recording, replay};
use polydesk_settings::Settings;
use polydesk_sim::{Sim, SimConfig};
use polydesk_tape::{Manifest, TapeReader};

use crate::failure::{Done, Failure};
use crate::progress;

/// The result of one replay.
pub struct Replayed {
    /// The recording of the run.
    pub recording: Recording,
    /// The engine at the end.
    pub engine: Engine,
    /// The exchange at the end.
    pub sim: Sim,
    /// Hash of the event log.
    pub log_sha256: String,
    /// Its lines.
    pub log_lines: u64,
}

/// What is replayed.
pub struct Input<'a> {
    /// The tapes.
    pub tapes: &'a [PathBuf],
    /// Seed of the exchange.
    pub seed: u64,
    /// Whether this process has read the tapes to their end, and found them as they claim to be.
    pub verified: bool,
}

/// Opens the tapes as one stream.
pub fn open(tapes: &[PathBuf], verified: bool) -> Done<TapeReader> {
    let names: Vec<String> = tapes.iter().map(|tape| tape.display().to_string()).collect();
    let reader =
        if verified { TapeReader::open_again(tapes) } else { TapeReader::open_many(tapes) };
    reader.with_context(|| format!("{} cannot be read", names.join(", "))).map_err(Failure::Data)
}

/// The connection that a tape came through. Its name is made of what the tape holds: which tapes are replayed beside
/// it changes nothing.
fn connection(manifest: &Manifest) -> Connection {
    let digits = manifest.content_sha256.get(..16).unwrap_or_default();
    Connection { times: manifest.times, name: u64::from_str_radix(digits, 16).unwrap_or_default() }
}

/// Replays once under the given exchange settings.
pub fn replay_once(
    input: &Input<'_>,
    settings: &Settings,
    exchange: &SimConfig,
    mut log: EventLog,
    shown: Option<&str>,
) -> Done<Replayed> {
    let mut reader = open(input.tapes, input.verified)?;
    let rows = reader.tapes().map(|(manifest, _)| manifest.rows).sum();
    let connections = reader.tapes().map(|(manifest, _)| connection(manifest)).collect();
    let mut engine = Engine::new(Setup::simulated(settings.limits.clone()), settings.build())
        .map_err(anyhow::Error::from)?;
    let mut sim = Sim::new(*exchange, input.seed).map_err(anyhow::Error::from)?;
    let options = Options {
        connections,
        sample: Span::millis(i64::try_from(settings.run.timer_ms).unwrap_or(1_000)),
        drain: Span::secs(i64::try_from(settings.run.drain_secs).unwrap_or(3_600)),
        ..Options::default()
    };
    let bar = shown.map(|heading| progress::bar(rows, heading));
    let mut progress = |rows, _at| {
        if let Some(bar) = &bar {
            bar.set_position(rows);
        }
    };
    let recording = replay(&mut reader, &mut engine, &mut sim, &options, &mut log, &mut progress)
        .context("the replay stopped")
        .map_err(Failure::Data)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let log_lines = log.lines();
    let log_sha256 = log.finish()?;
    Ok(Replayed { recording, engine, sim, log_sha256, log_lines })
}
