//! The account's seams: links, snapshots, external orders, settled amounts, blockers, expiry, delisting.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use expect_test::expect;
use polydesk_domain::{
    AccountEvent, AccountSnapshot, Action, Basis, CancelReason, Cause, Channel, ClientOrderId,
    Close, Command, ControlEvent, Event, ExternalOrder, Fill, Finding, MarketEvent, MarketKey,
    OperatorCommand, OrderHash, OrderUpdate, OwnTrade, Price, Role, Shares, Side, StrategyId, Tif,
    Time, Token, TradeId, TradeStatus, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{LedgerAccount, RiskLimits};

use crate::harness::{NO, Story, YES, operator, quotes, rest, trade};

fn snapshot(story: &mut Story, what: &str, change: impl FnOnce(&mut AccountSnapshot)) {
    let cash = story.engine.manager().ledger().balance(LedgerAccount::Cash);
    let mut snapshot =
        AccountSnapshot { epoch: 1, complete: true, cash, ..AccountSnapshot::default() };
    change(&mut snapshot);
    story.hear(what, AccountEvent::Snapshot(snapshot).into());
}

fn link(story: &mut Story, up: bool) {
    let event = AccountEvent::Link { channel: Channel::User, up };
    story.hear(if up { "user link up" } else { "user link down" }, event.into());
}

#[test]
fn after_a_link_was_down_only_a_complete_agreeing_snapshot_of_that_epoch_opens_the_gate() {
    let mut story = Story::new();
    link(&mut story, false);
    story.say("want yes 30", quotes(&[(YES, 30, 10)], None));
    link(&mut story, true);
    snapshot(&mut story, "a pass that began before", |s| s.epoch = 0);
    snapshot(&mut story, "incomplete", |s| s.complete = false);
    snapshot(&mut story, "other cash", |s| s.cash -= Usdc::new(1));
    snapshot(&mut story, "other shares", |s| {
        s.shares.insert(NO, Shares::new(1));
    });
    snapshot(&mut story, "an order we do not know", |s| {
        s.open.insert(OrderHash::from_bytes([7; 32]), Shares::ZERO);
    });
    story.say("want yes 31", quotes(&[(YES, 31, 10)], None));
    snapshot(&mut story, "agrees", |_| ());
    story.say("want yes 32", quotes(&[(YES, 32, 10)], None));
    story.check(expect![[r#"
        1ms user link down
        1ms want yes 30
        1ms user link up
        1ms a pass that began before
            note snapshot_outdated: a pass of epoch 0 does not count: the epoch is 1
        1ms incomplete
            note snapshot_incomplete: a list was not read to its end: the pass proves nothing
        1ms other cash
            note snapshot_differs: cash: 999.999999 there, 1000.00 here
        1ms other shares
            note snapshot_differs: shares of token 1003: 0.000001 there, 0 here
        1ms an order we do not know
            note snapshot_differs: order 0x0707070707070707070707070707070707070707070707070707070707070707: open there, unknown here
        1ms want yes 31
        1ms agrees
        1ms want yes 32
            place #1 buy yes 10 at 0.3200
    "#]]);
}

pub fn external(story: &mut Story, n: u32, side: Side, cents: u16, shares: u64) -> u64 {
    let id = ClientOrderId::external(0, n);
    let order = ExternalOrder {
        id,
        hash: OrderHash::from_bytes([n as u8; 32]),
        token: YES,
        side,
        price: Price::cents(cents),
        size: Shares::whole(shares),
        open: true,
    };
    story.hear("external order", AccountEvent::External(order).into());
    id.0
}

#[test]
fn an_external_order_counts_in_the_account_and_no_strategy_sells_what_it_buys() {
    let mut story = Story::with(|risk| risk.max_account_usd = Usdc::whole(10));
    let id = external(&mut story, 1, Side::Buy, 40, 20);
    assert_eq!(story.engine.manager().free_cash(), Usdc::whole(992));
    // Eight of ten dollars are taken: three more do not fit.
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["max_account"]);
    story.fill(id, 5, YES, Side::Buy, 20, 40, TradeStatus::Matched);
    story.fill(id, 5, YES, Side::Buy, 20, 40, TradeStatus::Confirmed);
    assert_eq!(story.engine.manager().orders().open_count(), 0);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    let external = story.engine.manager().position(StrategyId::EXTERNAL, YES);
    assert_eq!((external.confirmed, external.cost), (Shares::whole(20), Usdc::whole(8)));
    story.told.clear();
    let close = Close { token: YES, fraction_ppm: 1_000_000, floor: Price::ZERO };
    story.say("close", Action::Close(close));
    story.say("sell", trade(Side::Sell, 35, 10));
    story.check(expect![[r#"
        1ms close
        1ms sell
    "#]]);
}

#[test]
fn an_external_order_is_cancelled_by_name() {
    let mut story = Story::new();
    let id = external(&mut story, 3, Side::Buy, 30, 10);
    story.told.clear();
    story.hear("cancel", operator(OperatorCommand::CancelOrder(ClientOrderId(id))));
    story.check(expect![[r#"
        1ms cancel
            cancel #2147483651
    "#]]);
}

#[test]
fn what_a_person_sells_elsewhere_leaves_the_lots_of_strategies() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    let id = external(&mut story, 1, Side::Sell, 40, 4);
    story.fill(id, 9, YES, Side::Sell, 4, 40, TradeStatus::Matched);
    assert_eq!(story.held(YES), "held 6 + 0 unsettled, cost 1.80");
    story.fill(id, 9, YES, Side::Sell, 4, 40, TradeStatus::Confirmed);
    let manager = story.engine.manager();
    assert_eq!(manager.ledger().balance(LedgerAccount::Cash), Usdc::cents(99_860));
    assert_eq!((manager.halted(), manager.ledger().imbalance()), (None, Usdc::ZERO));
}

#[test]
fn a_finding_is_booked_or_freezes() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    let code = polydesk_domain::Code::literal("reward");
    let found = |story: &mut Story, finding| story.hear("", AccountEvent::Finding(finding).into());
    found(&mut story, Finding::Cash { amount: Usdc::whole(5), code });
    assert_eq!(story.engine.manager().ledger().balance(LedgerAccount::Cash), Usdc::whole(1_002));
    found(&mut story, Finding::Shares { token: NO, micros: 2_000_000, code });
    let external = story.engine.manager().position(StrategyId::EXTERNAL, NO);
    assert_eq!((external.confirmed, external.cost), (Shares::whole(2), Usdc::ZERO));
    found(&mut story, Finding::Shares { token: YES, micros: -4_000_000, code });
    assert_eq!(story.held(YES), "held 6 + 0 unsettled, cost 1.80");
    found(&mut story, Finding::Shares { token: YES, micros: -7_000_000, code });
    let blockers = &story.engine.manager().state().blockers;
    assert!(blockers.contains_key(&Cause::Token(YES)), "one share went that no lot holds");
    found(&mut story, Finding::CashMismatch { difference: Usdc::new(3) });
    assert!(story.engine.manager().state().blockers.contains_key(&Cause::CashMismatch));
    assert_eq!(story.engine.manager().halted(), None);
}

/// Reports a fill of `order` with these amounts.
fn report(
    story: &mut Story,
    order: u64,
    side: Side,
    (shares, notional, fee): (u64, i64, i64),
    basis: Basis,
    status: TradeStatus,
) {
    let fill = Fill {
        shares: Shares::new(shares),
        notional: Usdc::new(notional),
        fee: Usdc::new(fee),
        level: None,
        basis,
    };
    let trade = OwnTrade {
        trade: TradeId(u128::from(order)),
        order: ClientOrderId(order),
        token: YES,
        side,
        role: Role::Taker,
        fill,
        status,
    };
    story.hear("", Event::trade(trade));
}

const TEN: u64 = 10_000_000;

/// Ten YES for an estimated 3.000010 and a fee of 0.1.
fn estimated() -> Story {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 31, 10)], None));
    let estimate = (TEN, 3_000_010, 100_000);
    report(&mut story, 1, Side::Buy, estimate, Basis::Estimated, TradeStatus::Matched);
    story
}

fn cash(story: &Story) -> i64 {
    let manager = story.engine.manager();
    assert_eq!(manager.ledger().imbalance(), Usdc::ZERO);
    assert_eq!(manager.halted(), None);
    manager.ledger().balance(LedgerAccount::Cash).micros() - 1_000_000_000
}

#[test]
fn settled_amounts_correct_an_estimate_once_before_or_after_the_end() {
    use TradeStatus::{Confirmed, Matched};
    let settled = (TEN, 3_000_000, 99_990);
    for order in [[Confirmed, Matched], [Matched, Confirmed]] {
        let mut story = estimated();
        if order[0] == Confirmed {
            report(
                &mut story,
                1,
                Side::Buy,
                (TEN, 3_000_010, 100_000),
                Basis::Estimated,
                Confirmed,
            );
        }
        report(&mut story, 1, Side::Buy, settled, Basis::Settled, order[1]);
        report(&mut story, 1, Side::Buy, settled, Basis::Settled, Confirmed);
        assert_eq!(cash(&story), -3_099_990);
        let again = (TEN, 2_000_000, 0);
        report(&mut story, 1, Side::Buy, again, Basis::Settled, Confirmed);
        assert_eq!(cash(&story), -3_099_990, "settled amounts are corrected by nothing");
        assert_eq!(story.held(YES), "held 10 + 0 unsettled, cost 3.09999");
        let anomalies = &story.engine.manager().counts().anomalies;
        assert_eq!(anomalies.get("contradicted_fill"), Some(&1));
    }
}

#[test]
fn a_corrected_fill_that_fails_gives_back_what_it_took() {
    let mut story = estimated();
    report(&mut story, 1, Side::Buy, (TEN, 3_000_000, 99_990), Basis::Settled, TradeStatus::Mined);
    report(&mut story, 1, Side::Buy, (TEN, 3_000_000, 99_990), Basis::Settled, TradeStatus::Failed);
    assert_eq!(cash(&story), 0);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    assert_eq!(story.engine.manager().ledger().fees(), Usdc::ZERO);
}

#[test]
fn a_difference_in_shares_goes_to_the_lot_or_to_the_rounding_account_or_freezes() {
    let estimate = (TEN, 3_000_010, 100_000);
    // Held: the lot has what settled.
    let mut story = estimated();
    report(
        &mut story,
        1,
        Side::Buy,
        (TEN - 4, 3_000_010, 100_000),
        Basis::Settled,
        TradeStatus::Confirmed,
    );
    assert_eq!(story.held(YES), "held 9.999996 + 0 unsettled, cost 3.10001");
    // Sold meanwhile: the rounding account, up to a hundredth of a share.
    for (short, frozen) in [(9_999, false), (10_001, true)] {
        let mut story = estimated();
        report(&mut story, 1, Side::Buy, estimate, Basis::Estimated, TradeStatus::Confirmed);
        story.after(1_000).timer();
        let close = Close { token: YES, fraction_ppm: 1_000_000, floor: Price::cents(20) };
        story.say("", Action::Close(close));
        let sale = story.last_order();
        story.fill(sale, 70, YES, Side::Sell, 10, 38, TradeStatus::Matched);
        story.fill(sale, 70, YES, Side::Sell, 10, 38, TradeStatus::Confirmed);
        assert_eq!(cash(&story), 3_800_000 - 3_100_010);
        let settled = (TEN - short, 3_000_000, 100_000);
        report(&mut story, 1, Side::Buy, settled, Basis::Settled, TradeStatus::Confirmed);
        // Ten micro-dollars less were paid: profit of what is sold already.
        assert_eq!(cash(&story), 3_800_000 - 3_100_000);
        let state = story.engine.manager().state();
        assert_eq!(state.rounding.get(&YES), Some(&-(short as i64)));
        assert_eq!(state.blockers.contains_key(&Cause::Token(YES)), frozen, "{short}");
        let profit = -story.engine.manager().ledger().balance(LedgerAccount::Realised);
        assert_eq!(profit, Usdc::new(700_000));
    }
}

#[test]
fn a_sale_is_corrected_before_and_after_it_is_final() {
    for last in [TradeStatus::Matched, TradeStatus::Confirmed] {
        let mut story = estimated();
        report(
            &mut story,
            1,
            Side::Buy,
            (TEN, 3_000_010, 100_000),
            Basis::Settled,
            TradeStatus::Confirmed,
        );
        story.after(1_000).timer();
        let close = Close { token: YES, fraction_ppm: 1_000_000, floor: Price::cents(20) };
        story.say("", Action::Close(close));
        let sale = story.last_order();
        report(&mut story, sale, Side::Sell, (TEN, 3_800_000, 100), Basis::Estimated, last);
        report(
            &mut story,
            sale,
            Side::Sell,
            (TEN, 3_800_020, 90),
            Basis::Settled,
            TradeStatus::Confirmed,
        );
        assert_eq!(cash(&story), 3_800_020 - 90 - 3_100_010, "{last:?}");
        let profit = -story.engine.manager().ledger().balance(LedgerAccount::Realised);
        assert_eq!(profit, Usdc::new(3_800_020 - 90 - 3_100_010));
    }
}

#[test]
fn a_pause_before_the_start_is_kept() {
    let mut story = Story::new();
    story.engine = Engine::new(Setup::simulated(RiskLimits::default()), Vec::new()).unwrap();
    story.hear("", operator(OperatorCommand::Pause));
    story.hear("", ControlEvent::Start(polydesk_domain::RunStart::backtest()).into());
    let snapshot = AccountSnapshot { complete: true, ..AccountSnapshot::default() };
    story.hear("", AccountEvent::Snapshot(snapshot).into());
    let blockers: Vec<_> = story.engine.manager().state().blockers.keys().copied().collect();
    assert_eq!(blockers, [Cause::Paused]);
}

fn blocker(story: &mut Story, cause: Cause, on: bool) {
    let detail = "story".to_owned();
    story.hear("", ControlEvent::Blocker { cause, on, detail }.into());
}

#[test]
fn each_cause_clears_its_own_blocker_and_no_other() {
    let mut story = Story::new();
    let set = |story: &Story| -> Vec<Cause> {
        story.engine.manager().state().blockers.keys().copied().collect()
    };
    blocker(&mut story, Cause::Heartbeat, true);
    blocker(&mut story, Cause::Disk, true);
    story.hear("", operator(OperatorCommand::Pause));
    // A person resumes what persons and losses closed, nothing of the runtime's.
    story.hear("", operator(OperatorCommand::Resume));
    assert_eq!(set(&story), [Cause::Heartbeat, Cause::Disk]);
    blocker(&mut story, Cause::Heartbeat, false);
    assert_eq!(set(&story), [Cause::Disk]);
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["disk"]);
    // The runtime sets and clears nothing of a person's.
    story.hear("", operator(OperatorCommand::Pause));
    blocker(&mut story, Cause::Paused, false);
    blocker(&mut story, Cause::Killed, true);
    assert_eq!(set(&story), [Cause::Disk, Cause::Paused]);
    blocker(&mut story, Cause::Disk, false);
    story.hear("", operator(OperatorCommand::Resume));
    story.say("", quotes(&[(YES, 31, 10)], None));
    assert_eq!(story.last_order(), 1);
}

#[test]
fn a_frozen_market_holds_back_its_exit_until_it_is_released() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.told.clear();
    blocker(&mut story, Cause::Market(MarketKey(0)), true);
    let close = Close { token: YES, fraction_ppm: 1_000_000, floor: Price::cents(20) };
    story.say("close", Action::Close(close));
    story.after(2_000).timer();
    assert!(!story.told.contains("place"), "{}", story.told);
    story.hear("release", operator(OperatorCommand::ReleaseMarket(MarketKey(0))));
    story.pass(3_000);
    assert!(story.told.contains("sell yes 10"), "{}", story.told);
}

#[test]
fn a_resting_intent_does_not_outlive_its_signal() {
    let mut story = Story::new();
    story.say("want 10 at 30 for a minute", rest(30, 10));
    story.news(1, "live", OrderUpdate::Live);
    assert_eq!(story.engine.manager().orders().get(ClientOrderId(1)).unwrap().tif, Tif::Gtc);
    story.pass(59_000);
    story.pass(5_000);
    let reason = CancelReason::Requested;
    story.news(1, "cancelled", OrderUpdate::Cancelled { reason, matched: Shares::ZERO });
    story.pass(60_000);
    story.check(expect![[r#"
        1ms want 10 at 30 for a minute
            place #1 buy yes 10 at 0.3000
        1ms #1 live
        60002ms timer
            cancel #1
        62003ms timer
            cancel #1
        64001ms #1 cancelled
    "#]]);
    // Far enough ahead the venue removes it by itself, a minute before the stated expiration.
    let mut story = Story::new();
    story.ttl.store(600, Ordering::Relaxed);
    story.say("", rest(30, 10));
    let tif = story.engine.manager().orders().get(ClientOrderId(1)).unwrap().tif;
    assert_eq!(tif, Tif::Gtd { expires: Time::from_millis(1_000_000 + 660_000) });
}

#[test]
fn a_cancel_that_the_rate_refuses_is_repeated() {
    let mut story = Story::with(|risk| {
        risk.max_open_orders = 2;
        risk.cancel_burst = 2;
        risk.cancels_per_second = 1;
    });
    for cents in [30, 31] {
        story.say("", quotes(&[(YES, cents, 10), (NO, cents, 10)], None));
        let (one, two) = (story.last_order() - 1, story.last_order());
        story.news(one, "live", OrderUpdate::Live);
        story.news(two, "live", OrderUpdate::Live);
        story.say("be out", quotes(&[], None));
        if cents == 30 {
            for id in [one, two] {
                let reason = CancelReason::Requested;
                story.news(id, "", OrderUpdate::Cancelled { reason, matched: Shares::ZERO });
            }
            story.told.clear();
        }
    }
    story.pass(2_500);
    story.check(expect![[r#"
            place #3 buy yes 10 at 0.3100
            place #4 buy no 10 at 0.3100
        1ms #3 live
        1ms #4 live
        1ms be out
        1001ms timer
            cancel #3
        2001ms timer
            cancel #4
    "#]]);
}

#[test]
fn a_market_is_delisted_only_when_it_is_flat() {
    let mut story = Story::new();
    let id = story.bought(10, 30, None);
    story.told.clear();
    let delisted = || MarketEvent::Delisted { market: MarketKey(0) }.into();
    story.hear("delisted", delisted());
    assert_eq!(story.engine.universe().keys().count(), 1);
    story.after(1_000).timer();
    let close = Close { token: YES, fraction_ppm: 1_000_000, floor: Price::cents(20) };
    story.say("", Action::Close(close));
    let sale = story.last_order();
    story.fill(sale, 70, YES, Side::Sell, 10, 38, TradeStatus::Matched);
    story.hear("delisted while a sale is not final", delisted());
    story.fill(sale, 70, YES, Side::Sell, 10, 38, TradeStatus::Confirmed);
    story.news(sale, "", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.hear("delisted flat", delisted());
    assert_eq!(story.engine.universe().keys().count(), 0);
    let state = story.engine.manager().state();
    assert_eq!((state.markets.len(), state.orders.count()), (0, 0), "order {id} is forgotten too");
    let notes = story.told.matches("note delisting_refused").count();
    assert_eq!(notes, 2, "{}", story.told);
    // The key is never used again.
    let again = polydesk_domain::Market::plain(1, "story");
    let key = story.engine.universe().next_key();
    assert_eq!(key, MarketKey(1));
    story.hear("", MarketEvent::Listed { key, market: again.into() }.into());
    assert_eq!(story.engine.universe().keys().collect::<Vec<_>>(), [key]);
}

#[test]
fn a_listing_under_another_key_halts() {
    let mut story = Story::new();
    let market = polydesk_domain::Market::plain(2, "other");
    story.hear("", MarketEvent::Listed { key: MarketKey(7), market: market.into() }.into());
    assert!(story.engine.manager().halted().is_some_and(|why| why.contains("listed under key 7")));
}

#[test]
fn an_operator_key_is_executed_once() {
    let mut story = Story::new();
    let order = |command| {
        let (by, why) = ("ann".to_owned(), "test".to_owned());
        let key = "k1".to_owned();
        ControlEvent::Operator(polydesk_domain::Operator { by, why, key, command }).into()
    };
    story.hear("", order(OperatorCommand::Pause));
    story.hear("", operator(OperatorCommand::Resume));
    story.hear("", order(OperatorCommand::Pause));
    assert!(story.engine.manager().state().blockers.is_empty());
}

#[test]
fn new_limits_bind_at_once_and_broken_ones_are_refused() {
    let mut story = Story::new();
    story.hear("limits", ControlEvent::Limits { toml: "max_order_usd = 2".into() }.into());
    story.say("", quotes(&[(YES, 30, 10)], None));
    assert_eq!(story.denials(), ["max_order"]);
    story.hear("limits", ControlEvent::Limits { toml: "max_order_usd = 0".into() }.into());
    assert_eq!(story.engine.manager().limits().max_order, Usdc::whole(2));
    assert!(story.told.contains("note limits_refused"), "{}", story.told);
}

#[test]
fn signals_of_another_process_are_taken_once_in_order() {
    let mut story = Story::new();
    let signal = |counter, cents| {
        let action = quotes(&[(YES, cents, 10)], None);
        let id =
            polydesk_domain::SignalId { producer: StrategyId::literal("box2"), epoch: 4, counter };
        let created = Time::from_millis(1_000_000);
        polydesk_domain::WorldEvent::Signal(polydesk_domain::Signal {
            id,
            strategy: StrategyId::STINK_BIDDER,
            market: MarketKey(0),
            action,
            created,
            expires: created + polydesk_domain::Span::secs(60),
            edge: Usdc::ZERO,
            reason: polydesk_domain::Reason::new("story"),
        })
        .into()
    };
    story.hear("first", signal(1, 30));
    story.hear("again", signal(1, 30));
    story.hear("third", signal(3, 29));
    story.hear("second, late", signal(2, 28));
    story.check(expect![[r#"
        1ms first
            place #1 buy yes 10 at 0.3000
        1ms again
        1ms third
            cancel #1
            place #2 buy yes 10 at 0.2900
        1ms second, late
    "#]]);
    let duplicate = polydesk_domain::Code::literal("duplicate");
    let drops: BTreeMap<_, _> = story.engine.drops().clone();
    assert_eq!(drops.get(&(StrategyId::STINK_BIDDER, duplicate)), Some(&2));
}

#[test]
fn a_strategy_that_is_switched_off_is_not_called_and_its_quotes_are_pulled() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    story.told.clear();
    let switch = |run| ControlEvent::Strategy { id: StrategyId::STINK_BIDDER, run }.into();
    story.hear("off", switch(false));
    story.say("want yes 31", quotes(&[(YES, 31, 10)], None));
    story.hear("on", switch(true));
    story.say("want yes 32", quotes(&[(YES, 32, 10)], None));
    story.check(expect![[r#"
        1ms off
            cancel #1
        1ms want yes 31
        1ms on
        1ms want yes 32
            place #2 buy yes 10 at 0.3200
    "#]]);
}

#[test]
fn every_order_of_a_signal_leaves_in_one_request_of_fifteen_at_most() {
    let mut story = Story::with(|risk| {
        risk.max_market_usd = Usdc::whole(1_000);
        risk.max_event_usd = Usdc::whole(1_000);
        risk.max_order_usd = Usdc::whole(100);
    });
    let wanted: Vec<(Token, u16, u64)> = (20..37).map(|cents| (YES, cents, 5)).collect();
    story.script.lock().unwrap().push_back(quotes(&wanted, None));
    let at = Time::from_millis(story.now);
    let mut out = polydesk_domain::Outbox::new();
    let event = crate::harness::go();
    story.engine.handle(&polydesk_domain::Stamped { at, venue_at: at, seq: 0, event }, &mut out);
    let sizes: Vec<usize> = out
        .commands
        .iter()
        .map(|command| match command {
            Command::Place(orders) => orders.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sizes, [15, 2]);
    let Command::Place(orders) = &out.commands[0] else { unreachable!() };
    assert_eq!(orders[0].expires, at + polydesk_domain::Span::secs(60));
    assert_eq!(orders[0].data_at, at - polydesk_domain::Span::millis(1));
}
