//! Answers to orders, cancels and reads by id.

use core::time::Duration;

use expect_test::{Expect, expect};
use polydesk_domain::{Tif, Time};
use polydesk_gateway::Output;
use polydesk_polymarket_api::clob::{Cancelled, NotCanceled, OpenOrder, Placed, PlacedStatus};
use polydesk_polymarket_api::{ApiError, Refusal, ThrottledBy};

use crate::harness::{Bench, OWNER, at, hash, text};

fn taken(n: u8, status: PlacedStatus) -> Result<Placed, ApiError> {
    Ok(Placed { id: hash(n), status, trade_ids: Vec::new() })
}

fn refusal(why: Refusal) -> Result<Placed, ApiError> {
    Err(ApiError::Refused { why, text: "in the venue's words".into(), order_id: None })
}

#[test]
fn every_answer_to_an_order_has_one_meaning() {
    let pause = Duration::from_secs(1);
    let mut seen = String::new();
    for (name, answer) in [
        ("live", taken(1, PlacedStatus::Live)),
        ("matched", taken(1, PlacedStatus::Matched)),
        ("delayed", taken(1, PlacedStatus::Delayed)),
        ("unmatched", taken(1, PlacedStatus::Unmatched)),
        ("of another order", taken(2, PlacedStatus::Live)),
        ("tick", refusal(Refusal::Tick)),
        ("killed", refusal(Refusal::FokKilled)),
        ("balance", refusal(Refusal::Balance)),
        ("banned", refusal(Refusal::Banned)),
        ("unknown words", refusal(Refusal::Other)),
        ("delayed by the market", refusal(Refusal::DelayedByMarket)),
        ("duplicate", Err(ApiError::Duplicate("Duplicated.".into()))),
        ("429", Err(ApiError::Throttled { pause, by: ThrottledBy::Venue })),
        ("our own limits", Err(ApiError::Throttled { pause, by: ThrottledBy::Ourselves })),
        ("425", Err(ApiError::Restarting { pause })),
        ("cancel-only", Err(ApiError::CancelOnly)),
        ("post-only", Err(ApiError::PostOnly { pause })),
        ("disabled", Err(ApiError::Disabled("off".into()))),
        ("401", Err(ApiError::Unauthorised("bad key".into()))),
        ("arguments", Err(ApiError::Misconfigured("16 orders".into()))),
        ("withheld", Err(ApiError::Withheld("order".into()))),
        ("no connection", Err(ApiError::Unreachable("refused".into()))),
        ("no answer", Err(ApiError::Unknown("reset".into()))),
        ("404", Err(ApiError::NotFound("no".into()))),
    ] {
        let mut bench = Bench::with_order();
        let out = bench.gateway.placed(&hash(1), answer.as_ref(), at(101));
        seen += &format!("{name}: {}\n", text(&out).replace('\n', "; "));
    }
    expect![[r#"
        live: #3.1 live
        matched: #3.1 matched; ask trades of 0x0101
        delayed: #3.1 delayed
        unmatched: #3.1 unknown; ask order 0x0101
        of another order: #3.1 unknown; not reconciled: the answer to order 0x0101010101010101010101010101010101010101010101010101010101010101 names order 0x0202020202020202020202020202020202020202020202020202020202020202; ask order 0x0101
        tick: #3.1 rejected Tick
        killed: #3.1 rejected FokKilled
        balance: #3.1 rejected Balance
        banned: #3.1 rejected Other("in the venue's words")
        unknown words: #3.1 unknown
        delayed by the market: #3.1 unknown
        duplicate: #3.1 rejected Duplicate
        429: #3.1 rejected RateLimited
        our own limits: #3.1 rejected RateLimited
        425: #3.1 rejected Restricted
        cancel-only: #3.1 rejected Restricted
        post-only: #3.1 rejected Restricted
        disabled: #3.1 rejected Restricted
        401: #3.1 rejected Other("unauthorised: bad key")
        arguments: #3.1 rejected Other("not sent: 16 orders")
        withheld: #3.1 absent
        no connection: #3.1 absent
        no answer: #3.1 unknown
        404: #3.1 unknown
    "#]]
    .assert_eq(&seen);
}

#[test]
fn each_row_of_a_batch_is_its_own_answer_and_missing_rows_are_unknown() {
    let mut bench = Bench::new();
    for n in 1..=3 {
        bench.send(n, bench.facts(Tif::Gtc));
    }
    let sent = [hash(1), hash(2), hash(3)];
    let rows = Ok(vec![
        taken(1, PlacedStatus::Live),
        refusal(Refusal::PostOnlyWouldCross),
        Err(ApiError::Unknown("no id and no reason".into())),
    ]);
    let whole = Err(ApiError::Unknown("reset".into()));
    let short = Ok(vec![taken(1, PlacedStatus::Live)]);
    expect![[r#"
        #3.1 live
        #3.2 rejected PostOnlyWouldCross
        #3.3 unknown"#]]
    .assert_eq(&text(&bench.gateway.batch(&sent, &rows, at(101))));
    let fresh = || {
        let mut bench = Bench::new();
        for n in 1..=3 {
            bench.send(n, bench.facts(Tif::Gtc));
        }
        bench
    };
    expect![[r#"
        #3.1 unknown
        #3.2 unknown
        #3.3 unknown"#]]
    .assert_eq(&text(&fresh().gateway.batch(&sent, &whole, at(101))));
    expect![[r#"
        #3.1 unknown
        #3.2 unknown
        #3.3 unknown
        not reconciled: 1 rows answer a batch of 3 orders"#]]
    .assert_eq(&text(&fresh().gateway.batch(&sent, &short, at(101))));
}

#[test]
fn a_cancel_answer_proves_what_is_not_open_and_no_fills() {
    let cases = [
        ("canceled", None),
        ("matched", Some(NotCanceled::Matched)),
        ("already", Some(NotCanceled::AlreadyCanceled)),
        ("gone", Some(NotCanceled::Gone)),
        ("not found", Some(NotCanceled::NotFound)),
        ("pending", Some(NotCanceled::Pending)),
        ("other", Some(NotCanceled::Other("words".into()))),
    ];
    let mut seen = String::new();
    for (name, why) in cases {
        let mut bench = Bench::with_order();
        let mut answer = Cancelled::default();
        match why {
            None => answer.canceled.push(hash(1)),
            Some(why) => answer.not_canceled.push((hash(1), why)),
        }
        bench.gateway.placed(&hash(1), taken(1, PlacedStatus::Live).as_ref(), at(101));
        bench.gateway.cancel_sent(&hash(1), at(110));
        let out = bench.gateway.cancelled(&answer, at(111));
        let order = bench.gateway.orders().get(&hash(1)).unwrap();
        let proven = (order.out_of_book.is_some(), order.not_found_at.is_some(), order.ended);
        seen += &format!("{name}: {}; proven {proven:?}\n", text(&out).replace('\n', "; "));
    }
    let mut bench = Bench::with_order();
    let unanswered = Cancelled {
        unanswered: vec![hash(1)],
        canceled: vec![hash(9)],
        unreadable: vec!["0xzz".into()],
        ..Cancelled::default()
    };
    seen += &text(&bench.gateway.cancelled(&unanswered, at(111)));
    expect![[r#"
        canceled: #3.1 cancel refused, open false; ask order 0x0101; ask trades of 0x0101; proven (true, false, None)
        matched: ask trades of 0x0101; #3.1 cancel refused, open false; proven (true, false, None)
        already: ask trades of 0x0101; #3.1 cancel refused, open false; proven (true, false, None)
        gone: ask trades of 0x0101; #3.1 cancel refused, open false; proven (true, false, None)
        not found: #3.1 cancel refused, open false; proven (false, true, None)
        pending: #3.1 cancel refused, open true; proven (false, false, None)
        other: #3.1 cancel refused, open true; proven (false, false, None)
        ask order 0x0909
        cancel 0x0101
        not reconciled: the answer to a cancel has 1 order ids that are none, first "0xzz""#]]
    .assert_eq(&seen);
}

/// A row of order 1 as the venue writes it.
pub fn row(status: &str, matched: &str) -> OpenOrder {
    let bench = Bench::new();
    let token = bench.token(polydesk_domain::Outcome::Yes);
    serde_json::from_str(&format!(
        r#"{{"id":"{}","status":"{status}","owner":"{OWNER}","asset_id":"{token}","side":"BUY",
        "original_size":"100","size_matched":"{matched}","price":"0.5","order_type":"GTC"}}"#,
        hash(1)
    ))
    .unwrap()
}

fn read(bench: &mut Bench, row: Option<&OpenOrder>, now: Time) -> Vec<Output> {
    bench.gateway.queried(&bench.ids, &hash(1), Ok(row), now)
}

#[test]
fn a_read_by_id_tells_state_and_quantity_apart() {
    let mut seen = String::new();
    for (status, matched) in [
        ("LIVE", "0"),
        ("ORDER_STATUS_LIVE", "25"),
        ("MATCHED", "100"),
        ("MATCHED", "99.997714"),
        ("MATCHED", "7"),
        ("CANCELED", "7"),
        ("CANCELED_MARKET_RESOLVED", "0"),
        ("CANCELED_NOT_ENOUGH_BALANCE", "0"),
        ("CANCELED_EXPIRED_ORDER", "3"),
        ("CANCELED_some new reason", "0"),
        ("INVALID", "0"),
        ("DELAYED", "0"),
        ("UNMATCHED", "0"),
        ("SOMETHING", "0"),
        ("LIVE", "25000000"),
    ] {
        let mut bench = Bench::with_order();
        let out = read(&mut bench, Some(&row(status, matched)), at(120));
        seen += &format!("{status} {matched}: {}\n", text(&out).replace('\n', "; "));
    }
    let mut bench = Bench::with_order();
    seen += &format!("nothing: {}\n", text(&read(&mut bench, None, at(120))));
    let mut other = row("LIVE", "0");
    other.side = "SELL".into();
    seen += &format!("other side: {}", text(&read(&mut bench, Some(&other), at(120))));
    expect![[r#"
        LIVE 0: #3.1 live
        ORDER_STATUS_LIVE 25: #3.1 live; #3.1 matched; ask trades of 0x0101
        MATCHED 100: #3.1 filled 100; ask trades of 0x0101
        MATCHED 99.997714: #3.1 filled 99.997714; ask trades of 0x0101
        MATCHED 7: #3.1 cancelled ByVenue 7; ask trades of 0x0101
        CANCELED 7: #3.1 cancelled ByVenue 7; ask trades of 0x0101
        CANCELED_MARKET_RESOLVED 0: #3.1 cancelled MarketEnded 0
        CANCELED_NOT_ENOUGH_BALANCE 0: #3.1 cancelled ByVenue 0
        CANCELED_EXPIRED_ORDER 3: #3.1 expired 3; ask trades of 0x0101
        CANCELED_some new reason 0: #3.1 cancelled ByVenue 0
        INVALID 0: #3.1 cancelled ByVenue 0
        DELAYED 0: #3.1 delayed
        UNMATCHED 0: #3.1 unknown
        SOMETHING 0: #3.1 unknown; not reconciled: order 0x0101010101010101010101010101010101010101010101010101010101010101 cannot be read: the status Unknown("SOMETHING")
        LIVE 25000000: not reconciled: order 0x0101010101010101010101010101010101010101010101010101010101010101 cannot be read: a size is missing or looks like millionths
        nothing: #3.1 unknown
        other side: not reconciled: order 0x0101010101010101010101010101010101010101010101010101010101010101 cannot be read: token or side differ from what was signed"#]]
    .assert_eq(&seen);
}

type Step<'a> = &'a dyn Fn(&mut Bench) -> Vec<Output>;

/// Steps of one order, one line each.
fn story(steps: &[Step<'_>], want: Expect) {
    let mut bench = Bench::with_order();
    let lines: Vec<String> =
        steps.iter().map(|step| text(&step(&mut bench)).replace('\n', "; ")).collect();
    want.assert_eq(&lines.join("\n"));
}

#[test]
fn an_end_is_reported_in_one_word_whichever_source_repeats_it() {
    let killed = |bench: &mut Bench| {
        bench.gateway.placed(&hash(1), refusal(Refusal::FokKilled).as_ref(), at(101))
    };
    let cancelled = |bench: &mut Bench| read(bench, Some(&row("CANCELED", "0")), at(102));
    let partly = |bench: &mut Bench| read(bench, Some(&row("CANCELED", "7")), at(103));
    let live = |bench: &mut Bench| read(bench, Some(&row("LIVE", "0")), at(104));
    let answer = |bench: &mut Bench| {
        bench.gateway.placed(&hash(1), taken(1, PlacedStatus::Live).as_ref(), at(105))
    };
    story(
        &[&killed, &cancelled, &killed],
        expect![[r#"
        #3.1 rejected FokKilled
        #3.1 absent
        #3.1 absent"#]],
    );
    story(
        &[&cancelled, &killed, &cancelled],
        expect![[r#"
            #3.1 cancelled ByVenue 0
            #3.1 cancelled ByVenue 0
            #3.1 cancelled ByVenue 0"#]],
    );
    // A refusal of what had matched was none.
    story(
        &[&killed, &partly, &partly],
        expect![[r#"
            #3.1 rejected FokKilled
            #3.1 matched; ask trades of 0x0101
            #3.1 cancelled ByVenue 7; ask trades of 0x0101"#]],
    );
    // The late answer does not revive it; a second read that shows it does.
    story(
        &[&cancelled, &answer, &live, &live, &cancelled],
        expect![[r#"
            #3.1 cancelled ByVenue 0
            ask order 0x0101
            #3.1 live
            #3.1 live
            #3.1 cancelled ByVenue 0"#]],
    );
}

#[test]
fn a_cancel_that_is_pending_after_an_end_puts_the_end_in_doubt() {
    let mut bench = Bench::with_order();
    read(&mut bench, Some(&row("CANCELED", "0")), at(102));
    let pending =
        Cancelled { not_canceled: vec![(hash(1), NotCanceled::Pending)], ..Cancelled::default() };
    for ended in [true, false] {
        bench.gateway.cancelled(&pending, at(103));
        assert_eq!(bench.gateway.orders().get(&hash(1)).unwrap().ended.is_some(), ended);
    }
}

#[test]
fn an_expiry_is_a_cancellation_at_its_time_that_nobody_asked_for() {
    let tif = Tif::Gtd { expires: at(1_000) };
    let cases: [(i64, bool, &str); 4] = [
        (940, false, "#3.1 expired 0"),
        (935, false, "#3.1 expired 0"),
        (930, false, "#3.1 cancelled ByVenue 0"),
        (940, true, "#3.1 cancelled Requested 0"),
    ];
    for (now, asked, want) in cases {
        let mut bench = Bench::new();
        bench.send(1, bench.facts(tif));
        if asked {
            bench.gateway.cancel_sent(&hash(1), at(now - 1));
        }
        let got = text(&read(&mut bench, Some(&row("CANCELED", "0")), at(now)));
        assert_eq!(got, want, "at {now}, asked {asked}");
    }
}

#[test]
fn an_unknown_order_of_the_wallet_becomes_an_external_one_once() {
    let mut bench = Bench::new();
    let first = read(&mut bench, Some(&row("LIVE", "25")), at(120));
    let again = read(&mut bench, Some(&row("LIVE", "25")), at(130));
    expect![[r#"
        external #3.2147483649 0x0101 buy 100 at 0.5000 open
        #3.2147483649 live
        #3.2147483649 matched
        ask trades of 0x0101
        #3.2147483649 live
        #3.2147483649 matched
        ask trades of 0x0101"#]]
    .assert_eq(&format!("{}\n{}", text(&first), text(&again)));
    let mut unlisted = row("LIVE", "0");
    unlisted.asset_id = "77".into();
    unlisted.id = hash(4).to_string();
    let out = bench.gateway.queried(&bench.ids, &hash(4), Ok(Some(&unlisted)), at(140));
    let text = text(&out);
    assert!(text.contains("not listed") && text.contains("ask Market"), "{text}");
}
