//! Rows per second of `hftbacktest` and of polydesk on the same made-up rows, in one run.
//!
//! `cargo run --release [-- ROWS]`. Each line is measured in a child process of its own, because
//! peak memory belongs to a process; the children run one after another.

mod hft;

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use backtest_bench::{Case, From, What, measure};
use hft::Depth;

/// Everything that is measured, in the order of the table.
const SUBJECTS: [(&str, &str); 5] = [
    ("strategy", "polydesk, engine and trivial strategy"),
    ("replay", "polydesk, the same with exchange and timers"),
    ("hft-vector", "hftbacktest, ROIVectorMarketDepth"),
    ("hft-map", "hftbacktest, HashMapMarketDepth"),
    ("maps", "two sorted maps per token, no engine"),
];
const TOKENS: [u32; 2] = [10, 200];
const ROWS: u64 = 1_000_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => table(ROWS),
        [rows] => table(rows.parse().with_context(|| format!("{rows} is no number of rows"))?),
        ["--one", subject, tokens, rows] => one(subject, tokens.parse()?, rows.parse()?),
        _ => bail!("usage: peers [ROWS]"),
    }
}

fn table(rows: u64) -> anyhow::Result<()> {
    println!("{rows} rows (level changes, mirrored ones too, and prints), from memory");
    println!("{:<45} {:>6} {:>9} {:>9} {:>9}", "", "tokens", "M rows/s", "x vector", "peak MiB");
    for tokens in TOKENS {
        let mut lines = Vec::new();
        for (subject, about) in SUBJECTS {
            let (rate, peak_kib) = child(subject, tokens, rows)?;
            lines.push((subject, about, rate, peak_kib));
        }
        let peer = lines.iter().find(|line| line.0 == "hft-vector").map_or(f64::NAN, |line| line.2);
        for (_, about, rate, peak_kib) in lines {
            let (millions, ratio, mib) = (rate / 1e6, rate / peer, peak_kib / 1_024);
            println!("{about:<45} {tokens:>6} {millions:>9.2} {ratio:>9.2} {mib:>9}");
        }
    }
    Ok(())
}

fn child(subject: &str, tokens: u32, rows: u64) -> anyhow::Result<(f64, u64)> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--one", subject, &tokens.to_string(), &rows.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("measuring {subject} failed: {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    let rate = words.next().context("no rate")?.parse()?;
    let peak = words.next().context("no peak")?.parse()?;
    Ok((rate, peak))
}

/// One line, in this very process: rows per second and peak memory in KiB.
fn one(subject: &str, tokens: u32, rows: u64) -> anyhow::Result<()> {
    let ours = |what| {
        let case = Case { what, from: From::Memory, tokens, rows };
        measure(case, None).map(|measured| (measured.rows_per_sec, measured.peak_kib))
    };
    let (rate, peak_kib) = match subject {
        "strategy" => ours(What::Strategy)?,
        "replay" => ours(What::Replay)?,
        "maps" => ours(What::Maps)?,
        "hft-vector" => hft::measure(Depth::Vector, tokens, rows)?,
        "hft-map" => hft::measure(Depth::Map, tokens, rows)?,
        other => bail!("nothing is called {other}"),
    };
    println!("{rate} {peak_kib}");
    Ok(())
}
