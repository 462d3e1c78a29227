//! Every request of the CLOB as data: method, path, query, body, signer, rate-limit cost and effect.
//!
//! Nothing is sent here; the official clients' recorded requests are compared with these.

use http::Method;
use polydesk_domain::{ConditionId, OrderHash, Side, Time, TokenId};
use serde_json::json;

use crate::SignatureType;
use crate::error::Effect;
use crate::limits::{Group, SignerCost};

/// Who vouches for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthKind {
    /// Nobody.
    None,
    /// The wallet's signature.
    L1,
    /// The API key's HMAC.
    L2,
    /// A builder key's HMAC.
    Builder,
}

/// A request, ready to be signed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Path without query: what the HMAC covers.
    pub path: String,
    /// Query; not covered by the HMAC.
    pub query: Vec<(String, String)>,
    /// Body, exactly as sent.
    pub body: Option<Vec<u8>>,
    /// Who vouches.
    pub auth: AuthKind,
    /// Whose quota it uses.
    pub group: Group,
    /// What it takes from the signer's buckets.
    pub cost: SignerCost,
    /// What it does if processed.
    pub effect: Effect,
}

impl Request {
    /// Whether it cancels: such a request is tried again soon, and no pause of the venue holds it for long.
    pub fn cancels(&self) -> bool {
        matches!(
            self.group,
            Group::Cancel | Group::Cancels | Group::CancelAll | Group::CancelMarket
        )
    }

    fn new(method: Method, path: impl Into<String>, group: Group) -> Request {
        let effect = if method == Method::GET { Effect::Read } else { Effect::Repeatable };
        Request {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            auth: AuthKind::None,
            group,
            cost: SignerCost::None,
            effect,
        }
    }
    fn get(path: impl Into<String>, group: Group) -> Request {
        Request::new(Method::GET, path, group)
    }
    /// A POST that only reads.
    fn ask(path: &str, body: serde_json::Value, group: Group) -> Request {
        let mut request = Request::new(Method::POST, path, group).json(body);
        request.effect = Effect::Read;
        request
    }
    fn delete(path: &str, group: Group) -> Request {
        Request::new(Method::DELETE, path, group)
    }
    fn with(mut self, key: &str, value: impl ToString) -> Request {
        self.query.push((key.to_owned(), value.to_string()));
        self
    }
    fn with_some(self, key: &str, value: Option<impl ToString>) -> Request {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
    fn json(mut self, body: serde_json::Value) -> Request {
        self.body = Some(body.to_string().into_bytes());
        self
    }
    fn l2(mut self) -> Request {
        self.auth = AuthKind::L2;
        self
    }
    fn l1(mut self) -> Request {
        self.auth = AuthKind::L1;
        self
    }
    fn builder(mut self) -> Request {
        self.auth = AuthKind::Builder;
        self
    }
    fn once(mut self) -> Request {
        self.effect = Effect::Once;
        self
    }
    fn costs(mut self, cost: SignerCost) -> Request {
        self.cost = cost;
        self
    }
    /// The body as text.
    pub fn body_text(&self) -> Option<&str> {
        self.body.as_deref().and_then(|body| core::str::from_utf8(body).ok())
    }
    /// How errors and logs call it.
    pub fn what(&self) -> String {
        [self.method.as_str(), " ", &self.path].concat()
    }
}

fn tokens(tokens: &[TokenId]) -> serde_json::Value {
    tokens.iter().map(|token| json!({ "token_id": token })).collect()
}

/// `GET /time`.
pub fn time() -> Request {
    Request::get("/time", Group::Clob)
}
/// `GET /version`.
pub fn version() -> Request {
    Request::get("/version", Group::Clob)
}
/// `GET /ok`.
pub fn ok() -> Request {
    Request::get("/ok", Group::Ok)
}
/// `GET /book`.
pub fn book(token: &TokenId) -> Request {
    Request::get("/book", Group::Book).with("token_id", token)
}
/// `POST /books`, up to 500.
pub fn books(list: &[TokenId]) -> Request {
    Request::ask("/books", tokens(list), Group::Books)
}
/// `GET /price`: `Buy` is the best bid.
pub fn price(token: &TokenId, side: Side) -> Request {
    Request::get("/price", Group::Book).with("token_id", token).with("side", word(side))
}
/// `POST /prices`. The GET form with comma lists gives the same and cannot hold long lists.
pub fn prices(list: &[(TokenId, Side)]) -> Request {
    let body = list
        .iter()
        .map(|(token, side)| json!({ "token_id": token, "side": word(*side) }))
        .collect();
    Request::ask("/prices", body, Group::Books)
}
/// `GET /midpoint`.
pub fn midpoint(token: &TokenId) -> Request {
    Request::get("/midpoint", Group::Book).with("token_id", token)
}
/// `POST /midpoints`.
pub fn midpoints(list: &[TokenId]) -> Request {
    Request::ask("/midpoints", tokens(list), Group::Books)
}
/// `GET /spread`.
pub fn spread(token: &TokenId) -> Request {
    Request::get("/spread", Group::Book).with("token_id", token)
}
/// `POST /spreads`.
pub fn spreads(list: &[TokenId]) -> Request {
    Request::ask("/spreads", tokens(list), Group::Books)
}
/// `GET /last-trade-price`.
pub fn last_trade_price(token: &TokenId) -> Request {
    Request::get("/last-trade-price", Group::Book).with("token_id", token)
}
/// `POST /last-trades-prices`, up to 500. The GET form with a comma list gives the same.
pub fn last_trades_prices(list: &[TokenId]) -> Request {
    Request::ask("/last-trades-prices", tokens(list), Group::Books)
}
/// `GET /tick-size`; `/tick-size/{token}` gives the same.
pub fn tick_size(token: &TokenId) -> Request {
    Request::get("/tick-size", Group::TickSize).with("token_id", token)
}
/// `GET /neg-risk`; `/neg-risk/{token}` gives the same.
pub fn neg_risk(token: &TokenId) -> Request {
    Request::get("/neg-risk", Group::TickSize).with("token_id", token)
}
/// `GET /fee-rate`, a legacy cap; `/fee-rate/{token}` gives the same.
pub fn fee_rate(token: &TokenId) -> Request {
    Request::get("/fee-rate", Group::TickSize).with("token_id", token)
}

/// The lists of markets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketList {
    /// All, in full.
    Full,
    /// All, in short.
    Simplified,
    /// Those with rewards, in full.
    Sampling,
    /// Those with rewards, in short.
    SamplingSimplified,
}

/// `GET /markets` and its relatives.
pub fn markets(list: MarketList, cursor: Option<&str>) -> Request {
    let path = match list {
        MarketList::Full => "/markets",
        MarketList::Simplified => "/simplified-markets",
        MarketList::Sampling => "/sampling-markets",
        MarketList::SamplingSimplified => "/sampling-simplified-markets",
    };
    Request::get(path, Group::Clob).with_some("next_cursor", cursor)
}
/// `GET /markets/{condition_id}`.
pub fn market(condition: &ConditionId) -> Request {
    Request::get(format!("/markets/{condition}"), Group::Clob)
}
/// `GET /clob-markets/{condition_id}`.
pub fn market_info(condition: &ConditionId) -> Request {
    Request::get(format!("/clob-markets/{condition}"), Group::Clob)
}
/// `GET /markets-by-token/{token_id}`.
pub fn market_by_token(token: &TokenId) -> Request {
    Request::get(format!("/markets-by-token/{token}"), Group::Clob)
}
/// `GET /markets/live-activity/{condition_id}`.
pub fn live_activity(condition: &ConditionId) -> Request {
    Request::get(format!("/markets/live-activity/{condition}"), Group::Clob)
}
/// `POST /markets/live-activity`.
pub fn live_activities(conditions: &[ConditionId]) -> Request {
    let body = conditions.iter().map(|condition| json!(condition)).collect();
    Request::ask("/markets/live-activity", body, Group::Clob)
}

/// Which stretch of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// `max`, `all`, `1m` (a **month**), `1w`, `1d`, `6h`, `1h`.
    Interval(&'static str),
    /// At most 15 days.
    Between(Time, Time),
}

/// `GET /prices-history`; `fidelity` in minutes.
pub fn prices_history(token: &TokenId, stretch: Stretch, fidelity: Option<u32>) -> Request {
    let request = Request::get("/prices-history", Group::PricesHistory).with("market", token);
    let request = match stretch {
        Stretch::Interval(interval) => request.with("interval", interval),
        Stretch::Between(start, end) => request
            .with("startTs", start.nanos() / 1_000_000_000)
            .with("endTs", end.nanos() / 1_000_000_000),
    };
    request.with_some("fidelity", fidelity)
}

/// `POST /batch-prices-history`, up to 20 tokens.
pub fn batch_prices_history(list: &[TokenId], stretch: Stretch, fidelity: Option<u32>) -> Request {
    let mut body = json!({ "markets": list });
    match stretch {
        Stretch::Interval(interval) => body["interval"] = interval.into(),
        Stretch::Between(start, end) => {
            body["start_ts"] = (start.nanos() / 1_000_000_000).into();
            body["end_ts"] = (end.nanos() / 1_000_000_000).into();
        }
    }
    if let Some(fidelity) = fidelity {
        body["fidelity"] = fidelity.into();
    }
    Request::ask("/batch-prices-history", body, Group::PricesHistory)
}

/// `POST /auth/api-key` (L1).
pub fn create_api_key() -> Request {
    Request::new(Method::POST, "/auth/api-key", Group::Auth).l1()
}
/// `GET /auth/derive-api-key` (L1).
pub fn derive_api_key() -> Request {
    Request::get("/auth/derive-api-key", Group::Auth).l1()
}
/// `GET /auth/api-keys`.
pub fn api_keys() -> Request {
    Request::get("/auth/api-keys", Group::Auth).l2()
}
/// `DELETE /auth/api-key`: the calling key.
pub fn delete_api_key() -> Request {
    Request::delete("/auth/api-key", Group::Auth).l2()
}
/// `POST /auth/readonly-api-key`.
pub fn create_readonly_key() -> Request {
    Request::new(Method::POST, "/auth/readonly-api-key", Group::Auth).l2().once()
}
/// `GET /auth/readonly-api-keys`.
pub fn readonly_keys() -> Request {
    Request::get("/auth/readonly-api-keys", Group::Auth).l2()
}
/// `DELETE /auth/readonly-api-key`.
pub fn delete_readonly_key(key: &str) -> Request {
    Request::delete("/auth/readonly-api-key", Group::Auth).json(json!({ "key": key })).l2()
}
/// `POST /auth/builder-api-key`.
pub fn create_builder_key() -> Request {
    Request::new(Method::POST, "/auth/builder-api-key", Group::Auth).l2().once()
}
/// `GET /auth/builder-api-key`.
pub fn builder_keys() -> Request {
    Request::get("/auth/builder-api-key", Group::Auth).l2()
}
/// `DELETE /auth/builder-api-key`, signed by the builder key that is to go.
pub fn delete_builder_key() -> Request {
    Request::delete("/auth/builder-api-key", Group::Auth).builder()
}
/// `DELETE /auth/builder-api-key`, signed by the account.
pub fn delete_builder_key_of_account() -> Request {
    Request::delete("/auth/builder-api-key", Group::Auth).l2()
}
/// `GET /v1/user/session-signers`.
pub fn session_signers() -> Request {
    Request::get("/v1/user/session-signers", Group::Auth).l2()
}
/// `GET /auth/ban-status/closed-only`.
pub fn closed_only() -> Request {
    Request::get("/auth/ban-status/closed-only", Group::Auth).l2()
}

/// `POST /order` with a signed body.
pub fn place(body: Vec<u8>) -> Request {
    let mut request = Request::new(Method::POST, "/order", Group::Order).l2().once();
    request.body = Some(body);
    request.costs(SignerCost::Orders(1))
}
/// `POST /orders` with a JSON array of signed bodies.
pub fn place_batch(body: Vec<u8>, orders: u32) -> Request {
    let mut request = Request::new(Method::POST, "/orders", Group::Orders).l2().once();
    request.body = Some(body);
    request.costs(SignerCost::Orders(orders))
}
/// `DELETE /order`.
pub fn cancel_order(order: &OrderHash) -> Request {
    Request::delete("/order", Group::Cancel)
        .json(json!({ "orderID": order }))
        .l2()
        .costs(SignerCost::Cancels(1))
}
/// `DELETE /orders`, up to 1000, and up to the signer's cancel burst.
pub fn cancel_orders(orders: &[OrderHash]) -> Request {
    Request::delete("/orders", Group::Cancels)
        .json(orders.iter().map(|order| json!(order)).collect())
        .l2()
        .costs(SignerCost::Cancels(orders.len() as u32))
}
/// `DELETE /cancel-all`.
pub fn cancel_all() -> Request {
    Request::delete("/cancel-all", Group::CancelAll).l2().costs(SignerCost::Emergency)
}
/// `DELETE /cancel-market-orders`; name both where both are known.
pub fn cancel_market(market: Option<&ConditionId>, token: Option<&TokenId>) -> Request {
    // By hand: the order of the keys is the official clients'.
    let mut parts = Vec::new();
    if let Some(market) = market {
        parts.push(format!("\"market\":\"{market}\""));
    }
    if let Some(token) = token {
        parts.push(format!("\"asset_id\":\"{token}\""));
    }
    let mut request = Request::delete("/cancel-market-orders", Group::CancelMarket)
        .l2()
        .costs(SignerCost::Cancels(1));
    request.body = Some(format!("{{{}}}", parts.join(",")).into_bytes());
    request
}

/// Which open orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// One order.
    pub id: Option<OrderHash>,
    /// Of a market.
    pub market: Option<ConditionId>,
    /// Of a token.
    pub token: Option<TokenId>,
}

/// `GET /data/orders`: open orders only.
pub fn open_orders(filter: &OrderFilter, cursor: Option<&str>) -> Request {
    Request::get("/data/orders", Group::Ledger)
        .with_some("id", filter.id)
        .with_some("market", filter.market)
        .with_some("asset_id", filter.token)
        .with_some("next_cursor", cursor)
        .l2()
}
/// `GET /data/order/{id}`; `/order/{id}` is its older path.
pub fn order(id: &OrderHash) -> Request {
    Request::get(format!("/data/order/{id}"), Group::Ledger).l2()
}

/// Which trades.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TradeFilter {
    /// One trade.
    pub id: Option<String>,
    /// Of a market.
    pub market: Option<ConditionId>,
    /// Of a token.
    pub token: Option<TokenId>,
    /// Of a wallet: to be given when the venue answers 400 without it.
    pub maker_address: Option<String>,
    /// Not after.
    pub before: Option<Time>,
    /// Not before.
    pub after: Option<Time>,
}

/// `GET /data/trades`.
pub fn trades(filter: &TradeFilter, cursor: Option<&str>) -> Request {
    narrowed(Request::get("/data/trades", Group::Ledger), filter)
        .with_some("next_cursor", cursor)
        .l2()
}

fn narrowed(request: Request, filter: &TradeFilter) -> Request {
    let secs = |time: Option<Time>| time.map(|time| time.nanos() / 1_000_000_000);
    request
        .with_some("id", filter.id.as_ref())
        .with_some("market", filter.market)
        .with_some("asset_id", filter.token)
        .with_some("maker_address", filter.maker_address.as_ref())
        .with_some("before", secs(filter.before))
        .with_some("after", secs(filter.after))
}

/// Whose balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asset {
    /// pUSD.
    Collateral,
    /// An outcome token.
    Conditional(TokenId),
    /// A position of protocol v2.
    ConditionalV2(TokenId),
}

fn balance(path: &str, group: Group, asset: Asset, signature_type: SignatureType) -> Request {
    let (kind, token) = match asset {
        Asset::Collateral => ("COLLATERAL", None),
        Asset::Conditional(token) => ("CONDITIONAL", Some(token)),
        Asset::ConditionalV2(token) => ("CONDITIONAL-V2", Some(token)),
    };
    Request::get(path, group)
        .with("asset_type", kind)
        .with_some("token_id", token)
        .with("signature_type", signature_type)
        .l2()
}
/// `GET /balance-allowance`.
pub fn balance_allowance(asset: Asset, signature_type: SignatureType) -> Request {
    balance("/balance-allowance", Group::Balance, asset, signature_type)
}
/// `GET /balance-allowance/update`: the venue reads the chain again. `PUT /balance-allowance` does the same.
pub fn update_balance_allowance(asset: Asset, signature_type: SignatureType) -> Request {
    balance("/balance-allowance/update", Group::BalanceUpdate, asset, signature_type)
}
/// `GET /notifications`.
pub fn notifications(signature_type: SignatureType) -> Request {
    Request::get("/notifications", Group::Notifications).with("signature_type", signature_type).l2()
}
/// `DELETE /notifications`.
pub fn dismiss_notifications(ids: &[String]) -> Request {
    Request::delete("/notifications", Group::Notifications).with("ids", ids.join(",")).l2()
}
/// `GET /order-scoring`.
pub fn order_scoring(order: &OrderHash) -> Request {
    Request::get("/order-scoring", Group::Ledger).with("order_id", order).l2()
}
/// `POST /orders-scoring`. The GET form with a comma list gives the same.
pub fn orders_scoring(orders: &[OrderHash]) -> Request {
    Request::ask("/orders-scoring", orders.iter().map(|o| json!(o)).collect(), Group::Ledger).l2()
}
/// `POST /v1/heartbeats`: from the first on, 10 s without another cancel everything.
pub fn heartbeat(id: &str) -> Request {
    Request::new(Method::POST, "/v1/heartbeats", Group::Heartbeat)
        .json(json!({ "heartbeat_id": id }))
        .l2()
}
/// `POST /heartbeats`: the same switch without ids.
pub fn heartbeat_without_id() -> Request {
    Request::new(Method::POST, "/heartbeats", Group::Heartbeat).l2()
}
/// `GET /rewards/markets/current`.
pub fn rewards_current(cursor: Option<&str>) -> Request {
    Request::get("/rewards/markets/current", Group::Clob).with_some("next_cursor", cursor)
}
/// `GET /rewards/markets/{condition_id}`.
pub fn rewards_market(condition: &ConditionId, cursor: Option<&str>) -> Request {
    Request::get(format!("/rewards/markets/{condition}"), Group::Clob)
        .with_some("next_cursor", cursor)
}
/// `GET /rewards/markets/multi`.
pub fn rewards_markets(filters: &[(String, String)], cursor: Option<&str>) -> Request {
    let mut request = Request::get("/rewards/markets/multi", Group::Clob);
    request.query.extend_from_slice(filters);
    if !filters.iter().any(|(key, _)| key == "page_size") {
        request = request.with("page_size", 500);
    }
    request.with_some("next_cursor", cursor)
}
/// `GET /rewards/user`; `date` is `YYYY-MM-DD`.
pub fn rewards_user(date: &str, signature_type: SignatureType, cursor: Option<&str>) -> Request {
    Request::get("/rewards/user", Group::Clob)
        .with("date", date)
        .with("signature_type", signature_type)
        .with_some("next_cursor", cursor)
        .l2()
}
/// `GET /rewards/user/total`.
pub fn rewards_user_total(date: &str, signature_type: SignatureType) -> Request {
    Request::get("/rewards/user/total", Group::Clob)
        .with("date", date)
        .with("signature_type", signature_type)
        .l2()
}
/// `GET /rewards/user/markets`.
pub fn rewards_user_markets(
    date: &str,
    signature_type: SignatureType,
    cursor: Option<&str>,
) -> Request {
    Request::get("/rewards/user/markets", Group::Clob)
        .with("date", date)
        .with("signature_type", signature_type)
        .with_some("next_cursor", cursor)
        .l2()
}
/// `GET /rewards/user/percentages`.
pub fn rewards_user_percentages(signature_type: SignatureType) -> Request {
    Request::get("/rewards/user/percentages", Group::Clob)
        .with("signature_type", signature_type)
        .l2()
}
/// `GET /rebates/current`; `date` is `YYYY-MM-DD`.
pub fn rebates(date: &str, maker_address: &str) -> Request {
    Request::get("/rebates/current", Group::Clob)
        .with("date", date)
        .with("maker_address", maker_address)
}
/// `GET /fees/builder-fees/{code}`.
pub fn builder_fees(code: &str) -> Request {
    let mut path = "/fees/builder-fees/".to_owned();
    crate::transport::encode(code, &mut path);
    Request::get(path, Group::Clob)
}
/// `GET /builder/trades`.
pub fn builder_trades(code: &str, filter: &TradeFilter, cursor: Option<&str>) -> Request {
    narrowed(Request::get("/builder/trades", Group::Ledger).with("builder_code", code), filter)
        .with_some("next_cursor", cursor)
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}
