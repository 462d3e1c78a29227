//! Peak memory of whole runs, over tapes of different lengths and one density.
//!
//! What a run keeps for its report and for its open orders may grow with the hours; it must not grow much.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use polydesk_domain::Span;
use polydesk_tape::synthetic::Speed;

use crate::BenchArgs;
use crate::measure::SEED;

/// Four markets.
const TOKENS: u32 = 8;
/// Rows of all markets in an hour: a quiet evening.
const ROWS_PER_HOUR: u64 = 8_640;
/// The middle of so many runs counts: the allocator's threads make one run differ from the next.
const RUNS: usize = 7;

/// Measures each length and prints its peak and the ratio to the first.
///
/// # Errors
/// A child process fails, or the temporary folder cannot be written.
pub(crate) fn run(args: &BenchArgs, verb: &[&str], folder: &Path) -> anyhow::Result<()> {
    if verb.is_empty() {
        bail!("whole runs are measured by the program: backtest bench --hours 6,72");
    }
    let mut tapes = Vec::new();
    for hours in &args.hours {
        let dir = folder.join(format!("{hours}h"));
        let rows = ROWS_PER_HOUR * u64::from(*hours);
        Speed { tokens: TOKENS, rows, seed: SEED }
            .write_over(Span::secs(3_600 * i64::from(*hours)), &dir)
            .context("the tape for the benchmark cannot be written")?;
        tapes.push((*hours, rows, dir, Vec::new()));
    }
    // Round by round, so that whatever else the machine does meets all lengths alike.
    for _ in 0..RUNS {
        for (_, _, dir, peaks) in &mut tapes {
            peaks.push(child(dir, &folder.join("out"))?);
        }
    }
    let mut out = std::io::stdout();
    if !args.json {
        writeln!(
            out,
            "{:>5} {:>9} {:>9} {:>17} {:>12}",
            "hours", "rows", "peak MiB", "least .. most", "x the first"
        )?;
    }
    let (mut first, mut lines) = (None, Vec::new());
    for (hours, rows, _, peaks) in &mut tapes {
        peaks.sort_unstable();
        let peak = peaks[RUNS / 2];
        let ratio = peak as f64 / *first.get_or_insert(peak) as f64;
        let mib = |kib: u64| kib as f64 / 1_024.0;
        if args.json {
            lines.push(serde_json::json!({ "hours": hours, "rows": rows, "peaks_kib": peaks, "ratio": ratio }));
            continue;
        }
        let range = format!("{:.1} .. {:.1}", mib(peaks[0]), mib(peaks[RUNS - 1]));
        writeln!(out, "{hours:>5} {rows:>9} {:>9.1} {range:>17} {ratio:>12.2}", mib(peak))?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "hours": lines }))?;
    }
    Ok(())
}

/// Peak memory in KiB of one run in a process of its own.
fn child(tape: &Path, out: &Path) -> anyhow::Result<u64> {
    let program = std::env::current_exe().context("this program cannot find itself")?;
    let output = Command::new(program)
        .args(["run", "--no-bands", "--seeds", "1", "--print-peak", "--tape"])
        .arg(tape)
        .arg("--out")
        .arg(out)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("no child process for {}", tape.display()))?;
    if !output.status.success() {
        bail!("replaying {} failed: {}", tape.display(), output.status);
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let last = printed.lines().last().unwrap_or_default();
    last.parse().with_context(|| format!("the child process ended with \"{last}\""))
}
