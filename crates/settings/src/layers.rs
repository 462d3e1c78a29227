//! One layer of configuration: a text, a file, the environment or flags.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map};
use figment::{Metadata, Profile, Provider};

use crate::origin::Origin;
use crate::problem::Problem;

/// Prefix of environment variables; `__` separates sections (`POLYDESK__RISK__MAX_ORDER_USD`).
pub const ENV_PREFIX: &str = "POLYDESK__";

/// One layer.
#[derive(Debug, Clone)]
pub struct Layer {
    name: String,
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone)]
enum Kind {
    Default,
    File(PathBuf),
    /// Dotted key and the variable or flag that set it.
    Named(Vec<(String, Origin)>),
}

impl Layer {
    /// A TOML text that is compiled in.
    pub(crate) fn compiled_in(name: &str, text: &str) -> Layer {
        Layer { name: name.to_owned(), kind: Kind::Default, text: text.to_owned() }
    }

    /// A TOML file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file(path: &Path) -> Result<Layer, Problem> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Problem::new(path.display().to_string(), format!("cannot be read: {error}"))
        })?;
        Ok(Layer { name: path.display().to_string(), kind: Kind::File(path.to_owned()), text })
    }

    /// The variables that begin with the prefix, from a given environment. Values are TOML where they
    /// parse as such (`5`, `true`, `["a"]`), else text.
    pub fn env(variables: impl Iterator<Item = (String, String)>) -> Layer {
        let mut pairs: Vec<(String, String, Origin)> = Vec::new();
        for (name, value) in variables {
            if let Some(rest) = name.strip_prefix(ENV_PREFIX) {
                let key = rest.to_lowercase().replace("__", ".");
                pairs.push((key, value, Origin::Env(name)));
            }
        }
        pairs.sort();
        Layer::named("environment", pairs)
    }

    /// The same from an environment that may hold what is no text: a problem where the prefix says that it is ours.
    pub fn env_os(variables: impl Iterator<Item = (OsString, OsString)>) -> (Layer, Vec<Problem>) {
        let (mut texts, mut problems) = (Vec::new(), Vec::new());
        for (name, value) in variables {
            let ours = name.to_string_lossy().starts_with(ENV_PREFIX);
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => texts.push((name, value)),
                (Ok(name), Err(_)) if ours => {
                    problems
                        .push(Problem::new(name, "its value is no UTF-8: write it as text".into()));
                }
                (Err(name), _) if ours => {
                    let name = name.to_string_lossy().into_owned();
                    problems
                        .push(Problem::new(name, "its name is no UTF-8: write it as text".into()));
                }
                _ => {}
            }
        }
        (Layer::env(texts.into_iter()), problems)
    }

    /// Flags, as dotted keys with their values as TOML or text.
    pub fn flags(flags: Vec<(String, String, String)>) -> Layer {
        let pairs =
            flags.into_iter().map(|(key, value, flag)| (key, value, Origin::Flag(flag))).collect();
        Layer::named("flags", pairs)
    }

    fn named(name: &str, pairs: Vec<(String, String, Origin)>) -> Layer {
        let mut text = String::new();
        let mut origins = Vec::new();
        for (key, value, origin) in pairs {
            let line = format!("{key} = {value}\n");
            // A value that is no TOML by itself is meant as text.
            let whole = toml::from_str::<toml::Table>(&line).is_ok();
            let shown = if whole { value } else { toml::Value::String(value).to_string() };
            text.push_str(&format!("{key} = {shown}\n"));
            origins.push((key, origin));
        }
        Layer { name: name.to_owned(), kind: Kind::Named(origins), text }
    }

    /// The layer's values; a text that does not parse is a problem and counts as empty.
    pub(crate) fn values(&self, problems: &mut Vec<Problem>) -> Dict {
        match Toml::string(&self.text).data() {
            Ok(map) => map.into_values().next().unwrap_or_default(),
            Err(error) => {
                problems.push(Problem::new(self.name.clone(), error.to_string()));
                Dict::new()
            }
        }
    }

    /// Place of a key of this layer.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        match &self.kind {
            Kind::Default => Origin::Default,
            Kind::File(path) => Origin::File(path.clone(), line_of(&self.text, key)),
            Kind::Named(pairs) => {
                let found = pairs
                    .iter()
                    .find(|(name, _)| name == key || key.starts_with(&format!("{name}.")));
                found.map_or(Origin::Default, |(_, origin)| origin.clone())
            }
        }
    }

    pub(crate) fn provider(&self, data: Dict) -> impl Provider + use<> {
        Named { name: self.name.clone(), data }
    }
}

struct Named {
    name: String,
    data: Dict,
}

impl Provider for Named {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }
    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.data.clone())]))
    }
}

/// The line (from 1) on which a dotted key is set or a section begins, for files written in the usual way.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let mut section = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let name = name.trim_matches(['[', ' ']);
            if name == key {
                return Some(number + 1);
            }
            section = format!("{name}.");
        } else if let Some((name, _)) = line.split_once('=')
            && format!("{section}{}", name.trim()) == key
        {
            return Some(number + 1);
        }
    }
    None
}
