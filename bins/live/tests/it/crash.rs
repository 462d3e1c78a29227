//! kill -9 at every step of an order's way: after the next start one reconciliation makes the view equal to the
//! exchange's truth, and no order is sent twice.

use std::collections::BTreeMap;

use polydesk_domain::{Shares, Usdc};
use serde_json::Value;

use crate::process::{Process, World, until};

/// Cash of the glance.
pub fn cash(glance: &Value) -> Usdc {
    serde_json::from_value(glance["money"]["cash"].clone()).unwrap()
}

/// Shares of the glance by market and outcome.
pub fn shares(glance: &Value) -> Vec<(String, polydesk_domain::Outcome, Shares)> {
    let mut held: BTreeMap<(String, polydesk_domain::Outcome), Shares> = BTreeMap::new();
    for position in glance["positions"].as_array().unwrap() {
        let market = position["market"].as_str().unwrap().to_owned();
        let outcome = serde_json::from_value(position["outcome"].clone()).unwrap();
        let shares: Shares = serde_json::from_value(position["shares"].clone()).unwrap();
        *held.entry((market, outcome)).or_default() += shares;
    }
    held.into_iter().map(|((market, outcome), shares)| (market, outcome, shares)).collect()
}

/// Whether the view is the exchange's truth: cash, shares, and open orders but for those whose outcome is unknown, which
/// stay reserved. Nothing else may keep the gate closed.
pub fn agrees(world: &World, glance: &Value) -> bool {
    let orders = glance["orders"].as_array().unwrap();
    let unknown = orders.iter().filter(|order| order["state"] == "unknown").count();
    let waits = |blocker: &Value| unknown > 0 && blocker["code"] == "not_reconciled";
    let (_, open) = world.orders();
    !world.moving()
        && glance["blockers"].as_array().unwrap().iter().all(waits)
        && orders.len() - unknown == open
        && cash(glance) == world.cash()
        && shares(glance) == world.shares()
}

/// Kills the process at a point, starts it again without entries, and compares everything.
fn stopped_at(point: &str, seed: u64) {
    let world = World::new(seed);
    let data = world.data();
    let rehearsal = format!("[rehearsal]\nstop_at = {point:?}\ncrash_loop = false");
    let mut first = Process::start(world.live(&rehearsal));
    first.line("rehearsal: stopped at");
    first.kill();
    // Exits of what is held go on; nothing new is entered.
    let quiet = "[rehearsal]\ncrash_loop = false\n[run]\nstrategies = []";
    for start in ["second", "third"] {
        let mut process = Process::start(world.live(quiet));
        let what = format!("{point}: the truth after the {start} start");
        let glance = until(&data, &mut process, &what, |glance| agrees(&world, glance));
        // What the exchange has and no entry names would be an order that was sent without its entry, or twice.
        for order in glance["orders"].as_array().unwrap() {
            assert_ne!(order["strategy"], "external", "{point}: {order}");
        }
        assert_eq!(glance["mode"], "live");
        process.kill();
    }
    world.exchange.check().unwrap();
}

#[test]
fn a_process_that_is_killed_before_an_order_is_durable_has_sent_nothing_of_it() {
    stopped_at("W5:4", 1);
}

#[test]
fn a_process_that_is_killed_between_the_entry_and_the_first_byte_knows_of_it() {
    stopped_at("W6:9", 2);
}

#[test]
fn a_process_that_is_killed_before_it_reads_an_answer_asks_for_it() {
    stopped_at("W9:3", 3);
}

/// All twenty; `cargo test --release -p live --test it -- --ignored every_step`.
#[test]
#[ignore = "a campaign: twenty crashes of the real program take minutes"]
fn every_step_of_the_way_survives_kill_9() {
    let points = [
        "W1:50", "W1:700", "W2:2", "W2:15", "W3:3", "W3:20", "W4:1", "W4:12", "W5:1", "W5:17",
        "W6:1", "W6:6", "W6:21", "W7:2", "W7:13", "W8:1", "W8:5", "W8:18", "W9:1", "W9:11",
    ];
    for (seed, point) in (10..).zip(points) {
        eprintln!("{point}");
        stopped_at(point, seed);
    }
}
