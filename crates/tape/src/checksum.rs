//! Checksums over the bytes of a tape's files: what a reader checks while it reads.
//!
//! The content hash names what a tape holds, whatever its encoding; computing it takes longer than decoding the
//! rows. The files' bytes are a tenth as many, and BLAKE3 takes them in at several times the speed of SHA-256, which
//! was a tenth of the time of bare reading. Tapes without checksums are checked by their content hash.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use blake3::Hasher;
use serde::{Deserialize, Serialize};

use crate::TapeError;

/// The form that is written: BLAKE3 over the bytes of each file, and a seal.
pub const FILES_V1: &str = "files-blake3-v1";

/// What the bytes of a tape's files hash to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checksums {
    /// How they are computed: [`FILES_V1`]. A tape with another form is refused.
    pub form: String,
    /// BLAKE3 of each file's bytes in lower-case hex, by its path in the manifest.
    pub files: BTreeMap<String, String>,
    /// BLAKE3 over form, content hash, count of rows, and every path with its checksum, a line each: ties
    /// them to the content hash.
    pub seal: String,
}

impl Checksums {
    /// Seals the checksums of these files to the content they hold.
    pub fn seal(files: BTreeMap<String, String>, content_sha256: &str, rows: u64) -> Checksums {
        let mut checksums = Checksums { form: FILES_V1.to_owned(), files, seal: String::new() };
        checksums.seal = checksums.sealed(content_sha256, rows);
        checksums
    }

    /// Checks everything but the bytes: the form, the seal, and that every file has a checksum.
    ///
    /// # Errors
    /// Another form, a broken seal, or a file without a checksum.
    pub fn check(
        &self,
        manifest: &Path,
        (content_sha256, rows): (&str, u64),
        files: &[String],
    ) -> Result<(), TapeError> {
        let refused = |problem: String| Err(TapeError::corrupt(manifest, "its checksums", problem));
        if self.form != FILES_V1 {
            return refused(format!(
                "their form is {:?}, this program knows {FILES_V1:?}: use a newer one, or import again",
                self.form
            ));
        }
        if self.sealed(content_sha256, rows) != self.seal {
            return refused("they are not of this content hash: copy the tape again".to_owned());
        }
        match files.iter().find(|file| !self.files.contains_key(*file)) {
            Some(file) => refused(format!("{file} has none: copy the tape again")),
            None => Ok(()),
        }
    }

    fn sealed(&self, content_sha256: &str, rows: u64) -> String {
        let mut hash = Hasher::new();
        hash.update(format!("{}\n{content_sha256}\n{rows}\n", self.form).as_bytes());
        for (path, checksum) in &self.files {
            hash.update(format!("{path} {checksum}\n").as_bytes());
        }
        hash.finalize().to_hex().to_string()
    }
}

/// A file that hashes what is written to it.
pub(crate) struct HashedFile {
    file: File,
    hash: Hasher,
}

impl HashedFile {
    /// A new file, written from its beginning.
    pub fn new(file: File) -> HashedFile {
        HashedFile { file, hash: Hasher::new() }
    }

    /// The checksum of all that was written.
    pub fn checksum(self) -> String {
        self.hash.finalize().to_hex().to_string()
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The checksum of a file that is read once from front to back, in the parts that the reader needs.
pub(crate) struct ReadCheck {
    hash: Hasher,
    /// Bytes hashed so far.
    at: u64,
    expected: String,
}

impl ReadCheck {
    /// Expects this checksum at the end.
    pub fn new(expected: String) -> ReadCheck {
        ReadCheck { hash: Hasher::new(), at: 0, expected }
    }

    /// Takes in bytes that were read from `start`, and before them what lies between.
    ///
    /// # Errors
    /// The file cannot be read, or these bytes lie before others that were taken in.
    pub fn part(&mut self, file: &mut File, start: u64, bytes: &[u8]) -> io::Result<()> {
        if start < self.at {
            return Err(io::Error::other("row groups overlap or stand in another order"));
        }
        self.skip_to(file, start)?;
        self.hash.update(bytes);
        self.at = start + bytes.len() as u64;
        Ok(())
    }

    /// Takes in the rest, and gives the checksum where it is not the expected one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn differs(mut self, file: &mut File) -> io::Result<Option<(String, String)>> {
        self.skip_to(file, u64::MAX)?;
        let found = self.hash.finalize().to_hex().to_string();
        Ok((found != self.expected).then_some((found, self.expected)))
    }

    /// Reads and hashes up to `end` or the end of the file.
    fn skip_to(&mut self, file: &mut File, end: u64) -> io::Result<()> {
        if self.at == end {
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.at))?;
        let mut rest = file.take(end - self.at);
        let mut buffer = [0; 64 * 1024];
        loop {
            match rest.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => {
                    self.hash.update(&buffer[..read]);
                    self.at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of these bytes, and its checksum.
    fn file(bytes: &[u8]) -> (File, String) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        (file, blake3::hash(bytes).to_hex().to_string())
    }

    #[test]
    fn parts_are_taken_in_with_what_lies_between_and_never_backwards() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let (mut file, expected) = file(&bytes);
        let mut check = ReadCheck::new(expected.clone());
        for (start, end) in [(10, 20), (20, 70_000), (150_000, 150_001)] {
            check.part(&mut file, start as u64, &bytes[start..end]).unwrap();
        }
        assert_eq!(check.differs(&mut file).unwrap(), None);
        // Two row groups that overlap, and two in another order.
        for second in [15, 0] {
            let mut check = ReadCheck::new(expected.clone());
            check.part(&mut file, 10, &bytes[10..20]).unwrap();
            let error = check.part(&mut file, second, &bytes[15..25]).unwrap_err();
            assert!(error.to_string().contains("overlap"), "{error}");
        }
        let mut check = ReadCheck::new(expected);
        check.part(&mut file, 0, b"other bytes").unwrap();
        assert!(check.differs(&mut file).unwrap().is_some());
    }
}
