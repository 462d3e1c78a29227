//! The judge sees what it must see: one broken bot for each of its rules.

use polydesk_domain::{Outcome, Price, Shares, Side};
use polydesk_local_exchange::venue::OrderSpec;

use super::scene::{RAIN, Scene, bid, scenario};
use crate::live_world::wallet;
use crate::world::pass;

/// An order of our wallet that no bot decided.
fn slipped_in(scene: &Scene, cents: u16, shares: u64) {
    let exchange = &scene.desk.world.exchange;
    let key = exchange.accounts()[0].credentials.clone().unwrap().key;
    let token = scene.token(RAIN, Outcome::Yes);
    let (price, shares) = (Price::cents(cents), Shares::whole(shares));
    let spec = OrderSpec::limit(token, Side::Buy, price, shares);
    exchange.venue(|venue| venue.place_as(key, wallet(exchange), &spec).unwrap());
}

fn broken(scene: &Scene, rule: &str) -> bool {
    scene.judge.violations().iter().any(|line| line.starts_with(rule))
}

#[test]
fn the_judge_sees_a_second_order_of_a_signal() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        scene.want(&live, bid(30, 20)).await;
        scene.when("an order", |scene| scene.desk.open().len() == 1).await;
        scene.judged();
        slipped_in(&scene, 30, 20);
        assert!(broken(&scene, "I3"), "{:?}", scene.judge.violations());
    });
}

#[test]
fn the_judge_sees_an_order_beyond_a_limit() {
    scenario(|seed| async move {
        let scene = Scene::new(seed);
        scene.judge.signal(scene.token(RAIN, Outcome::Yes), Side::Buy);
        slipped_in(&scene, 30, 990);
        assert!(!broken(&scene, "I4"));
        scene.judge.signal(scene.token(RAIN, Outcome::Yes), Side::Buy);
        slipped_in(&scene, 30, 20);
        assert!(broken(&scene, "I4"), "{:?}", scene.judge.violations());
    });
}

#[test]
fn the_judge_sees_an_order_that_the_journal_does_not_have() {
    scenario(|seed| async move {
        let scene = Scene::new(seed);
        let _live = scene.ready().await;
        let market = scene.desk.world.market(RAIN);
        scene.judge.person(scene.token(RAIN, Outcome::Yes), Side::Buy);
        scene.desk.person(&market, Outcome::Yes, Side::Buy, 30, 20).await;
        pass(1).await;
        assert!(!broken(&scene, "I2"), "{:?}", scene.judge.violations());
        scene.desk.person(&market, Outcome::Yes, Side::Buy, 30, 20).await;
        pass(1).await;
        assert!(broken(&scene, "I2"), "{:?}", scene.judge.violations());
    });
}

#[test]
fn the_judge_sees_an_order_that_is_priced_from_an_old_book() {
    scenario(|seed| async move {
        let scene = Scene::new(seed);
        let _live = scene.ready().await;
        let market = scene.desk.world.market(RAIN);
        scene.judge.person(scene.token(RAIN, Outcome::Yes), Side::Buy);
        scene.desk.person(&market, Outcome::Yes, Side::Buy, 30, 20).await;
        pass(1).await;
        assert!(!broken(&scene, "I14"), "{:?}", scene.judge.violations());
        scene.fault(
            "[[streams]]\nchannel = \"market\"\nact = \"mute\"\n[[answers]]\nendpoint = \"* /book*\"\nstatus = 500\nbody = \"\"\n",
        );
        pass(30).await;
        scene.judge.person(scene.token(RAIN, Outcome::Yes), Side::Buy);
        scene.desk.person(&market, Outcome::Yes, Side::Buy, 30, 20).await;
        pass(1).await;
        assert!(broken(&scene, "I14"), "{:?}", scene.judge.violations());
    });
}
