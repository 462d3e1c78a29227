//! The event log: one JSON object a line for every command, every account, world and control event, and
//! every record of the engine.
//!
//! Market data are in the tape and repeated only on request ([`EventLog::with_rows`]). Dense tokens never appear: lines carry the
//! venue's ids. The SHA-256 of all lines identifies a run; keys have a fixed order, so equal runs are equal
//! bytes.

use std::io::Write;

use polydesk_domain::{
    AccountEvent, BasketId, Command, ControlEvent, Conversion, Event, Finding, MarketEvent,
    MarketKey, OrderUpdate, PlaceOrder, Price, Query, Record, Recorded, RunStart, Shares, Side,
    SignalId, Size, Stamped, StrategyId, Tif, Time, Token, Universe, Usdc, WorldEvent,
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Writes and hashes the log.
pub struct EventLog {
    to: Option<Box<dyn Write + Send>>,
    hash: Sha256,
    lines: u64,
    rows: bool,
    off: bool,
    /// Room for one line.
    buffer: Vec<u8>,
}

impl EventLog {
    /// Hashes only.
    pub fn hash_only() -> EventLog {
        EventLog {
            to: None,
            hash: Sha256::new(),
            lines: 0,
            rows: false,
            off: false,
            buffer: Vec::new(),
        }
    }

    /// Neither writes nor hashes: for re-runs of which only the result counts.
    pub fn off() -> EventLog {
        EventLog { off: true, ..EventLog::hash_only() }
    }

    /// Whether anything is logged at all.
    pub fn is_on(&self) -> bool {
        !self.off
    }

    /// Writes every line to `to` as well.
    pub fn to(to: Box<dyn Write + Send>) -> EventLog {
        EventLog { to: Some(to), ..EventLog::hash_only() }
    }

    /// Logs rows of market data as well: every event that the engine takes. Changes the hash.
    pub fn with_rows(self) -> EventLog {
        EventLog { rows: true, ..self }
    }

    /// Whether rows of market data are logged.
    pub fn logs_rows(&self) -> bool {
        self.rows
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// SHA-256 of all lines so far.
    pub fn hash_so_far(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
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
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, &body)?;
        self.end_line()
    }

    /// One of the frequent lines: a struct instead of a map of strings.
    fn struct_line(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line)?;
        self.end_line()
    }

    fn end_line(&mut self) -> std::io::Result<()> {
        self.buffer.push(b'\n');
        self.hash.update(&self.buffer);
        self.lines += 1;
        match &mut self.to {
            Some(to) => to.write_all(&self.buffer),
            None => Ok(()),
        }
    }

    /// Logs an account, world or control event.
    pub fn event(&mut self, universe: &Universe, stamped: &Stamped) -> std::io::Result<()> {
        let at = stamped.at;
        match &stamped.event {
            Event::Account(event) => match event.as_ref() {
                AccountEvent::Order { id, update } => {
                    let (at, id) = (at.nanos(), id.0);
                    self.struct_line(&OrderLine { at, id, kind: "order", news: update })
                }
                AccountEvent::Trade(trade) => self.line(
                    at,
                    "trade",
                    json!({
                        "id": trade.order.0, "trade": trade.trade.0.to_string(),
                        "token": token(universe, trade.token), "side": trade.side, "role": trade.role,
                        "fill": trade.fill, "status": trade.status,
                    }),
                ),
                AccountEvent::Cash(cash) => self.line(
                    at,
                    "cash",
                    json!({
                        "reason": cash.kind, "conversion": cash.conversion.map(|id| id.0),
                        "amount": cash.amount, "market": cash.market.map(|key| market(universe, key)),
                        "shares": cash.shares,
                    }),
                ),
                AccountEvent::Link { channel, up } => {
                    self.line(at, "link", json!({ "channel": channel, "up": up }))
                }
                AccountEvent::Snapshot(snapshot) => {
                    let shares: Vec<Value> = snapshot
                        .shares
                        .iter()
                        .map(|(of, shares)| json!([token(universe, *of), shares]))
                        .collect();
                    let open: Vec<Value> =
                        snapshot.open.iter().map(|(hash, matched)| json!([hash, matched])).collect();
                    self.line(
                        at,
                        "account_snapshot",
                        json!({
                            "epoch": snapshot.epoch, "asked_at": snapshot.asked_at,
                            "complete": snapshot.complete, "cash": snapshot.cash, "shares": shares,
                            "open": open,
                        }),
                    )
                }
                AccountEvent::External(order) => self.line(
                    at,
                    "external_order",
                    json!({
                        "id": order.id.0, "hash": order.hash, "token": token(universe, order.token),
                        "side": order.side, "price": order.price, "size": order.size,
                        "open": order.open,
                    }),
                ),
                AccountEvent::Finding(finding) => {
                    self.line(at, "finding", json!({ "finding": found(universe, finding) }))
                }
            },
            Event::World(event) => self.world(universe, at, event),
            Event::Control(event) => match event.as_ref() {
                ControlEvent::Timer => Ok(()),
                ControlEvent::Start(start) => self.start(universe, at, start),
                ControlEvent::Stop => self.line(at, "stop", json!({})),
                ControlEvent::Operator(order) => self.line(
                    at,
                    "operator",
                    json!({
                        "by": order.by, "why": order.why, "key": order.key,
                        "command": order.command.with_ids(
                            |token| universe.get(token.market()).map(|_| universe.token_id(token)),
                            |key| universe.get(key).map(|market| market.condition),
                        ),
                    }),
                ),
                ControlEvent::Params { strategy, toml } => {
                    self.line(at, "params", json!({ "strategy": strategy, "toml": &**toml }))
                }
                ControlEvent::Limits { toml } => self.line(at, "limits", json!({ "toml": &**toml })),
                ControlEvent::Strategy { id, run } => {
                    self.line(at, "strategy", json!({ "strategy": id, "run": run }))
                }
                ControlEvent::Blocker { cause, on, detail } => self.line(
                    at,
                    "set_blocker",
                    json!({
                        "cause": cause.with_ids(
                            |token| universe.get(token.market()).map(|_| universe.token_id(token)),
                            |key| universe.get(key).map(|market| market.condition),
                        ),
                        "on": on, "detail": detail,
                    }),
                ),
            },
            Event::Market(_) => Ok(()),
        }
    }

    fn start(&mut self, universe: &Universe, at: Time, start: &RunStart) -> std::io::Result<()> {
        if *start == RunStart::backtest() {
            return self.line(at, "start", json!({}));
        }
        let blockers: Vec<Value> = start
            .blockers
            .iter()
            .map(|(cause, detail)| {
                let cause = cause.with_ids(
                    |token| universe.get(token.market()).map(|_| universe.token_id(token)),
                    |key| universe.get(key).map(|market| market.condition),
                );
                json!([cause, detail])
            })
            .collect();
        self.line(at, "start", json!({ "mode": start.mode, "blockers": blockers }))
    }

    fn world(&mut self, universe: &Universe, at: Time, event: &WorldEvent) -> std::io::Result<()> {
        match event {
            WorldEvent::Wallet(trade) => self.line(
                at,
                "wallet",
                json!({
                    "wallet": trade.wallet, "token": token(universe, trade.token),
                    "side": trade.side, "price": trade.price, "size": trade.size,
                    "transaction": trade.transaction,
                }),
            ),
            WorldEvent::LeaderState(leader) => {
                let positions: Vec<Value> = leader
                    .positions
                    .iter()
                    .map(|(of, shares)| json!([token(universe, *of), shares]))
                    .collect();
                self.line(
                    at,
                    "leader_state",
                    json!({
                        "wallet": leader.wallet, "asked_at": leader.asked_at,
                        "complete": leader.complete, "positions": positions, "value": leader.value,
                        "cash": leader.cash,
                    }),
                )
            }
            WorldEvent::Article(article) => self.line(
                at,
                "article",
                json!({ "source": article.source, "title": article.title, "url": article.url }),
            ),
            WorldEvent::Forecast(forecast) => self.line(at, "forecast", json!(forecast)),
            WorldEvent::NoForecast { ask, code } => {
                self.line(at, "no_forecast", json!({ "ask": ask.0, "code": code }))
            }
            WorldEvent::Signal(signal) => {
                self.line(at, "signal_in", json!(signal.by_venue_ids(universe)))
            }
        }
    }

    /// Logs an event of any family, a row of market data too.
    pub fn row(&mut self, universe: &Universe, stamped: &Stamped) -> std::io::Result<()> {
        let at = stamped.at;
        let Event::Market(event) = &stamped.event else { return self.event(universe, stamped) };
        match event {
            MarketEvent::Listed { market, .. } => self.line(at, "listed", json!(**market)),
            MarketEvent::Delisted { market: key } => {
                self.line(at, "delisted", json!({ "market": market(universe, *key) }))
            }
            MarketEvent::Level(change) => self.line(
                at,
                "level",
                json!({
                    "token": token(universe, change.token), "side": change.side,
                    "price": change.price, "size": change.size,
                    "top": change.top.map(|top| (top.bid(), top.ask())),
                }),
            ),
            MarketEvent::Snapshot(book) => self.line(
                at,
                "book",
                json!({ "token": token(universe, book.token), "bids": book.bids, "asks": book.asks }),
            ),
            MarketEvent::Print(print) => self.line(
                at,
                "print",
                json!({
                    "token": token(universe, print.token), "side": print.side,
                    "price": print.price, "size": print.size,
                }),
            ),
            MarketEvent::Best { token: of, top } => self.line(
                at,
                "best",
                json!({ "token": token(universe, *of), "top": (top.bid(), top.ask()) }),
            ),
            MarketEvent::Tick { market: key, tick } => self.line(
                at,
                "tick",
                json!({ "market": market(universe, *key), "tick": tick }),
            ),
            MarketEvent::State { market: key, state } => self.line(
                at,
                "state",
                json!({ "market": market(universe, *key), "state": state }),
            ),
            MarketEvent::Interrupted(interruption) => self.line(
                at,
                "interrupted",
                json!({ "market": interruption.market.map(|key| market(universe, key)) }),
            ),
            MarketEvent::Unverified { market: key, on } => self.line(
                at,
                "unverified",
                json!({ "market": market(universe, *key), "on": on }),
            ),
            MarketEvent::Reference(price) => self.line(
                at,
                "reference",
                json!({ "symbol": price.symbol, "price_micros": price.price_micros }),
            ),
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
            Command::Place(orders) => {
                for order in orders {
                    self.struct_line(&place(universe, at, order))?;
                }
                Ok(())
            }
            Command::Cancel(id) => self.line(at, "cancel", json!({ "id": id.0 })),
            Command::CancelAll(key) => self.line(
                at,
                "cancel_all",
                json!({ "market": key.map(|key| market(universe, key)) }),
            ),
            Command::Query(Query::Order(id)) => self.line(at, "query", json!({ "id": id.0 })),
            Command::Query(Query::Conversion(id)) => {
                self.line(at, "query", json!({ "conversion": id.0 }))
            }
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
            Command::Ask { id, market: key, evidence_until } => self.line(
                at,
                "ask",
                json!({
                    "id": id.0, "market": market(universe, *key), "evidence_until": evidence_until,
                }),
            ),
        }
    }

    /// Logs a record of the engine, unless the log already has it as an event or a command.
    pub fn record(&mut self, recorded: &Recorded) -> std::io::Result<()> {
        let repeats = matches!(
            recorded.record,
            Record::Placed(_) | Record::OrderChanged { .. } | Record::Fill(_)
        );
        if repeats {
            return Ok(());
        }
        // A record's name is its first key; here it is the line's `kind`.
        self.buffer.clear();
        write!(self.buffer, "{{\"at\":{},\"kind\"", recorded.at.nanos())?;
        let begin = self.buffer.len();
        serde_json::to_writer(&mut self.buffer, &recorded.record)?;
        let name = b"{\"record\"";
        debug_assert!(self.buffer[begin..].starts_with(name));
        self.buffer.drain(begin..begin + name.len());
        self.end_line()
    }
}

#[derive(Serialize)]
struct OrderLine<'a> {
    at: i64,
    id: u64,
    kind: &'static str,
    news: &'a OrderUpdate,
}

#[derive(Serialize)]
struct PlaceLine {
    at: i64,
    basket: Option<BasketId>,
    data_at: Time,
    expires: Time,
    gtd: Option<Time>,
    id: u64,
    kind: &'static str,
    post_only: bool,
    price: Price,
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<Shares>,
    side: Side,
    signal: Option<SignalId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spend: Option<Usdc>,
    strategy: StrategyId,
    tif: &'static str,
    token: String,
}

fn place(universe: &Universe, at: Time, order: &PlaceOrder) -> PlaceLine {
    let (shares, spend) = match order.size {
        Size::Shares(shares) => (Some(shares), None),
        Size::Spend(spend) => (None, Some(spend)),
    };
    let gtd = match order.tif {
        Tif::Gtd { expires } => Some(expires),
        _ => None,
    };
    PlaceLine {
        at: at.nanos(),
        basket: order.basket,
        data_at: order.data_at,
        expires: order.expires,
        gtd,
        id: order.id.0,
        kind: "place",
        post_only: order.post_only,
        price: order.price,
        shares,
        side: order.side,
        signal: order.signal,
        spend,
        strategy: order.strategy,
        tif: order.tif.name(),
        token: token(universe, order.token),
    }
}

fn found(universe: &Universe, finding: &Finding) -> Value {
    match finding {
        Finding::Cash { amount, code } => json!({ "cash": { "amount": amount, "code": code } }),
        Finding::Shares { token: of, micros, code } => json!({
            "shares": { "token": token(universe, *of), "micros": micros, "code": code }
        }),
        Finding::Freeze { token: of, detail } => {
            json!({ "freeze": { "token": token(universe, *of), "detail": detail } })
        }
        Finding::CashMismatch { difference } => {
            json!({ "cash_mismatch": { "difference": difference } })
        }
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
