//! Payloads of rows about our own account: orders, fills, money, links, what reads showed.

use std::collections::BTreeMap;

use polydesk_domain::{
    AccountEvent, AccountSnapshot, Basis, Cash, CashKind, Channel, ClientOrderId, Code,
    ConditionId, ConversionId, ExternalOrder, Fill, Finding, OrderHash, OrderUpdate, OwnTrade,
    Price, Role, Shares, Side, StrategyId, Time, TokenId, TradeId, TradeStatus, Usdc,
};
use serde::{Deserialize, Serialize};

use super::{Ids, PayloadError, json, micros, no_payload, price, readable_json, shares, strict};
use crate::kind::Kind;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderDoc {
    order: ClientOrderId,
    #[serde(rename = "news")]
    update: OrderUpdate,
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
    /// Absent where the amounts are settled, which is all there was at first.
    #[serde(default, skip_serializing_if = "is_settled")]
    basis: Basis,
    status: TradeStatus,
}

fn is_settled(basis: &Basis) -> bool {
    *basis == Basis::Settled
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CashDoc {
    kind: CashKind,
    #[serde(rename = "command")]
    conversion: Option<ConversionId>,
    strategy: Option<StrategyId>,
    market: Option<ConditionId>,
    amount: i64,
    shares: [u64; 2],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkDoc {
    channel: Channel,
    up: bool,
}

/// Holdings and orders stand in lists, in the order of their ids: an object's repeated key would go
/// unnoticed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountDoc {
    epoch: u32,
    asked_at: Time,
    complete: bool,
    cash: i64,
    shares: Vec<(TokenId, u64)>,
    open: Vec<(OrderHash, u64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExternalDoc {
    order: ClientOrderId,
    hash: OrderHash,
    token: TokenId,
    side: Side,
    price: u16,
    size: u64,
    open: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum FindingDoc {
    Cash { amount: i64, code: Code },
    Shares { token: TokenId, micros: i64, code: Code },
    Freeze { token: TokenId, detail: String },
    CashMismatch { difference: i64 },
}

/// The payload of an account event.
pub(crate) fn encode(event: &AccountEvent, ids: Ids<'_>) -> Result<String, PayloadError> {
    match event {
        AccountEvent::Order { id, update } => {
            readable_json(&OrderDoc { order: *id, update: update.clone() })
        }
        AccountEvent::Trade(own) => json(&TradeDoc {
            trade: own.trade.0.to_string(),
            order: own.order,
            token: ids.token_id(own.token)?,
            side: own.side,
            role: own.role,
            shares: micros(own.fill.shares)?,
            notional: own.fill.notional.micros(),
            fee: own.fill.fee.micros(),
            level: own.fill.level.map(Price::units),
            basis: own.fill.basis,
            status: own.status,
        }),
        AccountEvent::Cash(cash) => json(&CashDoc {
            kind: cash.kind,
            conversion: cash.conversion,
            strategy: cash.strategy,
            market: cash.market.map(|key| ids.condition(key)).transpose()?,
            amount: cash.amount.micros(),
            shares: [micros(cash.shares[0])?, micros(cash.shares[1])?],
        }),
        AccountEvent::Link { channel, up } => json(&LinkDoc { channel: *channel, up: *up }),
        AccountEvent::Snapshot(snapshot) => json(&account_doc(snapshot, ids)?),
        AccountEvent::External(order) => json(&ExternalDoc {
            order: order.id,
            hash: order.hash,
            token: ids.token_id(order.token)?,
            side: order.side,
            price: order.price.units(),
            size: micros(order.size)?,
            open: order.open,
        }),
        AccountEvent::Finding(finding) => json(&match finding {
            Finding::Cash { amount, code } => {
                FindingDoc::Cash { amount: amount.micros(), code: *code }
            }
            Finding::Shares { token, micros, code } => {
                FindingDoc::Shares { token: ids.token_id(*token)?, micros: *micros, code: *code }
            }
            Finding::Freeze { token, detail } => {
                FindingDoc::Freeze { token: ids.token_id(*token)?, detail: detail.clone() }
            }
            Finding::CashMismatch { difference } => {
                FindingDoc::CashMismatch { difference: difference.micros() }
            }
        }),
    }
}

fn account_doc(snapshot: &AccountSnapshot, ids: Ids<'_>) -> Result<AccountDoc, PayloadError> {
    let mut held = Vec::new();
    for (token, size) in &snapshot.shares {
        held.push((ids.token_id(*token)?, micros(*size)?));
    }
    held.sort_unstable();
    let mut open = Vec::new();
    for (hash, matched) in &snapshot.open {
        open.push((*hash, micros(*matched)?));
    }
    Ok(AccountDoc {
        epoch: snapshot.epoch,
        asked_at: snapshot.asked_at,
        complete: snapshot.complete,
        cash: snapshot.cash.micros(),
        shares: held,
        open,
    })
}

/// The account event of a row.
pub(crate) fn decode(kind: Kind, text: &str, ids: Ids<'_>) -> Result<AccountEvent, PayloadError> {
    Ok(match kind {
        Kind::Order => {
            let doc: OrderDoc = strict(text)?;
            AccountEvent::Order { id: doc.order, update: doc.update }
        }
        Kind::Trade => AccountEvent::Trade(trade(serde_json::from_str(text)?, ids)?),
        Kind::Cash => {
            let doc: CashDoc = serde_json::from_str(text)?;
            AccountEvent::Cash(Cash {
                kind: doc.kind,
                conversion: doc.conversion,
                strategy: doc.strategy,
                market: doc.market.map(|condition| ids.key(&condition)).transpose()?,
                amount: Usdc::new(doc.amount),
                shares: [shares(doc.shares[0])?, shares(doc.shares[1])?],
            })
        }
        Kind::Link => {
            let LinkDoc { channel, up } = serde_json::from_str(text)?;
            AccountEvent::Link { channel, up }
        }
        Kind::Account => AccountEvent::Snapshot(snapshot(serde_json::from_str(text)?, ids)?),
        Kind::External => {
            let doc: ExternalDoc = serde_json::from_str(text)?;
            AccountEvent::External(ExternalOrder {
                id: doc.order,
                hash: doc.hash,
                token: ids.token(&doc.token)?,
                side: doc.side,
                price: price(doc.price)?,
                size: shares(doc.size)?,
                open: doc.open,
            })
        }
        Kind::Finding => AccountEvent::Finding(match serde_json::from_str(text)? {
            FindingDoc::Cash { amount, code } => Finding::Cash { amount: Usdc::new(amount), code },
            FindingDoc::Shares { token, micros, code } => {
                Finding::Shares { token: ids.token(&token)?, micros, code }
            }
            FindingDoc::Freeze { token, detail } => {
                Finding::Freeze { token: ids.token(&token)?, detail }
            }
            FindingDoc::CashMismatch { difference } => {
                Finding::CashMismatch { difference: Usdc::new(difference) }
            }
        }),
        other => return no_payload(other),
    })
}

fn trade(doc: TradeDoc, ids: Ids<'_>) -> Result<OwnTrade, PayloadError> {
    let number = doc
        .trade
        .parse()
        .map_err(|_| PayloadError(format!("trade id {:?} is not a whole number", doc.trade)))?;
    Ok(OwnTrade {
        trade: TradeId(number),
        order: doc.order,
        token: ids.token(&doc.token)?,
        side: doc.side,
        role: doc.role,
        fill: Fill {
            shares: shares(doc.shares)?,
            notional: Usdc::new(doc.notional),
            fee: Usdc::new(doc.fee),
            level: doc.level.map(price).transpose()?,
            basis: doc.basis,
        },
        status: doc.status,
    })
}

fn snapshot(doc: AccountDoc, ids: Ids<'_>) -> Result<AccountSnapshot, PayloadError> {
    let mut held = BTreeMap::<_, Shares>::new();
    for (id, micros) in doc.shares {
        if held.insert(ids.token(&id)?, shares(micros)?).is_some() {
            return Err(PayloadError(format!("token {id} stands twice among the shares")));
        }
    }
    let mut open = BTreeMap::new();
    for (hash, matched) in doc.open {
        if open.insert(hash, shares(matched)?).is_some() {
            return Err(PayloadError(format!("order {hash} stands twice among the open orders")));
        }
    }
    Ok(AccountSnapshot {
        epoch: doc.epoch,
        asked_at: doc.asked_at,
        complete: doc.complete,
        cash: Usdc::new(doc.cash),
        shares: held,
        open,
    })
}
