//! How fast a tape is generated, written, packed and read, and how much memory it takes.
//!
//! `cargo run --release -p polydesk-tape --example tape_speed -- [TOKENS] [ROWS]`
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::time::Instant;

use polydesk_domain::{Event, MarketEvent};
use polydesk_tape::synthetic::{PackedTape, Speed};
use polydesk_tape::{EventSource, TapeError, TapeReader};

/// Peak resident memory in MiB, where the system reports it.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Nanoseconds this thread has run; wall time where the system does not report it, as on a busy machine
/// the two differ.
fn ran(begin: Instant) -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok());
    nanos.map_or_else(|| begin.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

fn drain(name: &str, source: &mut impl EventSource) -> Result<(), TapeError> {
    let clock = Instant::now();
    let begin = ran(clock);
    let (mut rows, mut sum) = (0u64, 0u64);
    while let Some(stamped) = source.next_event()? {
        rows += 1;
        if let Event::Market(MarketEvent::Level(change)) = &stamped.event {
            sum = sum.wrapping_add(change.size.micros() ^ u64::from(change.price.units()));
        }
    }
    let seconds = ran(clock) - begin;
    let wall = clock.elapsed().as_secs_f64();
    println!(
        "{name:<10} {rows:>10} rows {:>8.1} M rows/s of own time ({:.1} by the wall)  peak {:>4} MiB  {sum:x}",
        rows as f64 / seconds / 1e6,
        rows as f64 / wall / 1e6,
        peak_mib()
    );
    Ok(())
}

fn main() -> Result<(), TapeError> {
    let mut arguments = std::env::args().skip(1);
    let mut number =
        |default: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!(
        "an answer {} bytes",
        size_of::<Result<Option<polydesk_domain::Stamped>, TapeError>>()
    );
    let (tokens, rows) = (number(200) as u32, number(5_000_000));
    let spec = Speed { tokens, rows, seed: 1 };
    if std::env::args().len() <= 3 {
        drain("generate", &mut spec.source())?;
    }
    let dir = std::env::temp_dir().join(format!("polydesk-speed-{tokens}-{rows}"));
    if !Path::new(&dir).join("manifest.json").exists() {
        let clock = Instant::now();
        let begin = ran(clock);
        spec.write(&dir)?;
        let rate = rows as f64 / (ran(clock) - begin) / 1e6;
        println!("write      {rows:>10} rows {rate:>8.1} M rows/s  peak {:>4} MiB", peak_mib());
        println!("written to {}; run again to see reading alone", dir.display());
        return Ok(());
    }
    drain("read", &mut TapeReader::open(&dir)?)?;
    if std::env::args().len() > 3 {
        return Ok(());
    }
    let packed = PackedTape::read(&mut spec.source())?;
    drain("packed", &mut packed.events())
}
