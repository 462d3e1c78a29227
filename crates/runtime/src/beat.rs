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
/// Another program that beats for the account does so every five seconds: by then the id has changed once more.
const PROBE: Duration = Duration::from_millis(5_500);
/// So often within [`SHARED_WITHIN`] the venue expected another id than the one that it gave for our last heartbeat.
const SHARED_TIMES: usize = 2;
/// Within which time those count together.
const SHARED_WITHIN: Span = Span::secs(30);
/// The other program is gone when so long no id was a strange one.
const SHARED_OVER: Span = Span::secs(60);

/// When the venue last acknowledged a heartbeat.
#[derive(Debug)]
pub struct Acknowledged {
    /// Steady nanoseconds; the least number for never.
    at: AtomicI64,
    /// Whether the blocker stands. It outlives the task, which may be started again.
    blocked: AtomicBool,
    /// Whether another program sends heartbeats for the account, as far as known.
    shared: AtomicBool,
    clock: ServerClock,
}

impl Acknowledged {
    /// None yet.
    pub fn new(clock: ServerClock) -> Arc<Acknowledged> {
        let (at, blocked) = (AtomicI64::new(i64::MIN), AtomicBool::new(true));
        Arc::new(Acknowledged { at, blocked, shared: AtomicBool::new(false), clock })
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

    /// Whether another program sends heartbeats for the account.
    pub fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Acquire)
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
    /// Of a wallet that another program uses too. It must not wait.
    pub shared: Box<Blocker>,
}

/// Sends heartbeats for ever. The blocker is taken as set at the beginning of the first run.
pub async fn run(beats: &Beats) {
    let mut state = Running::new(beats);
    loop {
        if let Some(reason) = beats.forbidden() {
            if beats.switch.ends_heartbeats() {
                // After a lift the venue gives ids from the beginning again.
                beats.acknowledged.forget();
                state.forget();
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
            Ok(beat) => {
                state.id = beat.next;
                if state.watch(beats, beat.adopted, sent) {
                    // Another heartbeat is fresh: an earlier process of ours, or a program that runs.
                    state.judge(beats, "another program may be sending them");
                    state.until(beats, began + PROBE).await;
                    continue;
                }
                // Killed meanwhile: the last word is that nothing is acknowledged.
                if !beats.switch.ends_heartbeats() {
                    beats.acknowledged.set(sent);
                }
                state.judge(beats, "");
                state.until(beats, began + EVERY).await;
            }
            Err((why, pause)) => {
                // It may have been taken, and the id is another one then.
                state.certain = false;
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

/// For the operator.
const SHARED: &str = "another program sends heartbeats for this account: end it, or give it a wallet of its own; cancels of one end the orders of both";

struct Running {
    /// What the venue wants to hear next.
    id: String,
    /// The id is the one that the venue gave for our last heartbeat.
    certain: bool,
    /// None was acknowledged since the start or the last kill.
    first: bool,
    /// When the id was a strange one, newest last.
    strange: Vec<Time>,
}

impl Running {
    fn new(beats: &Beats) -> Running {
        let strange = match beats.acknowledged.is_shared() {
            true => vec![beats.acknowledged.clock.steady()],
            false => Vec::new(),
        };
        Running { id: String::new(), certain: false, first: true, strange }
    }

    fn forget(&mut self) {
        self.id.clear();
        (self.certain, self.first) = (false, true);
    }

    /// Takes in whether the venue expected another id, and sets or clears the blocker of a shared wallet. Returns whether
    /// the acknowledgement does not count yet: the first one of a run, while another program's may be in force.
    fn watch(&mut self, beats: &Beats, adopted: bool, now: Time) -> bool {
        let probes = adopted && self.first;
        // After a lost answer another id proves nothing.
        if adopted && (self.certain || self.first) {
            self.strange.push(now);
        }
        (self.certain, self.first) = (true, false);
        let before = beats.acknowledged.is_shared();
        let within = if before { SHARED_OVER } else { SHARED_WITHIN };
        self.strange.retain(|at| at.until(now) < within);
        // A venue that changes the id once is no other program.
        let least = if before { 1 } else { SHARED_TIMES };
        let shared = self.strange.len() >= least;
        beats.acknowledged.shared.store(shared, Ordering::Release);
        if shared != before {
            (beats.shared)(shared, if shared { SHARED } else { "no other program beats any more" });
        }
        probes
    }

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
