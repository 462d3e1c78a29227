//! The end of a kill: only by a person, synced and logged; afterwards trading is paused until a person resumes.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use polydesk_journal::{FileDisk, Kill, Latch, LatchFile, OpenError};
use tokio::time::timeout;

use super::ladder::Plan;
use super::latch;
use super::stop_file;
use super::switch::{Switch, Trigger, Via};

/// What a person types to lift a kill.
pub const PHRASE: &str = "orders may leave again";
/// How long the disk may take.
const SYNC: Duration = Duration::from_secs(5);
/// The file that pauses the next start after a kill was lifted without a process.
pub const PAUSED: &str = "unkilled";

/// The answer of something that takes its time.
pub type Reply<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// What the engine does when a kill is lifted. Each is answered when it survives the loss of power.
pub trait Lifting: Send + Sync {
    /// Pauses: no new exposure before a person resumes.
    fn pause<'a>(&'a self, by: &'a str, why: &'a str) -> Reply<'a>;
    /// Ends the kill in the engine's state, which stays paused.
    fn rearm<'a>(&'a self, by: &'a str, why: &'a str) -> Reply<'a>;
}

/// Why a kill stays in force.
#[derive(Debug, thiserror::Error)]
pub enum LiftError {
    /// No kill is in force.
    #[error("no kill is in force")]
    NotKilled,
    /// Orders are still being cancelled, or another lift is under way.
    #[error(
        "orders are still being cancelled, or a lift is under way: wait until `desk status` shows neither"
    )]
    Busy,
    /// The file is there.
    #[error("the file STOP is in the data folder: remove it first, or it kills again at once")]
    StopFile,
    /// The process has no credentials yet.
    #[error("the process has not started yet: wait until it has")]
    Unarmed,
    /// A reason is missing.
    #[error("a reason is missing: say why orders may leave again")]
    NoReason,
    /// The engine did not take the pause that must come first.
    #[error("the engine did not take it ({0}): read the log, then try again")]
    Engine(String),
    /// The latch was not changed.
    #[error("the latch was not changed ({0}): free the disk, then try again")]
    Latch(String),
    /// A kill came in the meantime.
    #[error("a kill came in the meantime and is in force")]
    KilledAgain,
    /// A process holds the folder and does not answer.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// The pause of the next start cannot be written down.
    #[error("the pause of the next start cannot be written")]
    Pause(#[source] io::Error),
    /// The kill thread has ended.
    #[error("the kill thread has ended: restart the process, which stays killed")]
    Ended,
}

/// What a lift in a running process works with.
pub(crate) struct Parts<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) data: &'a Path,
    pub(crate) engine: &'a dyn Lifting,
}

/// Lifts the kill of a running process: pause, latch, engine, flag, in this order. Where it stops in between, the next
/// start is killed or paused.
pub(crate) async fn running(
    switch: &Arc<Switch>,
    parts: &Parts<'_>,
    by: &str,
    why: &str,
) -> Result<(), LiftError> {
    if why.trim().is_empty() {
        return Err(LiftError::NoReason);
    }
    let trigger = switch.triggered().ok_or(LiftError::NotKilled)?;
    if stop_file::is_there(parts.data) {
        return Err(LiftError::StopFile);
    }
    parts.engine.pause(by, why).await.map_err(LiftError::Engine)?;
    change(parts.plan, Latch::Clear, by, "unkill", why).await.map_err(LiftError::Latch)?;
    let rearmed = parts.engine.rearm(by, why).await.map_err(LiftError::Engine);
    let lifted = match rearmed {
        Ok(()) if switch.lift(trigger.number) => Ok(()),
        Ok(()) => Err(LiftError::KilledAgain),
        Err(error) => Err(error),
    };
    if let Err(error) = lifted {
        // The file must say again what holds.
        let Trigger { by, via, why, .. } = switch.triggered().unwrap_or(trigger);
        if let Err(why) = change(parts.plan, Latch::Killed, &by, via.name(), &why).await {
            tracing::error!(why, "killed, and NOT latched after a lift that failed");
        }
        return Err(error);
    }
    tracing::warn!(by, why, "the kill was lifted; trading is paused");
    Ok(())
}

async fn change(plan: &Plan, to: Latch, by: &str, via: &str, why: &str) -> Result<(), String> {
    let Some(writer) = &plan.latch else { return Err("there is no latch".to_owned()) };
    let at_ms = plan.clob.clock().local().millis();
    let writing = writer.write(latch::state(to, by, via, why, at_ms, plan.run));
    match timeout(SYNC, writing.synced).await {
        Ok(Ok(synced)) => synced,
        Ok(Err(_)) => Err("the thread that writes it has ended".to_owned()),
        Err(_) => Err(format!("the disk has not answered within {} s", SYNC.as_secs())),
    }
}

/// Lifts the kill of a folder that no process uses. The next start is paused.
///
/// `at_ms` is wall time in milliseconds since 1970.
///
/// # Errors
/// See [`LiftError`]; the kill stays in force.
pub fn offline(data: &Path, by: &str, why: &str, at_ms: i64) -> Result<(), LiftError> {
    if why.trim().is_empty() {
        return Err(LiftError::NoReason);
    }
    let disk = FileDisk::open(&data.join(crate::durable::FOLDER))?;
    let failed = |error: &dyn std::error::Error| LiftError::Latch(error.to_string());
    let (mut file, kill) = LatchFile::read(&disk).map_err(|error| failed(&error))?;
    if kill == Kill::Clear {
        return Err(LiftError::NotKilled);
    }
    if stop_file::is_there(data) {
        return Err(LiftError::StopFile);
    }
    // Before the latch: a stop in between leaves the folder killed.
    pause_next(data, by, why).map_err(LiftError::Pause)?;
    let state = latch::state(Latch::Clear, by, Via::Desk.name(), why, at_ms, 0);
    file.write(&disk, &state).map_err(|error| failed(&error))?;
    // Twice: a sector that is damaged must not stand beside the clear one.
    file.write(&disk, &state).map_err(|error| failed(&error))?;
    file.sync(&disk).map_err(|error| failed(&error))
}

fn pause_next(data: &Path, by: &str, why: &str) -> io::Result<()> {
    let path = data.join(PAUSED);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{by}: {why}")?;
    file.sync_all()?;
    File::open(data)?.sync_all()
}

/// Whether a start must be paused because a kill was lifted without a process; the text names who did it.
///
/// # Errors
/// The file is there and cannot be read: the start must be paused then, too.
pub fn paused(data: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(data.join(PAUSED)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The pause is in the engine's journal: the next start needs no reminder.
///
/// # Errors
/// Those of the operating system.
pub fn forget_paused(data: &Path) -> io::Result<()> {
    match std::fs::remove_file(data.join(PAUSED)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder whose latch is killed, as a kill beside a process leaves it.
    fn killed() -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        let disk = FileDisk::open(&data.path().join(crate::durable::FOLDER)).unwrap();
        let (mut latch, _) = LatchFile::read(&disk).unwrap();
        let state = latch::state(Latch::Killed, "ada", "desk", "a test", 1, 1);
        latch.write(&disk, &state).unwrap();
        data
    }

    fn latch(data: &Path) -> Kill {
        LatchFile::read(&super::latch::LatchFolder::of(data)).unwrap().1
    }

    #[test]
    fn without_a_process_the_latch_is_cleared_and_the_next_start_is_paused() {
        let data = killed();
        assert!(latch(data.path()).is_killed());
        offline(data.path(), "ada", "all is well", 2).unwrap();
        assert_eq!(latch(data.path()), Kill::Clear);
        assert_eq!(paused(data.path()).unwrap().as_deref(), Some("ada: all is well"));
        forget_paused(data.path()).unwrap();
        forget_paused(data.path()).unwrap();
        assert_eq!(paused(data.path()).unwrap(), None);
        let again = offline(data.path(), "ada", "all is well", 3);
        assert!(matches!(again, Err(LiftError::NotKilled)), "{again:?}");
    }

    #[test]
    fn what_forbids_a_lift_leaves_the_folder_killed() {
        type Change = fn(&Path) -> Option<FileDisk>;
        let cases: &[(&str, &str, Change, &str)] = &[
            ("no reason", " ", |_| None, "a reason is missing"),
            (
                "STOP",
                "well",
                |data| {
                    std::fs::write(data.join("STOP"), "").unwrap();
                    None
                },
                "remove it first",
            ),
            (
                "a process",
                "well",
                |data| Some(FileDisk::open(&data.join(crate::durable::FOLDER)).unwrap()),
                "in use by process",
            ),
        ];
        for (case, why, change, want) in cases {
            let data = killed();
            let held = change(data.path());
            let error = offline(data.path(), "ada", why, 2).unwrap_err().to_string();
            assert!(error.contains(want), "{case}: {error}");
            assert!(latch(data.path()).is_killed(), "{case}");
            assert_eq!(paused(data.path()).unwrap(), None, "{case}");
            drop(held);
        }
    }
}
