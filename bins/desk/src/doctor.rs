//! Every check with its result and what to do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use polydesk_runtime::start::{Check, Found as Result_};

use crate::account::{self, Configured};
use crate::found::{Found, find};
use crate::say::say;

/// Makes the checks and prints them. Exit code 3 where one is bad.
///
/// # Errors
/// Nothing could be checked.
pub fn run(data: &Path, configured: &Configured) -> anyhow::Result<ExitCode> {
    let mut checks = checks(data);
    if configured.is_given() {
        checks.extend(account::checks(data, configured));
    }
    for check in &checks {
        say(&check.to_string())?;
    }
    let bad = checks.iter().any(|check| check.found == Result_::Bad);
    Ok(if bad { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn checks(data: &Path) -> Vec<Check> {
    let mut checks = vec![folder(data)];
    match find(data) {
        Err(error) => checks.push(Check::bad(
            "state",
            format!("{error:#}"),
            "the message says what to do; no state is lost by reading",
        )),
        Ok(None) => checks.push(Check::warning(
            "process",
            "no process runs here, and none has run".to_owned(),
            "start `paper`, or name the data folder with --data",
        )),
        Ok(Some(Found::Journal(..))) => checks.push(Check::warning(
            "process",
            "no process runs; the journal is readable".to_owned(),
            "start `paper` to go on",
        )),
        Ok(Some(Found::Live(status))) => {
            let glance = &status.glance;
            checks
                .push(Check::good("process", format!("run {} of {}", glance.run, glance.program)));
            checks.push(feed(&glance.feed));
            for blocker in &glance.blockers {
                let fix = fix(&blocker.code);
                checks.push(Check::bad(
                    "gate",
                    format!("{}: {}", blocker.code, blocker.detail),
                    fix,
                ));
            }
            for refused in &status.config.refused {
                checks.push(Check::bad(
                    "config",
                    refused.clone(),
                    "correct the file; it is read again by itself",
                ));
            }
            if !status.config.pending.is_empty() {
                let text = format!("{} looser limits wait", status.config.pending.len());
                checks.push(Check::warning(
                    "limits",
                    text,
                    "`desk limits show`, then `desk limits confirm`",
                ));
            }
        }
    }
    checks
}

fn folder(data: &Path) -> Check {
    match std::fs::metadata(data) {
        Err(error) => Check::warning(
            "data folder",
            format!("{}: {error}", data.display()),
            "name the folder of the process with --data",
        ),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Check::bad(
            "data folder",
            format!(
                "{} is open to others (mode {:o})",
                data.display(),
                found.permissions().mode() & 0o777
            ),
            "chmod 700 it",
        ),
        Ok(_) => Check::good("data folder", data.display().to_string()),
    }
}

fn feed(feed: &polydesk_runtime::glance::FeedGlance) -> Check {
    let text = format!(
        "{} connections, {} of {} books usable, {} unverified",
        feed.connections, feed.usable_books, feed.open_markets, feed.unverified
    );
    if !feed.up {
        return Check::bad("feed", text, "check the network; it connects again by itself");
    }
    if feed.open_markets == 0 {
        return Check::warning(
            "feed",
            text,
            "no market passes the section markets: loosen its filters",
        );
    }
    Check::good("feed", text)
}

/// What to do about a blocker.
fn fix(code: &str) -> &'static str {
    match code {
        "clock" => "synchronise the clock (chrony, systemd-timesyncd)",
        "market_link_down" => "check the network; it clears by itself",
        "not_reconciled" => "wait: it clears by itself; if it stays, read the log",
        "disk" | "journal_slow" => "free space, or move the data folder to a faster disk",
        "crash_loop" => "read the log of the last runs, then `desk release crash_loop`",
        "market_frozen" => "read what changed, then `desk release market/SLUG`",
        "flattened" => "it ends when nothing is held there, or with `desk release market/SLUG`",
        "daily_loss" | "drawdown" => "a loss limit holds: it ends as the section risk says",
        "version" => "update polydesk",
        "killed" => "find out why, then `desk unkill --why TEXT`, then `desk resume`",
        "paused" | "reduce_only" => "`desk resume` when you are ready",
        "user_link_down" => "check the network and the credentials; it clears by itself",
        "heartbeat" => "check the network; it clears by itself",
        "cash_mismatch" => "find the transfer on the chain, then `desk release cash_mismatch`",
        "lost_tail" => {
            "compare the venue's orders and fills with yours, then `desk release lost_tail`"
        }
        _ => "read the log",
    }
}
