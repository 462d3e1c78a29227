//! Tapes give back what was put on them, merge like a sort, and refuse what is damaged.

use std::path::Path;
use std::sync::Arc;

use crate::common::events::{comings_and_goings, story};
use crate::common::{all, chain};
use polydesk_domain::{
    ClientOrderId, Event, Market, MarketEvent, MarketKey, OrderUpdate, Outcome, Price, Print,
    Shares, Side, Span, Stamped, Time, Token, Top,
};
use polydesk_tape::{
    Certificate, EventSource, Manifest, ManifestDraft, TapeError, TapeReader, TapeWriter,
    content_hash, verify,
};
use proptest::prelude::*;

fn cases() -> ProptestConfig {
    let cases = std::env::var("TAPE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn write(dir: &Path, events: &[Stamped]) -> Manifest {
    write_stating(dir, events, Some(Span::ZERO))
}

/// The same with this silence threshold in its certificate.
fn write_stating(dir: &Path, events: &[Stamped], silence_threshold: Option<Span>) -> Manifest {
    let mut writer = TapeWriter::create(dir, ManifestDraft::default()).unwrap();
    for stamped in events {
        writer.push(stamped).unwrap();
    }
    writer.finish(Certificate { silence_threshold, ..Certificate::default() }).unwrap()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_written_is_read_back(events in story()) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("tape");
        let manifest = write(&dir, &events);
        let mut reader = TapeReader::open(&dir).unwrap();
        let read = all(&mut reader);
        prop_assert_eq!(&read, &events);
        prop_assert_eq!(reader.universe().len(), 3);
        prop_assert_eq!(manifest.rows, events.len() as u64);
        let mut reader = TapeReader::open(&dir).unwrap();
        prop_assert_eq!(content_hash(&mut reader).unwrap(), manifest.content_sha256);
    }

    #[test]
    fn a_delisted_market_leaves_its_key_behind_and_comes_back_under_another(
        events in comings_and_goings(),
    ) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("tape");
        let manifest = write(&dir, &events);
        let mut reader = TapeReader::open(&dir).unwrap();
        prop_assert_eq!(&all(&mut reader), &events);
        let mut markets: Vec<_> = manifest.markets.iter().map(|market| market.condition).collect();
        markets.sort_unstable();
        markets.dedup();
        prop_assert_eq!(markets.len(), manifest.markets.len(), "a market stands twice");
        prop_assert!(verify(&dir).is_ok());
    }

    #[test]
    fn merging_tapes_equals_sorting_them(one in story(), two in story(), three in story()) {
        let place = tempfile::tempdir().unwrap();
        let mut dirs = Vec::new();
        let mut expected = Vec::new();
        let mut hashes = std::collections::BTreeSet::new();
        for (rank, events) in [one, two, three].into_iter().enumerate() {
            let dir = place.path().join(format!("tape-{rank}"));
            let hash = write(&dir, &events).content_sha256;
            if !hashes.insert(hash.clone()) {
                // The same rows twice are refused.
                dirs.push(dir);
                let error = TapeReader::open_many(&dirs).err().unwrap().to_string();
                prop_assert!(error.contains("name each tape once"), "{}", error);
                dirs.pop();
                continue;
            }
            dirs.push(dir);
            let of_tape = |stamped: Stamped| (stamped.at, hash.clone(), stamped);
            expected.extend(events.into_iter().map(of_tape));
        }
        expected.sort_by_key(|(at, hash, stamped)| (*at, hash.clone(), stamped.seq));
        dirs.reverse();
        let merged = all(TapeReader::open_many(&dirs).unwrap());
        prop_assert_eq!(merged.len(), expected.len());
        for (position, (merged, (_, _, wanted))) in merged.into_iter().zip(expected).enumerate() {
            prop_assert_eq!(merged.seq, position as u64);
            prop_assert_eq!(merged, Stamped { seq: position as u64, ..wanted });
        }
    }

    #[test]
    fn damage_anywhere_is_an_error_or_changes_nothing(
        events in story(),
        file in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        flip in 1u8..=255,
        cut in any::<bool>(),
    ) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("tape");
        let manifest = write(&dir, &events);
        let path = dir.join(file.get(&manifest.files));
        let mut bytes = std::fs::read(&path).unwrap();
        let at = byte.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        std::fs::write(&path, bytes).unwrap();
        // No panic, no error without a place, and no byte that does not count.
        let (rows, error) = drain(&dir);
        let error = error.expect("a damaged file was read to its end");
        prop_assert!(error.contains("tape"), "{}", error);
        prop_assert!(rows <= events.len());
        // Parquet pages carry no sum, so without checksums some flips are read as other values: then the
        // content hash shows it.
        without_checksums(&dir);
        match verify(&dir) {
            Ok(()) => prop_assert_eq!(all(TapeReader::open(&dir).unwrap()), events),
            Err(error) => prop_assert!(chain(&error).contains("tape"), "{}", chain(&error)),
        }
    }
}

/// Reads a tape to its end or to an error: rows before it, and its text.
fn drain(dir: &Path) -> (usize, Option<String>) {
    let mut reader = match TapeReader::open(dir) {
        Ok(reader) => reader,
        Err(error) => return (0, Some(chain(&error))),
    };
    let mut rows = 0;
    loop {
        match reader.next_event() {
            Ok(Some(_)) => rows += 1,
            Ok(None) => return (rows, None),
            Err(error) => return (rows, Some(chain(&error))),
        }
    }
}

/// Changes a tape's manifest as JSON.
fn edit(dir: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join("manifest.json");
    let mut value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(&path, value.to_string()).unwrap();
}

/// Makes a tape as they were before files had checksums.
fn without_checksums(dir: &Path) {
    edit(dir, |manifest| {
        assert!(manifest.as_object_mut().unwrap().remove("checksums").is_some());
    });
}

fn small() -> (tempfile::TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("tape");
    polydesk_tape::synthetic::Speed { tokens: 4, rows: 100_000, seed: 1 }.write(&dir).unwrap();
    (place, dir)
}

#[test]
fn another_schema_version_is_refused_by_name() {
    let (_place, dir) = small();
    let path = dir.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, found) in [
        ("\"schema_version\": 1", "\"schema_version\": 2", "version 2"),
        ("\"schema_version\": 1,", "", "version missing"),
    ] {
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let error = TapeReader::open(&dir).err().unwrap();
        assert!(matches!(error, TapeError::SchemaVersion { .. }));
        assert!(error.to_string().contains(found), "{error}");
    }
    std::fs::write(&path, &text).unwrap();
    // The Parquet files carry it too: a file of another program is not read as ours.
    let manifest = Manifest::read(&dir).unwrap();
    let file = dir.join(&manifest.files[0]);
    let mut bytes = std::fs::read(&file).unwrap();
    let name = b"polydesk.schema_version";
    let found = bytes.windows(name.len()).rposition(|window| window == name).unwrap();
    bytes[found] = b'q';
    std::fs::write(&file, bytes).unwrap();
    let mut reader = TapeReader::open(&dir).unwrap();
    let error = reader.next_event().unwrap_err();
    assert!(matches!(error, TapeError::SchemaVersion { .. }), "{error}");
}

#[test]
fn a_tape_that_is_not_what_its_manifest_says_ends_with_an_error() {
    let (_place, dir) = small();
    without_checksums(&dir);
    let path = dir.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(drain(&dir), (100_002, None));
    let hash = Manifest::read(&dir).unwrap().content_sha256;
    std::fs::write(&path, text.replace(&hash, &hash.replace(&hash[..1], "x"))).unwrap();
    let (rows, error) = drain(&dir);
    let error = error.unwrap();
    assert!(rows > 100_000 && error.contains("content hash") && error.contains(&hash), "{error}");
    // What was verified before is read again without it.
    let again = TapeReader::open_again(std::slice::from_ref(&dir)).unwrap();
    assert_eq!(all(again).len(), rows);
    assert!(verify(&dir).is_err());
}

#[test]
fn checksums_that_are_not_of_the_tape_are_refused_before_its_first_row() {
    let set = |key: &'static str, to: &'static str| {
        move |manifest: &mut serde_json::Value| manifest["checksums"][key] = to.into()
    };
    type Change = Box<dyn Fn(&mut serde_json::Value)>;
    let changes: [(Change, &str); 6] = [
        (
            Box::new(set("form", "blake9")),
            "form is \"blake9\", this program knows \"files-blake3-v1\"",
        ),
        (Box::new(set("seal", "00")), "not of this content hash"),
        (Box::new(|manifest| manifest["content_sha256"] = "00".into()), "not of this content hash"),
        (Box::new(|manifest| manifest["rows"] = 100_001.into()), "not of this content hash"),
        (
            Box::new(|manifest| {
                let files = manifest["checksums"]["files"].as_object_mut().unwrap();
                *files.values_mut().next().unwrap() = "00".into();
            }),
            "not of this content hash",
        ),
        (
            Box::new(|manifest| {
                let (hash, rows) = (manifest["content_sha256"].clone(), &manifest["rows"]);
                let sealed = polydesk_tape::Checksums::seal(
                    std::collections::BTreeMap::new(),
                    hash.as_str().unwrap(),
                    rows.as_u64().unwrap(),
                );
                manifest["checksums"] = serde_json::to_value(sealed).unwrap();
            }),
            "part-0.parquet has none",
        ),
    ];
    let (_place, dir) = small();
    let path = dir.join("manifest.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    for (change, want) in changes {
        edit(&dir, change);
        let (rows, error) = drain(&dir);
        let error = error.unwrap();
        assert!(rows == 0 && error.contains("checksums") && error.contains(want), "{error}");
        let again = TapeReader::open_again(std::slice::from_ref(&dir));
        assert!(again.is_err(), "{want}: also where bytes are not hashed");
        std::fs::write(&path, &whole).unwrap();
    }
    verify(&dir).unwrap();
}

#[test]
fn bytes_that_no_row_needs_count_too() {
    let (_place, dir) = small();
    let path = dir.join(&Manifest::read(&dir).unwrap().files[0]);
    let bytes = std::fs::read(&path).unwrap();
    // The first byte of `created_by` in the footer.
    let at = bytes.windows(8).rposition(|window| window == b"polydesk").unwrap();
    let mut other = bytes.clone();
    other[at] = b'P';
    std::fs::write(&path, &other).unwrap();
    let (rows, error) = drain(&dir);
    let error = error.unwrap();
    assert!(
        rows > 0 && error.contains("its checksum") && error.contains("copy it again"),
        "{error}"
    );
    // The rows are those of the manifest, but the file is not.
    assert!(verify(&dir).is_err());
    without_checksums(&dir);
    verify(&dir).unwrap();
}

/// A file of another program in the schema of a tape: one row whose payload is that many spaces, packed.
fn blown_up(path: &Path, bytes: usize) {
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
    use parquet::file::metadata::KeyValue;
    let message = "message polydesk_tape { required int64 at (TIMESTAMP(NANOS,true)); \
        required int64 venue_at (TIMESTAMP(NANOS,true)); required int64 seq (INTEGER(64,false)); \
        required int32 kind; required int32 outcome; required int32 side; required int32 price; \
        required int64 size; required int32 best_bid; required int32 best_ask; \
        optional binary payload (STRING); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(message).unwrap());
    let version = KeyValue::new("polydesk.schema_version".to_owned(), "1".to_owned());
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(vec![version]))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(file, schema, Arc::new(properties))
            .unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in 0..11 {
        let mut to = group.next_column().unwrap().unwrap();
        match column {
            10 => {
                let text = ByteArray::from(vec![b' '; bytes]);
                to.typed::<ByteArrayType>().write_batch(&[text], Some(&[1]), None).unwrap();
            }
            0..=2 | 7 => drop(to.typed::<Int64Type>().write_batch(&[0], None, None).unwrap()),
            _ => drop(to.typed::<Int32Type>().write_batch(&[0], None, None).unwrap()),
        }
        to.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    assert!(std::fs::metadata(path).unwrap().len() < 100_000);
}

#[test]
fn a_payload_that_fills_the_memory_is_neither_written_nor_read() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("tape");
    let mut writer = TapeWriter::create(&dir, ManifestDraft::default()).unwrap();
    let article = |bytes: usize| {
        let body = "news ".repeat(bytes / 5);
        let article = polydesk_domain::Article {
            source: String::new(),
            title: String::new(),
            body,
            url: String::new(),
            markets: Vec::new(),
        };
        let at = Time::from_secs(1);
        let event = Event::from(polydesk_domain::WorldEvent::Article(article));
        Stamped { at, venue_at: at, seq: bytes as u64, event }
    };
    writer.push(&article(1_000_000)).unwrap();
    let error = writer.push(&article(9_000_000)).unwrap_err().to_string();
    assert!(error.contains("at most 8388608"), "{error}");
    writer.finish(Certificate::default()).unwrap();
    assert_eq!(all(TapeReader::open(&dir).unwrap()).len(), 1);
    // Another program's file: 70 MB of spaces in a few kilobytes.
    let manifest = Manifest::read(&dir).unwrap();
    blown_up(&dir.join(&manifest.files[0]), 70_000_000);
    let mut reader = TapeReader::open(&dir).unwrap();
    let error = reader.next_event().unwrap_err().to_string();
    assert!(error.contains("payload unpacks to") && error.contains("row group 0"), "{error}");
}

#[test]
fn an_unfinished_or_absent_tape_is_no_tape() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("tape");
    let error = TapeReader::open(&dir).err().unwrap();
    assert!(matches!(error, TapeError::NotATape { .. }), "{error}");
    drop(TapeWriter::create(&dir, ManifestDraft::default()).unwrap());
    let error = TapeReader::open(&dir).err().unwrap();
    assert!(error.to_string().contains("manifest.json"), "{error}");
    let error = TapeWriter::create(&dir, ManifestDraft::default()).err().unwrap();
    assert!(error.to_string().contains("empty"), "{error}");
}

#[test]
fn a_corrupt_row_group_is_named_and_what_came_before_was_given() {
    let (_place, dir) = small();
    let manifest = Manifest::read(&dir).unwrap();
    let file = dir.join(&manifest.files[1]);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() * 3 / 4;
    bytes[middle..middle + 20_000].fill(0xa5);
    std::fs::write(&file, &bytes).unwrap();
    let mut reader = TapeReader::open(&dir).unwrap();
    let mut given = 0;
    let error = loop {
        match reader.next_event() {
            Ok(Some(_)) => given += 1,
            Ok(None) => panic!("the damage went unnoticed"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(given > 30_000, "{given}");
    assert!(error.contains("row group") && error.contains("part-0.parquet"), "{error}");
    // A truncated file has no footer, which the error names.
    std::fs::write(&file, &bytes[..middle]).unwrap();
    let mut reader = TapeReader::open(&dir).unwrap();
    let error = reader.next_event().unwrap_err().to_string();
    assert!(error.contains("footer"), "{error}");
    std::fs::remove_file(&file).unwrap();
    assert!(TapeReader::open(&dir).err().unwrap().to_string().contains("not there"));
}

#[test]
fn events_out_of_order_or_of_unlisted_markets_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut writer =
        TapeWriter::create(&place.path().join("tape"), ManifestDraft::default()).unwrap();
    let stamped = |at, seq, event| Stamped {
        at: Time::from_secs(at),
        venue_at: Time::from_secs(at),
        seq,
        event,
    };
    let best = || Event::Market(MarketEvent::Best { token: Token(0), top: Top::new(None, None) });
    assert!(writer.push(&stamped(10, 1, best())).unwrap_err().to_string().contains("listed"));
    let listed = |key, number| {
        let market = Arc::new(Market::plain(number, "m"));
        Event::Market(MarketEvent::Listed { key: MarketKey(key), market })
    };
    let error = writer.push(&stamped(10, 1, listed(1, 1))).unwrap_err();
    assert!(chain(&error).contains("listed under key 1, here it is 0"), "{}", chain(&error));
    writer.push(&stamped(10, 2, listed(0, 1))).unwrap();
    writer.push(&stamped(10, 3, best())).unwrap();
    for (at, seq) in [(9, 4), (10, 3), (11, 2)] {
        let error = writer.push(&stamped(at, seq, best())).unwrap_err().to_string();
        assert!(error.contains("must not run backwards"), "{error}");
    }
    let absurd = Shares::new(Shares::SANE_MAX.micros() + 1);
    let update = OrderUpdate::Filled { matched: absurd };
    let print = Print { token: Token(0), side: Side::Buy, price: Price::cents(5), size: absurd };
    for event in [Event::order(ClientOrderId(1), update), Event::Market(MarketEvent::Print(print))]
    {
        let error = writer.push(&stamped(10, 5, event)).unwrap_err().to_string();
        assert!(error.contains("500 million"), "{error}");
    }
    writer.push(&stamped(10, 9, best())).unwrap();
    writer.push(&stamped(10, 10, MarketEvent::Delisted { market: MarketKey(0) }.into())).unwrap();
    let error = writer.push(&stamped(10, 11, best())).unwrap_err().to_string();
    assert!(error.contains("market number 0 is not listed"), "{error}");
    assert_eq!(writer.finish(Certificate::default()).unwrap().rows, 4);
}

#[test]
fn a_market_that_one_of_several_tapes_delists_is_over_for_all_of_them() {
    let place = tempfile::tempdir().unwrap();
    let [short, long] = ["short", "long"].map(|name| place.path().join(name));
    let stamped = |at, seq, event: MarketEvent| {
        let at = Time::from_secs(at);
        Stamped { at, venue_at: at, seq, event: event.into() }
    };
    let market = || Arc::new(Market::plain(1, "one"));
    let listed = || MarketEvent::Listed { key: MarketKey(0), market: market() };
    let best = |outcome| MarketEvent::Best {
        token: MarketKey(0).token(outcome),
        top: Top::new(None, None),
    };
    write(
        &short,
        &[stamped(10, 0, listed()), stamped(12, 1, MarketEvent::Delisted { market: MarketKey(0) })],
    );
    write(
        &long,
        &[
            stamped(10, 0, listed()),
            stamped(11, 1, best(Outcome::Yes)),
            stamped(13, 2, best(Outcome::No)),
        ],
    );
    let mut reader = TapeReader::open_many(&[short, long]).unwrap();
    for _ in 0..4 {
        assert!(reader.next_event().unwrap().is_some());
    }
    let error = reader.next_event().unwrap_err().to_string();
    assert!(error.contains("long") && error.contains("after its delisting"), "{error}");
}

#[test]
fn a_certificate_reads_well_on_a_terminal() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tapes/nhl-2026-06-07");
    let certificate = Certificate::read(&shipped).unwrap();
    expect_test::expect![[r#"
        format            tickscope
        rows read         206893
        events            206857
          article         3
          level           206365
          listed          6
          print           483
        from              2026-06-07T01:30:09.266Z
        to                2026-06-07T01:45:01.304Z
        gaps over 30s     1
          42.2 s after 2026-06-07T01:30:09.266Z
        silent over 900s  0 (books are not trusted after it)
        exact duplicates  93 (1 prints)
        venue time        1395 backward, 3613 late by up to 2485ms
        venue hashes      0 equal, 0 different, 0 not checkable
        batches           102734 (0 crossed after, 829 with other best prices)
        changing nothing  103294
        stale levels      3 (their removal was not recorded)
        inferred ticks    1
        snapped floats    0
        rejected rows     0
        assumed           condition: not published; SHA-256 of the token ids (6 markets)
        assumed           fee: sports schedule before 2026-07-10: 0.03, exponent 1,
                          makers' share 25 % (6 markets)
        assumed           min_size: 5 shares, the venue's usual minimum (6 markets)
        assumed           outcomes: the token seen first is taken as outcome 0; which
                          team it stands for is not recorded (6 markets)
        assumed           taker_delay: none; the event's delay for takers is not
                          recorded (6 markets)
        assumed           tick: 0.01, as all prices of five markets are whole cents; the
                          sixth turns finer without an announcement (6 markets)
        assumed           version: v1: dated after the change of 2026-04-28 (6 markets)
        note              no initial snapshot was recorded: books grow from changes and
                          are proven only where the carried best prices agree
        note              titles were not recorded; tokens are paired because every
                          change of one is the exact mirror of a change of the other"#]]
    .assert_eq(&certificate.render());
}

/// A listing at this time and number.
fn listing(at: i64, seq: u64) -> Stamped {
    let market = Arc::new(Market::plain(1, "Edge?"));
    let event = Event::Market(MarketEvent::Listed { key: MarketKey(0), market });
    Stamped { at: Time::from_nanos(at), venue_at: Time::from_nanos(at), seq, event }
}

fn print_at(at: i64, seq: u64) -> Stamped {
    let print =
        Print { token: Token(0), side: Side::Buy, price: Price::cents(40), size: Shares::whole(1) };
    Stamped { event: Event::Market(MarketEvent::Print(print)), ..listing(at, seq) }
}

#[test]
fn numbers_may_be_far_apart_and_days_begin_at_midnight() {
    let day = 86_400_000_000_000;
    let events = [
        listing(-1, 0),
        print_at(0, 8_191),
        print_at(day - 1, 8_192),
        print_at(day, 8_193 + 8_192),
        print_at(day, 1 << 40),
        print_at(2 * day - 1, u64::MAX - 1),
        print_at(2 * day, u64::MAX),
    ];
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("tape");
    let manifest = write(&dir, &events);
    assert_eq!(all(TapeReader::open(&dir).unwrap()), events);
    let days: Vec<&str> = manifest.files.iter().map(|file| &file[11..21]).collect();
    assert_eq!(days, ["1969-12-31", "1970-01-01", "1970-01-02", "1970-01-03"]);
}

#[test]
fn a_tape_without_rows_ends_at_once_and_adds_nothing_to_another() {
    let place = tempfile::tempdir().unwrap();
    let (empty, full) = (place.path().join("empty"), place.path().join("full"));
    assert_eq!(
        (write(&empty, &[]).rows, write(&empty.join("../full"), &[listing(5, 3)]).rows),
        (0, 1)
    );
    assert!(all(TapeReader::open(&empty).unwrap()).is_empty());
    verify(&empty).unwrap();
    let both = all(TapeReader::open_many(&[empty, full]).unwrap());
    assert_eq!(both, [listing(5, 0)]);
}

#[test]
fn at_one_time_the_tape_of_the_smaller_hash_comes_first() {
    let place = tempfile::tempdir().unwrap();
    let mut tapes: Vec<(String, std::path::PathBuf, u64)> = [11u64, 12, 13]
        .into_iter()
        .map(|number| {
            let dir = place.path().join(number.to_string());
            let market = Arc::new(Market::plain(number, "Edge?"));
            let event = Event::Market(MarketEvent::Listed { key: MarketKey(0), market });
            let hash = write(&dir, &[Stamped { event, ..listing(7, number) }]).content_sha256;
            (hash, dir, number)
        })
        .collect();
    let dirs: Vec<_> = tapes.iter().map(|tape| tape.1.clone()).collect();
    tapes.sort();
    let mut reader = TapeReader::open_many(&dirs).unwrap();
    for (place, (_, _, number)) in tapes.iter().enumerate() {
        let stamped = reader.next_event().unwrap().unwrap();
        let Event::Market(MarketEvent::Listed { key, market }) = stamped.event else { panic!() };
        assert_eq!((key, stamped.seq), (MarketKey(place as u32), place as u64));
        assert_eq!(market.condition, Market::plain(*number, "").condition);
        assert_eq!(reader.source(), place);
    }
    assert!(reader.next_event().unwrap().is_none());
}

/// A recording of one market: rows at these seconds, the first of them its listing; how long it may be silent.
type Recording = (u64, &'static [i64], Option<i64>);

/// Merges recordings and says in words what the stream gave: `12s 1 print`, market numbers and seconds.
fn merged(recordings: &[Recording], backwards: bool) -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    let mut dirs = Vec::new();
    for (index, (number, times, silence)) in recordings.iter().enumerate() {
        let dir = place.path().join(index.to_string());
        let row = |(seq, at): (usize, &i64)| {
            let at = Time::from_secs(*at);
            let market = Arc::new(Market::plain(*number, "Edge?"));
            let event = match seq {
                0 => Event::Market(MarketEvent::Listed { key: MarketKey(0), market }),
                _ => print_at(0, 0).event,
            };
            Stamped { at, venue_at: at, seq: seq as u64, event }
        };
        let events: Vec<Stamped> = times.iter().enumerate().map(row).collect();
        write_stating(&dir, &events, silence.map(Span::secs));
        if silence.is_none() {
            let path = dir.join("certificate.json");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("silence_threshold"), "as tapes were before: {text}");
        }
        dirs.push(dir);
    }
    if backwards {
        dirs.reverse();
    }
    let mut reader = TapeReader::open_many(&dirs).unwrap();
    let mut seen = Vec::new();
    while let Some(stamped) = reader.next_event().unwrap() {
        assert_eq!(stamped.seq, seen.len() as u64);
        assert!(reader.source() < recordings.len());
        let number = |key: MarketKey| {
            let condition = reader.universe().market(key).condition;
            (0..9).find(|number| Market::plain(*number, "").condition == condition).unwrap()
        };
        let at = stamped.at.nanos() / 1_000_000_000;
        let Event::Market(event) = &stamped.event else { panic!("{stamped:?}") };
        seen.push(match event {
            MarketEvent::Listed { key, .. } => format!("{at}s {} listed", number(*key)),
            MarketEvent::Print(print) => format!("{at}s {}", number(print.token.market())),
            MarketEvent::Interrupted(gap) => {
                assert_eq!(stamped.at, stamped.venue_at);
                format!("{at}s {} interrupted", number(gap.market.unwrap()))
            }
            other => panic!("{other:?}"),
        });
    }
    seen
}

#[test]
fn a_market_is_interrupted_where_its_tape_ended_and_others_go_on() {
    for (name, recordings, want) in [
        (
            "not longer than it may be silent",
            &[(1, &[0, 10][..], Some(900)), (2, &[5, 910], Some(900))][..],
            "0s 1 listed, 5s 2 listed, 10s 1, 910s 2",
        ),
        (
            "longer, at the threshold and before the row that shows it",
            &[(1, &[0, 10], Some(900)), (2, &[5, 910, 911], Some(900))],
            "0s 1 listed, 5s 2 listed, 10s 1, 910s 2, 910s 1 interrupted, 911s 2",
        ),
        (
            "a hundred days between two tapes",
            &[(1, &[0, 10], Some(900)), (2, &[8_640_000], Some(900))],
            "0s 1 listed, 10s 1, 910s 1 interrupted, 8640000s 2 listed",
        ),
        (
            "every tape at its own threshold, in the order of time",
            &[(1, &[0, 10], Some(50)), (2, &[0, 20], Some(30)), (3, &[0, 99], Some(900))],
            "0s 1 listed, 0s 2 listed, 0s 3 listed, 10s 1, 20s 2, 50s 2 interrupted, \
             60s 1 interrupted, 99s 3",
        ),
        (
            "never, where the tape says so",
            &[(1, &[0, 10], Some(0)), (2, &[5, 100_000], Some(900))],
            "0s 1 listed, 5s 2 listed, 10s 1, 100000s 2",
        ),
        (
            "after two minutes, where the tape does not say",
            &[(1, &[0, 10], None), (2, &[5, 130, 131], Some(0))],
            "0s 1 listed, 5s 2 listed, 10s 1, 130s 2, 130s 1 interrupted, 131s 2",
        ),
        (
            "between two tapes of one market",
            &[(1, &[0, 10], Some(60)), (1, &[100, 110], Some(60))],
            "0s 1 listed, 10s 1, 70s 1 interrupted, 100s 1 listed, 110s 1",
        ),
        (
            "two tapes of one market follow on each other",
            &[(1, &[0, 10], Some(60)), (1, &[70, 300], Some(60)), (2, &[0, 400], Some(0))],
            "0s 1 listed, 0s 2 listed, 10s 1, 70s 1 listed, 300s 1, 360s 1 interrupted, 400s 2",
        ),
        (
            "the longer of two tapes of one market carries it on",
            &[(1, &[0, 10], Some(60)), (1, &[5, 300], Some(60)), (2, &[0, 400], Some(0))],
            "0s 1 listed, 0s 2 listed, 5s 1 listed, 10s 1, 300s 1, 360s 1 interrupted, 400s 2",
        ),
        (
            "nothing follows the last row of all",
            &[(1, &[0, 10], Some(60)), (2, &[0, 20], Some(60))],
            "0s 1 listed, 0s 2 listed, 10s 1, 20s 2",
        ),
    ] {
        // Rows of one time come in the order of content hashes: sorted here, as no case depends on it.
        let mut seen = [false, true].map(|backwards| merged(recordings, backwards));
        assert_eq!(seen[0], seen[1], "{name}: the order of the folders");
        seen[0].sort_by_key(|row| row.split('s').next().unwrap().parse::<i64>().unwrap());
        let mut want: Vec<&str> = want.split(", ").map(str::trim).collect();
        let at = |row: &str| row.split('s').next().unwrap().to_owned();
        for rows in seen[0].chunk_by_mut(|one, two| at(one) == at(two)) {
            rows.sort_by_key(|row| (row.ends_with("interrupted"), row.clone()));
        }
        for rows in want.chunk_by_mut(|one, two| at(one) == at(two)) {
            rows.sort_by_key(|row| (row.ends_with("interrupted"), *row));
        }
        assert_eq!(seen[0], want, "{name}");
    }
}

#[test]
fn a_delisted_market_is_not_interrupted() {
    let place = tempfile::tempdir().unwrap();
    let at = |seconds, stamped: Stamped| {
        let at = Time::from_secs(seconds);
        Stamped { at, venue_at: at, ..stamped }
    };
    let gone = Event::Market(MarketEvent::Delisted { market: MarketKey(0) });
    let over = [at(0, listing(0, 0)), at(9, Stamped { event: gone, ..listing(0, 1) })];
    let other = Event::Market(MarketEvent::Listed {
        key: MarketKey(0),
        market: Arc::new(Market::plain(2, "Other?")),
    });
    let later = [at(500, Stamped { event: other, ..listing(0, 0) })];
    let dirs = ["over", "later"].map(|name| place.path().join(name));
    write_stating(&dirs[0], &over, Some(Span::secs(60)));
    write_stating(&dirs[1], &later, Some(Span::secs(60)));
    let seen = all(TapeReader::open_many(&dirs).unwrap());
    let times: Vec<i64> = seen.iter().map(|row| row.at.nanos() / 1_000_000_000).collect();
    assert_eq!(times, [0, 9, 500], "{seen:?}");
}
