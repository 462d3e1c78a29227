//! Checks rebuilt books against the venue's own hashes, with the strings exactly as received.
//!
//! The hash of a price change describes the book after the whole batch of frames with its timestamp,
//! so a book is checked when the next timestamp comes, or at the end.

use std::collections::BTreeMap;

use polydesk_domain::{HashInput, RawLevel, book_hash};
use rust_decimal::Decimal;
use serde_json::Value;

use super::cells::parse_decimal;
use super::shapes::{entries, kind};

/// What goes into the hash and is the same for both tokens of a market.
#[derive(Default)]
struct Constants {
    tick_size: Option<String>,
    min_order_size: Option<String>,
    neg_risk: Option<bool>,
    last_trade_price: Option<String>,
}

/// One token's book in raw strings, by price.
#[derive(Default)]
struct RawBook {
    market: String,
    bids: BTreeMap<Decimal, (String, String)>,
    asks: BTreeMap<Decimal, (String, String)>,
    /// Whether it began with a snapshot.
    has_snapshot: bool,
    /// Timestamp and hash still to be checked.
    pending: Option<(String, String)>,
}

/// Rebuilds and checks.
#[derive(Default)]
pub(crate) struct HashCheck {
    constants: BTreeMap<String, Constants>,
    books: BTreeMap<String, RawBook>,
    pub ok: u64,
    pub mismatches: u64,
    pub unchecked: u64,
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

impl HashCheck {
    /// Notes constants a frame, or the wrapper beside it, states.
    pub fn facts(&mut self, frame: &Value, beside: &Value) {
        let Some(market) = text(frame, "market") else { return };
        let constants = self.constants.entry(market.to_owned()).or_default();
        for source in [beside, frame] {
            let take = |slot: &mut Option<String>, name: &str| {
                if let Some(value) = text(source, name) {
                    *slot = Some(value.to_owned());
                }
            };
            take(&mut constants.tick_size, "tick_size");
            take(&mut constants.min_order_size, "min_order_size");
            take(&mut constants.last_trade_price, "last_trade_price");
            if let Some(flag) = source.get("neg_risk").and_then(Value::as_bool) {
                constants.neg_risk = Some(flag);
            }
        }
    }

    /// Applies a frame to the raw books.
    pub fn frame(&mut self, frame: &Value) {
        let Some(market) = text(frame, "market") else { return };
        let timestamp = text(frame, "timestamp").unwrap_or("");
        match kind(frame) {
            "price_change" => {
                for entry in entries(frame) {
                    self.change(market, timestamp, entry);
                }
            }
            "book" => self.book(market, timestamp, frame),
            "last_trade_price" => {
                if let Some(price) = text(frame, "price") {
                    let constants = self.constants.entry(market.to_owned()).or_default();
                    constants.last_trade_price = Some(price.to_owned());
                }
            }
            "tick_size_change" => {
                let constants = self.constants.entry(market.to_owned()).or_default();
                constants.tick_size = text(frame, "new_tick_size").map(str::to_owned);
                for book in self.books.values_mut().filter(|book| book.market == market) {
                    (book.has_snapshot, book.pending) = (false, None);
                }
            }
            _ => (),
        }
    }

    fn book(&mut self, market: &str, timestamp: &str, frame: &Value) {
        let Some(token) = text(frame, "asset_id") else { return };
        self.settle(token, timestamp);
        let mut book =
            RawBook { market: market.to_owned(), has_snapshot: true, ..RawBook::default() };
        for (name, levels) in [("bids", &mut book.bids), ("asks", &mut book.asks)] {
            let Some(Value::Array(raw)) = frame.get(name) else { continue };
            for level in raw {
                if let (Some(price), Some(size)) = (text(level, "price"), text(level, "size"))
                    && let Some(key) = parse_decimal(price)
                {
                    levels.insert(key, (price.to_owned(), size.to_owned()));
                }
            }
        }
        let hash = text(frame, "hash").filter(|hash| !hash.is_empty());
        book.pending = hash.map(|hash| (timestamp.to_owned(), hash.to_owned()));
        self.books.insert(token.to_owned(), book);
    }

    fn change(&mut self, market: &str, timestamp: &str, entry: &Value) {
        let Some(token) = text(entry, "asset_id") else { return };
        self.settle(token, timestamp);
        let book = self.books.entry(token.to_owned()).or_default();
        book.market = market.to_owned();
        let (Some(price), Some(size)) = (text(entry, "price"), text(entry, "size")) else { return };
        let (Some(key), Some(amount)) = (parse_decimal(price), parse_decimal(size)) else { return };
        let side = match text(entry, "side") {
            Some("BUY") => &mut book.bids,
            Some("SELL") => &mut book.asks,
            _ => return,
        };
        if amount.is_zero() {
            side.remove(&key);
        } else {
            side.insert(key, (price.to_owned(), size.to_owned()));
        }
        if let Some(hash) = text(entry, "hash").filter(|hash| !hash.is_empty()) {
            book.pending = Some((timestamp.to_owned(), hash.to_owned()));
        }
    }

    /// Checks a token's book if its batch is over.
    fn settle(&mut self, token: &str, timestamp: &str) {
        let Some(book) = self.books.get_mut(token) else { return };
        if book.pending.as_ref().is_some_and(|(pending, _)| pending != timestamp) {
            self.check(token);
        }
    }

    /// Checks every book whose last batch is still open: the recording is over.
    pub fn finish(&mut self) {
        let tokens: Vec<String> = self.books.keys().cloned().collect();
        for token in tokens {
            self.check(&token);
        }
    }

    fn check(&mut self, token: &str) {
        let Some(book) = self.books.get_mut(token) else { return };
        let Some((timestamp, hash)) = book.pending.take() else { return };
        let constants = self.constants.entry(book.market.clone()).or_default();
        let (Some(tick_size), Some(min_order_size), Some(neg_risk), Some(last_trade_price), true) = (
            &constants.tick_size,
            &constants.min_order_size,
            constants.neg_risk,
            &constants.last_trade_price,
            book.has_snapshot,
        ) else {
            self.unchecked += 1;
            return;
        };
        fn raw((price, size): &(String, String)) -> RawLevel<'_> {
            RawLevel { price, size }
        }
        let bids: Vec<RawLevel<'_>> = book.bids.values().map(raw).collect();
        let asks: Vec<RawLevel<'_>> = book.asks.values().rev().map(raw).collect();
        let computed = book_hash(&HashInput {
            market: &book.market,
            asset_id: token,
            timestamp: &timestamp,
            bids: &bids,
            asks: &asks,
            min_order_size,
            tick_size,
            neg_risk,
            last_trade_price: Some(last_trade_price),
        });
        if computed == hash {
            self.ok += 1;
        } else {
            self.mismatches += 1;
        }
    }
}
