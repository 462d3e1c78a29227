//! Live trading put together: the lanes around the engine's thread, on the ground that paper stands on too.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use polydesk_domain::{Cause, Channel, Code, OperatorCommand, Span, Time};
use polydesk_gateway::{Gateway, Orders, WireRow};
use polydesk_journal::Entry;
use polydesk_polymarket_api::clob::{Clob, VenueMode};
use polydesk_polymarket_api::ws::UserFeed;
use polydesk_polymarket_api::{Credentials, FeedConfig, SignOrders};
use polydesk_settings::Settings;
use tokio::sync::{Mutex, mpsc};

use super::bot::{
    Lanes, LiveEnded, LivePlan, RECONCILED, RECONCILED_AT, RECONCILED_BLOCK, TAKEN_UP, run,
};
use super::chain::{CHAIN_TABLE, JournalStore, MakeChain, Rows};
use super::guarding::{self, Guarding};
use super::orders::{MaxAges, OrderLane};
use super::permit::Permit;
use super::report::{Reports, Waiting};
use super::stops::Stops;
use super::{lanes, passes, version};
use crate::assembly::{
    Ground, Host, Left, Loaded, Running, StartError, StartOptions, Started, Stopped, Tasks, Venue,
    Who, blockers, connections, facts, found, host, identity, load,
};
use crate::beat::{self, Acknowledged};
use crate::clock::EngineClock;
use crate::durable::{self, Journaling};
use crate::kill::{Via, lift};
use crate::spin;
use crate::start::Check;
use crate::supervise::Needed;

/// Requests of orders that may wait for their lane; more are a halt.
const ORDERS_WAITING: usize = 256;
/// Cancels, reads and jobs that may wait for theirs.
const OTHERS_WAITING: usize = 16_384;

/// Makes clients of the venue with the account's credentials, each with connections of its own: lanes share none.
pub type Connections = Box<dyn Fn() -> Result<Clob, StartError> + Send>;

/// What the program plugs in.
pub struct LiveParts {
    /// Signs orders.
    pub signer: Box<dyn SignOrders>,
    /// The chain and the wallet's own transactions.
    pub chain: MakeChain,
    /// Whose rows are ours.
    pub account: polydesk_gateway::Account,
    /// Clients with credentials.
    pub connect: Connections,
    /// For the user channel.
    pub credentials: Credentials,
    /// URL of the user channel.
    pub ws_user: String,
    /// The kill path.
    pub guarding: Guarding,
    /// Bounds of ages at the first byte.
    pub max_ages: MaxAges,
    /// For rehearsals.
    pub stops: Stops,
    /// Orders that this bot did not place are cancelled.
    pub cancel_external: bool,
}

impl Left for LiveEnded {
    fn left_open(&self) -> usize {
        self.left_open
    }
    fn state_hash(&self) -> &str {
        &self.state_hash
    }
}

/// Starts live trading. A start that fails is no crash: what had begun is ended in order.
///
/// # Errors
/// See [`StartError`].
pub async fn begin(
    settings: &Settings,
    venue: Venue,
    mut options: StartOptions,
    mut checks: Vec<Check>,
    parts: LiveParts,
) -> Result<Running<LiveEnded>, StartError> {
    let storage = core::mem::take(&mut options.storage);
    let mut ground = Ground::open(settings, &venue, &options).await?;
    let who = Who { wallet: &parts.account.wallet, mode: "live" };
    let facts = facts(&venue, &options, &who);
    let mut begun = durable::begin(storage, &options.data, &settings.runtime.journal, &facts)?;
    if !settings.runtime.rehearsal.crash_loop {
        begun.recovered.crash_loop = false;
    }
    checks.push(found(&begun.recovered));
    let mut blockers = blockers(&checks, &begun.recovered);
    blockers.push((Cause::Link(Channel::User), "the user channel is not up yet".to_owned()));
    blockers.push((Cause::Heartbeat, "no heartbeat was acknowledged yet".to_owned()));
    let gateway_rows = begun.recovered.entries.iter().filter(|entry| entry.table == WireRow::TABLE);
    let rows = gateway_rows.map(|entry| (entry.key.as_slice(), entry.value.as_slice()));
    let orders = Orders::load(rows).map_err(|error| StartError::Settings(error.to_string()))?;
    let reconciled = |key: &[u8]| -> Option<&str> {
        let mut rows = begun.recovered.entries.iter().filter(|entry| entry.table == RECONCILED);
        let row = rows.find(|entry| entry.key == key)?;
        core::str::from_utf8(&row.value).ok()
    };
    let agreed_block = reconciled(RECONCILED_BLOCK).and_then(|text| text.parse().ok());
    let reconciled =
        reconciled(RECONCILED_AT).and_then(|text| text.parse().ok()).map(Time::from_nanos);
    let chain_rows = begun.recovered.entries.iter().filter(|entry| entry.table == CHAIN_TABLE);
    let chain_rows: Rows =
        chain_rows.map(|entry| (entry.key.clone(), entry.value.clone())).collect();
    let lost_tail = begun.recovered.lost_tail;
    let loaded = load(settings, &blockers, &begun)?;
    let Loaded { engine, listed, limits, mut first, .. } = loaded;
    let taken_up = |entry: &Entry| entry.table == RECONCILED && entry.key == TAKEN_UP;
    let fresh = !begun.recovered.entries.iter().any(taken_up);
    // A kill that was lifted while no process ran leaves a pause for a person to end.
    let lifted = lift::paused(&options.data)
        .unwrap_or_else(|error| Some(format!("the file of a lifted kill cannot be read: {error}")));
    if let Some(why) = &lifted {
        first.push(guarding::operator("desk", why, OperatorCommand::Pause));
    }
    // A kill outlives every start: the first request to the venue is a cancel.
    let killed = begun.recovered.kill.is_killed();
    let (recovered, keeper) = begun.start(&venue.clock)?;
    let identity = identity(&venue, &options, "live", recovered.run);
    let (reports, reported) = Reports::new();
    let switch = Arc::clone(parts.guarding.killer.switch());
    let acknowledged = Acknowledged::new(venue.clock.server().clone());
    let mut stop_checks = guarding::checks(&switch, &acknowledged);
    let overflown = reports.clone();
    stop_checks.insert(0, Arc::new(move || overflown.overflown().then(lanes::lane_full)));
    let permit = Permit::new(stop_checks);
    // No order gets a timestamp that an earlier run has used.
    let last_ms = orders.iter().map(|(_, order)| order.facts.timestamp_ms).max().unwrap_or(0);
    let mut signer = parts.signer;
    signer.used_until(last_ms.saturating_add(1_000));
    let (user_feed, user) = UserFeed::start(
        FeedConfig::default(),
        venue.http.clone(),
        &parts.ws_user,
        parts.credentials,
        Vec::new(),
        venue.clock.server().clone(),
    );
    let (to_orders, of_orders) = mpsc::channel(ORDERS_WAITING);
    let (to_cancels, of_cancels) = mpsc::channel(OTHERS_WAITING);
    let (to_reads, of_reads) = mpsc::channel(OTHERS_WAITING);
    let (to_passes, of_passes) = mpsc::channel(1);
    let (to_chain, of_chain) = mpsc::channel(OTHERS_WAITING);
    let connect = &parts.connect;
    let run_number = recovered.run;
    guarding::arm(
        &parts.guarding,
        connect()?,
        options.data.clone(),
        run_number,
        &ground.shared,
        &ground.inbox,
    );
    if killed {
        let why = "the latch of an earlier run says killed";
        parts.guarding.killer.kill("the start", Via::Latch, why);
    }
    for (hash, order) in orders.iter().filter(|(_, order)| order.ended.is_none()) {
        // Whether it still may leave is no question: it left in an earlier run, or never.
        let _ = switch.enlist(*hash, order.facts.condition);
    }
    let lane = OrderLane {
        clob: connect()?,
        signer,
        switch: Arc::clone(&switch),
        journal: keeper.appender(),
        clock: venue.clock.clone(),
        permit: permit.clone(),
        reports: reports.clone(),
        max_ages: parts.max_ages,
        stops: parts.stops.clone(),
        shared: Arc::clone(&ground.shared),
        silence: Arc::default(),
        spin: spin::before_parking(options.host),
    };
    let killer = parts.guarding.killer.clone();
    let over = move |why: &str| drop(killer.kill("the engine", Via::Engine, why));
    spawn_orders(options.host, lane, of_orders, over.clone())?;
    let reading = connect()?;
    let mode = reading.clone();
    let mut tasks = Tasks {
        inbox: ground.inbox.clone(),
        shared: Arc::clone(&ground.shared),
        panics: options.panics.clone(),
        started: Vec::new(),
    };
    let side = Side { clock: venue.clock.clone(), reports };
    let beats = guarding::beats(connect()?, &switch, &acknowledged, &ground.shared, &ground.inbox);
    let beats = Arc::new(beats);
    let make = move || {
        let beats = Arc::clone(&beats);
        async move { beat::run(&beats).await }
    };
    tasks.start("heartbeat", Needed::ForTrading(Code::literal("heartbeat_task")), make);
    let (asked, told) = (connect()?, ground.inbox.clone());
    let make = move || version::watch(asked.clone(), told.clone());
    tasks.start("version", Needed::ForTrading(Code::literal("version_task")), make);
    side.start(&mut tasks, "cancels", connect()?, of_cancels, lanes::cancels);
    side.start(&mut tasks, "reads", reading.clone(), of_reads, lanes::reads);
    let store = Arc::new(JournalStore(keeper.appender()));
    let chain = (parts.chain)(store, chain_rows).map_err(StartError::Settings)?;
    side.start(&mut tasks, "passes", (reading, Arc::clone(&chain)), of_passes, passes::passes);
    side.start(&mut tasks, "chain", chain, of_chain, lanes::chain);
    let plan = LivePlan {
        identity: identity.clone(),
        clock: venue.clock.clone(),
        shared: Arc::clone(&ground.shared),
        connections: connections(Arc::clone(&ground.feed)),
        created: Some(ground.created.clone()),
        max_proof_age: Span::secs(i64::from(settings.feed.max_proof_age_secs)),
        journal: Journaling::new(keeper.appender(), identity),
        blockers,
        first,
        listed: listed.clone(),
        fresh,
        gateway: Gateway::new(parts.account, recovered.run, orders),
        lanes: Lanes {
            orders: to_orders,
            cancels: to_cancels,
            reads: to_reads,
            passes: to_passes,
            chain: to_chain,
        },
        reports: reported,
        user,
        user_feed,
        permit,
        reconciled,
        agreed_block,
        lost_tail,
        cancel_external: parts.cancel_external || lost_tail,
        halt: Box::new(over),
        switch,
        stops: parts.stops,
        spin: spin::before_parking(options.host),
        normal_mode: Box::new(move || mode.mode() == VenueMode::Normal),
    };
    let (items, requests) = ground.take()?;
    let (ender, shared) = (parts.guarding.killer.clone(), Arc::clone(&ground.shared));
    let work = async move {
        let mut engine = engine;
        let running = AssertUnwindSafe(run(&mut engine, plan, items, requests));
        let ended = running.catch_unwind().await;
        if !matches!(ended, Ok(Ok(_))) {
            // Nothing decides about what rests any more: it is cancelled before the end is reported, on the path that
            // needs no engine. The watchdog must not cut that short.
            let _ = ender.switch().stop("the engine has ended");
            shared.rest();
            let _ = ender.stop("the engine has ended").await;
        }
        match ended {
            Ok(ended) => ended.map_err(Stopped::from),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    };
    let finished = host(options.host, Arc::clone(&ground.shared), work)?;
    if let Some(why) = lifted {
        // In force since the first event; forgotten only when the journal keeps it.
        let pause = guarding::operator("desk", &why, OperatorCommand::Pause);
        let kept = ground.inbox.operate(pause).await;
        if let Err(error) =
            kept.and_then(|()| lift::forget_paused(&options.data).map_err(|e| e.to_string()))
        {
            tracing::warn!(%error, "the pause of a lifted kill is in force and stays written down");
        }
    }
    let tasks = tasks.started;
    let started = Started { checks, keeper, listed, limits, finished, tasks };
    ground.follow(settings, venue, options, started).await
}

/// What every lane beside the orders works with.
struct Side {
    clock: EngineClock,
    reports: Reports,
}

impl Side {
    /// Starts a lane under supervision: without it no order leaves.
    fn start<W, J, T>(
        &self,
        tasks: &mut Tasks,
        name: &'static str,
        with: W,
        from: mpsc::Receiver<J>,
        lane: fn(W, EngineClock, Reports, Waiting<J>) -> T,
    ) where
        W: Clone + Send + 'static,
        J: Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let (clock, reports) = (self.clock.clone(), self.reports.clone());
        let from = Arc::new(Mutex::new(from));
        let make = move || lane(with.clone(), clock.clone(), reports.clone(), Arc::clone(&from));
        tasks.start(name, Needed::ForTrading(Code::literal(name)), make);
    }
}

/// The lane of orders runs on a thread of its own, which also writes the journal for them and owns their connections; in
/// a simulation it is a task. However it ends, no order leaves after it: `over` is called.
///
/// # Errors
/// The system gives no thread.
pub fn spawn_orders(
    at: Host,
    lane: OrderLane,
    requests: mpsc::Receiver<super::orders::OrderRequest>,
    over: impl Fn(&str) + Send + 'static,
) -> Result<(), StartError> {
    let guarded = async move {
        let run = AssertUnwindSafe(lane.run(requests)).catch_unwind().await;
        match run {
            Ok(Ok(())) => {}
            Ok(Err(why)) => over(&format!("the lane of orders ended: {why}")),
            Err(_) => over("the lane of orders panicked"),
        }
    };
    match at {
        Host::Task => drop(tokio::spawn(guarded)),
        Host::Thread => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(StartError::Thread)?;
            let work = move || {
                runtime.block_on(guarded);
                // Connections that linger hold nothing up.
                runtime.shutdown_timeout(Duration::from_millis(100));
            };
            std::thread::Builder::new()
                .name("orders".into())
                .spawn(work)
                .map_err(StartError::Thread)?;
        }
    }
    Ok(())
}
