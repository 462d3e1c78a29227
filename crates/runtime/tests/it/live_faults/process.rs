//! P: process, storage, network and chain.

use std::sync::atomic::Ordering;
use std::time::Duration;

use polydesk_domain::{Outcome, StrategyId};

use super::scene::{RAIN, Scene, bid, scenario};
use crate::world::{Network, at_once, blocked, pass, still};

#[test]
fn p1_a_process_that_is_killed_anywhere_leaves_no_order_twice_and_none_forgotten() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        scene.desk.world.flags.push(("rehearsal.crash_loop", "false"));
        scene.fault(
            "[[answers]]\nendpoint = \"POST /order\"\nbefore = \"5ms p99 900ms\"\nafter = \"5ms p99 900ms\"\n",
        );
        let mut live = scene.ready().await;
        // Another producer in each run: a restart keeps those that no configuration names from buying.
        for by in ["one", "two", "three", "four", "five", "six"].map(StrategyId::literal) {
            for cents in 10..14 {
                scene.want_by(&live, by, bid(cents, 10)).await;
            }
            let want = scene.take("ada-wins", Outcome::Yes, 5);
            scene.want_by(&live, by, want).await;
            let after = scene.draw(0, 300);
            tokio::time::sleep(Duration::from_millis(after)).await;
            drop(live);
            let down = scene.draw(0, 3_000);
            tokio::time::sleep(Duration::from_millis(down)).await;
            live = scene.ready().await;
            scene.judged();
        }
        assert!(scene.desk.orders() > 6, "{} orders", scene.desk.orders());
        pass(900).await;
        scene.agrees(&live).await;
        assert!(scene.desk.open().is_empty(), "what an earlier run left is cancelled");
        scene.trades_again(&live).await;
    });
}

#[test]
fn p2_no_order_leaves_while_the_disk_hangs_and_cancels_do() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        scene.quote(&live, RAIN, &[(Outcome::Yes, 20, 10)]).await;
        scene.when("the quote", |scene| scene.desk.open().len() == 1).await;
        pass(1).await;
        let (before, pace) = (scene.posts(), scene.write_ms.load(Ordering::Relaxed));
        scene.write_ms.store(30_000, Ordering::Relaxed);
        scene.want(&live, bid(30, 10).on("ada-wins")).await;
        scene.quote(&live, RAIN, &[]).await;
        scene.when("the cancel", |scene| scene.desk.open().is_empty()).await;
        pass(25).await;
        assert_eq!(scene.posts(), before, "an order left without its entry");
        scene.write_ms.store(pace, Ordering::Relaxed);
        pass(60).await;
        scene.agrees(&live).await;
        scene.trades_again(&live).await;
    });
}

#[test]
fn p3_no_order_leaves_on_a_full_disk_cancels_do_and_the_next_start_agrees() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        for cents in [10, 12] {
            scene.want(&live, bid(cents, 10)).await;
        }
        scene.when("two orders", |scene| scene.desk.open().len() == 2).await;
        pass(1).await;
        scene.disk.refuse("", Some(std::io::ErrorKind::StorageFull));
        let before = scene.posts();
        scene.want(&live, bid(14, 10)).await;
        pass(30).await;
        assert_eq!(scene.posts(), before, "an order left without its entry");
        scene.when("zero", |scene| scene.desk.open().is_empty()).await;
        drop(live);
        scene.disk.refuse("", None);
        let live = scene.desk.start().await.unwrap();
        pass(60).await;
        scene.same(&live);
        scene.judged();
    });
}

#[test]
fn p6_p10_a_network_that_is_gone_changes_no_order_and_comes_back_by_itself() {
    scenario(|seed| async move {
        for network in [Network::Fails, Network::Hangs] {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            scene.want(&live, bid(20, 10)).await;
            scene.when("an order", |scene| scene.desk.open().len() == 1).await;
            pass(1).await;
            let away = scene.draw(20, 60);
            scene.desk.world.network(network);
            scene.fault(&format!(
                "[[streams]]\nchannel = \"user\"\nact = \"cut\"\n[[streams]]\nchannel = \"market\"\nact = \"cut\"\n[[answers]]\nendpoint = \"* *\"\ncalls = \"1..{away}\"\nact = \"lose_request\"\n"
            ));
            scene.want(&live, bid(22, 10)).await;
            pass(away).await;
            scene.desk.world.network(Network::Works);
            live.ready().await;
            pass(700).await;
            scene.agrees(&live).await;
            scene.trades_again(&live).await;
        }
    });
}

#[test]
fn p8_block_pages_are_not_hammered() {
    scenario(|seed| async move {
        for endpoint in ["POST /order", "DELETE *", "* *"] {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            scene.want(&live, bid(20, 10)).await;
            scene.when("an order", |scene| scene.desk.open().len() == 1).await;
            // Of all requests there are more than of orders.
            let every = if endpoint == "* *" { 10 } else { 1 };
            let pages = every * scene.draw(30, 60);
            scene.fault(&format!(
                "[[answers]]\nendpoint = \"{endpoint}\"\ncalls = \"1..{pages}\"\nact = \"block_page\"\n"
            ));
            let before = scene.posts();
            for _ in 0..30 {
                let want = scene.take("ada-wins", Outcome::Yes, 5);
                scene.want(&live, want).await;
                pass(1).await;
            }
            let sent = scene.posts() - before;
            let last = live.glance().unwrap().decisions;
            assert!(endpoint == "DELETE *" || sent <= 20, "{endpoint}: {sent} requests: {last:#?}");
            pass(900).await;
            scene.agrees(&live).await;
        }
    });
}

#[test]
fn p14_without_the_chain_nothing_leaves_after_a_start_and_nothing_is_corrected_later() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        scene.desk.chain.down.store(true, Ordering::Relaxed);
        let live = scene.desk.start().await.unwrap();
        pass(5).await;
        scene.want(&live, bid(20, 10)).await;
        scene.silent(60).await;
        scene.desk.chain.down.store(false, Ordering::Relaxed);
        live.ready().await;
        scene.desk.chain.down.store(true, Ordering::Relaxed);
        let want = scene.take(RAIN, Outcome::Yes, 10);
        scene.want(&live, want).await;
        scene.when("a fill", |scene| scene.desk.orders() == 1).await;
        pass(60).await;
        assert!(live.glance().unwrap().blockers.is_empty());
        scene.desk.chain.down.store(false, Ordering::Relaxed);
        pass(60).await;
        scene.agrees(&live).await;
    });
}

#[test]
fn p21_matches_pile_up_only_to_the_limit_while_the_chain_stands_still() {
    scenario(|seed| async move {
        let mut scene = Scene::with(seed, still(), &[("risk.max_unsettled_usd", "20")]);
        let live = scene.ready().await;
        scene.fault("[[chain]]\nact = \"halt\"\nfor = \"30min\"\n[[settlement]]\ntrades = \"2\"\nending = \"fail\"\n");
        for _ in 0..60 {
            let want = scene.take(RAIN, Outcome::Yes, 8);
            scene.want(&live, want).await;
            pass(30).await;
        }
        let orders = scene.desk.orders();
        assert!((2..=4).contains(&orders), "{orders} orders");
        pass(120).await;
        scene.agrees(&live).await;
        scene.trades_again(&live).await;
    });
}

#[test]
fn p5_a_second_process_on_a_copied_disk_sends_no_order_and_both_stop_within_thirty_seconds() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let first = scene.ready().await;
        scene.quote(&first, RAIN, &[(Outcome::Yes, 20, 10)]).await;
        scene.when("the quote", |scene| scene.desk.open().len() == 1).await;
        let after = scene.draw(1, 12);
        pass(after).await;
        // Another host: a copy of the disk, another folder.
        let copy = at_once(&scene.disk.after_kill());
        scene.desk.world.disk.replace(copy);
        scene.desk.world.folder = tempfile::tempdir().unwrap();
        let second = scene.desk.start().await.unwrap();
        pass(30).await;
        for live in [&first, &second] {
            assert!(blocked(&live.glance().unwrap(), "shared_wallet"), "{:#?}", live.glance());
        }
        // The judge reads the disk of the first one: an order of the second would break I2.
        scene.judged();
        let posts = scene.posts();
        for live in [&first, &second] {
            scene.want(live, bid(30, 10).on("ada-wins")).await;
        }
        pass(60).await;
        assert_eq!(scene.posts(), posts, "an order left");
        drop(second);
        first.ready().await;
        scene.agrees(&first).await;
        scene.trades_again(&first).await;
    });
}
