//! Log files: JSON lines, one file a day, and plain lines on standard error.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use polydesk_settings::LogSettings;

use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::log_bound::Bounded;

/// Lines that may wait for the disk; more are dropped and counted.
const WAITING: usize = 65_536;

/// Keeps the log alive; what waits is written when it is dropped.
pub struct Logs {
    _guard: WorkerGuard,
    dropped: ErrorCounter,
    left_out: Arc<AtomicU64>,
}

impl Logs {
    /// Lines dropped because the disk did not keep up, or the day's file was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.dropped_lines() as u64 + self.left_out.load(Ordering::Relaxed)
    }
}

/// What standard error shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// Warnings: the terminal shows a status block.
    Warnings,
    /// Decisions too: the output is piped.
    Decisions,
}

/// Begins logging into `dir`.
///
/// # Errors
/// The folder cannot be written, or something logs already.
pub fn begin(dir: &Path, settings: &LogSettings, console: Console) -> std::io::Result<Logs> {
    let level = &settings.level;
    std::fs::create_dir_all(dir)?;
    let files = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("polydesk")
        .filename_suffix("jsonl")
        .max_log_files(settings.keep_files as usize)
        .build(dir)
        .map_err(std::io::Error::other)?;
    let most = u64::from(settings.most_mib) << 20;
    let files = Bounded::new(files, most, newest(dir), Box::new(today));
    let left_out = files.left_out();
    let (writer, guard) = tracing_appender::non_blocking::NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .lossy(true)
        .finish(files);
    let dropped = writer.error_counter();
    // Libraries are quiet: their debug lines can hold what was sent.
    let directives =
        format!("warn,decision={level},polydesk_runtime={level},polydesk_polymarket_api={level}");
    let file = fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(writer)
        .log_internal_errors(false)
        .with_filter(EnvFilter::new(directives));
    let shown = match console {
        Console::Warnings => EnvFilter::new("warn,decision=error"),
        Console::Decisions => EnvFilter::new("warn,decision=info,polydesk_runtime=info"),
    };
    let terminal = fmt::layer()
        .compact()
        .with_target(false)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        // What cannot be written there would be reported there, and panic.
        .log_internal_errors(false)
        .with_filter(shown);
    tracing_subscriber::registry()
        .with(file)
        .with(terminal)
        .with(LevelFilter::TRACE)
        .try_init()
        .map_err(std::io::Error::other)?;
    Ok(Logs { _guard: guard, dropped, left_out })
}

/// Days since 1970, UTC: by them the files are changed.
#[expect(clippy::disallowed_methods, reason = "log lines have the time of the machine")]
fn today() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs() / 86_400).unwrap_or(0)
}

/// Bytes of the newest file: an earlier run of this day wrote to it.
fn newest(dir: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(dir) else { return 0 };
    let ours =
        files.flatten().filter(|file| file.file_name().to_string_lossy().ends_with(".jsonl"));
    let newest = ours.max_by_key(std::fs::DirEntry::file_name);
    newest.and_then(|file| file.metadata().ok()).map_or(0, |file| file.len())
}
