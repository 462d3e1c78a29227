//! Configuration in layers: defaults, files, environment, flags.
//!
//! Every value has its origin; all mistakes are reported at once, with the place, the rule and the
//! nearest key that exists. It opens the files it is given and takes the environment as an argument;
//! it searches for no file.

mod bounds;
mod check;
mod feed;
mod instances;
mod keys;
mod layers;
mod live;
mod markets;
mod moved;
mod origin;
mod problem;
mod run;
mod runtime;
mod strategies;

pub use feed::FeedSettings;
pub use layers::{ENV_PREFIX, Layer};
pub use live::{ACKNOWLEDGE, LiveSettings, RehearsalSettings, WalletKind};
pub use markets::MarketSettings;
pub use origin::{Lines, Origin};
pub use problem::Problem;
pub use run::RunSettings;
pub use runtime::{
    Durable, HealthSettings, JournalSettings, LogSettings, RuntimeSettings, StartSettings,
    VenueSettings,
};

use std::collections::BTreeMap;

use figment::Figment;
use keys::Known;
use polydesk_domain::{StrategyId, Usdc};
use polydesk_execution::{RawRisk, RiskLimits};
use polydesk_sim::SimConfig;
use polydesk_strategies::{CATALOGUE, Strategy};
use serde::de::DeserializeOwned;

/// The defaults, key by key with their reasons, compiled in so that the program needs no file.
pub const DEFAULTS: [(&str, &str); 3] = [
    ("config/default.toml", include_str!("../../../config/default.toml")),
    ("config/markets.toml", include_str!("../../../config/markets.toml")),
    ("config/strategies.toml", include_str!("../../../config/strategies.toml")),
];

/// Everything a run needs, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How to run.
    pub run: RunSettings,
    /// The simulated exchange.
    pub exchange: SimConfig,
    /// When market data are too old to trade on.
    pub feed: FeedSettings,
    /// What only a running process reads.
    pub runtime: RuntimeSettings,
    /// Limits of the risk gate.
    pub limits: RiskLimits,
    /// The chosen strategies with their sections as TOML, in order: a kind, or an instance `KIND.NAME`.
    pub strategies: Vec<(StrategyId, String)>,
    /// Every setting as text with its origin, by key.
    pub lines: Lines,
}

impl Settings {
    /// Merges the defaults with `layers`, later ones winning.
    ///
    /// # Errors
    /// Every mistake in every layer.
    pub fn load(layers: &[Layer]) -> Result<Settings, Vec<Problem>> {
        let mut problems = Vec::new();
        let defaults: Vec<Layer> =
            DEFAULTS.iter().map(|(name, text)| Layer::compiled_in(name, text)).collect();
        let mut known = Known::default();
        for layer in &defaults {
            known.add(&layer.values(&mut problems));
        }
        let mut figment = Figment::new();
        let mut lines = Lines::new();
        for layer in defaults.iter().chain(layers) {
            let values = layer.values(&mut problems);
            let values = check::layer(layer, &values, &known, &mut problems);
            let mut leaves = BTreeMap::new();
            keys::flatten("", &values, &mut leaves);
            for (key, value) in leaves {
                lines.insert(key.clone(), (keys::shown(&value), layer.origin(&key)));
            }
            figment = figment.merge(layer.provider(values));
        }
        // Sections are read one by one: a mistake in one must not hide those in the others.
        let run: Option<RunSettings> = section(&figment, "run", &lines, &mut problems);
        let exchange: Option<SimConfig> = section(&figment, "exchange", &lines, &mut problems);
        let feed: Option<FeedSettings> = section(&figment, "feed", &lines, &mut problems);
        let runtime = runtime(&figment, &lines, &mut problems);
        let risk: Option<RawRisk> = section(&figment, "risk", &lines, &mut problems);
        if let Some(Err(polydesk_sim::SimError::Config(broken))) =
            exchange.map(|config| config.check())
        {
            for rule in broken {
                let text = format!("exchange.{} is {}; {}", rule.key, rule.value, rule.rule);
                problems.push(Problem::rule(text, &lines));
            }
        }
        let limits = risk.as_ref().map(RiskLimits::try_from).and_then(|limits| match limits {
            Ok(limits) => Some(limits),
            Err(broken) => {
                problems.extend(broken.into_iter().map(|text| Problem::rule(text, &lines)));
                None
            }
        });
        if let Some(run) = &run {
            run.check(&lines, &mut problems);
        }
        if let Some(feed) = &feed {
            feed.check(&lines, &mut problems);
        }
        let strategies = strategies::chosen(&figment, run.as_ref(), &lines, &mut problems);
        if let Some(risk) = &risk {
            strategies::check_unwind_loss(&strategies, risk.max_unwind_loss, &lines, &mut problems);
        }
        match (run, exchange, feed, runtime, limits) {
            (Some(run), Some(exchange), Some(feed), Some(runtime), Some(limits))
                if problems.is_empty() =>
            {
                Ok(Settings { run, exchange, feed, runtime, limits, strategies, lines })
            }
            _ => {
                problems.sort();
                problems.dedup();
                Err(problems)
            }
        }
    }

    /// The same with the account's limit at most the cap of live trading: what is at risk stays below it, whatever
    /// the limits and the wallet would allow.
    ///
    /// # Errors
    /// The limits do not fit together any more.
    pub fn capped(mut self) -> Result<Settings, Problem> {
        let mut raw = self.limits.raw().clone();
        let cap = self.runtime.live.capital_cap_usd;
        if cap == Usdc::ZERO {
            // Nothing starts with it, and its own message says so.
            return Ok(self);
        }
        for limit in [&mut raw.max_account_usd, &mut raw.max_unsettled_usd] {
            *limit = (*limit).min(cap);
        }
        self.limits = RiskLimits::try_from(&raw).map_err(|rules| {
            let text = format!("live.capital_cap_usd is {cap}; with it {}", rules.join("; "));
            Problem::rule(text, &self.lines)
        })?;
        Ok(self)
    }

    /// The settings of the simulated exchange that a reader of results should know.
    pub fn models(&self) -> Vec<(String, String)> {
        let chosen =
            |key: &&str| self.lines.get(*key).map(|(value, _)| ((*key).to_owned(), value.clone()));
        [
            "exchange.queue",
            "exchange.latency.feed",
            "exchange.latency.insert",
            "exchange.latency.cancel",
            "exchange.latency.answer",
            "exchange.settlement.fail_ppm",
            "exchange.settlement.winner_fail_ppm",
        ]
        .iter()
        .filter_map(chosen)
        .collect()
    }

    /// Builds the chosen strategies.
    pub fn build(&self) -> Vec<Box<dyn Strategy>> {
        let mut built = Vec::new();
        for (id, toml) in &self.strategies {
            let entry = CATALOGUE.iter().find(|entry| entry.id.as_str() == id.kind());
            // `load` has built each of them once already.
            built.extend(entry.and_then(|entry| (entry.build)(*id, toml).ok()));
        }
        built
    }
}

fn runtime(
    figment: &Figment,
    lines: &Lines,
    problems: &mut Vec<Problem>,
) -> Option<RuntimeSettings> {
    let venue: Option<VenueSettings> = section(figment, "venue", lines, problems);
    let start: Option<StartSettings> = section(figment, "start", lines, problems);
    let journal: Option<JournalSettings> = section(figment, "journal", lines, problems);
    let health: Option<HealthSettings> = section(figment, "health", lines, problems);
    let logs: Option<LogSettings> = section(figment, "logs", lines, problems);
    let markets: Option<MarketSettings> = section(figment, "markets", lines, problems);
    let live: Option<LiveSettings> = section(figment, "live", lines, problems);
    let rehearsal: Option<RehearsalSettings> = section(figment, "rehearsal", lines, problems);
    let (venue, start, journal) = (venue?, start?, journal?);
    let (health, logs, markets) = (health?, logs?, markets?);
    let (live, rehearsal) = (live?, rehearsal?);
    live.check(lines, problems);
    venue.check(lines, problems);
    start.check(lines, problems);
    journal.check(lines, problems);
    health.check(lines, problems);
    logs.check(lines, problems);
    markets.check(lines, problems);
    Some(RuntimeSettings { venue, start, journal, health, logs, markets, live, rehearsal })
}

fn section<T: DeserializeOwned>(
    figment: &Figment,
    name: &str,
    lines: &Lines,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    match figment.extract_inner(name) {
        Ok(value) => Some(value),
        Err(error) => {
            problems
                .extend(error.into_iter().map(|error| Problem::from_figment(name, &error, lines)));
            None
        }
    }
}

#[cfg(test)]
mod tests;
