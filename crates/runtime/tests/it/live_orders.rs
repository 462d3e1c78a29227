//! Orders of a live process: at most once, each fill booked once, to the micro-dollar.

use std::sync::atomic::Ordering;

use polydesk_domain::{Outcome, Shares, Side, Urgency, Usdc};
use polydesk_polymarket_api::clob::request::OrderFilter;

use crate::live_world::{Ask, Desk, Live};
use crate::world::{blocked, pass, simulated, still};

const MARKET: &str = "rain-tomorrow";

fn buy_now(cents: u16, shares: u64) -> Ask {
    Ask { outcome: Outcome::Yes, side: Side::Buy, cents, shares, urgency: Urgency::Now }
}

fn bid(cents: u16, shares: u64) -> Ask {
    Ask { urgency: Urgency::Rest, ..buy_now(cents, shares) }
}

async fn ask(desk: &Desk, live: &mut Live, ask: Ask) {
    let market = desk.world.market(MARKET);
    live.signal(&market, desk.world.exchange.now(), ask).await;
}

/// Cash and shares of the engine are those of the exchange, and nothing is open, unknown or blocked.
fn agrees(desk: &Desk, live: &Live) {
    let end = live.glance().unwrap();
    assert!(end.blockers.is_empty(), "{:?}", end.blockers);
    assert_eq!(end.money.cash, desk.cash());
    assert_eq!(end.risk.open_orders as usize, desk.open().len());
    let held: Shares = end
        .positions
        .iter()
        .filter(|position| position.market == MARKET && position.outcome == Outcome::Yes)
        .map(|position| position.shares)
        .sum();
    assert_eq!(held, desk.shares(MARKET, Outcome::Yes));
}

#[test]
fn a_wallet_is_taken_over_as_it_is_and_an_order_is_filled_and_settled_to_the_micro_dollar() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        let ready = live.ready().await;
        assert_eq!(ready.money.cash, desk.cash());
        assert_eq!(ready.money.day, Usdc::ZERO, "what was there is no profit");
        ask(&desk, &mut live, buy_now(56, 10)).await;
        live.until("a fill", |glance| glance.money.cash < ready.money.cash).await;
        pass(120).await;
        assert_eq!(desk.orders(), 1);
        agrees(&desk, &live);
        assert!(desk.cash() < ready.money.cash - Usdc::whole(1));
        let ended = live.stop().await;
        assert_eq!((ended.left_open, ended.verified_empty), (0, true));
    });
}

#[test]
fn an_order_whose_answer_is_lost_is_found_resting_and_never_sent_again() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject(
            "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\nact = \"lose_answer\"",
        );
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("a resting order", |glance| {
            glance.orders.iter().any(|order| order.state == "live")
        })
        .await;
        pass(60).await;
        assert_eq!(desk.orders(), 1);
        agrees(&desk, &live);
        assert_eq!(live.stop().await.left_open, 0);
        assert!(desk.open().is_empty());
    });
}

#[test]
fn a_fill_whose_answer_is_lost_is_booked_once() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject(
            "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\nact = \"lose_answer\"",
        );
        let mut live = desk.start().await.unwrap();
        let ready = live.ready().await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        live.until("a fill", |glance| glance.money.cash < ready.money.cash).await;
        pass(120).await;
        assert_eq!(desk.orders(), 1);
        agrees(&desk, &live);
    });
}

#[test]
fn an_order_that_never_arrived_stays_reserved_for_a_minute_and_is_then_proven_absent() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject(
            "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\nact = \"lose_request\"",
        );
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("an unknown order", |glance| {
            glance.orders.iter().any(|order| order.state == "unknown")
        })
        .await;
        pass(55).await;
        let still = live.glance().unwrap();
        assert_eq!(still.risk.open_orders, 1, "reserved, by whatever nothing showed");
        // It is good for ten minutes, and could rest until then.
        live.until("the proof", |glance| glance.risk.open_orders == 0).await;
        assert_eq!(desk.orders(), 0);
        agrees(&desk, &live);
    });
}

#[test]
fn a_match_that_never_settles_is_undone_once() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject("[[settlement]]\ntrades = \"1\"\nmined = \"3s\"\nending = \"fail\"");
        let mut live = desk.start().await.unwrap();
        let ready = live.ready().await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        live.until("a fill", |glance| glance.money.cash < ready.money.cash).await;
        live.until("its undoing", |glance| glance.money.cash == ready.money.cash).await;
        pass(120).await;
        agrees(&desk, &live);
        assert_eq!(desk.cash(), ready.money.cash);
    });
}

#[test]
fn a_process_that_is_killed_finds_its_fills_and_cancels_what_it_left() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        let ready = live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        live.until("a fill", |glance| glance.money.cash < ready.money.cash).await;
        drop(live);
        assert_eq!(desk.open().len(), 1);
        pass(5).await;
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(120).await;
        assert!(desk.open().is_empty(), "what an earlier run left is cancelled");
        assert_eq!(desk.orders(), 2);
        agrees(&desk, &live);
    });
}

#[test]
fn an_order_that_a_person_placed_is_adopted_and_its_fill_is_booked_to_no_strategy() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        let ready = live.ready().await;
        let market = desk.world.market(MARKET);
        desk.person(&market, Outcome::Yes, Side::Buy, 40, 20).await;
        live.until("an external order", |glance| glance.risk.open_orders == 1).await;
        desk.person(&market, Outcome::Yes, Side::Buy, 56, 10).await;
        live.until("its fill", |glance| glance.money.cash < ready.money.cash).await;
        pass(120).await;
        agrees(&desk, &live);
        assert_eq!(live.glance().unwrap().money.realised, Usdc::ZERO);
    });
}

#[test]
fn an_order_whose_book_is_proven_too_long_ago_at_its_first_byte_is_withheld() {
    simulated(async {
        let mut desk = Desk::new(still());
        desk.max_ages.data = polydesk_domain::Span::ZERO;
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        pass(1).await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        pass(10).await;
        assert_eq!(desk.orders(), 0);
        let seen = live.glance().unwrap();
        assert_eq!(seen.risk.open_orders, 0);
        let withheld = |line: &polydesk_runtime::glance::DecisionGlance| {
            line.text.contains("not sent: data_too_old")
        };
        assert!(seen.decisions.iter().any(withheld), "{seen:#?}");
    });
}

#[test]
fn a_process_that_is_ending_enters_nothing() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        // The engine takes the signal up afterwards, and before it hears that the heartbeats have ended.
        live.killer.switch().stop("a test");
        pass(10).await;
        assert_eq!(desk.orders(), 0);
        assert_eq!(live.glance().unwrap().risk.open_orders, 0);
    });
}

#[test]
fn cash_that_nothing_explains_stops_entries_until_a_person_names_it() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        live.ready().await;
        desk.chain.lie.store(-1_000_000, Ordering::Relaxed);
        live.until("the mismatch", |glance| blocked(glance, "cash_mismatch")).await;
        let clob = desk.clob();
        assert!(clob.open_orders(&OrderFilter::default()).await.unwrap().is_empty());
    });
}

#[test]
fn a_kill_cancels_everything_stops_exits_too_and_outlives_the_process() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        for cents in [30, 35, 40] {
            ask(&desk, &mut live, bid(cents, 20)).await;
        }
        live.until("resting orders", |glance| glance.risk.open_orders == 3).await;
        let began = desk.world.exchange.now();
        live.killer.kill("ada", polydesk_runtime::kill::Via::Http, "a test");
        while !desk.open().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let took = began.until(desk.world.exchange.now());
        assert!(took.as_millis() <= 2_000, "{took:?}");
        live.until("the kill", |glance| blocked(glance, "killed")).await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        pass(20).await;
        assert_eq!(desk.orders(), 3, "nothing leaves");
        drop(live);
        // A person places an order while no process runs: the next start cancels it before anything else.
        let market = desk.world.market(MARKET);
        desk.person(&market, Outcome::Yes, Side::Buy, 40, 20).await;
        let mut live = desk.start().await.unwrap();
        live.until("the latch", |glance| blocked(glance, "killed")).await;
        pass(30).await;
        assert!(desk.open().is_empty());
        ask(&desk, &mut live, buy_now(56, 10)).await;
        pass(20).await;
        assert_eq!(desk.orders(), 4, "it never arms itself");
    });
}

#[test]
fn a_wallet_that_traded_minutes_before_the_first_start_is_taken_up_once() {
    simulated(async {
        let desk = Desk::new(still());
        let market = desk.world.market(MARKET);
        desk.person(&market, Outcome::Yes, Side::Buy, 56, 10).await;
        desk.person(&market, Outcome::Yes, Side::Sell, 40, 30).await;
        desk.person(&market, Outcome::Yes, Side::Buy, 30, 20).await;
        pass(60).await;
        // One match has not settled yet when the process starts.
        desk.person(&market, Outcome::Yes, Side::Buy, 56, 5).await;
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        pass(60).await;
        agrees(&desk, &live);
        let seen = live.glance().unwrap();
        assert_eq!(seen.risk.open_orders, 1);
        assert!(seen.money.day.abs() < Usdc::whole(1), "{}", seen.money.day);
        ask(&desk, &mut live, buy_now(56, 10)).await;
        pass(60).await;
        agrees(&desk, &live);
    });
}

#[test]
fn a_wallet_that_spent_nearly_everything_minutes_before_the_first_start_breaks_no_ledger() {
    simulated(async {
        let desk = Desk::new(still());
        let before = desk.cash();
        for slug in [MARKET, "ada-wins", "grace-wins", "alan-wins", "hawks-owls", "new-protocol"] {
            let market = desk.world.market(slug);
            let free = desk.cash().micros() / 1_000_000;
            let shares = u64::try_from(free * 100 / 99 - 20).unwrap_or(0).min(2_000);
            if shares > 20 {
                desk.person(&market, Outcome::Yes, Side::Buy, 99, shares).await;
                pass(30).await;
                desk.clob().cancel_all().await.unwrap();
            }
        }
        let spent = before - desk.cash();
        assert!(spent > desk.cash(), "{spent} were spent, {} are left", desk.cash());
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(60).await;
        agrees(&desk, &live);
    });
}

#[test]
fn quotes_of_a_strategy_that_the_configuration_no_longer_names_are_not_placed_again() {
    simulated(async {
        let mut desk = Desk::new(still());
        desk.world.flags.retain(|(key, _)| *key != "run.strategies");
        desk.world.flags.push(("run.strategies", "[\"stink_bidder\"]"));
        let live = desk.start().await.unwrap();
        live.until("quotes", |glance| glance.risk.open_orders >= 4).await;
        drop(live);
        desk.world.flags.retain(|(key, _)| *key != "run.strategies");
        desk.world.flags.push(("run.strategies", "[]"));
        let placed = desk.orders();
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(60).await;
        assert_eq!((desk.orders(), desk.open().len()), (placed, 0));
    });
}

#[test]
fn something_of_the_wallet_in_a_market_that_is_not_followed_has_a_blocker_that_names_it() {
    simulated(async {
        let mut desk = Desk::new(still());
        desk.world.flags.push(("markets.exclude", "[\"hawks-owls\"]"));
        let live = desk.start().await.unwrap();
        live.ready().await;
        let market = desk.world.market("hawks-owls");
        desk.person(&market, Outcome::Yes, Side::Buy, 10, 20).await;
        let seen = live.until("the blocker", |glance| blocked(glance, "market_not_followed")).await;
        let blocker = seen.blockers.iter().find(|one| one.code == "market_not_followed").unwrap();
        assert!(blocker.detail.contains(&market.tokens[0].to_string()), "{}", blocker.detail);
        assert!(blocker.detail.contains("markets.include"), "{}", blocker.detail);
        // The person takes it back.
        desk.clob().cancel_all().await.unwrap();
        live.ready().await;
        pass(120).await;
        agrees(&desk, &live);
    });
}
