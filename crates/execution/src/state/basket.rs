//! Baskets under way: plain data, moved on by the manager.

use polydesk_domain::{
    BasketId, BasketKind, ClientOrderId, Leg, Shares, SignalId, StrategyId, Time, Token, TokenId,
    Universe, Usdc,
};
use serde::{Deserialize, Serialize};

use super::codec::{Venue, plain};

/// Where a basket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// pUSD is becoming complete sets.
    Splitting,
    /// The legs are on their way.
    Sending,
    /// A lagging leg was sent again.
    Completing,
    /// What is in excess is being sold.
    Unwinding,
    /// Waiting until the legs are final, to merge them.
    Settling,
    /// Complete sets are becoming pUSD.
    Merging,
}

/// One leg and its orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasketLeg<T = Token> {
    /// What is traded.
    pub leg: Leg<T>,
    /// Every order sent for it.
    pub orders: Vec<ClientOrderId>,
    /// Shares in excess that were put up for sale.
    pub latched: Shares,
}

/// A basket under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBasket<T = Token> {
    /// Its number.
    pub id: BasketId,
    /// Whose.
    pub strategy: StrategyId,
    /// From which signal.
    pub signal: SignalId,
    /// When that signal ends.
    pub expires: Time,
    /// What kind.
    pub kind: BasketKind,
    /// The legs.
    pub legs: Vec<BasketLeg<T>>,
    /// Complete sets aimed at.
    pub sets: Shares,
    /// Edge after fees expected when it started.
    pub expected: Usdc,
    /// Where it is.
    pub stage: Stage,
    /// When it started.
    pub started: Time,
    /// When its legs left: since then one may stand without the others.
    pub naked_since: Time,
    /// Whether anything had to be unwound.
    pub unwinding: bool,
    /// Whether the time to unwind is over: the excess stays up for sale.
    pub gave_up: bool,
    /// Merges that failed.
    pub merge_tries: u8,
}

impl<T> OpenBasket<T> {
    fn with_tokens<U>(
        self,
        mut with: impl FnMut(T) -> Result<U, String>,
    ) -> Result<OpenBasket<U>, String> {
        let OpenBasket {
            id,
            strategy,
            signal,
            expires,
            kind,
            legs,
            sets,
            expected,
            stage,
            started,
            naked_since,
            unwinding,
            gave_up,
            merge_tries,
        } = self;
        let mut by_other = Vec::with_capacity(legs.len());
        for BasketLeg { leg: Leg { token, side, limit }, orders, latched } in legs {
            let leg = Leg { token: with(token)?, side, limit };
            by_other.push(BasketLeg { leg, orders, latched });
        }
        Ok(OpenBasket {
            id,
            strategy,
            signal,
            expires,
            kind,
            legs: by_other,
            sets,
            expected,
            stage,
            started,
            naked_since,
            unwinding,
            gave_up,
            merge_tries,
        })
    }
}

impl Venue for OpenBasket {
    type Doc = OpenBasket<TokenId>;
    fn doc(&self, ids: &Universe) -> OpenBasket<TokenId> {
        match self.clone().with_tokens(|token| Ok(ids.token_id(token))) {
            Ok(doc) => doc,
            Err(error) => unreachable!("{error}"),
        }
    }
    fn read(doc: OpenBasket<TokenId>, ids: &Universe) -> Result<OpenBasket, String> {
        doc.with_tokens(|token| Token::read(token, ids))
    }
}

plain!(BasketId);
