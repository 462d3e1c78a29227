//! Judges a [`Report`]: verdict, money, tables, execution, risk. No drawing, no formatting.
//!
//! Money is summed in integers; `f64` appears only in statistics. The same report and options give the
//! same bytes: resampling draws from a generator seeded by the options.

mod balance;
mod curve;
mod execution;
mod indexed;
mod markouts;
mod opportunities;
mod options;
mod random;
mod risk;
mod sample;
mod stats;
mod tables;
mod verdict;
mod waterfall;

use serde::Serialize;

pub use balance::Balance;
pub use curve::{Curve, Day, Drawdown};
pub use execution::{CodeCount, Execution, Orders};
pub use markouts::{HORIZONS, Horizon, Markout};
pub use opportunities::{BasketGroup, Lifetime, Opportunities, OpportunityGroup};
pub use options::Options;
pub use risk::{EventResult, Risk};
pub use stats::Ratio;
pub use tables::{GroupRow, LEAST_FOR_INTERVAL, Tables};
pub use verdict::{Answer, Histogram, LEAST_DAYS, LEAST_EVENTS, SettledRate, Verdict};
pub use waterfall::{Step, Waterfall};

use crate::model::{Report, Run};
use indexed::Indexed;
pub(crate) use opportunities::binned;
pub(crate) use waterfall::saturated;

/// Version of the JSON's shape. It grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 3;

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
    /// The net in the words of the tables.
    pub balance: Balance,
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
    /// Their nets in the words of the tables.
    pub balance: Balance,
    /// Their money; each step is the sum of the runs' steps.
    pub waterfall: Waterfall,
    /// Their round trips grouped.
    pub tables: Tables,
}

/// Judges the report.
pub fn analyse(report: &Report, options: &Options) -> Analysis {
    let indexed: Vec<Indexed<'_>> = report.runs.iter().map(Indexed::of).collect();
    let runs: Vec<RunAnalysis> = indexed.iter().map(|run| analyse_run(run, options)).collect();
    let real = total(&indexed, &runs, options);
    Analysis { schema_version: SCHEMA_VERSION, options: *options, runs, real }
}

/// The verdict about one run alone, as [`analyse`] gives it.
pub fn verdict_of(run: &Run, options: &Options) -> Verdict {
    let indexed = Indexed::of(run);
    verdict_about(&indexed, waterfall::net(run), options)
}

fn verdict_about(indexed: &Indexed<'_>, net: i128, options: &Options) -> Verdict {
    let run = indexed.run;
    let failed = run.checks.iter().find(|check| !check.passed);
    let facts = verdict::Circumstances {
        net: saturated(net),
        synthetic: run.synthetic,
        failed_check: failed.map(|check| check.name.clone()),
    };
    verdict::verdict(&sample::sample(std::iter::once(indexed)), &facts, options)
}

fn analyse_run(indexed: &Indexed<'_>, options: &Options) -> RunAnalysis {
    let run = indexed.run;
    let failed = run.checks.iter().filter(|check| !check.passed);
    let data = &run.data;
    RunAnalysis {
        heading: run.heading.clone(),
        synthetic: run.synthetic,
        verdict: verdict_about(indexed, waterfall::net(run), options),
        balance: balance::balance(run),
        waterfall: waterfall::waterfall(run),
        curve: curve::curve(run),
        tables: tables::tables(&[indexed], options),
        execution: execution::execution(run),
        markouts: markouts::markouts(run),
        opportunities: opportunities::opportunities(run),
        risk: risk::risk(run, &indexed.markets),
        usable_percent: Ratio::of(
            data.usable_ticks as f64 * 100.0,
            data.book_ticks as f64,
            "no open market was checked",
        ),
        failed_checks: failed.map(|check| check.name.clone()).collect(),
    }
}

fn total(runs: &[Indexed<'_>], analysed: &[RunAnalysis], options: &Options) -> Option<Total> {
    let both = || runs.iter().zip(analysed).filter(|(run, _)| !run.run.synthetic);
    let real: Vec<&Indexed<'_>> = both().map(|(run, _)| run).collect();
    if real.is_empty() {
        return None;
    }
    let waterfall = waterfall::total(both().map(|(_, judged)| &judged.waterfall));
    let failed = both().find_map(|(_, judged)| judged.failed_checks.first());
    let facts = verdict::Circumstances {
        net: waterfall.net,
        synthetic: false,
        failed_check: failed.cloned(),
    };
    let sample = sample::sample(real.iter().copied());
    Some(Total {
        runs: real.len(),
        verdict: verdict::verdict(&sample, &facts, options),
        balance: balance::total(both().map(|(_, judged)| &judged.balance)),
        waterfall,
        tables: tables::tables(&real, options),
    })
}
