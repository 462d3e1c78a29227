//! The JSON of rare rows: markets, snapshots, states, own orders, money, news, parameters.
//!
//! Amounts are integers in the smallest unit (price 1/10 000, shares and pUSD 1/1 000 000), ids are
//! the venue's. Unknown fields are refused: they would be facts silently lost.

use std::sync::Arc;

use polydesk_domain::{
    Article, Cash, CashKind, ClientOrderId, ConditionId, Event, FeePeriod, FeeRate, Fees, Fill,
    Forecast, Market, MarketKey, MarketState, NegRisk, OperatorCommand, OrderUpdate, OwnTrade,
    Payout, Price, ProtocolVersion, Role, Shares, Side, Snapshot, Span, StrategyId, Tick, Time,
    Token, TokenId, TradeId, TradeStatus, Universe, Usdc, WalletTrade,
};
use serde::{Deserialize, Serialize};

use crate::row::Kind;

/// A row that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct PayloadError(pub String);

impl From<serde_json::Error> for PayloadError {
    fn from(error: serde_json::Error) -> PayloadError {
        PayloadError(format!("payload: {error}"))
    }
}

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
            MarketState::Resolved(payout) => Some(payout.per_share(polydesk_domain::Outcome::Yes)),
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
            (other, _) => return Err(PayloadError(format!("market state {other:?} is unknown"))),
        })
    }
}

impl MarketDoc {
    fn of(market: &Market) -> MarketDoc {
        let fee = |period: &FeePeriod| FeeDoc {
            from: period.from,
            rate_ppm: period.rate.rate_ppm,
            exponent: period.rate.exponent,
            rebate_ppm: period.rate.rebate_ppm,
        };
        MarketDoc {
            condition: market.condition,
            tokens: market.tokens,
            labels: market.labels.clone(),
            question: market.question.clone(),
            slug: market.slug.clone(),
            category: market.category.clone(),
            event: market.event.clone(),
            tick_units: market.tick.units(),
            min_size_micros: market.min_size.micros(),
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
            assumed: market.assumed.clone(),
        }
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
        Ok(Market {
            condition: self.condition,
            tokens: self.tokens,
            labels: self.labels,
            question: self.question,
            slug: self.slug,
            category: self.category,
            event: self.event,
            tick,
            min_size: Shares::new(self.min_size_micros),
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
            assumed: self.assumed,
        })
    }
}

/// `v1`, `v2`, or unknown: an unknown version means that nobody trades the market.
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
pub(crate) fn snapshot_text(snapshot: &Snapshot) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(24 * (snapshot.bids.len() + snapshot.asks.len()) + 24);
    let mut side = |name: &str, levels: &[(Price, Shares)]| {
        text.push_str(name);
        for (i, (price, size)) in levels.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            // Writing into a string cannot fail.
            let _ = write!(text, "{comma}[{},{}]", price.units(), size.micros());
        }
    };
    side("{\"bids\":[", &snapshot.bids);
    side("],\"asks\":[", &snapshot.asks);
    text.push_str("]}");
    text
}

pub(crate) fn read_snapshot(token: Token, text: &str) -> Result<Snapshot, PayloadError> {
    let doc: SnapshotDoc = serde_json::from_str(text)?;
    let side = |levels: Vec<(u16, u64)>| {
        let mut read = Vec::with_capacity(levels.len());
        for (units, micros) in levels {
            let price = Price::new(units)
                .ok_or_else(|| PayloadError(format!("price {units} is outside 0..=10000")))?;
            read.push((price, Shares::new(micros)));
        }
        Ok::<_, PayloadError>(read)
    };
    Ok(Snapshot { token, bids: side(doc.bids)?, asks: side(doc.asks)? })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderDoc {
    order: ClientOrderId,
    news: OrderUpdate,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TradeDoc {
    /// A decimal string: JSON numbers above 2^53 do not survive every reader.
    trade: String,
    order: ClientOrderId,
    token: TokenId,
    side: Side,
    role: Role,
    shares: u64,
    notional: i64,
    fee: i64,
    level: Option<u16>,
    status: TradeStatus,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CashDoc {
    kind: String,
    command: Option<ClientOrderId>,
    strategy: Option<StrategyId>,
    market: Option<ConditionId>,
    amount: i64,
    shares: [u64; 2],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletDoc {
    wallet: String,
    token: TokenId,
    side: Side,
    price: u16,
    size: u64,
    transaction: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArticleDoc {
    source: String,
    title: String,
    body: String,
    url: String,
    markets: Vec<ConditionId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForecastDoc {
    condition: ConditionId,
    yes_ppm: u32,
    model: String,
    evidence_until: Time,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorDoc {
    command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    market: Option<ConditionId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParamsDoc {
    strategy: StrategyId,
    toml: String,
}

const CASH_KINDS: [(CashKind, &str); 8] = [
    (CashKind::Deposit, "deposit"),
    (CashKind::Withdrawal, "withdrawal"),
    (CashKind::Split, "split"),
    (CashKind::Merge, "merge"),
    (CashKind::Redeem, "redeem"),
    (CashKind::Rebate, "rebate"),
    (CashKind::Reward, "reward"),
    (CashKind::Failed, "failed"),
];

/// The payload of an event of a rare kind (empty for kinds without one).
pub(crate) fn encode(event: &Event, universe: &Universe) -> Result<String, String> {
    let condition = |key: MarketKey| {
        universe
            .get(key)
            .map(|market| market.condition)
            .ok_or_else(|| format!("market number {} was never listed", key.0))
    };
    let token = |token: Token| condition(token.market()).map(|_| universe.token_id(token));
    match event {
        Event::Market(MarketEvent::Listed { market, .. }) => json(&MarketDoc::of(market)),
        Event::Market(MarketEvent::State { state, .. }) => json(&StateDoc::of(*state)),
        Event::OrderFIX(order) => {
            let text = json(&OrderDoc { order: order.0, news: order.1.clone() })?;
            // The words read back only sane amounts: what could not be read is not written.
            match serde_json::from_str::<OrderDoc>(&text) {
                Ok(_) => Ok(text),
                Err(error) => Err(error.to_string()),
            }
        }
        Event::TradeFIX(own) => json(&TradeDoc {
            trade: own.trade.0.to_string(),
            order: own.order,
            token: token(own.token)?,
            side: own.side,
            role: own.role,
            shares: own.fill.shares.micros(),
            notional: own.fill.notional.micros(),
            fee: own.fill.fee.micros(),
            level: own.fill.level.map(Price::units),
            status: own.status,
        }),
        Event::CashFIX(cash) => json(&CashDoc {
            kind: CASH_KINDS
                .iter()
                .find(|(kind, _)| *kind == cash.kind)
                .map_or("failed", |(_, name)| name)
                .to_owned(),
            command: cash.command,
            strategy: cash.strategy,
            market: cash.market.map(condition).transpose()?,
            amount: cash.amount.micros(),
            shares: cash.shares.map(Shares::micros),
        }),
        Event::WalletFIX(trade) => json(&WalletDoc {
            wallet: trade.wallet.clone(),
            token: token(trade.token)?,
            side: trade.side,
            price: trade.price.units(),
            size: trade.size.micros(),
            transaction: trade.transaction.clone(),
        }),
        Event::ArticleFIX(article) => {
            let mut markets = Vec::new();
            for key in &article.markets {
                markets.push(condition(*key)?);
            }
            json(&ArticleDoc {
                source: article.source.clone(),
                title: article.title.clone(),
                body: article.body.clone(),
                url: article.url.clone(),
                markets,
            })
        }
        Event::ForecastFIX(forecast) => json(&ForecastDoc {
            condition: forecast.condition,
            yes_ppm: forecast.yes_ppm,
            model: forecast.model.clone(),
            evidence_until: forecast.evidence_until,
        }),
        Event::OperatorFIX(command) => {
            let (command, market) = match command {
                OperatorCommand::Pause => ("pause", None),
                OperatorCommand::ReduceOnly => ("reduce_only", None),
                OperatorCommand::Resume => ("resume", None),
                OperatorCommand::Kill => ("kill", None),
                OperatorCommand::Rearm => ("rearm", None),
                OperatorCommand::Flatten(None) => ("flatten", None),
                OperatorCommand::Flatten(Some(key)) => ("flatten", Some(condition(*key)?)),
            };
            json(&OperatorDoc { command: command.to_owned(), market })
        }
        Event::from(ControlEvent::Params { strategy, toml }) => {
            json(&ParamsDoc { strategy: *strategy, toml: toml.to_string() })
        }
        _ => Ok(String::new()),
    }
}

fn json<T: Serialize>(doc: &T) -> Result<String, String> {
    serde_json::to_string(doc).map_err(|error| error.to_string())
}

/// The event of a rare kind from its payload.
pub(crate) fn decode(
    kind: Kind,
    key: Option<MarketKey>,
    text: &str,
    universe: &Universe,
) -> Result<Event, PayloadError> {
    let market = |condition: &ConditionId| {
        universe
            .key(condition)
            .ok_or_else(|| PayloadError(format!("market {condition} was not listed before")))
    };
    let token = |id: &TokenId| {
        universe.token(id).ok_or_else(|| PayloadError(format!("token {id} was not listed before")))
    };
    let price = |units: u16| {
        Price::new(units).ok_or_else(|| PayloadError(format!("price {units} is above 10000")))
    };
    Ok(match kind {
        Kind::Listed => Event::Market(MarketEvent::Listed { key: KEYFIX, market: Arc::new(read_market(text)?) }),
        Kind::State => Event::Market(MarketEvent::State {
            market: key.ok_or_else(|| PayloadError("state without a market".to_owned()))?,
            state: serde_json::from_str::<StateDoc>(text)?.read()?,
        }),
        Kind::Order => {
            let doc: OrderDoc = serde_json::from_str(text)?;
            Event::order(doc.order, doc.news)
        }
        Kind::Trade => {
            let doc: TradeDoc = serde_json::from_str(text)?;
            let trade = doc.trade.parse().map_err(|_| {
                PayloadError(format!("trade id {:?} is not a whole number", doc.trade))
            })?;
            Event::trade(OwnTrade {
                trade: TradeId(trade),
                order: doc.order,
                token: token(&doc.token)?,
                side: doc.side,
                role: doc.role,
                fill: Fill {
                    shares: Shares::new(doc.shares),
                    notional: Usdc::new(doc.notional),
                    fee: Usdc::new(doc.fee),
                    level: doc.level.map(price).transpose()?,
                },
                status: doc.status,
            })
        }
        Kind::Cash => {
            let doc: CashDoc = serde_json::from_str(text)?;
            let kind = CASH_KINDS
                .iter()
                .find(|(_, name)| *name == doc.kind)
                .map(|(kind, _)| *kind)
                .ok_or_else(|| PayloadError(format!("cash kind {:?} is unknown", doc.kind)))?;
            Event::cash(Cash {
                kind,
                command: doc.command,
                strategy: doc.strategy,
                market: doc.market.as_ref().map(market).transpose()?,
                amount: Usdc::new(doc.amount),
                shares: doc.shares.map(Shares::new),
            })
        }
        Kind::Wallet => {
            let doc: WalletDoc = serde_json::from_str(text)?;
            Event::from(WorldEvent::Wallet(WalletTrade {
                wallet: doc.wallet,
                token: token(&doc.token)?,
                side: doc.side,
                price: price(doc.price)?,
                size: Shares::new(doc.size),
                transaction: doc.transaction,
            }))
        }
        Kind::Article => {
            let doc: ArticleDoc = serde_json::from_str(text)?;
            let mut markets = Vec::new();
            for condition in &doc.markets {
                markets.push(market(condition)?);
            }
            Event::from(WorldEvent::Article(Article {
                source: doc.source,
                title: doc.title,
                body: doc.body,
                url: doc.url,
                markets,
            }))
        }
        Kind::Forecast => {
            let doc: ForecastDoc = serde_json::from_str(text)?;
            Event::from(WorldEvent::Forecast(Forecast {
                condition: doc.condition,
                yes_ppm: doc.yes_ppm,
                model: doc.model,
                evidence_until: doc.evidence_until,
            }))
        }
        Kind::Operator => {
            let doc: OperatorDoc = serde_json::from_str(text)?;
            let about = doc.market.as_ref().map(market).transpose()?;
            Event::OperatorFIX(match (doc.command.as_str(), about) {
                ("pause", None) => OperatorCommand::Pause,
                ("reduce_only", None) => OperatorCommand::ReduceOnly,
                ("resume", None) => OperatorCommand::Resume,
                ("kill", None) => OperatorCommand::Kill,
                ("rearm", None) => OperatorCommand::Rearm,
                ("flatten", market) => OperatorCommand::Flatten(market),
                (other, _) => {
                    return Err(PayloadError(format!("operator command {other:?} is unknown")));
                }
            })
        }
        Kind::Params => {
            let doc: ParamsDoc = serde_json::from_str(text)?;
            Event::from(ControlEvent::Params { strategy: doc.strategy, toml: doc.toml.into() })
        }
        other => return Err(PayloadError(format!("{} has no payload", other.name()))),
    })
}

/// A market from the payload of a `listed` row.
pub(crate) fn read_market(text: &str) -> Result<Market, PayloadError> {
    serde_json::from_str::<MarketDoc>(text)?.read()
}
