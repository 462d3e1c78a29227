//! `run`: replays the tapes and reports.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use polydesk_domain::StrategyId;
use polydesk_replay::{EventLog, facts};
use polydesk_report::{Report, Run, Setting};
use polydesk_settings::{Origin, Settings};

use crate::cli::RunArgs;
use crate::config::load;
use crate::draws::{draws, seeds};
use crate::failure::{Done, Failure};
use crate::folder::Folder;
use crate::replaying::{Input, open, replay_once};
use crate::{fixtures, output};

/// One stream to replay.
struct Job {
    heading: String,
    tapes: Vec<PathBuf>,
    log: String,
    only: Option<StrategyId>,
}

/// Replays the tapes and reports.
pub fn run(args: &RunArgs) -> Done {
    let settings = load(args)?;
    let jobs = jobs(args)?;
    let folder = Folder::begin(&args.out)?;
    let mut runs = Vec::new();
    for job in &jobs {
        let mut own = settings.clone();
        own.strategies.retain(|(id, _)| job.only.is_none_or(|only| id.kind() == only.kind()));
        if own.strategies.is_empty() {
            continue;
        }
        runs.push(one(job, &own, args, &folder)?);
    }
    let report = Report {
        program: format!("polydesk backtest {}", env!("CARGO_PKG_VERSION")),
        command: command_line(args, &settings),
        config: shown(&settings),
        runs,
    };
    let written = output::write(&report, settings.run.seed, folder.path())?;
    folder.finish()?;
    output::print(&report, &written, args)?;
    let broken: Vec<String> = report
        .runs
        .iter()
        .flat_map(|run| &run.checks)
        .filter(|check| !check.passed)
        .map(|check| format!("{}: {}", check.name, check.detail))
        .collect();
    if args.print_peak {
        writeln!(std::io::stdout(), "{}", backtest_bench::peak_kib())
            .context("the peak memory cannot be printed")?;
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::Data(anyhow::anyhow!(
        "checks failed, no figure can be trusted:\n  {}",
        broken.join("\n  ")
    )))
}

fn jobs(args: &RunArgs) -> Done<Vec<Job>> {
    if args.tapes.is_empty() {
        let parts = fixtures::parts().map_err(Failure::Data)?;
        let job = |(i, part): (usize, fixtures::Part)| Job {
            heading: part.heading.to_owned(),
            tapes: vec![part.tape],
            only: part.only,
            log: format!("events-{}.jsonl", i + 1),
        };
        return Ok(parts.into_iter().enumerate().map(job).collect());
    }
    let names: Vec<String> = args.tapes.iter().map(|tape| tape.display().to_string()).collect();
    Ok(vec![Job {
        heading: names.join(" + "),
        tapes: args.tapes.clone(),
        log: "events.jsonl".to_owned(),
        only: None,
    }])
}

/// Replays one job under every seed, and the seed in the middle once more with its event log.
fn one(job: &Job, settings: &Settings, args: &RunArgs, folder: &Folder) -> Done<Run> {
    let reader = open(&job.tapes, true)?;
    let rows = reader.tapes().map(|(manifest, _)| manifest.rows).sum();
    let tapes =
        reader.tapes().map(|(manifest, certificate)| facts::tape(manifest, certificate)).collect();
    drop(reader);
    let draws = draws(&job.tapes, settings, seeds(settings, rows), args.threads)?;
    let path = folder.path().join(&job.log);
    let file =
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let log = EventLog::to(Box::new(BufWriter::new(file)));
    let log = if args.log_rows { log.with_rows() } else { log };
    let input = Input { tapes: &job.tapes, seed: draws.median, verified: true };
    let done = replay_once(&input, settings, &settings.exchange, log, Some(&job.heading))?;
    let done = facts::Done {
        recording: done.recording,
        engine: &done.engine,
        sim: &done.sim,
        log_sha256: done.log_sha256,
        log_lines: done.log_lines,
        start: done.sim.config().starting_cash,
    };
    Ok(facts::run(&job.heading, tapes, settings.models(), done, draws))
}

/// Every setting with its origin.
fn shown(settings: &Settings) -> Vec<Setting> {
    let line = |(key, (value, origin)): (&String, &(String, Origin))| Setting {
        key: key.clone(),
        value: value.clone(),
        origin: origin.to_string(),
    };
    settings.lines.iter().map(line).collect()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The line that repeats the run from a checkout.
fn command_line(args: &RunArgs, settings: &Settings) -> String {
    let mut line = String::new();
    for (value, origin) in settings.lines.values() {
        if let Origin::Env(name) = origin {
            line.push_str(&format!("{name}={} ", quoted(value)));
        }
    }
    line.push_str(&format!(
        "cargo run --release --bin backtest -- run --seed {}",
        settings.run.seed
    ));
    for tape in &args.tapes {
        line.push_str(&format!(" --tape {}", quoted(&tape.display().to_string())));
    }
    for config in &args.configs {
        line.push_str(&format!(" --config {}", quoted(&config.display().to_string())));
    }
    for strategy in &args.strategies {
        line.push_str(&format!(" --strategy {strategy}"));
    }
    if let Some(seeds) = args.seeds {
        line.push_str(&format!(" --seeds {seeds}"));
    }
    if args.no_bands {
        line.push_str(" --no-bands");
    }
    if args.log_rows {
        line.push_str(" --log-rows");
    }
    line
}
