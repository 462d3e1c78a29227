//! The book hash against books whose hash the venue itself sent.

use polydesk_domain::{HashInput, RawLevel, book_hash};
use serde_json::Value;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is not a string in {value}"))
}

fn levels(value: &Value) -> Vec<RawLevel<'_>> {
    let levels = value.as_array().expect("levels");
    levels
        .iter()
        .map(|level| RawLevel { price: text(level, "price"), size: text(level, "size") })
        .collect()
}

#[test]
fn every_recorded_book_hashes_to_what_the_venue_sent() {
    let folder = std::env::var("VECTORS_DIR").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/vectors").to_owned()
    });
    let file = std::fs::read_to_string(format!("{folder}/book_hash_real.json")).expect("vectors");
    let cases: Vec<Value> = serde_json::from_str(&file).expect("JSON");
    for case in &cases {
        let book = &case["book"];
        let input = HashInput {
            market: text(book, "market"),
            asset_id: text(book, "asset_id"),
            timestamp: text(book, "timestamp"),
            bids: &levels(&book["bids"]),
            asks: &levels(&book["asks"]),
            min_order_size: text(book, "min_order_size"),
            tick_size: text(book, "tick_size"),
            neg_risk: book["neg_risk"].as_bool().expect("neg_risk"),
            last_trade_price: Some(text(book, "last_trade_price")),
        };
        assert_eq!(book_hash(&input), text(case, "expected_hash"), "{}", case["id"]);
    }
    assert!(cases.len() >= 45, "only {} cases", cases.len());
}
