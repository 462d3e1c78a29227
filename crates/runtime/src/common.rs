//! What the engine's threads of paper and live trading have in common: rules over the engine and the journal,
//! without an exchange.

use std::collections::VecDeque;
use std::sync::Arc;

use polydesk_domain::{Cause, ControlEvent, Market, MarketKey, NoteLevel, Recorded, Span, Time};
use polydesk_domain::{Operator, OperatorCommand};
use polydesk_engine::Engine;
use polydesk_journal::{Room, Seq, Status};
use tokio::sync::oneshot;

use crate::clock::EngineClock;
use crate::decisions::{self, Weight};
use crate::durable::{JournalError, Journaling};
use crate::facts::Fact;
use crate::glance::{Connections, DecisionGlance, FeedGlance, Shared};
use crate::spans::Spans;

/// Rows taken at once.
pub(crate) const TAKEN: usize = 4_096;
/// Decisions kept for the glance.
const DECISIONS: usize = 30;
/// Between two glances.
pub(crate) const GLANCE: Span = Span::millis(250);
/// Between two checks of connections and of the age of books.
pub(crate) const CHECK: Span = Span::millis(250);
/// How long orders may take to end after a stop.
pub(crate) const STOPPING: Span = Span::secs(10);
/// A clock that is set back by no more is waited for.
const CLOCK_SLACK: Span = Span::secs(5);
/// How long a person waits for the disk.
const ANSWER: Span = Span::secs(5);

/// The engine's time at the start. A clock that was set back by little is waited for; by much, the engine takes the
/// new time.
pub(crate) fn first_time(engine: Time, clock: Time) -> Time {
    if engine.max(clock) - CLOCK_SLACK > clock { clock } else { engine.max(clock) }
}

/// Takes what waits now, and not what comes meanwhile: a feed cannot hold the loop.
pub(crate) fn take<T>(from: &mut tokio::sync::mpsc::Receiver<T>, items: &mut Vec<T>) {
    for _ in 0..from.len() {
        match from.try_recv() {
            Ok(item) => items.push(item),
            Err(_) => return,
        }
    }
}

/// The key under which a market is listed, or would be.
///
/// # Errors
/// The rule that the listing breaks: a refused one must change nothing anywhere.
pub(crate) fn listing(engine: &Engine, market: &Market) -> Result<MarketKey, String> {
    let universe = engine.universe();
    let key = universe.key(&market.condition).unwrap_or(universe.next_key());
    universe.check(key, market).map_err(|error| error.to_string())?;
    Ok(key)
}

/// The frozen market with this slug or condition id.
pub(crate) fn frozen(engine: &Engine, name: &str) -> Option<MarketKey> {
    let universe = engine.universe();
    let named = |key: &MarketKey| {
        universe
            .get(*key)
            .is_some_and(|market| market.slug == name || market.condition.to_string() == name)
    };
    let blockers = &engine.manager().state().blockers;
    let closed = |key: &MarketKey| {
        let causes = [Cause::Market(*key), Cause::Flattened(*key)];
        causes.iter().any(|cause| blockers.contains_key(cause))
    };
    universe.keys().filter(named).find(closed)
}

/// An operator's release of a market through the `desk`.
pub(crate) fn release(market: MarketKey) -> ControlEvent {
    let command = OperatorCommand::ReleaseMarket(market);
    let (by, why, key) = ("desk".to_owned(), String::new(), String::new());
    ControlEvent::Operator(Operator { by, why, key, command })
}

/// Books whose last proof is too old.
pub(crate) fn old_proofs(engine: &Engine, now: Time, limit: Span) -> Vec<MarketKey> {
    let books = engine.books();
    let old = |key: &MarketKey| {
        let trades = engine.states()[key.index()].trades();
        trades
            && books.verified(*key)
            && books.proven_at(*key).is_some_and(|at| at.until(now) > limit)
    };
    engine.universe().keys().filter(old).collect()
}

/// The state of the journal as the loop sees it.
pub(crate) enum Kept {
    /// Nothing changed.
    Same,
    /// Blockers are to be set and cleared.
    Events([ControlEvent; 2]),
    /// Nothing can be journaled any more: trading ends.
    Over(String),
}

/// Copies soft memory, records alerts, and says what the journal's state means for trading.
///
/// # Errors
/// Nothing can be appended.
pub(crate) fn check_journal(
    journal: &mut Journaling,
    engine: &Engine,
    now: Time,
) -> Result<Kept, JournalError> {
    journal.soft(engine, now)?;
    let (status, alerts) = journal.status();
    for alert in alerts {
        tracing::error!("{alert}");
        let text = alert.to_string();
        journal.fact(now, &Fact::Alert { at: now, level: NoteLevel::Critical, text })?;
    }
    let Some(status) = status else { return Ok(Kept::Same) };
    if status.must_halt() {
        let why = status.failed.map_or("its buffer is full".to_owned(), |why| why.to_string());
        return Ok(Kept::Over(why));
    }
    Ok(Kept::Events(blockers(&status)))
}

/// The blockers that a journal's state sets and clears.
fn blockers(status: &Status) -> [ControlEvent; 2] {
    let blocker =
        |cause, on, detail: &str| ControlEvent::Blocker { cause, on, detail: detail.to_owned() };
    [
        blocker(Cause::Disk, status.room == Room::NoEntries, "the disk is full: free space"),
        blocker(Cause::JournalSlow, status.slow, "the disk does not keep up with the journal"),
    ]
}

/// Acts of persons that are in force and not yet durable.
#[derive(Default)]
pub(crate) struct Unanswered(Vec<Act>);

/// An act of a person whose record is not synced yet.
struct Act {
    /// Its last record.
    seq: Seq,
    /// Until when the person waits.
    until: Time,
    reply: oneshot::Sender<Result<(), String>>,
}

impl Unanswered {
    /// An act that is in force; it is answered when it is durable. Without a journal nothing is waited for.
    pub(crate) fn add(
        &mut self,
        journal: Option<&Journaling>,
        at: Time,
        reply: oneshot::Sender<Result<(), String>>,
    ) {
        match journal {
            Some(journal) => {
                self.0.push(Act { seq: journal.appended(), until: at + ANSWER, reply });
            }
            None => drop(reply.send(Ok(()))),
        }
    }

    /// Answers persons whose acts are durable, or whose patience is over.
    pub(crate) fn answer(&mut self, journal: Option<&Journaling>, now: Time) {
        if self.0.is_empty() {
            return;
        }
        let synced = journal.map(Journaling::synced);
        for one in core::mem::take(&mut self.0) {
            if synced.is_some_and(|synced| synced >= one.seq) {
                let _ = one.reply.send(Ok(()));
            } else if now >= one.until {
                let why = "it is in force, but the disk has not kept it yet: a crash now would undo it. Look at `desk doctor`";
                let _ = one.reply.send(Err(why.to_owned()));
            } else {
                self.0.push(one);
            }
        }
    }
}

/// Counts of the market channel.
#[derive(Debug, Default)]
pub(crate) struct FeedCounts {
    /// Rows so far.
    pub rows: u64,
    /// Rows that the engine did not get because later ones replaced them.
    pub collapsed: u64,
    /// Engine time of the last row.
    pub last_row: Option<Time>,
    /// Whether a connection is up.
    pub up: bool,
}

impl FeedCounts {
    /// As it is shown. `way` is the latency added to orders, for simulated ones.
    pub(crate) fn glance(
        &self,
        engine: &Engine,
        connections: Connections,
        at: Time,
        way: Span,
    ) -> FeedGlance {
        let (mut open, mut usable, mut unverified) = (0, 0, 0);
        for key in engine.universe().keys() {
            if engine.states()[key.index()].trades() {
                open += 1;
                usable += u64::from(engine.books().usable(key));
                unverified += u64::from(!engine.books().verified(key));
            }
        }
        FeedGlance {
            up: self.up,
            connections: connections.up,
            disconnects: connections.lost,
            age_ms: self.last_row.map(|last| last.until(at).as_millis()),
            rows: self.rows,
            collapsed: self.collapsed,
            open_markets: open,
            usable_books: usable,
            unverified,
            way_ms: way.as_millis(),
        }
    }
}

/// Counts, logs and shows what the engine does.
pub(crate) struct Decisions {
    pub shared: Arc<Shared>,
    pub clock: EngineClock,
    /// Steady time at which the engine was given the event.
    pub began: Time,
    last: VecDeque<DecisionGlance>,
    spans: Spans,
}

impl Decisions {
    pub(crate) fn new(shared: Arc<Shared>, clock: EngineClock) -> Decisions {
        let (last, spans) = (VecDeque::new(), Spans::default());
        Decisions { shared, clock, began: Time::MIN, last, spans }
    }

    /// The engine is given an event now.
    pub(crate) fn begin(&mut self) {
        self.began = self.clock.server().steady();
    }

    /// The engine has decided: how long it took.
    pub(crate) fn decided(&self) {
        let took = self.began.until(self.clock.server().steady());
        self.shared.metrics.decision.observe(took);
    }

    pub(crate) fn record(&mut self, engine: &Engine, recorded: &Recorded) {
        self.shared.metrics.record(&recorded.record);
        let line = decisions::line(&recorded.record, engine.universe());
        self.spans.emit(&recorded.record, &line, recorded.at);
        if line.weight >= Weight::Decision {
            if self.last.len() == DECISIONS {
                self.last.pop_front();
            }
            let kind = line.kind.to_owned();
            self.last.push_back(DecisionGlance { at: recorded.at, kind, text: line.text });
        }
    }

    /// The last ones, newest last.
    pub(crate) fn last(&self) -> Vec<DecisionGlance> {
        self.last.iter().cloned().collect()
    }
}
