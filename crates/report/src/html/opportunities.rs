//! Opportunities and their results, on the page.

use polydesk_domain::Subject;

use super::chart;
use super::markup::{Cell, Table, figure, fold, paragraph};
use super::tables;
use crate::analysis::Opportunities;
use crate::markets::Markets;
use crate::model::Run;
use crate::text::{count, duration, shares, timestamp};

/// Opportunities by kind and outcome, how long they lived, the baskets tried, the best ones.
pub(crate) fn section(run: &Run, seen: &Opportunities, markets: &Markets<'_>) -> String {
    let mut out = "<h3>Opportunities</h3>\n".to_owned();
    if run.opportunities.is_empty() && run.baskets.is_empty() {
        out.push_str(&paragraph("None was seen."));
        return out;
    }
    let mut table = Table::new(
        "Opportunities by kind and outcome",
        &[
            "strategy",
            "kind",
            "outcome",
            "count",
            "best edge $",
            "sum of edges $",
            "lived",
            "signals",
        ],
    );
    for group in &seen.groups {
        let lived = group.lifetime.as_millis();
        table.row(vec![
            Cell::text(group.strategy.as_str()),
            Cell::text(group.kind.name()),
            Cell::text(group.outcome.as_str()),
            Cell::count(group.count),
            Cell::money(group.best_edge),
            Cell::money(group.sum_edge),
            Cell::figure(duration(lived), Some(lived as f64)),
            Cell::count(group.signals),
        ]);
    }
    out.push_str(&table.html());
    let lived: Vec<(String, f64, String)> = seen
        .lifetimes
        .iter()
        .map(|bin| (bin.bin.to_owned(), bin.count as f64, count(bin.count)))
        .collect();
    out.push_str(&figure(
        chart::bars("Lifetimes of opportunities", &lived),
        "How long opportunities lived, from first to last sight.",
    ));
    let mut baskets = Table::new(
        "Baskets",
        &["strategy", "kind", "ended", "count", "expected edge $", "sets wanted", "sets reached"],
    );
    for basket in &seen.baskets {
        baskets.row(vec![
            Cell::text(basket.strategy.as_str()),
            Cell::text(basket.kind.name()),
            Cell::text(basket.code.as_str()),
            Cell::count(basket.count),
            Cell::money(basket.expected),
            Cell::figure(shares(basket.wanted), Some(basket.wanted.to_f64())),
            Cell::figure(shares(basket.reached), Some(basket.reached.to_f64())),
        ]);
    }
    if !seen.baskets.is_empty() {
        out.push_str("<h4>Baskets tried</h4>\n");
        out.push_str(&baskets.html());
        out.push_str(&every_basket(run, markets));
    }
    out.push_str(&best(seen, markets));
    out
}

fn every_basket(run: &Run, markets: &Markets<'_>) -> String {
    let mut table = Table::new(
        "Baskets one by one",
        &["started", "kind", "first leg", "took", "expected edge $", "wanted", "reached", "ended"],
    );
    for basket in run.baskets.iter().take(tables::SHOWN) {
        let took = basket.started.until(basket.ended).as_millis();
        table.row(vec![
            Cell::text(timestamp(basket.started)),
            Cell::text(basket.kind.name()),
            Cell::long(markets.question(&basket.market)),
            Cell::figure(duration(took), Some(took as f64)),
            Cell::money(basket.expected),
            Cell::figure(shares(basket.wanted), Some(basket.wanted.to_f64())),
            Cell::figure(shares(basket.sets), Some(basket.sets.to_f64())),
            Cell::text(basket.code.as_str()),
        ]);
    }
    let shown = run.baskets.len().min(tables::SHOWN);
    fold(&format!("{shown} of {} baskets one by one", run.baskets.len()), &table.html())
}

fn best(seen: &Opportunities, markets: &Markets<'_>) -> String {
    let mut table = Table::new(
        "Best opportunities",
        &[
            "first seen",
            "kind",
            "subject",
            "lived",
            "edge $",
            "sets",
            "gross ¢ a set",
            "signals",
            "outcome",
        ],
    );
    for seen in &seen.best {
        let seen = &seen.opportunity;
        let subject = match &seen.subject {
            Subject::Market(market) => markets.question(market),
            Subject::Group(name) => name.clone(),
        };
        let lived = seen.started.until(seen.ended).as_millis();
        let gross = f64::from(seen.best_gross_units) / 100.0;
        table.row(vec![
            Cell::text(timestamp(seen.started)),
            Cell::text(seen.kind.name()),
            Cell::long(subject),
            Cell::figure(duration(lived), Some(lived as f64)),
            Cell::money(seen.best_edge),
            Cell::figure(shares(seen.best_sets), Some(seen.best_sets.to_f64())),
            Cell::figure(format!("{gross:.2}"), Some(gross)),
            Cell::count(seen.signals),
            Cell::long(seen.outcome.to_string()),
        ]);
    }
    fold(&format!("The {} best by edge after fees", seen.best.len()), &table.html())
}
