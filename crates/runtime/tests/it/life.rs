//! A process from its start to its end, and again.

use polydesk_journal::MemDisk;
use polydesk_runtime::assembly::EndError;
use polydesk_runtime::inbox::Request;

use crate::world::{World, at_once, blocked, moving, pass, simulated, still};

#[test]
fn the_demo_is_traded_with_fills_and_no_order_reaches_the_exchange() {
    simulated(async {
        let world = World::new(moving(1));
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        let filled = process
            .until("a fill", |glance| glance.decisions.iter().any(|line| line.kind == "fill"));
        filled.await;
        pass(60).await;
        // Only below its high a day that is measured from there would differ.
        let below =
            |glance: &polydesk_runtime::glance::Glance| glance.money.equity < glance.money.high;
        let money = process.until("a loss", below).await.money;
        assert_eq!(money.day, money.equity - polydesk_domain::Usdc::whole(1_000));
        let finished = process.stop().await;
        assert_eq!(finished.ended.left_open, 0);
        assert!(finished.ended.recording.fills.len() > 1);
        assert_eq!(finished.engine.manager().halted(), None);
        assert!(finished.sim.check_conservation().is_ok());
        let received = world.exchange.received();
        let orders = received.iter().filter(|one| one.method != "GET" && one.path != "/books");
        let orders: Vec<_> = orders.map(|one| (&one.method, &one.path)).collect();
        assert!(orders.is_empty(), "{orders:?}");
        assert!(received.iter().all(|one| one.account.is_none()), "nothing is authenticated");
    });
}

#[test]
fn a_restart_goes_on_with_the_account_and_under_another_number() {
    simulated(async {
        let world = World::new(moving(1));
        let process = world.start().await.unwrap();
        let held = process.until("a position", |glance| !glance.positions.is_empty()).await;
        let finished = process.stop().await;
        let cash = |of: &polydesk_runtime::glance::MoneyGlance| of.cash + of.pending;
        let shares = |glance: &polydesk_runtime::glance::Glance| {
            let mut all: Vec<_> = glance
                .positions
                .iter()
                .map(|one| (one.market.clone(), one.outcome, one.shares, one.cost))
                .collect();
            all.sort();
            all
        };
        drop(finished);
        let process = world.start().await.unwrap();
        let again = process.until("the second run", |glance| glance.run == 2).await;
        // Between the last look and the stop something may have been filled: the journal is what counts.
        assert!(cash(&again.money) <= held.money.cash + held.money.pending);
        assert!(again.positions.len() >= held.positions.len(), "{again:#?}");
        let first = shares(&again);
        let _ = process.stop().await;
        let process = world.start().await.unwrap();
        let third = process.until("the third run", |glance| glance.run == 3).await;
        assert!(shares(&third).len() >= first.len());
        let _ = process.stop().await;
    });
}

#[test]
fn a_panic_of_the_engine_ends_the_run_and_the_next_one_has_its_account() {
    simulated(async {
        // On a folder the threads of the crashed run may hold its lock for some moments: in one process that is a race.
        let mut disk = MemDisk::new();
        let mut world = World::new(moving(1));
        world.disk = Some(at_once(&disk));
        let mut process = world.start().await.unwrap();
        let held = process.until("a position", |glance| !glance.positions.is_empty()).await;
        process.running.inbox.send(Request::Panic).unwrap();
        let Err(EndError::Panicked(text)) = process.running.ended().await else {
            panic!("it went on")
        };
        assert_eq!(text, "as a test asked");
        drop(process);
        for crash in 1..=3 {
            disk = disk.after_kill();
            world.disk = Some(at_once(&disk));
            let mut process = world.start().await.unwrap();
            let again = process.until("the next run", |glance| glance.run == crash + 1).await;
            assert!(again.positions.len() >= held.positions.len());
            assert_eq!(blocked(&again, "crash_loop"), crash >= 3, "start {crash}");
            process.running.inbox.send(Request::Panic).unwrap();
            let _ = process.running.ended().await;
        }
    });
}

#[test]
fn each_task_that_panics_runs_again_within_two_seconds_or_blocks_trading_meanwhile() {
    simulated(async {
        let world = World::new(moving(1));
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        for (number, name) in ["desk", "discovery", "reload", "clock"].into_iter().enumerate() {
            let restarts = || {
                process.running.shared.metrics.restarts.load(std::sync::atomic::Ordering::Relaxed)
            };
            let before = tokio::time::Instant::now();
            world.panics.send(name.to_owned()).unwrap();
            while restarts() <= number as u64 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            assert!(before.elapsed().as_millis() < 2_000, "{name}");
            if name == "clock" {
                process.until("its blocker", |glance| blocked(glance, "clock_task")).await;
            }
            process.until("the gate again", |glance| glance.open()).await;
            world.panics.send(String::new()).unwrap();
            pass(10).await;
        }
        let _ = process.stop().await;
    });
}

#[test]
fn a_market_resolved_over_rest_alone_is_settled_and_taken_off() {
    simulated(async {
        // The moving demo's group becomes cheap now and then: the scanner holds a basket.
        let world = World::new(moving(1));
        let process = world.start().await.unwrap();
        let held = process
            .until("a basket", |glance| {
                let leg = |slug: &str| {
                    glance
                        .positions
                        .iter()
                        .any(|one| one.market == slug && one.strategy.as_str() == "arb_scanner")
                };
                leg("ada-wins") && leg("grace-wins") && leg("alan-wins")
            })
            .await;
        pass(60).await;
        let mute = "[[streams]]\nchannel = \"market\"\nact = \"drop\"\n";
        world.exchange.inject_toml(mute).unwrap();
        world.exchange.venue(|venue| {
            let keys: Vec<_> = venue.universe().keys().collect();
            for key in keys {
                if venue.universe().market(key).event == "election" {
                    let yes = venue.universe().market(key).slug == "ada-wins";
                    let payout = match yes {
                        true => polydesk_domain::Payout::YES,
                        false => polydesk_domain::Payout::NO,
                    };
                    venue.resolve(key, payout);
                }
            }
        });
        process
            .until("the settlement", |glance| {
                !glance.positions.iter().any(|one| one.market.ends_with("-wins"))
            })
            .await;
        let _ = held;
        pass(120).await;
        let finished = process.stop().await;
        let left: Vec<_> = finished
            .engine
            .universe()
            .keys()
            .map(|key| finished.engine.universe().market(key).event.clone())
            .collect();
        assert!(!left.iter().any(|event| event == "election"), "{left:?}");
    });
}

#[test]
fn no_more_markets_are_followed_than_the_bound_and_the_rest_of_their_groups() {
    simulated(async {
        let mut world = World::new(still());
        world.flags.push(("markets.most", "2"));
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        pass(30).await;
        // The demo lists seven markets, three of which are a group.
        let followed = process.glance().unwrap().feed.open_markets;
        assert!((2..=4).contains(&followed), "{followed}");
        let _ = process.stop().await;
    });
}
