//! Measures one case in this process: rows per second of the thread's own time, and peak memory.
//!
//! A thread's own time is what the system gave it, so that a busy neighbour changes little.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use polydesk_domain::{Books, Event, MarketEvent, MarketKey, Outbox, Outcome, Span};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{RawRisk, RiskLimits};
use polydesk_replay::{EventLog, Options, replay};
use polydesk_settings::Settings;
use polydesk_sim::{Delay, Sim, SimConfig};
use polydesk_strategies::Strategy;
use polydesk_tape::synthetic::{PackedTape, Speed};
use polydesk_tape::{EventSource, TapeReader, Times, blank};
use serde::{Deserialize, Serialize};

use crate::maps::Maps;
use crate::observer::Observer;
use crate::{Case, Store, What};

/// Seed of every synthetic tape.
pub const SEED: u64 = 1;
/// A sample lasts at least this long, by repeating the case.
const SAMPLE_SECS: f64 = 0.3;
/// The best of this many samples counts.
const SAMPLES: u32 = 3;

/// A tape ready to be played.
pub enum Held {
    /// In memory.
    Memory(PackedTape),
    /// In a folder.
    Parquet(PathBuf),
}

impl Held {
    /// Makes the tape of a case, or takes the one in `tape`.
    ///
    /// # Errors
    /// A case from Parquet without a folder, or a tape that cannot be made.
    pub fn of(case: &Case, tape: Option<&Path>) -> anyhow::Result<Held> {
        let spec = Speed { tokens: case.tokens, rows: case.rows, seed: SEED };
        match case.from {
            Store::Memory => Ok(Held::Memory(PackedTape::read(&mut spec.source())?)),
            Store::Parquet => {
                let tape = tape.context("a case from Parquet needs --tape DIR")?;
                Ok(Held::Parquet(tape.to_owned()))
            }
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Held::Memory(tape) => tape.heap_bytes() as u64,
            Held::Parquet(_) => 0,
        }
    }
}

/// The work of one pass over a tape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Events of the tape, listings included.
    pub rows: u64,
    /// Complete batches; the strategy saw each of them.
    pub batches: u64,
    /// Orders that reached the exchange.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Depends on every price that was read, so that the compiler leaves nothing out.
    pub check: u64,
}

/// One measured case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Name of the benchmark.
    pub case: Case,
    /// What one pass did.
    pub work: Work,
    /// Rows per second, best sample: of the thread's own time from memory, by the wall from Parquet,
    /// where a second thread reads ahead and its time must not be left out.
    pub rows_per_sec: f64,
    /// Rows per second by the wall, of the same sample.
    pub rows_per_wall_sec: f64,
    /// Peak resident memory in KiB after one pass; zero where the system does not report it.
    pub peak_kib: u64,
    /// How much of it is the tape held in memory.
    pub tape_kib: u64,
}

/// Measures a case in this process.
///
/// # Errors
/// The tape cannot be made or read.
pub fn measure(case: Case, tape: Option<&Path>) -> anyhow::Result<Measured> {
    let held = Held::of(&case, tape)?;
    let done = pass(case.what, &held)?;
    let mut measured = Measured {
        case,
        work: done,
        rows_per_sec: 0.0,
        rows_per_wall_sec: 0.0,
        peak_kib: peak_kib(),
        tape_kib: held.bytes() / 1_024,
    };
    for _ in 0..SAMPLES {
        let (clock, mut rows) = (Clock::start(), 0);
        let (own, wall) = loop {
            rows += pass(case.what, &held)?.rows;
            let (own, wall) = clock.secs();
            if own >= SAMPLE_SECS {
                break (own, wall);
            }
        };
        let rate = rows as f64 / if case.from == Store::Parquet { wall } else { own };
        if rate > measured.rows_per_sec {
            measured.rows_per_sec = rate;
            measured.rows_per_wall_sec = rows as f64 / wall;
        }
    }
    Ok(measured)
}

fn pass(what: What, held: &Held) -> anyhow::Result<Work> {
    match held {
        Held::Memory(tape) => work(what, &mut tape.events()),
        Held::Parquet(dir) => work(what, &mut TapeReader::open(dir)?),
    }
}

/// Does the work of a kind over a whole source.
///
/// # Errors
/// The source fails, or the replay stops.
pub fn work<S: EventSource>(what: What, source: &mut S) -> anyhow::Result<Work> {
    match what {
        What::Tape => tape(source),
        What::Maps => maps(source),
        What::Books => books(source),
        What::Strategy => strategy(source),
        What::Replay => {
            let observer = Observer::default();
            let seen = observer.seen();
            let limits = limits()?;
            let work = whole(source, limits, vec![Box::new(observer)], SimConfig::default(), 1)?;
            Ok(Work { check: seen.get().1, ..work })
        }
        What::Full => {
            let settings = Settings::load(&[]).map_err(|problems| {
                let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                anyhow::anyhow!("the built-in configuration is wrong: {}", texts.join("; "))
            })?;
            let strategies = settings.build();
            whole(source, settings.limits, strategies, settings.exchange, settings.run.seed)
        }
    }
}

fn limits() -> anyhow::Result<RiskLimits> {
    RiskLimits::try_from(&RawRisk::default())
        .map_err(|broken| anyhow::anyhow!("the built-in limits are wrong: {}", broken.join("; ")))
}

fn tape<S: EventSource>(source: &mut S) -> anyhow::Result<Work> {
    let (mut work, mut stamped) = (Work::default(), blank());
    while source.next_into(&mut stamped)? {
        work.rows += 1;
        if let Event::Market(MarketEvent::Level(change)) = &stamped.event {
            let price = u64::from(change.price.units());
            work.check = work.check.wrapping_add(price ^ change.size.micros());
        }
    }
    Ok(work)
}

fn maps<S: EventSource>(source: &mut S) -> anyhow::Result<Work> {
    let (mut work, mut maps, mut stamped) = (Work::default(), Maps::default(), blank());
    while source.next_into(&mut stamped)? {
        work.rows += 1;
        work.check = work.check.wrapping_add(maps.apply(&stamped.event));
    }
    Ok(work)
}

fn books<S: EventSource>(source: &mut S) -> anyhow::Result<Work> {
    let mut books = Books::new(Span::millis(100));
    let (mut work, mut stamped) = (Work::default(), blank());
    let mut done = Vec::new();
    while source.next_into(&mut stamped)? {
        work.rows += 1;
        if let Event::Market(MarketEvent::Listed { key, market }) = &stamped.event {
            books.list(*key, market.tick);
        }
        books.close_due(&stamped, &mut done);
        for key in done.drain(..) {
            work.check = work.check.wrapping_add(middle(&books, key));
        }
        if let polydesk_domain::Applied::Complete(key) = books.apply(&stamped, |_, _| ()) {
            work.check = work.check.wrapping_add(middle(&books, key));
        }
    }
    books.close_all(&mut done);
    for key in done {
        work.check = work.check.wrapping_add(middle(&books, key));
    }
    work.batches = books.stats().batches;
    Ok(work)
}

#[inline]
fn middle(books: &Books, key: MarketKey) -> u64 {
    let middle = books.get(key).and_then(|book| book.double_mid(Outcome::Yes));
    u64::from(middle.unwrap_or(0))
}

fn strategy<S: EventSource>(source: &mut S) -> anyhow::Result<Work> {
    let observer = Observer::default();
    let seen = observer.seen();
    let mut engine = Engine::new(Setup::simulated(limits()?), vec![Box::new(observer)])?;
    let (mut rows, mut out, mut stamped) = (0, Outbox::new(), blank());
    while source.next_into(&mut stamped)? {
        rows += 1;
        engine.handle(&stamped, &mut out);
        out.clear();
    }
    engine.finish(&mut out);
    let (batches, check) = seen.get();
    Ok(Work { rows, batches, check, ..Work::default() })
}

fn whole<S: EventSource>(
    source: &mut S,
    limits: RiskLimits,
    strategies: Vec<Box<dyn Strategy>>,
    mut exchange: SimConfig,
    seed: u64,
) -> anyhow::Result<Work> {
    let mut engine = Engine::new(Setup::simulated(limits), strategies)?;
    // Generated rows arrive as they are sent.
    exchange.latency.feed = Delay::NONE;
    let mut sim = Sim::new(exchange, seed)?;
    let options = Options::of(Times::VenueOnly);
    let mut log = EventLog::hash_only();
    let done = replay(source, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ())?;
    Ok(Work {
        rows: done.rows,
        batches: engine.books().stats().batches,
        orders: sim.counters().orders,
        fills: done.fills.len() as u64,
        check: log.lines(),
    })
}

/// Time this thread has run, and time by the wall.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begin: Instant,
    ran: Option<u64>,
}

impl Clock {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
    pub fn start() -> Clock {
        Clock { begin: Instant::now(), ran: ran() }
    }

    /// Seconds of own time and by the wall since the start.
    pub fn secs(&self) -> (f64, f64) {
        let wall = self.begin.elapsed().as_secs_f64();
        match (self.ran, ran()) {
            (Some(begin), Some(now)) if now > begin => ((now - begin) as f64 / 1e9, wall),
            _ => (wall, wall),
        }
    }
}

/// Nanoseconds this thread has run, where the system reports it.
fn ran() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Peak resident memory of this process in KiB, where the system reports it.
pub fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(tokens: u32, rows: u64) -> Speed {
        Speed { tokens, rows, seed: SEED }
    }

    #[test]
    fn every_path_reads_every_row_and_sees_the_same_batches() {
        for tokens in [2, 10, 60] {
            let spec = speed(tokens, 4_000);
            let done = |what| work(what, &mut spec.source()).unwrap();
            let (books, strategy) = (done(What::Books), done(What::Strategy));
            assert_eq!(books.rows, 4_000 + u64::from(tokens) / 2);
            assert!(books.batches > 1_000, "{books:?}");
            assert_eq!(strategy, books);
            for what in [What::Tape, What::Maps, What::Replay, What::Full] {
                assert_eq!(done(what).rows, books.rows, "{what:?}");
            }
        }
    }

    #[test]
    fn the_full_run_is_busy_and_repeats() {
        let spec = speed(10, 60_000);
        let first = work(What::Full, &mut spec.source()).unwrap();
        assert!(first.orders > 10, "{first:?}");
        assert_eq!(work(What::Full, &mut spec.source()).unwrap(), first);
    }

    #[test]
    fn memory_and_parquet_hold_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let spec = speed(6, 3_000);
        spec.write(&dir.path().join("tape")).unwrap();
        let packed = Held::Memory(PackedTape::read(&mut spec.source()).unwrap());
        let parquet = Held::Parquet(dir.path().join("tape"));
        for what in What::ALL {
            assert_eq!(pass(what, &packed).unwrap(), pass(what, &parquet).unwrap(), "{what:?}");
        }
    }

    #[test]
    fn a_case_from_parquet_without_a_tape_is_an_error() {
        let case = Case { what: What::Books, from: Store::Parquet, tokens: 2, rows: 1_000 };
        let error = measure(case, None).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("a case from Parquet needs --tape DIR"));
    }
}
