//! Keys and signatures: L1 authentication, orders of every wallet type, wallet addresses.
//!
//! Everything here is behind the feature `signer`: a process built without it cannot hold a key.
//!
//! ```
//! use polydesk_domain::{Price, Rounding, Shares, Side, Size, Tick, Tif, Time, TokenId};
//! use polydesk_polymarket_api::{Exchange, OrderArgs};
//! use polydesk_polymarket_api::signing::{Chain, Key, OrderSigner, Wallet};
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
//! let amounts = order.amounts(Rounding::Venue, Time::from_secs(1_793_923_200))?;
//! let signed = signer.sign(&order, amounts, 479_249_096_354, 1_793_923_200_123);
//! println!("the venue will call it {}", signed.id());
//! let body = signed.body("11111111-2222-4333-8444-555555555555");
//! assert!(body.starts_with(br#"{"order":{"salt":479249096354,"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain_ids;
mod key;
mod l1;
mod order;
mod salt;
mod sources;
mod wallet;

pub use alloy::primitives::{Address, B256, U256};
pub use chain_ids::{Chain, Contracts, Domain};
pub use key::{Key, KeyError};
pub use l1::{L1Headers, l1_headers};
pub use order::{
    ORDER_TYPE, OrderSigner, SignatureForm, SignedOrder, order_type_hash, typed_data_sign_type_hash,
};
pub use salt::OrderStamps;
pub use sources::{KeySource, KeySourceError, PasswordSource};
pub use wallet::{DerivedWallets, Wallet, derived_wallets};
