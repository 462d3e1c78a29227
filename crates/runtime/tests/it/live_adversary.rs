//! What can get between a live process and its orders: old data, slow disks, tasks and an engine that panic, a venue
//! that answers half of what it is asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use polydesk_domain::{
    Action, Basket, BasketKind, ControlEvent, Leg, MarketKey, Operator, OperatorCommand, Outcome,
    Price, Reason, Shares, Side, Signal, SignalId, Span, StrategyId, Urgency, Usdc, WorldEvent,
};
use polydesk_journal::{Disk as _, MemDisk, Op};
use polydesk_local_exchange::Setup;
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_runtime::assembly::EndError;
use polydesk_runtime::inbox::Request;
use polydesk_runtime::keeping::SimulatedDisk;
use polydesk_runtime::kill::Via;

use crate::live_world::{Ask, Desk, Live};
use crate::world::{blocked, pass, simulated, still};

const MARKET: &str = "rain-tomorrow";
const ELECTION: [&str; 3] = ["ada-wins", "grace-wins", "alan-wins"];

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

/// A desk whose disk takes so many milliseconds for a write or a sync; both can be changed.
fn paced(setup: Setup) -> (Desk, MemDisk, Arc<[AtomicU64; 2]>) {
    let mut desk = Desk::new(setup);
    let (disk, pace) = (MemDisk::new(), Arc::new([AtomicU64::new(0), AtomicU64::new(0)]));
    let by = Arc::clone(&pace);
    let takes = move |op: &Op| match op {
        Op::Write { .. } => Duration::from_millis(by[0].load(Ordering::Relaxed)),
        Op::Sync { .. } => Duration::from_millis(by[1].load(Ordering::Relaxed)),
        _ => Duration::ZERO,
    };
    desk.world.disk = Some(SimulatedDisk { disk: Arc::new(disk.clone()), takes: Arc::new(takes) });
    (desk, disk, pace)
}

fn act(live: &Live, command: OperatorCommand) {
    let (by, why, key) = ("ada".to_owned(), "a test".to_owned(), String::new());
    let event = ControlEvent::Operator(Operator { by, why, key, command });
    live.running.inbox.send(Request::Control(event)).unwrap();
}

fn panic_of(desk: &Desk, task: &str) {
    desk.world.panics.send(task.to_owned()).unwrap();
}

fn says(live: &Live, text: &str) -> bool {
    live.glance().unwrap().decisions.iter().any(|line| line.text.contains(text))
}

fn requests(desk: &Desk) -> [usize; 2] {
    let exchange = &desk.world.exchange;
    [exchange.count("POST", "/order"), exchange.count("POST", "/orders")]
}

/// Waits until the exchange has no open order of the wallet, so many seconds at most.
async fn empty_within(desk: &Desk, seconds: u64) {
    let began = desk.world.exchange.now();
    while !desk.open().is_empty() {
        let waited = began.until(desk.world.exchange.now());
        assert!(waited <= Span::secs(seconds as i64), "{:?} after {waited:?}", desk.open());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Cash, and the number of open orders, of the engine are those of the exchange, and the gate is open.
fn agrees(desk: &Desk, live: &Live) {
    let end = live.glance().unwrap();
    assert!(end.blockers.is_empty(), "{:?}", end.blockers);
    assert_eq!(end.money.cash, desk.cash());
    assert_eq!(end.risk.open_orders as usize, desk.open().len(), "{:#?}", end.orders);
}

#[test]
fn an_order_whose_book_was_proven_too_long_ago_does_not_leave() {
    simulated(async {
        let mut desk = Desk::new(still());
        // The demo market stands still: its last proof is older than a millisecond by the time of any decision.
        desk.max_ages.data = Span::millis(1);
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        pass(3).await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        pass(10).await;
        assert_eq!(requests(&desk), [0, 0]);
        assert!(says(&live, "not sent: data_too_old"), "{:#?}", live.glance());
        assert_eq!(live.glance().unwrap().risk.open_orders, 0);
    });
}

#[test]
fn an_order_that_became_too_old_while_the_disk_was_slow_is_withdrawn_and_cancels_go_on() {
    simulated(async {
        let (mut desk, _, pace) = paced(still());
        desk.max_ages.decision = Span::secs(1);
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        pass(2).await;
        pace[0].store(1_500, Ordering::Relaxed);
        act(&live, OperatorCommand::CancelMarket(None));
        ask(&desk, &mut live, bid(41, 20)).await;
        empty_within(&desk, 1).await;
        pass(20).await;
        assert!(says(&live, "not sent: decision_too_old"), "{:#?}", live.glance());
        assert_eq!(desk.orders(), 1, "the second one was not wanted any more when it could leave");
        assert_eq!(live.glance().unwrap().risk.open_orders, 0);
    });
}

#[test]
fn an_order_that_is_cancelled_while_it_waits_for_its_entry_never_leaves() {
    let all: fn(MarketKey) -> OperatorCommand = |_| OperatorCommand::CancelMarket(None);
    let market: fn(MarketKey) -> OperatorCommand = |key| OperatorCommand::CancelMarket(Some(key));
    for (name, command, order) in [
        ("all, a bid", all, bid(40, 20)),
        ("all, a purchase", all, buy_now(56, 10)),
        ("its market, a bid", market, bid(40, 20)),
        ("its market, a purchase", market, buy_now(56, 10)),
    ] {
        simulated(async {
            let (desk, _, pace) = paced(still());
            let mut live = desk.start().await.unwrap();
            live.ready().await;
            let key = live.key(&desk.world.market(MARKET)).await;
            pass(2).await;
            // Signed at once, durable after 1.2 s, cancelled in between.
            pace[0].store(1_200, Ordering::Relaxed);
            ask(&desk, &mut live, order).await;
            pass(1).await;
            assert_eq!(live.glance().unwrap().risk.open_orders, 1, "{name}");
            act(&live, command(key));
            pass(5).await;
            pace[0].store(0, Ordering::Relaxed);
            pass(10).await;
            assert_eq!(desk.orders(), 0, "{name}");
            assert_eq!(live.glance().unwrap().risk.open_orders, 0, "{name}");
            // And the next one leaves as ever.
            ask(&desk, &mut live, bid(39, 20)).await;
            live.until("the next one", |glance| glance.risk.open_orders == 1).await;
            pass(5).await;
            assert_eq!(desk.open().len(), 1, "{name}");
        });
    }
}

#[test]
fn a_kill_between_the_signature_and_the_first_byte_leaves_nothing_at_the_venue() {
    simulated(async {
        let (desk, _, pace) = paced(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        pace[0].store(1_200, Ordering::Relaxed);
        ask(&desk, &mut live, bid(40, 20)).await;
        pass(1).await;
        live.killer.kill("ada", Via::Desk, "a test");
        pass(30).await;
        assert_eq!(requests(&desk), [0, 0]);
        let seen = live.glance().unwrap();
        assert!(blocked(&seen, "killed"));
        assert_eq!(seen.risk.open_orders, 0, "{:#?}", seen.orders);
    });
}

#[test]
fn under_power_an_order_is_at_the_venue_only_after_its_entry_survives_the_loss_of_power() {
    simulated(async {
        let (mut desk, disk, pace) = paced(still());
        desk.world.flags.push(("journal.durable", "power"));
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        pace[0].store(20, Ordering::Relaxed);
        pace[1].store(300, Ordering::Relaxed);
        for cents in [40, 41, 42] {
            let known = desk.orders();
            ask(&desk, &mut live, bid(cents, 20)).await;
            while desk.orders() == known {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let left = disk.after_power_loss(u64::from(cents), 0);
            let folders = ["", "segments"].map(|folder| left.list(folder).unwrap_or_default());
            let mut bytes = Vec::new();
            for (name, _) in folders[0].iter().chain(&folders[1]) {
                for path in [name.clone(), format!("segments/{name}")] {
                    bytes.extend(left.read(&path).unwrap_or_default());
                }
            }
            for hash in desk.open() {
                let hash = hash.to_string();
                let found = bytes.windows(hash.len()).any(|part| part == hash.as_bytes());
                assert!(found, "{hash} is at the venue and not on the disk");
            }
        }
    });
}

#[test]
fn a_basket_of_which_one_leg_is_not_signed_leaves_no_leg() {
    simulated(async {
        let mut desk = Desk::new(still());
        desk.signs_per_second = 2;
        let live = desk.start().await.unwrap();
        live.ready().await;
        let mut legs = Vec::new();
        for slug in ELECTION {
            let key = live.key(&desk.world.market(slug)).await;
            let token = desk.world.exchange.venue(|venue| {
                let ids = venue.universe();
                let key = ids.keys().find(|key| ids.market(*key).slug == slug);
                key.unwrap().token(Outcome::No)
            });
            let best = desk.world.exchange.book(token).unwrap().ask().unwrap().units() / 100;
            let limit = Price::cents(best + 2);
            legs.push(Leg { token: key.token(Outcome::No), side: Side::Buy, limit });
        }
        let market = legs[0].token.market();
        let basket = Basket {
            kind: BasketKind::AllNo,
            legs,
            sets: Shares::whole(10),
            min_edge_per_set: Usdc::new(1_000),
        };
        let producer = StrategyId::literal("outside");
        let now = desk.world.exchange.now();
        let signal = Signal {
            id: SignalId { producer, epoch: 1, counter: 1 },
            strategy: producer,
            market,
            action: Action::Basket(basket),
            created: now,
            expires: now + Span::secs(600),
            edge: Usdc::whole(1),
            reason: Reason::new("test"),
        };
        let event = Box::new(WorldEvent::Signal(signal));
        live.running.inbox.send(Request::World(event)).unwrap();
        pass(20).await;
        assert_eq!(requests(&desk), [0, 0]);
        assert!(says(&live, "not sent: signer_refused"), "{:#?}", live.glance());
        assert_eq!(live.glance().unwrap().risk.open_orders, 0);
    });
}

#[test]
fn an_engine_that_panics_ends_the_run_without_an_open_order_and_keeps_what_it_knew() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        let ready = live.ready().await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        live.until("a fill", |glance| glance.money.cash < ready.money.cash).await;
        for cents in [30, 35, 40] {
            ask(&desk, &mut live, bid(cents, 20)).await;
        }
        live.until("resting orders", |glance| glance.risk.open_orders == 3).await;
        pass(30).await;
        live.running.inbox.send(Request::Panic).unwrap();
        let ended = live.running.ended().await;
        assert!(matches!(ended, Err(EndError::Panicked(_))), "{ended:?}");
        // The program ends now: what is open at this instant rests until the venue misses its heartbeats.
        assert_eq!(desk.open(), []);
        drop(live);
        pass(5).await;
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(120).await;
        assert_eq!(desk.orders(), 4);
        agrees(&desk, &live);
    });
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_run_without_an_open_order() {
    simulated(async {
        let (desk, disk, _) = paced(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        disk.refuse("", Some(std::io::ErrorKind::Other));
        ask(&desk, &mut live, bid(41, 20)).await;
        let ended = live.running.ended().await;
        assert!(matches!(ended, Err(EndError::Stopped(_))), "{ended:?}");
        assert_eq!(desk.open(), []);
        assert_eq!(desk.orders(), 1, "nothing leaves without its entry");
    });
}

#[test]
fn a_lane_that_panics_leaves_no_order_unattended_and_trading_goes_on() {
    for task in ["cancels", "reads", "passes", "chain", "heartbeat"] {
        simulated(async {
            let desk = Desk::new(still());
            let mut live = desk.start().await.unwrap();
            live.ready().await;
            ask(&desk, &mut live, bid(40, 20)).await;
            live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
            panic_of(&desk, task);
            let code = if task == "heartbeat" { "heartbeat_task" } else { task };
            live.until("the blocker", |glance| blocked(glance, code)).await;
            // A person cancels while the task is down; it is done as soon as it is up again.
            act(&live, OperatorCommand::CancelMarket(None));
            empty_within(&desk, 5).await;
            live.ready().await;
            ask(&desk, &mut live, bid(41, 20)).await;
            live.until("the next order", |glance| glance.risk.open_orders == 1).await;
            pass(90).await;
            assert_eq!(desk.open().len(), 1, "{task}");
            agrees(&desk, &live);
            let ended = live.stop().await;
            assert_eq!((ended.left_open, ended.verified_empty), (0, true), "{task}");
        });
    }
}

#[test]
fn cancels_that_are_lost_with_their_lane_are_sent_again() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject(
            "[[answers]]\nendpoint = \"DELETE *\"\ncalls = \"1..2\"\nact = \"silence_before\"",
        );
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        for cents in [38, 39, 40] {
            ask(&desk, &mut live, bid(cents, 20)).await;
        }
        live.until("resting orders", |glance| glance.risk.open_orders == 3).await;
        act(&live, OperatorCommand::CancelMarket(None));
        tokio::time::sleep(Duration::from_millis(300)).await;
        panic_of(&desk, "cancels");
        empty_within(&desk, 10).await;
        pass(60).await;
        agrees(&desk, &live);
    });
}

#[test]
fn the_heartbeats_blocker_is_set_also_when_their_task_is_started_again_before_the_venue_falls_silent()
 {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(20).await;
        desk.inject("[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"1..25\"\nact = \"silence_before\"");
        panic_of(&desk, "heartbeat");
        pass(20).await;
        let seen = live.glance().unwrap();
        assert!(blocked(&seen, "heartbeat"), "{:?}", seen.blockers);
        pass(60).await;
        assert!(
            live.glance().unwrap().blockers.is_empty(),
            "{:?}",
            live.glance().unwrap().blockers
        );
    });
}

#[test]
fn orders_of_an_earlier_run_are_cancelled_also_while_the_user_channel_is_down() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        drop(live);
        desk.inject("[[streams]]\nchannel = \"user\"\nact = \"refuse\"");
        let live = desk.start().await.unwrap();
        // Heartbeats keep it alive: nothing but a cancel ends it.
        pass(60).await;
        assert!(desk.open().is_empty(), "{:?}", desk.open());
        assert!(blocked(&live.glance().unwrap(), "user_link_down"));
    });
}

#[test]
fn a_cancel_of_an_earlier_runs_order_that_fails_is_sent_again() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        drop(live);
        desk.inject(
            "[[answers]]\nendpoint = \"DELETE *\"\ncalls = \"1..3\"\nact = \"lose_request\"",
        );
        let live = desk.start().await.unwrap();
        empty_within(&desk, 60).await;
        live.ready().await;
        pass(60).await;
        agrees(&desk, &live);
    });
}

#[test]
fn a_stop_reads_the_venues_list_until_it_is_empty_also_while_the_user_channel_is_down() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        desk.inject(
            "[[streams]]\nchannel = \"user\"\nact = \"refuse\"\n[[streams]]\nchannel = \"user\"\nact = \"cut\"",
        );
        live.until("the gap", |glance| blocked(glance, "user_link_down")).await;
        let ended = live.stop().await;
        assert_eq!((ended.left_open, ended.verified_empty), (0, true));
        assert!(desk.open().is_empty());
    });
}

#[test]
fn fills_while_the_user_channel_is_down_for_long_are_booked_and_the_gate_opens_when_it_is_back() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        let ready = live.ready().await;
        let best = best_ask(&desk) - 1;
        ask(&desk, &mut live, bid(best, 20)).await;
        live.until("a resting order", |glance| glance.risk.open_orders == 1).await;
        desk.inject(
            "[[streams]]\nchannel = \"user\"\nfor = \"10min\"\nact = \"refuse\"\n[[streams]]\nchannel = \"user\"\nact = \"cut\"",
        );
        live.until("the gap", |glance| blocked(glance, "user_link_down")).await;
        sell_into(&desk, best, 5);
        sell_into(&desk, best, 15);
        pass(300).await;
        let seen = live.glance().unwrap();
        assert!(seen.money.cash < ready.money.cash, "it is read over REST meanwhile");
        live.ready().await;
        pass(150).await;
        agrees(&desk, &live);
    });
}

/// Best ask of the market, in cents.
fn best_ask(desk: &Desk) -> u16 {
    let exchange = &desk.world.exchange;
    let token = exchange.venue(|venue| {
        let ids = venue.universe();
        ids.keys().find(|key| ids.market(*key).slug == MARKET).unwrap().token(Outcome::Yes)
    });
    exchange.book(token).unwrap().ask().unwrap().units() / 100
}

/// Another account sells at a price, to the bids there.
fn sell_into(desk: &Desk, cents: u16, shares: u64) {
    let exchange = &desk.world.exchange;
    let other = &exchange.accounts()[1];
    let (key, seller) = (other.credentials.clone().unwrap().key, other.owner);
    exchange.venue(|venue| {
        let ids = venue.universe();
        let market = ids.keys().find(|key| ids.market(*key).slug == MARKET).unwrap();
        venue.give_set(seller, market, Shares::whole(shares));
        let token = market.token(Outcome::Yes);
        let spec = OrderSpec::limit(token, Side::Sell, Price::cents(cents), Shares::whole(shares));
        venue.place_as(key, seller, &spec).unwrap();
    });
}

#[test]
fn a_single_order_that_is_never_answered_holds_up_no_pass() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject(
            "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\nact = \"lose_request\"\n\
             [[answers]]\nendpoint = \"GET /data/order/*\"\nact = \"silence_before\"",
        );
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("an unknown order", |glance| {
            glance.orders.iter().any(|order| order.state == "unknown")
        })
        .await;
        // What a person places is at risk too: it is in the list, and in the account's limits soon.
        let market = desk.world.market(MARKET);
        desk.person(&market, Outcome::Yes, Side::Buy, 38, 20).await;
        pass(120).await;
        let seen = live.glance().unwrap();
        assert_eq!(seen.risk.open_orders, 2, "{:#?}", seen.orders);
    });
}

#[test]
fn the_venues_balance_is_a_hint_without_which_passes_go_on() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject(
            "[[answers]]\nendpoint = \"GET /balance-allowance\"\nstatus = 500\nbody = \"{}\"",
        );
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(60).await;
        agrees(&desk, &live);
    });
}

#[test]
fn without_accepted_credentials_the_gate_stays_closed_and_the_venue_is_not_hammered() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject("[[answers]]\nendpoint = \"GET /data/*\"\nstatus = 401\nbody = '{\"error\":\"Unauthorized/Invalid api key\"}'");
        let mut live = desk.start().await.unwrap();
        pass(10).await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        let before = desk.world.exchange.count("GET", "/data/orders");
        pass(60).await;
        let asked = desk.world.exchange.count("GET", "/data/orders") - before;
        assert!(asked <= 61, "{asked} reads within a minute");
        assert_eq!(requests(&desk), [0, 0]);
        assert!(blocked(&live.glance().unwrap(), "not_reconciled"));
    });
}

#[test]
fn a_restart_under_a_clock_that_was_set_back_uses_no_timestamp_again() {
    simulated(async {
        let (mut desk, disk, _) = paced(still());
        desk.world.flags.push(("start.max_clock_offset_ms", "60000"));
        let run = async || {
            let mut live = desk.start().await.unwrap();
            live.ready().await;
            for cents in [38, 39, 40] {
                ask(&desk, &mut live, bid(cents, 20)).await;
            }
            live.until("resting orders", |glance| glance.risk.open_orders == 3).await;
            live.stop().await;
            timestamps(&disk)
        };
        let first = run().await;
        desk.inject("[[time]]\nskew = \"-40s\"");
        let both = run().await;
        assert_eq!((first.len(), both.len()), (3, 6), "{both:?}");
        assert!(first.iter().zip(&both).all(|(one, same)| one == same), "{first:?} {both:?}");
    });
}

/// The timestamps that were signed, each once.
fn timestamps(disk: &MemDisk) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for (name, _) in disk.list("").unwrap() {
        let bytes = disk.read(&name).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for part in text.split("\"timestamp_ms\":").skip(1) {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            found.extend(digits.parse::<u64>().ok().filter(|at| *at > 0));
        }
    }
    found
}

#[test]
fn an_order_of_a_person_that_fills_in_two_trades_is_booked_to_the_micro_dollar() {
    simulated(async {
        let desk = Desk::new(still());
        let live = desk.start().await.unwrap();
        live.ready().await;
        let (market, best) = (desk.world.market(MARKET), best_ask(&desk) - 1);
        desk.person(&market, Outcome::Yes, Side::Buy, best, 20).await;
        live.until("an external order", |glance| glance.risk.open_orders == 1).await;
        sell_into(&desk, best, 7);
        pass(3).await;
        sell_into(&desk, best, 13);
        pass(120).await;
        agrees(&desk, &live);
        assert!(desk.open().is_empty());
    });
}

#[test]
fn heartbeats_that_are_lost_while_orders_rest_leave_books_that_agree() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        for cents in [38, 39, 40] {
            ask(&desk, &mut live, bid(cents, 20)).await;
        }
        live.until("resting orders", |glance| glance.risk.open_orders == 3).await;
        desk.inject("[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"1..25\"\nact = \"silence_before\"");
        live.until("the blocker", |glance| blocked(glance, "heartbeat")).await;
        let sent = requests(&desk);
        ask(&desk, &mut live, buy_now(56, 10)).await;
        pass(25).await;
        assert!(desk.open().is_empty(), "the venue has cancelled them");
        assert_eq!(requests(&desk), sent);
        live.ready().await;
        pass(60).await;
        agrees(&desk, &live);
    });
}

#[test]
fn an_order_in_flight_when_the_engine_panics_is_cancelled_before_the_run_ends() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        desk.inject("[[answers]]\nendpoint = \"POST /order\"\nbefore = \"3s\"");
        ask(&desk, &mut live, bid(40, 20)).await;
        pass(1).await;
        assert_eq!(requests(&desk), [1, 0]);
        live.running.inbox.send(Request::Panic).unwrap();
        let ended = live.running.ended().await;
        assert!(matches!(ended, Err(EndError::Panicked(_))), "{ended:?}");
        assert_eq!((desk.orders(), desk.open()), (1, vec![]), "it arrived, and was cancelled");
        // Nothing is killed: the next start trades again.
        drop(live);
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(60).await;
        agrees(&desk, &live);
    });
}

#[test]
fn answers_that_come_in_another_order_than_the_orders_left_belong_to_their_orders() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject("[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\nafter = \"4s\"");
        let mut live = desk.start().await.unwrap();
        let ready = live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        pass(1).await;
        ask(&desk, &mut live, buy_now(56, 10)).await;
        live.until("the fill of the second", |glance| glance.money.cash < ready.money.cash).await;
        pass(120).await;
        assert_eq!((desk.orders(), desk.open().len()), (2, 1));
        agrees(&desk, &live);
        let order = &live.glance().unwrap().orders[0];
        assert_eq!((order.price, order.matched), (Price::cents(40), Shares::ZERO));
    });
}

#[test]
fn what_a_pass_reads_while_the_user_channel_is_down_does_not_open_the_gate() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        live.ready().await;
        // Twenty seconds without the channel; when it is back the lists of orders are answered late.
        desk.inject(
            "[[streams]]\nchannel = \"user\"\nfor = \"20s\"\nact = \"refuse\"\n[[streams]]\nchannel = \"user\"\nact = \"cut\"",
        );
        live.until("the gap", |glance| blocked(glance, "user_link_down")).await;
        let market = desk.world.market(MARKET);
        desk.person(&market, Outcome::Yes, Side::Buy, 38, 20).await;
        let known = live.until("it is read meanwhile", |glance| glance.risk.open_orders == 1).await;
        assert!(blocked(&known, "user_link_down") && blocked(&known, "not_reconciled"));
        while blocked(&live.glance().unwrap(), "user_link_down") {
            assert!(blocked(&live.glance().unwrap(), "not_reconciled"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        live.ready().await;
        ask(&desk, &mut live, bid(40, 20)).await;
        live.until("the next order", |glance| glance.risk.open_orders == 2).await;
    });
}

#[test]
fn cancel_all_and_the_cancel_of_a_market_are_one_request_each_and_at_once() {
    let all: fn(MarketKey) -> OperatorCommand = |_| OperatorCommand::CancelMarket(None);
    let market: fn(MarketKey) -> OperatorCommand = |key| OperatorCommand::CancelMarket(Some(key));
    for (command, path) in [(all, "/cancel-all"), (market, "/cancel-market-orders")] {
        simulated(async {
            let desk = Desk::new(still());
            let mut live = desk.start().await.unwrap();
            live.ready().await;
            for cents in [38, 39, 40] {
                ask(&desk, &mut live, bid(cents, 20)).await;
            }
            live.until("resting orders", |glance| glance.risk.open_orders == 3).await;
            let key = live.key(&desk.world.market(MARKET)).await;
            act(&live, command(key));
            empty_within(&desk, 1).await;
            assert_eq!(desk.world.exchange.count("DELETE", path), 1, "{path}");
        });
    }
}
