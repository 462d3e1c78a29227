//! A complete client for Polymarket (CLOB V2 and ExchangeV3).
//!
//! - [`clob`]: order books, keys, orders, cancels, own orders and trades, balances;
//! - [`gamma`]: markets, events, series, tags, search, and the conversion to a tradable market;
//! - [`data`]: positions, activity, trades, holders, leaderboards, resolutions;
//! - [`ws`]: market, user and price sockets that stay connected;
//! - [`signing`] (feature `signer`): keys, orders of every wallet type, wallet addresses;
//! - [`Limits`], [`ServerClock`], [`Http`]: what all of it travels on.
//!
//! Every error says what to do next ([`ApiError`]), and nothing is ever sent twice that could act twice.

mod auth;
#[cfg(feature = "signer")]
pub mod chain;
pub mod clob;
mod clock;
pub mod data;
mod endpoints;
mod error;
pub mod gamma;
mod limits;
mod order;
#[cfg(test)]
mod samples;
mod secret;
#[cfg(feature = "signer")]
pub mod signing;
mod sizing;
mod transport;
mod wire;
pub mod ws;

pub use auth::{Credentials, CredentialsError, L2Auth, L2Headers};
pub use clock::ServerClock;
pub use endpoints::Endpoints;
pub use error::{ApiError, Effect, Refusal, ThrottledBy};
pub use limits::{Group, Limits, LimitsConfig, Quota, SignerCost, SignerQuota, SignerState};
pub use order::{Exchange, OrderArgs, OrderText, Refused};
pub use secret::Secret;
pub use sizing::{FeeFitError, NoPrice, fee_adjusted_spend, walk_price};
pub use transport::{Egress, Http, HttpAnswer, HttpConfig, HttpRequest};
pub use ws::FeedConfig;
