//! Signals waiting for execution: by urgency, then edge, then age.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use polydesk_domain::{ActionKind, MarketKey, Signal, SignalId, StrategyId, Time, Urgency, Usdc};

type Rank = (Urgency, Reverse<Usdc>, Time, SignalId);
type QueueKey = (StrategyId, ActionKind, MarketKey);

/// Result of pushing a signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Pushed {
    /// Queued.
    Queued,
    /// Queued in place of an older one of the same slot, which is returned.
    Superseded(SignalId),
    /// Dropped: an equal or newer one of the same slot is queued.
    Outdated,
}

/// A signal that was removed from the queue without execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    /// The signal.
    pub signal: Signal,
    /// When it was dropped.
    pub at: Time,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<Rank, Signal>,
    slots: BTreeMap<QueueKey, Rank>,
}

/// The latest signal taken from one producer. Ids of a producer rise, so the mark recognises a redelivery
/// at any distance from the first delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct HighWater {
    /// The producer's run.
    pub epoch: u32,
    /// The highest counter taken in that run.
    pub counter: u64,
}

impl HighWater {
    /// Records a signal's id; false if it is not newer than the high-water mark.
    pub fn accept(&mut self, id: SignalId) -> bool {
        let newer = (id.epoch, id.counter) > (self.epoch, self.counter);
        if newer {
            *self = HighWater { epoch: id.epoch, counter: id.counter };
        }
        newer
    }
}

impl Queue {
    /// An empty queue.
    pub fn new() -> Queue {
        Queue::default()
    }

    /// Number of queued signals.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no signal is queued.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a signal; a newer one replaces a waiting one of the same (strategy, action, market).
    pub fn push(&mut self, signal: Signal) -> Pushed {
        let slot = (signal.strategy, signal.action.kind(), signal.market);
        let rank = (signal.action.urgency(), Reverse(signal.edge), signal.created, signal.id);
        let mut superseded = None;
        if let Some(old) = self.slots.get(&slot) {
            if (old.2, old.3) > (rank.2, rank.3) {
                return Pushed::Outdated;
            }
            superseded = self.waiting.remove(old).map(|signal| signal.id);
        }
        self.slots.insert(slot, rank);
        self.waiting.insert(rank, signal);
        superseded.map_or(Pushed::Queued, Pushed::Superseded)
    }

    /// Takes the first signal that is not expired; the expired ones before it go to `dropped`.
    pub fn pop(&mut self, now: Time, dropped: &mut Vec<Dropped>) -> Option<Signal> {
        while let Some((_, signal)) = self.waiting.pop_first() {
            self.slots.remove(&(signal.strategy, signal.action.kind(), signal.market));
            if signal.expires > now {
                return Some(signal);
            }
            dropped.push(Dropped { signal, at: now });
        }
        None
    }

    /// Removes every queued signal (kill).
    pub fn clear(&mut self, now: Time, dropped: &mut Vec<Dropped>) {
        let waiting = core::mem::take(&mut self.waiting);
        self.slots.clear();
        dropped.extend(waiting.into_values().map(|signal| Dropped { signal, at: now }));
    }
}

#[cfg(test)]
mod tests {
    use polydesk_domain::{Action, Price, Reason, Shares, Side, Size, Token, TradeIntent};

    use super::*;

    const fn named(counter: u64) -> SignalId {
        SignalId { producer: StrategyId::STINK_BIDDER, epoch: 0, counter }
    }

    fn signal(id: u64, market: u32, urgency: Urgency, edge: i64, created: i64) -> Signal {
        Signal {
            id: named(id),
            strategy: StrategyId::STINK_BIDDER,
            market: MarketKey(market),
            action: Action::Trade(TradeIntent {
                token: Token(market * 2),
                side: Side::Buy,
                size: Size::Shares(Shares::whole(5)),
                limit: Price::cents(10),
                urgency,
                all_or_nothing: false,
                exit: None,
            }),
            created: Time::from_secs(created),
            expires: Time::from_secs(created + 10),
            edge: Usdc::cents(edge),
            reason: Reason::new("test"),
        }
    }

    fn drain(queue: &mut Queue, now: i64) -> Vec<u64> {
        let mut dropped = Vec::new();
        std::iter::from_fn(|| queue.pop(Time::from_secs(now), &mut dropped))
            .map(|s| s.id.counter)
            .collect()
    }

    #[test]
    fn urgent_first_then_edge_then_age() {
        let mut queue = Queue::new();
        for (id, market, urgency, edge, created) in [
            (1, 1, Urgency::Rest, 90, 0),
            (2, 2, Urgency::Now, 10, 1),
            (3, 3, Urgency::Now, 20, 2),
            (4, 4, Urgency::Now, 20, 1),
        ] {
            assert_eq!(queue.push(signal(id, market, urgency, edge, created)), Pushed::Queued);
        }
        assert_eq!(drain(&mut queue, 3), [4, 3, 2, 1]);
    }

    #[test]
    fn a_newer_signal_replaces_the_waiting_one_and_an_older_one_does_not() {
        let mut queue = Queue::new();
        queue.push(signal(1, 1, Urgency::Rest, 5, 0));
        assert_eq!(queue.push(signal(2, 1, Urgency::Rest, 1, 1)), Pushed::Superseded(named(1)));
        let mut late = signal(3, 1, Urgency::Rest, 9, 0);
        late.created = Time::from_secs(0);
        assert_eq!(queue.push(late), Pushed::Outdated);
        assert_eq!(drain(&mut queue, 2), [2]);
    }

    #[test]
    fn the_expired_are_dropped_and_told() {
        let mut queue = Queue::new();
        queue.push(signal(1, 1, Urgency::Now, 5, 0));
        queue.push(signal(2, 2, Urgency::Now, 1, 5));
        let mut dropped = Vec::new();
        let next = queue.pop(Time::from_secs(10), &mut dropped);
        assert_eq!(next.map(|signal| signal.id), Some(named(2)));
        assert_eq!(dropped.len(), 1);
    }

    #[test]
    fn a_redelivered_signal_is_recognised_across_epochs() {
        let mut mark = HighWater::default();
        let id = |epoch, counter| SignalId { epoch, counter, ..named(0) };
        let taken = [(0, 1), (0, 5), (0, 5), (0, 2), (1, 1), (0, 9), (1, 1), (1, 2)];
        let accepted = taken.map(|(epoch, counter)| mark.accept(id(epoch, counter)));
        assert_eq!(accepted, [true, true, false, false, true, false, false, true]);
    }
}
