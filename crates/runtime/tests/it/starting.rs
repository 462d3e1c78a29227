//! Starts that fail, answers that are lost at a start, and what a start takes up.

use polydesk_runtime::assembly::StartError;
use polydesk_runtime::glance::Glance;
use polydesk_runtime::reload::Order;

use crate::world::{World, blocked, pass, simulated, still};

#[test]
fn an_answer_that_is_lost_at_the_start_is_asked_for_again() {
    for endpoint in ["GET /version", "GET /time"] {
        simulated(async move {
            let world = World::new(still());
            let lost = format!(
                "[[answers]]\nendpoint = \"{endpoint}\"\nstatus = 500\nbody = 'oops'\n\
                 calls = \"1..6\"\n"
            );
            world.exchange.inject_toml(&lost).unwrap();
            let process = world.start().await.unwrap();
            pass(60).await;
            let glance = process.glance().unwrap();
            assert!(glance.open(), "{endpoint}: {:?}", glance.blockers);
            let _ = process.stop().await;
        });
    }
}

#[test]
fn another_version_closes_the_gate_for_the_run() {
    simulated(async {
        let world = World::new(still());
        world.exchange.inject_toml("[[engine]]\nact = \"version\"\nversion = 3\n").unwrap();
        let process = world.start().await.unwrap();
        pass(30).await;
        let glance = process.glance().unwrap();
        assert!(blocked(&glance, "version"), "{:?}", glance.blockers);
        assert_eq!(process.placed(), 0);
        let _ = process.stop().await;
    });
}

#[test]
fn starts_that_found_no_market_list_are_no_crashes() {
    simulated(async {
        let mut world = World::new(still());
        world.flags.push(("start.reach_secs", "2"));
        let away = "[[answers]]\nendpoint = \"GET /markets/keyset\"\nstatus = 500\nbody = 'oops'\n";
        world.exchange.inject_toml(away).unwrap();
        for number in 1..=4 {
            let Err(StartError::Unreachable { what, .. }) = world.start().await else {
                panic!("start {number} succeeded")
            };
            assert_eq!(what, "Gamma");
        }
        let mut next = World::new(still());
        next.disk = world.disk.clone();
        let process = next.start().await.unwrap();
        let glance = process.until("the gate", |glance| glance.run >= 5).await;
        assert!(!blocked(&glance, "crash_loop"), "{:?}", glance.blockers);
        process.until("quotes", |glance| glance.risk.open_orders > 8).await;
        let _ = process.stop().await;
    });
}

fn quotes(glance: &Glance) -> bool {
    glance.orders.iter().any(|order| order.strategy.as_str() == "stink_bidder")
}

#[test]
fn a_strategy_that_was_taken_out_and_put_back_runs_again_after_a_start() {
    simulated(async {
        let world = World::new(still());
        let process = world.start().await.unwrap();
        process.until("its quotes", quotes).await;
        let without = world.settings_and(&[("run.strategies", "[\"arb_scanner\"]")]);
        *world.later.lock().unwrap() = Some(without);
        process.running.orders.send(Order::Reload).await.unwrap();
        process.until("no quotes", |glance| !quotes(glance)).await;
        pass(60).await;
        assert!(!quotes(&process.glance().unwrap()));
        *world.later.lock().unwrap() = None;
        let _ = process.stop().await;
        let process = world.start().await.unwrap();
        let glance = process.until("the gate", |glance| glance.run == 2 && glance.open()).await;
        drop(glance);
        pass(60).await;
        assert!(quotes(&process.glance().unwrap()), "{:#?}", process.glance().unwrap().decisions);
        let _ = process.stop().await;
    });
}
