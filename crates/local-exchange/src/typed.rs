//! EIP-712 digests of orders and of the key handshake, and recovery of their signer.
//!
//! Written from the contracts' type strings, not shared with the client, so that a mistake there is
//! not repeated here. Nothing in this file knows accounts or markets.

use alloy::primitives::{Address, B256, U256, keccak256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1, VerifyOnly};

/// Field order is binding.
const ORDER_TYPE: &str = "Order(uint256 salt,address maker,address signer,uint256 tokenId,\
uint256 makerAmount,uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,\
bytes32 metadata,bytes32 builder)";
const DOMAIN_TYPE: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const AUTH_DOMAIN_TYPE: &str = "EIP712Domain(string name,string version,uint256 chainId)";
const AUTH_TYPE: &str = "ClobAuth(address address,string timestamp,uint256 nonce,string message)";
const AUTH_MESSAGE: &str = "This message attests that I control the given wallet";
const TYPED_DATA_SIGN: &str = "TypedDataSign(Order contents,string name,string version,\
uint256 chainId,address verifyingContract,bytes32 salt)";
/// Ends a signature made with a session key.
const SESSION_MAGIC: [u8; 32] = {
    let mut magic = [0; 32];
    let mut i = 0;
    while i < 32 {
        magic[i] = if i % 2 == 0 { 0x64 } else { 0x92 };
        i += 1;
    }
    magic
};

/// The contract that would settle an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contract {
    /// CTF Exchange V2: ordinary markets of protocol v1.
    Normal,
    /// Neg-Risk CTF Exchange V2.
    NegRisk,
    /// Exchange V3: markets of protocol v2, neg-risk or not.
    V3,
}

impl Contract {
    /// All three.
    pub const ALL: [Contract; 3] = [Contract::Normal, Contract::NegRisk, Contract::V3];

    /// Its address on a chain.
    pub fn address(self, chain: u64) -> Address {
        let text = match (self, chain) {
            (Contract::Normal, _) => "0xE111180000d2663C0091e4f400237545B87B996B",
            (Contract::NegRisk, _) => "0xe2222d279d744050d28e00520010520000310F59",
            (Contract::V3, 80_002) => "0x9fE6e61422AdB6F610d8597F9684b16912D50C3D",
            (Contract::V3, _) => "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa",
        };
        text.parse().unwrap_or_default()
    }

    fn version(self) -> &'static str {
        if self == Contract::V3 { "3" } else { "2" }
    }

    /// The EIP-712 domain separator.
    pub fn separator(self, chain: u64) -> B256 {
        hash_words(&[
            keccak256(DOMAIN_TYPE),
            keccak256("Polymarket CTF Exchange"),
            keccak256(self.version()),
            word(chain),
            self.address(chain).into_word(),
        ])
    }
}

/// The message of a signed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderMessage {
    /// Random, below 2^53 on the wire.
    pub salt: U256,
    /// Holds the funds.
    pub maker: Address,
    /// The EOA, or the deposit wallet for type 3.
    pub signer: Address,
    /// Outcome token.
    pub token: U256,
    /// What the maker gives, in millionths.
    pub maker_amount: u64,
    /// What the maker wants, in millionths.
    pub taker_amount: u64,
    /// 0 buys, 1 sells.
    pub side: u8,
    /// 0 to 3.
    pub signature_type: u8,
    /// Unix milliseconds.
    pub timestamp: U256,
    /// Free.
    pub metadata: B256,
    /// Builder code or zeros.
    pub builder: B256,
}

impl OrderMessage {
    /// `hashStruct(Order)`.
    pub fn struct_hash(&self) -> B256 {
        hash_words(&[
            keccak256(ORDER_TYPE),
            self.salt.into(),
            self.maker.into_word(),
            self.signer.into_word(),
            self.token.into(),
            word(self.maker_amount),
            word(self.taker_amount),
            word(u64::from(self.side)),
            word(u64::from(self.signature_type)),
            self.timestamp.into(),
            self.metadata,
            self.builder,
        ])
    }

    /// The order id: the digest under a contract's domain, for every signature type.
    pub fn digest(&self, contract: Contract, chain: u64) -> B256 {
        digest(contract.separator(chain), self.struct_hash())
    }

    /// What the owner of a deposit wallet signs (ERC-7739).
    pub fn wrapped_digest(&self, contract: Contract, chain: u64) -> B256 {
        let hash = typed_data_sign(self.struct_hash(), self.maker, chain);
        digest(contract.separator(chain), hash)
    }

    /// Puts an owner's signature of [`OrderMessage::wrapped_digest`] into the 317 bytes of type 3.
    pub fn wrap(&self, contract: Contract, chain: u64, inner: &[u8; 65]) -> Vec<u8> {
        let mut bytes = inner.to_vec();
        bytes.extend_from_slice(contract.separator(chain).as_slice());
        bytes.extend_from_slice(self.struct_hash().as_slice());
        bytes.extend_from_slice(ORDER_TYPE.as_bytes());
        bytes.extend_from_slice(&(ORDER_TYPE.len() as u16).to_be_bytes());
        bytes
    }
}

/// Who signed an order, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// The EOA whose key made the signature.
    pub by: Address,
    /// The session key it claims to be, if it came in that envelope.
    pub session: Option<Address>,
}

/// Why a signature is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Neither 65 bytes nor a wrapped form.
    #[error("the signature has an unknown length or form")]
    Form,
    /// The wrapped form names another domain, order or type.
    #[error("the wrapped signature is of another order or exchange")]
    Wrapped,
    /// No key gives this signature.
    #[error("no key gives this signature")]
    Recovery,
}

/// Recovers the signer of an order of any signature type.
///
/// `plain_deposit` also takes a type 3 signature of plain 65 bytes over the order's digest.
///
/// # Errors
/// The bytes are no signature of this order under this contract.
pub fn recover_order(
    order: &OrderMessage,
    contract: Contract,
    chain: u64,
    signature: &[u8],
    plain_deposit: bool,
) -> Result<Signed, SignatureError> {
    if order.signature_type != 3 || (plain_deposit && signature.len() == 65) {
        let by = recover(order.digest(contract, chain), signature)?;
        return Ok(Signed { by, session: None });
    }
    let (wrapped, session) = match signature.strip_suffix(&SESSION_MAGIC[..]) {
        Some(envelope) => {
            let (key, inner) = open_session(envelope)?;
            (inner, Some(key))
        }
        None => (signature, None),
    };
    if wrapped.len() != 65 + 32 + 32 + ORDER_TYPE.len() + 2 {
        return Err(SignatureError::Form);
    }
    let (inner, rest) = wrapped.split_at(65);
    let mut want = [0; 65];
    want.copy_from_slice(inner);
    if order.wrap(contract, chain, &want)[65..] != *rest {
        return Err(SignatureError::Wrapped);
    }
    let by = recover(order.wrapped_digest(contract, chain), inner)?;
    if session.is_some_and(|key| key != by) {
        return Err(SignatureError::Recovery);
    }
    Ok(Signed { by, session })
}

/// Recovers the signer of a wrapped signature (ERC-7739) as a deposit wallet does: from the hash that it is asked
/// about and what the signature itself names.
///
/// # Errors
/// The bytes are no signature of an order with this hash by this wallet.
pub fn recover_wrapped(
    hash: B256,
    wallet: Address,
    chain: u64,
    signature: &[u8],
) -> Result<Address, SignatureError> {
    let (inner, rest) = signature.split_at_checked(65).ok_or(SignatureError::Form)?;
    let (separator, rest) = rest.split_at_checked(32).ok_or(SignatureError::Form)?;
    let (contents, rest) = rest.split_at_checked(32).ok_or(SignatureError::Form)?;
    let (separator, contents) = (B256::from_slice(separator), B256::from_slice(contents));
    let length = (ORDER_TYPE.len() as u16).to_be_bytes();
    let named = rest == [ORDER_TYPE.as_bytes(), &length].concat();
    if !named || digest(separator, contents) != hash {
        return Err(SignatureError::Wrapped);
    }
    recover(digest(separator, typed_data_sign(contents, wallet, chain)), inner)
}

/// The struct that the owner of a deposit wallet signs around an order's hash.
fn typed_data_sign(contents: B256, wallet: Address, chain: u64) -> B256 {
    hash_words(&[
        keccak256(format!("{TYPED_DATA_SIGN}{ORDER_TYPE}")),
        contents,
        keccak256("DepositWallet"),
        keccak256("1"),
        word(chain),
        wallet.into_word(),
        B256::ZERO,
    ])
}

/// `abi.encode(bytes32 key, bytes32 0, bytes wrapped)`.
fn open_session(envelope: &[u8]) -> Result<(Address, &[u8]), SignatureError> {
    let at = |index: usize| {
        let bytes = envelope.get(index * 32..index * 32 + 32).ok_or(SignatureError::Form)?;
        Ok(U256::from_be_slice(bytes))
    };
    let (key, zero, offset) = (at(0)?, at(1)?, at(2)?);
    if !zero.is_zero() || offset != U256::from(96) || key >> 160 != U256::ZERO {
        return Err(SignatureError::Form);
    }
    let length = usize::try_from(at(3)?).map_err(|_| SignatureError::Form)?;
    let end = length.checked_add(128).ok_or(SignatureError::Form)?;
    let inner = envelope.get(128..end).ok_or(SignatureError::Form)?;
    Ok((Address::from_word(key.into()), inner))
}

/// The digest of the handshake that makes or derives API credentials.
pub fn auth_digest(address: Address, timestamp: &str, nonce: U256, chain: u64) -> B256 {
    let separator = hash_words(&[
        keccak256(AUTH_DOMAIN_TYPE),
        keccak256("ClobAuthDomain"),
        keccak256("1"),
        word(chain),
    ]);
    let hash = hash_words(&[
        keccak256(AUTH_TYPE),
        address.into_word(),
        keccak256(timestamp),
        nonce.into(),
        keccak256(AUTH_MESSAGE),
    ]);
    digest(separator, hash)
}

/// One call of a deposit wallet's batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletCall {
    /// Which contract.
    pub target: Address,
    /// Native currency sent along.
    pub value: U256,
    /// Call data.
    pub data: Vec<u8>,
}

/// The digest of a deposit wallet's batch for the relayer.
pub fn batch_digest(
    wallet: Address,
    nonce: U256,
    deadline: U256,
    calls: &[WalletCall],
    chain: u64,
) -> B256 {
    const CALL: &str = "Call(address target,uint256 value,bytes data)";
    let separator = hash_words(&[
        keccak256(DOMAIN_TYPE),
        keccak256("DepositWallet"),
        keccak256("1"),
        word(chain),
        wallet.into_word(),
    ]);
    let calls: Vec<B256> = calls
        .iter()
        .map(|call| {
            let data = keccak256(&call.data);
            hash_words(&[keccak256(CALL), call.target.into_word(), call.value.into(), data])
        })
        .collect();
    let batch = format!("Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls){CALL}");
    let hash = hash_words(&[
        keccak256(batch),
        wallet.into_word(),
        nonce.into(),
        deadline.into(),
        hash_words(&calls),
    ]);
    digest(separator, hash)
}

/// The address whose key made a plain signature over a digest.
///
/// # Errors
/// The bytes are no such signature.
pub fn recover(digest: B256, signature: &[u8]) -> Result<Address, SignatureError> {
    let (compact, v) = signature.split_at_checked(64).ok_or(SignatureError::Form)?;
    let id = match v {
        [27 | 0] => 0,
        [28 | 1] => 1,
        _ => return Err(SignatureError::Form),
    };
    let id = RecoveryId::try_from(id).map_err(|_| SignatureError::Form)?;
    let signature =
        RecoverableSignature::from_compact(compact, id).map_err(|_| SignatureError::Recovery)?;
    let key = verifier()
        .recover_ecdsa(Message::from_digest(digest.0), &signature)
        .map_err(|_| SignatureError::Recovery)?;
    Ok(Address::from_raw_public_key(&key.serialize_uncompressed()[1..]))
}

fn verifier() -> &'static Secp256k1<VerifyOnly> {
    static CONTEXT: std::sync::OnceLock<Secp256k1<VerifyOnly>> = std::sync::OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::verification_only)
}

fn digest(separator: B256, hash: B256) -> B256 {
    let mut bytes = [0; 66];
    bytes[..2].copy_from_slice(&[0x19, 0x01]);
    bytes[2..34].copy_from_slice(separator.as_slice());
    bytes[34..].copy_from_slice(hash.as_slice());
    keccak256(bytes)
}

fn hash_words(words: &[B256]) -> B256 {
    keccak256(words.concat())
}

fn word(number: u64) -> B256 {
    U256::from(number).into()
}
