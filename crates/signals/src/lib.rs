//! The queue of signals before execution, with superseding and deduplication.
//!
//! The signal types are those of [`polydesk_domain`], re-exported here.

mod queue;

pub use polydesk_domain::{
    Action, ActionKind, Basket, BasketKind, Close, ExitPlan, Figure, Leg, Opportunity, Quote,
    Reason, Signal, Stop, Subject, TakeProfit, TradeIntent, Trailing, Urgency,
};
pub use queue::{Dropped, HighWater, Pushed, Queue};
