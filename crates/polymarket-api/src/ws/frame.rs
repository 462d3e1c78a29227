//! Market frames, parsed once: from the bytes of a frame to levels, prints and books.
//!
//! A scanner for the venue's plain shapes (flat objects of strings without escapes) stands in front;
//! whatever it does not recognise to the letter goes to simd-json. Both fill the same rows, and tests hold
//! them against each other on every recorded frame and on random ones. Text that the book hash needs is
//! kept as spans into the frame; nothing is copied and, once the buffers have grown, nothing is allocated.

use std::borrow::Cow;

use polydesk_domain::{Price, Shares, Side, Tick, Time, Token, Top};
use serde::Deserialize;
use simd_json::Buffers;

use super::TokenTable;
use crate::wire;

/// A piece of the frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span(u32, u32);

impl Span {
    /// The bytes it stands for.
    #[inline]
    pub fn of<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        frame.get(self.0 as usize..self.1 as usize).unwrap_or_default()
    }
    /// The same as text; empty if it is none.
    pub fn text<'f>(&self, frame: &'f [u8]) -> &'f str {
        core::str::from_utf8(self.of(frame)).unwrap_or_default()
    }
    #[inline]
    fn is_empty(&self) -> bool {
        self.0 >= self.1
    }
}

/// One entry of a `price_change`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeRow {
    /// Whose book.
    pub token: Token,
    /// `BUY` is the bid side.
    pub side: Side,
    /// The level.
    pub price: Price,
    /// Its new total.
    pub size: Shares,
    /// Best prices after the whole batch, where both are carried.
    pub top: Option<Top>,
    /// As received, for the hash.
    pub price_text: Span,
    /// As received, for the hash.
    pub size_text: Span,
    /// Hash of the token's book after the batch.
    pub hash: Span,
}

/// A level of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelRow {
    /// The level.
    pub price: Price,
    /// Its size.
    pub size: Shares,
    /// As received.
    pub price_text: Span,
    /// As received.
    pub size_text: Span,
}

/// A decoded frame, borrowed from it and from the parser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Message<'f> {
    /// Levels have new totals.
    Changes {
        /// Venue time.
        at: Time,
        /// Its text.
        timestamp: &'f str,
        /// The entries of known tokens, in order.
        rows: &'f [ChangeRow],
    },
    /// A whole book.
    Book {
        /// Whose.
        token: Token,
        /// Venue time.
        at: Time,
        /// Its text.
        timestamp: &'f str,
        /// Condition id.
        market: &'f str,
        /// Levels in the order received.
        bids: &'f [LevelRow],
        /// Levels in the order received.
        asks: &'f [LevelRow],
        /// Hash, where carried.
        hash: &'f str,
        /// The tick size, where carried.
        tick: Option<Tick>,
        /// The last trade's price as printed, where carried.
        last_trade_price: &'f str,
    },
    /// A public trade.
    Print {
        /// Whose book.
        token: Token,
        /// Venue time.
        at: Time,
        /// The taker's, as published.
        side: Side,
        /// pUSD per share.
        price: Price,
        /// As printed: it goes into the hash.
        price_text: &'f str,
        /// Shares.
        size: Shares,
        /// The transaction that settles it; empty where the venue left it out.
        transaction: &'f str,
    },
    /// Best prices without a level.
    Best {
        /// Whose book.
        token: Token,
        /// Venue time.
        at: Time,
        /// Best prices.
        top: Top,
    },
    /// The tick size changed.
    Tick {
        /// Whose market.
        token: Token,
        /// Venue time.
        at: Time,
        /// The new tick size.
        tick: Tick,
    },
    /// A market resolved.
    Resolved {
        /// Condition id.
        market: &'f str,
        /// Venue time.
        at: Time,
        /// The winner, where it is known here.
        winner: Option<Token>,
    },
    /// A market was created: the whole object as JSON.
    NewMarket {
        /// Venue time.
        at: Time,
        /// The object.
        json: &'f str,
    },
}

impl Message<'_> {
    /// Venue time.
    pub fn at(&self) -> Time {
        match self {
            Message::Changes { at, .. }
            | Message::Book { at, .. }
            | Message::Print { at, .. }
            | Message::Best { at, .. }
            | Message::Tick { at, .. }
            | Message::Resolved { at, .. }
            | Message::NewMarket { at, .. } => *at,
        }
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages handed over.
    pub messages: u64,
    /// Messages of kinds this client does not know.
    pub unknown_kinds: u64,
    /// Messages (or entries) about tokens that were not asked for.
    pub foreign: u64,
    /// Messages that are malformed.
    pub malformed: u64,
    /// Frames the scanner left to simd-json.
    pub slow: u64,
}

/// The parser: buffers that are reused from frame to frame.
pub struct FrameParser {
    rows: Vec<ChangeRow>,
    bids: Vec<LevelRow>,
    asks: Vec<LevelRow>,
    buffers: Buffers,
    copy: Vec<u8>,
    counts: Counts,
    /// The last malformed message, quoted.
    quote: String,
    /// Whether the scanner stands in front.
    scans: bool,
}

impl core::fmt::Debug for FrameParser {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FrameParser({:?})", self.counts)
    }
}

impl Default for FrameParser {
    fn default() -> FrameParser {
        FrameParser::new()
    }
}

impl FrameParser {
    /// A parser with empty buffers.
    pub fn new() -> FrameParser {
        FrameParser {
            rows: Vec::with_capacity(64),
            bids: Vec::with_capacity(256),
            asks: Vec::with_capacity(256),
            buffers: Buffers::new(4096),
            copy: Vec::new(),
            counts: Counts::default(),
            quote: String::new(),
            scans: true,
        }
    }

    /// A parser that leaves every frame to simd-json: what the scanner is held against.
    pub fn without_scanner() -> FrameParser {
        FrameParser { scans: false, ..FrameParser::new() }
    }

    /// Counts since the beginning.
    pub fn counts(&self) -> Counts {
        self.counts
    }
    /// The last malformed message, cut to 300 characters.
    pub fn last_malformed(&self) -> &str {
        &self.quote
    }

    /// Parses a text frame: one object, or an array of objects. Hands each message to `sink`. Frames that
    /// are no JSON (`PONG`, plain errors) are the caller's to recognise; here they count as malformed.
    pub fn parse(
        &mut self,
        frame: &[u8],
        tokens: &TokenTable,
        mut sink: impl FnMut(Message<'_>, &[u8]),
    ) {
        if !self.scans {
            return self.slow(frame, false, tokens, sink);
        }
        let mut at = skip_blanks(frame, 0);
        if frame.get(at) == Some(&b'[') {
            at = skip_blanks(frame, at + 1);
            while frame.get(at) == Some(&b'{') {
                match self.object(frame, at, tokens, &mut sink) {
                    Some(end) => at = end,
                    None => return self.slow(&frame[at..], true, tokens, sink),
                }
                at = skip_blanks(frame, at);
                match frame.get(at) {
                    Some(b',') => at = skip_blanks(frame, at + 1),
                    Some(b']') if skip_blanks(frame, at + 1) == frame.len() => return,
                    _ => return self.slow(&frame[at..], true, tokens, sink),
                }
            }
            // An empty array is an answer to a subscription of nothing.
            if frame.get(at) == Some(&b']') && skip_blanks(frame, at + 1) == frame.len() {
                return;
            }
            return self.slow(&frame[at..], true, tokens, sink);
        }
        if frame.get(at) == Some(&b'{')
            && let Some(end) = self.object(frame, at, tokens, &mut sink)
            && skip_blanks(frame, end) == frame.len()
        {
            return;
        }
        self.slow(frame, false, tokens, sink);
    }

    /// Scans one object; `None` leaves it (unreported) to the slow way.
    #[inline]
    fn object(
        &mut self,
        frame: &[u8],
        start: usize,
        tokens: &TokenTable,
        sink: &mut impl FnMut(Message<'_>, &[u8]),
    ) -> Option<usize> {
        self.rows.clear();
        self.bids.clear();
        self.asks.clear();
        let mut fields = Fields::default();
        let mut foreign = 0;
        let mut at = start + 1;
        let mut has_changes = false;
        if skip_blanks(frame, at) == at && frame.get(at) == Some(&b'}') {
            return None;
        }
        loop {
            // Without blanks, as the venue writes; anything else goes the way below.
            if let Some(after) = fields.plain(frame, at) {
                match frame.get(after)? {
                    b',' => {
                        at = after + 1;
                        continue;
                    }
                    b'}' => {
                        at = after + 1;
                        break;
                    }
                    _ => {}
                }
            }
            at = skip_blanks(frame, at);
            let (key, after) = string(frame, at)?;
            at = skip_blanks(frame, after);
            if frame.get(at) != Some(&b':') {
                return None;
            }
            at = skip_blanks(frame, at + 1);
            match key.of(frame) {
                b"price_changes" => {
                    has_changes = true;
                    at = self.changes(frame, at, tokens, &mut foreign)?;
                }
                b"bids" => at = levels(frame, at, &mut self.bids)?,
                b"asks" => at = levels(frame, at, &mut self.asks)?,
                name => match frame.get(at)? {
                    b'"' => {
                        let (value, after) = string(frame, at)?;
                        at = after;
                        fields.set(name, value);
                    }
                    // Lists, objects and bare words: rare messages, read the slow way.
                    _ => return None,
                },
            }
            at = skip_blanks(frame, at);
            match frame.get(at)? {
                b',' => at += 1,
                b'}' => {
                    at += 1;
                    break;
                }
                _ => return None,
            }
        }
        let kind = match fields.kind.of(frame) {
            b"" if has_changes => b"price_change".as_slice(),
            // Captures without a kind: it is inferred from their fields, on the slow path.
            b"" => return None,
            kind => kind,
        };
        let kind = match kind {
            b"price_change" if has_changes => Kind::Changes,
            b"book" => Kind::Book,
            b"last_trade_price" => Kind::Print,
            b"best_bid_ask" => Kind::Best,
            b"tick_size_change" => Kind::Tick,
            _ => return None,
        };
        self.emit(kind, &fields, frame, tokens, foreign, sink)?;
        Some(at)
    }

    #[inline]
    fn changes(
        &mut self,
        frame: &[u8],
        at: usize,
        tokens: &TokenTable,
        foreign: &mut u64,
    ) -> Option<usize> {
        if frame.get(at) != Some(&b'[') {
            return None;
        }
        let mut at = skip_blanks(frame, at + 1);
        if frame.get(at) == Some(&b']') {
            return Some(at + 1);
        }
        loop {
            if let Some((row, after)) = entry(frame, at, tokens) {
                self.rows.push(row);
                match frame.get(after)? {
                    b',' => {
                        at = after + 1;
                        continue;
                    }
                    b']' => return Some(after + 1),
                    // Blanks: read again below.
                    _ => drop(self.rows.pop()),
                }
            }
            at = skip_blanks(frame, at);
            if frame.get(at) != Some(&b'{') {
                return None;
            }
            at += 1;
            let mut row = Fields::default();
            loop {
                at = skip_blanks(frame, at);
                let (key, after) = string(frame, at)?;
                at = skip_blanks(frame, after);
                if frame.get(at) != Some(&b':') {
                    return None;
                }
                let (value, after) = string(frame, skip_blanks(frame, at + 1))?;
                row.set(key.of(frame), value);
                at = skip_blanks(frame, after);
                match frame.get(at)? {
                    b',' => at += 1,
                    b'}' => {
                        at += 1;
                        break;
                    }
                    _ => return None,
                }
            }
            match tokens.get(row.asset_id.of(frame)) {
                Some(token) => self.rows.push(row.change(frame, token)?),
                None => *foreign += 1,
            }
            at = skip_blanks(frame, at);
            match frame.get(at)? {
                b',' => at = skip_blanks(frame, at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Hands over a message whose parts are in the buffers. `None` when a part is not what it should be.
    #[inline]
    fn emit(
        &mut self,
        kind: Kind,
        fields: &Fields,
        frame: &[u8],
        tokens: &TokenTable,
        foreign: u64,
        sink: &mut impl FnMut(Message<'_>, &[u8]),
    ) -> Option<()> {
        let at = millis(fields.timestamp.of(frame))?;
        let text = |span: Span| span.text(frame);
        let token = |span: Span| tokens.get(span.of(frame));
        if kind == Kind::Changes {
            self.counts.foreign += foreign;
            if !self.rows.is_empty() {
                self.counts.messages += 1;
                sink(
                    Message::Changes { at, timestamp: text(fields.timestamp), rows: &self.rows },
                    frame,
                );
            }
            return Some(());
        }
        let Some(token) = token(fields.asset_id) else {
            if fields.asset_id.is_empty() {
                return None;
            }
            self.counts.foreign += 1;
            return Some(());
        };
        let message = match kind {
            Kind::Changes => return None,
            Kind::Book => Message::Book {
                token,
                at,
                timestamp: text(fields.timestamp),
                market: text(fields.market),
                bids: &self.bids,
                asks: &self.asks,
                hash: text(fields.hash),
                tick: if fields.tick_size.is_empty() {
                    None
                } else {
                    Some(tick(fields.tick_size.of(frame))?)
                },
                last_trade_price: text(fields.last_trade_price),
            },
            Kind::Print => Message::Print {
                token,
                at,
                side: side(fields.side.of(frame))?,
                price: price(fields.price.of(frame))?,
                price_text: text(fields.price),
                size: shares(fields.size.of(frame))?,
                transaction: text(fields.transaction),
            },
            Kind::Best => Message::Best { token, at, top: fields.top(frame)?? },
            Kind::Tick => Message::Tick { token, at, tick: tick(fields.new_tick_size.of(frame))? },
        };
        self.counts.messages += 1;
        sink(message, frame);
        Some(())
    }

    /// The same with simd-json. `tail`: `frame` is the rest of an array whose beginning was read.
    #[cold]
    fn slow(
        &mut self,
        frame: &[u8],
        tail: bool,
        tokens: &TokenTable,
        mut sink: impl FnMut(Message<'_>, &[u8]),
    ) {
        self.counts.slow += 1;
        let mut copy = std::mem::take(&mut self.copy);
        copy.clear();
        if tail {
            copy.push(b'[');
        }
        copy.extend_from_slice(frame);
        let many = copy.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
        // Each object alone, so that a bad one takes none of the others with it.
        let objects: Option<Vec<&serde_json::value::RawValue>> = if many {
            serde_json::from_slice(&copy).ok()
        } else {
            serde_json::from_slice(&copy).ok().map(|one| vec![one])
        };
        match objects {
            None => self.malformed(&copy),
            Some(objects) => {
                for object in objects {
                    let mut object = object.get().as_bytes().to_vec();
                    if self.slow_object(&mut object, tokens, &mut sink).is_none() {
                        self.malformed(&object);
                    }
                }
            }
        }
        self.copy = copy;
    }

    fn slow_object(
        &mut self,
        object: &mut [u8],
        tokens: &TokenTable,
        sink: &mut impl FnMut(Message<'_>, &[u8]),
    ) -> Option<()> {
        let original = object.to_vec();
        let base = object.as_ptr() as usize;
        let (fields, foreign, kind) = {
            let read: Object<'_> =
                simd_json::serde::from_slice_with_buffers(object, &mut self.buffers).ok()?;
            let kind = match read.event_type.as_ref() {
                "" if read.price_changes.is_some() => "price_change",
                "" if read.bids.is_some() || read.asks.is_some() => "book",
                "" if !read.price.is_empty() && !read.size.is_empty() => "last_trade_price",
                kind => kind,
            };
            let kind = match kind {
                "price_change" => Kind::Changes,
                "book" => Kind::Book,
                "last_trade_price" => Kind::Print,
                "best_bid_ask" => Kind::Best,
                "tick_size_change" => Kind::Tick,
                "market_resolved" => {
                    let at = wire::time(&read.timestamp)?;
                    self.counts.messages += 1;
                    let winner = tokens.get(read.winning_asset_id.as_bytes());
                    sink(Message::Resolved { market: &read.market, at, winner }, &original);
                    return Some(());
                }
                "new_market" => {
                    let at = wire::time(&read.timestamp)?;
                    self.counts.messages += 1;
                    sink(
                        Message::NewMarket { at, json: core::str::from_utf8(&original).ok()? },
                        &original,
                    );
                    return Some(());
                }
                _ => {
                    self.counts.unknown_kinds += 1;
                    return Some(());
                }
            };
            let span = |text: &Cow<'_, str>| -> Option<Span> {
                if text.is_empty() {
                    return Some(Span::default());
                }
                // simd-json unescapes in place: every text lies inside the buffer.
                let start = (text.as_ptr() as usize).checked_sub(base)?;
                (start + text.len() <= original.len())
                    .then_some(Span(start as u32, (start + text.len()) as u32))
            };
            self.rows.clear();
            self.bids.clear();
            self.asks.clear();
            let mut foreign = 0;
            for change in read.price_changes.iter().flatten() {
                let Some(token) = tokens.get(change.asset_id.as_bytes()) else {
                    foreign += 1;
                    continue;
                };
                let carried = !change.best_bid.is_empty() && !change.best_ask.is_empty();
                self.rows.push(ChangeRow {
                    token,
                    side: side(change.side.as_bytes())?,
                    price: price(change.price.as_bytes())?,
                    size: shares(change.size.as_bytes())?,
                    top: if carried {
                        Some(top(change.best_bid.as_bytes(), change.best_ask.as_bytes())?)
                    } else {
                        None
                    },
                    price_text: span(&change.price)?,
                    size_text: span(&change.size)?,
                    hash: span(&change.hash)?,
                });
            }
            for (from, to) in [(&read.bids, &mut self.bids), (&read.asks, &mut self.asks)] {
                for level in from.iter().flatten() {
                    to.push(LevelRow {
                        price: price(level.price.as_bytes())?,
                        size: shares(level.size.as_bytes())?,
                        price_text: span(&level.price)?,
                        size_text: span(&level.size)?,
                    });
                }
            }
            let fields = Fields {
                kind: Span::default(),
                market: span(&read.market)?,
                asset_id: span(&read.asset_id)?,
                timestamp: span(&read.timestamp)?,
                hash: span(&read.hash)?,
                price: span(&read.price)?,
                size: span(&read.size)?,
                side: span(&read.side)?,
                best_bid: span(&read.best_bid)?,
                best_ask: span(&read.best_ask)?,
                last_trade_price: span(&read.last_trade_price)?,
                tick_size: span(&read.tick_size)?,
                new_tick_size: span(&read.new_tick_size)?,
                transaction: span(&read.transaction_hash)?,
            };
            (fields, foreign, kind)
        };
        // The buffer now holds the texts the spans point to.
        self.emit(kind, &fields, object, tokens, foreign, sink)
    }

    #[cold]
    fn malformed(&mut self, message: &[u8]) {
        self.counts.malformed += 1;
        self.quote = String::from_utf8_lossy(&message[..message.len().min(300)]).into_owned();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Changes,
    Book,
    Print,
    Best,
    Tick,
}

#[derive(Default, Clone, Copy)]
struct Fields {
    kind: Span,
    market: Span,
    asset_id: Span,
    timestamp: Span,
    hash: Span,
    price: Span,
    size: Span,
    side: Span,
    best_bid: Span,
    best_ask: Span,
    last_trade_price: Span,
    tick_size: Span,
    new_tick_size: Span,
    transaction: Span,
}

impl Fields {
    /// Reads `"key":"value"` of the keys that most messages have, without blanks; the place after it.
    /// `None` is no error: the slow path reads the frame.
    #[inline]
    fn plain(&mut self, frame: &[u8], at: usize) -> Option<usize> {
        let (slot, start) = match frame.get(at + 1)? {
            b'm' => {
                let start = literal(frame, at, b"\"market\":\"")?;
                // `0x` and 64 digits; other lengths are read like any other text.
                if let Some(after) = unbroken::<66>(frame, start) {
                    self.market = Span(start as u32, after as u32 - 1);
                    return Some(after);
                }
                (&mut self.market, start)
            }
            b'h' => {
                let start = literal(frame, at, b"\"hash\":\"")?;
                let after = unbroken::<40>(frame, start)?;
                self.hash = Span(start as u32, after as u32 - 1);
                return Some(after);
            }
            b't' => match literal(frame, at, b"\"timestamp\":\"") {
                Some(start) => {
                    let after = unbroken::<13>(frame, start)?;
                    self.timestamp = Span(start as u32, after as u32 - 1);
                    return Some(after);
                }
                None => (&mut self.tick_size, literal(frame, at, b"\"tick_size\":\"")?),
            },
            b'e' => (&mut self.kind, literal(frame, at, b"\"event_type\":\"")?),
            b'a' => (&mut self.asset_id, literal(frame, at, b"\"asset_id\":\"")?),
            _ => return None,
        };
        let (value, after) = string(frame, start - 1)?;
        *slot = value;
        Some(after)
    }

    #[inline]
    fn set(&mut self, name: &[u8], value: Span) {
        let slot = match name {
            b"asset_id" => &mut self.asset_id,
            b"price" => &mut self.price,
            b"size" => &mut self.size,
            b"side" => &mut self.side,
            b"hash" => &mut self.hash,
            b"best_bid" => &mut self.best_bid,
            b"best_ask" => &mut self.best_ask,
            b"market" => &mut self.market,
            b"timestamp" => &mut self.timestamp,
            b"event_type" => &mut self.kind,
            b"last_trade_price" => &mut self.last_trade_price,
            b"tick_size" => &mut self.tick_size,
            b"new_tick_size" => &mut self.new_tick_size,
            b"transaction_hash" => &mut self.transaction,
            _ => return,
        };
        *slot = value;
    }

    #[inline]
    fn change(&self, frame: &[u8], token: Token) -> Option<ChangeRow> {
        Some(ChangeRow {
            token,
            side: side(self.side.of(frame))?,
            price: price(self.price.of(frame))?,
            size: shares(self.size.of(frame))?,
            top: self.top(frame)?,
            price_text: self.price,
            size_text: self.size,
            hash: self.hash,
        })
    }

    /// Both best prices, where both are carried. An empty bid side is sent as 0, an empty ask side as 1 or 0.
    #[inline]
    fn top(&self, frame: &[u8]) -> Option<Option<Top>> {
        if self.best_bid.is_empty() || self.best_ask.is_empty() {
            return Some(None);
        }
        Some(Some(top(self.best_bid.of(frame), self.best_ask.of(frame))?))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object<'f> {
    #[serde(borrow)]
    event_type: Cow<'f, str>,
    #[serde(borrow)]
    market: Cow<'f, str>,
    #[serde(borrow)]
    asset_id: Cow<'f, str>,
    #[serde(borrow)]
    timestamp: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    hash: Cow<'f, str>,
    #[serde(borrow)]
    bids: Option<Vec<Level<'f>>>,
    #[serde(borrow)]
    asks: Option<Vec<Level<'f>>>,
    #[serde(borrow)]
    price_changes: Option<Vec<Change<'f>>>,
    #[serde(borrow, deserialize_with = "loose")]
    price: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    size: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    side: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    best_bid: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    best_ask: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    last_trade_price: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    tick_size: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    new_tick_size: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    transaction_hash: Cow<'f, str>,
    #[serde(borrow, deserialize_with = "loose")]
    winning_asset_id: Cow<'f, str>,
}

#[derive(Deserialize)]
struct Level<'f> {
    #[serde(borrow)]
    price: Cow<'f, str>,
    #[serde(borrow)]
    size: Cow<'f, str>,
}

#[derive(Deserialize)]
struct Change<'f> {
    #[serde(borrow)]
    asset_id: Cow<'f, str>,
    #[serde(borrow)]
    price: Cow<'f, str>,
    #[serde(borrow)]
    size: Cow<'f, str>,
    #[serde(borrow)]
    side: Cow<'f, str>,
    #[serde(borrow, default, deserialize_with = "loose")]
    hash: Cow<'f, str>,
    #[serde(borrow, default, deserialize_with = "loose")]
    best_bid: Cow<'f, str>,
    #[serde(borrow, default, deserialize_with = "loose")]
    best_ask: Cow<'f, str>,
}

/// Text; null counts as empty.
fn loose<'f, D: serde::Deserializer<'f>>(from: D) -> Result<Cow<'f, str>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'f>(#[serde(borrow)] Cow<'f, str>);
    Ok(Option::<Text<'f>>::deserialize(from)?.map(|text| text.0).unwrap_or_default())
}

#[inline]
fn skip_blanks(frame: &[u8], mut at: usize) -> usize {
    while matches!(frame.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// A string without escapes beginning at `at`: its span, and the place after it.
#[inline]
fn string(frame: &[u8], at: usize) -> Option<(Span, usize)> {
    if frame.get(at) != Some(&b'"') {
        return None;
    }
    let start = at + 1;
    let mut end = start;
    // Eight bytes at a time: a byte equal to `"` or `\`, or below a blank, becomes zero or borrows.
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = frame.get(end..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let zero_in = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        let quote = zero_in(word ^ (ONES * b'"' as u64));
        let escape = zero_in(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = quote | escape | control;
        if found != 0 {
            end += (found.trailing_zeros() / 8) as usize;
            return (frame[end] == b'"').then_some((Span(start as u32, end as u32), end + 1));
        }
        end += 8;
    }
    while let Some(&byte) = frame.get(end) {
        match byte {
            b'"' => return Some((Span(start as u32, end as u32), end + 1)),
            b'\\' | 0..0x20 => return None,
            _ => end += 1,
        }
    }
    None
}

/// The place after `text`, if it stands at `at`.
#[inline(always)]
fn literal<const N: usize>(frame: &[u8], at: usize, text: &[u8; N]) -> Option<usize> {
    (frame.get(at..)?.first_chunk::<N>()? == text).then_some(at + N)
}

/// The place after the quote that ends a text of exactly `N` bytes without escapes.
#[inline(always)]
fn unbroken<const N: usize>(frame: &[u8], at: usize) -> Option<usize> {
    let (text, rest) = frame.get(at..)?.split_first_chunk::<N>()?;
    let broken = text
        .iter()
        .fold(false, |broken, byte| broken | (*byte == b'"') | (*byte == b'\\') | (*byte < 0x20));
    (!broken && rest.first() == Some(&b'"')).then_some(at + N + 1)
}

/// A price of the usual form (`0.5` to `0.5555`), its text, and the place after its quote.
#[inline(always)]
fn plain_price(frame: &[u8], at: usize) -> Option<(Price, Span, usize)> {
    let text = frame.get(at..)?.first_chunk::<7>()?;
    if text[0] != b'0' || text[1] != b'.' {
        return None;
    }
    let digit = |i: usize| u16::from(text[i].wrapping_sub(b'0'));
    let (mut units, mut after, mut grain) = (0u16, 2, 1_000u16);
    while after < 6 {
        let next = digit(after);
        if next > 9 {
            break;
        }
        units = units.wrapping_add(next.wrapping_mul(grain));
        grain /= 10;
        after += 1;
    }
    if after == 2 || text[after] != b'"' {
        return None;
    }
    Some((Price::new(units)?, Span(at as u32, (at + after) as u32), at + after + 1))
}

/// A size of the usual form (up to eight digits, up to six decimals), its text, and the place after its
/// quote.
#[inline(always)]
fn plain_size(frame: &[u8], at: usize) -> Option<(Shares, Span, usize)> {
    const GRAINS: [u64; 7] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let text = frame.get(at..)?.first_chunk::<17>()?;
    let (mut micros, mut after) = (0u64, 0usize);
    while after < 8 {
        let digit = text[after].wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        micros = micros.wrapping_mul(10).wrapping_add(u64::from(digit));
        after += 1;
    }
    if after == 0 {
        return None;
    }
    let mut decimals = 0usize;
    if text[after] == b'.' {
        after += 1;
        while decimals < 6 {
            let digit = text[after].wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            micros = micros.wrapping_mul(10).wrapping_add(u64::from(digit));
            after += 1;
            decimals += 1;
        }
    }
    if text[after] != b'"' {
        return None;
    }
    let shares = Shares::new(micros.wrapping_mul(GRAINS[decimals]));
    Some((shares, Span(at as u32, (at + after) as u32), at + after + 1))
}

/// An entry of a `price_change` as the venue writes them: known keys in any order, no blanks, plain
/// numbers, a subscribed token. `None` is no error: the slow path reads the frame.
#[inline]
fn entry(frame: &[u8], at: usize, tokens: &TokenTable) -> Option<(ChangeRow, usize)> {
    let (mut token, mut side, mut price, mut size) = (None, None, None, None);
    let (mut bid, mut ask, mut hash) = (None, None, Span::default());
    if frame.get(at) != Some(&b'{') {
        return None;
    }
    let mut at = at + 1;
    loop {
        at = match frame.get(at + 1)? {
            b'a' => {
                let (found, after) = tokens.scan(frame, literal(frame, at, b"\"asset_id\":\"")?)?;
                token = Some(found);
                after
            }
            b'p' => {
                let found = plain_price(frame, literal(frame, at, b"\"price\":\"")?)?;
                price = Some((found.0, found.1));
                found.2
            }
            b's' => match literal(frame, at, b"\"size\":\"") {
                Some(start) => {
                    let found = plain_size(frame, start)?;
                    size = Some((found.0, found.1));
                    found.2
                }
                None => match literal(frame, at, b"\"side\":\"BUY\"") {
                    Some(after) => {
                        side = Some(Side::Buy);
                        after
                    }
                    None => {
                        let after = literal(frame, at, b"\"side\":\"SELL\"")?;
                        side = Some(Side::Sell);
                        after
                    }
                },
            },
            b'h' => {
                let start = literal(frame, at, b"\"hash\":\"")?;
                let after = unbroken::<40>(frame, start)?;
                hash = Span(start as u32, after as u32 - 1);
                after
            }
            b'b' => match literal(frame, at, b"\"best_bid\":\"") {
                Some(start) => {
                    let found = plain_price(frame, start)?;
                    bid = Some(found.0);
                    found.2
                }
                None => {
                    let found = plain_price(frame, literal(frame, at, b"\"best_ask\":\"")?)?;
                    ask = Some(found.0);
                    found.2
                }
            },
            _ => return None,
        };
        match frame.get(at)? {
            b',' => at += 1,
            b'}' => break,
            _ => return None,
        }
    }
    let ((price, price_text), (size, size_text)) = (price?, size?);
    let top = match (bid, ask) {
        (Some(bid), Some(ask)) => Some(inside(bid, ask)),
        _ => None,
    };
    let (token, side) = (token?, side?);
    Some((ChangeRow { token, side, price, size, top, price_text, size_text, hash }, at + 1))
}

/// A level as the venue writes them; the rest is left to the careful way.
#[inline(always)]
fn level(frame: &[u8], at: usize) -> Option<(LevelRow, usize)> {
    let at = literal(frame, at, b"{\"price\":\"")?;
    let (price, price_text, at) = plain_price(frame, at)?;
    let at = literal(frame, at, b",\"size\":\"")?;
    let (size, size_text, at) = plain_size(frame, at)?;
    let after = literal(frame, at, b"}")?;
    Some((LevelRow { price, size, price_text, size_text }, after))
}

fn levels(frame: &[u8], at: usize, to: &mut Vec<LevelRow>) -> Option<usize> {
    if frame.get(at) != Some(&b'[') {
        return None;
    }
    let mut at = skip_blanks(frame, at + 1);
    if frame.get(at) == Some(&b']') {
        return Some(at + 1);
    }
    loop {
        if let Some((row, after)) = level(frame, at) {
            to.push(row);
            match frame.get(after)? {
                b',' => {
                    at = after + 1;
                    continue;
                }
                b']' => return Some(after + 1),
                // Blanks: read again below.
                _ => drop(to.pop()),
            }
        }
        at = skip_blanks(frame, at);
        if frame.get(at) != Some(&b'{') {
            return None;
        }
        at += 1;
        let (mut price_text, mut size_text) = (Span::default(), Span::default());
        loop {
            at = skip_blanks(frame, at);
            let (key, after) = string(frame, at)?;
            at = skip_blanks(frame, after);
            if frame.get(at) != Some(&b':') {
                return None;
            }
            let (value, after) = string(frame, skip_blanks(frame, at + 1))?;
            match key.of(frame) {
                b"price" => price_text = value,
                b"size" => size_text = value,
                _ => return None,
            }
            at = skip_blanks(frame, after);
            match frame.get(at)? {
                b',' => at += 1,
                b'}' => {
                    at += 1;
                    break;
                }
                _ => return None,
            }
        }
        to.push(LevelRow {
            price: price(price_text.of(frame))?,
            size: shares(size_text.of(frame))?,
            price_text,
            size_text,
        });
        at = skip_blanks(frame, at);
        match frame.get(at)? {
            b',' => at = skip_blanks(frame, at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// A decimal scaled by a power of ten; `None` for anything finer, larger or malformed.
#[inline]
fn scaled(text: &[u8], decimals: u32) -> Option<u64> {
    if text.is_empty() || text.len() > 24 {
        return None;
    }
    let (mut value, mut digits, mut after, mut point) = (0u64, 0u32, 0u32, false);
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                if point && after == decimals {
                    // More decimals are accepted only if they are zero.
                    if digit != 0 {
                        return None;
                    }
                } else {
                    value = value.checked_mul(10)?.checked_add(digit)?;
                    after += u32::from(point);
                }
                digits += 1;
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    if digits == 0 {
        return None;
    }
    value.checked_mul(10u64.pow(decimals - after))
}

#[inline]
fn price(text: &[u8]) -> Option<Price> {
    scaled(text, 4).and_then(|units| u16::try_from(units).ok()).and_then(Price::new)
}

#[inline]
fn shares(text: &[u8]) -> Option<Shares> {
    scaled(text, 6).map(Shares::new).filter(|shares| *shares <= Shares::SANE_MAX)
}

#[inline]
fn side(text: &[u8]) -> Option<Side> {
    match text {
        b"BUY" => Some(Side::Buy),
        b"SELL" => Some(Side::Sell),
        _ => None,
    }
}

/// An empty bid side is sent as 0, an empty ask side as 1 (or 0).
fn top(bid: &[u8], ask: &[u8]) -> Option<Top> {
    Some(inside(price(bid)?, price(ask)?))
}

#[inline]
fn inside(bid: Price, ask: Price) -> Top {
    let inside = |price: &Price| *price != Price::ZERO && *price != Price::ONE;
    Top::new(Some(bid).filter(inside), Some(ask).filter(inside))
}

fn tick(text: &[u8]) -> Option<Tick> {
    scaled(text, 4).and_then(|units| u16::try_from(units).ok()).and_then(Tick::from_units)
}

/// Unix milliseconds (seconds, by magnitude).
#[inline]
fn millis(text: &[u8]) -> Option<Time> {
    let number = scaled(text, 0)?;
    match number {
        100_000_000_000..100_000_000_000_000 => Some(Time::from_millis(number as i64)),
        0..100_000_000_000 => Some(Time::from_secs(number as i64)),
        _ => None,
    }
}
