//! L1 authentication: the wallet's signature that creates or derives API credentials.

use alloy::primitives::{B256, U256, keccak256};

use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{ApiError, Credentials, L1Headers};

use super::Key;
use polydesk_polymarket_api::parts::decimal;

/// The message every `ClobAuth` attests.
const MESSAGE: &[u8] = b"This message attests that I control the given wallet";

/// Signs `ClobAuth(address, timestamp, nonce, message)` for a chain at `timestamp` (Unix seconds).
pub fn l1_headers(key: &Key, chain_id: u64, timestamp: u64, nonce: U256) -> L1Headers {
    let mut domain = [0; 128];
    domain[..32].copy_from_slice(
        keccak256(b"EIP712Domain(string name,string version,uint256 chainId)").as_slice(),
    );
    domain[32..64].copy_from_slice(keccak256(b"ClobAuthDomain").as_slice());
    domain[64..96].copy_from_slice(keccak256(b"1").as_slice());
    domain[120..].copy_from_slice(&chain_id.to_be_bytes());

    let mut content = [0; 160];
    content[..32].copy_from_slice(
        keccak256(b"ClobAuth(address address,string timestamp,uint256 nonce,string message)")
            .as_slice(),
    );
    content[44..64].copy_from_slice(key.address().as_slice());
    content[64..96].copy_from_slice(keccak256(decimal(timestamp, &mut [0; 20])).as_slice());
    content[96..128].copy_from_slice(&nonce.to_be_bytes::<32>());
    content[128..].copy_from_slice(keccak256(MESSAGE).as_slice());

    let signature = key.sign(&typed_digest(&keccak256(domain), &keccak256(content)));
    L1Headers {
        address: key.address().to_checksum(None),
        signature: alloy::hex::encode_prefixed(signature),
        timestamp: timestamp.to_string(),
        nonce: nonce.to_string(),
    }
}

/// Makes API credentials for the key (and nonce). Refused when there are some already.
///
/// # Errors
/// See [`ApiError`].
pub async fn create_api_key(
    clob: &Clob,
    key: &Key,
    chain_id: u64,
    nonce: u64,
) -> Result<Credentials, ApiError> {
    let now = clob.clock().secs();
    clob.create_api_key(&l1_headers(key, chain_id, now, U256::from(nonce))).await
}

/// The credentials made before for the key (and nonce).
///
/// # Errors
/// See [`ApiError`].
pub async fn derive_api_key(
    clob: &Clob,
    key: &Key,
    chain_id: u64,
    nonce: u64,
) -> Result<Credentials, ApiError> {
    let now = clob.clock().secs();
    clob.derive_api_key(&l1_headers(key, chain_id, now, U256::from(nonce))).await
}

/// Derives, and creates only when there is nothing to derive.
///
/// # Errors
/// See [`ApiError`].
pub async fn derive_or_create_api_key(
    clob: &Clob,
    key: &Key,
    chain_id: u64,
    nonce: u64,
) -> Result<Credentials, ApiError> {
    match derive_api_key(clob, key, chain_id, nonce).await {
        Err(ApiError::Refused { .. } | ApiError::NotFound(_)) => {
            create_api_key(clob, key, chain_id, nonce).await
        }
        other => other,
    }
}

/// keccak(0x1901 ‖ domain separator ‖ struct hash).
pub(super) fn typed_digest(separator: &B256, content: &B256) -> B256 {
    let mut bytes = [0; 66];
    bytes[..2].copy_from_slice(&[0x19, 0x01]);
    bytes[2..34].copy_from_slice(separator.as_slice());
    bytes[34..].copy_from_slice(content.as_slice());
    keccak256(bytes)
}
