//! Heartbeats: when they are sent, what counts as one, and when the gate must close.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polydesk_domain::Span;
use polydesk_runtime::beat::{self, Acknowledged, Beats};

use crate::kill_world::Venue;
use crate::world::{pass, simulated};

/// Heartbeats of a process, and what they told.
struct Beating {
    acknowledged: Arc<Acknowledged>,
    moves: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<(u128, bool)>>>,
    shared: Arc<Mutex<Vec<(u128, bool)>>>,
}

fn begin(venue: &Venue) -> Beating {
    let acknowledged = Acknowledged::new(venue.clock.clone());
    let moves = Arc::new(AtomicBool::new(true));
    let told = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::new(Mutex::new(Vec::new()));
    let (moving, notes, began) = (moves.clone(), told.clone(), tokio::time::Instant::now());
    let others = shared.clone();
    let beats = Beats {
        clob: venue.clob(),
        switch: venue.switch.clone(),
        acknowledged: acknowledged.clone(),
        engine: Box::new(move || {
            let age = if moving.load(Ordering::Relaxed) { 100 } else { 2_001 };
            Some(Span::millis(age))
        }),
        blocker: Box::new(move |on, _| {
            notes.lock().unwrap().push((began.elapsed().as_millis(), on));
        }),
        shared: Box::new(move |on, _| {
            others.lock().unwrap().push((began.elapsed().as_millis(), on));
        }),
    };
    tokio::spawn(async move { beat::run(&beats).await });
    Beating { acknowledged, moves, told, shared }
}

/// Milliseconds at which heartbeats reached the exchange.
fn sent(venue: &Venue) -> Vec<u128> {
    let from = polydesk_local_exchange::TEST_START;
    venue.arrived("POST", "/v1/heartbeats", from).iter().map(Duration::as_millis).collect()
}

#[test]
fn a_healthy_process_beats_each_five_seconds_and_its_orders_stay() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("");
        venue.rest(3);
        let beating = begin(&venue);
        assert!(!beating.acknowledged.is_fresh(), "none was acknowledged yet");
        pass(61).await;
        let sent = sent(&venue);
        assert_eq!(sent.len(), 13, "{sent:?}");
        let apart = |pair: &[u128]| (4_900..=5_100).contains(&(pair[1] - pair[0]));
        assert!(sent.windows(2).all(apart), "{sent:?}");
        assert!(beating.acknowledged.is_fresh());
        assert_eq!(*beating.told.lock().unwrap(), [(30, false)]);
        assert_eq!(venue.open(), 3);
    });
}

#[test]
fn trouble_of_one_heartbeat_is_made_good_before_the_venue_cancels() {
    // The second to the fourth request meet trouble; the venue cancels after ten silent seconds.
    let cases = [
        ("swallowed", "act = \"silence_before\""),
        ("answer swallowed", "act = \"silence_after\""),
        ("lost", "act = \"lose_request\""),
        ("answer lost", "act = \"lose_answer\""),
        ("late", "after = \"1400ms\""),
        ("block page", "act = \"block_page\""),
        ("500", "status = 500"),
        ("words", "body = \"OK\""),
    ];
    for (case, fault) in cases {
        simulated(async {
            let venue = Venue::new();
            let faults = format!(
                "[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"2..3\"\n{fault}\n"
            );
            venue.faults(&faults);
            venue.rest(3);
            let beating = begin(&venue);
            pass(60).await;
            assert_eq!(venue.open(), 3, "{case}: {:?}", sent(&venue));
            assert!(beating.acknowledged.is_fresh(), "{case}");
            let told = beating.told.lock().unwrap().clone();
            assert_eq!(told.len(), 1, "{case}: {told:?}");
        });
    }
}

#[test]
fn an_id_that_the_venue_rotates_is_adopted_at_once() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("");
        venue.rest(3);
        let beating = begin(&venue);
        pass(7).await;
        venue.exchange.venue(|inner| inner.rotate_beat(&venue.account.owner));
        pass(53).await;
        assert_eq!(venue.open(), 3);
        assert_eq!(sent(&venue).len(), 13, "one was sent again: {:?}", sent(&venue));
        assert_eq!(beating.told.lock().unwrap().len(), 1);
        assert!(beating.shared.lock().unwrap().is_empty(), "one other id is no second program");
    });
}

#[test]
fn c12_another_program_that_beats_is_reported_within_thirty_seconds_and_for_as_long_as_it_does() {
    for every_ms in [2_000, 5_000, 9_000] {
        simulated(async {
            let venue = Venue::new();
            venue.faults("");
            let beating = begin(&venue);
            pass(60).await;
            let other = venue.clob();
            let second = tokio::spawn(async move {
                let mut id = String::new();
                for _ in 0..120_000 / every_ms {
                    id = other.heartbeat(&id).await.unwrap().next;
                    tokio::time::sleep(Duration::from_millis(every_ms)).await;
                }
            });
            second.await.unwrap();
            assert!(beating.acknowledged.is_shared(), "{every_ms}");
            pass(90).await;
            let shared = beating.shared.lock().unwrap().clone();
            let [(on, true), (off, false)] = shared[..] else { panic!("{every_ms}: {shared:?}") };
            assert!((60_000..=90_000).contains(&on), "{every_ms}: {shared:?}");
            assert!((230_000..=260_000).contains(&off), "{every_ms}: {shared:?}");
            assert!(beating.acknowledged.is_fresh());
        });
    }
}

#[test]
fn p5_the_first_heartbeat_counts_only_when_no_other_program_beats() {
    simulated(async {
        // An earlier process beat a moment ago, and is dead.
        let venue = Venue::new();
        venue.faults("");
        venue.clob().heartbeat("").await.unwrap();
        let beating = begin(&venue);
        tokio::time::sleep(Duration::from_millis(5_400)).await;
        assert!(!beating.acknowledged.is_fresh());
        pass(1).await;
        assert!(beating.acknowledged.is_fresh());
        pass(60).await;
        assert!(beating.shared.lock().unwrap().is_empty());
    });
    simulated(async {
        // One that runs.
        let venue = Venue::new();
        venue.faults("");
        let first = begin(&venue);
        pass(12).await;
        let second = begin(&venue);
        for _ in 0..60 {
            pass(1).await;
            let opens = second.acknowledged.is_fresh() && !second.acknowledged.is_shared();
            assert!(!opens, "the second one may send orders");
        }
        assert!(first.acknowledged.is_shared());
    });
}

#[test]
fn a_refusal_of_the_right_id_is_no_acknowledgement() {
    simulated(async {
        let venue = Venue::new();
        let refuse = "[[answers]]\nendpoint = \"POST /v1/heartbeats\"\nstatus = 400\nbody = '{\"error_msg\":\"Invalid Heartbeat ID\",\"heartbeat_id\":\"00000000-0000-0000-0000-000000000001\"}'\n";
        venue.faults(refuse);
        let beating = begin(&venue);
        pass(30).await;
        assert_eq!(beating.acknowledged.age(), None);
        assert!(beating.told.lock().unwrap().is_empty());
    });
}

#[test]
fn a_network_that_is_away_closes_the_gate_after_eight_seconds_and_opens_it_when_it_returns() {
    for fault in ["act = \"silence_before\"", "act = \"lose_request\"", "status = 401"] {
        simulated(async {
            let venue = Venue::new();
            // From the third on, for half a minute's worth of tries.
            let faults = format!(
                "[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"3..22\"\n{fault}\n"
            );
            venue.faults(&faults);
            let beating = begin(&venue);
            let began = tokio::time::Instant::now();
            let mut closed = None;
            while began.elapsed() < Duration::from_secs(90) {
                if !beating.acknowledged.is_fresh() && began.elapsed().as_millis() > 100 {
                    closed.get_or_insert(began.elapsed().as_millis());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // The second was sent at 5 s.
            let closed = closed.expect("the gate never closed");
            assert!((13_000..=13_060).contains(&closed), "{fault}: {closed}");
            let told = beating.told.lock().unwrap().clone();
            let words: Vec<bool> = told.iter().map(|(_, on)| *on).collect();
            assert_eq!(words, [false, true, false], "{fault}: {told:?}");
            assert!((13_000..=15_000).contains(&told[1].0), "{fault}: {told:?}");
            assert!(beating.acknowledged.is_fresh());
        });
    }
}

#[test]
fn an_engine_that_does_not_move_gets_no_heartbeat_and_the_venue_cancels() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("");
        venue.rest(3);
        let beating = begin(&venue);
        pass(12).await;
        let before = sent(&venue).len();
        beating.moves.store(false, Ordering::Relaxed);
        pass(20).await;
        assert_eq!(sent(&venue).len(), before);
        assert_eq!(venue.open(), 0, "the lapse did not cancel");
        assert_eq!(beating.told.lock().unwrap().last().map(|(_, on)| *on), Some(true));
        beating.moves.store(true, Ordering::Relaxed);
        pass(1).await;
        assert!(sent(&venue).len() > before && beating.acknowledged.is_fresh());
    });
}

#[test]
fn a_kill_ends_heartbeats_at_once_and_nothing_counts_as_acknowledged() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("");
        let beating = begin(&venue);
        // While one is on its way.
        tokio::time::sleep(Duration::from_millis(5_010)).await;
        venue.trigger();
        let before = sent(&venue).len();
        pass(30).await;
        assert_eq!(sent(&venue).len(), before);
        assert_eq!(beating.acknowledged.age(), None);
        assert_eq!(beating.told.lock().unwrap().last().map(|(_, on)| *on), Some(true));
    });
}

#[test]
fn an_acknowledgement_that_comes_late_counts_from_when_its_heartbeat_was_sent() {
    simulated(async {
        let venue = Venue::new();
        venue.faults(
            "[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"1..2\"\nafter = \"1400ms\"\n\
             [[answers]]\nendpoint = \"POST /v1/heartbeats\"\nact = \"silence_before\"\n",
        );
        let beating = begin(&venue);
        pass(4).await;
        assert!(beating.acknowledged.is_fresh());
        let began = tokio::time::Instant::now();
        while beating.acknowledged.is_fresh() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The second was sent at 5 s and acknowledged at 6.4 s.
        let closed = 4_000 + began.elapsed().as_millis();
        assert!((13_000..=13_100).contains(&closed), "{closed}");
    });
}

#[test]
fn a_heartbeat_that_stays_unanswered_is_sent_again_after_a_second_and_a_half() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"2..4\"\nact = \"silence_before\"\n");
        let _beating = begin(&venue);
        pass(12).await;
        let sent = sent(&venue);
        let apart: Vec<u128> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(apart.len() >= 4 && (4_900..=5_100).contains(&apart[0]), "{sent:?}");
        assert!(apart[1..4].iter().all(|gap| (1_500..=1_520).contains(gap)), "{sent:?}");
    });
}
