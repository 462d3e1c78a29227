//! Archives and tables: PMXT by its published schema, PolyBot windows, column maps, bad cells.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{Case, chain, shared};
use parquet::data_type::{
    ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
    Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use polydesk_domain::{Event, MarketEvent, MarketKey, Side, Stamped, Tick, Time};
use polydesk_tape::{Format, ImportJob, Manifest, TapeReader, Times, import};

/// One column of a test file: its declaration and its values, None for null.
enum Column {
    Int64(&'static str, Vec<Option<i64>>),
    Int32(&'static str, Vec<Option<i32>>),
    Double(&'static str, Vec<Option<f64>>),
    Text(&'static str, Vec<Option<String>>),
    Fixed(&'static str, Vec<Option<String>>),
}

/// Writes a Parquet file with these optional columns.
fn parquet(path: &Path, columns: &[Column]) -> PathBuf {
    let mut message = "message test {".to_owned();
    for column in columns {
        let declaration = match column {
            Column::Int64(text, _)
            | Column::Int32(text, _)
            | Column::Double(text, _)
            | Column::Text(text, _)
            | Column::Fixed(text, _) => text,
        };
        message.push_str(&format!(" optional {declaration};"));
    }
    message.push('}');
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::new())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    fn split<T: Clone>(values: &[Option<T>]) -> (Vec<T>, Vec<i16>) {
        let levels = values.iter().map(|value| i16::from(value.is_some())).collect();
        (values.iter().flatten().cloned().collect(), levels)
    }
    for column in columns {
        let mut to = group.next_column().unwrap().unwrap();
        match column {
            Column::Int64(_, values) => {
                let (values, levels) = split(values);
                to.typed::<Int64Type>().write_batch(&values, Some(&levels), None).unwrap();
            }
            Column::Int32(_, values) => {
                let (values, levels) = split(values);
                to.typed::<Int32Type>().write_batch(&values, Some(&levels), None).unwrap();
            }
            Column::Double(_, values) => {
                let (values, levels) = split(values);
                to.typed::<DoubleType>().write_batch(&values, Some(&levels), None).unwrap();
            }
            Column::Text(_, values) => {
                let (values, levels) = split(values);
                let values: Vec<_> =
                    values.iter().map(|text| ByteArray::from(text.as_str())).collect();
                to.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            }
            Column::Fixed(_, values) => {
                let (values, levels) = split(values);
                let values: Vec<FixedLenByteArray> =
                    values.iter().map(|text| ByteArray::from(text.as_str()).into()).collect();
                to.typed::<FixedLenByteArrayType>()
                    .write_batch(&values, Some(&levels), None)
                    .unwrap();
            }
        }
        to.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    path.to_owned()
}

const BEGIN: i64 = 1_780_000_000_000;

fn overlay(tokens: [u64; 2]) -> String {
    format!(
        r#"
        [recording]
        name = "test"
        [[market]]
        tokens = ["{}", "{}"]
        tick = "0.01"
        min_size = "5"
        fee = [{{ rate = "0.04", exponent = 1 }}]
        "#,
        tokens[0], tokens[1]
    )
}

fn times(events: &[Stamped]) -> Vec<i64> {
    events.iter().map(|stamped| stamped.at.millis() - BEGIN).collect()
}

/// Rows of the second PMXT schema: (received, venue, kind, asset, bids, price, size, side, tick).
type Row<'a> = (i64, i64, &'a str, u64, &'a str, i32, i64, &'a str, i32);

fn pmxt_two(path: &Path, rows: &[Row<'_>]) -> PathBuf {
    let text = |pick: fn(&Row<'_>) -> String| {
        rows.iter().map(|row| Some(pick(row)).filter(|text| !text.is_empty())).collect()
    };
    let decimal = |pick: fn(&Row<'_>) -> i32| {
        rows.iter().map(|row| Some(pick(row)).filter(|value| *value != 0)).collect()
    };
    let best =
        |units: i32| rows.iter().map(|row| (row.2 == "price_change").then_some(units)).collect();
    parquet(
        path,
        &[
            Column::Int64(
                "int64 timestamp_received (TIMESTAMP(MILLIS,true))",
                rows.iter().map(|row| Some(BEGIN + row.0)).collect(),
            ),
            Column::Int64(
                "int64 timestamp (TIMESTAMP(MILLIS,true))",
                rows.iter().map(|row| Some(BEGIN + row.1)).collect(),
            ),
            Column::Fixed(
                "fixed_len_byte_array(66) market",
                rows.iter().map(|_| Some(format!("0x{}", "ab".repeat(32)))).collect(),
            ),
            Column::Text("binary event_type (STRING)", text(|row| row.2.to_owned())),
            Column::Text("binary asset_id (STRING)", text(|row| row.3.to_string())),
            Column::Text("binary bids (STRING)", text(|row| row.4.to_owned())),
            Column::Text("binary asks (STRING)", text(|row| row.4.replace("0.4", "0.6"))),
            Column::Int32("int32 price (DECIMAL(9,4))", decimal(|row| row.5)),
            Column::Int64(
                "int64 size (DECIMAL(18,6))",
                rows.iter().map(|row| (row.5 != 0).then_some(row.6)).collect(),
            ),
            Column::Text("binary side (STRING)", text(|row| row.7.to_owned())),
            Column::Int32("int32 best_bid (DECIMAL(9,4))", best(4_000)),
            Column::Int32("int32 best_ask (DECIMAL(9,4))", best(6_000)),
            Column::Int32("int32 fee_rate_bps (INTEGER(16,false))", decimal(|_| 0)),
            Column::Text("binary transaction_hash (STRING)", text(|_| String::new())),
            Column::Int32("int32 old_tick_size (DECIMAL(9,4))", decimal(|row| row.8 * 10)),
            Column::Int32("int32 new_tick_size (DECIMAL(9,4))", decimal(|row| row.8)),
        ],
    )
}

#[test]
fn pmxt_hours_are_put_in_order_of_receipt_and_a_missing_hour_voids_the_books() {
    let case = Case::new();
    case.file("overlay.toml", overlay([11, 12]));
    // Sorted by asset, as the archive is.
    let rows = [
        (5, 1, "book", 11, r#"[["0.40","10"],["0.39","7.5"]]"#, 0, 0, "", 0),
        (20, 19, "price_change", 11, "", 4_000, 12_000_000, "BUY", 0),
        (40, 39, "last_trade_price", 11, "", 6_000, 1_500_000, "SELL", 0),
        (50, 49, "tick_size_change", 11, "", 0, 0, "", 10),
        (7, 3, "book", 12, r#"[["0.40","10"]]"#, 0, 0, "", 0),
        (30, 29, "price_change", 12, "", 6_100, 0, "SELL", 0),
        (31, 29, "price_change", 99, "", 6_100, 0, "SELL", 0),
        (60, 59, "surprise", 12, "", 0, 0, "", 0),
        (61, 59, "price_change", 12, "", 10_500, 1, "SELL", 0),
        (62, 59, "price_change", 12, "", 5_000, -1, "SELL", 0),
    ];
    let first =
        pmxt_two(&case.place.path().join("polymarket_orderbook_2026-05-28T20.parquet"), &rows);
    let later = [(7_200_000, 7_200_000, "price_change", 11, "", 4_000, 1_000_000, "BUY", 0)];
    let third =
        pmxt_two(&case.place.path().join("polymarket_orderbook_2026-05-28T22.parquet"), &later);
    let seen = case.import(Format::PmxtV2, &[first, third]).unwrap();
    assert_eq!((seen.rows_read, seen.rows_not_selected), (11, 1));
    assert_eq!(seen.unknown_kinds["surprise"], 1);
    assert_eq!(seen.rejects["bad_price"] + seen.rejects["bad_size"], 2);
    assert!(seen.notes.iter().any(|note| note.contains("unverified")));
    let events = case.events();
    assert_eq!(times(&events)[..7], [5, 5, 7, 20, 30, 40, 50]);
    assert_eq!(events[1].venue_at, Time::from_millis(BEGIN + 1));
    assert!(
        matches!(&events[1].event, Event::Market(MarketEvent::Snapshot(book)) if book.bids[1].1.micros() == 7_500_000)
    );
    let Event::Market(MarketEvent::Level(change)) = &events[3].event else {
        panic!("{:?}", events[3])
    };
    assert_eq!(
        (change.side, change.price.units(), change.size.micros()),
        (Side::Buy, 4_000, 12_000_000)
    );
    assert_eq!(change.top.unwrap().ask().unwrap().units(), 6_000);
    assert!(matches!(
        events[6].event,
        Event::Market(MarketEvent::Tick { market: MarketKey(0), tick: Tick::Thousandth })
    ));
    assert!(
        matches!(events[7].event, Event::Market(MarketEvent::Interrupted(gap)) if gap.market.is_none())
    );
    // Two minutes of silence after the last row, and again after the hour that follows the missing one.
    let gap = |index: usize| matches!(&events[index].event, Event::Market(MarketEvent::Interrupted(gap)) if gap.market.is_none());
    assert!((7..10).all(gap) && seen.silences == 2);
    // A row of another market shows that the stream lived to the end of its minute, 20 s on.
    assert_eq!(times(&events)[7], 140_000);
    assert!(matches!(events[10].event, Event::Market(MarketEvent::Level(_))));
    assert_eq!(Manifest::read(&case.out()).unwrap().times, Times::Received);
}

#[test]
fn the_first_pmxt_schema_keeps_its_rows_as_json() {
    let case = Case::new();
    case.file("overlay.toml", overlay([11, 12]));
    let data = [
        r#"{"update_type":"price_change","market_id":"0xab","token_id":"12","side":"NO","best_bid":"0.58","best_ask":0.6,"timestamp":1780000000.25,"change_price":"0.58","change_size":"4","change_side":"BUY"}"#,
        r#"{"update_type":"book_snapshot","market_id":"0xab","token_id":"11","side":"YES","best_bid":"0.40","best_ask":"0.42","timestamp":1780000000.1,"bids":[["0.40","10"]],"asks":[["0.42","3"],["0.43","4"]]}"#,
        r#"{"token_id":"11""#,
    ];
    let count = data.len();
    let file = parquet(
        &case.place.path().join("hour.parquet"),
        &[
            Column::Int64(
                "int64 timestamp_received (TIMESTAMP(MILLIS,true))",
                vec![Some(BEGIN + 300), Some(BEGIN + 200), Some(BEGIN)],
            ),
            Column::Int64(
                "int64 timestamp_created_at (TIMESTAMP(MILLIS,true))",
                vec![Some(BEGIN); count],
            ),
            Column::Text("binary market_id (STRING)", vec![Some("0xab".to_owned()); count]),
            Column::Text(
                "binary update_type (STRING)",
                vec![
                    Some("price_change".into()),
                    Some("book_snapshot".into()),
                    Some("book_snapshot".into()),
                ],
            ),
            Column::Text(
                "binary data (STRING)",
                data.iter().map(|text| Some((*text).to_owned())).collect(),
            ),
        ],
    );
    let seen = case.import(Format::PmxtV1, &[file]).unwrap();
    assert_eq!(seen.rejects["not_json"], 1);
    let events = case.events();
    assert!(
        matches!(&events[1].event, Event::Market(MarketEvent::Snapshot(book)) if book.asks.len() == 2)
    );
    assert!(
        matches!(&events[2].event, Event::Market(MarketEvent::Level(change)) if change.size.micros() == 4_000_000)
    );
    assert_eq!(events[2].venue_at, Time::from_millis(BEGIN + 250));
}

const MAP: &str = r#"
time = { column = "ts", unit = "ms" }
token = { column = "token", words = { UP = "11", DOWN = "12" } }
kind = { column = "kind", words = { change = "level", trade = "print", ignored = "skip" } }
side = { column = "side", buy = ["b"], sell = ["s"] }
price = { column = "price", scale = 100 }
size = { column = "size", scale = 1000000 }
"#;

#[test]
fn a_csv_with_a_column_map_becomes_a_tape_and_bad_cells_are_refused() {
    let case = Case::new();
    case.file("overlay.toml", overlay([11, 12]));
    let csv = "\u{feff}ts,token,kind,side,price,size,remark\n\
        1780000000000,UP,change,b,40,5000000,\"two\nlines, and \"\"quotes\"\"\"\n\
        1780000000001,DOWN,change,s,60,5000000,\n\
        1780000000002,UP,trade,b,41,1000000,\n\
        1780000000003,UP,ignored,b,41,1000000,\n\
        1780000000004,UP,other,b,41,1000000,\n\
        1780000000005,UP,change,b,NaN,1000000,\n\
        1780000000006,UP,change,b,141,1000000,\n\
        1780000000007,UP,change,b,41,-1,\n\
        1780000000008,UP,change,x,41,1,\n\
        1780000000009,SIDEWAYS,change,b,41,1,\n\
        178,UP,change,b,41,1,\n\
        1780000000010,UP,change\n";
    let file = case.file("table.csv", csv);
    let seen = case.table(&[file], MAP).unwrap();
    assert_eq!((seen.kinds["level"], seen.kinds["print"]), (2, 1), "{}", case.rejects());
    assert_eq!(seen.unknown_kinds["other"], 1);
    let counts: Vec<_> = seen.rejects.iter().map(|(reason, n)| (reason.as_str(), *n)).collect();
    let wanted =
        [("bad_price", 2), ("bad_side", 2), ("bad_size", 1), ("bad_time", 1), ("bad_token", 1)];
    assert_eq!(counts, wanted, "{}", case.rejects());
    assert!(case.rejects().contains("line 14"), "{}", case.rejects());
}

#[test]
fn float_columns_are_snapped_and_what_is_no_noise_is_refused() {
    let case = Case::new();
    case.file("overlay.toml", overlay([11, 12]));
    let prices = [0.1 + 0.2, 0.29, 0.300_000_4, 0.123_45, f64::NAN, f64::INFINITY, -0.1, 1.1];
    let count = prices.len();
    let file = parquet(
        &case.place.path().join("floats.parquet"),
        &[
            Column::Int64(
                "int64 ts (TIMESTAMP(MILLIS,true))",
                (0..count as i64).map(|n| Some(BEGIN + n)).collect(),
            ),
            Column::Double("double p", prices.iter().map(|price| Some(*price)).collect()),
            Column::Double("double s", vec![Some(1.1); count]),
        ],
    );
    let map = r#"
        time = { column = "ts", unit = "ms" }
        token = { fixed = "11" }
        kind = { fixed = "level" }
        side = { fixed = "sell" }
        price = { column = "p" }
        size = { column = "s" }
    "#;
    let seen = case.table(&[file], map).unwrap();
    assert_eq!((seen.kinds["level"], seen.rejects["bad_price"]), (3, 5), "{}", case.rejects());
    assert_eq!(seen.snapped_floats, 1);
}

#[test]
fn wrong_maps_and_overlays_name_file_key_value_and_rule() {
    let table = "ts,token,kind,side,price,size\n1780000000000,UP,change,b,40,5000000\n";
    for (from, to, wanted) in [
        ("unit = \"ms\"", "unit = \"weeks\"", "weeks"),
        ("scale = 100 ", "scale = 0 ", "price.scale is 0"),
        ("column = \"ts\"", "column = \"tz\"", "no column \"tz\"; it has ts, token"),
        ("price = {", "prize = {", "prize"),
        ("price = { column = \"price\", scale = 100 }", "", "price is missing"),
        ("column = \"kind\",", "column = \"kind\", fixed = \"level\",", "exactly one"),
    ] {
        let case = Case::new();
        case.file("overlay.toml", overlay([11, 12]));
        let file = case.file("table.csv", table);
        let map = MAP.replace(from, to);
        assert_ne!(map, MAP, "{from}");
        let error = chain(&case.table(&[file], &map).unwrap_err());
        assert!(error.contains(wanted), "{error}");
        assert!(error.contains("map.toml") || error.contains("table.csv"), "{error}");
    }
    for (from, to, wanted) in [
        ("tick = \"0.01\"", "tick = \"0.02\"", "market[0].tick is 0.02"),
        ("tick = \"0.01\"", "", "market[0].tick is missing"),
        ("min_size = \"5\"", "min_size = \"-5\"", "market[0].min_size is -5"),
        ("rate = \"0.04\"", "rate = \"4\"", "market[0].fee[0].rate is 4"),
        ("exponent = 1", "exponent = 3", "market[0].fee[0].exponent is 3"),
        ("tokens = [\"11\", \"12\"]", "tokens = [\"11\", \"x\"]", "market[0].tokens is x"),
        ("tokens = [\"11\", \"12\"]", "", "market[0].tokens is missing"),
        ("tokens = [\"11\"", "tokns = [\"11\"", "tokns"),
    ] {
        let case = Case::new();
        let good = overlay([11, 12]);
        let text = good.replace(from, to);
        assert_ne!(text, good, "{from}");
        case.file("overlay.toml", text);
        let file = case.file("table.csv", table);
        let error = chain(&case.table(&[file], MAP).unwrap_err());
        assert!(error.contains(wanted) && error.contains("overlay.toml"), "{error}");
    }
}

#[test]
fn a_corrupt_parquet_recording_keeps_what_was_readable() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sources/tickscope");
    let bytes = std::fs::read(source.join("polymarket_20260607_0130.parquet")).unwrap();
    let overlay = std::fs::read_to_string(source.join("overlay.toml")).unwrap();
    let case = Case::new();
    case.file("overlay.toml", &overlay);
    // The last column is at the end of the file: damage one of its later pages.
    let mut damaged = bytes.clone();
    let late = bytes.len() - 60_000;
    damaged[late..late + 400].fill(0x5a);
    let file = case.file("damaged.parquet", &damaged);
    let seen = case.import(Format::Tickscope, &[file]).unwrap();
    assert_eq!(seen.truncated.len(), 1, "{seen}");
    assert!(seen.truncated[0].place.starts_with("row "), "{:?}", seen.truncated);
    assert!(seen.events > 1_000 && seen.events < 206_000, "{seen}");
    assert_eq!(case.events().len() as u64, seen.events);
    let case = Case::new();
    case.file("overlay.toml", &overlay);
    let file = case.file("cut.parquet", &bytes[..bytes.len() / 2]);
    let error = chain(&case.import(Format::Tickscope, &[file]).unwrap_err());
    assert!(error.contains("cut.parquet") && error.contains("footer"), "{error}");
}

#[test]
fn polybot_windows_hold_best_prices_prints_and_results() {
    let Some(file) = shared("orderbook/arnavbhatia1_parity_windows.json.gz") else { return };
    let case = Case::new();
    let facts = r#"
        [defaults]
        tick = "0.01"
        min_size = "5"
        fee = [{ rate = "0.07", exponent = 1, rebate = "0.2" }]
    "#;
    let mut job = ImportJob::new(Format::PolybotWindows, vec![file], case.out());
    job.overlay = Some(case.file("facts.toml", facts));
    let seen = import(&job).unwrap();
    assert_eq!((seen.kinds["best"], seen.kinds["print"]), (232_836, 7_089));
    assert_eq!((seen.kinds["listed"], seen.kinds["state"], seen.rejected()), (2, 4, 0));
    assert_eq!(seen.unknown_kinds["spot price"], 1_520);
    let reader = TapeReader::open(&case.out()).unwrap();
    assert_eq!(reader.manifest().times, Times::Received);
}

#[test]
fn the_draft_of_an_overlay_pairs_tokens_by_their_mirrored_changes() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sources/tickscope");
    let case = Case::new();
    let recording = source.join("polymarket_20260607_0130.parquet");
    let file = case.file("recording.parquet", std::fs::read(recording).unwrap());
    let job = ImportJob::new(Format::Tickscope, vec![file], case.out());
    let draft = polydesk_tape::overlay_template(&job).unwrap();
    let shipped = std::fs::read_to_string(source.join("overlay.toml")).unwrap();
    let tokens = |text: &str| -> Vec<String> {
        let long = |word: &&str| word.len() > 60 && word.bytes().all(|b| b.is_ascii_digit());
        text.split('"').filter(long).map(str::to_owned).collect()
    };
    assert_eq!(tokens(&draft), tokens(&shipped));
    assert_eq!(tokens(&draft).len(), 12);
    assert_eq!(draft.matches("tick = \"0.001\"").count(), 1);
    // With the draft beside it the recording can be imported, and fees stay unknown.
    case.file("overlay.toml", draft);
    let seen = import(&job).unwrap();
    assert_eq!(seen.kinds["level"], 206_365);
    assert!(seen.assumed.iter().any(|assumed| assumed.fact.starts_with("fee: unknown")));
    assert_eq!(seen.inferred_ticks, 0);
}

#[test]
fn a_flipped_byte_anywhere_in_a_foreign_parquet_file_never_panics() {
    let count = std::env::var("TAPE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150u64);
    let rows = [
        (5, 1, "book", 11, r#"[["0.40","10"],["0.39","7.5"]]"#, 0, 0, "", 0),
        (20, 19, "price_change", 11, "", 4_000, 12_000_000, "BUY", 0),
        (40, 39, "last_trade_price", 12, "", 6_000, 1_500_000, "SELL", 0),
    ];
    let case = Case::new();
    let bytes = std::fs::read(pmxt_two(&case.place.path().join("whole.parquet"), &rows)).unwrap();
    let mut place = 7;
    for n in 0..count {
        let case = Case::new();
        case.file("overlay.toml", overlay([11, 12]));
        let mut damaged = bytes.clone();
        place = (place * 48_271 + n as usize) % bytes.len();
        damaged[place] ^= 1 << (n % 8);
        let file = case.file("hour.parquet", damaged);
        if let Err(error) = case.import(Format::PmxtV2, &[file]) {
            let error = chain(&error);
            assert!(error.contains("hour.parquet") || error.contains("no metadata"), "{error}");
        }
    }
}
