//! The engine's thread alone: rows that waited, links, and requests that come together.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use polydesk_domain::{
    BookSnapshot, LevelChange, Market, MarketEvent, MarketKey, Outcome, Price, Shares, Side, Span,
    Time, Token,
};
use polydesk_engine::{Engine, Setup};
use polydesk_polymarket_api::ServerClock;
use polydesk_polymarket_api::ws::FeedItem;
use polydesk_runtime::clock::EngineClock;
use polydesk_runtime::glance::Connections;
use polydesk_runtime::glance::{Glance, Identity, Shared};
use polydesk_runtime::inbox::{Inbox, Request};
use polydesk_runtime::paper::{Account, Ended, Plan, run};
use polydesk_settings::{Layer, Settings};
use polydesk_sim::Sim;
use tokio::sync::{mpsc, oneshot};

use crate::world::{pass, simulated};

const BEGIN: Time = Time::from_secs(1_795_521_600);

/// An engine's loop whose clock moves only when the test moves it.
struct Loop {
    clock: Arc<AtomicI64>,
    up: Arc<AtomicU64>,
    shared: Arc<Shared>,
    inbox: Inbox,
    feed: mpsc::Sender<FeedItem>,
    ended: tokio::task::JoinHandle<Ended>,
}

impl Loop {
    fn start() -> Loop {
        let settings = Settings::load(&[Layer::flags(Vec::new())]).unwrap();
        let clock = Arc::new(AtomicI64::new(BEGIN.nanos()));
        let read = clock.clone();
        let server = ServerClock::over(move || Time::from_nanos(read.load(Ordering::Relaxed)));
        let (inbox, requests) = Inbox::new();
        let (feed, items) = mpsc::channel(65_536);
        let (shared, up) = (Arc::new(Shared::default()), Arc::new(AtomicU64::new(1)));
        let links = up.clone();
        let plan = Plan {
            identity: Identity {
                mode: "paper",
                run: 1,
                started: BEGIN,
                program: String::new(),
                config_sha256: String::new(),
            },
            clock: EngineClock::local(server),
            shared: shared.clone(),
            connections: Box::new(move || Connections {
                up: links.load(Ordering::Relaxed),
                lost: 0,
            }),
            created: None,
            sample: Span::secs(1),
            max_proof_age: Span::secs(15),
            way: Span::ZERO,
            journal: None,
            account: Account::Fresh,
            blockers: Vec::new(),
            first: Vec::new(),
        };
        let ended = tokio::spawn(async move {
            let limits = settings.limits.clone();
            let setup = Setup { run: 1, limits, blockers: Vec::new() };
            let mut engine = Engine::new(setup, settings.build()).unwrap();
            let mut sim = Sim::new(settings.exchange, 1).unwrap();
            run(&mut engine, &mut sim, plan, items, requests).await.unwrap()
        });
        Loop { clock, up, shared, inbox, feed, ended }
    }

    fn set(&self, millis: i64) {
        self.clock.store((BEGIN + Span::millis(millis)).nanos(), Ordering::Relaxed);
    }

    fn send(&self, millis: i64, event: MarketEvent) {
        let received_at = BEGIN + Span::millis(millis);
        let item = FeedItem::Market { received_at, venue_at: received_at, event };
        self.feed.try_send(item).unwrap();
    }

    fn glance(&self) -> Glance {
        (*self.shared.glance()).clone().expect("no glance yet")
    }

    async fn stop(self) -> Ended {
        let (reply, _stopped) = oneshot::channel();
        self.inbox.send(Request::Stop(reply)).unwrap();
        self.ended.await.unwrap()
    }
}

fn book(token: Token) -> MarketEvent {
    let level = |cents| (Price::cents(cents), Shares::whole(100));
    let (bids, asks) = (vec![level(40)], vec![level(60)]);
    MarketEvent::Snapshot(Arc::new(BookSnapshot { token, bids, asks }))
}

fn level(token: Token, size: u64) -> MarketEvent {
    let (price, size) = (Price::cents(39), Shares::whole(size));
    MarketEvent::Level(LevelChange { token, side: Side::Buy, price, size, top: None })
}

#[test]
fn rows_that_waited_for_a_busy_loop_keep_the_times_at_which_they_were_received() {
    simulated(async {
        let one = Loop::start();
        let key: MarketKey = one.inbox.list(Arc::new(Market::plain(1, "a"))).await.unwrap();
        one.send(0, book(key.token(Outcome::Yes)));
        pass(1).await;
        one.set(300);
        pass(1).await;
        assert_eq!(one.glance().feed.age_ms, Some(300));
        // A second passes in which the loop does not look; more rows came than it takes at once.
        one.set(1_000);
        for number in 0..10_000 {
            one.send(400, level(key.token(Outcome::Yes), 1 + number % 7));
        }
        pass(2).await;
        let glance = one.glance();
        assert_eq!(glance.feed.rows, 10_001);
        assert_eq!(glance.feed.age_ms, Some(600), "the last row was received at 400 ms");
        let _ = one.stop().await;
    });
}

#[test]
fn a_request_that_comes_with_rows_takes_nothing_from_their_times() {
    simulated(async {
        let one = Loop::start();
        let key: MarketKey = one.inbox.list(Arc::new(Market::plain(1, "a"))).await.unwrap();
        pass(1).await;
        one.set(1_000);
        one.send(400, book(key.token(Outcome::Yes)));
        let inbox = one.inbox.clone();
        inbox.list(Arc::new(Market::plain(2, "b"))).await.unwrap();
        pass(2).await;
        assert_eq!(one.glance().feed.age_ms, Some(600));
        let _ = one.stop().await;
    });
}

#[test]
fn the_end_of_a_link_is_known_before_a_row_that_came_after_it() {
    simulated(async {
        let one = Loop::start();
        let key: MarketKey = one.inbox.list(Arc::new(Market::plain(1, "a"))).await.unwrap();
        one.send(0, book(key.token(Outcome::Yes)));
        one.send(0, book(key.token(Outcome::No)));
        pass(1).await;
        assert!(one.glance().feed.up);
        // The link is lost and rows of it still wait: no order is decided on them.
        let placed = one.shared.metrics.placed.load(Ordering::Relaxed);
        one.up.store(0, Ordering::Relaxed);
        one.set(100);
        for number in 0..100 {
            one.send(50 + number / 10, level(key.token(Outcome::Yes), 1 + number as u64 % 7));
        }
        pass(1).await;
        one.set(5_000);
        pass(2).await;
        let glance = one.glance();
        assert!(!glance.feed.up);
        assert!(glance.blockers.iter().any(|one| one.code == "market_link_down"));
        assert_eq!(one.shared.metrics.placed.load(Ordering::Relaxed), placed);
        let _ = one.stop().await;
    });
}
