//! What a start owes after trouble that the other modules do not try: a start that dies itself, damage of the record
//! log, two writers of the latch, errors of one operation again and again.

use std::ops::ControlFlow;
use std::time::Duration;

use polydesk_journal::{
    Class, Disk, Draw, Durable, Ended, Fault, Kill, LATCH_VERSION, Latch, LatchFile, LatchState,
    MemDisk, Options, Payload, RunFacts, Seq, decode_run, read_log, read_records, read_state,
};

use crate::harness::{Model, NOON, Run, cases, facts, model, options, text};

const DAY: i64 = 86_400_000;

fn on_boot(boot: &str) -> RunFacts {
    RunFacts { boot: boot.to_owned(), ..facts(NOON) }
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
/// run numbers are used up, and the loop is told.
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
