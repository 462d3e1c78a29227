//! The kill thread's triggers, its watchdog, its words, and the lift, as a task in virtual time.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use polydesk_domain::Span;
use polydesk_journal::{Kill, LatchFile};
use polydesk_polymarket_api::Secret;
use polydesk_runtime::kill::door::KillDoor;
use polydesk_runtime::kill::lift::{PHRASE, Reply};
use polydesk_runtime::kill::thread::{self, body};
use polydesk_runtime::kill::{Arms, Closed, Killer, Latched, Lifting, Via, stop_file};

use crate::kill_world::Venue;
use crate::world::{pass, simulated};

/// An armed kill thread, and what it told the engine.
struct Armed {
    venue: Venue,
    killer: Killer,
    arms: Arms,
    age: Arc<AtomicI64>,
    told: Arc<Mutex<Vec<String>>>,
    data: tempfile::TempDir,
}

/// The engine's side of a lift.
struct Engine {
    told: Arc<Mutex<Vec<String>>>,
    refuses: AtomicBool,
}

impl Lifting for Engine {
    fn pause<'a>(&'a self, _: &'a str, _: &'a str) -> Reply<'a> {
        self.told.lock().unwrap().push("pause".to_owned());
        Box::pin(async { Ok(()) })
    }
    fn rearm<'a>(&'a self, _: &'a str, _: &'a str) -> Reply<'a> {
        self.told.lock().unwrap().push("rearm".to_owned());
        let refused = self.refuses.load(Ordering::Relaxed);
        Box::pin(async move { if refused { Err("as a test asked".to_owned()) } else { Ok(()) } })
    }
}

fn unarmed() -> Armed {
    let mut venue = Venue::new();
    venue.faults("");
    let (killer, waiting) = thread::pair(venue.clock.clone());
    venue.switch = killer.switch().clone();
    tokio::spawn(body(waiting, None));
    let (age, told) = (Arc::new(AtomicI64::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (beat, notes) = (age.clone(), told.clone());
    let data = tempfile::tempdir().unwrap();
    let arms = Arms {
        plan: venue.plan(venue.latch()),
        data: data.path().to_owned(),
        beat: Arc::new(move || Some(Span::millis(beat.load(Ordering::Relaxed)))),
        told: Arc::new(move |trigger| {
            notes.lock().unwrap().push(format!("killed via {}", trigger.via.name()));
        }),
        lifting: Arc::new(Engine { told: told.clone(), refuses: AtomicBool::new(false) }),
    };
    Armed { venue, killer, arms, age, told, data }
}

fn armed() -> Armed {
    let armed = unarmed();
    armed.killer.arm(armed.arms.clone());
    armed
}

impl Armed {
    fn latch(&self) -> Kill {
        LatchFile::read(&self.venue.disk).unwrap().1
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    async fn ended(&self) {
        let mut progress = self.killer.progress();
        let ended = progress.wait_for(|progress| progress.outcome.is_some());
        let outcome = ended.await.unwrap().outcome.clone().unwrap();
        assert!(outcome.confirmed, "{outcome:?}");
    }
}

#[test]
fn each_trigger_closes_the_gate_latches_cancels_and_tells_the_engine() {
    for via in [Via::File, Via::Http, Via::Socket, Via::Engine, Via::Watchdog, Via::Signal] {
        simulated(async {
            let armed = armed();
            armed.venue.rest(30);
            pass(1).await;
            let since = armed.venue.exchange.now();
            match via {
                Via::File => {
                    tokio::spawn(stop_file::watch_here(
                        armed.data.path().to_owned(),
                        armed.killer.switch().clone(),
                    ));
                    std::fs::write(armed.data.path().join(stop_file::STOP), "").unwrap();
                }
                Via::Watchdog => armed.age.store(5_001, Ordering::Relaxed),
                _ => drop(armed.killer.kill("ada", via, "a test")),
            }
            armed.ended().await;
            assert_eq!(armed.killer.switch().closed(), Some(Closed::Killed), "{via:?}");
            let first = armed.venue.arrived("DELETE", "/", since)[0];
            assert!(first <= Duration::from_millis(200), "{via:?}: {first:?}");
            assert_eq!(armed.venue.open(), 0);
            let Kill::Killed(state) = armed.latch() else { panic!("{via:?} is not latched") };
            assert_eq!((state.via.as_str(), state.run), (via.name(), 3));
            assert_eq!(armed.told(), [format!("killed via {}", via.name())]);
            assert_eq!(armed.killer.acknowledged().await, Latched::Synced);
        });
    }
}

#[test]
fn the_age_of_the_engines_beat_closes_the_gate_opens_it_again_and_then_kills() {
    simulated(async {
        let armed = armed();
        armed.venue.rest(5);
        let mut seen = Vec::new();
        for age in [0, 2_000, 2_001, 0, 5_000, 0, 5_001, 0] {
            armed.age.store(age, Ordering::Relaxed);
            pass(1).await;
            seen.push((age, armed.killer.switch().closed(), armed.venue.open()));
        }
        let (stale, killed) = (Some(Closed::Stale), Some(Closed::Killed));
        let want = [
            (0, None, 5),
            (2_000, None, 5),
            (2_001, stale, 5),
            (0, None, 5),
            (5_000, stale, 5),
            (0, None, 5),
            (5_001, killed, 0),
            (0, killed, 0),
        ];
        assert_eq!(seen, want);
    });
}

#[test]
fn a_trigger_before_there_are_credentials_closes_the_gate_and_is_acted_on_when_they_come() {
    simulated(async {
        let armed = unarmed();
        armed.venue.rest(5);
        armed.killer.kill("ada", Via::Signal, "early");
        let latched = armed.killer.acknowledged().await;
        assert!(!latched.holds() && latched.to_string().contains("NOT latched"), "{latched}");
        assert_eq!((armed.killer.switch().closed(), armed.venue.open()), (Some(Closed::Killed), 5));
        armed.killer.arm(armed.arms.clone());
        armed.ended().await;
        assert_eq!(armed.venue.open(), 0);
        assert!(matches!(armed.latch(), Kill::Killed(_)));
    });
}

#[test]
fn a_second_kill_runs_again_and_cancels_what_came_in_between() {
    simulated(async {
        let armed = armed();
        armed.killer.kill("ada", Via::Desk, "one");
        armed.ended().await;
        armed.venue.rest_unlisted();
        armed.killer.kill("ada", Via::Desk, "two");
        pass(2).await;
        armed.ended().await;
        assert_eq!((armed.venue.open(), armed.told().len()), (0, 2));
    });
}

#[test]
fn the_end_of_a_process_cancels_and_leaves_no_latch() {
    simulated(async {
        let armed = armed();
        armed.venue.rest(30);
        let outcome = armed.killer.stop("SIGTERM").await.unwrap();
        assert!(outcome.confirmed && armed.venue.open() == 0, "{outcome:?}");
        assert_eq!(armed.latch(), Kill::Missing);
        assert_eq!(armed.killer.switch().closed(), Some(Closed::Stopping));
    });
    simulated(async {
        // Nothing can be cancelled without credentials, and that is told.
        assert_eq!(unarmed().killer.stop("SIGTERM").await, None);
    });
}

#[test]
fn only_a_reason_without_the_stop_file_and_after_zero_lifts_and_the_engine_is_paused_first() {
    simulated(async {
        let armed = armed();
        let no_kill = armed.killer.unkill("ada", "well").await.unwrap_err().to_string();
        assert!(no_kill.contains("no kill"), "{no_kill}");
        armed.venue.rest(5);
        armed.killer.kill("ada", Via::Desk, "a test");
        pass(0).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let busy = armed.killer.unkill("ada", "well").await.unwrap_err().to_string();
        assert!(busy.contains("still being cancelled"), "{busy}");
        armed.ended().await;
        let stop = armed.data.path().join(stop_file::STOP);
        std::fs::write(&stop, "").unwrap();
        for (why, want) in [(" ", "a reason is missing"), ("well", "remove it first")] {
            let error = armed.killer.unkill("ada", why).await.unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
            assert_eq!(armed.killer.switch().closed(), Some(Closed::Killed));
            assert!(armed.latch().is_killed());
        }
        std::fs::remove_file(stop).unwrap();
        armed.killer.unkill("ada", "well").await.unwrap();
        assert_eq!((armed.killer.switch().closed(), armed.latch()), (None, Kill::Clear));
        assert_eq!(armed.told(), ["killed via desk", "pause", "rearm"]);
        // And it can be killed again.
        armed.killer.kill("ada", Via::Desk, "again");
        pass(1).await;
        assert!(armed.latch().is_killed());
    });
}

#[test]
fn an_engine_that_does_not_take_the_lift_leaves_everything_killed() {
    simulated(async {
        let mut armed = unarmed();
        let engine = Engine { told: armed.told.clone(), refuses: AtomicBool::new(true) };
        armed.arms.lifting = Arc::new(engine);
        armed.killer.arm(armed.arms.clone());
        armed.killer.kill("ada", Via::Desk, "a test");
        pass(1).await;
        armed.ended().await;
        let error = armed.killer.unkill("ada", "well").await.unwrap_err().to_string();
        assert!(error.contains("as a test asked"), "{error}");
        assert_eq!(armed.killer.switch().closed(), Some(Closed::Killed));
        assert!(armed.latch().is_killed());
    });
}

#[test]
fn a_kill_during_a_lift_wins() {
    simulated(async {
        let armed = armed();
        armed.killer.kill("ada", Via::Desk, "one");
        pass(1).await;
        armed.ended().await;
        // Its disk is slow: the second kill comes while the latch is being cleared.
        let slow = crate::kill_world::TaskLatch::new(
            &armed.venue.disk,
            Duration::from_millis(300),
            Duration::ZERO,
        );
        let mut arms = armed.arms.clone();
        arms.plan.latch = Some(Arc::new(slow));
        armed.killer.arm(arms);
        let killer = armed.killer.clone();
        let second = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            killer.kill("bob", Via::Desk, "two");
        };
        let (lifted, ()) = tokio::join!(armed.killer.unkill("ada", "well"), second);
        assert!(lifted.unwrap_err().to_string().contains("in the meantime"));
        pass(5).await;
        assert_eq!(armed.killer.switch().closed(), Some(Closed::Killed));
        assert!(armed.latch().is_killed(), "{:?}", armed.latch());
    });
}

fn bearer(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, text.parse().unwrap());
    headers
}

#[test]
fn a_kill_over_http_needs_the_token_on_tcp_and_nothing_on_the_socket() {
    let token = "0123456789abcdef0123456789abcdef";
    let right = format!("Bearer {token}");
    let cases: &[(bool, Option<&str>, &str, u16, bool)] = &[
        (false, Some(token), &right, 200, true),
        (false, Some(token), "Bearer 0123456789abcdef0123456789abcdee", 401, false),
        (false, Some(token), "Bearer 0123456789abcdef0123456789abcde", 401, false),
        (false, Some(token), "Bearer ", 401, false),
        (false, Some(token), token, 401, false),
        (false, None, "Bearer ", 401, false),
        (true, None, "", 200, true),
        (true, Some(token), "", 200, true),
    ];
    for (owner, token, header, status, killed) in cases {
        simulated(async {
            let armed = armed();
            pass(1).await;
            let token = token.map(Secret::new);
            let door = KillDoor::new(armed.killer.clone(), token).unwrap();
            // The body never comes: the kill does not wait for it.
            let body = std::future::pending();
            let answer = door.answer(*owner, "/v1/kill", &bearer(header), body).await.unwrap();
            assert_eq!(answer.0, *status, "{header}: {answer:?}");
            assert_eq!(armed.killer.switch().closed().is_some(), *killed, "{header}");
        });
    }
    simulated(async {
        let armed = armed();
        let short = KillDoor::new(armed.killer.clone(), Some(Secret::new("guess")));
        assert!(short.unwrap_err().to_string().contains("openssl rand"));
        let door = KillDoor::new(armed.killer.clone(), None).unwrap();
        let text = async { Some(b"a \"reason\"\n".to_vec()) };
        door.answer(true, "/v1/kill", &HeaderMap::new(), text).await.unwrap();
        let Kill::Killed(state) = armed.latch() else { panic!("not latched") };
        assert_eq!(state.why, "a \"reason\" ");
        armed.ended().await;
        let lift = |phrase: &str| {
            let body = serde_json::json!({ "why": "well", "phrase": phrase }).to_string();
            async { Some(body.into_bytes()) }
        };
        let none = HeaderMap::new();
        assert!(door.answer(false, "/v1/unkill", &none, lift(PHRASE)).await.is_none());
        for body in [lift("yes"), lift("")] {
            let answer = door.answer(true, "/v1/unkill", &none, body).await.unwrap();
            assert_eq!(answer.0, 400, "{answer:?}");
            assert!(armed.latch().is_killed());
        }
        let answer = door.answer(true, "/v1/unkill", &none, lift(PHRASE)).await.unwrap();
        assert_eq!(answer.0, 200, "{answer:?}");
        assert_eq!(armed.killer.switch().closed(), None);
        assert!(door.answer(true, "/v1/other", &none, async { None }).await.is_none());
    });
}

/// Waits in real time for a trigger of real threads; a hang ends it.
fn triggered(killer: &Killer) -> polydesk_runtime::kill::Trigger {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wait = async {
        loop {
            if let Some(trigger) = killer.switch().triggered() {
                return trigger;
            }
            tokio::task::yield_now().await;
        }
    };
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap() })
}

#[test]
fn a_process_that_installed_the_thread_survives_sigusr1_and_is_killed_by_it() {
    let killer = thread::install(polydesk_polymarket_api::ServerClock::system()).unwrap();
    assert_eq!(killer.switch().closed(), None);
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::USR1).unwrap();
    let trigger = triggered(&killer);
    assert_eq!((trigger.via, killer.switch().closed()), (Via::Signal, Some(Closed::Killed)));
}

#[test]
fn the_threads_of_a_program_find_the_stop_file_and_write_the_latch() {
    let data = tempfile::tempdir().unwrap();
    let (killer, _waiting) = thread::pair(polydesk_polymarket_api::ServerClock::system());
    stop_file::watch(data.path(), killer.switch()).unwrap();
    std::fs::write(data.path().join(stop_file::STOP), "").unwrap();
    assert_eq!(triggered(&killer).via, Via::File);
    std::fs::create_dir(data.path().join(polydesk_runtime::durable::FOLDER)).unwrap();
    let folder = || polydesk_runtime::kill::LatchFolder::of(data.path());
    let writer = polydesk_runtime::kill::LatchThread::start(folder()).unwrap();
    let state = polydesk_runtime::kill::latch::state(
        polydesk_journal::Latch::Killed,
        "file",
        "file",
        "a test",
        1,
        1,
    );
    let writing = polydesk_runtime::kill::LatchWriter::write(&writer, state.clone());
    assert_eq!(writing.written.blocking_recv().unwrap(), Ok(()));
    assert_eq!(writing.synced.blocking_recv().unwrap(), Ok(()));
    assert_eq!(LatchFile::read(&folder()).unwrap().1, Kill::Killed(state));
}
