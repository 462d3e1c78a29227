//! A signed order: what is placed, and the only thing that can be.
//!
//! [`SignedOrder`] is made in one place, from what is asked for ([`OrderArgs`]): amounts and body are computed here, so
//! that no order can carry amounts of another. The signature comes from `polydesk-polymarket-wallet`; this crate has no key.

use core::fmt;

use bytes::Bytes;
use polydesk_domain::{Amounts, OrderHash, Rounding, Side, Time};

use crate::auth::decimal;
use crate::{OrderArgs, Refused};

/// The number that makes an order unlike every other. It travels as a JSON number, so it has at most 53 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt(u64);

impl Salt {
    /// Salts are below this.
    pub const END: u64 = 1 << 53;

    /// `None` from 2^53 on: readers of JSON would round it to another number, and the signature would not fit.
    pub const fn new(salt: u64) -> Option<Salt> {
        if salt < Salt::END { Some(Salt(salt)) } else { None }
    }
    /// The upper 53 of 64 random bits.
    pub const fn of_random(bits: u64) -> Salt {
        Salt(bits >> 11)
    }
    /// As a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What makes an order unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// A random number.
    pub salt: Salt,
    /// Server time in Unix milliseconds; no two orders of an address share one.
    pub timestamp_ms: u64,
}

/// What kind of wallet holds the money of an account: `signatureType`. A wrong one reads another wallet's money,
/// without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureType {
    /// 0: the key's own address.
    Eoa = 0,
    /// 1: a proxy wallet.
    Proxy = 1,
    /// 2: a Gnosis Safe.
    Safe = 2,
    /// 3: a deposit wallet.
    Deposit = 3,
}

impl SignatureType {
    /// As the venue numbers them.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for SignatureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// Who an order is from: the fields that are the same in every order of an account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    /// The address that holds the funds, checksummed, with `0x`.
    pub maker: [u8; 42],
    /// The address that signs, likewise.
    pub signer: [u8; 42],
    /// Which kind of wallet the maker is.
    pub signature_type: SignatureType,
    /// The builder that orders are attributed to; zeros for none.
    pub builder: [u8; 32],
    /// Zeros on every order seen.
    pub metadata: [u8; 32],
}

/// An order of which everything is known but its signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Unsigned {
    /// What is asked for.
    pub args: OrderArgs,
    /// The two integers that are signed.
    pub amounts: Amounts,
    /// What makes it unique.
    pub stamp: Stamp,
    /// Who it is from.
    pub parties: Parties,
}

impl Unsigned {
    /// Computes the amounts; the time is that of the stamp.
    ///
    /// # Errors
    /// Why there is no such order ([`OrderArgs::amounts`]).
    pub fn new(
        args: &OrderArgs,
        stamp: Stamp,
        parties: &Parties,
        rounding: Rounding,
    ) -> Result<Unsigned, Refused> {
        let millis = i64::try_from(stamp.timestamp_ms).unwrap_or(i64::MAX);
        let now = Time::from_nanos(millis.saturating_mul(1_000_000));
        let amounts = args.amounts(rounding, now)?;
        Ok(Unsigned { args: *args, amounts, stamp, parties: *parties })
    }
}

/// Signs the orders of one account: the only way from a decision to a [`SignedOrder`] that a bot knows.
pub trait SignOrders: Send {
    /// Signs one order; `now_ms` is server time in Unix milliseconds.
    ///
    /// # Errors
    /// Why it was not signed.
    fn sign_order(&mut self, args: &OrderArgs, now_ms: u64) -> Result<SignedOrder, SignError>;
    /// Timestamps up to this one were used by an earlier process: no order gets one of them again.
    fn used_until(&mut self, last_ms: u64);
}

/// Why an order was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// There is no such order.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The signer signs nothing like it.
    #[error("the signer refuses the order: {0}")]
    Scope(String),
}

/// The longest signature: a session key's envelope around a wrapped one.
pub const LONGEST_SIGNATURE: usize = 480;

/// A signature of whatever form the wallet needs, and the id that it gives the order.
#[derive(Clone, Copy)]
pub struct Signature {
    id: OrderHash,
    bytes: [u8; LONGEST_SIGNATURE],
    len: u16,
}

impl Signature {
    /// `None` for more than [`LONGEST_SIGNATURE`] bytes, and for none.
    pub fn new(id: OrderHash, signature: &[u8]) -> Option<Signature> {
        let mut bytes = [0; LONGEST_SIGNATURE];
        bytes.get_mut(..signature.len())?.copy_from_slice(signature);
        let len = u16::try_from(signature.len()).ok().filter(|len| *len > 0)?;
        Some(Signature { id, bytes, len })
    }
    /// The order's id.
    pub fn id(&self) -> OrderHash {
        self.id
    }
    /// As sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// An order that is signed and ready to be journaled and placed.
#[derive(Clone)]
pub struct SignedOrder {
    unsigned: Unsigned,
    signature: Signature,
    body: Bytes,
}

impl fmt::Debug for SignedOrder {
    /// Without the signature: with it anybody could place the order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedOrder")
            .field("id", &self.id())
            .field("args", &self.unsigned.args)
            .field("amounts", &self.unsigned.amounts)
            .finish_non_exhaustive()
    }
}

impl SignedOrder {
    /// Computes the amounts of `args`, has them signed and writes the body. `owner` is the API key.
    ///
    /// # Errors
    /// Why there is no such order; nothing was signed then.
    pub fn new(
        args: &OrderArgs,
        stamp: Stamp,
        parties: &Parties,
        rounding: Rounding,
        owner: &str,
        sign: impl FnOnce(&Unsigned) -> Signature,
    ) -> Result<SignedOrder, Refused> {
        let unsigned = Unsigned::new(args, stamp, parties, rounding)?;
        let signature = sign(&unsigned);
        let body = write_body(&unsigned, &signature, owner);
        Ok(SignedOrder { unsigned, signature, body: body.into() })
    }

    /// The venue's id of the order: its EIP-712 digest, known before anything is sent.
    pub fn id(&self) -> OrderHash {
        self.signature.id
    }
    /// The signature as sent.
    pub fn signature(&self) -> &[u8] {
        self.signature.bytes()
    }
    /// What was asked for.
    pub fn args(&self) -> &OrderArgs {
        &self.unsigned.args
    }
    /// The two integers that were signed.
    pub fn amounts(&self) -> Amounts {
        self.unsigned.amounts
    }
    /// What makes it unique.
    pub fn stamp(&self) -> Stamp {
        self.unsigned.stamp
    }
    /// Everything but the signature.
    pub fn unsigned(&self) -> &Unsigned {
        &self.unsigned
    }
    /// The body of `POST /order`, byte for byte as the official Python client writes it.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

fn write_body(order: &Unsigned, signature: &Signature, owner: &str) -> Vec<u8> {
    let Unsigned { args, amounts, stamp, parties } = order;
    // Allocated once: the rest is at most 820 bytes.
    let mut body = Vec::with_capacity(820 + owner.len() + 2 * signature.bytes().len());
    let number = |body: &mut Vec<u8>, number: u64| {
        body.extend_from_slice(decimal(number, &mut [0; 20]));
    };
    body.extend_from_slice(b"{\"order\":{\"salt\":");
    number(&mut body, stamp.salt.get());
    body.extend_from_slice(b",\"maker\":\"");
    body.extend_from_slice(&parties.maker);
    body.extend_from_slice(b"\",\"signer\":\"");
    body.extend_from_slice(&parties.signer);
    body.extend_from_slice(b"\",\"tokenId\":\"");
    body.extend_from_slice(args.token.decimal().as_bytes());
    body.extend_from_slice(b"\",\"makerAmount\":\"");
    number(&mut body, amounts.maker);
    body.extend_from_slice(b"\",\"takerAmount\":\"");
    number(&mut body, amounts.taker);
    body.extend_from_slice(match args.side {
        Side::Buy => b"\",\"side\":\"BUY\",\"expiration\":\"",
        Side::Sell => b"\",\"side\":\"SELL\",\"expiration\":\"".as_slice(),
    });
    number(&mut body, args.expiration_secs());
    body.extend_from_slice(b"\",\"signatureType\":");
    number(&mut body, u64::from(parties.signature_type.number()));
    body.extend_from_slice(b",\"timestamp\":\"");
    number(&mut body, stamp.timestamp_ms);
    body.extend_from_slice(b"\",\"metadata\":\"0x");
    hex(&mut body, &parties.metadata);
    body.extend_from_slice(b"\",\"builder\":\"0x");
    hex(&mut body, &parties.builder);
    body.extend_from_slice(b"\",\"signature\":\"0x");
    hex(&mut body, signature.bytes());
    body.extend_from_slice(b"\"},\"owner\":\"");
    body.extend_from_slice(owner.as_bytes());
    body.extend_from_slice(b"\",\"orderType\":\"");
    body.extend_from_slice(args.tif.name().as_bytes());
    body.extend_from_slice(b"\",\"deferExec\":false");
    body.extend_from_slice(if args.post_only {
        b",\"postOnly\":true}"
    } else {
        b",\"postOnly\":false}".as_slice()
    });
    body
}

fn hex(body: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // In blocks: one check of the room for each of them instead of two for each byte.
    for block in bytes.chunks(32) {
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(block) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        body.extend_from_slice(&text[..block.len() * 2]);
    }
}
