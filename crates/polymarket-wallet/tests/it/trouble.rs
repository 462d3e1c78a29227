//! What a bot must be able to rely on when the venue is slow, busy or silent, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::*;
use polydesk_domain::{OrderHash, Side, Tif};
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{Channel, Setup};
use polydesk_polymarket_api::clob::request::OrderFilter;
use polydesk_polymarket_api::clob::{Placed, VenueMode};
use polydesk_polymarket_api::ws::{UserFeed, UserItem};
use polydesk_polymarket_api::{ApiError, FeedConfig, HttpConfig};
use tokio::sync::mpsc::Receiver;

fn world() -> World {
    World::in_memory(Setup::test(), HttpConfig::default())
}

/// So many orders of a trader that rest, two cents apart from each other where that is possible.
async fn resting(world: &World, trader: &Trader, count: usize) -> Vec<Placed> {
    let market = world.market("rain-tomorrow");
    let mut placed = Vec::new();
    for n in 0..count {
        let order = ask(&market, 0, Side::Buy, 1 + (n % 20) as u16, 5 + n as u64, Tif::Gtc);
        placed.push(trader.place(&order).await.unwrap());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    placed
}

#[test]
fn no_resting_order_is_missing_from_a_list_that_changes_while_it_is_read() {
    for (count, page, cancelled) in [(40, 10, 20), (30, 7, 9), (12, 5, 11)] {
        simulated(async {
            let world = world();
            let trader = world.trader(0, WalletKind::Deposit);
            let placed = resting(&world, &trader, count).await;
            let slow = format!(
                "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"page\"\nrows = {page}\n\
                 [[answers]]\nendpoint = \"GET /data/orders\"\nafter = \"100ms\"\n"
            );
            world.exchange.inject_toml(&slow).unwrap();
            // The oldest ones end one by one while the pages are read.
            let cancelling = async {
                for order in &placed[..cancelled] {
                    tokio::time::sleep(Duration::from_millis(33)).await;
                    trader.clob.cancel(&order.id).await.unwrap();
                }
            };
            let filter = OrderFilter::default();
            let (listed, ()) = tokio::join!(trader.clob.open_orders(&filter), cancelling);
            let listed = listed.unwrap();
            let found = |id: &OrderHash| listed.iter().any(|order| order.hash() == Some(*id));
            let missing = placed[cancelled..].iter().filter(|order| !found(&order.id)).count();
            assert_eq!(missing, 0, "of {count}, {page} a page; complete: {}", listed.complete);
            let mut ids: Vec<_> = listed.iter().map(|order| order.id.clone()).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), listed.len(), "no order stands twice");
            // When nothing changes any more the list is proven.
            let after = trader.clob.open_orders(&filter).await.unwrap();
            assert!(after.complete);
            assert_eq!(after.len(), count - cancelled);
        });
    }
}

#[test]
fn a_list_that_never_stands_still_says_that_it_is_not_complete() {
    simulated(async {
        let world = world();
        let trader = world.trader(0, WalletKind::Deposit);
        resting(&world, &trader, 45).await;
        let slow = "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"page\"\nrows = 20\n\
                    [[answers]]\nendpoint = \"GET /data/orders\"\nafter = \"40ms\"\n";
        world.exchange.inject_toml(slow).unwrap();
        let market = world.market("rain-tomorrow");
        let trading = async {
            for size in 0..60 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let order = ask(&market, 0, Side::Buy, 2, 5 + size % 3, Tif::Gtc);
                trader.place(&order).await.unwrap();
            }
        };
        let filter = OrderFilter::default();
        let (listed, ()) = tokio::join!(trader.clob.open_orders(&filter), trading);
        let listed = listed.unwrap();
        assert!(!listed.complete && listed.len() >= 45, "{} rows", listed.len());
        // One page is always whole.
        world
            .exchange
            .inject_toml(
                "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"page\"\nrows = 2000\n",
            )
            .unwrap();
        assert!(trader.clob.open_orders(&filter).await.unwrap().complete);
    });
}

#[test]
fn a_swallowed_cancel_is_sent_again_after_two_seconds() {
    simulated(async {
        let world = world();
        let trader = world.trader(0, WalletKind::Deposit);
        let placed = resting(&world, &trader, 3).await;
        let elapsed = |from: polydesk_domain::Time| from.until(world.clock.now()).as_millis();
        for (endpoint, act) in
            [("DELETE /cancel-all", "silence_before"), ("DELETE /order", "silence_after")]
        {
            let silent =
                format!("[[answers]]\nendpoint = \"{endpoint}\"\nact = \"{act}\"\ncalls = \"1\"\n");
            world.exchange.inject_toml(&silent).unwrap();
            let from = world.clock.now();
            if endpoint == "DELETE /order" {
                trader.clob.cancel(&placed[0].id).await.unwrap();
            } else {
                assert_eq!(trader.clob.cancel_all().await.unwrap().canceled.len(), 3);
            }
            let took = elapsed(from);
            assert!((2_000..2_300).contains(&took), "{endpoint}: {took} ms");
        }
        // A venue that is silent for good is given up after five tries, not after a minute.
        world
            .exchange
            .inject_toml(
                "[[answers]]\nendpoint = \"DELETE /cancel-all\"\nact = \"silence_before\"\n",
            )
            .unwrap();
        let (from, sent) = (world.clock.now(), world.exchange.count("DELETE", "/cancel-all"));
        let error = trader.clob.cancel_all().await.unwrap_err();
        assert!(matches!(error, ApiError::Unreachable(_)), "{error:?}");
        assert_eq!(world.exchange.count("DELETE", "/cancel-all"), sent + 5);
        assert!(elapsed(from) < 12_000, "{} ms", elapsed(from));
    });
}

#[test]
fn a_ban_of_an_hour_holds_cancels_for_five_seconds_and_orders_for_the_hour() {
    simulated(async {
        let world = world();
        let trader = world.trader(0, WalletKind::Deposit);
        let placed = resting(&world, &trader, 2).await;
        let market = world.market("rain-tomorrow");
        let ban = |endpoint: &str| {
            format!(
                "[[answers]]\nendpoint = \"{endpoint}\"\nstatus = 429\ncalls = \"1\"\n\
                 body = '{{\"error\":\"Too Many Requests\"}}'\nheaders = {{ Retry-After = \"3600\" }}\n"
            )
        };
        world.exchange.inject_toml(&ban("DELETE /order")).unwrap();
        let error = trader.clob.cancel(&placed[0].id).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(5)), "{error:?}");
        tokio::time::sleep(Duration::from_secs(5)).await;
        trader.clob.cancel(&placed[0].id).await.unwrap();
        world.exchange.inject_toml(&ban("POST /order")).unwrap();
        let order = ask(&market, 0, Side::Buy, 3, 10, Tif::Gtc);
        let error = trader.place(&order).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3_600)), "{error:?}");
        tokio::time::sleep(Duration::from_secs(3_599)).await;
        let error = trader.place(&order).await.unwrap_err();
        assert!(matches!(error, ApiError::Throttled { .. }), "{error:?}");
    });
}

#[test]
fn words_that_nobody_knows_do_not_refuse_an_order() {
    simulated(async {
        let world = world();
        let trader = world.trader(0, WalletKind::Deposit);
        let market = world.market("rain-tomorrow");
        let order = ask(&market, 0, Side::Buy, 3, 10, Tif::Gtc);
        let answer = "[[answers]]\nendpoint = \"POST /order\"\nstatus = 400\ncalls = \"1\"\nbody = '{\"error\":\"the moon is full\"}'\n";
        world.exchange.inject_toml(answer).unwrap();
        let error = trader.place(&order).await.unwrap_err();
        assert!(error.may_have_taken_effect(), "{error:?}");
        // A row of a batch says in which mode the venue is.
        let signed = [trader.sign(&order), trader.sign(&order)];
        let rows = [
            (
                "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
                VenueMode::CancelOnly,
            ),
            (
                "Trading is currently disabled. Check polymarket.com for updates",
                VenueMode::Disabled,
            ),
        ];
        for (text, mode) in rows {
            let row = format!(
                "{{\"success\":false,\"errorMsg\":\"{text}\",\"orderID\":\"\",\"status\":\"\"}}"
            );
            let answer = format!(
                "[[answers]]\nendpoint = \"POST /orders\"\ncalls = \"1\"\nbody = '[{row},{row}]'\n"
            );
            world.exchange.inject_toml(&answer).unwrap();
            let outcomes = trader.clob.place_batch(&signed).await.unwrap();
            assert!(outcomes.iter().all(Result::is_err));
            assert_eq!(trader.clob.mode(), mode, "{text}");
        }
    });
}

#[test]
fn a_guard_that_does_not_agree_any_more_keeps_every_byte_back() {
    simulated(async {
        let world = world();
        let trader = world.trader(0, WalletKind::Deposit);
        let market = world.market("rain-tomorrow");
        let order = ask(&market, 0, Side::Buy, 3, 10, Tif::Gtc);
        let asked = Arc::new(AtomicUsize::new(0));
        let guard = |agrees: bool| -> polydesk_polymarket_api::Guard {
            let asked = asked.clone();
            Arc::new(move || {
                asked.fetch_add(1, Ordering::SeqCst);
                agrees
            })
        };
        // On a new connection and on one that is kept.
        for warm in [false, true] {
            if warm {
                trader.clob.ok().await.unwrap();
            }
            let signed = trader.sign(&order);
            let error = trader.clob.place_while(&signed, Some(guard(false))).await.unwrap_err();
            assert!(matches!(error, ApiError::Withheld(_)), "{error:?}");
            let batch = [trader.sign(&order), trader.sign(&order)];
            let error =
                trader.clob.place_batch_while(&batch, Some(guard(false))).await.unwrap_err();
            assert!(matches!(error, ApiError::Withheld(_)), "{error:?}");
            assert!(!error.may_have_taken_effect());
        }
        let sent = |path: &str| world.exchange.count("POST", path);
        assert_eq!((sent("/order"), sent("/orders"), asked.load(Ordering::SeqCst)), (0, 0, 4));
        // It is asked when the limits have admitted the request, not before.
        trader
            .clob
            .limits()
            .venue_said_wait(polydesk_polymarket_api::Group::Order, Duration::from_secs(5));
        let signed = trader.sign(&order);
        let error = trader.clob.place_while(&signed, Some(guard(true))).await.unwrap_err();
        assert!(matches!(error, ApiError::Throttled { .. }), "{error:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 4);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let placed = trader.clob.place_while(&signed, Some(guard(true))).await.unwrap();
        assert_eq!((placed.id, asked.load(Ordering::SeqCst)), (signed.id(), 5));
        // Over HTTP/2 the head would be gone already.
        let http2 = HttpConfig { http2: true, ..HttpConfig::default() };
        let other = World::in_memory(Setup::test(), http2);
        let trader = other.trader(0, WalletKind::Deposit);
        let refused = trader.clob.place_while(&trader.sign(&order), Some(guard(true))).await;
        assert!(matches!(refused, Err(ApiError::Misconfigured(_))), "{refused:?}");
    });
}

/// The account's news, after the first connection.
async fn listening(world: &World, trader: &Trader) -> (UserFeed, Receiver<UserItem>) {
    let (feed, mut items) = UserFeed::start(
        FeedConfig::default(),
        world.http.clone(),
        &world.endpoints.ws_user,
        trader.credentials.clone(),
        Vec::new(),
        world.clock.clone(),
    );
    assert!(matches!(items.recv().await, Some(UserItem::Connected { .. })));
    (feed, items)
}

#[test]
fn rejected_credentials_end_the_user_channel_with_the_venues_words() {
    simulated(async {
        let world = world();
        let mut trader = world.trader(0, WalletKind::Deposit);
        trader.credentials.passphrase = polydesk_polymarket_api::Secret::new("wrong");
        let (_feed, mut items) = UserFeed::start(
            FeedConfig::default(),
            world.http.clone(),
            &world.endpoints.ws_user,
            trader.credentials.clone(),
            Vec::new(),
            world.clock.clone(),
        );
        let first = items.recv().await;
        assert!(
            matches!(&first, Some(UserItem::Rejected { reason, .. }) if reason == "authentication failed"),
            "{first:?}"
        );
        assert_eq!(items.recv().await, None, "it does not try again");
    });
}

#[test]
fn a_subscription_that_is_dead_is_noticed_by_the_next_order() {
    simulated(async {
        let world = world();
        let trader = world.trader(0, WalletKind::Deposit);
        let market = world.market("rain-tomorrow");
        // The venue answers pings, and what the client asks for has no effect.
        let deaf = "[[streams]]\nchannel = \"user\"\nact = \"ignore\"\nframes = \"1\"\nconnections = \"1\"\n";
        world.exchange.inject_toml(deaf).unwrap();
        let (feed, mut items) = listening(&world, &trader).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(items.try_recv().is_err(), "nothing is noticed without an order");
        let order = trader.place(&ask(&market, 0, Side::Buy, 3, 10, Tif::Gtc)).await.unwrap();
        let from = world.clock.now();
        feed.placed(order.id);
        let gone = items.recv().await.unwrap();
        let UserItem::Disconnected { reason, .. } = &gone else { panic!("{gone:?}") };
        assert!(reason.contains(&format!("no update of the order {}", order.id)), "{reason}");
        assert_eq!(from.until(world.clock.now()).as_millis(), 10_000);
        assert!(matches!(items.recv().await, Some(UserItem::Connected { .. })));
        // The second connection hears: an order reported as placed before and after its update arrived.
        for placed_first in [true, false] {
            let signed = trader.sign(&ask(&market, 0, Side::Buy, 4, 10, Tif::Gtc));
            if placed_first {
                feed.placed(signed.id());
            }
            trader.post(&signed).await.unwrap();
            assert!(matches!(items.recv().await, Some(UserItem::Order { .. })));
            if !placed_first {
                feed.placed(signed.id());
            }
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert!(items.try_recv().is_err(), "told first: {placed_first}");
        }
    });
}

#[test]
fn the_markets_of_a_running_user_channel_can_be_changed() {
    simulated(async {
        let world = world();
        let trader = world.trader(0, WalletKind::Deposit);
        let (rain, other) = (world.market("rain-tomorrow"), {
            let slugs = world.universe.keys().map(|key| world.universe.market(key).clone());
            slugs.into_iter().find(|market| market.slug != "rain-tomorrow").unwrap()
        });
        let (feed, mut items) = UserFeed::start(
            FeedConfig::default(),
            world.http.clone(),
            &world.endpoints.ws_user,
            trader.credentials.clone(),
            vec![rain.condition],
            world.clock.clone(),
        );
        assert!(matches!(items.recv().await, Some(UserItem::Connected { .. })));
        let pause = || tokio::time::sleep(Duration::from_secs(1));
        let mut heard = async |market: &polydesk_domain::Market| {
            let price = if market.tick.units() > 100 { 10 } else { 3 };
            trader.place(&ask(market, 0, Side::Buy, price, 10, Tif::Gtc)).await.unwrap();
            pause().await;
            let mut count = 0;
            while items.try_recv().is_ok() {
                count += 1;
            }
            count
        };
        assert_eq!((heard(&rain).await, heard(&other).await), (1, 0));
        feed.follow(vec![other.condition]);
        pause().await;
        assert_eq!((heard(&rain).await, heard(&other).await), (0, 1));
        assert_eq!(world.exchange.connections(Channel::User), 1, "on the same connection");
    });
}

#[test]
fn a_refusal_for_lack_of_funds_names_what_is_there_and_what_holds_it() {
    simulated(async {
        let world = world();
        let (trader, other) =
            (world.trader(0, WalletKind::Deposit), world.trader(1, WalletKind::Eoa));
        let market = world.market("rain-tomorrow");
        let cash = |world: &World, trader: &Trader| {
            let maker = trader.signer.maker();
            world
                .exchange
                .venue(|venue| venue.ledger().wallet(&maker).unwrap().cash.micros() as u128)
        };
        let before = cash(&world, &trader);
        // 100 shares at 40 cents are matched and not settled, 50 at 10 cents rest.
        other.place(&ask(&market, 1, Side::Buy, 60, 100, Tif::Gtc)).await.unwrap();
        trader.place(&ask(&market, 0, Side::Buy, 40, 100, Tif::Gtc)).await.unwrap();
        trader.place(&ask(&market, 0, Side::Buy, 10, 50, Tif::Gtc)).await.unwrap();
        let shares = before as u64 / 1_000_000 * 2;
        let error =
            trader.place(&ask(&market, 0, Side::Buy, 50, shares, Tif::Gtc)).await.unwrap_err();
        let figures = error.balance_figures().unwrap();
        assert_eq!(
            (figures.balance, figures.active),
            (cash(&world, &trader), 5_000_000),
            "{error}"
        );
        assert!(figures.matched >= 40_000_000 && figures.matched < 42_000_000, "{error}");
        assert_eq!(figures.order, u128::from(shares) * 500_000, "{error}");
        // Shares that are not there; nothing is held, so nothing of it is named.
        let token = world.token("rain-tomorrow", 1);
        let maker = trader.signer.maker();
        let wallet = |venue: &mut polydesk_local_exchange::venue::Venue| {
            venue.ledger().wallet(&maker).unwrap().holding(token).settled.micros()
        };
        let has = world.exchange.venue(wallet);
        let shares = has / 1_000_000 + 7;
        let error =
            trader.place(&ask(&market, 1, Side::Sell, 50, shares, Tif::Gtc)).await.unwrap_err();
        let expected = format!("-> balance: {has}, order amount: {}", shares * 1_000_000);
        assert!(error.to_string().ends_with(&expected), "{error}");
        let read = polydesk_polymarket_api::BalanceFigures::read;
        for text in [
            "",
            "balance: 1",
            "x -> balance: 1",
            "x -> balance: y, order amount: 1",
            "x -> order amount: 1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    });
}
