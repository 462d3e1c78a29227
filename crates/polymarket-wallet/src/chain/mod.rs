//! The chain: balances, approvals, conversions of money and shares, and how each kind of wallet sends.
//!
//! - [`Rpc`] and [`ChainSnapshot`]: typed reads at one block; two endpoints are compared, and where they differ
//!   nothing is decided;
//! - [`Call`] and [`ApprovalPlan`]: what to do, as data that can be printed and simulated first;
//! - [`EoaSender`]: transactions of a wallet that is its own key, with fees under caps;
//! - [`Relayer`]: gasless transactions of proxy, Safe and deposit wallets;
//! - [`Wallets`]: one way in for both;
//! - [`Rpc::order_fills`]: what a wallet's orders really moved;
//! - [`Rpc::movements`]: everything that moved a wallet's money and shares;
//! - [`Keep`]: what is signed is written down before it leaves, and `resume` takes it up in a later process;
//! - [`bridge`]: money from and to other chains.
//!
//! Amounts are `U256` in the token's smallest unit (pUSD, USDC.e and shares: millionths); gas is in wei.
//!
//! ```no_run
//! use polydesk_polymarket_wallet::chain::{Allowance, ApprovalPlan, Rpc, RpcConfig, Scope};
//! use polydesk_polymarket_wallet::signing::{Address, Chain};
//! use polydesk_polymarket_api::{Endpoints, Http, HttpConfig, ServerClock};
//!
//! # async fn dry_run(wallet: Address) -> Result<(), Box<dyn std::error::Error>> {
//! let endpoints = Endpoints::default();
//! let http = Http::new(HttpConfig::default(), &endpoints)?;
//! let chain = Chain::polygon();
//! let rpc = Rpc::new(&http, &endpoints.rpc, &chain, ServerClock::system(), RpcConfig::default())?;
//! let snapshot = rpc.snapshot(&chain).await?;
//! let plan =
//!     ApprovalPlan::needed(&snapshot, wallet, Scope::Trading, Allowance::Unlimited).await?;
//! println!("{plan}");
//! # Ok(())
//! # }
//! ```

mod abi;
mod approvals;
pub mod bridge;
mod calls;
mod eoa;
mod error;
mod fills;
mod keep;
mod moves;
mod nonces;
mod reads;
mod relayer;
mod rpc;
mod wallets;

pub use approvals::{Allowance, ApprovalPlan, Need, Scope, Standard, Step};
pub use calls::{Call, MarketKind, condition_v2};
pub use eoa::{EoaConfig, EoaSender, Mined};
pub use error::ChainError;
pub use fills::OrderFilled;
pub use keep::{Keep, KeepNothing, Keeping, Leaving, RelayedCalls, SignedTransaction};
pub use moves::{Asset, Movement};
pub use reads::{ChainSnapshot, ReportedPayout};
pub use relayer::{
    Followed, RelayState, Relayed, Relayer, RelayerAuth, RelayerConfig, Revocation, SessionScope,
};
pub use rpc::{Head, Receipt, Rpc, RpcConfig};
pub use wallets::{ExecuteError, Executed, Wallets};
