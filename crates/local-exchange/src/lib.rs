//! Polymarket on loopback: CLOB REST, Gamma, Data API, market, user and price sockets of one process,
//! with the venue's shapes, headers, texts, status codes and rules.
//!
//! Keys, HMACs and order signatures are checked for real; orders match by price and time in one book
//! per market with complements; trades settle or fail; accounts have balances that are conserved. A
//! [`Scenario`] injects faults at given times for given accounts. With a tape the counterparties are
//! recorded history, and each account's orders match it through [`polydesk_sim::Sim`].
//!
//! Two JSON-RPC endpoints show the chain below it: blocks, balances, logs and receipts of its own truth.
//!
//! Deliberately absent: any type of the client's (a shared mistake would hide), an EVM (transactions are not
//! executed), a second clock, unseeded randomness.
//!
//! ```
//! use polydesk_domain::Span;
//! use polydesk_local_exchange::{LocalExchange, Setup};
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! runtime.block_on(async {
//!     let exchange = LocalExchange::start(Setup::test()).await.unwrap();
//!     assert!(exchange.urls().clob.starts_with("http://127.0.0.1:"));
//!     exchange.advance(Span::secs(10)); // nothing waits for a real clock
//!     exchange.check().unwrap(); // money and shares are conserved
//!     exchange.shutdown().await;
//! });
//! ```

mod chance;
mod contracts;
mod faults;
mod limits;
mod market_file;
mod running;
pub mod scenario;
mod server;
mod setup;
mod text;
pub mod typed;
pub mod venue;
pub mod wallets;
mod wire;

pub use limits::{Enforcement, LimitSetup, Tier};
pub use market_file::{MarketFileError, market_file};
pub use running::{LocalExchange, Running, StartError, TestAccount, Urls};
pub use scenario::{Scenario, ScenarioError};
pub use server::Service;
pub use server::breakable::Pipe;
pub use server::hub::Channel;
pub use server::inner::Received;
pub use setup::{
    AccountSetup, Clock, Listing, Ports, Rules, Series, SettlementSetup, Setup, TEST_START,
    TapeSetup, demo_markets,
};
