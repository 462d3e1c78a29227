//! The money's steps add up to the net, and on clean books explain all of it.

use std::collections::BTreeMap;

use crate::common::{condition, failed_fill, fill, fill_with, quiet, report, token, trip};
use polydesk_domain::{
    ClosedTrade, ExitReason, Outcome, Price, Role, Shares, Side, StrategyId, TradeStatus, Usdc,
};
use polydesk_report::{MarkedFill, OpenHolding, Options, Run, analyse};
use proptest::prelude::*;

fn steps(run: Run) -> (BTreeMap<&'static str, i64>, i64) {
    let analysis = analyse(&report(vec![run]), &Options { seed: 1, resamples: 10 });
    let waterfall = &analysis.runs[0].waterfall;
    let steps = waterfall.steps.iter().map(|step| (step.key, step.amount.micros())).collect();
    (steps, waterfall.net.micros())
}

/// A run whose equity follows from its fills, redemptions and open marks.
fn settled(
    fills: Vec<MarkedFill>,
    redeemed: &[(usize, u64, i64)],
    open: &[(usize, u64, i64)],
) -> Run {
    let mut run = quiet();
    let mut cash = run.starting_cash.micros();
    for fill in fills.iter().filter(|fill| fill.counts()) {
        let (sign, paid) = (if fill.record.side == Side::Buy { -1 } else { 1 }, &fill.record.fill);
        cash += sign * paid.notional.micros() - paid.fee.micros();
    }
    for (market, shares, proceeds) in redeemed {
        cash += proceeds;
        run.round_trips.push(ClosedTrade {
            shares: Shares::new(*shares),
            proceeds: Usdc::new(*proceeds),
            exit_role: None,
            reason: ExitReason::Resolution,
            ..trip(*market, 0)
        });
    }
    let mut marks = 0;
    for (market, shares, mark) in open {
        marks += mark;
        run.open.push(OpenHolding {
            strategy: StrategyId::STINK_BIDDER,
            market: condition(*market),
            token: token(*market),
            outcome: Outcome::Yes,
            shares: Shares::new(*shares),
            cost: Usdc::ZERO,
            mark: Usdc::new(*mark),
        });
    }
    run.totals.cash = Usdc::new(cash);
    run.totals.equity = Usdc::new(cash + marks);
    run.fills = fills;
    run
}

#[test]
fn a_bid_that_is_filled_and_redeemed_is_explained_to_the_last_cent() {
    // 10 YES bought at 0.40 (middle 0.42, 30 s later 0.43, last 0.43), redeemed at one dollar.
    let (steps, net) = steps(settled(vec![fill()], &[(0, 10_000_000, 10_000_000)], &[]));
    for (key, want) in [
        ("maker_spread", 200_000),
        ("adverse_30s", 100_000),
        ("later_moves", 0),
        ("settlement", 5_700_000),
        ("remainder", 0),
    ] {
        assert_eq!(steps[key], want, "{key}");
    }
    assert_eq!(net, 6_000_000);
}

#[test]
fn every_stretch_of_a_middles_path_has_its_own_step() {
    // Bought at 0.40: the middle is 0.42 at the match, 0.41 when it is known, then 0.415, 0.44, 0.45, 0.46.
    let moved = MarkedFill {
        double_mid_matched: Some(8_400),
        double_mid_known: Some(8_200),
        double_mid_later: [Some(8_300), Some(8_800), Some(9_000), Some(9_200)],
        // The engine's own view of the book plays no part.
        ..fill_with(|record| record.double_mid = Some(5_000))
    };
    let run = settled(vec![moved], &[], &[(0, 10_000_000, 4_500_000)]);
    let markouts = analyse(&report(vec![run.clone()]), &Options { seed: 1, resamples: 10 });
    let means: Vec<_> = markouts.runs[0].markouts[0].at.iter().map(|at| at.mean_cents).collect();
    assert_eq!(means, [2.0, 1.5, 4.0, 5.0, 6.0].map(Some));
    let (steps, net) = steps(run);
    for (key, want) in [
        ("maker_spread", 200_000),
        ("until_known", -100_000),
        ("adverse_30s", 300_000),
        ("later_moves", 200_000),
        ("open_marks", -100_000),
        ("remainder", 0),
    ] {
        assert_eq!(steps[key], want, "{key}");
    }
    assert_eq!(net, 500_000);
}

#[test]
fn a_middle_that_is_missing_moves_nothing_into_another_step() {
    let missing = |change: &dyn Fn(&mut MarkedFill)| {
        let mut fill = MarkedFill { double_mid_known: Some(8_500), ..fill() };
        change(&mut fill);
        steps(settled(vec![fill], &[], &[(0, 10_000_000, 4_300_000)])).0
    };
    // At the match: measured when it was known. When it was known: the move is in the next step.
    let steps = missing(&|fill| fill.double_mid_matched = None);
    assert_eq!((steps["maker_spread"], steps["until_known"]), (250_000, 0));
    let steps = missing(&|fill| fill.double_mid_known = None);
    assert_eq!((steps["until_known"], steps["adverse_30s"]), (0, 100_000));
    let steps = missing(&|fill| fill.double_mid_later[1] = None);
    assert_eq!((steps["adverse_30s"], steps["later_moves"]), (0, 50_000));
}

#[test]
fn a_taker_pays_slippage_and_fees_and_a_holding_is_marked_at_depth() {
    let taker = MarkedFill {
        double_mid_later: [Some(8_400), Some(8_500), Some(8_500), None],
        ..fill_with(|record| {
            record.role = Role::Taker;
            (record.fill.notional, record.fill.fee) = (Usdc::cents(430), Usdc::cents(7));
        })
    };
    let run = settled(vec![taker], &[], &[(0, 10_000_000, 4_100_000)]);
    let analysis = analyse(&report(vec![run.clone()]), &Options { seed: 1, resamples: 10 });
    // 4.30 paid; 4.15 was the middle when it was decided, 4.20 when it was filled.
    assert_eq!(analysis.runs[0].waterfall.slippage_since_decision, Usdc::cents(-15));
    let (steps, net) = steps(run);
    for (key, want) in [
        ("taker_slippage", -100_000),
        ("taker_fees", -70_000),
        ("adverse_30s", 50_000),
        ("open_marks", -150_000),
        ("remainder", 0),
    ] {
        assert_eq!(steps[key], want, "{key}");
    }
    assert_eq!(net, -270_000);
}

#[test]
fn failed_fills_count_for_nothing_and_are_shown() {
    let analysis = analyse(
        &report(vec![settled(vec![failed_fill()], &[], &[])]),
        &Options { seed: 1, resamples: 10 },
    );
    let run = &analysis.runs[0];
    assert_eq!((run.waterfall.failed_fills, run.waterfall.failed_notional), (1, Usdc::whole(4)));
    assert!(run.waterfall.steps.iter().all(|step| step.amount == Usdc::ZERO));
    assert_eq!((run.execution.failed_settlements, run.markouts.len()), (1, 0));
}

#[test]
fn tokens_without_any_middle_have_a_step_of_their_own() {
    let blind = MarkedFill {
        double_mid_matched: None,
        double_mid_known: None,
        double_mid_later: [None; 4],
        ..fill()
    };
    let (steps, net) = steps(settled(vec![blind], &[(0, 10_000_000, 10_000_000)], &[]));
    assert_eq!((steps["no_middle"], steps["settlement"], steps["remainder"]), (6_000_000, 0, 0));
    assert_eq!(net, 6_000_000);
}

fn any_fill() -> impl Strategy<Value = MarkedFill> {
    let middle = || prop::option::of(0u32..=20_000);
    let middles = (middle(), middle(), middle(), [middle(), middle(), middle(), middle()]);
    let basics = (0usize..4, any::<bool>(), any::<bool>(), 1u64..1_000_000_000, 0u16..=10_000);
    (basics, middles, 0i64..1_000_000, 0u8..20).prop_map(|(basics, middles, fee, luck)| {
        let (market, buy, maker, shares, price) = basics;
        let (shares, price) = (Shares::new(shares), Price::new(price).unwrap_or_default());
        let settlement = if luck == 0 { TradeStatus::Failed } else { TradeStatus::Confirmed };
        let fill = fill_with(|record| {
            (record.market, record.token) = (condition(market), token(market));
            record.side = if buy { Side::Buy } else { Side::Sell };
            record.role = if maker { Role::Maker } else { Role::Taker };
            record.fill.shares = shares;
            record.fill.notional = price.notional_floor(shares);
            record.fill.fee = Usdc::new(fee);
            record.double_mid_decided = middles.0;
        });
        let (double_mid_matched, double_mid_known) = (middles.1, middles.2);
        let double_mid_later = middles.3;
        MarkedFill { settlement, double_mid_matched, double_mid_known, double_mid_later, ..fill }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::common::cases()))]

    #[test]
    fn steps_always_add_up_to_the_net(
        fills in prop::collection::vec(any_fill(), 0..20),
        redeemed in prop::collection::vec((0usize..6, 0u64..1_000_000_000, 0i64..1_000_000_000), 0..5),
        equity in -1_000_000_000i64..10_000_000_000,
    ) {
        let mut run = settled(fills, &redeemed, &[]);
        run.totals.equity = Usdc::new(equity);
        let (steps, net) = steps(run);
        prop_assert_eq!(steps.values().sum::<i64>(), net);
        prop_assert_eq!(net, equity - 1_000_000_000);
    }

    #[test]
    fn whatever_is_bought_and_kept_or_redeemed_leaves_only_rounding_in_the_remainder(
        fills in prop::collection::vec(any_fill(), 1..20),
        payouts in prop::collection::vec(0u32..=1_000_000, 4),
        keeps in prop::collection::vec(any::<bool>(), 4),
    ) {
        let mut fills = fills;
        fills.iter_mut().for_each(|fill| fill.record.side = Side::Buy);
        let (mut redeemed, mut open) = (Vec::new(), Vec::new());
        for market in 0..4 {
            let counted = |fill: &&MarkedFill| fill.record.token == token(market) && fill.counts();
            let shares: u64 =
                fills.iter().filter(counted).map(|fill| fill.record.fill.shares.micros()).sum();
            let worth = i64::try_from(u128::from(shares) * u128::from(payouts[market]) / 1_000_000).unwrap();
            if keeps[market] { open.push((market, shares, worth)) } else { redeemed.push((market, shares, worth)) }
        }
        let (steps, _) = steps(settled(fills, &redeemed, &open));
        prop_assert!(steps["remainder"].abs() <= 12, "{steps:?}");
    }
}
