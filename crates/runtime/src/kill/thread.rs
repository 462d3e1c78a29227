//! The kill thread: an OS thread with a runtime and a connection of its own, which waits for triggers and runs the
//! ladder. It has credentials and no key, and waits for nothing that engine, journal or outbox hold.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use polydesk_domain::Span;
use polydesk_polymarket_api::ServerClock;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::ladder::{self, Latched, Outcome, Plan, Step, StepKind};
use super::lift::{self, LiftError, Lifting};
use super::switch::{Switch, Trigger, Via};
use crate::supervise::{Stage, stage};

/// Between two looks at the engine's beat.
const TICK: Duration = Duration::from_millis(100);
/// Between two requests that keep the connection warm.
const WARM: Duration = Duration::from_secs(20);
/// How long a trigger waits for the word that it is latched.
pub const ACKNOWLEDGE: Duration = Duration::from_secs(2);

/// What the thread needs before it can act on the venue. Until it has it, a trigger closes the gate only.
#[derive(Clone)]
pub struct Arms {
    /// The client must have sent nothing yet: its connections belong to the runtime that opens them.
    pub plan: Plan,
    /// The data folder: a kill is not lifted while the file `STOP` is there.
    pub data: PathBuf,
    /// Age of the engine's beat; `None` before its first and after its end.
    pub beat: Arc<dyn Fn() -> Option<Span> + Send + Sync>,
    /// Tells the engine of a kill. It must not wait.
    pub told: Arc<dyn Fn(&Trigger) + Send + Sync>,
    /// What the engine does when a kill is lifted.
    pub lifting: Arc<dyn Lifting>,
}

/// What is known of the kill in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What became of the latch, as soon as that is known.
    pub latched: Option<Latched>,
    /// How the last ladder ended; `None` while one runs.
    pub outcome: Option<Outcome>,
}

enum Ask {
    Arm(Box<Arms>),
    Stop(Trigger, oneshot::Sender<Outcome>),
    Lift { by: String, why: String, reply: oneshot::Sender<Result<(), LiftError>> },
}

/// The way to the kill thread. Clones reach the same one.
#[derive(Clone)]
pub struct Killer {
    switch: Arc<Switch>,
    asks: mpsc::UnboundedSender<Ask>,
    progress: watch::Receiver<Progress>,
}

/// The thread's half.
pub struct Waiting {
    switch: Arc<Switch>,
    asks: mpsc::UnboundedReceiver<Ask>,
    progress: Arc<watch::Sender<Progress>>,
}

/// Both halves, without a thread: a simulation runs [`body`] as a task.
pub fn pair(clock: ServerClock) -> (Killer, Waiting) {
    let switch = Switch::new(clock);
    let (asks, asked) = mpsc::unbounded_channel();
    let (sender, progress) = watch::channel(Progress::default());
    let killer = Killer { switch: Arc::clone(&switch), asks, progress };
    (killer, Waiting { switch, asks: asked, progress: Arc::new(sender) })
}

/// Starts the thread. The first thing that a main does: from here on SIGUSR1 kills orders and not the process.
///
/// # Errors
/// The thread, its runtime or the signal's handler cannot be had.
pub fn install(clock: ServerClock) -> io::Result<Killer> {
    let (killer, waiting) = pair(clock);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error))),
        };
        runtime.block_on(async {
            match signal(SignalKind::user_defined1()) {
                Ok(signal) => {
                    let _ = ready.send(Ok(()));
                    body(waiting, Some(signal)).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    };
    std::thread::Builder::new().name("kill".into()).spawn(work)?;
    is_ready.recv().map_err(|_| io::Error::other("the kill thread has ended"))??;
    Ok(killer)
}

impl Killer {
    /// The switch: what the outbox asks before it signs and before the first byte.
    pub fn switch(&self) -> &Arc<Switch> {
        &self.switch
    }

    /// Gives the thread what it needs. A trigger that came before is acted on at once.
    pub fn arm(&self, arms: Arms) {
        self.ask(Ask::Arm(Box::new(arms)));
    }

    /// Kills; returns at once. The gate is closed by then.
    pub fn kill(&self, by: &str, via: Via, why: &str) -> Trigger {
        self.switch.trigger(by, via, why)
    }

    /// Waits until the kill in force is latched, or until that is known to have failed, for 2 s at most.
    pub async fn acknowledged(&self) -> Latched {
        let mut progress = self.progress.clone();
        let settled = |progress: &Progress| {
            let latched = progress.latched.as_ref();
            latched.is_some_and(|latched| latched.holds() || matches!(latched, Latched::Not(_)))
        };
        let waited = timeout(ACKNOWLEDGE, progress.wait_for(settled)).await;
        drop(waited);
        let latched = self.progress.borrow().latched.clone();
        latched.unwrap_or_else(|| {
            Latched::Not("credentials are not there yet; the gate is closed".to_owned())
        })
    }

    /// What is known of the kill in force.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Cancels everything for the end of the process, without a latch, for 10 s at most; `None`: the thread has no
    /// credentials, or has ended.
    pub async fn stop(&self, why: &str) -> Option<Outcome> {
        let trigger = self.switch.stop(why);
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Stop(trigger, reply));
        answer.await.ok()
    }

    /// Lifts the kill for a person. Afterwards the engine is paused until a person resumes.
    ///
    /// # Errors
    /// See [`LiftError`]; the kill stays in force.
    pub async fn unkill(&self, by: &str, why: &str) -> Result<(), LiftError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Lift { by: by.to_owned(), why: why.to_owned(), reply });
        answer.await.unwrap_or(Err(LiftError::Ended))
    }

    fn ask(&self, ask: Ask) {
        if self.asks.send(ask).is_err() {
            tracing::error!("the kill thread has ended");
        }
    }
}

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The thread's work: until every [`Killer`] is gone.
pub async fn body(waiting: Waiting, mut signal: Option<Signal>) {
    let Waiting { switch, mut asks, progress } = waiting;
    let mut state = Body { switch: Arc::clone(&switch), progress, armed: None, acted: 0 };
    let (mut ladder, mut lifting): (Option<Task<Outcome>>, Option<Task<()>>) = (None, None);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warms = interval(WARM);
    warms.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if ladder.is_none() {
            ladder = state.begin();
        }
        tokio::select! {
            biased;
            () = switch.woken() => {}
            () = raised(&mut signal) => {
                switch.trigger("signal", Via::Signal, "SIGUSR1");
            }
            outcome = ended(&mut ladder) => {
                ladder = None;
                state.progress.send_modify(|progress| progress.outcome = Some(outcome));
            }
            ask = asks.recv() => match ask {
                None => return,
                Some(Ask::Arm(arms)) => {
                    state.armed = Some(*arms);
                    warms.reset_immediately();
                }
                Some(Ask::Stop(trigger, reply)) => state.stop(trigger, reply),
                Some(Ask::Lift { by, why, reply }) => match ladder.is_some() || lifting.is_some() {
                    true => drop(reply.send(Err(LiftError::Busy))),
                    false => lifting = Some(state.lift(by, why, reply)),
                },
            },
            () = ended(&mut lifting) => lifting = None,
            _ = ticks.tick() => state.watch(),
            _ = warms.tick() => state.warm(),
        }
    }
}

async fn raised(signal: &mut Option<Signal>) {
    match signal {
        // A stream of signals that has ended is never asked again.
        Some(stream) => {
            if stream.recv().await.is_none() {
                *signal = None;
            }
        }
        None => std::future::pending().await,
    }
}

async fn ended<T>(task: &mut Option<Task<T>>) -> T {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

struct Body {
    switch: Arc<Switch>,
    progress: Arc<watch::Sender<Progress>>,
    armed: Option<Arms>,
    /// Number of the last trigger that a ladder was begun for.
    acted: u64,
}

impl Body {
    /// Begins a ladder for a trigger that none was begun for.
    fn begin(&mut self) -> Option<Task<Outcome>> {
        let arms = self.armed.clone()?;
        let trigger = self.switch.triggered().filter(|trigger| trigger.number > self.acted)?;
        self.acted = trigger.number;
        self.progress.send_modify(|progress| progress.outcome = None);
        let plan = self.reporting(&arms.plan);
        Some(Box::pin(async move {
            let mut ladder = std::pin::pin!(ladder::run(&plan, &trigger, None));
            // The first requests leave before anything else is told.
            let told = async {
                tokio::task::yield_now().await;
                (arms.told)(&trigger);
            };
            let (outcome, ()) = tokio::join!(&mut ladder, told);
            outcome
        }))
    }

    /// The plan, with what becomes of the latch also for those who wait for it.
    fn reporting(&self, plan: &Plan) -> Plan {
        let (steps, progress) = (Arc::clone(&plan.steps), Arc::clone(&self.progress));
        let steps = move |step: &Step| {
            if let StepKind::Latch(latched) = &step.kind {
                progress.send_modify(|progress| progress.latched = Some(latched.clone()));
            }
            steps(step);
        };
        Plan { steps: Arc::new(steps), ..plan.clone() }
    }

    fn stop(&self, trigger: Trigger, reply: oneshot::Sender<Outcome>) {
        // Without credentials the reply is dropped, which the other side sees.
        let Some(arms) = &self.armed else { return };
        let plan = Plan { latch: None, ..arms.plan.clone() };
        tokio::spawn(async move {
            let _ = reply.send(ladder::stopping(&plan, &trigger).await);
        });
    }

    fn lift(
        &self,
        by: String,
        why: String,
        reply: oneshot::Sender<Result<(), LiftError>>,
    ) -> Task<()> {
        let (switch, armed) = (Arc::clone(&self.switch), self.armed.clone());
        let progress = Arc::clone(&self.progress);
        Box::pin(async move {
            let lifted = match &armed {
                Some(arms) => {
                    let (plan, engine) = (&arms.plan, arms.lifting.as_ref());
                    let parts = lift::Parts { plan, data: &arms.data, engine };
                    lift::running(&switch, &parts, &by, &why).await
                }
                None => Err(LiftError::Unarmed),
            };
            if lifted.is_ok() {
                progress.send_replace(Progress::default());
            }
            let _ = reply.send(lifted);
        })
    }

    /// Acts on the age of the engine's beat.
    fn watch(&self) {
        let Some(arms) = &self.armed else { return };
        let age = (arms.beat)();
        let stage = stage(age);
        self.switch.hold(stage != Stage::Fresh);
        if stage >= Stage::Kill && self.switch.triggered().is_none() {
            let why = format!("the engine has not moved for {} ms", age.map_or(0, Span::as_millis));
            self.switch.trigger("watchdog", Via::Watchdog, &why);
        }
    }

    /// Keeps the connection and the address of the venue at hand.
    fn warm(&self) {
        if let Some(arms) = &self.armed {
            let clob = arms.plan.clob.clone();
            tokio::spawn(async move {
                if let Err(error) = clob.ok().await {
                    tracing::warn!(%error, "the kill thread's connection is not warm");
                }
            });
        }
    }
}
