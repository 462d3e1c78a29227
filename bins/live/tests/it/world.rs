//! A deposit wallet on the local exchange, and its lane.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polydesk_account::chain::WalletChain;
use polydesk_account::conversions::Book;
use polydesk_domain::{
    Conversion, ConversionId, Market, MarketKey, Outcome, Shares, StrategyId, TokenId, Usdc,
};
use polydesk_gateway::ChainRead;
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_local_exchange::{Clock, LocalExchange, Running, Setup, TEST_START};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{
    ByteStream, Connect, Connecting, Credentials, Endpoints, Http, HttpConfig, L2Auth,
    LimitsConfig, RateLimits, Secret, ServerClock,
};
use polydesk_polymarket_wallet::chain::{
    Relayer, RelayerAuth, RelayerConfig, Rpc, RpcConfig, Wallets,
};
use polydesk_polymarket_wallet::signing::{Address, Chain, Key, Wallet};
use polydesk_runtime::live::chain::{
    Answer, ChainLane as _, ChainStore, ConversionJob, Converted, Rows,
};

/// Runs a test body in a paused runtime: time moves only when every task waits. A hang ends it after ten virtual hours.
pub fn simulated<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let limit = Duration::from_secs(36_000);
    runtime.unwrap().block_on(async { tokio::time::timeout(limit, test).await.expect("it hangs") })
}

pub async fn pass(secs: u64) {
    tokio::time::sleep(Duration::from_secs(secs)).await;
}

struct Pipes(Arc<Running>);

impl Connect for Pipes {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let pipe = self.0.connect(host, port);
        Box::pin(async { pipe.map(|pipe| Box::new(pipe) as Box<dyn ByteStream>) })
    }
    fn seed(&self) -> Option<u64> {
        Some(7)
    }
}

/// The journal's table. The process can die at one of its writes.
#[derive(Default)]
pub struct Pages {
    pub rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    pub writes: AtomicUsize,
    /// At which write; counted from 1.
    pub dies_at: AtomicUsize,
    /// Whether that write is on disk.
    pub after: bool,
    /// Writes fail.
    pub full: std::sync::atomic::AtomicBool,
}

impl ChainStore for Pages {
    fn write<'a>(&'a self, key: &'a [u8], value: Option<&'a [u8]>) -> Answer<'a, ()> {
        Box::pin(async move {
            if self.full.load(Ordering::Relaxed) {
                return Err("the disk is full".to_owned());
            }
            let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
            let dies = number == self.dies_at.load(Ordering::Relaxed);
            if !dies || self.after {
                let mut rows = self.rows.lock().unwrap();
                match value {
                    Some(value) => drop(rows.insert(key.to_vec(), value.to_vec())),
                    None => drop(rows.remove(key)),
                }
            }
            if dies {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}

impl Pages {
    pub fn dying(at: usize, after: bool) -> Arc<Pages> {
        Arc::new(Pages { dies_at: AtomicUsize::new(at), after, ..Pages::default() })
    }

    /// What the next process finds.
    pub fn again(&self) -> Arc<Pages> {
        let rows = self.rows.lock().unwrap().clone();
        Arc::new(Pages { rows: Mutex::new(rows), ..Pages::default() })
    }
}

pub struct World {
    pub exchange: Arc<Running>,
    endpoints: Endpoints,
    http: Http,
    pub clock: ServerClock,
    clob: Clob,
    credentials: Credentials,
    pub wallet: Address,
    pub nodes: usize,
}

impl World {
    pub fn new() -> World {
        let setup = Setup { clock: Clock::Runtime(TEST_START), ..Setup::test() };
        let clock = ServerClock::runtime(TEST_START);
        let exchange = Arc::new(LocalExchange::in_memory(&setup).unwrap());
        let urls = exchange.urls().clone();
        let endpoints = Endpoints {
            clob: urls.clob,
            relayer: urls.relayer,
            rpc: urls.rpc.to_vec(),
            ..Endpoints::default()
        };
        let pipes = Arc::new(Pipes(exchange.clone()));
        let http = Http::with_connector(HttpConfig::default(), &endpoints, pipes).unwrap();
        let limits = Arc::new(RateLimits::new(LimitsConfig::default(), clock.clone()).unwrap());
        let account = &exchange.accounts()[0];
        let theirs = account.credentials.clone().unwrap();
        let credentials = Credentials {
            key: theirs.key.to_string(),
            secret: Secret::new(theirs.secret.clone()),
            passphrase: Secret::new(theirs.passphrase.clone()),
        };
        let wallet = account.wallets[&WalletKind::Deposit];
        let clob = Clob::new(http.clone(), &endpoints.clob, limits, clock.clone());
        let auth = L2Auth::new(account.owner.to_string(), credentials.clone()).unwrap();
        let clob = clob.with_auth(auth, Wallet::Deposit(wallet).signature_type());
        World { exchange, endpoints, http, clock, clob, credentials, wallet, nodes: 2 }
    }

    /// A process's lane, with what earlier ones have written.
    pub fn lane(&self, pages: &Arc<Pages>) -> WalletChain {
        let chain = Chain::polygon();
        let urls = &self.endpoints.rpc[..self.nodes];
        let config = RpcConfig::default();
        let rpc = Rpc::new(&self.http, urls, &chain, self.clock.clone(), config).unwrap();
        let rpc = Arc::new(rpc);
        let rows: Rows = pages.rows.lock().unwrap().clone().into_iter().collect();
        let book = Arc::new(Book::load(pages.clone(), self.clock.clone(), &rows).unwrap());
        let relayer = Relayer::new(
            self.http.clone(),
            &self.endpoints.relayer,
            RelayerAuth::builder(self.credentials.clone()).unwrap(),
            self.clock.clone(),
            RelayerConfig::default(),
            chain.clone(),
            Arc::new(Key::from_hex(TEST_KEYS[0]).unwrap()),
            Wallet::Deposit(self.wallet),
            Some(rpc.clone()),
        );
        let sender = Wallets::from(relayer.unwrap()).with_keep(book.clone());
        let own = (Arc::new(sender), book);
        WalletChain::new(rpc, chain, self.wallet, self.clob.clone(), self.clock.clone(), own)
    }

    pub fn market(&self, slug: &str) -> Arc<Market> {
        let key = self.key(slug);
        self.exchange.venue(|venue| venue.universe().market(key).clone())
    }

    pub fn key(&self, slug: &str) -> MarketKey {
        self.exchange.venue(|venue| {
            let mut keys = venue.universe().keys();
            keys.find(|key| venue.universe().market(*key).slug == slug).unwrap()
        })
    }

    pub fn job(&self, number: u64, slug: &str, action: Conversion) -> ConversionJob {
        let market = self.market(slug);
        ConversionJob {
            id: ConversionId(number),
            strategy: StrategyId::literal("maker"),
            condition: market.condition,
            tokens: market.tokens,
            neg_risk: market.neg_risk.is_some(),
            action,
        }
    }

    /// pUSD, YES and NO of a market in the wallet, in millionths.
    pub fn holds(&self, slug: &str) -> [i64; 3] {
        let market = self.key(slug);
        self.exchange.venue(|venue| {
            let shares = venue.shares_of(&self.wallet);
            let held = |outcome: Outcome| {
                shares.get(&market.token(outcome)).map_or(0, |held| held.micros() as i64)
            };
            let cash = venue.cash_of(&self.wallet).micros();
            [cash, held(Outcome::Yes), held(Outcome::No)]
        })
    }

    pub fn fund(&self, amount: Usdc) {
        self.exchange.venue(|venue| venue.fund(self.wallet, amount));
    }

    pub fn submits(&self) -> usize {
        self.exchange.count("POST", "/submit")
    }
}

pub async fn read(lane: &WalletChain, tokens: &[TokenId], since: Option<u64>) -> ChainRead {
    lane.read(tokens, since).await.unwrap()
}

/// Asks as the runtime does, until the outcome is known; twelve virtual minutes are enough for each.
pub async fn until_known(lane: &WalletChain, job: &ConversionJob, resume: bool) -> Converted {
    for _ in 0..80 {
        let answer = if resume { lane.resume(job).await } else { lane.convert(job).await };
        match answer {
            Ok(Converted::Unknown) | Err(_) => pass(10).await,
            Ok(known) => return known,
        }
    }
    panic!("conversion {} stays unknown", job.id)
}

pub fn whole(shares: u64) -> Shares {
    Shares::whole(shares)
}
