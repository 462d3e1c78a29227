//! A wallet in numbers: what it is worth, traded, gained, and has approved.

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Data, One, with_user};
use crate::gamma::Filters;
use crate::limits::Group;
use crate::{ApiError, wire};

impl Data {
    /// What a wallet's positions are worth, in pUSD.
    pub async fn value(&self, wallet: &str) -> Result<Vec<Value>, ApiError> {
        self.user("/value", Group::Data, wallet, Vec::new()).await
    }
    /// How many markets a wallet traded.
    pub async fn traded(&self, wallet: &str) -> Result<Traded, ApiError> {
        self.user("/traded", Group::Data, wallet, Vec::new()).await
    }
    /// What a wallet's positions are worth, in pUSD.
    pub async fn value_v2(&self, wallet: &str) -> Result<Option<Value>, ApiError> {
        Ok(self
            .get::<One<Value>>("/v2/value", Group::Data, &with_user(wallet, Vec::new()))
            .await?
            .data)
    }
    /// A wallet's approvals as indexed: a check without a node.
    pub async fn approvals(&self, wallet: &str) -> Result<Vec<Approval>, ApiError> {
        let answer: One<ApprovalsAnswer> =
            self.get("/v2/approvals", Group::Data, &with_user(wallet, Vec::new())).await?;
        Ok(answer.data.map(|data| data.contracts).unwrap_or_default())
    }
    /// A wallet's card: markets traded, biggest win, first day, profit of all time. `None` for a wallet the
    /// venue does not know.
    pub async fn user_stats(&self, wallet: &str) -> Result<Option<UserStats>, ApiError> {
        self.one("/v2/user-stats", with_user(wallet, Vec::new())).await
    }
    /// How much a wallet traded, from `start` to `end` (the venue's own bounds where not given).
    pub async fn user_volume(
        &self,
        wallet: &str,
        start: Option<Time>,
        end: Option<Time>,
    ) -> Result<Option<UserVolume>, ApiError> {
        let mut query = with_user(wallet, Vec::new());
        for (key, time) in [("start", start), ("end", end)] {
            if let Some(time) = time {
                query.push((key.into(), (time.nanos() / 1_000_000_000).to_string()));
            }
        }
        self.one("/v2/user-volume", query).await
    }
    /// A wallet's profit over time: `interval` max, all, 1m (a **month**), 1w, 1d, 12h, 6h; `fidelity` 1d,
    /// 18h, 12h, 3h, 1h.
    pub async fn user_pnl(
        &self,
        wallet: &str,
        interval: Option<&str>,
        fidelity: Option<&str>,
    ) -> Result<Option<UserPnl>, ApiError> {
        let mut query = with_user(wallet, Filters::new());
        for (key, word) in [("interval", interval), ("fidelity", fidelity)] {
            if let Some(word) = word {
                query.push((key.into(), word.into()));
            }
        }
        self.one("/v2/user-pnl", query).await
    }
}

/// What a wallet's positions are worth.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Value {
    /// The wallet.
    #[serde(default, alias = "proxy_wallet", deserialize_with = "wire::text")]
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

/// `GET /v2/approvals`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ApprovalsAnswer {
    #[serde(default, deserialize_with = "wire::vec")]
    contracts: Vec<Approval>,
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

/// A wallet's card.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct UserStats {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// **Markets** it traded in, in spite of the name.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub trades: Option<u64>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub biggest_win: Option<Decimal>,
    /// Views of its profile.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub views: Option<u64>,
    /// First day; 0 on the wire for none.
    #[serde(default, deserialize_with = "wire::known_time")]
    pub join_date: Option<Time>,
    /// Its profit so far.
    #[serde(default)]
    pub all_time_pnl: Option<PnlPoint>,
}

/// How much a wallet traded.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct UserVolume {
    /// **Shares**, as maker and as taker.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume_usdc: Option<Decimal>,
    /// Trades.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub trade_count: Option<u64>,
}

/// A wallet's profit over time.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct UserPnl {
    /// The wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub proxy_wallet: String,
    /// The stretch shown.
    #[serde(default, deserialize_with = "wire::text")]
    pub interval: String,
    /// The step shown.
    #[serde(default, deserialize_with = "wire::text")]
    pub fidelity: String,
    /// The step that was recorded.
    #[serde(default, deserialize_with = "wire::text")]
    pub source_fidelity: String,
    /// Oldest first.
    #[serde(default, deserialize_with = "wire::vec")]
    pub points: Vec<PnlPoint>,
}

/// A wallet's sums up to a time: pUSD unless stated otherwise; absent means unknown, not zero.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PnlPoint {
    /// When.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub timestamp: Option<Time>,
    /// Block it was computed at.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub source_block: Option<u64>,
    /// Trades.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub trade_count: Option<u64>,
    /// **Shares**.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume: Option<Decimal>,
    /// Traded.
    #[serde(default, deserialize_with = "wire::opt")]
    pub volume_usdc: Option<Decimal>,
    /// Realised in all.
    #[serde(default, deserialize_with = "wire::opt")]
    pub realized_pnl: Option<Decimal>,
    /// Realised in markets.
    #[serde(default, deserialize_with = "wire::opt")]
    pub realized_market_pnl: Option<Decimal>,
    /// Realised as a liquidity provider of old.
    #[serde(default, deserialize_with = "wire::opt")]
    pub realized_lp_pnl: Option<Decimal>,
    /// Realised in combos.
    #[serde(default, deserialize_with = "wire::opt")]
    pub realized_combo_pnl: Option<Decimal>,
    /// Not realised.
    #[serde(default, deserialize_with = "wire::opt")]
    pub unrealized_pnl: Option<Decimal>,
    /// Of positions.
    #[serde(default, deserialize_with = "wire::opt")]
    pub position_pnl: Option<Decimal>,
    /// Of what is settled.
    #[serde(default, deserialize_with = "wire::opt")]
    pub settled_pnl: Option<Decimal>,
    /// Of trades.
    #[serde(default, deserialize_with = "wire::opt")]
    pub trade_pnl: Option<Decimal>,
    /// With income and fees.
    #[serde(default, deserialize_with = "wire::opt")]
    pub economic_pnl: Option<Decimal>,
    /// Fees.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fees: Option<Decimal>,
    /// Fees paid.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fees_paid: Option<Decimal>,
    /// Fees given back.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fees_refunded: Option<Decimal>,
    /// Shares of fees as a maker.
    #[serde(default, deserialize_with = "wire::opt")]
    pub maker_rebate: Option<Decimal>,
    /// Fees given back as a taker.
    #[serde(default, deserialize_with = "wire::opt")]
    pub taker_rebate: Option<Decimal>,
    /// Liquidity rewards.
    #[serde(default, deserialize_with = "wire::opt")]
    pub reward_income: Option<Decimal>,
    /// Holding rewards.
    #[serde(default, deserialize_with = "wire::opt")]
    pub yield_income: Option<Decimal>,
    /// For bringing others.
    #[serde(default, deserialize_with = "wire::opt")]
    pub referral_income: Option<Decimal>,
    /// Rewards paid by others.
    #[serde(default, deserialize_with = "wire::opt")]
    pub sponsored_income: Option<Decimal>,
    /// All income of the wallet.
    #[serde(default, deserialize_with = "wire::opt")]
    pub wallet_income: Option<Decimal>,
    /// Money in.
    #[serde(default, deserialize_with = "wire::opt")]
    pub deposits: Option<Decimal>,
    /// Money out.
    #[serde(default, deserialize_with = "wire::opt")]
    pub withdrawals: Option<Decimal>,
    /// In less out.
    #[serde(default, deserialize_with = "wire::opt")]
    pub cashflow_net: Option<Decimal>,
}
