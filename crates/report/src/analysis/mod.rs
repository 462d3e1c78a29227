//! Judges a [`Report`]: verdict, money, tables, execution, risk. No drawing, no formatting.
//!
//! Money is summed in integers; `f64` appears only in statistics. The same report and options give the
//! same bytes: resampling draws from a generator seeded by the options.

mod curve;
mod execution;
mod markouts;
mod numbered;
mod opportunities;
mod options;
mod random;
mod risk;
mod stats;
mod tables;
mod verdict;
mod waterfall;

use serde::Serialize;

pub use curve::{Curve, Day, Drawdown};
pub use execution::{CodeCount, Execution, Orders};
pub use markouts::{HORIZONS, Horizon, Markout};
pub use opportunities::{BasketGroup, Lifetime, Opportunities, OpportunityGroup};
pub use options::Options;
pub use risk::{EventResult, Risk};
pub use stats::{LEAST_CLUSTERS, Ratio, Unit};
pub use tables::{GroupRow, LEAST_FOR_INTERVAL, Tables};
pub use verdict::{Answer, Histogram, LEAST_MARKETS, LEAST_ROUND_TRIPS, MOST_P, Verdict};
pub use waterfall::{Step, Waterfall};

use crate::model::Report;
use numbered::Numbered;
pub(crate) use opportunities::binned;
pub(crate) use waterfall::saturated;

/// Version of the JSON's shape. It grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 2;

/// The analysis of a report.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// Version of this shape.
    pub schema_version: u32,
    /// How was resampled.
    pub options: Options,
    /// One for each run of the report, in its order.
    pub runs: Vec<RunAnalysis>,
    /// All runs on real data together, synthetic ones left out; `null` when there is none.
    pub real: Option<Total>,
}

/// The analysis of one run.
#[derive(Debug, Clone, Serialize)]
pub struct RunAnalysis {
    /// Heading of its part of the report.
    pub heading: String,
    /// Whether its data were made by a generator.
    pub synthetic: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Where the money came from and went to.
    pub waterfall: Waterfall,
    /// Equity, drawdown, locked capital.
    pub curve: Curve,
    /// Round trips grouped.
    pub tables: Tables,
    /// How orders fared.
    pub execution: Execution,
    /// Markouts of fills.
    pub markouts: Vec<Markout>,
    /// Opportunities.
    pub opportunities: Opportunities,
    /// How much hung on how little.
    pub risk: Risk,
    /// Share of the time with a usable book, in percent.
    pub usable_percent: Ratio,
    /// Names of the checks that failed.
    pub failed_checks: Vec<String>,
}

/// Several runs as one.
#[derive(Debug, Clone, Serialize)]
pub struct Total {
    /// How many runs.
    pub runs: usize,
    /// The answer over all of them.
    pub verdict: Verdict,
    /// Their money; each step is the sum of the runs' steps.
    pub waterfall: Waterfall,
    /// Their round trips grouped.
    pub tables: Tables,
}

/// Judges the report.
pub fn analyse(report: &Report, options: &Options) -> Analysis {
    let numbered = report.runs.iter().enumerate().map(|(index, run)| Numbered::of(index, run));
    let numbered: Vec<Numbered<'_>> = numbered.collect();
    let runs: Vec<RunAnalysis> = numbered.iter().map(|run| analyse_run(run, options)).collect();
    let real = total(&numbered, &runs, options);
    Analysis { schema_version: SCHEMA_VERSION, options: *options, runs, real }
}

fn analyse_run(numbered: &Numbered<'_>, options: &Options) -> RunAnalysis {
    let run = numbered.run;
    let waterfall = waterfall::waterfall(run);
    let failed_checks: Vec<String> =
        run.checks.iter().filter(|check| !check.passed).map(|check| check.name.clone()).collect();
    let facts = verdict::Circumstances {
        net: waterfall.net,
        synthetic: run.synthetic,
        failed_check: failed_checks.first().cloned(),
    };
    let samples = verdict::samples(std::iter::once(numbered));
    let data = &run.data;
    RunAnalysis {
        heading: run.heading.clone(),
        synthetic: run.synthetic,
        verdict: verdict::verdict(&samples, &facts, options.seed, options.resamples),
        waterfall,
        curve: curve::curve(run),
        tables: tables::tables(&[numbered], options),
        execution: execution::execution(run),
        markouts: markouts::markouts(run),
        opportunities: opportunities::opportunities(run),
        risk: risk::risk(run, &numbered.markets),
        usable_percent: Ratio::of(
            data.usable_ticks as f64 * 100.0,
            data.book_ticks as f64,
            "no open market was checked",
        ),
        failed_checks,
    }
}

fn total(runs: &[Numbered<'_>], analysed: &[RunAnalysis], options: &Options) -> Option<Total> {
    let real: Vec<&Numbered<'_>> = runs.iter().filter(|run| !run.run.synthetic).collect();
    if real.is_empty() {
        return None;
    }
    let waterfall = waterfall::total(real.iter().map(|run| &analysed[run.index].waterfall));
    let failed = real.iter().find_map(|run| analysed[run.index].failed_checks.first());
    let facts = verdict::Circumstances {
        net: waterfall.net,
        synthetic: false,
        failed_check: failed.cloned(),
    };
    let samples = verdict::samples(real.iter().copied());
    Some(Total {
        runs: real.len(),
        verdict: verdict::verdict(&samples, &facts, options.seed, options.resamples),
        waterfall,
        tables: tables::tables(&real, options),
    })
}
