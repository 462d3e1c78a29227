//! A day's log file has a bound: a fault that writes thousands of lines a second must not take the disk from the journal.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines of these days count; a new one begins with an empty file.
type Today = Box<dyn Fn() -> i64 + Send>;

/// Lines for a file that is changed at midnight UTC. Above the bound only errors go through, up to twice the bound: the
/// cause of a flood must stay readable.
pub(crate) struct Bounded<W> {
    to: W,
    most: u64,
    today: Today,
    day: i64,
    written: u64,
    said: bool,
    left_out: Arc<AtomicU64>,
}

impl<W: Write> Bounded<W> {
    /// `written`: bytes that the day's file has already.
    pub(crate) fn new(to: W, most: u64, written: u64, today: Today) -> Bounded<W> {
        let day = today();
        Bounded { to, most, today, day, written, said: false, left_out: Arc::default() }
    }

    /// How many lines were left out, over all days.
    pub(crate) fn left_out(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.left_out)
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        self.written += line.len() as u64;
        self.to.write_all(line)
    }
}

impl<W: Write> Write for Bounded<W> {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let day = (self.today)();
        if day != self.day {
            (self.day, self.written, self.said) = (day, 0, false);
        }
        let after = self.written.saturating_add(line.len() as u64);
        if after > self.most {
            if !self.said {
                self.said = true;
                let most = self.most >> 20;
                self.put(
                    format!(
                        "{{\"level\":\"ERROR\",\"message\":\"the log of this day has logs.most_mib = {most} MiB: only errors are added until midnight UTC\"}}\n"
                    )
                    .as_bytes(),
                )?;
            }
            let error = line.windows(ERROR.len()).any(|part| part == ERROR);
            if !error || after > self.most.saturating_mul(2) {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                return Ok(line.len());
            }
        }
        self.put(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// As the JSON layer writes it.
const ERROR: &[u8] = b"\"level\":\"ERROR\"";

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use super::*;

    /// The log with a bound of 1,000 bytes, and the day it believes.
    fn log(written: u64) -> (Bounded<Vec<u8>>, Arc<AtomicI64>) {
        let day = Arc::new(AtomicI64::new(20_000));
        let today = Arc::clone(&day);
        let clock = Box::new(move || today.load(Ordering::Relaxed));
        (Bounded::new(Vec::new(), 1_000, written, clock), day)
    }

    fn lines(log: &Bounded<Vec<u8>>) -> Vec<String> {
        String::from_utf8(log.to.clone()).unwrap().lines().map(str::to_owned).collect()
    }

    const INFO: &[u8] =
        b"{\"level\":\"INFO\",\"message\":\"0123456789012345678901234567890123456789\"}\n";

    #[test]
    fn p13_a_flood_of_lines_leaves_a_bounded_file_and_says_so_once() {
        let (mut log, _) = log(0);
        let left_out = log.left_out();
        for _ in 0..10_000 {
            log.write_all(INFO).unwrap();
        }
        assert!(log.to.len() <= 1_200, "{}", log.to.len());
        let all = lines(&log);
        assert!(all.last().unwrap().contains("logs.most_mib"), "{all:?}");
        assert_eq!(left_out.load(Ordering::Relaxed) + all.len() as u64 - 1, 10_000);
    }

    #[test]
    fn p13_errors_are_kept_above_the_bound_and_are_bounded_too() {
        let (mut log, _) = log(0);
        for _ in 0..100 {
            log.write_all(INFO).unwrap();
        }
        let error = b"{\"level\":\"ERROR\",\"message\":\"the cause\"}\n";
        log.write_all(error).unwrap();
        assert!(lines(&log).last().unwrap().contains("the cause"));
        for _ in 0..10_000 {
            log.write_all(error).unwrap();
        }
        assert!(log.to.len() <= 2_000, "{}", log.to.len());
    }

    #[test]
    fn the_next_day_begins_with_an_empty_file_and_a_restart_with_what_is_there() {
        let (mut log, day) = log(950);
        log.write_all(INFO).unwrap();
        assert_eq!(lines(&log).len(), 1, "the notice alone");
        day.fetch_add(1, Ordering::Relaxed);
        log.write_all(INFO).unwrap();
        assert_eq!(lines(&log).last().unwrap().as_bytes(), &INFO[..INFO.len() - 1]);
        assert_eq!(log.left_out().load(Ordering::Relaxed), 1);
    }
}
