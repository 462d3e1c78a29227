//! Small samples at the edges of the rules: ties in time, one element, nothing, both outcomes, two runs.

use crate::common::{condition, fill, fill_with, holding, market, quiet, report, trip};
use polydesk_domain::{ClosedTrade, ExitReason, Outcome, Shares, Side, Span, Time, Usdc};
use polydesk_report::analysis::{Answer, RunAnalysis};
use polydesk_report::{
    Band, MarkedFill, MarketRebate, Options, Run, Spread, analyse, html, terminal, verdict_of,
};

fn options() -> Options {
    Options { seed: 7, resamples: 200 }
}

fn judged(run: Run) -> RunAnalysis {
    analyse(&report(vec![run]), &options()).runs.remove(0)
}

/// Ten shares for four dollars, held between two seconds.
fn held(number: usize, outcome: Outcome, from: i64, to: i64) -> ClosedTrade {
    let at = |secs| Time::from_secs(1_790_000_000 + secs);
    ClosedTrade { outcome, opened_at: at(from), closed_at: at(to), ..trip(number, 10) }
}

#[test]
fn what_could_be_lost_at_one_time_is_the_cost_less_complete_sets() {
    let (yes, no) = (Outcome::Yes, Outcome::No);
    for (name, trips, loss, gain) in [
        ("nothing", vec![], 0, 0),
        ("one", vec![held(0, yes, 0, 9)], 4, 6),
        ("one that ends as it begins", vec![held(0, yes, 5, 5)], 4, 6),
        ("one after the other", vec![held(0, yes, 0, 5), held(0, yes, 5, 9)], 4, 6),
        ("two at once", vec![held(0, yes, 0, 5), held(0, yes, 4, 9)], 8, 12),
        ("two markets of one event", vec![held(0, yes, 0, 5), held(1, yes, 4, 9)], 8, 12),
        // Ten sets for eight dollars gain two for certain.
        ("both outcomes", vec![held(0, yes, 0, 9), held(0, no, 0, 9)], 0, 2),
        ("both outcomes in one instant", vec![held(0, yes, 5, 5), held(0, no, 5, 5)], 0, 2),
        ("one leg first", vec![held(0, yes, 0, 9), held(0, no, 3, 9)], 4, 6),
        ("one leg last", vec![held(0, yes, 0, 9), held(0, no, 0, 3)], 4, 6),
        ("a leg replaced", vec![held(0, yes, 0, 9), held(0, no, 0, 5), held(0, no, 5, 9)], 0, 2),
    ] {
        let mut run = quiet();
        run.round_trips = trips;
        let verdict = verdict_of(&run, &options());
        let got = (verdict.most_loss, verdict.most_gain);
        assert_eq!(got, (Usdc::whole(loss), Usdc::whole(gain)), "{name}");
    }
}

#[test]
fn days_that_earned_nothing_are_no_days_with_results() {
    let day = 86_400;
    let at = |days: i64| Time::from_secs(1_789_992_000 + days * day);
    for (micros, days) in [(1, 1), (3, 3), (0, 0)] {
        let mut run = quiet();
        let on = |days| MarkedFill { at: at(days), matched_at: at(days), ..fill() };
        run.fills = vec![on(0), on(1), on(2)];
        run.rebates = vec![MarketRebate { market: condition(0), amount: Usdc::new(micros) }];
        assert_eq!(verdict_of(&run, &options()).days, days, "{micros}");
    }
}

#[test]
fn markets_with_one_question_are_not_one_event() {
    let mut run = quiet();
    for facts in &mut run.markets {
        (facts.question, facts.event) = ("Up or down?".to_owned(), String::new());
    }
    run.round_trips = vec![trip(0, -500), trip(1, -300)];
    run.open = vec![holding(2, 200, 0), holding(3, 150, 100)];
    let risk = judged(run).risk;
    let worst = risk.worst_event.unwrap();
    assert_eq!((worst.event.as_str(), worst.amount), ("Up or down?", Usdc::whole(-5)));
    assert_eq!(risk.worst_open_event.unwrap().amount, Usdc::whole(2));
}

#[test]
fn a_group_is_not_the_event_of_the_same_name() {
    let mut run = quiet();
    run.markets = vec![market(0), market(1)];
    (run.markets[0].group, run.markets[0].event) = (Some("cup".to_owned()), String::new());
    run.markets[1].event = "cup".to_owned();
    run.round_trips = vec![trip(0, -500), trip(1, -300)];
    let all = judged(run);
    assert_eq!(all.verdict.events, 2);
    assert_eq!(all.risk.worst_event.unwrap().amount, Usdc::whole(-5));
}

#[test]
fn the_last_middle_is_the_last_one_in_time() {
    // Ten shares twice, ten seconds apart. Five minutes after the first the middle is 0.50; of the second none is known
    // after its match, at 0.42. Both are paid a dollar a share.
    let first = MarkedFill {
        double_mid_later: [Some(8_400), Some(8_400), Some(8_400), Some(10_000)],
        ..fill()
    };
    let second = MarkedFill {
        at: first.at + Span::secs(10),
        matched_at: first.matched_at + Span::secs(10),
        double_mid_later: [None; 4],
        ..fill()
    };
    let mut run = quiet();
    run.fills = vec![first, second];
    run.round_trips = vec![ClosedTrade {
        shares: Shares::whole(20),
        cost: Usdc::whole(8),
        proceeds: Usdc::whole(20),
        exit_role: None,
        reason: ExitReason::Resolution,
        ..trip(0, 0)
    }];
    run.totals.equity = run.starting_cash + Usdc::whole(12);
    let waterfall = judged(run).waterfall;
    let step = |key| waterfall.steps.iter().find(|step| step.key == key).unwrap().amount;
    assert_eq!(step("maker_spread"), Usdc::cents(40));
    assert_eq!(step("later_moves"), Usdc::cents(160));
    assert_eq!(step("settlement"), Usdc::whole(10));
    assert_eq!(step("remainder"), Usdc::ZERO);
}

#[test]
fn an_event_of_two_runs_is_one_event() {
    let with = |markets: core::ops::Range<usize>| {
        let mut run = quiet();
        run.round_trips = markets.map(|number| trip(number, 10)).collect();
        run
    };
    // Markets 0 to 5 are events 0 and 1, 3 to 8 are 1 and 2.
    let analysis = analyse(&report(vec![with(0..6), with(3..9)]), &options());
    let verdict = analysis.real.unwrap().verdict;
    assert_eq!((verdict.events, verdict.round_trips, verdict.days), (3, 12, 1));
    assert_eq!(verdict.mean, Some(Usdc::cents(40)));
    assert_eq!((verdict.interval, verdict.answer), (None, Answer::Inconclusive));
}

#[test]
fn a_synthetic_run_is_in_no_total() {
    let mut made = quiet();
    made.synthetic = true;
    let analysis = analyse(&report(vec![made.clone(), quiet()]), &options());
    assert_eq!(analysis.real.map(|total| total.runs), Some(1));
    assert!(analyse(&report(vec![made]), &options()).real.is_none());
}

#[test]
fn markouts_are_gains_of_either_side_and_say_what_is_missing() {
    // Bought and sold at 0.40; the middle is 0.42 at the match and 0.43 later.
    let sold = |shares: u64, later| MarkedFill {
        double_mid_later: [later; 4],
        ..fill_with(|record| {
            record.side = Side::Sell;
            record.fill.shares = Shares::whole(shares);
            record.fill.notional = Usdc::cents(40 * shares as i64);
        })
    };
    let mut run = quiet();
    run.fills = vec![sold(10, Some(8_600)), sold(30, Some(9_000)), sold(7, None)];
    let markouts = judged(run).markouts;
    let at = &markouts[0].at;
    assert_eq!((at[0].secs, at[0].n, at[0].missing, at[0].mean_cents), (0, 3, 0, Some(-2.0)));
    // Of the later ones -3 and -5 cents: plain -4, by shares (10 × 3 + 30 × 5) / 40.
    assert_eq!((at[2].secs, at[2].n, at[2].missing), (30, 2, 1));
    assert_eq!((at[2].mean_cents, at[2].weighted_cents), (Some(-4.0), Some(-4.5)));
}

#[test]
fn the_net_is_the_sum_of_its_parts_also_over_runs() {
    let mut run = quiet();
    run.round_trips = vec![trip(0, 100)];
    run.open = vec![holding(1, 400, 350)];
    run.totals.rebates = Usdc::cents(7);
    run.totals.equity = run.starting_cash + Usdc::cents(60);
    let both = analyse(&report(vec![run.clone(), run]), &options());
    let balance = both.real.unwrap().balance;
    let parts = [balance.closed, balance.open, balance.rebates, balance.other, balance.net];
    assert_eq!(parts, [200, -100, 14, 6, 120].map(Usdc::cents));
}

#[test]
fn one_seed_has_no_range() {
    let Spread { low, median, high } = Spread::of(vec![-5]);
    assert_eq!([low, median, high], [-5; 3]);
}

#[test]
fn shares_held_to_settlement_decide_from_half_of_the_events_on() {
    // Sixty events on ten days gain a dollar each at a cost of nine. Some were held to their settlement and won, all of
    // them: of 30 that is a rate of at least 0.884, below the price of 0.9; of 60 one of at least 0.940.
    let with = |settled: usize| {
        let mut run = quiet();
        run.markets = Vec::new();
        for number in 0..60 {
            let mut own = trip(number, 0);
            (own.cost, own.proceeds) = (Usdc::whole(9), Usdc::whole(10));
            own.opened_at = own.opened_at + Span::secs(86_400 * (number as i64 % 10));
            own.closed_at = own.opened_at + Span::secs(60);
            if number < settled {
                (own.exit_role, own.reason) = (None, ExitReason::Resolution);
            }
            run.round_trips.push(own);
        }
        run.totals.equity = run.starting_cash + Usdc::whole(60);
        verdict_of(&run, &options())
    };
    let settled = with(30).settled.unwrap();
    assert_eq!((settled.events, settled.won, settled.price), (30, 30, 0.9));
    assert!((settled.bounds.0 - 0.8843).abs() < 1e-4, "{settled:?}");
    assert_eq!(with(0).settled, None);
    for (settled, answer) in
        [(0, Answer::Edge), (29, Answer::Edge), (30, Answer::Inconclusive), (60, Answer::Edge)]
    {
        let verdict = with(settled);
        assert_eq!(verdict.answer, answer, "{settled}: {}", verdict.reason);
    }
}

#[test]
fn bands_that_are_equal_are_in_order() {
    let said = |nets: [i64; 3]| {
        let mut run = quiet();
        run.bands = nets
            .map(|net| Band {
                name: format!("band of {net}"),
                seeds: 1,
                net: Spread::of(vec![net]).map(Usdc::whole),
                ..Band::default()
            })
            .to_vec();
        let report = report(vec![run]);
        let analysis = analyse(&report, &options());
        let odd = "not in order";
        let [text, page] = [terminal(&report, &analysis, 100, false), html(&report, &analysis)];
        assert_eq!(text.contains(odd), page.contains(odd), "{nets:?}");
        text.contains(odd)
    };
    for (nets, odd) in [
        ([0, 0, 0], false),
        ([-3, -3, 5], false),
        ([-3, 5, 5], false),
        ([0, -1, 5], true),
        ([0, 5, 4], true),
    ] {
        assert_eq!(said(nets), odd, "{nets:?}");
    }
}
