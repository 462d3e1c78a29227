//! The threads of live trading as a program has them: the feed in the main runtime, the engine and the lane of orders on
//! threads of their own, the journal on a disk. Nothing else runs beside them.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use polydesk_domain::{
    Action, Cash, CashKind, Code, Event, Market, MarketKey, Outbox, Outcome, Price, Reason, Shares,
    Side, Size, Span, Stamped, StrategyId, Tif, Time, Token, TradeIntent, Urgency, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{RawRisk, RiskLimits};
use polydesk_gateway::{Account, BuilderFees, Gateway, Orders};
use polydesk_journal::RunFacts;
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::ws::{FeedConfig, MarketFeed, UserFeed};
use polydesk_polymarket_api::{
    Credentials, Endpoints, Exchange, Group, Http, HttpConfig, L2Auth, LimitsConfig, OrderArgs,
    Quota, RateLimits, Secret, ServerClock, SignError, SignOrders, SignedOrder, SignerQuota, Stamp,
};
use polydesk_polymarket_wallet::signing::{
    Chain, Key, OrderSigner, OrderStamps, Scope, ScopedSigner, Wallet,
};
use polydesk_runtime::assembly::Host;
use polydesk_runtime::clock::EngineClock;
use polydesk_runtime::durable::{self, Journaling};
use polydesk_runtime::glance::{Connections, Identity, Shared};
use polydesk_runtime::inbox::Inbox;
use polydesk_runtime::keeping::{Keeper, Storage};
use polydesk_runtime::kill::Switch;
use polydesk_runtime::live::assembly::spawn_orders;
use polydesk_runtime::live::bot::{Lanes, LivePlan, run};
use polydesk_runtime::live::orders::{MaxAges, OrderLane};
use polydesk_runtime::live::permit::Permit;
use polydesk_runtime::live::report::Reports;
use polydesk_runtime::live::stops::Stops;
use polydesk_settings::{Durable, JournalSettings};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};
use tokio::sync::mpsc;

use crate::now;
use crate::venue::{TOKEN, Venue};

/// A public development key.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const BUYER: StrategyId = StrategyId::literal("buyer");

fn credentials() -> Credentials {
    Credentials {
        key: "11111111-2222-4333-8444-555555555555".into(),
        secret: Secret::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        passphrase: Secret::new("a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1"),
    }
}

/// What signs orders, and what signs requests.
pub fn maker() -> (OrderSigner, L2Auth) {
    let key = Key::from_hex(KEY).expect("a key");
    let auth = L2Auth::new(key.address().to_string(), credentials()).expect("credentials");
    (OrderSigner::new(key, Wallet::Eoa, &Chain::polygon()), auth)
}

/// An order like those of the strategy.
pub fn sample(signer: &OrderSigner) -> SignedOrder {
    let args = OrderArgs {
        token: TOKEN.parse().expect("an id"),
        side: Side::Buy,
        price: Price::cents(54),
        size: Size::Spend(Usdc::cents(540)),
        tif: Tif::Fak,
        post_only: false,
        tick: polydesk_domain::Tick::Cent,
        exchange: Exchange::Normal,
    };
    let salt = polydesk_polymarket_api::Salt::of_random(1 << 11);
    let stamp = Stamp { salt, timestamp_ms: 1_790_000_000_000 };
    signer.sign(&args, stamp, &credentials().key).expect("an order")
}

/// When one order passed where.
#[derive(Clone, Copy)]
pub struct Way {
    pub decides: Instant,
    pub prepares: Instant,
    pub signed: Instant,
    pub leaves: Instant,
}

type Marks = Arc<Mutex<Vec<Way>>>;

/// The latest times of each point; an order is under way alone.
#[derive(Default)]
struct Points {
    decides: Option<Instant>,
    prepares: Option<Instant>,
    signed: Option<Instant>,
}

/// Buys ten shares at the best ask whenever that has moved.
struct Buyer {
    points: Arc<Mutex<Points>>,
    last: Option<Price>,
}

impl Strategy for Buyer {
    fn id(&self) -> StrategyId {
        BUYER
    }
    fn kinds(&self) -> Kinds {
        Kinds::BATCH
    }
    fn wants(&self, _: &Market) -> bool {
        true
    }
    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>) {
        let Trigger::Batch(market) = trigger else { return };
        let best = view.books.get(market).and_then(|book| book.best_ask(Outcome::Yes));
        let Some((limit, _)) = best.filter(|(price, _)| Some(*price) != self.last) else { return };
        self.points.lock().expect("no panic").decides = Some(now());
        self.last = Some(limit);
        let intent = TradeIntent {
            token: market.token(Outcome::Yes),
            side: Side::Buy,
            size: Size::Shares(Shares::whole(10)),
            limit,
            urgency: Urgency::Now,
            all_or_nothing: false,
            exit: None,
        };
        out.signal(
            market,
            Action::Trade(intent),
            Span::secs(5),
            Usdc::whole(1),
            Reason::new("bench"),
        );
    }
    fn save(&self) -> Saved {
        Saved::NOTHING
    }
    fn load(&mut self, _: &Saved) -> Result<(), StateError> {
        Ok(())
    }
}

/// Notes when it has signed.
struct Noting {
    signer: ScopedSigner,
    points: Arc<Mutex<Points>>,
}

impl SignOrders for Noting {
    fn sign_order(&mut self, args: &OrderArgs, now_ms: u64) -> Result<SignedOrder, SignError> {
        let signed = self.signer.sign_order(args, now_ms);
        self.points.lock().expect("no panic").signed = Some(now());
        signed
    }
    fn used_until(&mut self, last_ms: u64) {
        self.signer.used_until(last_ms);
    }
}

/// A running bot.
pub struct Bot {
    inbox: Inbox,
    engine: JoinHandle<()>,
    runtime: tokio::runtime::Runtime,
    _feed: MarketFeed,
    _folder: tempfile::TempDir,
    _keeper: Keeper,
    /// The other ends of the lanes that do nothing.
    _kept: Box<dyn std::any::Any + Send>,
}

impl Bot {
    pub fn stop(self) {
        // The venue of this benchmark shows no list that would end it: its process would end now.
        drop(self.inbox);
        self.runtime.shutdown_background();
        drop(self.engine);
    }
}

fn limits() -> RiskLimits {
    let most = Usdc::whole(1_000_000_000);
    let raw = RawRisk {
        max_order_usd: most,
        max_market_usd: most,
        max_event_usd: most,
        max_category_usd: most,
        max_strategy_usd: most,
        max_account_usd: most,
        max_unsettled_usd: most,
        daily_loss_usd: most,
        max_drawdown_usd: most,
        max_open_orders: 1_000_000,
        max_orders_per_minute: 100_000_000,
        orders_per_second: 100_000_000,
        order_burst: 100_000_000,
        cancels_per_second: 100_000_000,
        cancel_burst: 100_000_000,
        ..RawRisk::default()
    };
    RiskLimits::try_from(&raw).expect("limits")
}

fn market() -> Arc<Market> {
    let mut market = Market::plain(1, "bench");
    market.tokens[0] = TOKEN.parse().expect("an id");
    Arc::new(market)
}

/// Starts the bot on a venue; its orders are noted.
pub fn start(venue: &Venue, spin: Duration, power: bool) -> (Bot, Marks) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let entered = runtime.enter();
    let (points, marks) = (Arc::new(Mutex::new(Points::default())), Marks::default());
    let clock = ServerClock::system();
    let engine_clock = EngineClock::local(clock.clone());
    let url = venue.url();
    let endpoints = Endpoints {
        clob: url.clone(),
        gamma: url.clone(),
        data: url.clone(),
        ws_market: venue.socket("market"),
        ws_user: venue.socket("user"),
        polybolt: venue.socket("none"),
        rtds: venue.socket("none"),
        relayer: url.clone(),
        geoblock: url.clone(),
        rpc: Vec::new(),
    };
    let http = || Http::new(HttpConfig::default(), &endpoints).expect("a client");
    // Limits stand in the way, and are wide enough never to wait.
    let wide = LimitsConfig {
        signer: SignerQuota {
            orders_per_second: 1_000_000,
            order_burst: 1_000_000,
            ..LimitsConfig::default().signer
        },
        quotas: [(Group::Order, Quota { burst: 10_000_000, sustained: 10_000_000 })].into(),
        ..LimitsConfig::default()
    };
    let wide = Arc::new(RateLimits::new(wide, clock.clone()).expect("limits"));
    let (signer, auth) = maker();
    let kind = signer.wallet().signature_type();
    let clob = |auth: &L2Auth| {
        Clob::new(http(), &url, Arc::clone(&wide), clock.clone()).with_auth(auth.clone(), kind)
    };
    let feed = FeedConfig { hash_check_ms: 0, silence_ms: 600_000, ..FeedConfig::default() };
    let (feed, items) =
        MarketFeed::start(feed, http(), &endpoints.ws_market, clob(&auth), clock.clone())
            .expect("a feed");
    let (user_feed, user) = UserFeed::start(
        FeedConfig::default(),
        http(),
        &endpoints.ws_user,
        credentials(),
        Vec::new(),
        clock.clone(),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let durable = if power { Durable::Power } else { Durable::Process };
    let settings =
        JournalSettings { durable, segment_mib: 64, recording: false, keep_skips_months: 0 };
    let facts = RunFacts {
        at_ms: clock.local().millis(),
        program: "bench".to_owned(),
        config: String::new(),
        wallet: "bench".to_owned(),
        mode: "live".to_owned(),
        lease_epoch: 0,
        boot: durable::boot_id(),
    };
    let begun =
        durable::begin(Storage::Folder, folder.path(), &settings, &facts).expect("a journal");
    let (recovered, keeper) = begun.start(&engine_clock).expect("threads");
    let identity = Identity {
        mode: "live",
        run: recovered.run,
        started: engine_clock.now(),
        program: "bench".to_owned(),
        config_sha256: String::new(),
    };
    let buyer = Buyer { points: Arc::clone(&points), last: None };
    let setup = Setup { run: recovered.run, limits: limits(), blockers: Vec::new() };
    let mut engine = Engine::new(setup, vec![Box::new(buyer)]).expect("an engine");
    deposit(&mut engine, engine_clock.now());

    let (reports, reported) = Reports::new();
    let shared = Arc::new(Shared::default());
    let permit = noting(&points, &marks);
    let switch = Switch::new(clock.clone());
    let scope = Scope {
        max_buy: Usdc::whole(1_000_000),
        max_sell: Shares::whole(1_000_000),
        orders_per_second: 1_000_000,
    };
    let stamps = OrderStamps::from_os().expect("random numbers");
    let signer = ScopedSigner::new(signer, stamps, credentials().key, scope);
    let ages = MaxAges { decision: Span::secs(5), data: Span::secs(600) };
    let lane = OrderLane {
        clob: clob(&auth),
        signer: Box::new(Noting { signer, points: Arc::clone(&points) }),
        switch: Arc::clone(&switch),
        journal: keeper.appender(),
        clock: engine_clock.clone(),
        permit: permit.clone(),
        reports,
        max_ages: ages,
        stops: Stops::default(),
        shared: Arc::clone(&shared),
        silence: Arc::default(),
        spin,
    };
    let (to_orders, of_orders) = mpsc::channel(256);
    spawn_orders(Host::Thread, lane, of_orders, |why| panic!("{why}")).expect("a thread");
    // The other lanes do nothing here.
    let ((cancels, one), (reads, two)) = (mpsc::channel(1_024), mpsc::channel(1_024));
    let ((passes, three), (chain, four)) = (mpsc::channel(1), mpsc::channel(1_024));
    let kept = Box::new((one, two, three, four));
    let plan = LivePlan {
        identity: identity.clone(),
        clock: engine_clock,
        shared,
        connections: Box::new(|| Connections { up: 1, lost: 0 }),
        created: None,
        max_proof_age: Span::secs(600),
        journal: Journaling::new(keeper.appender(), identity),
        blockers: Vec::new(),
        first: Vec::new(),
        listed: vec![(MarketKey(0), market())],
        fresh: false,
        gateway: Gateway::new(
            Account {
                owner: credentials().key,
                wallet: auth.owner().to_owned(),
                builder: BuilderFees::default(),
            },
            recovered.run,
            Orders::default(),
        ),
        lanes: Lanes { orders: to_orders, cancels, reads, passes, chain },
        reports: reported,
        user,
        user_feed,
        permit,
        reconciled: None,
        agreed_block: None,
        lost_tail: false,
        cancel_external: false,
        halt: Box::new(|why| eprintln!("halted: {why}")),
        switch,
        stops: Stops::default(),
        spin,
        normal_mode: Box::new(|| true),
    };
    let (inbox, requests) = Inbox::new();
    drop(entered);
    let engine = std::thread::Builder::new().name("engine".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let ended = runtime.expect("a runtime").block_on(run(&mut engine, plan, items, requests));
        drop(ended);
    });
    feed.subscribe(vec![(TOKEN.parse().expect("an id"), Token(0))]);
    let bot = Bot {
        inbox,
        engine: engine.expect("a thread"),
        runtime,
        _feed: feed,
        _folder: folder,
        _keeper: keeper,
        _kept: kept,
    };
    (bot, marks)
}

/// Asked once before an order is signed and once before its first byte.
fn noting(points: &Arc<Mutex<Points>>, marks: &Marks) -> Permit {
    let (points, marks) = (Arc::clone(points), Arc::clone(marks));
    Permit::new(vec![Arc::new(move || -> Option<Code> {
        let mut points = points.lock().expect("no panic");
        match (points.decides, points.prepares, points.signed) {
            (Some(decides), Some(prepares), Some(signed)) => {
                *points = Points::default();
                let way = Way { decides, prepares, signed, leaves: now() };
                marks.lock().expect("no panic").push(way);
            }
            _ => points.prepares = Some(now()),
        }
        None
    })])
}

/// The account's money, from before the run.
fn deposit(engine: &mut Engine, at: Time) {
    let cash = Cash {
        kind: CashKind::Deposit,
        conversion: None,
        strategy: None,
        market: None,
        amount: Usdc::whole(1_000_000),
        shares: Default::default(),
    };
    let stamped = Stamped { at, venue_at: at, seq: 0, event: Event::cash(cash) };
    engine.handle(&stamped, &mut Outbox::new());
}
