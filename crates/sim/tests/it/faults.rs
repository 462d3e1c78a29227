//! Lost reports: fills, ends, settlement stages, answers to conversions.

use crate::common::{plain, story};
use expect_test::expect;
use polydesk_sim::SimConfig;

const ALWAYS: u32 = 1_000_000;

fn with(fault: impl Fn(&mut polydesk_sim::Faults)) -> SimConfig {
    let mut config = plain();
    fault(&mut config.faults);
    config
}

#[test]
fn a_lost_fill_is_first_reported_as_mined() {
    story(
        with(|faults| faults.lose_fill_ppm = ALWAYS),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 filled 10
            2s buy #2 yes 10 at 0.40 gtc
            > 2000ms #2 Live
            3s print yes sell 0.39 4
            > 5000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 7000ms #2 Mined buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            > 11000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 13000ms #2 Confirmed buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            20s account
            > free 991.00 reserved 2.40 in flight 0.00 to come 0.00
            > token 0: free 14 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn a_lost_end_is_not_reported_whatever_ended_the_order() {
    story(
        with(|faults| faults.lose_end_ppm = ALWAYS),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x10
            1s spend #1 yes 5 at 0.50 fok
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            2s snap yes 0.40x100 / 0.50x30
            3s spend #2 yes 25 at 0.50 fak
            > 3000ms #2 Matched
            > 3000ms #2 Matched buy 20 at 0.5000 for 10.00 fee 0.00 as Taker
            4s buy #3 yes 10 at 0.40 gtd180s
            > 4000ms #3 Live
            5s buy #4 yes 10 at 0.40 gtc
            > 5000ms #1 Mined buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 5000ms #4 Live
            6s buy #5 yes 10 at 0.40 gtc
            > 6000ms #5 Live
            A cancel has its own answer.
            7s cancel #4
            > 7000ms #2 Mined buy 20 at 0.5000 for 10.00 fee 0.00 as Taker
            > 7000ms #4 cancelled Requested, matched 0
            > 11000ms #1 Confirmed buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 13000ms #2 Confirmed buy 20 at 0.5000 for 10.00 fee 0.00 as Taker
            200s state closed
            300s account
            > free 985.00 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 30 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn a_match_settles_although_its_stages_are_not_reported() {
    story(
        with(|faults| faults.lose_settlement_ppm = ALWAYS),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            20s account
            > free 995.00 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 10 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
    let mut config = with(|faults| faults.lose_settlement_ppm = ALWAYS);
    config.settlement.fail_ppm = ALWAYS;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s buy #1 yes 10 at 0.50 gtc
            > 1000ms #1 Matched
            > 1000ms #1 Matched buy 10 at 0.5000 for 5.00 fee 0.00 as Taker
            > 1000ms #1 filled 10
            20s account
            > free 1000.00 reserved 0.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn a_conversion_changes_the_account_although_its_answer_is_lost() {
    let mut config = with(|faults| faults.lose_conversion_ppm = ALWAYS);
    config.conversions.auto_redeem = true;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.50x100
            1s split #1 30
            2s merge #2 10
            3s merge #3 21
            3s account
            > free 980.00 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 20 reserved 0 locked 0 leaving 0 incoming 0
            > token 1: free 20 reserved 0 locked 0 leaving 0 incoming 0
            The venue's own redemption is not lost: it has no id to query.
            4s state resolved 1000000
            > 4000ms Redeem 20.00 shares 20 and 20
            5s account
            > free 1000.00 reserved 0.00 in flight 0.00 to come 0.00
        "#]],
    );
}

#[test]
fn each_lost_report_is_counted() {
    let mut config = with(|faults| {
        faults.lose_fill_ppm = ALWAYS;
        faults.lose_end_ppm = ALWAYS;
        faults.lose_settlement_ppm = ALWAYS;
        faults.lose_conversion_ppm = ALWAYS;
    });
    config.settlement.retry_ppm = ALWAYS;
    let mut player = crate::common::Player::new(config);
    player.row("list");
    player.row("snap yes 0.40x100 / 0.50x100");
    player.send("buy #1 yes 10 at 0.50 gtc");
    player.send("split #2 10");
    player.row("snap yes 0.40x90 / 0.50x100");
    let later = player.sim.now() + polydesk_domain::Span::secs(600);
    player.sim.advance(later, &mut Vec::new());
    let counters = player.sim.counters();
    assert_eq!((counters.fills_lost, counters.ends_lost), (1, 1));
    assert_eq!(counters.settlements_lost, 3, "retrying, mined, confirmed");
    assert_eq!(counters.conversions_lost, 1);
}
