//! Splits, merges and redemptions: once per id, booked from the logs, also over a restart at each step.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use polydesk_domain::{Cash, CashKind, Conversion, Payout, Shares, Usdc};
use polydesk_runtime::live::chain::{ChainLane as _, Converted};

use crate::world::*;

fn moved(converted: &Converted) -> (CashKind, i64, [u64; 2]) {
    match converted {
        Converted::Moved(Cash { kind, amount, shares, .. }) => {
            (*kind, amount.micros(), shares.map(Shares::micros))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_conversion_is_booked_with_what_its_own_transaction_moved() {
    for slug in ["rain-tomorrow", "ada-wins"] {
        simulated(async {
            let world = World::new();
            let pages = Arc::new(Pages::default());
            let lane = world.lane(&pages);
            let before = world.holds(slug);
            let split = world.job(1, slug, Conversion::Split(Shares::new(12_345_678)));
            // Money that comes in meanwhile is no part of it.
            let deposit = async {
                // In every block, its own included.
                for _ in 0..7 {
                    pass(1).await;
                    world.fund(Usdc::new(1_000_003));
                }
            };
            let (done, ()) = tokio::join!(until_known(&lane, &split, false), deposit);
            assert_eq!(moved(&done), (CashKind::Split, -12_345_678, [12_345_678; 2]), "{slug}");
            let merge = world.job(2, slug, Conversion::Merge(Shares::new(2_345_678)));
            let done = until_known(&lane, &merge, false).await;
            assert_eq!(moved(&done), (CashKind::Merge, 2_345_678, [2_345_678; 2]), "{slug}");
            let key = world.key(slug);
            world.exchange.venue(|venue| venue.resolve(key, Payout::NO));
            pass(4).await;
            let held = world.holds(slug);
            let redeem = world.job(3, slug, Conversion::Redeem);
            let done = until_known(&lane, &redeem, false).await;
            let shares = [held[1] as u64, held[2] as u64];
            assert_eq!(moved(&done), (CashKind::Redeem, held[2], shares), "{slug}");
            let after = world.holds(slug);
            assert_eq!((after[1], after[2], world.submits()), (0, 0, 3), "{slug}");
            assert_eq!(after[0], before[0] + 7_000_021 + before[2], "{slug}");
            // The same id again does nothing and says the same.
            assert_eq!(until_known(&lane, &redeem, false).await, done);
            assert_eq!(
                until_known(&lane, &split, true).await,
                until_known(&lane, &split, false).await
            );
            assert_eq!(world.submits(), 3);
            world.exchange.check().unwrap();
        });
    }
}

#[test]
fn a_conversion_without_an_entry_has_failed_and_one_that_cannot_be_written_is_not_sent() {
    simulated(async {
        let world = World::new();
        let pages = Arc::new(Pages::default());
        let lane = world.lane(&pages);
        let job = world.job(1, "rain-tomorrow", Conversion::Split(whole(5)));
        let before = world.holds("rain-tomorrow");
        assert_eq!(lane.resume(&job).await, Ok(Converted::Failed));
        pages.full.store(true, Ordering::Relaxed);
        // The outcome cannot be written either: it is not known until the disk takes it.
        assert!(lane.convert(&job).await.is_err());
        pages.full.store(false, Ordering::Relaxed);
        assert_eq!(until_known(&lane, &job, false).await, Converted::Failed);
        assert_eq!((world.submits(), world.holds("rain-tomorrow")), (0, before));
    });
}

/// The process dies at each write, before and after it is on disk; the next one has only what is there.
#[test]
fn a_process_that_dies_at_any_step_leaves_one_effect_that_is_booked_once() {
    for write in 1..=3 {
        for after in [false, true] {
            simulated(async {
                let world = World::new();
                let slug = "rain-tomorrow";
                let before = world.holds(slug);
                let job = world.job(1, slug, Conversion::Split(Shares::new(3_000_001)));
                let pages = Pages::dying(write, after);
                {
                    let lane = world.lane(&pages);
                    let life = Duration::from_secs(300);
                    let died = tokio::time::timeout(life, lane.convert(&job)).await;
                    assert!(died.is_err(), "write {write} is one of a conversion");
                }
                let next = pages.again();
                let lane = world.lane(&next);
                // Nothing else begins while it may run.
                if write > 1 || after {
                    let other = world.job(2, slug, Conversion::Split(whole(1)));
                    let submits = world.submits();
                    if write == 1 {
                        assert_eq!(lane.convert(&other).await, Ok(Converted::Unknown));
                        assert_eq!(world.submits(), submits, "write {write}");
                    }
                }
                let done = until_known(&lane, &job, true).await;
                let held = world.holds(slug);
                // What never left the process can never run once its deadline has passed.
                if write == 1 {
                    assert_eq!((done, held), (Converted::Failed, before), "after: {after}");
                    assert_eq!(world.submits(), 0);
                } else {
                    let all = [-3_000_001, 3_000_001, 3_000_001];
                    assert_eq!(moved(&done), (CashKind::Split, all[0], [3_000_001; 2]));
                    let expected = [0, 1, 2].map(|n| before[n] + all[n]);
                    assert_eq!((held, world.submits()), (expected, 1), "write {write}, {after}");
                }
                // A third process says the same.
                let third = world.lane(&next.again());
                assert_eq!(until_known(&third, &job, true).await, done);
                assert_eq!(world.holds(slug), held);
            });
        }
    }
}

#[test]
fn a_booked_entry_is_not_forgotten_within_the_day() {
    simulated(async {
        let world = World::new();
        let pages = Arc::new(Pages::default());
        let job = world.job(1, "rain-tomorrow", Conversion::Split(whole(5)));
        let lane = world.lane(&pages);
        until_known(&lane, &job, false).await;
        let waits = BTreeSet::from([job.id]);
        let count = || pages.rows.lock().unwrap().len();
        let head = world.exchange.venue(|venue| venue.head_block());
        // Chain and books have agreed on a later block.
        read(&lane, &[], Some(head)).await;
        lane.pending(&waits).await.unwrap();
        lane.pending(&BTreeSet::new()).await.unwrap();
        assert_eq!(count(), 1, "booked just now");
        pass(6 * 3_600).await;
        lane.pending(&BTreeSet::new()).await.unwrap();
        assert_eq!(count(), 1, "six hours later");
    });
}

#[test]
fn an_entry_that_cannot_be_read_stops_the_start() {
    simulated(async {
        let world = World::new();
        let pages = Arc::new(Pages::default());
        let lane = world.lane(&pages);
        let job = world.job(1, "rain-tomorrow", Conversion::Split(whole(5)));
        until_known(&lane, &job, false).await;
        let rows: Vec<_> = pages.rows.lock().unwrap().clone().into_iter().collect();
        let load = |rows: &[(Vec<u8>, Vec<u8>)]| {
            let book =
                polydesk_account::conversions::Book::load(pages.clone(), world.clock.clone(), rows);
            book.err().unwrap_or_default()
        };
        assert_eq!(load(&rows), "");
        let [(key, value)] = &rows[..] else { panic!("one entry") };
        let cut = load(&[(key.clone(), value[..value.len() - 1].to_vec())]);
        assert!(cut.contains("may still run"), "{cut}");
        let other = load(&[(b"9".to_vec(), value.clone())]);
        assert!(other.contains("restore the journal"), "{other}");
    });
}
