//! What live trading asks of the chain and of the wallet behind it. The program plugs in what can sign.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use polydesk_domain::{Cash, ConditionId, Conversion, ConversionId, StrategyId, TokenId};
use polydesk_gateway::{ChainRead, FilledLog};
use polydesk_journal::{Change, Class, Delta, Payload, Seq};
use serde::{Deserialize, Serialize};

use crate::keeping::Appender;

/// An answer that is awaited.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A split, merge or redemption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// The same, because a transaction that this program does not know has used its nonce.
    NonceTaken,
    /// It may still happen: its money stays reserved.
    Unknown,
}

/// Where what was signed for conversions is written down: a table of the journal.
pub trait ChainStore: Send + Sync {
    /// Puts an entry, or removes it. Nothing that it stands for leaves before this returns, and nothing at all after
    /// an error, which says why.
    fn write<'a>(&'a self, key: &'a [u8], value: Option<&'a [u8]>) -> Answer<'a, ()>;
}

/// Table of the journal: what was signed for conversions.
pub const CHAIN_TABLE: &str = "chain";

/// The journal's own table.
pub struct JournalStore(pub(crate) Appender);

impl ChainStore for JournalStore {
    fn write<'a>(&'a self, key: &'a [u8], value: Option<&'a [u8]>) -> Answer<'a, ()> {
        Box::pin(async move {
            let changes = vec![Change { table: CHAIN_TABLE, key, value }];
            let delta = Delta { cause: Seq::ZERO, commands: [0; 32], changes };
            let appended = self.0.append(&Payload::Delta(&delta), Class::Fact);
            let seq = appended.map_err(|error| error.to_string())?;
            self.0.settle(seq).await.map_err(|error| error.to_string())
        })
    }
}

/// Rows of a table: key and value.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Makes the lane once the journal is open, out of what earlier processes have written down.
pub type MakeChain =
    Box<dyn FnOnce(Arc<dyn ChainStore>, Rows) -> Result<Arc<dyn ChainLane>, String> + Send>;

/// The chain, as one or two endpoints show it, and the wallet's own transactions.
pub trait ChainLane: Send + Sync {
    /// Cash and shares of these tokens at one block, and what has moved since an earlier one.
    fn read<'a>(&'a self, tokens: &'a [TokenId], since: Option<u64>) -> Answer<'a, ChainRead>;
    /// The parts of our orders in a transaction, and how many blocks lie on it; `None` while it is in no block.
    fn settled<'a>(&'a self, transaction: &'a str) -> Answer<'a, Option<(Vec<FilledLog>, u64)>>;
    /// Converts, once per id, also over a restart.
    fn convert<'a>(&'a self, job: &'a ConversionJob) -> Answer<'a, Converted>;
    /// What became of a conversion that may have been begun before; nothing new is begun. What was never written down
    /// has failed.
    fn resume<'a>(&'a self, job: &'a ConversionJob) -> Answer<'a, Converted>;
    /// The engine waits for these conversions and has the outcome of every other one.
    fn pending<'a>(&'a self, pending: &'a BTreeSet<ConversionId>) -> Answer<'a, ()>;
}
