//! One way in for the bot: run these calls, whatever kind of wallet holds the funds.

use std::sync::Arc;

use super::{Call, ChainError, EoaSender, Keep, Mined, Relayed, Relayer};
use crate::signing::Address;

/// How calls of a wallet reach the chain.
#[derive(Debug)]
pub enum Wallets {
    /// The wallet is the key's own address: a transaction per call, in order.
    Own(Box<EoaSender>),
    /// A proxy, Safe or deposit wallet: all calls in one transaction of the relayer.
    Relayed(Box<Relayer>),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executed {
    /// There was nothing to do.
    Nothing,
    /// One transaction per call.
    Mined(Vec<Mined>),
    /// One transaction for all calls.
    Relayed(Relayed),
}

/// Why not everything was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("call {} of {all} did not succeed, {} before it did", done.len() + 1, done.len())]
pub struct ExecuteError {
    /// The calls before it, done for good. Empty where all go together.
    pub done: Vec<Mined>,
    /// How many there were.
    pub all: usize,
    /// What happened to the next. Later calls were not sent.
    #[source]
    pub error: ChainError,
}

impl From<EoaSender> for Wallets {
    fn from(sender: EoaSender) -> Wallets {
        Wallets::Own(Box::new(sender))
    }
}

impl From<Relayer> for Wallets {
    fn from(relayer: Relayer) -> Wallets {
        Wallets::Relayed(Box::new(relayer))
    }
}

impl Wallets {
    /// Writes down what is signed before it leaves.
    pub fn with_keep(self, keep: Arc<dyn Keep>) -> Wallets {
        match self {
            Wallets::Own(sender) => Wallets::Own(Box::new(sender.with_keep(keep))),
            Wallets::Relayed(relayer) => Wallets::Relayed(Box::new(relayer.with_keep(keep))),
        }
    }

    /// The address whose calls they are.
    pub fn address(&self) -> Address {
        match self {
            Wallets::Own(sender) => sender.address(),
            Wallets::Relayed(relayer) => relayer.wallet(),
        }
    }

    /// Runs calls in order and returns when they are confirmed. The first that does not succeed ends it.
    pub async fn execute(&self, calls: &[Call], note: &str) -> Result<Executed, ExecuteError> {
        if calls.is_empty() {
            return Ok(Executed::Nothing);
        }
        match self {
            Wallets::Own(sender) => {
                let mut done = Vec::with_capacity(calls.len());
                for call in calls {
                    match sender.send(call).await {
                        Ok(mined) => done.push(mined),
                        Err(error) => return Err(ExecuteError { done, all: calls.len(), error }),
                    }
                }
                Ok(Executed::Mined(done))
            }
            Wallets::Relayed(relayer) => relayer
                .execute(calls, note)
                .await
                .map(Executed::Relayed)
                .map_err(|error| ExecuteError { done: Vec::new(), all: calls.len(), error }),
        }
    }
}
