//! Signals, the output of strategies: an intent with an expiry, a reason and an expected profit.
//!
//! Signals name no order ids, no amounts on the wire and no venue: execution turns them into orders,
//! after risk. Inside a process they name markets and tokens by their dense keys; `Signal<TokenId,
//! ConditionId>` is the same for records and for other processes, and only that form can be written.

use serde::{Deserialize, Serialize};

use crate::{
    ConditionId, ExitPlan, MarketKey, Price, Reason, Shares, Side, SignalId, Size, StrategyId,
    Time, Token, TokenId, Universe, Usdc,
};

/// An intent of a strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal<T = Token, M = MarketKey> {
    /// Unique id: a redelivered signal is recognised by it.
    pub id: SignalId,
    /// The strategy that emitted it.
    pub strategy: StrategyId,
    /// The market it is about; for baskets the market of the first leg.
    pub market: M,
    /// The intent.
    pub action: Action<T>,
    /// When it was emitted.
    pub created: Time,
    /// From this time on it is ignored, and its resting orders are cancelled.
    pub expires: Time,
    /// Expected profit after fees; sorts the queue.
    pub edge: Usdc,
    /// Why, with figures.
    pub reason: Reason,
}

/// The four kinds of intent a strategy can emit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action<T = Token> {
    /// Buy or sell up to a size at a limit price.
    Trade(TradeIntent<T>),
    /// All quotes that should rest in this market; an empty list cancels them all.
    Quotes(Vec<Quote<T>>),
    /// Legs that are executed together.
    Basket(Basket<T>),
    /// Reduce a position.
    Close(Close<T>),
}

impl<T> Action<T> {
    /// Superseding works per (strategy, kind of action, market).
    pub fn kind(&self) -> ActionKind {
        match self {
            Action::Trade(_) => ActionKind::Trade,
            Action::Quotes(_) => ActionKind::Quotes,
            Action::Basket(_) => ActionKind::Basket,
            Action::Close(_) => ActionKind::Close,
        }
    }

    /// Immediate or resting.
    pub fn urgency(&self) -> Urgency {
        match self {
            Action::Trade(trade) => trade.urgency,
            Action::Quotes(_) => Urgency::Rest,
            Action::Basket(_) | Action::Close(_) => Urgency::Now,
        }
    }
}

/// The kinds of [`Action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// [`Action::Trade`]
    Trade,
    /// [`Action::Quotes`]
    Quotes,
    /// [`Action::Basket`]
    Basket,
    /// [`Action::Close`]
    Close,
}

/// Immediate or resting, which decides the order type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Takes displayed liquidity: FAK, or FOK with `all_or_nothing`.
    Now,
    /// Rests in the book: GTC or GTD.
    Rest,
}

/// An intent to buy or sell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TradeIntent<T = Token> {
    /// Outcome token.
    pub token: T,
    /// Buy or sell of that token.
    pub side: Side,
    /// Shares; pUSD for an immediate buy.
    pub size: Size,
    /// Limit price.
    pub limit: Price,
    /// Immediate (FAK, FOK) or resting (GTC, GTD).
    pub urgency: Urgency,
    /// Fill the whole size or nothing (FOK); ignored for resting orders.
    pub all_or_nothing: bool,
    /// Exit plan of the lots it buys; `None`: the strategy closes them itself.
    pub exit: Option<ExitPlan>,
}

/// One quote that should rest. Quotes are always post-only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quote<T = Token> {
    /// Outcome token.
    pub token: T,
    /// Buy or sell of that token.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Size in shares.
    pub size: Shares,
    /// Exit plan of the lots it buys; `None`: the strategy closes them itself.
    pub exit: Option<ExitPlan>,
}

/// Legs that should match equal numbers of shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Basket<T = Token> {
    /// What the complete basket becomes.
    pub kind: BasketKind,
    /// The legs. More than 15 do not fit one batch and are refused.
    pub legs: Vec<Leg<T>>,
    /// Most complete sets to trade.
    pub sets: Shares,
    /// Least acceptable edge per set after fees.
    pub min_edge_per_set: Usdc,
}

/// What a complete basket is worth and how it turns back into money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BasketKind {
    /// Buy YES and NO of one market, merge.
    BuyPair,
    /// Split, sell YES and NO of one market.
    SellPair,
    /// Buy YES of every outcome of a group: exactly one pays a dollar.
    AllYes,
    /// Buy NO of every outcome of a group: all but one pay a dollar.
    AllNo,
}

impl BasketKind {
    /// What one complete set pays in the end, in micro-dollars, for `legs` legs.
    pub fn payout(self, legs: usize) -> Usdc {
        match self {
            BasketKind::BuyPair | BasketKind::SellPair | BasketKind::AllYes => Usdc::whole(1),
            BasketKind::AllNo => Usdc::whole(i64::try_from(legs).unwrap_or(1) - 1),
        }
    }
    /// Stable name for counters.
    pub fn name(self) -> &'static str {
        match self {
            BasketKind::BuyPair => "buy_pair",
            BasketKind::SellPair => "sell_pair",
            BasketKind::AllYes => "all_yes",
            BasketKind::AllNo => "all_no",
        }
    }
}

/// One leg of a basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg<T = Token> {
    /// Outcome token.
    pub token: T,
    /// Buy or sell of that token.
    pub side: Side,
    /// Limit price.
    pub limit: Price,
}

/// Reduce a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close<T = Token> {
    /// Outcome token.
    pub token: T,
    /// Millionths of what is held.
    pub fraction_ppm: u32,
    /// The lowest acceptable price.
    pub floor: Price,
}

impl<T> Action<T> {
    /// The same action with every token replaced.
    pub fn with_tokens<U>(self, mut with: impl FnMut(T) -> U) -> Action<U> {
        match self {
            Action::Trade(intent) => {
                let TradeIntent { token, side, size, limit, urgency, all_or_nothing, exit } =
                    intent;
                let token = with(token);
                Action::Trade(TradeIntent {
                    token,
                    side,
                    size,
                    limit,
                    urgency,
                    all_or_nothing,
                    exit,
                })
            }
            Action::Quotes(quotes) => Action::Quotes(
                quotes.into_iter().map(|quote| quote.with_token(&mut with)).collect(),
            ),
            Action::Basket(Basket { kind, legs, sets, min_edge_per_set }) => {
                let legs = legs.into_iter().map(|leg| leg.with_token(&mut with)).collect();
                Action::Basket(Basket { kind, legs, sets, min_edge_per_set })
            }
            Action::Close(Close { token, fraction_ppm, floor }) => {
                Action::Close(Close { token: with(token), fraction_ppm, floor })
            }
        }
    }
}

impl<T> Quote<T> {
    /// The same quote with its token replaced.
    pub fn with_token<U>(self, with: impl FnOnce(T) -> U) -> Quote<U> {
        let Quote { token, side, price, size, exit } = self;
        Quote { token: with(token), side, price, size, exit }
    }
}

impl<T> Leg<T> {
    /// The same leg with its token replaced.
    pub fn with_token<U>(self, with: impl FnOnce(T) -> U) -> Leg<U> {
        let Leg { token, side, limit } = self;
        Leg { token: with(token), side, limit }
    }
}

impl Signal {
    /// The same signal by the venue's ids, for records and other processes.
    pub fn by_venue_ids(&self, universe: &Universe) -> Signal<TokenId, ConditionId> {
        let Signal { id, strategy, market, action, created, expires, edge, reason } = self.clone();
        Signal {
            id,
            strategy,
            market: universe.market(market).condition,
            action: action.with_tokens(|token| universe.token_id(token)),
            created,
            expires,
            edge,
            reason,
        }
    }
}
