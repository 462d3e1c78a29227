//! The layers of the configuration, lowest first: defaults, files, `.env`, environment, flags.

use std::path::{Path, PathBuf};

use polydesk_settings::{Layer, Problem, Settings};
use sha2::{Digest, Sha256};

use crate::dotenv;

/// A setting on the command line: key, value, and the flag that stands for it.
pub type Flag = (String, String, String);

/// Reads and merges everything. `below` are values of a mode of the program, which every other layer may override.
///
/// # Errors
/// Every mistake in every layer.
pub fn read(
    files: &[PathBuf],
    below: Vec<Flag>,
    flags: Vec<Flag>,
) -> Result<Settings, Vec<Problem>> {
    let (mut layers, mut problems) = (Vec::new(), Vec::<Problem>::new());
    if !below.is_empty() {
        layers.push(Layer::flags(below));
    }
    for path in files {
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

/// The flag for a list of strategies; none where the list is empty.
pub fn strategies(names: &[String]) -> Option<Flag> {
    if names.is_empty() {
        return None;
    }
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let list = format!("[{}]", names.join(", "));
    Some(("run.strategies".to_owned(), list, "--strategy".to_owned()))
}

/// Hash of every setting with its value.
pub fn sha256(settings: &Settings) -> String {
    let mut hash = Sha256::new();
    for (key, (value, _)) in &settings.lines {
        hash.update(format!("{key} = {value}\n"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
