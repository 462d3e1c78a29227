//! Markets from a TOML file.
//!
//! ```
//! let listings = polydesk_local_exchange::market_file(
//!     r#"
//!     [[market]]
//!     slug = "rain"
//!     question = "Will it rain?"
//!     tick = "0.01"                 # the rest may be left out
//!     min_size = "5"
//!     fee_rate = "0.05"
//!     neg_risk_group = "0x…"        # markets with the same one belong together
//!     version = "v1"
//!     taker_delay_ms = 0
//!     outcomes = ["Yes", "No"]
//!     event = "weather"
//!     tags = ["weather"]
//!     "#,
//! )
//! .unwrap();
//! assert_eq!(listings[0].market.slug, "rain");
//! ```

use polydesk_domain::{FeeRate, Fees, Market, NegRisk, ProtocolVersion, Shares, Span, Tick};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;

use crate::setup::{Listing, made_up_condition, made_up_tokens};

/// A market file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("market file, {place}: {rule}; {fix}")]
pub struct MarketFileError {
    place: String,
    rule: String,
    fix: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    market: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    slug: String,
    question: Option<String>,
    tick: Option<String>,
    min_size: Option<String>,
    fee_rate: Option<String>,
    neg_risk_group: Option<String>,
    version: Option<String>,
    #[serde(default)]
    taker_delay_ms: u32,
    outcomes: Option<[String; 2]>,
    event: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

/// Reads markets to list. Ids are made up from their position.
///
/// # Errors
/// The place, the rule it breaks, and how to fix it.
pub fn market_file(text: &str) -> Result<Vec<Listing>, MarketFileError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(0, |before| before.matches('\n').count());
        MarketFileError {
            place: format!("line {}", line + 1),
            rule: error.message().to_owned(),
            fix: "see \"Market files\" in docs/scenarios.md",
        }
    })?;
    let mut listings = Vec::new();
    for (index, raw) in file.market.into_iter().enumerate() {
        let fail = |field: &str, value: &str, fix: &'static str| MarketFileError {
            place: format!("market[{index}].{field}"),
            rule: format!("{value:?} cannot be"),
            fix,
        };
        let number = 1_000 + index as u64;
        let mut market = Market::plain(number, &raw.slug);
        market.condition = made_up_condition(number);
        market.tokens = made_up_tokens(number);
        market.question = raw.question.unwrap_or_else(|| raw.slug.clone());
        market.event = raw.event.unwrap_or_else(|| raw.slug.clone());
        market.category = raw.tags.first().cloned().unwrap_or_default();
        if let Some(labels) = raw.outcomes {
            market.labels = labels;
        }
        if let Some(text) = raw.tick {
            let tick = text.parse::<Decimal>().ok().and_then(|tick| Tick::try_from(tick).ok());
            let fix = "use 0.1, 0.01, 0.005, 0.0025, 0.001 or 0.0001";
            market.tick = tick.ok_or_else(|| fail("tick", &text, fix))?;
        }
        if let Some(text) = raw.min_size {
            let size = text.parse::<Decimal>().ok().and_then(|size| Shares::try_from(size).ok());
            let fix = "use a number of shares with at most six decimals";
            market.min_size = size.ok_or_else(|| fail("min_size", &text, fix))?;
        }
        if let Some(text) = raw.fee_rate {
            let ppm = text.parse::<Decimal>().ok().map(|rate| rate * Decimal::from(1_000_000));
            let rate = ppm.and_then(|ppm| ppm.to_u32());
            let rate = rate.and_then(|ppm| FeeRate::checked(ppm, 1, 250_000).ok());
            let rate = rate.ok_or_else(|| fail("fee_rate", &text, "use 0 to 1"))?;
            market.fees = Fees::flat(rate);
        }
        market.neg_risk = raw.neg_risk_group.map(|group| NegRisk {
            group,
            members: None,
            augmented: false,
            placeholder: false,
        });
        market.version = match raw.version.as_deref() {
            None | Some("v1") => ProtocolVersion::V1,
            Some("v2") => ProtocolVersion::V2,
            Some(other) => return Err(fail("version", other, "use v1 or v2")),
        };
        market.taker_delay = Span::millis(i64::from(raw.taker_delay_ms));
        let mut listing = Listing::new(market);
        listing.tags = raw.tags;
        listings.push(listing);
    }
    Ok(listings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_with_place_rule_and_fix() {
        for (text, want) in [
            ("[[market]]\nslug = \"a\"\ntick = \"0.02\"", "market[0].tick: \"0.02\" cannot be"),
            ("[[market]]\nslug = \"a\"\nfee_rate = \"2\"", "use 0 to 1"),
            ("[[market]]\nslug = \"a\"\nversion = \"v3\"", "use v1 or v2"),
            ("[[market]]\nslug = \"a\"\ntik = \"0.1\"", "line 3: unknown field `tik`"),
        ] {
            let error = market_file(text).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
