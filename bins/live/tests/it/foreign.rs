//! Starts on an account with a past: a person's orders and trades.

use std::collections::BTreeMap;

use polydesk_domain::{Outcome, Price, Shares, Side};
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_local_exchange::wallets::WalletKind;
use serde_json::Value;

use crate::process::{Process, World, until};

const QUIET: &str = "[run]\nstrategies = []";

/// Rests 200 orders of the account as a person would, fills 300 against another account, each in a trade of its own, and
/// one in part. Waits until all of it has settled.
fn person(world: &World) {
    let [own, other] = [0, 1].map(|index| &world.exchange.accounts()[index]);
    let keys = [own, other].map(|account| account.credentials.clone().unwrap().key);
    let [wallet, seller] = [own, other].map(|account| account.wallets[&WalletKind::Deposit]);
    world.exchange.venue(|venue| {
        let market = venue.universe().keys().next().unwrap();
        let token = market.token(Outcome::Yes);
        venue.give_set(seller, market, Shares::whole(5_000));
        let lot = |side, price, shares| OrderSpec::limit(token, side, price, Shares::whole(shares));
        for bought in [[5; 300].as_slice(), &[10]].concat() {
            let book = venue.book(token).unwrap();
            let inside = Price::new(book.ask().unwrap().units() - 100).unwrap();
            venue.place_as(keys[0], wallet, &lot(Side::Buy, inside, bought)).unwrap();
            venue.place_as(keys[1], seller, &lot(Side::Sell, inside, 5)).unwrap();
        }
        for _ in 0..200 {
            venue.place_as(keys[0], wallet, &lot(Side::Buy, Price::cents(1), 5)).unwrap();
        }
    });
    while world.moving() {
        std::thread::yield_now();
    }
}

/// Requests so far, single orders under one name.
pub fn requests(world: &World) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for one in world.exchange.received() {
        let path = match one.path.starts_with("/data/order/") {
            true => "/data/order/*",
            false => one.path.as_str(),
        };
        *found.entry(format!("{} {path}", one.method)).or_default() += 1;
    }
    found
}

fn ready(glance: &Value) -> bool {
    glance["blockers"].as_array().is_some_and(Vec::is_empty)
}

#[test]
fn a_first_start_on_a_wallet_with_hundreds_of_foreign_orders_and_trades_reads_lists_only() {
    let world = World::new(21);
    person(&world);
    let data = world.data();
    let mut process = Process::start(world.live(QUIET));
    process.line("ready ");
    let asked = requests(&world);
    assert_eq!(asked.get("GET /data/order/*"), None, "{asked:#?}");
    assert!(asked.keys().all(|key| !key.starts_with("DELETE")), "{asked:#?}");
    assert!(asked["GET /data/orders"] + asked["GET /data/trades"] <= 60, "{asked:#?}");
    // The market moves: the truth is compared while nothing of the wallet does.
    until(&data, &mut process, "the wallet as it is", |glance| {
        let (_, open) = world.orders();
        ready(glance) && glance["risk"]["open_orders"] == open && open >= 200
    });
}
