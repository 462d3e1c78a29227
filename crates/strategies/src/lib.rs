//! Strategies: they read a [`View`] and emit what they want as signals; they send nothing.
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
pub use view::{Account, Counter, Emit, Emitted, Kinds, OpenOrder, Question, Skips, Trigger, View};

use polydesk_domain::{Market, StrategyId};

/// State to carry over a restart, versioned by the strategy itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Version of the layout.
    pub version: u16,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Saved {
    /// What a strategy without memory saves.
    pub const NOTHING: Saved = Saved { version: 0, bytes: Vec::new() };

    /// For a strategy without memory: there is nothing to take up.
    ///
    /// # Errors
    /// Something was saved, by another program.
    pub fn expect_nothing(&self, strategy: StrategyId) -> Result<(), StateError> {
        if *self == Saved::NOTHING {
            return Ok(());
        }
        Err(StateError::Version { strategy, found: self.version, known: 0 })
    }
}

/// What the outside must supply for a strategy to work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Wallets to follow, lower-case hex.
    pub wallets: Vec<String>,
    /// Topics of news.
    pub topics: Vec<String>,
    /// Symbols of reference prices.
    pub references: Vec<String>,
    /// Whether a model must be there to be asked.
    pub forecasts: bool,
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
    /// Its name in configuration, journal and reports: a kind, or `KIND.NAME`.
    fn id(&self) -> StrategyId;
    /// The kinds of triggers it is called for; the engine dispatches nothing else to it.
    fn kinds(&self) -> Kinds;
    /// Whether it is called for a market. Asked once per listing and relisting, and for all markets after
    /// [`Strategy::reconfigure`].
    fn wants(&self, market: &Market) -> bool;
    /// What the outside must supply.
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// Emits what it wants now. The same views in the same order give the same signals.
    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>);
    /// New parameters as TOML text, already validated at the edge. Arrives as an event; kinds, wants and
    /// needs are asked again.
    ///
    /// # Errors
    /// The text does not parse or breaks a rule; a strategy without parameters refuses all.
    fn reconfigure(&mut self, _toml: &str) -> Result<(), StateError> {
        let detail = "it takes no parameters".to_owned();
        Err(StateError::Params { strategy: self.id(), detail })
    }
    /// Soft memory (ranges, averages), by the venue's ids: it may be old or missing after a restart. What
    /// must not be lost goes through [`Emit::remember`].
    fn save(&self) -> Saved;
    /// Takes up saved soft memory.
    ///
    /// # Errors
    /// It was saved by another version, or is damaged.
    fn load(&mut self, saved: &Saved) -> Result<(), StateError>;
}
