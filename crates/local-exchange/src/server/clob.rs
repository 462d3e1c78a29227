//! Public CLOB endpoints, and the way to the private ones.

use polydesk_domain::{Outcome, Price, Side, Token};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::venue::{BookView, MarketView};
use crate::{text, wire};

const NO_BOOK: &str = "No orderbook exists for the requested token id";

impl Inner {
    /// Answers a request to the CLOB.
    pub(super) fn clob(&mut self, req: &Req) -> Answer {
        let path = req.path.trim_end_matches('/');
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (req.method.as_str(), parts.as_slice()) {
            ("GET", [] | [""] | ["ok"]) => Answer::ok(&json!("OK")),
            ("GET", ["time"]) => Answer::ok(&json!(self.shown_now().millis() / 1_000)),
            ("GET", ["version"]) => Answer::ok(&json!({ "version": self.version })),
            ("GET", ["book"]) => self.with_book(req, wire::book),
            ("POST", ["books"]) => self.books(req),
            ("GET", ["price"]) => self.price(req),
            ("GET", ["midpoint"]) => self.with_book(req, |book| json!({ "mid": middle(book) })),
            ("GET", ["spread"]) => self.with_book(req, |book| json!({ "spread": spread(book) })),
            ("GET" | "POST", ["prices"]) => self.prices(req),
            ("GET" | "POST", ["midpoints"]) => self.each(req, middle),
            ("GET" | "POST", ["spreads"]) => self.each(req, spread),
            ("GET", ["last-trade-price"]) => self.last_trade_price(req),
            ("GET" | "POST", ["last-trades-prices"]) => self.last_trades_prices(req),
            ("GET", ["tick-size"]) => self.tick_size(req.param("token_id")),
            ("GET", ["tick-size", token]) => self.tick_size(Some(token)),
            ("GET", ["neg-risk"]) => {
                self.with_book(req, |book| json!({ "neg_risk": book.market.neg_risk.is_some() }))
            }
            ("GET", ["neg-risk", token]) => match self.token_book(Some(token)) {
                Some(book) => Answer::ok(&json!({ "neg_risk": book.market.neg_risk.is_some() })),
                None => Answer::error(404, NO_BOOK),
            },
            ("GET", ["fee-rate"] | ["fee-rate", _]) => Answer::ok(&json!({ "base_fee": 1_000 })),
            ("GET", ["markets"]) => self.market_page(req, wire::market, false),
            ("GET", ["simplified-markets"]) => self.market_page(req, wire::simplified, false),
            ("GET", ["sampling-markets"]) => self.market_page(req, wire::market, true),
            ("GET", ["sampling-simplified-markets"]) => {
                self.market_page(req, wire::simplified, true)
            }
            ("GET", ["markets", "live-activity", condition]) => self.activity_of(condition),
            ("GET", ["markets", condition]) => match self.market_by(condition) {
                Some(view) => Answer::ok(&wire::market(&view)),
                None => Answer::error(404, "market not found"),
            },
            ("GET", ["clob-markets", condition]) => match self.market_by(condition) {
                Some(view) => Answer::ok(&wire::compact(&view, self.venue.now())),
                None => Answer::error(404, "market not found"),
            },
            ("GET", ["markets-by-token", token]) => self.market_by_token(token),
            ("GET", ["prices-history"]) => self.prices_history(req),
            ("GET", ["fees", "builder-fees", _]) => Answer::error(404, "builder not found"),
            ("GET", ["rebates", "current"]) => Answer::ok(&json!([])),
            ("GET", ["rewards", "markets", "current" | "multi"]) => self.rewarded(req),
            ("GET", ["rewards", "markets", condition]) => self.rewarded_one(condition),
            _ => self.private(req, &parts),
        }
    }

    fn token_book(&self, token: Option<&str>) -> Option<BookView> {
        self.read_book(self.venue.token(token?)?)
    }

    fn with_book(&self, req: &Req, show: impl Fn(&BookView) -> Value) -> Answer {
        match self.token_book(req.param("token_id")) {
            Some(book) => Answer::ok(&show(&book)),
            None => Answer::error(404, NO_BOOK),
        }
    }

    /// The tokens a request names, in the query or in the body.
    fn named(&self, req: &Req) -> Option<Vec<(String, Option<String>)>> {
        if req.method == "GET" {
            let sides: Vec<&str> = req.params("sides").collect();
            let tokens = req.params("token_ids").enumerate();
            let side = |index: usize| sides.get(index).map(|side| (*side).to_owned());
            return Some(tokens.map(|(index, id)| (id.to_owned(), side(index))).collect());
        }
        let body: Vec<Value> = serde_json::from_slice(&req.body).ok()?;
        let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
        body.iter().map(|value| Some((text(value, "token_id")?, text(value, "side")))).collect()
    }

    fn books(&self, req: &Req) -> Answer {
        let Some(named) = self.named(req) else { return Answer::error(400, "Invalid payload") };
        if named.len() > 500 {
            return Answer::error(400, "Payload exceeds the limit");
        }
        let books = named.iter().filter_map(|(token, _)| self.token_book(Some(token)));
        Answer::ok(&Value::Array(books.map(|book| wire::book(&book)).collect()))
    }

    fn price(&self, req: &Req) -> Answer {
        let Some(side) = req.param("side").and_then(side_word) else {
            return Answer::error(400, "Invalid side");
        };
        self.with_book(req, |book| json!({ "price": best(book, side) }))
    }

    fn prices(&self, req: &Req) -> Answer {
        let Some(named) = self.named(req) else { return Answer::error(400, "Invalid payload") };
        let mut all = serde_json::Map::new();
        for (token, side) in named {
            let Some(book) = self.token_book(Some(&token)) else { continue };
            let sides = match side.as_deref().map(side_word) {
                Some(Some(side)) => vec![side],
                Some(None) => return Answer::error(400, "Invalid side"),
                None => vec![Side::Buy, Side::Sell],
            };
            let entry = all.entry(token).or_insert_with(|| json!({}));
            for side in sides {
                entry[wire::side(side)] = json!(best(&book, side));
            }
        }
        Answer::ok(&Value::Object(all))
    }

    fn each(&self, req: &Req, show: impl Fn(&BookView) -> String) -> Answer {
        let Some(named) = self.named(req) else { return Answer::error(400, "Invalid payload") };
        let mut all = serde_json::Map::new();
        for (token, _) in named {
            if let Some(book) = self.token_book(Some(&token)) {
                all.insert(token, json!(show(&book)));
            }
        }
        Answer::ok(&Value::Object(all))
    }

    fn last_price(&self, token: Token) -> (String, &'static str) {
        match self.venue.last_trade(token) {
            Some((price, side)) => (text::price(price), wire::side(side)),
            None => ("0.5".to_owned(), ""),
        }
    }

    fn last_trade_price(&self, req: &Req) -> Answer {
        let token = req.param("token_id").and_then(|token| self.venue.token(token));
        let Some(token) = token else { return Answer::error(404, NO_BOOK) };
        let (price, side) = self.last_price(token);
        Answer::ok(&json!({ "price": price, "side": side }))
    }

    fn last_trades_prices(&self, req: &Req) -> Answer {
        let Some(named) = self.named(req) else { return Answer::error(400, "Invalid payload") };
        let known = named.iter().filter_map(|(id, _)| Some((id, self.venue.token(id)?)));
        let rows = known.map(|(id, token)| {
            let (price, side) = self.last_price(token);
            json!({ "token_id": id, "price": price, "side": side })
        });
        Answer::ok(&Value::Array(rows.collect()))
    }

    fn tick_size(&self, token: Option<&str>) -> Answer {
        match self.token_book(token) {
            Some(book) => Answer::ok(&json!({
                "minimum_tick_size": wire::number(&book.market.tick.to_string())
            })),
            None => Answer::error(404, "market not found"),
        }
    }

    pub(super) fn market_by(&self, condition: &str) -> Option<MarketView> {
        let condition = condition.parse().ok()?;
        self.venue.market_view(self.venue.universe().key(&condition)?)
    }

    fn market_page(&self, req: &Req, show: fn(&MarketView) -> Value, rewarded: bool) -> Answer {
        let views = self.venue.market_views();
        let wanted = views.iter().filter(|view| !rewarded || view.listing.rewards.is_some());
        let rows = wanted.map(show).collect();
        Answer::ok(&wire::page(rows, req.param("next_cursor"), 1_000))
    }

    fn activity_of(&self, condition: &str) -> Answer {
        let Some(view) = self.market_by(condition) else {
            return Answer::error(404, "market not found");
        };
        let universe = self.venue.universe();
        let of_market = self.venue.trades().iter().filter(|t| t.token.market() == view.key);
        let rows = of_market.map(|trade| {
            json!({
                "event_type": "trade",
                "market": { "condition_id": view.listing.market.condition,
                            "asset_id": universe.token_id(trade.token),
                            "question": view.listing.market.question, "icon": "",
                            "slug": view.listing.market.slug },
                "user": { "address": trade.wallet.to_checksum(None), "username": "",
                          "profile_picture": "", "optimized_profile_picture": "",
                          "pseudonym": "" },
                "side": wire::side(trade.side),
                "size": text::shares(trade.shares()),
                "fee_rate_bps": "0",
                "price": wire::price_of(trade),
                "outcome": wire::outcome(universe, trade.token),
                "outcome_index": trade.token.outcome().index(),
                "transaction_hash": wire::transaction(trade),
                "timestamp": (trade.matched_at.millis() / 1_000).to_string(),
            })
        });
        Answer::ok(&Value::Array(rows.collect()))
    }

    fn market_by_token(&self, token: &str) -> Answer {
        let Some(token) = self.venue.token(token) else { return Answer::error(404, NO_BOOK) };
        let market = self.venue.universe().market(token.market());
        Answer::ok(&json!({
            "condition_id": market.condition,
            "primary_token_id": market.tokens[0],
            "secondary_token_id": market.tokens[1],
        }))
    }

    fn prices_history(&self, req: &Req) -> Answer {
        let token = req.param("market").and_then(|token| self.venue.token(token));
        let Some(token) = token else { return Answer::ok(&json!({ "history": [] })) };
        let seconds = |name| req.param(name).and_then(|text| text.parse::<i64>().ok());
        let now = self.shown_now().millis() / 1_000;
        let hours = match req.param("interval") {
            Some("1h") => 1,
            Some("6h") => 6,
            Some("1d") => 24,
            Some("1w") => 168,
            Some("1m") => 720,
            _ => 1_000_000,
        };
        let from = seconds("startTs").unwrap_or(now - hours * 3_600);
        let to = seconds("endTs").unwrap_or(now);
        let grain = seconds("fidelity").unwrap_or(1).max(1).saturating_mul(60);
        let mut history: Vec<(i64, Price)> = Vec::new();
        for (at, price) in self.venue.history(token) {
            let at = at.millis() / 1_000;
            if !(from..=to).contains(&at) {
                continue;
            }
            match history.last_mut() {
                Some(last) if last.0 / grain == at / grain => *last = (at, price),
                _ => history.push((at, price)),
            }
        }
        let points = history
            .iter()
            .map(|(t, price)| json!({ "t": t, "p": wire::number(&text::price(*price)) }));
        Answer::ok(&json!({ "history": points.collect::<Vec<_>>() }))
    }

    fn rewarded(&self, req: &Req) -> Answer {
        let rows = self.venue.market_views().iter().filter_map(reward_row).collect();
        Answer::ok(&wire::page(rows, req.param("next_cursor"), 500))
    }

    fn rewarded_one(&self, condition: &str) -> Answer {
        let rows = self.market_by(condition).iter().filter_map(reward_row).collect();
        Answer::ok(&wire::page(rows, None, 500))
    }
}

fn reward_row(view: &MarketView) -> Option<Value> {
    let (size, spread) = view.listing.rewards?;
    let market = &view.listing.market;
    let token = |outcome: Outcome| {
        json!({ "token_id": market.tokens[outcome.index()],
                "outcome": market.labels[outcome.index()],
                "price": wire::number(&text::price(view.price(outcome))),
                "winner": wire::pays_all(view, outcome) })
    };
    Some(json!({
        "condition_id": market.condition, "question": market.question,
        "market_slug": market.slug, "event_slug": market.event, "image": "",
        "rewards_max_spread": wire::number(&wire::cents(spread)),
        "rewards_min_size": wire::number(&text::shares(size)),
        "market_competitiveness": 0,
        "tokens": [token(Outcome::Yes), token(Outcome::No)],
        "rewards_config": [{
            "id": 1, "asset_address": "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174",
            "start_date": "2026-01-01", "end_date": "2500-12-31", "rate_per_day": 5,
            "total_rewards": 0, "total_days": 1,
        }],
    }))
}

fn side_word(word: &str) -> Option<Side> {
    match word {
        "BUY" | "buy" => Some(Side::Buy),
        "SELL" | "sell" => Some(Side::Sell),
        _ => None,
    }
}

/// BUY is the best bid and SELL the best ask: the side of the resting orders.
fn best(book: &BookView, side: Side) -> String {
    let price = if side == Side::Buy { book.bid() } else { book.ask() };
    price.map_or("0".to_owned(), text::price)
}

fn middle(book: &BookView) -> String {
    let (Some(bid), Some(ask)) = (book.bid(), book.ask()) else { return "0.5".to_owned() };
    text::micros(i128::from(bid.units() + ask.units()) * 50)
}

fn spread(book: &BookView) -> String {
    let (Some(bid), Some(ask)) = (book.bid(), book.ask()) else { return "0".to_owned() };
    text::micros((i128::from(ask.units()) - i128::from(bid.units())) * 100)
}
