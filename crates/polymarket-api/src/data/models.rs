//! The Data API's objects, v1 and v2. `user` and `proxy_wallet` are the wallet that holds the funds.

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::wire::{self, words};

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
        /// For bringing somebody.
        ReferralReward = "REFERRAL_REWARD",
        /// A gift.
        Tip = "TIP",
    }
}

/// A position (v1 of the API).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Position {
    /// The wallet that holds it.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
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
    #[serde(default, rename = "avgPrice", deserialize_with = "wire::opt")]
    pub avg_price: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "initialValue", deserialize_with = "wire::opt")]
    pub initial_value: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "currentValue", deserialize_with = "wire::opt")]
    pub current_value: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "cashPnl", deserialize_with = "wire::opt")]
    pub cash_pnl: Option<Decimal>,
    /// Per cent.
    #[serde(default, rename = "percentPnl", deserialize_with = "wire::opt")]
    pub percent_pnl: Option<Decimal>,
    /// Shares.
    #[serde(default, rename = "totalBought", deserialize_with = "wire::opt")]
    pub total_bought: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "realizedPnl", deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// Per cent.
    #[serde(default, rename = "percentRealizedPnl", deserialize_with = "wire::opt")]
    pub percent_realized_pnl: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "entryFeesUsdc", deserialize_with = "wire::opt")]
    pub entry_fees_usdc: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, rename = "curPrice", deserialize_with = "wire::opt")]
    pub cur_price: Option<Decimal>,
    /// The market resolved.
    #[serde(default, deserialize_with = "wire::flag")]
    pub redeemable: bool,
    /// Both outcomes are held.
    #[serde(default, deserialize_with = "wire::flag")]
    pub mergeable: bool,
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
    #[serde(default, rename = "eventId", deserialize_with = "wire::text")]
    pub event_id: String,
    /// Event.
    #[serde(default, rename = "eventSlug", deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Place; 999 for none.
    #[serde(default, rename = "outcomeIndex", deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Label.
    #[serde(default, rename = "oppositeOutcome", deserialize_with = "wire::text")]
    pub opposite_outcome: String,
    /// Token id.
    #[serde(default, rename = "oppositeAsset", deserialize_with = "wire::text")]
    pub opposite_asset: String,
    /// End.
    #[serde(default, rename = "endDate", deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
    /// Neg-risk.
    #[serde(default, rename = "negativeRisk", deserialize_with = "wire::flag")]
    pub negative_risk: bool,
}

/// A position that is over (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ClosedPosition {
    /// The wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset: String,
    /// Condition id.
    #[serde(default, rename = "conditionId", deserialize_with = "wire::text")]
    pub condition_id: String,
    /// pUSD per share.
    #[serde(default, rename = "avgPrice", deserialize_with = "wire::opt")]
    pub avg_price: Option<Decimal>,
    /// Shares.
    #[serde(default, rename = "totalBought", deserialize_with = "wire::opt")]
    pub total_bought: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "realizedPnl", deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, rename = "curPrice", deserialize_with = "wire::opt")]
    pub cur_price: Option<Decimal>,
    /// When it ended.
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
    /// Label.
    #[serde(default, rename = "oppositeOutcome", deserialize_with = "wire::text")]
    pub opposite_outcome: String,
    /// Token id.
    #[serde(default, rename = "oppositeAsset", deserialize_with = "wire::text")]
    pub opposite_asset: String,
    /// End.
    #[serde(default, rename = "endDate", deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
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

/// A trade of anybody's (v1).
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

/// What a wallet's positions are worth.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Value {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub user: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub value: Option<Decimal>,
}

/// How many markets a wallet traded.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Traded {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub user: String,
    /// Markets.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub traded: Option<i64>,
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

/// A row of the leaderboard (v1).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Leader {
    /// Place.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank: Option<i64>,
    /// The wallet.
    #[serde(default, rename = "proxyWallet", deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Name.
    #[serde(default, rename = "userName", deserialize_with = "wire::text")]
    pub user_name: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub vol: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub pnl: Option<Decimal>,
    /// Picture.
    #[serde(default, rename = "profileImage", deserialize_with = "wire::text")]
    pub profile_image: String,
    /// X.
    #[serde(default, rename = "xUsername", deserialize_with = "wire::text")]
    pub x_username: String,
    /// Verified.
    #[serde(default, rename = "verifiedBadge", deserialize_with = "wire::flag")]
    pub verified_badge: bool,
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

/// A position (v2 of the API).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PositionV2 {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_size: Option<Decimal>,
    /// Shares ever.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_size: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub avg_price: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub entry_cost_usdc: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub entry_fees_usdc: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_cost_usdc: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_price: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_value: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub unrealized_pnl: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub total_pnl: Option<Decimal>,
    /// Per cent.
    #[serde(default, deserialize_with = "wire::opt")]
    pub percent_pnl: Option<Decimal>,
    /// Per cent.
    #[serde(default, deserialize_with = "wire::opt")]
    pub percent_realized_pnl: Option<Decimal>,
    /// OPEN, REDEEMABLE, REDEEMABLE_LOST, MERGEABLE, CLOSED.
    #[serde(default, deserialize_with = "wire::text")]
    pub status: String,
    /// The market resolved.
    #[serde(default, deserialize_with = "wire::flag")]
    pub redeemable: bool,
    /// Both outcomes are held.
    #[serde(default, deserialize_with = "wire::flag")]
    pub mergeable: bool,
    /// Neg-risk.
    #[serde(default, deserialize_with = "wire::flag")]
    pub negative_risk: bool,
    /// Hidden.
    #[serde(default, deserialize_with = "wire::flag")]
    pub archived: bool,
    /// Verified.
    #[serde(default)]
    pub verified: Option<bool>,
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
    pub event_id: String,
    /// Event.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Place; 999 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub opposite_outcome: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub opposite_token_id: String,
    /// End.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
    /// Last change.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub last_event_at: Option<Time>,
    /// First trade.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub first_entry_at: Option<Time>,
}

/// A trade of anybody's (v2).
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

/// What a token is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TokenV2 {
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub token_id: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Protocol-v2 module.
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
    /// What was proposed.
    #[serde(default, deserialize_with = "wire::opt")]
    pub proposed_price: Option<Decimal>,
    /// What was decided.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Disputed before.
    #[serde(default, deserialize_with = "wire::flag")]
    pub was_disputed: bool,
    /// [yes, no].
    #[serde(default, deserialize_with = "wire::list")]
    pub payouts: Vec<String>,
    /// Where the answer is read.
    #[serde(default, deserialize_with = "wire::text")]
    pub resolution_source: String,
    /// UMA_OO, CHAINLINK, EOA.
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

/// A row of the leaderboard (v2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct LeaderV2 {
    /// Place.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub rank: Option<i64>,
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub user_id: String,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub pnl: Option<Decimal>,
    /// **Shares**.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// Name.
    #[serde(default, deserialize_with = "wire::text")]
    pub user_name: String,
    /// X.
    #[serde(default, deserialize_with = "wire::text")]
    pub x_username: String,
    /// Verified.
    #[serde(default, deserialize_with = "wire::flag")]
    pub verified: bool,
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

/// A spender's allowance as indexed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Approval {
    /// Contract.
    #[serde(default, deserialize_with = "wire::text")]
    pub token: String,
    /// Contract.
    #[serde(default, deserialize_with = "wire::text")]
    pub spender: String,
    /// ERC20 or ERC1155.
    #[serde(default, deserialize_with = "wire::text")]
    pub standard: String,
    /// Whether it may.
    #[serde(default, deserialize_with = "wire::flag")]
    pub approved: bool,
    /// Millionths, up to 2^256 − 1.
    #[serde(default, deserialize_with = "wire::text")]
    pub amount: String,
}

/// Where a list goes on.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Pagination {
    /// More rows.
    #[serde(default, deserialize_with = "wire::flag")]
    pub has_more: bool,
    /// Where.
    #[serde(default, deserialize_with = "wire::text")]
    pub next_cursor: String,
}
