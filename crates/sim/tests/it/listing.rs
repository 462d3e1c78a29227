//! Listings under checked keys, and delistings.

use std::sync::Arc;

use crate::common::{Player, START, plain, story};
use expect_test::expect;
use polydesk_domain::*;
use polydesk_sim::{Delay, Sim, SimConfig};

#[test]
fn a_listing_under_another_key_is_refused_and_latched() {
    let mut sim = Sim::new(SimConfig::instant(), 1).unwrap();
    let mut list = |key, number| {
        let market = Arc::new(Market::plain(number, "key"));
        let event = MarketEvent::Listed { key: MarketKey(key), market }.into();
        sim.on_market(&Stamped { at: START, venue_at: START, seq: 0, event });
        (sim.universe().len(), sim.broken().is_some())
    };
    assert_eq!(list(0, 1), (1, false));
    assert_eq!(list(2, 2), (1, true), "key 1 comes next");
    assert_eq!(list(1, 2), (2, true), "the latch stays");
    let refused = (sim.counters().rows_refused, sim.broken().map(|broken| broken.rule));
    let rule = "markets are listed under the keys that this exchange gives";
    assert_eq!(refused, (1, Some(rule)));
    assert_eq!(sim.check_conservation(), Ok(()), "the sums are right");
}

#[test]
fn a_flat_market_is_freed_and_its_key_is_not_used_again() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s split #1 10
            > 1000ms Split -10.00 shares 10 and 10
            2s buy #2 yes 10 at 0.50 gtc
            > 2000ms #2 Matched
            > 2000ms #2 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 2000ms #2 filled 10
            3s state resolved 1000000
            > 6000ms #2 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 12000ms #2 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            20s redeem #3
            > 20000ms Redeem 20.00 shares 20 and 10
            30s delist 0
            31s snap yes 0.40x100 / 0.50x100
            32s buy #4 yes 10 at 0.40 gtc
            > 32000ms #4 refused: unknown_token
            33s redeem #5
            > 33000ms Failed 0.00 shares 0 and 0
            34s cancel all
            35s list
            36s snap yes1 0.40x100 / 0.50x100
            37s buy #6 yes1 10 at 0.40 gtc
            > 37000ms #6 Live
            38s account
            > free 1001.00 reserved 4.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn an_order_in_a_delisted_market_stays_and_can_be_cancelled() {
    let mut config = plain();
    config.latency.insert = Delay::millis(2_000);
    let mut player = Player::new(config);
    let mut kept = |line: &str| {
        player.row("list");
        let key = player.sim.universe().len() - 1;
        let line = line.replace("TOKEN", &(key * 2).to_string());
        player.row(&format!("snap {} 0.40x100 / 0.50x100", key * 2));
        player.send(&line);
        player.row(&format!("delist {key}"));
        // The order arrives after the delisting.
        let later = player.sim.now() + Span::secs(60);
        player.sim.advance(later, &mut Vec::new());
        player.sim.check_conservation().unwrap();
        (player.sim.counters().delisted_not_flat, player.sim.universe().get(MarketKey(key as u32)))
            == (0, None)
    };
    assert!(kept("cancel all"), "nothing is there");
    assert!(!kept("buy #1 TOKEN 10 at 0.40 gtc"));
    assert_eq!(player.sim.open_orders().len(), 1, "an order under way still came to rest");
    player.send("cancel #1");
    assert_eq!(player.sim.open_orders().len(), 0);
    assert_eq!(player.sim.account().cash_free, Usdc::whole(1_000));
}

#[test]
fn shares_of_others_in_a_delisted_market_keep_their_collateral() {
    let mut player = Player::new(SimConfig::instant());
    player.row("list");
    player.row("snap yes 0.40x100 / 0.50x100");
    player.send("buy #1 yes 10 at 0.50 gtc");
    player.send("sell #2 yes 10 at 0.40 fak");
    assert_eq!(player.sim.account().cash_free, Usdc::whole(999));
    player.row("delist 0");
    player.sim.check_conservation().unwrap();
    assert_eq!(player.sim.counters().delisted_not_flat, 0);
    player.row("delist 0");
    player.row("list");
    player.row("snap yes1 0.40x100 / 0.50x100");
    player.send("buy #3 yes1 10 at 0.50 gtc");
    player.sim.check_conservation().unwrap();
    assert_eq!((player.sim.counters().rows_refused, player.sim.broken()), (1, None));
}
