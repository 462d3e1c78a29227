//! What reaches the engine besides market data.
//!
//! Market data come through the feed's own bounded channel, which backs up instead of dropping. Everything here is
//! never dropped either: a full queue is an error that the caller turns into a halt.

use std::sync::Arc;

use polydesk_domain::{ConditionId, ControlEvent, Market, MarketKey, MarketState, WorldEvent};
use tokio::sync::{mpsc, oneshot};

/// A request to the engine's thread.
#[derive(Debug)]
pub enum Request {
    /// A market became known, or its facts changed. Answered with its key: keys are assigned by the engine's
    /// thread, where the order of events is made.
    List {
        /// Its facts.
        market: Arc<Market>,
        /// The key, or the rule that the listing breaks.
        reply: oneshot::Sender<Result<MarketKey, String>>,
    },
    /// A market is over. Answered with whether it was flat and is delisted now.
    Delist {
        /// The market.
        condition: ConditionId,
        /// `false`: something is still held, resting or unsettled in it.
        reply: oneshot::Sender<bool>,
    },
    /// A market's state as read over REST.
    State {
        /// The market.
        condition: ConditionId,
        /// Its state.
        state: MarketState,
    },
    /// A control event of the runtime or of an operator.
    Control(ControlEvent),
    /// An event from outside the venue.
    World(Box<WorldEvent>),
    /// An act of a person. Answered when its effect survives the loss of power, or with why that is not known.
    Operator {
        /// What the person asked for.
        event: ControlEvent,
        /// The answer; the event is in force before it comes.
        durable: oneshot::Sender<Result<(), String>>,
    },
    /// An operator has read why a market is frozen, and releases it. Answered like `Operator`.
    ReleaseMarket {
        /// Its slug or condition id.
        name: String,
        /// The answer, or that the market is not frozen.
        durable: oneshot::Sender<Result<(), String>>,
    },
    /// End: orders are cancelled. Answered when the engine has nothing more to do.
    Stop(oneshot::Sender<()>),
    /// Panics the engine's thread: for tests of the supervision.
    Panic,
}

/// The most requests that may wait.
pub const CAPACITY: usize = 65_536;

/// The sending half of the inbox.
#[derive(Debug, Clone)]
pub struct Inbox {
    to: mpsc::Sender<Request>,
}

/// A request that did not reach the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InboxError {
    /// The engine is too far behind: nothing may be dropped, so the process has to stop trading.
    #[error(
        "{CAPACITY} requests wait for the engine: it does not keep up, and none may be dropped"
    )]
    Full,
    /// The engine's thread has ended.
    #[error("the engine has ended")]
    Ended,
}

impl Inbox {
    /// Both halves.
    pub fn new() -> (Inbox, mpsc::Receiver<Request>) {
        let (to, from) = mpsc::channel(CAPACITY);
        (Inbox { to }, from)
    }

    /// Hands a request over without waiting.
    ///
    /// # Errors
    /// The queue is full, or the engine has ended.
    pub fn send(&self, request: Request) -> Result<(), InboxError> {
        self.to.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => InboxError::Full,
            mpsc::error::TrySendError::Closed(_) => InboxError::Ended,
        })
    }

    /// Hands over an act of a person and waits until it is durable.
    ///
    /// # Errors
    /// The engine cannot be reached, or the disk does not keep up.
    pub async fn operate(&self, event: ControlEvent) -> Result<(), String> {
        let (durable, answer) = oneshot::channel();
        let request = Request::Operator { event, durable };
        self.send(request).map_err(|error| error.to_string())?;
        answer.await.map_err(|_| InboxError::Ended.to_string())?
    }

    /// Releases a frozen market by slug or condition id, and waits until that is durable.
    ///
    /// # Errors
    /// The market is not frozen, the engine cannot be reached, or the disk does not keep up.
    pub async fn release_market(&self, name: &str) -> Result<(), String> {
        let (durable, answer) = oneshot::channel();
        let request = Request::ReleaseMarket { name: name.to_owned(), durable };
        self.send(request).map_err(|error| error.to_string())?;
        answer.await.map_err(|_| InboxError::Ended.to_string())?
    }

    /// Lists a market and waits for its key.
    ///
    /// # Errors
    /// The engine refused the listing, or cannot be reached.
    pub async fn list(&self, market: Arc<Market>) -> Result<MarketKey, String> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::List { market, reply }).map_err(|error| error.to_string())?;
        answer.await.map_err(|_| InboxError::Ended.to_string())?
    }

    /// Delists a market that is over and flat; `false` where it is not flat yet.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn delist(&self, condition: ConditionId) -> Result<bool, InboxError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Delist { condition, reply })?;
        answer.await.map_err(|_| InboxError::Ended)
    }
}
