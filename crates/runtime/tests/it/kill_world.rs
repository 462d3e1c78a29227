//! An account with orders on the local exchange, and a ladder over its credentials, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polydesk_domain::{Market, OrderHash, Price, Shares, Side, Size, Span, Tif, Time};
use polydesk_journal::{LatchFile, LatchState, MemDisk};
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_local_exchange::{
    Clock, LocalExchange, Running as Exchange, Setup, TEST_START, TestAccount,
};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{
    ByteStream, Connect, Connecting, Credentials, Endpoints, Exchange as Contract, Http,
    HttpConfig, L2Auth, LimitsConfig, OrderArgs, RateLimits, Secret, ServerClock, SignedOrder,
};
use polydesk_polymarket_wallet::signing::{Chain, Key, OrderSigner, OrderStamps, Wallet};
use polydesk_runtime::kill::{
    LatchWriter, Listing, Outcome, Plan, Step, Switch, Trigger, Via, Writing, ladder,
};
use tokio::sync::{oneshot, watch};

/// Connections within the process. The network can be cut: attempts and standing connections then hang.
struct Pipes {
    exchange: Arc<Exchange>,
    down: watch::Receiver<bool>,
}

impl Connect for Pipes {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        if *self.down.borrow() {
            return Box::pin(std::future::pending());
        }
        let pipe = self.exchange.connect(host, port);
        Box::pin(async { pipe.map(|pipe| Box::new(pipe) as Box<dyn ByteStream>) })
    }
    fn seed(&self) -> Option<u64> {
        Some(1)
    }
}

/// The exchange, one account on it, and its kill switch.
pub struct Venue {
    pub exchange: Arc<Exchange>,
    pub clock: ServerClock,
    pub switch: Arc<Switch>,
    pub disk: MemDisk,
    pub account: TestAccount,
    pub steps: Arc<Mutex<Vec<Step>>>,
    down: watch::Sender<bool>,
    signer: OrderSigner,
    stamps: Mutex<OrderStamps>,
}

impl Venue {
    pub fn new() -> Venue {
        Venue::with(Setup::test())
    }

    /// With the signer's buckets of the lowest tier enforced.
    pub fn limited() -> Venue {
        Venue::with(Setup {
            limits: polydesk_local_exchange::LimitSetup::default(),
            ..Setup::test()
        })
    }

    pub fn with(setup: Setup) -> Venue {
        let setup = Setup { clock: Clock::Runtime(TEST_START), ..setup };
        let clock = ServerClock::runtime(TEST_START);
        let exchange = Arc::new(LocalExchange::in_memory(&setup).unwrap());
        let account = exchange.accounts()[0].clone();
        let key = Key::from_hex(TEST_KEYS[0]).unwrap();
        let wallet = Wallet::Deposit(account.wallets[&WalletKind::Deposit]);
        Venue {
            switch: Switch::new(clock.clone()),
            signer: OrderSigner::new(key, wallet, &Chain::polygon()),
            stamps: Mutex::new(OrderStamps::seeded(7)),
            disk: MemDisk::new(),
            steps: Arc::default(),
            down: watch::channel(false).0,
            exchange,
            clock,
            account,
        }
    }

    /// Each request and each answer takes so long on its way, beside the rules of `more`, which come first.
    pub fn faults(&self, more: &str) {
        let slow = "[[answers]]\nendpoint = \"* *\"\nbefore = \"15ms\"\nafter = \"15ms\"\n";
        self.exchange.inject_toml(&format!("{more}\n{slow}")).unwrap();
    }

    /// Cuts the network for new connections.
    pub fn network(&self, works: bool) {
        self.down.send_replace(!works);
    }

    /// A client of its own, as a program or a thread makes one.
    pub fn clob(&self) -> Clob {
        self.patient(10)
    }

    /// The same with so many seconds for an answer.
    fn patient(&self, secs: u64) -> Clob {
        let urls = self.exchange.urls().clone();
        let endpoints = Endpoints { clob: urls.clob, ..Endpoints::default() };
        let pipes = Pipes { exchange: self.exchange.clone(), down: self.down.subscribe() };
        let config = HttpConfig { answer_timeout_ms: secs * 1_000, ..HttpConfig::default() };
        let http = Http::with_connector(config, &endpoints, Arc::new(pipes)).unwrap();
        let limits = RateLimits::new(LimitsConfig::default(), self.clock.clone()).unwrap();
        let clob = Clob::new(http, &endpoints.clob, Arc::new(limits), self.clock.clone());
        let auth = L2Auth::new(self.account.owner.to_string(), self.credentials()).unwrap();
        clob.with_auth(auth, polydesk_polymarket_api::SignatureType::Deposit)
    }

    pub fn credentials(&self) -> Credentials {
        let theirs = self.account.credentials.clone().unwrap();
        Credentials {
            key: theirs.key.to_string(),
            secret: Secret::new(theirs.secret),
            passphrase: Secret::new(theirs.passphrase),
        }
    }

    fn market(&self) -> Arc<Market> {
        self.exchange.venue(|venue| {
            let universe = venue.universe();
            let key = universe.keys().next().unwrap();
            universe.market(key).clone()
        })
    }

    /// Rests so many bids, which the switch lists as resting.
    pub fn rest(&self, count: usize) {
        for _ in 0..count {
            let order = self.rest_unlisted();
            let _ = self.switch.enlist(order, self.market().condition);
            self.switch.rests(&order);
        }
    }

    /// Rests one that the bot knows nothing of: a person's.
    pub fn rest_unlisted(&self) -> OrderHash {
        let key = self.account.credentials.as_ref().unwrap().key;
        let wallet = self.account.wallets[&WalletKind::Deposit];
        self.exchange.venue(|venue| {
            let universe = venue.universe();
            let token = universe.token(&universe.market(universe.keys().next().unwrap()).tokens[0]);
            let price = Price::cents(10);
            let spec = OrderSpec::limit(token.unwrap(), Side::Buy, price, Shares::whole(5));
            venue.place_as(key, wallet, &spec).unwrap().order.id
        })
    }

    fn signed(&self) -> SignedOrder {
        let market = self.market();
        let args = OrderArgs {
            token: market.tokens[0],
            side: Side::Buy,
            price: Price::cents(11),
            size: Size::Shares(Shares::whole(5)),
            tif: Tif::Gtc,
            post_only: false,
            tick: market.tick,
            exchange: Contract::of(&market).unwrap(),
        };
        let stamp = self.stamps.lock().unwrap().next(self.clock.millis());
        self.signer.sign(&args, stamp, &self.credentials().key).unwrap()
    }

    /// Sends so many orders as an outbox does: listed, then under the guard; an answer takes them off the list or
    /// marks them as resting, silence leaves them.
    pub fn send(&self, count: usize) -> Vec<OrderHash> {
        // What the exchange still holds back is processed while its connection stands.
        let clob = self.patient(60);
        let sent = (0..count).map(|_| {
            let (order, clob, switch) = (self.signed(), clob.clone(), self.switch.clone());
            let id = order.id();
            if !switch.enlist(id, self.market().condition) {
                return id;
            }
            tokio::spawn(async move {
                match clob.place_while(&order, Some(switch.guard())).await {
                    Ok(_) => switch.rests(&id),
                    Err(error) if error.may_have_taken_effect() => {}
                    Err(_) => switch.delist(&id),
                }
            });
            id
        });
        sent.collect()
    }

    /// Open orders of the account, in truth.
    pub fn open(&self) -> usize {
        self.exchange.venue(|venue| venue.open_orders(&self.account.owner).count())
    }

    pub fn trigger(&self) -> Trigger {
        self.switch.trigger("ada", Via::Desk, "a test")
    }

    pub fn plan(&self, latch: Option<Arc<dyn LatchWriter>>) -> Plan {
        let steps = self.steps.clone();
        Plan {
            clob: self.clob(),
            switch: self.switch.clone(),
            latch,
            listing: Listing::Here,
            run: 3,
            cancels_per_second: 80,
            steps: Arc::new(move |step| steps.lock().unwrap().push(step.clone())),
        }
    }

    /// A latch on a disk without delays.
    pub fn latch(&self) -> Option<Arc<dyn LatchWriter>> {
        Some(Arc::new(TaskLatch::new(&self.disk, Duration::ZERO, Duration::ZERO)))
    }

    /// When requests of a method and path arrived, since a time.
    pub fn arrived(&self, method: &str, path: &str, since: Time) -> Vec<Duration> {
        let received = self.exchange.received();
        let fits = received.iter().filter(|one| one.method == method && one.path.starts_with(path));
        fits.filter(|one| one.at >= since).map(|one| length(since.until(one.at))).collect()
    }

    /// Triggers a kill and runs its ladder, and watches the truth of the exchange until `after` its end.
    pub async fn kill(&self, plan: Plan, after: Duration) -> Killed {
        let trigger = self.trigger();
        self.climb(plan, trigger, None, after).await
    }

    pub async fn climb(
        &self,
        plan: Plan,
        trigger: Trigger,
        limit: Option<Duration>,
        after: Duration,
    ) -> Killed {
        let since = self.exchange.now();
        let over = Arc::new(watch::channel(false).0);
        let mut ended = over.subscribe();
        let (exchange, owner) = (self.exchange.clone(), self.account.owner);
        let truth = tokio::spawn(async move {
            let mut zero = Duration::ZERO;
            while !*ended.borrow_and_update() {
                let now = length(since.until(exchange.now()));
                if exchange.venue(|venue| venue.open_orders(&owner).next().is_some()) {
                    zero = now + Duration::from_millis(1);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            zero
        });
        let outcome = ladder::run(&plan, &trigger, limit).await;
        let confirmed = length(since.until(self.exchange.now()));
        tokio::time::sleep(after).await;
        over.send_replace(true);
        let zero = truth.await.unwrap();
        let deletes = self.arrived("DELETE", "/", since);
        Killed { outcome, zero, confirmed, first: deletes.first().copied(), since }
    }
}

/// What came of a kill, by the truth of the exchange.
#[derive(Debug)]
pub struct Killed {
    pub outcome: Outcome,
    /// From the trigger until no order was open for good.
    pub zero: Duration,
    /// From the trigger until the ladder ended.
    pub confirmed: Duration,
    /// From the trigger until the first DELETE arrived at the exchange's edge.
    pub first: Option<Duration>,
    pub since: Time,
}

pub fn length(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.as_nanos()).unwrap())
}

/// A latch whose disk takes virtual time.
pub struct TaskLatch {
    disk: MemDisk,
    write: Duration,
    sync: Duration,
}

impl TaskLatch {
    pub fn new(disk: &MemDisk, write: Duration, sync: Duration) -> TaskLatch {
        TaskLatch { disk: disk.clone(), write, sync }
    }
}

impl LatchWriter for TaskLatch {
    fn write(&self, state: LatchState) -> Writing {
        let ((written, is_written), (synced, is_synced)) = (oneshot::channel(), oneshot::channel());
        let (disk, write, sync) = (self.disk.clone(), self.write, self.sync);
        tokio::spawn(async move {
            tokio::time::sleep(write).await;
            let (mut latch, _) = LatchFile::read(&disk).unwrap();
            let done = latch.write(&disk, &state).map_err(|error| error.to_string());
            let _ = written.send(done.clone());
            if let Err(why) = done {
                let _ = synced.send(Err(why));
                return;
            }
            tokio::time::sleep(sync).await;
            let _ = synced.send(latch.sync(&disk).map_err(|error| error.to_string()));
        });
        Writing { written: is_written, synced: is_synced }
    }
}
