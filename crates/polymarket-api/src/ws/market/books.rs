//! What one connection knows of its tokens: which book is in force, and whether it may be believed.
//!
//! No sockets and no tasks here: frames, answers and the passing of time go in, items and tokens whose book
//! must be asked for come out.

use std::collections::BTreeMap;
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

/// How far the venue's time may be ahead of ours before it is not believed.
const FUTURE: Span = Span::secs(3_600);
/// How long a frame may be under way before it counts as missing.
const UNDER_WAY: Span = Span::secs(2);
/// A token without a book is asked about this often.
const UNBASED: Span = Span::secs(5);
/// How long best prices may differ from the book: within a batch they do.
const CROSSING: Span = Span::secs(1);
/// How long a book is quiet before its hash is checked without waiting for the next batch.
const SETTLED: Span = Span::millis(500);
/// Books asked for in one request.
const ASKED_AT_ONCE: usize = 200;

/// How many findings in a row against one token are believed: beyond that something else in the hash (or in
/// the best prices) is not known here, and books are not voided for it.
const BELIEVED: u32 = 3;
/// How long such a token's findings are left alone.
const REST: Span = Span::secs(600);
/// After how many answers in a row that gave a token no book the connection is given up; after twice as
/// many again, and so on: it may be of no use, and the other tokens lose their books with it.
const FRUITLESS: u32 = 4;

/// One token's place in its stream.
struct TokenState {
    id: TokenId,
    token: Token,
    text: Box<str>,
    /// Venue time of the book in force; `None` while there is none.
    based: Option<Time>,
    /// Latest venue time heard of it.
    latest: Time,
    /// Latest venue time of its book and its changes only: prints and best prices may run ahead of them.
    changed: Time,
    /// Steady time at which anything was heard of it (or the connection began).
    heard: Time,
    /// Whether a REST comparison is under way.
    asked: bool,
    /// How often in a row it was found frozen.
    frozen: u32,
    /// How often in a row a book was asked for and none came of it.
    fruitless: u32,
    book: TextBook,
    hash: Trust,
    best: Trust,
    /// The best prices the venue told last, and since when (steady) the book has not had them.
    told: Option<Top>,
    differs_since: Option<Time>,
    /// The last print, to recognise it when it comes again.
    print: Option<(Time, Price, Shares, Side)>,
}

/// How far one kind of check is believed for a token.
#[derive(Debug, Default)]
struct Trust {
    checked: Option<Time>,
    wrong_in_a_row: u32,
}

impl Trust {
    /// Whether it is time to look again.
    fn due(&self, now: Time, pause: Span) -> bool {
        let pause = if self.given_up() { REST } else { pause };
        self.checked.is_none_or(|checked| checked + pause <= now)
    }
    fn agreed(&mut self, now: Time) {
        (self.checked, self.wrong_in_a_row) = (Some(now), 0);
    }
    /// Whether the finding is to be acted on.
    fn wrong(&mut self, now: Time) -> bool {
        self.checked = Some(now);
        self.wrong_in_a_row = self.wrong_in_a_row.saturating_add(1);
        self.wrong_in_a_row <= BELIEVED
    }
    /// Whether findings are left alone for now.
    fn given_up(&self) -> bool {
        self.wrong_in_a_row >= BELIEVED
    }
}

/// The two times of a moment: what is told, and what waits are measured by.
#[derive(Clone, Copy)]
struct Now {
    local: Time,
    steady: Time,
}

pub(super) struct Books {
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
    /// A token for which this connection is of no use.
    stuck: Option<TokenId>,
    reports: u64,
}

impl Books {
    pub(super) fn new(config: &FeedConfig, clock: ServerClock, stats: Arc<FeedStats>) -> Books {
        let millis =
            |millis: u64| Span::millis(i64::try_from(millis).unwrap_or(i64::MAX / 2_000_000));
        Books {
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
            stuck: None,
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
    /// Takes what there is to tell.
    pub(super) fn told(&mut self) -> impl ExactSizeIterator<Item = FeedItem> + '_ {
        self.out.drain(..)
    }
    /// A token found frozen more than once on this connection, or one that gets no book on it.
    pub(super) fn stuck(&mut self) -> Option<TokenId> {
        self.stuck.take()
    }
    /// Takes the tokens whose books are to be asked for over REST, with their ids; as many as one request
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

    /// A connection begins: silence counts from here, and so does the order of times and what is believed of
    /// the venue's hashes.
    pub(super) fn begin(&mut self) {
        let now = self.clock.steady();
        self.stuck = None;
        for state in self.states.values_mut() {
            (state.heard, state.frozen, state.asked) = (now, 0, false);
            (state.latest, state.changed) = (Time::MIN, Time::MIN);
            (state.hash, state.best) = (Trust::default(), Trust::default());
        }
    }

    /// A connection is over: no book may be believed.
    pub(super) fn end(&mut self) {
        self.void_tokens(&self.tokens());
        self.wanted.clear();
    }

    /// Follows further tokens; their ids.
    pub(super) fn add(&mut self, tokens: Vec<(TokenId, Token)>) -> Vec<TokenId> {
        let heard = self.clock.steady();
        for (id, token) in &tokens {
            self.table.insert(*id, *token);
            let state = TokenState {
                id: *id,
                token: *token,
                text: id.to_string().into(),
                based: None,
                latest: Time::MIN,
                changed: Time::MIN,
                heard,
                asked: false,
                frozen: 0,
                fruitless: 0,
                book: TextBook::default(),
                hash: Trust::default(),
                best: Trust::default(),
                told: None,
                differs_since: None,
                print: None,
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

    /// Voids the books of these tokens, or of all, and wants them anew.
    pub(super) fn resync(&mut self, ids: Option<&[TokenId]>) {
        let tokens = match ids {
            None => self.tokens(),
            Some(ids) => {
                ids.iter().filter_map(|id| self.table.get(id.decimal().as_bytes())).collect()
            }
        };
        self.void_tokens(&tokens);
        self.wanted.extend(tokens);
        self.tidy();
    }

    fn tokens(&self) -> Vec<Token> {
        self.states.keys().copied().collect()
    }

    fn void_tokens(&mut self, tokens: &[Token]) {
        let now = self.clock.local();
        tokens.iter().for_each(|token| self.void(*token, now));
    }

    /// The book of a token is not to be trusted any more.
    fn void(&mut self, token: Token, now: Time) {
        let Some(state) = self.states.get_mut(&token) else { return };
        if !state.forget() {
            return;
        }
        self.out.push(FeedItem::Market {
            received_at: now,
            venue_at: now,
            event: MarketEvent::Interrupted(Interruption { market: Some(token.market()) }),
        });
        // Both outcomes are one book: the other token's frames cannot be trusted on half of it.
        self.void_sibling(token);
    }

    fn void_sibling(&mut self, token: Token) {
        let sibling = token.sibling();
        if self.states.get_mut(&sibling).is_some_and(TokenState::forget) {
            self.wanted.push(sibling);
        }
    }

    /// Voids the books that were found wrong and asks for new ones.
    fn void_wrong(&mut self) {
        if self.wrong.is_empty() {
            return;
        }
        let mut wrong = std::mem::take(&mut self.wrong);
        wrong.sort_unstable();
        wrong.dedup();
        self.void_tokens(&wrong);
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
            // Whatever it said of these tokens is missing from their books now.
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
        self.void_wrong();
    }

    fn tell(&mut self, now: Now, at: Time, event: MarketEvent) {
        self.out.push(FeedItem::Market { received_at: now.local, venue_at: at, event });
    }

    fn apply(&mut self, message: Message<'_>, frame: &[u8], now: Now) {
        // One wild time would make everything after it look old: the token would stand still for good.
        if message.at() > now.local + self.clock.offset() + FUTURE {
            self.stats.add(|s| &s.malformed, 1);
            tracing::warn!(at = %message.at(), "market socket: a message from the future is left out");
            // What it said is missing from here on, as with a malformed one.
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
                    state.heard = now.steady;
                    state.latest = state.latest.max(at);
                    match state.based {
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
                        // A newer change is in the book already: of the levels both touch, nobody can say
                        // what they are, and the older hash may even describe the wrong book.
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
                            state.told = row.top;
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
                state.heard = now.steady;
                // Older than what the stream has told since: a late or repeated book would roll it back, or
                // begin without a change that was dropped for want of a book.
                if at < state.changed || (state.based.is_some() && at < state.latest) {
                    self.stats.add(|s| &s.stale, 1);
                    return;
                }
                let constants = self.constants.entry(token.market()).or_default();
                // A book from before the grid changed is a book of the old grid.
                if constants.tick_at.is_some_and(|changed| at < changed) {
                    self.stats.add(|s| &s.stale, 1);
                    return;
                }
                if constants.market != market {
                    constants.market = market.to_owned();
                }
                if let Some(tick) = tick
                    && constants.told.replace(tick).is_some_and(|told| told != tick)
                {
                    // The grid changed, and the book says so before the announcement: the other
                    // outcome's book is void with it.
                    constants.tick_at = Some(at);
                    self.tell(now, at, MarketEvent::Tick { market: token.market(), tick });
                    self.void_sibling(token);
                }
                let Some(state) = self.states.get_mut(&token) else { return };
                state.forget();
                state.latest = state.latest.max(at);
                (state.based, state.changed) = (Some(at), at);
                state.asked = false;
                (state.frozen, state.fruitless) = (0, 0);
                if self.hashes {
                    let constants = self.constants.entry(token.market()).or_default();
                    if let Some(tick) = tick {
                        constants.tick_size = Some(tick.to_string());
                    }
                    if !last_trade_price.is_empty() {
                        constants.last_trade_price = Some(last_trade_price.to_owned());
                    }
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
                self.tell(now, at, MarketEvent::Snapshot(Arc::new(snapshot)));
            }
            Message::Print { token, at, side, price, price_text, size } => {
                let Some(state) = self.states.get_mut(&token) else { return };
                state.heard = now.steady;
                state.latest = state.latest.max(at);
                // There is no trade id: the same in every field, twice in a row, is a redelivery.
                let print = Some((at, price, size, side));
                if state.print == print {
                    self.stats.add(|s| &s.duplicates, 1);
                    return;
                }
                state.print = print;
                if self.hashes {
                    self.constants.entry(token.market()).or_default().last_trade_price =
                        Some(price_text.to_owned());
                }
                self.tell(now, at, MarketEvent::Print(Print { token, side, price, size }));
            }
            Message::Best { token, at, top } => {
                let Some(state) = self.states.get_mut(&token) else { return };
                let newest = at >= state.latest;
                state.heard = now.steady;
                state.latest = state.latest.max(at);
                if state.based.is_none_or(|base| at < base) {
                    return;
                }
                if self.hashes && newest {
                    state.told = Some(top);
                    state.compare_best(now.steady);
                }
                self.tell(now, at, MarketEvent::Best { token, top });
            }
            Message::Tick { token, at, tick } => self.tick(token, at, tick, now),
            Message::Resolved { market, at, winner } => {
                if let Some(token) = winner {
                    let payout = match token.outcome() {
                        Outcome::Yes => Payout::YES,
                        Outcome::No => Payout::NO,
                    };
                    let state = MarketState::Resolved(payout);
                    self.tell(now, at, MarketEvent::State { market: token.market(), state });
                    return;
                }
                let ours = self.constants.iter().find(|(_, constants)| {
                    !market.is_empty() && constants.market.eq_ignore_ascii_case(market)
                });
                match ours.map(|(key, _)| *key) {
                    // A split resolution, or one whose winner is not named: trading is over, and the payouts
                    // are read over REST.
                    Some(market) => {
                        self.tell(
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

    /// The grid changed: the book is void until the next whole one.
    fn tick(&mut self, token: Token, at: Time, tick: Tick, now: Now) {
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
                state.heard = now.steady;
                // Not `latest`: the venue need not move a book's time for its grid, and such a book over
                // REST, of the new grid, is the one wanted.
                if state.forget() {
                    self.wanted.push(side);
                }
            }
        }
        if !known {
            return;
        }
        self.constants.entry(market).or_default().tick_size = Some(tick.to_string());
        self.tell(now, at, MarketEvent::Tick { market, tick });
    }

    /// Time passed: looks for tokens that are silent, for hashes of quiet books, and for best prices that a
    /// book has not had for too long.
    pub(super) fn watch(&mut self) {
        let both = self.now();
        let now = both.steady;
        for state in self.states.values_mut() {
            let hash = state.book.waits()
                && state.heard + SETTLED < now
                && state.hash.due(now, self.hash_pause)
                && state.hash_differs(&self.constants, &self.stats, both, &mut self.out);
            if hash || state.best_differs(&self.stats, both, &mut self.out) {
                self.wrong.push(state.token);
            }
            let patience =
                if state.based.is_none() { self.silence.min(UNBASED) } else { self.silence };
            if !state.asked && state.heard + patience < now {
                state.asked = true;
                self.wanted.push(state.token);
            }
        }
        self.void_wrong();
        self.tidy();
    }

    /// Books over REST have come: takes constants, installs what is missing, finds frozen tokens. Returns the
    /// tokens whose subscription must be made anew.
    pub(super) fn compare(
        &mut self,
        tokens: Vec<Token>,
        answer: Result<Vec<Book>, ApiError>,
    ) -> Vec<TokenId> {
        let now = self.now();
        let mut anew = Vec::new();
        match answer {
            Ok(books) => {
                for book in &books {
                    anew.extend(self.compare_one(book, now));
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
                (state.asked, state.heard) = (false, now.steady);
            }
        }
        anew
    }

    fn compare_one(&mut self, book: &Book, now: Now) -> Option<TokenId> {
        let token = self.table.get(book.asset_id.as_bytes())?;
        let (Some(at), Some(state)) = (book.time(), self.states.get_mut(&token)) else {
            return None;
        };
        let venue = now.local + self.clock.offset();
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
        let known = constants.told.or_else(|| read(constants.tick_size.as_deref()?));
        let other_grid = tick.is_some() && known.is_some() && tick != known;
        // A book from before the grid changed is a book of the old grid, unless it says that it is not: the
        // venue need not move a book's time when only the grid changes.
        let before_grid =
            constants.tick_at.is_some_and(|changed| at < changed) && (tick.is_none() || other_grid);
        if before_grid || (other_grid && at < state.latest) {
            let missing = state.based.is_none();
            let id = state.id;
            self.fruitless(token, now);
            return missing.then_some(id);
        }
        if !book.tick_size.is_empty() {
            constants.tick_size = Some(book.tick_size.clone());
        }
        // The first grid heard here is not told, so it does not count as told either: the announcement may
        // still be under way.
        if let (Some(tick), true) = (tick, other_grid) {
            // The announcement was lost, or is late: no book of the old grid may stay in force.
            (constants.told, constants.tick_at) = (Some(tick), Some(at));
            state.forget();
            self.tell(now, at, MarketEvent::Tick { market: token.market(), tick });
            self.void_sibling(token);
        }
        let state = self.states.get_mut(&token)?;
        // Asked after a long silence: a change that is older than what may still be under way was missed.
        // Within one millisecond of the venue only the hash tells one state from another.
        let last_hash = state.book.last_hash();
        let other = !book.hash.is_empty() && !last_hash.is_empty() && book.hash != last_hash;
        let missed = at > state.latest || (at == state.latest && other);
        let behind = missed && at + UNDER_WAY < venue;
        if state.based.is_none() {
            if at < state.latest {
                // The REST answer is older than the stream: the stream is asked for a new book.
                let id = state.id;
                self.fruitless(token, now);
                return Some(id);
            }
            match book.snapshot(token) {
                Ok(snapshot) => {
                    state.install(book, at, now.steady);
                    self.stats.add(|s| &s.resyncs, 1);
                    self.tell(now, at, MarketEvent::Snapshot(Arc::new(snapshot)));
                }
                Err(error) => {
                    tracing::warn!(%error, asset = book.asset_id, "a book over REST cannot be read");
                    self.fruitless(token, now);
                }
            }
            return None;
        }
        state.heard = now.steady;
        if !(silent && behind) {
            return None;
        }
        state.frozen += 1;
        let id = state.id;
        if state.frozen > 1 {
            self.stuck = Some(id);
        }
        self.stats.add(|s| &s.frozen, 1);
        tracing::warn!(asset = book.asset_id, "the token is silent while its book moves");
        self.void(token, now.local);
        Some(id)
    }

    /// An answer brought a token no book: the next question waits for another silence, and after several the
    /// connection is held to be of no use to it.
    fn fruitless(&mut self, token: Token, now: Now) {
        let Some(state) = self.states.get_mut(&token) else { return };
        state.heard = now.steady;
        if state.based.is_some() {
            return;
        }
        state.fruitless = state.fruitless.saturating_add(1);
        if state.fruitless >= FRUITLESS && state.fruitless.is_power_of_two() {
            self.stuck = Some(state.id);
        }
    }
}

impl TokenState {
    /// Drops the book in force; whether there was one.
    fn forget(&mut self) -> bool {
        self.book.clear();
        (self.told, self.differs_since) = (None, None);
        self.based.take().is_some()
    }

    /// Takes a book over REST as the one in force.
    fn install(&mut self, book: &Book, at: Time, now: Time) {
        self.forget();
        (self.based, self.latest, self.changed, self.heard) = (Some(at), at, at, now);
        self.fruitless = 0;
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
                let believed = self.hash.wrong(now.steady);
                self.report("hash", &self.hash);
                self.give_up(known, now, out);
                believed
            }
        }
    }

    /// Notes since when the best prices of the book are not those the venue told.
    fn compare_best(&mut self, now: Time) {
        let (Some(told), Some(_)) = (self.told, self.based) else { return };
        if self.book.best() == (told.bid().map(Price::units), told.ask().map(Price::units)) {
            self.differs_since = None;
            self.best.wrong_in_a_row = 0;
        } else if self.differs_since.is_none() {
            self.differs_since = Some(now);
        }
    }

    /// Whether the venue's best prices have been others than the book's for too long.
    fn best_differs(&mut self, stats: &FeedStats, now: Now, out: &mut Vec<FeedItem>) -> bool {
        if self.differs_since.is_none_or(|since| since + CROSSING > now.steady)
            || !self.best.due(now.steady, Span::ZERO)
        {
            return false;
        }
        self.differs_since = None;
        stats.add(|s| &s.best_wrong, 1);
        let known = self.unverified();
        let believed = self.best.wrong(now.steady);
        self.report("best prices", &self.best);
        self.give_up(known, now, out);
        believed
    }

    fn unverified(&self) -> bool {
        self.hash.given_up() || self.best.given_up()
    }

    /// Tells the consumer, once, that the book is not verified any more.
    fn give_up(&self, known: bool, now: Now, out: &mut Vec<FeedItem>) {
        if !known && self.unverified() {
            out.push(FeedItem::Unverified { token: self.token, at: now.local });
        }
    }

    fn report(&self, what: &str, trust: &Trust) {
        if trust.wrong_in_a_row < BELIEVED {
            tracing::warn!(asset = %self.text, what, "the book is not the venue's; taking the book over REST");
        } else {
            tracing::warn!(asset = %self.text, what, "again not the venue's after new books; leaving this alone for a while");
        }
    }
}

#[cfg(test)]
mod tests;
