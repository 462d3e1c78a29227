//! Market and user sockets over real loopback connections.

use crate::common::*;
use polydesk_domain::{HashInput, RawLevel, Side, Span, book_hash};
use polydesk_local_exchange::Channel;
use polydesk_local_exchange::wallets::WalletKind;
use serde_json::{Value, json};

fn trader(running: &polydesk_local_exchange::Running, index: usize) -> Trader {
    Trader::new(running, index, WalletKind::Deposit)
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["event_type"].as_str().unwrap()).collect()
}

#[test]
fn a_subscription_begins_with_a_book_and_follows_every_change() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let (yes, no) = (token_id(&running, rain), token_id(&running, rain.sibling()));
        let (alice, bob) = (trader(&running, 0), trader(&running, 1));
        alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 10_000)).await;
        let mut both = Socket::market(&running, &[&yes, &no], false).await;
        let mut one = Socket::market(&running, &[&no], true).await;
        let books = both.drain().await;
        assert_eq!(kinds(&books), ["book", "book"]);
        assert_eq!(books[1]["asks"], json!([{ "price": "0.6", "size": "100" }]));
        assert!(books[0].get("min_order_size").is_none());
        assert_eq!(kinds(&one.drain().await), ["book"]);

        running.advance(Span::millis(5));
        bob.place(&Ask::limit(&running, rain, Side::Sell, 4_000, 4_000)).await;
        let frames = both.drain().await;
        assert_eq!(kinds(&frames), ["price_change", "last_trade_price", "book", "book"]);
        assert_eq!(
            brief(&frames[1], &["asset_id", "price", "size", "side", "timestamp"]),
            format!("{yes} 0.4 40 SELL 1795521600005")
        );
        let fields = ["asset_id", "price", "size", "side", "best_bid", "best_ask"];
        let changes = frames[0]["price_changes"].as_array().unwrap();
        let changed: Vec<_> = changes.iter().map(|change| brief(change, &fields)).collect();
        assert_eq!(changed, [format!("{yes} 0.4 60 BUY 0.4 1"), format!("{no} 0.6 60 SELL 0 0.6")]);
        assert_eq!(changes[0]["hash"], frames[2]["hash"]);
        let frames = one.drain().await;
        assert_eq!(kinds(&frames), ["price_change", "book"]);
        assert_eq!(frames[0]["price_changes"].as_array().unwrap().len(), 1);

        bob.place(&Ask::limit(&running, rain, Side::Sell, 4_400, 1_000)).await;
        let frames = one.drain().await;
        assert_eq!(kinds(&frames), ["price_change", "best_bid_ask"]);
        assert_eq!(brief(&frames[1], &["best_bid", "best_ask", "spread"]), "0.56 0.6 0.04");
    });
}

#[test]
fn the_hash_on_the_wire_is_the_venues() {
    run(async {
        let running = exchange().await;
        let ada = token(&running, "ada-wins", 0);
        let alice = trader(&running, 0);
        alice.place(&Ask::limit(&running, ada, Side::Buy, 4_000, 10_050)).await;
        alice.place(&Ask::limit(&running, ada.sibling(), Side::Buy, 5_500, 700)).await;
        let url = format!("{}/book?token_id={}", running.urls().clob, token_id(&running, ada));
        let book = get(&http(), url).await.json();
        let levels = |side: &str| -> Vec<(String, String)> {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let rows = book[side].as_array().unwrap().iter();
            rows.map(|row| (text(&row["price"]), text(&row["size"]))).collect()
        };
        let (bids, asks) = (levels("bids"), levels("asks"));
        fn raw(levels: &[(String, String)]) -> Vec<RawLevel<'_>> {
            levels.iter().map(|(price, size)| RawLevel { price, size }).collect()
        }
        let text = |name: &str| book[name].as_str().unwrap();
        let want = book_hash(&HashInput {
            market: text("market"),
            asset_id: text("asset_id"),
            timestamp: text("timestamp"),
            bids: &raw(&bids),
            asks: &raw(&asks),
            min_order_size: text("min_order_size"),
            tick_size: text("tick_size"),
            neg_risk: book["neg_risk"].as_bool().unwrap(),
            last_trade_price: Some(text("last_trade_price")),
        });
        assert_eq!(text("hash"), want);
    });
}

#[test]
fn subscriptions_are_added_removed_and_forced() {
    run(async {
        let running = exchange().await;
        let (rain, ada) = (token(&running, "rain-tomorrow", 0), token(&running, "ada-wins", 0));
        let (a, b) = (token_id(&running, rain), token_id(&running, ada));
        let mut socket = Socket::market(&running, &[&a], false).await;
        assert_eq!(socket.drain().await.len(), 1);
        let operate = |operation: &str, ids: &[&str]| {
            json!({ "operation": operation, "assets_ids": ids }).to_string()
        };
        socket.send_text(&operate("subscribe", &[&a, &b])).await;
        let books = socket.drain().await;
        assert_eq!(books.len(), 1, "a token that is wanted already gets no new book");
        assert_eq!(books[0]["asset_id"], b);
        socket.send_text(&operate("unsubscribe", &[&a])).await;
        socket.send_text(&operate("subscribe", &[&a])).await;
        assert_eq!(socket.drain().await.len(), 1, "leaving and coming back forces one");
        socket.send_text(&operate("unsubscribe", &[&a])).await;
        let alice = trader(&running, 0);
        alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 1_000)).await;
        assert_eq!(socket.drain().await.len(), 0);
        socket.send_text("not json").await;
        assert_eq!(socket.next().await, Incoming::Text("INVALID OPERATION".to_owned()));
        let mut quiet = Socket::open(&running.urls().market_socket).await.unwrap();
        let wants = json!({ "type": "market", "assets_ids": [a, "1"], "initial_dump": false });
        quiet.send_text(&wants.to_string()).await;
        assert_eq!(quiet.drain().await.len(), 0);
    });
}

#[test]
fn a_second_message_with_a_type_and_no_operation_is_ignored() {
    run(async {
        let running = exchange().await;
        let (rain, ada) = (token(&running, "rain-tomorrow", 0), token(&running, "ada-wins", 0));
        let (a, b) = (token_id(&running, rain), token_id(&running, ada));
        let alice = trader(&running, 0);
        let mut socket = Socket::market(&running, &[&a], false).await;
        assert_eq!(socket.drain().await.len(), 1);
        for kind in ["market", "MARKET"] {
            let again = json!({ "type": kind, "assets_ids": [b], "custom_feature_enabled": true });
            socket.send_text(&again.to_string()).await;
            assert_eq!(socket.drain().await, Vec::<Value>::new());
        }
        alice.place(&Ask::limit(&running, ada, Side::Buy, 4_000, 1_000)).await;
        assert_eq!(socket.drain().await, Vec::<Value>::new(), "its token is not wanted");
        alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 1_000)).await;
        let frames = socket.drain().await;
        assert_eq!(kinds(&frames), ["price_change"], "nor are the optional events");
        let both = json!({ "type": "market", "operation": "subscribe", "assets_ids": [b] });
        socket.send_text(&both.to_string()).await;
        assert_eq!(kinds(&socket.drain().await), ["book"], "with an operation it is one");
    });
}

#[test]
fn optional_events_come_only_where_they_were_asked_for() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let id = token_id(&running, rain);
        let mut plain = Socket::market(&running, &[&id], false).await;
        let mut custom = Socket::market(&running, &[&id], true).await;
        plain.drain().await;
        custom.drain().await;
        running.venue(|venue| {
            let mut market = polydesk_domain::Market::plain(77, "new-one");
            market.event = "new-one".into();
            venue.list(polydesk_local_exchange::Listing::new(market)).unwrap();
            venue.set_tick(rain.market(), polydesk_domain::Tick::Thousandth);
            venue.resolve(rain.market(), polydesk_domain::Payout::NO);
        });
        assert_eq!(kinds(&plain.drain().await), ["tick_size_change", "book"]);
        let frames = custom.drain().await;
        assert_eq!(kinds(&frames), ["new_market", "tick_size_change", "book", "market_resolved"]);
        assert_eq!(brief(&frames[1], &["old_tick_size", "new_tick_size"]), "0.01 0.001");
        assert_eq!(
            brief(&frames[3], &["winning_asset_id", "winning_outcome"]),
            format!("{} No", token_id(&running, rain.sibling()))
        );
    });
}

#[test]
fn a_socket_that_does_not_ping_is_closed() {
    run(async {
        let running = exchange().await;
        let id = token_id(&running, token(&running, "rain-tomorrow", 0));
        let mut socket = Socket::market(&running, &[&id], false).await;
        socket.drain().await;
        running.advance(Span::secs(100));
        socket.drain().await;
        running.advance(Span::secs(124));
        socket.drain().await;
        running.advance(Span::secs(125));
        assert_eq!(socket.next().await, Incoming::Close(1008, "no ping received".to_owned()));
        assert_eq!(running.connections(Channel::Market), 0);
    });
}

#[test]
fn makers_and_takers_hear_of_their_own_orders_and_trades() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let [alice, bob, carol] = [0, 1, 2].map(|index| trader(&running, index));
        let mut maker = Socket::user(&running, &alice).await;
        let mut taker = Socket::user(&running, &bob).await;
        let mut other = Socket::user(&running, &carol).await;
        let id = alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 10_000)).await;
        let fields = ["event_type", "type", "status", "original_size", "size_matched", "id"];
        let frames = maker.drain().await;
        assert_eq!(brief(&frames[0], &fields), format!("order PLACEMENT LIVE 100 0 {id}"));
        assert_eq!(frames[0]["order_owner"], alice.credentials.key.to_string());
        let sell = bob.place(&Ask::limit(&running, rain, Side::Sell, 4_000, 4_000).of("FAK")).await;
        let frames = maker.drain().await;
        assert_eq!(brief(&frames[0], &fields), format!("order UPDATE LIVE 100 40 {id}"));
        let fields = ["event_type", "status", "trader_side", "size", "taker_order_id"];
        assert_eq!(brief(&frames[1], &fields), format!("trade MATCHED MAKER 40 {sell}"));
        assert_eq!(frames[1]["maker_orders"][0]["matched_amount"], "40");
        let frames = taker.drain().await;
        assert_eq!(frames.len(), 1, "a taker hears of its trade only: {frames:?}");
        assert_eq!(brief(&frames[0], &fields), format!("trade MATCHED TAKER 40 {sell}"));
        assert_eq!(frames[0]["transaction_hash"], "");
        running.advance(Span::secs(5));
        for socket in [&mut maker, &mut taker] {
            let frames = socket.drain().await;
            let seen: Vec<_> =
                frames.iter().map(|f| brief(f, &["status", "last_update"])).collect();
            assert_eq!(seen, ["MINED 1795521602", "CONFIRMED 1795521605"]);
        }
        alice.call("DELETE", "/cancel-all", "").await;
        let frames = maker.drain().await;
        assert_eq!(
            brief(&frames[0], &["type", "status", "size_matched"]),
            "CANCELLATION CANCELED 40"
        );
        bob.refused(&Ask::limit(&running, rain, Side::Buy, 4_000, 4_000).of("FOK")).await;
        let frames = taker.drain().await;
        let fields = ["type", "status", "original_size", "size_matched", "created_at"];
        assert_eq!(
            brief(&frames[0], &fields),
            "CANCELLATION CANCELED_order couldn't be fully filled. FOK orders are fully filled or \
             killed. 16  "
        );
        assert_eq!(other.drain().await.len(), 0);
    });
}

#[test]
fn a_user_socket_needs_credentials_and_may_choose_markets() {
    run(async {
        let running = exchange().await;
        let (rain, ada) = (token(&running, "rain-tomorrow", 0), token(&running, "ada-wins", 0));
        let alice = trader(&running, 0);
        let mut unauthorized = Socket::open(&running.urls().user_socket).await.unwrap();
        unauthorized
            .send_text(&json!({ "type": "user", "auth": { "apiKey": "x" } }).to_string())
            .await;
        assert_eq!(
            unauthorized.next().await,
            Incoming::Close(1008, "authentication failed".to_owned())
        );
        let own = &alice.credentials;
        let mut socket = Socket::open(&running.urls().user_socket).await.unwrap();
        // As the Rust client writes it.
        let wants = json!({ "type": "user", "operation": "subscribe", "initial_dump": true,
            "markets": [condition(&running, ada)], "assets_ids": [],
            "auth": { "apiKey": own.key.to_string(), "secret": own.secret,
                      "passphrase": own.passphrase } });
        socket.send_text(&wants.to_string()).await;
        socket.drain().await;
        alice.place(&Ask::limit(&running, rain, Side::Buy, 1_000, 1_000)).await;
        assert_eq!(socket.drain().await.len(), 0);
        let more = json!({ "operation": "subscribe", "markets": [condition(&running, rain)] });
        socket.send_text(&more.to_string()).await;
        alice.place(&Ask::limit(&running, rain, Side::Buy, 1_000, 1_000)).await;
        alice.place(&Ask::limit(&running, ada, Side::Buy, 1_000, 1_000)).await;
        assert_eq!(socket.drain().await.len(), 2);
    });
}
