//! Recorded history behind the wire.

use std::path::PathBuf;
use std::sync::Arc;

use crate::common::*;
use polydesk_domain::{
    BookSnapshot, Books, Event, LevelChange, Market, MarketEvent, MarketKey, Outcome, Price,
    Shares, Side, Span, Stamped, Time,
};
use polydesk_local_exchange::venue::Venue;
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{LocalExchange, Running, Setup, TEST_START, TapeSetup};
use polydesk_tape::{Certificate, EventSource, ManifestDraft, TapeReader, TapeWriter};

fn tape(name: &str) -> PathBuf {
    PathBuf::from(format!("{}/../../fixtures/tapes/{name}", env!("CARGO_MANIFEST_DIR")))
}

async fn play(name: &str) -> Running {
    play_folder(tape(name)).await
}

async fn play_folder(dir: PathBuf) -> Running {
    let setup = Setup { tape: Some(TapeSetup::new(dir, 1_000)), ..Setup::test() };
    LocalExchange::start(setup).await.unwrap()
}

/// The first market whose book has two sides, after moving that far.
fn lively(running: &Running) -> (MarketKey, Price, Price) {
    for _ in 0..600 {
        let found = running.venue(|venue| {
            venue.market_views().into_iter().find_map(|view| {
                let (bid, ask) = (view.top.0?, view.top.1?);
                let middling = bid > Price::cents(10) && ask < Price::cents(90) && bid < ask;
                (middling && view.accepting).then_some((view.key, bid, ask))
            })
        });
        if let Some(found) = found {
            return found;
        }
        running.advance(Span::secs(1));
    }
    panic!("the recording has no book with two sides");
}

#[test]
fn recorded_books_changes_and_trades_come_over_the_wire() {
    run(async {
        let running = play("nhl-2026-06-07").await;
        let (key, _, _) = lively(&running);
        let token = key.token(Outcome::Yes);
        let mut socket = Socket::market(&running, &[&token_id(&running, token)], true).await;
        let first = socket.drain().await;
        assert_eq!(first[0]["event_type"], "book");
        let mut kinds = std::collections::BTreeMap::new();
        let mut last = 0;
        for _ in 0..120 {
            running.advance(Span::secs(1));
            for frame in socket.drain().await {
                let kind = frame["event_type"].as_str().unwrap().to_owned();
                *kinds.entry(kind).or_insert(0) += 1;
                let at: i64 = frame["timestamp"].as_str().unwrap().parse().unwrap();
                assert!(at >= last, "{frame}");
                last = at;
            }
        }
        assert!(kinds["price_change"] > 50, "{kinds:?}");
        let base = &running.urls().clob;
        let url = format!("{base}/book?token_id={}", token_id(&running, token));
        let book = get(&http(), url).await.json();
        let shown = running.book(token).unwrap();
        assert_eq!(book["hash"], shown.hash);
        assert_eq!(book["bids"].as_array().unwrap().len(), shown.bids.len());
        running.check().unwrap();
    });
}

#[test]
fn orders_meet_the_recording_through_the_queue_model() {
    run(async {
        let running = play("btc-15m-2026-09-28").await;
        let (key, _, ask) = lively(&running);
        let token = key.token(Outcome::Yes);
        let mut alice = Trader::new(&running, 0, WalletKind::Deposit);
        alice.at(&running);
        let mut socket = Socket::user(&running, &alice).await;
        let taker = Ask::limit(&running, token, Side::Buy, u64::from(ask.units()), 2_000);
        let taker = taker.of("FAK");
        let cents = (u64::from(ask.units()) * 2_000).div_ceil(10_000) * 10_000;
        let shares = cents * 10_000 / u64::from(ask.units()) / 100 * 100;
        let reply = alice.post(&Ask { maker: cents, taker: shares, ..taker }).await.json();
        assert_eq!(reply["success"], true, "{reply}");
        let rest = Ask::limit(&running, token, Side::Buy, 100, 1_000);
        let id = alice.place(&rest).await;
        running.advance(Span::secs(2));
        alice.at(&running);
        let trades = alice.trades().await;
        assert!(!trades.is_empty());
        assert!(trades.iter().all(|trade| trade["trader_side"] == "TAKER"));
        assert_eq!(alice.orders().await.len(), 1);
        let cancel = serde_json::json!({ "orderID": id }).to_string();
        let done = alice.call("DELETE", "/order", &cancel).await.json();
        assert_eq!(done["canceled"], serde_json::json!([id]));
        running.advance(Span::secs(120));
        alice.at(&running);
        let held = alice.balance(Some(&token_id(&running, token))).await;
        let frames = socket.drain().await;
        let kinds: Vec<_> = frames.iter().map(|f| brief(f, &["event_type", "status"])).collect();
        assert!(kinds.contains(&"order LIVE".to_owned()), "{kinds:?}");
        assert!(kinds.contains(&"order CANCELED".to_owned()), "{kinds:?}");
        if alice.trades().await.iter().any(|trade| trade["status"] == "CONFIRMED") {
            assert_ne!(held, "0");
            assert!(kinds.contains(&"trade CONFIRMED".to_owned()), "{kinds:?}");
        }
        running.check().unwrap();
    });
}

#[test]
fn a_resting_order_waits_its_turn_and_is_filled_by_recorded_trades() {
    run(async {
        let running = play("nhl-2026-06-07").await;
        let (key, _, _) = lively(&running);
        let token = key.token(Outcome::Yes);
        let mut alice = Trader::new(&running, 1, WalletKind::Safe);
        alice.at(&running);
        let mut socket = Socket::user(&running, &alice).await;
        let mut bids = Vec::new();
        // Whoever quotes a tick above the best bid is first in line there.
        for _ in 0..40 {
            let book = running.book(token).unwrap();
            let (bid, ask) = (book.bid().unwrap(), book.ask().unwrap());
            let price = bid.up(book.market.tick).filter(|up| *up < ask).unwrap_or(bid);
            let ask = Ask::limit(&running, token, Side::Buy, u64::from(price.units()), 1_000);
            bids.push(alice.place(&ask.post_only()).await);
            for _ in 0..5 {
                running.advance(Span::secs(4));
                socket.drain().await;
            }
            alice.at(&running);
            if !alice.trades().await.is_empty() {
                break;
            }
        }
        let trades = alice.trades().await;
        let trade = trades.last().expect("a recorded trade reached a quote at the top");
        assert_eq!(trade["trader_side"], "MAKER");
        let own = &trade["maker_orders"][0];
        assert!(bids.contains(&own["order_id"].as_str().unwrap().to_owned()), "{trade}");
        assert_eq!(own["owner"], alice.credentials.key.to_string());
        assert_eq!((&own["side"], &trade["side"]), (&"BUY".into(), &"SELL".into()));
        running.advance(Span::secs(120));
        running.check().unwrap();
    });
}

#[test]
fn a_recording_played_twice_is_the_same() {
    run(async {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let running = play("nhl-2026-06-07").await;
            running.advance(Span::secs(600));
            let books: Vec<_> = running.venue(|venue| {
                let keys = venue.universe().keys();
                keys.map(|key| venue.book(key.token(Outcome::No)).unwrap().hash).collect()
            });
            runs.push(books);
        }
        assert_eq!(runs[0], runs[1]);
    });
}

/// Two markets with a book each; the first is delisted after a minute, when the second begins.
fn write_delisting(dir: &std::path::Path) {
    let mut writer = TapeWriter::create(dir, ManifestDraft::default()).unwrap();
    let mut seq = 0;
    let mut push = |minute: i64, event: MarketEvent| {
        let at = Time::from_secs(1_780_272_000 + 60 * minute);
        writer.push(&Stamped { at, venue_at: at, seq, event: event.into() }).unwrap();
        seq += 1;
    };
    for (minute, key) in [(0, MarketKey(0)), (1, MarketKey(1))] {
        let market = Arc::new(Market::plain(u64::from(key.0) + 1, "m"));
        push(minute, MarketEvent::Listed { key, market });
        push(
            minute,
            MarketEvent::Snapshot(Arc::new(BookSnapshot {
                token: key.token(Outcome::Yes),
                bids: vec![(Price::cents(40), Shares::whole(100))],
                asks: vec![(Price::cents(60), Shares::whole(100))],
            })),
        );
        if minute == 0 {
            push(1, MarketEvent::Delisted { market: key });
        }
    }
    writer.finish(Certificate::default()).unwrap();
}

#[test]
fn a_market_that_the_tape_delists_stays_on_the_venue() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("tape");
    write_delisting(&dir);
    run(async {
        let running = play_folder(dir).await;
        let order = |key: u32| {
            let token = MarketKey(key).token(Outcome::Yes);
            Ask::limit(&running, token, Side::Buy, 4_100, 1_000)
        };
        let mut early = Trader::new(&running, 0, WalletKind::Safe);
        early.at(&running);
        early.place(&order(0)).await;
        running.advance(Span::secs(70));
        let mut late = Trader::new(&running, 1, WalletKind::Deposit);
        for trader in [&mut early, &mut late] {
            trader.at(&running);
            trader.place(&order(0)).await;
            trader.place(&order(1)).await;
        }
        assert_eq!((early.orders().await.len(), late.orders().await.len()), (3, 2));
        running.check().unwrap();
    });
}

/// A token's levels of a side as they are served: best last.
fn served(venue: &Venue, key: MarketKey, side: Side) -> Vec<(Price, Shares)> {
    let view = venue.book(key.token(Outcome::Yes)).unwrap();
    if side == Side::Buy { view.bids } else { view.asks }
}

/// Plays a tape at once through the exchange and through the backtest's books, and compares them wherever
/// a second ends without an open batch. Gives how many books were compared, and how many of them had
/// prices off whole cents.
fn compare_with_the_backtest(name: &str, secs: i64) -> (usize, usize) {
    let setup = Setup { tape: Some(TapeSetup::new(tape(name), 1_000)), ..Setup::test() };
    let mut venue = Venue::new(&setup, TEST_START).unwrap();
    let mut reader = TapeReader::open(&tape(name)).unwrap();
    let mut books = Books::default();
    let mut next = reader.next_event().unwrap();
    let (start, mut compared, mut fine) = (venue.now(), 0, 0);
    for second in 0..secs {
        let now = start + Span::secs(second);
        venue.advance(now);
        while let Some(row) = next.take_if(|row| row.at <= now) {
            books.close_due(&row, &mut Vec::new());
            if let Event::Market(MarketEvent::Listed { key, market }) = &row.event {
                books.list(*key, market.tick);
            }
            books.apply(&row, |_, _| ());
            next = reader.next_event().unwrap();
        }
        for view in venue.market_views() {
            let key = view.key;
            if let (Some(bid), Some(ask)) = view.top {
                assert!(bid < ask, "{name}, {second} s: {bid} crosses {ask}");
            }
            let Some(book) = books.get(key) else { continue };
            if books.open_batches().contains(&key) || book.is_crossed() {
                continue;
            }
            for side in [Side::Buy, Side::Sell] {
                let mut want: Vec<_> = book.levels(Outcome::Yes, side).collect();
                want.reverse();
                assert_eq!(served(&venue, key, side), want, "{name}, {second} s, {side:?}");
                fine += usize::from(want.iter().any(|(price, _)| price.units() % 100 != 0));
            }
            assert_eq!(view.listing.market.tick, book.tick(), "{name}, {second} s");
            compared += 1;
        }
    }
    (compared, fine)
}

#[test]
fn served_books_are_those_of_the_backtest_and_never_crossed() {
    for (name, secs, least, least_fine) in [
        ("nhl-2026-06-07", 1_200, 7_000, 1_000),
        ("btc-15m-2026-09-28", 1_200, 300, 0),
        ("synthetic-arbitrage", 600, 5_000, 0),
    ] {
        let (compared, fine) = compare_with_the_backtest(name, secs);
        assert!(compared >= least, "{name}: {compared} books compared");
        assert!(fine >= least_fine, "{name}: {fine} sides off whole cents");
    }
}

#[test]
fn a_batch_that_nothing_follows_is_shown_after_its_timeout() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("tape");
    let mut writer = TapeWriter::create(&dir, ManifestDraft::default()).unwrap();
    let start = Time::from_secs(1_780_272_000);
    let (key, cents) = (MarketKey(0), |cents, shares| (Price::cents(cents), Shares::whole(shares)));
    let (bids, asks) = (vec![cents(40, 100)], vec![cents(60, 100)]);
    let token = key.token(Outcome::Yes);
    let level = LevelChange {
        token,
        side: Side::Buy,
        price: Price::cents(45),
        size: Shares::whole(7),
        top: None,
    };
    let market = Arc::new(Market::plain(1, "m"));
    let rows = [
        (0, MarketEvent::Listed { key, market: market.clone() }),
        (0, MarketEvent::Snapshot(Arc::new(BookSnapshot { token, bids, asks }))),
        (10_000, MarketEvent::Level(level)),
        (600_000, MarketEvent::Listed { key, market }),
    ];
    for (seq, (millis, event)) in rows.into_iter().enumerate() {
        let at = start + Span::millis(millis);
        let row = Stamped { at, venue_at: at, seq: seq as u64, event: event.into() };
        writer.push(&row).unwrap();
    }
    writer.finish(Certificate::default()).unwrap();
    let setup = Setup { tape: Some(TapeSetup::new(dir, 1_000)), ..Setup::test() };
    let mut venue = Venue::new(&setup, TEST_START).unwrap();
    for (millis, bid) in [(10_000, 40), (10_100, 40), (10_101, 45)] {
        venue.advance(start + Span::millis(millis));
        let top = venue.market_view(key).unwrap().top;
        assert_eq!(top.0, Some(Price::cents(bid)), "after {millis} ms");
    }
}

#[test]
fn a_folder_that_is_no_tape_is_named() {
    run(async {
        let setup = Setup { tape: Some(TapeSetup::new("/nowhere".into(), 1_000)), ..Setup::test() };
        let error = LocalExchange::start(setup).await.unwrap_err().to_string();
        assert!(error.contains("/nowhere"), "{error}");
    });
}
