//! The figures inside the page, for machines: the analysis and a report with long lists shortened.

use std::io::{self, Write};

use serde::Serialize;

use crate::analysis::{Analysis, SCHEMA_VERSION};
use crate::model::{EquityPoint, OrderCounts, Report, Run, TapeFacts};

/// Entries kept of each list over all runs, so that the page stays within its size.
const KEPT: usize = 2_000;

#[derive(Serialize)]
struct Embedded<'a> {
    schema_version: u32,
    /// Entries of each list that are kept at most; `report.json` has all.
    list_limit: usize,
    analysis: &'a Analysis,
    report: Report,
}

pub(crate) fn data_to(
    report: &Report,
    analysis: &Analysis,
    out: &mut impl Write,
) -> io::Result<()> {
    let list_limit = KEPT / report.runs.len().max(1);
    let report = shortened(report, list_limit);
    let embedded = Embedded { schema_version: SCHEMA_VERSION, list_limit, analysis, report };
    // Keys are text and numbers finite: what can fail is the writer.
    serde_json::to_writer(out, &embedded).map_err(io::Error::from)
}

/// A copy with short lists: the long ones are never copied, they can be most of the memory of a run.
fn shortened(report: &Report, most: usize) -> Report {
    let short = |run: &Run| Run {
        heading: run.heading.clone(),
        synthetic: run.synthetic,
        seed: run.seed,
        tapes: run.tapes.iter().map(|tape| short_tape(tape, most)).collect(),
        markets: head(&run.markets, most),
        span: run.span,
        rows: run.rows,
        feed: run.feed.clone(),
        models: run.models.clone(),
        starting_cash: run.starting_cash,
        totals: run.totals,
        fills: head(&run.fills, most),
        round_trips: head(&run.round_trips, most),
        open: head(&run.open, most),
        rebates: head(&run.rebates, most),
        equity: thinned(&run.equity, most / 2),
        extremes: run.extremes.clone(),
        alarms: run.alarms.clone(),
        alarms_left_out: run.alarms_left_out,
        orders: run.orders.iter().map(|orders| short_orders(orders, most)).collect(),
        codes: run.codes.clone(),
        opportunities: head(&run.opportunities, most),
        baskets: head(&run.baskets, most),
        data: run.data.clone(),
        checks: run.checks.clone(),
        draws: run.draws.clone(),
        bands: run.bands.clone(),
        latency: run.latency.clone(),
        log_sha256: run.log_sha256.clone(),
        log_lines: run.log_lines,
    };
    Report {
        program: report.program.clone(),
        command: report.command.clone(),
        config: report.config.clone(),
        runs: report.runs.iter().map(short).collect(),
    }
}

fn short_tape(tape: &TapeFacts, most: usize) -> TapeFacts {
    let mut tape = tape.clone();
    tape.certificate.truncate(most);
    tape
}

fn short_orders(orders: &OrderCounts, most: usize) -> OrderCounts {
    let mut orders = orders.clone();
    orders.waits_ms.truncate(most);
    orders
}

fn head<T: Clone>(list: &[T], most: usize) -> Vec<T> {
    list[..list.len().min(most)].to_vec()
}

/// Lowest and highest equity of every stretch of the list, in order.
fn thinned(points: &[EquityPoint], stretches: usize) -> Vec<EquityPoint> {
    let size = points.len().div_ceil(stretches.max(1)).max(1);
    if size <= 2 {
        return points.to_vec();
    }
    let mut out = Vec::new();
    for stretch in points.chunks(size) {
        let by_equity = |i: &usize| stretch[*i].equity;
        let low = (0..stretch.len()).min_by_key(by_equity).unwrap_or(0);
        let high = (0..stretch.len()).max_by_key(by_equity).unwrap_or(0);
        out.push(stretch[low.min(high)]);
        if low != high {
            out.push(stretch[low.max(high)]);
        }
    }
    out
}
