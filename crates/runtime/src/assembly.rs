//! Paper trading put together: clients, feed, engine's thread, discovery, servers, supervision.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use polydesk_domain::{
    Cause, Channel, Code, ConditionId, ControlEvent, Market, MarketKey, Span, StrategyId, Time,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::RawRisk;
use polydesk_journal::{Ended as JournalEnded, Recovered, RunFacts, StopFacts};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::gamma::Gamma;
use polydesk_polymarket_api::ws::{FeedItem, MarketFeed};
use polydesk_polymarket_api::{
    ApiError, Endpoints, FeedConfig, Http, HttpConfig, LimitsConfig, RateLimits, ServerClock,
};
use polydesk_settings::{Settings, StartSettings};
use polydesk_sim::Sim;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::EngineClock;
use crate::discovery::{Discovery, Scanned};
use crate::durable::{self, Journaling};
use crate::glance::{Connections, Identity, Shared};
use crate::inbox::{Inbox, Request};
use crate::keeping::{Keeper, Storage};
use crate::kill::door::KillDoor;
use crate::paper::{Account, Ended, Plan, run};
use crate::reload::{ConfigState, Load, Order, Reloader, watch_files};
use crate::server::{self, ServerError, View};
use crate::start::{self, Check, Found};
use crate::supervise::{self, Needed, keep};

/// The venue's public side.
#[derive(Clone)]
pub struct Venue {
    /// Connections.
    pub http: Http,
    /// Books, time, parameters.
    pub clob: Clob,
    /// Metadata.
    pub gamma: Gamma,
    /// Quotas of requests.
    pub limits: Arc<RateLimits>,
    /// URL of the market socket.
    pub ws_market: String,
    /// Engine time.
    pub clock: EngineClock,
}

impl Venue {
    /// Clients for these endpoints. `follows_venue`: engine time is the venue's, for a local exchange that plays
    /// back a tape.
    ///
    /// # Errors
    /// An endpoint is no URL, or is not allowed.
    pub fn connect(
        endpoints: &Endpoints,
        clock: ServerClock,
        follows_venue: bool,
    ) -> Result<Venue, ApiError> {
        let http = Http::new(HttpConfig::default(), endpoints)?;
        Venue::over(http, endpoints, clock, follows_venue)
    }

    /// The same over connections that somebody made.
    ///
    /// # Errors
    /// The rate limits are wrong.
    pub fn over(
        http: Http,
        endpoints: &Endpoints,
        clock: ServerClock,
        follows_venue: bool,
    ) -> Result<Venue, ApiError> {
        let limits = Arc::new(RateLimits::new(LimitsConfig::default(), clock.clone())?);
        let engine_clock = if follows_venue {
            EngineClock::of_venue(clock.clone())
        } else {
            EngineClock::local(clock.clone())
        };
        Ok(Venue {
            clob: Clob::new(http.clone(), &endpoints.clob, Arc::clone(&limits), clock),
            gamma: Gamma::new(http.clone(), &endpoints.gamma, Arc::clone(&limits)),
            limits,
            ws_market: endpoints.ws_market.clone(),
            clock: engine_clock,
            http,
        })
    }
}

/// What a start is made with besides the settings.
pub struct StartOptions {
    /// Reads the configuration anew.
    pub load: Load,
    /// Where the engine runs.
    pub host: Host,
    /// The data folder; it exists and its lock is held.
    pub data: PathBuf,
    /// Where the journal is.
    pub storage: Storage,
    /// Panics the supervised task of that name: for tests of the supervision.
    pub panics: Option<watch::Receiver<String>>,
    /// Program and version.
    pub program: String,
    /// SHA-256 of all settings.
    pub config_sha256: String,
    /// Where `/health`, `/ready` and `/metrics` are served.
    pub listen: Option<SocketAddr>,
    /// Files of the configuration: a change of one is taken up.
    pub files: Vec<PathBuf>,
    /// Kill and lift over HTTP; `None`: nothing here can be killed.
    pub kill: Option<Arc<KillDoor>>,
    /// Ends a start that is under way, in order.
    pub give_up: Option<oneshot::Receiver<()>>,
}

/// A start that failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The venue did not answer.
    #[error(
        "{what} did not answer within {secs} s: {error}. Check the network and the section venue"
    )]
    Unreachable {
        /// Which part of the venue.
        what: &'static str,
        /// How long it was tried.
        secs: u32,
        /// The last error.
        error: String,
    },
    /// A client or the feed refuses its settings.
    #[error(transparent)]
    Client(#[from] ApiError),
    /// A listener.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The files of the configuration.
    #[error("the folder of a configuration file cannot be watched")]
    Watch(#[from] notify::Error),
    /// Strategies or the simulated exchange refuse their settings.
    #[error("{0}")]
    Settings(String),
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] durable::BeginError),
    /// It was ended before it was over.
    #[error("the start was ended before it was over")]
    GivenUp,
}

/// What is left when a run is over.
pub struct Finished {
    /// The recording.
    pub ended: Ended,
    /// The engine.
    pub engine: Engine,
    /// The exchange.
    pub sim: Sim,
}

/// Why an engine's thread ended by itself.
pub type Stopped = Box<dyn std::error::Error + Send + Sync>;

type EngineResult<F> = Result<F, Stopped>;

/// What is left of a run, for the last record of its journal.
pub trait Left {
    /// Orders that were left open.
    fn left_open(&self) -> usize;
    /// Hash of the engine's state.
    fn state_hash(&self) -> &str;
}

impl Left for Finished {
    fn left_open(&self) -> usize {
        self.ended.left_open
    }
    fn state_hash(&self) -> &str {
        &self.ended.state_hash
    }
}

/// A running process. `F` is what is left when its run is over.
pub struct Running<F = Finished> {
    /// Glance and metrics.
    pub shared: Arc<Shared>,
    /// To the engine's thread.
    pub inbox: Inbox,
    /// What the start found.
    pub checks: Vec<Check>,
    /// Where the health server listens.
    pub listening: Option<SocketAddr>,
    /// To what takes up changes of the configuration.
    pub orders: mpsc::Sender<Order>,
    _watcher: Option<notify::RecommendedWatcher>,
    finished: Finish<F>,
    tasks: Vec<JoinHandle<()>>,
    journal: Option<Keeper>,
    clock: EngineClock,
}

/// A run that ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The engine's thread panicked.
    #[error("the engine panicked: {0}")]
    Panicked(String),
    /// The event log or the journal.
    #[error("the engine stopped")]
    Stopped(#[source] Stopped),
    /// The end of the journal.
    #[error("the journal could not be ended; the next start recovers what is in it")]
    Journal(#[from] polydesk_journal::WaitError),
}

impl<F: Left> Running<F> {
    /// Waits until the engine ends by itself: only after a panic or an error.
    pub async fn ended(&mut self) -> Result<F, EndError> {
        finished((&mut self.finished).await)
    }

    /// Cancels all orders, and returns what is left.
    ///
    /// # Errors
    /// The engine panicked or could not write.
    pub async fn stop(mut self) -> Result<F, EndError> {
        let (reply, stopped) = oneshot::channel();
        // An engine that has ended already answers with its own error below.
        let _ = self.inbox.send(Request::Stop(reply));
        let _ = stopped.await;
        let done = finished((&mut self.finished).await);
        for task in &self.tasks {
            task.abort();
        }
        let done = done?;
        if let Some(keeper) = self.journal.take() {
            let facts = StopFacts {
                at_ms: millis(self.clock.now()),
                open_orders: done.left_open() as u64,
                state_hash: done.state_hash().to_owned(),
            };
            keeper.stop(facts).await?;
        }
        Ok(done)
    }
}

impl<F> Drop for Running<F> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Some(keeper) = self.journal.take() {
            keeper.leave();
        }
    }
}

fn millis(at: Time) -> i64 {
    at.nanos().div_euclid(1_000_000)
}

fn finished<F>(
    result: Result<std::thread::Result<EngineResult<F>>, oneshot::error::RecvError>,
) -> Result<F, EndError> {
    match result {
        Ok(Ok(done)) => done.map_err(EndError::Stopped),
        Ok(Err(panic)) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "without a message".to_owned());
            Err(EndError::Panicked(text))
        }
        Err(_) => Err(EndError::Panicked("its thread is gone".to_owned())),
    }
}

/// Makes the checks that need the venue; each is tried until it is good or `reach_secs` are over.
///
/// # Errors
/// The venue does not answer at all.
pub async fn check(venue: &Venue, settings: &Settings) -> Result<(Vec<Check>, Span), StartError> {
    let begin = settings.runtime.start;
    let limit = Duration::from_secs(u64::from(begin.reach_secs));
    let until = tokio::time::Instant::now() + limit;
    let unreachable = |what, error| StartError::Unreachable { what, secs: begin.reach_secs, error };
    let mut pause = Duration::from_millis(200);
    // The first answer may take a while; after it the others are at hand.
    loop {
        match venue.clob.ok().await {
            Ok(()) => break,
            Err(ApiError::Misconfigured(text)) => return Err(ApiError::Misconfigured(text).into()),
            Err(error) if tokio::time::Instant::now() + pause >= until => {
                return Err(unreachable("the CLOB", error.to_string()));
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    let way = start::round_trip(&venue.clob, 5).await.map_err(|e| unreachable("the CLOB", e))?;
    let most = Span::millis(i64::from(begin.max_clock_offset_ms));
    // One lost answer says nothing about the version, and nothing asks for it later.
    let version = answered(until, || venue.clob.version()).await;
    let measured = answered(until, || venue.clob.sync_clock()).await;
    let measured = measured.map_err(|error| error.to_string());
    let mut checks = vec![start::version(version), start::clock(&venue.clock, measured, most)];
    let shown = |key: &str| settings.lines.get(key).map(|(value, _)| value.as_str()).unwrap_or("?");
    checks.push(Check::good(
        "latency",
        format!(
            "orders reach the books after insert {} + feed {} + measured way {} ms",
            shown("exchange.latency.insert"),
            shown("exchange.latency.feed"),
            way.as_millis()
        ),
    ));
    Ok((checks, way))
}

/// Asks until there is an answer, or it is too late.
async fn answered<T, F>(until: tokio::time::Instant, ask: impl Fn() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let pause = Duration::from_millis(500);
    loop {
        match ask().await {
            Err(_) if tokio::time::Instant::now() + pause < until => {
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
}

/// Starts everything. A start that fails is no crash: what had begun is ended in order.
///
/// # Errors
/// See [`StartError`].
pub async fn begin(
    settings: &Settings,
    venue: Venue,
    mut options: StartOptions,
    checks: (Vec<Check>, Span),
) -> Result<Running, StartError> {
    let (mut checks, way) = checks;
    let storage = core::mem::take(&mut options.storage);
    let mut ground = Ground::open(settings, &venue, &options).await?;
    let who = Who { wallet: "paper", mode: "paper" };
    let facts = facts(&venue, &options, &who);
    let begun = durable::begin(storage, &options.data, &settings.runtime.journal, &facts)?;
    checks.push(found(&begun.recovered));
    let blockers = blockers(&checks, &begun.recovered);
    let sim = Sim::new(settings.exchange, settings.run.seed)
        .map_err(|error| StartError::Settings(error.to_string()))?;
    let Loaded { engine, listed, limits, first, fresh } = load(settings, &blockers, &begun)?;
    let (recovered, keeper) = begun.start(&venue.clock)?;
    let identity = identity(&venue, &options, "paper", recovered.run);
    let plan = Plan {
        identity: identity.clone(),
        clock: venue.clock.clone(),
        shared: Arc::clone(&ground.shared),
        connections: connections(Arc::clone(&ground.feed)),
        created: Some(ground.created.clone()),
        sample: Span::millis(i64::try_from(settings.run.timer_ms).unwrap_or(1_000)),
        max_proof_age: Span::secs(i64::from(settings.feed.max_proof_age_secs)),
        way,
        journal: Some(Journaling::new(keeper.appender(), identity)),
        account: if fresh { Account::Fresh } else { Account::Resumed(listed.clone()) },
        blockers,
        first,
    };
    let (items, requests) = ground.take()?;
    let work = async move {
        let (mut engine, mut sim) = (engine, sim);
        let ended = run(&mut engine, &mut sim, plan, items, requests).await?;
        Ok(Finished { ended, engine, sim })
    };
    let finished = host(options.host, Arc::clone(&ground.shared), work)?;
    let started = Started { checks, keeper, listed, limits, finished, tasks: Vec::new() };
    ground.follow(settings, venue, options, started).await
}

/// Who runs, as the journal's first record says it.
pub(crate) struct Who<'a> {
    /// Address of the wallet, or `paper`.
    pub wallet: &'a str,
    /// `paper` or `live`.
    pub mode: &'a str,
}

pub(crate) fn identity(
    venue: &Venue,
    options: &StartOptions,
    mode: &'static str,
    run: u32,
) -> Identity {
    Identity {
        mode,
        run,
        started: venue.clock.now(),
        program: options.program.clone(),
        config_sha256: options.config_sha256.clone(),
    }
}

/// What stands before the journal begins: a run that has begun and does not end counts as a crash.
pub(crate) struct Ground {
    pub shared: Arc<Shared>,
    pub inbox: Inbox,
    pub feed: Arc<MarketFeed>,
    pub created: mpsc::Sender<ConditionId>,
    creations: mpsc::Receiver<ConditionId>,
    tcp: Option<Arc<tokio::net::TcpListener>>,
    socket: Arc<tokio::net::UnixListener>,
    ends: Option<(mpsc::Receiver<FeedItem>, mpsc::Receiver<Request>)>,
}

/// A run whose engine is at work.
pub(crate) struct Started<F> {
    pub checks: Vec<Check>,
    pub keeper: Keeper,
    pub listed: Vec<(MarketKey, Arc<Market>)>,
    pub limits: RawRisk,
    pub finished: Finish<F>,
    /// Tasks that end with the run.
    pub tasks: Vec<JoinHandle<()>>,
}

impl Ground {
    pub(crate) async fn open(
        settings: &Settings,
        venue: &Venue,
        options: &StartOptions,
    ) -> Result<Ground, StartError> {
        let tcp = match options.listen {
            Some(address) => Some(Arc::new(server::open_tcp(address).await?)),
            None => None,
        };
        let socket = Arc::new(server::open_socket(&options.data)?);
        let shared = Arc::new(Shared::default());
        let _ = shared.limits.set(venue.limits.clone());
        let (inbox, requests) = Inbox::new();
        let config = FeedConfig {
            // A quiet book has to be proven before its last proof is too old.
            silence_ms: u64::from(settings.feed.max_proof_age_secs) * 1_000 / 2,
            ..FeedConfig::default()
        };
        let (feed, items) = MarketFeed::start(
            config,
            venue.http.clone(),
            &venue.ws_market,
            venue.clob.clone(),
            venue.clock.server().clone(),
        )?;
        let (created, creations) = mpsc::channel(1_024);
        let (feed, ends) = (Arc::new(feed), Some((items, requests)));
        Ok(Ground { shared, inbox, feed, created, creations, tcp, socket, ends })
    }

    /// The receiving ends of market data and requests, for the engine's thread.
    pub(crate) fn take(
        &mut self,
    ) -> Result<(mpsc::Receiver<FeedItem>, mpsc::Receiver<Request>), StartError> {
        self.ends.take().ok_or_else(|| StartError::Settings("the engine runs already".to_owned()))
    }

    /// Finds markets, and starts the tasks beside the engine.
    pub(crate) async fn follow<F: Left>(
        self,
        settings: &Settings,
        venue: Venue,
        options: StartOptions,
        started: Started<F>,
    ) -> Result<Running<F>, StartError> {
        let Ground { shared, inbox, feed, creations, tcp, socket, .. } = self;
        let Started { mut checks, keeper, listed, limits, finished, tasks: begun } = started;
        let (markets, watched) = watch::channel(settings.runtime.markets.clone());
        let mut discovery = Discovery::new(
            venue.gamma.clone(),
            venue.clob.clone(),
            feed,
            inbox.clone(),
            Arc::clone(&shared),
            venue.clock.clone(),
            watched,
        );
        discovery.adopt(listed);
        let (orders, ordered) = mpsc::channel(16);
        let config = Arc::new(ArcSwap::from_pointee(ConfigState::default()));
        let mut reloader = Reloader {
            load: options.load,
            begun: settings.clone(),
            settings: settings.clone(),
            limits,
            inbox: inbox.clone(),
            markets,
            state: Arc::clone(&config),
            stopped: BTreeSet::new(),
        };
        reloader.begin();
        let watcher = match options.files.is_empty() {
            true => None,
            false => Some(watch_files(&options.files, orders.clone())?),
        };
        let mut running = Running {
            shared: Arc::clone(&shared),
            inbox: inbox.clone(),
            checks: Vec::new(),
            listening: tcp.as_ref().and_then(|listener| listener.local_addr().ok()),
            orders: orders.clone(),
            _watcher: watcher,
            finished,
            tasks: begun,
            journal: Some(keeper),
            clock: venue.clock.clone(),
        };
        let given_up = async {
            match options.give_up {
                Some(give_up) => drop(give_up.await),
                None => std::future::pending().await,
            }
        };
        let scanned = tokio::select! {
            biased;
            () = given_up => Err(StartError::GivenUp),
            scanned = first_scan(&mut discovery, settings) => scanned,
        };
        let scanned = match scanned {
            Ok(scanned) => scanned,
            Err(error) => {
                if let Err(end) = running.stop().await {
                    tracing::error!(
                        error = &end as &dyn std::error::Error,
                        "the start was not ended in order"
                    );
                }
                return Err(error);
            }
        };
        checks.push(markets_found(&scanned, discovery.followed()));
        running.checks = checks;
        let clock = venue.clock.server().clone();
        let view = View { shared, clock, config, orders, inbox: inbox.clone(), kill: options.kill };
        let shared = Arc::clone(&running.shared);
        let begun = core::mem::take(&mut running.tasks);
        let mut tasks = Tasks { inbox, shared, panics: options.panics, started: begun };
        tasks.serve(view, tcp, socket);
        tasks.discover(discovery, creations);
        tasks.reload(reloader, ordered);
        tasks.measure_clock(&venue, settings.runtime.start);
        running.tasks = tasks.started;
        Ok(running)
    }
}

/// What the first scan found, in words.
fn markets_found(scanned: &Scanned, followed: usize) -> Check {
    let text = format!("{followed} followed, {} read, {} refused", scanned.rows, scanned.refused);
    match followed {
        0 => Check::warning("markets", text, "loosen the filters of the section markets"),
        _ => Check::good("markets", text),
    }
}

/// Reads Gamma for the first time; it may take a few tries.
async fn first_scan(discovery: &mut Discovery, settings: &Settings) -> Result<Scanned, StartError> {
    let secs = settings.runtime.start.reach_secs;
    let until = tokio::time::Instant::now() + Duration::from_secs(u64::from(secs));
    loop {
        match discovery.scan().await {
            Ok(scanned) => return Ok(scanned),
            Err(error) if tokio::time::Instant::now() >= until => {
                return Err(StartError::Unreachable {
                    what: "Gamma",
                    secs,
                    error: error.to_string(),
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

pub(crate) fn connections(feed: Arc<MarketFeed>) -> Box<dyn Fn() -> Connections + Send> {
    Box::new(move || {
        let stats = feed.stats();
        let lost = stats.disconnects.load(Ordering::Relaxed);
        let made = stats.connects.load(Ordering::Relaxed);
        Connections { up: made.saturating_sub(lost), lost }
    })
}

/// What the journal's first record says of this run.
pub(crate) fn facts(venue: &Venue, options: &StartOptions, who: &Who<'_>) -> RunFacts {
    RunFacts {
        at_ms: millis(venue.clock.now()),
        program: options.program.clone(),
        config: options.config_sha256.clone(),
        wallet: who.wallet.to_owned(),
        mode: who.mode.to_owned(),
        lease_epoch: 0,
        boot: durable::boot_id(),
    }
}

/// What was found in the journal, in words.
pub(crate) fn found(recovered: &Recovered) -> Check {
    let notes: Vec<String> = recovered.notes.iter().map(ToString::to_string).collect();
    let state = match recovered.ended {
        JournalEnded::Fresh => "a new folder".to_owned(),
        JournalEnded::Stopped => format!("{} entries of an earlier run", recovered.entries.len()),
        JournalEnded::Unclean => {
            format!("{} entries of a run that did not end by itself", recovered.entries.len())
        }
        JournalEnded::Rebuilt => format!("{} entries, rebuilt", recovered.entries.len()),
    };
    let detail = format!("run {}: {state}", recovered.run);
    match notes.is_empty() {
        true => Check::good("journal", detail),
        false => {
            Check::warning("journal", format!("{detail}; {}", notes.join("; ")), "read the log")
        }
    }
}

/// Why the gate is closed at the start: nothing is believed before it was seen.
pub(crate) fn blockers(checks: &[Check], recovered: &Recovered) -> Vec<(Cause, String)> {
    let blocker = |detail: &str| detail.to_owned();
    let mut blockers = vec![
        (Cause::NotReconciled, blocker("the account was not compared yet")),
        (Cause::Link(Channel::Market), blocker("the market socket is not connected yet")),
    ];
    for check in checks.iter().filter(|check| check.found == Found::Bad) {
        let cause = match check.name {
            "clock" => Cause::Clock,
            "version" => Cause::Version,
            other => Cause::Other(Code::intern(other).unwrap_or(Code::literal("start"))),
        };
        blockers.push((cause, blocker(&check.detail)));
    }
    if recovered.crash_loop {
        let detail = "three starts after crashes within ten minutes: find out why, then clear it";
        blockers.push((Cause::CrashLoop, blocker(detail)));
    }
    if recovered.kill.is_killed() {
        blockers.push((Cause::Killed, blocker("the latch file of the data folder says killed")));
    }
    blockers
}

/// The engine as it begins.
pub(crate) struct Loaded {
    pub engine: Engine,
    pub listed: Vec<(MarketKey, Arc<Market>)>,
    /// Limits in force.
    pub limits: RawRisk,
    /// The first events.
    pub first: Vec<ControlEvent>,
    pub fresh: bool,
}

/// Loads what the journal holds. Limits in force are the tighter of journal and configuration: a restart is no way
/// around a confirmation.
pub(crate) fn load(
    settings: &Settings,
    blockers: &[(Cause, String)],
    begun: &durable::Begun,
) -> Result<Loaded, StartError> {
    let now: Vec<Cause> = blockers.iter().map(|(cause, _)| *cause).collect();
    let limits = settings.limits.clone();
    // The first event sets the blockers: a replay of the journal needs nothing else.
    let setup = Setup { run: begun.recovered.run, limits, blockers: Vec::new() };
    let mut engine = Engine::new(setup, settings.build())
        .map_err(|error| StartError::Settings(error.to_string()))?;
    let entries = begun.entries().map_err(durable::BeginError::from)?;
    let wanted = settings.limits.raw();
    if entries.is_empty() {
        let (listed, first) = (Vec::new(), Vec::new());
        return Ok(Loaded { engine, listed, limits: wanted.clone(), first, fresh: true });
    }
    let listed = engine.load(&entries).map_err(durable::BeginError::from)?;
    for refused in engine.load_soft(&begun.soft()) {
        tracing::warn!(%refused, "soft memory of a strategy is left out");
    }
    let mut first = Vec::new();
    // What the runtime had set in the earlier run, and does not set now, is over.
    let stale = |cause: &Cause| {
        let kept = matches!(
            cause,
            Cause::LostTail
                | Cause::CrashLoop
                | Cause::Market(_)
                | Cause::Token(_)
                | Cause::Flattened(_)
        );
        cause.of_runtime() && !kept && !now.contains(cause)
    };
    let loaded: Vec<Cause> = engine.manager().state().blockers.keys().copied().collect();
    for cause in loaded.into_iter().filter(stale) {
        let detail = "a new run began".to_owned();
        first.push(ControlEvent::Blocker { cause, on: false, detail });
    }
    // A reload had taken them out; the configuration names them again.
    let off: Vec<_> = engine.manager().state().off.keys().copied().collect();
    for id in off.into_iter().filter(|id| settings.strategies.iter().any(|(of, _)| of == id)) {
        first.push(ControlEvent::Strategy { id, run: true });
    }
    // What an earlier run traded and this one does not: its quotes end and nothing of it is entered again; its exits go
    // on, for what is held has to be left.
    let state = engine.manager().state();
    let mut gone: BTreeSet<StrategyId> = state.quotes.keys().map(|(of, _)| *of).collect();
    gone.extend(state.orders.open().map(|order| order.strategy));
    gone.extend(state.positions.all().map(|(of, _, _)| of));
    for id in gone {
        let named = settings.strategies.iter().any(|(of, _)| *of == id);
        if !named && id != StrategyId::EXTERNAL && !state.off.contains_key(&id) {
            tracing::warn!(strategy = %id, "it has positions or orders and the configuration does not name it: only its exits go on");
            first.push(ControlEvent::Strategy { id, run: false });
        }
    }
    let in_force = engine.manager().limits().raw().clone();
    let limits = in_force.tightened_by(wanted);
    if limits != in_force
        && let Ok(toml) = toml::to_string(&limits)
    {
        first.push(ControlEvent::Limits { toml: toml.into() });
    }
    Ok(Loaded { engine, listed, limits, first, fresh: false })
}

/// How an engine's thread ends.
pub(crate) type Finish<F> = oneshot::Receiver<std::thread::Result<EngineResult<F>>>;

/// Where the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// On a thread of its own: it never shares one with what waits for the network.
    Thread,
    /// As a task of the runtime: for simulations, in which one runtime moves everything through virtual time.
    Task,
}

/// Runs the engine until it ends. A panic is reported and the run is over: its state is not used again.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn host<F: Send + 'static>(
    host: Host,
    shared: Arc<Shared>,
    work: impl Future<Output = EngineResult<F>> + Send + 'static,
) -> Result<Finish<F>, StartError> {
    let (mut done, finished) = oneshot::channel();
    let guarded = async move {
        let result = std::panic::AssertUnwindSafe(work).catch_unwind().await;
        // The end is reported with its reason; the watchdog must not take it for a deadlock.
        shared.rest();
        result
    };
    match host {
        // A simulated process that is dropped is killed: nothing of it goes on.
        Host::Task => drop(tokio::spawn(async move {
            tokio::select! {
                biased;
                () = done.closed() => {}
                result = guarded => drop(done.send(result)),
            }
        })),
        Host::Thread => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .map_err(StartError::Thread)?;
            std::thread::Builder::new()
                .name("engine".into())
                .spawn(move || drop(done.send(runtime.block_on(guarded))))
                .map_err(StartError::Thread)?;
        }
    }
    Ok(finished)
}

/// Starts supervised tasks.
pub(crate) struct Tasks {
    pub inbox: Inbox,
    pub shared: Arc<Shared>,
    pub panics: Option<watch::Receiver<String>>,
    pub started: Vec<JoinHandle<()>>,
}

impl Tasks {
    pub(crate) fn start<T>(
        &mut self,
        name: &'static str,
        needed: Needed,
        mut make: impl FnMut() -> T + Send + 'static,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let panics = self.panics.clone();
        let make = move || {
            let (work, panics) = (make(), panics.clone());
            async move {
                tokio::select! {
                    biased;
                    () = panicked(name, panics) => panic!("as a test asked"),
                    () = work => {}
                }
            }
        };
        let kept = keep(name, needed, self.inbox.clone(), Arc::clone(&self.shared), make);
        self.started.push(tokio::spawn(kept));
    }

    fn serve(
        &mut self,
        view: View,
        tcp: Option<Arc<tokio::net::TcpListener>>,
        socket: Arc<tokio::net::UnixListener>,
    ) {
        if let Some(tcp) = tcp {
            let view = view.clone();
            let make = move || server::serve_tcp(Arc::clone(&tcp), view.clone());
            self.start("health", Needed::No, make);
        }
        let make = move || server::serve_socket(Arc::clone(&socket), view.clone());
        self.start("desk", Needed::No, make);
    }

    fn discover(&mut self, discovery: Discovery, creations: mpsc::Receiver<ConditionId>) {
        let kept = Arc::new(Mutex::new((discovery, creations)));
        let make = move || {
            let kept = Arc::clone(&kept);
            async move {
                let (discovery, creations) = &mut *kept.lock().await;
                discovery.run(creations).await;
            }
        };
        self.start("discovery", Needed::No, make);
    }

    fn reload(&mut self, reloader: Reloader, orders: mpsc::Receiver<Order>) {
        let kept = Arc::new(Mutex::new((reloader, orders)));
        let make = move || {
            let kept = Arc::clone(&kept);
            async move {
                let (reloader, orders) = &mut *kept.lock().await;
                reloader.run(orders).await;
            }
        };
        self.start("reload", Needed::No, make);
    }

    fn measure_clock(&mut self, venue: &Venue, settings: StartSettings) {
        let (clob, clock, inbox) = (venue.clob.clone(), venue.clock.clone(), self.inbox.clone());
        let make = move || watch_clock(clob.clone(), clock.clone(), inbox.clone(), settings);
        self.start("clock", Needed::ForTrading(Code::literal("clock_task")), make);
    }
}

/// Waits until a test asks for the panic of this task.
async fn panicked(name: &str, panics: Option<watch::Receiver<String>>) {
    if let Some(mut panics) = panics {
        // What was asked for before this start of the task is over.
        panics.mark_unchanged();
        while panics.changed().await.is_ok() {
            if *panics.borrow_and_update() == name {
                return;
            }
        }
    }
    std::future::pending().await
}

/// Measures the clock again and again; a blocker says when it is off or unknown.
async fn watch_clock(clob: Clob, clock: EngineClock, inbox: Inbox, settings: StartSettings) {
    let most = Span::millis(i64::from(settings.max_clock_offset_ms));
    let mut failures = 0;
    loop {
        let measured = clob.sync_clock().await.map_err(|error| error.to_string());
        failures = if measured.is_err() { failures + 1 } else { 0 };
        let check = start::clock(&clock, measured, most);
        // One lost answer says nothing about the clock.
        if check.found == Found::Good || failures == 0 || failures >= 3 {
            let on = check.found == Found::Bad;
            let event = ControlEvent::Blocker { cause: Cause::Clock, on, detail: check.detail };
            if let Err(error) = inbox.send(Request::Control(event)) {
                tracing::error!(%error, "the state of the clock did not reach the engine");
            }
        }
        tokio::time::sleep(Duration::from_secs(u64::from(settings.clock_check_secs))).await;
    }
}

/// Ends the process when the engine misses its beat.
///
/// # Errors
/// The thread cannot be started.
pub fn watchdog<F>(running: &Running<F>, clock: ServerClock) -> std::io::Result<()> {
    supervise::watchdog(Arc::clone(&running.shared), clock, |age| {
        // Where nobody reads it, the process must end all the same.
        let _ = writeln!(
            std::io::stderr(),
            "error: the engine has not moved for {} ms; ending the process",
            age.as_millis()
        );
        std::process::abort();
    })
}
