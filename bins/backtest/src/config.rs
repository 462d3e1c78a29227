//! `config`, and the layers of a run's configuration.

use polydesk_settings::{Layer, Problem, Settings};

use crate::cli::{ConfigVerb, RunArgs};
use crate::failure::{Done, Failure};

/// Shows or checks the configuration.
pub fn show(verb: &ConfigVerb) -> Done {
    let (configs, show) = match verb {
        ConfigVerb::Show { origin, configs } => (configs, Some(*origin)),
        ConfigVerb::Check { configs } => (configs, None),
    };
    let settings = load(&RunArgs { configs: configs.clone(), ..RunArgs::default() })?;
    match show {
        None => println!("the configuration is valid: {} settings", settings.lines.len()),
        Some(origins) => {
            for (key, (value, origin)) in &settings.lines {
                if origins {
                    println!("{key} = {value}  # {origin}");
                } else {
                    println!("{key} = {value}");
                }
            }
        }
    }
    Ok(())
}

/// The defaults under the files, the environment and the flags of a run.
pub fn load(args: &RunArgs) -> Done<Settings> {
    let (mut layers, mut problems) = (Vec::new(), Vec::<Problem>::new());
    for path in &args.configs {
        match Layer::file(path) {
            Ok(layer) => layers.push(layer),
            Err(problem) => problems.push(problem),
        }
    }
    let (environment, odd) = Layer::env_os(std::env::vars_os());
    layers.push(environment);
    problems.extend(odd);
    let mut flags = Vec::new();
    if let Some(seed) = args.seed {
        flags.push(("run.seed".to_owned(), seed.to_string(), "--seed".to_owned()));
    }
    if let Some(seeds) = args.seeds {
        flags.push(("run.seeds".to_owned(), seeds.to_string(), "--seeds".to_owned()));
    }
    if args.no_bands {
        flags.push(("run.bands".to_owned(), "false".to_owned(), "--no-bands".to_owned()));
    }
    if !args.strategies.is_empty() {
        let names: Vec<String> = args.strategies.iter().map(|name| format!("{name:?}")).collect();
        flags.push((
            "run.strategies".to_owned(),
            format!("[{}]", names.join(", ")),
            "--strategy".to_owned(),
        ));
    }
    layers.push(Layer::flags(flags));
    match Settings::load(&layers) {
        Ok(settings) if problems.is_empty() => Ok(settings),
        Ok(_) => Err(Failure::Config(problems)),
        Err(more) => {
            problems.extend(more);
            Err(Failure::Config(problems))
        }
    }
}
