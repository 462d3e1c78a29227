//! How to resample.

use serde::Serialize;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Options {
    /// Seed of the resampling.
    pub seed: u64,
    /// Resamples of the verdict's intervals; at least 1 is drawn.
    pub resamples: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { seed: 7, resamples: 10_000 }
    }
}
