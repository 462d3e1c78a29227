//! Engine time.

use polydesk_domain::Time;
use polydesk_polymarket_api::ServerClock;

/// The clock that stamps events. Clones read the same.
///
/// Against the venue it is the local clock, whose offset is checked. Against a local exchange that plays back
/// a tape it is the exchange's time: rows and the engine live on one date then.
#[derive(Debug, Clone)]
pub struct EngineClock {
    server: ServerClock,
    follows_venue: bool,
}

impl EngineClock {
    /// The local clock.
    pub fn local(server: ServerClock) -> EngineClock {
        EngineClock { server, follows_venue: false }
    }

    /// The venue's clock as measured: only for a local exchange.
    pub fn of_venue(server: ServerClock) -> EngineClock {
        EngineClock { server, follows_venue: true }
    }

    /// Engine time now.
    pub fn now(&self) -> Time {
        if self.follows_venue { self.server.now() } else { self.server.local() }
    }

    /// Engine time of something that the client stamped with its local time.
    pub fn of_received(&self, local: Time) -> Time {
        if self.follows_venue { local + self.server.offset() } else { local }
    }

    /// Whether the offset to the venue says anything about the local clock.
    pub fn offset_matters(&self) -> bool {
        !self.follows_venue
    }

    /// The client's clock.
    pub fn server(&self) -> &ServerClock {
        &self.server
    }
}
