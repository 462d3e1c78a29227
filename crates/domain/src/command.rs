//! Commands: requests to the venue and to models. Results come back as events.

use crate::{
    AskId, BasketId, ClientOrderId, ConversionId, MarketKey, Price, Shares, Side, SignalId, Size,
    StrategyId, Tif, Time, Token,
};

/// A request to the venue, the chain or a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send orders in one request, at most [`Command::BATCH`]: those of one signal or basket.
    Place(Vec<PlaceOrder>),
    /// Cancel one order; sent ahead of other requests.
    Cancel(ClientOrderId),
    /// Cancel all our orders, of one market or everywhere.
    CancelAll(Option<MarketKey>),
    /// Query the state of an order or conversion whose response is missing.
    Query(Query),
    /// Split, merge or redeem.
    Convert {
        /// Id that the cash event repeats.
        id: ConversionId,
        /// Strategy that the result is booked to.
        strategy: StrategyId,
        /// Market, by its dense key.
        market: MarketKey,
        /// Split, merge or redeem, with the shares.
        action: Conversion,
    },
    /// Ask a model. Answered by a forecast or by `NoForecast` with this id.
    Ask {
        /// Id that the forecast repeats.
        id: AskId,
        /// Market that the question is about.
        market: MarketKey,
        /// The model may use only evidence first seen before this time.
        evidence_until: Time,
    },
}

impl Command {
    /// The most orders one request can carry (the venue's batch endpoint).
    pub const BATCH: usize = 15;
}

/// Subject of a query.
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
    /// Strategy that owns it.
    pub strategy: StrategyId,
    /// The signal that caused it; `None` for exits.
    pub signal: Option<SignalId>,
    /// The basket it is a leg of.
    pub basket: Option<BasketId>,
    /// Outcome token, by its dense key.
    pub token: Token,
    /// Buy or sell of that token.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Shares; pUSD for an immediate buy.
    pub size: Size,
    /// Time in force.
    pub tif: Tif,
    /// Post-only: rejected if it would take.
    pub post_only: bool,
    /// When it was decided.
    pub decided_at: Time,
    /// The last proof that the book it was priced from is current.
    pub data_at: Time,
    /// Expiry: not sent from this time on, and cancelled if it rests; [`Time::MAX`]: none.
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
