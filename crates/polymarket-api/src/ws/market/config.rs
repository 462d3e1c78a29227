//! How the market channel is kept.

use serde::{Deserialize, Serialize};

/// How the market channel is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedConfig {
    /// Tokens on one connection; a market takes two, also while one of its tokens is followed. The venue
    /// stops sending books above 500; 200 is what works.
    pub tokens_per_connection: usize,
    /// Ask for `best_bid_ask`, `new_market` and `market_resolved`.
    pub custom_features: bool,
    /// How often to send `PING`, in milliseconds. The venue closes without them.
    pub ping_ms: u64,
    /// A connection without any message, `PONG` included, for so long is reopened (milliseconds).
    pub dead_ms: u64,
    /// A token without a message for so long is compared with the book over REST (milliseconds).
    pub silence_ms: u64,
    /// The first pause before connecting again, in milliseconds; it doubles.
    pub retry_first_ms: u64,
    /// The longest such pause, in milliseconds.
    pub retry_most_ms: u64,
    /// Check the venue's book hash, at most this often for a token (milliseconds); 0 switches it off,
    /// and with it the comparison with the venue's best prices.
    pub hash_check_ms: u64,
    /// The user channel: an update of an order that was placed must arrive within so long (milliseconds), else the
    /// subscription is taken for dead and the connection is opened again; 0 switches the check off.
    pub update_timeout_ms: u64,
    /// Events the consumer may be behind before the connections back up.
    pub queue: usize,
}

impl Default for FeedConfig {
    fn default() -> FeedConfig {
        FeedConfig {
            tokens_per_connection: 200,
            custom_features: true,
            ping_ms: 10_000,
            dead_ms: 30_000,
            silence_ms: 90_000,
            retry_first_ms: 1_000,
            retry_most_ms: 30_000,
            hash_check_ms: 5_000,
            update_timeout_ms: 10_000,
            queue: 65_536,
        }
    }
}
