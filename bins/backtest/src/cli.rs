//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Replays recorded Polymarket history through the bot and reports what it was worth.
///
/// Without a verb it runs the bundled fixtures: no keys, no network, no services.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_long_help = AFTER)]
pub struct Cli {
    /// What to do; `run` when left out.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Arguments of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

const AFTER: &str = "\
Examples:
  backtest                                          the bundled fixtures
  backtest run --tape my/tape --seed 3 --out out/3  one tape, another seed
  backtest run --strategy stink_bidder --json       JSON on standard output
  backtest import --format tickscope --overlay overlay.toml FILE --out my/tape
  backtest inspect my/tape                          certificate and summary
  backtest truth my/orders.jsonl --tape my/tape     which queue model and delay my own fills agree with
  backtest replay --journal data/paper              a recorded run once more, command by command
  backtest bench --quick                            rows per second and peak memory
  backtest config show --origin                     every setting and where it comes from

Exit codes:
  0 done   1 failure   2 wrong usage   3 wrong configuration   7 data or integrity";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Replay tapes and report.
    Run(RunArgs),
    /// Turn a recording or a public archive into a tape.
    Import(ImportArgs),
    /// Show a tape's certificate and what it holds.
    Inspect(InspectArgs),
    /// Handle a recorded run of `paper` once more, and compare every command.
    Replay(ReplayArgs),
    /// Judge the models of queue and delay by real orders whose fate is known.
    Truth(TruthArgs),
    /// Measure rows per second and peak memory on synthetic tapes.
    Bench(backtest_bench::BenchArgs),
    /// Show or check the configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        verb: ConfigVerb,
    },
}

/// Arguments of `run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// A tape's folder; several are merged into one stream. Default: the bundled fixtures.
    #[arg(long = "tape", value_name = "DIR")]
    pub tapes: Vec<PathBuf>,
    /// A configuration file; several are layered, the last wins.
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// A strategy to run (KIND, or KIND.NAME for an instance), instead of those in the configuration;
    /// may be given several times.
    #[arg(long = "strategy", value_name = "NAME")]
    pub strategies: Vec<String>,
    /// Seed of the simulated exchange and of the report's resampling.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where the HTML report, the JSON and the event logs go; an earlier run in it is replaced as a whole.
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print the report as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
    /// Seeds that the headline figures are ranges over.
    #[arg(long, value_name = "N")]
    pub seeds: Option<u16>,
    /// Skip the slower and the faster exchange and the scaled delays.
    #[arg(long)]
    pub no_bands: bool,
    /// Write the rows of market data into the event logs too: every event that the engine took.
    #[arg(long)]
    pub log_rows: bool,
    /// Threads for the re-runs; the result does not depend on it.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
    /// End with a line that is this process's peak memory in KiB; `bench --hours` reads it.
    #[arg(long, hide = true)]
    pub print_peak: bool,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// What the files are.
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub format: polydesk_tape::Format,
    /// The files, in the order of their time.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Facts the recording lacks: pairing, tick, fees, times.
    #[arg(long, value_name = "FILE")]
    pub overlay: Option<PathBuf>,
    /// Column map for `--format table`.
    #[arg(long, value_name = "FILE")]
    pub columns: Option<PathBuf>,
    /// The tape's folder; must not exist yet.
    #[arg(long, value_name = "DIR", required_unless_present = "write_overlay")]
    pub out: Option<PathBuf>,
    /// Import nothing; draft the overlay that the recording lacks into this file.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub write_overlay: Option<PathBuf>,
    /// A silence of the whole stream longer than this makes every book untrusted until it is stated again, in
    /// seconds; 0: never. Default: 120 for archives of all markets, 900 for other recordings.
    #[arg(long, value_name = "SECS")]
    pub silence_secs: Option<u32>,
    /// Silence longer than this counts as a gap in the certificate, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 60)]
    pub gap_secs: u32,
}

fn format(name: &str) -> Result<polydesk_tape::Format, String> {
    polydesk_tape::Format::from_name(name).ok_or_else(|| {
        let names: Vec<&str> =
            polydesk_tape::Format::ALL.iter().map(|format| format.name()).collect();
        format!("there are {}", names.join(", "))
    })
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The data folder of the process, or the journal's folder in it.
    #[arg(long, value_name = "DIR")]
    pub journal: PathBuf,
    /// A configuration file of that run; several are layered, the last wins.
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// A strategy of that run, as it was given to it.
    #[arg(long = "strategy", value_name = "NAME")]
    pub strategies: Vec<String>,
}

/// Arguments of `truth`.
#[derive(Debug, Args)]
pub struct TruthArgs {
    /// Real orders that rested, one JSON object a line (docs/truth.md).
    #[arg(value_name = "ORDERS", required_unless_present = "make")]
    pub orders: Option<PathBuf>,
    /// A tape of that time; several are merged into one stream.
    #[arg(long = "tape", value_name = "DIR", required = true)]
    pub tapes: Vec<PathBuf>,
    /// Delays from a request to the book that are tried with every queue model.
    #[arg(long, value_name = "DELAYS", value_delimiter = ',', default_value = "100ms,300ms,1s", value_parser = delay)]
    pub delays: Vec<polydesk_domain::Span>,
    /// Judge nothing; print so many made orders with the fate that the exchange as set gives them.
    #[arg(long, value_name = "N", conflicts_with = "orders")]
    pub make: Option<u64>,
    /// A configuration file for the exchange; several are layered.
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// Print the scores as one JSON object.
    #[arg(long)]
    pub json: bool,
}

fn delay(text: &str) -> Result<polydesk_domain::Span, String> {
    match polydesk_sim::Delay::try_from(text.trim().to_owned()) {
        Ok(polydesk_sim::Delay::Constant(span)) => Ok(span),
        _ => Err("a delay is like 300ms or 1s".to_owned()),
    }
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The tape's folder.
    #[arg(value_name = "DIR")]
    pub tape: PathBuf,
    /// Print manifest and certificate as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Verbs of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Print every setting.
    Show {
        /// Print where each value comes from.
        #[arg(long)]
        origin: bool,
        /// A configuration file; several are layered.
        #[arg(short, long = "config", value_name = "FILE")]
        configs: Vec<PathBuf>,
    },
    /// Check the configuration and report every mistake (exit code 3 if there is one).
    Check {
        /// A configuration file; several are layered.
        #[arg(short, long = "config", value_name = "FILE")]
        configs: Vec<PathBuf>,
    },
}
