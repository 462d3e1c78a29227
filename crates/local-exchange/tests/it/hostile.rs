//! Whatever comes in: bodies, queries, socket messages and scenarios that are damaged are answered or
//! refused, and never more than that. `POLYDESK_CASES` sets how many.

use crate::common::*;
use polydesk_domain::Side;
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{Running, Scenario};
use serde_json::json;

fn rounds() -> usize {
    let cases = std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse().ok());
    cases.unwrap_or(200usize).min(20_000) / 4
}

/// Values a field could have instead of its own.
const STRANGE: [&str; 16] = [
    "null",
    "\"\"",
    "-1",
    "0",
    "1e400",
    "99999999999999999999999999999999999999",
    "115792089237316195423570985008687907853269984665640564039457584007913129639936",
    "[]",
    "[[[[]]]]",
    "{}",
    "true",
    "\"NaN\"",
    "\"0x\"",
    "\"\\ud800\"",
    "\"-9223372036854775808\"",
    "\"0.1000000000000000000000000000000000001\"",
];

/// Chance that only depends on its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below.max(1)
    }
    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Text with one to three wounds; it stays text.
    fn damage(&mut self, whole: &str) -> String {
        let mut bytes = whole.as_bytes().to_vec();
        for _ in 0..1 + self.below(3) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 if !bytes.is_empty() => bytes[at] = self.below(128) as u8,
                1 => bytes.truncate(at),
                2 => {
                    let end = (at + 1 + self.below(40)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                // A whole value is replaced.
                _ => {
                    let Some(colon) = bytes[at..].iter().position(|b| matches!(b, b':' | b'='))
                    else {
                        continue;
                    };
                    let from = at + colon + 1;
                    let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b'\n');
                    let end = bytes[from..].iter().position(ends).map_or(bytes.len(), |i| from + i);
                    bytes.splice(from..end, self.of(&STRANGE).bytes());
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Requests as they should be: method, path, body.
fn requests(running: &Running, trader: &Trader) -> Vec<(&'static str, String, String)> {
    let rain = token(running, "rain-tomorrow", 0);
    let (id, market) = (token_id(running, rain), condition(running, rain));
    let order = trader.signed(&Ask::limit(running, rain, Side::Buy, 3_000, 1_000));
    let (order, hash) = (order.0, order.1.to_string());
    let text = |value: serde_json::Value| value.to_string();
    let owner = trader.owner;
    vec![
        ("POST", "/order".into(), order.to_string()),
        ("POST", "/orders".into(), text(json!([order, order]))),
        ("DELETE", "/order".into(), text(json!({ "orderID": hash }))),
        ("DELETE", "/orders".into(), text(json!([hash, hash]))),
        ("DELETE", "/cancel-all".into(), String::new()),
        (
            "DELETE",
            "/cancel-market-orders".into(),
            text(json!({ "market": market, "asset_id": id })),
        ),
        ("POST", "/v1/heartbeats".into(), text(json!({ "heartbeat_id": "" }))),
        ("POST", "/books".into(), text(json!([{ "token_id": id }]))),
        ("POST", "/prices".into(), text(json!([{ "token_id": id, "side": "BUY" }]))),
        ("POST", "/spreads".into(), text(json!([{ "token_id": id }]))),
        ("POST", "/orders-scoring".into(), text(json!([hash]))),
        (
            "POST",
            "/batch-prices-history".into(),
            text(
                json!({ "markets": [id], "start_ts": 1, "end_ts": 9, "interval": "1d", "fidelity": 1 }),
            ),
        ),
        ("GET", format!("/book?token_id={id}"), String::new()),
        ("GET", format!("/price?token_id={id}&side=BUY"), String::new()),
        (
            "GET",
            format!("/prices-history?market={id}&startTs=1&endTs=99&fidelity=1"),
            String::new(),
        ),
        ("GET", format!("/data/orders?market={market}&next_cursor=MA=="), String::new()),
        ("GET", format!("/data/trades?market={market}&before=9&after=1"), String::new()),
        ("GET", format!("/data/order/{hash}"), String::new()),
        ("GET", format!("/clob-markets/{market}"), String::new()),
        ("GET", format!("/markets?next_cursor=MA==&limit={}", 7), String::new()),
        (
            "GET",
            format!("/balance-allowance?asset_type=CONDITIONAL&token_id={id}&signature_type=0"),
            String::new(),
        ),
        ("GET", "/notifications?signature_type=0".into(), String::new()),
        ("DELETE", "/notifications?ids=1,2".into(), String::new()),
        ("GET", format!("/rebates/current?date=2026-01-02&maker_address={owner}"), String::new()),
    ]
}

#[test]
fn damaged_requests_are_answered_and_the_sums_still_hold() {
    run(async {
        let running = exchange().await;
        let trader = trader(&running);
        let mut chance = Chance(0x2545_F491_4F6C_DD1D);
        let whole = requests(&running, &trader);
        let (mut refused, mut sent) = (0, 0);
        for round in 0..rounds() * 4 {
            let (method, path, body) = chance.of(&whole);
            let body = if body.is_empty() { body.clone() } else { chance.damage(body) };
            // A path must stay one that can be sent at all.
            let path: String = if body.is_empty() || chance.below(4) == 0 {
                let damaged = chance.damage(path);
                let keeps = |c: &char| c.is_ascii_alphanumeric() || "/?&=%-_.,".contains(*c);
                format!(
                    "/{}",
                    damaged.trim_start_matches('/').chars().filter(keeps).collect::<String>()
                )
            } else {
                path.clone()
            };
            let reply = trader.try_call(method, &path, &body).await;
            let reply = reply.unwrap_or_else(|error| {
                panic!("round {round}: {method} {path} {body:?} had no answer: {error}")
            });
            assert!(reply.status < 500, "round {round}: {method} {path} {body:?}: {reply:?}");
            sent += 1;
            refused += usize::from(reply.status >= 400);
        }
        assert!(refused > sent / 4, "{refused} of {sent} refused: nothing was damaged");
        running.check().unwrap();
        // It trades as before.
        let rain = token(&running, "rain-tomorrow", 0);
        trader.call("DELETE", "/cancel-all", "").await;
        trader.place(&Ask::limit(&running, rain, Side::Buy, 3_000, 1_000)).await;
    });
}

fn trader(running: &Running) -> Trader {
    Trader::new(running, 0, WalletKind::Eoa)
}

#[test]
fn damaged_submissions_to_the_relayer_are_answered() {
    run(async {
        let running = exchange().await;
        let deposit = Trader::new(&running, 1, WalletKind::Deposit);
        let wallet = deposit.wallet().to_string();
        let whole = json!({
            "type": "WALLET", "from": deposit.owner.to_string(), "to": wallet, "nonce": "0",
            "signature": format!("0x{}", "1b".repeat(65)), "metadata": "",
            "depositWalletParams": { "depositWallet": wallet, "deadline": "1795521999",
                "calls": [{ "target": wallet, "value": "0", "data": "0x72ce4275" }] },
        })
        .to_string();
        let mut chance = Chance(7);
        let client = http();
        let keyed = [("RELAYER_API_KEY", "key".to_owned())];
        for path in ["/submit", "/v1/session-signers/authorizations"] {
            for _ in 0..rounds() {
                let url = format!("{}{path}", running.urls().relayer);
                let reply = send(&client, "POST", &url, &keyed, chance.damage(&whole)).await;
                assert!(reply.unwrap().status < 500);
            }
        }
        running.check().unwrap();
    });
}

#[test]
fn damaged_socket_messages_leave_the_connection_or_end_it() {
    run(async {
        let running = exchange().await;
        let trader = trader(&running);
        let rain = token_id(&running, token(&running, "rain-tomorrow", 0));
        let own = &trader.credentials;
        let auth = json!({ "apiKey": own.key.to_string(), "secret": own.secret,
                           "passphrase": own.passphrase });
        let urls = running.urls();
        let cases = [
            (
                urls.market_socket.clone(),
                json!({ "type": "market", "assets_ids": [rain],
                                                 "custom_feature_enabled": true, "initial_dump": true }),
            ),
            (
                urls.market_socket.clone(),
                json!({ "operation": "unsubscribe", "assets_ids": [rain] }),
            ),
            (
                urls.user_socket.clone(),
                json!({ "type": "user", "auth": auth, "markets": ["0x00"] }),
            ),
            (urls.polybolt.clone(), json!({ "op": "auth", "rid": "a", "auth": auth })),
            (
                urls.polybolt.clone(),
                json!({ "op": "subscribe", "rid": "s", "subscriptions": [
                    { "channel": "price.crypto", "filter": { "symbol": "btcusd", "window_seconds": 60 } }] }),
            ),
            (
                urls.rtds.clone(),
                json!({ "action": "subscribe", "subscriptions": [
                    { "topic": "crypto_prices", "type": "update", "filters": "{\"symbol\":\"btcusdt\"}" }] }),
            ),
        ];
        let mut chance = Chance(11);
        let mut over = 0;
        for _ in 0..rounds() {
            let (url, whole) = chance.of(&cases);
            let message = chance.damage(&whole.to_string());
            let mut socket = Socket::open(url).await.unwrap();
            socket.send_text(&message).await;
            socket.send_text("PING").await;
            // It responds or closes; it does not fall silent.
            if !matches!(socket.next().await, Incoming::Text(_)) {
                over += 1;
            }
        }
        assert!(over < rounds(), "every connection ended");
        running.check().unwrap();
        let mut socket = Socket::market(&running, &[&rain], false).await;
        assert_eq!(socket.json().await["event_type"], "book");
    });
}

#[test]
fn damaged_scenarios_are_read_or_refused_with_their_place() {
    let folder = format!("{}/../../fixtures/scenarios", env!("CARGO_MANIFEST_DIR"));
    let mut chance = Chance(13);
    let (mut tried, mut refused) = (0, 0);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let whole = std::fs::read_to_string(&path).unwrap();
        for _ in 0..rounds() {
            let text = chance.damage(&whole);
            tried += 1;
            if let Err(error) = Scenario::parse(&text) {
                refused += 1;
                assert!(error.to_string().contains("scenario"), "{error}");
            }
        }
    }
    assert!(refused > tried / 10, "{refused} of {tried} refused: nothing was damaged");
}
