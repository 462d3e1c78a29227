//! What a restart gives back.

use std::time::Duration;

use polydesk_journal::{Disk, Ended, MemDisk, Seq};

use crate::harness::{Run, model, text};

#[test]
fn an_empty_folder_is_a_fresh_journal() {
    let run = Run::start(&MemDisk::new());
    assert_eq!(run.found.run, 1);
    assert_eq!(run.found.ended, Ended::Fresh);
    assert!(run.found.entries.is_empty());
    assert!(!run.found.kill.is_killed());
    assert_eq!(run.journal.synced(), Seq(1));
}

#[test]
fn what_was_written_is_there_after_a_kill() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.put("orders", "2", "live");
    run.delete("orders", "1");
    run.settle();
    run.put("orders", "3", "never written");
    let again = Run::start(&disk.after_kill());
    assert_eq!(again.found.ended, Ended::Unclean);
    assert_eq!(again.found.run, 2);
    assert_eq!(text(&model(again.found.entries)), ["orders/2=live"]);
}

#[test]
fn a_stopped_run_is_told_from_a_killed_one() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.stop();
    let again = Run::start(&disk.after_kill());
    assert_eq!(again.found.ended, Ended::Stopped);
    assert!(!again.found.cut && !again.found.lost_tail);
    assert_eq!(text(&model(again.found.entries)), ["orders/1=live"]);
}

#[test]
fn a_segment_is_begun_when_the_last_one_is_full_and_old_ones_go() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for number in 0..300 {
        run.put("orders", &format!("{}", number % 7), &"x".repeat(400));
        run.pass(Duration::from_secs(2));
    }
    assert!(disk.log().iter().filter(|op| op.contains(".seg")).count() > 10);
    let left = disk.list("").unwrap();
    let count = |ending: &str| left.iter().filter(|(name, _)| name.ends_with(ending)).count();
    assert_eq!(count(".cmp"), 2, "{left:?}");
    assert!(count(".seg") <= 10, "{left:?}");
    assert_eq!(run.entries().len(), 7);
    let again = Run::start(&disk.after_kill());
    assert_eq!(model(again.found.entries), run.entries());
}
