//! The engine's thread of live trading: events in, commands out to the lanes, reports back through the gateway.
//!
//! Here alone events get their time and number. An event is appended before the engine sees it, what it changed
//! afterwards, and the lane of orders flushes both before anything of it leaves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use polydesk_domain::{
    AccountEvent, Basis, Cash, CashKind, Cause, Channel, ClientOrderId, Code, Command, ConditionId,
    ControlEvent, Event, Finding, Market, MarketEvent, MarketKey, MarketState, OrderHash,
    OrderState, OrderUpdate, Outbox, PlaceOrder, Query, RunMode, RunStart, Span, Stamped, Time,
    Token, TradeStatus, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::LedgerAccount;
use polydesk_gateway::{Ask, Gateway, Output, Reads, View, ViewOrder, WireRow};
use polydesk_polymarket_api::ws::{FeedItem, UserFeed, UserItem};
use polydesk_polymarket_api::{Exchange, OrderArgs};
use tokio::sync::{mpsc, oneshot};

use super::chain::ConversionJob;
use super::lanes::{Cancel, ChainJob, Read, lane_full};
use super::orders::{Approved, OrderRequest};
use super::passes::PassRequest;
use super::permit::Permit;
use super::report::Report;
use super::stops::{Step, Stops};
use crate::clock::EngineClock;
use crate::collapse::{BEHIND, collapse};
use crate::common::{
    CHECK, Decisions, FeedCounts, GLANCE, Kept, STOPPING, TAKEN, Unanswered, check_journal,
    first_time, frozen, listing, old_proofs, release, take,
};
use crate::durable::{JournalError, Journaling};
use crate::facts::Fact;
use crate::glance::{Connections, Identity, Shared, look};
use crate::inbox::Request;

/// Between two passes of reads.
const PASS: Span = Span::secs(10);
/// Between two passes while the account is not reconciled.
const PASS_SOON: Span = Span::secs(1);
/// A pass that is not answered for so long is given up.
const PASS_LOST: Span = Span::secs(60);
/// Between two reads of the chain.
const CHAIN: Span = Span::secs(60);
/// Trades are read from so long before the last agreeing pass.
const OVERLAP: Span = Span::secs(600);
/// Table of the journal: when a pass of reads last agreed.
pub(crate) const RECONCILED: &str = "reconciled";

/// The sending ends of the lanes.
pub struct Lanes {
    /// Orders.
    pub orders: mpsc::Sender<OrderRequest>,
    /// Cancels.
    pub cancels: mpsc::Sender<Cancel>,
    /// Reads of orders and trades.
    pub reads: mpsc::Sender<Read>,
    /// Passes of reads.
    pub passes: mpsc::Sender<PassRequest>,
    /// Work for the chain.
    pub chain: mpsc::Sender<ChainJob>,
}

/// What a run of live trading needs besides the engine.
pub struct LivePlan {
    /// Repeated in the glance.
    pub identity: Identity,
    /// The clock that stamps events.
    pub clock: EngineClock,
    /// Shared with the rest of the process.
    pub shared: Arc<Shared>,
    /// Reads the state of the market channel.
    pub connections: Box<dyn Fn() -> Connections + Send>,
    /// Receives conditions of markets that were just created on the venue; a full queue drops them, for discovery
    /// reads lists too.
    pub created: Option<mpsc::Sender<ConditionId>>,
    /// Age of the last proof from which on a book is unverified.
    pub max_proof_age: Span,
    /// Where events and changes are appended.
    pub journal: Journaling,
    /// Why the gate is closed at the start, with a text for the operator.
    pub blockers: Vec<(Cause, String)>,
    /// Events that the start gives rise to: limits that are tighter now, and the like.
    pub first: Vec<ControlEvent>,
    /// Markets that an earlier run held or had orders in.
    pub listed: Vec<(MarketKey, Arc<Market>)>,
    /// No earlier run has booked what the wallet holds.
    pub fresh: bool,
    /// Orders of the wallet, and whose it is.
    pub gateway: Gateway,
    /// To the lanes.
    pub lanes: Lanes,
    /// What they and the reads report.
    pub reports: mpsc::Receiver<Report>,
    /// The user channel.
    pub user: mpsc::Receiver<UserItem>,
    /// The same channel, to be told what was placed.
    pub user_feed: UserFeed,
    /// What can stop an order on its way.
    pub permit: Permit,
    /// When a pass of an earlier run last agreed.
    pub reconciled: Option<Time>,
    /// The end of the journal may be missing: nothing that is not in it is known to be nothing.
    pub lost_tail: bool,
    /// Orders that this bot did not place are cancelled.
    pub cancel_external: bool,
    /// Called once with the reason when nothing may leave any more: starts the kill ladder.
    pub halt: Box<dyn Fn(&str) + Send>,
    /// For rehearsals.
    pub stops: Stops,
    /// Whether the venue is in its normal mode.
    pub normal_mode: Box<dyn Fn() -> bool + Send>,
}

/// Why a run ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The journal.
    #[error("nothing can be journaled any more")]
    Journal(#[from] JournalError),
    /// The journal is over.
    #[error("{0}")]
    JournalOver(String),
    /// A lane or the user channel has ended.
    #[error("{0} has ended")]
    LaneEnded(&'static str),
}

/// What is left when the run is over.
#[derive(Debug)]
pub struct LiveEnded {
    /// Orders that were open or unknown when the time to end them was over.
    pub left_open: usize,
    /// Whether the venue's own list was empty, asked after the last cancel.
    pub verified_empty: bool,
    /// Equity when the run began.
    pub start: Usdc,
    /// Equity at the end.
    pub equity: Usdc,
    /// Hash of the engine's state.
    pub state_hash: String,
}

/// Runs until a stop is asked for, or every sender is gone.
///
/// # Errors
/// See [`LiveError`].
pub async fn run(
    engine: &mut Engine,
    plan: LivePlan,
    mut feed: mpsc::Receiver<FeedItem>,
    mut requests: mpsc::Receiver<Request>,
) -> Result<LiveEnded, LiveError> {
    let decisions = Decisions::new(Arc::clone(&plan.shared), plan.clock.clone());
    let mut bot = Bot {
        last_at: first_time(engine.now(), plan.clock.now()),
        engine,
        seq: 0,
        out: Outbox::new(),
        queue: VecDeque::new(),
        decisions,
        counts: FeedCounts::default(),
        unanswered: Unanswered::default(),
        next_check: Time::MIN,
        next_glance: Time::MIN,
        pass: PassState {
            next: Time::MIN,
            under: None,
            chain_at: Time::MIN,
            chain_due: true,
            empty_asked_at: None,
        },
        user_up: false,
        unbound: BTreeSet::new(),
        moved_at: BTreeMap::new(),
        fresh: plan.fresh,
        halted: false,
        start: Usdc::ZERO,
        plan,
    };
    bot.begin()?;
    let mut items = Vec::with_capacity(TAKEN);
    let reply = loop {
        // Rows that came while the loop was busy are older than what it does next.
        bot.reports()?;
        take(&mut feed, &mut items);
        bot.rows(&mut items)?;
        let due = bot.turn()?;
        let wait = tokio::time::sleep(bot.until(due));
        // Requests are few and come first: a stop must not wait behind market data.
        tokio::select! {
            biased;
            request = requests.recv() => match request {
                Some(Request::Stop(reply)) => break Some(reply),
                Some(request) => {
                    bot.reports()?;
                    bot.request(request)?;
                }
                None => break None,
            },
            report = bot.plan.reports.recv() => match report {
                Some(report) => bot.report(report)?,
                None => return Err(LiveError::LaneEnded("every lane")),
            },
            item = bot.plan.user.recv() => match item {
                Some(item) => {
                    // What a lane reported before this came must be known: the order of an update is bound by then.
                    bot.reports()?;
                    bot.user(&item)?;
                }
                None => return Err(LiveError::LaneEnded("the user channel")),
            },
            taken = feed.recv_many(&mut items, TAKEN) => {
                if taken == 0 {
                    break None;
                }
                take(&mut feed, &mut items);
                bot.rows(&mut items)?;
            }
            () = wait => {}
        }
    };
    bot.end(reply, &mut feed, &mut items).await
}

struct PassState {
    next: Time,
    /// Since when one is being made.
    under: Option<Time>,
    chain_at: Time,
    chain_due: bool,
    /// When the last list of open orders that was empty was asked for.
    empty_asked_at: Option<Time>,
}

/// The loop's own state.
struct Bot<'a> {
    engine: &'a mut Engine,
    plan: LivePlan,
    last_at: Time,
    seq: u64,
    out: Outbox,
    /// Events that follow from what is being handled.
    queue: VecDeque<Event>,
    decisions: Decisions,
    counts: FeedCounts,
    unanswered: Unanswered,
    next_check: Time,
    next_glance: Time,
    pass: PassState,
    user_up: bool,
    /// Orders that are in their lane and have no hash yet, and of those the ones that are to be cancelled.
    unbound: BTreeSet<(ClientOrderId, bool)>,
    /// When something of ours last moved in a token.
    moved_at: BTreeMap<Token, Time>,
    fresh: bool,
    halted: bool,
    /// Equity when the run began, or when its wallet was first taken up.
    start: Usdc,
}

impl Bot<'_> {
    fn begin(&mut self) -> Result<(), LiveError> {
        let at = self.last_at;
        let blockers = core::mem::take(&mut self.plan.blockers);
        let killed = blockers.iter().any(|(cause, _)| *cause == Cause::Killed);
        self.deliver(at, ControlEvent::Start(RunStart { mode: RunMode::Live, blockers }).into())?;
        for (key, market) in core::mem::take(&mut self.plan.listed) {
            self.row(MarketEvent::Listed { key, market })?;
        }
        for event in core::mem::take(&mut self.plan.first) {
            self.deliver(at, event.into())?;
        }
        // What was decided and never signed has not left.
        let settled = self.settled();
        let view = view_of(self.engine, &settled, &self.moved_at, self.fresh);
        let unsigned = self.plan.gateway.unsigned(&view, self.plan.lost_tail);
        self.outputs(unsigned)?;
        if killed || self.plan.lost_tail {
            self.cancel(Cancel::All);
        }
        self.start = self.engine.manager().equity().now;
        Ok(())
    }

    /// Engine time, never before the last event.
    fn now(&mut self) -> Time {
        self.last_at = self.last_at.max(self.plan.clock.now());
        self.last_at
    }

    fn until(&self, due: Time) -> std::time::Duration {
        let span = self.plan.clock.now().until(due).as_nanos().clamp(0, 1_000_000_000);
        std::time::Duration::from_nanos(span.unsigned_abs())
    }

    /// The engine takes an event, and everything that follows from it at once.
    fn deliver(&mut self, at: Time, event: Event) -> Result<(), LiveError> {
        self.handle(at, at, event)?;
        while let Some(event) = self.queue.pop_front() {
            self.handle(at, at, event)?;
        }
        Ok(())
    }

    fn handle(&mut self, at: Time, venue_at: Time, event: Event) -> Result<(), LiveError> {
        self.seq += 1;
        let stamped = Stamped { at, venue_at, seq: self.seq, event };
        self.decisions.begin();
        self.plan.journal.input(self.engine, &stamped)?;
        self.plan.stops.reached(Step::W1, 1);
        if let Event::Account(event) = &stamped.event {
            self.note_movement(at, event);
        }
        self.engine.handle(&stamped, &mut self.out);
        self.plan.stops.reached(Step::W2, self.out.commands.len());
        self.plan.journal.output(self.engine, at, &self.out)?;
        self.plan.stops.reached(Step::W3, self.out.commands.len());
        self.plan.shared.metrics.events.fetch_add(1, Ordering::Relaxed);
        if self.out.is_empty() {
            return Ok(());
        }
        if !self.out.commands.is_empty() {
            self.decisions.decided();
        }
        let mut out = core::mem::take(&mut self.out);
        // Cancels leave before anything else of the same event.
        for command in &out.commands {
            if matches!(command, Command::Cancel(_) | Command::CancelAll(_)) {
                self.command(at, command);
            }
        }
        for command in &out.commands {
            if !matches!(command, Command::Cancel(_) | Command::CancelAll(_)) {
                self.command(at, command);
            }
        }
        for recorded in &out.records {
            self.decisions.record(self.engine, recorded);
        }
        out.commands.clear();
        out.records.clear();
        self.out = out;
        if !self.halted
            && let Some(why) = self.engine.manager().halted()
        {
            self.halted = true;
            (self.plan.halt)(why);
        }
        Ok(())
    }

    fn note_movement(&mut self, at: Time, event: &AccountEvent) {
        match event {
            AccountEvent::Trade(trade) => drop(self.moved_at.insert(trade.token, at)),
            AccountEvent::Cash(Cash { market: Some(market), .. }) => {
                for token in polydesk_domain::Outcome::BOTH.map(|outcome| market.token(outcome)) {
                    self.moved_at.insert(token, at);
                }
            }
            _ => {}
        }
    }

    // ---- commands ----

    fn command(&mut self, at: Time, command: &Command) {
        match command {
            Command::Place(orders) => self.place(at, orders),
            Command::Cancel(id) => match self.plan.gateway.orders().hash(*id) {
                Some(hash) => {
                    self.plan.permit.withdraw(*id);
                    self.cancel(Cancel::Order(hash));
                }
                None if self.unbound.remove(&(*id, false)) => {
                    // It is on its way to be signed: it is stopped there, or cancelled once it has a hash.
                    self.plan.permit.withdraw(*id);
                    self.unbound.insert((*id, true));
                }
                None => {}
            },
            Command::CancelAll(None) => {
                for (id, _) in core::mem::take(&mut self.unbound) {
                    self.plan.permit.withdraw(id);
                    self.unbound.insert((id, true));
                }
                self.cancel(Cancel::All);
            }
            Command::CancelAll(Some(market)) => {
                if let Some(market) = self.engine.universe().get(*market) {
                    self.cancel(Cancel::Market(market.condition));
                }
            }
            Command::Query(Query::Order(id)) => {
                if let Some(hash) = self.plan.gateway.orders().hash(*id) {
                    self.ask(Ask::Order(hash));
                    self.ask(Ask::Trades(hash));
                }
            }
            // The lane of the chain asks by itself until it knows.
            Command::Query(Query::Conversion(_)) => {}
            Command::Convert { id, strategy, market, action } => {
                let Some(facts) = self.engine.universe().get(*market) else { return };
                let job = ConversionJob {
                    id: *id,
                    strategy: *strategy,
                    condition: facts.condition,
                    tokens: facts.tokens,
                    neg_risk: facts.neg_risk.is_some(),
                    action: *action,
                };
                if self.plan.lanes.chain.try_send(ChainJob::Convert(job)).is_err() {
                    self.full("chain");
                }
            }
            // No model is asked by live trading yet.
            Command::Ask { .. } => {}
        }
    }

    fn place(&mut self, at: Time, orders: &[PlaceOrder]) {
        let mut approved = Vec::with_capacity(orders.len());
        for order in orders {
            match self.approve(at, order) {
                Ok(order) => approved.push(order),
                Err(why) => {
                    // The legs of a request leave together or not at all.
                    tracing::error!(order = %order.id, why, "an approved order cannot be signed");
                    return self.not_sent(orders, Code::literal("no_such_order"));
                }
            }
        }
        for order in orders {
            self.unbound.insert((order.id, false));
        }
        let cause = self.plan.journal.appended();
        let request = OrderRequest { cause, orders: approved };
        if self.plan.lanes.orders.try_send(request).is_err() {
            self.not_sent(orders, lane_full());
            self.full("orders");
        }
    }

    fn approve(&self, at: Time, order: &PlaceOrder) -> Result<Approved, String> {
        let key = order.token.market();
        let universe = self.engine.universe();
        let market = universe.get(key).ok_or("its market is not listed")?;
        let exchange = Exchange::of(market).map_err(|error| error.to_string())?;
        let tick = self.engine.books().get(key).map_or(market.tick, |book| book.tick());
        let args = OrderArgs {
            token: universe.token_id(order.token),
            side: order.side,
            price: order.price,
            size: order.size,
            tif: order.tif,
            post_only: order.post_only,
            tick,
            exchange,
        };
        let (decided_at, data_at, expires) = (at, order.data_at, order.expires);
        Ok(Approved { id: order.id, args, decided_at, data_at, expires })
    }

    fn not_sent(&mut self, orders: &[PlaceOrder], why: Code) {
        for order in orders {
            self.unbound.remove(&(order.id, false));
            self.unbound.remove(&(order.id, true));
            let update = OrderUpdate::NotSent { why };
            self.queue.push_back(Event::order(order.id, update));
        }
    }

    fn cancel(&mut self, cancel: Cancel) {
        if self.plan.lanes.cancels.try_send(cancel).is_err() {
            self.full("cancels");
        }
    }

    fn ask(&mut self, ask: Ask) {
        let read = match ask {
            Ask::Order(hash) => Read::Order(hash),
            Ask::Trades(hash) => {
                let Some(order) = self.plan.gateway.orders().get(&hash) else { return };
                Read::Trades(order.facts.token, order.bound_at - OVERLAP)
            }
            Ask::Cancel(hash) => return self.cancel(Cancel::Order(hash)),
            Ask::Chain => {
                self.pass.chain_due = true;
                return;
            }
            Ask::Market(token) => {
                return tracing::warn!(%token, "something of ours is in a market that is not followed: name it in markets.include");
            }
        };
        if self.plan.lanes.reads.try_send(read).is_err() {
            self.full("reads");
        }
    }

    /// A lane is full or gone: what it should have done is not done, so nothing new begins.
    fn full(&mut self, lane: &'static str) {
        if !self.halted {
            self.halted = true;
            (self.plan.halt)(&format!("the lane of {lane} takes nothing more"));
        }
    }

    // ---- reports ----

    /// Everything that the lanes have reported so far.
    fn reports(&mut self) -> Result<(), LiveError> {
        for _ in 0..self.plan.reports.len() {
            match self.plan.reports.try_recv() {
                Ok(report) => self.report(report)?,
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn report(&mut self, report: Report) -> Result<(), LiveError> {
        let now = self.now();
        match report {
            Report::Bound { id, hash, facts, at } => {
                self.unbound.remove(&(id, false));
                let wanted_out = self.unbound.remove(&(id, true));
                let bound = self.plan.gateway.bound(id, hash, *facts, at);
                // The lane has journaled this very row.
                let _ = self.plan.gateway.orders_mut().take_changed();
                match bound {
                    Ok(outputs) => self.outputs(outputs)?,
                    Err(error) => {
                        let detail = error.to_string();
                        self.outputs(vec![Output::NotReconciled(detail)])?;
                    }
                }
                if wanted_out {
                    self.cancel(Cancel::Order(hash));
                }
            }
            Report::Sent { orders, at } => {
                for hash in orders {
                    let outputs = self.plan.gateway.sent(&hash, at);
                    self.outputs(outputs)?;
                }
            }
            Report::NotSent { id, hash, why, at } => {
                self.unbound.remove(&(id, false));
                self.unbound.remove(&(id, true));
                let outputs = match hash {
                    Some(hash) => self.plan.gateway.withdrawn(&hash, why, at),
                    None => vec![Output::order(id, OrderUpdate::NotSent { why })],
                };
                self.outputs(outputs)?;
            }
            Report::Placed { orders, answers, at } => {
                for (hash, answer) in orders.iter().zip(answers.iter().flatten()) {
                    if answer.is_ok() {
                        self.plan.user_feed.placed(*hash);
                    }
                }
                let outputs = self.plan.gateway.batch(&orders, &answers, at);
                self.outputs(outputs)?;
            }
            Report::Cancelling { orders, at } => {
                for hash in orders {
                    self.plan.gateway.cancel_sent(&hash, at);
                }
            }
            Report::Cancelled { answer, at } => match *answer {
                Ok(answer) => {
                    let outputs = self.plan.gateway.cancelled(&answer, at);
                    self.outputs(outputs)?;
                }
                Err(error) => tracing::warn!(%error, "a cancel failed; it is sent again"),
            },
            Report::Order { hash, answer, at } => {
                let ids = self.engine.universe();
                let answer = match &*answer {
                    Ok(row) => Ok(row.as_ref()),
                    Err(error) => Err(error),
                };
                let outputs = self.plan.gateway.queried(ids, &hash, answer, at);
                self.outputs(outputs)?;
            }
            Report::Trades { trades, at } => {
                for trade in trades.iter() {
                    let outputs = self.plan.gateway.trade(self.engine.universe(), trade, at);
                    self.outputs(outputs)?;
                }
            }
            Report::Pass { reads, asked_at } => self.passed(&reads, asked_at, now)?,
            Report::PassFailed { why, .. } => {
                tracing::warn!(why, "a pass of reads failed");
                self.pass.under = None;
                self.pass.next = now + PASS_SOON;
            }
            Report::Settled { transaction, fills, depth } => {
                let ids = self.engine.universe();
                let outputs = self.plan.gateway.settled(ids, &transaction, &fills, depth, now);
                self.outputs(outputs)?;
            }
            Report::Converted(cash) => {
                let market = cash.conversion.and_then(|id| {
                    self.engine.manager().state().conversions.get(&id).map(|it| it.market)
                });
                let cash = Cash { market: cash.market.or(market), ..cash };
                self.deliver(now, AccountEvent::Cash(cash).into())?;
            }
        }
        self.wire_rows()
    }

    fn user(&mut self, item: &UserItem) -> Result<(), LiveError> {
        let now = self.now();
        match item {
            UserItem::Connected { .. } => {
                if !self.user_up {
                    self.user_up = true;
                    self.leftovers();
                }
                self.pass.next = now;
            }
            UserItem::Disconnected { .. } => self.user_up = false,
            UserItem::Rejected { reason, .. } => {
                self.user_up = false;
                tracing::error!(reason, "the venue rejects the API credentials: no order leaves");
            }
            _ => {}
        }
        let outputs = self.plan.gateway.user(self.engine.universe(), item, now);
        self.outputs(outputs)?;
        self.wire_rows()
    }

    /// Orders of an earlier run that may rest: they are cancelled by id. The user channel is up by now, so that their
    /// end is reported.
    fn leftovers(&mut self) {
        let run = self.plan.identity.run;
        let old: Vec<OrderHash> = self
            .plan
            .gateway
            .orders()
            .iter()
            .filter(|(_, order)| order.id.run() != run && order.ended.is_none())
            .map(|(hash, _)| *hash)
            .collect();
        for hash in old {
            self.cancel(Cancel::Order(hash));
        }
    }

    fn outputs(&mut self, outputs: Vec<Output>) -> Result<(), LiveError> {
        for output in outputs {
            match output {
                Output::Ask(ask) => self.ask(ask),
                output => {
                    if let Output::Event(AccountEvent::Trade(trade)) = &output {
                        self.settle(trade);
                    }
                    if let Some(event) = output.event() {
                        let at = self.now();
                        self.deliver(at, event)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The exact amounts of a fill that is in a block are in its transaction.
    fn settle(&mut self, trade: &polydesk_domain::OwnTrade) {
        let mined = matches!(trade.status, TradeStatus::Mined | TradeStatus::Confirmed);
        if !mined || trade.fill.basis == Basis::Settled {
            return;
        }
        let orders = self.plan.gateway.orders();
        let transaction = orders
            .hash(trade.order)
            .and_then(|hash| orders.get(&hash))
            .and_then(|order| order.fills.get(&trade.trade))
            .and_then(|fill| fill.transaction.clone());
        if let Some(transaction) = transaction
            && self.plan.lanes.chain.try_send(ChainJob::Settle(transaction)).is_err()
        {
            // The estimate stands; the next report of the fill asks again.
            tracing::warn!("the lane of the chain is full: amounts of a fill stay estimated");
        }
    }

    /// Appends the gateway's rows that changed.
    fn wire_rows(&mut self) -> Result<(), LiveError> {
        let rows = self.plan.gateway.orders_mut().take_changed();
        if !rows.is_empty() {
            let rows = rows.iter().map(|row| (row.key.as_slice(), row.value.as_deref()));
            self.plan.journal.rows(WireRow::TABLE, rows)?;
        }
        Ok(())
    }

    // ---- reconciliation ----

    fn settled(&self) -> Settled {
        Settled {
            run_started_at: self.plan.identity.started,
            normal_mode: (self.plan.normal_mode)(),
            cancel_external: self.plan.cancel_external,
        }
    }

    /// The epoch of `not_reconciled`, while it stands.
    fn epoch(&self) -> Option<u32> {
        let blockers = &self.engine.manager().state().blockers;
        blockers.get(&Cause::NotReconciled).map(|blocker| blocker.epoch)
    }

    /// Asks for a pass where one is due.
    fn check_pass(&mut self, now: Time) {
        if self.pass.under.is_some_and(|since| since.until(now) < PASS_LOST) {
            return;
        }
        // Updates are not repeated: what is read before the user channel is up may be outdated unseen.
        if !self.user_up || now < self.pass.next {
            return;
        }
        let epoch = self.epoch();
        let chain =
            epoch.is_some() || self.pass.chain_due || self.pass.chain_at.until(now) >= CHAIN;
        let manager = self.engine.manager();
        let gateway = &self.plan.gateway;
        let open: BTreeSet<OrderHash> = manager
            .orders()
            .open()
            .filter_map(|order| gateway.orders().hash(order.id))
            .chain(gateway.orders().iter().filter(|(_, o)| o.ended.is_none()).map(|(h, _)| *h))
            .collect();
        let universe = self.engine.universe();
        let tokens = universe
            .keys()
            .flat_map(|key| polydesk_domain::Outcome::BOTH.map(|outcome| key.token(outcome)));
        let held: BTreeSet<Token> = manager.positions().all().map(|(_, token, _)| token).collect();
        // The first pass asks for everything that is followed; later ones for what is held or moved lately.
        let lately = |token: &Token| {
            self.moved_at.get(token).is_some_and(|at| at.until(now) < Span::secs(3_600))
        };
        let tokens = tokens
            .filter(|token| self.fresh || held.contains(token) || lately(token))
            .map(|token| universe.token_id(token))
            .collect();
        let began = self.plan.identity.started;
        let since = self.plan.reconciled.unwrap_or(began);
        let oldest = gateway.orders().iter().filter(|(_, o)| !o.settled()).map(|(_, o)| o.bound_at);
        let since = oldest.chain([since]).min().unwrap_or(since) - OVERLAP;
        let request = PassRequest {
            epoch: epoch.unwrap_or(0),
            open: open.into_iter().collect(),
            trades_since: since,
            tokens,
            chain,
        };
        if self.plan.lanes.passes.try_send(request).is_ok() {
            self.pass.under = Some(now);
        }
    }

    /// A pass is read: what it proves is taken in, and if it agrees, the account is reconciled.
    fn passed(&mut self, reads: &Reads, asked_at: Time, now: Time) -> Result<(), LiveError> {
        self.pass.under = None;
        self.pass.next = now + PASS;
        if let Some(chain) = &reads.chain {
            self.pass.chain_at = asked_at;
            self.pass.chain_due = false;
            if self.fresh && chain.proves() {
                self.first_holdings(reads, now)?;
            }
        }
        let settled = self.settled();
        let view = view_of(self.engine, &settled, &self.moved_at, self.fresh);
        let outputs = self.plan.gateway.reconciled(&view, reads, asked_at);
        self.outputs(outputs)?;
        self.wire_rows()?;
        if reads.open_complete() && reads.open_again.is_empty() && reads.open.is_empty() {
            self.pass.empty_asked_at = Some(asked_at);
        }
        if self.epoch().is_some() {
            let (snapshot, gaps) = reads.snapshot(self.engine.universe(), asked_at);
            for gap in gaps {
                tracing::warn!(gap, "a pass is not complete");
            }
            let at = self.now();
            self.deliver(at, AccountEvent::Snapshot(snapshot).into())?;
            self.pass.next = now + PASS_SOON;
        }
        if self.epoch().is_none() && reads.trades.complete && reads.open_complete() {
            self.plan.reconciled = Some(asked_at);
            let value = asked_at.nanos().to_string();
            let row = (b"at".as_slice(), Some(value.as_bytes()));
            self.plan.journal.rows(RECONCILED, [row].into_iter())?;
        }
        Ok(())
    }

    /// What the wallet holds when the first run begins: money that came in, and shares that are no strategy's.
    fn first_holdings(&mut self, reads: &Reads, now: Time) -> Result<(), LiveError> {
        let Some(chain) = &reads.chain else { return Ok(()) };
        self.fresh = false;
        let cash = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: chain.cash,
            shares: Default::default(),
        };
        self.deliver(now, Event::cash(cash))?;
        self.start = self.engine.manager().equity().now;
        for (id, shares) in &chain.shares {
            let Some(token) = self.engine.universe().token(id) else { continue };
            let Ok(micros) = i64::try_from(shares.micros()) else { continue };
            if micros > 0 {
                let code = Code::literal("held_at_first_start");
                let finding = Finding::Shares { token, micros, code };
                self.deliver(now, AccountEvent::Finding(finding).into())?;
            }
        }
        Ok(())
    }

    // ---- market data, requests, time ----

    fn rows(&mut self, items: &mut Vec<FeedItem>) -> Result<(), LiveError> {
        if items.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut rows: Vec<(Time, Time, MarketEvent)> = Vec::with_capacity(items.len());
        let mut proven = Vec::new();
        for item in items.drain(..) {
            match item {
                FeedItem::Market { received_at, venue_at, event } => {
                    rows.push((self.plan.clock.of_received(received_at), venue_at, event));
                }
                FeedItem::NewMarket(market) => {
                    if let (Some(created), Ok(condition)) =
                        (&self.plan.created, market.condition_id.parse())
                    {
                        let _ = created.try_send(condition);
                    }
                }
                FeedItem::Proven { token, .. } => proven.push(token.market()),
                FeedItem::Unverified { token, .. } => {
                    if let Some(market) = self.engine.universe().get(token.market()) {
                        tracing::warn!(market = %market.slug, "hashes or best prices of a book keep differing: it is no longer checked");
                    }
                }
            }
        }
        self.counts.rows += rows.len() as u64;
        if let Some((received, _, _)) = rows.last() {
            self.counts.last_row = Some(*received);
            // The first books of a connection say that it is up.
            self.check_link(now)?;
        }
        let mut events: Vec<(Time, Time, Event)> = rows
            .into_iter()
            .map(|(received, venue, event)| (received, venue, event.into()))
            .collect();
        if events.len() > BEHIND {
            self.counts.collapsed += collapse(&mut events, |row| &row.2);
        }
        for (received, venue_at, event) in events {
            self.plan.shared.metrics.received_to_engine.observe(received.until(now));
            self.handle(now, venue_at, event)?;
            while let Some(event) = self.queue.pop_front() {
                self.handle(now, now, event)?;
            }
        }
        for market in proven {
            if self.engine.states().get(market.index()).is_some_and(|state| state.trades()) {
                self.row(MarketEvent::Unverified { market, on: false })?;
            }
        }
        Ok(())
    }

    /// A row that did not come through the feed.
    fn row(&mut self, event: MarketEvent) -> Result<(), LiveError> {
        let at = self.now();
        self.deliver(at, event.into())
    }

    fn request(&mut self, request: Request) -> Result<(), LiveError> {
        match request {
            Request::List { market, reply } => {
                let listed = listing(self.engine, &market);
                if let Ok(key) = &listed {
                    self.row(MarketEvent::Listed { key: *key, market })?;
                }
                let _ = reply.send(listed);
            }
            Request::Delist { condition, reply } => {
                let gone = match self.engine.universe().key(&condition) {
                    None => true,
                    Some(market) if !self.engine.manager().flat(market) => false,
                    Some(market) => {
                        self.row(MarketEvent::Delisted { market })?;
                        true
                    }
                };
                let _ = reply.send(gone);
            }
            Request::State { condition, state } => self.state(&condition, state)?,
            Request::Control(event) => {
                let at = self.now();
                self.deliver(at, event.into())?;
            }
            Request::World(event) => {
                let at = self.now();
                self.deliver(at, (*event).into())?;
            }
            Request::Operator { event, durable } => self.operate(event, durable)?,
            Request::ReleaseMarket { name, durable } => match frozen(self.engine, &name) {
                Some(market) => self.operate(release(market), durable)?,
                None => drop(durable.send(Err(format!("no market {name} is frozen")))),
            },
            // Only the loop can end itself.
            Request::Stop(reply) => drop(reply),
            Request::Panic => panic!("as a test asked"),
        }
        Ok(())
    }

    fn operate(
        &mut self,
        event: ControlEvent,
        reply: oneshot::Sender<Result<(), String>>,
    ) -> Result<(), LiveError> {
        let at = self.now();
        self.deliver(at, event.into())?;
        self.unanswered.add(Some(&self.plan.journal), at, reply);
        Ok(())
    }

    fn state(&mut self, condition: &ConditionId, state: MarketState) -> Result<(), LiveError> {
        let Some(market) = self.engine.universe().key(condition) else { return Ok(()) };
        if self.engine.states().get(market.index()) != Some(&state) {
            self.row(MarketEvent::State { market, state })?;
        }
        Ok(())
    }

    /// Lets everything happen that is due now, and returns when something is due next.
    fn turn(&mut self) -> Result<Time, LiveError> {
        let now = self.now();
        self.plan.shared.beat(self.plan.clock.server().steady());
        while self.engine.next_wake() <= now {
            // What a restart finds overdue happens now: an event of long ago would set the engine's clock back.
            let at = self.engine.next_wake().max(self.engine.now());
            self.deliver(at, ControlEvent::Timer.into())?;
        }
        if now >= self.next_check {
            self.check_link(now)?;
            for market in old_proofs(self.engine, now, self.plan.max_proof_age) {
                self.row(MarketEvent::Unverified { market, on: true })?;
            }
            self.check_journal(now)?;
            self.unanswered.answer(Some(&self.plan.journal), now);
            self.check_pass(now);
            self.next_check = now + CHECK;
        }
        if now >= self.next_glance {
            self.glance(now);
            self.next_glance = now + GLANCE;
        }
        Ok(self.engine.next_wake().min(self.next_check).min(self.next_glance))
    }

    fn check_link(&mut self, at: Time) -> Result<(), LiveError> {
        let up = (self.plan.connections)().up > 0;
        if up != self.counts.up {
            self.counts.up = up;
            self.deliver(at, AccountEvent::Link { channel: Channel::Market, up }.into())?;
        }
        Ok(())
    }

    fn check_journal(&mut self, now: Time) -> Result<(), LiveError> {
        match check_journal(&mut self.plan.journal, self.engine, now)? {
            Kept::Same => Ok(()),
            Kept::Over(why) => Err(LiveError::JournalOver(why)),
            Kept::Events(events) => {
                for event in events {
                    self.deliver(now, event.into())?;
                }
                Ok(())
            }
        }
    }

    fn glance(&mut self, at: Time) {
        let feed = self.counts.glance(self.engine, (self.plan.connections)(), at, Span::ZERO);
        let decisions = self.decisions.last();
        let glance = look(self.engine, &self.plan.identity, at, feed, decisions);
        self.plan.shared.publish(glance);
    }

    /// Stops new orders, cancels everything, and waits until the venue's own list is empty.
    async fn end(
        mut self,
        reply: Option<oneshot::Sender<()>>,
        feed: &mut mpsc::Receiver<FeedItem>,
        items: &mut Vec<FeedItem>,
    ) -> Result<LiveEnded, LiveError> {
        let began = self.now();
        self.deliver(began, ControlEvent::Stop.into())?;
        self.cancel(Cancel::All);
        self.pass.next = began;
        let mut ended_at = None;
        let verified = loop {
            let now = self.now();
            let open = self.engine.manager().orders().open_count();
            if open == 0 {
                ended_at.get_or_insert(now);
            }
            // Empty counts if it was asked for after the last order had ended.
            let empty = self.pass.empty_asked_at.zip(ended_at);
            if empty.is_some_and(|(asked, ended)| asked >= ended) {
                break true;
            }
            if began.until(now) >= STOPPING {
                break false;
            }
            self.pass.next = self.pass.next.min(now);
            let due = self.turn()?;
            let wait = tokio::time::sleep(self.until(due));
            tokio::select! {
                biased;
                report = self.plan.reports.recv() => if let Some(report) = report {
                    self.report(report)?;
                },
                item = self.plan.user.recv() => if let Some(item) = item {
                    self.reports()?;
                    self.user(&item)?;
                },
                taken = feed.recv_many(items, TAKEN) => {
                    if taken == 0 {
                        tokio::time::sleep(self.until(due)).await;
                    }
                    self.rows(items)?;
                }
                () = wait => {}
            }
        };
        let left_open = self.engine.manager().orders().open_count();
        let at = self.now();
        self.glance(at);
        self.plan.journal.soft(self.engine, Time::MAX)?;
        let equity = self.engine.manager().equity().now;
        let fact = Fact::RunEnd { at, equity, open_orders: left_open as u64 };
        self.plan.journal.fact(at, &fact)?;
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
        // Trading is over. What is left to do has no deadline that the watchdog could know.
        self.plan.shared.rest();
        let state_hash = self.engine.state_hash();
        let state_hash = state_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let start = self.start;
        Ok(LiveEnded { left_open, verified_empty: verified, start, equity, state_hash })
    }
}

/// What a view needs beside the engine.
struct Settled {
    run_started_at: Time,
    normal_mode: bool,
    cancel_external: bool,
}

/// What the engine has, for the comparison with what was read. `unsettled`: cash may move although nothing of ours does.
fn view_of<'a>(
    engine: &'a Engine,
    plan: &Settled,
    moved_at: &BTreeMap<Token, Time>,
    unsettled: bool,
) -> View<'a> {
    let manager = engine.manager();
    let (orders, positions, ledger) = (manager.orders(), manager.positions(), manager.ledger());
    let mut view = View {
        ids: engine.universe(),
        orders: BTreeMap::new(),
        fills: BTreeMap::new(),
        run_started_at: plan.run_started_at,
        normal_mode: plan.normal_mode,
        cancel_external: plan.cancel_external,
        cash: ledger.balance(LedgerAccount::Cash),
        cash_tolerance: Usdc::ZERO,
        cash_moving: unsettled || !manager.state().conversions.is_empty(),
        shares: BTreeMap::new(),
        moving: BTreeSet::new(),
        moved_at: moved_at.clone(),
    };
    let mut estimated = 0;
    for order in orders.iter() {
        let matched = order.matched + order.failed;
        view.orders.insert(order.id, ViewOrder { state: order.state, matched });
        for (trade, fill) in order.all_fills() {
            view.fills.insert((trade, order.id), fill.status);
            estimated += i64::from(fill.fill.basis == Basis::Estimated);
            if !matches!(fill.status, TradeStatus::Confirmed | TradeStatus::Failed) {
                view.moving.insert(order.token);
                view.cash_moving = true;
            }
        }
        if order.state == OrderState::Unknown || order.reported.is_some_and(|r| r > matched) {
            view.moving.insert(order.token);
            view.cash_moving = true;
        }
    }
    view.cash_tolerance = Usdc::new(10 * estimated);
    for (_, token, holding) in positions.all() {
        *view.shares.entry(token).or_default() += holding.confirmed();
    }
    for (_, token, _, _) in positions.unsettled_sales() {
        view.moving.insert(token);
        view.cash_moving = true;
    }
    let converting = manager.state().conversions.iter().map(|(_, pending)| pending.market);
    for market in converting {
        view.moving.extend(polydesk_domain::Outcome::BOTH.map(|of| market.token(of)));
    }
    view
}
