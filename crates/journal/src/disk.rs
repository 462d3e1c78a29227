//! What the journal needs of a disk: files by name below one folder, which tell written bytes from synced ones.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::options::Retention;
use crate::pack::unpack;
use crate::rows;

/// Free and whole bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that can still be used.
    pub free: u64,
    /// All bytes.
    pub total: u64,
}

/// A folder on a disk. Names are relative to it and have at most one `/`.
///
/// What was written survives the end of the process; only what was synced survives the loss of power. A
/// name (after creation, renaming, removal) needs [`Disk::sync_folder`] for that, a file's bytes and length
/// need [`Disk::sync`].
pub trait Disk: Send + Sync {
    /// Names and lengths of the files directly in a folder; `""` is the journal's own. A folder that does
    /// not exist is empty.
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>>;
    /// All bytes of a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes a file of `len` allocated zeros, in place of an older one; makes its folder.
    fn create(&self, name: &str, len: u64) -> io::Result<()>;
    /// Writes all bytes at an offset of a file that exists.
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes a file's bytes and length durable.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Shortens a file.
    fn truncate(&self, name: &str, len: u64) -> io::Result<()>;
    /// Renames a file; one with the new name is replaced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. One that does not exist is no error.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// The space of the file system.
    fn space(&self) -> io::Result<Space>;
}

/// One operation on a disk, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// [`Disk::create`].
    Create {
        /// File.
        name: String,
        /// Bytes.
        len: u64,
    },
    /// [`Disk::write`].
    Write {
        /// File.
        name: String,
        /// Where in it.
        offset: u64,
        /// Where the bytes are.
        bytes: Arc<Vec<u8>>,
        /// Which of them.
        range: Range<usize>,
    },
    /// [`Disk::sync`].
    Sync {
        /// File.
        name: String,
    },
    /// [`Disk::truncate`].
    Truncate {
        /// File.
        name: String,
        /// Bytes that are left.
        len: u64,
    },
    /// [`Disk::rename`].
    Rename {
        /// File.
        from: String,
        /// Its new name.
        to: String,
    },
    /// [`Disk::remove`].
    Remove {
        /// File.
        name: String,
    },
    /// [`Disk::sync_folder`].
    SyncFolder {
        /// Folder.
        folder: String,
    },
    /// [`Disk::space`].
    Space,
    /// Writes a file's bytes compressed into another one and reads them back.
    Compress {
        /// File.
        from: String,
        /// The compressed one.
        to: String,
    },
    /// Writes a compressed month of the record log again, without the rows that are not kept, and reads it back.
    Thin {
        /// The compressed file.
        from: String,
        /// The new one.
        to: String,
        /// Which rows stay.
        retention: Retention,
    },
}

/// What an operation gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Of [`Op::Space`].
    Space(Space),
}

impl Op {
    /// Executes the operation.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn run(&self, disk: &dyn Disk) -> io::Result<Outcome> {
        match self {
            Op::Create { name, len } => disk.create(name, *len)?,
            Op::Write { name, offset, bytes, range } => {
                disk.write(name, *offset, bytes.get(range.clone()).unwrap_or_default())?;
            }
            Op::Sync { name } => disk.sync(name)?,
            Op::Truncate { name, len } => disk.truncate(name, *len)?,
            Op::Rename { from, to } => disk.rename(from, to)?,
            Op::Remove { name } => disk.remove(name)?,
            Op::SyncFolder { folder } => disk.sync_folder(folder)?,
            Op::Space => return disk.space().map(Outcome::Space),
            Op::Compress { from, to } => compress(disk, from, to)?,
            Op::Thin { from, to, retention } => thin(disk, from, to, retention)?,
        }
        Ok(Outcome::Done)
    }

    /// Writes all of some bytes.
    #[must_use]
    pub fn write(name: &str, offset: u64, bytes: Vec<u8>) -> Op {
        let range = 0..bytes.len();
        Op::Write { name: name.to_owned(), offset, bytes: Arc::new(bytes), range }
    }
}

fn compress(disk: &dyn Disk, from: &str, to: &str) -> io::Result<()> {
    pack(disk, &disk.read(from)?, from, to)
}

fn thin(disk: &dyn Disk, from: &str, to: &str, retention: &Retention) -> io::Result<()> {
    let plain = unpack(&disk.read(from)?)?;
    let left = rows::kept(&plain, |body| retention.keeps(body)).ok_or_else(|| {
        io::Error::other("a row of it is damaged; restore it from a copy, then old rows can go")
    })?;
    pack(disk, &left, from, to)
}

fn pack(disk: &dyn Disk, plain: &[u8], from: &str, to: &str) -> io::Result<()> {
    let packed = zstd::bulk::compress(plain, 3)?;
    // The only copy of these rows is removed afterwards: what is written must give them back.
    if zstd::bulk::decompress(&packed, plain.len())? != plain {
        return Err(io::Error::other(format!("{from} was not the same after compression")));
    }
    disk.create(to, 0)?;
    disk.write(to, 0, &packed)
}
