//! Starts an exchange; the handle stops it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use alloy::primitives::Address;
use polydesk_domain::{Span, Time, Token};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::scenario::{Scenario, ScenarioError};
use crate::server::breakable::Pipe;
use crate::server::inner::{Inner, Received, Shared, Ticker};
use crate::server::{Service, http};
use crate::setup::Setup;
use crate::venue::{BookView, Credentials, SetupError, Venue};
use crate::wallets::WalletKind;

/// Where an exchange listens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Urls {
    /// CLOB REST.
    pub clob: String,
    /// `/ws/market`.
    pub market_socket: String,
    /// `/ws/user`.
    pub user_socket: String,
    /// Gamma.
    pub gamma: String,
    /// Data API.
    pub data: String,
    /// PolyBolt.
    pub polybolt: String,
    /// RTDS.
    pub rtds: String,
    /// Relayer.
    pub relayer: String,
    /// `/api/geoblock`.
    pub geoblock: String,
    /// JSON-RPC nodes of the chain.
    pub rpc: [String; 2],
}

/// A funded account with everything a client needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestAccount {
    /// The EOA.
    pub owner: Address,
    /// Its API credentials, if it has any.
    pub credentials: Option<Credentials>,
    /// Its wallets.
    pub wallets: BTreeMap<WalletKind, Address>,
}

/// An exchange cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken.
    #[error("the {} listener cannot open port {port}", service.name())]
    Port {
        /// The service of the listener.
        service: Service,
        /// The port on 127.0.0.1.
        port: u16,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The setup is invalid.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// The way in: [`LocalExchange::start`].
#[derive(Debug)]
pub struct LocalExchange;

/// A running exchange. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    shared: Shared,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    places: BTreeMap<Service, SocketAddr>,
    urls: Urls,
    accounts: Vec<TestAccount>,
}

/// The listeners of an exchange.
const SERVICES: [Service; 8] = [
    Service::Clob,
    Service::Gamma,
    Service::Data,
    Service::Polybolt,
    Service::Rtds,
    Service::Relayer,
    Service::Rpc0,
    Service::Rpc1,
];

impl LocalExchange {
    /// Opens the listeners of 127.0.0.1 and serves until the handle is dropped or shut down.
    ///
    /// # Errors
    /// A port is taken or the setup is invalid.
    pub async fn start(setup: Setup) -> Result<Running, StartError> {
        let mut running = LocalExchange::begin(&setup)?;
        let ports = setup.ports;
        for service in SERVICES {
            let port = match service {
                Service::Clob => ports.clob,
                Service::Gamma => ports.gamma,
                Service::Data => ports.data,
                Service::Polybolt => ports.polybolt,
                Service::Rtds => ports.rtds,
                Service::Relayer => ports.relayer,
                Service::Rpc0 => ports.rpc[0],
                Service::Rpc1 => ports.rpc[1],
            };
            let failed = |source| StartError::Port { service, port, source };
            let listener = http::bind(port).await.map_err(failed)?;
            running.places.insert(service, listener.local_addr().map_err(failed)?);
            let listening = http::listen(running.shared.clone(), service, listener);
            running.tasks.push(tokio::spawn(listening));
        }
        running.urls = urls(&running.places);
        Ok(running)
    }

    /// Serves over pipes within the process only ([`Running::connect`]): no port is opened. The URLs name
    /// made-up ports of 127.0.0.1. With [`Clock::Runtime`](crate::Clock::Runtime) in a paused runtime client
    /// and exchange live in virtual time, and the same setup gives the same run.
    ///
    /// # Errors
    /// The setup is invalid.
    pub fn in_memory(setup: &Setup) -> Result<Running, StartError> {
        let mut running = LocalExchange::begin(setup)?;
        for (service, port) in SERVICES.into_iter().zip(1..) {
            running.places.insert(service, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        running.urls = urls(&running.places);
        Ok(running)
    }

    /// The venue with its pump, and nothing that listens.
    fn begin(setup: &Setup) -> Result<Running, StartError> {
        let mut ticker = Ticker::of(setup);
        let mut venue = Venue::new(setup, ticker.now())?;
        if let Some(tape) = &setup.tape {
            let origin = venue.now();
            ticker = ticker.begin_at(origin, tape.speed_milli);
        }
        let accounts: Vec<TestAccount> = setup
            .accounts
            .iter()
            .map(|account| TestAccount {
                owner: account.owner,
                credentials: venue.derive_key(&account.owner, 0).cloned(),
                wallets: account
                    .wallets
                    .iter()
                    .map(|(kind, _)| (*kind, kind.address(account.owner)))
                    .collect(),
            })
            .collect();
        venue.take_updates();
        let (stop, stopped) = watch::channel(false);
        let inner = Inner::new(venue, setup, ticker);
        let shared = Shared::new(inner, stopped);
        shared.with(|inner| inner.arm(&setup.scenario));
        let tasks = vec![tokio::spawn(shared.clone().pump())];
        let places = BTreeMap::new();
        Ok(Running { shared, stop, tasks, places, urls: Urls::default(), accounts })
    }
}

fn urls(places: &BTreeMap<Service, SocketAddr>) -> Urls {
    let at = |scheme: &str, service: Service, path: &str| {
        format!("{scheme}://{}{path}", places[&service])
    };
    Urls {
        clob: at("http", Service::Clob, ""),
        market_socket: at("ws", Service::Clob, "/ws/market"),
        user_socket: at("ws", Service::Clob, "/ws/user"),
        gamma: at("http", Service::Gamma, ""),
        data: at("http", Service::Data, ""),
        polybolt: at("ws", Service::Polybolt, "/ws"),
        rtds: at("ws", Service::Rtds, ""),
        relayer: at("http", Service::Relayer, ""),
        geoblock: at("http", Service::Relayer, "/api/geoblock"),
        rpc: [at("http", Service::Rpc0, "/rpc/0"), at("http", Service::Rpc1, "/rpc/1")],
    }
}

impl Running {
    /// Connects within the process to one of its listeners, named as in its URLs: `127.0.0.1` and a port.
    /// Call it within the runtime that the exchange runs in.
    ///
    /// # Errors
    /// The exchange has no such listener, or it has stopped.
    pub fn connect(&self, host: &str, port: u16) -> std::io::Result<Pipe> {
        let wanted = host.parse().ok().map(|ip| SocketAddr::new(ip, port));
        let service = self.places.iter().find(|(_, at)| Some(**at) == wanted);
        let service = service.filter(|_| !*self.stop.borrow()).map(|(service, _)| *service);
        let refused = std::io::ErrorKind::ConnectionRefused;
        service.map(|service| http::serve_pipe(&self.shared, service)).ok_or(refused.into())
    }

    /// Where it listens.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// The accounts it was started with.
    pub fn accounts(&self) -> &[TestAccount] {
        &self.accounts
    }

    /// The venue's time.
    pub fn now(&self) -> Time {
        self.shared.with(|inner| inner.venue.now())
    }

    /// Moves a virtual clock; everything due happens in order before this returns. Connections that wait
    /// for a delayed response or frame are woken and get it as soon as their task runs.
    pub fn advance(&self, span: Span) {
        self.shared.advance(span);
    }

    /// Calls a function on the venue itself: places orders without signatures, resolves markets, bans
    /// accounts. The resulting updates are sent on the sockets.
    pub fn venue<R>(&self, act: impl FnOnce(&mut Venue) -> R) -> R {
        self.shared.with(|inner| act(&mut inner.venue))
    }

    /// The true book of a token.
    pub fn book(&self, token: Token) -> Option<BookView> {
        self.shared.with(|inner| inner.venue.book(token))
    }

    /// Checks the exchange's own sums.
    ///
    /// # Errors
    /// The first rule that does not hold, with its figures.
    pub fn check(&self) -> Result<(), String> {
        self.shared.with(|inner| inner.venue.check())
    }

    /// Every request so far, in the order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.look(|inner| inner.received.clone())
    }

    /// How many requests came to a method and path.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.shared.look(|inner| {
            let is = |one: &&Received| one.method == method && one.path == path;
            inner.received.iter().filter(is).count()
        })
    }

    /// Waits until so many requests came to a method and path, without a clock: for tests that move
    /// time only once a request is there.
    pub async fn arrived(&self, method: &str, path: &str, count: usize) {
        let is = |one: &&Received| one.method == method && one.path == path;
        self.shared.until(|inner| inner.received.iter().filter(is).count() >= count).await;
    }

    /// Waits until a condition on the venue holds.
    pub async fn until(&self, mut holds: impl FnMut(&Venue) -> bool) {
        self.shared.until(|inner| holds(&inner.venue)).await;
    }

    /// When the newest frame of the market channel about a token that reached a client was made; `None`: none did.
    pub fn market_frame_at(&self, token: Token) -> Option<Time> {
        self.shared.look(|inner| inner.hub.shown(token))
    }

    /// Open connections of a socket channel.
    pub fn connections(&self, channel: crate::Channel) -> usize {
        self.shared.look(|inner| inner.hub.of(channel).len())
    }

    /// Activates the fault rules of a scenario; their times count from now.
    pub fn inject(&self, scenario: &Scenario) {
        self.shared.with(|inner| inner.arm(scenario));
    }

    /// The same, from TOML.
    ///
    /// # Errors
    /// As [`Scenario::parse`].
    pub fn inject_toml(&self, text: &str) -> Result<(), ScenarioError> {
        self.inject(&Scenario::parse(text)?);
        Ok(())
    }

    /// Sets a price of the price sockets, in millionths of a dollar.
    pub fn set_price(&self, symbol: &str, micros: i64) {
        self.shared.with(|inner| {
            let now = inner.venue.now();
            inner.feeds.set(symbol, micros, now);
        });
    }

    /// Stops listening, closes every connection and waits for the tasks.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}
