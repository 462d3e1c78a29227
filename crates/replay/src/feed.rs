//! The feed between exchange and engine: when each row arrives, and how late the rows were.

use std::collections::VecDeque;

use polydesk_domain::{Event, MarketEvent, Span, Stamped, Time};
use polydesk_sim::{FeedLatency, Sim};
use polydesk_tape::{Times, blank};
use serde::{Deserialize, Serialize};

/// A connection that market data came through: one tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Whether the tape's `at` is a receive time.
    pub times: Times,
    /// Its name among others, for chance: the same tape is late in the same way whatever is replayed beside it.
    pub name: u64,
}

/// How late rows reached the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedFacts {
    /// Rows.
    pub rows: u64,
    /// Half of them were no later, in nanoseconds; `null` without rows.
    pub median: Option<Span>,
    /// 99 of 100 were no later, in nanoseconds.
    pub p99: Option<Span>,
    /// Rows whose receive time is recorded.
    pub received: u64,
    /// Of these, rows received no later than the venue sent them: their latency is drawn.
    pub not_later: u64,
}

/// Longer latencies count as this many milliseconds.
const LONGEST: usize = 60_000;
/// Nanoseconds of one.
const MILLI: u64 = 1_000_000;

/// Latencies in milliseconds, counted.
pub(crate) struct Counted {
    buckets: Vec<u32>,
    facts: FeedFacts,
    /// The millisecond that the last latencies fell into, in nanoseconds from its start, and how many of them are
    /// not in its bucket yet: rows side by side are late together.
    low: u64,
    run: u32,
}

impl Default for Counted {
    fn default() -> Counted {
        let facts = FeedFacts::default();
        Counted { buckets: vec![0; LONGEST + 1], facts, low: 0, run: 0 }
    }
}

impl Counted {
    #[inline]
    fn count(&mut self, latency: Span) {
        let nanos = latency.as_nanos().max(0) as u64;
        if nanos.wrapping_sub(self.low) >= MILLI {
            self.turn(nanos);
        }
        self.run = self.run.saturating_add(1);
    }

    /// Puts the last ones into their bucket; the next fall into another.
    #[inline(never)]
    fn turn(&mut self, nanos: u64) {
        let bucket = &mut self.buckets[((self.low / MILLI) as usize).min(LONGEST)];
        *bucket = bucket.saturating_add(core::mem::take(&mut self.run));
        self.low = nanos - nanos % MILLI;
    }

    /// The figures so far. A latency is known to the millisecond.
    pub fn facts(&mut self) -> FeedFacts {
        self.turn(self.low);
        let rows: u64 = self.buckets.iter().map(|count| u64::from(*count)).sum();
        let at = |percent: u64| {
            let mut left = (rows * percent).div_ceil(100);
            let found = self.buckets.iter().position(|count| {
                left = left.saturating_sub(u64::from(*count));
                left == 0
            });
            found.filter(|_| rows > 0).map(|millis| Span::millis(millis as i64))
        };
        FeedFacts { rows, median: at(50), p99: at(99), ..self.facts.clone() }
    }
}

/// Rows of one connection in the order of their arrival, in a ring of slots that are written over: a row is
/// made where it waits, and is not copied.
struct Ring {
    slots: Vec<Stamped>,
    first: usize,
    len: usize,
}

impl Ring {
    /// Slots at first; always a power of two.
    const SLOTS: usize = 64;

    fn new() -> Ring {
        Ring { slots: vec![blank(); Ring::SLOTS], first: 0, len: 0 }
    }

    /// The slot behind the last row.
    #[inline]
    fn vacant(&mut self) -> &mut Stamped {
        // Both are at most the number of slots.
        let slot = self.first.wrapping_add(self.len) & self.slots.len().wrapping_sub(1);
        &mut self.slots[slot]
    }

    /// What stands in the vacant slot becomes the last row. Then another slot is vacant.
    #[inline]
    fn push(&mut self) {
        self.len += 1;
        if self.len == self.slots.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.slots.rotate_left(self.first);
        self.first = 0;
        self.slots.resize(2 * self.slots.len(), blank());
    }

    #[inline]
    fn front(&self) -> Option<&Stamped> {
        if self.len == 0 { None } else { self.slots.get(self.first) }
    }

    /// Gives the first slot back. A row that holds memory leaves nothing behind.
    #[inline]
    fn pop(&mut self) {
        if self.len == 0 {
            return;
        }
        let event = &mut self.slots[self.first].event;
        let plain = matches!(
            event,
            Event::Market(MarketEvent::Level(_) | MarketEvent::Print(_) | MarketEvent::Best { .. })
        );
        if !plain {
            *event = blank().event;
        }
        self.first = self.first.wrapping_add(1) & self.slots.len().wrapping_sub(1);
        self.len -= 1;
    }
}

struct Lane {
    times: Times,
    latency: FeedLatency,
    /// When its last row arrives: a connection gives rows in their order.
    last: Time,
    rows: Ring,
    /// The positions of these rows among those of all connections, where there are several.
    order: VecDeque<u64>,
}

impl Lane {
    fn new(connection: &Connection, sim: &Sim) -> Lane {
        Lane {
            times: connection.times,
            latency: sim.feed_latency(connection.name),
            last: Time::MIN,
            rows: Ring::new(),
            order: VecDeque::new(),
        }
    }

    /// Puts the row in the vacant slot on its way. Returns when it arrives, and how late that is.
    #[inline(always)]
    fn put(&mut self, received: Time, facts: &mut FeedFacts) -> (Time, Span) {
        let row = self.rows.vacant();
        let exchange_at = row.at;
        let arrival = match self.times {
            Times::Received if received > row.venue_at => {
                facts.received += 1;
                received
            }
            Times::Received => {
                facts.received += 1;
                facts.not_later += 1;
                self.latency.arrival(received)
            }
            Times::VenueOnly => self.latency.arrival(exchange_at),
        };
        let arrival = self.last.max(arrival).max(exchange_at);
        row.at = arrival;
        self.last = arrival;
        self.rows.push();
        (arrival, exchange_at.until(arrival))
    }
}

/// Rows on their way to the engine, in the order in which they arrive.
pub(crate) struct Feed {
    /// The first connection, in most runs the only one.
    one: Lane,
    others: Vec<Lane>,
    /// The connection whose row arrives next: 0 is the first.
    next: usize,
    /// When it arrives; [`Time::MAX`] without one.
    next_at: Time,
    /// Rows put on their way, where there are several connections.
    put: u64,
    pub counted: Counted,
}

impl Feed {
    /// Of these connections; a source beyond the list is like the last one.
    pub fn new(connections: &[Connection], sim: &Sim) -> Feed {
        let plain = Connection { times: Times::VenueOnly, name: 0 };
        let (first, others) = connections.split_first().unwrap_or((&plain, &[]));
        Feed {
            one: Lane::new(first, sim),
            others: others.iter().map(|connection| Lane::new(connection, sim)).collect(),
            next: 0,
            next_at: Time::MAX,
            put: 0,
            counted: Counted::default(),
        }
    }

    /// When the row in the vacant slot, which came from this source, happened at the exchange.
    #[inline]
    pub fn sent(&mut self, source: usize) -> Time {
        let Stamped { at, venue_at, .. } = *self.one.rows.vacant();
        match self.lane(source).times {
            Times::VenueOnly => at,
            Times::Received => venue_at.min(at),
        }
    }

    /// The slot that the next row is to be written into, until [`Feed::put`] sends it on its way.
    #[inline]
    pub fn vacant(&mut self) -> &mut Stamped {
        self.one.rows.vacant()
    }

    /// Puts the row in the vacant slot on its way, which the exchange has seen at `row.at` and the recorder at
    /// `received`. Returns when it arrives.
    #[inline]
    pub fn put(&mut self, source: usize, received: Time) -> Time {
        if !self.others.is_empty() {
            return self.put_of_many(source, received);
        }
        let (arrival, latency) = self.one.put(received, &mut self.counted.facts);
        // A row that others of its connection are before arrives no earlier than they do.
        self.next_at = self.next_at.min(arrival);
        self.counted.count(latency);
        arrival
    }

    #[inline(never)]
    fn put_of_many(&mut self, source: usize, received: Time) -> Time {
        let last = self.others.len();
        if source > 0
            && let Some(lane) = self.others.get_mut(source.min(last).wrapping_sub(1))
        {
            core::mem::swap(self.one.rows.vacant(), lane.rows.vacant());
        }
        let mut facts = core::mem::take(&mut self.counted.facts);
        let position = self.put;
        self.put += 1;
        let lane = self.lane(source);
        let (arrival, latency) = lane.put(received, &mut facts);
        lane.order.push_back(position);
        self.counted.facts = facts;
        self.counted.count(latency);
        self.choose();
        arrival
    }

    /// When the next row arrives; [`Time::MAX`] if none is on its way.
    #[inline(always)]
    pub fn next_at(&self) -> Time {
        self.next_at
    }

    /// The next row to arrive.
    #[inline]
    pub fn front(&self) -> Option<&Stamped> {
        match self.next {
            0 => self.one.rows.front(),
            next => self.others.get(next - 1)?.rows.front(),
        }
    }

    /// Takes it off.
    #[inline]
    pub fn pop_front(&mut self) {
        if self.others.is_empty() {
            self.one.rows.pop();
            self.next_at = self.one.rows.front().map_or(Time::MAX, |row| row.at);
            return;
        }
        let lane = self.lane(self.next);
        lane.rows.pop();
        lane.order.pop_front();
        self.choose();
    }

    #[inline]
    fn lane(&mut self, source: usize) -> &mut Lane {
        if source == 0 || self.others.is_empty() {
            return &mut self.one;
        }
        let last = self.others.len() - 1;
        &mut self.others[(source - 1).min(last)]
    }

    /// The connection whose row arrives first; of two that arrive together, the one that was sent first.
    fn choose(&mut self) {
        let lanes = core::iter::once(&self.one).chain(&self.others).enumerate();
        let first = |(index, lane): (usize, &Lane)| {
            Some((lane.rows.front()?.at, *lane.order.front()?, index))
        };
        let next = lanes.filter_map(first).min();
        (self.next_at, _, self.next) = next.unwrap_or((Time::MAX, 0, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polydesk_domain::{MarketKey, Outcome, Top};
    use polydesk_sim::SimConfig;

    /// Rows with their arrivals.
    type Rows = Vec<(Time, u64)>;

    /// Sends rows of these connections and takes off what is due after every `every` of them; gives the rows in the
    /// order in which they came out, and in the order of their arrivals.
    fn carried(connections: &[Connection], every: u64) -> (Rows, Rows) {
        let sim = Sim::new(SimConfig::default(), 7).unwrap();
        let mut feed = Feed::new(connections, &sim);
        let (mut came, mut due) = (Vec::new(), Vec::new());
        let mut exchange_at = Time::MIN;
        for seq in 0..3_000 {
            // Bursts, pauses, and rows of one time.
            let sent = Time::from_nanos(1_000_000 * (seq / 7 * 11 + seq % 3));
            let source = (seq * seq % 11) as usize % (connections.len() + 1);
            let received = sent + Span::millis(seq * 37 % 400);
            let event = Event::Market(MarketEvent::Best {
                token: MarketKey(0).token(Outcome::Yes),
                top: Top::new(None, None),
            });
            *feed.vacant() = Stamped { at: received, venue_at: sent, seq: seq as u64, event };
            exchange_at = exchange_at.max(feed.sent(source));
            while (seq as u64).is_multiple_of(every) && feed.next_at() < exchange_at {
                let row = feed.front().unwrap();
                assert_eq!(row.at, feed.next_at());
                came.push((row.at, row.seq));
                feed.pop_front();
            }
            feed.vacant().at = exchange_at;
            due.push((feed.put(source, received), seq as u64));
        }
        while let Some(row) = feed.front() {
            came.push((row.at, row.seq));
            feed.pop_front();
        }
        assert_eq!((feed.next_at(), feed.counted.facts().rows), (Time::MAX, 3_000));
        // Of rows that arrive together, the one that was sent first comes first.
        due.sort_by_key(|(at, _)| *at);
        (came, due)
    }

    #[test]
    fn rows_come_in_the_order_of_their_arrival_over_all_connections() {
        let lanes = [
            Connection { times: Times::VenueOnly, name: 1 },
            Connection { times: Times::Received, name: 2 },
            Connection { times: Times::VenueOnly, name: 3 },
        ];
        for count in 0..=lanes.len() {
            for every in [1, 5, 1_000, 10_000] {
                let (came, due) = carried(&lanes[..count], every);
                assert_eq!(came, due, "{count} connections, taken off after every {every} rows");
            }
        }
    }

    #[test]
    fn latencies_are_counted_to_the_millisecond() {
        let mut counted = Counted::default();
        for (micros, rows) in [(0, 1), (999, 49), (1_000, 48), (7_500, 1), (999_999_999, 1)] {
            (0..rows).for_each(|_| counted.count(Span::micros(micros)));
        }
        let facts = counted.facts();
        assert_eq!(
            (facts.rows, facts.median, facts.p99),
            (100, Some(Span::ZERO), Some(Span::millis(7)))
        );
        // Asked twice, counted once.
        assert_eq!(counted.facts(), facts);
        counted.count(Span::millis(-5));
        assert_eq!(counted.facts().median, Some(Span::ZERO));
        assert_eq!(counted.facts().rows, 101);
    }
}
