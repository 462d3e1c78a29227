//! Strategies: they read a [`View`] and emit signals; they send no orders.
//!
//! No strategy has access to an API, a clock or the account of another strategy; its memory is small and
//! can be saved. A new strategy needs a file, a section of the configuration and a line in [`catalogue`].

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
    /// The saved state of a strategy without memory.
    pub const NOTHING: Saved = Saved { version: 0, bytes: Vec::new() };

    /// For a strategy without memory: there is nothing to load.
    ///
    /// # Errors
    /// The saved state is not empty: another version wrote it.
    pub fn expect_nothing(&self, strategy: StrategyId) -> Result<(), StateError> {
        if *self == Saved::NOTHING {
            return Ok(());
        }
        Err(StateError::Version { strategy, found: self.version, known: 0 })
    }
}

/// Inputs that the runtime has to supply to a strategy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Wallets to follow, lower-case hex.
    pub wallets: Vec<String>,
    /// Topics of articles.
    pub topics: Vec<String>,
    /// Symbols of reference prices.
    pub references: Vec<String>,
    /// Whether it asks models.
    pub forecasts: bool,
}

/// Saved state or parameters that a strategy refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Saved by a version that this one cannot read.
    #[error("{strategy}: saved state has version {found}, this program reads {known}")]
    Version {
        /// The strategy.
        strategy: StrategyId,
        /// Version of the saved state.
        found: u16,
        /// Version that this program reads.
        known: u16,
    },
    /// The bytes do not fit the version's layout.
    #[error("{strategy}: saved state is damaged: {detail}")]
    Damaged {
        /// The strategy.
        strategy: StrategyId,
        /// The decoding error.
        detail: String,
    },
    /// Parameters that do not parse or break a rule.
    #[error("{strategy}: {detail}")]
    Params {
        /// The strategy.
        strategy: StrategyId,
        /// Every broken rule, one a line.
        detail: String,
    },
}

/// A trading strategy.
pub trait Strategy: Send {
    /// Its name in configuration, journal and reports: a kind, or `KIND.NAME`.
    fn id(&self) -> StrategyId;
    /// The kinds of triggers it is called for; the engine dispatches nothing else to it.
    fn kinds(&self) -> Kinds;
    /// Whether it is called for a market. Asked once per listing and relisting, and for all markets after
    /// [`Strategy::reconfigure`].
    fn wants(&self, market: &Market) -> bool;
    /// Inputs that the runtime has to supply.
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// Emits signals. The same views in the same order give the same signals.
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
    /// Soft memory (ranges, averages), by the venue's ids: it may be old or missing after a restart.
    /// Durable memory goes through [`Emit::remember`].
    fn save(&self) -> Saved;
    /// Loads soft memory.
    ///
    /// # Errors
    /// It was saved by another version, or is damaged.
    fn load(&mut self, saved: &Saved) -> Result<(), StateError>;
}
