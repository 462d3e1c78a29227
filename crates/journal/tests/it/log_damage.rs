//! Damage of the record log: what the segments have comes back, the rest is refused or named, and nothing is thrown away.

use std::io::{self, ErrorKind};
use std::time::Duration;

use polydesk_journal::{
    Damage, Disk, Draw, Ended, Fault, Lane, MemDisk, Note, Options, RecoverError, Space, read_log,
    read_records, recover,
};

use crate::harness::{NOON, Run, cases, facts, options};

const DAY: i64 = 86_400_000;
const OPEN: &str = "records/2026-12.log";
const PACKED: &str = "records/2026-11.log.zst";

fn rebuilding(options: &Options) -> Options {
    Options { rebuild: true, ..options.clone() }
}

fn bodies(disk: &MemDisk) -> Vec<String> {
    let body = |row: polydesk_journal::LogRow| String::from_utf8(row.body).unwrap();
    read_log(disk).unwrap().map(|row| body(row.unwrap())).collect()
}

fn kept(disk: &MemDisk) -> Vec<String> {
    let names = disk.list("").unwrap().into_iter().map(|(name, _)| name);
    names.filter(|name| name.starts_with("cut-")).collect()
}

/// A log of two months, the first one compressed. The segments have everything while `recording`, otherwise the last
/// few rows of the second month.
struct Log {
    disk: MemDisk,
    options: Options,
    rows: Vec<String>,
    /// Where each row of the open month begins, and where the last one ends.
    starts: Vec<usize>,
}

/// Rows of the first month.
const FIRST: usize = 20;

fn log(recording: bool) -> Log {
    let disk = MemDisk::new();
    let options = Options { recording, ..options() };
    let mut run = Run::begin(&disk, &options, &facts(NOON)).unwrap();
    let mut rows = Vec::new();
    for number in 0..2 * FIRST {
        let at = NOON + if number < FIRST { 0 } else { 30 * DAY };
        rows.push(format!("row {number}"));
        run.row(number as u32, at, &rows[number]);
        run.put("orders", "1", &format!("{number:0700}"));
        run.pass(Duration::from_secs(12));
        if number % 4 == 3 {
            run.journal.compact();
            run.sync();
        }
    }
    run.stop();
    let disk = disk.after_kill();
    assert_eq!(bodies(&disk), rows);
    let bytes = disk.read(OPEN).unwrap();
    let mut starts = vec![0];
    while starts[starts.len() - 1] < bytes.len() {
        let at = starts[starts.len() - 1];
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        starts.push(at + (20 + len).next_multiple_of(8));
    }
    assert_eq!(starts.len(), FIRST + 1);
    Log { disk, options, rows, starts }
}

impl Log {
    fn start(&self, disk: &MemDisk) -> Result<Run, RecoverError> {
        Run::begin(disk, &self.options, &facts(NOON))
    }

    fn rebuild(&self, disk: &MemDisk) -> Run {
        Run::begin(disk, &rebuilding(&self.options), &facts(NOON)).unwrap()
    }

    /// All rows without those of the open month with these numbers in it.
    fn without(&self, lost: std::ops::Range<usize>) -> Vec<String> {
        let lost = FIRST + lost.start..FIRST + lost.end;
        let numbered = self.rows.iter().enumerate();
        numbered.filter(|(at, _)| !lost.contains(at)).map(|(_, row)| row.clone()).collect()
    }

    /// A later start finds nothing to say, and the log goes on.
    fn goes_on(&self, mut run: Run) {
        let before = bodies(&run.disk);
        run.row(0, NOON + 31 * DAY, "after");
        run.sync();
        let again = self.start(&run.disk.after_kill()).unwrap();
        assert_eq!(again.found.notes, []);
        let after = bodies(&again.disk);
        assert_eq!((&after[..before.len()], after[before.len()].as_str()), (&before[..], "after"));
    }
}

#[test]
fn every_row_that_is_damaged_comes_back_while_the_segments_have_it_and_is_named_otherwise() {
    for recording in [true, false] {
        let log = log(recording);
        let (mut filled, mut lost) = (0, 0);
        for first in 0..FIRST {
            for last in first..FIRST {
                let disk = log.disk.after_kill();
                let (from, to) = (log.starts[first], log.starts[last + 1]);
                disk.damage(OPEN, |bytes| bytes[from..to].fill(0xaa));
                let run = match log.start(&disk) {
                    Ok(run) => {
                        filled += 1;
                        assert_eq!(bodies(&disk), log.rows, "{first} to {last}");
                        assert_eq!(run.found.ended, Ended::Stopped);
                        run
                    }
                    Err(RecoverError::Damage(Damage::Rows { file, offset, .. })) => {
                        lost += 1;
                        assert_eq!((file.as_str(), offset), (OPEN, from), "{first} to {last}");
                        assert!(kept(&disk).is_empty(), "nothing was changed");
                        let run = log.rebuild(&disk);
                        assert_eq!(run.found.ended, Ended::Rebuilt);
                        run
                    }
                    Err(other) => panic!("{first} to {last}: {other}"),
                };
                let [Note::LogDamage { file, offset, bytes, after, before, found, lost, kept }] =
                    &run.found.notes[..]
                else {
                    panic!("{first} to {last}: {:?}", run.found.notes);
                };
                assert_eq!((file.as_str(), *offset, *bytes), (OPEN, from, to - from));
                assert!(before.is_none_or(|before| before > *after));
                assert_eq!(before.is_none(), last + 1 == FIRST);
                // The segments have the last rows: the first ones of the damaged place are those that are missing.
                let missing = last + 1 - first - found;
                assert!(*lost || missing == 0, "{first} to {last}: {missing}");
                assert_eq!(bodies(&disk), log.without(first..first + missing), "{first} to {last}");
                let kept = disk.read(kept).unwrap();
                assert_eq!((kept.len(), kept[0]), (to - from, 0xaa));
                log.goes_on(run);
            }
        }
        assert!(filled >= 6 && (lost >= 6) != recording, "{filled} filled, {lost} lost");
    }
}

#[test]
fn several_damaged_places_of_several_months_are_filled_at_once() {
    let log = log(true);
    let disk = log.disk.after_kill();
    let packed = disk.read(PACKED).unwrap();
    disk.damage(PACKED, |bytes| bytes[10..].fill(7));
    let at = [log.starts[0], log.starts[3], log.starts[4] + 9, log.starts[FIRST] - 1];
    disk.damage(OPEN, |bytes| at.iter().for_each(|at| bytes[*at] ^= 0xff));
    let run = log.start(&disk).unwrap();
    assert_eq!(bodies(&disk), log.rows);
    assert_eq!(run.found.notes.len(), 4, "two rows are one place: {:?}", run.found.notes);
    assert_eq!(kept(&disk).len(), 4);
    let aside = kept(&disk).into_iter().find(|name| name.ends_with(".zst")).unwrap();
    assert_eq!(disk.read(&aside).unwrap()[..10], packed[..10]);
    log.goes_on(run);
}

#[test]
fn a_month_that_lost_rows_within_and_at_its_end_is_whole_afterwards() {
    let log = log(false);
    let disk = log.disk.after_kill();
    disk.damage(OPEN, |bytes| {
        bytes[log.starts[1]..log.starts[3]].fill(8);
        bytes.extend_from_slice(&[8; 100]);
    });
    let run = log.rebuild(&disk);
    assert_eq!(bodies(&disk), log.without(1..3));
    assert_eq!(disk.read(OPEN).unwrap().len(), log.starts[FIRST] - (log.starts[3] - log.starts[1]));
    log.goes_on(run);
}

/// Names may reach the disk in any order until their folder is synced.
#[test]
fn a_month_that_is_written_again_has_its_name_before_the_compressed_file_goes() {
    let log = log(true);
    let disk = log.disk.after_kill();
    disk.damage(PACKED, |bytes| bytes.fill(1));
    log.start(&disk).unwrap();
    let ops = disk.log();
    let at = |op: &str| ops.iter().position(|done| done == op).unwrap();
    let named = at("rename records/2026-11.log.tmp to records/2026-11.log");
    let gone = at(&format!("rename {PACKED} to cut-2-2026-11.log.zst"));
    let synced = ops[named..gone].iter().any(|op| op == "sync folder \"records\"");
    assert!(synced, "{:?}", &ops[named..=gone]);
}

/// The start that repairs is killed before each of its operations, without and with a loss of power after it.
#[test]
fn a_repair_that_is_killed_at_any_operation_is_done_by_the_next_start() {
    let log = log(true);
    type Change = fn(&MemDisk, &Log);
    let cases: [(&str, Change); 4] = [
        ("within", |disk, log| disk.damage(OPEN, |bytes| bytes[log.starts[5] + 30] ^= 1)),
        ("at its end", |disk, log| disk.damage(OPEN, |bytes| bytes[log.starts[FIRST] - 9] ^= 1)),
        ("both", |disk, log| {
            let at = [log.starts[5] + 30, log.starts[FIRST] - 9];
            disk.damage(OPEN, |bytes| at.iter().for_each(|at| bytes[*at] ^= 1));
        }),
        ("compressed", |disk, _| disk.damage(PACKED, |bytes| bytes[6] ^= 0xff)),
    ];
    for (case, change) in cases {
        for op in 1.. {
            // Everything is synced before the damage.
            let disk = log.disk.after_power_loss(1, 255);
            change(&disk, &log);
            disk.fault(op, Fault::Crash);
            let started = log.start(&disk);
            let finished = started.is_ok() && disk.ops() < op;
            let after = [
                disk.after_kill(),
                disk.after_power_loss(op, 0),
                disk.after_power_loss(op, 128),
                disk.after_power_loss(op, 255),
            ];
            for (number, disk) in after.into_iter().enumerate() {
                let run = log.start(&disk).unwrap_or_else(|error| {
                    panic!("{case}, op {op}, {number}: {error}");
                });
                assert_eq!(bodies(&disk), log.rows, "{case}, op {op}, {number}");
                assert!(!kept(&disk).is_empty(), "{case}, op {op}, {number}");
                log.goes_on(run);
            }
            if finished {
                assert!(op > 12, "{case}: {op}");
                break;
            }
        }
    }
}

#[test]
fn a_newest_compressed_month_that_cannot_be_used_is_filled_or_kept_aside_and_named() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change); 5] = [
        ("empty", Vec::clear),
        ("half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("noise", |bytes| bytes.fill(0x5a)),
        ("a damaged row", |bytes| {
            let mut plain = zstd::stream::decode_all(bytes.as_slice()).unwrap();
            plain[100] ^= 1;
            *bytes = zstd::stream::encode_all(plain.as_slice(), 3).unwrap();
        }),
        ("no last row", |bytes| {
            let mut plain = zstd::stream::decode_all(bytes.as_slice()).unwrap();
            plain.truncate(plain.len() - 3);
            *bytes = zstd::stream::encode_all(plain.as_slice(), 3).unwrap();
        }),
    ];
    for (case, change) in cases {
        for recording in [true, false] {
            let log = log(recording);
            let disk = log.disk.after_kill();
            disk.damage(PACKED, change);
            let damaged = disk.read(PACKED).unwrap();
            let started = log.start(&disk);
            assert_eq!(started.is_ok(), recording, "{case}");
            let run = started.unwrap_or_else(|error| {
                let text = error.to_string();
                assert!(text.contains(PACKED) && text.contains("--rebuild"), "{case}: {text}");
                assert!(kept(&disk).is_empty(), "{case}: nothing was changed");
                log.rebuild(&disk)
            });
            let aside = "cut-2-2026-11.log.zst";
            assert_eq!(disk.read(aside).unwrap(), damaged, "{case}");
            let text =
                run.found.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            assert!(text.contains(PACKED) && text.contains(aside), "{case}: {text}");
            assert_eq!(text.contains("lost"), !recording, "{case}: {text}");
            let expected = match (recording, case) {
                (true, _) => log.rows.clone(),
                (_, "a damaged row") => [&log.rows[..1], &log.rows[2..]].concat(),
                (_, "no last row") => [&log.rows[..FIRST - 1], &log.rows[FIRST..]].concat(),
                _ => log.rows[FIRST..].to_vec(),
            };
            assert_eq!(bodies(&disk), expected, "{case}");
            let mut run = run;
            run.settle();
            assert!(disk.read(PACKED).is_ok(), "{case}: what is left of it is compressed again");
            log.goes_on(run);
        }
    }
}

/// A disk with a bad block in the compressed month: it can be renamed and not read.
struct BadBlock(MemDisk);

impl Disk for BadBlock {
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        self.0.list(folder)
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        if name == PACKED {
            return Err(io::Error::other("a bad block"));
        }
        self.0.read(name)
    }
    fn create(&self, name: &str, len: u64) -> io::Result<()> {
        self.0.create(name, len)
    }
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(name, offset, bytes)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        self.0.sync(name)
    }
    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.0.truncate(name, len)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.0.sync_folder(folder)
    }
    fn space(&self) -> io::Result<Space> {
        self.0.space()
    }
}

#[test]
fn a_compressed_month_that_the_disk_cannot_read_is_kept_aside_with_rebuild() {
    let log = log(false);
    let disk = BadBlock(log.disk.after_kill());
    let error = recover(&disk, &log.options, &facts(NOON)).err().unwrap().to_string();
    assert!(error.contains("a bad block") && error.contains("--rebuild"), "{error}");
    let (_, found) = recover(&disk, &rebuilding(&log.options), &facts(NOON)).unwrap();
    let notes: Vec<String> = found.notes.iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.contains(PACKED)), "{notes:?}");
    assert_eq!(kept(&disk.0), ["cut-2-2026-11.log.zst"]);
    assert_eq!(bodies(&disk.0), log.rows[FIRST..]);
}

#[test]
fn a_compressed_month_that_is_damaged_gives_way_to_the_same_month_uncompressed() {
    for recording in [true, false] {
        let log = log(recording);
        let disk = log.disk.after_kill();
        let plain = zstd::stream::decode_all(disk.read(PACKED).unwrap().as_slice()).unwrap();
        disk.put("records/2026-11.log", plain);
        disk.damage(PACKED, |bytes| bytes.truncate(9));
        let run = log.start(&disk).unwrap();
        assert!(matches!(&run.found.notes[..], [Note::BadMonth { file, .. }] if file == PACKED));
        assert_eq!(bodies(&disk), log.rows);
        assert_eq!(kept(&disk), ["cut-2-2026-11.log.zst"]);
        log.goes_on(run);
    }
}

/// The row is the only one for a long time: the segments before it are gone.
#[test]
fn a_row_that_is_torn_while_it_is_copied_is_no_damage() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.row(0, NOON, "the first row");
    for number in 0..60 {
        run.put("orders", "1", &format!("{number:0700}"));
        run.pass(Duration::from_secs(12));
        run.journal.compact();
        run.sync();
    }
    let before = disk.read("records/2026-11.log").unwrap();
    run.row(1, NOON, "the second row");
    run.sync();
    let after = disk.read("records/2026-11.log").unwrap();
    let disk = disk.after_kill();
    let oldest = disk.list("").unwrap().into_iter().find(|(name, _)| name.ends_with(".seg"));
    assert_ne!(oldest.unwrap().0, "00000000000000000001.seg");
    for cut in before.len()..=after.len() {
        for zeros in [0, after.len() - cut] {
            let disk = disk.after_kill();
            let mut bytes = after[..cut].to_vec();
            bytes.resize(cut + zeros, 0);
            disk.put("records/2026-11.log", bytes);
            let run = Run::start(&disk);
            assert_eq!(run.found.notes, [], "{cut}, {zeros}");
            assert_eq!(bodies(&disk), ["the first row", "the second row"], "{cut}, {zeros}");
            assert!(kept(&disk).is_empty(), "{cut}, {zeros}");
        }
    }
    // Zeros behind the last row, of which the segments have everything: nothing was there.
    let longer = disk.after_kill();
    longer.put("records/2026-11.log", [after, vec![0; 64]].concat());
    let run = Run::start(&longer);
    assert!(matches!(&run.found.notes[..], [Note::LogDamage { lost: false, bytes: 64, .. }]));
    assert_eq!(bodies(&longer), ["the first row", "the second row"]);
    // Something else than the rows of the segments may have been one that they have no more.
    disk.put("records/2026-11.log", [before, vec![1; 200]].concat());
    let error = Run::begin(&disk, &options(), &facts(NOON)).err().unwrap();
    assert!(matches!(error, RecoverError::Damage(Damage::Rows { .. })), "{error}");
}

#[test]
fn rows_behind_a_hole_of_the_segments_do_not_come_into_the_log() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for number in 0..3 {
        run.row(number, NOON, &format!("row {number}"));
    }
    run.sync();
    let log = disk.read("records/2026-11.log").unwrap();
    // Written and never synced.
    run.row(3, NOON, "a damaged row");
    run.put("orders", "1", "x");
    run.row(4, NOON, "behind it");
    run.now += options().flush_every;
    while let Some(job) = run.job().filter(|job| job.lane == Lane::Write) {
        run.act(&job);
    }
    let disk = disk.after_kill();
    let segment = "00000000000000000001.seg";
    let needle = b"a damaged row";
    disk.damage(segment, |bytes| {
        let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
        bytes[at] ^= 1;
    });
    for at in [log.len() - 1, log.len() - 60, 40] {
        let disk = disk.after_kill();
        disk.damage("records/2026-11.log", |bytes| bytes[at] ^= 0xff);
        let run = Run::start(&disk);
        assert!(run.found.cut, "byte {at}");
        assert_eq!(bodies(&disk), ["row 0", "row 1", "row 2"], "byte {at}");
    }
}

/// Whatever happened before and wherever the log is damaged: no synced row goes without a word, none comes twice, and
/// the order stays.
#[test]
fn no_row_of_a_damaged_log_goes_without_a_word() {
    let (mut filled, mut refused) = (0, 0);
    for seed in 0..cases(150) {
        let mut draw = Draw(seed);
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        let mut at = NOON;
        let mut rows = Vec::new();
        for number in 0..30 + draw.below(40) {
            at += draw.below(DAY as u64 * 2) as i64;
            let body = format!("row {number}{}", "-".repeat(draw.below(50) as usize));
            rows.push((run.row(number as u32, at, &body), body));
            run.put("orders", "1", &"x".repeat(draw.below(900) as usize));
            run.pass(Duration::from_millis(draw.below(4_000)));
            if draw.hits(50) {
                run.journal.compact();
            }
        }
        let synced = run.journal.synced();
        let disk = match seed % 3 {
            0 => disk.after_kill(),
            1 => disk.after_power_loss(seed, 0),
            _ => disk.after_power_loss(seed, 128),
        };
        let sure = rows.iter().take_while(|(seq, _)| *seq <= synced).count();
        let all: Vec<String> = rows.into_iter().map(|(_, body)| body).collect();
        let months: Vec<String> =
            disk.list("records").unwrap().into_iter().map(|(name, _)| name).collect();
        for _ in 0..=draw.below(3) {
            // The two newest files: older ones are read by readers only.
            let newest = months.len() - 1 - draw.below(2.min(months.len() as u64)) as usize;
            disk.damage(&format!("records/{}", months[newest]), |bytes| {
                let from = draw.below(bytes.len() as u64) as usize;
                let to = (from + 1 + draw.below(120) as usize).min(bytes.len());
                bytes[from..to].fill(0xff);
            });
        }
        let run = match Run::begin(&disk, &options(), &facts(NOON)) {
            Ok(run) => {
                filled += 1;
                let found = bodies(&disk);
                assert!(found.len() >= sure && found[..] == all[..found.len()], "seed {seed}");
                run
            }
            Err(RecoverError::Damage(Damage::Rows { .. })) => {
                refused += 1;
                let run = Run::begin(&disk, &rebuilding(&options()), &facts(NOON)).unwrap();
                let lost = |note: &Note| matches!(note, Note::LogDamage { lost: true, .. });
                assert!(run.found.notes.iter().any(lost), "seed {seed}: {:?}", run.found.notes);
                let mut rest = all.iter();
                assert!(bodies(&disk).iter().all(|row| rest.any(|of| of == row)), "seed {seed}");
                run
            }
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let before = bodies(&run.disk);
        let again = Run::start(&run.disk.after_kill());
        assert_eq!((again.found.notes, bodies(&again.disk)), (Vec::new(), before), "seed {seed}");
    }
    assert!(filled > 0 && (refused > 0 || cases(150) < 150), "{filled} {refused}");
}

// --- readers ---

#[test]
fn a_reader_takes_only_what_can_be_a_row_on_its_way_for_the_end() {
    let log = log(true);
    let bytes = log.disk.read(OPEN).unwrap();
    let read = |bytes: Vec<u8>| {
        let disk = log.disk.after_kill();
        disk.put(OPEN, bytes);
        let rows: Vec<_> = read_log(&disk).unwrap().skip(FIRST).collect();
        let good = rows.iter().filter(|row| row.is_ok()).count();
        (good, rows.into_iter().find_map(Result::err).map(|error| error.to_string()))
    };
    let before = |at: usize| log.starts.iter().filter(|start| **start <= at).count() - 1;
    for cut in 0..=bytes.len() {
        assert_eq!(read(bytes[..cut].to_vec()), (before(cut), None), "cut at {cut}");
    }
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            let (good, error) = read(changed);
            let row = before(at);
            assert_eq!(good, row, "byte {at}");
            match error {
                Some(error) => {
                    let place = format!("{OPEN}, byte {}", log.starts[row]);
                    assert!(error.contains(&place), "byte {at}: {error}");
                }
                // The last one may announce more bytes than there are.
                None => assert!(row + 1 == FIRST && at - log.starts[row] < 4, "byte {at}"),
            }
        }
    }
    let with = |more: &[u8]| read([&bytes, more].concat());
    assert_eq!(with(&[0; 4_096]), (FIRST, None));
    assert_eq!(with(&[9; 19]), (FIRST, None));
    assert!(with(&[9; 64]).1.is_some());
    // A head that announces more is that of a row, and of a later one.
    let mut head = bytes[log.starts[FIRST - 1]..][..24].to_vec();
    head[1] = 0xff;
    assert!(with(&head).1.is_some(), "the row that is there already");
    head[15] = 1;
    assert_eq!(with(&head), (FIRST, None));
    head[16] = 3;
    assert!(with(&head).1.is_some(), "a delta");
}

#[test]
fn a_finished_month_has_no_row_on_its_way() {
    let log = log(true);
    let plain = zstd::stream::decode_all(log.disk.read(PACKED).unwrap().as_slice()).unwrap();
    for packed in [true, false] {
        let disk = log.disk.after_kill();
        let cut = plain[..plain.len() - 5].to_vec();
        if packed {
            disk.put(PACKED, zstd::stream::encode_all(cut.as_slice(), 3).unwrap());
        } else {
            disk.remove(PACKED).unwrap();
            disk.put("records/2026-11.log", cut);
        }
        let rows: Vec<_> = read_log(&disk).unwrap().collect();
        assert_eq!(rows.len(), FIRST);
        let error = rows[FIRST - 1].as_ref().unwrap_err().to_string();
        assert!(error.contains("records/2026-11.log"), "{error}");
        assert_eq!(error.contains(".zst"), packed, "{error}");
    }
    let disk = log.disk.after_kill();
    disk.damage(PACKED, |bytes| bytes.truncate(5));
    let error = read_log(&disk).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains(PACKED), "{error}");
}

// --- months ---

#[test]
fn a_row_of_an_impossible_date_is_filed_where_the_log_stands_and_found_there() {
    let year_0 = -62_167_219_200_000;
    let year_10_000 = 253_402_300_800_000;
    // Dates of rows one after another, and the files that they leave.
    let cases: [(&[i64], &[&str]); 8] = [
        (&[i64::MIN], &["0000-01.log"]),
        (&[i64::MAX], &["0000-01.log"]),
        (&[year_0 - 1, year_0], &["0000-01.log"]),
        (&[NOON, year_0 - 1, i64::MIN, i64::MAX, year_10_000], &["2026-11.log"]),
        (&[i64::MAX, NOON], &["0000-01.log.zst", "2026-11.log"]),
        (&[NOON, i64::MAX, NOON + 30 * DAY], &["2026-11.log.zst", "2026-12.log"]),
        (&[year_0, 0], &["0000-01.log.zst", "1970-01.log"]),
        (&[NOON, year_10_000 - 1, NOON], &["2026-11.log.zst", "9999-12.log"]),
    ];
    for (dates, files) in cases {
        let mut disk = MemDisk::new();
        for (number, at) in dates.iter().enumerate() {
            let mut run = Run::start(&disk);
            run.row(number as u32, *at, &format!("{number}"));
            run.sync();
            run.settle();
            disk = disk.after_kill();
        }
        Run::start(&disk);
        let found: Vec<i64> = read_log(&disk).unwrap().map(|row| row.unwrap().at_ms).collect();
        assert_eq!(found, dates);
        let names = disk.list("records").unwrap().into_iter().map(|(name, _)| name);
        assert_eq!(names.collect::<Vec<_>>(), files, "{dates:?}");
    }
}

#[test]
fn a_year_ends_at_midnight_utc() {
    let year_end = 1_798_761_600_000;
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for (n, at) in [year_end - DAY, year_end - 1, year_end, year_end + 1].into_iter().enumerate() {
        run.row(n as u32, at, &format!("{n}"));
        // All four are copied at once: the batch ends where the year does.
    }
    run.sync();
    let names = |disk: &MemDisk| -> Vec<String> {
        disk.list("records").unwrap().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&disk), ["2026-12.log.zst", "2027-01.log"]);
    let plain = zstd::stream::decode_all(disk.read("records/2026-12.log.zst").unwrap().as_slice());
    let of = |bytes: Vec<u8>| bytes.len() / 48;
    assert_eq!((of(plain.unwrap()), of(disk.read("records/2027-01.log").unwrap())), (2, 2));
    // A clock that goes back over the end of the year, and one that is slow after a restart.
    run.row(4, year_end - 1, "4");
    run.sync();
    let mut run = Run::start(&disk.after_kill());
    run.row(5, year_end - 1, "5");
    run.sync();
    assert_eq!(bodies(&run.disk), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(names(&run.disk), ["2026-12.log.zst", "2027-01.log"]);
}

#[test]
fn files_that_are_no_months_are_left_alone() {
    let log = log(false);
    let disk = log.disk.after_kill();
    let others =
        ["2026-1.log", "02026-12.log", "2026-13.log", "2026-00.log", "+999-01.log", "x.log"];
    for name in others {
        disk.put(&format!("records/{name}"), b"somebody else's".to_vec());
    }
    disk.put("records/half.tmp", vec![1]);
    let run = log.start(&disk).unwrap();
    assert_eq!(bodies(&disk), log.rows);
    for name in others {
        assert_eq!(disk.read(&format!("records/{name}")).unwrap(), b"somebody else's");
    }
    assert!(disk.read("records/half.tmp").is_err());
    log.goes_on(run);
}

// --- room ---

#[test]
fn a_spare_segment_that_a_start_cannot_sync_is_removed() {
    for failing in ["spare-1.tmp", "spare-2.tmp", "spare-3.tmp"] {
        let ops = {
            let disk = MemDisk::new();
            Run::start(&disk);
            disk.log().iter().position(|op| *op == format!("sync {failing}")).unwrap() as u64 + 1
        };
        let disk = MemDisk::new();
        disk.fault(ops, Fault::Error(ErrorKind::Other));
        let mut run = Run::start(&disk);
        assert!(disk.read(failing).is_err(), "{failing}");
        run.pass(Duration::from_secs(11));
        assert!(run.journal.status().admits_entries(), "{failing}");
        let spares =
            disk.list("").unwrap().into_iter().filter(|(name, _)| name.starts_with("spare"));
        assert_eq!(spares.count(), options().spares + 1, "{failing}");
    }
}

#[test]
fn a_damaged_log_is_no_reason_to_forget_the_state() {
    let log = log(false);
    let disk = log.disk.after_kill();
    disk.damage(OPEN, |bytes| bytes.fill(3));
    disk.damage(PACKED, |bytes| bytes.fill(3));
    let before = log.start(&log.disk.after_kill()).unwrap().found;
    let run = log.rebuild(&disk);
    assert_eq!((run.found.entries.clone(), run.found.last), (before.entries, before.last));
    assert!(run.found.run == before.run && run.found.lost_tail);
    let whole = read_records(&disk, run.found.last, |_| std::ops::ControlFlow::Continue(()));
    assert_eq!(whole.unwrap().hole, None);
    log.goes_on(run);
}
