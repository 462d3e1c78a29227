//! The data folder: private, and used by one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::failure::{Done, Failure};

/// The data folder with its lock.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes and locks the folder.
    ///
    /// # Errors
    /// It cannot be made, others may write there, or another process uses it.
    pub fn open(path: PathBuf) -> Done<Folder> {
        let failed = || format!("the data folder {} cannot be used", path.display());
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(failed)?;
        let mode = std::fs::metadata(&path).with_context(failed)?.permissions().mode();
        if mode & 0o022 != 0 {
            return Err(Failure::Failed(anyhow::anyhow!(
                "the data folder {} can be written by others (mode {:o}): chmod 700 it",
                path.display(),
                mode & 0o777
            )));
        }
        let lock = lock(&path)?;
        Ok(Folder { path, _lock: lock })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder that was not there in `base`. Numbers of processes come again, in a container soon: an old folder holds the
/// account of another run.
///
/// # Errors
/// It cannot be made.
pub fn fresh(base: &Path, pid: u32) -> std::io::Result<PathBuf> {
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700).recursive(true).create(base)?;
    builder.recursive(false);
    let mut number = 1;
    loop {
        let path = match number {
            1 => base.join(pid.to_string()),
            _ => base.join(format!("{pid}-{number}")),
        };
        match builder.create(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            made => return made.map(|()| path),
        }
    }
}

fn lock(folder: &Path) -> Done<File> {
    let path = folder.join("lock");
    let unusable = || format!("{} cannot be opened", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let who = if holder.is_empty() { "another process" } else { holder };
            return Err(Failure::InUse(format!(
                "the data folder {} is in use by process {who}: end it, or name another folder with --data",
                folder.display()
            )));
        }
        Err(TryLockError::Error(error)) => {
            return Err(Failure::Failed(anyhow::Error::from(error).context(format!(
                "{} cannot be locked: the data folder must be on a local disk",
                path.display()
            ))));
        }
    }
    file.set_len(0).with_context(unusable)?;
    writeln!(file, "{}", std::process::id()).with_context(unusable)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_number_that_comes_again_gets_another_folder() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().join("local");
        let made: Vec<PathBuf> = (0..3).map(|_| fresh(&base, 7).unwrap()).collect();
        assert_eq!(made, ["7", "7-2", "7-3"].map(|name| base.join(name)));
        let mode = made[0].metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::write(base.join("8"), "a file").unwrap();
        assert_eq!(fresh(&base, 8).unwrap(), base.join("8-2"));
    }
}
