//! The client of a ladder: its own connections, the venue's address at hand, credentials and no key.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{
    ApiError, ByteStream, Connect, Connecting, Endpoints, Http, HttpConfig, LimitsConfig,
    RateLimits, ServerClock,
};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::credentials::AccountCredentials;

/// How long an address may take before the next one is tried.
const ADDRESS: Duration = Duration::from_secs(1);
/// How long a name may take to be looked up.
const LOOKUP: Duration = Duration::from_secs(2);
/// How long an answer may take: a ladder asks again sooner than others.
const ANSWER_MS: u64 = 2_000;

/// A client for the CLOB at `base` (no trailing slash) that shares nothing with another one. It sends nothing before
/// it is used, and its connections belong to the runtime that uses it.
///
/// # Errors
/// The URL, the limits or the credentials cannot be used.
pub fn client(
    base: &str,
    credentials: &AccountCredentials,
    limits: LimitsConfig,
    clock: ServerClock,
) -> Result<Clob, ApiError> {
    let endpoints = Endpoints { clob: base.to_owned(), ..Endpoints::default() };
    let config = HttpConfig { answer_timeout_ms: ANSWER_MS, ..HttpConfig::default() };
    let http = Http::with_connector(config, &endpoints, Arc::new(KnownAddress::default()))?;
    let limits = Arc::new(RateLimits::new(limits, clock.clone())?);
    let auth = credentials.auth();
    let auth = auth.map_err(|error| ApiError::Misconfigured(error.to_string()))?;
    Ok(Clob::new(http, base, limits, clock).with_auth(auth, credentials.wallet))
}

/// TCP to an address that was looked up before: names may not be found when it counts.
#[derive(Debug, Default)]
struct KnownAddress {
    known: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Connect for KnownAddress {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let (known, host) = (Arc::clone(&self.known), host.to_owned());
        Box::pin(async move {
            let stream = dial(&known, host.trim_matches(['[', ']']), port).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

async fn dial(known: &Mutex<Vec<SocketAddr>>, host: &str, port: u16) -> io::Result<TcpStream> {
    let listed = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Ok(stream) = first(&listed).await {
        return Ok(stream);
    }
    let found = timeout(LOOKUP, lookup_host((host, port))).await;
    let found: Vec<SocketAddr> =
        found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??.collect();
    let stream = first(&found).await?;
    *known.lock().unwrap_or_else(PoisonError::into_inner) = found;
    Ok(stream)
}

async fn first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::from(io::ErrorKind::TimedOut),
        }
    }
    Err(last)
}
