//! The venue's book hash, kept checkable: each token's book with its texts exactly as received.
//!
//! The hash in a `price_change` describes the book after the **whole** batch of frames with its
//! timestamp, so a book is checked when the token's next timestamp comes, or when it has been quiet.

use std::collections::BTreeMap;

use polydesk_domain::{HashInput, RawLevel, book_hash};

/// What goes into the hash besides levels; both tokens of a market share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Constants {
    pub market: String,
    pub tick_size: Option<String>,
    pub min_order_size: Option<String>,
    pub neg_risk: Option<bool>,
    pub last_trade_price: Option<String>,
    /// Venue time of the last tick size change.
    pub tick_at: Option<polydesk_domain::Time>,
    /// Tick size reported to the consumer, by an event or by its first book.
    pub reported_tick: Option<polydesk_domain::Tick>,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Equal to the venue's.
    Equal,
    /// Not equal: the book here is not the venue's.
    Differs,
    /// A constant is not known yet.
    Unknown,
}

type Texts = (Box<str>, Box<str>);

/// One token's book in texts.
#[derive(Debug, Default)]
pub(crate) struct TextBook {
    bids: BTreeMap<u16, Texts>,
    asks: BTreeMap<u16, Texts>,
    /// The last hash received and its timestamp; the buffers are reused.
    timestamp: String,
    hash: String,
    waits: bool,
}

impl TextBook {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.hash.clear();
        self.waits = false;
    }

    /// A level of a whole book.
    pub fn load(&mut self, bid: bool, price: u16, price_text: &str, size_text: &str) {
        self.side(bid).insert(price, (price_text.into(), size_text.into()));
    }

    /// A level's new total.
    pub fn change(&mut self, bid: bool, price: u16, gone: bool, price_text: &str, size_text: &str) {
        if gone {
            self.side(bid).remove(&price);
        } else if let Some(level) = self.side(bid).get_mut(&price) {
            // The usual case: the same level again, with another size.
            if &*level.0 != price_text {
                level.0 = price_text.into();
            }
            level.1 = size_text.into();
        } else {
            self.load(bid, price, price_text, size_text);
        }
    }

    /// The hash the venue gave for the state after the batch of `timestamp`.
    pub fn expect(&mut self, timestamp: &str, hash: &str) {
        if !hash.is_empty() {
            for (slot, text) in [(&mut self.timestamp, timestamp), (&mut self.hash, hash)] {
                slot.clear();
                slot.push_str(text);
            }
            self.waits = true;
        }
    }

    /// Whether a hash of an earlier batch waits to be checked.
    pub fn due(&self, timestamp: &str) -> bool {
        self.waits && self.timestamp != timestamp
    }
    /// Whether any hash waits to be checked.
    pub fn waits(&self) -> bool {
        self.waits
    }
    /// Does without the hash that waits; whether there was one.
    pub fn give_up(&mut self) -> bool {
        std::mem::take(&mut self.waits)
    }
    /// The last hash received, checked or not; empty when none was.
    pub fn last_hash(&self) -> &str {
        &self.hash
    }

    /// Best bid and best ask, in price units.
    pub fn best(&self) -> (Option<u16>, Option<u16>) {
        let first = |level: Option<(&u16, &Texts)>| level.map(|(price, _)| *price);
        (first(self.bids.last_key_value()), first(self.asks.first_key_value()))
    }

    /// Checks what waits. The waiting hash is used up.
    pub fn check(&mut self, asset_id: &str, constants: &Constants) -> Verdict {
        if !std::mem::take(&mut self.waits) {
            return Verdict::Unknown;
        }
        let (Some(tick_size), Some(min_order_size), Some(neg_risk), Some(last_trade_price)) = (
            &constants.tick_size,
            &constants.min_order_size,
            constants.neg_risk,
            &constants.last_trade_price,
        ) else {
            return Verdict::Unknown;
        };
        fn raw(level: &Texts) -> RawLevel<'_> {
            RawLevel { price: &level.0, size: &level.1 }
        }
        let bids: Vec<RawLevel<'_>> = self.bids.values().map(raw).collect();
        let asks: Vec<RawLevel<'_>> = self.asks.values().rev().map(raw).collect();
        let ours = book_hash(&HashInput {
            market: &constants.market,
            asset_id,
            timestamp: &self.timestamp,
            bids: &bids,
            asks: &asks,
            min_order_size,
            tick_size,
            neg_risk,
            last_trade_price: Some(last_trade_price),
        });
        if ours == self.hash { Verdict::Equal } else { Verdict::Differs }
    }

    fn side(&mut self, bid: bool) -> &mut BTreeMap<u16, Texts> {
        if bid { &mut self.bids } else { &mut self.asks }
    }
}
