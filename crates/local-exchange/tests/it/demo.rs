//! The demo's counterparties, on a clock that is advanced by hand: what a strategy finds there.

use std::collections::BTreeMap;

use crate::common::{get, http, run};
use polydesk_domain::{
    MarketKey, MarketState, Outcome, Payout, Price, Shares, Side, Span, Time, Usdc,
};
use polydesk_local_exchange::venue::{OrderSpec, Status, Venue, VenueUpdate};
use polydesk_local_exchange::wallets::TEST_ADDRESSES;
use polydesk_local_exchange::{LocalExchange, Setup, TEST_START};

fn moving(seed: u64) -> Setup {
    Setup { seed, liquidity: true, counterparties: true, ..Setup::test() }
}

fn venue(seed: u64) -> Venue {
    Venue::new(&moving(seed), TEST_START).unwrap()
}

fn after(secs: i64) -> Time {
    TEST_START + Span::secs(secs)
}

fn key(venue: &Venue, slug: &str) -> MarketKey {
    let universe = venue.universe();
    universe.keys().find(|key| universe.market(*key).slug == slug).unwrap()
}

/// Frames that somebody receives who wants both tokens of every market and no optional events.
fn is_frame(update: &VenueUpdate) -> bool {
    use VenueUpdate::{Book, Levels, Print, Resolved, Tick};
    matches!(update, Levels { .. } | Print { .. } | Book(_) | Tick { .. } | Resolved { .. })
}

#[test]
fn a_minute_of_the_demo_is_lively_and_conserved() {
    for seed in 1..=5 {
        let mut venue = venue(seed);
        for second in 1..=60 {
            venue.advance(after(second));
            venue.check().unwrap_or_else(|rule| panic!("seed {seed}, {second} s: {rule}"));
        }
        let updates = venue.take_updates();
        let frames = updates.iter().filter(|update| is_frame(update)).count();
        assert!((5 * 60..=25 * 60).contains(&frames), "seed {seed}: {frames} frames a minute");
        let mut printed = BTreeMap::new();
        for update in &updates {
            if let VenueUpdate::Print { token, side, .. } = update {
                *printed.entry((token.outcome(), *side)).or_insert(0) += 1;
            }
        }
        assert_eq!(printed.len(), 4, "seed {seed}: both tokens on both sides, {printed:?}");
    }
}

/// Prices of YES and NO at which sellers reached a bid this far below the middle of its book before.
fn dips(venue: &mut Venue, secs: i64, rung: u16) -> Vec<(i64, MarketKey)> {
    let mut found: Vec<(i64, MarketKey)> = Vec::new();
    for second in 1..=secs {
        let mut middle = BTreeMap::new();
        for view in venue.market_views() {
            if let (Some(bid), Some(ask)) = view.top {
                middle.insert(view.key, (bid.units() + ask.units()) / 2);
            }
        }
        venue.advance(after(second));
        for update in venue.take_updates() {
            let VenueUpdate::Print { token, price, side: Side::Sell, .. } = update else {
                continue;
            };
            let Some(yes) = middle.get(&token.market()) else { continue };
            let middle = if token.outcome() == Outcome::Yes { *yes } else { 10_000 - yes };
            let new = found.last().is_none_or(|(at, of)| *of != token.market() || at + 5 < second);
            if price.units() + rung < middle && new {
                found.push((second, token.market()));
            }
        }
    }
    found
}

#[test]
fn a_bid_eight_cents_below_the_middle_is_sold_through_in_every_minute() {
    for seed in 1..=5 {
        let mut venue = venue(seed);
        let found = dips(&mut venue, 300, 850);
        let mut times: Vec<i64> = found.iter().map(|(at, _)| *at).collect();
        times.insert(0, 0);
        times.push(300);
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= 40, "seed {seed}: {longest} s without a dip: {found:?}");
        assert!(found.len() <= 30, "seed {seed}: {} dips in five minutes", found.len());
    }
}

#[test]
fn prices_come_back_after_a_dip() {
    let mut venue = venue(3);
    let found = dips(&mut venue, 120, 850);
    let (_, market) = found[0];
    let top = |venue: &Venue| venue.market_view(market).unwrap().top;
    // Ten seconds without a further dip in this market restore a spread of at most three cents.
    let mut restored = 0;
    for second in 121..=180 {
        venue.advance(after(second));
        if let (Some(bid), Some(ask)) = top(&venue) {
            restored += i32::from(ask.units() - bid.units() <= 300);
        }
    }
    assert!(restored >= 30, "{restored} of 60 seconds");
}

#[test]
fn a_resting_bid_of_an_account_is_hit_by_a_dip() {
    let mut venue = venue(2);
    let owner = TEST_ADDRESSES[0];
    let account = venue.derive_key(&owner, 0).unwrap().key;
    let market = key(&venue, "rain-tomorrow");
    let (bid, _) = venue.market_view(market).unwrap().top;
    for outcome in Outcome::BOTH {
        let bid = if outcome == Outcome::Yes {
            bid.unwrap().units()
        } else {
            9_800 - bid.unwrap().units()
        };
        let price = Price::new(bid - 700).unwrap();
        let spec = OrderSpec::limit(market.token(outcome), Side::Buy, price, Shares::whole(50));
        venue.place_as(account, owner, &spec).unwrap();
    }
    let orders = |venue: &Venue| {
        let own = venue.orders().filter(|order| order.signer == owner);
        own.filter(|order| order.status == Status::Matched).count()
    };
    let mut second = 0;
    while orders(&venue) == 0 {
        second += 1;
        assert!(second < 300, "nothing hit the bids within five minutes");
        venue.advance(after(second));
    }
    venue.check().unwrap();
}

/// Seconds at which one share of every YES of the election costs less than this, in ten-thousandths.
fn cheap_seconds(venue: &mut Venue, secs: i64, below: u16) -> Vec<i64> {
    let members = ["ada-wins", "grace-wins", "alan-wins"].map(|slug| key(venue, slug));
    let mut found = Vec::new();
    for second in 1..=secs {
        venue.advance(after(second));
        let asks = members.map(|key| venue.market_view(key).unwrap().top.1.unwrap().units());
        if asks.iter().sum::<u16>() < below {
            found.push(second);
        }
    }
    found
}

#[test]
fn the_group_is_cheap_for_some_seconds_about_every_half_minute() {
    for seed in 1..=4 {
        let found = cheap_seconds(&mut venue(seed), 300, 9_400);
        let mut begins: Vec<i64> = Vec::new();
        for second in &found {
            if !found.contains(&(second - 1)) {
                begins.push(*second);
            }
        }
        let gaps: Vec<i64> = begins.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(begins[0] <= 20, "seed {seed}: {begins:?}");
        assert!(gaps.iter().all(|gap| *gap <= 45), "seed {seed}: {begins:?}");
        assert!((3 * begins.len()..=8 * begins.len()).contains(&found.len()), "seed {seed}");
        // The rest of the time it is dearer than what it pays.
        assert!(
            cheap_seconds(&mut venue(seed), 300, 9_900).len() <= found.len() + 20,
            "seed {seed}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_demo_and_another_one_another() {
    let updates = |seed| {
        let mut venue = venue(seed);
        venue.advance(after(90));
        format!("{:?}", venue.take_updates())
    };
    let (first, again, other) = (updates(1), updates(1), updates(2));
    assert!(first == again, "the same seed gives other updates");
    assert!(first != other, "another seed gives the same updates");
}

#[test]
fn how_often_the_clock_is_advanced_changes_nothing() {
    let mut whole = venue(4);
    whole.advance(after(60));
    let mut parts = venue(4);
    for tick in 1..=600 {
        parts.advance(TEST_START + Span::millis(100 * tick));
    }
    assert!(format!("{:?}", whole.take_updates()) == format!("{:?}", parts.take_updates()));
}

#[test]
fn ended_orders_of_counterparties_are_forgotten() {
    let mut venue = venue(1);
    venue.advance(after(60));
    let after_a_minute = venue.orders().count();
    venue.advance(after(900));
    let later = venue.orders().count();
    assert!(later <= after_a_minute + after_a_minute / 2, "{after_a_minute} orders, later {later}");
}

#[test]
fn one_market_runs_to_its_result_and_is_resolved() {
    for seed in 1..=4 {
        let mut venue = venue(seed);
        let market = key(&venue, "btc-updown-5m-1795521600");
        assert_eq!(venue.market_view(market).unwrap().listing.market.closes, Some(after(300)));
        let state = |venue: &Venue| venue.market_view(market).unwrap().listing.market.state;
        venue.advance(after(299));
        assert_eq!(state(&venue), MarketState::Open);
        let yes = venue.market_view(market).unwrap().price(Outcome::Yes);
        venue.advance(after(310));
        let view = venue.market_view(market).unwrap();
        assert!(view.proposed && !view.accepting, "a result is proposed");
        assert_eq!(state(&venue), MarketState::Paused);
        venue.take_updates();
        venue.advance(after(331));
        let payout = if yes > Price::cents(50) { Payout::YES } else { Payout::NO };
        assert_eq!(state(&venue), MarketState::Resolved(payout), "seed {seed}");
        assert!(!(yes > Price::cents(10) && yes < Price::cents(90)), "seed {seed}: {yes} before");
        let resolved = venue.take_updates().into_iter().find_map(|update| match update {
            VenueUpdate::Resolved { market: of, winner, .. } => Some((of, winner)),
            _ => None,
        });
        let winner = if payout == Payout::YES { Outcome::Yes } else { Outcome::No };
        assert_eq!(resolved, Some((market, Some(market.token(winner)))));
        venue.advance(after(400));
        venue.check().unwrap();
    }
}

#[test]
fn gamma_shows_the_proposal_and_the_resolution() {
    run(async {
        let running = LocalExchange::start(moving(1)).await.unwrap();
        let http = http();
        let slug = "btc-updown-5m-1795521600";
        let url = format!("{}/markets?slug={slug}", running.urls().gamma);
        let market = async || get(&http, url.clone()).await.json()[0].clone();
        let open = market().await;
        assert_eq!(open["umaResolutionStatus"], serde_json::Value::Null);
        assert_eq!(open["endDate"], "2026-11-24T12:05:00Z");
        assert_eq!(open["acceptingOrders"], true);
        running.advance(Span::secs(310));
        let proposed = market().await;
        assert_eq!(proposed["umaResolutionStatus"], "proposed");
        assert_eq!(proposed["umaResolutionStatuses"], "[\"proposed\"]");
        assert_eq!(
            (&proposed["closed"], &proposed["acceptingOrders"]),
            (&false.into(), &false.into())
        );
        running.advance(Span::secs(30));
        let resolved = market().await;
        assert_eq!(resolved["umaResolutionStatus"], "resolved");
        assert_eq!(resolved["closed"], true);
        let prices = resolved["outcomePrices"].as_str().unwrap();
        assert!(["[\"1\",\"0\"]", "[\"0\",\"1\"]"].contains(&prices), "{prices}");
        running.check().unwrap();
    });
}

#[test]
fn without_counterparties_the_quotes_stand_still_and_no_market_ends() {
    let still = Setup { counterparties: false, ..moving(1) };
    let mut venue = Venue::new(&still, TEST_START).unwrap();
    let before: Vec<_> = venue.market_views().iter().map(|view| view.top).collect();
    assert!(before.iter().all(|(bid, ask)| bid.is_some() && ask.is_some()));
    venue.advance(after(3_600));
    assert!(venue.take_updates().is_empty());
    assert_eq!(venue.market_views().iter().map(|view| view.top).collect::<Vec<_>>(), before);
    // Empty books have no counterparties either.
    let empty = Setup { liquidity: false, ..moving(1) };
    let mut venue = Venue::new(&empty, TEST_START).unwrap();
    venue.advance(after(3_600));
    assert!(venue.take_updates().is_empty() && venue.orders().count() == 0);
}

#[test]
fn the_books_are_deep_and_narrow_enough_for_a_maker() {
    let venue = venue(1);
    for view in venue.market_views() {
        let (bid, ask) = (view.top.0.unwrap(), view.top.1.unwrap());
        assert_eq!(ask.units() - bid.units(), 200, "{}", view.listing.market.slug);
        assert!(view.liquidity > Usdc::whole(1_000), "{}", view.listing.market.slug);
    }
}

#[test]
fn the_next_market_of_a_series_is_listed_and_quoted_before_the_last_one_closes() {
    let mut venue = venue(1);
    let slugs = |venue: &Venue| -> Vec<String> {
        let universe = venue.universe();
        let slugs = universe.keys().map(|key| universe.market(key).slug.clone());
        slugs.filter(|slug| slug.starts_with("btc-updown")).collect()
    };
    let begin = TEST_START.millis() / 1_000;
    let name = |part: i64| format!("btc-updown-5m-{}", begin + 300 * part);
    for (at, parts) in [(239, 1), (240, 2), (539, 2), (540, 3), (3_600, 13)] {
        venue.advance(after(at));
        assert_eq!(slugs(&venue), (0..parts).map(name).collect::<Vec<_>>(), "after {at} s");
        if parts > 1 {
            let (bid, ask) = venue.market_view(key(&venue, &name(parts - 1))).unwrap().top;
            assert!(bid.is_some() && ask.is_some(), "after {at} s");
        }
    }
    venue.check().unwrap();
    let state = |part| venue.market_view(key(&venue, &name(part))).unwrap().listing.market.state;
    assert!((0..11).all(|part| matches!(state(part), MarketState::Resolved(_))));
    assert_eq!((state(11), state(12)), (MarketState::Open, MarketState::Open));
}

#[test]
fn an_exchange_that_runs_on_keeps_the_latest_trades_of_its_counterparties() {
    let mut venue = venue(1);
    let account = TEST_ADDRESSES[0];
    let caller = venue.derive_key(&account, 0).unwrap().key;
    let market = key(&venue, "rain-tomorrow");
    let (_, ask) = venue.market_view(market).unwrap().top;
    let token = market.token(Outcome::Yes);
    let spec = OrderSpec::limit(token, Side::Buy, ask.unwrap(), Shares::whole(10));
    venue.place_as(caller, account, &spec).unwrap();
    for minute in 1..=45 {
        venue.advance(after(60 * minute));
        venue.take_updates();
    }
    let kept = venue.trades().count();
    assert!((2_000..2_100).contains(&kept), "{kept} trades");
    let first = venue.trades().next().unwrap();
    assert!(first.concerns(&account), "trades of accounts stay");
    assert!(venue.trades().last().unwrap().number > 2_500);
    let open = venue.orders().count();
    assert!(open < 400, "{open} orders");
    venue.check().unwrap();
}

/// The time of a start by number of markets: `cargo test --workspace --test it -- --ignored --nocapture demo::`.
#[test]
#[ignore = "a measurement"]
fn a_start_takes_time_in_proportion_to_its_markets() {
    for (liquidity, counterparties) in [(false, false), (true, false), (true, true)] {
        for count in [500, 1_000, 2_000, 4_000] {
            let text: String =
                (0..count).map(|n| format!("[[market]]\nslug = \"m{n}\"\n")).collect();
            let markets = polydesk_local_exchange::market_file(&text).unwrap();
            let setup = Setup { markets, liquidity, counterparties, ..Setup::test() };
            #[expect(clippy::disallowed_methods, reason = "a measurement")]
            let began = std::time::Instant::now();
            let venue = Venue::new(&setup, TEST_START).unwrap();
            let took = began.elapsed().as_millis();
            println!("{count} markets, {liquidity}, {counterparties}: {took} ms");
            drop(venue);
        }
    }
}
