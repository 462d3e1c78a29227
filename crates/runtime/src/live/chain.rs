//! What live trading asks of the chain and of the wallet behind it. The program plugs in what can sign.

use std::future::Future;
use std::pin::Pin;

use polydesk_domain::{Cash, ConditionId, Conversion, ConversionId, StrategyId, TokenId};
use polydesk_gateway::{ChainRead, FilledLog};

/// An answer that is awaited.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A split, merge or redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionJob {
    /// The engine's id: it is done once.
    pub id: ConversionId,
    /// Whose it is.
    pub strategy: StrategyId,
    /// The market.
    pub condition: ConditionId,
    /// Its tokens, YES first.
    pub tokens: [TokenId; 2],
    /// Whether it is of a mutually exclusive group: another contract converts it.
    pub neg_risk: bool,
    /// What is done.
    pub action: Conversion,
}

/// What became of a conversion, in pUSD and shares of both outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Converted {
    /// It moved this much.
    Moved(Cash),
    /// It is proven that it moved nothing and never will.
    Failed,
    /// It may still happen: its money stays reserved.
    Unknown,
}

/// The chain, as one or two endpoints show it, and the wallet's own transactions.
pub trait ChainLane: Send + Sync {
    /// Cash and shares of these tokens at one block.
    fn read<'a>(&'a self, tokens: &'a [TokenId]) -> Answer<'a, ChainRead>;
    /// The parts of our orders in a transaction, and how many blocks lie on it; `None` while it is in no block.
    fn settled<'a>(&'a self, transaction: &'a str) -> Answer<'a, Option<(Vec<FilledLog>, u64)>>;
    /// Converts, once per id, also over a restart.
    fn convert<'a>(&'a self, job: &'a ConversionJob) -> Answer<'a, Converted>;
}
