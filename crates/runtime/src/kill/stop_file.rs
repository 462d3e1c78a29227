//! The file `STOP` in the data folder: a user who can make a file there can kill.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::switch::{Switch, Via};

/// Name of the file.
pub const STOP: &str = "STOP";
/// Between two looks.
pub const EVERY: Duration = Duration::from_millis(100);
/// So many looks in a row that fail count as the file: a folder that cannot be read must not hide it.
const MOST_FAILURES: u32 = 10;

/// Looks for the file.
#[derive(Debug)]
pub struct StopFile {
    path: PathBuf,
    failures: u32,
}

impl StopFile {
    /// Of a data folder.
    pub fn of(data: &Path) -> StopFile {
        StopFile { path: data.join(STOP), failures: 0 }
    }

    /// Looks once; the reason for a kill, if there is one.
    pub fn look(&mut self) -> Option<String> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(_) => Some(format!("the file {STOP} is in the data folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.failures = 0;
                None
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let often = self.failures >= MOST_FAILURES;
                often.then(|| format!("the file {STOP} cannot be looked for: {error}"))
            }
        }
    }
}

/// Whether the file is there, or that cannot be told.
pub fn is_there(data: &Path) -> bool {
    let found = std::fs::symlink_metadata(data.join(STOP));
    !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Looks for the file each 100 ms on a thread of its own, until the switch is gone: a disk that hangs holds up no
/// other trigger.
///
/// # Errors
/// The thread cannot be started.
pub fn watch(data: &Path, switch: &Arc<Switch>) -> io::Result<()> {
    let (mut file, switch) = (StopFile::of(data), Arc::downgrade(switch));
    let work = move || {
        while look(&mut file, &switch) {
            #[expect(clippy::disallowed_methods, reason = "a thread outside the runtime")]
            std::thread::sleep(EVERY);
        }
    };
    std::thread::Builder::new().name("stop-file".into()).spawn(work).map(drop)
}

/// The same as a task, for simulations.
pub async fn watch_here(data: PathBuf, switch: Arc<Switch>) {
    let (mut file, switch) = (StopFile::of(&data), Arc::downgrade(&switch));
    while look(&mut file, &switch) {
        tokio::time::sleep(EVERY).await;
    }
}

fn look(file: &mut StopFile, switch: &Weak<Switch>) -> bool {
    let Some(switch) = switch.upgrade() else { return false };
    // A kill that is in force needs no second one each 100 ms.
    if switch.triggered().is_none()
        && let Some(why) = file.look()
    {
        switch.trigger("file", Via::File, &why);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_counts_whatever_it_is_and_a_folder_that_cannot_be_read_counts_after_a_second() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(StopFile::of(data.path()).look(), None);
        std::os::unix::fs::symlink("nowhere", data.path().join(STOP)).unwrap();
        assert!(StopFile::of(data.path()).look().is_some() && is_there(data.path()));
        // A path below a file is no folder.
        let path = data.path().join("a file");
        std::fs::write(&path, "").unwrap();
        let mut file = StopFile::of(&path);
        let reasons: Vec<bool> = (0..11).map(|_| file.look().is_some()).collect();
        assert_eq!(reasons.iter().position(|reason| *reason), Some(9));
        assert!(is_there(&path));
    }
}
