//! Instances: a strategy that runs several times, each time with a section `[KIND.instances.NAME]` over
//! its kind's.
//!
//! An instance's own key overrides its kind's, in whichever layer either is set.

use figment::value::{Dict, Value};
use polydesk_domain::StrategyId;
use polydesk_strategies::CATALOGUE;

use crate::keys::{Known, Names, shown};
use crate::layers::Layer;
use crate::origin::Lines;
use crate::problem::Problem;

/// The key of a strategy's section under which its instances stand.
pub(crate) const KEY: &str = "instances";

/// The instance's id, or the rule that its name breaks with the fix.
pub(crate) fn id(kind: &str, name: &str) -> Result<StrategyId, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(fits) {
        let other = name.to_ascii_lowercase().replace(|c| !fits(c), "_");
        let fix = if name.is_empty() { String::new() } else { format!(": write {other}") };
        return Err(format!(
            "the name of an instance has lower-case letters, digits and _, as environment \
             variables name it, too{fix}"
        ));
    }
    let id = kind.parse().and_then(|kind| StrategyId::instance(kind, name));
    id.map_err(|_| {
        let (most, has) = (StrategyId::LONGEST, kind.len() + 1 + name.len());
        let left = most.saturating_sub(kind.len() + 1);
        format!("its id {kind}.{name} has {has} bytes, at most {most} are allowed: shorten the name to {left}")
    })
}

/// Checks the instances of a section in one layer and returns those with a name and known keys.
pub(crate) fn checked(
    layer: &Layer,
    section: &str,
    instances: &Value,
    known: &Known,
    problems: &mut Vec<Problem>,
) -> Dict {
    let mut kept = Dict::new();
    let path = format!("{section}.{KEY}");
    let Value::Dict(_, instances) = instances else {
        let text = if is_kind(section) {
            let value = shown(instances);
            format!(
                "{path} is {value}; it holds sections: write [{path}.NAME] with the keys that differ"
            )
        } else {
            unknown_kind(section, "NAME")
        };
        problems.push(Problem::new(layer.origin(&path).to_string(), text));
        return kept;
    };
    for (name, own) in instances {
        let path = format!("{path}.{name}");
        let place = place(layer, &path, own);
        let Value::Dict(tag, own) = own else {
            let text = format!(
                "{path} is {}; an instance is a section: write [{path}] with the keys that differ",
                shown(own)
            );
            problems.push(Problem::new(place, text));
            continue;
        };
        if !is_kind(section) {
            problems.push(Problem::new(place, unknown_kind(section, name)));
            continue;
        }
        let names = Names { shown: format!("{path}."), known: format!("{section}.") };
        known.check(layer, own, &names, problems);
        match id(section, name) {
            Ok(_) => {
                let own = known.retained(own, &names.known);
                kept.insert(name.clone(), Value::Dict(*tag, own));
            }
            Err(rule) => problems.push(Problem::new(place, format!("{path}: {rule}"))),
        }
    }
    kept
}

fn is_kind(section: &str) -> bool {
    CATALOGUE.iter().any(|entry| entry.id.as_str() == section)
}

fn unknown_kind(section: &str, name: &str) -> String {
    let kinds: Vec<&str> = CATALOGUE.iter().map(|entry| entry.id.as_str()).collect();
    let near = |kind: &&&str| strsim::damerau_levenshtein(kind, section) <= section.len() / 2;
    let fix = match kinds.iter().find(near) {
        Some(kind) => format!("did you mean {kind}.{KEY}.{name}?"),
        None => format!("instances belong to one of {}", kinds.join(", ")),
    };
    format!("{section}.{KEY}.{name}: {section} is not a strategy; {fix}")
}

/// Place of an instance: its first key, or its heading if it has none.
fn place(layer: &Layer, path: &str, own: &Value) -> String {
    let first = own.as_dict().and_then(|own| own.keys().next());
    let key = first.map_or_else(|| path.to_owned(), |first| format!("{path}.{first}"));
    layer.origin(&key).to_string()
}

/// A rule that an instance breaks, from a text that begins with the key of its kind.
///
/// The place is the instance's own key that breaks the rule, else one that the rule speaks of.
pub(crate) fn broken(id: StrategyId, own: &Dict, text: &str, lines: &Lines) -> Problem {
    let kind = id.kind();
    let name = id.as_str().strip_prefix(kind).unwrap_or_default();
    let prefix = format!("{kind}.{KEY}{name}.");
    let rule = text.strip_prefix(kind).unwrap_or(text).trim_start_matches('.');
    let mut words = rule.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let key = words.clone().next().unwrap_or_default();
    let key = words.find(|word| own.contains_key(*word)).unwrap_or(key);
    let line = lines.get(&format!("{prefix}{key}"));
    let line = line.or_else(|| lines.get(&format!("{kind}.{key}")));
    let place = line.map_or_else(|| "configuration".to_owned(), |(_, origin)| origin.to_string());
    Problem::new(place, format!("{prefix}{rule}"))
}
