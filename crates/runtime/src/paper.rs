//! The engine's thread of paper trading: engine and simulated exchange on the live feed.
//!
//! The exchange sees every row when it is received; the engine sees the same rows afterwards, fewer where it is behind
//! ([`crate::collapse`]). A command meets the exchange's books later by the latency of the feed and the way to the
//! venue, because those books are late themselves. Keys of markets are assigned here, and here alone events get
//! their time and number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use polydesk_domain::{
    AccountEvent, Cash, CashKind, Cause, Channel, ConditionId, ControlEvent, Event, Market,
    MarketEvent, MarketKey, MarketState, Outbox, RunMode, RunStart, Shares, Span, Stamped, Time,
    Token, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::LedgerAccount;
use polydesk_polymarket_api::ws::FeedItem;
use polydesk_replay::{EventLog, Recorder, Recording, Step, Watch, leftovers};
use polydesk_sim::Sim;
use tokio::sync::{mpsc, oneshot};

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

/// How long settlements may take, in virtual time, before the report is made.
const SETTLING: Span = Span::secs(3_600);
/// In a longer silence of the feed no markout is read.
const SILENCE: Span = Span::secs(900);

/// What a run of paper trading needs besides engine and exchange.
pub struct Plan {
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
    /// Between two samples of equity.
    pub sample: Span,
    /// Age of the last proof from which on a book is unverified.
    pub max_proof_age: Span,
    /// Added to the latency of every command for the way to the venue.
    pub way: Span,
    /// Where events and changes are appended; `None`: nothing survives.
    pub journal: Option<Journaling>,
    /// How the account begins.
    pub account: Account,
    /// Why the gate is closed at the start, with a text for the operator.
    pub blockers: Vec<(Cause, String)>,
    /// Events that the start gives rise to: limits that are tighter now, and the like.
    pub first: Vec<ControlEvent>,
}

/// How the account begins.
pub enum Account {
    /// With the configured money.
    Fresh,
    /// As an earlier run left it; the engine has loaded it, and these markets with it.
    Resumed(Vec<(MarketKey, Arc<Market>)>),
}

/// Why a run ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// The event log.
    #[error("the event log cannot be written")]
    Log(#[from] std::io::Error),
    /// The journal.
    #[error("nothing can be journaled any more")]
    Journal(#[from] JournalError),
    /// The journal is over.
    #[error("{0}")]
    JournalOver(String),
}

/// Everything that is left when the run is over, settled in virtual time.
pub struct Ended {
    /// For the report.
    pub recording: Recording,
    /// Hash of the event log, and its lines.
    pub log: (String, u64),
    /// Orders that were still open when the time to end them was over.
    pub left_open: usize,
    /// Equity when the run began.
    pub start: Usdc,
    /// Hash of the engine's state before anything was settled for the report.
    pub state_hash: String,
}

/// Runs until a stop is asked for, or every sender is gone.
///
/// # Errors
/// See [`PaperError`].
pub async fn run(
    engine: &mut Engine,
    sim: &mut Sim,
    mut plan: Plan,
    mut feed: mpsc::Receiver<FeedItem>,
    mut requests: mpsc::Receiver<Request>,
) -> Result<Ended, PaperError> {
    let lag = sim.feed_latency(0);
    let way = plan.way;
    let account = core::mem::replace(&mut plan.account, Account::Fresh);
    let mut paper = Paper {
        step: Step::new(engine, sim).with_lag(lag, way),
        watch: Observer {
            recorder: Recorder::default(),
            log: EventLog::hash_only(),
            decisions: Decisions::new(Arc::clone(&plan.shared), plan.clock.clone()),
            journal: plan.journal.take(),
        },
        last_at: Time::MIN,
        next_sample: Time::MIN,
        next_glance: Time::MIN,
        next_check: Time::MIN,
        counts: FeedCounts::default(),
        pending: Vec::new(),
        unanswered: Unanswered::default(),
        plan,
    };
    let start = paper.begin(account)?;
    let mut items = Vec::with_capacity(TAKEN);
    let reply = loop {
        // Rows that came while the loop was busy are older than what it does next.
        take(&mut feed, &mut items);
        paper.rows(&mut items)?;
        let due = paper.turn()?;
        let wait = tokio::time::sleep(paper.until(due));
        // Requests are few and come first: a stop must not wait behind market data.
        tokio::select! {
            biased;
            request = requests.recv() => match request {
                Some(Request::Stop(reply)) => break Some(reply),
                Some(request) => {
                    take(&mut feed, &mut items);
                    paper.rows(&mut items)?;
                    paper.request(request)?;
                }
                None => break None,
            },
            taken = feed.recv_many(&mut items, TAKEN) => {
                if taken == 0 {
                    break None;
                }
                // Time passes for all that wait when these are handled.
                take(&mut feed, &mut items);
                paper.rows(&mut items)?;
            }
            () = wait => {}
        }
    };
    paper.end(reply, start, &mut feed, &mut items).await
}

/// The loop's own state.
struct Paper<'a> {
    step: Step<'a>,
    watch: Observer,
    plan: Plan,
    last_at: Time,
    next_sample: Time,
    next_glance: Time,
    next_check: Time,
    counts: FeedCounts,
    /// Rows that the exchange has seen and the engine has not.
    pending: Vec<Stamped>,
    /// Acts of persons that are in force and not yet durable.
    unanswered: Unanswered,
}

impl Paper<'_> {
    /// The account is funded, or taken over from an earlier run, and reconciled: the simulated exchange has no other
    /// source of truth. Returns the equity that the run begins with.
    fn begin(&mut self, account: Account) -> Result<Usdc, PaperError> {
        self.last_at = first_time(self.step.engine.now(), self.plan.clock.now());
        let at = self.last_at;
        self.step.advance(at, &mut self.watch)?;
        let blockers = core::mem::take(&mut self.plan.blockers);
        let begins = ControlEvent::Start(RunStart { mode: RunMode::Paper, blockers });
        match account {
            Account::Fresh => {
                let amount = self.step.sim.config().starting_cash;
                let deposit = Cash {
                    kind: CashKind::Deposit,
                    conversion: None,
                    strategy: None,
                    market: None,
                    amount,
                    shares: Default::default(),
                };
                self.deliver(at, Event::cash(deposit))?;
                self.deliver(at, begins.into())?;
            }
            Account::Resumed(listed) => {
                self.deliver(at, begins.into())?;
                self.resume(at, listed)?;
            }
        }
        for event in core::mem::take(&mut self.plan.first) {
            self.deliver(at, event.into())?;
        }
        let start = self.step.engine.manager().equity().now;
        self.watch.recorder.begin(at, start);
        let blockers = &self.step.engine.manager().state().blockers;
        let epoch = blockers.get(&Cause::NotReconciled).map_or(0, |blocker| blocker.epoch);
        let snapshot = self.step.sim.account_snapshot(epoch);
        self.deliver(at, AccountEvent::Snapshot(snapshot).into())?;
        self.next_sample = at + self.plan.sample;
        Ok(start)
    }

    /// Ends what rested and moved at the earlier run's exchange, and gives its account to this one.
    fn resume(
        &mut self,
        at: Time,
        listed: Vec<(MarketKey, Arc<Market>)>,
    ) -> Result<(), PaperError> {
        for (key, market) in listed {
            self.row(MarketEvent::Listed { key, market })?;
        }
        for event in leftovers(self.step.engine) {
            self.deliver(at, event)?;
        }
        let manager = self.step.engine.manager();
        let mut held: BTreeMap<Token, Shares> = BTreeMap::new();
        for (_, token, holding) in manager.positions().all() {
            *held.entry(token).or_default() += holding.held();
        }
        self.step.sim.adopt_account(manager.ledger().balance(LedgerAccount::Cash), held);
        Ok(())
    }

    /// Engine time, never before the last event.
    fn now(&mut self) -> Time {
        self.last_at = self.last_at.max(self.plan.clock.now());
        self.last_at
    }

    fn deliver(&mut self, at: Time, event: Event) -> Result<(), PaperError> {
        self.watch.decisions.begin();
        self.step.deliver(at, event, &mut self.watch)
    }

    /// Lets everything happen that is due now, and returns when something is due next.
    fn turn(&mut self) -> Result<Time, PaperError> {
        let now = self.now();
        self.plan.shared.beat(self.plan.clock.server().steady());
        loop {
            let exchange = self.step.next_due().unwrap_or(Time::MAX);
            let wake = self.step.engine.next_wake();
            let next = exchange.min(wake).min(self.next_sample);
            if next > now {
                break;
            }
            if exchange == next {
                self.watch.decisions.begin();
                self.step.advance(next, &mut self.watch)?;
            } else if wake == next {
                // What a restart finds overdue happens now: an event of long ago would set the engine's clock back.
                let at = next.max(self.step.engine.now());
                self.deliver(at, ControlEvent::Timer.into())?;
            } else {
                self.watch.recorder.tick(self.step.engine, now);
                self.next_sample = now + self.plan.sample;
            }
        }
        if now >= self.next_check {
            self.check_link(now)?;
            self.check_proofs(now)?;
            self.check_journal(now)?;
            self.unanswered.answer(self.watch.journal.as_ref(), now);
            self.next_check = now + CHECK;
        }
        if now >= self.next_glance {
            self.glance(now);
            self.next_glance = now + GLANCE;
        }
        let exchange = self.step.next_due().unwrap_or(Time::MAX);
        let due = exchange.min(self.step.engine.next_wake()).min(self.next_sample);
        Ok(due.min(self.next_check).min(self.next_glance))
    }

    fn until(&self, due: Time) -> std::time::Duration {
        let span = self.plan.clock.now().until(due).as_nanos().clamp(0, 1_000_000_000);
        std::time::Duration::from_nanos(span.unsigned_abs())
    }

    /// Market data: every row to the exchange, then what counts of them to the engine.
    fn rows(&mut self, items: &mut Vec<FeedItem>) -> Result<(), PaperError> {
        if items.is_empty() {
            return Ok(());
        }
        let mut proven = Vec::new();
        for item in items.drain(..) {
            match item {
                FeedItem::Market { received_at, venue_at, event } => {
                    let received = self.plan.clock.of_received(received_at);
                    let at = received.max(self.last_at);
                    self.last_at = at;
                    // The first books of a connection say that it is up: what is decided on them must not meet a link
                    // that is down. Asked at the row's time: rows that waited keep the times they came at.
                    self.check_link(at)?;
                    self.exchange(Stamped { at, venue_at, seq: 0, event: event.into() })?;
                    self.counts.rows += 1;
                    self.counts.last_row = Some(at);
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
                    let universe = self.step.engine.universe();
                    if let Some(market) = universe.get(token.market()) {
                        tracing::warn!(market = %market.slug, "hashes or best prices of a book keep differing: it is no longer checked");
                    }
                }
            }
        }
        self.hand_over()?;
        for market in proven {
            self.proven(market)?;
        }
        Ok(())
    }

    /// A quiet book is current. The engine hears of it whatever it believes: its next proof counts from now.
    fn proven(&mut self, market: MarketKey) -> Result<(), PaperError> {
        if self.step.engine.states().get(market.index()).is_some_and(|state| state.trades()) {
            self.row(MarketEvent::Unverified { market, on: false })?;
        }
        Ok(())
    }

    /// A row for the exchange; the engine gets it with [`Paper::hand_over`].
    fn exchange(&mut self, mut stamped: Stamped) -> Result<(), PaperError> {
        self.step.advance(stamped.at, &mut self.watch)?;
        self.watch.recorder.exchange(self.step.sim, stamped.at, SILENCE);
        stamped.seq = self.step.next_seq();
        self.step.market(&stamped);
        self.pending.push(stamped);
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), PaperError> {
        if self.pending.len() > BEHIND {
            self.counts.collapsed += collapse(&mut self.pending, |stamped| &stamped.event);
        }
        let now = self.now();
        let mut pending = core::mem::take(&mut self.pending);
        for stamped in pending.drain(..) {
            let metrics = &self.plan.shared.metrics;
            metrics.received_to_engine.observe(stamped.at.until(now));
            self.watch.decisions.begin();
            let seq = self.step.next_seq();
            let stamped = Stamped { at: now, seq, ..stamped };
            self.step.engine(&stamped, &mut self.watch)?;
        }
        self.pending = pending;
        Ok(())
    }

    /// A row that did not come through the feed.
    fn row(&mut self, event: MarketEvent) -> Result<(), PaperError> {
        let at = self.now();
        self.exchange(Stamped { at, venue_at: at, seq: 0, event: event.into() })?;
        self.hand_over()
    }

    fn request(&mut self, request: Request) -> Result<(), PaperError> {
        match request {
            Request::List { market, reply } => {
                let listed = self.list(market)?;
                let _ = reply.send(listed);
            }
            Request::Delist { condition, reply } => {
                let gone = self.delist(&condition)?;
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
            Request::ReleaseMarket { name, durable } => match frozen(self.step.engine, &name) {
                Some(market) => self.operate(release(market), durable)?,
                None => drop(durable.send(Err(format!("no market {name} is frozen")))),
            },
            // Only the loop can end itself.
            Request::Stop(reply) => drop(reply),
            Request::Panic => panic!("as a test asked"),
        }
        Ok(())
    }

    /// Executes an operator's command; it is answered when it is durable.
    fn operate(
        &mut self,
        event: ControlEvent,
        reply: oneshot::Sender<Result<(), String>>,
    ) -> Result<(), PaperError> {
        let at = self.now();
        self.deliver(at, event.into())?;
        self.unanswered.add(self.watch.journal.as_ref(), at, reply);
        Ok(())
    }

    fn list(&mut self, market: Arc<Market>) -> Result<Result<MarketKey, String>, PaperError> {
        let key = match listing(self.step.engine, &market) {
            Ok(key) => key,
            Err(rule) => return Ok(Err(rule)),
        };
        self.row(MarketEvent::Listed { key, market })?;
        Ok(Ok(key))
    }

    fn delist(&mut self, condition: &ConditionId) -> Result<bool, PaperError> {
        let Some(market) = self.step.engine.universe().key(condition) else { return Ok(true) };
        if !self.step.engine.manager().flat(market) {
            return Ok(false);
        }
        self.row(MarketEvent::Delisted { market })?;
        Ok(true)
    }

    fn state(&mut self, condition: &ConditionId, state: MarketState) -> Result<(), PaperError> {
        let Some(market) = self.step.engine.universe().key(condition) else { return Ok(()) };
        if self.step.engine.states().get(market.index()) != Some(&state) {
            self.row(MarketEvent::State { market, state })?;
        }
        Ok(())
    }

    fn check_link(&mut self, at: Time) -> Result<(), PaperError> {
        let up = (self.plan.connections)().up > 0;
        if up != self.counts.up {
            self.counts.up = up;
            self.step.advance(at, &mut self.watch)?;
            self.deliver(at, AccountEvent::Link { channel: Channel::Market, up }.into())?;
        }
        Ok(())
    }

    /// What the journal's state means for trading.
    fn check_journal(&mut self, now: Time) -> Result<(), PaperError> {
        let Some(journal) = &mut self.watch.journal else { return Ok(()) };
        match check_journal(journal, self.step.engine, now)? {
            Kept::Same => {}
            Kept::Over(why) => return Err(PaperError::JournalOver(why)),
            Kept::Events(events) => {
                for event in events {
                    self.deliver(now, event.into())?;
                }
            }
        }
        Ok(())
    }

    /// Reports books whose last proof is too old.
    fn check_proofs(&mut self, now: Time) -> Result<(), PaperError> {
        let keys = old_proofs(self.step.engine, now, self.plan.max_proof_age);
        for market in keys {
            self.row(MarketEvent::Unverified { market, on: true })?;
        }
        Ok(())
    }

    fn glance(&mut self, at: Time) {
        let engine = &*self.step.engine;
        let feed = self.counts.glance(engine, (self.plan.connections)(), at, self.plan.way);
        let decisions = self.watch.decisions.last();
        let glance = look(engine, &self.plan.identity, at, feed, decisions);
        self.plan.shared.publish(glance);
    }

    /// Orders are cancelled in real time; then everything settles in virtual time, for the report alone.
    async fn end(
        mut self,
        reply: Option<oneshot::Sender<()>>,
        start: Usdc,
        feed: &mut mpsc::Receiver<FeedItem>,
        items: &mut Vec<FeedItem>,
    ) -> Result<Ended, PaperError> {
        let began = self.now();
        self.deliver(began, ControlEvent::Stop.into())?;
        while self.step.engine.manager().orders().open_count() > 0
            && began.until(self.now()) < STOPPING
        {
            let due = self.turn()?;
            tokio::select! {
                biased;
                taken = feed.recv_many(items, TAKEN) => {
                    if taken == 0 {
                        tokio::time::sleep(self.until(due)).await;
                    }
                    self.rows(items)?;
                }
                () = tokio::time::sleep(self.until(due)) => {}
            }
        }
        let left_open = self.step.engine.manager().orders().open_count();
        let at = self.now();
        self.glance(at);
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
        if let Some(journal) = &mut self.watch.journal {
            journal.soft(self.step.engine, Time::MAX)?;
            let equity = self.step.engine.manager().equity().now;
            let fact = Fact::RunEnd { at, equity, open_orders: left_open as u64 };
            journal.fact(at, &fact)?;
        }
        // What follows happens for the report alone: the next run begins with the state as it is now.
        self.watch.journal = None;
        // Trading is over. What is left to do has no deadline that the watchdog could know.
        self.plan.shared.rest();
        let state_hash = self.step.engine.state_hash();
        let state_hash = state_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.step.finish(at, &mut self.watch)?;
        self.watch.recorder.over();
        self.settle(at + SETTLING)?;
        let recording = self.watch.recorder.finish(self.step.engine, self.counts.rows);
        let lines = self.watch.log.lines();
        let log = (self.watch.log.finish()?, lines);
        Ok(Ended { recording, log, left_open, start, state_hash })
    }

    /// Lets settlements come in without waiting for them.
    fn settle(&mut self, limit: Time) -> Result<(), PaperError> {
        let mut left = 10_000;
        while left > 0 {
            left -= 1;
            let due = self.step.next_due().unwrap_or(Time::MAX);
            let wake = self.step.engine.next_due().max(self.step.sim.now());
            let next = due.min(wake);
            if next >= limit {
                break;
            }
            if due == next {
                self.step.advance(next, &mut self.watch)?;
            } else {
                self.step.deliver(next, ControlEvent::Timer.into(), &mut self.watch)?;
            }
        }
        // A second later holdings are marked once more.
        let last = self.step.engine.now().max(self.step.sim.now()) + Span::secs(1);
        self.step.deliver(last, ControlEvent::Timer.into(), &mut self.watch)
    }
}

/// Records, counts and logs what the engine does.
struct Observer {
    recorder: Recorder,
    log: EventLog,
    decisions: Decisions,
    journal: Option<Journaling>,
}

impl Watch for Observer {
    type Error = PaperError;

    fn row(&mut self, engine: &Engine, stamped: &Stamped) -> Result<(), PaperError> {
        match &mut self.journal {
            Some(journal) => Ok(journal.input(engine, stamped)?),
            None => Ok(()),
        }
    }

    fn before(&mut self, engine: &Engine, stamped: &Stamped) -> Result<(), PaperError> {
        if let Some(journal) = &mut self.journal {
            journal.input(engine, stamped)?;
        }
        self.recorder.event(engine, stamped);
        Ok(self.log.event(engine.universe(), stamped)?)
    }

    fn handled(
        &mut self,
        engine: &Engine,
        stamped: &Stamped,
        out: &Outbox,
    ) -> Result<(), PaperError> {
        self.decisions.shared.metrics.events.fetch_add(1, Ordering::Relaxed);
        if let Some(journal) = &mut self.journal {
            journal.output(engine, stamped.at, out)?;
        }
        Ok(())
    }

    fn after(
        &mut self,
        engine: &Engine,
        sim: &Sim,
        at: Time,
        out: &Outbox,
    ) -> Result<(), PaperError> {
        let universe = engine.universe();
        if !out.commands.is_empty() {
            self.decisions.decided();
        }
        for recorded in &out.records {
            self.recorder.record(sim, recorded);
            self.log.record(recorded)?;
            self.decisions.record(engine, recorded);
        }
        for command in &out.commands {
            self.log.command(universe, at, command)?;
        }
        Ok(())
    }
}
