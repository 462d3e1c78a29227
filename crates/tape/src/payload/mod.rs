//! The JSON of rare rows, by family: [`market`], [`account`], [`world`], [`control`].
//!
//! Amounts are integers in the smallest unit (price 1/10 000, shares and pUSD 1/1 000 000), ids are
//! the venue's. Order updates and signals are serialized as in `domain`, with amounts as decimal text.
//! Unknown fields are refused: they would be facts silently lost. `docs/tape.md` shows one of each.

pub(crate) mod account;
pub(crate) mod control;
pub(crate) mod market;
#[cfg(test)]
mod tests;
pub(crate) mod world;

use polydesk_domain::{Cause, ConditionId, MarketKey, Price, Shares, Token, TokenId, Universe};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kind::Kind;

/// A row that cannot be understood, or an event that no row can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct PayloadError(pub String);

impl From<serde_json::Error> for PayloadError {
    fn from(error: serde_json::Error) -> PayloadError {
        PayloadError(format!("payload: {error}"))
    }
}

/// The JSON of a document.
fn json<T: Serialize>(doc: &T) -> Result<String, PayloadError> {
    Ok(serde_json::to_string(doc)?)
}

/// The JSON of a document with types of `domain`, which refuse absurd amounts on reading: a document that
/// could not be read again is not written.
fn readable_json<T: Serialize + DeserializeOwned>(doc: &T) -> Result<String, PayloadError> {
    let text = json(doc)?;
    strict::<T>(&text)?;
    Ok(text)
}

/// A document without a field that its type does not have, whether or not the type refuses them itself.
fn strict<T: DeserializeOwned>(text: &str) -> Result<T, PayloadError> {
    let mut unknown = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let doc = serde_ignored::deserialize(&mut reader, |path| {
        unknown.get_or_insert(path.to_string());
    })?;
    reader.end()?;
    match unknown {
        Some(path) => Err(PayloadError(format!("payload: the field `{path}` is unknown"))),
        None => Ok(doc),
    }
}

/// What [`Shares::SANE_MAX`] is, in words.
const ABSURD: &str = "500 million shares";

/// Shares of a stored number, checked: nothing the venue has is larger.
#[inline]
pub(crate) fn shares(micros: u64) -> Result<Shares, PayloadError> {
    if micros > Shares::SANE_MAX.micros() {
        return Err(PayloadError(format!("size of {micros} millionths is above {ABSURD}")));
    }
    Ok(Shares::new(micros))
}

/// The number stored for shares: only what [`shares`] reads back.
#[inline]
pub(crate) fn micros(of: Shares) -> Result<u64, PayloadError> {
    shares(of.micros()).map(Shares::micros)
}

/// A price of a stored number, checked.
fn price(units: u16) -> Result<Price, PayloadError> {
    Price::new(units).ok_or_else(|| PayloadError(format!("price {units} is outside 0..=10000")))
}

fn no_payload<T>(kind: Kind) -> Result<T, PayloadError> {
    Err(PayloadError(format!("{} has no payload", kind.name())))
}

/// Translates between the dense ids of a process and the venue's. A market that was never listed, or was
/// delisted, has neither.
#[derive(Clone, Copy)]
pub(crate) struct Ids<'a>(pub &'a Universe);

impl Ids<'_> {
    pub fn condition(self, key: MarketKey) -> Result<ConditionId, PayloadError> {
        let market = self.0.get(key);
        market
            .map(|market| market.condition)
            .ok_or_else(|| PayloadError(format!("market number {} is not listed here", key.0)))
    }

    pub fn token_id(self, token: Token) -> Result<TokenId, PayloadError> {
        self.condition(token.market()).map(|_| self.0.token_id(token))
    }

    pub fn key(self, condition: &ConditionId) -> Result<MarketKey, PayloadError> {
        self.0
            .key(condition)
            .ok_or_else(|| PayloadError(format!("market {condition} is not listed here")))
    }

    pub fn token(self, id: &TokenId) -> Result<Token, PayloadError> {
        self.0.token(id).ok_or_else(|| PayloadError(format!("token {id} is not listed here")))
    }

    /// A cause by the venue's ids.
    pub fn stored_cause(self, cause: Cause) -> Result<Cause<TokenId, ConditionId>, PayloadError> {
        translated(cause, |token| self.token_id(token), |key| self.condition(key))
    }

    /// A cause by the ids of this process.
    pub fn cause(self, stored: Cause<TokenId, ConditionId>) -> Result<Cause, PayloadError> {
        translated(stored, |id| self.token(&id), |condition| self.key(&condition))
    }
}

/// A cause with its ids replaced, or why one of them could not be.
fn translated<T, M, U, N>(
    cause: Cause<T, M>,
    token: impl FnOnce(T) -> Result<U, PayloadError>,
    market: impl FnOnce(M) -> Result<N, PayloadError>,
) -> Result<Cause<U, N>, PayloadError> {
    let problem = std::cell::Cell::new(None);
    let note = |error: PayloadError| problem.set(Some(error));
    cause
        .with_ids(|id| token(id).map_err(note).ok(), |id| market(id).map_err(note).ok())
        .ok_or_else(|| {
            problem.take().unwrap_or_else(|| PayloadError("the cause names no id".to_owned()))
        })
}
