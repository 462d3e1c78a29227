//! What the data does not state is unknown, not empty: queues, windows of snapshots, invalidated books.

use crate::common::{plain, story};
use expect_test::expect;
use polydesk_domain::Span;
use polydesk_sim::SimConfig;

/// Rows with one time are one batch.
fn batches() -> SimConfig {
    let mut config = plain();
    config.matching.batch_timeout = Span::millis(5);
    config
}

#[test]
fn the_queue_of_a_level_that_no_row_stated_is_unknown_until_it_is() {
    story(
        batches(),
        expect![[r#"
            0ms list
            The tape has no snapshot: nothing is known below the best bid.
            0ms level yes buy 0.40 10
            0ms level yes sell 0.50 10
            100ms buy #1 yes 10 at 0.35 gtc
            > 100ms #1 Live
            A trade at the price may have served the queue only.
            200ms print yes sell 0.35 500
            The level is stated: fifty are ahead.
            300ms level yes buy 0.35 50
            600ms print yes sell 0.35 55
            > 605ms #1 Matched buy 5 at 0.3500 for 1.75 fee 0.00 as Maker
            700ms until
        "#]],
    );
}

#[test]
fn a_level_that_is_stated_empty_has_no_queue() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms level yes buy 0.40 10
            0ms level yes sell 0.50 10
            100ms level yes buy 0.35 0
            200ms buy #1 yes 10 at 0.35 gtc
            > 200ms #1 Live
            300ms print yes sell 0.35 5
            > 305ms #1 Matched buy 5 at 0.3500 for 1.75 fee 0.00 as Maker
            A trade beyond the price needs no queue.
            400ms buy #2 yes 10 at 0.34 gtc
            > 400ms #2 Live
            500ms print yes sell 0.33 15
            > 505ms #1 Matched buy 5 at 0.3500 for 1.75 fee 0.00 as Maker
            > 505ms #1 filled 10
            > 505ms #2 Matched buy 10 at 0.3400 for 3.40 fee 0.00 as Maker
            > 505ms #2 filled 10
            600ms until
        "#]],
    );
}

#[test]
fn below_the_worst_level_of_a_snapshot_the_queue_is_unknown() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x10 0.38x10 / 0.50x10
            100ms buy #1 yes 10 at 0.37 gtc
            > 100ms #1 Live
            110ms buy #2 yes 10 at 0.39 gtc
            > 110ms #2 Live
            Within the window an empty level is empty.
            200ms print yes sell 0.39 10
            > 205ms #2 Matched buy 10 at 0.3900 for 3.90 fee 0.00 as Maker
            > 205ms #2 filled 10
            300ms print yes sell 0.37 500
            The window reaches the order.
            400ms snap yes 0.40x10 0.37x30 / 0.50x10
            500ms print yes sell 0.37 35
            > 505ms #1 Matched buy 5 at 0.3700 for 1.85 fee 0.00 as Maker
            600ms until
        "#]],
    );
}

#[test]
fn an_order_keeps_its_place_while_the_window_is_elsewhere() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 0.38x10 / 0.50x10
            100ms buy #1 yes 10 at 0.40 gtc
            > 100ms #1 Live
            The price rises: the window of two levels leaves the order.
            200ms snap yes 0.44x10 0.43x10 / 0.50x10
            500ms snap yes 0.41x10 0.40x80 / 0.50x10
            Fifty are ahead of it, as before.
            900ms print yes sell 0.40 20
            The window leaves again and returns with two of the thirty left: two are ahead.
            1000ms snap yes 0.44x10 0.43x10 / 0.50x10
            2000ms snap yes 0.41x10 0.40x2 / 0.50x10
            3000ms print yes sell 0.40 4
            > 3005ms #1 Matched buy 2 at 0.4000 for 0.80 fee 0.00 as Maker
            4000ms until
        "#]],
    );
}

#[test]
fn what_we_took_of_a_level_is_remembered_while_the_window_is_elsewhere() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x10 / 0.40x100 0.41x10
            100ms spend #1 yes 40 at 0.40 fak
            > 100ms #1 Matched
            > 100ms #1 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 100ms #1 filled 100
            200ms snap yes 0.30x5 / 0.36x10 0.37x10
            300ms snap yes 0.30x10 / 0.40x100 0.41x10
            400ms spend #2 yes 40 at 0.40 fak
            > 400ms #2 refused: fak_killed
            Inside the window it is gone, and what comes is new.
            500ms snap yes 0.30x10 / 0.39x10 0.41x10
            600ms snap yes 0.30x10 / 0.40x100 0.41x10
            700ms spend #3 yes 40 at 0.40 fak
            > 700ms #3 Matched
            > 700ms #3 Matched buy 100 at 0.4000 for 40.00 fee 0.00 as Taker
            > 700ms #3 filled 100
            800ms until
        "#]],
    );
}

#[test]
fn nothing_rests_or_matches_in_an_invalidated_book() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms buy #1 yes 10 at 0.40 gtc
            > 0ms #1 refused: not_ready
            10ms snap yes 0.40x10 / 0.50x10
            20ms buy #2 yes 10 at 0.42 gtc
            > 20ms #2 Live
            100ms interrupt
            110ms buy #3 yes 10 at 0.55 gtc post
            > 110ms #3 refused: not_ready
            120ms spend #4 yes 5 at 0.55 fak
            > 120ms #4 refused: not_ready
            A print fills nothing: what stands where is not known.
            200ms print yes sell 0.41 10
            300ms snap yes 0.40x10 / 0.50x10
            400ms print yes sell 0.41 4
            > 405ms #2 Matched buy 4 at 0.4200 for 1.68 fee 0.00 as Maker
            500ms until
        "#]],
    );
}

#[test]
fn a_taker_delay_that_ends_in_an_invalidated_book_ends_the_order() {
    story(
        batches(),
        expect![[r#"
            0ms list delay 1s
            0ms snap yes 0.40x10 / 0.50x10
            100ms buy #1 yes 10 at 0.50 gtc
            > 100ms #1 Delayed
            500ms interrupt
            > 1100ms #1 cancelled ByVenue, matched 0
            1200ms snap yes 0.40x10 / 0.50x10
            1300ms until
        "#]],
    );
}

#[test]
fn an_order_does_not_fill_as_maker_at_a_price_through_which_the_book_stood() {
    story(
        batches(),
        expect![[r#"
            0ms list
            After a break only the bids are stated at first.
            0ms level yes buy 0.40 10
            100ms buy #1 yes 10 at 0.55 gtc post
            > 100ms #1 Live
            200ms level yes sell 0.50 20
            > 205ms #1 cancelled ByVenue, matched 0
            A crossed book: the ask of 0.41 stands already.
            1000ms snap yes 0.44x50 / 0.41x20
            1100ms buy #2 yes 10 at 0.42 gtc
            > 1100ms #2 Live
            1200ms print yes sell 0.41 20
            1300ms snap yes 0.40x50 / 0.41x20
            > 1305ms #2 cancelled ByVenue, matched 0
            Proven to stand elsewhere, and crossed later.
            2000ms snap yes 0.44x50 / 0.43x20
            2100ms buy #3 yes 10 at 0.43 gtc
            > 2100ms #3 Live
            2200ms snap yes 0.40x50 / 0.45x20
            2300ms snap yes 0.40x50 / 0.42x20
            > 2305ms #3 Matched buy 10 at 0.4300 for 4.30 fee 0.00 as Maker
            > 2305ms #3 filled 10
            2400ms until
        "#]],
    );
}

#[test]
fn a_level_that_leaves_the_window_explains_no_print() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 0.38x10 / 0.50x10
            200ms snap yes 0.44x10 0.43x10 / 0.50x10
            210ms buy #1 yes 10 at 0.42 gtc
            > 210ms #1 Live
            260ms print yes sell 0.40 50
            > 265ms #1 Matched buy 10 at 0.4200 for 4.20 fee 0.00 as Maker
            > 265ms #1 filled 10
            300ms until
        "#]],
    );
}

#[test]
fn a_side_that_a_snapshot_shows_empty_has_no_queue() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes / 0.50x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            100ms print yes sell 0.40 4
            > 100ms #1 Matched buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            An empty book is known, and not lost.
            200ms snap yes /
            210ms buy #2 yes 10 at 0.90 gtc
            > 210ms #2 Live
            300ms until
        "#]],
    );
}

#[test]
fn after_an_interruption_at_most_what_is_shown_again_is_ahead() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.50x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            100ms interrupt
            200ms snap yes 0.40x12 / 0.50x10
            300ms print yes sell 0.40 15
            > 300ms #1 Matched buy 3 at 0.4000 for 1.20 fee 0.00 as Maker
            More came meanwhile: they are behind us.
            400ms interrupt
            500ms snap yes 0.40x500 / 0.50x10
            600ms print yes sell 0.40 4
            > 600ms #1 Matched buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            700ms until
        "#]],
    );
}

#[test]
fn an_order_is_in_doubt_until_the_opposite_side_is_stated() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms level yes buy 0.40 10
            100ms buy #1 yes 10 at 0.55 gtc post
            > 100ms #1 Live
            150ms level yes buy 0.39 5
            200ms level yes sell 0.50 20
            > 205ms #1 cancelled ByVenue, matched 0
            300ms until
        "#]],
    );
}

#[test]
fn a_decrease_in_the_batch_that_states_a_level_is_in_its_size() {
    story(
        batches(),
        expect![[r#"
            0ms list
            0ms level yes buy 0.40 10
            0ms level yes sell 0.50 10
            100ms buy #1 yes 10 at 0.35 gtc
            > 100ms #1 Live
            200ms level yes buy 0.35 50
            200ms level yes buy 0.35 30
            500ms print yes sell 0.35 35
            > 505ms #1 Matched buy 5 at 0.3500 for 1.75 fee 0.00 as Maker
            600ms until
        "#]],
    );
}
