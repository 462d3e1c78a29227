//! Hands the report over: files into the folder of the run, text or JSON onto standard output.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use polydesk_report::{Analysis, Options, Report};

use crate::cli::RunArgs;
use crate::failure::Done;

/// Columns where standard output is no terminal.
const PIPED_WIDTH: usize = 100;
/// Wider lines are harder to read than wrapped ones.
const WIDEST: usize = 140;
/// Resamples of the verdict.
const RESAMPLES: usize = 10_000;

/// What was judged and written.
pub struct Written {
    analysis: Analysis,
}

/// Judges the report and writes its files into the folder.
pub fn write(report: &Report, seed: u64, folder: &Path) -> Done<Written> {
    let analysis = polydesk_report::analyse(report, &Options { seed, resamples: RESAMPLES });
    write_file(&folder.join("report.json"), |file| {
        Ok(polydesk_report::json_to(report, &analysis, file)?)
    })?;
    write_file(&folder.join("report.html"), |file| {
        Ok(polydesk_report::html_to(report, &analysis, file)?)
    })?;
    Ok(Written { analysis })
}

/// Prints the report.
pub fn print(report: &Report, written: &Written, args: &RunArgs) -> Done {
    let (json_path, html_path) = (args.out.join("report.json"), args.out.join("report.html"));
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut file = File::open(&json_path)
            .with_context(|| format!("{} cannot be read", json_path.display()))?;
        std::io::copy(&mut file, &mut out)?;
        writeln!(out)?;
        return Ok(());
    }
    print_text(&mut out, report, &written.analysis)?;
    writeln!(out, "\nNEXT")?;
    let hash = polydesk_report::run_sha256(report).map_err(anyhow::Error::from)?;
    writeln!(out, "run           sha256 {hash}")?;
    writeln!(out, "              the same value elsewhere means the same run")?;
    writeln!(out, "HTML          {}", html_path.display())?;
    writeln!(out, "JSON          {}", json_path.display())?;
    writeln!(out, "event logs    {}", args.out.join("events*.jsonl").display())?;
    Ok(())
}

fn print_text(out: &mut impl Write, report: &Report, analysis: &Analysis) -> Done {
    let tty = std::io::stdout().is_terminal();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let colour = colour(tty, &variable);
    let text = polydesk_report::terminal(report, analysis, width(tty, &variable), colour);
    out.write_all(text.as_bytes())?;
    Ok(())
}

/// `COLUMNS` where it is set and sane, else the terminal's own width, else a fixed one.
fn width(tty: bool, variable: &dyn Fn(&str) -> Option<String>) -> usize {
    if let Some(columns) = variable("COLUMNS").and_then(|text| text.parse::<usize>().ok())
        && columns >= 40
    {
        return columns.min(WIDEST);
    }
    if !tty {
        return PIPED_WIDTH;
    }
    let columns = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    columns.unwrap_or(PIPED_WIDTH).clamp(40, WIDEST)
}

/// Colour only for a terminal that wants it; `NO_COLOR` wins over `CLICOLOR_FORCE`.
fn colour(tty: bool, variable: &dyn Fn(&str) -> Option<String>) -> bool {
    if variable("NO_COLOR").is_some() {
        return false;
    }
    if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    tty && variable("TERM").is_none_or(|term| term != "dumb")
        && variable("CLICOLOR").is_none_or(|value| value != "0")
}

fn write_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>) -> Done {
    let unwritten = || format!("{} cannot be written", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(unwritten)?);
    write(&mut file).with_context(unwritten)?;
    file.flush().with_context(unwritten)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn colour_follows_the_conventions() {
        for (tty, set, want) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("TERM", "dumb")], false),
            (true, &[("CLICOLOR", "0")], false),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        ] {
            assert_eq!(colour(tty, &variables(set)), want, "{tty} {set:?}");
        }
    }

    #[test]
    fn the_width_is_told_or_fixed_and_never_absurd() {
        for (set, want) in [
            (&[][..], 100),
            (&[("COLUMNS", "80")], 80),
            (&[("COLUMNS", "9999")], 140),
            (&[("COLUMNS", "3")], 100),
            (&[("COLUMNS", "wide")], 100),
        ] {
            assert_eq!(width(false, &variables(set)), want, "{set:?}");
        }
    }
}
