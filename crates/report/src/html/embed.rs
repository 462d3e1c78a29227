//! The figures inside the page, for machines: the analysis and a report with long lists shortened.

use serde::Serialize;

use crate::analysis::{Analysis, SCHEMA_VERSION};
use crate::model::{EquityPoint, Report};

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

pub(crate) fn data(report: &Report, analysis: &Analysis) -> String {
    let list_limit = KEPT / report.runs.len().max(1);
    let report = shortened(report, list_limit);
    let embedded = Embedded { schema_version: SCHEMA_VERSION, list_limit, analysis, report };
    // Keys are text and numbers finite, so this cannot fail; a reader would see why if it did.
    serde_json::to_string(&embedded)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
}

fn shortened(report: &Report, most: usize) -> Report {
    let mut report = report.clone();
    for run in &mut report.runs {
        run.equity = thinned(&run.equity, most / 2);
        run.fills.truncate(most);
        run.round_trips.truncate(most);
        run.open.truncate(most);
        run.rebates.truncate(most);
        run.opportunities.truncate(most);
        run.baskets.truncate(most);
        run.markets.truncate(most);
        for tape in &mut run.tapes {
            tape.certificate.truncate(most);
        }
        for orders in &mut run.orders {
            orders.waits_ms.truncate(most);
        }
    }
    report
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
