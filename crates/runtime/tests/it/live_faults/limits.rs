//! L: limits and risk.

use polydesk_domain::{Outcome, StrategyId};

use super::scene::{RAIN, Scene, Want, bid, scenario};
use crate::world::{pass, still};

#[test]
fn l1_l3_parallel_intents_of_three_strategies_stay_within_every_limit() {
    scenario(|seed| async move {
        let mut scene = Scene::with(
            seed,
            still(),
            &[
                ("risk.max_market_usd", "40"),
                ("risk.max_event_usd", "60"),
                ("risk.max_account_usd", "90"),
                ("risk.max_open_orders", "12"),
            ],
        );
        scene.fault(
            "[[answers]]\nendpoint = \"POST /order\"\nchance_ppm = 150000\nact = \"lose_answer\"\n[[answers]]\nendpoint = \"POST /order\"\nchance_ppm = 100000\nact = \"lose_request\"\n[[answers]]\nendpoint = \"POST /order\"\nbefore = \"50ms p99 4s\"\n[[settlement]]\ntrades = \"3\"\nmined = \"20s\"\nending = \"fail\"\n[[settlement]]\ntrades = \"5..\"\nmined = \"30s\"\nending = \"confirm\"\n",
        );
        let live = scene.ready().await;
        let by = ["one", "two", "three"].map(StrategyId::literal);
        let slugs = [RAIN, "ada-wins", "grace-wins", "hawks-owls"];
        for round in 0..60 {
            let (strategy, slug) = (by[round % 3], slugs[scene.draw(0, 3) as usize]);
            let outcome = if scene.draw(0, 1) == 0 { Outcome::Yes } else { Outcome::No };
            let shares = scene.draw(10, 30);
            let want = if scene.draw(0, 1) == 0 {
                scene.take(slug, outcome, shares)
            } else {
                let cents = scene.best_bid(slug, outcome) - 1;
                Want { outcome, ..bid(cents, shares) }.on(slug)
            };
            scene.want_by(&live, strategy, want).await;
            if round % 7 == 0 {
                pass(1).await;
            }
            scene.judged();
        }
        assert!(scene.desk.orders() >= 3, "{} orders", scene.desk.orders());
        // What never arrived could rest until its signal is over.
        pass(900).await;
        scene.agrees(&live).await;
    });
}

#[test]
fn l4_a13_a_fat_finger_does_not_leave() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        let ask = scene.ask(RAIN, Outcome::Yes);
        for want in [
            bid(99, 10).now(),
            bid(99, 10),
            bid(ask + 15, 10).now(),
            bid(ask + 1, 5_000).now(),
            bid(ask - 3, 1_000_000),
            bid(ask + 1, 1).now(),
            bid(0, 10),
        ] {
            scene.want(&live, want).await;
        }
        scene.silent(20).await;
        scene.agrees(&live).await;
        // Ten shares for less than six dollars cost that, not ten dollars.
        let before = scene.desk.cash();
        let want = scene.take(RAIN, Outcome::Yes, 10);
        scene.want(&live, want).await;
        scene.when("a fill", |scene| scene.desk.orders() == 1).await;
        scene.agrees(&live).await;
        let most = polydesk_domain::Price::cents(want.cents)
            .notional_ceil(polydesk_domain::Shares::whole(10));
        let fee = most.scale_floor(70_000, 1_000_000);
        assert!(before - scene.desk.cash() <= most + fee, "{}", before - scene.desk.cash());
    });
}

#[test]
fn l5_a_strategy_that_never_stops_ordering_is_stopped_until_a_person_resumes() {
    scenario(|seed| async move {
        let mut scene = Scene::with(seed, still(), &[("risk.max_orders_per_minute", "15")]);
        let live = scene.ready().await;
        for round in 0..120 {
            scene.want(&live, bid(10 + (round % 15) as u16, 10)).await;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        assert_eq!(scene.posts(), 15);
        scene.silent(300).await;
        assert!(!live.glance().unwrap().blockers.is_empty());
        scene.judged();
        scene.same(&live);
    });
}

#[test]
fn l6_a18_refusals_without_end_are_not_answered_with_requests_without_end() {
    scenario(|seed| async move {
        for act in ["ban", "closed_only"] {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            scene.want(&live, bid(20, 10)).await;
            scene.when("a quote", |scene| scene.desk.open().len() == 1).await;
            let owner = scene.desk.world.exchange.accounts()[0].owner;
            scene.fault(&format!("[[engine]]\nact = \"{act}\"\naccount = \"{owner}\"\n"));
            let before = scene.posts();
            let mut first = 0;
            for round in 0..240 {
                let want = scene.take("ada-wins", Outcome::Yes, 5);
                scene.want(&live, want).await;
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                if round == 20 {
                    first = scene.posts();
                }
            }
            assert!(first - before <= 6, "{} requests in ten seconds", first - before);
            assert!(scene.posts() - first <= 10, "{} requests after", scene.posts() - first);
            scene.judged();
        }
    });
}
