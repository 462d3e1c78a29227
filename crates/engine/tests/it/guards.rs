//! Rules whose absence nothing else would show.

use std::sync::Arc;

use polydesk_domain::{
    BasketKind, CashKind, Cause, Code, Command, FeeRate, Fees, Market, MarketEvent, MarketKey,
    MarketState, OperatorCommand, OrderUpdate, Payout, RejectReason, Shares, Side, StrategyId,
    TradeStatus, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::RiskLimits;

use crate::deadlines::{
    HOUR, MINUTE, SECOND, blockers, buying_a_pair, cancelled, converted, free, killed, lines, pair,
    resolved, sell_all, settled,
};
use crate::harness::*;

#[test]
fn losses_in_a_row_keep_entries_back_for_a_while_and_no_exit() {
    let mut story = Story::with(|risk| risk.max_losses_in_a_row = 2);
    story.bought(10, 40, None);
    for _ in 0..2 {
        let id = story.bought(10, 40, None);
        story.after(SECOND).timer();
        story.say("", trade(Side::Sell, 36, 10));
        settled(&mut story, id + 1, YES, Side::Sell, 10, 38);
    }
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["losing_streak"]);
    story.told.clear();
    story.say("", sell_all(20));
    story.pass(SECOND);
    let sale = story.last_order();
    assert_eq!(lines(&story, &format!("place #{sale} sell yes 10")), 1, "{}", story.told);
    story.pass(2 * MINUTE + SECOND);
    story.say("", quotes(&[(YES, 31, 10)], None));
    assert_eq!(lines(&story, &format!("place #{} buy yes 10", sale + 1)), 1, "{}", story.told);
}

#[test]
fn a_basket_is_no_larger_than_what_may_stand_naked() {
    let mut story = Story::with(|risk| risk.max_naked_usd = Usdc::whole(5));
    story.book(50, 40);
    story.say("", pair(BasketKind::BuyPair, Side::Buy, 40, 50));
    assert_eq!(lines(&story, "place #1 buy yes $4.00 at 0.4000 FAK"), 1, "{}", story.told);
    assert_eq!(lines(&story, "place #2 buy no $5.00 at 0.5000 FAK"), 1, "{}", story.told);
}

#[test]
fn a_lagging_leg_is_completed_only_if_the_set_pays_for_its_fees_too() {
    // The other leg for 0.55 costs 19 and half a dollar of fees, for 0.59 just under 20 without them.
    for (bid, completed) in [(45, true), (41, false)] {
        let mut story = buying_a_pair();
        for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
            story.fill(1, 1, YES, Side::Buy, 20, 40, status);
        }
        story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
        story.after(20).book(bid, bid + 2);
        story.pass(SECOND);
        story.news(2, "killed", OrderUpdate::Rejected { reason: RejectReason::FakKilled });
        story.pass(3 * SECOND);
        let (buys, sells) = (lines(&story, "place #3 buy no"), lines(&story, "place #3 sell yes"));
        assert_eq!((buys, sells), (usize::from(completed), usize::from(!completed)), "{bid}");
    }
}

#[test]
fn an_order_that_is_being_cancelled_serves_no_quote() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.say("", quotes(&[], None));
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(lines(&story, "place #2 buy yes 10 at 0.3000"), 1, "{}", story.told);
    story.news(1, "cancelled", cancelled(0));
    assert_eq!(free(&story), Usdc::whole(997));
}

#[test]
fn a_redemption_waits_until_sales_and_purchases_are_final() {
    let mut story = Story::new();
    story.bought(20, 30, None);
    story.after(SECOND).timer();
    story.say("", trade(Side::Sell, 38, 10));
    story.fill(2, 70, YES, Side::Sell, 10, 38, TradeStatus::Matched);
    story.news(2, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    resolved(&mut story, Payout::YES);
    story.pass(10 * SECOND);
    assert_eq!(lines(&story, "redeem"), 0, "{}", story.told);
    // The sale fails: its shares are redeemed with the others.
    story.fill(2, 70, YES, Side::Sell, 10, 38, TradeStatus::Failed);
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "redeem #3"), 1, "{}", story.told);
    converted(&mut story, CashKind::Redeem, 3, 20, [20, 0]);
    assert_eq!(free(&story), Usdc::whole(1_014));
}

#[test]
fn a_sale_that_fails_to_settle_is_put_up_again() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(SECOND).timer();
    story.say("", sell_all(20));
    story.fill(2, 70, YES, Side::Sell, 10, 38, TradeStatus::Matched);
    story.news(2, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.after(5 * SECOND).book(40, 44);
    story.told.clear();
    story.fill(2, 70, YES, Side::Sell, 10, 38, TradeStatus::Failed);
    story.pass(3 * SECOND);
    assert_eq!(lines(&story, "place #3 sell yes 10"), 1, "{}", story.told);
}

#[test]
fn a_listing_takes_no_resolution_back() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    resolved(&mut story, Payout::YES);
    for state in [MarketState::Closed, MarketState::Open] {
        let mut market = Market::plain(1, "story");
        market.fees = Fees::flat(FeeRate { rate_ppm: 50_000, exponent: 1, rebate_ppm: 0 });
        market.state = state;
        let listed = MarketEvent::Listed { key: MarketKey(0), market: Arc::new(market) };
        story.hear("", listed.into());
    }
    assert_eq!(story.engine.states()[0], MarketState::Resolved(Payout::YES));
    story.say("", quotes(&[(YES, 31, 10)], None));
    assert_eq!(story.denials(), ["market_not_open"]);
    converted(&mut story, CashKind::Redeem, 2, 10, [10, 0]);
    assert_eq!(free(&story), Usdc::whole(1_007));
}

#[test]
fn a_purchase_without_an_answer_does_not_hold_up_exits_for_ever() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(SECOND).timer();
    story.say("", trade(Side::Buy, 44, 10));
    story.told.clear();
    story.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }));
    story.pass(5 * SECOND);
    // It could still arrive and meet the sale.
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    story.pass(6 * SECOND);
    assert_eq!(lines(&story, "place #3 sell yes 10"), 1, "{}", story.told);
    // What it may spend stays reserved.
    assert!(free(&story) < Usdc::cents(99_300), "{}", free(&story));
}

#[test]
fn a_sale_without_an_answer_holds_back_its_own_shares_and_no_others() {
    let mut story = Story::new();
    story.bought(50, 30, None);
    story.bids(&[(40, 20), (10, 200)], 44);
    story.pass(3 * SECOND);
    story.told.clear();
    story.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }));
    assert_eq!(lines(&story, "place #2 sell yes 20"), 1, "{}", story.told);
    story.book(40, 44);
    story.pass(8 * SECOND);
    assert_eq!(lines(&story, "place"), 1, "{}", story.told);
    story.pass(4 * SECOND);
    assert_eq!(lines(&story, "place #3 sell yes 30"), 1, "{}", story.told);
    // Its fill comes late, and nothing is sold twice.
    settled(&mut story, 3, YES, Side::Sell, 30, 39);
    story.pass(MINUTE);
    assert_eq!(lines(&story, "place"), 2, "{}", story.told);
    settled(&mut story, 2, YES, Side::Sell, 20, 39);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    assert_eq!(story.engine.manager().halted(), None);
}

#[test]
fn splits_that_fail_again_and_again_are_not_asked_for_any_more() {
    let mut story = Story::new();
    let mut splits = 0;
    for _ in 0..20 {
        story.book(56, 48);
        story.say("", pair(BasketKind::SellPair, Side::Sell, 56, 52));
        for command in core::mem::take(&mut story.sent) {
            if let Command::Convert { id, .. } = command {
                splits += 1;
                converted(&mut story, CashKind::Failed, id.0, 0, [0, 0]);
            }
        }
        story.pass(SECOND);
    }
    assert_eq!(splits, 5, "{:?}", story.ends);
    assert_eq!(blockers(&story), [Cause::Runaway(Code::literal("dying_legs"))]);
}

#[test]
fn what_a_wrong_clock_saved_counts_as_now_after_a_restart() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    // Hours ahead.
    story.after(5 * HOUR).book(40, 44);
    story.say("", trade(Side::Buy, 44, 10));
    let entries = story.engine.save();
    let puppet = Puppet(Arc::clone(&story.script), Arc::clone(&story.ttl));
    let setup = Setup { blockers: Vec::new(), ..Setup::simulated(RiskLimits::default()) };
    story.engine = Engine::new(setup, vec![Box::new(puppet)]).unwrap();
    story.engine.load(&entries).unwrap();
    story.now -= 5 * HOUR;
    story.told.clear();
    story.book(40, 44);
    assert_eq!(lines(&story, "note clock_back"), 1, "{}", story.told);
    story.pass(6 * SECOND);
    assert_eq!(lines(&story, "query #2"), 1, "{}", story.told);
    story.news(2, "killed", killed(0));
    story.say("", sell_all(20));
    assert_eq!(lines(&story, "place #3 sell yes 10"), 1, "{}", story.told);
    let held = story.engine.manager().position(StrategyId::STINK_BIDDER, YES);
    assert_eq!(held.confirmed, Shares::whole(10));
}

#[test]
fn a_signal_addresses_tokens_of_its_own_market_only() {
    use polydesk_domain::{Action, Basket, Leg, Price, Token};
    let other = Token(2);
    let leg = |token| Leg { token, side: Side::Buy, limit: Price::cents(40) };
    for action in [
        quotes(&[(YES, 30, 20), (other, 30, 20)], None),
        // The legs of a basket may be in several markets, but in listed ones.
        Action::Basket(Basket {
            kind: BasketKind::AllYes,
            legs: vec![leg(YES), leg(other)],
            sets: Shares::whole(20),
            min_edge_per_set: Usdc::cents(1),
        }),
    ] {
        let mut story = Story::new();
        story.say("", action.clone());
        assert_eq!(story.denials(), ["token_of_other_market"], "{action:?}");
        assert!(story.sent.is_empty(), "{action:?}");
        assert!(story.engine.manager().state().quotes.is_empty(), "{action:?}");
    }
}
