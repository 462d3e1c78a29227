//! The layers of the configuration.

use std::path::Path;

use polydesk_settings::{Layer, Problem, Settings};

use crate::cli::{Cli, Feed};
use crate::dotenv;
use crate::failure::{Done, Failure};

/// The defaults under the files, the environment and the flags.
pub fn load(cli: &Cli) -> Done<Settings> {
    read(cli).map_err(Failure::Config)
}

/// The same for a process that goes on whatever it finds.
pub fn read(cli: &Cli) -> Result<Settings, Vec<Problem>> {
    let (mut layers, mut problems) = (Vec::new(), Vec::<Problem>::new());
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
        let flags =
            open.map(|(key, value)| (key.to_owned(), value.to_owned(), "--feed local".to_owned()));
        layers.push(Layer::flags(flags.to_vec()));
    }
    for path in &cli.configs {
        match Layer::file(path) {
            Ok(layer) => layers.push(layer),
            Err(problem) => problems.push(problem),
        }
    }
    match dotenv::read(Path::new(".env")) {
        Ok(variables) => layers.push(Layer::env(variables.into_iter())),
        Err(text) => problems.push(Problem::new(".env".to_owned(), text)),
    }
    let (environment, odd) = Layer::env_os(std::env::vars_os());
    layers.push(environment);
    problems.extend(odd);
    let mut flags = Vec::new();
    if let Some(seed) = cli.seed {
        flags.push(("run.seed".to_owned(), seed.to_string(), "--seed".to_owned()));
    }
    if !cli.strategies.is_empty() {
        let names: Vec<String> = cli.strategies.iter().map(|name| format!("{name:?}")).collect();
        let list = format!("[{}]", names.join(", "));
        flags.push(("run.strategies".to_owned(), list, "--strategy".to_owned()));
    }
    layers.push(Layer::flags(flags));
    match Settings::load(&layers) {
        Ok(settings) if problems.is_empty() => Ok(settings),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}
