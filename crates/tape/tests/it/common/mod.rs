//! What several tests need: folders, jobs, streams.

pub mod events;

use std::path::{Path, PathBuf};

use polydesk_domain::Stamped;
use polydesk_tape::{Certificate, EventSource, Format, ImportJob, TapeError, TapeReader, import};

/// A recording that may be read but not shipped; prints a line when it is absent.
pub fn shared(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    if path.is_file() {
        return Some(path);
    }
    println!("SKIPPED: {} is not there", path.display());
    None
}

pub fn all(mut source: impl EventSource) -> Vec<Stamped> {
    let mut events = Vec::new();
    while let Some(stamped) = source.next_event().unwrap() {
        events.push(stamped);
    }
    events
}

/// A folder with a recording in it, and the tape made from it.
pub struct Case {
    pub place: tempfile::TempDir,
}

impl Case {
    pub fn new() -> Case {
        Case { place: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.place.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn out(&self) -> PathBuf {
        self.place.path().join("tape")
    }

    pub fn import(&self, format: Format, files: &[PathBuf]) -> Result<Certificate, TapeError> {
        import(&ImportJob::new(format, files.to_vec(), self.out()))
    }

    pub fn table(&self, files: &[PathBuf], map: &str) -> Result<Certificate, TapeError> {
        let map = self.file("map.toml", map);
        let mut job = ImportJob::new(Format::Table, files.to_vec(), self.out());
        job.column_map = Some(map);
        import(&job)
    }

    pub fn events(&self) -> Vec<Stamped> {
        all(TapeReader::open(&self.out()).unwrap())
    }

    pub fn rejects(&self) -> String {
        std::fs::read_to_string(self.out().join("rejects.jsonl")).unwrap()
    }
}

/// The whole chain of an error, as a main would print it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
