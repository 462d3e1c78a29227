//! Strategies: they read a [`View`] and say what they want as signals; they send nothing.
//!
//! No strategy here sees an API, a clock or an account; what it must remember is small and can be
//! saved. Adding one is: a file, a section of the configuration, a line in [`catalogue`].

pub mod arb_scanner;
pub mod catalogue;
#[cfg(test)]
mod flat;
pub mod stink_bidder;
mod view;

pub use catalogue::{CATALOGUE, Catalogued};
pub use view::{Account, Emit, Interests, Kinds, Markets, Notes, Occasion, OpenOrder, Skips, View};

use polydesk_domain::{StrategyId, Universe};

/// State to carry over a restart, versioned by the strategy itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Version of the layout.
    pub version: u16,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why saved state or parameters were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Saved by a version this one does not read.
    #[error("{strategy}: saved state has version {found}, this program reads {known}")]
    Version {
        /// Whose.
        strategy: StrategyId,
        /// What was found.
        found: u16,
        /// What is known.
        known: u16,
    },
    /// Not what the version promises.
    #[error("{strategy}: saved state is damaged: {detail}")]
    Damaged {
        /// Whose.
        strategy: StrategyId,
        /// What is wrong.
        detail: String,
    },
    /// Parameters that do not parse or break a rule.
    #[error("{strategy}: {detail}")]
    Params {
        /// Whose.
        strategy: StrategyId,
        /// Every broken rule, one a line.
        detail: String,
    },
}

/// Something that forms opinions.
pub trait Strategy: Send {
    /// Its name in configuration, journal and reports.
    fn id(&self) -> StrategyId;
    /// Which occasions it must see; the engine dispatches nothing else to it. Asked again whenever a
    /// market is listed.
    fn interests(&self, universe: &Universe) -> Interests;
    /// Says what it wants now. The same views in the same order give the same signals.
    fn on_event(&mut self, view: &View<'_>, occasion: Occasion<'_>, out: &mut Emit<'_>);
    /// New parameters as TOML text, already validated at the edge. Arrives as an event.
    ///
    /// # Errors
    /// The text does not parse or breaks a rule; a strategy without parameters refuses all.
    fn reconfigure(&mut self, _toml: &str) -> Result<(), StateError> {
        let detail = "it takes no parameters".to_owned();
        Err(StateError::Params { strategy: self.id(), detail })
    }
    /// State to carry over a restart; by default there is none.
    fn save(&self) -> Saved {
        Saved { version: 1, bytes: Vec::new() }
    }
    /// Takes up saved state.
    ///
    /// # Errors
    /// It was saved by another version.
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        if saved.version == self.save().version {
            return Ok(());
        }
        let known = self.save().version;
        Err(StateError::Version { strategy: self.id(), found: saved.version, known })
    }
}
