//! The bytes: what earlier programs wrote is read, and what this one writes does not change unnoticed.

use std::path::PathBuf;

use polydesk_journal::{
    Change, Class, Delta, Disk, Draw, Ended, Frame, Kind, MemDisk, Payload, Row, Seq, StopFacts,
    decode_mark, decode_run, decode_stop, read_log, read_records, read_state,
};

use crate::damage::crc32c;
use crate::harness::{NOON, Run, cases, facts, model, options, text};

/// The run that the fixture contains.
fn run() -> MemDisk {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.append(&Payload::Input(b"\x00\x01opaque\xff"));
    run.put("orders", "{\"id\":1}", "{\"state\":\"live\",\"fills\":[]}");
    run.put("wire", "0xabc", "{\"body\":\"signed\"}");
    run.row(0, NOON, "{\"code\":\"order_sent\"}");
    run.journal.compact();
    run.sync();
    run.put("orders", "{\"id\":2}", "{}");
    run.delete("orders", "{\"id\":1}");
    run.row(1, NOON + 40 * 86_400_000, "{\"code\":\"order_filled\"}");
    run.sync();
    run.append(&Payload::Stop(&StopFacts {
        at_ms: NOON,
        open_orders: 1,
        state_hash: "cafe".to_owned(),
    }));
    run.sync();
    disk.after_kill()
}

const FILES: &[&str] = &[
    "00000000000000000001.seg",
    "00000000000000000005.cmp",
    "kill",
    "records/2027-01.log",
    "records/2026-11.log.zst",
];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1").join(name)
}

/// Zeros at the end of a segment are not checked in.
fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(end);
    bytes
}

fn fixtures() -> MemDisk {
    let disk = MemDisk::new();
    for name in FILES {
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        if name.ends_with(".seg") {
            bytes.resize(options().segment_bytes as usize, 0);
        }
        disk.put(name, bytes);
    }
    disk
}

#[test]
fn the_bytes_are_those_of_version_1() {
    let disk = run();
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    for name in FILES {
        let mut bytes = disk.read(name).unwrap();
        if name.ends_with(".seg") {
            bytes = trimmed(bytes);
        }
        if update {
            std::fs::create_dir_all(fixture(name).parent().unwrap()).unwrap();
            std::fs::write(fixture(name), &bytes).unwrap();
        }
        let expected = std::fs::read(fixture(name)).unwrap();
        if name.ends_with(".zst") {
            // Another version of the library may compress differently.
            let plain = |bytes: &[u8]| zstd::stream::decode_all(bytes).unwrap();
            assert_eq!(plain(&bytes), plain(&expected), "{name}");
            continue;
        }
        let differs = bytes.iter().zip(&expected).position(|(one, other)| one != other);
        assert_eq!((differs, bytes.len()), (None, expected.len()), "{name}");
    }
}

#[test]
fn what_version_1_wrote_is_read() {
    let disk = fixtures();
    let state = read_state(&disk, &options()).unwrap();
    let wire = "wire/0xabc={\"body\":\"signed\"}";
    assert_eq!(text(&model(state.entries)), ["orders/{\"id\":2}={}", wire]);
    assert_eq!((state.run, state.ended), (1, Ended::Stopped));
    assert_eq!(state.facts, Some(facts(NOON)));
    assert_eq!(state.latest_ms, Some(NOON + 40 * 86_400_000));
    let rows: Vec<_> = read_log(&disk).unwrap().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].body, b"{\"code\":\"order_filled\"}");
    let mut lines = Vec::new();
    read_records(&disk, Seq(1), |record| {
        lines.push(line(&record.frame));
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let expected = [
        "1 run 1 after 0",
        "2 input 9 bytes",
        "3 delta of 2: orders",
        "4 delta of 3: wire",
        "5 record 0 of 4",
    ];
    assert_eq!(lines[..5], expected);
    assert!(lines.iter().any(|line| line.ends_with("stop cafe")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("mark synced")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("mark compaction 5")), "{lines:?}");
    let run = Run::start(&disk);
    assert_eq!(run.found.run, 2);
}

fn line(frame: &Frame<'_>) -> String {
    let what = match frame.kind {
        Kind::Run => {
            let run = decode_run(frame.payload).unwrap();
            format!("run {} after {}", run.run, run.after)
        }
        Kind::Input => format!("input {} bytes", frame.payload.len()),
        Kind::Delta => {
            let delta = Delta::decode(frame.payload).unwrap();
            assert_eq!(delta.commands, [7; 32]);
            format!("delta of {}: {}", delta.cause, delta.changes[0].table)
        }
        Kind::Mark => {
            let mark = decode_mark(frame.payload).unwrap();
            match (mark.synced, mark.compaction) {
                (Some(_), _) => "mark synced".to_owned(),
                (_, Some(compaction)) => format!("mark compaction {}", compaction.seq),
                _ => "mark".to_owned(),
            }
        }
        Kind::Record => {
            let (run, row) = Row::decode(frame.payload).unwrap();
            assert_eq!(run, 1);
            format!("record {} of {}", row.n, row.cause)
        }
        Kind::Stop => format!("stop {}", decode_stop(frame.payload).unwrap().state_hash),
    };
    format!("{} {what}", frame.seq)
}

#[test]
fn the_layout_is_the_documented_one() {
    let disk = run();
    let bytes = disk.read(FILES[0]).unwrap();
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    // The header: magic, format, run, first record, size, checksum.
    assert_eq!(&bytes[..8], b"PDSEG\0\x01\0");
    assert_eq!((u32_at(8), u64_at(12), u64_at(20)), (1, 1, 8 << 10));
    assert_eq!(u32_at(28), crc32c(&bytes[..28]));
    // The first record: length, checksum, number, kind, version, payload, zeros up to a multiple of 8.
    let len = u32_at(32) as usize;
    let whole = (20 + len).next_multiple_of(8);
    assert_eq!(u64_at(40), 1);
    assert_eq!(bytes[48..52], [1, 0, 1, 0]);
    let crc = crc32c(&[&1_u32.to_le_bytes(), &bytes[32..36], &bytes[40..32 + whole]].concat());
    assert_eq!(u32_at(36), crc);
    let run: serde_json::Value = serde_json::from_slice(&bytes[52..52 + len]).unwrap();
    assert_eq!(run["run"], 1);
    assert_eq!(run["ended"], "fresh");
    assert_eq!(run["wallet"], "0xw");
    // The second one: the owner's bytes as they are.
    let second = 32 + whole;
    assert_eq!(u32_at(second), 9);
    assert_eq!(&bytes[second + 20..second + 29], b"\x00\x01opaque\xff");
    assert_eq!(bytes[second + 29..second + 32], [0; 3]);
    // A change: put, table, key, value by their lengths.
    let delta = second + 32 + 20;
    assert_eq!((u64_at(delta), u32_at(delta + 40)), (2, 1));
    assert_eq!(bytes[delta + 44..delta + 48], [1, 6, 0, 0]);
    assert_eq!((u32_at(delta + 48), u32_at(delta + 52)), (8, 27));
    assert_eq!(&bytes[delta + 56..delta + 70], b"orders{\"id\":1}");
}

fn bytes(draw: &mut Draw, most: u64) -> Vec<u8> {
    (0..draw.below(most)).map(|_| draw.number() as u8).collect()
}

#[test]
fn what_a_delta_contains_is_what_is_read() {
    for seed in 0..cases(2_000) {
        let mut draw = Draw(seed);
        let owned: Vec<_> = (0..draw.below(5))
            .map(|_| {
                let table = "t".repeat(draw.below(256) as usize);
                let value = draw.hits(200).then(|| bytes(&mut draw, 40));
                (table, bytes(&mut draw, 40), value)
            })
            .collect();
        let changes =
            owned.iter().map(|(table, key, value)| Change { table, key, value: value.as_deref() });
        let delta = Delta {
            cause: Seq(draw.number()),
            commands: [draw.number() as u8; 32],
            changes: changes.collect(),
        };
        let mut out = Vec::new();
        delta.encode(&mut out);
        assert_eq!(out.len(), delta.encoded_len());
        assert_eq!(Delta::decode(&out).unwrap(), delta, "seed {seed}");
        // Anything else is refused or is another delta; it never reads beyond its end.
        for _ in 0..20 {
            let mut damaged = out.clone();
            match draw.below(3) {
                0 => damaged.truncate(draw.below(out.len() as u64) as usize),
                1 => damaged.push(draw.number() as u8),
                _ => damaged[draw.below(out.len() as u64) as usize] ^= draw.number() as u8 | 1,
            }
            assert_ne!(Delta::decode(&damaged).as_ref().ok(), Some(&delta), "seed {seed}");
        }
    }
}

#[test]
fn noise_is_no_journal() {
    for seed in 0..cases(300) {
        let mut draw = Draw(seed);
        let disk = run();
        let name = FILES[draw.below(3) as usize];
        disk.damage(name, |file| {
            for _ in 0..1 + draw.below(40) {
                let at = draw.below(file.len() as u64) as usize;
                file[at] = draw.number() as u8;
            }
        });
        // Whatever it says, it says so without a panic.
        let found = polydesk_journal::recover(&disk, &options(), &facts(NOON));
        if let Ok((_, found)) = found {
            assert!(found.run >= 1);
            assert_eq!(
                polydesk_journal::recover(&disk, &options(), &facts(NOON)).unwrap().1.entries,
                found.entries
            );
        }
    }
    let disk = MemDisk::new();
    let mut draw = Draw(1);
    disk.put("00000000000000000001.seg", (0..10_000).map(|_| draw.number() as u8).collect());
    assert!(polydesk_journal::recover(&disk, &options(), &facts(NOON)).is_err());
}

#[test]
fn a_dropped_row_has_a_number_and_a_mark_names_it() {
    let disk = MemDisk::new();
    let mut run = Run::start(&disk);
    run.put("orders", "1", "live");
    run.now += options().flush_every;
    let hangs = run.job().unwrap();
    while !run.journal.status().dropping {
        run.journal.append(&Payload::Input(&[0; 500]), Class::Market).unwrap();
    }
    let from = run.journal.appended();
    run.journal.append(&Payload::Input(b"x"), Class::Market).unwrap();
    let to = run.journal.append(&Payload::Input(b"x"), Class::Market).unwrap();
    let fact = run.put("orders", "2", "live");
    assert_eq!(fact.0, to.0 + 2, "the mark has a number of its own");
    run.act(&hangs);
    run.sync();
    let mut marks = Vec::new();
    read_records(&disk, Seq(1), |record| {
        if record.frame.kind == Kind::Mark {
            marks.extend(decode_mark(record.frame.payload).unwrap().dropped);
        }
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(marks.len(), 1);
    assert_eq!((marks[0].from, marks[0].to), (from, to));
    let again = Run::start(&disk.after_kill());
    assert_eq!(text(&model(again.found.entries)), ["orders/1=live", "orders/2=live"]);
    assert!(!again.found.cut);
}
