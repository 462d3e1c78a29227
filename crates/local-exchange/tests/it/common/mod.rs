//! A client for tests: signs, sends, reads frames. Written against the venue's documents, not against
//! the exchange's own types.

use std::future::Future;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256, hex};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, WebSocket};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Empty, Full};
use hyper::Request;
use hyper::upgrade::Upgraded;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use polydesk_domain::{Side, Token};
use polydesk_local_exchange::typed::{Contract, OrderMessage, auth_digest};
use polydesk_local_exchange::venue::Credentials;
use polydesk_local_exchange::wallets::{TEST_ADDRESSES, TEST_KEYS, WalletKind};
use polydesk_local_exchange::{LocalExchange, Running, Setup};
use secp256k1::{Message, Secp256k1, SecretKey};
use serde_json::{Value, json};
use sha2::Sha256;

/// Runs a test body on one thread; a hang ends it.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs");
    });
}

/// An exchange with empty books on a virtual clock.
pub async fn exchange() -> Running {
    LocalExchange::start(Setup::test()).await.unwrap()
}

/// The demo market with this slug.
pub fn token(running: &Running, slug: &str, outcome: usize) -> Token {
    running.venue(|venue| {
        let universe = venue.universe();
        let key = universe.keys().find(|key| universe.market(*key).slug == slug).unwrap();
        key.token(polydesk_domain::Outcome::BOTH[outcome])
    })
}

pub fn token_id(running: &Running, token: Token) -> String {
    running.venue(|venue| venue.universe().token_id(token).to_string())
}

pub fn condition(running: &Running, token: Token) -> String {
    running.venue(|venue| venue.universe().market(token.market()).condition.to_string())
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub type Http = Client<HttpConnector, Full<Bytes>>;

pub fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Sends a request; an error is a connection that ended without a whole answer.
pub async fn send(
    http: &Http,
    method: &str,
    url: &str,
    headers: &[(&str, String)],
    body: String,
) -> Result<Reply, String> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = http.request(request).await.map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
}

pub async fn get(http: &Http, url: String) -> Reply {
    send(http, "GET", &url, &[], String::new()).await.unwrap()
}

/// One of the test accounts with a wallet and its key.
#[derive(Debug, Clone)]
pub struct Trader {
    pub key: SecretKey,
    pub owner: Address,
    pub kind: WalletKind,
    pub credentials: Credentials,
    pub http: Http,
    pub base: String,
    salt: std::cell::Cell<u64>,
    seconds: i64,
}

/// An order to be signed.
#[derive(Debug, Clone)]
pub struct Ask {
    pub token: String,
    pub contract: Contract,
    pub side: Side,
    pub maker: u64,
    pub taker: u64,
    pub kind: &'static str,
    pub expiration: i64,
    pub post_only: bool,
}

impl Ask {
    /// A GTC order: price in hundredths of a cent, size in hundredths of a share.
    pub fn limit(running: &Running, token: Token, side: Side, units: u64, cents: u64) -> Ask {
        let (money, shares) = (units * cents, cents * 10_000);
        let (maker, taker) = match side {
            Side::Buy => (money, shares),
            Side::Sell => (shares, money),
        };
        Ask {
            token: token_id(running, token),
            contract: running.venue(|venue| venue.contract(token)),
            side,
            maker,
            taker,
            kind: "GTC",
            expiration: 0,
            post_only: false,
        }
    }
    pub fn of(self, kind: &'static str) -> Ask {
        Ask { kind, ..self }
    }
    pub fn post_only(self) -> Ask {
        Ask { post_only: true, ..self }
    }
}

impl Trader {
    pub fn new(running: &Running, index: usize, kind: WalletKind) -> Trader {
        let known = running.accounts().get(index).and_then(|account| account.credentials.clone());
        let fresh = || running.venue(|venue| venue.create_key(TEST_ADDRESSES[index], 0));
        Trader {
            key: TEST_KEYS[index].trim_start_matches("0x").parse().unwrap(),
            owner: TEST_ADDRESSES[index],
            kind,
            credentials: known.or_else(fresh).unwrap(),
            http: http(),
            base: running.urls().clob.clone(),
            salt: std::cell::Cell::new(index as u64 * 1_000_000),
            seconds: running.now().millis() / 1_000,
        }
    }

    pub fn wallet(&self) -> Address {
        self.kind.address(self.owner)
    }

    pub fn sign(&self, digest: B256) -> [u8; 65] {
        let context = Secp256k1::signing_only();
        let signature = context.sign_ecdsa_recoverable(Message::from_digest(digest.0), &self.key);
        let (id, compact) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = 27 + i32::from(id) as u8;
        bytes
    }

    pub fn wallet_headers(&self, nonce: u64) -> Vec<(&'static str, String)> {
        let stamp = self.seconds.to_string();
        let signature = self.sign(auth_digest(self.owner, &stamp, U256::from(nonce), 137));
        vec![
            ("POLY_ADDRESS", self.owner.to_string()),
            ("POLY_SIGNATURE", hex::encode_prefixed(signature)),
            ("POLY_TIMESTAMP", stamp),
            ("POLY_NONCE", nonce.to_string()),
        ]
    }

    pub fn headers(&self, method: &str, path: &str, body: &str) -> Vec<(&'static str, String)> {
        let stamp = self.seconds.to_string();
        let secret = URL_SAFE.decode(&self.credentials.secret).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(format!("{stamp}{method}{path}{body}").as_bytes());
        vec![
            ("POLY_ADDRESS", self.owner.to_string()),
            ("POLY_API_KEY", self.credentials.key.to_string()),
            ("POLY_PASSPHRASE", self.credentials.passphrase.clone()),
            ("POLY_SIGNATURE", URL_SAFE.encode(mac.finalize().into_bytes())),
            ("POLY_TIMESTAMP", stamp),
        ]
    }

    /// A builder key's signature over a request without a body.
    pub fn headers_of(
        &self,
        secret: &Value,
        method: &str,
        path: &str,
    ) -> Vec<(&'static str, String)> {
        let stamp = self.seconds.to_string();
        let secret = URL_SAFE.decode(secret.as_str().unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(format!("{stamp}{method}{path}").as_bytes());
        let signature = URL_SAFE.encode(mac.finalize().into_bytes());
        vec![("POLY_BUILDER_SIGNATURE", signature), ("POLY_BUILDER_TIMESTAMP", stamp)]
    }

    /// Follows a virtual clock.
    pub fn at(&mut self, running: &Running) {
        self.seconds = running.now().millis() / 1_000;
    }

    pub async fn try_call(&self, method: &str, path: &str, body: &str) -> Result<Reply, String> {
        let bare = path.split('?').next().unwrap();
        let headers = self.headers(method, bare, body);
        send(&self.http, method, &format!("{}{path}", self.base), &headers, body.to_owned()).await
    }

    pub async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.try_call(method, path, body).await.unwrap()
    }

    /// The signed body of an order and its id.
    pub fn signed(&self, ask: &Ask) -> (Value, B256) {
        self.signed_as(self.wallet(), self.kind.signature_type(), false, ask)
    }

    /// The same with a session key of another account's deposit wallet.
    pub fn signed_for(&self, wallet: Address, ask: &Ask) -> (Value, B256) {
        self.signed_as(wallet, 3, true, ask)
    }

    fn signed_as(&self, wallet: Address, kind: u8, session: bool, ask: &Ask) -> (Value, B256) {
        self.salt.set(self.salt.get() + 1);
        let deposit = kind == 3;
        let stamp = self.seconds * 1_000 + self.salt.get() as i64;
        let message = OrderMessage {
            salt: U256::from(self.salt.get()),
            maker: wallet,
            signer: if deposit { wallet } else { self.owner },
            token: ask.token.parse().unwrap(),
            maker_amount: ask.maker,
            taker_amount: ask.taker,
            side: ask.side as u8,
            signature_type: kind,
            timestamp: U256::from(stamp as u64),
            metadata: B256::ZERO,
            builder: B256::ZERO,
        };
        let signature = if deposit {
            let inner = self.sign(message.wrapped_digest(ask.contract, 137));
            let wrapped = message.wrap(ask.contract, 137, &inner);
            if session { enveloped(self.owner, &wrapped) } else { wrapped }
        } else {
            self.sign(message.digest(ask.contract, 137)).to_vec()
        };
        let body = json!({
            "order": {
                "salt": self.salt.get(),
                "maker": message.maker.to_string(),
                "signer": message.signer.to_string(),
                "tokenId": ask.token,
                "makerAmount": ask.maker.to_string(),
                "takerAmount": ask.taker.to_string(),
                "side": if ask.side == Side::Buy { "BUY" } else { "SELL" },
                "expiration": ask.expiration.to_string(),
                "signatureType": message.signature_type,
                "timestamp": stamp.to_string(),
                "metadata": B256::ZERO.to_string(),
                "builder": B256::ZERO.to_string(),
                "signature": hex::encode_prefixed(signature),
            },
            "owner": self.credentials.key.to_string(),
            "orderType": ask.kind,
            "deferExec": false,
            "postOnly": ask.post_only,
        });
        (body, message.digest(ask.contract, 137))
    }

    pub async fn post(&self, ask: &Ask) -> Reply {
        let (body, _) = self.signed(ask);
        self.call("POST", "/order", &body.to_string()).await
    }

    /// Posts an order that must be taken; its id.
    pub async fn place(&self, ask: &Ask) -> String {
        let (body, id) = self.signed(ask);
        let reply = self.call("POST", "/order", &body.to_string()).await;
        let value = reply.json();
        assert_eq!(value["orderID"], id.to_string(), "{value}");
        assert_eq!((reply.status, &value["success"]), (200, &json!(true)), "{value}");
        id.to_string()
    }

    /// What the exchange refuses an order with.
    pub async fn refused(&self, ask: &Ask) -> (u16, String) {
        let reply = self.post(ask).await;
        (reply.status, reply.json()["error"].as_str().unwrap_or("(taken)").to_owned())
    }

    pub async fn balance(&self, token: Option<&str>) -> String {
        let asset = match token {
            Some(token) => format!("asset_type=CONDITIONAL&token_id={token}"),
            None => "asset_type=COLLATERAL".to_owned(),
        };
        let kind = self.kind.signature_type();
        let path = format!("/balance-allowance?{asset}&signature_type={kind}");
        self.call("GET", &path, "").await.json()["balance"].as_str().unwrap().to_owned()
    }

    pub async fn orders(&self) -> Vec<Value> {
        let page = self.call("GET", "/data/orders", "").await.json();
        page["data"].as_array().unwrap().clone()
    }

    pub async fn trades(&self) -> Vec<Value> {
        let page = self.call("GET", "/data/trades", "").await.json();
        page["data"].as_array().unwrap().clone()
    }
}

/// `abi.encode(bytes32 key, bytes32 0, bytes wrapped)` and the mark of session keys.
fn enveloped(key: Address, wrapped: &[u8]) -> Vec<u8> {
    let word = |number: u64| B256::from(U256::from(number)).to_vec();
    let mut bytes = key.into_word().to_vec();
    bytes.extend([word(0), word(96), word(wrapped.len() as u64)].concat());
    bytes.extend_from_slice(wrapped);
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend([0x64, 0x92].repeat(16));
    bytes
}

/// A socket that is read frame by frame.
pub struct Socket(WebSocket<TokioIo<Upgraded>>);

/// What comes from a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    Text(String),
    Close(u16, String),
    Gone,
}

impl Socket {
    /// Opens a socket; the status if it was refused.
    pub async fn open(url: &str) -> Result<Socket, u16> {
        let address = url.trim_start_matches("ws://");
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        let stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let request = Request::builder()
            .uri(format!("/{path}"))
            .header("Host", host)
            .header("Upgrade", "websocket")
            .header("Connection", "upgrade")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", fastwebsockets::handshake::generate_key())
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        if response.status() != 101 {
            return Err(response.status().as_u16());
        }
        let upgraded = hyper::upgrade::on(response).await.unwrap();
        let socket = TokioIo::new(upgraded);
        Ok(Socket(WebSocket::after_handshake(socket, fastwebsockets::Role::Client)))
    }

    pub async fn send_text(&mut self, text: &str) {
        let frame = Frame::text(Payload::Owned(text.as_bytes().to_vec()));
        self.0.write_frame(frame).await.unwrap();
        self.0.flush().await.unwrap();
    }

    pub async fn next(&mut self) -> Incoming {
        loop {
            let Ok(frame) = self.0.read_frame().await else { return Incoming::Gone };
            match frame.opcode {
                OpCode::Text => {
                    return Incoming::Text(String::from_utf8(frame.payload.to_vec()).unwrap());
                }
                OpCode::Close => {
                    let code = frame
                        .payload
                        .get(..2)
                        .map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                    let reason = String::from_utf8_lossy(frame.payload.get(2..).unwrap_or(&[]));
                    return Incoming::Close(code, reason.into_owned());
                }
                _ => {}
            }
        }
    }

    /// The next frame as JSON.
    pub async fn json(&mut self) -> Value {
        match self.next().await {
            Incoming::Text(text) => {
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
            }
            other => panic!("{other:?}"),
        }
    }

    /// All frames up to the answer to a `PING`: what was sent before it, and nothing else.
    pub async fn drain(&mut self) -> Vec<Value> {
        self.send_text("PING").await;
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Incoming::Text(text) if text == "PONG" => return frames,
                Incoming::Text(text) => frames.push(serde_json::from_str(&text).unwrap()),
                other => panic!("{other:?} after {frames:?}"),
            }
        }
    }

    pub async fn market(running: &Running, tokens: &[&str], custom: bool) -> Socket {
        let mut socket = Socket::open(&running.urls().market_socket).await.unwrap();
        let wants = json!({ "type": "market", "assets_ids": tokens,
                            "custom_feature_enabled": custom });
        socket.send_text(&wants.to_string()).await;
        socket
    }

    pub async fn user(running: &Running, trader: &Trader) -> Socket {
        let mut socket = Socket::open(&running.urls().user_socket).await.unwrap();
        let own = &trader.credentials;
        let wants = json!({ "type": "user", "auth": {
            "apiKey": own.key.to_string(), "secret": own.secret, "passphrase": own.passphrase } });
        socket.send_text(&wants.to_string()).await;
        assert_eq!(socket.drain().await, Vec::<Value>::new());
        socket
    }
}

/// Fields of a frame, joined: short enough to compare.
pub fn brief(value: &Value, fields: &[&str]) -> String {
    let text = |field: &&str| match &value[*field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    fields.iter().map(text).collect::<Vec<_>>().join(" ")
}
