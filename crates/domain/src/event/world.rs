//! Events from outside the venue.

use serde::{Deserialize, Serialize};

use crate::{AskId, Code, ConditionId, MarketKey, Price, Shares, Side, Signal, Time, Token, Usdc};

/// Articles, followed wallets, forecasts, signals of other processes.
#[derive(Debug, Clone, PartialEq)]
pub enum WorldEvent {
    /// A followed wallet traded.
    Wallet(WalletTrade),
    /// The positions of a followed wallet.
    LeaderState(LeaderState),
    /// An article arrived.
    Article(Article),
    /// A model answered.
    Forecast(Forecast),
    /// A question that no forecast will answer.
    NoForecast {
        /// Which question.
        ask: AskId,
        /// Why (`budget`, `timeout`, `refused`).
        code: Code,
    },
    /// A signal of another process.
    Signal(Signal),
}

/// A trade of a followed wallet (Data API `TRADE` and its kin).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletTrade {
    /// Proxy wallet, lower-case hex.
    pub wallet: String,
    /// Token traded.
    pub token: Token,
    /// Its side.
    pub side: Side,
    /// Average price.
    pub price: Price,
    /// Size.
    pub size: Shares,
    /// Transaction hash; several rows can share one.
    pub transaction: String,
}

/// A followed wallet's positions in one read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderState {
    /// Proxy wallet, lower-case hex.
    pub wallet: String,
    /// When it was read.
    pub asked_at: Time,
    /// Whether the list of positions was read to its end.
    pub complete: bool,
    /// Shares by token.
    pub positions: Vec<(Token, Shares)>,
    /// Value of all positions as reported by the venue.
    pub value: Usdc,
    /// pUSD in the wallet, where known.
    pub cash: Option<Usdc>,
}

/// An article, first seen at the event's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// Where it came from.
    pub source: String,
    /// Headline.
    pub title: String,
    /// Text, possibly empty.
    pub body: String,
    /// Address, possibly empty.
    pub url: String,
    /// Markets it concerns, where known; empty concerns every strategy that takes articles.
    pub markets: Vec<MarketKey>,
}

/// A model's answer, in millionths of probability of YES.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// The question it answers; `None` for an unsolicited forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AskId>,
    /// Market, by its condition id.
    pub condition: ConditionId,
    /// Probability of YES in millionths.
    pub yes_ppm: u32,
    /// Name of the model.
    pub model: String,
    /// Latest evidence it used.
    pub evidence_until: Time,
}
