//! Events in four families: a feed makes only market events, the gateway only account events; the
//! asynchronous tasks make world events, operators and the runtime control events.

mod account;
mod control;
mod market;
mod world;

use std::sync::Arc;

pub use account::{AccountEvent, AccountSnapshot, Cash, CashKind, Channel, ExternalOrder, Finding};
pub use control::{ControlEvent, Operator, OperatorCommand, RunMode, RunStart};
pub use market::{BookSnapshot, Interruption, LevelChange, MarketEvent, Print, Reference, Top};
pub use world::{Article, Forecast, LeaderState, WalletTrade, WorldEvent};

use crate::{ClientOrderId, OrderUpdate, OwnTrade, Time};

/// An event with its times. Total order: (`at`, source rank, `seq`), made in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamped {
    /// Engine time: monotone, given by the inbox or the tape.
    pub at: Time,
    /// The venue's timestamp; it can run backwards.
    pub venue_at: Time,
    /// Position in the stream.
    pub seq: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Market data: the only frequent family, so its payload is inline.
    Market(MarketEvent),
    /// Our own account.
    Account(Box<AccountEvent>),
    /// Articles, followed wallets, forecasts, signals of other processes.
    World(Arc<WorldEvent>),
    /// Operators and the runtime.
    Control(Box<ControlEvent>),
}

impl Event {
    /// Puts another event in the place of this one. Plain rows have nothing to free, and asking that first costs
    /// less than dropping them.
    #[inline]
    pub fn put(&mut self, event: Event) {
        core::mem::replace(self, event).discard();
    }

    /// Drops it, as [`Event::put`] does with what it replaces.
    #[inline]
    pub fn discard(self) {
        let plain = matches!(
            self,
            Event::Market(MarketEvent::Level(_) | MarketEvent::Print(_) | MarketEvent::Best { .. })
        );
        if plain {
            core::mem::forget(self);
        }
    }
}

impl From<MarketEvent> for Event {
    fn from(event: MarketEvent) -> Event {
        Event::Market(event)
    }
}
impl From<AccountEvent> for Event {
    fn from(event: AccountEvent) -> Event {
        Event::Account(Box::new(event))
    }
}
impl From<WorldEvent> for Event {
    fn from(event: WorldEvent) -> Event {
        Event::World(Arc::new(event))
    }
}
impl From<ControlEvent> for Event {
    fn from(event: ControlEvent) -> Event {
        Event::Control(Box::new(event))
    }
}

impl Event {
    /// An update of one of our orders.
    pub fn order(id: ClientOrderId, update: OrderUpdate) -> Event {
        AccountEvent::Order { id, update }.into()
    }
    /// A fill of one of our orders.
    pub fn trade(trade: OwnTrade) -> Event {
        AccountEvent::Trade(trade).into()
    }
    /// A movement of money.
    pub fn cash(cash: Cash) -> Event {
        AccountEvent::Cash(cash).into()
    }
}

/// Provenance of a recorded fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// As the venue sent it.
    Recorded,
    /// Assumed; the certificate names the source.
    Assumed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Price;

    #[test]
    fn events_are_small() {
        assert!(size_of::<Stamped>() <= 48, "{}", size_of::<Stamped>());
        assert_eq!(size_of::<Option<Top>>(), 4);
    }

    #[test]
    fn best_prices_survive_packing() {
        for bid in [None, Some(Price::ZERO), Some(Price::cents(31)), Some(Price::ONE)] {
            for ask in [None, Some(Price::ZERO), Some(Price::cents(32)), Some(Price::ONE)] {
                let top = Top::new(bid, ask);
                assert_eq!((top.bid(), top.ask()), (bid, ask));
            }
        }
    }
}
