//! Money and shares that no order of ours moved: booked once, to the micro-dollar, and over a restart.

use std::sync::atomic::Ordering;

use polydesk_domain::{Outcome, Payout, Side, Urgency, Usdc};

use crate::live_world::{Ask, Desk, Live};
use crate::world::{blocked, pass, simulated, still};

const MARKET: &str = "rain-tomorrow";

fn exact(desk: &Desk, live: &Live) {
    let end = live.glance().unwrap();
    assert!(end.blockers.is_empty(), "{:?}", end.blockers);
    assert_eq!(end.money.cash, desk.cash());
}

#[test]
fn deposits_and_withdrawals_are_booked_once_while_running_and_over_a_restart() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        let ready = live.ready().await;
        pass(130).await;
        desk.fund(Usdc::new(5_000_001));
        pass(1).await;
        desk.fund(Usdc::new(-2_000_000));
        pass(150).await;
        exact(&desk, &live);
        let now = live.glance().unwrap();
        assert_eq!(now.money.cash, ready.money.cash + Usdc::new(3_000_001));
        assert_eq!(now.money.day, Usdc::ZERO, "a deposit is no profit");
        live.stop().await;
        // While it is down, and once more with nothing new.
        desk.fund(Usdc::new(7));
        for _ in 0..2 {
            pass(600).await;
            let live = desk.start().await.unwrap();
            live.ready().await;
            pass(130).await;
            exact(&desk, &live);
            live.stop().await;
        }
    });
}

#[test]
fn an_automatic_redemption_during_downtime_is_booked_once() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(130).await;
        live.stop().await;
        let before = desk.cash();
        let won = desk.shares(MARKET, Outcome::Yes);
        desk.auto_redeem(MARKET, Payout::YES);
        assert_eq!(desk.cash(), before + won.face_value());
        pass(600).await;
        for _ in 0..2 {
            let live = desk.start().await.unwrap();
            live.ready().await;
            pass(130).await;
            exact(&desk, &live);
            let held = live.glance().unwrap().positions;
            assert!(held.iter().all(|position| position.market != MARKET), "{held:?}");
            live.stop().await;
        }
    });
}

#[test]
fn money_that_comes_in_while_fills_move_from_the_first_second_on_is_explained() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        let market = desk.world.market(MARKET);
        for round in 0..10 {
            let buy = Ask {
                outcome: Outcome::Yes,
                side: Side::Buy,
                cents: 60,
                shares: 5,
                urgency: Urgency::Now,
            };
            live.signal(&market, desk.world.exchange.now(), buy).await;
            if round == 1 {
                desk.fund(Usdc::new(7_000_003));
            }
            pass(3).await;
        }
        pass(150).await;
        exact(&desk, &live);
    });
}

#[test]
fn what_shares_from_before_the_first_start_pay_is_no_profit_of_the_bot() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        let ready = live.ready().await;
        pass(130).await;
        desk.inject("[[engine]]\nact = \"resolve\"\nmarket = \"rain-tomorrow\"\npays = \"yes\"\n");
        let end = live
            .until("the redemption", |glance| {
                glance.positions.iter().all(|held| held.market != MARKET)
            })
            .await;
        assert!(end.money.cash > ready.money.cash);
        pass(130).await;
        exact(&desk, &live);
        let end = live.glance().unwrap();
        assert_eq!((end.money.realised, end.money.day), (Usdc::ZERO, Usdc::ZERO));
    });
}

#[test]
fn a_conversion_whose_nonce_another_program_used_freezes_its_market_for_a_person() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(130).await;
        desk.chain.taken.store(true, Ordering::Relaxed);
        desk.inject("[[engine]]\nact = \"resolve\"\nmarket = \"rain-tomorrow\"\npays = \"yes\"\n");
        let seen = live.until("the freeze", |glance| blocked(glance, "market_frozen")).await;
        let detail = &seen.blockers.iter().find(|one| one.code == "market_frozen").unwrap().detail;
        assert!(detail.contains("desk release market/rain-tomorrow"), "{detail}");
    });
}
