//! Opportunities by kind and outcome, the best ones, and the baskets that were tried.

use std::collections::BTreeMap;

use polydesk_domain::{BasketKind, Code, Shares, Span, StrategyId, Time, Usdc};
use serde::Serialize;

use super::waterfall::saturated;
use crate::model::{Run, SeenOpportunity};

/// Opportunities shown one by one.
const SHOWN: usize = 20;

/// Spans below these many milliseconds fall into one bin each; the last bin has no end.
const BINS_MS: [(i64, &str); 5] =
    [(10, "< 10 ms"), (100, "< 100 ms"), (1_000, "< 1 s"), (10_000, "< 10 s"), (60_000, "< 60 s")];

/// The opportunities of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Opportunities {
    /// By strategy, kind and outcome.
    pub groups: Vec<OpportunityGroup>,
    /// The best ones by edge after fees, then by gross edge.
    pub best: Vec<SeenOpportunity>,
    /// How long they lived.
    pub lifetimes: Vec<Lifetime>,
    /// Baskets by kind and end.
    pub baskets: Vec<BasketGroup>,
}

/// Opportunities of one kind and outcome.
#[derive(Debug, Clone, Serialize)]
pub struct OpportunityGroup {
    /// Id of the strategy: `KIND`, or `KIND.NAME` for an instance.
    pub strategy: StrategyId,
    /// Kind of basket.
    pub kind: BasketKind,
    /// `signalled`, or the code of why not.
    pub outcome: Code,
    /// How many.
    pub count: usize,
    /// Best edge after fees over the depth, in pUSD.
    pub best_edge: Usdc,
    /// Sum of the best edges, in pUSD: the profit of perfect capture.
    pub sum_edge: Usdc,
    /// Sum of their lifetimes.
    pub lifetime: Span,
    /// Signals emitted.
    pub signals: u64,
}

/// Opportunities by lifetime.
#[derive(Debug, Clone, Serialize)]
pub struct Lifetime {
    /// `< 10 ms` to `60 s and more`.
    pub bin: &'static str,
    /// How many.
    pub count: usize,
}

/// Baskets of one kind and end.
#[derive(Debug, Clone, Serialize)]
pub struct BasketGroup {
    /// Id of the strategy: `KIND`, or `KIND.NAME` for an instance.
    pub strategy: StrategyId,
    /// Kind of basket.
    pub kind: BasketKind,
    /// How they ended.
    pub code: Code,
    /// How many.
    pub count: usize,
    /// Edge expected at the start, in pUSD.
    pub expected: Usdc,
    /// Complete sets aimed at, of all together.
    pub wanted: Shares,
    /// Complete sets reached, of all together.
    pub reached: Shares,
    /// When the first one started.
    pub first: Time,
}

pub(crate) fn opportunities(run: &Run) -> Opportunities {
    Opportunities {
        groups: groups(&run.opportunities),
        best: best(&run.opportunities),
        lifetimes: lifetimes(&run.opportunities),
        baskets: baskets(run),
    }
}

fn best(seen: &[SeenOpportunity]) -> Vec<SeenOpportunity> {
    let mut best: Vec<&SeenOpportunity> = seen.iter().collect();
    best.sort_by(|a, b| {
        let (a, b) = (&a.opportunity, &b.opportunity);
        (b.best_edge, b.best_gross_units, a.started).cmp(&(
            a.best_edge,
            a.best_gross_units,
            b.started,
        ))
    });
    best.into_iter().take(SHOWN).cloned().collect()
}

fn groups(seen: &[SeenOpportunity]) -> Vec<OpportunityGroup> {
    // Kinds by their names: equal rows of a table stand in the order of their words.
    let mut groups = BTreeMap::<(StrategyId, &str, Code), OpportunityGroup>::new();
    for SeenOpportunity { strategy, opportunity } in seen {
        let (kind, outcome) = (opportunity.kind, opportunity.outcome.code);
        let group = groups.entry((*strategy, kind.name(), outcome)).or_insert(OpportunityGroup {
            strategy: *strategy,
            kind,
            outcome,
            count: 0,
            best_edge: opportunity.best_edge,
            sum_edge: Usdc::ZERO,
            lifetime: Span::ZERO,
            signals: 0,
        });
        group.count += 1;
        group.best_edge = group.best_edge.max(opportunity.best_edge);
        group.sum_edge = added(group.sum_edge, opportunity.best_edge);
        group.lifetime = group.lifetime + opportunity.started.until(opportunity.ended);
        group.signals += u64::from(opportunity.signals);
    }
    let mut rows: Vec<OpportunityGroup> = groups.into_values().collect();
    rows.sort_by(|a, b| b.best_edge.cmp(&a.best_edge).then(b.count.cmp(&a.count)));
    rows
}

fn added(a: Usdc, b: Usdc) -> Usdc {
    saturated(i128::from(a.micros()) + i128::from(b.micros()))
}

fn lifetimes(seen: &[SeenOpportunity]) -> Vec<Lifetime> {
    let lived =
        |seen: &SeenOpportunity| seen.opportunity.started.until(seen.opportunity.ended).as_millis();
    let lived: Vec<i64> = seen.iter().map(lived).collect();
    binned(&lived).into_iter().map(|(bin, count)| Lifetime { bin, count }).collect()
}

/// How many spans, in milliseconds, fall into each bin.
pub(crate) fn binned(spans_ms: &[i64]) -> Vec<(&'static str, usize)> {
    let mut counts = [0usize; BINS_MS.len() + 1];
    for span in spans_ms {
        let bin = BINS_MS.iter().position(|(below, _)| span < below);
        counts[bin.unwrap_or(BINS_MS.len())] += 1;
    }
    let names = BINS_MS.iter().map(|(_, name)| *name).chain(["60 s and more"]);
    names.zip(counts).collect()
}

fn baskets(run: &Run) -> Vec<BasketGroup> {
    let mut groups = BTreeMap::<(StrategyId, &str, Code), BasketGroup>::new();
    for end in &run.baskets {
        let key = (end.strategy, end.kind.name(), end.code);
        let group = groups.entry(key).or_insert(BasketGroup {
            strategy: end.strategy,
            kind: end.kind,
            code: end.code,
            count: 0,
            expected: Usdc::ZERO,
            wanted: Shares::ZERO,
            reached: Shares::ZERO,
            first: end.started,
        });
        group.count += 1;
        group.expected = added(group.expected, end.expected);
        let add = |a: Shares, b: Shares| Shares::new(a.micros().saturating_add(b.micros()));
        group.wanted = add(group.wanted, end.wanted);
        group.reached = add(group.reached, end.sets);
    }
    groups.into_values().collect()
}
