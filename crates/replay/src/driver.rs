//! The loop over virtual time.

use std::collections::VecDeque;

use polydesk_domain::{Cash, CashKind, Command, Event, Span, Stamped, Time};
use polydesk_engine::Engine;
use polydesk_sim::{Broken, Sim};
use polydesk_tape::{EventSource, TapeError, Times, blank};

use crate::log::EventLog;
use crate::recorder::{Recorder, Recording};

/// How a run is driven.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether the tape's `at` is a receive time.
    pub times: Times,
    /// Time between two timer events.
    pub timer: Span,
    /// How long after the last event settlements may still come in.
    pub drain: Span,
    /// A silence of the tape longer than this is skipped while nothing is pending.
    pub skip_silence: Span,
    /// Rows between two calls of the progress function.
    pub progress_every: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            times: Times::VenueOnly,
            timer: Span::secs(1),
            drain: Span::secs(3_600),
            skip_silence: Span::secs(900),
            progress_every: 50_000,
        }
    }
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The tape could not be read on.
    #[error("the tape could not be read after {rows} rows")]
    Tape {
        /// Rows read before.
        rows: u64,
        /// Why.
        #[source]
        source: TapeError,
    },
    /// The simulated exchange's books do not balance: a bug, and no figure of the run can be trusted.
    #[error("the simulated exchange broke conservation at {at}: {broken}")]
    Conservation {
        /// When it was noticed.
        at: Time,
        /// What does not hold.
        broken: Broken,
    },
    /// The event log could not be written.
    #[error("the event log could not be written")]
    Log(#[from] std::io::Error),
}

/// Looks at what is unfinished after the end.
const MOST_LAST_LOOKS: usize = 50;

struct Driver<'a> {
    engine: &'a mut Engine,
    sim: &'a mut Sim,
    log: &'a mut EventLog,
    recorder: Recorder,
    /// Market events on their way to the engine.
    feed: VecDeque<Stamped>,
    next_timer: Time,
    timer: Span,
    skip_silence: Span,
    commands: Vec<Command>,
    news: Vec<(Time, Event)>,
    seq: u64,
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
    engine.keep_trace();
    let mut driver = Driver {
        engine,
        sim,
        log,
        recorder: Recorder::default(),
        feed: VecDeque::new(),
        next_timer: Time::MAX,
        timer: options.timer,
        skip_silence: options.skip_silence,
        commands: Vec::new(),
        news: Vec::new(),
        seq: 0,
    };
    let mut rows = 0;
    let (mut exchange_at, mut last_due) = (Time::MIN, Time::MIN);
    let mut stamped = blank();
    while source.next_into(&mut stamped).map_err(|source| ReplayError::Tape { rows, source })? {
        let received = stamped.at;
        exchange_at = exchange_at.max(match options.times {
            Times::VenueOnly => stamped.at,
            Times::Received => stamped.venue_at.min(stamped.at),
        });
        if rows == 0 {
            driver.begin(exchange_at)?;
        } else {
            driver.run_until(exchange_at)?;
        }
        rows += 1;
        driver.seq = driver.seq.max(stamped.seq);
        stamped.at = exchange_at;
        driver.sim.on_market(&stamped);
        last_due = last_due.max(match options.times {
            Times::VenueOnly => exchange_at + driver.sim.feed_delay(),
            Times::Received => received,
        });
        stamped.at = last_due;
        driver.feed.push_back(core::mem::replace(&mut stamped, blank()));
        if rows % options.progress_every == 0 {
            progress(rows, exchange_at);
            driver.check(exchange_at)?;
        }
    }
    if rows > 0 {
        driver.end(last_due, options.drain)?;
    }
    progress(rows, exchange_at);
    driver.check(exchange_at)?;
    let recording = driver.recorder.finish(driver.engine, rows);
    Ok(recording)
}

impl Driver<'_> {
    /// The account is funded and the gate opens.
    fn begin(&mut self, at: Time) -> Result<(), ReplayError> {
        let deposit = Cash {
            kind: CashKind::Deposit,
            command: None,
            strategy: None,
            market: None,
            amount: self.sim.config().starting_cash,
            shares: Default::default(),
        };
        self.deliver(at, Event::cash(deposit))?;
        self.deliver(at, Event::from(ControlEvent::Start))?;
        self.next_timer = at + self.timer;
        Ok(())
    }

    /// Lets everything happen that is due before `until`.
    fn run_until(&mut self, until: Time) -> Result<(), ReplayError> {
        loop {
            let feed = self.feed.front().map_or(Time::MAX, |stamped| stamped.at);
            let exchange = self.sim.next_due().unwrap_or(Time::MAX);
            let idle = feed == Time::MAX && exchange == Time::MAX;
            if idle && self.next_timer.until(until) > self.skip_silence {
                // Nothing of ours can happen in this silence but timers that find nothing changed.
                self.next_timer = until;
            }
            let next = feed.min(exchange).min(self.next_timer);
            if next >= until {
                return Ok(());
            }
            if exchange == next {
                self.exchange(next)?;
            } else if self.next_timer == next {
                self.next_timer = next + self.timer;
                self.deliver(next, Event::from(ControlEvent::Timer))?;
                self.recorder.tick(self.engine, next);
            } else if let Some(stamped) = self.feed.front() {
                // Handled where it stands: taking it out first would copy it once more.
                self.engine.handle(stamped, &mut self.commands);
                self.feed.pop_front();
                if !self.commands.is_empty() {
                    self.send(next)?;
                }
            }
        }
    }

    /// Runs the exchange up to `to` and hands its news to the engine.
    fn exchange(&mut self, to: Time) -> Result<(), ReplayError> {
        let mut news = core::mem::take(&mut self.news);
        self.sim.advance(to, &mut news);
        for (at, event) in news.drain(..) {
            self.deliver(at, event)?;
        }
        self.news = news;
        Ok(())
    }

    fn deliver(&mut self, at: Time, event: Event) -> Result<(), ReplayError> {
        self.seq += 1;
        let stamped = Stamped { at, venue_at: at, seq: self.seq, event };
        self.log.event(self.engine.universe(), &stamped)?;
        self.engine.handle(&stamped, &mut self.commands);
        self.recorder.after(self.engine, &stamped);
        self.send(at)
    }

    /// Commands leave for the exchange; what was said on the way is logged before them.
    fn send(&mut self, at: Time) -> Result<(), ReplayError> {
        for (at, trace) in self.engine.take_trace() {
            self.log.trace(self.engine.universe(), at, &trace)?;
            self.recorder.trace(trace);
        }
        for command in self.commands.drain(..) {
            self.log.command(self.engine.universe(), at, &command)?;
            self.recorder.command(self.engine, at, &command);
            self.sim.submit(at, &command);
        }
        Ok(())
    }

    /// The tape is over: orders are cancelled and what was matched settles.
    fn end(&mut self, last: Time, drain: Span) -> Result<(), ReplayError> {
        let stop = last + Span::nanos(1);
        self.run_until(stop)?;
        self.engine.finish(&mut self.commands);
        self.send(last)?;
        self.recorder.over();
        self.deliver(stop, Event::from(ControlEvent::Stop))?;
        let limit = stop + drain;
        while let Some(due) = self.sim.next_due().filter(|due| *due < limit) {
            self.run_until(due + Span::nanos(1))?;
        }
        // Rebates are paid the day after: nobody needs the seconds in between.
        self.sim.settle_rebates();
        while let Some(due) = self.sim.next_due() {
            self.next_timer = self.next_timer.max(due + self.timer);
            self.run_until(due + Span::nanos(1))?;
        }
        // The last news can call for more: a redemption once everything is final, a cancel that was
        // lost. Each look is a timer; what still stands after so many is left and shown as open.
        for _ in 0..MOST_LAST_LOOKS {
            let at = self.engine.now().max(self.next_timer);
            self.next_timer = at + self.timer;
            self.deliver(at, Event::from(ControlEvent::Timer))?;
            if self.sim.next_due().is_none() {
                break;
            }
            while let Some(due) = self.sim.next_due() {
                self.next_timer = self.next_timer.max(due + self.timer);
                self.run_until(due + Span::nanos(1))?;
            }
        }
        let at = self.engine.now();
        self.recorder.tick(self.engine, at);
        Ok(())
    }

    fn check(&self, at: Time) -> Result<(), ReplayError> {
        match self.sim.broken() {
            Some(broken) => Err(ReplayError::Conservation { at, broken: broken.clone() }),
            None => Ok(()),
        }
    }
}
