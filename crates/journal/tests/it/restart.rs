//! What a restart gives back.

use std::ops::ControlFlow;
use std::time::Duration;

use polydesk_journal::{
    Change, Class, Delta, Disk, Ended, MemDisk, Options, Payload, Room, Seq, read_records,
    read_state,
};

use crate::harness::{NOON, Run, facts, model, options, text};

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

#[test]
fn no_record_reaches_beyond_its_segment_whatever_room_is_left() {
    for len in (0..400).step_by(8) {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        run.put("orders", "0", &"x".repeat(len));
        for number in 0..40 {
            run.put("orders", "1", &format!("{number:0400}"));
            run.pass(Duration::from_millis(5));
        }
        let files = disk.list("").unwrap();
        let segments: Vec<_> = files.iter().filter(|(name, _)| name.ends_with(".seg")).collect();
        assert!(segments.len() > 1, "{segments:?}");
        let size = options().segment_bytes;
        assert!(segments.iter().all(|(_, bytes)| *bytes == size), "{len}: {segments:?}");
    }
}

#[test]
fn three_unclean_starts_within_ten_minutes_are_a_crash_loop() {
    let minute = 60_000;
    // Minutes of the starts, whether the run before each was stopped, and whether the last is in a loop.
    let cases: [(&[(i64, bool)], bool); 6] = [
        (&[(0, false), (1, false), (2, false)], false),
        (&[(0, false), (1, false), (2, false), (3, false)], true),
        (&[(0, false), (1, false), (2, true), (3, false)], false),
        (&[(0, false), (1, false), (2, true), (3, false), (4, false)], true),
        (&[(0, false), (1, false), (6, false), (11, false)], false),
        (&[(0, false), (11, false), (22, false), (33, false)], false),
    ];
    for (starts, looping) in cases {
        let mut disk = MemDisk::new();
        let mut last = false;
        for (number, (at, _)) in starts.iter().enumerate() {
            let mut run = Run::begin(&disk, &options(), &facts(NOON + at * minute)).unwrap();
            last = run.found.crash_loop;
            if starts.get(number + 1).is_some_and(|(_, stopped)| *stopped) {
                run.stop();
            }
            disk = disk.after_kill();
        }
        assert_eq!(last, looping, "{starts:?}");
    }
}

#[test]
fn the_list_of_runs_survives_compactions_and_has_ten_lines() {
    let mut disk = MemDisk::new();
    for number in 1..=25_u32 {
        let mut run = Run::begin(&disk, &options(), &facts(NOON + i64::from(number))).unwrap();
        assert_eq!(run.found.run, number);
        let lines: Vec<u32> = run.found.runs.iter().map(|line| line.run).collect();
        let expected: Vec<u32> = (number.saturating_sub(9).max(1)..=number).collect();
        assert_eq!(lines, expected);
        assert_eq!(
            run.found.previous.as_ref().map(|was| was.at_ms),
            (number > 1).then(|| NOON + i64::from(number) - 1)
        );
        run.put("orders", "1", &format!("{number}"));
        run.journal.compact();
        run.sync();
        disk = disk.after_kill();
    }
    let count = disk.list("").unwrap().len();
    assert!(count < 20, "{count} files after 25 runs");
}

#[test]
fn a_restart_of_the_host_is_reported() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.sync();
    let mut other = facts(NOON);
    other.boot = "boot-2".to_owned();
    let again = Run::begin(&disk.after_kill(), &options(), &other).unwrap();
    assert!(again.found.boot_changed && again.found.lost_tail);
    let same = Run::start(&disk.after_kill());
    assert!(!same.found.boot_changed && !same.found.lost_tail);
    run.stop();
    let stopped = Run::begin(&disk.after_kill(), &options(), &other).unwrap();
    assert!(stopped.found.boot_changed && !stopped.found.lost_tail);
}

#[test]
fn the_journal_of_another_wallet_is_refused() {
    let disk = MemDisk::new();
    Run::start(&disk);
    let mut other = facts(NOON);
    other.wallet = "0xother".to_owned();
    let error = Run::begin(&disk.after_kill(), &options(), &other).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("0xw") && text.contains("0xother"), "{text}");
}

#[test]
fn options_outside_their_bounds_are_named() {
    let bad = Options { spares: 1, ..options() };
    let error = Run::begin(&MemDisk::new(), &bad, &facts(NOON)).err().unwrap();
    assert_eq!(error.to_string(), "journal option spares is 1; it must be at least 2");
    let bad = Options { segment_bytes: 100, ..options() };
    assert!(Run::begin(&MemDisk::new(), &bad, &facts(NOON)).is_err());
    assert!(Run::begin(&MemDisk::new(), &Options::default(), &facts(NOON)).is_ok());
}

#[test]
fn flush_sync_and_compaction_come_in_their_time() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.sync();
    run.pass(Duration::from_secs(2));
    let settled = run.journal.appended();
    let quiet = disk.ops();
    run.pass(Duration::from_secs(3_000));
    assert_eq!(disk.ops(), quiet, "an idle journal leaves the disk alone");
    assert_eq!(run.journal.appended(), settled);
    let seq = run.put("orders", "1", "live");
    run.pass(Duration::from_millis(5));
    assert!(run.journal.written() >= seq);
    run.pass(options().sync_every);
    assert!(run.journal.synced() >= seq);
    let compactions = |disk: &MemDisk| {
        disk.log().iter().filter(|op| op.starts_with("rename compaction.tmp")).count()
    };
    let before = compactions(&disk);
    run.pass(options().compact_every - Duration::from_secs(5));
    run.put("orders", "1", "again");
    let early = compactions(&disk);
    run.pass(options().compact_every);
    assert!(early <= before + 1 && compactions(&disk) > early);
    // By size, without waiting.
    let before = compactions(&disk);
    for number in 0..options().compact_bytes / 1_000 + 1 {
        run.put("orders", "1", &format!("{number:01000}"));
        run.pass(Duration::from_millis(5));
    }
    run.pass(Duration::from_millis(200));
    assert_eq!(compactions(&disk), before + 1);
}

#[test]
fn soft_memory_is_dropped_with_the_market_rows_when_the_disk_is_full() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    disk.set_capacity(Some(1));
    for number in 0.. {
        run.put("orders", "1", &format!("{number:0500}"));
        run.pass(Duration::from_secs(1));
        if run.journal.status().room > Room::Plenty {
            break;
        }
    }
    let change = Change { table: "soft", key: b"1", value: Some(b"x") };
    let delta = Delta { cause: Seq(1), commands: [0; 32], changes: vec![change] };
    run.journal.append(&Payload::Delta(&delta), Class::Soft).unwrap();
    run.put("orders", "2", "kept");
    run.sync();
    let entries = text(&run.entries());
    assert!(entries.iter().any(|entry| entry == "orders/2=kept"), "{entries:?}");
    assert!(!entries.iter().any(|entry| entry.starts_with("soft")), "{entries:?}");
}

#[test]
fn a_reader_beside_the_writer_changes_nothing_and_sees_what_is_written() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    let mut seen = Seq::ZERO;
    for number in 0..100 {
        run.put("orders", &format!("{}", number % 5), &format!("{number:0300}"));
        run.pass(Duration::from_millis(200));
        let ops = disk.ops();
        let state = read_state(&disk, &options()).unwrap();
        assert_eq!(model(state.entries), run.entries());
        assert!(state.last >= run.journal.written() && state.last > seen);
        seen = state.last;
        assert_eq!(disk.ops(), ops);
    }
    let from = Seq(seen.0 - 3);
    let mut records = Vec::new();
    let end = read_records(&disk, from, |record| {
        records.push(record.frame.seq);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(records.first(), Some(&from));
    assert_eq!((end.last, end.hole), (seen, None));
    let mut count = 0;
    read_records(&disk, from, |_| {
        count += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(count, 1);
}
