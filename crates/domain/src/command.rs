//! Everything that can be asked of the world. Sending returns nothing: outcomes come back as events.

use crate::{
    AskId, BasketId, ClientOrderId, ConversionId, MarketKey, Price, Shares, Side, SignalId, Size,
    StrategyId, Tif, Time, Token,
};

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send orders in one request, at most [`Command::BATCH`]: those of one signal or basket.
    Place(Vec<PlaceOrder>),
    /// Cancel one order. Never waits behind anything.
    Cancel(ClientOrderId),
    /// Cancel all our orders, of one market or everywhere.
    CancelAll(Option<MarketKey>),
    /// Ask what became of something whose answer was lost.
    Query(Query),
    /// Turn pUSD into complete sets, back, or a result into pUSD.
    Convert {
        /// Names the answer.
        id: ConversionId,
        /// For whom.
        strategy: StrategyId,
        /// Which market.
        market: MarketKey,
        /// What to do.
        action: Conversion,
    },
    /// Ask a model. Answered by a forecast or by `NoForecast` with this id.
    Ask {
        /// Names the answer.
        id: AskId,
        /// About which market.
        market: MarketKey,
        /// Nothing first seen later may be used.
        evidence_until: Time,
    },
}

impl Command {
    /// The most orders one request can carry (the venue's batch endpoint).
    pub const BATCH: usize = 15;
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// An order: answered by its state and by all its trades with their present status.
    Order(ClientOrderId),
    /// A conversion: answered by its cash event.
    Conversion(ConversionId),
}

/// An order to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Our name for it.
    pub id: ClientOrderId,
    /// Who wants it.
    pub strategy: StrategyId,
    /// The signal it came from; exits have none.
    pub signal: Option<SignalId>,
    /// The basket it is a leg of.
    pub basket: Option<BasketId>,
    /// Which token.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// Limit, the worst acceptable price.
    pub price: Price,
    /// How much.
    pub size: Size,
    /// How long.
    pub tif: Tif,
    /// Refuse rather than take.
    pub post_only: bool,
    /// When it was decided.
    pub decided_at: Time,
    /// The last proof that the book it was priced from is current.
    pub data_at: Time,
    /// Not to be sent from then on, and cancelled where it rests; [`Time::MAX`]: never.
    pub expires: Time,
}

/// An operation on complete sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversion {
    /// One pUSD becomes one YES and one NO, per share.
    Split(Shares),
    /// One YES and one NO become one pUSD, per share.
    Merge(Shares),
    /// All shares of a resolved market become what they pay.
    Redeem,
}
