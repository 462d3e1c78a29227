//! What a person does to a running process: over the socket, by signal and by file; times by the exchange's own clock.

use std::path::Path;

use polydesk_domain::{Price, Shares, Side, Span, Time};
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_local_exchange::wallets::WalletKind;
use serde_json::Value;

use crate::process::{Process, World, post, until};

fn ready(glance: &Value) -> bool {
    glance["blockers"].as_array().is_some_and(Vec::is_empty)
}

fn blocked(glance: &Value, code: &str) -> bool {
    glance["blockers"].as_array().unwrap().iter().any(|blocker| blocker["code"] == code)
}

/// Rests so many orders of the account beside the bot's, as a person would.
fn rest(world: &World, count: u16) {
    let account = &world.exchange.accounts()[0];
    let (key, wallet) =
        (account.credentials.clone().unwrap().key, account.wallets[&WalletKind::Deposit]);
    world.exchange.venue(|venue| {
        let key_of = venue.universe().keys().next().unwrap();
        let token = key_of.token(polydesk_domain::Outcome::Yes);
        for _ in 0..count {
            let spec = OrderSpec::limit(token, Side::Buy, Price::cents(1), Shares::whole(5));
            venue.place_as(key, wallet, &spec).unwrap();
        }
    });
}

/// How long it takes until the exchange has no open order of the account.
fn zero(world: &World, since: Time) -> Span {
    while world.orders().1 > 0 {
        assert!(
            since.until(world.exchange.now()) < Span::secs(30),
            "{} are open",
            world.orders().1
        );
        std::thread::yield_now();
    }
    since.until(world.exchange.now())
}

fn killed(data: &Path) -> Value {
    post(data, "/v1/kill").unwrap()
}

const QUIET: &str = "[run]\nstrategies = []";

#[test]
fn a_pause_stops_entries_a_resume_ends_it_and_orders_are_cancelled_by_name_and_together() {
    let world = World::new(4);
    let data = world.data();
    let mut process = Process::start(world.live(""));
    let glance = until(&data, &mut process, "open orders", |glance| {
        ready(glance) && glance["orders"].as_array().is_some_and(|orders| orders.len() >= 4)
    });
    assert_eq!(post(&data, "/v1/pause").unwrap()["in_force"], "pause");
    until(&data, &mut process, "the pause", |glance| blocked(glance, "paused"));
    let name = glance["orders"][0]["id"].as_str().unwrap().trim_start_matches('#').to_owned();
    let answer = post(&data, &format!("/v1/cancel/{name}")).unwrap();
    // It may have been filled a moment ago; then it is said.
    assert!(answer["in_force"] == "cancel_order" || answer["error"].is_string(), "{answer}");
    assert!(post(&data, "/v1/cancel/x").unwrap()["error"].as_str().unwrap().contains("RUN.NUMBER"));
    assert_eq!(post(&data, "/v1/cancel").unwrap()["in_force"], "cancel_market");
    zero(&world, world.exchange.now());
    until(&data, &mut process, "no order", |glance| glance["risk"]["open_orders"] == 0);
    assert_eq!(post(&data, "/v1/resume").unwrap()["in_force"], "resume");
    until(&data, &mut process, "orders again", |glance| {
        ready(glance) && glance["risk"]["open_orders"] != 0
    });
}

#[test]
fn a_kill_over_the_socket_ends_two_hundred_orders_within_two_seconds_and_outlives_kill_9() {
    let world = World::new(5);
    let data = world.data();
    let mut process = Process::start(world.live(QUIET));
    until(&data, &mut process, "an open gate", ready);
    rest(&world, 200);
    let began = world.exchange.now();
    let answer = killed(&data);
    assert_eq!((answer["killed"].as_bool(), answer["latched"].as_bool()), (Some(true), Some(true)));
    let took = zero(&world, began);
    assert!(took <= Span::secs(2), "{took:?}");
    println!("two hundred orders, over the socket: {} ms", took.as_millis());
    until(&data, &mut process, "the kill", |glance| blocked(glance, "killed"));
    let refused = post(&data, "/v1/resume").unwrap();
    assert!(refused["error"].as_str().unwrap().contains("unkill"), "{refused}");
    process.kill();
    rest(&world, 3);
    let mut process = Process::start(world.live(""));
    until(&data, &mut process, "the latch", |glance| blocked(glance, "killed"));
    zero(&world, world.exchange.now());
    let (orders, _) = world.orders();
    assert_eq!(orders, 203, "a killed process sends nothing");
}

#[test]
fn a_kill_by_signal_works_while_the_engine_stands_still() {
    let world = World::new(6);
    let data = world.data();
    let stop = "[rehearsal]\nstop_at = \"W1:400\"\n";
    let mut process = Process::start(world.live(stop));
    rest(&world, 200);
    process.line("rehearsal: stopped at");
    let began = world.exchange.now();
    process.signal("USR1");
    let took = zero(&world, began);
    assert!(took <= Span::secs(2), "{took:?}");
    println!("two hundred orders, the engine stopped: {} ms", took.as_millis());
    process.kill();
    let mut process = Process::start(world.live(QUIET));
    until(&data, &mut process, "the latch", |glance| blocked(glance, "killed"));
}

#[test]
fn the_file_stop_kills_and_sigterm_ends_with_an_empty_list() {
    let world = World::new(7);
    let data = world.data();
    let mut process = Process::start(world.live(QUIET));
    until(&data, &mut process, "an open gate", ready);
    rest(&world, 20);
    std::fs::write(data.join("STOP"), "").unwrap();
    zero(&world, world.exchange.now());
    until(&data, &mut process, "the kill", |glance| blocked(glance, "killed"));
    process.kill();

    let world = World::new(8);
    let data = world.data();
    let mut process = Process::start(world.live(""));
    until(&data, &mut process, "open orders", |glance| {
        ready(glance) && glance["risk"]["open_orders"] != 0
    });
    process.signal("TERM");
    let (code, said) = process.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("no order is open; the venue's own list is empty"), "{said}");
    assert_eq!(world.orders().1, 0);
}

#[test]
fn a_file_stop_that_is_there_at_the_start_cancels_what_rests_and_no_order_leaves() {
    let world = World::new(9);
    let data = world.data();
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("STOP"), "").unwrap();
    rest(&world, 5);
    let mut process = Process::start(world.live(""));
    until(&data, &mut process, "the kill", |glance| blocked(glance, "killed"));
    zero(&world, world.exchange.now());
    // Everything but the kill is good by then.
    until(&data, &mut process, "the kill alone", |glance| {
        let codes = glance["blockers"].as_array().unwrap();
        codes.iter().all(|one| one["code"] == "killed" || one["code"] == "heartbeat")
    });
    assert_eq!(world.orders(), (5, 0));
}

#[test]
fn p11_an_engine_that_stands_still_is_killed_then_ended_and_the_next_start_is_clean() {
    let world = World::new(10);
    let data = world.data();
    let mut process =
        Process::start(world.live("[rehearsal]\nstop_at = \"W1:400\"\ncrash_loop = false\n"));
    rest(&world, 20);
    process.line("rehearsal: stopped at");
    let began = world.exchange.now();
    // Five seconds without a beat: everything is cancelled, without a command.
    let took = zero(&world, began);
    assert!(took <= Span::secs(8), "{took:?}");
    let (code, said) = process.ended();
    assert_eq!(code, None, "ended by a signal: {said}");
    assert!(said.contains("the engine has not moved for"), "{said}");
    assert!(began.until(world.exchange.now()) <= Span::secs(13), "{said}");
    let quiet = format!("{QUIET}\n[rehearsal]\ncrash_loop = false\n");
    let mut process = Process::start(world.live(&quiet));
    until(&data, &mut process, "the kill alone", |glance| {
        let codes = glance["blockers"].as_array().unwrap();
        codes.iter().any(|one| one["code"] == "killed")
            && codes.iter().all(|one| one["code"] == "killed" || one["code"] == "heartbeat")
    });
    assert_eq!(world.orders().1, 0);
    world.exchange.check().unwrap();
}
