//! What the kill path shares with the rest of the process: a flag, and the orders that may be at the venue.
//!
//! The flag is an atomic. The two mutexes are held for the copy of a value: closing the gate waits for neither the
//! engine nor a disk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use polydesk_domain::{ConditionId, OrderHash, Time};
use polydesk_polymarket_api::{Guard, ServerClock};
use tokio::sync::Notify;

/// How long the ladder tries to read the list of orders before it goes on without ids.
const LIST_PATIENCE: Duration = Duration::from_millis(5);

const KILLED: u8 = 1;
const STOPPING: u8 = 2;
const STALE: u8 = 4;

/// Why the gate is closed; the gravest reason where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The kill switch was triggered.
    Killed,
    /// The process is ending.
    Stopping,
    /// The engine has missed its beat. Opens again with the next one.
    Stale,
}

/// What triggered a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The file `STOP` in the data folder.
    File,
    /// The `desk` program itself.
    Desk,
    /// SIGUSR1.
    Signal,
    /// HTTP with a token.
    Http,
    /// The Unix socket in the data folder.
    Socket,
    /// A halt of the engine.
    Engine,
    /// The engine has missed its beat for too long.
    Watchdog,
    /// The latch file said so at the start.
    Latch,
    /// No kill: the process ends in order.
    Stop,
}

impl Via {
    /// Stable name, as the latch file has it.
    pub const fn name(self) -> &'static str {
        match self {
            Via::File => "file",
            Via::Desk => "desk",
            Via::Signal => "signal",
            Via::Http => "http",
            Via::Socket => "socket",
            Via::Engine => "engine",
            Via::Watchdog => "watchdog",
            Via::Latch => "latch",
            Via::Stop => "stop",
        }
    }
}

/// One trigger of the kill switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Steady time.
    pub at: Time,
    /// A person or a part of the program.
    pub by: String,
    /// Through what.
    pub via: Via,
    /// Free text.
    pub why: String,
    /// How many triggers there were, this one included. A lift names the last one that it lifts.
    pub number: u64,
}

/// What is known of an order that may be at the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its market: the last way to cancel it.
    pub market: ConditionId,
    /// Whether the venue has answered that it rests. Until then it is in flight or unknown.
    pub resting: bool,
}

/// The kill switch of a process.
#[derive(Debug)]
pub struct Switch {
    closed: AtomicU8,
    count: AtomicU64,
    last: Mutex<Option<Trigger>>,
    orders: Mutex<BTreeMap<OrderHash, Listed>>,
    changed: Notify,
    clock: ServerClock,
}

impl Switch {
    /// An open switch. Triggers are dated by the clock's steady time.
    pub fn new(clock: ServerClock) -> Arc<Switch> {
        Arc::new(Switch {
            closed: AtomicU8::new(0),
            count: AtomicU64::new(0),
            last: Mutex::default(),
            orders: Mutex::default(),
            changed: Notify::new(),
            clock,
        })
    }

    /// Why no order may leave; `None`: this switch stops none.
    pub fn closed(&self) -> Option<Closed> {
        match self.closed.load(Ordering::Acquire) {
            0 => None,
            flags if flags & KILLED != 0 => Some(Closed::Killed),
            flags if flags & STOPPING != 0 => Some(Closed::Stopping),
            _ => Some(Closed::Stale),
        }
    }

    /// Whether it is killed or ending: heartbeats stop then, so that the venue cancels by itself.
    pub fn ends_heartbeats(&self) -> bool {
        self.closed.load(Ordering::Acquire) & (KILLED | STOPPING) != 0
    }

    /// The guard of a request, asked just before its first byte.
    pub fn guard(self: &Arc<Switch>) -> Guard {
        let switch = Arc::clone(self);
        Arc::new(move || switch.closed().is_none())
    }

    /// Kills. The gate is closed when this returns; the ladder follows on its own thread.
    pub fn trigger(&self, by: &str, via: Via, why: &str) -> Trigger {
        self.closed.fetch_or(KILLED, Ordering::AcqRel);
        let mut last = self.last();
        let number = self.count.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let (at, by, why) = (self.clock.steady(), by.to_owned(), why.to_owned());
        let trigger = Trigger { at, by, via, why, number };
        *last = Some(trigger.clone());
        drop(last);
        self.changed.notify_waiters();
        self.changed.notify_one();
        trigger
    }

    /// The last trigger that was not lifted.
    pub fn triggered(&self) -> Option<Trigger> {
        self.last().clone()
    }

    /// Closes the gate for the end of the process. What it returns begins the ladder that cancels before the end.
    pub fn stop(&self, why: &str) -> Trigger {
        self.closed.fetch_or(STOPPING, Ordering::AcqRel);
        self.changed.notify_waiters();
        let number = self.count.load(Ordering::Acquire);
        let (at, by, why) = (self.clock.steady(), "process".to_owned(), why.to_owned());
        Trigger { at, by, via: Via::Stop, why, number }
    }

    /// Closes the gate while the engine misses its beat.
    pub fn hold(&self, stale: bool) {
        match stale {
            true => self.closed.fetch_or(STALE, Ordering::AcqRel),
            false => self.closed.fetch_and(!STALE, Ordering::AcqRel),
        };
    }

    /// Ends the kill, unless it was triggered again after the trigger of this number.
    #[must_use]
    pub(crate) fn lift(&self, number: u64) -> bool {
        let mut last = self.last();
        if self.count.load(Ordering::Acquire) != number {
            return false;
        }
        *last = None;
        self.closed.fetch_and(!KILLED, Ordering::AcqRel);
        true
    }

    /// Waits for a trigger. One that came since the last wait counts.
    pub(crate) async fn woken(&self) {
        self.changed.notified().await;
    }

    /// The clock of its triggers.
    pub fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// Lists an order before it leaves, and says whether it still may. An order is listed before the flag is read: a
    /// trigger either stops it or finds it.
    #[must_use]
    pub fn enlist(&self, order: OrderHash, market: ConditionId) -> bool {
        self.orders().insert(order, Listed { market, resting: false });
        if self.closed().is_some() {
            self.delist(&order);
            return false;
        }
        true
    }

    /// The venue answered that the order rests.
    pub fn rests(&self, order: &OrderHash) {
        if let Some(listed) = self.orders().get_mut(order) {
            listed.resting = true;
        }
    }

    /// It is proven that the order is not at the venue: it never left, was refused, or has ended.
    pub fn delist(&self, order: &OrderHash) {
        self.orders().remove(order);
    }

    /// The orders that may be at the venue; `None`: the list was not free within 5 ms.
    pub async fn listed(&self) -> Option<BTreeMap<OrderHash, Listed>> {
        let until = tokio::time::Instant::now() + LIST_PATIENCE;
        loop {
            let copy = self.copied();
            if copy.is_some() || tokio::time::Instant::now() >= until {
                return copy;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn copied(&self) -> Option<BTreeMap<OrderHash, Listed>> {
        match self.orders.try_lock() {
            Ok(orders) => Some(orders.clone()),
            // A panic elsewhere leaves a list that is still good.
            Err(TryLockError::Poisoned(orders)) => Some(orders.into_inner().clone()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Runs while the list is locked: for tests of a list that is not free.
    #[doc(hidden)]
    pub fn with_orders<T>(&self, work: impl FnOnce(&BTreeMap<OrderHash, Listed>) -> T) -> T {
        work(&self.orders())
    }

    fn orders(&self) -> MutexGuard<'_, BTreeMap<OrderHash, Listed>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> MutexGuard<'_, Option<Trigger>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(byte: u8) -> OrderHash {
        OrderHash::from_bytes([byte; 32])
    }

    fn switch() -> Arc<Switch> {
        Switch::new(ServerClock::over(|| Time::from_secs(1_000)))
    }

    #[test]
    fn the_gravest_reason_is_named_and_each_is_cleared_by_its_own_end() {
        let switch = switch();
        let guard = switch.guard();
        assert!(guard());
        switch.hold(true);
        assert_eq!((switch.closed(), guard()), (Some(Closed::Stale), false));
        assert!(!switch.ends_heartbeats());
        let trigger = switch.trigger("ada", Via::Desk, "a test");
        assert_eq!(switch.closed(), Some(Closed::Killed));
        switch.hold(false);
        assert_eq!(switch.closed(), Some(Closed::Killed), "a fresh beat lifts no kill");
        assert!(switch.lift(trigger.number));
        assert_eq!((switch.closed(), switch.triggered()), (None, None));
        assert_eq!(switch.stop("a signal").via, Via::Stop);
        switch.hold(true);
        assert_eq!(switch.closed(), Some(Closed::Stopping));
        assert!(switch.ends_heartbeats());
    }

    #[test]
    fn a_trigger_after_the_lifted_one_stays() {
        let switch = switch();
        let first = switch.trigger("ada", Via::Desk, "one");
        let second = switch.trigger("bob", Via::File, "two");
        assert!(!switch.lift(first.number));
        assert_eq!(switch.closed(), Some(Closed::Killed));
        assert_eq!(switch.triggered(), Some(second));
    }

    #[test]
    fn an_order_is_enlisted_while_the_gate_is_open_and_not_after() {
        let switch = switch();
        let market = polydesk_domain::Market::plain(1, "rain").condition;
        assert!(switch.enlist(order(1), market));
        switch.rests(&order(1));
        switch.trigger("ada", Via::Desk, "");
        assert!(!switch.enlist(order(2), market));
        let listed = switch.with_orders(Clone::clone);
        assert_eq!(listed, [(order(1), Listed { market, resting: true })].into());
        switch.delist(&order(1));
        assert!(switch.with_orders(BTreeMap::is_empty));
    }
}
