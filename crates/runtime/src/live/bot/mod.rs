//! The engine's thread of live trading: events in, commands out to the lanes, reports back through the gateway.
//!
//! Here alone events get their time and number. An event is appended before the engine sees it, what it changed
//! afterwards, and the lane of orders flushes both before anything of it leaves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use polydesk_domain::{
    AccountEvent, Cash, Cause, ClientOrderId, Command, ConditionId, ControlEvent, Event, Market,
    MarketEvent, MarketKey, Outbox, Record, RunMode, RunStart, Span, Stamped, Time, Token, Usdc,
};
use polydesk_engine::Engine;
use polydesk_gateway::Gateway;
use polydesk_polymarket_api::ws::{FeedItem, UserFeed, UserItem};
use tokio::sync::mpsc;

use super::lanes::{Cancel, ChainJob, Read};
use super::orders::OrderRequest;
use super::passes::PassRequest;
use super::permit::Permit;
use super::report::Report;
use super::stops::{Step, Stops};
use crate::clock::EngineClock;
use crate::common::{Decisions, FeedCounts, TAKEN, Unanswered, first_time, take};
use crate::durable::{JournalError, Journaling};
use crate::glance::{Connections, Identity, Shared};
use crate::inbox::Request;
use crate::kill::Switch;
use crate::spin;
use troubles::Trouble;
use view::view_of;

mod commands;
mod reconciling;
mod reports;
mod serving;
mod trouble;
mod troubles;
mod view;

/// Between two passes of reads.
const PASS: Span = Span::secs(10);
/// Between two passes while the account is not reconciled.
const PASS_SOON: Span = Span::secs(1);
/// The first pass after orders of an earlier run were cancelled.
const LEAVING: Span = Span::secs(2);
/// A pass that is not answered for so long is given up.
const PASS_LOST: Span = Span::secs(60);
/// Between two reads of the chain.
const CHAIN: Span = Span::secs(60);
/// Trades are read from so long before the last agreeing pass.
const OVERLAP: Span = Span::secs(600);
/// Note of the engine: what differs between the account and a pass of reads.
const SNAPSHOT_DIFFERS: &str = "snapshot_differs";
/// Table of the journal: when a pass of reads last agreed.
pub(crate) const RECONCILED: &str = "reconciled";
/// Its row that says that what the wallet held before the first run is in the books.
pub(crate) const TAKEN_UP: &[u8] = b"taken_up";
/// Its key of the time, in nanoseconds.
pub(crate) const RECONCILED_AT: &[u8] = b"at";
/// Its key of the last block at which chain and ledger agreed.
pub(crate) const RECONCILED_BLOCK: &[u8] = b"block";

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
    /// What the wallet holds is not, or not wholly, in the books: no order has left yet.
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
    /// The last block at which chain and ledger agreed.
    pub agreed_block: Option<u64>,
    /// The end of the journal may be missing: nothing that is not in it is known to be nothing.
    pub lost_tail: bool,
    /// Orders that this bot did not place are cancelled.
    pub cancel_external: bool,
    /// Called once with the reason when nothing may leave any more: starts the kill ladder.
    pub halt: Box<dyn Fn(&str) + Send>,
    /// Lists the orders that may be at the venue, for the kill path.
    pub switch: Arc<Switch>,
    /// For rehearsals.
    pub stops: Stops,
    /// How long the thread looks for work before it parks; zero: not at all.
    pub spin: Duration,
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
            begun: false,
            read: 0,
            why: String::new(),
        },
        user_up: None,
        unbound: BTreeSet::new(),
        moved_at: BTreeMap::new(),
        fresh: plan.fresh,
        trouble: Trouble::default(),
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
        let plan = &bot.plan;
        spin::for_work(plan.spin, || {
            !(feed.is_empty()
                && plan.reports.is_empty()
                && plan.user.is_empty()
                && requests.is_empty())
        });
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
            item = bot.plan.user.recv(), if !bot.trouble.user_over => match item {
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
    /// The user channel was up once, or the run ends: passes are made, also while it is down.
    begun: bool,
    /// Passes that were read so far.
    read: u64,
    /// Why the last one did not make the account reconciled, for the operator.
    why: String,
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
    /// Since when the user channel is up.
    user_up: Option<Time>,
    /// Orders that are in their lane and have no hash yet, and of those the ones that are to be cancelled.
    unbound: BTreeSet<(ClientOrderId, bool)>,
    /// When something of ours last moved in a token.
    moved_at: BTreeMap<Token, Time>,
    fresh: bool,
    trouble: Trouble,
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
        self.resume_conversions();
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
        self.deliver_dated(at, at, event)
    }

    /// The same, of something that happened earlier.
    fn deliver_dated(&mut self, at: Time, then: Time, event: Event) -> Result<(), LiveError> {
        self.handle(at, then, event)?;
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
            if let Record::Note { code, text, .. } = &recorded.record
                && code.as_str() == SNAPSHOT_DIFFERS
            {
                self.pass.why.clone_from(text);
            }
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
}
