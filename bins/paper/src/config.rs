//! The layers of the configuration.

use polydesk_program::{Done, Failure, layers};
use polydesk_settings::{Problem, Settings};

use crate::cli::{Cli, Feed};

/// The defaults under the files, the environment and the flags.
pub fn load(cli: &Cli) -> Done<Settings> {
    read(cli).map_err(Failure::Config)
}

/// The same for a process that goes on whatever it finds.
pub fn read(cli: &Cli) -> Result<Settings, Vec<Problem>> {
    let mut below = Vec::new();
    if cli.feed == Feed::Local {
        // Demo markets and tapes state little of what the filters ask for.
        let open = [
            ("markets.min_liquidity_usd", "0"),
            ("markets.min_volume_24h_usd", "0"),
            ("markets.max_spread", "1"),
            ("markets.min_left_secs", "0"),
            ("markets.refresh_secs", "5"),
            ("markets.watch_secs", "2"),
        ];
        let flag = |(key, value): (&str, &str)| {
            (key.to_owned(), value.to_owned(), "--feed local".to_owned())
        };
        below.extend(open.map(flag));
    }
    let mut flags = Vec::new();
    if let Some(seed) = cli.seed {
        flags.push(("run.seed".to_owned(), seed.to_string(), "--seed".to_owned()));
    }
    flags.extend(layers::strategies(&cli.strategies));
    layers::read(&cli.configs, below, flags)
}
