//! What wallets did: trades and everything else that moved tokens or money.

use futures_util::Stream;
use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Data, with_user};
use crate::ApiError;
use crate::gamma::Filters;
use crate::limits::Group;
use crate::{wire, words};

impl Data {
    /// What a wallet did, up to 500 at a time.
    pub async fn activity(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> Result<Vec<Activity>, ApiError> {
        self.user("/activity", Group::Data, wallet, filters).await
    }
    /// Public trades. Without `("takerOnly", "false")` maker fills are left out.
    pub async fn trades(&self, filters: Filters) -> Result<Vec<PublicTrade>, ApiError> {
        self.get("/trades", Group::DataTrades, &filters).await
    }
    /// What a wallet did, newest first, as maker and as taker. A changing `start` defeats the edge's cache
    /// of 15 s.
    pub fn activity_v2(
        &self,
        wallet: &str,
        start: Option<Time>,
        filters: Filters,
    ) -> impl Stream<Item = Result<ActivityV2, ApiError>> + Send + use<> {
        let mut query = with_user(wallet, filters);
        if let Some(start) = start {
            query.push(("start".into(), (start.nanos() / 1_000_000_000).to_string()));
        }
        if !query.iter().any(|(key, _)| key == "sort_direction") {
            query.push(("sort_direction".into(), "DESC".into()));
        }
        self.cursor("/v2/activity", Group::Data, query)
    }
    /// Public trades.
    pub fn trades_v2(
        &self,
        filters: Filters,
    ) -> impl Stream<Item = Result<TradeV2, ApiError>> + Send + use<> {
        self.cursor("/v2/trades", Group::DataTrades, filters)
    }
}

words! {
    /// What a wallet did.
    ActivityKind "" {
        /// Bought or sold.
        Trade = "TRADE",
        /// pUSD into both outcomes.
        Split = "SPLIT",
        /// Both outcomes into pUSD.
        Merge = "MERGE",
        /// A result into pUSD.
        Redeem = "REDEEM",
        /// Liquidity reward.
        Reward = "REWARD",
        /// Neg-risk conversion.
        Conversion = "CONVERSION",
        /// Into protocol v2.
        Migration = "MIGRATION",
        /// Money in.
        Deposit = "DEPOSIT",
        /// Money out.
        Withdrawal = "WITHDRAWAL",
        /// Holding reward.
        Yield = "YIELD",
        /// Share of the fees.
        MakerRebate = "MAKER_REBATE",
        /// Fees given back.
        TakerRebate = "TAKER_REBATE",
        /// For a referral.
        ReferralReward = "REFERRAL_REWARD",
        /// A gift.
        Tip = "TIP",
    }
}

/// Something a wallet did (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Activity {
    /// The wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// When, in seconds.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// Condition id.
    #[serde(default, rename = "conditionId", deserialize_with = "wire::text")]
    pub condition_id: String,
    /// What.
    #[serde(default, rename = "type")]
    pub kind: ActivityKind,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "usdcSize", deserialize_with = "wire::opt")]
    pub usdc_size: Option<Decimal>,
    /// Transaction.
    #[serde(default, rename = "transactionHash", deserialize_with = "wire::text")]
    pub transaction_hash: String,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset: String,
    /// BUY or SELL of trades.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Place; 999 for none.
    #[serde(default, rename = "outcomeIndex", deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Event.
    #[serde(default, rename = "eventSlug", deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
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
    /// Picture.
    #[serde(default, rename = "profileImageOptimized", deserialize_with = "wire::text")]
    pub profile_image_optimized: String,
    /// Builder.
    #[serde(default, rename = "builderCode", deserialize_with = "wire::text")]
    pub builder_code: String,
}

/// A public trade (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PublicTrade {
    /// The wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// BUY or SELL.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset: String,
    /// Condition id.
    #[serde(default, rename = "conditionId", deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// When, in seconds.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Event.
    #[serde(default, rename = "eventSlug", deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
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
    /// Picture.
    #[serde(default, rename = "profileImageOptimized", deserialize_with = "wire::text")]
    pub profile_image_optimized: String,
    /// Transaction.
    #[serde(default, rename = "transactionHash", deserialize_with = "wire::text")]
    pub transaction_hash: String,
}

/// Something a wallet did (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ActivityV2 {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// What.
    #[serde(default, rename = "type")]
    pub kind: ActivityKind,
    /// When, in seconds.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// Transaction.
    #[serde(default, deserialize_with = "wire::text")]
    pub transaction_hash: String,
    /// Condition id; 62 digits for combos.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// BUY or SELL of trades.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub usdc_size: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Place; 999 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// A parlay.
    #[serde(default, deserialize_with = "wire::flag")]
    pub is_combo: bool,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Pseudonym.
    #[serde(default, deserialize_with = "wire::text")]
    pub pseudonym: String,
}

/// A public trade (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TradeV2 {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// BUY or SELL.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// When, in seconds.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Place; 999 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
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
    #[serde(default, deserialize_with = "wire::text")]
    pub profile_image: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub profile_image_optimized: String,
    /// Transaction.
    #[serde(default, deserialize_with = "wire::text")]
    pub transaction_hash: String,
}
