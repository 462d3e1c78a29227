//! Payloads of market rows: facts, states, whole books, reference prices.

use polydesk_domain::{
    BookSnapshot, ConditionId, FeePeriod, FeeRate, Fees, Market, MarketState, NegRisk, Outcome,
    Payout, Price, ProtocolVersion, Reference, Shares, Span, Tick, Time, Token, TokenId,
};
use serde::{Deserialize, Serialize};

use super::{PayloadError, json, micros, price, shares};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarketDoc {
    condition: ConditionId,
    tokens: [TokenId; 2],
    labels: [String; 2],
    question: String,
    slug: String,
    category: String,
    event: String,
    tick_units: u16,
    min_size_micros: u64,
    fees: Vec<FeeDoc>,
    neg_risk: Option<NegRiskDoc>,
    opens: Option<Time>,
    closes: Option<Time>,
    version: String,
    state: StateDoc,
    taker_delay_nanos: Span,
    /// Sixteen hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<String>,
    assumed: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeDoc {
    from: Time,
    rate_ppm: u32,
    exponent: u8,
    rebate_ppm: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NegRiskDoc {
    group: String,
    members: Option<u32>,
    augmented: bool,
    placeholder: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateDoc {
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    yes_micros: Option<u32>,
}

impl StateDoc {
    fn of(state: MarketState) -> StateDoc {
        let yes_micros = match state {
            MarketState::Resolved(payout) => Some(payout.per_share(Outcome::Yes)),
            _ => None,
        };
        StateDoc { state: state.name().to_owned(), yes_micros }
    }

    fn read(&self) -> Result<MarketState, PayloadError> {
        Ok(match (self.state.as_str(), self.yes_micros) {
            ("open", None) => MarketState::Open,
            ("paused", None) => MarketState::Paused,
            ("closed", None) => MarketState::Closed,
            ("disputed", None) => MarketState::Disputed,
            ("resolved", Some(yes)) => MarketState::Resolved(
                Payout::yes_micros(yes)
                    .ok_or_else(|| PayloadError(format!("payout {yes} is above one dollar")))?,
            ),
            ("resolved", None) => {
                return Err(PayloadError("resolved without yes_micros".to_owned()));
            }
            ("open" | "paused" | "closed" | "disputed", Some(_)) => {
                return Err(PayloadError(format!("{} with yes_micros", self.state)));
            }
            (other, _) => return Err(PayloadError(format!("market state {other:?} is unknown"))),
        })
    }
}

impl MarketDoc {
    fn of(market: &Market) -> Result<MarketDoc, PayloadError> {
        let fee = |period: &FeePeriod| FeeDoc {
            from: period.from,
            rate_ppm: period.rate.rate_ppm,
            exponent: period.rate.exponent,
            rebate_ppm: period.rate.rebate_ppm,
        };
        Ok(MarketDoc {
            condition: market.condition,
            tokens: market.tokens,
            labels: market.labels.clone(),
            question: market.question.clone(),
            slug: market.slug.clone(),
            category: market.category.clone(),
            event: market.event.clone(),
            tick_units: market.tick.units(),
            min_size_micros: micros(market.min_size)?,
            fees: market.fees.periods().iter().map(fee).collect(),
            neg_risk: market.neg_risk.as_ref().map(|neg_risk| NegRiskDoc {
                group: neg_risk.group.clone(),
                members: neg_risk.members,
                augmented: neg_risk.augmented,
                placeholder: neg_risk.placeholder,
            }),
            opens: market.opens,
            closes: market.closes,
            version: match &market.version {
                ProtocolVersion::V1 => "v1".to_owned(),
                ProtocolVersion::V2 => "v2".to_owned(),
                ProtocolVersion::Unknown(text) => format!("unknown:{text}"),
            },
            state: StateDoc::of(market.state),
            taker_delay_nanos: market.taker_delay,
            rules: market.rules.map(|rules| format!("{rules:016x}")),
            assumed: market.assumed.clone(),
        })
    }

    fn read(self) -> Result<Market, PayloadError> {
        let mut periods = Vec::new();
        for fee in &self.fees {
            let rate = FeeRate::checked(fee.rate_ppm, fee.exponent, fee.rebate_ppm)
                .map_err(|error| PayloadError(error.to_string()))?;
            periods.push(FeePeriod { from: fee.from, rate });
        }
        let tick = Tick::from_units(self.tick_units)
            .ok_or_else(|| PayloadError(format!("tick of {} units", self.tick_units)))?;
        let rules = match &self.rules {
            None => None,
            Some(text) if text.len() == 16 => u64::from_str_radix(text, 16).ok(),
            Some(_) => None,
        };
        if rules.is_some() != self.rules.is_some() {
            let text = self.rules.unwrap_or_default();
            return Err(PayloadError(format!("rules {text:?} are not sixteen hexadecimal digits")));
        }
        Ok(Market {
            condition: self.condition,
            tokens: self.tokens,
            labels: self.labels,
            question: self.question,
            slug: self.slug,
            category: self.category,
            event: self.event,
            tick,
            min_size: shares(self.min_size_micros)?,
            fees: Fees::schedule(periods),
            neg_risk: self.neg_risk.map(|doc| NegRisk {
                group: doc.group,
                members: doc.members,
                augmented: doc.augmented,
                placeholder: doc.placeholder,
            }),
            opens: self.opens,
            closes: self.closes,
            version: protocol(&self.version),
            state: self.state.read()?,
            taker_delay: self.taker_delay_nanos,
            rules,
            assumed: self.assumed,
        })
    }
}

/// `v1`, `v2`, or unknown: a market of an unknown version is not traded.
pub(crate) fn protocol(text: &str) -> ProtocolVersion {
    match text {
        "v1" => ProtocolVersion::V1,
        "v2" => ProtocolVersion::V2,
        other => {
            ProtocolVersion::Unknown(other.strip_prefix("unknown:").unwrap_or(other).to_owned())
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotDoc {
    bids: Vec<(u16, u64)>,
    asks: Vec<(u16, u64)>,
}

/// Written by hand: a quarter of a million snapshots are ordinary.
pub(crate) fn snapshot_text(snapshot: &BookSnapshot) -> Result<String, PayloadError> {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(24 * (snapshot.bids.len() + snapshot.asks.len()) + 24);
    let mut side = |name: &str, levels: &[(Price, Shares)]| {
        text.push_str(name);
        for (i, (price, size)) in levels.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            // Writing into a string cannot fail.
            let _ = write!(text, "{comma}[{},{}]", price.units(), micros(*size)?);
        }
        Ok::<_, PayloadError>(())
    };
    side("{\"bids\":[", &snapshot.bids)?;
    side("],\"asks\":[", &snapshot.asks)?;
    text.push_str("]}");
    Ok(text)
}

pub(crate) fn read_snapshot(token: Token, text: &str) -> Result<BookSnapshot, PayloadError> {
    let doc: SnapshotDoc = serde_json::from_str(text)?;
    let side = |levels: Vec<(u16, u64)>| {
        let mut read = Vec::with_capacity(levels.len());
        for (units, micros) in levels {
            read.push((price(units)?, shares(micros)?));
        }
        Ok::<_, PayloadError>(read)
    };
    Ok(BookSnapshot { token, bids: side(doc.bids)?, asks: side(doc.asks)? })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnverifiedDoc {
    on: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReferenceDoc {
    symbol: String,
    price_micros: i64,
}

pub(crate) fn listed_text(market: &Market) -> Result<String, PayloadError> {
    json(&MarketDoc::of(market)?)
}

pub(crate) fn read_listed(text: &str) -> Result<Market, PayloadError> {
    serde_json::from_str::<MarketDoc>(text)?.read()
}

pub(crate) fn state_text(state: MarketState) -> Result<String, PayloadError> {
    json(&StateDoc::of(state))
}

pub(crate) fn read_state(text: &str) -> Result<MarketState, PayloadError> {
    serde_json::from_str::<StateDoc>(text)?.read()
}

pub(crate) fn unverified_text(on: bool) -> Result<String, PayloadError> {
    json(&UnverifiedDoc { on })
}

pub(crate) fn read_unverified(text: &str) -> Result<bool, PayloadError> {
    Ok(serde_json::from_str::<UnverifiedDoc>(text)?.on)
}

pub(crate) fn reference_text(reference: &Reference) -> Result<String, PayloadError> {
    let Reference { symbol, price_micros } = reference;
    json(&ReferenceDoc { symbol: symbol.clone(), price_micros: *price_micros })
}

pub(crate) fn read_reference(text: &str) -> Result<Reference, PayloadError> {
    let ReferenceDoc { symbol, price_micros } = serde_json::from_str(text)?;
    Ok(Reference { symbol, price_micros })
}
