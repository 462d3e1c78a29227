//! Cut, flipped and missing bytes: recovered, refused or asked about, never silent.

use std::collections::BTreeMap;

use polydesk_journal::{
    Change, Class, Damage, Delta, Disk, Ended, Lane, MemDisk, Options, Payload, ReadError,
    RecoverError, Seq, read_records, read_state,
};

use crate::harness::{Model, NOON, Run, facts, model, options};

/// A journal that was written and never synced after its start, with what it contained after each record.
struct Written {
    disk: MemDisk,
    segment: String,
    bytes: Vec<u8>,
    /// Where each record begins.
    starts: Vec<(Seq, usize)>,
    end: usize,
    models: BTreeMap<Seq, Model>,
}

const FIRST: &str = "00000000000000000001.seg";

fn written() -> Written {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    let (mut model, mut models) = (Model::new(), BTreeMap::new());
    models.insert(Seq(1), Model::new());
    for number in 0..6 {
        run.append(&Payload::Input(format!("book {number}").as_bytes()));
        for table in ["orders", "wire", "chain"] {
            let (key, value) = (format!("k{number}"), format!("{table} {number}"));
            let seq = run.put(table, &key, &value);
            model.insert((table.to_owned(), key.into_bytes()), value.into_bytes());
            models.insert(seq, model.clone());
        }
        run.row(0, NOON, "filled");
    }
    write_only(&mut run);
    assert_eq!(run.journal.written(), run.journal.appended());
    assert_eq!(run.journal.synced(), Seq(1));
    let disk = disk.after_kill();
    let bytes = disk.read(FIRST).unwrap();
    let mut starts = Vec::new();
    let mut end = 32;
    read_records(&disk, Seq(1), |record| {
        starts.push((record.frame.seq, end));
        end += record.frame.whole.len();
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    Written { disk, segment: FIRST.to_owned(), bytes, starts, end, models }
}

/// Writes and leaves everything else.
fn write_only(run: &mut Run) {
    while let Some(job) = run.job().filter(|job| job.lane == Lane::Write) {
        run.act(&job);
    }
}

impl Written {
    fn model(&self, seq: Seq) -> Model {
        self.models.range(..=seq).next_back().map(|(_, model)| model.clone()).unwrap_or_default()
    }

    fn with(&self, bytes: Vec<u8>) -> MemDisk {
        let disk = self.disk.after_kill();
        disk.put(&self.segment, bytes);
        disk
    }

    /// The last record that ends at or before an offset.
    fn last_before(&self, offset: usize) -> Seq {
        let ends = self.starts.iter().skip(1).map(|(_, start)| *start).chain([self.end]);
        let whole = self.starts.iter().zip(ends).filter(|(_, end)| *end <= offset);
        whole.last().map_or(Seq::ZERO, |((seq, _), _)| *seq)
    }
}

fn start(disk: &MemDisk) -> Result<Run, RecoverError> {
    Run::begin(disk, &options(), &facts(NOON))
}

/// What was found, and once more after that: nothing changes by starting again.
fn recovered(disk: &MemDisk) -> Run {
    let first = start(disk).unwrap();
    let again = start(&disk.after_kill()).unwrap();
    assert_eq!(again.found.entries, first.found.entries);
    assert_eq!(again.found.to_ask, first.found.to_ask);
    first
}

#[test]
fn a_tail_that_was_never_written_is_cut_at_every_byte() {
    let written = written();
    let first_record = written.starts[1].1;
    let mut torn_somewhere = false;
    for cut in first_record..=written.end {
        let mut bytes = written.bytes.clone();
        bytes[cut..].fill(0);
        let run = recovered(&written.with(bytes.clone()));
        // The last bytes of a record may be zeros anyway.
        let same = bytes.iter().zip(&written.bytes).position(|(one, other)| one != other);
        let last = written.last_before(same.unwrap_or(written.end));
        assert_eq!(run.found.last, last, "cut at {cut}");
        assert_eq!(model(run.found.entries), written.model(run.found.last), "cut at {cut}");
        let end = written.starts.get(last.0 as usize).map_or(written.end, |(_, start)| *start);
        let torn = bytes[end..].iter().any(|byte| *byte != 0);
        torn_somewhere |= torn;
        assert_eq!(run.found.cut, torn, "cut at {cut}");
        assert_eq!(run.found.ended, Ended::Unclean);
        let kept = run.disk.list("").unwrap().iter().any(|(name, _)| name.starts_with("cut-"));
        assert_eq!(kept, torn, "cut at {cut}");
    }
    assert!(torn_somewhere);
}

#[test]
fn a_file_that_was_shortened_is_refused_at_every_byte_and_rebuilt_on_demand() {
    let written = written();
    for cut in 0..written.bytes.len() {
        let disk = written.with(written.bytes[..cut].to_vec());
        match start(&disk.after_kill()).err() {
            Some(RecoverError::Damage(Damage::Synced { seq, .. })) => {
                assert_eq!(seq, written.last_before(cut).next(), "cut at {cut}");
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
        if cut % 7 == 0 {
            let rebuild = Options { rebuild: true, ..options() };
            let run = Run::begin(&disk, &rebuild, &facts(NOON)).unwrap();
            assert_eq!(run.found.ended, Ended::Rebuilt);
            assert!(run.found.lost_tail && !run.found.notes.is_empty());
            assert_eq!(model(run.found.entries), written.model(written.last_before(cut)));
            assert_eq!(start(&run.disk.after_kill()).unwrap().found.run, run.found.run + 1);
        }
    }
}

#[test]
fn each_flipped_byte_of_the_last_three_records_is_cut_off_and_what_it_may_have_sent_is_asked_about()
{
    let written = written();
    let from = written.starts[written.starts.len() - 3].1;
    for at in from..written.end {
        for mask in [0x01, 0xff] {
            let mut bytes = written.bytes.clone();
            bytes[at] ^= mask;
            let run = recovered(&written.with(bytes));
            let last = written.last_before(at);
            assert_eq!(run.found.last, last, "byte {at}");
            assert_eq!(model(run.found.entries.clone()), written.model(last), "byte {at}");
            assert!(run.found.cut && run.found.lost_tail, "byte {at}");
            if written.starts.len() as u64 - last.0 > 1 {
                let seen = written.starts.last().unwrap().0;
                assert!(run.journal.appended() > seen, "a number is never given twice");
            }
            // The last three records are wire, chain and a row.
            let asked: Vec<_> = run.found.to_ask.iter().map(|ask| ask.table.as_str()).collect();
            let expected: &[&str] = match written.starts.len() as u64 - last.0 {
                3 => &["chain"],
                _ => &[],
            };
            assert_eq!(asked, expected, "byte {at}");
        }
    }
}

#[test]
fn a_flipped_byte_anywhere_never_goes_unnoticed() {
    let written = written();
    let whole = written.model(written.starts.last().unwrap().0);
    for at in 0..written.end {
        let mut bytes = written.bytes.clone();
        bytes[at] ^= 0x10;
        match start(&written.with(bytes)) {
            Ok(run) => {
                assert!(run.found.cut, "byte {at}");
                let last = written.last_before(at);
                assert_eq!(model(run.found.entries), written.model(last), "byte {at}");
                let asked = run.found.to_ask.len();
                let behind: Vec<_> =
                    written.starts.iter().filter(|(seq, _)| seq.0 > last.0 + 1).collect();
                let lost = |table: &str| {
                    let of = |model: &Model| model.keys().filter(|(of, _)| of == table).count();
                    of(&whole) - of(&written.model(last.next()))
                };
                assert_eq!(asked, lost("wire") + lost("chain"), "byte {at}: {behind:?}");
            }
            Err(RecoverError::Damage(_)) => assert!(at < written.starts[1].1, "byte {at}"),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn zeros_before_a_good_wire_entry_cut_and_ask() {
    let written = written();
    for hole in 1..written.starts.len() - 1 {
        let mut bytes = written.bytes.clone();
        let (from, to) = (written.starts[hole].1, written.starts[hole + 1].1);
        bytes[from..to].fill(0);
        let run = recovered(&written.with(bytes));
        let last = Seq(hole as u64);
        assert_eq!(run.found.last, last);
        assert!(run.found.cut);
        assert_eq!(model(run.found.entries), written.model(last));
        let wires = run.found.to_ask.iter().filter(|ask| ask.table == "wire").count();
        let before = |seq| written.model(seq).keys().filter(|(table, _)| table == "wire").count();
        assert_eq!(wires, 6 - before(last.next()), "hole at {last}");
    }
}

#[test]
fn a_question_stays_until_it_is_answered() {
    let written = written();
    let mut bytes = written.bytes.clone();
    let wire = written.starts.len() - 3;
    bytes[written.starts[wire - 1].1] ^= 1;
    let mut run = recovered(&written.with(bytes));
    let asks = run.found.to_ask.clone();
    assert_eq!(asks.len(), 2);
    assert_eq!((asks[1].table.as_str(), asks[1].key.as_slice()), ("wire", b"k5".as_slice()));
    assert_eq!(asks[1].value, b"wire 5");
    let change = Change { table: polydesk_journal::ASK_TABLE, key: &asks[1].ask_key, value: None };
    let delta = Delta { cause: Seq(0), commands: [0; 32], changes: vec![change] };
    run.journal.append(&Payload::Delta(&delta), Class::Fact).unwrap();
    run.sync();
    let again = start(&run.disk.after_kill()).unwrap();
    assert_eq!(again.found.to_ask, asks[..1]);
    assert!(!again.found.cut, "the tail was cut once");
}

#[test]
fn damage_below_what_was_synced_is_refused_whatever_proves_the_sync() {
    // By a mark of the sync, by a compaction, by the record log, by the next run.
    for proof in ["mark", "compaction", "row", "run"] {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        let damaged = run.put("orders", "1", "live");
        match proof {
            "mark" => {
                run.sync();
                run.put("orders", "2", "live");
                run.journal.want_sync(run.journal.appended());
                // Written only: nothing but the mark proves the sync.
                while let Some(job) = run.job().filter(|job| job.lane != Lane::Files) {
                    run.act(&job);
                }
            }
            "compaction" => {
                run.journal.compact();
                run.sync();
            }
            "row" => {
                run.row(0, NOON, "filled");
                run.sync();
            }
            _ => {
                write_only(&mut run);
                drop(run);
                let next = start(&disk.after_kill()).unwrap();
                assert_eq!(next.found.run, 2);
                damaged_is_refused(&next.disk.after_kill(), damaged, proof);
                continue;
            }
        }
        damaged_is_refused(&disk.after_kill(), damaged, proof);
    }
}

fn damaged_is_refused(disk: &MemDisk, damaged: Seq, proof: &str) {
    let mut at = 32;
    read_records(disk, Seq(1), |record| {
        let next = record.frame.seq < damaged;
        at += if next { record.frame.whole.len() } else { 0 };
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    disk.damage(FIRST, |bytes| bytes[at + 25] ^= 1);
    let error = start(disk).err().unwrap_or_else(|| panic!("{proof}: nothing was noticed"));
    let text = error.to_string();
    assert!(text.contains(FIRST) && text.contains("--rebuild"), "{proof}: {text}");
    assert!(text.contains(&format!("record {damaged} ")), "{proof}: {text}");
    assert!(read_state(disk, &options()).is_err(), "{proof}");
    let rebuild = Options { rebuild: true, ..options() };
    let run = Run::begin(disk, &rebuild, &facts(NOON)).unwrap();
    assert_eq!(run.found.ended, Ended::Rebuilt, "{proof}");
    // It is whole again, at once and after its first compaction.
    let again = start(&run.disk.after_kill()).unwrap();
    assert_eq!(again.found.entries, run.found.entries, "{proof}");
    let mut run = run;
    run.sync();
    assert!(start(&run.disk.after_kill()).is_ok(), "{proof}");
}

#[test]
fn a_damaged_compaction_gives_way_to_an_older_one_and_the_records_since_then() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for round in 0..3 {
        run.put("orders", "1", &format!("round {round}"));
        run.journal.compact();
        run.sync();
    }
    let compactions = |disk: &MemDisk| -> Vec<String> {
        let files = disk.list("").unwrap().into_iter().map(|(name, _)| name);
        files.filter(|name| name.ends_with(".cmp")).collect()
    };
    let files = compactions(&disk);
    assert_eq!(files.len(), 2);
    let length = disk.read(&files[1]).unwrap().len();
    for at in 0..length {
        let disk = disk.after_kill();
        disk.damage(&files[1], |bytes| bytes[at] ^= 1);
        let mut run = start(&disk).unwrap();
        assert_eq!(model(run.found.entries.clone()).len(), 1);
        assert_eq!(run.found.entries[0].value, b"round 2");
        assert!(run.found.notes.iter().any(|note| note.to_string().contains(&files[1])));
        run.settle();
        assert!(!compactions(&disk).contains(&files[1]), "it is not kept");
    }
    let disk = disk.after_kill();
    for file in &files {
        disk.damage(file, |bytes| bytes[40] ^= 1);
    }
    // The segments still have everything, from the first record on.
    assert_eq!(start(&disk).unwrap().found.entries[0].value, b"round 2");
}

#[test]
fn a_mark_of_dropped_rows_explains_no_other_gap() {
    let disk = MemDisk::new();
    let large = Options { segment_bytes: 128 << 10, ..options() };
    let mut run = Run::begin(&disk, &large, &facts(NOON)).unwrap();
    while !run.journal.status().dropping {
        run.append(&Payload::Input(&[b'f'; 400]));
        run.journal.append(&Payload::Input(&[b'm'; 400]), Class::Market).unwrap();
    }
    run.append(&Payload::Input(b"behind the dropped row"));
    run.now += options().flush_every;
    write_only(&mut run);
    let disk = disk.after_kill();
    let (mut at, mut before, mut last) = (32, 0..0, None);
    read_records(&disk, Seq(1), |record| {
        let next = at + record.frame.whole.len();
        if record.frame.kind == polydesk_journal::Kind::Mark {
            last = Some((before.clone(), record.frame.seq));
        }
        (before, at) = (at..next, next);
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let (before, mark) = last.unwrap();
    // The record before the mark is taken out; the mark follows the one before that.
    disk.damage(FIRST, |bytes| drop(bytes.drain(before.clone())));
    disk.damage(FIRST, |bytes| bytes.resize(128 << 10, 0));
    let found = Run::begin(&disk, &large, &facts(NOON)).unwrap().found;
    assert!(found.cut);
    // The record and one dropped row are between them.
    assert_eq!(found.last, Seq(mark.0 - 3));
}

/// Every checksum is right: only the hash says that these entries are not those of this compaction.
#[test]
fn a_compaction_with_the_entries_of_another_one_is_not_used() {
    let compacted = |value: &str| {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        run.put("orders", "1", value);
        run.journal.compact();
        run.sync();
        let names = disk.list("").unwrap().into_iter().map(|(name, _)| name);
        let name = names.into_iter().find(|name| name.ends_with(".cmp")).unwrap();
        let bytes = disk.read(&name).unwrap();
        let len = u32::from_le_bytes(bytes[32..36].try_into().unwrap()) as usize;
        let mark = 32 + (20 + len).next_multiple_of(8);
        (disk.after_kill(), name, bytes, mark)
    };
    let (disk, name, bytes, mark) = compacted("live");
    let (_, _, other, _) = compacted("dead");
    disk.put(&name, [&other[..mark], &bytes[mark..]].concat());
    let run = start(&disk).unwrap();
    assert_eq!(run.found.entries[0].value, b"live");
    assert!(run.found.notes.iter().any(|note| note.to_string().contains(&name)));
}

#[test]
fn questions_are_compacted_at_once() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.journal.compact();
    run.sync();
    run.pass(options().sync_every * 20);
    let last = run.journal.appended();
    run.append(&Payload::Input(b"damaged"));
    run.put("wire", "0xhash", "sent");
    run.now += options().flush_every;
    write_only(&mut run);
    let disk = disk.after_kill();
    let needle = b"damaged";
    disk.damage(FIRST, |bytes| {
        let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
        bytes[at] ^= 1;
    });
    let mut run = start(&disk).unwrap();
    assert_eq!((run.found.to_ask.len(), run.found.last), (1, last));
    run.sync();
    let compactions = |disk: &MemDisk| -> Vec<String> {
        let names = disk.list("").unwrap().into_iter().map(|(name, _)| name);
        names.filter(|name| name.ends_with(".cmp")).collect()
    };
    assert!(compactions(&disk).last().unwrap()[..20].parse::<u64>().unwrap() > last.0);
}

#[test]
fn entries_that_are_not_what_a_mark_says_are_refused() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.sync();
    run.journal.compact();
    run.sync();
    let compaction = disk.list("").unwrap().into_iter().find(|(name, _)| name.ends_with(".cmp"));
    let (name, _) = compaction.unwrap();
    // Another journal's compaction, of the same record.
    let other = MemDisk::new();
    let mut another = Run::start(&other);
    another.put("orders", "1", "dead");
    another.sync();
    another.journal.compact();
    another.sync();
    disk.put(&name, other.read(&name).unwrap());
    let error = start(&disk.after_kill()).err().unwrap();
    assert!(matches!(error, RecoverError::Damage(Damage::Hash { .. })), "{error}");
    assert!(start(&other.after_kill()).is_ok());
}

#[test]
fn missing_segments_are_refused() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.journal.compact();
    run.row(0, NOON, "filled");
    run.sync();
    drop(start(&disk).unwrap());
    let names: Vec<String> = disk.list("").unwrap().into_iter().map(|(name, _)| name).collect();
    let segments: Vec<_> = names.iter().filter(|name| name.ends_with(".seg")).collect();
    assert_eq!(segments.len(), 2, "one of each run");
    for gone in [&segments[..1], &segments[1..], &segments[..]] {
        let disk = disk.after_kill();
        for name in gone {
            disk.remove(name).unwrap();
        }
        // The first one is older than the compaction, but nothing says that it was removed on purpose.
        match start(&disk) {
            Err(RecoverError::Damage(_)) => {}
            Ok(_) if gone == &segments[..1] => {}
            other => panic!("{gone:?}: {:?}", other.err()),
        }
    }
}

#[test]
fn newer_versions_are_refused_by_name() {
    let written = written();
    let (seq, at) = written.starts[3];
    // Version 9 of a delta, and a kind that does not exist, both with a right checksum.
    for (place, value, named) in
        [(18, 9, "delta records of version 9"), (16, 77, "records of kind 77")]
    {
        for hole in [false, true] {
            let mut bytes = written.bytes.clone();
            bytes[at + place] = value;
            let end = written.starts[4].1;
            let crc = crc(&bytes[at..end], 1);
            bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
            if hole {
                bytes[written.starts[2].1 + 30] ^= 1;
            }
            let error = start(&written.with(bytes)).err().unwrap();
            assert!(matches!(error, RecoverError::Read(ReadError::Newer { .. })), "{seq}: {error}");
            let text = error.to_string();
            assert!(text.contains(named) && text.contains(FIRST), "{text}");
        }
    }
    let mut bytes = written.bytes.clone();
    bytes[6] = 2;
    let crc = crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    let text = start(&written.with(bytes)).err().unwrap().to_string();
    assert!(text.contains("file format 2"), "{text}");
}

/// The checksum as the format has it, computed bit by bit: the library's must be this one.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

fn crc(record: &[u8], run: u32) -> u32 {
    crc32c(&[&run.to_le_bytes(), &record[..4], &record[8..]].concat())
}

#[test]
fn a_sync_is_proven_by_the_file_that_was_written_after_it() {
    for proof in ["compaction", "row"] {
        let disk = MemDisk::new();
        let mut run = Run::start(&disk);
        let first = run.journal.appended();
        match proof {
            "compaction" => {
                run.put("orders", "1", "live");
                run.journal.compact();
            }
            _ => {
                run.row(0, NOON, "filled");
            }
        }
        run.sync();
        let disk = disk.after_kill();
        let whole = start(&disk.after_kill()).unwrap();
        assert!(whole.found.last > first);
        for (name, _) in disk.list("").unwrap() {
            if proof == "row" && name.ends_with(".cmp") {
                disk.remove(&name).unwrap();
            }
        }
        // Nothing of the segment is left that could prove it.
        let bytes = disk.read(FIRST).unwrap();
        let len = u32::from_le_bytes(bytes[32..36].try_into().unwrap()) as usize;
        disk.damage(FIRST, |bytes| bytes[32 + (20 + len).next_multiple_of(8)..].fill(0));
        let error = start(&disk).err().unwrap_or_else(|| panic!("{proof}: nothing was noticed"));
        assert!(matches!(error, RecoverError::Damage(Damage::Synced { .. })), "{proof}: {error}");
    }
}

#[test]
fn a_segment_that_is_missing_between_others_cuts_and_asks() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    for number in 0..40 {
        run.put("wire", &format!("{number:02}"), &"x".repeat(400));
    }
    run.now += options().flush_every;
    write_only(&mut run);
    let files: Vec<String> = disk.list("").unwrap().into_iter().map(|(name, _)| name).collect();
    let segments: Vec<_> = files.iter().filter(|name| name.ends_with(".seg")).collect();
    assert_eq!(segments.len(), 3);
    let disk = disk.after_kill();
    let second: u64 = segments[1][..20].parse().unwrap();
    disk.remove(segments[1]).unwrap();
    let run = recovered(&disk);
    assert_eq!(run.found.last, Seq(second - 1));
    assert!(run.found.cut);
    let third: u64 = segments[2][..20].parse().unwrap();
    let asked: Vec<_> = run.found.to_ask.iter().map(|ask| ask.key.clone()).collect();
    let expected: Vec<_> = (third - 2..40).map(|key| format!("{key:02}").into_bytes()).collect();
    assert!(!expected.is_empty());
    assert_eq!(asked, expected);
}

#[test]
fn a_record_that_stands_twice_is_not_applied_twice() {
    let written = written();
    let mut bytes = written.bytes.clone();
    let (from, to) = (written.starts[3].1, written.starts[4].1);
    let copy = bytes[from..to].to_vec();
    bytes[written.end..written.end + copy.len()].copy_from_slice(&copy);
    let run = recovered(&written.with(bytes));
    assert!(run.found.cut);
    assert_eq!(run.found.last, written.starts.last().unwrap().0);
}
