//! Facts of the record log that are no record of the engine: what an audit, a tax return or a later database needs
//! beside them. Markets and tokens are named by the venue's ids.

use std::collections::BTreeSet;
use std::sync::Arc;

use polydesk_domain::{
    AccountEvent, CashKind, ConditionId, ControlEvent, Event, Market, MarketEvent, NoteLevel,
    OperatorCommand, Outbox, Record, RunMode, Shares, Stamped, StrategyId, Time, TokenId, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::LedgerAccount;
use serde::Serialize;

use crate::glance::Identity;

/// A row of the record log beside the engine's records.
#[derive(Debug, Serialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A run began.
    RunStart {
        /// Engine time.
        at: Time,
        /// Its number.
        run: u32,
        /// How it trades.
        mode: RunMode,
        /// Program and version.
        program: String,
        /// SHA-256 of all settings.
        config_sha256: String,
    },
    /// A run ended by itself.
    RunEnd {
        /// Engine time.
        at: Time,
        /// Equity at executable depth.
        equity: Usdc,
        /// Orders left open.
        open_orders: u64,
    },
    /// The facts of a market: at its first order of a run, and when they change after it.
    Market {
        /// Engine time.
        at: Time,
        /// Everything that is known of it.
        market: Arc<Market>,
    },
    /// Money moved without an order.
    Cash {
        /// Engine time.
        at: Time,
        /// What moved it.
        kind: CashKind,
        /// The strategy it is booked to, if any.
        strategy: Option<StrategyId>,
        /// The market, if any.
        market: Option<ConditionId>,
        /// Change of our pUSD.
        amount: Usdc,
        /// Shares of YES and NO that appeared or went.
        shares: [Shares; 2],
    },
    /// Parameters that apply from now on.
    Params {
        /// Engine time.
        at: Time,
        /// The strategy.
        strategy: StrategyId,
        /// Its section.
        toml: Arc<str>,
    },
    /// Limits that apply from now on.
    Limits {
        /// Engine time.
        at: Time,
        /// The section `risk`.
        toml: Arc<str>,
    },
    /// What an operator ordered.
    Operator {
        /// Engine time.
        at: Time,
        /// Author.
        by: String,
        /// Reason.
        why: String,
        /// The command by the venue's ids.
        command: Option<OperatorCommand<TokenId, ConditionId>>,
    },
    /// The first mark of a UTC day.
    DayMark {
        /// Engine time.
        at: Time,
        /// Equity at executable depth.
        equity: Usdc,
        /// Of that: holdings at depth minus their cost.
        unrealised: Usdc,
    },
    /// Something that somebody should know.
    Alert {
        /// Engine time.
        at: Time,
        /// Urgency.
        level: NoteLevel,
        /// The text.
        text: String,
    },
}

/// Derives facts from what goes through the engine's thread.
#[derive(Debug, Default)]
pub struct Deriver {
    /// Markets that the log knows from this run.
    noted: BTreeSet<ConditionId>,
    /// The day of the last mark, in days since 1970.
    day: Option<i64>,
}

impl Deriver {
    /// Of an event, before the engine handles it.
    pub fn event(&self, engine: &Engine, identity: &Identity, stamped: &Stamped) -> Option<Fact> {
        let (at, universe) = (stamped.at, engine.universe());
        Some(match &stamped.event {
            Event::Account(event) => match event.as_ref() {
                AccountEvent::Cash(cash) => Fact::Cash {
                    at,
                    kind: cash.kind,
                    strategy: cash.strategy,
                    market: cash.market.map(|key| universe.market(key).condition),
                    amount: cash.amount,
                    shares: cash.shares,
                },
                _ => return None,
            },
            Event::Control(event) => match event.as_ref() {
                ControlEvent::Start(start) => Fact::RunStart {
                    at,
                    run: identity.run,
                    mode: start.mode,
                    program: identity.program.clone(),
                    config_sha256: identity.config_sha256.clone(),
                },
                ControlEvent::Params { strategy, toml } => {
                    Fact::Params { at, strategy: *strategy, toml: Arc::clone(toml) }
                }
                ControlEvent::Limits { toml } => Fact::Limits { at, toml: Arc::clone(toml) },
                ControlEvent::Operator(operator) => Fact::Operator {
                    at,
                    by: operator.by.clone(),
                    why: operator.why.clone(),
                    command: operator.command.with_ids(
                        |token| universe.get(token.market()).map(|_| universe.token_id(token)),
                        |key| universe.get(key).map(|market| market.condition),
                    ),
                },
                _ => return None,
            },
            Event::Market(MarketEvent::Listed { market, .. })
                if self.noted.contains(&market.condition) =>
            {
                Fact::Market { at, market: Arc::clone(market) }
            }
            _ => return None,
        })
    }

    /// Of the output of an event: the markets of first orders.
    pub fn output(&mut self, engine: &Engine, at: Time, out: &Outbox) -> Vec<Fact> {
        let universe = engine.universe();
        let mut facts = Vec::new();
        for recorded in &out.records {
            if let Record::Placed(order) = &recorded.record
                && self.noted.insert(order.market)
                && let Some(key) = universe.key(&order.market)
            {
                facts.push(Fact::Market { at, market: Arc::clone(universe.market(key)) });
            }
        }
        facts
    }

    /// The mark of a day that has begun.
    pub fn day(&mut self, engine: &Engine, at: Time) -> Option<Fact> {
        let day = at.nanos().div_euclid(86_400_000_000_000);
        if self.day.replace(day) == Some(day) {
            return None;
        }
        let manager = engine.manager();
        let ledger = manager.ledger();
        let equity = manager.equity().now;
        let settled = ledger.balance(LedgerAccount::Cash) + ledger.balance(LedgerAccount::Pending);
        let unrealised = equity - settled - ledger.balance(LedgerAccount::Inventory);
        Some(Fact::DayMark { at, equity, unrealised })
    }
}
