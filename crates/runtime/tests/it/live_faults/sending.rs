//! A: sending orders.

use polydesk_domain::{Outcome, StrategyId};

use super::scene::{RAIN, Scene, bid, scenario};
use crate::world::{blocked, pass};

/// What becomes of the first request of an order that the exchange processes.
fn first_answer(act: &str) -> String {
    format!("[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\n{act}\n")
}

/// One order whose answer is spoiled: it exists once, is found, and what it gave is booked.
async fn spoiled(seed: u64, act: &str, takes: bool) {
    let mut scene = Scene::new(seed);
    scene.fault(&first_answer(act));
    let live = scene.ready().await;
    let before = scene.desk.cash();
    let want = if takes { scene.take(RAIN, Outcome::Yes, 10) } else { bid(30, 20) };
    scene.want(&live, want).await;
    scene.when("the order", |scene| scene.desk.orders() == 1).await;
    let end = scene.agrees(&live).await;
    assert_eq!(scene.desk.orders(), 1, "{act}");
    assert_eq!(end.risk.open_orders, u64::from(!takes), "{act}");
    assert_eq!(end.money.cash < before, takes, "{act}");
    scene.trades_again(&live).await;
    assert_eq!(live.stop().await.left_open, 0);
    assert!(scene.desk.open().is_empty());
}

#[test]
fn a1_an_order_that_was_taken_and_not_answered_is_found_and_never_sent_twice() {
    scenario(|seed| async move {
        for takes in [false, true] {
            let cut = 1 + seed % 40;
            for act in [
                "act = \"lose_answer\"".to_owned(),
                "act = \"lose_answer\"\nreset = true".to_owned(),
                format!("act = \"cut\"\ncut = {cut}"),
                format!("act = \"cut\"\ncut = {cut}\nreset = true"),
                "act = \"silence_after\"".to_owned(),
                format!("after = \"{}s\"", 35 + seed % 10),
            ] {
                spoiled(seed, &act, takes).await;
            }
        }
    });
}

#[test]
fn a2_a_server_error_after_the_order_was_taken_is_no_refusal() {
    scenario(|seed| async move {
        for takes in [false, true] {
            for status in [500, 502, 504, 520] {
                let act = format!(
                    "status = {status}\nbody = \"<html>Bad gateway</html>\"\ncontent_type = \"text/html\""
                );
                spoiled(seed, &act, takes).await;
            }
            for body in ["", "{", "[]", "{\\\"success\\\":true}", "null"] {
                spoiled(seed, &format!("status = 200\nbody = \"{body}\""), takes).await;
            }
            let text = "{\\\"error\\\":\\\"the trade contains rounding issues\\\"}";
            spoiled(seed, &format!("status = 500\nbody = \"{text}\""), takes).await;
        }
    });
}

#[test]
fn a2_order_timed_out_releases_what_was_reserved_and_nothing_is_sent_again() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        // The exchange refuses for a reason of its own, in the words of a time-out.
        let owner = scene.desk.world.exchange.accounts()[0].owner;
        scene.fault(&format!(
            "{}[[engine]]\nact = \"closed_only\"\naccount = \"{owner}\"\nfor = \"5s\"\n",
            first_answer("status = 500\nbody = \"{\\\"error\\\":\\\"order timed out\\\"}\"")
        ));
        scene.want(&live, bid(30, 20)).await;
        scene.posted(1).await;
        // The words are no proof: it ends when it could not rest any more.
        pass(660).await;
        let end = scene.agrees(&live).await;
        assert_eq!((scene.desk.orders(), scene.posts(), end.risk.open_orders), (0, 1, 0));
        scene.trades_again(&live).await;
    });
}

#[test]
fn a3_duplicated_is_no_refusal_of_the_order_that_is_there() {
    scenario(|seed| async move {
        for text in ["order 0x1 is invalid. Duplicated.", "INVALID_ORDER_DUPLICATED"] {
            for takes in [false, true] {
                let body = format!("{{\\\"error\\\":\\\"{text}\\\"}}");
                spoiled(seed, &format!("status = 400\nbody = \"{body}\""), takes).await;
            }
        }
    });
}

#[test]
fn a4_an_order_that_reaches_the_book_after_every_cancel_is_cancelled_there() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let held = scene.draw(12, 50);
        scene.fault(&first_answer(&format!("before = \"{held}s\"")));
        let live = scene.ready().await;
        scene.want(&live, bid(30, 20)).await;
        scene.posted(1).await;
        let after = scene.draw(0, 10);
        pass(after).await;
        // Cancels of every kind are answered long before the order is in the book.
        live.killer.kill("ada", polydesk_runtime::kill::Via::Http, "a test");
        scene.when("the late order", |scene| scene.desk.orders() == 1).await;
        scene.when("its end", |scene| scene.desk.open().is_empty()).await;
        scene.silent(60).await;
        let end = scene.same(&live);
        assert!(blocked(&end, "killed"));
        scene.judged();
    });
}

#[test]
fn a4_an_order_held_at_the_exchange_stays_reserved_and_no_other_takes_its_place() {
    scenario(|seed| async move {
        let mut scene = Scene::with(seed, crate::world::still(), &[("risk.max_market_usd", "10")]);
        let held = scene.draw(12, 50);
        scene.fault(&first_answer(&format!("before = \"{held}s\"")));
        let live = scene.ready().await;
        scene.want(&live, bid(30, 20)).await;
        scene.posted(1).await;
        // What is held counts with its whole cost: another six dollars are beyond the limit.
        for _ in 0..held + 20 {
            scene.want(&live, bid(30, 20)).await;
            pass(1).await;
        }
        assert_eq!((scene.desk.orders(), scene.posts()), (1, 1));
        let end = scene.agrees(&live).await;
        assert_eq!(end.risk.open_orders, 1);
    });
}

#[test]
fn a6_an_unknown_version_of_the_exchange_stops_new_orders_and_keeps_what_is_held() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        let want = scene.take(RAIN, Outcome::Yes, 10);
        scene.want(&live, want).await;
        scene.when("a fill", |scene| scene.desk.orders() == 1).await;
        pass(20).await;
        scene.fault("[[engine]]\nact = \"version\"\nversion = 3\n");
        // The exchange refuses for a reason of its own, in the words of a new version.
        let owner = scene.desk.world.exchange.accounts()[0].owner;
        scene.fault(&format!("[[engine]]\nact = \"closed_only\"\naccount = \"{owner}\"\n"));
        scene.fault(
            "[[answers]]\nendpoint = \"POST /order\"\nstatus = 400\nbody = \"{\\\"error\\\":\\\"order_version_mismatch\\\"}\"\n",
        );
        let before = scene.posts();
        for _ in 0..30 {
            scene.want(&live, bid(30, 20).on("hawks-owls")).await;
            pass(5).await;
        }
        assert!(scene.posts() - before <= 3, "{} requests", scene.posts() - before);
        let end = live.glance().unwrap();
        assert!(!end.blockers.is_empty());
        assert!(!end.positions.is_empty());
    });
}

#[test]
fn a16_fees_that_change_between_the_decision_and_the_match_are_booked_as_they_were_charged() {
    scenario(|seed| async move {
        for (fee, exponent) in [("0.14", 1), ("0.01", 1), ("0", 1), ("0.5", 2)] {
            let mut scene = Scene::new(seed);
            let held = scene.draw(100, 900);
            scene.fault(&first_answer(&format!("before = \"{held}ms\"")));
            let live = scene.ready().await;
            let before = scene.desk.cash();
            let want = scene.take(RAIN, Outcome::Yes, 10);
            scene.want(&live, want).await;
            scene.posted(1).await;
            scene.fault(&format!(
                "[[engine]]\nact = \"set_fee\"\nmarket = \"{RAIN}\"\nfee = \"{fee}\"\nexponent = {exponent}\n"
            ));
            scene.when("the order", |scene| scene.desk.orders() == 1).await;
            // The next one is decided with the fee that its metadata names by then.
            pass(30).await;
            let want = scene.take(RAIN, Outcome::No, 10);
            scene.want(&live, want).await;
            pass(10).await;
            let decided = live.glance().unwrap().decisions;
            assert_eq!(scene.desk.orders(), 2, "{fee}^{exponent}: {decided:#?}");
            let end = scene.agrees(&live).await;
            let charged = scene.desk.world.exchange.venue(|venue| {
                let ours = venue.trades().filter(|trade| {
                    trade.wallet == crate::live_world::wallet(&scene.desk.world.exchange)
                });
                ours.map(|trade| trade.fee()).sum::<polydesk_domain::Usdc>()
            });
            assert_eq!(end.money.fees, charged, "{fee}^{exponent}");
            assert!(before - scene.desk.cash() > charged, "{fee}^{exponent}");
        }
    });
}

#[test]
fn a23_money_that_the_venue_counts_as_matched_stops_entries_and_not_sales() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        for _ in 0..5 {
            let want = scene.take(RAIN, Outcome::Yes, 10);
            scene.want(&live, want).await;
            pass(3).await;
        }
        pass(60).await;
        let before = scene.agrees(&live).await;
        let owner = scene.desk.world.exchange.accounts()[0].owner;
        scene.fault(&format!(
            "[[engine]]\nact = \"hold_matched\"\naccount = \"{owner}\"\npercent = 100\nfor = \"20min\"\n"
        ));
        let (posts, orders) = (scene.posts(), scene.desk.orders());
        let by = ["one", "two", "three", "four"].map(StrategyId::literal);
        let mut seen = false;
        for round in 0..230 {
            // Another strategy each time: what is wrong is the account's.
            let want = bid(20 + (round % 7) as u16, 10).on("ada-wins");
            scene.want_by(&live, by[round % 4], want).await;
            pass(5).await;
            seen |= blocked(&live.glance().unwrap(), "funds_held");
            if round == 100 {
                let floor = scene.best_bid(RAIN, Outcome::Yes) - 2;
                scene.want(&live, bid(floor, 10).sell().now()).await;
                scene.when("the sale", |scene| scene.desk.orders() == orders + 1).await;
            }
        }
        assert!(seen, "{:?}", live.glance().unwrap().blockers);
        let tried = scene.posts() - posts - 1;
        assert!((2..=8).contains(&tried), "{tried} requests in twenty minutes");
        // It goes on by itself once the venue counts right again.
        pass(700).await;
        let end = scene.agrees(&live).await;
        assert!(end.money.cash > before.money.cash, "the sale is booked");
        scene.trades_again(&live).await;
    });
}
