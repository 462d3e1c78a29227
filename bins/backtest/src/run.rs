//! `run` and `config`.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context;
use polydesk_domain::{Span, StrategyId};
use polydesk_engine::{Engine, Setup};
use polydesk_replay::{EventLog, Options, Recording, replay};
use polydesk_report::{Band, Report, Run};
use polydesk_settings::{Layer, Origin, Problem, Settings};
use polydesk_sim::{Delay, QueueModel, Sim, SimConfig};
use polydesk_tape::{TapeReader, Times};

use crate::cli::{ConfigVerb, RunArgs};
use crate::failure::{Done, Failure};
use crate::{fixtures, output, progress, report};

/// One stream to replay.
struct Job {
    heading: String,
    tapes: Vec<PathBuf>,
    log: String,
    only: Option<StrategyId>,
}

/// What one replay left.
pub struct Replayed {
    /// What was recorded.
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

/// Replays the tapes and reports.
pub fn run(args: &RunArgs) -> Done {
    let settings = load(args)?;
    let jobs = jobs(args)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("{} cannot be made", args.out.display()))?;
    let mut runs = Vec::new();
    for job in &jobs {
        let mut own = settings.clone();
        own.strategies.retain(|(id, _)| job.only.is_none_or(|only| id.kind() == only.kind()));
        if own.strategies.is_empty() {
            continue;
        }
        runs.push(one(job, &own, args)?);
    }
    let report = Report {
        program: format!("polydesk backtest {}", env!("CARGO_PKG_VERSION")),
        command: command_line(args, &settings),
        config: report::settings(&settings),
        runs,
    };
    output::hand_over(&report, settings.run.seed, args)?;
    let broken: Vec<String> = report
        .runs
        .iter()
        .flat_map(|run| &run.checks)
        .filter(|check| !check.passed)
        .map(|check| format!("{}: {}", check.name, check.detail))
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::Data(anyhow::anyhow!(
        "checks failed, no figure can be trusted:\n  {}",
        broken.join("\n  ")
    )))
}

/// Shows or checks the configuration.
pub fn config(verb: &ConfigVerb) -> Done {
    let (configs, show) = match verb {
        ConfigVerb::Show { origin, configs } => (configs, Some(*origin)),
        ConfigVerb::Check { configs } => (configs, None),
    };
    let settings = load(&RunArgs { configs: configs.clone(), ..RunArgs::default() })?;
    match show {
        None => println!("the configuration is valid: {} settings", settings.lines.len()),
        Some(origins) => {
            for (key, (value, origin)) in &settings.lines {
                if origins {
                    println!("{key} = {value}  # {origin}");
                } else {
                    println!("{key} = {value}");
                }
            }
        }
    }
    Ok(())
}

fn load(args: &RunArgs) -> Done<Settings> {
    let (mut layers, mut problems) = (Vec::new(), Vec::<Problem>::new());
    for path in &args.configs {
        match Layer::file(path) {
            Ok(layer) => layers.push(layer),
            Err(problem) => problems.push(problem),
        }
    }
    layers.push(Layer::env(std::env::vars()));
    let mut flags = Vec::new();
    if let Some(seed) = args.seed {
        flags.push(("run.seed".to_owned(), seed.to_string(), "--seed".to_owned()));
    }
    if args.no_bands {
        flags.push(("run.bands".to_owned(), "false".to_owned(), "--no-bands".to_owned()));
    }
    if !args.strategies.is_empty() {
        let names: Vec<String> = args.strategies.iter().map(|name| format!("{name:?}")).collect();
        flags.push((
            "run.strategies".to_owned(),
            format!("[{}]", names.join(", ")),
            "--strategy".to_owned(),
        ));
    }
    layers.push(Layer::flags(flags));
    match Settings::load(&layers) {
        Ok(settings) if problems.is_empty() => Ok(settings),
        Ok(_) => Err(Failure::Config(problems)),
        Err(more) => {
            problems.extend(more);
            Err(Failure::Config(problems))
        }
    }
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

/// Replays one job, with its bands.
fn one(job: &Job, settings: &Settings, args: &RunArgs) -> Done<Run> {
    let path = args.out.join(&job.log);
    let file =
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let log = EventLog::to(Box::new(BufWriter::new(file)));
    let done = replay_once(&job.tapes, settings, &settings.exchange, log, Some(&job.heading))?;
    let bands =
        if settings.run.bands { bands(job, settings, &done, args.threads)? } else { Vec::new() };
    let reader = open(&job.tapes)?;
    let tapes =
        reader.tapes().map(|(manifest, certificate)| report::tape(manifest, certificate)).collect();
    Ok(report::run(&job.heading, tapes, settings, done, bands))
}

fn open(tapes: &[PathBuf]) -> Done<TapeReader> {
    let names: Vec<String> = tapes.iter().map(|tape| tape.display().to_string()).collect();
    TapeReader::open_many(tapes)
        .with_context(|| format!("{} cannot be read", names.join(", ")))
        .map_err(Failure::Data)
}

/// Replays once under the given exchange settings.
pub fn replay_once(
    tapes: &[PathBuf],
    settings: &Settings,
    exchange: &SimConfig,
    mut log: EventLog,
    shown: Option<&str>,
) -> Done<Replayed> {
    let mut reader = open(tapes)?;
    let rows = reader.tapes().map(|(manifest, _)| manifest.rows).sum();
    let received = reader.tapes().all(|(manifest, _)| manifest.times == Times::Received);
    let mut engine = Engine::new(Setup::simulated(settings.limits.clone()), settings.build())
        .map_err(anyhow::Error::from)?;
    let mut sim = Sim::new(*exchange, settings.run.seed).map_err(anyhow::Error::from)?;
    let options = Options {
        times: if received { Times::Received } else { Times::VenueOnly },
        sample: Span::millis(i64::try_from(settings.run.timer_ms).unwrap_or(1_000)),
        drain: Span::secs(i64::try_from(settings.run.drain_secs).unwrap_or(3_600)),
        ..Options::default()
    };
    let bar = shown.map(|heading| progress::bar(rows, heading));
    let mut tell = |rows, _at| {
        if let Some(bar) = &bar {
            bar.set_position(rows);
        }
    };
    let recording = replay(&mut reader, &mut engine, &mut sim, &options, &mut log, &mut tell)
        .context("the replay stopped")
        .map_err(Failure::Data)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let log_lines = log.lines();
    let log_sha256 = log.finish()?;
    Ok(Replayed { recording, engine, sim, log_sha256, log_lines })
}

/// The same run under a pessimistic and an optimistic exchange; the realistic one is the run itself.
///
/// Each re-run is alone in its thread and has its own seed, so their number changes nothing.
fn bands(job: &Job, settings: &Settings, done: &Replayed, threads: u16) -> Done<Vec<Band>> {
    let low = (
        "pessimistic",
        "queue pessimistic, delays x 2, failing settlements x 4",
        pessimistic(settings.exchange),
    );
    let high = (
        "optimistic",
        "queue power 3, delays x 0.5, every settlement succeeds",
        optimistic(settings.exchange),
    );
    let rerun = |(name, words, config): &(&str, &str, SimConfig)| -> Done<Band> {
        let done = replay_once(&job.tapes, settings, config, EventLog::hash_only(), None)?;
        Ok(band(name, words, &done))
    };
    let (low, high) = if threads > 1 {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| rerun(&low));
            let high = rerun(&high);
            let low = other.join();
            (
                low.unwrap_or_else(|_| Err(Failure::Failed(anyhow::anyhow!("a re-run panicked")))),
                high,
            )
        })
    } else {
        (rerun(&low), rerun(&high))
    };
    Ok(vec![low?, band("realistic", "the run itself", done), high?])
}

fn band(name: &str, settings: &str, done: &Replayed) -> Band {
    let facts = report::outcome(done);
    Band {
        name: name.to_owned(),
        settings: settings.to_owned(),
        net: facts.net,
        fills: facts.fills,
        round_trips: done.recording.closed.len() as u64,
        fees: facts.fees,
    }
}

fn scaled(delay: Delay, percent: i64) -> Delay {
    // No delay may be longer than a week.
    let scale = |span: Span| {
        Span::nanos(span.as_nanos().saturating_mul(percent) / 100).min(Span::secs(7 * 86_400))
    };
    match delay {
        Delay::Constant(span) => Delay::Constant(scale(span)),
        Delay::Sampled { median, p99 } => Delay::Sampled { median: scale(median), p99: scale(p99) },
    }
}

fn with_delays(mut config: SimConfig, percent: i64) -> SimConfig {
    let latency = &mut config.latency;
    for delay in [&mut latency.feed, &mut latency.insert, &mut latency.cancel, &mut latency.answer]
    {
        *delay = scaled(*delay, percent);
    }
    config
}

/// Four times as many in a million, up to half of all; never fewer than there were.
fn worse(ppm: u32) -> u32 {
    ppm.saturating_mul(4).min(500_000).max(ppm)
}

fn pessimistic(config: SimConfig) -> SimConfig {
    let mut config = with_delays(config, 200);
    config.queue = QueueModel::Pessimistic;
    let settlement = &mut config.settlement;
    settlement.fail_ppm = worse(settlement.fail_ppm);
    settlement.winner_fail_ppm = worse(settlement.winner_fail_ppm);
    config
}

fn optimistic(config: SimConfig) -> SimConfig {
    let mut config = with_delays(config, 50);
    config.queue = QueueModel::Power { exponent: 3 };
    config.settlement.fail_ppm = 0;
    config.settlement.winner_fail_ppm = 0;
    config.settlement.retry_ppm = 0;
    config
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
    if args.no_bands {
        line.push_str(" --no-bands");
    }
    line
}
