//! The disk of programs: a folder of the local file system, for one process at a time.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, fstatvfs};

use crate::disk::{Disk, Space};

const LOCK: &str = "lock";

/// A folder on a local file system: 0700, files 0600, locked for one process unless it is opened to read.
#[derive(Debug)]
pub struct FileDisk {
    folder: PathBuf,
    open: Mutex<BTreeMap<String, Arc<File>>>,
    root: File,
    /// Locked as long as it is open; absent when opened to read.
    lock: Option<File>,
}

/// Why a folder was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "journal folder {} is in use by process {pid}; one process at a time writes it: stop that one, or use another folder", folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Id of the process, as it wrote it itself; `unknown` where it did not.
        pid: String,
    },
    /// The file system is not local.
    #[error(
        "journal folder {} is on {name}; locks and syncs are reliable on local file systems only: set the data folder to a local disk", folder.display()
    )]
    Network {
        /// The folder.
        folder: PathBuf,
        /// The file system.
        name: &'static str,
    },
    /// It belongs to others too.
    #[error(
        "journal folder {} has mode {mode:04o}; only its owner may read it: chmod 700", folder.display()
    )]
    Mode {
        /// The folder.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The operating system refused something.
    #[error("journal folder {}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// Numbers that `statfs` gives for file systems that several hosts share, or that a program serves.
const REFUSED: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB 2"),
    (0xff53_4d42, "CIFS"),
    (0x00c3_6400, "Ceph"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
];

/// The name of a file system that is refused, by the number that `statfs` gives.
#[must_use]
pub fn refused_file_system(number: u64) -> Option<&'static str> {
    // The field is signed and 32 bits wide on some platforms.
    let number = number & 0xffff_ffff;
    REFUSED.iter().find(|(refused, _)| *refused == number).map(|(_, name)| *name)
}

impl FileDisk {
    /// Opens a folder to write: makes it where it does not exist, and locks it.
    ///
    /// # Errors
    /// Another process holds the lock, the file system is not local, others may read the folder, or the
    /// operating system refuses.
    pub fn open(folder: &Path) -> Result<FileDisk, OpenError> {
        let io = |error| OpenError::Io { folder: folder.to_owned(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        let root = checked(folder)?;
        let mode = root.metadata().map_err(io)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(OpenError::Mode { folder: folder.to_owned(), mode });
        }
        let path = folder.join(LOCK);
        let mut lock = private().create(true).truncate(false).open(&path).map_err(io)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let pid = fs::read_to_string(&path).unwrap_or_default();
                let known = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
                let pid = if known { pid } else { "unknown".to_owned() };
                return Err(OpenError::Locked { folder: folder.to_owned(), pid });
            }
            Err(error) => return Err(io(error.into())),
        }
        lock.set_len(0).map_err(io)?;
        lock.write_all(std::process::id().to_string().as_bytes()).map_err(io)?;
        Ok(FileDisk { folder: folder.to_owned(), open: Mutex::default(), root, lock: Some(lock) })
    }

    /// Opens a folder to read, also while another process writes it. Changes nothing and takes no lock.
    ///
    /// # Errors
    /// The folder does not exist, its file system is not local, or the operating system refuses.
    pub fn read_only(folder: &Path) -> Result<FileDisk, OpenError> {
        let root = checked(folder)?;
        Ok(FileDisk { folder: folder.to_owned(), open: Mutex::default(), root, lock: None })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn writable(&self) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "the journal was opened to read"))
    }

    fn file(&self, name: &str) -> io::Result<Arc<File>> {
        self.writable()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(name) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(private().open(self.folder.join(name))?);
        open.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn forget(&self, name: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// The folder, opened, where its file system is local.
fn checked(folder: &Path) -> Result<File, OpenError> {
    let io = |error| OpenError::Io { folder: folder.to_owned(), error };
    let root = File::open(folder).map_err(io)?;
    let found = rustix::fs::fstatfs(&root).map_err(|error| io(error.into()))?;
    // Its width and sign differ between platforms.
    #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast, reason = "only the bits matter")]
    match refused_file_system(found.f_type as u64) {
        Some(name) => Err(OpenError::Network { folder: folder.to_owned(), name }),
        None => Ok(root),
    }
}

impl Disk for FileDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let entries = match fs::read_dir(self.folder.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let facts = match entry.metadata() {
                Ok(facts) => facts,
                // Another process has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if facts.is_file() {
                found.push((entry.file_name().to_string_lossy().into_owned(), facts.len()));
            }
        }
        found.sort();
        Ok(found)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.folder.join(name))
    }

    fn create(&self, name: &str, len: u64) -> io::Result<()> {
        self.writable()?;
        self.forget(name);
        let path = self.folder.join(name);
        if let Some((folder, _)) = name.rsplit_once('/') {
            let folder = self.folder.join(folder);
            if !folder.is_dir() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
                self.root.sync_all()?;
            }
        }
        // A new file, not the old one emptied: somebody may be reading that.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = private().create_new(true).open(&path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        // What was allocated of it would be missing elsewhere.
        allocate(&file, len).inspect_err(|_| drop(fs::remove_file(&path)))
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all_at(bytes, offset)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.file(name)?.set_len(len)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        fs::rename(self.folder.join(from), self.folder.join(to))?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(to);
        if let Some(file) = open.remove(from) {
            open.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        self.forget(name);
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.writable()?;
        if folder.is_empty() {
            return self.root.sync_all();
        }
        File::open(self.folder.join(folder))?.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        let found = fstatvfs(&self.root)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        Ok(Space { free, total: found.f_blocks.saturating_mul(found.f_frsize) })
    }
}

/// Zeros that no later write can be refused the room for.
fn allocate(file: &File, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let zeros = [0; 64 << 10];
            let mut left = len;
            let mut out = file;
            while left > 0 {
                let piece = left.min(zeros.len() as u64);
                out.write_all(zeros.get(..piece as usize).unwrap_or_default())?;
                left -= piece;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
