//! `live`: trades real orders.

mod cli;
mod parts;
mod quiet;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Parser as _;
use cli::Cli;
use polydesk_account::{Stage, access};
use polydesk_domain::{Span, Time};
use polydesk_polymarket_api::ServerClock;
use polydesk_program::terminal::Screen;
use polydesk_program::{Done, Failure, Folder, Signals, layers, say};
use polydesk_runtime::assembly::{self, EndError, Host, Running, StartError, StartOptions, Venue};
use polydesk_runtime::durable::{BeginError, OpenError};
use polydesk_runtime::glance::Glance;
use polydesk_runtime::keeping::Storage;
use polydesk_runtime::kill::door::KillDoor;
use polydesk_runtime::kill::{self, Killer, stop_file};
use polydesk_runtime::live;
use polydesk_runtime::live::bot::LiveEnded;
use polydesk_runtime::reload::Order;
use polydesk_runtime::{logs, start};
use polydesk_settings::{Problem, Settings};

fn main() -> ExitCode {
    quiet::dump_nothing();
    let clock = ServerClock::system();
    // First of all: from here on SIGUSR1 kills orders, and not the process.
    let killer = match kill::thread::install(clock.clone()) {
        Ok(killer) => killer,
        Err(error) => {
            let error = anyhow::Error::from(error).context("the kill thread cannot be started");
            return Failure::Failed(error).report();
        }
    };
    let cli = Cli::parse();
    match run(&cli, clock, killer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn read(cli: &Cli) -> Result<Settings, Vec<Problem>> {
    let flags = layers::strategies(&cli.strategies).into_iter().collect();
    let settings = layers::read(&cli.configs, Vec::new(), flags)?;
    // What is at risk stays below the cap, also where the limits allow more.
    settings.capped().map_err(|problem| vec![problem])
}

fn run(cli: &Cli, clock: ServerClock, killer: Killer) -> Done {
    let settings = read(cli).map_err(Failure::Config)?;
    let (endpoints, stage) = access::endpoints(&settings)?;
    if !cli.check {
        access::acknowledged(&settings.runtime.live)?;
    }
    let key = access::key(&settings.runtime.live)?;
    if stage == Stage::Rehearsal {
        say(format_args!("REHEARSAL: every endpoint is on loopback; no order is real"));
    }
    let folder = Folder::open(cli.data.clone())?;
    let mut screen = Screen::new();
    let console = match screen.is_block() {
        true => logs::Console::Warnings,
        false => logs::Console::Decisions,
    };
    let logs = logs::begin(&folder.path().join("logs"), &settings.runtime.logs, console)
        .with_context(|| format!("no log can be written in {}", folder.path().display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let key = std::sync::Arc::new(key);
    let token = access::kill_token(&settings.runtime.live)?;
    let door = KillDoor::new(killer.clone(), token)
        .map_err(|error| Failure::Failed(anyhow::Error::from(error)))?;
    let begun = parts::Begun { folder: &folder, endpoints, stage, key, killer: killer.clone() };
    stop_file::watch(folder.path(), killer.switch()).context("the file STOP cannot be watched")?;
    let done = runtime.block_on(trade(
        cli,
        &settings,
        begun,
        &mut screen,
        &logs,
        clock,
        std::sync::Arc::new(door),
    ));
    // Nothing may hold the end up: what still waits for the network is dropped.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn trade(
    cli: &Cli,
    settings: &Settings,
    begun: parts::Begun<'_>,
    screen: &mut Screen,
    logs: &logs::Logs,
    clock: ServerClock,
    door: std::sync::Arc<KillDoor>,
) -> Done {
    let killer = begun.killer.clone();
    let folder = begun.folder.path().to_owned();
    // On loopback the venue's time is the exchange's, which may play back a recorded hour.
    let follows = begun.stage == Stage::Rehearsal;
    let venue = Venue::connect(&begun.endpoints, clock.clone(), follows)
        .map_err(|error| Failure::Failed(error.into()))?;
    let mut signals = Signals::new()?;
    let (mut checks, _) = assembly::check(&venue, settings).await.map_err(unstarted)?;
    let (more, parts) = parts::make(settings, &venue, begun).await?;
    checks.extend(more);
    if cli.check {
        print(&checks);
        let bad = checks.iter().filter(|check| check.found == start::Found::Bad).count();
        return match bad {
            0 => Ok(()),
            _ => Err(Failure::Failed(anyhow!("bad checks: {bad}; no order would leave"))),
        };
    }
    let again = cli.clone();
    let options = StartOptions {
        load: Box::new(move || read(&again)),
        host: Host::Thread,
        storage: Storage::Folder,
        panics: None,
        files: cli.configs.clone(),
        data: folder.clone(),
        program: format!("polydesk live {}", env!("CARGO_PKG_VERSION")),
        config_sha256: layers::sha256(settings),
        listen: settings.runtime.health.address(),
        kill: Some(door),
        give_up: None,
    };
    let starting = live::assembly::begin(settings, venue, options, checks, parts);
    let mut running = tokio::select! {
        biased;
        () = signals.next() => return Err(Failure::Failed(anyhow!("ended by a signal during the start"))),
        begun = starting => begun.map_err(unstarted)?,
    };
    assembly::watchdog(&running, clock).context("the watchdog cannot be started")?;
    print(&running.checks);
    if let Some(address) = running.listening {
        say(format_args!("health on http://{address}/health, /ready and /metrics"));
    }
    say(format_args!("data in {}; ctrl-c ends it", folder.display()));
    wait(cli.for_, &mut running, &mut signals, screen, logs).await?;
    say(format_args!("stopping: every order is cancelled; a second signal ends it at once"));
    let shared = std::sync::Arc::clone(&running.shared);
    let ended = tokio::select! {
        biased;
        () = signals.next() => {
            let open = shared.glance().as_ref().as_ref().map_or(0, |glance| glance.risk.open_orders);
            return Err(Failure::Failed(anyhow!("ended by a second signal: {open} orders may be open at the venue; desk kill cancels them")));
        }
        ended = stop(running, &killer) => ended?,
    };
    finish(&ended)
}

/// Cancels everything on the path that needs no engine, while the engine ends in order.
async fn stop(running: Running<LiveEnded>, killer: &Killer) -> Done<LiveEnded> {
    let (outcome, ended) = tokio::join!(killer.stop("the process ends"), running.stop());
    match outcome {
        Some(outcome) if !outcome.left.is_empty() => {
            say(format_args!("{} orders were still open by the last read", outcome.left.len()));
        }
        _ => {}
    }
    ended.map_err(unfinished)
}

fn finish(ended: &LiveEnded) -> Done {
    let change = ended.equity - ended.start;
    say(format_args!("equity {} ({change} in this run)", ended.equity));
    if ended.left_open > 0 || !ended.verified_empty {
        return Err(Failure::Failed(anyhow!(
            "{} orders are open or unknown and the venue's list {}: desk kill cancels everything",
            ended.left_open,
            if ended.verified_empty { "is empty" } else { "was not seen empty" },
        )));
    }
    say(format_args!("no order is open; the venue's own list is empty"));
    Ok(())
}

/// Runs until the time is over, a signal comes, or the engine ends by itself.
async fn wait(
    limit: Option<Duration>,
    running: &mut Running<LiveEnded>,
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
    let mut start = Starting::default();
    // The files of the configuration are to be read again.
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    loop {
        tokio::select! {
            biased;
            () = signals.next() => return Ok(()),
            () = &mut over => return Ok(()),
            ended = running.ended() => {
                return match ended {
                    Ok(_) => Err(Failure::Integrity(anyhow!("the engine ended without being asked"))),
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
                    start.show(glance);
                }
            }
        }
    }
}

/// Says what a start waits for, and when the gate opens for the first time.
#[derive(Default)]
struct Starting {
    ready: bool,
    /// When the last line was printed, by the engine's clock.
    last: Option<Time>,
}

/// Between two lines that say what a start waits for.
const WAITING: Span = Span::secs(5);

impl Starting {
    fn show(&mut self, glance: &Glance) {
        if self.ready {
            return;
        }
        let after = glance.started.until(glance.at);
        if glance.open() {
            self.ready = true;
            return say(format_args!("ready {} ms after the start", after.as_millis()));
        }
        let last = self.last.unwrap_or(glance.started);
        if last.until(glance.at) < WAITING {
            return;
        }
        self.last = Some(glance.at);
        let blockers = glance.blockers.iter();
        let waits: Vec<String> =
            blockers.map(|it| format!("{} ({})", it.code, it.detail)).collect();
        say(format_args!("not ready after {} s: {}", after.as_millis() / 1_000, waits.join(", ")));
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
