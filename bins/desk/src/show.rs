//! What is printed.

use std::fmt::Write as _;
use std::process::ExitCode;

use comfy_table::{Table, presets};
use polydesk_runtime::decisions::clean;
use polydesk_runtime::glance::Glance;

use crate::client::Answer;
use crate::found::Found;
use crate::say::say;

/// Prints the answer to a command; a refusal is an error.
///
/// # Errors
/// The process refused.
pub fn answer(answer: Answer) -> anyhow::Result<ExitCode> {
    if answer.status == 200 {
        say(&clean(String::from_utf8_lossy(&answer.body).trim()))?;
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::bail!("{}", answer.why())
}

fn glance(found: &Found) -> &Glance {
    match found {
        Found::Live(status) => &status.glance,
        Found::Journal(glance, _) => glance,
    }
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head.to_vec());
    table
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Where the figures come from, in words; empty for a running process.
fn source(found: &Found) -> String {
    match found {
        Found::Live(_) => String::new(),
        Found::Journal(_, Some(age)) => {
            format!(
                "no process runs: this is the journal, {} s old; holdings at cost\n",
                age / 1_000
            )
        }
        Found::Journal(_, None) => {
            "no process runs: this is the journal; holdings at cost\n".to_owned()
        }
    }
}

/// Open orders.
pub fn orders(found: &Found, as_json: bool) -> String {
    let glance = glance(found);
    if as_json {
        return json(&glance.orders);
    }
    let mut rows =
        table(&["order", "strategy", "market", "side", "price", "matched", "state", "purpose"]);
    for order in &glance.orders {
        rows.add_row([
            order.id.clone(),
            order.strategy.to_string(),
            order.market.clone(),
            format!("{} {:?}", order.side, order.outcome),
            order.price.to_string(),
            order.matched.to_string(),
            order.state.clone(),
            order.purpose.clone(),
        ]);
    }
    let more = left_out(glance.orders_left_out);
    format!("{}{} open orders\n{rows}{more}", source(found), glance.risk.open_orders)
}

/// What is held.
pub fn positions(found: &Found, as_json: bool) -> String {
    let glance = glance(found);
    if as_json {
        return json(&glance.positions);
    }
    let mut rows = table(&["strategy", "market", "outcome", "shares", "cost", "at depth"]);
    for position in &glance.positions {
        rows.add_row([
            position.strategy.to_string(),
            position.market.clone(),
            format!("{:?}", position.outcome),
            position.shares.to_string(),
            position.cost.to_string(),
            position.mark.map_or_else(|| "?".to_owned(), |mark| mark.to_string()),
        ]);
    }
    let more = left_out(glance.positions_left_out);
    format!("{}{} positions\n{rows}{more}", source(found), glance.positions_in_all())
}

fn left_out(count: u64) -> String {
    if count == 0 { String::new() } else { format!("\nand {count} more") }
}

/// Limits that wait.
pub fn limits(found: &Found, as_json: bool) -> String {
    let Found::Live(status) = found else {
        return "no process runs: the next start applies the tighter of journal and files"
            .to_owned();
    };
    let pending = &status.config.pending;
    if as_json {
        return json(pending);
    }
    if pending.is_empty() {
        return "no looser limit waits for a confirmation".to_owned();
    }
    let mut rows = table(&["limit", "in force", "asked for"]);
    for (key, from, to) in pending {
        rows.add_row([key, from, to]);
    }
    format!("{rows}\n`desk limits confirm` lets them apply")
}

/// Everything at a glance.
pub fn status(found: &Found, as_json: bool) -> String {
    let glance = glance(found);
    if as_json {
        return json(glance);
    }
    let (feed, money, risk) = (&glance.feed, &glance.money, &glance.risk);
    let mut out = source(found);
    let _ = writeln!(
        out,
        "{}  {}  run {}, begun {}",
        glance.program, glance.mode, glance.run, glance.started
    );
    let _ = writeln!(out, "at        {}", glance.at);
    if glance.open() {
        let _ = writeln!(out, "gate      open");
    }
    for blocker in &glance.blockers {
        let _ =
            writeln!(out, "gate      {} stops {}: {}", blocker.code, blocker.stops, blocker.detail);
    }
    if matches!(found, Found::Live(_)) {
        let age = feed.age_ms.map_or_else(|| "never".to_owned(), |age| format!("{age} ms ago"));
        let _ = writeln!(
            out,
            "feed      {} connections, last row {age}, {} markets, {} usable, {} unverified",
            feed.connections, feed.open_markets, feed.usable_books, feed.unverified
        );
    }
    let _ = writeln!(
        out,
        "money     equity {}, today {}, cash {}, realised {}, fees {}",
        money.equity, money.day, money.cash, money.realised, money.fees
    );
    let _ = writeln!(
        out,
        "risk      {} of {} pUSD at risk, {} of {} open orders",
        risk.account, risk.max_account, risk.open_orders, risk.max_open_orders
    );
    if let Found::Live(status) = found {
        for line in &status.config.refused {
            let _ = writeln!(out, "config    refused: {line}");
        }
        for (key, from, to) in &status.config.pending {
            let _ =
                writeln!(out, "config    {key} stays {from}; {to} waits for `desk limits confirm`");
        }
        for line in &status.config.at_next_start {
            let _ = writeln!(out, "config    at the next start: {line}");
        }
    }
    for strategy in &glance.strategies {
        let skips: Vec<String> =
            strategy.skips.iter().map(|(code, count)| format!("{code} {count}")).collect();
        let skips =
            if skips.is_empty() { String::new() } else { format!(", skips: {}", skips.join(", ")) };
        let _ = writeln!(out, "strategy  {}: {} signals{skips}", strategy.id, strategy.signals);
    }
    for decision in &glance.decisions {
        let _ = writeln!(out, "{}  {:<9} {}", decision.at, decision.kind, decision.text);
    }
    out.trim_end().to_owned()
}
