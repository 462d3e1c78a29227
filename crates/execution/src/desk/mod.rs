//! The desk: everything execution knows, and what it does on each event.
//!
//! Here is what it is made of; its deeds are in files by what calls for them.

mod cash;
mod news;
mod operator;
mod sending;
mod signal;
mod timer;

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    Books, ClientOrderId, MarketKey, MarketState, Payout, Position, Conversion, Shares, StrategyId,
    Time, Token, Universe, Usdc,
};
use polydesk_signals::Reason;

use crate::budget::Budget;
use crate::config::Limits;
use crate::gate::{Equity, Facts, Mode};
use crate::latches::Latches;
use crate::ledger::{Account, Ledger};
use crate::orders::{Order, Orders};
use crate::plans::{Plan, PlanEnd};
use crate::positions::{ClosedTrade, Positions};
use crate::quotes::Desired;

pub(crate) use cash::splits;

/// What execution may look at besides its own state.
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
    pub denials: BTreeMap<(StrategyId, &'static str), u64>,
    /// Refusals of the venue.
    pub rejects: BTreeMap<(StrategyId, &'static str), u64>,
    /// Ways orders ended, by state.
    pub ends: BTreeMap<(StrategyId, &'static str), u64>,
    /// Things that should not happen: illegal transitions, foreign trades.
    pub oddities: BTreeMap<&'static str, u64>,
    /// Exits that could not be made, by code.
    pub exit_waits: BTreeMap<&'static str, u64>,
    /// Orders sent.
    pub placed: u64,
    /// Cancels sent.
    pub cancels: u64,
}

/// A split, merge or redemption under way.
#[derive(Debug, Clone, Copy)]
pub struct SetPending {
    /// For whom.
    pub strategy: StrategyId,
    /// Where.
    pub market: MarketKey,
    /// What.
    pub action: Conversion,
    /// For which plan.
    pub plan: Option<u64>,
    /// Worth of YES when it was asked for, to share out the cost of a split.
    pub yes_units: u16,
}

/// Execution.
pub struct Execution {
    pub(crate) limits: Limits,
    pub(crate) mode: Mode,
    pub(crate) orders: Orders,
    pub(crate) positions: Positions,
    pub(crate) ledger: Ledger,
    pub(crate) plans: BTreeMap<u64, Plan>,
    pub(crate) plan_ends: Vec<PlanEnd>,
    pub(crate) next_plan: u64,
    pub(crate) desired: BTreeMap<(StrategyId, MarketKey), Desired>,
    pub(crate) requote: BTreeSet<(StrategyId, MarketKey)>,
    pub(crate) sets: BTreeMap<ClientOrderId, SetPending>,
    pub(crate) resolved: BTreeMap<MarketKey, Payout>,
    pub(crate) counts: Counts,
    pub(crate) closed: Vec<ClosedTrade>,
    order_budget: Budget,
    cancel_budget: Budget,
    next_order: u64,
    equity: Equity,
    equity_day: Option<i64>,
    latches: Latches,
    halted: Option<String>,
    /// The run is over: nothing new leaves, not even exits.
    pub(crate) stopping: bool,
    /// Last executable price of each token, in ten-thousandths, from a book that could be relied on.
    marks: BTreeMap<Token, u64>,
}

impl Execution {
    /// Not ready until [`Execution::start`].
    pub fn new(limits: Limits) -> Execution {
        Execution {
            mode: Mode::NotReady,
            order_budget: Budget::new(limits.orders_per_second, limits.order_burst),
            cancel_budget: Budget::new(limits.cancels_per_second, limits.cancel_burst),
            limits,
            orders: Orders::default(),
            positions: Positions::default(),
            ledger: Ledger::default(),
            plans: BTreeMap::new(),
            plan_ends: Vec::new(),
            next_plan: 0,
            desired: BTreeMap::new(),
            requote: BTreeSet::new(),
            sets: BTreeMap::new(),
            resolved: BTreeMap::new(),
            counts: Counts::default(),
            closed: Vec::new(),
            next_order: 0,
            equity: Equity::default(),
            equity_day: None,
            latches: Latches::default(),
            halted: None,
            stopping: false,
            marks: BTreeMap::new(),
        }
    }

    /// Everything is reconciled: the gate opens.
    pub fn start(&mut self, ctx: &Context<'_>) {
        if self.mode == Mode::NotReady {
            self.mode = Mode::Running;
        }
        self.mark(ctx);
    }

    /// The gate's mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }
    /// Why it halted itself, if it did.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }
    /// All orders.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }
    /// All positions.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }
    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
    /// Counters by code.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
    /// Equity as of the last mark.
    pub fn equity(&self) -> Equity {
        self.equity
    }
    /// Limits of loss that are broken and closed the gate.
    pub fn latches(&self) -> Latches {
        self.latches
    }
    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
    /// Running plans.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values()
    }
    /// Plans that ended since the last call.
    pub fn take_plan_ends(&mut self) -> Vec<PlanEnd> {
        core::mem::take(&mut self.plan_ends)
    }
    /// Round trips finished since the last call.
    pub fn take_closed(&mut self) -> Vec<ClosedTrade> {
        core::mem::take(&mut self.closed)
    }

    /// What a strategy holds of a token.
    pub fn position(&self, strategy: StrategyId, token: Token) -> Position {
        self.positions.position(strategy, token, self.offered(strategy, token))
    }

    /// Shares that a strategy's open sells may take.
    pub(crate) fn offered(&self, strategy: StrategyId, token: Token) -> Shares {
        let sells = self.orders.open_in(token.market());
        sells
            .filter(|o| o.strategy == strategy && o.token == token)
            .map(Order::remaining_offer)
            .sum()
    }

    /// pUSD that nothing has a claim on.
    pub fn free_cash(&self) -> Usdc {
        let reserved: Usdc = self.orders.open().map(Order::remaining_cost).sum();
        let splitting: Usdc = splits(&self.sets).map(|(_, _, cost)| cost).sum();
        self.ledger.balance(Account::Cash) - reserved - splitting
    }

    pub(crate) fn facts<'a>(&'a self, ctx: &Context<'a>) -> Facts<'a> {
        Facts {
            now: ctx.now,
            mode: self.mode,
            universe: ctx.universe,
            books: ctx.books,
            states: ctx.states,
            orders: &self.orders,
            positions: &self.positions,
            ledger: &self.ledger,
            sets: &self.sets,
            equity: self.equity,
            latches: self.latches,
        }
    }

    pub(crate) fn deny(&mut self, strategy: StrategyId, reason: Reason) {
        *self.counts.denials.entry((strategy, reason.code)).or_default() += 1;
    }

    /// Whether a name was given away in this run.
    fn named(&self, id: ClientOrderId) -> bool {
        (1..=self.next_order).contains(&id.0)
    }

    pub(crate) fn next_id(&mut self) -> ClientOrderId {
        self.next_order += 1;
        ClientOrderId(self.next_order)
    }
}
