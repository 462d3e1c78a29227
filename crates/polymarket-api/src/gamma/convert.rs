//! From Gamma's description (and the CLOB's parameters) to the market that trading knows.
//!
//! What is not understood is refused with its name: a protocol version, a fee schedule, a neg-risk group
//! of unknown shape. Nothing is assumed silently; what had to be is listed in [`Market::assumed`].

use polydesk_domain::{
    ConditionId, FeeRate, Fees, Market, MarketState, NegRisk, Payout, ProtocolVersion, Shares,
    Span, Tick, TokenId,
};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::GammaMarket;
use crate::clob::MarketInfo;

/// Why a market cannot be traded by this client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarketRefused {
    /// A fact is missing or is not what it should be.
    #[error("market {market}: {field} is {value:?}; {rule}")]
    Field {
        /// Condition id or Gamma's number.
        market: String,
        /// Which fact.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// Two sources disagree about something that decides how to sign or what it costs.
    #[error("market {market}: Gamma and the CLOB disagree about {about}: {gamma} and {clob}")]
    Conflict {
        /// Condition id.
        market: String,
        /// About what.
        about: &'static str,
        /// Gamma's value.
        gamma: String,
        /// The CLOB's value.
        clob: String,
    },
}

/// Assumed taker delay where the venue states only that there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TakerDelays {
    /// Crypto and finance up-down markets (`itode`), in milliseconds: 150 since 2026-09-04.
    pub up_down_ms: u32,
}

impl Default for TakerDelays {
    fn default() -> TakerDelays {
        TakerDelays { up_down_ms: 150 }
    }
}

impl GammaMarket {
    /// The market for trading. With `info` (`GET /clob-markets/{id}`) the CLOB's tick, size, fee and
    /// delays count, and a contradiction about the exchange or the fee is refused; without it the delay
    /// of up-down markets is noted as assumed.
    pub fn to_market(
        &self,
        info: Option<&MarketInfo>,
        delays: TakerDelays,
    ) -> Result<Market, MarketRefused> {
        let name = if self.condition_id.is_empty() { &self.id } else { &self.condition_id };
        let wrong = |field, value: &str, rule| MarketRefused::Field {
            market: name.clone(),
            field,
            value: value.chars().take(120).collect(),
            rule,
        };
        let conflict = |about, gamma: String, clob: String| MarketRefused::Conflict {
            market: name.clone(),
            about,
            gamma,
            clob,
        };
        let mut assumed = Vec::new();
        let condition: ConditionId = self.condition_id.parse().map_err(|_| {
            wrong(
                "conditionId",
                &self.condition_id,
                "it must be 0x and 64 (protocol v2: 62) hex digits",
            )
        })?;
        let version = match self.version.as_str() {
            "v1" => ProtocolVersion::V1,
            "v2" => ProtocolVersion::V2,
            other => return Err(wrong("version", other, "only v1 and v2 can be signed for")),
        };
        // v1 markets may carry position ids that cannot be traded; the version alone decides.
        let (field, ids) = match version {
            ProtocolVersion::V2 => ("positionIds", &self.position_ids),
            _ => ("clobTokenIds", &self.clob_token_ids),
        };
        let tokens: Vec<TokenId> = ids
            .iter()
            .map(|id| {
                id.parse()
                    .map_err(|_| wrong(field, id, "token ids are decimal numbers below 2^256"))
            })
            .collect::<Result<_, _>>()?;
        let tokens: [TokenId; 2] = tokens
            .try_into()
            .map_err(|_| wrong(field, &ids.join(","), "a market has two tokens"))?;
        let labels: [String; 2] = self.outcomes.clone().try_into().map_err(|_| {
            wrong("outcomes", &self.outcomes.join(","), "a market has two outcomes")
        })?;
        if !self.market_type.is_empty() && !matches!(self.market_type.as_str(), "normal" | "binary")
        {
            return Err(wrong("marketType", &self.market_type, "only binary markets are traded"));
        }

        let of_info = |value: fn(&MarketInfo) -> Option<Decimal>| info.and_then(value);
        // The CLOB's answer must be about this very market, its tokens in the same order.
        if let Some(info) = info {
            let same =
                |ours: &str, theirs: &str| theirs.is_empty() || ours.eq_ignore_ascii_case(theirs);
            if !same(&self.condition_id, &info.condition_id) {
                return Err(conflict(
                    "the condition id",
                    self.condition_id.clone(),
                    info.condition_id.clone(),
                ));
            }
            let theirs: Vec<&str> = info.tokens.iter().map(|token| token.id.as_str()).collect();
            if !theirs.is_empty() && theirs != ids.iter().map(String::as_str).collect::<Vec<_>>() {
                return Err(conflict("the tokens", ids.join(","), theirs.join(",")));
            }
            // The same tokens under exchanged labels: what is meant to be bought would be the other outcome.
            let named = info.tokens.iter().zip(&labels).all(|(token, label)| {
                token.outcome.is_empty() || token.outcome.eq_ignore_ascii_case(label)
            });
            if !named {
                let theirs: Vec<&str> =
                    info.tokens.iter().map(|token| token.outcome.as_str()).collect();
                return Err(conflict("the outcomes", labels.join(","), theirs.join(",")));
            }
        }

        let tick = of_info(|i| i.tick).or(self.order_price_min_tick_size);
        let tick = tick.and_then(|tick| Tick::try_from(tick).ok()).ok_or_else(|| {
            wrong("orderPriceMinTickSize", &text(tick), "it must be one of the venue's six ticks")
        })?;
        let min_size = of_info(|i| i.min_size).or(self.order_min_size);
        let min_size = min_size.and_then(|size| Shares::try_from(size).ok()).ok_or_else(|| {
            wrong("orderMinSize", &text(min_size), "the least order size must be known")
        })?;

        let gamma_fee = self.fee().map_err(|(field, value, rule)| wrong(field, &value, rule))?;
        let clob_fee = match info.and_then(|info| info.fee.as_ref()) {
            None => None,
            Some(fee) if !fee.taker_only && fee.rate.is_some_and(|rate| !rate.is_zero()) => {
                return Err(wrong("fd.to", "false", "fees for makers are not understood"));
            }
            Some(fee) => Some(rate(fee.rate, fee.exponent, None).map_err(|rule| {
                wrong("fd", &format!("{:?} {:?}", fee.rate, fee.exponent), rule)
            })?),
        };
        let fee = match (gamma_fee, clob_fee) {
            (Some(gamma), Some(clob))
                if (gamma.rate_ppm, gamma.exponent) != (clob.rate_ppm, clob.exponent) =>
            {
                // Free on one side and a schedule on the other is as good as unknown.
                return Err(conflict("the taker fee", format!("{gamma:?}"), format!("{clob:?}")));
            }
            (Some(gamma), _) => gamma,
            (None, Some(clob)) => clob,
            (None, None) => {
                return Err(wrong("feeSchedule", "absent", "an unknown fee is not a free market"));
            }
        };

        let neg_risk = self.neg_risk.or(info.map(|info| info.neg_risk)).ok_or_else(|| {
            wrong("negRisk", "absent", "it decides which exchange an order is signed for")
        })?;
        if let Some(info) = info
            && info.neg_risk != neg_risk
        {
            return Err(conflict("negRisk", neg_risk.to_string(), info.neg_risk.to_string()));
        }
        let neg_risk = if neg_risk {
            if self.neg_risk_market_id.is_empty() {
                return Err(wrong("negRiskMarketID", "", "a neg-risk market must name its group"));
            }
            let augmented = match self.events.first() {
                Some(event) => event.neg_risk_augmented,
                None => {
                    assumed.push(
                        "negRiskAugmented: the event is not known, taken as augmented".to_owned(),
                    );
                    true
                }
            };
            Some(NegRisk {
                group: self.neg_risk_market_id.clone(),
                members: None,
                augmented,
                placeholder: self.neg_risk_other,
            })
        } else {
            None
        };

        let seconds = of_info(|i| i.seconds_delay).or(self.seconds_delay).unwrap_or_default();
        let seconds = wire_millis(seconds).ok_or_else(|| {
            wrong("secondsDelay", &seconds.to_string(), "a delay from 0 to 3600 s")
        })?;
        let up_down = match info {
            Some(info) => info.taker_delay,
            None => {
                let up_down =
                    self.crypto_market_config.is_some() || self.fee_type.starts_with("crypto");
                if up_down {
                    assumed.push(
                        "taker delay: taken as an up-down market without asking the CLOB"
                            .to_owned(),
                    );
                }
                up_down
            }
        };
        let held_back = seconds + if up_down { i64::from(delays.up_down_ms) } else { 0 };

        let event = self.events.first();
        Ok(Market {
            condition,
            tokens,
            labels,
            question: self.question.clone(),
            slug: self.slug.clone(),
            category: self.category_word(),
            event: event.map(|event| event.slug.clone()).unwrap_or_default(),
            tick,
            min_size,
            fees: Fees::flat(fee),
            neg_risk,
            opens: self.accepting_orders_timestamp,
            closes: self.end_date,
            version,
            state: self.state(),
            taker_delay: Span::millis(held_back),
            rules: self.rules(),
            assumed,
        })
    }

    /// What [`Market::rules`] keeps of the rules text.
    pub fn rules(&self) -> Option<u64> {
        if self.description.is_empty() {
            return None;
        }
        let digest = Sha256::digest(self.description.as_bytes());
        digest.first_chunk().map(|first| u64::from_be_bytes(*first))
    }

    /// Where the market is in its life. Every flag must agree that it is open.
    pub fn state(&self) -> MarketState {
        // Prices of 1 and 0 are a proposal while it is disputed.
        if self.uma_resolution_status == "disputed" {
            return MarketState::Disputed;
        }
        if self.closed {
            return self.payout().map_or(MarketState::Closed, MarketState::Resolved);
        }
        if self.archived {
            return MarketState::Closed;
        }
        if self.active && self.accepting_orders && self.enable_order_book {
            MarketState::Open
        } else {
            MarketState::Paused
        }
    }

    /// The payout of a closed market, if its final prices show it: 1 and 0, or a half each.
    fn payout(&self) -> Option<Payout> {
        let [yes, no] = self.outcome_prices.as_slice() else { return None };
        let (yes, no): (Decimal, Decimal) = (yes.parse().ok()?, no.parse().ok()?);
        let half = Decimal::new(5, 1);
        match (yes, no) {
            (yes, no) if yes == Decimal::ONE && no.is_zero() => Some(Payout::YES),
            (yes, no) if yes.is_zero() && no == Decimal::ONE => Some(Payout::NO),
            // An untraded market also shows a half each: it counts only for a resolved market.
            (yes, no) if yes == half && no == half => {
                let resolved = self.automatically_resolved
                    || matches!(self.uma_resolution_status.as_str(), "resolved" | "settled");
                resolved.then_some(Payout::HALF)
            }
            _ => None,
        }
    }

    /// The taker fee, `None` when it is not stated.
    fn fee(&self) -> Result<Option<FeeRate>, (&'static str, String, &'static str)> {
        match (self.fees_enabled, &self.fee_schedule) {
            (Some(false), None) => Ok(Some(FeeRate::FREE)),
            (Some(false), Some(schedule)) if schedule.rate.is_none_or(|rate| rate.is_zero()) => {
                Ok(Some(FeeRate::FREE))
            }
            (Some(false), Some(schedule)) => Err((
                "feesEnabled",
                format!("false beside a rate of {}", text(schedule.rate)),
                "fees cannot be off and on",
            )),
            (_, None) => Ok(None),
            (_, Some(schedule)) => {
                if !schedule.taker_only && schedule.rate.is_some_and(|rate| !rate.is_zero()) {
                    return Err((
                        "feeSchedule.takerOnly",
                        "false".into(),
                        "fees for makers are not understood",
                    ));
                }
                rate(schedule.rate, schedule.exponent, schedule.rebate_rate)
                    .map(Some)
                    .map_err(|rule| ("feeSchedule", format!("{schedule:?}"), rule))
            }
        }
    }

    /// A word for limits by category: the fee's, else the row's, else the first tag's.
    pub fn category_word(&self) -> String {
        if let Some((word, _)) = self.fee_type.split_once("_fees") {
            return word.to_ascii_lowercase();
        }
        if !self.category.is_empty() {
            return self.category.to_ascii_lowercase();
        }
        self.tags.first().map(|tag| tag.slug.clone()).unwrap_or_default()
    }
}

fn rate(
    rate: Option<Decimal>,
    exponent: Option<Decimal>,
    rebate: Option<Decimal>,
) -> Result<FeeRate, &'static str> {
    let ppm = |number: Decimal| {
        let ppm = number.checked_mul(Decimal::from(1_000_000))?.normalize();
        (ppm.scale() == 0).then(|| u32::try_from(ppm.mantissa()).ok())?
    };
    let rate_ppm = rate
        .and_then(ppm)
        .ok_or("the rate must be a decimal from 0 to 1 with at most 6 decimals")?;
    let exponent = exponent
        .map(|e| e.normalize())
        .filter(|e| e.scale() == 0)
        .and_then(|e| u8::try_from(e.mantissa()).ok())
        .ok_or("the exponent must be 1 or 2")?;
    let rebate_ppm =
        rebate.map_or(Some(0), ppm).ok_or("the rebate must be a decimal from 0 to 1")?;
    FeeRate::checked(rate_ppm, exponent, rebate_ppm)
        .map_err(|_| "the rate must be at most 1 and the exponent 1 or 2")
}

fn wire_millis(seconds: Decimal) -> Option<i64> {
    let millis = seconds.checked_mul(Decimal::ONE_THOUSAND)?.trunc();
    i64::try_from(millis.mantissa()).ok().filter(|millis| (0..=3_600_000).contains(millis))
}

fn text(number: Option<Decimal>) -> String {
    number.map_or_else(|| "absent".to_owned(), |number| number.to_string())
}
