//! `backtest`: replays recorded Polymarket history through the bot and reports the result.

mod cli;
mod config;
mod draws;
mod failure;
mod fixtures;
mod folder;
mod journal;
mod output;
mod progress;
mod replaying;
mod run;
mod tapes;
mod truth;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Verb};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.verb {
        None => run::run(&cli.run),
        Some(Verb::Run(args)) => run::run(&args),
        Some(Verb::Import(args)) => tapes::import(&args),
        Some(Verb::Inspect(args)) => tapes::inspect(&args),
        Some(Verb::Truth(args)) => truth::truth(&args),
        Some(Verb::Replay(args)) => journal::replay(&args),
        Some(Verb::Bench(args)) => {
            backtest_bench::run(&args, &["bench"]).map_err(failure::Failure::Failed)
        }
        Some(Verb::Config { verb }) => config::show(&verb),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
