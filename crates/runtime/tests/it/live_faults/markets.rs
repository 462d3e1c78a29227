//! D: market data and metadata; A11: ticks; E6, E7: results.

use polydesk_domain::{Outcome, Shares, Usdc};
use polydesk_local_exchange::wallets::WalletKind;

use super::scene::{RAIN, Scene, bid, scenario};
use crate::world::{blocked, moving, pass, still};

#[test]
fn d1_nothing_is_priced_from_a_stream_that_stands_still_and_it_recovers_by_itself() {
    scenario(|seed| async move {
        for act in ["mute", "drop"] {
            let mut scene = Scene::with(seed, moving(seed), &[]);
            let live = scene.ready().await;
            let frozen = scene.draw(200, 600);
            scene.fault(&format!(
                "[[streams]]\nchannel = \"market\"\nact = \"{act}\"\nfor = \"{frozen}s\"\n[[answers]]\nendpoint = \"* /book*\"\ncalls = \"1..600\"\nstatus = 500\nbody = \"\"\n"
            ));
            pass(100).await;
            for cents in 10..20 {
                scene.want(&live, bid(cents, 10)).await;
            }
            scene.silent(60).await;
            pass(frozen).await;
            live.ready().await;
            for _ in 0..60 {
                scene.want(&live, bid(15, 10).on("ada-wins")).await;
                pass(5).await;
            }
            scene.when("an order", |scene| scene.desk.orders() >= 1).await;
            scene.judged();
        }
    });
}

#[test]
fn d2_a_quiet_market_is_quoted_all_the_same() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        pass(1_800).await;
        scene.want(&live, bid(20, 10)).await;
        scene.when("an order", |scene| scene.desk.open().len() == 1).await;
        scene.agrees(&live).await;
    });
}

#[test]
fn d3_d4_broken_streams_leave_the_account_exact() {
    scenario(|seed| async move {
        let mut scene = Scene::with(seed, moving(seed), &[]);
        scene.fault(
            "[[streams]]\nchannel = \"market\"\nevent = \"price_change\"\nact = \"drop\"\nchance_ppm = 50000\n[[streams]]\nchannel = \"market\"\nevent = \"price_change\"\nact = \"alter\"\nchance_ppm = 20000\nreplace = [[\"BUY\", \"SELL\"]]\n[[streams]]\nchannel = \"market\"\nact = \"cut\"\nat = \"60s\"\n",
        );
        let live = scene.ready().await;
        for _ in 0..40 {
            let cents = scene.best_bid(RAIN, Outcome::Yes);
            scene.want(&live, bid(cents, 5)).await;
            pass(5).await;
            scene.judged();
        }
        pass(700).await;
        scene.desk.world.exchange.check().unwrap();
        let end = live.glance().unwrap();
        assert_eq!(end.risk.open_orders as usize, scene.desk.open().len());
        assert_eq!(end.money.cash + end.money.pending, scene.desk.cash());
    });
}

#[test]
fn a11_d5_orders_follow_a_tick_size_that_changes() {
    scenario(|seed| async move {
        for hidden in [false, true] {
            let mut scene = Scene::new(seed);
            let live = scene.ready().await;
            scene.quote(&live, RAIN, &[(Outcome::Yes, 23, 10)]).await;
            scene.when("the quote", |scene| scene.desk.open().len() == 1).await;
            if hidden {
                scene.fault("[[streams]]\nchannel = \"market\"\nevent = \"tick_size_change\"\nact = \"drop\"\n");
            }
            for tick in ["0.001", "0.1", "0.01"] {
                scene.fault(&format!(
                    "[[engine]]\nact = \"set_tick\"\nmarket = \"{RAIN}\"\ntick = \"{tick}\"\n"
                ));
                pass(20).await;
                scene.quote(&live, RAIN, &[(Outcome::Yes, 24, 10)]).await;
                pass(20).await;
            }
            assert!(scene.posts() <= 8, "{} requests", scene.posts());
            scene.agrees(&live).await;
        }
    });
}

#[test]
fn e6_a_disputed_result_lets_nothing_in_and_nothing_is_realised_before_it_is_final() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        let live = scene.ready().await;
        let before = scene.desk.cash();
        let want = scene.take(RAIN, Outcome::Yes, 10);
        scene.want(&live, want).await;
        scene.want(&live, bid(20, 10)).await;
        scene.when("a fill and a bid", |scene| scene.desk.orders() == 2).await;
        scene.agrees(&live).await;
        let cost = before - scene.desk.cash();
        scene.fault(&format!("[[engine]]\nact = \"dispute\"\nmarket = \"{RAIN}\"\n"));
        scene.when("the end of the bid", |scene| scene.desk.open().is_empty()).await;
        let disputed = scene.draw(60, 600);
        let want = scene.take(RAIN, Outcome::Yes, 10);
        scene.want(&live, want).await;
        scene.silent(disputed).await;
        assert_eq!(live.glance().unwrap().money.realised, Usdc::ZERO);
        // Other markets go on.
        scene.trades_again(&live).await;
        scene
            .fault(&format!("[[engine]]\nact = \"resolve\"\nmarket = \"{RAIN}\"\npays = \"no\"\n"));
        live.until("the redemption", |glance| {
            glance.positions.iter().all(|held| held.market != RAIN)
        })
        .await;
        let end = scene.agrees(&live).await;
        assert_eq!(end.money.realised, -cost, "what was there before is no result");
    });
}

#[test]
fn e7_a_sure_thing_that_is_decided_against_the_facts_costs_the_limit_of_its_market_and_stops_entries()
 {
    scenario(|seed| async move {
        let mut scene = Scene::with(
            seed,
            still(),
            &[("risk.max_market_usd", "40"), ("risk.daily_loss_usd", "30")],
        );
        let exchange = std::sync::Arc::clone(&scene.desk.world.exchange);
        let other = exchange.accounts()[1].wallets[&WalletKind::Eoa];
        exchange.venue(|venue| venue.fund(other, Usdc::whole(100_000)));
        // Everybody is sure.
        scene.other(bid(97, 20_000).now());
        scene.other(bid(97, 500));
        // What was bought can be sold once it is final.
        pass(60).await;
        scene.other(bid(98, 500).sell());
        let live = scene.ready().await;
        for _ in 0..30 {
            let shares = scene.draw(6, 14);
            scene.want(&live, bid(98, shares).now()).await;
            pass(3).await;
        }
        scene.agrees(&live).await;
        let held = scene.desk.shares(RAIN, Outcome::Yes).checked_sub(Shares::whole(200)).unwrap();
        assert!(held >= Shares::whole(20), "{held}");
        scene
            .fault(&format!("[[engine]]\nact = \"resolve\"\nmarket = \"{RAIN}\"\npays = \"no\"\n"));
        live.until("the loss", |glance| blocked(glance, "daily_loss")).await;
        pass(120).await;
        let end = scene.same(&live);
        // What was there before is no loss of the bot's.
        let lost = -end.money.day;
        assert!(lost > Usdc::whole(18) && lost <= Usdc::whole(41), "{lost}");
        scene.want(&live, bid(20, 10).on("ada-wins")).await;
        scene.silent(30).await;
        scene.judged();
    });
}
