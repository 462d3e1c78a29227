//! What importers read out of recordings, before a sink makes events of it.

use polydesk_domain::{ConditionId, Price, Shares, Side, Time, TokenId};

/// A fact of a recording, by the venue's ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    Level {
        token: TokenId,
        side: Side,
        price: Price,
        size: Shares,
        top: Option<Best>,
    },
    Print {
        token: TokenId,
        side: Side,
        price: Price,
        size: Shares,
    },
    Best {
        token: TokenId,
        top: Best,
    },
    Snapshot {
        token: TokenId,
        bids: Vec<(Price, Shares)>,
        asks: Vec<(Price, Shares)>,
    },
    Tick {
        token: TokenId,
        units: u16,
    },
    Closed {
        condition: ConditionId,
    },
    Resolved {
        condition: ConditionId,
        yes_micros: u32,
    },
    /// The stream was interrupted: invalidates the book of one market, or of all.
    Interruption {
        token: Option<TokenId>,
    },
    /// Concerns all markets of the recording.
    Article {
        source: String,
        title: String,
        body: String,
    },
}

/// Best prices as stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Best {
    pub bid: Option<Price>,
    pub ask: Option<Price>,
}

/// A fact with its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When the recorder received it, where that was recorded.
    pub received: Option<Time>,
    /// The venue's timestamp.
    pub venue: Time,
    pub fact: Fact,
}
