//! Refusals, orders from arrival to end, balances, settlement, conversions, lost requests and answers.

use crate::common::{plain, story};
use expect_test::expect;
use polydesk_domain::{AccountEvent, Command, Event, OrderUpdate, RejectReason, Span, Usdc};
use polydesk_sim::{Delay, SimConfig, VenueMode};

#[test]
fn each_broken_rule_has_its_refusal() {
    story(
        plain(),
        expect![[r#"
            0ms list tick 0.01
            0ms list fees unknown
            0ms list version v9
            0ms list opens 1h
            0ms snap yes 0.40x100 / 0.42x100
            1ms buy #1 yes 10 at 0.405 gtc
            > 1ms #1 refused: tick
            2ms buy #2 yes 10 at 1 gtc
            > 2ms #2 refused: tick
            3ms buy #3 yes 4.99 at 0.40 gtc
            > 3ms #3 refused: below_minimum
            4ms buy #4 yes 10.001 at 0.40 gtc
            > 4ms #4 refused: accuracy
            5ms spend #5 yes 10 at 0.40 gtc
            > 5ms #5 refused: accuracy
            6ms buy #6 yes 10 at 0.42 fok
            > 6ms #6 refused: accuracy
            7ms spend #7 yes 10.005 at 0.42 fok
            > 7ms #7 refused: accuracy
            8ms spend #8 yes 0.99 at 0.10 fak
            > 8ms #8 refused: below_marketable_minimum
            9ms spend #9 yes 2 at 0.42 fak
            > 9ms #9 refused: below_minimum
            10ms buy #10 yes 10 at 0.42 gtc post
            > 10ms #10 refused: post_only_would_cross
            11ms spend #11 yes 10 at 0.42 fak post
            > 11ms #11 refused: other
            12ms buy #12 yes 10 at 0.40 gtd179s
            > 12ms #12 refused: expiration
            13ms spend #13 yes 50 at 0.42 fok
            > 13ms #13 refused: fok_killed
            14ms spend #14 yes 10 at 0.41 fak
            > 14ms #14 refused: fak_killed
            15ms spend #15 yes 10 at 0.41 fok
            > 15ms #15 refused: fok_killed
            16ms buy #16 yes 2600 at 0.40 gtc
            > 16ms #16 refused: balance
            17ms sell #17 yes 10 at 0.50 gtc
            > 17ms #17 refused: balance
            18ms buy #18 99 10 at 0.40 gtc
            > 18ms #18 refused: unknown_token
            19ms buy #19 yes1 10 at 0.40 gtc
            > 19ms #19 refused: market_closed
            20ms buy #20 4 10 at 0.40 gtc
            > 20ms #20 refused: market_closed
            21ms buy #21 6 10 at 0.40 gtc
            > 21ms #21 refused: market_closed
            22ms buy #22 yes 10 at 0.40 gtc
            > 22ms #22 Live
            23ms buy #22 yes 10 at 0.40 gtc
            > 23ms #22 refused: duplicate
            24ms buy #24 no 10 at 0.61 gtc
            > 24ms #24 refused: other
            25ms buy #25 no 10 at 0.60 gtc
            > 25ms #25 refused: other
            26ms buy #26 no 10 at 0.59 gtc
            > 26ms #26 Live
            27ms state paused
            28ms buy #28 yes 10 at 0.40 gtc
            > 28ms #28 refused: market_closed
            29ms account
            > free 990.10 reserved 9.90 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn marketable_orders_are_worth_a_dollar() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.10x100 / 0.12x100
            1ms buy #1 yes 5 at 0.12 gtc
            > 1ms #1 refused: below_marketable_minimum
            2ms buy #2 yes 5 at 0.11 gtc
            > 2ms #2 Live
            3ms until
        "#]],
    );
}

#[test]
fn fok_fills_completely_or_not_at_all_and_fak_what_the_depth_gives() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x10 0.51x10
            1ms spend #1 yes 10.11 at 0.51 fok
            > 1ms #1 refused: fok_killed
            2ms spend #2 yes 8 at 0.51 fok
            > 2ms #2 Matched
            > 2ms #2 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 2ms #2 Matched buy 5.882352 at 0.5100 for 3.00 fee 0.00 as Taker
            > 2ms #2 filled 15.882352
            3ms spend #3 yes 8 at 0.51 fak
            > 3ms #3 Matched
            > 3ms #3 Matched buy 4.117648 at 0.5100 for 2.100001 fee 0.00 as Taker
            > 3ms #3 cancelled Killed, matched 4.117648
            > 4002ms #2 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 4002ms #2 Mined buy 5.882352 at 0.5100 for 3.00 fee 0.00 as Taker
            > 4003ms #3 Mined buy 4.117648 at 0.5100 for 2.100001 fee 0.00 as Taker
            > 10002ms #2 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 10002ms #2 Confirmed buy 5.882352 at 0.5100 for 3.00 fee 0.00 as Taker
            > 10003ms #3 Confirmed buy 4.117648 at 0.5100 for 2.100001 fee 0.00 as Taker
            20s until
            20s sell #4 yes 12 at 0.40 fak
            20s sell #5 yes 7 at 0.41 fak
            > 20000ms #4 Matched
            > 20000ms #4 Matched sell 12 at 0.4000 for 4.80 fee 0.00 as Taker
            > 20000ms #4 filled 12
            > 20000ms #5 refused: fak_killed
            > 24000ms #4 Mined sell 12 at 0.4000 for 4.80 fee 0.00 as Taker
            30s until
            > 30000ms #4 Confirmed sell 12 at 0.4000 for 4.80 fee 0.00 as Taker
            31s account
            > free 994.699999 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 8 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn gtd_is_removed_a_minute_before_its_stated_end() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x5 / 0.50x10
            1s buy #1 yes 10 at 0.40 gtd180s
            > 1000ms #1 Live
            50s print yes sell 0.40 8
            > 50000ms #1 Matched buy 3 at 0.4000 for 1.20 fee 0.00 as Maker
            > 54000ms #1 Mined buy 3 at 0.4000 for 1.20 fee 0.00 as Maker
            > 60000ms #1 Confirmed buy 3 at 0.4000 for 1.20 fee 0.00 as Maker
            > 121000ms #1 expired, matched 3
            130s print yes sell 0.40 1
            200s cancel #1
            200s account
            > 200000ms #1 not cancelled, still open: false
            > free 998.80 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 3 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn the_taker_delay_holds_an_order_that_cannot_be_cancelled() {
    story(
        plain(),
        expect![[r#"
            0ms list delay 3s fee 50000
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            1s account
            > 1000ms #1 Delayed
            > free 994.75 reserved 5.25 in flight 0.00 to come 0.00
            2s cancel #1
            2s query #1
            > 2000ms #1 not cancelled, still open: true
            > 2000ms #1 Delayed
            3s level yes sell 0.50 4
            > 4000ms #1 Matched
            > 4000ms #1 Matched buy 4 at 0.5000 for 2.00 fee 0.05 as Taker
            5s account
            > free 994.95 reserved 3.00 in flight 2.05 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 4
            6s buy #2 yes 10 at 0.45 gtc
            > 6000ms #2 Live
            7s spend #3 yes 10 at 0.50 fak
            > 7000ms #3 refused: fak_killed
            8s level yes sell 0.50 104
            > 8000ms #1 Mined buy 4 at 0.5000 for 2.00 fee 0.05 as Taker
            > 8000ms #1 Matched buy 6 at 0.5000 for 3.00 fee 0.00 as Maker
            > 8000ms #1 filled 10
            9s spend #4 yes 10 at 0.50 fok
            > 9000ms #4 Delayed
            10s level yes sell 0.50 0
            > 12000ms #1 Mined buy 6 at 0.5000 for 3.00 fee 0.00 as Maker
            > 12000ms #4 cancelled Killed, matched 0
            > 14000ms #1 Confirmed buy 4 at 0.5000 for 2.00 fee 0.05 as Taker
            > 18000ms #1 Confirmed buy 6 at 0.5000 for 3.00 fee 0.00 as Maker
            20s account
            > free 990.45 reserved 4.50 in flight 0.00 to come 0.00
            > token 0: free 10 reserved 0 locked 0 leaving 0 incoming 0
            > rebates 0.01875
        "#]],
    );
}

#[test]
fn a_ghost_fill_reverses_exactly_once() {
    let mut config = plain();
    config.settlement.fail_ppm = 1_000_000;
    config.settlement.retry = Delay::millis(35_000);
    story(
        config,
        expect![[r#"
            0ms list fee 50000
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            1s account
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.125 as Taker
            > 1000ms #1 filled 10
            > free 994.875 reserved 0.00 in flight 5.125 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 10
            2s sell #2 yes 10 at 0.40 fak
            > 2000ms #2 refused: balance
            5s account
            > 5000ms #1 Retrying buy 10 at 0.5000 for 5.00 fee 0.125 as Taker
            > free 994.875 reserved 0.00 in flight 5.125 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 10
            > 40000ms #1 Failed buy 10 at 0.5000 for 5.00 fee 0.125 as Taker
            60s account
            > free 1000.00 reserved 0.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn would_be_winners_fail_more_often() {
    let mut config = plain();
    config.settlement.winner_fail_ppm = 1_000_000;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            2s snap yes 0.60x100 / 0.62x100
            3s spend #2 yes 10 at 0.62 fok
            > 3000ms #2 Matched
            > 3000ms #2 Matched buy 16.129032 at 0.6200 for 10.00 fee 0.00 as Taker
            > 3000ms #2 filled 16.129032
            4s snap yes 0.58x100 / 0.60x100
            > 5000ms #1 Retrying buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 5000ms #1 Failed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 7000ms #2 Mined buy 16.129032 at 0.6200 for 10.00 fee 0.00 as Taker
            > 13000ms #2 Confirmed buy 16.129032 at 0.6200 for 10.00 fee 0.00 as Taker
            60s account
            > free 990.00 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 16.129032 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn bought_shares_can_be_sold_only_once_they_are_settled() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            2s sell #2 yes 10 at 0.60 gtc
            > 2000ms #2 refused: balance
            > 5000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 11000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            12s sell #3 yes 10 at 0.60 gtc
            > 12000ms #3 Live
            13s sell #4 yes 5 at 0.60 gtc
            > 13000ms #4 refused: balance
            14s account
            > free 995.00 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 0 reserved 10 locked 0 leaving 0 incoming 0
            15s print yes buy 0.61 4
            > 15000ms #3 Matched sell 4 at 0.6000 for 2.40 fee 0.00 as Maker
            > 19000ms #3 Mined sell 4 at 0.6000 for 2.40 fee 0.00 as Maker
            > 25000ms #3 Confirmed sell 4 at 0.6000 for 2.40 fee 0.00 as Maker
            40s account
            > free 997.40 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 0 reserved 6 locked 0 leaving 0 incoming 0
            41s cancel all
            > 41000ms #3 cancelled Requested, matched 4
            42s account
            > free 997.40 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 6 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn a_sell_of_all_fills_to_the_last_hundredth() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.40 gtc
            > 1000ms #1 Live
            2s print yes sell 0.40 109.997714
            > 2000ms #1 Matched buy 9.997714 at 0.4000 for 3.999086 fee 0.00 as Maker
            > 2000ms #1 filled 9.997714
            3s account
            > free 996.000914 reserved 0.00 in flight 3.999086 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 9.997714
        "#]],
    );
}

#[test]
fn complete_sets_are_split_merged_and_redeemed() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s split #1 100
            > 1000ms Split -100.00 shares 100 and 100
            2s merge #2 30
            > 2000ms Merge 30.00 shares 30 and 30
            3s merge #3 71
            > 3000ms Failed 0.00 shares 0 and 0
            4s split #4 2000
            > 4000ms Failed 0.00 shares 0 and 0
            5s redeem #5
            > 5000ms Failed 0.00 shares 0 and 0
            6s sell #6 yes 20 at 0.60 gtc
            > 6000ms #6 Live
            7s merge #7 60
            > 7000ms Failed 0.00 shares 0 and 0
            8s buy #8 yes 10 at 0.40 gtc
            > 8000ms #8 Live
            9s state resolved 333333
            > 9000ms #8 cancelled MarketEnded, matched 0
            > 9000ms #6 cancelled MarketEnded, matched 0
            10s redeem #9
            > 10000ms Redeem 70.00 shares 70 and 70
            11s redeem #10
            > 11000ms Failed 0.00 shares 0 and 0
            12s account
            > free 1000.00 reserved 0.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn the_venue_redeems_resolved_shares_where_auto_redeem_is_on() {
    let mut config = plain();
    config.conversions.auto_redeem = true;
    config.conversions.auto_redeem_delay = Delay::millis(2_000);
    story(
        config,
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
            > 5000ms Redeem 10.00 shares 10 and 10
            > 6000ms #2 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 12000ms #2 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 14000ms Redeem 10.00 shares 10 and 0
            60s account
            > free 1005.00 reserved 0.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn makers_get_their_share_of_the_fees_on_the_next_day() {
    let script = |least| SimConfig {
        rebates: polydesk_sim::Rebates { least, ..SimConfig::default().rebates },
        ..plain()
    };
    story(
        script(Usdc::whole(1)),
        expect![[r#"
            0ms list fee 70000
            0ms snap yes 0.40x1 / 0.55x100
            1s buy #1 yes 500 at 0.50 gtc
            > 1000ms #1 Live
            2s print yes sell 0.49 400
            > 2000ms #1 Matched buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            > 6000ms #1 Mined buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            > 12000ms #1 Confirmed buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            13s account
            > free 750.00 reserved 50.00 in flight 0.00 to come 0.00
            > token 0: free 400 reserved 0 locked 0 leaving 0 incoming 0
            > rebates 1.75
            > 46800000ms Rebate 1.75 shares 0 and 0
            14h account
            > free 751.75 reserved 50.00 in flight 0.00 to come 0.00
            > token 0: free 400 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
    story(
        script(Usdc::whole(2)),
        expect![[r#"
            0ms list fee 70000
            0ms snap yes 0.40x1 / 0.55x100
            1s buy #1 yes 500 at 0.50 gtc
            > 1000ms #1 Live
            2s print yes sell 0.49 400
            > 2000ms #1 Matched buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            > 6000ms #1 Mined buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            > 12000ms #1 Confirmed buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            14h account
            > free 750.00 reserved 50.00 in flight 0.00 to come 0.00
            > token 0: free 400 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn an_order_whose_answer_was_lost_is_unknown_until_a_query_result() {
    let mut config = plain();
    config.latency.insert = Delay::millis(50);
    config.latency.answer = Delay::millis(30);
    config.faults.lose_answer_ppm = 1_000_000;
    config.faults.answer_timeout = Span::secs(5);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.40 gtc
            1s query #1
            1s buy #2 yes 10 at 0.999 gtc
            > 1030ms #1 Unknown
            2s query #1
            > 2030ms #1 Live
            > 6050ms #2 Unknown
            7s query #2
            > 7030ms #2 Absent
            8s print yes sell 0.39 4
            > 8030ms #1 Matched buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            9s query #1
            > 9030ms #1 Matched
            > 9030ms #1 Matched buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            10s query #7
            > 10030ms #7 Absent
            11s cancel #1
            > 11030ms #1 cancelled Requested, matched 4
            12s query #1
            > 12030ms #1 Mined buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            > 12030ms #1 cancelled Requested, matched 4
            > 12030ms #1 Mined buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            > 18030ms #1 Confirmed buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            20s until
        "#]],
    );
}

#[test]
fn a_lost_order_is_unknown_after_the_timeout_and_absent_by_query() {
    let mut config = plain();
    config.faults.lose_order_ppm = 1_000_000;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.40 gtc
            > 6000ms #1 Unknown
            7s query #1
            > 7000ms #1 Absent
            8s account
            > free 1000.00 reserved 0.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn a_cancel_whose_answer_was_lost_is_found_by_a_query() {
    let mut config = plain();
    config.faults.lose_cancel_answer_ppm = 1_000_000;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.40 gtc
            > 1000ms #1 Live
            2s cancel #1
            > 7000ms #1 Unknown
            8s query #1
            > 8000ms #1 cancelled Requested, matched 0
            9s account
            > free 1000.00 reserved 0.00 in flight 0.00 to come 0.00
        "#]],
    );
    config.faults.lose_cancel_ppm = 1_000_000;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.40 gtc
            > 1000ms #1 Live
            2s cancel #1
            > 7000ms #1 Unknown
            8s query #1
            > 8000ms #1 Live
            9s account
            > free 996.00 reserved 4.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn the_report_of_a_fill_can_overtake_the_answer_or_follow_the_end() {
    let mut config = plain();
    config.faults.slow_answer_ppm = 1_000_000;
    config.faults.slow_answer = Delay::millis(700);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s spend #1 yes 5 at 0.50 fok
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            > 1700ms #1 Matched
            2s until
        "#]],
    );
    config.faults.slow_answer_ppm = 0;
    config.faults.late_fill_ppm = 1_000_000;
    config.faults.late_fill = Delay::millis(3_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x1 / 0.50x100
            1s buy #1 yes 10 at 0.40 gtc
            > 1000ms #1 Live
            2s print yes sell 0.39 4
            3s cancel #1
            > 3000ms #1 cancelled Requested, matched 4
            > 5000ms #1 Matched buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            > 6000ms #1 Mined buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            10s until
        "#]],
    );
}

#[test]
fn a_cancel_that_overtakes_its_order_is_refused_as_still_open() {
    let mut config = plain();
    config.latency.insert = Delay::millis(500);
    config.latency.cancel = Delay::millis(100);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.40 gtc
            1s cancel #1
            > 1100ms #1 not cancelled, still open: true
            > 1500ms #1 Live
            2s cancel #1
            > 2100ms #1 cancelled Requested, matched 0
            3s cancel #1
            > 3100ms #1 not cancelled, still open: false
            4s until
        "#]],
    );
}

#[test]
fn orders_of_one_request_arrive_together() {
    let mut config = plain();
    config.latency.insert = Delay::sampled_millis(50, 900);
    let mut player = crate::common::Player::new(config);
    let arrivals = player.arrivals(&[&[1, 2], &[3, 4]]);
    assert_eq!(arrivals[0], arrivals[1]);
    assert_eq!(arrivals[2], arrivals[3]);
    assert_ne!(arrivals[1], arrivals[2]);
}

#[test]
fn a_request_of_more_than_fifteen_orders_is_refused_order_by_order() {
    let mut player = crate::common::Player::new(plain());
    player.arrivals(&[&[1]]);
    let now = player.sim.now();
    let mut send = |ids: core::ops::Range<u64>| {
        let orders = ids.map(|id| crate::common::bid(id, now)).collect();
        player.sim.submit(now, &Command::Place(orders));
        let mut events = Vec::new();
        player.sim.advance(now, &mut events);
        let reason = RejectReason::Other("a request carries at most 15 orders".into());
        let refused = OrderUpdate::Rejected { reason };
        let refused = |event: &Event| {
            matches!(event, Event::Account(event)
                if matches!(&**event, AccountEvent::Order { update, .. } if *update == refused))
        };
        (events.iter().filter(|(_, event)| refused(event)).count(), player.sim.open_orders().len())
    };
    assert_eq!(send(2..18), (16, 1));
    assert_eq!(send(18..33), (0, 16));
}

#[test]
fn a_restricted_venue_accepts_only_what_its_mode_allows() {
    let mut player = crate::common::Player::new(plain());
    player.arrivals(&[&[1]]);
    let mut refused = |mode, line: &str| {
        player.sim.set_mode(mode);
        let before = player.sim.counters().rejects.get("restricted").copied().unwrap_or(0);
        player.send(line);
        player.sim.counters().rejects.get("restricted").copied().unwrap_or(0) > before
    };
    assert!(!refused(VenueMode::Normal, "buy #2 yes 10 at 0.40 gtc"));
    assert!(refused(VenueMode::PostOnly, "buy #3 yes 10 at 0.40 gtc"));
    assert!(!refused(VenueMode::PostOnly, "buy #4 yes 10 at 0.40 gtc post"));
    assert!(refused(VenueMode::CancelOnly, "buy #5 yes 10 at 0.40 gtc post"));
    assert!(!refused(VenueMode::CancelOnly, "cancel all"));
    assert!(player.sim.open_orders().is_empty());
}

#[test]
fn a_stalled_match_keeps_its_pusd_until_it_is_settled() {
    let mut config = plain();
    config.settlement.stall_ppm = 1_000_000;
    config.settlement.stall = Delay::millis(600_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            600s account
            > free 995.00 reserved 0.00 in flight 5.00 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 10
            > 605000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 611000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            700s account
            > free 995.00 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 10 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn a_retried_match_settles_afterwards() {
    let mut config = plain();
    config.settlement.retry_ppm = 1_000_000;
    config.settlement.retry = Delay::millis(20_000);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            > 5000ms #1 Retrying buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 25000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 31000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            100s account
            > free 995.00 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 10 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn a_sell_that_would_have_been_a_winner_fails_too_and_gives_the_shares_back() {
    let mut config = plain();
    config.settlement.winner_fail_ppm = 1_000_000;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s split #1 20
            > 1000ms Split -20.00 shares 20 and 20
            2s sell #2 yes 10 at 0.40 fak
            > 2000ms #2 Matched
            > 2000ms #2 Matched sell 10 at 0.4000 for 4.00 fee 0.00 as Taker
            > 2000ms #2 filled 10
            3s snap yes 0.30x100 / 0.32x100
            > 6000ms #2 Retrying sell 10 at 0.4000 for 4.00 fee 0.00 as Taker
            > 6000ms #2 Failed sell 10 at 0.4000 for 4.00 fee 0.00 as Taker
            7s sell #3 yes 10 at 0.30 fak
            > 7000ms #3 Matched
            > 7000ms #3 Matched sell 10 at 0.3000 for 3.00 fee 0.00 as Taker
            > 7000ms #3 filled 10
            8s snap yes 0.34x100 / 0.36x100
            > 11000ms #3 Mined sell 10 at 0.3000 for 3.00 fee 0.00 as Taker
            > 17000ms #3 Confirmed sell 10 at 0.3000 for 3.00 fee 0.00 as Taker
            60s account
            > free 983.00 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 10 reserved 0 locked 0 leaving 0 incoming 0
            > token 1: free 20 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn a_resolution_is_final() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            > 5000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 11000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            20s state resolved 1000000
            21s state open
            22s buy #2 yes 10 at 0.40 gtc
            > 22000ms #2 refused: market_closed
            23s state resolved 0
            24s redeem #3
            > 24000ms Redeem 10.00 shares 10 and 0
            25s account
            > free 1005.00 reserved 0.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn an_order_whose_end_was_reported_does_not_become_unknown() {
    let mut config = plain();
    config.faults.lose_answer_ppm = 1_000_000;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s spend #1 yes 5 at 0.50 fok
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            2s buy #2 yes 10 at 0.40 gtc
            > 5000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 7000ms #2 Unknown
            9s until
        "#]],
    );
}

#[test]
fn a_late_command_is_counted_and_leaves_now() {
    let mut player = crate::common::Player::new(plain());
    player.arrivals(&[&[1]]);
    let now = player.sim.now();
    let cancel = Command::CancelAll(None);
    player.sim.submit(now + Span::secs(-5), &cancel);
    let mut events = Vec::new();
    player.sim.advance(now, &mut events);
    assert_eq!(player.sim.counters().late_commands, 1);
    assert!(events.iter().all(|(at, _)| *at == now));
    assert_eq!(player.sim.counters().cancelled, 1);
}

#[test]
fn an_order_in_flight_is_unknown_and_not_absent() {
    let mut config = plain();
    config.latency.insert = Delay::millis(500);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1000ms buy #1 yes 10 at 0.405 gtc
            1200ms buy #1 yes 10 at 0.40 gtc
            > 1500ms #1 refused: tick
            1600ms query #1
            > 1600ms #1 Unknown
            > 1700ms #1 Live
            1800ms query #1
            > 1800ms #1 Live
            2000ms query #2
            > 2000ms #2 Absent
            3s until
        "#]],
    );
}

#[test]
fn a_taker_delay_that_is_not_recorded_is_that_of_the_category() {
    let script = |assume| {
        let mut config = plain();
        config.matching.assume_taker_delay = assume;
        config
    };
    story(
        script(true),
        expect![[r#"
            0ms list category sports
            0ms snap yes 0.40x100 / 0.50x10
            1s spend #1 yes 5 at 0.50 fok
            > 1000ms #1 Delayed
            1500ms level yes sell 0.50 0
            > 2000ms #1 cancelled Killed, matched 0
            3s until
        "#]],
    );
    story(
        script(false),
        expect![[r#"
            0ms list category sports
            0ms snap yes 0.40x100 / 0.50x10
            1s spend #1 yes 5 at 0.50 fok
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            1500ms level yes sell 0.50 0
            3s until
        "#]],
    );
}

#[test]
fn a_failed_fill_earns_no_rebate() {
    let mut config = plain();
    config.rebates.least = Usdc::ZERO;
    config.settlement.fail_ppm = 1_000_000;
    story(
        config,
        expect![[r#"
            0ms list fee 70000
            0ms snap yes 0.40x1 / 0.55x100
            1s buy #1 yes 500 at 0.50 gtc
            > 1000ms #1 Live
            2s print yes sell 0.49 400
            > 2000ms #1 Matched buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            > 6000ms #1 Retrying buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            > 6000ms #1 Failed buy 400 at 0.5000 for 200.00 fee 0.00 as Maker
            13s account
            > free 950.00 reserved 50.00 in flight 0.00 to come 0.00
            14h account
            > free 950.00 reserved 50.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn a_taker_delay_never_spends_more_than_was_reserved() {
    story(
        plain(),
        expect![[r#"
            0ms list fee 20000 raised 1500ms delay 1s
            0ms snap yes 0.40x100 / 0.50x100
            100ms spend #1 yes 5 at 0.50 fok
            > 100ms #1 Delayed
            The fee rises before this order is released: its reservation does not cover it.
            1s spend #2 yes 5 at 0.50 fok
            > 1000ms #2 Delayed
            1100ms buy #3 yes 10 at 0.50 gtc
            > 1100ms #1 Matched
            > 1100ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.05 as Taker
            > 1100ms #1 filled 10
            > 1100ms #3 Delayed
            > 2000ms #2 cancelled Killed, matched 0
            > 2100ms #3 cancelled Killed, matched 0
            3s account
            > free 994.95 reserved 0.00 in flight 5.05 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 10
        "#]],
    );
}
