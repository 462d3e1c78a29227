//! Client and exchange in one paused runtime over pipes: minutes of virtual time in milliseconds, the same
//! for the same seed.

use std::sync::Arc;
use std::time::Duration;

use crate::common::*;
use polydesk_domain::{Side, Span, Tif};
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{Channel, Setup, TEST_START};
use polydesk_polymarket_api::clob::request::OrderFilter;
use polydesk_polymarket_api::ws::{FeedItem, MarketFeed};
use polydesk_polymarket_api::{ApiError, Connect, Endpoints, FeedConfig, Http, HttpConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn demo(seed: u64) -> Setup {
    Setup { seed, liquidity: true, counterparties: true, ..Setup::test() }
}

/// The connections break once in order and once by a reset, and are refused for a while.
const TROUBLE: &str = r#"
[[streams]]
channel = "market"
act = "cut"
at = "20s"
[[streams]]
channel = "market"
act = "cut"
reset = true
at = "40s"
[[streams]]
channel = "market"
act = "refuse"
at = "40s"
for = "7s"
"#;

/// The items of a market feed in the first virtual seconds, as text, with what orders met meanwhile.
fn feed(seed: u64, secs: u64) -> Vec<String> {
    simulated(async {
        let world = World::in_memory(demo(seed), HttpConfig::default());
        world.exchange.inject_toml(TROUBLE).unwrap();
        let tokens: Vec<_> = world
            .universe
            .keys()
            .flat_map(|key| polydesk_domain::Outcome::BOTH.map(|outcome| key.token(outcome)))
            .map(|token| (world.token_id(token), token))
            .collect();
        let (feed, mut items) = MarketFeed::start(
            FeedConfig::default(),
            world.http.clone(),
            &world.endpoints.ws_market,
            world.clob.clone(),
            world.clock.clone(),
        )
        .unwrap();
        feed.subscribe(tokens);
        let trader = world.trader(0, WalletKind::Deposit);
        let market = world.market("rain-tomorrow");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(secs);
        let mut seen = Vec::new();
        while let Ok(Some(item)) = tokio::time::timeout_at(deadline, items.recv()).await {
            seen.push(format!("{item:?}"));
            if seen.len() % 500 == 0 {
                let placed = trader.place(&ask(&market, 0, Side::Buy, 5, 10, Tif::Gtc)).await;
                seen.push(format!("{} {placed:?}", world.clock.now()));
            }
        }
        world.exchange.check().unwrap();
        seen
    })
}

#[test]
fn the_same_seed_gives_the_same_items_and_another_one_others() {
    let (first, again, other) = (feed(1, 180), feed(1, 180), feed(2, 180));
    assert!(first.len() > 3_000, "{} items", first.len());
    let differs = first.iter().zip(&again).position(|(one, two)| one != two);
    let place = differs.map(|at| (at, &first[at], &again[at]));
    assert_eq!((place, first.len()), (None, again.len()));
    assert_ne!(first, other);
    // Both interruptions are in it, and the feed came back after each.
    let gone = first.iter().filter(|item| item.contains("Interrupted")).count();
    assert!(gone >= 2 * 7, "{gone} interruptions");
    assert!(first.iter().filter(|item| item.starts_with("20")).count() >= 3);
}

#[test]
fn ten_quiet_virtual_minutes_keep_the_connection() {
    simulated(async {
        let world = World::in_memory(Setup::test(), HttpConfig::default());
        let market = world.market("rain-tomorrow");
        let token = world.token("rain-tomorrow", 0);
        let (feed, mut items) = MarketFeed::start(
            FeedConfig::default(),
            world.http.clone(),
            &world.endpoints.ws_market,
            world.clob.clone(),
            world.clock.clone(),
        )
        .unwrap();
        feed.subscribe(vec![(market.tokens[0], token)]);
        let first = items.recv().await.unwrap();
        assert!(matches!(first, FeedItem::Market { .. }), "{first:?}");
        // Pings of both sides, hash checks and comparisons over REST go on by virtual time.
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(TEST_START.until(world.exchange.now()).as_millis() / 1_000, 600);
        assert_eq!(TEST_START.until(world.clock.now()).as_millis() / 1_000, 600);
        assert_eq!(world.exchange.connections(Channel::Market), 1);
        world.exchange.check().unwrap();
    });
}

#[test]
fn timeouts_pauses_and_expiries_pass_in_virtual_time() {
    simulated(async {
        let world = World::in_memory(Setup::test(), HttpConfig::default());
        let trader = world.trader(0, WalletKind::Deposit);
        let market = world.market("rain-tomorrow");
        let order = ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc);
        let elapsed = |from: polydesk_domain::Time| from.until(world.clock.now()).as_millis();
        // Silence: the answer's limit of ten seconds.
        let silent =
            "[[answers]]\nendpoint = \"POST /order\"\nact = \"silence_after\"\ncalls = \"1\"";
        world.exchange.inject_toml(silent).unwrap();
        let from = world.clock.now();
        let error = trader.place(&order).await.unwrap_err();
        assert!(matches!(error, ApiError::Unknown(_)), "{error:?}");
        assert_eq!(elapsed(from), 10_000);
        assert_eq!(trader.clob.open_orders(&OrderFilter::default()).await.unwrap().len(), 1);
        // A reset is an error of the other half at once.
        let reset = "[[answers]]\nendpoint = \"POST /order\"\nact = \"lose_answer\"\nreset = true\ncalls = \"1\"\nafter = \"250ms\"";
        world.exchange.inject_toml(reset).unwrap();
        let from = world.clock.now();
        let error = trader.place(&order).await.unwrap_err();
        let ApiError::Unknown(text) = &error else { panic!("{error:?}") };
        assert!(text.contains("reset"), "{text}");
        assert_eq!(elapsed(from), 250);
        // A GTD order expires a minute before its time, on the exchange's clock.
        let from = world.clock.now();
        let expires = from + Span::secs(600);
        let gtd = ask(&market, 1, Side::Buy, 20, 10, Tif::Gtd { expires });
        trader.place(&gtd).await.unwrap();
        assert_eq!(trader.clob.open_orders(&OrderFilter::default()).await.unwrap().len(), 3);
        tokio::time::sleep(Duration::from_secs(545)).await;
        assert_eq!(trader.clob.open_orders(&OrderFilter::default()).await.unwrap().len(), 2);
    });
}

#[test]
fn a_pipe_ends_in_order_or_by_a_reset_as_a_connection_does() {
    for (reset, want) in [(false, Ok(0)), (true, Err(std::io::ErrorKind::ConnectionReset))] {
        simulated(async {
            let world = World::in_memory(Setup::test(), HttpConfig::default());
            let fault = format!(
                "[[answers]]\nendpoint = \"GET /time\"\nact = \"lose_request\"\nreset = {reset}"
            );
            world.exchange.inject_toml(&fault).unwrap();
            let uri: http::Uri = world.endpoints.clob.parse().unwrap();
            let (host, port) = (uri.host().unwrap(), uri.port_u16().unwrap());
            let mut pipe = world.exchange.connect(host, port).unwrap();
            pipe.write_all(b"GET /time HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let read = pipe.read(&mut [0; 64]).await.map_err(|error| error.kind());
            assert_eq!(read, want, "reset {reset}");
            // Nothing listens there; and nowhere once it has stopped.
            assert!(world.exchange.connect("127.0.0.1", 9).is_err());
            assert!(world.exchange.connect("elsewhere", port).is_err());
        });
    }
}

#[test]
fn the_list_of_hosts_and_the_rule_for_proxies_hold_for_a_connector_too() {
    struct Never;
    impl Connect for Never {
        fn connect(&self, host: &str, port: u16) -> polydesk_polymarket_api::Connecting {
            panic!("asked for {host}:{port}");
        }
    }
    let config = HttpConfig { proxy: Some("http://127.0.0.1:1".into()), ..HttpConfig::default() };
    let error = Http::with_connector(config, &Endpoints::default(), Arc::new(Never)).unwrap_err();
    assert!(error.to_string().contains("http.proxy is set beside a connector"), "{error}");
    simulated(async {
        let http =
            Http::with_connector(HttpConfig::default(), &Endpoints::default(), Arc::new(Never));
        let request = polydesk_polymarket_api::HttpRequest {
            method: http::Method::GET,
            url: "https://elsewhere.example/".into(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
            effect: polydesk_polymarket_api::Effect::Read,
            what: "GET /".into(),
            gzip: false,
        };
        let error = http.unwrap().send(request).await.unwrap_err();
        assert!(matches!(error, ApiError::Misconfigured(_)), "{error:?}");
    });
}
