//! The newest state of a journal, read without a lock and without changing anything.

use std::path::Path;

use polydesk_engine::{Engine, Setup};
use polydesk_execution::RiskLimits;
use polydesk_journal::{Ended, FileDisk, Options, read_state};
use polydesk_runtime::durable::{FOLDER, entries};
use polydesk_runtime::glance::{FeedGlance, Glance, Identity, look};

/// The state as a glance, and how many milliseconds old it is; `None`: there is no journal.
///
/// # Errors
/// The journal is damaged or newer than this program.
pub fn read(data: &Path) -> anyhow::Result<Option<(Glance, Option<i64>)>> {
    let folder = data.join(FOLDER);
    if !folder.is_dir() {
        return Ok(None);
    }
    let disk = FileDisk::read_only(&folder)?;
    let state = read_state(&disk, &Options::default())?;
    if state.ended == Ended::Fresh {
        return Ok(None);
    }
    let setup = Setup { run: state.run, limits: RiskLimits::default(), blockers: Vec::new() };
    let mut engine = Engine::new(setup, Vec::new())?;
    engine.load(&entries(&state.entries)?)?;
    let at = engine.now();
    let facts = state.facts.as_ref();
    let identity = Identity {
        mode: "paper",
        run: state.run,
        started: polydesk_domain::Time::from_millis(facts.map_or(0, |facts| facts.at_ms)),
        program: facts.map(|facts| facts.program.clone()).unwrap_or_default(),
        config_sha256: facts.map(|facts| facts.config.clone()).unwrap_or_default(),
    };
    let mut glance = look(&engine, &identity, at, FeedGlance::default(), Vec::new());
    // Marks need books: without them holdings count at cost, and the day's result is not known.
    glance.money.equity = engine.manager().ledger().book_value();
    glance.money.day = polydesk_domain::Usdc::ZERO;
    let age = state.latest_ms.map(|latest| now_ms().saturating_sub(latest));
    Ok(Some((glance, age)))
}

#[expect(clippy::disallowed_methods, reason = "the age of a file is measured against the clock")]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
