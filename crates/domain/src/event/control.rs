//! What people and the runtime can order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Cause, ClientOrderId, MarketKey, Price, StrategyId, Token};

/// Start, stop, time, people, parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlEvent {
    /// The run begins. It opens nothing: the gate is open when no blocker is set.
    Start,
    /// The run ends: cancel everything.
    Stop,
    /// Time passed.
    Timer,
    /// The runtime sets or clears a reason not to trade.
    Blocker {
        /// Which.
        cause: Cause,
        /// Whether it holds from now on.
        on: bool,
        /// For people, with figures.
        detail: String,
    },
    /// New limits, already validated, as the section `risk` in TOML.
    Limits {
        /// The whole section.
        toml: Arc<str>,
    },
    /// New parameters for a strategy, already validated, as TOML text.
    Params {
        /// Whose.
        strategy: StrategyId,
        /// The section of the configuration.
        toml: Arc<str>,
    },
    /// A strategy is switched on or off. Off: its quotes are pulled, exits of what it holds go on.
    Strategy {
        /// Which.
        id: StrategyId,
        /// Whether it may emit signals.
        run: bool,
    },
    /// A person acted.
    Operator(Operator),
}

/// What a person ordered, who it was and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator<T = Token, M = MarketKey> {
    /// Who: a name or a user id with its channel.
    pub by: String,
    /// Why, in their words; may be empty.
    pub why: String,
    /// Idempotency key: the same key is executed once. Empty: no key.
    pub key: String,
    /// What.
    pub command: OperatorCommand<T, M>,
}

/// What a person can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorCommand<T = Token, M = MarketKey> {
    /// No new exposure; resting orders stay.
    Pause,
    /// Only orders that make a position smaller.
    ReduceOnly,
    /// Clears pauses of persons, halts and loss latches, which are measured from now on. Refused while
    /// killed; clears nothing that the runtime set.
    Resume,
    /// Latched: cancel everything, nothing new, no exit either.
    Kill,
    /// Lifts the kill; what remains is a pause.
    Rearm,
    /// Close all positions of a market, or all; its bids are cancelled and refused until resumed.
    Flatten {
        /// `None`: everywhere.
        market: Option<M>,
        /// Sell further below recent prices than the limits allow. `None`: not further.
        collar: Option<Price>,
    },
    /// Reduce what all strategies hold of a token.
    Close {
        /// Which token.
        token: T,
        /// Millionths of what is held.
        fraction_ppm: u32,
        /// Sell further below recent prices than the limits allow. `None`: not further.
        collar: Option<Price>,
    },
    /// Cancel one order.
    CancelOrder(ClientOrderId),
    /// Cancel all orders, of one market or everywhere.
    CancelMarket(Option<M>),
    /// Lift a frozen market.
    ReleaseMarket(M),
    /// Lift a frozen token.
    ReleaseToken(T),
    /// Lift a named blocker that waits for a person.
    ReleaseBlocker(Cause<T, M>),
}

impl<T, M> OperatorCommand<T, M> {
    /// A stable word.
    pub const fn name(&self) -> &'static str {
        match self {
            OperatorCommand::Pause => "pause",
            OperatorCommand::ReduceOnly => "reduce_only",
            OperatorCommand::Resume => "resume",
            OperatorCommand::Kill => "kill",
            OperatorCommand::Rearm => "rearm",
            OperatorCommand::Flatten { .. } => "flatten",
            OperatorCommand::Close { .. } => "close",
            OperatorCommand::CancelOrder(_) => "cancel_order",
            OperatorCommand::CancelMarket(_) => "cancel_market",
            OperatorCommand::ReleaseMarket(_) => "release_market",
            OperatorCommand::ReleaseToken(_) => "release_token",
            OperatorCommand::ReleaseBlocker(_) => "release_blocker",
        }
    }
}
