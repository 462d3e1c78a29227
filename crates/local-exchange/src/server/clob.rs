//! Public CLOB endpoints, and the way to the private ones.

use std::ops::RangeInclusive;

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
            ("POST", ["markets", "live-activity"]) => self.activities(req),
            ("GET", ["markets", "live-activity", condition]) => match self.market_by(condition) {
                Some(view) => Answer::ok(&wire::live_activity(&view)),
                None => Answer::error(404, "market not found"),
            },
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
            ("POST", ["batch-prices-history"]) => self.batch_prices_history(req),
            ("GET", ["fees", "builder-fees", _]) => Answer::error(404, "builder not found"),
            ("GET", ["builder", "trades"]) => Answer::ok(&wire::page(Vec::new(), None, 100)),
            ("GET", ["rebates", "current"]) => Answer::ok(&json!([])),
            ("GET", ["rewards", "markets", "current"]) => self.rewarded(req),
            ("GET", ["rewards", "markets", "multi"]) => self.rewarded_found(req),
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
        // A token without trades has no row.
        let traded = known.filter(|(_, token)| self.venue.last_trade(*token).is_some());
        let rows = traded.map(|(id, token)| {
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

    fn market_by_token(&self, token: &str) -> Answer {
        let Some(token) = self.venue.token(token) else { return Answer::error(404, NO_BOOK) };
        let market = self.venue.universe().market(token.market());
        Answer::ok(&json!({
            "condition_id": market.condition,
            "primary_token_id": market.tokens[0],
            "secondary_token_id": market.tokens[1],
        }))
    }

    fn activities(&self, req: &Req) -> Answer {
        let Ok(named) = serde_json::from_slice::<Vec<String>>(&req.body) else {
            return Answer::error(400, "Invalid payload");
        };
        let known = named.iter().filter_map(|condition| self.market_by(condition));
        Answer::ok(&known.map(|view| wire::live_activity(&view)).collect())
    }

    fn prices_history(&self, req: &Req) -> Answer {
        let token = req.param("market").and_then(|token| self.venue.token(token));
        let Some(token) = token else { return Answer::ok(&json!({ "history": [] })) };
        let seconds = |name| req.param(name).and_then(|text| text.parse::<i64>().ok());
        let stretch = (seconds("startTs"), seconds("endTs"));
        let grain = seconds("fidelity").unwrap_or(1);
        let history = self.points(token, req.param("interval"), stretch, grain);
        Answer::ok(&json!({ "history": history }))
    }

    fn batch_prices_history(&self, req: &Req) -> Answer {
        let body: Value = serde_json::from_slice(&req.body).unwrap_or(Value::Null);
        let Some(named) = body["markets"].as_array().filter(|named| named.len() <= 20) else {
            return Answer::error(400, "Invalid payload");
        };
        let stretch = (body["start_ts"].as_i64(), body["end_ts"].as_i64());
        let grain = body["fidelity"].as_i64().unwrap_or(1);
        let mut all = serde_json::Map::new();
        for id in named.iter().filter_map(Value::as_str) {
            let Some(token) = self.venue.token(id) else { continue };
            let points = self.points(token, body["interval"].as_str(), stretch, grain);
            all.insert(id.to_owned(), points);
        }
        Answer::ok(&json!({ "history": all }))
    }

    /// Past prices as the CLOB writes them, the last of each `grain` minutes.
    fn points(
        &self,
        token: Token,
        interval: Option<&str>,
        (start, end): (Option<i64>, Option<i64>),
        grain: i64,
    ) -> Value {
        let now = self.shown_now().millis() / 1_000;
        let from = start.unwrap_or_else(|| now - interval_seconds(interval));
        let history =
            self.sampled(token, from..=end.unwrap_or(now), grain.max(1).saturating_mul(60));
        let point =
            |(t, price): &(i64, Price)| json!({ "t": t, "p": wire::number(&text::price(*price)) });
        history.iter().map(point).collect()
    }

    /// Times and prices of a token's trades, the last of each `grain` seconds.
    pub(super) fn sampled(
        &self,
        token: Token,
        stretch: RangeInclusive<i64>,
        grain: i64,
    ) -> Vec<(i64, Price)> {
        let mut history: Vec<(i64, Price)> = Vec::new();
        for (at, price) in self.venue.history(token) {
            let at = at.millis() / 1_000;
            if !stretch.contains(&at) {
                continue;
            }
            match history.last_mut() {
                Some(last) if last.0 / grain == at / grain => *last = (at, price),
                _ => history.push((at, price)),
            }
        }
        history
    }

    /// Markets with rewards by words of the question, tag, and Gamma's numbers.
    fn rewarded_found(&self, req: &Req) -> Answer {
        let words = req.param("q").unwrap_or_default().to_lowercase();
        let any = |name: &str, is: &dyn Fn(&str) -> bool| {
            let mut wanted = req.params(name).peekable();
            wanted.peek().is_none() || wanted.any(is)
        };
        let fits = |view: &&MarketView| {
            view.listing.market.question.to_lowercase().contains(&words)
                && any("tag_slug", &|slug| view.listing.tags.iter().any(|tag| tag == slug))
                && any("market_id", &|id| view.number.to_string() == id)
                && any("event_id", &|id| wire::event_number(view).to_string() == id)
        };
        let views = self.venue.market_views();
        let rows = views.iter().filter(fits).filter_map(|view| {
            let mut row = reward_row(view)?;
            wire::widen_reward(&mut row, view);
            Some(row)
        });
        let size = req.count("page_size").unwrap_or(100).clamp(1, 500);
        Answer::ok(&wire::page(rows.collect(), req.param("next_cursor"), size))
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

/// How far back a word reaches. `1m` is a month.
pub(super) fn interval_seconds(word: Option<&str>) -> i64 {
    let hours = match word {
        Some("1h") => 1,
        Some("6h") => 6,
        Some("1d") => 24,
        Some("1w") => 168,
        Some("1m") => 720,
        _ => 1_000_000,
    };
    hours * 3_600
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
