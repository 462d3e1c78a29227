//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Trades on live Polymarket data with simulated orders. It holds no key and cannot sign.
///
/// Without arguments it reads the venue's public data: no key, no file and no service is needed. It ends on ctrl-c or
/// SIGTERM: orders are cancelled and a report is written; a second signal ends it at once.
#[derive(Debug, Clone, Parser)]
#[command(version, after_long_help = AFTER)]
pub struct Cli {
    /// Where market data come from.
    #[arg(long, value_enum, default_value_t = Feed::Venue)]
    pub feed: Feed,
    /// With `--feed local`: play back this tape at its own speed instead of the demo markets.
    #[arg(long, value_name = "DIR")]
    pub tape: Option<PathBuf>,
    /// End after so long (`90s`, `15m`, `24h`) and report.
    #[arg(long = "for", value_name = "TIME", value_parser = polydesk_program::span::span)]
    pub for_: Option<Duration>,
    /// The data folder: logs, socket, reports. Default: `data/paper`; with `--feed local` a new folder in `data/local`.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A configuration file; several are layered, the last wins.
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// A strategy to run (KIND, or KIND.NAME for an instance), instead of those in the configuration; may be
    /// given several times.
    #[arg(long = "strategy", value_name = "NAME")]
    pub strategies: Vec<String>,
    /// Seed of the simulated exchange.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Make the checks of the start, print them and end.
    #[arg(long)]
    pub check: bool,
}

const AFTER: &str = "\
Examples:
  paper                                    the venue's public data
  paper --feed local --for 60s             a local exchange with demo markets, offline
  paper --feed local --tape my/tape        a recorded hour, played back
  paper --config my.toml --data my/data

Exit codes:
  0 done   1 failure   2 wrong usage   3 wrong configuration   4 the data folder is in use
  5 the journal cannot be read         6 the venue cannot be reached
  7 the run's own integrity";

/// Where market data come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Feed {
    /// The section `venue` of the configuration.
    Venue,
    /// A local exchange, started as a child.
    Local,
}
