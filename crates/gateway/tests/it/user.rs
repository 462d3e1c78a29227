//! The user channel.

use expect_test::expect;
use polydesk_domain::{Outcome, Tif};

use crate::harness::{Bench, OWNER, WALLET, at, hash, text};

const TRADE: &str = "28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e";

/// One of our resting orders within a trade: its number, token, side and shares.
struct Maker(u8, Outcome, &'static str, &'static str);

/// A trade in which we are the maker with these orders; the taker buys NO.
fn maker_trade(bench: &Bench, status: &str, makers: &[Maker]) -> String {
    let no = bench.token(Outcome::No);
    let entries: Vec<String> = makers
        .iter()
        .map(|Maker(n, outcome, side, shares)| {
            format!(
                r#"{{"order_id":"{}","owner":"{OWNER}","maker_address":"","matched_amount":"{shares}",
                "price":"0.5","asset_id":"{}","side":"{side}"}}"#,
                hash(*n),
                bench.token(*outcome),
            )
        })
        .collect();
    format!(
        r#"{{"event_type":"trade","id":"{TRADE}","taker_order_id":"{}","asset_id":"{no}","side":"BUY",
        "size":"60","price":"0.5","status":"{status}","match_time":"110","owner":"other",
        "trader_side":"MAKER","transaction_hash":"","maker_orders":[{}]}}"#,
        hash(200),
        entries.join(",")
    )
}

fn taker_trade(bench: &Bench, n: u8, shares: &str, status: &str) -> String {
    let yes = bench.token(Outcome::Yes);
    format!(
        r#"{{"event_type":"trade","id":"{TRADE}","taker_order_id":"{}","asset_id":"{yes}","side":"BUY",
        "size":"{shares}","price":"0.4","status":"{status}","match_time":"110","owner":"{OWNER}",
        "trader_side":"TAKER","transaction_hash":"0x{}","maker_orders":[]}}"#,
        hash(n),
        "ab".repeat(32),
    )
}

fn order_message(bench: &Bench, kind: &str, status: &str, matched: &str) -> String {
    let yes = bench.token(Outcome::Yes);
    format!(
        r#"{{"event_type":"order","id":"{}","owner":"{OWNER}","asset_id":"{yes}","side":"BUY",
        "original_size":"100","size_matched":"{matched}","price":"0.5","type":"{kind}",
        "status":"{status}","timestamp":"120000","maker_address":"{WALLET}"}}"#,
        hash(1)
    )
}

#[test]
fn every_message_of_an_order_has_one_meaning() {
    let mut seen = String::new();
    for (kind, status, matched) in [
        ("PLACEMENT", "LIVE", "0"),
        ("PLACEMENT", "LIVE", ""),
        ("UPDATE", "LIVE", "25.0"),
        ("UPDATE", "MATCHED", "100.0"),
        ("UPDATE", "MATCHED", "25.0"),
        ("UPDATE", "LIVE", ""),
        ("CANCELLATION", "CANCELED", "0"),
        ("CANCELLATION", "CANCELED", "7"),
        ("CANCELLATION", "INVALID", "0"),
        ("CANCELLATION", "CANCELED_order couldn't be fully filled. FOK orders are killed.", ""),
        ("UPDATE", "DELAYED", "0"),
        ("UPDATE", "UNMATCHED", "0"),
        ("UPDATE", "NEW_WORD", "0"),
        ("UPDATE", "LIVE", "25000000"),
    ] {
        let mut bench = Bench::with_order();
        let message = order_message(&bench, kind, status, matched);
        let out = text(&bench.frame(&message, at(121)));
        seen += &format!("{kind} {status} {matched:?}: {}\n", out.replace('\n', "; "));
    }
    expect![[r#"
        PLACEMENT LIVE "0": #3.1 live
        PLACEMENT LIVE "": #3.1 live
        UPDATE LIVE "25.0": #3.1 live; #3.1 matched; ask trades of 0x0101
        UPDATE MATCHED "100.0": #3.1 filled 100; ask trades of 0x0101
        UPDATE MATCHED "25.0": #3.1 matched; ask order 0x0101; ask trades of 0x0101
        UPDATE LIVE "": not reconciled: order HASH of the user channel: size_matched is missing or looks like millionths; ask order 0x0101
        CANCELLATION CANCELED "0": #3.1 cancelled ByVenue 0
        CANCELLATION CANCELED "7": #3.1 cancelled ByVenue 7; ask trades of 0x0101
        CANCELLATION INVALID "0": #3.1 cancelled ByVenue 0
        CANCELLATION CANCELED_order couldn't be fully filled. FOK orders are killed. "": #3.1 cancelled ByVenue 0
        UPDATE DELAYED "0": #3.1 delayed
        UPDATE UNMATCHED "0": #3.1 unknown; ask order 0x0101
        UPDATE NEW_WORD "0": #3.1 unknown; not reconciled: order HASH cannot be read: the status Unknown("NEW_WORD")
        UPDATE LIVE "25000000": not reconciled: order HASH of the user channel: size_matched is missing or looks like millionths; ask order 0x0101
    "#]].assert_eq(&seen.replace(&hash(1).to_string(), "HASH"));
}

#[test]
fn a_killed_fok_has_empty_sizes_and_its_size_in_money() {
    let mut bench = Bench::new();
    bench.send(1, bench.facts(Tif::Fok));
    let message = order_message(&bench, "CANCELLATION", "CANCELED_FOK orders are killed", "");
    let out = text(&bench.frame(&message, at(121)));
    assert_eq!(out, "#3.1 cancelled Killed 0");
}

#[test]
fn a_fill_before_the_answer_is_claimed_by_the_hash() {
    let mut bench = Bench::with_order();
    let trade = taker_trade(&bench, 1, "100", "MATCHED");
    expect!["#3.1 buy Taker of 100 yes 54191087998461310817532243049515265070 for 40.00 fee 1.20 Matched Estimated"]
    .assert_eq(&text(&bench.frame(&trade, at(100))));
}

#[test]
fn one_trade_of_several_maker_orders_is_one_fill_each_with_its_own_side() {
    let mut bench = Bench::new();
    bench.send(1, bench.facts(Tif::Gtc));
    let mut sell = bench.facts(Tif::Gtc);
    (sell.token, sell.side) = (bench.token(Outcome::No), polydesk_domain::Side::Sell);
    bench.send(2, sell);
    let makers = [
        Maker(1, Outcome::Yes, "BUY", "20"),
        Maker(2, Outcome::No, "SELL", "30"),
        // Some captures lack the side: the other token means the taker's side.
        Maker(1, Outcome::Yes, "", "20"),
    ];
    let frame = maker_trade(&bench, "MATCHED", &makers[..2]);
    expect![[r#"
        #3.1 buy Maker of 20 yes 54191087998461310817532243049515265070 for 10.00 fee 0.00 Matched Estimated
        #3.2 sell Maker of 30 no 54191087998461310817532243049515265070 for 15.00 fee 0.00 Matched Estimated"#]].assert_eq(&text(&bench.frame(&frame, at(111))));
    let frame = maker_trade(&bench, "CONFIRMED", &makers[2..]);
    expect!["#3.1 buy Maker of 20 yes 54191087998461310817532243049515265070 for 10.00 fee 0.00 Confirmed Estimated"].assert_eq(&text(&bench.frame(&frame, at(112))));
}

#[test]
fn every_status_word_of_a_trade_is_a_stage_and_an_unknown_one_is_not_settled() {
    let mut seen = String::new();
    for status in [
        "MATCHED_NOT_BROADCASTED",
        "TRADE_STATUS_MATCHED",
        "MINED",
        "RETRYING",
        "CONFIRMED",
        "FAILED",
        "NEW_WORD",
    ] {
        let mut bench = Bench::with_order();
        let frame = taker_trade(&bench, 1, "10", status);
        let out = text(&bench.frame(&frame, at(111))).replace('\n', "; ");
        seen += &format!("{status}: {out}\n");
    }
    expect![[r#"
        MATCHED_NOT_BROADCASTED: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Matched Estimated
        TRADE_STATUS_MATCHED: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Matched Estimated
        MINED: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Mined Estimated
        RETRYING: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Retrying Estimated
        CONFIRMED: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Confirmed Estimated
        FAILED: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Failed Estimated
        NEW_WORD: not reconciled: trade "28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e": the status Unknown("NEW_WORD"); #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Matched Estimated
    "#]].assert_eq(&seen);
}

#[test]
fn a_repeated_trade_changes_nothing_and_one_with_other_amounts_is_passed_on() {
    let mut bench = Bench::with_order();
    let frame = taker_trade(&bench, 1, "10", "MINED");
    let first = bench.frame(&frame, at(111));
    let before = bench.gateway.orders().get(&hash(1)).cloned();
    assert_eq!(bench.frame(&frame, at(111)), first);
    assert_eq!(bench.gateway.orders().get(&hash(1)).cloned(), before);
    // An older stage that comes late changes neither stage nor transaction.
    let late = taker_trade(&bench, 1, "10", "MATCHED").replace(&"ab".repeat(32), "");
    bench.frame(&late.replace("\"0x\"", "\"\""), at(111));
    assert_eq!(bench.gateway.orders().get(&hash(1)).cloned(), before);
    let other = taker_trade(&bench, 1, "11", "MINED");
    let out = text(&bench.frame(&other, at(112)));
    assert!(out.contains("of 11 "), "{out}");
    let kept = &bench.gateway.orders().get(&hash(1)).unwrap().fills;
    assert_eq!(kept.values().next().unwrap().shares, crate::harness::shares("10"));
}

#[test]
fn a_fill_after_an_end_is_booked_and_a_refusal_that_was_wrong_is_asked_about() {
    let mut bench = Bench::with_order();
    let refused = polydesk_polymarket_api::ApiError::Withheld("order".into());
    bench.gateway.placed(&hash(1), Err(&refused), at(101));
    let frame = taker_trade(&bench, 1, "10", "MATCHED");
    expect![[r#"
        ask order 0x0101
        #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Matched Estimated"#]].assert_eq(&text(&bench.frame(&frame, at(111))));
    assert_eq!(bench.gateway.orders().get(&hash(1)).unwrap().ended, None);
}

#[test]
fn a_refusal_of_an_order_that_has_matched_is_asked_about() {
    let mut bench = Bench::with_order();
    let frame = taker_trade(&bench, 1, "10", "MATCHED");
    bench.frame(&frame, at(101));
    let refused = polydesk_polymarket_api::ApiError::CancelOnly;
    let out = text(&bench.gateway.placed(&hash(1), Err(&refused), at(102)));
    assert_eq!(out, "#3.1 unknown");
    assert_eq!(bench.gateway.orders().get(&hash(1)).unwrap().ended, None);
}

#[test]
fn an_ended_order_is_open_again_at_the_second_sign_of_life_only() {
    let mut bench = Bench::with_order();
    let (end, live) = (
        order_message(&bench, "CANCELLATION", "CANCELED", "0"),
        order_message(&bench, "UPDATE", "LIVE", "0"),
    );
    bench.frame(&end, at(121));
    let over = |bench: &Bench| bench.gateway.orders().get(&hash(1)).unwrap().ended.is_some();
    expect!["#3.1 live\nask order 0x0101"].assert_eq(&text(&bench.frame(&live, at(122))));
    assert!(over(&bench), "streams reorder");
    bench.frame(&live, at(123));
    assert!(!over(&bench));
}

#[test]
fn fills_of_unknown_orders_are_external_and_never_dropped() {
    let mut bench = Bench::new();
    let frame = taker_trade(&bench, 9, "10", "MATCHED");
    expect![[r#"
        external #3.2147483649 0x0909 buy 10 at 0.4000 over
        ask order 0x0909
        #3.2147483649 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Matched Estimated"#]].assert_eq(&text(&bench.frame(&frame, at(111))));
    let later = taker_trade(&bench, 9, "10", "CONFIRMED");
    expect!["#3.2147483649 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Confirmed Estimated"].assert_eq(&text(&bench.frame(&later, at(112))));
}

#[test]
fn an_order_that_no_entry_names_grows_with_each_of_its_fills() {
    let mut bench = Bench::new();
    let first = taker_trade(&bench, 9, "10", "MATCHED");
    bench.frame(&first, at(111));
    let second = first.replace(TRADE, "28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2f");
    let seen = text(&bench.frame(&second, at(112)));
    expect![[r#"
        external #3.2147483649 0x0909 buy 20 at 0.4000 over
        #3.2147483649 buy Taker of 10 yes 54191087998461310817532243049515265071 for 4.00 fee 0.12 Matched Estimated"#]]
    .assert_eq(&seen);
    // The same again adds nothing.
    let again = text(&bench.frame(&second, at(113)));
    assert!(!again.contains("external"), "{again}");
}

#[test]
fn a_fill_on_another_side_than_the_orders_is_external_and_freezes_the_token() {
    let mut bench = Bench::with_order();
    let makers = [Maker(1, Outcome::Yes, "SELL", "20")];
    let frame = maker_trade(&bench, "MATCHED", &makers);
    let first = text(&bench.frame(&frame, at(111)));
    expect![[r#"
        external #3.2147483649 0x0101 sell 20 at 0.5000 over
        #3.2147483649 sell Maker of 20 yes 54191087998461310817532243049515265070 for 10.00 fee 0.00 Matched Estimated
        freeze: trade "28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e" of order HASH is a sell of 20 shares in a token or on a side that the order does not have"#]].assert_eq(&first.replace(&hash(1).to_string(), "HASH"));
    // Again: the same external order, not a second one.
    let again = text(&bench.frame(&frame, at(111)));
    assert_eq!(first.lines().skip(1).collect::<Vec<_>>(), again.lines().collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_read_raises_not_reconciled() {
    let bench = Bench::with_order();
    let good = taker_trade(&bench, 1, "10", "MATCHED");
    let other_owner =
        maker_trade(&bench, "MATCHED", &[Maker(1, Outcome::Yes, "BUY", "20")]).replace(OWNER, "x");
    let mixed = maker_trade(
        &bench,
        "MATCHED",
        &[Maker(1, Outcome::Yes, "BUY", "20"), Maker(9, Outcome::Yes, "BUY", "20")],
    )
    .replacen(OWNER, "x", 1);
    let mut seen = String::new();
    for (name, frame) in [
        ("id", good.replace(TRADE, "trade-1")),
        ("size", good.replace("\"size\":\"10\"", "\"size\":\"\"")),
        ("price", good.replace("0.4", "1.4")),
        ("side of the row", good.replace("TAKER", "NEITHER")),
        ("token", good.replace(&bench.token(Outcome::Yes).to_string(), "77")),
        ("no part of ours", other_owner),
        ("a known order with another owner", mixed),
        (
            "order id",
            order_message(&bench, "UPDATE", "LIVE", "0").replace(&hash(1).to_string(), "0x1"),
        ),
        ("order side", order_message(&bench, "UPDATE", "LIVE", "0").replace("BUY", "SELL")),
    ] {
        let mut bench = Bench::with_order();
        let out = text(&bench.frame(&frame, at(111)));
        assert!(out.contains("not reconciled"), "{name}: {out}");
        seen += &format!("{name}: {}\n", out.replace('\n', "; "));
    }
    let hashes = seen.replace(&hash(1).to_string(), "HASH").replace(&hash(9).to_string(), "NINE");
    expect![[r#"
        id: not reconciled: trade "trade-1": id is no uuid
        size: not reconciled: trade 28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e: a size is missing or no number of shares
        price: not reconciled: trade "28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e", order HASH: a fill at 1.4 pUSD a share; a price is from 0 to 1; ask trades of 0x0101
        side of the row: not reconciled: trade 28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e: trader_side is neither TAKER nor MAKER
        token: not reconciled: a fill of order HASH is in a market that is not listed; ask Market(77)
        no part of ours: not reconciled: trade 28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e: none of its orders is of this key or wallet
        a known order with another owner: not reconciled: trade "28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e": order HASH is ours, and no part of it is; ask trades of 0x0101; external #3.2147483649 0x0909 buy 20 at 0.5000 over; ask order 0x0909; #3.2147483649 buy Maker of 20 yes 54191087998461310817532243049515265070 for 10.00 fee 0.00 Matched Estimated
        order id: not reconciled: order 0x1 of the user channel: id is no order id
        order side: not reconciled: order HASH of the user channel: token or side differ from what was signed
    "#]].assert_eq(&hashes);
}
