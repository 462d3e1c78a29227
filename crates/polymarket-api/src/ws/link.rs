//! One socket connection: a task that reads, a task that writes, and the rules of the venue's framing.
//!
//! Reading is not cancel-safe, so it has a task of its own and hands over whole messages. Every frame
//! written is flushed at once. Fragments are joined under a cap of the whole message.

use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use http::{HeaderMap, Uri, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{ApiError, Http};

/// What arrives on a link.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A whole text (or binary) message.
    Message(Vec<u8>),
    /// A protocol-level ping was answered.
    Ping,
    /// The connection is over, with the server's code and reason where it gave them.
    Closed {
        /// Close code; 0 when the connection just broke.
        code: u16,
        /// Reason, or the error.
        reason: String,
    },
}

enum Outgoing {
    Text(String),
    Pong(Vec<u8>),
    Close,
}

/// A live connection. Dropping it ends both tasks.
pub(crate) struct Link {
    incoming: mpsc::Receiver<Incoming>,
    outgoing: mpsc::Sender<Outgoing>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The largest message taken, in bytes: a whole book of a busy market is far below.
const LARGEST: usize = 16 << 20;
/// Messages the reader may be ahead before it stops reading and the connection backs up.
const AHEAD: usize = 4_096;

impl Link {
    /// Connects and upgrades; `ws` and `wss` URLs.
    pub(crate) async fn open(http: &Http, url: &str) -> Result<Link, ApiError> {
        let wrong = |rule: &str| ApiError::Misconfigured(format!("the socket URL {url:?} {rule}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        let scheme = match scheme {
            "wss" | "https" => "https",
            "ws" | "http" => "http",
            _ => return Err(wrong("must begin with wss://")),
        };
        let uri: Uri = format!("{scheme}://{rest}").parse().map_err(|_| wrong("is malformed"))?;
        let host = uri.authority().ok_or_else(|| wrong("has no host"))?.as_str().to_owned();
        let stream = http.dial(&uri).await?;
        let upgrade = upgrade(http, stream, &uri, &host);
        let ws = tokio::time::timeout(http.connect_timeout(), upgrade)
            .await
            .map_err(|_| ApiError::Unreachable(format!("{host}: no upgrade in time")))??;
        Ok(Link::over(ws))
    }

    fn over(mut ws: WebSocket<TokioIo<hyper::upgrade::Upgraded>>) -> Link {
        ws.set_max_message_size(LARGEST);
        let (mut read, mut write) = ws.split(tokio::io::split);
        read.set_auto_close(false);
        read.set_auto_pong(false);
        let (to_us, incoming) = mpsc::channel(AHEAD);
        let (outgoing, mut to_them) = mpsc::channel::<Outgoing>(256);
        let answers = outgoing.clone();
        let reader = tokio::spawn(async move {
            // Control frames come back from `read_frame` itself: nothing is sent from inside it.
            let mut nothing = |_: Frame<'_>| async { Ok::<(), WebSocketError>(()) };
            let mut joined: Vec<u8> = Vec::new();
            loop {
                let frame = match read.read_frame(&mut nothing).await {
                    Ok(frame) => frame,
                    Err(error) => {
                        let _ = to_us
                            .send(Incoming::Closed { code: 0, reason: error.to_string() })
                            .await;
                        return;
                    }
                };
                let news = match frame.opcode {
                    OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                        if joined.len() + frame.payload.len() > LARGEST {
                            Incoming::Closed {
                                code: 0,
                                reason: format!("a message is larger than {LARGEST} bytes"),
                            }
                        } else if frame.fin && joined.is_empty() {
                            Incoming::Message(frame.payload.into())
                        } else {
                            joined.extend_from_slice(&frame.payload);
                            if !frame.fin {
                                continue;
                            }
                            Incoming::Message(std::mem::take(&mut joined))
                        }
                    }
                    OpCode::Ping => {
                        // Never waits: a full queue means that the writer is blocked.
                        let _ = answers.try_send(Outgoing::Pong(frame.payload.to_vec()));
                        Incoming::Ping
                    }
                    OpCode::Pong => continue,
                    OpCode::Close => {
                        let (code, reason) = match frame.payload.split_first_chunk::<2>() {
                            Some((code, reason)) => (
                                u16::from_be_bytes(*code),
                                String::from_utf8_lossy(&reason[..reason.len().min(120)])
                                    .into_owned(),
                            ),
                            None => (1005, String::new()),
                        };
                        let _ = answers.try_send(Outgoing::Close);
                        Incoming::Closed { code, reason }
                    }
                };
                let over = matches!(news, Incoming::Closed { .. });
                if to_us.send(news).await.is_err() || over {
                    return;
                }
            }
        });
        let writer = tokio::spawn(async move {
            while let Some(news) = to_them.recv().await {
                let frame = match news {
                    Outgoing::Text(text) => Frame::text(Payload::Owned(text.into_bytes())),
                    Outgoing::Pong(payload) => Frame::pong(Payload::Owned(payload)),
                    Outgoing::Close => Frame::close(1000, b""),
                };
                // Without the flush a small frame can stay inside TLS until the next one.
                if write.write_frame(frame).await.is_err() || write.flush().await.is_err() {
                    return;
                }
            }
        });
        Link { incoming, outgoing, tasks: [reader, writer] }
    }

    /// The next incoming item; [`Incoming::Closed`] is the last one.
    pub(crate) async fn next(&mut self) -> Incoming {
        let gone = || Incoming::Closed { code: 0, reason: "the connection is gone".into() };
        self.incoming.recv().await.unwrap_or_else(gone)
    }

    /// Sends a text frame. An error means that the connection is over; the reader returns the reason.
    pub(crate) async fn send(&self, text: String) -> Result<(), ()> {
        self.outgoing.send(Outgoing::Text(text)).await.map_err(|_| ())
    }
}

async fn upgrade<S>(
    http: &Http,
    stream: S,
    uri: &Uri,
    host: &str,
) -> Result<WebSocket<TokioIo<hyper::upgrade::Upgraded>>, ApiError>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let lost = |error: hyper::Error| ApiError::Unreachable(format!("{host}: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(lost)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a socket's HTTP connection ended");
        }
    });
    let key = fastwebsockets::handshake::generate_key();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = http::Request::builder()
        .uri(path)
        .header(header::HOST, host)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "upgrade")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key)
        .header(header::USER_AGENT, http.agent())
        .body(Empty::<Bytes>::new())
        .map_err(|_| ApiError::Misconfigured(format!("{host}: the socket's path is malformed")))?;
    let answer = sender.send_request(request).await.map_err(lost)?;
    if answer.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        let status = answer.status().as_u16();
        return Err(ApiError::Unreachable(format!("{host}: HTTP {status} instead of a socket")));
    }
    if !accepted(answer.headers(), &key) {
        return Err(ApiError::Unreachable(format!(
            "{host}: the answer to the socket handshake is wrong"
        )));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(lost)?;
    Ok(WebSocket::after_handshake(TokioIo::new(upgraded), Role::Client))
}

/// RFC 6455: base64 of SHA-1 over the key and a constant.
fn accepted(headers: &HeaderMap, key: &str) -> bool {
    let mut sha = Sha1::new();
    sha.update(key.as_bytes());
    sha.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let expected = base64::engine::general_purpose::STANDARD.encode(sha.finalize());
    headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .is_some_and(|value| value.as_bytes() == expected.as_bytes())
}

/// Waiting times between attempts: doubling, jittered, capped, forgotten after a while of success.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    most: Duration,
    chance: u64,
}

impl Backoff {
    /// From `first` up to `most`; `chance` ([`Http::chance`]) spreads links and programs apart: after a
    /// restart of the venue they must not all come back in step.
    pub(crate) fn new(first: Duration, most: Duration, chance: u64) -> Backoff {
        // Xorshift must not begin with 0.
        Backoff { next: first, first, most, chance: chance | 1 }
    }
    /// How long to wait now: between half of the present step and all of it.
    pub(crate) fn pause(&mut self) -> Duration {
        // xorshift: nothing depends on its quality.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let step = self.next;
        self.next = (self.next * 2).min(self.most);
        step / 2 + step.mul_f64((self.chance >> 11) as f64 / (1u64 << 53) as f64 / 2.0)
    }
    /// The connection was good.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_jittered_and_start_over() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(30), 7);
        for step in [1, 2, 4, 8, 16, 30, 30] {
            let pause = backoff.pause();
            assert!(pause >= seconds(step) / 2 && pause <= seconds(step), "{step}: {pause:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= seconds(1));
    }

    #[test]
    fn links_and_programs_wait_apart_and_a_seed_repeats_them() {
        let http = |seed: Option<u64>| {
            struct Seeded(Option<u64>);
            impl crate::Connect for Seeded {
                fn connect(&self, _: &str, _: u16) -> crate::Connecting {
                    Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) })
                }
                fn seed(&self) -> Option<u64> {
                    self.0
                }
            }
            let connector = std::sync::Arc::new(Seeded(seed));
            Http::with_connector(
                crate::HttpConfig::default(),
                &crate::Endpoints::default(),
                connector,
            )
            .unwrap()
        };
        let pauses = |http: &Http, place: u64| {
            let seconds = Duration::from_secs;
            let mut backoff = Backoff::new(seconds(1), seconds(30), http.chance(place));
            [(); 4].map(|()| backoff.pause())
        };
        // Two bots, the same place; one bot, two places.
        assert_ne!(pauses(&http(None), 7), pauses(&http(None), 7));
        assert_ne!(pauses(&http(Some(1)), 7), pauses(&http(Some(1)), 8));
        assert_ne!(pauses(&http(Some(1)), 7), pauses(&http(Some(2)), 7));
        assert_eq!(pauses(&http(Some(1)), 7), pauses(&http(Some(1)), 7));
    }
}
