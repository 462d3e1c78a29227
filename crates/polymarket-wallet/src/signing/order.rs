//! Signing orders: the struct hash, the digest that is the order's id, and the four kinds of signature.

use std::sync::Arc;

use alloy::primitives::{Address, B256, keccak256};
use polydesk_domain::{OrderHash, Rounding};
use polydesk_polymarket_api::{
    Exchange, LONGEST_SIGNATURE, OrderArgs, Parties, Refused, Signature, SignedOrder, Stamp,
    Unsigned,
};

use super::l1::typed_digest;
use super::{Chain, Domain, Key, Wallet};

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
    key: Arc<Key>,
    wallet: Wallet,
    domains: [Domain; 3],
    form: SignatureForm,
    session: bool,
    rounding: Rounding,
    maker: Address,
    signer: Address,
    parties: Parties,
    order_type: B256,
    /// Type hash and the constant tail of `TypedDataSign` (name, version, chain, wallet, salt).
    wrapper: [u8; 224],
}

impl core::fmt::Debug for OrderSigner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OrderSigner({:?}, {:?})", self.key, self.wallet)
    }
}

/// The hashes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// hashStruct(Order).
    pub struct_hash: B256,
    /// The venue's id of the order: its EIP-712 digest.
    pub id: B256,
    /// What the key signs: the id, or the wrapped digest of a deposit wallet.
    pub signed: B256,
}

impl OrderSigner {
    /// A signer for `wallet`, whose owner is `key`.
    pub fn new(key: impl Into<Arc<Key>>, wallet: Wallet, chain: &Chain) -> OrderSigner {
        let key = key.into();
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
            rounding: Rounding::Venue,
            maker,
            signer,
            parties: Parties {
                maker: text(maker),
                signer: text(signer),
                signature_type: wallet.signature_type(),
                builder: [0; 32],
                metadata: [0; 32],
            },
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
        self.parties.builder = builder.0;
        self
    }
    /// Puts 32 bytes of metadata into every order (zeros on every order seen).
    pub fn with_metadata(mut self, metadata: B256) -> OrderSigner {
        self.parties.metadata = metadata.0;
        self
    }
    /// Chooses how amounts are rounded, as the venue takes them by default.
    pub fn with_rounding(mut self, rounding: Rounding) -> OrderSigner {
        self.rounding = rounding;
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
    /// Who its orders are from.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Makes a signed order: amounts and body follow from `args`. `stamp` comes from
    /// [`OrderStamps`](super::OrderStamps), `owner` is the API key.
    ///
    /// # Errors
    /// Why there is no such order; nothing was signed then.
    pub fn sign(
        &self,
        args: &OrderArgs,
        stamp: Stamp,
        owner: &str,
    ) -> Result<SignedOrder, Refused> {
        let sign = |order: &Unsigned| self.signature(order, self.form);
        SignedOrder::new(args, stamp, &self.parties, self.rounding, owner, sign)
    }

    /// The hashes of an order of this account, signed in this signer's form.
    pub fn digests(&self, order: &Unsigned) -> Digests {
        self.digests_in(order, self.form)
    }

    fn domain(&self, exchange: Exchange) -> &Domain {
        &self.domains[match exchange {
            Exchange::Normal => 0,
            Exchange::NegRisk => 1,
            Exchange::V3 => 2,
        }]
    }

    pub(crate) fn digests_in(&self, order: &Unsigned, form: SignatureForm) -> Digests {
        let Unsigned { args, amounts, stamp, parties } = order;
        let domain = self.domain(args.exchange);
        let mut words = [0u8; 384];
        {
            let mut word = |index: usize, bytes: &[u8]| {
                let end = (index + 1) * 32;
                words[end - bytes.len()..end].copy_from_slice(bytes);
            };
            word(0, self.order_type.as_slice());
            word(1, &stamp.salt.get().to_be_bytes());
            word(2, self.maker.as_slice());
            word(3, self.signer.as_slice());
            word(4, args.token.bytes());
            word(5, &amounts.maker.to_be_bytes());
            word(6, &amounts.taker.to_be_bytes());
            word(7, &[args.side as u8]);
            word(8, &[parties.signature_type.number()]);
            word(9, &stamp.timestamp_ms.to_be_bytes());
            word(10, &parties.metadata);
            word(11, &parties.builder);
        }
        let struct_hash = keccak256(words);
        let id = typed_digest(&domain.separator, &struct_hash);
        let signed = if self.wraps(form) {
            let mut wrapper = self.wrapper;
            wrapper[32..64].copy_from_slice(struct_hash.as_slice());
            typed_digest(&domain.separator, &keccak256(wrapper))
        } else {
            id
        };
        Digests { struct_hash, id, signed }
    }

    fn wraps(&self, form: SignatureForm) -> bool {
        matches!(self.wallet, Wallet::Deposit(_)) && form == SignatureForm::Wrapped
    }

    /// Signs in a form that need not be the signer's own: to ask a wallet which one it accepts.
    pub(crate) fn signature(&self, order: &Unsigned, form: SignatureForm) -> Signature {
        let digests = self.digests_in(order, form);
        let mut made = Bytes { bytes: [0; LONGEST_SIGNATURE], len: 0 };
        made.push(&self.key.sign(&digests.signed));
        if self.wraps(form) {
            made.push(self.domain(order.args.exchange).separator.as_slice());
            made.push(digests.struct_hash.as_slice());
            made.push(ORDER_TYPE.as_bytes());
            made.push(&(ORDER_TYPE.len() as u16).to_be_bytes());
        }
        if self.session && matches!(self.wallet, Wallet::Deposit(_)) {
            made.envelop(self.key.address());
        }
        Signature::new(OrderHash::from_bytes(digests.id.0), &made.bytes[..made.len])
            .expect("a signature fits the longest one")
    }
}

/// A signature that grows; nothing of it is on the heap.
struct Bytes {
    bytes: [u8; LONGEST_SIGNATURE],
    len: usize,
}

impl Bytes {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// `abi.encode(bytes32 sessionKey, bytes32 0, bytes signature) ‖ 0x6492 × 16`.
    fn envelop(&mut self, session: Address) {
        let (inner, len) = (self.bytes, self.len);
        self.bytes = [0; LONGEST_SIGNATURE];
        self.bytes[12..32].copy_from_slice(session.as_slice());
        self.bytes[95] = 96;
        self.bytes[126..128].copy_from_slice(&(len as u16).to_be_bytes());
        self.bytes[128..128 + len].copy_from_slice(&inner[..len]);
        let end = 128 + len.next_multiple_of(32);
        for pair in self.bytes[end..end + 32].chunks_exact_mut(2) {
            pair.copy_from_slice(&[0x64, 0x92]);
        }
        self.len = end + 32;
    }
}

fn text(address: Address) -> [u8; 42] {
    let mut text = [0; 42];
    text.copy_from_slice(address.to_checksum(None).as_bytes());
    text
}
