//! Results of queries, and how long they are available.

use crate::common::{Player, START, plain, story};
use expect_test::expect;
use polydesk_domain::*;
use polydesk_sim::{Delay, Entries, Sim, SimConfig};

const ALWAYS: u32 = 1_000_000;

/// All reports but answers to placements and cancels are lost.
fn silent(mut config: SimConfig) -> SimConfig {
    config.faults.lose_fill_ppm = ALWAYS;
    config.faults.lose_end_ppm = ALWAYS;
    config.faults.lose_settlement_ppm = ALWAYS;
    config.faults.lose_conversion_ppm = ALWAYS;
    config
}

#[test]
fn an_order_is_answered_by_its_state_and_all_its_matches_in_their_order() {
    let mut config = silent(plain());
    config.latency.cancel = Delay::millis(20);
    config.latency.answer = Delay::millis(30);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.49x4 0.50x4
            1s buy #1 yes 10 at 0.50 gtc
            > 1030ms #1 Matched
            2s query #1
            > 2050ms #1 Matched
            > 2050ms #1 Matched buy 4 at 0.4900 for 1.96 fee 0.00 as Taker
            > 2050ms #1 Matched buy 4 at 0.5000 for 2.00 fee 0.00 as Taker
            6s query #1
            > 6050ms #1 Matched
            > 6050ms #1 Mined buy 4 at 0.4900 for 1.96 fee 0.00 as Taker
            > 6050ms #1 Mined buy 4 at 0.5000 for 2.00 fee 0.00 as Taker
            8s print yes sell 0.45 9
            9s query #1
            > 9050ms #1 filled 10.08
            > 9050ms #1 Mined buy 4 at 0.4900 for 1.96 fee 0.00 as Taker
            > 9050ms #1 Mined buy 4 at 0.5000 for 2.00 fee 0.00 as Taker
            > 9050ms #1 Matched buy 2.08 at 0.5000 for 1.04 fee 0.00 as Maker
            30s query #1
            > 30050ms #1 filled 10.08
            > 30050ms #1 Confirmed buy 4 at 0.4900 for 1.96 fee 0.00 as Taker
            > 30050ms #1 Confirmed buy 4 at 0.5000 for 2.00 fee 0.00 as Taker
            > 30050ms #1 Confirmed buy 2.08 at 0.5000 for 1.04 fee 0.00 as Maker
            31s until
        "#]],
    );
}

#[test]
fn an_ended_order_is_answered_by_its_end() {
    story(
        silent(plain()),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x4
            1s spend #1 yes 4 at 0.50 fak
            > 1000ms #1 Matched
            2s query #1
            > 2000ms #1 cancelled Killed, matched 4
            > 2000ms #1 Matched buy 4 at 0.5000 for 2.00 fee 0.00 as Taker
            3s buy #2 yes 10 at 0.40 gtd180s
            > 3000ms #2 Live
            4s query #2
            > 4000ms #2 Live
            130s query #2
            > 130000ms #2 expired, matched 0
            140s buy #3 yes 10 at 0.40 gtc
            > 140000ms #3 Live
            150s state closed
            151s query #3
            > 151000ms #3 cancelled MarketEnded, matched 0
            152s until
        "#]],
    );
}

#[test]
fn a_failed_match_is_answered_as_failed() {
    let mut config = silent(plain());
    config.settlement.fail_ppm = ALWAYS;
    config.settlement.retry = Delay::millis(5_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            2s query #1
            > 2000ms #1 filled 10
            > 2000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            6s query #1
            > 6000ms #1 filled 10
            > 6000ms #1 Retrying buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            20s query #1
            > 20000ms #1 filled 10
            > 20000ms #1 Failed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            21s until
        "#]],
    );
}

#[test]
fn a_query_does_not_wait_for_a_first_report_that_is_late() {
    let mut config = plain();
    config.faults.late_fill_ppm = ALWAYS;
    config.faults.late_fill = Delay::millis(9_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 filled 10
            2s query #1
            > 2000ms #1 filled 10
            > 2000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            6s query #1
            > 6000ms #1 filled 10
            > 6000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 10000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 10000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 11000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            20s until
        "#]],
    );
}

#[test]
fn a_conversion_is_answered_once_it_is_over() {
    let mut config = silent(plain());
    config.conversions.delay = Delay::millis(5_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s split #1 30
            2s query conversion #1
            7s query conversion #1
            > 7000ms Split -30.00 shares 30 and 30
            8s merge #2 31
            9s query conversion #2
            > 9000ms Failed 0.00 shares 0 and 0
            10s query conversion #3
            11s state resolved 1000000
            12s redeem #4
            21s until
            20s query conversion #4
        "#]],
    );
}

#[test]
fn a_forgotten_order_gets_no_answer_and_is_refused_as_duplicate() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s spend #3 yes 5 at 0.50 fok
            > 1000ms #3 Matched
            > 1000ms #3 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #3 filled 10
            2s buy #2 yes 10 at 0.405 gtc
            > 2000ms #2 refused: tick
            3s split #4 10
            > 3000ms Split -10.00 shares 10 and 10
            4s buy #5 yes 10 at 0.40 gtc
            > 4000ms #5 Live
            > 5000ms #3 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 11000ms #3 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            7202s query conversion #4
            > 7202000ms Split -10.00 shares 10 and 10
            7203s query conversion #4
            The last update of #3 is its confirmation.
            7210s query #3
            > 7210000ms #3 filled 10
            > 7210000ms #3 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            7211s query #3
            Number 2 was refused and 1 never came: both are below the largest forgotten number.
            7212s query #1
            7213s query #2
            7214s query #5
            > 7214000ms #5 Live
            7215s query #6
            > 7215000ms #6 Absent
            7216s spend #3 yes 5 at 0.50 fok
            > 7216000ms #3 refused: duplicate
            7217s cancel #3
            > 7217000ms #3 not cancelled, still open: false
            7218s until
        "#]],
    );
}

#[test]
fn an_order_is_kept_until_two_hours_after_its_last_match_is_over() {
    let mut config = plain();
    config.settlement.stall_ppm = ALWAYS;
    config.settlement.stall = Delay::millis(90_000_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s spend #1 yes 5 at 0.50 fok
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            80000s query #1
            > 80000000ms #1 filled 10
            > 80000000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 90005000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 90011000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            97210s query #1
            > 97210000ms #1 filled 10
            > 97210000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            97211s query #1
            97212s until
        "#]],
    );
}

#[test]
fn a_forgotten_order_whose_end_was_reported_does_not_become_unknown() {
    let mut config = plain();
    config.faults.lose_answer_ppm = ALWAYS;
    config.faults.answer_timeout = Span::secs(2 * 86_400);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s spend #1 yes 5 at 0.50 fok
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            > 5000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 11000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            200000s until
        "#]],
    );
}

#[test]
fn memory_of_ended_orders_and_conversions_stays_bounded() {
    let mut config = SimConfig::instant();
    config.starting_cash = Usdc::whole(1_000_000);
    let mut player = Player::new(config);
    player.row("list");
    player.row("snap yes 0.40x100 / 0.50x10000000");
    let start = player.sim.now();
    let mut after_two_hours = Entries::default();
    for minute in 0..10 * 24 * 60u32 {
        let at = start + Span::secs(60 * i64::from(minute));
        one_minute(&mut player.sim, at, u64::from(minute) * 3);
        let entries = player.sim.entries();
        if minute == 2 * 60 + 1 {
            after_two_hours = entries;
        }
        assert!(entries.ended_orders <= 2 * 60 * 2, "minute {minute}: {entries:?}");
    }
    assert_eq!(player.sim.entries(), after_two_hours);
    assert!(after_two_hours.ended_orders == 2 * 60 * 2 && after_two_hours.trades == 2 * 60);
    assert_eq!(player.sim.counters().filled, 10 * 24 * 60);
    player.sim.advance(start + Span::secs(12 * 86_400), &mut Vec::new());
    assert_eq!(player.sim.entries(), Entries::default());
    player.sim.check_conservation().unwrap();
}

/// An order that fills, one that is cancelled, a split; and each is queried.
fn one_minute(sim: &mut Sim, at: Time, id: u64) {
    let fills = PlaceOrder { price: Price::cents(50), ..crate::common::bid(id, START) };
    let rests = crate::common::bid(id + 1, START);
    let split = Command::Convert {
        id: ConversionId(id + 2),
        strategy: StrategyId::OPERATOR,
        market: MarketKey(0),
        action: Conversion::Split(Shares::whole(1)),
    };
    sim.submit(at, &Command::Place(vec![fills, rests]));
    sim.submit(at, &split);
    sim.submit(at, &Command::Cancel(ClientOrderId(id + 1)));
    for number in [id, id + 1] {
        sim.submit(at, &Command::Query(Query::Order(ClientOrderId(number))));
    }
    sim.submit(at, &Command::Query(Query::Conversion(ConversionId(id + 2))));
    sim.advance(at, &mut Vec::new());
}
