//! The seam between history and whoever consumes it.

use polydesk_domain::Stamped;

use crate::TapeError;

/// One ordered stream of events. Listed events come before the first row of their market.
pub trait EventSource {
    /// The next event in total order, or None at the end.
    ///
    /// # Errors
    /// The underlying file is damaged; events before the damage have been given out, and the
    /// stream ends after the error.
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError>;
}

impl<S: EventSource + ?Sized> EventSource for &mut S {
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        (**self).next_event()
    }
}

impl<S: EventSource + ?Sized> EventSource for Box<S> {
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        (**self).next_event()
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
