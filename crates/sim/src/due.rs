//! Scheduled actions of the exchange and their queue. It runs none of them.

use std::collections::BTreeMap;

use polydesk_domain::{
    ClientOrderId, Conversion, ConversionId, Event, MarketKey, PlaceOrder, Query, StrategyId, Time,
};

/// A scheduled action.
#[derive(Debug, Clone)]
pub(crate) enum SimAction {
    /// An order reaches the book.
    Arrive(Box<PlaceOrder>),
    /// An order of a request with too many orders arrives and is refused.
    Refuse(ClientOrderId),
    /// A cancel arrives.
    Cancel(ClientOrderId),
    /// A cancel of all orders arrives, of one market or everywhere.
    CancelAll(Option<MarketKey>),
    /// All orders of one market are cancelled.
    CancelMarket(MarketKey),
    /// A query arrives.
    Query(Query),
    /// The taker delay of an order ends.
    Release(ClientOrderId),
    /// A GTD order expires.
    Expire(ClientOrderId),
    /// A batch may be complete.
    BatchTimeout(MarketKey),
    /// The engine's wait for a lost answer ends; the time is when it was lost.
    ResponseTimeout(ClientOrderId, Time),
    /// The next step of a match's settlement.
    Settle(u64),
    /// A conversion arrives.
    ConversionArrive(ConversionRequest),
    /// A conversion becomes final on the chain, or fails there.
    ConversionEnd(ConversionRequest),
    /// The venue redeems without a command.
    AutoRedeem(MarketKey),
    /// Rebates of a day are paid.
    PayRebates(i64),
    /// An event reaches the engine.
    Deliver(Box<Event>),
}

/// A split, merge or redemption; without an id where the venue redeems by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConversionRequest {
    pub(crate) id: Option<ConversionId>,
    pub(crate) strategy: Option<StrategyId>,
    pub(crate) market: MarketKey,
    pub(crate) action: Conversion,
}

/// Scheduled actions in the order of time and then of scheduling.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    entries: BTreeMap<(Time, u64), SimAction>,
    /// Time of the first entry, read with every row; meaningless without entries.
    earliest: Time,
    next: u64,
}

impl Schedule {
    pub(crate) fn new() -> Schedule {
        Schedule { entries: BTreeMap::new(), earliest: Time::MAX, next: 0 }
    }

    pub(crate) fn add(&mut self, at: Time, due: SimAction) {
        self.next += 1;
        self.earliest = if self.entries.is_empty() { at } else { self.earliest.min(at) };
        self.entries.insert((at, self.next), due);
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        Some(self.earliest).filter(|_| !self.entries.is_empty())
    }

    /// Takes out the first entry if it is due up to and including `to`.
    pub(crate) fn pop(&mut self, to: Time) -> Option<(Time, SimAction)> {
        let entry = self.entries.first_entry()?;
        let (at, _) = *entry.key();
        self.earliest = at;
        (at <= to).then(|| (at, entry.remove()))
    }

    /// Whether an order in flight or a pending conversion concerns a market.
    pub(crate) fn has_pending_in(&self, key: MarketKey) -> bool {
        self.entries.values().any(|due| match due {
            SimAction::Arrive(order) => order.token.market() == key,
            SimAction::ConversionArrive(request) | SimAction::ConversionEnd(request) => {
                request.market == key
            }
            _ => false,
        })
    }
}
