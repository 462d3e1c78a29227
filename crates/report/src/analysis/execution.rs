//! How orders fared: sent, touched, filled, refused, and how long they waited.

use std::collections::BTreeMap;

use polydesk_domain::{Code, Role, StrategyId, Usdc};
use serde::Serialize;

use super::stats::{quantile, rounded};
use super::waterfall::saturated;
use crate::model::Run;

/// Orders and refusals of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Execution {
    /// By strategy.
    pub strategies: Vec<Orders>,
    /// Refusals, skips, drops and ends by code, most frequent first within each kind.
    pub codes: Vec<CodeCount>,
    /// Counters of the simulated exchange, by name.
    pub exchange: BTreeMap<String, String>,
    /// Fills that were reversed because their settlement failed.
    pub failed_settlements: usize,
}

/// Orders of one strategy.
#[derive(Debug, Clone, Serialize)]
pub struct Orders {
    /// Id of the strategy: `KIND`, or `KIND.NAME` for an instance.
    pub strategy: StrategyId,
    /// Signals emitted.
    pub signals: u64,
    /// Orders sent.
    pub placed: u64,
    /// Orders with at least one fill, in percent of those sent; `null` without orders.
    pub touched_percent: Option<f64>,
    /// Orders entirely filled, in percent of those sent; `null` without orders.
    pub filled_percent: Option<f64>,
    /// Post-only orders, in percent of those sent; `null` without orders.
    pub post_only_percent: Option<f64>,
    /// Median time from decision to first fill in milliseconds; `null` without such fills.
    pub wait_p50_ms: Option<f64>,
    /// The same time that 95 of 100 stay below.
    pub wait_p95_ms: Option<f64>,
    /// Maker fills that count.
    pub maker_fills: usize,
    /// Taker fills that count.
    pub taker_fills: usize,
    /// pUSD traded as maker.
    pub maker_notional: Usdc,
    /// pUSD traded as taker.
    pub taker_notional: Usdc,
}

/// How often something was refused, skipped or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeCount {
    /// `reject`, `denial`, `drop`, `skip`, `end`, `exit_wait`, `anomaly`.
    pub kind: &'static str,
    /// Strategy; `null` for counts of the whole run.
    pub strategy: Option<StrategyId>,
    /// Code of the event (`max_market`, `near_close`, …).
    pub code: Code,
    /// How often.
    pub count: u64,
}

pub(crate) fn execution(run: &Run) -> Execution {
    let mut strategies = Vec::new();
    for orders in &run.orders {
        let percent = |part: u64| {
            (orders.placed > 0).then(|| rounded(part as f64 * 100.0 / orders.placed as f64))
        };
        let mut waits: Vec<f64> = orders.waits_ms.iter().map(|ms| *ms as f64).collect();
        waits.sort_by(f64::total_cmp);
        let (maker_fills, maker_notional) = filled(run, orders.strategy, Role::Maker);
        let (taker_fills, taker_notional) = filled(run, orders.strategy, Role::Taker);
        strategies.push(Orders {
            strategy: orders.strategy,
            signals: orders.signals,
            placed: orders.placed,
            touched_percent: percent(orders.touched),
            filled_percent: percent(orders.filled),
            post_only_percent: percent(orders.post_only),
            wait_p50_ms: quantile(&waits, 0.5).map(rounded),
            wait_p95_ms: quantile(&waits, 0.95).map(rounded),
            maker_fills,
            taker_fills,
            maker_notional,
            taker_notional,
        });
    }
    Execution {
        strategies,
        codes: codes(run),
        exchange: run.codes.exchange.clone(),
        failed_settlements: run.fills.iter().filter(|fill| !fill.counts()).count(),
    }
}

fn filled(run: &Run, strategy: StrategyId, role: Role) -> (usize, Usdc) {
    let (mut count, mut notional) = (0, 0i128);
    for fill in &run.fills {
        if fill.record.strategy == strategy && fill.record.role == role && fill.counts() {
            count += 1;
            notional += i128::from(fill.record.fill.notional.micros());
        }
    }
    (count, saturated(notional))
}

fn codes(run: &Run) -> Vec<CodeCount> {
    let codes = &run.codes;
    let mut rows = Vec::new();
    let mut push = |kind, strategy: Option<StrategyId>, counts: &BTreeMap<Code, u64>| {
        for (code, count) in counts {
            rows.push(CodeCount { kind, strategy, code: *code, count: *count });
        }
    };
    for (kind, by_strategy) in [
        ("reject", &codes.rejects),
        ("denial", &codes.denials),
        ("drop", &codes.drops),
        ("skip", &codes.skips),
        ("end", &codes.ends),
    ] {
        for (strategy, counts) in by_strategy {
            push(kind, Some(*strategy), counts);
        }
    }
    push("exit_wait", None, &codes.exit_waits);
    push("anomaly", None, &codes.anomalies);
    // The kinds keep their order; a stable sort within each brings the frequent ones up.
    let order = ["reject", "denial", "drop", "anomaly", "exit_wait", "end", "skip"];
    let place = |kind: &str| order.iter().position(|other| *other == kind);
    rows.sort_by(|a, b| place(a.kind).cmp(&place(b.kind)).then(b.count.cmp(&a.count)));
    rows
}
