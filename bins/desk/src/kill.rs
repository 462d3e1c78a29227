//! `desk kill`: latches, signals the process that runs, and cancels everything itself at once, on connections of its
//! own. It needs neither the process nor a key.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use polydesk_journal::LatchFile;
use polydesk_polymarket_api::{Endpoints, LimitsConfig, ServerClock};
use polydesk_runtime::credentials;
use polydesk_runtime::decisions::clean;
use polydesk_runtime::kill::client::client;
use polydesk_runtime::kill::endpoints::{self, Place};
use polydesk_runtime::kill::{
    LatchFolder, LatchThread, LatchWriter, Latched, Listing, Outcome, Plan, Step, StepKind, Switch,
    Via, ladder, latch,
};
use polydesk_settings::{Layer, Settings};

use crate::holder::{self, Holder};
use crate::say::{complain, say};

/// Nothing is open, and a restart stays killed.
const DONE: u8 = 0;
/// Nothing is open, and the latch is not written: a restart would trade.
const NOT_LATCHED: u8 = 5;
/// Orders are left, or it is not proven that none is.
const LEFT: u8 = 6;
/// No credentials: the latch is written and the process has been signalled, and nothing was cancelled from here.
const NO_CREDENTIALS: u8 = 7;

/// How long the disk may take where nothing else is to be done.
const SYNC: Duration = Duration::from_secs(5);

/// Arguments of `desk kill`.
#[derive(Debug, Args)]
pub struct Kill {
    /// Why, for the log and for the lift.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// Also end the process that holds the data folder, with SIGKILL: it does not answer any more.
    #[arg(long)]
    terminate: bool,
    /// Cancel for so many seconds at most.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 300)]
    limit: u64,
    /// The configuration of the process: the section `venue` names the endpoints.
    #[arg(short, long = "config", value_name = "FILE")]
    configs: Vec<PathBuf>,
}

/// Kills. The exit code says what is proven.
///
/// # Errors
/// Nothing could be begun.
pub fn run(data: &Path, args: &Kill) -> anyhow::Result<ExitCode> {
    let holder = holder::find(data);
    let running = signal(holder.as_ref());
    let writer: Option<Arc<dyn LatchWriter>> = match LatchThread::start(LatchFolder::of(data)) {
        Ok(writer) => Some(Arc::new(writer)),
        Err(error) => {
            complain(&format!("acting, NOT latched: no thread for the latch: {error}"));
            None
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = holder.filter(|_| args.terminate);
    let code = runtime.block_on(cancel(data, args, writer, end, running));
    // A lookup of a name may still be waiting on its thread.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code.map(ExitCode::from)
}

/// Signals the process that runs; whether one was.
fn signal(holder: Option<&Holder>) -> bool {
    match holder {
        None => {
            let _ = say("no process holds the data folder");
            false
        }
        Some(holder) if holder.catches_usr1 => match holder.kill_orders() {
            Ok(()) => say(&format!("process {} was signalled", holder.pid)).is_ok(),
            Err(error) => {
                complain(&format!("process {} was not signalled: {error}", holder.pid));
                false
            }
        },
        // The signal would end it.
        Some(holder) => {
            let pid = holder.pid;
            complain(&format!("process {pid} does not take SIGUSR1 and was not signalled"));
            false
        }
    }
}

async fn cancel(
    data: &Path,
    args: &Kill,
    writer: Option<Arc<dyn LatchWriter>>,
    end: Option<Holder>,
    running: bool,
) -> anyhow::Result<u8> {
    let by = std::env::var("USER").unwrap_or_else(|_| "desk".to_owned());
    let clock = ServerClock::system();
    let switch = Switch::new(clock.clone());
    let trigger = switch.trigger(&by, Via::Desk, &args.why);
    let made = credentials::read(data).map_err(anyhow::Error::from).and_then(|found| {
        Ok(client(&clob(&args.configs), &found, LimitsConfig::default(), clock.clone())?)
    });
    let clob = match made {
        Ok(clob) => clob,
        Err(error) => {
            let latched = latch_only(writer, &clock, &by, &args.why).await;
            say(&latched.to_string())?;
            terminate(end.as_ref());
            let also = if running { "; the process was signalled" } else { "" };
            complain(&format!("nothing was cancelled from here: {error:#}{also}"));
            return Ok(NO_CREDENTIALS);
        }
    };
    let plan = Plan {
        clob,
        switch,
        latch: writer,
        listing: Listing::Elsewhere,
        run: 0,
        cancels_per_second: LimitsConfig::default().signer.cancels_per_second,
        steps: Arc::new(move |step| show(step, end.as_ref())),
    };
    let outcome = ladder::run(&plan, &trigger, Some(Duration::from_secs(args.limit))).await;
    judge(data, &outcome)
}

/// Prints a step; ends the process once the latch is on its way.
fn show(step: &Step, end: Option<&Holder>) {
    let _ = say(&clean(&step.to_string()));
    if matches!(step.kind, StepKind::Latch(_)) {
        terminate(end);
    }
}

fn terminate(end: Option<&Holder>) {
    let Some(holder) = end.filter(|holder| holder.is_there()) else { return };
    match holder.end() {
        Ok(()) => drop(say(&format!("process {} was ended", holder.pid))),
        Err(error) => complain(&format!("process {} was not ended: {error}", holder.pid)),
    }
}

fn judge(data: &Path, outcome: &Outcome) -> anyhow::Result<u8> {
    let killed = LatchFile::read(&LatchFolder::of(data)).is_ok_and(|(_, kill)| kill.is_killed());
    let latched = outcome.latched.holds() && killed;
    match outcome.zero_after {
        Some(after) => say(&format!("no order was open {} ms after the kill", after.as_millis()))?,
        None => complain("no read showed that nothing is open"),
    }
    if !latched {
        complain(&match killed {
            true => outcome.latched.to_string(),
            false => "acting, NOT latched: the latch file does not say killed".to_owned(),
        });
    }
    for order in outcome.left.iter().chain(&outcome.unknown) {
        complain(&format!("perhaps still open: {order}"));
    }
    Ok(match (outcome.confirmed, latched) {
        (true, true) => DONE,
        (true, false) => NOT_LATCHED,
        (false, _) => LEFT,
    })
}

async fn latch_only(
    writer: Option<Arc<dyn LatchWriter>>,
    clock: &ServerClock,
    by: &str,
    why: &str,
) -> Latched {
    let Some(writer) = writer else { return Latched::Not("no thread for it".to_owned()) };
    let at_ms = clock.local().millis();
    let via = Via::Desk.name();
    let state = latch::state(polydesk_journal::Latch::Killed, by, via, why, at_ms, 0);
    match tokio::time::timeout(SYNC, writer.write(state).synced).await {
        Ok(Ok(Ok(()))) => Latched::Synced,
        Ok(Ok(Err(why))) => Latched::Not(why),
        Ok(Err(_)) => Latched::Not("its thread has ended".to_owned()),
        Err(_) => Latched::Not(format!("the disk has not answered within {} s", SYNC.as_secs())),
    }
}

/// The CLOB's URL. A configuration that cannot be used does not stop a kill: it goes to the venue then.
fn clob(configs: &[PathBuf]) -> String {
    let pinned = Endpoints::default().clob;
    let venue = match settings(configs) {
        Ok(settings) => settings.runtime.venue,
        Err(why) => {
            complain(&format!("the configuration cannot be used, cancelling at {pinned}: {why}"));
            return pinned;
        }
    };
    match endpoints::of_venue(&venue) {
        Ok(Place::Venue) => pinned,
        Ok(Place::Loopback) => {
            let _ = say(&format!("REHEARSAL: cancelling at {}", venue.clob));
            venue.clob
        }
        Err(error) => {
            complain(&format!("{error}; cancelling at {pinned}"));
            pinned
        }
    }
}

fn settings(configs: &[PathBuf]) -> Result<Settings, String> {
    let mut layers = Vec::new();
    for path in configs {
        layers.push(Layer::file(path).map_err(|problem| problem.to_string())?);
    }
    layers.push(Layer::env_os(std::env::vars_os()).0);
    Settings::load(&layers).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("; ")
    })
}
