//! Market data of the CLOB: books, prices, markets, histories. No authentication.
//!
//! Where the venue has a batch read as GET and as POST, the POST is sent: long lists do not fit a URL.

use std::collections::BTreeMap;

use polydesk_domain::{ConditionId, Side, Tick, TokenId};
use rust_decimal::Decimal;

use super::models::*;
use super::{Clob, at_most, malformed, request, unwrap};
use crate::ApiError;
use crate::wire::Num;

impl Clob {
    /// The book of a token.
    pub async fn book(&self, token: &TokenId) -> Result<Book, ApiError> {
        self.get(request::book(token)).await
    }
    /// Books of up to 500 tokens; the order is not the one asked for, unknown tokens are missing.
    pub async fn books(&self, tokens: &[TokenId]) -> Result<Vec<Book>, ApiError> {
        at_most(tokens.len(), 500, "tokens")?;
        self.get(request::books(tokens)).await
    }
    /// Best bid (`Buy`) or best ask (`Sell`); `None` for an empty side.
    pub async fn price(&self, token: &TokenId, side: Side) -> Result<Option<Decimal>, ApiError> {
        Ok(self.get::<PriceAnswer>(request::price(token, side)).await?.price)
    }
    /// Prices of several tokens.
    pub async fn prices(
        &self,
        list: &[(TokenId, Side)],
    ) -> Result<BTreeMap<String, SidePrices>, ApiError> {
        at_most(list.len(), 500, "tokens")?;
        self.get(request::prices(list)).await
    }
    /// Middle of the book.
    pub async fn midpoint(&self, token: &TokenId) -> Result<Option<Decimal>, ApiError> {
        let answer: MidAnswer = self.get(request::midpoint(token)).await?;
        Ok(answer.mid.or(answer.mid_price))
    }
    /// Middles of several books.
    pub async fn midpoints(
        &self,
        tokens: &[TokenId],
    ) -> Result<BTreeMap<String, Decimal>, ApiError> {
        at_most(tokens.len(), 500, "tokens")?;
        self.get::<BTreeMap<String, Num>>(request::midpoints(tokens)).await.map(unwrap)
    }
    /// Best ask less best bid.
    pub async fn spread(&self, token: &TokenId) -> Result<Option<Decimal>, ApiError> {
        Ok(self.get::<SpreadAnswer>(request::spread(token)).await?.spread)
    }
    /// Spreads of several books, bare or wrapped in `spreads`.
    pub async fn spreads(&self, tokens: &[TokenId]) -> Result<BTreeMap<String, Decimal>, ApiError> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Answer {
            Wrapped { spreads: BTreeMap<String, Num> },
            Bare(BTreeMap<String, Num>),
        }
        at_most(tokens.len(), 500, "tokens")?;
        Ok(match self.get(request::spreads(tokens)).await? {
            Answer::Wrapped { spreads } => unwrap(spreads),
            Answer::Bare(spreads) => unwrap(spreads),
        })
    }
    /// Price of the last trade.
    pub async fn last_trade_price(&self, token: &TokenId) -> Result<LastTrade, ApiError> {
        self.get(request::last_trade_price(token)).await
    }
    /// Prices of the last trades of up to 500 tokens.
    pub async fn last_trades_prices(&self, tokens: &[TokenId]) -> Result<Vec<LastTrade>, ApiError> {
        at_most(tokens.len(), 500, "tokens")?;
        self.get(request::last_trades_prices(tokens)).await
    }
    /// The tick size.
    pub async fn tick_size(&self, token: &TokenId) -> Result<Tick, ApiError> {
        let tick = self.get::<TickAnswer>(request::tick_size(token)).await?.minimum_tick_size;
        Tick::try_from(tick).map_err(|_| {
            malformed("GET /tick-size", "none of the venue's six ticks", &tick.to_string())
        })
    }
    /// Whether the token's market belongs to a neg-risk group.
    pub async fn neg_risk(&self, token: &TokenId) -> Result<bool, ApiError> {
        Ok(self.get::<NegRiskAnswer>(request::neg_risk(token)).await?.neg_risk)
    }
    /// The legacy fee cap in basis points. Do not compute fees from it.
    pub async fn legacy_fee_cap(&self, token: &TokenId) -> Result<Decimal, ApiError> {
        Ok(self.get::<FeeRateAnswer>(request::fee_rate(token)).await?.base_fee)
    }
    /// One page of a list of markets.
    pub async fn markets(
        &self,
        list: request::MarketList,
        cursor: Option<&str>,
    ) -> Result<Page<ClobMarket>, ApiError> {
        self.get(request::markets(list, cursor)).await
    }
    /// All pages of a list of markets.
    pub async fn all_markets(
        &self,
        list: request::MarketList,
    ) -> Result<Vec<ClobMarket>, ApiError> {
        self.pages(|cursor| request::markets(list, cursor)).await
    }
    /// One market.
    pub async fn market(&self, condition: &ConditionId) -> Result<ClobMarket, ApiError> {
        self.get(request::market(condition)).await
    }
    /// The trading parameters of a market: the best single source for order entry, and where its fee is. There
    /// are no fee tiers to ask for.
    pub async fn market_info(&self, condition: &ConditionId) -> Result<MarketInfo, ApiError> {
        self.get(request::market_info(condition)).await
    }
    /// Which market a token belongs to.
    pub async fn market_by_token(&self, token: &TokenId) -> Result<MarketOfToken, ApiError> {
        self.get(request::market_by_token(token)).await
    }
    /// What a widget about a market shows. Older official clients call this "trades events"; the venue
    /// gives no trades here.
    pub async fn live_activity(&self, condition: &ConditionId) -> Result<LiveActivity, ApiError> {
        self.get(request::live_activity(condition)).await
    }
    /// The same for several markets. UNCERTAIN how many at once, and whether unknown ones are left out.
    pub async fn live_activities(
        &self,
        conditions: &[ConditionId],
    ) -> Result<Vec<LiveActivity>, ApiError> {
        // None may be null.
        let found: Option<Vec<LiveActivity>> =
            self.get(request::live_activities(conditions)).await?;
        Ok(found.unwrap_or_default())
    }
    /// Past prices of a token.
    pub async fn prices_history(
        &self,
        token: &TokenId,
        stretch: request::Stretch,
        fidelity_minutes: Option<u32>,
    ) -> Result<PriceHistory, ApiError> {
        self.get(request::prices_history(token, stretch, fidelity_minutes)).await
    }
    /// Past prices of up to 20 tokens.
    pub async fn batch_prices_history(
        &self,
        tokens: &[TokenId],
        stretch: request::Stretch,
        fidelity_minutes: Option<u32>,
    ) -> Result<BTreeMap<String, Vec<PricePoint>>, ApiError> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Answer {
            Wrapped { history: BTreeMap<String, Vec<PricePoint>> },
            Bare(BTreeMap<String, Vec<PricePoint>>),
        }
        at_most(tokens.len(), 20, "tokens")?;
        Ok(
            match self.get(request::batch_prices_history(tokens, stretch, fidelity_minutes)).await?
            {
                Answer::Wrapped { history } | Answer::Bare(history) => history,
            },
        )
    }
}
