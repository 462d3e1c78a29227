//! `desk`: the operator's tool. It asks the running process over the socket in its data folder; without one it reads
//! the newest state of the journal.

mod account;
mod client;
mod doctor;
mod found;
mod holder;
mod kill;
mod offline;
mod say;
mod show;
mod tape;
mod unkill;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use found::find;
use say::{complain, say};

/// What a running polydesk does, and what to do about it.
#[derive(Debug, Parser)]
#[command(version, after_long_help = AFTER)]
struct Cli {
    /// The data folder of the process.
    #[arg(long, value_name = "DIR", default_value = "data/paper", global = true)]
    data: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "\
Examples:
  desk status                       of data/paper
  desk --data my/data positions
  desk limits confirm               looser limits of a changed configuration apply from now on
  desk release crash_loop           a person has looked: trading may go on
  desk release market/rain-tomorrow the changed rules of a market were read: it may be traded again
  desk pause                        no new exposure; desk resume ends it
  desk cancel 3.17                  one order; desk cancel --all every order
  desk kill --why 'prices are wrong' cancel every order of the account; nothing leaves until unkill
  desk unkill --why 'they are right' asks for a phrase; trading is paused afterwards
  desk tape --out my/tape           what the bot saw, as a tape for `backtest`

Exit codes:
  0 done   1 failure   2 wrong usage   3 `doctor` found something bad   4 no process runs and no journal is there
  of `kill`: 0 no order is open, and a restart stays killed   5 no order is open, NOT latched: a restart would trade
             6 orders are left, or it is not proven that none is   7 no credentials: nothing was cancelled from here";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Mode, feeds, money, blockers, last decisions.
    Status,
    /// Open orders.
    Orders,
    /// What is held.
    Positions,
    /// Every check with its result and what to do; with `--config` those of the account too (key, wallet, chain, approvals).
    Doctor(account::Configured),
    /// What the wallet holds on the chain, and what the venue has in its copy.
    Balance(account::Configured),
    /// Let the venue's contracts move pUSD and outcome tokens: shows what is missing, and sends it with `--yes`.
    Approve(account::Approve),
    /// Limits that wait for a confirmation.
    Limits {
        #[command(subcommand)]
        verb: LimitsVerb,
    },
    /// Clear a blocker that waits for a person: crash_loop, lost_tail, cash_mismatch.
    Release {
        /// Its code, as `status` shows it.
        code: String,
    },
    /// No new exposure until `resume`; resting orders stay, exits go on.
    Pause,
    /// Only orders that make a position smaller, until `resume`.
    ReduceOnly,
    /// End a pause, reduce-only, a halt or a latched loss; losses count from now on.
    Resume,
    /// Cancel one open order, or with `--all` every order that this bot has open. Its strategy may place it again: pause
    /// first, or kill.
    Cancel {
        /// RUN.NUMBER, as `orders` shows it.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        order: Option<String>,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
    /// Cancel every order of the account and let none leave until `unkill`. Asks nothing; needs no process.
    Kill(kill::Kill),
    /// Lift a kill. Trading stays paused until a person resumes.
    Unkill(unkill::Unkill),
    /// Turn what the journal holds into a tape for `backtest`.
    Tape {
        /// The tape's folder; must not exist yet.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum LimitsVerb {
    /// Show what waits.
    Show,
    /// Let it apply from now on.
    Confirm,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(1)
        }
    }
}

fn post(cli: &Cli, path: &str) -> anyhow::Result<ExitCode> {
    show::answer(client::ask(&cli.data, "POST", path)?)
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.verb {
        Verb::Kill(args) => return kill::run(&cli.data, args),
        Verb::Unkill(args) => return unkill::run(&cli.data, args),
        Verb::Doctor(configured) => return doctor::run(&cli.data, configured),
        Verb::Balance(configured) => return account::balance(&cli.data, configured),
        Verb::Approve(args) => return account::approve(&cli.data, args),
        Verb::Tape { out } => return tape::write(&cli.data, out).map(|()| ExitCode::SUCCESS),
        Verb::Limits { verb: LimitsVerb::Confirm } => {
            let answer = client::ask(&cli.data, "POST", "/v1/limits/confirm")?;
            return show::answer(answer);
        }
        Verb::Pause => return post(cli, "/v1/pause"),
        Verb::ReduceOnly => return post(cli, "/v1/reduce-only"),
        Verb::Resume => return post(cli, "/v1/resume"),
        Verb::Cancel { order: None, .. } => return post(cli, "/v1/cancel"),
        Verb::Cancel { order: Some(order), .. } => {
            return post(cli, &format!("/v1/cancel/{}", order.trim_start_matches('#')));
        }
        Verb::Release { code } => {
            let answer = client::ask(&cli.data, "POST", &format!("/v1/release/{code}"))?;
            return show::answer(answer);
        }
        _ => {}
    }
    let Some(found) = find(&cli.data)? else {
        complain(&format!(
            "no process runs in {} and no journal is there; name the data folder with --data",
            cli.data.display()
        ));
        return Ok(ExitCode::from(4));
    };
    let text = match &cli.verb {
        Verb::Orders => show::orders(&found, cli.json),
        Verb::Positions => show::positions(&found, cli.json),
        Verb::Limits { .. } => show::limits(&found, cli.json),
        _ => show::status(&found, cli.json),
    };
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}
