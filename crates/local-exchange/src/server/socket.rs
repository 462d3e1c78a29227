//! WebSocket connections: a reader and a writer task each.
//!
//! Reading is never cancelled half-way (the library would lose its place in the stream), and every frame
//! written is flushed.

use std::collections::BTreeSet;

use fastwebsockets::{Frame, OpCode, Payload, WebSocketError, WebSocketRead, WebSocketWrite};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use polydesk_domain::{MarketKey, Token};
use serde_json::Value;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Service;
use super::answer::{Answer, Req, parse_query};
use super::breakable::Reset;
use super::http::Reply;
use super::hub::{Channel, Out, Wants};
use super::inner::{Inner, Shared};

/// The longest message taken from a client, over all its fragments.
const MESSAGE_MOST: usize = 1 << 20;

type Stream = TokioIo<Upgraded>;

/// Answers an upgrade and starts the connection's tasks.
pub(super) fn upgrade(
    shared: &Shared,
    service: Service,
    reset: Reset,
    mut request: Request<Incoming>,
) -> Response<Reply> {
    let path = request.uri().path().trim_end_matches('/');
    let channel = match (service, path) {
        (Service::Clob, "/ws/market") => Channel::Market,
        (Service::Clob, "/ws/user") => Channel::User,
        (Service::Polybolt, _) => Channel::Polybolt,
        (Service::Rtds, _) => Channel::Rtds,
        _ => return Reply::response(Answer::not_found(), None),
    };
    let req = Req {
        service,
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        query: parse_query(request.uri().query().unwrap_or("")),
        headers: request.headers().clone(),
        body: bytes::Bytes::new(),
    };
    let refused = shared.with(|inner| {
        let number = inner.record(&req, None);
        let refused = inner.faults.refuses(channel, inner.venue.now());
        inner.answered(number, if refused { 403 } else { 101 });
        refused
    });
    if refused {
        return Reply::response(Answer::error(403, "Forbidden"), None);
    }
    let (response, upgraded) = match fastwebsockets::upgrade::upgrade(&mut request) {
        Ok(upgraded) => upgraded,
        Err(_) => return Reply::response(Answer::error(400, "Bad Request"), None),
    };
    let shared = shared.clone();
    tokio::spawn(async move {
        match upgraded.await {
            Ok(mut socket) => {
                socket.set_auto_close(false);
                socket.set_auto_pong(false);
                socket.set_max_message_size(MESSAGE_MOST);
                let (reader, writer) = socket.split(tokio::io::split);
                let (out, frames) = unbounded_channel();
                let id = shared.with(|inner| inner.hub.open(channel, out, inner.venue.now()));
                let mut stop = shared.stop.clone();
                let writing = tokio::spawn(write(writer, frames));
                let cut = async {
                    match writing.await {
                        Ok(Some(by_reset)) => reset.set(by_reset),
                        _ => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = cut => {}
                    // Dropped only when the connection is over for good.
                    () = read(&shared, id, reader) => {}
                }
                shared.with(|inner| inner.hub.gone(id));
            }
            Err(error) => tracing::debug!(%error, "an upgrade failed"),
        }
    });
    Reply::empty(response)
}

/// Writes until the last frame; if the connection is to break without one, whether by a reset.
async fn write(
    mut writer: WebSocketWrite<WriteHalf<Stream>>,
    mut frames: UnboundedReceiver<Out>,
) -> Option<bool> {
    while let Some(out) = frames.recv().await {
        let last = matches!(out, Out::Close(..));
        let frame = match &out {
            Out::Text(text) => Frame::text(Payload::Borrowed(text.as_bytes())),
            Out::Pong(data) => Frame::pong(Payload::Borrowed(data)),
            Out::Close(code, reason) => Frame::close(*code, reason.as_bytes()),
            Out::Cut { reset } => return Some(*reset),
        };
        let written = match writer.write_frame(frame).await {
            Ok(()) => writer.flush().await,
            Err(error) => Err(error),
        };
        if last || written.is_err() {
            return None;
        }
    }
    None
}

async fn read(shared: &Shared, id: u64, mut reader: WebSocketRead<ReadHalf<Stream>>) {
    let mut message: Vec<u8> = Vec::new();
    loop {
        let read =
            reader.read_frame(&mut |_: Frame<'_>| async { Ok::<(), WebSocketError>(()) }).await;
        let Ok(frame) = read else { return };
        match frame.opcode {
            OpCode::Close => {
                shared.with(|inner| inner.hub.close(id, 1000, ""));
                return;
            }
            OpCode::Ping => {
                let data = frame.payload.to_vec();
                shared.with(|inner| inner.hub.put(id, Out::Pong(data)));
            }
            OpCode::Pong => {}
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                message.extend_from_slice(&frame.payload);
                if message.len() > MESSAGE_MOST {
                    shared.with(|inner| inner.hub.close(id, 1009, "message too big"));
                    return;
                }
                if frame.fin {
                    let whole = std::mem::take(&mut message);
                    shared.with(|inner| inner.hear(id, &whole));
                    if shared.look(|inner| inner.hub.get(id).is_none()) {
                        return;
                    }
                }
            }
        }
    }
}

impl Inner {
    /// A message from a connection.
    pub(crate) fn hear(&mut self, id: u64, message: &[u8]) {
        let now = self.venue.now();
        let Some(connection) = self.hub.get_mut(id) else { return };
        let channel = connection.channel;
        // Credentials come in such messages, and the ones sent here may be real.
        tracing::debug!(id, ?channel, bytes = message.len(), "heard");
        if channel != Channel::Polybolt && message == b"PING" {
            connection.last_ping = now;
            if !self.faults.mutes_pong(channel) {
                self.hub.put(id, Out::Text("PONG".to_owned()));
            }
            return;
        }
        let Ok(value) = serde_json::from_slice::<Value>(message) else {
            self.hub.put(id, Out::Text("INVALID OPERATION".to_owned()));
            return;
        };
        let number = connection.number;
        if self.faults.ignores(channel, number) {
            return;
        }
        match channel {
            Channel::Market => self.hear_market(id, &value),
            Channel::User => self.hear_user(id, &value),
            Channel::Polybolt => self.hear_polybolt(id, &value),
            Channel::Rtds => self.hear_rtds(id, &value),
        }
    }

    fn hear_market(&mut self, id: u64, value: &Value) {
        let named = value["assets_ids"].as_array().map_or(&[][..], Vec::as_slice);
        let tokens: Vec<Token> =
            named.iter().filter_map(|id| self.venue.token(id.as_str()?)).collect();
        let flag = value["custom_feature_enabled"].as_bool();
        let operation = value["operation"].as_str();
        let fresh = self.hub.get(id).is_some_and(|connection| connection.wants == Wants::Unsaid);
        let subscribes = match (value["type"].as_str(), operation) {
            (_, Some("unsubscribe")) => false,
            (_, Some("subscribe")) => true,
            (Some("market" | "MARKET" | "Market"), _) if fresh => true,
            // Only the first message of a connection subscribes by its type; later ones need an operation.
            (Some("market" | "MARKET" | "Market"), _) => return,
            _ => {
                self.hub.put(id, Out::Text("INVALID OPERATION".to_owned()));
                return;
            }
        };
        let Some(connection) = self.hub.get_mut(id) else { return };
        if connection.wants == Wants::Unsaid {
            connection.wants = Wants::Market { tokens: BTreeSet::new(), custom: false };
        }
        let Wants::Market { tokens: wanted, custom } = &mut connection.wants else { return };
        if let Some(flag) = flag {
            *custom = flag;
        }
        if !subscribes {
            tokens.iter().for_each(|token| {
                wanted.remove(token);
            });
            return;
        }
        // A token that is wanted already gets no new snapshot.
        let added: Vec<Token> = tokens.into_iter().filter(|token| wanted.insert(*token)).collect();
        if value["initial_dump"].as_bool() == Some(false) {
            return;
        }
        for token in added {
            self.snapshot(id, token);
        }
    }

    fn hear_user(&mut self, id: u64, value: &Value) {
        let known =
            |condition: &Value| self.venue.universe().key(&condition.as_str()?.parse().ok()?);
        let named = value["markets"].as_array().map_or(&[][..], Vec::as_slice);
        let named: Vec<MarketKey> = named.iter().filter_map(known).collect();
        let auth = &value["auth"];
        let wants = self.hub.get(id).map(|connection| connection.wants.clone());
        match wants {
            Some(Wants::Unsaid) => {
                let key = auth["apiKey"].as_str().and_then(|key| key.parse().ok());
                let caller = key.and_then(|key| self.venue.caller(&key));
                let sound = caller.filter(|(_, credentials)| {
                    auth["secret"].as_str() == Some(credentials.secret.as_str())
                        && auth["passphrase"].as_str() == Some(credentials.passphrase.as_str())
                });
                let Some((caller, _)) = sound else {
                    self.hub.close(id, 1008, "authentication failed");
                    return;
                };
                let markets = (!named.is_empty()).then(|| named.into_iter().collect());
                if let Some(connection) = self.hub.get_mut(id) {
                    let (signer, key) = (caller.signer, caller.key);
                    connection.wants = Wants::User { signer, key, markets };
                }
            }
            Some(Wants::User { .. }) => {
                let Some(connection) = self.hub.get_mut(id) else { return };
                let Wants::User { markets, .. } = &mut connection.wants else { return };
                match (value["operation"].as_str(), markets.as_mut()) {
                    (Some("subscribe"), Some(markets)) => markets.extend(named),
                    (Some("subscribe"), None) if !named.is_empty() => {
                        *markets = Some(named.into_iter().collect());
                    }
                    (Some("unsubscribe"), Some(markets)) => {
                        named.iter().for_each(|market| {
                            markets.remove(market);
                        });
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
