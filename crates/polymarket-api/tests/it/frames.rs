//! The scanner and simd-json read the same from every frame; nothing foreign makes either panic.

use polydesk_domain::{Token, TokenId};
use polydesk_polymarket_api::ws::{FrameParser, LevelRow, Message, TokenTable, parse_user_frame};

mod print;
use print::print;
use proptest::prelude::*;

fn folder() -> std::path::PathBuf {
    std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/wire"))
}

fn read(mut parser: FrameParser, frame: &[u8], table: &TokenTable) -> (Vec<String>, u64, u64) {
    let mut messages = Vec::new();
    parser.parse(frame, table, |message, frame| messages.push(print(message, frame)));
    let counts = parser.counts();
    (messages, counts.malformed, counts.unknown_kinds)
}

fn agree(frame: &[u8], table: &TokenTable) {
    let fast = read(FrameParser::new(), frame, table);
    let slow = read(FrameParser::without_scanner(), frame, table);
    // Messages of one frame that the scanner had read before it met a strange one are equal too.
    assert_eq!(fast.0, slow.0, "{}", String::from_utf8_lossy(frame));
    assert_eq!(fast.2, slow.2, "{}", String::from_utf8_lossy(frame));
    assert_eq!(fast.1 > 0, slow.1 > 0, "{}", String::from_utf8_lossy(frame));
}

/// All decimal texts that look like token ids.
fn tokens_in(text: &str) -> TokenTable {
    let mut table = TokenTable::new();
    let mut next = 0;
    for word in text.split('"') {
        if word.len() > 2
            && word.bytes().all(|b| b.is_ascii_digit())
            && word.len() != 13
            && let Ok(id) = word.parse::<TokenId>()
            && table.get(word.as_bytes()).is_none()
        {
            table.insert(id, Token(next));
            next += 1;
        }
    }
    table
}

#[test]
fn both_ways_read_the_same_from_every_recorded_frame() {
    let mut frames = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("ws_market") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        agree(text.as_bytes(), &tokens_in(&text));
        // As sent: without blanks.
        let compact = serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string();
        agree(compact.as_bytes(), &tokens_in(&text));
        frames += 2;
    }
    // Recordings without a stated licence are read where they are, and not shipped.
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/orderbook/ws_verified");
    for entry in std::fs::read_dir(shared).into_iter().flatten() {
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            for key in ["raw", "frame", "msg", "message", "data", "payload"] {
                let frame = match &record[key] {
                    serde_json::Value::String(text) => text.clone(),
                    other if other.is_object() || other.is_array() => other.to_string(),
                    _ => continue,
                };
                agree(frame.as_bytes(), &tokens_in(&frame));
                frames += 1;
            }
        }
    }
    println!("{frames} frames");
    assert!(frames >= 20);
}

#[test]
fn plain_frames_never_need_the_slow_way() {
    for name in [
        "ws_market_price_change_official",
        "ws_market_price_change_two_assets",
        "ws_market_price_change_crossing_burst",
        "ws_market_book_captured",
        "ws_market_last_trade_price_official",
        "ws_market_best_bid_ask",
        "ws_market_tick_size_change",
    ] {
        let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let mut parser = FrameParser::new();
        parser.parse(text.as_bytes(), &tokens_in(&text), |_, _| {});
        assert_eq!(parser.counts().slow, 0, "{name}");
        assert!(parser.counts().messages > 0, "{name}");
    }
}

#[test]
fn a_malformed_message_takes_no_other_with_it() {
    let good = r#"{"event_type":"best_bid_ask","market":"0x1","asset_id":"101","best_bid":"0.73","best_ask":"0.77","timestamp":"1766789469958"}"#;
    let cases = [
        (
            r#"{"event_type":"best_bid_ask","asset_id":"101","best_bid":"0.7.3","best_ask":"0.77","timestamp":"1766789469958"}"#,
            1,
            0,
        ),
        (
            r#"{"event_type":"price_change","price_changes":[{"asset_id":"101","price":"NaN","size":"1","side":"BUY"}],"timestamp":"1766789469958"}"#,
            1,
            0,
        ),
        (
            r#"{"event_type":"price_change","price_changes":[{"asset_id":"101","price":"0.5","size":"-1","side":"BUY"}],"timestamp":"1766789469958"}"#,
            1,
            0,
        ),
        (
            r#"{"event_type":"price_change","price_changes":[{"asset_id":"101","price":"1.5","size":"1","side":"BUY"}],"timestamp":"1766789469958"}"#,
            1,
            0,
        ),
        (
            r#"{"event_type":"price_change","price_changes":[{"asset_id":"101","price":"0.5","size":"99999999999999","side":"BUY"}],"timestamp":"1766789469958"}"#,
            1,
            0,
        ),
        (
            r#"{"event_type":"price_change","price_changes":[{"asset_id":"101","price":"0.5","size":"1","side":"HOLD"}],"timestamp":"1766789469958"}"#,
            1,
            0,
        ),
        (
            r#"{"event_type":"last_trade_price","asset_id":"101","price":"0.5","size":"1","side":"BUY","timestamp":"soon"}"#,
            1,
            0,
        ),
        (r#"{"event_type":"something_new","x":{"y":[1,2,{}]}}"#, 0, 1),
        (r#"{}"#, 0, 1),
    ];
    let mut table = TokenTable::new();
    table.insert(TokenId::from(101), Token(7));
    for (bad, malformed, unknown) in cases {
        for frame in [
            format!("[{good},{bad},{good}]"),
            format!("[{bad},{good},{good}]"),
            format!("[{good},{good},{bad}]"),
        ] {
            let (messages, m, u) = read(FrameParser::new(), frame.as_bytes(), &table);
            assert_eq!((messages.len(), m, u), (2, malformed, unknown), "{frame}");
            agree(frame.as_bytes(), &table);
        }
    }
}

/// Decimal text in the forms the venue uses, and some it should not.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0u32..=10_000).prop_map(|n| format!("{}", f64::from(n) / 10_000.0)),
        4 => (0u32..1_000_000, 0u32..1_000_000).prop_map(|(a, b)| format!("{a}.{b:06}")),
        2 => (0u32..100).prop_map(|n| format!(".{n:02}")),
        1 => Just("0.630".to_owned()),
        1 => Just(String::new()),
        1 => "[0-9eE+.\\-]{0,12}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just("BUY".to_owned()), 3 => Just("SELL".to_owned()), 1 => "[ -~]{0,8}", 1 => "\\PC{0,4}"]
}

fn asset() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just("101"), 4 => Just("57953460969144501144385266431497900786362265483971474370583776523710017709396"), 1 => Just("102")]
        .prop_map(str::to_owned)
}

/// An object as JSON text, its keys in any order, with blanks here and there.
fn object(fields: Vec<(&'static str, String)>, order: u64, blank: &'static str) -> String {
    let mut fields = fields;
    let mut chance = order | 1;
    for i in (1..fields.len()).rev() {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        fields.swap(i, (chance % (i as u64 + 1)) as usize);
    }
    let body: Vec<String> =
        fields.into_iter().map(|(key, value)| format!("{blank}\"{key}\":{blank}{value}")).collect();
    format!("{{{}{blank}}}", body.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

prop_compose! {
    fn message()(
        kind in prop_oneof![4 => Just("price_change"), 2 => Just("book"), 2 => Just("last_trade_price"), 1 => Just("best_bid_ask"), 1 => Just("tick_size_change"), 1 => Just("market_resolved"), 1 => Just("strange")],
        rows in proptest::collection::vec((asset(), number(), number(), text(), number(), number()), 0..4),
        own in (asset(), number(), number(), text(), number(), number()),
        order: u64,
        blank in prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\n\t")],
        named in prop_oneof![9 => Just(true), 1 => Just(false)],
        time in prop_oneof![8 => Just("1766789469958".to_owned()), 1 => Just("1766789469".to_owned()), 1 => number()],
    ) -> String {
        let (asset, price, size, side, bid, ask) = own;
        // The usual lengths, which are read at a stroke, and others.
        let usual = order & 1024 == 0;
        let market = if usual { format!("0x{}", "5f65177b394277fd".repeat(4)) } else { "0xabc".into() };
        let mut fields = vec![("timestamp", quoted(&time)), ("market", quoted(&market))];
        if named { fields.push(("event_type", quoted(kind))); }
        if kind != "price_change" { fields.push(("asset_id", quoted(&asset))); }
        match kind {
            "price_change" => {
                let rows: Vec<String> = rows.iter().map(|(asset, price, size, side, bid, ask)| object(vec![
                    ("asset_id", quoted(asset)), ("price", quoted(price)), ("size", quoted(size)), ("side", quoted(side)),
                    ("hash", quoted("56621a121a47ed9333273e21c83b660cff37ae50")), ("best_bid", quoted(bid)), ("best_ask", quoted(ask)),
                ], order.rotate_left(7), blank)).collect();
                fields.push(("price_changes", format!("[{}]", rows.join(","))));
            }
            "book" => {
                for side in ["bids", "asks"] {
                    let rows: Vec<String> = rows.iter().map(|row| object(vec![("price", quoted(&row.1)), ("size", quoted(&row.2))], order, blank)).collect();
                    fields.push((side, format!("[{}]", rows.join(","))));
                }
                fields.push(("hash", quoted(if usual { "56621a121a47ed9333273e21c83b660cff37ae50" } else { "ab" })));
                fields.push(("last_trade_price", quoted(&price)));
            }
            "last_trade_price" => fields.extend([("price", quoted(&price)), ("size", quoted(&size)), ("side", quoted(&side))]),
            "best_bid_ask" => fields.extend([("best_bid", quoted(&bid)), ("best_ask", quoted(&ask)), ("spread", "0.04".into())]),
            "tick_size_change" => fields.extend([("old_tick_size", quoted("0.01")), ("new_tick_size", quoted("0.001"))]),
            "market_resolved" => fields.extend([("winning_asset_id", quoted(&asset)), ("assets_ids", format!("[{}]", quoted(&asset)))]),
            _ => fields.push(("x", "[1,null,{\"a\":true}]".into())),
        }
        object(fields, order, blank)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn both_ways_read_the_same_from_random_frames(messages in proptest::collection::vec(message(), 1..4), many: bool) {
        let table = tokens_in("\"101\" \"57953460969144501144385266431497900786362265483971474370583776523710017709396\"");
        let frame = if many { format!("[{}]", messages.join(",")) } else { messages[0].clone() };
        agree(frame.as_bytes(), &table);
    }

    #[test]
    fn random_bytes_and_broken_frames_panic_nowhere(bytes: Vec<u8>, message in message(), cut in 0usize..2_000, flip in 0usize..2_000, byte: u8) {
        let table = tokens_in("\"101\"");
        let mut broken = message.into_bytes();
        let flip = flip % broken.len();
        broken[flip] = byte;
        broken.truncate(cut);
        for frame in [&bytes, &broken] {
            read(FrameParser::new(), frame, &table);
            read(FrameParser::without_scanner(), frame, &table);
            parse_user_frame(frame);
        }
    }
}

fn cases() -> u32 {
    std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}
