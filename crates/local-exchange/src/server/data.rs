//! Data API, both versions: what wallets hold and did, computed from the venue's own trades.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use polydesk_domain::{Shares, Side, Token, TradeStatus, Usdc};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::inner::Inner;
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
        let needs_user: &[&str] = &[
            "/positions",
            "/closed-positions",
            "/activity",
            "/value",
            "/traded",
            "/user-stats",
            "/user-volume",
            "/user-pnl",
            "/positions/combos",
            "/activity/combos",
            "/accounting/snapshot",
        ];
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
            "/market-positions" if camel => self.market_positions(req, user),
            "/positions/combos" | "/activity/combos" if !camel => {
                // Nothing here makes combos.
                listed(req, camel, Vec::new(), 1_000)
            }
            "/holders" => self.holders(req, camel),
            "/oi" => self.open_interest(req, camel),
            "/tokens" if !camel => self.tokens(req),
            "/resolutions" if !camel => self.resolutions(req),
            "/live-volume" => self.live_volume(req, camel),
            "/prices-history" if !camel => self.price_points(req),
            // Nobody is ranked here.
            "/leaderboard" if !camel && user.is_some() => Answer::ok(&json!({ "data": null })),
            "/leaderboard" => listed(req, camel, Vec::new(), 50),
            // No builder is registered.
            "/builders/leaderboard" => listed(req, camel, Vec::new(), 50),
            "/builders/volume" if camel => Answer::ok(&json!([])),
            "/builders/volume" => Answer::ok(&json!({ "data": [] })),
            "/status" if !camel => Answer::ok(&json!({ "data": wire::freshness(&self.venue) })),
            _ => match user {
                Some(user) => self.data_of(req, path, &user, camel),
                None => Answer::error(404, "not found"),
            },
        }
    }

    /// Fills that have not failed, newest first.
    pub(super) fn fills(&self, user: Option<Address>) -> Vec<Fill> {
        let settled = self.venue.trades().rev();
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
    pub(super) fn held(&self, user: Option<Address>) -> BTreeMap<(Address, Token), Held> {
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

    pub(super) fn worth(&self, user: &Address) -> Usdc {
        let value = |(token, shares): (&Token, &Shares)| {
            let view = self.venue.market_view(token.market())?;
            Some(view.price(token.outcome()).notional_floor(*shares))
        };
        self.venue.shares_of(user).iter().filter_map(value).sum()
    }
}

/// A list in the envelope of its version.
pub(super) fn listed(req: &Req, camel: bool, rows: Vec<Value>, most: usize) -> Answer {
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

pub(super) fn wrong(camel: bool, parameter: &str) -> Answer {
    if camel {
        return Answer::error(400, &format!("required query param '{parameter}' not provided"));
    }
    Answer::json(
        400,
        &json!({ "code": "invalid_parameter", "message": format!("{parameter} is required"),
                 "retryable": false, "trace_id": "local", "parameter": parameter }),
    )
}
