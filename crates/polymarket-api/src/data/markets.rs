//! Public market data: holders, open interest, prices and resolutions.

use futures_util::Stream;
use polydesk_domain::{ConditionId, Time, TokenId};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Data, Envelope, csv};
use crate::gamma::Filters;
use crate::limits::Group;
use crate::{ApiError, wire};

/// Which part of a token's price history (v2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// `max`, `all`, `1m` (a **month**), `1w`, `1d`, `6h`, `1h`.
    Interval(&'static str),
    /// From a time on, up to another or to now: at most 15 days.
    Since(Time, Option<Time>),
    /// The last price before a time.
    AsOf(Time),
}

impl Data {
    /// The largest holders of a market's tokens.
    pub async fn holders(
        &self,
        market: &ConditionId,
        limit: u32,
    ) -> Result<Vec<TokenHolders>, ApiError> {
        let query =
            [("market".to_owned(), market.to_string()), ("limit".to_owned(), limit.to_string())];
        self.get("/holders", Group::Data, &query).await
    }
    /// Open interest of markets; without any, of the whole venue (`GLOBAL`).
    pub async fn open_interest(
        &self,
        markets: &[ConditionId],
    ) -> Result<Vec<OpenInterest>, ApiError> {
        self.get("/oi", Group::Data, &some_csv("market", markets)).await
    }
    /// Volume of an event, by Gamma's number.
    pub async fn live_volume(&self, event: &str) -> Result<Vec<LiveVolume>, ApiError> {
        self.get("/live-volume", Group::Data, &[("id".into(), event.into())]).await
    }
    /// What tokens are, at most 50 of them.
    pub fn tokens_v2(
        &self,
        tokens: &[TokenId],
    ) -> impl Stream<Item = Result<TokenV2, ApiError>> + Send + use<> {
        self.cursor("/v2/tokens", Group::Data, vec![("token_id".into(), csv(tokens))])
    }
    /// The tokens of markets, at most 10 of them.
    pub fn tokens_of_v2(
        &self,
        conditions: &[ConditionId],
    ) -> impl Stream<Item = Result<TokenV2, ApiError>> + Send + use<> {
        self.cursor("/v2/tokens", Group::Data, vec![("condition".into(), csv(conditions))])
    }
    /// How far resolutions are, for up to 20 conditions. [`resolutions_of`](Self::resolutions_of) asks by
    /// event or question.
    pub fn resolutions(
        &self,
        conditions: &[ConditionId],
    ) -> impl Stream<Item = Result<Resolution, ApiError>> + Send + use<> {
        self.cursor("/v2/resolutions", Group::Data, vec![("condition_id".into(), csv(conditions))])
    }
    /// The largest holders of markets' tokens, at most 20 markets (v2; `min_balance` in shares;
    /// `include_pnl` for one market, at most 100 at a time).
    pub fn holders_v2(
        &self,
        markets: &[ConditionId],
        filters: Filters,
    ) -> impl Stream<Item = Result<HoldersV2, ApiError>> + Send + use<> {
        let mut query = vec![("condition_id".to_owned(), csv(markets))];
        query.extend(filters);
        self.cursor("/v2/holders", Group::Data, query)
    }
    /// How far resolutions are, by exactly one of `event_id` (comma list, up to 20) and `question_id`.
    pub fn resolutions_of(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<Resolution, ApiError>> + Send + use<> {
        self.cursor("/v2/resolutions", Group::Data, filters)
    }
    /// Open interest of markets, at most 20 (v2). Without any: of the whole venue, in one row without a
    /// condition.
    pub async fn open_interest_v2(
        &self,
        conditions: &[ConditionId],
    ) -> Result<Vec<OpenInterestV2>, ApiError> {
        let query = some_csv("condition_id", conditions);
        Ok(self.get::<Envelope<OpenInterestV2>>("/v2/oi", Group::Data, &query).await?.data)
    }
    /// What takers traded in events (Gamma's numbers), in **shares** (v2).
    pub async fn live_volume_v2(&self, events: &[u32]) -> Result<Option<LiveVolumeV2>, ApiError> {
        self.one("/v2/live-volume", some_csv("event_id", events)).await
    }
    /// Past prices of a token, oldest first (v2), `bucket_seconds` apart: at least 60, 300 for a week, 600
    /// for more.
    pub fn prices_history_v2(
        &self,
        token: &TokenId,
        window: Window,
        bucket_seconds: Option<u32>,
    ) -> impl Stream<Item = Result<PricePointV2, ApiError>> + Send + use<> {
        let secs = |time: Time| (time.nanos() / 1_000_000_000).to_string();
        let mut query = vec![("token_id".to_owned(), token.to_string())];
        match window {
            Window::Interval(word) => query.push(("interval".into(), word.into())),
            Window::Since(start, end) => {
                query.push(("start".into(), secs(start)));
                query.extend(end.map(|end| ("end".into(), secs(end))));
            }
            Window::AsOf(time) => query.push(("as_of".into(), secs(time))),
        }
        // A single time takes neither.
        if !matches!(window, Window::AsOf(_)) {
            query.extend(bucket_seconds.map(|step| ("bucket_seconds".into(), step.to_string())));
            query.push(("limit".into(), "10000".into()));
        }
        self.cursor("/v2/prices-history", Group::Data, query)
    }
}

fn some_csv<T: ToString>(key: &str, list: &[T]) -> Filters {
    if list.is_empty() { Vec::new() } else { vec![(key.to_owned(), csv(list))] }
}

/// Holders of a token (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TokenHolders {
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token: String,
    /// The largest first.
    #[serde(default, deserialize_with = "wire::vec")]
    pub holders: Vec<Holder>,
}

/// A holder.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Holder {
    /// The wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub amount: Option<Decimal>,
    /// Place; 999 for none.
    #[serde(default, rename = "outcomeIndex", deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Pseudonym.
    #[serde(default, deserialize_with = "wire::text")]
    pub pseudonym: String,
    /// About.
    #[serde(default, deserialize_with = "wire::text")]
    pub bio: String,
    /// Picture.
    #[serde(default, rename = "profileImage", deserialize_with = "wire::text")]
    pub profile_image: String,
    /// Shown.
    #[serde(default, rename = "displayUsernamePublic", deserialize_with = "wire::flag")]
    pub display_username_public: bool,
}

/// Holders of a token (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct HoldersV2 {
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// The largest first.
    #[serde(default, deserialize_with = "wire::vec")]
    pub holders: Vec<HolderV2>,
}

/// A holder.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct HolderV2 {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub amount: Option<Decimal>,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// Place; 999 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Shown.
    #[serde(default, deserialize_with = "wire::flag")]
    pub display_username_public: bool,
    /// Verified.
    #[serde(default, deserialize_with = "wire::flag")]
    pub verified: bool,
    /// pUSD per share, with `include_pnl` (so all below).
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_price: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_value: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub entry_cost_usdc: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub unrealized_pnl: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_pnl: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub avg_price: Option<Decimal>,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Pseudonym.
    #[serde(default, deserialize_with = "wire::text")]
    pub pseudonym: String,
}

/// Open interest of a market.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct OpenInterest {
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub market: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub value: Option<Decimal>,
}

/// Volume of an event.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct LiveVolume {
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total: Option<Decimal>,
    /// By market.
    #[serde(default, deserialize_with = "wire::vec")]
    pub markets: Vec<OpenInterest>,
}

/// What a token is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TokenV2 {
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Which contracts made it: `v1_ctf`, `binary`, `neg_risk`, `combo`.
    #[serde(default, deserialize_with = "wire::text")]
    pub module: String,
    /// Place.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Place on the CLOB.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub clob_index: Option<i64>,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// The other outcome's.
    #[serde(default, deserialize_with = "wire::text")]
    pub opposite_token_id: String,
    /// Resolved.
    #[serde(default, deserialize_with = "wire::flag")]
    pub resolved: bool,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub final_price: Option<Decimal>,
    /// Closed.
    #[serde(default, deserialize_with = "wire::flag")]
    pub closed: bool,
    /// Neg-risk.
    #[serde(default, deserialize_with = "wire::flag")]
    pub neg_risk: bool,
    /// Group.
    #[serde(default, deserialize_with = "wire::text")]
    pub neg_risk_market_id: String,
    /// Place in the group.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub question_index: Option<i64>,
    /// Event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_id: String,
    /// Event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub market_slug: String,
}

/// How far a resolution is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Resolution {
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub question_id: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_id: String,
    /// initialized, posed, proposed, challenged, reproposed, disputed, active, arbitration, resolved.
    #[serde(default, deserialize_with = "wire::text")]
    pub status: String,
    /// Looked at for longer.
    #[serde(default, deserialize_with = "wire::flag")]
    pub extended_review: bool,
    /// The rules of the question were changed.
    #[serde(default, rename = "new_version_q", deserialize_with = "wire::flag")]
    pub rules_updated: bool,
    /// Last change.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub last_update_timestamp: Option<Time>,
    /// What was proposed after a dispute. 69 stands for none.
    #[serde(default, deserialize_with = "wire::opt")]
    pub reproposed_price: Option<Decimal>,
    /// What was proposed. 69 stands for none.
    #[serde(default, deserialize_with = "wire::opt")]
    pub proposed_price: Option<Decimal>,
    /// What was decided. 69 stands for none.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Disputed before.
    #[serde(default, deserialize_with = "wire::flag")]
    pub was_disputed: bool,
    /// [yes, no], as sent. UNCERTAIN in what: the official Python client reads millionths of a dollar.
    #[serde(default, deserialize_with = "wire::list")]
    pub payouts: Vec<String>,
    /// How the payout was found: `reported` or `derived`.
    #[serde(default, deserialize_with = "wire::text")]
    pub resolution_source: String,
    /// UMA_OO, CHAINLINK, EOA; empty before it is resolved.
    #[serde(default, deserialize_with = "wire::text")]
    pub reporter: String,
    /// When.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub resolved_at: Option<Time>,
    /// Estimate.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub expected_settlement_time: Option<Time>,
    /// Transaction.
    #[serde(default, deserialize_with = "wire::text")]
    pub transaction_hash: String,
}

/// Open interest of a market (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct OpenInterestV2 {
    /// Condition id; `GLOBAL` for the whole venue.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub value: Option<Decimal>,
}

/// What takers traded in events (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct LiveVolumeV2 {
    /// **Shares**.
    #[serde(default, deserialize_with = "wire::opt")]
    pub taker_volume_total: Option<Decimal>,
    /// By market.
    #[serde(default, deserialize_with = "wire::vec")]
    pub conditions: Vec<MarketVolumeV2>,
}

/// What takers traded in a market (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct MarketVolumeV2 {
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// **Shares**.
    #[serde(default, deserialize_with = "wire::opt")]
    pub taker_volume: Option<Decimal>,
}

/// A past price (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PricePointV2 {
    /// When.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Width of the bucket it stands for; 0 for an exact tick.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub resolution_seconds: Option<u32>,
}
