//! Turns the end of a run into the report that is judged: the same for a backtest and for paper trading.

use std::collections::BTreeMap;

use polydesk_domain::{
    Code, ConditionId, MarketState, Opportunity, Outcome, Price, Side, StrategyId, Time,
    TradeStatus, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::LedgerAccount;
use polydesk_report::{
    Alarm, Band, Codes, CodesByStrategy, DataQuality, Extremes, Fall, Feed, MarkedFill,
    MarketFacts, MarketRebate, OpenHolding, OrderCounts, Run, SeenOpportunity, Spread, TapeFacts,
    Totals,
};
use polydesk_sim::Sim;
use polydesk_tape::{Certificate, Manifest, Times};

use crate::checks::checks;
use crate::recorder::{FillRow, Recording};
use crate::running::EquityPoint;

/// A run that is over.
pub struct Done<'a> {
    /// Its recording.
    pub recording: Recording,
    /// The engine at the end.
    pub engine: &'a Engine,
    /// The exchange at the end.
    pub sim: &'a Sim,
    /// Hash of the event log.
    pub log_sha256: String,
    /// Its lines.
    pub log_lines: u64,
    /// Equity at the start.
    pub start: Usdc,
}

/// Everything the seeds came to.
pub struct Draws {
    /// The exchange as it is set.
    pub as_set: Band,
    /// Slower, as set, faster; empty where it was not asked for.
    pub bands: Vec<Band>,
    /// The exchange as set with scaled delays, in the order of the factors.
    pub latency: Vec<Band>,
    /// The seed whose net is the median: the report's details are of this one.
    pub median: u64,
}

/// The few figures of a re-run.
pub struct OutcomeFacts {
    /// Equity at the end minus money at the start.
    pub net: Usdc,
    /// Fills that did not fail.
    pub fills: u64,
    /// Fees.
    pub fees: Usdc,
}

/// The few figures of a re-run.
pub fn outcome(recording: &Recording, engine: &Engine, start: Usdc) -> OutcomeFacts {
    let fills = recording.fills.iter().filter(|fill| fill.status != TradeStatus::Failed);
    OutcomeFacts {
        net: totals(engine).equity - start,
        fills: fills.count() as u64,
        fees: engine.manager().ledger().fees(),
    }
}

impl OutcomeFacts {
    /// The band of a run that was made once: every range is one value.
    pub fn alone(&self, round_trips: u64) -> Band {
        fn one<T: Copy>(value: T) -> Spread<T> {
            Spread { low: value, median: value, high: value }
        }
        Band {
            name: "as set".to_owned(),
            settings: String::new(),
            seeds: 1,
            net: one(self.net),
            fills: one(self.fills),
            round_trips: one(round_trips),
            fees: one(self.fees),
        }
    }
}

/// A tape's facts.
pub fn tape(manifest: &Manifest, certificate: &Certificate) -> TapeFacts {
    TapeFacts {
        name: manifest.name.clone(),
        content_sha256: manifest.content_sha256.clone(),
        source: manifest.source.clone(),
        licence: manifest.licence.clone(),
        rows: manifest.rows,
        span: manifest.span.map(|span| (span.first, span.last)),
        receive_times: manifest.times == Times::Received,
        synthetic: manifest.synthetic,
        certificate: certificate.render().lines().map(str::to_owned).collect(),
    }
}

/// The whole report of a run.
pub fn run(
    heading: &str,
    tapes: Vec<TapeFacts>,
    models: Vec<(String, String)>,
    done: Done<'_>,
    draws: Draws,
) -> Run {
    let Done { recording, engine, sim, log_sha256, log_lines, start } = done;
    let (orders, data) = (orders(engine, &recording), data(engine, &recording));
    let checks = checks(engine, sim, &recording.closed);
    Run {
        heading: heading.to_owned(),
        synthetic: tapes.iter().any(|tape| tape.synthetic),
        seed: draws.median,
        markets: markets(engine, sim),
        span: recording.span,
        rows: recording.rows,
        feed: Feed {
            median_ms: recording.feed.median.map(|span| span.as_millis()),
            p99_ms: recording.feed.p99.map(|span| span.as_millis()),
            received: recording.feed.received,
            not_later: recording.feed.not_later,
        },
        models,
        starting_cash: start,
        totals: totals(engine),
        fills: recording.fills.into_iter().map(fill).collect(),
        round_trips: recording.closed,
        open: open(engine),
        rebates: recording
            .rebates
            .into_iter()
            .map(|(market, amount)| MarketRebate { market, amount })
            .collect(),
        equity: recording.equity.into_iter().map(point).collect(),
        extremes: extremes(recording.extremes),
        alarms: recording.alarms.into_iter().map(alarm).collect(),
        alarms_left_out: recording.alarms_left_out,
        orders,
        codes: codes(engine, sim),
        opportunities: recording.opportunities.into_iter().map(seen).collect(),
        baskets: recording.baskets,
        data,
        checks,
        draws: draws.as_set,
        bands: draws.bands,
        latency: draws.latency,
        tapes,
        log_sha256,
        log_lines,
    }
}

fn markets(engine: &Engine, sim: &Sim) -> Vec<MarketFacts> {
    let universe = engine.universe();
    let mut facts = Vec::new();
    for key in universe.keys() {
        let market = universe.market(key);
        let yes_pays = match engine.states()[key.index()] {
            MarketState::Resolved(payout) => Some(payout.per_share(Outcome::Yes)),
            _ => None,
        };
        let rule = serde_json::to_value(sim.fill_rule(key)).unwrap_or_default();
        let mut assumed = market.assumed.clone();
        if let (delay, true) = sim.taker_delay(key) {
            assumed.push(format!("taker_delay applied: {delay}, from category and date"));
        }
        facts.push(MarketFacts {
            condition: market.condition,
            question: market.question.clone(),
            slug: market.slug.clone(),
            category: market.category.clone(),
            event: market.event.clone(),
            group: market.neg_risk.as_ref().map(|neg_risk| neg_risk.group.clone()),
            yes_pays,
            fill_rule: rule.as_str().unwrap_or_default().to_owned(),
            assumed,
        });
    }
    facts
}

fn totals(engine: &Engine) -> Totals {
    let ledger = engine.manager().ledger();
    let (cash, pending) =
        (ledger.balance(LedgerAccount::Cash), ledger.balance(LedgerAccount::Pending));
    let equity = engine.manager().equity().now;
    Totals {
        cash,
        pending,
        inventory_cost: ledger.balance(LedgerAccount::Inventory),
        inventory_mark: equity - cash - pending,
        realised: -ledger.balance(LedgerAccount::Realised),
        fees: ledger.fees(),
        rebates: -ledger.balance(LedgerAccount::Rebates),
        rewards: -ledger.balance(LedgerAccount::Rewards),
        equity,
        ledger_entries: ledger.entries(),
    }
}

fn fill(row: FillRow) -> MarkedFill {
    MarkedFill {
        at: row.at,
        matched_at: row.matched_at,
        record: row.fill,
        settlement: row.status,
        double_mid_matched: row.double_mid_matched,
        double_mid_known: row.double_mid_known,
        double_mid_later: row.double_mid_later,
    }
}

fn extremes(of: crate::running::Extremes) -> Extremes {
    Extremes {
        lowest: of.lowest,
        highest: of.highest,
        peak_locked: of.peak_locked,
        mean_locked: of.mean_locked,
        fall: of.fall.map(|fall| Fall {
            peak: fall.peak.0,
            peak_at: fall.peak.1,
            bottom: fall.bottom.0,
            bottom_at: fall.bottom.1,
            recovered: fall.recovered,
        }),
        observed: of.observed,
        exposed: of.exposed,
        worst_day: of.worst_day.map(|(day, change)| (Time::from_secs(day * 86_400), change)),
    }
}

fn alarm(alarm: crate::recorder::Alarm) -> Alarm {
    let crate::recorder::Alarm { at, kind, code, text } = alarm;
    Alarm { at, kind: kind.to_owned(), code, text }
}

fn point(point: EquityPoint) -> polydesk_report::EquityPoint {
    let EquityPoint { at, equity, locked, realised } = point;
    polydesk_report::EquityPoint { at, equity, locked, realised }
}

fn seen((strategy, opportunity): (StrategyId, Opportunity<ConditionId>)) -> SeenOpportunity {
    SeenOpportunity { strategy, opportunity }
}

fn open(engine: &Engine) -> Vec<OpenHolding> {
    let held = engine.manager().positions().all();
    held.map(|(strategy, token, holding)| {
        let shares = holding.held();
        let book = engine.books().get(token.market());
        let mark = match engine.states().get(token.market().index()) {
            Some(MarketState::Resolved(payout)) => payout.pay(token.outcome(), shares),
            _ => book.map_or(Usdc::ZERO, |book| {
                book.walk(token.outcome(), Side::Sell, Price::ZERO, shares).notional
            }),
        };
        let universe = engine.universe();
        OpenHolding {
            strategy,
            market: universe.market(token.market()).condition,
            token: universe.token_id(token),
            outcome: token.outcome(),
            shares,
            cost: holding.cost(),
            mark,
        }
    })
    .collect()
}

fn orders(engine: &Engine, recording: &Recording) -> Vec<OrderCounts> {
    let mut rows = Vec::new();
    for (strategy, _) in engine.skips() {
        let stats = recording.orders.get(&strategy).cloned().unwrap_or_default();
        rows.push(OrderCounts {
            strategy,
            signals: engine.emitted(strategy),
            placed: stats.placed,
            post_only: stats.post_only,
            touched: stats.touched,
            filled: stats.filled,
            waits_ms: stats.waits_ms,
        });
    }
    rows
}

fn by_strategy(counts: &BTreeMap<(StrategyId, Code), u64>) -> CodesByStrategy {
    let mut out = CodesByStrategy::new();
    for ((strategy, code), count) in counts {
        out.entry(*strategy).or_default().insert(*code, *count);
    }
    out
}

fn codes(engine: &Engine, sim: &Sim) -> Codes {
    let counts = engine.manager().counts();
    let skips = engine.skips().into_iter();
    Codes {
        skips: skips.map(|(strategy, codes)| (strategy, codes.into_iter().collect())).collect(),
        drops: by_strategy(engine.drops()),
        denials: by_strategy(&counts.denials),
        rejects: by_strategy(&counts.rejects),
        ends: by_strategy(&counts.ends),
        exit_waits: counts.exit_waits.clone(),
        anomalies: counts.anomalies.clone(),
        exchange: counters(sim),
    }
}

/// The exchange's counters as text, nested ones with dotted names.
fn counters(sim: &Sim) -> BTreeMap<String, String> {
    let counters = serde_json::to_value(sim.counters()).unwrap_or_default();
    let mut shown = BTreeMap::new();
    for (key, value) in counters.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::Object(inner) => {
                let dotted = |(code, n): (&String, &serde_json::Value)| {
                    (format!("{key}.{code}"), n.to_string())
                };
                shown.extend(inner.iter().map(dotted));
            }
            serde_json::Value::String(text) => drop(shown.insert(key.clone(), text.clone())),
            other => drop(shown.insert(key.clone(), other.to_string())),
        }
    }
    shown
}

fn data(engine: &Engine, recording: &Recording) -> DataQuality {
    let stats = engine.books().stats();
    let open = engine.states().iter().filter(|state| !matches!(state, MarketState::Resolved(_)));
    DataQuality {
        changes: stats.changes,
        no_ops: stats.no_ops,
        batches: stats.batches,
        crossed: stats.crossed,
        top_mismatches: stats.top_mismatches,
        inferred_ticks: stats.inferred_ticks,
        book_ticks: recording.book_ticks.0,
        usable_ticks: recording.book_ticks.1,
        unresolved_markets: open.count() as u64,
    }
}
