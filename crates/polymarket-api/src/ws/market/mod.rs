//! The market channel: many tokens over several connections, as market events in the order received. A
//! feed can make no other events.
//!
//! Each connection (shard) is one task that owns the state of its tokens. A token begins with a whole
//! book; changes before it, and changes older than it, are dropped. A disconnection, a hash mismatch, a
//! silent token or a tick size change invalidates the token's book with [`MarketEvent::Interrupted`] and
//! requests a new one, so that no consumer trades on an unverified book.

mod config;
mod created;
mod manage;
mod shard;
mod streams;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub use config::FeedConfig;
use polydesk_domain::{MarketEvent, Time, Token, TokenId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::NewMarket;
use crate::clob::Clob;
use crate::{ApiError, Http, ServerClock};

/// An item of the feed.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    /// A market event.
    Market {
        /// Local time at which its frame was read.
        received_at: Time,
        /// The venue's timestamp; it can run backwards.
        venue_at: Time,
        /// What happened.
        event: MarketEvent,
    },
    /// A market was created anywhere on the venue. Every connection receives it; it is emitted once.
    NewMarket(Box<NewMarket>),
    /// A book over REST is no newer than the token's: a quiet book is current. Asked for after each silence
    /// ([`FeedConfig::silence_ms`]).
    Proven {
        /// Token of the book.
        token: Token,
        /// Local time of the answer.
        at: Time,
    },
    /// Verification of a token's book is disabled: its hashes, or the best prices carried with it, differed
    /// from the venue's three times in a row, each time after a new book. Mismatches do not invalidate the
    /// book until they agree again or a new connection begins; until then it is an unchecked feed.
    Unverified {
        /// Token of the book.
        token: Token,
        /// Local time at which verification was disabled.
        at: Time,
    },
}

/// Counters of the whole feed.
#[derive(Debug, Default)]
pub struct FeedStats {
    /// Connections opened.
    pub connects: AtomicU64,
    /// Connections lost.
    pub disconnects: AtomicU64,
    /// Messages handed over.
    pub messages: AtomicU64,
    /// Malformed messages.
    pub malformed: AtomicU64,
    /// Messages of unknown kinds.
    pub unknown_kinds: AtomicU64,
    /// Changes before the first book of their token.
    pub early: AtomicU64,
    /// Changes or prints older than their token's book.
    pub stale: AtomicU64,
    /// Changes older than one that was applied already: each led to a new book.
    pub reordered: AtomicU64,
    /// The same print again.
    pub duplicates: AtomicU64,
    /// Hashes that agreed.
    pub hashes_equal: AtomicU64,
    /// Hashes that did not: each of the first three in a row led to a new book, the third also to
    /// [`FeedItem::Unverified`].
    pub hashes_wrong: AtomicU64,
    /// Hashes that could not be checked for lack of a constant.
    pub hashes_unknown: AtomicU64,
    /// Best prices of the venue that a book did not have for too long: likewise.
    pub best_wrong: AtomicU64,
    /// Books taken over REST.
    pub resyncs: AtomicU64,
    /// Tokens found silent while the venue's book moved.
    pub frozen: AtomicU64,
    /// Tasks of connections that panicked and were restarted.
    pub panics: AtomicU64,
}

impl FeedStats {
    fn add(&self, counter: impl Fn(&FeedStats) -> &AtomicU64, n: u64) {
        counter(self).fetch_add(n, Ordering::Relaxed);
    }
}

enum SubscriptionRequest {
    Subscribe(Vec<(TokenId, Token)>),
    Unsubscribe(Vec<TokenId>),
    /// These, or all.
    Resync(Option<Vec<TokenId>>),
}

/// A running market channel. Dropping it closes all connections, and so does dropping its channel of items.
pub struct MarketFeed {
    orders: mpsc::UnboundedSender<SubscriptionRequest>,
    stats: Arc<FeedStats>,
    shards: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

impl MarketFeed {
    /// Starts with no tokens; events come on the returned channel. `clob` is asked for books when hashes
    /// or silence call for it.
    pub fn start(
        config: FeedConfig,
        http: Http,
        url: &str,
        clob: Clob,
        clock: ServerClock,
    ) -> Result<(MarketFeed, mpsc::Receiver<FeedItem>), ApiError> {
        if !(2..=500).contains(&config.tokens_per_connection) {
            return Err(ApiError::Misconfigured(format!(
                "feed.tokens_per_connection is {}; it must be from 2 (both outcomes share a connection) to 500 (the venue sends no books above)",
                config.tokens_per_connection
            )));
        }
        if config.ping_ms == 0 || config.queue == 0 {
            return Err(ApiError::Misconfigured(
                "feed.ping_ms and feed.queue must be above 0".into(),
            ));
        }
        let (orders, inbox) = mpsc::unbounded_channel();
        let (items, out) = mpsc::channel(config.queue);
        let stats = Arc::new(FeedStats::default());
        let (count, shards) = watch::channel(0);
        let shared = Shared {
            config,
            http,
            url: url.into(),
            clob,
            clock,
            items,
            stats: stats.clone(),
            created: Arc::default(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(manage::manage(shared, inbox, count));
        Ok((MarketFeed { orders, stats, shards, _tasks: tasks }, out))
    }

    /// Adds tokens to the live connections, opening more where needed.
    pub fn subscribe(&self, tokens: Vec<(TokenId, Token)>) {
        let _ = self.orders.send(SubscriptionRequest::Subscribe(tokens));
    }
    /// Takes tokens off.
    pub fn unsubscribe(&self, tokens: Vec<TokenId>) {
        let _ = self.orders.send(SubscriptionRequest::Unsubscribe(tokens));
    }
    /// Invalidates all books and requests new ones: after a restart of the venue's engine.
    pub fn resync_all(&self) {
        let _ = self.orders.send(SubscriptionRequest::Resync(None));
    }
    /// The same for some tokens, when a consumer finds their books wrong; unknown tokens are ignored.
    pub fn resync(&self, tokens: Vec<TokenId>) {
        let _ = self.orders.send(SubscriptionRequest::Resync(Some(tokens)));
    }
    /// Counters.
    pub fn stats(&self) -> &FeedStats {
        &self.stats
    }
    /// How many connections there are.
    pub fn connections(&self) -> usize {
        *self.shards.borrow()
    }
}

#[derive(Clone)]
struct Shared {
    config: FeedConfig,
    http: Http,
    url: Arc<str>,
    clob: Clob,
    clock: ServerClock,
    items: mpsc::Sender<FeedItem>,
    stats: Arc<FeedStats>,
    created: Arc<Mutex<created::Created>>,
}
