//! The exchange, and a paper process on it.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polydesk_domain::Market;
use polydesk_journal::MemDisk;
use polydesk_local_exchange::{Clock, LocalExchange, Running as Exchange, Setup, TEST_START};
use polydesk_polymarket_api::ws::MarketFeed;
use polydesk_polymarket_api::{
    ByteStream, Connect, Connecting, Endpoints, FeedConfig, Http, HttpConfig, ServerClock,
};
use polydesk_runtime::assembly::{
    Finished, Host, Running, StartError, StartOptions, Venue, begin, check,
};
use polydesk_runtime::discovery::Discovery;
use polydesk_runtime::glance::Glance;
use polydesk_runtime::inbox::Inbox;
use polydesk_runtime::keeping::{SimulatedDisk, Storage};
use polydesk_runtime::reload::Order;
use polydesk_settings::{Layer, Settings};
use tokio::sync::watch;

/// Runs a story in a paused runtime: time moves only when every task waits. A hang ends it after ten virtual hours.
pub fn simulated<T>(story: impl Future<Output = T>) -> T {
    simulated_for(36_000, story)
}

/// The same for so many virtual seconds.
pub fn simulated_for<T>(seconds: u64, story: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let limit = Duration::from_secs(seconds);
    runtime.unwrap().block_on(async { tokio::time::timeout(limit, story).await.expect("it hangs") })
}

/// Connections within the process, and what has become of the network.
struct Pipes {
    exchange: Arc<Exchange>,
    network: Arc<AtomicU8>,
}

/// What becomes of new connections.
#[derive(Clone, Copy)]
pub enum Network {
    Works,
    /// Names are not found: each attempt fails.
    Fails,
    /// Nothing answers: an attempt hangs.
    Hangs,
}

impl Connect for Pipes {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let network = self.network.load(Ordering::Relaxed);
        if network == Network::Fails as u8 {
            let error = std::io::Error::other("failed to lookup address information");
            return Box::pin(async { Err(error) });
        }
        if network == Network::Hangs as u8 {
            return Box::pin(std::future::pending());
        }
        let pipe = self.exchange.connect(host, port);
        Box::pin(async { pipe.map(|pipe| Box::new(pipe) as Box<dyn ByteStream>) })
    }
    fn seed(&self) -> Option<u64> {
        Some(1)
    }
}

/// The exchange, and what a process on it is started with.
pub struct World {
    pub exchange: Arc<Exchange>,
    pub folder: tempfile::TempDir,
    pub flags: Vec<(&'static str, &'static str)>,
    /// Panics the task of that name.
    pub panics: watch::Sender<String>,
    /// Where the journal is: in memory, so that real time decides nothing; `None`: in the folder, under threads.
    pub disk: Option<SimulatedDisk>,
    /// Looser settings that a reload reads instead.
    pub later: Arc<Mutex<Option<Settings>>>,
    network: Arc<AtomicU8>,
    clock: ServerClock,
    endpoints: Endpoints,
    http: Http,
}

/// A disk without delays, under a task.
pub fn at_once(disk: &MemDisk) -> SimulatedDisk {
    SimulatedDisk { disk: Arc::new(disk.clone()), takes: Arc::new(|_| Duration::ZERO) }
}

/// The demo markets whose quotes stand still.
pub fn still() -> Setup {
    Setup { liquidity: true, counterparties: false, ..Setup::test() }
}

/// The demo markets that move.
pub fn moving(seed: u64) -> Setup {
    Setup { seed, liquidity: true, counterparties: true, ..Setup::test() }
}

impl World {
    pub fn new(setup: Setup) -> World {
        let clock = ServerClock::runtime(TEST_START);
        World::with_clock(setup, clock)
    }

    pub fn with_clock(setup: Setup, clock: ServerClock) -> World {
        let setup = Setup { clock: Clock::Runtime(TEST_START), ..setup };
        let exchange = Arc::new(LocalExchange::in_memory(&setup).unwrap());
        let urls = exchange.urls().clone();
        let endpoints = Endpoints {
            clob: urls.clob,
            gamma: urls.gamma,
            ws_market: urls.market_socket,
            ..Endpoints::default()
        };
        let network = Arc::new(AtomicU8::new(Network::Works as u8));
        let pipes = Arc::new(Pipes { exchange: exchange.clone(), network: network.clone() });
        let http = Http::with_connector(HttpConfig::default(), &endpoints, pipes).unwrap();
        let (panics, _) = watch::channel(String::new());
        let folder = tempfile::tempdir().unwrap();
        World {
            exchange,
            folder,
            flags: Vec::new(),
            panics,
            disk: Some(at_once(&MemDisk::new())),
            later: Arc::default(),
            network,
            clock,
            endpoints,
            http,
        }
    }

    /// Lets the network fail, or work again. Connections that stand are cut by the exchange's scenarios.
    pub fn network(&self, network: Network) {
        self.network.store(network as u8, Ordering::Relaxed);
    }

    pub fn settings(&self) -> Settings {
        self.settings_and(&[])
    }

    pub fn settings_and(&self, more: &[(&'static str, &'static str)]) -> Settings {
        let base = [
            ("markets.min_liquidity_usd", "0"),
            ("markets.min_volume_24h_usd", "0"),
            ("markets.max_spread", "1"),
            ("markets.min_left_secs", "0"),
            ("markets.refresh_secs", "5"),
            ("markets.watch_secs", "2"),
            ("journal.segment_mib", "1"),
            ("start.clock_check_secs", "5"),
        ];
        let flags = base.iter().chain(&self.flags).chain(more);
        let flags =
            flags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned(), "--test".to_owned()));
        Settings::load(&[Layer::flags(flags.collect())]).unwrap()
    }

    /// Discovery alone, with its feed.
    pub fn discovery(
        &self,
        inbox: Inbox,
        settings: watch::Receiver<polydesk_settings::MarketSettings>,
    ) -> Discovery {
        let venue =
            Venue::over(self.http.clone(), &self.endpoints, self.clock.clone(), false).unwrap();
        let (feed, _items) = MarketFeed::start(
            FeedConfig::default(),
            venue.http.clone(),
            &venue.ws_market,
            venue.clob.clone(),
            venue.clock.server().clone(),
        )
        .unwrap();
        let shared = Arc::default();
        Discovery::new(
            venue.gamma,
            venue.clob,
            Arc::new(feed),
            inbox,
            shared,
            venue.clock,
            settings,
        )
    }

    /// A client of the venue's public side, as a process makes it.
    pub fn venue(&self) -> Venue {
        Venue::over(self.http.clone(), &self.endpoints, self.clock.clone(), false).unwrap()
    }

    /// A market as the exchange has it.
    pub fn market(&self, slug: &str) -> Arc<Market> {
        self.exchange.venue(|venue| {
            let ids = venue.universe();
            let key = ids.keys().find(|key| ids.market(*key).slug == slug);
            Arc::clone(ids.market(key.unwrap_or_else(|| panic!("no market {slug}"))))
        })
    }

    /// Starts a process on the data folder.
    pub async fn start(&self) -> Result<Process, StartError> {
        let settings = self.settings();
        let venue = self.venue();
        let checks = check(&venue, &settings).await?;
        let (again, later) = (settings.clone(), self.later.clone());
        let options = StartOptions {
            load: Box::new(move || Ok(later.lock().unwrap().clone().unwrap_or(again.clone()))),
            host: Host::Task,
            data: self.folder.path().to_owned(),
            storage: self.disk.clone().map_or(Storage::Folder, Storage::Simulated),
            panics: Some(self.panics.subscribe()),
            program: "test".to_owned(),
            config_sha256: String::new(),
            listen: None,
            files: Vec::new(),
            kill: None,
            give_up: None,
        };
        let running = begin(&settings, venue, options, checks).await?;
        Ok(Process { running })
    }
}

/// A paper process.
pub struct Process {
    pub running: Running,
}

impl Process {
    pub fn glance(&self) -> Option<Glance> {
        (*self.running.shared.glance()).clone()
    }

    /// Waits until the glance satisfies a condition; an hour of virtual time is too long for any of them.
    pub async fn until(&self, what: &str, holds: impl Fn(&Glance) -> bool) -> Glance {
        for _ in 0..36_000 {
            if let Some(glance) = self.glance()
                && holds(&glance)
            {
                return glance;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what} never came: {:#?}", self.glance());
    }

    /// Orders placed so far.
    pub fn placed(&self) -> u64 {
        self.running.shared.metrics.placed.load(Ordering::Relaxed)
    }

    /// Looser limits are confirmed by a person; the answer.
    pub async fn confirm(&self) -> Result<Vec<String>, String> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.running.orders.send(Order::Confirm(reply)).await.unwrap();
        answer.await.unwrap()
    }

    pub async fn stop(self) -> Finished {
        self.running.stop().await.unwrap()
    }
}

pub fn blocked(glance: &Glance, code: &str) -> bool {
    glance.blockers.iter().any(|blocker| blocker.code == code)
}

pub async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
