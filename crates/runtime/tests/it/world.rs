//! The exchange, and a paper process on it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use polydesk_local_exchange::{Clock, LocalExchange, Running as Exchange, Setup, TEST_START};
use polydesk_polymarket_api::{
    ByteStream, Connect, Connecting, Endpoints, Http, HttpConfig, ServerClock,
};
use polydesk_runtime::assembly::{
    Finished, Host, Running, StartError, StartOptions, Venue, begin, check,
};
use polydesk_runtime::glance::Glance;
use polydesk_runtime::keeping::Storage;
use polydesk_settings::{Layer, Settings};
use tokio::sync::watch;

/// Runs a story in a paused runtime: time moves only when every task waits. A hang ends it after ten virtual hours.
pub fn simulated<T>(story: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let limit = Duration::from_secs(36_000);
    runtime.unwrap().block_on(async { tokio::time::timeout(limit, story).await.expect("it hangs") })
}

struct Pipes(Arc<Exchange>);

impl Connect for Pipes {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let pipe = self.0.connect(host, port);
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
    clock: ServerClock,
    endpoints: Endpoints,
    http: Http,
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
        let pipes = Arc::new(Pipes(exchange.clone()));
        let http = Http::with_connector(HttpConfig::default(), &endpoints, pipes).unwrap();
        let (panics, _) = watch::channel(String::new());
        let folder = tempfile::tempdir().unwrap();
        World { exchange, folder, flags: Vec::new(), panics, clock, endpoints, http }
    }

    pub fn settings(&self) -> Settings {
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
        let flags = base.iter().chain(&self.flags);
        let flags =
            flags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned(), "--test".to_owned()));
        Settings::load(&[Layer::flags(flags.collect())]).unwrap()
    }

    /// Starts a process on the data folder.
    pub async fn start(&self) -> Result<Process, StartError> {
        let settings = self.settings();
        let venue =
            Venue::over(self.http.clone(), &self.endpoints, self.clock.clone(), false).unwrap();
        let checks = check(&venue, &settings).await?;
        let again = settings.clone();
        let options = StartOptions {
            load: Box::new(move || Ok(again.clone())),
            host: Host::Task,
            data: self.folder.path().to_owned(),
            storage: Storage::Folder,
            panics: Some(self.panics.subscribe()),
            program: "test".to_owned(),
            config_sha256: String::new(),
            listen: None,
            files: Vec::new(),
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
