//! Markets by their ids, with the ids that were not found.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use polydesk_domain::{ConditionId, TokenId};

use super::{Filters, Gamma, GammaMarket, PAGE};
use crate::ApiError;

/// Which markets are looked up. Gamma answers with open or with closed ones, never with both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Open ones, by one request for 100 ids.
    Open,
    /// Open and closed ones, by two: what a portfolio needs.
    OpenAndClosed,
}

/// The result of a lookup by ids.
#[derive(Debug, Clone)]
pub struct Found<Id> {
    /// The markets, each once.
    pub markets: Vec<GammaMarket>,
    /// Ids that were asked for and that no market has: closed ones where only open ones were asked for,
    /// unknown ones, and those of rows that could not be read.
    pub missing: Vec<Id>,
    /// Rows that could not be read ([`ApiError::BadRow`]).
    pub unreadable: Vec<ApiError>,
}

impl Gamma {
    /// Markets by condition ids, any number of them.
    pub async fn markets_by_condition(
        &self,
        conditions: &[ConditionId],
        scope: Scope,
    ) -> Result<Found<ConditionId>, ApiError> {
        let has = |market: &GammaMarket, id: &ConditionId| {
            market.condition_id.parse::<ConditionId>().is_ok_and(|its| its == *id)
        };
        self.look_up("condition_ids", conditions, scope, has).await
    }

    /// Markets by tokens, any number of them. A market is found once, also by both of its tokens.
    pub async fn markets_by_token(
        &self,
        tokens: &[TokenId],
        scope: Scope,
    ) -> Result<Found<TokenId>, ApiError> {
        let has = |market: &GammaMarket, id: &TokenId| {
            let ids = market.clob_token_ids.iter().chain(&market.position_ids);
            ids.filter_map(|text| text.parse::<TokenId>().ok()).any(|its| its == *id)
        };
        self.look_up("clob_token_ids", tokens, scope, has).await
    }

    async fn look_up<Id: Clone + ToString>(
        &self,
        key: &str,
        ids: &[Id],
        scope: Scope,
        has: impl Fn(&GammaMarket, &Id) -> bool,
    ) -> Result<Found<Id>, ApiError> {
        // Closed ones last: a market that closes in between is found by the second request.
        let closed: &[bool] = match scope {
            Scope::Open => &[false],
            Scope::OpenAndClosed => &[false, true],
        };
        let mut markets: BTreeMap<String, GammaMarket> = BTreeMap::new();
        let mut unreadable = Vec::new();
        for chunk in ids.chunks(PAGE) {
            for closed in closed {
                let mut filters: Filters =
                    chunk.iter().map(|id| (key.to_owned(), id.to_string())).collect();
                filters.push(("closed".into(), closed.to_string()));
                let mut rows = self.markets(filters);
                while let Some(row) = rows.next().await {
                    match row {
                        Ok(market) => drop(markets.insert(market.id.clone(), market)),
                        Err(error @ ApiError::BadRow { .. }) => unreadable.push(error),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        let markets: Vec<GammaMarket> = markets.into_values().collect();
        let found = |id: &&Id| markets.iter().any(|market| has(market, id));
        let missing = ids.iter().filter(|id| !found(id)).cloned().collect();
        Ok(Found { markets, missing, unreadable })
    }
}
