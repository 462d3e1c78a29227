//! Finds the bundled tapes.

use std::path::{Path, PathBuf};

use polydesk_domain::StrategyId;

/// One part of the default run.
pub struct Part {
    /// Heading in the report.
    pub heading: &'static str,
    /// Its tape.
    pub tape: PathBuf,
    /// The only kind of strategy it is for, if it was made for one.
    pub only: Option<StrategyId>,
}

/// The default run: two recordings, and a synthetic tape that stands apart.
///
/// On the synthetic tape the scanner runs alone: bids resting in the planted opportunities would be filled
/// by the very depth that makes them.
const PARTS: [(&str, &str, Option<StrategyId>); 3] = [
    ("NHL final, six markets, 2026-06-07 (recorded)", "nhl-2026-06-07", None),
    ("BTC 15-minute markets, 2026-09-28 (recorded)", "btc-15m-2026-09-28", None),
    (
        "Arbitrage opportunities, scanner alone (SYNTHETIC: made by a generator, no real market)",
        "synthetic-arbitrage",
        Some(StrategyId::ARB_SCANNER),
    ),
];

/// The default run's parts, from any working directory.
///
/// # Errors
/// The folder was not found: the message lists the folders that were tried.
pub fn parts() -> anyhow::Result<Vec<Part>> {
    let folder = folder()?;
    let part = |(heading, tape, only)| Part { heading, tape: folder.join(tape), only };
    Ok(PARTS.into_iter().map(part).collect())
}

fn folder() -> anyhow::Result<PathBuf> {
    // Beside the sources this was built from, else above the program or the working directory.
    let mut tried = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tapes")];
    let program = std::env::current_exe().unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    for start in [program, here] {
        tried.extend(start.ancestors().map(|dir| dir.join("fixtures/tapes")));
    }
    let found = tried.iter().find(|dir| dir.is_dir());
    found.cloned().ok_or_else(|| {
        let places: Vec<String> = tried.iter().map(|dir| dir.display().to_string()).collect();
        anyhow::anyhow!(
            "the bundled tapes were not found; looked in:\n  {}\ngive a tape with --tape DIR",
            places.join("\n  ")
        )
    })
}
