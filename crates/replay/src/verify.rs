//! A recorded run once more, without an exchange: the same events must give the same commands.

use polydesk_domain::{Command, Outbox, Stamped, Time};
use polydesk_engine::Engine;

/// A recorded event and the commands it gave rise to.
#[derive(Debug, Clone, PartialEq)]
pub struct Handled {
    /// The event as the engine took it, under the engine's keys.
    pub stamped: Stamped,
    /// What left for it, in order.
    pub commands: Vec<Command>,
}

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Events handled.
    pub events: u64,
    /// Commands that agree.
    pub commands: u64,
}

/// The first command that is not the recorded one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "event {seq} at {at}, command {index}: recorded is {}, this program gives {}",
    shown(recorded),
    shown(given)
)]
pub struct Difference {
    /// Number of the event.
    pub seq: u64,
    /// Engine time.
    pub at: Time,
    /// Which of the event's commands, from 0.
    pub index: usize,
    /// `None`: the record ends before it.
    pub recorded: Option<Command>,
    /// `None`: this program gives no more.
    pub given: Option<Command>,
}

fn shown(command: &Option<Command>) -> String {
    command.as_ref().map_or_else(|| "none".to_owned(), |command| format!("{command:?}"))
}

/// Handles recorded events and compares the commands with the recorded ones.
///
/// `engine` is as it was before the first event: made with the same run, limits, blockers and strategies, and
/// loaded with the entries of that time where the record does not begin at the start.
///
/// # Errors
/// The first difference. The engine then stands after that event.
pub fn verify(
    engine: &mut Engine,
    recorded: impl IntoIterator<Item = Handled>,
) -> Result<Verified, Box<Difference>> {
    let mut done = Verified::default();
    let mut out = Outbox::new();
    for Handled { stamped, commands } in recorded {
        engine.handle(&stamped, &mut out);
        let most = commands.len().max(out.commands.len());
        let different = (0..most).find(|i| commands.get(*i) != out.commands.get(*i));
        if let Some(index) = different {
            let (recorded, given) =
                (commands.get(index).cloned(), out.commands.get(index).cloned());
            let (seq, at) = (stamped.seq, stamped.at);
            return Err(Box::new(Difference { seq, at, index, recorded, given }));
        }
        done.events += 1;
        done.commands += commands.len() as u64;
        out.clear();
    }
    Ok(done)
}
