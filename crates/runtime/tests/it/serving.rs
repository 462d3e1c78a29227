//! The health server: what each door shows, clients that are slow or many, and the text of the metrics.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use polydesk_polymarket_api::ServerClock;
use polydesk_polymarket_api::{Group, SignerCost};
use polydesk_runtime::glance::{BlockerGlance, Shared};
use polydesk_runtime::inbox::Inbox;
use polydesk_runtime::prometheus;
use polydesk_runtime::server::{self, Door, SOCKET, View};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::world::{World, simulated, still};

fn view() -> View {
    let (orders, _) = mpsc::channel(1);
    let (inbox, _) = Inbox::new();
    let clock = ServerClock::runtime(polydesk_local_exchange::TEST_START);
    View {
        shared: Arc::new(Shared::default()),
        clock,
        config: Arc::default(),
        orders,
        inbox,
        kill: None,
    }
}

/// A served socket, and the folder that holds it.
fn served() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let socket = Arc::new(server::open_socket(folder.path()).unwrap());
    tokio::spawn(server::serve_socket(socket, view()));
    folder
}

async fn connect(folder: &tempfile::TempDir) -> UnixStream {
    UnixStream::connect(folder.path().join(SOCKET)).await.unwrap()
}

/// The status of an answer, after virtual minutes at most.
async fn ask(folder: &tempfile::TempDir, request: &str) -> String {
    let mut stream = connect(folder).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    let read = tokio::time::timeout(Duration::from_secs(600), stream.read_exact(&mut answer)).await;
    read.expect("no answer within ten minutes").expect("the connection ended without an answer");
    String::from_utf8(answer).unwrap()
}

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn clients_that_are_slow_or_idle_take_no_place_for_good() {
    let cases: &[(&str, &str)] = &[
        ("nothing", ""),
        ("half a head", "GET /health HTTP/1.1\r\nHo"),
        (
            "half a body",
            "POST /v1/limits/confirm HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf",
        ),
        (
            "half a chunk",
            "GET /health HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        ),
        ("an idle connection that was answered", HEALTH),
    ];
    for (case, sent) in cases {
        simulated(async {
            let folder = served();
            let mut held = Vec::new();
            for _ in 0..64 {
                let mut stream = connect(&folder).await;
                stream.write_all(sent.as_bytes()).await.unwrap();
                held.push(stream);
            }
            assert_eq!(ask(&folder, HEALTH).await, "HTTP/1.1 503", "{case}");
        });
    }
}

#[test]
fn each_door_shows_its_own_and_only_a_get_reads() {
    let reads = ["/health", "/ready", "/metrics"];
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        for path in ["/health", "/ready", "/metrics", "/v1/status", "/v1/limits/confirm", "/", "//"]
        {
            for door in [Door::Public, Door::Owner] {
                let answer = server::answer(&view(), door, &method, path);
                let want: &[u16] = match (method == Method::GET, path) {
                    (false, _) => &[405],
                    (true, path) if reads.contains(&path) => &[200, 503],
                    (true, "/v1/status") if door == Door::Owner => &[503],
                    _ => &[404, 405],
                };
                assert!(want.contains(&answer.status), "{method} {path} {door:?}: {answer:?}");
            }
        }
    }
}

#[test]
fn an_engine_that_has_not_begun_or_has_ended_is_not_healthy() {
    let view = view();
    let status = || server::answer(&view, Door::Public, &Method::GET, "/health").status;
    assert_eq!(status(), 503);
    view.shared.beat(view.clock.steady());
    assert_eq!(status(), 200);
    view.shared.rest();
    assert_eq!(status(), 503);
}

#[test]
fn only_what_is_set_can_be_released() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        let (orders, _) = mpsc::channel(1);
        let clock = ServerClock::runtime(polydesk_local_exchange::TEST_START);
        let view = View {
            shared: Arc::clone(&process.running.shared),
            clock,
            config: Arc::default(),
            orders,
            inbox: process.running.inbox.clone(),
            kill: None,
        };
        for code in
            ["crash_loop", "lost_tail", "cash_mismatch", "clock", "killed", "x", "market/x", ""]
        {
            let path = format!("/v1/release/{code}");
            let answer = server::command(&view, Door::Owner, &path).await;
            assert_eq!(answer.status, 409, "{code}: {answer:?}");
        }
        let _ = process.stop().await;
    });
}

#[test]
fn no_command_passes_the_public_door() {
    simulated(async {
        for path in
            ["/v1/limits/confirm", "/v1/release/crash_loop", "/v1/release/market/x", "/health"]
        {
            let answer = server::command(&view(), Door::Public, path).await;
            assert!(matches!(answer.status, 404 | 405), "{path}: {answer:?}");
            assert!(!answer.body.contains("ending"), "{path} reached the process: {answer:?}");
        }
    });
}

#[test]
fn the_socket_is_its_owners_alone_and_takes_the_place_of_one_that_was_left() {
    simulated(async {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let socket = server::open_socket(folder.path()).unwrap();
            let mode = folder.path().join(SOCKET).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            drop(socket);
        }
        let long = folder.path().join("x".repeat(100));
        std::fs::create_dir(&long).unwrap();
        let error = server::open_socket(&long).unwrap_err().to_string();
        assert!(error.contains("at most 100"), "{error}");
    });
}

/// Rules of the text format: each series once, behind the type of its family, with a number.
fn check_exposition(text: &str) {
    let (mut seen, mut types) = (BTreeSet::new(), BTreeSet::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(types.insert(name.to_owned()), "two types of {name}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series.to_owned()), "twice: {series}");
        let name = series.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known = types.contains(name) || family.is_some_and(|family| types.contains(family));
        assert!(known, "without a type: {series}");
    }
}

#[test]
fn the_metrics_keep_the_rules_of_their_format_whatever_blocks() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        let mut glance = process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        // Two markets are frozen, and the UTC day has lost money.
        for slug in ["a", "b\"\\\n"] {
            glance.blockers.push(BlockerGlance {
                code: "market_frozen".to_owned(),
                stops: "orders".to_owned(),
                since: glance.at,
                detail: slug.to_owned(),
            });
        }
        glance.money.day = polydesk_domain::Usdc::ZERO - polydesk_domain::Usdc::whole(7);
        check_exposition(&prometheus::text(&process.running.shared, Some(&glance)));
        check_exposition(&prometheus::text(&Shared::default(), None));
        let text = prometheus::text(&Shared::default(), Some(&glance));
        assert!(text.contains("polydesk_day_profit_usd -7"), "{text}");
        assert!(text.contains("polydesk_blocker{code=\"market_frozen\"} 2"), "{text}");
        assert!(text.contains("\npolydesk_blockers 2\n"), "{text}");
        // What is left of a quota goes down with each request, and a pause of the venue is shown.
        let budget = |group: &str, name: &str| -> f64 {
            let text = prometheus::text(&process.running.shared, None);
            let series = format!("polydesk_{name}{{group=\"{group}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&series));
            line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
        };
        let most = budget("gamma_events", "rate_budget_most");
        assert!((1.0..=425.0).contains(&most), "{most}");
        assert!(budget("gamma_events", "rate_budget_free") <= most);
        assert_eq!(budget("book", "rate_pause_seconds"), 0.0);
        let limits = process.running.shared.limits.get().unwrap();
        limits.venue_said_wait(Group::Book, std::time::Duration::from_secs(7));
        assert_eq!(budget("book", "rate_pause_seconds"), 7.0);
        limits.admit(Group::Book, SignerCost::None).await.unwrap_err();
        // A bucket refills when it is asked.
        limits.admit(Group::Ok, SignerCost::None).await.unwrap();
        let before = budget("ok", "rate_budget_free");
        limits.admit(Group::Ok, SignerCost::None).await.unwrap();
        assert_eq!(budget("ok", "rate_budget_free"), before - 1.0);
        let _ = process.stop().await;
    });
}
