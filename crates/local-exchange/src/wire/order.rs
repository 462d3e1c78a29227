//! The body of `POST /order`: to the letter, because a bot that sends anything else is refused.

use alloy::primitives::{Address, B256, U256, hex};
use serde::Deserialize;

use crate::typed::OrderMessage;
use crate::venue::{OrderType, Refusal, Submission};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    order: Inner,
    owner: String,
    order_type: String,
    #[serde(default)]
    defer_exec: bool,
    #[serde(default)]
    post_only: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inner {
    salt: u64,
    maker: String,
    signer: String,
    token_id: String,
    maker_amount: String,
    taker_amount: String,
    side: String,
    #[serde(default)]
    expiration: Option<String>,
    signature_type: u8,
    timestamp: Option<String>,
    metadata: Option<String>,
    builder: Option<String>,
    signature: String,
    // Fields of the first version: their presence shows an old client.
    taker: Option<serde_json::Value>,
    nonce: Option<serde_json::Value>,
    fee_rate_bps: Option<serde_json::Value>,
}

/// Reads one order.
///
/// # Errors
/// In the venue's words.
pub(crate) fn parse_order(body: &[u8]) -> Result<Submission, Refusal> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        tracing::debug!(%error, "an order body was refused");
        payload()
    })?;
    submission(body).map_err(|error| error.unwrap_or_else(payload))
}

/// Reads a batch.
///
/// # Errors
/// In the venue's words.
pub(crate) fn parse_orders(body: &[u8], most: usize) -> Result<Vec<Submission>, Refusal> {
    let bodies: Vec<serde_json::Value> = serde_json::from_slice(body).map_err(|_| payload())?;
    if bodies.len() > most {
        let found = bodies.len();
        return Err(Refusal::bad(format!(
            "Too many orders in payload: {found}, max allowed: {most}"
        )));
    }
    if bodies.is_empty() {
        return Err(payload());
    }
    bodies.iter().map(|body| parse_order(body.to_string().as_bytes())).collect()
}

fn payload() -> Refusal {
    Refusal::bad("Invalid order payload")
}

fn submission(body: Body) -> Result<Submission, Option<Refusal>> {
    let order = body.order;
    let old = [&order.taker, &order.nonce, &order.fee_rate_bps];
    if old.iter().any(|field| field.is_some()) {
        return Err(Some(Refusal::bad("order_version_mismatch")));
    }
    // It travels as a JSON number, so it must fit a double.
    if order.salt >= 1 << 53 || body.defer_exec && body.post_only {
        return Err(None);
    }
    let side = match order.side.as_str() {
        "BUY" => 0,
        "SELL" => 1,
        _ => return Err(None),
    };
    let order_type = match body.order_type.as_str() {
        "GTC" => OrderType::Gtc,
        "GTD" => OrderType::Gtd,
        "FOK" => OrderType::Fok,
        "FAK" => OrderType::Fak,
        _ => return Err(None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let integer = |text: &str| -> Result<u64, Option<Refusal>> {
        if digits(text) { text.parse().map_err(|_| None) } else { Err(None) }
    };
    if !digits(&order.token_id) || order.signature_type > 3 {
        return Err(None);
    }
    let message = OrderMessage {
        salt: U256::from(order.salt),
        maker: address(&order.maker).ok_or(None)?,
        signer: address(&order.signer).ok_or(None)?,
        token: order.token_id.parse().map_err(|_| None)?,
        maker_amount: integer(&order.maker_amount)?,
        taker_amount: integer(&order.taker_amount)?,
        side,
        signature_type: order.signature_type,
        timestamp: U256::from(integer(order.timestamp.as_deref().ok_or(None)?)?),
        metadata: word(order.metadata.as_deref()).ok_or(None)?,
        builder: word(order.builder.as_deref()).ok_or(None)?,
    };
    let expiration = integer(order.expiration.as_deref().unwrap_or("0"))?;
    Ok(Submission {
        message,
        signature: hex::decode(&order.signature).map_err(|_| None)?,
        owner: body.owner,
        order_type,
        expiration: i64::try_from(expiration).map_err(|_| None)?,
        post_only: body.post_only,
    })
}

/// An address in any case; checksums are not asked for.
pub(crate) fn address(text: &str) -> Option<Address> {
    text.starts_with("0x").then_some(text)?.parse().ok()
}

fn word(text: Option<&str>) -> Option<B256> {
    let text = text.filter(|text| text.starts_with("0x") && text.len() == 66)?;
    text.parse().ok()
}
