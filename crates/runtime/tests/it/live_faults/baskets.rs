//! E: baskets, events and resolution.

use polydesk_domain::{
    Action, Basket, BasketKind, Leg, Outcome, Price, Shares, Side, StrategyId, Usdc,
};

use super::scene::{Scene, Want, bid, scenario};
use crate::live_world::Live;
use crate::world::{pass, still};

const ELECTION: [&str; 3] = ["ada-wins", "grace-wins", "alan-wins"];

/// Buys NO of every candidate: all but one pay.
async fn buy_all_no(scene: &mut Scene, live: &Live, sets: u64) {
    let mut legs = Vec::new();
    for slug in ELECTION {
        let key = live.key(&scene.desk.world.market(slug)).await;
        let limit = Price::cents(scene.ask(slug, Outcome::No) + 2);
        legs.push(Leg { token: key.token(Outcome::No), side: Side::Buy, limit });
        // A leg is completed by further orders, one at a time.
        scene.judge.quotes(scene.token(slug, Outcome::No), Side::Buy, 1);
    }
    let basket = Basket {
        kind: BasketKind::AllNo,
        legs,
        sets: Shares::whole(sets),
        min_edge_per_set: Usdc::new(1_000),
    };
    scene.act(live, StrategyId::literal("outside"), ELECTION[0], Action::Basket(basket)).await;
}

/// What the bot itself holds of NO.
fn held(scene: &Scene) -> [Shares; 3] {
    ELECTION
        .map(|slug| scene.desk.shares(slug, Outcome::No).checked_sub(Shares::whole(200)).unwrap())
}

/// Closed: nothing stands without its other legs by more than what can not be sold.
async fn closed(scene: &Scene, live: &Live) {
    scene.agrees(live).await;
    let held = held(scene);
    let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
    let naked = most.checked_sub(*least).unwrap();
    assert!(naked < Shares::whole(5), "{held:?}");
}

#[test]
fn e1_e3_a_leg_that_finds_nothing_leaves_no_naked_position() {
    scenario(|seed| async move {
        for slug in ELECTION {
            let mut scene = Scene::new(seed);
            let held_ms = scene.draw(200, 1_500);
            let left = scene.draw(0, 15);
            scene.fault(&format!(
                "[[answers]]\nendpoint = \"POST /orders\"\ncalls = \"1\"\nbefore = \"{held_ms}ms\"\n"
            ));
            let live = scene.ready().await;
            // Only so much is offered of one leg by the time at which the order is there.
            let limit = scene.ask(slug, Outcome::No) + 2;
            buy_all_no(&mut scene, &live, 20).await;
            scene.posted(1).await;
            let all = Want { outcome: Outcome::No, ..bid(limit + 2, 1_000) };
            scene.other(all.on(slug).now());
            if left > 4 {
                let bait = Want { outcome: Outcome::No, ..bid(limit - 1, left) };
                scene.other(bait.on(slug).sell());
            }
            closed(&scene, &live).await;
        }
    });
}

#[test]
fn e2_a_process_that_dies_between_the_legs_ends_the_basket_after_its_restart() {
    scenario(|seed| async move {
        for step in 0..4 {
            let mut scene = Scene::new(seed);
            let slow = scene.draw(50, 400);
            scene.fault(&format!(
                "[[answers]]\nendpoint = \"POST /orders\"\nbefore = \"{slow}ms\"\nafter = \"{slow}ms\"\n"
            ));
            let live = scene.ready().await;
            buy_all_no(&mut scene, &live, 20).await;
            scene.posted(1).await;
            tokio::time::sleep(std::time::Duration::from_millis(step * slow / 2 + 1)).await;
            drop(live);
            pass(seed % 7).await;
            let live = scene.ready().await;
            closed(&scene, &live).await;
            scene.trades_again(&live).await;
        }
    });
}

#[test]
fn e4_a_leg_that_turns_into_a_ghost_reopens_the_basket() {
    scenario(|seed| async move {
        for ghost in 1..=3 {
            let mut scene = Scene::new(seed);
            let late = scene.draw(1, 60);
            scene.fault(&format!(
                "[[settlement]]\ntrades = \"{ghost}\"\nmined = \"{late}s\"\nending = \"fail\"\n"
            ));
            let live = scene.ready().await;
            buy_all_no(&mut scene, &live, 20).await;
            scene.posted(1).await;
            pass(late + 60).await;
            closed(&scene, &live).await;
        }
    });
}

#[test]
fn e12_outcomes_of_one_event_share_one_limit() {
    scenario(|seed| async move {
        let mut scene = Scene::with(
            seed,
            still(),
            &[("risk.max_event_usd", "30"), ("risk.max_market_usd", "30")],
        );
        scene.fault("[[answers]]\nendpoint = \"POST /order\"\nbefore = \"50ms p99 3s\"\n");
        let live = scene.ready().await;
        for round in 0..20 {
            for slug in ELECTION {
                for outcome in Outcome::BOTH {
                    let want = scene.take(slug, outcome, 5 + (seed + round) % 7);
                    scene.want(&live, want).await;
                }
            }
            pass(2).await;
            scene.judged();
        }
        scene.agrees(&live).await;
    });
}
