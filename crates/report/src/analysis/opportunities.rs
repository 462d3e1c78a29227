//! What scanners saw: episodes by kind and outcome, the best ones, and the baskets that were tried.

use std::collections::BTreeMap;

use polydesk_domain::{Shares, Span, StrategyId, Time, Usdc};
use serde::Serialize;

use super::waterfall::saturated;
use crate::model::{EpisodeRecord, Run};

/// Episodes shown one by one.
const SHOWN: usize = 20;

/// Spans below these many milliseconds fall into one bin each; the last bin has no end.
const BINS_MS: [(i64, &str); 5] =
    [(10, "< 10 ms"), (100, "< 100 ms"), (1_000, "< 1 s"), (10_000, "< 10 s"), (60_000, "< 60 s")];

/// The opportunities of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Opportunities {
    /// By strategy, kind and outcome.
    pub groups: Vec<EpisodeGroup>,
    /// The best ones by edge after fees, then by gross edge.
    pub best: Vec<EpisodeRecord>,
    /// How long they lived.
    pub lifetimes: Vec<Lifetime>,
    /// Baskets by kind and end.
    pub plans: Vec<PlanGroup>,
}

/// Episodes of one kind and outcome.
#[derive(Debug, Clone, Serialize)]
pub struct EpisodeGroup {
    /// Whose.
    pub strategy: StrategyId,
    /// As in [`EpisodeRecord::kind`].
    pub kind: String,
    /// `signalled`, or the code of why not.
    pub outcome: String,
    /// How many.
    pub count: usize,
    /// Best edge after fees over the depth, in pUSD.
    pub best_edge: Usdc,
    /// Sum of the best edges, in pUSD: what perfect capture would have given.
    pub sum_edge: Usdc,
    /// Sum of their lifetimes.
    pub lifetime: Span,
    /// Signals said.
    pub signals: u64,
}

/// Episodes by lifetime.
#[derive(Debug, Clone, Serialize)]
pub struct Lifetime {
    /// The bin.
    pub bin: &'static str,
    /// How many.
    pub count: usize,
}

/// Baskets of one kind and end.
#[derive(Debug, Clone, Serialize)]
pub struct PlanGroup {
    /// Whose.
    pub strategy: StrategyId,
    /// As in [`EpisodeRecord::kind`].
    pub kind: String,
    /// How they ended.
    pub code: String,
    /// How many.
    pub count: usize,
    /// Edge expected at the start, in pUSD.
    pub expected: Usdc,
    /// Sets wanted.
    pub wanted: Shares,
    /// Sets reached.
    pub reached: Shares,
    /// When the first one started.
    pub first: Time,
}

/// The code of an outcome that may carry figures after a space.
pub(crate) fn code(outcome: &str) -> &str {
    outcome.split_whitespace().next().unwrap_or("unknown")
}

pub(crate) fn opportunities(run: &Run) -> Opportunities {
    let mut best = run.episodes.clone();
    best.sort_by(|a, b| {
        (b.best_edge, b.best_gross_units, a.started).cmp(&(
            a.best_edge,
            a.best_gross_units,
            b.started,
        ))
    });
    best.truncate(SHOWN);
    Opportunities {
        groups: groups(&run.episodes),
        best,
        lifetimes: lifetimes(&run.episodes),
        plans: plans(run),
    }
}

fn groups(episodes: &[EpisodeRecord]) -> Vec<EpisodeGroup> {
    let mut groups = BTreeMap::<(StrategyId, &str, &str), Vec<&EpisodeRecord>>::new();
    for episode in episodes {
        let key = (episode.strategy, episode.kind.as_str(), code(&episode.outcome));
        groups.entry(key).or_default().push(episode);
    }
    let mut rows = Vec::new();
    for ((strategy, kind, outcome), episodes) in groups {
        let (mut edge, mut lifetime) = (0i128, Span::ZERO);
        for episode in &episodes {
            edge += i128::from(episode.best_edge.micros());
            lifetime = lifetime + episode.started.until(episode.ended);
        }
        rows.push(EpisodeGroup {
            strategy,
            kind: kind.to_owned(),
            outcome: outcome.to_owned(),
            count: episodes.len(),
            best_edge: episodes.iter().map(|e| e.best_edge).max().unwrap_or_default(),
            sum_edge: saturated(edge),
            lifetime,
            signals: episodes.iter().map(|e| u64::from(e.signals)).sum(),
        });
    }
    rows.sort_by(|a, b| b.best_edge.cmp(&a.best_edge).then(b.count.cmp(&a.count)));
    rows
}

fn lifetimes(episodes: &[EpisodeRecord]) -> Vec<Lifetime> {
    let lived: Vec<i64> = episodes.iter().map(|e| e.started.until(e.ended).as_millis()).collect();
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

fn plans(run: &Run) -> Vec<PlanGroup> {
    let mut groups = BTreeMap::<(StrategyId, &str, &str), PlanGroup>::new();
    for plan in &run.plans {
        let key = (plan.strategy, plan.kind.as_str(), plan.code.as_str());
        let group = groups.entry(key).or_insert_with(|| PlanGroup {
            strategy: plan.strategy,
            kind: plan.kind.clone(),
            code: plan.code.clone(),
            count: 0,
            expected: Usdc::ZERO,
            wanted: Shares::ZERO,
            reached: Shares::ZERO,
            first: plan.started,
        });
        group.count += 1;
        group.expected =
            saturated(i128::from(group.expected.micros()) + i128::from(plan.expected.micros()));
        let add = |a: Shares, b: Shares| Shares::new(a.micros().saturating_add(b.micros()));
        group.wanted = add(group.wanted, plan.wanted);
        group.reached = add(group.reached, plan.sets);
    }
    groups.into_values().collect()
}
