//! The two outcomes of a market.

/// One of a market's two outcomes. `Yes` is the first of `clobTokenIds` whatever its label (Up, a team).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// `outcomes[0]`
    Yes = 0,
    /// `outcomes[1]`
    No = 1,
}

impl Outcome {
    /// Both, YES first.
    pub const BOTH: [Outcome; 2] = [Outcome::Yes, Outcome::No];
    /// The other one.
    pub const fn other(self) -> Outcome {
        match self {
            Outcome::Yes => Outcome::No,
            Outcome::No => Outcome::Yes,
        }
    }
    /// Position in arrays of two.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl core::fmt::Display for Outcome {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Outcome::Yes => "yes",
            Outcome::No => "no",
        })
    }
}
