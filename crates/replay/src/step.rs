//! One step of engine and exchange, shared by the tape's driver and paper trading.

use polydesk_domain::{Event, Outbox, Span, Stamped, Time};
use polydesk_engine::Engine;
use polydesk_sim::{FeedLatency, Sim};

/// Observes a step; it cannot change the run.
pub trait Watch {
    /// An error of the observer, which ends the run.
    type Error;
    /// Called before the engine handles a row of market data.
    ///
    /// # Errors
    /// The log could not be written.
    #[inline]
    fn row(&mut self, engine: &Engine, stamped: &Stamped) -> Result<(), Self::Error> {
        let _ = (engine, stamped);
        Ok(())
    }
    /// Called after the engine has handled any event, with its output and before [`Watch::after`]: what the
    /// event changed in the state can be read now ([`Engine::changes`]).
    ///
    /// # Errors
    /// The log could not be written.
    #[inline]
    fn handled(
        &mut self,
        engine: &Engine,
        stamped: &Stamped,
        out: &Outbox,
    ) -> Result<(), Self::Error> {
        let _ = (engine, stamped, out);
        Ok(())
    }
    /// Called before the engine handles an account, world or control event.
    ///
    /// # Errors
    /// The log could not be written.
    fn before(&mut self, engine: &Engine, stamped: &Stamped) -> Result<(), Self::Error>;
    /// Called with the output of an event, before its commands are sent. The exchange stands at the time of
    /// the event: its books are ahead of the engine's by the latency of the feed.
    ///
    /// # Errors
    /// The log could not be written.
    fn after(
        &mut self,
        engine: &Engine,
        sim: &Sim,
        at: Time,
        out: &Outbox,
    ) -> Result<(), Self::Error>;
}

/// The engine and the simulated exchange it trades on. Time is an argument, never read from a clock.
pub struct Step<'a> {
    /// The engine.
    pub engine: &'a mut Engine,
    /// The simulated exchange.
    pub sim: &'a mut Sim,
    out: Outbox,
    updates: Vec<(Time, Event)>,
    seq: u64,
    lag: Option<(FeedLatency, Span)>,
}

impl<'a> Step<'a> {
    /// Both as they are.
    pub fn new(engine: &'a mut Engine, sim: &'a mut Sim) -> Step<'a> {
        Step { engine, sim, out: Outbox::new(), updates: Vec::new(), seq: 0, lag: None }
    }

    /// The exchange sees rows only when they are received, so its books are late by the latency of the feed. A
    /// command meets them as much later: `feed` draws that latency, `way` is added to it.
    pub fn with_lag(self, feed: FeedLatency, way: Span) -> Step<'a> {
        Step { lag: Some((feed, way)), ..self }
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// The exchange sees market data at exchange time.
    #[inline]
    pub fn market(&mut self, stamped: &Stamped) {
        self.seq = self.seq.max(stamped.seq);
        self.sim.on_market(stamped);
    }

    /// The engine sees market data, after the latency of its feed.
    ///
    /// # Errors
    /// The observer's error.
    #[inline]
    pub fn engine<W: Watch>(&mut self, stamped: &Stamped, watch: &mut W) -> Result<(), W::Error> {
        watch.row(self.engine, stamped)?;
        self.engine.handle(stamped, &mut self.out);
        watch.handled(self.engine, stamped, &self.out)?;
        if self.out.is_empty() { Ok(()) } else { self.send(stamped.at, watch) }
    }

    /// Delivers everything of the exchange that is due by `to` to the engine, in order.
    ///
    /// # Errors
    /// The observer's error.
    pub fn advance<W: Watch>(&mut self, to: Time, watch: &mut W) -> Result<(), W::Error> {
        let mut updates = core::mem::take(&mut self.updates);
        self.sim.advance(to, &mut updates);
        for (at, event) in updates.drain(..) {
            self.deliver(at, event, watch)?;
        }
        self.updates = updates;
        Ok(())
    }

    /// Delivers an event that is no market data to the engine.
    ///
    /// # Errors
    /// The observer's error.
    pub fn deliver<W: Watch>(
        &mut self,
        at: Time,
        event: Event,
        watch: &mut W,
    ) -> Result<(), W::Error> {
        self.seq += 1;
        let stamped = Stamped { at, venue_at: at, seq: self.seq, event };
        watch.before(self.engine, &stamped)?;
        self.engine.handle(&stamped, &mut self.out);
        watch.handled(self.engine, &stamped, &self.out)?;
        self.send(at, watch)
    }

    /// The stream is over: batches still open are complete.
    ///
    /// # Errors
    /// The observer's error.
    pub fn finish<W: Watch>(&mut self, at: Time, watch: &mut W) -> Result<(), W::Error> {
        self.engine.finish(&mut self.out);
        self.send(at, watch)
    }

    /// When something next happens inside: at the exchange, or a delivery to the engine.
    pub fn next_due(&self) -> Option<Time> {
        self.sim.next_due()
    }

    fn send<W: Watch>(&mut self, at: Time, watch: &mut W) -> Result<(), W::Error> {
        watch.after(self.engine, self.sim, at, &self.out)?;
        let sent = match &mut self.lag {
            Some((feed, way)) if !self.out.commands.is_empty() => feed.arrival(at) + *way,
            _ => at,
        };
        for command in self.out.commands.drain(..) {
            self.sim.submit(sent, &command);
        }
        self.out.records.clear();
        Ok(())
    }
}
