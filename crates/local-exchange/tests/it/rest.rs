//! The CLOB over real loopback HTTP: reads, keys, orders, matching, cancels, one's own records.

use crate::common::*;
use polydesk_domain::{Outcome, Price, Shares, Side, Span, Usdc};
use polydesk_local_exchange::venue::{OrderSpec, Session};
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{LocalExchange, Setup};
use serde_json::json;

#[test]
fn public_reads_have_the_venues_shapes() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 10_000)).await;
        alice.place(&Ask::limit(&running, rain, Side::Buy, 3_900, 5_050)).await;
        bob.place(&Ask::limit(&running, rain, Side::Sell, 4_400, 2_000)).await;
        let http = http();
        let (base, id) = (running.urls().clob.clone(), token_id(&running, rain));
        let no = token_id(&running, rain.sibling());
        let ask = |path: &str| get(&http, format!("{base}{path}").replace("ID", &id));

        assert_eq!(ask("/ok").await.json(), json!("OK"));
        assert_eq!(ask("/time").await.json(), json!(1_795_521_600));
        assert_eq!(ask("/version").await.json(), json!({ "version": 2 }));
        let book = ask("/book?token_id=ID").await.json();
        let level = |price: &str, size: &str| json!({ "price": price, "size": size });
        // The best price is last on both sides.
        assert_eq!(book["bids"], json!([level("0.39", "50.5"), level("0.4", "100")]));
        assert_eq!(book["asks"], json!([level("0.44", "20")]));
        assert_eq!(
            brief(&book, &["tick_size", "min_order_size", "neg_risk", "last_trade_price"]),
            "0.01 5 false "
        );
        let mirrored = get(&http, format!("{base}/book?token_id={no}")).await.json();
        assert_eq!(mirrored["asks"], json!([level("0.61", "50.5"), level("0.6", "100")]));
        for (path, want) in [
            ("/price?token_id=ID&side=BUY", json!({ "price": "0.4" })),
            ("/price?token_id=ID&side=SELL", json!({ "price": "0.44" })),
            ("/midpoint?token_id=ID", json!({ "mid": "0.42" })),
            ("/spread?token_id=ID", json!({ "spread": "0.04" })),
            ("/last-trade-price?token_id=ID", json!({ "price": "0.5", "side": "" })),
            ("/tick-size?token_id=ID", json!({ "minimum_tick_size": 0.01 })),
            ("/tick-size/ID", json!({ "minimum_tick_size": 0.01 })),
            ("/neg-risk?token_id=ID", json!({ "neg_risk": false })),
            ("/fee-rate?token_id=ID", json!({ "base_fee": 1000 })),
            (
                "/book?token_id=1",
                json!({ "error": "No orderbook exists for the requested token id" }),
            ),
        ] {
            assert_eq!(ask(path).await.json(), want, "{path}");
        }
        let body = json!([{ "token_id": id, "side": "SELL" }, { "token_id": "7" }]).to_string();
        for (path, want) in [
            ("/prices", json!({ &id: { "SELL": "0.44" } })),
            ("/midpoints", json!({ &id: "0.42" })),
            ("/spreads", json!({ &id: "0.04" })),
            ("/last-trades-prices", json!([])),
        ] {
            let reply = send(&http, "POST", &format!("{base}{path}"), &[], body.clone()).await;
            assert_eq!(reply.unwrap().json(), want, "{path}");
        }
        let cid = condition(&running, rain);
        let compact = ask(&format!("/clob-markets/{cid}")).await.json();
        assert_eq!(compact["fd"], json!({ "r": 0.05, "e": 1, "to": true }));
        assert_eq!(
            (&compact["mts"], &compact["mos"], &compact["nr"]),
            (&json!(0.01), &json!(5), &json!(false))
        );
        assert_eq!(
            ask(&format!("/markets-by-token/{no}")).await.json(),
            json!({ "condition_id": cid, "primary_token_id": id, "secondary_token_id": no })
        );
        let page = ask("/markets").await.json();
        assert_eq!(page["data"].as_array().unwrap().len(), 7);
        assert_eq!(page["next_cursor"], "LTE=");
        assert_eq!(ask("/nothing/here").await.status, 404);
        running.shutdown().await;
    });
}

fn trader(running: &polydesk_local_exchange::Running, index: usize) -> Trader {
    Trader::new(running, index, WalletKind::Eoa)
}

#[test]
fn keys_are_made_once_derived_again_and_deleted() {
    run(async {
        let running = exchange().await;
        let mut alice = trader(&running, 0);
        let url = |path: &str| format!("{}{path}", running.urls().clob);
        let call = async |method: &str, path: &str, headers: &[(&str, String)]| {
            send(&alice.http, method, &url(path), headers, String::new()).await.unwrap()
        };
        let first = call("GET", "/auth/derive-api-key", &alice.wallet_headers(0)).await;
        assert_eq!(first.json()["apiKey"], alice.credentials.key.to_string());
        let twice = call("POST", "/auth/api-key", &alice.wallet_headers(0)).await;
        assert_eq!(
            (twice.status, twice.json()["error"].as_str()),
            (400, Some("Could not create api key"))
        );
        let none = call("GET", "/auth/derive-api-key", &alice.wallet_headers(7)).await;
        assert_eq!(
            (none.status, none.json()["error"].as_str()),
            (400, Some("Could not derive api key!"))
        );
        let made = call("POST", "/auth/api-key", &alice.wallet_headers(7)).await.json();
        assert_ne!(made["secret"], first.json()["secret"]);
        let mut forged = alice.wallet_headers(8);
        forged[3].1 = "9".to_owned();
        let refused = call("POST", "/auth/api-key", &forged).await;
        assert_eq!(
            (refused.status, refused.json()["error"].as_str()),
            (401, Some("Invalid L1 Request headers"))
        );
        let keys = alice.call("GET", "/auth/api-keys", "").await.json();
        assert_eq!(keys["apiKeys"].as_array().unwrap().len(), 2);
        assert_eq!(alice.call("DELETE", "/auth/api-key", "").await.json(), json!("OK"));
        assert_eq!(alice.call("GET", "/auth/api-keys", "").await.status, 401);
        alice.credentials.key = made["apiKey"].as_str().unwrap().parse().unwrap();
        alice.credentials.secret = made["secret"].as_str().unwrap().to_owned();
        alice.credentials.passphrase = made["passphrase"].as_str().unwrap().to_owned();
        assert_eq!(alice.call("GET", "/auth/api-keys", "").await.status, 200);
    });
}

#[test]
fn a_request_that_is_not_signed_to_the_letter_is_refused() {
    run(async {
        let running = exchange().await;
        let alice = trader(&running, 0);
        let url = format!("{}/data/orders", running.urls().clob);
        for broken in 0..5 {
            let mut headers = alice.headers("GET", "/data/orders", "");
            headers[broken].1 = match broken {
                0 => trader(&running, 1).owner.to_string(),
                4 => "1".to_owned(),
                _ => {
                    let first = if headers[broken].1.starts_with('0') { "1" } else { "0" };
                    format!("{first}{}", &headers[broken].1[1..])
                }
            };
            let reply = send(&alice.http, "GET", &url, &headers, String::new()).await.unwrap();
            assert_eq!(reply.status, 401, "header {broken}");
        }
        let headers = alice.headers("GET", "/data/orders", "x");
        let reply = send(&alice.http, "GET", &url, &headers, String::new()).await.unwrap();
        assert_eq!(reply.json(), json!({ "error": "Unauthorized/Invalid api key" }));
    });
}

#[test]
fn every_wallet_type_trades_on_every_exchange_contract() {
    run(async {
        let running = exchange().await;
        for slug in ["rain-tomorrow", "ada-wins", "new-protocol"] {
            let token = token(&running, slug, 0);
            for kind in WalletKind::ALL {
                let alice = Trader::new(&running, 0, kind);
                alice.place(&Ask::limit(&running, token, Side::Buy, 2_000, 500)).await;
            }
        }
        assert_eq!(trader(&running, 0).orders().await.len(), 15);
        running.check().unwrap();
    });
}

#[test]
fn a_taker_matches_the_best_price_and_the_first_in_time() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let [alice, bob, carol] = [0, 1, 2].map(|index| trader(&running, index));
        bob.place(&Ask::limit(&running, rain, Side::Sell, 4_500, 1_000)).await;
        let first = carol.place(&Ask::limit(&running, rain, Side::Sell, 4_400, 1_000)).await;
        // A bid for NO at 0.56 offers YES at 0.44, after carol.
        let second =
            bob.place(&Ask::limit(&running, rain.sibling(), Side::Buy, 5_600, 2_000)).await;
        let (body, id) = alice.signed(&Ask::limit(&running, rain, Side::Buy, 4_500, 2_500));
        let reply = alice.call("POST", "/order", &body.to_string()).await.json();
        assert_eq!(
            brief(&reply, &["status", "makingAmount", "takingAmount", "errorMsg"]),
            // 11.25 pUSD buy 10 + 15.568181 shares at 0.44: better prices buy more.
            "matched 11.25 25.568181 "
        );
        assert_eq!(reply["tradeIDs"].as_array().unwrap().len(), 1);
        assert!(reply.get("transactionsHashes").is_none());
        let trade = alice.trades().await.remove(0);
        assert_eq!(
            brief(&trade, &["trader_side", "side", "size", "status", "price"]),
            "TAKER BUY 25.568181 MATCHED 0.44"
        );
        assert_eq!(trade["taker_order_id"], id.to_string());
        let makers = trade["maker_orders"].as_array().unwrap();
        let rows: Vec<_> = makers
            .iter()
            .map(|maker| brief(maker, &["order_id", "side", "price", "matched_amount", "outcome"]))
            .collect();
        assert_eq!(
            rows,
            [format!("{first} SELL 0.44 10 Yes"), format!("{second} BUY 0.56 15.568181 No"),]
        );
        let seen = bob.trades().await.remove(0);
        assert_eq!(
            brief(&seen, &["trader_side", "owner"]),
            format!("MAKER {}", bob.credentials.key)
        );
        let left = bob.orders().await;
        assert_eq!(
            left.iter()
                .map(|o| brief(o, &["price", "original_size", "size_matched"]))
                .collect::<Vec<_>>(),
            ["0.45 10 0", "0.56 20 15.568181"]
        );
        // Balances follow the chain.
        assert_eq!(alice.balance(None).await, "1000000000");
        running.advance(Span::secs(2));
        let mut alice = alice;
        alice.at(&running);
        assert_eq!(alice.trades().await[0]["status"], "MINED");
        assert_eq!(alice.balance(Some(&token_id(&running, rain))).await, "225568181");
        // 11.25 and the fee: 0.05 × 0.44 × 0.56 a share, floored to five decimals per match.
        assert_eq!(
            alice.balance(None).await,
            (1_000_000_000 - 11_250_000 - 123_200 - 191_790).to_string()
        );
        running.advance(Span::secs(3));
        alice.at(&running);
        let done = alice.trades().await.remove(0);
        assert_eq!(done["status"], "CONFIRMED");
        assert_eq!(done["transaction_hash"].as_str().unwrap().len(), 66);
        running.check().unwrap();
    });
}

#[test]
fn orders_are_refused_in_the_venues_words() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        bob.place(&Ask::limit(&running, rain, Side::Sell, 5_000, 10_000)).await;
        let buy = |units, cents| Ask::limit(&running, rain, Side::Buy, units, cents);
        let market = |maker, taker, kind| Ask { maker, taker, kind, ..buy(5_000, 100) };
        let cases = [
            (buy(4_010, 1_000), "Price (0.401) breaks minimum tick size rule: 0.01"),
            (buy(4_000, 499), "Size (4.99) lower than the minimum: 5"),
            (buy(4_000, 100_000_000), "not enough balance / allowance: the balance is not enough"),
            (
                Ask { kind: "GTD", expiration: 1_795_521_779, ..buy(4_000, 1_000) },
                "invalid expiration",
            ),
            (Ask { expiration: 1_795_600_000, ..buy(4_000, 1_000) }, "invalid expiration"),
            (buy(5_000, 1_000).post_only(), "invalid post-only order: order crosses book"),
            (
                market(5_001_000, 10_000_000, "FAK"),
                "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 \
                 decimals, taker amount a max of 4 decimals",
            ),
            (market(5_000_000, 9_999_999, "FOK"), "taker amount a max of 4 decimals"),
            (
                Ask { maker: 4_000_000, taker: 10_001_000, ..buy(4_000, 1_000) },
                "Price (0.399960003) breaks",
            ),
            (
                market(990_000, 9_900_000, "FAK"),
                "invalid amount for a marketable BUY order ($0.99), min size: $1",
            ),
            (
                market(60_000_000, 120_000_000, "FOK"),
                "order couldn't be fully filled. FOK orders are fully filled or killed.",
            ),
            (
                market(4_000_000, 10_000_000, "FAK"),
                "no orders found to match with FAK order. FAK orders are partially filled or killed \
                 if no match is found.",
            ),
            (
                Ask { token: "12345".into(), ..buy(4_000, 1_000) },
                "No orderbook exists for the requested token id",
            ),
            (
                Ask { contract: polydesk_local_exchange::typed::Contract::V3, ..buy(4_000, 1_000) },
                "order_version_mismatch",
            ),
            (
                Ask {
                    contract: polydesk_local_exchange::typed::Contract::NegRisk,
                    ..buy(4_000, 1_000)
                },
                "invalid signature",
            ),
        ];
        for (ask, want) in cases {
            let (status, text) = alice.refused(&ask).await;
            assert!(text.contains(want), "{text:?} instead of {want:?}");
            assert_eq!(status, if text.contains("orderbook") { 404 } else { 400 }, "{text}");
        }
        let killed = alice.post(&market(4_000_000, 10_000_000, "FAK")).await.json();
        assert!(killed["orderID"].as_str().unwrap().starts_with("0x"));

        let (mut body, _) = alice.signed(&buy(4_000, 1_000));
        let post = async |body: &serde_json::Value| {
            let reply = alice.call("POST", "/order", &body.to_string()).await;
            (reply.status, reply.json()["error"].as_str().unwrap_or("(taken)").to_owned())
        };
        assert_eq!(post(&body).await.0, 200);
        let again = post(&body).await;
        assert!(again.1.ends_with("is invalid. Duplicated."), "{again:?}");
        body["owner"] = json!(bob.credentials.key.to_string());
        assert_eq!(post(&body).await.1, "the order owner has to be the owner of the API KEY");
        for (field, value) in [
            ("salt", json!("5")),
            ("salt", json!(1.5)),
            ("side", json!(0)),
            ("makerAmount", json!(5)),
            ("signatureType", json!("0")),
            ("metadata", json!("")),
            ("tokenId", json!("0x12")),
        ] {
            let (mut body, _) = alice.signed(&buy(4_000, 1_000));
            body["order"][field] = value;
            assert_eq!(post(&body).await, (400, "Invalid order payload".to_owned()), "{field}");
        }
        let (mut old, _) = alice.signed(&buy(4_000, 1_000));
        old["order"]["feeRateBps"] = json!("0");
        assert_eq!(post(&old).await.1, "order_version_mismatch");
        let (mut stolen, _) = alice.signed(&buy(4_000, 1_000));
        stolen["order"]["maker"] = json!(bob.owner.to_string());
        assert_eq!(
            post(&stolen).await.1,
            "maker address not allowed, please use the deposit wallet flow"
        );
        stolen["order"]["signer"] = json!(bob.owner.to_string());
        assert_eq!(
            post(&stolen).await.1,
            "the order signer address has to be the address of the API KEY"
        );

        running.venue(|venue| venue.signer_mut(alice.owner).closed_only = true);
        assert!(alice.refused(&buy(4_000, 1_000)).await.1.ends_with("address in closed only mode"));
        let sell = Ask::limit(&running, rain, Side::Sell, 6_000, 1_000);
        alice.place(&sell).await;
        running.venue(|venue| venue.approve(&alice.owner, false));
        assert!(alice.refused(&sell).await.1.contains("the allowance is not enough"));
        running.venue(|venue| venue.signer_mut(alice.owner).banned = true);
        assert!(alice.refused(&sell).await.1.ends_with("address banned"));
        running.check().unwrap();
    });
}

#[test]
fn open_orders_reserve_and_cancels_give_back() {
    run(async {
        let running = exchange().await;
        let (rain, ada) = (token(&running, "rain-tomorrow", 0), token(&running, "ada-wins", 0));
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        let big = alice.place(&Ask::limit(&running, rain, Side::Buy, 5_000, 150_000)).await;
        let next = Ask::limit(&running, ada, Side::Buy, 5_000, 60_000);
        assert!(alice.refused(&next).await.1.starts_with("not enough balance / allowance"));
        let cancel = async |who: &Trader, path: &str, body: String| {
            who.call("DELETE", path, &body).await.json()
        };
        let unknown = format!("0x{}", "ab".repeat(32));
        let one = |id: &str| json!({ "orderID": id }).to_string();
        assert_eq!(
            cancel(&bob, "/order", one(&big)).await,
            json!({ "canceled": [], "not_canceled": { &big: "Order not found" } })
        );
        assert_eq!(
            cancel(&alice, "/order", one(&big)).await,
            json!({ "canceled": [big], "not_canceled": {} })
        );
        assert_eq!(
            cancel(&alice, "/orders", json!([big, unknown]).to_string()).await,
            json!({
                "canceled": [],
                "not_canceled": { &big: "the order is already canceled", &unknown: "Order not found" }
            })
        );
        assert_eq!(
            cancel(&alice, "/order", one("0x12")).await,
            json!({ "error": "Invalid orderID" })
        );
        let a = alice.place(&next).await;
        let b = alice.place(&Ask::limit(&running, rain, Side::Buy, 1_000, 1_000)).await;
        let c = alice.place(&Ask::limit(&running, rain.sibling(), Side::Buy, 1_000, 1_000)).await;
        let in_market = json!({ "market": condition(&running, rain),
                                "asset_id": token_id(&running, rain) });
        assert_eq!(
            cancel(&alice, "/cancel-market-orders", in_market.to_string()).await["canceled"],
            json!([b])
        );
        let mut rest = cancel(&alice, "/cancel-all", String::new()).await["canceled"]
            .as_array()
            .unwrap()
            .clone();
        rest.sort_by_key(|id| id.to_string());
        let mut want = vec![json!(a), json!(c)];
        want.sort_by_key(|id| id.to_string());
        assert_eq!(rest, want);
        let ended = alice.call("GET", &format!("/data/order/{a}"), "").await.json();
        assert_eq!(ended["status"], "CANCELED");
        assert_eq!(alice.call("GET", &format!("/data/order/{unknown}"), "").await.status, 404);
        assert_eq!(alice.orders().await.len(), 0);
        running.check().unwrap();
    });
}

#[test]
fn batches_partly_fail_and_never_exceed_fifteen() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let alice = trader(&running, 0);
        let good = alice.signed(&Ask::limit(&running, rain, Side::Buy, 3_000, 1_000));
        let poor = alice.signed(&Ask::limit(&running, rain, Side::Buy, 3_000, 100_000_000));
        let reply =
            alice.call("POST", "/orders", &json!([good.0, poor.0]).to_string()).await.json();
        assert_eq!(brief(&reply[0], &["status", "orderID"]), format!("live {}", good.1));
        // A refusal with `success: true`, as at the real endpoint.
        assert_eq!(brief(&reply[1], &["success", "orderID", "status"]), "true  ");
        assert!(reply[1]["errorMsg"].as_str().unwrap().contains("balance"));
        let many = alice.call("POST", "/orders", &json!(vec![good.0; 16]).to_string()).await;
        assert_eq!(many.json()["error"], "Too many orders in payload: 16, max allowed: 15");
    });
}

#[test]
fn a_batch_that_is_refused_as_a_whole_has_placed_nothing() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let alice = trader(&running, 0);
        let good = alice.signed(&Ask::limit(&running, rain, Side::Buy, 3_000, 1_000)).0;
        let mut foreign = alice.signed(&Ask::limit(&running, rain, Side::Buy, 3_100, 1_000)).0;
        foreign["owner"] = json!(trader(&running, 1).credentials.key);
        let batch = json!([good, foreign]).to_string();
        let reply = alice.call("POST", "/orders", &batch).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.json()["error"], "the order owner has to be the owner of the API KEY");
        assert_eq!(alice.orders().await.len(), 0);
        // The first one by itself is still new to the venue.
        let reply = alice.call("POST", "/orders", &json!([good]).to_string()).await.json();
        assert_eq!(reply[0]["status"], "live");
    });
}

#[test]
fn gtd_orders_leave_a_minute_early_and_delayed_ones_cannot_be_cancelled() {
    run(async {
        let running = exchange().await;
        let (rain, game) = (token(&running, "rain-tomorrow", 0), token(&running, "hawks-owls", 0));
        let (mut alice, bob) = (trader(&running, 0), trader(&running, 1));
        let gtd = Ask {
            kind: "GTD",
            expiration: 1_795_521_600 + 200,
            ..Ask::limit(&running, rain, Side::Buy, 3_000, 1_000)
        };
        alice.place(&gtd).await;
        bob.place(&Ask::limit(&running, game, Side::Sell, 5_000, 1_000)).await;
        let taker = Ask::limit(&running, game, Side::Buy, 5_000, 1_000);
        let (body, id) = alice.signed(&taker);
        let reply = alice.call("POST", "/order", &body.to_string()).await.json();
        assert_eq!(brief(&reply, &["status", "orderID"]), format!("delayed {id}"));
        let twice = alice.call("POST", "/order", &body.to_string()).await.json();
        assert!(twice["error"].as_str().unwrap().contains("Duplicated"));
        let stuck =
            alice.call("DELETE", "/order", &json!({ "orderID": id }).to_string()).await.json();
        assert!(stuck["not_canceled"][id.to_string()].as_str().unwrap().contains("delayed"));
        running.advance(Span::millis(999));
        assert_eq!(alice.orders().await.len(), 2);
        running.advance(Span::millis(1));
        assert_eq!(alice.orders().await.len(), 1);
        assert_eq!(alice.trades().await.len(), 1);
        running.advance(Span::millis(138_999));
        alice.at(&running);
        assert_eq!(alice.orders().await.len(), 1);
        running.advance(Span::millis(1));
        alice.at(&running);
        assert_eq!(alice.orders().await.len(), 0);
        running.check().unwrap();
    });
}

#[test]
fn a_session_key_trades_for_the_wallet_it_was_registered_for() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let owner = Trader::new(&running, 0, WalletKind::Deposit);
        let session = trader(&running, 3);
        let ask = Ask::limit(&running, rain, Side::Buy, 3_000, 1_000);
        let (body, id) = session.signed_for(owner.wallet(), &ask);
        let post = async || session.call("POST", "/order", &body.to_string()).await.json();
        assert_eq!(
            post().await["error"],
            "the order signer address has to be the address of the API KEY"
        );
        let scoped = |scope: &str| {
            let scopes = vec![scope.to_owned()];
            let made = Session { scopes, ..Session::of(owner.owner) };
            running.venue(|venue| venue.signer_mut(session.owner).session = Some(made));
        };
        scoped("COMBOSRFQ");
        assert_eq!(post().await["error"], "the session key has no scope for the CLOB");
        scoped("CLOB");
        assert_eq!(post().await["orderID"], id.to_string());
        // Orders are seen by the key that sent them, not by the owner's.
        assert_eq!(session.orders().await.len(), 1);
        assert_eq!(owner.orders().await.len(), 0);
        assert_eq!(session.orders().await[0]["maker_address"], owner.wallet().to_string());
        running.check().unwrap();
    });
}

#[test]
fn builder_and_session_keys_are_their_accounts_own() {
    run(async {
        let running = exchange().await;
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        let path = "/auth/builder-api-key";
        let made = alice.call("POST", path, "").await.json();
        assert!(["key", "secret", "passphrase"].iter().all(|field| made[field].is_string()));
        let listed = alice.call("GET", path, "").await.json();
        assert_eq!((&listed[0]["key"], listed[0].get("revokedAt")), (&made["key"], None));
        assert_eq!(bob.call("GET", path, "").await.json(), json!([]));
        assert_eq!(bob.call("DELETE", path, "").await.status, 404);
        // A builder key signs as an API key does, under headers of its own.
        let as_builder = |name: &'static str, value: &str| {
            alice
                .headers_of(&made["secret"], "DELETE", path)
                .into_iter()
                .map(|(known, old)| (known, if known == name { value.to_owned() } else { old }))
                .chain([
                    ("POLY_BUILDER_API_KEY", made["key"].as_str().unwrap().to_owned()),
                    ("POLY_BUILDER_PASSPHRASE", made["passphrase"].as_str().unwrap().to_owned()),
                ])
                .collect::<Vec<_>>()
        };
        let url = format!("{}{path}", running.urls().clob);
        for (name, value, status) in [
            ("POLY_BUILDER_SIGNATURE", "AAAA", 401),
            ("POLY_BUILDER_TIMESTAMP", "1", 401),
            ("", "", 200),
            ("", "", 401),
        ] {
            let headers = as_builder(name, value);
            let reply = send(&http(), "DELETE", &url, &headers, String::new()).await.unwrap();
            assert_eq!(reply.status, status, "{name}");
        }
        let listed = alice.call("GET", path, "").await.json();
        assert_eq!(listed[0]["revokedAt"], "2026-11-24T12:00:00Z");
        // Session keys are shown to the owner of the wallet.
        running.venue(|venue| venue.signer_mut(bob.owner).session = Some(Session::of(alice.owner)));
        let shown = alice.call("GET", "/v1/user/session-signers", "").await.json();
        assert_eq!(shown["signers"][0]["address"], bob.owner.to_string());
        let none = bob.call("GET", "/v1/user/session-signers", "").await.json();
        assert_eq!(none["signers"], json!([]));
    });
}

#[test]
fn large_answers_are_compressed_for_whoever_takes_it() {
    run(async {
        let running = exchange().await;
        let url = format!("{}/markets", running.urls().clob);
        let plain = get(&http(), url.clone()).await;
        let headers = [("accept-encoding", "gzip, deflate".to_owned())];
        let reply = send(&http(), "GET", &url, &headers, String::new()).await.unwrap();
        assert_eq!(reply.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        let mut reader = flate2::read::GzDecoder::new(&reply.body[..]);
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        assert_eq!(text.as_bytes(), &plain.body[..]);
    });
}

#[test]
fn lists_come_in_pages() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let alice = trader(&running, 0);
        let wallet = alice.wallet();
        running.venue(|venue| {
            let spec = OrderSpec::limit(rain, Side::Buy, Price::cents(1), Shares::whole(5));
            for _ in 0..105 {
                venue.place_as(alice.credentials.key, wallet, &spec).unwrap();
            }
        });
        let page = alice.call("GET", "/data/orders", "").await.json();
        assert_eq!(
            (page["count"].as_u64(), page["next_cursor"].as_str()),
            (Some(100), Some("MTAw"))
        );
        let page = alice.call("GET", "/data/orders?next_cursor=MTAw", "").await.json();
        assert_eq!((page["count"].as_u64(), page["next_cursor"].as_str()), (Some(5), Some("LTE=")));
    });
}

#[test]
fn the_tick_size_becomes_finer_and_a_resolved_market_pays() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        alice.place(&Ask::limit(&running, rain, Side::Buy, 9_700, 1_000)).await;
        bob.place(&Ask::limit(&running, rain, Side::Sell, 9_800, 1_000)).await;
        let url =
            format!("{}/tick-size?token_id={}", running.urls().clob, token_id(&running, rain));
        assert_eq!(get(&http(), url).await.json(), json!({ "minimum_tick_size": 0.001 }));
        alice.place(&Ask::limit(&running, rain, Side::Buy, 9_710, 1_000)).await;
        running.venue(|venue| {
            venue.resolve(rain.market(), polydesk_domain::Payout::YES);
            let paid = venue.redeem(&alice.owner, rain.market());
            assert_eq!(paid, Some(Usdc::whole(200)));
        });
        assert_eq!(alice.balance(None).await, "1200000000");
        let (_, text) = alice.refused(&Ask::limit(&running, rain, Side::Buy, 5_000, 1_000)).await;
        assert_eq!(text, "the market is not yet ready to process new orders");
        running.check().unwrap();
    });
}

#[test]
fn the_same_seed_gives_the_same_exchange() {
    run(async {
        let mut books = Vec::new();
        for _ in 0..2 {
            let setup = Setup { liquidity: true, seed: 7, ..Setup::test() };
            let running = LocalExchange::start(setup).await.unwrap();
            let all: Vec<_> = running.venue(|venue| {
                let keys = venue.universe().keys();
                keys.map(|key| venue.book(key.token(Outcome::No)).unwrap()).collect()
            });
            assert!(all.iter().all(|book| book.bids.len() == 5 && book.asks.len() == 5));
            running.check().unwrap();
            books.push((all, running.accounts().to_vec()));
        }
        assert_eq!(books[0], books[1]);
    });
}
