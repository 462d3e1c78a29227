//! How a recording ends: silences, resolutions, and what an interrupted import leaves behind.

use polydesk_domain::{Event, MarketEvent, MarketState, Payout, Span, Stamped};
use polydesk_tape::{Certificate, Format, ImportJob, import};

use crate::common::{Case, chain};

const MARKET: &str = "0x00000000000000000000000000000000000000000000000000000000000000aa";
const MAP: &str = r#"
    time = { column = "ts", unit = "s" }
    token = { column = "token" }
    kind = { column = "kind", words = { book = "level", print = "print", end = "resolved" } }
    side = { fixed = "buy" }
    price = { column = "price" }
    size = { column = "size" }
"#;

fn overlay(more: &str) -> String {
    format!(
        r#"
        [[market]]
        condition = "{MARKET}"
        tokens = ["11", "12"]
        tick = "0.01"
        min_size = "5"
        fee = [{{ rate = "0", exponent = 1 }}]
        {more}
        "#
    )
}

/// A table with one bid a second at each of these times; rows of their own can be added.
fn table(case: &Case, times: &[i64], more: &str, facts: &str, silence: Option<i64>) -> Certificate {
    case.file("overlay.toml", overlay(facts));
    let mut text = "ts,token,kind,price,size\n".to_owned();
    for at in times {
        text.push_str(&format!("{},11,book,0.40,{}\n", 1_780_000_000 + at, 5 + at % 7));
    }
    text.push_str(more);
    let mut job = ImportJob::new(Format::Table, vec![case.file("t.csv", text)], case.out());
    job.column_map = Some(case.file("map.toml", MAP));
    if let Some(secs) = silence {
        job.silence = (secs > 0).then(|| Span::secs(secs));
    }
    import(&job).unwrap()
}

fn told(events: &[Stamped]) -> Vec<(i64, String)> {
    let at = |stamped: &Stamped| stamped.at.nanos() / 1_000_000_000 - 1_780_000_000;
    let word = |event: &Event| match event {
        Event::Market(MarketEvent::Interrupted(gap)) => Some(format!("gap {:?}", gap.market)),
        Event::Market(MarketEvent::State { state, .. }) => Some(match state {
            MarketState::Resolved(payout) => {
                format!("yes pays {}", payout.per_share(polydesk_domain::Outcome::Yes))
            }
            other => format!("{other:?}"),
        }),
        _ => None,
    };
    let told = |stamped: &Stamped| word(&stamped.event).map(|word| (at(stamped), word));
    events.iter().filter_map(told).collect()
}

#[test]
fn a_silence_of_the_whole_stream_interrupts_every_book() {
    let gap = "gap None".to_owned();
    for (name, times, silence, want) in [
        ("none", &[0, 100, 900][..], Some(900), vec![]),
        ("exactly as long", &[0, 900], Some(900), vec![]),
        ("longer", &[0, 901], Some(900), vec![(900, gap.clone())]),
        ("the default of a table", &[0, 901], None, vec![(900, gap.clone())]),
        ("twice", &[0, 100, 5_000, 9_000], Some(900), vec![(1_000, gap.clone()), (5_900, gap)]),
        ("never", &[0, 100_000], Some(0), vec![]),
    ] {
        let case = Case::new();
        let seen = table(&case, times, "", "", silence);
        assert_eq!(told(&case.events()), want, "{name}");
        assert_eq!(seen.silences, want.len() as u64, "{name}");
        let stated = silence.unwrap_or(900);
        assert_eq!(seen.silence_threshold, Some(Span::secs(stated)), "{name}");
        assert_eq!(seen.to_string().contains("silent over"), stated > 0, "{name}: {seen}");
    }
}

#[test]
fn a_resolution_comes_from_the_recording_else_from_the_overlay() {
    let end = |token: &str, at: i64, price: &str| {
        format!("{},{token},end,{price},\n", 1_780_000_000 + at)
    };
    let resolved = "payout = \"0.5\"\nresolved = \"2026-05-28T20:28:20Z\"";
    for (name, rows, facts, want) in [
        ("nobody says", String::new(), "", vec![]),
        ("the table", end("11", 30, "0.25"), "", vec![(30, "yes pays 250000")]),
        ("the table, of the other token", end("12", 30, "0.25"), "", vec![(30, "yes pays 750000")]),
        (
            "the overlay, at the end",
            String::new(),
            "payout = \"0.5\"",
            vec![(20, "yes pays 500000")],
        ),
        (
            "the overlay, later than its end",
            String::new(),
            resolved,
            vec![(100, "yes pays 500000")],
        ),
        ("both: the table", end("11", 30, "1"), "payout = \"0.5\"", vec![(30, "yes pays 1000000")]),
    ] {
        let case = Case::new();
        let seen = table(&case, &[0, 10, 20], &rows, facts, None);
        assert_eq!(seen.rejected(), 0, "{name}: {}", case.rejects());
        let want: Vec<_> = want.into_iter().map(|(at, word)| (at, word.to_owned())).collect();
        assert_eq!(told(&case.events()), want, "{name}");
    }
    // In the middle of the recording, at its time.
    let case = Case::new();
    table(&case, &[0, 90, 110], "", resolved, None);
    assert_eq!(told(&case.events()), [(100, "yes pays 500000".to_owned())]);
}

#[test]
fn a_payout_that_is_none_is_refused_by_key_and_rule() {
    for (facts, key, rule) in [
        ("payout = \"1.5\"", "market[0].payout", "0 to 1 dollar"),
        ("payout = \"half\"", "market[0].payout", "0 to 1 dollar"),
        ("payout = \"0.1234567\"", "market[0].payout", "six decimals"),
        ("resolved = \"2026-05-28T20:28:20Z\"", "market[0].payout", "state what a YES share paid"),
        ("payout = \"1\"\nresolved = \"soon\"", "market[0].resolved", "2026-06-07T01:30:00Z"),
        ("[defaults]\npayout = \"1\"", "defaults.payout", "[[market]]"),
    ] {
        let case = Case::new();
        case.file("overlay.toml", overlay(facts));
        let file = case.file("t.csv", "ts,token,kind,price,size\n");
        let error = chain(&case.table(&[file], MAP).unwrap_err());
        assert!(error.contains(key) && error.contains(rule), "{facts}: {error}");
    }
}

#[test]
fn any_frame_that_resolves_a_market_ends_it() {
    let book = |second: i64| {
        format!(
            r#"{{"event_type":"book","market":"{MARKET}","asset_id":"11","timestamp":"{}","bids":[{{"price":"0.4","size":"5"}}],"asks":[{{"price":"0.5","size":"5"}}]}}"#,
            1_780_000_000_000i64 + second * 1_000
        )
    };
    let frame = |winner: &str| {
        format!(
            r#"{{"event_type":"market_resolved","market":"{MARKET}",{winner}"timestamp":"1780000002000"}}"#
        )
    };
    let line = |second: i64, frame: &str| {
        let stamp = format!("2026-05-28T20:26:{:02}.000Z", 40 + second);
        format!(
            "{{\"timestamp\":\"{stamp}\",\"message_type\":\"feed_message\",\"content\":{frame}}}\n"
        )
    };
    for (winner, facts, want) in [
        ("\"winning_asset_id\":\"12\",", "", "yes pays 0"),
        ("\"winning_asset_id\":null,", "", "Closed"),
        ("\"winning_asset_id\":\"\",", "", "Closed"),
        ("", "", "Closed"),
        ("", "payout = \"0.5\"", "yes pays 500000"),
        ("\"winning_asset_id\":\"11\",", "payout = \"0.5\"", "yes pays 1000000"),
    ] {
        let case = Case::new();
        case.file("overlay.toml", overlay(facts));
        let lines = [line(0, &book(0)), line(2, &frame(winner)), line(3, &book(3))].concat();
        let file = case.file("f.jsonl", lines);
        let seen = case.import(Format::Rocklabs, &[file]).unwrap();
        assert_eq!(seen.rejected(), 0, "{winner}: {}", case.rejects());
        assert_eq!(told(&case.events()), [(2, want.to_owned())], "{winner} {facts}");
    }
    assert_eq!(Payout::HALF, Payout::yes_micros(500_000).unwrap());
}

#[test]
fn an_import_removes_only_what_an_import_left() {
    let partial = |case: &Case| case.place.path().join("tape.partial");
    let rows = |case: &Case| table(case, &[0, 1], "", "", None);
    // Somebody's own folder of that name.
    let case = Case::new();
    std::fs::create_dir(partial(&case)).unwrap();
    let own = partial(&case).join("thesis.tex");
    std::fs::write(&own, "years of work").unwrap();
    case.file("overlay.toml", overlay(""));
    let file = case.file("t.csv", "ts,token,kind,price,size\n1780000000,11,book,0.40,5\n");
    let error = chain(&case.table(&[file], MAP).unwrap_err());
    assert!(error.contains("tape.partial") && error.contains("move it away"), "{error}");
    assert_eq!(std::fs::read_to_string(own).unwrap(), "years of work");
    // One that another import is writing.
    let case = Case::new();
    let other = polydesk_tape::TapeWriter::create(&partial(&case), Default::default()).unwrap();
    case.file("overlay.toml", overlay(""));
    let file = case.file("t.csv", "ts,token,kind,price,size\n1780000000,11,book,0.40,5\n");
    let error = chain(&case.table(&[file], MAP).unwrap_err());
    assert!(error.contains("another import"), "{error}");
    other.finish(Certificate::default()).unwrap();
    // An empty one, and one that a killed import left.
    let case = Case::new();
    std::fs::create_dir(partial(&case)).unwrap();
    rows(&case);
    let case = Case::new();
    drop(polydesk_tape::TapeWriter::create(&partial(&case), Default::default()).unwrap());
    rows(&case);
    assert!(!partial(&case).exists() && !case.out().join("UNFINISHED").exists());
}

#[test]
fn a_resolution_stands_at_its_time_whatever_is_silent_around_it() {
    let gap = |at| (at, "gap None".to_owned());
    let pays = |at| (at, "yes pays 500000".to_owned());
    let resolved = "payout = \"0.5\"\nresolved = \"2026-05-28T20:28:20Z\""; // second 100
    for (name, times, facts, silence, want) in [
        (
            "in a silence, before it is one",
            &[0, 5_000][..],
            resolved,
            900,
            vec![pays(100), gap(900)],
        ),
        ("in a silence, after it is one", &[0, 5_000], resolved, 50, vec![gap(50), pays(100)]),
        ("as the silence begins to count", &[0, 5_000], resolved, 100, vec![pays(100), gap(100)]),
        ("long after the last row", &[0, 20], resolved, 50, vec![gap(70), pays(100)]),
        ("soon after the last row", &[0, 20], resolved, 80, vec![pays(100)]),
        ("with the last row", &[0, 100], resolved, 900, vec![pays(100)]),
        ("before the first row", &[200, 210], resolved, 900, vec![pays(200)]),
        ("no time", &[0, 20], "payout = \"0.5\"", 900, vec![pays(20)]),
    ] {
        let case = Case::new();
        table(&case, times, "", facts, Some(silence));
        assert_eq!(told(&case.events()), want, "{name}");
    }
}

#[test]
fn a_market_without_a_time_resolves_at_the_end_of_the_recording_not_of_another_market() {
    let other = format!("{}bb", &MARKET[..64]);
    let facts = format!(
        r#"payout = "0.25"
        [[market]]
        condition = "{other}"
        tokens = ["21", "22"]
        tick = "0.01"
        min_size = "5"
        payout = "0.75"
        resolved = "2026-05-28T20:28:20Z""#
    );
    let case = Case::new();
    table(&case, &[0, 10, 20], "1780000020,21,book,0.40,5\n", &facts, None);
    let want = [(20, "yes pays 250000".to_owned()), (100, "yes pays 750000".to_owned())];
    assert_eq!(told(&case.events()), want);
}

#[test]
fn a_condition_is_the_same_in_capitals() {
    let lower = format!("{}ab", &MARKET[..64]);
    for named in [lower.clone(), lower.replace("ab", "AB"), lower.replace("ab", "aB")] {
        let facts = "payout = \"0.5\"";
        let case = Case::new();
        case.file("overlay.toml", overlay(facts).replace(MARKET, &named));
        let book = format!(
            r#"{{"event_type":"book","market":"{lower}","asset_id":"11","timestamp":"1780000000000","bids":[{{"price":"0.4","size":"5"}}],"asks":[{{"price":"0.5","size":"5"}}]}}"#
        );
        let line = format!(
            "{{\"timestamp\":\"2026-05-28T20:26:40.000Z\",\"message_type\":\"feed_message\",\"content\":{book}}}\n"
        );
        let file = case.file("f.jsonl", line);
        case.import(Format::Rocklabs, &[file]).unwrap();
        assert_eq!(told(&case.events()), [(0, "yes pays 500000".to_owned())], "{named}");
    }
}

#[test]
fn a_market_that_the_recording_closes_resolves_when_the_overlay_says() {
    let book = format!(
        r#"{{"event_type":"book","market":"{MARKET}","asset_id":"11","timestamp":"1780000000000","bids":[{{"price":"0.4","size":"5"}}],"asks":[{{"price":"0.5","size":"5"}}]}}"#
    );
    let close = format!(
        r#"{{"event_type":"market_resolved","market":"{MARKET}","timestamp":"1780000002000"}}"#
    );
    let line = |second: i64, frame: &str| {
        let stamp = format!("2026-05-28T20:26:{:02}.000Z", 40 + second);
        format!(
            "{{\"timestamp\":\"{stamp}\",\"message_type\":\"feed_message\",\"content\":{frame}}}\n"
        )
    };
    let case = Case::new();
    case.file("overlay.toml", overlay("payout = \"1\"\nresolved = \"2026-05-28T20:28:20Z\""));
    let file = case.file("f.jsonl", [line(0, &book), line(2, &close)].concat());
    case.import(Format::Rocklabs, &[file]).unwrap();
    let want = [(2, "Closed".to_owned()), (100, "yes pays 1000000".to_owned())];
    assert_eq!(told(&case.events()), want);
}
