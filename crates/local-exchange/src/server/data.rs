//! Data API, both versions: what wallets hold and did, computed from the venue's own trades.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use polydesk_domain::{MarketKey, Outcome, Shares, Side, Token, TradeStatus, Usdc};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::text;
use crate::wire::{self, Fill, Held};

impl Inner {
    /// Answers a request to the Data API.
    pub(super) fn data(&mut self, req: &Req) -> Answer {
        if req.method != "GET" {
            return Answer::error(405, "method not allowed");
        }
        let path = req.path.trim_end_matches('/');
        let (path, camel) = match path.strip_prefix("/v2") {
            Some(rest) => (rest, false),
            None => (path.strip_prefix("/v1").unwrap_or(path), true),
        };
        let user = req.param("user").and_then(wire::address);
        let needs_user = ["/positions", "/closed-positions", "/activity", "/value", "/traded"];
        if needs_user.contains(&path)
            && user.is_none()
            && (path != "/positions" || camel || req.param("condition_id").is_none())
        {
            return wrong(camel, "user");
        }
        match path {
            "" => Answer::ok(&json!({ "data": "OK" })),
            "/trades" => self.trade_rows(req, user, camel),
            "/activity" => self.activity_rows(req, user, camel),
            "/positions" => self.positions(req, user, camel, false),
            "/closed-positions" => self.positions(req, user, camel, true),
            "/value" => {
                let user = user.unwrap_or_default();
                let value = wire::number(&text::money(self.worth(&user)));
                if camel {
                    Answer::ok(&json!([{ "user": format!("{user:#x}"), "value": value }]))
                } else {
                    Answer::ok(&json!({ "data": { "value": value } }))
                }
            }
            "/traded" => {
                let user = user.unwrap_or_default();
                let mut markets: Vec<_> =
                    self.fills(Some(user)).iter().map(|fill| fill.token.market()).collect();
                markets.sort();
                markets.dedup();
                let traded = markets.len();
                Answer::ok(&json!({ "user": format!("{user:#x}"), "traded": traded }))
            }
            "/holders" => self.holders(req, camel),
            "/oi" => self.open_interest(req, camel),
            "/tokens" if !camel => self.tokens(req),
            "/resolutions" if !camel => self.resolutions(req),
            "/live-volume" => Answer::ok(&json!([{ "total": 0, "markets": [] }])),
            "/leaderboard" => listed(req, camel, Vec::new(), 50),
            "/status" => Answer::ok(&json!({ "data": { "status": "ok" } })),
            _ => Answer::error(404, "not found"),
        }
    }

    /// Fills that have not failed, newest first.
    fn fills(&self, user: Option<Address>) -> Vec<Fill> {
        let settled = self.venue.trades().iter().rev();
        settled
            .filter(|trade| trade.status != TradeStatus::Failed)
            .flat_map(wire::fills)
            .filter(|fill| user.is_none_or(|user| fill.wallet == user))
            .collect()
    }

    fn filtered(&self, req: &Req, user: Option<Address>, camel: bool) -> Vec<Fill> {
        let name = if camel { "market" } else { "condition_id" };
        let conditions: Vec<&str> = req.params(name).collect();
        let side = req.param("side");
        let second = |name| req.param(name).and_then(|text| text.parse::<i64>().ok());
        let (start, end) = (second("start"), second("end"));
        let universe = self.venue.universe();
        let mut fills = self.fills(user);
        fills.retain(|fill| {
            let condition = universe.market(fill.token.market()).condition.to_string();
            (conditions.is_empty() || conditions.contains(&condition.as_str()))
                && side.is_none_or(|side| wire::side(fill.side) == side)
                && start.is_none_or(|start| fill.seconds >= start)
                && end.is_none_or(|end| fill.seconds <= end)
        });
        fills
    }

    fn trade_rows(&self, req: &Req, user: Option<Address>, camel: bool) -> Answer {
        // The default hides what makers did: a trap of the real endpoint.
        let takers = req.flag(if camel { "takerOnly" } else { "taker_only" }).unwrap_or(true);
        let fills = self.filtered(req, user, camel);
        let wanted = fills.iter().filter(|fill| !takers || fill.taker);
        let rows = wanted.map(|fill| wire::trade_row(fill, &self.venue, camel)).collect();
        listed(req, camel, rows, 500)
    }

    fn activity_rows(&self, req: &Req, user: Option<Address>, camel: bool) -> Answer {
        let mut types = req.params("type").peekable();
        if types.peek().is_some() && !types.any(|kind| kind == "TRADE") {
            return listed(req, camel, Vec::new(), 500);
        }
        let fills = self.filtered(req, user, camel);
        let mut rows: Vec<Value> =
            fills.iter().map(|fill| wire::activity_row(fill, &self.venue, camel)).collect();
        let direction = req.param("sortDirection").or_else(|| req.param("sort_direction"));
        if direction == Some("ASC") {
            rows.reverse();
        }
        listed(req, camel, rows, 500)
    }

    /// What each wallet and token has seen.
    fn held(&self, user: Option<Address>) -> BTreeMap<(Address, Token), Held> {
        let mut all: BTreeMap<(Address, Token), Held> = BTreeMap::new();
        for fill in self.fills(user) {
            let held = all.entry((fill.wallet, fill.token)).or_default();
            held.last = held.last.max(fill.seconds);
            held.fees += fill.fee;
            match fill.side {
                Side::Buy => {
                    held.bought += fill.shares;
                    held.cost += fill.money;
                }
                Side::Sell => {
                    held.sold += fill.shares;
                    held.proceeds += fill.money;
                }
            }
        }
        for (address, _) in self.venue.ledger().wallets() {
            if user.is_some_and(|user| user != *address) {
                continue;
            }
            for (token, shares) in self.venue.shares_of(address) {
                all.entry((*address, token)).or_default().size = shares;
            }
        }
        // Shares that came in sets cost half a dollar each.
        for held in all.values_mut() {
            let from_sets = (held.size + held.sold).saturating_sub(held.bought);
            held.bought += from_sets;
            held.cost += from_sets.face_value().scale_floor(1, 2);
        }
        all
    }

    fn positions(&self, req: &Req, user: Option<Address>, camel: bool, closed: bool) -> Answer {
        let name = if camel { "market" } else { "condition_id" };
        let conditions: Vec<&str> = req.params(name).collect();
        let held = self.held(user);
        let mut rows = Vec::new();
        for ((address, token), position) in &held {
            let Some(view) = self.venue.market_view(token.market()) else { continue };
            let condition = view.listing.market.condition.to_string();
            let empty = position.size.is_zero();
            let wanted =
                if camel { empty == closed } else { !empty || req.param("status").is_some() };
            if !wanted || !(conditions.is_empty() || conditions.contains(&condition.as_str())) {
                continue;
            }
            let sibling = held.get(&(*address, token.sibling()));
            let mergeable = sibling.is_some_and(|other| !other.size.is_zero()) && !empty;
            let row = wire::position_row(address, *token, position, &view, mergeable, camel);
            let status: Vec<&str> = req.params("status").collect();
            let flag = |name: &str| req.flag(name).is_none_or(|want| row[name] == want);
            let fits = camel
                || status.is_empty()
                || row["status"].as_str().is_some_and(|word| status.contains(&word));
            if fits && flag("redeemable") && flag("mergeable") {
                rows.push(row);
            }
        }
        listed(req, camel, rows, if closed { 50 } else { 500 })
    }

    fn worth(&self, user: &Address) -> Usdc {
        let value = |(token, shares): (&Token, &Shares)| {
            let view = self.venue.market_view(token.market())?;
            Some(view.price(token.outcome()).notional_floor(*shares))
        };
        self.venue.shares_of(user).iter().filter_map(value).sum()
    }

    fn market_named(&self, req: &Req) -> Vec<MarketKey> {
        let universe = self.venue.universe();
        let texts = req.params("market").chain(req.params("condition_id"));
        texts.filter_map(|text| universe.key(&text.parse().ok()?)).collect()
    }

    fn holders(&self, req: &Req, camel: bool) -> Answer {
        let universe = self.venue.universe();
        let mut groups = Vec::new();
        for key in self.market_named(req) {
            for outcome in Outcome::BOTH {
                let token = key.token(outcome);
                let mut holders: Vec<_> = self
                    .venue
                    .ledger()
                    .wallets()
                    .map(|(address, wallet)| (wallet.holding(token).settled, address))
                    .filter(|(shares, _)| !shares.is_zero())
                    .collect();
                holders.sort_by(|a, b| b.cmp(a));
                let rows: Vec<Value> = holders
                    .iter()
                    .map(|(shares, address)| {
                        let amount = wire::number(&text::shares(*shares));
                        if camel {
                            json!({ "proxyWallet": format!("{address:#x}"), "bio": "",
                                    "asset": universe.token_id(token), "pseudonym": "",
                                    "amount": amount, "displayUsernamePublic": true,
                                    "outcomeIndex": outcome.index(), "name": "",
                                    "profileImage": "" })
                        } else {
                            json!({ "proxy_wallet": format!("{address:#x}"), "amount": amount })
                        }
                    })
                    .collect();
                let name = if camel { "token" } else { "token_id" };
                groups.push(json!({ name: universe.token_id(token), "holders": rows }));
            }
        }
        listed(req, camel, groups, 500)
    }

    fn open_interest(&self, req: &Req, camel: bool) -> Answer {
        let universe = self.venue.universe();
        let row = |key: MarketKey| {
            let token = key.token(Outcome::Yes);
            let wallets = self.venue.ledger().wallets();
            let shares = wallets.map(|(_, wallet)| wallet.holding(token).settled).sum();
            json!({ "market": universe.market(key).condition,
                    "value": wire::number(&text::shares(shares)) })
        };
        listed(req, camel, self.market_named(req).into_iter().map(row).collect(), 500)
    }

    fn tokens(&self, req: &Req) -> Answer {
        let universe = self.venue.universe();
        let mut tokens: Vec<Token> =
            req.params("token_id").filter_map(|id| self.venue.token(id)).collect();
        for key in self.market_named(req) {
            tokens.extend(Outcome::BOTH.map(|outcome| key.token(outcome)));
        }
        let row = |token: &Token| {
            let view = self.venue.market_view(token.market())?;
            let market = &view.listing.market;
            let index = token.outcome().index();
            let resolved = view.closed_at.is_some();
            Some(json!({
                "token_id": universe.token_id(*token), "condition_id": market.condition,
                "outcome_index": index, "clob_index": index, "outcome": market.labels[index],
                "opposite_token_id": market.tokens[1 - index], "resolved": resolved,
                "final_price": resolved.then(|| {
                    wire::number(&text::price(view.price(token.outcome())))
                }),
                "closed": resolved, "neg_risk": market.neg_risk.is_some(),
                "neg_risk_market_id": market.neg_risk.as_ref().map(|group| group.group.clone()),
                "question_index": view.key.0, "event_id": wire::event_number(&view).to_string(),
                "market_slug": market.slug,
            }))
        };
        listed(req, false, tokens.iter().filter_map(row).collect(), 1_000)
    }

    fn resolutions(&self, req: &Req) -> Answer {
        let row = |key: &MarketKey| {
            let view = self.venue.market_view(*key)?;
            let resolved = view.closed_at;
            let price = |outcome| wire::number(&text::price(view.price(outcome)));
            Some(json!({
                "condition_id": view.listing.market.condition,
                "question_id": wire::question_id(&view),
                "status": if resolved.is_some() { "resolved" } else { "initialized" },
                "price": resolved.map(|_| price(Outcome::Yes)),
                "proposed_price": null, "was_disputed": false,
                "payouts": resolved.map(|_| [price(Outcome::Yes), price(Outcome::No)]),
                "resolution_source": "", "reporter": "UMA_OO",
                "resolved_at": resolved.map(|at| at.millis() / 1_000),
                "transaction_hash": null,
            }))
        };
        listed(req, false, self.market_named(req).iter().filter_map(row).collect(), 1_000)
    }
}

/// A list in the envelope of its version.
fn listed(req: &Req, camel: bool, rows: Vec<Value>, most: usize) -> Answer {
    let limit = req.count("limit").unwrap_or(100);
    if camel {
        let offset = req.count("offset").unwrap_or(0);
        let rows = rows.into_iter().skip(offset).take(limit.min(most)).collect();
        return Answer::ok(&Value::Array(rows));
    }
    let from = req.count("cursor").unwrap_or(0);
    let limit = limit.clamp(1, 1_000);
    let total = rows.len();
    let page: Vec<Value> = rows.into_iter().skip(from).take(limit).collect();
    let more = from.saturating_add(limit) < total;
    Answer::ok(&json!({
        "data": page,
        "pagination": {
            "limit": limit, "has_more": more,
            "next_cursor": more.then(|| (from + limit).to_string()),
        },
    }))
}

fn wrong(camel: bool, parameter: &str) -> Answer {
    if camel {
        return Answer::error(400, &format!("required query param '{parameter}' not provided"));
    }
    Answer::json(
        400,
        &json!({ "code": "invalid_parameter", "message": format!("{parameter} is required"),
                 "retryable": false, "trace_id": "local", "parameter": parameter }),
    )
}
