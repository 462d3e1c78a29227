//! What is allowed for now. Both lists may only shrink: an entry that is no longer needed is an error.

use crate::lengths;
use crate::modules;

/// Module files that name each other in a circle, by crate; paths are below `src`.
pub const CYCLES: &[modules::Allowed] = &[
    (
        "crates/local-exchange",
        &[
            "faults.rs",
            "scenario.rs",
            "server/answer.rs",
            "server/hub.rs",
            "server/inner.rs",
            "server/prices.rs",
            "server/relayer.rs",
            "server/trading.rs",
            "setup.rs",
            "venue/accounts.rs",
            "venue/cancel.rs",
            "venue/intake.rs",
            "venue/markets.rs",
            "venue/matching.rs",
            "venue/mod.rs",
            "venue/updates.rs",
            "venue/settle.rs",
            "venue/tape.rs",
            "wire/clob.rs",
            "wire/gamma.rs",
            "wire/order.rs",
            "wire/socket.rs",
        ],
    ),
    ("crates/local-exchange", &["server/http.rs", "server/socket.rs"]),
    (
        "crates/polymarket-api",
        &[
            "gamma/events.rs",
            "gamma/markets.rs",
            "gamma/mod.rs",
            "gamma/series.rs",
            "gamma/tags.rs",
        ],
    ),
    (
        "crates/polymarket-api",
        &["ws/market/manage.rs", "ws/market/mod.rs", "ws/market/shard.rs", "ws/market/streams.rs"],
    ),
];

/// Crates whose functions are held to [`lengths::MOST`] lines.
pub const SHORT_FUNCTIONS: &[&str] = &[
    "crates/domain",
    "crates/signals",
    "crates/strategies",
    "crates/execution",
    "crates/engine",
    "crates/replay",
    "crates/sim",
    "crates/journal",
];

/// Functions of those crates that are longer, and how many lines each may have.
pub const LONG_FUNCTIONS: &[lengths::Allowed] = &[];
