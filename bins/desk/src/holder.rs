//! The process that holds a data folder.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A process that holds the lock of a data folder now.
#[derive(Debug)]
pub struct Holder {
    /// Its number.
    pub pid: i32,
    /// Whether it takes SIGUSR1. Without a handler the signal ends a process.
    pub catches_usr1: bool,
}

/// The holder; `None` where the lock is free: a number that was left there may be of any process.
pub fn find(data: &Path) -> Option<Holder> {
    let path = data.join("lock");
    let file = File::open(&path).ok()?;
    let Err(std::fs::TryLockError::WouldBlock) = file.try_lock_shared() else { return None };
    let pid: i32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    Some(Holder { pid, catches_usr1: catches_usr1(&status) })
}

/// Reads the mask of caught signals out of `/proc/PID/status`.
fn catches_usr1(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGUSR1 is 10 on every Linux but MIPS.
    mask.is_some_and(|mask| mask & (1 << 9) != 0)
}

impl Holder {
    /// Asks it to kill its orders.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn kill_orders(&self) -> io::Result<()> {
        Ok(kill_process(self.number()?, Signal::USR1)?)
    }

    /// Ends it without asking.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn end(&self) -> io::Result<()> {
        Ok(kill_process(self.number()?, Signal::KILL)?)
    }

    /// Whether it runs.
    pub fn is_there(&self) -> bool {
        self.number().is_ok_and(|pid| test_kill_process(pid).is_ok())
    }

    fn number(&self) -> io::Result<Pid> {
        let positive = Some(self.pid).filter(|pid| *pid > 0);
        positive.and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_takes_the_signal_is_signalled() {
        let cases = [
            ("SigCgt:\t0000000000000200\n", true),
            ("Name:\tx\nSigCgt:\t00000001000047ff\n", true),
            ("SigCgt:\t0000000100004dff\nSigIgn:\t0200\n", false),
            ("SigIgn:\t0000000000000200\n", false),
            ("SigCgt:\tzz\n", false),
            ("", false),
        ];
        for (status, want) in cases {
            assert_eq!(catches_usr1(status), want, "{status}");
        }
    }

    #[test]
    fn a_number_in_a_lock_that_nobody_holds_is_no_holder() {
        let data = tempfile::tempdir().unwrap();
        assert!(find(data.path()).is_none());
        std::fs::write(data.path().join("lock"), format!("{}\n", std::process::id())).unwrap();
        assert!(find(data.path()).is_none());
        let held = File::open(data.path().join("lock")).unwrap();
        held.lock().unwrap();
        assert_eq!(find(data.path()).unwrap().pid, i32::try_from(std::process::id()).unwrap());
        std::fs::write(data.path().join("lock"), "0\n").unwrap();
        assert!(find(data.path()).unwrap().end().is_err(), "a whole group would be ended");
    }
}
