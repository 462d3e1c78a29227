//! The folder of a run: written aside and renamed, so that no folder ever holds half of one run, or two.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::failure::{Done, Failure};

/// Stands in every folder that a run wrote, or is writing.
const MARKER: &str = ".polydesk-run";
const TEXT: &str =
    "A run of the backtester. The next run into this folder replaces everything in it.\n";

/// A run's folder under its temporary name.
pub struct Folder {
    out: PathBuf,
    aside: PathBuf,
    /// The mark in `aside`, locked while the run lasts: no second one may write there.
    _lock: File,
}

impl Folder {
    /// An empty folder beside the target, which holds nothing, or an earlier run.
    ///
    /// # Errors
    /// The target, or the folder beside it, holds something else; or the disk refuses.
    pub fn begin(out: &Path) -> Done<Folder> {
        let Some(name) = out.file_name() else {
            let text = "{} has no name of its own: name a folder, like --out out/3";
            let text = text.replace("{}", &out.display().to_string());
            return Err(Failure::Failed(anyhow::anyhow!(text)));
        };
        let with = |suffix: &str| {
            let mut name = name.to_owned();
            name.push(suffix);
            out.with_file_name(name)
        };
        let (aside, before) = (with(".partial"), with(".before"));
        for path in [out, &aside, &before] {
            if !free(path) {
                return Err(Failure::Failed(anyhow::anyhow!(
                    "{} holds something that no run wrote: move it away, or name another folder with --out",
                    path.display()
                )));
            }
        }
        // A run that was killed holds no lock any more.
        let busy = match File::open(aside.join(MARKER)) {
            Ok(mark) => matches!(mark.try_lock(), Err(TryLockError::WouldBlock)),
            Err(_) => false,
        };
        if busy {
            return Err(Failure::Failed(anyhow::anyhow!(
                "another run writes to {}: wait for it, or name another folder with --out",
                aside.display()
            )));
        }
        if !out.exists() && before.exists() {
            // A run was stopped between taking the old folder away and putting the new one there.
            rename(&before, out)?;
        }
        for path in [&aside, &before] {
            if path.exists() {
                std::fs::remove_dir_all(path)
                    .with_context(|| format!("{} cannot be removed", path.display()))?;
            }
        }
        std::fs::create_dir_all(&aside)
            .with_context(|| format!("{} cannot be made", aside.display()))?;
        let marker = aside.join(MARKER);
        let written = File::create(&marker).and_then(|mut file| {
            file.write_all(TEXT.as_bytes())?;
            Ok(file)
        });
        let lock = written.with_context(|| format!("{} cannot be written", marker.display()))?;
        // A file system without locks keeps no second run out.
        let _ = lock.try_lock();
        Ok(Folder { out: out.to_owned(), aside, _lock: lock })
    }

    /// Where the run is written.
    pub fn path(&self) -> &Path {
        &self.aside
    }

    /// The run is complete: it takes its place.
    ///
    /// # Errors
    /// The disk refuses; what was there before is there again.
    pub fn finish(self) -> Done {
        let mut name = self.out.file_name().unwrap_or_default().to_owned();
        name.push(".before");
        let before = self.out.with_file_name(name);
        let replaces = self.out.exists();
        if replaces {
            rename(&self.out, &before)?;
        }
        if let Err(failure) = rename(&self.aside, &self.out) {
            if replaces {
                rename(&before, &self.out)?;
            }
            return Err(failure);
        }
        if replaces {
            std::fs::remove_dir_all(&before)
                .with_context(|| format!("{} cannot be removed", before.display()))?;
        }
        Ok(())
    }
}

fn rename(from: &Path, to: &Path) -> Done {
    std::fs::rename(from, to)
        .with_context(|| format!("{} cannot be renamed to {}", from.display(), to.display()))?;
    Ok(())
}

/// Whether a path may be replaced: nothing is there, an empty folder, or what a run wrote.
fn free(path: &Path) -> bool {
    if path.join(MARKER).is_file() {
        return true;
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return error.kind() == std::io::ErrorKind::NotFound,
    };
    // Runs of earlier versions carry no mark.
    let ours = |name: &str| {
        matches!(name, "report.json" | "report.html")
            || (name.starts_with("events") && name.ends_with(".jsonl"))
    };
    entries
        .into_iter()
        .all(|entry| entry.is_ok_and(|entry| ours(&entry.file_name().to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn run(out: &Path, file: &str) -> Folder {
        let folder = Folder::begin(out).unwrap();
        std::fs::write(folder.path().join(file), file).unwrap();
        folder
    }

    #[test]
    fn a_folder_never_holds_half_of_two_runs() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("deep/out");
        run(&out, "events-1.jsonl").finish().unwrap();
        assert_eq!(names(&out), [MARKER, "events-1.jsonl"]);
        // A broken run leaves the earlier one alone.
        drop(run(&out, "events-2.jsonl"));
        assert_eq!(names(&out), [MARKER, "events-1.jsonl"]);
        assert_eq!(names(out.parent().unwrap()), ["out", "out.partial"]);
        // The next one starts from nothing and replaces everything.
        run(&out, "events-3.jsonl").finish().unwrap();
        assert_eq!(names(&out), [MARKER, "events-3.jsonl"]);
        assert_eq!(names(out.parent().unwrap()), ["out"]);
    }

    #[test]
    fn a_run_stopped_while_it_took_its_place_loses_neither() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        run(&out, "events-1.jsonl").finish().unwrap();
        std::fs::rename(&out, place.path().join("out.before")).unwrap();
        let folder = run(&out, "events-2.jsonl");
        assert_eq!(names(&out), [MARKER, "events-1.jsonl"]);
        folder.finish().unwrap();
        assert_eq!(
            (names(&out), names(place.path())),
            (vec![MARKER.into(), "events-2.jsonl".into()], vec!["out".into()])
        );
    }

    #[test]
    fn two_runs_into_one_folder_at_one_time_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        let first = run(&out, "events-1.jsonl");
        let failure = Folder::begin(&out).err().expect("another run writes there");
        let Failure::Failed(error) = failure else { panic!("{failure:?}") };
        assert!(error.to_string().contains("another run"), "{error}");
        first.finish().unwrap();
        assert_eq!(names(&out), [MARKER, "events-1.jsonl"]);
        run(&out, "events-2.jsonl").finish().unwrap();
        assert_eq!(names(&out), [MARKER, "events-2.jsonl"]);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_stays() {
        for beside in ["out", "out.partial", "out.before"] {
            let place = tempfile::tempdir().unwrap();
            std::fs::write(place.path().join(beside), "mine").unwrap();
            assert!(Folder::begin(&place.path().join("out")).is_err(), "{beside}");
            assert_eq!(std::fs::read_to_string(place.path().join(beside)).unwrap(), "mine");
        }
    }

    #[test]
    fn what_no_run_wrote_is_not_touched() {
        for beside in ["out", "out.partial", "out.before"] {
            let place = tempfile::tempdir().unwrap();
            let own = place.path().join(beside);
            std::fs::create_dir(&own).unwrap();
            std::fs::write(own.join("thesis.tex"), "years of work").unwrap();
            let failure = Folder::begin(&place.path().join("out")).err().unwrap();
            let Failure::Failed(error) = failure else { panic!("{failure:?}") };
            assert!(error.to_string().contains("move it away"), "{error}");
            assert_eq!(names(&own), ["thesis.tex"]);
        }
        // An empty folder, and the files of a version without the mark.
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("report.json"), "{}").unwrap();
        run(&out, "events.jsonl").finish().unwrap();
        assert_eq!(names(&out), [MARKER, "events.jsonl"]);
        assert!(Folder::begin(Path::new("/")).is_err());
    }
}
