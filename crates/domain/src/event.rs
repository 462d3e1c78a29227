//! Everything that can happen.

use std::sync::Arc;

use crate::{
    ClientOrderId, ConditionId, Market, MarketKey, MarketState, OrderEvent, OwnTrade, Price,
    Shares, Side, StrategyId, Tick, Time, Token, Usdc,
};

/// An event with its times. Total order: (`at`, source rank, `seq`), made in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamped {
    /// Engine time: monotone, given by the inbox or the tape.
    pub at: Time,
    /// What the venue said; it can run backwards.
    pub venue_at: Time,
    /// Position in the stream.
    pub seq: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A market became known, or its facts changed.
    Listed(Arc<Market>),
    /// A level of a book has a new total size.
    Level(LevelChange),
    /// A whole book as it is now.
    Snapshot(Arc<Snapshot>),
    /// A trade of anybody's, published on one of the two tokens.
    Print(Print),
    /// The best prices, without a level (`best_bid_ask`).
    Best {
        /// Whose book.
        token: Token,
        /// The best prices.
        top: Top,
    },
    /// The price grid changed (announced): the book is void until the next snapshot.
    Tick {
        /// Which market.
        market: MarketKey,
        /// The new grid.
        tick: Tick,
    },
    /// The market entered another state of its life; resolution carries the payouts.
    State {
        /// Which market.
        market: MarketKey,
        /// The new state.
        state: MarketState,
    },
    /// The stream was interrupted: books are void until their next snapshot.
    Gap(Gap),
    /// News of one of our orders.
    Order(Box<(ClientOrderId, OrderEvent)>),
    /// News of a fill of one of our orders.
    Trade(Box<OwnTrade>),
    /// Money or complete sets moved without an order.
    Cash(Box<Cash>),
    /// A followed wallet traded.
    Wallet(Arc<WalletTrade>),
    /// A news article arrived.
    Article(Arc<Article>),
    /// A model answered.
    Forecast(Arc<Forecast>),
    /// A person acted.
    Operator(OperatorCommand),
    /// New parameters for a strategy, already validated, as TOML text.
    Params {
        /// Whose.
        strategy: StrategyId,
        /// The section of the configuration.
        toml: Arc<str>,
    },
    /// Time passed.
    Timer,
    /// The run begins: everything is reconciled and orders may leave.
    Start,
    /// The run ends: cancel everything.
    Stop,
}

/// The best prices of one token's book as the venue states them; `None` is an empty side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Top {
    /// Best bid.
    pub bid: Option<Price>,
    /// Best ask.
    pub ask: Option<Price>,
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
pub struct Snapshot {
    /// Whose book.
    pub token: Token,
    /// Levels in any order.
    pub bids: Vec<(Price, Shares)>,
    /// Levels in any order.
    pub asks: Vec<(Price, Shares)>,
}

/// A public trade. The published side is the taker's, but proves little: about two in five differ
/// from the aggressor seen on chain.
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
pub struct Gap {
    /// Which market, or all of them.
    pub market: Option<MarketKey>,
}

/// How far a recorded fact can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// As the venue sent it.
    Recorded,
    /// Somebody assumed it; the certificate names the source.
    Assumed,
}

/// Why money moved without an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CashKind {
    /// Money came in from outside.
    Deposit,
    /// Money left.
    Withdrawal,
    /// pUSD became complete sets.
    Split,
    /// Complete sets became pUSD.
    Merge,
    /// Shares of a resolved market became what they pay.
    Redeem,
    /// A share of taker fees, paid to makers.
    Rebate,
    /// Liquidity rewards.
    Reward,
    /// A split, merge or redemption did not happen; nothing moved.
    Failed,
}

/// A movement of money or complete sets that is not a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cash {
    /// Why.
    pub kind: CashKind,
    /// The command it answers, if any.
    pub command: Option<ClientOrderId>,
    /// The strategy it is booked to, if any.
    pub strategy: Option<StrategyId>,
    /// The market, if any.
    pub market: Option<MarketKey>,
    /// Change of our pUSD: positive came in.
    pub amount: Usdc,
    /// Shares of YES and NO that appeared (split) or went (merge, redeem).
    pub shares: [Shares; 2],
}

/// A trade of a followed wallet (Data API `TRADE` and its kin).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletTrade {
    /// Proxy wallet, lower-case hex.
    pub wallet: String,
    /// Token traded.
    pub token: Token,
    /// Its side.
    pub side: Side,
    /// Average price.
    pub price: Price,
    /// Size.
    pub size: Shares,
    /// Transaction hash; several rows can share one.
    pub transaction: String,
}

/// A news article, first seen at the event's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// Where it came from.
    pub source: String,
    /// Headline.
    pub title: String,
    /// Text, possibly empty.
    pub body: String,
    /// Address, possibly empty.
    pub url: String,
    /// Markets it concerns, where somebody said so; empty concerns whoever asks.
    pub markets: Vec<MarketKey>,
}

/// A model's answer, in millionths of probability of YES.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// Which market.
    pub condition: ConditionId,
    /// Probability of YES in millionths.
    pub yes_ppm: u32,
    /// Name of the model.
    pub model: String,
    /// Latest evidence it used.
    pub evidence_until: Time,
}

/// What a person can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperatorCommand {
    /// No new exposure; resting orders stay.
    Pause,
    /// Only orders that make a position smaller.
    ReduceOnly,
    /// Back to normal, broken loss limits too: they are measured anew from now on. Refused while killed.
    Resume,
    /// Latched: cancel everything, nothing new.
    Kill,
    /// Lift the kill.
    Rearm,
    /// Close all positions of a market, or all.
    Flatten(Option<MarketKey>),
}
