//! What is owed and does not come, what repeats itself, what a clock or a book does wrong: nothing is
//! forgotten, nothing goes on for ever, and nothing counts as gone without an update.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use expect_test::expect;
use polydesk_domain::{
    AccountEvent, Action, Basket, BasketKind, CancelReason, Cash, CashKind, Cause, ClientOrderId,
    Close, Code, Command, ControlEvent, ConversionId, Event, ExternalOrder, Fill, Finding, Leg,
    Market, MarketEvent, MarketKey, MarketState, OperatorCommand, OrderHash, OrderState,
    OrderUpdate, Outcome, OwnTrade, Payout, Price, RejectReason, Role, Shares, Side, Size,
    StrategyId, Tick, Tif, Token, TradeId, TradeIntent, TradeStatus, Urgency, Usdc,
};
use polydesk_execution::{LedgerAccount, LossLatch};

use crate::harness::*;

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// How many lines of the story begin with this, indentation apart.
pub fn lines(story: &Story, start: &str) -> usize {
    story.told.lines().filter(|line| line.trim().starts_with(start)).count()
}

pub fn blockers(story: &Story) -> Vec<Cause> {
    story.engine.manager().state().blockers.keys().copied().collect()
}

pub fn free(story: &Story) -> Usdc {
    story.engine.manager().free_cash()
}

pub fn state(story: &Story, id: u64) -> OrderState {
    story.engine.manager().orders().get(ClientOrderId(id)).unwrap().state
}

pub fn usd(text: &str) -> Usdc {
    text.parse().unwrap()
}

pub fn sell_all(floor: u16) -> Action {
    let floor = Price::cents(floor);
    Action::Close(Close { token: YES, fraction_ppm: 1_000_000, floor })
}

pub fn killed(matched: u64) -> OrderUpdate {
    OrderUpdate::Cancelled { reason: CancelReason::Killed, matched: Shares::whole(matched) }
}

pub fn cancelled(matched: u64) -> OrderUpdate {
    OrderUpdate::Cancelled { reason: CancelReason::Requested, matched: Shares::whole(matched) }
}

pub fn settled(story: &mut Story, id: u64, token: Token, side: Side, shares: u64, cents: u16) {
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        story.fill(id, u128::from(id), token, side, shares, cents, status);
    }
    story.news(id, "filled", OrderUpdate::Filled { matched: Shares::whole(shares) });
}

/// The answer to a conversion.
pub fn converted(story: &mut Story, kind: CashKind, id: u64, dollars: i64, shares: [u64; 2]) {
    let cash = Cash {
        kind,
        conversion: Some(ConversionId(id)),
        strategy: None,
        market: Some(MarketKey(0)),
        amount: Usdc::whole(dollars),
        shares: shares.map(Shares::whole),
    };
    story.hear("answered", Event::cash(cash));
}

fn flow(story: &mut Story, kind: CashKind, dollars: i64) {
    let cash = Cash {
        kind,
        conversion: None,
        strategy: None,
        market: None,
        amount: Usdc::whole(dollars),
        shares: Default::default(),
    };
    story.hear("", Event::cash(cash));
}

pub fn resolved(story: &mut Story, payout: Payout) {
    let (market, state) = (MarketKey(0), MarketState::Resolved(payout));
    story.hear("resolved", MarketEvent::State { market, state }.into());
}

pub fn pair(kind: BasketKind, side: Side, yes: u16, no: u16) -> Action {
    let leg = |token, cents| Leg { token, side, limit: Price::cents(cents) };
    Action::Basket(Basket {
        kind,
        legs: vec![leg(YES, yes), leg(NO, no)],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::cents(1),
    })
}

/// 20 YES at 0.40 and 20 NO at 0.50 on their way, as #1 and #2.
pub fn buying_a_pair() -> Story {
    let mut story = Story::new();
    story.book(50, 40);
    story.say("", pair(BasketKind::BuyPair, Side::Buy, 40, 50));
    story.told.clear();
    story
}

// What is never answered.

#[test]
fn a_sale_whose_end_is_lost_is_asked_about_after_5_s_and_its_rest_is_sold_again() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(SECOND).timer();
    story.say("", sell_all(20));
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        story.fill(2, 70, YES, Side::Sell, 4, 38, status);
    }
    story.told.clear();
    story.pass(4_900);
    assert_eq!(story.told, "");
    story.pass(200);
    assert_eq!(lines(&story, "query #2"), 1, "{}", story.told);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    story.news(2, "killed", killed(4));
    assert_eq!(lines(&story, "place #3 sell yes 6 at 0.3800 FAK"), 1, "{}", story.told);
}

#[test]
fn an_immediate_buy_without_an_answer_keeps_its_money_until_there_is_evidence() {
    let mut story = Story::new();
    story.say("", trade(Side::Buy, 44, 10));
    // 4.40, the fee at worst and a little rounding.
    let reserved = usd("995.3799");
    assert_eq!(free(&story), reserved);
    story.pass(5_500);
    assert_eq!(lines(&story, "query #1"), 1, "{}", story.told);
    story.pass(30 * MINUTE);
    assert_eq!(free(&story), reserved);
    let asked = lines(&story, "query #1");
    assert!((30..=40).contains(&asked), "{asked}: a minute apart in the end");
    // It was filled in part after all, and the rest is over only when the venue says so.
    story.fill(1, 1, YES, Side::Buy, 5, 40, TradeStatus::Matched);
    assert!(free(&story) < usd("995.60"), "{}", free(&story));
    story.news(1, "killed", killed(5));
    assert_eq!(free(&story), Usdc::whole(998));
    // Another one never arrived.
    story.say("", trade(Side::Buy, 44, 10));
    story.news(2, "absent", OrderUpdate::Absent);
    assert_eq!(free(&story), Usdc::whole(998));
}

/// A fill of #1 that is matched and no more; `told` is empty.
fn unsettled_purchase() -> Story {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.fill(1, 1, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.told.clear();
    story
}

#[test]
fn a_purchase_that_does_not_become_final_is_asked_about_and_freezes_its_market() {
    for last in [TradeStatus::Confirmed, TradeStatus::Failed] {
        let mut story = unsettled_purchase();
        story.pass(59 * SECOND);
        assert_eq!(lines(&story, "query"), 0, "{}", story.told);
        story.pass(2 * SECOND);
        assert_eq!(lines(&story, "query #1"), 1, "{}", story.told);
        // An earlier stage again is no progress.
        story.fill(1, 1, YES, Side::Buy, 10, 30, TradeStatus::Mined);
        story.pass(238 * SECOND);
        assert_eq!(lines(&story, "note settlement_stuck"), 0, "{}", story.told);
        story.pass(2 * SECOND);
        assert_eq!(lines(&story, "note settlement_stuck"), 1, "{}", story.told);
        assert_eq!(blockers(&story), [Cause::Unsettled(MarketKey(0))]);
        story.say("", quotes(&[(YES, 31, 10)], None));
        assert_eq!(story.denials(), ["market_unsettled"]);
        story.pass(20 * MINUTE);
        assert_eq!(lines(&story, "note settlement_stuck"), 1, "{}", story.told);
        story.fill(1, 1, YES, Side::Buy, 10, 30, last);
        assert_eq!(blockers(&story), []);
        story.say("", quotes(&[(YES, 32, 10)], None));
        assert_eq!(lines(&story, "place #2 buy yes 10 at 0.3200"), 1, "{}", story.told);
    }
}

#[test]
fn a_sale_that_does_not_become_final_freezes_its_market_and_earns_nothing() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(SECOND).timer();
    story.say("", sell_all(20));
    story.fill(2, 70, YES, Side::Sell, 10, 38, TradeStatus::Matched);
    story.news(2, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.pass(301 * SECOND);
    assert_eq!(lines(&story, "note settlement_stuck"), 1, "{}", story.told);
    assert_eq!(blockers(&story), [Cause::Unsettled(MarketKey(0))]);
    let realised =
        |story: &Story| -story.engine.manager().ledger().balance(LedgerAccount::Realised);
    assert_eq!(realised(&story), Usdc::ZERO);
    story.fill(2, 70, YES, Side::Sell, 10, 38, TradeStatus::Confirmed);
    assert_eq!((realised(&story), blockers(&story)), (usd("0.80"), vec![]));
}

#[test]
fn a_split_without_an_answer_is_asked_about_and_its_basket_goes_on_when_it_comes() {
    let mut story = Story::new();
    story.ttl.store(600, Ordering::Relaxed);
    story.book(56, 48);
    story.say("", pair(BasketKind::SellPair, Side::Sell, 56, 52));
    assert_eq!(lines(&story, "split #1 20"), 1, "{}", story.told);
    story.told.clear();
    story.pass(89 * SECOND);
    assert_eq!(story.told, "");
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "query conversion #1"), 1, "{}", story.told);
    assert_eq!(free(&story), Usdc::whole(980));
    converted(&mut story, CashKind::Split, 1, -20, [20, 20]);
    assert_eq!(lines(&story, "place #2 sell yes 20 at 0.5600 FAK"), 1, "{}", story.told);
    // The clock of a basket that stands without its other legs starts when its legs leave.
    story.pass(25 * SECOND);
    assert_eq!(lines(&story, "note basket_naked"), 0, "{}", story.told);
    story.pass(10 * SECOND);
    assert_eq!(lines(&story, "note basket_naked"), 1, "{}", story.told);
}

#[test]
fn a_split_that_comes_after_its_signal_is_merged_back() {
    let mut story = Story::new();
    story.book(56, 48);
    story.say("", pair(BasketKind::SellPair, Side::Sell, 56, 52));
    story.pass(100 * SECOND);
    story.told.clear();
    converted(&mut story, CashKind::Split, 1, -20, [20, 20]);
    story.check(expect![[r#"
        100002ms answered
            merge #2 20
    "#]]);
}

#[test]
fn a_merge_without_an_answer_is_asked_about_and_ends_its_basket_when_it_comes() {
    let mut story = buying_a_pair();
    settled(&mut story, 1, YES, Side::Buy, 20, 40);
    settled(&mut story, 2, NO, Side::Buy, 20, 50);
    assert_eq!(lines(&story, "merge #3 20"), 1, "{}", story.told);
    story.pass(10 * MINUTE);
    let asked = lines(&story, "query conversion #3");
    assert!((8..=10).contains(&asked), "{}", story.told);
    assert_eq!((lines(&story, "merge"), lines(&story, "note conversion_unanswered")), (1, 1));
    converted(&mut story, CashKind::Merge, 3, 20, [20, 20]);
    assert_eq!(story.ends, ["merged"]);
    assert_eq!(free(&story), Usdc::whole(1_002));
}

#[test]
fn a_redemption_without_an_answer_is_asked_about_and_not_repeated() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    resolved(&mut story, Payout::YES);
    assert_eq!(lines(&story, "redeem #2"), 1, "{}", story.told);
    story.pass(89 * SECOND);
    assert_eq!(lines(&story, "query"), 0, "{}", story.told);
    story.pass(10 * MINUTE);
    assert_eq!(lines(&story, "redeem"), 1, "{}", story.told);
    assert!(lines(&story, "query conversion #2") >= 8, "{}", story.told);
    converted(&mut story, CashKind::Redeem, 2, 10, [10, 0]);
    assert_eq!(free(&story), Usdc::whole(1_007));
}

// Baskets with a leg of unknown fate.

#[test]
fn a_basket_with_an_unanswered_leg_is_unwound_and_so_is_what_that_leg_brings_later() {
    let mut story = buying_a_pair();
    settled(&mut story, 1, YES, Side::Buy, 20, 40);
    story.after(20).book(39, 41);
    story.told.clear();
    story.pass(29 * SECOND);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "note basket_naked"), 1, "{}", story.told);
    assert_eq!(lines(&story, "place #3 sell yes 20"), 1, "{}", story.told);
    settled(&mut story, 3, YES, Side::Sell, 20, 39);
    story.pass(SECOND);
    settled(&mut story, 2, NO, Side::Buy, 20, 50);
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "place #4 sell no 20"), 1, "{}", story.told);
    settled(&mut story, 4, NO, Side::Sell, 20, 58);
    story.pass(2 * SECOND);
    assert_eq!(story.ends, ["carried"], "the time to unwind was over");
    assert_eq!(story.held(NO), "held 0 + 0 unsettled, cost 0.00");
}

#[test]
fn a_naked_leg_that_is_not_final_is_reported_at_once_and_unwound_when_it_is() {
    let mut story = buying_a_pair();
    story.fill(1, 1, YES, Side::Buy, 20, 40, TradeStatus::Matched);
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
    story.after(20).book(39, 41);
    story.pass(31 * SECOND);
    assert_eq!(lines(&story, "note basket_naked"), 1, "{}", story.told);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    story.fill(1, 1, YES, Side::Buy, 20, 40, TradeStatus::Confirmed);
    assert_eq!(lines(&story, "place #3 sell yes 20"), 1, "{}", story.told);
}

// "Over" is not the last word.

#[test]
fn an_order_reported_absent_and_then_live_is_open_again_and_cancelled() {
    let mut story = Story::new();
    story.say("", rest(30, 100));
    story.news(1, "unknown", OrderUpdate::Unknown);
    story.after(10 * SECOND).news(1, "absent", OrderUpdate::Absent);
    assert_eq!(free(&story), Usdc::whole(1_000));
    story.told.clear();
    story.after(10 * SECOND).news(1, "live", OrderUpdate::Live);
    assert_eq!(state(&story, 1), OrderState::Unknown);
    story.check(expect![[r#"
        20001ms #1 live
            note reopened_order: order #1 was over (Rejected) and is reported live: it counts as open and is cancelled
            cancel #1
            query #1
    "#]]);
    assert!(free(&story) <= Usdc::whole(970), "{}", free(&story));
    story.fill(1, 1, YES, Side::Buy, 40, 30, TradeStatus::Matched);
    assert_eq!(story.held(YES), "held 0 + 40 unsettled, cost 12.00");
    assert!(free(&story) <= Usdc::whole(970), "{}", free(&story));
    story.news(1, "cancelled", cancelled(40));
    assert_eq!(free(&story), Usdc::whole(988));
    assert_eq!(story.engine.manager().orders().open_count(), 0);
}

#[test]
fn a_fill_of_an_order_that_was_absent_or_refused_opens_it_again() {
    let refused = OrderUpdate::Rejected { reason: RejectReason::Balance };
    for end in [OrderUpdate::Absent, refused] {
        let mut story = Story::new();
        story.say("", rest(30, 100));
        story.news(1, "over", end);
        assert_eq!(free(&story), Usdc::whole(1_000));
        story.told.clear();
        story.after(10 * SECOND).fill(1, 1, YES, Side::Buy, 40, 30, TradeStatus::Matched);
        assert_eq!(state(&story, 1), OrderState::Unknown);
        for line in ["note reopened_order", "cancel #1", "query #1"] {
            assert_eq!(lines(&story, line), 1, "{line} in {}", story.told);
        }
        // Sixty may still rest there.
        assert!(free(&story) <= Usdc::whole(970), "{}", free(&story));
        story.news(1, "cancelled", cancelled(40));
        assert_eq!(free(&story), Usdc::whole(988));
    }
}

#[test]
fn absent_is_no_end_of_an_order_that_was_acknowledged() {
    for update in [OrderUpdate::Live, OrderUpdate::Delayed, OrderUpdate::Matched] {
        let mut story = Story::new();
        story.say("", rest(30, 100));
        story.news(1, "acknowledged", update);
        let before = (state(&story, 1), free(&story));
        story.news(1, "absent", OrderUpdate::Absent);
        assert_eq!((state(&story, 1), free(&story)), before);
        assert_eq!(lines(&story, "note illegal_order_event"), 1, "{}", story.told);
    }
}

#[test]
fn a_refusal_as_a_duplicate_says_that_the_order_exists() {
    let mut story = Story::new();
    story.say("", rest(30, 100));
    let reserved = free(&story);
    story.told.clear();
    story.news(1, "duplicate", OrderUpdate::Rejected { reason: RejectReason::Duplicate });
    assert_eq!((state(&story, 1), free(&story)), (OrderState::Unknown, reserved));
    story.check(expect![[r#"
        1ms #1 duplicate
            query #1
    "#]]);
    assert!(story.engine.manager().state().rejections.is_empty());
    story.news(1, "live", OrderUpdate::Live);
    story.news(1, "duplicate", OrderUpdate::Rejected { reason: RejectReason::Duplicate });
    assert_eq!(state(&story, 1), OrderState::Live);
}

#[test]
fn what_was_reported_as_matched_is_never_less_again() {
    let mut story = Story::new();
    story.say("", rest(30, 10));
    story.news(1, "live", OrderUpdate::Live);
    story.news(1, "cancelled, 6 matched", cancelled(6));
    let owed = free(&story);
    assert!(owed <= usd("998.20"), "{owed}");
    story.news(1, "cancelled, 4 matched", cancelled(4));
    assert_eq!(free(&story), owed);
    story.fill(1, 1, YES, Side::Buy, 4, 30, TradeStatus::Matched);
    assert_eq!(story.engine.manager().orders().open_count(), 1);
    // A larger figure counts also where the report itself is not possible any more.
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(10) });
    let order = story.engine.manager().orders().get(ClientOrderId(1)).unwrap();
    assert_eq!(order.missing(), Shares::whole(6));
    story.told.clear();
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "query #1"), 1, "{}", story.told);
    story.fill(1, 2, YES, Side::Buy, 6, 30, TradeStatus::Matched);
    assert_eq!(story.engine.manager().orders().open_count(), 0);
    assert_eq!(free(&story), Usdc::whole(997));
}

#[test]
fn filled_with_less_than_its_size_means_that_the_rest_was_cancelled() {
    let mut story = Story::new();
    story.say("", rest(30, 10));
    story.news(1, "live", OrderUpdate::Live);
    story.fill(1, 1, YES, Side::Buy, 7, 30, TradeStatus::Matched);
    story.news(1, "filled 7", OrderUpdate::Filled { matched: Shares::whole(7) });
    assert_eq!(story.engine.manager().orders().open_count(), 0);
    assert_eq!(free(&story), usd("997.90"));
}

// Fills that cannot be.

#[test]
fn a_fill_beyond_its_order_is_booked_as_external_by_name_and_freezes_the_token() {
    let much = Usdc::whole(1_000);
    let mut story = Story::with(|risk| (risk.max_market_usd, risk.max_event_usd) = (much, much));
    story.say("", rest(30, 10));
    story.news(1, "live", OrderUpdate::Live);
    story.fill(1, 1, YES, Side::Buy, 500, 90, TradeStatus::Matched);
    assert_eq!(lines(&story, "note overfill: a fill of 500 for 450.00"), 1, "{}", story.told);
    assert_eq!(blockers(&story), [Cause::Token(YES)]);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    let external = story.engine.manager().position(StrategyId::EXTERNAL, YES);
    assert_eq!((external.unsettled, external.cost), (Shares::whole(500), Usdc::whole(450)));
    assert_eq!(state(&story, 1), OrderState::Live);
    assert_eq!(story.engine.manager().halted(), None);
    story.say("", trade(Side::Buy, 44, 10));
    assert_eq!(story.denials(), ["token_frozen"]);
    story.say("", quotes(&[(NO, 50, 10)], None));
    assert_eq!(story.last_order(), 2, "{}", story.told);
}

#[test]
fn a_fill_at_a_worse_price_than_the_limit_freezes_the_token() {
    let mut story = Story::new();
    story.say("", rest(30, 10));
    story.fill(1, 1, YES, Side::Buy, 5, 31, TradeStatus::Matched);
    assert_eq!(lines(&story, "note overfill"), 1, "{}", story.told);
    assert_eq!(blockers(&story), [Cause::Token(YES)]);
    // A better price is what everybody hopes for.
    let mut story = Story::new();
    story.say("", rest(30, 10));
    story.fill(1, 1, YES, Side::Buy, 5, 12, TradeStatus::Matched);
    assert_eq!(blockers(&story), []);
    // Sold below the limit.
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(SECOND).timer();
    story.say("", sell_all(20));
    story.fill(2, 70, YES, Side::Sell, 5, 12, TradeStatus::Matched);
    assert_eq!(lines(&story, "note overfill"), 1, "{}", story.told);
    assert_eq!(blockers(&story), [Cause::Token(YES)]);
}

#[test]
fn a_hundredth_of_a_share_too_much_or_too_little_ends_an_order_like_any_other() {
    for micros in [10_003_000, 9_998_000, 9_991_000] {
        let mut story = Story::new();
        story.say("", rest(30, 10));
        story.news(1, "live", OrderUpdate::Live);
        let shares = Shares::new(micros);
        let fill = Fill {
            shares,
            notional: Price::cents(30).notional_floor(shares),
            fee: Usdc::ZERO,
            level: None,
            basis: Default::default(),
        };
        let (trade, order, status) = (TradeId(1), ClientOrderId(1), TradeStatus::Matched);
        let (token, side, role) = (YES, Side::Buy, Role::Maker);
        let trade = OwnTrade { trade, order, token, side, role, fill, status };
        story.hear("", Event::trade(trade));
        story.news(1, "filled", OrderUpdate::Filled { matched: shares });
        assert_eq!(blockers(&story), [], "{micros}");
        assert_eq!(story.engine.manager().orders().open_count(), 0, "{micros}");
        assert_eq!(free(&story), Usdc::whole(1_000) - fill.notional);
    }
}

// Figures that cannot be.

fn intent(side: Side, size: Size, cents: u16, urgency: Urgency) -> Action {
    let (token, limit) = (YES, Price::cents(cents));
    let (all_or_nothing, exit) = (false, None);
    Action::Trade(TradeIntent { token, side, size, limit, urgency, all_or_nothing, exit })
}

#[test]
fn sizes_beyond_all_measure_are_denied_and_nothing_panics() {
    let most = u64::MAX;
    for shares in [Shares::new(most), Shares::new(most - 1), Shares::new(most / 2 + 1)] {
        for cents in [1, 44, 54] {
            let mut story = Story::new();
            story.bought(10, 30, None);
            story.say("", quotes(&[(YES, cents, 10)], None));
            story.sent.clear();
            let quote = |token| polydesk_domain::Quote {
                token,
                side: Side::Buy,
                price: Price::cents(cents),
                size: shares,
                exit: None,
            };
            story.say("", Action::Quotes(vec![quote(YES), quote(NO)]));
            for urgency in [Urgency::Now, Urgency::Rest] {
                story.say("", intent(Side::Buy, Size::Shares(shares), cents, urgency));
                for spend in [i64::MAX, i64::MAX - 9_999, i64::MIN, -1] {
                    let size = Size::Spend(Usdc::new(spend));
                    story.say("", intent(Side::Buy, size, cents, urgency));
                }
            }
            for (kind, side) in
                [(BasketKind::BuyPair, Side::Buy), (BasketKind::SellPair, Side::Sell)]
            {
                let leg = |token| Leg { token, side, limit: Price::cents(cents) };
                let (legs, sets) = (vec![leg(YES), leg(NO)], shares);
                let min_edge_per_set = Usdc::new(i64::MAX);
                story.say("", Action::Basket(Basket { kind, legs, sets, min_edge_per_set }));
            }
            let buys = story.sent.iter().filter(|command| matches!(command, Command::Place(_)));
            assert_eq!(buys.count(), 0, "{}", story.told);
            assert!(story.denials().contains(&"absurd_size"), "{:?}", story.denials());
            // A sale of more than there is sells what there is.
            story.news(2, "", cancelled(0));
            story.after(SECOND).timer();
            story.say("", intent(Side::Sell, Size::Shares(shares), 38, Urgency::Now));
            story.pass(2 * SECOND);
            assert_eq!(lines(&story, "place #3 sell yes 10"), 1, "{}", story.told);
            let close = Close { token: YES, fraction_ppm: u32::MAX, floor: Price::ZERO };
            story.say("", Action::Close(close));
            assert_eq!(story.engine.manager().halted(), None);
        }
    }
}

#[test]
fn absurd_reports_of_the_venue_are_refused_and_nothing_panics() {
    let mut story = Story::new();
    story.say("", rest(30, 10));
    let fill = Fill {
        shares: Shares::new(u64::MAX),
        notional: Usdc::new(i64::MAX),
        fee: Usdc::new(i64::MAX),
        level: None,
        basis: Default::default(),
    };
    let order = ClientOrderId(1);
    let (token, side, role, status) = (YES, Side::Buy, Role::Maker, TradeStatus::Matched);
    let own = |n| OwnTrade { trade: TradeId(n), order, token, side, role, fill, status };
    story.hear("", Event::trade(own(1)));
    story.hear("", Event::trade(own(2)));
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::new(u64::MAX) });
    story.news(1, "cancelled", cancelled(3));
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    for (n, size) in [(1, u64::MAX), (2, u64::MAX)] {
        let external = ExternalOrder {
            id: ClientOrderId::external(0, n),
            hash: OrderHash::from_bytes([n as u8; 32]),
            token: NO,
            side: Side::Buy,
            price: Price::cents(99),
            size: Shares::new(size),
            open: true,
        };
        story.hear("", AccountEvent::External(external).into());
    }
    let code = Code::literal("story");
    for micros in [i64::MIN, i64::MAX, i64::MAX] {
        let finding = Finding::Shares { token: NO, micros, code };
        story.hear("", AccountEvent::Finding(finding).into());
    }
    for amount in [Usdc::new(i64::MAX), Usdc::new(i64::MIN)] {
        story.hear("", AccountEvent::Finding(Finding::Cash { amount, code }).into());
    }
    story.after(SECOND).timer();
    // The state is uncertain: no new order is sent.
    story.told.clear();
    story.say("", trade(Side::Buy, 44, 10));
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
}

// Shares that are promised already.

#[test]
fn shares_of_a_pending_redemption_are_not_sold() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    resolved(&mut story, Payout::YES);
    assert_eq!(lines(&story, "redeem #2"), 1, "{}", story.told);
    // The venue took the resolution back, and the redemption is under way.
    let (market, state) = (MarketKey(0), MarketState::Open);
    story.hear("", MarketEvent::State { market, state }.into());
    story.after(SECOND).book(40, 44);
    story.told.clear();
    story.hear("flatten", operator(OperatorCommand::Flatten { market: None, collar: None }));
    story.say("", trade(Side::Sell, 35, 10));
    story.pass(5 * SECOND);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    assert_eq!(
        story.engine.manager().position(StrategyId::STINK_BIDDER, YES).sellable(),
        Shares::ZERO
    );
    // It did not happen: the shares are free.
    converted(&mut story, CashKind::Failed, 2, 0, [0, 0]);
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "place #3 sell yes 10"), 1, "{}", story.told);
}

// Loops.

#[test]
fn a_redemption_that_fails_is_repeated_ever_slower_and_reported_once() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    resolved(&mut story, Payout::YES);
    let mut at = vec![];
    let end = story.now + 3 * DAY;
    while story.now < end {
        let asked = story.sent.drain(..).find_map(|command| match command {
            Command::Convert { id, .. } => Some(id.0),
            _ => None,
        });
        if let Some(id) = asked {
            at.push(story.now);
            converted(&mut story, CashKind::Failed, id, 0, [0, 0]);
        }
        story.pass(SECOND);
    }
    let pauses: Vec<i64> = at.windows(2).map(|two| (two[1] - two[0]) / SECOND).collect();
    assert_eq!(pauses[..6], [20, 40, 80, 160, 320, 640]);
    let day = |n: i64| at.iter().filter(|at| (**at - 1_000_000) / DAY == n).count();
    assert!(day(0) <= 14 && day(1) <= 5 && day(2) <= 5, "{} {} {}", day(0), day(1), day(2));
    assert_eq!(lines(&story, "note redemption_failing"), 1);
}

/// Refuses everything for so long, for these reasons in turn, while a strategy wants a bid each second;
/// how many orders left.
fn refused_for(story: &mut Story, millis: i64, reasons: &[RejectReason]) -> Vec<i64> {
    let (mut left, start) = (Vec::new(), story.now);
    while story.now < start + millis {
        story.say("", quotes(&[(YES, 30, 10)], None));
        for _ in 0..10 {
            for command in core::mem::take(&mut story.sent) {
                let Command::Place(orders) = command else { continue };
                for order in orders {
                    let reason = reasons[left.len() % reasons.len()].clone();
                    left.push(story.now - start);
                    story.news(order.id.0, "", OrderUpdate::Rejected { reason });
                }
            }
            story.pass(100);
        }
    }
    left
}

#[test]
fn refused_quotes_are_repeated_ever_slower_and_then_not_at_all() {
    let other = |text: &str| RejectReason::Other(text.to_owned());
    let cases: [&[RejectReason]; 5] = [
        &[RejectReason::PostOnlyWouldCross],
        &[RejectReason::RateLimited],
        &[RejectReason::Balance],
        // A text that changes makes no other trouble of it.
        &[RejectReason::PostOnlyWouldCross, RejectReason::RateLimited, RejectReason::Balance],
        &[other("one"), RejectReason::Tick, other("two"), RejectReason::Restricted],
    ];
    for reasons in cases {
        let mut story = Story::new();
        let left = refused_for(&mut story, 2 * HOUR, reasons);
        let within = |millis: i64| left.iter().filter(|at| **at < millis).count();
        assert!(within(10 * SECOND) <= 4 && within(MINUTE) <= 7, "{reasons:?}: {left:?}");
        assert!(left.len() <= 20, "{reasons:?}: {}", left.len());
        let runaway = |cause: &Cause| matches!(cause, Cause::Runaway(_));
        assert!(blockers(&story).iter().any(runaway), "{reasons:?}");
        assert_eq!(lines(&story, "note runaway"), 1, "{reasons:?}");
        // Cancels and exits are not touched by it; a person starts it again.
        story.hear("", operator(OperatorCommand::Resume));
        assert_eq!(blockers(&story), []);
    }
}

/// A story with `count` more markets that have books.
fn with_markets(count: u32) -> Story {
    let mut story = Story::new();
    for n in 1..=count {
        let (key, market) = (MarketKey(n), Market::plain(u64::from(n) + 1, "more"));
        story.hear("", MarketEvent::Listed { key, market: Arc::new(market) }.into());
        let level = |cents| vec![(Price::cents(cents), Shares::whole(200))];
        let token = key.token(Outcome::Yes);
        let snapshot = polydesk_domain::BookSnapshot { token, bids: level(40), asks: level(44) };
        story.hear("", MarketEvent::Snapshot(Arc::new(snapshot)).into());
    }
    story.after(SECOND).timer();
    story
}

fn rest_in(key: u32, cents: u16) -> Action {
    let Action::Trade(mut intent) = rest(cents, 10) else { unreachable!() };
    intent.token = MarketKey(key).token(Outcome::Yes);
    Action::Trade(intent)
}

#[test]
fn a_strategy_that_is_refused_everywhere_is_stopped_everywhere() {
    let mut story = with_markets(30);
    for key in 1..=30 {
        story.say("", rest_in(key, 30));
        let reason = RejectReason::Other("invalid signature".to_owned());
        let id = story.last_order();
        if id > 0 {
            story.news(id, "", OrderUpdate::Rejected { reason });
        }
        story.pass(SECOND);
    }
    let placed = lines(&story, "place");
    assert!(placed <= 20, "{placed}");
    assert_eq!(blockers(&story).len(), 1, "{:?}", blockers(&story));
    assert_eq!(lines(&story, "note runaway"), 1);
}

/// A purchase in a market of its own that matches and fails to settle.
fn ghost(story: &mut Story, key: u32) -> bool {
    story.say("", rest_in(key, 30));
    let (id, token) = (story.last_order(), MarketKey(key).token(Outcome::Yes));
    if id == 0 {
        return false;
    }
    for status in [TradeStatus::Matched, TradeStatus::Failed] {
        story.fill(id, u128::from(id), token, Side::Buy, 10, 30, status);
    }
    story.news(id, "", OrderUpdate::Filled { matched: Shares::whole(10) });
    true
}

#[test]
fn three_failed_settlements_in_ten_minutes_stop_entries_and_not_exits() {
    let mut story = with_markets(6);
    story.bought(10, 30, None);
    for key in 1..=3 {
        assert!(ghost(&mut story, key), "{}", story.told);
        story.pass(2 * MINUTE);
    }
    let cause = Cause::Runaway(Code::literal("failing_settlements"));
    assert_eq!(blockers(&story), [cause]);
    assert_eq!(lines(&story, "note failing_settlements"), 1, "{}", story.told);
    assert!(!ghost(&mut story, 4));
    assert_eq!(story.denials(), ["failing_settlements"]);
    story.told.clear();
    story.say("", sell_all(20));
    assert_eq!(lines(&story, "place #5 sell yes 10"), 1, "{}", story.told);
    story.news(5, "", killed(0));
    // Repeated updates are not counted again, and a resume begins a new count.
    story.hear("", operator(OperatorCommand::Resume));
    let token = MarketKey(3).token(Outcome::Yes);
    story.fill(4, 4, token, Side::Buy, 10, 30, TradeStatus::Failed);
    assert_eq!(blockers(&story), []);
    assert!(ghost(&mut story, 4) && ghost(&mut story, 5));
    assert_eq!(blockers(&story), []);
    assert!(ghost(&mut story, 6));
    assert_eq!(blockers(&story), [cause]);
}

#[test]
fn failed_settlements_that_are_far_apart_stop_nothing() {
    let mut story = with_markets(6);
    for key in 1..=6 {
        assert!(ghost(&mut story, key), "{}", story.told);
        story.pass(6 * MINUTE);
    }
    assert_eq!(blockers(&story), []);
}

/// A pair whose second leg dies, and whose first is sold again.
fn dying_basket(story: &mut Story) -> bool {
    story.book(50, 40);
    let before = story.sent.len();
    story.say("", pair(BasketKind::BuyPair, Side::Buy, 40, 50));
    let Some(Command::Place(legs)) = story.sent[before..].first().cloned() else { return false };
    let (one, two) = (legs[0].id.0, legs[1].id.0);
    settled(story, one, YES, Side::Buy, 20, 40);
    story.after(20).book(39, 41);
    story.news(two, "", OrderUpdate::Rejected { reason: RejectReason::FakKilled });
    story.pass(3 * SECOND);
    let sale = story.last_order();
    settled(story, sale, YES, Side::Sell, 20, 39);
    story.pass(3 * SECOND);
    true
}

#[test]
fn baskets_whose_legs_die_again_and_again_are_not_started_any_more() {
    let mut story = Story::new();
    let started = (0..10).take_while(|_| dying_basket(&mut story)).count();
    assert_eq!(started, 5, "{:?}", story.ends);
    assert!(story.ends.iter().all(|end| end == "unwound"), "{:?}", story.ends);
    assert_eq!(blockers(&story), [Cause::Runaway(Code::literal("dying_legs"))]);
    assert_eq!(lines(&story, "note dying_legs"), 1);
}

#[test]
fn a_strategy_that_never_stops_ordering_is_stopped_within_a_minute() {
    let mut story = Story::new();
    let (start, mut placed) = (story.now, 0);
    let mut last = start;
    while story.now < start + 5 * MINUTE {
        // One that asks for another price at every tick.
        let cents = 20 + (story.now / 50 % 15) as u16;
        story.say("", quotes(&[(YES, cents, 10)], None));
        for command in core::mem::take(&mut story.sent) {
            match command {
                Command::Place(orders) => {
                    placed += orders.len();
                    last = story.now;
                    for order in orders {
                        story.news(order.id.0, "", OrderUpdate::Live);
                    }
                }
                Command::Cancel(id) => story.news(id.0, "", cancelled(0)),
                _ => {}
            }
        }
        story.pass(50);
    }
    assert!(placed <= 600 && last - start <= MINUTE, "{placed} in {} ms", last - start);
    assert_eq!(blockers(&story), [Cause::Runaway(Code::literal("runaway_orders"))]);
    assert_eq!(lines(&story, "note runaway_orders"), 1);
    // Its last quote was pulled.
    assert_eq!(story.engine.manager().orders().open_count(), 0);
}

// Marks and losses.

fn tight(change: impl FnOnce(&mut polydesk_execution::RawRisk)) -> Story {
    let mut story = Story::with(|risk| {
        risk.daily_loss_usd = Usdc::whole(10);
        risk.max_drawdown_usd = Usdc::whole(1_000);
        change(risk);
    });
    story.bought(100, 40, None);
    story.after(SECOND).timer();
    story
}

#[test]
fn a_moment_without_bids_or_with_few_keeps_the_mark() {
    for bids in [&[][..], &[(40, 5)], &[(1, 500)]] {
        let mut story = tight(|_| ());
        let before = story.engine.manager().equity().now;
        assert_eq!(before, Usdc::whole(1_000));
        story.bids(bids, 44);
        story.pass(SECOND);
        let real = bids.first().is_some_and(|(cents, _)| *cents == 1);
        let equity = story.engine.manager().equity().now;
        if real {
            // Bids for all of it are a price, however low.
            assert_eq!((equity, blockers(&story)), (Usdc::whole(961), vec![Cause::DailyLoss]));
            continue;
        }
        assert_eq!((equity, blockers(&story)), (before, vec![]), "{bids:?}");
        story.book(40, 44);
        story.pass(SECOND);
        assert_eq!(story.engine.manager().equity().now, before);
        // For long it is no price any more.
        story.bids(bids, 44);
        story.pass(6 * MINUTE);
        assert!(story.engine.manager().equity().now <= Usdc::whole(982), "{bids:?}");
        assert_eq!(blockers(&story), [Cause::DailyLoss], "{bids:?}");
    }
}

#[test]
fn redemption_money_before_the_resolution_is_profit_and_not_a_loss() {
    let mut story = tight(|risk| risk.max_drawdown_usd = Usdc::whole(20));
    let money = |id: Option<ConversionId>| Cash {
        kind: CashKind::Redeem,
        conversion: id,
        strategy: None,
        market: Some(MarketKey(0)),
        amount: Usdc::whole(100),
        shares: [Shares::whole(100), Shares::ZERO],
    };
    story.told.clear();
    story.hear("paid", Event::cash(money(None)));
    assert_eq!(lines(&story, "note early_redemption"), 1, "{}", story.told);
    story.pass(SECOND);
    assert_eq!(blockers(&story), [Cause::Unsettled(MarketKey(0))]);
    let equity = |story: &Story| story.engine.manager().equity();
    assert!(equity(&story).high <= Usdc::whole(1_060), "{:?}", equity(&story));
    story.say("", trade(Side::Buy, 44, 10));
    assert_eq!(story.denials(), ["market_unsettled"]);
    resolved(&mut story, Payout::YES);
    story.pass(SECOND);
    let ledger = story.engine.manager().ledger();
    assert_eq!(ledger.balance(LedgerAccount::Realised), Usdc::whole(-60));
    assert_eq!(ledger.balance(LedgerAccount::External), Usdc::whole(-1_000));
    assert_eq!(ledger.balance(LedgerAccount::Cash), Usdc::whole(1_060));
    assert_eq!((equity(&story).now, blockers(&story)), (Usdc::whole(1_060), vec![]));
    assert_eq!(lines(&story, "redeem"), 0, "{}", story.told);
}

/// Loses nine dollars a minute before midnight, and nine a minute after.
fn nine_and_nine(latch: LossLatch) -> Story {
    let mut story = tight(|risk| risk.loss_latch = latch);
    story.say("", quotes(&[(YES, 15, 10)], None));
    let bid = story.last_order();
    story.news(bid, "live", OrderUpdate::Live);
    let midnight = story.now - story.now % DAY + DAY;
    story.ttl.store(100_000, Ordering::Relaxed);
    story.say("", quotes(&[(YES, 15, 10)], None));
    story.pass(midnight - MINUTE - story.now);
    story.book(31, 35);
    story.pass(SECOND);
    assert_eq!(blockers(&story), []);
    story.pass(midnight + MINUTE - story.now);
    story.told.clear();
    story.book(22, 26);
    story.pass(2 * SECOND);
    story
}

#[test]
fn losses_count_over_midnight_and_their_limit_cancels_resting_buys() {
    let mut story = nine_and_nine(LossLatch::Person);
    assert_eq!(blockers(&story), [Cause::DailyLoss]);
    assert_eq!((lines(&story, "note daily_loss"), lines(&story, "cancel #2")), (1, 1));
    // What was emitted before does not put it back.
    story.news(2, "cancelled", cancelled(0));
    story.pass(HOUR);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    story.pass(3 * DAY);
    assert_eq!(blockers(&story), [Cause::DailyLoss], "a person lifts it");
    story.hear("", operator(OperatorCommand::Resume));
    story.pass(MINUTE);
    assert_eq!(blockers(&story), []);
}

#[test]
fn a_latch_of_the_window_ends_when_neither_day_nor_window_is_beyond_the_limit() {
    let mut story = nine_and_nine(LossLatch::Window);
    assert_eq!(blockers(&story), [Cause::DailyLoss]);
    story.pass(23 * HOUR + 50 * MINUTE);
    assert_eq!(blockers(&story), [Cause::DailyLoss]);
    story.pass(20 * MINUTE);
    assert_eq!(blockers(&story), []);
}

#[test]
fn money_that_comes_or_goes_is_neither_loss_nor_gain_of_the_window() {
    let mut story = tight(|_| ());
    story.book(34, 38);
    story.pass(MINUTE);
    flow(&mut story, CashKind::Withdrawal, -500);
    story.pass(MINUTE);
    assert_eq!(blockers(&story), []);
    flow(&mut story, CashKind::Deposit, 700);
    let found = Finding::Cash { amount: Usdc::whole(90), code: Code::literal("transfer") };
    story.hear("", AccountEvent::Finding(found).into());
    story.pass(MINUTE);
    story.book(31, 35);
    story.pass(SECOND);
    assert_eq!(blockers(&story), [], "nine are lost");
    story.book(30, 34);
    story.pass(SECOND);
    assert_eq!(blockers(&story), [Cause::DailyLoss], "ten are lost");
}

#[test]
fn a_limit_of_loss_that_is_tightened_below_the_loss_binds_at_once() {
    let mut story = tight(|_| ());
    story.book(35, 39);
    story.pass(SECOND);
    assert_eq!(blockers(&story), []);
    story.hear("", ControlEvent::Limits { toml: "daily_loss_usd = 4".into() }.into());
    story.pass(SECOND);
    assert_eq!(blockers(&story), [Cause::DailyLoss]);
    // Loosened again: what broke stays broken.
    story.hear("", ControlEvent::Limits { toml: "daily_loss_usd = 100".into() }.into());
    story.pass(SECOND);
    assert_eq!(blockers(&story), [Cause::DailyLoss]);
}

#[test]
fn tightened_limits_leave_what_rests_and_add_nothing_to_it() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    let toml = "max_account_usd = 2\nmax_market_usd = 2\nmax_order_usd = 2";
    story.hear("", ControlEvent::Limits { toml: toml.into() }.into());
    story.say("", quotes(&[(YES, 30, 10), (YES, 29, 5)], None));
    assert_eq!(story.denials(), ["max_market"]);
    assert_eq!(state(&story, 1), OrderState::Live);
    story.fill(1, 1, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    story.fill(1, 1, YES, Side::Buy, 10, 30, TradeStatus::Confirmed);
    story.news(1, "", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.after(SECOND).timer();
    story.say("", sell_all(20));
    assert_eq!(lines(&story, "place #2 sell yes 10"), 1, "{}", story.told);
}

// Nothing outlives its signal, and "be out" is not forgotten.

#[test]
fn quotes_that_are_not_renewed_are_cancelled_when_their_signal_ends() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10), (NO, 50, 10)], None));
    for id in [1, 2] {
        story.news(id, "live", OrderUpdate::Live);
    }
    story.pass(30 * SECOND);
    story.say("", quotes(&[(YES, 30, 10), (NO, 50, 10)], None));
    story.told.clear();
    story.pass(59 * SECOND);
    assert_eq!(story.told, "");
    story.pass(2 * SECOND);
    assert_eq!((lines(&story, "cancel #1"), lines(&story, "cancel #2")), (1, 1), "{}", story.told);
}

#[test]
fn a_resting_intent_expires_at_the_venue_where_its_minimum_life_allows() {
    // The venue removes a GTD order a minute before what it states, and wants three minutes at least when it
    // arrives.
    for (ttl, gtd) in [(129, false), (131, true), (3_600, true)] {
        let mut story = Story::new();
        story.ttl.store(ttl, Ordering::Relaxed);
        story.say("", rest(30, 10));
        story.news(1, "live", OrderUpdate::Live);
        let tif = story.engine.manager().orders().get(ClientOrderId(1)).unwrap().tif;
        assert_eq!(matches!(tif, Tif::Gtd { .. }), gtd, "{ttl}");
        story.told.clear();
        story.pass((ttl - 1) * SECOND);
        assert_eq!(lines(&story, "cancel"), 0, "{}", story.told);
        // Where the venue says nothing of it, it is cancelled all the same.
        story.pass(2 * SECOND);
        assert_eq!(lines(&story, "cancel #1"), 1, "{}", story.told);
    }
}

#[test]
fn every_bid_is_cancelled_as_soon_as_the_rate_allows_when_the_bucket_was_empty() {
    let mut story = Story::with(|risk| {
        risk.max_open_orders = 8;
        risk.cancel_burst = 8;
        risk.cancels_per_second = 2;
    });
    let ladder: Vec<_> = (20..28).map(|cents| (YES, cents, 10)).collect();
    for round in 0..2 {
        story.say("", quotes(&ladder, None));
        let ids: Vec<u64> =
            story.engine.manager().orders().open().map(|order| order.id.0).collect();
        assert_eq!(ids.len(), 8);
        for id in &ids {
            story.news(*id, "live", OrderUpdate::Live);
        }
        story.told.clear();
        story.say("be out", quotes(&[], None));
        if round == 0 {
            assert_eq!(lines(&story, "cancel #"), 8, "{}", story.told);
            for id in ids {
                story.news(id, "", cancelled(0));
            }
        }
    }
    assert_eq!(lines(&story, "cancel #"), 0, "{}", story.told);
    story.pass(2_050);
    assert_eq!(lines(&story, "cancel #"), 4, "{}", story.told);
    story.pass(2_000);
    let each: Vec<usize> = (9..17).map(|id| lines(&story, &format!("cancel #{id}"))).collect();
    assert_eq!(each, [1; 8], "{}", story.told);
}

#[test]
fn a_kill_needs_no_room_in_the_bucket() {
    let mut story = Story::with(|risk| {
        risk.max_open_orders = 2;
        risk.cancel_burst = 2;
        risk.cancels_per_second = 1;
    });
    story.say("", quotes(&[(YES, 30, 10), (NO, 50, 10)], None));
    for id in [1, 2] {
        story.news(id, "live", OrderUpdate::Live);
    }
    story.say("", quotes(&[], None));
    for id in [1, 2] {
        story.news(id, "", cancelled(0));
    }
    story.say("", quotes(&[(YES, 31, 10)], None));
    story.news(3, "live", OrderUpdate::Live);
    story.told.clear();
    story.hear("kill", operator(OperatorCommand::Kill));
    assert_eq!(lines(&story, "cancel all"), 1, "{}", story.told);
}

// What is signalled while the gate is closed.

fn blocker(story: &mut Story, cause: Cause, on: bool) {
    let detail = "story".to_owned();
    story.hear("", ControlEvent::Blocker { cause, on, detail }.into());
}

#[test]
fn quotes_signalled_while_the_gate_is_closed_are_placed_when_it_opens() {
    for cause in [Cause::Heartbeat, Cause::Disk] {
        let mut story = Story::new();
        blocker(&mut story, cause, true);
        story.say("", quotes(&[(YES, 30, 10)], None));
        story.pass(20 * SECOND);
        assert_eq!(lines(&story, "place"), 0, "{}", story.told);
        blocker(&mut story, cause, false);
        story.pass(6 * SECOND);
        assert_eq!(lines(&story, "place #1 buy yes 10 at 0.3000"), 1, "{}", story.told);
    }
    // Not for longer than their signal lives.
    let mut story = Story::new();
    blocker(&mut story, Cause::Heartbeat, true);
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.pass(61 * SECOND);
    blocker(&mut story, Cause::Heartbeat, false);
    story.pass(MINUTE);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
}

#[test]
fn what_was_signalled_before_the_end_of_a_kill_does_not_keep_a_strategy_silent() {
    let mut story = Story::new();
    story.hear("", operator(OperatorCommand::Kill));
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.hear("", operator(OperatorCommand::Rearm));
    story.hear("", operator(OperatorCommand::Resume));
    story.pass(30 * SECOND);
    assert_eq!(lines(&story, "place"), 0, "nothing of before is wanted: {}", story.told);
    assert!(story.engine.manager().state().quotes.is_empty());
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(lines(&story, "place #1 buy yes 10 at 0.3000"), 1, "{}", story.told);
}

#[test]
fn a_pause_before_the_start_holds_entries_back_until_it_is_lifted() {
    let mut story = Story::new();
    story.hear("", operator(OperatorCommand::Pause));
    let mode = polydesk_domain::RunMode::Backtest;
    let begins = polydesk_domain::RunStart { mode, blockers: Vec::new() };
    story.hear("", ControlEvent::Start(begins).into());
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.pass(10 * SECOND);
    assert_eq!((story.denials(), lines(&story, "place")), (vec!["paused"], 0));
    story.hear("", operator(OperatorCommand::Resume));
    story.pass(6 * SECOND);
    assert_eq!(lines(&story, "place #1"), 1, "{}", story.told);
}

#[test]
fn an_exit_waits_for_the_last_of_two_blockers() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(SECOND).timer();
    blocker(&mut story, Cause::Heartbeat, true);
    blocker(&mut story, Cause::JournalSlow, true);
    story.told.clear();
    story.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }));
    blocker(&mut story, Cause::Heartbeat, false);
    story.pass(5 * SECOND);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    blocker(&mut story, Cause::JournalSlow, false);
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "place #2 sell yes 10"), 1, "{}", story.told);
}

#[test]
fn an_exit_under_way_in_a_market_that_is_frozen_is_booked_and_its_rest_waits() {
    let mut story = Story::new();
    story.bought(20, 30, None);
    story.after(SECOND).timer();
    story.say("", sell_all(20));
    blocker(&mut story, Cause::Market(MarketKey(0)), true);
    story.told.clear();
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        story.fill(2, 70, YES, Side::Sell, 8, 38, status);
    }
    story.news(2, "killed", killed(8));
    story.pass(10 * SECOND);
    assert_eq!(story.held(YES), "held 12 + 0 unsettled, cost 3.60");
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    blocker(&mut story, Cause::Market(MarketKey(0)), false);
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "place #3 sell yes 12"), 1, "{}", story.told);
}

// Clocks and books.

#[test]
fn a_clock_that_jumped_ahead_and_back_denies_nothing_for_ever() {
    let mut story = Story::with(|risk| {
        risk.max_open_orders = 4;
        risk.order_burst = 4;
        risk.cancel_burst = 4;
        risk.orders_per_second = 1;
        risk.cancels_per_second = 1;
    });
    story.bought(10, 30, None);
    story.say("", quotes(&[(NO, 50, 10)], None));
    let bid = story.last_order();
    story.news(bid, "live", OrderUpdate::Live);
    let real = story.now;
    // One event three hours ahead; the next ones are right again.
    story.now = real + 3 * HOUR;
    story.timer();
    story.now = real + 100;
    story.told.clear();
    story.book(40, 44);
    assert_eq!(lines(&story, "note clock_back"), 1, "{}", story.told);
    assert_eq!(story.engine.now().millis(), real + 101);
    // Deadlines, rates and exits go on in real time.
    story.news(bid, "", cancelled(0));
    story.told.clear();
    story.say("", trade(Side::Buy, 44, 10));
    let buy = story.last_order();
    story.pass(6 * SECOND);
    assert_eq!(lines(&story, &format!("query #{buy}")), 1, "{}", story.told);
    story.news(buy, "", killed(0));
    story.pass(SECOND);
    story.say("", sell_all(20));
    assert_eq!(lines(&story, &format!("place #{} sell yes 10", buy + 1)), 1, "{}", story.told);
    let sale = story.last_order();
    settled(&mut story, sale, YES, Side::Sell, 10, 38);
    for round in 0..10 {
        story.say("", quotes(&[(NO, 40 + round, 10)], None));
        let bid = story.last_order();
        story.news(bid, "", OrderUpdate::Live);
        story.pass(2 * SECOND);
        story.say("", quotes(&[], None));
        story.pass(2_100);
        assert_eq!(lines(&story, &format!("cancel #{bid}")), 2, "round {round}: {}", story.told);
        story.news(bid, "", cancelled(0));
    }
}

#[test]
fn a_clock_that_goes_back_a_little_is_waited_for() {
    let mut story = Story::new();
    let real = story.now;
    story.timer();
    story.now = real - 5 * SECOND;
    story.book(40, 44);
    assert_eq!(story.engine.now().millis(), real);
    assert_eq!(lines(&story, "note"), 0, "{}", story.told);
    story.now = real - 5 * SECOND - 1;
    story.timer();
    assert_eq!(story.engine.now().millis(), real - 5 * SECOND - 1);
    assert_eq!(lines(&story, "note clock_back"), 1, "{}", story.told);
}

#[test]
fn what_a_wrong_clock_dated_ahead_counts_as_now_when_it_goes_back() {
    let mut story = Story::new();
    let real = story.now;
    // Hours ahead an order leaves unanswered, quotes rest and a venue refuses.
    story.now = real + 5 * HOUR;
    story.book(40, 44);
    story.say("", quotes(&[(NO, 50, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.say("", trade(Side::Buy, 44, 10));
    story.now = real + SECOND;
    story.told.clear();
    story.book(40, 44);
    // No quote lives for five hours longer than its strategy wanted.
    assert_eq!(lines(&story, "cancel #1"), 1, "{}", story.told);
    story.pass(6 * SECOND);
    assert_eq!(lines(&story, "query #2"), 1, "{}", story.told);
    story.news(1, "", cancelled(0));
    story.news(2, "", OrderUpdate::Rejected { reason: RejectReason::RateLimited });
    story.pass(3 * SECOND);
    story.say("", quotes(&[(NO, 51, 10)], None));
    assert_eq!(lines(&story, "place #3 buy no 10 at 0.5100"), 1, "{}", story.told);
}

#[test]
fn a_clock_that_jumps_over_midnight_lifts_no_latch() {
    for (ahead, back) in [(3 * HOUR, true), (30 * HOUR, true), (3 * HOUR, false)] {
        let mut story = tight(|_| ());
        // An hour before midnight.
        let midnight = story.now - story.now % DAY + DAY;
        story.pass(midnight - HOUR - story.now);
        story.book(28, 32);
        story.pass(SECOND);
        assert_eq!(blockers(&story), [Cause::DailyLoss]);
        let real = story.now;
        story.now = real + ahead;
        story.timer();
        if back {
            assert_eq!(blockers(&story), [Cause::DailyLoss], "{ahead}");
            story.now = real + SECOND;
            story.timer();
            story.book(28, 32);
            story.pass(MINUTE);
        }
        assert_eq!(blockers(&story), [Cause::DailyLoss], "{ahead}");
        // In its time it ends.
        story.pass(26 * HOUR);
        assert_eq!(blockers(&story), [], "{ahead}");
    }
}

#[test]
fn a_tick_size_announced_again_leaves_the_book_as_it_is() {
    let mut story = Story::new();
    let tick = |tick| MarketEvent::Tick { market: MarketKey(0), tick }.into();
    story.hear("", tick(Tick::Cent));
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(lines(&story, "place #1"), 1, "{}", story.told);
    story.hear("", tick(Tick::Thousandth));
    story.say("", quotes(&[(YES, 31, 10)], None));
    assert_eq!(story.denials(), ["book_not_known"]);
}

#[test]
fn ten_minutes_without_a_book_of_what_is_held_are_reported_once() {
    let interrupted =
        || MarketEvent::Interrupted(polydesk_domain::Interruption { market: None }).into();
    let unverified = |on| MarketEvent::Unverified { market: MarketKey(0), on }.into();
    for gone in [interrupted(), unverified(true)] {
        let mut story = Story::new();
        // Nothing is held: no note.
        story.hear("", gone);
        story.pass(HOUR);
        story.book(40, 44);
        story.bought(10, 30, None);
        story.pass(20 * MINUTE);
        assert_eq!(lines(&story, "note no_book"), 0, "{}", story.told);
        story.hear("", interrupted());
        story.pass(10 * MINUTE - 2 * SECOND);
        assert_eq!(lines(&story, "note no_book"), 0, "{}", story.told);
        story.pass(3 * SECOND);
        assert_eq!(lines(&story, "note no_book"), 1, "{}", story.told);
        story.pass(HOUR);
        assert_eq!(lines(&story, "note no_book"), 1, "{}", story.told);
        // It comes back, and goes again.
        story.book(40, 44);
        story.pass(SECOND);
        story.hear("", unverified(true));
        story.pass(11 * MINUTE);
        assert_eq!(lines(&story, "note no_book"), 2, "{}", story.told);
    }
}
