//! Runs every case in a child process of its own and prints the table.
//!
//! Peak memory belongs to a process, hence the children; they run one after another.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use polydesk_tape::synthetic::Speed;

use crate::measure::SEED;
use crate::{BenchArgs, Case, Measured, Store, What, measure};

/// Measures what `args` ask for and prints it. `verb` is what a child process of this program must
/// be given before the arguments of one case.
///
/// # Errors
/// A child process fails, or the temporary folder cannot be written.
pub fn run(args: &BenchArgs, verb: &[&str]) -> anyhow::Result<()> {
    if args.one {
        return one(args);
    }
    let folder = Folder::make()?;
    if !args.hours.is_empty() {
        return crate::hours::run(args, verb, &folder.0);
    }
    let mut done: Vec<Measured> = Vec::new();
    let mut tapes: BTreeMap<(u32, u64), PathBuf> = BTreeMap::new();
    let mut out = std::io::stdout();
    if !args.json {
        writeln!(out, "{}", heading())?;
    }
    for case in args.cases() {
        let mut tape = None;
        if case.from == Store::Parquet {
            let shape = (case.tokens, case.rows);
            if let Entry::Vacant(place) = tapes.entry(shape) {
                let dir = folder.0.join(format!("{}x{}", case.tokens, case.rows));
                let spec = Speed { tokens: case.tokens, rows: case.rows, seed: SEED };
                spec.write(&dir).context("the tape for the benchmark cannot be written")?;
                place.insert(dir);
            }
            tape = tapes.get(&shape).map(PathBuf::as_path);
        }
        let measured = child(&case, tape, verb)?;
        done.push(measured);
        if !args.json {
            writeln!(out, "{}", line(&measured, yardstick(&done, &case)))?;
        }
    }
    if args.json {
        let rows: Vec<serde_json::Value> = done
            .iter()
            .map(|measured| {
                let ratio =
                    yardstick(&done, &measured.case).map(|base| measured.rows_per_sec / base);
                let mut value = serde_json::to_value(measured).unwrap_or_default();
                value["ratio"] = serde_json::json!(ratio);
                value
            })
            .collect();
        writeln!(out, "{}", serde_json::json!({ "bench": rows }))?;
    }
    Ok(())
}

/// The single case of a child process.
fn one(args: &BenchArgs) -> anyhow::Result<()> {
    let cases = args.cases();
    let [case] = cases.as_slice() else {
        bail!("--one measures a single case, but these arguments name {}", cases.len());
    };
    let measured = measure(*case, args.tape.as_deref())?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn child(case: &Case, tape: Option<&Path>, verb: &[&str]) -> anyhow::Result<Measured> {
    let program = std::env::current_exe().context("this program cannot find itself")?;
    let mut command = Command::new(program);
    command.args(verb).arg("--one");
    command.args(["--what", case.what.name(), "--from", case.from.name()]);
    command.args(["--tokens", &case.tokens.to_string(), "--rows", &case.rows.to_string()]);
    if let Some(tape) = tape {
        command.arg("--tape").arg(tape);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("no child process for {case:?}"))?;
    if !output.status.success() {
        bail!("measuring {case:?} failed: {}", output.status);
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the child process for {case:?} printed something else"))
}

/// Rows per second of the sorted maps on the same rows from the same source.
fn yardstick(done: &[Measured], case: &Case) -> Option<f64> {
    let wanted = Case { what: What::Maps, ..*case };
    done.iter().find(|measured| measured.case == wanted).map(|measured| measured.rows_per_sec)
}

fn heading() -> String {
    format!(
        "{:<29} {:<8} {:>6} {:>9} {:>8} {:>7} {:>9} {:>8}",
        "work", "from", "tokens", "rows", "M rows/s", "x maps", "peak MiB", "of tape"
    )
}

fn line(measured: &Measured, yardstick: Option<f64>) -> String {
    let Measured { case, work, .. } = measured;
    let mib = |kib: u64| (kib as f64 / 1_024.0).round() as u64;
    let ratio = match yardstick {
        Some(base) => format!("{:.2}", measured.rows_per_sec / base),
        None => "-".to_owned(),
    };
    let mut line = format!(
        "{:<29} {:<8} {:>6} {:>9} {:>8.1} {:>7} {:>9} {:>8}",
        case.what.about(),
        case.from.name(),
        case.tokens,
        case.rows,
        measured.rows_per_sec / 1e6,
        ratio,
        mib(measured.peak_kib),
        mib(measured.tape_kib),
    );
    if work.orders > 0 {
        line.push_str(&format!("  {} orders, {} fills", work.orders, work.fills));
    }
    line
}

/// A temporary folder that is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Folder> {
        let dir = std::env::temp_dir().join(format!("polydesk-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("{} cannot be made", dir.display()))?;
        Ok(Folder(dir))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary folder; nothing depends on it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::measure::Work;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn parse(words: &str) -> Result<BenchArgs, String> {
        let words = ["bench"].into_iter().chain(words.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    #[test]
    fn the_arguments_choose_the_lines() {
        for (words, lines) in [
            ("", 2 * 2 * 2 * 6),
            ("--quick", 2 * 2 * 6),
            ("--rows 5000", 2 * 2 * 6),
            ("--quick --what books,full --from parquet --tokens 10", 2),
        ] {
            assert_eq!(parse(words).unwrap().cases().len(), lines, "{words}");
        }
    }

    #[test]
    fn wrong_arguments_are_refused_with_the_rule() {
        for (words, text) in [
            ("--what everything", "possible values: tape, maps, books"),
            ("--rows 5", "1000..=1000000000"),
            ("--tokens 1", "2..=100000"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(text), "{words}: {error}");
        }
        let error = one(&parse("--one --rows 1000").unwrap()).unwrap_err().to_string();
        assert!(error.contains("these arguments name 24"), "{error}");
    }

    #[test]
    fn a_line_tells_rate_ratio_and_memory() {
        let case = Case { what: What::Full, from: Store::Memory, tokens: 10, rows: 1_000_000 };
        let work = Work { orders: 7, fills: 2, ..Work::default() };
        let measured = Measured {
            case,
            work,
            rows_per_sec: 5e6,
            rows_per_wall_sec: 4e6,
            peak_kib: 40_960,
            tape_kib: 31_744,
        };
        let text = line(&measured, Some(2e6));
        let words: Vec<&str> = text.split_whitespace().collect();
        let end =
            ["memory", "10", "1000000", "5.0", "2.50", "40", "31", "7", "orders,", "2", "fills"];
        assert_eq!(words[words.len() - end.len()..], end);
        assert_eq!(yardstick(&[measured], &case), None);
    }
}
