//! The section `run`.

use serde::{Deserialize, Serialize};

use crate::origin::Lines;
use crate::problem::Problem;

/// The section `run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// Seed of the simulated exchange and of every resampling in the report.
    pub seed: u64,
    /// Strategies to run, in the order they are dispatched: `KIND` or `KIND.NAME`.
    pub strategies: Vec<String>,
    /// Milliseconds of engine time between two timers.
    pub timer_ms: u64,
    /// Seconds that settlements may take after the last event.
    pub drain_secs: u64,
    /// Seeds that every headline figure is a range over, from `seed` on.
    pub seeds: u16,
    /// Rows of a stream times its seeds stay below this: longer streams get fewer seeds.
    pub seeds_most_rows: u64,
    /// Run a slower and a faster exchange and scaled delays too.
    pub bands: bool,
}

impl RunSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        if !(10..=3_600_000).contains(&self.timer_ms) {
            let text =
                format!("run.timer_ms is {}; it must be between 10 and 3600000", self.timer_ms);
            problems.push(Problem::rule(text, lines));
        }
        if !(1..=99).contains(&self.seeds) {
            let text = format!("run.seeds is {}; it must be between 1 and 99", self.seeds);
            problems.push(Problem::rule(text, lines));
        }
        if self.seeds_most_rows == 0 {
            let text = "run.seeds_most_rows is 0; it must be at least 1".to_owned();
            problems.push(Problem::rule(text, lines));
        }
        if !(1..=604_800).contains(&self.drain_secs) {
            let text =
                format!("run.drain_secs is {}; it must be between 1 and 604800", self.drain_secs);
            problems.push(Problem::rule(text, lines));
        }
    }
}
