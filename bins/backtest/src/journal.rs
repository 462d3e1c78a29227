//! `replay`: a recorded run once more, without an exchange. The same events must give the same commands.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use polydesk_domain::Outbox;
use polydesk_engine::{Engine, Setup, Soft};
use polydesk_execution::{Entry, TABLES};
use polydesk_journal::{
    Delta, FileDisk, Frame, Kind, Map, Seq, decode_mark, decode_run, read_records,
};
use polydesk_replay::{EventLog, SOFT, read_soft};
use polydesk_settings::Settings;
use polydesk_tape::decode_event;

use crate::cli::{ReplayArgs, RunArgs};
use crate::config::load;
use crate::failure::{Done, Failure};

/// Replays every run that the journal still holds from its beginning.
pub fn replay(args: &ReplayArgs) -> Done {
    let run = RunArgs {
        configs: args.configs.clone(),
        strategies: args.strategies.clone(),
        ..RunArgs::default()
    };
    let settings = load(&run)?;
    let folder = folder(&args.journal);
    let disk = FileDisk::read_only(&folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut replay = Replay { settings: &settings, map: Map::default(), run: None, runs: 0 };
    let mut failed = None;
    let end = read_records(&disk, Seq::ZERO, |record| match replay.take(&record.frame) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })
    .map_err(anyhow::Error::from)?;
    if let Some(error) = failed {
        return Err(Failure::Data(error));
    }
    replay.over();
    if replay.runs == 0 {
        return Err(Failure::Data(anyhow!("{} holds no run", folder.display())));
    }
    if let Some(hole) = end.hole {
        println!("the journal ends early: {hole:?}");
    }
    Ok(())
}

/// The journal's folder, given that or the data folder around it.
fn folder(path: &Path) -> PathBuf {
    let inside = path.join("journal");
    if inside.is_dir() { inside } else { path.to_owned() }
}

/// One run.
struct Run {
    number: u32,
    engine: Engine,
    out: Outbox,
    commands: EventLog,
    /// The last event.
    cause: Seq,
    events: u64,
    sent: u64,
}

struct Replay<'a> {
    settings: &'a Settings,
    /// The state by the recorded deltas.
    map: Map,
    run: Option<Run>,
    runs: u32,
}

impl Replay<'_> {
    fn take(&mut self, frame: &Frame<'_>) -> anyhow::Result<()> {
        match frame.kind {
            Kind::Run => self.begin(frame),
            Kind::Input => self.input(frame),
            Kind::Delta => self.delta(frame),
            Kind::Mark => {
                let mark = decode_mark(frame.payload)?;
                match mark.dropped {
                    Some(gap) => bail!(
                        "the journal dropped market rows {} to {}: commands after them cannot be compared",
                        gap.from,
                        gap.to
                    ),
                    None => Ok(()),
                }
            }
            Kind::Record | Kind::Stop => Ok(()),
        }
    }

    fn begin(&mut self, frame: &Frame<'_>) -> anyhow::Result<()> {
        self.over();
        let record = decode_run(frame.payload)?;
        if self.runs == 0 && record.after != Seq::ZERO {
            bail!(
                "the beginning of the journal is gone: its first segment begins with run {}; set journal.recording = true to keep all of it",
                record.run
            );
        }
        let setup =
            Setup { run: record.run, limits: self.settings.limits.clone(), blockers: Vec::new() };
        let mut engine = Engine::new(setup, self.settings.build())?;
        let (mut entries, mut soft) = (Vec::new(), Soft::default());
        for entry in self.map.entries() {
            if TABLES.contains(&entry.table.as_str()) {
                entries.push(Entry::read(&entry.table, entry.key, Some(entry.value))?);
            } else if entry.table == SOFT {
                read_soft(&entry.key, &entry.value, &mut soft);
            }
        }
        if !entries.is_empty() {
            engine.load(&entries)?;
            engine.load_soft(&soft);
        }
        self.runs += 1;
        self.run = Some(Run {
            number: record.run,
            engine,
            out: Outbox::new(),
            commands: EventLog::hash_only(),
            cause: Seq::ZERO,
            events: 0,
            sent: 0,
        });
        Ok(())
    }

    fn input(&mut self, frame: &Frame<'_>) -> anyhow::Result<()> {
        let Some(run) = &mut self.run else { bail!("record {} stands before any run", frame.seq) };
        let stamped = decode_event(frame.payload, run.engine.universe())
            .with_context(|| format!("record {}", frame.seq))?;
        run.engine.handle(&stamped, &mut run.out);
        for command in &run.out.commands {
            run.commands.command(run.engine.universe(), stamped.at, command)?;
        }
        run.sent += run.out.commands.len() as u64;
        run.events += 1;
        run.cause = frame.seq;
        run.out.clear();
        Ok(())
    }

    fn delta(&mut self, frame: &Frame<'_>) -> anyhow::Result<()> {
        let delta = Delta::decode(frame.payload)?;
        if let Some(run) = &self.run
            && delta.cause == run.cause
            && delta.commands != run.commands.hash_so_far()
        {
            bail!(
                "run {}: after event {} (record {}) the commands differ from the recorded ones; the same program and configuration are needed",
                run.number,
                run.events,
                run.cause
            );
        }
        self.map.apply(&delta);
        Ok(())
    }

    fn over(&mut self) {
        if let Some(run) = self.run.take() {
            println!(
                "run {}: {} events, {} commands, all as recorded",
                run.number, run.events, run.sent
            );
        }
    }
}
