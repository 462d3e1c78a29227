//! The catalogue of strategies that a configuration can name.

use polydesk_domain::StrategyId;

use crate::arb_scanner::{ArbParams, ArbScanner, RawArbScanner};
use crate::stink_bidder::{RawStinkBidder, StinkBidder, StinkParams};
use crate::{StateError, Strategy};

/// One line of the catalogue.
pub struct Catalogued {
    /// Its kind, which is also its section in the configuration.
    pub id: StrategyId,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Its default parameters as TOML.
    pub defaults: fn() -> String,
    /// Builds one of its instances from the instance's section as TOML text.
    pub build: Build,
}

/// Builds a strategy of a name from its section as TOML text.
pub type Build = fn(StrategyId, &str) -> Result<Box<dyn Strategy>, StateError>;

/// Every strategy, in the order they are dispatched.
pub const CATALOGUE: &[Catalogued] = &[
    Catalogued {
        id: StrategyId::STINK_BIDDER,
        about: "rests ladders of post-only bids far below fair value",
        defaults: || toml::to_string(&RawStinkBidder::default()).unwrap_or_default(),
        build: |id, section| {
            let error = |detail| StateError::Params { strategy: id, detail };
            let raw: RawStinkBidder = toml::from_str(section).map_err(|e| error(e.to_string()))?;
            let params = StinkParams::try_from(&raw).map_err(|broken| error(broken.join("\n")))?;
            Ok(Box::new(StinkBidder::new(id, params)))
        },
    },
    Catalogued {
        id: StrategyId::ARB_SCANNER,
        about: "takes YES+NO and neg-risk baskets that cost less than they pay",
        defaults: || toml::to_string(&RawArbScanner::default()).unwrap_or_default(),
        build: |id, section| {
            let error = |detail| StateError::Params { strategy: id, detail };
            let raw: RawArbScanner = toml::from_str(section).map_err(|e| error(e.to_string()))?;
            let params = ArbParams::try_from(&raw).map_err(|broken| error(broken.join("\n")))?;
            Ok(Box::new(ArbScanner::new(id, params)))
        },
    },
];
