//! Slow, hanging, full and broken disks under the whole process (FAULTS P1–P4).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polydesk_journal::{Fault, MemDisk, Op};
use polydesk_runtime::assembly::{EndError, Finished};
use polydesk_runtime::glance::Glance;
use polydesk_runtime::keeping::SimulatedDisk;
use polydesk_runtime::reload::Order;
use tokio::time::Instant;

use crate::world::{Process, World, blocked, moving, pass, simulated};

/// How long operations take.
#[derive(Clone, Default)]
struct Pace(Arc<Mutex<Slow>>);

#[derive(Default)]
struct Slow {
    /// Each write and sync.
    each: Duration,
    /// One that begins before this instant ends at it: writes, syncs.
    until: [Option<Instant>; 2],
}

impl Pace {
    fn each(millis: u64) -> Pace {
        let each = Duration::from_millis(millis);
        Pace(Arc::new(Mutex::new(Slow { each, until: [None; 2] })))
    }

    /// The next write (0) or sync (1) hangs for so long.
    fn hang(&self, kind: usize, seconds: u64) {
        let until = Instant::now() + Duration::from_secs(seconds);
        self.0.lock().unwrap().until[kind] = Some(until);
    }

    fn of(&self, op: &Op) -> Duration {
        let slow = self.0.lock().unwrap();
        let hangs = match op {
            Op::Write { .. } => slow.until[0],
            Op::Sync { .. } => slow.until[1],
            _ => return Duration::ZERO,
        };
        let left = hangs.map(|until| until.saturating_duration_since(Instant::now()));
        slow.each.max(left.unwrap_or_default())
    }
}

/// A world whose journal is on such a disk.
fn on(disk: &MemDisk, pace: &Pace, seed: u64) -> World {
    let mut world = World::new(moving(seed));
    put(&mut world, disk, pace);
    world
}

fn put(world: &mut World, disk: &MemDisk, pace: &Pace) {
    let (disk, pace) = (Arc::new(disk.clone()), pace.clone());
    world.disk = Some(SimulatedDisk { disk, takes: Arc::new(move |op| pace.of(op)) });
}

/// Market, outcome, shares and cost of all positions.
fn shares(glance: &Glance) -> Vec<(String, String, String)> {
    let one = |of: &polydesk_runtime::glance::PositionGlance| {
        (format!("{} {:?}", of.market, of.outcome), of.shares.to_string(), of.cost.to_string())
    };
    let mut all: Vec<_> = glance.positions.iter().map(one).collect();
    all.sort();
    all
}

fn held(finished: &Finished) -> Vec<(String, String)> {
    let engine = &finished.engine;
    let positions = engine.manager().positions();
    let one = |(_, token, holding): (_, polydesk_domain::Token, &polydesk_execution::Holding)| {
        (engine.universe().token_id(token).to_string(), holding.held().to_string())
    };
    let mut all: Vec<_> = positions.all().map(one).collect();
    all.sort();
    all
}

/// An error as a program prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

/// Where the record log says this for the first time.
fn logged(disk: &MemDisk, text: &str) -> Option<usize> {
    use polydesk_journal::Disk;
    let logs = disk.list("records").unwrap_or_default();
    logs.iter().find_map(|(name, _)| {
        let bytes = disk.read(&format!("records/{name}")).unwrap();
        bytes.windows(text.len()).position(|part| part == text.as_bytes())
    })
}

#[test]
fn on_a_disk_that_takes_30_ms_trading_goes_on_and_a_restart_finds_everything() {
    simulated(async {
        let (disk, pace) = (MemDisk::new(), Pace::each(30));
        let world = on(&disk, &pace, 1);
        let process = world.start().await.unwrap();
        process.until("a position", |glance| !glance.positions.is_empty()).await;
        for _ in 0..60 {
            pass(1).await;
            assert!(process.glance().unwrap().open(), "{:?}", process.glance().unwrap().blockers);
        }
        let finished = process.stop().await;
        let before = held(&finished);
        assert!(!before.is_empty());
        let process = world.start().await.unwrap();
        process.until("the second run", |glance| glance.run == 2).await;
        let finished = process.stop().await;
        let after = held(&finished);
        assert!(before.iter().all(|one| after.iter().any(|other| other.0 == one.0)), "{after:?}");
    });
}

#[test]
fn the_record_log_has_the_facts_of_a_market_once_a_run() {
    simulated(async {
        use polydesk_journal::Disk;
        let (disk, pace) = (MemDisk::new(), Pace::default());
        let world = on(&disk, &pace, 1);
        let process = world.start().await.unwrap();
        process.until("a position", |glance| !glance.positions.is_empty()).await;
        pass(60).await;
        let placed = process.placed();
        let _ = process.stop().await;
        let mut facts = 0;
        for (name, _) in disk.list("records").unwrap() {
            let bytes = disk.read(&format!("records/{name}")).unwrap();
            let fact = b"\"fact\":\"market\"";
            facts += bytes.windows(fact.len()).filter(|part| part == fact).count();
        }
        assert!((1..=7).contains(&facts) && placed > 14, "{facts} facts, {placed} orders");
    });
}

#[test]
fn while_a_write_or_a_sync_hangs_no_order_leaves_and_trading_goes_on_when_it_returns() {
    for (kind, name) in ["write", "sync"].into_iter().enumerate() {
        for seconds in [5, 30] {
            simulated(async move {
                let (disk, pace) = (MemDisk::new(), Pace::default());
                let world = on(&disk, &pace, 2);
                let process = world.start().await.unwrap();
                process.until("quotes", |glance| glance.risk.open_orders > 4).await;
                pace.hang(kind, seconds);
                let began = Instant::now();
                let slow = |glance: &Glance| blocked(glance, "journal_slow");
                process.until("the blocker", slow).await;
                assert!(began.elapsed() < Duration::from_millis(1_700), "{name} {seconds} s");
                let before = process.placed();
                while began.elapsed() < Duration::from_secs(seconds) - Duration::from_millis(200) {
                    assert!(slow(&process.glance().unwrap()), "{name} {seconds} s");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                assert_eq!(process.placed(), before, "{name} {seconds} s");
                process.until("the gate", |glance| glance.open()).await;
                assert!(began.elapsed() < Duration::from_secs(seconds + 2), "{name} {seconds} s");
                process.until("orders", |_| process.placed() > before).await;
                let finished = process.stop().await;
                assert_eq!(finished.ended.left_open, 0);
            });
        }
    }
}

/// Asks for a looser limit and lets a person confirm it.
async fn loosen(world: &World, process: &Process) -> Result<Vec<String>, String> {
    let looser = world.settings_and(&[("risk.max_order_usd", "444")]);
    *world.later.lock().unwrap() = Some(looser);
    process.running.orders.send(Order::Reload).await.unwrap();
    process.confirm().await
}

async fn limit(world: &World) -> String {
    let process = world.start().await.unwrap();
    process.until("the next run", |glance| glance.run > 1).await;
    let finished = process.stop().await;
    finished.engine.manager().limits().raw().max_order_usd.to_string()
}

#[test]
fn a_person_is_answered_when_the_confirmation_survives_the_loss_of_power() {
    simulated(async {
        let (disk, pace) = (MemDisk::new(), Pace::each(900));
        let mut world = on(&disk, &pace, 3);
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        // The limits of the start are synced: a loss of power falls back to them.
        pass(10).await;
        loosen(&world, &process).await.unwrap();
        let lost = disk.after_power_loss(1, 0);
        drop(process);
        *world.later.lock().unwrap() = None;
        world.flags.push(("risk.max_order_usd", "444"));
        put(&mut world, &lost, &pace);
        assert_eq!(limit(&world).await, "444.00");
    });
}

#[test]
fn a_confirmation_that_the_disk_has_not_kept_is_not_reported_as_done() {
    simulated(async {
        let (disk, pace) = (MemDisk::new(), Pace::default());
        let mut world = on(&disk, &pace, 3);
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        pace.hang(1, 30);
        pass(1).await;
        let began = Instant::now();
        let why = loosen(&world, &process).await.unwrap_err();
        assert!(why.contains("the disk has not kept it yet"), "{why}");
        assert!((5..7).contains(&began.elapsed().as_secs()));
        let lost = disk.after_power_loss(1, 0);
        drop(process);
        *world.later.lock().unwrap() = None;
        world.flags.push(("risk.max_order_usd", "444"));
        put(&mut world, &lost, &Pace::default());
        assert_ne!(limit(&world).await, "444.00", "the restart is no way around a confirmation");
    });
}

#[test]
fn on_a_full_disk_market_rows_go_first_then_entries_and_space_brings_both_back() {
    simulated(async {
        let (disk, pace) = (MemDisk::new(), Pace::default());
        let world = on(&disk, &pace, 4);
        let process = world.start().await.unwrap();
        process.until("a position", |glance| !glance.positions.is_empty()).await;
        disk.set_capacity(Some(1));
        let full = process.until("the blocker", |glance| blocked(glance, "disk")).await;
        let stops = full.blockers.iter().find(|one| one.code == "disk").unwrap();
        assert_eq!(stops.stops, "entries", "exits use the reserve");
        pass(2).await;
        let before = process.glance().unwrap();
        let buys = |glance: &Glance| -> Vec<String> {
            let buys = glance.orders.iter().filter(|one| one.side == polydesk_domain::Side::Buy);
            buys.map(|one| one.id.clone()).collect()
        };
        for _ in 0..30 {
            pass(1).await;
            let now = process.glance().unwrap();
            let new: Vec<_> =
                buys(&now).into_iter().filter(|id| !buys(&before).contains(id)).collect();
            assert!(new.is_empty(), "{new:?}");
        }
        disk.set_capacity(None);
        process.until("the gate", |glance| glance.open()).await;
        let finished = process.stop().await;
        let rows = "market rows and soft memory are no longer recorded: free space";
        let [rows, entries, back] = [rows, "no entries", "everything is recorded"].map(|text| {
            logged(&disk, text).unwrap_or_else(|| panic!("{text} is not in the record log"))
        });
        assert!(rows < entries && entries < back, "market rows go first");
        let process = world.start().await.unwrap();
        process.until("the second run", |glance| glance.run == 2).await;
        let again = process.stop().await;
        let tokens =
            |of: &Finished| held(of).into_iter().map(|(token, _)| token).collect::<Vec<_>>();
        assert!(tokens(&finished).iter().all(|token| tokens(&again).contains(token)));
    });
}

#[test]
fn an_error_of_a_write_or_a_sync_ends_the_run_with_its_reason_and_the_next_has_its_account() {
    let mut kinds = std::collections::BTreeSet::new();
    for later in 1..=6 {
        let kind = simulated(async move {
            let (disk, pace) = (MemDisk::new(), Pace::each(1));
            let mut world = on(&disk, &pace, 5);
            let mut process = world.start().await.unwrap();
            process.until("a position", |glance| !glance.positions.is_empty()).await;
            pass(5).await;
            let before = shares(&process.glance().unwrap());
            disk.fault(disk.ops() + later, Fault::Errors(std::io::ErrorKind::StorageFull));
            let Err(EndError::Stopped(why)) = process.running.ended().await else {
                panic!("it went on")
            };
            let beat = process.running.shared.beat_age(polydesk_domain::Time::MAX);
            assert_eq!(beat, None, "the watchdog takes the end for a deadlock");
            let why = chain(&*why);
            assert!(why.contains("free or repair the disk and start again"), "{why}");
            drop(process);
            put(&mut world, &disk.after_kill(), &pace);
            let process = world.start().await.unwrap();
            let again = process.until("the next run", |glance| glance.run == 2).await;
            let after = shares(&again);
            assert!(before.iter().all(|one| after.iter().any(|other| other.0 == one.0)));
            let _ = process.stop().await;
            ["writing", "syncing"].into_iter().find(|kind| why.contains(kind)).unwrap()
        });
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 2, "{kinds:?}");
}

#[test]
fn a_record_log_or_a_compaction_that_cannot_be_written_costs_nothing_but_an_alarm() {
    for names in ["records", "compaction"] {
        simulated(async move {
            let (disk, pace) = (MemDisk::new(), Pace::default());
            let world = on(&disk, &pace, 6);
            let process = world.start().await.unwrap();
            process.until("the gate", |glance| glance.open()).await;
            disk.refuse(names, Some(std::io::ErrorKind::StorageFull));
            pass(400).await;
            let now = process.glance().unwrap();
            assert!(!blocked(&now, "disk") && !blocked(&now, "journal_slow"), "{names}");
            disk.refuse(names, None);
            pass(400).await;
            let finished = process.stop().await;
            assert!(logged(&disk, "it is tried again later").is_some(), "{names}");
            assert!(
                logged(&disk, "run_end").is_some(),
                "{names}: the log goes on where it stopped"
            );
            assert!(finished.sim.check_conservation().is_ok());
        });
    }
}

#[test]
fn at_a_stop_that_the_disk_does_not_let_end_the_reason_comes_within_its_time() {
    simulated(async {
        let (disk, pace) = (MemDisk::new(), Pace::default());
        let mut world = on(&disk, &pace, 7);
        let process = world.start().await.unwrap();
        let held = process.until("a position", |glance| !glance.positions.is_empty()).await;
        pass(2).await;
        pace.hang(1, 3_600);
        pass(1).await;
        let began = Instant::now();
        let Err(EndError::Journal(why)) = process.running.stop().await else {
            panic!("it ended in order")
        };
        assert!(why.to_string().contains("is not synced within 10000 ms"), "{why}");
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
        put(&mut world, &disk.after_kill(), &Pace::default());
        let process = world.start().await.unwrap();
        let again = process.until("the next run", |glance| glance.run == 2).await;
        assert!(again.positions.len() >= held.positions.len());
        let _ = process.stop().await;
    });
}

#[test]
fn after_a_kill_or_a_loss_of_power_at_any_moment_the_account_is_one_that_was() {
    simulated(async {
        for moment in 0..9u64 {
            let (disk, pace) = (MemDisk::new(), Pace::each(7));
            let mut world = on(&disk, &pace, 8 + moment);
            let process = world.start().await.unwrap();
            process.until("the gate", |glance| glance.open()).await;
            let mut seen = vec![Vec::new()];
            let end = Instant::now() + Duration::from_millis(20_000 + moment * 1_237);
            while Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(250)).await;
                let now = shares(&process.glance().unwrap());
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
            }
            let left = match moment % 3 {
                0 => disk.after_kill(),
                1 => disk.after_power_loss(moment, 0),
                _ => disk.after_power_loss(moment, 200),
            };
            drop(process);
            put(&mut world, &left, &pace);
            let process = world.start().await.unwrap();
            let again = process.until("the next run", |glance| glance.run == 2).await;
            let after = shares(&again);
            assert!(seen.contains(&after) || moment % 3 == 0, "{moment}: {after:?}\nof {seen:?}");
            // After a kill only what was not yet flushed is missing: the account of the last moments.
            let last = seen.len().saturating_sub(2);
            assert!(moment % 3 != 0 || seen[last..].contains(&after), "{moment}: {after:?}");
            let _ = process.stop().await;
        }
    });
}

#[test]
fn a_limit_that_never_changed_holds_over_a_restart_with_looser_files() {
    simulated(async {
        let (disk, pace) = (MemDisk::new(), Pace::default());
        let mut world = on(&disk, &pace, 9);
        let process = world.start().await.unwrap();
        process.until("the gate", |glance| glance.open()).await;
        let finished = process.stop().await;
        let first = finished.engine.manager().limits().raw().max_order_usd;
        world.flags.push(("risk.max_order_usd", "444"));
        assert_eq!(limit(&world).await, first.to_string());
    });
}
