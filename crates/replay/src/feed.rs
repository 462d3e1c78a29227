//! The feed between exchange and engine: when each row arrives, and how late the rows were.

use std::collections::VecDeque;

use polydesk_domain::{Event, Span, Stamped, Time};
use polydesk_sim::{FeedLatency, Sim};
use polydesk_tape::Times;
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

/// Latencies in milliseconds, counted.
pub(crate) struct Counted {
    buckets: Vec<u32>,
    facts: FeedFacts,
}

impl Default for Counted {
    fn default() -> Counted {
        Counted { buckets: vec![0; LONGEST + 1], facts: FeedFacts::default() }
    }
}

impl Counted {
    #[inline]
    fn count(&mut self, latency: Span) {
        let millis = (latency.as_nanos().max(0) / 1_000_000) as usize;
        let bucket = &mut self.buckets[millis.min(LONGEST)];
        *bucket = bucket.saturating_add(1);
    }

    /// The figures so far. A latency is known to the millisecond.
    pub fn facts(&self) -> FeedFacts {
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

struct Lane {
    times: Times,
    latency: FeedLatency,
    /// When its last row arrives: a connection gives rows in their order.
    last: Time,
}

/// Rows on their way to the engine, in the order in which they arrive.
pub(crate) struct Feed {
    lanes: Vec<Lane>,
    rows: VecDeque<Stamped>,
    /// When the last of them arrives.
    newest: Time,
    pub counted: Counted,
}

impl Feed {
    /// Of these connections; a source beyond the list is like the last one.
    pub fn new(connections: &[Connection], sim: &Sim) -> Feed {
        let lane = |connection: &Connection| Lane {
            times: connection.times,
            latency: sim.feed_latency(connection.name),
            last: Time::MIN,
        };
        let mut lanes: Vec<Lane> = connections.iter().map(lane).collect();
        if lanes.is_empty() {
            lanes.push(lane(&Connection { times: Times::VenueOnly, name: 0 }));
        }
        Feed { lanes, rows: VecDeque::new(), newest: Time::MIN, counted: Counted::default() }
    }

    /// When a row happened at the exchange.
    #[inline]
    pub fn sent(&self, source: usize, row: &Stamped) -> Time {
        match self.lanes[source.min(self.lanes.len() - 1)].times {
            Times::VenueOnly => row.at,
            Times::Received => row.venue_at.min(row.at),
        }
    }

    /// Puts a row on its way that the exchange has seen at `exchange_at`. Returns when it arrives.
    ///
    /// The row comes in its parts: copied whole, the copy would wait for the time just written.
    #[inline]
    pub fn put(
        &mut self,
        source: usize,
        exchange_at: Time,
        (at, venue_at, seq): (Time, Time, u64),
        event: Event,
    ) -> Time {
        let source = source.min(self.lanes.len() - 1);
        let lane = &mut self.lanes[source];
        let arrival = match lane.times {
            Times::Received if at > venue_at => {
                self.counted.facts.received += 1;
                at
            }
            Times::Received => {
                self.counted.facts.received += 1;
                self.counted.facts.not_later += 1;
                lane.latency.arrival(at)
            }
            Times::VenueOnly => lane.latency.arrival(exchange_at),
        };
        let arrival = lane.last.max(arrival).max(exchange_at);
        lane.last = arrival;
        self.counted.count(exchange_at.until(arrival));
        let row = Stamped { at: arrival, venue_at, seq, event };
        if self.newest <= arrival {
            self.newest = arrival;
            self.rows.push_back(row);
        } else {
            let place = self.rows.partition_point(|other| other.at <= arrival);
            self.rows.insert(place, row);
        }
        arrival
    }

    /// The next row to arrive.
    #[inline]
    pub fn front(&self) -> Option<&Stamped> {
        self.rows.front()
    }

    /// Takes it off.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Stamped> {
        self.rows.pop_front()
    }
}
