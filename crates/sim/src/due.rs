//! What is due at the exchange, and the schedule that it waits in. It runs nothing.

use std::collections::BTreeMap;

use polydesk_domain::{
    ClientOrderId, Conversion, ConversionId, Event, MarketKey, PlaceOrder, Query, StrategyId, Time,
};

/// Something that is due at a time.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    /// An order meets the book.
    Arrive(Box<PlaceOrder>),
    /// An order of a request with too many orders does not.
    Refuse(ClientOrderId),
    /// A cancel does.
    Cancel(ClientOrderId),
    /// A cancel of everything does, of one market or everywhere.
    CancelAll(Option<MarketKey>),
    /// The part of it for one market.
    CancelMarket(MarketKey),
    /// A query arrives.
    Query(Query),
    /// The taker delay of an order is over.
    Release(ClientOrderId),
    /// A GTD order's time is over.
    Expire(ClientOrderId),
    /// A batch may be complete.
    BatchTimeout(MarketKey),
    /// The engine gives up waiting for an answer to what happened at a time.
    NoAnswer(ClientOrderId, Time),
    /// The next step of a match's settlement.
    Settle(u64),
    /// A set operation arrives.
    SetArrive(SetOrder),
    /// A set operation is final.
    SetDone(SetOrder),
    /// The venue redeems for us.
    AutoRedeem(MarketKey),
    /// Rebates of a day are paid.
    PayRebates(i64),
    /// The engine hears of something.
    Deliver(Box<Event>),
}

/// A split, merge or redemption under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetOrder {
    pub(crate) id: Option<ConversionId>,
    pub(crate) strategy: Option<StrategyId>,
    pub(crate) market: MarketKey,
    pub(crate) action: Conversion,
}

/// What is due, in the order of time and then of scheduling.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    entries: BTreeMap<(Time, u64), Due>,
    /// Time of the first entry, asked for with every row; means nothing while there is none.
    earliest: Time,
    next: u64,
}

impl Schedule {
    pub(crate) fn new() -> Schedule {
        Schedule { entries: BTreeMap::new(), earliest: Time::MAX, next: 0 }
    }

    pub(crate) fn add(&mut self, at: Time, due: Due) {
        self.next += 1;
        self.earliest = if self.entries.is_empty() { at } else { self.earliest.min(at) };
        self.entries.insert((at, self.next), due);
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        Some(self.earliest).filter(|_| !self.entries.is_empty())
    }

    /// Takes out the first entry if it is due up to and including `to`.
    pub(crate) fn pop(&mut self, to: Time) -> Option<(Time, Due)> {
        let entry = self.entries.first_entry()?;
        let (at, _) = *entry.key();
        self.earliest = at;
        (at <= to).then(|| (at, entry.remove()))
    }

    /// Whether an order or a conversion in a market is on its way or being worked on.
    pub(crate) fn is_under_way(&self, key: MarketKey) -> bool {
        self.entries.values().any(|due| match due {
            Due::Arrive(order) => order.token.market() == key,
            Due::SetArrive(order) | Due::SetDone(order) => order.market == key,
            _ => false,
        })
    }
}
