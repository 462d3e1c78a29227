//! A complete client for Polymarket (CLOB V2 and ExchangeV3).
//!
//! - [`clob`]: order books, keys, orders, cancels, own orders and trades, balances, rewards;
//! - [`gamma`]: markets, events, series, tags, comments, search, and the conversion to a tradable market;
//! - [`data`]: positions, activity, trades, holders, volumes, leaderboards, builders, resolutions;
//! - [`ws`]: market, user and price sockets that stay connected;
//! - [`SignedOrder`]: the only thing that can be placed; keys and signatures are in `polydesk-polymarket-wallet`;
//! - [`RateLimits`], [`ServerClock`], [`Http`]: what all of it travels on.
//!
//! Every error states what to do next ([`ApiError`]), and a request that could take effect twice is never
//! sent twice.
//! Only configured hosts are reached ([`Egress`]). Here is no key, no chain and no way to move money: market data,
//! discovery and (with API credentials) reading and cancelling; orders come signed.
//!
//! # Reading a book
//!
//! ```no_run
//! use std::sync::Arc;
//! use polydesk_polymarket_api::{clob::Clob, Endpoints, Http, HttpConfig, RateLimits, LimitsConfig, ServerClock};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoints = Endpoints::default();
//! let clock = ServerClock::system();
//! let http = Http::new(HttpConfig::default(), &endpoints)?;
//! let limits = Arc::new(RateLimits::new(LimitsConfig::default(), clock.clone())?);
//! let clob = Clob::new(http, &endpoints.clob, limits, clock);
//! clob.sync_clock().await?;
//! let token = "71321045679252212594626385532706912750332728571942532289631379312455583992563".parse()?;
//! let book = clob.book(&token).await?;
//! assert_eq!(book.computed_hash(), book.hash);
//! # Ok(())
//! # }
//! ```
//!
//! # Discovering markets
//!
//! ```no_run
//! use futures_util::TryStreamExt;
//! use polydesk_polymarket_api::gamma::{Gamma, GammaMarket, TakerDelays};
//!
//! # async fn example(gamma: Gamma) -> Result<(), Box<dyn std::error::Error>> {
//! let markets: Vec<GammaMarket> = gamma.markets(vec![("tag_id".into(), "21".into())]).try_collect().await?;
//! for market in &markets {
//!     match market.to_market(None, TakerDelays::default()) {
//!         Ok(market) => println!("{} tick {}", market.slug, market.tick),
//!         Err(refused) => println!("not traded: {refused}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A wallet's positions and trades
//!
//! ```no_run
//! use futures_util::TryStreamExt;
//! use polydesk_polymarket_api::data::Data;
//!
//! # async fn example(data: Data) -> Result<(), Box<dyn std::error::Error>> {
//! let wallet = "0x56687bf447db6ffa42ffe2204a05edaa20f55839";
//! let trades = data.activity_v2(wallet, None, vec![("type".into(), "TRADE".into())]);
//! let newest: Vec<_> = trades.try_collect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Books that stay live
//!
//! ```no_run
//! use polydesk_domain::Token;
//! use polydesk_polymarket_api::{clob::Clob, FeedConfig, Http, ServerClock};
//! use polydesk_polymarket_api::ws::{FeedItem, MarketFeed};
//!
//! # async fn example(http: Http, clob: Clob, url: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let (feed, mut items) =
//!     MarketFeed::start(FeedConfig::default(), http, url, clob, ServerClock::system())?;
//! feed.subscribe(vec![("101".parse()?, Token(0))]);
//! while let Some(FeedItem::Market { event, .. }) = items.recv().await {
//!     println!("{event:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Placing an order, and what each answer means
//!
//! ```no_run
//! use polydesk_polymarket_api::{ApiError, SignedOrder, clob::Clob};
//!
//! # async fn example(clob: Clob, order: SignedOrder) -> Result<(), ApiError> {
//! // It comes from the wallet's signer; its id and body are in a journal before this line.
//! match clob.place(&order).await {
//!     Ok(placed) => println!("{} {:?}", placed.id, placed.status),
//!     // It may be there, by this request or an earlier one: keep its funds reserved and look for it.
//!     Err(error) if error.may_have_taken_effect() => println!("there? {:?}", clob.order(&order.id()).await?),
//!     // Nothing happened, and the same again will be refused again.
//!     Err(ApiError::Refused { why, .. }) => println!("refused: {why:?}"),
//!     // Nothing happened; a fresh decision may go out later.
//!     Err(error) => println!("{error}; not before {:?}", error.retry_after()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # News of one's own orders
//!
//! ```no_run
//! use polydesk_polymarket_api::{Credentials, FeedConfig, Http, ServerClock};
//! use polydesk_polymarket_api::ws::{UserFeed, UserItem};
//!
//! # async fn example(http: Http, url: &str, credentials: Credentials) {
//! let all_markets = Vec::new();
//! let (_feed, mut items) = UserFeed::start(
//!     FeedConfig::default(), http, url, credentials, all_markets, ServerClock::system());
//! while let Some(item) = items.recv().await {
//!     match item {
//!         // What happened before is read over REST now.
//!         UserItem::Connected { .. } => println!("reconcile"),
//!         UserItem::Trade { trade, .. } => println!("{} {:?}", trade.id, trade.status),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # }
//! ```
//!
//! # Reference prices
//!
//! ```no_run
//! use polydesk_polymarket_api::{ApiError, Credentials, Http, ServerClock};
//! use polydesk_polymarket_api::ws::{PriceFeed, PriceItem, PriceSubscription, PricesConfig};
//!
//! # async fn example(http: Http, url: &str, credentials: Credentials) -> Result<(), ApiError> {
//! let bitcoin = PriceSubscription {
//!     channel: "price.crypto".into(), symbol: "btcusd".into(), window_seconds: None, provider: None,
//! };
//! let (_feed, mut items) = PriceFeed::polybolt(
//!     PricesConfig::default(), http, url, credentials, vec![bitcoin], ServerClock::system())?;
//! while let Some(item) = items.recv().await {
//!     if let PriceItem::Price { symbol, value, .. } = item {
//!         println!("{symbol} {value}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Limits of one's own
//!
//! ```
//! use polydesk_polymarket_api::{Group, RateLimits, LimitsConfig, Quota, ServerClock, SignerQuota};
//!
//! // A better tier, and half of the published quota for books.
//! let config = LimitsConfig {
//!     signer: SignerQuota { orders_per_second: 200, order_burst: 300, cancels_per_second: 400, cancel_burst: 600 },
//!     quotas: [(Group::Book, Quota { burst: 750, sustained: 0 })].into(),
//!     ..LimitsConfig::default()
//! };
//! assert_eq!(config.problems(), Vec::<String>::new());
//! let limits = RateLimits::new(config, ServerClock::system())?;
//! # Ok::<(), polydesk_polymarket_api::ApiError>(())
//! ```
//!
//! # Which call for which endpoint
//!
//! `docs/endpoints.md` lists every documented endpoint with its call; a test makes them all.
//!
//! Fees have no endpoint of their own that counts: a market's are in [`clob::Clob::market_info`] (and in
//! Gamma's market), a builder's in [`clob::Clob::builder_fees`], and
//! [`legacy_fee_cap`](clob::Clob::legacy_fee_cap) is only a cap of old. Nothing lists fee or volume tiers: an
//! account's tier comes in the header `Poly-RateLimit-Tier` of answers to orders and is kept in
//! [`RateLimits::signer_state`].
//!
//! Keys, transactions and approvals are in `polydesk-polymarket-wallet`, whose `examples/` have whole programs.
//!
//! # Where the venue's sources disagree
//!
//! | about | default | otherwise |
//! |---|---|---|
//! | signatures of deposit wallets | wrapped (ERC-7739) | the wallet's `SignatureForm::Plain`; ask it on the chain |
//! | rounding of market orders | at most 2 and 4 decimals | [`polydesk_domain::Rounding::Sdk`], as the official clients |
//! | shares of an immediate buy | rounded down | |
//! | units of sizes in REST orders | shares; what looks like millionths is flagged | [`clob::OpenOrder::sizes`] |
//! | order of book levels | none relied on | |
//! | per-signer limits | obeyed though only announced | [`LimitsConfig::signer`] |
//! | taker delay of up-down markets | 150 ms | [`gamma::TakerDelays`] |
//! | adapters for split and merge | the pair in force since 2026 | the wallet's `Contracts` |
//! | page size of Gamma's lists | 100 | the filter `limit` |
//! | who signs the end of a builder key | the builder key | [`clob::Clob::delete_builder_key_of_account`] |
//! | what `/markets/live-activity` gives | a market, as documented; older clients call it trades | |
//! | quotas of Data v2 | the lower figure, 800 in ten seconds together with v1 | [`LimitsConfig::quotas`] |
//! | source of `price.crypto` | none assumed: each price names its own | [`ws::PriceSubscription`] `provider` |
//! | whether hashes of both tokens carry one last trade price | they do, as far as samples show | `hash_check_ms = 0` switches the check off |
//! | `payouts` of [`data::Resolution`] | as sent | millionths, according to the official Python client |

mod auth;
pub mod clob;
mod clock;
mod connect;
pub mod data;
mod endpoints;
mod error;
pub mod gamma;
mod limits;
mod order;
pub mod parts;
#[cfg(test)]
mod samples;
mod secret;
mod signed;
mod sizing;
mod transport;
mod wire;
pub mod ws;

pub use auth::{Credentials, CredentialsError, L1Headers, L2Auth, L2Headers};
pub use clock::ServerClock;
pub use connect::{ByteStream, Connect, Connecting};
pub use endpoints::Endpoints;
pub use error::{ApiError, BalanceFigures, Effect, Refusal, ThrottledBy};
pub use limits::{
    Budget, Group, LimitsConfig, Quota, RateLimits, SignerCost, SignerQuota, SignerState,
};
pub use order::{Exchange, OrderArgs, OrderText, Refused};
pub use secret::Secret;
pub use signed::{
    LONGEST_SIGNATURE, Parties, Salt, SignError, SignOrders, Signature, SignatureType, SignedOrder,
    Stamp, Unsigned,
};
pub use sizing::{FeeFitError, NoPrice, fee_adjusted_spend, walk_price};
pub use transport::{Egress, Guard, Http, HttpAnswer, HttpConfig, HttpRequest};
pub use ws::FeedConfig;
