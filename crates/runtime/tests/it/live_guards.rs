//! What stands behind another safeguard: each is looked at where the other one does not reach.

use std::sync::atomic::Ordering;
use std::time::Duration;

use polydesk_domain::{Outcome, Side, Span, Urgency};
use polydesk_runtime::kill::Via;

use crate::kill_world::Venue;
use crate::live_world::{Ask, Desk, Live};
use crate::world::{blocked, pass, simulated, still};

const MARKET: &str = "rain-tomorrow";

fn bid(cents: u16) -> Ask {
    Ask { outcome: Outcome::Yes, side: Side::Buy, cents, shares: 20, urgency: Urgency::Rest }
}

async fn ask(desk: &Desk, live: &mut Live, ask: Ask) {
    let market = desk.world.market(MARKET);
    live.signal(&market, desk.world.exchange.now(), ask).await;
}

/// Waits until the exchange has no open order of the wallet, so many milliseconds at most.
async fn empty_within(desk: &Desk, most: i64) {
    let began = desk.world.exchange.now();
    while !desk.open().is_empty() {
        let waited = began.until(desk.world.exchange.now());
        assert!(waited <= Span::millis(most), "{:?} after {waited:?}", desk.open());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn an_order_in_flight_at_the_kill_is_cancelled_by_its_id_when_it_arrives() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        desk.inject("[[answers]]\nendpoint = \"POST /order\"\nbefore = \"3s\"");
        ask(&desk, &mut live, bid(40)).await;
        pass(1).await;
        live.killer.kill("ada", Via::Desk, "a test");
        while desk.orders() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Sooner than the venue would cancel by itself for want of heartbeats.
        empty_within(&desk, 1_500).await;
    });
}

#[test]
fn orders_of_an_earlier_run_are_in_the_kill_paths_list_from_the_start() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        let order = desk.open()[0];
        drop(live);
        desk.inject("[[answers]]\nendpoint = \"DELETE *\"\nact = \"silence_before\"");
        let live = desk.start().await.unwrap();
        assert!(live.killer.switch().with_orders(|orders| orders.contains_key(&order)));
    });
}

#[test]
fn an_order_whose_first_byte_has_left_counts_as_sent_before_it_is_answered() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        desk.inject("[[answers]]\nendpoint = \"POST /order\"\nbefore = \"4s\"");
        ask(&desk, &mut live, bid(40)).await;
        pass(1).await;
        assert_eq!(live.glance().unwrap().orders[0].state, "sent");
    });
}

#[test]
fn what_is_in_flight_is_cancelled_by_its_id_beside_cancel_all_and_not_after_its_answer() {
    simulated(async {
        let venue = Venue::new();
        venue.faults(
            "[[answers]]\nendpoint = \"DELETE /cancel-all\"\nafter = \"700ms\"\n\
             [[answers]]\nendpoint = \"POST /order\"\nbefore = \"400ms\"\n",
        );
        venue.rest(3);
        venue.send(2);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let killed = venue.kill(venue.plan(venue.latch()), Duration::from_secs(60)).await;
        let by_id = venue.arrived("DELETE", "/orders", killed.since);
        assert!(by_id.first().is_some_and(|at| *at <= Duration::from_millis(50)), "{by_id:?}");
        assert!(killed.outcome.confirmed, "{killed:?}");
    });
}

#[test]
fn an_empty_list_that_was_asked_for_before_the_last_answer_to_a_cancel_proves_nothing() {
    simulated(async {
        let venue = Venue::new();
        // The answer comes between the first read's question, at 300 ms, and its answer.
        venue.faults("[[answers]]\nendpoint = \"DELETE /cancel-all\"\nafter = \"310ms\"\n");
        venue.rest(3);
        let killed = venue.kill(venue.plan(venue.latch()), Duration::from_secs(1)).await;
        assert!(killed.outcome.confirmed, "{killed:?}");
        assert!(killed.confirmed >= Duration::from_millis(600), "{killed:?}");
    });
}

#[test]
fn quotes_of_an_earlier_run_do_not_stay_as_quotes_of_the_same_strategy() {
    simulated(async {
        let mut desk = Desk::new(still());
        desk.world.flags.retain(|(key, _)| *key != "run.strategies");
        desk.world.flags.push(("run.strategies", "[\"stink_bidder\"]"));
        let live = desk.start().await.unwrap();
        live.until("quotes", |glance| glance.risk.open_orders >= 4).await;
        pass(5).await;
        let before = desk.open();
        drop(live);
        let _live = desk.start().await.unwrap();
        pass(10).await;
        let kept: Vec<_> = desk.open().into_iter().filter(|it| before.contains(it)).collect();
        assert_eq!(kept, [], "of {} orders", before.len());
    });
}

#[test]
fn a_start_that_finds_the_latch_cancels_everything_on_both_ways() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        live.ready().await;
        live.killer.kill("ada", Via::Http, "a test");
        live.until("the kill", |glance| blocked(glance, "killed")).await;
        drop(live);
        let before = desk.world.exchange.count("DELETE", "/cancel-all");
        let live = desk.start().await.unwrap();
        pass(5).await;
        // The kill thread's, which needs no engine, and the engine's own.
        assert_eq!(desk.world.exchange.count("DELETE", "/cancel-all") - before, 2);
        let outcome = live.killer.progress().borrow().outcome.clone();
        assert!(outcome.is_some_and(|outcome| outcome.confirmed), "no ladder has run");
    });
}

#[test]
fn the_end_of_a_run_cancels_also_what_the_engine_has_not_heard_of() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        live.ready().await;
        desk.inject(
            "[[streams]]\nchannel = \"user\"\nact = \"refuse\"\n[[streams]]\nchannel = \"user\"\nact = \"cut\"",
        );
        live.until("the gap", |glance| blocked(glance, "user_link_down")).await;
        // Right after a pass: the next one is ten seconds away.
        let known = desk.world.exchange.count("GET", "/data/orders");
        while desk.world.exchange.count("GET", "/data/orders") < known + 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let market = desk.world.market(MARKET);
        desk.person(&market, Outcome::Yes, Side::Buy, 38, 20).await;
        assert_eq!(live.glance().unwrap().risk.open_orders, 0);
        // Without the kill path's own ladder.
        let ended = live.stop().await;
        assert_eq!((ended.left_open, ended.verified_empty), (0, true));
        assert_eq!(desk.open(), []);
    });
}

#[test]
fn a_lane_of_orders_that_panics_kills() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        desk.signer_panics.store(true, Ordering::Relaxed);
        ask(&desk, &mut live, bid(41)).await;
        live.until("the kill", |glance| blocked(glance, "killed")).await;
        empty_within(&desk, 2_000).await;
        assert_eq!(desk.orders(), 1);
    });
}
