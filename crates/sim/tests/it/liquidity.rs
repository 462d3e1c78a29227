//! Displayed shares are sold once: to us, to others by print, or never.

use crate::common::{plain, story};
use expect_test::expect;
use polydesk_domain::Span;
use polydesk_sim::{Refill, SimConfig, SnapshotTakers};

/// Rows with one time are one batch.
fn batches() -> SimConfig {
    let mut config = plain();
    config.matching.batch_timeout = Span::millis(5);
    config
}

fn refilled(refill: Refill) -> SimConfig {
    let mut config = batches();
    config.matching.refill = refill;
    config
}

#[test]
fn a_cancel_with_its_replacement_in_one_batch_offers_nothing_again() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 40 at 0.40 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 100ms #1 filled 100
            200ms level yes sell 0.40 0
            200ms level yes sell 0.40 100
            300ms spend #2 yes 40 at 0.40 fak
            > 300ms #2 refused: fak_killed
            400ms level yes sell 0.40 0
            400ms level yes sell 0.40 130
            500ms spend #3 yes 40 at 0.40 fak
            > 500ms #3 Matched
            > 500ms #3 Matched buy 30 at 0.4000 for 12.00 fee 0.00 as Taker
            > 500ms #3 cancelled Killed, matched 30
            600ms until
        "#]],
    );
}

#[test]
fn a_print_of_another_taker_gives_back_nothing_that_we_took() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 20 at 0.40 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 50 at 0.4000 for 20.00 fee 0.00 as Taker
            > 100ms #1 filled 50
            The other taker bought the other half.
            200ms level yes sell 0.40 50
            220ms print yes buy 0.40 50
            300ms spend #2 yes 40 at 0.40 fak
            > 300ms #2 refused: fak_killed
            The same with the print first.
            400ms level yes sell 0.40 80
            500ms spend #3 yes 4 at 0.40 fak
            > 500ms #3 Matched
            > 500ms #3 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Taker
            > 500ms #3 filled 10
            600ms print yes buy 0.40 20
            620ms level yes sell 0.40 60
            700ms spend #4 yes 40 at 0.40 fak
            > 700ms #4 refused: fak_killed
            800ms until
        "#]],
    );
}

#[test]
fn a_print_before_its_level_change_sells_its_shares_once() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.45x10
            100ms print yes buy 0.45 10
            110ms spend #1 yes 4.5 at 0.45 fak
            > 110ms #1 refused: fak_killed
            120ms level yes sell 0.45 0
            200ms level yes sell 0.45 10
            Only four of ten are sold, and the market was idle before.
            1200ms print yes buy 0.45 4
            1210ms spend #2 yes 4.5 at 0.45 fak
            > 1210ms #2 Matched
            > 1210ms #2 Matched buy 6 at 0.4500 for 2.70 fee 0.00 as Taker
            > 1210ms #2 cancelled Killed, matched 6
            1220ms level yes sell 0.45 6
            1300ms spend #3 yes 4.5 at 0.45 fak
            > 1300ms #3 refused: fak_killed
            A print without a change: as much was displayed again with the trade.
            2000ms snap yes 0.30x100 / 0.46x10
            2100ms print yes buy 0.46 10
            2210ms spend #4 yes 4.6 at 0.46 fak
            > 2210ms #4 Matched
            > 2210ms #4 Matched buy 10 at 0.4600 for 4.60 fee 0.00 as Taker
            > 2210ms #4 filled 10
            2300ms until
        "#]],
    );
}

#[test]
fn a_print_explains_as_much_of_later_decreases_as_it_is_large() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.45x30
            100ms print yes buy 0.45 10
            110ms level yes sell 0.45 20
            120ms level yes sell 0.45 10
            200ms spend #1 yes 13.5 at 0.45 fak
            > 200ms #1 Matched
            > 200ms #1 Matched buy 10 at 0.4500 for 4.50 fee 0.00 as Taker
            > 200ms #1 cancelled Killed, matched 10
            300ms until
        "#]],
    );
}

#[test]
fn what_was_taken_comes_back_by_the_refill_rule() {
    story(
        refilled(Refill::AsShown),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 40 at 0.40 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 100ms #1 filled 100
            200ms level yes sell 0.40 0
            300ms level yes sell 0.40 30
            400ms spend #2 yes 40 at 0.40 fak
            > 400ms #2 Matched
            > 400ms #2 Matched buy 30 at 0.4000 for 12.00 fee 0.00 as Taker
            > 400ms #2 cancelled Killed, matched 30
            500ms until
        "#]],
    );
    story(
        refilled(Refill::Never),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 40 at 0.40 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 100ms #1 filled 100
            200ms level yes sell 0.40 0
            300ms level yes sell 0.40 130
            400ms spend #2 yes 40 at 0.40 fak
            > 400ms #2 Matched
            > 400ms #2 Matched buy 30 at 0.4000 for 12.00 fee 0.00 as Taker
            > 400ms #2 cancelled Killed, matched 30
            500ms until
        "#]],
    );
    story(
        refilled(Refill::After(Span::secs(2))),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 40 at 0.40 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 100ms #1 filled 100
            2099ms spend #2 yes 40 at 0.40 fak
            > 2099ms #2 refused: fak_killed
            2100ms spend #3 yes 40 at 0.40 fak
            > 2100ms #3 Matched
            > 2100ms #3 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 2100ms #3 filled 100
            2200ms spend #4 yes 40 at 0.40 fak
            > 2200ms #4 refused: fak_killed
            2300ms level yes sell 0.40 120
            2400ms spend #5 yes 40 at 0.40 fak
            > 2400ms #5 Matched
            > 2400ms #5 Matched buy 20 at 0.4000 for 8.00 fee 0.00 as Taker
            > 2400ms #5 cancelled Killed, matched 20
            2500ms until
        "#]],
    );
}

#[test]
fn a_print_that_no_change_follows_gives_back_nothing_that_we_took() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 20 at 0.40 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 50 at 0.4000 for 20.00 fee 0.00 as Taker
            > 100ms #1 filled 50
            200ms print yes buy 0.40 20
            1s spend #2 yes 40 at 0.40 fak
            > 1000ms #2 Matched
            > 1000ms #2 Matched buy 50 at 0.4000 for 20.00 fee 0.00 as Taker
            > 1000ms #2 cancelled Killed, matched 50
            1100ms until
        "#]],
    );
}

#[test]
fn a_taker_finds_what_a_crossing_of_our_order_left() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.45x10
            1ms buy #1 yes 6 at 0.42 gtc
            > 5ms #1 Live
            100ms snap yes 0.39x50 / 0.41x10
            > 105ms #1 Matched buy 6 at 0.4200 for 2.52 fee 0.00 as Maker
            > 105ms #1 filled 6
            A taker finds four of the ten that crossed our order.
            200ms spend #2 yes 5 at 0.41 fak
            > 200ms #2 Matched
            > 200ms #2 Matched buy 4 at 0.4100 for 1.64 fee 0.00 as Taker
            > 200ms #2 cancelled Killed, matched 4
            300ms until
        "#]],
    );
}

#[test]
fn a_taker_on_snapshots_gets_what_the_last_and_the_next_one_show() {
    let script = |takers| {
        let mut config = batches();
        config.matching.snapshot_takers = takers;
        config
    };
    story(
        script(SnapshotTakers::Worse),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 40 at 0.42 fak
            > 100ms #1 Delayed
            200ms cancel #1
            > 200ms #1 not cancelled, still open: true
            The ask moved away in between: a hundred cost what the next snapshot asks.
            1s snap yes 0.30x100 / 0.42x50 0.43x50
            > 1005ms #1 Matched
            > 1005ms #1 Matched buy 50 at 0.4200 for 21.00 fee 0.00 as Taker
            > 1005ms #1 cancelled Killed, matched 50
            1100ms snap yes 0.30x100 / 0.42x50 0.43x50
            It fell in between: the order pays what it met, and its shares are consumed where they are.
            2s spend #2 yes 4.30 at 0.43 fok
            > 2000ms #2 Delayed
            3s snap yes 0.30x100 / 0.39x10 0.43x50
            > 3005ms #2 Matched
            > 3005ms #2 Matched buy 10 at 0.4300 for 4.30 fee 0.00 as Taker
            > 3005ms #2 filled 10
            3100ms spend #3 yes 3.90 at 0.39 fak
            > 3100ms #3 refused: fak_killed
            4s snap yes 0.30x100 / 0.39x10 0.43x50
            Nothing comes any more.
            5s spend #4 yes 4.30 at 0.43 fok
            > 5000ms #4 Delayed
            > 5005ms #1 Mined buy 50 at 0.4200 for 21.00 fee 0.00 as Taker
            > 7005ms #2 Mined buy 10 at 0.4300 for 4.30 fee 0.00 as Taker
            > 10000ms #4 Matched
            > 10000ms #4 Matched buy 10 at 0.4300 for 4.30 fee 0.00 as Taker
            > 10000ms #4 filled 10
            > 11005ms #1 Confirmed buy 50 at 0.4200 for 21.00 fee 0.00 as Taker
            > 13005ms #2 Confirmed buy 10 at 0.4300 for 4.30 fee 0.00 as Taker
            > 14000ms #4 Mined buy 10 at 0.4300 for 4.30 fee 0.00 as Taker
            > 20000ms #4 Confirmed buy 10 at 0.4300 for 4.30 fee 0.00 as Taker
            60s until
        "#]],
    );
    story(
        script(SnapshotTakers::Last),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 40 at 0.42 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 100ms #1 filled 100
            1s snap yes 0.30x100 / 0.42x50 0.43x50
            2s until
        "#]],
    );
    story(
        script(SnapshotTakers::Worse),
        expect![[r#"
            0ms list delay 1s
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 40 at 0.42 fak
            > 100ms #1 Delayed
            500ms snap yes 0.30x100 / 0.41x100
            1500ms snap yes 0.30x100 / 0.40x60
            > 1505ms #1 Matched
            > 1505ms #1 Matched buy 60 at 0.4100 for 24.60 fee 0.00 as Taker
            > 1505ms #1 cancelled Killed, matched 60
            A feed of level changes needs no next snapshot.
            2s level yes sell 0.38 50
            2100ms spend #2 yes 3.8 at 0.38 fak
            > 2100ms #2 Delayed
            > 3100ms #2 Matched
            > 3100ms #2 Matched buy 10 at 0.3800 for 3.80 fee 0.00 as Taker
            > 3100ms #2 filled 10
            4s until
        "#]],
    );
}

#[test]
fn a_print_whose_row_is_late_sells_nothing_of_what_is_shown_after_its_level_change() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            Another taker buys fifty; the row of the print is 2.5 s late, and fifty are left for us.
            100ms level yes sell 0.40 50
            2600ms@120ms print yes buy 0.40 50
            2610ms spend #1 yes 40 at 0.40 fak
            > 2610ms #1 Matched
            > 2610ms #1 Matched buy 50 at 0.4000 for 20.00 fee 0.00 as Taker
            > 2610ms #1 cancelled Killed, matched 50
            2700ms until
        "#]],
    );
}

#[test]
fn a_refill_at_once_gives_a_displayed_level_once_per_batch() {
    story(
        refilled(Refill::After(Span::ZERO)),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.50x10
            10ms buy #1 yes 100 at 0.43 gtc
            > 10ms #1 Live
            100ms level yes sell 0.42 10
            > 105ms #1 Matched buy 10 at 0.4300 for 4.30 fee 0.00 as Maker
            200ms until
        "#]],
    );
}

#[test]
fn two_takers_that_wait_for_one_snapshot_share_what_it_shows() {
    let mut config = batches();
    config.matching.snapshot_takers = SnapshotTakers::Worse;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 32 at 0.40 fak
            > 100ms #1 Delayed
            110ms spend #2 yes 40 at 0.40 fak
            > 110ms #2 Delayed
            1s snap yes 0.30x100 / 0.40x90
            > 1005ms #1 Matched
            > 1005ms #1 Matched buy 80 at 0.4000 for 32.00 fee 0.00 as Taker
            > 1005ms #1 filled 80
            > 1005ms #2 Matched
            > 1005ms #2 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Taker
            > 1005ms #2 cancelled Killed, matched 10
            1100ms until
        "#]],
    );
}

#[test]
fn a_taker_that_waits_for_a_snapshot_when_the_book_is_lost_is_cancelled() {
    let mut config = batches();
    config.matching.snapshot_takers = SnapshotTakers::Worse;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 32 at 0.40 fak
            > 100ms #1 Delayed
            200ms interrupt
            > 5100ms #1 cancelled ByVenue, matched 0
            6s until
        "#]],
    );
}

#[test]
fn the_stated_part_of_a_level_is_of_what_a_print_has_left() {
    let mut config = batches();
    config.matching.depth_percent = 50;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            Sixty are sold and their level change has not come: we find half of forty.
            1s print yes buy 0.40 60
            1010ms spend #1 yes 40 at 0.40 fak
            > 1010ms #1 Matched
            > 1010ms #1 Matched buy 20 at 0.4000 for 8.00 fee 0.00 as Taker
            > 1010ms #1 cancelled Killed, matched 20
            1020ms level yes sell 0.40 40
            1030ms spend #2 yes 40 at 0.40 fak
            > 1030ms #2 refused: fak_killed
            1100ms until
        "#]],
    );
}

#[test]
fn a_print_withholds_its_shares_for_the_whole_netting_window() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x10
            1000ms print yes buy 0.40 10
            1100ms spend #1 yes 4 at 0.40 fak
            > 1100ms #1 refused: fak_killed
            1101ms spend #2 yes 4 at 0.40 fak
            > 1101ms #2 Matched
            > 1101ms #2 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Taker
            > 1101ms #2 filled 10
            1200ms until
        "#]],
    );
}

#[test]
fn what_we_took_of_a_level_that_the_best_prices_prove_empty_is_forgotten() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x100
            100ms spend #1 yes 40 at 0.40 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 100ms #1 filled 100
            200ms level yes sell 0.45 5
            200ms best yes 0.30 0.45
            300ms level yes buy 0.29 5
            What comes after it was empty is new.
            400ms level yes sell 0.40 30
            400ms best yes 0.30 0.40
            500ms spend #2 yes 40 at 0.40 fak
            > 500ms #2 Matched
            > 500ms #2 Matched buy 30 at 0.4000 for 12.00 fee 0.00 as Taker
            > 500ms #2 cancelled Killed, matched 30
            600ms until
        "#]],
    );
}

#[test]
fn a_print_takes_no_more_of_a_level_than_it_shows() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x10
            1000ms print yes buy 0.40 50
            Ten of the fifty came from what was shown.
            1010ms level yes sell 0.40 40
            1020ms spend #1 yes 40 at 0.40 fak
            > 1020ms #1 Matched
            > 1020ms #1 Matched buy 30 at 0.4000 for 12.00 fee 0.00 as Taker
            > 1020ms #1 cancelled Killed, matched 30
            1100ms until
        "#]],
    );
}

#[test]
fn a_print_from_before_an_interruption_takes_nothing_of_what_is_shown_after_it() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x10
            100ms print yes buy 0.40 10
            110ms interrupt
            120ms snap yes 0.30x100 / 0.40x10
            130ms spend #1 yes 4 at 0.40 fak
            > 130ms #1 Matched
            > 130ms #1 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Taker
            > 130ms #1 filled 10
            200ms until
        "#]],
    );
}

#[test]
fn a_taker_between_two_equal_snapshots_gets_each_level_as_shown() {
    let mut config = batches();
    config.matching.snapshot_takers = SnapshotTakers::Worse;
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x10 0.41x10 0.42x10
            100ms spend #1 yes 42 at 0.42 fak
            > 100ms #1 Delayed
            1s snap yes 0.30x100 / 0.40x10 0.41x10 0.42x10
            > 1005ms #1 Matched
            > 1005ms #1 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Taker
            > 1005ms #1 Matched buy 10 at 0.4100 for 4.10 fee 0.00 as Taker
            > 1005ms #1 Matched buy 10 at 0.4200 for 4.20 fee 0.00 as Taker
            > 1005ms #1 cancelled Killed, matched 30
            1100ms until
        "#]],
    );
}

#[test]
fn a_taker_finds_one_to_all_hundredths_of_a_level() {
    for (percent, holds) in [(0, false), (1, true), (100, true), (101, false)] {
        let mut config = plain();
        config.matching.depth_percent = percent;
        assert_eq!(config.check().is_ok(), holds, "{percent}");
    }
}

#[test]
fn two_orders_that_one_level_crosses_share_it_best_price_first() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.50x10
            10ms buy #1 yes 10 at 0.41 gtc
            > 10ms #1 Live
            20ms buy #2 yes 10 at 0.42 gtc
            > 20ms #2 Live
            100ms level yes sell 0.40 12
            > 105ms #2 Matched buy 10 at 0.4200 for 4.20 fee 0.00 as Maker
            > 105ms #2 filled 10
            > 105ms #1 Matched buy 2 at 0.4100 for 0.82 fee 0.00 as Maker
            200ms spend #3 yes 5 at 0.40 fak
            > 200ms #3 refused: fak_killed
            300ms until
        "#]],
    );
}
