//! `cargo bench -p backtest`: the same as `backtest bench`, quick unless rows are named.

use clap::Parser;

/// Rows of a tape per second.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: backtest_bench::BenchArgs,
    /// Measure ten million rows, too.
    #[arg(long, conflicts_with = "quick")]
    whole: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let mut cli = Cli::parse();
    cli.args.quick |= !cli.whole;
    backtest_bench::run(&cli.args, &[])
}
