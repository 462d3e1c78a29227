//! A private key that cannot be printed.

use core::fmt;

use alloy::primitives::{Address, B256, keccak256};
use secp256k1::{All, Message, PublicKey, Secp256k1, SecretKey};

/// A secp256k1 private key with its own signing context and its address.
///
/// `Debug` shows the address only; there is no `Display`, no `Serialize` and no way to the bytes except
/// [`Key::chain_signer`]. The memory is erased when it is dropped.
pub struct Key {
    context: Secp256k1<All>,
    secret: SecretKey,
    address: Address,
}

/// Why text or bytes are no key. It never quotes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hex digits.
    #[error("a private key has 64 hex digits, with or without 0x")]
    NotHex,
    /// Zero, or not below the order of the curve.
    #[error("the number is not a valid private key")]
    OutOfRange,
}

impl Key {
    /// From 64 hex digits, with or without `0x`; blanks around are ignored.
    pub fn from_hex(text: &str) -> Result<Key, KeyError> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        if digits.len() != 64 {
            return Err(KeyError::NotHex);
        }
        let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |b: u8| (b as char).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(KeyError::NotHex);
            };
            *byte = (high << 4 | low) as u8;
        }
        Key::from_bytes(&bytes)
    }

    /// From 32 big-endian bytes. The caller wipes its copy.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Key, KeyError> {
        let secret = SecretKey::from_byte_array(*bytes).map_err(|_| KeyError::OutOfRange)?;
        // Blinded once against timing attacks with bytes that follow from the key, so that the context
        // needs no source of chance; signatures do not depend on it.
        let mut context = Secp256k1::new();
        context.seeded_randomize(&keccak256(keccak256(bytes)).0);
        let address = address_of(&PublicKey::from_secret_key(&context, &secret));
        Ok(Key { context, secret, address })
    }

    /// The address of this key (the EOA).
    pub fn address(&self) -> Address {
        self.address
    }

    /// `r ‖ s ‖ v` with v 27 or 28 over a 32-byte digest (RFC 6979, low s).
    pub fn sign(&self, digest: &B256) -> [u8; 65] {
        let message = Message::from_digest(digest.0);
        let (id, compact) =
            self.context.sign_ecdsa_recoverable(message, &self.secret).serialize_compact();
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&compact);
        signature[64] = 27 + i32::from(id) as u8;
        signature
    }

    /// `sign` over `"\x19Ethereum Signed Message:\n32" ‖ digest`.
    pub fn sign_message_hash(&self, digest: &B256) -> [u8; 65] {
        let mut message = [0; 60];
        message[..28].copy_from_slice(b"\x19Ethereum Signed Message:\n32");
        message[28..].copy_from_slice(digest.as_slice());
        self.sign(&keccak256(message))
    }

    /// The same key as alloy signs transactions with.
    pub fn chain_signer(&self) -> Result<alloy::signers::local::PrivateKeySigner, KeyError> {
        let bytes = zeroize::Zeroizing::new(self.secret.secret_bytes());
        alloy::signers::local::PrivateKeySigner::from_slice(bytes.as_slice())
            .map_err(|_| KeyError::OutOfRange)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, secret hidden)", self.address)
    }
}

fn address_of(key: &PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}
