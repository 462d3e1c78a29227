//! The queue in which signals wait for execution, with superseding and deduplication.
//!
//! The types of signals are the vocabulary's ([`polydesk_domain`]) and re-exported here.

mod queue;

pub use polydesk_domain::{
    Action, ActionKind, Basket, BasketKind, Close, ExitPlan, Figure, Leg, Opportunity, Quote,
    Reason, Signal, Stop, Subject, TakeProfit, TradeIntent, Trailing, Urgency,
};
pub use queue::{Dropped, HighWater, Pushed, Queue};
