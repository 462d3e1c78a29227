//! The truth harness: models are told apart by orders whose fate is known.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polydesk_domain::{
    Event, Interruption, MarketEvent, MarketKey, Shares, Side, Span, Stamped, Time,
};
use polydesk_replay::truth::{
    Made, Model, Predicted, RealOrder, predict, read_orders, score, spread_orders, with_fate,
};
use polydesk_sim::{QueueModel, SimConfig};
use polydesk_tape::{MemorySource, TapeReader};

use crate::common::{at, level, market, print, snapshot};
use crate::honesty::listed;

fn tape() -> TapeReader {
    let tapes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tapes");
    let dirs: [PathBuf; 1] = [tapes.join("nhl-2026-06-07")];
    TapeReader::open_again(&dirs).unwrap()
}

#[test]
fn the_true_model_is_strictly_the_best_of_all() {
    let config = SimConfig::default();
    let rows = tape().manifest().rows;
    let made = spread_orders(&mut tape(), Made { orders: 720, rows, seed: 7 }).unwrap();
    let truth = Model { queue: QueueModel::Proportional, delay: Span::millis(300) };
    let fates = predict(&mut tape(), &made, &config, truth).unwrap();
    let orders = with_fate(made, &fates);
    let filled = orders.iter().filter(|order| order.first_fill.is_some()).count();
    assert!(filled >= 200, "{filled} of {}", orders.len());
    let mut scores = Vec::new();
    for queue in [
        QueueModel::Pessimistic,
        QueueModel::Proportional,
        QueueModel::Power { exponent: 2 },
        QueueModel::Power { exponent: 3 },
    ] {
        for millis in [100, 300, 1_000] {
            let model = Model { queue, delay: Span::millis(millis) };
            let said = predict(&mut tape(), &orders, &config, model).unwrap();
            let score = score(&orders, &said);
            assert_eq!(score.not_judged, 0);
            scores.push((score.sum(), model));
        }
    }
    scores.sort_by_key(|(sum, _)| *sum);
    assert_eq!(scores[0].1, truth, "{scores:?}");
    assert!(scores[0].0 < scores[1].0, "{scores:?}");
}

/// A bid of 10 at 0.40 behind 20 others, sent at 100 ms.
fn bid(filled: &str, first_fill: Option<i64>) -> RealOrder {
    RealOrder {
        id: "one".to_owned(),
        token: market(1).tokens[0],
        side: Side::Buy,
        price: "0.40".parse().unwrap(),
        size: "10".parse().unwrap(),
        placed: at(100),
        cancelled: Some(at(60_000)),
        filled: filled.parse().unwrap(),
        first_fill: first_fill.map(at),
    }
}

#[test]
fn errors_count_by_shares_and_by_time() {
    let tape = || {
        MemorySource::new(vec![
            listed(),
            snapshot(0, 0, &[(40, 20)], &[(44, 25)]),
            // 20 ahead, then 6 of ours.
            level(5_000, 0, Side::Buy, 40, 0),
            print(5_010, 0, Side::Sell, 40, 26),
            level(90_000, 0, Side::Buy, 39, 5),
        ])
    };
    let model = Model { queue: QueueModel::Pessimistic, delay: Span::millis(300) };
    let judge = |order: RealOrder| {
        let said =
            predict(&mut tape(), core::slice::from_ref(&order), &SimConfig::instant(), model)
                .unwrap();
        (said[0].map(|said| (said.filled.to_string(), said.first_fill)), score(&[order], &said))
    };
    let (said, exact) = judge(bid("6", Some(5_010)));
    assert_eq!(said, Some(("6".to_owned(), Some(at(5_010)))));
    assert_eq!((exact.both, exact.sum()), (1, 0));
    let (_, late) = judge(bid("9", Some(35_010)));
    assert_eq!((late.shares_error, late.time_error), (300, 500));
    let (_, none) = judge(bid("0", None));
    assert_eq!((none.model_only, none.shares_error, none.time_error), (1, 600, 1_000));
    // A sale of the other token at the complement is the same order.
    let other = RealOrder {
        token: market(1).tokens[1],
        side: Side::Sell,
        price: "0.60".parse().unwrap(),
        ..bid("6", Some(5_010))
    };
    assert_eq!(judge(other).1.sum(), 0);
    // Cancelled before: nothing.
    let gone = RealOrder { cancelled: Some(at(4_000)), ..bid("0", None) };
    assert_eq!(judge(gone).1.neither, 1);
    // Of a token that the tape does not know, or before it begins: not judged.
    let unknown = RealOrder { token: "123".parse().unwrap(), ..bid("0", None) };
    assert_eq!(judge(unknown).1.not_judged, 1);
}

#[test]
fn orders_that_contradict_themselves_are_refused_by_line() {
    let line = |from: &str, to: &str| {
        let text = serde_json::to_string(&bid("6", Some(5_010))).unwrap();
        assert!(text.contains(from), "{text}");
        format!("\n{}", text.replace(from, to))
    };
    assert_eq!(read_orders(&line("one", "two")).unwrap().len(), 1);
    let time = |time: Time| time.to_string();
    let rows: [(&str, &str, &str); 7] = [
        ("\"filled\":\"6\"", "\"filled\":\"11\"", "filled 11 is more than size 10"),
        ("\"filled\":\"6\"", "\"filled\":\"0\"", "filled and first_fill go together"),
        ("\"size\":\"10\"", "\"size\":\"0\"", "size is 0"),
        (&time(at(5_010)), &time(at(90)), "before placed"),
        (&time(at(100)), "soon", "is no time like"),
        ("\"side\"", "\"way\"", "way"),
        ("\"price\":\"0.4", "\"price\":\"1.4", "price"),
    ];
    for (from, to, part) in rows {
        let error = read_orders(&line(from, to)).unwrap_err();
        assert!(error.starts_with("line 2: ") && error.contains(part), "{to}: {error}");
    }
}

/// A market at 0.40 x 20 in which 26 are sold at 0.40 after five seconds, and a last row after 90.
fn sold_through() -> Vec<Stamped> {
    vec![
        listed(),
        snapshot(0, 0, &[(40, 20)], &[(44, 25)]),
        level(5_000, 0, Side::Buy, 40, 0),
        print(5_010, 0, Side::Sell, 40, 26),
        level(90_000, 0, Side::Buy, 39, 5),
    ]
}

const MODEL: Model = Model { queue: QueueModel::Pessimistic, delay: Span::millis(300) };

fn said(tape: Vec<Stamped>, orders: &[RealOrder]) -> Vec<Option<Predicted>> {
    predict(&mut MemorySource::new(tape), orders, &SimConfig::instant(), MODEL).unwrap()
}

/// Six shares at the print.
fn six() -> Option<Predicted> {
    Some(Predicted { filled: Shares::whole(6), first_fill: Some(at(5_010)) })
}

#[test]
fn orders_are_judged_in_any_order_and_each_alone() {
    let late = RealOrder { placed: at(20_000), ..bid("0", None) };
    let (one, two) = (bid("6", Some(5_010)), bid("6", Some(5_010)));
    let orders = [late, one, two];
    assert_eq!(said(sold_through(), &orders), [Some(Predicted::default()), six(), six()]);
}

#[test]
fn what_happened_after_the_tape_is_not_judged() {
    let filled = |first_fill| {
        let order = RealOrder { cancelled: None, ..bid("6", Some(first_fill)) };
        said(sold_through(), &[order])[0]
    };
    assert_eq!(filled(5_010), six());
    assert_eq!(filled(90_000), six());
    assert_eq!(filled(90_001), None);
    // Sent after the last row: not judged either, and with an empty tape nothing is.
    let after = RealOrder { placed: at(90_001), cancelled: None, ..bid("0", None) };
    assert_eq!(said(sold_through(), &[after]), [None]);
    let orders = [bid("0", None), bid("6", Some(5_010))];
    let none = said(vec![], &orders);
    assert_eq!((score(&orders, &none).not_judged, score(&orders, &none).sum()), (2, 0));
    assert_eq!(said(sold_through(), &[]), []);
}

#[test]
fn an_order_with_a_gap_of_the_tape_in_its_life_is_not_judged() {
    let gap = MarketEvent::Interrupted(Interruption { market: None });
    let gap = crate::common::row(200, Event::Market(gap));
    let mut tape = sold_through();
    tape.insert(2, gap);
    tape.insert(3, snapshot(1_000, 0, &[(40, 20)], &[(44, 25)]));
    // A gap after it was sent, and one that it is sent into, though it arrives after the next snapshot.
    assert_eq!(said(tape.clone(), &[bid("6", Some(5_010))]), [None]);
    let into = RealOrder { placed: at(800), ..bid("6", Some(5_010)) };
    assert_eq!(said(tape.clone(), &[into]), [None]);
    let after = RealOrder { placed: at(1_001), ..bid("6", Some(5_010)) };
    assert_eq!(said(tape, &[after]), [six()]);
    // A gap after the order was over, or of another market, is none of it.
    let gap = |millis, market| {
        let mut tape = sold_through();
        let gap = MarketEvent::Interrupted(Interruption { market });
        tape.push(crate::common::row(millis, Event::Market(gap)));
        tape.sort_by_key(|row| row.at);
        said(tape, &[bid("6", Some(5_010))])[0]
    };
    assert_eq!(gap(60_000, None), None);
    assert_eq!(gap(60_001, None), six());
    assert_eq!(gap(40_000, Some(MarketKey(0))), None);
    assert_eq!(gap(40_000, Some(MarketKey(7))), six());
}

#[test]
fn rows_of_other_markets_change_nothing() {
    let mut tape = sold_through();
    let other = MarketEvent::Listed { key: MarketKey(1), market: Arc::new(market(2)) };
    tape.insert(1, crate::common::row(0, Event::Market(other)));
    tape.insert(3, snapshot(2_000, 2, &[(30, 10)], &[(40, 500)]));
    tape.insert(4, print(3_000, 2, Side::Sell, 30, 500));
    assert_eq!(said(tape, &[bid("6", Some(5_010))]), [six()]);
}

#[test]
fn a_cancel_that_arrives_before_the_print_is_in_time() {
    let cancelled = |millis| {
        let order = RealOrder { cancelled: Some(at(millis)), ..bid("0", None) };
        said(sold_through(), &[order])[0].unwrap().filled
    };
    assert_eq!(cancelled(4_709), Shares::ZERO);
    assert_eq!(cancelled(4_711), Shares::whole(6));
    // It is sent with the order and never overtakes it.
    assert_eq!(cancelled(100), Shares::ZERO);
}

#[test]
fn no_more_orders_are_made_than_asked_for() {
    let made = |orders| {
        let made = Made { orders, rows: 5, seed: 7 };
        spread_orders(&mut MemorySource::new(sold_through()), made).unwrap().len()
    };
    assert_eq!(made(0), 0);
    assert_eq!(made(1), 1);
    assert!(made(3) <= 3, "{}", made(3));
    assert!(made(9) <= 5, "{}", made(9));
}

#[test]
fn an_hour_off_is_one_minute_of_error_and_no_more() {
    let judge = |first_fill: i64| {
        let order = bid("6", Some(first_fill));
        score(&[order], &[six()])
    };
    assert_eq!(judge(5_010 + 59_999).time_error, 999);
    assert_eq!(judge(5_010 + 60_000).time_error, 1_000);
    assert_eq!(judge(5_010 + 3_600_000).time_error, 1_000);
    assert_eq!(judge(4_950).time_error, 1);
    // Shares: the error in parts of the size, whichever side has more.
    let order = RealOrder { filled: Shares::ZERO, first_fill: None, ..bid("0", None) };
    let whole = Predicted { filled: Shares::whole(10), first_fill: Some(at(200)) };
    let of = score(&[order], &[Some(whole)]);
    assert_eq!((of.model_only, of.shares_error, of.time_error), (1, 1_000, 1_000));
    let order = bid("10", Some(200));
    let of = score(&[order], &[Some(Predicted::default())]);
    assert_eq!((of.truth_only, of.shares_error, of.time_error), (1, 1_000, 1_000));
}

#[test]
fn a_tape_that_was_received_late_is_judged_by_the_venues_clock() {
    let mut tape = sold_through();
    for row in &mut tape {
        row.at = row.at + Span::secs(2);
    }
    assert_eq!(said(tape, &[bid("6", Some(5_010))]), [six()]);
}

#[test]
fn an_order_that_the_market_as_recorded_would_not_take_is_not_judged() {
    let judged = |order: RealOrder| said(sold_through(), &[order])[0].is_some();
    let of = |size: &str, price: &str| RealOrder {
        size: size.parse().unwrap(),
        price: price.parse().unwrap(),
        ..bid("0", None)
    };
    assert!(judged(of("5", "0.40")));
    assert!(!judged(of("4.99", "0.40")), "below the least size of five");
    assert!(!judged(of("10.005", "0.40")), "parts of a hundredth");
    assert!(!judged(of("10", "0.405")), "between two ticks");
    // It would not have rested: that is for the model to say.
    assert!(judged(of("10", "0.44")));
}
