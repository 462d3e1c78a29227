//! The interface between recorded history and its readers.

use polydesk_domain::{Event, MarketEvent, MarketKey, Stamped, Time};

use crate::TapeError;

/// One ordered stream of events. Listed events come before the first row of their market.
pub trait EventSource {
    /// The next event in total order, or None at the end.
    ///
    /// # Errors
    /// The underlying file is damaged; events before the damage have been given out, and the
    /// stream ends after the error.
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError>;

    /// Which of several tapes the last event came from, in the order in which they are listed.
    fn source(&self) -> usize {
        0
    }

    /// Writes the next event over `into`; false at the end, with `into` left as it was.
    ///
    /// An event handed over in place is not copied on its way: on long tapes this is what a loop
    /// over rows spends most of its time with.
    ///
    /// # Errors
    /// As [`EventSource::next_event`]; `into` then holds nothing of meaning.
    fn next_into(&mut self, into: &mut Stamped) -> Result<bool, TapeError> {
        match self.next_event()? {
            Some(Stamped { at, venue_at, seq, event }) => {
                (into.at, into.venue_at, into.seq) = (at, venue_at, seq);
                into.event.put(event);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// An event to be written over by [`EventSource::next_into`]; it concerns no market, and holds no memory.
pub const fn blank() -> Stamped {
    let nothing = MarketEvent::Unverified { market: MarketKey(u32::MAX), on: false };
    Stamped { at: Time::MIN, venue_at: Time::MIN, seq: 0, event: Event::Market(nothing) }
}

impl<S: EventSource + ?Sized> EventSource for &mut S {
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        (**self).next_event()
    }
    fn source(&self) -> usize {
        (**self).source()
    }
    fn next_into(&mut self, into: &mut Stamped) -> Result<bool, TapeError> {
        (**self).next_into(into)
    }
}

impl<S: EventSource + ?Sized> EventSource for Box<S> {
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        (**self).next_event()
    }
    fn source(&self) -> usize {
        (**self).source()
    }
    fn next_into(&mut self, into: &mut Stamped) -> Result<bool, TapeError> {
        (**self).next_into(into)
    }
}

/// Events in memory, for tests and small stories.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    events: std::vec::IntoIter<Stamped>,
}

impl MemorySource {
    /// Gives these events out as they stand.
    pub fn new(events: Vec<Stamped>) -> MemorySource {
        MemorySource { events: events.into_iter() }
    }
}

impl From<Vec<Stamped>> for MemorySource {
    fn from(events: Vec<Stamped>) -> MemorySource {
        MemorySource::new(events)
    }
}

impl EventSource for MemorySource {
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        Ok(self.events.next())
    }
}
