//! One connection of the market channel, from subscription to loss, again and again.

use std::sync::PoisonError;
use std::time::Duration;

use polydesk_domain::{Token, TokenId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::streams::TokenStreams;
use super::{FeedItem, Shared, SubscriptionRequest};
use crate::ApiError;
use crate::clob::Book;
use crate::ws::link::{Backoff, Incoming, Link};

/// Tokens whose books were asked for over REST, and the answer.
type AskedBooks = (Vec<Token>, Result<Vec<Book>, ApiError>);

/// Requests for books under way at once.
const ASKING: usize = 4;

pub(super) struct Shard {
    shared: Shared,
    place: usize,
    orders: mpsc::UnboundedReceiver<SubscriptionRequest>,
    streams: TokenStreams,
}

/// Why a connection ended.
enum End {
    /// The feed is over.
    Stopped,
    /// The connection is to be reopened.
    Lost(String),
}

impl Shard {
    pub(super) fn new(
        shared: Shared,
        place: usize,
        orders: mpsc::UnboundedReceiver<SubscriptionRequest>,
    ) -> Shard {
        let streams = TokenStreams::new(&shared.config, shared.clock.clone(), shared.stats.clone());
        Shard { shared, place, orders, streams }
    }

    pub(super) async fn run(mut self) {
        let config = &self.shared.config;
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(
            millis(config.retry_first_ms.max(1)),
            millis(config.retry_most_ms.max(1)),
            self.shared.http.chance(self.place as u64),
        );
        loop {
            while self.streams.is_empty() {
                match self.orders.recv().await {
                    Some(order) => drop(self.order(order)),
                    None => return,
                }
            }
            match Link::open(&self.shared.http, &self.shared.url).await {
                Err(error) => {
                    tracing::warn!(shard = self.place, %error, "market socket: cannot connect");
                }
                Ok(link) => {
                    self.shared.stats.add(|s| &s.connects, 1);
                    let since = Instant::now();
                    let end = self.session(link).await;
                    self.streams.end();
                    self.flush().await;
                    match end {
                        End::Stopped => return,
                        End::Lost(reason) => {
                            self.shared.stats.add(|s| &s.disconnects, 1);
                            tracing::warn!(shard = self.place, %reason, "market socket: connection lost");
                        }
                    }
                    if since.elapsed() > Duration::from_secs(60) {
                        backoff.reset();
                    }
                }
            }
            // Orders keep arriving while we wait; the next session subscribes to all of them.
            let wake = Instant::now() + backoff.pause();
            loop {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(wake) => break,
                    order = self.orders.recv() => match order {
                        Some(order) => drop(self.order(order)),
                        None => return,
                    },
                }
            }
        }
    }

    /// One connection from subscription to its end.
    async fn session(&mut self, mut link: Link) -> End {
        let config = self.shared.config.clone();
        let millis = Duration::from_millis;
        self.streams.begin();
        let first = subscription("type", "market", &self.streams.ids(), config.custom_features);
        if link.send(first).await.is_err() {
            return End::Lost("closed before the subscription".into());
        }
        let mut ping = tokio::time::interval(millis(config.ping_ms));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let check_every = millis((config.silence_ms / 8).clamp(50, 1_000));
        let mut watch = tokio::time::interval(check_every);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: JoinSet<AskedBooks> = JoinSet::new();
        let mut last_sign = Instant::now();
        loop {
            tokio::select! {
                // Orders and timers come round between any two messages.
                biased;
                order = self.orders.recv() => {
                    let Some(order) = order else { return End::Stopped };
                    if let Some(frame) = self.order(order)
                        && link.send(frame).await.is_err()
                    {
                        return End::Lost("closed while subscribing".into());
                    }
                    self.flush().await;
                }
                _ = ping.tick() => {
                    if last_sign.elapsed() > millis(config.dead_ms) {
                        return End::Lost(format!("no message for {} ms", config.dead_ms));
                    }
                    if link.send("PING".into()).await.is_err() {
                        return End::Lost("closed while pinging".into());
                    }
                }
                _ = watch.tick() => {
                    self.streams.watch();
                    self.flush().await;
                }
                Some(done) = asked.join_next() => {
                    if let Ok((tokens, answer)) = done {
                        let resubscribe = self.streams.compare(tokens, answer);
                        if !resubscribe.is_empty() {
                            let again =
                                subscription("operation", "subscribe", &resubscribe, config.custom_features);
                            for frame in [unsubscription(&resubscribe), again] {
                                if link.send(frame).await.is_err() {
                                    return End::Lost("closed while subscribing again".into());
                                }
                            }
                        }
                        self.flush().await;
                        if let Some(id) = self.streams.unusable() {
                            return End::Lost(format!("token {id} stays silent while its book moves"));
                        }
                    }
                }
                news = link.next() => {
                    last_sign = Instant::now();
                    match news {
                        Incoming::Message(bytes) => {
                            self.streams.message(&bytes);
                            self.flush().await;
                        }
                        Incoming::Ping => {}
                        Incoming::Closed { code, reason } => {
                            return End::Lost(format!("closed with {code} {reason}"));
                        }
                    }
                }
            }
            while asked.len() < ASKING
                && let Some((tokens, ids)) = self.streams.ask()
            {
                let clob = self.shared.clob.clone();
                asked.spawn(async move {
                    let answer = match ids.as_slice() {
                        [one] => clob.book(one).await.map(|book| vec![book]),
                        many => clob.books(many).await,
                    };
                    (tokens, answer)
                });
            }
        }
    }

    /// Takes an order in; the frame to send on a live connection, if any.
    fn order(&mut self, order: SubscriptionRequest) -> Option<String> {
        match order {
            SubscriptionRequest::Subscribe(tokens) => {
                let ids = self.streams.add(tokens);
                let custom = self.shared.config.custom_features;
                Some(subscription("operation", "subscribe", &ids, custom))
            }
            SubscriptionRequest::Unsubscribe(ids) => {
                self.streams.remove(&ids);
                Some(unsubscription(&ids))
            }
            SubscriptionRequest::Resync(tokens) => {
                self.streams.resync(tokens.as_deref());
                None
            }
        }
    }

    async fn flush(&mut self) {
        let mut handed = 0;
        for item in self.streams.drain() {
            if let FeedItem::NewMarket(market) = &item {
                let created = self.shared.created.lock();
                if !created.unwrap_or_else(PoisonError::into_inner).first(market) {
                    continue;
                }
            }
            handed += 1;
            // When the receiver is gone, the manager of the shards ends this one.
            let _ = self.shared.items.send(item).await;
        }
        self.shared.stats.add(|s| &s.messages, handed);
    }
}

/// `{"type":"market",…}` or `{"operation":"subscribe",…}`.
fn subscription(key: &str, word: &str, ids: &[TokenId], custom: bool) -> String {
    let mut text = format!("{{\"{key}\":\"{word}\",\"assets_ids\":[");
    push_ids(&mut text, ids);
    text.push(']');
    if custom {
        text.push_str(",\"custom_feature_enabled\":true");
    }
    text.push('}');
    text
}

fn unsubscription(ids: &[TokenId]) -> String {
    let mut text = "{\"operation\":\"unsubscribe\",\"assets_ids\":[".to_owned();
    push_ids(&mut text, ids);
    text.push_str("]}");
    text
}

fn push_ids(text: &mut String, ids: &[TokenId]) {
    for (i, id) in ids.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push('"');
        text.push_str(id.decimal().as_str());
        text.push('"');
    }
}
