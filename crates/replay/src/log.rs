//! The event log: one JSON object a line for every command, every news of ours and every signal.
//!
//! Market data are not repeated: they are in the tape. Dense tokens never appear: lines carry the
//! venue's ids. The SHA-256 of all lines identifies a run; keys are sorted, so equal runs are equal
//! bytes.

use std::io::Write;

use polydesk_domain::{
    Command, Event, MarketKey, Conversion, Size, Stamped, StrategyId, Tif, Time, Token, Universe,
};
use polydesk_engine::Trace;
use polydesk_signals::{Action, Subject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Writes and hashes the log.
pub struct EventLog {
    to: Option<Box<dyn Write>>,
    hash: Sha256,
    lines: u64,
}

impl EventLog {
    /// Hashes only.
    pub fn hash_only() -> EventLog {
        EventLog { to: None, hash: Sha256::new(), lines: 0 }
    }

    /// Writes every line to `to` as well.
    pub fn to(to: Box<dyn Write>) -> EventLog {
        EventLog { to: Some(to), ..EventLog::hash_only() }
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Flushes and returns the hash of all lines in lower-case hex.
    pub fn finish(mut self) -> std::io::Result<String> {
        if let Some(to) = &mut self.to {
            to.flush()?;
        }
        Ok(self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn line(&mut self, at: Time, kind: &str, mut body: Value) -> std::io::Result<()> {
        body["at"] = json!(at.nanos());
        body["kind"] = json!(kind);
        let mut text = body.to_string();
        text.push('\n');
        self.hash.update(text.as_bytes());
        self.lines += 1;
        match &mut self.to {
            Some(to) => to.write_all(text.as_bytes()),
            None => Ok(()),
        }
    }

    /// Logs news of ours, operator commands and the run's beginning and end.
    pub fn event(&mut self, universe: &Universe, stamped: &Stamped) -> std::io::Result<()> {
        let at = stamped.at;
        match &stamped.event {
            Event::OrderFIX(news) => {
                let (id, event) = news.as_ref();
                self.line(at, "order", json!({ "id": id.0, "news": event }))
            }
            Event::TradeFIX(trade) => self.line(
                at,
                "trade",
                json!({
                    "id": trade.order.0, "trade": trade.trade.0.to_string(),
                    "token": token(universe, trade.token), "side": trade.side, "role": trade.role,
                    "fill": trade.fill, "status": trade.status,
                }),
            ),
            Event::CashFIX(cash) => self.line(
                at,
                "cash",
                json!({
                    "reason": cash.kind, "command": cash.command.map(|id| id.0), "amount": cash.amount,
                    "market": cash.market.map(|key| market(universe, key)), "shares": cash.shares,
                }),
            ),
            Event::OperatorFIX(command) => self.line(at, "operator", json!({ "command": format!("{command:?}") })),
            Event::from(ControlEvent::Start) => self.line(at, "start", json!({})),
            Event::from(ControlEvent::Stop) => self.line(at, "stop", json!({})),
            _ => Ok(()),
        }
    }

    /// Logs a command.
    pub fn command(
        &mut self,
        universe: &Universe,
        at: Time,
        command: &Command,
    ) -> std::io::Result<()> {
        match command {
            Command::Place(order) => {
                let expires = match order.tif {
                    Tif::Gtd { expires } => Some(expires),
                    _ => None,
                };
                let (unit, size) = match order.size {
                    Size::Shares(shares) => ("shares", shares.to_string()),
                    Size::Spend(spend) => ("spend", spend.to_string()),
                };
                self.line(
                    at,
                    "place",
                    json!({
                        "id": order.id.0, "strategy": order.strategy, "signal": order.signal.0,
                        "token": token(universe, order.token), "side": order.side, "price": order.price,
                        unit: size, "tif": order.tif.name(), "expires": expires,
                        "post_only": order.post_only,
                    }),
                )
            }
            Command::Cancel(id) => self.line(at, "cancel", json!({ "id": id.0 })),
            Command::CancelAll(key) => self.line(
                at,
                "cancel_all",
                json!({ "market": key.map(|key| market(universe, key)) }),
            ),
            Command::Query(id) => self.line(at, "query", json!({ "id": id.0 })),
            Command::Convert { id, strategy, market: key, action } => {
                let (what, shares) = match action {
                    Conversion::Split(shares) => ("split", Some(shares)),
                    Conversion::Merge(shares) => ("merge", Some(shares)),
                    Conversion::Redeem => ("redeem", None),
                };
                let market = market(universe, *key);
                self.line(
                    at,
                    what,
                    json!({ "id": id.0, "strategy": strategy, "market": market, "shares": shares }),
                )
            }
            Command::Note { level, code, text } => self.line(
                at,
                "note",
                json!({ "level": format!("{level:?}"), "code": code, "text": text }),
            ),
        }
    }

    /// Logs a signal, a changed skip, a dropped signal or the end of an opportunity.
    pub fn trace(&mut self, universe: &Universe, at: Time, trace: &Trace) -> std::io::Result<()> {
        match trace {
            Trace::Signal(signal) => self.line(
                at,
                "signal",
                json!({
                    "id": signal.id.0, "strategy": signal.strategy, "market": market(universe, signal.market),
                    "action": action(universe, &signal.action), "expires": signal.expires,
                    "edge": signal.edge, "reason": signal.reason.to_string(),
                }),
            ),
            Trace::Skip(strategy, key, reason) => {
                let market = market(universe, *key);
                self.line(at, "skip", json!({ "strategy": strategy, "market": market, "reason": reason.to_string() }))
            }
            Trace::Dropped(strategy, key, code) => self.dropped(universe, at, *strategy, *key, code),
            Trace::Episode(strategy, episode) => {
                let subject = match &episode.subject {
                    Subject::Market(key) => market(universe, *key),
                    Subject::Group(name) => name.clone(),
                };
                self.line(
                    at,
                    "episode",
                    json!({
                        "strategy": strategy, "basket": episode.kind.name(), "subject": subject,
                        "started": episode.started, "ended": episode.ended, "edge": episode.best_edge,
                        "sets": episode.best_sets, "gross_units": episode.best_gross_units,
                        "signals": episode.signals, "outcome": episode.outcome.to_string(),
                    }),
                )
            }
        }
    }

    fn dropped(
        &mut self,
        universe: &Universe,
        at: Time,
        strategy: StrategyId,
        key: MarketKey,
        code: &str,
    ) -> std::io::Result<()> {
        let market = market(universe, key);
        self.line(at, "dropped", json!({ "strategy": strategy, "market": market, "code": code }))
    }
}

fn action(universe: &Universe, action: &Action) -> Value {
    match action {
        Action::Trade(trade) => json!({
            "trade": token(universe, trade.token), "side": trade.side, "size": trade.size,
            "limit": trade.limit,
        }),
        Action::Quotes(quotes) => {
            let quotes: Vec<Value> = quotes
                .iter()
                .map(|quote| {
                    json!([token(universe, quote.token), quote.side, quote.price, quote.size])
                })
                .collect();
            json!({ "quotes": quotes })
        }
        Action::Basket(basket) => {
            let legs: Vec<Value> = basket
                .legs
                .iter()
                .map(|leg| json!([token(universe, leg.token), leg.side, leg.limit]))
                .collect();
            json!({ "basket": basket.kind.name(), "sets": basket.sets, "legs": legs })
        }
        Action::Close(close) => json!({
            "close": token(universe, close.token), "fraction_ppm": close.fraction_ppm, "floor": close.floor,
        }),
    }
}

fn token(universe: &Universe, token: Token) -> String {
    match universe.get(token.market()) {
        Some(market) => market.tokens[token.outcome().index()].to_string(),
        None => "unlisted".to_owned(),
    }
}

fn market(universe: &Universe, key: MarketKey) -> String {
    universe.get(key).map_or_else(|| "unlisted".to_owned(), |market| market.condition.to_string())
}
