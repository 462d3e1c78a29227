//! Events of a market feed.

use std::sync::Arc;

use core::num::NonZeroU32;

use crate::{Market, MarketKey, MarketState, Price, Shares, Side, Tick, Token};

/// Public market data and market facts.
#[derive(Debug, Clone, PartialEq)]
pub enum MarketEvent {
    /// A market became known, or its facts changed.
    Listed {
        /// Its key in this process, assigned where the order of events is made (tape reader, inbox) and
        /// checked by every other reader.
        key: MarketKey,
        /// Its facts.
        market: Arc<Market>,
    },
    /// A market is over and flat: its memory is freed, its key is never used again.
    Delisted {
        /// Market, by its dense key.
        market: MarketKey,
    },
    /// A level's new total size.
    Level(LevelChange),
    /// A whole book as it is now.
    Snapshot(Arc<BookSnapshot>),
    /// A public trade on one of the two tokens.
    Print(Print),
    /// The best prices, without a level (`best_bid_ask`).
    Best {
        /// Token of the book.
        token: Token,
        /// The best prices.
        top: Top,
    },
    /// An announced tick size change: the book is invalidated until the next snapshot.
    Tick {
        /// Market, by its dense key.
        market: MarketKey,
        /// The new tick size.
        tick: Tick,
    },
    /// The market's state changed; a resolution carries the payouts.
    State {
        /// Market, by its dense key.
        market: MarketKey,
        /// The new state.
        state: MarketState,
    },
    /// The stream was interrupted: books are invalidated until their next snapshot.
    Interrupted(Interruption),
    /// The last proof that a market's book is current is too old (`on`), or a new one came.
    Unverified {
        /// Market, by its dense key.
        market: MarketKey,
        /// Whether the proof is too old. Any book message of the market ends it too.
        on: bool,
    },
    /// A price of something outside the venue.
    Reference(Arc<Reference>),
}

/// The best prices of one token's book as the venue states them; `None` is an empty side.
///
/// Four bytes: it travels with every level change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Top(NonZeroU32);

impl Top {
    /// From both sides.
    pub const fn new(bid: Option<Price>, ask: Option<Price>) -> Top {
        const fn code(price: Option<Price>) -> u32 {
            match price {
                None => 1,
                Some(price) => price.units() as u32 + 2,
            }
        }
        match NonZeroU32::new(code(bid) << 16 | code(ask)) {
            Some(both) => Top(both),
            // Codes begin at one.
            None => Top(NonZeroU32::MIN),
        }
    }
    /// Best bid.
    pub const fn bid(self) -> Option<Price> {
        Top::side((self.0.get() >> 16) as u16)
    }
    /// Best ask.
    pub const fn ask(self) -> Option<Price> {
        Top::side(self.0.get() as u16)
    }
    const fn side(code: u16) -> Option<Price> {
        if code < 2 { None } else { Price::new(code - 2) }
    }
}

impl core::fmt::Debug for Top {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Top").field("bid", &self.bid()).field("ask", &self.ask()).finish()
    }
}

/// One entry of a `price_change`: the **new total** at a level, zero removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelChange {
    /// Which token's book; the other outcome's is the exact mirror.
    pub token: Token,
    /// `BUY` is the bid side.
    pub side: Side,
    /// The level.
    pub price: Price,
    /// Its new total size.
    pub size: Shares,
    /// Best prices after the whole batch, where carried.
    pub top: Option<Top>,
}

/// A whole book of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookSnapshot {
    /// Token of the book.
    pub token: Token,
    /// Levels in any order.
    pub bids: Vec<(Price, Shares)>,
    /// Levels in any order.
    pub asks: Vec<(Price, Shares)>,
}

/// A public trade. The published side is the taker's. A study of chain data found two in five to differ; in the
/// two recordings at hand whose level changes show the aggressor, 828 of 838 agree with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// The token it was published on.
    pub token: Token,
    /// The taker's side as published.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Size.
    pub size: Shares,
}

/// An interruption of a market's stream, or of all (`None`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interruption {
    /// Which market, or all of them.
    pub market: Option<MarketKey>,
}

/// A price of something outside the venue: a coin, a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `btcusdt`, as the source writes it.
    pub symbol: String,
    /// Millionths of the quote currency.
    pub price_micros: i64,
}
