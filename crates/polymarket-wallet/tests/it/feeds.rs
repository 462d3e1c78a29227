//! The sockets against the local exchange: books stay the venue's through everything that streams do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::common::*;
use polydesk_domain::{
    Books, ConditionId, Event, HashInput, Market, MarketEvent, MarketState, Outcome, Payout, Price,
    RawLevel, Shares, Side, Span, Stamped, Tif, Token, TokenId, book_hash,
};
use polydesk_local_exchange::venue::BookView;
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{Channel, Listing, Setup};
use polydesk_polymarket_api::FeedConfig;
use polydesk_polymarket_api::clob::TradeState;
use polydesk_polymarket_api::ws::{
    FeedItem, FeedStats, MarketFeed, PriceFeed, PriceItem, PriceSubscription, PricesConfig, Rtds,
    UserFeed, UserItem,
};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tokio::sync::mpsc::Receiver;

/// Short times, so that a test need not wait for long ones.
fn quick() -> FeedConfig {
    FeedConfig {
        ping_ms: 100,
        dead_ms: 1_000,
        silence_ms: 4_000,
        retry_first_ms: 10,
        retry_most_ms: 40,
        hash_check_ms: 1_000,
        ..FeedConfig::default()
    }
}

/// Lets every other task and socket have its turn.
async fn turn() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Virtual seconds pass faster here than real pings can follow: the venue does not mind.
fn patient(mut setup: Setup) -> Setup {
    setup.rules.ping_timeout = Span::secs(1_000_000);
    setup
}

/// What a consumer keeps: books in `domain`'s form, fed by the items in the order received.
struct Consumer {
    books: Books,
    items: Receiver<FeedItem>,
    states: BTreeMap<u32, MarketState>,
    prints: usize,
    interruptions: usize,
    seq: u64,
}

impl Consumer {
    fn new(world: &World, items: Receiver<FeedItem>) -> Consumer {
        let mut books = Books::default();
        for key in world.universe.keys() {
            books.list(key, world.universe.market(key).tick);
        }
        Consumer { books, items, states: BTreeMap::new(), prints: 0, interruptions: 0, seq: 0 }
    }

    fn take(&mut self, item: FeedItem) {
        let FeedItem::Market { received_at, venue_at, event } = item else { return };
        match &event {
            MarketEvent::Print(_) => self.prints += 1,
            MarketEvent::Interrupted(_) => self.interruptions += 1,
            MarketEvent::State { market, state } => {
                self.states.insert(market.0, *state);
            }
            _ => {}
        }
        self.seq += 1;
        let event = Event::Market(event);
        let stamped = Stamped { at: received_at, venue_at, seq: self.seq, event };
        self.books.apply(&stamped, |_, _| {});
    }

    /// Takes items until the condition holds.
    async fn until(&mut self, mut done: impl FnMut(&Consumer) -> bool) {
        while !done(self) {
            let item = self.items.recv().await.expect("the feed ended");
            self.take(item);
            while let Ok(item) = self.items.try_recv() {
                self.take(item);
            }
        }
    }

    /// Our book of a token, hashed in the venue's way, equals the venue's.
    fn equals(&self, truth: &BookView) -> bool {
        let Some(book) = self.books.get(truth.token.market()) else { return false };
        let outcome = truth.token.outcome();
        let texts = |side: Side| -> Vec<(String, String)> {
            let mut levels: Vec<(Price, Shares)> = book.levels(outcome, side).collect();
            levels.sort_by_key(|(price, _)| *price);
            if side == Side::Sell {
                levels.reverse();
            }
            levels
                .iter()
                .map(|(price, size)| (plain(price.to_string()), plain(size.to_string())))
                .collect()
        };
        let (bids, asks) = (texts(Side::Buy), texts(Side::Sell));
        fn raw(levels: &[(String, String)]) -> Vec<RawLevel<'_>> {
            levels.iter().map(|(price, size)| RawLevel { price, size }).collect()
        }
        let ours = book_hash(&HashInput {
            market: &truth.market.condition.to_string(),
            asset_id: &truth.asset.to_string(),
            timestamp: &truth.at.millis().to_string(),
            bids: &raw(&bids),
            asks: &raw(&asks),
            min_order_size: &plain(truth.market.min_size.to_string()),
            tick_size: &plain(truth.market.tick.to_string()),
            neg_risk: truth.market.neg_risk.is_some(),
            last_trade_price: Some(&truth.last_text()),
        });
        ours == truth.hash
    }
}

/// As the venue writes numbers: no trailing zeros.
fn plain(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn all_tokens(world: &World) -> Vec<(TokenId, Token)> {
    world
        .universe
        .keys()
        .flat_map(|key| Outcome::BOTH.map(|outcome| key.token(outcome)))
        .map(|token| (world.universe.token_id(token), token))
        .collect()
}

fn start(world: &World, config: FeedConfig) -> (MarketFeed, Consumer) {
    let (feed, items) = MarketFeed::start(
        config,
        world.http.clone(),
        &world.endpoints.ws_market,
        world.clob.clone(),
        world.clock.clone(),
    )
    .unwrap();
    let consumer = Consumer::new(world, items);
    (feed, consumer)
}

fn differing(world: &World, consumer: &Consumer, tokens: &[(TokenId, Token)]) -> Vec<Token> {
    tokens
        .iter()
        .filter(|(_, token)| {
            !world.exchange.book(*token).is_some_and(|truth| consumer.equals(&truth))
        })
        .map(|(_, token)| *token)
        .collect()
}

#[test]
fn books_follow_the_venue_and_their_hashes_agree() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let (feed, mut consumer) = start(&world, quick());
        let tokens = all_tokens(&world);
        feed.subscribe(tokens.clone());
        consumer.until(|c| differing(&world, c, &tokens).is_empty()).await;
        let (maker, taker) =
            (world.trader(0, WalletKind::Eoa), world.trader(1, WalletKind::Deposit));
        for round in 0..6u16 {
            for slug in ["rain-tomorrow", "ada-wins", "grace-wins"] {
                let market = world.market(slug);
                maker.place(&ask(&market, 0, Side::Buy, 20 + round, 15, Tif::Gtc)).await.unwrap();
                maker.place(&ask(&market, 1, Side::Buy, 15 + round, 25, Tif::Gtc)).await.unwrap();
                taker.place(&ask(&market, 0, Side::Buy, 90, 8, Tif::Fak)).await.unwrap();
                world.exchange.advance(Span::millis(700));
            }
        }
        consumer.until(|c| differing(&world, c, &tokens).is_empty() && c.prints >= 18).await;
        // Quiet books have their hash checked too.
        let stats = feed.stats();
        while stats.hashes_equal.load(Ordering::Relaxed) < 6 {
            world.exchange.advance(Span::secs(2));
            turn().await;
        }
        assert_eq!(stats.hashes_wrong.load(Ordering::Relaxed), 0);
        assert_eq!(stats.malformed.load(Ordering::Relaxed), 0);
        assert_eq!(consumer.interruptions, 0);
    });
}

#[test]
fn tokens_come_and_go_on_live_connections() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let (feed, mut consumer) =
            start(&world, FeedConfig { tokens_per_connection: 4, ..quick() });
        let tokens = all_tokens(&world);
        let (first, rest) = tokens.split_at(2);
        feed.subscribe(first.to_vec());
        consumer.until(|c| differing(&world, c, first).is_empty()).await;
        assert_eq!(feed.connections(), 1);
        feed.subscribe(rest.to_vec());
        consumer.until(|c| differing(&world, c, &tokens).is_empty()).await;
        assert_eq!(feed.connections(), tokens.len().div_ceil(4));
        assert_eq!(world.exchange.connections(Channel::Market), tokens.len().div_ceil(4));
        // Off: the connection that has nothing left is closed.
        feed.unsubscribe(tokens[..4].iter().map(|(id, _)| *id).collect());
        while world.exchange.connections(Channel::Market) != tokens.len().div_ceil(4) - 1 {
            turn().await;
        }
        // And on again.
        feed.subscribe(tokens[..4].to_vec());
        consumer.until(|c| differing(&world, c, &tokens).is_empty()).await;
    });
}

#[test]
fn a_resolution_and_a_tick_change_arrive_as_events() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let (feed, mut consumer) = start(&world, quick());
        let tokens = all_tokens(&world);
        feed.subscribe(tokens.clone());
        consumer.until(|c| differing(&world, c, &tokens).is_empty()).await;
        world
            .exchange
            .inject_toml(
                "[[engine]]\nact = \"set_tick\"\nmarket = \"ada-wins\"\ntick = \"0.001\"\n",
            )
            .unwrap();
        let ada = world.token("ada-wins", 0).market();
        consumer
            .until(|c| {
                c.books
                    .get(ada)
                    .is_some_and(|book| book.tick() == polydesk_domain::Tick::Thousandth)
            })
            .await;
        // The tick size change invalidates the book; the next snapshot restores it.
        consumer.until(|c| differing(&world, c, &tokens).is_empty()).await;
        world
            .exchange
            .inject_toml(
                "[[engine]]\nact = \"resolve\"\nmarket = \"rain-tomorrow\"\npays = \"no\"\n",
            )
            .unwrap();
        let rain = world.token("rain-tomorrow", 0).market();
        consumer.until(|c| c.states.get(&rain.0) == Some(&MarketState::Resolved(Payout::NO))).await;
    });
}

#[test]
fn a_token_that_falls_silent_while_its_book_moves_is_noticed() {
    run(async {
        let world = World::new(patient(Setup { liquidity: true, ..Setup::test() })).await;
        let (feed, mut consumer) = start(&world, FeedConfig { hash_check_ms: 0, ..quick() });
        let tokens = all_tokens(&world);
        feed.subscribe(tokens.clone());
        consumer.until(|c| differing(&world, c, &tokens).is_empty()).await;
        // The socket is up and answers pings; frames of one market never come again by themselves.
        world
            .exchange
            .inject_toml("[[streams]]\nchannel = \"market\"\nmarket = \"rain-tomorrow\"\nact = \"drop\"\nfor = \"30s\"\n")
            .unwrap();
        let maker = world.trader(0, WalletKind::Eoa);
        let market = world.market("rain-tomorrow");
        world.exchange.advance(Span::millis(300));
        maker.place(&ask(&market, 0, Side::Buy, 33, 40, Tif::Gtc)).await.unwrap();
        let rain = world.token("rain-tomorrow", 0);
        let one = [(world.token_id(rain), rain)];
        assert!(!differing(&world, &consumer, &one).is_empty());
        let stats = feed.stats();
        while stats.frozen.load(Ordering::Relaxed) == 0 {
            world.exchange.advance(Span::secs(1));
            turn().await;
        }
        // Void until a book comes, over whichever way.
        while !differing(&world, &consumer, &one).is_empty() {
            world.exchange.advance(Span::secs(1));
            while let Ok(item) = consumer.items.try_recv() {
                consumer.take(item);
            }
            turn().await;
        }
        assert!(consumer.interruptions > 0);
    });
}

#[test]
fn own_orders_and_trades_are_heard_and_a_lost_connection_is_told() {
    run(async {
        let world = World::new(Setup::test()).await;
        let market = world.market("rain-tomorrow");
        let (maker, taker) =
            (world.trader(0, WalletKind::Deposit), world.trader(1, WalletKind::Eoa));
        let (_feed, mut items) = UserFeed::start(
            quick(),
            world.http.clone(),
            &world.endpoints.ws_user,
            maker.credentials.clone(),
            Vec::<ConditionId>::new(),
            world.clock.clone(),
        );
        assert!(matches!(items.recv().await, Some(UserItem::Connected { .. })));
        while world.exchange.connections(Channel::User) == 0 {
            tokio::task::yield_now().await;
        }
        let placed = maker.place(&ask(&market, 0, Side::Buy, 40, 20, Tif::Gtc)).await.unwrap();
        taker.place(&ask(&market, 0, Side::Sell, 40, 20, Tif::Fok)).await.unwrap();
        world.exchange.advance(Span::secs(60));
        let (mut kinds, mut states) = (Vec::new(), Vec::new());
        while states.last() != Some(&TradeState::Confirmed) {
            match items.recv().await.unwrap() {
                UserItem::Order { order, .. } => {
                    assert_eq!(order.hash(), Some(placed.id));
                    kinds.push(order.kind.clone());
                }
                UserItem::Trade { trade, .. } => {
                    let legs = trade.own_legs(&maker.credentials.key, "").unwrap();
                    assert_eq!((legs[0].order, legs[0].shares), (placed.id, Shares::whole(20)));
                    states.push(trade.status);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(kinds[0], "PLACEMENT");
        assert_eq!(states, [TradeState::Matched, TradeState::Mined, TradeState::Confirmed]);
        world.exchange.inject_toml("[[streams]]\nchannel = \"user\"\nact = \"close\"\ncode = 1012\nreason = \"restart\"\n").unwrap();
        let gone = items.recv().await.unwrap();
        assert!(
            matches!(&gone, UserItem::Disconnected { reason, .. } if reason.contains("1012")),
            "{gone:?}"
        );
        assert!(matches!(items.recv().await, Some(UserItem::Connected { .. })));
    });
}

#[test]
fn reference_prices_come_from_both_services() {
    run(async {
        let world = World::new(Setup::test()).await;
        let trader = world.trader(0, WalletKind::Eoa);
        world.exchange.set_price("btcusd", 84_290_833_784);
        world.exchange.set_price("btcusdt", 61_035_860_000);
        let config = PricesConfig {
            ping_ms: 200,
            retry_first_ms: 10,
            retry_most_ms: 50,
            spacing_ms: 5,
            ..PricesConfig::default()
        };
        let subscription = PriceSubscription {
            channel: "price.crypto".into(),
            symbol: "btcusd".into(),
            window_seconds: None,
            provider: None,
        };
        let (_bolt, mut bolt) = PriceFeed::polybolt(
            config.clone(),
            world.http.clone(),
            &world.endpoints.polybolt,
            trader.credentials.clone(),
            vec![subscription],
            world.clock.clone(),
        )
        .unwrap();
        let topics = vec![Rtds { topic: "crypto_prices".into(), symbol: Some("btcusdt".into()) }];
        let (_rtds, mut rtds) = PriceFeed::rtds(
            config,
            world.http.clone(),
            &world.endpoints.rtds,
            topics,
            world.clock.clone(),
        );
        for (items, symbol, expected) in
            [(&mut bolt, "btcusd", "84290.833784"), (&mut rtds, "btcusdt", "61035.86")]
        {
            // Until it is subscribed, a price is not for it: prices are set again until one arrives.
            'next: loop {
                world.exchange.advance(Span::secs(1));
                world.exchange.set_price("btcusd", 84_290_833_784);
                world.exchange.set_price("btcusdt", 61_035_860_000);
                turn().await;
                while let Ok(item) = items.try_recv() {
                    let PriceItem::Price { symbol: found, value, .. } = item else { continue };
                    assert_eq!(found, symbol);
                    // The exchange moves its prices by itself; ours is one of those sent.
                    let set: rust_decimal::Decimal = expected.parse().unwrap();
                    if (value - set).abs() < set / rust_decimal::Decimal::ONE_HUNDRED {
                        break 'next;
                    }
                }
            }
        }
    });
}

/// 5,000 tokens over 25 connections for 20 minutes of the venue's time: frames are lost, doubled, swapped
/// and held, connections die without closing and are closed; at the end every book is the venue's.
#[test]
fn soak() {
    let markets: u64 =
        std::env::var("POLYDESK_SOAK_MARKETS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_500);
    let seed: u64 =
        std::env::var("POLYDESK_SOAK_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listings = (1..=markets).map(|n| {
            let mut market = Market::plain(n, &format!("market-{n}"));
            let mut bytes = [0x5a; 32];
            bytes[24..].copy_from_slice(&n.to_be_bytes());
            market.tokens = [0u8, 1].map(|side| {
                bytes[0] = 0x10 + side;
                TokenId::from_bytes(bytes)
            });
            Listing::new(market)
        });
        let setup = Setup { markets: listings.collect(), seed, ..Setup::test() };
        let world = World::new(patient(setup)).await;
        let (feed, mut consumer) = start(&world, FeedConfig { silence_ms: 60_000, ..quick() });
        let tokens = all_tokens(&world);
        feed.subscribe(tokens.clone());
        let connections = (tokens.len()).div_ceil(200);
        while world.exchange.connections(Channel::Market) < connections {
            turn().await;
        }
        let mut trouble = String::from("seed = 11\n");
        for (act, ppm) in [("drop", 20_000), ("duplicate", 20_000), ("reorder", 10_000)] {
            trouble += &format!("[[streams]]\nchannel = \"market\"\nevent = \"price_change\"\nchance_ppm = {ppm}\nact = \"{act}\"\nfor = \"18min\"\n");
        }
        for n in 1..=6 {
            trouble += &format!("[[streams]]\nchannel = \"market\"\nconnections = \"{n}\"\nact = \"mute\"\nat = \"{}min\"\nfor = \"90s\"\n", n * 2);
        }
        trouble += "[[streams]]\nchannel = \"market\"\nact = \"close\"\nat = \"7min\"\ncode = 1012\nreason = \"restart\"\n";
        world.exchange.inject_toml(&trouble).unwrap();

        let account = world.exchange.accounts()[0].clone();
        let (key, wallet) = (account.credentials.unwrap().key, account.owner);
        world.exchange.venue(|venue| venue.fund(wallet, polydesk_domain::Usdc::whole(100_000_000)));
        let mut chance = ChaCha12Rng::seed_from_u64(seed);
        let mut resting = Vec::new();
        let minutes = 20;
        for second in 0..minutes * 60 {
            world.exchange.venue(|venue| {
                for _ in 0..20 {
                    let n = chance.next_u64();
                    if n % 3 == 0 && !resting.is_empty() {
                        let at = (n >> 8) as usize % resting.len();
                        let id = resting.swap_remove(at);
                        venue.cancel(&wallet, &[id]);
                        continue;
                    }
                    let (_, token) = tokens[(n >> 8) as usize % tokens.len()];
                    let spec = polydesk_local_exchange::venue::OrderSpec::limit(
                        token,
                        Side::Buy,
                        // Below a half on both outcomes: nothing matches itself.
                        Price::cents(1 + (n >> 40) as u16 % 48),
                        Shares::whole(5 + (n >> 50) % 500),
                    );
                    if let Ok(placed) = venue.place_as(key, wallet, &spec) {
                        resting.push(placed.order.id);
                    }
                }
            });
            world.exchange.advance(Span::secs(1));
            // The other side of the sockets gets its turn.
            while let Ok(item) = consumer.items.try_recv() {
                consumer.take(item);
            }
            if second % 4 == 0 {
                turn().await;
            }
        }
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(180);
        loop {
            while let Ok(item) = consumer.items.try_recv() {
                consumer.take(item);
            }
            let wrong = differing(&world, &consumer, &tokens);
            if wrong.is_empty() {
                break;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{} of {} books differ in the end, the first {:?}; seed {seed}; {:?}",
                wrong.len(),
                tokens.len(),
                wrong[0],
                feed.stats()
            );
            world.exchange.advance(Span::secs(2));
            turn().await;
        }
        let stats: &FeedStats = feed.stats();
        println!("{} connections, {} items, {} interruptions, {stats:?}", feed.connections(), consumer.seq, consumer.interruptions);
        assert_eq!(feed.connections(), connections);
        for counter in [&stats.disconnects, &stats.hashes_equal, &stats.hashes_wrong, &stats.resyncs] {
            assert!(counter.load(Ordering::Relaxed) > 0, "nothing was tried: {stats:?}");
        }
        world.exchange.check().unwrap();
        let _: Arc<_> = world.exchange.clone();
    });
}
