//! Heartbeats to the venue: without them it cancels everything of the account. They are sent only while the engine
//! moves and nothing is killed, so that a process that hangs leaves no order behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use polydesk_domain::{Span, Time};
use polydesk_polymarket_api::ServerClock;
use polydesk_polymarket_api::clob::Clob;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::kill::Switch;
use crate::supervise::CLOSE;

/// Between two heartbeats.
pub const EVERY: Duration = Duration::from_secs(5);
/// How long one may stay unanswered before the next.
const TRY: Duration = Duration::from_millis(1_500);
/// After an answer that is none, before the next try.
const AGAIN: Duration = Duration::from_millis(500);
/// Without an acknowledged heartbeat for so long no new order leaves.
pub const FRESH: Span = Span::secs(8);
/// Between two looks at an engine or a switch that forbids them.
const LOOK: Duration = Duration::from_millis(100);

/// When the venue last acknowledged a heartbeat.
#[derive(Debug)]
pub struct Acknowledged {
    /// Steady nanoseconds; the least number for never.
    at: AtomicI64,
    /// Whether the blocker stands. It outlives the task, which may be started again.
    blocked: AtomicBool,
    clock: ServerClock,
}

impl Acknowledged {
    /// None yet.
    pub fn new(clock: ServerClock) -> Arc<Acknowledged> {
        let (at, blocked) = (AtomicI64::new(i64::MIN), AtomicBool::new(true));
        Arc::new(Acknowledged { at, blocked, clock })
    }

    /// Its age; `None`: there was none since the start or since the last kill.
    pub fn age(&self) -> Option<Span> {
        match self.at.load(Ordering::Acquire) {
            i64::MIN => None,
            at => Some(Time::from_nanos(at).until(self.clock.steady())),
        }
    }

    /// Whether a new order may leave: one was acknowledged within [`FRESH`].
    pub fn is_fresh(&self) -> bool {
        self.age().is_some_and(|age| age <= FRESH)
    }

    /// Counts from when it was sent: the venue's ten seconds begin no later than its arrival.
    fn set(&self, sent: Time) {
        self.at.store(sent.nanos(), Ordering::Release);
    }

    fn forget(&self) {
        self.at.store(i64::MIN, Ordering::Release);
    }
}

/// Sets (`true`) or clears a blocker, with a text for the operator.
pub type Blocker = dyn Fn(bool, &str) + Send + Sync;

/// What the heartbeats need.
pub struct Beats {
    /// With credentials. One program beats for an account.
    pub clob: Clob,
    /// They end with a kill and with the end of the process.
    pub switch: Arc<Switch>,
    /// Where the gate reads.
    pub acknowledged: Arc<Acknowledged>,
    /// Age of the engine's beat; `None`: the engine does not run, and no heartbeat is sent.
    pub engine: Box<dyn Fn() -> Option<Span> + Send + Sync>,
    /// Of the cause `heartbeat`. It must not wait.
    pub blocker: Box<Blocker>,
}

/// Sends heartbeats for ever. The blocker is taken as set at the beginning of the first run.
pub async fn run(beats: &Beats) {
    let mut state = Running { id: String::new() };
    loop {
        if let Some(reason) = beats.forbidden() {
            if beats.switch.ends_heartbeats() {
                // After a lift the venue gives ids from the beginning again.
                beats.acknowledged.forget();
                state.id.clear();
            }
            state.judge(beats, reason);
            sleep(LOOK).await;
            continue;
        }
        let (sent, began) = (beats.acknowledged.clock.steady(), Instant::now());
        let answer = match timeout(TRY, beats.clob.heartbeat(&state.id)).await {
            Ok(answer) => answer.map_err(|error| (error.to_string(), AGAIN)),
            Err(_) => Err(("the venue does not answer".to_owned(), Duration::ZERO)),
        };
        match answer {
            Ok(id) => {
                state.id = id;
                // Killed meanwhile: the last word is that nothing is acknowledged.
                if !beats.switch.ends_heartbeats() {
                    beats.acknowledged.set(sent);
                }
                state.judge(beats, "");
                state.until(beats, began + EVERY).await;
            }
            Err((why, pause)) => {
                tracing::warn!(why, "a heartbeat was not acknowledged");
                state.judge(beats, &why);
                sleep(pause).await;
            }
        }
    }
}

impl Beats {
    /// Why none may be sent now.
    fn forbidden(&self) -> Option<&'static str> {
        if self.switch.ends_heartbeats() {
            return Some("heartbeats ended with the kill");
        }
        match (self.engine)() {
            Some(age) if age <= CLOSE => None,
            Some(_) => Some("the engine does not move"),
            None => Some("the engine does not run"),
        }
    }
}

struct Running {
    /// What the venue wants to hear next.
    id: String,
}

impl Running {
    /// Sets or clears the blocker where that changes it.
    fn judge(&self, beats: &Beats, why: &str) {
        let fresh = beats.acknowledged.is_fresh();
        let blocked = !fresh;
        if beats.acknowledged.blocked.swap(blocked, Ordering::AcqRel) != blocked {
            let text = match blocked {
                true => format!("no heartbeat was acknowledged for 8 s: {why}"),
                false => "a heartbeat was acknowledged".to_owned(),
            };
            (beats.blocker)(blocked, &text);
        }
    }

    /// Waits for the next one, while the switch allows it.
    async fn until(&self, beats: &Beats, next: Instant) {
        while Instant::now() < next {
            if beats.switch.ends_heartbeats() {
                return;
            }
            sleep_until(next.min(Instant::now() + LOOK)).await;
        }
    }
}
