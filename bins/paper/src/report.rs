//! The report at the end: the backtest's, from the same records.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use polydesk_replay::facts::{self, Draws};
use polydesk_report::{Options, Report, Setting};
use polydesk_runtime::assembly::Finished;
use polydesk_settings::Settings;

use crate::cli::{Cli, Feed};
use polydesk_program::{Done, Failure};

/// Resamples of the report's intervals.
const RESAMPLES: usize = 10_000;

/// Judges the run, writes `report.html` and `report.json` and prints the summary.
pub fn write(cli: &Cli, settings: &Settings, folder: &Path, finished: Finished) -> Done {
    let Finished { ended, engine, sim } = finished;
    let outcome = facts::outcome(&ended.recording, &engine, ended.start);
    let band = outcome.alone(ended.recording.closed.len() as u64);
    let draws =
        Draws { as_set: band, bands: Vec::new(), latency: Vec::new(), median: settings.run.seed };
    let heading = match (cli.feed, &cli.tape) {
        (Feed::Venue, _) => "paper trading on the live market".to_owned(),
        (Feed::Local, None) => "paper trading on the demo markets".to_owned(),
        (Feed::Local, Some(tape)) => format!("paper trading on {}", tape.display()),
    };
    let done = facts::Done {
        recording: ended.recording,
        engine: &engine,
        sim: &sim,
        log_sha256: ended.log.0,
        log_lines: ended.log.1,
        start: ended.start,
    };
    let mut run = facts::run(&heading, Vec::new(), settings.models(), done, draws);
    // Made-up markets say nothing about an edge.
    run.synthetic = cli.feed == Feed::Local && cli.tape.is_none();
    let line = |(key, (value, origin)): (&String, &(String, polydesk_settings::Origin))| Setting {
        key: key.clone(),
        value: value.clone(),
        origin: origin.to_string(),
    };
    let report = Report {
        program: format!("polydesk paper {}", env!("CARGO_PKG_VERSION")),
        command: std::env::args_os()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" "),
        config: settings.lines.iter().map(line).collect(),
        runs: vec![run],
    };
    let options = Options { seed: settings.run.seed, resamples: RESAMPLES };
    let analysis = polydesk_report::analyse(&report, &options);
    let json = folder.join("report.json");
    let unwritten = || format!("{} cannot be written", json.display());
    let mut file = BufWriter::new(File::create(&json).with_context(unwritten)?);
    polydesk_report::json_to(&report, &analysis, &mut file).with_context(unwritten)?;
    file.flush().with_context(unwritten)?;
    let html = folder.join("report.html");
    let unwritten = || format!("{} cannot be written", html.display());
    let mut file = BufWriter::new(File::create(&html).with_context(unwritten)?);
    polydesk_report::html_to(&report, &analysis, &mut file).with_context(unwritten)?;
    file.flush().with_context(unwritten)?;
    let text = polydesk_report::terminal(&report, &analysis, 100, false);
    let mut text =
        format!("{text}\nHTML          {}\nJSON          {}\n", html.display(), json.display());
    if ended.left_open > 0 {
        text.push_str(&format!("orders that were still open at the end: {}\n", ended.left_open));
    }
    // The report is in its files: a reader that is gone has seen enough.
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
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
    Err(Failure::Integrity(anyhow::anyhow!(
        "checks failed, no figure can be trusted:\n  {}",
        broken.join("\n  ")
    )))
}
