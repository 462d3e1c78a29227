//! What is wanted and asked for, and not an order: quotes, conversions, questions.

use polydesk_domain::{
    AskId, BasketId, ConditionId, Conversion, ConversionId, MarketKey, Quote, Shares, SignalId,
    StrategyId, Time, Token, TokenId, Universe, Usdc,
};
use serde::{Deserialize, Serialize};

use super::codec::{Venue, plain};

/// What a strategy wants resting in a market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desired<T = Token> {
    /// All of it.
    pub quotes: Vec<Quote<T>>,
    /// From which signal.
    pub signal: SignalId,
    /// What it is expected to earn: of two that cross, the lower one waits.
    pub edge: Usdc,
    /// From then on nothing is wanted.
    pub expires: Time,
    /// What was denied is not tried again before this.
    pub retry_at: Time,
    /// Whether something is wanted that does not rest.
    pub waiting: bool,
}

impl Venue for Desired {
    type Doc = Desired<TokenId>;
    fn doc(&self, ids: &Universe) -> Desired<TokenId> {
        let Desired { quotes, signal, edge, expires, retry_at, waiting } = self.clone();
        let quotes =
            quotes.into_iter().map(|quote| quote.with_token(|token| ids.token_id(token))).collect();
        Desired { quotes, signal, edge, expires, retry_at, waiting }
    }
    fn read(doc: Desired<TokenId>, ids: &Universe) -> Result<Desired, String> {
        let Desired { quotes: by_id, signal, edge, expires, retry_at, waiting } = doc;
        let mut quotes = Vec::with_capacity(by_id.len());
        for quote in by_id {
            let token = Token::read(quote.token, ids)?;
            quotes.push(quote.with_token(|_| token));
        }
        Ok(Desired { quotes, signal, edge, expires, retry_at, waiting })
    }
}

/// A split, merge or redemption under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingConversion<M = MarketKey> {
    /// For whom.
    pub strategy: StrategyId,
    /// Where.
    pub market: M,
    /// What.
    pub action: Conversion,
    /// For which basket.
    pub basket: Option<BasketId>,
    /// Worth of YES when it was asked for, in ten-thousandths, to share out the cost of a split.
    pub yes_units: u16,
    /// When it was asked for.
    pub asked_at: Time,
    /// When its answer was last asked for.
    pub queried_at: Option<Time>,
}

impl PendingConversion {
    /// pUSD that it will take.
    pub fn cost(&self) -> Usdc {
        match self.action {
            Conversion::Split(shares) => shares.face_value(),
            Conversion::Merge(_) | Conversion::Redeem => Usdc::ZERO,
        }
    }

    /// Shares of each outcome that it will deliver.
    pub fn delivers(&self) -> Shares {
        match self.action {
            Conversion::Split(shares) => shares,
            Conversion::Merge(_) | Conversion::Redeem => Shares::ZERO,
        }
    }

    /// Shares of each outcome that it will take, of what its strategy holds; `None`: all.
    pub fn takes(&self) -> Option<Shares> {
        match self.action {
            Conversion::Split(_) => Some(Shares::ZERO),
            Conversion::Merge(shares) => Some(shares),
            Conversion::Redeem => None,
        }
    }
}

impl Venue for PendingConversion {
    type Doc = PendingConversion<ConditionId>;
    fn doc(&self, ids: &Universe) -> PendingConversion<ConditionId> {
        let PendingConversion { strategy, market, action, basket, yes_units, asked_at, queried_at } =
            *self;
        let market = market.doc(ids);
        PendingConversion { strategy, market, action, basket, yes_units, asked_at, queried_at }
    }
    fn read(doc: PendingConversion<ConditionId>, ids: &Universe) -> Result<Self, String> {
        let PendingConversion { strategy, market, action, basket, yes_units, asked_at, queried_at } =
            doc;
        let market = MarketKey::read(market, ids)?;
        Ok(PendingConversion { strategy, market, action, basket, yes_units, asked_at, queried_at })
    }
}

/// A question to a model that is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingAsk<M = MarketKey> {
    /// Who asks.
    pub strategy: StrategyId,
    /// About which market.
    pub market: M,
    /// Nothing first seen later may be used.
    pub evidence_until: Time,
    /// When.
    pub asked_at: Time,
}

impl Venue for PendingAsk {
    type Doc = PendingAsk<ConditionId>;
    fn doc(&self, ids: &Universe) -> PendingAsk<ConditionId> {
        let PendingAsk { strategy, market, evidence_until, asked_at } = *self;
        PendingAsk { strategy, market: market.doc(ids), evidence_until, asked_at }
    }
    fn read(doc: PendingAsk<ConditionId>, ids: &Universe) -> Result<PendingAsk, String> {
        let PendingAsk { strategy, market, evidence_until, asked_at } = doc;
        Ok(PendingAsk { strategy, market: MarketKey::read(market, ids)?, evidence_until, asked_at })
    }
}

plain!(ConversionId, AskId);
