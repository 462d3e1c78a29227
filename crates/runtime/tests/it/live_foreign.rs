//! The first start on a wallet that a person trades with: what it costs in reads until the gate is open.

use std::collections::BTreeMap;

use polydesk_domain::{Outcome, Price, Shares, Side, Span, Usdc};
use polydesk_local_exchange::Setup;
use polydesk_local_exchange::venue::OrderSpec;

use crate::live_world::{Desk, wallet};
use crate::world::{pass, simulated, still};

const MARKET: &str = "rain-tomorrow";

/// What a person has done with the wallet.
#[derive(Clone, Copy, Debug, Default)]
struct Past {
    /// Orders that rest untouched.
    resting: u64,
    /// Orders that rest with a part filled.
    partly: u64,
    /// Orders that were filled, each in a trade of its own.
    filled: u64,
    /// Orders that took what was there.
    taken: u64,
    /// Resting orders that one order of another account met at once.
    swept: u64,
    /// Shares that were sold again.
    sold: u64,
}

fn person(desk: &Desk, past: Past) {
    let exchange = &desk.world.exchange;
    let (own, other) = (&exchange.accounts()[0], &exchange.accounts()[1]);
    let keys = [own, other].map(|account| account.credentials.clone().unwrap().key);
    let (wallet, seller) = (wallet(exchange), other.owner);
    exchange.venue(|venue| {
        let ids = venue.universe();
        let market = ids.keys().find(|key| ids.market(*key).slug == MARKET).unwrap();
        let token = market.token(Outcome::Yes);
        let best = venue.book(token).unwrap().ask().unwrap();
        let inside = Price::new(best.units() - 100).unwrap();
        venue.give_set(seller, market, Shares::whole(50_000));
        venue.fund(wallet, Usdc::whole(100_000));
        let lot = |side, price, shares| OrderSpec::limit(token, side, price, Shares::whole(shares));
        for _ in 0..past.filled {
            venue.place_as(keys[0], wallet, &lot(Side::Buy, inside, 5)).unwrap();
            venue.place_as(keys[1], seller, &lot(Side::Sell, inside, 5)).unwrap();
        }
        for _ in 0..past.taken {
            venue.place_as(keys[1], seller, &lot(Side::Sell, inside, 5)).unwrap();
            venue.place_as(keys[0], wallet, &lot(Side::Buy, inside, 5)).unwrap();
        }
        for _ in 0..past.sold {
            venue.place_as(keys[1], seller, &lot(Side::Buy, inside, 5)).unwrap();
            venue.place_as(keys[0], wallet, &lot(Side::Sell, inside, 5)).unwrap();
        }
        for _ in 0..past.swept {
            venue.place_as(keys[0], wallet, &lot(Side::Buy, inside, 5)).unwrap();
        }
        if past.swept > 0 {
            venue.place_as(keys[1], seller, &lot(Side::Sell, inside, 5 * past.swept)).unwrap();
        }
        for _ in 0..past.partly {
            venue.place_as(keys[0], wallet, &lot(Side::Buy, inside, 10)).unwrap();
        }
        // Time goes first: one after another is met in part only where each was alone at its price.
        if past.partly > 0 {
            venue
                .place_as(keys[1], seller, &lot(Side::Sell, inside, 10 * past.partly - 5))
                .unwrap();
        }
        for _ in 0..past.resting {
            venue.place_as(keys[0], wallet, &lot(Side::Buy, Price::cents(1), 5)).unwrap();
        }
    });
}

/// Requests so far, single orders and JSON-RPC each under one name.
fn requests(desk: &Desk) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for one in desk.world.exchange.received() {
        let path = match one.path.starts_with("/data/order/") {
            true => "/data/order/*",
            false => one.path.as_str(),
        };
        *found.entry(format!("{} {path}", one.method)).or_default() += 1;
    }
    found
}

/// A first start after that past, so many seconds ago. It costs lists and no read of a single order; what rests stays,
/// also over a restart.
fn taken_up(past: Past, ago: u64, within: u64) {
    simulated(async {
        let desk = Desk::new(Setup { limits: Default::default(), ..still() });
        person(&desk, past);
        pass(ago).await;
        let before = desk.open();
        let began = desk.world.exchange.now();
        let live = desk.start().await.unwrap();
        let ready = live.ready().await;
        let took = began.until(desk.world.exchange.now());
        assert!(took <= Span::secs(within as i64), "{past:?}: ready after {took:?}");
        assert_eq!(ready.risk.open_orders as usize, before.len(), "{past:?}");
        pass(60).await;
        let end = live.glance().unwrap();
        assert!(end.blockers.is_empty(), "{past:?}: {:?}", end.blockers);
        assert_eq!(end.money.cash, desk.cash(), "{past:?}");
        assert!(end.money.day.abs() < Usdc::whole(100), "{past:?}: {}", end.money.day);
        assert_eq!(end.risk.open_orders as usize, before.len(), "{past:?}");
        drop(live);
        let live = desk.start().await.unwrap();
        live.ready().await;
        pass(60).await;
        assert_eq!(desk.open(), before, "{past:?}: what a person placed is theirs to cancel");
        assert_eq!(live.glance().unwrap().risk.open_orders as usize, before.len(), "{past:?}");
        let asked = requests(&desk);
        let none = |path: &str| asked.keys().all(|key| !key.contains(path));
        assert!(none("/data/order/") && none("DELETE"), "{past:?}: {asked:#?}");
        // Per pass each list is read twice where it has several pages, so that no row slides past unseen.
        let lists = asked["GET /data/orders"];
        assert!(
            lists <= 200,
            "{past:?}: {lists} pages of open orders in two starts and two minutes"
        );
    });
}

#[test]
fn a_wallet_with_hundreds_of_foreign_orders_and_trades_is_ready_soon_and_reads_none_by_its_id() {
    let none = Past::default();
    for past in [
        Past { resting: 200, ..none },
        Past { filled: 300, ..none },
        Past { taken: 300, ..none },
        Past { swept: 100, ..none },
        Past { filled: 50, sold: 30, ..none },
        Past { resting: 200, partly: 3, filled: 100, taken: 100, swept: 50, sold: 30 },
    ] {
        taken_up(past, 180, 2);
    }
}

#[test]
fn a_foreign_order_that_rests_with_a_part_filled_is_taken_up_whole_and_never_cancelled() {
    // Minutes ago its fills are read as well; an hour ago they are a part of what the wallet held.
    for (ago, within) in [(180, 2), (3_600, 20)] {
        taken_up(Past { partly: 1, ..Past::default() }, ago, within);
        taken_up(Past { partly: 3, resting: 20, ..Past::default() }, ago, within);
    }
}

#[test]
fn the_rest_of_a_foreign_order_that_was_partly_filled_before_the_start_is_booked_when_it_fills() {
    for ago in [180, 3_600] {
        simulated(async {
            let desk = Desk::new(still());
            person(&desk, Past { partly: 1, ..Past::default() });
            pass(ago).await;
            let live = desk.start().await.unwrap();
            live.ready().await;
            pass(30).await;
            let exchange = &desk.world.exchange;
            let other = &exchange.accounts()[1];
            let (key, seller) = (other.credentials.clone().unwrap().key, other.owner);
            exchange.venue(|venue| {
                let ids = venue.universe();
                let market = ids.keys().find(|key| ids.market(*key).slug == MARKET).unwrap();
                let token = market.token(Outcome::Yes);
                let best = venue.book(token).unwrap().bid().unwrap();
                let rest = OrderSpec::limit(token, Side::Sell, best, Shares::whole(5));
                venue.place_as(key, seller, &rest).unwrap();
            });
            assert!(desk.open().is_empty());
            live.until("its end", |glance| glance.risk.open_orders == 0).await;
            pass(60).await;
            let end = live.glance().unwrap();
            assert!(end.blockers.is_empty(), "{:?}", end.blockers);
            assert_eq!(end.money.cash, desk.cash());
        });
    }
}

#[test]
fn a_start_that_waits_says_for_what() {
    simulated(async {
        let desk = Desk::new(still());
        desk.inject("[[streams]]\nchannel = \"user\"\nfor = \"20s\"\nact = \"refuse\"");
        let live = desk.start().await.unwrap();
        pass(10).await;
        let detail = || {
            let glance = live.glance().unwrap();
            let found = glance.blockers.iter().find(|blocker| blocker.code == "not_reconciled");
            found.map(|blocker| blocker.detail.clone()).unwrap_or_default()
        };
        // What the wallet has is read all the same, and the channel has a blocker of its own.
        assert!(detail().contains("passes of reads so far"), "{}", detail());
        let blockers = live.glance().unwrap().blockers;
        assert!(blockers.iter().any(|it| it.code == "user_channel_fails"), "{blockers:?}");
        desk.inject(
            "[[answers]]\nendpoint = \"GET /data/trades\"\ncalls = \"1..60\"\nstatus = 500\nbody = \"{}\"",
        );
        while live.glance().unwrap().blockers.iter().any(|it| it.code == "user_link_down") {
            pass(1).await;
        }
        pass(5).await;
        assert!(detail().contains("the last one failed"), "{}", detail());
        live.ready().await;
    });
}
