//! The shipped tapes are what the shipped sources give, and hold what is known of them.
//!
//! `UPDATE_TAPES=1 cargo test -p polydesk-tape --test it fixture_tapes` writes the tapes again.

use std::path::{Path, PathBuf};

use polydesk_domain::{Event, MarketEvent, MarketState, Payout};
use polydesk_tape::{
    Certificate, EventSource as _, Format, ImportJob, Manifest, TapeReader, Times, content_hash,
    import,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn job(format: Format, folder: &str, files: &[&str], out: &Path) -> ImportJob {
    let folder = fixtures().join("sources").join(folder);
    let files = files.iter().map(|name| folder.join(name)).collect();
    ImportJob::new(format, files, out.to_owned())
}

const TICKSCOPE: [&str; 2] = ["polymarket_20260607_0130.parquet", "espn_nhl_401874173.csv"];
const RESOLVEDKIT: [&str; 2] = ["books.parquet", "markets.parquet"];

/// Imports again, compares with the shipped tape, and returns what the import saw.
fn check(format: Format, folder: &str, files: &[&str], name: &str) -> Certificate {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join(name);
    let certificate = import(&job(format, folder, files, &out)).unwrap();
    let shipped = fixtures().join("tapes").join(name);
    if std::env::var_os("UPDATE_TAPES").is_some() {
        let _ = std::fs::remove_dir_all(&shipped);
        copy_all(&out, &shipped);
    }
    let (fresh, kept) = (Manifest::read(&out).unwrap(), Manifest::read(&shipped).unwrap());
    // The shipped files are older than checksums, and packed otherwise than files are now.
    let fresh = Manifest { checksums: kept.checksums.clone(), ..fresh };
    assert_eq!(fresh, kept, "the shipped tape is not what its source gives");
    assert_eq!(certificate, Certificate::read(&shipped).unwrap());
    let mut reader = TapeReader::open(&shipped).unwrap();
    assert_eq!(content_hash(&mut reader).unwrap(), kept.content_sha256);
    certificate
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_hockey_tape_holds_every_change_and_print_of_its_source() {
    let seen = check(Format::Tickscope, "tickscope", &TICKSCOPE, "nhl-2026-06-07");
    assert_eq!(seen.rows_read, 206_848 + 45);
    assert_eq!(seen.kinds["level"], 206_365);
    assert_eq!(seen.kinds["print"], 483);
    assert_eq!(seen.kinds["article"], 3);
    assert_eq!(seen.kinds["listed"], 6);
    assert_eq!((seen.exact_duplicates, seen.duplicate_prints), (93, 1));
    assert_eq!((seen.backward_rows, seen.late_rows), (1_395, 3_613));
    assert_eq!(seen.latest_by.as_millis(), 2_485);
    assert_eq!(seen.rejected(), 0);
    assert!(seen.inferred_ticks > 0 && seen.unknown_kinds.is_empty());
}

#[test]
fn the_bitcoin_tape_holds_every_snapshot_and_ends_in_the_payouts() {
    let seen = check(Format::Resolvedkit, "resolvedkit", &RESOLVEDKIT, "btc-15m-2026-09-28");
    assert_eq!(seen.kinds["snapshot"], 25_256);
    assert_eq!(seen.kinds["listed"], 12);
    assert_eq!(seen.kinds["state"], 24);
    assert_eq!(seen.rejected(), 0);
    let mut reader = TapeReader::open(&fixtures().join("tapes/btc-15m-2026-09-28")).unwrap();
    assert_eq!(reader.manifest().times, Times::VenueOnly);
    let (mut up, mut down) = (0, 0);
    while let Some(stamped) = reader.next_event().unwrap() {
        if let Event::Market(MarketEvent::State { state: MarketState::Resolved(payout), .. }) =
            stamped.event
        {
            up += u32::from(payout == Payout::YES);
            down += u32::from(payout == Payout::NO);
        }
    }
    assert_eq!((up, down), (9, 3));
}

#[test]
fn importing_twice_gives_identical_bytes() {
    let place = tempfile::tempdir().unwrap();
    let mut folders = Vec::new();
    for name in ["one", "two"] {
        let out = place.path().join(name).join("tape");
        std::fs::create_dir_all(&out).unwrap();
        import(&job(Format::Resolvedkit, "resolvedkit", &RESOLVEDKIT, &out)).unwrap();
        folders.push(out);
    }
    let manifest = Manifest::read(&folders[0]).unwrap();
    let mut files = manifest.files.clone();
    files.extend(["manifest.json", "certificate.json", "rejects.jsonl"].map(str::to_owned));
    for file in files {
        let read = |folder: &PathBuf| std::fs::read(folder.join(&file)).unwrap();
        assert!(read(&folders[0]) == read(&folders[1]), "{file} differs");
    }
}

/// The seed of the shipped synthetic tape.
const SEED: u64 = 7;

#[test]
fn the_synthetic_tape_is_what_its_seed_gives_and_says_that_it_is_made_up() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("synthetic-arbitrage");
    let fresh = polydesk_tape::synthetic::write_arbitrage(SEED, &out).unwrap();
    let shipped = fixtures().join("tapes/synthetic-arbitrage");
    if std::env::var_os("UPDATE_TAPES").is_some() {
        let _ = std::fs::remove_dir_all(&shipped);
        copy_all(&out, &shipped);
    }
    let kept = Manifest::read(&shipped).unwrap();
    let fresh = Manifest { checksums: kept.checksums.clone(), ..fresh };
    assert_eq!(fresh, kept);
    assert!(fresh.synthetic);
    let mut reader = TapeReader::open(&shipped).unwrap();
    assert_eq!(content_hash(&mut reader).unwrap(), fresh.content_sha256);
}
