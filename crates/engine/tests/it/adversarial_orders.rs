//! Orders, limits, exits and operator commands where two things happen at once, figures meet their limit, or
//! something is not known.

use std::sync::atomic::Ordering;

use polydesk_domain::{
    AccountEvent, Action, BookSnapshot, CancelReason, Cause, ClientOrderId, Close, Code,
    ControlEvent, Event, ExitPlan, ExternalOrder, Fees, Finding, Interruption, Market, MarketEvent,
    MarketKey, MarketState, OperatorCommand, OrderHash, OrderState, OrderUpdate, Price, Quote,
    Reason, RejectReason, Shares, Side, Signal, SignalId, Size, Span, Stop, StrategyId, TakeProfit,
    Tick, Time, Token, TradeIntent, TradeStatus, Urgency, Usdc, WorldEvent,
};
use polydesk_execution::RawRisk;

use crate::deadlines::{
    MINUTE, SECOND, blockers, cancelled, free, killed, lines, sell_all, settled, state, usd,
};
use crate::harness::*;
use crate::seams::external;

fn stop() -> ExitPlan {
    ExitPlan { stop: Some(Stop { loss: 500, floor: Price::cents(2) }), ..ExitPlan::default() }
}

fn market_state(story: &mut Story, state: MarketState) {
    story.hear("", MarketEvent::State { market: MarketKey(0), state }.into());
}

fn relist(story: &mut Story, change: impl FnOnce(&mut Market)) {
    let mut market = Market::plain(1, "story");
    market.fees = story.engine.universe().market(MarketKey(0)).fees.clone();
    change(&mut market);
    let listed = MarketEvent::Listed { key: MarketKey(0), market: market.into() };
    story.hear("", listed.into());
}

fn tick(story: &mut Story, tick: Tick) {
    story.hear("", MarketEvent::Tick { market: MarketKey(0), tick }.into());
    story.book(40, 44);
}

/// A signal of another process for the strategy of the story.
fn foreign(story: &Story, counter: u64, action: Action) -> Event {
    let created = Time::from_millis(story.now);
    let id = SignalId { producer: StrategyId::literal("box2"), epoch: 4, counter };
    WorldEvent::Signal(Signal {
        id,
        strategy: StrategyId::STINK_BIDDER,
        market: MarketKey(0),
        action,
        created,
        expires: created + Span::secs(60),
        edge: Usdc::ZERO,
        reason: Reason::new("story"),
    })
    .into()
}

/// A sale of YES by the strategy itself.
fn sale(cents: u16, shares: u64, urgency: Urgency, all_or_nothing: bool) -> Action {
    let Action::Trade(intent) = trade(Side::Sell, cents, shares) else { unreachable!() };
    Action::Trade(TradeIntent { urgency, all_or_nothing, ..intent })
}

// What the venue would refuse does not leave.

#[test]
fn what_is_below_the_minimum_of_the_market_is_not_sent() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 4)], None));
    story.say("", rest(30, 4));
    // Immediate buys of less than a dollar are refused.
    story.say("", trade(Side::Buy, 16, 6));
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    story.say("", quotes(&[(YES, 30, 5)], None));
    story.say("", trade(Side::Buy, 44, 5));
    assert_eq!(lines(&story, "place"), 2, "{}", story.told);
}

#[test]
fn a_tick_size_that_grows_cancels_what_rests_between_its_prices() {
    let mut story = Story::new();
    tick(&mut story, Tick::Thousandth);
    let quote = |units| Quote {
        token: YES,
        side: Side::Buy,
        price: Price::new(units).unwrap(),
        size: Shares::whole(10),
        exit: None,
    };
    story.say("", Action::Quotes(vec![quote(3_050), quote(3_000)]));
    for id in [1, 2] {
        story.news(id, "live", OrderUpdate::Live);
    }
    story.told.clear();
    tick(&mut story, Tick::Cent);
    assert_eq!((lines(&story, "cancel #1"), lines(&story, "cancel #2")), (1, 0), "{}", story.told);
    story.news(1, "cancelled", cancelled(0));
    story.pass(MINUTE / 2);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    assert_eq!(state(&story, 2), OrderState::Live);
}

// A cancel that is not possible now is not forgotten.

#[test]
fn an_order_that_is_delayed_is_cancelled_as_soon_as_it_can_be() {
    let commands = [
        OperatorCommand::ReduceOnly,
        OperatorCommand::Flatten { market: None, collar: None },
        OperatorCommand::CancelOrder(ClientOrderId(1)),
        OperatorCommand::CancelMarket(Some(MarketKey(0))),
        OperatorCommand::Kill,
    ];
    for command in commands {
        let mut story = Story::new();
        story.say("", rest(44, 10));
        story.news(1, "delayed", OrderUpdate::Delayed);
        story.told.clear();
        story.hear("", operator(command));
        story.pass(2 * SECOND);
        assert_eq!(lines(&story, "cancel #1"), 0, "{command:?}: {}", story.told);
        story.news(1, "live", OrderUpdate::Live);
        story.pass(SECOND);
        assert_eq!(lines(&story, "cancel #1"), 1, "{command:?}: {}", story.told);
    }
}

#[test]
fn a_delayed_order_that_is_to_be_cancelled_holds_up_no_other_cancel() {
    let mut story = Story::new();
    story.say("", rest(44, 10));
    story.news(1, "delayed", OrderUpdate::Delayed);
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(2, "live", OrderUpdate::Live);
    story.hear("", operator(OperatorCommand::ReduceOnly));
    assert_eq!(lines(&story, "cancel #2"), 1, "{}", story.told);
    story.told.clear();
    story.pass(3 * SECOND);
    assert_eq!(lines(&story, "cancel #2"), 1, "repeated: {}", story.told);
}

#[test]
fn an_order_accepted_after_the_kill_is_cancelled_until_it_is_gone() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.hear("", operator(OperatorCommand::Kill));
    assert_eq!(lines(&story, "cancel all"), 1, "{}", story.told);
    story.after(1_500);
    story.news(1, "live", OrderUpdate::Live);
    story.pass(SECOND);
    assert_eq!(lines(&story, "cancel #1"), 1, "{}", story.told);
    story.news(1, "refused", OrderUpdate::CancelRefused { still_open: true });
    story.pass(3 * SECOND);
    assert_eq!(lines(&story, "cancel #1"), 2, "{}", story.told);
    story.news(1, "cancelled", cancelled(0));
    story.pass(MINUTE);
    assert_eq!((lines(&story, "place"), free(&story)), (1, Usdc::whole(1_000)), "{}", story.told);
}

// Quotes.

#[test]
fn a_quote_that_an_operator_cancels_is_not_put_back_by_itself() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10), (YES, 29, 10)], None));
    for id in [1, 2] {
        story.news(id, "live", OrderUpdate::Live);
    }
    story.told.clear();
    story.hear("", operator(OperatorCommand::CancelOrder(ClientOrderId(1))));
    story.news(1, "cancelled", cancelled(0));
    story.pass(30 * SECOND);
    assert_eq!((lines(&story, "cancel #1"), lines(&story, "place")), (1, 0), "{}", story.told);
    assert_eq!(state(&story, 2), OrderState::Live);
}

#[test]
fn what_was_reported_as_matched_is_not_quoted_again_before_its_fills_come() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 20)], None));
    story.news(1, "live", OrderUpdate::Live);
    let (reason, matched) = (CancelReason::ByVenue, Shares::whole(8));
    story.told.clear();
    story.news(1, "cancelled", OrderUpdate::Cancelled { reason, matched });
    story.pass(6 * SECOND);
    let at_most = |size: u64| lines(&story, &format!("place #2 buy yes {size} at"));
    assert_eq!((at_most(20), at_most(12)), (0, 1), "{}", story.told);
    story.fill(1, 1, YES, Side::Buy, 8, 30, TradeStatus::Matched);
    story.news(2, "live", OrderUpdate::Live);
    story.pass(10 * SECOND);
    assert_eq!((lines(&story, "place"), lines(&story, "cancel")), (1, 0), "{}", story.told);
}

#[test]
fn a_reported_match_of_the_whole_quote_puts_nothing_back() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 20)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.news(1, "filled", OrderUpdate::Filled { matched: Shares::whole(20) });
    story.pass(6 * SECOND);
    assert_eq!(lines(&story, "place"), 1, "{}", story.told);
    story.fill(1, 1, YES, Side::Buy, 20, 30, TradeStatus::Matched);
    story.pass(6 * SECOND);
    assert_eq!(lines(&story, "place"), 1, "{}", story.told);
}

#[test]
fn reduce_only_while_a_quote_is_replaced_leaves_nothing_and_resume_puts_one_back() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.say("", quotes(&[(YES, 31, 10)], None));
    story.hear("", operator(OperatorCommand::ReduceOnly));
    story.news(2, "live", OrderUpdate::Live);
    story.pass(3 * SECOND);
    story.news(1, "cancelled", cancelled(0));
    story.news(2, "cancelled", cancelled(0));
    story.pass(10 * SECOND);
    assert_eq!(story.engine.manager().orders().open_count(), 0, "{}", story.told);
    assert_eq!(lines(&story, "place"), 2, "{}", story.told);
    story.told.clear();
    story.hear("", operator(OperatorCommand::Resume));
    story.pass(10 * SECOND);
    assert_eq!(lines(&story, "place #3 buy yes 10 at 0.3100"), 1, "{}", story.told);
}

#[test]
fn a_fill_at_the_instant_of_expiry_is_kept_and_its_order_is_not_cancelled() {
    let mut story = Story::new();
    story.say("", rest(30, 10));
    story.news(1, "live", OrderUpdate::Live);
    story.told.clear();
    story.after(60 * SECOND);
    story.fill(1, 1, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    story.timer();
    story.pass(5 * SECOND);
    assert_eq!(lines(&story, "cancel"), 0, "{}", story.told);
    assert_eq!(story.held(YES), "held 0 + 10 unsettled, cost 3.00");
    assert_eq!(state(&story, 1), OrderState::Filled);
}

#[test]
fn fills_that_cross_the_cancel_of_an_expired_order_count_once_and_end_it() {
    let mut story = Story::new();
    story.say("", rest(30, 10));
    story.news(1, "live", OrderUpdate::Live);
    story.pass(61 * SECOND);
    assert_eq!(lines(&story, "cancel #1"), 1, "{}", story.told);
    story.fill(1, 1, YES, Side::Buy, 4, 30, TradeStatus::Matched);
    story.news(1, "refused", OrderUpdate::CancelRefused { still_open: true });
    assert_eq!(state(&story, 1), OrderState::PartlyMatched);
    story.pass(3 * SECOND);
    assert_eq!(lines(&story, "cancel #1"), 2, "{}", story.told);
    story.fill(1, 2, YES, Side::Buy, 6, 30, TradeStatus::Matched);
    story.news(1, "gone", OrderUpdate::CancelRefused { still_open: false });
    story.news(1, "cancelled", cancelled(10));
    assert_eq!(story.held(YES), "held 0 + 10 unsettled, cost 3.00");
    assert_eq!(free(&story), Usdc::whole(997));
    story.told.clear();
    story.pass(30 * SECOND);
    assert_eq!(lines(&story, "cancel"), 0, "{}", story.told);
}

// Strategies that are off, runs that are over.

#[test]
fn nothing_leaves_after_the_run_was_stopped() {
    for action in [
        sale(37, 10, Urgency::Now, true),
        sale(45, 10, Urgency::Rest, false),
        sell_all(20),
        trade(Side::Buy, 44, 10),
        quotes(&[(YES, 30, 10)], None),
    ] {
        let mut story = Story::new();
        story.bought(10, 30, None);
        story.pass(3 * SECOND);
        story.hear("", ControlEvent::Stop.into());
        story.told.clear();
        let signal = foreign(&story, 1, action.clone());
        story.hear("", signal);
        story.pass(3 * SECOND);
        assert_eq!(lines(&story, "place"), 0, "{action:?}: {}", story.told);
    }
}

#[test]
fn signals_for_a_strategy_that_is_switched_off_buy_nothing() {
    for action in [trade(Side::Buy, 44, 10), rest(30, 10), quotes(&[(YES, 30, 10)], None)] {
        let mut story = Story::new();
        let switch = |run| ControlEvent::Strategy { id: StrategyId::STINK_BIDDER, run }.into();
        story.hear("", switch(false));
        let signal = foreign(&story, 1, action.clone());
        story.hear("", signal);
        story.pass(10 * SECOND);
        assert_eq!(lines(&story, "place"), 0, "{action:?}: {}", story.told);
    }
}

#[test]
fn a_strategy_that_is_switched_off_leaves_no_bid() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.say("", rest(31, 10));
    for id in [1, 2] {
        story.news(id, "live", OrderUpdate::Live);
    }
    story.told.clear();
    story.hear("", ControlEvent::Strategy { id: StrategyId::STINK_BIDDER, run: false }.into());
    assert_eq!((lines(&story, "cancel #1"), lines(&story, "cancel #2")), (1, 1), "{}", story.told);
}

// What is not known.

#[test]
fn a_holding_can_be_sold_while_its_fee_is_not_known() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    relist(&mut story, |market| market.fees = Fees::UNKNOWN);
    story.pass(3 * SECOND);
    story.say("", trade(Side::Buy, 44, 10));
    assert_eq!(story.denials(), ["fee_unknown"]);
    story.say("", sell_all(20));
    assert_eq!(lines(&story, "place #2 sell yes 10"), 1, "{}", story.told);
}

#[test]
fn markets_and_tokens_that_are_not_listed_are_no_reason_to_panic() {
    let (token, key) = (Token(9), MarketKey(4));
    let cents = Price::cents(30);
    let order = ExternalOrder {
        id: ClientOrderId::external(0, 7),
        hash: OrderHash::from_bytes([9; 32]),
        token,
        side: Side::Buy,
        price: cents,
        size: Shares::whole(10),
        open: true,
    };
    let shares = Finding::Shares { token, micros: 5_000_000, code: Code::literal("story") };
    let close = Close { token, fraction_ppm: 1_000_000, floor: Price::ZERO };
    let mut story = Story::new();
    let quote = Quote { token, side: Side::Buy, price: cents, size: Shares::whole(10), exit: None };
    let mut events = vec![
        AccountEvent::External(order).into(),
        AccountEvent::Finding(shares).into(),
        operator(OperatorCommand::Flatten { market: Some(key), collar: None }),
        operator(OperatorCommand::Close { token, fraction_ppm: 500_000, collar: None }),
        operator(OperatorCommand::CancelMarket(Some(key))),
        operator(OperatorCommand::ReleaseMarket(key)),
        operator(OperatorCommand::ReleaseToken(token)),
        ControlEvent::Blocker { cause: Cause::Token(token), on: true, detail: String::new() }
            .into(),
        MarketEvent::Interrupted(Interruption { market: Some(key) }).into(),
        MarketEvent::Tick { market: key, tick: Tick::Thousandth }.into(),
    ];
    let elsewhere = |signal: Event| {
        let Event::World(world) = signal else { unreachable!() };
        let WorldEvent::Signal(signal) = &*world else { unreachable!() };
        let signal = Signal { market: key, ..signal.clone() };
        Event::from(WorldEvent::Signal(signal))
    };
    let actions = [Action::Quotes(vec![quote]), Action::Close(close)];
    for (counter, action) in actions.into_iter().enumerate() {
        events.push(elsewhere(foreign(&story, counter as u64 + 1, action)));
    }
    for event in events {
        story.hear("", event);
        story.pass(2 * SECOND);
    }
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    assert_eq!(story.engine.manager().halted(), None);
}

// Figures at their limit.

#[test]
fn what_meets_a_limit_exactly_is_admitted_and_a_millionth_more_is_not() {
    // A quote of ten shares at 0.30 costs 3.00 and no fee.
    type Set = fn(&mut RawRisk, Usdc);
    let limits: [(&str, Set); 7] = [
        ("max_order", |risk, most| risk.max_order_usd = most),
        ("max_market", |risk, most| risk.max_market_usd = most),
        ("max_event", |risk, most| risk.max_event_usd = most),
        ("max_category", |risk, most| risk.max_category_usd = most),
        ("max_strategy", |risk, most| risk.max_strategy_usd = most),
        ("max_account", |risk, most| risk.max_account_usd = most),
        ("unsettled", |risk, most| risk.max_unsettled_usd = most),
    ];
    for (code, set) in limits {
        for (most, admitted) in [("3", true), ("2.999999", false)] {
            let mut story = Story::with(|risk| set(risk, usd(most)));
            story.say("", quotes(&[(YES, 30, 10)], None));
            assert_eq!(lines(&story, "place") == 1, admitted, "{code} {most}");
            let denied: &[&str] = if admitted { &[] } else { &[code] };
            assert_eq!(story.denials(), denied);
        }
    }
    for (most, admitted) in [(10, true), (9, false)] {
        let mut story = Story::with(|risk| risk.max_shares = most);
        story.say("", quotes(&[(YES, 30, 10)], None));
        assert_eq!(lines(&story, "place") == 1, admitted, "max_shares {most}");
    }
}

#[test]
fn all_the_cash_can_be_spent_with_its_fees_and_not_a_cent_more() {
    // The reserve of an immediate buy is 5 % and a hundred millionths.
    for (dollars, admitted) in [("952.38", true), ("952.39", false)] {
        let mut story = Story::with(|risk| {
            let most = Usdc::whole(5_000);
            (risk.max_order_usd, risk.max_market_usd, risk.max_event_usd) = (most, most, most);
            (risk.max_strategy_usd, risk.max_account_usd) = (most, most);
            risk.max_unsettled_usd = most;
            risk.max_category_usd = most;
        });
        let Action::Trade(intent) = trade(Side::Buy, 44, 1) else { unreachable!() };
        let intent = TradeIntent { size: Size::Spend(usd(dollars)), ..intent };
        story.say("", Action::Trade(intent));
        assert_eq!(lines(&story, "place") == 1, admitted, "{dollars}: {:?}", story.denials());
        if admitted {
            assert_eq!(free(&story), usd("0.0009"));
        }
    }
}

#[test]
fn a_buy_is_as_far_from_the_book_as_the_collar_says_also_where_nothing_is_offered() {
    let mut story = Story::new();
    story.say("", trade(Side::Buy, 54, 10));
    story.say("", trade(Side::Buy, 55, 10));
    assert_eq!((lines(&story, "place"), story.denials()), (1, vec!["price_collar"]));
    // Without offers the best bid counts.
    for (cents, admitted) in [(50, true), (51, false)] {
        let mut story = Story::new();
        let (bids, asks) = (vec![(Price::cents(40), Shares::whole(200))], Vec::new());
        let snapshot = BookSnapshot { token: YES, bids, asks };
        story.hear("", Event::Market(MarketEvent::Snapshot(snapshot.into())));
        story.pass(SECOND);
        story.say("", trade(Side::Buy, cents, 10));
        assert_eq!(lines(&story, "place") == 1, admitted, "{cents}: {:?}", story.denials());
    }
}

#[test]
fn so_many_orders_are_open_as_the_limit_says() {
    let mut story = Story::with(|risk| risk.max_open_orders = 2);
    story.say("", quotes(&[(YES, 30, 5), (YES, 29, 5), (YES, 28, 5)], None));
    assert_eq!((lines(&story, "place"), story.denials()), (2, vec!["open_orders"]));
}

// Exits.

#[test]
fn a_flatten_while_a_stop_is_in_flight_sells_nothing_twice() {
    let mut story = Story::new();
    story.bought(20, 40, Some(stop()));
    story.pass(2 * SECOND);
    story.book(34, 38);
    story.pass(2_500);
    assert_eq!(lines(&story, "place #2 sell yes 20"), 1, "{}", story.told);
    story.told.clear();
    story.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }));
    story.pass(SECOND);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        story.fill(2, 2, YES, Side::Sell, 12, 34, status);
    }
    story.news(2, "killed", killed(12));
    story.pass(SECOND);
    assert_eq!(lines(&story, "place #3 sell yes 8"), 1, "{}", story.told);
    settled(&mut story, 3, YES, Side::Sell, 8, 34);
    story.pass(MINUTE);
    assert_eq!(lines(&story, "place"), 1, "{}", story.told);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    assert_eq!(story.engine.manager().halted(), None);
}

#[test]
fn a_stop_whose_book_is_invalidated_between_its_checks_waits_for_depth_that_stands() {
    let mut story = Story::new();
    story.bought(20, 40, Some(stop()));
    story.pass(2 * SECOND);
    story.book(34, 38);
    story.pass(500);
    story.hear("", MarketEvent::Interrupted(Interruption { market: None }).into());
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "place #2"), 0, "{}", story.told);
    story.book(34, 38);
    story.pass(900);
    assert_eq!(lines(&story, "place #2"), 0, "{}", story.told);
    story.pass(1_200);
    assert_eq!(lines(&story, "place #2 sell yes 20"), 1, "{}", story.told);
}

#[test]
fn a_stop_of_no_is_measured_at_the_complement_of_the_offers() {
    let mut story = Story::new();
    // NO is bid at 0.56.
    story.bought_of(NO, 20, 56, Some(stop()));
    story.pass(3 * SECOND);
    story.book(44, 48);
    story.pass(3 * SECOND);
    assert_eq!(lines(&story, "place #2"), 0, "0.52: {}", story.told);
    story.book(47, 49);
    story.pass(2_500);
    assert_eq!(lines(&story, "place #2 sell no 20 at 0.4900 FAK"), 1, "{}", story.told);
}

#[test]
fn a_paused_market_cancels_what_rests_and_its_exit_leaves_when_it_opens() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.pass(2 * SECOND);
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(2, "live", OrderUpdate::Live);
    story.told.clear();
    market_state(&mut story, MarketState::Paused);
    assert_eq!(lines(&story, "cancel #2"), 1, "{}", story.told);
    story.news(2, "cancelled", cancelled(0));
    story.hear(
        "",
        operator(OperatorCommand::Close { token: YES, fraction_ppm: 1_000_000, collar: None }),
    );
    story.pass(20 * SECOND);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    market_state(&mut story, MarketState::Open);
    story.book(40, 44);
    story.pass(3 * SECOND);
    assert_eq!(lines(&story, "place"), 1, "{}", story.told);
    assert_eq!(lines(&story, "place #3 sell yes 10"), 1, "{}", story.told);
}

#[test]
fn a_strategys_own_sales_that_are_refused_do_not_go_on_as_fast_as_it_asks() {
    for (urgency, whole) in [(Urgency::Rest, false), (Urgency::Now, true)] {
        let mut story = Story::new();
        story.bought(10, 30, None);
        story.pass(3 * SECOND);
        story.sent.clear();
        story.told.clear();
        for n in 0..200 {
            story.now += 50;
            story.say("", sale(45 - 8 * u16::from(whole), 10, urgency, whole));
            let last = story.last_order();
            if last > 1 {
                let text = format!("text {n}");
                let reason = RejectReason::Other(text);
                story.news(last, "refused", OrderUpdate::Rejected { reason });
            }
        }
        assert!(lines(&story, "place") <= 20, "{} in 10 s", lines(&story, "place"));
        // An operator's exit does not wait for it.
        story.told.clear();
        story.hear("", operator(OperatorCommand::Flatten { market: None, collar: None }));
        story.pass(SECOND);
        assert_eq!(lines(&story, "place"), 1, "{}", story.told);
    }
}

// Several owners.

#[test]
fn an_entry_never_meets_an_order_that_a_person_placed_elsewhere() {
    let mut story = Story::new();
    external(&mut story, 1, Side::Sell, 44, 20);
    story.say("", trade(Side::Buy, 44, 10));
    assert_eq!((lines(&story, "place"), story.denials()), (0, vec!["self_cross"]));
    // A bid for NO at 0.57 is an offer of YES at 0.43.
    let mut story = Story::new();
    external(&mut story, 1, Side::Buy, 43, 20);
    story.say("", quotes(&[(NO, 57, 10)], None));
    assert_eq!((lines(&story, "place"), story.denials()), (0, vec!["self_cross"]));
    story.say("", quotes(&[(NO, 56, 10)], None));
    assert_eq!(lines(&story, "place"), 1);
}

// Operator commands.

#[test]
fn after_a_kill_only_rearm_and_then_resume_let_new_signals_trade() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.hear("", operator(OperatorCommand::Kill));
    story.news(1, "cancelled", cancelled(0));
    story.told.clear();
    story.hear("", operator(OperatorCommand::Resume));
    assert_eq!(blockers(&story), [Cause::Killed]);
    story.hear("", operator(OperatorCommand::Rearm));
    assert_eq!(blockers(&story), [Cause::Paused]);
    story.say("", trade(Side::Buy, 44, 10));
    story.pass(10 * SECOND);
    assert_eq!(lines(&story, "place"), 0, "{}", story.told);
    story.hear("", operator(OperatorCommand::Resume));
    story.pass(10 * SECOND);
    assert_eq!(lines(&story, "place"), 0, "nothing of before: {}", story.told);
    story.say("", quotes(&[(YES, 31, 10)], None));
    assert_eq!(lines(&story, "place #2 buy yes 10 at 0.3100"), 1, "{}", story.told);
}

#[test]
fn a_target_that_rests_is_moved_to_the_new_tick_size() {
    let plan =
        ExitPlan { take_profit: Some(TakeProfit { gain: 505, rest: true }), ..ExitPlan::default() };
    let mut story = Story::new();
    tick(&mut story, Tick::Thousandth);
    story.ttl.store(600, Ordering::Relaxed);
    story.bought(10, 40, Some(plan));
    story.pass(2 * SECOND);
    assert_eq!(lines(&story, "place #2 sell yes 10 at 0.4510"), 1, "{}", story.told);
    story.news(2, "live", OrderUpdate::Live);
    story.told.clear();
    tick(&mut story, Tick::Cent);
    story.pass(SECOND);
    assert_eq!(lines(&story, "cancel #2"), 1, "{}", story.told);
    story.news(2, "cancelled", cancelled(0));
    story.pass(3 * SECOND);
    assert_eq!(lines(&story, "place #3 sell yes 10 at 0.4600"), 1, "{}", story.told);
}

// Rules whose absence nothing else would show.

#[test]
fn money_that_rests_in_one_order_is_not_there_for_another() {
    let mut story = Story::with(|risk| {
        let most = Usdc::whole(5_000);
        (risk.max_order_usd, risk.max_market_usd, risk.max_event_usd) = (most, most, most);
        (risk.max_strategy_usd, risk.max_account_usd, risk.max_unsettled_usd) = (most, most, most);
        risk.max_category_usd = most;
    });
    story.say("", quotes(&[(YES, 30, 2_000), (YES, 29, 2_000)], None));
    assert_eq!((lines(&story, "place"), story.denials()), (1, vec!["no_cash"]));
    assert_eq!(free(&story), Usdc::whole(400));
}

#[test]
fn a_losing_streak_is_over_after_its_time_whether_a_timer_came_or_not() {
    let mut story = Story::with(|risk| risk.max_losses_in_a_row = 1);
    story.bought(10, 40, None);
    story.after(SECOND).timer();
    story.say("", trade(Side::Sell, 36, 10));
    settled(&mut story, 2, YES, Side::Sell, 10, 38);
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["losing_streak"]);
    story.after(2 * MINUTE + SECOND).book(40, 44);
    story.say("", quotes(&[(YES, 31, 10)], None));
    assert_eq!(lines(&story, "place #3 buy yes 10"), 1, "{}", story.told);
}

#[test]
fn a_cancel_without_an_answer_is_repeated_so_often_and_again_once_its_order_lives() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.say("", quotes(&[], None));
    story.pass(2 * MINUTE);
    assert_eq!(lines(&story, "cancel #1"), 5, "{}", story.told);
    assert!(lines(&story, "query #1") > 1, "{}", story.told);
    story.news(1, "refused", OrderUpdate::CancelRefused { still_open: true });
    story.pass(2 * MINUTE);
    assert_eq!(lines(&story, "cancel #1"), 10, "{}", story.told);
}

#[test]
fn an_answer_that_is_overtaken_by_the_fills_of_its_order_raises_no_question() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    settled(&mut story, 1, YES, Side::Buy, 10, 30);
    story.news(1, "live", OrderUpdate::Live);
    story.pass(30 * SECOND);
    assert_eq!((lines(&story, "query"), lines(&story, "cancel")), (0, 0), "{}", story.told);
    assert_eq!(state(&story, 1), OrderState::Filled);
}

#[test]
fn an_exit_cancels_no_more_of_the_strategys_sales_than_it_needs() {
    let mut story = Story::new();
    story.bought(30, 30, None);
    story.pass(3 * SECOND);
    for (id, cents) in [(2, 50), (3, 51)] {
        story.say("", sale(cents, 10, Urgency::Rest, false));
        story.news(id, "live", OrderUpdate::Live);
    }
    story.told.clear();
    let half = OperatorCommand::Close { token: YES, fraction_ppm: 500_000, collar: None };
    story.hear("", operator(half));
    assert_eq!((lines(&story, "cancel #2"), lines(&story, "cancel #3")), (1, 0), "{}", story.told);
    assert_eq!(lines(&story, "place #4 sell yes 10 at 0.3800 FAK"), 1, "{}", story.told);
}

#[test]
fn a_sale_that_finds_bids_ends_the_row_of_those_that_found_none() {
    let mut story = Story::new();
    story.bought(20, 40, Some(stop()));
    story.pass(2 * SECOND);
    story.book(34, 38);
    story.pass(2_500);
    for id in [2, 3] {
        story.news(id, "killed", OrderUpdate::Rejected { reason: RejectReason::FakKilled });
        story.pass(500);
    }
    assert_eq!(lines(&story, "place #4 sell yes 20 at 0.3000"), 1, "{}", story.told);
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        story.fill(4, 4, YES, Side::Sell, 10, 34, status);
    }
    story.news(4, "killed", killed(10));
    story.pass(500);
    assert_eq!(lines(&story, "place #5 sell yes 10 at 0.3200"), 1, "{}", story.told);
}

#[test]
fn an_operator_who_repeats_a_close_does_not_wait_for_its_earlier_tries() {
    let mut story = Story::with(|risk| risk.exit_tries = 2);
    story.bought(20, 40, None);
    story.pass(3 * SECOND);
    let close = OperatorCommand::Close { token: YES, fraction_ppm: 1_000_000, collar: None };
    story.hear("", operator(close));
    for id in 2..6 {
        let reason = RejectReason::FakKilled;
        story.news(id, "killed", OrderUpdate::Rejected { reason });
        story.pass(2_500);
    }
    story.told.clear();
    assert_eq!(story.engine.manager().orders().open_count(), 0);
    story.hear("", operator(close));
    assert_eq!(lines(&story, "place"), 1, "{}", story.told);
}

#[test]
fn of_two_quotes_of_equal_edge_that_would_meet_the_first_stays() {
    for (edge, cancels) in [(10, 0), (11, 1)] {
        let mut story = Story::new();
        story.say("", quotes(&[(YES, 35, 10)], None));
        story.news(1, "live", OrderUpdate::Live);
        let Event::World(world) = foreign(&story, 1, quotes(&[(NO, 65, 10)], None)) else {
            unreachable!()
        };
        let WorldEvent::Signal(signal) = &*world else { unreachable!() };
        let (strategy, edge) = (StrategyId::literal("alpha"), Usdc::cents(edge));
        story.hear("", WorldEvent::Signal(Signal { strategy, edge, ..signal.clone() }).into());
        assert_eq!(story.denials(), ["self_cross"]);
        assert_eq!(lines(&story, "cancel #1"), cancels, "{edge}: {}", story.told);
    }
}

#[test]
fn a_fill_ends_a_row_of_refusals_like_an_answer() {
    let mut story = Story::new();
    let refused = || OrderUpdate::Rejected { reason: RejectReason::Balance };
    for id in [1, 2] {
        story.say("", trade(Side::Buy, 44, 10));
        story.news(id, "refused", refused());
        story.after(5 * SECOND).book(40, 44);
    }
    story.say("", trade(Side::Buy, 44, 10));
    story.fill(3, 3, YES, Side::Buy, 10, 44, TradeStatus::Matched);
    story.say("", trade(Side::Buy, 44, 10));
    story.news(4, "refused", refused());
    story.after(3 * SECOND).book(40, 44);
    story.say("", trade(Side::Buy, 44, 10));
    assert_eq!(lines(&story, "place #5 buy yes"), 1, "{}", story.told);
}

#[test]
fn after_a_stop_the_rest_can_be_offered_while_nothing_is_bought() {
    let mut story = Story::new();
    story.bought(20, 40, Some(stop()));
    story.bought(20, 30, None);
    story.pass(2 * SECOND);
    story.book(34, 38);
    story.pass(2_500);
    settled(&mut story, 3, YES, Side::Sell, 20, 34);
    let quote = |side, cents| Quote {
        token: YES,
        side,
        price: Price::cents(cents),
        size: Shares::whole(10),
        exit: None,
    };
    story.told.clear();
    story.say("", Action::Quotes(vec![quote(Side::Buy, 30), quote(Side::Sell, 45)]));
    assert_eq!(story.denials(), ["just_stopped"]);
    assert_eq!(lines(&story, "place #4 sell yes 10 at 0.4500"), 1, "{}", story.told);
}
