//! The tables of the page: round trips by group, orders, codes, markets.

use polydesk_domain::Role;

use super::markup::{Cell, Table, fold, minus, paragraph};
use crate::analysis::{Execution, GroupRow, HORIZONS, Markout, Tables};
use crate::markets::Markets;
use crate::model::Run;
use crate::text::{duration, interval, percent, timestamp};

/// Rows shown of lists that can be long.
pub(crate) const SHOWN: usize = 200;

const HEADERS: [&str; 8] =
    ["n", "win", "net $", "¢/share", "mean $", "95 % of mean", "fees $", "held"];

/// Cells of a row; `open` where holdings are grouped too.
fn cells(row: &GroupRow, open: bool) -> Vec<Cell> {
    let hold = row.mean_hold_ms;
    let low = row.interval.map(|ends| ends.0.micros() as f64);
    let mut cells = vec![
        Cell::long(&row.key),
        Cell::count(row.n),
        Cell::maybe(row.win_percent, |value| percent(Some(value))),
        Cell::gain(row.net),
        Cell::maybe(row.cents_per_share, |value| format!("{value:+.2}")),
        row.mean.map_or_else(|| Cell::figure("-", None), Cell::gain),
        Cell::figure(minus(&interval(row.interval)), low),
        Cell::money(row.fees),
        Cell::maybe(hold.map(|ms| ms as f64), |ms| duration(ms as i64)),
    ];
    if open {
        cells.push(Cell::gain(row.open));
    }
    cells
}

fn rows(title: &str, name: &str, rows: &[GroupRow], total: Option<&GroupRow>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let open = total.is_some();
    let mut headers = vec![name];
    headers.extend(HEADERS);
    if open {
        headers.push("open $");
    }
    let mut table = Table::new(title, &headers);
    for row in rows {
        table.row(cells(row, open));
    }
    if let Some(total) = total.filter(|_| rows.len() > 1) {
        table.sum(cells(total, open));
    }
    format!("<h4>{title}</h4>\n{}", table.html())
}

/// Every grouping of round trips.
pub(crate) fn round_trips(tables: &Tables) -> String {
    let mut out = "<h3>Round trips</h3>\n".to_owned();
    if tables.strategies.is_empty() {
        out.push_str(&paragraph("No round trip was finished and nothing is held."));
        return out;
    }
    let total = Some(&tables.total);
    out.push_str(&rows("By strategy", "strategy", &tables.strategies, total));
    if tables.markets_left_out > 0 {
        let left = tables.markets_left_out;
        out.push_str(&paragraph(&format!(
            "{left} markets between the best and the worst 20 are left out."
        )));
    }
    out.push_str(&rows("By market", "market", &tables.markets, total));
    out.push_str(&rows("By category", "category", &tables.categories, total));
    out.push_str(&rows("By reason of the exit", "exit", &tables.exits, None));
    out.push_str(&rows("By entry price", "price", &tables.prices, None));
    let latest = &tables.days[tables.days.len().saturating_sub(SHOWN)..];
    out.push_str(&rows("By day of exit (UTC)", "day", latest, None));
    if latest.len() < tables.days.len() {
        let all = tables.days.len();
        out.push_str(&paragraph(&format!("The latest {SHOWN} of {all} days; the JSON has all.")));
    }
    out.push_str(&rows("By hour of entry (UTC)", "hour", &tables.hours, None));
    out.push_str(&rows("By outcome", "outcome", &tables.outcomes, total));
    out
}

/// Orders by strategy, then every code.
pub(crate) fn execution(execution: &Execution) -> String {
    let mut table = Table::new(
        "Orders by strategy",
        &[
            "strategy",
            "signals",
            "orders",
            "post-only",
            "touched",
            "filled",
            "maker",
            "maker $",
            "taker",
            "taker $",
            "p50 wait",
            "p95 wait",
        ],
    );
    for orders in &execution.strategies {
        let share = |value| Cell::maybe(value, |value| percent(Some(value)));
        let wait = |value| Cell::maybe(value, |ms| duration(ms as i64));
        table.row(vec![
            Cell::text(orders.strategy.as_str()),
            Cell::count(orders.signals),
            Cell::count(orders.placed),
            share(orders.post_only_percent),
            share(orders.touched_percent),
            share(orders.filled_percent),
            Cell::count(orders.maker_fills),
            Cell::money(orders.maker_notional),
            Cell::count(orders.taker_fills),
            Cell::money(orders.taker_notional),
            wait(orders.wait_p50_ms),
            wait(orders.wait_p95_ms),
        ]);
    }
    let mut out = table.html();
    out.push_str(&paragraph(&format!(
        "Fills whose settlement failed: {}. They count for nothing.",
        execution.failed_settlements
    )));
    let mut codes = Table::new("Refusals, skips and ends", &["what", "by", "code", "count"]);
    for code in execution.codes.iter().take(SHOWN) {
        codes.row(vec![
            Cell::text(code.kind),
            Cell::text(code.strategy.as_ref().map_or("", |strategy| strategy.as_str())),
            Cell::text(code.code.as_str()),
            Cell::count(code.count),
        ]);
    }
    out.push_str(&fold("Refusals, denials, drops, skips and ends by code", &codes.html()));
    let mut exchange = Table::new("Counters of the simulated exchange", &["counter", "value"]);
    for (name, value) in &execution.exchange {
        exchange.row(vec![Cell::text(name), Cell::figure(value, value.parse().ok())]);
    }
    out.push_str(&fold("Counters of the simulated exchange", &exchange.html()));
    out
}

/// Markouts by shares, one row for each kind of fills.
pub(crate) fn markouts_by_shares(markouts: &[Markout]) -> String {
    let mut headers =
        vec!["strategy".to_owned(), "role".to_owned(), "purpose".to_owned(), "fills".to_owned()];
    headers.extend(HORIZONS.iter().map(|secs| format!("¢/share {secs} s")));
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let mut table = Table::new("Markouts by shares", &headers);
    for markout in markouts {
        let mut cells = vec![
            Cell::text(markout.strategy.as_str()),
            Cell::text(role(markout.role)),
            Cell::text(markout.purpose),
            Cell::count(markout.fills),
        ];
        for at in &markout.at {
            cells.push(Cell::maybe(at.weighted_cents, |value| format!("{value:+.2}")));
        }
        table.row(cells);
    }
    table.html()
}

/// Markouts at all horizons, one row each.
pub(crate) fn markouts(markouts: &[Markout]) -> String {
    let mut table = Table::new(
        "Markouts",
        &[
            "strategy",
            "role",
            "purpose",
            "fills",
            "after",
            "weighted ¢/share",
            "mean ¢/share",
            "n",
            "missing",
        ],
    );
    for markout in markouts {
        for at in &markout.at {
            let cents = |value| Cell::maybe(value, |value| format!("{value:+.2}"));
            table.row(vec![
                Cell::text(markout.strategy.as_str()),
                Cell::text(role(markout.role)),
                Cell::text(markout.purpose),
                Cell::count(markout.fills),
                Cell::figure(format!("{} s", at.secs), Some(f64::from(at.secs))),
                cents(at.weighted_cents),
                cents(at.mean_cents),
                Cell::count(at.n),
                Cell::count(at.missing),
            ]);
        }
    }
    table.html()
}

pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Maker => "maker",
        Role::Taker => "taker",
    }
}

/// The first round trips one by one.
pub(crate) fn trips(run: &Run, markets: &Markets<'_>) -> String {
    let mut table = Table::new(
        "Finished round trips",
        &[
            "closed",
            "strategy",
            "market",
            "outcome",
            "exit",
            "shares",
            "paid $",
            "received $",
            "profit $",
            "fees $",
            "held",
        ],
    );
    for trip in run.round_trips.iter().take(SHOWN) {
        let micros = |usdc: polydesk_domain::Usdc| i128::from(usdc.micros());
        let profit = crate::analysis::saturated(micros(trip.proceeds) - micros(trip.cost));
        let fees = crate::analysis::saturated(micros(trip.entry_fee) + micros(trip.exit_fee));
        let held = trip.opened_at.until(trip.closed_at).as_millis();
        table.row(vec![
            Cell::text(timestamp(trip.closed_at)),
            Cell::text(trip.strategy.as_str()),
            Cell::long(markets.question(&trip.market)),
            Cell::text(if trip.outcome == polydesk_domain::Outcome::Yes { "yes" } else { "no" }),
            Cell::text(trip.reason.name()),
            Cell::figure(crate::text::shares(trip.shares), Some(trip.shares.to_f64())),
            Cell::money(trip.cost),
            Cell::money(trip.proceeds),
            Cell::gain(profit),
            Cell::money(fees),
            Cell::figure(duration(held), Some(held as f64)),
        ]);
    }
    let (all, shown) = (run.round_trips.len(), run.round_trips.len().min(SHOWN));
    fold(&format!("{shown} of {all} finished round trips"), &table.html())
}

/// Markets with the rule by which resting orders fill, and what was assumed.
pub(crate) fn markets(run: &Run) -> String {
    let mut table = Table::new(
        "Markets",
        &["market", "category", "fill rule", "resolution", "assumed", "condition"],
    );
    for market in run.markets.iter().take(SHOWN) {
        let pays = match market.yes_pays {
            None => "not on the tape".to_owned(),
            Some(micros) => format!("YES pays {}", polydesk_domain::Usdc::new(i64::from(micros))),
        };
        table.row(vec![
            Cell::long(if market.question.is_empty() { &market.slug } else { &market.question }),
            Cell::text(&market.category),
            Cell::text(&market.fill_rule),
            Cell::text(pays),
            Cell::long(if market.assumed.is_empty() {
                "nothing".to_owned()
            } else {
                market.assumed.join("; ")
            }),
            Cell::text(market.condition.to_string()),
        ]);
    }
    let (all, shown) = (run.markets.len(), run.markets.len().min(SHOWN));
    fold(&format!("{shown} of {all} markets: fill rule, resolution, assumptions"), &table.html())
}
