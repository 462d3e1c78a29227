//! Leaving positions: what is sold, when, how much and for how little.

use std::collections::VecDeque;

use expect_test::expect;
use polydesk_domain::{
    Action, Basket, BasketKind, Cash, CashKind, Close, Command, ControlEvent, ConversionId, Event,
    ExitPlan, Leg, MarketKey, OperatorCommand, OrderUpdate, Price, Quote, RejectReason, Shares,
    Side, Span, Stop, TakeProfit, TradeIntent, TradeStatus, Urgency, Usdc,
};

use polydesk_execution::LedgerAccount;

use crate::harness::*;

#[test]
fn shares_of_a_pending_merge_are_not_sold() {
    let mut story = Story::new();
    let leg = |token, cents| Leg { token, side: Side::Buy, limit: Price::cents(cents) };
    story.book(50, 40);
    let basket = Basket {
        kind: BasketKind::BuyPair,
        legs: vec![leg(YES, 40), leg(NO, 50)],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::cents(1),
    };
    story.say("", Action::Basket(basket));
    for (id, token, cents) in [(1, YES, 40), (2, NO, 50)] {
        for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
            story.fill(id, u128::from(id), token, Side::Buy, 20, cents, status);
        }
        story.news(id, "", OrderUpdate::Filled { matched: Shares::whole(20) });
    }
    story.after(5_000).book(39, 41);
    story.after(5_000).timer();
    story.told.clear();
    story.hear("flatten", operator(OperatorCommand::Flatten { market: None, collar: None }));
    story.after(5_000).timer();
    assert_eq!(story.held(YES), "held 20 + 0 unsettled, cost 8.00");
    story.check(expect![[r#"
        10003ms flatten
        15003ms timer
    "#]]);
}

/// Sells at a loss of five cents, not below two.
fn stop() -> ExitPlan {
    ExitPlan { stop: Some(Stop { loss: 500, floor: Price::cents(2) }), ..ExitPlan::default() }
}

fn close(percent: u32, floor: u16) -> Action {
    Action::Close(Close { token: YES, fraction_ppm: percent * 10_000, floor: Price::cents(floor) })
}

#[test]
fn a_close_of_a_strategy_does_not_replace_a_flatten() {
    let mut story = Story::new();
    story.bought(100, 40, None);
    story.after(2_000).bids(&[(3, 1)], 44);
    story.hear("", operator(OperatorCommand::Flatten { market: Some(MarketKey(0)), collar: None }));
    story.say("", close(10, 90));
    story.after(2_000).bids(&[(40, 200)], 44);
    story.serve_for(5_000);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
}

#[test]
fn a_close_at_a_price_that_nobody_pays_leaves_the_stop_on() {
    for asked in ["strategy", "person"] {
        let mut story = Story::new();
        story.bought(100, 40, Some(stop()));
        if asked == "person" {
            let fraction_ppm = 1_000_000;
            story.hear(
                "",
                operator(OperatorCommand::Close { token: YES, fraction_ppm, collar: None }),
            );
        }
        story.say("", close(100, 60));
        story.after(2_000).bids(&[(39, 200)], 44);
        story.serve_for(2_000);
        story.bids(&[(35, 200)], 37);
        story.serve_for(5_000);
        assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00", "{asked}");
    }
}

#[test]
fn a_stop_sells_the_lot_it_is_of() {
    let mut story = Story::new();
    story.bought(50, 38, None);
    story.bought(50, 40, Some(stop()));
    story.after(2_000).bids(&[(35, 200)], 37);
    story.serve_for(5_000);
    let closed: Vec<_> = story.closed.iter().map(|closed| (closed.shares, closed.cost)).collect();
    assert_eq!(closed, [(Shares::whole(50), Usdc::whole(20))]);
    assert_eq!(story.held(YES), "held 50 + 0 unsettled, cost 19.00");
}

#[test]
fn lots_with_one_target_share_one_resting_order() {
    let mut story = Story::new();
    let plan =
        ExitPlan { take_profit: Some(TakeProfit { gain: 500, rest: true }), ..ExitPlan::default() };
    story.bought(20, 38, Some(plan));
    story.serve();
    story.bought(20, 39, Some(plan));
    story.serve();
    story.bought(20, 38, Some(plan));
    story.serve();
    story.serve_for(5_000);
    let open = story.engine.manager().orders().open();
    let open: Vec<_> = open.map(|order| format!("{} at {}", order.left(), order.price)).collect();
    assert_eq!(open, ["20 at 0.4400", "40 at 0.4300"]);
}

fn max_hold() -> ExitPlan {
    ExitPlan { max_hold: Some(Span::secs(30)), ..ExitPlan::default() }
}

/// 100 bought at 0.40 in a market of 0.39 to 0.42, thirty seconds ago.
fn holding(plan: ExitPlan) -> Story {
    let mut story = Story::new();
    story.bought(100, 40, Some(plan));
    story.bids(&[(39, 200)], 42);
    story.serve_for(29_500);
    story.sold.clear();
    story
}

const THIN: &[(u16, u64)] = &[(39, 5), (3, 500)];

#[test]
fn nothing_is_given_away_in_a_thin_book() {
    for way in ["time", "close", "flatten", "stop"] {
        let plan = match way {
            "time" => max_hold(),
            "stop" => stop(),
            _ => ExitPlan::default(),
        };
        let mut story = holding(plan);
        story.bids(THIN, 42);
        match way {
            "close" => story.say("", close(100, 0)),
            "flatten" => {
                story.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }))
            }
            _ => {}
        }
        while story.sold.is_empty() {
            story.serve_for(50);
        }
        story.bids(&[(3, 500)], 42);
        story.serve_for(600_000);
        let sold: Vec<_> = story.sold.iter().map(|sold| sold.split_once(' ').unwrap().1).collect();
        assert_eq!(sold, ["5 at 0.3900"], "{way}");
        let waits = &story.engine.manager().counts().exit_waits;
        assert!(waits.contains_key("outside_collar"), "{way} {waits:?}");
    }
}

#[test]
fn a_thin_moment_fires_no_stop_and_fills_none() {
    let mut story = holding(stop());
    for _ in 0..20 {
        story.bids(&[(39, 5)], 42);
        story.after(50).bids(&[(39, 200)], 42);
        story.serve_for(900);
    }
    assert_eq!(story.sold, [""; 0]);
}

#[test]
fn a_restart_waits_until_it_has_watched_the_book() {
    let story = holding(ExitPlan::default());
    let entries = story.engine.save();
    for soft in [true, false] {
        let mut after = Story::new();
        after.engine.load(&entries).unwrap();
        after.engine.adopt_books(&story.engine);
        if soft {
            after.engine.load_soft(&story.engine.soft());
        }
        after.now = story.now;
        after.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }));
        assert_eq!(after.told.contains("sell yes 100"), soft, "{}", after.told);
        after.serve_for(3_000);
        assert_eq!(after.held(YES), "held 0 + 0 unsettled, cost 0.00");
    }
}

#[test]
fn what_exits_remember_of_books_is_no_change_of_the_state() {
    let mut story = holding(stop());
    let mut changed = 0;
    for cents in 0..50 {
        story.after(100).bids(&[(38 + cents % 3, 200)], 42);
        story.engine.changes(|entry| changed += usize::from(entry.table != "equity"));
    }
    assert_eq!(changed, 0);
}

/// Lets `millis` pass with a timer every 10 ms; immediate sales are killed 60 ms after they left. Returns when
/// they left, counted from `from`, and at which limit.
fn killed(story: &mut Story, from: i64, millis: i64) -> Vec<(i64, String)> {
    let (mut left, mut under_way) = (Vec::new(), VecDeque::new());
    let end = story.now + millis;
    while story.now < end || !under_way.is_empty() {
        story.after(10).hear("", ControlEvent::Timer.into());
        for command in core::mem::take(&mut story.sent) {
            let Command::Place(orders) = command else { continue };
            for order in orders.iter().filter(|order| !order.tif.rests()) {
                left.push((story.now - from, order.price.to_string()));
                under_way.push_back((story.now + 60, order.id.0));
            }
        }
        while let Some((_, id)) = under_way.pop_front_if(|(at, _)| *at <= story.now) {
            let reason = RejectReason::FakKilled;
            story.news(id, "killed", OrderUpdate::Rejected { reason });
        }
    }
    left
}

#[test]
fn an_exit_that_finds_nobody_is_repeated_at_once_and_then_slower() {
    let mut story = holding(ExitPlan::default());
    story.told.clear();
    let from = story.now;
    story.say("", close(100, 20));
    let tries = killed(&mut story, from, 300_000);
    let times: Vec<i64> = tries.iter().map(|(at, _)| *at).collect();
    let quick: Vec<i64> = (0..11).map(|n| 10 + n * 260).collect();
    assert_eq!(times[..11], quick);
    let pauses: Vec<i64> = times[10..].windows(2).map(|two| two[1] - two[0]).collect();
    let want = [2_060, 4_060, 8_060, 16_060, 32_060, 60_060, 60_060, 60_060];
    assert!(pauses.iter().zip(want).all(|(pause, want)| (*pause - want).abs() <= 10), "{pauses:?}");
    assert_eq!(pauses.len(), 8);
    // A tick more of room with each, inside the collar.
    let limits: Vec<&str> = tries.iter().map(|(_, limit)| limit.as_str()).collect();
    assert_eq!(limits[..4], ["0.3700", "0.3600", "0.3500", "0.3400"]);
    assert!(limits[4..].iter().all(|limit| *limit == "0.3400"), "{limits:?}");
    assert_eq!(story.told.matches("note exit_finds_nobody").count(), 1);
}

#[test]
fn a_stop_in_a_falling_market_is_sold_near_it() {
    let mut story = Story::new();
    let stop = Stop { loss: 100, floor: Price::cents(2) };
    story.bought(100, 40, Some(ExitPlan { stop: Some(stop), ..ExitPlan::default() }));
    story.bids(&[(40, 200)], 42);
    story.serve_for(10_000);
    // A cent a second; the first three tries come too late.
    let (mut cents, mut tries) = (40, 0);
    while story.sold.is_empty() && cents > 2 {
        cents -= 1;
        story.bids(&[(cents, 200)], cents + 2);
        for _ in 0..9 {
            match tries {
                0..3 => tries += killed(&mut story, 0, 110).len(),
                _ => story.serve_for(110),
            }
        }
    }
    assert!(story.sold[0].ends_with("100 at 0.3800"), "{:?} after {tries}", story.sold);
}

#[test]
fn crumbs_are_sold_by_the_pace_and_not_by_the_crumb() {
    let mut story = Story::new();
    story.bought(200, 40, None);
    story.after(1).bids(&[(39, 5)], 42);
    story.serve_for(2_000);
    story.say("", close(100, 0));
    let (from, mut orders) = (story.now, 0);
    for crumb in 0..300 {
        story.after(2).bids(&[(39, 5 + crumb % 2)], 42);
        let placed = |command: &Command| matches!(command, Command::Place(_));
        orders += story.sent.iter().filter(|command| placed(command)).count();
        story.serve();
    }
    assert_eq!(story.now - from, 900);
    assert!((3..=5).contains(&orders), "{orders} orders");
}

#[test]
fn an_exit_that_waits_for_long_is_reported_once() {
    let mut story = holding(stop());
    story.bids(&[(3, 500)], 42);
    story.told.clear();
    story.serve_for(600_000);
    assert_eq!(story.told.matches("note exit_waits").count(), 1);
    let waits = &story.engine.manager().counts().exit_waits;
    // Counted by the second, not by the check.
    assert!((500..=601).contains(&waits["outside_collar"]), "{waits:?}");
}

#[test]
fn nothing_is_tried_while_no_order_may_leave() {
    let mut story = holding(ExitPlan::default());
    story.say("", close(100, 0));
    story.hear("", operator(OperatorCommand::Kill));
    let denied = story.engine.manager().counts().denials.clone();
    story.serve_for(600_000);
    assert_eq!(story.engine.manager().counts().denials, denied);
    story.hear("", operator(OperatorCommand::Rearm));
    story.serve_for(1_000);
    assert_eq!(story.sold.len(), 1);
}

/// A strategy's own sale of YES that rests.
fn resting_sale(cents: u16, shares: u64) -> Action {
    let Action::Trade(intent) = trade(Side::Sell, cents, shares) else { unreachable!() };
    Action::Trade(TradeIntent { urgency: Urgency::Rest, ..intent })
}

/// A quote that sells YES.
fn offer(cents: u16, shares: u64) -> Action {
    let (side, price, size) = (Side::Sell, Price::cents(cents), Shares::whole(shares));
    Action::Quotes(vec![Quote { token: YES, side, price, size, exit: None }])
}

#[test]
fn an_exit_cancels_what_holds_its_shares_and_goes_on_when_they_are_free() {
    let profit = ExitPlan { take_profit: Some(TakeProfit { gain: 600, rest: true }), ..stop() };
    for (holder, plan, hold) in [
        ("trade", stop(), Some(resting_sale(46, 100))),
        ("quote", stop(), Some(offer(46, 100))),
        ("target", profit, None),
    ] {
        for way in ["stop", "flatten"] {
            let mut story = holding(plan);
            hold.iter().for_each(|action| story.say("", action.clone()));
            story.serve();
            assert_eq!(story.engine.manager().orders().open_count(), 1, "{holder}");
            match way {
                "stop" => story.bids(&[(35, 200)], 37),
                _ => story.hear(
                    "",
                    operator(OperatorCommand::Flatten { market: Some(MarketKey(0)), collar: None }),
                ),
            }
            story.serve_for(3_000);
            let price = if way == "stop" { "35" } else { "39" };
            let sold: Vec<_> =
                story.sold.iter().map(|sold| sold.split_once(' ').unwrap().1).collect();
            assert_eq!(sold, [format!("100 at 0.{price}00")], "{holder} {way}");
            assert_eq!(story.engine.manager().orders().open_count(), 0, "{holder} {way}");
            let waits = &story.engine.manager().counts().exit_waits;
            assert!(waits.contains_key("shares_in_own_orders"), "{holder} {way} {waits:?}");
            assert!(!waits.contains_key("no_bid_above_floor"), "{holder} {way} {waits:?}");
        }
    }
}

#[test]
fn what_is_free_is_sold_while_the_rest_is_being_freed() {
    let mut story = holding(ExitPlan::default());
    story.say("", offer(46, 40));
    story.serve();
    story.told.clear();
    story.say("close", close(100, 0));
    story.serve_for(1_000);
    let sold: Vec<_> = story.sold.iter().map(|sold| sold.split_once(' ').unwrap().1).collect();
    assert_eq!(sold, ["60 at 0.3900", "40 at 0.3900"]);
}

#[test]
fn an_exit_needs_no_more_than_its_own_shares() {
    let profit =
        ExitPlan { take_profit: Some(TakeProfit { gain: 600, rest: true }), ..ExitPlan::default() };
    let mut story = holding(stop());
    story.bought(50, 39, Some(profit));
    story.serve();
    story.serve_for(1_000);
    let target = story.last_order();
    story.bids(&[(35, 200)], 37);
    story.serve_for(3_000);
    assert_eq!(story.held(YES), "held 50 + 0 unsettled, cost 19.50");
    // The target of the other lot kept its place.
    assert_eq!(story.last_order(), target);
    assert_eq!(story.engine.manager().orders().open_count(), 1);
}

/// The market's answer to a merge of `sets`.
fn merged(story: &mut Story, id: u64, kind: CashKind, sets: u64) {
    let shares = Shares::whole(if kind == CashKind::Merge { sets } else { 0 });
    let cash = Cash {
        kind,
        conversion: Some(ConversionId(id)),
        strategy: None,
        market: Some(MarketKey(0)),
        amount: shares.face_value(),
        shares: [shares; 2],
    };
    story.hear("", Event::cash(cash));
    story.serve();
}

/// `yes` shares at 0.40 and `no` at 0.56, a while ago.
fn pair(yes: (u64, Option<ExitPlan>), no: (u64, Option<ExitPlan>)) -> Story {
    let mut story = Story::new();
    for (token, cents, (shares, plan)) in [(YES, 40, yes), (NO, 56, no)] {
        story.bought_of(token, shares, cents, plan);
        story.serve();
    }
    story.serve_for(2_000);
    story.told.clear();
    story.sold.clear();
    story
}

/// Sales and conversions that were asked for.
fn asked(story: &Story) -> Vec<&str> {
    let lines = story.told.lines().map(str::trim);
    let sells = |line: &&str| line.starts_with("place") && line.contains(" sell ");
    lines.filter(|line| sells(line) || line.starts_with("merge")).collect()
}

#[test]
fn complete_sets_are_merged_instead_of_sold() {
    let mut story = pair((50, Some(max_hold())), (50, Some(max_hold())));
    story.serve_for(30_000);
    assert_eq!(asked(&story), ["merge #3 50"]);
    story.serve_for(10_000);
    merged(&mut story, 3, CashKind::Merge, 50);
    story.serve_for(2_000);
    // 50 x 0.40 and 50 x 0.56 became 50: selling both would have brought 47.
    assert_eq!(story.engine.manager().ledger().balance(LedgerAccount::Cash), Usdc::whole(1_002));
    assert_eq!(asked(&story), ["merge #3 50"]);
}

#[test]
fn what_is_over_is_sold_and_what_holds_the_shares_goes_first() {
    let profit = ExitPlan {
        take_profit: Some(TakeProfit { gain: 1_000, rest: true }),
        ..ExitPlan::default()
    };
    let mut story = pair((80, None), (50, Some(profit)));
    story.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }));
    story.serve_for(1_000);
    assert_eq!(asked(&story), ["place #4 sell yes 30 at 0.3800 FAK", "merge #5 50"]);
    story.serve_for(5_000);
    merged(&mut story, 5, CashKind::Merge, 50);
    story.serve_for(2_000);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    assert_eq!(story.held(NO), "held 0 + 0 unsettled, cost 0.00");
    assert_eq!(asked(&story).len(), 2);
}

#[test]
fn one_side_that_wants_out_takes_free_shares_of_the_other() {
    // The second lot is stopped; it is the one that is merged and sold, and 30 NO go with it.
    let mut story = Story::new();
    story.bought(40, 36, None);
    story.bought(50, 40, Some(stop()));
    story.bought_of(NO, 30, 56, None);
    story.bids(&[(35, 200)], 37);
    story.told.clear();
    story.serve_for(3_000);
    assert_eq!(asked(&story), ["merge #4 30", "place #5 sell yes 20 at 0.3300 FAK"]);
    merged(&mut story, 4, CashKind::Merge, 30);
    story.serve_for(3_000);
    assert_eq!(story.held(YES), "held 40 + 0 unsettled, cost 14.40");
    assert_eq!(story.held(NO), "held 0 + 0 unsettled, cost 0.00");
    assert_eq!(asked(&story).len(), 2);
}

#[test]
fn a_merge_that_fails_gives_way_to_sales() {
    let mut story = pair((50, Some(max_hold())), (50, Some(max_hold())));
    story.serve_for(30_000);
    merged(&mut story, 3, CashKind::Failed, 50);
    story.serve_for(1_000);
    assert_eq!(
        asked(&story),
        ["merge #3 50", "place #4 sell yes 50 at 0.3800 FAK", "place #5 sell no 50 at 0.5400 FAK"]
    );
}

#[test]
fn few_sets_and_sets_of_a_running_basket_are_not_merged_by_exits() {
    let mut story = pair((54, Some(max_hold())), (4, Some(max_hold())));
    story.serve_for(30_000);
    assert_eq!(asked(&story), ["place #3 sell yes 54 at 0.3800 FAK"]);
}

#[test]
fn a_merge_without_an_answer_does_not_hold_up_later_sets_for_ever() {
    let mut story = pair((50, Some(max_hold())), (50, Some(max_hold())));
    for (token, cents) in [(YES, 40), (NO, 56)] {
        story.bought_of(token, 20, cents, None);
    }
    story.told.clear();
    story.serve_for(32_000);
    assert_eq!(asked(&story), ["merge #5 50"]);
    story.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }));
    story.serve_for(50_000);
    assert_eq!(asked(&story).len(), 1);
    story.serve_for(20_000);
    assert_eq!(
        asked(&story)[1..],
        ["place #6 sell yes 20 at 0.3800 FAK", "place #7 sell no 20 at 0.5400 FAK"]
    );
}

fn flatten_all() -> Event {
    operator(OperatorCommand::Flatten { market: None, collar: None })
}

fn flatten_market() -> Event {
    operator(OperatorCommand::Flatten { market: Some(MarketKey(0)), collar: None })
}

#[test]
fn a_flatten_cancels_the_bids_and_nothing_is_bought_before_a_resume() {
    for (flatten, denial) in [(flatten_market(), "flattened"), (flatten_all(), "reduce_only")] {
        let mut story = holding(ExitPlan::default());
        story.say("", quotes(&[(YES, 37, 20), (NO, 40, 20)], None));
        story.serve();
        let before = story.engine.manager().counts().placed;
        story.told.clear();
        story.hear("flatten", flatten);
        let cancels = story.told.lines().filter(|line| line.trim().starts_with("cancel ")).count();
        assert_eq!(cancels, 2, "{denial}\n{}", story.told);
        story.serve_for(3_000);
        assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00", "{denial}");
        story.say("", quotes(&[(YES, 37, 20)], None));
        story.say("", trade(Side::Buy, 44, 20));
        story.serve_for(60_000);
        assert_eq!(story.engine.manager().counts().placed, before + 1, "only the sale, {denial}");
        assert!(story.denials().contains(&denial), "{denial}");
        story.hear("", operator(OperatorCommand::Resume));
        story.say("", quotes(&[(YES, 37, 20)], None));
        assert_eq!(story.engine.manager().orders().open_count(), 1, "{denial}");
    }
}

#[test]
fn what_a_cancelled_bid_still_bought_is_sold_by_the_flatten() {
    let mut story = holding(ExitPlan::default());
    story.say("", quotes(&[(YES, 37, 20)], None));
    story.serve();
    let bid = story.last_order();
    story.hear("", flatten_market());
    // The bid was matched before the cancel arrived.
    story.sent.retain(|command| !matches!(command, Command::Cancel(_)));
    story.serve_for(2_000);
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        story.fill(bid, 900, YES, Side::Buy, 20, 37, status);
    }
    story.news(bid, "", OrderUpdate::Filled { matched: Shares::whole(20) });
    story.serve_for(3_000);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
}

#[test]
fn a_flatten_does_not_sell_what_a_person_bought_elsewhere() {
    let mut story = holding(ExitPlan::default());
    let id = crate::seams::external(&mut story, 1, Side::Buy, 40, 20);
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        story.fill(id, 901, YES, Side::Buy, 20, 40, status);
    }
    let bid = crate::seams::external(&mut story, 2, Side::Buy, 20, 10);
    story.told.clear();
    story.hear("", flatten_all());
    story.serve_for(5_000);
    let external = story.engine.manager().position(polydesk_domain::StrategyId::EXTERNAL, YES);
    assert_eq!(external.confirmed, Shares::whole(20));
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    let cancel = format!("cancel #{bid}");
    assert!(!story.told.lines().any(|line| line.trim() == cancel), "{}", story.told);
}

#[test]
fn a_flattened_basket_gets_no_further_leg_and_what_it_bought_is_sold() {
    let mut story = Story::new();
    let leg = |token, cents| Leg { token, side: Side::Buy, limit: Price::cents(cents) };
    story.book(50, 40);
    let basket = Basket {
        kind: BasketKind::BuyPair,
        legs: vec![leg(YES, 40), leg(NO, 50)],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::cents(1),
    };
    story.say("", Action::Basket(basket));
    story.sent.clear();
    story.book(39, 41);
    story.serve_for(2_000);
    story.hear("", flatten_market());
    story.told.clear();
    // One leg is bought, the other has no fill.
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        story.fill(1, 1, YES, Side::Buy, 20, 40, status);
    }
    story.news(1, "", OrderUpdate::Filled { matched: Shares::whole(20) });
    story.news(2, "", OrderUpdate::Rejected { reason: RejectReason::FakKilled });
    story.serve_for(5_000);
    assert!(!story.told.contains(" buy "), "{}", story.told);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    assert_eq!(story.ends, ["carried"]);
}

#[test]
fn a_person_may_widen_the_collar_of_a_close_or_flatten() {
    let narrow = "5 at 0.3900";
    // 5 x 0.39 and 95 x 0.03.
    let wide = "100 at 0.0480";
    for (what, collar, first) in [
        ("flatten", None, narrow),
        ("flatten", Some(Price::cents(50)), wide),
        ("close", None, narrow),
        ("close", Some(Price::cents(50)), wide),
        // Never narrower than the limits.
        ("flatten", Some(Price::cents(1)), narrow),
    ] {
        let mut story = holding(ExitPlan::default());
        story.bids(THIN, 42);
        story.serve_for(2_000);
        let command = match what {
            "flatten" => OperatorCommand::Flatten { market: None, collar },
            _ => OperatorCommand::Close { token: YES, fraction_ppm: 1_000_000, collar },
        };
        story.hear("", operator(command));
        story.serve_for(10_000);
        assert!(story.sold[0].ends_with(first), "{what} {collar:?}: {:?}", story.sold);
    }
}

#[test]
fn reduce_only_cancels_what_would_buy_and_leaves_what_sells() {
    let profit =
        ExitPlan { take_profit: Some(TakeProfit { gain: 600, rest: true }), ..ExitPlan::default() };
    let mut story = holding(profit);
    story.serve();
    story.say("", quotes(&[(YES, 37, 20)], None));
    story.serve();
    story.hear("", operator(OperatorCommand::ReduceOnly));
    story.serve_for(5_000);
    let open = story.engine.manager().orders().open();
    let open: Vec<_> = open.map(|order| (order.side, order.price)).collect();
    assert_eq!(open, [(Side::Sell, Price::cents(46))]);
}

/// A strategy's own sale of YES: at once or resting, all or nothing or not.
fn sale(cents: u16, shares: u64, urgency: Urgency, all_or_nothing: bool) -> Action {
    let Action::Trade(intent) = trade(Side::Sell, cents, shares) else { unreachable!() };
    Action::Trade(TradeIntent { urgency, all_or_nothing, ..intent })
}

#[test]
fn a_strategys_sale_stays_inside_the_collar() {
    for (urgency, whole, want) in [
        (Urgency::Now, false, "sell yes 5 at 0.3700 FAK"),
        // The median of recent prices is 0.39: not below 0.34.
        (Urgency::Now, true, "sell yes 100 at 0.3400 FOK"),
        (Urgency::Rest, false, "sell yes 100 at 0.3400"),
    ] {
        let mut story = holding(ExitPlan::default());
        story.bids(THIN, 42);
        story.serve_for(2_000);
        story.told.clear();
        story.say("", sale(2, 100, urgency, whole));
        let placed = story.told.lines().find(|line| line.contains("place"));
        assert!(placed.is_some_and(|line| line.contains(want)), "{want}:\n{}", story.told);
    }
}

#[test]
fn a_strategys_sale_never_meets_our_own_bid() {
    for (urgency, whole) in [(Urgency::Now, false), (Urgency::Now, true), (Urgency::Rest, false)] {
        let mut story = holding(ExitPlan::default());
        story.say("", quotes(&[(YES, 38, 20)], None));
        story.serve();
        let bid = story.last_order();
        story.told.clear();
        story.say("", sale(36, 100, urgency, whole));
        let lines: Vec<&str> = story.told.lines().map(str::trim).collect();
        assert_eq!(lines, [format!("cancel #{bid}")], "{urgency:?} {whole}");
        story.serve_for(1_000);
        story.say("", sale(36, 100, urgency, whole));
        story.serve_for(1_000);
        let sold = story.sold.first().is_some_and(|sold| sold.ends_with("100 at 0.3900"));
        let rests = story.last_order() > bid;
        assert!(sold || rests, "{urgency:?} {whole}:\n{}", story.told);
    }
}

#[test]
fn a_strategys_sale_that_finds_nobody_ends_with_its_signal() {
    let mut story = holding(ExitPlan::default());
    story.say("", sale(41, 100, Urgency::Now, false));
    story.serve_for(61_000);
    story.bids(&[(41, 200)], 43);
    story.serve_for(5_000);
    assert_eq!(story.held(YES), "held 100 + 0 unsettled, cost 40.00");
    // Asked for again it is sold.
    story.say("", sale(41, 100, Urgency::Now, false));
    story.serve_for(2_000);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
}

#[test]
fn a_sale_names_the_signal_that_asked_for_it() {
    for action in [sale(30, 100, Urgency::Now, false), close(100, 30)] {
        let mut story = holding(ExitPlan::default());
        story.say("", action);
        let sale = story.engine.manager().orders().open().find(|order| order.side == Side::Sell);
        assert!(sale.is_some_and(|order| order.signal.is_some()));
    }
}
