//! C: cancels, heartbeat and kill switch.

use std::sync::atomic::Ordering;

use polydesk_domain::{Outcome, StrategyId};
use polydesk_runtime::kill::Via;

use super::scene::{RAIN, Scene, bid, scenario};
use crate::world::{blocked, pass};

#[test]
fn c2_c4_quotes_do_not_stack_while_every_cancel_fails() {
    scenario(|seed| async move {
        for act in ["lose_request", "lose_answer", "silence_before"] {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            scene.quote(&live, RAIN, &[(Outcome::Yes, 20, 10)]).await;
            scene.when("the quote", |scene| scene.desk.open().len() == 1).await;
            let failing = scene.draw(3, 12);
            scene.fault(&format!(
                "[[answers]]\nendpoint = \"DELETE /orders\"\ncalls = \"1..{failing}\"\nact = \"{act}\"\n"
            ));
            for cents in 21..36 {
                scene.quote(&live, RAIN, &[(Outcome::Yes, cents, 10)]).await;
                pass(2).await;
                // What replaces a quote leaves beside its first cancel; nothing follows while that fails.
                assert!(scene.desk.open().len() <= 2, "quotes stack: {}", scene.desk.open().len());
            }
            let sent = scene.count("DELETE", "/orders") + scene.count("DELETE", "/order");
            assert!(sent <= 60, "{sent} cancels in half a minute");
            let end = scene.agrees(&live).await;
            assert_eq!(end.risk.open_orders, 1, "{act}");
        }
    });
}

#[test]
fn c3_ids_in_neither_list_of_an_answer_are_cancelled_again_until_they_are_over() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        let bids: Vec<_> = (10..20).map(|cents| (Outcome::Yes, cents, 10)).collect();
        scene.quote(&live, RAIN, &bids).await;
        scene.when("ten quotes", |scene| scene.desk.open().len() == 10).await;
        let calls = scene.draw(1, 4);
        scene.fault(&format!(
            "[[answers]]\nendpoint = \"DELETE /orders\"\ncalls = \"1..{calls}\"\nstatus = 200\nbody = \"{{\\\"canceled\\\":[],\\\"not_canceled\\\":{{}}}}\"\n"
        ));
        scene.quote(&live, RAIN, &[]).await;
        let end = scene.agrees(&live).await;
        assert_eq!(end.risk.open_orders, 0);
    });
}

#[test]
fn c5_a_cancel_leaves_within_50_ms_beside_a_flood_of_orders() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        scene.fault("[[answers]]\nendpoint = \"POST /order\"\nbefore = \"2s\"\n");
        let live = scene.ready().await;
        scene.quote(&live, RAIN, &[(Outcome::Yes, 20, 10)]).await;
        scene.when("the quote", |scene| scene.desk.open().len() == 1).await;
        pass(1).await;
        for cents in 10..40 {
            scene.want(&live, bid(cents, 10).on("ada-wins")).await;
        }
        let before = scene.count("DELETE", "/orders");
        let asked = scene.desk.world.exchange.now();
        scene.quote(&live, RAIN, &[]).await;
        scene.desk.world.exchange.arrived("DELETE", "/orders", before + 1).await;
        let took = asked.until(scene.desk.world.exchange.now());
        assert!(took.as_millis() <= 50, "{took:?}");
        scene.agrees(&live).await;
    });
}

#[test]
fn c7_c8_restricted_modes_are_not_hammered_and_the_bot_agrees_before_it_trades_again() {
    scenario(|seed| async move {
        for act in ["disabled", "restart", "cancel_only", "post_only"] {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            for cents in [10, 12, 14] {
                scene.want(&live, bid(cents, 10)).await;
            }
            scene.when("three orders", |scene| scene.desk.open().len() == 3).await;
            let held = scene.draw(60, 120);
            scene.fault(&format!("[[engine]]\nact = \"{act}\"\nfor = \"{held}s\"\n"));
            let before = scene.posts();
            for _ in 0..held {
                let want = scene.take("ada-wins", Outcome::Yes, 5);
                scene.want(&live, want).await;
                pass(1).await;
            }
            let sent = scene.posts() - before;
            assert!(sent <= 20, "{act}: {sent} requests in {held} s");
            pass(150).await;
            scene.agrees(&live).await;
            scene.trades_again(&live).await;
        }
    });
}

#[test]
fn c9_a_lapse_of_the_heartbeat_is_seen_and_nothing_is_quoted_before() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        for cents in [10, 12, 14] {
            scene.want(&live, bid(cents, 10)).await;
        }
        scene.when("three orders", |scene| scene.desk.open().len() == 3).await;
        let lost = scene.draw(12, 20);
        scene.fault(&format!(
            "[[streams]]\nchannel = \"user\"\nact = \"drop\"\nfor = \"60s\"\n[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"1..{lost}\"\nact = \"silence_before\"\n"
        ));
        live.until("a missed beat", |glance| blocked(glance, "heartbeat")).await;
        let before = scene.posts();
        while !scene.desk.open().is_empty() {
            scene.want(&live, bid(30, 10)).await;
            pass(1).await;
        }
        assert_eq!(scene.posts(), before, "an order left without a heartbeat");
        let end = scene.agrees(&live).await;
        assert_eq!(end.risk.open_orders, 0);
        scene.trades_again(&live).await;
    });
}

#[test]
fn c11_nothing_leaves_while_heartbeats_are_refused_though_orders_would_be_taken() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        scene.fault(
            "[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"1..20\"\nstatus = 401\nbody = \"{\\\"error\\\":\\\"Unauthorized/Invalid api key\\\"}\"\n",
        );
        live.until("a missed beat", |glance| blocked(glance, "heartbeat")).await;
        let before = scene.posts();
        while blocked(&live.glance().unwrap(), "heartbeat") {
            assert_eq!(scene.posts(), before, "an order left without a heartbeat");
            scene.want(&live, bid(30, 10)).await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        live.ready().await;
        scene.agrees(&live).await;
        scene.trades_again(&live).await;
    });
}

#[test]
fn c15_orders_in_flight_at_the_kill_end_as_well() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let held = scene.draw(1, 15);
        scene.fault(&format!(
            "[[answers]]\nendpoint = \"POST /order\"\nbefore = \"100ms p99 {held}s\"\n"
        ));
        let live = scene.ready().await;
        for cents in 10..30 {
            scene.want(&live, bid(cents, 10)).await;
        }
        scene.posted(20).await;
        live.killer.kill("ada", Via::Http, "a test");
        // What left before the trigger may arrive; nothing leaves after it.
        scene.silent(60).await;
        scene.when("zero", |scene| scene.desk.open().is_empty()).await;
        pass(60).await;
        let end = scene.same(&live);
        assert_eq!((scene.desk.orders(), end.risk.open_orders), (20, 0));
        scene.judged();
        // It outlives restarts.
        drop(live);
        for _ in 0..3 {
            let live = scene.desk.start().await.unwrap();
            scene.want(&live, bid(40, 10)).await;
            scene.silent(30).await;
            assert!(blocked(&live.glance().unwrap(), "killed"));
        }
    });
}

#[test]
fn c16_what_is_held_can_be_sold_while_entries_are_stopped() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        let want = scene.take(RAIN, Outcome::Yes, 20);
        scene.want(&live, want).await;
        scene.when("a fill", |scene| scene.desk.orders() == 1).await;
        pass(60).await;
        scene.desk.chain.lie.store(-1_000_000, Ordering::Relaxed);
        live.until("the mismatch", |glance| blocked(glance, "cash_mismatch")).await;
        let before = scene.desk.shares(RAIN, Outcome::Yes);
        scene.want(&live, bid(30, 10)).await;
        let floor = scene.best_bid(RAIN, Outcome::Yes) - 2;
        scene.want(&live, bid(floor, 10).sell().now()).await;
        scene.when("the sale", |scene| scene.desk.shares(RAIN, Outcome::Yes) < before).await;
        pass(60).await;
        assert_eq!(scene.desk.orders(), 2, "no entry");
        scene.judged();
    });
}

#[test]
fn c12_another_client_that_beats_stops_orders_within_thirty_seconds_until_it_is_gone() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        scene.want(&live, bid(20, 10)).await;
        scene.when("an order", |scene| scene.desk.open().len() == 1).await;
        let (other, every) = (scene.desk.clob(), scene.draw(3, 8));
        let beats = tokio::spawn(async move {
            let mut id = String::new();
            loop {
                id = other.heartbeat(&id).await.unwrap().next;
                pass(every).await;
            }
        });
        pass(30).await;
        assert!(blocked(&live.glance().unwrap(), "shared_wallet"), "{:#?}", live.glance());
        for cents in 10..20 {
            scene.want(&live, bid(cents, 10).on("ada-wins")).await;
        }
        scene.silent(60).await;
        beats.abort();
        live.ready().await;
        scene.agrees(&live).await;
        scene.trades_again(&live).await;
    });
}

#[test]
fn c16_sales_go_on_while_orders_stay_unanswered_and_purchases_wait() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        let want = scene.take(RAIN, Outcome::Yes, 40);
        scene.want(&live, want).await;
        scene.when("a fill", |scene| scene.desk.orders() == 1).await;
        pass(60).await;
        let silent = scene.draw(6, 9);
        scene.fault(&format!(
            "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1..{silent}\"\nact = \"lose_answer\"\n"
        ));
        let by = ["one", "two", "three", "four", "five", "six", "seven"].map(StrategyId::literal);
        for (cents, by) in (10..).zip(by) {
            scene.want_by(&live, by, bid(cents, 10).on("ada-wins")).await;
            pass(1).await;
        }
        // By now a purchase waits, and a sale does not.
        let sells = |scene: &Scene| {
            let ours = crate::live_world::wallet(&scene.desk.world.exchange);
            scene.desk.world.exchange.venue(|venue| {
                let of = venue.orders().filter(|order| order.wallet == ours);
                of.filter(|order| order.side == polydesk_domain::Side::Sell).count()
            })
        };
        let floor = scene.best_bid(RAIN, Outcome::Yes) - 2;
        let asked = scene.desk.world.exchange.now();
        scene.want(&live, bid(floor, 10).sell().now()).await;
        scene.when("the sale", |scene| sells(scene) == 1).await;
        let took = asked.until(scene.desk.world.exchange.now());
        assert!(took.as_millis() <= 1_000, "{took:?}");
        pass(900).await;
        scene.agrees(&live).await;
    });
}

#[test]
fn a_user_channel_that_is_refused_from_the_start_has_a_blocker_with_its_reason_and_passes_are_made()
{
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let held = scene.draw(60, 200);
        scene.fault(&format!(
            "[[streams]]\nchannel = \"user\"\nact = \"refuse\"\nfor = \"{held}s\"\n"
        ));
        let live = scene.desk.start().await.unwrap();
        pass(20).await;
        let seen = live.glance().unwrap();
        let blocker = seen.blockers.iter().find(|one| one.code == "user_channel_fails");
        let blocker = blocker.unwrap_or_else(|| panic!("{:#?}", seen.blockers));
        assert!(
            blocker.detail.contains("403") && blocker.detail.contains("live.ws_user"),
            "{blocker:?}"
        );
        assert!(scene.count("GET", "/data/orders") > 0, "the account was not read");
        scene.want(&live, bid(20, 10)).await;
        scene.silent(30).await;
        live.ready().await;
        scene.agrees(&live).await;
        scene.trades_again(&live).await;
    });
}

#[test]
fn credentials_that_the_user_channel_rejects_end_no_process_and_the_blocker_says_what_to_do() {
    scenario(|seed| async move {
        let scene = Scene::new(seed);
        let live = scene.ready().await;
        scene.fault(
            "[[streams]]\nchannel = \"user\"\nact = \"close\"\ncode = 1008\nreason = \"authentication failed\"\n",
        );
        let seen = live.until("the blocker", |glance| blocked(glance, "user_channel_fails")).await;
        let detail =
            &seen.blockers.iter().find(|one| one.code == "user_channel_fails").unwrap().detail;
        assert!(
            detail.contains("authentication failed") && detail.contains("credentials"),
            "{detail}"
        );
        pass(120).await;
        assert!(blocked(&live.glance().unwrap(), "user_channel_fails"), "it goes on and says so");
        assert_eq!(live.stop().await.left_open, 0);
    });
}
