//! Real files, threads and processes.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use polydesk_journal::{
    AppendError, Change, Class, Clock, Delta, Disk, Durable, Ended, FileDisk, Handle, MemDisk,
    OpenError, Options, Payload, Recovered, Room, Seq, Space, StopFacts, Threads, WaitError,
    read_records, read_state, recover, refused_file_system,
};

use crate::harness::{NOON, facts, options};

/// Goes on by a hundredth of a millisecond whenever somebody looks.
fn clock() -> Clock {
    let micros = AtomicU64::new(0);
    Arc::new(move || Duration::from_micros(micros.fetch_add(10, Ordering::Relaxed)))
}

fn long() -> Duration {
    Duration::from_secs(1_000_000)
}

fn begin(disk: Arc<dyn Disk>, options: &Options) -> (Threads, Recovered) {
    let (journal, found) = recover(&*disk, options, &facts(NOON)).unwrap();
    (Threads::start(journal, disk, clock()).unwrap(), found)
}

fn put(handle: &Handle, key: &str, value: &str) -> Seq {
    let change = Change { table: "wire", key: key.as_bytes(), value: Some(value.as_bytes()) };
    let delta = Delta { cause: Seq(1), commands: [0; 32], changes: vec![change] };
    handle.append(&Payload::Delta(&delta), Class::Fact).unwrap()
}

fn stop_facts() -> StopFacts {
    StopFacts { at_ms: NOON, open_orders: 0, state_hash: "h".to_owned() }
}

#[test]
fn files_and_folders_are_private_and_a_run_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet");
    let disk = Arc::new(FileDisk::open(&path).unwrap());
    let (threads, found) = begin(disk, &options());
    assert_eq!(found.ended, Ended::Fresh);
    let handle = threads.handle();
    for number in 0..200 {
        let seq = put(&handle, &format!("{}", number % 9), &format!("{number:0200}"));
        handle.flush(seq).unwrap();
        assert!(handle.written() >= seq);
    }
    let row = polydesk_journal::Row { cause: Seq(3), n: 0, at_ms: NOON, body: b"row" };
    handle.append(&Payload::Record(row), Class::Fact).unwrap();
    threads.stop(&stop_facts(), long()).unwrap();
    let mode = |name: &str| {
        let facts = std::fs::metadata(path.join(name)).unwrap();
        (facts.is_dir(), facts.permissions().mode() & 0o7777)
    };
    assert_eq!(mode(""), (true, 0o700));
    assert_eq!(mode("records"), (true, 0o700));
    let mut seen = Vec::new();
    for folder in ["", "records/"] {
        for entry in std::fs::read_dir(path.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name != "records" {
                assert_eq!(mode(&format!("{folder}{name}")), (false, 0o600), "{name}");
                seen.push(name.rsplit('.').next().unwrap().to_owned());
            }
        }
    }
    for kind in ["seg", "cmp", "kill", "lock", "log", "tmp"] {
        assert!(seen.iter().any(|seen| seen == kind), "{kind}: {seen:?}");
    }
    drop(handle);
    let disk = FileDisk::open(&path).unwrap();
    let (_, found) = recover(&disk, &options(), &facts(NOON)).unwrap();
    assert_eq!(found.ended, Ended::Stopped);
    assert_eq!(found.entries.len(), 9);
    assert_eq!(found.run, 2);
}

#[test]
fn a_folder_that_others_may_read_is_refused() {
    for bits in [0o755, 0o740, 0o720, 0o710, 0o704, 0o702, 0o701] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(bits)).unwrap();
        let error = FileDisk::open(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::Mode { mode, .. } if mode == bits), "{error}");
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
}

#[test]
fn network_file_systems_are_refused_by_name() {
    for (number, name) in [
        (0x6969, Some("NFS")),
        (0xff53_4d42, Some("CIFS")),
        (0xffff_ffff_ff53_4d42, Some("CIFS")),
        (0x6573_5546, Some("FUSE")),
        (0xef53, None),
        (0x0102_1994, None),
        (0x9123_683e, None),
        (0x5846_5342, None),
    ] {
        assert_eq!(refused_file_system(number), name, "{number:x}");
    }
}

/// Runs one of the tests below in a process of its own.
fn child(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("POLYDESK_JOURNAL_CHILD", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn folder_of_child() -> Option<std::path::PathBuf> {
    std::env::var_os("POLYDESK_JOURNAL_CHILD").map(Into::into)
}

#[test]
#[ignore = "a process of another test"]
fn opens_a_folder() {
    let Some(folder) = folder_of_child() else { return };
    match FileDisk::open(&folder) {
        Ok(_) => println!("opened"),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn a_second_process_is_refused_with_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet");
    let disk = FileDisk::open(&path).unwrap();
    let again = FileDisk::open(&path).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&again, OpenError::Locked { pid: of, .. } if *of == pid), "{again}");
    let output = |path: &Path| {
        let output = child("files::opens_a_folder", path).wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = output(&path);
    assert!(
        refused.contains("refused: ") && refused.contains(&format!("process {pid};")),
        "{refused}"
    );
    // A reader needs no lock, changes nothing and cannot.
    let reader = FileDisk::read_only(&path).unwrap();
    assert_eq!(reader.create("x", 0).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(reader.write("lock", 0, b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    drop(disk);
    assert!(output(&path).contains("opened"), "the lock ends with its holder");
}

#[test]
#[ignore = "a process of another test"]
fn writes_until_it_is_killed() {
    let Some(folder) = folder_of_child() else { return };
    let disk = Arc::new(FileDisk::open(&folder).unwrap());
    let (threads, _) = begin(disk, &Options { segment_bytes: 64 << 10, ..options() });
    let handle = threads.handle();
    let mut out = io::stdout();
    for number in 0..1_000_000_u64 {
        let seq = put(&handle, &format!("{}", number % 50), &format!("{number}"));
        handle.flush(seq).unwrap();
        writeln!(out, "flushed {number} {seq}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_process_that_is_killed_leaves_everything_it_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet");
    let mut reported = None;
    for lines in [1, 300, 5_000] {
        let mut process = child("files::writes_until_it_is_killed", &path);
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let mut seen = 0;
        while seen < lines {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "it ended by itself");
            if let Some(rest) = line.trim_end().split("flushed ").nth(1) {
                seen += 1;
                let (number, seq) = rest.split_once(' ').unwrap();
                reported = Some((number.to_owned(), Seq(seq.parse().unwrap())));
            }
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let (number, seq) = reported.clone().unwrap();
        let state = read_state(&FileDisk::read_only(&path).unwrap(), &options()).unwrap();
        assert!(state.last >= seq);
        let number: u64 = number.parse().unwrap();
        let key = format!("{}", number % 50).into_bytes();
        let entry = state.entries.iter().find(|entry| entry.key == key).unwrap();
        let found: u64 = String::from_utf8(entry.value.clone()).unwrap().parse().unwrap();
        assert!(found >= number, "{found} after {number} was reported");
    }
}

/// A disk whose writes wait until they may go on, or that panics.
#[derive(Default)]
struct Gate {
    disk: MemDisk,
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    panics: bool,
    waiting: usize,
    writes: Vec<usize>,
}

impl Gate {
    fn set(&self, closed: bool) {
        self.state.lock().unwrap().closed = closed;
        self.changed.notify_all();
    }

    /// Until a write waits.
    fn await_writer(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.waiting == 0).unwrap());
    }

    fn pass(&self, bytes: usize) {
        let mut state = self.state.lock().unwrap();
        let panics = state.panics;
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
        state.writes.push(bytes);
        drop(state);
        assert!(!panics, "a panic on demand");
    }
}

impl Disk for Gate {
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        self.disk.list(folder)
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name)
    }
    fn create(&self, name: &str, len: u64) -> io::Result<()> {
        self.disk.create(name, len)
    }
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if name.ends_with(".seg") {
            self.pass(bytes.len());
        }
        self.disk.write(name, offset, bytes)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        self.disk.sync(name)
    }
    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.disk.truncate(name, len)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }
    fn space(&self) -> io::Result<Space> {
        self.disk.space()
    }
}

#[test]
fn a_stalled_write_holds_no_appender_and_one_write_holds_what_came_meanwhile() {
    let gate = Arc::new(Gate::default());
    let (threads, _) = begin(gate.clone(), &options());
    let handle = threads.handle();
    gate.set(true);
    let first = put(&handle, "0", "first");
    let stalled = {
        let handle = handle.clone();
        thread::spawn(move || handle.flush(first))
    };
    gate.await_writer();
    let mut last = first;
    for number in 0..50 {
        last = put(&handle, &format!("{number}"), "while it hangs");
    }
    assert!(handle.written() < first && handle.synced() < first);
    assert_eq!(handle.status().room, Room::Plenty);
    let before = gate.state.lock().unwrap().writes.len();
    gate.set(false);
    stalled.join().unwrap().unwrap();
    handle.flush(last).unwrap();
    assert!(handle.written() >= last);
    let writes = gate.state.lock().unwrap().writes[before..].to_vec();
    assert!(writes.len() <= 3, "{writes:?}");
    threads.stop(&stop_facts(), long()).unwrap();
    assert_eq!(gate.state.lock().unwrap().waiting, 0);
}

#[test]
fn flush_and_wait_say_what_they_cannot_do() {
    let gate = Arc::new(Gate::default());
    let (threads, _) = begin(gate.clone(), &Options { durable: Durable::Power, ..options() });
    let handle = threads.handle();
    let seq = put(&handle, "1", "x");
    handle.settle(seq, long()).unwrap();
    assert!(handle.synced() >= seq, "`power` waits for the sync");
    let beyond = Seq(seq.0 + 1_000);
    assert!(matches!(handle.flush(beyond), Err(WaitError::Unknown { seq, .. }) if seq == beyond));
    // The disk fails: every waiting call returns the error. The threads may notice before anything is appended.
    gate.disk.refuse("", Some(io::ErrorKind::Other));
    let error = match handle.append(&Payload::Input(b"late"), Class::Fact) {
        Ok(late) => handle.wait_synced(late, long()).unwrap_err(),
        Err(error) => error.into(),
    };
    assert!(
        matches!(error, WaitError::Failed(_) | WaitError::Append(AppendError::Failed(_))),
        "{error}"
    );
    assert!(handle.status().must_halt());
    assert!(matches!(threads.stop(&stop_facts(), long()), Err(WaitError::Append(_))));
}

#[test]
fn a_sync_that_takes_too_long_is_a_timeout_and_not_a_failure() {
    struct SlowSync(MemDisk, Mutex<mpsc::Receiver<()>>, AtomicU64);
    impl Disk for SlowSync {
        fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
            self.0.list(folder)
        }
        fn read(&self, name: &str) -> io::Result<Vec<u8>> {
            self.0.read(name)
        }
        fn create(&self, name: &str, len: u64) -> io::Result<()> {
            self.0.create(name, len)
        }
        fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.0.write(name, offset, bytes)
        }
        fn sync(&self, name: &str) -> io::Result<()> {
            if self.2.load(Ordering::SeqCst) == 1 && name.ends_with(".seg") {
                // Until the sender goes, and from then on at once.
                let _ = self.1.lock().unwrap().recv();
            }
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
    let (sender, receiver) = mpsc::channel();
    let disk = Arc::new(SlowSync(MemDisk::new(), Mutex::new(receiver), AtomicU64::new(0)));
    let (threads, _) = begin(disk.clone(), &options());
    let handle = threads.handle();
    disk.2.store(1, Ordering::SeqCst);
    let seq = put(&handle, "1", "x");
    let error = handle.wait_synced(seq, Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, WaitError::Timeout { .. }), "{error}");
    assert!(handle.written() >= seq, "it is written all the same");
    drop(sender);
    handle.wait_synced(seq, long()).unwrap();
    threads.stop(&stop_facts(), long()).unwrap();
}

#[test]
fn a_panic_of_a_journal_thread_ends_the_run() {
    let gate = Arc::new(Gate::default());
    let (threads, _) = begin(gate.clone(), &options());
    let handle = threads.handle();
    gate.state.lock().unwrap().panics = true;
    let seq = put(&handle, "1", "x");
    // The thread writes it by itself, sooner or later.
    let failed = loop {
        match handle.status().failed {
            Some(failure) => break failure,
            None => thread::yield_now(),
        }
    };
    assert!(failed.file.contains("journal-write"), "{failed}");
    assert!(handle.flush(seq).is_err());
    assert!(handle.append(&Payload::Input(b"x"), Class::Fact).is_err());
}

#[test]
fn many_threads_append_and_every_record_is_there_once() {
    let disk = Arc::new(MemDisk::new());
    let options = Options { buffer_bytes: 1 << 20, recording: true, ..options() };
    let (threads, _) = begin(disk.clone(), &options);
    let appenders: Vec<_> = (0..4)
        .map(|thread| {
            let handle = threads.handle();
            thread::spawn(move || {
                for number in 0..500 {
                    let input = format!("{thread}/{number}");
                    let payload = Payload::Input(input.as_bytes());
                    let seq = handle.append(&payload, Class::Fact).unwrap();
                    if number % 7 == 0 {
                        handle.flush(seq).unwrap();
                    }
                    if number % 50 == 0 {
                        handle.wait_synced(seq, long()).unwrap();
                    }
                }
            })
        })
        .collect();
    appenders.into_iter().for_each(|thread| thread.join().unwrap());
    threads.stop(&stop_facts(), long()).unwrap();
    let mut next = [0; 4];
    read_records(&*disk, Seq(1), |record| {
        if record.frame.kind == polydesk_journal::Kind::Input {
            let text = std::str::from_utf8(record.frame.payload).unwrap();
            let (thread, number) = text.split_once('/').unwrap();
            let thread: usize = thread.parse().unwrap();
            assert_eq!(next[thread], number.parse::<u64>().unwrap());
            next[thread] += 1;
        }
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(next, [500; 4]);
}
