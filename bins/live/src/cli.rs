//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Trades real orders on Polymarket.
///
/// It needs a key, and in the configuration `live.capital_cap_usd` above zero and the sentence in `live.acknowledge`. It
/// ends on ctrl-c or SIGTERM: no new order leaves, every order is cancelled, and the venue's list is read until it is
/// empty; a second signal ends it at once.
#[derive(Debug, Clone, Parser)]
#[command(version, after_long_help = AFTER)]
pub struct Cli {
    /// End after so long (`90s`, `15m`, `24h`).
    #[arg(long = "for", value_name = "TIME", value_parser = polydesk_program::span::span)]
    pub for_: Option<Duration>,
    /// The data folder: journal, latch, credentials, logs, socket.
    #[arg(long, value_name = "DIR", default_value = "data/live")]
    pub data: PathBuf,
    /// A configuration file; several are layered, the last wins.
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// A strategy to run (KIND, or KIND.NAME for an instance), instead of those in the configuration; may be
    /// given several times.
    #[arg(long = "strategy", value_name = "NAME")]
    pub strategies: Vec<String>,
    /// Make the checks of the start, print them and end. No order leaves.
    #[arg(long)]
    pub check: bool,
}

const AFTER: &str = "\
Examples:
  live --config my.toml --check            what would stand in the way of trading
  live --config my.toml --data /srv/desk

Exit codes:
  0 done   1 failure   2 wrong usage   3 wrong configuration   4 the data folder is in use
  5 the journal cannot be read         6 venue or chain cannot be reached
  7 the run's own integrity            8 no key, or a key that does not fit the account";
