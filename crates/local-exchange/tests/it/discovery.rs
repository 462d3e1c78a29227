//! Gamma, the Data API, the price sockets and the relayer.

use crate::common::*;
use alloy::primitives::{Address, B256, U256, hex};
use polydesk_domain::{Payout, Side, Span};
use polydesk_local_exchange::typed::{WalletCall, batch_digest};
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{LocalExchange, Running, Setup, demo_markets};
use serde_json::{Value, json};

fn trader(running: &Running, index: usize) -> Trader {
    Trader::new(running, index, WalletKind::Deposit)
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value}"))
}

/// The type of every field: what a client's parser depends on.
fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/../../fixtures/wire/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Every field that both have is of one type, and the important ones are there.
fn like(found: &Value, captured: &Value, needed: &[&str]) {
    for (name, value) in captured.as_object().unwrap() {
        let Some(mine) = found.get(name).filter(|mine| !mine.is_null()) else { continue };
        if !value.is_null() {
            assert_eq!(shape(mine), shape(value), "{name}: {mine} instead of {value}");
        }
    }
    for name in needed {
        assert!(found.get(*name).is_some(), "{name} is missing in {found}");
    }
}

#[test]
fn gamma_writes_markets_and_events_as_captured() {
    run(async {
        let running =
            LocalExchange::start(Setup { liquidity: true, ..Setup::test() }).await.unwrap();
        let client = http();
        let base = running.urls().gamma.clone();
        let ask = |path: &str| get(&client, format!("{base}{path}"));
        let needed = [
            "id",
            "conditionId",
            "slug",
            "clobTokenIds",
            "outcomes",
            "outcomePrices",
            "acceptingOrders",
            "orderPriceMinTickSize",
            "orderMinSize",
            "negRisk",
            "feesEnabled",
            "endDate",
            "bestBid",
            "version",
            "questionID",
        ];
        let page = ask("/markets/keyset?limit=100").await.json();
        assert_eq!(list(&page["markets"]).len(), 7);
        assert!(page.get("next_cursor").is_none());
        let market = &page["markets"][0];
        like(market, &fixture("gamma_market.json"), &needed);
        like(market, &fixture("gamma_market_closed_accepting_true.json"), &needed);
        let tokens: Vec<String> =
            serde_json::from_str(market["clobTokenIds"].as_str().unwrap()).unwrap();
        assert_eq!(tokens[0], token_id(&running, token(&running, "rain-tomorrow", 0)));
        assert_eq!(
            market["feeSchedule"],
            json!({ "exponent": 1, "rate": 0.05, "takerOnly": true, "rebateRate": 0.25 })
        );
        let event = ask("/events/slug/election").await.json();
        like(&event, &fixture("gamma_event.json")[0], &["id", "slug", "title", "negRiskMarketID"]);
        assert_eq!(list(&event["markets"]).len(), 3);
        assert_eq!(ask(&format!("/events/{}", event["id"].as_str().unwrap())).await.json(), event);

        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = ask(&format!("/markets/keyset?limit=3{cursor}")).await.json();
            seen.extend(list(&page["markets"]).iter().map(|m| m["slug"].clone()));
            match page.get("next_cursor") {
                Some(next) => cursor = format!("&after_cursor={}", next.as_str().unwrap()),
                None => break,
            }
        }
        assert_eq!(seen.len(), 7);
        assert_eq!(list(&ask("/events/keyset").await.json()["events"]).len(), 5);
        let by = condition(&running, token(&running, "grace-wins", 0));
        for (path, count) in [
            (format!("/markets?condition_ids={by}&condition_ids=0x12"), 1),
            (format!("/markets?clob_token_ids={}", tokens[1]), 1),
            ("/markets?slug=ada-wins".to_owned(), 1),
            ("/markets?version=v2".to_owned(), 1),
            ("/markets?tag_id=politics".to_owned(), 3),
            ("/markets?closed=true".to_owned(), 0),
            ("/markets?limit=2&offset=6".to_owned(), 1),
            ("/events".to_owned(), 5),
            ("/tags".to_owned(), 5),
        ] {
            let reply = ask(&path).await;
            assert_eq!(list(&reply.json()).len(), count, "{path}");
            assert_eq!(reply.header("deprecation"), Some("true"), "{path}");
        }
        let found = ask("/public-search?q=RAIN").await.json();
        assert_eq!(found["pagination"]["totalResults"], 1);
        assert_eq!(ask("/public-search?q=nothing").await.json()["events"], Value::Null);
        running.venue(|venue| venue.resolve(token_market(venue), Payout::YES));
        assert_eq!(list(&ask("/markets").await.json()).len(), 6, "closed ones need asking for");
        let closed = ask("/markets/slug/rain-tomorrow").await.json();
        assert_eq!(
            brief(&closed, &["closed", "acceptingOrders", "outcomePrices", "closedTime"]),
            "true false [\"1\",\"0\"] 2026-11-24 12:00:00+00"
        );
        assert_eq!(ask("/markets/1").await.status, 404);
    });
}

fn token_market(venue: &polydesk_local_exchange::venue::Venue) -> polydesk_domain::MarketKey {
    venue.universe().keys().next().unwrap()
}

#[test]
fn the_data_api_tells_what_wallets_did_and_hold() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        bob.place(&Ask::limit(&running, rain, Side::Sell, 4_000, 2_000)).await;
        alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 2_000)).await;
        running.advance(Span::secs(5));
        let client = http();
        let base = running.urls().data.clone();
        let ask = |path: &str| {
            let path = path.replace("ALICE", &alice.wallet().to_string());
            get(&client, format!("{base}{}", path.replace("BOB", &bob.wallet().to_string())))
        };
        let trades = ask("/trades?user=ALICE").await.json();
        like(
            &trades[0],
            &fixture("data_v1_trades_rs.json")[0],
            &["proxyWallet", "transactionHash", "outcomeIndex"],
        );
        assert_eq!(brief(&trades[0], &["side", "size", "price", "outcome"]), "BUY 20 0.4 Yes");
        assert_eq!(list(&ask("/trades?user=BOB").await.json()).len(), 0, "makers are hidden");
        assert_eq!(list(&ask("/trades?user=BOB&takerOnly=false").await.json()).len(), 1);
        let newer = ask("/v2/trades?user=BOB&taker_only=false").await.json();
        like(
            &newer["data"][0],
            &fixture("data_v2_trades_captured.json")["data"][0],
            &["proxy_wallet", "token_id", "transaction_hash"],
        );
        assert_eq!(newer["pagination"]["has_more"], false);
        let activity = ask("/activity?user=BOB&type=TRADE").await.json();
        assert_eq!(brief(&activity[0], &["type", "side", "usdcSize"]), "TRADE SELL 8");
        let positions = ask("/positions?user=ALICE").await.json();
        let mine =
            list(&positions).iter().find(|row| row["asset"] == token_id(&running, rain)).unwrap();
        like(
            mine,
            &fixture("data_v1_positions_nt.json")[0],
            &["size", "avgPrice", "oppositeAsset"],
        );
        assert_eq!(mine["size"], 220);
        let page = ask("/v2/positions?user=ALICE&limit=2").await.json();
        like(
            &page["data"][0],
            &fixture("data_v2_positions.json")["data"][0],
            &["current_size", "status", "opposite_token_id"],
        );
        assert_eq!(page["pagination"]["next_cursor"], "2");
        assert_eq!(
            list(&ask("/v2/positions?user=ALICE&limit=100&cursor=2").await.json()["data"]).len(),
            12
        );
        like(
            &ask("/value?user=ALICE").await.json()[0],
            &fixture("data_v1_value.json")[0],
            &["user", "value"],
        );
        assert_eq!(ask("/traded?user=ALICE").await.json()["traded"], 1);
        let holders = ask(&format!("/holders?market={}", condition(&running, rain))).await.json();
        assert_eq!(holders[0]["holders"][0]["amount"], 220);
        assert_eq!(ask("/positions").await.status, 400);
        assert_eq!(ask("/v2/positions").await.json()["parameter"], "user");
        let tokens = ask(&format!("/v2/tokens?token_id={}", token_id(&running, rain))).await.json();
        assert_eq!(tokens["data"][0]["condition_id"], condition(&running, rain));
    });
}

#[test]
fn sums_over_wallets_and_markets_have_the_shape_of_the_samples() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        bob.place(&Ask::limit(&running, rain, Side::Sell, 4_000, 2_000)).await;
        alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 2_000)).await;
        running.advance(Span::secs(5));
        let client = http();
        let market = get(&client, format!("{}/markets?slug=rain-tomorrow", running.urls().gamma));
        let market = market.await.json();
        let event = market[0]["events"][0]["id"].as_str().unwrap().to_owned();
        let at = running.now().millis() / 1_000;
        let fill = |path: &str| {
            path.replace("ALICE", &alice.wallet().to_string())
                .replace("RAIN", &condition(&running, rain))
                .replace("TOKEN", &token_id(&running, rain))
                .replace("EVENT", &event)
                .replace("NOW", &at.to_string())
        };
        let base = running.urls().data.clone();
        let ask = |path: &str| get(&client, format!("{base}{}", fill(path)));
        for (path, at, sample, sample_at, fields, values) in [
            (
                "/v1/market-positions?market=RAIN&user=ALICE",
                "/0/positions/0",
                "data_v1_market_positions.json",
                "/0/positions/0",
                &["size", "currPrice", "outcome"][..],
                "220 0.4 Yes",
            ),
            (
                "/v2/oi?condition_id=RAIN",
                "/data/0",
                "data_v2_oi.json",
                "/data/0",
                &["value"],
                "3000",
            ),
            ("/v2/oi", "/data/0", "data_v2_oi.json", "/data/1", &["condition_id"], "GLOBAL"),
            ("/oi", "/0", "data_v1_oi.json", "/2", &["market"], "GLOBAL"),
            (
                "/live-volume?id=EVENT",
                "/0",
                "data_v1_live_volume.json",
                "/0",
                &["total", "markets"],
                "8 [{\"market\":\"RAIN\",\"value\":8}]",
            ),
            (
                "/v2/live-volume?event_id=EVENT",
                "/data",
                "data_v2_live_volume.json",
                "/data",
                &["taker_volume_total"],
                "20",
            ),
            (
                "/v2/user-stats?user=ALICE",
                "/data",
                "data_v2_user_stats.json",
                "/data",
                &["trades", "biggest_win"],
                "1 0",
            ),
            (
                "/v2/user-volume?user=ALICE",
                "/data",
                "data_v2_user_volume.json",
                "/data",
                &["volume", "volume_usdc", "trade_count"],
                "20 8 1",
            ),
            (
                "/v2/user-volume?user=ALICE&end=1",
                "/data",
                "data_v2_user_volume.json",
                "/data",
                &["volume", "trade_count"],
                "0 0",
            ),
            (
                "/v2/user-pnl?user=ALICE&interval=1w",
                "/data/points/0",
                "data_v2_user_pnl.json",
                "/data/points/0",
                &["realized_pnl", "trade_count"],
                "0 1",
            ),
            (
                "/v2/prices-history?token_id=TOKEN&interval=1h",
                "/data/0",
                "data_v2_prices_history.json",
                "/data/0",
                &["price", "resolution_seconds"],
                "0.4 0",
            ),
            (
                "/v2/prices-history?token_id=TOKEN&as_of=NOW",
                "/data/0",
                "data_v2_prices_history.json",
                "/data/0",
                &["price"],
                "0.4",
            ),
            ("/v2/status", "/data", "data_v2_status.json", "/data", &["age_seconds"], "0"),
        ] {
            let found = ask(path).await.json();
            let found = found.pointer(at).unwrap_or_else(|| panic!("{path}: {found}"));
            like(found, fixture(sample).pointer(sample_at).unwrap(), fields);
            assert_eq!(brief(found, fields), fill(values), "{path}");
        }
        for (path, status, parameter) in [
            ("/v2/user-stats", 400, "user"),
            ("/v2/live-volume", 400, "event_id"),
            ("/v2/prices-history?interval=1h", 400, "token_id"),
            ("/v2/prices-history?token_id=TOKEN", 400, "interval"),
            ("/v2/prices-history?token_id=TOKEN&interval=1h&start=1", 400, "interval"),
            (
                "/v2/prices-history?token_id=TOKEN&interval=1h&bucket_seconds=5",
                400,
                "bucket_seconds",
            ),
            ("/v2/prices-history?token_id=TOKEN&as_of=1&bucket_seconds=60", 400, "bucket_seconds"),
            ("/v2/biggest-winners", 404, ""),
            ("/v1/accounting/snapshot", 400, ""),
        ] {
            let reply = ask(path).await;
            let named = reply.json()["parameter"].as_str().unwrap_or_default().to_owned();
            assert_eq!((reply.status, named.as_str()), (status, parameter), "{path}");
        }
        // Two files with the lengths of their directory entries.
        let archive = ask("/v1/accounting/snapshot?user=ALICE").await;
        assert_eq!(archive.header("content-type"), Some("application/zip"));
        let text = String::from_utf8_lossy(&archive.body);
        assert!(text.starts_with("PK\u{3}\u{4}"));
        assert!(text.contains(&fill("\nRAIN,TOKEN,220,0.4,2026-11-24T12:00:05Z\n")), "{text}");
    });
}

#[test]
fn prices_walk_on_both_price_sockets() {
    run(async {
        let running = exchange().await;
        let alice = trader(&running, 0);
        let own = &alice.credentials;
        let mut bolt = Socket::open(&running.urls().polybolt).await.unwrap();
        let subscribe = json!({ "op": "subscribe", "rid": "s1", "subscriptions": [
            { "channel": "price.crypto", "filter": { "symbol": "btcusd" } },
            { "channel": "price.crypto.twap", "filter": { "symbol": "btcusd", "window_seconds": 60 } },
            { "channel": "price.nothing", "filter": { "symbol": "btcusd" } },
        ] }).to_string();
        bolt.send_text(&subscribe).await;
        assert_eq!(
            bolt.json().await,
            json!({ "op": "error", "code": "auth_required", "rid": "s1", "channel": "price.crypto" })
        );
        bolt.json().await;
        bolt.json().await;
        let auth = json!({ "op": "auth", "rid": "a1", "auth": { "apiKey": own.key.to_string(),
            "secret": own.secret, "passphrase": own.passphrase } });
        bolt.send_text(&auth.to_string()).await;
        assert_eq!(bolt.json().await, fixture("polybolt_authed.json"));
        bolt.send_text(&subscribe).await;
        assert_eq!(bolt.json().await["op"], "subscribed");
        let snapshot = bolt.json().await;
        like(&snapshot, &fixture("polybolt_crypto_price_snapshot.json"), &["seq", "ts", "v"]);
        assert_eq!(list(&snapshot["payload"]["data"]).len(), 120);
        assert_eq!(bolt.json().await, fixture("polybolt_subscribed.json"));
        assert_eq!(bolt.json().await["payload"]["window_seconds"], 60);
        assert_eq!(bolt.json().await["code"], "bad_channel");
        running.set_price("btcusd", 90_000_000_000);
        running.advance(Span::secs(2));
        for seq in [2, 2, 3, 3] {
            let update = bolt.json().await;
            assert_eq!(update["seq"], seq);
            let price = update["payload"]["full_accuracy_value"].as_str().unwrap();
            assert!(price.starts_with("89") || price.starts_with("90"), "{price}");
        }
        let mut forged = Socket::open(&running.urls().polybolt).await.unwrap();
        forged.send_text(&json!({ "op": "auth", "rid": "a1", "auth": {} }).to_string()).await;
        assert_eq!(forged.json().await, fixture("polybolt_error_auth_invalid.json"));
        assert_eq!(forged.next().await, Incoming::Close(4001, "auth failed".to_owned()));

        let mut rtds = Socket::open(&running.urls().rtds).await.unwrap();
        let wants = |topic: &str, filters: &str| {
            json!({ "action": "subscribe", "subscriptions": [
            { "topic": topic, "type": "update", "filters": filters } ] })
            .to_string()
        };
        rtds.send_text(&wants("crypto_prices", "{\"symbol\": \"ethusdt\"}")).await;
        assert_eq!(rtds.drain().await.len(), 0, "whitespace in a filter kills the feed");
        rtds.send_text(&wants("crypto_prices", "{\"symbol\":\"ethusdt\"}")).await;
        let frames = rtds.drain().await;
        like(&frames[0], &fixture("rtds_crypto_prices_subscribe.json"), &["topic", "payload"]);
        running.advance(Span::secs(1));
        let update = rtds.json().await;
        like(&update, &fixture("rtds_crypto_prices_update.json"), &["timestamp"]);
        like(
            &update["payload"],
            &fixture("rtds_crypto_prices_update.json")["payload"],
            &["symbol", "value", "full_accuracy_value"],
        );
        running
            .inject_toml("[[streams]]\nchannel = \"rtds\"\nact = \"drop\"\nfor = \"10s\"")
            .unwrap();
        running.advance(Span::secs(5));
        assert_eq!(rtds.drain().await.len(), 0, "a feed that is alive and silent");
        rtds.send_text(&wants("nothing", "")).await;
        assert_eq!(rtds.drain().await[0]["statusCode"], 401);
    });
}

#[test]
fn the_relayer_takes_and_the_website_tells_where_one_is() {
    run(async {
        let running = exchange().await;
        let client = http();
        let base = running.urls().relayer.clone();
        let geo = get(&client, running.urls().geoblock.clone()).await.json();
        like(&geo, &fixture("geoblock.json"), &["blocked", "ip", "country", "region"]);
        let url = format!("{base}/submit");
        let body = json!({ "type": "SAFE", "from": "0x12" }).to_string();
        let refused = send(&client, "POST", &url, &[], body.clone()).await.unwrap();
        assert_eq!(refused.status, 401);
        let key = [("RELAYER_API_KEY", "k".to_owned())];
        let taken = send(&client, "POST", &url, &key, body).await.unwrap().json();
        assert_eq!(taken["state"], "STATE_NEW");
        let id = taken["transactionID"].as_str().unwrap();
        let state = async || {
            let url = format!("{base}/v1/account/transactions/{id}");
            get(&client, url).await.json()["state"].clone()
        };
        for want in ["STATE_NEW", "STATE_EXECUTED", "STATE_MINED", "STATE_CONFIRMED"] {
            assert_eq!(state().await, want);
            running.advance(Span::secs(if want == "STATE_NEW" { 1 } else { 3 }));
        }
    });
}

#[test]
fn a_deposit_wallet_splits_merges_and_redeems_through_the_relayer() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let alice = trader(&running, 0);
        let client = http();
        let base = running.urls().relayer.clone();
        let market: B256 = condition(&running, rain).parse().unwrap();
        let word = |number: u64| B256::from(U256::from(number)).to_vec();
        let call = |selector: &str, amount: u64| {
            let mut data = hex::decode(selector).unwrap();
            data.extend([word(0), word(0), market.to_vec(), word(160), word(amount)].concat());
            WalletCall { target: Address::ZERO, value: U256::ZERO, data }
        };
        let submit = async |nonce: u64, calls: &[WalletCall]| {
            let deadline = U256::from(1_795_521_600 + 600);
            let digest = batch_digest(alice.wallet(), U256::from(nonce), deadline, calls, 137);
            let rows = calls.iter().map(|call| {
                json!({ "target": call.target.to_string(), "value": "0",
                        "data": hex::encode_prefixed(&call.data) })
            });
            let body = json!({
                "type": "WALLET", "from": alice.owner.to_string(), "to": Address::ZERO.to_string(),
                "nonce": nonce.to_string(), "signature": hex::encode_prefixed(alice.sign(digest)),
                "metadata": "", "depositWalletParams": {
                    "depositWallet": alice.wallet().to_string(),
                    "deadline": deadline.to_string(), "calls": rows.collect::<Vec<_>>(),
                } });
            let key = [("RELAYER_API_KEY", "k".to_owned())];
            let url = format!("{base}/submit");
            send(&client, "POST", &url, &key, body.to_string()).await.unwrap()
        };
        let cash = || running.venue(|venue| venue.cash_of(&alice.wallet()));
        assert_eq!(submit(0, &[call("72ce4275", 50_000_000)]).await.status, 200);
        assert_eq!(cash(), polydesk_domain::Usdc::whole(1_000));
        running.advance(Span::secs(3));
        assert_eq!(cash(), polydesk_domain::Usdc::whole(950));
        let stale = submit(0, &[call("9e7212ad", 50_000_000)]).await;
        assert_eq!(
            (stale.status, stale.json()["error"].as_str()),
            (400, Some("batch nonce 0 does not match on-chain nonce 1"))
        );
        submit(1, &[call("9e7212ad", 20_000_000)]).await;
        running.advance(Span::secs(3));
        assert_eq!(cash(), polydesk_domain::Usdc::whole(970));
        running.venue(|venue| venue.resolve(rain.market(), Payout::YES));
        submit(2, &[call("01b7037c", 0)]).await;
        running.advance(Span::secs(3));
        assert_eq!(cash(), polydesk_domain::Usdc::whole(970 + 230));
        let mut later = alice.clone();
        later.at(&running);
        assert_eq!(later.balance(Some(&token_id(&running, rain))).await, "0");
        let mut forged = call("72ce4275", 1);
        forged.value = U256::from(1);
        assert_eq!(submit(3, &[forged]).await.status, 400, "signed with another value");
        running.check().unwrap();
    });
}

#[test]
fn clob_objects_have_the_captured_types() {
    run(async {
        let running = exchange().await;
        assert_eq!(demo_markets().len(), 7);
        let rain = token(&running, "rain-tomorrow", 0);
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        let client = http();
        let base = running.urls().clob.clone();
        let cid = condition(&running, rain);
        let ask = |path: String| get(&client, format!("{base}{path}"));
        bob.place(&Ask::limit(&running, rain, Side::Sell, 4_000, 2_000)).await;
        let reply = alice.post(&Ask::limit(&running, rain, Side::Buy, 4_000, 1_000)).await.json();
        like(
            &reply,
            &fixture("clob_post_order_resp_matched_trade_ids_rs.json"),
            &["orderID", "success", "status", "tradeIDs", "errorMsg"],
        );
        let market = ask(format!("/markets/{cid}")).await.json();
        like(&market, &fixture("clob_get_markets_one.json"), &["tokens", "minimum_tick_size"]);
        like(
            &market["tokens"][0],
            &fixture("clob_get_markets_one.json")["tokens"][0],
            &["token_id", "winner"],
        );
        let game = condition(&running, token(&running, "hawks-owls", 0));
        let compact = ask(format!("/clob-markets/{game}")).await.json();
        like(
            &compact,
            &fixture("clob_get_clob_markets_sports.json"),
            &["c", "t", "mts", "mos", "fd"],
        );
        assert_eq!(compact["sd"], 1);
        let crypto = condition(&running, token(&running, "btc-updown-5m-1795521600", 0));
        assert_eq!(ask(format!("/clob-markets/{crypto}")).await.json()["itode"], true);
        let book = ask(format!("/book?token_id={}", token_id(&running, rain))).await.json();
        like(&book, &fixture("clob_get_book.json"), &["hash", "timestamp", "bids"]);
        like(
            &bob.orders().await[0],
            &fixture("clob_get_data_order_one.json"),
            &["id", "created_at"],
        );
        like(
            &alice.trades().await[0],
            &fixture("clob_get_data_trades_one.json"),
            &["maker_orders", "trader_side"],
        );
        like(
            &alice.trades().await[0]["maker_orders"][0],
            &fixture("clob_get_data_trades_one.json")["maker_orders"][0],
            &["order_id"],
        );
        let history =
            ask(format!("/prices-history?market={}&interval=max", token_id(&running, rain)));
        assert_eq!(history.await.json(), json!({ "history": [{ "t": 1_795_521_600, "p": 0.4 }] }));
        running.advance(Span::secs(2));
        let notes = alice.call("GET", "/notifications", "").await.json();
        assert_eq!(notes[0]["type"], 2);
        like(
            &notes[0]["payload"],
            &fixture("clob_get_notifications.json")[0]["payload"],
            &["order_id", "transaction_hash", "trade_id", "eventSlug"],
        );
        let dropped = format!("/notifications?ids={}", notes[0]["id"]);
        alice.call("DELETE", &dropped, "").await;
        assert_eq!(list(&alice.call("GET", "/notifications", "").await.json()).len(), 0);
    });
}
