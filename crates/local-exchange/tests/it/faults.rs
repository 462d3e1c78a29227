//! Faults: what goes wrong, when, and to whom.

use crate::common::*;
use polydesk_domain::{Side, Span};
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{Channel, LimitSetup, LocalExchange, Running, Scenario, Setup};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn trader(running: &Running, index: usize) -> Trader {
    Trader::new(running, index, WalletKind::Eoa)
}

fn folder() -> std::path::PathBuf {
    format!("{}/../../fixtures/scenarios", env!("CARGO_MANIFEST_DIR")).into()
}

#[test]
fn every_example_is_a_scenario_and_every_mistake_is_named() {
    let mut read = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        Scenario::read(&entry.unwrap().path()).unwrap();
        read += 1;
    }
    assert_eq!(read, 10);
    for (text, want) in [
        ("[[answer]]", "scenario line 1: unknown field `answer`"),
        ("[[answers]]\nendpoint = \"PUT order\"", "write \"POST /order\""),
        ("[[answers]]\nendpoint = \"POST /order\"\ncalls = \"0\"", "counted from 1"),
        (
            "[[answers]]\nendpoint = \"POST /order\"\nstatus = 5",
            "answers[0]: status is no HTTP status",
        ),
        ("[[answers]]\nendpoint = \"POST /order\"\nact = \"explode\"", "unknown variant `explode`"),
        ("[[engine]]\nact = \"resolve\"", "engine[0]: this act needs `pays`"),
        ("[[engine]]\nact = \"set_tick\"\ntick = \"0.02\"", "this act needs `tick`"),
        ("[[engine]]\nact = \"restart\"\nat = \"5\"", "is not a length of time"),
        (
            "[[streams]]\nchannel = \"market\"\nact = \"delay\"",
            "streams[0]: this act needs `delay`",
        ),
        ("[[reads]]\nendpoint = \"GET /x\"\nact = \"stale\"", "this act needs `lag`"),
        (
            "[[reads]]\nendpoint = \"GET /x\"\nact = \"page\"\nrows = 0",
            "needs `rows` of at least 1",
        ),
        ("[[reads]]\nendpoint = \"GET /x\"\nact = \"contradict\"", "this act needs `replace`"),
        ("[[limits]]\ntier = \"wood\"", "limits[0].tier: no tier has this name; use standard"),
        ("[[settlement]]\nending = \"confirm\"\nmine = \"1s\"", "unknown field `mine`"),
    ] {
        let error = Scenario::parse(text).unwrap_err().to_string();
        assert!(error.contains(want), "{error:?} instead of {want:?}");
        assert!(error.contains("scenario"), "{error}");
    }
    let missing = Scenario::read(&folder().join("none.toml")).unwrap_err().to_string();
    assert!(missing.contains("none.toml"), "{missing}");
}

#[test]
fn processed_and_answered_are_independent() {
    run(async {
        let setup = Setup {
            scenario: Scenario::read(&folder().join("answers.toml")).unwrap(),
            ..Setup::test()
        };
        let running = LocalExchange::start(setup).await.unwrap();
        let rain = token(&running, "rain-tomorrow", 0);
        let alice = trader(&running, 0);
        let mut bodies = Vec::new();
        for _ in 0..3 {
            bodies.push(alice.signed(&Ask::limit(&running, rain, Side::Buy, 3_000, 1_000)));
        }
        let post = async |index: usize| {
            alice.try_call("POST", "/order", &bodies[index].0.to_string()).await
        };
        assert!(post(0).await.is_err());
        assert!(post(1).await.is_err());
        let third = post(2).await.unwrap();
        assert_eq!(
            (third.status, third.json()),
            (500, json!({ "error": "could not insert order" }))
        );
        let open: Vec<_> = alice.orders().await.iter().map(|o| o["id"].clone()).collect();
        assert_eq!(open.len(), 2, "the second alone was not processed");
        assert!(!open.contains(&json!(bodies[1].1.to_string())));
        let url = format!("{}/book?token_id={}", running.urls().clob, token_id(&running, rain));
        assert_eq!(get(&http(), url.clone()).await.status, 200);
        assert!(send(&http(), "GET", &url, &[], String::new()).await.is_err(), "cut");
        let page = alice.call("GET", "/data/trades", "").await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (429, Some("text/html; charset=UTF-8"))
        );
        assert!(String::from_utf8_lossy(&page.body).contains("Error 1015"));
        assert_eq!(running.count("POST", "/order"), 3);
        let received = running.received();
        let first = received.iter().find(|one| one.path == "/order").unwrap();
        assert_eq!((first.account, first.status), (Some(alice.owner), 200));
        assert_eq!(first.body, bodies[0].0.to_string().as_bytes());
    });
}

#[test]
fn a_delayed_answer_waits_for_the_exchanges_clock() {
    run(async {
        let running = exchange().await;
        running
            .inject_toml("[[answers]]\nendpoint = \"GET /time\"\nbefore = \"2s\"\nafter = \"3s\"")
            .unwrap();
        let client = http();
        let url = format!("{}/time", running.urls().clob);
        let asked = tokio::spawn(async move { get(&client, url).await.json() });
        running.arrived("GET", "/time", 1).await;
        let mut seconds = 0;
        while !asked.is_finished() {
            running.advance(Span::secs(1));
            seconds += 1;
            tokio::task::yield_now().await;
        }
        // Processed two seconds after it came, answered three later.
        let stated = asked.await.unwrap().as_i64().unwrap() - 1_795_521_600;
        assert!((2..=seconds - 3).contains(&stated), "{stated} of {seconds}");
    });
}

#[test]
fn modes_refuse_in_their_own_way_and_end_by_themselves() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let mut alice = trader(&running, 0);
        let rest = alice.place(&Ask::limit(&running, rain, Side::Buy, 3_000, 1_000)).await;
        let ask = Ask::limit(&running, rain, Side::Buy, 3_000, 1_000);
        let mode = |act: &str, seconds: u32| {
            running
                .inject_toml(&format!("[[engine]]\nact = \"{act}\"\nfor = \"{seconds}s\""))
                .unwrap();
        };
        mode("restart", 1);
        assert_eq!(alice.refused(&ask).await.0, 425);
        assert_eq!(alice.call("DELETE", "/cancel-all", "").await.status, 425);
        running.advance(Span::secs(1));
        let reply = alice.post(&ask).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("120")));
        assert_eq!(
            reply.json(),
            json!({
                "error": "post-only mode: only post-only orders and cancels are allowed",
                "code": "post_only_mode", "retry_after_seconds": 120
            })
        );
        alice.place(&ask.clone().post_only()).await;
        let batch = json!([alice.signed(&ask).0, alice.signed(&ask.clone().post_only()).0]);
        let rows = alice.call("POST", "/orders", &batch.to_string()).await.json();
        assert_eq!(
            brief(&rows[0], &["success", "orderID", "errorMsg"]),
            "true  post-only mode: only post-only orders and cancels are allowed"
        );
        assert_eq!(rows[1]["status"], "live");
        running.advance(Span::secs(120));
        alice.at(&running);
        alice.place(&ask).await;
        mode("cancel_only", 1);
        assert_eq!(
            alice.refused(&ask).await,
            (
                503,
                "Trading is currently cancel-only. New orders \
            are not accepted, but cancels are allowed."
                    .to_owned()
            )
        );
        let gone = alice.call("DELETE", "/order", &json!({ "orderID": rest }).to_string()).await;
        assert_eq!(gone.json()["canceled"], json!([rest]));
        running.advance(Span::secs(1));
        mode("disabled", 1);
        assert!(alice.refused(&ask).await.1.starts_with("Trading is currently disabled"));
        assert_eq!(alice.call("DELETE", "/cancel-all", "").await.status, 503);
        running.advance(Span::secs(1));
        alice.place(&ask).await;
        running.check().unwrap();
    });
}

#[test]
fn a_ghost_fill_fails_and_gives_everything_back() {
    run(async {
        let setup = Setup {
            scenario: Scenario::read(&folder().join("settlement.toml")).unwrap(),
            ..Setup::test()
        };
        let running = LocalExchange::start(setup).await.unwrap();
        let rain = token(&running, "rain-tomorrow", 0);
        let (mut alice, bob) = (trader(&running, 0), trader(&running, 1));
        bob.place(&Ask::limit(&running, rain, Side::Sell, 4_000, 2_000)).await;
        let mut socket = Socket::user(&running, &alice).await;
        let statuses = |frames: Vec<Value>| -> Vec<String> {
            let trades = frames.iter().filter(|f| f["event_type"] == "trade");
            trades.map(|frame| brief(frame, &["status"])).collect()
        };
        alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 1_000).of("FAK")).await;
        running.advance(Span::secs(3));
        assert_eq!(statuses(socket.drain().await), ["MATCHED", "FAILED"]);
        alice.at(&running);
        assert_eq!(alice.balance(None).await, "1000000000");
        alice.place(&Ask::limit(&running, rain, Side::Buy, 4_000, 1_000).of("FAK")).await;
        running.advance(Span::secs(2));
        alice.at(&running);
        assert_eq!(alice.balance(Some(&token_id(&running, rain))).await, "210000000");
        running.advance(Span::secs(3));
        alice.at(&running);
        assert_eq!(alice.balance(Some(&token_id(&running, rain))).await, "200000000");
        running.advance(Span::secs(10));
        assert_eq!(
            statuses(socket.drain().await),
            ["MATCHED", "MINED", "RETRYING", "MINED", "CONFIRMED"]
        );
        running.check().unwrap();
    });
}

#[test]
fn frames_are_lost_doubled_swapped_altered_held_and_late() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let id = token_id(&running, rain);
        let alice = trader(&running, 0);
        let mut socket = Socket::market(&running, &[&id], false).await;
        socket.drain().await;
        let mut price = 100;
        let mut change = async |fault: &str| {
            running.inject_toml(&format!(
                "[[streams]]\nchannel = \"market\"\nevent = \"price_change\"\nfor = \"1s\"\n{fault}"
            )).unwrap();
            for _ in 0..3 {
                price += 100;
                alice.place(&Ask::limit(&running, rain, Side::Buy, price, 1_000)).await;
            }
            let frames = socket.drain().await;
            running.advance(Span::secs(1));
            let late = socket.drain().await;
            let of = |frames: &[Value]| -> String {
                let price = |f: &Value| f["price_changes"][0]["price"].as_str().unwrap().to_owned();
                frames.iter().map(price).collect::<Vec<_>>().join(" ")
            };
            format!("{} | {}", of(&frames), of(&late))
        };
        assert_eq!(change("act = \"drop\"\nframes = \"2\"").await, "0.02 0.04 | ");
        assert_eq!(change("act = \"duplicate\"\nframes = \"1\"").await, "0.05 0.05 0.06 0.07 | ");
        assert_eq!(change("act = \"reorder\"\nframes = \"1\"").await, "0.09 0.08 0.1 | ");
        assert_eq!(
            change("act = \"alter\"\nreplace = [[\"0.1\", \"9\"]]\nframes = \"1\"").await,
            "91 0.12 0.13 | "
        );
        assert_eq!(change("act = \"hold\"").await, " | 0.14 0.15 0.16");
        assert_eq!(
            change("act = \"delay\"\ndelay = \"500ms\"\nframes = \"1\"").await,
            "0.18 0.19 | 0.17"
        );
    });
}

#[test]
fn connections_are_muted_closed_and_refused() {
    run(async {
        let running = exchange().await;
        let id = token_id(&running, token(&running, "rain-tomorrow", 0));
        let mut first = Socket::market(&running, &[&id], false).await;
        first.drain().await;
        let mut second = Socket::market(&running, &[&id], false).await;
        second.drain().await;
        running
            .inject_toml(
                "[[streams]]\nchannel = \"market\"\nact = \"close\"\nat = \"1s\"\n\
            connections = \"1\"\ncode = 1012\nreason = \"restart\"",
            )
            .unwrap();
        running.advance(Span::secs(1));
        assert_eq!(first.next().await, Incoming::Close(1012, "restart".to_owned()));
        second.drain().await;
        running
            .inject_toml("[[streams]]\nchannel = \"market\"\nact = \"refuse\"\nfor = \"1s\"")
            .unwrap();
        assert_eq!(Socket::open(&running.urls().market_socket).await.err(), Some(403));
        running.advance(Span::secs(1));
        assert!(Socket::open(&running.urls().market_socket).await.is_ok());
        running
            .inject_toml("[[streams]]\nchannel = \"market\"\nact = \"mute\"\nfor = \"1s\"")
            .unwrap();
        second.send_text("PING").await;
        second
            .send_text(&json!({ "operation": "unsubscribe", "assets_ids": [id] }).to_string())
            .await;
        second
            .send_text(&json!({ "operation": "subscribe", "assets_ids": [id] }).to_string())
            .await;
        second.send_text("nonsense").await;
        // Neither PONG nor the book came; what is no frame of a stream did.
        assert_eq!(second.next().await, Incoming::Text("INVALID OPERATION".to_owned()));
        running
            .inject_toml("[[streams]]\nchannel = \"market\"\nact = \"cut\"\nconnections = \"2\"")
            .unwrap();
        assert_eq!(second.next().await, Incoming::Gone, "no close frame");
        running
            .inject_toml("[[streams]]\nchannel = \"market\"\nact = \"drop\"\nevent = \"book\"")
            .unwrap();
        running.advance(Span::secs(1));
        let mut third = Socket::market(&running, &[&id], false).await;
        assert_eq!(third.drain().await.len(), 0, "a snapshot that never comes");
        assert!(running.connections(Channel::Market) >= 1);
    });
}

#[test]
fn limits_refuse_tell_and_forgive() {
    run(async {
        let scenario = Scenario::read(&folder().join("limits.toml")).unwrap();
        let setup = Setup { scenario, ..Setup::test() };
        let running = LocalExchange::start(setup).await.unwrap();
        let rain = token(&running, "rain-tomorrow", 0);
        let mut alice = trader(&running, 0);
        let ask = Ask::limit(&running, rain, Side::Buy, 3_000, 1_000);
        for left in ["2", "1", "0"] {
            let reply = alice.post(&ask).await;
            assert_eq!((reply.status, reply.header("poly-ratelimit-remaining")), (200, Some(left)));
        }
        let reply = alice.post(&ask).await;
        assert_eq!((reply.status, reply.json()), (429, json!({ "error": "Too Many Requests" })));
        assert_eq!(reply.header("retry-after"), Some("2"));
        assert_eq!(reply.header("poly-ratelimit-tier"), Some("standard"));
        let many = json!([
            alice.signed(&ask).0,
            alice.signed(&ask).0,
            alice.signed(&ask).0,
            alice.signed(&ask).0
        ]);
        running.advance(Span::secs(9));
        alice.at(&running);
        let whole = alice.call("POST", "/orders", &many.to_string()).await;
        assert_eq!(whole.status, 429, "a batch is refused as a whole");
        running.advance(Span::secs(1));
        alice.place(&ask).await;
        running.advance(Span::secs(10));
        let reply = get(&alice.http, format!("{}/ok", running.urls().clob)).await;
        assert_eq!(reply.status, 429);
        running.advance(Span::secs(5));
        assert_eq!(get(&alice.http, format!("{}/ok", running.urls().clob)).await.status, 200);

        let strict = LimitSetup { ip_percent: 10, ..LimitSetup::default() };
        let running =
            LocalExchange::start(Setup { limits: strict, ..Setup::test() }).await.unwrap();
        let url = format!("{}/ok", running.urls().clob);
        let client = http();
        let mut refused = 0;
        for _ in 0..12 {
            let reply = get(&client, url.clone()).await;
            refused +=
                usize::from(reply.status == 429 && reply.header("retry-after") == Some("10"));
        }
        assert_eq!(refused, 3, "a tenth of the quota of 100, of which 95 % are usable");
        running.inject_toml("[[limits]]\nip = \"queue\"").unwrap();
        let asked = tokio::spawn(async move { get(&client, url).await.status });
        running.arrived("GET", "/ok", 13).await;
        assert!(!asked.is_finished(), "the edge lets it wait");
        while !asked.is_finished() {
            running.advance(Span::secs(10));
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.await.unwrap(), 200);
    });
}

#[test]
fn a_heartbeat_that_stops_cancels_everything() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let (mut alice, bob) = (trader(&running, 0), trader(&running, 1));
        let ask = Ask::limit(&running, rain, Side::Buy, 3_000, 1_000);
        let beat = async |who: &Trader, id: &str| {
            let body = json!({ "heartbeat_id": id }).to_string();
            who.call("POST", "/v1/heartbeats", &body).await
        };
        alice.place(&ask).await;
        bob.place(&ask).await;
        running.advance(Span::secs(60));
        alice.at(&running);
        assert_eq!(
            alice.orders().await.len(),
            1,
            "an account without any heartbeat keeps its orders"
        );
        let first = beat(&alice, "").await.json();
        let wrong = beat(&alice, "").await;
        assert_eq!((wrong.status, &wrong.json()["heartbeat_id"]), (400, &first["heartbeat_id"]));
        assert_eq!(wrong.json()["error_msg"], "Invalid Heartbeat ID");
        let next = beat(&alice, first["heartbeat_id"].as_str().unwrap()).await.json();
        running.advance(Span::secs(10));
        alice.at(&running);
        assert_eq!(alice.orders().await.len(), 1);
        beat(&alice, next["heartbeat_id"].as_str().unwrap()).await;
        running.advance(Span::secs(15));
        alice.at(&running);
        assert_eq!(alice.orders().await.len(), 0);
        let mut bob = bob;
        bob.at(&running);
        assert_eq!(bob.orders().await.len(), 1);
        alice.place(&ask).await;
        running
            .inject_toml(&format!("[[heartbeat]]\naccount = \"{}\"\nact = \"lapse\"", alice.owner))
            .unwrap();
        assert_eq!(alice.orders().await.len(), 0);
        running.check().unwrap();
    });
}

#[test]
fn reads_lag_hide_repeat_and_freeze() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let mut alice = trader(&running, 0);
        let ask = Ask::limit(&running, rain, Side::Buy, 3_000, 1_000);
        running.inject_toml("[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"hide_new\"\nlag = \"5s\"\nfor = \"10s\"").unwrap();
        alice.place(&ask).await;
        assert_eq!(alice.orders().await.len(), 0);
        running.advance(Span::secs(5));
        alice.at(&running);
        assert_eq!(alice.orders().await.len(), 1);
        running.advance(Span::secs(5));
        alice.at(&running);
        running
            .inject_toml(
                "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"freeze\"\nfor = \"1s\"",
            )
            .unwrap();
        assert_eq!(alice.orders().await.len(), 1);
        alice.place(&ask).await;
        assert_eq!(alice.orders().await.len(), 1);
        running.advance(Span::secs(1));
        alice.at(&running);
        assert_eq!(alice.orders().await.len(), 2);
        running
            .inject_toml(
                "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"repeat\"\nfor = \"1s\"",
            )
            .unwrap();
        assert_eq!(alice.orders().await.len(), 4);
        running.advance(Span::secs(1));
        alice.at(&running);
        running
            .inject_toml("[[reads]]\nendpoint = \"GET /data/*\"\nact = \"hide\"\nfor = \"1s\"")
            .unwrap();
        assert_eq!(alice.orders().await.len(), 0);
    });
}

#[test]
fn a_clock_that_is_ahead_refuses_what_seems_old() {
    run(async {
        let running = exchange().await;
        let alice = trader(&running, 0);
        running.inject_toml("[[time]]\nskew = \"61s\"\nfor = \"1s\"").unwrap();
        let url = format!("{}/time", running.urls().clob);
        assert_eq!(get(&alice.http, url).await.json(), json!(1_795_521_661));
        assert_eq!(alice.call("GET", "/data/orders", "").await.status, 401);
        running.advance(Span::secs(1));
        assert_eq!(alice.call("GET", "/data/orders", "").await.status, 200);
    });
}

/// Says something on a connection of its own and reads to its end.
async fn to_the_end(address: &str, words: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.map(|_| received)
}

#[test]
fn connections_break_with_a_reset_or_close_in_order() {
    run(async {
        let get = "GET /time HTTP/1.1\r\nHost: venue\r\n\r\n";
        let socket = "GET /ws/market HTTP/1.1\r\nHost: venue\r\nUpgrade: websocket\r\n\
                      Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let cut = "[[streams]]\nchannel = \"market\"\nact = \"cut\"\nat = \"1s\"";
        let answers = |act: &str| format!("[[answers]]\nendpoint = \"GET /time\"\nact = \"{act}\"");
        for (words, fault) in [
            (get, answers("lose_request")),
            (get, answers("lose_answer")),
            (get, answers("cut")),
            (socket, cut.to_owned()),
        ] {
            for reset in [false, true] {
                let running = exchange().await;
                running.inject_toml(&format!("{fault}\nreset = {reset}")).unwrap();
                let address = running.urls().clob.trim_start_matches("http://").to_owned();
                let ending = tokio::spawn(async move { to_the_end(&address, words).await });
                while !ending.is_finished() {
                    if running.connections(Channel::Market) > 0 {
                        running.advance(Span::secs(1));
                    }
                    tokio::task::yield_now().await;
                }
                let end = ending.await.unwrap().map_err(|error| error.kind());
                match reset {
                    true => assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset), "{fault}"),
                    false => assert!(end.is_ok(), "{fault}: {end:?}"),
                }
            }
        }
    });
}

#[test]
fn reads_come_in_small_pages_and_contradict_each_other() {
    run(async {
        let running = exchange().await;
        let rain = token(&running, "rain-tomorrow", 0);
        let alice = trader(&running, 0);
        for cents in [10, 11, 12, 13, 14] {
            alice.place(&Ask::limit(&running, rain, Side::Buy, cents * 100, 1_000)).await;
        }
        let lists = "endpoint = \"GET /data/orders\"";
        running
            .inject_toml(&format!("[[reads]]\n{lists}\nact = \"page\"\nrows = 2\nfor = \"5s\""))
            .unwrap();
        let (mut cursor, mut sizes, mut seen) = ("MA==".to_owned(), Vec::new(), Vec::new());
        while cursor != "LTE=" {
            let page =
                alice.call("GET", &format!("/data/orders?next_cursor={cursor}"), "").await.json();
            let rows = page["data"].as_array().unwrap();
            sizes.push(rows.len());
            seen.extend(rows.iter().map(|row| row["id"].clone()));
            cursor = page["next_cursor"].as_str().unwrap().to_owned();
        }
        assert_eq!(sizes, [2, 2, 1]);
        running.advance(Span::secs(6));
        let all: Vec<_> = alice.orders().await.iter().map(|row| row["id"].clone()).collect();
        assert_eq!(seen, all);
        running
            .inject_toml(&format!(
                "[[reads]]\n{lists}\nact = \"contradict\"\nreplace = [['LIVE', 'MATCHED']]"
            ))
            .unwrap();
        let status = |row: &Value| row["status"].as_str().unwrap().to_owned();
        assert!(alice.orders().await.iter().all(|row| status(row).ends_with("MATCHED")));
        let path = format!("/data/order/{}", all[0].as_str().unwrap());
        assert!(status(&alice.call("GET", &path, "").await.json()).ends_with("LIVE"));
    });
}

#[test]
fn a_subscription_can_be_ignored_and_a_snapshot_late() {
    run(async {
        let running = exchange().await;
        let rain = token_id(&running, token(&running, "rain-tomorrow", 0));
        let fault = "[[streams]]\nchannel = \"market\"\nact = \"ignore\"\nframes = \"1\"";
        running.inject_toml(fault).unwrap();
        let mut socket = Socket::market(&running, &[&rain], false).await;
        assert_eq!(socket.drain().await, Vec::<Value>::new(), "no error is sent");
        let again = json!({ "operation": "subscribe", "assets_ids": [rain] });
        socket.send_text(&again.to_string()).await;
        assert_eq!(socket.json().await["event_type"], "book");
        // Late: the book alone is held back.
        running
            .inject_toml("[[streams]]\nchannel = \"market\"\nevent = \"book\"\nact = \"delay\"\ndelay = \"3s\"")
            .unwrap();
        let mut late = Socket::market(&running, &[&rain], false).await;
        assert_eq!(late.drain().await, Vec::<Value>::new());
        running.advance(Span::secs(4));
        assert_eq!(late.json().await["event_type"], "book");
    });
}
