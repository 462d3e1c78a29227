//! Health, readiness, metrics and status over HTTP/1.1.
//!
//! On TCP there are only `/health`, `/ready` and `/metrics`, which change nothing and show no positions, and, where
//! something can be killed, a kill with its token. The
//! Unix socket in the data folder, readable by its owner alone, also serves `/v1/…`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use polydesk_domain::{Cause, ClientOrderId, ControlEvent, Operator, OperatorCommand};
use polydesk_polymarket_api::ServerClock;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};

use crate::glance::{Glance, Shared};
use crate::inbox::Inbox;
use crate::kill::door::KillDoor;
use crate::prometheus;
use crate::reload::{ConfigState, Order};
use crate::supervise::{Verdict, judge};

/// Longest path of a Unix socket, in bytes.
pub const LONGEST_PATH: usize = 100;
/// Name of the socket in the data folder.
pub const SOCKET: &str = "desk.sock";
/// Largest body of a request, in bytes.
const LARGEST: usize = 64 << 10;
/// How long a client may take for a request's head, and as long for its body.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection is served: one that is kept for longer, or that reads no answer, gives its place to another.
const LIFE: Duration = Duration::from_secs(60);
/// Connections served at once; more wait.
const AT_ONCE: usize = 64;

/// Which listener a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// TCP: health, readiness, metrics.
    Public,
    /// The Unix socket: everything.
    Owner,
}

/// What the server shows.
#[derive(Debug, Clone)]
pub struct View {
    /// Glance and metrics.
    pub shared: Arc<Shared>,
    /// For the age of the beat.
    pub clock: ServerClock,
    /// The state of the configuration.
    pub config: Arc<ArcSwap<ConfigState>>,
    /// To what takes up changes of the configuration.
    pub orders: mpsc::Sender<Order>,
    /// To the engine.
    pub inbox: Inbox,
    /// Kill and lift; `None`: nothing here can be killed.
    pub kill: Option<Arc<KillDoor>>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Media type.
    pub kind: &'static str,
    /// Body.
    pub body: String,
}

impl Answer {
    fn json(status: u16, value: &serde_json::Value) -> Answer {
        Answer { status, kind: "application/json", body: format!("{value}\n") }
    }

    fn error(status: u16, text: &str) -> Answer {
        Answer::json(status, &json!({ "error": text }))
    }
}

/// Answers a request. Reading never waits for the engine.
pub fn answer(view: &View, door: Door, method: &Method, path: &str) -> Answer {
    let shared = &view.shared;
    let glance = shared.glance();
    let glance = (*glance).as_ref();
    if *method != Method::GET {
        return Answer::error(405, "only GET, and POST for commands, is served here");
    }
    match (path, door) {
        ("/health", _) => {
            let age = shared.beat_age(view.clock.steady());
            let alive = age.is_some() && judge(age) == Verdict::Alive;
            let body = json!({
                "status": if alive { "ok" } else { "dead" },
                "beat_age_ms": age.map(|age| age.as_millis()),
            });
            Answer::json(if alive { 200 } else { 503 }, &body)
        }
        ("/ready", _) => {
            let codes: Vec<&str> = glance
                .map(|glance| glance.blockers.iter().map(|blocker| blocker.code.as_str()).collect())
                .unwrap_or_default();
            let ready = glance.is_some_and(|glance| glance.open());
            let status = if glance.is_none() {
                "starting"
            } else if ready {
                "ready"
            } else {
                "blocked"
            };
            let body = json!({ "status": status, "blockers": codes });
            Answer::json(if ready { 200 } else { 503 }, &body)
        }
        ("/metrics", _) => Answer {
            status: 200,
            kind: "text/plain; version=0.0.4",
            body: prometheus::text(shared, glance),
        },
        ("/v1/status", Door::Owner) => match glance {
            Some(glance) => {
                Answer::json(200, &json!({ "glance": glance, "config": **view.config.load() }))
            }
            None => Answer::error(503, "the engine has not started yet"),
        },
        _ => Answer::error(404, "there is nothing here"),
    }
}

/// A command of the operator. It is answered once it is in force.
pub async fn command(view: &View, door: Door, path: &str) -> Answer {
    match (path, door) {
        ("/v1/limits/confirm", Door::Owner) => {
            let (reply, answer) = oneshot::channel();
            if view.orders.send(Order::Confirm(reply)).await.is_err() {
                return Answer::error(503, "the process is ending");
            }
            match answer.await {
                Ok(Ok(done)) => Answer::json(200, &json!({ "in_force": done })),
                Ok(Err(why)) => Answer::error(409, &why),
                Err(_) => Answer::error(503, "the process is ending"),
            }
        }
        ("/v1/pause", Door::Owner) => operate(view, OperatorCommand::Pause).await,
        ("/v1/reduce-only", Door::Owner) => operate(view, OperatorCommand::ReduceOnly).await,
        ("/v1/resume", Door::Owner) => operate(view, OperatorCommand::Resume).await,
        ("/v1/cancel", Door::Owner) => operate(view, OperatorCommand::CancelMarket(None)).await,
        (path, Door::Owner) => match path.strip_prefix("/v1/cancel/") {
            Some(order) => cancel(view, order).await,
            None => match path.strip_prefix("/v1/release/") {
                Some(code) => release(view, code).await,
                None => Answer::error(404, "there is nothing here"),
            },
        },
        _ => Answer::error(404, "there is nothing here"),
    }
}

/// Executes a command of the person at the socket; answered when it survives the loss of power.
async fn operate(view: &View, command: OperatorCommand) -> Answer {
    let (by, why, key) = ("desk".to_owned(), String::new(), String::new());
    let name = command.name();
    let resume = matches!(command, OperatorCommand::Resume);
    let killed = |glance: &Glance| glance.blockers.iter().any(|blocker| blocker.code == "killed");
    if resume && (*view.shared.glance()).as_ref().is_some_and(killed) {
        return Answer::error(409, "it is killed: desk unkill first, then resume");
    }
    let operator = Operator { by, why, key, command };
    match view.inbox.operate(ControlEvent::Operator(operator)).await {
        Ok(()) => Answer::json(200, &json!({ "in_force": name })),
        Err(why) => Answer::error(503, &why),
    }
}

/// Cancels one open order, named as `desk orders` shows it.
async fn cancel(view: &View, name: &str) -> Answer {
    let open = |glance: &Glance| {
        glance.orders.iter().any(|order| order.id.trim_start_matches('#') == name)
    };
    let Some(id) = ClientOrderId::parse(name) else {
        return Answer::error(
            400,
            "an order's name is RUN.NUMBER, as `desk orders` shows it without the #",
        );
    };
    if !(*view.shared.glance()).as_ref().is_some_and(open) {
        return Answer::error(409, &format!("no order #{name} is open"));
    }
    operate(view, OperatorCommand::CancelOrder(id)).await
}

/// Clears a blocker that waits for a person.
async fn release(view: &View, code: &str) -> Answer {
    if let Some(market) = code.strip_prefix("market/") {
        return match view.inbox.release_market(market).await {
            Ok(()) => Answer::json(200, &json!({ "released": code })),
            Err(why) => Answer::error(409, &why),
        };
    }
    let cause = match code {
        "crash_loop" => Cause::CrashLoop,
        "lost_tail" => Cause::LostTail,
        "cash_mismatch" => Cause::CashMismatch,
        _ => {
            let text = "an operator clears crash_loop, lost_tail, cash_mismatch and market/SLUG; the others end by themselves";
            return Answer::error(409, text);
        }
    };
    let set = |glance: &Glance| glance.blockers.iter().any(|blocker| blocker.code == code);
    if !(*view.shared.glance()).as_ref().is_some_and(set) {
        return Answer::error(409, &format!("{code} is not set"));
    }
    let operator = Operator {
        by: "desk".to_owned(),
        why: String::new(),
        key: String::new(),
        command: OperatorCommand::ReleaseBlocker(cause),
    };
    match view.inbox.operate(ControlEvent::Operator(operator)).await {
        Ok(()) => Answer::json(200, &json!({ "released": code })),
        Err(why) => Answer::error(503, &why),
    }
}

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The TCP port.
    #[error("health.listen: {address} cannot be opened; choose another port, or \"\" for none")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The path is too long for a socket.
    #[error(
        "the data folder's path makes the socket's path {len} bytes long, at most {LONGEST_PATH} are possible: choose a shorter --data",
        len = path.as_os_str().len()
    )]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The socket.
    #[error("the socket {path} cannot be opened", path = path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

/// Opens the TCP listener.
///
/// # Errors
/// The port is taken or not allowed.
pub async fn open_tcp(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Tcp { address, source })
}

/// Opens the Unix socket in the data folder. The folder's lock is held: a socket that is left there belongs to no one.
///
/// # Errors
/// The path is too long, or the socket cannot be made.
pub fn open_socket(data: &Path) -> Result<UnixListener, ServerError> {
    let path = data.join(SOCKET);
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(ServerError::Path { path });
    }
    let failed = |source| ServerError::Socket { path: path.clone(), source };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Serves TCP for ever.
pub async fn serve_tcp(listener: Arc<TcpListener>, view: View) {
    let room = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                drop(tokio::spawn(connection(stream, Door::Public, view.clone(), place)))
            }
            // Out of descriptors, as a rule: not at once again.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Serves the Unix socket for ever.
pub async fn serve_socket(listener: Arc<UnixListener>, view: View) {
    let room = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                drop(tokio::spawn(connection(stream, Door::Owner, view.clone(), place)))
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn connection<S>(stream: S, door: Door, view: View, place: tokio::sync::OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let serve = service_fn(move |request: Request<Incoming>| {
        let view = view.clone();
        async move {
            let (head, body) = request.into_parts();
            // Read and dropped: what is left of a body would be taken for the next request.
            let body = Limited::new(body, LARGEST).collect();
            let path = head.uri.path();
            if let Some(kill) = view.kill.as_ref().filter(|_| head.method == Method::POST) {
                let (owner, mut body) = (door == Door::Owner, Box::pin(body));
                let text = async {
                    let body = tokio::time::timeout(HEAD, body.as_mut()).await;
                    body.ok()?.ok().map(|body| body.to_bytes().to_vec())
                };
                if let Some((status, value)) = kill.answer(owner, path, &head.headers, text).await {
                    return Ok(response(Answer::json(status, &value)));
                }
                let read = tokio::time::timeout(HEAD, body).await;
                let answer = match read {
                    Err(_) => Answer::error(408, "the body of the request did not come"),
                    Ok(_) => command(&view, door, path).await,
                };
                return Ok(response(answer));
            }
            let answer = match (tokio::time::timeout(HEAD, body).await, head.method) {
                (Err(_), _) => Answer::error(408, "the body of the request did not come"),
                (Ok(_), Method::POST) => command(&view, door, path).await,
                (Ok(_), method) => answer(&view, door, &method, path),
            };
            Ok::<_, Infallible>(response(answer))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), serve);
    let mut served = std::pin::pin!(served);
    let served = tokio::select! {
        biased;
        served = served.as_mut() => served,
        () = tokio::time::sleep(LIFE) => {
            // A request that is being answered is answered.
            served.as_mut().graceful_shutdown();
            tokio::time::timeout(HEAD, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the health server ended");
    }
    drop(place);
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(answer.kind));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    if status == StatusCode::REQUEST_TIMEOUT {
        headers.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response
}
