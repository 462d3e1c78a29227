//! The benchmarks and their arguments.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// The work per row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The row is read and no more.
    Tape,
    /// The yardstick: a pair of sorted maps per token, best prices read after every row.
    Maps,
    /// (a) The row is applied to the books.
    Books,
    /// (b) The engine, with one trivial strategy that reads every complete batch.
    Strategy,
    /// As (b), through the whole replay: simulated exchange, delayed feed, timers.
    Replay,
    /// (c) The replay with both strategies at work and orders at the exchange.
    Full,
}

impl What {
    /// Every kind in the order of the table.
    pub const ALL: [What; 6] =
        [What::Tape, What::Maps, What::Books, What::Strategy, What::Replay, What::Full];

    /// Its line in the table.
    pub fn about(self) -> &'static str {
        match self {
            What::Tape => "tape alone",
            What::Maps => "yardstick: sorted maps",
            What::Books => "(a) books",
            What::Strategy => "(b) engine, trivial strategy",
            What::Replay => "(b) and exchange, timers",
            What::Full => "(c) both strategies at work",
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            What::Tape => "tape",
            What::Maps => "maps",
            What::Books => "books",
            What::Strategy => "strategy",
            What::Replay => "replay",
            What::Full => "full",
        }
    }
}

/// Where the rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// A packed tape in memory, 32 bytes a row.
    Memory,
    /// A tape on disk, streamed.
    Parquet,
}

impl Store {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Store::Memory => "memory",
            Store::Parquet => "parquet",
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    /// Name of the work.
    pub what: What,
    /// Where rows come from.
    pub from: Store,
    /// Outcome tokens, two per market.
    pub tokens: u32,
    /// Level changes and prints, mirrored ones too.
    pub rows: u64,
}

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Rows of the synthetic tape; several are measured one after another. [default: 1000000,10000000]
    #[arg(long, value_name = "N", value_delimiter = ',',
          value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
    pub rows: Vec<u64>,
    /// Outcome tokens of the synthetic tape, two per market.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10, 200],
          value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub tokens: Vec<u32>,
    /// Only these kinds of work.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_values_t = What::ALL)]
    pub what: Vec<What>,
    /// Only these sources.
    #[arg(long, value_name = "FROM", value_delimiter = ',',
          default_values_t = [Store::Memory, Store::Parquet])]
    pub from: Vec<Store>,
    /// One million rows only: about a minute.
    #[arg(long)]
    pub quick: bool,
    /// Instead of the table: the peak memory of whole runs, both strategies at work, over made-up tapes of so many
    /// hours; each beside the first.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub hours: Vec<u32>,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub json: bool,
    /// Measure a single case in this very process and print its result as JSON.
    #[arg(long, hide = true)]
    pub one: bool,
    /// The tape of that case.
    #[arg(long, hide = true, value_name = "DIR")]
    pub tape: Option<PathBuf>,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl BenchArgs {
    /// Sizes to measure.
    pub fn sizes(&self) -> Vec<u64> {
        match (self.rows.is_empty(), self.quick) {
            (false, _) => self.rows.clone(),
            (true, true) => vec![1_000_000],
            (true, false) => vec![1_000_000, 10_000_000],
        }
    }

    /// The lines of the table in order.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for rows in self.sizes() {
            for tokens in &self.tokens {
                for from in &self.from {
                    for what in &self.what {
                        cases.push(Case { what: *what, from: *from, tokens: *tokens, rows });
                    }
                }
            }
        }
        cases
    }
}
