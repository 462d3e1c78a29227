//! What must hold in every scenario, checked on the exchange's own orders and trades and on the journal's disk.
//!
//! - I2: when the request of an order arrives, a kill at that instant leaves its decision and its entry.
//! - I3: a signal gives at most one order at the exchange; of quotes at most those that are wanted can fill, and those
//!   that they replace, until their first cancel is answered.
//! - I4: the worst case of everything that is held, unsettled and open stays within the limits.
//! - I14: when the request of an order arrives, the exchange has shown that market's book within the bound: by a frame
//!   of the market channel that was delivered, or by a read of the book that was answered.
//!
//! It counts by itself, on purpose: nothing here calls the gate, the state or the gateway.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polydesk_domain::{Outcome, Side, Span, Time, Token, TokenId, TradeStatus};
use polydesk_execution::RiskLimits;
use polydesk_journal::{MemDisk, Options, read_state};
use polydesk_local_exchange::venue::{Order, Venue};
use polydesk_local_exchange::{Received, Running as Exchange};
use polydesk_polymarket_wallet::signing::Address;

/// What may be at the exchange.
#[derive(Debug, Default)]
struct Allowed {
    /// Signals so far by token and side: each gives one order at most.
    signals: BTreeMap<(Token, Side), usize>,
    /// Tokens and sides that are quoted, and how many orders of them can fill at any time.
    quoted: BTreeMap<(Token, Side), usize>,
    /// Requests of a person that are on their way or were made.
    persons: usize,
    /// Of those, how many are placed before the exchange has shown anything: I14 is not asked of them.
    blind: usize,
    /// What was broken, first one first.
    broken: Vec<String>,
    /// Orders of requests that were looked at.
    looked: usize,
    /// Requests of orders that arrived.
    requests: usize,
}

/// Watches an exchange. Clones watch for the same scenario.
#[derive(Clone)]
pub struct Judge {
    exchange: Arc<Exchange>,
    wallet: Address,
    limits: Arc<RiskLimits>,
    /// How old the book may be that an order is priced from.
    data: Span,
    allowed: Arc<Mutex<Allowed>>,
}

/// One thing that changed, or can change, what the wallet has: micro-shares and micro-dollars.
struct Effect {
    token: Token,
    shares: i128,
    cash: i128,
    certain: bool,
}

const PATHS: [&str; 2] = ["/order", "/orders"];
/// From the first byte of a request until it is whole at the exchange.
const TRANSIT: Span = Span::secs(1);

impl Judge {
    /// Begins to watch, in tasks that end with the runtime.
    pub fn begin(
        exchange: Arc<Exchange>,
        wallet: Address,
        limits: RiskLimits,
        data: Span,
        disk: MemDisk,
    ) -> Judge {
        let limits = Arc::new(limits);
        let judge = Judge { exchange, wallet, limits, data, allowed: Arc::default() };
        let steps = judge.clone();
        tokio::spawn(async move {
            let exchange = Arc::clone(&steps.exchange);
            exchange
                .until(|venue| {
                    steps.step(venue);
                    false
                })
                .await;
        });
        let requests = judge.clone();
        tokio::spawn(async move { requests.requests(disk).await });
        judge
    }

    fn allowed<R>(&self, act: impl FnOnce(&mut Allowed) -> R) -> R {
        act(&mut self.allowed.lock().unwrap())
    }

    fn broken(&self, what: String) {
        self.allowed(|allowed| {
            if allowed.broken.len() < 20 {
                allowed.broken.push(what);
            }
        });
    }

    /// A signal that may give an order.
    pub fn signal(&self, token: Token, side: Side) {
        self.allowed(|allowed| *allowed.signals.entry((token, side)).or_default() += 1);
    }

    /// Quotes that may rest in a token on one side: so many at once, and as many that are being replaced.
    pub fn quotes(&self, token: Token, side: Side, at_once: usize) {
        self.allowed(|allowed| {
            let most = allowed.quoted.entry((token, side)).or_insert(1);
            *most = (2 * at_once).max(*most);
        });
    }

    /// A person places an order by another way.
    pub fn person(&self, token: Token, side: Side) {
        self.signal(token, side);
        self.allowed(|allowed| allowed.persons += 1);
    }

    /// The same for an order that is placed before the program has begun: no book was shown to it.
    pub fn person_before(&self, token: Token, side: Side) {
        self.person(token, side);
        self.allowed(|allowed| allowed.blind += 1);
    }

    /// What was broken so far.
    pub fn violations(&self) -> Vec<String> {
        self.exchange.venue(|venue| self.step(venue));
        self.allowed(|allowed| allowed.broken.clone())
    }

    /// Orders whose request was looked at.
    pub fn looked(&self) -> usize {
        self.allowed(|allowed| allowed.looked)
    }

    /// Requests of orders that arrived so far.
    pub fn arrived(&self) -> usize {
        self.allowed(|allowed| allowed.requests)
    }

    /// I2: what a kill at the arrival of each request would leave.
    async fn requests(&self, disk: MemDisk) {
        // The exchange forgets old requests, so that their number says nothing: the time of the last one does.
        let (mut last, mut at_last) = (Time::MIN, 0);
        loop {
            let here = PATHS.map(|path| self.exchange.count("POST", path));
            tokio::select! {
                biased;
                () = self.exchange.arrived("POST", PATHS[0], here[0] + 1) => {}
                () = self.exchange.arrived("POST", PATHS[1], here[1] + 1) => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => continue,
            }
            let received = self.exchange.received();
            let ours = |one: &&Received| one.method == "POST" && PATHS.contains(&one.path.as_str());
            let (since, mut skip) = (last, at_last);
            for request in received.iter().filter(ours).filter(|one| one.at >= since) {
                if request.at == since && skip > 0 {
                    skip -= 1;
                    continue;
                }
                at_last = if request.at == last { at_last + 1 } else { 1 };
                last = request.at;
                self.allowed(|allowed| allowed.requests += 1);
                let persons = self.durable(&disk, request);
                self.fresh(&received, request, &persons);
            }
        }
    }

    /// I14: what the exchange had shown of each market before the request, by its own times.
    fn fresh(&self, received: &[Received], request: &Received, persons: &[serde_json::Value]) {
        for order in orders_of(request) {
            if persons.contains(&order["order"]["salt"]) {
                continue;
            }
            let id = order["order"]["tokenId"].as_str().and_then(|id| id.parse::<TokenId>().ok());
            let Some(id) = id else { continue };
            let token = self.exchange.venue(|venue| venue.universe().token(&id));
            let Some(token) = token else { continue };
            // Both outcomes are one book.
            let both = Outcome::BOTH.map(|of| token.market().token(of));
            let frames = both.iter().filter_map(|token| self.exchange.market_frame_at(*token));
            let ids = self.exchange.venue(|venue| both.map(|of| venue.universe().token_id(of)));
            let names = ids.map(|id| id.to_string());
            let read = received.iter().rev().find(|one| {
                let book = one.path == "/book" || one.path == "/books";
                book && one.status == 200 && one.at <= request.at && {
                    let body = String::from_utf8_lossy(&one.body);
                    let asked = |name: &String| one.query.iter().any(|(_, value)| value == name);
                    names.iter().any(|name| asked(name) || body.contains(name.as_str()))
                }
            });
            let shown = frames.chain(read.map(|read| read.at)).max();
            let age = shown.map(|at| at.until(request.at));
            if age.is_none_or(|age| age > self.data + TRANSIT) {
                let ms = age.map(|age| age.as_millis());
                self.broken(format!(
                    "I14: an order in token {id} arrived at {:?}; its book was shown {ms:?} ms before",
                    request.at
                ));
            }
        }
    }

    /// I2; returns the salts of a person's orders from before the program's begin.
    fn durable(&self, disk: &MemDisk, request: &Received) -> Vec<serde_json::Value> {
        let mut persons = Vec::new();
        let orders = orders_of(request);
        let left = match read_state(&disk.after_kill(), &Options::default()) {
            Ok(left) => left.entries,
            Err(error) => {
                self.broken(format!("I2: the journal is unreadable: {error}"));
                return persons;
            }
        };
        let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
        for order in orders {
            self.allowed(|allowed| allowed.looked += 1);
            let salt = &order["order"]["salt"];
            let entry = left
                .iter()
                .filter(|entry| entry.table == "wire")
                .filter_map(|entry| json(&entry.value))
                .find(|entry| entry["facts"]["salt"] == *salt);
            let decided = entry.as_ref().is_some_and(|entry| {
                left.iter()
                    .any(|of| of.table == "orders" && json(&of.key).as_ref() == Some(&entry["id"]))
            });
            if decided {
                continue;
            }
            let excused = self.allowed(|allowed| {
                let excused = allowed.persons > 0 && entry.is_none();
                allowed.persons -= usize::from(excused);
                excused
            });
            let blind = self.allowed(|allowed| {
                let blind = excused && allowed.blind > 0;
                allowed.blind -= usize::from(blind);
                blind
            });
            if blind {
                persons.push(salt.clone());
            }
            if !excused {
                let what = if entry.is_some() { "decision" } else { "entry" };
                self.broken(format!(
                    "I2: the order with salt {salt} arrived at {:?}, and its {what} is not durable",
                    request.at
                ));
            }
        }
        persons
    }

    fn step(&self, venue: &Venue) {
        let ours: Vec<&Order> =
            venue.orders().filter(|order| order.wallet == self.wallet).collect();
        self.intents(&ours);
        self.worst(venue, &ours);
    }

    /// I3.
    fn intents(&self, ours: &[&Order]) {
        let mut ever: BTreeMap<(Token, Side), usize> = BTreeMap::new();
        let mut open: BTreeMap<(Token, Side), usize> = BTreeMap::new();
        for order in ours {
            let key = (order.token, order.side);
            *ever.entry(key).or_default() += 1;
            *open.entry(key).or_default() += usize::from(!order.status.ended());
        }
        let (signals, quoted) =
            self.allowed(|allowed| (allowed.signals.clone(), allowed.quoted.clone()));
        for (key, count) in ever {
            let asked = signals.get(&key).copied().unwrap_or(0);
            let alive = open.get(&key).copied().unwrap_or(0);
            let fine = match quoted.get(&key) {
                Some(at_once) => alive <= at_once + asked,
                // Exits are tried again after they ended, one at a time.
                None if key.1 == Side::Sell => alive <= asked.max(1),
                None => count <= asked,
            };
            if !fine {
                self.broken(format!(
                    "I3: {count} orders, {alive} of them open, of {asked} signals: {key:?}"
                ));
            }
        }
    }

    /// I4: brute force over every outcome of every market.
    fn worst(&self, venue: &Venue, ours: &[&Order]) {
        let mut effects: BTreeMap<u32, Vec<Effect>> = BTreeMap::new();
        let mut add = |effect: Effect| {
            effects.entry(effect.token.market().0).or_default().push(effect);
        };
        for trade in venue.trades().filter(|trade| trade.status != TradeStatus::Failed) {
            let certain = trade.status == TradeStatus::Confirmed;
            if trade.wallet == self.wallet {
                let (shares, money) = (trade.shares(), trade.money().micros());
                let fee = trade.fee().micros();
                add(effect(trade.token, trade.side, shares.micros(), money, fee, certain));
            }
            for leg in trade.legs.iter().filter(|leg| leg.wallet == self.wallet) {
                let (shares, money) = (leg.shares.micros(), leg.maker_money.micros());
                add(effect(leg.token, leg.side, shares, money, 0, certain));
            }
        }
        for order in ours.iter().filter(|order| !order.status.ended()) {
            let money = match order.side {
                Side::Buy => order.money.micros(),
                Side::Sell => order.limit.notional_floor(order.open).micros(),
            };
            add(effect(order.token, order.side, order.open.micros(), money, 0, false));
        }
        let open = ours.iter().filter(|order| !order.status.ended()).count();
        if open > self.limits.max_open_orders as usize {
            self.broken(format!("I4: {open} open orders"));
        }
        let mut account = 0;
        let mut groups: BTreeMap<&str, Vec<[i128; 2]>> = BTreeMap::new();
        for effects in effects.values() {
            let Some(first) = effects.first() else { continue };
            let market = venue.universe().market(first.token.market());
            let ends = Outcome::BOTH.map(|outcome| value(effects, outcome));
            let loss = -ends[0].min(ends[1]);
            if loss > i128::from(self.limits.max_market.micros()) {
                self.broken(format!("I4: {loss} micro-dollars at risk in {}", market.slug));
            }
            match &market.neg_risk {
                Some(group) => groups.entry(&group.group).or_default().push(ends),
                None => account += loss.max(0),
            }
        }
        for (group, markets) in groups {
            // One of the markets pays YES, or one that is not traded does.
            let none: i128 = markets.iter().map(|[_, no]| no).sum();
            let ends = markets.iter().map(|[yes, no]| none - no + yes).chain([none]);
            let loss = -ends.min().unwrap_or(0);
            if loss > i128::from(self.limits.max_event.micros()) {
                self.broken(format!("I4: {loss} micro-dollars at risk in the event {group}"));
            }
            account += loss.max(0);
        }
        if account > i128::from(self.limits.max_account.micros()) {
            self.broken(format!("I4: {account} micro-dollars at risk in all"));
        }
    }
}

/// The orders of a request.
fn orders_of(request: &Received) -> Vec<serde_json::Value> {
    match serde_json::from_slice(&request.body).unwrap_or_default() {
        serde_json::Value::Array(orders) => orders,
        one => vec![one],
    }
}

fn effect(token: Token, side: Side, shares: u64, money: i64, fee: i64, certain: bool) -> Effect {
    let (shares, money) = (i128::from(shares), i128::from(money));
    let (shares, money) = match side {
        Side::Buy => (shares, -money),
        Side::Sell => (-shares, money),
    };
    Effect { token, shares, cash: money - i128::from(fee), certain }
}

/// What the effects come to if a market ends with this outcome, everything that is not certain at its worst.
fn value(effects: &[Effect], outcome: Outcome) -> i128 {
    let of = |effect: &Effect| {
        let pays = if effect.token.outcome() == outcome { effect.shares } else { 0 };
        let value = effect.cash + pays;
        if effect.certain { value } else { value.min(0) }
    };
    effects.iter().map(of).sum()
}
