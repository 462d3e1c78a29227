//! The latch file.

use polydesk_journal::{
    Disk, Kill, LATCH_VERSION, Latch, LatchError, LatchFile, LatchState, MemDisk,
};

use crate::harness::{NOON, Run};

fn state(state: Latch, why: &str) -> LatchState {
    let (by, via) = ("operator".to_owned(), "desk".to_owned());
    LatchState { v: LATCH_VERSION, state, at: NOON, by, via, why: why.to_owned(), run: 1 }
}

fn read(disk: &MemDisk) -> Kill {
    LatchFile::read(disk).unwrap().1
}

#[test]
fn a_change_overwrites_the_older_sector_and_needs_no_room() {
    let disk = MemDisk::new();
    let mut latch = Run::start(&disk).found.latch;
    disk.set_capacity(Some(0));
    for number in 0..5 {
        let before = disk.read("kill").unwrap();
        let killed = state(Latch::Killed, &format!("reason {number}"));
        latch.write(&disk, &killed).unwrap();
        assert_eq!(read(&disk), Kill::Killed(killed));
        let after = disk.read("kill").unwrap();
        assert_eq!((after.len(), before.len()), (1_024, 1_024));
        let changed: Vec<usize> = (0..2)
            .filter(|half| before[half * 512..][..512] != after[half * 512..][..512])
            .collect();
        assert_eq!(changed.len(), 1, "{changed:?}");
        latch.write(&disk, &state(Latch::Clear, "lifted")).unwrap();
        assert_eq!(read(&disk), Kill::Clear);
    }
    assert_eq!(Run::start(&disk.after_kill()).found.kill, Kill::Clear);
}

#[test]
fn a_change_that_tears_leaves_the_state_before_or_the_new_one() {
    for torn in 0..512 {
        let disk = MemDisk::new();
        let mut latch = Run::start(&disk).found.latch;
        let first = state(Latch::Killed, "first");
        latch.write(&disk, &first).unwrap();
        disk.fault(disk.ops() + 1, polydesk_journal::Fault::Torn(torn));
        let second = state(Latch::Clear, "second");
        assert!(latch.write(&disk, &second).is_err());
        let found = read(&disk.after_kill());
        assert!([Kill::Killed(first), Kill::Clear].contains(&found), "{torn}: {found:?}");
        assert!(torn > 60 || found.is_killed(), "{torn}");
    }
}

#[test]
fn without_power_an_unsynced_change_may_be_lost_and_a_synced_one_is_not() {
    for keep in [0, 255] {
        let disk = MemDisk::new();
        let mut latch = Run::start(&disk).found.latch;
        latch.write(&disk, &state(Latch::Killed, "why")).unwrap();
        let lost = read(&disk.after_power_loss(1, keep));
        assert_eq!(lost.is_killed(), keep == 255);
        latch.sync(&disk).unwrap();
        assert!(read(&disk.after_power_loss(1, keep)).is_killed());
    }
}

#[test]
fn a_file_that_is_damaged_missing_or_newer_means_killed() {
    let disk = MemDisk::new();
    let run = Run::start(&disk);
    assert!(!run.found.kill.is_killed());
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change); 5] = [
        ("both sectors damaged", |bytes| [30, 542].into_iter().for_each(|at| bytes[at] ^= 1)),
        ("zeros", |bytes| bytes.fill(0)),
        ("empty", Vec::clear),
        ("short", |bytes| bytes.truncate(511)),
        ("garbage", |bytes| bytes.fill(0xff)),
    ];
    for (what, change) in cases {
        let disk = disk.after_kill();
        disk.damage("kill", change);
        let found = Run::start(&disk).found.kill;
        assert!(matches!(found, Kill::Unreadable(_)), "{what}: {found:?}");
    }
    let newer = disk.after_kill();
    let mut latch = LatchFile::read(&newer).unwrap().0;
    latch.write(&newer, &LatchState { v: 2, ..state(Latch::Clear, "") }).unwrap();
    assert!(matches!(read(&newer), Kill::Unreadable(why) if why.contains("version 2")));
    disk.remove("kill").unwrap();
    assert_eq!(Run::start(&disk.after_kill()).found.kill, Kill::Missing);
    assert!(Kill::Missing.is_killed());
}

#[test]
fn a_damaged_sector_beside_a_clear_one_means_killed_until_the_latch_is_written_again() {
    // The newest sector is the first one or the second one, and says killed or clear; the other one says clear.
    for (changes, newest) in [(1, 0), (2, 1)] {
        for last in [Latch::Killed, Latch::Clear] {
            for at in 0..1_024 {
                let disk = MemDisk::new();
                let mut latch = Run::start(&disk).found.latch;
                for _ in 1..changes {
                    latch.write(&disk, &state(Latch::Clear, "lifted")).unwrap();
                }
                latch.write(&disk, &state(last, "the newest")).unwrap();
                let damaged = at / 512;
                disk.damage("kill", |bytes| bytes[at] ^= 1);
                let (was, case) = (damaged == newest, format!("{changes} {last:?} byte {at}"));
                let found = read(&disk);
                let killed = matches!(&found, Kill::Killed(state) if state.why == "the newest");
                match &found {
                    Kill::Unreadable(why) => {
                        let sector = format!("sector {} of 2", damaged + 1);
                        assert!(why.contains(&sector) && why.contains("od -c kill"), "{why}");
                    }
                    _ => assert!(killed && !was && last == Latch::Killed, "{case}: {found:?}"),
                }
                let mut latch = LatchFile::read(&disk).unwrap().0;
                latch.write(&disk, &state(Latch::Clear, "looked at")).unwrap();
                assert_eq!(read(&disk), Kill::Clear, "{case}");
            }
        }
    }
}

#[test]
fn a_sector_that_was_never_written_is_no_damage() {
    let disk = MemDisk::new();
    Run::start(&disk);
    for (from, to) in [(0, 512), (512, 1_024)] {
        let disk = disk.after_kill();
        disk.damage("kill", |bytes| bytes[from..to].fill(0));
        assert_eq!(read(&disk), Kill::Clear);
    }
    // A file that is shorter than two sectors has lost one of them.
    for len in [512, 513, 1_023] {
        let disk = disk.after_kill();
        disk.damage("kill", |bytes| bytes.truncate(len));
        assert!(read(&disk).is_killed(), "{len}");
    }
}

#[test]
fn a_latch_is_written_also_where_the_file_is_gone() {
    let disk = MemDisk::new();
    Run::start(&disk);
    disk.remove("kill").unwrap();
    let mut latch = LatchFile::read(&disk).unwrap().0;
    latch.write(&disk, &state(Latch::Killed, "why")).unwrap();
    assert!(matches!(read(&disk), Kill::Killed(_)));
}

#[test]
fn texts_that_do_not_fit_are_refused_and_change_nothing() {
    let disk = MemDisk::new();
    let mut latch = Run::start(&disk).found.latch;
    let error = latch.write(&disk, &state(Latch::Killed, &"x".repeat(500))).unwrap_err();
    assert!(matches!(error, LatchError::TooLong { most: 512, .. }), "{error}");
    assert_eq!(read(&disk), Kill::Clear);
}

#[test]
fn a_kill_that_a_start_has_seen_survives_the_loss_of_power_after_it() {
    let disk = MemDisk::new();
    let mut latch = Run::start(&disk).found.latch;
    latch.write(&disk, &state(Latch::Killed, "why")).unwrap();
    let disk = disk.after_kill();
    assert!(Run::start(&disk).found.kill.is_killed());
    assert!(Run::start(&disk.after_power_loss(1, 0)).found.kill.is_killed());
}
