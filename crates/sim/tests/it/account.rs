//! Account snapshots: what they include, and when they change.

use crate::common::{Player, START, plain, story};
use expect_test::expect;
use polydesk_domain::{AccountEvent, Command, Event, OrderUpdate};
use polydesk_sim::Delay;

#[test]
fn a_snapshot_changes_with_the_confirmation_of_a_match_and_not_with_the_match() {
    story(
        plain(),
        expect![[r#"
            0ms list fee 50000
            0ms snap yes 0.40x100 / 0.50x100
            1s split #1 30
            > 1000ms Split -30.00 shares 30 and 30
            2s buy #2 yes 10 at 0.50 gtc
            2s sell #3 yes 10 at 0.40 fak
            > 2000ms #2 Matched
            > 2000ms #2 Matched buy 10 at 0.5000 for 5.00 fee 0.125 as Taker
            > 2000ms #2 filled 10
            > 2000ms #3 Matched
            > 2000ms #3 Matched sell 10 at 0.4000 for 4.00 fee 0.12 as Taker
            > 2000ms #3 filled 10
            3s sell #4 yes 12 at 0.60 gtc
            > 3000ms #4 Live
            4s buy #5 no 10 at 0.30 gtc
            > 4000ms #5 Live
            5s snapshot
            > #4 open, matched 0
            > #5 open, matched 0
            > cash 970.00
            > token 0: 30
            > token 1: 30
            6s print yes buy 0.61 4
            > 6000ms #2 Mined buy 10 at 0.5000 for 5.00 fee 0.125 as Taker
            > 6000ms #3 Mined sell 10 at 0.4000 for 4.00 fee 0.12 as Taker
            > 6000ms #4 Matched sell 4 at 0.6000 for 2.40 fee 0.00 as Maker
            7s snapshot
            > #4 open, matched 4
            > #5 open, matched 0
            > cash 970.00
            > token 0: 30
            > token 1: 30
            > 10000ms #4 Mined sell 4 at 0.6000 for 2.40 fee 0.00 as Maker
            > 12000ms #2 Confirmed buy 10 at 0.5000 for 5.00 fee 0.125 as Taker
            > 12000ms #3 Confirmed sell 10 at 0.4000 for 4.00 fee 0.12 as Taker
            > 16000ms #4 Confirmed sell 4 at 0.6000 for 2.40 fee 0.00 as Maker
            20s snapshot
            > #4 open, matched 4
            > #5 open, matched 0
            > cash 971.155
            > token 0: 26
            > token 1: 30
        "#]],
    );
}

#[test]
fn a_failed_match_changes_no_snapshot() {
    let mut config = plain();
    config.settlement.fail_ppm = 1_000_000;
    config.settlement.retry = Delay::millis(5_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s split #1 30
            > 1000ms Split -30.00 shares 30 and 30
            2s buy #2 yes 10 at 0.50 gtc
            > 2000ms #2 Matched
            > 2000ms #2 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 2000ms #2 filled 10
            3s sell #3 no 10 at 0.50 fak
            > 3000ms #3 Matched
            > 3000ms #3 Matched sell 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 3000ms #3 filled 10
            4s snapshot
            > cash 970.00
            > token 0: 30
            > token 1: 30
            > 6000ms #2 Retrying buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 7000ms #3 Retrying sell 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 11000ms #2 Failed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 12000ms #3 Failed sell 10 at 0.5000 for 5.00 fee 0.00 as Taker
            20s snapshot
            > cash 970.00
            > token 0: 30
            > token 1: 30
        "#]],
    );
}

#[test]
fn what_pending_conversions_reserve_is_still_in_the_snapshot() {
    let mut config = plain();
    config.conversions.delay = Delay::millis(5_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s split #1 30
            2s snapshot
            > cash 1000.00
            > 6000ms Split -30.00 shares 30 and 30
            10s merge #2 20
            11s snapshot
            > cash 970.00
            > token 0: 30
            > token 1: 30
            > 15000ms Merge 20.00 shares 20 and 20
            16s snapshot
            > cash 990.00
            > token 0: 10
            > token 1: 10
        "#]],
    );
}

#[test]
fn an_order_in_flight_is_not_open_and_a_delayed_one_is() {
    let mut config = plain();
    config.latency.insert = Delay::millis(1_000);
    story(
        config,
        expect![[r#"
            0ms list delay 3s
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            1s snapshot
            > cash 1000.00
            > 2000ms #1 Delayed
            3s snapshot
            > #1 open, matched 0
            > cash 1000.00
            4s cancel #1
            > 4000ms #1 not cancelled, still open: true
            > 5000ms #1 Matched
            > 5000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 5000ms #1 filled 10
            6s snapshot
            > cash 1000.00
        "#]],
    );
}

#[test]
fn an_order_is_named_by_the_hash_that_it_was_bound_to() {
    let mut player = Player::new(plain());
    player.row("list");
    player.row("snap yes 0.40x100 / 0.50x100");
    let at = player.sim.now();
    player.sim.submit(at, &Command::Place(vec![crate::common::bid(7, START)]));
    let mut updates = Vec::new();
    player.sim.advance(at, &mut updates);
    let bound = updates.iter().find_map(|(_, event)| match event {
        Event::Account(event) => match **event {
            AccountEvent::Order { update: OrderUpdate::Bound { hash }, .. } => Some(hash),
            _ => None,
        },
        _ => None,
    });
    let open = player.sim.account_snapshot(0).open;
    assert_eq!(open.into_keys().collect::<Vec<_>>(), [bound.unwrap()]);
}
