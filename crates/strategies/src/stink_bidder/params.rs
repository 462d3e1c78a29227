//! Parameters of the stink bidder: as written in the configuration, and validated.

use polydesk_domain::{Price, Span, Usdc};
use serde::{Deserialize, Serialize};

/// The section as written. Prices and distances in dollars, money in pUSD, times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawStinkBidder {
    /// Categories to trade; empty means all.
    pub categories: Vec<String>,
    /// Trade markets without a stated close.
    pub trade_without_close: bool,
    /// Least displayed bids plus offers within `depth_window` of the best prices, in pUSD.
    pub min_depth_usd: f64,
    /// How far from the best prices depth counts, in dollars.
    pub depth_window: f64,
    /// Widest spread, in dollars.
    pub max_spread: f64,
    /// Lowest middle price of an outcome to bid for it.
    pub min_mid: f64,
    /// Highest middle price of an outcome to bid for it.
    pub max_mid: f64,
    /// Length of the range window, in seconds.
    pub range_secs: u32,
    /// Least high minus low of the middle over the window, in dollars.
    pub min_range: f64,
    /// Most high minus low of the middle over the window, in dollars.
    pub max_range: f64,
    /// Distances below the middle at which bids rest, nearest first.
    pub rungs: Vec<RawRung>,
    /// Bid for both outcomes, or only for YES.
    pub both_outcomes: bool,
    /// Move the ladder only when the middle moved this far, in dollars.
    pub reanchor: f64,
    /// Least time between two evaluations of a market, in milliseconds.
    pub review_ms: u32,
    /// Re-anchor a ladder of this age anyway, in seconds.
    pub ttl_secs: u32,
    /// Stay out of a market this long after a fill, in seconds.
    pub cooldown_secs: u32,
    /// Be out this long before the nominal close, in seconds.
    pub quiet_before_close_secs: u32,
    /// Stay out this long after a tick size change, in seconds.
    pub tick_pause_secs: u32,
    /// Stay out this long after an article about the market, in seconds.
    pub news_pause_secs: u32,
    /// Depth near the best bid fell below this fraction of its average: a vacuum.
    pub vacuum_below: f64,
    /// Extra rungs while a vacuum lasts.
    pub vacuum_rungs: Vec<RawRung>,
    /// Assumed duration of a vacuum, in seconds.
    pub vacuum_secs: u32,
    /// Most pUSD resting and held in one market.
    pub max_market_usd: f64,
    /// Most pUSD resting and held in all markets.
    pub max_total_usd: f64,
    /// Take profit at this fraction of the way from entry back to the middle.
    pub take_profit_fraction: f64,
    /// Sell when executable depth is this far below entry, in dollars; 0 switches it off.
    pub stop_loss: f64,
    /// Never sell below this price, in dollars.
    pub stop_floor: f64,
    /// Follow gains from this far above entry, in dollars; 0 switches it off.
    pub trail_activate: f64,
    /// Sell when this far below the best executable price since, in dollars.
    pub trail_distance: f64,
    /// Sell after this long, in seconds; 0 switches it off.
    pub max_hold_secs: u32,
}

/// One rung of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRung {
    /// Dollars below the middle.
    pub below: f64,
    /// pUSD to bid with.
    pub usd: f64,
}

impl Default for RawStinkBidder {
    fn default() -> RawStinkBidder {
        RawStinkBidder {
            categories: Vec::new(),
            trade_without_close: false,
            min_depth_usd: 500.0,
            depth_window: 0.05,
            max_spread: 0.06,
            min_mid: 0.10,
            max_mid: 0.90,
            range_secs: 300,
            min_range: 0.0,
            max_range: 0.50,
            rungs: vec![
                RawRung { below: 0.05, usd: 20.0 },
                RawRung { below: 0.08, usd: 30.0 },
                RawRung { below: 0.12, usd: 40.0 },
            ],
            both_outcomes: true,
            reanchor: 0.02,
            review_ms: 250,
            ttl_secs: 120,
            cooldown_secs: 15,
            quiet_before_close_secs: 120,
            tick_pause_secs: 10,
            news_pause_secs: 20,
            vacuum_below: 0.35,
            vacuum_rungs: vec![RawRung { below: 0.03, usd: 20.0 }],
            vacuum_secs: 5,
            max_market_usd: 250.0,
            max_total_usd: 1_000.0,
            take_profit_fraction: 0.6,
            stop_loss: 0.15,
            stop_floor: 0.02,
            trail_activate: 0.0,
            trail_distance: 0.03,
            max_hold_secs: 300,
        }
    }
}

/// One validated rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Ten-thousandths below the middle.
    pub below: u16,
    /// pUSD to bid with.
    pub spend: Usdc,
}

/// Validated parameters. Distances in ten-thousandths of a dollar.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `RawStinkBidder`, with units")]
pub struct StinkParams {
    pub categories: Vec<String>,
    pub trade_without_close: bool,
    pub min_depth: Usdc,
    pub depth_window: u16,
    pub max_spread: u16,
    pub min_mid: u16,
    pub max_mid: u16,
    pub range_window: Span,
    pub min_range: u16,
    pub max_range: u16,
    pub rungs: Vec<Rung>,
    pub both_outcomes: bool,
    pub reanchor: u16,
    pub review: Span,
    pub ttl: Span,
    pub cooldown: Span,
    pub quiet_before_close: Span,
    pub tick_pause: Span,
    pub news_pause: Span,
    pub vacuum_below_ppm: u64,
    pub vacuum_rungs: Vec<Rung>,
    pub vacuum: Span,
    pub max_market: Usdc,
    pub max_total: Usdc,
    pub take_profit_ppm: u64,
    pub stop_loss: Option<u16>,
    pub stop_floor: Price,
    pub trailing: Option<(u16, u16)>,
    pub max_hold: Option<Span>,
}

/// Collects broken rules, so that all of them are reported at once.
pub(crate) struct Rules {
    section: &'static str,
    broken: Vec<String>,
}

impl Rules {
    pub(crate) fn new(section: &'static str) -> Rules {
        Rules { section, broken: Vec::new() }
    }

    pub(crate) fn broken(&mut self, key: &str, value: impl core::fmt::Display, rule: &str) {
        self.broken.push(format!("{}.{key} is {value}; it must be {rule}", self.section));
    }

    /// Ten-thousandths of a price or distance in `[low, high]` dollars.
    pub(crate) fn price(&mut self, key: &str, value: f64, low: f64, high: f64) -> u16 {
        if !(value.is_finite() && (low..=high).contains(&value)) {
            self.broken(key, value, &format!("between {low} and {high} dollars"));
            return 0;
        }
        (value * 1e4).round() as u16
    }

    /// Micro-dollars of an amount in `[low, high]` pUSD.
    pub(crate) fn usd(&mut self, key: &str, value: f64, low: f64, high: f64) -> Usdc {
        if !(value.is_finite() && (low..=high).contains(&value)) {
            self.broken(key, value, &format!("between {low} and {high} pUSD"));
            return Usdc::ZERO;
        }
        Usdc::new((value * 1e6).round() as i64)
    }

    /// Millionths of a fraction in `[low, high]`.
    pub(crate) fn fraction(&mut self, key: &str, value: f64, low: f64, high: f64) -> u64 {
        if !(value.is_finite() && (low..=high).contains(&value)) {
            self.broken(key, value, &format!("between {low} and {high}"));
            return 0;
        }
        (value * 1e6).round() as u64
    }

    pub(crate) fn finish<T>(self, value: T) -> Result<T, Vec<String>> {
        if self.broken.is_empty() { Ok(value) } else { Err(self.broken) }
    }
}

impl TryFrom<&RawStinkBidder> for StinkParams {
    /// Every broken rule.
    type Error = Vec<String>;

    fn try_from(raw: &RawStinkBidder) -> Result<StinkParams, Vec<String>> {
        let mut rules = Rules::new("stink_bidder");
        let rungs = |rules: &mut Rules, key: &str, raw: &[RawRung]| -> Vec<Rung> {
            let mut rungs = Vec::new();
            for (i, rung) in raw.iter().enumerate() {
                let below = rules.price(&format!("{key}[{i}].below"), rung.below, 0.0001, 0.99);
                let spend = rules.usd(&format!("{key}[{i}].usd"), rung.usd, 1.0, 1e6);
                rungs.push(Rung { below, spend });
            }
            rungs
        };
        let ladder = rungs(&mut rules, "rungs", &raw.rungs);
        if ladder.is_empty() || ladder.len() > 10 {
            rules.broken("rungs", format!("{} rungs", ladder.len()), "1 to 10 rungs");
        }
        let vacuum_rungs = rungs(&mut rules, "vacuum_rungs", &raw.vacuum_rungs);
        if vacuum_rungs.len() > 5 {
            rules.broken("vacuum_rungs", format!("{} rungs", vacuum_rungs.len()), "0 to 5 rungs");
        }
        if raw.min_mid >= raw.max_mid {
            rules.broken("min_mid", raw.min_mid, "below max_mid");
        }
        if raw.min_range > raw.max_range {
            rules.broken("min_range", raw.min_range, "at most max_range");
        }
        if raw.range_secs == 0 {
            rules.broken("range_secs", raw.range_secs, "above 0");
        }
        if raw.ttl_secs == 0 {
            rules.broken("ttl_secs", raw.ttl_secs, "above 0");
        }
        let secs = |secs: u32| Span::secs(i64::from(secs));
        let stop_loss = rules.price("stop_loss", raw.stop_loss, 0.0, 0.99);
        let activate = rules.price("trail_activate", raw.trail_activate, 0.0, 0.99);
        let distance = rules.price("trail_distance", raw.trail_distance, 0.0001, 0.99);
        let floor = rules.price("stop_floor", raw.stop_floor, 0.0, 0.99);
        let params = StinkParams {
            categories: raw.categories.clone(),
            trade_without_close: raw.trade_without_close,
            min_depth: rules.usd("min_depth_usd", raw.min_depth_usd, 0.0, 1e9),
            depth_window: rules.price("depth_window", raw.depth_window, 0.0, 0.99),
            max_spread: rules.price("max_spread", raw.max_spread, 0.0001, 0.99),
            min_mid: rules.price("min_mid", raw.min_mid, 0.0001, 0.9999),
            max_mid: rules.price("max_mid", raw.max_mid, 0.0001, 0.9999),
            range_window: secs(raw.range_secs),
            min_range: rules.price("min_range", raw.min_range, 0.0, 1.0),
            max_range: rules.price("max_range", raw.max_range, 0.0, 1.0),
            rungs: ladder,
            both_outcomes: raw.both_outcomes,
            reanchor: rules.price("reanchor", raw.reanchor, 0.0001, 0.5),
            review: Span::millis(i64::from(raw.review_ms)),
            ttl: secs(raw.ttl_secs),
            cooldown: secs(raw.cooldown_secs),
            quiet_before_close: secs(raw.quiet_before_close_secs),
            tick_pause: secs(raw.tick_pause_secs),
            news_pause: secs(raw.news_pause_secs),
            vacuum_below_ppm: rules.fraction("vacuum_below", raw.vacuum_below, 0.0, 1.0),
            vacuum_rungs,
            vacuum: secs(raw.vacuum_secs),
            max_market: rules.usd("max_market_usd", raw.max_market_usd, 1.0, 1e9),
            max_total: rules.usd("max_total_usd", raw.max_total_usd, 1.0, 1e9),
            take_profit_ppm: rules.fraction(
                "take_profit_fraction",
                raw.take_profit_fraction,
                0.01,
                1.0,
            ),
            stop_loss: (stop_loss > 0).then_some(stop_loss),
            stop_floor: Price::new(floor).unwrap_or(Price::ZERO),
            trailing: (activate > 0).then_some((activate, distance)),
            max_hold: (raw.max_hold_secs > 0).then(|| secs(raw.max_hold_secs)),
        };
        rules.finish(params)
    }
}
