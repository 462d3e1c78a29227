//! The user channel: updates of our own orders and trades.
//!
//! It can lag, lose messages, and deliver a fill before the response to its order: every item carries ids,
//! and every (re)connection is reported, because updates in the meantime have to be read over REST. Wrong
//! credentials appear as a connection that closes or stays silent: a close that says so ends the channel
//! ([`UserItem::Rejected`]), and after [`UserFeed::placed`] silence is noticed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use polydesk_domain::{ConditionId, OrderHash, Time};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::UserOrder;
use super::link::{Backoff, Incoming, Link};
use crate::clob::Trade;
use crate::{Credentials, FeedConfig, Http, ServerClock};

/// What the user channel hands over.
#[derive(Debug, Clone, PartialEq)]
pub enum UserItem {
    /// A connection is up and the server has answered behind the subscription (it acknowledges none, so
    /// this is as much as can be known): reconcile over REST now.
    Connected {
        /// Local time.
        at: Time,
    },
    /// The venue does not accept the credentials. The channel is over: no order may rely on it.
    Rejected {
        /// Local time.
        at: Time,
        /// The venue's words.
        reason: String,
    },
    /// The connection is lost, or could not be made: no updates until the next [`UserItem::Connected`].
    Disconnected {
        /// Local time.
        at: Time,
        /// Why.
        reason: String,
    },
    /// An order update.
    Order {
        /// Local time.
        at: Time,
        /// The order with its new state.
        order: Box<UserOrder>,
    },
    /// A trade update: one per change of status, with the same id.
    Trade {
        /// Local time.
        at: Time,
        /// The trade with its new status.
        trade: Box<Trade>,
    },
    /// A message that cannot be read. It may have been a fill: reconcile over REST.
    Unreadable {
        /// Local time.
        at: Time,
        /// Its beginning.
        excerpt: String,
    },
}

/// One message of the user channel.
#[derive(Debug, Clone, PartialEq)]
pub enum UserMessage {
    /// An order update.
    Order(Box<UserOrder>),
    /// A trade update.
    Trade(Box<Trade>),
    /// A kind this client does not know.
    Unknown,
    /// Not to be read; its beginning.
    Unreadable(String),
}

/// Reads a frame: one object or an array of them. A bad one takes none of the others with it.
pub fn parse_user_frame(frame: &[u8]) -> Vec<UserMessage> {
    let unreadable = |text: &str| UserMessage::Unreadable(text.chars().take(300).collect());
    let many = frame.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    let objects: Result<Vec<&RawValue>, _> = if many {
        serde_json::from_slice(frame)
    } else {
        serde_json::from_slice(frame).map(|one| vec![one])
    };
    let Ok(objects) = objects else {
        return vec![unreadable(&String::from_utf8_lossy(&frame[..frame.len().min(400)]))];
    };
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Peek {
        event_type: Option<String>,
        taker_order_id: Option<serde::de::IgnoredAny>,
        original_size: Option<serde::de::IgnoredAny>,
    }
    objects
        .into_iter()
        .map(|object| {
            let text = object.get();
            let Ok(peek) = serde_json::from_str::<Peek>(text) else { return unreadable(text) };
            // Some captures lack the kind: it is inferred from their fields.
            let kind = match peek.event_type.as_deref() {
                Some(kind) if !kind.is_empty() => kind.to_owned(),
                _ if peek.taker_order_id.is_some() => "trade".to_owned(),
                _ if peek.original_size.is_some() => "order".to_owned(),
                _ => String::new(),
            };
            match kind.as_str() {
                "order" => serde_json::from_str(text).map(|o| UserMessage::Order(Box::new(o))),
                "trade" => serde_json::from_str(text).map(|t| UserMessage::Trade(Box::new(t))),
                _ => return UserMessage::Unknown,
            }
            .unwrap_or_else(|_| unreadable(text))
        })
        .collect()
}

/// A running user channel. Dropping it closes the connection.
pub struct UserFeed {
    asks: mpsc::UnboundedSender<Ask>,
    _tasks: JoinSet<()>,
}

/// What the owner of a channel tells it.
#[derive(Debug)]
enum Ask {
    Placed(OrderHash),
    Markets(Vec<ConditionId>),
}

impl UserFeed {
    /// The venue has accepted an order: an update of it must arrive within [`FeedConfig::update_timeout_ms`], else the subscription
    /// is dead and the connection is opened again.
    pub fn placed(&self, order: OrderHash) {
        let _ = self.asks.send(Ask::Placed(order));
    }

    /// Follows these markets instead, on the running connection; none are all.
    pub fn follow(&self, markets: Vec<ConditionId>) {
        let _ = self.asks.send(Ask::Markets(markets));
    }

    /// Connects and stays connected; items come on the returned channel. Empty `markets` are all.
    pub fn start(
        config: FeedConfig,
        http: Http,
        url: &str,
        credentials: Credentials,
        markets: Vec<ConditionId>,
        clock: ServerClock,
    ) -> (UserFeed, mpsc::Receiver<UserItem>) {
        // Updates of our own orders are never dropped: the channel is wide, and beyond it the connection waits.
        let (items, out) = mpsc::channel(config.queue.max(1_024));
        let mut tasks = JoinSet::new();
        let (asks, told) = mpsc::unbounded_channel();
        let session = Session {
            config,
            http,
            url: url.into(),
            credentials,
            markets,
            clock,
            items,
            told,
            awaited: BTreeMap::new(),
            heard: VecDeque::new(),
        };
        tasks.spawn(session.run());
        (UserFeed { asks, _tasks: tasks }, out)
    }
}

struct Session {
    config: FeedConfig,
    http: Http,
    url: Arc<str>,
    credentials: Credentials,
    markets: Vec<ConditionId>,
    clock: ServerClock,
    items: mpsc::Sender<UserItem>,
    told: mpsc::UnboundedReceiver<Ask>,
    /// Orders that the venue has taken and of which no update arrived, with the latest time for it.
    awaited: BTreeMap<OrderHash, Instant>,
    /// The orders of the latest updates: an update can arrive before the answer to the order.
    heard: VecDeque<OrderHash>,
}

/// How many orders are remembered as heard of.
const HEARD: usize = 4_096;

/// How a connection ended.
enum End {
    Lost(String),
    Rejected(String),
}

/// Apart from the places of the market socket's connections and of the price sockets.
const USER_PLACE: u64 = 1 << 32;

impl Session {
    async fn run(mut self) {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(
            millis(self.config.retry_first_ms.max(1)),
            millis(self.config.retry_most_ms.max(1)),
            self.http.chance(USER_PLACE),
        );
        while !self.items.is_closed() {
            match Link::open(&self.http, &self.url).await {
                Err(error) => {
                    tracing::warn!(%error, "user socket: cannot connect");
                    let reason = format!("cannot connect: {error}");
                    let gone = UserItem::Disconnected { at: self.clock.local(), reason };
                    if self.items.send(gone).await.is_err() {
                        return;
                    }
                }
                Ok(link) => {
                    let since = Instant::now();
                    let reason = match self.session(link).await {
                        End::Lost(reason) => reason,
                        End::Rejected(reason) => {
                            tracing::error!(%reason, "user socket: the credentials are rejected");
                            let over = UserItem::Rejected { at: self.clock.local(), reason };
                            let _ = self.items.send(over).await;
                            return;
                        }
                    };
                    // What was awaited is read over REST after the next connection.
                    self.awaited.clear();
                    tracing::warn!(%reason, "user socket: connection lost");
                    let gone = UserItem::Disconnected { at: self.clock.local(), reason };
                    if self.items.send(gone).await.is_err() {
                        return;
                    }
                    if since.elapsed() > Duration::from_secs(60) {
                        backoff.reset();
                    }
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn session(&mut self, mut link: Link) -> End {
        let millis = Duration::from_millis;
        if link.send(self.opening()).await.is_err() {
            return End::Lost("closed before the subscription".into());
        }
        let mut received = false;
        let mut ping = tokio::time::interval(millis(self.config.ping_ms.max(1)));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_sign = Instant::now();
        loop {
            let due = self.awaited.values().min().copied();
            tokio::select! {
                biased;
                ask = self.told.recv() => match ask {
                    None => return End::Lost("its owner is gone".into()),
                    Some(Ask::Placed(order)) => {
                        if self.config.update_timeout_ms > 0 && !self.heard.contains(&order) {
                            let latest = Instant::now() + millis(self.config.update_timeout_ms);
                            self.awaited.entry(order).or_insert(latest);
                        }
                    }
                    Some(Ask::Markets(markets)) => {
                        // From or to all markets there is no message: a new connection states it.
                        if markets.is_empty() != self.markets.is_empty() {
                            self.markets = markets;
                            return End::Lost("its markets were changed".into());
                        }
                        for frame in self.changes(&markets) {
                            if link.send(frame).await.is_err() {
                                return End::Lost("closed while its markets were changed".into());
                            }
                        }
                        self.markets = markets;
                    }
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let late = self.awaited.iter().find(|(_, latest)| Some(**latest) == due);
                    let order = late.map(|(order, _)| order.to_string()).unwrap_or_default();
                    let limit = self.config.update_timeout_ms;
                    return End::Lost(format!("no update of the order {order} within {limit} ms"));
                }
                _ = ping.tick() => {
                    if last_sign.elapsed() > millis(self.config.dead_ms) {
                        let limit = self.config.dead_ms;
                        return End::Lost(format!("no message for {limit} ms"));
                    }
                    if link.send("PING".into()).await.is_err() {
                        return End::Lost("closed while pinging".into());
                    }
                }
                incoming = link.next() => {
                    last_sign = Instant::now();
                    let at = self.clock.local();
                    // Nothing acknowledges a subscription. What the server answers after it shows that it
                    // has read it: our first ping goes out right behind.
                    if !received && matches!(incoming, Incoming::Message(_)) {
                        received = true;
                        if self.items.send(UserItem::Connected { at }).await.is_err() {
                            return End::Lost("the receiver is dropped".into());
                        }
                    }
                    match incoming {
                        Incoming::Ping => {}
                        // The same code stands for a client that does not ping.
                        Incoming::Closed { code: 1008, reason } if !reason.contains("ping") => {
                            return End::Rejected(reason);
                        }
                        Incoming::Closed { code, reason } => {
                            return End::Lost(format!("closed with {code} {reason}"));
                        }
                        Incoming::Message(bytes) if bytes == b"PONG" => {}
                        Incoming::Message(bytes) => {
                            for message in parse_user_frame(&bytes) {
                                self.heard_of(&message);
                                let item = match message {
                                    UserMessage::Order(order) => UserItem::Order { at, order },
                                    UserMessage::Trade(trade) => UserItem::Trade { at, trade },
                                    UserMessage::Unknown => UserItem::Unreadable {
                                        at,
                                        excerpt: "a kind of message this client does not know".into(),
                                    },
                                    UserMessage::Unreadable(excerpt) => {
                                        tracing::warn!(excerpt, "user socket: unreadable message");
                                        UserItem::Unreadable { at, excerpt }
                                    }
                                };
                                if self.items.send(item).await.is_err() {
                                    return End::Lost("the receiver is dropped".into());
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// An update of an order shows that the subscription works for it.
    fn heard_of(&mut self, message: &UserMessage) {
        let mut gone = |id: &str| {
            if let Ok(order) = id.parse::<OrderHash>() {
                self.awaited.remove(&order);
                if self.heard.back() != Some(&order) {
                    self.heard.push_back(order);
                }
                if self.heard.len() > HEARD {
                    self.heard.pop_front();
                }
            }
        };
        match message {
            UserMessage::Order(order) => gone(&order.id),
            UserMessage::Trade(trade) => {
                gone(&trade.taker_order_id);
                trade.maker_orders.iter().for_each(|maker| gone(&maker.order_id));
            }
            UserMessage::Unknown | UserMessage::Unreadable(_) => {}
        }
    }

    /// The frames from the markets that are followed to others.
    fn changes(&self, markets: &[ConditionId]) -> Vec<String> {
        let frame = |operation: &str, of: Vec<String>| {
            (!of.is_empty())
                .then(|| serde_json::json!({"operation": operation, "markets": of}).to_string())
        };
        let missing = |all: &[ConditionId], from: &[ConditionId]| {
            all.iter().filter(|one| !from.contains(one)).map(ToString::to_string).collect()
        };
        [
            frame("subscribe", missing(markets, &self.markets)),
            frame("unsubscribe", missing(&self.markets, markets)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The first frame; it holds the credentials and is never logged.
    fn opening(&self) -> String {
        let mut frame = serde_json::json!({
            "type": "user",
            "auth": {
                "apiKey": self.credentials.key,
                "secret": self.credentials.secret.expose(),
                "passphrase": self.credentials.passphrase.expose(),
            },
        });
        if !self.markets.is_empty() {
            frame["markets"] = self.markets.iter().map(ToString::to_string).collect();
        }
        frame.to_string()
    }
}
