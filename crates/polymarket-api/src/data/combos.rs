//! Combos: positions that win only when all their legs do. Their condition ids have 62 digits.

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
    /// Combos of a wallet (`status`, as a comma list; `condition_id`; `sort_by` FIRST_ENTRY, ENTRY_COST,
    /// CURRENT_VALUE, UPDATED; `sort_direction`; `updated_after`, `updated_before` in Unix seconds).
    pub fn combo_positions(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> impl Stream<Item = Result<ComboPosition, ApiError>> + Send + use<> {
        self.cursor("/v2/positions/combos", Group::DataPositions, with_user(wallet, filters))
    }
    /// What a wallet did with combos apart from trading them (`condition_id`).
    pub fn combo_activity(
        &self,
        wallet: &str,
        filters: Filters,
    ) -> impl Stream<Item = Result<ComboActivity, ApiError>> + Send + use<> {
        self.cursor("/v2/activity/combos", Group::Data, with_user(wallet, filters))
    }
}

words! {
    /// Where a combo or one of its legs is.
    ComboStatus "" {
        /// Nothing is decided against it.
        Open = "OPEN",
        /// Won, and not yet paid.
        Redeemable = "REDEEMABLE",
        /// Some legs are decided.
        Partial = "PARTIAL",
        /// Decided in part.
        ResolvedPartial = "RESOLVED_PARTIAL",
        /// Won.
        Won = "RESOLVED_WIN",
        /// Lost.
        Lost = "RESOLVED_LOSS",
    }
}

words! {
    /// What was done with a combo.
    ComboAct "" {
        /// Made from money.
        Split = "SPLIT",
        /// Made into money.
        Merge = "MERGE",
        /// Turned into others.
        Convert = "CONVERT",
        /// Made simpler by decided legs.
        Compress = "COMPRESS",
        /// Made from outcome tokens.
        Wrap = "WRAP",
        /// Made into outcome tokens.
        Unwrap = "UNWRAP",
        /// A result into pUSD.
        Redeem = "REDEEM",
    }
}

/// A combo that a wallet holds or held.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ComboPosition {
    /// Condition id (62 digits).
    #[serde(default, deserialize_with = "wire::text")]
    pub combo_condition_id: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub combo_position_id: String,
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Which side; 999 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<i64>,
    /// Its label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome_label: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub current_size: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub entry_avg_price_usdc: Option<Decimal>,
    /// pUSD, rounded.
    #[serde(default, deserialize_with = "wire::opt")]
    pub entry_cost_usdc: Option<Decimal>,
    /// pUSD, with fees. Less the fees it is the exact cost.
    #[serde(default, deserialize_with = "wire::opt")]
    pub gross_entry_cost_usdc: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub entry_fees_usdc: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub realized_payout_usdc: Option<Decimal>,
    /// Where it is.
    #[serde(default)]
    pub status: ComboStatus,
    /// Won, and not yet paid.
    #[serde(default, deserialize_with = "wire::flag")]
    pub redeemable: bool,
    /// First trade.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub first_entry_at: Option<Time>,
    /// When it was decided.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub resolved_at: Option<Time>,
    /// Last change.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
    /// Legs in all.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub legs_total: Option<u32>,
    /// Legs that are decided.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub legs_resolved: Option<u32>,
    /// Legs that are not.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub legs_pending: Option<u32>,
    /// In order.
    #[serde(default, deserialize_with = "wire::vec")]
    pub legs: Vec<ComboLeg>,
}

/// Something done with a combo.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ComboActivity {
    /// Transaction and place of the log.
    #[serde(default, deserialize_with = "wire::text")]
    pub id: String,
    /// What.
    #[serde(default, rename = "type")]
    pub kind: ComboAct,
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// Condition id (62 digits).
    #[serde(default, deserialize_with = "wire::text")]
    pub combo_condition_id: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub combo_position_id: String,
    /// pUSD, where money moved.
    #[serde(default, deserialize_with = "wire::opt")]
    pub amount_usdc: Option<Decimal>,
    /// pUSD paid, on redemptions.
    #[serde(default, deserialize_with = "wire::opt")]
    pub payout_usdc: Option<Decimal>,
    /// When.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// Block: rows are ordered by it, not by time.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub block_number: Option<u64>,
    /// Transaction.
    #[serde(default, deserialize_with = "wire::text")]
    pub transaction_hash: String,
    /// In order.
    #[serde(default, deserialize_with = "wire::vec")]
    pub legs: Vec<ComboLeg>,
}

/// A leg of a combo.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ComboLeg {
    /// Its place, from 0.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub leg_index: Option<u32>,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub leg_position_id: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub leg_condition_id: String,
    /// The outcome it needs; 999 for none.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub leg_outcome_index: Option<i64>,
    /// Its label.
    #[serde(default, deserialize_with = "wire::text")]
    pub leg_outcome_label: String,
    /// Where it is.
    #[serde(default)]
    pub leg_status: ComboStatus,
    /// When it was decided.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub leg_resolved_at: Option<Time>,
    /// pUSD per share; cached.
    #[serde(default, deserialize_with = "wire::opt")]
    pub leg_current_price: Option<Decimal>,
    /// Its market.
    #[serde(default)]
    pub market: Option<ComboMarket>,
}

/// The market of a leg.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ComboMarket {
    /// Gamma's number.
    #[serde(default, deserialize_with = "wire::text")]
    pub market_id: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub slug: String,
    /// Title.
    #[serde(default, deserialize_with = "wire::text")]
    pub title: String,
    /// Question.
    #[serde(default, deserialize_with = "wire::text")]
    pub question: String,
    /// Name of the outcome within its event.
    #[serde(default, deserialize_with = "wire::text")]
    pub group_item_title: String,
    /// Kind of sports market.
    #[serde(default, deserialize_with = "wire::text")]
    pub sports_market_type: String,
    /// Handicap or total.
    #[serde(default, deserialize_with = "wire::opt")]
    pub line: Option<Decimal>,
    /// Labels.
    #[serde(default, deserialize_with = "wire::list")]
    pub outcomes: Vec<String>,
    /// The label the leg needs.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub image_url: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub icon_url: String,
    /// Category.
    #[serde(default, deserialize_with = "wire::text")]
    pub category: String,
    /// Category.
    #[serde(default, deserialize_with = "wire::text")]
    pub subcategory: String,
    /// Tags.
    #[serde(default, deserialize_with = "wire::list")]
    pub tags: Vec<String>,
    /// Nominal end.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub end_date: Option<Time>,
    /// Its event.
    #[serde(default)]
    pub event: Option<ComboEvent>,
}

/// The event of a leg.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ComboEvent {
    /// Gamma's number.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_id: String,
    /// Slug.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_slug: String,
    /// Title.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_title: String,
    /// Picture.
    #[serde(default, deserialize_with = "wire::text")]
    pub event_image: String,
}
