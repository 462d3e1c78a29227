//! Markets of Gamma: every field a bot uses. Unknown fields are ignored, unknown words kept as text.

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{EventStub, Tag};
use crate::wire;

/// A market as Gamma describes it. Absent facts are `None`, empty or false: see each field.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct GammaMarket {
    /// Gamma's number, as text.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Protocol: `v1` or `v2`; missing on old rows. Unknown means: do not trade.
    #[serde(default, deserialize_with = "wire::text")]
    pub version: String,
    /// Condition id.
    #[serde(default, rename = "conditionId", deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Question id.
    #[serde(default, rename = "questionID", deserialize_with = "wire::text")]
    pub question_id: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// The question.
    #[serde(default, deserialize_with = "wire::text")]
    pub question: String,
    /// Rules of resolution.
    #[serde(default, deserialize_with = "wire::text")]
    pub description: String,
    /// Where the answer is read.
    #[serde(default, rename = "resolutionSource", deserialize_with = "wire::text")]
    pub resolution_source: String,
    /// Category of old rows.
    #[serde(default, deserialize_with = "wire::text")]
    pub category: String,
    /// `scalar` and others on old rows.
    #[serde(default, rename = "marketType", deserialize_with = "wire::text")]
    pub market_type: String,
    /// Labels (text containing a JSON list on the wire).
    #[serde(default, deserialize_with = "wire::list")]
    pub outcomes: Vec<String>,
    /// Cached prices, final `1` and `0` after resolution. Do not trade on them.
    #[serde(default, rename = "outcomePrices", deserialize_with = "wire::list")]
    pub outcome_prices: Vec<String>,
    /// Tokens in the order of the outcomes.
    #[serde(default, rename = "clobTokenIds", deserialize_with = "wire::list")]
    pub clob_token_ids: Vec<String>,
    /// Protocol-v2 ids; may be there on v1 markets, where they cannot be traded.
    #[serde(default, rename = "positionIds", deserialize_with = "wire::list")]
    pub position_ids: Vec<String>,
    /// Published; stays true after closing.
    #[serde(default, deserialize_with = "wire::flag")]
    pub active: bool,
    /// Trading is over.
    #[serde(default, deserialize_with = "wire::flag")]
    pub closed: bool,
    /// Hidden.
    #[serde(default, deserialize_with = "wire::flag")]
    pub archived: bool,
    /// The gate for order entry; true on some closed markets.
    #[serde(default, rename = "acceptingOrders", deserialize_with = "wire::flag")]
    pub accepting_orders: bool,
    /// Whether it has a book.
    #[serde(default, rename = "enableOrderBook", deserialize_with = "wire::flag")]
    pub enable_order_book: bool,
    /// Restricted by region on the web site.
    #[serde(default, deserialize_with = "wire::flag")]
    pub restricted: bool,
    /// Old lifecycle flag.
    #[serde(default, deserialize_with = "wire::flag")]
    pub ready: bool,
    /// Old lifecycle flag.
    #[serde(default, deserialize_with = "wire::flag")]
    pub funded: bool,
    /// Approved for listing.
    #[serde(default, deserialize_with = "wire::flag")]
    pub approved: bool,
    /// Shown up front.
    #[serde(default, deserialize_with = "wire::flag")]
    pub featured: bool,
    /// Marked new.
    #[serde(default, rename = "new", deserialize_with = "wire::flag")]
    pub is_new: bool,
    /// Opened by itself.
    #[serde(default, rename = "automaticallyActive", deserialize_with = "wire::flag")]
    pub automatically_active: bool,
    /// Resolved by itself.
    #[serde(default, rename = "automaticallyResolved", deserialize_with = "wire::flag")]
    pub automatically_resolved: bool,
    /// Opened by hand.
    #[serde(default, rename = "manualActivation", deserialize_with = "wire::flag")]
    pub manual_activation: bool,
    /// The book is wiped at the start of the game.
    #[serde(default, rename = "clearBookOnStart", deserialize_with = "wire::flag")]
    pub clear_book_on_start: bool,
    /// Belongs to a neg-risk group. `None` is unknown: an order signed for the wrong exchange is refused.
    #[serde(default, rename = "negRisk")]
    pub neg_risk: Option<bool>,
    /// The group's "other" outcome: its meaning changes.
    #[serde(default, rename = "negRiskOther", deserialize_with = "wire::flag")]
    pub neg_risk_other: bool,
    /// The group.
    #[serde(default, rename = "negRiskMarketID", deserialize_with = "wire::text")]
    pub neg_risk_market_id: String,
    /// The request.
    #[serde(default, rename = "negRiskRequestID", deserialize_with = "wire::text")]
    pub neg_risk_request_id: String,
    /// Name of the outcome within its event.
    #[serde(default, rename = "groupItemTitle", deserialize_with = "wire::text")]
    pub group_item_title: String,
    /// Order or threshold within its event.
    #[serde(default, rename = "groupItemThreshold", deserialize_with = "wire::text")]
    pub group_item_threshold: String,
    /// Pays interest.
    #[serde(default, rename = "holdingRewardsEnabled", deserialize_with = "wire::flag")]
    pub holding_rewards_enabled: bool,
    /// Requests for quotes.
    #[serde(default, rename = "rfqEnabled", deserialize_with = "wire::flag")]
    pub rfq_enabled: bool,
    /// Made by users.
    #[serde(default, deserialize_with = "wire::flag")]
    pub cyom: bool,
    /// Internal.
    #[serde(default, rename = "pagerDutyNotificationEnabled", deserialize_with = "wire::flag")]
    pub pager_duty_notification_enabled: bool,
    /// Start.
    #[serde(default, rename = "startDate", deserialize_with = "wire::opt_time")]
    pub start_date: Option<Time>,
    /// Nominal end; a market can stay open after it.
    #[serde(default, rename = "endDate", deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
    /// Day.
    #[serde(default, rename = "startDateIso", deserialize_with = "wire::text")]
    pub start_date_iso: String,
    /// Day.
    #[serde(default, rename = "endDateIso", deserialize_with = "wire::text")]
    pub end_date_iso: String,
    /// Created.
    #[serde(default, rename = "createdAt", deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Changed.
    #[serde(default, rename = "updatedAt", deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
    /// Closed.
    #[serde(default, rename = "closedTime", deserialize_with = "wire::opt_time")]
    pub closed_time: Option<Time>,
    /// When orders opened.
    #[serde(default, rename = "acceptingOrdersTimestamp", deserialize_with = "wire::opt_time")]
    pub accepting_orders_timestamp: Option<Time>,
    /// Deployed.
    #[serde(default, rename = "deployingTimestamp", deserialize_with = "wire::opt_time")]
    pub deploying_timestamp: Option<Time>,
    /// Start of the window (crypto up-down) or game.
    #[serde(default, rename = "eventStartTime", deserialize_with = "wire::opt_time")]
    pub event_start_time: Option<Time>,
    /// Start of the game.
    #[serde(default, rename = "gameStartTime", deserialize_with = "wire::opt_time")]
    pub game_start_time: Option<Time>,
    /// End of the oracle's time.
    #[serde(default, rename = "umaEndDate", deserialize_with = "wire::opt_time")]
    pub uma_end_date: Option<Time>,
    /// Tick size.
    #[serde(default, rename = "orderPriceMinTickSize", deserialize_with = "wire::opt")]
    pub order_price_min_tick_size: Option<Decimal>,
    /// Least order size in shares.
    #[serde(default, rename = "orderMinSize", deserialize_with = "wire::opt")]
    pub order_min_size: Option<Decimal>,
    /// Cached.
    #[serde(default, rename = "bestBid", deserialize_with = "wire::opt")]
    pub best_bid: Option<Decimal>,
    /// Cached.
    #[serde(default, rename = "bestAsk", deserialize_with = "wire::opt")]
    pub best_ask: Option<Decimal>,
    /// Cached.
    #[serde(default, rename = "lastTradePrice", deserialize_with = "wire::opt")]
    pub last_trade_price: Option<Decimal>,
    /// Cached.
    #[serde(default, deserialize_with = "wire::opt")]
    pub spread: Option<Decimal>,
    /// A score.
    #[serde(default, deserialize_with = "wire::opt")]
    pub competitive: Option<Decimal>,
    /// Cached.
    #[serde(default, rename = "oneHourPriceChange", deserialize_with = "wire::opt")]
    pub one_hour_price_change: Option<Decimal>,
    /// Cached.
    #[serde(default, rename = "oneDayPriceChange", deserialize_with = "wire::opt")]
    pub one_day_price_change: Option<Decimal>,
    /// Cached.
    #[serde(default, rename = "oneWeekPriceChange", deserialize_with = "wire::opt")]
    pub one_week_price_change: Option<Decimal>,
    /// Cached.
    #[serde(default, rename = "oneMonthPriceChange", deserialize_with = "wire::opt")]
    pub one_month_price_change: Option<Decimal>,
    /// Cached.
    #[serde(default, rename = "oneYearPriceChange", deserialize_with = "wire::opt")]
    pub one_year_price_change: Option<Decimal>,
    /// pUSD, lifetime (a string on the wire; sort by `volumeNum`).
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// pUSD (a string on the wire; sort by `liquidityNum`).
    #[serde(default, deserialize_with = "wire::opt")]
    pub liquidity: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volumeNum", deserialize_with = "wire::opt")]
    pub volume_num: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "liquidityNum", deserialize_with = "wire::opt")]
    pub liquidity_num: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume24hr", deserialize_with = "wire::opt")]
    pub volume_24hr: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1wk", deserialize_with = "wire::opt")]
    pub volume_1wk: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1mo", deserialize_with = "wire::opt")]
    pub volume_1mo: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1yr", deserialize_with = "wire::opt")]
    pub volume_1yr: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volumeClob", deserialize_with = "wire::opt")]
    pub volume_clob: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume24hrClob", deserialize_with = "wire::opt")]
    pub volume_24hr_clob: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1wkClob", deserialize_with = "wire::opt")]
    pub volume_1wk_clob: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1moClob", deserialize_with = "wire::opt")]
    pub volume_1mo_clob: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "volume1yrClob", deserialize_with = "wire::opt")]
    pub volume_1yr_clob: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "liquidityClob", deserialize_with = "wire::opt")]
    pub liquidity_clob: Option<Decimal>,
    /// Whether takers pay. `None` is unknown, not free.
    #[serde(default, rename = "feesEnabled")]
    pub fees_enabled: Option<bool>,
    /// For example `crypto_fees_v2`.
    #[serde(default, rename = "feeType", deserialize_with = "wire::text")]
    pub fee_type: String,
    /// The parameters.
    #[serde(default, rename = "feeSchedule")]
    pub fee_schedule: Option<FeeSchedule>,
    /// Legacy cap, ignored.
    #[serde(default, rename = "makerBaseFee", deserialize_with = "wire::opt")]
    pub maker_base_fee: Option<Decimal>,
    /// Legacy cap, ignored.
    #[serde(default, rename = "takerBaseFee", deserialize_with = "wire::opt")]
    pub taker_base_fee: Option<Decimal>,
    /// Legacy, ignored.
    #[serde(default, rename = "makerRebatesFeeShareBps", deserialize_with = "wire::opt")]
    pub maker_rebates_fee_share_bps: Option<Decimal>,
    /// Least size for rewards in shares.
    #[serde(default, rename = "rewardsMinSize", deserialize_with = "wire::opt")]
    pub rewards_min_size: Option<Decimal>,
    /// Greatest spread for rewards in cents.
    #[serde(default, rename = "rewardsMaxSpread", deserialize_with = "wire::opt")]
    pub rewards_max_spread: Option<Decimal>,
    /// Reward programmes.
    #[serde(default, rename = "clobRewards", deserialize_with = "wire::vec")]
    pub clob_rewards: Vec<ClobReward>,
    /// Sports matching delay in seconds.
    #[serde(default, rename = "secondsDelay", deserialize_with = "wire::opt")]
    pub seconds_delay: Option<Decimal>,
    /// Sports; sometimes composite.
    #[serde(default, rename = "gameId", deserialize_with = "wire::text")]
    pub game_id: String,
    /// Sports.
    #[serde(default, rename = "sportsMarketType", deserialize_with = "wire::text")]
    pub sports_market_type: String,
    /// Sports.
    #[serde(default, deserialize_with = "wire::opt")]
    pub line: Option<Decimal>,
    /// Sports.
    #[serde(default, rename = "teamAID", deserialize_with = "wire::text")]
    pub team_a_id: String,
    /// Sports.
    #[serde(default, rename = "teamBID", deserialize_with = "wire::text")]
    pub team_b_id: String,
    /// pUSD.
    #[serde(default, rename = "umaBond", deserialize_with = "wire::opt")]
    pub uma_bond: Option<Decimal>,
    /// pUSD.
    #[serde(default, rename = "umaReward", deserialize_with = "wire::opt")]
    pub uma_reward: Option<Decimal>,
    /// Seconds; 0 for the default of two hours.
    #[serde(default, rename = "customLiveness", deserialize_with = "wire::opt")]
    pub custom_liveness: Option<Decimal>,
    /// requested, proposed, disputed, resolved, settled.
    #[serde(default, rename = "umaResolutionStatus", deserialize_with = "wire::text")]
    pub uma_resolution_status: String,
    /// Its history.
    #[serde(default, rename = "umaResolutionStatuses", deserialize_with = "wire::list")]
    pub uma_resolution_statuses: Vec<String>,
    /// Protocol v2: inactive, active, resolved.
    #[serde(default, rename = "resolutionStatus", deserialize_with = "wire::text")]
    pub resolution_status: String,
    /// Resolver.
    #[serde(default, rename = "resolvedBy", deserialize_with = "wire::text")]
    pub resolved_by: String,
    /// Proposer.
    #[serde(default, deserialize_with = "wire::text")]
    pub submitted_by: String,
    /// Legacy market maker.
    #[serde(default, rename = "marketMakerAddress", deserialize_with = "wire::text")]
    pub market_maker_address: String,
    /// Creator.
    #[serde(default, deserialize_with = "wire::text")]
    pub creator: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub image: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon: String,
    /// Scalar markets.
    #[serde(default, rename = "lowerBound", deserialize_with = "wire::text")]
    pub lower_bound: String,
    /// Scalar markets.
    #[serde(default, rename = "upperBound", deserialize_with = "wire::text")]
    pub upper_bound: String,
    /// Crypto up-down.
    #[serde(default, rename = "cryptoMarketConfig")]
    pub crypto_market_config: Option<CryptoMarketConfig>,
    /// Events it belongs to.
    #[serde(default, deserialize_with = "wire::vec")]
    pub events: Vec<EventStub>,
    /// Tags, where asked for.
    #[serde(default, deserialize_with = "wire::vec")]
    pub tags: Vec<Tag>,
}

/// Fee parameters of a market.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct FeeSchedule {
    /// Rate.
    #[serde(default, deserialize_with = "wire::opt")]
    pub rate: Option<Decimal>,
    /// Exponent.
    #[serde(default, deserialize_with = "wire::opt")]
    pub exponent: Option<Decimal>,
    /// Whether makers are free.
    #[serde(default, rename = "takerOnly", alias = "taker_only", deserialize_with = "wire::flag")]
    pub taker_only: bool,
    /// The makers' share.
    #[serde(default, rename = "rebateRate", alias = "rebate_rate", deserialize_with = "wire::opt")]
    pub rebate_rate: Option<Decimal>,
}

/// A reward programme.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ClobReward {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// Condition id.
    #[serde(default, rename = "conditionId", deserialize_with = "wire::text")]
    pub condition_id: String,
    /// Paid in.
    #[serde(default, rename = "assetAddress", deserialize_with = "wire::text")]
    pub asset_address: String,
    /// In all.
    #[serde(default, rename = "rewardsAmount", deserialize_with = "wire::opt")]
    pub rewards_amount: Option<Decimal>,
    /// A day.
    #[serde(default, rename = "rewardsDailyRate", deserialize_with = "wire::opt")]
    pub rewards_daily_rate: Option<Decimal>,
    /// First day.
    #[serde(default, rename = "startDate", deserialize_with = "wire::text")]
    pub start_date: String,
    /// Last day.
    #[serde(default, rename = "endDate", deserialize_with = "wire::text")]
    pub end_date: String,
}

/// How a crypto up-down market resolves.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct CryptoMarketConfig {
    /// Id.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// For example `btc`.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset: String,
    /// For example `5m`.
    #[serde(default, deserialize_with = "wire::text")]
    pub duration: String,
    /// By an average.
    #[serde(default, rename = "twapEnabled", deserialize_with = "wire::flag")]
    pub twap_enabled: bool,
    /// Seconds of it.
    #[serde(default, rename = "twapLookbackSeconds", deserialize_with = "wire::opt_int")]
    pub twap_lookback_seconds: Option<i64>,
}
