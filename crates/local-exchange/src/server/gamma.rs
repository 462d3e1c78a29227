//! Gamma: discovery. Lists by cursor, offsets that still answer, one object by id or slug.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{MarketKey, MarketState, ProtocolVersion, Time};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::venue::MarketView;
use crate::wire;

impl Inner {
    /// Answers a request to Gamma.
    pub(super) fn gamma(&mut self, req: &Req) -> Answer {
        if req.method != "GET" {
            return Answer::error(405, "method not allowed");
        }
        let now = self.shown_now();
        let path = req.path.trim_end_matches('/');
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            ["status"] => Answer::text(200, "text/plain; charset=utf-8", "OK"),
            ["markets", "keyset"] => self.market_keyset(req, now),
            ["markets"] => {
                let rows: Vec<_> = self.found(req).collect();
                old_list(req, rows.iter().map(|view| wire::gamma_market(view, now)).collect())
            }
            ["markets", "slug", slug] => {
                self.one_market(now, |view| view.listing.market.slug == *slug)
            }
            ["markets", id] => self.one_market(now, |view| view.number.to_string() == *id),
            ["markets", id, "tags"] => {
                let views = self.venue.market_views();
                match views.iter().find(|view| view.number.to_string() == *id) {
                    Some(view) => Answer::ok(&Value::Array(wire::tags(view))),
                    None => Answer::error(404, "id not found"),
                }
            }
            ["events", "keyset"] => self.event_keyset(req, now),
            ["events"] => {
                let rows = self.events(req);
                old_list(req, rows.iter().map(|group| wire::gamma_event(group, now)).collect())
            }
            ["events", "slug", slug] => {
                self.one_event(now, |view| view.listing.market.event == *slug)
            }
            ["events", id] => {
                self.one_event(now, |view| wire::event_number(view).to_string() == *id)
            }
            ["events", id, "tags"] => {
                let views = self.venue.market_views();
                match views.iter().find(|view| wire::event_number(view).to_string() == *id) {
                    Some(view) => Answer::ok(&Value::Array(wire::tags(view))),
                    None => Answer::error(404, "id not found"),
                }
            }
            ["tags"] => old_list(req, self.tags()),
            ["tags", "slug", slug] => one(self.tags(), |tag| tag["slug"] == *slug),
            ["tags", id] => one(self.tags(), |tag| tag["id"] == *id),
            // No two tags share a market here.
            ["tags", _, "related-tags"]
            | ["tags", _, "related-tags", "tags"]
            | ["tags", "slug", _, "related-tags"]
            | ["tags", "slug", _, "related-tags", "tags"] => Answer::ok(&json!([])),
            ["series"] | ["comments"] | ["teams"] => Answer::ok(&json!([])),
            ["comments", "keyset"] => Answer::ok(&json!({ "comments": [] })),
            ["comments", _] | ["comments", "user_address", _] => Answer::ok(&json!([])),
            ["series", _] => Answer::error(404, "id not found"),
            ["sports"] => Answer::ok(&json!([{
                "sport": "local", "image": "", "resolution": "", "ordering": "home",
                "tags": "1", "series": "1",
            }])),
            ["sports", "market-types"] => Answer::ok(&json!({
                "marketTypes": ["moneyline", "spreads", "totals"]
            })),
            ["public-search"] => self.search(req, now),
            ["public-profile"] => self.profile(req),
            _ => Answer::error(404, "not found"),
        }
    }

    fn one_market(&self, now: Time, is: impl Fn(&MarketView) -> bool) -> Answer {
        let views = self.venue.universe().keys().filter_map(|key| self.venue.market_view(key));
        match { views }.find(is) {
            Some(view) => Answer::ok(&wire::gamma_market(&view, now)),
            None => Answer::error(404, "id not found"),
        }
    }

    fn one_event(&self, now: Time, is: impl Fn(&MarketView) -> bool) -> Answer {
        match grouped(self.venue.market_views()).iter().find(|group| group.iter().any(&is)) {
            Some(group) => Answer::ok(&wire::gamma_event(group, now)),
            None => Answer::error(404, "id not found"),
        }
    }

    /// Markets that a request's filters leave, in the order it asks for.
    fn found(&self, req: &Req) -> impl Iterator<Item = MarketView> {
        let mut views = self.candidates(req);
        let any = |name: &str, is: &dyn Fn(&str) -> bool| {
            let mut wanted = req.params(name).peekable();
            wanted.peek().is_none() || wanted.any(is)
        };
        let tag = |view: &MarketView, id: &str| {
            wire::tags(view).iter().any(|tag| tag["id"] == id || tag["slug"] == id)
        };
        // Absent means open ones only, since 2026-04-09.
        let closed = req.flag("closed").unwrap_or(false);
        views.retain(|view| {
            let market = &view.listing.market;
            let named = req.param("id").is_some() || req.param("slug").is_some();
            (named && req.flag("closed").is_none() || is_closed(view) == closed)
                && any("id", &|id| view.number.to_string() == id)
                && any("slug", &|slug| market.slug == slug)
                && any("clob_token_ids", &|id| market.tokens.iter().any(|t| t.to_string() == id))
                && any("position_ids", &|id| {
                    market.version == ProtocolVersion::V2
                        && market.tokens.iter().any(|t| t.to_string() == id)
                })
                && any("question_ids", &|id| wire::question_id(view) == id)
                && any("version", &|word| match market.version {
                    ProtocolVersion::V1 => word == "v1",
                    ProtocolVersion::V2 => word == "v2",
                    ProtocolVersion::Unknown(_) => false,
                })
                && any("tag_id", &|id| tag(view, id))
                && any("tag_slug", &|slug| tag(view, slug))
                && any("event_slug", &|slug| market.event == slug)
                && req.flag("archived") != Some(true)
                && req.flag("active") != Some(false)
        });
        match req.param("order").and_then(|order| order.split(',').next()) {
            Some("volumeNum" | "volume24hr") => views.sort_by_key(|view| view.volume),
            Some("liquidityNum") => views.sort_by_key(|view| view.liquidity),
            // Text columns: they sort as text, as the venue's do.
            Some("volume") => views.sort_by_key(|view| crate::text::money(view.volume)),
            Some("liquidity") => views.sort_by_key(|view| crate::text::money(view.liquidity)),
            Some("endDate") => views.sort_by_key(|view| view.listing.market.closes),
            _ => {}
        }
        if req.param("order").is_some() && req.flag("ascending") != Some(true) {
            views.reverse();
        }
        views.into_iter()
    }

    /// Markets that the filters named most often leave: the views of thousands of others are not made for one.
    fn candidates(&self, req: &Req) -> Vec<MarketView> {
        let universe = self.venue.universe();
        let conditions: Vec<_> = req.params("condition_ids").collect();
        let closed = req.flag("closed").unwrap_or(false);
        let named = req.param("id").is_some() || req.param("slug").is_some();
        let fits = |key: &MarketKey| {
            let state = universe.market(*key).state;
            (named && req.flag("closed").is_none()) || is_over(state) == closed
        };
        let keys: BTreeSet<MarketKey> = match conditions.is_empty() {
            true => universe.keys().filter(fits).collect(),
            false => {
                let known = |text: &&str| universe.key(&text.parse().ok()?);
                conditions.iter().filter_map(known).filter(fits).collect()
            }
        };
        keys.into_iter().filter_map(|key| self.venue.market_view(key)).collect()
    }

    fn events(&self, req: &Req) -> Vec<Vec<MarketView>> {
        let mut all = grouped(self.found_for_events(req));
        let any = |name: &str, is: &dyn Fn(&str) -> bool| {
            let mut wanted = req.params(name).peekable();
            wanted.peek().is_none() || wanted.any(is)
        };
        all.retain(|group| {
            let Some(first) = group.first() else { return false };
            any("id", &|id| wire::event_number(first).to_string() == id)
                && any("slug", &|slug| first.listing.market.event == slug)
        });
        all
    }

    /// The filters of markets without those that mean something else for events.
    fn found_for_events(&self, req: &Req) -> Vec<MarketView> {
        let mut bare = req.clone();
        bare.query.retain(|(name, _)| !["id", "slug"].contains(&name.as_str()));
        self.found(&bare).collect()
    }

    fn market_keyset(&self, req: &Req, now: Time) -> Answer {
        let rows = self.found(req).map(|view| wire::gamma_market(&view, now)).collect();
        Answer::ok(&keyset("markets", rows, req))
    }

    fn event_keyset(&self, req: &Req, now: Time) -> Answer {
        let rows = self.events(req).iter().map(|group| wire::gamma_event(group, now)).collect();
        Answer::ok(&keyset("events", rows, req))
    }

    fn tags(&self) -> Vec<Value> {
        let mut slugs: Vec<String> =
            self.venue.market_views().into_iter().flat_map(|view| view.listing.tags).collect();
        slugs.sort();
        slugs.dedup();
        slugs.iter().map(|slug| wire::tag(slug)).collect()
    }

    fn search(&self, req: &Req, now: Time) -> Answer {
        let words = req.param("q").unwrap_or_default().to_lowercase();
        let groups = grouped(self.venue.market_views());
        let found: Vec<Value> = groups
            .iter()
            .filter(|group| {
                group.iter().any(|view| {
                    let market = &view.listing.market;
                    let text = format!("{} {}", market.question, view.listing.event_title);
                    text.to_lowercase().contains(&words)
                })
            })
            .take(req.count("limit_per_type").unwrap_or(10))
            .map(|group| wire::gamma_event(group, now))
            .collect();
        let total = found.len();
        Answer::ok(&json!({
            "events": if found.is_empty() { Value::Null } else { Value::Array(found) },
            "tags": [],
            "profiles": null,
            "pagination": { "hasMore": false, "totalResults": total },
        }))
    }

    fn profile(&self, req: &Req) -> Answer {
        let address = req.param("address").and_then(wire::address);
        match address.filter(|address| self.venue.ledger().wallet(address).is_some()) {
            Some(address) => Answer::ok(&json!({
                "proxyWallet": format!("{address:#x}"), "name": "", "pseudonym": "", "bio": "",
                "displayUsernamePublic": true, "verifiedBadge": false,
            })),
            None => Answer::error(404, "profile not found"),
        }
    }
}

fn is_closed(view: &MarketView) -> bool {
    is_over(view.listing.market.state)
}

fn is_over(state: MarketState) -> bool {
    matches!(state, MarketState::Resolved(_) | MarketState::Closed)
}

/// Markets by event, in the order in which the events first appear.
fn grouped(views: Vec<MarketView>) -> Vec<Vec<MarketView>> {
    let mut groups: Vec<Vec<MarketView>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for view in views {
        let place = *places.entry(view.listing.market.event.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(view),
            None => groups.push(vec![view]),
        }
    }
    groups
}

fn one(items: Vec<Value>, is: impl Fn(&Value) -> bool) -> Answer {
    match items.into_iter().find(|item| is(item)) {
        Some(item) => Answer::ok(&item),
        None => Answer::error(404, "id not found"),
    }
}

/// A bare array by offset, with the headers that announce its end.
fn old_list(req: &Req, rows: Vec<Value>) -> Answer {
    let (limit, offset) = (req.count("limit").unwrap_or(20).min(500), req.count("offset"));
    let offset = offset.unwrap_or(0);
    if offset > 2_000 {
        return Answer::error(422, "offset exceeds the maximum");
    }
    let rows = rows.into_iter().skip(offset).take(limit).collect();
    Answer::ok(&Value::Array(rows)).with("deprecation", "true").with("sunset", "2027-01-01")
}

/// A page behind `after_cursor`; without a next one the cursor is left out.
fn keyset(name: &str, rows: Vec<Value>, req: &Req) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let limit = req.count("limit").unwrap_or(20).clamp(1, 100);
    let decoded = req.param("after_cursor").and_then(|cursor| {
        String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?.parse::<usize>().ok()
    });
    let from = decoded.unwrap_or(0);
    let total = rows.len();
    let page: Vec<Value> = rows.into_iter().skip(from).take(limit).collect();
    let mut value = json!({ name: page });
    if from.saturating_add(limit) < total {
        value["next_cursor"] = json!(URL_SAFE_NO_PAD.encode((from + limit).to_string()));
    }
    value
}
