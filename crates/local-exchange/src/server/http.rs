//! Listeners: HTTP/1.1 on loopback or over pipes within the process, one task a connection.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::breakable::{Breakable, Pipe, Reset};

use super::Service;
use super::answer::{Answer, Req, parse_query};
use super::inner::Shared;
use super::socket;

/// The largest body taken.
const BODY_MOST: usize = 4 << 20;

/// What a pipe holds in each direction before its writer waits.
const PIPE_BYTES: usize = 256 << 10;

/// After a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens a listener of 127.0.0.1.
pub(crate) async fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// Serves a listener until the exchange stops.
pub(crate) async fn listen(shared: Shared, service: Service, listener: TcpListener) {
    let mut stop = shared.stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors this fails at once, again and again, until some are closed.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (stream, reset) = Breakable::tcp(stream);
        tokio::spawn(serve(shared.clone(), service, stream, reset));
    }
}

/// Serves a pipe within the process; the client's half of it.
pub(crate) fn serve_pipe(shared: &Shared, service: Service) -> Pipe {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let (stream, reset) = Breakable::pipe(ours);
    let pipe = Pipe::new(theirs, reset.clone());
    tokio::spawn(serve(shared.clone(), service, stream, reset));
    pipe
}

/// Serves one connection until it ends or the exchange stops.
async fn serve(shared: Shared, service: Service, stream: Breakable, reset: Reset) {
    let mut stop = shared.stop.clone();
    let handle =
        service_fn(move |request| respond(shared.clone(), service, reset.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new()
        // It would show the machine's time, not the exchange's.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), handle)
        .with_upgrades();
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => {}
        served = connection => if let Err(error) = served {
            tracing::debug!(%error, "a connection ended");
        },
    }
}

/// A connection that is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault closed the connection")]
struct Closed;

async fn respond(
    shared: Shared,
    service: Service,
    reset: Reset,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Closed> {
    if fastwebsockets::upgrade::is_upgrade_request(&request) {
        return Ok(socket::upgrade(&shared, service, reset, request));
    }
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_MOST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(Reply::response(Answer::error(413, "Payload Too Large"), None)),
    };
    let req = Req {
        service,
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parse_query(parts.uri.query().unwrap_or("")),
        headers: parts.headers,
        body,
    };
    let takes_gzip = req.header("accept-encoding").is_some_and(|all| all.contains("gzip"));
    let (answer, outcome) = shared.serve(req).await.map_err(|broken| {
        reset.set(broken.reset);
        Closed
    })?;
    reset.set(outcome.reset && outcome.cut.is_some());
    let answer = if takes_gzip { compressed(answer) } else { answer };
    Ok(Reply::response(answer, outcome.cut))
}

/// Larger responses are compressed if the client accepts it, as at the venue's edge.
fn compressed(mut answer: Answer) -> Answer {
    use std::io::Write as _;
    if answer.body.len() < 1_024 {
        return answer;
    }
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = writer.write_all(&answer.body).and_then(|()| writer.finish());
    if let Ok(bytes) = written {
        answer.body = Bytes::from(bytes);
        answer = answer.with("Content-Encoding", "gzip");
    }
    answer
}

/// A body that may end before it is whole.
pub(super) struct Reply {
    data: Option<Bytes>,
    /// What its length claims to be.
    length: u64,
    cut: bool,
}

impl Reply {
    /// A response, cut after so many bytes if a fault rule sets it.
    pub(super) fn response(answer: Answer, cut: Option<usize>) -> Response<Reply> {
        let length = answer.body.len();
        let kept = cut.map_or(length, |cut| cut.min(length.saturating_sub(1)));
        let reply = Reply {
            data: Some(answer.body.slice(..kept)),
            length: length as u64,
            cut: cut.is_some(),
        };
        let mut builder = Response::builder().status(answer.status);
        builder = builder.header(http::header::CONTENT_TYPE, answer.content_type);
        for (name, value) in answer.headers {
            builder = builder.header(name, value);
        }
        match builder.body(reply) {
            Ok(response) => response,
            Err(error) => {
                // A scenario asked for a header that cannot be.
                tracing::error!(%error, "an answer cannot be written");
                Response::new(Reply { data: None, length: 0, cut: false })
            }
        }
    }

    pub(super) fn empty(response: Response<http_body_util::Empty<Bytes>>) -> Response<Reply> {
        response.map(|_| Reply { data: None, length: 0, cut: false })
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.data.take().filter(|data| !data.is_empty()) {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None if self.cut => {
                self.cut = false;
                let error = std::io::Error::other("a fault cut the answer");
                Poll::Ready(Some(Err(error)))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

impl From<Infallible> for Closed {
    fn from(never: Infallible) -> Closed {
        match never {}
    }
}
