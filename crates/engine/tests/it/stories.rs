//! Races and limits as stories: what happened on the left margin, what the engine answered indented.

use std::sync::Arc;

use expect_test::expect;
use polydesk_domain::{
    Action, Basket, BasketKind, BookSnapshot, CancelReason, Cash, CashKind, Close, ControlEvent,
    ConversionId, Event, ExitPlan, FeeRate, Fees, Leg, Market, MarketEvent, MarketKey, MarketState,
    OperatorCommand, OrderUpdate, Payout, Price, Quote, Reason, RejectReason, Shares, Side, Size,
    Span, StrategyId, TakeProfit, Token, TradeIntent, TradeStatus, Urgency, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{LedgerAccount, RawRisk, RiskLimits};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

use crate::harness::*;

#[test]
fn an_order_whose_answer_was_lost_is_neither_repeated_nor_forgotten() {
    let mut story = Story::new();
    story.say("want yes 30 x 10", quotes(&[(YES, 30, 10)], None));
    story.after(5_000).news(1, "unknown", OrderUpdate::Unknown);
    story.after(1_000).timer();
    story.after(1_500).timer();
    story.after(100).fill(1, 7, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    story.after(100).news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.after(5_000).timer();
    assert_eq!(story.held(YES), "held 0 + 10 unsettled, cost 3.00");
    story.check(expect![[r#"
        1ms want yes 30 x 10
            place #1 buy yes 10 at 0.3000
        5001ms #1 unknown
            query #1
        6001ms timer
        7501ms timer
            query #1
        7601ms #1 fill 10 at 0.3000 matched
        7701ms #1 filled
        12701ms timer
    "#]]);
}

#[test]
fn a_fill_that_overtakes_the_answer_is_booked_once() {
    let mut story = Story::new();
    story.say("want yes 30 x 10", quotes(&[(YES, 30, 10)], None));
    for _ in 0..3 {
        story.after(10).fill(1, 7, YES, Side::Buy, 4, 30, TradeStatus::Matched);
    }
    story.after(10).news(1, "live", OrderUpdate::Live);
    assert_eq!(story.held(YES), "held 0 + 4 unsettled, cost 1.20");
    for _ in 0..2 {
        story.fill(1, 7, YES, Side::Buy, 4, 30, TradeStatus::Confirmed);
    }
    assert_eq!(story.held(YES), "held 4 + 0 unsettled, cost 1.20");
}

#[test]
fn a_fill_after_the_cancel_was_confirmed_still_counts() {
    let mut story = Story::new();
    story.say("want yes 30 x 10", quotes(&[(YES, 30, 10)], None));
    story.after(50).news(1, "live", OrderUpdate::Live);
    story.after(50).say("want nothing", quotes(&[], None));
    let reason = CancelReason::Requested;
    story.after(50).news(
        1,
        "cancelled, 4 matched",
        OrderUpdate::Cancelled { reason, matched: Shares::whole(4) },
    );
    // The four are owed to us until their fill arrives: they stay reserved.
    assert_eq!(story.engine.manager().free_cash(), "998.80".parse().unwrap());
    story.after(3_000).fill(1, 9, YES, Side::Buy, 4, 30, TradeStatus::Matched);
    assert_eq!(story.held(YES), "held 0 + 4 unsettled, cost 1.20");
    assert_eq!(story.engine.manager().orders().open_count(), 0);
    story.check(expect![[r#"
        1ms want yes 30 x 10
            place #1 buy yes 10 at 0.3000
        51ms #1 live
        101ms want nothing
            cancel #1
        151ms #1 cancelled, 4 matched
        3151ms #1 fill 4 at 0.3000 matched
    "#]]);
}

#[test]
fn a_failed_settlement_is_undone_exactly_once() {
    let mut story = Story::new();
    story.say("want yes 30 x 10", quotes(&[(YES, 30, 10)], None));
    story.fill(1, 7, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.fill(1, 7, YES, Side::Buy, 10, 30, TradeStatus::Retrying);
    for _ in 0..2 {
        story.fill(1, 7, YES, Side::Buy, 10, 30, TradeStatus::Failed);
        assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
        assert_eq!(story.engine.manager().free_cash(), Usdc::whole(1_000));
    }
    assert_eq!(story.engine.manager().halted(), None);
}

#[test]
fn quotes_are_changed_by_the_fewest_places_and_cancels() {
    let mut story = Story::new();
    story.say("want 30 and 28", quotes(&[(YES, 30, 10), (YES, 28, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.news(2, "live", OrderUpdate::Live);
    story.say("want 30 and 26", quotes(&[(YES, 30, 10), (YES, 26, 10)], None));
    story.say("want the same", quotes(&[(YES, 30, 10), (YES, 26, 10)], None));
    story.check(expect![[r#"
        1ms want 30 and 28
            place #1 buy yes 10 at 0.3000
            place #2 buy yes 10 at 0.2800
        1ms #1 live
        1ms #2 live
        1ms want 30 and 26
            cancel #2
            place #3 buy yes 10 at 0.2600
        1ms want the same
    "#]]);
}

#[test]
fn a_filled_quote_is_not_put_back_by_itself() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(10_000).timer();
    story.after(10_000).timer();
    story.check(expect![[r#"
            place #1 buy yes 10 at 0.3000
        1ms #1 live
        1ms #1 fill 10 at 0.3000 matched
        1ms #1 filled
        1ms #1 fill 10 at 0.3000 confirmed
        10001ms timer
        20001ms timer
    "#]]);
}

#[test]
fn own_orders_never_meet_through_the_complement() {
    let mut story = Story::new();
    story.say("want yes 39", quotes(&[(YES, 39, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    // A bid for NO at 0.61 would buy from our own YES bid at 0.39.
    story.say("want yes 39 and no 61", quotes(&[(YES, 39, 10), (NO, 61, 10)], None));
    assert_eq!(story.denials(), ["self_cross"]);
}

#[test]
fn a_kill_cancels_everything_and_only_a_person_lifts_it() {
    let mut story = Story::new();
    story.say("want yes 30", quotes(&[(YES, 30, 10)], None));
    story.hear("kill", operator(OperatorCommand::Kill));
    story.say("want yes 31", quotes(&[(YES, 31, 10)], None));
    story.hear("resume", operator(OperatorCommand::Resume));
    story.after(6_000).timer();
    story.hear("rearm", operator(OperatorCommand::Rearm));
    story.hear("resume", operator(OperatorCommand::Resume));
    story.after(6_000).book(40, 44);
    story.timer();
    story.check(expect![[r#"
        1ms want yes 30
            place #1 buy yes 10 at 0.3000
        1ms kill
            cancel all
        1ms want yes 31
        1ms resume
            note resume_refused: resume is refused while killed: rearm first
        6001ms timer
            query #1
            cancel #1
        6001ms rearm
        6001ms resume
        12001ms book 40 44
        12002ms timer
            query #1
            cancel #1
    "#]]);
}

#[test]
fn exits_stay_open_when_new_exposure_is_not_allowed() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(1_000).timer();
    story.hear("pause", operator(OperatorCommand::Pause));
    story.told.clear();
    story.say("want yes 31", quotes(&[(YES, 31, 10)], None));
    story.say(
        "close",
        Action::Close(Close { token: YES, fraction_ppm: 1_000_000, floor: Price::cents(20) }),
    );
    assert_eq!(story.denials(), ["paused"]);
    story.check(expect![[r#"
        1001ms want yes 31
        1001ms close
            place #2 sell yes 10 at 0.3800 FAK
    "#]]);
}

#[test]
fn a_resting_exit_makes_room_for_an_urgent_one() {
    let mut story = Story::new();
    let plan = ExitPlan {
        take_profit: Some(TakeProfit { gain: 1_300, rest: true }),
        max_hold: Some(Span::secs(30)),
        ..ExitPlan::default()
    };
    story.bought(10, 30, Some(plan));
    story.news(2, "live", OrderUpdate::Live);
    story.after(30_000).timer();
    story.after(1_000).book(36, 44);
    story.timer();
    let reason = CancelReason::Requested;
    story.after(50).news(2, "cancelled", OrderUpdate::Cancelled { reason, matched: Shares::ZERO });
    story.after(50).book(36, 44);
    story.check(expect![[r#"
            place #1 buy yes 10 at 0.3000
        1ms #1 live
        1ms #1 fill 10 at 0.3000 matched
        1ms #1 filled
        1ms #1 fill 10 at 0.3000 confirmed
            place #2 sell yes 10 at 0.4300
        1ms #2 live
        30001ms timer
            cancel #2
        31001ms book 36 44
        31002ms timer
        31052ms #2 cancelled
            place #3 sell yes 10 at 0.3500 FAK
        31102ms book 36 44
    "#]]);
}

#[test]
fn unsettled_shares_are_not_sold() {
    let mut story = Story::new();
    story.say("want yes 30", quotes(&[(YES, 30, 10)], None));
    story.fill(1, 7, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.told.clear();
    story.say("sell", trade(Side::Sell, 35, 10));
    story.say(
        "close",
        Action::Close(Close { token: YES, fraction_ppm: 1_000_000, floor: Price::cents(20) }),
    );
    story.after(1_000).timer();
    story.fill(1, 7, YES, Side::Buy, 10, 30, TradeStatus::Confirmed);
    assert!(story.denials().is_empty(), "a sale waits for its shares");
    story.check(expect![[r#"
        1ms sell
        1ms close
        1001ms timer
        1001ms #1 fill 10 at 0.3000 confirmed
            place #2 sell yes 10 at 0.3800 FAK
    "#]]);
}

#[test]
fn a_fill_that_contradicts_its_order_halts_everything() {
    let mut story = Story::new();
    story.say("want yes 30", quotes(&[(YES, 30, 10)], None));
    story.told.clear();
    story.fill(1, 7, NO, Side::Buy, 10, 30, TradeStatus::Matched);
    story.say("want yes 31", quotes(&[(YES, 31, 10)], None));
    story.check(expect![[r#"
        1ms #1 fill 10 at 0.3000 matched
            note halt: order #1 is buy Token(0), its fill is buy Token(1)
            cancel all
        1ms want yes 31
    "#]]);
}

#[test]
fn an_update_of_an_unknown_order_is_noted_and_changes_nothing() {
    let mut story = Story::new();
    story.news(99, "live", OrderUpdate::Live);
    story.fill(99, 1, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    story.check(expect![[r#"
        1ms #99 live
            note unknown_order: an update of unknown order #99
        1ms #99 fill 10 at 0.3000 matched
            note unknown_trade: a fill of unknown order #99
    "#]]);
}

#[test]
fn an_update_of_a_forgotten_order_is_noted_and_changes_nothing() {
    let mut story = Story::new();
    let id = story.bought(10, 30, None);
    story.told.clear();
    story.after(86_400_000).timer();
    story.fill(id, u128::from(id), YES, Side::Buy, 10, 30, TradeStatus::Confirmed);
    story.after(86_400_001).timer();
    assert_eq!(story.engine.manager().orders().count(), 0);
    let cash = story.engine.manager().ledger().balance(LedgerAccount::Cash);
    story.fill(id, u128::from(id), YES, Side::Buy, 10, 30, TradeStatus::Failed);
    story.fill(id, 77, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    story.news(id, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
    story.news(id + 1, "live", OrderUpdate::Live);
    assert_eq!(story.held(YES), "held 10 + 0 unsettled, cost 3.00");
    let execution = story.engine.manager();
    assert_eq!((execution.ledger().balance(LedgerAccount::Cash), execution.halted()), (cash, None));
    let anomalies = &execution.counts().anomalies;
    assert_eq!((anomalies["forgotten_trade"], anomalies["forgotten_order"]), (2, 1));
    story.check(expect![[r#"
        86400001ms timer
        86400001ms #1 fill 10 at 0.3000 confirmed
        172800002ms timer
        172800002ms #1 fill 10 at 0.3000 failed
            note forgotten_trade: a fill of order #1, which is not kept any more
        172800002ms #1 fill 10 at 0.3000 matched
            note forgotten_trade: a fill of order #1, which is not kept any more
        172800002ms #1 filled
            note forgotten_order: an update of order #1, which is not kept any more
        172800002ms #2 live
            note unknown_order: an update of unknown order #2
    "#]]);
}

#[test]
fn a_running_basket_forgets_none_of_its_orders() {
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
        story.fill(id, u128::from(id), token, Side::Buy, 20, cents, TradeStatus::Matched);
        story.news(id, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
    }
    story.fill(1, 1, YES, Side::Buy, 20, 40, TradeStatus::Confirmed);
    for _ in 0..3 {
        story.after(100_000_000).timer();
    }
    assert_eq!(story.engine.manager().orders().count(), 2);
    story.told.clear();
    story.fill(2, 2, NO, Side::Buy, 20, 50, TradeStatus::Confirmed);
    story.check(expect![[r#"
        300000002ms #2 fill 20 at 0.5000 confirmed
            merge #3 20
    "#]]);
}

#[test]
fn a_pair_whose_second_leg_dies_is_unwound() {
    let mut story = Story::new();
    let leg = |token, cents| Leg { token, side: Side::Buy, limit: Price::cents(cents) };
    // A crossed moment: YES for 0.40 and NO for 0.50.
    story.book(50, 40);
    let basket = Basket {
        kind: BasketKind::BuyPair,
        legs: vec![leg(YES, 40), leg(NO, 50)],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::cents(1),
    };
    story.say("basket", Action::Basket(basket));
    story.fill(1, 1, YES, Side::Buy, 20, 40, TradeStatus::Matched);
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
    story.after(20).book(39, 41);
    story.news(2, "killed", OrderUpdate::Rejected { reason: RejectReason::FakKilled });
    story.after(4_000).fill(1, 1, YES, Side::Buy, 20, 40, TradeStatus::Confirmed);
    let sell = story.last_order();
    story.fill(sell, 2, YES, Side::Sell, 20, 39, TradeStatus::Matched);
    story.news(sell, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
    story.fill(sell, 2, YES, Side::Sell, 20, 39, TradeStatus::Confirmed);
    story.after(1_000).timer();
    assert_eq!(story.ends, ["unwound"]);
    story.check(expect![[r#"
        1ms book 50 40
        2ms basket
            place #1 buy yes $8.00 at 0.4000 FAK
            place #2 buy no $10.00 at 0.5000 FAK
        2ms #1 fill 20 at 0.4000 matched
        2ms #1 filled
        22ms book 39 41
        23ms #2 killed
        4023ms #1 fill 20 at 0.4000 confirmed
            place #3 sell yes 20 at 0.3700 FAK
        4023ms #3 fill 20 at 0.3900 matched
        4023ms #3 filled
        4023ms #3 fill 20 at 0.3900 confirmed
        5023ms timer
    "#]]);
}

#[test]
fn a_complete_pair_is_merged_once_both_legs_are_final() {
    let mut story = Story::new();
    let leg = |token, cents| Leg { token, side: Side::Buy, limit: Price::cents(cents) };
    story.book(50, 40);
    let basket = Basket {
        kind: BasketKind::BuyPair,
        legs: vec![leg(YES, 40), leg(NO, 50)],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::cents(1),
    };
    story.say("basket", Action::Basket(basket));
    for (id, token, cents) in [(1, YES, 40), (2, NO, 50)] {
        story.fill(id, u128::from(id), token, Side::Buy, 20, cents, TradeStatus::Matched);
        story.news(id, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
    }
    story.fill(1, 1, YES, Side::Buy, 20, 40, TradeStatus::Confirmed);
    story.fill(2, 2, NO, Side::Buy, 20, 50, TradeStatus::Confirmed);
    let merged = Cash {
        kind: CashKind::Merge,
        conversion: Some(ConversionId(3)),
        strategy: None,
        market: Some(MarketKey(0)),
        amount: Usdc::whole(20),
        shares: [Shares::whole(20); 2],
    };
    story.hear("merged", Event::cash(merged));
    assert_eq!(story.engine.manager().ledger().balance(LedgerAccount::Cash), Usdc::whole(1_002));
    assert_eq!(story.ends, ["merged"]);
    story.check(expect![[r#"
        1ms book 50 40
        2ms basket
            place #1 buy yes $8.00 at 0.4000 FAK
            place #2 buy no $10.00 at 0.5000 FAK
        2ms #1 fill 20 at 0.4000 matched
        2ms #1 filled
        2ms #2 fill 20 at 0.5000 matched
        2ms #2 filled
        2ms #1 fill 20 at 0.4000 confirmed
        2ms #2 fill 20 at 0.5000 confirmed
            merge #3 20
        2ms merged
    "#]]);
}

#[test]
fn a_resolved_market_is_redeemed_when_everything_in_it_is_final() {
    let mut story = Story::new();
    story.say("want yes 30", quotes(&[(YES, 30, 10)], None));
    story.fill(1, 7, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.told.clear();
    let (market, state) = (MarketKey(0), MarketState::Resolved(Payout::YES));
    story.hear("resolved", Event::Market(MarketEvent::State { market, state }));
    story.fill(1, 7, YES, Side::Buy, 10, 30, TradeStatus::Confirmed);
    story.after(1_000).timer();
    let paid = Cash {
        kind: CashKind::Redeem,
        conversion: Some(ConversionId(2)),
        strategy: None,
        market: Some(market),
        amount: Usdc::whole(10),
        shares: [Shares::whole(10), Shares::ZERO],
    };
    story.hear("paid", Event::cash(paid));
    assert_eq!(story.engine.manager().ledger().balance(LedgerAccount::Cash), Usdc::whole(1_007));
    story.check(expect![[r#"
        1ms resolved
        1ms #1 fill 10 at 0.3000 confirmed
        1001ms timer
            redeem #2
        1001ms paid
    "#]]);
}

#[test]
fn cancels_have_a_lane_of_their_own() {
    let mut story = Story::with(|risk| {
        risk.order_burst = 2;
        risk.orders_per_second = 1;
    });
    story.say(
        "want four",
        quotes(&[(YES, 30, 10), (YES, 29, 10), (YES, 28, 10), (YES, 27, 10)], None),
    );
    story.say("want nothing", quotes(&[], None));
    assert_eq!(story.denials(), ["order_rate"]);
    story.check(expect![[r#"
        1ms want four
            place #1 buy yes 10 at 0.3000
            place #2 buy yes 10 at 0.2900
        1ms want nothing
            cancel #1
            cancel #2
    "#]]);
}

#[test]
fn every_limit_denies_with_its_own_code() {
    let usd = Usdc::whole;
    type Change = fn(&mut RawRisk);
    let cases: [(Change, u16, u64, &str); 8] = [
        (|r| r.max_order_usd = Usdc::whole(2), 30, 10, "max_order"),
        (|r| r.max_market_usd = Usdc::whole(2), 30, 10, "max_market"),
        (|r| r.max_event_usd = Usdc::whole(2), 30, 10, "max_event"),
        (|r| r.max_strategy_usd = Usdc::whole(2), 30, 10, "max_strategy"),
        (|r| r.max_account_usd = Usdc::whole(2), 30, 10, "max_account"),
        (|r| r.max_shares = 9, 30, 10, "max_shares"),
        (
            |r| {
                r.max_order_usd = Usdc::whole(2_000);
                r.max_market_usd = Usdc::whole(2_000);
                r.max_event_usd = Usdc::whole(2_000)
            },
            40,
            3_000,
            "no_cash",
        ),
        (|r| r.max_open_orders = 1, 30, 10, "open_orders"),
    ];
    for (change, cents, shares, want) in cases {
        let mut story = Story::with(change);
        if want == "open_orders" {
            story.say("", quotes(&[(YES, 20, 10)], None));
        }
        let mut wanted = vec![(YES, cents, shares)];
        if want == "open_orders" {
            wanted.push((YES, 20, 10));
        }
        story.say("", quotes(&wanted, None));
        assert_eq!(story.denials(), [want]);
        let _ = usd;
    }
}

#[test]
fn what_is_not_known_denies() {
    // A book that was never confirmed.
    let mut story = Story::new();
    story.hear(
        "",
        Event::Market(MarketEvent::Interrupted(polydesk_domain::Interruption { market: None })),
    );
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["book_not_known"]);
    // A book whose last proof was reported as too old.
    let mut story = Story::new();
    story.hear("", MarketEvent::Unverified { market: MarketKey(0), on: true }.into());
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["book_unverified"]);
    // A market that does not trade.
    let mut story = Story::new();
    story.hear(
        "",
        Event::Market(MarketEvent::State { market: MarketKey(0), state: MarketState::Paused }),
    );
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["market_not_open"]);
    // A price far from the book.
    let mut story = Story::new();
    story.say("", trade(Side::Buy, 80, 10));
    assert_eq!(story.denials(), ["price_collar"]);
    // A fee nobody stated.
    let mut story = Story::new();
    let mut market = Market::plain(1, "story");
    market.fees = Fees::UNKNOWN;
    story.hear(
        "",
        Event::Market(MarketEvent::Listed { key: MarketKey(0), market: Arc::new(market) }),
    );
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["fee_unknown"]);
}

#[test]
fn a_deposit_is_no_profit_and_forgives_no_loss() {
    let mut story = Story::with(|risk| risk.max_drawdown_usd = Usdc::whole(2));
    story.bought(100, 40, None);
    story.after(1_000).book(37, 44);
    story.timer();
    let deposit = Cash {
        kind: CashKind::Deposit,
        conversion: None,
        strategy: None,
        market: None,
        amount: Usdc::whole(500),
        shares: Default::default(),
    };
    story.hear("", Event::cash(deposit));
    let equity = story.engine.manager().equity();
    assert_eq!((equity.now, equity.high), (Usdc::whole(1_497), Usdc::whole(1_500)));
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["drawdown"]);
}

#[test]
fn outcomes_of_one_group_count_as_one_event() {
    let mut story = Story::with(|risk| risk.max_event_usd = Usdc::whole(5));
    for number in [1, 2] {
        let mut market = Market::plain(number, "member");
        let key = MarketKey(number as u32 - 1);
        market.fees = Fees::flat(FeeRate::FREE);
        let group = "group".to_owned();
        market.neg_risk = Some(polydesk_domain::NegRisk {
            group,
            members: Some(2),
            augmented: false,
            placeholder: false,
        });
        story.hear("", MarketEvent::Listed { key, market: Arc::new(market) }.into());
    }
    let level = |cents| vec![(Price::cents(cents), Shares::whole(200))];
    let other = BookSnapshot { token: Token(2), bids: level(40), asks: level(44) };
    story.hear("", Event::Market(MarketEvent::Snapshot(Arc::new(other))));
    story.after(1).book(40, 44);
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert!(story.denials().is_empty());
    let quote = Quote {
        token: Token(2),
        side: Side::Buy,
        price: Price::cents(30),
        size: Shares::whole(10),
        exit: None,
    };
    story.say(
        "",
        Action::Trade(TradeIntent {
            token: quote.token,
            side: quote.side,
            size: Size::Shares(quote.size),
            limit: quote.price,
            urgency: Urgency::Rest,
            all_or_nothing: false,
            exit: None,
        }),
    );
    assert_eq!(story.denials(), ["max_event"]);
}

#[test]
fn the_daily_loss_counts_what_is_not_realised() {
    let mut story = Story::with(|risk| risk.daily_loss_usd = Usdc::whole(2));
    story.bought(100, 40, None);
    story.after(1_000).book(37, 44);
    story.timer();
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["daily_loss"]);
}

/// Plays `steps` after a purchase of 100 YES at 0.40 and tells how each `ask` for more was answered. A
/// number is a new best bid in cents, hence the mark; `day` is the first timer after a UTC midnight.
fn check_latches(change: impl FnOnce(&mut RawRisk), steps: &str, want: &str) {
    const DAY: i64 = 86_400_000;
    let mut story = Story::with(change);
    story.bought(100, 40, None);
    let denied = |story: &Story| story.engine.manager().counts().denials.clone();
    let mut answers = Vec::new();
    for step in steps.split(' ') {
        let operator = |story: &mut Story, command| story.hear("", operator(command));
        match step {
            "ask" => {
                let before = denied(&story);
                story.say("", trade(Side::Buy, 30, 10));
                let after = denied(&story);
                let new = after.iter().find(|(key, count)| before.get(key) != Some(count));
                answers.push(new.map_or("open", |((_, code), _)| code.as_str()));
                let last = story.last_order();
                story.news(last, "", OrderUpdate::Rejected { reason: RejectReason::FakKilled });
            }
            "sell" => {
                let close = Close { token: YES, fraction_ppm: 100_000, floor: Price::ZERO };
                story.told.clear();
                story.say("", Action::Close(close));
                answers.push(if story.told.contains("sell yes") { "sold" } else { "not sold" });
            }
            "pause" => operator(&mut story, OperatorCommand::Pause),
            "resume" => operator(&mut story, OperatorCommand::Resume),
            "kill" => operator(&mut story, OperatorCommand::Kill),
            "rearm" => operator(&mut story, OperatorCommand::Rearm),
            "day" => {
                // The last moment of the day belongs to it.
                let midnight = story.now - story.now % DAY + DAY;
                story.now = midnight - 1;
                story.timer();
                story.now = midnight;
                story.timer();
                let bid = story.engine.books().get(MarketKey(0)).unwrap();
                let bid = bid.best_bid(polydesk_domain::Outcome::Yes).unwrap().0;
                story.book(bid.units() / 100, 44);
            }
            bid => {
                story.after(1_000).book(bid.parse().unwrap(), 44);
                story.timer();
            }
        }
    }
    assert_eq!(answers.join(" "), want, "{steps}");
}

#[test]
fn a_broken_loss_limit_stays_broken() {
    let day: fn(&mut RawRisk) = |risk| risk.daily_loss_usd = Usdc::whole(2);
    let high: fn(&mut RawRisk) = |risk| risk.max_drawdown_usd = Usdc::whole(2);
    let both: fn(&mut RawRisk) = |risk| {
        risk.daily_loss_usd = Usdc::whole(2);
        risk.max_drawdown_usd = Usdc::whole(2);
    };
    for (change, steps, want) in [
        // Inside the limit nothing closes; at the limit it does, and recovery opens nothing.
        (day, "39 ask 40 ask", "open open"),
        (day, "38 ask 40 ask", "daily_loss daily_loss"),
        (high, "38 ask 40 ask", "drawdown drawdown"),
        // What leaves a position passes.
        (day, "38 ask sell", "daily_loss sold"),
        (day, "38 40 ask sell", "daily_loss sold"),
        (high, "38 ask sell", "drawdown sold"),
        // Midnight forgets neither the loss of the last 24 hours nor a drawdown.
        (day, "39 day 38 ask 37 ask", "daily_loss daily_loss"),
        (day, "38 day ask day ask 37 ask", "daily_loss open open"),
        (high, "38 day ask 40 day ask", "drawdown drawdown"),
        (both, "38 ask day ask day ask", "daily_loss daily_loss drawdown"),
        // A person lifts both, and each is measured anew from there.
        (day, "38 resume ask 37 ask 36 ask", "open open daily_loss"),
        (high, "38 resume ask 37 ask 36 ask", "open open drawdown"),
        (both, "38 resume ask day ask", "open open"),
        // A pause forgives nothing, and a kill is not lifted by resuming.
        (day, "39 pause ask resume ask 38 ask", "paused open daily_loss"),
        (high, "39 pause resume 38 ask", "drawdown"),
        (day, "38 pause ask rearm ask resume ask", "paused paused open"),
        (high, "38 kill resume ask rearm ask resume ask", "killed paused open"),
    ] {
        check_latches(change, steps, want);
    }
}

#[test]
fn a_person_is_told_once_when_a_loss_limit_breaks_and_cancels_go_on() {
    let mut story = Story::with(|risk| {
        risk.daily_loss_usd = Usdc::whole(2);
        risk.max_drawdown_usd = Usdc::whole(3);
    });
    story.bought(100, 40, None);
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.told.clear();
    for bid in [38, 37, 36] {
        story.after(1_000).book(bid, 44);
        story.timer();
    }
    story.say("want nothing", quotes(&[], None));
    story.check(expect![[r#"
        1001ms book 38 44
        1002ms timer
            note daily_loss: 2.00 pUSD lost, the limit of a day is 2.00: no new exposure until neither the UTC day nor the last 24 hours are beyond it, or a resume
            cancel #2
        2002ms book 37 44
        2003ms timer
            note drawdown: 3.00 pUSD below the highest equity, the limit is 3.00: no new exposure before a resume
        3003ms book 36 44
        3004ms timer
            cancel #2
        3004ms want nothing
    "#]]);
}

#[test]
fn of_two_quotes_that_would_meet_the_lower_edge_waits() {
    let script = [Script::default(), Script::default()];
    struct Other(Script, Usdc, StrategyId);
    impl Strategy for Other {
        fn id(&self) -> StrategyId {
            self.2
        }
        fn kinds(&self) -> Kinds {
            Kinds::REFERENCE
        }
        fn wants(&self, _: &Market) -> bool {
            true
        }
        fn save(&self) -> Saved {
            Saved::NOTHING
        }
        fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
            saved.expect_nothing(self.id())
        }
        fn on_event(&mut self, _: &View<'_>, _: Trigger<'_>, out: &mut Emit<'_>) {
            for action in self.0.lock().unwrap().drain(..) {
                out.signal(MarketKey(0), action, Span::secs(60), self.1, Reason::new("story"));
            }
        }
    }
    let mut story = Story::new();
    let slots: Vec<Box<dyn Strategy>> = vec![
        Box::new(Other(Arc::clone(&script[0]), Usdc::cents(1), StrategyId::literal("poor"))),
        Box::new(Other(Arc::clone(&script[1]), Usdc::cents(9), StrategyId::literal("rich"))),
    ];
    story.engine = Engine::new(Setup::simulated(RiskLimits::default()), slots).unwrap();
    let mut market = Market::plain(1, "story");
    market.fees = Fees::flat(FeeRate::FREE);
    story.hear(
        "",
        Event::Market(MarketEvent::Listed { key: MarketKey(0), market: Arc::new(market) }),
    );
    let deposit = Cash {
        kind: CashKind::Deposit,
        conversion: None,
        strategy: None,
        market: None,
        amount: Usdc::whole(1_000),
        shares: Default::default(),
    };
    story.hear("", Event::cash(deposit));
    story.book(40, 44);
    story.hear("", Event::from(ControlEvent::Start(polydesk_domain::RunStart::backtest())));
    story.agree();
    story.told.clear();

    script[0].lock().unwrap().push_back(quotes(&[(YES, 39, 10)], None));
    story.hear("the poor one wants yes 39", go());
    story.news(1, "live", OrderUpdate::Live);
    script[1].lock().unwrap().push_back(quotes(&[(NO, 61, 10)], None));
    story.hear("the rich one wants no 61", go());
    let reason = CancelReason::Requested;
    story.after(50).news(1, "cancelled", OrderUpdate::Cancelled { reason, matched: Shares::ZERO });
    story.after(6_000).book(40, 44);
    story.timer();
    story.check(expect![[r#"
        2ms the poor one wants yes 39
            place #1 buy yes 10 at 0.3900
        2ms #1 live
        2ms the rich one wants no 61
            cancel #1
        52ms #1 cancelled
            place #2 buy no 10 at 0.6100
        6052ms book 40 44
        6053ms timer
            query #2
    "#]]);
}

#[test]
fn a_kill_does_not_put_a_resting_exit_back_and_refuses_a_flatten() {
    let mut story = Story::new();
    let plan = ExitPlan {
        take_profit: Some(TakeProfit { gain: 1_300, rest: true }),
        ..ExitPlan::default()
    };
    story.bought(10, 30, Some(plan));
    story.news(2, "live", OrderUpdate::Live);
    story.told.clear();
    story.hear("kill", operator(OperatorCommand::Kill));
    let reason = CancelReason::Requested;
    story.after(50).news(2, "cancelled", OrderUpdate::Cancelled { reason, matched: Shares::ZERO });
    story.after(1_000).book(40, 45);
    story.timer();
    assert_eq!(story.engine.manager().orders().open_count(), 0);
    story.hear("flatten", operator(OperatorCommand::Flatten { market: None, collar: None }));
    story.check(expect![[r#"
        1ms kill
            cancel all
        51ms #2 cancelled
        1051ms book 40 45
        1052ms timer
        1052ms flatten
            note close_refused: flatten is refused while killed: rearm first
    "#]]);
}

#[test]
fn an_exit_gets_past_our_own_quote() {
    let mut story = Story::new();
    let plan = ExitPlan { max_hold: Some(Span::secs(30)), ..ExitPlan::default() };
    story.bought(10, 36, Some(plan));
    story.say("want yes 39", quotes(&[(YES, 39, 10)], None));
    story.news(2, "live", OrderUpdate::Live);
    story.told.clear();
    story.after(29_000).timer();
    story.after(2_000).book(40, 45);
    let reason = CancelReason::Requested;
    story.after(200).news(2, "cancelled", OrderUpdate::Cancelled { reason, matched: Shares::ZERO });
    story.after(1_000).timer();
    story.check(expect![[r#"
        29001ms timer
        31001ms book 40 45
            cancel #2
        31202ms #2 cancelled
            place #3 sell yes 10 at 0.3800 FAK
        32202ms timer
    "#]]);
}

#[test]
fn a_leg_that_fails_to_settle_makes_the_basket_unwind_the_other() {
    let mut story = Story::new();
    let leg = |token, cents| Leg { token, side: Side::Buy, limit: Price::cents(cents) };
    story.book(50, 40);
    let basket = Basket {
        kind: BasketKind::BuyPair,
        legs: vec![leg(YES, 40), leg(NO, 50)],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::cents(1),
    };
    story.say("basket", Action::Basket(basket));
    for (id, token, cents) in [(1, YES, 40), (2, NO, 50)] {
        story.fill(id, u128::from(id), token, Side::Buy, 20, cents, TradeStatus::Matched);
        story.news(id, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
    }
    story.after(20).book(39, 41);
    story.told.clear();
    story.fill(1, 1, YES, Side::Buy, 20, 40, TradeStatus::Confirmed);
    story.fill(2, 2, NO, Side::Buy, 20, 50, TradeStatus::Failed);
    story.after(1_000).timer();
    assert_eq!(story.engine.manager().state().baskets.len(), 1);
    story.check(expect![[r#"
        23ms #1 fill 20 at 0.4000 confirmed
        23ms #2 fill 20 at 0.5000 failed
        1023ms timer
            place #3 sell yes 20 at 0.3700 FAK
    "#]]);
}

#[test]
fn a_failed_fill_does_not_leave_its_order_open_for_ever() {
    let mut story = Story::new();
    story.say("want yes 30", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.fill(1, 7, YES, Side::Buy, 4, 30, TradeStatus::Matched);
    story.fill(1, 7, YES, Side::Buy, 4, 30, TradeStatus::Failed);
    // Six can still match; the four that failed are gone for good.
    assert_eq!(story.engine.manager().free_cash(), "998.20".parse().unwrap());
    story.say("want nothing", quotes(&[], None));
    let reason = CancelReason::Requested;
    let ended = OrderUpdate::Cancelled { reason, matched: Shares::whole(4) };
    story.news(1, "cancelled", ended.clone());
    story.news(1, "cancelled", ended);
    assert_eq!(story.engine.manager().orders().open_count(), 0);
    assert_eq!(story.engine.manager().free_cash(), Usdc::whole(1_000));
}
