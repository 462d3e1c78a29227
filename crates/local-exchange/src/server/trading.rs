//! Private CLOB endpoints: keys, orders, cancels, reads of one's own.

use alloy::primitives::{Address, hex};
use polydesk_domain::{OrderHash, Price, Span};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::contracts::COLLATERAL;
use crate::limits::{Enforcement, Verdict};
use crate::typed::Contract;
use crate::venue::{Caller, Order, Placed, Refusal, Status, Trade, VenueMode};
use crate::wallets::WalletKind;
use crate::{text, wire};

/// Items of a page of `/data/orders` and `/data/trades`.
const PAGE: usize = 100;

impl Inner {
    /// Endpoints that need a signature. Unknown paths are 404 before authentication.
    pub(super) fn private(&mut self, req: &Req, parts: &[&str]) -> Answer {
        match (req.method.as_str(), parts) {
            ("POST", ["auth", "api-key"]) => return self.create_key(req),
            ("GET", ["auth", "derive-api-key"]) => return self.derive_key(req),
            ("DELETE", ["auth", "builder-api-key"])
                if req.header("POLY_BUILDER_API_KEY").is_some() =>
            {
                return self.revoke_builder_key(req);
            }
            _ => {}
        }
        const PRIVATE: &[&str] = &[
            "auth",
            "order",
            "orders",
            "cancel-all",
            "cancel-market-orders",
            "data",
            "balance-allowance",
            "notifications",
            "order-scoring",
            "orders-scoring",
            "v1",
            "heartbeats",
            "rewards",
        ];
        if !parts.first().is_some_and(|first| PRIVATE.contains(first)) {
            return Answer::not_found();
        }
        let caller = match self.key_auth(req) {
            Ok(caller) => caller,
            Err(answer) => return answer,
        };
        match (req.method.as_str(), parts) {
            ("POST", ["order"]) => self.post_order(&caller, req),
            ("POST", ["orders"]) => self.post_orders(&caller, req),
            ("DELETE", ["order"]) => self.delete_order(&caller, req),
            ("DELETE", ["orders"]) => self.delete_orders(&caller, req),
            ("DELETE", ["cancel-all"]) => self.cancel_all(&caller),
            ("DELETE", ["cancel-market-orders"]) => self.cancel_market(&caller, req),
            ("GET", ["data", "orders"]) => self.data_orders(&caller, req),
            ("GET", ["data", "pre-migration-orders"]) => {
                Answer::ok(&wire::page(Vec::new(), None, PAGE))
            }
            ("GET", ["data", "order", id] | ["order", id]) => self.data_order(&caller, id),
            ("GET", ["data", "trades"]) => self.data_trades(&caller, req),
            ("GET", ["balance-allowance"]) => self.balance(&caller, req),
            ("GET" | "PUT", ["balance-allowance", "update"]) | ("PUT", ["balance-allowance"]) => {
                self.refresh_balances(&caller);
                Answer::ok(&json!({}))
            }
            ("GET", ["notifications"]) => Answer::ok(&self.notifications(&caller)),
            ("DELETE", ["notifications"]) => self.drop_notifications(&caller, req),
            ("GET", ["order-scoring"]) => {
                let id = req.param("order_id").and_then(|id| id.parse().ok());
                let scoring = id.is_some_and(|id| self.scores(&caller, &id));
                Answer::ok(&json!({ "scoring": scoring }))
            }
            ("GET" | "POST", ["orders-scoring"]) => self.scoring(&caller, req),
            ("POST", ["v1", "heartbeats"]) => self.heartbeat(&caller, req),
            ("POST", ["heartbeats"]) => {
                self.venue.beat_without_id(&caller);
                Answer::ok(&json!({ "status": "ok" }))
            }
            ("GET", ["rewards", "user", "percentages"]) => Answer::ok(&json!({})),
            ("GET", ["rewards", "user", "total"]) => Answer::ok(&json!([])),
            ("GET", ["rewards", "user"] | ["rewards", "user", "markets"]) => {
                Answer::ok(&wire::page(Vec::new(), None, PAGE))
            }
            ("GET", ["v1", "user", "session-signers"]) => self.session_signers(&caller),
            (_, ["auth", rest @ ..]) => self.keys(&caller, req, rest),
            _ => Answer::not_found(),
        }
    }

    /// Takes orders from the signer's bucket; the answer if there are too few.
    fn spend_orders(&mut self, caller: &Caller, cost: usize) -> Result<Verdict, Box<Answer>> {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let verdict = self.limits.order(caller.signer, cost, self.venue.now());
        self.enforce(verdict)
    }

    fn spend_cancels(&mut self, caller: &Caller, cost: usize) -> Result<Verdict, Box<Answer>> {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let verdict = self.limits.cancel(caller.signer, cost, self.venue.now());
        self.enforce(verdict)
    }

    fn enforce(&self, verdict: Verdict) -> Result<Verdict, Box<Answer>> {
        if verdict.wait.is_none() || self.limits.setup.signer != Enforcement::On {
            return Ok(verdict);
        }
        let answer = Answer::error(429, "Too Many Requests");
        Err(Box::new(self.limited(answer, verdict)))
    }

    /// Puts the bucket's headers on an answer.
    fn limited(&self, answer: Answer, verdict: Verdict) -> Answer {
        let setup = &self.limits.setup;
        if setup.signer == Enforcement::Off {
            return answer;
        }
        let remaining = text::micros(i128::from(verdict.remaining_milli) * 1_000);
        let reset = text::micros(i128::from(verdict.reset.millis()) * 1_000);
        let mut answer = answer
            .with("Poly-RateLimit-Remaining", remaining)
            .with("Poly-RateLimit-Reset", reset)
            .with("Poly-RateLimit-Tier", setup.tier_name.clone());
        if let Some(wait) = verdict.wait {
            if setup.signer == Enforcement::Warn {
                answer = answer.with("Poly-RateLimit-Warning", "true");
            } else {
                answer = answer.with("Retry-After", whole_seconds(wait).to_string());
            }
        }
        answer
    }

    fn post_order(&mut self, caller: &Caller, req: &Req) -> Answer {
        let verdict = match self.spend_orders(caller, 1) {
            Ok(verdict) => verdict,
            Err(answer) => return *answer,
        };
        let placed = wire::parse_order(&req.body)
            .and_then(|submission| self.venue.submit(caller, &submission));
        let answer = match placed {
            Ok(placed) => Answer::ok(&self.placed(&placed)),
            Err(refusal) => self.refusal(refusal),
        };
        self.limited(answer, verdict)
    }

    fn placed(&self, placed: &Placed) -> Value {
        let hashes = if self.hashes_in_answer {
            let hash =
                |id: &Uuid| hex::encode_prefixed(alloy::primitives::keccak256(id.as_bytes()));
            placed.trades.iter().map(hash).collect()
        } else {
            Vec::new()
        };
        wire::placed(placed, &hashes)
    }

    /// A refusal as an answer of its own; modes carry how long they last.
    fn refusal(&self, refusal: Refusal) -> Answer {
        let VenueMode::PostOnly { until } = self.venue.mode() else { return refusal.into() };
        if refusal.status != 503 {
            return refusal.into();
        }
        let seconds = whole_seconds(self.venue.now().until(until));
        let body = json!({
            "error": refusal.text, "code": "post_only_mode", "retry_after_seconds": seconds
        });
        Answer::json(503, &body).with("Retry-After", seconds.to_string())
    }

    fn post_orders(&mut self, caller: &Caller, req: &Req) -> Answer {
        let submissions = match wire::parse_orders(&req.body, self.batch_most) {
            Ok(submissions) => submissions,
            Err(refusal) => return refusal.into(),
        };
        let verdict = match self.spend_orders(caller, submissions.len()) {
            Ok(verdict) => verdict,
            Err(answer) => return *answer,
        };
        // All are looked at before any is booked: an answer that refuses the batch must not have placed
        // half of it.
        for submission in &submissions {
            match self.venue.look_at(caller, submission) {
                Err(refusal) if refusal.whole || refusal.status == 425 => {
                    return self.limited(refusal.into(), verdict);
                }
                Err(refusal) if refusal.status == 503 && !self.post_only_mode() => {
                    return self.limited(self.refusal(refusal), verdict);
                }
                _ => {}
            }
        }
        let mut rows = Vec::new();
        for submission in &submissions {
            match self.venue.submit(caller, submission) {
                Ok(placed) => rows.push(self.placed(&placed)),
                Err(refusal) => rows.push(wire::refused(&refusal)),
            }
        }
        self.limited(Answer::ok(&Value::Array(rows)), verdict)
    }

    fn post_only_mode(&self) -> bool {
        matches!(self.venue.mode(), VenueMode::PostOnly { .. })
    }

    fn delete_order(&mut self, caller: &Caller, req: &Req) -> Answer {
        let body: Value = serde_json::from_slice(&req.body).unwrap_or(Value::Null);
        let id = body["orderID"].as_str().and_then(order_id);
        let Some(id) = id else { return Answer::error(400, "Invalid orderID") };
        self.cancel_ids(caller, &[id])
    }

    fn delete_orders(&mut self, caller: &Caller, req: &Req) -> Answer {
        let Ok(texts) = serde_json::from_slice::<Vec<String>>(&req.body) else {
            return Answer::error(400, "Invalid order payload");
        };
        if texts.len() > self.cancel_most {
            let most = self.cancel_most;
            let text = format!("Too many orders in payload, max allowed: {most}");
            return Answer::error(400, &text);
        }
        let ids: Option<Vec<_>> = texts.iter().map(|text| order_id(text)).collect();
        let Some(ids) = ids else { return Answer::error(400, "Invalid orderID") };
        self.cancel_ids(caller, &ids)
    }

    fn cancel_ids(&mut self, caller: &Caller, ids: &[OrderHash]) -> Answer {
        let verdict = match self.spend_cancels(caller, ids.len()) {
            Ok(verdict) => verdict,
            Err(answer) => return *answer,
        };
        if let Err(refusal) = self.venue.takes_cancels() {
            return self.limited(refusal.into(), verdict);
        }
        let done = self.venue.cancel(&caller.signer, ids);
        self.limited(Answer::ok(&wire::cancelled(&done)), verdict)
    }

    fn cancel_all(&mut self, caller: &Caller) -> Answer {
        self.cancel_where(caller, None, None)
    }

    fn cancel_market(&mut self, caller: &Caller, req: &Req) -> Answer {
        let body: Value = serde_json::from_slice(&req.body).unwrap_or(Value::Null);
        let given = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
        let market = given("market").and_then(|text| text.parse().ok());
        let market = market.and_then(|condition| self.venue.universe().key(&condition));
        let token = given("asset_id").and_then(|text| self.venue.token(text));
        if market.is_none() && token.is_none() {
            return Answer::error(400, "invalid order params payload");
        }
        self.cancel_where(caller, market, token)
    }

    fn cancel_where(
        &mut self,
        caller: &Caller,
        market: Option<polydesk_domain::MarketKey>,
        token: Option<polydesk_domain::Token>,
    ) -> Answer {
        let first = match self.spend_cancels(caller, 1) {
            Ok(verdict) => verdict,
            Err(answer) => return *answer,
        };
        if let Err(refusal) = self.venue.takes_cancels() {
            return self.limited(refusal.into(), first);
        }
        let done = self.venue.cancel_all(&caller.signer, market, token);
        // What it costs is known only now; it is taken even if that makes a debt.
        let cost = u32::try_from(done.canceled.len()).unwrap_or(u32::MAX);
        let verdict = self.limits.charge_cancels(caller.signer, cost, self.venue.now());
        let verdict = Verdict { wait: None, ..verdict };
        self.limited(Answer::ok(&wire::cancelled(&done)), verdict)
    }

    fn data_orders(&self, caller: &Caller, req: &Req) -> Answer {
        let universe = self.venue.universe();
        let market = req.param("market").map(|m| m.parse().ok().and_then(|c| universe.key(&c)));
        let asset = req.param("asset_id").map(|text| self.venue.token(text));
        let mut orders: Vec<&Order> = self
            .venue
            .open_orders(&caller.signer)
            .filter(|order| req.param("id").is_none_or(|id| order.id.to_string() == id))
            .filter(|order| market.is_none_or(|key| Some(order.token.market()) == key))
            .filter(|order| asset.is_none_or(|token| Some(order.token) == token))
            .collect();
        orders.sort_by_key(|order| (order.created, order.id));
        let size = self.faults.page(req).unwrap_or(PAGE);
        let show = |order: &&Order| wire::order(order, universe);
        Answer::ok(&wire::page_of(&orders, req.param("next_cursor"), size, show))
    }

    fn data_order(&self, caller: &Caller, id: &str) -> Answer {
        let order = order_id(id).and_then(|id| self.venue.order(&id));
        match order.filter(|order| order.signer == caller.signer) {
            Some(order) => Answer::ok(&wire::order(order, self.venue.universe())),
            None => Answer::error(404, "Order not found"),
        }
    }

    fn data_trades(&self, caller: &Caller, req: &Req) -> Answer {
        let universe = self.venue.universe();
        let market = req.param("market").map(|m| m.parse().ok().and_then(|c| universe.key(&c)));
        let asset = req.param("asset_id").map(|text| self.venue.token(text));
        let second = |name| req.param(name).and_then(|text| text.parse::<i64>().ok());
        let (after, before) = (second("after"), second("before"));
        let maker = req.param("maker_address").and_then(wire::address);
        let wanted = self.venue.trades().rev().filter(|trade| {
            let at = trade.matched_at.millis() / 1_000;
            let wallets = || trade.legs.iter().map(|leg| leg.wallet).chain([trade.wallet]);
            let tokens = || trade.legs.iter().map(|leg| leg.token).chain([trade.token]);
            trade.concerns(&caller.signer)
                && req.param("id").is_none_or(|id| trade.id.to_string() == id)
                && market.is_none_or(|key| Some(trade.token.market()) == key)
                && asset.is_none_or(|token| tokens().any(|of| Some(of) == token))
                && maker.is_none_or(|maker| wallets().any(|wallet| wallet == maker))
                && after.is_none_or(|after| at >= after)
                && before.is_none_or(|before| at <= before)
        });
        let rows: Vec<&Trade> = wanted.collect();
        let size = self.faults.page(req).unwrap_or(PAGE);
        let show = |trade: &&Trade| wire::trade(trade, &caller.signer, universe);
        Answer::ok(&wire::page_of(&rows, req.param("next_cursor"), size, show))
    }

    /// The wallet a signature type means for a caller.
    pub(super) fn wallet_of(&self, signer: Address, signature_type: u8) -> Option<Address> {
        let owner = self.venue.session(&signer).map_or(signer, |session| session.of);
        let mut kinds = WalletKind::ALL.into_iter().rev();
        let known = |kind: &WalletKind| {
            kind.signature_type() == signature_type
                && self.venue.ledger().wallet(&kind.address(owner)).is_some()
        };
        kinds.find(known).map(|kind| kind.address(owner))
    }

    fn balance(&self, caller: &Caller, req: &Req) -> Answer {
        let kind = req.param("signature_type").unwrap_or("0").parse().unwrap_or(0);
        let wallet = self.wallet_of(caller.signer, kind);
        let token = req.param("token_id");
        let amount = match req.param("asset_type") {
            Some("COLLATERAL") => wallet.map(|wallet| self.cash_read(&wallet)),
            Some("CONDITIONAL" | "CONDITIONAL-V2") => {
                let Some(token) = token.and_then(|token| self.venue.token(token)) else {
                    return Answer::error(400, "Invalid token id");
                };
                wallet.map(|wallet| self.shares_read(&wallet, token))
            }
            _ => return Answer::error(400, "Invalid asset type"),
        };
        let wallet = wallet.and_then(|wallet| self.venue.ledger().wallet(&wallet));
        let mut allowances = serde_json::Map::new();
        for contract in Contract::ALL {
            let address = contract.address(self.venue.chain_id());
            let allowed = wallet.map(|wallet| wallet.allowance(COLLATERAL, address));
            let allowed = allowed.unwrap_or_default().to_string();
            allowances.insert(address.to_checksum(None), json!(allowed));
        }
        let balance = amount.unwrap_or(0).to_string();
        Answer::ok(&json!({ "balance": balance, "allowances": allowances }))
    }

    fn scores(&self, caller: &Caller, id: &OrderHash) -> bool {
        let order = self.venue.order(id).filter(|order| order.signer == caller.signer);
        let Some(order) = order.filter(|order| order.status == Status::Live) else { return false };
        let view = self.venue.market_view(order.token.market());
        let Some((size, spread)) = view.as_ref().and_then(|view| view.listing.rewards) else {
            return false;
        };
        let Some(middle) = view.map(|view| view.price(order.token.outcome())) else {
            return false;
        };
        let apart = |price: Price| middle.units().abs_diff(price.units());
        let rested = order.created.until(self.venue.now());
        order.open >= size && apart(order.limit) <= spread && rested >= Span::millis(3_500)
    }

    fn scoring(&self, caller: &Caller, req: &Req) -> Answer {
        let ids: Vec<String> = match req.method.as_str() {
            "GET" => req.params("order_ids").map(str::to_owned).collect(),
            _ => match serde_json::from_slice(&req.body) {
                Ok(ids) => ids,
                Err(_) => return Answer::error(400, "Invalid payload"),
            },
        };
        let mut all = serde_json::Map::new();
        for text in ids {
            let scores = order_id(&text).is_some_and(|id| self.scores(caller, &id));
            all.insert(text, json!(scores));
        }
        Answer::ok(&Value::Object(all))
    }

    fn heartbeat(&mut self, caller: &Caller, req: &Req) -> Answer {
        let body: Value = serde_json::from_slice(&req.body).unwrap_or(Value::Null);
        let id = body["heartbeat_id"].as_str().and_then(|id| id.parse().ok());
        match self.venue.beat(caller, id) {
            Ok(next) => Answer::ok(&json!({ "heartbeat_id": next })),
            Err(error) => Answer::json(
                400,
                &json!({
                    "error": "Invalid Heartbeat ID", "error_msg": "Invalid Heartbeat ID",
                    "heartbeat_id": error.expected,
                }),
            ),
        }
    }
}

fn order_id(text: &str) -> Option<OrderHash> {
    if text.len() == 66 { text.parse().ok() } else { None }
}

/// Whole seconds, rounded up.
pub(super) fn whole_seconds(span: Span) -> i64 {
    (span.as_millis().max(0) + 999) / 1_000
}
