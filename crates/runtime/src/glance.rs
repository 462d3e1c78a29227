//! What can be seen of the engine from outside: built on the engine's thread a few times a second, swapped, and
//! read without a lock. Status, health and metrics read this and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use polydesk_domain::{ConditionId, Outcome, Price, Shares, Side, Span, StrategyId, Time, Usdc};
use polydesk_engine::Engine;
use polydesk_execution::LedgerAccount;
use serde::{Deserialize, Serialize};

use crate::decisions;
use crate::metrics::Metrics;
use polydesk_polymarket_api::RateLimits;

/// The most orders, positions and decisions shown.
const MOST: usize = 500;

/// Everything that is shown. Money in pUSD, prices in dollars a share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Glance {
    /// Engine time at which it was built.
    pub at: Time,
    /// `paper`.
    pub mode: String,
    /// Number of the run.
    pub run: u32,
    /// When the run began.
    pub started: Time,
    /// Program and version.
    pub program: String,
    /// SHA-256 of all settings.
    pub config_sha256: String,
    /// Why the gate is closed; empty: it is open.
    pub blockers: Vec<BlockerGlance>,
    /// Market data.
    pub feed: FeedGlance,
    /// Money.
    pub money: MoneyGlance,
    /// Use of the account's limits.
    pub risk: RiskGlance,
    /// Open orders, oldest first.
    pub orders: Vec<OrderGlance>,
    /// Orders that are not among them.
    pub orders_left_out: u64,
    /// What is held.
    pub positions: Vec<PositionGlance>,
    /// Positions that are not among them.
    pub positions_left_out: u64,
    /// Markets with a position, an open order or a quote.
    pub in_use: Vec<ConditionId>,
    /// Strategies with their counts.
    pub strategies: Vec<StrategyGlance>,
    /// The last decisions, newest last.
    pub decisions: Vec<DecisionGlance>,
}

/// A reason not to trade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockerGlance {
    /// Stable code.
    pub code: String,
    /// `entries`: new exposure only; `orders`: every order.
    pub stops: String,
    /// Since when.
    pub since: Time,
    /// Text for the operator.
    pub detail: String,
}

/// Market data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FeedGlance {
    /// Whether a connection is up.
    pub up: bool,
    /// Live connections.
    pub connections: u64,
    /// Connections lost so far.
    pub disconnects: u64,
    /// Milliseconds since the last row of market data; `None`: none yet.
    pub age_ms: Option<i64>,
    /// Rows so far.
    pub rows: u64,
    /// Rows that the engine did not get because later ones replaced them.
    pub collapsed: u64,
    /// Listed markets that accept orders.
    pub open_markets: u64,
    /// Of those: with a usable book.
    pub usable_books: u64,
    /// Of those: whose last proof is too old.
    pub unverified: u64,
    /// Latency added to orders for the feed and the way to the venue, in milliseconds.
    pub way_ms: i64,
}

/// The state of the market channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// Live ones.
    pub up: u64,
    /// Lost so far.
    pub lost: u64,
}

/// Money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MoneyGlance {
    /// pUSD that is final.
    pub cash: Usdc,
    /// Proceeds that are not final.
    pub pending: Usdc,
    /// Equity at executable depth.
    pub equity: Usdc,
    /// Equity minus equity at the start of the UTC day.
    pub day: Usdc,
    /// Highest equity.
    pub high: Usdc,
    /// Final profit and loss, fees included.
    pub realised: Usdc,
    /// Fees paid.
    pub fees: Usdc,
}

/// Use of the account's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RiskGlance {
    /// At risk at worst.
    pub account: Usdc,
    /// `risk.max_account_usd`.
    pub max_account: Usdc,
    /// Open orders.
    pub open_orders: u64,
    /// `risk.max_open_orders`.
    pub max_open_orders: u32,
    /// `risk.daily_loss_usd`.
    pub daily_loss: Usdc,
    /// `risk.max_drawdown_usd`.
    pub max_drawdown: Usdc,
}

/// An open order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderGlance {
    /// Our id.
    pub id: String,
    /// Owner.
    pub strategy: StrategyId,
    /// Slug of the market.
    pub market: String,
    /// Outcome of the token.
    pub outcome: Outcome,
    /// Buy or sell.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Shares matched so far.
    pub matched: Shares,
    /// State.
    pub state: String,
    /// Purpose.
    pub purpose: String,
    /// When it was decided.
    pub placed_at: Time,
}

/// A holding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PositionGlance {
    /// Owner.
    pub strategy: StrategyId,
    /// Slug of the market.
    pub market: String,
    /// Outcome of the token.
    pub outcome: Outcome,
    /// Shares, those not final included.
    pub shares: Shares,
    /// Paid, fees included.
    pub cost: Usdc,
    /// At executable depth; `None` where the book is not usable.
    pub mark: Option<Usdc>,
}

/// A strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrategyGlance {
    /// Its id.
    pub id: StrategyId,
    /// Signals emitted in this run.
    pub signals: u64,
    /// Candidates skipped, by code, most frequent first; at most ten.
    pub skips: Vec<(String, u64)>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionGlance {
    /// Engine time.
    pub at: Time,
    /// Kind of record.
    pub kind: String,
    /// The line.
    pub text: String,
}

impl Glance {
    /// Whether the gate lets new exposure through.
    pub fn open(&self) -> bool {
        self.blockers.is_empty()
    }

    /// How many positions there are, those that are not shown included.
    pub fn positions_in_all(&self) -> u64 {
        self.positions.len() as u64 + self.positions_left_out
    }
}

/// What the engine's thread shares with the rest of the process.
#[derive(Debug)]
pub struct Shared {
    glance: ArcSwap<Option<Glance>>,
    beat: AtomicU64,
    /// Counters and histograms.
    pub metrics: Metrics,
    /// The quotas of requests, once there is a client.
    pub limits: OnceLock<Arc<RateLimits>>,
}

impl Default for Shared {
    fn default() -> Shared {
        Shared {
            glance: ArcSwap::from_pointee(None),
            beat: AtomicU64::new(0),
            metrics: Metrics::default(),
            limits: OnceLock::new(),
        }
    }
}

impl Shared {
    /// The latest glance; `None` before the engine has started.
    pub fn glance(&self) -> Arc<Option<Glance>> {
        self.glance.load_full()
    }

    /// Puts a new one in its place.
    pub fn publish(&self, glance: Glance) {
        self.glance.store(Arc::new(Some(glance)));
    }

    /// The engine is alive at this steady time.
    pub fn beat(&self, steady: Time) {
        self.beat.store(u64::try_from(steady.nanos()).unwrap_or(0).max(1), Ordering::Release);
    }

    /// The engine has ended: no beat is expected any more.
    pub fn rest(&self) {
        self.beat.store(0, Ordering::Release);
    }

    /// Age of the last beat; `None` before the first.
    pub fn beat_age(&self, steady: Time) -> Option<Span> {
        match self.beat.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(Time::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)).until(steady)),
        }
    }
}

/// The facts of a process that its glance repeats.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `paper`.
    pub mode: &'static str,
    /// Number of the run.
    pub run: u32,
    /// When it began.
    pub started: Time,
    /// Program and version.
    pub program: String,
    /// SHA-256 of all settings.
    pub config_sha256: String,
}

/// Builds a glance of the engine.
pub fn look(
    engine: &Engine,
    identity: &Identity,
    at: Time,
    feed: FeedGlance,
    decisions: Vec<DecisionGlance>,
) -> Glance {
    let manager = engine.manager();
    let state = manager.state();
    let blockers = state.blockers.iter().map(|(cause, blocker)| BlockerGlance {
        code: cause.code().to_owned(),
        stops: match cause.scope() {
            polydesk_domain::Scope::Entries => "entries".to_owned(),
            polydesk_domain::Scope::Orders => "orders".to_owned(),
        },
        since: blocker.since,
        detail: decisions::clean(&blocker.detail),
    });
    let ledger = manager.ledger();
    let equity = manager.equity();
    let limits = manager.limits();
    let money = MoneyGlance {
        cash: ledger.balance(LedgerAccount::Cash),
        pending: ledger.balance(LedgerAccount::Pending),
        equity: equity.now,
        day: equity.now - equity.day_open,
        high: equity.high,
        realised: -ledger.balance(LedgerAccount::Realised),
        fees: ledger.fees(),
    };
    let open = manager.orders().open_count();
    let risk = RiskGlance {
        account: ledger.balance(LedgerAccount::Inventory) + state.reserved(),
        max_account: limits.max_account,
        open_orders: open as u64,
        max_open_orders: limits.max_open_orders,
        daily_loss: limits.daily_loss,
        max_drawdown: limits.max_drawdown,
    };
    let (positions, held) = positions(engine);
    Glance {
        at,
        mode: identity.mode.to_owned(),
        run: identity.run,
        started: identity.started,
        program: identity.program.clone(),
        config_sha256: identity.config_sha256.clone(),
        blockers: blockers.collect(),
        feed,
        money,
        risk,
        orders: orders(engine),
        orders_left_out: open.saturating_sub(MOST) as u64,
        positions,
        positions_left_out: held.saturating_sub(MOST) as u64,
        in_use: in_use(engine),
        strategies: strategies(engine),
        decisions,
    }
}

fn orders(engine: &Engine) -> Vec<OrderGlance> {
    let universe = engine.universe();
    let open = engine.manager().orders().open().take(MOST);
    open.map(|order| {
        let market = universe.market(order.token.market());
        OrderGlance {
            id: order.id.to_string(),
            strategy: order.strategy,
            market: decisions::name(&market.condition, universe),
            outcome: order.token.outcome(),
            side: order.side,
            price: order.price,
            matched: order.matched,
            state: format!("{:?}", order.state).to_lowercase(),
            purpose: order.purpose.name().to_owned(),
            placed_at: order.placed_at,
        }
    })
    .collect()
}

/// The first positions, and how many there are.
fn positions(engine: &Engine) -> (Vec<PositionGlance>, usize) {
    let universe = engine.universe();
    let mut all = 0;
    let mut shown = Vec::new();
    for (strategy, token, holding) in engine.manager().positions().all() {
        let shares = holding.held();
        if shares.is_zero() {
            continue;
        }
        all += 1;
        if shown.len() == MOST {
            continue;
        }
        let market = universe.market(token.market());
        let usable = engine.books().usable(token.market());
        let book = engine.books().get(token.market()).filter(|_| usable);
        let mark =
            book.map(|book| book.walk(token.outcome(), Side::Sell, Price::ZERO, shares).notional);
        shown.push(PositionGlance {
            strategy,
            market: decisions::name(&market.condition, universe),
            outcome: token.outcome(),
            shares,
            cost: holding.cost(),
            mark,
        });
    }
    (shown, all)
}

fn in_use(engine: &Engine) -> Vec<ConditionId> {
    let state = engine.manager().state();
    let held = state.positions.markets();
    let ordered = state.orders.open().map(|order| order.token.market());
    let quoted = state.quotes.iter().map(|((_, market), _)| *market);
    let mut keys: Vec<_> = held.chain(ordered).chain(quoted).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|key| engine.universe().market(key).condition).collect()
}

fn strategies(engine: &Engine) -> Vec<StrategyGlance> {
    let each = engine.skips().into_iter();
    each.map(|(id, codes)| {
        let mut skips: Vec<(String, u64)> =
            codes.into_iter().map(|(code, count)| (code.to_string(), count)).collect();
        skips.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        skips.truncate(10);
        StrategyGlance { id, signals: engine.emitted(id), skips }
    })
    .collect()
}
