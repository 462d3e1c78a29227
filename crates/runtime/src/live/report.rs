//! What the lanes report to the engine's thread: raw answers, in the order in which they came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use polydesk_domain::{Cash, ClientOrderId, Code, ConditionId, OrderHash, Time};
use polydesk_gateway::{FilledLog, OrderFacts, Reads};
use polydesk_polymarket_api::ApiError;
use polydesk_polymarket_api::clob::{Cancelled, OpenOrder, OwnList, Placed, Trade};
use tokio::sync::{Mutex, mpsc};

/// The receiving end of a lane. A lane that is started again goes on with what waits.
pub(crate) type Waiting<J> = Arc<Mutex<mpsc::Receiver<J>>>;

/// Answers to the orders of one request, in the order in which they were sent.
pub type Answers = Result<Vec<Result<Placed, ApiError>>, ApiError>;

/// One report.
#[derive(Debug)]
pub enum Report {
    /// An order is signed and journaled: the venue will know it by this hash.
    Bound {
        /// Our id.
        id: ClientOrderId,
        /// The venue's.
        hash: OrderHash,
        /// What was signed.
        facts: Box<OrderFacts>,
        /// When.
        at: Time,
    },
    /// The first byte of these orders left.
    Sent {
        /// The orders of the request.
        orders: Vec<OrderHash>,
        /// When.
        at: Time,
    },
    /// An order never left, and never will.
    NotSent {
        /// Our id.
        id: ClientOrderId,
        /// The venue's, where it was signed.
        hash: Option<OrderHash>,
        /// What stood in the way.
        why: Code,
        /// When.
        at: Time,
    },
    /// The answer to a request of orders.
    Placed {
        /// Its orders.
        orders: Vec<OrderHash>,
        /// What came of each.
        answers: Answers,
        /// When.
        at: Time,
    },
    /// A cancel leaves.
    Cancelling {
        /// The orders that it names.
        orders: Vec<OrderHash>,
        /// When.
        at: Time,
    },
    /// The answer to a cancel.
    Cancelled {
        /// What the venue says.
        answer: Box<Result<Cancelled, ApiError>>,
        /// When.
        at: Time,
    },
    /// An order read by its id.
    Order {
        /// Which.
        hash: OrderHash,
        /// What the venue says.
        answer: Box<Result<Option<OpenOrder>, ApiError>>,
        /// When.
        at: Time,
    },
    /// Trades that were read.
    Trades {
        /// The list.
        trades: OwnList<Trade>,
        /// When it was asked for.
        at: Time,
    },
    /// A pass of reads.
    Pass {
        /// What was read.
        reads: Box<Reads>,
        /// When the first read was asked.
        asked_at: Time,
    },
    /// A pass that could not be read.
    PassFailed {
        /// Why.
        why: String,
        /// When.
        at: Time,
    },
    /// What one final transaction moved.
    Settled {
        /// Its hash.
        transaction: String,
        /// The parts of our orders.
        fills: Vec<FilledLog>,
        /// Blocks on top of it.
        depth: u64,
    },
    /// What became of a conversion.
    Converted(Cash),
    /// A transaction that this program does not know has used the nonce of a conversion in this market.
    NonceTaken(ConditionId),
}

/// The sending half. Nothing is ever dropped: where there is no room the lanes stop for good.
#[derive(Debug, Clone)]
pub struct Reports {
    to: mpsc::Sender<Report>,
    overflown: Arc<AtomicBool>,
}

/// The most reports that may wait.
pub const CAPACITY: usize = 65_536;

impl Reports {
    /// Both halves.
    pub fn new() -> (Reports, mpsc::Receiver<Report>) {
        let (to, from) = mpsc::channel(CAPACITY);
        (Reports { to, overflown: Arc::default() }, from)
    }

    /// Hands a report over without waiting.
    pub fn send(&self, report: Report) {
        if self.to.try_send(report).is_err() && !self.overflown.swap(true, Ordering::AcqRel) {
            tracing::error!("a report did not reach the engine: no order leaves any more");
        }
    }

    /// Whether a report was lost: what the engine knows is not the truth any more.
    pub fn overflown(&self) -> bool {
        self.overflown.load(Ordering::Acquire)
    }
}
