//! Parameters of the scanner: as written in the configuration, and validated.

use polydesk_domain::{Price, Shares, Span, Usdc};
use serde::{Deserialize, Serialize};

use crate::stink_bidder::Rules;

/// The section as written. Money in pUSD, times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawArbScanner {
    /// Scan YES + NO of single markets.
    pub pairs: bool,
    /// Scan neg-risk groups.
    pub groups: bool,
    /// A pair counts as a candidate below this sum of both asks (and above its mirror for both bids).
    /// The classic 0.97 is only a filter: the real test is the edge after fees.
    pub pair_threshold: f64,
    /// Least edge of a whole basket after fees, in pUSD.
    pub min_profit_usd: f64,
    /// Least edge over cost.
    pub min_margin: f64,
    /// Least return a year on the money locked until release.
    pub min_annualised: f64,
    /// From the nominal close to the payout of a group, in seconds.
    pub resolution_lag_secs: u32,
    /// From fills to merged collateral of a pair, in seconds.
    pub merge_secs: u32,
    /// Most pUSD in one basket.
    pub max_basket_usd: f64,
    /// Take at most this fraction of the displayed depth.
    pub depth_fraction: f64,
    /// How likely one leg of a group's basket dies: it is not matched, or its match does not settle.
    pub leg_fail: f64,
    /// Most that a share of a leg loses in price when it is sold again, in dollars, as in
    /// `risk.max_unwind_loss`.
    pub max_unwind_loss: f64,
    /// Pause between two signals about one subject, in milliseconds.
    pub retry_ms: u32,
    /// How long a signal is valid, in milliseconds.
    pub ttl_ms: u32,
}

impl Default for RawArbScanner {
    fn default() -> RawArbScanner {
        RawArbScanner {
            pairs: true,
            groups: true,
            pair_threshold: 1.0,
            min_profit_usd: 0.25,
            min_margin: 0.002,
            min_annualised: 0.10,
            resolution_lag_secs: 7_200,
            merge_secs: 60,
            max_basket_usd: 200.0,
            depth_fraction: 0.8,
            leg_fail: 0.10,
            max_unwind_loss: 0.05,
            retry_ms: 2_000,
            ttl_ms: 500,
        }
    }
}

/// Validated parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `RawArbScanner`, with units")]
pub struct ArbParams {
    pub pairs: bool,
    pub groups: bool,
    /// Ten-thousandths of a dollar.
    pub pair_threshold: i32,
    pub min_profit: Usdc,
    pub min_margin_ppm: u64,
    pub min_annualised_ppm: u64,
    pub resolution_lag: Span,
    pub merge: Span,
    pub max_basket: Usdc,
    pub depth_ppm: u64,
    pub leg_fail_ppm: u64,
    pub max_unwind_loss: Price,
    pub retry: Span,
    pub ttl: Span,
}

impl ArbParams {
    /// The part of a level's size that may be taken.
    pub fn share_of(&self, size: Shares) -> Shares {
        size.scale_floor(self.depth_ppm, 1_000_000)
    }
}

impl TryFrom<&RawArbScanner> for ArbParams {
    /// Every broken rule.
    type Error = Vec<String>;

    fn try_from(raw: &RawArbScanner) -> Result<ArbParams, Vec<String>> {
        let mut rules = Rules::new("arb_scanner");
        if raw.ttl_ms == 0 {
            rules.broken("ttl_ms", raw.ttl_ms, "above 0");
        }
        let unwind = rules.price("max_unwind_loss", raw.max_unwind_loss, 0.0, 0.5);
        let params = ArbParams {
            pairs: raw.pairs,
            groups: raw.groups,
            pair_threshold: i32::from(rules.price("pair_threshold", raw.pair_threshold, 0.5, 1.0)),
            min_profit: rules.usd("min_profit_usd", raw.min_profit_usd, 0.0, 1e6),
            min_margin_ppm: rules.fraction("min_margin", raw.min_margin, 0.0, 1.0),
            min_annualised_ppm: rules.fraction("min_annualised", raw.min_annualised, 0.0, 1_000.0),
            resolution_lag: Span::secs(i64::from(raw.resolution_lag_secs)),
            merge: Span::secs(i64::from(raw.merge_secs)),
            max_basket: rules.usd("max_basket_usd", raw.max_basket_usd, 1.0, 1e9),
            depth_ppm: rules.fraction("depth_fraction", raw.depth_fraction, 0.01, 1.0),
            leg_fail_ppm: rules.fraction("leg_fail", raw.leg_fail, 0.0, 0.95),
            max_unwind_loss: Price::new(unwind).unwrap_or(Price::ZERO),
            retry: Span::millis(i64::from(raw.retry_ms)),
            ttl: Span::millis(i64::from(raw.ttl_ms)),
        };
        rules.finish(params)
    }
}
