//! What a start owes after trouble that the other modules do not try: a start that dies itself, damage of the record
//! log, two writers of the latch, errors of one operation again and again.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use polydesk_journal::{
    Class, Disk, Draw, Durable, Ended, Fault, Kill, LATCH_VERSION, Latch, LatchFile, LatchState,
    MemDisk, Op, Options, Payload, Room, Row, RunFacts, Seq, decode_run, read_log, read_records,
    read_state,
};

use crate::harness::{Model, NOON, Run, cases, facts, model, options, text};

const DAY: i64 = 86_400_000;
const YEAR_END: i64 = 1_798_761_600_000;

fn on_boot(boot: &str) -> RunFacts {
    RunFacts { boot: boot.to_owned(), ..facts(NOON) }
}

fn rebuilding() -> Options {
    Options { rebuild: true, ..options() }
}

fn names(disk: &MemDisk, part: &str) -> Vec<String> {
    let names = disk.list("").unwrap().into_iter().map(|(name, _)| name);
    names.filter(|name| name.contains(part)).collect()
}

fn logged(disk: &MemDisk) -> Vec<String> {
    let body = |row: polydesk_journal::LogRow| String::from_utf8(row.body).unwrap();
    read_log(disk).unwrap().map_while(Result::ok).map(body).collect()
}

// --- how the last run ended ---

#[test]
fn a_stop_is_clean_wherever_the_segment_ends_behind_it() {
    for len in (0..4_000).step_by(8) {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        run.put("orders", "1", &"x".repeat(3_000));
        run.put("orders", "2", &"x".repeat(len));
        run.stop();
        let again = Run::start(&disk.after_kill());
        assert_eq!(again.found.ended, Ended::Stopped, "{len}");
    }
}

#[test]
fn a_lost_tail_is_not_forgotten_by_a_start_that_dies() {
    // The power was lost under `process`; the start that noticed it is killed before its owner acts.
    let disk = MemDisk::new();
    let mut run = Run::begin(&disk, &options(), &on_boot("a")).unwrap();
    run.put("orders", "1", "live");
    run.sync();
    let mut disk = disk.after_power_loss(1, 0);
    for start in 0..3 {
        let mut run = Run::begin(&disk, &options(), &on_boot("b")).unwrap();
        assert!(run.found.lost_tail, "start {start}");
        if start == 1 {
            // A compaction carries it on as well.
            run.put("orders", "1", "live still");
            run.journal.compact();
            run.sync();
            run.sync();
        }
        disk = disk_of(&run).after_kill();
    }
    let mut run = Run::begin(&disk, &options(), &on_boot("b")).unwrap();
    run.stop();
    let found = Run::begin(&disk.after_kill(), &options(), &on_boot("b")).unwrap().found;
    assert!(!found.lost_tail, "a run that ended by itself has dealt with it");
}

fn disk_of(run: &Run) -> MemDisk {
    run.disk.clone()
}

#[test]
fn a_cut_tail_is_not_forgotten_by_a_start_that_dies() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.settle();
    run.put("wire", "0xhash", "sent");
    run.now += Duration::from_millis(5);
    let job = run.job().unwrap();
    run.act(&job);
    let disk = disk.after_kill();
    let segment = names(&disk, ".seg").pop().unwrap();
    disk.damage(&segment, |bytes| {
        let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[last] ^= 1;
    });
    let found = Run::start(&disk).found;
    assert!(found.cut && found.lost_tail);
    let found = Run::start(&disk.after_kill()).found;
    assert!(!found.cut && found.lost_tail, "the cut of the start before is still to be dealt with");
}

#[test]
fn whether_power_took_records_depends_on_how_the_run_that_ended_wrote() {
    let with = |durable| Options { durable, ..options() };
    for (wrote, reads, lost) in [
        (Durable::Process, Durable::Process, true),
        (Durable::Process, Durable::Power, true),
        (Durable::Power, Durable::Process, false),
        (Durable::Power, Durable::Power, false),
    ] {
        for compacts in [false, true] {
            let disk = MemDisk::new();
            let mut run = Run::begin(&disk, &with(wrote), &on_boot("a")).unwrap();
            run.put("orders", "1", "live");
            run.sync();
            if compacts {
                run.journal.compact();
                run.sync();
            }
            let disk = disk.after_kill();
            let found = Run::begin(&disk, &with(reads), &on_boot("b")).unwrap().found;
            assert_eq!(found.lost_tail, lost, "{wrote:?}, then {reads:?}, {compacts}");
        }
    }
}

#[test]
fn a_crash_loop_that_no_list_of_runs_can_show_is_refused() {
    for (starts, good) in [(0, false), (1, true), (10, true), (11, false), (usize::MAX, false)] {
        let options = Options { crash_loop_starts: starts, ..options() };
        let begun = Run::begin(&MemDisk::new(), &options, &facts(NOON));
        assert_eq!(begun.is_ok(), good, "{starts}");
        if let Err(error) = begun {
            assert!(error.to_string().contains("crash_loop_starts"), "{error}");
        }
    }
}

#[test]
fn the_window_of_a_crash_loop_ends_after_ten_minutes_to_the_millisecond() {
    for (last, looping) in [(599_999, true), (600_000, false)] {
        let mut disk = MemDisk::new();
        let mut found = false;
        for at in [-1, 0, 1, last] {
            found = Run::begin(&disk, &options(), &facts(NOON + at)).unwrap().found.crash_loop;
            disk = disk.after_kill();
        }
        assert_eq!(found, looping, "{last}");
        // A clock that went back makes no start disappear.
        let back = Run::begin(&disk, &options(), &facts(NOON - DAY)).unwrap().found;
        assert!(back.crash_loop);
    }
}

// --- run numbers ---

#[test]
fn a_run_number_is_not_given_twice_when_only_the_record_log_is_left() {
    let mut disk = MemDisk::new();
    for number in 1..=3 {
        let mut run = Run::start(&disk);
        run.row(0, NOON, &format!("row of run {number}"));
        run.sync();
        disk = disk.after_kill();
    }
    for name in [names(&disk, ".seg"), names(&disk, ".cmp")].concat() {
        disk.remove(&name).unwrap();
    }
    assert!(Run::begin(&disk, &options(), &facts(NOON)).is_err());
    let run = Run::begin(&disk, &rebuilding(), &facts(NOON)).unwrap();
    assert_eq!((run.found.run, run.found.ended), (4, Ended::Rebuilt));
}

#[test]
fn a_run_number_is_not_given_twice_when_the_header_that_named_it_is_damaged() {
    // Headers of the newest segments that are damaged, and whether the compactions, which name runs too, are there.
    for (lost, compactions) in [(1, true), (2, true), (3, true), (1, false), (2, false), (3, false)]
    {
        // All segments are there without compactions.
        let options = Options { recording: !compactions, ..options() };
        let rebuilding = Options { rebuild: true, ..options.clone() };
        let mut disk = MemDisk::new();
        let mut seen = Seq::ZERO;
        for number in 0..4 {
            let mut run = Run::begin(&disk, &options, &facts(NOON)).unwrap();
            assert_eq!(run.found.run, number + 1);
            run.put("orders", "1", &number.to_string());
            run.sync();
            // Of what was only appended nothing has left.
            seen = run.journal.written();
            disk = disk.after_kill();
        }
        let segments = names(&disk, ".seg");
        for name in segments.iter().rev().take(lost) {
            disk.damage(name, |bytes| bytes[9] ^= 1);
        }
        for name in names(&disk, ".cmp").iter().filter(|_| !compactions) {
            disk.remove(name).unwrap();
        }
        if lost == 2 && !compactions {
            // Nothing is left of run 3: only the record that begins run 4 says which one it is.
            disk.remove(&segments[2]).unwrap();
        }
        assert!(Run::begin(&disk, &options, &facts(NOON)).is_err(), "{lost}");
        let run = Run::begin(&disk, &rebuilding, &facts(NOON)).unwrap();
        assert_eq!(run.found.run, 5, "{lost}");
        assert!(run.journal.appended() > seen, "{lost}");
    }
}

// --- spare segments and room ---

#[test]
fn a_spare_segment_whose_sync_fails_again_and_again_does_not_fill_the_disk() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for number in 0..400 {
        run.put("orders", "1", &format!("{number:0400}"));
        run.now += options().space_every;
        while let Some(job) = run.job() {
            match &job.op {
                Op::Sync { name } if name.starts_with("spare-") => {
                    let error = io::Error::other("the disk says no");
                    run.journal.done(run.now, job.id, Err(error));
                }
                _ => run.act(&job),
            }
        }
        let most = options().spares + 2;
        assert!(names(&disk, "spare-").len() <= most, "{:?}", names(&disk, "spare-"));
        if run.journal.failure().is_some() {
            break;
        }
    }
    assert!(run.journal.failure().is_some(), "unsynced spare segments are never used");
    let again = Run::start(&disk.after_kill());
    assert_eq!(model(again.found.entries).len(), 1);
}

/// Of each operation: a file whose name begins like this cannot be changed for a while. The state is what was appended
/// as far as it is written, and once there is room again everything is done that was not. Spare segments are among those
/// that end the run: the header of the next segment is written into one before it has its name.
#[test]
fn each_kind_of_file_can_be_refused_for_a_while_and_nothing_is_lost() {
    for (files, ends) in
        [("spare", true), ("compaction", false), ("records", false), ("0000", true)]
    {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        run.sync();
        let mut expected = Vec::new();
        for number in 0..24 {
            if number == 6 {
                disk.refuse(files, Some(io::ErrorKind::StorageFull));
            }
            if run.journal.failure().is_some() {
                break;
            }
            run.row(number, NOON, &format!("row {number}"));
            run.put("orders", &number.to_string(), &"x".repeat(500));
            expected.push(format!("row {number}"));
            run.pass(Duration::from_secs(11));
        }
        assert_eq!(run.journal.failure().is_some(), ends, "{files}");
        disk.refuse("", None);
        if !ends {
            run.put("orders", "last", "x");
            run.journal.compact();
            run.pass(Duration::from_secs(30));
            assert_eq!(run.journal.status().room, Room::Plenty, "{files}");
            assert_eq!(logged(&disk), expected, "{files}");
            assert!(!run.journal.is_busy(), "{files}");
        }
        let written = run.journal.written();
        let live = run.entries();
        let again = Run::start(&disk.after_kill());
        assert!(again.found.last >= written);
        assert_eq!(model(again.found.entries), live, "{files}");
        assert!(logged(&again.disk).len() + 1 >= expected.len(), "{files}");
    }
}

#[test]
fn a_compaction_or_month_that_could_not_be_written_leaves_its_room_to_the_journal() {
    for (first, part) in
        [("write compaction.tmp", "compaction"), ("write records/2026-11.log.zst", ".zst")]
    {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        run.row(0, NOON, "november");
        run.put("orders", "1", "live");
        run.sync();
        run.row(1, NOON + 40 * DAY, "december");
        run.put("orders", "1", "changed");
        let mut refused = 0;
        run.journal.want_sync(run.journal.appended());
        run.journal.compact();
        for _ in 0..200 {
            let Some(job) = run.job() else { break };
            let fails = match &job.op {
                Op::Write { name, .. } => format!("write {name}") == first,
                Op::Compress { to, .. } => format!("write {to}").starts_with(first),
                _ => false,
            };
            if fails {
                refused += 1;
                // As much as fitted is there.
                let name = first.strip_prefix("write ").unwrap().to_owned();
                let name = if part == ".zst" { name + ".tmp" } else { name };
                disk.put(&name, vec![1; 3_000]);
                let error = io::Error::new(io::ErrorKind::StorageFull, "no space left");
                run.journal.done(run.now, job.id, Err(error));
            } else {
                run.act(&job);
            }
        }
        assert!(refused > 0, "{first}");
        let left: Vec<String> = ["", "records"]
            .into_iter()
            .flat_map(|folder| disk.list(folder).unwrap())
            .map(|(name, _)| name)
            .filter(|name| name.contains(part) && name.ends_with(".tmp"))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{first}");
        run.pass(Duration::from_secs(30));
        assert!(!run.journal.is_busy());
        assert_eq!(logged(&disk), ["november", "december"]);
    }
}

#[test]
fn housekeeping_that_hangs_holds_no_write_and_is_reported_when_it_is_far_behind() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.sync();
    let mut hung = None;
    let mut slow = false;
    for number in 0..300 {
        let seq = run.put("orders", "1", &format!("{number:0900}"));
        run.row(number, NOON, "row");
        run.now += Duration::from_millis(100);
        run.journal.want_sync(run.journal.appended());
        while let Some(job) = run.job() {
            let log = matches!(&job.op, Op::Sync { name } if name.starts_with("records/"));
            if log && hung.is_none() {
                hung = Some(job);
            } else {
                run.act(&job);
            }
        }
        slow |= run.journal.status().slow;
        if slow || run.journal.failure().is_some() {
            break;
        }
        // No spare segment can be allocated either, so that the reserve and the run end some time.
        assert!(run.journal.synced() >= seq || run.journal.status().room > Room::Plenty);
    }
    let job = hung.unwrap();
    assert!(slow, "entries wait while the disk's other work does not come back");
    assert!(!run.journal.status().admits_entries());
    run.act(&job);
    run.pass(Duration::from_secs(30));
    assert!(!run.journal.status().slow && run.journal.failure().is_none());
}

// --- the record log ---

/// Rows in the log, of which the newest segments and, where `recording`, all segments are there as well.
fn with_log(recording: bool) -> (MemDisk, Vec<String>, Options) {
    let disk = MemDisk::new();
    let options = Options { recording, ..options() };
    let mut run = Run::begin(&disk, &options, &facts(NOON)).unwrap();
    let mut expected = Vec::new();
    for number in 0..60 {
        run.row(number, NOON, &format!("row {number}"));
        expected.push(format!("row {number}"));
        run.put("orders", "1", &format!("{number:0500}"));
        run.pass(Duration::from_secs(12));
        if number % 6 == 5 {
            run.journal.compact();
            run.sync();
        }
    }
    run.stop();
    (disk.after_kill(), expected, options)
}

#[test]
fn a_flipped_byte_of_the_record_log_is_repaired_from_the_segments_or_refused() {
    for recording in [true, false] {
        let (disk, expected, options) = with_log(recording);
        assert_eq!(logged(&disk), expected);
        let len = disk.read("records/2026-11.log").unwrap().len();
        let (mut repaired, mut refused) = (0, 0);
        for at in (0..len).step_by(37) {
            let disk = disk.after_kill();
            disk.damage("records/2026-11.log", |bytes| bytes[at] ^= 0x10);
            match Run::begin(&disk, &options, &facts(NOON)) {
                Ok(_) => {
                    assert_eq!(logged(&disk), expected, "recording {recording}, byte {at}");
                    repaired += 1;
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("records/2026-11.log"), "{text}");
                    assert!(!recording, "all of it is in the segments: {text}");
                    let rebuilding = Options { rebuild: true, ..options.clone() };
                    let run = Run::begin(&disk, &rebuilding, &facts(NOON)).unwrap();
                    assert_eq!(run.found.ended, Ended::Rebuilt);
                    refused += 1;
                }
            }
            let kept: usize =
                names(&disk, "-2026-11-").iter().map(|name| disk.read(name).unwrap().len()).sum();
            assert!(kept > 0, "what is cut off the log is kept aside: byte {at}");
        }
        assert!(repaired > 0 && (refused > 0) != recording, "{repaired} {refused}");
    }
}

#[test]
fn a_reader_of_the_log_does_not_take_damage_for_its_end() {
    let (disk, expected, _) = with_log(true);
    let len = disk.read("records/2026-11.log").unwrap().len();
    for at in (0..len).step_by(61) {
        let disk = disk.after_kill();
        disk.damage("records/2026-11.log", |bytes| bytes[at] ^= 1);
        let found: Vec<_> = read_log(&disk).unwrap().collect();
        let good = found.iter().filter(|row| row.is_ok()).count();
        let named = found.last().is_some_and(Result::is_err);
        assert!(named || good + 1 >= expected.len(), "byte {at}: {good} rows and then silence");
    }
}

#[test]
fn rows_of_any_time_come_back_in_the_order_in_which_they_were_written() {
    let ends = [YEAR_END - 1, YEAR_END, YEAR_END + 31 * DAY, YEAR_END + 365 * DAY];
    let times: Vec<i64> = [i64::MIN, -62_198_755_200_000, -1, 0].into_iter().chain(ends).collect();
    let all: Vec<i64> = times.iter().copied().chain([i64::MAX, NOON]).collect();
    for first in 0..all.len() {
        let mut disk = MemDisk::new();
        let mut expected = Vec::new();
        for (number, at) in all[first..].iter().enumerate() {
            let mut run = Run::start(&disk);
            run.row(number as u32, *at, &format!("{at}"));
            run.sync();
            run.journal.compact();
            run.sync();
            expected.push(format!("{at}"));
            assert_eq!(logged(&disk), expected);
            disk = disk.after_kill();
            assert_eq!(run.journal.cursor().n, number as u32);
        }
        let again = Run::start(&disk);
        assert_eq!(again.journal.cursor().n as usize + 1, expected.len());
        assert_eq!(logged(&disk), expected);
    }
}

/// Whatever stops the run, and whatever the loss of power leaves: a row that was synced is in the log or in a segment,
/// each once, and the log is in order over the end of a year.
#[test]
fn a_synced_row_is_always_in_the_log_or_in_a_segment() {
    for seed in 0..cases(60) {
        let mut draw = Draw(seed);
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        let mut at = YEAR_END - 3 * DAY;
        let mut rows: Vec<(Seq, String)> = Vec::new();
        for number in 0..40 + draw.below(60) {
            if run.journal.failure().is_some() {
                break;
            }
            at += draw.below(DAY as u64 / 4) as i64;
            let body = format!("row {number}");
            rows.push((run.row(number as u32, at, &body), body));
            run.put("orders", &draw.below(4).to_string(), &"x".repeat(draw.below(900) as usize));
            run.now += Duration::from_millis(draw.below(4_000));
            if draw.hits(40) {
                run.journal.compact();
            }
            if draw.hits(40) {
                let part = ["records", "compaction", "spare"][draw.below(3) as usize];
                disk.refuse(part, draw.hits(90).then_some(io::ErrorKind::StorageFull));
            }
            for _ in 0..draw.below(12) {
                let Some(job) = run.job() else { break };
                run.act(&job);
            }
        }
        let synced = run.journal.synced();
        disk.refuse("", None);
        let disk = match seed % 3 {
            0 => disk.after_kill(),
            1 => disk.after_power_loss(seed, 0),
            _ => disk.after_power_loss(seed, 128),
        };
        let mut kept: BTreeSet<String> = logged(&disk).into_iter().collect();
        read_records(&disk, Seq(1), |record| {
            if let Ok((_, row)) = Row::decode(record.frame.payload)
                && record.frame.kind == polydesk_journal::Kind::Record
            {
                kept.insert(String::from_utf8_lossy(row.body).into_owned());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        let sure: Vec<&String> =
            rows.iter().filter(|(seq, _)| *seq <= synced).map(|(_, body)| body).collect();
        for body in &sure {
            assert!(kept.contains(*body), "seed {seed}: {body}");
        }
        Run::start(&disk);
        let found = logged(&disk);
        let all: Vec<&String> = rows.iter().map(|(_, body)| body).collect();
        assert!(found.len() >= sure.len(), "seed {seed}");
        assert!(found.iter().eq(all[..found.len()].iter().copied()), "seed {seed}: {found:?}");
    }
}

// --- the latch ---

fn killed(why: &str) -> LatchState {
    let (by, via) = ("operator".to_owned(), "desk".to_owned());
    let state = Latch::Killed;
    LatchState { v: LATCH_VERSION, state, at: NOON, by, via, why: why.to_owned(), run: 1 }
}

#[test]
fn a_kill_of_another_process_is_not_overwritten_by_one_that_tears() {
    for torn in 0..512 {
        let disk = MemDisk::new();
        let mut own = Run::start(&disk).found.latch;
        let mut other = LatchFile::read(&disk).unwrap().0;
        other.write(&disk, &killed("by the other process")).unwrap();
        other.sync(&disk).unwrap();
        disk.fault(disk.ops() + 1, Fault::Torn(torn));
        assert!(own.write(&disk, &killed("by this one")).is_err());
        let found = LatchFile::read(&disk.after_kill()).unwrap().1;
        assert!(matches!(found, Kill::Killed(_)), "{torn}: {found:?}");
    }
}

// --- beside a writer ---

#[test]
fn a_reader_between_any_two_operations_of_the_writer_sees_a_state_that_was() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    let mut states: Vec<(Seq, Model)> = vec![(run.journal.appended(), run.entries())];
    let mut live = Model::new();
    for number in 0..60 {
        let (key, value) = (format!("{}", number % 5), format!("{number:0700}"));
        live.insert(("orders".to_owned(), key.clone().into_bytes()), value.clone().into_bytes());
        states.push((run.put("orders", &key, &value), live.clone()));
        run.row(number, NOON + i64::from(number) * DAY, "row");
        run.now += Duration::from_secs(3);
        if number % 7 == 0 {
            run.journal.compact();
        }
        run.journal.want_sync(run.journal.appended());
        while let Some(job) = run.job() {
            run.act(&job);
            let written = run.journal.written();
            let seen = read_state(&disk, &options()).unwrap();
            assert!(seen.last >= written, "{} {written}", seen.last);
            let of = states.iter().rev().find(|(seq, _)| *seq <= seen.last).unwrap();
            assert_eq!(text(&model(seen.entries)), text(&of.1));
            assert_eq!((seen.run, seen.ended), (1, Ended::Unclean));
            assert_eq!(seen.notes, []);
        }
    }
}

// --- a start that dies ---

/// Ten starts in a row that are killed at a drawn operation each: the state, the questions and the latch stay, only
/// run numbers are used up, and the loop is reported.
#[test]
fn starts_that_die_one_after_another_use_up_run_numbers_and_nothing_else() {
    for seed in 0..cases(40) {
        let mut draw = Draw(seed);
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        for number in 0..20 {
            run.put("orders", &number.to_string(), "live");
            run.row(number, NOON, &format!("row {number}"));
        }
        run.put("wire", "0xhash", "sent");
        run.sync();
        run.found.latch.write(&disk, &killed("before")).unwrap();
        run.found.latch.sync(&disk).unwrap();
        let (live, rows) = (run.entries(), logged(&disk));
        let mut disk = disk.after_kill();
        let mut last = 1;
        for start in 0..10 {
            disk.fault(1 + draw.below(60), Fault::Torn(draw.below(200) as usize));
            if let Ok(run) = Run::begin(&disk, &options(), &facts(NOON + start)) {
                assert!(run.found.run > last, "seed {seed}");
                last = run.found.run;
            }
            disk = match draw.below(3) {
                0 => disk.after_power_loss(draw.number(), 100),
                _ => disk.after_kill(),
            };
        }
        let run = Run::begin(&disk, &options(), &facts(NOON + 10)).unwrap();
        assert!(run.found.run > last && run.found.run <= 12, "seed {seed}: {}", run.found.run);
        assert_eq!(model(run.found.entries), live, "seed {seed}");
        assert_eq!(logged(&disk), rows, "seed {seed}");
        assert_eq!(run.found.kill, Kill::Killed(killed("before")), "seed {seed}");
        assert_eq!(run.found.crash_loop, run.found.run > 3, "seed {seed}: {}", run.found.run);
    }
}

#[test]
fn the_record_of_a_run_names_the_state_that_it_began_with() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.sync();
    let hash = run.journal.entries().1.hash();
    let again = Run::start(&disk.after_kill());
    assert_eq!(again.found.state_hash, hash);
    let mut seen = Vec::new();
    read_records(&again.disk, Seq(1), |record| {
        if let Ok(run) = decode_run(record.frame.payload) {
            seen.push((run.run, run.state_hash, run.after));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen.last(), Some(&(2, hash, again.found.last)));
}

#[test]
fn soft_memory_and_market_rows_never_take_the_room_of_facts() {
    let disk = MemDisk::new();
    let options = Options { buffer_bytes: 32 << 10, ..options() };
    let mut run = Run::begin(&disk, &options, &facts(NOON)).unwrap();
    // The disk hangs: nothing is written.
    let mut market = 0;
    for _ in 0..200 {
        let appended = run.journal.append(&Payload::Input(&[1; 400]), Class::Market);
        market += usize::from(appended.is_ok());
    }
    assert_eq!(market, 200, "a dropped row is no error");
    assert!(run.journal.status().dropping && !run.journal.status().full);
    let mut facts = 0;
    while run.journal.append(&Payload::Input(&[2; 400]), Class::Fact).is_ok() {
        facts += 1;
    }
    assert!(facts >= 30, "half of the buffer belongs to facts: {facts}");
    assert!(run.journal.status().must_halt());
}
