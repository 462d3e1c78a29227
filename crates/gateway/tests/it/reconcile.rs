//! Reconciliation: one case for each row of what is seen, and one for what each read proves and does not.

use std::collections::{BTreeMap, BTreeSet};

/// Why an order was withheld.
const WHY: polydesk_domain::Code = polydesk_domain::Code::literal("killed");

use expect_test::{Expect, expect};
use polydesk_domain::{
    AccountEvent, ClientOrderId, Code, OrderState, OrderUpdate, Outcome, Shares, Span, Tif,
    TradeId, TradeStatus, Usdc,
};
use polydesk_gateway::{ChainMove, ChainRead, Output, Reads, View, ViewOrder, reconcile};
use polydesk_polymarket_api::clob::{Cancelled, NotCanceled, OpenOrder, OwnList, Trade};
use proptest::prelude::*;

use crate::answers::row;
use crate::harness::{Bench, OWNER, RUN, at, hash, shares, text};

const TRADE: &str = "28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e";
const ID: ClientOrderId = ClientOrderId::of_run(RUN, 1);

/// Lists that are whole and empty, and no chain.
fn nothing() -> Reads {
    Reads {
        epoch: 1,
        open: OwnList { rows: Vec::new(), complete: true },
        single: BTreeMap::new(),
        trades: OwnList { rows: Vec::new(), complete: true },
        trades_since: at(0),
        balance: None,
        open_again: OwnList { rows: Vec::new(), complete: true },
        chain: None,
    }
}

fn listed(mut reads: Reads, row: &OpenOrder) -> Reads {
    reads.open.rows.push(row.clone());
    reads.open_again.rows.push(row.clone());
    reads
}

fn single(mut reads: Reads, row: Option<OpenOrder>) -> Reads {
    reads.single.insert(hash(1), row);
    reads
}

fn traded(mut reads: Reads, bench: &Bench, size: &str, status: &str) -> Reads {
    let yes = bench.token(Outcome::Yes);
    let trade = format!(
        r#"{{"id":"{TRADE}","taker_order_id":"{}","asset_id":"{yes}","side":"BUY","size":"{size}",
        "price":"0.4","status":"{status}","match_time":"110","owner":"{OWNER}","trader_side":"TAKER"}}"#,
        hash(1)
    );
    reads.trades.rows.push(serde_json::from_str::<Trade>(&trade).unwrap());
    reads
}

/// Order 1 in this state with this much matched, agreed cash and shares, nothing moving.
fn view<'a>(bench: &'a Bench, state: OrderState, matched: &str) -> View<'a> {
    let orders = [(ID, ViewOrder { state, matched: shares(matched) })].into();
    View { orders, ..view_of(&bench.ids, &WHOLE) }
}

fn check(name: &str, bench: &Bench, view: &View<'_>, reads: &Reads, now: i64, want: Expect) {
    let out = reconcile(&bench.gateway, view, reads, at(now));
    assert_eq!(out, reconcile(&bench.gateway, view, reads, at(now)), "{name}: not a function");
    let seen = text(&out).replace(&hash(1).to_string(), "HASH");
    want.assert_eq(&format!("{name}: {}", seen.replace('\n', "; ")));
}

/// A cancel of order 1 that left and was answered.
fn cancel(bench: &mut Bench, left: i64, answer: Option<NotCanceled>) {
    bench.gateway.cancel_sent(&hash(1), at(left));
    let answer = match answer {
        None => Cancelled { canceled: vec![hash(1)], ..Cancelled::default() },
        Some(why) => Cancelled { not_canceled: vec![(hash(1), why)], ..Cancelled::default() },
    };
    bench.gateway.cancelled(&answer, at(left + 1));
}

#[test]
fn a_fill_that_is_not_booked_is_booked_and_one_that_is_only_when_it_advances() {
    let bench = Bench::with_order();
    let reads = traded(listed(nothing(), &row("LIVE", "10")), &bench, "10", "MINED");
    let mut view = view(&bench, OrderState::Live, "0");
    check(
        "not booked",
        &bench,
        &view,
        &reads,
        200,
        expect![
            "not booked: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Mined Estimated; ask trades of 0x0101"
        ],
    );
    let trade = TradeId(0x28c4_d2eb_bbea_40e7_a9f0_b2fd_b56b_2c2e);
    view.orders.insert(ID, ViewOrder { state: OrderState::PartlyMatched, matched: shares("10") });
    for (booked, want) in [
        (
            TradeStatus::Matched,
            expect![
                "Matched here: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Mined Estimated"
            ],
        ),
        (TradeStatus::Mined, expect!["Mined here: "]),
        (TradeStatus::Confirmed, expect!["Confirmed here: "]),
        (TradeStatus::Failed, expect!["Failed here: "]),
    ] {
        view.fills.insert((trade, ID), booked);
        check(&format!("{booked:?} here"), &bench, &view, &reads, 200, want);
    }
}

#[test]
fn an_order_in_the_list_is_open_with_what_has_matched() {
    let bench = Bench::with_order();
    let more = listed(nothing(), &row("LIVE", "25"));
    let live = view(&bench, OrderState::Live, "0");
    check(
        "fills missing",
        &bench,
        &live,
        &more,
        200,
        expect!["fills missing: ask trades of 0x0101"],
    );
    let booked = view(&bench, OrderState::PartlyMatched, "25");
    check("booked", &bench, &booked, &more, 200, expect!["booked: "]);
    let unknown = view(&bench, OrderState::Unknown, "0");
    check(
        "unknown",
        &bench,
        &unknown,
        &more,
        200,
        expect!["unknown: #3.1 live; #3.1 matched; ask trades of 0x0101"],
    );
    check("5 s after our act", &bench, &unknown, &more, 104, expect!["5 s after our act: "]);
    let cancelled = view(&bench, OrderState::Cancelled, "0");
    check(
        "over here",
        &bench,
        &cancelled,
        &more,
        200,
        expect!["over here: #3.1 live; #3.1 matched; ask trades of 0x0101; cancel 0x0101"],
    );
    let filled = view(&bench, OrderState::Filled, "100");
    check(
        "filled here",
        &bench,
        &filled,
        &more,
        200,
        expect![
            "filled here: #3.1 live; #3.1 matched; ask trades of 0x0101; cancel 0x0101; freeze: order HASH (#3.1) is filled here and open at the venue"
        ],
    );
    let mut forgotten = view(&bench, OrderState::Live, "0");
    forgotten.orders.clear();
    check(
        "forgotten here",
        &bench,
        &forgotten,
        &more,
        200,
        expect![
            "forgotten here: cancel 0x0101; not reconciled: order HASH (#3.1) is open at the venue and not kept here"
        ],
    );
}

#[test]
fn an_order_in_no_list_is_not_open_and_its_fills_are_asked_for() {
    let bench = Bench::with_order();
    let live = view(&bench, OrderState::Live, "0");
    check(
        "not read by id",
        &bench,
        &live,
        &nothing(),
        200,
        expect!["not read by id: ask order 0x0101; ask trades of 0x0101"],
    );
    let over = single(nothing(), Some(row("CANCELED", "7")));
    check(
        "over by id",
        &bench,
        &live,
        &over,
        200,
        expect!["over by id: #3.1 cancelled ByVenue 7; ask trades of 0x0101"],
    );
    let not_found = single(nothing(), None);
    check(
        "404 proves nothing",
        &bench,
        &live,
        &not_found,
        100_000,
        expect!["404 proves nothing: ask order 0x0101; ask trades of 0x0101"],
    );
    check("5 s after our act", &bench, &live, &not_found, 104, expect!["5 s after our act: "]);
    let mut cut = single(nothing(), Some(row("CANCELED", "7")));
    cut.open.complete = false;
    check("incomplete list", &bench, &live, &cut, 200, expect!["incomplete list: "]);
    let mut unreadable = single(nothing(), None);
    unreadable.open_again.rows.push(OpenOrder { id: "0xzz".into(), ..row("LIVE", "0") });
    check("unreadable row", &bench, &live, &unreadable, 200, expect!["unreadable row: "]);
}

#[test]
fn a_cancel_answer_and_the_trades_end_an_order_that_the_venue_has_forgotten() {
    let mut bench = Bench::with_order();
    cancel(&mut bench, 110, None);
    let cancelling = view(&bench, OrderState::Cancelling, "0");
    let not_found = single(nothing(), None);
    check(
        "matches can be late",
        &bench,
        &cancelling,
        &not_found,
        120,
        expect!["matches can be late: ask trades of 0x0101"],
    );
    check(
        "10 s later",
        &bench,
        &cancelling,
        &not_found,
        121,
        expect!["10 s later: #3.1 cancelled Requested 0"],
    );
    let filled = traded(single(nothing(), None), &bench, "10", "MATCHED");
    check(
        "with a fill",
        &bench,
        &cancelling,
        &filled,
        121,
        expect![
            "with a fill: #3.1 buy Taker of 10 yes 54191087998461310817532243049515265070 for 4.00 fee 0.12 Matched Estimated; #3.1 cancelled Requested 10"
        ],
    );
    let mut cut = single(nothing(), None);
    cut.trades.complete = false;
    check(
        "incomplete trades",
        &bench,
        &cancelling,
        &cut,
        500,
        expect!["incomplete trades: ask trades of 0x0101"],
    );
    let mut late = single(nothing(), None);
    late.trades_since = at(105);
    check(
        "trades from later on",
        &bench,
        &cancelling,
        &late,
        500,
        expect!["trades from later on: ask trades of 0x0101"],
    );
    check(
        "not read by id",
        &bench,
        &cancelling,
        &nothing(),
        500,
        expect!["not read by id: ask order 0x0101; ask trades of 0x0101"],
    );
}

/// Everything that `Absent` needs but for what a case leaves out.
struct Traceless {
    tif: Tif,
    run: u32,
    first_round: i64,
    cancel: Option<i64>,
    normal_mode: bool,
    now: i64,
    single: bool,
    trades: bool,
}

fn absent(case: &Traceless) -> bool {
    let mut bench = Bench::new();
    let id = ClientOrderId::of_run(case.run, 1);
    bench.gateway.bound(id, hash(1), bench.facts(case.tif), at(99)).unwrap();
    bench.gateway.sent(&hash(1), at(100));
    if let Some(left) = case.cancel {
        cancel(&mut bench, left, Some(NotCanceled::NotFound));
    }
    let ids = bench.ids.clone();
    let mut reads = nothing();
    if case.single {
        reads.single.insert(hash(1), None);
    }
    reads.trades.complete = case.trades;
    let orders = [(id, ViewOrder { state: OrderState::Unknown, matched: Shares::ZERO })].into();
    let view = View { orders, ..view_of(&ids, case) };
    bench.gateway.reconciled(&view, &reads, at(case.first_round));
    let out = bench.gateway.reconciled(&view, &reads, at(case.now));
    let gone = Output::order(id, OrderUpdate::Absent);
    out.contains(&gone)
}

fn view_of<'a>(ids: &'a polydesk_domain::Universe, case: &Traceless) -> View<'a> {
    View {
        ids,
        orders: BTreeMap::new(),
        fills: BTreeMap::new(),
        run_started_at: at(if case.run == RUN { 50 } else { 110 }),
        normal_mode: case.normal_mode,
        cancel_external: false,
        cash: Usdc::whole(1_000),
        cash_tolerance: Usdc::ZERO,
        cash_moving: false,
        shares: BTreeMap::new(),
        moving: BTreeSet::new(),
        resolved: BTreeSet::new(),
        moved_at: BTreeMap::new(),
    }
}

const WHOLE: Traceless = Traceless {
    tif: Tif::Gtc,
    run: RUN,
    first_round: 130,
    cancel: Some(115),
    normal_mode: true,
    now: 160,
    single: true,
    trades: true,
};

#[test]
fn an_order_that_left_no_trace_is_absent_only_with_all_of_the_evidence() {
    for (name, case, want) in [
        ("all of it", WHOLE, true),
        ("59 s", Traceless { now: 159, first_round: 120, ..WHOLE }, false),
        ("rounds 29 s apart", Traceless { first_round: 132, now: 161, ..WHOLE }, false),
        ("no cancel", Traceless { cancel: None, now: 100_000, ..WHOLE }, false),
        ("not read by id", Traceless { single: false, now: 100_000, ..WHOLE }, false),
        ("trades incomplete", Traceless { trades: false, now: 100_000, ..WHOLE }, false),
        ("restricted mode", Traceless { normal_mode: false, now: 100_000, ..WHOLE }, false),
        (
            "GTD over by 59 s",
            Traceless { tif: Tif::Gtd { expires: at(400) }, now: 459, ..WHOLE },
            false,
        ),
        (
            "GTD over by 60 s",
            Traceless { tif: Tif::Gtd { expires: at(400) }, now: 460, ..WHOLE },
            true,
        ),
        ("an earlier run, 179 s", Traceless { run: RUN - 1, now: 289, ..WHOLE }, false),
        ("an earlier run, 180 s", Traceless { run: RUN - 1, now: 290, ..WHOLE }, true),
        (
            "cancelled before the last run had ended",
            Traceless { run: RUN - 1, cancel: Some(108), now: 290, ..WHOLE },
            false,
        ),
    ] {
        assert_eq!(absent(&case), want, "{name}");
    }
}

#[test]
fn an_order_without_a_trace_is_cancelled_by_id_six_times() {
    let mut bench = Bench::with_order();
    let ids = bench.ids.clone();
    let reads = single(nothing(), None);
    let mut asked = Vec::new();
    for now in 100..400 {
        let view = View {
            orders: [(ID, ViewOrder { state: OrderState::Unknown, matched: Shares::ZERO })].into(),
            ..view_of(&ids, &WHOLE)
        };
        let out = bench.gateway.reconciled(&view, &reads, at(now));
        if text(&out).contains("cancel 0x0101") {
            bench.gateway.cancel_sent(&hash(1), at(now));
            asked.push(now - 100);
        }
    }
    // The lists say nothing for five seconds after each of our acts.
    expect!["[5, 10, 15, 30, 60, 180]"].assert_eq(&format!("{asked:?}"));
}

#[test]
fn sources_that_contradict_each_other_are_asked_five_times_and_then_freeze_the_token() {
    let mut bench = Bench::with_order();
    let ids = bench.ids.clone();
    let both = single(listed(nothing(), &row("LIVE", "0")), Some(row("CANCELED", "0")));
    let neither = single(nothing(), Some(row("LIVE", "0")));
    for reads in [both, neither] {
        let mut fresh = Bench { ids: ids.clone(), gateway: bench.gateway.clone() };
        let seen: Vec<String> = (0..6)
            .map(|round| {
                let view = View {
                    orders: [(ID, ViewOrder { state: OrderState::Live, matched: Shares::ZERO })]
                        .into(),
                    ..view_of(&ids, &WHOLE)
                };
                text(&fresh.gateway.reconciled(&view, &reads, at(200 + round)))
            })
            .collect();
        assert!(seen[..5].iter().all(|round| round == "ask order 0x0101"), "{seen:?}");
        assert!(seen[5].starts_with("freeze: "), "{seen:?}");
    }
    bench.gateway.orders_mut().take_changed();
}

#[test]
fn an_order_of_the_wallet_that_no_entry_names_is_external_and_cancelled_where_configured() {
    let bench = Bench::new();
    let reads = listed(nothing(), &row("LIVE", "0"));
    let mut view = view(&bench, OrderState::Live, "0");
    view.orders.clear();
    check(
        "adopted",
        &bench,
        &view,
        &reads,
        200,
        expect![
            "adopted: external #3.2147483649 0x0101 buy 100 at 0.5000 open; #3.2147483649 live"
        ],
    );
    view.cancel_external = true;
    check(
        "after a lost tail",
        &bench,
        &view,
        &reads,
        200,
        expect![
            "after a lost tail: external #3.2147483649 0x0101 buy 100 at 0.5000 open; #3.2147483649 live; cancel 0x0101"
        ],
    );
}

fn chain(bench: &Bench, cash: i64, yes: &str, moves: Vec<ChainMove>) -> Reads {
    let held = [(bench.token(Outcome::Yes), shares(yes))].into();
    let age = Span::secs(2);
    let cash = Usdc::new(cash);
    let (agreed, block, unsettled) = (true, 100, false);
    let chain = ChainRead { agreed, block, age, cash, shares: held, moves, unsettled };
    Reads { chain: Some(chain), ..nothing() }
}

#[test]
fn shares_on_the_chain_correct_only_what_a_log_explains_in_a_quiet_token() {
    let bench = Bench::new();
    let redeemed = ChainMove {
        code: Code::literal("transfer_log"),
        block: 90,
        at: at(150),
        cash: Usdc::ZERO,
        shares: vec![(bench.token(Outcome::Yes), -3_000_000)],
    };
    let base = View { orders: BTreeMap::new(), ..view(&bench, OrderState::Live, "0") };
    let held = View { shares: [(bench.yes(), shares("10"))].into(), ..base };
    let less = chain(&bench, 1_000_000_000, "7", Vec::new());
    let named = chain(&bench, 1_000_000_000, "7", vec![redeemed.clone()]);
    let other = chain(&bench, 1_000_000_000, "6", vec![redeemed]);
    check(
        "unexplained",
        &bench,
        &held,
        &less,
        200,
        expect!["unexplained: freeze: 7 shares on the chain, 10 in the books"],
    );
    check(
        "explained",
        &bench,
        &held,
        &named,
        200,
        expect![[
            r#"explained: at 150 Finding(Shares { token: Token(0), micros: -3000000, code: "transfer_log" }); agreed 97"#
        ]],
    );
    check(
        "explained in part",
        &bench,
        &held,
        &other,
        200,
        expect!["explained in part: freeze: 6 shares on the chain, 10 in the books"],
    );
    let moved = View { moved_at: [(bench.yes(), at(171))].into(), ..held.clone() };
    check("moved 29 s ago", &bench, &moved, &less, 200, expect!["moved 29 s ago: "]);
    let moving = View { moving: [bench.yes()].into(), ..held.clone() };
    check("moving", &bench, &moving, &less, 200, expect!["moving: "]);
    let mut alone = less.clone();
    alone.chain.as_mut().unwrap().agreed = false;
    check("one endpoint", &bench, &held, &alone, 200, expect!["one endpoint: "]);
    let mut stale = less;
    stale.chain.as_mut().unwrap().age = Span::secs(31);
    check("an old block", &bench, &held, &stale, 200, expect!["an old block: "]);
}

#[test]
fn cash_on_the_chain_corrects_only_what_a_log_explains_beyond_the_tolerance() {
    let bench = Bench::new();
    let deposit = ChainMove {
        code: Code::literal("deposit_log"),
        block: 90,
        at: at(150),
        cash: Usdc::new(370_000),
        shares: Vec::new(),
    };
    let base = View { orders: BTreeMap::new(), ..view(&bench, OrderState::Live, "0") };
    let estimated = View { cash_tolerance: Usdc::new(10), ..base.clone() };
    let moving = View { cash_moving: true, ..base.clone() };
    let less = chain(&bench, 999_999_999, "0", Vec::new());
    check(
        "a micro-dollar",
        &bench,
        &base,
        &less,
        200,
        expect!["a micro-dollar: Finding(CashMismatch { difference: 0.000001 })"],
    );
    let ten = chain(&bench, 999_999_990, "0", Vec::new());
    check(
        "within one estimate",
        &bench,
        &estimated,
        &ten,
        200,
        expect!["within one estimate: agreed 97"],
    );
    let eleven = chain(&bench, 999_999_989, "0", Vec::new());
    check(
        "beyond it",
        &bench,
        &estimated,
        &eleven,
        200,
        expect!["beyond it: Finding(CashMismatch { difference: 0.000011 })"],
    );
    check("moving", &bench, &moving, &less, 200, expect!["moving: "]);
    let named = chain(&bench, 1_000_370_000, "0", vec![deposit.clone()]);
    check(
        "explained",
        &bench,
        &base,
        &named,
        200,
        expect![[
            r#"explained: at 150 Finding(Cash { amount: 0.37, code: "deposit_log" }); agreed 97"#
        ]],
    );
    let part = chain(&bench, 1_000_370_001, "0", vec![deposit]);
    check(
        "explained in part",
        &bench,
        &base,
        &part,
        200,
        expect!["explained in part: Finding(CashMismatch { difference: -0.370001 })"],
    );
    let hint = Reads { balance: Some(Usdc::whole(1)), ..nothing() };
    check(
        "the venue's balance",
        &bench,
        &base,
        &hint,
        200,
        expect!["the venue's balance: ask Chain"],
    );
}

#[test]
fn a_snapshot_is_complete_only_with_all_of_its_parts() {
    let bench = Bench::with_order();
    let live = row("LIVE", "25");
    let whole =
        Reads { chain: chain(&bench, 5, "7", Vec::new()).chain, ..listed(nothing(), &live) };
    let (snapshot, gaps) = whole.snapshot(&bench.ids, at(200));
    assert_eq!((snapshot.complete, gaps.as_slice()), (true, [].as_slice()));
    assert_eq!((snapshot.epoch, snapshot.cash), (1, Usdc::new(5)));
    assert_eq!(snapshot.open, [(hash(1), shares("25"))].into());
    assert_eq!(snapshot.shares, [(bench.yes(), shares("7"))].into());
    let with = |change: &dyn Fn(&mut Reads)| {
        let mut reads = whole.clone();
        change(&mut reads);
        let (snapshot, gaps) = reads.snapshot(&bench.ids, at(200));
        assert!(!snapshot.complete && !gaps.is_empty());
        gaps.join("; ")
    };
    let seen = [
        with(&|reads| reads.open.complete = false),
        with(&|reads| reads.open_again.complete = false),
        with(&|reads| reads.trades.complete = false),
        with(&|reads| drop(reads.open_again.rows.pop())),
        with(&|reads| {
            for list in [&mut reads.open, &mut reads.open_again] {
                list.rows[0].original_size = None;
            }
        }),
        with(&|reads| reads.chain = None),
        with(&|reads| reads.chain.as_mut().unwrap().agreed = false),
        with(&|reads| {
            let held = &mut reads.chain.as_mut().unwrap().shares;
            held.insert(77.into(), shares("1"));
        }),
    ];
    expect![[r#"
        the open orders were not read to their end
        the open orders were not read to their end
        the trades were not read to their end
        both lists of open orders differ
        open order "0x0101010101010101010101010101010101010101010101010101010101010101" cannot be read
        cash and shares on the chain are not proven
        cash and shares on the chain are not proven
        token 77 is held and not listed"#]].assert_eq(&seen.join("\n"));
}

fn states() -> impl Strategy<Value = OrderState> {
    use OrderState as S;
    let all = [
        S::Planned,
        S::Journaled,
        S::Sent,
        S::Live,
        S::Delayed,
        S::PartlyMatched,
        S::Cancelling,
        S::Unknown,
        S::Filled,
        S::Cancelled,
        S::Expired,
        S::Rejected,
    ];
    prop::sample::select(all.to_vec())
}

fn ends(out: &[Output]) -> usize {
    let end = |output: &&Output| {
        matches!(
            output,
            Output::Event(AccountEvent::Order {
                update: OrderUpdate::Absent
                    | OrderUpdate::Cancelled { .. }
                    | OrderUpdate::Expired { .. }
                    | OrderUpdate::Filled { .. }
                    | OrderUpdate::Rejected { .. },
                ..
            })
        )
    };
    out.iter().filter(end).count()
}

#[test]
fn an_order_in_the_earlier_list_only_is_neither_open_nor_gone() {
    let bench = Bench::with_order();
    let unknown = view(&bench, OrderState::Unknown, "0");
    let mut reads = single(listed(nothing(), &row("LIVE", "0")), None);
    reads.open_again.rows.clear();
    check("earlier only", &bench, &unknown, &reads, 200, expect!["earlier only: "]);
    reads.open_again = core::mem::replace(&mut reads.open, reads.open_again);
    check("later only", &bench, &unknown, &reads, 200, expect!["later only: #3.1 live"]);
}

#[test]
fn an_end_that_the_engine_lost_by_a_stop_is_reported_again() {
    let mut withdrawn = Bench::with_order();
    withdrawn.gateway.withdrawn(&hash(1), WHY, at(101));
    let sent = view(&withdrawn, OrderState::Sent, "0");
    check("withheld", &withdrawn, &sent, &nothing(), 200, expect!["withheld: #3.1 absent"]);
    let mut over = Bench::with_order();
    let row = row("CANCELED", "7");
    over.gateway.queried(&over.ids, &hash(1), Ok(Some(&row)), at(120));
    let live = view(&over, OrderState::Live, "0");
    let want = expect!["cancelled: #3.1 cancelled ByVenue 7"];
    check("cancelled", &over, &live, &nothing(), 200, want);
}

#[test]
fn gone_proves_nothing_of_an_order_that_no_source_has_shown() {
    for (seen, want) in [(false, false), (true, true)] {
        let mut bench = Bench::with_order();
        if seen {
            bench.gateway.queried(&bench.ids, &hash(1), Ok(Some(&row("LIVE", "0"))), at(105));
        }
        cancel(&mut bench, 110, Some(NotCanceled::Gone));
        let view = view(&bench, OrderState::Unknown, "0");
        let out = reconcile(&bench.gateway, &view, &single(nothing(), None), at(121));
        assert_eq!(ends(&out) == 1, want, "seen {seen}: {}", text(&out));
    }
}

#[test]
fn an_order_that_was_seen_is_never_absent() {
    let mut bench = Bench::with_order();
    let refused = polydesk_polymarket_api::ApiError::Duplicate("Duplicated.".into());
    bench.gateway.placed(&hash(1), Err(&refused), at(101));
    let ids = bench.ids.clone();
    for round in 0..20 {
        let now = 200 + 60 * round;
        cancel(&mut bench, now - 20, Some(NotCanceled::NotFound));
        let orders = [(ID, ViewOrder { state: OrderState::Unknown, matched: Shares::ZERO })].into();
        let view = View { orders, ..view_of(&ids, &WHOLE) };
        let out = bench.gateway.reconciled(&view, &single(nothing(), None), at(now));
        assert_eq!(ends(&out), 0, "{}", text(&out));
    }
}

#[test]
fn a_decided_order_of_an_earlier_run_without_an_entry_never_left() {
    let bench = Bench::with_order();
    let old = ClientOrderId::of_run(RUN - 1, 4);
    let own = ClientOrderId::of_run(RUN, 4);
    for (id, state, lost_tail, want) in [
        (old, OrderState::Planned, false, 1),
        (old, OrderState::Journaled, false, 1),
        (old, OrderState::Planned, true, 0),
        (old, OrderState::Sent, false, 0),
        (own, OrderState::Planned, false, 0),
        (ID, OrderState::Planned, false, 0),
    ] {
        let orders = [(id, ViewOrder { state, matched: Shares::ZERO })].into();
        let view = View { orders, ..view_of(&bench.ids, &WHOLE) };
        assert_eq!(bench.gateway.unsigned(&view, lost_tail).len(), want, "{id} {state:?}");
    }
}

proptest! {
    /// No length of time and no number of rounds ends an order that only is not seen.
    #[test]
    fn nothing_ends_by_time_alone(state in states(), rounds in prop::collection::vec(1i64..100_000, 1..20)) {
        let mut bench = Bench::with_order();
        let ids = bench.ids.clone();
        let mut now = 100;
        for pause in rounds {
            now += pause;
            for reads in [nothing(), single(nothing(), None)] {
                let view = View {
                    orders: [(ID, ViewOrder { state, matched: Shares::ZERO })].into(),
                    ..view_of(&ids, &WHOLE)
                };
                let out = bench.gateway.reconciled(&view, &reads, at(now));
                prop_assert_eq!(ends(&out), 0, "{:?} at {}: {}", state, now, text(&out));
            }
        }
    }

    /// Whatever is missing in a pass, it never ends an order that the pass has not read as over.
    #[test]
    fn an_incomplete_pass_ends_nothing(
        state in states(), open: bool, again: bool, cancelled: bool, now in 100i64..10_000,
    ) {
        prop_assume!(!(open && again));
        let mut bench = Bench::with_order();
        if cancelled {
            cancel(&mut bench, 101, None);
        }
        let mut reads = single(nothing(), Some(row("CANCELED", "0")));
        (reads.open.complete, reads.open_again.complete) = (open, again);
        let out = reconcile(&bench.gateway, &view(&bench, state, "0"), &reads, at(now));
        prop_assert_eq!(ends(&out), 0);
    }

    /// A pass whose conclusions are booked concludes nothing when it is read again.
    #[test]
    fn reading_twice_books_once(size in 1u64..100, status in prop::sample::select(vec!["MATCHED", "MINED", "CONFIRMED", "FAILED"])) {
        let mut bench = Bench::with_order();
        let ids = bench.ids.clone();
        let reads = traded(listed(nothing(), &row("LIVE", &size.to_string())), &bench, &size.to_string(), status);
        let mut view = View {
            orders: [(ID, ViewOrder { state: OrderState::Live, matched: Shares::ZERO })].into(),
            ..view_of(&ids, &WHOLE)
        };
        let first = bench.gateway.reconciled(&view, &reads, at(200));
        for output in &first {
            if let Output::Event(AccountEvent::Trade(own)) = output {
                view.fills.insert((own.trade, own.order), own.status);
                let booked = ViewOrder { state: OrderState::PartlyMatched, matched: own.fill.shares };
                view.orders.insert(own.order, booked);
            }
        }
        prop_assert_eq!(view.fills.len(), 1);
        prop_assert_eq!(text(&bench.gateway.reconciled(&view, &reads, at(201))), "");
    }
}

#[test]
fn what_moved_is_booked_from_the_first_missing_movement_on_and_only_when_it_is_deep() {
    let bench = Bench::new();
    let (yes, no) = (bench.token(Outcome::Yes), bench.token(Outcome::No));
    let cash = |block: u64, micros: i64| ChainMove {
        code: Code::literal("deposit"),
        block,
        at: at(150),
        cash: Usdc::new(micros),
        shares: Vec::new(),
    };
    let redeemed = ChainMove {
        code: ChainMove::REDEMPTION,
        block: 91,
        at: at(152),
        cash: Usdc::new(10_000_000),
        shares: vec![(yes, -10_000_000), (no, -4_000_000)],
    };
    let base = View { orders: BTreeMap::new(), ..view(&bench, OrderState::Live, "0") };
    let held =
        [(bench.yes(), shares("10")), (bench.yes().market().token(Outcome::No), shares("4"))];
    let held = View { shares: held.into(), ..base.clone() };
    let whole = |cash: i64, moves: Vec<ChainMove>, left: bool| {
        let mut reads = chain(&bench, 1_000_000_000 + cash, if left { "10" } else { "0" }, moves);
        let read = reads.chain.as_mut().unwrap();
        read.shares.insert(no, shares(if left { "4" } else { "0" }));
        reads
    };
    let moves = vec![cash(90, 5), redeemed.clone(), cash(92, 7)];
    check(
        "all of it",
        &bench,
        &held,
        &whole(10_000_012, moves.clone(), false),
        200,
        expect![[
            r#"all of it: at 150 Finding(Cash { amount: 0.000005, code: "deposit" }); at 152 Cash(Cash { kind: Redeem, conversion: None, strategy: None, market: Some(MarketKey(0)), amount: 10.00, shares: [10, 4] }); at 150 Finding(Cash { amount: 0.000007, code: "deposit" }); agreed 97"#
        ]],
    );
    // A stop came after the first, or after the second was booked.
    let first = View { cash: base.cash + Usdc::new(5), ..held.clone() };
    check(
        "the first is booked",
        &bench,
        &first,
        &whole(10_000_012, moves.clone(), false),
        200,
        expect![[
            r#"the first is booked: at 152 Cash(Cash { kind: Redeem, conversion: None, strategy: None, market: Some(MarketKey(0)), amount: 10.00, shares: [10, 4] }); at 150 Finding(Cash { amount: 0.000007, code: "deposit" }); agreed 97"#
        ]],
    );
    let second = View { cash: base.cash + Usdc::new(10_000_005), ..base.clone() };
    check(
        "only the last is missing",
        &bench,
        &second,
        &whole(10_000_012, moves.clone(), false),
        200,
        expect![[
            r#"only the last is missing: at 150 Finding(Cash { amount: 0.000007, code: "deposit" }); agreed 97"#
        ]],
    );
    let all = View { cash: base.cash + Usdc::new(10_000_012), ..base.clone() };
    check(
        "nothing is missing",
        &bench,
        &all,
        &whole(10_000_012, moves.clone(), false),
        200,
        expect!["nothing is missing: agreed 97"],
    );
    check(
        "a redemption that pays something else",
        &bench,
        &held,
        &whole(10_000_013, moves.clone(), false),
        200,
        expect![
            "a redemption that pays something else: Finding(CashMismatch { difference: -10.000013 })"
        ],
    );
    // Equal holdings are redeemed like a merge: the state of the market tells them apart.
    let equal =
        [(bench.yes(), shares("4")), (bench.yes().market().token(Outcome::No), shares("4"))];
    let open = View { shares: equal.into(), ..base.clone() };
    let resolved = View { resolved: [bench.yes().market()].into(), ..open.clone() };
    let merged = ChainMove {
        code: ChainMove::MERGE,
        cash: Usdc::new(4_000_000),
        shares: vec![(yes, -4_000_000), (no, -4_000_000)],
        ..redeemed.clone()
    };
    let reads = whole(4_000_000, vec![merged], false);
    check(
        "both of an open market",
        &bench,
        &open,
        &reads,
        200,
        expect![[
            r#"both of an open market: at 152 Finding(Cash { amount: 4.00, code: "merge_outside" }); at 152 Finding(Shares { token: Token(0), micros: -4000000, code: "merge_outside" }); at 152 Finding(Shares { token: Token(1), micros: -4000000, code: "merge_outside" }); agreed 97"#
        ]],
    );
    check(
        "both of a resolved one",
        &bench,
        &resolved,
        &reads,
        200,
        expect![
            "both of a resolved one: at 152 Cash(Cash { kind: Redeem, conversion: None, strategy: None, market: Some(MarketKey(0)), amount: 4.00, shares: [4, 4] }); agreed 97"
        ],
    );
    let young = vec![cash(90, 5), cash(98, 7)];
    check(
        "the second is not deep enough",
        &bench,
        &held,
        &whole(12, young.clone(), true),
        200,
        expect![[
            r#"the second is not deep enough: at 150 Finding(Cash { amount: 0.000005, code: "deposit" }); agreed 97"#
        ]],
    );
    for (what, view) in [
        ("cash moves", View { cash_moving: true, ..held.clone() }),
        ("a token of it moves", View { moving: [bench.yes()].into(), ..held.clone() }),
        (
            "a token of it moved lately",
            View { moved_at: [(bench.yes(), at(190))].into(), ..held.clone() },
        ),
    ] {
        let reads = whole(10_000_012, moves.clone(), false);
        let out = reconcile(&bench.gateway, &view, &reads, at(200));
        assert_eq!(out, [], "{what}");
    }
    let mut unsettled = whole(10_000_012, moves, false);
    unsettled.chain.as_mut().unwrap().unsettled = true;
    assert_eq!(reconcile(&bench.gateway, &held, &unsettled, at(200)), []);
}
