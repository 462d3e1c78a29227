//! What strategies say: a signal wants something and says how long, why and what it is worth.
//!
//! Signals name no order ids, no amounts on the wire and no venue: execution turns them into orders,
//! after risk.

mod episode;
mod exit;
mod queue;
mod reason;

pub use episode::{Episode, Subject};
pub use exit::{ExitPlan, Stop, TakeProfit, Trailing};
pub use queue::{Dropped, Pushed, Queue};
pub use reason::{Figure, Reason};

use polydesk_domain::{
    MarketKey, Price, Shares, Side, SignalId, Size, StrategyId, Time, Token, Usdc,
};

/// What a strategy wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Its name: a redelivered signal is recognised by it.
    pub id: SignalId,
    /// Who says it.
    pub strategy: StrategyId,
    /// The market it is about; for baskets the market of the first leg.
    pub market: MarketKey,
    /// What is wanted.
    pub action: Action,
    /// When it was said.
    pub created: Time,
    /// From then on it is void.
    pub expires: Time,
    /// What it is expected to earn after fees, in micro-dollars: orders the queue.
    pub edge: Usdc,
    /// Why, with figures.
    pub reason: Reason,
}

/// The four things a strategy can want.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Buy or sell up to a size at a limit price.
    Trade(Trade),
    /// All the orders that should rest in this market now. Empty means: be out.
    Quotes(Vec<Quote>),
    /// Legs that make sense only together.
    Basket(Basket),
    /// Reduce a position.
    Close(Close),
}

impl Action {
    /// Superseding works per (strategy, kind of action, market).
    pub fn kind(&self) -> ActionKind {
        match self {
            Action::Trade(_) => ActionKind::Trade,
            Action::Quotes(_) => ActionKind::Quotes,
            Action::Basket(_) => ActionKind::Basket,
            Action::Close(_) => ActionKind::Close,
        }
    }

    /// How soon it has to be acted on.
    pub fn urgency(&self) -> Urgency {
        match self {
            Action::Trade(trade) => trade.urgency,
            Action::Quotes(_) => Urgency::Rest,
            Action::Basket(_) | Action::Close(_) => Urgency::Now,
        }
    }
}

/// The kinds of [`Action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// How soon, and so with which order type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Take what is there: FAK, or FOK where only the whole size makes sense.
    Now,
    /// Wait in the book: GTC or GTD.
    Rest,
}

/// One order.
#[derive(Debug, Clone, PartialEq)]
pub struct Trade {
    /// Which token.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// How much at most.
    pub size: Size,
    /// The worst acceptable price.
    pub limit: Price,
    /// How soon.
    pub urgency: Urgency,
    /// Only the whole size makes sense (FOK); ignored for resting orders.
    pub all_or_nothing: bool,
    /// What to do with what was bought.
    pub exit: Option<ExitPlan>,
}

/// One order that should rest. Quotes are always post-only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote {
    /// Which token.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// Where.
    pub price: Price,
    /// How much.
    pub size: Shares,
    /// What to do with what was bought.
    pub exit: Option<ExitPlan>,
}

/// Legs of equal matched shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Basket {
    /// What the complete basket becomes.
    pub kind: BasketKind,
    /// The legs. More than 15 do not fit one batch and are refused.
    pub legs: Vec<Leg>,
    /// Complete sets wanted at most.
    pub sets: Shares,
    /// The least edge per set, in micro-dollars after fees, at which it still makes sense.
    pub min_edge_per_set: Usdc,
}

/// What a complete basket is worth and how it turns back into money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// A stable word for counting.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// Which token.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// The worst acceptable price.
    pub limit: Price,
}

/// Reduce a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// Which token.
    pub token: Token,
    /// Millionths of what is held.
    pub fraction_ppm: u32,
    /// The lowest acceptable price.
    pub floor: Price,
}
