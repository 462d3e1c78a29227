//! The dead man's switch: an account that has started heartbeats and stops loses its open orders.

use polydesk_domain::{Span, Time};
use uuid::Uuid;

use super::{Caller, Status, Venue, VenueAction};

/// Silence after which orders are cancelled.
const LAPSE: Span = Span::secs(10);
/// Interval between two checks.
const SWEEP: Span = Span::secs(5);

/// A heartbeat with another id than the last one given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeatError {
    /// The id that was expected.
    pub expected: Uuid,
}

impl Venue {
    /// Takes a heartbeat and gives the id of the next.
    ///
    /// # Errors
    /// The id is not the last one given out.
    pub fn beat(&mut self, caller: &Caller, id: Option<Uuid>) -> Result<Uuid, BeatError> {
        let now = self.now;
        let next = self.chance.uuid();
        let signer = self.signers.entry(caller.signer).or_default();
        if let Some((expected, _)) = signer.last_beat
            && id != Some(expected)
        {
            return Err(BeatError { expected });
        }
        signer.last_beat = Some((next, now));
        self.watch();
        Ok(next)
    }

    /// Takes a heartbeat without an id; one that is expected stays so.
    pub fn beat_without_id(&mut self, caller: &Caller) {
        let (now, new) = (self.now, self.chance.uuid());
        let signer = self.signers.entry(caller.signer).or_default();
        let id = signer.last_beat.map_or(new, |(expected, _)| expected);
        signer.last_beat = Some((id, now));
        self.watch();
    }

    fn watch(&mut self) {
        if !self.sweeping {
            self.sweeping = true;
            self.schedule(self.now + SWEEP, VenueAction::Sweep);
        }
    }

    pub(super) fn sweep(&mut self) {
        let now = self.now;
        let lapsed = |last: Time| last.until(now) > LAPSE;
        let silent: Vec<_> = self
            .signers
            .iter()
            .filter(|(_, signer)| signer.last_beat.is_some_and(|(_, last)| lapsed(last)))
            .map(|(address, _)| *address)
            .collect();
        for address in &silent {
            let open = self.open_orders(address).filter(|order| order.status == Status::Live);
            for id in open.map(|order| order.id).collect::<Vec<_>>() {
                if self.tape.is_some() {
                    let _ = self.tape_cancel(id);
                } else {
                    self.end(id, Status::Canceled(String::new()));
                }
            }
            if let Some(signer) = self.signers.get_mut(address) {
                signer.last_beat = None;
            }
        }
        self.sweeping = self.signers.values().any(|signer| signer.last_beat.is_some());
        if self.sweeping {
            self.schedule(now + SWEEP, VenueAction::Sweep);
        }
    }

    /// Lets an EOA's heartbeat lapse at once, as if it had been silent.
    pub fn lapse(&mut self, signer: &alloy::primitives::Address) {
        if let Some(entry) = self.signers.get_mut(signer) {
            entry.last_beat = Some((self.chance.uuid(), Time::MIN));
        }
        self.sweep();
    }

    /// Gives an EOA's heartbeat another id, so that the next one is refused.
    pub fn rotate_beat(&mut self, signer: &alloy::primitives::Address) {
        let id = self.chance.uuid();
        if let Some((last, _)) =
            self.signers.get_mut(signer).and_then(|entry| entry.last_beat.as_mut())
        {
            *last = id;
        }
    }
}
