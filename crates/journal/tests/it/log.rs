//! The record log.

use polydesk_journal::{
    Class, Cursor, Disk, Fault, Lane, LogRow, MemDisk, Month, Op, Options, Payload, ReadError,
    Retention, Row, Seq, read_log,
};

use crate::harness::{NOON, Run, facts, options};

const DAY: i64 = 86_400_000;

fn rows(disk: &MemDisk) -> Vec<LogRow> {
    read_log(disk).unwrap().map(|row| row.unwrap()).collect()
}

fn bodies(disk: &MemDisk) -> Vec<String> {
    rows(disk).into_iter().map(|row| String::from_utf8(row.body).unwrap()).collect()
}

fn files(disk: &MemDisk) -> Vec<String> {
    disk.list("records").unwrap().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn months_of_times() {
    for (at_ms, year, month) in [
        (0, 1970, 1),
        (-1, 1969, 12),
        (951_782_399_999, 2000, 2),
        (951_868_799_999, 2000, 2),
        (951_868_800_000, 2000, 3),
        (1_709_164_800_000, 2024, 2),
        (1_709_251_200_000, 2024, 3),
        (1_796_083_199_999, 2026, 11),
        (1_796_083_200_000, 2026, 12),
        (1_798_761_600_000, 2027, 1),
        (4_107_542_400_000, 2100, 3),
    ] {
        assert_eq!(Month::of_ms(at_ms), Month { year, month }, "{at_ms}");
    }
}

#[test]
fn rows_are_copied_when_they_are_synced_and_not_before() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.settle();
    run.row(3, NOON, "filled");
    run.now += options().flush_every;
    let mut held = Vec::new();
    while let Some(job) = run.job() {
        match job.lane {
            Lane::Write => run.act(&job),
            _ => held.push(job),
        }
    }
    assert_eq!(run.journal.written(), run.journal.appended());
    assert!(rows(&disk).is_empty());
    let seq = run.journal.appended();
    held.iter().for_each(|job| run.act(job));
    run.sync();
    let expected = LogRow {
        at: Cursor { run: 1, seq: seq.before(), n: 3 },
        seq,
        at_ms: NOON,
        body: b"filled".to_vec(),
    };
    assert_eq!(rows(&disk), [expected]);
    assert_eq!(run.journal.cursor(), Cursor { run: 1, seq: seq.before(), n: 3 });
    assert_eq!(files(&disk), ["2026-11.log"]);
}

#[test]
fn a_row_that_is_only_written_waits_while_the_one_before_it_is_copied() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.settle();
    let first = run.row(0, NOON, "synced");
    run.journal.want_sync(first);
    let mut held = Vec::new();
    let mut write = |run: &mut Run| {
        while let Some(job) = run.job() {
            match job.lane {
                Lane::Write => run.act(&job),
                _ => held.push(job),
            }
        }
    };
    write(&mut run);
    // The sync of the first row is under way.
    let second = run.row(1, NOON, "written");
    run.now += options().flush_every;
    write(&mut run);
    assert!(run.journal.written() >= second);
    held.iter().for_each(|job| run.act(job));
    assert!(run.journal.synced() >= first && run.journal.synced() < second);
    while let Some(job) = run.job().filter(|job| job.lane == Lane::Files) {
        run.act(&job);
    }
    assert_eq!(bodies(&disk), ["synced"]);
    run.sync();
    assert_eq!(bodies(&disk), ["synced", "written"]);
}

#[test]
fn a_finished_month_is_compressed_and_read_in_order() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for (number, day) in [0, 1, 40, 10, 41, 80].into_iter().enumerate() {
        run.row(number as u32, NOON + day * DAY, &format!("day {day}"));
        run.sync();
    }
    // The clock that went back files its row under the month that is open.
    assert_eq!(bodies(&disk), ["day 0", "day 1", "day 40", "day 10", "day 41", "day 80"]);
    assert_eq!(files(&disk), ["2026-11.log.zst", "2027-01.log.zst", "2027-02.log"]);
    // A later run goes on where this one stopped, also with a clock that went back.
    let mut again = Run::start(&disk.after_kill());
    assert_eq!(again.journal.cursor().n, 5);
    again.row(0, NOON, "after");
    again.sync();
    assert_eq!(bodies(&again.disk).last().unwrap(), "after");
    assert_eq!(files(&again.disk), ["2026-11.log.zst", "2027-01.log.zst", "2027-02.log"]);
}

#[test]
fn recovery_copies_what_is_missing_and_cuts_a_torn_row() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for number in 0..5 {
        run.row(number, NOON, &format!("row {number}"));
        run.sync();
    }
    let all = ["row 0", "row 1", "row 2", "row 3", "row 4"];
    let log = disk.read("records/2026-11.log").unwrap();
    for cut in 0..=log.len() {
        let disk = disk.after_kill();
        disk.put("records/2026-11.log", log[..cut].to_vec());
        let run = Run::start(&disk);
        assert_eq!(bodies(&disk), all, "cut at {cut}");
        assert_eq!(run.journal.cursor().n, 4, "cut at {cut}");
    }
    let disk = disk.after_kill();
    disk.remove("records/2026-11.log").unwrap();
    Run::start(&disk);
    assert_eq!(bodies(&disk), all);
}

#[test]
fn no_segment_goes_before_its_rows_are_in_the_log() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    let mut expected = Vec::new();
    for number in 0..200_u32 {
        let body = format!("row {number}");
        run.row(number, NOON, &body);
        expected.push(body);
        run.put("orders", "1", &"x".repeat(300));
        if number % 20 == 0 {
            run.journal.compact();
        }
        // The log's disk is full again and again: rows wait.
        if number % 3 == 0 {
            disk.fault(disk.ops() + 5, Fault::Error(std::io::ErrorKind::StorageFull));
        }
        run.now += std::time::Duration::from_secs(3);
        run.journal.want_sync(run.journal.appended());
        for _ in 0..6 {
            let Some(job) = run.job() else { break };
            run.act(&job);
        }
        if run.journal.failure().is_some() {
            expected.truncate(run.journal.written().0 as usize);
            break;
        }
    }
    let disk = disk.after_kill();
    let run = Run::start(&disk);
    let found = bodies(&disk);
    assert_eq!(found, expected[..found.len()]);
    let last = run.found.last;
    assert!(found.len() > 3 && rows(&disk).last().unwrap().seq <= last);
}

#[test]
fn a_log_whose_disk_is_full_is_filled_later() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.settle();
    run.row(0, NOON, "first");
    disk.fault(disk.ops() + 3, Fault::Error(std::io::ErrorKind::StorageFull));
    run.sync();
    assert!(bodies(&disk).is_empty());
    assert!(run.journal.failure().is_none());
    let told =
        run.journal.take_alerts().iter().any(|alert| alert.to_string().contains("copying rows"));
    assert!(told);
    run.row(1, NOON, "second");
    run.pass(options().space_every * 2);
    run.sync();
    assert_eq!(bodies(&disk), ["first", "second"]);
}

#[test]
fn a_damaged_row_of_a_finished_month_is_named() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for day in [0, 40] {
        run.row(0, NOON + day * DAY, "row");
        run.sync();
    }
    let plain = zstd::stream::decode_all(disk.read("records/2026-11.log.zst").unwrap().as_slice());
    let mut plain = plain.unwrap();
    plain[30] ^= 1;
    disk.put("records/2026-11.log.zst", zstd::stream::encode_all(plain.as_slice(), 3).unwrap());
    let mut found = read_log(&disk).unwrap();
    let error = found.next().unwrap().unwrap_err();
    assert!(matches!(error, ReadError::LogRow { offset: 0, .. }), "{error}");
    assert!(error.to_string().contains("2026-11.log"), "{error}");
    assert!(found.next().is_none(), "nothing behind it is shown as if it were whole");
}

#[test]
fn every_segment_is_kept_while_recording() {
    let kept = |recording| {
        let disk = MemDisk::new();
        let options = Options { recording, ..options() };
        let mut run = Run::begin(&disk, &options, &facts(NOON)).unwrap();
        for number in 0..300 {
            let row = Row { cause: Seq(1), n: number, at_ms: NOON, body: &[b'r'; 100] };
            run.journal.append(&Payload::Record(row), Class::Fact).unwrap();
            run.put("orders", "1", &format!("{number:0300}"));
            run.pass(std::time::Duration::from_secs(5));
        }
        let names = disk.list("").unwrap();
        let first = names.iter().any(|(name, _)| name == "00000000000000000001.seg");
        (first, rows(&disk).len())
    };
    assert_eq!(kept(true), (true, 300));
    assert_eq!(kept(false), (false, 300));
}

#[test]
fn a_month_is_never_lost_whenever_it_is_killed_and_the_power_goes_after_the_next_start() {
    let life = |disk: &MemDisk| {
        let Ok(mut run) = Run::begin(disk, &options(), &facts(NOON)) else { return Seq::ZERO };
        for day in [0, 40, 80] {
            if run.journal.failure().is_none() {
                run.row(0, NOON + day * DAY, &format!("day {day}"));
                run.sync();
            }
        }
        run.journal.synced()
    };
    let disk = MemDisk::new();
    life(&disk);
    for op in 1..=disk.ops() {
        let disk = MemDisk::new();
        disk.fault(op, Fault::Crash);
        let synced = life(&disk);
        let disk = disk.after_kill();
        let before = bodies(&disk);
        let found = Run::start(&disk).found.last;
        assert!(found >= synced);
        let known = bodies(&disk);
        assert!(known.starts_with(&before), "op {op}");
        for seed in 0..4 {
            let disk = disk.after_power_loss(seed, if seed == 0 { 0 } else { 128 });
            Run::start(&disk);
            assert_eq!(bodies(&disk), known, "op {op}, seed {seed}");
        }
    }
}

/// Skips go after two whole months.
fn passing() -> Options {
    let retention = Retention { months: 2, keep: |body| !body.starts_with(b"skip") };
    Options { retention: Some(retention), ..options() }
}

/// A row and a skip in each of some months, the first of which is 2026-11.
fn months(disk: &MemDisk, months: std::ops::Range<i64>) -> Seq {
    let Ok(mut run) = Run::begin(disk, &passing(), &facts(NOON)) else { return Seq::ZERO };
    for month in months {
        for (n, word) in ["fill", "skip"].into_iter().enumerate() {
            if run.journal.failure().is_none() {
                // Thirty days and a half: never twice in a month.
                let at = NOON - 10 * DAY + month * 61 * DAY / 2;
                run.row(n as u32, at, &format!("{word} {month}"));
                run.sync();
            }
        }
    }
    run.journal.synced()
}

#[test]
fn skips_go_when_their_month_is_old_and_everything_else_stays() {
    let disk = MemDisk::new();
    months(&disk, 0..2);
    assert_eq!(bodies(&disk), ["fill 0", "skip 0", "fill 1", "skip 1"], "nothing is old");
    months(&disk, 2..3);
    assert_eq!(bodies(&disk).len(), 6, "two whole months are not between them");
    months(&disk, 3..5);
    let left = ["fill 0", "fill 1", "fill 2", "skip 2", "fill 3", "skip 3", "fill 4", "skip 4"];
    assert_eq!(bodies(&disk), left);
    let marks: Vec<_> = files(&disk).into_iter().filter(|name| name.ends_with(".thin")).collect();
    assert_eq!(marks, ["2026-11.thin", "2026-12.thin"]);
    // What is marked is not read again: it could be years of months.
    let mut run = Run::begin(&disk, &passing(), &facts(NOON)).unwrap();
    while let Some(job) = run.job() {
        assert!(!matches!(job.op, Op::Thin { .. }), "{:?}", job.op);
        run.act(&job);
    }
    drop(run);
    // Without the setting nothing goes.
    let mut run = Run::start(&disk);
    for month in 5..12 {
        run.row(0, NOON - 10 * DAY + month * 61 * DAY / 2, &format!("skip {month}"));
        run.sync();
    }
    assert_eq!(bodies(&disk).len(), left.len() + 7);
}

#[test]
fn thinning_loses_nothing_else_whenever_it_is_killed_and_the_power_goes_after_the_next_start() {
    let whole = MemDisk::new();
    months(&whole, 0..5);
    let fills = |disk: &MemDisk| {
        let all = bodies(disk).into_iter();
        all.filter(|body| body.starts_with("fill")).collect::<Vec<_>>()
    };
    let mut thinned = 0;
    for op in 1..=whole.ops() {
        let disk = MemDisk::new();
        disk.fault(op, Fault::Crash);
        months(&disk, 0..5);
        let disk = disk.after_kill();
        let before = fills(&disk);
        Run::begin(&disk, &passing(), &facts(NOON)).unwrap().settle();
        let known = fills(&disk);
        assert!(known.starts_with(&before), "op {op}: {known:?}");
        thinned += u32::from(files(&disk).iter().any(|name| name.ends_with(".thin")));
        for seed in 0..4 {
            let disk = disk.after_power_loss(seed, if seed == 0 { 0 } else { 128 });
            Run::begin(&disk, &passing(), &facts(NOON)).unwrap().settle();
            assert_eq!(fills(&disk), known, "op {op}, seed {seed}");
        }
    }
    assert!(thinned > 10, "{thinned} crashes came after the first month was thinned");
}

#[test]
fn a_damaged_old_month_is_left_as_it_is_and_named() {
    let disk = MemDisk::new();
    months(&disk, 0..3);
    let name = "records/2026-11.log.zst";
    let packed = disk.read(name).unwrap();
    let broken = [&packed[..packed.len() / 2], b"damage"].concat();
    disk.put(name, broken.clone());
    let mut run = Run::begin(&disk, &passing(), &facts(NOON)).unwrap();
    for month in 3..5 {
        run.row(0, NOON - 10 * DAY + month * 61 * DAY / 2, &format!("fill {month}"));
        run.sync();
    }
    assert_eq!(disk.read(name).unwrap(), broken);
    assert!(!files(&disk).iter().any(|name| name == "2026-11.thin"));
    let alerts: Vec<String> = run.journal.take_alerts().iter().map(ToString::to_string).collect();
    let named = |text: &String| text.contains("2026-11.log.zst") && text.contains("old rows");
    assert_eq!(alerts.iter().filter(|text| named(text)).count(), 1, "{alerts:?}");
    // The month behind it is thinned all the same, when the disk is tried again.
    run.pass(passing().space_every * 2);
    run.sync();
    assert!(files(&disk).iter().any(|name| name == "2026-12.thin"), "{:?}", files(&disk));
}
