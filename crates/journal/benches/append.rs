//! `cargo bench -p polydesk-journal`: what appending and flushing cost beside a plain `write` of the same bytes
//! in the same run, what a restart costs, and how long an appender waits while the disk works.
//!
//! It prints and judges nothing. Files are made in the folder of `POLYDESK_BENCH_DIR`, else in the one for
//! temporary files, which may be in memory: syncs are then too fast.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polydesk_journal::{
    Change, Class, Clock, Delta, Durable, FileDisk, Handle, Map, Options, Payload, Recovered,
    RunFacts, Seq, StopFacts, Threads, recover,
};

const ROUNDS: usize = 20_000;
const SYNCS: usize = 500;
/// About an order with three fills, and the event that changed it.
const ENTRY: usize = 1_000;
const INPUT: usize = 300;

fn main() {
    let base = std::env::var_os("POLYDESK_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(base).unwrap();
    println!("{:<58} {:>10} {:>10} {:>10}", "", "p50", "p99", "p99.9");
    let bytes = vec![b'x'; INPUT + ENTRY + 120];
    line("plain `write` of the same bytes", plain(folder.path(), &bytes, ROUNDS, false));
    let (threads, _) = begin(&folder.path().join("process"), Durable::Process);
    let handle = threads.handle();
    line(
        "append input and delta",
        each(&handle, ROUNDS, |handle| {
            append(handle);
        }),
    );
    line(
        "append input and delta, flush",
        each(&handle, ROUNDS, |handle| handle.flush(append(handle)).unwrap()),
    );
    line("append alone beside flushes of another thread", contended(&handle));
    threads.stop(&stop(), Duration::from_secs(60)).unwrap();
    println!();
    line("plain `write` and `fdatasync`", plain(folder.path(), &bytes, SYNCS, true));
    let (threads, _) = begin(&folder.path().join("power"), Durable::Power);
    let handle = threads.handle();
    line(
        "append, flush and wait for the sync",
        each(&handle, SYNCS, |handle| {
            handle.wait_synced(append(handle), Duration::from_secs(60)).unwrap();
        }),
    );
    threads.stop(&stop(), Duration::from_secs(60)).unwrap();
    println!();
    restart(folder.path());
}

#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
fn now() -> Instant {
    Instant::now()
}

fn clock() -> Clock {
    let start = now();
    Arc::new(move || now().duration_since(start))
}

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |permille: usize| times[(times.len() - 1) * permille / 1_000];
    let shown = |time: Duration| match time.as_nanos() {
        nanos @ 0..10_000 => format!("{nanos} ns"),
        nanos @ 10_000..10_000_000 => format!("{} us", nanos / 1_000),
        nanos => format!("{} ms", nanos / 1_000_000),
    };
    println!("{what:<58} {:>10} {:>10} {:>10}", shown(at(500)), shown(at(990)), shown(at(999)));
}

fn facts() -> RunFacts {
    RunFacts {
        at_ms: 0,
        program: "bench".to_owned(),
        config: String::new(),
        wallet: String::new(),
        mode: String::new(),
        lease_epoch: 0,
        boot: String::new(),
    }
}

fn stop() -> StopFacts {
    StopFacts { at_ms: 0, open_orders: 0, state_hash: String::new() }
}

fn begin(folder: &Path, durable: Durable) -> (Threads, Recovered) {
    let options = Options { durable, ..Options::default() };
    let disk = Arc::new(FileDisk::open(folder).unwrap());
    let (journal, found) = recover(&*disk, &options, &facts()).unwrap();
    (Threads::start(journal, disk, clock()).unwrap(), found)
}

fn append(handle: &Handle) -> Seq {
    let (input, value) = ([b'i'; INPUT], [b'v'; ENTRY]);
    let cause = handle.append(&Payload::Input(&input), Class::Fact).unwrap();
    let key = (cause.0 % 1_000).to_le_bytes();
    let changes = vec![Change { table: "orders", key: &key, value: Some(&value) }];
    let delta = Delta { cause, commands: [0; 32], changes };
    handle.append(&Payload::Delta(&delta), Class::Fact).unwrap()
}

fn each(handle: &Handle, rounds: usize, work: impl Fn(&Handle)) -> Vec<Duration> {
    (0..rounds)
        .map(|_| {
            let start = now();
            work(handle);
            start.elapsed()
        })
        .collect()
}

fn plain(folder: &Path, bytes: &[u8], rounds: usize, sync: bool) -> Vec<Duration> {
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("plain")).unwrap();
    (0..rounds)
        .map(|_| {
            let start = now();
            file.write_all(bytes).unwrap();
            if sync {
                file.sync_data().unwrap();
            }
            start.elapsed()
        })
        .collect()
}

fn contended(handle: &Handle) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let other = handle.clone();
        let flusher = scope.spawn(move || {
            for _ in 0..ROUNDS {
                other.flush(append(&other)).unwrap();
            }
        });
        let times = each(handle, ROUNDS, |handle| {
            append(handle);
        });
        flusher.join().unwrap();
        times
    })
}

fn restart(folder: &Path) {
    let value = vec![b'v'; 600];
    let mut map = Map::default();
    let start = now();
    for key in 0..20_000_u64 {
        let key = key.to_le_bytes();
        map.change(Change { table: "orders", key: &key, value: Some(&value) });
    }
    println!("20,000 entries of 0.6 kB into the map, hashed: {} ms", start.elapsed().as_millis());
    let path = folder.join("restart");
    let (threads, _) = begin(&path, Durable::Process);
    let handle = threads.handle();
    for key in 0..20_000_u64 {
        let key = key.to_le_bytes();
        let changes = vec![Change { table: "orders", key: &key, value: Some(&value) }];
        let delta = Delta { cause: Seq(1), commands: [0; 32], changes };
        let seq = handle.append(&Payload::Delta(&delta), Class::Fact).unwrap();
        handle.flush(seq).unwrap();
    }
    let start = now();
    threads.stop(&stop(), Duration::from_secs(60)).unwrap();
    println!("stop, with the compaction of 20,000 entries: {} ms", start.elapsed().as_millis());
    drop(handle);
    let disk = FileDisk::open(&path).unwrap();
    let start = now();
    let (_, found) = recover(&disk, &Options::default(), &facts()).unwrap();
    assert_eq!(found.entries.len(), 20_000);
    println!("start from the compaction: {} ms", start.elapsed().as_millis());
    drop(disk);
    for file in std::fs::read_dir(&path).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|ending| ending == "cmp") {
            std::fs::remove_file(file).unwrap();
        }
    }
    let disk = FileDisk::open(&path).unwrap();
    let start = now();
    let result = recover(&disk, &Options::default(), &facts());
    println!(
        "start from the records alone: {} ms ({})",
        start.elapsed().as_millis(),
        if result.is_ok() { "all entries" } else { "refused" }
    );
}
