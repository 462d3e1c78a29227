//! The thin layer of waiting around the venue: listeners, requests, sockets.

pub(crate) mod answer;
mod auth;
pub(crate) mod breakable;
mod clob;
mod data;
mod data_markets;
mod data_wallets;
mod gamma;
pub(crate) mod http;
pub(crate) mod hub;
pub(crate) mod inner;
mod keys;
mod prices;
mod recent;
mod relayer;
mod rpc;
mod socket;
mod trading;

/// Which listener a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// CLOB REST, `/ws/market`, `/ws/user`.
    Clob,
    /// Gamma.
    Gamma,
    /// Data API.
    Data,
    /// PolyBolt price socket.
    Polybolt,
    /// RTDS price socket.
    Rtds,
    /// Relayer, and `/api/geoblock` of the website.
    Relayer,
    /// The first JSON-RPC node of the chain.
    Rpc0,
    /// The second one.
    Rpc1,
}

impl Service {
    /// Its short name.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Clob => "clob",
            Service::Gamma => "gamma",
            Service::Data => "data",
            Service::Polybolt => "polybolt",
            Service::Rtds => "rtds",
            Service::Relayer => "relayer",
            Service::Rpc0 => "rpc0",
            Service::Rpc1 => "rpc1",
        }
    }
}
