//! Payloads of rows about the world outside the venue: wallets, articles, models, other processes.

use polydesk_domain::{
    Action, Article, AskId, Code, ConditionId, Forecast, LeaderState, Side, Signal, Time, Token,
    TokenId, Usdc, WalletTrade, WorldEvent,
};
use serde::{Deserialize, Serialize};

use super::{Ids, PayloadError, json, micros, no_payload, price, readable_json, shares, strict};
use crate::kind::Kind;

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
struct LeaderDoc {
    wallet: String,
    asked_at: Time,
    complete: bool,
    positions: Vec<(TokenId, u64)>,
    value: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cash: Option<i64>,
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
struct NoForecastDoc {
    ask: AskId,
    code: Code,
}

/// The payload of a world event.
pub(crate) fn encode(event: &WorldEvent, ids: Ids<'_>) -> Result<String, PayloadError> {
    match event {
        WorldEvent::Wallet(trade) => json(&WalletDoc {
            wallet: trade.wallet.clone(),
            token: ids.token_id(trade.token)?,
            side: trade.side,
            price: trade.price.units(),
            size: micros(trade.size)?,
            transaction: trade.transaction.clone(),
        }),
        WorldEvent::LeaderState(state) => {
            let mut positions = Vec::new();
            for (token, size) in &state.positions {
                positions.push((ids.token_id(*token)?, micros(*size)?));
            }
            json(&LeaderDoc {
                wallet: state.wallet.clone(),
                asked_at: state.asked_at,
                complete: state.complete,
                positions,
                value: state.value.micros(),
                cash: state.cash.map(Usdc::micros),
            })
        }
        WorldEvent::Article(article) => {
            let mut markets = Vec::new();
            for key in &article.markets {
                markets.push(ids.condition(*key)?);
            }
            json(&ArticleDoc {
                source: article.source.clone(),
                title: article.title.clone(),
                body: article.body.clone(),
                url: article.url.clone(),
                markets,
            })
        }
        WorldEvent::Forecast(forecast) => json(forecast),
        WorldEvent::NoForecast { ask, code } => json(&NoForecastDoc { ask: *ask, code: *code }),
        WorldEvent::Signal(signal) => {
            let signal = signal.clone();
            readable_json(&Signal {
                id: signal.id,
                strategy: signal.strategy,
                market: ids.condition(signal.market)?,
                action: translated(signal.action, TokenId::default(), |token| ids.token_id(token))?,
                created: signal.created,
                expires: signal.expires,
                edge: signal.edge,
                reason: signal.reason,
            })
        }
    }
}

/// The world event of a row.
pub(crate) fn decode(kind: Kind, text: &str, ids: Ids<'_>) -> Result<WorldEvent, PayloadError> {
    Ok(match kind {
        Kind::Wallet => {
            let doc: WalletDoc = serde_json::from_str(text)?;
            WorldEvent::Wallet(WalletTrade {
                wallet: doc.wallet,
                token: ids.token(&doc.token)?,
                side: doc.side,
                price: price(doc.price)?,
                size: shares(doc.size)?,
                transaction: doc.transaction,
            })
        }
        Kind::LeaderState => {
            let doc: LeaderDoc = serde_json::from_str(text)?;
            let mut positions = Vec::new();
            for (id, micros) in &doc.positions {
                positions.push((ids.token(id)?, shares(*micros)?));
            }
            WorldEvent::LeaderState(LeaderState {
                wallet: doc.wallet,
                asked_at: doc.asked_at,
                complete: doc.complete,
                positions,
                value: Usdc::new(doc.value),
                cash: doc.cash.map(Usdc::new),
            })
        }
        Kind::Article => {
            let doc: ArticleDoc = serde_json::from_str(text)?;
            let mut markets = Vec::new();
            for condition in &doc.markets {
                markets.push(ids.key(condition)?);
            }
            WorldEvent::Article(Article {
                source: doc.source,
                title: doc.title,
                body: doc.body,
                url: doc.url,
                markets,
            })
        }
        Kind::Forecast => WorldEvent::Forecast(serde_json::from_str::<Forecast>(text)?),
        Kind::NoForecast => {
            let NoForecastDoc { ask, code } = serde_json::from_str(text)?;
            WorldEvent::NoForecast { ask, code }
        }
        Kind::Signal => {
            let stored: Signal<TokenId, ConditionId> = strict(text)?;
            WorldEvent::Signal(Signal {
                id: stored.id,
                strategy: stored.strategy,
                market: ids.key(&stored.market)?,
                action: translated(stored.action, Token(u32::MAX), |id| ids.token(&id))?,
                created: stored.created,
                expires: stored.expires,
                edge: stored.edge,
                reason: stored.reason,
            })
        }
        other => return no_payload(other),
    })
}

/// An action with every token replaced, or why one could not be; `nothing` stands in its place until then.
fn translated<T, U: Copy>(
    action: Action<T>,
    nothing: U,
    with: impl Fn(T) -> Result<U, PayloadError>,
) -> Result<Action<U>, PayloadError> {
    let mut problem = None;
    let action = action.with_tokens(|token| {
        with(token).unwrap_or_else(|error| {
            problem.get_or_insert(error);
            nothing
        })
    });
    problem.map_or(Ok(action), Err)
}
