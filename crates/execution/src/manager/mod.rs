//! The order manager: what to do about what changed.
//!
//! Here is what it is made of; its handlers are in files by what calls for them. What is known lies in
//! [`State`]; the rest here is made of it, or counts for reports.

mod account;
mod baskets;
mod cash;
mod clock;
mod exits;
mod loops;
mod operator;
mod quotes;
mod schedule;
mod sending;
mod signal;
mod timer;
mod updates;

use std::collections::BTreeMap;

use polydesk_domain::{
    AskId, Blocker, Books, Cause, ClientOrderId, Code, Command, ConversionId, MarketKey,
    MarketState, NoteLevel, Outbox, Position, Reason, Record, RunStart, Scope, Shares, Side,
    SignalId, StrategyId, Time, Token, Universe, Usdc,
};

use crate::budget::Budget;
use crate::config::RiskLimits;
use crate::exit::ExitMemory;
use crate::gate::{Facts, GateMode};
use crate::state::{
    Budgets, ClosedLot, Entry, Equity, Holding, Ledger, LoadError, Order, Orders, PendingAsk,
    Positions, State, market_of,
};

/// What the manager may look at besides its own state.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Engine time.
    pub now: Time,
    /// All markets.
    pub universe: &'a Universe,
    /// Their books.
    pub books: &'a Books,
    /// Their states.
    pub states: &'a [MarketState],
}

/// How often what happened, by strategy and code.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Denials of the gate.
    pub denials: BTreeMap<(StrategyId, Code), u64>,
    /// Refusals of the venue.
    pub rejects: BTreeMap<(StrategyId, Code), u64>,
    /// Ways orders ended, by state.
    pub ends: BTreeMap<(StrategyId, Code), u64>,
    /// Anomalies by code: illegal transitions, unknown orders.
    pub anomalies: BTreeMap<Code, u64>,
    /// Exits that could not be made, by code.
    pub exit_waits: BTreeMap<Code, u64>,
    /// Orders sent.
    pub placed: u64,
    /// Cancels sent.
    pub cancels: u64,
}

/// The order manager.
pub struct Manager {
    pub(crate) state: State,
    /// What `state.limits` means.
    pub(crate) limits: RiskLimits,
    pub(crate) counts: Counts,
    /// Round trips that ended in this event and are not reported yet.
    pub(crate) closed: Vec<ClosedLot>,
    /// Equity as of the last mark.
    pub(crate) equity_now: Usdc,
    /// The run is over: nothing new leaves, not even exits.
    pub(crate) stopping: bool,
    /// Last executable price of each token in ten-thousandths, from a book that could be relied on, and when.
    pub(crate) marks: BTreeMap<Token, (u64, Time)>,
    /// What exits remember of the books of what is held: soft.
    pub(crate) exit_memory: BTreeMap<MarketKey, BTreeMap<(StrategyId, Token), ExitMemory>>,
    /// Markets in which something is held and whose book is not usable, since when, and whether operators
    /// know: soft.
    blind: BTreeMap<MarketKey, (Time, bool)>,
    schedule: schedule::Schedule,
    /// What the timer under way took out of the schedule.
    retaken: Vec<schedule::Due>,
}

impl Manager {
    /// With what stands in the way at the start; the gate is open once nothing does.
    pub fn new(
        run: u32,
        limits: RiskLimits,
        blockers: impl IntoIterator<Item = (Cause, Blocker)>,
    ) -> Manager {
        let budgets = Budgets {
            orders: Budget::new(limits.orders_per_second, limits.order_burst),
            cancels: Budget::new(limits.cancels_per_second, limits.cancel_burst),
        };
        let mut state = State::new(run, limits.raw().clone(), budgets);
        for (cause, blocker) in blockers {
            state.blockers.insert(cause, blocker);
        }
        Manager {
            state,
            limits,
            counts: Counts::default(),
            closed: Vec::new(),
            equity_now: Usdc::ZERO,
            stopping: false,
            marks: BTreeMap::new(),
            exit_memory: BTreeMap::new(),
            blind: BTreeMap::new(),
            schedule: schedule::Schedule::default(),
            retaken: Vec::new(),
        }
    }

    /// The run begins. It opens nothing, and closes what `start` names.
    pub fn start(&mut self, ctx: &Context<'_>, start: &RunStart, out: &mut Outbox) {
        // Limits that never change are an entry, too: the next start compares the files with them.
        self.state.limits.get_mut();
        for (cause, detail) in &start.blockers {
            match cause {
                Cause::NotReconciled if !self.state.blockers.contains_key(cause) => {
                    self.raise_not_reconciled(ctx, detail, out);
                }
                _ => self.block(ctx, *cause, detail.clone(), out),
            }
        }
        self.mark(ctx, out);
    }

    /// Takes up entries of an earlier run, or of this one: every market they name is listed.
    ///
    /// # Errors
    /// An entry that cannot be read, or limits that break a rule of this program.
    pub fn load(
        &mut self,
        entries: &[Entry],
        universe: &Universe,
        now: Time,
    ) -> Result<(), LoadError> {
        self.state.load(entries, universe)?;
        self.limits = RiskLimits::try_from(self.state.limits.get()).map_err(|rules| {
            LoadError::Entry { table: "limits", key: String::new(), detail: rules.join("; ") }
        })?;
        self.derive_schedule(now.max(self.state.latest()));
        Ok(())
    }

    /// Forgets which entries the last event changed.
    pub fn clear_changes(&mut self) {
        self.state.clear_changes();
    }

    /// A market was listed, listed again, or entered another state.
    pub fn on_market_changed(&mut self, ctx: &Context<'_>, key: MarketKey) {
        let Some(market) = ctx.universe.get(key) else { return };
        let state = ctx.states.get(key.index()).copied().unwrap_or(MarketState::Closed);
        self.state.market_changed(key, market, state);
    }

    /// Brings the sums of exposure up to date with what an event changed. Without it they are counted
    /// again from the entries whenever they are read.
    #[inline]
    pub fn refresh_sums(&mut self) {
        self.state.refresh_sums();
    }

    /// The last executable price of each token in ten-thousandths, and when it was seen: soft.
    pub fn marks(&self) -> impl Iterator<Item = (Token, (u64, Time))> {
        self.marks.iter().map(|(token, mark)| (*token, *mark))
    }

    /// Takes up soft marks.
    pub fn set_marks(&mut self, marks: impl IntoIterator<Item = (Token, (u64, Time))>) {
        self.marks = marks.into_iter().collect();
    }

    /// What exits remember of the books of what is held: soft.
    pub fn exit_memory(&self) -> impl Iterator<Item = (StrategyId, Token, &ExitMemory)> {
        let held = self.exit_memory.values().flatten();
        held.map(|((strategy, token), memory)| (*strategy, *token, memory))
    }

    /// Takes up what exits remembered.
    pub fn set_exit_memory(
        &mut self,
        memory: impl IntoIterator<Item = (StrategyId, Token, ExitMemory)>,
    ) {
        self.exit_memory.clear();
        for (strategy, token, memory) in memory {
            let market = self.exit_memory.entry(token.market()).or_default();
            market.insert((strategy, token), memory);
        }
    }

    /// Everything that is known.
    pub fn state(&self) -> &State {
        &self.state
    }
    /// The gate's mode in one word.
    pub fn mode(&self) -> GateMode {
        GateMode::of(&self.state)
    }
    /// Why it halted itself, if it did.
    pub fn halted(&self) -> Option<&str> {
        self.state.blockers.get(&Cause::Halted).map(|blocker| blocker.detail.as_str())
    }
    /// All orders.
    pub fn orders(&self) -> &Orders {
        &self.state.orders
    }
    /// All positions.
    pub fn positions(&self) -> &Positions {
        &self.state.positions
    }
    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }
    /// Counters by code.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
    /// Equity as of the last mark.
    pub fn equity(&self) -> Equity {
        let marks = self.state.equity.get();
        Equity { now: self.equity_now, high: marks.high, day_open: marks.day_open }
    }
    /// The limits in force.
    pub fn limits(&self) -> &RiskLimits {
        &self.limits
    }

    /// What a strategy holds of a token.
    pub fn position(&self, strategy: StrategyId, token: Token) -> Position {
        self.state.positions.position(strategy, token, self.reserved_for_sells(strategy, token))
    }

    /// Shares of a strategy that something under way may take: its open sells, its merges, and a redemption of
    /// the market, which takes what everybody holds.
    pub(crate) fn reserved_for_sells(&self, strategy: StrategyId, token: Token) -> Shares {
        let market = token.market();
        let sells = self.state.orders.open_in(market);
        let sells: Shares = sells
            .filter(|o| o.strategy == strategy && o.token == token)
            .map(Order::remaining_offer)
            .sum();
        let mut converting = Shares::ZERO;
        for pending in self.state.conversions.values().filter(|pending| pending.market == market) {
            match pending.takes() {
                Some(shares) if pending.strategy == strategy => converting += shares,
                Some(_) => {}
                None => {
                    let held = self.state.positions.get(strategy, token);
                    converting += held.map_or(Shares::ZERO, Holding::confirmed);
                }
            }
        }
        sells + converting
    }

    /// pUSD that is not reserved.
    pub fn free_cash(&self) -> Usdc {
        self.state.free_cash()
    }

    pub(crate) fn facts<'a>(&'a self, ctx: &Context<'a>) -> Facts<'a> {
        Facts {
            now: ctx.now,
            universe: ctx.universe,
            books: ctx.books,
            states: ctx.states,
            state: &self.state,
        }
    }

    pub(crate) fn deny(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        about: (Option<MarketKey>, Option<SignalId>),
        reason: Reason,
        out: &mut Outbox,
    ) {
        *self.counts.denials.entry((strategy, reason.code)).or_default() += 1;
        let (market, signal) = about;
        let market = market.map(|key| ctx.universe.market(key).condition);
        out.record(Record::Denied { strategy, market, signal, reason });
    }

    /// Sets a blocker, where it is not set yet.
    pub(crate) fn block(
        &mut self,
        ctx: &Context<'_>,
        cause: Cause,
        detail: String,
        out: &mut Outbox,
    ) {
        if self.state.blockers.contains_key(&cause) {
            return;
        }
        if let Some(market) = market_of(&cause) {
            if ctx.universe.get(market).is_none() {
                // No order can be placed there, and a restart could not read what it names.
                return self.unlisted(ctx, market, "a blocker", out);
            }
            self.state.uses(market, ctx.universe, ctx.states);
        }
        report_blocker(ctx, cause, true, &detail, out);
        let blocker = Blocker { since: ctx.now, detail, lost: None, epoch: 0 };
        self.state.blockers.insert(cause, blocker);
    }

    /// Something was reported of a market that is not listed: it cannot be booked there, so the account is
    /// not what is known here.
    pub(crate) fn unlisted(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        what: &str,
        out: &mut Outbox,
    ) {
        let text = format!("{what} names market {}, which is not listed", market.0);
        self.anomaly("unlisted_market", text, out);
        self.raise_not_reconciled(ctx, "a market is missing that the account names", out);
    }

    /// Clears a blocker, where it is set.
    pub(crate) fn unblock(&mut self, ctx: &Context<'_>, cause: Cause, why: &str, out: &mut Outbox) {
        if self.state.blockers.remove(&cause).is_some() {
            report_blocker(ctx, cause, false, why, out);
        }
    }

    /// Whether anything closes the gate for every order.
    pub(crate) fn closed_for_orders(&self) -> Option<&Cause> {
        let everywhere = |cause: &&Cause| cause.scope() == Scope::Orders && !cause.is_local();
        // The latest of them in order is the gravest: a kill comes last.
        self.state.blockers.keys().rev().find(everywhere)
    }

    /// Reports the round trips that ended in this event.
    pub(crate) fn report_closed(&mut self, ctx: &Context<'_>, out: &mut Outbox) {
        for closed in self.closed.drain(..) {
            out.record(Record::Closed(closed.record(ctx.universe)));
        }
    }

    /// How many signals a strategy emitted in this run, and questions all of them.
    pub fn counters_of(&self, strategy: StrategyId) -> (u32, u64, u32) {
        let counters = self.state.counters.get();
        let signals = self.state.emitted.get(&strategy).copied().unwrap_or(0);
        (counters.run, signals, counters.asks)
    }

    /// Notes how many signals a strategy emitted in this run.
    pub fn emitted(&mut self, strategy: StrategyId, signals: u64) {
        self.state.emitted.put(strategy, signals);
    }

    /// Whether a signal of another process is new.
    pub fn accept_signal(&mut self, id: SignalId) -> bool {
        let mut mark = self.state.signals.get(&id.producer).copied().unwrap_or_default();
        let new = mark.accept(id);
        if new {
            self.state.signals.insert(id.producer, mark);
        }
        new
    }

    /// Remembers something for a strategy, or forgets it.
    pub fn remember(&mut self, strategy: StrategyId, key: String, value: Option<Vec<u8>>) {
        match value {
            Some(value) => self.state.remember.put((strategy, key), value),
            None => drop(self.state.remember.remove(&(strategy, key))),
        }
    }

    /// A strategy asks a model.
    pub fn ask(&mut self, ctx: &Context<'_>, id: AskId, ask: PendingAsk, out: &mut Outbox) {
        self.state.counters.get_mut().asks = id.number();
        self.state.uses(ask.market, ctx.universe, ctx.states);
        self.state.asks.insert(id, ask);
        let PendingAsk { market, evidence_until, .. } = ask;
        out.command(Command::Ask { id, market, evidence_until });
    }

    /// A question was answered, one way or the other: who asked it.
    pub fn answered(&mut self, id: AskId) -> Option<StrategyId> {
        self.state.asks.remove(&id).map(|ask| ask.strategy)
    }

    /// Switches a strategy on or off. Off: its quotes and resting buys are pulled, exits of what it holds go on.
    pub fn on_switch(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        run: bool,
        out: &mut Outbox,
    ) {
        if run {
            self.state.off.remove(&strategy);
            return;
        }
        if !self.state.off.contains_key(&strategy) {
            self.state.off.insert(strategy, ctx.now);
        }
        let wanted: Vec<_> =
            self.state.quotes.keys().filter(|(owner, _)| *owner == strategy).copied().collect();
        for key in wanted {
            self.state.quotes.remove(&key);
            self.requote_one(ctx, key, out);
        }
        let buys = self.state.orders.open().filter(|order| {
            order.strategy == strategy && order.side == Side::Buy && order.tif.rests()
        });
        for id in buys.map(|order| order.id).collect::<Vec<_>>() {
            self.cancel(ctx.now, id, out);
        }
    }

    pub(crate) fn next_id(&mut self) -> ClientOrderId {
        let counters = self.state.counters.get_mut();
        counters.orders += 1;
        ClientOrderId::of_run(counters.run, counters.orders)
    }

    pub(crate) fn next_conversion(&mut self) -> ConversionId {
        ConversionId(self.next_id().0)
    }

    /// Whether a name was given away, in this run or an earlier one.
    fn named(&self, id: ClientOrderId) -> bool {
        let counters = self.state.counters.get();
        !id.is_external()
            && id.number() > 0
            && (id.run() < counters.run
                || (id.run() == counters.run && id.number() <= counters.orders))
    }

    pub(crate) fn anomaly(&mut self, code: &'static str, text: String, out: &mut Outbox) {
        *self.counts.anomalies.entry(Code::literal(code)).or_default() += 1;
        out.note(NoteLevel::Warning, code, text);
    }
}

fn report_blocker(ctx: &Context<'_>, cause: Cause, on: bool, detail: &str, out: &mut Outbox) {
    let ids = ctx.universe;
    let by_venue =
        cause.with_ids(|token| Some(ids.token_id(token)), |key| Some(ids.market(key).condition));
    if let Some(cause) = by_venue {
        out.record(Record::Blocker { cause, on, detail: detail.to_owned() });
    }
}
