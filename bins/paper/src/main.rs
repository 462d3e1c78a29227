//! `paper`: trades on live market data with simulated orders.

mod cli;
mod config;
mod local;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Feed};
use local::Local;
use polydesk_polymarket_api::{Endpoints, ServerClock};
use polydesk_program::terminal::Screen;
use polydesk_program::{Done, Failure, Folder, Signals, folder, layers, say};
use polydesk_runtime::assembly::{
    self, EndError, Finished, Host, Running, StartError, StartOptions, Venue,
};
use polydesk_runtime::durable::{BeginError, OpenError};
use polydesk_runtime::keeping::Storage;
use polydesk_runtime::reload::Order;
use polydesk_runtime::{logs, start};
use polydesk_settings::Settings;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: &Cli) -> Done {
    if cli.tape.is_some() && cli.feed != Feed::Local {
        let kind = clap::error::ErrorKind::ArgumentConflict;
        return Err(Failure::Usage(Cli::command().error(kind, "--tape needs --feed local")));
    }
    let settings = config::load(cli)?;
    let folder = Folder::open(place(cli)?)?;
    let mut screen = Screen::new();
    let console = match screen.is_block() {
        true => logs::Console::Warnings,
        false => logs::Console::Decisions,
    };
    let logs = logs::begin(&folder.path().join("logs"), &settings.runtime.logs, console)
        .with_context(|| format!("no log can be written in {}", folder.path().display()))?;
    let local = match cli.feed {
        Feed::Local => Some(Local::start(cli.tape.as_deref(), settings.run.seed)?),
        Feed::Venue => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let here = Here { folder: &folder, local: local.as_ref(), logs: &logs };
    let done = runtime.block_on(trade(cli, &settings, &here, &mut screen));
    // Nothing may hold the end up: what still waits for the network is dropped.
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(local);
    let Some(finished) = done? else { return Ok(()) };
    report::write(cli, &settings, folder.path(), finished)
}

/// What stands around a run.
struct Here<'a> {
    folder: &'a Folder,
    local: Option<&'a Local>,
    logs: &'a logs::Logs,
}

async fn trade(
    cli: &Cli,
    settings: &Settings,
    here: &Here<'_>,
    screen: &mut Screen,
) -> Done<Option<Finished>> {
    let (folder, local) = (here.folder, here.local);
    let clock = ServerClock::system();
    let venue = Venue::connect(&endpoints(settings, local), clock.clone(), cli.tape.is_some())
        .map_err(|error| Failure::Failed(error.into()))?;
    let mut signals = Signals::new()?;
    let checks = assembly::check(&venue, settings).await.map_err(unstarted)?;
    if cli.check {
        print(&checks.0);
        let bad = checks.0.iter().filter(|check| check.found == start::Found::Bad).count();
        return match bad {
            0 => Ok(None),
            _ => Err(Failure::Failed(anyhow::anyhow!("bad checks: {bad}; no order would leave"))),
        };
    }
    let again = cli.clone();
    let (give_up, gives_up) = tokio::sync::oneshot::channel();
    let options = StartOptions {
        load: Box::new(move || config::read(&again)),
        host: Host::Thread,
        storage: Storage::Folder,
        panics: None,
        files: cli.configs.clone(),
        data: folder.path().to_owned(),
        program: format!("polydesk paper {}", env!("CARGO_PKG_VERSION")),
        config_sha256: layers::sha256(settings),
        listen: settings.runtime.health.address(),
        kill: None,
        give_up: Some(gives_up),
    };
    let starting = assembly::begin(settings, venue, options, checks);
    tokio::pin!(starting);
    let begun = tokio::select! {
        biased;
        () = signals.next() => None,
        begun = &mut starting => Some(begun),
    };
    let mut running = match begun {
        Some(begun) => begun.map_err(unstarted)?,
        None => {
            // What had begun ends in order, unless a second signal comes.
            let _ = give_up.send(());
            tokio::select! {
                biased;
                () = signals.next() => return Err(Failure::Failed(anyhow::anyhow!("ended by a second signal during the start"))),
                begun = &mut starting => match begun {
                    Ok(running) => return running.stop().await.map(|_| None).map_err(unfinished),
                    Err(StartError::GivenUp) => return Ok(None),
                    Err(error) => return Err(unstarted(error)),
                }
            }
        }
    };
    assembly::watchdog(&running, clock).context("the watchdog cannot be started")?;
    print(&running.checks);
    if let Some(address) = running.listening {
        say(format_args!("health on http://{address}/health, /ready and /metrics"));
    }
    say(format_args!("data in {}; ctrl-c ends it", folder.path().display()));
    wait(cli.for_, &mut running, &mut signals, screen, here.logs).await?;
    say(format_args!("stopping: orders are cancelled; a second signal ends it at once"));
    let shared = std::sync::Arc::clone(&running.shared);
    let stop = running.stop();
    let finished = tokio::select! {
        biased;
        () = signals.next() => {
            let left = shared.glance();
            let left = left.as_ref().as_ref().map_or((0, 0), |glance| {
                (glance.risk.open_orders, glance.positions_in_all())
            });
            return Err(Failure::Failed(anyhow::anyhow!(
                "ended by a second signal: {} open orders and {} positions were left as they were",
                left.0,
                left.1
            )));
        }
        finished = stop => finished.map_err(unfinished)?,
    };
    Ok(Some(finished))
}

/// Runs until the time is over, a signal comes, or the engine ends by itself.
async fn wait(
    limit: Option<Duration>,
    running: &mut Running,
    signals: &mut Signals,
    screen: &mut Screen,
    logs: &logs::Logs,
) -> Done {
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut frames = tokio::time::interval(Duration::from_millis(500));
    frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let shared = std::sync::Arc::clone(&running.shared);
    // The files of the configuration are to be read again.
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    loop {
        tokio::select! {
            biased;
            () = signals.next() => return Ok(()),
            () = &mut over => return Ok(()),
            ended = running.ended() => {
                return match ended {
                    Ok(_) => Err(Failure::Integrity(anyhow::anyhow!("the engine ended without being asked"))),
                    Err(error) => Err(unfinished(error)),
                };
            }
            _ = hangup.recv() => {
                let _ = running.orders.send(Order::Reload).await;
            }
            _ = frames.tick() => {
                shared.metrics.log_lines_dropped.store(logs.dropped(), Ordering::Relaxed);
                if let Some(glance) = &*shared.glance() {
                    screen.show(glance);
                }
            }
        }
    }
}

fn print(checks: &[start::Check]) {
    for check in checks {
        say(format_args!("{check}"));
    }
}

fn unstarted(error: StartError) -> Failure {
    match error {
        StartError::Unreachable { .. } => Failure::Unreachable(error.to_string()),
        StartError::Journal(BeginError::Open(error @ OpenError::Locked { .. })) => {
            Failure::InUse(error.to_string())
        }
        StartError::Journal(error) => Failure::Journal(error.into()),
        other => Failure::Failed(other.into()),
    }
}

fn unfinished(error: EndError) -> Failure {
    Failure::Integrity(error.into())
}

fn endpoints(settings: &Settings, local: Option<&Local>) -> Endpoints {
    let venue = &settings.runtime.venue;
    let (clob, gamma, ws_market) = match local {
        Some(local) => {
            let urls = local.urls.clone();
            (urls.clob, urls.gamma, urls.market_socket)
        }
        None => (venue.clob.clone(), venue.gamma.clone(), venue.ws_market.clone()),
    };
    Endpoints { clob, gamma, ws_market, ..Endpoints::default() }
}

/// Where the data folder is.
fn place(cli: &Cli) -> Done<PathBuf> {
    Ok(match (&cli.data, cli.feed) {
        (Some(path), _) => path.clone(),
        (None, Feed::Venue) => PathBuf::from("data/paper"),
        (None, Feed::Local) => folder::fresh(Path::new("data/local"), std::process::id())
            .context("no new data folder can be made in data/local")?,
    })
}
