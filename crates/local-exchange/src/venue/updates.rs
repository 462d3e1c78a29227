//! Updates that the venue publishes. Each contains all its data, so that a delayed frame shows the state
//! at its own time.

use polydesk_domain::{MarketKey, Price, Shares, Side, Tick, Time, Token};

use super::{BookView, Order, Trade, Venue};

/// A changed level of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelUpdate {
    /// Token of the book.
    pub token: Token,
    /// Bids or asks.
    pub side: Side,
    /// Price of the level.
    pub price: Price,
    /// New total size in shares.
    pub size: Shares,
    /// Hash of the book after it.
    pub hash: String,
    /// Best bid after it.
    pub bid: Option<Price>,
    /// Best ask after it.
    pub ask: Option<Price>,
}

/// The kind of an order update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderChange {
    /// Resting.
    Placement,
    /// Partly matched as a maker.
    Update,
    /// Removed from the book.
    Cancellation,
}

/// One piece of update.
#[derive(Debug, Clone, PartialEq)]
pub enum VenueUpdate {
    /// Levels of one market changed together.
    Levels {
        /// Which market.
        market: MarketKey,
        /// Venue time.
        at: Time,
        /// Both tokens' levels.
        changes: Vec<LevelUpdate>,
    },
    /// A trade.
    Print {
        /// The taker's token.
        token: Token,
        /// Price of one level.
        price: Price,
        /// Shares there.
        size: Shares,
        /// The taker's side.
        side: Side,
        /// Venue time.
        at: Time,
    },
    /// A whole book.
    Book(Box<BookView>),
    /// The best prices of a token changed.
    Top {
        /// Whose.
        token: Token,
        /// Best bid.
        bid: Option<Price>,
        /// Best ask.
        ask: Option<Price>,
        /// Venue time.
        at: Time,
    },
    /// The tick size changed.
    Tick {
        /// Which market.
        market: MarketKey,
        /// Tick size before.
        old: Tick,
        /// Tick size now.
        new: Tick,
        /// Venue time.
        at: Time,
    },
    /// A market was listed.
    Listed {
        /// Which.
        market: MarketKey,
        /// Venue time.
        at: Time,
    },
    /// A market is resolved.
    Resolved {
        /// Which.
        market: MarketKey,
        /// Token that pays, if one outcome pays all.
        winner: Option<Token>,
        /// Venue time.
        at: Time,
    },
    /// An order changed.
    Order {
        /// How.
        what: OrderChange,
        /// As it is now.
        order: Box<Order>,
        /// Venue time.
        at: Time,
    },
    /// A trade was made or its status changed.
    Trade {
        /// As it is now.
        trade: Box<Trade>,
        /// Venue time.
        at: Time,
    },
}

impl Venue {
    pub(super) fn tell(&mut self, update: VenueUpdate) {
        self.updates.push(update);
    }

    pub(super) fn tell_order(&mut self, what: OrderChange, order: Order) {
        let at = self.now;
        self.tell(VenueUpdate::Order { what, order: Box::new(order), at });
    }

    pub(super) fn tell_trade(&mut self, trade: Trade) {
        let at = self.now;
        self.tell(VenueUpdate::Trade { trade: Box::new(trade), at });
    }
}
