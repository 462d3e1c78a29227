//! The section `feed`: when market data are too old to trade on. The runtime reads it.

use serde::{Deserialize, Serialize};

use crate::origin::Lines;
use crate::problem::Problem;

/// The section `feed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSettings {
    /// Seconds since the last proof that a book is current (any message for its token, or an equal
    /// REST book) after which the market is reported as unverified. 1 to 600.
    pub max_proof_age_secs: u32,
}

impl FeedSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        if !(1..=600).contains(&self.max_proof_age_secs) {
            let age = self.max_proof_age_secs;
            let text =
                format!("feed.max_proof_age_secs is {age}; it must be between 1 and 600 seconds");
            problems.push(Problem::rule(text, lines));
        }
    }
}
