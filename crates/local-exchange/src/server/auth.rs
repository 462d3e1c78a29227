//! Who a request is from: wallet signatures for keys, HMACs for everything else.

use alloy::primitives::{Address, U256, hex};
use polydesk_domain::Time;
use uuid::Uuid;

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::typed::{auth_digest, recover};
use crate::venue::Caller;
use crate::wire::address;

impl Inner {
    /// The EOA that signed a request for keys, and its nonce.
    pub(super) fn wallet_auth(&self, req: &Req) -> Result<(Address, u64), Answer> {
        let bad = || Answer::error(401, "Invalid L1 Request headers");
        let claimed = req.header("POLY_ADDRESS").and_then(address).ok_or_else(bad)?;
        let signature = req.header("POLY_SIGNATURE").ok_or_else(bad)?;
        let signature = hex::decode(signature).map_err(|_| bad())?;
        let timestamp = req.header("POLY_TIMESTAMP").ok_or_else(bad)?;
        let nonce: u64 = req.header("POLY_NONCE").unwrap_or("0").parse().map_err(|_| bad())?;
        if !self.timely(timestamp) {
            return Err(bad());
        }
        let chain = self.venue.chain_id();
        let digest = auth_digest(claimed, timestamp, U256::from(nonce), chain);
        match recover(digest, &signature) {
            Ok(by) if by == claimed => Ok((claimed, nonce)),
            _ => Err(bad()),
        }
    }

    /// The caller of a private request.
    pub(super) fn key_auth(&self, req: &Req) -> Result<Caller, Answer> {
        let bad = || Answer::error(401, "Unauthorized/Invalid api key");
        let key: Uuid = req.header("POLY_API_KEY").and_then(|k| k.parse().ok()).ok_or_else(bad)?;
        let (caller, credentials) = self.venue.caller(&key).ok_or_else(bad)?;
        let claimed = req.header("POLY_ADDRESS").and_then(address);
        let timestamp = req.header("POLY_TIMESTAMP").ok_or_else(bad)?;
        let signature = req.header("POLY_SIGNATURE").ok_or_else(bad)?;
        let passphrase = req.header("POLY_PASSPHRASE");
        let parts: [&[u8]; 4] =
            [timestamp.as_bytes(), req.method.as_bytes(), req.path.as_bytes(), &req.body];
        let sound = claimed == Some(caller.signer)
            && passphrase == Some(credentials.passphrase.as_str())
            && self.timely(timestamp)
            && credentials.signs(&parts, signature);
        if sound { Ok(caller) } else { Err(bad()) }
    }

    pub(super) fn timely(&self, timestamp: &str) -> bool {
        let Ok(seconds) = timestamp.parse::<i64>() else { return false };
        let Some(tolerance) = self.tolerance else { return true };
        let apart = Time::from_secs(seconds).until(self.shown_now());
        apart.as_nanos().unsigned_abs() <= tolerance.as_nanos().unsigned_abs()
    }
}
