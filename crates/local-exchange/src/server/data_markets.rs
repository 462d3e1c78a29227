//! Data API: markets seen from outside.

use polydesk_domain::{MarketKey, Outcome, ProtocolVersion, Shares, Token, Usdc};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::clob::interval_seconds;
use super::data::{listed, wrong};
use super::inner::Inner;
use crate::{text, wire};

impl Inner {
    pub(super) fn market_named(&self, req: &Req) -> Vec<MarketKey> {
        let universe = self.venue.universe();
        let names = ["market", "condition_id", "condition"];
        let texts = names.iter().flat_map(|name| req.params(name));
        texts.filter_map(|text| universe.key(&text.parse().ok()?)).collect()
    }

    pub(super) fn holders(&self, req: &Req, camel: bool) -> Answer {
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
                            json!({ "proxy_wallet": format!("{address:#x}"), "amount": amount,
                                    "token_id": universe.token_id(token), "name": "",
                                    "outcome_index": outcome.index(), "pseudonym": "",
                                    "display_username_public": true, "verified": false })
                        }
                    })
                    .collect();
                let name = if camel { "token" } else { "token_id" };
                groups.push(json!({ name: universe.token_id(token), "holders": rows }));
            }
        }
        listed(req, camel, groups, 500)
    }

    /// Open interest: pairs of shares that exist, each worth a dollar. Without a market, of all.
    pub(super) fn open_interest(&self, req: &Req, camel: bool) -> Answer {
        let universe = self.venue.universe();
        let pairs = |key: MarketKey| -> Shares {
            let token = key.token(Outcome::Yes);
            let wallets = self.venue.ledger().wallets();
            wallets.map(|(_, wallet)| wallet.holding(token).settled).sum()
        };
        let row = |name: String, shares| wire::open_interest(&name, shares, camel);
        let named = self.market_named(req);
        let rows: Vec<Value> = if named.is_empty() {
            vec![row("GLOBAL".into(), universe.keys().map(pairs).sum())]
        } else {
            let of =
                |key: &MarketKey| row(universe.market(*key).condition.to_string(), pairs(*key));
            named.iter().map(of).collect()
        };
        if camel { listed(req, camel, rows, 500) } else { Answer::ok(&json!({ "data": rows })) }
    }

    /// What takers traded in events: pUSD in version 1, shares in version 2.
    pub(super) fn live_volume(&self, req: &Req, camel: bool) -> Answer {
        let name = if camel { "id" } else { "event_id" };
        let events: Vec<&str> = req.params(name).collect();
        if events.is_empty() {
            return wrong(camel, name);
        }
        let views = self.venue.market_views();
        let wanted = views
            .iter()
            .filter(|view| events.contains(&wire::event_number(view).to_string().as_str()));
        let takers: Vec<_> = self.fills(None).into_iter().filter(|fill| fill.taker).collect();
        let mut rows = Vec::new();
        let (mut shares, mut money) = (Shares::ZERO, Usdc::ZERO);
        for view in wanted {
            let own = || takers.iter().filter(|fill| fill.token.market() == view.key);
            let of: (Shares, Usdc) =
                (own().map(|fill| fill.shares).sum(), own().map(|fill| fill.money).sum());
            shares += of.0;
            money += of.1;
            rows.push(wire::market_volume(&view.listing.market.condition, of, camel));
        }
        Answer::ok(&wire::event_volume((shares, money), rows, camel))
    }

    /// Past prices of version 2: trades themselves, or the last of each bucket.
    pub(super) fn price_points(&self, req: &Req) -> Answer {
        let Some(token) = req.param("token_id").and_then(|id| self.venue.token(id)) else {
            return wrong(false, "token_id");
        };
        let seconds = |name| req.param(name).and_then(|text| text.parse::<i64>().ok());
        let (start, as_of) = (seconds("start"), seconds("as_of"));
        let now = self.shown_now().millis() / 1_000;
        let step = seconds("bucket_seconds");
        let stretch = match (req.param("interval"), start, as_of) {
            (Some(word), None, None) => now - interval_seconds(Some(word))..=now,
            (None, Some(start), None) => start..=seconds("end").unwrap_or(now),
            (None, None, Some(at)) => i64::MIN..=at,
            _ => return wrong(false, "interval"),
        };
        if step.is_some_and(|step| step < 60 || as_of.is_some()) {
            return wrong(false, "bucket_seconds");
        }
        let mut points = self.sampled(token, stretch, step.unwrap_or(1));
        if as_of.is_some() {
            points = points.pop().into_iter().collect();
        }
        let rows = points.iter().map(|point| wire::price_point(*point, step.unwrap_or(0)));
        listed(req, false, rows.collect(), 10_000)
    }

    pub(super) fn tokens(&self, req: &Req) -> Answer {
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
                "market_slug": market.slug, "title": market.question, "event_slug": market.event,
                "structural_condition_id": null,
                "module": match (&market.version, &market.neg_risk) {
                    (ProtocolVersion::V2, Some(_)) => "neg_risk",
                    (ProtocolVersion::V2, None) => "binary",
                    _ => "v1_ctf",
                },
            }))
        };
        Answer::ok(&json!({ "data": tokens.iter().filter_map(row).collect::<Vec<_>>() }))
    }

    pub(super) fn resolutions(&self, req: &Req) -> Answer {
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
                // Millionths, as the official client reads them.
                "payouts": resolved.map(|_| {
                    Outcome::BOTH.map(|outcome| i64::from(view.price(outcome).units()) * 100)
                }),
                "extended_review": false, "new_version_q": false,
                "last_update_timestamp": resolved.unwrap_or(view.listed_at).millis() / 1_000,
                "resolution_source": resolved.map(|_| "reported"),
                "reporter": resolved.map(|_| "UMA_OO"),
                "resolved_at": resolved.map(|at| at.millis() / 1_000),
                "transaction_hash": null,
            }))
        };
        let mut keys = self.market_named(req);
        let named = |name: &str, is: &str| req.params(name).any(|wanted| wanted == is);
        let views = self.venue.market_views();
        let wanted = views.iter().filter(|view| {
            named("event_id", &wire::event_number(view).to_string())
                || named("question_id", &wire::question_id(view))
        });
        keys.extend(wanted.map(|view| view.key));
        Answer::ok(&json!({ "data": keys.iter().filter_map(row).collect::<Vec<_>>() }))
    }
}
