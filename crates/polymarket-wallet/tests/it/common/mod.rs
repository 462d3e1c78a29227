//! A local exchange and our client on it, over real loopback sockets.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use polydesk_domain::{Market, Price, Shares, Side, Size, Tif, Token, TokenId, Universe};
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_local_exchange::{Clock, LocalExchange, Running, Setup, TEST_START};
use polydesk_polymarket_api::clob::{Clob, Placed};
use polydesk_polymarket_api::{
    ApiError, ByteStream, Connect, Connecting, Credentials, Endpoints, Exchange, Http, HttpConfig,
    L2Auth, LimitsConfig, OrderArgs, RateLimits, Secret, ServerClock, SignedOrder,
};
use polydesk_polymarket_wallet::signing::{Chain, Key, OrderSigner, OrderStamps, Wallet};

/// Runs a test body on one thread; a hang ends it.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), test).await.expect("the test hangs");
    });
}

/// Runs a test body in a paused runtime without sockets or files: time moves only when every task waits, to the
/// next timer. A hang ends it after ten virtual hours.
pub fn simulated<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let limit = Duration::from_secs(36_000);
    runtime.unwrap().block_on(async { tokio::time::timeout(limit, test).await.expect("it hangs") })
}

/// Connections to an exchange within the process.
pub struct Pipes {
    pub exchange: Arc<Running>,
    pub seed: u64,
}

impl Connect for Pipes {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let pipe = self.exchange.connect(host, port);
        Box::pin(async { pipe.map(|pipe| Box::new(pipe) as Box<dyn ByteStream>) })
    }
    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

fn endpoints(exchange: &Running) -> Endpoints {
    let urls = exchange.urls().clone();
    Endpoints {
        clob: urls.clob,
        gamma: urls.gamma,
        data: urls.data,
        ws_market: urls.market_socket,
        ws_user: urls.user_socket,
        polybolt: urls.polybolt,
        rtds: urls.rtds,
        relayer: urls.relayer,
        geoblock: urls.geoblock,
        rpc: urls.rpc.to_vec(),
    }
}

/// The exchange, and everything a client needs for it.
pub struct World {
    pub exchange: Arc<Running>,
    pub endpoints: Endpoints,
    pub http: Http,
    pub limits: Arc<RateLimits>,
    pub clock: ServerClock,
    pub clob: Clob,
    pub universe: Universe,
}

pub fn http_config() -> HttpConfig {
    HttpConfig { answer_timeout_ms: 3_000, body_timeout_ms: 3_000, ..HttpConfig::default() }
}

impl World {
    pub async fn new(setup: Setup) -> World {
        World::with(setup, http_config()).await
    }

    pub async fn with(setup: Setup, config: HttpConfig) -> World {
        let exchange = Arc::new(LocalExchange::start(setup).await.unwrap());
        let endpoints = endpoints(&exchange);
        let http = Http::new(config, &endpoints).unwrap();
        let time = exchange.clone();
        let clock = ServerClock::over(move || time.now());
        World::of(exchange, endpoints, http, clock)
    }

    /// Both ends over pipes, on the runtime's clock: for a paused runtime ([`simulated`]).
    pub fn in_memory(setup: Setup, config: HttpConfig) -> World {
        let setup = Setup { clock: Clock::Runtime(TEST_START), ..setup };
        let seed = setup.seed;
        let clock = ServerClock::runtime(TEST_START);
        let exchange = Arc::new(LocalExchange::in_memory(&setup).unwrap());
        let endpoints = endpoints(&exchange);
        let pipes = Arc::new(Pipes { exchange: exchange.clone(), seed });
        let http = Http::with_connector(config, &endpoints, pipes).unwrap();
        World::of(exchange, endpoints, http, clock)
    }

    fn of(exchange: Arc<Running>, endpoints: Endpoints, http: Http, clock: ServerClock) -> World {
        let limits = Arc::new(RateLimits::new(LimitsConfig::default(), clock.clone()).unwrap());
        let clob = Clob::new(http.clone(), &endpoints.clob, limits.clone(), clock.clone());
        let universe = exchange.venue(|venue| venue.universe().clone());
        World { exchange, endpoints, http, limits, clock, clob, universe }
    }

    pub fn market(&self, slug: &str) -> Arc<Market> {
        let key = self.universe.keys().find(|key| self.universe.market(*key).slug == slug);
        self.universe.market(key.unwrap_or_else(|| panic!("no market {slug}"))).clone()
    }

    /// Dense token of a market's outcome (0 or 1).
    pub fn token(&self, slug: &str, outcome: usize) -> Token {
        self.universe.token(&self.market(slug).tokens[outcome]).unwrap()
    }

    pub fn token_id(&self, token: Token) -> TokenId {
        self.universe.token_id(token)
    }

    pub fn trader(&self, index: usize, kind: WalletKind) -> Trader {
        let key = Key::from_hex(TEST_KEYS[index]).unwrap();
        let account = &self.exchange.accounts()[index];
        let wallet = match kind {
            WalletKind::Eoa => Wallet::Eoa,
            WalletKind::Proxy => Wallet::Proxy(account.wallets[&kind]),
            WalletKind::Safe => Wallet::Safe(account.wallets[&kind]),
            WalletKind::Deposit | WalletKind::DepositUups => {
                Wallet::Deposit(account.wallets[&kind])
            }
        };
        let theirs = account.credentials.clone().unwrap();
        let credentials = Credentials {
            key: theirs.key.to_string(),
            secret: Secret::new(theirs.secret.clone()),
            passphrase: Secret::new(theirs.passphrase.clone()),
        };
        let address = key.address().to_string();
        let clob = {
            let auth = L2Auth::new(address, credentials.clone()).unwrap();
            self.clob.with_auth(auth, wallet.signature_type())
        };
        Trader {
            signer: OrderSigner::new(key, wallet, &Chain::polygon()),
            stamps: std::cell::RefCell::new(OrderStamps::seeded(index as u64)),
            credentials,
            clob,
            clock: self.clock.clone(),
        }
    }
}

/// An account with a wallet.
pub struct Trader {
    pub signer: OrderSigner,
    pub stamps: std::cell::RefCell<OrderStamps>,
    pub credentials: Credentials,
    pub clob: Clob,
    pub clock: ServerClock,
}

/// A plain order for a test: price in cents, size in whole shares (pUSD for an immediate buy).
pub fn ask(
    market: &Market,
    outcome: usize,
    side: Side,
    cents: u16,
    size: u64,
    tif: Tif,
) -> OrderArgs {
    let size = if !tif.rests() && side == Side::Buy {
        Size::Spend(polydesk_domain::Usdc::whole(size as i64))
    } else {
        Size::Shares(Shares::whole(size))
    };
    OrderArgs {
        token: market.tokens[outcome],
        side,
        price: Price::cents(cents),
        size,
        tif,
        post_only: false,
        tick: market.tick,
        exchange: Exchange::of(market).unwrap(),
    }
}

impl Trader {
    pub fn sign(&self, args: &OrderArgs) -> SignedOrder {
        let stamp = self.stamps.borrow_mut().next(self.clock.millis());
        self.signer.sign(args, stamp, &self.credentials.key).unwrap()
    }

    pub async fn post(&self, signed: &SignedOrder) -> Result<Placed, ApiError> {
        self.clob.place(signed).await
    }

    pub async fn place(&self, args: &OrderArgs) -> Result<Placed, ApiError> {
        self.post(&self.sign(args)).await
    }
}
