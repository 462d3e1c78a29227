//! Judges a finished run again and writes its page: `render out/report.json again.html`.
//!
//! The report inside `report.json` is all that is needed, so an old run can be looked at with today's
//! statistics without replaying it.

use std::error::Error;

use polydesk_report::{Options, Report, analyse, html, run_sha256, terminal};
use serde::Deserialize;

/// The part of `report.json` that is not computed.
#[derive(Deserialize)]
struct File {
    report: Report,
}

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = paths.as_slice() else {
        return Err("usage: render REPORT.json PAGE.html".into());
    };
    let text = std::fs::read_to_string(from).map_err(|error| format!("{from}: {error}"))?;
    // Not by way of a `Value`: trade ids have up to 128 bits.
    let File { report } =
        serde_json::from_str(&text).map_err(|error| format!("{from}: {error}"))?;
    let seed = report.runs.first().map_or(0, |run| run.seed);
    let analysis = analyse(&report, &Options { seed, ..Options::default() });
    std::fs::write(to, html(&report, &analysis)).map_err(|error| format!("{to}: {error}"))?;
    print!("{}", terminal(&report, &analysis, 100, false));
    println!("\nrun sha256 {}", run_sha256(&report)?);
    Ok(())
}
