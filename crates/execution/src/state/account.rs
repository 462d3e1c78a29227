//! The account as a whole: equity, blockers, counters.

use polydesk_domain::{
    Blocker, Cause, Code, ConditionId, Fill, Market, MarketKey, Shares, Time, Token, TokenId,
    Universe, Usdc,
};
use polydesk_signals::HighWater;
use serde::{Deserialize, Serialize};

use super::codec::{Venue, plain};
use crate::budget::Budget;

/// What we are worth now and were worth at best, marked to what depth would pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Equity {
    /// Now.
    pub now: Usdc,
    /// The highest so far, or since a person lifted a drawdown.
    pub high: Usdc,
    /// At the start of the UTC day, or when a person lifted its loss.
    pub day_open: Usdc,
}

/// The part of [`Equity`] that a restart needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EquityMarks {
    /// The highest so far, or since a person lifted a drawdown.
    pub high: Usdc,
    /// At the start of the UTC day, or when a person lifted its loss.
    pub day_open: Usdc,
    /// The UTC day since 1970 that it belongs to; `None` before the first mark.
    pub day: Option<i64>,
}

/// Numbers given away in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// The run: part of every id.
    pub run: u32,
    /// Orders and conversions so far.
    pub orders: u32,
    /// Baskets so far.
    pub baskets: u32,
    /// Questions so far.
    pub asks: u32,
    /// How often `not_reconciled` was raised.
    pub epoch: u32,
}

/// Rates in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Orders.
    pub orders: Budget,
    /// Cancels; a lane of their own.
    pub cancels: Budget,
}

/// Refusals of the venue in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejections {
    /// The last reason.
    pub code: Code,
    /// How many; an unknown reason counts twice.
    pub count: u32,
    /// No entry of the strategy in the market before this.
    pub until: Time,
}

/// When something failed lately.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recent {
    /// Oldest first.
    pub at: Vec<Time>,
}

/// Orders of a strategy within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// When the minute began.
    pub since: Time,
    /// How many it sent since.
    pub orders: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { since: Time::MIN, orders: 0 }
    }
}

/// Tries of something that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempts {
    /// How many.
    pub tries: u32,
    /// Not again before this.
    pub next_at: Time,
}

/// Redemption money that came before the resolution was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyRedemption {
    /// pUSD.
    pub amount: Usdc,
}

/// A market that orders, holdings or wants name: its facts as they were last listed, with its state now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketEntry {
    /// The facts.
    pub market: Market,
}

impl Venue for Cause {
    type Doc = Cause<TokenId, ConditionId>;
    fn doc(&self, ids: &Universe) -> Cause<TokenId, ConditionId> {
        let doc = self.with_ids(|token| Some(ids.token_id(token)), |key| Some(key.doc(ids)));
        doc.unwrap_or(Cause::NotReconciled)
    }
    fn read(doc: Cause<TokenId, ConditionId>, ids: &Universe) -> Result<Cause, String> {
        doc.with_ids(|token| ids.token(&token), |condition| ids.key(&condition))
            .ok_or_else(|| format!("{doc:?} names something that is not listed"))
    }
}

plain!(
    Code,
    Recent,
    Pace,
    Rejections,
    Attempts,
    EarlyRedemption,
    EquityMarks,
    Counters,
    Budgets,
    MarketEntry,
    Blocker,
    HighWater,
    Time
);

/// Whether an amount can be one: anything larger is an error of its source, and sums of it would overflow.
pub(crate) fn sane_money(amount: Usdc) -> bool {
    amount.abs() <= Shares::SANE_MAX.face_value()
}

/// Whether the amounts of a fill can be amounts.
pub(crate) fn sane_fill(fill: &Fill) -> bool {
    let money = fill.notional >= Usdc::ZERO && sane_money(fill.notional) && sane_money(fill.fee);
    money && fill.shares <= Shares::SANE_MAX
}

/// The market that a cause is about, if it is about one.
pub(crate) fn market_of(cause: &Cause) -> Option<MarketKey> {
    match cause {
        Cause::Market(key) | Cause::Unsettled(key) | Cause::Flattened(key) => Some(*key),
        Cause::Token(token) => Some(token.market()),
        _ => None,
    }
}

/// Whether a token or market is of a market.
pub(crate) fn concerns(cause: &Cause, market: MarketKey, token: Token) -> bool {
    match cause {
        Cause::Market(key) | Cause::Unsettled(key) | Cause::Flattened(key) => *key == market,
        Cause::Token(key) => *key == token,
        _ => true,
    }
}
