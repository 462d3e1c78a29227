//! The keys that exist, and every key of a layer that does not, with the nearest one that does.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use crate::layers::Layer;
use crate::moved;
use crate::problem::Problem;

/// Keys of the defaults with their values.
#[derive(Default)]
pub(crate) struct Known(BTreeMap<String, Value>);

/// The prefix of the keys below a section: as printed, and as they are known. An instance is
/// known by the keys of its kind.
pub(crate) struct Names {
    pub(crate) shown: String,
    pub(crate) known: String,
}

impl Known {
    /// Adds the keys of defaults.
    pub(crate) fn add(&mut self, defaults: &Dict) {
        flatten("", defaults, &mut self.0);
    }

    /// Reports every key that does not exist.
    pub(crate) fn check(
        &self,
        layer: &Layer,
        values: &Dict,
        names: &Names,
        problems: &mut Vec<Problem>,
    ) {
        let mut leaves = BTreeMap::new();
        flatten("", values, &mut leaves);
        for key in leaves.keys() {
            if self.0.contains_key(&format!("{}{key}", names.known)) {
                continue;
            }
            let full = format!("{}{key}", names.shown);
            let place = layer.origin(&full).to_string();
            let text = match (moved::fix(&full), self.nearest(key, &names.known)) {
                (Some(fix), _) => format!("{full} is not a key any more; {fix}"),
                (None, Some(near)) => {
                    format!("{full} is not a key; did you mean {}{near}?", names.shown)
                }
                (None, None) => {
                    format!("{full} is not a key; `backtest config show` lists all keys")
                }
            };
            problems.push(Problem::new(place, text));
        }
    }

    /// The most similar key below `section`, if one is similar.
    fn nearest(&self, key: &str, section: &str) -> Option<&str> {
        let below = self.0.keys().filter_map(|known| known.strip_prefix(section));
        below
            .map(|known| (strsim::damerau_levenshtein(known, key), known))
            .min()
            .filter(|(distance, _)| *distance <= key.len() / 2)
            .map(|(_, known)| known)
    }

    /// The values whose keys exist, so that the others hide no other mistake.
    pub(crate) fn retained(&self, values: &Dict, section: &str) -> Dict {
        let mut kept = Dict::new();
        for (name, value) in values {
            let key = format!("{section}{name}");
            match value {
                Value::Dict(tag, inner) => {
                    let inner = self.retained(inner, &format!("{key}."));
                    if !inner.is_empty() {
                        kept.insert(name.clone(), Value::Dict(*tag, inner));
                    }
                }
                _ if self.0.contains_key(&key) => {
                    kept.insert(name.clone(), value.clone());
                }
                _ => {}
            }
        }
        kept
    }
}

/// Dotted keys of all leaves; arrays count as leaves.
pub(crate) fn flatten(prefix: &str, values: &Dict, into: &mut BTreeMap<String, Value>) {
    for (name, value) in values {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) => flatten(&key, inner, into),
            leaf => {
                into.insert(key, leaf.clone());
            }
        }
    }
}

/// A value as TOML text.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Array(_, items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Dict(_, dict) => {
            let items: Vec<String> =
                dict.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect();
            format!("{{ {} }}", items.join(", "))
        }
        Value::Num(_, number) => {
            let text = number.to_i128().map(|n| n.to_string());
            let text = text.or_else(|| number.to_u128().map(|n| n.to_string()));
            text.or_else(|| number.to_f64().map(|n| n.to_string())).unwrap_or_default()
        }
        Value::Bool(_, flag) => flag.to_string(),
        Value::Char(_, c) => c.to_string(),
        Value::Empty(..) => String::new(),
    }
}
