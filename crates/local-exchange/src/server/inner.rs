//! The one mutex: venue, sockets, limits, fault rules and the log of requests, moved through time
//! together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::Address;
use bytes::Bytes;
use polydesk_domain::{Span, Time, Token, TradeStatus};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot, watch};

use super::Service;
use super::answer::{Answer, Req};
use super::hub::{Hub, Marked};
use super::recent::Recent;
use crate::faults::{Faults, RequestOutcome};
use crate::limits::{Enforcement, RateLimiter};
use crate::setup::{Clock, Setup};
use crate::venue::{BookView, Caller, OrderChange, Venue, VenueUpdate};
use crate::{text, wire};

/// A clock that runs by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    Machine,
    /// The runtime's, from a time on.
    Runtime {
        start: Time,
        since: tokio::time::Instant,
    },
}

impl Source {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the exchange asks for the time"
    )]
    fn now(self) -> Time {
        match self {
            Source::Machine => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let nanos = since.map_or(0, |since| since.as_nanos());
                Time::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
            }
            Source::Runtime { start, since } => {
                let passed = i64::try_from(since.elapsed().as_nanos()).unwrap_or(i64::MAX);
                start + Span::nanos(passed)
            }
        }
    }
}

/// What the exchange's clock is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ticker {
    Runs(Source),
    /// Moved by hand.
    Held(Time),
    /// A tape's time, running at a speed since an instant of another clock.
    Scaled {
        origin: Time,
        since: Time,
        speed_milli: u32,
        source: Source,
    },
}

impl Ticker {
    pub(crate) fn of(setup: &Setup) -> Ticker {
        match setup.clock {
            Clock::Real => Ticker::Runs(Source::Machine),
            Clock::Virtual(at) => Ticker::Held(at),
            Clock::Runtime(start) => {
                let since = tokio::time::Instant::now();
                Ticker::Runs(Source::Runtime { start, since })
            }
        }
    }

    /// A tape's clock begins at its first row.
    pub(crate) fn begin_at(self, origin: Time, speed_milli: u32) -> Ticker {
        match self {
            Ticker::Runs(source) => {
                Ticker::Scaled { origin, since: source.now(), speed_milli, source }
            }
            _ => Ticker::Held(origin),
        }
    }

    pub(crate) fn now(self) -> Time {
        match self {
            Ticker::Runs(source) => source.now(),
            Ticker::Held(at) => at,
            Ticker::Scaled { origin, since, speed_milli, source } => {
                let passed = i128::from(since.until(source.now()).as_nanos());
                let scaled = passed * i128::from(speed_milli) / 1_000;
                origin + Span::nanos(i64::try_from(scaled).unwrap_or(i64::MAX))
            }
        }
    }

    /// How long the runtime waits for a time; None if only a hand moves this clock.
    fn wait_for(self, at: Time) -> Option<Duration> {
        let span = self.now().until(at).as_nanos().max(0);
        match self {
            Ticker::Runs(_) => Some(Duration::from_nanos(span.unsigned_abs())),
            Ticker::Held(_) => None,
            Ticker::Scaled { speed_milli, .. } => {
                let nanos = i128::from(span) * 1_000 / i128::from(speed_milli.max(1));
                Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
            }
        }
    }
}

/// Requests kept at least.
const RECEIVED_MOST: usize = 2_000;

/// A request as it came in, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// When.
    pub at: Time,
    /// Which listener.
    pub service: Service,
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query as it came.
    pub query: Vec<(String, String)>,
    /// `POLY_ADDRESS`, if it was an address.
    pub account: Option<Address>,
    /// Body, byte by byte.
    pub body: Bytes,
    /// Status answered; 0 while nothing was.
    pub status: u16,
}

/// A note for `GET /notifications`.
#[derive(Debug, Clone)]
struct Note {
    id: u64,
    signer: Address,
    value: Value,
}

/// Everything behind the mutex.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) venue: Venue,
    pub(crate) hub: Hub,
    pub(crate) limits: RateLimiter,
    pub(crate) faults: Faults,
    pub(crate) ticker: Ticker,
    pub(crate) received: Vec<Received>,
    /// How many of the oldest are gone.
    forgotten: usize,
    pub(crate) tolerance: Option<Span>,
    pub(crate) version: u32,
    pub(super) hashes_in_answer: bool,
    pub(super) batch_most: usize,
    pub(super) cancel_most: usize,
    pub(crate) relayed: Recent<super::relayer::Relayed>,
    pub(super) relay_nonces: BTreeMap<Address, u64>,
    /// What was asked and answered about session keys, by idempotency key.
    pub(super) session_answers: Recent<(Bytes, serde_json::Value)>,
    pub(crate) feeds: super::prices::Feeds,
    snapshot_delay: Span,
    /// Books that subscribers wait for.
    snapshots: BTreeMap<(Time, u64), (u64, Token)>,
    waiters: BTreeMap<(Time, u64), oneshot::Sender<()>>,
    next_waiter: u64,
    notes: Vec<Note>,
    next_note: u64,
}

impl Inner {
    pub(crate) fn new(venue: Venue, setup: &Setup, ticker: Ticker) -> Inner {
        let start = venue.now();
        Inner {
            hub: Hub::new(setup.rules.ping_timeout, setup.seed),
            limits: RateLimiter::new(setup.limits.clone()),
            faults: Faults::new(setup.seed, start),
            ticker,
            received: Vec::new(),
            forgotten: 0,
            tolerance: setup.rules.auth_tolerance,
            version: 2,
            hashes_in_answer: setup.rules.hashes_in_answer,
            batch_most: setup.rules.batch_most,
            cancel_most: setup.rules.cancel_most,
            relayed: Recent::default(),
            relay_nonces: BTreeMap::new(),
            session_answers: Recent::default(),
            feeds: super::prices::Feeds::new(setup.seed, start),
            snapshot_delay: setup.rules.snapshot_delay,
            snapshots: BTreeMap::new(),
            waiters: BTreeMap::new(),
            next_waiter: 0,
            notes: Vec::new(),
            next_note: 1,
            venue,
        }
    }

    /// The venue's stated time, which a fault rule can skew.
    pub(crate) fn shown_now(&self) -> Time {
        self.venue.now() + self.faults.skew()
    }

    fn next_due(&self) -> Option<Time> {
        let waiter = self.waiters.keys().next().map(|(at, _)| *at);
        let dues = [
            self.venue.next_due(),
            self.hub.next_due(),
            self.faults.next_due(),
            self.feeds.next_due(),
            waiter,
            self.snapshots.keys().next().map(|(at, _)| *at),
        ];
        dues.into_iter().flatten().min()
    }

    /// Moves everything to a time, in the order of what is due.
    pub(crate) fn catch_up(&mut self, to: Time) {
        while let Some(due) = self.next_due().filter(|due| *due <= to) {
            self.venue.advance(due);
            self.publish();
            self.trigger_due(due);
            self.publish();
            self.feeds.advance(due, &mut self.hub, &mut self.faults);
            self.hub.advance(due);
            while let Some(entry) = self.snapshots.first_entry().filter(|e| e.key().0 <= due) {
                let (id, token) = entry.remove();
                self.send_book(id, token);
            }
            while let Some(entry) = self.waiters.first_entry().filter(|e| e.key().0 <= due) {
                // The waiting task may have ended.
                let _ = entry.remove().send(());
            }
        }
        self.venue.advance(to);
        self.faults.pass_time(to);
        self.publish();
    }

    /// Sends a book to a connection, after the configured delay.
    pub(super) fn snapshot(&mut self, id: u64, token: Token) {
        if self.snapshot_delay == Span::ZERO {
            return self.send_book(id, token);
        }
        self.next_waiter += 1;
        let at = self.venue.now() + self.snapshot_delay;
        self.snapshots.insert((at, self.next_waiter), (id, token));
    }

    fn send_book(&mut self, id: u64, token: Token) {
        if let Some(view) = self.venue.book(token) {
            let marked = Marked::new(vec![token], &wire::book_frame(&view));
            self.hub.send(id, &marked, &mut self.faults, self.venue.now());
        }
    }

    /// Hands the venue's update to the sockets and notes.
    pub(crate) fn publish(&mut self) {
        for update in self.venue.take_updates() {
            self.note(&update);
            self.hub.publish(&self.venue, &mut self.faults, &update);
        }
    }

    /// Fills are noted once they have a transaction, cancels at once.
    fn note(&mut self, update: &VenueUpdate) {
        let universe = self.venue.universe();
        let mut notes = Vec::new();
        match update {
            VenueUpdate::Order { what: OrderChange::Cancellation, order, .. }
                if !self.venue.is_counterparty(&order.signer) =>
            {
                notes.push((order.signer, 1, wire::notification(order, None, universe)));
            }
            VenueUpdate::Trade { trade, .. } if trade.status == TradeStatus::Mined => {
                let taker = (trade.order, trade.shares(), wire::price_of(trade));
                let makers =
                    trade.legs.iter().map(|leg| (leg.order, leg.shares, text::price(leg.price)));
                for (id, shares, price) in std::iter::once(taker).chain(makers) {
                    // The counterparties of a tape have no orders, those of the demo read no notes.
                    let order = self.venue.order(&id);
                    if let Some(order) = order.filter(|o| !self.venue.is_counterparty(&o.signer)) {
                        let filled = Some((&**trade, shares, price));
                        notes.push((order.signer, 2, wire::notification(order, filled, universe)));
                    }
                }
            }
            _ => return,
        }
        let at = self.venue.now().millis() / 1_000;
        for (signer, kind, payload) in notes {
            let id = self.next_note;
            self.next_note += 1;
            let value = json!({
                "id": id, "type": kind, "owner": payload["owner"], "timestamp": at,
                "payload": payload,
            });
            self.notes.push(Note { id, signer, value });
        }
        let surplus = self.notes.len().saturating_sub(10_000);
        self.notes.drain(..surplus);
    }

    pub(super) fn notifications(&self, caller: &Caller) -> Value {
        let own = self.notes.iter().filter(|note| note.signer == caller.signer);
        Value::Array(own.map(|note| note.value.clone()).collect())
    }

    pub(super) fn drop_notifications(&mut self, caller: &Caller, req: &Req) -> Answer {
        let ids: Vec<u64> = req.params("ids").filter_map(|id| id.parse().ok()).collect();
        self.notes.retain(|note| note.signer != caller.signer || !ids.contains(&note.id));
        Answer::ok(&json!("OK"))
    }

    /// What will become of a request, before it is looked at.
    fn receive(&mut self, req: &Req) -> (usize, RequestOutcome, Option<Answer>) {
        let account = req.header("POLY_ADDRESS").and_then(wire::address);
        let number = self.record(req, account);
        let mut outcome = self.faults.decide(req, account);
        let edge = self.edge(req, &mut outcome);
        (number, outcome, edge)
    }

    /// Keeps a request for tests to read; its number.
    pub(super) fn record(&mut self, req: &Req, account: Option<Address>) -> usize {
        // An exchange that runs for days must not keep every request.
        if self.received.len() >= 2 * RECEIVED_MOST {
            self.received.drain(..RECEIVED_MOST);
            self.forgotten += RECEIVED_MOST;
        }
        self.received.push(Received {
            at: self.venue.now(),
            service: req.service,
            method: req.method.clone(),
            path: req.path.clone(),
            query: req.query.clone(),
            account,
            body: req.body.clone(),
            status: 0,
        });
        self.forgotten + self.received.len() - 1
    }

    pub(super) fn answered(&mut self, number: usize, status: u16) {
        let index = number.checked_sub(self.forgotten);
        if let Some(received) = index.and_then(|index| self.received.get_mut(index)) {
            received.status = status;
        }
    }

    /// The edge refuses a request or lets it wait.
    fn edge(&mut self, req: &Req, outcome: &mut RequestOutcome) -> Option<Answer> {
        // The nodes of the chain are not the venue's.
        if matches!(req.service, Service::Rpc0 | Service::Rpc1) {
            return None;
        }
        if self.limits.blocked {
            return Some(Answer::block_page());
        }
        let now = self.venue.now();
        let wait = self.limits.edge(req.service.name(), &req.method, &req.path, now)?;
        if self.limits.setup.ip == Enforcement::Queue {
            outcome.before = outcome.before + wait;
            return None;
        }
        let seconds = super::trading::whole_seconds(wait).max(1);
        let answer = Answer::error(429, "Too Many Requests");
        Some(answer.with("Retry-After", seconds.to_string()))
    }

    /// Processes a request.
    fn answer(&mut self, req: &Req) -> Answer {
        let answer = match req.service {
            Service::Clob => self.clob(req),
            Service::Gamma => self.gamma(req),
            Service::Data => self.data(req),
            Service::Relayer => self.relayer(req),
            Service::Rpc0 | Service::Rpc1 => self.rpc(req),
            Service::Polybolt | Service::Rtds => Answer::not_found(),
        };
        self.faults.alter_read(req, answer)
    }

    pub(super) fn read_book(&self, token: Token) -> Option<BookView> {
        self.venue.book(token)
    }

    pub(super) fn cash_read(&self, wallet: &Address) -> i64 {
        self.venue.cash_of(wallet).micros()
    }

    pub(super) fn shares_read(&self, wallet: &Address, token: Token) -> i64 {
        let held = self.venue.shares_of(wallet);
        held.get(&token).map_or(0, |shares| shares.micros() as i64)
    }

    pub(super) fn refresh_balances(&mut self, _caller: &Caller) {}
}

/// The exchange as its tasks share it.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    /// Wakes the tasks that wait for a condition.
    turns: watch::Sender<u64>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// A connection that ends without an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broken {
    /// By RST instead of FIN.
    pub(crate) reset: bool,
}

impl Shared {
    pub(crate) fn new(inner: Inner, stop: watch::Receiver<bool>) -> Shared {
        let (turns, _) = watch::channel(0);
        Shared { inner: Arc::new(Mutex::new(inner)), changed: Arc::new(Notify::new()), turns, stop }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in a handler must not hide the state that explains it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings everything to the present, does something, and sends what came of it.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        let result = {
            let mut inner = self.lock();
            let now = inner.ticker.now();
            inner.catch_up(now);
            let result = act(&mut inner);
            inner.publish();
            result
        };
        self.changed.notify_one();
        self.turns.send_modify(|turns| *turns += 1);
        result
    }

    /// Waits until something is true; false if the exchange stopped before.
    pub(crate) async fn until(&self, mut holds: impl FnMut(&Inner) -> bool) -> bool {
        let mut turns = self.turns.subscribe();
        let mut stop = self.stop.clone();
        loop {
            turns.mark_unchanged();
            if self.look(&mut holds) {
                return true;
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return false,
                _ = turns.changed() => {}
            }
        }
    }

    /// Looks without moving anything.
    pub(crate) fn look<R>(&self, see: impl FnOnce(&Inner) -> R) -> R {
        see(&self.lock())
    }

    /// Moves a virtual clock. Others' clocks move by themselves.
    pub(crate) fn advance(&self, span: Span) {
        {
            let mut inner = self.lock();
            if let Ticker::Held(at) = &mut inner.ticker {
                *at = *at + span;
            }
        }
        self.with(|_| ());
    }

    /// Waits until the exchange's clock shows a time, or it stops.
    pub(crate) async fn wait_until(&self, at: Time) {
        let (notify, notified) = oneshot::channel();
        let waits = {
            let mut inner = self.lock();
            let waits = at > inner.ticker.now();
            if waits {
                inner.next_waiter += 1;
                let key = (at, inner.next_waiter);
                inner.waiters.insert(key, notify);
            }
            waits
        };
        if waits {
            self.changed.notify_one();
            let mut stop = self.stop.clone();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => {}
                _ = notified => {}
            }
        }
    }

    /// Executes what is due by a clock that runs by itself until the exchange stops.
    pub(crate) async fn pump(self) {
        let mut stop = self.stop.clone();
        loop {
            let wait =
                self.look(|inner| inner.next_due().and_then(|due| inner.ticker.wait_for(due)));
            let sleep = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.changed.notified() => {}
                () = sleep => self.with(|_| ()),
            }
        }
    }

    /// Serves a request; an error if no response is sent.
    pub(crate) async fn serve(&self, req: Req) -> Result<(Answer, RequestOutcome), Broken> {
        let (number, outcome, edge) = self.with(|inner| inner.receive(&req));
        let held = outcome.before > Span::ZERO;
        let work = self.clone().process(req, number, outcome, edge);
        if !held {
            return work.await;
        }
        // What has arrived is processed, also if the client hangs up meanwhile.
        tokio::spawn(work).await.unwrap_or(Err(Broken { reset: false }))
    }

    async fn process(
        self,
        req: Req,
        number: usize,
        outcome: RequestOutcome,
        edge: Option<Answer>,
    ) -> Result<(Answer, RequestOutcome), Broken> {
        let now = self.look(|inner| inner.venue.now());
        self.wait_until(now + outcome.before).await;
        if outcome.lose_request {
            return Err(self.drop_connection(&outcome).await);
        }
        let answer = match edge {
            Some(answer) => answer,
            None if outcome.page => Answer::block_page(),
            None => self.with(|inner| inner.answer(&req)),
        };
        let answer = outcome.apply_to(answer);
        let now = self.with(|inner| {
            inner.answered(number, answer.status);
            inner.venue.now()
        });
        self.wait_until(now + outcome.after).await;
        if outcome.lose_answer {
            return Err(self.drop_connection(&outcome).await);
        }
        Ok((answer, outcome))
    }

    /// Sends no response: closes the connection at once, or stays silent.
    async fn drop_connection(&self, outcome: &RequestOutcome) -> Broken {
        if outcome.silence {
            let mut stop = self.stop.clone();
            let _ = stop.wait_for(|stop| *stop).await;
        }
        Broken { reset: outcome.reset }
    }
}
