//! The truth harness: models are told apart by orders whose fate is known.

use std::path::{Path, PathBuf};

use polydesk_domain::{Side, Span, Time};
use polydesk_replay::truth::{
    Made, Model, RealOrder, predict, read_orders, score, spread_orders, with_fate,
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
        let said = predict(&mut tape(), &[order.clone()], &SimConfig::instant(), model).unwrap();
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
