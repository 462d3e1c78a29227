//! Everything that can be asked of the world. Sending returns nothing: outcomes come back as events.

use crate::{
    ClientOrderId, MarketKey, Price, Shares, Side, SignalId, Size, StrategyId, Tif, Time, Token,
};

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send an order.
    Place(PlaceOrder),
    /// Cancel one order. Never waits behind anything.
    Cancel(ClientOrderId),
    /// Cancel all our orders, of one market or everywhere.
    CancelAll(Option<MarketKey>),
    /// Ask what became of an order whose answer was lost.
    Query(ClientOrderId),
    /// Turn pUSD into complete sets, back, or a result into pUSD.
    Set {
        /// Names the answer.
        id: ClientOrderId,
        /// For whom.
        strategy: StrategyId,
        /// Which market.
        market: MarketKey,
        /// What to do.
        action: SetAction,
    },
    /// Tell people.
    Note {
        /// How urgently.
        level: NoteLevel,
        /// Stable code of the message.
        code: &'static str,
        /// The message.
        text: String,
    },
}

/// An order to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Our name for it.
    pub id: ClientOrderId,
    /// Who wants it.
    pub strategy: StrategyId,
    /// The signal it came from.
    pub signal: SignalId,
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
}

/// An operation on complete sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAction {
    /// One pUSD becomes one YES and one NO, per share.
    Split(Shares),
    /// One YES and one NO become one pUSD, per share.
    Merge(Shares),
    /// All shares of a resolved market become what they pay.
    Redeem,
}

/// How urgently people should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteLevel {
    /// Good to know.
    Info,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Critical,
}
