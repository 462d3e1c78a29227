//! HTTP over hyper: warm pooled connections, a deadline for each phase, one TLS provider, and a list of
//! the only hosts it may talk to.
//!
//! Redirects are never followed. Nothing is repeated here except what hyper never wrote to a connection.

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tower::Service;

use crate::connect::{Connect, Wire};
use crate::error::{Effect, from_answer};
use crate::{ApiError, Endpoints};

/// How requests travel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Longest time to reach a host (name, TCP, TLS), in milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest time from sending a request to the head of its answer, in milliseconds.
    pub answer_timeout_ms: u64,
    /// Longest time from the head to the end of an answer, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long an idle connection is kept warm, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Largest answer accepted, in bytes, also after decompression.
    pub max_body_bytes: usize,
    /// Offer HTTP/2. Single requests are a little slower over it; many at once need one connection only.
    pub http2: bool,
    /// `http://[user:password@]host:port`: everything goes through this CONNECT proxy. Never printed or
    /// written out.
    #[serde(skip_serializing)]
    pub proxy: Option<String>,
    /// What we call ourselves.
    pub user_agent: String,
    /// PEM files with further root certificates (a company's proxy, a test).
    pub extra_roots: Vec<PathBuf>,
    /// Hosts besides those of the endpoints, as `host` or `host:port`.
    pub allow_hosts: Vec<String>,
}

impl core::fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HttpConfig")
            .field("http2", &self.http2)
            .field("proxy", &self.proxy.as_ref().map(|_| "hidden"))
            .field("extra_roots", &self.extra_roots)
            .field("allow_hosts", &self.allow_hosts)
            .finish_non_exhaustive()
    }
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            connect_timeout_ms: 3_000,
            answer_timeout_ms: 10_000,
            body_timeout_ms: 20_000,
            idle_timeout_ms: 60_000,
            max_body_bytes: 64 << 20,
            http2: false,
            proxy: None,
            user_agent: concat!("polydesk/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_roots: Vec::new(),
            allow_hosts: Vec::new(),
        }
    }
}

/// The hosts this process may talk to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    hosts: BTreeSet<(String, u16)>,
    /// Any port of these.
    names: BTreeSet<String>,
}

impl Egress {
    /// The hosts of the endpoints. A URL that is none, or unencrypted off loopback, is an error that names
    /// its key.
    pub fn of(endpoints: &Endpoints, more: &[String]) -> Result<Egress, ApiError> {
        let mut egress = Egress::default();
        for (key, url) in endpoints.all() {
            let wrong = |rule: &str| {
                // RPC URLs may hold keys.
                let shown = if key.starts_with("rpc") { "(hidden)" } else { url };
                ApiError::Misconfigured(format!("endpoints.{key} is {shown:?}: {rule}"))
            };
            let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
            let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
                return Err(wrong("it needs a scheme and a host"));
            };
            let secure = matches!(scheme, "https" | "wss");
            if !secure && !matches!(scheme, "http" | "ws") {
                return Err(wrong("the scheme must be https or wss"));
            }
            if !secure && !loopback(host) {
                return Err(wrong("only loopback addresses may be unencrypted; use https or wss"));
            }
            egress.hosts.insert((host.to_ascii_lowercase(), port(&uri)));
        }
        for host in more {
            match host.rsplit_once(':').map(|(name, port)| (name, port.parse::<u16>())) {
                Some((name, Ok(port))) => {
                    egress.hosts.insert((name.to_ascii_lowercase(), port));
                }
                _ => {
                    egress.names.insert(host.to_ascii_lowercase());
                }
            }
        }
        Ok(egress)
    }

    /// Whether a connection there is allowed.
    pub fn allows(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else { return false };
        let host = host.to_ascii_lowercase();
        self.names.contains(&host) || self.hosts.contains(&(host, port(uri)))
    }
}

fn loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("http" | "ws") => 80,
        _ => 443,
    })
}

/// A request that is ready to leave.
#[derive(Debug)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Whole URL.
    pub url: String,
    /// Headers; secret ones are marked sensitive.
    pub headers: HeaderMap,
    /// Body; sent as JSON when not empty.
    pub body: Bytes,
    /// What it does if processed.
    pub effect: Effect,
    /// How errors call it: never the URL, which may hold secrets.
    pub what: String,
    /// Whether to ask for gzip (not worth it for small answers in a hurry).
    pub gzip: bool,
}

/// Assumed where `Retry-After` cannot be read: asking earlier can keep a ban alive.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(60);
/// A date is a whole second: the pause until it is at least one.
const MIN_DATED_PAUSE: polydesk_domain::Span = polydesk_domain::Span::secs(1);

/// An answer, whatever its status.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Whole body, decompressed.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// `Retry-After`: seconds, or a date, which counts from the answer's own `Date`. A text that is neither
    /// still asks for a pause: a minute.
    pub fn retry_after(&self) -> Option<Duration> {
        let header = self.headers.get(RETRY_AFTER)?;
        Some(self.pause_of(header).unwrap_or(UNREADABLE_PAUSE))
    }

    fn pause_of(&self, header: &HeaderValue) -> Option<Duration> {
        let text = header.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
        }
        let until = crate::wire::http_date(text)?;
        let now = self.headers.get(DATE)?.to_str().ok().and_then(crate::wire::http_date)?;
        let left = now.until(until).as_nanos().max(MIN_DATED_PAUSE.as_nanos());
        u64::try_from(left).ok().map(Duration::from_nanos)
    }

    /// 2xx.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

type Stream = MaybeHttpsStream<TokioIo<Wire>>;

/// A body that asks before its first byte whether the request may leave.
struct Outgoing {
    body: Option<Bytes>,
    guard: Option<Guard>,
}

/// Says whether a request may still leave.
pub type Guard = Arc<dyn Fn() -> bool + Send + Sync>;

/// The guard of a request did not agree.
#[derive(Debug, thiserror::Error)]
#[error("withheld before the first byte")]
struct Withheld;

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Withheld;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Withheld>>> {
        if let Some(guard) = self.guard.take()
            && !guard()
        {
            return Poll::Ready(Some(Err(Withheld)));
        }
        Poll::Ready(self.body.take().map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none() && self.guard.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// The HTTP client: cheap to clone, one pool behind all clones.
#[derive(Clone)]
pub struct Http {
    client: Client<Within, Outgoing>,
    sockets: HttpsConnector<Dial>,
    config: Arc<HttpConfig>,
    agent: HeaderValue,
    /// Of the jitter of waiting times, in a simulation.
    seed: Option<u64>,
}

impl core::fmt::Debug for Http {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// A client that can reach the hosts of `endpoints` and no others.
    pub fn new(config: HttpConfig, endpoints: &Endpoints) -> Result<Http, ApiError> {
        let way = Way::of(&config)?;
        Http::over(config, endpoints, way, None)
    }

    /// The same over connections that `connector` opens instead of TCP: HTTP and every socket of this
    /// client. The same hosts are allowed, and `https` and `wss` URLs are encrypted over them, too. A proxy
    /// beside it is refused.
    pub fn with_connector(
        config: HttpConfig,
        endpoints: &Endpoints,
        connector: Arc<dyn Connect>,
    ) -> Result<Http, ApiError> {
        if config.proxy.is_some() {
            let text =
                "http.proxy is set beside a connector, which replaces TCP; leave one of them out";
            return Err(ApiError::Misconfigured(text.into()));
        }
        let seed = connector.seed();
        Http::over(config, endpoints, Way::Given(connector), seed)
    }

    fn over(
        config: HttpConfig,
        endpoints: &Endpoints,
        way: Way,
        seed: Option<u64>,
    ) -> Result<Http, ApiError> {
        let egress = Arc::new(Egress::of(endpoints, &config.allow_hosts)?);
        let dial = Dial { egress, way };
        let tls = tls(&config)?;
        let builder = || HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let sockets = builder().enable_http1().wrap_connector(dial.clone());
        let requests = if config.http2 {
            builder().enable_all_versions().wrap_connector(dial)
        } else {
            builder().enable_http1().wrap_connector(dial)
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(config.idle_timeout_ms))
            .http2_keep_alive_interval(Duration::from_secs(15))
            // Head and body in one buffer: about a microsecond less than gathering them in the kernel.
            .http1_writev(false)
            .http2_keep_alive_while_idle(true)
            .http2_adaptive_window(true)
            .build(Within {
                connector: requests,
                limit: Duration::from_millis(config.connect_timeout_ms),
            });
        let agent = HeaderValue::from_str(&config.user_agent).map_err(|_| {
            ApiError::Misconfigured("http.user_agent has characters no header can carry".into())
        })?;
        Ok(Http { client, sockets, config: Arc::new(config), agent, seed })
    }

    /// The chance of the waiting times of a link; `place` spreads the links of one program apart.
    pub(crate) fn chance(&self, place: u64) -> u64 {
        match self.seed {
            // Splitmix: neighbouring places give unlike numbers.
            Some(seed) => {
                let mut z =
                    seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z ^ (z >> 31)
            }
            // A hasher is seeded from the system.
            None => RandomState::new().hash_one(place),
        }
    }

    /// The same client with another limit for the head of an answer: for calls that take their time.
    pub fn patient(&self, limit: Duration) -> Http {
        let answer_timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let config = HttpConfig { answer_timeout_ms, ..HttpConfig::clone(&self.config) };
        Http { config: Arc::new(config), ..self.clone() }
    }

    /// Sends and returns whatever answer comes. An error means that no whole answer came; whether that is
    /// [`ApiError::Unknown`] or [`ApiError::Unreachable`] follows from the request's effect.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, ApiError> {
        self.send_within(request, Duration::from_millis(self.config.answer_timeout_ms)).await
    }

    /// The same for a request that may leave only while `guard` agrees: it is asked when the connection stands, just
    /// before the first byte is written. Where it does not agree, nothing is sent and the error is
    /// [`ApiError::Withheld`].
    ///
    /// Over HTTP/1 only: the body is asked for before the head is written out.
    pub async fn send_guarded(
        &self,
        request: HttpRequest,
        guard: Guard,
    ) -> Result<HttpAnswer, ApiError> {
        if self.config.http2 {
            let text = "http.http2 is set, and over HTTP/2 an order's head leaves before it can be withheld; set http.http2 = false";
            return Err(ApiError::Misconfigured(text.into()));
        }
        let limit = Duration::from_millis(self.config.answer_timeout_ms);
        self.exchange(request, limit, Some(guard)).await
    }

    /// The same with another limit for the head of the answer, which also holds for its body where that is
    /// shorter than the configured one.
    pub async fn send_within(
        &self,
        request: HttpRequest,
        limit: Duration,
    ) -> Result<HttpAnswer, ApiError> {
        self.exchange(request, limit, None).await
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        limit: Duration,
        guard: Option<Guard>,
    ) -> Result<HttpAnswer, ApiError> {
        let HttpRequest { method, url, mut headers, body, effect, what, gzip } = request;
        let uri = Uri::try_from(url)
            .map_err(|_| ApiError::Misconfigured(format!("{what}: the URL is malformed")))?;
        headers.insert(USER_AGENT, self.agent.clone());
        if gzip {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if !body.is_empty() {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        let mut outgoing = http::Request::new(Outgoing {
            body: Some(body).filter(|body| !body.is_empty()),
            guard,
        });
        *outgoing.method_mut() = method;
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = headers;

        // Once a request may have been written, only an answer proves what became of it.
        let lost = |text: String| match effect {
            Effect::Once => ApiError::Unknown(format!("{what}: {text}")),
            _ => ApiError::Unreachable(format!("{what}: {text}")),
        };
        let answer = match tokio::time::timeout(limit, self.client.request(outgoing)).await {
            Err(_) => return Err(lost(format!("no answer within {} ms", limit.as_millis()))),
            Ok(Err(error)) if error.is_connect() => {
                if let Some(refused) = chain(&error).find_map(|e| e.downcast_ref::<NotAllowed>()) {
                    return Err(ApiError::Misconfigured(format!("{what}: {refused}")));
                }
                return Err(ApiError::Unreachable(format!("{what}: {}", causes(&error))));
            }
            Ok(Err(error)) if chain(&error).any(|e| e.is::<Withheld>()) => {
                return Err(ApiError::Withheld(what));
            }
            Ok(Err(error)) => return Err(lost(causes(&error))),
            Ok(Ok(answer)) => answer,
        };
        let (head, body) = answer.into_parts();
        let default = Duration::from_millis(self.config.answer_timeout_ms);
        let body_limit = Duration::from_millis(self.config.body_timeout_ms);
        let limit = if limit < default { body_limit.min(limit) } else { body_limit };
        let body = Limited::new(body, self.config.max_body_bytes).collect();
        let body = match tokio::time::timeout(limit, body).await {
            Err(_) => {
                return Err(lost(format!("the answer broke off after {} ms", limit.as_millis())));
            }
            Ok(Err(error)) => return Err(lost(format!("the answer broke off: {error}"))),
            Ok(Ok(body)) => body.to_bytes(),
        };
        let encoded = head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        let body = match encoded {
            None | Some(b"identity") => body.to_vec(),
            Some(b"gzip") => {
                let mut plain = Vec::new();
                let cap = self.config.max_body_bytes as u64;
                let read = flate2::read::GzDecoder::new(body.as_ref())
                    .take(cap + 1)
                    .read_to_end(&mut plain);
                if read.is_err() || plain.len() as u64 > cap {
                    return Err(lost("the answer is not valid gzip, or too large".into()));
                }
                plain
            }
            Some(_) => {
                return Err(lost("the answer has an encoding that was not asked for".into()));
            }
        };
        Ok(HttpAnswer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Sends and reads a JSON answer. Answers that are not 2xx become typed errors; a 2xx that cannot be
    /// read is [`ApiError::Malformed`], or unknown where the request changes something.
    pub async fn json<T: serde::de::DeserializeOwned>(
        &self,
        request: HttpRequest,
    ) -> Result<T, ApiError> {
        let (effect, what) = (request.effect, request.what.clone());
        let answer = self.send(request).await?;
        read_json(answer, effect, &what)
    }

    /// A connection for a socket: TCP and TLS (HTTP/1.1 only), within the connect timeout.
    pub(crate) async fn dial(&self, uri: &Uri) -> Result<Stream, ApiError> {
        let limit = Duration::from_millis(self.config.connect_timeout_ms);
        let mut connector = self.sockets.clone();
        let host = uri.host().unwrap_or("").to_owned();
        match tokio::time::timeout(limit, connector.call(uri.clone())).await {
            Err(_) => Err(ApiError::Unreachable(format!(
                "{host}: no connection within {} ms",
                limit.as_millis()
            ))),
            Ok(Err(error)) => {
                let error: &(dyn std::error::Error + 'static) = error.as_ref();
                if let Some(refused) = chain(error).find_map(|e| e.downcast_ref::<NotAllowed>()) {
                    return Err(ApiError::Misconfigured(refused.to_string()));
                }
                Err(ApiError::Unreachable(format!("{host}: {}", causes(error))))
            }
            Ok(Ok(stream)) => Ok(stream),
        }
    }

    /// How long the head of an answer may take.
    pub(crate) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.config.answer_timeout_ms)
    }
    /// How long reaching a host may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.config.connect_timeout_ms)
    }
    /// What we call ourselves.
    pub(crate) fn agent(&self) -> &HeaderValue {
        &self.agent
    }
}

/// Reads an answer as JSON, or as the error it stands for.
pub fn read_json<T: serde::de::DeserializeOwned>(
    mut answer: HttpAnswer,
    effect: Effect,
    what: &str,
) -> Result<T, ApiError> {
    if !answer.ok() {
        return Err(from_answer(effect, answer.status, answer.retry_after(), &answer.body, what));
    }
    let excerpt = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]).into_owned();
    simd_json::serde::from_slice(&mut answer.body).map_err(|error| match effect {
        Effect::Once => ApiError::Unknown(format!(
            "{what}: the answer cannot be read ({error}); it began {excerpt:?}"
        )),
        _ => ApiError::Malformed { to: what.to_owned(), error: error.to_string(), excerpt },
    })
}

/// A header value that libraries will not print.
pub(crate) fn sensitive(value: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        ApiError::Misconfigured("a credential has characters no header can carry".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Headers from pairs, all of them sensitive.
pub fn sensitive_headers<'a>(
    pairs: impl IntoIterator<Item = (&'static str, &'a str)>,
) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, value) in pairs {
        let name = http::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| ApiError::Misconfigured(format!("{name} is no header name")))?;
        headers.insert(name, sensitive(value)?);
    }
    Ok(headers)
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn tls(config: &HttpConfig) -> Result<rustls::ClientConfig, ApiError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for path in &config.extra_roots {
        let wrong = |rule: String| {
            ApiError::Misconfigured(format!("http.extra_roots: {}: {rule}", path.display()))
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
            roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ApiError::Misconfigured(format!("TLS: {e}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tls)
}

/// A connection to a host that is not on the list.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} is not among the configured hosts; nothing was sent. Add it to http.allow_hosts if it belongs there"
)]
struct NotAllowed(String);

/// Opens connections: TCP, directly or through a proxy, or what a connector gives. The only way out of this crate.
#[derive(Clone)]
struct Dial {
    egress: Arc<Egress>,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Direct(HttpConnector),
    Proxy(Tunnel<HttpConnector>),
    Given(Arc<dyn Connect>),
}

impl Way {
    fn of(config: &HttpConfig) -> Result<Way, ApiError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(Duration::from_millis(config.connect_timeout_ms)));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        // Without it the kernel delivers the bytes of a dead process for minutes: an order that was given up.
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(Duration::from_secs(10)));
        Ok(match &config.proxy {
            None => Way::Direct(tcp),
            Some(url) => {
                // The URL may hold a password: it is never quoted.
                let wrong = || {
                    ApiError::Misconfigured(
                        "http.proxy must be http://[user:password@]host:port".into(),
                    )
                };
                let uri: Uri = url.parse().map_err(|_| wrong())?;
                let authority = uri.authority().ok_or_else(wrong)?.as_str();
                if uri.scheme_str() != Some("http") {
                    return Err(wrong());
                }
                let (login, place) = match authority.rsplit_once('@') {
                    Some((login, place)) => (Some(login), place),
                    None => (None, authority),
                };
                let bare: Uri = format!("http://{place}").parse().map_err(|_| wrong())?;
                let mut tunnel = Tunnel::new(bare, tcp);
                if let Some(login) = login {
                    let encoded = base64::engine::general_purpose::STANDARD.encode(login);
                    tunnel = tunnel.with_auth(sensitive(&format!("Basic {encoded}"))?);
                }
                Way::Proxy(tunnel)
            }
        })
    }
}

/// Name, TCP and TLS within one limit: a server that accepts a connection and then stays silent is one that
/// was not reached, and nothing was sent to it.
#[derive(Clone)]
struct Within {
    connector: HttpsConnector<Dial>,
    limit: Duration,
}

impl Service<Uri> for Within {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, limit) = (self.connector.call(uri), self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(format!("no connection within {} ms", limit.as_millis()).into()),
            }
        })
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Dial {
    type Response = TokioIo<Wire>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Both ways are always ready: they hold no queue.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if !self.egress.allows(&uri) {
            let place = format!("{}:{}", uri.host().unwrap_or("?"), port(&uri));
            return Box::pin(async { Err(NotAllowed(place).into()) });
        }
        let tcp = |stream: TokioIo<_>| TokioIo::new(Wire::Tcp(stream.into_inner()));
        match &mut self.way {
            Way::Direct(direct) => {
                let connecting = direct.call(uri);
                Box::pin(async move { connecting.await.map(tcp).map_err(Into::into) })
            }
            Way::Proxy(tunnel) => {
                let connecting = tunnel.call(uri);
                Box::pin(async move { connecting.await.map(tcp).map_err(Into::into) })
            }
            Way::Given(connector) => {
                let connecting = connector.connect(uri.host().unwrap_or(""), port(&uri));
                Box::pin(async {
                    let stream = connecting.await.map(Wire::Given);
                    stream.map(TokioIo::new).map_err(Into::into)
                })
            }
        }
    }
}

/// Appends a query, percent-encoded.
pub fn with_query(mut url: String, query: &[(String, String)]) -> String {
    for (i, (key, value)) in query.iter().enumerate() {
        url.push(if i == 0 { '?' } else { '&' });
        encode(key, &mut url);
        url.push('=');
        encode(value, &mut url);
    }
    url
}

/// Percent-encodes everything but unreserved characters.
pub fn encode(text: &str, url: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(byte as char);
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date_and_never_ignored() {
        let now = "Wed, 21 Oct 2026 07:28:00 GMT";
        let seconds = |n| Some(Duration::from_secs(n));
        for (retry_after, date, want) in [
            (None, Some(now), None),
            (Some("7"), Some(now), seconds(7)),
            (Some("0"), None, seconds(0)),
            (Some("-3"), None, seconds(0)),
            (Some("Wed, 21 Oct 2026 07:28:40 GMT"), Some(now), seconds(40)),
            (Some("Thu, 22 Oct 2026 07:28:00 GMT"), Some(now), seconds(86_400)),
            // Over, or now: not at once.
            (Some("Wed, 21 Oct 2026 07:27:00 GMT"), Some(now), seconds(1)),
            (Some(now), Some(now), seconds(1)),
            // Nothing to count from, or nothing that can be read.
            (Some("Wed, 21 Oct 2026 07:28:40 GMT"), None, seconds(60)),
            (Some("Wed, 21 Oct 2026 07:28:40 GMT"), Some("now"), seconds(60)),
            (Some("soon"), Some(now), seconds(60)),
            (Some("inf"), None, seconds(60)),
            (Some("Wed, 32 Oct 2026 07:28:40 GMT"), Some(now), seconds(60)),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(RETRY_AFTER, retry_after), (DATE, date)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            let answer = HttpAnswer { status: 429, headers, body: Vec::new() };
            assert_eq!(answer.retry_after(), want, "{retry_after:?} at {date:?}");
        }
    }
}
