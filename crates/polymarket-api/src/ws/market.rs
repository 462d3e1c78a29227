//! The market channel: many tokens over several connections, as `domain` events in the order received.
//!
//! Each connection (shard) is one task that owns the state of its tokens. A token begins with a whole
//! book; changes before it, and changes older than it, are dropped. Whatever breaks that (a
//! disconnection, a wrong hash, a silent token, a tick change) voids the token's book with an
//! [`Event::Gap`] and asks for a new one, so that a consumer never trades on a book nobody vouches for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use polydesk_domain::{
    Event, Gap, LevelChange, MarketState, Outcome, Payout, Print, Snapshot, Span, Tick, Time,
    Token, TokenId,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::audit::{Constants, TextBook, Verdict};
use super::frame::{FrameParser, Message};
use super::link::{Backoff, Incoming, Link};
use super::{NewMarket, TokenTable};
use crate::clob::{Book, Clob};
use crate::{ApiError, Http, ServerClock};

/// How the market channel is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedConfig {
    /// Tokens on one connection. The venue stops sending books above 500; 200 is what works.
    pub tokens_per_connection: usize,
    /// Ask for `best_bid_ask`, `new_market` and `market_resolved`.
    pub custom_features: bool,
    /// How often to send `PING`, in milliseconds. The venue closes without them.
    pub ping_ms: u64,
    /// A connection that heard nothing at all, not even `PONG`, for so long is opened anew (milliseconds).
    pub dead_ms: u64,
    /// A token that heard nothing for so long is compared with the book over REST (milliseconds).
    pub silence_ms: u64,
    /// The first pause before connecting again, in milliseconds; it doubles.
    pub retry_first_ms: u64,
    /// The longest such pause, in milliseconds.
    pub retry_most_ms: u64,
    /// Check the venue's book hash, at most this often for a token (milliseconds); 0 switches it off.
    pub hash_check_ms: u64,
    /// Events the consumer may be behind before the connections back up.
    pub queue: usize,
}

impl Default for FeedConfig {
    fn default() -> FeedConfig {
        FeedConfig {
            tokens_per_connection: 200,
            custom_features: true,
            ping_ms: 10_000,
            dead_ms: 30_000,
            silence_ms: 90_000,
            retry_first_ms: 1_000,
            retry_most_ms: 30_000,
            hash_check_ms: 5_000,
            queue: 65_536,
        }
    }
}

/// What the feed hands over.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    /// A market event.
    Market {
        /// Local time at which its frame was read.
        received_at: Time,
        /// What the venue said; it can run backwards.
        venue_at: Time,
        /// What happened.
        event: Event,
    },
    /// A market was created anywhere on the venue.
    NewMarket(Box<NewMarket>),
}

/// What happened to the feed as a whole.
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
    /// The same print again.
    pub duplicates: AtomicU64,
    /// Hashes that agreed.
    pub hashes_equal: AtomicU64,
    /// Hashes that did not: each led to a new book.
    pub hashes_wrong: AtomicU64,
    /// Hashes that could not be checked for lack of a constant.
    pub hashes_unknown: AtomicU64,
    /// Books taken over REST.
    pub resyncs: AtomicU64,
    /// Tokens found silent while the venue's book moved.
    pub frozen: AtomicU64,
}

impl FeedStats {
    fn add(&self, counter: impl Fn(&FeedStats) -> &AtomicU64, n: u64) {
        counter(self).fetch_add(n, Ordering::Relaxed);
    }
}

enum Order {
    Subscribe(Vec<(TokenId, Token)>),
    Unsubscribe(Vec<TokenId>),
    ResyncAll,
}

/// A running market channel. Dropping it closes all connections.
pub struct MarketFeed {
    orders: mpsc::UnboundedSender<Order>,
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
        if config.tokens_per_connection == 0 || config.tokens_per_connection > 500 {
            return Err(ApiError::Misconfigured(format!(
                "feed.tokens_per_connection is {}; the venue sends no books above 500, so it must be from 1 to 500",
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
        let shared =
            Shared { config, http, url: url.into(), clob, clock, items, stats: stats.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(manage(shared, inbox, count));
        Ok((MarketFeed { orders, stats, shards, _tasks: tasks }, out))
    }

    /// Adds tokens to the live connections, opening more where needed.
    pub fn subscribe(&self, tokens: Vec<(TokenId, Token)>) {
        let _ = self.orders.send(Order::Subscribe(tokens));
    }
    /// Takes tokens off.
    pub fn unsubscribe(&self, tokens: Vec<TokenId>) {
        let _ = self.orders.send(Order::Unsubscribe(tokens));
    }
    /// Voids all books and asks for new ones: after a restart of the venue's engine.
    pub fn resync_all(&self) {
        let _ = self.orders.send(Order::ResyncAll);
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
}

/// Assigns tokens to shards: each shard is filled before another is opened.
async fn manage(
    shared: Shared,
    mut orders: mpsc::UnboundedReceiver<Order>,
    count: watch::Sender<usize>,
) {
    struct Member {
        orders: mpsc::UnboundedSender<Order>,
        tokens: usize,
    }
    let mut shards: Vec<Option<Member>> = Vec::new();
    let mut homes: BTreeMap<TokenId, (usize, Token)> = BTreeMap::new();
    let mut markets: BTreeMap<polydesk_domain::MarketKey, usize> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Subscribe(tokens) => {
                let mut batches: BTreeMap<usize, Vec<(TokenId, Token)>> = BTreeMap::new();
                for (id, token) in tokens {
                    if homes.contains_key(&id) {
                        continue;
                    }
                    let room = |shard: &Option<Member>| {
                        shard
                            .as_ref()
                            .is_some_and(|m| m.tokens < shared.config.tokens_per_connection)
                    };
                    // Both outcomes are one book, and a gap is told of the market: they share a connection.
                    let together = markets.get(&token.market()).copied();
                    let home =
                        together.or_else(|| shards.iter().position(room)).unwrap_or_else(|| {
                            let (to, inbox) = mpsc::unbounded_channel();
                            let place =
                                shards.iter().position(Option::is_none).unwrap_or(shards.len());
                            tasks.spawn(Shard::new(shared.clone(), place, inbox).run());
                            let member = Some(Member { orders: to, tokens: 0 });
                            if place == shards.len() {
                                shards.push(member)
                            } else {
                                shards[place] = member
                            }
                            place
                        });
                    if let Some(member) = &mut shards[home] {
                        member.tokens += 1;
                    }
                    homes.insert(id, (home, token));
                    markets.insert(token.market(), home);
                    batches.entry(home).or_default().push((id, token));
                }
                for (home, batch) in batches {
                    if let Some(member) = &shards[home] {
                        let _ = member.orders.send(Order::Subscribe(batch));
                    }
                }
            }
            Order::Unsubscribe(tokens) => {
                let mut batches: BTreeMap<usize, Vec<TokenId>> = BTreeMap::new();
                for id in tokens {
                    if let Some((home, token)) = homes.remove(&id) {
                        batches.entry(home).or_default().push(id);
                        if !homes.values().any(|(_, other)| *other == token.sibling()) {
                            markets.remove(&token.market());
                        }
                    }
                }
                for (home, batch) in batches {
                    if let Some(member) = &mut shards[home] {
                        member.tokens -= batch.len();
                        let empty = member.tokens == 0;
                        let _ = member.orders.send(Order::Unsubscribe(batch));
                        if empty {
                            // Its channel closes, and with it the connection.
                            shards[home] = None;
                        }
                    }
                }
            }
            Order::ResyncAll => {
                for member in shards.iter().flatten() {
                    let _ = member.orders.send(Order::ResyncAll);
                }
            }
        }
        count.send_replace(shards.iter().flatten().count());
    }
}

/// One token's place in its stream.
struct TokenState {
    id: TokenId,
    token: Token,
    text: Box<str>,
    /// Venue time of the book in force; `None` while there is none.
    based: Option<Time>,
    /// Latest venue time heard of it.
    latest: Time,
    /// Local time at which anything was heard of it (or the connection began).
    heard: Time,
    /// Whether a REST comparison is under way.
    asked: bool,
    /// How often in a row it was found frozen.
    frozen: u32,
    book: TextBook,
    checked: Option<Time>,
    wrong_in_a_row: u32,
    /// The last print, to recognise it when it comes again.
    print: Option<(Time, polydesk_domain::Price, polydesk_domain::Shares, polydesk_domain::Side)>,
}

/// Tokens whose books were asked for over REST, and the answer.
type AskedBooks = (Vec<Token>, Result<Vec<Book>, ApiError>);

struct Shard {
    shared: Shared,
    place: usize,
    orders: mpsc::UnboundedReceiver<Order>,
    table: TokenTable,
    /// By dense token.
    states: BTreeMap<Token, TokenState>,
    constants: BTreeMap<polydesk_domain::MarketKey, Constants>,
    parser: FrameParser,
    out: Vec<FeedItem>,
    /// Tokens whose book must be asked for over REST.
    wanted: Vec<Token>,
    /// Tokens whose hash was found wrong just now.
    wrong: Vec<Token>,
    reports: u64,
}

/// Why a connection was given up.
enum End {
    /// The feed is over.
    Stopped,
    /// To be opened anew.
    Lost(String),
}

impl Shard {
    fn new(shared: Shared, place: usize, orders: mpsc::UnboundedReceiver<Order>) -> Shard {
        Shard {
            shared,
            place,
            orders,
            table: TokenTable::new(),
            states: BTreeMap::new(),
            constants: BTreeMap::new(),
            parser: FrameParser::new(),
            out: Vec::with_capacity(256),
            wanted: Vec::new(),
            wrong: Vec::new(),
            reports: 0,
        }
    }

    async fn run(mut self) {
        let config = &self.shared.config;
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(
            millis(config.retry_first_ms.max(1)),
            millis(config.retry_most_ms.max(1)),
            0x9E37_79B9 * (self.place as u64 + 1),
        );
        loop {
            while self.table.is_empty() {
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
                    self.void_all().await;
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
        let now = self.shared.clock.local();
        for state in self.states.values_mut() {
            state.heard = now;
            state.frozen = 0;
            state.asked = false;
        }
        let ids: Vec<TokenId> = self.table.iter().map(|(id, _)| *id).collect();
        if link.send(subscription("type", "market", &ids, config.custom_features)).await.is_err() {
            return End::Lost("closed before the subscription".into());
        }
        let mut ping = tokio::time::interval(millis(config.ping_ms));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let check_every = millis((config.silence_ms / 8).clamp(50, 1_000));
        let mut watch = tokio::time::interval(check_every);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut books: JoinSet<AskedBooks> = JoinSet::new();
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
                        return End::Lost(format!("nothing heard for {} ms", config.dead_ms));
                    }
                    if link.send("PING".into()).await.is_err() {
                        return End::Lost("closed while pinging".into());
                    }
                }
                _ = watch.tick() => {
                    self.watch();
                    self.flush().await;
                }
                Some(done) = books.join_next() => {
                    if let Ok((tokens, answer)) = done {
                        if let Some(frame) = self.compare(tokens, answer) {
                            for frame in frame {
                                if link.send(frame).await.is_err() {
                                    return End::Lost("closed while subscribing again".into());
                                }
                            }
                        }
                        self.flush().await;
                        if let Some(frozen) = self.states.values().find(|state| state.frozen > 1) {
                            return End::Lost(format!("token {} stays silent while its book moves", frozen.id));
                        }
                    }
                }
                news = link.next() => {
                    last_sign = Instant::now();
                    match news {
                        Incoming::Message(bytes) => {
                            self.message(&bytes);
                            self.flush().await;
                        }
                        Incoming::Ping => {}
                        Incoming::Closed { code, reason } => {
                            return End::Lost(format!("closed with {code} {reason}"));
                        }
                    }
                }
            }
            if !self.wanted.is_empty() && books.len() < 4 {
                let tokens = std::mem::take(&mut self.wanted);
                let ids: Vec<TokenId> =
                    tokens.iter().filter_map(|t| self.states.get(t)).map(|s| s.id).collect();
                let clob = self.shared.clob.clone();
                books.spawn(async move {
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
    fn order(&mut self, order: Order) -> Option<String> {
        let now = self.shared.clock.local();
        match order {
            Order::Subscribe(tokens) => {
                let mut ids = Vec::with_capacity(tokens.len());
                for (id, token) in tokens {
                    self.table.insert(id, token);
                    ids.push(id);
                    self.states.insert(
                        token,
                        TokenState {
                            id,
                            token,
                            text: id.to_string().into(),
                            based: None,
                            latest: Time::MIN,
                            heard: now,
                            asked: false,
                            frozen: 0,
                            book: TextBook::default(),
                            checked: None,
                            wrong_in_a_row: 0,
                            print: None,
                        },
                    );
                }
                Some(subscription(
                    "operation",
                    "subscribe",
                    &ids,
                    self.shared.config.custom_features,
                ))
            }
            Order::Unsubscribe(ids) => {
                for id in &ids {
                    if let Some(token) = self.table.get(id.decimal().as_bytes()) {
                        self.states.remove(&token);
                        if !self.states.contains_key(&token.sibling()) {
                            self.constants.remove(&token.market());
                        }
                    }
                    self.table.remove(id);
                }
                Some(unsubscription(&ids))
            }
            Order::ResyncAll => {
                let tokens: Vec<Token> = self.states.keys().copied().collect();
                tokens.iter().for_each(|token| self.void(*token, now));
                self.wanted = tokens;
                None
            }
        }
    }

    /// The book of a token is not to be trusted any more.
    fn void(&mut self, token: Token, now: Time) {
        let Some(state) = self.states.get_mut(&token) else { return };
        state.book.clear();
        if state.based.take().is_some() {
            self.out.push(FeedItem::Market {
                received_at: now,
                venue_at: now,
                event: Event::Gap(Gap { market: Some(token.market()) }),
            });
            // Both outcomes are one book: the other token's frames cannot be trusted on half of it.
            if let Some(sibling) = self.states.get_mut(&token.sibling()) {
                sibling.book.clear();
                if sibling.based.take().is_some() {
                    self.wanted.push(token.sibling());
                }
            }
        }
    }

    /// Voids the books whose hash was wrong and asks for new ones.
    fn void_wrong(&mut self, now: Time) {
        for token in std::mem::take(&mut self.wrong) {
            self.void(token, now);
            self.wanted.push(token);
        }
    }

    async fn void_all(&mut self) {
        let now = self.shared.clock.local();
        let tokens: Vec<Token> = self.states.keys().copied().collect();
        for token in tokens {
            self.void(token, now);
        }
        self.wanted.clear();
        self.flush().await;
    }

    async fn flush(&mut self) {
        let handed = self.out.len() as u64;
        for item in self.out.drain(..) {
            // A consumer that is gone ends the feed with the next order.
            let _ = self.shared.items.send(item).await;
        }
        self.shared.stats.add(|s| &s.messages, handed);
    }

    fn message(&mut self, bytes: &[u8]) {
        if bytes == b"PONG" {
            return;
        }
        if !matches!(bytes.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'[')) {
            // Plain-text errors of the venue, such as INVALID OPERATION.
            tracing::warn!(text = %String::from_utf8_lossy(&bytes[..bytes.len().min(200)]), "market socket: not JSON");
            self.shared.stats.add(|s| &s.unknown_kinds, 1);
            return;
        }
        let before = self.parser.counts();
        let mut parser = std::mem::take(&mut self.parser);
        let table = std::mem::take(&mut self.table);
        parser.parse(bytes, &table, |message, frame| self.apply(message, frame));
        self.table = table;
        if !self.wrong.is_empty() {
            self.void_wrong(self.shared.clock.local());
        }
        let after = parser.counts();
        if after.malformed > before.malformed {
            self.shared.stats.add(|s| &s.malformed, after.malformed - before.malformed);
            // Whatever it said of these tokens is missing from their books now.
            for word in bytes.split(|byte| *byte == b'"') {
                if let Some(token) = self.table.get(word) {
                    self.wrong.push(token);
                }
            }
            self.wrong.sort_unstable();
            self.wrong.dedup();
            self.void_wrong(self.shared.clock.local());
            self.reports += 1;
            if self.reports <= 20 || self.reports.is_multiple_of(1_000) {
                tracing::warn!(
                    message = parser.last_malformed(),
                    count = after.malformed,
                    "market socket: malformed message"
                );
            }
        }
        self.shared.stats.add(|s| &s.unknown_kinds, after.unknown_kinds - before.unknown_kinds);
        self.parser = parser;
    }

    fn apply(&mut self, message: Message<'_>, frame: &[u8]) {
        let now = self.shared.clock.local();
        let hashes = self.shared.config.hash_check_ms > 0;
        // One wild time would make everything after it look old: the token would stand still for good.
        if message.at() > self.shared.clock.now() + FUTURE {
            self.shared.stats.add(|s| &s.malformed, 1);
            tracing::warn!(at = %message.at(), "market socket: a message from the future is left out");
            return;
        }
        match message {
            Message::Changes { at, timestamp, rows } => {
                for row in rows {
                    let Some(state) = self.states.get_mut(&row.token) else { continue };
                    state.heard = now;
                    state.latest = state.latest.max(at);
                    match state.based {
                        None => {
                            self.shared.stats.add(|s| &s.early, 1);
                            continue;
                        }
                        Some(base) if at < base => {
                            self.shared.stats.add(|s| &s.stale, 1);
                            continue;
                        }
                        Some(_) => {}
                    }
                    if hashes {
                        if state.book.due(timestamp)
                            && differs(state, &self.constants, &self.shared, now)
                        {
                            self.wrong.push(row.token);
                        }
                        let bid = row.side == polydesk_domain::Side::Buy;
                        let (price, size) = (row.price_text.text(frame), row.size_text.text(frame));
                        state.book.change(bid, row.price.units(), row.size.is_zero(), price, size);
                        state.book.expect(timestamp, row.hash.text(frame));
                    }
                    let LevelRow { token, side, price, size, top } = LevelRow {
                        token: row.token,
                        side: row.side,
                        price: row.price,
                        size: row.size,
                        top: row.top,
                    };
                    self.out.push(FeedItem::Market {
                        received_at: now,
                        venue_at: at,
                        event: Event::Level(LevelChange { token, side, price, size, top }),
                    });
                }
            }
            Message::Book {
                token,
                at,
                timestamp,
                market,
                bids,
                asks,
                hash,
                tick,
                last_trade_price,
            } => {
                let Some(state) = self.states.get_mut(&token) else { return };
                state.heard = now;
                // Older than what the stream has told since: a late or repeated book would roll it back.
                if state.based.is_some() && at < state.latest {
                    self.shared.stats.add(|s| &s.stale, 1);
                    return;
                }
                let constants = self.constants.entry(token.market()).or_default();
                if let Some(tick) = tick
                    && constants.told.replace(tick).is_some_and(|told| told != tick)
                {
                    // The grid changed, and the book says so before the announcement: the other
                    // outcome's book is void with it.
                    constants.tick_at = Some(at);
                    let event = Event::Tick { market: token.market(), tick };
                    self.out.push(FeedItem::Market { received_at: now, venue_at: at, event });
                    if let Some(sibling) = self.states.get_mut(&token.sibling()) {
                        sibling.book.clear();
                        if sibling.based.take().is_some() {
                            self.wanted.push(token.sibling());
                        }
                    }
                }
                let Some(state) = self.states.get_mut(&token) else { return };
                state.latest = state.latest.max(at);
                state.based = Some(at);
                state.asked = false;
                state.frozen = 0;
                if hashes {
                    let constants = self.constants.entry(token.market()).or_default();
                    constants.market = market.to_owned();
                    if let Some(tick) = tick {
                        constants.tick_size = Some(tick.to_string());
                    }
                    if !last_trade_price.is_empty() {
                        constants.last_trade_price = Some(last_trade_price.to_owned());
                    }
                    state.book.clear();
                    for (bid, levels) in [(true, bids), (false, asks)] {
                        for level in levels.iter().filter(|level| !level.size.is_zero()) {
                            let (price, size) =
                                (level.price_text.text(frame), level.size_text.text(frame));
                            state.book.load(bid, level.price.units(), price, size);
                        }
                    }
                    state.book.expect(timestamp, hash);
                    if constants.min_order_size.is_none() {
                        // The frames lack two constants of the hash: REST has them.
                        self.wanted.push(token);
                    }
                }
                let levels = |rows: &[super::frame::LevelRow]| {
                    let mut levels = Vec::with_capacity(rows.len());
                    let held = rows.iter().filter(|row| !row.size.is_zero());
                    levels.extend(held.map(|row| (row.price, row.size)));
                    levels
                };
                self.out.push(FeedItem::Market {
                    received_at: now,
                    venue_at: at,
                    event: Event::Snapshot(Arc::new(Snapshot {
                        token,
                        bids: levels(bids),
                        asks: levels(asks),
                    })),
                });
            }
            Message::Print { token, at, side, price, price_text, size } => {
                let Some(state) = self.states.get_mut(&token) else { return };
                state.heard = now;
                state.latest = state.latest.max(at);
                // There is no trade id: the same in every field, twice in a row, is a redelivery.
                let print = Some((at, price, size, side));
                if state.print == print {
                    self.shared.stats.add(|s| &s.duplicates, 1);
                    return;
                }
                state.print = print;
                if hashes {
                    self.constants.entry(token.market()).or_default().last_trade_price =
                        Some(price_text.to_owned());
                }
                self.out.push(FeedItem::Market {
                    received_at: now,
                    venue_at: at,
                    event: Event::Print(Print { token, side, price, size }),
                });
            }
            Message::Best { token, at, top } => {
                let Some(state) = self.states.get_mut(&token) else { return };
                state.heard = now;
                state.latest = state.latest.max(at);
                if state.based.is_none_or(|base| at < base) {
                    return;
                }
                self.out.push(FeedItem::Market {
                    received_at: now,
                    venue_at: at,
                    event: Event::Best { token, top },
                });
            }
            Message::Tick { token, at, tick } => self.tick(token, at, tick, now),
            Message::Resolved { market, at, winner } => match winner {
                Some(token) => {
                    let payout = match token.outcome() {
                        Outcome::Yes => Payout::YES,
                        Outcome::No => Payout::NO,
                    };
                    self.out.push(FeedItem::Market {
                        received_at: now,
                        venue_at: at,
                        event: Event::State {
                            market: token.market(),
                            state: MarketState::Resolved(payout),
                        },
                    });
                }
                // A market we do not follow, or a split resolution: its payouts are read over REST.
                None => tracing::debug!(market, "resolved without a winner among our tokens"),
            },
            Message::NewMarket { json, .. } => match serde_json::from_str::<NewMarket>(json) {
                Ok(market) => self.out.push(FeedItem::NewMarket(Box::new(market))),
                Err(error) => {
                    self.shared.stats.add(|s| &s.malformed, 1);
                    tracing::warn!(%error, message = %json.chars().take(300).collect::<String>(), "market socket: malformed new_market");
                }
            },
        }
    }

    /// The grid changed: the book is void until the next whole one.
    fn tick(&mut self, token: Token, at: Time, tick: Tick, now: Time) {
        let market = token.market();
        // Told once for each token, and sometimes again: only a change is a change.
        let constants = self.constants.entry(market).or_default();
        if constants.tick_at.is_some_and(|last| at < last) || constants.told == Some(tick) {
            return;
        }
        constants.tick_at = Some(at);
        constants.told = Some(tick);
        let mut known = false;
        for side in [token, token.sibling()] {
            if let Some(state) = self.states.get_mut(&side) {
                known = true;
                state.heard = now;
                state.latest = state.latest.max(at);
                state.book.clear();
                if state.based.take().is_some() {
                    self.wanted.push(side);
                }
            }
        }
        if !known {
            return;
        }
        self.constants.entry(market).or_default().tick_size = Some(tick.to_string());
        self.out.push(FeedItem::Market {
            received_at: now,
            venue_at: at,
            event: Event::Tick { market, tick },
        });
    }

    /// Looks for tokens that are silent, and for hashes of quiet books.
    fn watch(&mut self) {
        let now = self.shared.clock.local();
        let silence = Span::millis(
            i64::try_from(self.shared.config.silence_ms).unwrap_or(i64::MAX / 2_000_000),
        );
        let settled = Span::millis(500);
        for state in self.states.values_mut() {
            if state.book.waits()
                && state.heard + settled < now
                && differs(state, &self.constants, &self.shared, now)
            {
                self.wrong.push(state.token);
            }
            let patience = if state.based.is_none() { silence.min(UNBASED) } else { silence };
            if !state.asked && state.heard + patience < now {
                state.asked = true;
                self.wanted.push(state.token);
            }
        }
        self.void_wrong(now);
        self.wanted.sort_unstable();
        self.wanted.dedup();
        // The rest is asked for when these have come.
        let later = self.wanted.split_off(self.wanted.len().min(200));
        self.wanted.extend(later.into_iter().take(300));
    }

    /// Books over REST have come: takes constants, installs what is missing, finds frozen tokens. Returns
    /// frames that ask for a token anew.
    fn compare(
        &mut self,
        tokens: Vec<Token>,
        answer: Result<Vec<Book>, ApiError>,
    ) -> Option<Vec<String>> {
        let now = self.shared.clock.local();
        let books = match answer {
            Ok(books) => books,
            Err(error) => {
                tracing::warn!(%error, "books over REST did not come; asking again");
                for token in tokens {
                    if let Some(state) = self.states.get_mut(&token) {
                        // Asked again after another silence.
                        state.asked = false;
                        state.heard = now;
                    }
                }
                return None;
            }
        };
        let mut frames = Vec::new();
        for book in &books {
            let Some(token) = self.table.get(book.asset_id.as_bytes()) else { continue };
            let (Some(at), Some(state)) = (book.time(), self.states.get_mut(&token)) else {
                continue;
            };
            if at > self.shared.clock.now() + FUTURE {
                tracing::warn!(
                    asset = book.asset_id,
                    "a book from the future over REST is left out"
                );
                continue;
            }
            let constants = self.constants.entry(token.market()).or_default();
            constants.market.clone_from(&book.market);
            constants.neg_risk = Some(book.neg_risk);
            for (slot, text) in [
                (&mut constants.min_order_size, Some(&book.min_order_size)),
                (&mut constants.tick_size, Some(&book.tick_size)),
            ] {
                if let Some(text) = text.filter(|text| !text.is_empty()) {
                    *slot = Some(text.clone());
                }
            }
            if constants.last_trade_price.is_none() {
                constants.last_trade_price.clone_from(&book.last_trade_price);
            }
            let silent = state.asked;
            state.asked = false;
            // Asked after a long silence: a change that is older than what may still be under way was missed.
            // Within one millisecond of the venue only the hash tells one state from another.
            let last_hash = state.book.last_hash();
            let other = !book.hash.is_empty() && !last_hash.is_empty() && book.hash != last_hash;
            let missed = at > state.latest || (at == state.latest && other);
            let behind = missed && at + UNDER_WAY < self.shared.clock.now();
            let missing = state.based.is_none();
            if missing && at >= state.latest {
                match book.snapshot(token) {
                    Ok(snapshot) => {
                        self.shared.stats.add(|s| &s.resyncs, 1);
                        state.based = Some(at);
                        state.latest = at;
                        state.heard = now;
                        state.book.clear();
                        for (bid, levels) in [(true, &book.bids), (false, &book.asks)] {
                            for level in levels {
                                if let Some(price) = crate::wire::decimal(&level.price)
                                    .and_then(|price| polydesk_domain::Price::try_from(price).ok())
                                {
                                    state.book.load(bid, price.units(), &level.price, &level.size);
                                }
                            }
                        }
                        self.out.push(FeedItem::Market {
                            received_at: now,
                            venue_at: at,
                            event: Event::Snapshot(Arc::new(snapshot)),
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, asset = book.asset_id, "a book over REST cannot be read")
                    }
                }
            } else if missing {
                // The REST answer is older than the stream: the stream is asked for a new book.
                let id = [state.id];
                frames.push(unsubscription(&id));
                frames.push(subscription(
                    "operation",
                    "subscribe",
                    &id,
                    self.shared.config.custom_features,
                ));
            } else if silent && behind {
                state.frozen += 1;
                state.heard = now;
                self.shared.stats.add(|s| &s.frozen, 1);
                tracing::warn!(asset = book.asset_id, "the token is silent while its book moves");
                let id = [state.id];
                self.void(token, now);
                frames.push(unsubscription(&id));
                frames.push(subscription(
                    "operation",
                    "subscribe",
                    &id,
                    self.shared.config.custom_features,
                ));
            } else {
                state.heard = now;
            }
        }
        // What the answer leaves out (a book that does not exist yet) is simply quiet.
        for token in tokens {
            if let Some(state) = self.states.get_mut(&token)
                && state.asked
            {
                state.asked = false;
                state.heard = now;
            }
        }
        (!frames.is_empty()).then_some(frames)
    }
}

/// A row without its texts.
struct LevelRow {
    token: Token,
    side: polydesk_domain::Side,
    price: polydesk_domain::Price,
    size: polydesk_domain::Shares,
    top: Option<polydesk_domain::Top>,
}

/// How far the venue's time may be ahead of ours before it is not believed.
const FUTURE: Span = Span::secs(3_600);
/// How long a frame may be under way before it counts as missing.
const UNDER_WAY: Span = Span::secs(2);
/// A token without a book is asked about this often.
const UNBASED: Span = Span::secs(5);

/// How many wrong hashes in a row of one token are believed: beyond that something else in the hash is not
/// known here, and books are not voided for it.
const BELIEVED: u32 = 3;
/// How long the hashes of such a token are left alone.
const HASH_REST: Span = Span::secs(600);

/// Checks a token's waiting hash. True when the book here is not the venue's.
fn differs(
    state: &mut TokenState,
    constants: &BTreeMap<polydesk_domain::MarketKey, Constants>,
    shared: &Shared,
    now: Time,
) -> bool {
    let pause = if state.wrong_in_a_row >= BELIEVED {
        HASH_REST
    } else {
        Span::millis(i64::try_from(shared.config.hash_check_ms).unwrap_or(i64::MAX / 2_000_000))
    };
    if state.checked.is_some_and(|checked| checked + pause > now) {
        return false;
    }
    let Some(constants) = constants.get(&state.token.market()) else { return false };
    state.checked = Some(now);
    match state.book.check(&state.text, constants) {
        Verdict::Equal => {
            shared.stats.add(|s| &s.hashes_equal, 1);
            state.wrong_in_a_row = 0;
            false
        }
        Verdict::Unknown => {
            shared.stats.add(|s| &s.hashes_unknown, 1);
            false
        }
        Verdict::Differs => {
            shared.stats.add(|s| &s.hashes_wrong, 1);
            state.wrong_in_a_row += 1;
            if state.wrong_in_a_row == BELIEVED {
                tracing::warn!(asset = %state.text, "the token's hashes cannot be reproduced; leaving them alone for a while");
            } else {
                tracing::warn!(asset = %state.text, "the book's hash is not the venue's; taking the book over REST");
            }
            state.wrong_in_a_row <= BELIEVED
        }
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
