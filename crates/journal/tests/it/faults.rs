//! A disk that is full, fails, hangs or loses power at any operation.

use std::io::ErrorKind;
use std::time::Duration;

use polydesk_journal::{
    Alert, AppendError, Class, Disk, Draw, Durable, Fault, Job, Kind, Lane, MemDisk, Options,
    Payload, Room, Seq, read_records, read_state,
};

use crate::harness::{Model, NOON, Run, facts, model, options};

const SECOND: Duration = Duration::from_secs(1);

/// Entries, rows, a roll and a compaction; what the entries were after each record.
fn work(run: &mut Run) -> Vec<(Seq, Model)> {
    let mut models = vec![(run.journal.appended(), run.entries())];
    let mut now = run.entries();
    for number in 0..40 {
        let (key, value) = (format!("{}", number % 5), format!("{number} {}", "x".repeat(300)));
        let seq = run.put("orders", &key, &value);
        now.insert(("orders".to_owned(), key.into_bytes()), value.into_bytes());
        models.push((seq, now.clone()));
        if number % 8 == 0 {
            run.row(0, NOON + number * 5 * 86_400_000, "row");
        }
        if number % 10 == 9 {
            run.journal.compact();
        }
        run.now += Duration::from_millis(5);
        if number % 3 == 0 {
            run.journal.want_sync(seq);
        }
        run.settle();
    }
    models
}

fn at(models: &[(Seq, Model)], seq: Seq) -> Model {
    models
        .iter()
        .rev()
        .find(|(of, _)| *of <= seq)
        .map(|(_, model)| model.clone())
        .unwrap_or_default()
}

/// Operations of the whole of [`work`], start included.
fn operations() -> u64 {
    let disk = MemDisk::new();
    work(&mut Run::start(&disk));
    let log = disk.log();
    for expected in ["create compaction.tmp", "rename spare-", "remove 0000", "rename records/"] {
        assert!(
            log.iter().any(|op| op.contains(expected)),
            "{expected} is not among the operations"
        );
    }
    disk.ops()
}

#[test]
fn killed_at_every_operation_of_work_and_start_the_same_state_comes_back() {
    for op in 1..=operations() {
        for fault in [Fault::Crash, Fault::Torn(17)] {
            let disk = MemDisk::new();
            disk.fault(op, fault);
            let Ok(mut run) = Run::begin(&disk, &options(), &facts(NOON)) else {
                let fresh = Run::start(&disk.after_kill());
                assert!(fresh.found.entries.is_empty() && !fresh.found.kill.is_killed(), "op {op}");
                continue;
            };
            let models = work_until_failure(&mut run);
            let written = run.journal.written();
            let disk = disk.after_kill();
            let read = read_state(&disk, &options()).unwrap();
            assert!(read.last >= written, "op {op}");
            let expected = at(&models, read.last);
            assert_eq!(model(read.entries), expected, "op {op}");
            killed_while_recovering(&disk, &expected, op);
        }
    }
}

/// Like [`work`] on a disk that fails at some time.
fn work_until_failure(run: &mut Run) -> Vec<(Seq, Model)> {
    let mut models = Vec::new();
    let mut now = run.entries();
    models.push((run.journal.appended(), now.clone()));
    for number in 0..40 {
        let (key, value) = (format!("{}", number % 5), format!("{number} {}", "x".repeat(300)));
        if run.journal.failure().is_some() {
            break;
        }
        let seq = run.put("orders", &key, &value);
        now.insert(("orders".to_owned(), key.into_bytes()), value.into_bytes());
        models.push((seq, now.clone()));
        if number % 8 == 0 {
            run.row(0, NOON + number * 5 * 86_400_000, "row");
        }
        if number % 10 == 9 {
            run.journal.compact();
        }
        run.now += Duration::from_millis(5);
        if number % 3 == 0 {
            run.journal.want_sync(seq);
        }
        run.settle();
    }
    models
}

/// Recovery itself is killed at each of its operations, and at each of those of the start after that one.
fn killed_while_recovering(disk: &MemDisk, expected: &Model, op: u64) {
    // Every operation for a few of the cases; all of them take too long.
    if !op.is_multiple_of(13) {
        return;
    }
    for inner in 1.. {
        let disk = disk.after_kill();
        disk.fault(inner, Fault::Crash);
        let started = Run::begin(&disk, &options(), &facts(NOON));
        let finished = started.is_ok_and(|mut run| {
            run.settle();
            run.journal.failure().is_none() && disk.ops() < inner
        });
        let mut again = Run::start(&disk.after_kill());
        assert_eq!(model(again.found.entries.clone()), *expected, "op {op}, then {inner}");
        again.sync();
        assert_eq!(again.entries(), *expected, "op {op}, then {inner}");
        if finished {
            assert!(inner > 10, "recovery has more operations than {inner}");
            return;
        }
    }
}

#[test]
fn without_power_what_was_synced_is_there_and_the_rest_is_a_prefix() {
    for op in (1..=operations()).step_by(3) {
        for keep in [0, 128, 255] {
            let disk = MemDisk::new();
            disk.fault(op, Fault::Crash);
            let Ok(mut run) = Run::begin(&disk, &options(), &facts(NOON)) else { continue };
            let models = work_until_failure(&mut run);
            let synced = run.journal.synced();
            let disk = disk.after_power_loss(op, keep);
            let again = Run::start(&disk);
            assert!(again.found.last >= synced, "op {op}: {} of {synced}", again.found.last);
            let expected = at(&models, again.found.last);
            assert_eq!(model(again.found.entries), expected, "op {op}");
        }
    }
}

#[test]
fn power_loss_keeps_what_was_sent_under_power_and_is_suspected_under_process() {
    for durable in [Durable::Power, Durable::Process] {
        let options = Options { durable, ..options() };
        let disk = MemDisk::new();
        let mut run = Run::begin(&disk, &options, &facts(NOON)).unwrap();
        let mut sent = Vec::new();
        for number in 0..20 {
            let seq = run.put("wire", &format!("{number}"), "body");
            // What an owner does before it sends.
            if durable == Durable::Power {
                run.journal.want_sync(seq);
            }
            while run.journal.written() < seq
                || durable == Durable::Power && run.journal.synced() < seq
            {
                run.now += Duration::from_millis(5);
                let job = run.job().unwrap();
                run.act(&job);
            }
            sent.push(format!("{number}").into_bytes());
        }
        let disk = disk.after_power_loss(7, 0);
        let mut after = facts(NOON + 1);
        after.boot = "boot-2".to_owned();
        let again = Run::begin(&disk, &options, &after).unwrap();
        let known: Vec<_> = again.found.entries.iter().map(|entry| entry.key.clone()).collect();
        assert!(again.found.boot_changed);
        match durable {
            Durable::Power => {
                assert!(sent.iter().all(|key| known.contains(key)));
                assert!(!again.found.lost_tail);
            }
            Durable::Process => {
                assert!(known.len() < sent.len(), "the test loses nothing");
                assert!(again.found.lost_tail);
            }
        }
    }
}

/// Jobs of the segments: those that an error ends.
fn is_final(job: &Job) -> bool {
    job.lane != Lane::Files
}

#[test]
fn an_error_at_any_operation_never_makes_a_record_written_that_is_not() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::Interrupted] {
        for op in 1..=operations() {
            let disk = MemDisk::new();
            disk.fault(op, Fault::Error(kind));
            let Ok(mut run) = Run::begin(&disk, &options(), &facts(NOON)) else { continue };
            let models = work_until_failure(&mut run);
            let (written, synced) = (run.journal.written(), run.journal.synced());
            let read = read_state(&disk.after_kill(), &options()).unwrap();
            assert!(read.last >= written, "{kind}, op {op}");
            assert_eq!(model(read.entries), at(&models, read.last), "{kind}, op {op}");
            let power = read_state(&disk.after_power_loss(op, 0), &options()).unwrap();
            assert!(power.last >= synced, "{kind}, op {op}");
            if let Some(failure) = run.journal.failure().cloned() {
                assert_eq!(failure.kind, kind);
                let seq = run.journal.append(&Payload::Input(b"late"), Class::Fact);
                assert_eq!(seq, Err(AppendError::Failed(failure.clone())));
                assert!(run.job().is_none(), "nothing is done after a failure");
                let alerts = run.journal.take_alerts();
                assert!(alerts.contains(&Alert::Failed(failure)), "{alerts:?}");
                assert!(!run.journal.status().admits_exits());
            }
        }
    }
}

#[test]
fn an_error_of_a_write_or_sync_is_final_and_one_of_housekeeping_is_not() {
    let disk = MemDisk::new();
    let log = {
        work(&mut Run::start(&disk));
        disk.log()
    };
    let mut seen = [0; 2];
    for (number, line) in log.iter().enumerate() {
        let disk = MemDisk::new();
        disk.fault(number as u64 + 1, Fault::Error(ErrorKind::Other));
        let Ok(mut run) = Run::begin(&disk, &options(), &facts(NOON)) else { continue };
        let begun = disk.ops();
        work_until_failure(&mut run);
        if (number as u64) < begun {
            continue;
        }
        // Writing, naming and syncing segments; allocation has the names of spares too.
        let segment = line.contains(".seg:") || line.ends_with(".seg") || line.contains(".seg at");
        let head = line.starts_with("write spare");
        let folder = line == "sync folder \"\"";
        if folder || line.starts_with("remove") {
            continue;
        }
        let is_final = segment || head;
        seen[usize::from(is_final)] += 1;
        assert_eq!(run.journal.failure().is_some(), is_final, "{line}");
    }
    assert!(seen[0] > 20 && seen[1] > 20, "{seen:?}");
}

#[test]
fn a_disk_that_hangs_for_thirty_seconds_is_reported_and_holds_no_appender() {
    let jobs = {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        work(&mut run);
        disk.ops()
    };
    let mut hung = 0;
    for stall in 1..jobs {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        let Some((job, before)) = work_until_job(&mut run, stall) else { continue };
        if !is_final(&job) {
            continue;
        }
        hung += 1;
        assert!(run.journal.status().admits_entries());
        let mut last = Seq::ZERO;
        for second in 0..30 {
            run.now += SECOND;
            // Appending goes on; nothing that waits for the job is reported.
            last = run.put("orders", "late", &format!("{second}"));
            while let Some(other) = run.job() {
                run.act(&other);
            }
            assert!(run.journal.status().slow, "{job:?} hangs and is not reported");
            assert!(!run.journal.status().admits_entries());
            if job.lane == Lane::Write {
                assert_eq!(run.journal.written(), before[0]);
            } else {
                assert_eq!(run.journal.synced(), before[1]);
            }
            assert!(run.journal.synced() <= run.journal.written());
        }
        let slow = |alert: &Alert| matches!(alert, Alert::Slow { .. });
        assert_eq!(run.journal.take_alerts().iter().filter(|alert| slow(alert)).count(), 1);
        run.act(&job);
        run.sync();
        assert!(run.journal.synced() >= last);
        assert!(run.journal.status().admits_entries());
        assert!(run.journal.take_alerts().contains(&Alert::FastAgain));
    }
    assert!(hung > 50, "{hung}");
}

/// Works until the job of a number is due, and hands it out instead of executing it.
fn work_until_job(run: &mut Run, number: u64) -> Option<(Job, [Seq; 2])> {
    let mut count = 0;
    for step in 0..40 {
        let seq = run.put("orders", &format!("{}", step % 5), &"x".repeat(300));
        run.now += Duration::from_millis(5);
        if step % 3 == 0 {
            run.journal.want_sync(seq);
        }
        while let Some(job) = run.job() {
            count += 1;
            if count == number {
                return Some((job, [run.journal.written(), run.journal.synced()]));
            }
            run.act(&job);
        }
    }
    None
}

#[test]
fn whatever_precedes_a_record_is_on_disk_before_it() {
    for seed in 0..crate::harness::cases(200) {
        let mut draw = Draw(seed);
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        let mut waiting: Vec<Job> = Vec::new();
        for _ in 0..300 {
            match draw.below(4) {
                0 => {
                    run.put(
                        "orders",
                        &format!("{}", draw.below(9)),
                        &"y".repeat(draw.below(500) as usize),
                    );
                }
                1 => run.now += Duration::from_millis(draw.below(20)),
                2 => waiting.extend(run.job()),
                // Jobs of different lanes are completed in any order.
                _ if !waiting.is_empty() => {
                    let job = waiting.swap_remove(draw.below(waiting.len() as u64) as usize);
                    run.act(&job);
                    contiguous(&disk, run.journal.written(), seed);
                }
                _ => {}
            }
        }
    }
}

fn contiguous(disk: &MemDisk, written: Seq, seed: u64) {
    let mut last = Seq::ZERO;
    let end = read_records(disk, Seq::ZERO, |record| {
        assert!(last == Seq::ZERO || record.frame.seq == last.next(), "seed {seed}");
        last = record.frame.seq;
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert!(end.last >= written && end.hole.is_none(), "seed {seed}: {end:?}");
}

#[test]
fn a_full_disk_stops_market_rows_first_then_entries_and_ends_the_run_last() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    disk.set_capacity(Some(disk.space().map(|space| space.total - space.free).unwrap() + 600));
    let mut rooms = Vec::new();
    let mut dropped = 0;
    let mut last_fact = Seq::ZERO;
    for number in 0..2_000 {
        run.now += SECOND;
        let before = run.journal.appended();
        let Ok(seq) = run.journal.append(&Payload::Input(&[b'm'; 60]), Class::Market) else {
            break;
        };
        assert_eq!(seq, before.next(), "a dropped row has a number too");
        dropped += u64::from(run.journal.status().room > Room::Plenty);
        last_fact = run.put("orders", "1", &format!("{number:0100}"));
        run.settle();
        let status = run.journal.status();
        if rooms.last() != Some(&status.room) {
            rooms.push(status.room);
        }
        assert_eq!(
            status.admits_entries(),
            status.room < Room::NoEntries && status.failed.is_none()
        );
        assert_eq!(status.admits_exits(), status.failed.is_none());
        if status.failed.is_some() {
            break;
        }
    }
    assert_eq!(rooms, [Room::Plenty, Room::NoMarketRows, Room::NoEntries]);
    let failure = run.journal.failure().cloned().unwrap();
    assert_eq!(failure.kind, ErrorKind::StorageFull);
    assert!(run.journal.status().low_space);
    assert!(run.journal.written() < last_fact);
    let alerts = run.journal.take_alerts();
    for alert in [Alert::Room(Room::NoMarketRows), Alert::Room(Room::NoEntries)] {
        assert!(alerts.contains(&alert), "{alerts:?}");
    }
    // What was dropped is named, and nothing else is missing.
    let (mut market, mut named, mut next) = (0, 0, Seq(1));
    read_records(&disk, Seq(1), |record| {
        market += u64::from(record.frame.kind == Kind::Input);
        let mark = (record.frame.kind == Kind::Mark)
            .then(|| polydesk_journal::decode_mark(record.frame.payload).unwrap());
        if let Some(gap) = mark.and_then(|mark| mark.dropped) {
            assert_eq!((gap.from, gap.to.next()), (next, record.frame.seq));
            named += gap.to.0 - gap.from.0 + 1;
            next = record.frame.seq;
        }
        if record.frame.seq.0 > 1 {
            assert!(record.frame.seq >= next);
        }
        next = record.frame.seq.next();
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert!(named > 0 && dropped > 0 && market > 0);
    // Room again: the next start goes on, with everything that was written.
    disk.set_capacity(None);
    let again = Run::start(&disk.after_kill());
    assert_eq!(again.found.last, run.journal.written());
    assert_eq!(again.journal.status().room, Room::Plenty);
}

/// What of each class is recorded at each stage of a full disk, and what the owner may do.
#[test]
fn each_class_has_its_room_on_a_full_disk() {
    let rooms = [Room::Plenty, Room::NoMarketRows, Room::NoEntries];
    // Stage; market rows, soft memory and facts are recorded; entries and exits are admitted.
    let cases = [
        (Room::Plenty, [true, true, true], [true, true]),
        (Room::NoMarketRows, [false, false, true], [true, true]),
        (Room::NoEntries, [false, false, true], [false, true]),
    ];
    for (room, recorded, admitted) in cases {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        run.pass(SECOND);
        disk.set_capacity(Some(disk.space().map(|space| space.total - space.free).unwrap()));
        let mut seen = vec![run.journal.status().room];
        while run.journal.status().room < room {
            run.put("orders", "filler", &"x".repeat(200));
            run.pass(SECOND);
            seen.push(run.journal.status().room);
        }
        seen.dedup();
        assert_eq!(seen, rooms[..seen.len()], "one stage after the other");
        let status = run.journal.status();
        assert_eq!([status.admits_entries(), status.admits_exits()], admitted, "{room:?}");
        let classes = [Class::Market, Class::Soft, Class::Fact];
        for (class, recorded) in classes.into_iter().zip(recorded) {
            let body = format!("{room:?} {class:?}").into_bytes();
            let seq = run.journal.append(&Payload::Input(&body), class).unwrap();
            run.sync();
            let mut found = None;
            read_records(&disk, Seq(1), |record| {
                if record.frame.kind == Kind::Input && record.frame.payload == body {
                    found = Some(record.frame.seq);
                }
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(found, recorded.then_some(seq), "{room:?}, {class:?}");
        }
        // Room again: everything is recorded and admitted.
        let freed = disk.after_kill();
        disk.set_capacity(None);
        run.pass(11 * SECOND);
        assert_eq!(run.journal.status().room, Room::Plenty, "{room:?}");
        assert!(run.journal.status().admits_entries());
        let last = run.journal.append(&Payload::Input(b"again"), Class::Market).unwrap();
        run.sync();
        contiguous_with_marks(&disk, last);
        assert_eq!(model(Run::start(&freed).found.entries), run.entries(), "{room:?}");
    }
}

#[test]
fn facts_use_the_reserve_to_its_end_and_the_run_ends_with_it() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.pass(SECOND);
    disk.set_capacity(Some(disk.space().map(|space| space.total - space.free).unwrap()));
    let (mut in_reserve, mut last) = (0, Seq::ZERO);
    while run.journal.failure().is_none() {
        let no_entries = run.journal.status().room == Room::NoEntries;
        let seq = run.put("orders", "exit", &"x".repeat(200));
        run.pass(SECOND);
        if run.journal.written() >= seq {
            in_reserve += u64::from(no_entries);
            last = seq;
        }
    }
    // The last segment and the reserve hold 8 KiB each, in records of 296 bytes.
    assert!((40..60).contains(&in_reserve), "{in_reserve}");
    for class in [Class::Market, Class::Soft, Class::Fact] {
        let refused = run.journal.append(&Payload::Input(b"late"), class);
        assert!(matches!(refused, Err(AppendError::Failed(_))), "{class:?}");
    }
    assert!(!run.journal.status().admits_exits());
    let written = run.journal.written();
    disk.set_capacity(None);
    assert!(written >= last && Run::start(&disk.after_kill()).found.last == written);
}

#[test]
fn a_full_disk_at_the_start_begins_without_spare_segments_and_gets_them_later() {
    let disk = MemDisk::new();
    let first = Run::start(&disk);
    drop(first);
    let disk = disk.after_kill();
    disk.set_capacity(Some(20 << 10));
    let mut run = Run::start(&disk);
    assert!(!run.journal.status().admits_entries());
    run.settle();
    assert_eq!(run.journal.status().room, Room::NoEntries);
    disk.set_capacity(None);
    run.pass(11 * SECOND);
    run.settle();
    assert_eq!(run.journal.status().room, Room::Plenty);
}

#[test]
fn a_buffer_that_fills_drops_market_rows_at_one_half_and_refuses_facts_when_full() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.now += SECOND;
    let hangs = run.job().unwrap();
    assert_eq!(hangs.lane, Lane::Write);
    let limit = options().buffer_bytes;
    let (mut bytes, mut dropped) = (0, None);
    while dropped.is_none() {
        let seq = run.journal.append(&Payload::Input(&[b'm'; 100]), Class::Market).unwrap();
        dropped = run.journal.status().dropping.then_some(seq);
        bytes += 120;
    }
    assert!((limit / 2..limit / 2 + 300).contains(&bytes), "{bytes}");
    assert!(!run.journal.status().must_halt());
    let mut facts = 0;
    let error = loop {
        match run.journal.append(&Payload::Input(&[b'f'; 100]), Class::Fact) {
            Ok(_) => facts += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, AppendError::Full { bytes: limit });
    assert!(facts > 200, "{facts}");
    assert!(run.journal.status().must_halt());
    let alerts = run.journal.take_alerts();
    assert!(alerts.contains(&Alert::Dropping { from: dropped.unwrap() }), "{alerts:?}");
    assert!(alerts.contains(&Alert::Full { bytes: limit }), "{alerts:?}");
    // The disk is back: everything that was appended is written, in order.
    let last = run.journal.appended();
    run.act(&hangs);
    run.sync();
    contiguous_with_marks(&disk, last);
}

fn contiguous_with_marks(disk: &MemDisk, last: Seq) {
    let end = read_records(disk, Seq(1), |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(end.hole, None);
    assert!(end.last >= last);
}

#[test]
fn a_record_that_is_too_large_is_refused_before_it_has_a_number() {
    let mut run = Run::start(&MemDisk::new());
    let before = run.journal.appended();
    let most = options().segment_bytes / 2;
    let error =
        run.journal.append(&Payload::Input(&vec![0; most as usize]), Class::Fact).unwrap_err();
    assert_eq!(error, AppendError::TooLarge { kind: "input", len: most + 24, most });
    let table = "t".repeat(256);
    let change = polydesk_journal::Change { table: &table, key: b"", value: None };
    let delta = polydesk_journal::Delta { cause: Seq(1), commands: [0; 32], changes: vec![change] };
    let error = run.journal.append(&Payload::Delta(&delta), Class::Fact).unwrap_err();
    assert_eq!(error, AppendError::TableName { len: 256 });
    assert_eq!(run.journal.appended(), before);
}

#[test]
fn a_compaction_gets_its_name_only_when_the_journal_is_synced_that_far() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.sync();
    let named =
        |disk: &MemDisk| disk.log().iter().filter(|op| op.starts_with("rename compaction")).count();
    let before = named(&disk);
    run.put("orders", "1", "live");
    run.journal.compact();
    run.now += SECOND;
    let mut held = Vec::new();
    while let Some(job) = run.job() {
        match job.lane {
            Lane::Sync => held.push(job),
            _ => run.act(&job),
        }
    }
    let synced = disk.log().iter().filter(|op| *op == "sync compaction.tmp").count();
    assert_eq!((synced, named(&disk)), (before + 1, before));
    assert!(!held.is_empty());
    held.iter().for_each(|job| run.act(job));
    run.settle();
    assert_eq!(named(&disk), before + 1);
}

#[test]
fn a_compaction_that_failed_is_done_again() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    disk.refuse("compaction.tmp", Some(ErrorKind::StorageFull));
    run.put("orders", "1", "live");
    run.journal.compact();
    run.sync();
    let alerts = run.journal.take_alerts();
    assert!(alerts.iter().any(|alert| alert.to_string().contains("compacting")), "{alerts:?}");
    assert_eq!(run.journal.failure(), None);
    let compactions = |disk: &MemDisk| {
        disk.list("").unwrap().iter().filter(|(name, _)| name.ends_with(".cmp")).count()
    };
    assert_eq!(compactions(&disk), 0);
    disk.refuse("", None);
    run.pass(11 * SECOND);
    assert_eq!(compactions(&disk), 1);
}

#[test]
fn a_log_that_cannot_be_written_keeps_the_segments_and_stops_no_compaction() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    disk.refuse("records/", Some(ErrorKind::StorageFull));
    let mut expected = Vec::new();
    for number in 0..60_u32 {
        run.row(number, NOON, &format!("row {number}"));
        expected.push(format!("row {number}").into_bytes());
        run.put("orders", "1", &"x".repeat(400));
        run.journal.compact();
        run.pass(SECOND);
    }
    let names: Vec<_> = disk.list("").unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".cmp")).count(), 2, "{names:?}");
    assert!(names.iter().any(|name| name == "00000000000000000001.seg"), "{names:?}");
    assert!(names.iter().filter(|name| name.ends_with(".seg")).count() > 3, "{names:?}");
    // By the next start, or by this run when it can.
    let disk = disk.after_kill();
    Run::start(&disk);
    run.disk.refuse("", None);
    run.pass(11 * SECOND);
    for disk in [&disk, &run.disk] {
        let rows = polydesk_journal::read_log(disk).unwrap().map(|row| row.unwrap().body);
        assert_eq!(rows.collect::<Vec<_>>(), expected);
    }
    let names: Vec<_> = run.disk.list("").unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name == "00000000000000000001.seg"), "{names:?}");
}

#[test]
fn a_segment_that_was_begun_and_never_synced_is_no_damage_without_power() {
    for seed in 0..crate::harness::cases(300) {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        for _ in 0..30 {
            run.put("orders", "1", &"x".repeat(400));
        }
        run.now += SECOND;
        while let Some(job) = run.job().filter(|job| job.lane == Lane::Write) {
            run.act(&job);
        }
        let lost = disk.after_power_loss(seed, 100);
        let started = Run::begin(&lost, &options(), &facts(NOON));
        assert!(started.is_ok(), "seed {seed}: {}", started.err().unwrap());
    }
}

#[test]
fn what_a_start_relied_on_survives_the_loss_of_power_after_it() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "written, not synced");
    run.now += SECOND;
    while let Some(job) = run.job().filter(|job| job.lane == Lane::Write) {
        run.act(&job);
    }
    let disk = disk.after_kill();
    let second = Run::start(&disk);
    assert_eq!(second.found.entries.len(), 1);
    let third = Run::start(&disk.after_power_loss(1, 0));
    assert_eq!(third.found.entries, second.found.entries);
    assert_eq!(third.found.run, 3);
}
