//! Errors of the chain and the relayer, by what the caller should do.

use core::time::Duration;

use alloy::primitives::B256;

use polydesk_polymarket_api::{ApiError, ThrottledBy};

/// What went wrong, by what to do next.
///
/// Only [`ChainError::Unknown`] may have taken effect without proof, and a [`ChainError::Reverted`] with a
/// hash has cost gas. After everything else the chain is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The node or the relayer refused. The same again will be refused again.
    #[error("{what}: refused: {reason}")]
    Refused {
        /// What was tried.
        what: String,
        /// Why, in their words (cut to 300 characters).
        reason: String,
    },
    /// The contract refused: in a simulation (`hash` is none, nothing was sent), or mined, with the gas spent.
    #[error("{what}: reverted{}: {reason}", .hash.map(|h| format!(" in {h}")).unwrap_or_default())]
    Reverted {
        /// What was tried.
        what: String,
        /// The contract's words, or its error's selector and data.
        reason: String,
        /// The transaction, if one was mined.
        hash: Option<B256>,
    },
    /// A transaction that this program did not sign has used the nonce: this one did not happen, and another program
    /// sends with the same key.
    #[error(
        "{what}: its nonce {nonce} was used by another transaction of this key; it did not happen"
    )]
    NonceTaken {
        /// What was tried.
        what: String,
        /// The key's nonce.
        nonce: u64,
    },
    /// It would cost more than the configuration allows. Nothing was sent: wait, or raise the cap.
    #[error("{what}: needs {needs}, and {cap}")]
    TooExpensive {
        /// What was tried.
        what: String,
        /// What it needs at present.
        needs: String,
        /// The limit and its key.
        cap: String,
    },
    /// It may have taken effect. Never repeat it before looking for the named transactions.
    #[error("{what}: outcome unknown ({reason}); look for {}", look_for.join(", "))]
    Unknown {
        /// What was tried.
        what: String,
        /// Why nothing is known.
        reason: String,
        /// Transaction hashes, a relayer id, a nonce: where the proof will be.
        look_for: Vec<String>,
    },
    /// No answer, and nothing took effect: safe to repeat.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// Too many requests. Nothing took effect; safe after the pause.
    #[error("throttled for {} ms by {by}", pause.as_millis())]
    Throttled {
        /// How long to wait at least.
        pause: Duration,
        /// The endpoint or service that refused.
        by: ThrottledBy,
    },
    /// The relayer still works on this wallet's last transaction. Nothing took effect; try later.
    #[error("the wallet is busy at the relayer: {0}")]
    Busy(String),
    /// The two RPC endpoints disagree. Decide nothing until they agree.
    #[error(
        "the RPC endpoints disagree about {what}: rpc[0] returned {first}, rpc[1] returned {second}"
    )]
    Disagreement {
        /// About what, and at which block.
        what: String,
        /// The first endpoint's answer.
        first: String,
        /// The second endpoint's answer.
        second: String,
    },
    /// An endpoint lives in the past: the node is behind, or the chain stands still.
    #[error("{endpoint} is stale: its newest block is {age_s} s old, {limit_s} s are allowed")]
    Stale {
        /// `rpc[0]` or `rpc[1]`.
        endpoint: String,
        /// Age of its head in seconds.
        age_s: u64,
        /// The limit (`max_head_age_ms`) in seconds.
        limit_s: u64,
    },
    /// The request cannot be made: configuration or arguments are wrong.
    #[error("misconfigured: {0}")]
    Misconfigured(String),
    /// An answer to a harmless request could not be read.
    #[error("{what}: malformed answer: {error}")]
    Malformed {
        /// Which question.
        what: String,
        /// What is wrong with it.
        error: String,
    },
}

impl ChainError {
    /// Whether it may have taken effect.
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(self, ChainError::Unknown { .. })
    }

    /// Whether asking again later can help, and when at the earliest.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ChainError::Throttled { pause, .. } => Some(*pause),
            ChainError::Unreachable(_) => Some(Duration::from_millis(500)),
            ChainError::Busy(_)
            | ChainError::Disagreement { .. }
            | ChainError::Stale { .. }
            | ChainError::TooExpensive { .. } => Some(Duration::from_secs(2)),
            _ => None,
        }
    }

    pub(crate) fn refused(what: &str, reason: &str) -> ChainError {
        ChainError::Refused { what: what.to_owned(), reason: cut(reason) }
    }

    /// An error of the relayer or the bridge, which speak plain HTTP.
    pub(crate) fn of(what: &str, error: ApiError, look_for: &[String]) -> ChainError {
        match error {
            ApiError::Refused { text, .. } => ChainError::refused(what, &text),
            ApiError::Throttled { pause, by } => ChainError::Throttled { pause, by },
            ApiError::Unknown(reason) => {
                ChainError::Unknown { what: what.to_owned(), reason, look_for: look_for.to_vec() }
            }
            ApiError::Restarting { pause } => {
                ChainError::Throttled { pause, by: ThrottledBy::Venue }
            }
            ApiError::Unreachable(text) => ChainError::Unreachable(text),
            ApiError::Misconfigured(text) => ChainError::Misconfigured(text),
            ApiError::Malformed { error, .. } => {
                ChainError::Malformed { what: what.to_owned(), error }
            }
            other => ChainError::refused(what, &other.to_string()),
        }
    }
}

/// At most 300 characters of untrusted text.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}
