//! The user channel: updates of our own orders and trades.
//!
//! It can lag, lose messages, and deliver a fill before the response to its order: every item carries ids,
//! and every (re)connection is reported, because updates in the meantime have to be read over REST. Wrong
//! credentials appear as a connection that closes or stays silent.

use std::sync::Arc;
use std::time::Duration;

use polydesk_domain::{ConditionId, Time};
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
    /// The connection is lost: no updates until the next [`UserItem::Connected`].
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
    /// News of a trade.
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
    _tasks: JoinSet<()>,
}

impl UserFeed {
    /// Connects and stays connected; items come on the returned channel. Empty `markets` are all.
    pub fn start(
        config: FeedConfig,
        http: Http,
        url: &str,
        credentials: Credentials,
        markets: Vec<ConditionId>,
        clock: ServerClock,
    ) -> (UserFeed, mpsc::Receiver<UserItem>) {
        // News of our own orders is never dropped: the channel is wide, and beyond it the connection waits.
        let (items, out) = mpsc::channel(config.queue.max(1_024));
        let mut tasks = JoinSet::new();
        let session = Session { config, http, url: url.into(), credentials, markets, clock, items };
        tasks.spawn(session.run());
        (UserFeed { _tasks: tasks }, out)
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
}

/// Apart from the places of the market socket's connections and of the price sockets.
const USER_PLACE: u64 = 1 << 32;

impl Session {
    async fn run(self) {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(
            millis(self.config.retry_first_ms.max(1)),
            millis(self.config.retry_most_ms.max(1)),
            self.http.chance(USER_PLACE),
        );
        while !self.items.is_closed() {
            match Link::open(&self.http, &self.url).await {
                Err(error) => tracing::warn!(%error, "user socket: cannot connect"),
                Ok(link) => {
                    let since = Instant::now();
                    let reason = self.session(link).await;
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

    async fn session(&self, mut link: Link) -> String {
        let millis = Duration::from_millis;
        if link.send(self.opening()).await.is_err() {
            return "closed before the subscription".into();
        }
        let mut received = false;
        let mut ping = tokio::time::interval(millis(self.config.ping_ms.max(1)));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_sign = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = ping.tick() => {
                    if last_sign.elapsed() > millis(self.config.dead_ms) {
                        return format!("no message for {} ms", self.config.dead_ms);
                    }
                    if link.send("PING".into()).await.is_err() {
                        return "closed while pinging".into();
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
                            return "the receiver is dropped".into();
                        }
                    }
                    match incoming {
                        Incoming::Ping => {}
                        Incoming::Closed { code, reason } => return format!("closed with {code} {reason}"),
                        Incoming::Message(bytes) if bytes == b"PONG" => {}
                        Incoming::Message(bytes) => {
                            for message in parse_user_frame(&bytes) {
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
                                    return "the receiver is dropped".into();
                                }
                            }
                        }
                    }
                }
            }
        }
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
