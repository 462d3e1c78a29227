//! The section `markets`: which markets a running process follows.

use polydesk_domain::{Price, Usdc};
use serde::{Deserialize, Serialize};

use crate::bounds::within;
use crate::origin::Lines;
use crate::problem::Problem;

/// The section `markets`. A market is followed when `include` names it, or when it passes every filter and
/// `exclude` does not name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketSettings {
    /// Slugs or condition ids that are followed whatever the filters say.
    pub include: Vec<String>,
    /// Slugs or condition ids that are never followed; wins over `include`.
    pub exclude: Vec<String>,
    /// Slugs of tags of which a market needs one; empty: any.
    pub tags: Vec<String>,
    /// Categories of which a market needs one; empty: any.
    pub categories: Vec<String>,
    /// Slugs of series of which a market's event needs one; empty: any. The next market of a series is followed
    /// when it appears.
    pub series: Vec<String>,
    /// Least liquidity in pUSD, as Gamma states it.
    pub min_liquidity_usd: Usdc,
    /// Least volume of the last 24 hours in pUSD.
    pub min_volume_24h_usd: Usdc,
    /// Widest spread in pUSD a share, as Gamma states it; a market that states none passes.
    pub max_spread: Price,
    /// A market that ends sooner is not newly followed, in seconds.
    pub min_left_secs: u32,
    /// A market that ends later is not followed, in days; 0: no bound. One without an end counts as later.
    pub max_left_days: u32,
    /// Most markets followed at once, the ones with the highest volume first. Held markets are followed beyond it.
    pub most: u32,
    /// Seconds between two readings of Gamma.
    pub refresh_secs: u32,
    /// Seconds between two readings of the markets that are held or quoted.
    pub watch_secs: u32,
}

impl MarketSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        if self.max_spread == Price::ZERO {
            let text = "markets.max_spread is 0; it must be above 0".to_owned();
            problems.push(Problem::rule(text, lines));
        }
        for (key, value) in [
            ("min_liquidity_usd", self.min_liquidity_usd),
            ("min_volume_24h_usd", self.min_volume_24h_usd),
        ] {
            if value < Usdc::ZERO {
                let text = format!("markets.{key} is {value}; it must be at least 0");
                problems.push(Problem::rule(text, lines));
            }
        }
        within("markets.most", self.most, 1, 20_000, lines, problems);
        within("markets.refresh_secs", self.refresh_secs, 5, 86_400, lines, problems);
        within("markets.watch_secs", self.watch_secs, 1, 3_600, lines, problems);
    }
}
