//! What ought to hold of baskets, conversions, ledger, settled amounts, external orders, blockers, saved state
//! and listings.

use std::sync::{Arc, Mutex};

use polydesk_domain::{
    AccountEvent, AccountSnapshot, Action, AskId, Basis, Basket, BasketId, BasketKind, Cash,
    CashKind, Cause, Channel, ClientOrderId, Close, Code, Command, ControlEvent, ConversionId,
    Event, ExternalOrder, Fill, Finding, Leg, Market, MarketEvent, MarketKey, MarketState,
    OperatorCommand, OrderHash, OrderUpdate, Outbox, OwnTrade, Payout, Price, Record, RejectReason,
    Role, Shares, Side, SignalId, Stamped, StrategyId, Time, Token, TradeId, TradeStatus, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{Entry, LedgerAccount, RiskLimits};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

use crate::harness::{NO, Puppet, Story, YES, operator, quotes, trade};

const MARKET: MarketKey = MarketKey(0);

/// An engine of a run that takes up what the story's engine knows.
fn loaded(story: &Story, run: u32, entries: &[Entry]) -> Engine {
    let limits = RiskLimits::try_from(story.engine.manager().limits().raw()).unwrap();
    let puppet = Box::new(Puppet(Arc::clone(&story.script), Arc::clone(&story.ttl)));
    let setup = Setup { run, limits, blockers: Vec::new() };
    let mut engine = Engine::new(setup, vec![puppet]).unwrap();
    engine.load(entries).unwrap();
    engine
}

/// The story goes on in an engine that knows only what was saved, with an agreeing snapshot and a book.
fn restart(story: &mut Story, run: u32) {
    let entries = story.engine.save();
    story.engine = loaded(story, run, &entries);
    if story.engine.universe().is_empty() {
        let market = Arc::new(Market::plain(1, "story"));
        story.hear("", MarketEvent::Listed { key: MARKET, market }.into());
    }
    let cash = story.engine.manager().ledger().balance(LedgerAccount::Cash);
    let mut shares = std::collections::BTreeMap::new();
    for (_, token, holding) in story.engine.manager().positions().all() {
        *shares.entry(token).or_insert(Shares::ZERO) += holding.confirmed();
    }
    let known = AccountSnapshot { complete: true, cash, shares, ..AccountSnapshot::default() };
    story.hear("", AccountEvent::Snapshot(known).into());
    story.after(1_000).book(40, 44);
}

fn finding(story: &mut Story, finding: Finding) {
    story.hear("", AccountEvent::Finding(finding).into());
}

fn blocked(engine: &Engine) -> Vec<Cause> {
    engine.manager().state().blockers.keys().copied().collect()
}

fn balance(story: &Story, account: LedgerAccount) -> Usdc {
    story.engine.manager().ledger().balance(account)
}

/// The books agree and nothing is halted.
fn sound(story: &Story) {
    let manager = story.engine.manager();
    assert_eq!(manager.halted(), None);
    assert_eq!(manager.ledger().imbalance(), Usdc::ZERO);
    let (inventory, pending) = manager.positions().totals();
    assert_eq!(inventory, balance(story, LedgerAccount::Inventory));
    assert_eq!(pending, balance(story, LedgerAccount::Pending));
    assert_eq!(manager.state().check_sums(), Ok(()));
}

/// A fill by millionths and micro-dollars.
fn report(
    story: &mut Story,
    (order, trade): (u64, u128),
    (token, side): (Token, Side),
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
    let (trade, order, role) = (TradeId(trade), ClientOrderId(order), Role::Taker);
    let trade = OwnTrade { trade, order, token, side, role, fill, status };
    story.hear("", Event::trade(trade));
}

fn converted(story: &mut Story, kind: CashKind, id: Option<u64>, dollars: i64, shares: [u64; 2]) {
    let cash = Cash {
        kind,
        conversion: id.map(ConversionId),
        strategy: None,
        market: Some(MARKET),
        amount: Usdc::whole(dollars),
        shares: shares.map(Shares::whole),
    };
    story.hear("", Event::cash(cash));
}

fn sell_all(floor: u16) -> Action {
    Action::Close(Close { token: YES, fraction_ppm: 1_000_000, floor: Price::cents(floor) })
}

fn pair(kind: BasketKind, side: Side, yes: u16, no: u16, sets: u64) -> Action {
    let leg = |token, cents| Leg { token, side, limit: Price::cents(cents) };
    Action::Basket(Basket {
        kind,
        legs: vec![leg(YES, yes), leg(NO, no)],
        sets: Shares::whole(sets),
        min_edge_per_set: Usdc::cents(1),
    })
}

fn external(story: &mut Story, n: u32, side: Side, cents: u16, shares: u64) -> u64 {
    let order = ExternalOrder {
        id: ClientOrderId::external(0, n),
        hash: OrderHash::from_bytes([n as u8; 32]),
        token: YES,
        side,
        price: Price::cents(cents),
        size: Shares::whole(shares),
        open: true,
    };
    story.hear("", AccountEvent::External(order).into());
    order.id.0
}

const TEN: u64 = 10_000_000;

// Saved state.

#[test]
fn a_token_frozen_in_a_market_without_orders_is_frozen_after_a_restart() {
    let mut story = Story::new();
    let detail = "sources contradict".to_owned();
    finding(&mut story, Finding::Freeze { token: NO, detail });
    let engine = loaded(&story, 1, &story.engine.save());
    assert!(blocked(&engine).contains(&Cause::Token(NO)), "{:?}", blocked(&engine));
}

#[test]
fn a_market_that_the_runtime_froze_is_frozen_after_a_restart() {
    let mut story = Story::new();
    let detail = "its rules changed".to_owned();
    let cause = Cause::Market(MARKET);
    story.hear("", ControlEvent::Blocker { cause, on: true, detail }.into());
    let engine = loaded(&story, 1, &story.engine.save());
    assert!(blocked(&engine).contains(&cause), "{:?}", blocked(&engine));
}

#[test]
fn shares_that_went_from_a_market_without_orders_freeze_it_over_a_restart() {
    let mut story = Story::new();
    let code = Code::literal("transfer");
    finding(&mut story, Finding::Shares { token: YES, micros: -1_000_000, code });
    let engine = loaded(&story, 1, &story.engine.save());
    assert!(blocked(&engine).contains(&Cause::Token(YES)));
}

/// Ten YES bought for an estimated 3.00 and sold for 3.80, both final.
fn sold() -> Story {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    let estimate = (TEN, 3_000_000, 0);
    let bought = (YES, Side::Buy);
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Matched);
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Confirmed);
    story.after(1_000).timer();
    story.say("", sell_all(20));
    let sale = story.last_order();
    story.fill(sale, 70, YES, Side::Sell, 10, 38, TradeStatus::Matched);
    story.fill(sale, 70, YES, Side::Sell, 10, 38, TradeStatus::Confirmed);
    story.news(sale, "", OrderUpdate::Filled { matched: Shares::whole(10) });
    story
}

#[test]
fn what_is_remembered_of_a_delisted_market_does_not_spoil_the_saved_state() {
    let refused = |story: &mut Story| {
        story.say("", quotes(&[(YES, 30, 10)], None));
        let id = story.last_order();
        story.news(id, "", OrderUpdate::Rejected { reason: RejectReason::Tick });
    };
    let rounded = |story: &mut Story| {
        let settled = (TEN - 5_000, 3_000_000, 0);
        let bought = (YES, Side::Buy);
        report(story, (1, 1), bought, settled, Basis::Settled, TradeStatus::Confirmed);
        assert_eq!(story.engine.manager().state().rounding.get(&YES), Some(&-5_000));
    };
    let cases: [&dyn Fn(&mut Story); 2] = [&refused, &rounded];
    for leave in cases {
        let mut story = sold();
        leave(&mut story);
        story.hear("", MarketEvent::Delisted { market: MARKET }.into());
        assert_eq!(story.engine.universe().keys().count(), 0, "{}", story.told);
        let engine = loaded(&story, 0, &story.engine.save());
        assert_eq!(engine.state_hash(), story.engine.state_hash());
    }
}

#[test]
fn a_market_with_redemption_money_that_is_not_matched_stays_listed() {
    let mut story = Story::new();
    converted(&mut story, CashKind::Redeem, None, 10, [10, 0]);
    story.hear("", MarketEvent::Delisted { market: MARKET }.into());
    assert_eq!(story.engine.universe().keys().count(), 1);
    story.hear(
        "",
        MarketEvent::State { market: MARKET, state: MarketState::Resolved(Payout::YES) }.into(),
    );
    assert_eq!(balance(&story, LedgerAccount::Unmatched), Usdc::ZERO);
    sound(&story);
}

#[test]
fn a_freeze_that_ends_with_its_market_is_reported_as_ended() {
    let mut story = Story::new();
    let detail = "sources contradict".to_owned();
    finding(&mut story, Finding::Freeze { token: NO, detail });
    let at = Time::from_millis(story.now);
    let event = MarketEvent::Delisted { market: MARKET }.into();
    let mut out = Outbox::new();
    story.engine.handle(&Stamped { at, venue_at: at, seq: 0, event }, &mut out);
    if story.engine.universe().keys().count() == 0 {
        let off = |r: &polydesk_domain::Recorded| {
            matches!(&r.record, Record::Blocker { cause: Cause::Token(_), on: false, .. })
        };
        assert!(out.records.iter().any(off), "{:?}", out.records);
    }
}

#[test]
fn later_entries_win_for_the_facts_of_a_market_too() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    let mut entries = story.engine.save();
    let state = MarketState::Resolved(Payout::YES);
    story.hear("", MarketEvent::State { market: MARKET, state }.into());
    story.engine.changes(|entry| entries.push(entry));
    let engine = loaded(&story, 0, &entries);
    assert_eq!(engine.state_hash(), story.engine.state_hash());
    assert_eq!(engine.states(), story.engine.states());
}

#[test]
fn ids_of_a_second_run_carry_its_number_even_where_the_counters_were_lost() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.news(1, "live", OrderUpdate::Live);
    let lost = story.engine.save();
    story.say("", quotes(&[(YES, 30, 10), (NO, 30, 10)], None));
    assert_eq!(story.last_order(), 2);
    story.engine = loaded(&story, 3, &lost);
    story.hear("", operator(OperatorCommand::Resume));
    assert_eq!(story.engine.manager().orders().count(), 1, "orders of run 0 are kept");
    story.hear(
        "",
        AccountEvent::Snapshot(AccountSnapshot {
            complete: true,
            cash: Usdc::whole(1_000),
            ..AccountSnapshot::default()
        })
        .into(),
    );
    let at = Time::from_millis(story.now);
    story.script.lock().unwrap().push_back(quotes(&[(YES, 30, 10), (NO, 31, 10)], None));
    story.after(1_000).book(40, 44);
    let mut out = Outbox::new();
    let stamped = Stamped { at, venue_at: at, seq: 0, event: crate::harness::go() };
    story.engine.handle(&stamped, &mut out);
    let placed = out.commands.iter().find_map(|command| match command {
        Command::Place(orders) => Some(orders[0].clone()),
        _ => None,
    });
    let order = placed.unwrap_or_else(|| panic!("{:?} {:?}", out.records, out.commands));
    assert_eq!((order.id.run(), order.id.number()), (3, 1));
    assert_eq!(order.signal.map(|signal| (signal.epoch, signal.counter)), Some((3, 1)));
}

#[test]
fn baskets_of_a_second_run_carry_its_number() {
    let mut story = Story::new();
    restart(&mut story, 2);
    story.book(50, 40);
    story.sent.clear();
    story.say("", pair(BasketKind::BuyPair, Side::Buy, 40, 50, 10));
    let baskets: Vec<BasketId> = story.engine.manager().state().baskets.keys().copied().collect();
    assert_eq!(baskets, [BasketId::of_run(2, 1)], "{:?} {}", story.denials(), story.told);
}

#[test]
fn a_signal_taken_before_a_restart_is_a_duplicate_after_it() {
    let mut story = Story::new();
    let signal = |epoch, counter, cents| {
        let created = Time::from_millis(1_000_000);
        polydesk_domain::WorldEvent::Signal(polydesk_domain::Signal {
            id: SignalId { producer: StrategyId::literal("box2"), epoch, counter },
            strategy: StrategyId::STINK_BIDDER,
            market: MARKET,
            action: quotes(&[(YES, cents, 10)], None),
            created,
            expires: created + polydesk_domain::Span::secs(600),
            edge: Usdc::ZERO,
            reason: polydesk_domain::Reason::new("story"),
        })
        .into()
    };
    story.hear("", signal(4, 7, 30));
    restart(&mut story, 1);
    for (epoch, counter) in [(4, 7), (4, 6), (3, 100)] {
        story.hear("", signal(epoch, counter, 25));
    }
    let drops: u64 = story.engine.drops().values().sum();
    assert_eq!(drops, 3);
    story.hear("", signal(5, 1, 26));
    assert_eq!(story.engine.drops().values().sum::<u64>(), 3);
}

#[test]
fn a_restart_in_the_middle_of_a_settlement_loses_neither_lots_nor_sales_nor_windows() {
    let mut story = sold();
    story.after(60_000).book(40, 44);
    story.say("", quotes(&[(YES, 30, 10)], None));
    let id = story.last_order();
    story.fill(id, 90, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    let (hash, sums) = (story.engine.state_hash(), story.engine.manager().free_cash());
    restart(&mut story, 0);
    assert_eq!(story.engine.manager().free_cash(), sums);
    let entries = story.engine.save();
    let twice = loaded(&story, 0, &entries);
    assert_eq!(twice.state_hash(), story.engine.state_hash());
    assert_ne!(hash, [0; 32]);
    story.fill(id, 90, YES, Side::Buy, 10, 30, TradeStatus::Confirmed);
    assert_eq!(story.held(YES), "held 10 + 0 unsettled, cost 3.00");
    let (streak, _) = story.engine.manager().ledger().losing_streak();
    assert_eq!(streak, 0);
    sound(&story);
}

// Settled amounts.

#[test]
fn a_failure_reported_with_the_estimate_undoes_the_settled_amounts() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 31, 10)], None));
    let (estimate, settled) = ((TEN, 3_000_010, 100_000), (TEN - 4, 3_000_000, 99_990));
    let bought = (YES, Side::Buy);
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Matched);
    report(&mut story, (1, 1), bought, settled, Basis::Settled, TradeStatus::Mined);
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Failed);
    sound(&story);
    assert_eq!(balance(&story, LedgerAccount::Cash), Usdc::whole(1_000));
    assert_eq!(story.engine.manager().ledger().fees(), Usdc::ZERO);
}

#[test]
fn a_corrected_sale_that_fails_leaves_nothing_in_the_rounding_account() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.after(1_000).timer();
    story.say("", sell_all(20));
    let sale = (story.last_order(), 70);
    let of = (YES, Side::Sell);
    report(&mut story, sale, of, (TEN, 3_800_000, 0), Basis::Estimated, TradeStatus::Matched);
    report(&mut story, sale, of, (TEN - 9_000, 3_796_580, 0), Basis::Settled, TradeStatus::Mined);
    report(&mut story, sale, of, (TEN - 9_000, 3_796_580, 0), Basis::Settled, TradeStatus::Failed);
    sound(&story);
    assert_eq!(story.held(YES), "held 10 + 0 unsettled, cost 3.00");
    let rounding = story.engine.manager().state().rounding.get(&YES).copied().unwrap_or(0);
    assert_eq!(rounding, 0);
}

#[test]
fn a_correction_of_a_lot_that_is_partly_sold_reaches_every_part_once() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    let bought = (YES, Side::Buy);
    let estimate = (TEN, 3_000_000, 100_000);
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Matched);
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Confirmed);
    story.news(1, "", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.after(1_000).timer();
    story.say("", sell_all(20));
    let sale = story.last_order();
    // Three sold for good, two on their way, five held.
    story.fill(sale, 70, YES, Side::Sell, 3, 38, TradeStatus::Matched);
    story.fill(sale, 70, YES, Side::Sell, 3, 38, TradeStatus::Confirmed);
    story.fill(sale, 71, YES, Side::Sell, 2, 38, TradeStatus::Matched);
    report(
        &mut story,
        (1, 1),
        bought,
        (TEN, 3_000_100, 100_000),
        Basis::Settled,
        TradeStatus::Confirmed,
    );
    sound(&story);
    let profit = -balance(&story, LedgerAccount::Realised);
    assert_eq!(profit, Usdc::new(3 * 380_000 - 3 * 310_000 - 30));
    assert_eq!(story.held(YES), "held 5 + 0 unsettled, cost 1.55005");
    story.fill(sale, 71, YES, Side::Sell, 2, 38, TradeStatus::Failed);
    assert_eq!(story.held(YES), "held 7 + 0 unsettled, cost 2.17007");
    let days: Usdc = story.engine.manager().ledger().days().map(|(_, tally)| tally.realised).sum();
    assert_eq!(days, profit);
    sound(&story);
}

#[test]
fn a_correction_after_a_merge_is_profit_or_loss_of_what_was_merged() {
    let mut story = Story::new();
    story.book(50, 40);
    story.say("", pair(BasketKind::BuyPair, Side::Buy, 40, 50, 10));
    let of = [(1, YES, 4_000_000), (2, NO, 5_000_000)];
    for (id, token, notional) in of {
        let fill = (TEN, notional, 0);
        let trade = (id, u128::from(id));
        report(&mut story, trade, (token, Side::Buy), fill, Basis::Estimated, TradeStatus::Matched);
        story.news(id, "", OrderUpdate::Filled { matched: Shares::whole(10) });
        report(
            &mut story,
            trade,
            (token, Side::Buy),
            fill,
            Basis::Estimated,
            TradeStatus::Confirmed,
        );
    }
    converted(&mut story, CashKind::Merge, Some(3), 10, [10, 10]);
    assert_eq!(story.ends, ["merged"]);
    let settled = (TEN, 5_000_007, 0);
    report(&mut story, (2, 2), (NO, Side::Buy), settled, Basis::Settled, TradeStatus::Confirmed);
    sound(&story);
    assert_eq!(balance(&story, LedgerAccount::Cash), Usdc::new(1_000_999_993));
    assert_eq!(-balance(&story, LedgerAccount::Realised), Usdc::new(999_993));
    // The answer again, and a failure of what was done.
    converted(&mut story, CashKind::Merge, Some(3), 10, [10, 10]);
    converted(&mut story, CashKind::Failed, Some(3), 0, [0, 0]);
    assert_eq!(balance(&story, LedgerAccount::Cash), Usdc::new(1_000_999_993));
    sound(&story);
}

#[test]
fn settled_amounts_of_a_trade_that_failed_move_no_money() {
    for side in [Side::Buy, Side::Sell] {
        let mut story = Story::new();
        let order = match side {
            Side::Buy => {
                story.say("", quotes(&[(YES, 31, 10)], None));
                1
            }
            Side::Sell => {
                story.bought(10, 30, None);
                story.after(1_000).timer();
                story.say("", sell_all(20));
                story.last_order()
            }
        };
        let before = (balance(&story, LedgerAccount::Cash), story.held(YES));
        let (estimate, settled) = ((TEN, 3_100_000, 100), (TEN - 4, 3_099_000, 90));
        let (trade, of) = ((order, 50), (YES, side));
        report(&mut story, trade, of, estimate, Basis::Estimated, TradeStatus::Matched);
        report(&mut story, trade, of, estimate, Basis::Estimated, TradeStatus::Failed);
        report(&mut story, trade, of, settled, Basis::Settled, TradeStatus::Failed);
        sound(&story);
        assert_eq!((balance(&story, LedgerAccount::Cash), story.held(YES)), before);
        assert_eq!(balance(&story, LedgerAccount::Realised), Usdc::ZERO);
        assert_eq!(story.engine.manager().ledger().fees(), Usdc::ZERO);
        assert!(story.engine.manager().state().rounding.is_empty());
    }
}

// External orders and redemptions.

#[test]
fn an_external_sale_that_fails_gives_the_strategy_its_shares_back() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    let id = external(&mut story, 1, Side::Sell, 40, 10);
    story.fill(id, 9, YES, Side::Sell, 10, 40, TradeStatus::Matched);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    story.fill(id, 9, YES, Side::Sell, 10, 40, TradeStatus::Failed);
    assert_eq!(story.held(YES), "held 10 + 0 unsettled, cost 3.00");
    sound(&story);
}

#[test]
fn an_external_sale_in_flight_gives_the_shares_back_after_a_restart_too() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    let id = external(&mut story, 1, Side::Sell, 40, 10);
    story.fill(id, 9, YES, Side::Sell, 10, 40, TradeStatus::Matched);
    restart(&mut story, 1);
    story.fill(id, 9, YES, Side::Sell, 10, 40, TradeStatus::Failed);
    assert_eq!(story.held(YES), "held 10 + 0 unsettled, cost 3.00");
    sound(&story);
}

fn resolve(story: &mut Story, payout: Payout) {
    let state = MarketState::Resolved(payout);
    story.hear("", MarketEvent::State { market: MARKET, state }.into());
}

#[test]
fn a_redemption_of_two_owners_pays_each_for_its_shares() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    let code = Code::literal("transfer");
    finding(&mut story, Finding::Shares { token: YES, micros: 4_000_000, code });
    resolve(&mut story, Payout::YES);
    converted(&mut story, CashKind::Redeem, Some(2), 14, [14, 0]);
    sound(&story);
    let days = story.engine.manager().ledger().days();
    let by: Vec<(StrategyId, Usdc)> = days.map(|((owner, _), t)| (*owner, t.realised)).collect();
    assert!(by.contains(&(StrategyId::STINK_BIDDER, Usdc::whole(7))), "{by:?}");
    // What the bot did not buy pays, and is no profit of the bot's.
    let others = by.iter().filter(|(owner, _)| *owner == StrategyId::EXTERNAL);
    assert!(others.clone().all(|(_, realised)| *realised == Usdc::ZERO), "{by:?}");
    assert_eq!(-balance(&story, LedgerAccount::Realised), Usdc::whole(7));
    assert_eq!(balance(&story, LedgerAccount::Cash), Usdc::whole(1_011));
}

#[test]
fn a_redemption_that_pays_more_than_the_shares_are_worth_is_no_profit_of_a_strategy() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    resolve(&mut story, Payout::YES);
    // Five more were redeemed with them: a person's, of whom nothing is known here.
    converted(&mut story, CashKind::Redeem, Some(2), 15, [15, 0]);
    sound(&story);
    assert_eq!(-balance(&story, LedgerAccount::Realised), Usdc::whole(7));
    assert_eq!(balance(&story, LedgerAccount::Cash), Usdc::whole(1_012));
    // A repeated answer books nothing.
    converted(&mut story, CashKind::Redeem, Some(2), 15, [15, 0]);
    assert_eq!(balance(&story, LedgerAccount::Cash), Usdc::whole(1_012));
}

#[test]
fn an_event_of_a_market_that_is_not_listed_neither_panics_nor_spoils_the_saved_state() {
    let mut story = Story::new();
    let there = MarketKey(9);
    let token = Token(18);
    let order = ExternalOrder {
        id: ClientOrderId::external(0, 1),
        hash: OrderHash::from_bytes([1; 32]),
        token,
        side: Side::Buy,
        price: Price::cents(40),
        size: Shares::whole(5),
        open: true,
    };
    story.hear("", AccountEvent::External(order).into());
    finding(&mut story, Finding::Shares { token, micros: 5, code: Code::literal("transfer") });
    finding(&mut story, Finding::Freeze { token, detail: "x".to_owned() });
    let cash = Cash {
        kind: CashKind::Redeem,
        conversion: None,
        strategy: None,
        market: Some(there),
        amount: Usdc::whole(1),
        shares: Default::default(),
    };
    story.hear("", Event::cash(cash));
    story.hear("", MarketEvent::State { market: there, state: MarketState::Closed }.into());
    story.hear("", MarketEvent::Delisted { market: there }.into());
    let engine = loaded(&story, 1, &story.engine.save());
    assert_eq!(engine.manager().ledger().imbalance(), Usdc::ZERO);
}

// Baskets.

#[test]
fn a_split_that_brought_fewer_sets_sells_no_more_than_it_brought() {
    let mut story = Story::new();
    story.book(56, 58);
    let deal = Action::Basket(Basket {
        kind: BasketKind::SellPair,
        legs: vec![
            Leg { token: YES, side: Side::Sell, limit: Price::cents(55) },
            Leg { token: NO, side: Side::Sell, limit: Price::cents(55) },
        ],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::cents(1),
    });
    // Crossed: YES bid at 0.60, NO bid at 0.55.
    story.book(60, 45);
    story.say("", deal);
    let asked = story.engine.manager().state().conversions.len();
    assert_eq!(asked, 1, "{:?} {}", story.denials(), story.told);
    story.sent.clear();
    converted(&mut story, CashKind::Split, Some(1), -10, [10, 10]);
    let placed: Vec<_> = story
        .sent
        .iter()
        .filter_map(|command| match command {
            Command::Place(orders) => {
                Some(orders.iter().map(|order| order.size).collect::<Vec<_>>())
            }
            _ => None,
        })
        .flatten()
        .collect();
    let ten = polydesk_domain::Size::Shares(Shares::whole(10));
    assert!(placed.iter().all(|size| *size == ten), "{placed:?}");
    sound(&story);
}

// Snapshots and blockers.

fn pass(story: &mut Story, change: impl FnOnce(&mut AccountSnapshot)) {
    let cash = balance(story, LedgerAccount::Cash);
    let epoch = story.engine.manager().state().counters.get().epoch;
    let mut snapshot =
        AccountSnapshot { epoch, complete: true, cash, ..AccountSnapshot::default() };
    change(&mut snapshot);
    story.hear("", AccountEvent::Snapshot(snapshot).into());
}

fn reconciled(story: &Story) -> bool {
    !blocked(&story.engine).contains(&Cause::NotReconciled)
}

fn user_down_and_up(story: &mut Story) {
    for up in [false, true] {
        story.hear("", AccountEvent::Link { channel: Channel::User, up }.into());
    }
}

#[test]
fn a_snapshot_is_compared_with_orders_on_their_way() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10), (NO, 30, 10)], None));
    let hash = |n: u8| OrderHash::from_bytes([n; 32]);
    for n in [1, 2] {
        story.news(n, "", OrderUpdate::Bound { hash: hash(n as u8) });
    }
    story.news(1, "", OrderUpdate::Live);
    // The acknowledged one is missing there.
    user_down_and_up(&mut story);
    pass(&mut story, |_| ());
    assert!(!reconciled(&story));
    // It is there, the other one, without an answer yet, may or may not be.
    pass(&mut story, |s| {
        s.open.insert(hash(1), Shares::ZERO);
    });
    assert!(reconciled(&story));
    // More was matched there than is known here.
    user_down_and_up(&mut story);
    pass(&mut story, |s| {
        s.open.insert(hash(1), Shares::whole(1));
    });
    assert!(!reconciled(&story));
    // What is matched and not final may or may not have moved.
    story.fill(1, 1, YES, Side::Buy, 4, 30, TradeStatus::Matched);
    for (shares, cash, agrees) in [
        (0, 1_000_000_000, true),
        (4, 998_800_000, true),
        (5, 998_800_000, false),
        (4, 998_799_999, false),
        (0, 1_000_000_001, false),
    ] {
        user_down_and_up(&mut story);
        pass(&mut story, |s| {
            s.open.insert(hash(1), Shares::whole(4));
            s.cash = Usdc::new(cash);
            if shares > 0 {
                s.shares.insert(YES, Shares::whole(shares));
            }
        });
        assert_eq!(reconciled(&story), agrees, "{shares} {cash}: {}", story.told);
    }
    // An order that is over here and open there.
    story.news(2, "", OrderUpdate::Rejected { reason: RejectReason::Tick });
    user_down_and_up(&mut story);
    pass(&mut story, |s| {
        s.open.insert(hash(1), Shares::whole(4));
        s.open.insert(hash(2), Shares::ZERO);
    });
    assert!(!reconciled(&story));
}

#[test]
fn a_pass_that_began_before_the_second_of_two_losses_clears_nothing() {
    let mut story = Story::new();
    user_down_and_up(&mut story);
    let first = story.engine.manager().state().counters.get().epoch;
    let detail = "a beat was missed".to_owned();
    story.hear("", ControlEvent::Blocker { cause: Cause::NotReconciled, on: true, detail }.into());
    pass(&mut story, |s| s.epoch = first);
    assert!(!reconciled(&story));
    // Its own cause does not clear it by name, and a restart does not either.
    let detail = String::new();
    story.hear("", ControlEvent::Blocker { cause: Cause::NotReconciled, on: false, detail }.into());
    assert!(!reconciled(&story));
    let engine = loaded(&story, 0, &story.engine.save());
    assert_eq!(
        engine.manager().state().blockers.get(&Cause::NotReconciled).unwrap().epoch,
        first + 1
    );
    pass(&mut story, |_| ());
    assert!(reconciled(&story));
}

#[test]
fn a_blocker_set_twice_keeps_its_first_reason_and_is_cleared_once() {
    let mut story = Story::new();
    let set = |story: &mut Story, on, detail: &str| {
        let (cause, detail) = (Cause::Disk, detail.to_owned());
        story.hear("", ControlEvent::Blocker { cause, on, detail }.into());
    };
    set(&mut story, true, "first");
    let since = story.engine.manager().state().blockers.get(&Cause::Disk).unwrap().since;
    story.after(5_000);
    set(&mut story, true, "second");
    let blocker = story.engine.manager().state().blockers.get(&Cause::Disk).unwrap().clone();
    assert_eq!((blocker.since, blocker.detail.as_str()), (since, "first"));
    set(&mut story, false, "");
    assert_eq!(blocked(&story.engine), []);
}

// Listing.

#[test]
fn a_market_listed_again_after_its_delisting_is_traded_under_its_new_key() {
    let mut story = sold();
    story.hear("", MarketEvent::Delisted { market: MARKET }.into());
    let key = story.engine.universe().next_key();
    let market = Arc::new(Market::plain(1, "story"));
    story.hear("", MarketEvent::Listed { key, market }.into());
    assert_eq!(story.engine.states()[key.index()], MarketState::Open);
    // Updates of the old orders change nothing.
    story.fill(2, 70, YES, Side::Sell, 10, 38, TradeStatus::Confirmed);
    story.news(1, "", OrderUpdate::Live);
    sound(&story);
    assert_eq!(story.engine.manager().orders().count(), 0);
    // A signal that names the old key opens nothing.
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.say("", trade(Side::Buy, 44, 10));
    assert_eq!(story.engine.manager().orders().count(), 0);
    let engine = loaded(&story, 1, &story.engine.save());
    assert_eq!(engine.manager().halted(), None);
}

// Slots.

/// Records its triggers, and emits one given action.
struct Probe {
    id: StrategyId,
    wants: bool,
    seen: Arc<Mutex<Vec<String>>>,
    act: Arc<Mutex<Option<Act>>>,
}

type Act = Box<dyn Fn(&View<'_>, &mut Emit<'_>) + Send>;

impl Strategy for Probe {
    fn id(&self) -> StrategyId {
        self.id
    }
    fn kinds(&self) -> Kinds {
        let own = Kinds::OWN.and(Kinds::STATE).and(Kinds::REFERENCE).and(Kinds::FORECAST);
        if self.wants { own.and(Kinds::BATCH) } else { own }
    }
    fn wants(&self, _: &Market) -> bool {
        self.wants
    }
    fn reconfigure(&mut self, toml: &str) -> Result<(), StateError> {
        self.wants = toml == "wants";
        Ok(())
    }
    fn save(&self) -> Saved {
        Saved::NOTHING
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id)
    }
    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>) {
        let what = match trigger {
            Trigger::Batch(_) => "batch".to_owned(),
            Trigger::Event(stamped) => match &stamped.event {
                Event::Account(_) => "own".to_owned(),
                Event::World(_) => "answer".to_owned(),
                Event::Market(MarketEvent::Delisted { .. }) => "delisted".to_owned(),
                Event::Market(MarketEvent::Reference(_)) => "go".to_owned(),
                _ => "other".to_owned(),
            },
        };
        let acts = matches!(what.as_str(), "go" | "delisted");
        self.seen.lock().unwrap().push(format!("{} {what}", self.id));
        if acts && let Some(act) = self.act.lock().unwrap().take() {
            act(view, out);
        }
    }
}

struct Two {
    story: Story,
    seen: Arc<Mutex<Vec<String>>>,
    acts: [Arc<Mutex<Option<Act>>>; 2],
}

const ONE: StrategyId = StrategyId::literal("one");
const OTHER: StrategyId = StrategyId::literal("other");

impl Two {
    fn engine(&self, run: u32) -> Engine {
        let probe = |id, act: &Arc<Mutex<Option<Act>>>| -> Box<dyn Strategy> {
            Box::new(Probe { id, wants: true, seen: Arc::clone(&self.seen), act: Arc::clone(act) })
        };
        let strategies = vec![probe(ONE, &self.acts[0]), probe(OTHER, &self.acts[1])];
        let setup = Setup { run, limits: RiskLimits::default(), blockers: Vec::new() };
        Engine::new(setup, strategies).unwrap()
    }

    fn new() -> Two {
        let mut two = Two { story: Story::new(), seen: Arc::default(), acts: Default::default() };
        two.story.engine = two.engine(0);
        two.list();
        let deposit = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: Usdc::whole(1_000),
            shares: Default::default(),
        };
        two.story.hear("", Event::cash(deposit));
        two.story.book(40, 44);
        two.seen();
        two
    }

    fn list(&mut self) {
        let market = Arc::new(Market::plain(1, "story"));
        self.story.hear("", MarketEvent::Listed { key: MARKET, market }.into());
    }

    /// Lets one of them act on a reference price.
    fn act(&mut self, which: usize, act: impl Fn(&View<'_>, &mut Emit<'_>) + Send + 'static) {
        *self.acts[which].lock().unwrap() = Some(Box::new(act));
        self.story.hear("", crate::harness::go());
    }

    fn seen(&self) -> Vec<String> {
        core::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn bid(cents: u16) -> impl Fn(&View<'_>, &mut Emit<'_>) + Send + 'static {
    move |_, out| {
        let (ttl, why) = (polydesk_domain::Span::secs(60), polydesk_domain::Reason::new("story"));
        out.signal(MARKET, quotes(&[(YES, cents, 10)], None), ttl, Usdc::cents(10), why);
    }
}

#[test]
fn own_events_reach_the_owner_alone_also_where_it_does_not_want_the_market_any_more() {
    let mut two = Two::new();
    two.act(1, bid(30));
    two.seen();
    two.story.news(1, "", OrderUpdate::Live);
    assert_eq!(two.seen(), ["other own"]);
    let (strategy, toml) = (OTHER, "nothing".into());
    two.story.hear("", ControlEvent::Params { strategy, toml }.into());
    two.story.book(39, 44);
    assert_eq!(two.seen(), ["one batch"]);
    two.story.fill(1, 1, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    assert_eq!(two.seen(), ["other own"]);
    // Listed again: the wants of now count.
    two.list();
    two.story.after(1_000).book(38, 44);
    assert_eq!(two.seen(), ["one batch"]);
    let (strategy, toml) = (OTHER, "wants".into());
    two.story.hear("", ControlEvent::Params { strategy, toml }.into());
    two.story.after(1_000).book(37, 44);
    assert_eq!(two.seen(), ["one batch", "other batch"]);
    // A redemption concerns everybody who holds something.
    two.story.fill(1, 1, YES, Side::Buy, 10, 30, TradeStatus::Confirmed);
    resolve(&mut two.story, Payout::YES);
    two.seen();
    converted(&mut two.story, CashKind::Redeem, Some(2), 10, [10, 0]);
    assert_eq!(two.seen(), ["other own"]);
}

#[test]
fn a_redemption_is_dispatched_to_every_strategy_with_a_holding_in_the_market() {
    let mut two = Two::new();
    for (which, id) in [(0, 1), (1, 2)] {
        two.act(which, bid(30));
        two.story.fill(id, u128::from(id), YES, Side::Buy, 10, 30, TradeStatus::Matched);
        two.story.fill(id, u128::from(id), YES, Side::Buy, 10, 30, TradeStatus::Confirmed);
    }
    resolve(&mut two.story, Payout::YES);
    two.seen();
    converted(&mut two.story, CashKind::Redeem, Some(3), 20, [20, 0]);
    assert_eq!(two.seen(), ["one own", "other own"]);
    let days = two.story.engine.manager().ledger().days();
    let by: Vec<(StrategyId, Usdc)> = days.map(|((owner, _), t)| (*owner, t.realised)).collect();
    assert_eq!(by, [(ONE, Usdc::whole(7)), (OTHER, Usdc::whole(7))]);
}

#[test]
fn a_market_in_which_a_strategy_opens_something_as_it_is_delisted_stays_listed() {
    let mut two = Two::new();
    *two.acts[0].lock().unwrap() = Some(Box::new(bid(30)));
    two.story.hear("", MarketEvent::Delisted { market: MARKET }.into());
    assert_eq!(two.seen(), ["one delisted", "other delisted"]);
    let manager = two.story.engine.manager();
    assert_eq!(manager.orders().open_count(), 1);
    assert_eq!(two.story.engine.universe().keys().count(), 1);
    sound(&two.story);
}

#[test]
fn memory_is_durable_by_its_changes_and_of_its_owner_alone() {
    let mut two = Two::new();
    let mut entries = two.story.engine.save();
    two.act(0, |_, out| {
        out.remember("kept", Some(b"1"));
        out.remember("gone", Some(b"2"));
    });
    two.story.engine.changes(|entry| entries.push(entry));
    two.act(0, |_, out| out.remember("gone", None));
    two.story.engine.changes(|entry| entries.push(entry));
    let mut engine = two.engine(1);
    engine.load(&entries).unwrap();
    assert_eq!(engine.manager().state().remember.len(), 1);
    two.story.engine = engine;
    two.story.after(1_000);
    let read = Arc::new(Mutex::new(Vec::new()));
    for which in [0, 1] {
        let read = Arc::clone(&read);
        two.act(which, move |view, _| {
            let of = |key| view.recall(key).map(<[u8]>::to_vec);
            read.lock().unwrap().push((of("kept"), of("gone")));
        });
    }
    assert_eq!(*read.lock().unwrap(), [(Some(b"1".to_vec()), None), (None, None)]);
}

#[test]
fn a_question_of_an_earlier_run_is_answered_to_who_asked_it_and_once() {
    let mut two = Two::new();
    two.act(1, |_, out| {
        out.ask(MARKET, Time::MIN);
    });
    two.act(0, |_, out| {
        out.ask(MARKET, Time::MIN);
    });
    let entries = two.story.engine.save();
    let mut engine = two.engine(5);
    engine.load(&entries).unwrap();
    two.story.engine = engine;
    two.story.sent.clear();
    two.act(0, |_, out| {
        out.ask(MARKET, Time::MIN);
    });
    let asked: Vec<AskId> = two.story.engine.manager().state().asks.keys().copied().collect();
    assert_eq!(asked, [AskId::of_run(0, 1), AskId::of_run(0, 2), AskId::of_run(5, 1)]);
    two.seen();
    for _ in 0..2 {
        let (ask, code) = (AskId::of_run(0, 1), Code::literal("timeout"));
        two.story.hear("", polydesk_domain::WorldEvent::NoForecast { ask, code }.into());
    }
    assert_eq!(two.seen(), ["other answer"]);
}

#[test]
fn a_strategy_that_was_off_is_off_after_a_restart_and_keeps_its_lots() {
    let mut two = Two::new();
    two.act(0, bid(30));
    two.story.fill(1, 1, YES, Side::Buy, 10, 30, TradeStatus::Matched);
    two.story.hear("", ControlEvent::Strategy { id: ONE, run: false }.into());
    let mut engine = two.engine(1);
    engine.load(&two.story.engine.save()).unwrap();
    two.story.engine = engine;
    two.seen();
    two.story.hear("", crate::harness::go());
    assert_eq!(two.seen(), ["other go"]);
    let held = two.story.engine.manager().position(ONE, YES);
    assert_eq!(held.unsettled, Shares::whole(10));
}

// Lots and streaks.

fn sell(story: &mut Story, trade: u128, shares: u64, cents: u16) {
    story.after(1_000).timer();
    story.say("", sell_all(20));
    let sale = story.last_order();
    story.fill(sale, trade, YES, Side::Sell, shares, cents, TradeStatus::Matched);
    let matched = Shares::whole(shares);
    let reason = polydesk_domain::CancelReason::Requested;
    story.news(sale, "", OrderUpdate::Cancelled { reason, matched });
    story.fill(sale, trade, YES, Side::Sell, shares, cents, TradeStatus::Confirmed);
}

#[test]
fn of_lots_bought_at_the_same_time_the_first_leaves_first() {
    let mut story = Story::new();
    story.bought(10, 30, None);
    story.bought(10, 31, None);
    sell(&mut story, 70, 10, 38);
    assert_eq!(story.closed[0].cost, Usdc::whole(3));
    assert_eq!(story.held(YES), "held 10 + 0 unsettled, cost 3.10");
}

#[test]
fn a_round_trip_shows_the_settled_fee() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    let bought = (YES, Side::Buy);
    let (estimate, settled) = ((TEN, 3_000_000, 100_000), (TEN, 3_000_000, 99_000));
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Matched);
    report(&mut story, (1, 1), bought, settled, Basis::Settled, TradeStatus::Confirmed);
    story.news(1, "", OrderUpdate::Filled { matched: Shares::whole(10) });
    sell(&mut story, 70, 10, 38);
    let closed = &story.closed[0];
    assert_eq!((closed.cost, closed.entry_fee), (Usdc::new(3_099_000), Usdc::new(99_000)));
}

#[test]
fn a_lot_that_was_rounding_alone_is_gone_and_its_cost_is_a_loss() {
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    let bought = (YES, Side::Buy);
    let estimate = (TEN, 3_000_000, 0);
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Matched);
    report(&mut story, (1, 1), bought, estimate, Basis::Estimated, TradeStatus::Confirmed);
    story.news(1, "", OrderUpdate::Filled { matched: Shares::whole(10) });
    story.after(1_000).timer();
    story.say("", sell_all(20));
    let sale = (story.last_order(), 70);
    let part = (TEN - 5_000, 3_798_100, 0);
    for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
        report(&mut story, sale, (YES, Side::Sell), part, Basis::Settled, status);
    }
    let settled = (TEN - 6_000, 3_000_000, 0);
    report(&mut story, (1, 1), bought, settled, Basis::Settled, TradeStatus::Confirmed);
    sound(&story);
    assert_eq!(story.held(YES), "held 0 + 0 unsettled, cost 0.00");
    assert_eq!(balance(&story, LedgerAccount::Cash), Usdc::new(1_000_798_100));
    assert_eq!(-balance(&story, LedgerAccount::Realised), Usdc::new(798_100));
    assert_eq!(story.engine.manager().state().rounding.get(&YES), Some(&-1_000));
}

#[test]
fn a_closing_at_cost_neither_ends_a_losing_streak_nor_adds_to_it() {
    let mut story = Story::new();
    story.book(30, 34);
    for (trade, cents, streak) in [(70, 29, 1), (71, 30, 1), (72, 28, 2), (73, 31, 0)] {
        story.bought(10, 30, None);
        sell(&mut story, trade, 10, cents);
        assert_eq!(story.engine.manager().ledger().losing_streak().0, streak, "{cents}");
    }
}

// Ends of baskets.

/// YES and NO are bought for 0.90 together; 20 sets.
fn buying() -> Story {
    let mut story = Story::new();
    story.book(50, 40);
    story.say("", pair(BasketKind::BuyPair, Side::Buy, 40, 50, 20));
    story
}

fn leg(story: &mut Story, id: u64, token: Token, shares: u64, cents: u16) {
    let trade = u128::from(id);
    story.fill(id, trade, token, Side::Buy, shares, cents, TradeStatus::Matched);
    let matched = Shares::whole(shares);
    let reason = polydesk_domain::CancelReason::Killed;
    let update = match shares {
        20 => OrderUpdate::Filled { matched },
        _ => OrderUpdate::Cancelled { reason, matched },
    };
    story.news(id, "", update);
}

#[test]
fn a_lagging_leg_is_bought_again_only_where_the_fees_of_the_other_still_leave_something() {
    // 8.00 and 0.24 were paid; the other leg costs 11.40 + 0.25 or 11.60 + 0.24; 20.00 comes back.
    for (yes_bid, again) in [(43, true), (42, false)] {
        let mut story = buying();
        leg(&mut story, 1, YES, 20, 40);
        story.after(20).book(yes_bid, 45);
        story.told.clear();
        story.news(2, "", OrderUpdate::Rejected { reason: RejectReason::FakKilled });
        assert_eq!(story.told.contains("buy no"), again, "{}", story.told);
    }
}

#[test]
fn what_is_complete_of_a_basket_that_was_given_up_is_merged_and_carried() {
    let mut story = buying();
    leg(&mut story, 1, YES, 20, 40);
    story.fill(1, 1, YES, Side::Buy, 20, 40, TradeStatus::Confirmed);
    story.after(20).book(10, 90);
    leg(&mut story, 2, NO, 10, 50);
    story.fill(2, 2, NO, Side::Buy, 10, 50, TradeStatus::Confirmed);
    assert_eq!(story.ends, Vec::<String>::new());
    story.pass(40_000);
    let conversions = &story.engine.manager().state().conversions;
    let id = conversions.keys().next().map(|id| id.0);
    assert!(id.is_some(), "{}", story.told);
    converted(&mut story, CashKind::Merge, id, 10, [10, 10]);
    assert_eq!(story.ends, ["carried"]);
    sound(&story);
}

#[test]
fn the_third_merge_that_fails_leaves_the_sets_to_the_resolution() {
    let mut story = buying();
    for (id, token, cents) in [(1, YES, 40), (2, NO, 50)] {
        leg(&mut story, id, token, 20, cents);
        story.fill(id, u128::from(id), token, Side::Buy, 20, cents, TradeStatus::Confirmed);
    }
    for tries in 1..=3 {
        assert_eq!(story.ends, Vec::<String>::new(), "before try {tries}");
        let state = story.engine.manager().state();
        let id = state.conversions.keys().next().map(|id| id.0);
        assert!(id.is_some(), "try {tries}: {}", story.told);
        converted(&mut story, CashKind::Failed, id, 0, [0, 0]);
        story.pass(5_000);
    }
    assert_eq!(story.ends, ["merge_failed"]);
    sound(&story);
}

#[test]
fn what_random_runs_do_not_reach_is_read_back_as_it_was_saved() {
    let same = |story: &Story| {
        let engine = loaded(story, 0, &story.engine.save());
        assert_eq!(engine.manager().state().differs(story.engine.manager().state()), None);
    };
    // A fill that does not fit its order.
    let mut story = Story::new();
    story.say("", quotes(&[(YES, 30, 10)], None));
    story.fill(1, 1, YES, Side::Buy, 500, 30, TradeStatus::Matched);
    same(&story);
    // A merge that failed once.
    let mut story = buying();
    for (id, token, cents) in [(1, YES, 40), (2, NO, 50)] {
        leg(&mut story, id, token, 20, cents);
        story.fill(id, u128::from(id), token, Side::Buy, 20, cents, TradeStatus::Confirmed);
    }
    converted(&mut story, CashKind::Failed, Some(3), 0, [0, 0]);
    assert_eq!(story.engine.manager().state().baskets.values().next().unwrap().merge_tries, 1);
    same(&story);
    // A person closes with a collar of their own.
    let mut story = Story::new();
    story.bought(10, 30, None);
    let (market, collar) = (Some(MARKET), Some(Price::cents(20)));
    story.hear("", operator(OperatorCommand::Flatten { market, collar }));
    same(&story);
}
