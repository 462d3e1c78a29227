//! The loop over virtual time.

use polydesk_domain::{
    AccountEvent, Cash, CashKind, ControlEvent, Event, Outbox, RunStart, Span, Stamped, Time,
};
use polydesk_engine::Engine;
use polydesk_sim::{Broken, Sim};
use polydesk_tape::{EventSource, TapeError, Times};

use crate::feed::{Connection, Feed};
use crate::log::EventLog;
use crate::recorder::{Recorder, Recording};
use crate::step::{Step, Watch};

/// Settings of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The connections that the source's tapes came through, in its order ([`EventSource::source`]).
    pub connections: Vec<Connection>,
    /// Time between two samples of equity and book quality.
    pub sample: Span,
    /// How long after the last event settlements may still come in.
    pub drain: Span,
    /// A silence of the tape longer than this is skipped while nothing is pending, and no markout is read in
    /// it.
    pub skip_silence: Span,
    /// Rows between two calls of the progress function.
    pub progress_every: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connections: vec![Connection { times: Times::VenueOnly, name: 0 }],
            sample: Span::secs(1),
            drain: Span::secs(3_600),
            skip_silence: Span::secs(900),
            progress_every: 50_000,
        }
    }
}

impl Options {
    /// The defaults for a single tape with these times.
    pub fn of(times: Times) -> Options {
        Options { connections: vec![Connection { times, name: 0 }], ..Options::default() }
    }
}

/// An error that stops a run.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The tape could not be read further.
    #[error("the tape could not be read after {rows} rows")]
    Tape {
        /// Rows read before.
        rows: u64,
        /// The tape's error.
        #[source]
        source: TapeError,
    },
    /// The simulated exchange violates an invariant: a bug, and every figure of the run is invalid.
    #[error("the simulated exchange broke conservation at {at}: {broken}")]
    Conservation {
        /// When it was noticed.
        at: Time,
        /// The violated invariant, with figures.
        broken: Broken,
    },
    /// The event log could not be written.
    #[error("the event log could not be written")]
    Log(#[from] std::io::Error),
}

/// Seconds after the end of the tape for pending settlements.
const MOST_LAST_TIMERS: usize = 50;
/// Deadlines after the end of the tape for requests without a response.
const MOST_DEADLINES: usize = 1_000;

/// Logs and records a run.
struct Watcher<'a> {
    log: &'a mut EventLog,
    recorder: Recorder,
}

impl Watch for Watcher<'_> {
    type Error = std::io::Error;

    fn before(&mut self, engine: &Engine, stamped: &Stamped) -> std::io::Result<()> {
        self.recorder.event(engine, stamped);
        if self.log.is_on() { self.log.event(engine.universe(), stamped) } else { Ok(()) }
    }

    fn after(&mut self, engine: &Engine, sim: &Sim, at: Time, out: &Outbox) -> std::io::Result<()> {
        for recorded in &out.records {
            self.recorder.record(sim, recorded);
        }
        if !self.log.is_on() {
            return Ok(());
        }
        for recorded in &out.records {
            self.log.record(recorded)?;
        }
        for command in &out.commands {
            self.log.command(engine.universe(), at, command)?;
        }
        Ok(())
    }
}

struct Driver<'a> {
    step: Step<'a>,
    watch: Watcher<'a>,
    /// Market events on their way to the engine.
    feed: Feed,
    next_sample: Time,
    /// [`Engine::next_wake`] as of the last event that the engine took.
    wake: Time,
    sample: Span,
    skip_silence: Span,
}

/// Replays a tape to its end. `progress` hears of rows read and the time reached.
///
/// # Errors
/// The tape, the event log, or a broken sum of the simulated exchange. What was recorded up to there
/// is lost on purpose: half a run is no result.
pub fn replay(
    source: &mut dyn EventSource,
    engine: &mut Engine,
    sim: &mut Sim,
    options: &Options,
    log: &mut EventLog,
    progress: &mut dyn FnMut(u64, Time),
) -> Result<Recording, ReplayError> {
    let feed = Feed::new(&options.connections, sim);
    let mut driver = Driver {
        step: Step::new(engine, sim),
        watch: Watcher { log, recorder: Recorder::default() },
        feed,
        next_sample: Time::MAX,
        wake: Time::MAX,
        sample: options.sample,
        skip_silence: options.skip_silence,
    };
    let mut rows = 0;
    let mut to_progress = options.progress_every.max(1);
    let (mut exchange_at, mut last_due) = (Time::MIN, Time::MIN);
    let several = options.connections.len() > 1;
    while source
        .next_into(driver.feed.vacant())
        .map_err(|source| ReplayError::Tape { rows, source })?
    {
        let tape = if several { source.source() } else { 0 };
        let received = driver.feed.vacant().at;
        exchange_at = exchange_at.max(driver.feed.sent(tape));
        if rows == 0 {
            driver.begin(exchange_at)?;
        } else {
            driver.run_until(exchange_at)?;
        }
        rows += 1;
        // What is due before this row is read from the books that it finds.
        driver.watch.recorder.exchange(driver.step.sim, exchange_at, driver.skip_silence);
        let row = driver.feed.vacant();
        row.at = exchange_at;
        driver.step.market(row);
        let arrival = driver.feed.put(tape, received);
        last_due = last_due.max(arrival);
        to_progress -= 1;
        if to_progress == 0 {
            to_progress = options.progress_every.max(1);
            progress(rows, exchange_at);
            driver.check(exchange_at)?;
        }
    }
    if rows > 0 {
        let end = exchange_at + Span::nanos(1);
        driver.watch.recorder.exchange(driver.step.sim, end, driver.skip_silence);
        driver.end(last_due, options.drain)?;
    }
    progress(rows, exchange_at);
    driver.check(exchange_at)?;
    let mut recording = driver.watch.recorder.finish(driver.step.engine, rows);
    recording.feed = driver.feed.counted.facts();
    Ok(recording)
}

impl Driver<'_> {
    /// The account is funded, and the first account snapshot opens the gate.
    fn begin(&mut self, at: Time) -> Result<(), ReplayError> {
        let deposit = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: self.step.sim.config().starting_cash,
            shares: Default::default(),
        };
        self.deliver(at, Event::cash(deposit))?;
        self.deliver(at, ControlEvent::Start(RunStart::backtest()).into())?;
        self.watch.recorder.begin(at, self.step.sim.config().starting_cash);
        let snapshot = self.step.sim.account_snapshot(0);
        self.deliver(at, AccountEvent::Snapshot(snapshot).into())?;
        self.next_sample = at + self.sample;
        Ok(())
    }

    fn deliver(&mut self, at: Time, event: Event) -> Result<(), ReplayError> {
        self.step.deliver(at, event, &mut self.watch)?;
        self.wake = self.step.engine.next_wake();
        Ok(())
    }

    /// Lets everything happen that is due before `until`.
    fn run_until(&mut self, until: Time) -> Result<(), ReplayError> {
        loop {
            let feed = self.feed.next_at();
            let exchange = self.step.next_due().unwrap_or(Time::MAX);
            let mut wake = self.wake;
            if feed == Time::MAX && exchange == Time::MAX {
                let now = self.step.engine.now();
                if now.until(until) > self.skip_silence {
                    // In this silence only deadlines of ours can change anything, not the seconds.
                    wake = self.step.engine.next_due();
                    self.next_sample = self.next_sample.max(until);
                }
            }
            let next = feed.min(exchange).min(wake).min(self.next_sample);
            if next >= until {
                return Ok(());
            }
            if exchange == next {
                self.step.advance(next, &mut self.watch)?;
                self.wake = self.step.engine.next_wake();
            } else if wake == next {
                self.deliver(next, ControlEvent::Timer.into())?;
            } else if self.next_sample == next {
                self.next_sample = next + self.sample;
                self.watch.recorder.tick(self.step.engine, next);
            } else if let Some(stamped) = self.feed.front() {
                if self.watch.log.logs_rows() {
                    self.watch.log.row(self.step.engine.universe(), stamped)?;
                }
                // Handled where it stands: taking it out first would copy it once more.
                self.step.engine(stamped, &mut self.watch)?;
                self.wake = self.step.engine.next_wake();
                self.feed.pop_front();
            }
        }
    }

    /// The tape is over: orders are cancelled and what was matched settles.
    fn end(&mut self, last: Time, drain: Span) -> Result<(), ReplayError> {
        let stop = last + Span::nanos(1);
        self.run_until(stop)?;
        self.step.finish(last, &mut self.watch)?;
        self.watch.recorder.over();
        self.deliver(stop, ControlEvent::Stop.into())?;
        self.settle(stop + drain)?;
        // Rebates are paid the day after: the seconds in between change nothing.
        self.step.sim.settle_rebates();
        for _ in 0..MOST_LAST_TIMERS {
            self.settle(Time::MAX)?;
            // A second more: a redemption waits for one once everything is final.
            let at = self.step.engine.now().max(self.step.sim.now()) + Span::secs(1);
            self.deliver(at, ControlEvent::Timer.into())?;
            if self.step.next_due().is_none() {
                break;
            }
        }
        let at = self.step.engine.now();
        self.watch.recorder.tick(self.step.engine, at);
        Ok(())
    }

    /// Lets everything settle that the exchange or a deadline of ours brings before `limit`, in order. What
    /// still stands after so many deadlines is left and shown as open.
    fn settle(&mut self, limit: Time) -> Result<(), ReplayError> {
        let mut timers = 0;
        loop {
            let due = self.step.next_due().unwrap_or(Time::MAX);
            // The exchange may have been alone for a while: no command reaches it in its past.
            let wake = self.step.engine.next_due().max(self.step.sim.now());
            let next = due.min(wake);
            if next == Time::MAX || next >= limit || timers == MOST_DEADLINES {
                return Ok(());
            }
            if due == next {
                self.step.advance(next, &mut self.watch)?;
            } else {
                timers += 1;
                self.deliver(next, ControlEvent::Timer.into())?;
            }
        }
    }

    fn check(&self, at: Time) -> Result<(), ReplayError> {
        match self.step.sim.broken() {
            Some(broken) => Err(ReplayError::Conservation { at, broken: broken.clone() }),
            None => Ok(()),
        }
    }
}
