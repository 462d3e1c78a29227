//! Takers, resting orders, queues, batches.

use crate::common::{plain, story};
use expect_test::expect;
use polydesk_domain::Span;
use polydesk_sim::{Delay, FillRule, QueueModel, SimConfig};

#[test]
fn a_taker_finds_the_stated_part_of_each_level_and_takes_it_once() {
    let mut config = plain();
    config.matching.depth_percent = 70;
    story(
        config,
        expect![[r#"
            0ms list fee 0
            0ms snap yes 0.40x100 / 0.42x10 0.43x20
            1ms spend #1 yes 4.20 at 0.42 fak
            > 1ms #1 Matched
            > 1ms #1 Matched buy 7 at 0.4200 for 2.94 fee 0.00 as Taker
            > 1ms #1 cancelled Killed, matched 7
            2ms spend #2 yes 10 at 0.42 fak
            > 2ms #2 refused: fak_killed
            3ms level yes sell 0.42 20
            4ms spend #3 yes 10 at 0.42 fak
            > 4ms #3 Matched
            > 4ms #3 Matched buy 7 at 0.4200 for 2.94 fee 0.00 as Taker
            > 4ms #3 cancelled Killed, matched 7
            100ms account
            > free 994.12 reserved 0.00 in flight 5.88 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 14
        "#]],
    );
}

#[test]
fn a_taker_walks_displayed_depth_and_consumes_it() {
    story(
        plain(),
        expect![[r#"
            0ms list fee 70000
            0ms snap yes 0.40x100 / 0.42x10 0.43x20
            1ms buy #1 yes 20 at 0.43 gtc
            > 1ms #1 Matched
            > 1ms #1 Matched buy 10 at 0.4200 for 4.20 fee 0.17052 as Taker
            > 1ms #1 Matched buy 10.232558 at 0.4300 for 4.40 fee 0.17555 as Taker
            > 1ms #1 filled 20.232558
            2ms snap yes 0.40x100 / 0.42x10 0.43x20
            3ms spend #2 yes 10 at 0.43 fak
            > 3ms #2 Matched
            > 3ms #2 Matched buy 9.767442 at 0.4300 for 4.200001 fee 0.16758 as Taker
            > 3ms #2 cancelled Killed, matched 9.767442
            4ms spend #3 yes 10 at 0.43 fak
            > 4ms #3 refused: fak_killed
            5ms level yes sell 0.43 25
            6ms spend #4 yes 10 at 0.43 fak
            > 6ms #4 Matched
            > 6ms #4 Matched buy 5 at 0.4300 for 2.15 fee 0.08578 as Taker
            > 6ms #4 cancelled Killed, matched 5
            7ms account
            > free 984.450569 reserved 0.00 in flight 15.549431 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 35
            > 4001ms #1 Mined buy 10 at 0.4200 for 4.20 fee 0.17052 as Taker
            > 4001ms #1 Mined buy 10.232558 at 0.4300 for 4.40 fee 0.17555 as Taker
            > 4003ms #2 Mined buy 9.767442 at 0.4300 for 4.200001 fee 0.16758 as Taker
            > 4006ms #4 Mined buy 5 at 0.4300 for 2.15 fee 0.08578 as Taker
            > 10001ms #1 Confirmed buy 10 at 0.4200 for 4.20 fee 0.17052 as Taker
            > 10001ms #1 Confirmed buy 10.232558 at 0.4300 for 4.40 fee 0.17555 as Taker
            > 10003ms #2 Confirmed buy 9.767442 at 0.4300 for 4.200001 fee 0.16758 as Taker
            > 10006ms #4 Confirmed buy 5 at 0.4300 for 2.15 fee 0.08578 as Taker
            20s account
            > free 984.450569 reserved 0.00 in flight 0.00 to come 0.00
            > token 0: free 35 reserved 0 locked 0 leaving 0 incoming 0
        "#]],
    );
}

#[test]
fn mirrored_rows_and_no_orders_reach_the_same_liquidity_once() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x10 / 0.45x10
            1ms snap no 0.55x10 / 0.60x10
            2ms buy #1 no 10 at 0.60 gtc
            > 2ms #1 Matched
            > 2ms #1 Matched buy 10 at 0.6000 for 6.00 fee 0.00 as Taker
            > 2ms #1 filled 10
            3ms buy #2 no 10 at 0.60 gtc
            > 3ms #2 Live
            4ms level no sell 0.60 10
            5ms level yes buy 0.40 10
            6ms account
            > free 988.00 reserved 6.00 in flight 6.00 to come 0.00
            > token 1: free 0 reserved 0 locked 0 leaving 0 incoming 10
        "#]],
    );
}

#[test]
fn a_print_serves_the_queue_before_us_and_never_fills_twice() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            2ms buy #2 yes 10 at 0.40 gtc
            > 2ms #2 Live
            100ms print yes sell 0.40 45
            200ms print yes sell 0.40 12
            > 200ms #1 Matched buy 7 at 0.4000 for 2.80 fee 0.00 as Maker
            300ms print no buy 0.60 8
            > 300ms #1 Matched buy 3 at 0.4000 for 1.20 fee 0.00 as Maker
            > 300ms #1 filled 10
            > 300ms #2 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            400ms print yes sell 0.40 1
            > 400ms #2 Matched buy 1 at 0.4000 for 0.40 fee 0.00 as Maker
            500ms until
        "#]],
    );
}

#[test]
fn a_print_beyond_our_price_fills_us_up_to_its_size() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 0.38x50 / 0.45x10
            1ms buy #1 yes 10 at 0.39 gtc
            > 1ms #1 Live
            2ms sell #2 yes 10 at 0.50 gtc
            > 2ms #2 refused: balance
            3ms buy #3 no 10 at 0.52 gtc
            > 3ms #3 Live
            100ms print yes sell 0.38 7
            > 100ms #1 Matched buy 7 at 0.3900 for 2.73 fee 0.00 as Maker
            200ms print yes sell 0.38 7
            > 200ms #1 Matched buy 3 at 0.3900 for 1.17 fee 0.00 as Maker
            > 200ms #1 filled 10
            300ms print yes buy 0.49 30
            > 300ms #3 Matched buy 10 at 0.5200 for 5.20 fee 0.00 as Maker
            > 300ms #3 filled 10
            400ms until
        "#]],
    );
}

#[test]
fn the_level_that_shrank_decides_which_side_traded_whatever_was_published() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.42x50
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            2ms buy #2 no 10 at 0.58 gtc
            > 2ms #2 Live
            A trade at the bid, published as a buy; the level change came 20 ms before.
            100ms level yes buy 0.40 0
            120ms print yes buy 0.40 60
            > 120ms #1 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Maker
            > 120ms #1 filled 10
            A trade at the ask: nothing shrank, the price against the book decides.
            200ms print yes sell 0.42 60
            > 200ms #2 Matched buy 10 at 0.5800 for 5.80 fee 0.00 as Maker
            > 200ms #2 filled 10
            300ms until
        "#]],
    );
}

#[test]
fn data_from_before_an_order_came_to_rest_never_fill_it() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.42x50
            100ms level yes buy 0.40 0
            110ms buy #1 yes 10 at 0.40 gtc
            > 110ms #1 Live
            The print explains the change at 100 ms: that trade came before the order.
            120ms print yes sell 0.40 50
            130ms level yes buy 0.40 5
            A trade of which only a part is older fills with the rest.
            140ms print yes sell 0.40 7
            > 140ms #1 Matched buy 7 at 0.4000 for 2.80 fee 0.00 as Maker
            300ms until
        "#]],
    );
    let mut config = plain();
    config.matching.print_lag = polydesk_domain::Span::millis(50);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.41x5 0.39x5 / 0.42x50
            100ms buy #1 yes 10 at 0.40 gtc
            > 100ms #1 Live
            140ms print yes sell 0.40 50
            150ms print yes sell 0.40 50
            > 150ms #1 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Maker
            > 150ms #1 filled 10
            300ms until
        "#]],
    );
}

#[test]
fn an_order_in_flight_matches_the_book_at_its_arrival() {
    let mut config = plain();
    config.latency.insert = Delay::millis(50);
    config.latency.answer = Delay::millis(30);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.42x50
            10ms spend #1 yes 10 at 0.42 fak
            60ms level yes sell 0.42 0
            70ms spend #2 yes 10 at 0.42 fak
            > 90ms #1 refused: fak_killed
            119ms level yes sell 0.42 8
            > 150ms #2 Matched
            > 150ms #2 Matched buy 8 at 0.4200 for 3.36 fee 0.00 as Taker
            > 150ms #2 cancelled Killed, matched 8
            > 4150ms #2 Mined buy 8 at 0.4200 for 3.36 fee 0.00 as Taker
            10s until
        "#]],
    );
}

#[test]
fn a_displayed_ask_that_crosses_our_bid_fills_us_at_our_price_and_is_used_up() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.45x10
            1ms buy #1 yes 10 at 0.42 gtc
            > 1ms #1 Live
            10ms snap yes 0.39x50 / 0.41x6 0.46x5
            > 10ms #1 Matched buy 6 at 0.4200 for 2.52 fee 0.00 as Maker
            20ms snap yes 0.39x50 / 0.41x6 0.46x5
            30ms snap yes 0.39x50 / 0.41x9 0.46x5
            > 30ms #1 Matched buy 3 at 0.4200 for 1.26 fee 0.00 as Maker
            40ms until
            A crossed book is broken data: nothing trades with it.
            50ms snap yes 0.44x50 / 0.41x20
            60ms spend #2 yes 5 at 0.42 fak
            > 60ms #2 refused: fak_killed
            70ms until
        "#]],
    );
}

#[test]
fn an_order_that_arrives_in_a_batch_waits_until_it_is_complete() {
    let mut config = plain();
    config.matching.batch_timeout = polydesk_domain::Span::millis(5);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.42x50
            100ms level yes sell 0.42 0
            100ms spend #1 yes 10 at 0.42 fak
            103ms cancel #1
            > 105ms #1 refused: fak_killed
            > 105ms #1 not cancelled, still open: false
            110ms until
        "#]],
    );
}

#[test]
fn cancels_advance_the_queue_by_the_queue_model() {
    let script = |queue| SimConfig { queue, ..plain() };
    story(
        script(QueueModel::Pessimistic),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 100
            100ms level yes buy 0.40 80
            300ms print yes sell 0.40 55
            400ms print yes sell 0.40 60
            > 400ms #1 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Maker
            > 400ms #1 filled 10
            500ms until
        "#]],
    );
    story(
        script(QueueModel::Proportional),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 100
            100ms level yes buy 0.40 80
            300ms print yes sell 0.40 55
            > 300ms #1 Matched buy 7 at 0.4000 for 2.80 fee 0.00 as Maker
            500ms until
        "#]],
    );
    story(
        script(QueueModel::Power { exponent: 2 }),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x80 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 100
            100ms level yes buy 0.40 83
            300ms print yes sell 0.40 70
            > 300ms #1 Matched buy 5.999999 at 0.4000 for 2.40 fee 0.00 as Maker
            400ms until
        "#]],
    );
}

#[test]
fn a_print_whose_row_is_late_does_not_move_the_queue_twice() {
    let mut config = plain();
    config.queue = QueueModel::Power { exponent: 2 };
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 0.39x5 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            2ms buy #2 yes 10 at 0.42 gtc
            > 2ms #2 Live
            A trade of forty; the row of its print is 2.4 s late. The order at the better price fills.
            100ms level yes buy 0.40 60
            2500ms@110ms print yes sell 0.40 40
            > 2500ms #2 Matched buy 10 at 0.4200 for 4.20 fee 0.00 as Maker
            > 2500ms #2 filled 10
            Sixty are ahead of the other order, and not twenty.
            2550ms level yes buy 0.40 100
            From now on a level change waits so long: this trade is netted in time, and twenty are ahead.
            3000ms level yes buy 0.40 60
            5000ms@3010ms print yes sell 0.40 40
            6000ms print yes sell 0.40 25
            > 6000ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            6100ms until
        "#]],
    );
}

#[test]
fn an_empty_level_has_no_queue_in_any_model() {
    let models = [
        QueueModel::Pessimistic,
        QueueModel::Proportional,
        QueueModel::Power { exponent: 1 },
        QueueModel::Power { exponent: 8 },
    ];
    for queue in models {
        story(
            SimConfig { queue, ..plain() },
            expect![[r#"
                0ms list
                0ms snap yes 0.40x1000 / 0.45x10
                1ms buy #1 yes 10 at 0.40 gtc
                > 1ms #1 Live
                A thousand ahead of us cancel; thirty come behind us and are sold.
                100ms level yes buy 0.40 0
                300ms level yes buy 0.40 30
                400ms print yes sell 0.40 30
                > 400ms #1 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Maker
                > 400ms #1 filled 10
                410ms level yes buy 0.40 0
                500ms until
            "#]],
        );
    }
}

#[test]
fn a_level_that_shrank_because_of_a_print_is_not_also_a_cancel() {
    story(
        SimConfig { queue: QueueModel::Proportional, ..plain() },
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            100ms level yes buy 0.40 70
            120ms print yes sell 0.40 30
            200ms print yes sell 0.40 20
            210ms level yes buy 0.40 50
            500ms print yes sell 0.40 55
            > 500ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            600ms until
        "#]],
    );
}

#[test]
fn an_interruption_refills_nothing() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.42x10
            1ms spend #1 yes 4.20 at 0.42 fok
            > 1ms #1 Matched
            > 1ms #1 Matched buy 10 at 0.4200 for 4.20 fee 0.00 as Taker
            > 1ms #1 filled 10
            2ms interrupt
            3ms spend #2 yes 4.20 at 0.42 fok
            > 3ms #2 refused: not_ready
            4ms snap yes 0.40x100 / 0.42x10
            5ms spend #3 yes 4.20 at 0.42 fok
            > 5ms #3 refused: fok_killed
            6ms until
        "#]],
    );
}

#[test]
fn a_buy_spends_its_money_and_gets_more_shares_at_better_prices() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x100 / 0.40x1000
            1ms buy #1 yes 100 at 0.50 gtc
            > 1ms #1 Matched
            > 1ms #1 Matched buy 125 at 0.4000 for 50.00 fee 0.00 as Taker
            > 1ms #1 filled 125
            2ms spend #2 yes 5 at 0.66 fok
            > 2ms #2 Matched
            > 2ms #2 Matched buy 12.5 at 0.4000 for 5.00 fee 0.00 as Taker
            > 2ms #2 filled 12.5
            3ms snap yes 0.30x100 / 0.66x1000
            4ms spend #3 yes 5 at 0.66 fok
            > 4ms #3 Matched
            > 4ms #3 Matched buy 7.575757 at 0.6600 for 5.00 fee 0.00 as Taker
            > 4ms #3 filled 7.575757
            5ms snap yes 0.30x100 / 0.40x60 0.70x5
            6ms buy #4 yes 100 at 0.50 gtc
            > 6ms #4 Matched
            > 6ms #4 Matched buy 60 at 0.4000 for 24.00 fee 0.00 as Taker
            7ms account
            > free 890.00 reserved 26.00 in flight 84.00 to come 0.00
            > token 0: free 0 reserved 0 locked 0 leaving 0 incoming 205.075757
        "#]],
    );
}

#[test]
fn a_print_beyond_two_of_our_prices_is_shared_best_price_first() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.38x50 / 0.45x10
            1ms buy #1 yes 10 at 0.39 gtc
            > 1ms #1 Live
            2ms buy #2 yes 10 at 0.41 gtc
            > 2ms #2 Live
            3ms buy #3 yes 10 at 0.39 gtc
            > 3ms #3 Live
            100ms print yes sell 0.38 14
            > 100ms #2 Matched buy 10 at 0.4100 for 4.10 fee 0.00 as Maker
            > 100ms #2 filled 10
            > 100ms #1 Matched buy 4 at 0.3900 for 1.56 fee 0.00 as Maker
            200ms print yes sell 0.39 9
            > 200ms #1 Matched buy 6 at 0.3900 for 2.34 fee 0.00 as Maker
            > 200ms #1 filled 10
            > 200ms #3 Matched buy 3 at 0.3900 for 1.17 fee 0.00 as Maker
            300ms until
        "#]],
    );
}

#[test]
fn a_tick_size_change_refills_nothing() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.42x10
            1ms spend #1 yes 4.20 at 0.42 fok
            > 1ms #1 Matched
            > 1ms #1 Matched buy 10 at 0.4200 for 4.20 fee 0.00 as Taker
            > 1ms #1 filled 10
            2ms tick 0.001
            3ms snap yes 0.40x100 / 0.42x10
            4ms spend #2 yes 4.20 at 0.42 fok
            > 4ms #2 refused: fok_killed
            5ms buy #3 yes 10 at 0.405 gtc
            > 5ms #3 Live
            6ms until
        "#]],
    );
}

#[test]
fn a_coarser_tick_size_cancels_the_orders_that_are_no_multiple_of_it() {
    story(
        plain(),
        expect![[r#"
            0ms list tick 0.001 delay 1s
            0ms snap yes 0.400x100 / 0.450x10
            1ms buy #1 yes 10 at 0.405 gtc
            > 1ms #1 Live
            2ms buy #2 yes 10 at 0.41 gtc
            > 2ms #2 Live
            3ms buy #3 no 10 at 0.535 gtc
            > 3ms #3 Live
            10ms spend #4 yes 5 at 0.455 fak
            > 10ms #4 Delayed
            11ms buy #5 yes 10 at 0.455 gtc
            > 11ms #5 Delayed
            100ms tick 0.01
            > 100ms #1 cancelled ByVenue, matched 0
            > 100ms #3 cancelled ByVenue, matched 0
            110ms snap yes 0.40x100 / 0.45x10
            A print that would have filled them.
            200ms print yes sell 0.39 30
            > 200ms #2 Matched buy 10 at 0.4100 for 4.10 fee 0.00 as Maker
            > 200ms #2 filled 10
            > 1010ms #4 cancelled ByVenue, matched 0
            > 1011ms #5 cancelled ByVenue, matched 0
            2s until
        "#]],
    );
}

#[test]
fn an_open_order_shows_its_place_in_the_queue() {
    let mut player = crate::common::Player::new(plain());
    player.arrivals(&[&[1, 2]]);
    let views = player.sim.open_orders();
    let ahead: Vec<String> = views.iter().map(|view| view.ahead.to_string()).collect();
    assert_eq!(ahead, ["100", "100"], "others ahead; own earlier orders come first by arrival");
    assert!(views.iter().all(|view| !view.delayed && view.matched.is_zero()));
}

#[test]
fn cancels_from_before_we_came_to_rest_do_not_advance_us() {
    story(
        SimConfig { queue: QueueModel::Proportional, ..plain() },
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.45x10
            100ms level yes buy 0.40 40
            110ms buy #1 yes 10 at 0.40 gtc
            > 110ms #1 Live
            300ms print yes sell 0.40 40
            310ms print yes sell 0.40 1
            > 310ms #1 Matched buy 1 at 0.4000 for 0.40 fee 0.00 as Maker
            400ms until
        "#]],
    );
}

#[test]
fn a_print_at_the_best_bid_hits_it_though_published_as_a_buy() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x5 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            100ms print yes buy 0.40 8
            > 100ms #1 Matched buy 3 at 0.4000 for 1.20 fee 0.00 as Maker
            Inside the spread only the published side decides.
            200ms print yes buy 0.43 8
            300ms print no buy 0.61 2
            > 300ms #1 Matched buy 2 at 0.4000 for 0.80 fee 0.00 as Maker
            400ms until
        "#]],
    );
}

#[test]
fn rows_with_one_venue_time_are_one_batch_whatever_their_order() {
    let mut config = plain();
    config.matching.batch_timeout = polydesk_domain::Span::millis(5);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.45x50
            10ms buy #1 yes 10 at 0.40 gtc
            > 10ms #1 Live
            The print comes before the level change that decides its side.
            100ms print yes buy 0.40 55
            100ms level yes buy 0.40 0
            A later row completes the batch before the time-out.
            102ms level yes sell 0.45 40
            > 102ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            103ms until
        "#]],
    );
}

#[test]
fn a_later_row_of_another_market_completes_the_batch() {
    let mut config = plain();
    config.matching.batch_timeout = polydesk_domain::Span::millis(50);
    story(
        config,
        expect![[r#"
            0ms list
            0ms list
            0ms snap yes 0.40x50 / 0.45x50
            100ms level yes sell 0.44 50
            100ms spend #1 yes 4.40 at 0.44 fok
            110ms level yes1 buy 0.20 5
            > 110ms #1 Matched
            > 110ms #1 Matched buy 10 at 0.4400 for 4.40 fee 0.00 as Taker
            > 110ms #1 filled 10
            120ms until
            200ms level yes sell 0.44 60
            200ms spend #2 yes 4.40 at 0.44 fok
            > 250ms #2 Matched
            > 250ms #2 Matched buy 10 at 0.4400 for 4.40 fee 0.00 as Taker
            > 250ms #2 filled 10
            300ms until
        "#]],
    );
}

#[test]
fn without_prints_only_a_crossing_fills_and_the_fill_rule_shows_it() {
    let mut player = crate::common::Player::new(plain());
    player.arrivals(&[&[1]]);
    let market = polydesk_domain::MarketKey(0);
    assert_eq!(player.sim.fill_rule(market), FillRule::CrossingsOnly);
    // The whole level ahead of the order disappears without a print.
    player.row("snap yes 0.39x100 / 0.50x100");
    assert_eq!(player.sim.counters().fills(), 0);
    player.row("snap yes 0.30x100 / 0.40x4");
    assert_eq!(player.sim.counters().fills_by_crossing, 1);
    player.row("print yes sell 0.30 1");
    assert_eq!(player.sim.fill_rule(market), FillRule::PrintsAndCrossings);
}

#[test]
fn a_second_own_order_waits_for_its_own_queue_once() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x50 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 80
            60ms buy #2 yes 10 at 0.40 gtc
            > 60ms #2 Live
            Fifty of the eighty before #2 are before #1 too.
            100ms print yes sell 0.40 97
            > 100ms #1 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Maker
            > 100ms #1 filled 10
            > 100ms #2 Matched buy 7 at 0.4000 for 2.80 fee 0.00 as Maker
            200ms until
        "#]],
    );
}

#[test]
fn there_is_no_queue_of_shares_that_we_took() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.45x10
            1ms split #1 200
            > 1ms Split -200.00 shares 200 and 200
            20s sell #2 yes 80 at 0.40 fak
            > 20000ms #2 Matched
            > 20000ms #2 Matched sell 80 at 0.4000 for 32.00 fee 0.00 as Taker
            > 20000ms #2 filled 80
            21s buy #3 yes 10 at 0.40 gtc
            > 21000ms #3 Live
            Twenty of the hundred displayed are left ahead.
            22s print yes sell 0.40 25
            > 22000ms #3 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            23s until
        "#]],
    );
}

#[test]
fn a_print_older_than_our_order_serves_no_queue_before_it() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x100 / 0.45x10
            The print leads its level change: seventy are left when the order comes.
            100ms print yes sell 0.40 30
            110ms buy #1 yes 10 at 0.40 gtc
            > 110ms #1 Live
            120ms level yes buy 0.40 70
            300ms print yes sell 0.40 75
            > 300ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            400ms until
        "#]],
    );
}

#[test]
fn a_print_fills_no_order_that_is_younger_than_its_venue_time() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.41x5 0.39x5 / 0.45x10
            2000ms buy #1 yes 10 at 0.40 gtc
            > 2000ms #1 Live
            2500ms@1900ms print yes sell 0.40 50
            2600ms@2550ms print yes sell 0.40 50
            > 2600ms #1 Matched buy 10 at 0.4000 for 4.00 fee 0.00 as Maker
            > 2600ms #1 filled 10
            2700ms until
        "#]],
    );
}

#[test]
fn a_cancel_counts_against_what_a_print_of_the_same_decrease_left() {
    story(
        SimConfig { queue: QueueModel::Proportional, ..plain() },
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 90
            Ten of fifty are sold: fifty are before us and thirty behind. Of forty cancels, 25 were before us.
            100ms level yes buy 0.40 40
            110ms print yes sell 0.40 10
            400ms print yes sell 0.40 30
            > 400ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            500ms until
        "#]],
    );
}

#[test]
fn a_cancel_counts_against_what_an_earlier_print_left() {
    story(
        SimConfig { queue: QueueModel::Proportional, ..plain() },
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 90
            100ms print yes sell 0.40 10
            110ms level yes buy 0.40 40
            400ms print yes sell 0.40 30
            > 400ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            500ms until
        "#]],
    );
}

#[test]
fn a_print_at_the_end_of_the_netting_window_explains_its_decrease() {
    story(
        SimConfig { queue: QueueModel::Pessimistic, ..plain() },
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 100
            100ms level yes buy 0.40 70
            200ms print yes sell 0.40 30
            Thirty are ahead.
            500ms print yes sell 0.40 35
            > 500ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            600ms until
        "#]],
    );
}

#[test]
fn a_print_just_after_its_decrease_counted_as_a_cancel_moves_no_queue() {
    story(
        SimConfig { queue: QueueModel::Pessimistic, ..plain() },
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 100
            100ms level yes buy 0.40 70
            201ms@200ms print yes sell 0.40 30
            Sixty are ahead.
            500ms print yes sell 0.40 65
            > 500ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            600ms until
        "#]],
    );
}

#[test]
fn the_wait_for_late_prints_grows_to_its_limit() {
    let mut config = SimConfig { queue: QueueModel::Pessimistic, ..plain() };
    config.matching.netting_wait_most = Span::secs(1);
    story(
        config,
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.45x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            50ms level yes buy 0.40 100
            100ms level yes buy 0.40 60
            2500ms@110ms print yes sell 0.40 40
            3000ms level yes buy 0.40 100
            Two seconds are longer than the limit: it counts as a cancel from behind.
            3500ms level yes buy 0.40 70
            5500ms@3510ms print yes sell 0.40 30
            6000ms print yes sell 0.40 65
            > 6000ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            6100ms until
        "#]],
    );
}

#[test]
fn a_row_of_another_market_at_the_same_time_leaves_the_batch_open() {
    let mut batches = plain();
    batches.matching.batch_timeout = Span::millis(5);
    story(
        batches,
        expect![[r#"
            0ms list
            0ms list
            0ms snap yes 0.40x10 / 0.50x10
            10ms buy #1 yes 10 at 0.42 gtc
            > 10ms #1 Live
            100ms level yes sell 0.41 5
            100ms level yes1 buy 0.30 5
            100ms level yes sell 0.41 0
            200ms until
        "#]],
    );
}

#[test]
fn a_level_that_is_gone_keeps_its_queue_for_the_print_that_took_it() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.43x5 0.42x20 0.40x50 / 0.45x10
            1ms buy #1 yes 10 at 0.42 gtc
            > 1ms #1 Live
            The removal of the best bid was lost; that of ours comes before its print.
            100ms level yes buy 0.42 0
            100ms best yes 0.40 0.45
            110ms level yes buy 0.38 5
            120ms print yes sell 0.42 26
            > 120ms #1 Matched buy 6 at 0.4200 for 2.52 fee 0.00 as Maker
            200ms until
        "#]],
    );
}

#[test]
fn our_bids_for_both_outcomes_may_cost_less_than_a_dollar_together() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.30x60 / 0.50x10
            1ms buy #1 yes 10 at 0.40 gtc
            > 1ms #1 Live
            2ms buy #2 no 10 at 0.60 gtc
            > 2ms #2 refused: other
            3ms buy #3 no 10 at 0.59 gtc
            > 3ms #3 Live
            5ms until
        "#]],
    );
}

#[test]
fn a_tick_size_that_becomes_coarser_in_the_taker_delay_ends_the_order() {
    story(
        plain(),
        expect![[r#"
            0ms list tick 0.001 delay 1s
            0ms snap yes 0.300x60 / 0.405x50
            1ms buy #1 yes 10 at 0.405 gtc
            > 1ms #1 Delayed
            500ms tick 0.01
            600ms snap yes 0.30x60 / 0.40x50
            > 1001ms #1 cancelled ByVenue, matched 0
            1100ms until
        "#]],
    );
}

#[test]
fn a_print_and_a_crossing_in_one_batch_fill_an_order_once() {
    let mut batches = plain();
    batches.matching.batch_timeout = Span::millis(5);
    story(
        batches,
        expect![[r#"
            0ms list
            0ms snap yes 0.39x60 / 0.45x10
            10ms buy #1 yes 10 at 0.40 gtc
            > 10ms #1 Live
            100ms print yes sell 0.40 6
            100ms level yes sell 0.40 20
            > 105ms #1 Matched buy 6 at 0.4000 for 2.40 fee 0.00 as Maker
            > 105ms #1 Matched buy 4 at 0.4000 for 1.60 fee 0.00 as Maker
            > 105ms #1 filled 10
            Sixteen of the ask are left for others of ours.
            200ms spend #2 yes 40 at 0.40 fak
            > 200ms #2 Matched
            > 200ms #2 Matched buy 16 at 0.4000 for 6.40 fee 0.00 as Taker
            > 200ms #2 cancelled Killed, matched 16
            300ms until
        "#]],
    );
}

#[test]
fn a_level_that_the_best_prices_prove_empty_has_no_queue() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.42x1000 0.40x50 / 0.45x10
            1ms buy #1 yes 10 at 0.42 gtc
            > 1ms #1 Live
            The removal of the level was lost; the venue's best prices say that it is gone.
            100ms level yes buy 0.39 5
            100ms best yes 0.40 0.45
            200ms level yes buy 0.38 5
            Thirty come behind us and are sold.
            300ms level yes buy 0.42 30
            300ms best yes 0.42 0.45
            400ms print yes sell 0.42 30
            > 400ms #1 Matched buy 10 at 0.4200 for 4.20 fee 0.00 as Maker
            > 400ms #1 filled 10
            500ms until
        "#]],
    );
}

#[test]
fn an_order_that_comes_after_a_print_waits_for_what_is_displayed_again_with_it() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x10 / 0.45x10
            100ms print yes sell 0.40 4
            110ms buy #1 yes 10 at 0.40 gtc
            > 110ms #1 Live
            No level change follows: as much was displayed again before we came.
            400ms print yes sell 0.40 10
            500ms print yes sell 0.40 3
            > 500ms #1 Matched buy 3 at 0.4000 for 1.20 fee 0.00 as Maker
            600ms until
        "#]],
    );
}

#[test]
fn a_sale_that_rests_is_served_by_prints_of_either_token() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x10 / 0.60x20
            1ms split #1 10
            > 1ms Split -10.00 shares 10 and 10
            2ms sell #2 yes 10 at 0.60 gtc
            > 2ms #2 Live
            100ms print no sell 0.40 25
            > 100ms #2 Matched sell 5 at 0.6000 for 3.00 fee 0.00 as Maker
            110ms level no buy 0.40 0
            500ms print yes buy 0.60 9
            > 500ms #2 Matched sell 5 at 0.6000 for 3.00 fee 0.00 as Maker
            > 500ms #2 filled 10
            600ms until
        "#]],
    );
}

#[test]
fn an_order_that_comes_between_a_print_and_its_change_waits_for_the_rest() {
    story(
        plain(),
        expect![[r#"
            0ms list
            0ms snap yes 0.40x10 / 0.45x10
            100ms print yes sell 0.40 4
            110ms buy #1 yes 10 at 0.40 gtc
            > 110ms #1 Live
            111ms level yes buy 0.40 15
            120ms level yes buy 0.40 11
            400ms print yes sell 0.40 9
            > 400ms #1 Matched buy 3 at 0.4000 for 1.20 fee 0.00 as Maker
            500ms until
        "#]],
    );
}

#[test]
fn a_late_print_without_an_order_of_ours_lengthens_no_wait() {
    story(
        SimConfig { queue: QueueModel::Pessimistic, ..plain() },
        expect![[r#"
            0ms list
            0ms snap yes 0.40x60 / 0.45x10
            100ms level yes buy 0.40 50
            2500ms@110ms print yes sell 0.40 10
            2600ms buy #1 yes 10 at 0.40 gtc
            > 2600ms #1 Live
            2700ms level yes buy 0.40 90
            Thirty cancel behind us; half a second later it is too late for their print.
            3000ms level yes buy 0.40 60
            3500ms@3010ms print yes sell 0.40 30
            4000ms print yes sell 0.40 55
            > 4000ms #1 Matched buy 5 at 0.4000 for 2.00 fee 0.00 as Maker
            4100ms until
        "#]],
    );
}
