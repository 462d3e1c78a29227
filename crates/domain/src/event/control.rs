//! Control events: operators and the runtime.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Cause, ClientOrderId, MarketKey, Price, StrategyId, Token};

/// Start, stop, timer, operator commands, parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlEvent {
    /// The run begins. It opens nothing: the gate is open when no blocker is set.
    Start(RunStart),
    /// The run ends: cancel everything.
    Stop,
    /// Time passed.
    Timer,
    /// The runtime sets or clears a reason not to trade.
    Blocker {
        /// Cause that is set or cleared; at most one blocker per cause.
        cause: Cause,
        /// Whether it holds from now on.
        on: bool,
        /// Text for the operator, with figures.
        detail: String,
    },
    /// New limits, already validated, as the section `risk` in TOML.
    Limits {
        /// The whole section.
        toml: Arc<str>,
    },
    /// New parameters for a strategy, already validated, as TOML text.
    Params {
        /// The strategy that takes them.
        strategy: StrategyId,
        /// Its section of the configuration.
        toml: Arc<str>,
    },
    /// Switches a strategy on or off. Off: its quotes are cancelled; exits of its holdings go on.
    Strategy {
        /// The strategy.
        id: StrategyId,
        /// Whether it may emit signals.
        run: bool,
    },
    /// An operator command.
    Operator(Operator),
}

/// How a run trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// On recorded history with simulated orders.
    Backtest,
    /// On live data with simulated orders.
    Paper,
    /// With real orders.
    Live,
}

/// What a run begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStart {
    /// How it trades.
    pub mode: RunMode,
    /// Why the gate is closed until somebody clears it, each with a text for the operator. One that is set already
    /// stays as it is.
    pub blockers: Vec<(Cause, String)>,
}

impl RunStart {
    /// Of a backtest: the account is not reconciled yet.
    pub fn backtest() -> RunStart {
        let detail = "the account was not compared yet".to_owned();
        RunStart { mode: RunMode::Backtest, blockers: vec![(Cause::NotReconciled, detail)] }
    }
}

/// An operator command with its author and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator<T = Token, M = MarketKey> {
    /// Author: a name, or a user id with its channel.
    pub by: String,
    /// Reason as written by the operator; may be empty.
    pub why: String,
    /// Idempotency key: the same key is executed once. Empty: no key.
    pub key: String,
    /// Command with its target.
    pub command: OperatorCommand<T, M>,
}

/// The operator commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorCommand<T = Token, M = MarketKey> {
    /// No new exposure; resting orders stay.
    Pause,
    /// Only orders that make a position smaller.
    ReduceOnly,
    /// Clears operator pauses, halts and loss latches, whose base is reset to now. Refused while
    /// killed; clears nothing that the runtime set.
    Resume,
    /// Latched: cancels every order; no order leaves, exits included.
    Kill,
    /// Ends the kill; the gate stays paused.
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
        /// Outcome token.
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
    /// Unfreeze a market.
    ReleaseMarket(M),
    /// Unfreeze a token.
    ReleaseToken(T),
    /// Clear a blocker by name, where an operator may.
    ReleaseBlocker(Cause<T, M>),
}

impl<T, M> OperatorCommand<T, M> {
    /// The same command with token and market replaced, where it has one and both are known.
    pub fn with_ids<U, N>(
        self,
        token: impl FnOnce(T) -> Option<U>,
        market: impl FnOnce(M) -> Option<N>,
    ) -> Option<OperatorCommand<U, N>> {
        Some(match self {
            OperatorCommand::Pause => OperatorCommand::Pause,
            OperatorCommand::ReduceOnly => OperatorCommand::ReduceOnly,
            OperatorCommand::Resume => OperatorCommand::Resume,
            OperatorCommand::Kill => OperatorCommand::Kill,
            OperatorCommand::Rearm => OperatorCommand::Rearm,
            OperatorCommand::Flatten { market: None, collar } => {
                OperatorCommand::Flatten { market: None, collar }
            }
            OperatorCommand::Flatten { market: Some(key), collar } => {
                OperatorCommand::Flatten { market: Some(market(key)?), collar }
            }
            OperatorCommand::Close { token: of, fraction_ppm, collar } => {
                OperatorCommand::Close { token: token(of)?, fraction_ppm, collar }
            }
            OperatorCommand::CancelOrder(id) => OperatorCommand::CancelOrder(id),
            OperatorCommand::CancelMarket(None) => OperatorCommand::CancelMarket(None),
            OperatorCommand::CancelMarket(Some(key)) => {
                OperatorCommand::CancelMarket(Some(market(key)?))
            }
            OperatorCommand::ReleaseMarket(key) => OperatorCommand::ReleaseMarket(market(key)?),
            OperatorCommand::ReleaseToken(of) => OperatorCommand::ReleaseToken(token(of)?),
            OperatorCommand::ReleaseBlocker(cause) => {
                OperatorCommand::ReleaseBlocker(cause.with_ids(token, market)?)
            }
        })
    }

    /// Stable name.
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
