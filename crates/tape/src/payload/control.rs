//! Payloads of control rows: blockers, limits, parameters, operator commands.

use polydesk_domain::{
    Cause, ClientOrderId, ConditionId, ControlEvent, Operator, OperatorCommand, Price, RunMode,
    RunStart, StrategyId, TokenId,
};
use serde::{Deserialize, Serialize};

use super::{Ids, PayloadError, json, no_payload};
use crate::kind::Kind;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockerDoc {
    cause: Cause<TokenId, ConditionId>,
    on: bool,
    detail: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsDoc {
    toml: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParamsDoc {
    strategy: StrategyId,
    toml: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StrategyDoc {
    strategy: StrategyId,
    run: bool,
}

/// A command has the fields that it needs and no other.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorDoc {
    command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    market: Option<ConditionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<TokenId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fraction_ppm: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collar: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<ClientOrderId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause<TokenId, ConditionId>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    why: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StartDoc {
    mode: RunMode,
    blockers: Vec<(Cause<TokenId, ConditionId>, String)>,
}

/// The start of a run; that of a backtest has no payload.
pub(crate) fn start(text: Option<&str>, ids: Ids<'_>) -> Result<ControlEvent, PayloadError> {
    let Some(text) = text else { return Ok(ControlEvent::Start(RunStart::backtest())) };
    let StartDoc { mode, blockers } = serde_json::from_str(text)?;
    let blocker = |(cause, detail)| Ok((ids.cause(cause)?, detail));
    let blockers = blockers.into_iter().map(blocker).collect::<Result<_, PayloadError>>()?;
    Ok(ControlEvent::Start(RunStart { mode, blockers }))
}

/// The payload of a control event; stop, timer and the start of a backtest have none.
pub(crate) fn encode(event: &ControlEvent, ids: Ids<'_>) -> Result<Option<String>, PayloadError> {
    Ok(Some(match event {
        ControlEvent::Stop | ControlEvent::Timer => return Ok(None),
        ControlEvent::Start(start) if *start == RunStart::backtest() => return Ok(None),
        ControlEvent::Start(start) => {
            let blocker =
                |(cause, detail): &(Cause, String)| Ok((ids.stored_cause(*cause)?, detail.clone()));
            let blockers = start.blockers.iter().map(blocker).collect::<Result<_, PayloadError>>();
            json(&StartDoc { mode: start.mode, blockers: blockers? })?
        }
        ControlEvent::Blocker { cause, on, detail } => {
            json(&BlockerDoc { cause: ids.stored_cause(*cause)?, on: *on, detail: detail.clone() })?
        }
        ControlEvent::Limits { toml } => json(&LimitsDoc { toml: toml.to_string() })?,
        ControlEvent::Params { strategy, toml } => {
            json(&ParamsDoc { strategy: *strategy, toml: toml.to_string() })?
        }
        ControlEvent::Strategy { id, run } => json(&StrategyDoc { strategy: *id, run: *run })?,
        ControlEvent::Operator(operator) => json(&operator_doc(operator, ids)?)?,
    }))
}

fn operator_doc(operator: &Operator, ids: Ids<'_>) -> Result<OperatorDoc, PayloadError> {
    let Operator { by, why, key, command } = operator;
    let mut doc = OperatorDoc {
        command: command.name().to_owned(),
        by: by.clone(),
        why: why.clone(),
        key: key.clone(),
        ..OperatorDoc::default()
    };
    match *command {
        OperatorCommand::Pause
        | OperatorCommand::ReduceOnly
        | OperatorCommand::Resume
        | OperatorCommand::Kill
        | OperatorCommand::Rearm => (),
        OperatorCommand::Flatten { market, collar } => {
            doc.market = market.map(|key| ids.condition(key)).transpose()?;
            doc.collar = collar;
        }
        OperatorCommand::CancelMarket(market) => {
            doc.market = market.map(|key| ids.condition(key)).transpose()?;
        }
        OperatorCommand::ReleaseMarket(market) => doc.market = Some(ids.condition(market)?),
        OperatorCommand::Close { token, fraction_ppm, collar } => {
            (doc.token, doc.fraction_ppm) = (Some(ids.token_id(token)?), Some(fraction_ppm));
            doc.collar = collar;
        }
        OperatorCommand::ReleaseToken(token) => doc.token = Some(ids.token_id(token)?),
        OperatorCommand::CancelOrder(order) => doc.order = Some(order),
        OperatorCommand::ReleaseBlocker(cause) => doc.cause = Some(ids.stored_cause(cause)?),
    }
    Ok(doc)
}

/// The control event of a row.
pub(crate) fn decode(kind: Kind, text: &str, ids: Ids<'_>) -> Result<ControlEvent, PayloadError> {
    Ok(match kind {
        Kind::Blocker => {
            let BlockerDoc { cause, on, detail } = serde_json::from_str(text)?;
            ControlEvent::Blocker { cause: ids.cause(cause)?, on, detail }
        }
        Kind::Limits => {
            let LimitsDoc { toml } = serde_json::from_str(text)?;
            ControlEvent::Limits { toml: toml.into() }
        }
        Kind::Params => {
            let ParamsDoc { strategy, toml } = serde_json::from_str(text)?;
            ControlEvent::Params { strategy, toml: toml.into() }
        }
        Kind::Strategy => {
            let StrategyDoc { strategy, run } = serde_json::from_str(text)?;
            ControlEvent::Strategy { id: strategy, run }
        }
        Kind::Operator => ControlEvent::Operator(operator(serde_json::from_str(text)?, ids)?),
        other => return no_payload(other),
    })
}

fn operator(doc: OperatorDoc, ids: Ids<'_>) -> Result<Operator, PayloadError> {
    let name = doc.command.as_str();
    let wants = |what: &str| PayloadError(format!("operator command {name:?} needs {what}"));
    let market = doc.market.map(|condition| ids.key(&condition)).transpose()?;
    let token = doc.token.map(|id| ids.token(&id)).transpose()?;
    let cause = doc.cause.map(|cause| ids.cause(cause)).transpose()?;
    let command = match name {
        "pause" => OperatorCommand::Pause,
        "reduce_only" => OperatorCommand::ReduceOnly,
        "resume" => OperatorCommand::Resume,
        "kill" => OperatorCommand::Kill,
        "rearm" => OperatorCommand::Rearm,
        "flatten" => OperatorCommand::Flatten { market, collar: doc.collar },
        "close" => OperatorCommand::Close {
            token: token.ok_or_else(|| wants("token"))?,
            fraction_ppm: doc.fraction_ppm.ok_or_else(|| wants("fraction_ppm"))?,
            collar: doc.collar,
        },
        "cancel_order" => OperatorCommand::CancelOrder(doc.order.ok_or_else(|| wants("order"))?),
        "cancel_market" => OperatorCommand::CancelMarket(market),
        "release_market" => OperatorCommand::ReleaseMarket(market.ok_or_else(|| wants("market"))?),
        "release_token" => OperatorCommand::ReleaseToken(token.ok_or_else(|| wants("token"))?),
        "release_blocker" => OperatorCommand::ReleaseBlocker(cause.ok_or_else(|| wants("cause"))?),
        other => return Err(PayloadError(format!("operator command {other:?} is unknown"))),
    };
    let (by, why, key) = (doc.by.clone(), doc.why.clone(), doc.key.clone());
    let operator = Operator { by, why, key, command };
    if operator_doc(&operator, ids)? != doc {
        return Err(PayloadError(format!("operator command {name:?} has a field of another one")));
    }
    Ok(operator)
}
