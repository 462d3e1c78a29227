//! Tasks that are started again, and the watchdog.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use polydesk_domain::{Cause, Code, ControlEvent, Span};
use polydesk_polymarket_api::ServerClock;

use crate::glance::Shared;
use crate::inbox::{Inbox, Request};

/// The first pause before a task is started again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A task that ran so long was healthy: the next pause is short again, and its blocker goes.
const HEALTHY: Duration = Duration::from_secs(5);

/// Whether trading goes on while a task is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// No order leaves while it is down: a blocker with this code.
    ForTrading(Code),
    /// Trading goes on.
    No,
}

/// Runs a task, and again after each panic, until it ends by itself.
///
/// While a needed task is down its blocker is set: the engine cancels nothing by that, but lets no order out. One that
/// ends by itself leaves it set: nobody does its work any more.
pub async fn keep<F, T>(
    name: &'static str,
    needed: Needed,
    inbox: Inbox,
    shared: Arc<Shared>,
    mut make: F,
) where
    F: FnMut() -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    let mut blocked = false;
    loop {
        let began = tokio::time::Instant::now();
        let mut task = tokio::spawn(make());
        let ended = tokio::select! {
            biased;
            ended = &mut task => ended,
            () = tokio::time::sleep(HEALTHY) => {
                if core::mem::take(&mut blocked) {
                    set(&inbox, needed, false, String::new());
                }
                pause = FIRST_PAUSE;
                task.await
            }
        };
        let Err(error) = ended else {
            if let Needed::ForTrading(_) = needed {
                tracing::error!(task = name, "a task that trading needs has ended");
                set(&inbox, needed, true, format!("the task {name} has ended: start again"));
            }
            return;
        };
        if !error.is_panic() {
            return;
        }
        shared.metrics.restarts.fetch_add(1, Ordering::Relaxed);
        let ran = began.elapsed();
        tracing::error!(
            task = name,
            ran_ms = ran.as_millis() as u64,
            "a task panicked; it is started again"
        );
        set(&inbox, needed, true, format!("the task {name} panicked and is being started again"));
        blocked = matches!(needed, Needed::ForTrading(_));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn set(inbox: &Inbox, needed: Needed, on: bool, detail: String) {
    if let Needed::ForTrading(code) = needed {
        let event = ControlEvent::Blocker { cause: Cause::Other(code), on, detail };
        if let Err(error) = inbox.send(Request::Control(event)) {
            tracing::error!(%error, "a blocker did not reach the engine");
        }
    }
}

/// How old the engine's beat may be before the process is ended from outside.
pub const BEAT: Span = Span::secs(10);

/// What the watchdog concludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The engine beats, or has not started.
    Alive,
    /// The engine has missed its beat for too long.
    Dead,
}

/// Judges the age of a beat.
pub fn judge(age: Option<Span>) -> Verdict {
    match age {
        Some(age) if age > BEAT => Verdict::Dead,
        _ => Verdict::Alive,
    }
}

/// What the age of the engine's beat asks of a process that has orders at the venue, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing.
    Fresh,
    /// No order leaves until the next beat, and no heartbeat goes to the venue.
    Close,
    /// Everything is cancelled.
    Kill,
    /// The process is ended: [`Verdict::Dead`].
    Abort,
}

/// How old the beat may be before the gate is closed.
pub const CLOSE: Span = Span::secs(2);
/// How old it may be before everything is cancelled.
pub const KILL: Span = Span::secs(5);

/// Judges the age of a beat. Before the first one there is nothing to guard.
pub fn stage(age: Option<Span>) -> Stage {
    match age {
        Some(age) if age > BEAT => Stage::Abort,
        Some(age) if age > KILL => Stage::Kill,
        Some(age) if age > CLOSE => Stage::Close,
        _ => Stage::Fresh,
    }
}

/// A thread of its own that ends the process when the engine misses its beat: a deadlock or a blocked runtime
/// leaves nobody else to do it. `dead` is called once.
///
/// # Errors
/// The thread cannot be started.
pub fn watchdog(
    shared: Arc<Shared>,
    clock: ServerClock,
    dead: impl FnOnce(Span) + Send + 'static,
) -> std::io::Result<()> {
    let watch = move || {
        loop {
            #[expect(clippy::disallowed_methods, reason = "a thread outside the runtime")]
            std::thread::sleep(Duration::from_millis(500));
            let age = shared.beat_age(clock.steady());
            if let (Verdict::Dead, Some(age)) = (judge(age), age) {
                return dead(age);
            }
        }
    };
    std::thread::Builder::new().name("watchdog".into()).spawn(watch).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn a_beat_may_be_ten_seconds_old() {
        assert_eq!(judge(None), Verdict::Alive);
        assert_eq!(judge(Some(Span::secs(10))), Verdict::Alive);
        assert_eq!(judge(Some(Span::millis(10_001))), Verdict::Dead);
    }

    #[test]
    fn a_beat_that_is_missing_closes_the_gate_then_cancels_then_ends_the_process() {
        let cases = [
            (2_000, Stage::Fresh),
            (2_001, Stage::Close),
            (5_000, Stage::Close),
            (5_001, Stage::Kill),
            (10_000, Stage::Kill),
            (10_001, Stage::Abort),
        ];
        for (age, want) in cases {
            let age = Some(Span::millis(age));
            assert_eq!(stage(age), want, "{age:?}");
            assert_eq!(judge(age) == Verdict::Dead, want == Stage::Abort);
        }
        assert_eq!(stage(None), Stage::Fresh);
    }

    #[tokio::test(start_paused = true)]
    async fn a_needed_task_that_panics_is_started_again_and_blocks_until_it_is_healthy() {
        let (inbox, mut requests) = Inbox::new();
        let shared = Arc::new(Shared::default());
        let runs = Arc::new(AtomicU32::new(0));
        let code = Code::literal("feed_task");
        let counted = Arc::clone(&runs);
        let make = move || {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                if run < 2 {
                    panic!("as a test asked");
                }
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        };
        let began = tokio::time::Instant::now();
        keep("feed", Needed::ForTrading(code), inbox, Arc::clone(&shared), make).await;
        // 0.1 and 0.2 s of pauses, then the minute of the third run.
        assert_eq!(began.elapsed().as_millis(), 60_300);
        assert_eq!(runs.load(Ordering::Relaxed), 3);
        assert_eq!(shared.metrics.restarts.load(Ordering::Relaxed), 2);
        let mut seen = Vec::new();
        while let Ok(Request::Control(ControlEvent::Blocker { cause, on, .. })) =
            requests.try_recv()
        {
            seen.push((cause, on));
        }
        let cause = Cause::Other(code);
        // At last it ends by itself.
        assert_eq!(seen, [(cause, true), (cause, true), (cause, false), (cause, true)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_needed_task_that_ends_by_itself_closes_the_gate() {
        let (inbox, mut requests) = Inbox::new();
        let code = Code::literal("feed_task");
        keep("feed", Needed::ForTrading(code), inbox.clone(), Arc::default(), || async {}).await;
        let Ok(Request::Control(ControlEvent::Blocker { cause, on, detail })) = requests.try_recv()
        else {
            panic!("nothing is said")
        };
        assert_eq!((cause, on), (Cause::Other(code), true));
        assert!(detail.contains("feed"), "{detail}");
        keep("other", Needed::No, inbox, Arc::default(), || async {}).await;
        assert!(requests.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_half_a_minute_and_are_short_again_after_a_healthy_run() {
        let (inbox, _requests) = Inbox::new();
        let began = tokio::time::Instant::now();
        let starts = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&starts);
        let make = move || {
            let mut starts = noted.lock().unwrap();
            starts.push(began.elapsed());
            let number = starts.len();
            async move {
                match number {
                    12 => tokio::time::sleep(Duration::from_secs(6)).await,
                    14 => return,
                    _ => {}
                }
                panic!("as a test asked");
            }
        };
        keep("task", Needed::No, inbox, Arc::default(), make).await;
        let starts = starts.lock().unwrap();
        let pauses: Vec<u128> =
            starts.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        let want: [u128; 13] =
            [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 6_100, 200];
        assert_eq!(pauses, want);
    }
}
