//! Signing orders: the struct hash, the digest that is the order's id, and the four kinds of signature.

use alloy::primitives::{Address, B256, keccak256};
use polydesk_domain::{Amounts, OrderHash, Side};

use super::l1::typed_digest;
use super::{Chain, Domain, Key, Wallet};
use crate::auth::decimal;
use crate::{Exchange, OrderArgs};

/// The type string of orders (186 characters; the order of the fields is binding).
pub const ORDER_TYPE: &str = "Order(uint256 salt,address maker,address signer,uint256 tokenId,\
uint256 makerAmount,uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,\
bytes32 metadata,bytes32 builder)";

/// What ERC-7739 puts around an order that a contract wallet verifies.
const TYPED_DATA_SIGN: &str = "TypedDataSign(Order contents,string name,string version,\
uint256 chainId,address verifyingContract,bytes32 salt)";

/// keccak of [`ORDER_TYPE`].
pub fn order_type_hash() -> B256 {
    keccak256(ORDER_TYPE)
}

/// keccak of the ERC-7739 type string with the order's behind it.
pub fn typed_data_sign_type_hash() -> B256 {
    keccak256([TYPED_DATA_SIGN, ORDER_TYPE].concat())
}

/// How a deposit wallet's owner signs. The sources disagree; most and the newest name the wrapped form. Ask the wallet
/// itself (`isValidSignature`) which form it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureForm {
    /// ERC-7739: 317 bytes.
    #[default]
    Wrapped,
    /// The owner's 65 bytes over the order's digest.
    Plain,
}

/// Signs orders for one wallet. Everything that does not depend on the order is computed once.
pub struct OrderSigner {
    key: Key,
    wallet: Wallet,
    domains: [Domain; 3],
    form: SignatureForm,
    session: bool,
    builder: B256,
    maker: Address,
    signer: Address,
    maker_text: [u8; 42],
    signer_text: [u8; 42],
    order_type: B256,
    /// Type hash and the constant tail of `TypedDataSign` (name, version, chain, wallet, salt).
    wrapper: [u8; 224],
}

impl core::fmt::Debug for OrderSigner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OrderSigner({:?}, {:?})", self.key, self.wallet)
    }
}

/// The longest signature: a session key's envelope around a wrapped one.
const LONGEST: usize = 480;

/// A signed order, ready to be journaled and sent. Nothing here is on the heap.
#[derive(Clone, Copy)]
pub struct SignedOrder {
    args: OrderArgs,
    amounts: Amounts,
    salt: u64,
    timestamp_ms: u64,
    metadata: B256,
    builder: B256,
    signature_type: u8,
    maker: [u8; 42],
    signer: [u8; 42],
    struct_hash: B256,
    id: B256,
    signed_digest: B256,
    signature: [u8; LONGEST],
    signature_len: u16,
}

impl core::fmt::Debug for SignedOrder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SignedOrder")
            .field("id", &self.id)
            .field("args", &self.args)
            .field("amounts", &self.amounts)
            .finish_non_exhaustive()
    }
}

impl OrderSigner {
    /// A signer for `wallet`, whose owner is `key`.
    pub fn new(key: Key, wallet: Wallet, chain: &Chain) -> OrderSigner {
        let maker = wallet.funder(key.address());
        let signer = match wallet {
            Wallet::Deposit(address) => address,
            _ => key.address(),
        };
        let mut wrapper = [0; 224];
        wrapper[..32].copy_from_slice(typed_data_sign_type_hash().as_slice());
        wrapper[64..96].copy_from_slice(keccak256(b"DepositWallet").as_slice());
        wrapper[96..128].copy_from_slice(keccak256(b"1").as_slice());
        wrapper[152..160].copy_from_slice(&chain.id().to_be_bytes());
        wrapper[172..192].copy_from_slice(signer.as_slice());
        OrderSigner {
            wallet,
            domains: [Exchange::Normal, Exchange::NegRisk, Exchange::V3].map(|e| *chain.domain(e)),
            form: SignatureForm::Wrapped,
            session: false,
            builder: B256::ZERO,
            maker,
            signer,
            maker_text: text(maker),
            signer_text: text(signer),
            order_type: order_type_hash(),
            wrapper,
            key,
        }
    }

    /// Chooses how a deposit wallet's owner signs; without effect on other wallets.
    pub fn with_form(mut self, form: SignatureForm) -> OrderSigner {
        self.form = form;
        self
    }
    /// Says that the key is a registered session key of the deposit wallet, not its owner.
    pub fn with_session_key(mut self) -> OrderSigner {
        self.session = true;
        self
    }
    /// Attributes every order to a builder (bytes32 code; zero is none). Builders charge fees.
    pub fn with_builder(mut self, builder: B256) -> OrderSigner {
        self.builder = builder;
        self
    }

    /// The key, for requests that need its signature.
    pub fn key(&self) -> &Key {
        &self.key
    }
    /// The wallet.
    pub fn wallet(&self) -> Wallet {
        self.wallet
    }
    /// The address that holds the funds.
    pub fn maker(&self) -> Address {
        self.maker
    }

    /// Signs an order. `salt` below 2^53 and `timestamp_ms` come from
    /// [`OrderStamps`](super::OrderStamps), `amounts` from [`OrderArgs::amounts`].
    pub fn sign(
        &self,
        args: &OrderArgs,
        amounts: Amounts,
        salt: u64,
        timestamp_ms: u64,
    ) -> SignedOrder {
        self.sign_with_metadata(args, amounts, salt, timestamp_ms, B256::ZERO)
    }

    /// The same with 32 bytes of metadata (zeros on every order seen).
    pub fn sign_with_metadata(
        &self,
        args: &OrderArgs,
        amounts: Amounts,
        salt: u64,
        timestamp_ms: u64,
        metadata: B256,
    ) -> SignedOrder {
        self.sign_whole(self.form, args, amounts, salt, timestamp_ms, metadata)
    }

    /// Signs in a form that need not be the signer's own: to ask a wallet which one it accepts.
    pub(crate) fn sign_in_form(
        &self,
        form: SignatureForm,
        args: &OrderArgs,
        amounts: Amounts,
        salt: u64,
        timestamp_ms: u64,
    ) -> SignedOrder {
        self.sign_whole(form, args, amounts, salt, timestamp_ms, B256::ZERO)
    }

    fn sign_whole(
        &self,
        form: SignatureForm,
        args: &OrderArgs,
        amounts: Amounts,
        salt: u64,
        timestamp_ms: u64,
        metadata: B256,
    ) -> SignedOrder {
        let domain = &self.domains[match args.exchange {
            Exchange::Normal => 0,
            Exchange::NegRisk => 1,
            Exchange::V3 => 2,
        }];
        let signature_type = self.wallet.signature_type();
        let mut words = [0u8; 384];
        {
            let mut word = |index: usize, bytes: &[u8]| {
                let end = (index + 1) * 32;
                words[end - bytes.len()..end].copy_from_slice(bytes);
            };
            word(0, self.order_type.as_slice());
            word(1, &salt.to_be_bytes());
            word(2, self.maker.as_slice());
            word(3, self.signer.as_slice());
            word(4, args.token.bytes());
            word(5, &amounts.maker.to_be_bytes());
            word(6, &amounts.taker.to_be_bytes());
            word(7, &[args.side as u8]);
            word(8, &[signature_type]);
            word(9, &timestamp_ms.to_be_bytes());
            word(10, metadata.as_slice());
            word(11, self.builder.as_slice());
        }
        let struct_hash = keccak256(words);
        let id = typed_digest(&domain.separator, &struct_hash);
        let wrapped = matches!(self.wallet, Wallet::Deposit(_)) && form == SignatureForm::Wrapped;
        let signed_digest = if wrapped {
            let mut wrapper = self.wrapper;
            wrapper[32..64].copy_from_slice(struct_hash.as_slice());
            typed_digest(&domain.separator, &keccak256(wrapper))
        } else {
            id
        };
        let mut signed = SignedOrder {
            args: *args,
            amounts,
            salt,
            timestamp_ms,
            metadata,
            builder: self.builder,
            signature_type,
            maker: self.maker_text,
            signer: self.signer_text,
            struct_hash,
            id,
            signed_digest,
            signature: [0; LONGEST],
            signature_len: 0,
        };
        signed.push(&self.key.sign(&signed_digest));
        if wrapped {
            signed.push(domain.separator.as_slice());
            signed.push(struct_hash.as_slice());
            signed.push(ORDER_TYPE.as_bytes());
            signed.push(&(ORDER_TYPE.len() as u16).to_be_bytes());
        }
        if self.session && matches!(self.wallet, Wallet::Deposit(_)) {
            signed.envelop(self.key.address());
        }
        signed
    }
}

impl SignedOrder {
    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.signature_len);
        self.signature[start..start + bytes.len()].copy_from_slice(bytes);
        self.signature_len += bytes.len() as u16;
    }

    /// `abi.encode(bytes32 sessionKey, bytes32 0, bytes signature) ‖ 0x6492 × 16`.
    fn envelop(&mut self, session: Address) {
        let (inner, len) = (self.signature, usize::from(self.signature_len));
        self.signature = [0; LONGEST];
        self.signature[12..32].copy_from_slice(session.as_slice());
        self.signature[95] = 96;
        self.signature[126..128].copy_from_slice(&(len as u16).to_be_bytes());
        self.signature[128..128 + len].copy_from_slice(&inner[..len]);
        let end = 128 + len.next_multiple_of(32);
        for pair in self.signature[end..end + 32].chunks_exact_mut(2) {
            pair.copy_from_slice(&[0x64, 0x92]);
        }
        self.signature_len = (end + 32) as u16;
    }

    /// The venue's id of the order: its EIP-712 digest, known before anything is sent.
    pub fn id(&self) -> OrderHash {
        OrderHash::from_bytes(self.id.0)
    }
    /// hashStruct(Order).
    pub fn struct_hash(&self) -> B256 {
        self.struct_hash
    }
    /// What the key really signed: the id, or the wrapped digest of a deposit wallet.
    pub fn signed_digest(&self) -> B256 {
        self.signed_digest
    }
    /// The signature as sent.
    pub fn signature(&self) -> &[u8] {
        &self.signature[..usize::from(self.signature_len)]
    }
    /// What was asked for.
    pub fn args(&self) -> &OrderArgs {
        &self.args
    }
    /// The two integers signed.
    pub fn amounts(&self) -> Amounts {
        self.amounts
    }
    /// Salt.
    pub fn salt(&self) -> u64 {
        self.salt
    }
    /// Unix milliseconds.
    pub fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// The body of `POST /order`, byte for byte as the official Python client writes it. `owner` is the
    /// API key.
    pub fn body(&self, owner: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.body_len_at_most(owner));
        self.write_body(owner, false, &mut body);
        body
    }

    /// An upper bound of the length of [`body`](Self::body), so that it is allocated once.
    pub fn body_len_at_most(&self, owner: &str) -> usize {
        820 + owner.len() + 2 * usize::from(self.signature_len)
    }

    /// Appends the body; `defer_exec` asks the venue for deferred execution (leave it false).
    pub fn write_body(&self, owner: &str, defer_exec: bool, body: &mut Vec<u8>) {
        let number = |body: &mut Vec<u8>, number: u64| {
            body.extend_from_slice(decimal(number, &mut [0; 20]));
        };
        body.extend_from_slice(b"{\"order\":{\"salt\":");
        number(body, self.salt);
        body.extend_from_slice(b",\"maker\":\"");
        body.extend_from_slice(&self.maker);
        body.extend_from_slice(b"\",\"signer\":\"");
        body.extend_from_slice(&self.signer);
        body.extend_from_slice(b"\",\"tokenId\":\"");
        body.extend_from_slice(self.args.token.decimal().as_bytes());
        body.extend_from_slice(b"\",\"makerAmount\":\"");
        number(body, self.amounts.maker);
        body.extend_from_slice(b"\",\"takerAmount\":\"");
        number(body, self.amounts.taker);
        body.extend_from_slice(match self.args.side {
            Side::Buy => b"\",\"side\":\"BUY\",\"expiration\":\"",
            Side::Sell => b"\",\"side\":\"SELL\",\"expiration\":\"".as_slice(),
        });
        number(body, self.args.expiration_secs());
        body.extend_from_slice(b"\",\"signatureType\":");
        number(body, u64::from(self.signature_type));
        body.extend_from_slice(b",\"timestamp\":\"");
        number(body, self.timestamp_ms);
        body.extend_from_slice(b"\",\"metadata\":\"0x");
        hex(body, self.metadata.as_slice());
        body.extend_from_slice(b"\",\"builder\":\"0x");
        hex(body, self.builder.as_slice());
        body.extend_from_slice(b"\",\"signature\":\"0x");
        hex(body, self.signature());
        body.extend_from_slice(b"\"},\"owner\":\"");
        body.extend_from_slice(owner.as_bytes());
        body.extend_from_slice(b"\",\"orderType\":\"");
        body.extend_from_slice(self.args.tif.name().as_bytes());
        body.extend_from_slice(if defer_exec {
            b"\",\"deferExec\":true"
        } else {
            b"\",\"deferExec\":false".as_slice()
        });
        body.extend_from_slice(if self.args.post_only {
            b",\"postOnly\":true}"
        } else {
            b",\"postOnly\":false}".as_slice()
        });
    }
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

fn text(address: Address) -> [u8; 42] {
    let mut text = [0; 42];
    text.copy_from_slice(address.to_checksum(None).as_bytes());
    text
}
