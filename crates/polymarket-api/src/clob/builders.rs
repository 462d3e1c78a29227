//! What a builder charges and which trades carry its code. Its API keys are in [`keys`](super::keys).

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Clob, TradeState, request};
use crate::ApiError;
use crate::wire;

impl Clob {
    /// A builder's fees: flat on the notional, on top of the market's own. An unknown code is
    /// [`ApiError::NotFound`].
    pub async fn builder_fees(&self, code: &str) -> Result<BuilderFees, ApiError> {
        self.get(request::builder_fees(code)).await
    }
    /// Trades attributed to a builder.
    pub async fn builder_trades(
        &self,
        code: &str,
        filter: &request::TradeFilter,
    ) -> Result<Vec<BuilderTrade>, ApiError> {
        self.pages(|cursor| request::builder_trades(code, filter, cursor)).await
    }
}

/// A trade attributed to a builder (`GET /builder/trades`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderTrade {
    /// Id.
    pub id: String,
    /// Limit or market.
    #[serde(default, deserialize_with = "wire::text")]
    pub trade_type: String,
    /// The taker's order.
    #[serde(default, deserialize_with = "wire::text")]
    pub taker_order_hash: String,
    /// Builder code.
    #[serde(default, deserialize_with = "wire::text")]
    pub builder: String,
    /// Condition id.
    #[serde(default, deserialize_with = "wire::text")]
    pub market: String,
    /// Token id.
    #[serde(default, deserialize_with = "wire::text")]
    pub asset_id: String,
    /// Side.
    #[serde(default, deserialize_with = "wire::text")]
    pub side: String,
    /// Shares.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size: Option<Decimal>,
    /// pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub size_usdc: Option<Decimal>,
    /// pUSD per share.
    #[serde(default, deserialize_with = "wire::opt")]
    pub price: Option<Decimal>,
    /// Settlement.
    #[serde(default)]
    pub status: TradeState,
    /// Label.
    #[serde(default, deserialize_with = "wire::text")]
    pub outcome: String,
    /// Its place.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub outcome_index: Option<u32>,
    /// API key.
    #[serde(default, deserialize_with = "wire::text")]
    pub owner: String,
    /// Wallet.
    #[serde(default, deserialize_with = "wire::text")]
    pub maker: String,
    /// Transaction.
    #[serde(default, deserialize_with = "wire::text")]
    pub transaction_hash: String,
    /// When it matched.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub match_time: Option<Time>,
    /// Part of a large match.
    #[serde(default, deserialize_with = "wire::opt_int")]
    pub bucket_index: Option<i64>,
    /// Fee.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fee: Option<Decimal>,
    /// Fee in pUSD.
    #[serde(default, deserialize_with = "wire::opt")]
    pub fee_usdc: Option<Decimal>,
    /// Error, if any.
    #[serde(default, rename = "err_msg", alias = "errMsg", deserialize_with = "wire::text")]
    pub error: String,
    /// Created.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub created_at: Option<Time>,
    /// Changed.
    #[serde(default, deserialize_with = "wire::opt_time")]
    pub updated_at: Option<Time>,
}

/// `GET /fees/builder-fees/{code}`, in basis points.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BuilderFees {
    /// Charged to makers.
    #[serde(default, deserialize_with = "wire::opt")]
    pub builder_maker_fee_rate_bps: Option<Decimal>,
    /// Charged to takers.
    #[serde(default, deserialize_with = "wire::opt")]
    pub builder_taker_fee_rate_bps: Option<Decimal>,
}
