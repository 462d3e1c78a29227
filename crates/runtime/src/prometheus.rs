//! Everything as Prometheus text: counters and histograms of the process, gauges of the glance.

use std::collections::BTreeMap;
use std::fmt::Write;

use polydesk_polymarket_api::Budget;

use crate::glance::{Glance, Shared};
use crate::metrics::{decimal, resident_bytes};

/// The text; without a glance there are no gauges yet.
pub fn text(shared: &Shared, glance: Option<&Glance>) -> String {
    let mut out = String::new();
    shared.metrics.write(&mut out);
    if let Some(limits) = shared.limits.get() {
        budgets(&limits.budgets(), &mut out);
    }
    if let Some(glance) = glance {
        gauges(glance, &mut out);
    }
    out
}

/// What is left of the quotas of requests.
fn budgets(budgets: &[Budget], out: &mut String) {
    type Figure = fn(&Budget) -> String;
    let series: [(&str, &str, Figure); 3] = [
        ("rate_budget_free", "requests that may leave at once", |one| one.free.to_string()),
        ("rate_budget_most", "the most of them that is saved up", |one| one.most.to_string()),
        ("rate_pause_seconds", "how long the venue wants to be left alone", |one| {
            decimal(one.paused_ms.saturating_mul(1_000))
        }),
    ];
    for (name, help, figure) in series {
        let _ = writeln!(out, "# HELP polydesk_{name} {help}\n# TYPE polydesk_{name} gauge");
        for budget in budgets {
            let group = serde_json::to_string(&budget.group).unwrap_or_default();
            let group = group.trim_matches('"');
            let _ = writeln!(out, "polydesk_{name}{{group=\"{group}\"}} {}", figure(budget));
        }
    }
}

fn gauges(glance: &Glance, out: &mut String) {
    let mut gauge = |name: &str, help: &str, value: String| {
        let _ = writeln!(out, "# HELP polydesk_{name} {help}\n# TYPE polydesk_{name} gauge");
        let _ = writeln!(out, "polydesk_{name} {value}");
    };
    let feed = &glance.feed;
    gauge("feed_up", "whether a market connection is up", u8::from(feed.up).to_string());
    if let Some(age) = feed.age_ms {
        let age = decimal(u64::try_from(age).unwrap_or(0).saturating_mul(1_000));
        gauge("feed_age_seconds", "age of the last row of market data", age);
    }
    gauge("open_markets", "listed markets that accept orders", feed.open_markets.to_string());
    gauge("usable_books", "of those with a usable book", feed.usable_books.to_string());
    gauge("unverified_books", "of those with too old a proof", feed.unverified.to_string());
    gauge("open_orders", "open orders", glance.risk.open_orders.to_string());
    gauge("blockers", "reasons why the gate is closed", glance.blockers.len().to_string());
    let money = &glance.money;
    gauge("equity_usd", "equity at executable depth", money.equity.to_string());
    gauge("day_profit_usd", "equity minus that at the start of the UTC day", money.day.to_string());
    gauge("cash_usd", "pUSD that is final", money.cash.to_string());
    gauge("at_risk_usd", "at risk at worst", glance.risk.account.to_string());
    blockers(glance, out);
    if let Some(bytes) = resident_bytes() {
        let name = "polydesk_resident_bytes";
        let _ = writeln!(out, "# HELP {name} memory in use\n# TYPE {name} gauge\n{name} {bytes}");
    }
}

/// How often each code is set: several markets can be frozen, and a series may come only once.
fn blockers(glance: &Glance, out: &mut String) {
    let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
    for blocker in &glance.blockers {
        *codes.entry(&blocker.code).or_default() += 1;
    }
    let name = "polydesk_blocker";
    let _ = writeln!(out, "# HELP {name} blockers with this code\n# TYPE {name} gauge");
    for (code, count) in codes {
        let code = code.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = writeln!(out, "{name}{{code=\"{code}\"}} {count}");
    }
}
