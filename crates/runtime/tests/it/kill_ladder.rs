//! The bounds of the kill switch, by the truth of the exchange: one case for each condition.

use std::time::Duration;

use polydesk_journal::{Kill, LatchFile};
use polydesk_runtime::kill::{Latched, StepKind};

use crate::kill_world::{Killed, Venue};
use crate::world::simulated;

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// First DELETE within 50 ms, zero and confirmation within the bounds, everything proven.
fn within(case: &str, killed: &Killed, zero: Duration, confirmed: Duration) {
    println!("{case}: {killed:?}");
    assert!(killed.first.is_some_and(|first| first <= millis(50)), "{case}: {killed:?}");
    assert!(killed.zero <= zero, "{case}: {killed:?}");
    assert!(killed.confirmed <= confirmed, "{case}: {killed:?}");
    assert!(killed.outcome.confirmed && killed.outcome.left.is_empty(), "{case}: {killed:?}");
    assert!(killed.outcome.unknown.is_empty(), "{case}: {killed:?}");
}

#[test]
fn two_hundred_open_and_twenty_in_flight_are_gone_within_two_seconds() {
    for limited in [false, true] {
        simulated(async {
            let venue = if limited { Venue::limited() } else { Venue::new() };
            let posts = "[[answers]]\nendpoint = \"POST /order\"\nbefore = \"100ms p99 700ms\"\n";
            venue.faults(posts);
            venue.rest(200);
            venue.send(20);
            tokio::time::sleep(millis(30)).await;
            let killed = venue.kill(venue.plan(venue.latch()), millis(60_000)).await;
            within(&format!("healthy, limited {limited}"), &killed, millis(2_000), millis(2_000));
            assert_eq!(killed.outcome.latched, Latched::Synced);
            let (_, kill) = LatchFile::read(&venue.disk).unwrap();
            assert!(matches!(kill, Kill::Killed(_)), "{kill:?}");
            let posts = venue.arrived("POST", "/order", killed.since);
            assert!(posts.is_empty(), "an order left after the trigger: {posts:?}");
            assert!(!venue.send(3).is_empty());
            tokio::time::sleep(millis(5_000)).await;
            let posts = venue.arrived("POST", "/order", killed.since);
            assert!(posts.is_empty(), "an order left after the kill: {posts:?}");
            let steps = venue.steps.lock().unwrap();
            assert_eq!(steps.first().map(|step| &step.kind), Some(&StepKind::Began));
            assert_eq!(steps.last().map(|step| &step.kind), Some(&StepKind::Ended(true)));
        });
    }
}

/// Conditions of the venue and of the network, with the bounds in milliseconds: zero open, confirmed.
const CONDITIONS: &[(&str, &str, u64, u64)] = &[
    (
        "market and user streams down",
        "[[streams]]\nchannel = \"market\"\nact = \"refuse\"\n[[streams]]\nchannel = \"user\"\nact = \"refuse\"\n",
        2_000,
        5_000,
    ),
    (
        "the answer to cancel-all is lost once",
        "[[answers]]\nendpoint = \"DELETE /cancel-all\"\nact = \"lose_answer\"\ncalls = \"1\"\n",
        2_000,
        2_000,
    ),
    (
        "cancel-all never arrives: by id",
        "[[answers]]\nendpoint = \"DELETE /cancel-all\"\nact = \"lose_request\"\n",
        2_000,
        5_000,
    ),
    (
        "cancel-all is swallowed: by id",
        "[[answers]]\nendpoint = \"DELETE /cancel-all\"\nact = \"silence_before\"\n",
        2_000,
        5_000,
    ),
    (
        "cancel-all and ids never arrive: by market",
        "[[answers]]\nendpoint = \"DELETE /cancel-all\"\nact = \"lose_request\"\n[[answers]]\nendpoint = \"DELETE /orders\"\nact = \"lose_request\"\n",
        5_000,
        10_000,
    ),
    (
        "the edge's block page to the first cancel-all",
        "[[answers]]\nendpoint = \"DELETE /cancel-all\"\nact = \"block_page\"\ncalls = \"1\"\n",
        2_000,
        5_000,
    ),
    (
        "reads fail for three seconds",
        "[[answers]]\nendpoint = \"GET /data/orders\"\nact = \"lose_request\"\ncalls = \"1..9\"\n",
        2_000,
        10_000,
    ),
];

#[test]
fn each_condition_of_the_venue_keeps_its_bounds() {
    for (case, faults, zero, confirmed) in CONDITIONS {
        simulated(async {
            let venue = Venue::new();
            venue.faults(faults);
            venue.rest(60);
            let killed = venue.kill(venue.plan(venue.latch()), millis(60_000)).await;
            within(case, &killed, millis(*zero), millis(*confirmed));
        });
    }
}

#[test]
fn a_cancel_budget_in_debt_costs_what_the_bucket_takes_to_refill() {
    simulated(async {
        let venue = Venue::limited();
        venue.faults("");
        // Two sweeps have just spent the bucket: 120 - 101 - 101, and about two tokens came back.
        for _ in 0..2 {
            venue.rest(100);
            let spent = venue.clob().cancel_all().await.unwrap();
            assert_eq!(spent.canceled.len(), 100);
        }
        venue.rest(60);
        let killed = venue.kill(venue.plan(venue.latch()), millis(60_000)).await;
        within("debt", &killed, millis(5_000), millis(20_000));
        assert!(killed.zero >= millis(900), "the debt was none: {killed:?}");
    });
}

#[test]
fn a_small_debt_costs_milliseconds_and_not_the_whole_second_of_retry_after() {
    simulated(async {
        let venue = Venue::limited();
        venue.faults("");
        for count in [100, 40] {
            venue.rest(count);
            assert_eq!(venue.clob().cancel_all().await.unwrap().canceled.len(), count);
        }
        venue.rest(60);
        let killed = venue.kill(venue.plan(venue.latch()), millis(60_000)).await;
        within("a small debt", &killed, millis(700), millis(20_000));
        assert!(killed.zero >= millis(100), "the debt was none: {killed:?}");
    });
}

/// Heartbeats had begun; the ladder ends them.
async fn beat(venue: &Venue) {
    venue.clob().heartbeat("").await.unwrap();
}

#[test]
fn where_no_cancel_gets_through_the_venue_cancels_by_the_lapse_of_heartbeats() {
    let cases: &[(&str, &str, u64)] = &[
        (
            "a tier that refills one cancel a second, deep in debt",
            "[[limits]]\nsigner = \"on\"\nfigures = { orders = 40, order_burst = 900, cancels = 1, cancel_burst = 120, debt = true }\n",
            20_000,
        ),
        (
            "every DELETE is swallowed",
            "[[answers]]\nendpoint = \"DELETE *\"\nact = \"silence_before\"\n",
            20_000,
        ),
        (
            "every DELETE meets the block page",
            "[[answers]]\nendpoint = \"DELETE *\"\nact = \"block_page\"\n",
            20_000,
        ),
    ];
    for (case, faults, bound) in cases {
        simulated(async {
            let venue = Venue::new();
            venue.faults(faults);
            if case.contains("debt") {
                venue.rest(110);
                venue.clob().cancel_all().await.unwrap();
                venue.rest(110);
                venue.clob().cancel_all().await.unwrap();
            }
            beat(&venue).await;
            venue.rest(60);
            let killed = venue.kill(venue.plan(venue.latch()), millis(60_000)).await;
            within(case, &killed, millis(*bound), millis(bound + 5_000));
        });
    }
}

#[test]
fn without_a_network_the_lapse_cancels_and_the_first_read_after_its_return_confirms() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("");
        beat(&venue).await;
        venue.rest(60);
        venue.network(false);
        let back = async {
            tokio::time::sleep(millis(60_000)).await;
            venue.network(true);
        };
        let (killed, ()) =
            tokio::join!(venue.kill(venue.plan(venue.latch()), millis(60_000)), back);
        println!("no network: {killed:?}");
        assert!(killed.zero <= millis(20_000), "{killed:?}");
        assert!(
            killed.confirmed >= millis(60_000) && killed.confirmed <= millis(65_000),
            "{killed:?}"
        );
        assert!(
            killed.outcome.confirmed && killed.outcome.latched == Latched::Synced,
            "{killed:?}"
        );
        let steps = venue.steps.lock().unwrap();
        let tried = steps.iter().find(|step| step.kind == StepKind::AllSent).unwrap().after;
        assert!(tried <= millis(50), "{tried:?}");
    });
}

#[test]
fn submits_that_are_processed_fifteen_seconds_later_are_cancelled_within_two() {
    simulated(async {
        let venue = Venue::new();
        venue.faults(
            "[[answers]]\nendpoint = \"POST /order\"\nbefore = \"6s p99 15s\"\nafter = \"9s\"\n",
        );
        venue.rest(40);
        let sent = venue.send(20);
        tokio::time::sleep(millis(5)).await;
        let killed = venue.kill(venue.plan(venue.latch()), millis(120_000)).await;
        let created = sent.iter().map(|id| {
            let at = venue.exchange.venue(|venue| venue.order(id).map(|order| order.created));
            crate::kill_world::length(killed.since.until(at.expect("each was processed")))
        });
        let last = created.max().unwrap();
        println!("unanswered submits, last processed at {last:?}");
        assert!(last >= millis(6_000), "{last:?}");
        within("unanswered submits", &killed, last + millis(2_000), last + millis(13_000));
        assert!(killed.confirmed >= killed.zero + millis(5_000), "two reads apart: {killed:?}");
    });
}

#[test]
fn an_order_that_never_arrives_is_cancelled_by_id_for_three_minutes_and_then_given_up() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("[[answers]]\nendpoint = \"POST /order\"\nact = \"silence_before\"\n");
        venue.send(1);
        tokio::time::sleep(millis(30)).await;
        let killed = venue.kill(venue.plan(venue.latch()), millis(1_000)).await;
        within("never arrives", &killed, Duration::ZERO, millis(200_000));
        assert!(killed.confirmed >= millis(185_000), "{killed:?}");
        let cancels = venue.arrived("DELETE", "/orders", killed.since).len();
        assert!((60..=100).contains(&cancels), "{cancels}");
    });
}

#[test]
fn a_disk_that_hangs_or_fails_delays_no_cancel_and_the_kill_is_said_not_to_be_latched() {
    let hour = Duration::from_secs(3_600);
    let cases = [
        ("fast", Duration::ZERO, Duration::ZERO, Latched::Synced),
        ("slow", millis(300), millis(1_000), Latched::Synced),
        ("hung sync", Duration::ZERO, hour, Latched::Unsynced("the disk has not answered".into())),
        ("hung write", hour, Duration::ZERO, Latched::Not("the disk has not answered".into())),
    ];
    for (case, write, sync, latched) in cases {
        simulated(async {
            let venue = Venue::new();
            venue.faults("");
            venue.rest(60);
            let latch = crate::kill_world::TaskLatch::new(&venue.disk, write, sync);
            let plan = venue.plan(Some(std::sync::Arc::new(latch)));
            let killed = venue.kill(plan, millis(10)).await;
            // The end waits for the sync a little; what is cancelled does not.
            within(case, &killed, millis(2_000), millis(4_100));
            assert_eq!(killed.outcome.latched, latched, "{case}");
            assert_eq!(killed.outcome.latched.holds(), latched == Latched::Synced, "{case}");
        });
    }
    simulated(async {
        let venue = Venue::new();
        venue.disk.refuse("kill", Some(std::io::ErrorKind::StorageFull));
        venue.faults("");
        venue.rest(60);
        let killed = venue.kill(venue.plan(venue.latch()), millis(10)).await;
        within("no disk", &killed, millis(2_000), millis(2_000));
        assert!(matches!(killed.outcome.latched, Latched::Not(_)), "{killed:?}");
    });
    simulated(async {
        // The file exists: a change needs no room.
        let venue = Venue::new();
        let (mut latch, _) = LatchFile::read(&venue.disk).unwrap();
        let clear = polydesk_runtime::kill::latch::state(
            polydesk_journal::Latch::Clear,
            "ada",
            "desk",
            "",
            1,
            1,
        );
        latch.write(&venue.disk, &clear).unwrap();
        venue.disk.set_capacity(Some(0));
        venue.faults("");
        venue.rest(60);
        let killed = venue.kill(venue.plan(venue.latch()), millis(10)).await;
        within("full disk", &killed, millis(2_000), millis(2_000));
        assert_eq!(killed.outcome.latched, Latched::Synced);
    });
}

#[test]
fn a_venue_that_takes_no_cancels_is_asked_at_its_pace_and_first_for_a_cancel_when_it_returns() {
    for (act, lasts) in [("restart", 90), ("disabled", 300)] {
        simulated(async {
            let venue = Venue::new();
            venue.faults(&format!("[[engine]]\nact = \"{act}\"\nfor = \"{lasts}s\"\n"));
            venue.rest(30);
            tokio::time::sleep(millis(10)).await;
            let killed = venue.kill(venue.plan(venue.latch()), millis(60_000)).await;
            println!("{act}: {killed:?}");
            let back = Duration::from_secs(lasts);
            assert!(killed.outcome.confirmed && killed.first.unwrap() <= millis(50), "{killed:?}");
            assert!(killed.zero >= back && killed.zero <= back + millis(6_000), "{killed:?}");
            let tries = venue.arrived("DELETE", "/", killed.since);
            let most = 5 + lasts as usize / 4;
            assert!((4..=most).contains(&tries.len()), "{act}: {} requests", tries.len());
            let received = venue.exchange.received();
            let trades = |path: &str| path.starts_with("/order") || path.starts_with("/cancel");
            let first = received.iter().find(|one| trades(&one.path) && one.status == 200).unwrap();
            assert_eq!((first.method.as_str(), first.path.as_str()), ("DELETE", "/cancel-all"));
        });
    }
}

#[test]
fn the_end_of_the_process_cancels_without_a_latch_and_takes_ten_seconds_at_most() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("");
        venue.rest(60);
        let trigger = venue.switch.stop("SIGTERM");
        let limit = Some(polydesk_runtime::kill::ladder::STOP_LIMIT);
        let killed = venue.climb(venue.plan(None), trigger, limit, millis(30_000)).await;
        within("SIGTERM", &killed, millis(2_000), millis(2_000));
        assert_eq!(killed.outcome.latched, Latched::NotAsked);
        assert!(LatchFile::read(&venue.disk).unwrap().1 == Kill::Missing);
    });
    simulated(async {
        let venue = Venue::new();
        venue.faults("[[answers]]\nendpoint = \"DELETE *\"\nact = \"silence_before\"\n");
        venue.rest(3);
        let trigger = venue.switch.stop("SIGTERM");
        let limit = Some(polydesk_runtime::kill::ladder::STOP_LIMIT);
        let killed = venue.climb(venue.plan(None), trigger, limit, millis(1)).await;
        assert_eq!(killed.confirmed, millis(10_000), "{killed:?}");
        assert!(!killed.outcome.confirmed && killed.outcome.left.len() == 3, "{killed:?}");
    });
}

#[test]
fn an_order_of_a_person_on_the_wallet_is_cancelled_too() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("");
        venue.rest(3);
        venue.rest_unlisted();
        let later = async {
            tokio::time::sleep(millis(250)).await;
            venue.rest_unlisted();
        };
        let (killed, ()) =
            tokio::join!(venue.kill(venue.plan(venue.latch()), millis(60_000)), later);
        within("a person's orders", &killed, millis(2_000), millis(2_000));
        assert!(killed.zero >= millis(250), "{killed:?}");
    });
}

#[test]
fn two_killers_at_once_end_at_zero_and_both_leave_the_latch_killed() {
    simulated(async {
        let venue = Venue::limited();
        venue.faults("");
        venue.rest(200);
        let mut outside = venue.plan(venue.latch());
        outside.listing = polydesk_runtime::kill::Listing::Elsewhere;
        let trigger = venue.trigger();
        let (inside, outside) = tokio::join!(
            venue.kill(venue.plan(venue.latch()), millis(60_000)),
            polydesk_runtime::kill::ladder::run(&outside, &trigger, None),
        );
        within("two killers", &inside, millis(2_000), millis(5_000));
        assert!(outside.confirmed && outside.latched == Latched::Synced, "{outside:?}");
        assert!(outside.zero_after.unwrap() <= millis(5_000), "{outside:?}");
        assert!(matches!(LatchFile::read(&venue.disk).unwrap().1, Kill::Killed(_)));
    });
}

#[test]
fn a_list_of_orders_that_is_not_free_delays_no_cancel_and_the_end_waits_for_late_orders() {
    simulated(async {
        let venue = Venue::new();
        venue.faults("");
        venue.rest(20);
        let switch = venue.switch.clone();
        let ((taken, is_taken), (release, released)) =
            (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let holder = std::thread::spawn(move || {
            switch.with_orders(|_| {
                taken.send(()).unwrap();
                let _ = released.recv();
            });
        });
        is_taken.recv().unwrap();
        let killed = venue.kill(venue.plan(venue.latch()), millis(1)).await;
        within("list not free", &killed, millis(2_000), millis(30_000));
        assert!(killed.confirmed >= millis(20_000), "{killed:?}");
        drop(release);
        holder.join().unwrap();
    });
}

#[test]
fn ten_restarts_leave_the_latch_as_it_is_and_no_order_leaves() {
    simulated(async {
        let mut venue = Venue::new();
        venue.faults("");
        venue.rest(20);
        let first = venue.kill(venue.plan(venue.latch()), millis(10)).await;
        let latched = LatchFile::read(&venue.disk).unwrap().1;
        for restart in 0..10 {
            venue.switch = polydesk_runtime::kill::Switch::new(venue.clock.clone());
            venue.disk = venue.disk.after_kill();
            let (_, kill) = LatchFile::read(&venue.disk).unwrap();
            assert_eq!(kill, latched, "restart {restart}");
            assert!(kill.is_killed());
            venue.rest_unlisted();
            let via = polydesk_runtime::kill::Via::Latch;
            let trigger = venue.switch.trigger("latch", via, "found at the start");
            venue.send(2);
            let plan = venue.plan(venue.latch());
            let killed = venue.climb(plan, trigger, None, millis(1_000)).await;
            within(&format!("restart {restart}"), &killed, millis(2_000), millis(2_000));
            assert_eq!(killed.outcome.latched, Latched::Synced);
        }
        assert_eq!(venue.arrived("POST", "/order", first.since).len(), 0);
    });
}
