//! Up or down series that roll over, hours of them, and scans of many markets.

use std::collections::BTreeSet;
use std::time::Duration;

use polydesk_domain::{MarketKey, MarketState, Outcome, Price, Shares, Side, Span, Tif};
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_local_exchange::wallets::TEST_ADDRESSES;
use polydesk_local_exchange::{Listing, Series, Setup, demo_markets};
use polydesk_runtime::discovery::Discovery;
use polydesk_runtime::glance::Glance;
use polydesk_runtime::inbox::{Inbox, Request};
use tokio::sync::watch;

use crate::world::{World, moving, pass, simulated, still};

/// So many series of five minutes, and nothing else if `alone`.
fn series(count: usize, alone: bool) -> Setup {
    let demo = demo_markets();
    let up_down = demo.last().unwrap().clone();
    let mut markets = if alone { Vec::new() } else { demo };
    for number in usize::from(!alone)..count {
        let mut listing: Listing = up_down.clone();
        let name = format!("coin{number}-updown-5m");
        listing.market.slug = format!("{name}-1795521600");
        listing.market.event = listing.market.slug.clone();
        let byte = 100 + number as u8;
        listing.market.condition = polydesk_domain::ConditionId::from_bytes([byte; 32]);
        listing.market.tokens =
            [0, 1].map(|side| polydesk_domain::TokenId::from_bytes([byte + 100 * side; 32]));
        listing.series = Some(Series { slug: name, lasts: Span::secs(300), ahead: Span::secs(60) });
        markets.push(listing);
    }
    Setup { markets, ..moving(1) }
}

#[test]
fn the_next_market_of_a_series_is_followed_in_time_and_the_old_one_pays_and_goes() {
    simulated(async {
        let mut world = World::new(series(1, false));
        world.flags.push(("markets.series", "[\"btc-updown-5m\"]"));
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        let begin = world.exchange.now();
        let mut most = 0;
        for second in 0..3_600 {
            pass(1).await;
            let glance = process.glance().unwrap();
            most = most.max(glance.feed.open_markets);
            // Half a minute before one closes the next has a book that is believed.
            let passed = begin.until(world.exchange.now()).as_millis() / 1_000 % 300;
            if (275..295).contains(&passed) {
                assert_eq!(glance.feed.usable_books, 2, "after {second} s");
            }
            assert!(glance.feed.open_markets <= 2, "after {second} s");
        }
        assert_eq!(most, 2);
        let finished = process.stop().await;
        let universe = finished.engine.universe();
        assert!(universe.len() >= 12, "{} markets were followed", universe.len());
        assert!(universe.keys().count() <= 3, "old ones leave");
        assert_eq!(finished.engine.manager().halted(), None);
        assert!(finished.sim.check_conservation().is_ok());
    });
}

#[test]
fn what_is_held_of_a_series_is_paid_at_its_resolution_and_the_next_is_traded() {
    simulated(async {
        let world = World::new(series(1, true));
        let process = world.start().await.unwrap();
        let seller = TEST_ADDRESSES[0];
        let mut traded = BTreeSet::new();
        let mut paid = 0;
        while paid == 0 && traded.len() < 8 {
            let quoted = process
                .until("quotes of a new market", |glance| {
                    glance.orders.iter().any(|order| !traded.contains(&order.market))
                })
                .await;
            let slug =
                quoted.orders.iter().map(|one| &one.market).find(|one| !traded.contains(*one));
            let slug = slug.unwrap().clone();
            // Another account sells both outcomes far down; then the book stands still until the end.
            let market = world.exchange.venue(|venue| {
                let universe = venue.universe();
                let market = universe.keys().find(|key| universe.market(*key).slug == slug);
                let market = market.unwrap();
                let caller = venue.derive_key(&seller, 0).unwrap().key;
                venue.give_set(seller, market, Shares::whole(20_000));
                for outcome in Outcome::BOTH {
                    let top = venue.book(market.token(outcome)).and_then(|book| book.bid());
                    let limit = Price::new(top.unwrap().units().saturating_sub(1_300).max(100));
                    let size = Shares::whole(3_000);
                    let token = market.token(outcome);
                    let spec = OrderSpec::limit(token, Side::Sell, limit.unwrap(), size);
                    venue.place_as(caller, seller, &OrderSpec { tif: Tif::Fak, ..spec }).unwrap();
                }
                market
            });
            let of = |glance: &Glance| glance.positions.iter().any(|one| one.market == slug);
            traded.insert(slug.clone());
            for _ in 0..300 {
                if process.glance().is_some_and(|glance| of(&glance)) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if !process.glance().is_some_and(|glance| of(&glance)) {
                // Its orders were not filled in time.
                continue;
            }
            world.exchange.venue(|venue| venue.freeze(market, true));
            process.until("the end of the position", |glance| !of(glance)).await;
            // Where both outcomes were bought, the sets are merged before that.
            let state = world.exchange.venue(|venue| venue.universe().market(market).state);
            paid += u32::from(matches!(state, MarketState::Resolved(_)));
        }
        assert!(paid >= 1, "{paid} of {traded:?} were paid");
        let finished = process.stop().await;
        assert!(finished.sim.check_conservation().is_ok());
        assert_eq!(finished.engine.manager().halted(), None);
    });
}

/// Resident memory in KiB and open descriptors.
fn used() -> (u64, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (kib, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// So many series for so many hours: what is used after each hour, and the markets that were followed.
async fn hours(count: usize, hours: u64) -> (Vec<(u64, usize)>, usize) {
    let mut world = World::new(series(count, true));
    // The journal keeps on a disk what it keeps: here only its figures count.
    world.disk = None;
    world.flags.push(("health.listen", "\"\""));
    let process = world.start().await.unwrap();
    let mut after = Vec::new();
    for _ in 0..hours {
        pass(3_600).await;
        after.push(used());
    }
    let finished = process.stop().await;
    assert_eq!(finished.engine.manager().halted(), None);
    assert!(finished.sim.check_conservation().is_ok());
    let universe = finished.engine.universe();
    assert!(universe.keys().count() <= 4 * count, "{} are left", universe.keys().count());
    (after, universe.len())
}

#[test]
fn two_hours_of_dozens_of_markets_leave_no_market_and_no_descriptor_behind() {
    simulated(async {
        let (after, markets) = hours(2, 2).await;
        assert!(markets >= 40, "{markets} markets");
        assert!(after[1].1 <= after[0].1 + 2, "{after:?} open descriptors");
    });
}

/// The whole day: `cargo test --release -p polydesk-runtime --test it -- --ignored --nocapture a_day_of_a_thousand`.
#[test]
#[ignore = "a campaign of minutes"]
fn a_day_of_a_thousand_markets_ends_with_the_memory_of_its_fourth_hour() {
    crate::world::simulated_for(90_000, async {
        let (after, markets) = hours(4, 24).await;
        for (hour, (kib, open)) in after.iter().enumerate() {
            println!("hour {}: {kib} KiB, {open} descriptors", hour + 1);
        }
        println!("{markets} markets");
        assert!(markets >= 1_000, "{markets}");
        let (fourth, last) = (after[3], after[23]);
        assert!(last.0 * 10 <= fourth.0 * 11, "{} KiB, then {} KiB", fourth.0, last.0);
        // A request or two may be under way when it is looked.
        assert!(last.1 <= fourth.1 + 3, "{} descriptors, then {}", fourth.1, last.1);
    });
}

#[test]
fn the_first_market_of_a_scan_is_listed_before_the_last_ones_are_read() {
    simulated(async {
        let text: String = (0..400).map(|n| format!("[[market]]\nslug = \"m{n}\"\n")).collect();
        let markets = polydesk_local_exchange::market_file(&text).unwrap();
        let mut world = World::new(Setup { markets, ..still() });
        world.flags.push(("markets.most", "400"));
        let slow = "[[answers]]\nendpoint = \"* *\"\nafter = \"100ms\"\n";
        world.exchange.inject_toml(slow).unwrap();
        let (inbox, mut requests) = Inbox::new();
        let (_settings, watched) = watch::channel(world.settings().runtime.markets);
        let began = tokio::time::Instant::now();
        let listed = tokio::spawn(async move {
            let mut times = Vec::new();
            while let Some(request) = requests.recv().await {
                if let Request::List { reply, .. } = request {
                    let _ = reply.send(Ok(MarketKey(times.len() as u32)));
                    times.push(began.elapsed().as_millis());
                }
            }
            times
        });
        let mut discovery: Discovery = world.discovery(inbox, watched);
        let scanned = discovery.scan().await.unwrap();
        assert_eq!((scanned.listed, scanned.refused), (400, 0));
        drop(discovery);
        let times = listed.await.unwrap();
        // A page of Gamma and the parameters of one market; the rest takes eight at a time.
        assert!(times[0] <= 1_000, "the first market came after {} ms", times[0]);
        assert!(times[399] >= 5_000, "the last one after {} ms", times[399]);
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(gaps <= 400, "a gap of {gaps} ms");
    });
}
