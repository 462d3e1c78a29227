//! Socket frames: both shapes, all kinds, the venue's hashes, and what is wrong with some.

use crate::common::{Case, chain, shared};
use polydesk_domain::{Event, MarketEvent, MarketState, Outcome, Payout, Side, Tick, Time};
use polydesk_tape::{Format, TapeError, TapeReader, Times};
use std::io::Write as _;

const MARKET: &str = "0x86964402baab9700a765594e0856dcfce5120b44e0016d98e01801f0856f9118";

const OVERLAY: &str = r#"
[defaults]
tick = "0.01"
min_size = "5"
fee = [{ rate = "0.04", exponent = 1 }]
"#;

/// A rocklabs line around a frame.
fn line(millis: i64, frame: &str) -> String {
    let at = Time::from_millis(1_789_156_413_000 + millis);
    let content = serde_json::Value::String(frame.to_owned());
    format!("{{\"timestamp\":\"{at}\",\"message_type\":\"feed_message\",\"content\":{content}}}\n")
}

fn change(token: u8, side: &str, price: &str, size: &str) -> String {
    format!(
        r#"{{"asset_id":"{token}","price":"{price}","size":"{size}","side":"{side}","hash":"","best_bid":"0.40","best_ask":"0.42"}}"#
    )
}

fn price_change(millis: i64, entries: &[String]) -> String {
    format!(
        r#"{{"market":"{MARKET}","price_changes":[{}],"timestamp":"{}","event_type":"price_change"}}"#,
        entries.join(","),
        1_789_156_413_000i64 + millis
    )
}

#[test]
fn every_recorded_book_equals_the_venues_own_hash() {
    let folder = "orderbook/ws_verified";
    for (name, changes) in
        [("ask_cancellation_2026-09-11.jsonl", 10), ("crossed_fill_2026-09-11.jsonl", 4)]
    {
        let Some(file) = shared(&format!("{folder}/{name}")) else { return };
        let case = Case::new();
        let overlay = r#"
            [defaults]
            fee = [{ rate = "0.07", exponent = 1 }]
        "#;
        let overlay = case.file("facts.toml", overlay);
        let mut job = polydesk_tape::ImportJob::new(Format::WsVerified, vec![file], case.out());
        job.overlay = Some(overlay);
        let seen = polydesk_tape::import(&job).unwrap();
        assert_eq!(seen.hash_mismatches, 0, "{name}: {seen}");
        assert_eq!(seen.hash_unchecked, 0, "{name}: {seen}");
        assert!(seen.hash_ok >= 4, "{name}: {seen}");
        assert_eq!(seen.kinds["level"], changes, "{name}: {seen}");
        assert_eq!(seen.crossed_batches, 0, "{name}: {seen}");
        let reader = TapeReader::open(&case.out()).unwrap();
        assert_eq!(reader.manifest().times, Times::Received);
    }
}

#[test]
fn all_known_kinds_become_events_in_the_order_of_arrival() {
    let case = Case::new();
    case.file("overlay.toml", OVERLAY);
    let old = format!(
        r#"{{"asset_id":"12","event_type":"price_change","hash":"aa","market":"{MARKET}","price":".61","side":"BUY","size":"7.5","timestamp":"1789156413020"}}"#
    );
    let frames = [
        line(
            0,
            &price_change(0, &[change(11, "BUY", "0.40", "10"), change(12, "SELL", "0.60", "10")]),
        ),
        line(10, "PONG"),
        line(20, &old),
        line(
            30,
            &format!(
                r#"[{{"market":"{MARKET}","asset_id":"11","price":"0.42","size":"3","side":"BUY","timestamp":"1789156413030","event_type":"last_trade_price"}},{{"market":"{MARKET}","asset_id":"12","best_bid":"0.58","best_ask":"1","timestamp":"1789156413031","event_type":"best_bid_ask"}}]"#
            ),
        ),
        line(
            40,
            &format!(
                r#"{{"market":"{MARKET}","asset_id":"11","old_tick_size":"0.01","new_tick_size":"0.001","timestamp":"1789156413040","event_type":"tick_size_change"}}"#
            ),
        ),
        line(
            50,
            &format!(
                r#"{{"market":"{MARKET}","asset_id":"11","bids":[{{"price":"0.401","size":"5"}}],"asks":[],"hash":"x","timestamp":"1789156413050","event_type":"book"}}"#
            ),
        ),
        line(60, r#"{"event_type":"new_market","market":"0x1"}"#),
        line(
            70,
            &format!(
                r#"{{"event_type":"market_resolved","market":"{MARKET}","winning_asset_id":"12","timestamp":"1789156413070"}}"#
            ),
        ),
        "{\"timestamp\":\"2026-09-11T19:53:34Z\",\"message_type\":\"subscribed\",\"content\":{}}\n"
            .to_owned(),
    ];
    let file = case.file("frames.jsonl", frames.concat());
    let seen = case.import(Format::Rocklabs, &[file]).unwrap();
    let names: Vec<_> = seen.unknown_kinds.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(names, [("PONG", 1), ("new_market", 1), ("subscribed", 1)]);
    assert_eq!(seen.rejected(), 0, "{}", case.rejects());
    let events = case.events();
    assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at));
    let Event::Market(MarketEvent::Listed { market, .. }) = &events[0].event else {
        panic!("{:?}", events[0])
    };
    assert_eq!(market.tokens, ["11".parse().unwrap(), "12".parse().unwrap()]);
    assert!(market.assumed.iter().any(|fact| fact.starts_with("outcomes: ")));
    let Event::Market(MarketEvent::Level(old)) = &events[3].event else {
        panic!("{:?}", events[3])
    };
    assert_eq!((old.side, old.price.units(), old.size.micros()), (Side::Buy, 6_100, 7_500_000));
    assert_eq!((old.token.outcome(), old.top), (Outcome::No, None));
    assert!(
        matches!(events[4].event, Event::Market(MarketEvent::Print(print)) if print.size.micros() == 3_000_000)
    );
    // A best ask of one is an empty side.
    assert!(
        matches!(events[5].event, Event::Market(MarketEvent::Best { top, .. }) if top.ask().is_none())
    );
    assert!(matches!(
        events[6].event,
        Event::Market(MarketEvent::Tick { tick: Tick::Thousandth, .. })
    ));
    assert!(
        matches!(&events[7].event, Event::Market(MarketEvent::Snapshot(book)) if book.bids.len() == 1)
    );
    let resolved = MarketState::Resolved(Payout::NO);
    assert!(
        matches!(events[8].event, Event::Market(MarketEvent::State { state, .. }) if state == resolved)
    );
    assert_eq!(events.len(), 9);
}

#[test]
fn bad_entries_are_refused_alone_with_their_place() {
    let case = Case::new();
    case.file("overlay.toml", OVERLAY);
    let good = || change(11, "BUY", "0.40", "10");
    let mirror = || change(12, "SELL", "0.60", "10");
    let bad = [
        change(11, "BUY", "NaN", "10"),
        change(11, "BUY", "1.5", "10"),
        change(11, "BUY", "-0.1", "10"),
        change(11, "BUY", "0.40", "-3"),
        change(11, "BUY", "0.40", "1e30"),
        change(11, "BUY", "0.40", ""),
        change(11, "HOLD", "0.40", "10"),
        r#"{"asset_id":"eleven","price":"0.4","size":"1","side":"BUY"}"#.to_owned(),
        r#"{"asset_id":11,"price":null,"size":[],"side":7}"#.to_owned(),
        "3".to_owned(),
    ];
    let count = bad.len();
    let mut entries = vec![good(), mirror()];
    entries.extend(bad);
    let mut text = line(0, &price_change(0, &entries));
    text.push_str(&line(1, &price_change(-1_789_156_413_000, &[good()])));
    text.push_str(
        "{\"timestamp\":\"yesterday\",\"message_type\":\"feed_message\",\"content\":\"{}\"}\n",
    );
    text.push_str("not json at all\n\n");
    text.push_str(&line(2, "{\"market\":"));
    text.push_str(&line(3, &price_change(3, &[good()])));
    let file = case.file("frames.jsonl", text);
    let seen = case.import(Format::Rocklabs, &[file]).unwrap();
    assert_eq!(seen.kinds["level"], 3);
    assert_eq!(seen.rejected(), count as u64 + 4, "{}", case.rejects());
    for (reason, count) in [
        ("bad_price", 3),
        ("bad_size", 3),
        ("bad_side", 2),
        ("bad_token", 2),
        ("not_json", 2),
        ("bad_time", 2),
    ] {
        assert_eq!(seen.rejects.get(reason), Some(&count), "{reason}: {}", case.rejects());
    }
    assert!(case.rejects().lines().all(|line| line.contains("\"place\":\"line ")));
}

#[test]
fn a_recording_without_metadata_names_the_tokens_and_the_mend() {
    let case = Case::new();
    let file =
        case.file("frames.jsonl", line(0, &price_change(0, &[change(11, "BUY", "0.4", "1")])));
    let error = case.import(Format::Rocklabs, &[file]).unwrap_err();
    assert!(matches!(&error, TapeError::NoMetadata { tokens } if tokens.len() == 1));
    assert!(error.to_string().contains("overlay") && error.to_string().contains("11"), "{error}");
    assert!(!case.out().exists(), "nothing half-made is left behind");
    assert!(!case.place.path().join("tape.partial").exists());
}

#[test]
fn a_truncated_gz_or_zst_keeps_what_was_readable() {
    let mut text = String::new();
    for n in 0..4_000 {
        let size = format!("{}.{:02}", n * 7_919 % 100_003, n % 100);
        text.push_str(&line(
            n,
            &price_change(
                n,
                &[change(11, "BUY", "0.40", &size), change(12, "SELL", "0.60", &size)],
            ),
        ));
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(text.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    let zst = zstd::encode_all(text.as_bytes(), 3).unwrap();
    for (name, bytes) in [("frames.jsonl.gz", gz), ("frames.jsonl.zst", zst)] {
        let whole = Case::new();
        whole.file("overlay.toml", OVERLAY);
        let file = whole.file(name, &bytes);
        let seen = whole.import(Format::Rocklabs, &[file]).unwrap();
        assert_eq!((seen.kinds["level"], seen.truncated.len()), (8_000, 0));
        let case = Case::new();
        case.file("overlay.toml", OVERLAY);
        let file = case.file(name, &bytes[..bytes.len() * 2 / 3]);
        let seen = case.import(Format::Rocklabs, &[file]).unwrap();
        assert!(seen.kinds["level"] > 1_000, "{name}: {seen}");
        assert_eq!(seen.truncated.len(), 1);
        let cut = &seen.truncated[0];
        assert_eq!(cut.file, name);
        assert!(cut.place.contains("byte"), "{cut:?}");
        assert_eq!(case.events().len() as u64, seen.events);
        // Cut inside the header nothing can be read, and that is an error.
        let case = Case::new();
        case.file("overlay.toml", OVERLAY);
        let file = case.file(name, &bytes[..8]);
        let error = case.import(Format::Rocklabs, &[file]).unwrap_err();
        assert!(chain(&error).contains(name), "{error}");
    }
}

#[test]
fn repeated_and_reordered_rows_are_kept_and_counted() {
    let case = Case::new();
    case.file("overlay.toml", OVERLAY);
    let pair = |size: &str| [change(11, "BUY", "0.40", size), change(12, "SELL", "0.60", size)];
    let text = [
        line(0, &price_change(0, &pair("1"))),
        line(1, &price_change(50, &pair("2"))),
        line(2, &price_change(50, &pair("2"))),
        line(3, &price_change(20, &pair("3"))),
        line(4, &price_change(60, &pair("4"))),
    ];
    let file = case.file("frames.jsonl", text.concat());
    let seen = case.import(Format::Rocklabs, &[file]).unwrap();
    assert_eq!(seen.exact_duplicates, 2);
    assert_eq!((seen.backward_rows, seen.late_rows, seen.latest_by.as_millis()), (1, 2, 30));
    let events = case.events();
    assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].seq < pair[1].seq));
    assert_eq!(events.len(), 11);
}
