//! Finds every mistake in a layer: unknown keys with the nearest known one, and values of another kind.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use crate::layers::Layer;
use crate::problem::Problem;

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

/// Checks a layer's keys against the known ones and returns the layer without the unknown ones, so
/// that they hide no other mistake.
pub(crate) fn layer(
    layer: &Layer,
    values: &Dict,
    known: &BTreeMap<String, Value>,
    problems: &mut Vec<Problem>,
) -> Dict {
    let mut leaves = BTreeMap::new();
    flatten("", values, &mut leaves);
    for key in leaves.keys() {
        if known.contains_key(key) {
            continue;
        }
        let place = layer.origin(key).to_string();
        let nearest = known
            .keys()
            .map(|candidate| (strsim::damerau_levenshtein(candidate, key), candidate))
            .min()
            .filter(|(distance, _)| *distance <= key.len() / 2);
        let mend = match nearest {
            Some((_, candidate)) => format!("did you mean {candidate}?"),
            None => "`backtest config show` lists all keys".to_owned(),
        };
        problems.push(Problem::new(place, format!("{key} is not a key; {mend}")));
    }
    retain("", values, known)
}

fn retain(prefix: &str, values: &Dict, known: &BTreeMap<String, Value>) -> Dict {
    let mut kept = Dict::new();
    for (name, value) in values {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(tag, inner) => {
                kept.insert(name.clone(), Value::Dict(*tag, retain(&key, inner, known)));
            }
            _ if known.contains_key(&key) => {
                kept.insert(name.clone(), value.clone());
            }
            _ => {}
        }
    }
    kept
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
