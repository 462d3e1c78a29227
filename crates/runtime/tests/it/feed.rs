//! Market data that stop, lie or come back (FAULTS D).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use polydesk_domain::Span;
use polydesk_local_exchange::TEST_START;
use polydesk_polymarket_api::ServerClock;

use crate::world::{World, blocked, moving, pass, simulated, still};

#[test]
fn a_quiet_market_is_proven_over_rest_and_goes_on_being_quoted() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        for _ in 0..30 {
            pass(60).await;
            let glance = process.glance().unwrap();
            assert_eq!(glance.feed.unverified, 0, "{}", glance.at);
            assert!(glance.risk.open_orders > 0, "{}", glance.at);
        }
        let _ = process.stop().await;
    });
}

#[test]
fn a_silent_stream_and_a_venue_that_does_not_answer_close_every_market_within_its_proof() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        let dark = "[[streams]]\nchannel = \"market\"\nact = \"drop\"\n\
                    [[answers]]\nendpoint = \"* /book*\"\nact = \"lose_answer\"\n";
        world.exchange.inject_toml(dark).unwrap();
        pass(25).await;
        let glance = process.glance().unwrap();
        assert_eq!(glance.feed.unverified, glance.feed.open_markets, "{glance:#?}");
        let placed = || process.running.shared.metrics.placed.load(Ordering::Relaxed);
        let before = placed();
        pass(300).await;
        assert_eq!(placed(), before, "no order leaves on a book that nothing proves");
        let _ = process.stop().await;
    });
}

#[test]
fn a_lost_connection_closes_the_gate_and_a_new_one_opens_it_with_new_books() {
    simulated(async {
        let world = World::new(moving(3));
        let process = world.start().await.unwrap();
        process
            .until("quotes and a holding", |glance| {
                glance.risk.open_orders > 8 && !glance.positions.is_empty()
            })
            .await;
        let cut = "[[streams]]\nchannel = \"market\"\nact = \"cut\"\n\
                   [[streams]]\nchannel = \"market\"\nact = \"refuse\"\nfor = \"20s\"\n";
        world.exchange.inject_toml(cut).unwrap();
        let down = process.until("the blocker", |glance| blocked(glance, "market_link_down")).await;
        assert!(!down.feed.up);
        assert_eq!(down.feed.usable_books, 0, "no book is believed without its stream");
        assert!(!down.positions.is_empty());
        assert!(down.positions.iter().all(|one| one.mark.is_none()), "{:?}", down.positions);
        let up = process.until("the gate", |glance| glance.open()).await;
        assert!(up.feed.up && up.feed.disconnects >= 1);
        process.until("books", |glance| glance.feed.usable_books == glance.feed.open_markets).await;
        let _ = process.stop().await;
    });
}

#[test]
fn fifty_disconnections_in_a_row_leave_no_order_on_an_old_book_and_end_in_trading() {
    simulated(async {
        let world = World::new(moving(4));
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        for _ in 0..50 {
            world
                .exchange
                .inject_toml("[[streams]]\nchannel = \"market\"\nact = \"cut\"\n")
                .unwrap();
            pass(3).await;
        }
        process
            .until("the gate again", |glance| {
                glance.open() && glance.feed.usable_books == glance.feed.open_markets
            })
            .await;
        let finished = process.stop().await;
        assert_eq!(finished.engine.manager().halted(), None);
        assert!(finished.sim.check_conservation().is_ok());
    });
}

#[test]
fn a_step_of_the_local_clock_closes_the_gate_until_the_clock_is_right_again() {
    simulated(async {
        let step = Arc::new(AtomicI64::new(0));
        let (origin, by) = (tokio::time::Instant::now(), step.clone());
        let clock = ServerClock::over(move || {
            let passed = i64::try_from(origin.elapsed().as_nanos()).unwrap();
            TEST_START + Span::nanos(passed) + Span::secs(by.load(Ordering::Relaxed))
        });
        let world = World::with_clock(still(), clock);
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        step.store(30, Ordering::Relaxed);
        process.until("the blocker", |glance| blocked(glance, "clock")).await;
        step.store(0, Ordering::Relaxed);
        process.until("the gate again", |glance| glance.open()).await;
        let _ = process.stop().await;
    });
}
