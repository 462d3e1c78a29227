//! What is written down before something signed leaves, so that a later process can find out what became of it and
//! never signs it again beside it.

use std::future::Future;
use std::pin::Pin;

use alloy::primitives::{B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::Call;

/// One signed version of a transaction. Any version of a nonce may be mined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTransaction {
    /// What it does.
    pub call: Call,
    /// Its nonce.
    pub nonce: u64,
    /// The most gas it may take.
    pub gas: u64,
    /// The most it offers per unit of gas, in wei.
    pub max_fee: u128,
    /// Of it for the block's maker, in wei.
    pub tip: u128,
    /// Its hash.
    pub hash: B256,
    /// As it is sent.
    pub raw: Bytes,
}

/// A transaction that was signed for the relayer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayedCalls {
    /// What it does.
    pub what: String,
    /// The relayer's id, once its answer came.
    pub id: Option<String>,
    /// What it is signed for; `None` where once more is the same as once.
    pub nonce: Option<U256>,
    /// Unix seconds after which it can never run.
    pub deadline: Option<u64>,
    /// Where the proof of its outcome is.
    pub look_for: Vec<String>,
}

/// Something signed that is about to leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// A transaction of a wallet that is its own key.
    Transaction(SignedTransaction),
    /// A transaction of the relayer; it comes a second time with the relayer's id.
    Relayed(RelayedCalls),
}

/// See [`Keep::keep`].
pub type Keeping<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Writes down what is about to leave: a bot's journal.
pub trait Keep: Send + Sync {
    /// Nothing leaves before it returns, and nothing at all if it returns an error, which says why.
    fn keep<'a>(&'a self, leaving: &'a Leaving) -> Keeping<'a>;
}

/// Writes nothing down: what is under way when the process ends is not followed by the next one.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeepNothing;

impl Keep for KeepNothing {
    fn keep<'a>(&'a self, _: &'a Leaving) -> Keeping<'a> {
        Box::pin(async { Ok(()) })
    }
}
