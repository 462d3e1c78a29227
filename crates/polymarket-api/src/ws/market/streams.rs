//! The token streams of one connection: which snapshot each book is based on, and whether it is verified.
//!
//! No sockets and no tasks here: the input is frames, responses and time, the output is items and the
//! tokens whose book has to be requested.

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;
use std::sync::Arc;

use polydesk_domain::{
    BookSnapshot, Interruption, LevelChange, MarketEvent, MarketKey, MarketState, Outcome, Payout,
    Price, Print, Shares, Side, Span, Tick, Time, Token, TokenId, Top,
};

use super::{FeedConfig, FeedItem, FeedStats};
use crate::clob::Book;
use crate::ws::audit::{Constants, TextBook, Verdict};
use crate::ws::frame::{FrameParser, LevelRow, Message};
use crate::ws::{NewMarket, TokenTable};
use crate::{ApiError, ServerClock};

/// Most that the venue's time may be ahead of ours; messages beyond it are dropped.
const FUTURE: Span = Span::secs(3_600);
/// Most time in flight of a frame before it counts as missing.
const UNDER_WAY: Span = Span::secs(2);
/// Interval between book requests of a token without a book.
const WITHOUT_BOOK: Span = Span::secs(5);
/// How long best prices may differ from the book: within a batch they do.
const CROSSING: Span = Span::secs(1);
/// How long a book is quiet before its hash is checked without waiting for the next batch.
const SETTLED: Span = Span::millis(500);
/// Books per request.
const ASKED_AT_ONCE: usize = 200;

/// Trusted mismatches in a row for one token. After that the cause is an unknown input of the hash (or of the
/// best prices), and further mismatches do not invalidate the book.
const TRUSTED_MISMATCHES: u32 = 3;
/// How long verification of such a token is disabled.
const DISABLED_FOR: Span = Span::secs(600);
/// Failed resyncs of a token in a row after which the connection is replaced; again after twice as many, and
/// so on, because the other tokens lose their books with the connection.
const FAILED_RESYNCS: u32 = 4;

/// The state of one token's stream.
struct TokenState {
    id: TokenId,
    token: Token,
    text: Box<str>,
    /// Venue time of the current snapshot; `None` while there is none.
    snapshot_at: Option<Time>,
    /// Latest venue time of any message for the token.
    latest: Time,
    /// Latest venue time of snapshots and changes only: prints and best prices can run ahead of them.
    changed: Time,
    /// Steady time of the last message for the token (or of the start of the connection).
    last_message_at: Time,
    /// Whether a REST comparison is in flight.
    asked: bool,
    /// Number of times in a row that it was frozen.
    frozen: u32,
    /// Book requests in a row that gave no usable book.
    failed_resyncs: u32,
    book: TextBook,
    hash: CheckState,
    best: CheckState,
    /// The best prices carried last, and since when (steady) the book's differ.
    carried_best: Option<Top>,
    differs_since: Option<Time>,
    /// The last prints, to recognise one that comes again.
    prints: RecentPrints,
}

/// How many prints of a token are remembered, and for how long of the venue's time.
const REMEMBERED_PRINTS: usize = 32;
const REMEMBERED_FOR: Span = Span::secs(10);

/// The last prints of a token. The venue gives a print no id: two are the same if they agree in time, price,
/// size, side and transaction. Two real trades of one millisecond differ by their transactions; where the
/// venue leaves those out, they cannot be told apart and count as one.
#[derive(Debug, Default)]
struct RecentPrints(VecDeque<PrintKey>);

/// Time, price, size, side, and a hash of the transaction's text.
type PrintKey = (Time, Price, Shares, Side, u64);

impl RecentPrints {
    /// Whether a print is not a redelivery of one that is remembered; it is remembered then.
    fn is_new(
        &mut self,
        at: Time,
        price: Price,
        size: Shares,
        side: Side,
        transaction: &str,
    ) -> bool {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(transaction.as_bytes());
        let key = (at, price, size, side, hasher.finish());
        if self.0.contains(&key) {
            return false;
        }
        let old = |first: &PrintKey| first.0 + REMEMBERED_FOR < at;
        while self.0.len() >= REMEMBERED_PRINTS || self.0.front().is_some_and(old) {
            self.0.pop_front();
        }
        self.0.push_back(key);
        true
    }
}

/// The state of one kind of check for a token.
#[derive(Debug, Default)]
struct CheckState {
    checked: Option<Time>,
    wrong_in_a_row: u32,
}

impl CheckState {
    /// Whether the next check is due.
    fn due(&self, now: Time, pause: Span) -> bool {
        let pause = if self.disabled() { DISABLED_FOR } else { pause };
        self.checked.is_none_or(|checked| checked + pause <= now)
    }
    fn agreed(&mut self, now: Time) {
        (self.checked, self.wrong_in_a_row) = (Some(now), 0);
    }
    /// Counts a mismatch; whether it invalidates the book.
    fn wrong(&mut self, now: Time) -> bool {
        self.checked = Some(now);
        self.wrong_in_a_row = self.wrong_in_a_row.saturating_add(1);
        self.wrong_in_a_row <= TRUSTED_MISMATCHES
    }
    /// Whether verification is disabled for now.
    fn disabled(&self) -> bool {
        self.wrong_in_a_row >= TRUSTED_MISMATCHES
    }
}

/// The same instant on two clocks: local time for events, steady time for timeouts.
#[derive(Clone, Copy)]
struct Now {
    local: Time,
    steady: Time,
}

pub(super) struct TokenStreams {
    clock: ServerClock,
    stats: Arc<FeedStats>,
    hashes: bool,
    hash_pause: Span,
    silence: Span,
    table: TokenTable,
    /// By dense token.
    states: BTreeMap<Token, TokenState>,
    constants: BTreeMap<MarketKey, Constants>,
    parser: FrameParser,
    out: Vec<FeedItem>,
    /// Tokens whose book must be asked for over REST.
    wanted: Vec<Token>,
    /// Tokens whose book was found wrong just now.
    wrong: Vec<Token>,
    /// A token for which this connection is unusable.
    unusable: Option<TokenId>,
    reports: u64,
}

impl TokenStreams {
    pub(super) fn new(
        config: &FeedConfig,
        clock: ServerClock,
        stats: Arc<FeedStats>,
    ) -> TokenStreams {
        let millis =
            |millis: u64| Span::millis(i64::try_from(millis).unwrap_or(i64::MAX / 2_000_000));
        TokenStreams {
            clock,
            stats,
            hashes: config.hash_check_ms > 0,
            hash_pause: millis(config.hash_check_ms),
            silence: millis(config.silence_ms),
            table: TokenTable::new(),
            states: BTreeMap::new(),
            constants: BTreeMap::new(),
            parser: FrameParser::new(),
            out: Vec::with_capacity(256),
            wanted: Vec::new(),
            wrong: Vec::new(),
            unusable: None,
            reports: 0,
        }
    }

    /// Whether no token is followed.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
    /// All tokens followed.
    pub(super) fn ids(&self) -> Vec<TokenId> {
        self.table.iter().map(|(id, _)| *id).collect()
    }
    /// Drains the queued items.
    pub(super) fn drain(&mut self) -> impl ExactSizeIterator<Item = FeedItem> + '_ {
        self.out.drain(..)
    }
    /// A token for which this connection is unusable: frozen more than once, or without a book.
    pub(super) fn unusable(&mut self) -> Option<TokenId> {
        self.unusable.take()
    }
    /// Takes the tokens whose books are to be requested over REST, with their ids; as many as one request
    /// holds.
    pub(super) fn ask(&mut self) -> Option<(Vec<Token>, Vec<TokenId>)> {
        if self.wanted.is_empty() {
            return None;
        }
        let later = self.wanted.split_off(self.wanted.len().min(ASKED_AT_ONCE));
        let tokens = std::mem::replace(&mut self.wanted, later);
        let known = tokens.iter().filter_map(|token| self.states.get(token));
        let ids = known.map(|state| state.id).collect();
        Some((tokens, ids))
    }

    fn now(&self) -> Now {
        Now { local: self.clock.local(), steady: self.clock.steady() }
    }

    /// A connection begins: resets silence timers, message times and the state of checks.
    pub(super) fn begin(&mut self) {
        let now = self.clock.steady();
        self.unusable = None;
        for state in self.states.values_mut() {
            (state.last_message_at, state.frozen, state.asked) = (now, 0, false);
            (state.latest, state.changed) = (Time::MIN, Time::MIN);
            (state.hash, state.best) = (CheckState::default(), CheckState::default());
        }
    }

    /// A connection ended: invalidates every book.
    pub(super) fn end(&mut self) {
        self.invalidate_tokens(&self.tokens());
        self.wanted.clear();
    }

    /// Follows further tokens; their ids.
    pub(super) fn add(&mut self, tokens: Vec<(TokenId, Token)>) -> Vec<TokenId> {
        let last_message_at = self.clock.steady();
        for (id, token) in &tokens {
            self.table.insert(*id, *token);
            let state = TokenState {
                id: *id,
                token: *token,
                text: id.to_string().into(),
                snapshot_at: None,
                latest: Time::MIN,
                changed: Time::MIN,
                last_message_at,
                asked: false,
                frozen: 0,
                failed_resyncs: 0,
                book: TextBook::default(),
                hash: CheckState::default(),
                best: CheckState::default(),
                carried_best: None,
                differs_since: None,
                prints: RecentPrints::default(),
            };
            self.states.insert(*token, state);
        }
        tokens.into_iter().map(|(id, _)| id).collect()
    }

    /// Follows tokens no longer.
    pub(super) fn remove(&mut self, ids: &[TokenId]) {
        for id in ids {
            if let Some(token) = self.table.get(id.decimal().as_bytes()) {
                self.states.remove(&token);
                if !self.states.contains_key(&token.sibling()) {
                    self.constants.remove(&token.market());
                }
            }
            self.table.remove(id);
        }
    }

    /// Invalidates the books of these tokens, or of all, and requests them again.
    pub(super) fn resync(&mut self, ids: Option<&[TokenId]>) {
        let tokens = match ids {
            None => self.tokens(),
            Some(ids) => {
                ids.iter().filter_map(|id| self.table.get(id.decimal().as_bytes())).collect()
            }
        };
        self.invalidate_tokens(&tokens);
        self.wanted.extend(tokens);
        self.tidy();
    }

    fn tokens(&self) -> Vec<Token> {
        self.states.keys().copied().collect()
    }

    fn invalidate_tokens(&mut self, tokens: &[Token]) {
        let now = self.clock.local();
        tokens.iter().for_each(|token| self.invalidate(*token, now));
    }

    /// Invalidates the book of a token.
    fn invalidate(&mut self, token: Token, now: Time) {
        let Some(state) = self.states.get_mut(&token) else { return };
        if !state.forget() {
            return;
        }
        self.out.push(FeedItem::Market {
            received_at: now,
            venue_at: now,
            event: MarketEvent::Interrupted(Interruption { market: Some(token.market()) }),
        });
        // Both outcomes are one book: the other token's frames cannot repair half of it.
        self.invalidate_sibling(token);
    }

    fn invalidate_sibling(&mut self, token: Token) {
        let sibling = token.sibling();
        if self.states.get_mut(&sibling).is_some_and(TokenState::forget) {
            self.wanted.push(sibling);
        }
    }

    /// Invalidates the books that were found wrong and requests new ones.
    fn resync_wrong(&mut self) {
        if self.wrong.is_empty() {
            return;
        }
        let mut wrong = std::mem::take(&mut self.wrong);
        wrong.sort_unstable();
        wrong.dedup();
        self.invalidate_tokens(&wrong);
        self.wanted.append(&mut wrong);
        self.tidy();
    }

    fn tidy(&mut self) {
        self.wanted.sort_unstable();
        self.wanted.dedup();
    }

    /// A text message of the socket.
    pub(super) fn message(&mut self, bytes: &[u8]) {
        if bytes == b"PONG" {
            return;
        }
        if !matches!(bytes.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'[')) {
            // Plain-text errors of the venue, such as INVALID OPERATION.
            tracing::warn!(text = %String::from_utf8_lossy(&bytes[..bytes.len().min(200)]), "market socket: not JSON");
            self.stats.add(|s| &s.unknown_kinds, 1);
            return;
        }
        let now = self.now();
        let before = self.parser.counts();
        let mut parser = std::mem::take(&mut self.parser);
        let table = std::mem::take(&mut self.table);
        parser.parse(bytes, &table, |message, frame| self.apply(message, frame, now));
        self.table = table;
        let after = parser.counts();
        if after.malformed > before.malformed {
            self.stats.add(|s| &s.malformed, after.malformed - before.malformed);
            // Its content for these tokens is missing from their books.
            let words = bytes.split(|byte| *byte == b'"');
            self.wrong.extend(words.filter_map(|word| self.table.get(word)));
            self.reports += 1;
            if self.reports <= 20 || self.reports.is_multiple_of(1_000) {
                tracing::warn!(
                    message = parser.last_malformed(),
                    count = after.malformed,
                    "market socket: malformed message"
                );
            }
        }
        self.stats.add(|s| &s.unknown_kinds, after.unknown_kinds - before.unknown_kinds);
        self.parser = parser;
        self.resync_wrong();
    }

    fn emit(&mut self, now: Now, at: Time, event: MarketEvent) {
        self.out.push(FeedItem::Market { received_at: now.local, venue_at: at, event });
    }

    fn apply(&mut self, message: Message<'_>, frame: &[u8], now: Now) {
        // A time far in the future would make every later message look old and stop the token for good.
        if message.at() > self.clock.server_at(now.steady) + FUTURE {
            self.stats.add(|s| &s.malformed, 1);
            tracing::warn!(at = %message.at(), "market socket: a message from the future is left out");
            // Its content is missing from the books, as with a malformed one.
            match message {
                Message::Changes { rows, .. } => {
                    self.wrong.extend(rows.iter().map(|row| row.token));
                }
                Message::Book { token, .. }
                | Message::Print { token, .. }
                | Message::Best { token, .. }
                | Message::Tick { token, .. } => self.wrong.push(token),
                Message::Resolved { winner, .. } => self.wrong.extend(winner),
                Message::NewMarket { .. } => {}
            }
            return;
        }
        match message {
            Message::Changes { at, timestamp, rows } => {
                for row in rows {
                    let Some(state) = self.states.get_mut(&row.token) else { continue };
                    let newest = at >= state.latest;
                    state.last_message_at = now.steady;
                    state.latest = state.latest.max(at);
                    match state.snapshot_at {
                        None => {
                            // A book from before it would lack it.
                            state.changed = state.changed.max(at);
                            self.stats.add(|s| &s.early, 1);
                            continue;
                        }
                        Some(base) if at < base => {
                            self.stats.add(|s| &s.stale, 1);
                            continue;
                        }
                        // A newer change is already in the book: the levels that both touch are unknown, and
                        // the older hash can describe the wrong book.
                        Some(_) if at < state.changed => {
                            self.stats.add(|s| &s.reordered, 1);
                            self.wrong.push(row.token);
                            continue;
                        }
                        Some(_) => state.changed = at,
                    }
                    if self.hashes {
                        if state.book.due(timestamp)
                            && state.hash.due(now.steady, self.hash_pause)
                            && state.hash_differs(&self.constants, &self.stats, now, &mut self.out)
                        {
                            self.wrong.push(row.token);
                        }
                        let (price, size) = (row.price_text.text(frame), row.size_text.text(frame));
                        let bid = row.side == Side::Buy;
                        state.book.change(bid, row.price.units(), row.size.is_zero(), price, size);
                        state.book.expect(timestamp, row.hash.text(frame));
                        if newest {
                            state.carried_best = row.top;
                        }
                    }
                    let change = LevelChange {
                        token: row.token,
                        side: row.side,
                        price: row.price,
                        size: row.size,
                        top: row.top,
                    };
                    self.out.push(FeedItem::Market {
                        received_at: now.local,
                        venue_at: at,
                        event: MarketEvent::Level(change),
                    });
                }
                if self.hashes {
                    // Only after the whole message: inside it a batch may cross.
                    for row in rows {
                        if let Some(state) = self.states.get_mut(&row.token) {
                            state.compare_best(now.steady);
                        }
                    }
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
                state.last_message_at = now.steady;
                // Older than what the stream has sent since: a late or repeated book would roll it back, or
                // begin without a change that was dropped for want of a book.
                if at < state.changed || (state.snapshot_at.is_some() && at < state.latest) {
                    self.stats.add(|s| &s.stale, 1);
                    return;
                }
                let constants = self.constants.entry(token.market()).or_default();
                // A book from before a tick size change has the old tick size.
                if constants.tick_at.is_some_and(|changed| at < changed) {
                    self.stats.add(|s| &s.stale, 1);
                    return;
                }
                if constants.market != market {
                    constants.market = market.to_owned();
                }
                if let Some(tick) = tick
                    && constants
                        .reported_tick
                        .replace(tick)
                        .is_some_and(|carried_best| carried_best != tick)
                {
                    // The book carries the tick size change before its announcement: the other
                    // outcome's book is invalidated too.
                    constants.tick_at = Some(at);
                    self.emit(now, at, MarketEvent::Tick { market: token.market(), tick });
                    self.invalidate_sibling(token);
                }
                let Some(state) = self.states.get_mut(&token) else { return };
                state.forget();
                state.latest = state.latest.max(at);
                (state.snapshot_at, state.changed) = (Some(at), at);
                state.asked = false;
                (state.frozen, state.failed_resyncs) = (0, 0);
                if self.hashes {
                    if !last_trade_price.is_empty() {
                        self.last_trade(token, last_trade_price, at, now);
                    }
                    let constants = self.constants.entry(token.market()).or_default();
                    if let Some(tick) = tick {
                        constants.tick_size = Some(tick.to_string());
                    }
                    let Some(state) = self.states.get_mut(&token) else { return };
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
                let levels = |rows: &[LevelRow]| {
                    let mut levels = Vec::with_capacity(rows.len());
                    let held = rows.iter().filter(|row| !row.size.is_zero());
                    levels.extend(held.map(|row| (row.price, row.size)));
                    levels
                };
                let snapshot = BookSnapshot { token, bids: levels(bids), asks: levels(asks) };
                self.emit(now, at, MarketEvent::Snapshot(Arc::new(snapshot)));
            }
            Message::Print { token, at, side, price, price_text, size, transaction } => {
                let Some(state) = self.states.get_mut(&token) else { return };
                state.last_message_at = now.steady;
                state.latest = state.latest.max(at);
                if !state.prints.is_new(at, price, size, side, transaction) {
                    self.stats.add(|s| &s.duplicates, 1);
                    return;
                }
                if self.hashes {
                    self.last_trade(token, price_text, at, now);
                }
                self.emit(now, at, MarketEvent::Print(Print { token, side, price, size }));
            }
            Message::Best { token, at, top } => {
                let Some(state) = self.states.get_mut(&token) else { return };
                let newest = at >= state.latest;
                state.last_message_at = now.steady;
                state.latest = state.latest.max(at);
                if state.snapshot_at.is_none_or(|base| at < base) {
                    return;
                }
                if self.hashes && newest {
                    state.carried_best = Some(top);
                    state.compare_best(now.steady);
                }
                self.emit(now, at, MarketEvent::Best { token, top });
            }
            Message::Tick { token, at, tick } => self.tick(token, at, tick, now),
            Message::Resolved { market, at, winner } => {
                if let Some(token) = winner {
                    let payout = match token.outcome() {
                        Outcome::Yes => Payout::YES,
                        Outcome::No => Payout::NO,
                    };
                    let state = MarketState::Resolved(payout);
                    self.emit(now, at, MarketEvent::State { market: token.market(), state });
                    return;
                }
                let ours = self.constants.iter().find(|(_, constants)| {
                    !market.is_empty() && constants.market.eq_ignore_ascii_case(market)
                });
                match ours.map(|(key, _)| *key) {
                    // A split resolution, or one whose winner is not named: trading is over, and the payouts
                    // are read over REST.
                    Some(market) => {
                        self.emit(
                            now,
                            at,
                            MarketEvent::State { market, state: MarketState::Closed },
                        );
                    }
                    None => tracing::debug!(market, "a market not followed here was resolved"),
                }
            }
            Message::NewMarket { json, .. } => match serde_json::from_str::<NewMarket>(json) {
                Ok(market) => self.out.push(FeedItem::NewMarket(Box::new(market))),
                Err(error) => {
                    self.stats.add(|s| &s.malformed, 1);
                    tracing::warn!(%error, message = %json.chars().take(300).collect::<String>(), "market socket: malformed new_market");
                }
            },
        }
    }

    /// The last trade's price is in the hash of both tokens: what waits is of books before it, and is checked
    /// against the price they had. A hash of the trade's own millisecond can have either: nothing is known then.
    fn last_trade(&mut self, token: Token, price: &str, at: Time, now: Now) {
        let market = token.market();
        if self.constants.entry(market).or_default().last_trade_price.as_deref() == Some(price) {
            return;
        }
        let timestamp = at.nanos().div_euclid(1_000_000).to_string();
        for side in [token, token.sibling()] {
            let Some(state) = self.states.get_mut(&side) else { continue };
            if state.book.due(&timestamp)
                && state.hash.due(now.steady, self.hash_pause)
                && state.hash_differs(&self.constants, &self.stats, now, &mut self.out)
            {
                self.wrong.push(side);
            }
            if state.book.give_up() {
                self.stats.add(|s| &s.hashes_unknown, 1);
            }
        }
        self.constants.entry(market).or_default().last_trade_price = Some(price.to_owned());
    }

    /// A tick size change: the book is invalidated until the next snapshot.
    fn tick(&mut self, token: Token, at: Time, tick: Tick, now: Now) {
        let market = token.market();
        // Announced once for each token, and sometimes again: only a different tick size is a change.
        let constants = self.constants.entry(market).or_default();
        if constants.tick_at.is_some_and(|last| at < last) || constants.reported_tick == Some(tick)
        {
            return;
        }
        constants.tick_at = Some(at);
        constants.reported_tick = Some(tick);
        let mut known = false;
        for side in [token, token.sibling()] {
            if let Some(state) = self.states.get_mut(&side) {
                known = true;
                state.last_message_at = now.steady;
                // Not `latest`: a tick size change need not advance the book's time, and a REST book of
                // that time with the new tick size is valid.
                if state.forget() {
                    self.wanted.push(side);
                }
            }
        }
        if !known {
            return;
        }
        self.constants.entry(market).or_default().tick_size = Some(tick.to_string());
        self.emit(now, at, MarketEvent::Tick { market, tick });
    }

    /// Called by the timer: checks for silent tokens, hashes of quiet books, and best prices that differ from
    /// the book for too long.
    pub(super) fn watch(&mut self) {
        let both = self.now();
        let now = both.steady;
        for state in self.states.values_mut() {
            let hash = state.book.waits()
                && state.last_message_at + SETTLED < now
                && state.hash.due(now, self.hash_pause)
                && state.hash_differs(&self.constants, &self.stats, both, &mut self.out);
            if hash || state.best_differs(&self.stats, both, &mut self.out) {
                self.wrong.push(state.token);
            }
            let patience = if state.snapshot_at.is_none() {
                self.silence.min(WITHOUT_BOOK)
            } else {
                self.silence
            };
            if !state.asked && state.last_message_at + patience < now {
                state.asked = true;
                self.wanted.push(state.token);
            }
        }
        self.resync_wrong();
        self.tidy();
    }

    /// Handles books over REST: takes constants, installs missing books, finds frozen tokens. Returns the
    /// tokens to subscribe again.
    pub(super) fn compare(
        &mut self,
        tokens: Vec<Token>,
        answer: Result<Vec<Book>, ApiError>,
    ) -> Vec<TokenId> {
        let now = self.now();
        let mut resubscribe = Vec::new();
        match answer {
            Ok(books) => {
                for book in &books {
                    resubscribe.extend(self.compare_one(book, now));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "books over REST did not come; asking again");
            }
        }
        // What the answer leaves out (a book that does not exist yet) is simply quiet; what did not come is
        // asked for again after another silence.
        for token in tokens {
            if let Some(state) = self.states.get_mut(&token)
                && state.asked
            {
                (state.asked, state.last_message_at) = (false, now.steady);
            }
        }
        resubscribe
    }

    fn compare_one(&mut self, book: &Book, now: Now) -> Option<TokenId> {
        let token = self.table.get(book.asset_id.as_bytes())?;
        let (Some(at), Some(state)) = (book.time(), self.states.get_mut(&token)) else {
            return None;
        };
        let venue = self.clock.server_at(now.steady);
        if at > venue + FUTURE {
            tracing::warn!(asset = book.asset_id, "a book from the future over REST is left out");
            return None;
        }
        let constants = self.constants.entry(token.market()).or_default();
        constants.market.clone_from(&book.market);
        constants.neg_risk = Some(book.neg_risk);
        if !book.min_order_size.is_empty() {
            constants.min_order_size = Some(book.min_order_size.clone());
        }
        if constants.last_trade_price.is_none() {
            constants.last_trade_price.clone_from(&book.last_trade_price);
        }
        let silent = std::mem::take(&mut state.asked);
        let read = |text: &str| Tick::try_from(crate::wire::decimal(text)?).ok();
        let tick = read(&book.tick_size);
        let known = constants.reported_tick.or_else(|| read(constants.tick_size.as_deref()?));
        let other_tick = tick.is_some() && known.is_some() && tick != known;
        // A book from before a tick size change has the old tick size, unless it states the new one: a tick
        // size change need not advance the book's time.
        let before_change =
            constants.tick_at.is_some_and(|changed| at < changed) && (tick.is_none() || other_tick);
        if before_change || (other_tick && at < state.latest) {
            let missing = state.snapshot_at.is_none();
            let id = state.id;
            self.resync_failed(token, now);
            return missing.then_some(id);
        }
        if !book.tick_size.is_empty() {
            constants.tick_size = Some(book.tick_size.clone());
        }
        // The first tick size seen here emits no event, so it does not count as reported: the announcement can
        // still be in flight.
        if let (Some(tick), true) = (tick, other_tick) {
            // The announcement was lost, or is late: no book of the old tick size may stay.
            (constants.reported_tick, constants.tick_at) = (Some(tick), Some(at));
            state.forget();
            self.emit(now, at, MarketEvent::Tick { market: token.market(), tick });
            self.invalidate_sibling(token);
        }
        let state = self.states.get_mut(&token)?;
        // Asked after a long silence: a change that is older than what may still be under way was missed.
        // Within one millisecond of the venue only the hash distinguishes two states.
        let last_hash = state.book.last_hash();
        let other = !book.hash.is_empty() && !last_hash.is_empty() && book.hash != last_hash;
        let missed = at > state.latest || (at == state.latest && other);
        let behind = missed && at + UNDER_WAY < venue;
        if state.snapshot_at.is_none() {
            if at < state.latest {
                // The REST book is older than the stream: the stream is asked for a new snapshot.
                let id = state.id;
                self.resync_failed(token, now);
                return Some(id);
            }
            match book.snapshot(token) {
                Ok(snapshot) => {
                    state.install(book, at, now.steady);
                    self.stats.add(|s| &s.resyncs, 1);
                    self.emit(now, at, MarketEvent::Snapshot(Arc::new(snapshot)));
                }
                Err(error) => {
                    tracing::warn!(%error, asset = book.asset_id, "a book over REST cannot be read");
                    self.resync_failed(token, now);
                }
            }
            return None;
        }
        state.last_message_at = now.steady;
        if !missed {
            self.out.push(FeedItem::Proven { token, at: now.local });
        }
        if !(silent && behind) {
            return None;
        }
        state.frozen += 1;
        let id = state.id;
        if state.frozen > 1 {
            self.unusable = Some(id);
        }
        self.stats.add(|s| &s.frozen, 1);
        tracing::warn!(asset = book.asset_id, "the token is silent while its book moves");
        self.invalidate(token, now.local);
        Some(id)
    }

    /// A resync gave a token no book: the next request waits for another silence, and after several the
    /// connection is unusable for it.
    fn resync_failed(&mut self, token: Token, now: Now) {
        let Some(state) = self.states.get_mut(&token) else { return };
        state.last_message_at = now.steady;
        if state.snapshot_at.is_some() {
            return;
        }
        state.failed_resyncs = state.failed_resyncs.saturating_add(1);
        if state.failed_resyncs >= FAILED_RESYNCS && state.failed_resyncs.is_power_of_two() {
            self.unusable = Some(state.id);
        }
    }
}

impl TokenState {
    /// Drops the book in force; whether there was one.
    fn forget(&mut self) -> bool {
        self.book.clear();
        (self.carried_best, self.differs_since) = (None, None);
        self.snapshot_at.take().is_some()
    }

    /// Installs a book over REST as the current one.
    fn install(&mut self, book: &Book, at: Time, now: Time) {
        self.forget();
        (self.snapshot_at, self.latest, self.changed, self.last_message_at) =
            (Some(at), at, at, now);
        self.failed_resyncs = 0;
        for (bid, levels) in [(true, &book.bids), (false, &book.asks)] {
            for level in levels {
                if let Some(price) =
                    crate::wire::decimal(&level.price).and_then(|price| Price::try_from(price).ok())
                {
                    self.book.load(bid, price.units(), &level.price, &level.size);
                }
            }
        }
    }

    /// Checks the waiting hash. True when the book here is not the venue's.
    fn hash_differs(
        &mut self,
        constants: &BTreeMap<MarketKey, Constants>,
        stats: &FeedStats,
        now: Now,
        out: &mut Vec<FeedItem>,
    ) -> bool {
        let Some(constants) = constants.get(&self.token.market()) else { return false };
        match self.book.check(&self.text, constants) {
            Verdict::Equal => {
                stats.add(|s| &s.hashes_equal, 1);
                self.hash.agreed(now.steady);
                false
            }
            Verdict::Unknown => {
                stats.add(|s| &s.hashes_unknown, 1);
                self.hash.checked = Some(now.steady);
                false
            }
            Verdict::Differs => {
                stats.add(|s| &s.hashes_wrong, 1);
                let known = self.unverified();
                let trusted = self.hash.wrong(now.steady);
                self.report("hash", &self.hash);
                self.report_disabled(known, now, out);
                trusted
            }
        }
    }

    /// Notes since when the best prices of the book differ from the carried ones.
    fn compare_best(&mut self, now: Time) {
        let (Some(carried_best), Some(_)) = (self.carried_best, self.snapshot_at) else { return };
        if self.book.best()
            == (carried_best.bid().map(Price::units), carried_best.ask().map(Price::units))
        {
            self.differs_since = None;
            self.best.wrong_in_a_row = 0;
        } else if self.differs_since.is_none() {
            self.differs_since = Some(now);
        }
    }

    /// Whether the carried best prices have differed from the book's for too long.
    fn best_differs(&mut self, stats: &FeedStats, now: Now, out: &mut Vec<FeedItem>) -> bool {
        if self.differs_since.is_none_or(|since| since + CROSSING > now.steady)
            || !self.best.due(now.steady, Span::ZERO)
        {
            return false;
        }
        self.differs_since = None;
        stats.add(|s| &s.best_wrong, 1);
        let known = self.unverified();
        let trusted = self.best.wrong(now.steady);
        self.report("best prices", &self.best);
        self.report_disabled(known, now, out);
        trusted
    }

    fn unverified(&self) -> bool {
        self.hash.disabled() || self.best.disabled()
    }

    /// Reports once that verification of the book is disabled.
    fn report_disabled(&self, known: bool, now: Now, out: &mut Vec<FeedItem>) {
        if !known && self.unverified() {
            out.push(FeedItem::Unverified { token: self.token, at: now.local });
        }
    }

    fn report(&self, what: &str, check: &CheckState) {
        if check.wrong_in_a_row < TRUSTED_MISMATCHES {
            tracing::warn!(asset = %self.text, what, "the book is not the venue's; taking the book over REST");
        } else {
            tracing::warn!(asset = %self.text, what, "again not the venue's after new books; leaving this alone for a while");
        }
    }
}

#[cfg(test)]
mod tests;
