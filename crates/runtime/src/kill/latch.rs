//! Writes the latch file on a thread of its own, so that a disk that hangs delays no cancel.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use polydesk_journal::{Disk, LATCH_VERSION, Latch, LatchFile, LatchState, Space};
use tokio::sync::oneshot;

/// The most bytes of an author's name in the latch file. Escaped in JSON a byte can take two.
const LONGEST_BY: usize = 40;
/// The most bytes of a reason.
const LONGEST_WHY: usize = 140;

/// A change of the latch that is under way. Each half tells the reason where it failed.
#[derive(Debug)]
pub struct Writing {
    /// It survives the end of the process.
    pub written: oneshot::Receiver<Result<(), String>>,
    /// It survives the loss of power.
    pub synced: oneshot::Receiver<Result<(), String>>,
}

/// Writes the latch beside the caller, which does not wait.
pub trait LatchWriter: Send + Sync + 'static {
    /// Begins a change. Never waits.
    fn write(&self, state: LatchState) -> Writing;
}

/// A state as it fits a sector of the file: texts are shortened, control characters replaced.
///
/// `at_ms` is wall time in milliseconds since 1970, `run` the number of the run, 0 outside of any.
pub fn state(state: Latch, by: &str, via: &str, why: &str, at_ms: i64, run: u32) -> LatchState {
    let (by, why) = (short(by, LONGEST_BY), short(why, LONGEST_WHY));
    LatchState { v: LATCH_VERSION, state, at: at_ms, by, via: via.to_owned(), why, run }
}

fn short(text: &str, most: usize) -> String {
    let mut kept = String::new();
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if kept.len() + letter.len_utf8() > most {
            break;
        }
        kept.push(letter);
    }
    kept
}

/// Writes the latch with a thread of its own.
#[derive(Debug, Clone)]
pub struct LatchThread {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    state: LatchState,
    written: oneshot::Sender<Result<(), String>>,
    synced: oneshot::Sender<Result<(), String>>,
}

impl LatchThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(disk: impl Disk + 'static) -> io::Result<LatchThread> {
        let (jobs, asked) = mpsc::channel::<Job>();
        let work = move || {
            while let Ok(job) = asked.recv() {
                execute(&disk, job);
            }
        };
        std::thread::Builder::new().name("latch".into()).spawn(work)?;
        Ok(LatchThread { jobs })
    }
}

fn execute(disk: &dyn Disk, job: Job) {
    let latch = LatchFile::read(disk).map_err(|error| error.to_string()).and_then(|(latch, _)| {
        let mut latch = latch;
        latch.write(disk, &job.state).map_err(|error| reasons(&error)).map(|()| latch)
    });
    match latch {
        Ok(latch) => {
            let _ = job.written.send(Ok(()));
            let _ = job.synced.send(latch.sync(disk).map_err(|error| reasons(&error)));
        }
        Err(why) => {
            let _ = job.written.send(Err(why.clone()));
            let _ = job.synced.send(Err(why));
        }
    }
}

fn reasons(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl LatchWriter for LatchThread {
    fn write(&self, state: LatchState) -> Writing {
        let ((written, is_written), (synced, is_synced)) = (oneshot::channel(), oneshot::channel());
        // Where the thread has ended the receivers see a closed channel, which counts as not written.
        let _ = self.jobs.send(Job { state, written, synced });
        Writing { written: is_written, synced: is_synced }
    }
}

/// The latch file of a journal folder, without the folder's lock: a kill is written beside the process that holds it.
/// Every other file is refused.
#[derive(Debug)]
pub struct LatchFolder {
    folder: PathBuf,
    name: String,
}

impl LatchFolder {
    /// The journal's folder in a data folder.
    pub fn of(data: &Path) -> LatchFolder {
        let folder = data.join(crate::durable::FOLDER);
        LatchFolder { folder, name: "kill".to_owned() }
    }

    fn open(&self, name: &str, create: bool) -> io::Result<File> {
        if name != self.name {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "only the latch is opened",
            ));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false).mode(0o600);
        options.open(self.folder.join(name))
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the latch needs no such operation"))
}

impl Disk for LatchFolder {
    fn list(&self, _: &str) -> io::Result<Vec<(String, u64)>> {
        refused()
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.folder.join(name))
    }
    fn create(&self, name: &str, len: u64) -> io::Result<()> {
        // Another writer may have made it meanwhile: what it wrote stays.
        let file = self.open(name, true)?;
        let present = file.metadata()?.len();
        file.set_len(present.max(len))
    }
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.open(name, false)?.write_all_at(bytes, offset)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        self.open(name, false)?.sync_all()?;
        // The name, too, where the file was made just now.
        File::open(&self.folder)?.sync_all()
    }
    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        refused()
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }
    fn sync_folder(&self, _: &str) -> io::Result<()> {
        refused()
    }
    fn space(&self) -> io::Result<Space> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use polydesk_journal::{Kill, MemDisk};

    use super::*;

    #[test]
    fn the_longest_texts_fit_a_sector() {
        for text in ["\"".repeat(900), "\\".repeat(900), "\n\u{1}".repeat(900), "ü".repeat(900)] {
            let disk = MemDisk::new();
            let state = state(Latch::Killed, &text, "watchdog", &text, i64::MAX, u32::MAX);
            let (mut latch, _) = LatchFile::read(&disk).unwrap();
            latch.write(&disk, &state).unwrap();
            assert_eq!(LatchFile::read(&disk).unwrap().1, Kill::Killed(state));
        }
    }

    #[test]
    fn two_writers_without_a_lock_both_leave_the_folder_killed() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join(crate::durable::FOLDER)).unwrap();
        let writers: Vec<_> = (0..2)
            .map(|number: u32| {
                let disk = LatchFolder::of(data.path());
                std::thread::spawn(move || {
                    for turn in 0..50 {
                        let (mut latch, _) = LatchFile::read(&disk).unwrap();
                        let why = format!("writer {number}, turn {turn}");
                        let state = state(Latch::Killed, "ada", "desk", &why, 1, number);
                        latch.write(&disk, &state).unwrap();
                        latch.sync(&disk).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let (_, kill) = LatchFile::read(&LatchFolder::of(data.path())).unwrap();
        assert!(matches!(kill, Kill::Killed(_)), "{kill:?}");
    }
}
