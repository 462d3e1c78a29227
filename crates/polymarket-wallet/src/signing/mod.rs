//! Keys and signatures: L1 authentication, orders of every wallet type, wallet addresses.
//!
//! ```
//! use polydesk_domain::{Price, Shares, Side, Size, Tick, Tif, TokenId};
//! use polydesk_polymarket_api::{Exchange, OrderArgs};
//! use polydesk_polymarket_wallet::signing::{Chain, Key, OrderSigner, OrderStamps, Wallet};
//!
//! // A public development key: never fund it.
//! let key = Key::from_hex("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")?;
//! let signer = OrderSigner::new(key, Wallet::Eoa, &Chain::polygon());
//! let order = OrderArgs {
//!     token: TokenId::from(42),
//!     side: Side::Buy,
//!     price: Price::cents(37),
//!     size: Size::Shares(Shares::whole(10)),
//!     tif: Tif::Gtc,
//!     post_only: true,
//!     tick: Tick::Cent,
//!     exchange: Exchange::Normal,
//! };
//! let stamp = OrderStamps::seeded(7).next(1_793_923_200_123);
//! let signed = signer.sign(&order, stamp, "11111111-2222-4333-8444-555555555555")?;
//! println!("the venue will call it {}", signed.id());
//! assert!(signed.body().starts_with(br#"{"order":{"salt":"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain_ids;
mod key;
mod l1;
mod order;
mod salt;
mod scope;
mod sources;
mod wallet;

pub use alloy::primitives::{Address, B256, U256};
pub use chain_ids::{Chain, Contracts, Domain};
pub use key::{Key, KeyError};
pub use l1::{create_api_key, derive_api_key, derive_or_create_api_key, l1_headers};
pub use order::{
    Digests, ORDER_TYPE, OrderSigner, SignatureForm, order_type_hash, typed_data_sign_type_hash,
};
pub use salt::OrderStamps;
pub use scope::{Scope, ScopedSigner};
pub use sources::{KeySource, KeySourceError, PasswordSource, read_private};
pub use wallet::{DerivedWallets, Wallet, derived_wallets};
