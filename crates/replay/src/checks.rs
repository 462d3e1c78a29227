//! Checks at the end of every run.

use std::collections::BTreeMap;

use polydesk_domain::{ClosedTrade, Shares, Usdc};
use polydesk_engine::Engine;
use polydesk_execution::{Ledger, LedgerAccount};
use polydesk_report::Check;
use polydesk_sim::Sim;

/// Checks at the end of every run.
pub fn checks(engine: &Engine, sim: &Sim, closed: &[ClosedTrade]) -> Vec<Check> {
    let check =
        |name: &str, passed: bool, detail: String| Check { name: name.to_owned(), passed, detail };
    let execution = engine.manager();
    let conserved = sim.check_conservation();
    let (ledger, account) = (execution.ledger(), sim.account());
    let free = account.cash_free + account.cash_reserved;
    let cash = ledger.balance(LedgerAccount::Cash);
    let mut shares_off = Vec::new();
    for index in 0..(engine.universe().len() * 2) {
        let token = polydesk_domain::Token(index as u32);
        let held: Shares = execution
            .positions()
            .all()
            .filter(|(_, t, _)| *t == token)
            .map(|(_, _, h)| h.held())
            .sum();
        let theirs = account.token(token);
        let there = theirs.free + theirs.reserved + theirs.locked + theirs.incoming;
        if held != there {
            shares_off.push(format!(
                "{}: bot {held}, exchange {there}",
                engine.universe().token_id(token)
            ));
        }
    }
    vec![
        check(
            "money and complete sets are conserved at the exchange",
            conserved.is_ok(),
            match &conserved {
                Ok(()) => format!("checked {} times", sim.counters().conservation_checks),
                Err(broken) => broken.to_string(),
            },
        ),
        check(
            "the ledger adds up to zero",
            ledger.imbalance().is_zero(),
            format!("{} entries, imbalance {}", ledger.entries(), ledger.imbalance()),
        ),
        days(ledger, closed),
        check(
            "the bot's cash equals the exchange's",
            cash == free,
            format!("bot {cash}, exchange {free}"),
        ),
        check(
            "the bot's shares equal the exchange's",
            shares_off.is_empty(),
            if shares_off.is_empty() { "all tokens".to_owned() } else { shares_off.join("; ") },
        ),
        check(
            "no invariant was violated",
            execution.halted().is_none(),
            execution
                .halted()
                .unwrap_or("loss limits that latched are listed as alarms")
                .to_owned(),
        ),
    ]
}

/// Whether the ledger's results by day equal those of the round trips: loss limits use the former, tables
/// the latter.
fn days(ledger: &Ledger, closed: &[ClosedTrade]) -> Check {
    let (mut booked_by_day, mut closed_by_day) =
        (BTreeMap::<i64, Usdc>::new(), BTreeMap::<i64, Usdc>::new());
    for ((_, day), tally) in ledger.days() {
        *booked_by_day.entry(*day).or_default() += tally.realised;
    }
    for trade in closed {
        *closed_by_day.entry(trade.closed_at.day()).or_default() += trade.proceeds - trade.cost;
    }
    let differ =
        booked_by_day.iter().filter(|(day, amount)| closed_by_day.get(day) != Some(amount)).count()
            + closed_by_day.keys().filter(|day| !booked_by_day.contains_key(day)).count();
    Check {
        name: "the ledger's days equal the round trips'".to_owned(),
        passed: differ == 0,
        detail: format!(
            "days with a result: {}, other: {differ}",
            booked_by_day.len().max(closed_by_day.len())
        ),
    }
}
