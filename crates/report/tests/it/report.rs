//! The whole output over reports made by hand and one of a recorded run.

use crate::common::{
    HOSTILE, basket, failed_fill, fill, fill_with, hostile, opportunity, quiet, report, trip,
};
use polydesk_domain::{
    BasketKind, ClosedTrade, Code, ExitReason, Fill, Reason, Role, Shares, Side, Span, StrategyId,
    Time, Usdc,
};
use polydesk_report::{
    Alarm, Analysis, EquityPoint, MarkedFill, MarketRebate, Options, OrderCounts, Report, Run,
    SeenOpportunity, analyse, html, json, terminal,
};
use serde_json::Value;

fn options() -> Options {
    Options { seed: 7, resamples: 500 }
}

fn real() -> Report {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/report/report.json");
    let text = std::fs::read_to_string(path).expect("the fixture is part of the checkout");
    serde_json::from_str(&text).expect("the fixture is a report")
}

fn only_failed() -> Report {
    let mut run = quiet();
    run.fills = vec![failed_fill(); 3];
    report(vec![run])
}

/// Every report that the crate must cope with.
fn reports() -> Vec<(&'static str, Report)> {
    let mut unlisted = quiet();
    (unlisted.span, unlisted.markets) = (None, Vec::new());
    unlisted.round_trips = vec![trip(7, 10), trip(999, 0)];
    unlisted.round_trips[1].shares = Shares::ZERO;
    unlisted.fills = vec![fill_with(|record| {
        record.fill.shares = Shares::ZERO;
        record.market = crate::common::condition(50);
    })];
    let mut extreme = quiet();
    extreme.starting_cash = Usdc::new(i64::MAX);
    extreme.totals.equity = Usdc::new(i64::MIN + 1);
    extreme.round_trips = vec![trip(0, 5); 2];
    extreme.round_trips[0].proceeds = Usdc::new(i64::MIN + 1);
    extreme.round_trips[0].cost = Usdc::new(i64::MAX);
    extreme.equity = [0, i64::MAX, i64::MIN + 1]
        .map(|micros| EquityPoint {
            at: Time::MAX,
            equity: Usdc::new(micros),
            locked: Usdc::new(i64::MAX),
            realised: Usdc::new(micros),
        })
        .to_vec();
    vec![
        ("no runs", report(Vec::new())),
        ("nothing happened", report(vec![quiet()])),
        ("only failed fills", only_failed()),
        ("not listed", report(vec![unlisted])),
        ("extreme", report(vec![extreme])),
        ("hostile", report(vec![hostile(), quiet()])),
        ("recorded", real()),
    ]
}

fn check_ratios(path: &str, value: &Value) {
    match value {
        Value::Object(map) => {
            if let (Some(ratio), Some(reason)) = (map.get("value"), map.get("reason")) {
                assert!(ratio.is_null() != reason.is_null(), "{path}: {value}");
            }
            for (key, inner) in map {
                check_ratios(&format!("{path}.{key}"), inner);
            }
        }
        Value::Array(list) => {
            for (i, inner) in list.iter().enumerate() {
                check_ratios(&format!("{path}[{i}]"), inner);
            }
        }
        _ => {}
    }
}

#[test]
fn every_record_gives_a_whole_report_without_nan() {
    for (name, report) in reports() {
        let analysis = analyse(&report, &options());
        let text = json(&report, &analysis).unwrap();
        let page = html(&report, &analysis);
        let lines = terminal(&report, &analysis, 100, false);
        for (what, text) in [("json", &text), ("html", &page), ("terminal", &lines)] {
            for bad in ["NaN", "inf,", "inf ", "-100.0%"] {
                assert!(!text.contains(bad), "{name}: {bad} in {what}");
            }
        }
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 3);
        assert_eq!(value["run_sha256"].as_str().map(str::len), Some(64), "{name}");
        check_ratios(name, &value["analysis"]);
    }
}

#[test]
fn the_same_record_gives_the_same_bytes_and_another_seed_another_interval() {
    for (name, report) in reports() {
        let whole = |options: &Options| {
            let analysis = analyse(&report, options);
            (json(&report, &analysis).unwrap(), html(&report, &analysis))
        };
        assert!(whole(&options()) == whole(&options()), "{name}");
    }
    let mut run = quiet();
    run.markets.clear();
    run.round_trips = (0..60).map(|i| trip(i % 12, (i as i64 * 37) % 90 - 40)).collect();
    for (i, trip) in run.round_trips.iter_mut().enumerate() {
        trip.closed_at = trip.closed_at + Span::secs(86_400 * (i as i64 % 11));
    }
    let report = report(vec![run]);
    let interval =
        |seed| analyse(&report, &Options { seed, resamples: 500 }).runs[0].verdict.interval;
    assert_ne!(interval(1), interval(2));
}

fn width(line: &str) -> usize {
    line.chars().count()
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for (name, report) in reports() {
        let analysis = analyse(&report, &options());
        for most in [80, 100, 120] {
            for line in terminal(&report, &analysis, most, false).lines() {
                assert!(width(line) <= most, "{name} at {most}: {line}");
            }
        }
    }
}

/// Takes the colour sequences of this crate away again.
fn without_colour(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('m').expect("a sequence ends");
        rest = &rest[at + end + 1..];
    }
    out + rest
}

#[test]
fn colour_adds_nothing_but_colour() {
    for (name, report) in reports() {
        let analysis = analyse(&report, &options());
        let plain = terminal(&report, &analysis, 80, false);
        let coloured = terminal(&report, &analysis, 80, true);
        assert!(!plain.contains('\u{1b}'), "{name}");
        assert_eq!(without_colour(&coloured), plain, "{name}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let mut report = report(vec![hostile()]);
    report.program = HOSTILE.to_owned();
    report.command = HOSTILE.to_owned();
    for setting in &mut report.config {
        (setting.key, setting.value, setting.origin) =
            (HOSTILE.to_owned(), HOSTILE.to_owned(), HOSTILE.to_owned());
    }
    let analysis = analyse(&report, &options());
    let page = html(&report, &analysis);
    assert!(page.contains("&lt;/script&gt;&lt;img"));
    assert!(!page.contains("<img"), "markup from data");
    assert_eq!(page.matches("</script>").count(), 2, "only the page's own two");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
    let lines = terminal(&report, &analysis, 80, false);
    assert!(!lines.contains('\u{1b}') && !lines.contains('\u{202e}'));
}

fn embedded(page: &str) -> Value {
    let (_, rest) = page.split_once("id=report-data>").expect("the data are there");
    let (data, _) = rest.split_once("</script>").expect("they end");
    serde_json::from_str(data).expect("they are JSON")
}

#[test]
fn the_page_is_one_file_that_loads_nothing() {
    let report = real();
    let page = html(&report, &analyse(&report, &options()));
    for bad in ["http://", "https://", "src=", "url(", "@import", "<link", "fetch("] {
        assert!(!page.contains(bad), "{bad}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("@media print"));
    let data = embedded(&page);
    assert_eq!(data["analysis"]["runs"].as_array().map(Vec::len), Some(report.runs.len()));
}

#[test]
fn a_huge_run_still_fits_into_five_megabytes() {
    let mut run = hostile();
    run.fills = vec![fill(); 100_000];
    run.round_trips = (0..50_000).map(|i| trip(i % 12, i as i64 % 50 - 20)).collect();
    run.opportunities = vec![opportunity(); 20_000];
    run.equity = (0..20_000)
        .map(|i| EquityPoint {
            at: Time::from_secs(1_790_000_000 + i),
            equity: Usdc::new(1_000_000_000 + (i * 7_919) % 50_000_000),
            locked: Usdc::new((i * 104_729) % 90_000_000),
            realised: Usdc::new(i * 1_000),
        })
        .collect();
    run.markets = (0..5_000).map(crate::common::market).collect();
    let report = report(vec![run.clone(), run]);
    let page = html(&report, &analyse(&report, &Options { seed: 1, resamples: 50 }));
    assert!(page.len() <= 5_000_000, "{} bytes", page.len());
}

#[test]
fn synthetic_runs_are_never_added_to_real_ones() {
    let mut real = quiet();
    real.round_trips = vec![trip(0, 10), trip(1, -30)];
    real.totals.equity = Usdc::whole(1_000) + Usdc::cents(-20);
    let mut synthetic = real.clone();
    synthetic.synthetic = true;
    synthetic.round_trips = vec![trip(0, 5_000); 40];
    let analysis = analyse(&report(vec![real.clone(), synthetic.clone(), real]), &options());
    let total = analysis.real.as_ref().unwrap();
    assert_eq!((total.runs, total.tables.total.n, total.verdict.net), (2, 4, Usdc::cents(-40)));
    assert_eq!(total.waterfall.net, Usdc::cents(-40));
    assert!(analyse(&report(vec![synthetic]), &options()).real.is_none());
}

fn judged(round_trips: Vec<ClosedTrade>) -> Analysis {
    let mut run = quiet();
    run.round_trips = round_trips;
    analyse(&report(vec![run]), &options())
}

#[test]
fn tables_group_round_trips_by_every_question() {
    let mut trips = vec![trip(0, 50), trip(0, -20), trip(3, 30)];
    trips[2].reason = ExitReason::Resolution;
    trips[2].cost = Usdc::cents(950);
    trips[2].proceeds = Usdc::cents(980);
    // Bought the evening before; the day of the exit counts.
    let midnight = Time::from_secs(trips[1].closed_at.day() * 86_400);
    trips[1].closed_at = midnight;
    trips[1].opened_at = midnight - Span::secs(60);
    trips[2].closed_at = midnight - Span::nanos(1);
    trips[2].opened_at = midnight - Span::nanos(60_000_000_001);
    let tables = &judged(trips).runs[0].tables;
    let rows = |rows: &[polydesk_report::analysis::GroupRow]| -> Vec<(String, usize, String)> {
        rows.iter().map(|row| (row.key.trim().to_owned(), row.n, row.net.to_string())).collect()
    };
    let row = |key: &str, n, net: &str| (key.to_owned(), n, net.to_owned());
    assert_eq!(rows(&tables.exits), [row("resolution", 1, "0.30"), row("take_profit", 2, "0.30")]);
    assert_eq!(rows(&tables.prices), [row("40-50 ¢", 2, "0.30"), row("90-100 ¢", 1, "0.30")]);
    assert_eq!(rows(&tables.days), [row("2026-09-20", 1, "0.30"), row("2026-09-21", 2, "0.30")]);
    assert_eq!(
        rows(&tables.markets),
        [row("Question 0?", 2, "0.30"), row("Question 3?", 1, "0.30")]
    );
    let total = &tables.total;
    assert_eq!((total.n, total.wins, total.net), (3, 2, Usdc::cents(60)));
    assert_eq!((total.cents_per_share, total.mean_hold_ms), (Some(2.0), Some(60_000)));
    assert_eq!((total.mean, total.interval), (Some(Usdc::cents(20)), None));
}

#[test]
fn two_markets_with_one_question_stay_apart() {
    let mut run = quiet();
    run.markets[1].question = run.markets[0].question.clone();
    run.round_trips = vec![trip(0, 10), trip(1, 20), trip(1, 20)];
    let analysis = analyse(&report(vec![run]), &options());
    let rows: Vec<_> =
        analysis.runs[0].tables.markets.iter().map(|row| (row.key.as_str(), row.n)).collect();
    assert_eq!(rows, [("Question 0?", 2), ("Question 0?", 1)]);
}

#[test]
fn markets_that_are_not_listed_are_named_by_their_id_and_stay_apart() {
    let mut run = quiet();
    run.round_trips = vec![trip(50, 10), trip(51, 30), trip(50, 10)];
    let analysis = analyse(&report(vec![run]), &options());
    assert_eq!(analysis.runs[0].verdict.events, 2);
    let rows: Vec<_> =
        analysis.runs[0].tables.markets.iter().map(|row| (row.key.clone(), row.n)).collect();
    let name = |number| format!("{} (not listed)", crate::common::condition(number));
    assert_eq!(rows, [(name(51), 1), (name(50), 2)]);
}

#[test]
fn a_group_is_one_event_to_the_verdict_and_so_are_the_markets_of_an_event() {
    let mut run = quiet();
    run.round_trips = (0..60).map(|i| trip(i % 12, 10)).collect();
    let reason = |run: &Run| {
        let verdict = analyse(&report(vec![run.clone()]), &options()).runs[0].verdict.clone();
        (verdict.events, verdict.round_trips, verdict.reason)
    };
    // Events hold three markets each.
    assert_eq!(reason(&run), (4, 60, "4 events; it takes 10 independent ones".to_owned()));
    for facts in &mut run.markets[2..] {
        facts.group = Some("election".to_owned());
    }
    assert_eq!(reason(&run), (2, 60, "2 events; it takes 10 independent ones".to_owned()));
    for facts in &mut run.markets {
        (facts.group, facts.event) = (None, String::new());
    }
    assert_eq!(reason(&run), (12, 60, "1 UTC day; it takes 3".to_owned()));
}

#[test]
fn concentration_and_streaks_are_counted() {
    let cents = [100, -10, -10, -10, 50, 30, 10, 5, 5, -40];
    let trips = cents.into_iter().enumerate().map(|(i, cents)| trip(i, cents)).collect();
    let risk = &judged(trips).runs[0].risk;
    assert_eq!((risk.top1_percent.value, risk.top5_percent.value), (Some(50.0), Some(97.5)));
    assert_eq!((risk.losing_streak, risk.net_without_best_3), (3, Usdc::cents(-180)));
    assert_eq!(risk.profit_factor.value, Some(2.857143));
    // Events hold three markets each: the last one alone lost.
    let worst = risk.worst_event.as_ref().unwrap();
    assert_eq!((worst.event.as_str(), worst.amount), ("event-3", Usdc::cents(-40)));
}

#[test]
fn markouts_have_the_sign_of_our_side_and_count_what_is_missing() {
    let mut run = quiet();
    let sell = MarkedFill {
        double_mid_later: [Some(8_200), None, Some(7_800), Some(8_000)],
        ..fill_with(|record| {
            record.side = Side::Sell;
            record.fill =
                Fill { shares: Shares::whole(30), notional: Usdc::whole(12), ..record.fill };
        })
    };
    run.fills = vec![fill(), sell];
    let analysis = analyse(&report(vec![run]), &options());
    let markout = &analysis.runs[0].markouts[0];
    assert_eq!((markout.role, markout.fills), (Role::Maker, 2));
    // Buy at 40 ¢, later 43 ¢: +3. Sell at 40 ¢, later 41, ?, 39, 40 ¢: -1, ?, +1, 0.
    let mean: Vec<_> = markout.at.iter().map(|at| (at.secs, at.mean_cents, at.missing)).collect();
    assert_eq!(
        mean,
        [
            (0, Some(0.0), 0),
            (5, Some(1.0), 0),
            (30, Some(3.0), 1),
            (60, Some(2.0), 0),
            (300, Some(1.5), 0)
        ]
    );
    assert_eq!(markout.at[1].weighted_cents, Some(0.0));
}

#[test]
fn opportunities_are_grouped_by_what_became_of_them() {
    let mut run = quiet();
    let seen = |kind, outcome, millis, edge_cents| {
        let SeenOpportunity { strategy, mut opportunity } = opportunity();
        (opportunity.kind, opportunity.outcome) = (kind, outcome);
        opportunity.ended = opportunity.started + Span::millis(millis);
        opportunity.best_edge = Usdc::cents(edge_cents);
        SeenOpportunity { strategy, opportunity }
    };
    let below = |sets_micros| Reason::new("below_minimum").with("sets_micros", sets_micros);
    let signalled = Reason::new("signalled");
    run.opportunities = vec![
        seen(BasketKind::AllYes, below(3), 9, 20),
        seen(BasketKind::AllYes, below(7), 10, 30),
        seen(BasketKind::AllYes, signalled, 59_999, 100),
        seen(BasketKind::BuyPair, signalled, 60_000, 40),
    ];
    run.baskets = vec![basket(), basket()];
    let analysis = analyse(&report(vec![run]), &options());
    let seen = &analysis.runs[0].opportunities;
    let groups: Vec<_> = seen
        .groups
        .iter()
        .map(|group| {
            let millis = group.lifetime.as_millis();
            (group.kind.name(), group.outcome.as_str(), group.count, group.sum_edge, millis)
        })
        .collect();
    assert_eq!(
        groups,
        [
            ("all_yes", "signalled", 1, Usdc::cents(100), 59_999),
            ("buy_pair", "signalled", 1, Usdc::cents(40), 60_000),
            ("all_yes", "below_minimum", 2, Usdc::cents(50), 19),
        ]
    );
    let best: Vec<_> = seen.best.iter().map(|seen| seen.opportunity.best_edge).collect();
    assert_eq!(best, [100, 40, 30, 20].map(Usdc::cents));
    let lifetimes: Vec<_> = seen.lifetimes.iter().map(|bin| bin.count).collect();
    assert_eq!(lifetimes, [1, 1, 0, 0, 1, 1]);
    assert_eq!((seen.baskets[0].count, seen.baskets[0].expected), (2, Usdc::whole(4)));
}

#[test]
fn orders_are_shown_as_shares_of_what_was_sent_and_codes_by_frequency() {
    let mut run = quiet();
    run.orders = vec![OrderCounts {
        strategy: StrategyId::STINK_BIDDER,
        signals: 9,
        placed: 8,
        post_only: 6,
        touched: 4,
        filled: 2,
        waits_ms: vec![300, 100, 200],
    }];
    run.fills = vec![fill(), fill_with(|record| record.role = Role::Taker), failed_fill()];
    let codes = |pairs: &[(&'static str, u64)]| {
        pairs.iter().map(|(code, count)| (Code::literal(code), *count)).collect()
    };
    run.codes.skips.insert(StrategyId::STINK_BIDDER, codes(&[("rare", 1), ("often", 9)]));
    run.codes.rejects.insert(StrategyId::STINK_BIDDER, codes(&[("refused", 2)]));
    let analysis = analyse(&report(vec![run]), &options());
    let execution = &analysis.runs[0].execution;
    let orders = &execution.strategies[0];
    assert_eq!(
        (orders.post_only_percent, orders.touched_percent, orders.filled_percent),
        (Some(75.0), Some(50.0), Some(25.0))
    );
    assert_eq!((orders.wait_p50_ms, orders.wait_p95_ms), (Some(200.0), Some(290.0)));
    assert_eq!((orders.maker_fills, orders.taker_fills), (1, 1));
    assert_eq!((orders.maker_notional, execution.failed_settlements), (Usdc::whole(4), 1));
    let codes: Vec<_> =
        execution.codes.iter().map(|code| (code.kind, code.code.as_str(), code.count)).collect();
    assert_eq!(codes, [("reject", "refused", 2), ("skip", "often", 9), ("skip", "rare", 1)]);
}

#[test]
fn the_recorded_run_keeps_its_figures() {
    let report = real();
    let analysis = analyse(&report, &options());
    for (run, judged) in report.runs.iter().zip(&analysis.runs) {
        let steps = &judged.waterfall.steps;
        let sum: i64 = steps.iter().map(|step| step.amount.micros()).sum();
        assert_eq!(sum, judged.waterfall.net.micros());
        // What the events made is what the tables and the net say.
        let (verdict, total) = (&judged.verdict, &judged.tables.total);
        let mean = verdict.mean.unwrap().micros() as f64;
        let balance = &judged.balance;
        let results = (balance.closed + balance.open + balance.rebates).micros() as f64;
        assert!((mean - results / verdict.events as f64).abs() <= 0.5, "{mean}");
        assert_eq!((balance.closed, balance.open), (total.net, total.open));
        assert!(balance.other.micros().abs() <= 12, "{balance:?}");
        let profit: i64 =
            run.round_trips.iter().map(|trip| (trip.proceeds - trip.cost).micros()).sum();
        assert_eq!(total.net.micros(), profit);
        assert_eq!(judged.waterfall.net, run.totals.equity - run.starting_cash);
        // Recorded books know every middle, so nearly nothing is left unexplained.
        let rest = steps.iter().find(|step| step.key == "remainder").unwrap();
        assert!(rest.amount.micros().abs() <= 12, "{rest:?}");
    }
    let text = serde_json::to_string(&report).unwrap();
    let back: Report = serde_json::from_str(&text).unwrap();
    assert!(serde_json::to_string(&back).unwrap() == text, "a report survives being written");
}

#[test]
fn runs_with_markets_of_the_same_position_stay_apart_and_one_event_in_two_runs_is_one() {
    let at = |first: usize| {
        let mut run = quiet();
        run.markets = (first..first + 12).map(crate::common::market).collect();
        run.round_trips = (first..first + 12).map(|number| trip(number, 10)).collect();
        run
    };
    let events = |runs| {
        let analysis = analyse(&report(runs), &options());
        analysis.real.map(|total| (total.verdict.events, total.verdict.round_trips))
    };
    assert_eq!(events(vec![at(0), at(12)]), Some((8, 24)));
    assert_eq!(events(vec![at(0), at(6)]), Some((6, 24)));
}

#[test]
fn open_holdings_and_rebates_are_results_of_their_event() {
    let mut run = quiet();
    run.round_trips = vec![trip(0, 50), trip(3, 20)];
    run.open = vec![crate::common::holding(0, 400, 100), crate::common::holding(6, 400, 410)];
    run.rebates =
        vec![MarketRebate { market: crate::common::condition(3), amount: Usdc::cents(5) }];
    run.totals.equity = run.starting_cash + Usdc::cents(50 + 20 - 300 + 10 + 5);
    run.totals.rebates = Usdc::cents(5);
    let analysis = analyse(&report(vec![run]), &options());
    let (verdict, balance) = (&analysis.runs[0].verdict, &analysis.runs[0].balance);
    // -2.50, +0.25 and +0.10.
    assert_eq!((verdict.events, verdict.mean), (3, Some(Usdc::new(-716_667))));
    assert_eq!(verdict.net, Usdc::cents(-215));
    assert_eq!(
        (balance.closed, balance.open, balance.rebates, balance.other),
        (Usdc::cents(70), Usdc::cents(-290), Usdc::cents(5), Usdc::ZERO)
    );
    // A round trip of 10 shares for four dollars and the holding beside it could lose eight.
    assert_eq!((verdict.most_loss, verdict.most_gain), (Usdc::whole(8), Usdc::whole(12)));
}

#[test]
fn a_position_that_is_over_is_not_at_risk_with_the_next_one_and_a_complete_set_not_at_all() {
    let most = |change: &dyn Fn(&mut Vec<ClosedTrade>)| {
        let mut run = quiet();
        run.round_trips = vec![trip(0, 10), trip(0, 10)];
        change(&mut run.round_trips);
        let verdict = analyse(&report(vec![run]), &options()).runs[0].verdict.clone();
        (verdict.most_loss, verdict.most_gain)
    };
    assert_eq!(most(&|_| ()), (Usdc::whole(8), Usdc::whole(12)));
    assert_eq!(
        most(&|trips| {
            trips[1].opened_at = trips[0].closed_at;
            trips[1].closed_at = trips[1].opened_at + Span::secs(1);
        }),
        (Usdc::whole(4), Usdc::whole(6))
    );
    // Ten YES at 0.40 and ten NO at 0.40 pay ten dollars whatever happens.
    let set = most(&|trips| trips[1].outcome = polydesk_domain::Outcome::No);
    assert_eq!(set, (Usdc::ZERO, Usdc::whole(2)));
}

#[test]
fn hours_are_those_of_the_entry() {
    let mut trips = vec![trip(0, 10)];
    trips[0].opened_at = Time::from_secs(20_717 * 86_400 + 5 * 3_600 + 3_599);
    trips[0].closed_at = trips[0].opened_at + Span::secs(2 * 3_600);
    let hours = &judged(trips).runs[0].tables.hours;
    assert_eq!((hours[0].key.as_str(), hours[0].n), ("05:00", 1));
}

#[test]
fn a_round_trip_of_zero_ends_a_losing_streak_and_is_no_loss() {
    let streak = |cents: &[i64]| {
        let trips = cents.iter().enumerate().map(|(i, cents)| trip(i, *cents)).collect();
        judged(trips).runs[0].risk.losing_streak
    };
    assert_eq!(streak(&[-1, -1, 0, -1]), 2);
    assert_eq!(streak(&[0, 0, 0]), 0);
}

#[test]
fn a_row_states_an_interval_from_ten_events_on() {
    let rows = |events: usize| {
        let mut run = quiet();
        for (number, facts) in run.markets.iter_mut().enumerate() {
            facts.event = format!("event {}", number % events);
        }
        run.round_trips = (0..60).map(|i| trip(i % 12, (i as i64 * 37) % 90 - 40)).collect();
        analyse(&report(vec![run]), &options()).runs[0].tables.total.clone()
    };
    assert_eq!(rows(9).interval, None);
    let row = rows(10);
    let (mean, (low, high)) = (row.mean.unwrap(), row.interval.unwrap());
    // Per round trip, not per event.
    assert!(low < mean && mean < high && high < Usdc::cents(40), "{low} {mean} {high}");
}

#[test]
fn alarms_and_returns_are_shown_everywhere() {
    let mut run = quiet();
    run.alarms = vec![Alarm {
        at: Time::from_secs(1_790_000_500),
        kind: "latch".to_owned(),
        code: Code::literal("drawdown"),
        text: "lost 51.25".to_owned(),
    }];
    run.totals.equity = Usdc::whole(950);
    run.extremes.mean_locked = Usdc::whole(100);
    run.extremes.exposed = Span::secs(1_800);
    let report = report(vec![run]);
    let analysis = analyse(&report, &options());
    let curve = &analysis.runs[0].curve;
    assert_eq!(
        (curve.return_percent.value, curve.locked_return_percent.value),
        (Some(-5.0), Some(-50.0))
    );
    assert_eq!(curve.exposed_percent.value, Some(50.0));
    assert_eq!((curve.start, curve.end), (Usdc::whole(1_000), Usdc::whole(950)));
    for (name, text) in [
        ("terminal", terminal(&report, &analysis, 100, false)),
        ("html", html(&report, &analysis)),
        ("json", json(&report, &analysis).unwrap()),
    ] {
        for part in ["latch", "drawdown", "lost 51.25", "50.0", "-50"] {
            let minus = part.replace('-', "\u{2212}");
            assert!(text.contains(part) || text.contains(&minus), "{part} is missing in {name}");
        }
    }
    let lines = terminal(&report, &analysis, 100, false);
    assert!(lines.contains("ALARM 2026-09-21T14:21:40.000Z latch drawdown: lost 51.25"), "{lines}");
    assert!(
        lines.contains("VERDICT INCONCLUSIVE: 0 events; it takes 10 independent ones"),
        "{lines}"
    );
}

#[test]
fn the_parts_of_the_net_add_up_in_every_report() {
    for (name, report) in reports() {
        let analysis = analyse(&report, &options());
        let total = analysis.real.iter().map(|real| real.balance);
        for balance in analysis.runs.iter().map(|run| run.balance).chain(total) {
            let parts =
                [balance.closed, balance.open, balance.rebates, balance.rewards, balance.other];
            let sum: i128 = parts.iter().map(|part| i128::from(part.micros())).sum();
            // The extreme report ends at the type's border.
            assert!(name == "extreme" || sum == i128::from(balance.net.micros()), "{name}");
        }
    }
}

#[test]
fn only_what_a_resolution_paid_counts_as_held_to_settlement() {
    let settled = |reason| {
        let mut run = quiet();
        run.round_trips = vec![trip(0, 100), trip(3, -400), trip(3, -50)];
        for trip in &mut run.round_trips {
            (trip.exit_role, trip.reason) = (None, reason);
        }
        analyse(&report(vec![run]), &options()).runs[0].verdict.settled
    };
    assert_eq!(settled(ExitReason::Merge), None);
    let rate = settled(ExitReason::Resolution).unwrap();
    // The two round trips of the second event count once.
    assert_eq!((rate.events, rate.won, rate.price), (2, 1, 0.4));
    assert_eq!(rate.bounds, (0.012579, 0.987421));
}

#[test]
fn rebates_belong_to_the_days_of_the_maker_fills_that_count() {
    let on = |day: i64, fill: MarkedFill| MarkedFill {
        matched_at: fill.matched_at + Span::secs(86_400 * day),
        ..fill
    };
    let mut run = quiet();
    run.rebates =
        vec![MarketRebate { market: crate::common::condition(0), amount: Usdc::cents(5) }];
    let days = |fills: Vec<MarkedFill>| {
        let run = polydesk_report::Run { fills, ..run.clone() };
        analyse(&report(vec![run]), &options()).runs[0].verdict.days
    };
    let taker = fill_with(|record| record.role = Role::Taker);
    assert_eq!(days(vec![on(1, fill()), on(2, fill())]), 2);
    assert_eq!(days(vec![on(1, fill()), on(2, failed_fill()), on(3, taker)]), 1);
    // Without any fill: the last day of the run.
    assert_eq!(days(Vec::new()), 1);
}
