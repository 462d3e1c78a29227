//! What others may hear of: complete in itself, so that a frame can be late and still tell its moment.

use polydesk_domain::{MarketKey, Price, Shares, Side, Tick, Time, Token};

use super::{BookView, Order, Trade, Venue};

/// A changed level of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelNews {
    /// Whose book.
    pub token: Token,
    /// Bids or asks.
    pub side: Side,
    /// Which level.
    pub price: Price,
    /// Its new total.
    pub size: Shares,
    /// Hash of the book after it.
    pub hash: String,
    /// Best bid after it.
    pub bid: Option<Price>,
    /// Best ask after it.
    pub ask: Option<Price>,
}

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderNews {
    /// It rests.
    Placement,
    /// Part of it matched as a maker.
    Update,
    /// It is gone.
    Cancellation,
}

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// Levels of one market changed together.
    Levels {
        /// Which market.
        market: MarketKey,
        /// When.
        at: Time,
        /// Both tokens' levels.
        changes: Vec<LevelNews>,
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
        /// When.
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
        /// When.
        at: Time,
    },
    /// The grid changed.
    Tick {
        /// Which market.
        market: MarketKey,
        /// Before.
        old: Tick,
        /// Now.
        new: Tick,
        /// When.
        at: Time,
    },
    /// A market is new.
    Listed {
        /// Which.
        market: MarketKey,
        /// When.
        at: Time,
    },
    /// A market is resolved.
    Resolved {
        /// Which.
        market: MarketKey,
        /// Token that pays, if one outcome pays all.
        winner: Option<Token>,
        /// When.
        at: Time,
    },
    /// An order changed.
    Order {
        /// How.
        what: OrderNews,
        /// As it is now.
        order: Box<Order>,
        /// When.
        at: Time,
    },
    /// A trade was made or its status changed.
    Trade {
        /// As it is now.
        trade: Box<Trade>,
        /// When.
        at: Time,
    },
}

impl Venue {
    pub(super) fn tell(&mut self, news: News) {
        self.news.push(news);
    }

    pub(super) fn tell_order(&mut self, what: OrderNews, order: Order) {
        let at = self.now;
        self.tell(News::Order { what, order: Box::new(order), at });
    }

    pub(super) fn tell_trade(&mut self, trade: Trade) {
        let at = self.now;
        self.tell(News::Trade { trade: Box::new(trade), at });
    }
}
