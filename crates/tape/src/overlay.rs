//! The overlay beside a recording: facts about its markets that the recording does not contain.
//!
//! ```toml
//! [recording]
//! name = "nhl-2026-06-07"
//! source = "where the files come from"
//! licence = "MIT"
//!
//! [defaults]                       # for every market below or in the recording
//! tick = "0.01"
//! min_size = "5"
//! fee = [{ rate = "0.03", exponent = 1, rebate = "0.25" }]   # `from = "2026-07-10T00:00:00Z"` for schedules
//! [defaults.assumed]               # fact = source of the assumption
//! tick = "all prices but one market's are whole cents"
//!
//! [[market]]
//! condition = "0x…"                # absent: derived from the tokens and listed as assumed
//! tokens = ["…", "…"]              # outcome 0 (YES) first; absent: derived from the condition
//! question = "…"
//! payout = "0.5"                   # dollars a YES share paid, where the recording does not say it
//! resolved = "2026-06-08T04:10:00Z" # when; absent: as the recording closes the market, else at its end
//! ```
//! A fact without a source stays unknown: without `fee` the market's fee is unknown and the engine
//! refuses to trade it. Tick and minimum size must be stated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use polydesk_domain::{
    ConditionId, FeePeriod, FeeRate, Fees, Market, MarketState, NegRisk, Shares, Span, Tick, Time,
    TokenId,
};
use rust_decimal::Decimal;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{TapeError, payload};

/// Facts about the recording as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingFacts {
    /// Short name of the tape.
    pub name: Option<String>,
    /// Where the files come from.
    pub source: Option<String>,
    /// Their licence.
    pub licence: Option<String>,
    /// Sentences to go into the certificate.
    pub notes: Vec<String>,
}

/// What is known of a market; every field may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarketFacts {
    /// Condition id.
    pub condition: Option<String>,
    /// Token ids, outcome 0 (YES) first.
    pub tokens: Option<[String; 2]>,
    /// Labels of the outcomes.
    pub labels: Option<[String; 2]>,
    /// The question.
    pub question: Option<String>,
    /// Name in URLs.
    pub slug: Option<String>,
    /// Category.
    pub category: Option<String>,
    /// Event it belongs to.
    pub event: Option<String>,
    /// Tick as a decimal string.
    pub tick: Option<String>,
    /// Smallest order in shares, as a decimal string.
    pub min_size: Option<String>,
    /// Fees by date.
    pub fee: Option<Vec<FeeFacts>>,
    /// Membership of a neg-risk group.
    pub neg_risk: Option<NegRiskFacts>,
    /// RFC 3339.
    pub opens: Option<String>,
    /// RFC 3339.
    pub closes: Option<String>,
    /// `v1` or `v2` (Gamma `version`); absent means `v1`, which is then listed as assumed.
    pub version: Option<String>,
    /// How long takers are held back, in milliseconds.
    pub taker_delay_ms: Option<i64>,
    /// What a YES share paid, 0 to 1 dollar as a decimal string. A winner that the recording names comes first.
    pub payout: Option<String>,
    /// When it was resolved, RFC 3339; absent: when the recording closes it, else at the end of the recording.
    pub resolved: Option<String>,
    /// Assumed facts with their sources.
    pub assumed: BTreeMap<String, String>,
}

/// A resolution that an overlay states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// The market's condition, if the overlay names it.
    pub condition: Option<String>,
    /// Its tokens, if the overlay names them.
    pub tokens: Option<[String; 2]>,
    /// Micro-dollars that a YES share pays.
    pub yes_micros: u32,
    /// When.
    pub at: Option<Time>,
}

/// One period of a fee schedule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeFacts {
    /// RFC 3339; absent means since always.
    #[serde(default)]
    pub from: Option<String>,
    /// Rate as a decimal string, 0 to 1.
    pub rate: String,
    /// 1 or 2.
    pub exponent: u8,
    /// The makers' share, 0 to 1; absent means none.
    #[serde(default)]
    pub rebate: Option<String>,
}

/// Membership of a neg-risk group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NegRiskFacts {
    /// `negRiskMarketID`.
    pub group: String,
    /// How many outcomes the whole group has; absent means that no basket over it is complete.
    #[serde(default)]
    pub members: Option<u32>,
    /// Whether outcomes can still be added.
    #[serde(default)]
    pub augmented: bool,
    /// Whether it is a placeholder.
    #[serde(default)]
    pub placeholder: bool,
}

/// Micro-dollars in a dollar.
const MILLION: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOverlay {
    recording: RecordingFacts,
    defaults: MarketFacts,
    market: Vec<MarketFacts>,
}

/// An overlay file, read.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    path: PathBuf,
    /// About the recording.
    pub recording: RecordingFacts,
    defaults: MarketFacts,
    markets: Vec<MarketFacts>,
}

impl Overlay {
    /// Reads an overlay.
    ///
    /// # Errors
    /// The file is absent, no TOML, or has unknown keys. Values are checked when a market is made.
    pub fn read(path: &Path) -> Result<Overlay, TapeError> {
        let text = std::fs::read_to_string(path).map_err(TapeError::io(path, "reading"))?;
        let raw: RawOverlay = toml::from_str(&text)
            .map_err(|error| TapeError::corrupt(path, "its TOML", error.to_string().trim_end()))?;
        Ok(Overlay {
            path: path.to_owned(),
            recording: raw.recording,
            defaults: raw.defaults,
            markets: raw.market.into_iter().map(in_one_form).collect(),
        })
    }

    /// An empty overlay, for errors that name the file to write.
    pub(crate) fn absent(path: PathBuf) -> Overlay {
        Overlay { path, ..Overlay::default() }
    }

    /// The markets the overlay names, complete.
    ///
    /// # Errors
    /// A value is impossible or a needed one is missing: file, key, value and rule are named.
    pub fn markets(&self) -> Result<Vec<Market>, TapeError> {
        let mut markets = Vec::new();
        for index in 0..self.markets.len() {
            markets.push(self.market(&MarketFacts::default(), Some(index))?);
        }
        Ok(markets)
    }

    /// The resolutions that the overlay states.
    ///
    /// # Errors
    /// A payout that is none, or a time without one.
    pub(crate) fn payouts(&self) -> Result<Vec<Resolution>, TapeError> {
        let mut stated = Vec::new();
        let defaults = [("defaults".to_owned(), &self.defaults)];
        let entries = self.markets.iter().enumerate();
        let entries = entries.map(|(index, entry)| (format!("market[{index}]"), entry));
        for (place, entry) in defaults.into_iter().chain(entries) {
            let maker = Maker { path: &self.path, place, layers: [entry, entry, entry] };
            let at = maker.time("resolved", entry.resolved.clone())?;
            let Some(text) = &entry.payout else {
                if entry.resolved.is_some() {
                    let rule = "state what a YES share paid, like payout = \"1\"";
                    return Err(maker.wrong("payout", "missing", rule));
                }
                continue;
            };
            if entry.condition.is_none() && entry.tokens.is_none() {
                let rule = "it belongs to one market: state it under [[market]] with its condition";
                return Err(maker.wrong("payout", text, rule));
            }
            let rule = "it must be 0 to 1 dollar in quotes, with at most six decimals";
            let micros = Decimal::from_str(text.trim()).ok().map(|dollars| dollars * MILLION);
            let micros = micros.filter(|micros| micros.is_integer());
            let micros = micros.and_then(|micros| u32::try_from(micros).ok());
            let yes_micros = micros.filter(|micros| *micros <= 1_000_000);
            let yes_micros = yes_micros.ok_or_else(|| maker.wrong("payout", text, rule))?;
            let (condition, tokens) = (entry.condition.clone(), entry.tokens.clone());
            stated.push(Resolution { condition, tokens, yes_micros, at });
        }
        Ok(stated)
    }

    /// The markets for which the overlay names the tokens.
    pub(crate) fn markets_with_tokens(&self) -> Result<Vec<Market>, TapeError> {
        let mut markets = Vec::new();
        for (index, entry) in self.markets.iter().enumerate() {
            if entry.tokens.is_some() {
                markets.push(self.market(&MarketFacts::default(), Some(index))?);
            }
        }
        Ok(markets)
    }

    /// Whether overlay and recording together have enough facts for a market of this condition.
    pub(crate) fn describes(&self, condition: &str, recorded: &MarketFacts) -> bool {
        let condition = written::<ConditionId>(condition);
        let own = self.markets.iter().find(|entry| entry.condition.as_ref() == Some(&condition));
        let stated = |field: fn(&MarketFacts) -> &Option<String>| {
            own.is_some_and(|own| field(own).is_some())
                || field(recorded).is_some()
                || field(&self.defaults).is_some()
        };
        stated(|facts| &facts.tick) && stated(|facts| &facts.min_size)
    }

    /// A market the recording describes in part: the overlay's own entry for it (found by condition
    /// or a token) comes first, then the recording, then the defaults.
    ///
    /// # Errors
    /// As [`Overlay::markets`].
    pub fn complete(&self, recorded: &MarketFacts) -> Result<Market, TapeError> {
        let recorded = &in_one_form(recorded.clone());
        let same = |entry: &MarketFacts| {
            (entry.condition.is_some() && entry.condition == recorded.condition)
                || (entry.tokens.is_some() && entry.tokens == recorded.tokens)
        };
        self.market(recorded, self.markets.iter().position(same))
    }

    fn market(&self, recorded: &MarketFacts, entry: Option<usize>) -> Result<Market, TapeError> {
        let none = MarketFacts::default();
        let own = entry.map_or(&none, |index| &self.markets[index]);
        let place = entry.map_or_else(|| "market".to_owned(), |index| format!("market[{index}]"));
        let maker = Maker { path: &self.path, place, layers: [own, recorded, &self.defaults] };
        maker.market()
    }
}

/// An id as it is written everywhere else: capitals and leading zeros make no other one. What is no id stays, for the
/// error that names it.
fn written<T: FromStr + ToString>(text: &str) -> String {
    text.parse::<T>().map_or_else(|_| text.to_owned(), |id| id.to_string())
}

fn in_one_form(mut facts: MarketFacts) -> MarketFacts {
    facts.condition = facts.condition.map(|text| written::<ConditionId>(&text));
    facts.tokens = facts.tokens.map(|both| both.map(|text| written::<TokenId>(&text)));
    facts
}

/// Makes one market out of three layers of facts; the first layer that states a fact wins.
struct Maker<'a> {
    path: &'a Path,
    place: String,
    layers: [&'a MarketFacts; 3],
}

impl Maker<'_> {
    fn wrong(&self, key: &str, value: &str, rule: impl Into<String>) -> TapeError {
        TapeError::setting(self.path, format!("{}.{key}", self.place), value, rule)
    }

    fn pick<T: Clone>(&self, field: impl Fn(&MarketFacts) -> &Option<T>) -> Option<T> {
        self.layers.iter().find_map(|layer| field(layer).clone())
    }

    fn text(&self, field: impl Fn(&MarketFacts) -> &Option<String>) -> String {
        self.pick(field).unwrap_or_default()
    }

    fn decimal<T>(&self, key: &str, text: &str) -> Result<T, TapeError>
    where
        T: TryFrom<Decimal>,
        T::Error: std::fmt::Display,
    {
        let decimal = Decimal::from_str(text.trim())
            .map_err(|_| self.wrong(key, text, "it must be a decimal number in quotes"))?;
        T::try_from(decimal).map_err(|error| self.wrong(key, text, error.to_string()))
    }

    fn time(&self, key: &str, text: Option<String>) -> Result<Option<Time>, TapeError> {
        let Some(text) = text else { return Ok(None) };
        Time::parse(&text)
            .map(Some)
            .ok_or_else(|| self.wrong(key, &text, "it must be like 2026-06-07T01:30:00Z"))
    }

    fn market(&self) -> Result<Market, TapeError> {
        let mut assumed: Vec<String> = Vec::new();
        for layer in self.layers {
            for (fact, source) in &layer.assumed {
                let prefix = format!("{fact}: ");
                if !assumed.iter().any(|line| line.starts_with(&prefix)) {
                    assumed.push(format!("{prefix}{source}"));
                }
            }
        }
        let (condition, tokens) = self.ids(&mut assumed)?;
        let Some(tick) = self.pick(|facts| &facts.tick) else {
            return Err(self.wrong("tick", "missing", "state it, for example tick = \"0.01\""));
        };
        let Some(min_size) = self.pick(|facts| &facts.min_size) else {
            return Err(self.wrong("min_size", "missing", "state it, like min_size = \"5\""));
        };
        let version = match self.pick(|facts| &facts.version) {
            Some(version) => payload::market::protocol(&version),
            None => {
                assumed.push("version: v1, as nothing else is stated".to_owned());
                payload::market::protocol("v1")
            }
        };
        let delay = self.pick(|facts| &facts.taker_delay_ms);
        if delay.is_none() && !assumed.iter().any(|line| line.starts_with("taker_delay: ")) {
            // Not recorded is not none: the simulator derives it from category and date where this stands.
            assumed.push("taker_delay: not stated".to_owned());
        }
        let delay = delay.unwrap_or(0);
        if !(0..=3_600_000).contains(&delay) {
            let rule = "it must be 0 to 3600000 milliseconds";
            return Err(self.wrong("taker_delay_ms", &delay.to_string(), rule));
        }
        let tick: Tick = self.decimal("tick", &tick)?;
        let min_size: Shares = self.decimal("min_size", &min_size)?;
        let fees = self.fees()?;
        if fees == Fees::UNKNOWN {
            assumed.push("fee: unknown, so the market is not traded".to_owned());
        }
        assumed.sort();
        let labels = self.pick(|facts| &facts.labels);
        Ok(Market {
            condition,
            tokens,
            labels: labels.unwrap_or_else(|| ["Yes".to_owned(), "No".to_owned()]),
            question: self.text(|facts| &facts.question),
            slug: self.text(|facts| &facts.slug),
            category: self.text(|facts| &facts.category),
            event: self.text(|facts| &facts.event),
            tick,
            min_size,
            fees,
            neg_risk: self.pick(|facts| &facts.neg_risk).map(|facts| NegRisk {
                group: facts.group,
                members: facts.members,
                augmented: facts.augmented,
                placeholder: facts.placeholder,
            }),
            opens: self.time("opens", self.pick(|facts| &facts.opens))?,
            closes: self.time("closes", self.pick(|facts| &facts.closes))?,
            version,
            state: MarketState::Open,
            taker_delay: Span::millis(delay),
            rules: None,
            assumed,
        })
    }

    fn ids(&self, assumed: &mut Vec<String>) -> Result<(ConditionId, [TokenId; 2]), TapeError> {
        let condition = match self.pick(|facts| &facts.condition) {
            Some(text) => Some(
                text.parse::<ConditionId>()
                    .map_err(|error| self.wrong("condition", &text, error.to_string()))?,
            ),
            None => None,
        };
        let tokens = match self.pick(|facts| &facts.tokens) {
            Some([yes, no]) => {
                let read = |text: &str| {
                    text.parse::<TokenId>()
                        .map_err(|error| self.wrong("tokens", text, error.to_string()))
                };
                Some([read(&yes)?, read(&no)?])
            }
            None => None,
        };
        match (condition, tokens) {
            (Some(condition), Some(tokens)) => Ok((condition, tokens)),
            (None, Some(tokens)) => {
                assumed.push("condition: not published; SHA-256 of the token ids".to_owned());
                Ok((derived_condition(&tokens), tokens))
            }
            (Some(condition), None) => {
                assumed.push(
                    "tokens: not published; SHA-256 of the condition id and the outcome".to_owned(),
                );
                Ok((condition, derived_tokens(&condition)))
            }
            (None, None) => {
                let rule = "state tokens = [\"…\", \"…\"] or condition = \"0x…\"";
                Err(self.wrong("tokens", "missing", rule))
            }
        }
    }

    fn fees(&self) -> Result<Fees, TapeError> {
        let Some(periods) = self.pick(|facts| &facts.fee) else { return Ok(Fees::UNKNOWN) };
        let mut schedule = Vec::new();
        for (index, period) in periods.iter().enumerate() {
            let key = |name: &str| format!("fee[{index}].{name}");
            let rate = self.ppm(&key("rate"), &period.rate)?;
            let rebate = match &period.rebate {
                Some(text) => self.ppm(&key("rebate"), text)?,
                None => 0,
            };
            let rate = FeeRate::checked(rate, period.exponent, rebate).map_err(|error| {
                self.wrong(&key("exponent"), &period.exponent.to_string(), error.to_string())
            })?;
            let from = self.time(&key("from"), period.from.clone())?.unwrap_or(Time::MIN);
            schedule.push(FeePeriod { from, rate });
        }
        Ok(Fees::schedule(schedule))
    }

    fn ppm(&self, key: &str, text: &str) -> Result<u32, TapeError> {
        let rule = "it must be a decimal number in quotes from \"0\" to \"1\", at most 6 decimals";
        let decimal = Decimal::from_str(text.trim()).map_err(|_| self.wrong(key, text, rule))?;
        let scaled = (decimal * Decimal::from(1_000_000)).normalize();
        let whole = u32::try_from(scaled).ok().filter(|ppm| *ppm <= 1_000_000);
        match whole {
            Some(ppm) if Decimal::from(ppm) == scaled => Ok(ppm),
            _ => Err(self.wrong(key, text, rule)),
        }
    }
}

/// The stand-in for an unpublished condition id:
/// SHA-256 of `polydesk condition <yes token> <no token>`, tokens in decimal.
pub fn derived_condition(tokens: &[TokenId; 2]) -> ConditionId {
    let text = format!("polydesk condition {} {}", tokens[0], tokens[1]);
    ConditionId::from_bytes(Sha256::digest(text.as_bytes()).into())
}

/// The stand-ins for unpublished token ids:
/// SHA-256 of `polydesk token <condition id> <0 or 1>`.
pub fn derived_tokens(condition: &ConditionId) -> [TokenId; 2] {
    [0, 1].map(|outcome| {
        let text = format!("polydesk token {condition} {outcome}");
        TokenId::from_bytes(Sha256::digest(text.as_bytes()).into())
    })
}
