//! B: fills, settlement and positions.

use polydesk_domain::{Outcome, Side, Usdc};

use super::scene::{RAIN, Scene, Want, bid, scenario};
use crate::world::{blocked, pass, still};

/// A bid that is the best one, and what another account sells into it.
fn best(scene: &Scene, outcome: Outcome) -> u16 {
    scene.best_bid(RAIN, outcome) + 1
}

fn sold(outcome: Outcome, cents: u16, shares: u64) -> Want {
    Want { outcome, ..bid(cents, shares) }.sell().now()
}

#[test]
fn b1_a_ghost_fill_is_undone_once_however_late_it_fails() {
    scenario(|seed| async move {
        for (ending, undone) in
            [("fail", true), ("fail_mined", true), ("retry", false), ("reorg", false)]
        {
            for seconds in [0, 5, 40 + seed % 30] {
                let mut scene = Scene::new(seed);
                scene.fault(&format!(
                    "[[settlement]]\ntrades = \"1\"\nmined = \"{seconds}s\"\nending = \"{ending}\"\n[[streams]]\nchannel = \"user\"\nact = \"duplicate\"\n"
                ));
                let live = scene.ready().await;
                let before = scene.desk.cash();
                let want = scene.take(RAIN, Outcome::Yes, 10);
                scene.want(&live, want).await;
                scene.when("the order", |scene| scene.desk.orders() == 1).await;
                pass(seconds).await;
                scene.agrees(&live).await;
                assert_eq!(scene.desk.cash() == before, undone, "{ending} after {seconds} s");
                assert_eq!(scene.desk.orders(), 1, "{ending} after {seconds} s");
                scene.trades_again(&live).await;
            }
        }
    });
}

#[test]
fn b2_matches_that_hang_count_against_the_limit_of_unsettled_money() {
    scenario(|seed| async move {
        let mut scene = Scene::with(seed, still(), &[("risk.max_unsettled_usd", "20")]);
        scene.fault(
            "[[settlement]]\ntrades = \"1..2\"\nmined = \"10min\"\nending = \"fail\"\n[[settlement]]\ntrades = \"3..\"\nmined = \"10min\"\nending = \"confirm\"\n",
        );
        let live = scene.ready().await;
        for _ in 0..40 {
            let want = scene.take(RAIN, Outcome::Yes, 8);
            scene.want(&live, want).await;
            pass(5).await;
            let exchange = &scene.desk.world.exchange;
            let spent: Usdc =
                exchange.venue(|venue| venue.trades().map(|trade| trade.money()).sum());
            assert!(spent <= Usdc::whole(20), "{spent} unsettled");
        }
        pass(700).await;
        scene.agrees(&live).await;
        assert!(scene.desk.orders() >= 3);
        scene.trades_again(&live).await;
    });
}

#[test]
fn b3_settlements_that_keep_failing_stop_entries() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let every = scene.draw(2, 3);
        let failing: String = (1..=3)
            .map(|n| {
                format!(
                    "[[settlement]]\ntrades = \"{}\"\nmined = \"1s\"\nending = \"fail\"\n",
                    n * every
                )
            })
            .collect();
        scene.fault(&failing);
        let live = scene.ready().await;
        for _ in 0..20 {
            let want = scene.take(RAIN, Outcome::Yes, 5);
            scene.want(&live, want).await;
            pass(10).await;
        }
        assert!(blocked(&live.glance().unwrap(), "failing_settlements"));
        assert!(scene.desk.orders() as u64 <= 3 * every + 1, "{} orders", scene.desk.orders());
        pass(120).await;
        scene.same(&live);
        scene.judged();
    });
}

#[test]
fn b4_b13_fills_and_a_cancel_during_a_gap_of_the_user_channel_are_found_once() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        let top = best(&scene, Outcome::Yes);
        scene.want(&live, bid(top, 10)).await;
        scene.when("one", |scene| scene.desk.open().len() == 1).await;
        scene.want(&live, bid(top - 4, 10)).await;
        scene.want(&live, bid(10, 10).on("ada-wins")).await;
        scene.when("three", |scene| scene.desk.open().len() == 3).await;
        pass(1).await;
        let gap = scene.draw(5, 30);
        scene.fault(&format!(
            "[[streams]]\nchannel = \"user\"\nact = \"cut\"\n[[streams]]\nchannel = \"user\"\nact = \"refuse\"\nfor = \"{gap}s\"\n[[streams]]\nchannel = \"user\"\nat = \"{gap}s\"\nact = \"duplicate\"\n"
        ));
        pass(1).await;
        let filled = scene.other(sold(Outcome::Yes, top, 10));
        assert!(!filled.is_zero());
        let cancelled = scene.desk.open().last().copied().unwrap();
        scene.desk.clob().cancel_orders(&[cancelled]).await.unwrap();
        // While updates may be missed nothing leaves.
        scene.want(&live, bid(5, 10).on("alan-wins")).await;
        scene.silent(gap - 2).await;
        scene.agrees(&live).await;
        scene.trades_again(&live).await;
    });
}

#[test]
fn b5_a_fill_before_the_answer_belongs_to_the_order_that_is_on_its_way() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let late = scene.draw(1, 9);
        scene.fault(&format!(
            "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\nafter = \"{late}s\"\n"
        ));
        let live = scene.ready().await;
        let want = scene.take(RAIN, Outcome::Yes, 10);
        scene.want(&live, want).await;
        let ours = |glance: &polydesk_runtime::glance::Glance| {
            glance.positions.iter().any(|held| held.strategy.as_str() == "outside")
        };
        live.until("a fill", ours).await;
        let end = scene.agrees(&live).await;
        let ours = end.positions.iter().filter(|held| held.strategy.as_str() == "outside");
        assert_eq!(ours.count(), 1);
    });
}

#[test]
fn b6_c1_fills_that_become_known_after_the_cancel_are_booked_and_nothing_is_bought_again() {
    scenario(|seed| async move {
        for part in [7, 20] {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            let top = best(&scene, Outcome::Yes);
            scene.quote(&live, RAIN, &[(Outcome::Yes, top, 20)]).await;
            scene.when("the quote", |scene| scene.desk.open().len() == 1).await;
            pass(2).await;
            let late = scene.draw(3, 20);
            scene.fault(&format!(
                "[[streams]]\nchannel = \"user\"\nact = \"delay\"\ndelay = \"{late}s\"\n[[reads]]\nendpoint = \"GET /data/trades\"\nact = \"hide_new\"\nlag = \"{late}s\"\n"
            ));
            assert!(!scene.other(sold(Outcome::Yes, top, part)).is_zero());
            scene.quote(&live, RAIN, &[]).await;
            scene.when("the end", |scene| scene.desk.open().is_empty()).await;
            scene.agrees(&live).await;
            assert_eq!(scene.desk.orders(), 1);
        }
    });
}

#[test]
fn b7_d11_fills_through_the_complement_are_of_our_token_and_our_side() {
    scenario(|seed| async move {
        for outcome in Outcome::BOTH {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            // Resting: another account buys the other outcome.
            let top = best(&scene, outcome);
            scene.quote(&live, RAIN, &[(outcome, top, 20)]).await;
            scene.when("the quote", |scene| scene.desk.open().len() == 1).await;
            let other = if outcome == Outcome::Yes { Outcome::No } else { Outcome::Yes };
            let crossing = Want { outcome: other, ..bid(100 - top, 12) }.now();
            assert!(!scene.other(crossing).is_zero());
            // Taking: what is offered is a bid for the other outcome.
            let want = scene.take("ada-wins", outcome, 10);
            scene.want(&live, want).await;
            // Outcomes with names of teams.
            let want = scene.take("hawks-owls", outcome, 10);
            scene.want(&live, want).await;
            scene.when("three orders", |scene| scene.desk.orders() == 3).await;
            let end = scene.agrees(&live).await;
            let bought = end.positions.iter().filter(|held| held.strategy.as_str() == "outside");
            assert!(bought.clone().count() >= 3, "{:#?}", end.positions);
            assert!(bought.clone().all(|held| held.outcome == outcome), "{:#?}", end.positions);
        }
    });
}

#[test]
fn b8_three_equal_fills_of_one_transaction_are_three() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        let cents = scene.ask(RAIN, Outcome::Yes) - 1;
        for _ in 0..3 {
            scene.other(bid(cents, 5).sell());
        }
        pass(2).await;
        scene.want(&live, bid(cents, 15).now()).await;
        scene.when("the order", |scene| scene.desk.orders() == 1).await;
        let before = scene.desk.cash();
        scene.agrees(&live).await;
        assert!(before - scene.desk.cash() > Usdc::ZERO);
    });
}

#[test]
fn b12_an_order_that_cannot_be_read_is_never_concluded_to_be_gone() {
    scenario(|seed| async move {
        for takes in [true, false] {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            let hidden = scene.draw(100, 200);
            let mut faults = format!(
                "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\nact = \"lose_answer\"\n[[answers]]\nendpoint = \"GET /data/order/*\"\ncalls = \"1..{hidden}\"\nstatus = 404\nbody = \"null\"\n"
            );
            if !takes {
                faults += &format!(
                    "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"hide\"\nfor = \"{hidden}s\"\n"
                );
            }
            faults +=
                &format!("[[streams]]\nchannel = \"user\"\nact = \"drop\"\nfor = \"{hidden}s\"\n");
            scene.fault(&faults);
            let want = if takes { scene.take(RAIN, Outcome::Yes, 10) } else { bid(20, 10) };
            scene.want(&live, want).await;
            scene.when("the order", |scene| scene.desk.orders() == 1).await;
            for _ in 0..hidden {
                pass(1).await;
                let open = live.glance().unwrap().risk.open_orders as usize;
                assert!(open >= scene.desk.open().len(), "an open order is not reserved any more");
            }
            // An order in one source and not in another freezes its token for a person.
            pass(120).await;
            let end = scene.same(&live);
            assert!(end.blockers.iter().all(|blocker| blocker.code == "token_frozen"));
            scene.judged();
            assert_eq!(scene.posts(), 1);
        }
    });
}

#[test]
fn b14_stale_balances_correct_nothing_and_stop_nothing() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        scene.fault(
            "[[reads]]\nendpoint = \"GET /balance-allowance\"\nact = \"freeze\"\nfor = \"120s\"\n",
        );
        pass(12).await;
        let want = scene.take(RAIN, Outcome::Yes, 10);
        scene.want(&live, want).await;
        scene.when("a fill", |scene| scene.desk.orders() == 1).await;
        scene.agrees(&live).await;
        scene.trades_again(&live).await;
    });
}

#[test]
fn b15_open_orders_on_several_pages_are_all_known_and_a_page_that_fails_concludes_nothing() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        scene.fault("[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"page\"\nrows = 3\n");
        let live = scene.ready().await;
        for cents in 10..18 {
            scene.want(&live, bid(cents, 10)).await;
        }
        scene.when("eight orders", |scene| scene.desk.open().len() == 8).await;
        let call = scene.draw(2, 6);
        scene.fault(&format!(
            "[[answers]]\nendpoint = \"GET /data/orders\"\ncalls = \"{call}\"\nstatus = 500\nbody = \"\"\n"
        ));
        for _ in 0..60 {
            pass(1).await;
            assert_eq!(live.glance().unwrap().risk.open_orders, 8);
        }
        scene.agrees(&live).await;
    });
}

#[test]
fn b16_an_order_that_cannot_be_read_keeps_the_gate_closed() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let market = scene.desk.world.market(RAIN);
        scene.judge.person_before(scene.token(RAIN, Outcome::Yes), Side::Buy);
        scene.desk.person(&market, Outcome::Yes, Side::Buy, 20, 10).await;
        let held = scene.draw(40, 90);
        scene.fault(&format!(
            "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"contradict\"\nreplace = [[\"BUY\", \"HOLD\"]]\nfor = \"{held}s\"\n"
        ));
        let live = scene.desk.start().await.unwrap();
        pass(10).await;
        scene.want(&live, bid(30, 10)).await;
        scene.silent(held - 15).await;
        assert!(blocked(&live.glance().unwrap(), "not_reconciled"));
        live.ready().await;
        scene.agrees(&live).await;
        scene.trades_again(&live).await;
    });
}
